/*
 * Limits of the process and of its control groups.
 */
#include <stdio.h>
#include <string.h>

#include "base/arith.h"
#include "machine/audit.h"
#include "machine/hugetlb.h"
#include "machine/memory.h"

/* Less than this to lock is worth a warning: the default of most systems, and too little for an
 * arena of any size. */
#define LOCKABLE_BYTES_WANTED ((size_t)64 << 20)

static const char *size_or_none(struct zf_audit_run *run, size_t bytes)
{
    return bytes == SIZE_MAX ? "unlimited" : zf_audit_size(run, bytes);
}

/* The command that raises limits of the audited process, or of the shell that types it. */
static const char *raise_limits(struct zf_audit_run *run, const char *options)
{
    if (run->options.process == 0)
        return zf_audit_text(run, "prlimit --pid $$ %s", options);
    return zf_audit_text(run, "prlimit --pid %lu %s", (unsigned long)run->options.process, options);
}

static void add_memlock(struct zf_audit_run *run)
{
    const struct zf_limit *limit = &run->process.locked;
    size_t left_bytes = zf_process_lockable_bytes(&run->process);
    struct machine_check check = {
        .name = "memlock",
        .topic = ZF_TOPIC_LIMITS,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "How much memory the process may lock. What is not locked can be reclaimed and then "
               "faults. For good: a memlock line in /etc/security/limits.d, LimitMEMLOCK= of a "
               "service, or CAP_IPC_LOCK.",
        .fix = raise_limits(run, "--memlock=unlimited:unlimited"),
        .source = zf_audit_text(run, "%s/limits", run->folder)};
    if (limit->known && left_bytes == SIZE_MAX) {
        check.severity = MACHINE_OK;
        check.value = limit->soft == SIZE_MAX ? "unlimited"
                                              : zf_audit_text(run, "%s, but CAP_IPC_LOCK lifts it",
                                                              zf_audit_size(run, limit->soft));
    } else if (limit->known) {
        check.severity = left_bytes == 0                      ? MACHINE_CRITICAL
                         : left_bytes < LOCKABLE_BYTES_WANTED ? MACHINE_WARNING
                                                              : MACHINE_OK;
        check.value = zf_audit_text(run, "%s left of %s", zf_audit_size(run, left_bytes),
                                    zf_audit_size(run, limit->soft));
    }
    zf_audit_add(run, &check);
}

/* What all limits of control groups have in common: none at all, none that can be told, or how
 * much is left. */
static void judge_group(struct zf_audit_run *run, int error, const struct zf_group_limit *limit,
                        struct machine_check *check)
{
    ZF_ASSERT(error <= 0);
    ZF_ASSERT(error == 0 || limit->limit_bytes == SIZE_MAX);
    if (error != 0) {
        check->severity = MACHINE_UNKNOWN;
        check->value = zf_audit_unread(run, error);
    } else if (limit->limit_bytes == SIZE_MAX) {
        check->severity = MACHINE_OK;
        check->value = "unlimited";
    } else {
        check->value = zf_audit_text(run, "%s left of %s", zf_audit_size(run, limit->free_bytes),
                                     zf_audit_size(run, limit->limit_bytes));
        check->source = zf_audit_text(run, "%s", limit->file);
    }
}

static void add_group_memory(struct zf_audit_run *run)
{
    struct zf_group_limit limit;
    size_t available_bytes = zf_text_field_bytes(run->meminfo, "MemAvailable:", SIZE_MAX);
    struct machine_check check = {
        .name = "cgroup_memory",
        .topic = ZF_TOPIC_LIMITS,
        .severity = MACHINE_UNKNOWN,
        .why = "Beyond the limit of its control group the process is reclaimed from, and then "
               "killed, whatever the machine has left.",
        .source = zf_audit_text(run, "%s/cgroup", run->folder)};
    int rc = zf_group_limit(run->root, run->folder, &zf_group_memory, &limit);
    judge_group(run, rc, &limit, &check);
    if (limit.limit_bytes != SIZE_MAX) {
        check.severity = limit.free_bytes < limit.limit_bytes / 20 ? MACHINE_WARNING
                         : limit.free_bytes < available_bytes      ? MACHINE_INFO
                                                                   : MACHINE_OK;
    }
    zf_audit_add(run, &check);
}

