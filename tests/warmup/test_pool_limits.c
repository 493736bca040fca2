/*
 * The preflight of reserved huge pages on captured machines, and that the audit of the same plan
 * says the same: pools of nodes and of the machine, promised and surplus pages, and the limits of
 * both generations of control groups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "machine/scratch.h"
#include "warmup/warmup.h"

#define POOL_PAGE ((size_t)2 << 20)
#define NODE "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/%s"
#define MACHINE "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static char root[SCRATCH_BYTES];

static void set_node(int node, const char *file, size_t count)
{
    char path[160], text[32];
    (void)snprintf(path, sizeof path, NODE, node, file);
    (void)snprintf(text, sizeof text, "%zu\n", count);
    scratch_write(root, path, text);
}

static void set_machine(const char *file, size_t count)
{
    char path[160], text[32];
    (void)snprintf(path, sizeof path, MACHINE "%s", file);
    (void)snprintf(text, sizeof text, "%zu\n", count);
    scratch_write(root, path, text);
}

/* A container on two nodes with five and three free pages; its cpuset has the first one alone. */
static int create_container(void **state)
{
    (void)state;
    scratch_create(root, "container_6_12");
    set_node(0, "nr_hugepages", 6);
    set_node(0, "free_hugepages", 5);
    set_node(1, "nr_hugepages", 3);
    set_node(1, "free_hugepages", 3);
    set_machine("nr_hugepages", 9);
    set_machine("free_hugepages", 8);
    set_machine("resv_hugepages", 0);
    scratch_write(root, "/sys/fs/cgroup/hugetlb.2MB.max", "max\n");
    scratch_write(root, "/sys/devices/system/node/has_memory", "0-1\n");
    return 0;
}

static int destroy(void **state)
{
    (void)state;
    scratch_destroy(root);
    return 0;
}

/* What the preflight finds of so many pages, on one node or, for -1, on any. The pages themselves
 * are this machine's, which may have none: only the numbers count here. */
static struct warmup_report judge(int node, size_t pages)
{
    struct zf_warmup_wishes wishes = {.bind = node < 0 ? WARMUP_OFF : WARMUP_PREFER,
                                      .huge_pages = WARMUP_OFF,
                                      .lock = WARMUP_OFF,
                                      .node = node};
    struct zf_region_options options = {.size_bytes = pages * POOL_PAGE,
                                        .alignment_bytes = POOL_PAGE,
                                        .node = node,
                                        .bind = wishes.bind,
                                        .huge_pages = WARMUP_OFF};
    struct warmup_options none = {.struct_size = sizeof none};
    struct warmup_report report;
    struct zf_region region;
    wishes.hugetlb[ZF_OS_POOL_2M] = WARMUP_REQUIRE;
    assert_int_equal(zf_region_create(&region, &options), 0);
    (void)zf_warmup_region_at(root, &region, &wishes, &none, &report);
    zf_region_destroy(&region);
    return report;
}

static bool fits(const struct warmup_report *report)
{
    return report->hugetlb_2m.available_count >= report->hugetlb_2m.needed_count;
}

/* The same question to the audit: do reserved pages alone serve the plan? */
static bool audit_says_fits(int node, size_t pages)
{
    const struct machine_check *check;
    struct machine_audit *audit;
    bool pooled = false;
    assert_int_equal(
        machine_audit_create(
            &audit, &MACHINE_AUDIT_OPTIONS(.root = root, .plan_bytes = pages * POOL_PAGE,
                                           .plan_huge_bytes = POOL_PAGE,
                                           .plan_node = node < 0 ? 0 : MACHINE_NODE(node))),
        0);
    for (size_t i = 0; (check = machine_audit_check(audit, i)) != NULL; ++i) {
        if (strcmp(check->name, "plan_huge_pages") == 0)
            pooled =
                strstr(check->value, "reserved") == NULL && check->severity != MACHINE_CRITICAL;
        if (strcmp(check->name, "plan_cgroup_hugetlb") == 0)
            pooled = pooled && check->severity != MACHINE_CRITICAL;
    }
    machine_audit_destroy(audit);
    return pooled;
}

/* Both say that up to `most` pages fit, and no more. */
static void assert_room(int node, size_t most)
{
    for (size_t pages = 1; pages <= 12; ++pages) {
        struct warmup_report report = judge(node, pages);
        if (fits(&report) != (pages <= most) || audit_says_fits(node, pages) != (pages <= most))
            fail_msg("%zu pages on node %d: the warmup says %d, the audit %d, and it is %d", pages,
                     node, fits(&report), audit_says_fits(node, pages), pages <= most);
    }
}

