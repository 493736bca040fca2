/*
 * The generator: same seed, same bytes; and a day that a reader finds whole, ordered and plausible.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "book.h"
#include "input.h"
#include "plain.h"
#include "support/program.h"

static struct program_result result;

/* Generate a day into a new file; `path` gets its name. */
static void generate(char path[64], const char *seed, const char *messages)
{
    program_make_file(path, "", 0);
    program_run(&result, NULL,
                (const char *[]){ITCH_GENERATE, "--seed", seed, "--messages", messages, "--out",
                                 path, NULL});
    assert_string_equal(result.errors, "");
    assert_int_equal(result.status, 0);
}

/* A whole file in memory; the file is removed. */
static uint8_t *take_bytes(const char *path, size_t *size_bytes)
{
    struct stat file;
    uint8_t *bytes;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &file), 0);
    *size_bytes = (size_t)file.st_size;
    bytes = malloc(*size_bytes);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, *size_bytes), file.st_size);
    close(fd);
    assert_int_equal(unlink(path), 0);
    return bytes;
}

static void same_numbers_give_the_same_bytes(void **state)
{
    char path[64];
    size_t first_bytes, second_bytes, other_bytes;
    uint8_t *first, *second, *other;
    (void)state;
    generate(path, "7", "5000");
    first = take_bytes(path, &first_bytes);
    generate(path, "7", "5000");
    second = take_bytes(path, &second_bytes);
    generate(path, "8", "5000");
    other = take_bytes(path, &other_bytes);

    assert_int_equal(first_bytes, second_bytes);
    assert_memory_equal(first, second, first_bytes);
    assert_true(first_bytes != other_bytes || memcmp(first, other, first_bytes) != 0);
    free(first);
    free(second);
    free(other);
}

/* What a reader sees of a day. */
struct day {
    struct books books;
    uint64_t last_time_ns;
    uint64_t live_at_half; /* orders when half of the messages had been read */
    bool crossed;          /* a stock's best buyer paid what its best seller asks, or more */
};

static void look_at(struct day *day, const uint8_t *message)
{
    const struct itch_header *header = (const void *)message;
    const uint32_t locate = (uint32_t)itch_load(header->locate);
    const struct level *buy = books_best(&day->books, locate, SIDE_BUY);
    const struct level *sell = books_best(&day->books, locate, SIDE_SELL);
    assert_true(itch_load(header->timestamp) >= day->last_time_ns);
    day->last_time_ns = itch_load(header->timestamp);
    if (buy != NULL && sell != NULL && level_price(buy, SIDE_BUY) >= level_price(sell, SIDE_SELL))
        day->crossed = true;
}

/* Read a generated day of so many messages. */
static void read_day(struct day *day, const char *path, uint64_t messages)
{
    static const struct book_capacity capacity = {.counts = {1u << 16, 1u << 16}, .locates = 1024};
    static uint8_t window[INPUT_WINDOW_BYTES_MIN];
    struct input input;
    const uint8_t *message;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    memset(day, 0, sizeof *day);
    assert_int_equal(books_create(&day->books, &plain_memory, &capacity), 0);
    assert_int_equal(input_open(&input, fd, window, sizeof window), ITCH_MESSAGE);
    assert_true(input.framed);
    for (uint64_t i = 0; i < messages; ++i) {
        assert_int_equal(input_next(&input, &message), ITCH_MESSAGE);
        assert_int_equal(books_apply(&day->books, message), 0);
        look_at(day, message);
        if (i == messages / 2)
            day->live_at_half = day->books.live[BOOK_ORDER];
    }
    assert_int_equal(input_next(&input, &message), ITCH_END);
    close(fd);
}

static void assert_share(const struct day *day, const char *types, uint64_t from, uint64_t to)
{
    uint64_t count = 0;
    for (; *types != '\0'; ++types)
        count += day->books.counts.by_type[(uint8_t)*types];
    assert_in_range(count, from, to);
}