static void add_group_throttle(struct zf_audit_run *run)
{
    static const struct zf_group_kind kind = {
        .controller = "memory", .limit_two = "memory.high", .usage_two = "memory.current"};
    struct zf_group_limit limit;
    struct machine_check check = {
        .name = "cgroup_throttle",
        .topic = ZF_TOPIC_LIMITS,
        .severity = MACHINE_UNKNOWN,
        .why = "Above memory.high the group is reclaimed from all the time, and each of its faults "
               "is made to sleep.",
        .source = zf_audit_text(run, "%s/cgroup", run->folder)};
    int rc = zf_group_limit(run->root, run->folder, &kind, &limit);
    judge_group(run, rc, &limit, &check);
    if (limit.limit_bytes != SIZE_MAX) {
        check.severity = MACHINE_WARNING;
        check.fix = zf_audit_echo(run, "max", check.source);
    }
    zf_audit_add(run, &check);
}

/* The controller of huge pages has two limits: of what is in use, kept by SIGBUS at the fault, and
 * of what is reserved, kept by an error of mmap. */
static void add_group_hugetlb(struct zf_audit_run *run)
{
    struct zf_group_limit used, reserved;
    struct machine_check check = {
        .name = "cgroup_hugetlb",
        .topic = ZF_TOPIC_LIMITS,
        .severity = MACHINE_UNKNOWN,
        .why = "The limit of a control group for reserved huge pages is not asked when memory is "
               "mapped. The first touch beyond it is SIGBUS.",
        .source = zf_audit_text(run, "%s/cgroup", run->folder)};
    for (size_t bytes = (size_t)8192; bytes <= (size_t)1 << 36; bytes *= 2) {
        int rc = zf_hugetlb_group_limit(run->root, run->folder, bytes, false, &used);
        (void)zf_hugetlb_group_limit(run->root, run->folder, bytes, true, &reserved);
        judge_group(run, rc, &used, &check);
        if (used.limit_bytes >= reserved.limit_bytes)
            continue;
        check.severity = MACHINE_WARNING;
        check.value =
            zf_audit_text(run, "%s in pages of %s", check.value, zf_audit_size(run, bytes));
        check.fix = zf_audit_echo(run, strstr(used.file, ".max") != NULL ? "max" : "-1", used.file);
        break;
    }
    if (check.severity != MACHINE_WARNING && used.limit_bytes != SIZE_MAX) {
        check.severity = MACHINE_OK;
        check.value = "kept when memory is mapped";
    }
    zf_audit_add(run, &check);
}

static void add_overcommit(struct zf_audit_run *run)
{
    uint64_t mode;
    size_t limit_bytes = zf_text_field_bytes(run->meminfo, "CommitLimit:", SIZE_MAX);
    size_t used_bytes = zf_text_field_bytes(run->meminfo, "Committed_AS:", 0);
    size_t left_bytes = limit_bytes - zf_min(limit_bytes, used_bytes);
    struct machine_check check = {
        .name = "overcommit",
        .topic = ZF_TOPIC_LIMITS,
        .severity = MACHINE_UNKNOWN,
        .why =
            "At 2, creating an arena fails beyond the commit limit, even where memory is free; at "
            "0 and 1 it does not.",
        .fix = "sysctl -w vm.overcommit_memory=0",
        .source = "/proc/sys/vm/overcommit_memory"};
    int rc = zf_file_number(run->root, check.source, &mode);
    if (rc != 0 || mode > 2) {
        check.value = zf_audit_unread(run, rc);
    } else if (mode < 2 || limit_bytes == SIZE_MAX) {
        check.severity = mode < 2 ? MACHINE_OK : MACHINE_INFO;
        check.value = zf_audit_text(run, "%llu", (unsigned long long)mode);
    } else {
        check.severity = left_bytes < limit_bytes / 20 ? MACHINE_WARNING : MACHINE_INFO;
        check.value = zf_audit_text(run, "2, %s left of %s", zf_audit_size(run, left_bytes),
                                    zf_audit_size(run, limit_bytes));
    }
    zf_audit_add(run, &check);
}

