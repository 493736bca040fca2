/* Arithmetic at the edges of what a size can hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arith.h"

static void only_powers_of_two_are_powers_of_two(void **state)
{
    (void)state;
    assert_false(zf_is_power_of_two(0));
    assert_true(zf_is_power_of_two(1));
    assert_true(zf_is_power_of_two(2));
    assert_false(zf_is_power_of_two(3));
    assert_true(zf_is_power_of_two(SIZE_MAX / 2 + 1));
    assert_false(zf_is_power_of_two(SIZE_MAX));
}

static void align_down_never_goes_up(void **state)
{
    (void)state;
    assert_int_equal(zf_align_down(0, 4096), 0);
    assert_int_equal(zf_align_down(4095, 4096), 0);
    assert_int_equal(zf_align_down(4096, 4096), 4096);
    assert_int_equal(zf_align_down(SIZE_MAX, 4096), SIZE_MAX - 4095);
    assert_int_equal(zf_align_down(SIZE_MAX, 1), SIZE_MAX);
}

static void align_up_rounds_to_the_next_multiple(void **state)
{
    size_t out = 77;
    (void)state;
    assert_true(zf_align_up(0, 64, &out));
    assert_int_equal(out, 0);
    assert_true(zf_align_up(1, 64, &out));
    assert_int_equal(out, 64);
    assert_true(zf_align_up(64, 64, &out));
    assert_int_equal(out, 64);
    assert_true(zf_align_up(SIZE_MAX - 63, 64, &out));
    assert_int_equal(out, SIZE_MAX - 63);
}

static void align_up_refuses_what_does_not_fit_and_leaves_the_result_alone(void **state)
{
    size_t out = 77;
    (void)state;
    assert_false(zf_align_up(SIZE_MAX - 62, 64, &out));
    assert_false(zf_align_up(SIZE_MAX, 2, &out));
    assert_false(zf_align_up(SIZE_MAX / 2 + 2, SIZE_MAX / 2 + 1, &out));
    assert_int_equal(out, 77);
}

static void minimum_and_maximum_of_equals_are_that_value(void **state)
{
    (void)state;
    assert_int_equal(zf_min(3, SIZE_MAX), 3);
    assert_int_equal(zf_min(SIZE_MAX, 3), 3);
    assert_int_equal(zf_max(3, SIZE_MAX), SIZE_MAX);
    assert_int_equal(zf_max(SIZE_MAX, 3), SIZE_MAX);
    assert_int_equal(zf_min(5, 5), 5);
    assert_int_equal(zf_max(5, 5), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_powers_of_two_are_powers_of_two),
        cmocka_unit_test(align_down_never_goes_up),
        cmocka_unit_test(align_up_rounds_to_the_next_multiple),
        cmocka_unit_test(align_up_refuses_what_does_not_fit_and_leaves_the_result_alone),
        cmocka_unit_test(minimum_and_maximum_of_equals_are_that_value),
    };
    return cmocka_run_group_tests_name("base.arith", tests, NULL, NULL);
}
