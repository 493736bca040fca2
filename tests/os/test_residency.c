/*
 * Presence, huge coverage and locking, counted by the best source of this kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "os/os.h"
#include "support/needs.h"
#include "support/pages.h"

#define PAGE ((size_t)4096)
#define PAGES ((size_t)1024)

static unsigned char *create(void)
{
    void *base = NULL;
    assert_int_equal(zf_os_reserve(PAGES * PAGE, PAGE, &base), 0);
    assert_int_equal(zf_os_commit(base, PAGES * PAGE), 0);
    assert_int_equal(zf_os_advise(base, PAGES * PAGE, ZF_OS_HUGE_FROZEN), 0);
    return base;
}

static struct zf_os_residency ask(const unsigned char *base, size_t pages)
{
    struct zf_os_residency residency;
    assert_int_equal(zf_os_residency(base, pages * PAGE, &residency), 0);
    return residency;
}

/* More separate runs than one answer of the kernel holds. */
static void residency_counts_scattered_pages_exactly(void **state)
{
    unsigned char *base = create();
    size_t count = 0;
    (void)state;
    srand(7);
    for (size_t page = 0; page < PAGES; ++page)
        if (rand() % 2 == 0) {
            base[page * PAGE] = 1;
            ++count;
        }
    assert_int_equal(ask(base, PAGES).present_bytes, count * PAGE);
    assert_int_equal(ask(base, PAGES).huge_bytes, 0);
    assert_int_equal(zf_os_release(base, PAGES * PAGE), 0);
}

static void residency_does_not_fault_pages_in(void **state)
{
    unsigned char *base = create();
    (void)state;
    base[0] = 1;
    assert_int_equal(ask(base, PAGES).present_bytes, PAGE);
    assert_int_equal(ask(base, PAGES).present_bytes, PAGE);
    assert_int_equal(faults_of_writing(base, PAGES * PAGE), PAGES - 1);
    assert_int_equal(zf_os_release(base, PAGES * PAGE), 0);
}

static void residency_does_not_count_the_zero_page(void **state)
{
    unsigned char *base = create();
    (void)state;
    base[5 * PAGE] = 1;
    assert_int_equal(faults_of_reading(base, PAGES * PAGE), PAGES - 1);
    assert_int_equal(ask(base, PAGES).present_bytes, PAGE);
    assert_int_equal(zf_os_release(base, PAGES * PAGE), 0);
}

static void residency_sees_pages_that_were_taken_away(void **state)
{
    unsigned char *base = create();
    (void)state;
    (void)faults_of_writing(base, PAGES * PAGE);
    assert_int_equal(ask(base, PAGES).present_bytes, PAGES * PAGE);
    assert_int_equal(madvise(base + 10 * PAGE, 3 * PAGE, MADV_DONTNEED), 0);
    assert_int_equal(ask(base, PAGES).present_bytes, (PAGES - 3) * PAGE);
    assert_int_equal(zf_os_release(base, PAGES * PAGE), 0);
}

/* The middle is a mapping of its own then, and the question cuts through all three. */
static void locked_bytes_are_counted_across_mappings(void **state)
{
    unsigned char *base = create();
    size_t locked_bytes = 1;
    (void)state;
    (void)faults_of_writing(base, PAGES * PAGE);
    assert_int_equal(zf_os_locked_bytes(base, PAGES * PAGE, NULL, &locked_bytes), 0);
    assert_int_equal(locked_bytes, 0);
    assert_int_equal(zf_os_lock(base + 100 * PAGE, 50 * PAGE), 0);

    assert_int_equal(zf_os_locked_bytes(base, PAGES * PAGE, NULL, &locked_bytes), 0);
    assert_int_equal(locked_bytes, 50 * PAGE);
    assert_int_equal(zf_os_locked_bytes(base + 140 * PAGE, 100 * PAGE, NULL, &locked_bytes), 0);
    assert_int_equal(locked_bytes, 10 * PAGE);
    assert_int_equal(ask(base, PAGES).present_bytes, PAGES * PAGE);
    assert_int_equal(zf_os_release(base, PAGES * PAGE), 0);
}

/* Locked but not present: MLOCK_ONFAULT is what it looks like when something populated nothing. */
static void locked_bytes_do_not_count_absent_pages(void **state)
{
    unsigned char *base = create();
    size_t locked_bytes = 1;
    (void)state;
    assert_int_equal(mlock2(base, PAGES * PAGE, MLOCK_ONFAULT), 0);
    base[0] = 1;
    assert_int_equal(zf_os_locked_bytes(base, PAGES * PAGE, NULL, &locked_bytes), 0);
    assert_int_equal(locked_bytes, PAGE);
    assert_int_equal(zf_os_release(base, PAGES * PAGE), 0);
}

static void huge_bytes_count_whole_and_cut_huge_pages(void **state)
{
    size_t huge = zf_os_huge_page_bytes();
    struct zf_os_residency residency;
    void *base;
    (void)state;
    need("transparent huge pages", huge != 0, "this kernel has none");
    assert_int_equal(zf_os_reserve(4 * huge, huge, &base), 0);
    assert_int_equal(zf_os_commit(base, 4 * huge), 0);
    assert_int_equal(zf_os_advise(base, 2 * huge, ZF_OS_HUGE_WISHED), 0);
    assert_int_equal(zf_os_advise((unsigned char *)base + 2 * huge, 2 * huge, ZF_OS_HUGE_FROZEN),
                     0);
    (void)faults_of_writing(base, 4 * huge);

    assert_int_equal(zf_os_residency(base, 4 * huge, &residency), 0);
    assert_true(residency.huge_known);
    assert_int_equal(residency.present_bytes, 4 * huge);
    assert_int_equal(residency.huge_bytes, 2 * huge);
    assert_int_equal(zf_os_release(base, 4 * huge), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residency_counts_scattered_pages_exactly),
        cmocka_unit_test(residency_does_not_fault_pages_in),
        cmocka_unit_test(residency_does_not_count_the_zero_page),
        cmocka_unit_test(residency_sees_pages_that_were_taken_away),
        cmocka_unit_test(locked_bytes_are_counted_across_mappings),
        cmocka_unit_test(locked_bytes_do_not_count_absent_pages),
        cmocka_unit_test(huge_bytes_count_whole_and_cut_huge_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
