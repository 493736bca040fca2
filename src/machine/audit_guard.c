/*
 * What the guard of hot sections needs, and what makes pages of this process fault from outside.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "machine/audit.h"

/* What the guard's ring takes of the kernel's allowance for each thread: 32 KiB of records, its
 * default, and a page for the head. */
#define RING_KIB 36u

/* The first number in a file, which may be negative. */
static int read_signed(const struct zf_audit_run *run, const char *path, long *value)
{
    char word[24];
    char *end;
    int rc = zf_audit_word(run, path, word, sizeof word);
    if (rc != 0)
        return rc;
    *value = strtol(word, &end, 10);
    return end == word || *end != '\0' ? -EINVAL : 0;
}

static void add_perf_events(struct zf_audit_run *run)
{
    long paranoid;
    struct machine_check check = {
        .name = "perf_events",
        .topic = ZF_TOPIC_GUARD,
        .severity = MACHINE_UNKNOWN,
        .why = "Up to 2, the guard sees each fault with its address for a few loads and a compare "
               "per section. Above it, it counts by two system calls per section and knows no "
               "addresses.",
        .fix = "sysctl -w kernel.perf_event_paranoid=2",
        .source = "/proc/sys/kernel/perf_event_paranoid"};
    int rc = read_signed(run, check.source, &paranoid);
    if (rc == 0 && (paranoid <= 2 || zf_process_can(&run->process, ZF_CAP_SYS_ADMIN))) {
        check.severity = MACHINE_OK;
        check.value = paranoid <= 2
                          ? zf_audit_text(run, "%ld", paranoid)
                          : zf_audit_text(run, "%ld, but CAP_SYS_ADMIN lifts it", paranoid);
    } else if (rc == 0) {
        check.severity = MACHINE_WARNING;
        check.value = zf_audit_text(run, "%ld", paranoid);
    } else if (zf_audit_absent(run, check.source, rc)) {
        check.severity = MACHINE_WARNING;
        check.value = "not in this kernel";
        check.fix = NULL;
    } else {
        check.value = zf_audit_unread(run, rc);
    }
    zf_audit_add(run, &check);
}

static void add_perf_memory(struct zf_audit_run *run)
{
    uint64_t kib_per_cpu;
    size_t cpus_count = 0;
    struct machine_check check = {
        .name = "perf_memory",
        .topic = ZF_TOPIC_GUARD,
        .severity = MACHINE_UNKNOWN,
        .why = "Each thread with a guard takes 36 KiB of what a user may lock for perf events, all "
               "processes of that user together. Threads beyond it count by system calls.",
        .fix = "sysctl -w kernel.perf_event_mlock_kb=516",
        .source = "/proc/sys/kernel/perf_event_mlock_kb"};
    int rc = zf_file_number(run->root, check.source, &kib_per_cpu);
    for (size_t i = 0; i < run->audit->topology.nodes_count; ++i)
        cpus_count += run->audit->topology.nodes[i].cpus_count;
    if (rc == 0) {
        uint64_t threads = kib_per_cpu < UINT64_MAX / 65536
                               ? kib_per_cpu * zf_max(cpus_count, 1) / RING_KIB
                               : UINT32_MAX;
        check.severity = threads < cpus_count || threads == 0 ? MACHINE_WARNING : MACHINE_OK;
        check.value = zf_audit_text(run, "%llu KiB per CPU: %llu threads",
                                    (unsigned long long)kib_per_cpu, (unsigned long long)threads);
    } else if (zf_audit_absent(run, check.source, rc)) {
        check.severity = MACHINE_OK;
        check.value = "not in this kernel";
    } else {
        check.value = zf_audit_unread(run, rc);
    }
    zf_audit_add(run, &check);
}

static void add_filter(struct zf_audit_run *run)
{
    struct machine_check check = {
        .name = "system_call_filter",
        .topic = ZF_TOPIC_GUARD,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "The filter of a container refuses perf_event_open, mbind and move_pages unless it "
               "was started with the capabilities PERFMON and SYS_NICE: then the guard knows no "
               "addresses, and memory is neither placed nor its place verified.",
        .source = zf_audit_text(run, "%s/status", run->folder)};
    if (run->process.status_known) {
        check.severity = run->process.filter != 0 ? MACHINE_INFO : MACHINE_OK;
        check.value = run->process.filter == 0   ? "none"
                      : run->process.filter == 1 ? "strict"
                                                 : "filtered";
    }
    zf_audit_add(run, &check);
}

