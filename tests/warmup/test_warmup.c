/*
 * Warmups on the real kernel: afterwards no page faults, and the report says what is so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include "support/child.h"
#include "support/needs.h"
#include "support/pages.h"
#include "warmup/warmup.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)

/* Small pages, and everything else that a machine of the tests always grants. */
static const struct zf_warmup_wishes plain = {.bind = WARMUP_PREFER,
                                              .huge_pages = WARMUP_OFF,
                                              .lock = WARMUP_PREFER,
                                              .fork = WARMUP_FORK_EXCLUDE,
                                              .node = -1};

static struct zf_warmup_wishes huge_required(void)
{
    struct zf_warmup_wishes wishes = plain;
    wishes.huge_pages = WARMUP_REQUIRE;
    return wishes;
}

static struct zf_region create(size_t size_bytes, const struct zf_warmup_wishes *wishes)
{
    struct zf_region_options options = {.size_bytes = size_bytes,
                                        .node = wishes->node,
                                        .bind = wishes->bind,
                                        .huge_pages = wishes->huge_pages,
                                        .fork = wishes->fork};
    struct zf_region region;
    assert_int_equal(zf_region_create(&region, &options), 0);
    return region;
}

static struct warmup_report warm(struct zf_region *region, const struct zf_warmup_wishes *wishes)
{
    struct warmup_options options = {.struct_size = sizeof options};
    struct warmup_report report;
    int rc = zf_warmup_region(region, wishes, &options, &report);
    assert_int_equal(rc, report.result);
    return report;
}

static void assert_proven(const struct warmup_report *report)
{
    assert_int_equal(report->result, 0);
    assert_int_equal(report->proven, 1);
    assert_int_equal(report->proof_faults, 0);
    assert_int_equal(report->populate.error, 0);
    assert_int_equal(report->populate.granted_bytes, report->size_bytes);
    assert_int_equal(report->populate.asked_bytes, report->size_bytes);
    assert_null(report->populate.remedy);
    assert_int_equal(report->limit, WARMUP_LIMIT_NONE);
}

static void assert_granted(const struct warmup_item *item)
{
    assert_int_equal(item->error, 0);
    assert_int_equal(item->granted_bytes, item->asked_bytes);
    assert_null(item->remedy);
}

/* ------------------------------------------------------------------------------------ no faults */

/* A part of a region that a thread writes to. */
struct part {
    unsigned char *base;
    size_t size_bytes;
    uint64_t faults;
};

static void *write_part(void *context)
{
    struct part *part = context;
    part->faults = faults_of_writing(part->base, part->size_bytes);
    return NULL;
}

/* The first half from this thread, the second from another one. */
static void assert_no_faults_left(const struct zf_region *region)
{
    size_t half_bytes = region->size_bytes / 2 / PAGE * PAGE;
    struct part other = {(unsigned char *)region->base + half_bytes,
                         region->size_bytes - half_bytes, 1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_part, &other), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(other.faults, 0);
    assert_int_equal(faults_of_writing(region->base, half_bytes), 0);
}

static void small_pages_do_not_fault_after_a_warmup(void **state)
{
    struct zf_region region = create(16 * MIB, &plain);
    struct warmup_report report = warm(&region, &plain);
    (void)state;
    assert_proven(&report);
    assert_true(report.faults_minor >= 16 * MIB / PAGE);
    assert_int_equal(report.page_bytes, PAGE);
    assert_no_faults_left(&region);
    zf_region_destroy(&region);
}

static void huge_pages_do_not_fault_after_a_warmup(void **state)
{
    struct zf_warmup_wishes wishes = huge_required();
    struct warmup_report report;
    struct zf_region region;
    (void)state;
    need("transparent huge pages", zf_os_huge_page_bytes() != 0, "this kernel has none");
    region = create(16 * MIB, &wishes);
    report = warm(&region, &wishes);
    assert_proven(&report);
    assert_granted(&report.huge_pages);
    assert_int_equal(report.huge_pages.asked_bytes, 16 * MIB);
    assert_true(report.faults_minor < 16 * MIB / PAGE / 2);
    assert_no_faults_left(&region);
    zf_region_destroy(&region);
}

