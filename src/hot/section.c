/*
 * The long way of begin and end: everything that is not "the ring's head has not moved".
 *
 * A section is open on a thread exactly while its slot's head is not HOT_SLOT_CLOSED. Slots of a
 * thread whose only source is the ring carry their section, so the inline functions serve them;
 * with getrusage they do not, and every begin and end comes here. The first thing an end does is
 * to sample its sources, the last thing a begin does likewise: what the guard itself costs or
 * faults is outside of the section that it measures.
 */
#include "hot/section.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena/registry.h"
#include "base/assert.h"
#include "base/options.h"
#include "hot/table.h"

/* What the sources say at one moment. */
struct sample {
    uint64_t head;   /* of the ring; 0 without one */
    uint64_t faults; /* by getrusage; 0 when it is not a source */
};

static bool uses_rusage(const struct zf_hot_thread *thread)
{
    return thread->source != HOT_SOURCE_RING;
}

static uint64_t count_faults(void)
{
    struct zf_os_counters counters;
    zf_os_counters(&counters);
    return counters.faults_minor + counters.faults_major;
}

/* ---------------------------------------------------------------------------------------- begin */

/* Give the slot to a section that this thread meets for the first time. */
static void adopt(struct zf_hot_thread *thread, uint32_t index, const struct hot_section *section)
{
    ZF_ASSERT(index > 0 && index < ZF_HOT_SLOTS);
    ZF_ASSERT(thread->slots[index].head == HOT_SLOT_CLOSED);
    thread->tallies[index].section = section;
    if (zf_hot_is_fast(thread))
        thread->slots[index].section = section;
}

static void open_slot(struct zf_hot_thread *thread, uint32_t index)
{
    struct hot_slot *slot = &thread->slots[index];
    struct zf_hot_tally *tally = &thread->tallies[index];
    tally->depth = 0;
    memset(tally->pending, 0, sizeof tally->pending);
    __atomic_store_n(&slot->entries, slot->entries + 1, __ATOMIC_RELAXED);
    if (uses_rusage(thread))
        tally->faults = count_faults();
    slot->head = zf_hot_has_ring(thread) ? *thread->ring.head : 0;
    ZEROFAULT_COMPILER_FENCE();
}

void hot_section_begin_slow(struct hot_section *section)
{
    struct zf_hot_thread *thread = zf_hot_thread_require();
    uint32_t index = zf_hot_table_index(section);
    if (thread == NULL || index == 0)
        return; /* the matching end finds nothing open and says so */
    if (thread->slots[index].head != HOT_SLOT_CLOSED) {
        ++thread->tallies[index].depth;
        zf_hot_raise(thread, index, HOT_MISUSE);
        return;
    }
    if (thread->tallies[index].section != section)
        adopt(thread, index, section);
    open_slot(thread, index);
}

void zf_hot_raise(struct zf_hot_thread *thread, uint32_t index, enum hot_kind kind)
{
    struct hot_slot *slot = &thread->slots[index];
    struct zf_hot_tally *tally = &thread->tallies[index];
    ZF_ASSERT(slot->head != HOT_SLOT_CLOSED);
    ZF_ASSERT((unsigned)kind < HOT_KIND_COUNT);
    if (slot->head != ZF_HOT_HEAD_FORCED) {
        /* The inline begin left these as the previous entry had them. */
        memset(tally->pending, 0, sizeof tally->pending);
        tally->head = slot->head;
        slot->head = ZF_HOT_HEAD_FORCED;
    }
    ++tally->pending[kind];
}

/* ------------------------------------------------------------------------------------- describe */

/* A violation of this section with nothing known but its kind. */
static struct hot_violation describe(const struct zf_hot_thread *thread,
                                     const struct hot_section *section, enum hot_kind kind,
                                     uint64_t count)
{
    struct hot_violation violation = {
        .struct_size = sizeof violation,
        .section = section,
        .kind = kind,
        .source = thread == NULL ? HOT_SOURCE_NONE : thread->source,
        .count = count,
        .thread_id = thread == NULL ? zf_os_thread_id() : thread->thread_id,
    };
    return violation;
}

static void deliver(const struct hot_section *section, struct hot_violation violation)
{
    struct zf_registry_match match;
    if (violation.address != 0 && zf_registry_find(violation.address, &match)) {
        violation.arena = match.name;
        violation.arena_offset_bytes = match.offset_bytes;
    }
    if (section->policy == HOT_ABORT)
        (void)hot_violation_print(&violation, stderr);
    else if (section->hook != NULL)
        section->hook(&violation, section->hook_context);
}

/* One violation for each record that the ring still has, one for all that it lost. */
static void deliver_faults(const struct zf_hot_thread *thread, const struct hot_section *section,
                           uint64_t from, uint64_t to)
{
    uint64_t left = zf_os_fault_ring_count(&thread->ring, from, to);
    uint64_t position = from;
    struct zf_os_fault fault;
    while (zf_os_fault_ring_next(&thread->ring, &position, to, &fault) != 0) {
        struct hot_violation violation = describe(thread, section, HOT_FAULT, 1);
        violation.address = fault.address;
        violation.instruction = fault.instruction;
        violation.time_ns = fault.time_ns;
        violation.thread_id = fault.thread_id;
        deliver(section, violation);
        --left;
    }
    if (left > 0) {
        struct hot_violation lost = describe(thread, section, HOT_FAULT, left);
        deliver(section, lost);
    }
}

