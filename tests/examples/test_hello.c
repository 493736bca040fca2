/* The README's first program prints what the README says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/program.h"

static void hello_prints_exactly_what_is_expected(void **state)
{
    struct program_result result;
    char expected[256];
    FILE *file = fopen(HELLO_EXPECTED, "r");
    (void)state;
    assert_non_null(file);
    expected[fread(expected, 1, sizeof expected - 1, file)] = '\0';
    fclose(file);

    program_run_line(&result, HELLO_PROGRAM);

    assert_string_equal(result.output, expected);
    assert_int_equal(result.status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_prints_exactly_what_is_expected),
    };
    return cmocka_run_group_tests_name("examples.hello", tests, NULL, NULL);
}
