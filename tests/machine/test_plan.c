/*
 * Preflight of concrete plans on captured systems: each limit that a plan can run into.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine/nodes.h"
#include "machine/scratch.h"
#include "machine/tree.h"

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

static struct machine_audit *plan_on(const char *tree, size_t bytes, int node, size_t huge_bytes)
{
    return audit_tree(tree, &MACHINE_AUDIT_OPTIONS(.plan_bytes = bytes, .plan_node = node,
                                                   .plan_huge_bytes = huge_bytes));
}

static struct machine_audit *plan_below(const char *root, size_t bytes, int node)
{
    struct machine_audit *audit;
    assert_int_equal(
        machine_audit_create(
            &audit, &MACHINE_AUDIT_OPTIONS(.root = root, .plan_bytes = bytes, .plan_node = node)),
        0);
    return audit;
}

static void without_a_plan_nothing_is_planned(void **state)
{
    struct machine_audit *audit = audit_tree("guest_2_nodes", NULL);
    const struct machine_check *check;
    (void)state;
    for (size_t i = 0; (check = machine_audit_check(audit, i)) != NULL; ++i)
        assert_string_not_equal(check->topic, "plan");
    assert_true(machine_audit_plan_works(audit));
    machine_audit_destroy(audit);
}

static void a_plan_that_fits_works(void **state)
{
    struct machine_audit *audit = plan_on("guest_2_nodes", 64 * MIB, MACHINE_NODE(1), 0);
    (void)state;
    assert_true(machine_audit_plan_works(audit));
    assert_check(audit, "plan_node", MACHINE_INFO, "node 1 has no CPUs");
    assert_check(audit, "plan_memory", MACHINE_OK, "needs 64.1 MiB, has 582.5 MiB");
    assert_check(audit, "plan_node_memory", MACHINE_OK, "needs 64 MiB, has 229.2 MiB");
    assert_string_equal(machine_audit_check(audit, 0)->topic, "plan");
    machine_audit_destroy(audit);
}

static void a_node_that_is_too_small_fails_the_plan(void **state)
{
    struct machine_audit *audit = plan_on("guest_2_nodes", 256 * MIB, MACHINE_NODE(1), 0);
    (void)state;
    assert_false(machine_audit_plan_works(audit));
    assert_int_equal(machine_audit_worst(audit), MACHINE_CRITICAL);
    assert_check(audit, "plan_node_memory", MACHINE_CRITICAL, "needs 256 MiB, has 229.2 MiB");
    assert_null(find_check(audit, "plan_node_memory")->fix);
    machine_audit_destroy(audit);
}

static void clean_file_cache_of_a_node_counts_as_free(void **state)
{
    struct machine_audit *audit;
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "guest_2_nodes");
    scratch_write(root, "/sys/devices/system/node/node1/meminfo",
                  "Node 1 MemTotal: 262144 kB\nNode 1 MemFree: 65536 kB\n"
                  "Node 1 Active(file): 131072 kB\nNode 1 Dirty: 1024 kB\n");
    assert_int_equal(
        machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.root = root, .plan_bytes = 191 * MIB,
                                                            .plan_node = MACHINE_NODE(1))),
        0);
    /* The warmup asks for the same figure. */
    assert_int_equal(zf_node_free_bytes(root, 1), 191 * MIB);
    scratch_destroy(root);
    assert_check(audit, "plan_node_memory", MACHINE_OK, "needs 191 MiB, has 191 MiB");
    machine_audit_destroy(audit);
}

