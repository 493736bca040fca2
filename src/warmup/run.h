/*
 * One warmup under way: what its steps share. Private to this part.
 */
#ifndef ZF_WARMUP_RUN_H
#define ZF_WARMUP_RUN_H

#include "os/helper.h"
#include "os/os.h"
#include "warmup/warmup.h"

struct zf_warmup_run {
    const char *root; /* where limits are read */
    struct zf_region *region;
    const struct zf_warmup_wishes *wishes;
    const struct warmup_options *options;
    struct warmup_report *report;
    struct zf_os_residency residency; /* last known */
    int residency_error;              /* of the last question: 0 or -errno */
    bool populate_fails;              /* here, so that a proof has to touch */
    size_t populated_probe_bytes;     /* that a proof populates; what is behind, it touches */
    bool locked_ahead;                /* pages were locked as they came */
    bool was_empty;                   /* no page was there before this warmup */
    bool huge_switched_off;           /* transparent huge pages, for this process */
    bool nodes_known;                 /* the system tells of nodes */
    bool confined;                    /* to some of the nodes with memory */
    bool accessible;                  /* the region may be written to; of a look */
    bool pools_hopeful;               /* a pool of reserved huge pages may serve the region */
    bool pool_hopeful[ZF_OS_POOLS_COUNT];
    bool pool_anywhere;               /* its pages are being taken from any node */
    bool cancelled;                   /* the callback said stop between two looks */
    bool may_touch;                   /* a page that seems absent may be touched to make sure */
    struct zf_node_set usable;        /* nodes with memory that this process may use */
    int only_node;                    /* that has all of the machine's memory; -1 several have */
    size_t in_place_bytes;            /* resident where they belong, at the last count */
    int counting_error;               /* of zf_warmup_check_counting */
    size_t chunk_bytes;               /* whole pages, whole huge pages where those are wished */
    size_t threads;                   /* that a step may use; not 0 */
    struct zf_cpu_set cpus;           /* where they run */
    struct zf_os_counters of_helpers; /* what threads other than the calling one took */
    enum warmup_phase phase;          /* the one that runs */
    uint64_t phase_start_ns;
};

/* Work on one chunk; 0 or -errno. With more than one thread, several run at a time. */
typedef int zf_warmup_step(struct zf_warmup_run *run, void *base, size_t size_bytes);

/* Do the first `size_bytes` of the region chunk by chunk with so many threads, telling the caller's
 * callback. Returns the error of the first chunk that has one, or -ECANCELED; the report's
 * `done_bytes` says how far all is done. */
int zf_warmup_chunks(struct zf_warmup_run *run, size_t size_bytes, zf_warmup_step *step,
                     size_t threads);

/* Choose the number of threads and their CPUs, for a region whose placement is settled. */
void zf_warmup_choose_threads(struct zf_warmup_run *run);

/* Ask the system where the region stands, into run->residency. An error leaves what was known. */
int zf_warmup_residency(struct zf_warmup_run *run);

/* Ask how much of it is locked. run->residency tells what is there. */
int zf_warmup_locked_bytes(const struct zf_warmup_run *run, size_t *locked_bytes);

/* The steps. Each returns 0 or the -errno that the whole warmup fails with. */
int zf_warmup_preflight(struct zf_warmup_run *run);
int zf_warmup_populate(struct zf_warmup_run *run);
int zf_warmup_collapse(struct zf_warmup_run *run);
int zf_warmup_lock(struct zf_warmup_run *run);
int zf_warmup_freeze(struct zf_warmup_run *run);
int zf_warmup_prove(struct zf_warmup_run *run);

/* Find out which nodes there are. */
void zf_warmup_learn_nodes(struct zf_warmup_run *run);

/* Populate by the first method that works, at most by `last`. Fills in the report's `method` and
 * `fallback_error`; returns 0 or -errno. */
int zf_warmup_populate_pages(struct zf_warmup_run *run, enum warmup_method last);

/* What a warmup with small or transparent pages needs: memory, room on the nodes, locks. 0, or
 * what the warmup fails with. */
