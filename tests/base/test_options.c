/* A library and a program of different versions agree on a struct, or the library refuses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/options.h"

/* The same options as three versions know them. */
struct older {
    size_t struct_size;
    uint64_t first;
};
struct current {
    size_t struct_size;
    uint64_t first;
    uint64_t second;
};
struct newer {
    size_t struct_size;
    uint64_t first;
    uint64_t second;
    uint64_t third;
};

static void fill(void *bytes, size_t size_bytes)
{
    memset(bytes, 0xA5, size_bytes);
}

static void no_options_are_all_defaults(void **state)
{
    struct current known;
    (void)state;
    fill(&known, sizeof known);

    assert_int_equal(zf_options_take(&known, sizeof known, NULL), 0);

    assert_int_equal(known.struct_size, sizeof known);
    assert_int_equal(known.first, 0);
    assert_int_equal(known.second, 0);
}

static void options_of_an_older_program_are_padded_with_defaults(void **state)
{
    const struct older given = {.struct_size = sizeof given, .first = 7};
    struct current known;
    (void)state;
    fill(&known, sizeof known);

    assert_int_equal(zf_options_take(&known, sizeof known, &given), 0);

    assert_int_equal(known.struct_size, sizeof known);
    assert_int_equal(known.first, 7);
    assert_int_equal(known.second, 0);
}

static void options_of_a_newer_program_are_taken_when_the_unknown_field_is_default(void **state)
{
    const struct newer given = {.struct_size = sizeof given, .first = 7, .second = 8};
    struct current known;
    (void)state;

    assert_int_equal(zf_options_take(&known, sizeof known, &given), 0);

    assert_int_equal(known.struct_size, sizeof known);
    assert_int_equal(known.first, 7);
    assert_int_equal(known.second, 8);
}

static void an_unknown_field_that_is_set_is_refused_to_its_last_byte(void **state)
{
    struct newer given = {.struct_size = sizeof given};
    struct current known;
    (void)state;

    ((unsigned char *)&given)[sizeof given - 1] = 1;

    assert_int_equal(zf_options_take(&known, sizeof known, &given), -E2BIG);
}

static void a_size_that_nobody_filled_is_refused(void **state)
{
    static const size_t absurd[] = {0, 1, sizeof(size_t), 65537, SIZE_MAX};
    struct current given = {0};
    struct current known;
    (void)state;
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; ++i) {
        given.struct_size = absurd[i];
        assert_int_equal(zf_options_take(&known, sizeof known, &given), -EINVAL);
        assert_int_equal(zf_result_check(&given), -EINVAL);
    }
    given.struct_size = sizeof given;
    assert_int_equal(zf_result_check(&given), 0);
    assert_int_equal(zf_result_check(NULL), -EINVAL);
}

static void a_result_for_an_older_program_stops_at_its_end(void **state)
{
    const struct current known = {.struct_size = sizeof known, .first = 7, .second = 8};
    struct current given;
    (void)state;
    fill(&given, sizeof given);
    given.struct_size = sizeof(struct older);

    zf_result_give(&given, &known, sizeof known);

    assert_int_equal(given.struct_size, sizeof(struct older));
    assert_int_equal(given.first, 7);
    assert_int_equal(given.second, UINT64_C(0xA5A5A5A5A5A5A5A5));
}

static void a_result_for_a_newer_program_has_zeros_where_nothing_is_known(void **state)
{
    const struct current known = {.struct_size = sizeof known, .first = 7, .second = 8};
    struct newer given;
    (void)state;
    fill(&given, sizeof given);
    given.struct_size = sizeof given;

    zf_result_give(&given, &known, sizeof known);

    assert_int_equal(given.struct_size, sizeof given);
    assert_int_equal(given.first, 7);
    assert_int_equal(given.second, 8);
    assert_int_equal(given.third, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_options_are_all_defaults),
        cmocka_unit_test(options_of_an_older_program_are_padded_with_defaults),
        cmocka_unit_test(options_of_a_newer_program_are_taken_when_the_unknown_field_is_default),
        cmocka_unit_test(an_unknown_field_that_is_set_is_refused_to_its_last_byte),
        cmocka_unit_test(a_size_that_nobody_filled_is_refused),
        cmocka_unit_test(a_result_for_an_older_program_stops_at_its_end),
        cmocka_unit_test(a_result_for_a_newer_program_has_zeros_where_nothing_is_known),
    };
    return cmocka_run_group_tests_name("base.options", tests, NULL, NULL);
}