static void the_tail_behind_the_last_huge_page_is_warm_too(void **state)
{
    struct zf_warmup_wishes wishes = huge_required();
    struct warmup_report report;
    struct zf_region region;
    (void)state;
    need("transparent huge pages", zf_os_huge_page_bytes() != 0, "this kernel has none");
    region = create(2 * zf_os_huge_page_bytes() + 3 * PAGE, &wishes);
    report = warm(&region, &wishes);
    assert_proven(&report);
    assert_int_equal(report.huge_pages.asked_bytes, 2 * zf_os_huge_page_bytes());
    assert_granted(&report.huge_pages);
    assert_no_faults_left(&region);
    zf_region_destroy(&region);
}

static void a_region_too_small_for_a_huge_page_asks_for_none(void **state)
{
    struct zf_warmup_wishes wishes = huge_required();
    struct warmup_report report;
    struct zf_region region;
    (void)state;
    need("transparent huge pages", zf_os_huge_page_bytes() != 0, "this kernel has none");
    region = create(3 * PAGE, &wishes);
    report = warm(&region, &wishes);
    assert_proven(&report);
    assert_int_equal(report.huge_pages.asked_bytes, 0);
    assert_granted(&report.huge_pages);
    zf_region_destroy(&region);
}

static void small_pages_that_came_first_are_collapsed(void **state)
{
    struct zf_warmup_wishes wishes = huge_required();
    struct warmup_report report;
    struct zf_region region;
    (void)state;
    need("transparent huge pages", zf_os_huge_page_bytes() != 0, "this kernel has none");
    need("collapse", madvise(NULL, 0, 25) == 0, "this kernel has no MADV_COLLAPSE");
    region = create(8 * MIB, &wishes);
    assert_int_equal(zf_os_advise(region.base, 8 * MIB, ZF_OS_HUGE_FROZEN), 0);
    assert_int_equal(faults_of_writing(region.base, 8 * MIB), 8 * MIB / PAGE);

    report = warm(&region, &wishes);

    assert_proven(&report);
    assert_granted(&report.huge_pages);
    assert_int_equal(report.huge_pages.granted_bytes, 8 * MIB);
    assert_no_faults_left(&region);
    zf_region_destroy(&region);
}

static void a_warmup_keeps_content(void **state)
{
    struct zf_region region = create(64 * PAGE, &plain);
    unsigned char *bytes = region.base;
    struct warmup_report report;
    (void)state;
    for (size_t i = 0; i < region.size_bytes; i += 100)
        bytes[i] = (unsigned char)(i * 7);
    report = warm(&region, &plain);
    assert_proven(&report);
    for (size_t i = 0; i < region.size_bytes; i += 100)
        assert_int_equal(bytes[i], (unsigned char)(i * 7));
    zf_region_destroy(&region);
}

/* ------------------------------------------------------------------------------ lock and freeze */

static void every_wish_is_reported_as_found(void **state)
{
    struct zf_region region = create(MIB, &plain);
    struct warmup_report report = warm(&region, &plain);
    (void)state;
    assert_proven(&report);
    assert_int_equal(report.method, madvise(NULL, 0, 23) == 0 ? WARMUP_METHOD_POPULATE_WRITE
                                                              : WARMUP_METHOD_MLOCK);
    assert_granted(&report.lock);
    assert_int_equal(report.lock.granted_bytes, MIB);
    assert_true(region.locked);
    assert_true(mapping_has_flag(region.base, "lo"));
    assert_granted(&report.fork);
    assert_granted(&report.freeze);
    assert_int_equal(report.freeze.granted_bytes, MIB);
    assert_true(mapping_has_flag(region.base, "nh"));
    assert_int_equal(report.name_item.asked, WARMUP_OFF);
    assert_int_equal(report.huge_pages.asked, WARMUP_OFF);
    assert_int_equal(report.huge_pages.asked_bytes, 0);
    assert_int_equal(report.node, -1);
    assert_int_equal(report.struct_size, sizeof report);
    zf_region_destroy(&region);
}

static void lock_off_locks_nothing(void **state)
{
    struct zf_warmup_wishes wishes = plain;
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    wishes.lock = WARMUP_OFF;
    wishes.bind = WARMUP_OFF;
    wishes.fork = WARMUP_FORK_INHERIT;
    region = create(MIB, &wishes);
    report = warm(&region, &wishes);
    assert_proven(&report);
    assert_false(mapping_has_flag(region.base, "lo"));
    assert_false(region.locked);
    assert_int_equal(report.lock.asked_bytes + report.lock.granted_bytes, 0);
    assert_int_equal(report.bind.asked, WARMUP_OFF);
    assert_int_equal(report.bind.granted_bytes, 0);
    assert_int_equal(report.fork.asked, WARMUP_OFF);
    zf_region_destroy(&region);
}

