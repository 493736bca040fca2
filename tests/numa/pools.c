/*
 * Reserved huge pages belong to a node: an arena takes them from the pools of its own nodes, or
 * says what those lack, and nobody is ever killed by SIGBUS for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numa/numa.h"
#include "support/child.h"
#include "support/pages.h"
#include "support/pool.h"

#define GIB (1024 * MIB)
#define POOL_OF_LARGE 16u
#define POOL_OF_MEMORY_ONLY 8u

static size_t free_pages(int node, size_t page_bytes)
{
    return pool_count(node, page_bytes, "free_hugepages");
}

/* Every pool is as it was when the guest started. */
static void assert_pools_are_whole(void)
{
    assert_int_equal(pool_count(NODE_LARGE, HUGE_PAGE, "nr_hugepages"), POOL_OF_LARGE);
    assert_int_equal(free_pages(NODE_LARGE, HUGE_PAGE), POOL_OF_LARGE);
    assert_int_equal(pool_count(NODE_MIDDLE, HUGE_PAGE, "nr_hugepages"), 0);
    assert_int_equal(pool_count(NODE_MEMORY_ONLY, HUGE_PAGE, "nr_hugepages"), POOL_OF_MEMORY_ONLY);
    assert_int_equal(free_pages(NODE_MEMORY_ONLY, HUGE_PAGE), POOL_OF_MEMORY_ONLY);
    assert_int_equal(pool_count(NODE_SMALL, HUGE_PAGE, "nr_hugepages"), 0);
    assert_int_equal(pool_count(POOL_OF_MACHINE, HUGE_PAGE, "resv_hugepages"), 0);
    for (int node = NODE_LARGE; node <= NODE_MIDDLE; ++node) {
        assert_int_equal(pool_count(node, GIB, "nr_hugepages"), 1);
        assert_int_equal(free_pages(node, GIB), 1);
    }
}

static void assert_on_node(const struct arena *arena, int node, size_t page_bytes)
{
    /* One question for each small page would take an emulator long. */
    for (uintptr_t page = arena->begin; page < arena->end; page += page_bytes) {
        struct placement placement = placement_of((void *)page, PAGE);
        assert_int_equal(placement.on_node[node], 1);
    }
}

static void assert_warm_on(struct arena *arena, const struct warmup_report *report, int node,
                           size_t page_bytes)
{
    assert_int_equal(report->misplaced_bytes, 0);
    assert_granted(&report->bind);
    assert_granted(&report->lock);
    assert_int_equal(report->sizes_count, 1);
    assert_int_equal(report->sizes[0].page_bytes, page_bytes);
    assert_on_node(arena, node, page_bytes);
    assert_filling_takes_no_fault(arena);
    assert_int_equal(arena_verify(arena, &ARENA_VERIFY_OPTIONS(.mode = ARENA_VERIFY_EXACT), NULL),
                     0);
}

/* What came of an arena of 2 MiB pages on a node, a wish or a must. */
static int warm_bound(struct arena **arena, int node, enum warmup_wish bind, size_t pages,
                      enum warmup_wish wish, struct warmup_report *report)
{
    struct arena_options options =
        ARENA_OPTIONS(.capacity_bytes = pages * HUGE_PAGE, .hugetlb_2m = wish, .bind = bind,
                      .node = ARENA_NODE(node));
    *report = (struct warmup_report)WARMUP_REPORT_INIT;
    assert_int_equal(arena_create(arena, &options), 0);
    return arena_warmup(*arena, NULL, report);
}

static int warm(struct arena **arena, int node, size_t pages, enum warmup_wish wish,
                struct warmup_report *report)
{
    return warm_bound(arena, node, ARENA_PREFER, pages, wish, report);
}

static void each_node_serves_from_its_own_pool(void **state)
{
    static const struct {
        int node;
        size_t pages;
    } cases[] = {{NODE_LARGE, POOL_OF_LARGE}, {NODE_MEMORY_ONLY, POOL_OF_MEMORY_ONLY}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct warmup_report report;
        struct arena *arena;
        assert_int_equal(warm(&arena, cases[i].node, cases[i].pages, ARENA_REQUIRE, &report), 0);
        assert_granted(&report.hugetlb_2m.item);
        assert_int_equal(report.hugetlb_2m.node, cases[i].node);
        assert_int_equal(report.hugetlb_2m.available_count, cases[i].pages);
        assert_int_equal(free_pages(cases[i].node, HUGE_PAGE), 0);
        assert_warm_on(arena, &report, cases[i].node, HUGE_PAGE);
        arena_destroy(arena);
        assert_pools_are_whole();
    }
}