static void add_mappings(struct zf_audit_run *run)
{
    uint64_t limit;
    size_t count = run->process.mappings_count;
    struct machine_check check = {
        .name = "mappings",
        .topic = ZF_TOPIC_LIMITS,
        .severity = MACHINE_UNKNOWN,
        .why = "Each change of policy, lock or advice in the middle of a range makes two ranges of "
               "it. A process that has used up its count gets -ENOMEM with memory to spare.",
        .fix = "sysctl -w vm.max_map_count=1048576",
        .source = "/proc/sys/vm/max_map_count"};
    int rc = zf_file_number(run->root, check.source, &limit);
    if (rc == 0) {
        check.severity = count >= limit - limit / 10 ? MACHINE_WARNING : MACHINE_OK;
        check.value = run->process.mappings_known
                          ? zf_audit_text(run, "%zu of %llu", count, (unsigned long long)limit)
                          : zf_audit_text(run, "at most %llu", (unsigned long long)limit);
    } else {
        check.value = zf_audit_unread(run, rc);
    }
    zf_audit_add(run, &check);
}

static void add_address_space(struct zf_audit_run *run)
{
    const struct zf_process *process = &run->process;
    struct machine_check check = {
        .name = "address_space",
        .topic = ZF_TOPIC_LIMITS,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "RLIMIT_AS and RLIMIT_DATA count what is reserved, warm or not: an arena that does "
               "not fit is -ENOMEM at once.",
        .fix = raise_limits(run, "--as=unlimited:unlimited --data=unlimited:unlimited"),
        .source = zf_audit_text(run, "%s/limits", run->folder)};
    if (process->address.known && process->data.known) {
        bool limited = process->address.soft != SIZE_MAX || process->data.soft != SIZE_MAX;
        check.severity = limited ? MACHINE_INFO : MACHINE_OK;
        check.value = limited ? zf_audit_text(run, "address space %s, data %s",
                                              size_or_none(run, process->address.soft),
                                              size_or_none(run, process->data.soft))
                              : "unlimited";
    }
    zf_audit_add(run, &check);
}

static void add_stack(struct zf_audit_run *run)
{
    const struct zf_limit *limit = &run->process.stack;
    struct machine_check check = {
        .name = "stack",
        .topic = ZF_TOPIC_LIMITS,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why =
            "A stack grows by faults up to this size, so it must be warmed to the depth that the "
            "hot loop needs; every thread's stack has this size unless it is given another, and "
            "mlockall(MCL_FUTURE) makes all of it resident.",
        .fix = raise_limits(run, "--stack=8388608"),
        .source = zf_audit_text(run, "%s/limits", run->folder)};
    if (limit->known) {
        check.severity = limit->soft < (size_t)256 << 10 ? MACHINE_WARNING
                         : limit->soft == SIZE_MAX       ? MACHINE_INFO
                                                         : MACHINE_OK;
        check.value = size_or_none(run, limit->soft);
    }
    zf_audit_add(run, &check);
}

void zf_audit_limits(struct zf_audit_run *run)
{
    add_memlock(run);
    add_group_memory(run);
    add_group_throttle(run);
    add_group_hugetlb(run);
    add_overcommit(run);
    add_mappings(run);
    add_address_space(run);
    add_stack(run);
    zf_audit_settings(run, ZF_TOPIC_LIMITS);
}
