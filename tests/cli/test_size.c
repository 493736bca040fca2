/*
 * Sizes on the command line: what is taken, what is refused, what is written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/size.h"

static size_t parsed(const char *text)
{
    size_t bytes = 0;
    assert_true(cli_size_parse(text, &bytes));
    return bytes;
}

static void sizes_are_powers_of_1024(void **state)
{
    (void)state;
    assert_int_equal(parsed("0"), 0);
    assert_int_equal(parsed("4096"), 4096);
    assert_int_equal(parsed("64K"), 65536);
    assert_int_equal(parsed("64k"), 65536);
    assert_int_equal(parsed("2M"), 2097152);
    assert_int_equal(parsed("2MB"), 2097152);
    assert_int_equal(parsed("1GiB"), 1073741824);
    assert_int_equal(parsed("3T"), (size_t)3 << 40);
    assert_int_equal(parsed("512B"), 512);
    assert_true(parsed("18446744073709551615") == SIZE_MAX);
    assert_true(parsed("15E") == (size_t)15 << 60);
}

static void what_is_no_size_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "M",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 M",
                                        "1.5G",
                                        "1X",
                                        "1Mi",
                                        "1MiBs",
                                        "1BB",
                                        "0x10",
                                        "16E",
                                        "18446744073709551616",
                                        "99999999999T"};
    size_t bytes = 7;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i)
        if (cli_size_parse(texts[i], &bytes))
            fail_msg("'%s' is taken for %zu", texts[i], bytes);
    assert_int_equal(bytes, 7);
}

static void sizes_are_written_in_the_largest_unit(void **state)
{
    char text[24];
    (void)state;
    assert_string_equal(cli_size_format(0, text), "0 B");
    assert_string_equal(cli_size_format(1023, text), "1023 B");
    assert_string_equal(cli_size_format(1024, text), "1 KiB");
    assert_string_equal(cli_size_format(1536, text), "1.5 KiB");
    assert_string_equal(cli_size_format((size_t)2 << 20, text), "2 MiB");
    assert_string_equal(cli_size_format((size_t)1 << 60, text), "1 EiB");
    assert_string_equal(cli_size_format(SIZE_MAX, text), "16.0 EiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(sizes_are_written_in_the_largest_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
