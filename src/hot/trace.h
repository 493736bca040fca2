/*
 * What the long way of begin and end tells tracers: the callbacks of the process and the static
 * probes.
 */
#ifndef ZF_HOT_TRACE_H
#define ZF_HOT_TRACE_H

#include <zerofault/probes.h>
#include <zerofault/trace.h>

#include "hot/thread.h"

/* The tracer of the process, or NULL. */
extern const struct hot_tracer *zf_hot_tracer;

/* Counted up by tools while they are attached to the violation probe. */
extern volatile unsigned short zf_hot_violation_semaphore;

static inline bool zf_hot_is_traced(void)
{
    return ZEROFAULT_UNLIKELY(__atomic_load_n(&zf_hot_tracer, __ATOMIC_SEQ_CST) != NULL);
}

/* Does anybody want to know of violations that the section's own policy only counts? */
static inline bool zf_hot_is_observed(void)
{
    return zf_hot_is_traced() || zf_hot_violation_semaphore != 0;
}

/* Tell of a begin, before the section samples its sources. */
void zf_hot_trace_begin(struct zf_hot_thread *thread, const struct hot_section *section,
                        struct zf_hot_tally *tally);

/* Tell of an end that is about to be delivered, or was; `time_ns` is when it was sampled. */
void zf_hot_trace_end(struct zf_hot_thread *thread, struct zf_hot_tally *tally, uint64_t time_ns,
                      uint64_t violations);

/* Tell of one violation. `thread` is NULL where there is no guard. */
void zf_hot_trace_violation(struct zf_hot_thread *thread, const struct hot_violation *violation);

#endif
