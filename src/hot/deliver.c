/*
 * Delivery, after the section was closed: kinds in order of gravity, each under its own policy,
 * the stop or the abort last, so that everything was told before. The ring is read here for the
 * first time; a clean section never looks into it.
 */
#include "hot/deliver.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <zerofault/hot_report.h>

#include "arena/registry.h"
#include "hot/chains.h"
#include "hot/trace.h"

#define SECOND_NS 1000000000u

/* What one delivery knows; handed down instead of long argument lists. */
struct delivery {
    struct zf_hot_thread *thread;
    const struct hot_section *section;
    struct zf_hot_tally *tally;
    const struct zf_hot_finding *finding;
    struct hot_report *report; /* for HOT_ABORT; NULL without memory */
    bool at_end;               /* of the section, and not where it faulted */
    bool paused;
};

struct hot_violation zf_hot_describe(const struct zf_hot_thread *thread,
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
        .system_call = -1,
    };
    return violation;
}

void zf_hot_name_arena(struct hot_violation *violation, struct zf_registry_match *match)
{
    if (violation->address == 0 || !zf_registry_find(violation->address, match))
        return;
    violation->arena = match->name;
    violation->arena_offset_bytes = match->offset_bytes;
}

/* -------------------------------------------------------------------------------------- to whom */

/* Is there room for one more call of the hook in this second? */
static bool may_report(struct zf_hot_tally *tally, uint32_t reports_per_second)
{
    uint64_t now_ns;
    if (reports_per_second == 0)
        return true;
    now_ns = zf_os_clock_ns();
    if (now_ns - tally->window_start_ns >= SECOND_NS) {
        tally->window_start_ns = now_ns;
        tally->window_reports = 0;
    }
    if (tally->window_reports < reports_per_second) {
        ++tally->window_reports;
        return true;
    }
    return false;
}

/* Around the program's own code, which may take faults, use sections, detach the thread, fork, and
 * need not return. Sections that are open around this one are none of its business. */
static void let_program_run(struct delivery *delivery)
{
    struct zf_hot_thread *thread = delivery->thread;
    if (thread == NULL)
        return;
    if (delivery->at_end && thread->pause_depth == 0 && hot_sections_open() > 0) {
        hot_pause_begin();
        delivery->paused = true;
    }
    thread->busy = false;
}

static void program_ran(struct delivery *delivery)
{
    if (delivery->thread == NULL)
        return;
    if (zf_hot_thread_self() == delivery->thread) {
        (void)zf_hot_hold(delivery->thread);
        return;
    }
    /* The guard is gone. What is left to tell is told without. */
    delivery->thread = NULL;
    delivery->tally = NULL;
}

static void tell_hook(struct delivery *delivery, const struct hot_violation *violation)
{
    const struct hot_section *section = delivery->section;
    struct zf_hot_tally *tally = delivery->tally;
    if (tally != NULL && !may_report(tally, section->reports_per_second)) {
        __atomic_store_n(&tally->unreported, tally->unreported + violation->count,
                         __ATOMIC_RELAXED);
        return;
    }
    let_program_run(delivery);
    section->hook(violation, section->hook_context);
    program_ran(delivery);
}

/* Probes run no code of the program's; a tracer does. */
static void tell_tracers(struct delivery *delivery, struct hot_violation *violation)
{
    bool traced = zf_hot_is_traced();
    if (traced)
        let_program_run(delivery);
    zf_hot_trace_violation(delivery->thread, violation);
    if (traced)
        program_ran(delivery);
    if (delivery->thread == NULL) { /* whose memory the frames are in */
        violation->frames = NULL;
        violation->frame_count = 0;
    }
}

static void tell(struct delivery *delivery, struct hot_violation violation)
{
    const struct hot_section *section = delivery->section;
    enum hot_policy policy = zf_hot_policy(section, violation.kind);
    struct zf_registry_match match;
    zf_hot_name_arena(&violation, &match);
    tell_tracers(delivery, &violation);
    if (policy == HOT_ABORT) {
        if (delivery->report != NULL)
            hot_report_add(&violation, delivery->report);
        else
            (void)hot_violation_print(&violation, stderr);
    }
    if (section->hook != NULL && policy >= HOT_CALLBACK)
        tell_hook(delivery, &violation);
}

void zf_hot_tell(struct zf_hot_thread *thread, const struct hot_section *section,
                 struct zf_hot_tally *tally, struct hot_violation violation)
{
    struct delivery delivery = {.thread = thread, .section = section, .tally = tally};
    tell(&delivery, violation);
}

/* --------------------------------------------------------------------------------------- faults */

/* Is the record that ends at a position not to be told any more? */
static bool is_left_out(const struct delivery *delivery, uint64_t position)
{
    const struct zf_hot_thread *thread = delivery->thread;
    return zf_hot_stretches_have(&thread->pauses, position - 1) ||
           (delivery->finding->trapped > 0 &&
            zf_hot_stretches_have(&thread->trapped, position - 1));
}

