/*
 * The machine as a whole: kernel, CPU, memory, what it was booted with.
 *
 * Versions are judged by what mainline Linux learnt when; a kernel with the calls ported back is
 * told less than it can do, and a warmup finds out by trying.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "machine/audit.h"

static void add_kernel(struct zf_audit_run *run)
{
    char release[64];
    struct machine_check check = {
        .name = "kernel",
        .topic = ZF_TOPIC_SYSTEM,
        .severity = MACHINE_UNKNOWN,
        .why = "Before 5.14 a warmup must lock or touch every page, before 6.1 it cannot collapse "
               "leftovers to huge pages, before 6.7 it reads the page map page by page.",
        .source = "/proc/sys/kernel/osrelease"};
    int rc = zf_audit_word(run, check.source, release, sizeof release);
    check.value = rc != 0 ? zf_audit_unread(run, rc) : zf_audit_text(run, "Linux %s", release);
    if (run->kernel != 0)
        check.severity = run->kernel < ZF_KERNEL(6, 7) ? MACHINE_INFO : MACHINE_OK;
    zf_audit_add(run, &check);
}

static void add_memory(struct zf_audit_run *run)
{
    size_t total_bytes = zf_text_field_bytes(run->meminfo, "MemTotal:", 0);
    size_t available_bytes = zf_text_field_bytes(run->meminfo, "MemAvailable:", SIZE_MAX);
    struct machine_check check = {.name = "memory",
                                  .topic = ZF_TOPIC_SYSTEM,
                                  .severity = MACHINE_UNKNOWN,
                                  .value = "not told",
                                  .why =
                                      "What a warmup can take without swapping or the OOM killer.",
                                  .source = "/proc/meminfo"};
    if (available_bytes != SIZE_MAX) {
        check.severity = available_bytes < total_bytes / 20 ? MACHINE_WARNING : MACHINE_OK;
        check.value = zf_audit_text(run, "%s of %s available", zf_audit_size(run, available_bytes),
                                    zf_audit_size(run, total_bytes));
    }
    zf_audit_add(run, &check);
}

/* The share of the last five minutes in which something waited for memory, "1.25"; "" when it is
 * not told. */
static void read_pressure(const char *text, char *share, size_t share_bytes)
{
    const char *some = zf_text_value(text, "some ");
    const char *average = some != NULL ? strstr(some, "avg300=") : NULL;
    share[0] = '\0';
    if (average != NULL)
        (void)snprintf(share, share_bytes, "%.*s", (int)strspn(average + 7, "0123456789."),
                       average + 7);
}

static void add_pressure(struct zf_audit_run *run)
{
    char share[16];
    char *text;
    struct machine_check check = {
        .name = "memory_pressure",
        .topic = ZF_TOPIC_SYSTEM,
        .severity = MACHINE_UNKNOWN,
        .why = "Tasks wait for memory here: pages that are not locked are being taken away, and "
               "come back by faults.",
        .source = "/proc/pressure/memory"};
    int rc = zf_file_read(run->root, check.source, &text);
    read_pressure(text, share, sizeof share);
    free(text);
    if (share[0] != '\0') {
        double percent = strtod(share, NULL);
        check.severity = percent >= 1 ? MACHINE_WARNING : percent > 0 ? MACHINE_INFO : MACHINE_OK;
        check.value = zf_audit_text(run, "%s %% of the last 5 minutes", share);
    } else if (rc == -EOPNOTSUPP || (rc == -ENOENT && run->proc_seen)) {
        check.severity = MACHINE_OK;
        check.value = "not measured by this kernel";
    } else {
        check.value = zf_audit_unread(run, rc);
    }
    zf_audit_add(run, &check);
}

