/*
 * Page sizes: which there are, who hands them out, and what undoes them later.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "machine/audit.h"

#define HUGE_FOLDER "/sys/kernel/mm/transparent_hugepage"
#define LIST_BYTES 512

/* Append to a list of at most LIST_BYTES, ", " between the items; what does not fit is left out. */
static void append(char list[LIST_BYTES], const char *item)
{
    size_t used = strlen(list);
    size_t needed = strlen(item) + 3;
    ZF_ASSERT(used < LIST_BYTES);
    if (needed < LIST_BYTES - used)
        (void)snprintf(list + used, LIST_BYTES - used, "%s%s", used > 0 ? ", " : "", item);
}

/* The sum over all nodes of the reserved pages of one size; false when the kernel has none. */
static bool sum_pool(const struct zf_audit_run *run, size_t page_bytes, struct machine_pool *sum)
{
    const struct zf_topology *topology = &run->audit->topology;
    bool found = false;
    *sum = (struct machine_pool){.page_bytes = page_bytes};
    for (size_t i = 0; i < topology->nodes_count; ++i) {
        const struct machine_pool *pool = zf_topology_pool(&topology->nodes[i], page_bytes);
        if (pool == NULL)
            continue;
        found = true;
        sum->total_count += pool->total_count;
        sum->free_count += pool->free_count;
    }
    return found;
}

/* Every page size that a pool can have. */
#define FOR_EACH_POOL_SIZE(bytes)                                                                  \
    for (size_t bytes = (size_t)8192; (bytes) <= (size_t)1 << 36; (bytes) *= 2)

static void add_page_sizes(struct zf_audit_run *run)
{
    char list[LIST_BYTES] = "";
    const char *flags = zf_text_value(run->cpuinfo, "flags");
    struct machine_pool pool;
    struct machine_check check = {
        .name = "page_sizes",
        .topic = ZF_TOPIC_PAGES,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "An arena of large pages takes fewer faults while it warms up and fewer TLB misses "
               "afterwards. Pages of 1 GiB need the CPU flag pdpe1gb.",
        .source = "/sys/kernel/mm/hugepages"};
    FOR_EACH_POOL_SIZE(bytes)
    if (bytes == run->sizes.page_bytes || bytes == run->sizes.huge_bytes ||
        sum_pool(run, bytes, &pool))
        append(list, zf_audit_size(run, bytes));
    if (run->sys_seen) {
        check.severity = MACHINE_OK;
        check.value = zf_audit_text(run, "%s%s%s", zf_audit_size(run, run->sizes.page_bytes),
                                    list[0] != '\0' ? ", " : "", list);
        if (flags != NULL && strstr(flags, " pdpe1gb") == NULL)
            check.value = zf_audit_text(run, "%s (the CPU has no 1 GiB)", check.value);
    }
    zf_audit_add(run, &check);
}

/* Inherited from whoever called prctl(PR_SET_THP_DISABLE): a service manager, a launcher. */
static void add_process(struct zf_audit_run *run)
{
    struct machine_check check = {
        .name = "thp_process",
        .topic = ZF_TOPIC_PAGES,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "This process may have no transparent huge pages, whatever the machine allows: it, "
               "or one that started it, has called prctl(PR_SET_THP_DISABLE).",
        .source = zf_audit_text(run, "%s/status", run->folder)};
    if (run->process.status_known) {
        check.severity = run->process.huge_pages_off ? MACHINE_WARNING : MACHINE_OK;
        check.value = run->process.huge_pages_off ? "off" : "not switched off";
    }
    zf_audit_add(run, &check);
}

