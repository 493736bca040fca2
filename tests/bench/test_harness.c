/*
 * The harness's arithmetic and its rules, with cases whose cost is made up: figures that a real
 * bench would hide in noise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "harness.h"

/* A bench whose lines go to a file that the test can read. */
static struct bench quiet_bench(FILE *lines)
{
    struct bench bench = {.name = "test", .smoke = true, .json_file = lines, .cpu = -1};
    return bench;
}

static char *read_all(FILE *stream)
{
    static char text[8192];
    size_t length;
    rewind(stream);
    length = fread(text, 1, sizeof text - 1, stream);
    text[length] = '\0';
    return text;
}

/* -------------------------------------------------------------------------------------- figures */

static void quantile_is_the_nearest_rank(void **state)
{
    const double sorted[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    (void)state;
    assert_true(bench_quantile(sorted, 10, 0.50) == 5);
    assert_true(bench_quantile(sorted, 10, 0.99) == 10);
    assert_true(bench_quantile(sorted, 10, 0.10) == 1);
    assert_true(bench_quantile(sorted, 10, 0.0) == 1);
    assert_true(bench_quantile(sorted, 10, 1.0) == 10);
    assert_true(bench_quantile(sorted, 1, 0.999) == 1);
}

static void ratio_ignores_noise_that_hits_a_whole_round(void **state)
{
    /* Twice the reference in every round, while the machine is ten times slower in one of them. */
    const double values[] = {2.0, 20.0, 2.0, 2.0, 2.0};
    const double reference[] = {1.0, 10.0, 1.0, 1.0, 1.0};
    double scratch[5];
    (void)state;
    assert_true(bench_median_ratio(values, reference, 5, scratch) == 2.0);
}

static void ratio_ignores_noise_that_hits_one_case_in_one_round(void **state)
{
    const double values[] = {2.0, 2.0, 90.0, 2.0, 2.0};
    const double reference[] = {1.0, 1.0, 1.0, 1.0, 1.0};
    double scratch[5];
    (void)state;
    assert_true(bench_median_ratio(values, reference, 5, scratch) == 2.0);
}

/* --------------------------------------------------------------------------------------- output */

static void json_line_has_the_promised_form(void **state)
{
    const struct bench_metric metric = {"p99.9", 1.5, "ns"};
    FILE *lines = tmpfile();
    (void)state;
    assert_non_null(lines);
    bench_write_json(lines, "guard", "pair", &metric);
    assert_string_equal(read_all(lines), "{\"bench\":\"guard\",\"case\":\"pair\",\"metric\":"
                                         "\"p99.9\",\"value\":1.5,\"unit\":\"ns\"}\n");
    fclose(lines);
}

static void json_escapes_what_a_string_may_not_hold(void **state)
{
    const struct bench_metric metric = {"m", 1.0, "u"};
    FILE *lines = tmpfile();
    (void)state;
    assert_non_null(lines);
    bench_write_json(lines, "b", "a\"b\\c\nd", &metric);
    assert_non_null(strstr(read_all(lines), "\"case\":\"a\\\"b\\\\c\\u000ad\""));
    fclose(lines);
}

static void an_unknown_figure_has_no_line(void **state)
{
    const struct bench_metric metric = {"ratio", 0.0 / 0.0, "x"};
    FILE *lines = tmpfile();
    (void)state;
    assert_non_null(lines);
    bench_write_json(lines, "b", "c", &metric);
    assert_string_equal(read_all(lines), "");
    fclose(lines);
}

/* ------------------------------------------------------------------------------------------ run */

/* The order in which cases ran, and how often each was prepared. */
struct diary {
    char order[64];
    size_t prepared_count;
};

struct diarist {
    struct diary *diary;
    char letter;
};

static void write_letter(void *context, size_t operations)
{
    struct diarist *diarist = context;
    size_t length = strlen(diarist->diary->order);
    assert_true(operations > 0);
    assert_true(length + 1 < sizeof diarist->diary->order);
    diarist->diary->order[length] = diarist->letter;
}

static void count_preparation(void *context)
{
    struct diarist *diarist = context;
    ++diarist->diary->prepared_count;
}

static void cases_take_turns(void **state)
{
    struct diary diary = {"", 0};
    struct diarist first = {&diary, 'a'};
    struct diarist second = {&diary, 'b'};
    FILE *lines = tmpfile();
    struct bench bench = quiet_bench(lines);
    struct bench_case cases[] = {
        {.name = "a",
         .run = write_letter,
         .prepare = count_preparation,
         .context = &first,
         .operations = 1},
        {.name = "b", .run = write_letter, .context = &second, .operations = 1},
    };
    (void)state;
    assert_non_null(lines);
    assert_int_equal(bench_run(&bench, cases, 2, "a"), BENCH_OK);
    /* One untimed turn of three batches each, then three rounds. */
    assert_string_equal(diary.order, "aaabbbaaabbbaaabbbaaabbb");
    assert_int_equal(diary.prepared_count, 4);
    assert_int_equal(cases[0].result.operations, 9);
    assert_true(cases[0].result.ratio == 1.0);
    fclose(lines);
}

static void a_case_left_out_is_not_run_and_says_so(void **state)
{
    struct diary diary = {"", 0};
    struct diarist diarist = {&diary, 'a'};
    FILE *lines = tmpfile();
    struct bench bench = quiet_bench(lines);
    struct bench_case cases[] = {
        {.name = "a",
         .run = write_letter,
         .context = &diarist,
         .operations = 1,
         .left_out = "not here"},
    };
    (void)state;
    assert_non_null(lines);
    assert_int_equal(bench_run(&bench, cases, 1, "a"), BENCH_OK);
    assert_string_equal(diary.order, "");
    assert_non_null(strstr(read_all(lines), "\"metric\":\"left_out\",\"value\":1"));
    fclose(lines);
}

/* Touches a fresh page for each operation. */
static void touch_fresh_pages(void *context, size_t operations)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *memory = mmap(NULL, operations * page_bytes, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)context;
    assert_true(memory != MAP_FAILED);
    madvise(memory, operations * page_bytes, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < operations; i++)
        ((volatile unsigned char *)memory)[i * page_bytes] = 1;
    munmap(memory, operations * page_bytes);
}

