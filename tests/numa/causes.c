/*
 * Causes of page faults that only several nodes can show, provoked and named. NUMA hints are in
 * balancing.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "numa/numa.h"

#define BYTES (2 * MIB)
#define PAGES (BYTES / PAGE)
#define SECONDS_MAX 30

/* One thread moves the arena to and fro, another one writes to it. */
struct moving {
    unsigned char *base;
    bool stop;    /* asked of the mover */
    bool stopped; /* and done */
    uint64_t moved_pages;
    bool described;
    struct hot_violation violation;
    struct hot_description description;
};

static struct moving moving;

static void move_to(int node)
{
    static void *pages[PAGES];
    static int nodes[PAGES];
    static int results[PAGES];
    for (size_t i = 0; i < PAGES; ++i) {
        pages[i] = moving.base + i * PAGE;
        nodes[i] = node;
    }
    if (syscall(SYS_move_pages, 0, PAGES, pages, nodes, results, MPOL_MF_MOVE) >= 0)
        moving.moved_pages += PAGES;
}

static void *move_to_and_fro(void *context)
{
    static const int nodes[] = {NODE_LARGE, NODE_MIDDLE};
    (void)context;
    pin_to_cpu(CPU_OF_LARGE);
    for (size_t round = 0; !__atomic_load_n(&moving.stop, __ATOMIC_ACQUIRE); ++round)
        move_to(nodes[round % 2]);
    __atomic_store_n(&moving.stopped, true, __ATOMIC_RELEASE);
    return NULL;
}

static void stop_moving(void)
{
    __atomic_store_n(&moving.stop, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&moving.stopped, __ATOMIC_ACQUIRE))
        (void)sched_yield();
}

/* A page under way is not there; what is asked is what is said once all have arrived. */
static void name_fault(const struct hot_violation *violation, void *context)
{
    (void)context;
    if (moving.described || violation->address < (uintptr_t)moving.base ||
        violation->address >= (uintptr_t)moving.base + BYTES)
        return;
    stop_moving();
    moving.violation = *violation;
    moving.description = (struct hot_description)HOT_DESCRIPTION_INIT;
    moving.described = hot_violation_describe(violation, &moving.description) == 0;
}

static bool has_evidence(const struct hot_description *description, const char *part)
{
    bool found = false;
    for (size_t i = 0; i < description->evidence_count; ++i)
        found |= strstr(description->evidence[i], part) != NULL;
    return found;
}

static void write_until_described(void)
{
    static struct hot_section section =
        HOT_SECTION("moving", .policy = HOT_CALLBACK, .hook = name_fault);
    time_t deadline = time(NULL) + SECONDS_MAX;
    while (!moving.described && time(NULL) < deadline) {
        hot_section_begin(&section);
        for (size_t i = 0; i < PAGES; ++i)
            *(volatile unsigned char *)(moving.base + i * PAGE) = 1;
        (void)hot_section_end(&section);
    }
}

static void a_page_on_its_way_to_another_node_is_named(void **state)
{
    struct arena_options options =
        ARENA_OPTIONS(.name = "moving", .capacity_bytes = BYTES, .node = ARENA_NODE(NODE_LARGE));
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena = warm_arena(&options, &report);
    pthread_t mover;
    (void)state;
    memset(&moving, 0, sizeof moving);
    moving.base = arena_alloc(arena, BYTES, PAGE);
    assert_non_null(moving.base);
    pin_to_cpu(CPU_OF_MIDDLE);
    hot_thread_detach(); /* so that the kernel's counters are compared with now */
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING), NULL), 0);
    assert_int_equal(pthread_create(&mover, NULL, move_to_and_fro, NULL), 0);

    write_until_described();

    stop_moving();
    assert_int_equal(pthread_join(mover, NULL), 0);
    hot_thread_detach();
    assert_true(moving.moved_pages > 0);
    assert_true(moving.described);
    assert_int_equal(moving.description.cause, HOT_CAUSE_MOVED);
    assert_int_equal(moving.description.place, HOT_PLACE_ARENA_LIVE);
    assert_true(has_evidence(&moving.description, "pages migrated"));
    arena_destroy(arena);
}

int test_causes(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_on_its_way_to_another_node_is_named),
    };
    return cmocka_run_group_tests_name("causes", tests, NULL, NULL);
}
