/*
 * What the rest of the guard may do to a section that is open on a thread.
 */
#ifndef ZF_HOT_SECTION_H
#define ZF_HOT_SECTION_H

#include <stdint.h>

#include "hot/thread.h"

/* Does what happens now count for this section? Not when it was open before the pause under way.
 */
static inline bool zf_hot_is_counting(const struct zf_hot_thread *thread, uint32_t index)
{
    uint64_t head = zf_hot_slot(thread, index)->head;
    if (head == HOT_SLOT_CLOSED)
        return false;
    return thread->pause_depth == 0 || head != ZF_HOT_HEAD_FORCED ||
           thread->tallies[index].forced_in_pause;
}

/* Send the end of an open section the long way, where pending violations and exclusions are
 * looked at. */
struct zf_hot_tally *zf_hot_force(struct zf_hot_thread *thread, uint32_t index);

/* Note a violation inside an open section; its end will find it. */
void zf_hot_raise(struct zf_hot_thread *thread, uint32_t index, enum hot_kind kind);

/* Close a section whose end will never come: what it found, and one misuse. */
void zf_hot_abandon(struct zf_hot_thread *thread, uint32_t index);

/* Of a thread that attaches: begins while the guards were off are past. */
void zf_hot_forget_missed(void);

#endif
