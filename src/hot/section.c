/*
 * The long way of begin and end: everything that is not "the ring's head has not moved".
 *
 * A section is open on a thread exactly while its slot's head is not HOT_SLOT_CLOSED. A slot
 * carries its section only where the ring is all there is to compare; with any other source,
 * watch or time, begin and end come here every time. The first thing an end does is to sample its
 * sources, the last thing a begin does likewise: what the guard itself costs or faults is outside
 * of the section that it measures.
 */
#include "hot/section.h"

#include <errno.h>
#include <string.h>

#include "base/options.h"
#include "hot/brief.h"
#include "hot/deliver.h"
#include "hot/durations.h"
#include "hot/pause.h"
#include "hot/sample.h"
#include "hot/self_test.h"
#include "hot/syscalls.h"
#include "hot/table.h"
#include "hot/trace.h"

/* Watches that begin and end need not ask about. */
#define PASSIVE_WATCHES (HOT_WATCH_KERNEL_FAULTS | HOT_WATCH_CALL_CHAINS | HOT_WATCH_TRAPS)

/* Of this thread, while the guards were switched off: as many ends have nothing to close. */
static ZEROFAULT_THREAD_LOCAL uint32_t begins_missed;

void zf_hot_forget_missed(void)
{
    begins_missed = 0;
}

/* Switched off, a guard can still be tested. */
static bool is_on(const struct hot_section *section)
{
    return zf_hot_table_is_on() || section == &zf_hot_self_test;
}

/* How begin and end go about it. */
enum way {
    WAY_LONG,  /* ask every source and watch */
    WAY_BRIEF, /* compare heads, and count or read the clock */
    WAY_INLINE /* compare heads, without a call */
};

static enum way way_of(const struct zf_hot_thread *thread, const struct hot_section *section)
{
    uint32_t active = thread->watched & ~(uint32_t)PASSIVE_WATCHES;
    if (!zf_hot_calls_are_wanted(thread, section))
        active &= ~(uint32_t)HOT_WATCH_SYSTEM_CALLS;
    if (thread->source != HOT_SOURCE_RING || active != 0 || !zf_hot_table_is_on() ||
        zf_hot_is_traced())
        return WAY_LONG;
    return zf_hot_is_timed(section) || section->counted ? WAY_BRIEF : WAY_INLINE;
}

/* ---------------------------------------------------------------------------------------- begin */

/* Give the slot to a section that this thread meets for the first time. */
static void adopt(struct zf_hot_thread *thread, uint32_t index, const struct hot_section *section)
{
    ZF_ASSERT(index > 0 && index < ZF_HOT_SLOTS);
    thread->tallies[index].section = section;
    if (zf_hot_is_timed(section))
        zf_os_ticks_prepare();
    if (section->timed)
        zf_hot_durations_open(&thread->tallies[index]);
}

/* What that takes is nothing to sections that are open. */
static void adopt_aside(struct zf_hot_thread *thread, uint32_t index,
                        const struct hot_section *section)
{
    struct zf_hot_sample before = zf_hot_sample_end(thread, true), after;
    adopt(thread, index, section);
    after = zf_hot_sample_begin(thread, true);
    if (thread->pause_depth == 0)
        zf_hot_leave_out(thread, &before, &after);
}

/* Ask twice: whoever has just set what forbids a way hides slots, but not this one yet. */
static enum way show_slot(struct zf_hot_thread *thread, uint32_t index,
                          const struct hot_section *section)
{
    enum way way = way_of(thread, section);
    if (way != WAY_LONG) {
        const struct hot_section **shown;
        zf_hot_hide(thread, index);
        shown = way == WAY_INLINE ? &zf_hot_slot(thread, index)->section
                                  : &thread->tallies[index].brief;
        __atomic_store_n(shown, section, __ATOMIC_SEQ_CST);
        if (way_of(thread, section) == way)
            return way;
    }
    zf_hot_hide(thread, index);
    return WAY_LONG;
}

static void count_entry(struct hot_slot *slot, const struct hot_section *section)
{
    if (section->counted)
        __atomic_store_n(&slot->entries, slot->entries + 1, __ATOMIC_RELAXED);
}

static void open_slot(struct zf_hot_thread *thread, uint32_t index,
                      const struct hot_section *section)
{
    struct hot_slot *slot = zf_hot_slot(thread, index);
    struct zf_hot_tally *tally = &thread->tallies[index];
    enum way way = show_slot(thread, index, section);
    zf_hot_calls_leave(thread, index); /* when it is opened anew */
    count_entry(slot, section);
    tally->begin = zf_hot_sample_begin(thread, zf_hot_is_timed(section));
    slot->head = way == WAY_LONG || zf_hot_is_timed(section) ? ZF_HOT_HEAD_LONG : tally->begin.head;
    zf_hot_calls_join(thread, index);
    ZEROFAULT_COMPILER_FENCE();
}

