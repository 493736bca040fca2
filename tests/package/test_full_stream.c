/* What prints tells when its text did not arrive, on a stream with a buffer too: there the loss
 * shows only when the buffer is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>

#include <zerofault/zerofault.h>

static FILE *full;

static int open_full(void **state)
{
    (void)state;
    full = fopen("/dev/full", "we");
    return full == NULL ? -1 : 0;
}

static int close_full(void **state)
{
    (void)state;
    (void)fclose(full);
    return 0;
}

static void warmup_report_that_is_lost_is_an_error(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    (void)state;
    assert_int_equal(warmup_report_print(&report, full), -EIO);
    report.size_bytes = 4096;
    report.page_bytes = 4096;
    assert_int_equal(warmup_report_print(&report, full), -EIO);
}

static void process_report_that_is_lost_is_an_error(void **state)
{
    struct process_report report = PROCESS_REPORT_INIT;
    (void)state;
    assert_int_equal(process_report_print(&report, full), -EIO);
    report.thread_id = 1;
    assert_int_equal(process_report_print(&report, full), -EIO);
}

static void violation_that_is_lost_is_an_error(void **state)
{
    static struct hot_section section = HOT_SECTION("lost");
    struct hot_violation violation = {.section = &section, .kind = HOT_FAULT, .count = 1};
    (void)state;
    assert_int_equal(hot_violation_print(&violation, full), -EIO);
}

static void hot_report_that_is_lost_is_an_error(void **state)
{
    struct hot_report *report;
    (void)state;
    assert_int_equal(hot_report_create(&report, NULL), 0);
    assert_int_equal(hot_report_print(report, full), -EIO);
    hot_report_destroy(report);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_full, close_full)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(warmup_report_that_is_lost_is_an_error),
        TEST(process_report_that_is_lost_is_an_error),
        TEST(violation_that_is_lost_is_an_error),
        TEST(hot_report_that_is_lost_is_an_error),
    };
    return cmocka_run_group_tests_name("package.full_stream", tests, NULL, NULL);
}