static void a_node_must_be_there_have_memory_and_be_allowed(void **state)
{
    struct machine_audit *audit = plan_on("guest_4_sparse", MIB, MACHINE_NODE(1), 0);
    (void)state;
    assert_check(audit, "plan_node", MACHINE_CRITICAL, "node 1 is not online");
    assert_false(machine_audit_plan_works(audit));
    machine_audit_destroy(audit);
    audit = plan_on("guest_8_nodes", MIB, MACHINE_NODE(2), 0);
    assert_check(audit, "plan_node", MACHINE_CRITICAL, "node 2 has no memory");
    machine_audit_destroy(audit);
    audit = plan_on("container_6_12", MIB, MACHINE_NODE(1), 0);
    assert_check(audit, "plan_node", MACHINE_CRITICAL, "node 1 is not in the cpuset, 0");
    machine_audit_destroy(audit);
    audit = plan_on("guest_8_nodes", MIB, MACHINE_NODE(3), 0);
    assert_check(audit, "plan_node", MACHINE_OK, "node 3, CPUs 4");
    machine_audit_destroy(audit);
}

static void a_range_that_no_node_holds_is_told_to_spread(void **state)
{
    struct machine_audit *audit = plan_on("guest_2_nodes", 420 * MIB, MACHINE_NODE_ANY, 0);
    (void)state;
    assert_true(machine_audit_plan_works(audit));
    assert_check(audit, "plan_spread", MACHINE_INFO,
                 "needs 420 MiB, the most is 401.3 MiB on node 0");
    machine_audit_destroy(audit);
}

static void nodes_that_the_cpuset_shuts_out_do_not_help_a_plan(void **state)
{
    struct machine_audit *audit;
    char root[SCRATCH_BYTES];
    size_t sum_bytes;
    (void)state;
    scratch_create(root, "guest_2_nodes");
    audit = plan_below(root, 300 * MIB, MACHINE_NODE_ANY);
    assert_null(find_check(audit, "plan_cpuset_memory"));
    machine_audit_destroy(audit);
    scratch_write(root, "/proc/self/status", "CapEff:\t0\nMems_allowed_list:\t1\n");
    audit = plan_below(root, 300 * MIB, MACHINE_NODE_ANY);
    assert_int_equal(find_check(audit, "plan_memory")->severity, MACHINE_OK);
    assert_check(audit, "plan_cpuset_memory", MACHINE_CRITICAL, "needs 300.6 MiB, has 229.2 MiB");
    assert_false(machine_audit_plan_works(audit));
    machine_audit_destroy(audit);
    /* Page tables are paid for too. */
    audit = plan_below(root, 229 * MIB, MACHINE_NODE_ANY);
    assert_check(audit, "plan_cpuset_memory", MACHINE_CRITICAL, "needs 229.4 MiB, has 229.2 MiB");
    machine_audit_destroy(audit);
    audit = plan_below(root, 200 * MIB, MACHINE_NODE_ANY);
    assert_check(audit, "plan_cpuset_memory", MACHINE_OK, "needs 200.4 MiB, has 229.2 MiB");
    assert_true(machine_audit_plan_works(audit));
    machine_audit_destroy(audit);
    /* All of them together count. */
    scratch_destroy(root);
    scratch_create(root, "guest_4_sparse");
    scratch_write(root, "/proc/self/status", "CapEff:\t0\nMems_allowed_list:\t2-3\n");
    sum_bytes = zf_node_free_bytes(root, 2) + zf_node_free_bytes(root, 3);
    audit = plan_below(root, sum_bytes / 64 * 63, MACHINE_NODE_ANY);
    assert_int_equal(find_check(audit, "plan_cpuset_memory")->severity, MACHINE_OK);
    machine_audit_destroy(audit);
    audit = plan_below(root, sum_bytes, MACHINE_NODE_ANY);
    assert_int_equal(find_check(audit, "plan_cpuset_memory")->severity, MACHINE_CRITICAL);
    machine_audit_destroy(audit);
    scratch_destroy(root);
}

static void more_than_the_machine_has_fails_whatever_its_size(void **state)
{
    struct machine_audit *audit = plan_on("vm_6_18", 100 * GIB, MACHINE_NODE_ANY, 0);
    (void)state;
    assert_int_equal(find_check(audit, "plan_memory")->severity, MACHINE_CRITICAL);
    assert_null(find_check(audit, "plan_node_memory"));
    machine_audit_destroy(audit);
    audit = plan_on("vm_6_18", SIZE_MAX, MACHINE_NODE_ANY, 2 * MIB);
    assert_int_equal(find_check(audit, "plan_memory")->severity, MACHINE_CRITICAL);
    assert_false(machine_audit_plan_works(audit));
    machine_audit_destroy(audit);
}

