/*
 * The tracer of the process; see trace.h.
 *
 * Which tracer was told of a begin stays with the open section, and the end goes to the same one,
 * so that every tracer sees pairs. A callback may use hot sections itself: they are not traced,
 * or it would never return. The guard's own self-test is nobody's business but the guard's.
 */
#include "hot/trace.h"

#include <errno.h>

#include "base/options.h"
#include "hot/self_test.h"
#include "hot/table.h"

const struct hot_tracer *zf_hot_tracer;

__attribute__((section(".probes"))) volatile unsigned short zf_hot_violation_semaphore;

/* A callback may have detached the thread, or forked. */
static bool is_still(const struct zf_hot_thread *thread)
{
    return zf_hot_thread_self() == thread;
}

static void tell(struct zf_hot_thread *thread, hot_trace_hook *hook, void *context,
                 struct hot_trace_event *event)
{
    ZF_ASSERT(!thread->tracing);
    if (hook == NULL)
        return;
    event->struct_size = sizeof *event;
    event->thread_id = thread->thread_id;
    thread->tracing = true;
    hook(event, context);
    if (is_still(thread))
        thread->tracing = false;
}

void zf_hot_trace_begin(struct zf_hot_thread *thread, const struct hot_section *section,
                        struct zf_hot_tally *tally)
{
    const struct hot_tracer *tracer = __atomic_load_n(&zf_hot_tracer, __ATOMIC_ACQUIRE);
    struct hot_trace_event event = {.section = section, .time_ns = zf_os_clock_ns()};
    if (tally->tracer != NULL) /* a section that is begun within itself starts anew */
        zf_hot_trace_end(thread, tally, event.time_ns, 0);
    if (tracer == NULL || !is_still(thread) || thread->tracing || section == &zf_hot_self_test)
        return;
    tally->tracer = tracer;
    tell(thread, tracer->begin, tracer->context, &event);
}

void zf_hot_trace_end(struct zf_hot_thread *thread, struct zf_hot_tally *tally, uint64_t time_ns,
                      uint64_t violations)
{
    const struct hot_tracer *tracer = tally->tracer;
    struct hot_trace_event event = {
        .section = tally->section, .time_ns = time_ns, .violations = violations};
    ZF_ASSERT(tracer != NULL);
    tally->tracer = NULL;
    if (!thread->tracing)
        tell(thread, tracer->end, tracer->context, &event);
}

void zf_hot_trace_violation(struct zf_hot_thread *thread, const struct hot_violation *violation)
{
    const struct hot_tracer *tracer = __atomic_load_n(&zf_hot_tracer, __ATOMIC_ACQUIRE);
    if (violation->section == &zf_hot_self_test || (thread != NULL && thread->tracing))
        return;
    ZEROFAULT_PROBE6(violation, zf_hot_violation_semaphore, violation->section->name,
                     violation->kind, violation->address, violation->instruction, violation->count,
                     hot_kind_name(violation->kind));
    if (tracer == NULL || tracer->violation == NULL)
        return;
    if (thread != NULL)
        thread->tracing = true;
    tracer->violation(violation, tracer->context);
    if (thread != NULL && is_still(thread))
        thread->tracing = false;
}

int hot_trace(const struct hot_tracer *tracer)
{
    struct hot_tracer known;
    int error = zf_options_take(&known, sizeof known, tracer);
    if (error != 0)
        return error;
    /* It is used in place, so it has to have all that is used. */
    if (tracer != NULL && tracer->struct_size < sizeof known)
        return -EINVAL;
    __atomic_store_n(&zf_hot_tracer, tracer, __ATOMIC_SEQ_CST);
    if (tracer != NULL)
        zf_hot_table_hide();
    return 0;
}
