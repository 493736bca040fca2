/*
 * The NUMA nodes of a machine: CPUs, memory, distances, reserved huge pages.
 *
 * All of it is read below a root directory, also for the running system, whose audit may be of
 * another process than this one. libnuma would tell some of it, of the running system alone; where
 * memory is placed, it is asked (nodes.h).
 */
#ifndef ZF_MACHINE_TOPOLOGY_H
#define ZF_MACHINE_TOPOLOGY_H

#include <stddef.h>

#include <zerofault/machine.h>

#include "machine/store.h"

struct zf_topology {
    struct machine_node *nodes; /* online ones, in rising order of their numbers */
    size_t nodes_count;
};

/* Sizes of pages that decide what is read. */
struct zf_page_sizes {
    size_t page_bytes; /* the smallest */
    size_t huge_bytes; /* of a transparent huge page; 0 when the kernel has none */
};

/* Read the nodes below `root` into `store`. `allowed` lists the nodes of the process's cpuset;
 * NULL when that is not known, and then all count as allowed. A kernel without NUMA has one node.
 * What cannot be read is 0 or NULL; the nodes are none when neither the list of nodes nor
 * /proc/meminfo can be. */
void zf_topology_read(const char *root, const char *allowed, const struct zf_page_sizes *sizes,
                      struct zf_store *store, struct zf_topology *topology);

/* The node of this number; NULL when it is not online. */
const struct machine_node *zf_topology_node(const struct zf_topology *topology, unsigned number);

/* The reserved huge pages of one size on a node; NULL when the kernel has no such pool there. */
const struct machine_pool *zf_topology_pool(const struct machine_node *node, size_t page_bytes);

#endif
