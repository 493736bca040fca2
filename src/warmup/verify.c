/*
 * Has anything drifted since the warmup?
 *
 * The cheap look asks the kernel only: presence and huge pages from the page map, locks from its
 * accounting, nodes from move_pages. It changes nothing and faults nothing in. It cannot see that a
 * page has become write-protected (a fork, the merging of equal pages), since no interface shows a
 * page's write bit; forks are counted instead, see arena/repair.c. The exact look writes, which
 * counts such pages and by nature mends them. Drift is less than the last warmup was granted: a
 * wish that was refused then is no drift now.
 */
#include <errno.h>

#include "base/arith.h"
#include "machine/nodes.h"
#include "warmup/run.h"

#define REMEDY_REWARM "Call arena_rewarm, and find out what did this: it will do it again."

/* Less than there was. */
static bool check_item(struct warmup_item *item, size_t found_bytes, size_t before_bytes, int error)
{
    item->granted_bytes = zf_min(found_bytes, item->asked_bytes);
    item->error = 0;
    item->remedy = NULL;
    if (item->granted_bytes >= zf_min(before_bytes, item->asked_bytes))
        return false;
    item->error = error;
    item->remedy = REMEDY_REWARM;
    return true;
}

/* A system that no longer tells is no drift; the item says that it was not seen. */
static void check_unknown(struct warmup_item *item, int error)
{
    item->granted_bytes = 0;
    item->error = item->asked == WARMUP_OFF ? 0 : error;
    item->remedy = item->error == 0 ? NULL : "Mount /proc, and allow move_pages, to have it seen.";
}

/* A write to what was protected or unmapped would be the end of the process. */
static bool check_access(struct zf_warmup_run *run)
{
    struct warmup_item *item = &run->report->populate;
    int rc = zf_warmup_check_writable(run);
    run->accessible = rc == 0;
    if (rc != 0)
        item->remedy = zf_warmup_remedy_populate(rc, WARMUP_LIMIT_NONE);
    return rc != 0;
}

static bool check_presence(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    int rc = zf_warmup_residency(run);
    bool drifted;
    if (rc != 0) {
        check_unknown(&report->populate, rc);
        check_unknown(&report->huge_pages, rc);
        return false;
    }
    drifted =
        check_item(&report->populate, run->residency.present_bytes, report->size_bytes, -EFAULT);
    if (run->residency.huge_known)
        drifted |= check_item(&report->huge_pages, run->residency.huge_bytes,
                              run->region->granted.huge_bytes, -EFAULT);
    else
        check_unknown(&report->huge_pages, -EOPNOTSUPP);
    return drifted;
}

static bool check_locks(struct zf_warmup_run *run)
{
    struct warmup_item *item = &run->report->lock;
    size_t locked_bytes = 0;
    int rc;
    if (item->asked == WARMUP_OFF)
        return false;
    rc = zf_warmup_locked_bytes(run, &locked_bytes);
    if (rc != 0) {
        check_unknown(item, rc);
        return false;
    }
    return check_item(item, locked_bytes, run->region->locked ? run->region->size_bytes : 0,
                      -EFAULT);
}

/* Of a region that a pool backs; a wish for one that was refused is no drift. */
static bool check_pools(struct zf_warmup_run *run)
{
    bool drifted = false;
    for (int pool = 0; pool < ZF_OS_POOLS_COUNT; ++pool) {
        struct warmup_hugetlb *hugetlb = zf_warmup_pool_of(run->report, pool);
        bool served = run->region->pool_page_bytes >= hugetlb->page_bytes;
        drifted |= check_item(&hugetlb->item, served ? run->residency.present_bytes : 0,
                              served ? run->report->size_bytes : 0, -EFAULT);
    }
    return drifted;
}

static bool check_nodes(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    size_t before_bytes = run->region->granted.misplaced_bytes;
    int rc = zf_warmup_count_nodes(run);
    if (report->bind.asked == WARMUP_OFF || run->region->bind_error != 0)
        return false;
    if (rc != 0) {
        check_unknown(&report->bind, rc);
        return false;
    }
    /* Pages that are gone are told of as not present; here, those that have moved away. */
    if (report->misplaced_bytes <= before_bytes)
        (void)check_item(&report->bind, run->in_place_bytes, 0, 0);
    else
        (void)check_item(&report->bind, run->in_place_bytes, SIZE_MAX, -EFAULT);
    return report->misplaced_bytes > before_bytes;
}

/* Write to every page, and count what that took. What it found was drift, although it is mended. */
static bool check_writes(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    bool bound = run->region->bound;
    int rc;
    run->phase = WARMUP_PROVE;
    run->phase_start_ns = zf_os_clock_ns();
    /* Writing to a page that was taken away must not insist on a node. */
    if (bound && zf_region_place(run->region) != 0)
        return false;
    rc = zf_warmup_probe(run);
    if (rc == -EOPNOTSUPP) {
        run->populate_fails = true;
        rc = zf_warmup_probe(run);
    }
    if (bound && rc == 0)
        (void)zf_region_bind(run->region);
    report->spent_ns[WARMUP_PROVE] = zf_os_clock_ns() - run->phase_start_ns;
    report->proven = rc == 0 && report->proof_faults == 0 && run->counting_error == 0;
    if (rc == 0 && report->proof_faults == 0)
        return false;
    if (report->populate.error == 0) {
        report->populate.error = rc != 0 ? rc : -EFAULT;
        report->populate.remedy =
            "Pages were write-protected: do not fork while the arena is hot, nor let equal pages "
            "be "
            "merged. The look has mended them; call arena_rewarm for what it cannot mend.";
    }
    return true;
}

/* Writing takes a page for each that is missing or shared. Where there is no room for them, the
 * cheap look has found drift already, or a fork will be found. */
static bool may_write(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    int rc = 0;
    if (run->accessible && run->region->pool_page_bytes == 0)
        rc = zf_warmup_check_room(run);
    if (rc != 0)
        report->populate.remedy = zf_warmup_remedy_populate(rc, report->limit);
    return run->accessible && rc == 0;
}

int zf_warmup_verify_region(struct zf_region *region, const struct zf_warmup_wishes *wishes,
                            bool exact, struct warmup_report *report)
{
    struct warmup_options options = {.struct_size = sizeof options};
    struct zf_warmup_run run;
    struct zf_os_counters before, after;
    bool drifted;
    ZF_ASSERT(zf_region_is_valid(region));
    ZF_ASSERT(report != NULL);
    zf_warmup_begin(&run, "", region, wishes, &options, report);
    report->freeze = (struct warmup_item){.asked = WARMUP_OFF};
    /* A node that "local" has not become yet is no drift. */
    zf_warmup_learn_nodes(&run);
    run.counting_error = exact ? zf_warmup_check_counting(region->page_bytes) : 0;
    zf_os_counters(&before);
    drifted = check_presence(&run);
    drifted |= check_access(&run);
    drifted |= check_locks(&run);
    drifted |= check_nodes(&run);
    drifted |= check_pools(&run);
    zf_warmup_tell_sizes(&run);
    if (exact && may_write(&run))
        drifted |= check_writes(&run);
    zf_os_counters(&after);
    report->faults_minor = after.faults_minor - before.faults_minor;
    report->faults_major = after.faults_major - before.faults_major;
    report->result = drifted ? -EFAULT : 0;
    return report->result;
}
