/*
 * Warmups on a system that refuses: every call in turn with every kind of error, and the answers
 * that the kernel of this machine never gives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fake/fake_os.h"
#include "warmup/warmup.h"

#define PAGE ((size_t)4096)
#define HUGE_PAGE (16 * PAGE)
#define SIZE_BYTES (4 * HUGE_PAGE)

static struct zf_warmup_wishes everything(enum warmup_wish wish)
{
    return (struct zf_warmup_wishes){
        .bind = wish, .huge_pages = wish, .lock = wish, .fork = WARMUP_FORK_EXCLUDE, .node = 0};
}

/* Small huge pages, so that all of this is quick. */
static int reset(void **state)
{
    (void)state;
    fake_os_reset();
    fake_os.huge_page_bytes = HUGE_PAGE;
    return 0;
}

static int create(struct zf_region *region, const struct zf_warmup_wishes *wishes)
{
    struct zf_region_options options = {.size_bytes = SIZE_BYTES,
                                        .node = wishes->node,
                                        .bind = wishes->bind,
                                        .huge_pages = wishes->huge_pages,
                                        .fork = wishes->fork,
                                        .name = "test"};
    return zf_region_create(region, &options);
}

static struct warmup_report warm(struct zf_region *region, const struct zf_warmup_wishes *wishes)
{
    struct warmup_options options = {.struct_size = sizeof options, .chunk_bytes = HUGE_PAGE};
    struct warmup_report report;
    memset(&report, 0xee, sizeof report);
    int rc = zf_warmup_region(region, wishes, &options, &report);
    assert_int_equal(rc, report.result);
    return report;
}

/* The item that a refused call belongs to; NULL for a call that belongs to none. */
static const struct warmup_item *item_of(const struct warmup_report *report, enum fake_call call)
{
    switch (call) {
    case FAKE_PREFER_NODE:
        return &report->bind;
    case FAKE_HUGE_WISHED:
        return &report->huge_pages;
    case FAKE_FORK_ADVICE:
        return &report->fork;
    case FAKE_HUGE_FROZEN:
    case FAKE_NEVER_MERGE:
        return &report->freeze;
    case FAKE_LOCK:
    case FAKE_LOCKED_BYTES:
        return &report->lock;
    case FAKE_NAME:
        return &report->name_item;
    case FAKE_POPULATE:
        return &report->populate;
    default:
        return NULL;
    }
}

/* A refused call is told of, or what it was for was had in another way. */
static bool tells_of(const struct warmup_report *report, enum fake_call call)
{
    const struct warmup_item *item = item_of(report, call);
    return item == NULL || item->error != 0 || item->granted_bytes == item->asked_bytes;
}

static void assert_consistent(const struct warmup_report *report)
{
    const struct warmup_item *items[] = {&report->populate, &report->bind, &report->huge_pages,
                                         &report->lock,     &report->fork, &report->name_item,
                                         &report->freeze};
    for (size_t i = 0; i < sizeof items / sizeof items[0]; ++i) {
        assert_true(items[i]->granted_bytes <= items[i]->asked_bytes);
        assert_int_equal(items[i]->error != 0, items[i]->remedy != NULL);
        assert_true(items[i]->error <= 0);
        if (report->result == 0 && items[i]->asked == WARMUP_REQUIRE)
            assert_int_equal(items[i]->granted_bytes, items[i]->asked_bytes);
    }
    assert_true(!report->proven || report->result == 0);
    assert_int_equal(report->struct_size, sizeof *report);
}

