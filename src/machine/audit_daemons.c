/*
 * What works in the background and takes, moves or merges pages: compaction, CMA, the balloon of a
 * virtual machine, KSM, swap.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "machine/audit.h"

static void add_proactive_compaction(struct zf_audit_run *run)
{
    uint64_t proactiveness, unevictable = 1;
    struct machine_check check = {
        .name = "proactive_compaction",
        .topic = ZF_TOPIC_DAEMONS,
        .severity = MACHINE_UNKNOWN,
        .why = "Compaction runs in the background without anybody asking for a huge page. Where it "
               "may not move locked pages, it still moves all others.",
        .fix = "sysctl -w vm.compaction_proactiveness=0",
        .source = "/proc/sys/vm/compaction_proactiveness"};
    int rc = zf_file_number(run->root, check.source, &proactiveness);
    (void)zf_file_number(run->root, "/proc/sys/vm/compact_unevictable_allowed", &unevictable);
    if (rc == 0) {
        enum machine_severity moving = unevictable != 0 ? MACHINE_WARNING : MACHINE_INFO;
        check.severity = proactiveness != 0 ? moving : MACHINE_OK;
        check.value = zf_audit_text(run, "%llu", (unsigned long long)proactiveness);
    } else if (zf_audit_absent(run, check.source, rc)) {
        check.severity = MACHINE_OK;
        check.value = "not in this kernel";
    } else {
        check.value = zf_audit_unread(run, rc);
    }
    zf_audit_add(run, &check);
}

static void add_cma(struct zf_audit_run *run)
{
    size_t total_bytes = zf_text_field_bytes(run->meminfo, "CmaTotal:", 0);
    uint64_t taken = zf_text_field(run->vmstat, "cma_alloc_success", 0);
    struct machine_check check = {
        .name = "cma",
        .topic = ZF_TOPIC_DAEMONS,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "A driver that wants contiguous memory has whatever lies there moved away at once, "
               "locked or not, and no setting forbids it. Boot with cma=0 if no device needs it.",
        .source = "/proc/meminfo"};
    if (run->meminfo != NULL) {
        enum machine_severity used = taken > 0 ? MACHINE_WARNING : MACHINE_INFO;
        check.severity = total_bytes > 0 ? used : MACHINE_OK;
        check.value = total_bytes == 0 ? "none"
                                       : zf_audit_text(run, "%s, taken %llu times since boot",
                                                       zf_audit_size(run, total_bytes),
                                                       (unsigned long long)taken);
    }
    zf_audit_add(run, &check);
}

static void add_balloon(struct zf_audit_run *run)
{
    uint64_t inflated = zf_text_field(run->vmstat, "balloon_inflate", 0);
    uint64_t migrated = zf_text_field(run->vmstat, "balloon_migrate", 0);
    struct machine_check check = {
        .name = "balloon",
        .topic = ZF_TOPIC_DAEMONS,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "The host takes memory back while this machine runs, and pages are reclaimed and "
               "moved to make room. Fix the guest's memory size on the host.",
        .source = "/proc/vmstat"};
    if (run->vmstat != NULL) {
        check.severity = inflated > 0 ? MACHINE_WARNING : MACHINE_OK;
        check.value = inflated == 0 ? "never inflated"
                                    : zf_audit_text(run, "%llu pages taken, %llu moved since boot",
                                                    (unsigned long long)inflated,
                                                    (unsigned long long)migrated);
    }
    zf_audit_add(run, &check);
}

/* Drivers through which the host unplugs memory. They are loaded where there is such a device. */
static void add_unplug(struct zf_audit_run *run)
{
    static const char *const drivers[] = {"virtio_mem ", "hv_balloon ", "xen_balloon "};
    struct machine_check check = {
        .name = "memory_unplug",
        .topic = ZF_TOPIC_DAEMONS,
        .severity = MACHINE_UNKNOWN,
        .why = "The host can take blocks of memory away while this machine runs. Whatever lies in "
               "them is moved at once, locked or not. Fix the guest's memory size on the host.",
        .source = "/proc/modules"};
    char *modules;
    int rc = zf_file_read(run->root, check.source, &modules);
    if (rc == 0 || zf_audit_absent(run, check.source, rc)) {
        check.severity = MACHINE_OK;
        check.value = "no driver loaded";
    } else {
        check.value = zf_audit_unread(run, rc);
    }
    for (size_t i = 0; rc == 0 && i < sizeof drivers / sizeof drivers[0]; ++i) {
        if (zf_text_value(modules, drivers[i]) == NULL)
            continue;
        check.severity = MACHINE_INFO;
        check.value = zf_audit_text(run, "%.*s", (int)strcspn(drivers[i], " "), drivers[i]);
    }
    free(modules);
    zf_audit_add(run, &check);
}