void hot_section_begin_slow(struct hot_section *section)
{
    struct zf_hot_thread *thread;
    struct zf_hot_held held;
    uint32_t index;
    if (!is_on(section)) {
        ++begins_missed;
        return;
    }
    if (zf_hot_brief_begin(section))
        return;
    thread = zf_hot_thread_require();
    index = zf_hot_table_index(section);
    if (thread == NULL || index == 0)
        return; /* the matching end finds nothing open and says so */
    held = zf_hot_hold(thread);
    if (thread->tallies[index].section != section)
        adopt_aside(thread, index, section);
    ZEROFAULT_PROBE1(section_begin, section->name);
    if (zf_hot_is_traced() || thread->tallies[index].tracer != NULL)
        zf_hot_trace_begin(thread, section, &thread->tallies[index]);
    if (zf_hot_self != thread)
        return; /* as above */
    open_slot(thread, index, section);
    zf_hot_go_on(thread, held);
}

struct zf_hot_tally *zf_hot_force(struct zf_hot_thread *thread, uint32_t index)
{
    struct hot_slot *slot = zf_hot_slot(thread, index);
    struct zf_hot_tally *tally = &thread->tallies[index];
    ZF_ASSERT(slot->head != HOT_SLOT_CLOSED);
    if (slot->head != ZF_HOT_HEAD_FORCED) {
        /* The inline begin left these as the previous entry had them. */
        memset(tally->pending, 0, sizeof tally->pending);
        memset(&tally->excluded, 0, sizeof tally->excluded);
        tally->trapped = 0;
        tally->forced_in_pause = thread->pause_depth > 0;
        if (slot->head != ZF_HOT_HEAD_LONG)
            tally->begin.head = slot->head;
        slot->head = ZF_HOT_HEAD_FORCED;
    }
    return tally;
}

void zf_hot_raise(struct zf_hot_thread *thread, uint32_t index, enum hot_kind kind)
{
    ZF_ASSERT((unsigned)kind < HOT_KIND_COUNT);
    ++zf_hot_force(thread, index)->pending[kind];
}

/* ------------------------------------------------------------------------------------------ end */

/* Kinds that the section ignores do not make it dirty. Returns the number that is left. */
static uint64_t drop_ignored(const struct hot_section *section, struct zf_hot_finding *finding)
{
    uint64_t total = 0;
    for (int kind = 0; kind < HOT_KIND_COUNT; ++kind) {
        if (zf_hot_policy(section, (enum hot_kind)kind) == HOT_IGNORE)
            finding->counts[kind] = 0;
        total += finding->counts[kind];
    }
    return total;
}