static void a_page_of_1_gib_is_had_on_each_node_that_has_one(void **state)
{
    (void)state;
    for (int node = NODE_LARGE; node <= NODE_MIDDLE; ++node) {
        struct warmup_report report;
        struct arena *arena =
            warm_arena(&ARENA_OPTIONS(.capacity_bytes = 1, .hugetlb_1g = ARENA_REQUIRE,
                                      .node = ARENA_NODE(node)),
                       &report);
        assert_granted(&report.hugetlb_1g.item);
        assert_int_equal(report.size_bytes, GIB);
        assert_int_equal(free_pages(node, GIB), 0);
        assert_warm_on(arena, &report, node, GIB);
        arena_destroy(arena);
        assert_pools_are_whole();
    }
}

/* --------------------------------------------------------------------------------- empty pools */

/* What everybody's code does: the pages of other nodes are promised, and the touch is the end. */
static void map_bind_and_touch(void *shared)
{
    unsigned long mask = 1ul << NODE_MIDDLE;
    volatile unsigned char *base =
        mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << 26, -1, 0);
    (void)shared;
    (void)signal(SIGBUS, SIG_DFL);
    if (base == MAP_FAILED || syscall(SYS_mbind, base, HUGE_PAGE, 2, &mask, 64ul, 0) != 0)
        return;
    *base = 1;
}

static void touching_pages_of_an_empty_pool_is_the_end(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(map_bind_and_touch, NULL), SIGBUS);
}

/* The pages are a must and the node is a wish: no pool is changed, and the report tells. */
static void required_pages_come_from_other_nodes_when_the_node_is_a_wish(void **state)
{
    static const struct {
        int node;
        size_t pages, at_home;
    } cases[] = {{NODE_MIDDLE, 4, 0}, {NODE_MEMORY_ONLY, POOL_OF_MEMORY_ONLY + 1, 8}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        size_t elsewhere = cases[i].pages - cases[i].at_home;
        struct warmup_report report;
        struct arena *arena;
        assert_int_equal(warm(&arena, cases[i].node, cases[i].pages, ARENA_REQUIRE, &report), 0);
        assert_granted(&report.hugetlb_2m.item);
        for (int again = 0; again < 2; ++again) {
            assert_int_equal(report.misplaced_bytes, elsewhere * HUGE_PAGE);
            assert_int_equal(report.bind.granted_bytes, cases[i].at_home * HUGE_PAGE);
            assert_int_equal(report.bind.error, -ENOMEM);
            assert_non_null(report.bind.remedy);
            assert_int_equal(report.proven, 1);
            assert_int_equal(report.sizes[0].page_bytes, HUGE_PAGE);
            assert_int_equal(pool_count(NODE_MIDDLE, HUGE_PAGE, "nr_hugepages"), 0);
            assert_int_equal(pool_count(NODE_LARGE, HUGE_PAGE, "nr_hugepages"), POOL_OF_LARGE);
            assert_filling_takes_no_fault(arena);
            assert_int_equal(
                arena_verify(arena, &ARENA_VERIFY_OPTIONS(.mode = ARENA_VERIFY_EXACT), NULL), 0);
            assert_int_equal(arena_rewarm(arena, NULL, &report), 0);
        }
        arena_destroy(arena);
        assert_pools_are_whole();
    }
}

static void a_node_whose_pool_is_empty_says_so_though_another_is_full(void **state)
{
    struct warmup_report report;
    struct arena *arena;
    (void)state;
    assert_int_equal(warm_bound(&arena, NODE_MIDDLE, ARENA_REQUIRE, 4, ARENA_REQUIRE, &report),
                     -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_POOL);
    assert_int_equal(report.hugetlb_2m.item.error, -ENOMEM);
    assert_int_equal(report.hugetlb_2m.node, NODE_MIDDLE);
    assert_int_equal(report.hugetlb_2m.needed_count, 4);
    assert_int_equal(report.hugetlb_2m.available_count, 0);
    assert_non_null(report.hugetlb_2m.item.remedy);
    assert_int_equal(report.populate.granted_bytes, 0);
    arena_destroy(arena);
    assert_int_equal(warm(&arena, NODE_MIDDLE, 4, ARENA_PREFER, &report), 0);
    assert_int_equal(report.hugetlb_2m.item.error, -ENOMEM);
    assert_granted(&report.huge_pages);
    assert_warm_on(arena, &report, NODE_MIDDLE, HUGE_PAGE);
    arena_destroy(arena);
    assert_pools_are_whole();
}

