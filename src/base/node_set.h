/* Sets of NUMA nodes by number. Numbers may have gaps. */
#ifndef ZF_BASE_NODE_SET_H
#define ZF_BASE_NODE_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

/* More nodes than any kernel is built for. */
#define ZF_NODES_MAX 1024
#define ZF_NODES_PER_WORD (8 * sizeof(unsigned long))

struct zf_node_set {
    unsigned long words[ZF_NODES_MAX / ZF_NODES_PER_WORD];
};

/* `node` is 0 to ZF_NODES_MAX less 1. */
static inline void zf_node_set_add(struct zf_node_set *set, int node)
{
    ZF_ASSERT(node >= 0 && node < ZF_NODES_MAX);
    set->words[(size_t)node / ZF_NODES_PER_WORD] |= 1ul << ((size_t)node % ZF_NODES_PER_WORD);
}

/* Any number may be asked for. */
static inline bool zf_node_set_holds(const struct zf_node_set *set, int node)
{
    if (node < 0 || node >= ZF_NODES_MAX)
        return false;
    return (set->words[(size_t)node / ZF_NODES_PER_WORD] >> ((size_t)node % ZF_NODES_PER_WORD) &
            1) != 0;
}

/* The first member at or after `from`; -1 when there is none. */
static inline int zf_node_set_next(const struct zf_node_set *set, int from)
{
    ZF_ASSERT(from >= 0);
    for (int node = from; node < ZF_NODES_MAX; ++node)
        if (zf_node_set_holds(set, node))
            return node;
    return -1;
}

static inline size_t zf_node_set_count(const struct zf_node_set *set)
{
    size_t count = 0;
    for (size_t i = 0; i < sizeof set->words / sizeof set->words[0]; ++i)
        count += (size_t)__builtin_popcountl(set->words[i]);
    return count;
}

#endif