static void add_broken_memory(struct zf_audit_run *run)
{
    static const char path[] = "/proc/sys/vm/enable_soft_offline";
    size_t broken_bytes = zf_text_field_bytes(run->meminfo, "HardwareCorrupted:", 0);
    uint64_t switched;
    int rc = zf_file_number(run->root, path, &switched);
    const char *offline = rc != 0 ? "" : switched == 0 ? ", soft offline off" : ", soft offline on";
    struct machine_check check = {
        .name = "broken_memory",
        .topic = ZF_TOPIC_SYSTEM,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "Pages with corrected errors are moved away under their users, locked or not, and "
               "huge pages are split for it. What is already broken will break again.",
        .fix = rc == 0 && switched != 0 ? "sysctl -w vm.enable_soft_offline=0" : NULL,
        .source = "/proc/meminfo"};
    if (run->meminfo != NULL) {
        check.severity = broken_bytes > 0 ? MACHINE_WARNING : MACHINE_OK;
        check.value = zf_audit_text(run, "%s%s", zf_audit_size(run, broken_bytes), offline);
    }
    zf_audit_add(run, &check);
}

/* ------------------------------------------------------------------------------------------ CPU */

/* What the first CPU says of itself: the flags of x86, the features of arm64; NULL when neither. */
static const char *cpu_words(const struct zf_audit_run *run, bool *is_x86)
{
    const char *flags = zf_text_value(run->cpuinfo, "flags");
    *is_x86 = flags != NULL;
    if (flags != NULL)
        return flags;
    return zf_text_value(run->cpuinfo, "CPU implementer") != NULL
               ? zf_text_value(run->cpuinfo, "Features")
               : NULL;
}

/* Does the first line of `words` hold a word? */
static bool line_holds(const char *words, const char *word)
{
    char line[4096];
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(words, "\n"), words);
    return zf_text_holds(line, word);
}

static void add_virtual_machine(struct zf_audit_run *run)
{
    bool is_x86;
    const char *words = cpu_words(run, &is_x86);
    struct machine_check check = {
        .name = "virtual_machine",
        .topic = ZF_TOPIC_SYSTEM,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "A hypervisor may take pages away underneath this kernel, and nothing in here can "
               "see those faults. Have the host lock the guest's memory and back it by huge pages.",
        .source = "/proc/cpuinfo"};
    if (words != NULL && is_x86) {
        bool is_guest = line_holds(words, "hypervisor");
        check.severity = is_guest ? MACHINE_INFO : MACHINE_OK;
        check.value = is_guest ? "yes" : "no";
    }
    zf_audit_add(run, &check);
}

static void add_access_flag(struct zf_audit_run *run)
{
    bool is_x86;
    const char *words = cpu_words(run, &is_x86);
    struct machine_check check = {
        .name = "access_flag",
        .topic = ZF_TOPIC_SYSTEM,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "A CPU that cannot mark a page as used by itself faults whenever the kernel asks "
               "whether it was used, locked or not. x86 can; of arm64, what is older than 8.1 "
               "cannot, and what is newer may.",
        .source = "/proc/cpuinfo"};
    if (words != NULL && is_x86) {
        check.severity = MACHINE_OK;
        check.value = "set by the CPU";
    } else if (words != NULL) {
        /* 8.1 brought both the atomics, which are mandatory and listed, and the flag. */
        bool is_old = !line_holds(words, "atomics");
        check.severity = is_old ? MACHINE_WARNING : MACHINE_INFO;
        check.value = is_old ? "set by a fault" : "set by the CPU, where it has FEAT_HAFDBS";
    }
    zf_audit_add(run, &check);
}

/* ----------------------------------------------------------------------------------------- boot */

