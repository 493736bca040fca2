/*
 * Reading a file of messages through a window: all of them, across its seams, and what is wrong
 * with a file that is cut or malformed, told with its place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "input.h"

static uint8_t window[INPUT_WINDOW_BYTES_MIN];

/* A file of these bytes without a name. */
static int file_of(const void *bytes, size_t size_bytes)
{
    int fd = memfd_create("itch", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size_bytes), (ssize_t)size_bytes);
    return fd;
}

/* Put a message of this type behind `at`, its shares or last bytes a running number. Returns the
 * next place. */
static uint8_t *put(uint8_t *at, char type, bool framed, uint8_t number)
{
    size_t length_bytes = itch_length((uint8_t)type);
    if (framed) {
        itch_store_bytes(at, 2, length_bytes);
        at += 2;
    }
    memset(at, 0, length_bytes);
    at[0] = (uint8_t)type;
    at[10] = number;
    if (type == 'A' || type == 'F' || type == 'P')
        at[19] = 'B';
    return at + length_bytes;
}

static struct input opened(int fd)
{
    struct input input;
    assert_int_equal(input_open(&input, fd, window, sizeof window), ITCH_MESSAGE);
    return input;
}

/* Read a file of these bytes to its end or to what is wrong, and have that explained. */
static enum itch_status read_all(const void *bytes, size_t size_bytes, char text[200])
{
    const uint8_t *message;
    int fd = file_of(bytes, size_bytes);
    struct input input;
    enum itch_status status = input_open(&input, fd, window, sizeof window);
    while (status == ITCH_MESSAGE)
        status = input_next(&input, &message);
    input_explain(&input, status, text, 200);
    close(fd);
    return status;
}

/* ---------------------------------------------------------------------------------------- whole */

/* Far more than the window holds, so that its seams fall on every part of a message. */
static void read_many(bool framed)
{
    static const char types[] = "ADUEFXCPSRHIO";
    enum { COUNT = 20000 };
    uint8_t *bytes = malloc(COUNT * 52);
    uint8_t *end = bytes;
    const uint8_t *message;
    struct input input;
    int fd;
    assert_non_null(bytes);
    for (int i = 0; i < COUNT; ++i)
        end = put(end, types[i % 13], framed, (uint8_t)i);
    fd = file_of(bytes, (size_t)(end - bytes));
    input = opened(fd);
    assert_int_equal(input.framed, framed);
    for (int i = 0; i < COUNT; ++i) {
        assert_int_equal(input_next(&input, &message), ITCH_MESSAGE);
        assert_int_equal(message[0], types[i % 13]);
        assert_int_equal(message[10], (uint8_t)i);
    }
    assert_int_equal(input_next(&input, &message), ITCH_END);
    assert_int_equal(input_next(&input, &message), ITCH_END);
    assert_int_equal(input.message_index, COUNT);
    assert_int_equal(input_offset(&input), end - bytes);
    close(fd);
    free(bytes);
}

static void file_larger_than_the_window_is_read_to_its_end(void **state)
{
    (void)state;
    read_many(true);
}

static void file_of_bare_messages_is_read_to_its_end(void **state)
{
    (void)state;
    read_many(false);
}

static void length_zero_at_the_end_is_an_end(void **state)
{
    uint8_t bytes[64];
    uint8_t *end = put(bytes, 'D', true, 0);
    char text[200];
    (void)state;
    memset(end, 0, 2);
    assert_int_equal(read_all(bytes, (size_t)(end - bytes) + 2, text), ITCH_END);
}

/* --------------------------------------------------------------------------------------- broken */

/* Two good messages, 21 and 38 bytes with their lengths, then what the test puts there. */
static size_t put_two(uint8_t *bytes)
{
    uint8_t *end = put(put(bytes, 'D', true, 0), 'A', true, 1);
    assert_int_equal(end - bytes, 59);
    return 59;
}

static void every_cut_of_a_message_is_found_at_its_start(void **state)
{
    uint8_t bytes[128];
    size_t start_bytes = put_two(bytes);
    char text[200];
    (void)state;
    put(bytes + start_bytes, 'U', true, 2);
    for (size_t have = 1; have < 37; ++have) {
        assert_int_equal(read_all(bytes, start_bytes + have, text), ITCH_CUT);
        assert_ptr_equal(strstr(text, "byte offset 59, message index 2: the file ends "), text);
    }
    assert_int_equal(read_all(bytes, start_bytes + 1, text), ITCH_CUT);
    assert_non_null(strstr(text, "after 1 byte of a message"));
    assert_int_equal(read_all(bytes, start_bytes + 12, text), ITCH_CUT);
    assert_non_null(strstr(text, "inside a message of type 'U': 10 of 35 bytes"));
    assert_int_equal(read_all(bytes, start_bytes + 37, text), ITCH_END);
}

