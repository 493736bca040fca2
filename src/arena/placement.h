/*
 * From what a user says about nodes to where a region's pages belong.
 */
#ifndef ZF_ARENA_PLACEMENT_H
#define ZF_ARENA_PLACEMENT_H

#include <zerofault/arena.h>

#include "region/placement.h"

/* -EINVAL an unknown placement, no node where some are needed, or a bad weight; -ENODEV, -EPERM as
 * arena_create documents. */
int zf_arena_placement(const struct arena_options *options, struct zf_placement *placement);

#endif
