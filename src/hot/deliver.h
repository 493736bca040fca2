/*
 * Delivery: what a section's policies make of a finding.
 */
#ifndef ZF_HOT_DELIVER_H
#define ZF_HOT_DELIVER_H

#include "hot/sample.h"

/* The policy for a kind, defaults resolved. */
static inline enum hot_policy zf_hot_policy(const struct hot_section *section, enum hot_kind kind)
{
    enum hot_policy policy = section->policies[kind];
    if (policy == HOT_POLICY_DEFAULT)
        policy = section->policy;
    return policy == HOT_POLICY_DEFAULT ? HOT_COUNT : policy;
}

/* Call the hook, stop or abort, as the section wishes. `thread` and `tally` are NULL where there
 * is no guard. */
void zf_hot_deliver(struct zf_hot_thread *thread, const struct hot_section *section,
                    struct zf_hot_tally *tally, const struct zf_hot_finding *finding);

/* Tell one violation: its hook, or the report that comes before an abort. */
void zf_hot_tell(struct zf_hot_thread *thread, const struct hot_section *section,
                 struct zf_hot_tally *tally, struct hot_violation violation);

/* A violation with nothing known but its kind. */
struct hot_violation zf_hot_describe(const struct zf_hot_thread *thread,
                                     const struct hot_section *section, enum hot_kind kind,
                                     uint64_t count);

/* Name the arena of the violation's address, if one owns it. The names lie in `match`. */
struct zf_registry_match;
void zf_hot_name_arena(struct hot_violation *violation, struct zf_registry_match *match);

#endif