static void a_pool_that_has_some_of_the_pages_gives_none(void **state)
{
    struct warmup_report report;
    struct arena *arena;
    (void)state;
    assert_int_equal(warm_bound(&arena, NODE_MEMORY_ONLY, ARENA_REQUIRE, POOL_OF_MEMORY_ONLY + 1,
                                ARENA_REQUIRE, &report),
                     -ENOMEM);
    assert_int_equal(report.hugetlb_2m.node, NODE_MEMORY_ONLY);
    assert_int_equal(report.hugetlb_2m.needed_count, POOL_OF_MEMORY_ONLY + 1);
    assert_int_equal(report.hugetlb_2m.available_count, POOL_OF_MEMORY_ONLY);
    arena_destroy(arena);
    assert_pools_are_whole();
}

/* 1 GiB is on other nodes alone, and this one has too few of 2 MiB and too little memory: the
 * warmup of what is preferred ends with an error too, and with everything as it was. */
static void a_node_that_has_nothing_large_enough_is_an_error_and_no_loss(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena;
    (void)state;
    assert_int_equal(
        arena_create(&arena,
                     &ARENA_OPTIONS(.capacity_bytes = GIB, .hugetlb_1g = ARENA_PREFER,
                                    .bind = ARENA_REQUIRE, .node = ARENA_NODE(NODE_MEMORY_ONLY))),
        0);
    assert_int_equal(arena_warmup(arena, NULL, &report), -ENOMEM);
    assert_int_equal(report.hugetlb_1g.item.error, -ENOMEM);
    assert_int_equal(report.hugetlb_2m.item.error, -ENOMEM);
    assert_int_equal(report.bind.error, -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_NODE);
    arena_destroy(arena);
    assert_pools_are_whole();
}

static void an_arena_over_several_nodes_needs_its_share_on_each(void **state)
{
    static const unsigned with_pools[] = {NODE_LARGE, NODE_MEMORY_ONLY};
    static const unsigned one_without[] = {NODE_LARGE, NODE_MIDDLE};
    struct arena_options options =
        ARENA_OPTIONS(.capacity_bytes = 8 * HUGE_PAGE, .placement = ARENA_INTERLEAVE,
                      .nodes = with_pools, .nodes_count = 2, .hugetlb_2m = ARENA_REQUIRE);
    struct warmup_report report;
    struct arena *arena = warm_arena(&options, &report);
    (void)state;
    assert_int_equal(free_pages(NODE_LARGE, HUGE_PAGE), POOL_OF_LARGE - 4);
    assert_int_equal(free_pages(NODE_MEMORY_ONLY, HUGE_PAGE), POOL_OF_MEMORY_ONLY - 4);
    assert_int_equal(report.misplaced_bytes, 0);
    arena_destroy(arena);
    options.nodes = one_without;
    options.bind = ARENA_REQUIRE;
    report = (struct warmup_report)WARMUP_REPORT_INIT;
    assert_int_equal(arena_create(&arena, &options), 0);
    assert_int_equal(arena_warmup(arena, NULL, &report), -ENOMEM);
    assert_int_equal(report.hugetlb_2m.node, NODE_MIDDLE);
    assert_int_equal(report.hugetlb_2m.needed_count, 4);
    arena_destroy(arena);
    assert_pools_are_whole();
}

/* --------------------------------------------------------------------------------------- raised */

static void the_pool_of_a_node_is_raised_and_no_other(void **state)
{
    struct warmup_report report;
    struct arena *arena =
        warm_arena(&ARENA_OPTIONS(.capacity_bytes = 3 * HUGE_PAGE, .hugetlb_2m = ARENA_REQUIRE,
                                  .raise_pools = true, .node = ARENA_NODE(NODE_SMALL)),
                   &report);
    (void)state;
    assert_int_equal(report.hugetlb_2m.raised_count, 3);
    assert_int_equal(pool_count(NODE_SMALL, HUGE_PAGE, "nr_hugepages"), 3);
    assert_int_equal(pool_count(NODE_LARGE, HUGE_PAGE, "nr_hugepages"), POOL_OF_LARGE);
    assert_int_equal(pool_count(NODE_MEMORY_ONLY, HUGE_PAGE, "nr_hugepages"), POOL_OF_MEMORY_ONLY);
    assert_warm_on(arena, &report, NODE_SMALL, HUGE_PAGE);
    arena_destroy(arena);
    assert_pools_are_whole();
}