int zf_warmup_check_small(struct zf_warmup_run *run);

/* Ask the pools of reserved huge pages that are wished, before anything is taken from them, and
 * note which may serve. 0, or the refusal of one that is required. */
int zf_warmup_judge_pools(struct zf_warmup_run *run);

/* Back the region by the first pool that serves: raised where that is asked for, populated apart,
 * put in place. 0, with run->region->pool_page_bytes telling the outcome, or what the warmup fails
 * with. */
int zf_warmup_try_pools(struct zf_warmup_run *run);

/* Populate what a region of reserved pages has lost. As zf_warmup_populate. */
int zf_warmup_refill_pool(struct zf_warmup_run *run);

/* May each page be written to, to see whether it faults? Not where that could end in SIGBUS. */
bool zf_warmup_pool_may_be_touched(struct zf_warmup_run *run);

/* Fill in the wishes for reserved pages as asked, and as granted at the end. */
void zf_warmup_ask_pools(struct zf_warmup_run *run);
void zf_warmup_tell_pools(struct zf_warmup_run *run);

/* Fill in the sizes of the pages. */
void zf_warmup_tell_sizes(struct zf_warmup_run *run);

/* Fill in the items that are settled as the region is made, or made anew. */
void zf_warmup_tell_settled(struct zf_warmup_run *run);

/* The report's part about a pool. */
struct warmup_hugetlb *zf_warmup_pool_of(struct warmup_report *report, int pool);

/* Settle which nodes there are and, the first time, which one "local" is. 0, or the refusal of the
 * policy for it. */
int zf_warmup_settle_home(struct zf_warmup_run *run);

/* Bytes that warming up will take: what is not there, and what has to be copied. */
size_t zf_warmup_missing_bytes(const struct zf_warmup_run *run);

/* Is there room for them, so that nobody is ended for want of it? 0 or -ENOMEM. */
int zf_warmup_check_room(struct zf_warmup_run *run);

/* May the region still be written to, or did somebody protect or unmap it? 0; -EACCES; -ENXIO. */
int zf_warmup_check_writable(struct zf_warmup_run *run);

/* Refuse a required placement on a node that has too little. 0 or -ENOMEM. */
int zf_warmup_check_nodes(struct zf_warmup_run *run);

/* Count the pages per node into the report, and run->in_place_bytes, by the last known residency.
 * 0, or -errno when the system does not tell; -ECANCELED none are counted. */
int zf_warmup_count_nodes(struct zf_warmup_run *run);

/* Count, move what is misplaced, count again; give up on a required placement that does not hold.
 * 0, or what the warmup fails with. */
int zf_warmup_place(struct zf_warmup_run *run);

/* Write to every page and count what still faulted into report->proof_faults. 0; -EFAULT some did,
 * or are not present; -EOPNOTSUPP or another refusal of populate. */
int zf_warmup_probe(struct zf_warmup_run *run);

/* Set up a run and what its report says before anything was tried. */
void zf_warmup_begin(struct zf_warmup_run *run, const char *root, struct zf_region *region,
                     const struct zf_warmup_wishes *wishes, const struct warmup_options *options,
                     struct warmup_report *report);

/* Whether this system counts a thread's faults, tried by one. 0; -EOPNOTSUPP it does not; -ENOMEM
 * no page to try with. */
int zf_warmup_check_counting(size_t page_bytes);

/* Dirty each page without changing it. */
void zf_warmup_touch(void *base, size_t size_bytes, size_t page_bytes);

/* One sentence for a refusal, by errno. */
const char *zf_warmup_remedy_populate(int error, enum warmup_limit limit);
const char *zf_warmup_remedy_bind(int error, enum warmup_limit limit);
const char *zf_warmup_remedy_huge(int error, bool switched_off);
const char *zf_warmup_remedy_pool(const struct warmup_hugetlb *hugetlb);
const char *zf_warmup_remedy_lock(int error);
const char *zf_warmup_remedy_fork(int error);
const char *zf_warmup_remedy_threads(int error);

#endif