static void deliver_counted(const struct zf_hot_thread *thread, const struct hot_section *section,
                            enum hot_kind kind, uint64_t count, size_t request_bytes)
{
    struct hot_violation violation = describe(thread, section, kind, count);
    violation.request_bytes = kind == HOT_REFUSED ? request_bytes : 0;
    if (count > 0)
        deliver(section, violation);
}

/* What an end found, counts by kind. */
struct finding {
    uint64_t counts[HOT_KIND_COUNT];
    uint64_t from; /* ring heads around the section */
    uint64_t to;
    size_t request_bytes;
};

static void apply_policy(const struct zf_hot_thread *thread, const struct hot_section *section,
                         const struct finding *finding)
{
    if (section->policy == HOT_COUNT)
        return;
    if (zf_hot_has_ring(thread))
        deliver_faults(thread, section, finding->from, finding->to);
    else
        deliver_counted(thread, section, HOT_FAULT, finding->counts[HOT_FAULT], 0);
    for (int kind = HOT_FAULT + 1; kind < HOT_KIND_COUNT; ++kind)
        deliver_counted(thread, section, (enum hot_kind)kind, finding->counts[kind],
                        finding->request_bytes);
    if (section->policy == HOT_ABORT)
        abort();
}

/* ------------------------------------------------------------------------------------------ end */

/* Compare the sources with what they said at begin, and add what was raised meanwhile. */
static struct finding find(const struct zf_hot_thread *thread, uint32_t index, struct sample now)
{
    const struct zf_hot_tally *tally = &thread->tallies[index];
    bool forced = thread->slots[index].head == ZF_HOT_HEAD_FORCED;
    struct finding finding = {.from = forced ? tally->head : thread->slots[index].head,
                              .to = now.head,
                              .request_bytes = tally->request_bytes};
    uint64_t *faults = &finding.counts[HOT_FAULT];
    if (forced)
        memcpy(finding.counts, tally->pending, sizeof finding.counts);
    if (zf_hot_has_ring(thread))
        *faults = zf_os_fault_ring_count(&thread->ring, finding.from, finding.to);
    if (uses_rusage(thread)) {
        uint64_t all = now.faults - tally->faults;
        if (thread->source == HOT_SOURCE_RUSAGE)
            *faults = all;
        else if (all > *faults)
            finding.counts[HOT_KERNEL_FAULT] = all - *faults;
    }
    return finding;
}

static uint64_t add_to_tally(struct zf_hot_tally *tally, const struct finding *finding)
{
    uint64_t total = 0;
    for (int kind = 0; kind < HOT_KIND_COUNT; ++kind) {
        uint64_t sum = tally->counts[kind] + finding->counts[kind];
        __atomic_store_n(&tally->counts[kind], sum, __ATOMIC_RELAXED);
        total += finding->counts[kind];
    }
    if (total > 0)
        __atomic_store_n(&tally->dirty_entries, tally->dirty_entries + 1, __ATOMIC_RELAXED);
    return total;
}

/* Nothing is open here: no begin, no memory for a guard, too many sections, or a child of fork. */
static uint64_t end_without_begin(struct zf_hot_thread *thread, struct hot_section *section,
                                  uint32_t index)
{
    struct hot_violation violation = describe(thread, section, HOT_MISUSE, 1);
    zf_hot_table_misuse(index);
    if (section->policy != HOT_COUNT)
        deliver(section, violation);
    if (section->policy == HOT_ABORT)
        abort();
    return 1;
}

uint64_t hot_section_end_slow(struct hot_section *section)
{
    struct zf_hot_thread *thread = zf_hot_thread_self();
    struct sample now = {0, 0};
    uint32_t index = zf_hot_table_known(section);
    struct finding finding;
    uint64_t total;
    if (thread != NULL && zf_hot_has_ring(thread))
        now.head = *thread->ring.head;
    if (thread != NULL && uses_rusage(thread))
        now.faults = count_faults();
    if (thread == NULL || index == 0 || thread->slots[index].head == HOT_SLOT_CLOSED)
        return end_without_begin(thread, section, index);
    if (thread->tallies[index].depth > 0) {
        --thread->tallies[index].depth;
        return 1; /* the begin that this end matches was the misuse */
    }
    finding = find(thread, index, now);
    thread->slots[index].head = HOT_SLOT_CLOSED;
    total = add_to_tally(&thread->tallies[index], &finding);
    if (total > 0)
        apply_policy(thread, section, &finding);
    return total;
}

void zf_hot_abandon(struct zf_hot_thread *thread, uint32_t index)
{
    struct finding finding = {.counts = {[HOT_MISUSE] = 1}};
    ZF_ASSERT(thread->slots[index].head != HOT_SLOT_CLOSED);
    thread->slots[index].head = HOT_SLOT_CLOSED;
    (void)add_to_tally(&thread->tallies[index], &finding);
}

/* -------------------------------------------------------------------------------------- queries */

size_t hot_sections_open(void)
{
    const struct zf_hot_thread *thread = zf_hot_thread_self();
    size_t open = 0;
    for (uint32_t index = 1; thread != NULL && index < zf_hot_table_end(); ++index)
        open += thread->slots[index].head != HOT_SLOT_CLOSED;
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
