/*
 * Sampling: ask every active source where it stands, and find what happened between two moments.
 */
#ifndef ZF_HOT_SAMPLE_H
#define ZF_HOT_SAMPLE_H

#include "hot/thread.h"

/* What an end found. */
struct zf_hot_finding {
    uint64_t counts[HOT_KIND_COUNT];
    uint64_t from; /* fault ring's heads around the section */
    uint64_t to;
    uint64_t duration_ns;
    uint32_t cpu_before;
    uint32_t cpu_after;
    uint64_t trapped; /* of counts[HOT_FAULT], told where they happened */
    size_t request_bytes;
    long call_number;           /* of the first system call, when there was one */
    uintptr_t call_instruction; /* that made it */
};

/* Ask the sources of this thread. The ring is asked last at a begin and first at an end. */
struct zf_hot_sample zf_hot_sample_begin(const struct zf_hot_thread *thread, bool timed);
struct zf_hot_sample zf_hot_sample_end(const struct zf_hot_thread *thread, bool timed);

/* What a section saw from its begin to `now`, less what was excluded, plus what was raised
 * inside. */
struct zf_hot_finding zf_hot_find(const struct zf_hot_thread *thread, uint32_t index,
                                  const struct zf_hot_sample *now);

/* Add what happened between two samples to what a section leaves out; what was before the
 * section's own begin does not count. */
void zf_hot_exclude(const struct zf_hot_thread *thread, struct zf_hot_tally *tally,
                    const struct zf_hot_sample *from, const struct zf_hot_sample *to);

/* Is the duration of this section wanted? */
static inline bool zf_hot_is_timed(const struct hot_section *section)
{
    return section->timed || section->budget_ns != 0;
}

#endif