static void a_warmup_takes_page_merging_off(void **state)
{
    struct zf_region region = create(MIB, &plain);
    struct warmup_report report;
    (void)state;
    need("KSM", madvise(region.base, MIB, MADV_MERGEABLE) == 0, "this kernel merges no pages");
    assert_true(mapping_has_flag(region.base, "mg"));
    report = warm(&region, &plain);
    assert_proven(&report);
    assert_false(mapping_has_flag(region.base, "mg"));
    zf_region_destroy(&region);
}

/* A warmup in a child without privileges. */
struct attempt {
    enum warmup_wish lock;
    size_t lockable_bytes;
    int setup;
    bool locked;
    uint64_t faults;
    struct warmup_report report;
};

static void attempt_unprivileged(void *shared)
{
    struct attempt *attempt = shared;
    struct warmup_options options = {.struct_size = sizeof options};
    struct zf_warmup_wishes wishes = plain;
    struct zf_region_options region_options = {
        .size_bytes = 4 * MIB, .node = -1, .bind = WARMUP_PREFER, .huge_pages = WARMUP_OFF};
    struct zf_region region;
    wishes.lock = attempt->lock;
    attempt->setup = drop_privileges(attempt->lockable_bytes);
    if (attempt->setup == 0)
        attempt->setup = zf_region_create(&region, &region_options);
    if (attempt->setup != 0)
        return;
    (void)zf_warmup_region(&region, &wishes, &options, &attempt->report);
    attempt->locked = mapping_has_flag(region.base, "lo");
    attempt->faults = faults_of_writing(region.base, region.size_bytes);
    zf_region_destroy(&region);
}

static void a_lock_over_the_limit_is_reported_when_preferred(void **state)
{
    struct attempt *attempt = shared_create(sizeof *attempt);
    struct warmup_report *report = &attempt->report;
    (void)state;
    attempt->lock = WARMUP_PREFER;
    attempt->lockable_bytes = 1 * MIB;

    assert_int_equal(run_in_child(attempt_unprivileged, attempt), 0);

    assert_int_equal(attempt->setup, 0);
    assert_int_equal(report->result, 0);
    assert_int_equal(report->proven, 1);
    assert_int_equal(report->lock.error, -ENOMEM);
    assert_int_equal(report->lock.granted_bytes, 0);
    assert_int_equal(report->lock.asked_bytes, 4 * MIB);
    assert_non_null(report->lock.remedy);
    assert_int_equal(report->limit, WARMUP_LIMIT_MEMLOCK);
    assert_int_equal(report->limit_needed_bytes, 4 * MIB);
    assert_int_equal(report->limit_free_bytes, 1 * MIB);
    assert_false(attempt->locked);
    assert_int_equal(attempt->faults, 0);
    shared_destroy(attempt, sizeof *attempt);
}

static void a_lock_over_the_limit_fails_when_required(void **state)
{
    struct attempt *attempt = shared_create(sizeof *attempt);
    struct warmup_report *report = &attempt->report;
    (void)state;
    attempt->lock = WARMUP_REQUIRE;
    attempt->lockable_bytes = 1 * MIB;

    assert_int_equal(run_in_child(attempt_unprivileged, attempt), 0);

    assert_int_equal(attempt->setup, 0);
    assert_int_equal(report->result, -ENOMEM);
    assert_int_equal(report->proven, 0);
    assert_int_equal(report->lock.error, -ENOMEM);
    assert_non_null(report->lock.remedy);
    assert_int_equal(report->limit, WARMUP_LIMIT_MEMLOCK);
    assert_int_equal(report->populate.granted_bytes, 0);
    assert_int_equal(attempt->faults, 4 * MIB / PAGE);
    shared_destroy(attempt, sizeof *attempt);
}

static void a_lock_within_the_limit_needs_no_privilege(void **state)
{
    struct attempt *attempt = shared_create(sizeof *attempt);
    (void)state;
    attempt->lock = WARMUP_REQUIRE;
    attempt->lockable_bytes = 4 * MIB;

    assert_int_equal(run_in_child(attempt_unprivileged, attempt), 0);

    assert_int_equal(attempt->setup, 0);
    assert_proven(&attempt->report);
    assert_granted(&attempt->report.lock);
    assert_true(attempt->locked);
    assert_int_equal(attempt->faults, 0);
    shared_destroy(attempt, sizeof *attempt);
}

/* -------------------------------------------------------------------------------- again, repair */

