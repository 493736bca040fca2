/*
 * Lists of CPUs and nodes: what the kernel writes, and what it never would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine/lists.h"

static void runs_come_in_order(void **state)
{
    const char *list = "0-3,8,10-11\n";
    unsigned first, last;
    (void)state;
    assert_true(zf_list_next(&list, &first, &last));
    assert_int_equal(first, 0);
    assert_int_equal(last, 3);
    assert_true(zf_list_next(&list, &first, &last));
    assert_int_equal(first, 8);
    assert_int_equal(last, 8);
    assert_true(zf_list_next(&list, &first, &last));
    assert_int_equal(first, 10);
    assert_int_equal(last, 11);
    assert_false(zf_list_next(&list, &first, &last));
}

static void numbers_are_counted_and_found(void **state)
{
    (void)state;
    assert_int_equal(zf_list_count("0-3,8,10-11\n"), 7);
    assert_int_equal(zf_list_count("0"), 1);
    assert_int_equal(zf_list_count("\n"), 0);
    assert_int_equal(zf_list_count(""), 0);
    assert_true(zf_list_holds("0,2-3", 0));
    assert_true(zf_list_holds("0,2-3", 3));
    assert_false(zf_list_holds("0,2-3", 1));
    assert_false(zf_list_holds("0,2-3", 4));
}

static void one_list_covers_another_when_it_holds_all_of_it(void **state)
{
    (void)state;
    assert_true(zf_list_covers("0-7", "0,7"));
    assert_true(zf_list_covers("0-3,4-7", "2-5"));
    assert_true(zf_list_covers("0", ""));
    assert_false(zf_list_covers("0-2,4-7", "2-5"));
    assert_false(zf_list_covers("", "0"));
}

static void what_is_no_list_ends_it(void **state)
{
    (void)state;
    assert_int_equal(zf_list_count("(null)"), 0);
    assert_int_equal(zf_list_count("-3"), 0);
    assert_int_equal(zf_list_count("1-"), 0);
    assert_int_equal(zf_list_count("3-1"), 0);
    assert_int_equal(zf_list_count("1,x,3"), 1);
    assert_int_equal(zf_list_count("65535"), 1);
    assert_int_equal(zf_list_count("65536"), 0);
    assert_int_equal(zf_list_count("0-99999999999999999999"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_come_in_order),
        cmocka_unit_test(numbers_are_counted_and_found),
        cmocka_unit_test(one_list_covers_another_when_it_holds_all_of_it),
        cmocka_unit_test(what_is_no_list_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
