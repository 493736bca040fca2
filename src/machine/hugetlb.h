/*
 * The pools of reserved huge pages (hugetlb): what they have, whether a range fits, and raising
 * them.
 *
 * The audit of a plan and the preflight of a warmup both ask zf_hugetlb_room, so they agree.
 */
#ifndef ZF_MACHINE_HUGETLB_H
#define ZF_MACHINE_HUGETLB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/node_set.h"
#include "machine/groups.h"

/* Nodes whose pools can be asked, or raised, at a time. */
#define ZF_HUGETLB_NODES_MAX 64

/* A pool of one page size, of a node or of the machine; counts of pages. */
struct zf_hugetlb_pool {
    size_t total;
    size_t free;
    size_t surplus; /* of the total, made on demand beyond what was set */
    /* Of the machine alone: */
    size_t reserved;   /* of the free ones, promised to mappings */
    size_t overcommit; /* as many surplus pages may be made */
};

/* Read the pool of a node, -1 for that of the machine. -EOPNOTSUPP there is no such pool. */
int zf_hugetlb_pool(const char *root, int node, size_t page_bytes, struct zf_hugetlb_pool *pool);

/* Pages on a node. */
struct zf_hugetlb_share {
    uint16_t node;
    size_t pages;
};

/* What a range needs: on each of some nodes its share, or with `any` the total on all together.
 * Without shares, on the machine. */
struct zf_hugetlb_need {
    size_t page_bytes;
    size_t pages; /* in all */
    bool any;
    size_t shares_count;
    struct zf_hugetlb_share shares[ZF_HUGETLB_NODES_MAX];
};

/* What stands against it. */
enum zf_hugetlb_verdict {
    ZF_HUGETLB_FITS = 0,
    ZF_HUGETLB_ABSENT, /* no pages of this size here */
    ZF_HUGETLB_POOL,   /* too few free pages, on the node or on the machine */
    ZF_HUGETLB_GROUP   /* the limit of a control group */
};

/* The answer, with the numbers that decided it. */
struct zf_hugetlb_room {
    enum zf_hugetlb_verdict verdict;
    int node;      /* whose pool is too small, or the only one asked; -1 several */
    size_t needed; /* pages, there */
    size_t room;   /* pages to be had there: free, not promised, surplus that may be made */
    size_t made;   /* of those, surplus that would have to be made */
    struct zf_hugetlb_pool pool; /* there; of the machine's counts, always the machine's */
    struct zf_group_limit group; /* the tightest limit, whatever the verdict */
    size_t missing;              /* pages that the pools lack in all; 0 but for POOL */
};

/* Does it fit now, for the process whose folder of /proc below `root` is `process`? */
void zf_hugetlb_room(const char *root, const char *process, const struct zf_hugetlb_need *need,
                     struct zf_hugetlb_room *room);

/* The tightest limit of the process's control groups for one page size: on use, or on reservation.
 * As zf_group_limit. */
int zf_hugetlb_group_limit(const char *root, const char *process, size_t page_bytes, bool reserved,
                           struct zf_group_limit *limit);

/* Pages that were added to pools, to be taken away again. All zeros: none. */
struct zf_hugetlb_raised {
    size_t page_bytes;
    uint64_t forks_undergone; /* by whom: a child of fork does not give back */
    bool whole;               /* the machine's pool, of a system without nodes */
    size_t shares_count;
    struct zf_hugetlb_share shares[ZF_HUGETLB_NODES_MAX + 1];
};

/* Add the pages that a need lacks to the pools, on the nodes that lack them. All or nothing: what
 * was added is taken away again when it is not enough. -ENOMEM the system found no memory for them;
 * -EACCES, -EPERM, -EROFS not allowed; -EOPNOTSUPP no such pool. */
int zf_hugetlb_raise(const char *root, const struct zf_hugetlb_need *need,
                     struct zf_hugetlb_raised *raised);

/* Take away what was added, and forget it. Pages that somebody uses by then leave the pool when
 * they are free. */
void zf_hugetlb_give_back(const char *root, struct zf_hugetlb_raised *raised);

/* Pages that move to another node may take their place in the pools along. Count the pools before,
 * and after the move let what was added follow. */
struct zf_hugetlb_totals {
    size_t pages[ZF_HUGETLB_NODES_MAX + 1]; /* by share */
};
void zf_hugetlb_count(const char *root, const struct zf_hugetlb_raised *raised,
                      struct zf_hugetlb_totals *before);
void zf_hugetlb_follow(const char *root, struct zf_hugetlb_raised *raised,
                       const struct zf_hugetlb_totals *before, int node);

/* Pages added in all. */
size_t zf_hugetlb_raised_pages(const struct zf_hugetlb_raised *raised);

/* The sizes of transparent huge pages that the kernel gives to who advises them, as the sum of
 * these powers of two; 0 when there are none, or it does not tell. */
uint64_t zf_transparent_sizes(const char *root);

#endif
