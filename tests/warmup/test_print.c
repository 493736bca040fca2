/*
 * The report as text: what a person reads must be what the struct says, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <zerofault/warmup.h>

#define MIB ((size_t)1 << 20)

/* A warmup with everything that can be said. */
static struct warmup_report rich(void)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    strcpy(report.name, "orders");
    report.size_bytes = 256 * MIB;
    report.page_bytes = 4096;
    report.huge_page_bytes = 2 * MIB;
    report.method = WARMUP_METHOD_MLOCK;
    report.fallback_error = -EOPNOTSUPP;
    report.node = 3;
    report.populate = (struct warmup_item){WARMUP_REQUIRE, 0, 256 * MIB, 256 * MIB, NULL};
    report.bind = (struct warmup_item){WARMUP_PREFER, -EPERM, 256 * MIB, 0, "Allow it."};
    report.huge_pages = (struct warmup_item){WARMUP_PREFER, -ENOMEM, 256 * MIB, 64 * MIB, "Free."};
    report.lock = (struct warmup_item){WARMUP_REQUIRE, 0, 256 * MIB, 256 * MIB, NULL};
    report.fork = (struct warmup_item){WARMUP_OFF, 0, 0, 0, NULL};
    report.name_item = (struct warmup_item){WARMUP_OFF, 0, 0, 0, NULL};
    report.freeze = (struct warmup_item){WARMUP_PREFER, 0, 256 * MIB, 256 * MIB, NULL};
    report.faults_minor = 65600;
    report.faults_major = 1;
    report.proven = 1;
    for (int phase = 0; phase < WARMUP_PHASE_COUNT; ++phase)
        report.spent_ns[phase] = 1500000;
    return report;
}

static void print(const struct warmup_report *report, char *text, size_t size_bytes)
{
    FILE *stream = fmemopen(text, size_bytes, "w");
    assert_non_null(stream);
    assert_int_equal(warmup_report_print(report, stream), 0);
    assert_int_equal(fclose(stream), 0);
}

/* The line that starts with a title, without its end; fails when there is none. */
static void find_line(const char *text, const char *title, char *line, size_t size_bytes)
{
    char start[64];
    const char *found;
    (void)snprintf(start, sizeof start, "\n  %s ", title);
    found = strstr(text, start);
    if (found != NULL)
        (void)snprintf(line, size_bytes, "%.*s", (int)strcspn(found + 1, "\n"), found + 1);
    else
        fail_msg("no line \"%s\" in:\n%s", title, text);
}

static void assert_line(const struct warmup_report *report, const char *title,
                        const char *const *parts)
{
    char text[4096];
    char line[512];
    print(report, text, sizeof text);
    find_line(text, title, line, sizeof line);
    for (; *parts != NULL; ++parts)
        if (strstr(line, *parts) == NULL)
            fail_msg("no \"%s\" in \"%s\"", *parts, line);
}
#define ASSERT_LINE(report, title, ...)                                                            \
    assert_line(report, title, (const char *const[]){__VA_ARGS__, NULL})

static void each_wish_shows_asked_against_got(void **state)
{
    struct warmup_report report = rich();
    (void)state;
    ASSERT_LINE(&report, "populate", "require", "256.0 of 256.0 MiB", "100.0 %");
    ASSERT_LINE(&report, "node 3", "prefer", "0.0 of 256.0 MiB", "EPERM", "not permitted");
    ASSERT_LINE(&report, "huge pages", "prefer", "64.0 of 256.0 MiB", "25.0 %", "ENOMEM");
    ASSERT_LINE(&report, "lock", "require", "256.0 of 256.0 MiB");
    ASSERT_LINE(&report, "freeze", "prefer", "256.0 of 256.0 MiB");
    ASSERT_LINE(&report, "faults", "65600 minor", "1 major");
    ASSERT_LINE(&report, "proof", "0 faults in a write to each page");
    ASSERT_LINE(&report, "time", "preflight 1.50", "prove 1.50 ms");
    ASSERT_LINE(&report, "method", "mlock", "EOPNOTSUPP");
}

static void each_step_of_the_page_sizes_shows_what_its_pool_had(void **state)
{
    struct warmup_report report = rich();
    char text[4096];
    (void)state;
    report.hugetlb_1g = (struct warmup_hugetlb){
        .item = {WARMUP_PREFER, -ENOMEM, 1024 * MIB, 0, "Raise it."},
        .page_bytes = 1024 * MIB,
        .node = 2,
        .limit = WARMUP_LIMIT_POOL,
        .needed_count = 3,
        .available_count = 1,
        .total_count = 4,
        .free_count = 2,
        .reserved_count = 1,
        .raise_error = -EACCES,
    };
    report.hugetlb_2m = (struct warmup_hugetlb){
        .item = {WARMUP_REQUIRE, 0, 1024 * MIB, 1024 * MIB, NULL},
        .node = -1,
        .needed_count = 512,
        .available_count = 512,
        .total_count = 600,
        .free_count = 510,
        .surplus_count = 3,
        .overcommit_count = 8,
        .raised_count = 17,
    };
    print(&report, text, sizeof text);
    ASSERT_LINE(&report, "hugetlb 1G", "prefer", "0.0 of 1024.0 MiB", "ENOMEM");
    assert_non_null(strstr(text, " node 2: needs 3 pages, had 1: 2 free of 4, 1 promised\n"));
    assert_non_null(strstr(text, " not raised: EACCES ("));
    assert_non_null(strstr(text, "-> Raise it.\n"));
    ASSERT_LINE(&report, "hugetlb 2M", "require", "1024.0 of 1024.0 MiB");
    assert_non_null(
        strstr(text, " needs 512 pages, had 512: 510 free of 600, 3 of 8 beyond the pool\n"));
    assert_non_null(strstr(text, " raised by 17 pages, to be taken away with the arena\n"));
    /* Who did not wish for such pages does not read of them. */
    report = rich();
    print(&report, text, sizeof text);
    assert_null(strstr(text, "hugetlb"));
}