/* The small node has less memory than that. */
static void a_node_that_is_too_small_to_raise_its_pool_is_left_as_it_was(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    uint64_t kills_before = oom_kills();
    struct arena *arena;
    (void)state;
    assert_int_equal(
        arena_create(&arena,
                     &ARENA_OPTIONS(.capacity_bytes = 128 * MIB, .hugetlb_2m = ARENA_REQUIRE,
                                    .raise_pools = true, .node = ARENA_NODE(NODE_SMALL))),
        0);
    assert_int_equal(arena_warmup(arena, NULL, &report), -ENOMEM);
    assert_int_equal(report.hugetlb_2m.raise_error, -ENOMEM);
    assert_int_equal(report.hugetlb_2m.raised_count, 0);
    assert_int_equal(oom_kills(), kills_before);
    arena_destroy(arena);
    assert_pools_are_whole();
}

/* ---------------------------------------------------------------------------------------- moved */

static void reserved_pages_are_moved_to_another_node(void **state)
{
    struct warmup_report report;
    struct arena *arena;
    unsigned char *byte;
    (void)state;
    assert_int_equal(warm(&arena, NODE_LARGE, 4, ARENA_REQUIRE, &report), 0);
    byte = arena_alloc(arena, 1, 1);
    *byte = 9;
    report = (struct warmup_report)WARMUP_REPORT_INIT;
    assert_int_equal(arena_move(arena, NODE_MEMORY_ONLY, &report), 0);
    assert_int_equal(*byte, 9);
    arena_reset(arena);
    assert_warm_on(arena, &report, NODE_MEMORY_ONLY, HUGE_PAGE);
    arena_destroy(arena);
}

static void set_pool(int node, const char *pages)
{
    char path[128];
    (void)snprintf(path, sizeof path,
                   "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages", node);
    assert_true(write_file(path, pages));
}

/* As arena_move says: an administrator's pages take their places in the pools along, for good. */
static void moving_to_a_node_without_a_pool_moves_the_pool(void **state)
{
    struct warmup_report report;
    struct arena *arena;
    (void)state;
    assert_int_equal(warm(&arena, NODE_MEMORY_ONLY, 4, ARENA_REQUIRE, &report), 0);
    report = (struct warmup_report)WARMUP_REPORT_INIT;
    assert_int_equal(arena_move(arena, NODE_MIDDLE, &report), 0);
    assert_warm_on(arena, &report, NODE_MIDDLE, HUGE_PAGE);
    arena_destroy(arena);
    assert_int_equal(pool_count(NODE_MIDDLE, HUGE_PAGE, "nr_hugepages"), 4);
    assert_int_equal(free_pages(NODE_MIDDLE, HUGE_PAGE), 4);
    assert_int_equal(pool_count(NODE_MEMORY_ONLY, HUGE_PAGE, "nr_hugepages"),
                     POOL_OF_MEMORY_ONLY - 4);
    set_pool(NODE_MIDDLE, "0");
    set_pool(NODE_MEMORY_ONLY, "8");
    assert_pools_are_whole();
}

static void a_page_of_1_gib_stays_where_no_other_node_has_one(void **state)
{
    struct warmup_report report;
    struct arena *arena =
        warm_arena(&ARENA_OPTIONS(.capacity_bytes = 1, .hugetlb_1g = ARENA_REQUIRE,
                                  .node = ARENA_NODE(NODE_LARGE)),
                   &report);
    (void)state;
    report = (struct warmup_report)WARMUP_REPORT_INIT;
    assert_int_equal(arena_move(arena, NODE_MEMORY_ONLY, &report), -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_POOL);
    assert_int_equal(report.limit_needed_bytes, GIB);
    assert_int_equal(report.limit_free_bytes, 0);
    assert_int_equal(arena_verify(arena, NULL, &report), 0);
    assert_warm_on(arena, &report, NODE_LARGE, GIB);
    arena_destroy(arena);
    assert_pools_are_whole();
}

