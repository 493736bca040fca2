/*
 * What can be told about the threads that are attached: what each has seen, and, at the end of a
 * report, by which source they are guarded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zerofault/zerofault.h>

#include "os/os.h"

#define NO_THREAD UINT32_MAX

/* ----------------------------------------------------------------------------------- statistics */

static struct hot_section entered = HOT_SECTION("entered", .budget_ns = 1, .counted = true);
static pthread_barrier_t barrier;
static uint32_t other_thread;

static void enter(unsigned times)
{
    for (unsigned i = 0; i < times; ++i) {
        hot_section_begin(&entered);
        (void)hot_section_end(&entered);
    }
}

static void *enter_thrice(void *context)
{
    other_thread = zf_os_thread_id();
    enter(3);
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_barrier_wait(&barrier);
    return context;
}

static void each_thread_tells_what_it_has_seen(void **state)
{
    struct hot_section_statistics stats = HOT_SECTION_STATISTICS_INIT;
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    enter(5);
    assert_int_equal(pthread_create(&thread, NULL, enter_thrice, NULL), 0);
    (void)pthread_barrier_wait(&barrier);
    assert_int_equal(hot_thread_stats(&entered, other_thread, &stats), 0);
    assert_int_equal(stats.entries, 3);
    assert_int_equal(stats.counts[HOT_OVER_BUDGET], 3);
    assert_int_equal(hot_thread_stats(&entered, zf_os_thread_id(), &stats), 0);
    assert_int_equal(stats.entries, 5);
    assert_int_equal(stats.counts[HOT_OVER_BUDGET], 5);
    (void)pthread_barrier_wait(&barrier);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(hot_thread_stats(&entered, other_thread, &stats), -ESRCH);
    assert_int_equal(hot_section_stats(&entered, &stats), 0);
    assert_int_equal(stats.entries, 8);
    (void)pthread_barrier_destroy(&barrier);
}

static void statistics_that_cannot_be_told_are_refused(void **state)
{
    static struct hot_section never = HOT_SECTION("never");
    struct hot_section_statistics stats = HOT_SECTION_STATISTICS_INIT;
    (void)state;
    enter(1);
    assert_int_equal(hot_thread_stats(&entered, NO_THREAD, &stats), -ESRCH);
    assert_int_equal(hot_thread_stats(NULL, zf_os_thread_id(), &stats), -EINVAL);
    assert_int_equal(hot_thread_stats(&entered, zf_os_thread_id(), NULL), -EINVAL);
    assert_int_equal(hot_thread_stats(&never, zf_os_thread_id(), &stats), 0);
    assert_true(stats.entries == HOT_NOT_COUNTED);
    assert_int_equal(stats.dirty_entries, 0);
}

/* --------------------------------------------------------------------------------------- report */

#define CLEAN "SUMMARY: zerofault: 0 violations at 0 sites\n"

static void assert_clean_report_says(const char *expected)
{
    struct hot_report *report;
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    assert_int_equal(hot_report_create(&report, NULL), 0);
    assert_int_equal(hot_report_print(report, stream), 0);
    (void)fclose(stream);
    assert_string_equal(text, expected);
    free(text);
    hot_report_destroy(report);
}

static void clean_report_tells_that_nobody_was_watched(void **state)
{
    (void)state;
    hot_thread_detach();
    assert_clean_report_says("zerofault: no thread is guarded now.\n" CLEAN);
    hot_switch(false);
    assert_clean_report_says("zerofault: the guards are switched off.\n" CLEAN);
    hot_switch(true);
}

static void clean_report_tells_the_source_and_what_it_cannot_see(void **state)
{
    (void)state;
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RUSAGE), NULL), 0);
    assert_clean_report_says("zerofault: 1 thread guarded now by rusage. Every fault is counted, "
                             "but its address and instruction are unknown.\n" CLEAN);
}

static int detach(void **state)
{
    (void)state;
    hot_thread_detach();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_thread_tells_what_it_has_seen, detach),
        cmocka_unit_test_teardown(statistics_that_cannot_be_told_are_refused, detach),
        cmocka_unit_test_teardown(clean_report_tells_that_nobody_was_watched, detach),
        cmocka_unit_test_teardown(clean_report_tells_the_source_and_what_it_cannot_see, detach),
    };
    return cmocka_run_group_tests_name("hot.attached", tests, NULL, NULL);
}
