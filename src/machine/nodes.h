/*
 * What placing memory needs to know of NUMA nodes: which have memory that this process may use,
 * which is nearest to a CPU, and how much one has free.
 *
 * For this machine (root "") the system is asked; see os.h. Captured machines are read from /sys
 * and /proc below their root, as is this one where the system does not tell: a sandbox may forbid
 * to ask for memory policies and still show the files.
 */
#ifndef ZF_MACHINE_NODES_H
#define ZF_MACHINE_NODES_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu_set.h"
#include "base/node_set.h"

/* The nodes that have memory and that this process's cpuset allows, below `root` ("" for this
 * machine). -EOPNOTSUPP the system shows no nodes. */
int zf_nodes_usable(const char *root, struct zf_node_set *nodes);

/* The nodes that have memory, allowed or not. -EOPNOTSUPP the system shows no nodes. */
int zf_nodes_with_memory(const char *root, struct zf_node_set *nodes);

/* May this process have memory on all of these nodes? -ENODEV one does not exist or has no memory;
 * -EPERM one is outside of its cpuset; 0 also when the system shows no nodes. */
int zf_nodes_check(const char *root, const struct zf_node_set *nodes);

/* The nodes that have CPUs. -EOPNOTSUPP the system shows no nodes. */
int zf_nodes_with_cpus(const char *root, struct zf_node_set *nodes);

/* The node of a CPU, with memory or not. -ENODEV no node has that CPU; -EOPNOTSUPP the system
 * shows no nodes. */
int zf_node_of_cpu(const char *root, unsigned cpu);

/* The node of each CPU below `cpus_max`, -1 where there is none. Returns one more than the highest
 * CPU of a node, 0 when the system shows no nodes. */
size_t zf_nodes_of_cpus(const char *root, int16_t *nodes, size_t cpus_max);

/* The CPUs of these nodes; for a node that has none, those of the nearest that has. -EOPNOTSUPP the
 * system shows none. */
int zf_nodes_cpus(const char *root, const struct zf_node_set *nodes, struct zf_cpu_set *cpus);

/* Of `candidates`, not empty, the one at the least distance from `node`; the lowest of several. */
int zf_node_nearest(const char *root, int node, const struct zf_node_set *candidates);

/* What a node can give without swapping: free memory and clean file cache. SIZE_MAX when it cannot
 * be told. */
size_t zf_node_free_bytes(const char *root, int node);

#endif
