/*
 * NUMA balancing unmaps pages of a running program to learn which node uses them, and each such
 * page is a fault. An arena is never part of that, since it has a policy of its own; plain memory
 * is, also when it is locked.
 *
 * The kernel walks over the address space of a busy thread at times of its own choice. So the
 * threads work on both memories until all of the plain one was hinted at, which shows that the
 * walk has come past the arena too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <time.h>

#include "numa/numa.h"
#include "support/child.h"
#include "support/pages.h"

#define BYTES (8 * MIB)
#define SECONDS_MAX 60
#define DESCRIBED_MAX 20

/* Where the walk's pace is set: debugfs since 5.13, sysctl before. */
static bool set_pace(const char *name, const char *milliseconds)
{
    static const char *const places[] = {"/sys/kernel/debug/sched/numa_balancing/",
                                         "/proc/sys/kernel/numa_balancing_"};
    bool set = false;
    for (size_t i = 0; !set && i < sizeof places / sizeof places[0]; ++i) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s%s_ms", places[i], name);
        set = write_file(path, milliseconds);
    }
    return set;
}

static int quicken(void **state)
{
    bool quick = set_pace("scan_delay", "10") && set_pace("scan_period_min", "10") &&
                 set_pace("scan_period_max", "20");
    (void)state;
    return quick && set_balancing(true) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    return set_balancing(false) ? 0 : -1;
}

/* What the threads share. */
struct work {
    void *plain;
    void *arena;
    struct arena_options options; /* of the arena */
    uint64_t plain_faults;
    uint64_t arena_faults;
    uint64_t described; /* faults of the plain memory, some of them */
    uint64_t hints;     /* of those, named as such */
    uint64_t rounds;
    int guarded_threads;
    struct placement placement; /* of the arena, at the end */
    int warmed;
};

static double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Told of each fault in the hot section: a hint fault on the thread's own stack or code, which
 * plain memory is too, is none of the arena's. */
static void note_fault(const struct hot_violation *violation, void *context)
{
    struct work *work = context;
    uintptr_t start = (uintptr_t)work->arena;
    if (violation->address == 0 ||
        (violation->address >= start && violation->address < start + BYTES))
        __atomic_fetch_add(&work->arena_faults, 1, __ATOMIC_RELAXED);
}

/* Told of each fault on the plain memory. Describing takes a while, so a few have to do. */
static void name_fault(const struct hot_violation *violation, void *context)
{
    struct work *work = context;
    uintptr_t start = (uintptr_t)work->plain;
    struct hot_description description = HOT_DESCRIPTION_INIT;
    if (violation->address < start || violation->address >= start + BYTES ||
        __atomic_fetch_add(&work->described, 1, __ATOMIC_RELAXED) >= DESCRIBED_MAX ||
        hot_violation_describe(violation, &description) != 0)
        return;
    __atomic_fetch_add(&work->hints, description.cause == HOT_CAUSE_NUMA_HINT, __ATOMIC_RELAXED);
}

/* Both memories in turn, by a thread whose faults are known by their addresses. */
static void write_both(struct hot_section *arena, struct hot_section *plain, struct work *work)
{
    uint64_t faults;
    hot_section_begin(arena);
    (void)faults_of_writing(work->arena, BYTES);
    (void)hot_section_end(arena);
    hot_section_begin(plain);
    faults = faults_of_writing(work->plain, BYTES);
    (void)hot_section_end(plain);
    __atomic_fetch_add(&work->plain_faults, faults, __ATOMIC_RELAXED);
}

