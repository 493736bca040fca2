/*
 * Regions on a system that refuses: every call in turn, and what is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "fake/fake_os.h"
#include "region/region.h"

#define MIB ((size_t)1 << 20)

static const struct zf_region_options everything = {.size_bytes = 4 * MIB,
                                                    .node = 0,
                                                    .bind = WARMUP_REQUIRE,
                                                    .huge_pages = WARMUP_REQUIRE,
                                                    .fork = WARMUP_FORK_EXCLUDE,
                                                    .name = "test"};

static int reset(void **state)
{
    (void)state;
    fake_os_reset();
    return 0;
}

/* Create with the n-th call refused; returns what create said. */
static int create_with_refusal(unsigned call, int error, struct zf_region *region)
{
    fake_os_reset();
    fake_os.fail_call = call;
    fake_os.fail_error = error;
    return zf_region_create(region, &everything);
}

static void create_leaves_nothing_behind_whichever_call_fails(void **state)
{
    struct zf_region region;
    unsigned call = 0;
    unsigned failures = 0;
    (void)state;
    do {
        int rc = create_with_refusal(++call, -ENOMEM, &region);
        if (rc != 0) {
            assert_int_equal(rc, -ENOMEM);
            assert_null(region.base);
            ++failures;
        } else {
            assert_int_equal(fake_os_ranges_count(), 1);
            zf_region_destroy(&region);
        }
        assert_int_equal(fake_os_ranges_count(), 0);
    } while (fake_os.failed != FAKE_CALL_COUNT);
    /* Reserve, commit, policy, huge pages; fork advice and name are only reported. */
    assert_int_equal(failures, 4);
    assert_int_equal(call, 7);
}

static void a_refusal_that_no_warmup_needs_is_kept_for_the_report(void **state)
{
    struct zf_region region;
    (void)state;
    for (unsigned call = 1;; ++call) {
        int rc = create_with_refusal(call, -EPERM, &region);
        if (fake_os.failed == FAKE_CALL_COUNT) {
            zf_region_destroy(&region);
            break;
        }
        assert_int_equal(rc == 0, fake_os.failed != FAKE_RESERVE && fake_os.failed != FAKE_COMMIT);
        if (rc != 0)
            continue;
        assert_int_equal(region.bind_error, fake_os.failed == FAKE_PREFER_NODE ? -EPERM : 0);
        assert_int_equal(region.huge_error, fake_os.failed == FAKE_HUGE_WISHED ? -EPERM : 0);
        assert_int_equal(region.fork_error, fake_os.failed == FAKE_FORK_ADVICE ? -EPERM : 0);
        assert_int_equal(region.name_error, fake_os.failed == FAKE_NAME ? -EPERM : 0);
        assert_int_equal(region.huge_wished, fake_os.failed != FAKE_HUGE_WISHED);
        zf_region_destroy(&region);
    }
    assert_int_equal(fake_os_ranges_count(), 0);
}

static void everything_is_settled_before_the_first_touch(void **state)
{
    struct zf_region region;
    const struct fake_range *range;
    (void)state;
    assert_int_equal(zf_region_create(&region, &everything), 0);
    range = fake_os_range(region.base);
    assert_non_null(range);
    assert_int_equal(range->node, 0);
    assert_true(range->fork_excluded);
    assert_false(range->fork_wiped);
    assert_true(range->huge_wished);
    assert_string_equal(range->name, "zerofault:test");
    assert_int_equal(fake_os.made[FAKE_POPULATE] + fake_os.made[FAKE_LOCK], 0);
    zf_region_destroy(&region);
}

static void a_system_without_huge_pages_is_a_refusal_and_not_an_error(void **state)
{
    struct zf_region region;
    (void)state;
    fake_os.huge_page_bytes = 0;
    assert_int_equal(zf_region_create(&region, &everything), 0);
    assert_int_equal(region.huge_error, -EOPNOTSUPP);
    assert_false(region.huge_wished);
    assert_int_equal(zf_region_huge_part_bytes(&region), 0);
    zf_region_destroy(&region);
}

static void a_node_that_does_not_exist_fails_at_once(void **state)
{
    struct zf_region_options options = everything;
    struct zf_region region;
    (void)state;
    options.node = 1;
    options.bind = WARMUP_PREFER;
    assert_int_equal(zf_region_create(&region, &options), -ENODEV);
    assert_int_equal(fake_os_ranges_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(create_leaves_nothing_behind_whichever_call_fails, reset),
        cmocka_unit_test_setup(a_refusal_that_no_warmup_needs_is_kept_for_the_report, reset),
        cmocka_unit_test_setup(everything_is_settled_before_the_first_touch, reset),
        cmocka_unit_test_setup(a_system_without_huge_pages_is_a_refusal_and_not_an_error, reset),
        cmocka_unit_test_setup(a_node_that_does_not_exist_fails_at_once, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