/* ----------------------------------------------------------------------------------- huge pages */

static void a_pool_that_is_large_enough_serves_the_plan_alone(void **state)
{
    struct machine_audit *audit = plan_on("guest_2_nodes", 16 * MIB, MACHINE_NODE(1), 2 * MIB);
    (void)state;
    assert_check(audit, "plan_huge_pages", MACHINE_OK, "needs 8 of 2 MiB, 8 free");
    assert_null(find_check(audit, "plan_memory"));
    assert_null(find_check(audit, "plan_node_memory"));
    machine_audit_destroy(audit);
}

static void transparent_pages_stand_in_for_a_pool_that_is_too_small(void **state)
{
    struct machine_audit *audit = plan_on("guest_2_nodes", 18 * MIB, MACHINE_NODE(1), 2 * MIB);
    (void)state;
    assert_check(audit, "plan_huge_pages", MACHINE_OK,
                 "needs 9 of 2 MiB: 8 reserved, 106 more to be had at once");
    assert_int_equal(find_check(audit, "plan_node_memory")->severity, MACHINE_OK);
    machine_audit_destroy(audit);
}

static void where_reserved_pages_are_required_no_others_stand_in(void **state)
{
    struct machine_audit_options options =
        MACHINE_AUDIT_OPTIONS(.plan_bytes = 18 * MIB, .plan_node = MACHINE_NODE(1),
                              .plan_huge_bytes = 2 * MIB, .plan_lock = true, .plan_reserved = true);
    struct machine_audit *audit = audit_tree("guest_2_nodes", &options);
    (void)state;
    assert_check(audit, "plan_huge_pages", MACHINE_CRITICAL, "needs 9 of 2 MiB, 8 free");
    assert_string_equal(
        find_check(audit, "plan_huge_pages")->fix,
        "echo 9 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
    assert_false(machine_audit_plan_works(audit));
    /* Limits of small pages are not what stands against it. */
    assert_null(find_check(audit, "plan_memory"));
    assert_null(find_check(audit, "plan_lock"));
    machine_audit_destroy(audit);
    options.plan_bytes = 16 * MIB;
    audit = audit_tree("guest_2_nodes", &options);
    assert_check(audit, "plan_huge_pages", MACHINE_OK, "needs 8 of 2 MiB, 8 free");
    assert_true(machine_audit_plan_works(audit));
    machine_audit_destroy(audit);
    /* Nor does what has no pool, or no size at all, count as served. */
    options.plan_huge_bytes = 4096;
    audit = audit_tree("guest_2_nodes", &options);
    assert_check(audit, "plan_huge_pages", MACHINE_CRITICAL, "no pages of 4 KiB here");
    machine_audit_destroy(audit);
    options.plan_huge_bytes = 2 * MIB;
    options.plan_bytes = SIZE_MAX;
    audit = audit_tree("guest_2_nodes", &options);
    assert_false(machine_audit_plan_works(audit));
    machine_audit_destroy(audit);
    options.plan_bytes = 16 * MIB;
    /* The pool of an ordinary machine is empty. */
    options.plan_node = MACHINE_NODE_ANY;
    audit = audit_tree("vm_6_18", &options);
    assert_check(audit, "plan_huge_pages", MACHINE_CRITICAL, "needs 8 of 2 MiB, 0 free");
    assert_false(machine_audit_plan_works(audit));
    machine_audit_destroy(audit);
}

static void without_transparent_pages_a_pool_must_be_raised(void **state)
{
    struct machine_audit *audit;
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "guest_4_sparse");
    scratch_write(root, "/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
    assert_int_equal(
        machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.root = root, .plan_bytes = 20 * MIB,
                                                            .plan_node = MACHINE_NODE(3),
                                                            .plan_huge_bytes = 2 * MIB)),
        0);
    scratch_destroy(root);
    assert_check(audit, "plan_huge_pages", MACHINE_CRITICAL, "needs 10 of 2 MiB, 4 free");
    assert_string_equal(
        find_check(audit, "plan_huge_pages")->fix,
        "echo 10 > /sys/devices/system/node/node3/hugepages/hugepages-2048kB/nr_hugepages");
    machine_audit_destroy(audit);
}