static void *work_and_move(void *context)
{
    static const int cpus[] = {CPU_OF_LARGE, CPU_OF_MIDDLE, CPU_OF_MEMORYLESS};
    static struct hot_section arena = HOT_SECTION("arena", .policy = HOT_CALLBACK);
    static struct hot_section plain = HOT_SECTION("plain", .policy = HOT_CALLBACK);
    struct work *work = context;
    double deadline = seconds_now() + SECONDS_MAX;
    arena.hook = note_fault;
    plain.hook = name_fault;
    arena.hook_context = plain.hook_context = work;
    if (hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING), NULL) != 0)
        return NULL;
    __atomic_fetch_add(&work->guarded_threads, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&work->plain_faults, __ATOMIC_RELAXED) < BYTES / PAGE &&
           seconds_now() < deadline) {
        uint64_t round = __atomic_fetch_add(&work->rounds, 1, __ATOMIC_RELAXED);
        pin_to_cpu(cpus[round % (sizeof cpus / sizeof cpus[0])]);
        write_both(&arena, &plain, work);
    }
    hot_thread_detach();
    return NULL;
}

/* A process of its own, because the pace is taken over when one begins. */
static void work_in_two_threads(void *shared)
{
    struct work *work = shared;
    struct arena *arena;
    pthread_t thread;
    pin_to_cpu(CPU_OF_MIDDLE);
    work->plain = plain_create(BYTES);
    if (mlock(work->plain, BYTES) != 0 || arena_create(&arena, &work->options) != 0)
        return;
    work->warmed = arena_warmup(arena, NULL, NULL) == 0;
    work->arena = (void *)arena->begin;
    if (!work->warmed || pthread_create(&thread, NULL, work_and_move, work) != 0)
        return;
    (void)work_and_move(work);
    (void)pthread_join(thread, NULL);
    work->placement = placement_of(work->arena, BYTES);
}

/* Returns where the arena's pages are at the end. */
static struct placement assert_only_plain_memory_is_hinted_at(const struct arena_options *options)
{
    struct work *work = shared_create(sizeof *work);
    struct placement placement;
    work->options = *options;
    assert_int_equal(run_in_child(work_in_two_threads, work), 0);
    assert_true(work->warmed);
    assert_int_equal(work->guarded_threads, 2);
    assert_true(work->plain_faults >= BYTES / PAGE);
    assert_int_equal(work->arena_faults, 0);
    assert_true(work->described > 0);
    assert_int_equal(work->hints, MIN(work->described, DESCRIBED_MAX));
    placement = work->placement;
    shared_destroy(work, sizeof *work);
    return placement;
}

/* The default: local to the thread that warms it up. */
static void moving_threads_take_no_hint_fault_on_a_local_arena(void **state)
{
    struct placement placement =
        assert_only_plain_memory_is_hinted_at(&ARENA_OPTIONS(.capacity_bytes = BYTES));
    (void)state;
    assert_int_equal(placement.on_node[NODE_MIDDLE], BYTES / PAGE);
}

static void nor_on_one_that_is_on_a_node_of_memory_alone(void **state)
{
    struct placement placement = assert_only_plain_memory_is_hinted_at(
        &ARENA_OPTIONS(.capacity_bytes = BYTES, .node = ARENA_NODE(NODE_MEMORY_ONLY)));
    (void)state;
    assert_int_equal(placement.on_node[NODE_MEMORY_ONLY], BYTES / PAGE);
}

static void nor_on_one_that_is_spread_over_nodes(void **state)
{
    static const unsigned nodes[] = {NODE_LARGE, NODE_MIDDLE};
    struct placement placement = assert_only_plain_memory_is_hinted_at(
        &ARENA_OPTIONS(.capacity_bytes = BYTES, .placement = ARENA_INTERLEAVE, .nodes = nodes,
                       .nodes_count = 2));
    (void)state;
    assert_int_equal(placement.on_node[NODE_LARGE], BYTES / PAGE / 2);
    assert_int_equal(placement.on_node[NODE_MIDDLE], BYTES / PAGE / 2);
}

int test_balancing(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moving_threads_take_no_hint_fault_on_a_local_arena),
        cmocka_unit_test(nor_on_one_that_is_on_a_node_of_memory_alone),
        cmocka_unit_test(nor_on_one_that_is_spread_over_nodes),
    };
    return cmocka_run_group_tests_name("balancing", tests, quicken, stop);
}