/* Create and warm with the n-th call refused; then once more with nothing refused. */
static void refuse_and_recover(unsigned call, int error, enum warmup_wish wish)
{
    struct zf_warmup_wishes wishes = everything(wish);
    struct zf_region region;
    struct warmup_report report;
    int rc;
    (void)reset(NULL);
    fake_os.fail_call = call;
    fake_os.fail_error = error;
    rc = create(&region, &wishes);
    if (rc != 0) {
        assert_int_equal(rc, error);
        assert_int_equal(fake_os_ranges_count(), 0);
        return;
    }
    report = warm(&region, &wishes);
    assert_consistent(&report);
    if (wish == WARMUP_PREFER && report.result != 0)
        assert_true(fake_os.failed == FAKE_POPULATE || fake_os.failed == FAKE_LOCK);
    if (report.result != 0 || fake_os.failed != FAKE_CALL_COUNT)
        assert_true(report.result != 0 || tells_of(&report, fake_os.failed));
    assert_int_equal(fake_os_locked_bytes(), region.locked ? SIZE_BYTES : 0);

    fake_os.fail_call = 0;
    report = warm(&region, &wishes);
    assert_consistent(&report);
    if (region.bind_error == 0 && region.huge_error == 0) {
        assert_int_equal(report.result, 0);
        assert_int_equal(report.proven, 1);
        assert_int_equal(fake_os_locked_bytes(), SIZE_BYTES);
    }
    zf_region_destroy(&region);
    assert_int_equal(fake_os_ranges_count(), 0);
    assert_int_equal(fake_os_locked_bytes(), 0);
}

static void whichever_call_is_refused_nothing_leaks_and_the_report_tells(void **state)
{
    static const int errors[] = {-ENOMEM, -EPERM, -EOPNOTSUPP, -EAGAIN, -EINVAL, -EFAULT};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; ++i)
        for (enum warmup_wish wish = WARMUP_PREFER; wish <= WARMUP_REQUIRE; ++wish) {
            unsigned call = 0;
            do
                refuse_and_recover(++call, errors[i], wish);
            while (fake_os.failed != FAKE_CALL_COUNT || call == 1);
            /* Reserve to name, then at least one of each step. */
            assert_true(call > 20);
        }
}

/* ------------------------------------------------------------------ refusals that last, by wish */

struct expectation {
    enum fake_call call;
    int error;
    int required_result; /* what a warmup that requires it returns */
    int item_error;
};

static void a_refused_wish_is_reported_and_a_refused_must_fails(void **state)
{
    static const struct expectation expectations[] = {
        {FAKE_PREFER_NODE, -EPERM, -EPERM, -EPERM},
        {FAKE_PREFER_NODE, -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP},
        {FAKE_HUGE_WISHED, -EINVAL, -EINVAL, -EINVAL},
        {FAKE_LOCK, -EPERM, -EPERM, -EPERM},
        {FAKE_LOCK, -ENOMEM, -ENOMEM, -ENOMEM},
        {FAKE_LOCKED_BYTES, -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP},
    };
    (void)state;
    for (size_t i = 0; i < sizeof expectations / sizeof expectations[0]; ++i)
        for (enum warmup_wish wish = WARMUP_PREFER; wish <= WARMUP_REQUIRE; ++wish) {
            const struct expectation *expected = &expectations[i];
            struct zf_warmup_wishes wishes = everything(wish);
            struct zf_region region;
            struct warmup_report report;
            (void)reset(NULL);
            fake_os.refuse[expected->call] = expected->error;
            assert_int_equal(create(&region, &wishes), 0);
            report = warm(&region, &wishes);
            assert_consistent(&report);
            assert_int_equal(report.result, wish == WARMUP_REQUIRE ? expected->required_result : 0);
            assert_int_equal(report.proven, wish == WARMUP_PREFER);
            assert_int_equal(item_of(&report, expected->call)->error, expected->item_error);
            assert_int_equal(item_of(&report, expected->call)->granted_bytes, 0);
            zf_region_destroy(&region);
        }
}

static void freeze_and_fork_and_name_are_never_more_than_wishes(void **state)
{
    struct zf_warmup_wishes wishes = everything(WARMUP_REQUIRE);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    fake_os.refuse[FAKE_HUGE_FROZEN] = -ENOMEM;
    fake_os.refuse[FAKE_FORK_ADVICE] = -EPERM;
    fake_os.refuse[FAKE_NAME] = -ENOMEM;
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.freeze.error, -ENOMEM);
    assert_int_equal(report.freeze.granted_bytes, 0);
    assert_int_equal(report.fork.error, -EPERM);
    assert_int_equal(report.name_item.error, -ENOMEM);
    zf_region_destroy(&region);
}