static void a_second_warmup_has_nothing_to_do(void **state)
{
    struct zf_region region = create(16 * MIB, &plain);
    struct warmup_report report = warm(&region, &plain);
    (void)state;
    assert_proven(&report);
    report = warm(&region, &plain);
    assert_proven(&report);
    assert_granted(&report.lock);
    assert_true(report.faults_minor < 16 * MIB / PAGE / 4);
    zf_region_destroy(&region);
}

static void a_second_warmup_brings_back_what_was_taken_away(void **state)
{
    struct zf_warmup_wishes wishes = plain;
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    wishes.lock = WARMUP_OFF;
    region = create(4 * MIB, &wishes);
    report = warm(&region, &wishes);
    assert_proven(&report);
    assert_int_equal(madvise((unsigned char *)region.base + MIB, MIB, MADV_DONTNEED), 0);
    report = warm(&region, &wishes);
    assert_proven(&report);
    assert_no_faults_left(&region);
    zf_region_destroy(&region);
}

/* A child that holds a copy-on-write copy until the pipe closes. */
static pid_t fork_holder(int *end)
{
    int ends[2];
    char byte;
    pid_t child;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        close(ends[1]);
        (void)!read(ends[0], &byte, 1);
        _exit(0);
    }
    assert_true(child > 0);
    close(ends[0]);
    *end = ends[1];
    return child;
}

static void fork_leaves_an_excluded_region_warm(void **state)
{
    struct zf_region region = create(4 * MIB, &plain);
    struct warmup_report report = warm(&region, &plain);
    int end, status;
    pid_t child;
    (void)state;
    assert_proven(&report);
    child = fork_holder(&end);
    assert_no_faults_left(&region);
    close(end);
    assert_int_equal(waitpid(child, &status, 0), child);
    zf_region_destroy(&region);
}

static void a_second_warmup_repairs_what_a_fork_made_cold(void **state)
{
    struct zf_warmup_wishes wishes = plain;
    struct zf_region region;
    struct warmup_report report;
    int end, status;
    pid_t child;
    (void)state;
    wishes.fork = WARMUP_FORK_INHERIT;
    region = create(4 * MIB, &wishes);
    report = warm(&region, &wishes);
    assert_proven(&report);
    child = fork_holder(&end);
    /* The stack was shared too. */
    assert_in_range(faults_of_writing(region.base, MIB), MIB / PAGE, MIB / PAGE + 2);

    report = warm(&region, &wishes);

    assert_proven(&report);
    assert_granted(&report.lock);
    assert_true(report.faults_minor >= 3 * MIB / PAGE);
    assert_no_faults_left(&region);
    close(end);
    assert_int_equal(waitpid(child, &status, 0), child);
    zf_region_destroy(&region);
}

/* ----------------------------------------------------------------------------------------- time */

static void time_is_reported_for_each_phase_that_ran(void **state)
{
    struct zf_region region = create(MIB, &plain);
    struct warmup_report report = warm(&region, &plain);
    (void)state;
    assert_true(report.spent_ns[WARMUP_PREFLIGHT] > 0);
    assert_true(report.spent_ns[WARMUP_POPULATE] > 0);
    assert_true(report.spent_ns[WARMUP_LOCK] > 0);
    assert_true(report.spent_ns[WARMUP_PROVE] > 0);
    zf_region_destroy(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_pages_do_not_fault_after_a_warmup),
        cmocka_unit_test(huge_pages_do_not_fault_after_a_warmup),
        cmocka_unit_test(the_tail_behind_the_last_huge_page_is_warm_too),
        cmocka_unit_test(a_region_too_small_for_a_huge_page_asks_for_none),
        cmocka_unit_test(small_pages_that_came_first_are_collapsed),
        cmocka_unit_test(a_warmup_keeps_content),
        cmocka_unit_test(every_wish_is_reported_as_found),
        cmocka_unit_test(lock_off_locks_nothing),
        cmocka_unit_test(a_warmup_takes_page_merging_off),
        cmocka_unit_test(a_lock_over_the_limit_is_reported_when_preferred),
        cmocka_unit_test(a_lock_over_the_limit_fails_when_required),
        cmocka_unit_test(a_lock_within_the_limit_needs_no_privilege),
        cmocka_unit_test(a_second_warmup_has_nothing_to_do),
        cmocka_unit_test(a_second_warmup_brings_back_what_was_taken_away),
        cmocka_unit_test(fork_leaves_an_excluded_region_warm),
        cmocka_unit_test(a_second_warmup_repairs_what_a_fork_made_cold),
        cmocka_unit_test(time_is_reported_for_each_phase_that_ran),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
