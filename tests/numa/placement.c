/*
 * An arena's pages are on the node that it was made for, whoever warms it, and nowhere else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "numa/numa.h"
#include "support/child.h"
#include "support/pages.h"

#define ARENA_BYTES (32 * MIB)

static const int memory_nodes[] = MEMORY_NODES;
#define MEMORY_NODES_COUNT (sizeof memory_nodes / sizeof memory_nodes[0])

/* ------------------------------------------------------------------------------------- one node */

static void each_node_gets_the_arenas_that_ask_for_it(void **state)
{
    (void)state;
    pin_to_cpu(CPU_OF_LARGE);
    for (size_t i = 0; i < MEMORY_NODES_COUNT; ++i) {
        int node = memory_nodes[i];
        struct warmup_report report;
        struct arena *arena = warm_arena(
            &ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .node = ARENA_NODE(node)), &report);
        assert_int_equal(report.node, node);
        assert_granted(&report.bind);
        assert_granted(&report.lock);
        assert_granted(&report.fork);
        assert_all_on_node(arena, node);
        assert_filling_takes_no_fault(arena);
        arena_destroy(arena);
    }
}

static void an_arena_stays_where_it_is_when_its_user_moves(void **state)
{
    static const int cpus[] = {CPU_OF_MIDDLE, CPU_OF_MEMORYLESS, CPU_OF_LARGE};
    struct warmup_report report;
    struct arena *arena;
    (void)state;
    pin_to_cpu(CPU_OF_LARGE);
    arena = warm_arena(
        &ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .node = ARENA_NODE(NODE_LARGE)), &report);
    for (size_t i = 0; i < sizeof cpus / sizeof cpus[0]; ++i) {
        pin_to_cpu(cpus[i]);
        assert_filling_takes_no_fault(arena);
        assert_all_on_node(arena, NODE_LARGE);
    }
    arena_destroy(arena);
}

/* ---------------------------------------------------------------------------------------- local */

static void warm_on_cpu(int cpu, int node)
{
    struct warmup_report report;
    struct arena *arena;
    pin_to_cpu(cpu);
    arena = warm_arena(&ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .node = ARENA_NODE_LOCAL),
                       &report);
    assert_int_equal(report.node, -1);
    assert_granted(&report.bind);
    assert_all_on_node(arena, node);
    assert_filling_takes_no_fault(arena);
    arena_destroy(arena);
}

static void a_local_arena_is_on_the_node_of_the_thread_that_warms_it(void **state)
{
    (void)state;
    warm_on_cpu(CPU_OF_LARGE, NODE_LARGE);
    warm_on_cpu(CPU_OF_MIDDLE, NODE_MIDDLE);
}

static void local_to_a_node_without_memory_is_the_nearest_one(void **state)
{
    (void)state;
    warm_on_cpu(CPU_OF_MEMORYLESS, NODE_MIDDLE);
    pin_to_cpu(CPU_OF_LARGE);
}

/* -------------------------------------------------------------------------------- refused nodes */

static void a_node_that_has_no_memory_or_is_not_there_is_refused(void **state)
{
    static const int nodes[] = {NODE_MEMORYLESS, NODE_GAP, NODE_END, NODE_ABSENT, 63, 64, 1023,
                                100000};
    (void)state;
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; ++i) {
        struct arena_options options =
            ARENA_OPTIONS(.capacity_bytes = MIB, .node = ARENA_NODE(nodes[i]));
        struct arena *arena = (struct arena *)&options;
        assert_int_equal(arena_create(&arena, &options), -ENODEV);
        assert_null(arena);
        options.bind = ARENA_REQUIRE;
        assert_int_equal(arena_create(&arena, &options), -ENODEV);
        assert_null(arena);
    }
}

/* --------------------------------------------------------------------------------- kernel weights
 */

#define WEIGHTS "/sys/kernel/mm/mempolicy/weighted_interleave/node"

static void the_kernels_weights_decide_where_it_has_some(void **state)
{
    static const unsigned nodes[] = {NODE_LARGE, NODE_MEMORY_ONLY};
    struct arena_options options =
        ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .placement = ARENA_WEIGHTED_INTERLEAVE,
                      .nodes = nodes, .nodes_count = 2, .bind = ARENA_REQUIRE);
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena;
    (void)state;
    if (!kernel_is_at_least(6, 9)) {
        assert_int_equal(arena_create(&arena, &options), 0);
        assert_int_equal(arena_warmup(arena, NULL, &report), -EOPNOTSUPP);
        assert_int_equal(report.bind.error, -EOPNOTSUPP);
        assert_non_null(report.bind.remedy);
        arena_destroy(arena);
        return;
    }
    assert_true(write_file(WEIGHTS "0", "7") && write_file(WEIGHTS "4", "1"));
    arena = warm_arena(&options, &report);
    assert_true(write_file(WEIGHTS "0", "1") && write_file(WEIGHTS "4", "1"));
    assert_granted(&report.bind);
    assert_int_equal(report.misplaced_bytes, 0);
    assert_int_equal(report.nodes_count, 2);
    assert_in_range(report.nodes[0].resident_bytes, ARENA_BYTES / 8 * 7 - 8 * PAGE,
                    ARENA_BYTES / 8 * 7 + 8 * PAGE);
    assert_int_equal(placement_of((void *)arena->begin, ARENA_BYTES).on_node[NODE_LARGE],
                     report.nodes[0].resident_bytes / PAGE);
    assert_filling_takes_no_fault(arena);
    arena_destroy(arena);
}

