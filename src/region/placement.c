/*
 * Placement of a region's pages; see placement.h.
 *
 * What the kernel has a policy for is one policy on the whole range. Weights of the caller's own
 * are stripes, each preferring one node: the kernel's weights are the machine's, not a program's.
 * Their unit grows with the region, so that they cost a few hundred mappings at most, of the
 * 65,530 that a process may have. Preferring comes before the pages and binding after them,
 * because populating what is bound to a full node ends in the OOM killer and never in an error.
 */
#include "region/placement.h"

#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "os/os.h"
#include "region/region.h"

struct zf_placement zf_placement_at(int node)
{
    struct zf_placement placement;
    ZF_ASSERT(node >= -1 && node < ZF_NODES_MAX);
    memset(&placement, 0, sizeof placement);
    if (node >= 0) {
        placement.kind = ZF_PLACE_NODE;
        zf_node_set_add(&placement.nodes, node);
    }
    return placement;
}

int zf_placement_node(const struct zf_placement *placement)
{
    return zf_node_set_count(&placement->nodes) == 1 ? zf_node_set_next(&placement->nodes, 0) : -1;
}

/* The stripe that an offset lies in: its node, and where it ends. */
static int stripe_at(const struct zf_region *region, size_t offset_bytes, size_t *end_bytes)
{
    const struct zf_placement *placement = &region->placement;
    size_t unit = offset_bytes / region->stripe_bytes;
    size_t cycle = 0, end = 0, i = 0;
    ZF_ASSERT(placement->weights_count != 0);
    ZF_ASSERT(region->stripe_bytes != 0);
    for (size_t n = 0; n < placement->weights_count; ++n)
        cycle += placement->weights[n];
    for (end = placement->weights[0]; unit % cycle >= end; end += placement->weights[i])
        ++i;
    *end_bytes = zf_min((unit - unit % cycle + end) * region->stripe_bytes, region->size_bytes);
    ZF_ASSERT(*end_bytes > offset_bytes);
    return placement->members[i];
}

static int place_stripes(struct zf_region *region)
{
    for (size_t start = 0, end = 0; start < region->size_bytes; start = end) {
        int node = stripe_at(region, start, &end);
        int rc = zf_os_prefer_node((unsigned char *)region->base + start, end - start, node);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Kernels before 5.15 have no set to prefer: its first node, and the rest as the kernel likes. */
static int prefer_many(struct zf_region *region)
{
    const struct zf_node_set *nodes = &region->placement.nodes;
    int rc = zf_os_place(region->base, region->size_bytes, ZF_OS_PREFER_MANY, nodes);
    if (rc != -EOPNOTSUPP)
        return rc;
    return zf_os_prefer_node(region->base, region->size_bytes, zf_node_set_next(nodes, 0));
}

int zf_region_place(struct zf_region *region)
{
    const struct zf_placement *placement = &region->placement;
    int rc = -EINVAL;
    ZF_ASSERT(zf_region_is_valid(region));
    ZF_ASSERT(placement->kind == ZF_PLACE_LOCAL || zf_node_set_count(&placement->nodes) != 0);
    switch (placement->kind) {
    case ZF_PLACE_LOCAL:
    case ZF_PLACE_NODE:
        rc = zf_os_prefer_node(region->base, region->size_bytes, zf_placement_node(placement));
        break;
    case ZF_PLACE_INTERLEAVE:
        rc = zf_os_place(region->base, region->size_bytes, ZF_OS_INTERLEAVE, &placement->nodes);
        break;
    case ZF_PLACE_SYSTEM_WEIGHTED:
        rc = zf_os_place(region->base, region->size_bytes, ZF_OS_INTERLEAVE_WEIGHTED,
                         &placement->nodes);
        break;
    case ZF_PLACE_WEIGHTED:
        rc = place_stripes(region);
        break;
    case ZF_PLACE_MANY:
        rc = prefer_many(region);
        break;
    }
    if (rc == 0)
        region->bound = false;
    return rc;
}

int zf_region_bind(struct zf_region *region)
{
    const struct zf_placement *placement = &region->placement;
    int rc;
    ZF_ASSERT(zf_region_is_valid(region));
    if (placement->kind == ZF_PLACE_INTERLEAVE || placement->kind == ZF_PLACE_WEIGHTED ||
        placement->kind == ZF_PLACE_SYSTEM_WEIGHTED || zf_node_set_count(&placement->nodes) == 0)
        return 0;
    rc = zf_os_place(region->base, region->size_bytes, ZF_OS_BIND, &placement->nodes);
    region->bound = rc == 0;
    return rc;
}

int zf_region_node_at(const struct zf_region *region, size_t offset_bytes)
{
    size_t end_bytes;
    ZF_ASSERT(offset_bytes < region->size_bytes);
    if (region->placement.kind == ZF_PLACE_WEIGHTED)
        return stripe_at(region, offset_bytes, &end_bytes);
    return zf_placement_node(&region->placement);
}

bool zf_region_belongs(const struct zf_region *region, size_t offset_bytes, int node)
{
    if (region->placement.kind == ZF_PLACE_WEIGHTED)
        return zf_region_node_at(region, offset_bytes) == node;
    return zf_node_set_count(&region->placement.nodes) == 0 ||
           zf_node_set_holds(&region->placement.nodes, node);
}

size_t zf_region_share_bytes(const struct zf_region *region, int node)
{
    const struct zf_placement *placement = &region->placement;
    size_t count = zf_node_set_count(&placement->nodes);
    size_t share_bytes = 0;
    ZF_ASSERT(zf_node_set_holds(&placement->nodes, node));
    if (placement->kind == ZF_PLACE_INTERLEAVE)
        return region->size_bytes / count;
    if (placement->kind != ZF_PLACE_WEIGHTED)
        return region->size_bytes;
    for (size_t start = 0, end = 0; start < region->size_bytes; start = end)
        share_bytes += stripe_at(region, start, &end) == node ? end - start : 0;
    return share_bytes;
}
