/*
 * A node that has too little memory harms nobody: neither the process that asks for more, nor one
 * that happens to be there.
 *
 * Binding strictly to such a node and touching would end in the OOM killer on every kernel, and it
 * picks its victim by size, not by node. So all of this runs beside a bystander, and what asks is a
 * child, whose death a test survives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>

#include "numa/numa.h"
#include "support/child.h"
#include "support/pages.h"

/* More than the small node has at all. */
#define TOO_LARGE_BYTES (128 * MIB)

/* What a process that asked for too much lives to tell. */
struct asked {
    size_t capacity_bytes;
    int node;
    enum warmup_wish bind;
    enum warmup_wish huge_pages;
    int result; /* of arena_create or arena_warmup */
    struct warmup_report report;
    struct placement placement;
    uint64_t faults;
};

static void ask(void *shared)
{
    struct asked *asked = shared;
    struct arena_options options =
        ARENA_OPTIONS(.capacity_bytes = asked->capacity_bytes, .bind = asked->bind,
                      .huge_pages = asked->huge_pages, .node = ARENA_NODE(asked->node));
    struct arena *arena;
    asked->report = (struct warmup_report)WARMUP_REPORT_INIT;
    asked->result = arena_create(&arena, &options);
    if (asked->result == 0)
        asked->result = arena_warmup(arena, NULL, &asked->report);
    if (asked->result == 0) {
        asked->faults = faults_of_writing((void *)arena->begin, asked->capacity_bytes);
        asked->placement = placement_of((void *)arena->begin, asked->capacity_bytes);
    }
}

/* The largest process of the guest, on another node than the one that is too small. */
static void stand_by(void *context)
{
    size_t size_bytes = 500 * MIB;
    void *plain = plain_create(size_bytes);
    (void)context;
    pin_to_cpu(CPU_OF_LARGE);
    (void)madvise(plain, size_bytes, MADV_HUGEPAGE);
    (void)faults_of_writing(plain, size_bytes);
}

static int bystander;

static int start_bystander(void **state)
{
    (void)state;
    bystander = companion_start(stand_by, NULL);
    return 0;
}

static int end_bystander(void **state)
{
    (void)state;
    companion_end(bystander);
    return 0;
}

/* Assert that whoever asks lives, and the bystander too. */
static void ask_and_live(struct asked *asked)
{
    uint64_t kills_before = oom_kills();
    assert_int_equal(run_in_child(ask, asked), 0);
    assert_true(companion_is_alive(bystander));
    assert_int_equal(oom_kills(), kills_before);
}

/* A preferred node gives what it has, and the rest comes from others. */
static void assert_spilled(const struct asked *asked)
{
    const struct placement *placement = &asked->placement;
    size_t pages = 0;
    for (int node = 0; node < NODE_END; ++node) {
        print_message("node %d: %zu pages\n", node, placement->on_node[node]);
        pages += placement->on_node[node];
    }
    assert_int_equal(asked->result, 0);
    assert_int_equal(asked->report.proven, 1);
    assert_int_equal(asked->faults, 0);
    assert_int_equal(placement->missing, 0);
    assert_int_equal(pages, asked->capacity_bytes / PAGE);
    assert_true(placement->on_node[asked->node] > 0);
    assert_true(placement->on_node[asked->node] < pages);
}

static void a_preferred_node_that_is_too_small_spills(void **state)
{
    struct asked *asked = shared_create(sizeof *asked);
    (void)state;
    asked->capacity_bytes = TOO_LARGE_BYTES;
    asked->node = NODE_SMALL;
    asked->bind = ARENA_PREFER;
    ask_and_live(asked);
    assert_spilled(asked);
    shared_destroy(asked, sizeof *asked);
}

static void a_preferred_node_that_is_too_small_for_huge_pages_spills(void **state)
{
    struct asked *asked = shared_create(sizeof *asked);
    (void)state;
    asked->capacity_bytes = TOO_LARGE_BYTES;
    asked->node = NODE_SMALL;
    asked->bind = ARENA_PREFER;
    asked->huge_pages = ARENA_PREFER;
    ask_and_live(asked);
    assert_spilled(asked);
    shared_destroy(asked, sizeof *asked);
}

/* ------------------------------------------------------------------------- filled by somebody else
 */

static void fill_most_of_a_node(void *context)
{
    struct asked asked = {
        .capacity_bytes = 192 * MIB, .node = NODE_MEMORY_ONLY, .huge_pages = ARENA_PREFER};
    (void)context;
    ask(&asked);
}

static void a_preferred_node_that_somebody_else_has_filled_spills(void **state)
{
    struct asked *asked = shared_create(sizeof *asked);
    int other = companion_start(fill_most_of_a_node, NULL);
    (void)state;
    asked->capacity_bytes = TOO_LARGE_BYTES;
    asked->node = NODE_MEMORY_ONLY;
    asked->bind = ARENA_PREFER;
    ask_and_live(asked);
    assert_spilled(asked);
    companion_end(other);
    shared_destroy(asked, sizeof *asked);
}

/* ---------------------------------------------------------------------------------- required nodes
 */

/* A required node that is too small is an error with the node's own numbers. */
static void assert_outcome_of_require(const struct asked *asked)
{
    assert_int_equal(asked->result, -ENOMEM);
    assert_int_equal(asked->report.bind.error, -ENOMEM);
    assert_int_equal(asked->report.limit, WARMUP_LIMIT_NODE);
    assert_true(asked->report.limit_needed_bytes > asked->report.limit_free_bytes);
    assert_in_range(asked->report.limit_free_bytes, MIB, 96 * MIB); /* the node's own */
    assert_int_equal(asked->report.populate.granted_bytes, 0);
}

static void a_required_node_that_is_too_small_kills_nobody(void **state)
{
    struct asked *asked = shared_create(sizeof *asked);
    (void)state;
    asked->capacity_bytes = TOO_LARGE_BYTES;
    asked->node = NODE_SMALL;
    asked->bind = ARENA_REQUIRE;
    ask_and_live(asked);
    assert_outcome_of_require(asked);
    shared_destroy(asked, sizeof *asked);
}

/* More than all nodes together is refused before the first page, whatever the node. */
static void more_than_the_machine_has_is_refused(void **state)
{
    struct asked *asked = shared_create(sizeof *asked);
    (void)state;
    asked->capacity_bytes = 4096 * MIB;
    asked->node = NODE_LARGE;
    asked->bind = ARENA_PREFER;
    ask_and_live(asked);
    assert_int_equal(asked->result, -ENOMEM);
    shared_destroy(asked, sizeof *asked);
}

int test_too_small(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_preferred_node_that_is_too_small_spills),
        cmocka_unit_test(a_preferred_node_that_is_too_small_for_huge_pages_spills),
        cmocka_unit_test(a_preferred_node_that_somebody_else_has_filled_spills),
        cmocka_unit_test(a_required_node_that_is_too_small_kills_nobody),
        cmocka_unit_test(more_than_the_machine_has_is_refused),
    };
    return cmocka_run_group_tests_name("too small", tests, start_bystander, end_bystander);
}
