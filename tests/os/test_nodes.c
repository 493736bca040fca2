/*
 * NUMA nodes of the running system: what the system tells is what its files say, and asking for
 * what is not there neither prints nor ends the process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <numa.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/needs.h"
#include "support/nodes.h"

static int complaints;

/* These take the place of libnuma's own, which print, and may end the process. */
void numa_error(char *where)
{
    (void)where;
    ++complaints;
}

void numa_warn(int num, char *fmt, ...)
{
    (void)num;
    (void)fmt;
    ++complaints;
}

static void need_nodes(void)
{
    struct zf_os_nodes nodes;
    need("memory policies", zf_os_nodes(&nodes) == 0, "the system tells no nodes");
}

static void the_system_tells_what_its_files_say(void **state)
{
    (void)state;
    need_nodes();
    assert_true(assert_nodes_agree() >= 1);
    assert_int_equal(complaints, 0);
}

/* The distances of a node as its file lists them, one for each node that is online. */
static size_t read_distances(int node, long *distances, size_t distances_max)
{
    char path[64], text[4096];
    char *rest = text;
    size_t count = 0;
    (void)snprintf(path, sizeof path, "/sys/devices/system/node/node%d/distance", node);
    if (zf_os_read_file(path, text, sizeof text) <= 0)
        return 0;
    for (const char *number = NULL; number != rest && count < distances_max;) {
        number = rest;
        distances[count] = strtol(number, &rest, 10);
        count += number != rest;
    }
    return count;
}

static void distances_are_told_where_the_numbers_have_no_gaps(void **state)
{
    long distances[64];
    size_t count = read_distances(0, distances, 64);
    (void)state;
    need_nodes();
    assert_true(count >= 1);
    for (int node = 0; node < (int)count; ++node) {
        bool in_a_row = read_distances(node, distances, 64) == count;
        for (int other = 0; in_a_row && other < (int)count; ++other)
            assert_int_equal(zf_os_node_distance(node, other), distances[other]);
        if (!in_a_row)
            assert_int_equal(zf_os_node_distance(node, 0), 0);
    }
}

static void every_cpu_that_may_run_this_is_on_a_node(void **state)
{
    int16_t nodes[ZF_OS_CPUS_MAX];
    struct zf_os_nodes all;
    size_t count;
    (void)state;
    need_nodes();
    assert_int_equal(zf_os_nodes(&all), 0);
    count = zf_os_nodes_of_cpus(nodes, ZF_OS_CPUS_MAX);
    assert_true(zf_os_cpu() < count);
    assert_true(zf_node_set_holds(&all.cpus, nodes[zf_os_cpu()]));
    /* No room for all of them: those that there is room for. */
    assert_int_equal(zf_os_nodes_of_cpus(nodes, 1), 1);
}

static void what_does_not_exist_is_told_quietly(void **state)
{
    struct zf_os_nodes all;
    int node;
    (void)state;
    need_nodes();
    assert_int_equal(zf_os_nodes(&all), 0);
    node = zf_node_set_next(&all.cpus, 0);
    assert_int_equal(zf_os_node_distance(node, node), 10);
    assert_int_equal(zf_os_node_distance(node, ZF_NODES_MAX - 1), 0);
    assert_int_equal(zf_os_node_distance(ZF_NODES_MAX, node), 0);
    assert_int_equal(zf_os_node_distance(-1, node), 0);
    assert_int_equal(zf_node_of_cpu("", ZF_OS_CPUS_MAX - 1), -ENODEV);
    assert_int_equal(zf_node_of_cpu("", UINT_MAX), -ENODEV);
    assert_int_equal(complaints, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_system_tells_what_its_files_say),
        cmocka_unit_test(distances_are_told_where_the_numbers_have_no_gaps),
        cmocka_unit_test(every_cpu_that_may_run_this_is_on_a_node),
        cmocka_unit_test(what_does_not_exist_is_told_quietly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
