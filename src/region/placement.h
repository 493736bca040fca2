/*
 * Where the pages of a region belong: on one node, spread over several, or on any of several.
 */
#ifndef ZF_REGION_PLACEMENT_H
#define ZF_REGION_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/node_set.h"

/* Nodes that may be given with weights of their own. */
#define ZF_PLACE_WEIGHTS_MAX 64

/* The shapes of placement. */
enum zf_place {
    ZF_PLACE_LOCAL = 0,       /* one node: that of the thread that warms first */
    ZF_PLACE_NODE,            /* one node */
    ZF_PLACE_INTERLEAVE,      /* page by page over the set */
    ZF_PLACE_SYSTEM_WEIGHTED, /* the same, by the system's weights */
    ZF_PLACE_WEIGHTED,        /* stripes over the set, by the caller's weights */
    ZF_PLACE_MANY             /* anywhere in the set */
};

/* A placement; all zeros is local. */
struct zf_placement {
    enum zf_place kind;
    struct zf_node_set nodes;               /* empty for local until that is settled */
    size_t weights_count;                   /* of WEIGHTED: stripes in a cycle */
    uint16_t members[ZF_PLACE_WEIGHTS_MAX]; /* the node of each */
    uint16_t weights[ZF_PLACE_WEIGHTS_MAX]; /* its width in units; not 0 */
};

/* One node; -1 for local. The node is less than ZF_NODES_MAX. */
struct zf_placement zf_placement_at(int node);

/* The only node of a placement; -1 when it has several, or none yet. */
int zf_placement_node(const struct zf_placement *placement);

/* Nodes among which the bytes of a region are divided, and what belongs on a node of it. */
struct zf_region;

/* Set the policy that prefers where pages belong; pages stay. As zf_os_place. */
int zf_region_place(struct zf_region *region);

/* Set the policy that allows nothing else, once all pages are there and in place. As
 * zf_os_place; 0 where interleaving says it already. */
int zf_region_bind(struct zf_region *region);

/* The node on which the page at an offset belongs; -1 for any of the set. */
int zf_region_node_at(const struct zf_region *region, size_t offset_bytes);

/* Does a page at an offset belong on `node`? */
bool zf_region_belongs(const struct zf_region *region, size_t offset_bytes, int node);

/* How much of the region belongs on `node` of its set, at most. */
size_t zf_region_share_bytes(const struct zf_region *region, int node);

#endif
