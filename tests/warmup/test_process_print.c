/*
 * The report on a process as text: what a person reads must be what the struct says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <zerofault/process.h>

/* A warmup with everything that can be said. */
static struct process_report rich(void)
{
    struct process_report report = PROCESS_REPORT_INIT;
    report.thread_id = 77;
    report.code =
        (struct process_item){WARMUP_REQUIRE, 0, 2048 << 10, 2048 << 10, 12, 1500000, NULL};
    report.data =
        (struct process_item){WARMUP_PREFER, -EFAULT, 512 << 10, 256 << 10, 9, 0, "Stop."};
    report.tls = (struct process_item){WARMUP_OFF, 0, 0, 0, 0, 0, NULL};
    report.clock = (struct process_item){WARMUP_REQUIRE, 0, 0, 0, 2, 0, NULL};
    report.lock = (struct process_item){WARMUP_PREFER, -ENOMEM, 9 << 20, 0, 0, 0, "Raise it."};
    report.heap = (struct process_item){WARMUP_PREFER, -EOPNOTSUPP, 0, 0, 0, 0, "Use arenas."};
    report.stack = (struct process_item){WARMUP_REQUIRE, 0, 256 << 10, 256 << 10, 58, 0, NULL};
    report.binding = (struct process_item){WARMUP_PREFER, -EAGAIN, 80, 56, 0, 0, "Bind now."};
    report.objects = 6;
    report.lazy_objects = 2;
    report.lazy_slots = 3;
    strcpy(report.lazy_object, "libm.so.6");
    report.faults_minor = 600;
    report.faults_major = 1;
    report.proven = 1;
    return report;
}

static void print(const struct process_report *report, char *text, size_t size_bytes)
{
    FILE *stream = fmemopen(text, size_bytes, "w");
    assert_non_null(stream);
    assert_int_equal(process_report_print(report, stream), 0);
    assert_int_equal(fclose(stream), 0);
}

static void assert_says(const struct process_report *report, const char *words)
{
    char text[4096];
    print(report, text, sizeof text);
    if (strstr(text, words) == NULL)
        fail_msg("no \"%s\" in:\n%s", words, text);
}

static void assert_does_not_say(const struct process_report *report, const char *words)
{
    char text[4096];
    print(report, text, sizeof text);
    assert_null(strstr(text, words));
}

static void each_part_shows_asked_against_got(void **state)
{
    struct process_report report = rich();
    (void)state;
    assert_says(&report,
                "code      require      2048 of    2048 KiB,     12 faults,    1.500 ms\n");
    assert_says(&report, "data      prefer        256 of     512 KiB,      9 faults");
    assert_says(&report, "tls       off\n");
    assert_says(&report, "clock     require                    done,      2 faults");
    assert_says(&report, "heap      prefer                 not done,");
    assert_says(&report, "stack     require       256 of     256 KiB,     58 faults");
    assert_says(&report, "600 minor, 1 major in this thread; 0 in the proof\n");
}

static void a_refusal_shows_its_error_and_remedy(void **state)
{
    struct process_report report = rich();
    (void)state;
    assert_says(&report, "EFAULT (Bad address)\n            -> Stop.\n");
    assert_says(&report, "ENOMEM (Cannot allocate memory)\n            -> Raise it.\n");
    assert_says(&report, "-> Use arenas.\n");
}

static void late_functions_show_their_number_and_first_object(void **state)
{
    struct process_report report = rich();
    (void)state;
    assert_says(&report, "binding   7 of 10 function slots bound in 6 objects\n");
    assert_says(&report, "3 to be bound by their first call, in 2 objects: libm.so.6, ...\n");
    assert_says(&report, "-> Bind now.\n");
    report.lazy_slots = 0;
    assert_does_not_say(&report, "first call");
    report.binding.asked = WARMUP_OFF;
    assert_says(&report, "binding   off\n");
}

static void the_first_line_is_the_result(void **state)
{
    struct process_report report = rich();
    (void)state;
    assert_says(&report, "warmup by thread 77: warm, proven\n");
    report.proven = 0;
    assert_says(&report, "warmup by thread 77: done, not proven\n");
    report.result = -ENOMEM;
    assert_says(&report, "warmup by thread 77: ENOMEM (Cannot allocate memory)\n");
}

static void a_report_that_nothing_has_filled_says_so(void **state)
{
    struct process_report report = PROCESS_REPORT_INIT;
    (void)state;
    assert_says(&report, "no warmup has run\n");
}

static void a_name_without_an_end_is_cut(void **state)
{
    struct process_report report = rich();
    char name[sizeof report.lazy_object + 1] = {0};
    (void)state;
    memset(report.lazy_object, 'x', sizeof report.lazy_object);
    memset(name, 'x', sizeof report.lazy_object);
    assert_does_not_say(&report, name);
    assert_says(&report, name + 1);
}

static void arguments_that_are_none_are_refused(void **state)
{
    struct process_report report = rich();
    (void)state;
    assert_int_equal(process_report_print(NULL, stderr), -EINVAL);
    assert_int_equal(process_report_print(&report, NULL), -EINVAL);
    report.struct_size = 0;
    assert_int_equal(process_report_print(&report, stderr), -EINVAL);
}

static void a_stream_that_fails_is_reported(void **state)
{
    struct process_report report = rich();
    FILE *stream = fopen("/dev/full", "w");
    (void)state;
    assert_non_null(stream);
    setbuf(stream, NULL);
    assert_int_equal(process_report_print(&report, stream), -EIO);
    (void)fclose(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_shows_asked_against_got),
        cmocka_unit_test(a_refusal_shows_its_error_and_remedy),
        cmocka_unit_test(late_functions_show_their_number_and_first_object),
        cmocka_unit_test(the_first_line_is_the_result),
        cmocka_unit_test(a_report_that_nothing_has_filled_says_so),
        cmocka_unit_test(a_name_without_an_end_is_cut),
        cmocka_unit_test(arguments_that_are_none_are_refused),
        cmocka_unit_test(a_stream_that_fails_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
