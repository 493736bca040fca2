/*
 * Ranges of reserved huge pages on the real kernel, with pages that the test adds to the pool, and
 * the sizes of the pages that map a range.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "os/os.h"
#include "support/needs.h"
#include "support/pages.h"
#include "support/pool.h"

#define PAGE ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)
#define PAGES ((size_t)4)
#define SIZE_BYTES (PAGES * HUGE_PAGE)
#define SHIFT_OF_PAGE 12
#define SHIFT_OF_HUGE 21

static int give_back(void **state)
{
    (void)state;
    return pool_end() ? 0 : -1;
}

static size_t free_pages(void)
{
    return pool_count(POOL_OF_MACHINE, HUGE_PAGE, "free_hugepages");
}

static int sizes_of(const void *base, bool between, struct zf_os_page_sizes *sizes)
{
    struct zf_os_residency residency;
    int rc = zf_os_residency(base, SIZE_BYTES, &residency);
    return rc == 0 ? zf_os_page_sizes(base, SIZE_BYTES, &residency, between, sizes) : rc;
}

static void a_range_of_the_pool_is_cold_until_it_is_populated(void **state)
{
    struct zf_os_residency residency;
    void *base = NULL;
    (void)state;
    pool_begin(POOL_OF_MACHINE, HUGE_PAGE, PAGES);
    assert_int_equal(zf_os_pool_map(SIZE_BYTES, HUGE_PAGE, &base), 0);
    assert_int_equal((uintptr_t)base % HUGE_PAGE, 0);
    assert_int_equal(free_pages(), PAGES);
    assert_int_equal(pool_count(POOL_OF_MACHINE, HUGE_PAGE, "resv_hugepages"), PAGES);
    assert_int_equal(zf_os_residency(base, SIZE_BYTES, &residency), 0);
    assert_int_equal(residency.present_bytes, 0);
    assert_int_equal(zf_os_populate(base, HUGE_PAGE), 0);
    assert_int_equal(zf_os_residency(base, SIZE_BYTES, &residency), 0);
    assert_int_equal(residency.present_bytes, HUGE_PAGE);
    assert_int_equal(residency.huge_bytes, HUGE_PAGE);
    assert_int_equal(free_pages(), PAGES - 1);
    assert_int_equal(zf_os_pool_unmap(base, SIZE_BYTES), 0);
    assert_int_equal(free_pages(), PAGES);
}

static void more_than_the_pool_has_is_refused_when_it_is_mapped(void **state)
{
    void *base = NULL;
    (void)state;
    pool_begin(POOL_OF_MACHINE, HUGE_PAGE, PAGES - 1);
    assert_int_equal(zf_os_pool_map(SIZE_BYTES, HUGE_PAGE, &base), -ENOMEM);
    assert_null(base);
    assert_int_equal(free_pages(), PAGES - 1);
}

static void a_page_size_that_does_not_exist_is_unknown(void **state)
{
    void *base = NULL;
    (void)state;
    assert_int_equal(zf_os_pool_map((size_t)8 << 20, (size_t)8 << 20, &base), -EOPNOTSUPP);
    assert_null(base);
    for (int pool = 0; pool < ZF_OS_POOLS_COUNT; ++pool)
        assert_true(zf_os_pool_page_bytes(pool) % HUGE_PAGE == 0);
}

/* Put four populated pages, one of them written to, where small ones were. */
static unsigned char *settle(void)
{
    void *target = NULL;
    void *base = NULL;
    assert_int_equal(zf_os_reserve(SIZE_BYTES, HUGE_PAGE, &target), 0);
    assert_int_equal(zf_os_commit(target, SIZE_BYTES), 0);
    ((unsigned char *)target)[1] = 1;
    assert_int_equal(zf_os_pool_map(SIZE_BYTES, HUGE_PAGE, &base), 0);
    assert_int_equal(zf_os_populate(base, SIZE_BYTES), 0);
    ((unsigned char *)base)[HUGE_PAGE + 1] = 7;
    assert_int_equal(zf_os_pool_settle(base, SIZE_BYTES, target), 0);
    assert_false(is_mapped(base));
    return target;
}

