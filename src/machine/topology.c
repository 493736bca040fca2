/*
 * The NUMA nodes of a machine, from /sys/devices/system/node below a root directory.
 *
 * Numbers are the kernel's and may have gaps; everything here goes by index and keeps the number
 * beside it. What a node can give without reclaim is less than its MemFree: an allocation that
 * only prefers a node goes to another one as soon as a zone would fall below its low watermark,
 * file cache or not. That is what a warmup runs into, so it is what is counted as free. (A node of
 * 200 MiB told 182.7 so, and took 184 on Linux 6.12 and 183 on 7.3 before pages went elsewhere.)
 * See Documentation/ABI/stable/sysfs-devices-node of Linux, proc(5) on zoneinfo and buddyinfo.
 */
#include "machine/topology.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "machine/files.h"
#include "machine/lists.h"

#define NODES_FOLDER "/sys/devices/system/node"
#define NODES_MAX 1024u /* the largest CONFIG_NODES_SHIFT is 10 */
#define POOLS_MAX 24u

/* What the reading of one machine needs at hand. */
struct reading {
    const char *root;
    const struct zf_page_sizes *sizes;
    struct zf_store *store;
    char *zoneinfo;  /* or NULL */
    char *buddyinfo; /* or NULL */
};

/* ------------------------------------------------------------------------------ zones of a node */

/* What follows the number in a line that speaks of a zone of a node, "Node 0, zone   Normal"; NULL
 * in any other line. */
static const char *zone_of(const char *line, unsigned number)
{
    char *end;
    if (strncmp(line, "Node ", 5) != 0 || line[5] < '0' || line[5] > '9' ||
        strtoul(line + 5, &end, 10) != number || strncmp(end, ", zone", 6) != 0)
        return NULL;
    return end + 6;
}

/* The start of the next line; NULL behind the last one. */
static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end != NULL && end[1] != '\0' ? end + 1 : NULL;
}

/* Pages that the kernel keeps back on a node: the low watermarks of its zones. */
static size_t kept_pages(const char *zoneinfo, unsigned number)
{
    bool inside = false;
    size_t sum = 0;
    for (const char *line = zoneinfo; line != NULL; line = next_line(line)) {
        const char *word = line + strspn(line, " ");
        if (word == line)
            inside = zone_of(line, number) != NULL;
        else if (inside && strncmp(word, "low ", 4) == 0)
            sum += (size_t)strtoull(word + 4, NULL, 10);
    }
    return sum;
}

/* Add up the free blocks of at least `huge_bytes` in the columns of buddyinfo behind the zone's
 * name: the counts of free blocks of 1, 2, 4, ... pages. */
static size_t huge_bytes_of_zone(const char *zone, const struct zf_page_sizes *sizes)
{
    size_t sum_bytes = 0, block_bytes = sizes->page_bytes;
    const char *column = zone + strspn(zone, " ");
    for (column += strcspn(column, " \n"); *column == ' '; block_bytes *= 2) {
        char *end;
        unsigned long long count = strtoull(column, &end, 10);
        if (end == column || block_bytes > SIZE_MAX / 4)
            break;
        if (block_bytes >= sizes->huge_bytes && count < SIZE_MAX / 2 / block_bytes)
            sum_bytes += (size_t)count * block_bytes;
        column = end;
    }
    return sum_bytes;
}

static size_t huge_free_bytes(const struct reading *reading, unsigned number)
{
    size_t sum_bytes = 0;
    if (reading->sizes->huge_bytes == 0)
        return 0;
    for (const char *line = reading->buddyinfo; line != NULL; line = next_line(line)) {
        const char *zone = zone_of(line, number);
        if (zone != NULL)
            sum_bytes += huge_bytes_of_zone(zone, reading->sizes);
    }
    return sum_bytes;
}

/* ------------------------------------------------------------------------------------- one node */