static void add_khugepaged(struct zf_audit_run *run)
{
    uint64_t collapsed, scanned;
    struct machine_check check = {
        .name = "khugepaged",
        .topic = ZF_TOPIC_PAGES,
        .severity = MACHINE_UNKNOWN,
        .why = "It copies small pages into a huge one with all faults of the process held up. "
               "Arenas leave its list once they are warm; other memory stays on it where "
               "transparent huge pages are always on.",
        .source = HUGE_FOLDER "/khugepaged/pages_collapsed"};
    int rc = zf_file_number(run->root, check.source, &collapsed);
    if (rc == 0) {
        bool everywhere = strcmp(run->thp, "always") == 0;
        if (zf_file_number(run->root, HUGE_FOLDER "/khugepaged/full_scans", &scanned) != 0)
            scanned = 0;
        check.severity = everywhere ? MACHINE_INFO : MACHINE_OK;
        check.value = zf_audit_text(run, "%llu pages collapsed in %llu scans since boot",
                                    (unsigned long long)collapsed, (unsigned long long)scanned);
    } else if (zf_audit_absent(run, check.source, rc)) {
        check.severity = MACHINE_OK;
        check.value = "not in this kernel";
    } else {
        check.value = zf_audit_unread(run, rc);
    }
    zf_audit_add(run, &check);
}

/* Since 6.12 huge pages that hold many zero pages are split, if max_ptes_none asks for it. */
static void add_split(struct zf_audit_run *run)
{
    static const char shrink[] = HUGE_FOLDER "/shrink_underused";
    uint64_t shrinks = 0, none_max = 0;
    uint64_t all = run->sizes.huge_bytes / run->sizes.page_bytes;
    struct machine_check check = {
        .name = "thp_split",
        .topic = ZF_TOPIC_PAGES,
        .severity = MACHINE_UNKNOWN,
        .why = "Under memory pressure the kernel splits huge pages that are mostly zero, which "
               "those of a fresh arena are, locked or not.",
        .fix = "echo 0 > " HUGE_FOLDER "/shrink_underused",
        .source = shrink};
    int rc = zf_file_number(run->root, shrink, &shrinks);
    if (rc == 0)
        rc = zf_file_number(run->root, HUGE_FOLDER "/khugepaged/max_ptes_none", &none_max);
    if (zf_audit_absent(run, shrink, rc)) {
        check.severity = MACHINE_OK;
        check.value = "not in this kernel";
    } else if (rc != 0) {
        check.value = zf_audit_unread(run, rc);
    } else {
        bool active = shrinks != 0 && all > 0 && none_max + 1 < all;
        check.severity = active ? MACHINE_WARNING : MACHINE_OK;
        check.value = zf_audit_text(run, "%s (shrink_underused %llu, max_ptes_none %llu)",
                                    active ? "active" : "inactive", (unsigned long long)shrinks,
                                    (unsigned long long)none_max);
    }
    zf_audit_add(run, &check);
}

/* The sizes between a small page and a huge one, since 6.8. */
static void add_sizes_between(struct zf_audit_run *run)
{
    char list[LIST_BYTES] = "";
    bool found = false;
    struct machine_check check = {
        .name = "thp_sizes",
        .topic = ZF_TOPIC_PAGES,
        .severity = MACHINE_OK,
        .why = "Where a size is always on, heap and stacks get such pages by themselves; a warmup "
               "asks for those at madvise.",
        .source = HUGE_FOLDER};
    for (size_t bytes = run->sizes.page_bytes * 2; bytes <= run->sizes.huge_bytes; bytes *= 2) {
        char path[128];
        char word[16];
        (void)snprintf(path, sizeof path, HUGE_FOLDER "/hugepages-%zukB/enabled", bytes / 1024);
        if (zf_audit_word(run, path, word, sizeof word) != 0)
            continue;
        found = true;
        if (strcmp(word, "never") != 0)
            append(list, zf_audit_text(run, "%s %s", zf_audit_size(run, bytes), word));
        if (strcmp(word, "always") == 0)
            check.severity = MACHINE_INFO;
    }
    check.value = !found            ? "not in this kernel"
                  : list[0] == '\0' ? "all never"
                                    : zf_audit_text(run, "%s, others never", list);
    if (!found && !run->sys_seen) {
        check.severity = MACHINE_UNKNOWN;
        check.value = "not told";
    }
    zf_audit_add(run, &check);
}

