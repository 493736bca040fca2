/*
 * Warm up one region: from cold to proven, or to a report that says why not.
 */
#ifndef ZF_WARMUP_WARMUP_H
#define ZF_WARMUP_WARMUP_H

#include <zerofault/warmup.h>

#include "os/os.h"
#include "region/region.h"

/* What is wished for a region; settled, none is WARMUP_DEFAULT. */
struct zf_warmup_wishes {
    enum warmup_wish bind;
    enum warmup_wish huge_pages;
    enum warmup_wish hugetlb[ZF_OS_POOLS_COUNT];
    bool raise_pools;
    enum warmup_wish lock;
    enum warmup_fork fork;
    const char *name; /* of the region, for the static probes; or NULL */
    int node;         /* -1 local, or several */
    enum arena_placement placement;
    bool forked; /* since the last warmup, so that other processes may have its pages too */
    bool beside; /* another region, whose limits were checked a moment ago; this one is small */
};

/* Make every page of the region resident, lock and freeze it as wished, and prove it. Fills all of
 * the report but the name, its `result` being what is returned; content is kept. `options` may
 * state any chunk size. Returns 0 or what arena_warmup documents. */
int zf_warmup_region(struct zf_region *region, const struct zf_warmup_wishes *wishes,
                     const struct warmup_options *options, struct warmup_report *report);

/* The same, with the machine's limits read below `root`. */
int zf_warmup_region_at(const char *root, struct zf_region *region,
                        const struct zf_warmup_wishes *wishes, const struct warmup_options *options,
                        struct warmup_report *report);

/* Compare the region with what its last warmup granted. Changes nothing but, when `exact`, by
 * writing to every page, and then mends what it finds. Returns 0, or -EFAULT when anything has
 * drifted; the items of the report tell what. */
int zf_warmup_verify_region(struct zf_region *region, const struct zf_warmup_wishes *wishes,
                            bool exact, struct warmup_report *report);

#endif
