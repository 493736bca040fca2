/*
 * Transparent huge pages cover an arena on every node, and stay when processes come and go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "numa/numa.h"
#include "support/pages.h"

#define ARENA_BYTES (32 * MIB)

static struct arena *huge_arena(int node, struct warmup_report *report)
{
    return warm_arena(&ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .huge_pages = ARENA_REQUIRE,
                                     .node = ARENA_NODE(node)),
                      report);
}

static void transparent_huge_pages_cover_an_arena_on_each_node(void **state)
{
    static const int nodes[] = MEMORY_NODES;
    (void)state;
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; ++i) {
        struct warmup_report report;
        struct arena *arena = huge_arena(nodes[i], &report);
        void *base = (void *)arena->begin;
        assert_int_equal(report.huge_page_bytes, HUGE_PAGE);
        assert_int_equal(report.huge_pages.asked_bytes, ARENA_BYTES);
        assert_granted(&report.huge_pages);
        assert_granted(&report.freeze);
        assert_true(report.faults_minor < ARENA_BYTES / PAGE / 8);
        assert_int_equal(mapping_bytes(base, "AnonHugePages:"), ARENA_BYTES);
        assert_true(mapping_has_flag(base, "nh"));
        assert_all_on_node(arena, nodes[i]);
        assert_filling_takes_no_fault(arena);
        arena_destroy(arena);
    }
}

static void a_fork_splits_no_huge_page_of_an_arena(void **state)
{
    struct warmup_report report;
    struct arena *arena = huge_arena(NODE_MEMORY_ONLY, &report);
    int status;
    pid_t child = fork();
    (void)state;
    if (child == 0)
        _exit(0);
    assert_filling_takes_no_fault(arena);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_filling_takes_no_fault(arena);
    assert_int_equal(mapping_bytes((void *)arena->begin, "AnonHugePages:"), ARENA_BYTES);
    arena_destroy(arena);
}

int test_huge_pages(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transparent_huge_pages_cover_an_arena_on_each_node),
        cmocka_unit_test(a_fork_splits_no_huge_page_of_an_arena),
    };
    return cmocka_run_group_tests_name("huge pages", tests, NULL, NULL);
}