static void a_warm_case_that_faults_fails_the_run(void **state)
{
    FILE *lines = tmpfile();
    struct bench bench = quiet_bench(lines);
    struct bench_case cases[] = {
        {.name = "faults", .run = touch_fresh_pages, .operations = 4, .warm = true},
    };
    (void)state;
    assert_non_null(lines);
    assert_int_equal(bench_run(&bench, cases, 1, NULL), BENCH_FAILED);
    assert_true(cases[0].result.faults >= 36); /* three rounds of three batches of four */
    fclose(lines);
}

static void a_cold_case_may_fault(void **state)
{
    FILE *lines = tmpfile();
    struct bench bench = quiet_bench(lines);
    struct bench_case cases[] = {
        {.name = "faults", .run = touch_fresh_pages, .operations = 4},
    };
    (void)state;
    assert_non_null(lines);
    assert_int_equal(bench_run(&bench, cases, 1, NULL), BENCH_OK);
    assert_true(cases[0].result.faults >= 36);
    fclose(lines);
}

/* ---------------------------------------------------------------------------------------- clock */

static void the_clock_agrees_with_the_monotonic_one(void **state)
{
    uint64_t from_ns, from_ticks, spent_ns;
    double measured_ns;
    (void)state;
    bench_clock_calibrate(2000000);
    from_ns = bench_monotonic_ns();
    from_ticks = bench_ticks();
    do {
        spent_ns = bench_monotonic_ns() - from_ns;
        measured_ns = bench_ticks_to_ns(bench_ticks() - from_ticks);
    } while (spent_ns < 2000000);
    /* A factor of two is far more than a preemption between the two reads can make. */
    assert_true(measured_ns > 0.5 * (double)spent_ns);
}

/* --------------------------------------------------------------------------------- command line */

static int begin(struct bench *bench, char *argument, char *value)
{
    char *arguments[] = {(char *)"bench_test", argument, value, NULL};
    optind = 1;
    return bench_begin(bench, "test", "An idea.", value == NULL ? 2 : 3, arguments);
}

static void command_line_mistakes_are_refused(void **state)
{
    struct bench bench;
    (void)state;
    assert_int_equal(begin(&bench, (char *)"--cpu", (char *)"x"), BENCH_USAGE);
    assert_int_equal(begin(&bench, (char *)"--cpu", (char *)"-3"), BENCH_USAGE);
    assert_int_equal(begin(&bench, (char *)"--cpu", (char *)"999999"), BENCH_USAGE);
    assert_int_equal(begin(&bench, (char *)"extra", NULL), BENCH_USAGE);
    assert_int_equal(begin(&bench, (char *)"--json-to", (char *)"/nowhere/at/all"), BENCH_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantile_is_the_nearest_rank),
        cmocka_unit_test(ratio_ignores_noise_that_hits_a_whole_round),
        cmocka_unit_test(ratio_ignores_noise_that_hits_one_case_in_one_round),
        cmocka_unit_test(json_line_has_the_promised_form),
        cmocka_unit_test(json_escapes_what_a_string_may_not_hold),
        cmocka_unit_test(an_unknown_figure_has_no_line),
        cmocka_unit_test(cases_take_turns),
        cmocka_unit_test(a_case_left_out_is_not_run_and_says_so),
        cmocka_unit_test(a_warm_case_that_faults_fails_the_run),
        cmocka_unit_test(a_cold_case_may_fault),
        cmocka_unit_test(the_clock_agrees_with_the_monotonic_one),
        cmocka_unit_test(command_line_mistakes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