static void add_capabilities(struct zf_audit_run *run)
{
    static const struct {
        enum zf_capability bit;
        const char *name;
    } names[] = {{ZF_CAP_IPC_LOCK, "IPC_LOCK"},
                 {ZF_CAP_SYS_NICE, "SYS_NICE"},
                 {ZF_CAP_SYS_RESOURCE, "SYS_RESOURCE"},
                 {ZF_CAP_SYS_ADMIN, "SYS_ADMIN"},
                 {ZF_CAP_PERFMON, "PERFMON"}};
    char list[128] = "";
    size_t used = 0;
    struct machine_check check = {
        .name = "capabilities",
        .topic = ZF_TOPIC_GUARD,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why =
            "None is needed. IPC_LOCK lifts the limit on locked memory, SYS_NICE moves memory of "
            "others, SYS_RESOURCE raises limits, SYS_ADMIN raises pools of huge pages; those of "
            "a user namespace of its own do not count.",
        .source = zf_audit_text(run, "%s/status", run->folder)};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i)
        if (zf_process_can(&run->process, names[i].bit))
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "",
                                     names[i].name);
    ZF_ASSERT(used < sizeof list);
    if (run->process.status_known) {
        bool inside = !run->process.first_user_namespace && run->process.capabilities != 0;
        check.severity = inside ? MACHINE_INFO : MACHINE_OK;
        check.value = inside      ? "those of a user namespace"
                      : used == 0 ? "none"
                                  : zf_audit_text(run, "%s", list);
    }
    zf_audit_add(run, &check);
}

static void add_tracer(struct zf_audit_run *run)
{
    struct machine_check check = {
        .name = "tracer",
        .topic = ZF_TOPIC_GUARD,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "A debugger stops the process and writes break points into its code; each such page "
               "is copied by a fault. Detach it.",
        .source = zf_audit_text(run, "%s/status", run->folder)};
    if (run->process.status_known) {
        check.severity = run->process.tracer != 0 ? MACHINE_WARNING : MACHINE_OK;
        check.value = run->process.tracer == 0
                          ? "none"
                          : zf_audit_text(run, "process %u", run->process.tracer);
    }
    zf_audit_add(run, &check);
}

/* Ranges of a process that answer to a userfaultfd, by what it waits for. */
struct watched {
    size_t ranges_count; /* whose flags are told at all */
    size_t write_protected_count;
    size_t missing_count;
    size_t minor_count;
};

/* Soft-dirty tracking would be `sd`, but new ranges have that whether anybody tracks or not. */
static void count_watched(const char *smaps, struct watched *watched)
{
    static const char key[] = "VmFlags:";
    memset(watched, 0, sizeof *watched);
    for (const char *flags = zf_text_value(smaps, key); flags != NULL;
         flags = zf_text_value(strchr(flags, '\n'), key)) {
        char words[256];
        (void)snprintf(words, sizeof words, "%.*s", (int)strcspn(flags, "\n"), flags);
        ++watched->ranges_count;
        watched->write_protected_count += zf_text_holds(words, "uw");
        watched->missing_count += zf_text_holds(words, "um");
        watched->minor_count += zf_text_holds(words, "ui");
    }
}

#define USERFAULTFD_SETTING "/proc/sys/vm/unprivileged_userfaultfd"

/* A kernel may have it and no smaps. */
static bool has_userfaultfd(const struct zf_audit_run *run)
{
    char word[8];
    int rc = zf_audit_word(run, USERFAULTFD_SETTING, word, sizeof word);
    return !zf_audit_absent(run, USERFAULTFD_SETTING, rc);
}

static void add_userfaultfd(struct zf_audit_run *run)
{
    struct watched watched;
    char *text;
    struct machine_check check = {
        .name = "userfaultfd",
        .topic = ZF_TOPIC_GUARD,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "Faults in a range that is registered with userfaultfd wait until another thread "
               "answers them, and its write protection makes pages fault that are warm and locked. "
               "Checkpointing, migration of guests and some garbage collectors do so: keep arenas "
               "out of it.",
        .source = zf_audit_text(run, "%s/smaps", run->folder)};
    int rc = zf_file_read(run->root, check.source, &text);
    if (rc == 0) {
        count_watched(text, &watched);
        if (watched.write_protected_count + watched.missing_count + watched.minor_count != 0) {
            check.severity = MACHINE_WARNING;
            check.value =
                zf_audit_text(run, "%zu write-protected, %zu missing, %zu minor, of %zu ranges",
                              watched.write_protected_count, watched.missing_count,
                              watched.minor_count, watched.ranges_count);
        } else if (watched.ranges_count != 0) {
            check.severity = MACHINE_OK;
            check.value = "none";
        }
    } else if (rc != -ENOENT) {
        check.value = zf_audit_unread(run, rc);
    } else if (!has_userfaultfd(run)) {
        check.severity = MACHINE_OK;
        check.value = "not in this kernel";
    }
    free(text);
    zf_audit_add(run, &check);
}

void zf_audit_guard(struct zf_audit_run *run)
{
    add_perf_events(run);
    add_perf_memory(run);
    add_filter(run);
    add_capabilities(run);
    add_tracer(run);
    add_userfaultfd(run);
}