static void what_a_system_does_not_have_needs_no_freezing_and_no_name(void **state)
{
    struct zf_warmup_wishes wishes = everything(WARMUP_PREFER);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    fake_os.huge_page_bytes = 0;
    fake_os.refuse[FAKE_HUGE_FROZEN] = -EOPNOTSUPP;
    fake_os.refuse[FAKE_NEVER_MERGE] = -EOPNOTSUPP;
    fake_os.refuse[FAKE_NAME] = -EOPNOTSUPP;
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.freeze.error, 0);
    assert_int_equal(report.freeze.granted_bytes, SIZE_BYTES);
    assert_int_equal(report.name_item.asked, WARMUP_OFF);
    assert_int_equal(report.huge_pages.error, -EOPNOTSUPP);
    assert_int_equal(report.huge_pages.asked_bytes, SIZE_BYTES);
    zf_region_destroy(&region);
    wishes = everything(WARMUP_REQUIRE);
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_int_equal(report.result, -EOPNOTSUPP);
    assert_int_equal(report.populate.granted_bytes, 0);
    zf_region_destroy(&region);
}

static void a_limit_for_locked_memory_is_seen_before_it_is_used_up(void **state)
{
    struct zf_warmup_wishes wishes = everything(WARMUP_PREFER);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    fake_os.lockable_bytes = SIZE_BYTES - PAGE;
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.lock.error, -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_MEMLOCK);
    assert_int_equal(fake_os.made[FAKE_LOCK], 0);

    fake_os.lockable_bytes = SIZE_BYTES;
    report = warm(&region, &wishes);
    assert_int_equal(report.lock.error, 0);
    assert_int_equal(report.limit, WARMUP_LIMIT_NONE);
    /* What is locked already is not needed once more. */
    report = warm(&region, &wishes);
    assert_int_equal(report.lock.error, 0);
    assert_int_equal(report.lock.granted_bytes, SIZE_BYTES);
    assert_int_equal(report.limit, WARMUP_LIMIT_NONE);
    zf_region_destroy(&region);
}

static void a_machine_with_too_little_memory_refuses_with_numbers(void **state)
{
    struct zf_warmup_wishes wishes = everything(WARMUP_PREFER);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    fake_os.available_bytes = SIZE_BYTES;
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    assert_int_equal(report.result, -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_SYSTEM);
    assert_int_equal(report.limit_free_bytes, SIZE_BYTES);
    assert_true(report.limit_needed_bytes > SIZE_BYTES);
    assert_int_equal(fake_os.made[FAKE_POPULATE], 0);
    zf_region_destroy(&region);
}

/* ----------------------------------------------------------------------------------- huge pages */

static void huge_pages_that_are_scarce_are_counted(void **state)
{
    struct zf_warmup_wishes wishes = everything(WARMUP_PREFER);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    fake_os.huge_free_bytes = fake_os.huge_page_bytes;
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.huge_pages.error, -ENOMEM);
    assert_int_equal(report.huge_pages.granted_bytes, fake_os.huge_page_bytes);
    assert_int_equal(report.huge_pages.asked_bytes, SIZE_BYTES);
    assert_int_equal(report.proven, 1);
    wishes.huge_pages = WARMUP_REQUIRE;
    report = warm(&region, &wishes);
    assert_int_equal(report.result, -ENOMEM);
    assert_int_equal(report.proven, 0);
    zf_region_destroy(&region);
}

/* -EINVAL is what the caller did wrong, and he did nothing wrong. */
static void huge_pages_that_are_not_given_here_are_not_supported(void **state)
{
    struct zf_warmup_wishes wishes = everything(WARMUP_REQUIRE);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    fake_os.huge_free_bytes = 0;
    fake_os.refuse[FAKE_HUGE_COLLAPSE] = -EINVAL;
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    assert_int_equal(report.result, -EOPNOTSUPP);
    assert_int_equal(report.huge_pages.error, -EOPNOTSUPP);
    zf_region_destroy(&region);
}

static void a_collapse_makes_up_for_what_was_scarce(void **state)
{
    struct zf_warmup_wishes wishes = everything(WARMUP_REQUIRE);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    fake_os.huge_free_bytes = 0;
    fake_os.huge_free_at_collapse_bytes = SIZE_BYTES;
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.huge_pages.granted_bytes, SIZE_BYTES);
    assert_true(fake_os_range(region.base)->huge_frozen);
    assert_true(fake_os_range(region.base)->never_merged);
    zf_region_destroy(&region);
}

