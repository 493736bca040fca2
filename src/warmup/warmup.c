/*
 * Runs the steps of a warmup in their order and settles the report; see warmup.h.
 *
 * Each step fails the warmup only for what is required; what it was refused beyond that it leaves
 * in the report. However the warmup ends, the granted bytes are asked of the system once more at
 * the end, so that the report shows the region as it is and not as it was meant. A failed warmup
 * leaves the pages it has made; the next one continues.
 */
#include "warmup/warmup.h"

#include <errno.h>
#include <string.h>

#include <zerofault/probes.h>

#include "base/arith.h"
#include "warmup/run.h"

/* The largest with which others wait for the address space no longer than with the smallest:
 * measured in docs/warmup.md. */
#define CHUNK_BYTES_DEFAULT ((size_t)4 << 20)

int zf_warmup_residency(struct zf_warmup_run *run)
{
    struct zf_os_residency residency;
    int rc = zf_os_residency(run->region->base, run->region->size_bytes, &residency);
    ZF_ASSERT(rc != 0 || residency.present_bytes <= run->region->size_bytes);
    ZF_ASSERT(rc != 0 || residency.huge_bytes <= residency.present_bytes);
    if (rc == 0)
        run->residency = residency;
    run->residency_error = rc;
    return rc;
}

int zf_warmup_locked_bytes(const struct zf_warmup_run *run, size_t *locked_bytes)
{
    return zf_os_locked_bytes(run->region->base, run->region->size_bytes,
                              run->residency_error == 0 ? &run->residency : NULL, locked_bytes);
}

static size_t choose_chunk(const struct zf_region *region, size_t wished_bytes)
{
    size_t unit = region->huge_wished ? region->huge_page_bytes : zf_region_unit_bytes(region);
    size_t chunk_bytes = wished_bytes == 0 ? CHUNK_BYTES_DEFAULT : wished_bytes;
    if (!zf_align_up(chunk_bytes, unit, &chunk_bytes))
        chunk_bytes = zf_align_down(SIZE_MAX, unit);
    return chunk_bytes;
}

static struct warmup_item ask(enum warmup_wish wish, size_t size_bytes)
{
    return (struct warmup_item){.asked = wish, .asked_bytes = wish == WARMUP_OFF ? 0 : size_bytes};
}

/* A wish that was settled when the region was made. */
static void settle_at_creation(struct warmup_item *item, int error, const char *remedy)
{
    ZF_ASSERT((error == 0) == (remedy == NULL));
    item->error = error;
    item->granted_bytes = error == 0 ? item->asked_bytes : 0;
    item->remedy = remedy;
}

void zf_warmup_tell_settled(struct zf_warmup_run *run)
{
    const struct zf_region *region = run->region;
    struct warmup_report *report = run->report;
    bool named = region->named && region->name_error != -EOPNOTSUPP;
    const char *remedy = zf_warmup_remedy_fork(region->fork_error);
    if (region->pool_page_bytes != 0 && region->fork_error == -EOPNOTSUPP)
        remedy =
            "Leave `fork` at its default: reserved huge pages cannot be wiped in a child, which "
            "has none of them instead.";
    report->fork = ask(run->wishes->fork == WARMUP_FORK_INHERIT ? WARMUP_OFF : WARMUP_PREFER,
                       region->size_bytes);
    report->name_item = ask(named ? WARMUP_PREFER : WARMUP_OFF, region->size_bytes);
    settle_at_creation(&report->fork, region->fork_error, remedy);
    if (named)
        settle_at_creation(&report->name_item, region->name_error,
                           region->name_error == 0 ? NULL : "Give the arena a shorter name.");
}

static void begin_report(struct zf_warmup_run *run)
{
    const struct zf_region *region = run->region;
    const struct zf_warmup_wishes *wishes = run->wishes;
    struct warmup_report *report = run->report;
    size_t size_bytes = region->size_bytes;
    memset(report, 0, sizeof *report);
    report->struct_size = sizeof *report;
    report->size_bytes = size_bytes;
    report->page_bytes = region->page_bytes;
    report->huge_page_bytes = region->huge_page_bytes;
    report->node = wishes->node;
    report->placement = wishes->placement;
    report->populate = ask(WARMUP_REQUIRE, size_bytes);
    report->bind = ask(wishes->bind, size_bytes);
    report->huge_pages =
        ask(wishes->huge_pages,
            region->huge_page_bytes == 0 ? size_bytes : zf_region_huge_part_bytes(region));
    report->lock = ask(wishes->lock, size_bytes);
    report->freeze = ask(WARMUP_PREFER, size_bytes);
    report->huge_pages.error = region->pool_page_bytes != 0 ? 0 : region->huge_error;
    report->bind.error = region->bind_error;
    report->home_node = zf_placement_node(&region->placement);
    if (wishes->huge_pages != WARMUP_OFF)
        report->transparent_sizes = zf_transparent_sizes(run->root);
    zf_warmup_ask_pools(run);
    zf_warmup_tell_settled(run);
}

