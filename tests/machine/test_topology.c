/*
 * Nodes as captured from guests: memory alone, CPUs alone, gaps in the numbers, distances, pools.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine/topology.h"
#include "machine/tree.h"

#define MIB ((size_t)1 << 20)

static size_t count_nodes(const struct machine_audit *audit)
{
    size_t count = 0;
    while (machine_audit_node(audit, count) != NULL)
        ++count;
    return count;
}

static void a_machine_of_one_node_has_all_cpus_on_it(void **state)
{
    struct machine_audit *audit = audit_tree("vm_6_18", NULL);
    const struct machine_node *node = machine_audit_node(audit, 0);
    (void)state;
    assert_int_equal(count_nodes(audit), 1);
    assert_int_equal(node->number, 0);
    assert_int_equal(node->cpus_count, 2);
    assert_string_equal(node->cpus, "0-1");
    assert_int_equal(node->distances[0], 10);
    assert_true(node->allowed);
    machine_audit_destroy(audit);
}

static void a_node_may_have_memory_alone(void **state)
{
    struct machine_audit *audit = audit_tree("guest_2_nodes", NULL);
    const struct machine_node *node = machine_audit_node(audit, 1);
    (void)state;
    assert_int_equal(count_nodes(audit), 2);
    assert_int_equal(node->cpus_count, 0);
    assert_string_equal(node->cpus, "");
    assert_in_range(node->total_bytes, 200 * MIB, 256 * MIB);
    machine_audit_destroy(audit);
}

static void a_node_may_have_cpus_alone(void **state)
{
    struct machine_audit *audit = audit_tree("guest_8_nodes", NULL);
    const struct machine_node *node = machine_audit_node(audit, 2);
    (void)state;
    assert_int_equal(count_nodes(audit), 8);
    assert_int_equal(node->total_bytes, 0);
    assert_int_equal(node->free_bytes, 0);
    assert_string_equal(node->cpus, "3");
    machine_audit_destroy(audit);
}

static void numbers_of_nodes_may_have_gaps(void **state)
{
    struct machine_audit *audit = audit_tree("guest_4_sparse", NULL);
    (void)state;
    assert_int_equal(count_nodes(audit), 3);
    assert_int_equal(machine_audit_node(audit, 0)->number, 0);
    assert_int_equal(machine_audit_node(audit, 1)->number, 2);
    assert_int_equal(machine_audit_node(audit, 2)->number, 3);
    assert_int_equal(machine_audit_node(audit, 1)->distances[1], 10);
    assert_int_equal(machine_audit_node(audit, 1)->distances[2], 20);
    machine_audit_destroy(audit);
}

static void distances_go_by_index(void **state)
{
    static const unsigned expected[] = {10, 12, 32, 32, 21, 21, 32, 32};
    struct machine_audit *audit = audit_tree("guest_8_nodes", NULL);
    (void)state;
    for (size_t i = 0; i < 8; ++i) {
        assert_int_equal(machine_audit_node(audit, 0)->distances[i], expected[i]);
        assert_int_equal(machine_audit_node(audit, i)->distances[0], expected[i]);
    }
    machine_audit_destroy(audit);
}

static void sixteen_nodes_are_all_there(void **state)
{
    struct machine_audit *audit = audit_tree("guest_16_nodes", NULL);
    (void)state;
    assert_int_equal(count_nodes(audit), 16);
    assert_int_equal(machine_audit_node(audit, 15)->number, 15);
    assert_int_equal(machine_audit_node(audit, 15)->distances[15], 10);
    assert_null(machine_audit_node(audit, 16));
    machine_audit_destroy(audit);
}

static void pools_belong_to_their_node(void **state)
{
    struct machine_audit *audit = audit_tree("guest_2_nodes", NULL);
    const struct machine_node *first = machine_audit_node(audit, 0);
    const struct machine_node *second = machine_audit_node(audit, 1);
    (void)state;
    assert_int_equal(first->pools_count, 2);
    assert_int_equal(first->pools[0].page_bytes, 2 * MIB);
    assert_int_equal(first->pools[0].total_count, 16);
    assert_int_equal(first->pools[0].free_count, 16);
    assert_int_equal(first->pools[1].page_bytes, 1024 * MIB);
    assert_int_equal(first->pools[1].total_count, 0);
    assert_int_equal(second->pools[0].total_count, 8);
    assert_int_equal(zf_topology_pool(second, 2 * MIB)->free_count, 8);
    assert_null(zf_topology_pool(second, 4 * MIB));
    machine_audit_destroy(audit);
}

/* Node 1: MemFree 234684 kB, of which the zones' low watermarks keep back 3967 pages. */
static void free_memory_is_what_is_above_the_low_watermarks(void **state)
{
    struct machine_audit *audit = audit_tree("guest_2_nodes", NULL);
    const struct machine_node *node = machine_audit_node(audit, 1);
    (void)state;
    assert_int_equal(node->free_bytes / 1024, 234684 - 3967 * 4);
    assert_int_equal(node->huge_free_bytes % (2 * MIB), 0);
    assert_in_range(node->huge_free_bytes, node->free_bytes / 2, node->total_bytes);
    machine_audit_destroy(audit);
}

static void a_cpuset_disallows_nodes(void **state)
{
    struct machine_audit *audit = audit_tree("container_6_12", NULL);
    (void)state;
    assert_int_equal(count_nodes(audit), 2);
    assert_true(machine_audit_node(audit, 0)->allowed);
    assert_false(machine_audit_node(audit, 1)->allowed);
    machine_audit_destroy(audit);
}

/* A tree of memory files alone, as from a kernel without NUMA. */
static void a_kernel_without_nodes_is_one_node(void **state)
{
    struct machine_audit *audit = audit_tree("none", NULL);
    const struct machine_node *node = machine_audit_node(audit, 0);
    (void)state;
    assert_int_equal(count_nodes(audit), 1);
    assert_int_equal(node->number, 0);
    assert_true(node->allowed);
    assert_null(node->distances);
    assert_int_equal(node->pools_count, 0);
    machine_audit_destroy(audit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_of_one_node_has_all_cpus_on_it),
        cmocka_unit_test(a_node_may_have_memory_alone),
        cmocka_unit_test(a_node_may_have_cpus_alone),
        cmocka_unit_test(numbers_of_nodes_may_have_gaps),
        cmocka_unit_test(distances_go_by_index),
        cmocka_unit_test(sixteen_nodes_are_all_there),
        cmocka_unit_test(pools_belong_to_their_node),
        cmocka_unit_test(free_memory_is_what_is_above_the_low_watermarks),
        cmocka_unit_test(a_cpuset_disallows_nodes),
        cmocka_unit_test(a_kernel_without_nodes_is_one_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