/* ---------------------------------------------------------------------------------------- proof */

static void a_page_that_still_faults_once_is_repaired(void **state)
{
    struct zf_warmup_wishes wishes = everything(WARMUP_PREFER);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    fake_os.stale_populates = 1;
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 1);
    assert_int_equal(report.proof_faults, 0);
    zf_region_destroy(&region);
}

static void a_page_that_keeps_faulting_fails_the_proof(void **state)
{
    struct zf_warmup_wishes wishes = everything(WARMUP_PREFER);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    fake_os.stale_populates = 1000;
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    assert_int_equal(report.result, -EFAULT);
    assert_int_equal(report.populate.error, -EFAULT);
    assert_int_equal(report.proven, 0);
    assert_int_equal(report.proof_faults, SIZE_BYTES / fake_os.huge_page_bytes);
    zf_region_destroy(&region);
}

static void a_system_that_counts_no_faults_proves_nothing(void **state)
{
    struct zf_warmup_wishes wishes = everything(WARMUP_PREFER);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    fake_os.counts_no_faults = true;
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 0);
    assert_int_equal(report.populate.error, -EOPNOTSUPP);
    assert_int_equal(report.populate.granted_bytes, SIZE_BYTES);
    zf_region_destroy(&region);
}

static void a_system_that_cannot_tell_presence_is_proven_by_its_faults(void **state)
{
    struct zf_warmup_wishes wishes = everything(WARMUP_PREFER);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    wishes.huge_pages = WARMUP_OFF;
    fake_os.refuse[FAKE_RESIDENCY] = -EOPNOTSUPP;
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 1);
    assert_int_equal(report.populate.granted_bytes, SIZE_BYTES);

    wishes.huge_pages = WARMUP_REQUIRE;
    zf_region_destroy(&region);
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    assert_int_equal(report.result, -EOPNOTSUPP);
    assert_int_equal(report.huge_pages.granted_bytes, 0);
    zf_region_destroy(&region);
}

/* Blind to presence, and populate does nothing: only faults can tell. */
static void a_populate_that_lies_in_the_dark_is_found_out_by_the_proof(void **state)
{
    struct zf_warmup_wishes wishes = everything(WARMUP_PREFER);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    wishes.huge_pages = WARMUP_OFF;
    wishes.lock = WARMUP_OFF;
    fake_os.refuse[FAKE_RESIDENCY] = -EOPNOTSUPP;
    fake_os.populate_lies = true;
    assert_int_equal(create(&region, &wishes), 0);
    report = warm(&region, &wishes);
    assert_consistent(&report);
    fake_os.refuse[FAKE_RESIDENCY] = 0;
    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 1);
    report = warm(&region, &wishes);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.fallback_error, 0);
    zf_region_destroy(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(whichever_call_is_refused_nothing_leaks_and_the_report_tells, reset),
        cmocka_unit_test_setup(a_refused_wish_is_reported_and_a_refused_must_fails, reset),
        cmocka_unit_test_setup(freeze_and_fork_and_name_are_never_more_than_wishes, reset),
        cmocka_unit_test_setup(what_a_system_does_not_have_needs_no_freezing_and_no_name, reset),
        cmocka_unit_test_setup(a_limit_for_locked_memory_is_seen_before_it_is_used_up, reset),
        cmocka_unit_test_setup(a_machine_with_too_little_memory_refuses_with_numbers, reset),
        cmocka_unit_test_setup(huge_pages_that_are_scarce_are_counted, reset),
        cmocka_unit_test_setup(huge_pages_that_are_not_given_here_are_not_supported, reset),
        cmocka_unit_test_setup(a_collapse_makes_up_for_what_was_scarce, reset),
        cmocka_unit_test_setup(a_page_that_still_faults_once_is_repaired, reset),
        cmocka_unit_test_setup(a_page_that_keeps_faulting_fails_the_proof, reset),
        cmocka_unit_test_setup(a_system_that_counts_no_faults_proves_nothing, reset),
        cmocka_unit_test_setup(a_system_that_cannot_tell_presence_is_proven_by_its_faults, reset),
        cmocka_unit_test_setup(a_populate_that_lies_in_the_dark_is_found_out_by_the_proof, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
