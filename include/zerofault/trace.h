/*
 * Tracing: every begin and end of a hot section, and every violation, handed to callbacks of the
 * program, in the shape in which timelines want them.
 *
 * While a tracer is set, all sections take the long way, and pay for a clock reading and the
 * callback at both ends; while none is, nothing is paid. examples/tracer forwards to a file that
 * Perfetto opens, and says how to forward to Tracy.
 */
#ifndef ZEROFAULT_TRACE_H
#define ZEROFAULT_TRACE_H

#include <zerofault/hot.h>

ZEROFAULT_BEGIN_DECLS

/* A section began or ended. Valid during the call. */
struct hot_trace_event {
    size_t struct_size;                /* of the library that fills it */
    const struct hot_section *section; /* its name lives as long as the section */
    uint64_t time_ns;                  /* CLOCK_MONOTONIC */
    uint32_t thread_id;                /* kernel's id of the thread */
    uint64_t violations;               /* of an end: found since the begin */
};

typedef void hot_trace_hook(const struct hot_trace_event *event, void *context);

/*
 * Who is told; each callback may be NULL. Begin and end come in pairs: an end is told to the
 * tracer that was told the begin, after the violations between them. They are called outside of
 * the section's own measurement but inside of the sections around it, on any thread, and from a
 * signal handler where sections are used in one. What they do with hot sections is not traced.
 */
struct hot_tracer {
    size_t struct_size; /* filled by HOT_TRACER */
    hot_trace_hook *begin;
    hot_trace_hook *end;
    hot_hook *violation; /* of any kind and policy but HOT_IGNORE, with no limit on the rate */
    void *context;       /* handed to all three */
};
#define HOT_TRACER(...)                                                                            \
    {                                                                                              \
        .struct_size = sizeof(struct hot_tracer), __VA_ARGS__                                      \
    }

/**
 * Set the tracer of the process, or with NULL take it back.
 *
 * The tracer is used where it is and must stay: sections that are open now still end with the one
 * that saw them begin. Make it static. A tracer without callbacks is of use too: while it is set,
 * the library's own probes see every section (zerofault/probes.h).
 *
 * Returns  0; -EINVAL the size of `tracer` is unknown; -E2BIG it has a non-zero tail that this
 *          version does not know
 * Latency  warm: O(threads), takes a lock that begin and end never take
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API int hot_trace(const struct hot_tracer *tracer);

ZEROFAULT_END_DECLS

#endif
