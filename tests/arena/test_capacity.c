/*
 * What a capacity is rounded up to: pages that are required, and never a page that is merely wished
 * for and many times the size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <zerofault/zerofault.h>

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define PAGE_2M (2 * MIB)
#define PAGE_1G (1024 * MIB)

/* The capacity that an arena comes to have. */
static size_t capacity_of(struct arena_options options)
{
    struct arena_statistics stats = ARENA_STATISTICS_INIT;
    struct arena *arena;
    assert_int_equal(arena_create(&arena, &options), 0);
    assert_int_equal(arena_stats(arena, &stats), 0);
    arena_destroy(arena);
    return stats.capacity_bytes;
}

static void a_size_that_is_required_rounds_up(void **state)
{
    (void)state;
    assert_int_equal(
        capacity_of(ARENA_OPTIONS(.capacity_bytes = 8 * MIB, .hugetlb_1g = ARENA_REQUIRE)),
        PAGE_1G);
    assert_int_equal(
        capacity_of(ARENA_OPTIONS(.capacity_bytes = PAGE_1G + 1, .hugetlb_1g = ARENA_REQUIRE,
                                  .hugetlb_2m = ARENA_PREFER)),
        2 * PAGE_1G);
    assert_int_equal(capacity_of(ARENA_OPTIONS(.capacity_bytes = 1, .hugetlb_1g = ARENA_PREFER,
                                               .hugetlb_2m = ARENA_REQUIRE)),
                     PAGE_2M);
}

static void of_sizes_that_are_preferred_the_smallest_rounds_up(void **state)
{
    (void)state;
    assert_int_equal(
        capacity_of(ARENA_OPTIONS(.capacity_bytes = 8 * MIB, .hugetlb_1g = ARENA_PREFER)), 8 * MIB);
    assert_int_equal(
        capacity_of(ARENA_OPTIONS(.capacity_bytes = 8 * MIB + 1, .hugetlb_1g = ARENA_PREFER)),
        10 * MIB);
    assert_int_equal(capacity_of(ARENA_OPTIONS(.capacity_bytes = 1, .hugetlb_2m = ARENA_PREFER,
                                               .huge_pages = ARENA_OFF)),
                     PAGE_2M);
    assert_int_equal(
        capacity_of(ARENA_OPTIONS(.capacity_bytes = 2 * PAGE + 1, .hugetlb_1g = ARENA_PREFER,
                                  .hugetlb_2m = ARENA_OFF, .huge_pages = ARENA_OFF)),
        3 * PAGE);
}

static void a_whole_number_of_pages_is_aligned_to_them(void **state)
{
    struct arena *arena;
    (void)state;
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = PAGE_1G, .hugetlb_1g = ARENA_PREFER)),
        0);
    assert_int_equal(arena->begin % PAGE_1G, 0);
    arena_destroy(arena);
}

static void a_preferred_size_that_does_not_divide_the_capacity_is_passed_over(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena;
    (void)state;
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = 8 * MIB, .hugetlb_1g = ARENA_PREFER)),
        0);
    /* It stays so, and says so. */
    for (int i = 0; i < 2; ++i) {
        assert_int_equal(arena_warmup(arena, NULL, &report), 0);
        assert_int_equal(report.size_bytes, 8 * MIB);
        assert_int_equal(report.populate.granted_bytes, 8 * MIB);
        assert_int_equal(report.hugetlb_1g.item.asked, WARMUP_PREFER);
        assert_int_equal(report.hugetlb_1g.item.error, -EINVAL);
        assert_int_equal(report.hugetlb_1g.item.granted_bytes, 0);
        assert_int_equal(report.hugetlb_1g.needed_count, 0);
        assert_non_null(strstr(report.hugetlb_1g.item.remedy, "whole number"));
        assert_int_equal(report.hugetlb_2m.item.asked, WARMUP_PREFER);
        assert_int_not_equal(report.hugetlb_2m.item.error, -EINVAL);
    }
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_that_is_required_rounds_up),
        cmocka_unit_test(of_sizes_that_are_preferred_the_smallest_rounds_up),
        cmocka_unit_test(a_whole_number_of_pages_is_aligned_to_them),
        cmocka_unit_test(a_preferred_size_that_does_not_divide_the_capacity_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