static void add_isolation(struct zf_audit_run *run)
{
    char isolated[128];
    char tickless[128];
    struct machine_check check = {
        .name = "cpu_isolation",
        .topic = ZF_TOPIC_SYSTEM,
        .severity = MACHINE_UNKNOWN,
        .why = "Isolated CPUs are left alone by the load balancer, which else moves a thread away "
               "from its memory; pin the hot threads to them. On tickless ones every fault and "
               "system call costs more.",
        .source = "/sys/devices/system/cpu/isolated"};
    int rc = zf_audit_word(run, check.source, isolated, sizeof isolated);
    (void)zf_audit_word(run, "/sys/devices/system/cpu/nohz_full", tickless, sizeof tickless);
    if (strcmp(tickless, "(null)") == 0)
        tickless[0] = '\0';
    if (rc != 0 && !zf_audit_absent(run, check.source, rc)) {
        check.value = zf_audit_unread(run, rc);
    } else if (isolated[0] == '\0' && tickless[0] == '\0') {
        check.severity = MACHINE_OK;
        check.value = "none";
    } else {
        check.severity = MACHINE_INFO;
        check.value =
            zf_audit_text(run, "isolated %s, tickless %s", isolated[0] != '\0' ? isolated : "none",
                          tickless[0] != '\0' ? tickless : "none");
    }
    zf_audit_add(run, &check);
}

/* How an option of the kernel's command line bears on faults, by how its word begins. */
static const struct {
    const char *start;
    enum machine_severity severity;
} boot_options[] = {
    {"numa=off", MACHINE_WARNING},
    {"numa=fake", MACHINE_INFO},
    {"cma=", MACHINE_INFO},
    {"movablecore=", MACHINE_INFO},
    {"kernelcore=", MACHINE_INFO},
    {"movable_node", MACHINE_INFO},
    {"mem=", MACHINE_INFO},
    {"hugepages=", MACHINE_OK},
    {"hugepagesz=", MACHINE_OK},
    {"default_hugepagesz=", MACHINE_OK},
    {"transparent_hugepage=", MACHINE_OK},
    {"numa_balancing=", MACHINE_OK},
    {"isolcpus=", MACHINE_OK},
    {"nohz_full=", MACHINE_OK},
};

/* Collect the options that matter into `found`; returns the worst of them. */
static enum machine_severity find_boot_options(const char *line, char *found, size_t found_bytes)
{
    enum machine_severity worst = MACHINE_OK;
    size_t used = 0;
    found[0] = '\0';
    for (line += strspn(line, " \n"); *line != '\0'; line += strspn(line, " \n")) {
        size_t length = strcspn(line, " \n");
        for (size_t i = 0; i < sizeof boot_options / sizeof boot_options[0]; ++i) {
            const char *start = boot_options[i].start;
            if (strncmp(line, start, strlen(start)) != 0 || used + length + 2 > found_bytes)
                continue;
            used += (size_t)snprintf(found + used, found_bytes - used, "%s%.*s",
                                     used > 0 ? " " : "", (int)length, line);
            if (boot_options[i].severity > worst)
                worst = boot_options[i].severity;
        }
        line += length;
    }
    ZF_ASSERT(used < found_bytes);
    return worst;
}

static void add_command_line(struct zf_audit_run *run)
{
    char found[512];
    char *text;
    struct machine_check check = {
        .name = "command_line",
        .topic = ZF_TOPIC_SYSTEM,
        .severity = MACHINE_UNKNOWN,
        .why =
            "numa=off hides the nodes, so nothing can be placed. cma=, kernelcore=, movablecore= "
            "and movable_node make zones whose pages are moved on demand, locked or not.",
        .source = "/proc/cmdline"};
    int rc = zf_file_read(run->root, check.source, &text);
    if (rc == 0) {
        check.severity = find_boot_options(text, found, sizeof found);
        check.value =
            found[0] != '\0' ? zf_audit_text(run, "%s", found) : "nothing that concerns faults";
    } else {
        check.value = zf_audit_unread(run, rc);
    }
    free(text);
    zf_audit_add(run, &check);
}

void zf_audit_system(struct zf_audit_run *run)
{
    add_kernel(run);
    add_memory(run);
    add_pressure(run);
    add_broken_memory(run);
    add_virtual_machine(run);
    add_access_flag(run);
    add_isolation(run);
    add_command_line(run);
}