static void a_node_has_what_is_free_in_its_pool(void **state)
{
    struct warmup_report report = judge(0, 6);
    (void)state;
    assert_room(0, 5);
    assert_room(-1, 5);
    assert_int_equal(report.result, -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_POOL);
    assert_int_equal(report.limit_needed_bytes, 6 * POOL_PAGE);
    assert_int_equal(report.limit_free_bytes, 5 * POOL_PAGE);
    assert_int_equal(report.hugetlb_2m.node, 0);
    assert_int_equal(report.hugetlb_2m.total_count, 6);
    assert_int_equal(report.hugetlb_2m.free_count, 5);
    assert_int_equal(report.method, WARMUP_METHOD_NONE);
}

static void what_is_promised_to_others_is_not_free(void **state)
{
    struct warmup_report report;
    (void)state;
    set_machine("resv_hugepages", 6);
    assert_room(0, 2);
    assert_room(-1, 2);
    report = judge(0, 3);
    assert_int_equal(report.hugetlb_2m.reserved_count, 6);
}

static void surplus_pages_that_may_be_made_are_room(void **state)
{
    struct warmup_report report;
    (void)state;
    set_machine("nr_overcommit_hugepages", 3);
    assert_room(0, 8);
    assert_room(-1, 8);
    set_machine("surplus_hugepages", 2);
    set_node(0, "surplus_hugepages", 2);
    assert_room(0, 6);
    report = judge(0, 7);
    assert_int_equal(report.hugetlb_2m.surplus_count, 2);
    assert_int_equal(report.hugetlb_2m.overcommit_count, 3);
}

static void assert_group_room(const char *limit_file, const char *unlimited)
{
    char text[32];
    struct warmup_report report;
    (void)snprintf(text, sizeof text, "%zu\n", 4 * POOL_PAGE);
    scratch_write(root, limit_file, text);
    assert_room(0, 4);
    assert_room(-1, 4);
    report = judge(0, 5);
    assert_int_equal(report.result, -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_HUGETLB);
    assert_int_equal(report.limit_free_bytes, 4 * POOL_PAGE);
    scratch_write(root, limit_file, unlimited);
    assert_room(0, 5);
}

static void limits_of_a_group_of_the_second_generation_count(void **state)
{
    (void)state;
    assert_group_room("/sys/fs/cgroup/hugetlb.2MB.max", "max\n");
    assert_group_room("/sys/fs/cgroup/hugetlb.2MB.rsvd.max", "max\n");
}

static void limits_of_a_group_of_the_first_generation_count(void **state)
{
    (void)state;
    scratch_write(root, "/proc/self/cgroup", "3:hugetlb:/\n");
    scratch_write(root, "/proc/self/mountinfo",
                  "32 31 0:29 / /sys/fs/cgroup rw,relatime - cgroup cgroup rw,hugetlb\n");
    assert_group_room("/sys/fs/cgroup/hugetlb.2MB.limit_in_bytes", "9223372036854771712\n");
    assert_group_room("/sys/fs/cgroup/hugetlb.2MB.rsvd.limit_in_bytes", "9223372036854771712\n");
}

static void a_process_with_no_mapping_to_spare_is_refused(void **state)
{
    struct warmup_report report;
    (void)state;
    scratch_write(root, "/proc/self/maps", "1-2 rw-p\n2-3 rw-p\n3-4 rw-p\n");
    scratch_write(root, "/proc/sys/vm/max_map_count", "10\n");
    report = judge(0, 1);
    assert_int_equal(report.result, -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_MAPPINGS);
    assert_int_equal(report.limit_free_bytes, 7);
    assert_true(report.limit_needed_bytes > 7);
    assert_non_null(report.populate.remedy);
    scratch_write(root, "/proc/sys/vm/max_map_count", "65530\n");
    report = judge(0, 1);
    assert_int_not_equal(report.limit, WARMUP_LIMIT_MAPPINGS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_node_has_what_is_free_in_its_pool, create_container,
                                        destroy),
        cmocka_unit_test_setup_teardown(what_is_promised_to_others_is_not_free, create_container,
                                        destroy),
        cmocka_unit_test_setup_teardown(surplus_pages_that_may_be_made_are_room, create_container,
                                        destroy),
        cmocka_unit_test_setup_teardown(limits_of_a_group_of_the_second_generation_count,
                                        create_container, destroy),
        cmocka_unit_test_setup_teardown(limits_of_a_group_of_the_first_generation_count,
                                        create_container, destroy),
        cmocka_unit_test_setup_teardown(a_process_with_no_mapping_to_spare_is_refused,
                                        create_container, destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
