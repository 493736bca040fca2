/*
 * Page faults told where they happen; see trap.h.
 *
 * The catcher runs in a signal handler, between the fault and the program's next instruction,
 * wherever the program was; but never while the guard itself is at work, for its bookkeeping is
 * then half done. Those faults, and those that came while the signal was blocked and another one
 * was waiting already, are told at the end of the section, as without traps. Which have been told
 * is known by their records in the ring. What the hook itself faults and calls is left out, as in
 * a pause; but no pause is open meanwhile, because a hook may leave by siglongjmp.
 */
#include "hot/trap.h"

#include "hot/chains.h"
#include "hot/deliver.h"
#include "hot/pause.h"
#include "hot/sample.h"
#include "hot/section.h"
#include "hot/table.h"

/* The thread whose faults trap: this one, or NULL. */
static ZEROFAULT_THREAD_LOCAL struct zf_hot_thread *trapping;

/* A trap, and its record in the ring if that has one. */
struct catch
{
    struct zf_hot_thread *thread;
    const struct zf_os_trap *trap;
    bool has_record;
    uint64_t from; /* of the record */
    uint64_t to;
    struct zf_os_fault record;
};

/* Search what was recorded since the last trap: the latest record of this address. */
static void find_record(struct catch *found)
{
    struct zf_hot_thread *thread = found->thread;
    uint64_t position = zf_hot_oldest_head(thread);
    uint64_t head;
    struct zf_os_fault fault;
    if (!zf_hot_has_ring(thread))
        return;
    head = *thread->ring.head;
    if (position < thread->trap_position)
        position = thread->trap_position;
    while (position < head) {
        uint64_t from = position;
        if (zf_os_fault_ring_next(&thread->ring, &position, head, &fault) == 0)
            break;
        if (fault.kernel || fault.address != found->trap->address)
            continue;
        found->has_record = true;
        found->record = fault;
        found->from = from;
        found->to = position;
    }
    if (!found->trap->asynchronous)
        thread->trap_position = head;
}

static bool is_wanted_by(const struct catch *caught, uint32_t index)
{
    const struct zf_hot_thread *thread = caught->thread;
    if (!zf_hot_is_counting(thread, index) ||
        zf_hot_policy(thread->tallies[index].section, HOT_FAULT) != HOT_TRAP)
        return false;
    /* A late one may be of the time before. */
    return !caught->trap->asynchronous ||
           (caught->has_record && caught->from >= zf_hot_begin_head(thread, index));
}

static bool is_wanted(const struct catch *caught)
{
    if (caught->has_record && zf_hot_stretches_have(&caught->thread->pauses, caught->from))
        return false; /* a hook's own, come late */
    for (uint32_t index = 1; index < zf_hot_table_end(); ++index)
        if (is_wanted_by(caught, index))
            return true;
    return false;
}

static struct hot_violation describe(const struct catch *caught, const struct hot_section *section)
{
    struct hot_violation violation = zf_hot_describe(caught->thread, section, HOT_FAULT, 1);
    uint64_t chain_position = 0;
    violation.trapped = true;
    violation.asynchronous = caught->trap->asynchronous;
    violation.address = caught->trap->address;
    violation.instruction =
        caught->has_record ? caught->record.instruction : caught->trap->instruction;
    if (caught->has_record) {
        violation.time_ns = caught->record.time_ns;
        zf_hot_chains_attach(caught->thread, &chain_position, &violation);
    }
    return violation;
}

/* Returns true when a section has no hook to be told by. */
static bool tell_sections(const struct catch *caught)
{
    struct zf_hot_thread *thread = caught->thread;
    bool must_stop = false;
    for (uint32_t index = 1; index < zf_hot_table_end(); ++index) {
        struct zf_hot_tally *tally = &thread->tallies[index];
        if (!is_wanted_by(caught, index))
            continue;
        ++zf_hot_force(thread, index)->trapped;
        zf_hot_tell(thread, tally->section, tally, describe(caught, tally->section));
        if (zf_hot_thread_self() != thread)
            break;
        if (tally->section->hook == NULL)
            must_stop = true;
    }
    return must_stop;
}

/* The catcher. */
static bool on_trap(const struct zf_os_trap *trap)
{
    struct catch caught = {.thread = trapping, .trap = trap};
    struct zf_hot_sample before;
    struct zf_hot_sample after;
    struct zf_hot_held held;
    bool must_stop;
    if (caught.thread == NULL || caught.thread->busy)
        return false;
    held = zf_hot_hold(caught.thread);
    before = zf_hot_sample_end(caught.thread, true);
    find_record(&caught);
    must_stop = false;
    if (is_wanted(&caught)) {
        if (caught.has_record)
            zf_hot_stretches_add(&caught.thread->trapped, caught.from, caught.to,
                                 zf_hot_oldest_head(caught.thread));
        must_stop = tell_sections(&caught);
        if (zf_hot_thread_self() != caught.thread)
            return must_stop; /* a hook has detached the thread, or forked */
        after = zf_hot_sample_begin(caught.thread, true);
        if (caught.thread->pause_depth == 0)
            zf_hot_leave_out(caught.thread, &before, &after);
    }
    zf_hot_go_on(caught.thread, held);
    return must_stop;
}

int zf_hot_trap_open(struct zf_hot_thread *thread)
{
    int error = zf_os_trap_open(on_trap, &thread->trap_handle);
    if (error == 0)
        trapping = thread;
    return error;
}

void zf_hot_trap_close(struct zf_hot_thread *thread)
{
    ZF_ASSERT(trapping == thread);
    trapping = NULL;
    zf_os_trap_close(thread->trap_handle);
}
