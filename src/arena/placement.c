/*
 * Options to placement; see placement.h.
 *
 * Every mistake is found here, before there is anything to undo: a node that does not exist, one
 * that the cpuset excludes, an empty set, a weight of 0. The kernel would drop an unusable node of
 * a larger set without a word. That a cpuset, a sandbox or the kernel's age stands against it is a
 * refused wish: it comes later, in the report, unless the placement is required.
 */
#include "arena/placement.h"

#include <errno.h>
#include <string.h>

#include "machine/nodes.h"

static int take_node(const struct arena_options *options, struct zf_placement *placement)
{
    int node = options->node - 1; /* ARENA_NODE_LOCAL becomes -1 */
    if (node >= ZF_NODES_MAX)
        return -ENODEV;
    *placement = zf_placement_at(node);
    return 0;
}

static int take_cpu(const struct arena_options *options, struct zf_placement *placement)
{
    struct zf_node_set usable;
    int node = zf_node_of_cpu("", options->cpu);
    if (zf_nodes_usable("", &usable) != 0 || zf_node_set_count(&usable) == 0)
        return node == -EOPNOTSUPP ? take_node(options, placement) : node;
    if (node < 0)
        return node;
    *placement = zf_placement_at(zf_node_nearest("", node, &usable));
    return 0;
}

static int take_nodes(const struct arena_options *options, enum zf_place kind,
                      struct zf_placement *placement)
{
    bool weighted = kind == ZF_PLACE_WEIGHTED;
    if (options->nodes == NULL || options->nodes_count == 0 ||
        (weighted && options->nodes_count > ZF_PLACE_WEIGHTS_MAX))
        return -EINVAL;
    memset(placement, 0, sizeof *placement);
    placement->kind = kind;
    for (size_t i = 0; i < options->nodes_count; ++i) {
        if (options->nodes[i] >= ZF_NODES_MAX)
            return -ENODEV;
        zf_node_set_add(&placement->nodes, (int)options->nodes[i]);
        if (!weighted)
            continue;
        if (options->weights[i] == 0 || options->weights[i] > UINT16_MAX)
            return -EINVAL;
        placement->members[i] = (uint16_t)options->nodes[i];
        placement->weights[i] = (uint16_t)options->weights[i];
        placement->weights_count = i + 1;
    }
    return 0;
}

static int take(const struct arena_options *options, struct zf_placement *placement)
{
    switch (options->placement) {
    case ARENA_PLACE_NODE:
        return take_node(options, placement);
    case ARENA_PLACE_CPU:
        return take_cpu(options, placement);
    case ARENA_INTERLEAVE:
        return take_nodes(options, ZF_PLACE_INTERLEAVE, placement);
    case ARENA_WEIGHTED_INTERLEAVE:
        return take_nodes(options,
                          options->weights == NULL ? ZF_PLACE_SYSTEM_WEIGHTED : ZF_PLACE_WEIGHTED,
                          placement);
    case ARENA_PREFERRED_MANY:
        return take_nodes(options, ZF_PLACE_MANY, placement);
    }
    return -EINVAL;
}

int zf_arena_placement(const struct arena_options *options, struct zf_placement *placement)
{
    int rc;
    ZF_ASSERT(options != NULL && placement != NULL);
    memset(placement, 0, sizeof *placement);
    rc = take(options, placement);
    if (rc != 0 || zf_node_set_count(&placement->nodes) == 0)
        return rc;
    rc = zf_nodes_check("", &placement->nodes);
    return rc == -EPERM && options->bind != WARMUP_REQUIRE ? 0 : rc;
}
