/*
 * How much memory this process may still take: from the system, and from its control groups.
 */
#ifndef ZF_MACHINE_MEMORY_H
#define ZF_MACHINE_MEMORY_H

#include <stddef.h>

struct zf_group_kind;

/* The control groups' limit of memory; for zf_group_limit. */
extern const struct zf_group_kind zf_group_memory;

/* SIZE_MAX stands for "no limit" and for "cannot be told". */
struct zf_machine_memory {
    size_t available_bytes;    /* MemAvailable: without swapping */
    size_t cgroup_limit_bytes; /* of the group with the least left: this one or one above it */
    size_t cgroup_free_bytes;  /* what it has left, counting file cache that it can drop */
};

/* Read it below `root` ("" or "/" for this machine, or a captured tree). Never fails half: what
 * cannot be read is SIZE_MAX. -ENOMEM no memory for reading; otherwise the error of reading
 * <root>/proc/meminfo, with the control groups still filled in. */
int zf_machine_memory(const char *root, struct zf_machine_memory *memory);

/* Mappings that a range may take: itself with guards, a head, and what splits off. */
#define ZF_MAPPINGS_NEEDED 16u

/* How many more mappings this process may have, below `root`; SIZE_MAX when it cannot be told. */
size_t zf_machine_free_mappings(const char *root);

#endif
