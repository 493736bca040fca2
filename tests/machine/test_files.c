/*
 * The shapes of /proc and /sys: lines with keys, numbers, choices, lists of words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine/files.h"

static const char meminfo[] = "MemTotal:       16384 kB\nMemFree:  17 kB\nOdd: x\nLast: 5";

static void a_field_is_found_by_its_key_at_the_start_of_a_line(void **state)
{
    (void)state;
    assert_int_equal(zf_text_field(meminfo, "MemFree:", 1), 17);
    assert_int_equal(zf_text_field(meminfo, "Last:", 1), 5);
    assert_int_equal(zf_text_field(meminfo, "Free:", 1), 1);
    assert_int_equal(zf_text_field(meminfo, "Odd:", 1), 1);
    assert_int_equal(zf_text_field(NULL, "Odd:", 1), 1);
}

static void a_field_in_kilobytes_is_given_in_bytes(void **state)
{
    (void)state;
    assert_int_equal(zf_text_field_bytes(meminfo, "MemTotal:", 1), 16u << 20);
    assert_int_equal(zf_text_field_bytes("A: 18446744073709551615 kB", "A:", 1), 1);
    assert_int_equal(zf_text_field_bytes("A: 99999999999999999999999 kB", "A:", 1), 1);
}

static void a_value_begins_behind_the_blanks(void **state)
{
    (void)state;
    assert_int_equal(strncmp(zf_text_value("a: 1\nCapEff:\t00ff\n", "CapEff:"), "00ff", 4), 0);
    assert_null(zf_text_value("a: 1\n", "b:"));
    assert_string_equal(zf_text_value("a:", "a:"), "");
}

static void a_choice_is_the_bracketed_word_or_the_first(void **state)
{
    char word[8];
    (void)state;
    zf_text_choice("always [madvise] never\n", word, sizeof word);
    assert_string_equal(word, "madvise");
    zf_text_choice("1\n", word, sizeof word);
    assert_string_equal(word, "1");
    zf_text_choice("defer+madvise\n", word, sizeof word);
    assert_string_equal(word, "defer+m");
    zf_text_choice("always [madv", word, sizeof word);
    assert_string_equal(word, "madv");
    zf_text_choice("", word, sizeof word);
    assert_string_equal(word, "");
}

static void a_word_is_found_whole(void **state)
{
    (void)state;
    assert_true(zf_text_holds("rw,memory,cpu", "cpu"));
    assert_true(zf_text_holds("fpu vme pse", "pse"));
    assert_false(zf_text_holds("pse36", "pse"));
    assert_false(zf_text_holds("apse", "pse"));
    assert_false(zf_text_holds("", "pse"));
    assert_false(zf_text_holds("a,,b", ""));
}

static void a_file_is_read_or_says_why_not(void **state)
{
    uint64_t value = 7;
    char *text;
    char *deep = malloc(2 * ZF_PATH_BYTES);
    (void)state;
    assert_non_null(deep);
    memset(deep, 'a', 2 * ZF_PATH_BYTES - 1);
    deep[0] = '/';
    deep[2 * ZF_PATH_BYTES - 1] = '\0';
    assert_int_equal(zf_file_read("", "/no/such/file", &text), -ENOENT);
    assert_null(text);
    assert_int_equal(zf_file_read("", deep, &text), -ENAMETOOLONG);
    assert_int_equal(zf_file_read("", "/proc", &text), -EISDIR);
    assert_int_equal(zf_file_number("", "/proc/version", &value), -EINVAL);
    assert_int_equal(value, 7);
    assert_int_equal(zf_file_number("", "/proc/sys/vm/swappiness", &value), 0);
    assert_in_range(value, 0, 200);
    free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_is_found_by_its_key_at_the_start_of_a_line),
        cmocka_unit_test(a_field_in_kilobytes_is_given_in_bytes),
        cmocka_unit_test(a_value_begins_behind_the_blanks),
        cmocka_unit_test(a_choice_is_the_bracketed_word_or_the_first),
        cmocka_unit_test(a_word_is_found_whole),
        cmocka_unit_test(a_file_is_read_or_says_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