/* The memory of a node. Its lines begin with "Node 0 "; those of /proc/meminfo do not. */
static void read_memory(const struct reading *reading, const char *path, const char *prefix,
                        struct machine_node *node)
{
    static const char *const names[] = {
        "MemTotal:", "MemFree:", "Active(file):", "Inactive(file):", "Dirty:", "Writeback:"};
    size_t bytes[6];
    size_t kept_bytes, cache_bytes, unclean_bytes;
    char *text;
    if (zf_file_read(reading->root, path, &text) != 0)
        return;
    for (size_t i = 0; i < 6; ++i) {
        char key[64];
        (void)snprintf(key, sizeof key, "%s%s", prefix, names[i]);
        bytes[i] = zf_text_field_bytes(text, key, 0);
    }
    free(text);
    kept_bytes = kept_pages(reading->zoneinfo, node->number) * reading->sizes->page_bytes;
    cache_bytes = bytes[2] + bytes[3];
    unclean_bytes = bytes[4] + bytes[5];
    node->total_bytes = bytes[0];
    node->free_bytes = bytes[1] - zf_min(bytes[1], kept_bytes);
    node->cache_bytes = cache_bytes - zf_min(cache_bytes, unclean_bytes);
    /* Not more than what is free at all: the reserve may lie in huge blocks too. */
    node->huge_free_bytes = huge_free_bytes(reading, node->number);
    if (node->huge_free_bytes > node->free_bytes)
        node->huge_free_bytes = zf_align_down(node->free_bytes, reading->sizes->huge_bytes);
}

static void read_pools(const struct reading *reading, const char *folder, struct machine_node *node)
{
    struct machine_pool found[POOLS_MAX];
    struct machine_pool *pools;
    size_t count = 0;
    for (size_t bytes = reading->sizes->page_bytes * 2;
         bytes <= (size_t)1 << 36 && count < POOLS_MAX; bytes *= 2) {
        char path[256];
        uint64_t total, unused;
        (void)snprintf(path, sizeof path, "%s/hugepages/hugepages-%zukB/nr_hugepages", folder,
                       bytes / 1024);
        if (zf_file_number(reading->root, path, &total) != 0)
            continue;
        (void)snprintf(path, sizeof path, "%s/hugepages/hugepages-%zukB/free_hugepages", folder,
                       bytes / 1024);
        if (zf_file_number(reading->root, path, &unused) != 0)
            unused = 0;
        found[count++] = (struct machine_pool){bytes, (size_t)total, (size_t)unused};
    }
    pools = zf_store_take(reading->store, count * sizeof *pools);
    if (pools == NULL || count == 0)
        return;
    memcpy(pools, found, count * sizeof *pools);
    node->pools = pools;
    node->pools_count = count;
}

/* CPUs as the kernel lists them; "" when there are none. */
static void read_cpus(const struct reading *reading, const char *path, struct machine_node *node)
{
    char *text;
    node->cpus = "";
    if (zf_file_read(reading->root, path, &text) != 0)
        return;
    node->cpus_count = zf_list_count(text);
    if (node->cpus_count > 0)
        node->cpus = zf_store_text(reading->store, "%.*s", (int)strspn(text, "0123456789,-"), text);
    free(text);
}

/* One number per online node, in their order. A row of another length is not believed. */
static void read_distances(const struct reading *reading, const char *folder, size_t nodes_count,
                           struct machine_node *node)
{
    unsigned *distances = zf_store_take(reading->store, nodes_count * sizeof *distances);
    char path[256];
    char *text;
    const char *column;
    size_t count = 0;
    (void)snprintf(path, sizeof path, "%s/distance", folder);
    if (distances == NULL || zf_file_read(reading->root, path, &text) != 0)
        return;
    column = text + strspn(text, " ");
    for (; *column >= '0' && *column <= '9'; column += strspn(column, " ")) {
        char *end;
        unsigned long distance = strtoul(column, &end, 10);
        if (count < nodes_count)
            distances[count] = (unsigned)distance;
        ++count;
        column = end;
    }
    free(text);
    if (count == nodes_count)
        node->distances = distances;
}