/* One violation for each record of the kind that the ring still has. Returns how many were told.
 */
static uint64_t tell_records(struct delivery *delivery, enum hot_kind kind, uint64_t limit)
{
    struct zf_hot_thread *thread = delivery->thread;
    uint64_t position = delivery->finding->from;
    uint64_t told = 0;
    uint64_t chain_position = 0;
    struct zf_os_fault fault;
    while (told < limit && delivery->thread != NULL &&
           zf_os_fault_ring_next(&thread->ring, &position, delivery->finding->to, &fault) != 0) {
        struct hot_violation violation = zf_hot_describe(thread, delivery->section, kind, 1);
        if (fault.kernel != (kind == HOT_KERNEL_FAULT) || is_left_out(delivery, position))
            continue;
        violation.address = fault.address;
        violation.instruction = fault.instruction;
        violation.time_ns = fault.time_ns;
        violation.thread_id = fault.thread_id;
        zf_hot_chains_attach(thread, &chain_position, &violation);
        tell(delivery, violation);
        ++told;
    }
    return told;
}

/* ------------------------------------------------------------------------------------- the rest */

static void tell_counted(struct delivery *delivery, enum hot_kind kind, uint64_t count)
{
    const struct zf_hot_finding *finding = delivery->finding;
    struct hot_violation violation =
        zf_hot_describe(delivery->thread, delivery->section, kind, count);
    if (count == 0)
        return;
    if (kind == HOT_REFUSED)
        violation.request_bytes = finding->request_bytes;
    if (kind == HOT_SYSTEM_CALL) {
        violation.system_call = finding->call_number;
        violation.instruction = finding->call_instruction;
    }
    if (kind == HOT_OVER_BUDGET)
        violation.duration_ns = finding->duration_ns;
    violation.cpu_before = finding->cpu_before;
    violation.cpu_after = finding->cpu_after;
    tell(delivery, violation);
}

static void tell_kind(struct delivery *delivery, enum hot_kind kind, uint64_t count)
{
    if ((kind == HOT_FAULT || kind == HOT_KERNEL_FAULT) && count > 0 && delivery->thread != NULL &&
        zf_hot_has_ring(delivery->thread))
        count -= tell_records(delivery, kind, count);
    tell_counted(delivery, kind, count);
}

/* How many were not told where they happened. */
static uint64_t untold(const struct delivery *delivery, enum hot_kind kind)
{
    uint64_t count = delivery->finding->counts[kind];
    uint64_t trapped = kind == HOT_FAULT ? delivery->finding->trapped : 0;
    return count > trapped ? count - trapped : 0;
}

/* Where faults trap, a hook is what the program has instead of a stop; so it is for the few that
 * could not trap. */
static bool is_told_enough(const struct delivery *delivery, enum hot_kind kind)
{
    return kind == HOT_FAULT && zf_hot_policy(delivery->section, kind) == HOT_TRAP &&
           delivery->section->hook != NULL && delivery->thread != NULL &&
           zf_hot_watches(delivery->thread, HOT_WATCH_TRAPS);
}

/* A trap may be handled by the program. */
static void stop(struct delivery *delivery, enum hot_policy gravest)
{
    let_program_run(delivery);
    if (gravest == HOT_ABORT) {
        if (delivery->report != NULL)
            (void)hot_report_print(delivery->report, stderr);
        abort();
    }
    (void)raise(SIGTRAP);
    program_ran(delivery);
}

void zf_hot_deliver(struct zf_hot_thread *thread, const struct hot_section *section,
                    struct zf_hot_tally *tally, const struct zf_hot_finding *finding)
{
    struct delivery delivery = {
        .thread = thread, .section = section, .tally = tally, .finding = finding, .at_end = true};
    enum hot_policy gravest = HOT_IGNORE;
    for (int kind = 0; kind < HOT_KIND_COUNT; ++kind) {
        enum hot_policy policy = zf_hot_policy(section, (enum hot_kind)kind);
        uint64_t count = untold(&delivery, (enum hot_kind)kind);
        if (count == 0 || (policy < HOT_CALLBACK && !zf_hot_is_observed()))
            continue;
        if (policy == HOT_ABORT && delivery.report == NULL)
            (void)hot_report_create(&delivery.report, &HOT_REPORT_OPTIONS(.sites_max = 32));
        tell_kind(&delivery, (enum hot_kind)kind, count);
        if (policy > gravest && !is_told_enough(&delivery, (enum hot_kind)kind))
            gravest = policy;
    }
    if (gravest >= HOT_TRAP)
        stop(&delivery, gravest);
    if (delivery.paused && delivery.thread != NULL)
        hot_pause_end();
}
