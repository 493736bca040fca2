/*
 * NUMA nodes of the running system, as libnuma tells them.
 *
 * Only its questions are used, and only those that answer in every case: it is asked first whether
 * it works at all, never about a node that does not exist or whose file cannot be opened, for want
 * of descriptors say (it warns on stderr, and says that all CPUs are there), and never for what it
 * fixed when it was loaded but the system may change since,
 * which is the cpuset; that is asked of the kernel. Masks are on the stack, because libnuma ends
 * the process when it has no memory for one; it makes one of each node's CPUs all the same, below
 * 1 KiB, at the first question. What it has no answer for (file cache, free huge pages, another
 * root) is read in src/machine. See numa(3).
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <numa.h>
#include <numaif.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/assert.h"

#define LONG_BITS (sizeof(unsigned long) * CHAR_BIT)

static bool is_told(void)
{
    return numa_available() == 0 && numa_bitmask_weight(numa_nodes_ptr) != 0;
}

static bool exists(int node)
{
    return node >= 0 && numa_bitmask_isbitset(numa_nodes_ptr, (unsigned)node) != 0;
}

/* The highest node that exists and fits a set. */
static int node_max(void)
{
    return numa_max_node() < ZF_NODES_MAX ? numa_max_node() : ZF_NODES_MAX - 1;
}

/* Will libnuma be able to open this file of a node? */
static bool can_open(int node, const char *name)
{
    char path[64];
    int file;
    ZF_ASSERT(exists(node));
    (void)snprintf(path, sizeof path, "/sys/devices/system/node/node%d/%s", node, name);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    (void)close(file);
    return true;
}

/* A node's CPUs that are online now; false when that cannot be told. */
static bool cpus_of(int node, struct bitmask *cpus)
{
    ZF_ASSERT(exists(node));
    if (numa_num_possible_cpus() <= 0 || (unsigned long)numa_num_possible_cpus() > cpus->size ||
        !can_open(node, "cpumap"))
        return false;
    /* Otherwise it tells what it has read before; this counts for one question. */
    numa_node_to_cpu_update();
    return numa_node_to_cpus(node, cpus) == 0;
}

int zf_os_nodes(struct zf_os_nodes *nodes)
{
    unsigned long words[ZF_OS_CPUS_MAX / LONG_BITS];
    struct bitmask cpus = {.size = ZF_OS_CPUS_MAX, .maskp = words};
    ZF_ASSERT(nodes != NULL);
    memset(nodes, 0, sizeof *nodes);
    if (!is_told() ||
        get_mempolicy(NULL, nodes->allowed.words, ZF_NODES_MAX + 1, NULL, MPOL_F_MEMS_ALLOWED) != 0)
        return -EOPNOTSUPP;
    for (int node = 0; node <= node_max(); ++node) {
        if (!exists(node))
            continue;
        if (!can_open(node, "meminfo"))
            return -EOPNOTSUPP;
        if (numa_node_size64(node, NULL) > 0)
            zf_node_set_add(&nodes->memory, node);
        if (cpus_of(node, &cpus) && numa_bitmask_weight(&cpus) != 0)
            zf_node_set_add(&nodes->cpus, node);
    }
    return 0;
}

size_t zf_os_nodes_of_cpus(int16_t *nodes, size_t cpus_max)
{
    unsigned long words[ZF_OS_CPUS_MAX / LONG_BITS];
    struct bitmask cpus = {.size = ZF_OS_CPUS_MAX, .maskp = words};
    size_t count = 0;
    ZF_ASSERT(nodes != NULL && cpus_max != 0);
    for (size_t cpu = 0; cpu < cpus_max; ++cpu)
        nodes[cpu] = -1;
    for (int node = 0; is_told() && node <= node_max(); ++node) {
        if (!exists(node) || !cpus_of(node, &cpus))
            continue;
        for (size_t cpu = 0; cpu < zf_min(cpus_max, ZF_OS_CPUS_MAX); ++cpu) {
            if (!numa_bitmask_isbitset(&cpus, (unsigned)cpu))
                continue;
            nodes[cpu] = (int16_t)node;
            count = cpu >= count ? cpu + 1 : count;
        }
    }
    return count;
}

/* libnuma 2.0.16 writes one number behind its table of distances when numbers of nodes have gaps,
 * so it is not asked then. */
static bool has_gaps(void)
{
    return numa_bitmask_weight(numa_nodes_ptr) != (unsigned)numa_max_node() + 1;
}

int zf_os_node_distance(int from, int to)
{
    if (!is_told() || has_gaps() || !exists(from) || !exists(to) || !can_open(from, "distance"))
        return 0;
    return numa_distance(from, to);
}
