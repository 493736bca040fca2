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
#include <sys/syscall.h>

#include <zerofault/arena.h>

#include "support/child.h"
#include "support/deny.h"
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

/* What a process finds in a sandbox like that of many containers. */
struct sandboxed {
    int denied;
    int asked; /* result of asking the system */
    int usable, with_cpus, node_of_cpu;
    struct zf_node_set memory, cpus;
    size_t cpus_count;
    int created, warmed;
    struct warmup_report report;
    int complaints;
};

static void ask_in_sandbox(void *shared)
{
    struct sandboxed *found = shared;
    struct zf_os_nodes nodes;
    int16_t of_cpus[ZF_OS_CPUS_MAX];
    struct arena *arena;
    found->denied = deny_system_call(SYS_get_mempolicy);
    found->denied |= deny_system_call(SYS_mbind);
    found->denied |= deny_system_call(SYS_move_pages);
    found->asked = zf_os_nodes(&nodes);
    found->usable = zf_nodes_usable("", &found->memory);
    found->with_cpus = zf_nodes_with_cpus("", &found->cpus);
    found->node_of_cpu = zf_node_of_cpu("", zf_os_cpu());
    found->cpus_count = zf_nodes_of_cpus("", of_cpus, ZF_OS_CPUS_MAX);
    found->report = (struct warmup_report)WARMUP_REPORT_INIT;
    found->created = arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = 1 << 20));
    if (found->created == 0)
        found->warmed = arena_warmup(arena, NULL, &found->report);
    found->complaints = complaints;
}

static void a_sandbox_that_forbids_policies_still_shows_the_files(void **state)
{
    struct sandboxed *found = shared_create(sizeof *found);
    struct zf_node_set memory, cpus;
    (void)state;
    need_nodes();
    assert_int_equal(run_in_child(ask_in_sandbox, found), 0);
    need("seccomp", found->denied == 0, "no filter of system calls");
    assert_int_equal(found->asked, -EOPNOTSUPP);
    assert_int_equal(found->usable, 0);
    assert_int_equal(found->with_cpus, 0);
    assert_int_equal(zf_nodes_usable("", &memory), 0);
    assert_int_equal(zf_nodes_with_cpus("", &cpus), 0);
    assert_memory_equal(&found->memory, &memory, sizeof memory);
    assert_memory_equal(&found->cpus, &cpus, sizeof cpus);
    assert_true(zf_node_set_holds(&cpus, found->node_of_cpu));
    assert_true(found->cpus_count > 0);
    /* An arena is warm all the same, and the report says what was not to be had. */
    assert_int_equal(found->created, 0);
    assert_int_equal(found->warmed, 0);
    assert_int_equal(found->report.bind.error, -EPERM);
    assert_non_null(found->report.bind.remedy);
    assert_int_equal(found->complaints, 0);
    shared_destroy(found, sizeof *found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_system_tells_what_its_files_say),
        cmocka_unit_test(distances_are_told_where_the_numbers_have_no_gaps),
        cmocka_unit_test(every_cpu_that_may_run_this_is_on_a_node),
        cmocka_unit_test(what_does_not_exist_is_told_quietly),
        cmocka_unit_test(a_sandbox_that_forbids_policies_still_shows_the_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
