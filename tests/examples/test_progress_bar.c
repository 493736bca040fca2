/*
 * The bar of the example warmup_progress, fed by hand: when it draws, and that it does not once the
 * warmup is cancelled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "progress_bar.h"

#define MIB ((size_t)1 << 20)

static char text[4096];
static FILE *stream;
static int cancelled;

static struct progress_bar begin(bool terminal)
{
    struct progress_bar bar;
    cancelled = 0;
    memset(text, 0, sizeof text);
    stream = fmemopen(text, sizeof text, "w");
    assert_non_null(stream);
    /* A memory stream is no terminal; the test says when to draw as if. */
    memset(&bar, 0, sizeof bar);
    bar.stream = stream;
    bar.cancelled = &cancelled;
    bar.terminal = terminal;
    return bar;
}

static int show(struct progress_bar *bar, enum warmup_phase phase, size_t done_mib, uint64_t ms)
{
    const struct warmup_progress progress = {.phase = phase,
                                             .done_bytes = done_mib * MIB,
                                             .total_bytes = 100 * MIB,
                                             .spent_ns = ms * 1000000,
                                             .bytes_per_second = 50 * MIB};
    return progress_bar_show(&progress, bar);
}

static size_t count(const char *what)
{
    size_t times = 0;
    for (const char *found = text; (found = strstr(found, what)) != NULL; ++found)
        ++times;
    return times;
}

static void a_cancelled_warmup_is_answered_with_stop_and_nothing_is_written(void **state)
{
    (void)state;
    for (int terminal = 0; terminal <= 1; ++terminal) {
        struct progress_bar bar = begin(terminal != 0);
        size_t length;
        assert_int_equal(show(&bar, WARMUP_POPULATE, 10, 10), 0);
        length = strlen(text);
        assert_int_equal(length != 0, terminal);
        cancelled = 1;
        assert_int_equal(show(&bar, WARMUP_POPULATE, 50, 1000), 1);
        assert_int_equal(show(&bar, WARMUP_POPULATE, 100, 2000), 1);
        assert_int_equal(show(&bar, WARMUP_PROVE, 100, 2000), 1);
        assert_int_equal(strlen(text), length);
        assert_int_equal(fclose(stream), 0);
    }
}

static void it_is_drawn_ten_times_a_second_at_most_and_at_each_end(void **state)
{
    struct progress_bar bar = begin(true);
    (void)state;
    for (uint64_t ms = 0; ms < 1000; ++ms)
        assert_int_equal(show(&bar, WARMUP_POPULATE, 1 + ms / 20, ms), 0);
    assert_int_equal(count("populate"), 10);
    assert_int_equal(show(&bar, WARMUP_POPULATE, 100, 1001), 0);
    assert_int_equal(count("populate"), 11);
    assert_int_equal(count("\n"), 1);
    assert_int_equal(show(&bar, WARMUP_PROVE, 1, 1), 0);
    assert_int_equal(count("prove"), 1);
    assert_int_equal(fclose(stream), 0);
}

static void what_is_left_is_told_in_seconds(void **state)
{
    struct progress_bar bar = begin(true);
    (void)state;
    assert_int_equal(show(&bar, WARMUP_POPULATE, 25, 500), 0);
    assert_non_null(strstr(text, " 25 %  25 of 100 MiB  0.0 GiB/s  1.5 s left"));
    assert_int_equal(fclose(stream), 0);
}

static void a_file_is_no_terminal(void **state)
{
    struct progress_bar bar;
    (void)state;
    stream = tmpfile();
    assert_non_null(stream);
    progress_bar_begin(&bar, stream, NULL);
    assert_false(bar.terminal);
    assert_false(bar.coloured);
    assert_int_equal(fclose(stream), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancelled_warmup_is_answered_with_stop_and_nothing_is_written),
        cmocka_unit_test(it_is_drawn_ten_times_a_second_at_most_and_at_each_end),
        cmocka_unit_test(what_is_left_is_told_in_seconds),
        cmocka_unit_test(a_file_is_no_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
