/*
 * Pauses: a stretch in which nothing counts for the sections that are open on this thread.
 *
 * A pause does not stop the sources. It samples them at both ends, and what lies between is taken
 * away from every section that is still open, no further back than the section's own begin. The
 * stretch of the ring is remembered, so that the end tells only records outside of it.
 */
#include <zerofault/hot.h>

#include "hot/sample.h"
#include "hot/section.h"
#include "hot/syscalls.h"
#include "hot/table.h"

static void force_open_sections(struct zf_hot_thread *thread)
{
    for (uint32_t index = 1; index < zf_hot_table_end(); ++index)
        if (zf_hot_is_open(thread, index))
            zf_hot_force(thread, index)->forced_in_pause = false;
}

void hot_pause_begin(void)
{
    struct zf_hot_thread *thread = zf_hot_thread_self();
    if (thread == NULL)
        return;
    if (thread->pause_depth == 0) {
        zf_hot_calls_hold(thread);
        thread->pause_begin = zf_hot_sample_end(thread, true);
        force_open_sections(thread); /* so that those opened inside can be told from them */
        zf_hot_calls_pause(thread);
    }
    ++thread->pause_depth;
}

/* The ring may hold more pauses than we tell apart; the last one then grows to cover what lies
 * between. */
static void remember(struct zf_hot_thread *thread, uint64_t from, uint64_t to)
{
    if (from == to)
        return;
    if (thread->pause_count == ZF_HOT_PAUSES) {
        thread->pauses[ZF_HOT_PAUSES - 1].to = to;
        return;
    }
    thread->pauses[thread->pause_count].from = from;
    thread->pauses[thread->pause_count].to = to;
    ++thread->pause_count;
}

void hot_pause_end(void)
{
    struct zf_hot_thread *thread = zf_hot_thread_self();
    struct zf_hot_sample now;
    if (thread == NULL || thread->pause_depth == 0 || --thread->pause_depth > 0)
        return;
    zf_hot_calls_hold(thread);
    force_open_sections(thread);
    now = zf_hot_sample_begin(thread, true);
    remember(thread, thread->pause_begin.head, now.head);
    for (uint32_t index = 1; index < zf_hot_table_end(); ++index)
        if (zf_hot_is_open(thread, index))
            zf_hot_exclude(thread, &thread->tallies[index], &thread->pause_begin, &now);
    zf_hot_calls_resume(thread);
    zf_hot_calls_go_on(thread);
}