static void settled_pages_take_the_place_of_others_without_a_fault(void **state)
{
    struct zf_os_page_sizes sizes = {0};
    size_t locked_bytes;
    unsigned char *base;
    (void)state;
    pool_begin(POOL_OF_MACHINE, HUGE_PAGE, PAGES);
    base = settle();
    assert_int_equal(base[1], 0);
    assert_int_equal(base[HUGE_PAGE + 1], 7);
    assert_int_equal(faults_of_writing(base, SIZE_BYTES), 0);
    assert_true(mapping_has_flag(base, "ht"));
    assert_int_equal(sizes_of(base, true, &sizes), 0);
    assert_int_equal(sizes.bytes[SHIFT_OF_HUGE], SIZE_BYTES);
    assert_int_equal(sizes.bytes[SHIFT_OF_PAGE], 0);
    /* Never reclaimed, so as good as locked. */
    assert_int_equal(zf_os_locked_bytes(base, SIZE_BYTES, NULL, &locked_bytes), 0);
    assert_int_equal(locked_bytes, SIZE_BYTES);
    assert_int_equal(zf_os_release(base, SIZE_BYTES), 0);
    assert_false(is_mapped(base));
    assert_int_equal(free_pages(), PAGES);
}

static void populating_an_empty_pool_is_an_error_that_can_be_undone(void **state)
{
    struct zf_os_residency residency;
    void *base = NULL;
    int rc;
    (void)state;
    pool_begin(POOL_OF_MACHINE, HUGE_PAGE, 1);
    assert_int_equal(zf_os_reserve(SIZE_BYTES, HUGE_PAGE, &base), 0);
    assert_int_equal(zf_os_commit(base, SIZE_BYTES), 0);
    assert_int_equal(zf_os_pool_replace(base, SIZE_BYTES, HUGE_PAGE), 0);
    rc = zf_os_populate(base, SIZE_BYTES);
    assert_true(rc == -EFAULT || rc == -EOPNOTSUPP);
    assert_int_equal(zf_os_lock(base, SIZE_BYTES), -ENOMEM);
    assert_int_equal(zf_os_renew(base, SIZE_BYTES), 0);
    assert_int_equal(free_pages(), 1);
    assert_int_equal(zf_os_residency(base, SIZE_BYTES, &residency), 0);
    assert_int_equal(residency.present_bytes, 0);
    assert_true(faults_of_writing(base, SIZE_BYTES) > 0);
    assert_int_equal(zf_os_release(base, SIZE_BYTES), 0);
}

/* ----------------------------------------------------------------------------------- page sizes */

static void small_and_transparent_pages_are_told_apart(void **state)
{
    struct zf_os_page_sizes sizes = {0};
    unsigned char *base;
    void *start = NULL;
    (void)state;
    need("transparent huge pages", zf_os_huge_page_bytes() == HUGE_PAGE, "none of 2 MiB here");
    assert_int_equal(zf_os_reserve(SIZE_BYTES, HUGE_PAGE, &start), 0);
    assert_int_equal(zf_os_commit(start, SIZE_BYTES), 0);
    base = start;
    assert_int_equal(zf_os_advise(base, HUGE_PAGE, ZF_OS_HUGE_FROZEN), 0);
    base[0] = base[5 * PAGE] = 1;
    assert_int_equal(sizes_of(base, true, &sizes), 0);
    assert_int_equal(sizes.bytes[SHIFT_OF_PAGE], 2 * PAGE);
    assert_int_equal(sizes.bytes[SHIFT_OF_HUGE], 0);
    assert_int_equal(zf_os_advise(base + HUGE_PAGE, HUGE_PAGE, ZF_OS_HUGE_WISHED), 0);
    base[HUGE_PAGE] = 1;
    assert_int_equal(sizes_of(base, false, &sizes), 0);
    assert_int_equal(sizes.bytes[SHIFT_OF_HUGE], mapping_bytes(base + HUGE_PAGE, "AnonHugePages:"));
    assert_int_equal(zf_os_release(base, SIZE_BYTES), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_range_of_the_pool_is_cold_until_it_is_populated, give_back),
        cmocka_unit_test_teardown(more_than_the_pool_has_is_refused_when_it_is_mapped, give_back),
        cmocka_unit_test(a_page_size_that_does_not_exist_is_unknown),
        cmocka_unit_test_teardown(settled_pages_take_the_place_of_others_without_a_fault,
                                  give_back),
        cmocka_unit_test_teardown(populating_an_empty_pool_is_an_error_that_can_be_undone,
                                  give_back),
        cmocka_unit_test(small_and_transparent_pages_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
