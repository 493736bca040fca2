/*
 * Pauses: a stretch in which nothing counts for the sections that are open on this thread.
 *
 * A pause does not stop the sources. It samples them at both ends, and what lies between is taken
 * away from every section that was open before and still is. The stretch of the ring is remembered,
 * so that the end tells only records outside of it.
 */
#include "hot/pause.h"

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

uint64_t zf_hot_oldest_head(const struct zf_hot_thread *thread)
{
    uint64_t oldest = zf_hot_has_ring(thread) ? *thread->ring.head : 0;
    for (uint32_t index = 1; index < zf_hot_table_end(); ++index)
        if (zf_hot_is_open(thread, index) && zf_hot_begin_head(thread, index) < oldest)
            oldest = zf_hot_begin_head(thread, index);
    return oldest;
}

/* Not of sections that were opened inside the pause under way, and count. */
void zf_hot_leave_out(struct zf_hot_thread *thread, const struct zf_hot_sample *from,
                      const struct zf_hot_sample *to)
{
    zf_hot_stretches_add(&thread->pauses, from->head, to->head, zf_hot_oldest_head(thread));
    for (uint32_t index = 1; index < zf_hot_table_end(); ++index)
        if (zf_hot_is_open(thread, index) &&
            (thread->pause_depth == 0 || !zf_hot_is_counting(thread, index)))
            zf_hot_exclude(thread, zf_hot_force(thread, index), from, to);
}

void hot_pause_begin_slow(void)
{
    struct zf_hot_thread *thread = zf_hot_thread_self();
    if (thread == NULL)
        return;
    if (thread->pause_depth == 0) {
        struct zf_hot_held held = zf_hot_hold(thread);
        thread->pause_begin = zf_hot_sample_end(thread, true);
        force_open_sections(thread); /* so that those opened inside can be told from them */
        zf_hot_calls_pause(thread);
        zf_hot_go_on(thread, held);
    }
    ++thread->pause_depth;
}

void hot_pause_end_slow(void)
{
    struct zf_hot_thread *thread = zf_hot_thread_self();
    struct zf_hot_sample now;
    struct zf_hot_held held;
    if (thread == NULL || thread->pause_depth == 0)
        return;
    if (thread->pause_depth > 1) {
        --thread->pause_depth;
        return;
    }
    held = zf_hot_hold(thread);
    now = zf_hot_sample_begin(thread, true);
    zf_hot_leave_out(thread, &thread->pause_begin, &now);
    thread->pause_depth = 0;
    zf_hot_calls_resume(thread);
    zf_hot_go_on(thread, held);
}