/* No node of the two has a pool, so the pages take their places along. */
static void pages_that_were_added_are_taken_away_where_they_are_by_then(void **state)
{
    struct warmup_report report;
    struct arena *arena =
        warm_arena(&ARENA_OPTIONS(.capacity_bytes = 3 * HUGE_PAGE, .hugetlb_2m = ARENA_REQUIRE,
                                  .raise_pools = true, .node = ARENA_NODE(NODE_MIDDLE)),
                   &report);
    (void)state;
    assert_int_equal(pool_count(NODE_MIDDLE, HUGE_PAGE, "nr_hugepages"), 3);
    report = (struct warmup_report)WARMUP_REPORT_INIT;
    assert_int_equal(arena_move(arena, NODE_SMALL, &report), 0);
    assert_warm_on(arena, &report, NODE_SMALL, HUGE_PAGE);
    arena_destroy(arena);
    assert_pools_are_whole();
}

/* ------------------------------------------------------------------------------ control groups */

#define GROUP "/sys/fs/cgroup/limited"

struct limited {
    bool entered;
    int required, preferred;
    struct warmup_report of_required, of_preferred;
    bool plan_works;
};

static void warm_in_group(void *shared)
{
    struct limited *limited = shared;
    struct machine_audit *audit;
    struct arena *arena;
    char process[32];
    (void)snprintf(process, sizeof process, "%d", (int)getpid());
    limited->entered = write_file(GROUP "/cgroup.procs", process);
    limited->required = warm(&arena, NODE_LARGE, 4, ARENA_REQUIRE, &limited->of_required);
    arena_destroy(arena);
    limited->preferred = warm(&arena, NODE_LARGE, 4, ARENA_PREFER, &limited->of_preferred);
    arena_destroy(arena);
    limited->plan_works = true;
    if (machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.plan_bytes = 4 * HUGE_PAGE,
                                                            .plan_huge_bytes = HUGE_PAGE,
                                                            .plan_node = MACHINE_NODE(0))) == 0)
        limited->plan_works = machine_audit_plan_works(audit);
    machine_audit_destroy(audit);
}

static void a_limit_of_the_control_group_is_seen_before_the_first_page(void **state)
{
    static const char *const limits[] = {GROUP "/hugetlb.2MB.max", GROUP "/hugetlb.2MB.rsvd.max"};
    (void)state;
    assert_true(write_file("/sys/fs/cgroup/cgroup.subtree_control", "+hugetlb"));
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; ++i) {
        struct limited *limited = shared_create(sizeof *limited);
        (void)mkdir(GROUP, 0755);
        assert_true(write_file(limits[i], "4194304"));
        assert_int_equal(run_in_child(warm_in_group, limited), 0);
        assert_int_equal(rmdir(GROUP), 0);
        assert_true(limited->entered);
        assert_int_equal(limited->required, -ENOMEM);
        assert_int_equal(limited->of_required.limit, WARMUP_LIMIT_HUGETLB);
        assert_int_equal(limited->of_required.hugetlb_2m.needed_count, 4);
        assert_int_equal(limited->of_required.hugetlb_2m.available_count, 2);
        assert_int_equal(limited->preferred, 0);
        assert_int_equal(limited->of_preferred.hugetlb_2m.item.error, -ENOMEM);
        assert_granted(&limited->of_preferred.huge_pages);
        assert_false(limited->plan_works);
        shared_destroy(limited, sizeof *limited);
    }
    assert_pools_are_whole();
}

int test_pools(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_node_serves_from_its_own_pool),
        cmocka_unit_test(a_page_of_1_gib_is_had_on_each_node_that_has_one),
        cmocka_unit_test(touching_pages_of_an_empty_pool_is_the_end),
        cmocka_unit_test(required_pages_come_from_other_nodes_when_the_node_is_a_wish),
        cmocka_unit_test(a_node_whose_pool_is_empty_says_so_though_another_is_full),
        cmocka_unit_test(a_pool_that_has_some_of_the_pages_gives_none),
        cmocka_unit_test(a_node_that_has_nothing_large_enough_is_an_error_and_no_loss),
        cmocka_unit_test(an_arena_over_several_nodes_needs_its_share_on_each),
        cmocka_unit_test(the_pool_of_a_node_is_raised_and_no_other),
        cmocka_unit_test(a_node_that_is_too_small_to_raise_its_pool_is_left_as_it_was),
        cmocka_unit_test(a_limit_of_the_control_group_is_seen_before_the_first_page),
        cmocka_unit_test(reserved_pages_are_moved_to_another_node),
        cmocka_unit_test(moving_to_a_node_without_a_pool_moves_the_pool),
        cmocka_unit_test(a_page_of_1_gib_stays_where_no_other_node_has_one),
        cmocka_unit_test(pages_that_were_added_are_taken_away_where_they_are_by_then),
    };
    return cmocka_run_group_tests_name("pools", tests, NULL, NULL);
}
