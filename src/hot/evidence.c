/*
 * Gathering evidence; see evidence.h. What changes with time is taken in the first step: what of
 * the arena was handed out, how many forks there were, what the ring remembers. Only the faulting
 * thread's own ring may be read, because its owner writes to it without a lock; asked from another
 * thread, a violation comes without an earlier fault. What the second step finds is the state of
 * things when it is asked, which is why asking soon is better.
 */
#include "hot/evidence.h"

#include <string.h>

#include "base/arith.h"
#include "hot/access.h"
#include "hot/table.h"

#define CODE_BYTES 16 /* more than any instruction has */

/* ----------------------------------------------------------------------------------- first step */

static uintptr_t page_of(uintptr_t address)
{
    return zf_align_down(address, zf_os_page_bytes());
}

/* The last fault on the same page that the ring has from before this one. */
static void find_earlier(const struct zf_hot_thread *thread, const struct hot_violation *violation,
                         struct zf_hot_earlier *earlier)
{
    uint64_t position = 0;
    uint64_t to;
    struct zf_os_fault fault;
    if (!zf_hot_has_ring(thread))
        return;
    to = *thread->ring.head;
    while (zf_os_fault_ring_next(&thread->ring, &position, to, &fault) != 0 &&
           fault.time_ns < violation->time_ns)
        if (page_of(fault.address) == page_of(violation->address)) {
            earlier->time_ns = fault.time_ns;
            earlier->instruction = fault.instruction;
        }
}

void zf_hot_evidence_take(const struct hot_violation *violation, struct zf_hot_evidence *evidence)
{
    const struct zf_hot_thread *thread = zf_hot_thread_self();
    memset(evidence, 0, sizeof *evidence);
    ZF_ASSERT(violation != NULL);
    if (!zf_hot_is_fault(violation->kind))
        return;
    evidence->forks = zf_os_forks();
    if (thread != NULL && thread->thread_id == violation->thread_id) {
        evidence->origin_known = true;
        evidence->origin = thread->origin;
    }
    if (violation->address == 0)
        return;
    evidence->in_arena = zf_registry_ask(violation->address, &evidence->arena);
    if (thread != NULL && evidence->origin_known)
        find_earlier(thread, violation, &evidence->earlier);
}

/* ---------------------------------------------------------------------------------- second step */

/* Only where code can be read; an object may have been unloaded since. */
static enum hot_access access_of(uintptr_t instruction)
{
    struct zf_os_where where;
    if (instruction == 0 || zf_os_where(instruction, &where) != 0)
        return HOT_ACCESS_UNKNOWN;
    if (!where.readable || where.end - instruction < CODE_BYTES)
        return HOT_ACCESS_UNKNOWN;
    return zf_hot_access((const unsigned char *)instruction);
}

static void find_access(const struct hot_violation *violation, struct zf_hot_evidence *evidence)
{
    if (violation->kind == HOT_KERNEL_FAULT)
        return;
    evidence->access = access_of(violation->instruction);
    /* An instruction lies across two pages at most. */
    if (page_of(violation->address) == page_of(violation->instruction) ||
        violation->address - violation->instruction < CODE_BYTES)
        evidence->access = HOT_ACCESS_EXECUTE;
    if (evidence->earlier.time_ns != 0)
        evidence->earlier.access = access_of(evidence->earlier.instruction);
}

static void find_pages(const struct hot_violation *violation, struct zf_hot_evidence *evidence)
{
    uintptr_t next = page_of(violation->address) + zf_os_page_bytes();
    evidence->page_known = zf_os_page(violation->address, &evidence->page) == 0;
    if (evidence->where_error == 0 && next < evidence->where.end)
        evidence->next_known = zf_os_page(next, &evidence->next) == 0;
    evidence->policy_known = zf_os_has_policy(violation->address, &evidence->has_policy) == 0;
}

static void find_residency(struct zf_hot_evidence *evidence)
{
    size_t warm_bytes = zf_align_down(evidence->arena.warm_bytes, zf_os_page_bytes());
    if (!evidence->in_arena || warm_bytes == 0 || evidence->where_error != 0)
        return;
    evidence->arena_known =
        zf_os_residency((const void *)evidence->arena.begin, warm_bytes, &evidence->residency) == 0;
}

static uint64_t change(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

static void find_changes(struct zf_hot_evidence *evidence)
{
    const struct zf_machine_vmstat *from = NULL;
    struct zf_machine_vmstat now;
    if (evidence->in_arena && evidence->arena.vmstat.known)
        from = &evidence->arena.vmstat;
    else if (evidence->origin_known && evidence->origin.vmstat.known)
        from = &evidence->origin.vmstat;
    if (from == NULL)
        return;
    zf_machine_vmstat("", &now);
    evidence->vmstat_change = (struct zf_machine_vmstat){
        .known = now.known,
        .numa_hint_faults = change(from->numa_hint_faults, now.numa_hint_faults),
        .pages_migrated = change(from->pages_migrated, now.pages_migrated),
        .huge_splits = change(from->huge_splits, now.huge_splits),
        .swapped_in = change(from->swapped_in, now.swapped_in),
    };
}

void zf_hot_evidence_complete(const struct hot_violation *violation,
                              struct zf_hot_evidence *evidence)
{
    evidence->is_complete = true;
    if (!zf_hot_is_fault(violation->kind))
        return;
    if (!evidence->origin_known)
        evidence->origin_known = zf_hot_table_origin(violation->thread_id, &evidence->origin);
    find_changes(evidence);
    if (violation->address == 0)
        return;
    evidence->where_error = zf_os_where(violation->address, &evidence->where);
    zf_hot_table_owner(violation->address, &evidence->stack_of, &evidence->locals_of);
    find_access(violation, evidence);
    find_pages(violation, evidence);
    find_residency(evidence);
}

/* ------------------------------------------------------------------------------------ questions */

static const struct zf_os_forks *forks_before(const struct zf_hot_evidence *evidence)
{
    if (evidence->in_arena)
        return &evidence->arena.forks;
    return evidence->origin_known ? &evidence->origin.forks : NULL;
}

bool zf_hot_evidence_forked(const struct zf_hot_evidence *evidence)
{
    const struct zf_os_forks *before = forks_before(evidence);
    return before != NULL && evidence->forks.made > before->made;
}

bool zf_hot_evidence_is_child(const struct zf_hot_evidence *evidence)
{
    const struct zf_os_forks *before = forks_before(evidence);
    return before != NULL && evidence->forks.undergone > before->undergone;
}
