/* The experiment shows what it claims: the same page faults, early or late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/program.h"

/* Enough pages that a stray fault is not mistaken for them. */
#define SIZE_BYTES (4u << 20)
#define SIZE_TEXT "--size 4M "

static size_t pages(void)
{
    return SIZE_BYTES / (size_t)sysconf(_SC_PAGESIZE);
}

/* What a single variant printed, or a row of the table. */
struct numbers {
    unsigned long prepare_faults;
    unsigned long hot_faults;
    double prepare_seconds;
    double hot_seconds;
};

static void run_variant(const char *variant, struct numbers *numbers)
{
    struct program_result result;
    char command[512];
    int end = 0;
    snprintf(command, sizeof command, "%s " SIZE_TEXT "%s", LAZY_VS_WARM_PROGRAM, variant);
    program_run_line(&result, command);
    assert_int_equal(result.status, 0);
    sscanf(result.output,
           "Time: %lf s\nTime (Prepare): %lf s\nPagefaults (Prepare): %lu\n"
           "Pagefaults (Hot): %lu\n%n",
           &numbers->hot_seconds, &numbers->prepare_seconds, &numbers->prepare_faults,
           &numbers->hot_faults, &end);
    assert_int_equal(end, strlen(result.output));
}

static void lazy_faults_once_per_page_while_hot(void **state)
{
    struct numbers numbers;
    (void)state;
    run_variant("lazy", &numbers);
    assert_in_range(numbers.hot_faults, pages(), pages() + 2);
    assert_in_range(numbers.prepare_faults, 0, 2);
}

static void init_moves_the_faults_to_the_preparation(void **state)
{
    struct numbers numbers;
    (void)state;
    run_variant("init", &numbers);
    assert_true(numbers.prepare_faults >= pages());
    assert_int_equal(numbers.hot_faults, 0);
}

static void arena_warmup_leaves_no_fault_for_the_hot_half(void **state)
{
    struct numbers numbers;
    (void)state;
    run_variant("arena_warmup", &numbers);
    assert_true(numbers.prepare_faults >= pages());
    assert_int_equal(numbers.hot_faults, 0);
}

/* Find a variant's row, and read it when it was measured. */
static int read_row(const char *table, const char *variant, struct numbers *numbers)
{
    char start[32];
    const char *row;
    snprintf(start, sizeof start, "\n%s ", variant);
    row = strstr(table, start);
    assert_non_null(row);
    return sscanf(row + strlen(start), "%lu %lu %lf s %lf s", &numbers->prepare_faults,
                  &numbers->hot_faults, &numbers->prepare_seconds, &numbers->hot_seconds) == 4;
}

static void the_table_has_every_variant_each_from_a_cold_start(void **state)
{
    struct program_result result;
    struct numbers numbers;
    (void)state;
    program_run_line(&result, LAZY_VS_WARM_PROGRAM " " SIZE_TEXT);

    assert_true(read_row(result.output, "lazy", &numbers));
    assert_in_range(numbers.hot_faults, pages(), pages() + 2);
    assert_true(read_row(result.output, "init", &numbers));
    assert_int_equal(numbers.hot_faults, 0);
    assert_true(read_row(result.output, "arena_warmup", &numbers));
    assert_true(numbers.prepare_faults >= pages());
    assert_int_equal(numbers.hot_faults, 0);
    /* Either of the kernel's own ways may be refused; measured, it works. */
    if (read_row(result.output, "populate_write", &numbers))
        assert_int_equal(numbers.hot_faults, 0);
    else
        assert_non_null(strstr(result.output, "refused: "));
    if (read_row(result.output, "map_populate", &numbers))
        assert_int_equal(numbers.hot_faults, 0);
    else
        assert_non_null(strstr(result.output, "refused: "));
}

static void a_refusal_is_told_with_its_errno_and_status_1(void **state)
{
    struct program_result result;
    (void)state;
    /* More than any address space has. */
    program_run_line(&result, LAZY_VS_WARM_PROGRAM " --size 1000000000G lazy");
    assert_string_equal(result.output, "lazy: refused: Cannot allocate memory (errno 12)\n");
    assert_int_equal(result.status, 1);

    program_run_line(&result, LAZY_VS_WARM_PROGRAM " --size 1000000000G");
    assert_non_null(strstr(result.output, "\nlazy "));
    assert_non_null(strstr(result.output, "refused: Cannot allocate memory (errno 12)\n"));
    assert_int_equal(result.status, 1);
}

static void wrong_usage_is_told_with_status_2(void **state)
{
    static const char *const wrong[] = {"--size 0",   "--size 4X", "--size -1",
                                        "--size 4Mi", "--size",    "--speed",
                                        "lazy init",  "eager",     "--size 99999999999999999999"};
    struct program_result result;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
        char command[512];
        snprintf(command, sizeof command, "%s %s", LAZY_VS_WARM_PROGRAM, wrong[i]);
        program_run_line(&result, command);
        assert_int_equal(result.status, 2);
        assert_true(strlen(result.output) > 0);
    }
}

static void help_names_every_variant(void **state)
{
    static const char *const names[] = {"lazy", "init", "map_populate", "populate_write",
                                        "arena_warmup"};
    struct program_result result;
    (void)state;
    program_run_line(&result, LAZY_VS_WARM_PROGRAM " --help");
    assert_int_equal(result.status, 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i)
        assert_non_null(strstr(result.output, names[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lazy_faults_once_per_page_while_hot),
        cmocka_unit_test(init_moves_the_faults_to_the_preparation),
        cmocka_unit_test(arena_warmup_leaves_no_fault_for_the_hot_half),
        cmocka_unit_test(the_table_has_every_variant_each_from_a_cold_start),
        cmocka_unit_test(a_refusal_is_told_with_its_errno_and_status_1),
        cmocka_unit_test(wrong_usage_is_told_with_status_2),
        cmocka_unit_test(help_names_every_variant),
    };
    return cmocka_run_group_tests_name("examples.lazy_vs_warm", tests, NULL, NULL);
}
