/*
 * Settings of the kernel that one word can judge, as a table.
 *
 * Each row says which words are fine, which are worth knowing and which bring faults; any other
 * word is unknown, because a kernel may have learnt it since. A file that is missing means that
 * this kernel has no such setting, but only where the rest of /proc/sys or /sys is there.
 * See Documentation/admin-guide/sysctl/ and admin-guide/mm/ of Linux.
 */
#include <string.h>

#include "base/assert.h"
#include "machine/audit.h"

struct setting {
    const char *name;
    const char *topic;
    const char *path;
    const char *fine;    /* words, between blanks */
    const char *noted;   /* worth knowing */
    const char *bad;     /* a warning */
    const char *counter; /* of /proc/vmstat, that tells how often it happened; or NULL */
    const char *counted; /* what it counts */
    const char *why;
    const char *fix;
};

static const struct setting settings[] = {
    {.name = "numa_balancing",
     .topic = ZF_TOPIC_NUMA,
     .path = "/proc/sys/kernel/numa_balancing",
     .fine = "0",
     .noted = "",
     .bad = "1 2 3",
     .counter = "numa_hint_faults",
     .counted = "hint faults since boot",
     .why =
         "The kernel unmaps pages to see who uses them, and each faults at its next use, locked or "
         "not. Arenas are exempt through their memory policy; stacks, heap and data are not, and "
         "the scan runs in the hot thread itself.",
     .fix = "sysctl -w kernel.numa_balancing=0"},
    {.name = "zone_reclaim",
     .topic = ZF_TOPIC_NUMA,
     .path = "/proc/sys/vm/zone_reclaim_mode",
     .fine = "0",
     .noted = "",
     .bad = "1 2 3 4 5 6 7",
     .why =
         "A full node is reclaimed, inside the fault that needs the page, before another node is "
         "asked.",
     .fix = "sysctl -w vm.zone_reclaim_mode=0"},
    {.name = "numa_demotion",
     .topic = ZF_TOPIC_NUMA,
     .path = "/sys/kernel/mm/numa/demotion_enabled",
     .fine = "false 0",
     .noted = "",
     .bad = "true 1",
     .why =
         "Reclaim moves pages that are not locked to a slower node, and their users fault and wait "
         "meanwhile.",
     .fix = "echo false > /sys/kernel/mm/numa/demotion_enabled"},
    {.name = "thp_enabled",
     .topic = ZF_TOPIC_PAGES,
     .path = "/sys/kernel/mm/transparent_hugepage/enabled",
     .fine = "madvise",
     .noted = "never",
     .bad = "always",
     .counter = "thp_collapse_alloc",
     .counted = "collapses since boot",
     .why =
         "Arenas want madvise. With always, khugepaged rewrites heap, stacks and data at any time, "
         "and every fault of the process waits for it. With never, an arena gets huge pages by "
         "MADV_COLLAPSE alone, from Linux 6.1 on.",
     .fix = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"},
    {.name = "thp_defrag",
     .topic = ZF_TOPIC_PAGES,
     .path = "/sys/kernel/mm/transparent_hugepage/defrag",
     .fine = "madvise defer+madvise",
     .noted = "defer never",
     .bad = "always",
     .counter = "compact_stall",
     .counted = "stalls since boot",
     .why = "With always, a fault anywhere may compact memory on the spot, for milliseconds. With "
            "defer or never, a warmup gets fewer huge pages at first touch and collapses the rest.",
     .fix = "echo madvise > /sys/kernel/mm/transparent_hugepage/defrag"},
    {.name = "compaction_of_locked",
     .topic = ZF_TOPIC_DAEMONS,
     .path = "/proc/sys/vm/compact_unevictable_allowed",
     .fine = "0",
     .noted = "",
     .bad = "1",
     .counter = "compact_migrate_scanned",
     .counted = "pages scanned since boot",
     .why =
         "Compaction may move locked pages. Who touches such a page meanwhile faults and waits for "
         "the copy.",
     .fix = "sysctl -w vm.compact_unevictable_allowed=0"},
    {.name = "damon_reclaim",
     .topic = ZF_TOPIC_DAEMONS,
     .path = "/sys/module/damon_reclaim/parameters/enabled",
     .fine = "N 0",
     .noted = "",
     .bad = "Y 1",
     .why =
         "Pages that were not used lately are reclaimed although there is no shortage: code, data "
         "and heap that are not locked fault when the hot loop comes back to them.",
     .fix = "echo N > /sys/module/damon_reclaim/parameters/enabled"},
    {.name = "panic_on_oom",
     .topic = ZF_TOPIC_LIMITS,
     .path = "/proc/sys/vm/panic_on_oom",
     .fine = "0",
     .noted = "",
     .bad = "1 2",
     .counter = "oom_kill",
     .counted = "kills since boot",
     .why =
         "A node that is too small for what is strictly bound to it brings this machine down, not "
         "one process.",
     .fix = "sysctl -w vm.panic_on_oom=0"},
};

static void add_setting(struct zf_audit_run *run, const struct setting *setting)
{
    char word[32];
    struct machine_check check = {.name = setting->name,
                                  .topic = setting->topic,
                                  .severity = MACHINE_UNKNOWN,
                                  .why = setting->why,
                                  .fix = setting->fix,
                                  .source = setting->path};
    int rc = zf_audit_word(run, setting->path, word, sizeof word);
    uint64_t count = setting->counter != NULL ? zf_text_field(run->vmstat, setting->counter, 0) : 0;
    if (rc == 0 && word[0] != '\0') {
        if (zf_text_holds(setting->fine, word))
            check.severity = MACHINE_OK;
        else if (zf_text_holds(setting->noted, word))
            check.severity = MACHINE_INFO;
        else if (zf_text_holds(setting->bad, word))
            check.severity = MACHINE_WARNING;
        check.value = count == 0 ? zf_audit_text(run, "%s", word)
                                 : zf_audit_text(run, "%s (%llu %s)", word,
                                                 (unsigned long long)count, setting->counted);
    } else if (zf_audit_absent(run, setting->path, rc)) {
        check.severity = MACHINE_OK;
        check.value = "not in this kernel";
    } else {
        check.value = zf_audit_unread(run, rc);
    }
    zf_audit_add(run, &check);
}

void zf_audit_settings(struct zf_audit_run *run, const char *topic)
{
    size_t before = run->audit->checks_count;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; ++i)
        if (strcmp(settings[i].topic, topic) == 0)
            add_setting(run, &settings[i]);
    ZF_ASSERT(run->audit->checks == NULL || run->audit->checks_count > before);
    (void)before;
}