static void read_node(const struct reading *reading, size_t nodes_count, struct machine_node *node)
{
    char folder[128];
    char path[256];
    char prefix[32];
    (void)snprintf(folder, sizeof folder, NODES_FOLDER "/node%u", node->number);
    (void)snprintf(path, sizeof path, "%s/cpulist", folder);
    read_cpus(reading, path, node);
    (void)snprintf(path, sizeof path, "%s/meminfo", folder);
    (void)snprintf(prefix, sizeof prefix, "Node %u ", node->number);
    read_memory(reading, path, prefix, node);
    read_distances(reading, folder, nodes_count, node);
    read_pools(reading, folder, node);
}

/* -------------------------------------------------------------------------------------- machine */

/* Take room for this many nodes; less than asked only when there is no memory. */
static void make_nodes(const struct reading *reading, size_t count, struct zf_topology *topology)
{
    topology->nodes = zf_store_take(reading->store, count * sizeof *topology->nodes);
    topology->nodes_count = topology->nodes != NULL ? count : 0;
}

static void read_nodes(const struct reading *reading, const char *online, const char *allowed,
                       struct zf_topology *topology)
{
    unsigned first, last;
    size_t index = 0;
    make_nodes(reading, zf_min(zf_list_count(online), NODES_MAX), topology);
    while (zf_list_next(&online, &first, &last))
        for (unsigned number = first; number <= last && index < topology->nodes_count; ++number)
            if (index == 0 || number > topology->nodes[index - 1].number)
                topology->nodes[index++].number = number;
    topology->nodes_count = index;
    for (index = 0; index < topology->nodes_count; ++index) {
        struct machine_node *node = &topology->nodes[index];
        node->allowed = allowed == NULL || zf_list_holds(allowed, node->number);
        read_node(reading, topology->nodes_count, node);
    }
}

/* A kernel without NUMA, or a root without /sys: the whole machine is one node. */
static void read_one_node(const struct reading *reading, struct zf_topology *topology)
{
    char *text;
    if (zf_file_read(reading->root, "/proc/meminfo", &text) != 0)
        return;
    free(text);
    make_nodes(reading, 1, topology);
    if (topology->nodes_count == 0)
        return;
    topology->nodes[0].allowed = true;
    read_cpus(reading, "/sys/devices/system/cpu/online", &topology->nodes[0]);
    read_memory(reading, "/proc/meminfo", "", &topology->nodes[0]);
    read_pools(reading, "/sys/kernel/mm", &topology->nodes[0]);
}

void zf_topology_read(const char *root, const char *allowed, const struct zf_page_sizes *sizes,
                      struct zf_store *store, struct zf_topology *topology)
{
    struct reading reading = {root, sizes, store, NULL, NULL};
    char *online;
    ZF_ASSERT(zf_is_power_of_two(sizes->page_bytes));
    ZF_ASSERT(sizes->huge_bytes == 0 || zf_is_power_of_two(sizes->huge_bytes));
    memset(topology, 0, sizeof *topology);
    (void)zf_file_read(root, "/proc/zoneinfo", &reading.zoneinfo);
    (void)zf_file_read(root, "/proc/buddyinfo", &reading.buddyinfo);
    if (zf_file_read(root, NODES_FOLDER "/online", &online) == 0 && zf_list_count(online) > 0)
        read_nodes(&reading, online, allowed, topology);
    else
        read_one_node(&reading, topology);
    free(online);
    free(reading.buddyinfo);
    free(reading.zoneinfo);
}

const struct machine_node *zf_topology_node(const struct zf_topology *topology, unsigned number)
{
    for (size_t i = 0; i < topology->nodes_count; ++i)
        if (topology->nodes[i].number == number)
            return &topology->nodes[i];
    return NULL;
}

const struct machine_pool *zf_topology_pool(const struct machine_node *node, size_t page_bytes)
{
    ZF_ASSERT(node->pools != NULL || node->pools_count == 0);
    for (size_t i = 0; i < node->pools_count; ++i)
        if (node->pools[i].page_bytes == page_bytes)
            return &node->pools[i];
    return NULL;
}
