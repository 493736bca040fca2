/*
 * Counted and timed sections; see brief.h. Which sections go this way is decided in section.c, as
 * with the inline way, and hiding a slot takes this way back too. It leaves the section open just
 * as the long way would, so a pause, a refusal or an end that is not clean need not know.
 */
#include "hot/brief.h"

#include <zerofault/probes.h>

#include "hot/sample.h"

/* The tally of a section that goes this way on the calling thread, or NULL. A wiped guard, in a
 * child of fork, has none. */
static struct zf_hot_tally *find_tally(const struct hot_section *section)
{
    struct zf_hot_thread *thread = zf_hot_self;
    struct zf_hot_tally *tally;
    if (ZEROFAULT_UNLIKELY(thread == NULL))
        return NULL;
    tally = &thread->tallies[hot_slot_bytes(section) / sizeof(struct hot_slot)];
    return __atomic_load_n(&tally->brief, __ATOMIC_RELAXED) == section ? tally : NULL;
}

bool zf_hot_brief_begin(struct hot_section *section)
{
    struct zf_hot_tally *tally = find_tally(section);
    struct hot_slot *slot;
    if (tally == NULL)
        return false;
    slot = (struct hot_slot *)(void *)(hot_thread_table + hot_slot_bytes(section));
    if (section->counted)
        __atomic_store_n(&slot->entries, slot->entries + 1, __ATOMIC_RELAXED);
    ZEROFAULT_PROBE1(section_begin, section->name);
    if (zf_hot_is_timed(section)) {
        slot->head = ZF_HOT_HEAD_LONG;
        tally->begin.ticks = zf_os_ticks();
        tally->begin.head = hot_ring_head(hot_thread_table);
    } else {
        slot->head = hot_ring_head(hot_thread_table); /* the inline end can see to it */
    }
    ZEROFAULT_COMPILER_FENCE();
    return true;
}

/* Keep a duration, and put the one before it into the histogram. A bucket that depends on the
 * clock's latest reading would hold up every later load until that reading is there: 6 ns, against
 * nothing for a bucket that is known already. */
static void keep_duration(struct zf_hot_tally *tally, uint64_t ticks)
{
    uint64_t earlier = tally->latest;
    __atomic_store_n(&tally->latest, ticks + 1, __ATOMIC_RELAXED);
    ZEROFAULT_COMPILER_FENCE(); /* a reader takes the histogram first: it counts none twice */
    if (tally->durations != NULL && earlier != 0)
        hot_histogram_record(tally->durations, zf_os_ticks_to_ns(earlier - 1));
}

bool zf_hot_brief_end(struct hot_section *section)
{
    struct zf_hot_tally *tally = find_tally(section);
    struct hot_slot *slot;
    uint64_t ticks;
    if (tally == NULL)
        return false;
    ZEROFAULT_COMPILER_FENCE();
    slot = (struct hot_slot *)(void *)(hot_thread_table + hot_slot_bytes(section));
    if (slot->head != ZF_HOT_HEAD_LONG || tally->begin.head != hot_ring_head(hot_thread_table))
        return false;
    ticks = zf_os_ticks() - tally->begin.ticks;
    if (section->budget_ns != 0 && zf_os_ticks_to_ns(ticks) > section->budget_ns)
        return false;
    ZEROFAULT_PROBE2(section_end, section->name, 0);
    if (section->timed)
        keep_duration(tally, ticks);
    slot->head = HOT_SLOT_CLOSED;
    return true;
}
