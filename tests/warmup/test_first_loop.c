/*
 * The first run of a loop body in a fresh process takes no page fault. Programs are run and print
 * what they counted; see first_loop/program.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/sanitizer.h"

/* The faults of a program's first round, in one of its ways; `words` gets all that it says. */
static long faults_of(const char *program, const char *way, char *words, size_t words_bytes)
{
    char command[1024];
    FILE *output;
    const char *counted;
    size_t length;
    (void)snprintf(command, sizeof command, "%s %s 2>&1", program, way);
    output = popen(command, "r");
    assert_non_null(output);
    length = fread(words, 1, words_bytes - 1, output);
    words[length] = '\0';
    assert_int_equal(pclose(output), 0);
    counted = strstr(words, "counted ");
    assert_non_null(counted);
    return strtol(counted + strlen("counted "), NULL, 10);
}

static void assert_clean(const char *program, const char *way)
{
    char words[4096];
    long faults = faults_of(program, way, words, sizeof words);
    if (faults != 0)
        fail_msg("%s %s: %ld faults\n%s", program, way, faults, words);
}

static void assert_faults(const char *program, const char *way, long faults_min)
{
    char words[4096];
    assert_in_range(faults_of(program, way, words, sizeof words), faults_min, 100000);
}

static void without_a_warmup_the_first_round_faults_hundreds_of_times(void **state)
{
    (void)state;
    need_no_sanitizer();
    assert_faults(FIRST_LOOP_LAZY, "cold main", 300);
    assert_faults(FIRST_LOOP_NOW, "cold main", 300);
}

static void after_process_warmup_the_first_round_does_not_fault(void **state)
{
    (void)state;
    need_no_sanitizer();
    assert_clean(FIRST_LOOP_NOW, "warm main");
}

static void functions_that_are_bound_in_the_first_round_do_not_fault_either(void **state)
{
    (void)state;
    need_no_sanitizer();
    assert_clean(FIRST_LOOP_LAZY, "warm main");
}

static void process_warmup_alone_leaves_another_threads_own_memory_cold(void **state)
{
    (void)state;
    need_no_sanitizer();
    assert_faults(FIRST_LOOP_LAZY, "cold thread", 40);
    assert_faults(FIRST_LOOP_NOW, "cold thread", 40);
}

static void after_thread_warmup_the_first_round_of_a_thread_does_not_fault(void **state)
{
    (void)state;
    need_no_sanitizer();
    assert_clean(FIRST_LOOP_NOW, "warm thread");
    assert_clean(FIRST_LOOP_LAZY, "warm thread");
}

static void the_report_names_what_binds_late(void **state)
{
    char words[4096];
    (void)state;
    need_no_sanitizer();
    (void)faults_of(FIRST_LOOP_LAZY, "warm main report", words, sizeof words);
    assert_non_null(strstr(words, "to be bound by their first call, in "));
    assert_non_null(strstr(words, "objects: the program"));
    assert_non_null(strstr(words, "LD_BIND_NOW=1"));
}

static void functions_bound_at_the_start_are_all_reported_bound(void **state)
{
    char words[4096];
    (void)state;
    need_no_sanitizer();
    (void)faults_of("LD_BIND_NOW=1 " FIRST_LOOP_LAZY, "warm main report", words, sizeof words);
    assert_non_null(strstr(words, "function slots bound"));
    assert_null(strstr(words, "first call"));
}

static void a_malloc_that_is_not_the_c_librarys_is_reported(void **state)
{
    char words[4096];
    (void)state;
    need_no_sanitizer();
    (void)faults_of("LD_PRELOAD=" FOREIGN_MALLOC " " FIRST_LOOP_NOW, "warm main report", words,
                    sizeof words);
    assert_non_null(strstr(words, "0 of    1024 KiB"));
    assert_non_null(strstr(words, "EOPNOTSUPP"));
    assert_non_null(strstr(words, "-> Allocate from arenas in the hot loop"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_warmup_the_first_round_faults_hundreds_of_times),
        cmocka_unit_test(after_process_warmup_the_first_round_does_not_fault),
        cmocka_unit_test(functions_that_are_bound_in_the_first_round_do_not_fault_either),
        cmocka_unit_test(process_warmup_alone_leaves_another_threads_own_memory_cold),
        cmocka_unit_test(after_thread_warmup_the_first_round_of_a_thread_does_not_fault),
        cmocka_unit_test(the_report_names_what_binds_late),
        cmocka_unit_test(functions_bound_at_the_start_are_all_reported_bound),
        cmocka_unit_test(a_malloc_that_is_not_the_c_librarys_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