static void pages_of_one_gibibyte_come_from_a_pool_alone(void **state)
{
    struct machine_audit *audit = plan_on("vm_6_18", GIB + 1, MACHINE_NODE_ANY, GIB);
    (void)state;
    assert_check(audit, "plan_huge_pages", MACHINE_CRITICAL, "needs 2 of 1 GiB, 0 free");
    assert_string_equal(find_check(audit, "plan_huge_pages")->fix,
                        "echo 2 > /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages");
    machine_audit_destroy(audit);
}

static void a_size_that_no_pool_has_is_no_page_size(void **state)
{
    struct machine_audit *audit = plan_on("vm_6_18", GIB, MACHINE_NODE_ANY, 32 * MIB);
    (void)state;
    assert_check(audit, "plan_huge_pages", MACHINE_CRITICAL, "no pages of 32 MiB here");
    machine_audit_destroy(audit);
}

static void pages_that_others_reserved_are_not_free(void **state)
{
    struct machine_audit *audit;
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "guest_2_nodes");
    scratch_write(root, "/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "20\n");
    assert_int_equal(
        machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.root = root, .plan_bytes = 16 * MIB,
                                                            .plan_node = MACHINE_NODE(1),
                                                            .plan_huge_bytes = 2 * MIB)),
        0);
    scratch_destroy(root);
    assert_check(audit, "plan_huge_pages", MACHINE_OK,
                 "needs 8 of 2 MiB: 4 reserved, 106 more to be had at once");
    machine_audit_destroy(audit);
}

static void a_group_s_limit_of_huge_pages_counts(void **state)
{
    struct machine_audit *audit = plan_on("container_6_12", 24 * MIB, MACHINE_NODE(0), 2 * MIB);
    (void)state;
    assert_check(audit, "plan_huge_pages", MACHINE_OK, "needs 12 of 2 MiB, 24 free");
    assert_check(audit, "plan_cgroup_hugetlb", MACHINE_CRITICAL, "needs 24 MiB, has 16 MiB");
    assert_string_equal(find_check(audit, "plan_cgroup_hugetlb")->fix,
                        "echo max > /sys/fs/cgroup/hugetlb.2MB.max");
    machine_audit_destroy(audit);
}

/* --------------------------------------------------------------------------------------- limits */

static void a_group_s_limit_of_memory_counts(void **state)
{
    struct machine_audit *audit = plan_on("container_6_12", 300 * MIB, MACHINE_NODE_ANY, 0);
    (void)state;
    assert_int_equal(find_check(audit, "plan_memory")->severity, MACHINE_OK);
    assert_int_equal(find_check(audit, "plan_cgroup_memory")->severity, MACHINE_CRITICAL);
    assert_string_equal(find_check(audit, "plan_cgroup_memory")->fix,
                        "echo max > /sys/fs/cgroup/memory.max");
    machine_audit_destroy(audit);
}

static void a_lock_must_fit_under_its_limit(void **state)
{
    struct machine_audit_options options =
        MACHINE_AUDIT_OPTIONS(.plan_bytes = 8 * MIB, .plan_lock = true);
    struct machine_audit *audit = audit_tree("vm_6_18", &options);
    (void)state;
    assert_check(audit, "plan_lock", MACHINE_OK, "needs 8 MiB, has 8 MiB");
    machine_audit_destroy(audit);
    options.plan_bytes += 1;
    audit = audit_tree("vm_6_18", &options);
    assert_check(audit, "plan_lock", MACHINE_CRITICAL, "needs 8.0 MiB, has 8 MiB");
    machine_audit_destroy(audit);
    audit = audit_tree("guest_2_nodes", &options);
    assert_check(audit, "plan_lock", MACHINE_OK, "needs 8.0 MiB, no limit");
    machine_audit_destroy(audit);
}

