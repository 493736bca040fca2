/*
 * A region: one reserved range of addresses, its pages' size, policy and whether they are locked.
 *
 * Created cold: nothing is resident, but whatever must be settled before the first touch (policy,
 * fork advice, huge pages) is settled. Warming it up is the warmup part's work.
 */
#ifndef ZF_REGION_REGION_H
#define ZF_REGION_REGION_H

#include <stdbool.h>
#include <stddef.h>

#include <zerofault/wish.h>

#include "machine/hugetlb.h"
#include "region/placement.h"

/* How a region is made; wishes are settled, none is WARMUP_DEFAULT. */
struct zf_region_options {
    size_t size_bytes;                    /* rounded up to whole pages; not 0 */
    size_t alignment_bytes;               /* of the base, and of stripes; power of two, or 0 */
    int node;                             /* -1 local */
    const struct zf_placement *placement; /* instead of `node`; or NULL */
    enum warmup_wish bind;
    enum warmup_wish huge_pages;
    enum warmup_fork fork;
    const char *name;   /* for the system's tools; copied there */
    bool pool_anywhere; /* reserved pages: the nodes are preferred, not insisted on */
};

/* What the last warmup that came to its end found, for telling drift. */
struct zf_region_granted {
    size_t huge_bytes;
    size_t misplaced_bytes;
};

struct zf_region {
    void *base;
    size_t size_bytes; /* whole pages */
    size_t page_bytes;
    size_t huge_page_bytes; /* 0 when the system has none */
    bool huge_wished;       /* huge pages were advised before the first touch */
    bool locked;            /* the last warmup locked all of it */
    bool named;             /* a name was asked for */
    struct zf_region_granted granted;
    bool bound; /* to the nodes of its placement alone, not merely preferring them */
    struct zf_placement placement; /* where its pages belong */
    size_t stripe_bytes;           /* unit of weights: whole pages, as huge as wished */
    int bind_error;                /* 0 or -errno, of each wish that was tried at creation */
    int fork_error;
    bool fork_shares; /* children of fork have the same pages until somebody writes */
    int name_error;
    int huge_error;
    size_t pool_page_bytes;   /* of the reserved huge pages that back it; 0: none do */
    int pool_errors[2];       /* why not: 0 or -errno, of ZF_OS_POOL_1G and _2M */
    bool pool_anywhere;       /* reserved pages were taken from other nodes, and stay there */
    bool pools_passed;        /* a warmup came to its end without them, or with them: it stays so */
    uint64_t forks_undergone; /* by this process when it was created; another one has a copy */
    struct zf_hugetlb_raised raised; /* pages that were added to pools for it */
};

/* Reserve, commit and settle a region. A refused wish is recorded in the region, preferred or
 * required; the warmup reports or fails. -EINVAL the size does not fit an address space; -ENOMEM
 * no address space, commit limit, or too many ranges; -ENODEV the node does not exist. */
int zf_region_create(struct zf_region *region, const struct zf_region_options *options);

/* Give the memory back. A region that was never created, all zeros, is ignored. */
void zf_region_destroy(struct zf_region *region);

/* Bytes at the start of the region that huge pages can back: whole huge pages. */
size_t zf_region_huge_part_bytes(const struct zf_region *region);

/* The size of the pages that it consists of, as far as all of it is of one size for sure. */
size_t zf_region_unit_bytes(const struct zf_region *region);

/* Settle policy, page size, fork advice and name again, for fresh small pages in its place. Returns
 * 0 or the error of renewing. */
int zf_region_renew(struct zf_region *region, const struct zf_region_options *options);

/* What holds of every created region; for assertions. */
bool zf_region_is_valid(const struct zf_region *region);

#endif