static void add_fragmentation(struct zf_audit_run *run)
{
    const struct zf_topology *topology = &run->audit->topology;
    size_t free_bytes = 0, huge_bytes = 0;
    struct machine_check check = {
        .name = "fragmentation",
        .topic = ZF_TOPIC_PAGES,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "Free memory in smaller pieces than a huge page must be compacted while a warmup "
               "waits, or is not had in huge pages at all.",
        .fix = "echo 1 > /proc/sys/vm/compact_memory",
        .source = "/proc/buddyinfo"};
    for (size_t i = 0; i < topology->nodes_count; ++i) {
        free_bytes += topology->nodes[i].free_bytes;
        huge_bytes += topology->nodes[i].huge_free_bytes;
    }
    if (run->sizes.huge_bytes > 0 && huge_bytes > 0) {
        check.severity = huge_bytes < free_bytes / 2 ? MACHINE_INFO : MACHINE_OK;
        check.value =
            zf_audit_text(run, "%s free in huge pages, %s in all", zf_audit_size(run, huge_bytes),
                          zf_audit_size(run, zf_max(free_bytes, huge_bytes)));
    } else if (run->sys_seen && run->sizes.huge_bytes == 0) {
        check.severity = MACHINE_OK;
        check.value = "no transparent huge pages in this kernel";
    }
    zf_audit_add(run, &check);
}

static void add_pools(struct zf_audit_run *run)
{
    char list[LIST_BYTES] = "";
    bool found = false;
    struct machine_pool pool;
    struct machine_check check = {
        .name = "hugetlb_pools",
        .topic = ZF_TOPIC_PAGES,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "Reserved huge pages are never split, moved away or swapped. They belong to a node: "
               "a pool that is full on another one does not help.",
        .source = "/sys/devices/system/node"};
    FOR_EACH_POOL_SIZE(bytes)
    {
        if (!sum_pool(run, bytes, &pool))
            continue;
        found = true;
        if (pool.total_count > 0)
            append(list, zf_audit_text(run, "%zu of %zu free of %s", pool.free_count,
                                       pool.total_count, zf_audit_size(run, bytes)));
    }
    if (found || run->sys_seen) {
        check.severity = MACHINE_OK;
        check.value = !found            ? "not in this kernel"
                      : list[0] == '\0' ? "empty"
                                        : zf_audit_text(run, "%s", list);
    }
    zf_audit_add(run, &check);
}

static void add_surplus(struct zf_audit_run *run)
{
    char list[LIST_BYTES] = "";
    struct machine_check check = {
        .name = "hugetlb_surplus",
        .topic = ZF_TOPIC_PAGES,
        .severity = run->sys_seen ? MACHINE_OK : MACHINE_UNKNOWN,
        .value = run->sys_seen ? "none" : "not told",
        .why =
            "Pages beyond the pool are made at the fault that needs them, and may fail there, by "
            "SIGBUS. Pages of the pool are not.",
        .source = "/sys/kernel/mm/hugepages"};
    FOR_EACH_POOL_SIZE(bytes)
    {
        char path[128];
        uint64_t count;
        (void)snprintf(path, sizeof path,
                       "/sys/kernel/mm/hugepages/hugepages-%zukB/nr_overcommit_hugepages",
                       bytes / 1024);
        if (zf_file_number(run->root, path, &count) == 0 && count > 0)
            append(list, zf_audit_text(run, "up to %llu of %s", (unsigned long long)count,
                                       zf_audit_size(run, bytes)));
    }
    if (list[0] != '\0') {
        check.severity = MACHINE_INFO;
        check.value = zf_audit_text(run, "%s", list);
    }
    zf_audit_add(run, &check);
}

void zf_audit_pages(struct zf_audit_run *run)
{
    add_page_sizes(run);
    zf_audit_settings(run, ZF_TOPIC_PAGES);
    add_process(run);
    add_khugepaged(run);
    add_split(run);
    add_sizes_between(run);
    add_fragmentation(run);
    add_pools(run);
    add_surplus(run);
}
