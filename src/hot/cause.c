/*
 * The likely cause, a decision on the evidence alone: no question is asked here, so that every
 * branch can be tested on a machine that could never show it.
 *
 * What is certain comes first (never warmed, behind the warm bytes), then what leaves traces (a
 * fork, missing pages, hints, splits), and last what is left when the kernel's counters give
 * everything else an alibi. A read is never a copy on write. Where two causes fit equally well the
 * answer is unknown.
 */
#include "hot/evidence.h"

/* May the access have been a write? */
static bool may_write(const struct zf_hot_evidence *evidence)
{
    return evidence->access == HOT_ACCESS_WRITE || evidence->access == HOT_ACCESS_UNKNOWN;
}

/* Unmapped by NUMA balancing: only memory without a policy of its own is. */
static bool is_hinted(const struct zf_hot_evidence *evidence)
{
    return evidence->vmstat_change.numa_hint_faults > 0 && evidence->policy_known &&
           !evidence->has_policy;
}

/* ---------------------------------------------------------------------------------- in an arena */

static bool is_fork_of_arena(const struct zf_hot_evidence *evidence)
{
    if (zf_hot_evidence_is_child(evidence))
        return evidence->arena.fork != WARMUP_FORK_EXCLUDE;
    return zf_hot_evidence_forked(evidence) && evidence->arena.fork == WARMUP_FORK_INHERIT &&
           may_write(evidence);
}

static enum hot_cause cause_of_warm(const struct zf_hot_evidence *evidence)
{
    const struct zf_registry_facts *arena = &evidence->arena;
    const struct zf_machine_vmstat *changed = &evidence->vmstat_change;
    bool lost_huge = evidence->arena_known && evidence->residency.huge_known &&
                     evidence->residency.huge_bytes < arena->huge_bytes;
    if (is_fork_of_arena(evidence))
        return HOT_CAUSE_FORK;
    if (evidence->arena_known && evidence->residency.present_bytes < arena->warm_bytes)
        return HOT_CAUSE_DROPPED;
    if (is_hinted(evidence))
        return HOT_CAUSE_NUMA_HINT;
    if (lost_huge && changed->huge_splits > 0)
        return HOT_CAUSE_HUGE_SPLIT;
    if (changed->pages_migrated > 0)
        return HOT_CAUSE_MOVED;
    return changed->known ? HOT_CAUSE_DROPPED : HOT_CAUSE_UNKNOWN;
}

static enum hot_cause cause_in_arena(const struct hot_violation *violation,
                                     const struct zf_hot_evidence *evidence)
{
    const struct zf_registry_facts *arena = &evidence->arena;
    if (arena->warm_bytes == 0)
        return HOT_CAUSE_NOT_WARMED;
    if (violation->address - arena->begin >= arena->warm_bytes)
        return HOT_CAUSE_BEYOND_WARM;
    return cause_of_warm(evidence);
}

/* ------------------------------------------------------------------------------------ elsewhere */

static bool was_touched_by(const struct zf_hot_evidence *evidence, enum hot_access access)
{
    return evidence->earlier.time_ns != 0 && evidence->earlier.access == access;
}

/* Memory that the process has for itself, without a file. What was written before was there, so
 * that neither zeros nor a first touch can be the cause. */
static enum hot_cause cause_of_memory(const struct zf_hot_evidence *evidence)
{
    bool is_surrounded = evidence->next_known && evidence->next.present && !evidence->next.is_zero;
    bool was_read = was_touched_by(evidence, HOT_ACCESS_READ);
    bool was_written = was_touched_by(evidence, HOT_ACCESS_WRITE);
    bool is_zero = evidence->page_known && evidence->page.is_zero;
    bool zeros_behind = evidence->next_known && evidence->next.is_zero;
    if (may_write(evidence) && !is_zero && (was_read || (zeros_behind && !was_written)))
        return HOT_CAUSE_ZERO_PAGE;
    if (zf_hot_evidence_forked(evidence) && may_write(evidence) && is_surrounded)
        return HOT_CAUSE_FORK;
    if (zf_hot_evidence_is_child(evidence) && may_write(evidence) && is_surrounded)
        return HOT_CAUSE_FORK;
    if (is_hinted(evidence) && is_surrounded)
        return HOT_CAUSE_NUMA_HINT;
    return was_written ? HOT_CAUSE_DROPPED : HOT_CAUSE_FIRST_TOUCH;
}

/* Above what was in use when the thread attached, every page had been touched. */
static enum hot_cause cause_in_stack(const struct hot_violation *violation,
                                     const struct zf_hot_evidence *evidence)
{
    if (evidence->origin_known && violation->address < evidence->origin.stack_mark &&
        evidence->earlier.time_ns == 0)
        return HOT_CAUSE_STACK_DEPTH;
    if (zf_hot_evidence_forked(evidence) && may_write(evidence))
        return HOT_CAUSE_FORK;
    return is_hinted(evidence) ? HOT_CAUSE_NUMA_HINT : HOT_CAUSE_UNKNOWN;
}

/* A private page of a file: shared with the file until the first write, then the process's own,
 * which a fork takes away again. */
static enum hot_cause cause_in_private_file(const struct zf_hot_evidence *evidence)
{
    bool was_written =
        evidence->earlier.time_ns != 0 && evidence->earlier.access != HOT_ACCESS_READ;
    if (!may_write(evidence))
        return HOT_CAUSE_FILE_PAGE;
    return was_written && zf_hot_evidence_forked(evidence) ? HOT_CAUSE_FORK : HOT_CAUSE_DATA_COPY;
}

static bool is_private_file(const struct zf_os_where *where)
{
    return where->kind == ZF_OS_WHERE_FILE && !where->shared && where->writable;
}

static enum hot_cause cause_elsewhere(const struct hot_violation *violation, enum hot_place place,
                                      const struct zf_hot_evidence *evidence)
{
    switch (place) {
    case HOT_PLACE_STACK:
        return cause_in_stack(violation, evidence);
    case HOT_PLACE_CODE:
        return HOT_CAUSE_CODE;
    case HOT_PLACE_SYSTEM:
        return HOT_CAUSE_SYSTEM_PAGE;
    case HOT_PLACE_LINKAGE:
    case HOT_PLACE_DATA:
    case HOT_PLACE_CONSTANTS:
    case HOT_PLACE_FILE:
        if (is_private_file(&evidence->where))
            return cause_in_private_file(evidence);
        return evidence->where.kind == ZF_OS_WHERE_FILE ? HOT_CAUSE_FILE_PAGE
                                                        : cause_of_memory(evidence);
    case HOT_PLACE_OTHER_STACK:
    case HOT_PLACE_THREAD_LOCAL:
    case HOT_PLACE_HEAP:
    case HOT_PLACE_ANONYMOUS:
    case HOT_PLACE_SHARED:
        return cause_of_memory(evidence);
    default:
        return HOT_CAUSE_UNKNOWN;
    }
}

enum hot_cause zf_hot_cause(const struct hot_violation *violation, enum hot_place place,
                            const struct zf_hot_evidence *evidence)
{
    ZF_ASSERT(evidence->is_complete);
    if (!zf_hot_is_fault(violation->kind))
        return HOT_CAUSE_NONE;
    if (violation->kind == HOT_KERNEL_FAULT)
        return HOT_CAUSE_KERNEL;
    if (violation->address == 0)
        return HOT_CAUSE_UNKNOWN;
    if (evidence->in_arena)
        return cause_in_arena(violation, evidence);
    return cause_elsewhere(violation, place, evidence);
}
