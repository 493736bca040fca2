/*
 * One warmup under way: what its steps share. Private to this part.
 */
#ifndef ZF_WARMUP_RUN_H
#define ZF_WARMUP_RUN_H

#include "os/os.h"
#include "warmup/warmup.h"

struct zf_warmup_run {
    const char *root; /* where limits are read */
    struct zf_region *region;
    const struct zf_warmup_wishes *wishes;
    const struct warmup_options *options;
    struct warmup_report *report;
    struct zf_os_residency residency; /* last known */
    bool probe_by_touch;              /* the proof touches instead of populating */
    int counting_error;               /* of zf_warmup_check_counting */
    size_t chunk_bytes;               /* whole pages, whole huge pages where those are wished */
    enum warmup_phase phase;          /* the one that runs */
    uint64_t phase_start_ns;
};

/* Work on one chunk; 0 or -errno. */
typedef int zf_warmup_step(struct zf_warmup_run *run, void *base, size_t size_bytes);

/* Do the first `size_bytes` of the region chunk by chunk, telling the caller's callback. Stops at
 * the first error; -ECANCELED when the callback says so. */
int zf_warmup_chunks(struct zf_warmup_run *run, size_t size_bytes, zf_warmup_step *step);

/* Ask the system where the region stands, into run->residency. An error leaves what was known. */
int zf_warmup_residency(struct zf_warmup_run *run);

/* The steps. Each returns 0 or the -errno that the whole warmup fails with. */
int zf_warmup_preflight(struct zf_warmup_run *run);
int zf_warmup_populate(struct zf_warmup_run *run);
int zf_warmup_collapse(struct zf_warmup_run *run);
int zf_warmup_lock(struct zf_warmup_run *run);
int zf_warmup_freeze(struct zf_warmup_run *run);
int zf_warmup_prove(struct zf_warmup_run *run);

/* Whether this system counts a thread's faults, tried by one. 0; -EOPNOTSUPP it does not; -ENOMEM
 * no page to try with. */
int zf_warmup_check_counting(size_t page_bytes);

/* Dirty each page without changing it. */
void zf_warmup_touch(void *base, size_t size_bytes, size_t page_bytes);

/* One sentence for a refusal, by errno. */
const char *zf_warmup_remedy_populate(int error, enum warmup_limit limit);
const char *zf_warmup_remedy_bind(int error);
const char *zf_warmup_remedy_huge(int error);
const char *zf_warmup_remedy_lock(int error);
const char *zf_warmup_remedy_fork(int error);

#endif