/* Does this process offer its memory for merging, or share merged pages already? */
static bool is_merged(const struct zf_audit_run *run)
{
    char path[64];
    char *text;
    uint64_t pages = 0;
    bool offered = false;
    (void)snprintf(path, sizeof path, "%s/ksm_merging_pages", run->folder);
    (void)zf_file_number(run->root, path, &pages);
    (void)snprintf(path, sizeof path, "%s/ksm_stat", run->folder);
    if (zf_file_read(run->root, path, &text) == 0) {
        const char *any = zf_text_value(text, "ksm_merge_any:");
        offered = any != NULL && strncmp(any, "yes", 3) == 0;
    }
    free(text);
    return pages > 0 || offered;
}

static void add_ksm(struct zf_audit_run *run)
{
    uint64_t running;
    struct machine_check check = {
        .name = "ksm",
        .topic = ZF_TOPIC_DAEMONS,
        .severity = MACHINE_UNKNOWN,
        .why = "A page merged with an equal one is read-only, and the next write to it faults and "
               "copies. Only memory that was offered is merged; arenas take themselves out.",
        .fix = "echo 2 > /sys/kernel/mm/ksm/run",
        .source = "/sys/kernel/mm/ksm/run"};
    int rc = zf_file_number(run->root, check.source, &running);
    if (rc == 0) {
        bool merged = is_merged(run);
        enum machine_severity active = merged ? MACHINE_WARNING : MACHINE_INFO;
        check.severity = running == 1 ? active : MACHINE_OK;
        if (!merged)
            check.fix = NULL;
        check.value = running != 1 ? "off"
                      : merged     ? "on, and this process takes part"
                                   : "on, this process takes no part";
    } else if (zf_audit_absent(run, check.source, rc)) {
        check.severity = MACHINE_OK;
        check.value = "not in this kernel";
    } else {
        check.value = zf_audit_unread(run, rc);
    }
    zf_audit_add(run, &check);
}

static void add_swap(struct zf_audit_run *run)
{
    static const struct zf_group_kind kind = {.controller = "memory",
                                              .limit_two = "memory.swap.max"};
    struct zf_group_limit limit;
    size_t swap_bytes = zf_text_field_bytes(run->meminfo, "SwapTotal:", SIZE_MAX);
    unsigned long long pages_in = zf_text_field(run->vmstat, "pswpin", 0);
    struct machine_check check = {
        .name = "swap",
        .topic = ZF_TOPIC_DAEMONS,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why =
            "What is not locked can be written out, and comes back by a major fault: stacks, heap "
            "and data of a process that locks only its arenas.",
        .fix = "swapoff -a",
        .source = "/proc/meminfo"};
    (void)zf_group_limit(run->root, run->folder, &kind, &limit);
    if (swap_bytes == 0) {
        check.severity = MACHINE_OK;
        check.value = "none";
    } else if (swap_bytes != SIZE_MAX && limit.limit_bytes == 0) {
        check.severity = MACHINE_OK;
        check.value = "not for this control group";
    } else if (swap_bytes != SIZE_MAX) {
        check.severity = MACHINE_WARNING;
        check.value = zf_audit_text(run, "%s, %llu pages read back since boot",
                                    zf_audit_size(run, swap_bytes), pages_in);
    }
    zf_audit_add(run, &check);
}

void zf_audit_daemons(struct zf_audit_run *run)
{
    zf_audit_settings(run, ZF_TOPIC_DAEMONS);
    add_proactive_compaction(run);
    add_cma(run);
    add_balloon(run);
    add_unplug(run);
    add_ksm(run);
    add_swap(run);
}
