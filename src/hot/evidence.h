/*
 * Evidence: everything that is known about a page fault beyond its record, gathered in two steps.
 *
 * The first step runs where the fault is told, at the end of a section or in the handler of a trap,
 * and makes no system call, takes no lock that it would have to wait for and allocates nothing. The
 * second runs when somebody wants it explained.
 */
#ifndef ZF_HOT_EVIDENCE_H
#define ZF_HOT_EVIDENCE_H

#include <zerofault/hot_report.h>

#include "arena/registry.h"
#include "hot/thread.h"

/* What a page was touched by before, as far as the fault ring remembers. */
struct zf_hot_earlier {
    uint64_t time_ns; /* 0: not that it were known */
    uintptr_t instruction;
    enum hot_access access; /* second step */
};

struct zf_hot_evidence {
    /* First step. */
    bool in_arena;
    struct zf_registry_facts arena; /* when in_arena */
    bool origin_known;              /* the guard of the faulting thread could be asked */
    struct zf_hot_origin origin;    /* how things were when it attached */
    struct zf_os_forks forks;       /* until now */
    struct zf_hot_earlier earlier;  /* fault of that thread on the same page */

    /* Second step. */
    bool is_complete;
    int where_error; /* 0, or why `where` is not known */
    struct zf_os_where where;
    uint32_t stack_of;  /* thread whose stack the address lies in; 0 none known */
    uint32_t locals_of; /* the same for thread-local variables */
    enum hot_access access;
    bool page_known;
    struct zf_os_page page; /* now */
    bool next_known;
    struct zf_os_page next; /* the page above it */
    bool policy_known;
    bool has_policy; /* of the system's own, see zf_os_has_policy */
    bool arena_known;
    struct zf_os_residency residency;       /* of the arena's warm bytes, when arena_known */
    struct zf_machine_vmstat vmstat_change; /* since the warmup, or since the thread attached */
};

/* The first step, for a violation of any kind. */
void zf_hot_evidence_take(const struct hot_violation *violation, struct zf_hot_evidence *evidence);

/* The second step. */
void zf_hot_evidence_complete(const struct hot_violation *violation,
                              struct zf_hot_evidence *evidence);

/* Is it a page fault at all? */
static inline bool zf_hot_is_fault(enum hot_kind kind)
{
    return kind == HOT_FAULT || kind == HOT_MAJOR_FAULT || kind == HOT_KERNEL_FAULT;
}

/* Has the process made a child since the arena was warmed, or since the thread attached? */
bool zf_hot_evidence_forked(const struct zf_hot_evidence *evidence);

/* Is this process itself a child made since then? */
bool zf_hot_evidence_is_child(const struct zf_hot_evidence *evidence);

/* What the address is. */
enum hot_place zf_hot_place(const struct hot_violation *violation,
                            const struct zf_hot_evidence *evidence);

/* Why it faulted, most likely. */
enum hot_cause zf_hot_cause(const struct hot_violation *violation, enum hot_place place,
                            const struct zf_hot_evidence *evidence);

/* The sentence that says so, and the one that helps; the latter NULL where none does. */
const char *zf_hot_cause_sentence(const struct hot_violation *violation, enum hot_cause cause);
const char *zf_hot_cause_remedy(const struct hot_violation *violation, enum hot_cause cause);

/* Put the evidence into words, a line each. */
void zf_hot_evidence_tell(const struct hot_violation *violation,
                          const struct zf_hot_evidence *evidence,
                          struct hot_description *description);

#endif
