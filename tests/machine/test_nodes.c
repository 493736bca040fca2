/*
 * NUMA nodes of captured machines: gaps in the numbers, nodes without CPUs, distances.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "machine/nodes.h"

#define TREE(name) ZF_TREES "/" name

static void numbers_with_gaps_are_read_as_they_are(void **state)
{
    struct zf_node_set memory, cpus;
    (void)state;
    assert_int_equal(zf_nodes_usable(TREE("guest_4_sparse"), &memory), 0);
    assert_int_equal(zf_nodes_with_cpus(TREE("guest_4_sparse"), &cpus), 0);
    assert_true(zf_node_set_count(&memory) >= 2);
    assert_true(zf_node_set_count(&cpus) < zf_node_set_count(&memory));
}

static void every_cpu_has_one_node_and_a_cpu_too_many_has_none(void **state)
{
    static const char *const trees[] = {TREE("guest_2_nodes"), TREE("guest_8_nodes"),
                                        TREE("guest_16_nodes")};
    (void)state;
    for (size_t i = 0; i < sizeof trees / sizeof trees[0]; ++i) {
        struct zf_node_set cpus;
        int node = zf_node_of_cpu(trees[i], 0);
        assert_int_equal(zf_nodes_with_cpus(trees[i], &cpus), 0);
        assert_true(zf_node_set_holds(&cpus, node));
        assert_int_equal(zf_node_of_cpu(trees[i], 60000), -ENODEV);
    }
}

static void a_node_is_nearest_to_itself_and_otherwise_the_distance_decides(void **state)
{
    struct zf_node_set usable;
    const char *tree = TREE("guest_8_nodes");
    int first, other;
    (void)state;
    assert_int_equal(zf_nodes_usable(tree, &usable), 0);
    first = zf_node_set_next(&usable, 0);
    assert_int_equal(zf_node_nearest(tree, first, &usable), first);
    usable.words[0] &= ~(1ul << first);
    other = zf_node_nearest(tree, first, &usable);
    assert_true(other != first && zf_node_set_holds(&usable, other));
    /* A node that is not there at all: the lowest. */
    assert_int_equal(zf_node_nearest(tree, 900, &usable), zf_node_set_next(&usable, 0));
}

static void free_memory_is_told_per_node(void **state)
{
    size_t free_bytes = zf_node_free_bytes(TREE("guest_2_nodes"), 0);
    (void)state;
    assert_in_range(free_bytes, (size_t)1 << 20, (size_t)1 << 40);
    assert_true(zf_node_free_bytes(TREE("guest_2_nodes"), 900) == SIZE_MAX);
    assert_true(zf_node_free_bytes(TREE("none"), 0) == SIZE_MAX);
}

static void nodes_that_cannot_be_are_refused(void **state)
{
    struct zf_node_set nodes = {{0}};
    (void)state;
    zf_node_set_add(&nodes, 0);
    assert_int_equal(zf_nodes_check(TREE("guest_2_nodes"), &nodes), 0);
    zf_node_set_add(&nodes, 900);
    assert_int_equal(zf_nodes_check(TREE("guest_2_nodes"), &nodes), -ENODEV);
    assert_int_equal(zf_nodes_check(TREE("none"), &nodes), 0);
    assert_int_equal(zf_nodes_usable(TREE("none"), &nodes), -EOPNOTSUPP);
    assert_int_equal(zf_node_of_cpu(TREE("none"), 0), -EOPNOTSUPP);
}

static struct zf_cpu_set cpus_near(const char *root, int first, int second)
{
    struct zf_node_set nodes = {{0}};
    struct zf_cpu_set cpus;
    zf_node_set_add(&nodes, first);
    zf_node_set_add(&nodes, second);
    assert_int_equal(zf_nodes_cpus(root, &nodes, &cpus), 0);
    return cpus;
}

static void the_cpus_of_nodes_are_all_of_them(void **state)
{
    struct zf_cpu_set cpus = cpus_near(TREE("guest_8_nodes"), 0, 1);
    (void)state;
    for (unsigned cpu = 0; cpu < 64; ++cpu) {
        int node = zf_node_of_cpu(TREE("guest_8_nodes"), cpu);
        assert_int_equal((cpus.words[0] >> cpu & 1) != 0, node == 0 || node == 1);
    }
}

static void a_node_without_cpus_is_served_by_those_of_the_nearest_that_has(void **state)
{
    struct zf_node_set with_cpus, memory;
    (void)state;
    assert_int_equal(zf_nodes_with_cpus(TREE("guest_4_sparse"), &with_cpus), 0);
    assert_int_equal(zf_nodes_usable(TREE("guest_4_sparse"), &memory), 0);
    for (int node = zf_node_set_next(&memory, 0); node >= 0;
         node = zf_node_set_next(&memory, node + 1)) {
        int near = zf_node_nearest(TREE("guest_4_sparse"), node, &with_cpus);
        struct zf_cpu_set own = cpus_near(TREE("guest_4_sparse"), node, node);
        struct zf_cpu_set nearest = cpus_near(TREE("guest_4_sparse"), near, near);
        assert_true(zf_cpu_set_count(&own) != 0);
        assert_memory_equal(&own, &nearest, sizeof own);
    }
}

static void without_nodes_there_are_no_cpus_of_them(void **state)
{
    struct zf_node_set nodes = {{1}};
    struct zf_cpu_set cpus;
    (void)state;
    assert_int_equal(zf_nodes_cpus(TREE("nosuch"), &nodes, &cpus), -EOPNOTSUPP);
    assert_int_equal(zf_cpu_set_count(&cpus), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_with_gaps_are_read_as_they_are),
        cmocka_unit_test(every_cpu_has_one_node_and_a_cpu_too_many_has_none),
        cmocka_unit_test(a_node_is_nearest_to_itself_and_otherwise_the_distance_decides),
        cmocka_unit_test(free_memory_is_told_per_node),
        cmocka_unit_test(nodes_that_cannot_be_are_refused),
        cmocka_unit_test(the_cpus_of_nodes_are_all_of_them),
        cmocka_unit_test(a_node_without_cpus_is_served_by_those_of_the_nearest_that_has),
        cmocka_unit_test(without_nodes_there_are_no_cpus_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
