/*
 * What a fork does to arenas on other nodes: nothing, unless they are inherited, and then a second
 * warmup mends them where they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "numa/numa.h"
#include "support/child.h"
#include "support/pages.h"

#define ARENA_BYTES (16 * MIB)

static struct arena *arena_with(enum warmup_fork fork, struct warmup_report *report)
{
    return warm_arena(&ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .fork = fork,
                                     .node = ARENA_NODE(NODE_MEMORY_ONLY)),
                      report);
}

static void do_nothing(void *context)
{
    (void)context;
}

static void plain_memory_faults_after_a_fork(void **state)
{
    void *plain = plain_create(ARENA_BYTES);
    int child;
    (void)state;
    (void)faults_of_writing(plain, ARENA_BYTES);
    child = companion_start(do_nothing, NULL);
    assert_int_equal(faults_of_writing(plain, ARENA_BYTES), ARENA_BYTES / PAGE);
    companion_end(child);
    plain_destroy(plain, ARENA_BYTES);
}

static void an_arena_does_not_fault_after_a_fork(void **state)
{
    static const enum warmup_fork kinds[] = {WARMUP_FORK_EXCLUDE, WARMUP_FORK_WIPE};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i) {
        struct warmup_report report;
        struct arena *arena = arena_with(kinds[i], &report);
        int child = companion_start(do_nothing, NULL);
        assert_granted(&report.fork);
        assert_filling_takes_no_fault(arena);
        companion_end(child);
        assert_filling_takes_no_fault(arena);
        assert_all_on_node(arena, NODE_MEMORY_ONLY);
        arena_destroy(arena);
    }
}

/* What a child finds at an address. */
struct found {
    const unsigned char *address;
    bool mapped;
    unsigned char content;
};

static void look(void *shared)
{
    struct found *found = shared;
    found->mapped = is_mapped(found->address);
    found->content = found->mapped ? *found->address : 0;
}

static struct found child_finds(enum warmup_fork fork)
{
    struct found *shared = shared_create(sizeof *shared);
    struct warmup_report report;
    struct arena *arena = arena_with(fork, &report);
    unsigned char *byte = arena_alloc(arena, 1, 1);
    struct found found;
    *byte = 7;
    shared->address = byte;
    assert_int_equal(run_in_child(look, shared), 0);
    found = *shared;
    arena_destroy(arena);
    shared_destroy(shared, sizeof *shared);
    return found;
}

static void a_child_finds_what_the_arena_says(void **state)
{
    struct found found = child_finds(WARMUP_FORK_EXCLUDE);
    (void)state;
    assert_false(found.mapped);
    found = child_finds(WARMUP_FORK_WIPE);
    assert_true(found.mapped);
    assert_int_equal(found.content, 0);
    found = child_finds(WARMUP_FORK_INHERIT);
    assert_true(found.mapped);
    assert_int_equal(found.content, 7);
}

static void a_second_warmup_mends_an_inherited_arena_on_its_node(void **state)
{
    struct warmup_report report;
    struct arena *arena = arena_with(WARMUP_FORK_INHERIT, &report);
    int child = companion_start(do_nothing, NULL);
    (void)state;
    report = (struct warmup_report)WARMUP_REPORT_INIT;
    assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
    assert_int_equal(report.forks, 1);
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    assert_int_equal(report.proven, 1);
    assert_true(report.faults_minor >= ARENA_BYTES / PAGE);
    assert_int_equal(arena_verify(arena, NULL, &report), 0);
    assert_filling_takes_no_fault(arena);
    companion_end(child);
    assert_filling_takes_no_fault(arena);
    assert_all_on_node(arena, NODE_MEMORY_ONLY);
    arena_destroy(arena);
}

int test_fork(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_memory_faults_after_a_fork),
        cmocka_unit_test(an_arena_does_not_fault_after_a_fork),
        cmocka_unit_test(a_child_finds_what_the_arena_says),
        cmocka_unit_test(a_second_warmup_mends_an_inherited_arena_on_its_node),
    };
    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