/* -------------------------------------------------------------------------------- control groups
 */

/* What a process finds whose control group keeps it off the node that it asks for. */
struct confined {
    bool entered;
    int preferred; /* results of arena_warmup */
    int required;
    struct warmup_item bind; /* of the preferred one */
    int spread_preferred;    /* the same over a set of which one node is allowed */
    int spread_required;
    struct warmup_item spread;
    uint64_t faults;
};

#define GROUP "/sys/fs/cgroup/confined"

static bool enter_group(void)
{
    char process[32];
    (void)snprintf(process, sizeof process, "%d", (int)getpid());
    return write_file(GROUP "/cgroup.procs", process);
}

static int warm_elsewhere(enum warmup_wish bind, struct warmup_report *report, uint64_t *faults)
{
    struct arena *arena;
    int rc = arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = 4 * MIB, .bind = bind,
                                                 .node = ARENA_NODE(NODE_MEMORY_ONLY)));
    if (rc != 0)
        return rc;
    rc = arena_warmup(arena, NULL, report);
    *faults = faults_of_writing((void *)arena->begin, 4 * MIB);
    arena_destroy(arena);
    return rc;
}

static int spread_over_both(enum warmup_wish bind, struct warmup_report *report)
{
    static const unsigned nodes[] = {NODE_LARGE, NODE_MEMORY_ONLY};
    struct arena *arena;
    int rc = arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = 4 * MIB, .bind = bind,
                                                 .placement = ARENA_INTERLEAVE, .nodes = nodes,
                                                 .nodes_count = 2));
    if (rc != 0)
        return rc;
    rc = arena_warmup(arena, NULL, report);
    arena_destroy(arena);
    return rc;
}

static void warm_in_group(void *shared)
{
    struct confined *confined = shared;
    struct warmup_report report = WARMUP_REPORT_INIT;
    uint64_t faults_of_required;
    confined->entered = enter_group();
    confined->preferred = warm_elsewhere(ARENA_PREFER, &report, &confined->faults);
    confined->bind = report.bind;
    confined->required = warm_elsewhere(ARENA_REQUIRE, &report, &faults_of_required);
    confined->spread_preferred = spread_over_both(ARENA_PREFER, &report);
    confined->spread = report.bind;
    confined->spread_required = spread_over_both(ARENA_REQUIRE, &report);
}

static void a_node_outside_the_control_group_is_refused_with_a_remedy(void **state)
{
    struct confined *confined = shared_create(sizeof *confined);
    (void)state;
    (void)mkdir(GROUP, 0755);
    assert_true(write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset"));
    assert_true(write_file(GROUP "/cpuset.mems", "0-1"));
    assert_int_equal(run_in_child(warm_in_group, confined), 0);
    assert_true(confined->entered);
    assert_int_equal(confined->preferred, 0);
    assert_int_equal(confined->bind.error, -EPERM);
    assert_int_equal(confined->bind.granted_bytes, 0);
    assert_non_null(confined->bind.remedy);
    assert_int_equal(confined->faults, 0);
    assert_int_equal(confined->required, -EPERM);
    assert_int_equal(confined->spread_preferred, 0);
    assert_int_equal(confined->spread.error, -EPERM);
    assert_non_null(confined->spread.remedy);
    assert_int_equal(confined->spread_required, -EPERM);
    assert_int_equal(rmdir(GROUP), 0);
    shared_destroy(confined, sizeof *confined);
}

int test_placement(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_node_gets_the_arenas_that_ask_for_it),
        cmocka_unit_test(an_arena_stays_where_it_is_when_its_user_moves),
        cmocka_unit_test(a_local_arena_is_on_the_node_of_the_thread_that_warms_it),
        cmocka_unit_test(local_to_a_node_without_memory_is_the_nearest_one),
        cmocka_unit_test(a_node_that_has_no_memory_or_is_not_there_is_refused),
        cmocka_unit_test(the_kernels_weights_decide_where_it_has_some),
        cmocka_unit_test(a_node_outside_the_control_group_is_refused_with_a_remedy),
    };
    return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