void zf_warmup_begin(struct zf_warmup_run *run, const char *root, struct zf_region *region,
                     const struct zf_warmup_wishes *wishes, const struct warmup_options *options,
                     struct warmup_report *report)
{
    *run = (struct zf_warmup_run){.root = root,
                                  .region = region,
                                  .wishes = wishes,
                                  .options = options,
                                  .report = report,
                                  .threads = 1,
                                  .chunk_bytes = choose_chunk(region, options->chunk_bytes)};
    begin_report(run);
}

/* What is so at the end, whatever the steps have claimed. */
static void end_report(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    size_t locked_bytes;
    /* A proof has just asked. */
    if (report->result != 0)
        (void)zf_warmup_residency(run);
    /* Pages that were proven not to fault are there, also where the system cannot tell. */
    if (run->residency_error != 0 && report->proven)
        run->residency.present_bytes = report->size_bytes;
    report->populate.granted_bytes = run->residency.present_bytes;
    /* A warmup that came to its end has just counted. */
    if ((report->result == 0 || zf_warmup_count_nodes(run) == 0) &&
        report->bind.asked != WARMUP_OFF && run->region->bind_error == 0)
        report->bind.granted_bytes = zf_min(run->in_place_bytes, report->bind.asked_bytes);
    report->bind.remedy = zf_warmup_remedy_bind(report->bind.error, report->limit);
    report->huge_pages.granted_bytes =
        zf_min(run->residency.huge_bytes, report->huge_pages.asked_bytes);
    /* Asking is slow, and once is enough when all of it was found locked. */
    if (report->lock.asked != WARMUP_OFF && report->lock.granted_bytes == 0 &&
        zf_warmup_locked_bytes(run, &locked_bytes) == 0)
        report->lock.granted_bytes = locked_bytes;
    report->populate.remedy = zf_warmup_remedy_populate(report->populate.error, report->limit);
    zf_warmup_tell_pools(run);
    zf_warmup_tell_sizes(run);
    report->huge_pages.remedy =
        zf_warmup_remedy_huge(report->huge_pages.error, run->huge_switched_off);
    report->lock.remedy = zf_warmup_remedy_lock(report->lock.error);
    report->threads_remedy = zf_warmup_remedy_threads(report->threads_error);
}

static int run_phases(struct zf_warmup_run *run)
{
    static int (*const steps[WARMUP_PHASE_COUNT])(struct zf_warmup_run *) = {
        [WARMUP_PREFLIGHT] = zf_warmup_preflight, [WARMUP_POPULATE] = zf_warmup_populate,
        [WARMUP_COLLAPSE] = zf_warmup_collapse,   [WARMUP_LOCK] = zf_warmup_lock,
        [WARMUP_FREEZE] = zf_warmup_freeze,       [WARMUP_PROVE] = zf_warmup_prove};
    for (int phase = 0; phase < WARMUP_PHASE_COUNT; ++phase) {
        int rc;
        run->phase = (enum warmup_phase)phase;
        run->report->last_phase = run->phase;
        run->report->done_bytes = 0;
        ZEROFAULT_PROBE3(warmup_phase_begin, run->wishes->name, warmup_phase_name(run->phase),
                         run->region->size_bytes);
        run->phase_start_ns = zf_os_clock_ns();
        rc = steps[phase](run);
        run->report->spent_ns[phase] = zf_os_clock_ns() - run->phase_start_ns;
        ZEROFAULT_PROBE4(warmup_phase_end, run->wishes->name, warmup_phase_name(run->phase),
                         run->report->spent_ns[phase], rc);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int zf_warmup_region_at(const char *root, struct zf_region *region,
                        const struct zf_warmup_wishes *wishes, const struct warmup_options *options,
                        struct warmup_report *report)
{
    struct zf_warmup_run run;
    struct zf_os_counters before, after;
    ZF_ASSERT(zf_region_is_valid(region));
    ZF_ASSERT(wishes->bind != WARMUP_DEFAULT && wishes->huge_pages != WARMUP_DEFAULT &&
              wishes->lock != WARMUP_DEFAULT);
    zf_warmup_begin(&run, root, region, wishes, options, report);
    run.counting_error = zf_warmup_check_counting(region->page_bytes);
    zf_os_counters(&before);
    report->result = run_phases(&run);
    /* A lock is all or nothing. */
    if (report->result != 0 && run.locked_ahead && !region->locked)
        (void)zf_os_unlock(region->base, region->size_bytes);
    zf_os_counters(&after);
    report->faults_minor = after.faults_minor - before.faults_minor + run.of_helpers.faults_minor;
    report->faults_major = after.faults_major - before.faults_major + run.of_helpers.faults_major;
    end_report(&run);
    region->pools_passed = region->pools_passed || report->result == 0;
    if (report->result == 0)
        region->granted =
            (struct zf_region_granted){report->huge_pages.granted_bytes, report->misplaced_bytes};
    return report->result;
}

int zf_warmup_region(struct zf_region *region, const struct zf_warmup_wishes *wishes,
                     const struct warmup_options *options, struct warmup_report *report)
{
    return zf_warmup_region_at("", region, wishes, options, report);
}