static void add_to_tally(struct zf_hot_tally *tally, const struct zf_hot_finding *finding)
{
    for (int kind = 0; kind < HOT_KIND_COUNT; ++kind) {
        uint64_t sum = tally->counts[kind] + finding->counts[kind];
        __atomic_store_n(&tally->counts[kind], sum, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&tally->dirty_entries, tally->dirty_entries + 1, __ATOMIC_RELAXED);
}

/* Nothing is open here: no begin, no memory for a guard, too many sections, or a child of fork. */
static uint64_t end_without_begin(struct zf_hot_thread *thread, struct hot_section *section,
                                  uint32_t index)
{
    struct zf_hot_finding finding = {.counts = {[HOT_MISUSE] = 1}};
    if (begins_missed > 0) {
        --begins_missed;
        return 0;
    }
    if (!is_on(section) || drop_ignored(section, &finding) == 0)
        return 0;
    zf_hot_table_misuse(index);
    zf_hot_deliver(thread, section, NULL, &finding);
    return 1;
}

/* Do all sources stand where they stood at begin, and was nothing raised or excluded since? */
static bool is_clean(const struct zf_hot_thread *thread, uint32_t index,
                     const struct zf_hot_sample *now)
{
    const struct zf_hot_sample *begin = &thread->tallies[index].begin;
    return zf_hot_slot(thread, index)->head != ZF_HOT_HEAD_FORCED &&
           zf_hot_begin_head(thread, index) == now->head &&
           begin->faults_minor == now->faults_minor && begin->faults_major == now->faults_major &&
           begin->switch_head == now->switch_head && begin->calls == now->calls &&
           begin->cpu == now->cpu;
}

/* The rest of an end that found nothing but, perhaps, a duration. */
static bool close_clean(struct zf_hot_thread *thread, const struct hot_section *section,
                        uint32_t index, const struct zf_hot_sample *now)
{
    struct zf_hot_tally *tally = &thread->tallies[index];
    if (zf_hot_is_timed(section)) {
        uint64_t duration_ns = zf_os_ticks_to_ns(now->ticks - tally->begin.ticks);
        if (section->budget_ns != 0 && duration_ns > section->budget_ns)
            return false;
        if (tally->durations != NULL)
            hot_histogram_record(tally->durations, duration_ns);
    }
    zf_hot_calls_leave(thread, index);
    zf_hot_slot(thread, index)->head = HOT_SLOT_CLOSED;
    return true;
}

static uint64_t close_dirty(struct zf_hot_thread *thread, const struct hot_section *section,
                            uint32_t index, const struct zf_hot_sample *now, uint64_t misuses)
{
    struct zf_hot_tally *tally = &thread->tallies[index];
    struct zf_hot_finding finding = zf_hot_find(thread, index, now);
    uint64_t total;
    finding.counts[HOT_MISUSE] += misuses;
    total = drop_ignored(section, &finding);
    zf_hot_calls_leave(thread, index);
    zf_hot_slot(thread, index)->head = HOT_SLOT_CLOSED;
    if (tally->durations != NULL)
        hot_histogram_record(tally->durations, finding.duration_ns);
    if (total > 0) {
        add_to_tally(tally, &finding);
        zf_hot_deliver(thread, section, tally, &finding);
    }
    return total;
}

static uint64_t close_slot(struct zf_hot_thread *thread, const struct hot_section *section,
                           uint32_t index)
{
    struct zf_hot_sample now = zf_hot_sample_end(thread, zf_hot_is_timed(section));
    bool traced = ZEROFAULT_UNLIKELY(thread->tallies[index].tracer != NULL);
    uint64_t time_ns = traced ? zf_os_clock_ns() : 0;
    uint64_t total = 0;
    if (!zf_hot_is_counting(thread, index))
        now = thread->pause_begin; /* nothing since then is the section's */
    if (!is_clean(thread, index, &now) || !close_clean(thread, section, index, &now))
        total = close_dirty(thread, section, index, &now, 0);
    ZEROFAULT_PROBE2(section_end, section->name, total);
    if (traced && zf_hot_self == thread)
        zf_hot_trace_end(thread, &thread->tallies[index], time_ns, total);
    return total;
}

/* Is there nothing that this end could be about? */
static bool is_off_and_closed(const struct hot_section *section)
{
    const struct hot_slot *slot = (const void *)(hot_thread_table + hot_slot_bytes(section));
    return !is_on(section) && slot->head == HOT_SLOT_CLOSED;
}

uint64_t hot_section_end_slow(struct hot_section *section)
{
    struct zf_hot_thread *thread;
    struct zf_hot_held held;
    uint32_t index = zf_hot_table_known(section);
    uint64_t total;
    if (is_off_and_closed(section)) {
        begins_missed -= begins_missed > 0;
        return 0;
    }
    if (zf_hot_brief_end(section))
        return 0;
    thread = zf_hot_thread_self();
    held = zf_hot_hold(thread);
    if (thread == NULL || index == 0 || !zf_hot_is_open(thread, index))
        total = end_without_begin(thread, section, index);
    else
        total = close_slot(thread, section, index);
    if (zf_hot_self == thread) /* no hook has detached the thread, or forked */
        zf_hot_go_on(thread, held);
    return total;
}

void zf_hot_abandon(struct zf_hot_thread *thread, uint32_t index)
{
    struct zf_hot_tally *tally = &thread->tallies[index];
    const struct hot_section *section = tally->section;
    struct zf_hot_sample now = zf_hot_sample_end(thread, zf_hot_is_timed(section));
    bool traced = tally->tracer != NULL;
    uint64_t total;
    ZF_ASSERT(zf_hot_is_open(thread, index));
    if (!zf_hot_is_counting(thread, index))
        now = thread->pause_begin;
    total = close_dirty(thread, section, index, &now, 1);
    if (traced && zf_hot_self == thread)
        zf_hot_trace_end(thread, tally, zf_os_clock_ns(), total);
}

/* -------------------------------------------------------------------------------------- queries */

size_t hot_sections_open(void)
{
    const struct zf_hot_thread *thread = zf_hot_thread_self();
    size_t open = 0;
    for (uint32_t index = 1; thread != NULL && index < zf_hot_table_end(); ++index)
        open += zf_hot_is_open(thread, index);
    return open;
}

int hot_section_stats(const struct hot_section *section, struct hot_section_statistics *stats)
{
    struct hot_section_statistics sum = {0};
    if (section == NULL || zf_result_check(stats) != 0)
        return -EINVAL;
    zf_hot_table_sum(section, zf_hot_table_known(section), &sum);
    zf_result_give(stats, &sum, sizeof sum);
    return 0;
}
