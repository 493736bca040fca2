/*
 * NUMA nodes of this machine, or from /sys/devices/system/node below a root directory; see nodes.h.
 *
 * Numbers may have gaps, and a node may have memory without CPUs or CPUs without memory, so
 * everything goes by the lists that the kernel prints ("0-1,4") and nothing by counting. What the
 * cpuset allows is Mems_allowed_list of /proc/self/status. A node's clean file cache counts as
 * free: a page that is moved to the node makes the kernel drop it. See
 * Documentation/ABI/stable/sysfs-devices-node of Linux.
 */
#include "machine/nodes.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/lists.h"
#include "os/os.h"

#define NODE_FOLDER "/sys/devices/system/node/"
#define LIST_BYTES 8192 /* a list of every second of 1,024 CPUs is 4 KiB */

static bool is_this_machine(const char *root)
{
    ZF_ASSERT(root != NULL);
    return *root == '\0';
}

/* Read a file of at most LIST_BYTES; false when it cannot be read. */
static bool read_text(const char *root, const char *path, char *text)
{
    char full[512];
    int length = snprintf(full, sizeof full, "%s%s", strcmp(root, "/") == 0 ? "" : root, path);
    return length > 0 && (size_t)length < sizeof full &&
           zf_os_read_file(full, text, LIST_BYTES) >= 0;
}

static void parse_nodes(const char *list, struct zf_node_set *nodes)
{
    unsigned first, last;
    memset(nodes, 0, sizeof *nodes);
    while (zf_list_next(&list, &first, &last))
        for (unsigned node = first; node <= last && node < ZF_NODES_MAX; ++node)
            zf_node_set_add(nodes, (int)node);
}

static int read_nodes(const char *root, const char *path, struct zf_node_set *nodes)
{
    char text[LIST_BYTES];
    memset(nodes, 0, sizeof *nodes);
    if (!read_text(root, path, text))
        return -EOPNOTSUPP;
    parse_nodes(text, nodes);
    return 0;
}

/* What the cpuset allows; everything when that is not told. */
static void read_allowed(const char *root, struct zf_node_set *allowed)
{
    static const char key[] = "\nMems_allowed_list:\t";
    char text[LIST_BYTES];
    const char *list = read_text(root, "/proc/self/status", text) ? strstr(text, key) : NULL;
    if (list != NULL)
        parse_nodes(list + sizeof key - 1, allowed);
    else
        memset(allowed, 0xff, sizeof *allowed);
}

static int read_all(const char *root, struct zf_os_nodes *nodes)
{
    int rc = is_this_machine(root) ? zf_os_nodes(nodes) : -EOPNOTSUPP;
    if (rc != -EOPNOTSUPP)
        return rc;
    read_allowed(root, &nodes->allowed);
    (void)read_nodes(root, NODE_FOLDER "has_cpu", &nodes->cpus);
    return read_nodes(root, NODE_FOLDER "has_memory", &nodes->memory);
}

int zf_nodes_usable(const char *root, struct zf_node_set *nodes)
{
    struct zf_os_nodes all;
    int rc = read_all(root, &all);
    ZF_ASSERT(nodes != NULL);
    for (size_t i = 0; i < sizeof nodes->words / sizeof nodes->words[0]; ++i)
        nodes->words[i] = rc == 0 ? all.memory.words[i] & all.allowed.words[i] : 0;
    return rc;
}

int zf_nodes_with_memory(const char *root, struct zf_node_set *nodes)
{
    struct zf_os_nodes all;
    int rc = read_all(root, &all);
    ZF_ASSERT(nodes != NULL);
    *nodes = all.memory;
    return rc;
}

static bool covers(const struct zf_node_set *outer, const struct zf_node_set *inner)
{
    bool all = true;
    for (size_t i = 0; i < sizeof inner->words / sizeof inner->words[0]; ++i)
        all = all && (inner->words[i] & ~outer->words[i]) == 0;
    return all;
}

int zf_nodes_check(const char *root, const struct zf_node_set *nodes)
{
    struct zf_os_nodes all;
    ZF_ASSERT(zf_node_set_next(nodes, 0) >= 0);
    if (read_all(root, &all) != 0)
        return 0;
    if (!covers(&all.memory, nodes))
        return -ENODEV;
    return covers(&all.allowed, nodes) ? 0 : -EPERM;
}

int zf_nodes_with_cpus(const char *root, struct zf_node_set *nodes)
{
    struct zf_os_nodes all;
    int rc = read_all(root, &all);
    ZF_ASSERT(nodes != NULL);
    *nodes = all.cpus;
    return rc;
}

/* ----------------------------------------------------------------------------------------- CPUs */

/* Enter one node's CPUs; one more than the highest. */
static size_t enter_cpus(const char *root, int node, int16_t *nodes, size_t cpus_max)
{
    char path[64];
    char text[LIST_BYTES];
    const char *list = text;
    unsigned first, last;
    size_t count = 0;
    (void)snprintf(path, sizeof path, NODE_FOLDER "node%d/cpulist", node);
    if (!read_text(root, path, text))
        return 0;
    while (zf_list_next(&list, &first, &last))
        for (size_t cpu = first; cpu <= last && cpu < cpus_max; ++cpu) {
            nodes[cpu] = (int16_t)node;
            count = cpu + 1;
        }
    return count;
}

