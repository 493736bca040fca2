/*
 * What the blocks of zerofault/testing.h do in other people's tests: under cmocka, and without a
 * framework. Each case is a program of its own, run here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <zerofault/testing.h>

#include "support/needs.h"
#include "support/program.h"

static struct program_result result;

static void run(const char *program, const char *test, bool deny_perf)
{
    program_run(&result, &(struct program_options){.deny_perf = deny_perf},
                (const char *[]){program, test, NULL});
}

/* Blocks count nothing under sanitizers; testing.blocks has the test for that. */
static void need_counts(void)
{
    need("exact faults", !ZEROFAULT_TEST_SANITIZED, "blocks do not count under sanitizers");
}

#define assert_contains(text, part) assert_non_null(strstr((text), (part)))

/* --------------------------------------------------------------------------------------- cmocka */

static void clean_blocks_pass_under_cmocka_with_lazy_binding(void **state)
{
    (void)state;
    need_counts();
    run(WITH_CMOCKA, "clean", false);
    assert_contains(result.output, "[       OK ] clean");
    assert_int_equal(result.status, 0);
}

static void a_fault_fails_the_cmocka_test_with_place_and_address(void **state)
{
    void *page = NULL;
    char expected[64];
    (void)state;
    need_counts();
    run(WITH_CMOCKA, "dirty", false);
    assert_int_equal(result.status, 1);
    assert_contains(result.output, "page ");
    assert_int_equal(sscanf(strstr(result.output, "page "), "page %p", &page), 1);
    assert_contains(result.output, "[  FAILED  ] dirty");
    assert_null(strstr(result.output, "not reached"));
    assert_contains(result.errors, "with_cmocka.c:");
    assert_contains(result.errors,
                    ": assert_no_page_faults in dirty: 1 x page fault, seen by ring and rusage\n");
    (void)snprintf(expected, sizeof expected, "page fault at %p, by the instruction at 0x", page);
    assert_contains(result.errors, expected);
    assert_contains(result.errors, ": error: Failure!");
}

static void without_a_ring_the_fault_is_counted_and_the_remedy_told(void **state)
{
    (void)state;
    need_counts();
    run(WITH_CMOCKA, "dirty", true);
    assert_int_equal(result.status, 1);
    assert_contains(result.errors, " in dirty: 1 x page fault, seen by rusage\n");
    assert_contains(result.errors, "Addresses are not known here. Set kernel.perf_event_paranoid");
    run(WITH_CMOCKA, "clean", true);
    assert_int_equal(result.status, 0);
}

static void an_assertion_that_fails_inside_does_not_spoil_the_next_test(void **state)
{
    (void)state;
    need_counts();
    run(WITH_CMOCKA, "*assertion_inside", false);
    assert_int_equal(result.status, 1);
    assert_contains(result.output, "[  FAILED  ] assertion_inside");
    assert_contains(result.output, "[       OK ] after_assertion_inside");
}

static void what_cannot_be_told_is_skipped_under_cmocka(void **state)
{
    (void)state;
    need_counts();
    run(WITH_CMOCKA, "switched_off", false);
    assert_int_equal(result.status, 0);
    assert_contains(result.output, "the body ran\n");
    assert_contains(result.output,
                    ": assert_no_page_faults in switched_off: skipped: the guards are");
    assert_contains(result.output, "[  SKIPPED ] switched_off");
    assert_null(strstr(result.output, "not reached"));
}

#ifdef VALGRIND
static void valgrind_skips_and_runs_the_body(void **state)
{
    (void)state;
    need_counts();
    need("valgrind", strlen(VALGRIND) > 0, "Valgrind is not installed");
    program_run(&result, NULL, (const char *[]){VALGRIND, "-q", WITH_CMOCKA, "dirty", NULL});
    assert_int_equal(result.status, 0);
    assert_contains(result.output, " in dirty: skipped: Valgrind touches memory of its own\n");
    assert_contains(result.output, "[  SKIPPED ] dirty");
}
#endif

/* ---------------------------------------------------------------------------- without framework */

static void without_a_framework_a_fault_aborts_with_the_message(void **state)
{
    (void)state;
    need_counts();
    run(WITHOUT_FRAMEWORK, "clean", false);
    assert_string_equal(result.output, "went on\n");
    assert_string_equal(result.errors, "");
    assert_int_equal(result.status, 0);

    run(WITHOUT_FRAMEWORK, "dirty", false);
    assert_string_equal(result.output, "");
    assert_contains(result.errors, "without_framework.c:");
    assert_contains(result.errors, ": assert_no_page_faults in main: 1 x page fault, seen by ");
    assert_int_equal(result.status, 128 + SIGABRT);
}

static void without_a_framework_a_skip_is_told_and_the_program_goes_on(void **state)
{
    (void)state;
    need_counts();
    run(WITHOUT_FRAMEWORK, "off", false);
    assert_string_equal(result.output, "went on\n");
    assert_contains(result.errors, ": assert_no_page_faults in main: skipped: ");
    assert_int_equal(result.status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_blocks_pass_under_cmocka_with_lazy_binding),
        cmocka_unit_test(a_fault_fails_the_cmocka_test_with_place_and_address),
        cmocka_unit_test(without_a_ring_the_fault_is_counted_and_the_remedy_told),
        cmocka_unit_test(an_assertion_that_fails_inside_does_not_spoil_the_next_test),
        cmocka_unit_test(what_cannot_be_told_is_skipped_under_cmocka),
#ifdef VALGRIND
        cmocka_unit_test(valgrind_skips_and_runs_the_body),
#endif
        cmocka_unit_test(without_a_framework_a_fault_aborts_with_the_message),
        cmocka_unit_test(without_a_framework_a_skip_is_told_and_the_program_goes_on),
    };
    return cmocka_run_group_tests_name("testing.flavours", tests, NULL, NULL);
}
