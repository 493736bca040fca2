/*
 * The control groups of a process, and the tightest limit among them.
 */
#ifndef ZF_MACHINE_GROUPS_H
#define ZF_MACHINE_GROUPS_H

#include <stdbool.h>
#include <stddef.h>

#include "machine/files.h"

/* A limit by the names of its files in both generations; NULL where a generation has none. */
struct zf_group_kind {
    const char *controller;   /* first generation: whose hierarchy */
    const char *limit_one;    /* first generation: file with the limit */
    const char *usage_one;    /* file with what is used of it, or NULL */
    const char *limit_two;    /* second generation */
    const char *usage_two;    /* likewise */
    bool clean_cache_is_free; /* usage counts file cache, which the kernel drops first */
};

/* The tightest limit; SIZE_MAX for both sizes when there is none. */
struct zf_group_limit {
    size_t limit_bytes;
    size_t free_bytes;        /* under it; limit_bytes when no use is counted */
    char file[ZF_PATH_BYTES]; /* the limit's file, as a path below the root; "" when none */
};

/* Find the tightest limit for the process whose folder of /proc is `process` ("/proc/self"): its
 * group and those above it count. A limit that cannot be read is none. Returns 0, or the error of
 * reading which groups there are; there is no limit then. */
int zf_group_limit(const char *root, const char *process, const struct zf_group_kind *kind,
                   struct zf_group_limit *limit);

#endif