static void the_sizes_of_pages_are_named_and_what_is_not_seen_too(void **state)
{
    struct warmup_report report = rich();
    char text[4096];
    (void)state;
    report.sizes[0] = (struct warmup_size){2 * MIB, 64 * MIB};
    report.sizes[1] = (struct warmup_size){65536, 191 * MIB};
    report.sizes[2] = (struct warmup_size){4096, MIB};
    report.sizes_count = 3;
    report.sizes_error = -EPERM;
    report.transparent_sizes = 2 * MIB + 65536;
    ASSERT_LINE(&report, "page sizes", "64.0 MiB by 2 MiB, 191.0 MiB by 64 KiB, 1.0 MiB by 4 KiB",
                "; sizes between count as small: EPERM");
    print(&report, text, sizeof text);
    assert_non_null(strstr(text, " the kernel gives pages of 2 MiB, 64 KiB to who asks\n"));
    report.transparent_sizes = 2 * MIB;
    report.sizes_count = 0;
    print(&report, text, sizeof text);
    assert_null(strstr(text, "who asks"));
    assert_null(strstr(text, "page sizes"));
}

static void what_is_off_says_off_and_no_number(void **state)
{
    struct warmup_report report = rich();
    char text[4096];
    char line[512];
    (void)state;
    print(&report, text, sizeof text);
    find_line(text, "fork", line, sizeof line);
    assert_non_null(strstr(line, "off"));
    assert_null(strpbrk(line, "0123456789"));
    find_line(text, "name", line, sizeof line);
    assert_null(strpbrk(line, "0123456789"));
}

static void each_remedy_is_printed_below_its_wish(void **state)
{
    struct warmup_report report = rich();
    char text[4096];
    const char *bind, *remedy;
    (void)state;
    print(&report, text, sizeof text);
    bind = strstr(text, "node 3");
    remedy = strstr(text, "-> Allow it.\n");
    assert_non_null(bind);
    assert_non_null(remedy);
    assert_ptr_equal(strchr(bind, '\n') + 1 + strspn(strchr(bind, '\n') + 1, " "), remedy);
    assert_non_null(strstr(text, "-> Free.\n"));
}

static void the_first_line_says_what_and_how_it_went(void **state)
{
    struct warmup_report report = rich();
    char text[4096];
    (void)state;
    print(&report, text, sizeof text);
    assert_int_equal(
        strncmp(text, "warmup of orders: 256.0 MiB in pages of 4 KiB: warm, proven\n", 60), 0);
    report.proven = 0;
    print(&report, text, sizeof text);
    assert_non_null(strstr(text, "4 KiB: done, not proven\n"));
    report.result = -ENOMEM;
    print(&report, text, sizeof text);
    assert_non_null(strstr(text, "4 KiB: ENOMEM (Cannot allocate memory)\n"));
}

static void a_limit_is_printed_with_its_numbers(void **state)
{
    struct warmup_report report = rich();
    char text[4096];
    (void)state;
    print(&report, text, sizeof text);
    assert_null(strstr(text, "limit"));
    report.limit = WARMUP_LIMIT_CGROUP;
    report.limit_needed_bytes = 256 * MIB;
    report.limit_free_bytes = 10 * MIB;
    ASSERT_LINE(&report, "limit", "control group", "needs 256.0 MiB", "has 10.0 MiB left");
}

/* A warmup that ended early has not done what comes later, and must not look as if it had. */
static void steps_that_were_not_reached_are_not_made_up(void **state)
{
    struct warmup_report report = rich();
    char text[4096];
    char line[512];
    (void)state;
    report.result = -ENOMEM;
    report.proven = 0;
    report.method = WARMUP_METHOD_NONE;
    report.fallback_error = 0;
    memset(&report.spent_ns[1], 0, sizeof report.spent_ns - sizeof report.spent_ns[0]);
    ASSERT_LINE(&report, "proof", "not reached");
    ASSERT_LINE(&report, "method", "none");
    print(&report, text, sizeof text);
    find_line(text, "time", line, sizeof line);
    assert_non_null(strstr(line, "preflight 1.50"));
    assert_null(strstr(line, "prove"));
}

