/*
 * Which page sizes map a region, as the report tells: sizes between a small and a huge page are
 * seen by who may, and said not to be seen by others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "support/child.h"
#include "support/needs.h"
#include "warmup/warmup.h"

#define PAGE ((size_t)4096)
#define BETWEEN ((size_t)64 << 10)
#define HUGE_PAGE ((size_t)2 << 20)
#define SIZE_BYTES ((size_t)1 << 20) /* too small for a huge page */
#define SETTING "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled"

static char setting_before[16];

static bool set(const char *word)
{
    FILE *file = fopen(SETTING, "we");
    if (file == NULL)
        return false;
    (void)fputs(word, file);
    return fclose(file) == 0;
}

static int restore(void **state)
{
    (void)state;
    return setting_before[0] == '\0' || set(setting_before) ? 0 : -1;
}

/* Have the kernel give pages of 64 KiB to who asks. */
static void give_pages_between(void)
{
    char text[128] = "";
    FILE *file = fopen(SETTING, "re");
    const char *choice;
    if (file != NULL) {
        if (fgets(text, sizeof text, file) == NULL)
            text[0] = '\0';
        (void)fclose(file);
    }
    choice = strchr(text, '[');
    need("pages of 64 KiB", choice != NULL, "this kernel has no pages between 4 KiB and 2 MiB");
    if (choice != NULL)
        (void)snprintf(setting_before, sizeof setting_before, "%.*s", (int)strcspn(choice + 1, "]"),
                       choice + 1);
    need("root", set("madvise"), "only root may switch page sizes on");
}

static struct warmup_report warm(size_t size_bytes, enum warmup_wish huge_pages)
{
    struct zf_warmup_wishes wishes = {
        .bind = WARMUP_OFF, .huge_pages = huge_pages, .lock = WARMUP_OFF, .node = -1};
    struct zf_region_options options = {.size_bytes = size_bytes,
                                        .alignment_bytes = HUGE_PAGE,
                                        .node = -1,
                                        .bind = WARMUP_OFF,
                                        .huge_pages = huge_pages};
    struct warmup_options none = {.struct_size = sizeof none};
    struct warmup_report report;
    struct zf_region region;
    memset(&report, 0xee, sizeof report);
    if (zf_region_create(&region, &options) == 0) {
        (void)zf_warmup_region(&region, &wishes, &none, &report);
        zf_region_destroy(&region);
    }
    return report;
}

static void small_pages_are_small_pages(void **state)
{
    struct warmup_report report = warm(SIZE_BYTES, WARMUP_OFF);
    (void)state;
    assert_int_equal(report.result, 0);
    assert_int_equal(report.sizes_count, 1);
    assert_int_equal(report.sizes[0].page_bytes, PAGE);
    assert_int_equal(report.sizes[0].resident_bytes, SIZE_BYTES);
    assert_int_equal(report.sizes_error, 0);
}

static void pages_between_small_and_huge_ones_are_counted(void **state)
{
    struct warmup_report report;
    (void)state;
    give_pages_between();
    report = warm(SIZE_BYTES, WARMUP_PREFER);
    assert_int_equal(report.result, 0);
    assert_true((report.transparent_sizes & BETWEEN) != 0);
    assert_int_equal(report.sizes_error, 0);
    assert_int_equal(report.sizes[0].page_bytes, BETWEEN);
    assert_int_equal(report.sizes[0].resident_bytes, SIZE_BYTES);
    assert_int_equal(report.sizes_count, 1);
}

static void what_a_huge_page_does_not_cover_is_in_pages_between(void **state)
{
    struct warmup_report report;
    (void)state;
    give_pages_between();
    report = warm(HUGE_PAGE + SIZE_BYTES, WARMUP_PREFER);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.sizes_count, 2);
    assert_int_equal(report.sizes[0].page_bytes, HUGE_PAGE);
    assert_int_equal(report.sizes[0].resident_bytes, HUGE_PAGE);
    assert_int_equal(report.sizes[1].page_bytes, BETWEEN);
    assert_int_equal(report.sizes[1].resident_bytes, SIZE_BYTES);
}

static void warm_without_privileges(void *shared)
{
    struct warmup_report *report = shared;
    if (drop_privileges(SIZE_BYTES) == 0)
        *report = warm(SIZE_BYTES, WARMUP_PREFER);
}

static void who_may_not_see_them_is_told_so(void **state)
{
    struct warmup_report *report = shared_create(sizeof *report);
    (void)state;
    give_pages_between();
    assert_int_equal(run_in_child(warm_without_privileges, report), 0);
    assert_int_equal(report->result, 0);
    assert_int_equal(report->size_bytes, SIZE_BYTES);
    assert_int_equal(report->sizes_error, -EPERM);
    assert_int_equal(report->sizes_count, 1);
    assert_int_equal(report->sizes[0].page_bytes, PAGE);
    shared_destroy(report, sizeof *report);
}

/* --------------------------------------------------------------------------------- switched off */

static void warm_with_huge_pages_off(void *shared)
{
    struct warmup_report *reports = shared;
    if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
        return;
    reports[0] = warm(4 * HUGE_PAGE, WARMUP_REQUIRE);
    reports[1] = warm(4 * HUGE_PAGE, WARMUP_PREFER);
}

static void what_the_process_has_switched_off_is_refused_with_its_name(void **state)
{
    struct warmup_report *reports = shared_create(2 * sizeof *reports);
    (void)state;
    need("huge pages", zf_os_huge_page_bytes() == HUGE_PAGE, "this kernel has none of 2 MiB");
    assert_int_equal(run_in_child(warm_with_huge_pages_off, reports), 0);
    assert_int_equal(reports[0].result, -EOPNOTSUPP);
    assert_int_equal(reports[1].result, 0);
    for (size_t i = 0; i < 2; ++i) {
        assert_int_equal(reports[i].size_bytes, 4 * HUGE_PAGE);
        assert_int_equal(reports[i].huge_pages.error, -EOPNOTSUPP);
        assert_int_equal(reports[i].huge_pages.granted_bytes, 0);
        assert_non_null(strstr(reports[i].huge_pages.remedy, "PR_SET_THP_DISABLE"));
    }
    shared_destroy(reports, 2 * sizeof *reports);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_pages_are_small_pages),
        cmocka_unit_test_teardown(pages_between_small_and_huge_ones_are_counted, restore),
        cmocka_unit_test_teardown(what_a_huge_page_does_not_cover_is_in_pages_between, restore),
        cmocka_unit_test_teardown(who_may_not_see_them_is_told_so, restore),
        cmocka_unit_test(what_the_process_has_switched_off_is_refused_with_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
