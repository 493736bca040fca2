/*
 * Sampling; see sample.h. Each source contributes three small things: a reading, a difference,
 * and what a pause takes away from that difference. A source that is not active reads 0 at both
 * ends, so its difference is 0 and nothing else needs to know.
 */
#include "hot/sample.h"

#include <string.h>

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* How much more `a` is than `b`, if it is. */
static uint64_t beyond(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static void read_rusage(const struct zf_hot_thread *thread, struct zf_hot_sample *sample)
{
    struct zf_os_counters counters;
    if (!zf_hot_uses_rusage(thread))
        return;
    zf_os_counters(&counters);
    sample->faults_minor = counters.faults_minor;
    sample->faults_major = counters.faults_major;
}

static void read_rest(const struct zf_hot_thread *thread, struct zf_hot_sample *sample)
{
    if (zf_hot_watches(thread, HOT_WATCH_SWITCHES))
        sample->switch_head = *thread->switches.head;
    if (zf_hot_watches(thread, HOT_WATCH_MIGRATIONS))
        sample->cpu = zf_os_cpu();
    sample->calls = thread->calls.count;
}

struct zf_hot_sample zf_hot_sample_begin(const struct zf_hot_thread *thread, bool timed)
{
    struct zf_hot_sample sample = {0};
    read_rest(thread, &sample);
    read_rusage(thread, &sample);
    if (timed)
        sample.ticks = zf_os_ticks();
    if (zf_hot_has_ring(thread))
        sample.head = *thread->ring.head;
    return sample;
}

struct zf_hot_sample zf_hot_sample_end(const struct zf_hot_thread *thread, bool timed)
{
    struct zf_hot_sample sample = {0};
    if (zf_hot_has_ring(thread))
        sample.head = *thread->ring.head;
    if (timed)
        sample.ticks = zf_os_ticks();
    read_rusage(thread, &sample);
    read_rest(thread, &sample);
    return sample;
}

static struct zf_os_switches count_switches(const struct zf_hot_thread *thread, uint64_t from,
                                            uint64_t to)
{
    struct zf_os_switches none = {0, 0};
    return from == to ? none : zf_os_switch_ring_count(&thread->switches, from, to);
}

/* What the ring says. Records that it no longer has count as the program's own: the graver. */
static void count_records(const struct zf_hot_thread *thread,
                          const struct zf_hot_excluded *excluded,
                          const struct zf_hot_finding *finding, uint64_t *own, uint64_t *kernel)
{
    const struct zf_os_fault_ring *ring = &thread->ring;
    uint64_t all;
    if (!zf_hot_has_ring(thread) || finding->from == finding->to)
        return;
    all = zf_os_fault_ring_count(ring, finding->from, finding->to) - excluded->fault_records;
    *kernel = beyond(zf_os_fault_ring_kernel_count(ring, finding->from, finding->to),
                     excluded->kernel_records);
    ZF_ASSERT(*kernel <= all);
    *own = all - *kernel;
}

/* The ring tells the program's own faults, and the kernel's where it may; getrusage tells all that
 * were served, and the rest were the kernel's too. */
static void find_faults(const struct zf_hot_thread *thread, const struct zf_hot_tally *tally,
                        const struct zf_hot_sample *now, const struct zf_hot_excluded *excluded,
                        struct zf_hot_finding *finding)
{
    uint64_t major = now->faults_major - tally->begin.faults_major - excluded->faults_major;
    uint64_t all = now->faults_minor - tally->begin.faults_minor - excluded->faults_minor + major;
    uint64_t own = 0;
    uint64_t kernel = 0;
    count_records(thread, excluded, finding, &own, &kernel);
    if (!zf_hot_uses_rusage(thread)) {
        finding->counts[HOT_FAULT] = own;
        finding->counts[HOT_KERNEL_FAULT] = kernel;
        return;
    }
    finding->counts[HOT_MAJOR_FAULT] = major;
    if (!zf_hot_has_ring(thread)) {
        finding->counts[HOT_FAULT] = all - major;
        return;
    }
    /* A major fault is in the ring too: each fault counts once. */
    finding->counts[HOT_FAULT] = beyond(own, major);
    finding->counts[HOT_KERNEL_FAULT] = beyond(all, later(own, major));
    /* Only the ring knows of a fault that could not be served and ended in -EFAULT. */
    if (finding->counts[HOT_KERNEL_FAULT] < beyond(kernel, beyond(major, own)))
        finding->counts[HOT_KERNEL_FAULT] = beyond(kernel, beyond(major, own));
}

static void find_rest(const struct zf_hot_thread *thread, const struct zf_hot_tally *tally,
                      const struct zf_hot_sample *now, const struct zf_hot_excluded *excluded,
                      struct zf_hot_finding *finding)
{
    struct zf_os_switches switches =
        count_switches(thread, tally->begin.switch_head, now->switch_head);
    finding->counts[HOT_SWITCH] = switches.voluntary - excluded->switches.voluntary;
    finding->counts[HOT_PREEMPTION] = switches.preempted - excluded->switches.preempted;
    finding->counts[HOT_MIGRATION] = now->cpu != tally->begin.cpu;
    if (tally->watches_calls)
        finding->counts[HOT_SYSTEM_CALL] = now->calls - tally->begin.calls - excluded->calls;
    finding->call_number = tally->call_number;
    finding->call_instruction = tally->call_instruction;
    finding->cpu_before = tally->begin.cpu;
    finding->cpu_after = now->cpu;
    finding->duration_ns = zf_os_ticks_to_ns(now->ticks - tally->begin.ticks - excluded->ticks);
    if (tally->section->budget_ns != 0)
        finding->counts[HOT_OVER_BUDGET] = finding->duration_ns > tally->section->budget_ns;
}

struct zf_hot_finding zf_hot_find(const struct zf_hot_thread *thread, uint32_t index,
                                  const struct zf_hot_sample *now)
{
    static const struct zf_hot_excluded nothing;
    const struct zf_hot_tally *tally = &thread->tallies[index];
    bool forced = zf_hot_slot(thread, index)->head == ZF_HOT_HEAD_FORCED;
    const struct zf_hot_excluded *excluded = forced ? &tally->excluded : &nothing;
    struct zf_hot_finding finding = {
        .from = zf_hot_begin_head(thread, index),
        .to = now->head,
    };
    ZF_ASSERT(zf_hot_is_open(thread, index));
    ZF_ASSERT(finding.from <= finding.to);
    find_faults(thread, tally, now, excluded, &finding);
    find_rest(thread, tally, now, excluded, &finding);
    if (forced) {
        finding.trapped = tally->trapped;
        finding.request_bytes = tally->request_bytes;
        for (int kind = 0; kind < HOT_KIND_COUNT; ++kind)
            finding.counts[kind] += tally->pending[kind];
    }
    return finding;
}

void zf_hot_exclude(const struct zf_hot_thread *thread, struct zf_hot_tally *tally,
                    const struct zf_hot_sample *from, const struct zf_hot_sample *to)
{
    const struct zf_hot_sample *begin = &tally->begin;
    struct zf_hot_excluded *excluded = &tally->excluded;
    struct zf_os_switches switches =
        count_switches(thread, later(from->switch_head, begin->switch_head), to->switch_head);
    if (zf_hot_has_ring(thread))
        excluded->fault_records +=
            zf_os_fault_ring_count(&thread->ring, later(from->head, begin->head), to->head);
    if (zf_hot_has_ring(thread))
        excluded->kernel_records +=
            zf_os_fault_ring_kernel_count(&thread->ring, later(from->head, begin->head), to->head);
    excluded->faults_minor += to->faults_minor - later(from->faults_minor, begin->faults_minor);
    excluded->faults_major += to->faults_major - later(from->faults_major, begin->faults_major);
    excluded->switches.voluntary += switches.voluntary;
    excluded->switches.preempted += switches.preempted;
    excluded->calls += to->calls - later(from->calls, begin->calls);
    if (begin->ticks != 0)
        excluded->ticks += to->ticks - later(from->ticks, begin->ticks);
}
