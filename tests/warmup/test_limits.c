/*
 * Preflight: a machine or a control group with too little is an error before the first page, and
 * not the OOM killer after it. The limits are those of captured trees, the pages are real.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "support/pages.h"
#include "warmup/warmup.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)

static const struct zf_warmup_wishes wishes = {
    .bind = WARMUP_PREFER, .huge_pages = WARMUP_OFF, .lock = WARMUP_OFF, .node = -1};

static struct zf_region create(size_t size_bytes)
{
    struct zf_region_options options = {
        .size_bytes = size_bytes, .node = -1, .bind = WARMUP_PREFER, .huge_pages = WARMUP_OFF};
    struct zf_region region;
    assert_int_equal(zf_region_create(&region, &options), 0);
    return region;
}

static struct warmup_report warm_on(const char *tree, struct zf_region *region)
{
    struct warmup_options options = {.struct_size = sizeof options};
    struct warmup_report report;
    char root[512] = "";
    if (tree != NULL)
        (void)snprintf(root, sizeof root, "%s/%s", ZF_TREES, tree);
    int rc = zf_warmup_region_at(root, region, &wishes, &options, &report);
    assert_int_equal(rc, report.result);
    return report;
}

static void assert_refused(const struct warmup_report *report, enum warmup_limit limit)
{
    assert_int_equal(report->result, -ENOMEM);
    assert_int_equal(report->populate.error, -ENOMEM);
    assert_non_null(report->populate.remedy);
    assert_int_equal(report->limit, limit);
    assert_true(report->limit_needed_bytes > report->limit_free_bytes);
    assert_int_equal(report->method, WARMUP_METHOD_NONE);
    assert_int_equal(report->populate.granted_bytes, 0);
    assert_int_equal(report->proven, 0);
}

static void a_machine_without_memory_refuses_before_the_first_page(void **state)
{
    struct zf_region region = create(2 * MIB);
    struct warmup_report report = warm_on("starved", &region);
    (void)state;
    assert_refused(&report, WARMUP_LIMIT_SYSTEM);
    assert_int_equal(report.limit_free_bytes, 1 * MIB);
    zf_region_destroy(&region);
}

static void a_group_without_memory_refuses_before_the_first_page(void **state)
{
    struct zf_region region = create(16 * MIB);
    struct warmup_report report = warm_on("starved_group", &region);
    (void)state;
    assert_refused(&report, WARMUP_LIMIT_CGROUP);
    assert_int_equal(report.limit_free_bytes, 9 * MIB);
    zf_region_destroy(&region);
}

/* One page less would fit but for the page tables that it needs. */
static void page_tables_are_counted(void **state)
{
    struct zf_region region = create(1 * MIB);
    struct warmup_report report = warm_on("starved", &region);
    (void)state;
    assert_refused(&report, WARMUP_LIMIT_SYSTEM);
    assert_int_equal(report.limit_needed_bytes, MIB + MIB / 512);
    zf_region_destroy(&region);
    region = create(MIB - PAGE);
    report = warm_on("starved", &region);
    assert_int_equal(report.result, 0);
    zf_region_destroy(&region);
}

static void pages_that_are_there_already_are_not_needed_again(void **state)
{
    struct zf_region region = create(2 * MIB);
    struct warmup_report report = warm_on(NULL, &region);
    (void)state;
    assert_int_equal(report.result, 0);
    report = warm_on("starved", &region);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 1);
    assert_int_equal(report.limit, WARMUP_LIMIT_NONE);
    zf_region_destroy(&region);
}

static void half_of_a_region_needs_only_the_other_half(void **state)
{
    struct zf_region region = create(2 * MIB);
    struct warmup_report report;
    (void)state;
    (void)faults_of_writing(region.base, MIB + 64 * PAGE);
    report = warm_on("starved", &region);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 1);
    zf_region_destroy(&region);
}

static void limits_that_cannot_be_read_refuse_nothing(void **state)
{
    struct zf_region region = create(2 * MIB);
    struct warmup_report report = warm_on("no such tree", &region);
    (void)state;
    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 1);
    zf_region_destroy(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_without_memory_refuses_before_the_first_page),
        cmocka_unit_test(a_group_without_memory_refuses_before_the_first_page),
        cmocka_unit_test(page_tables_are_counted),
        cmocka_unit_test(pages_that_are_there_already_are_not_needed_again),
        cmocka_unit_test(half_of_a_region_needs_only_the_other_half),
        cmocka_unit_test(limits_that_cannot_be_read_refuse_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