size_t zf_nodes_of_cpus(const char *root, int16_t *nodes, size_t cpus_max)
{
    struct zf_node_set set;
    size_t count = is_this_machine(root) ? zf_os_nodes_of_cpus(nodes, cpus_max) : 0;
    ZF_ASSERT(nodes != NULL && cpus_max != 0);
    if (count != 0)
        return count;
    for (size_t cpu = 0; cpu < cpus_max; ++cpu)
        nodes[cpu] = -1;
    if (read_nodes(root, NODE_FOLDER "has_cpu", &set) != 0)
        return 0;
    for (int node = zf_node_set_next(&set, 0); node >= 0; node = zf_node_set_next(&set, node + 1)) {
        size_t end = enter_cpus(root, node, nodes, cpus_max);
        count = end > count ? end : count;
    }
    return count;
}

int zf_node_of_cpu(const char *root, unsigned cpu)
{
    int16_t nodes[ZF_OS_CPUS_MAX];
    size_t count = zf_nodes_of_cpus(root, nodes, ZF_OS_CPUS_MAX);
    if (count == 0)
        return -EOPNOTSUPP;
    return cpu < count && nodes[cpu] >= 0 ? nodes[cpu] : -ENODEV;
}

/* ------------------------------------------------------------------------------------- distance */

/* The nearest as the system tells; -1 when it does not. */
static int nearest_told(int node, const struct zf_node_set *candidates)
{
    int nearest = -1, least = INT_MAX;
    for (int other = zf_node_set_next(candidates, 0); other >= 0;
         other = zf_node_set_next(candidates, other + 1)) {
        int distance = zf_os_node_distance(node, other);
        if (distance <= 0)
            return -1;
        if (distance >= least)
            continue;
        least = distance;
        nearest = other;
    }
    return nearest;
}

/* Distances stand in the order of the nodes that are online. */
int zf_node_nearest(const char *root, int node, const struct zf_node_set *candidates)
{
    char path[64];
    char text[LIST_BYTES];
    struct zf_node_set online;
    char *rest = text;
    int nearest = zf_node_set_next(candidates, 0);
    int told;
    unsigned long least = ULONG_MAX;
    ZF_ASSERT(nearest >= 0);
    if (zf_node_set_holds(candidates, node))
        return node;
    told = is_this_machine(root) ? nearest_told(node, candidates) : -1;
    if (told >= 0)
        return told;
    (void)snprintf(path, sizeof path, NODE_FOLDER "node%d/distance", node);
    if (read_nodes(root, NODE_FOLDER "online", &online) != 0 || !read_text(root, path, text))
        return nearest;
    for (int other = zf_node_set_next(&online, 0); other >= 0;
         other = zf_node_set_next(&online, other + 1)) {
        const char *number = rest;
        unsigned long distance = strtoul(number, &rest, 10);
        if (rest != number && distance < least && zf_node_set_holds(candidates, other)) {
            least = distance;
            nearest = other;
        }
    }
    return nearest;
}

int zf_nodes_cpus(const char *root, const struct zf_node_set *nodes, struct zf_cpu_set *cpus)
{
    int16_t node_of_cpu[ZF_OS_CPUS_MAX];
    struct zf_node_set with_cpus, near = {{0}};
    size_t count = zf_nodes_of_cpus(root, node_of_cpu, ZF_OS_CPUS_MAX);
    ZF_ASSERT(zf_node_set_next(nodes, 0) >= 0);
    memset(cpus, 0, sizeof *cpus);
    if (count == 0 || zf_nodes_with_cpus(root, &with_cpus) != 0 ||
        zf_node_set_next(&with_cpus, 0) < 0)
        return -EOPNOTSUPP;
    for (int node = zf_node_set_next(nodes, 0); node >= 0; node = zf_node_set_next(nodes, node + 1))
        zf_node_set_add(&near, zf_node_nearest(root, node, &with_cpus));
    for (size_t cpu = 0; cpu < count; ++cpu)
        if (node_of_cpu[cpu] >= 0 && zf_node_set_holds(&near, node_of_cpu[cpu]))
            zf_cpu_set_add(cpus, (unsigned)cpu);
    return zf_cpu_set_count(cpus) == 0 ? -EOPNOTSUPP : 0;
}

/* --------------------------------------------------------------------------------------- memory */

/* A field of a node's meminfo, "Node 0 MemFree:   12 kB". */
static size_t field_bytes(const char *text, const char *key)
{
    const char *value = strstr(text, key);
    return value == NULL ? 0 : (size_t)strtoull(value + strlen(key), NULL, 10) * 1024;
}

size_t zf_node_free_bytes(const char *root, int node)
{
    char path[64];
    char text[LIST_BYTES];
    size_t cache_bytes, dirty_bytes;
    ZF_ASSERT(node >= 0);
    (void)snprintf(path, sizeof path, NODE_FOLDER "node%d/meminfo", node);
    if (!read_text(root, path, text) || strstr(text, " MemFree:") == NULL)
        return SIZE_MAX;
    cache_bytes = field_bytes(text, " Active(file):") + field_bytes(text, " Inactive(file):");
    dirty_bytes = field_bytes(text, " Dirty:") + field_bytes(text, " Writeback:");
    return field_bytes(text, " MemFree:") +
           (cache_bytes > dirty_bytes ? cache_bytes - dirty_bytes : 0);
}
