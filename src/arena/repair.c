/*
 * Verify, rewarm, move: what is done to an arena that is in use.
 *
 * Repairing is warming up again, since each step of a warmup looks before it acts. Moving is
 * warming up with another placement, required for the moment, so that a node that is too small is
 * an error; what has moved by then goes back the same way. The control page goes where the arena
 * goes.
 */
#include <zerofault/arena.h>

#include <errno.h>
#include <string.h>

#include "arena/control.h"
#include "base/options.h"
#include "base/tripwire.h"
#include "machine/nodes.h"

static int check_call(const struct arena *arena, const struct warmup_report *report)
{
    if (arena == NULL || zf_arena_is_wiped(arena) || zf_arena_is_carved(arena) ||
        (report != NULL && zf_result_check(report) != 0))
        return -EINVAL;
    return zf_tripwire_armed() ? -EBUSY : 0;
}

static void give_report(struct warmup_report *report, struct warmup_report *known,
                        const struct arena_control *control)
{
    memcpy(known->name, control->name, sizeof known->name);
    if (report != NULL)
        zf_result_give(report, known, sizeof *known);
}

uint64_t zf_arena_forks(const struct arena_control *control)
{
    struct zf_os_forks then = control->facts.forks, now = zf_os_forks();
    ZF_ASSERT(now.made >= then.made && now.undergone >= then.undergone);
    return control->region.fork_shares ? now.made - then.made + now.undergone - then.undergone : 0;
}

/* Pages that a fork has shared are present as before, and fault at the next write. No interface
 * tells; so forks are counted, and every one marks the arena until it is warmed up again. */
static bool check_forks(const struct arena_control *control, struct warmup_report *report)
{
    report->forks = zf_arena_forks(control);
    if (report->forks == 0)
        return false;
    if (report->populate.error == 0) {
        report->populate.error = -EFAULT;
        report->populate.remedy = "The process has forked since the warmup, so the next write to "
                                  "each page faults: call arena_rewarm after each fork.";
    }
    report->result = -EFAULT;
    return true;
}

/* Whose pages the kernel has moved it does not say, only how many. */
static uint64_t count_migrated(const struct arena_control *control)
{
    const struct zf_machine_vmstat *then = &control->facts.vmstat;
    struct zf_machine_vmstat now;
    zf_machine_vmstat("", &now);
    return now.known && then->known ? now.pages_migrated - then->pages_migrated : 0;
}

/* What no warmup has granted cannot have drifted, and is no better for it. */
static bool check_warmed(const struct arena_control *control, struct warmup_report *report)
{
    if (control->facts.warmups != 0 && control->facts.warm_error == 0)
        return false;
    if (report->populate.error == 0) {
        report->populate.error = -EFAULT;
        report->populate.remedy = "No warmup of this arena has succeeded: call arena_warmup.";
    }
    report->proven = 0;
    report->result = -EFAULT;
    return true;
}

int arena_verify(struct arena *arena, const struct arena_verify_options *options,
                 struct warmup_report *report)
{
    struct arena_verify_options known_options;
    struct warmup_report known, of_page;
    struct zf_warmup_wishes wishes;
    bool exact;
    int rc = check_call(arena, report);
    if (rc == 0)
        rc = zf_options_take(&known_options, sizeof known_options, options);
    if (rc == 0 && (unsigned)known_options.mode > ARENA_VERIFY_EXACT)
        rc = -EINVAL;
    if (rc != 0)
        return rc;
    ZF_ASSERT(zf_arena_is_valid(arena));
    exact = known_options.mode == ARENA_VERIFY_EXACT;
    wishes = arena->control->wishes;
    wishes.forked = zf_arena_forks(arena->control) != 0;
    rc = zf_warmup_verify_region(&arena->control->region, &wishes, exact, &known);
    /* The head drifts as the arena does, and has no items of its own. */
    if (rc == 0) {
        wishes = zf_arena_page_wishes(&arena->control->wishes);
        wishes.bind = WARMUP_OFF;
        rc = zf_warmup_verify_region(&arena->control->control_region, &wishes, exact, &of_page);
        known.result = rc;
        known.proof_faults += of_page.proof_faults;
        known.proven &= rc == 0;
        if (rc != 0) {
            known.populate.error = rc;
            known.populate.remedy = "The arena's own head has drifted: call arena_rewarm.";
        }
    }
    if (check_forks(arena->control, &known))
        rc = -EFAULT;
    if (check_warmed(arena->control, &known))
        rc = -EFAULT;
    known.migrated_pages = count_migrated(arena->control);
    give_report(report, &known, arena->control);
    return rc;
}

int arena_rewarm(struct arena *arena, const struct warmup_options *options,
                 struct warmup_report *report)
{
    return arena_warmup(arena, options, report);
}

/* ----------------------------------------------------------------------------------------- move */

/* Change where both regions belong. 0, or the refusal of the policy. */
static int place(struct arena_control *control, const struct zf_placement *placement,
                 const struct zf_placement *of_page)
{
    control->region.placement = *placement;
    control->region.bind_error = zf_region_place(&control->region);
    control->control_region.placement = *of_page;
    control->control_region.bind_error = zf_region_place(&control->control_region);
    return control->region.bind_error;
}

static int move(struct arena_control *control, const struct zf_placement *placement,
                struct warmup_report *report)
{
    struct warmup_options options = {.struct_size = sizeof options};
    enum warmup_wish bind = control->wishes.bind;
    struct zf_hugetlb_totals pools;
    int rc;
    zf_hugetlb_count("", &control->region.raised, &pools);
    control->wishes.bind = WARMUP_REQUIRE;
    control->wishes.node = zf_placement_node(placement);
    control->wishes.placement = ARENA_PLACE_NODE;
    /* Also with the policy refused: the report says so. */
    (void)place(control, placement, placement);
    rc = zf_arena_warm(control, &options, report);
    if (rc == 0)
        zf_hugetlb_follow("", &control->region.raised, &pools, control->wishes.node);
    control->wishes.bind = bind == WARMUP_OFF ? WARMUP_PREFER : bind;
    if (rc == 0 && bind != WARMUP_REQUIRE)
        rc = zf_region_place(&control->region);
    return rc;
}

int arena_move(struct arena *arena, int node, struct warmup_report *report)
{
    struct warmup_options options = {.struct_size = sizeof options};
    struct warmup_report known, of_return;
    struct zf_placement target, before, page_before;
    struct zf_warmup_wishes wishes_before;
    struct arena_control *control;
    bool warm_before;
    int rc = check_call(arena, report);
    if (rc != 0 || node < 0)
        return rc != 0 ? rc : -EINVAL;
    if (node >= ZF_NODES_MAX)
        return -ENODEV;
    ZF_ASSERT(zf_arena_is_valid(arena));
    target = zf_placement_at(node);
    rc = zf_nodes_check("", &target.nodes);
    if (rc != 0)
        return rc;
    control = arena->control;
    before = control->region.placement;
    page_before = control->control_region.placement;
    wishes_before = control->wishes;
    warm_before = control->facts.warm_bytes != 0;
    rc = move(control, &target, &known);
    give_report(report, &known, control);
    if (rc == 0)
        return 0;
    control->wishes = wishes_before;
    (void)place(control, &before, &page_before);
    if (warm_before)
        (void)zf_arena_warm(control, &options, &of_return);
    return rc;
}