static void strict_overcommit_counts(void **state)
{
    struct machine_audit *audit = plan_on("guest_8_nodes", 700 * MIB, MACHINE_NODE_ANY, 0);
    (void)state;
    assert_int_equal(find_check(audit, "plan_memory")->severity, MACHINE_OK);
    assert_check(audit, "plan_commit", MACHINE_CRITICAL, "needs 700 MiB, has 627.5 MiB");
    machine_audit_destroy(audit);
}

static void limits_on_addresses_and_mappings_count(void **state)
{
    struct machine_audit *audit;
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "vm_6_18");
    scratch_write(root, "/proc/self/limits",
                  "Max data size  33554432 33554432 b\nMax address space  67108864 unlimited b\n");
    scratch_write(root, "/proc/self/status", "VmSize: 1024 kB\nVmData: 1024 kB\nCapEff: 0\n");
    scratch_write(root, "/proc/self/maps", "1\n2\n3\n");
    scratch_write(root, "/proc/sys/vm/max_map_count", "8\n");
    assert_int_equal(
        machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.root = root, .plan_bytes = 32 * MIB)),
        0);
    scratch_destroy(root);
    assert_check(audit, "plan_addresses", MACHINE_CRITICAL, "needs 32 MiB, has 31 MiB");
    assert_check(audit, "plan_mappings", MACHINE_CRITICAL, "needs 16, has 3 of 8");
    machine_audit_destroy(audit);
}

static void what_is_not_told_does_not_fail_a_plan(void **state)
{
    struct machine_audit *audit =
        audit_tree("no_available", &MACHINE_AUDIT_OPTIONS(.plan_bytes = MIB, .plan_lock = true));
    (void)state;
    assert_check(audit, "plan_memory", MACHINE_UNKNOWN, "not told");
    assert_check(audit, "plan_lock", MACHINE_UNKNOWN, "not told");
    assert_true(machine_audit_plan_works(audit));
    machine_audit_destroy(audit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_plan_nothing_is_planned),
        cmocka_unit_test(a_plan_that_fits_works),
        cmocka_unit_test(a_node_that_is_too_small_fails_the_plan),
        cmocka_unit_test(clean_file_cache_of_a_node_counts_as_free),
        cmocka_unit_test(a_node_must_be_there_have_memory_and_be_allowed),
        cmocka_unit_test(a_range_that_no_node_holds_is_told_to_spread),
        cmocka_unit_test(nodes_that_the_cpuset_shuts_out_do_not_help_a_plan),
        cmocka_unit_test(more_than_the_machine_has_fails_whatever_its_size),
        cmocka_unit_test(a_pool_that_is_large_enough_serves_the_plan_alone),
        cmocka_unit_test(transparent_pages_stand_in_for_a_pool_that_is_too_small),
        cmocka_unit_test(where_reserved_pages_are_required_no_others_stand_in),
        cmocka_unit_test(without_transparent_pages_a_pool_must_be_raised),
        cmocka_unit_test(pages_of_one_gibibyte_come_from_a_pool_alone),
        cmocka_unit_test(a_size_that_no_pool_has_is_no_page_size),
        cmocka_unit_test(pages_that_others_reserved_are_not_free),
        cmocka_unit_test(a_group_s_limit_of_huge_pages_counts),
        cmocka_unit_test(a_group_s_limit_of_memory_counts),
        cmocka_unit_test(a_lock_must_fit_under_its_limit),
        cmocka_unit_test(strict_overcommit_counts),
        cmocka_unit_test(limits_on_addresses_and_mappings_count),
        cmocka_unit_test(what_is_not_told_does_not_fail_a_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