static void a_verify_shows_no_step_that_it_does_not_have(void **state)
{
    struct warmup_report report = rich();
    char text[4096];
    (void)state;
    report.method = WARMUP_METHOD_NONE;
    report.fallback_error = 0;
    memset(report.spent_ns, 0, sizeof report.spent_ns);
    print(&report, text, sizeof text);
    assert_null(strstr(text, "\n  method"));
    assert_null(strstr(text, "\n  proof"));
    assert_null(strstr(text, "\n  time"));
    assert_non_null(strstr(text, "\n  faults"));

    report.spent_ns[WARMUP_PROVE] = 1500000;
    ASSERT_LINE(&report, "proof", "0 faults in a write to each page");
    ASSERT_LINE(&report, "time", "prove 1.50 ms");
}

static void a_report_that_nobody_filled_prints_without_numbers(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    char text[4096];
    (void)state;
    print(&report, text, sizeof text);
    assert_int_equal(strcmp(text, "no warmup has run\n"), 0);
}

static void shorter_and_longer_reports_of_other_versions_are_printed(void **state)
{
    struct {
        struct warmup_report known;
        uint64_t unknown[4];
    } newer = {.known = rich(), .unknown = {1, 2, 3, 4}};
    struct warmup_report older = rich();
    char text[4096];
    char expected[4096];
    struct warmup_report report = rich();
    (void)state;
    print(&report, expected, sizeof expected);
    newer.known.struct_size = sizeof newer;
    print(&newer.known, text, sizeof text);
    assert_string_equal(text, expected);

    older.struct_size = offsetof(struct warmup_report, faults_minor);
    print(&older, text, sizeof text);
    assert_null(strstr(text, "65600"));
    assert_non_null(strstr(text, "warmup of orders"));
}

static void a_name_without_end_is_cut(void **state)
{
    struct warmup_report report = rich();
    char text[4096];
    (void)state;
    memset(report.name, 'n', sizeof report.name);
    print(&report, text, sizeof text);
    assert_int_equal(strspn(text + strlen("warmup of "), "n"), sizeof report.name - 1);
}

static void bad_arguments_are_refused(void **state)
{
    struct warmup_report report = rich();
    FILE *full = fopen("/dev/full", "w");
    (void)state;
    assert_int_equal(warmup_report_print(NULL, stderr), -EINVAL);
    assert_int_equal(warmup_report_print(&report, NULL), -EINVAL);
    report.struct_size = 0;
    assert_int_equal(warmup_report_print(&report, stderr), -EINVAL);
    assert_non_null(full);
    report = rich();
    assert_int_equal(setvbuf(full, NULL, _IONBF, 0), 0);
    assert_int_equal(warmup_report_print(&report, full), -EIO);
    (void)fclose(full);
}

static void every_value_has_a_name_and_no_other(void **state)
{
    (void)state;
    for (int phase = 0; phase < WARMUP_PHASE_COUNT; ++phase)
        assert_string_not_equal(warmup_phase_name((enum warmup_phase)phase), "unknown");
    for (int method = 0; method <= WARMUP_METHOD_TOUCH; ++method)
        assert_string_not_equal(warmup_method_name((enum warmup_method)method), "unknown");
    for (int limit = 0; limit <= WARMUP_LIMIT_NODE; ++limit)
        assert_string_not_equal(warmup_limit_name((enum warmup_limit)limit), "unknown");
    assert_string_equal(warmup_phase_name(WARMUP_PHASE_COUNT), "unknown");
    assert_string_equal(warmup_phase_name((enum warmup_phase) - 1), "unknown");
    assert_string_equal(warmup_method_name((enum warmup_method)99), "unknown");
    assert_string_equal(warmup_limit_name((enum warmup_limit)99), "unknown");
    assert_string_equal(warmup_phase_name(WARMUP_PROVE), "prove");
    assert_string_equal(warmup_method_name(WARMUP_METHOD_TOUCH), "touch");
    assert_string_equal(warmup_limit_name(WARMUP_LIMIT_MEMLOCK), "locked memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wish_shows_asked_against_got),
        cmocka_unit_test(each_step_of_the_page_sizes_shows_what_its_pool_had),
        cmocka_unit_test(the_sizes_of_pages_are_named_and_what_is_not_seen_too),
        cmocka_unit_test(what_is_off_says_off_and_no_number),
        cmocka_unit_test(each_remedy_is_printed_below_its_wish),
        cmocka_unit_test(the_first_line_says_what_and_how_it_went),
        cmocka_unit_test(a_limit_is_printed_with_its_numbers),
        cmocka_unit_test(steps_that_were_not_reached_are_not_made_up),
        cmocka_unit_test(a_verify_shows_no_step_that_it_does_not_have),
        cmocka_unit_test(a_report_that_nobody_filled_prints_without_numbers),
        cmocka_unit_test(shorter_and_longer_reports_of_other_versions_are_printed),
        cmocka_unit_test(a_name_without_end_is_cut),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(every_value_has_a_name_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
