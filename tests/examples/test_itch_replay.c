/*
 * The replay as its user runs it: four modes whose books agree, no fault on zerofault, and a clear
 * end for files that are cut or malformed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/needs.h"
#include "support/program.h"

#define MODES 4

/* ThreadSanitizer keeps notes on memory in pages of its own, which come at their first use. */
#if defined(__SANITIZE_THREAD__)
#define HAS_COLD_SHADOW true
#else
#define HAS_COLD_SHADOW false
#endif

static const char *const mode_names[MODES] = {"malloc", "mlockall+touch", "MAP_POPULATE",
                                              "zerofault"};
static struct program_result result;
static char file_path[64];

/* ------------------------------------------------------------------------------------- fixtures */

static int generate(void **state)
{
    (void)state;
    program_make_file(file_path, "", 0);
    program_run(&result, NULL,
                (const char *[]){ITCH_GENERATE, "--messages", "20000", "--out", file_path, NULL});
    return result.status;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file_path);
}

static void replay(const struct program_options *options, const char *option)
{
    program_run(&result, options, (const char *[]){ITCH_REPLAY, file_path, option, NULL});
    if (result.status != 0)
        print_message("%s", result.errors);
    assert_int_equal(result.status, 0);
}

/* The number that `--json` gave for one mode and metric. */
static double number(const char *mode, const char *metric)
{
    char key[120];
    const char *line;
    double value;
    snprintf(key, sizeof key,
             "{\"bench\":\"itch_replay\",\"case\":\"%s\",\"metric\":\"%s\",\"value\":", mode,
             metric);
    line = strstr(result.output, key);
    assert_non_null(line);
    assert_int_equal(sscanf(line + strlen(key), "%lf,\"unit\":\"", &value), 1);
    return value;
}

static bool has_ring(void)
{
    return strstr(result.output, "\"faults_ring\"") != NULL;
}

/* -------------------------------------------------------------------------------------- replays */

static void modes_agree_on_the_books(void **state)
{
    (void)state;
    replay(NULL, "--json");
    for (int i = 0; i < MODES; ++i) {
        assert_true(number(mode_names[i], "messages") == 20000);
        assert_true(number(mode_names[i], "checksum_low48") == number("malloc", "checksum_low48"));
    }
}

static void zerofault_takes_no_fault_and_malloc_does(void **state)
{
    (void)state;
    need("no shadow memory", !HAS_COLD_SHADOW, "ThreadSanitizer's pages fault in the loop");
    replay(NULL, "--json");
    assert_true(number("zerofault", "faults_getrusage") == 0);
    assert_true(number("malloc", "faults_getrusage") > 0);
    need("perf", has_ring(), "perf_event_open is refused here");
    assert_true(number("zerofault", "faults_ring") == 0);
    assert_true(number("malloc", "faults_ring") == number("malloc", "faults_getrusage"));
}

static void refused_ring_is_replaced_and_named(void **state)
{
    static const struct program_options options = {.deny_perf = true};
    (void)state;
    replay(&options, "--json");
    assert_false(has_ring());
    assert_true(number("malloc", "faults_rusage") > 0);
    assert_true(number("malloc", "faults_getrusage") >= number("malloc", "faults_rusage"));
    assert_true(HAS_COLD_SHADOW || number("zerofault", "faults_rusage") == 0);
    replay(&options, NULL);
    assert_non_null(strstr(result.output, "guard     source rusage"));
    assert_non_null(strstr(result.output, "perf_event_paranoid"));
}

static void latencies_rise_with_their_rank(void **state)
{
    (void)state;
    replay(NULL, "--json");
    for (int i = 0; i < MODES; ++i) {
        assert_true(number(mode_names[i], "p50") > 0);
        assert_true(number(mode_names[i], "p99") >= number(mode_names[i], "p50"));
        assert_true(number(mode_names[i], "p99_9") >= number(mode_names[i], "p99"));
        assert_true(number(mode_names[i], "max") >= number(mode_names[i], "p99_9"));
    }
}

/* Nobody complained; but a guard may have seen the sanitizer's own memory fault. */
static void assert_nothing_to_complain(void)
{
    if (!HAS_COLD_SHADOW) {
        assert_string_equal(result.errors, "");
    }
}

static void table_has_a_row_for_each_mode_and_says_where_it_ran(void **state)
{
    (void)state;
    replay(NULL, NULL);
    assert_nothing_to_complain();
    assert_non_null(strstr(result.output, "machine   "));
    assert_non_null(strstr(result.output, "kernel    Linux "));
    assert_non_null(strstr(result.output, file_path));
    assert_non_null(strstr(result.output, "messages  20,000: "));
    assert_non_null(strstr(result.output, "guard     source r"));
    for (int i = 0; i < MODES; ++i) {
        char row[32];
        snprintf(row, sizeof row, "\n%-14s ", mode_names[i]);
        assert_non_null(strstr(result.output, row));
    }
}

static void number_of_messages_can_be_limited(void **state)
{
    (void)state;
    program_run(&result, NULL,
                (const char *[]){ITCH_REPLAY, "--json", "--messages", "3000", file_path, NULL});
    assert_int_equal(result.status, 0);
    for (int i = 0; i < MODES; ++i)
        assert_true(number(mode_names[i], "messages") == 3000);
}

