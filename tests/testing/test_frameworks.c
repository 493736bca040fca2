/*
 * The blocks of zerofault/testing.hpp under the real GoogleTest and Catch2. Each case is a test of
 * a program of theirs, run here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "support/needs.h"
#include "support/program.h"

static struct program_result result;

static void run_googletest(const char *filter)
{
    need("googletest", strlen(WITH_GOOGLETEST) > 0, "GoogleTest is not installed");
    program_run(&result, NULL, (const char *[]){WITH_GOOGLETEST, filter, NULL});
}

static void run_catch2(const char *name)
{
    need("catch2", strlen(WITH_CATCH2) > 0, "Catch2 is not installed");
    /* The usual report breaks lines. */
    program_run(&result, NULL, (const char *[]){WITH_CATCH2, name, "-r", "compact", NULL});
}

#define assert_says(part) assert_non_null(strstr(result.output, (part)))
#define assert_says_nowhere(part) assert_null(strstr(result.output, (part)))

/* ----------------------------------------------------------------------------------- GoogleTest */

static void clean_blocks_pass_under_googletest(void **state)
{
    (void)state;
    run_googletest("--gtest_filter=Blocks.Clean");
    assert_int_equal(result.status, 0);
    assert_says("[  PASSED  ] 1 test");
}

static void a_failed_expectation_goes_on_under_googletest(void **state)
{
    (void)state;
    run_googletest("--gtest_filter=Blocks.Expected");
    assert_int_equal(result.status, 1);
    assert_says("with_googletest.cpp:");
    assert_says(": ZEROFAULT_EXPECT_NO_PAGE_FAULTS in TestBody: 1 x page fault, seen by ");
    assert_says("went on");
}

static void a_failed_assertion_ends_the_test_under_googletest(void **state)
{
    (void)state;
    run_googletest("--gtest_filter=Blocks.Asserted");
    assert_int_equal(result.status, 1);
    assert_says(": ZEROFAULT_ASSERT_NO_PAGE_FAULTS in TestBody: 1 x page fault, seen by ");
    assert_says_nowhere("went on");
}

static void blocks_by_their_name_in_c_end_the_test_under_googletest(void **state)
{
    (void)state;
    run_googletest("--gtest_filter=Blocks.AssertedByTheNameInC");
    assert_int_equal(result.status, 1);
    assert_says(": assert_no_page_faults in TestBody: 1 x page fault, seen by ");
    assert_says("[  FAILED  ] 1 test");
    assert_says_nowhere("went on");
}

static void a_block_left_by_return_is_checked_and_one_left_by_exception_is_not(void **state)
{
    (void)state;
    run_googletest("--gtest_filter=Blocks.Left");
    assert_int_equal(result.status, 1);
    assert_says(": ZEROFAULT_EXPECT_NO_PAGE_FAULTS in leave: 1 x page fault, seen by ");
    assert_says("went on");
    run_googletest("--gtest_filter=Blocks.Thrown");
    assert_int_equal(result.status, 0);
}

static void what_cannot_be_told_is_skipped_under_googletest(void **state)
{
    (void)state;
    run_googletest("--gtest_filter=Blocks.ExpectedUnseen");
    assert_int_equal(result.status, 0);
    assert_says(": skipped: the guards are switched off");
    assert_says("the body ran");
    assert_says("went on");
    assert_says("[  SKIPPED ] 1 test");
    run_googletest("--gtest_filter=Blocks.AssertedUnseen");
    assert_int_equal(result.status, 0);
    assert_says("the body ran");
    assert_says_nowhere("went on");
    assert_says("[  SKIPPED ] 1 test");
}

/* --------------------------------------------------------------------------------------- Catch2 */

static void clean_blocks_pass_under_catch2(void **state)
{
    (void)state;
    run_catch2("clean");
    assert_int_equal(result.status, 0);
    assert_says("Passed ");
}

static void a_failed_expectation_goes_on_under_catch2(void **state)
{
    (void)state;
    run_catch2("expected");
    assert_int_not_equal(result.status, 0);
    assert_says("with_catch2.cpp:");
    assert_says("ZEROFAULT_EXPECT_NO_PAGE_FAULTS");
    assert_says("1 x page fault, seen by");
    assert_says("went on");
}

static void a_failed_assertion_ends_the_test_under_catch2(void **state)
{
    (void)state;
    run_catch2("asserted");
    assert_int_not_equal(result.status, 0);
    assert_says("ZEROFAULT_ASSERT_NO_PAGE_FAULTS");
    assert_says_nowhere("went on");
}

static void blocks_by_their_name_in_c_end_the_test_under_catch2(void **state)
{
    (void)state;
    run_catch2("by the name in C");
    assert_int_not_equal(result.status, 0);
    assert_says("assert_no_page_faults");
    assert_says("1 test case");
    assert_says_nowhere("went on");
}

static void what_cannot_be_told_is_a_warning_under_catch2(void **state)
{
    (void)state;
    run_catch2("unseen");
    assert_int_equal(result.status, 0);
    assert_says("warning:");
    assert_says("skipped: the guards are switched off");
    assert_says("the body ran");
    assert_says("went on");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_blocks_pass_under_googletest),
        cmocka_unit_test(a_failed_expectation_goes_on_under_googletest),
        cmocka_unit_test(a_failed_assertion_ends_the_test_under_googletest),
        cmocka_unit_test(blocks_by_their_name_in_c_end_the_test_under_googletest),
        cmocka_unit_test(a_block_left_by_return_is_checked_and_one_left_by_exception_is_not),
        cmocka_unit_test(what_cannot_be_told_is_skipped_under_googletest),
        cmocka_unit_test(clean_blocks_pass_under_catch2),
        cmocka_unit_test(a_failed_expectation_goes_on_under_catch2),
        cmocka_unit_test(a_failed_assertion_ends_the_test_under_catch2),
        cmocka_unit_test(blocks_by_their_name_in_c_end_the_test_under_catch2),
        cmocka_unit_test(what_cannot_be_told_is_a_warning_under_catch2),
    };
    return cmocka_run_group_tests_name("testing.frameworks", tests, NULL, NULL);
}