static void generated_day_is_whole_ordered_and_plausible(void **state)
{
    struct day *day = malloc(sizeof *day);
    char path[64];
    (void)state;
    assert_non_null(day);
    generate(path, "1", "100000");
    read_day(day, path, 100000);
    unlink(path);

    assert_int_equal(books_anomalies(&day->books), 0);
    assert_false(day->crossed);
    assert_share(day, "S", 6, 6);
    assert_share(day, "R", 200, 200);
    assert_share(day, "AF", 42000, 48000);
    assert_share(day, "D", 37000, 43000);
    assert_share(day, "U", 7000, 9000);
    assert_share(day, "EC", 4000, 6000);
    assert_share(day, "C", 500, 1500);
    assert_share(day, "X", 1500, 2500);
    assert_share(day, "P", 200, 1000);
    assert_true(day->live_at_half > 500);
    assert_true(day->books.live[BOOK_ORDER] > day->live_at_half * 3 / 2);
    books_destroy(&day->books);
    free(day);
}

static void short_day_has_fewer_stocks_and_all_its_messages(void **state)
{
    struct day *day = malloc(sizeof *day);
    char path[64];
    (void)state;
    assert_non_null(day);
    generate(path, "3", "40");
    read_day(day, path, 40);
    unlink(path);
    assert_share(day, "S", 6, 6);
    assert_share(day, "R", 4, 4);
    assert_share(day, "AF", 1, 22);
    books_destroy(&day->books);
    free(day);
}

static void assert_refused(const char *const argv[], const char *complaint)
{
    program_run(&result, NULL, argv);
    assert_int_equal(result.status, 2);
    assert_string_equal(result.output, "");
    assert_non_null(strstr(result.errors, complaint));
}

static void wrong_usage_is_status_2_and_says_why(void **state)
{
    (void)state;
    assert_refused((const char *[]){ITCH_GENERATE, "--messages", "0", NULL}, "not a number");
    assert_refused((const char *[]){ITCH_GENERATE, "--seed", "-1", NULL}, "not a number");
    assert_refused((const char *[]){ITCH_GENERATE, "--stocks", "5x", NULL}, "not a number");
    assert_refused((const char *[]){ITCH_GENERATE, "--stocks", "10001", NULL}, "not a number");
    assert_refused((const char *[]){ITCH_GENERATE, "--colour", NULL}, "unrecognized option");
    assert_refused((const char *[]){ITCH_GENERATE, "a", "b", NULL}, "one file at a time");
    assert_refused((const char *[]){ITCH_GENERATE, "--stocks", "9", "--messages", "32", NULL},
                   "9 stocks need at least 33 messages");
}

static void file_that_cannot_be_written_is_status_1(void **state)
{
    (void)state;
    program_run(&result, NULL, (const char *[]){ITCH_GENERATE, "--out", "/nosuch/file", NULL});
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.errors, "/nosuch/file: No such file"));
    program_run(&result, NULL, (const char *[]){ITCH_GENERATE, "--out", "/dev/full", NULL});
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.errors, "/dev/full: No space"));
}

static void help_is_status_0(void **state)
{
    (void)state;
    program_run(&result, NULL, (const char *[]){ITCH_GENERATE, "--help", NULL});
    assert_int_equal(result.status, 0);
    assert_ptr_equal(strstr(result.output, "usage: itch_generate"), result.output);
    assert_non_null(strstr(result.output, "--messages"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_numbers_give_the_same_bytes),
        cmocka_unit_test(generated_day_is_whole_ordered_and_plausible),
        cmocka_unit_test(short_day_has_fewer_stocks_and_all_its_messages),
        cmocka_unit_test(wrong_usage_is_status_2_and_says_why),
        cmocka_unit_test(file_that_cannot_be_written_is_status_1),
        cmocka_unit_test(help_is_status_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