static void file_can_come_through_a_pipe(void **state)
{
    const struct program_options options = {.input_path = file_path};
    double checksum;
    (void)state;
    replay(NULL, "--json");
    checksum = number("zerofault", "checksum_low48");
    program_run(&result, &options, (const char *[]){ITCH_REPLAY, "--json", "-", NULL});
    assert_int_equal(result.status, 0);
    assert_true(number("zerofault", "checksum_low48") == checksum);
}

/* --------------------------------------------------------------------------------------- broken */

/* Replay a file of these bytes, which must be refused with this complaint. */
static void assert_malformed(const void *bytes, size_t size_bytes, const char *complaint)
{
    char path[64];
    program_make_file(path, bytes, size_bytes);
    program_run(&result, NULL, (const char *[]){ITCH_REPLAY, path, NULL});
    unlink(path);
    assert_int_equal(result.status, 1);
    assert_string_equal(result.output, "");
    assert_non_null(strstr(result.errors, path));
    assert_non_null(strstr(result.errors, complaint));
}

static void broken_files_are_status_1_with_the_place(void **state)
{
    /* Two system events, 14 bytes each with their lengths. */
    static const uint8_t whole[] = {0, 12, 'S', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'O',
                                    0, 12, 'S', 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 'C'};
    uint8_t bytes[sizeof whole];
    (void)state;
    assert_malformed(whole, 20, "byte offset 14, message index 1: the file ends inside");
    memcpy(bytes, whole, sizeof whole);
    bytes[16] = '?';
    assert_malformed(bytes, sizeof bytes, "byte offset 14, message index 1: ITCH 5.0 has no");
    memcpy(bytes, whole, sizeof whole);
    bytes[15] = 13;
    assert_malformed(bytes, sizeof bytes, "byte offset 14, message index 1: a message of type 'S'");
    assert_malformed("", 0, "the file is empty");
    assert_malformed("\x1f\x8b", 2, "gunzip");
    assert_malformed("{json}", 6, "not an ITCH 5.0 file");
}

static void file_without_a_single_order_is_replayed(void **state)
{
    static const uint8_t bytes[] = {0, 12, 'S', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'O'};
    char path[64];
    (void)state;
    program_make_file(path, bytes, sizeof bytes);
    program_run(&result, NULL, (const char *[]){ITCH_REPLAY, path, NULL});
    unlink(path);
    assert_nothing_to_complain();
    assert_int_equal(result.status, 0);
}

/* As in a file that begins in the middle of a day. */
static void reference_from_before_the_file_is_reported(void **state)
{
    static const uint8_t bytes[] = {0, 19, 'D', 0, 1, 0, 0, 0, 0, 0, 0,
                                    0, 1,  0,   0, 0, 0, 0, 0, 0, 7};
    char path[64];
    (void)state;
    program_make_file(path, bytes, sizeof bytes);
    program_run(&result, NULL, (const char *[]){ITCH_REPLAY, path, NULL});
    unlink(path);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.output, "anomalies 1 messages do not fit the books "
                                          "(1 of them name an unknown order)"));
}

static void file_that_cannot_be_opened_is_status_1(void **state)
{
    (void)state;
    program_run(&result, NULL, (const char *[]){ITCH_REPLAY, "/nosuch", NULL});
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.errors, "/nosuch: No such file"));
    program_run(&result, NULL, (const char *[]){ITCH_REPLAY, "/tmp", NULL});
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.errors, "/tmp: Is a directory"));
}

static void wrong_usage_is_status_2(void **state)
{
    (void)state;
    program_run(&result, NULL, (const char *[]){ITCH_REPLAY, NULL});
    assert_int_equal(result.status, 2);
    program_run(&result, NULL, (const char *[]){ITCH_REPLAY, "a", "b", NULL});
    assert_int_equal(result.status, 2);
    program_run(&result, NULL, (const char *[]){ITCH_REPLAY, "--messages", "many", "a", NULL});
    assert_int_equal(result.status, 2);
    assert_non_null(strstr(result.errors, "many"));
    program_run(&result, NULL, (const char *[]){ITCH_REPLAY, "--help", NULL});
    assert_int_equal(result.status, 0);
    assert_ptr_equal(strstr(result.output, "usage: itch_replay"), result.output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_agree_on_the_books),
        cmocka_unit_test(zerofault_takes_no_fault_and_malloc_does),
        cmocka_unit_test(refused_ring_is_replaced_and_named),
        cmocka_unit_test(latencies_rise_with_their_rank),
        cmocka_unit_test(table_has_a_row_for_each_mode_and_says_where_it_ran),
        cmocka_unit_test(number_of_messages_can_be_limited),
        cmocka_unit_test(file_can_come_through_a_pipe),
        cmocka_unit_test(broken_files_are_status_1_with_the_place),
        cmocka_unit_test(file_without_a_single_order_is_replayed),
        cmocka_unit_test(reference_from_before_the_file_is_reported),
        cmocka_unit_test(file_that_cannot_be_opened_is_status_1),
        cmocka_unit_test(wrong_usage_is_status_2),
    };
    return cmocka_run_group_tests(tests, generate, remove_file);
}