static void cut_of_a_bare_message_is_found(void **state)
{
    uint8_t bytes[128];
    uint8_t *end = put(put(bytes, 'S', false, 0), 'A', false, 1);
    char text[200];
    (void)state;
    assert_int_equal(read_all(bytes, (size_t)(end - bytes) - 1, text), ITCH_CUT);
    assert_string_equal(text, "byte offset 12, message index 1: "
                              "the file ends inside a message of type 'A': 35 of 36 bytes");
}

static void unknown_type_is_found(void **state)
{
    uint8_t bytes[128];
    size_t start_bytes = put_two(bytes);
    char text[200];
    (void)state;
    put(bytes + start_bytes, 'D', true, 2);
    bytes[start_bytes + 2] = 'z';
    assert_int_equal(read_all(bytes, start_bytes + 21, text), ITCH_BAD_TYPE);
    assert_string_equal(text, "byte offset 59, message index 2: ITCH 5.0 has no message type 'z'");
    bytes[start_bytes + 2] = 0x07;
    assert_int_equal(read_all(bytes, start_bytes + 21, text), ITCH_BAD_TYPE);
    assert_non_null(strstr(text, "no message type 0x07"));
}

static void wrong_length_is_found(void **state)
{
    uint8_t bytes[128];
    size_t start_bytes = put_two(bytes);
    char text[200];
    (void)state;
    put(bytes + start_bytes, 'D', true, 2);
    bytes[start_bytes + 1] = 20;
    assert_int_equal(read_all(bytes, start_bytes + 21, text), ITCH_BAD_LENGTH);
    assert_string_equal(text, "byte offset 59, message index 2: "
                              "a message of type 'D' has 19 bytes, its length field says 20");
    bytes[start_bytes] = 0xff;
    assert_int_equal(read_all(bytes, start_bytes + 21, text), ITCH_BAD_LENGTH);
    assert_non_null(strstr(text, "its length field says 65300"));
}

static void wrong_side_is_found(void **state)
{
    uint8_t bytes[128];
    size_t start_bytes = put_two(bytes);
    char text[200];
    (void)state;
    put(bytes + start_bytes, 'A', true, 2);
    bytes[start_bytes + 2 + 19] = 'X';
    assert_int_equal(read_all(bytes, start_bytes + 38, text), ITCH_BAD_SIDE);
    assert_ptr_equal(strstr(text, "byte offset 59, message index 2: the side"), text);
}

static void length_zero_in_the_middle_is_found(void **state)
{
    uint8_t bytes[128] = {0};
    size_t start_bytes = put_two(bytes);
    char text[200];
    (void)state;
    assert_int_equal(read_all(bytes, start_bytes + 21, text), ITCH_BAD_END);
    assert_ptr_equal(strstr(text, "byte offset 59, message index 2: length 0"), text);
}

static void what_is_no_itch_file_is_told_apart(void **state)
{
    char text[200];
    (void)state;
    assert_int_equal(read_all("", 0, text), ITCH_EMPTY);
    assert_string_equal(text, "the file is empty");
    assert_int_equal(read_all("\x1f\x8b\x08\x00", 4, text), ITCH_GZIP);
    assert_non_null(strstr(text, "gunzip -c"));
    assert_int_equal(read_all("\xd4\xc3\xb2\xa1", 4, text), ITCH_NOT_ITCH);
    assert_non_null(strstr(text, "begins with 0xd4"));
}

static void unreadable_file_is_told_with_its_reason(void **state)
{
    struct input input;
    char text[200];
    int fd = open("/", O_RDONLY | O_CLOEXEC);
    (void)state;
    assert_int_equal(input_open(&input, fd, window, sizeof window), ITCH_UNREADABLE);
    assert_int_equal(input.read_error, EISDIR);
    input_explain(&input, ITCH_UNREADABLE, text, sizeof text);
    assert_ptr_equal(strstr(text, "byte offset 0: cannot read: "), text);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_larger_than_the_window_is_read_to_its_end),
        cmocka_unit_test(file_of_bare_messages_is_read_to_its_end),
        cmocka_unit_test(length_zero_at_the_end_is_an_end),
        cmocka_unit_test(every_cut_of_a_message_is_found_at_its_start),
        cmocka_unit_test(cut_of_a_bare_message_is_found),
        cmocka_unit_test(unknown_type_is_found),
        cmocka_unit_test(wrong_length_is_found),
        cmocka_unit_test(wrong_side_is_found),
        cmocka_unit_test(length_zero_in_the_middle_is_found),
        cmocka_unit_test(what_is_no_itch_file_is_told_apart),
        cmocka_unit_test(unreadable_file_is_told_with_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
