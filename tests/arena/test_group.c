/*
 * Groups: threads carve from the part of their own CPU, without a lock, without a fault, and never
 * the same byte twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <zerofault/group.h>
#include <zerofault/hot.h>

#include "arena/registry.h"
#include "machine/nodes.h"
#include "support/child.h"
#include "support/needs.h"
#include "support/pages.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define THREADS 4

static struct arena_group *create(const struct arena_group_options *options)
{
    struct arena_group *group = NULL;
    assert_int_equal(arena_group_create(&group, options), 0);
    assert_non_null(group);
    return group;
}

/* ------------------------------------------------------------------------------------- creation */

static void bad_options_are_refused_and_leave_nothing(void **state)
{
    static const unsigned gap[] = {0, 2};
    static const unsigned high[] = {ARENA_GROUP_PARTS_MAX};
    static const unsigned absent[] = {0, 900};
    char name[ARENA_NAME_MAX];
    struct arena_group *group = (struct arena_group *)1;
    (void)state;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(arena_group_create(NULL, &ARENA_GROUP_OPTIONS(.capacity_bytes = MIB)),
                     -EINVAL);
    assert_int_equal(arena_group_create(&group, NULL), -EINVAL);
    assert_null(group);
    assert_int_equal(arena_group_create(&group, &ARENA_GROUP_OPTIONS(.name = "g")), -EINVAL);
    assert_int_equal(arena_group_create(&group, &ARENA_GROUP_OPTIONS(.capacity_bytes = 64)),
                     -EINVAL);
    assert_int_equal(
        arena_group_create(&group, &ARENA_GROUP_OPTIONS(.capacity_bytes = MIB, .name = name)),
        -EINVAL);
    assert_int_equal(
        arena_group_create(&group, &ARENA_GROUP_OPTIONS(.capacity_bytes = MIB, .part_of_cpu = gap,
                                                        .cpus_count = 2)),
        -EINVAL);
    assert_int_equal(
        arena_group_create(&group, &ARENA_GROUP_OPTIONS(.capacity_bytes = MIB, .part_of_cpu = high,
                                                        .cpus_count = 1)),
        -EINVAL);
    assert_int_equal(arena_group_create(
                         &group, &ARENA_GROUP_OPTIONS(.capacity_bytes = MIB, .part_of_cpu = high)),
                     -EINVAL);
    assert_int_equal(
        arena_group_create(&group, &ARENA_GROUP_OPTIONS(.capacity_bytes = MIB, .nodes = absent)),
        -EINVAL);
    assert_int_equal(
        arena_group_create(
            &group, &ARENA_GROUP_OPTIONS(.capacity_bytes = MIB, .nodes = absent, .nodes_count = 2)),
        -ENODEV);
    assert_null(group);
    arena_group_destroy(NULL);
    assert_int_equal(arena_group_warmup(NULL, NULL, NULL, 0), -EINVAL);
}

static void without_wishes_there_is_a_part_on_each_node_with_cpus_and_memory(void **state)
{
    struct arena_group *group = create(&ARENA_GROUP_OPTIONS(.name = "g", .capacity_bytes = MIB));
    struct zf_node_set memory = {{0}}, cpus = {{0}};
    size_t count = 0;
    (void)state;
    need("nodes told", zf_nodes_usable("", &memory) == 0 && zf_nodes_with_cpus("", &cpus) == 0,
         "the kernel tells no nodes");
    for (int node = zf_node_set_next(&memory, 0); node >= 0;
         node = zf_node_set_next(&memory, node + 1)) {
        if (!zf_node_set_holds(&cpus, node))
            continue;
        assert_non_null(arena_group_at(group, count));
        assert_int_equal(arena_group_at(group, count)->node, node);
        assert_int_equal(arena_group_at(group, count)->number, count);
        ++count;
    }
    assert_int_equal(arena_group_parts_count(group), count);
    assert_null(arena_group_at(group, count));
    arena_group_destroy(group);
}

/* -------------------------------------------------------------------------------------- carving */

static void a_part_is_carved_to_its_last_byte_and_then_refuses(void **state)
{
    struct arena_group *group = create(&ARENA_GROUP_OPTIONS(.capacity_bytes = 2 * PAGE));
    struct arena_group_part *part = arena_group_at(group, 0);
    unsigned char *first = arena_group_carve(part, 100, 64);
    unsigned char *second = arena_group_carve(part, 1, 4096);
    (void)state;
    assert_non_null(first);
    assert_int_equal((uintptr_t)first % 64, 0);
    assert_int_equal((uintptr_t)second, part->end - PAGE);
    assert_null(arena_group_carve(part, PAGE, 1));
    assert_null(arena_group_carve(part, 1, 3));
    assert_null(arena_group_carve(part, 1, 0));
    assert_null(arena_group_carve(part, SIZE_MAX, 1));
    assert_int_equal(part->refused_count, 4);
    assert_non_null(arena_group_carve(part, PAGE - 1, 1));
    assert_null(arena_group_carve(part, 1, 1));
    arena_group_reset(group);
    assert_ptr_equal(arena_group_carve(part, 100, 64), first);
    arena_group_destroy(group);
}

static void an_arena_that_was_carved_is_an_arena(void **state)
{
    struct arena_group *group = create(&ARENA_GROUP_OPTIONS(.name = "g", .capacity_bytes = MIB));
    struct arena_group_part *part = arena_group_at(group, 0);
    struct arena *arena, *other;
    struct arena_statistics stats = ARENA_STATISTICS_INIT;
    (void)state;
    assert_int_equal(arena_group_warmup(group, NULL, NULL, 0), 0);
    arena = arena_group_arena(part, 1000);
    other = arena_group_arena(part, 1000);
    assert_non_null(arena);
    assert_true(other->begin >= arena->end);
    assert_non_null(arena_alloc(arena, 1000, 1));
    assert_null(arena_alloc(arena, 1, 1));
    assert_int_equal(arena_stats(arena, &stats), 0);
    assert_int_equal(stats.capacity_bytes, 1000);
    assert_int_equal(stats.used_bytes, 1000);
    assert_int_equal(stats.warm_bytes, 1000);
    assert_int_equal(stats.refused_count, 1);
    assert_string_equal(arena_name(arena), "g.0");
    arena_reset(arena);
    assert_int_equal(arena_free_bytes(arena), 1000);
    assert_int_equal(arena_warmup(arena, NULL, NULL), -EINVAL);
    assert_int_equal(arena_verify(arena, NULL, NULL), -EINVAL);
    assert_int_equal(arena_rewarm(arena, NULL, NULL), -EINVAL);
    assert_int_equal(arena_move(arena, 0, NULL), -EINVAL);
    arena_destroy(arena);
    assert_non_null(arena_alloc(arena, 1, 1));
    assert_null(arena_group_arena(part, MIB));
    assert_null(arena_group_arena(part, SIZE_MAX));
    arena_group_destroy(group);
}

static void what_was_carved_is_known_as_handed_out(void **state)
{
    struct arena_group *group = create(&ARENA_GROUP_OPTIONS(.name = "g", .capacity_bytes = MIB));
    struct arena_group_part *part = arena_group_at(group, 0);
    struct zf_registry_facts facts;
    uintptr_t carved;
    (void)state;
    assert_int_equal(arena_group_warmup(group, NULL, NULL, 0), 0);
    carved = (uintptr_t)arena_group_carve(part, 50000, 1);
    assert_true(zf_registry_ask(carved, &facts));
    assert_true(facts.used_known);
    assert_int_equal(facts.used_bytes, carved + 50000 - facts.begin);
    arena_group_reset(group);
    assert_true(zf_registry_ask(carved, &facts));
    assert_int_equal(facts.used_bytes, carved - facts.begin);
    arena_group_destroy(group);
}

/* What a thread carved, chunk by chunk. */
struct carver {
    pthread_t thread;
    struct arena_group *group;
    uintptr_t sum; /* of all words written, read back */
    size_t chunks;
    uint64_t faults;
    bool spoiled;
};

#define CHUNK_BYTES 192

static void *carve_all(void *context)
{
    static struct hot_section section = HOT_SECTION("carve", .policy = HOT_COUNT);
    struct carver *carver = context;
    uintptr_t *chunk, *last = NULL;
    hot_section_begin(&section);
    while ((chunk = arena_group_carve(arena_group_mine(carver->group), CHUNK_BYTES, 64)) != NULL) {
        for (size_t word = 2; word < CHUNK_BYTES / sizeof *chunk; ++word)
            chunk[word] = (uintptr_t)carver;
        chunk[0] = (uintptr_t)carver;
        chunk[1] = (uintptr_t)last;
        last = chunk;
        ++carver->chunks;
    }
    carver->faults = hot_section_end(&section);
    /* What this thread has written is still there: nobody else had the same bytes. */
    for (; last != NULL; last = (uintptr_t *)last[1])
        for (size_t word = 0; word < CHUNK_BYTES / sizeof *last; ++word)
            carver->spoiled |= word != 1 && last[word] != (uintptr_t)carver;
    return NULL;
}

static void threads_share_a_part_without_a_lock_and_without_overlap(void **state)
{
    /* One part for all CPUs, so that all threads meet there. */
    static const unsigned part_of_cpu[] = {0};
    struct arena_group *group = create(
        &ARENA_GROUP_OPTIONS(.capacity_bytes = MIB, .part_of_cpu = part_of_cpu, .cpus_count = 1));
    struct carver carvers[THREADS] = {0};
    size_t chunks = 0;
    (void)state;
    assert_int_equal(arena_group_warmup(group, NULL, NULL, 0), 0);
    for (size_t i = 0; i < THREADS; ++i) {
        carvers[i].group = group;
        assert_int_equal(pthread_create(&carvers[i].thread, NULL, carve_all, &carvers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; ++i) {
        assert_int_equal(pthread_join(carvers[i].thread, NULL), 0);
        assert_false(carvers[i].spoiled);
        chunks += carvers[i].chunks;
    }
    assert_int_equal(chunks, (MIB - 64) / CHUNK_BYTES);
    assert_int_equal(arena_group_at(group, 0)->refused_count, THREADS);
    arena_group_destroy(group);
}

static void carving_a_warm_part_takes_no_fault(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena_group *group = create(&ARENA_GROUP_OPTIONS(.capacity_bytes = MIB));
    struct arena_group_part *part;
    (void)state;
    need_exact_faults();
    assert_int_equal(arena_group_warmup(group, NULL, &report, 1), 0);
    assert_int_equal(report.proven, 1);
    assert_string_equal(report.name, "group.0");
    part = arena_group_mine(group);
    assert_int_equal(faults_of_writing((void *)(part->begin - 64), MIB), 0);
    arena_group_destroy(group);
}

/* ------------------------------------------------------------------------------------------ mine
 * */

static void mine_is_the_part_that_was_set_for_the_cpu(void **state)
{
    unsigned part_of_cpu[1024];
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    struct arena_group *group;
    cpu_set_t before, one;
    (void)state;
    assert_in_range(cpus, 1, 1024);
    for (long cpu = 0; cpu < cpus; ++cpu)
        part_of_cpu[cpu] = (unsigned)cpu;
    group = create(&ARENA_GROUP_OPTIONS(.capacity_bytes = PAGE, .part_of_cpu = part_of_cpu,
                                        .cpus_count = (size_t)cpus));
    assert_int_equal(arena_group_parts_count(group), cpus);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (unsigned cpu = 0; cpu < (unsigned)cpus; ++cpu) {
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (!CPU_ISSET(cpu, &before) || sched_setaffinity(0, sizeof one, &one) != 0)
            continue;
        assert_ptr_equal(arena_group_mine(group), arena_group_at(group, cpu));
    }
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    arena_group_destroy(group);
}

/* Whether a child of fork, which was to find nothing, is refused. */
static void use_a_group_that_is_not_here(void *shared)
{
    struct arena_group **group = shared;
    struct arena_group_part *mine = arena_group_mine(*group);
    bool refuses = arena_group_carve(mine, 1, 1) == NULL && arena_group_arena(mine, 1) == NULL &&
                   arena_group_parts_count(*group) == 0 &&
                   arena_group_warmup(*group, NULL, NULL, 0) == -EINVAL;
    arena_group_destroy(*group);
    *group = refuses ? NULL : *group;
}

static void a_child_has_a_part_that_refuses(void **state)
{
    static const enum warmup_fork kinds[] = {WARMUP_FORK_EXCLUDE, WARMUP_FORK_WIPE};
    struct arena_group **shared = shared_create(sizeof(void *));
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i) {
        struct arena_group *group =
            create(&ARENA_GROUP_OPTIONS(.capacity_bytes = MIB, .fork = kinds[i]));
        assert_int_equal(arena_group_warmup(group, NULL, NULL, 0), 0);
        *shared = group;
        assert_int_equal(run_in_child(use_a_group_that_is_not_here, shared), 0);
        assert_null(*shared);
        assert_non_null(arena_group_carve(arena_group_mine(group), 1, 1));
        arena_group_destroy(group);
    }
    shared_destroy(shared, sizeof(void *));
}

static void mine_is_on_the_nearest_node_that_has_a_part(void **state)
{
    struct zf_node_set usable = {{0}};
    struct arena_group *group;
    struct warmup_report reports[64];
    cpu_set_t before, one;
    (void)state;
    need("nodes", zf_nodes_usable("", &usable) == 0 && zf_node_set_count(&usable) >= 2,
         "one NUMA node alone");
    for (size_t i = 0; i < 64; ++i)
        reports[i] = (struct warmup_report)WARMUP_REPORT_INIT;
    group = create(&ARENA_GROUP_OPTIONS(.capacity_bytes = MIB, .bind = ARENA_REQUIRE));
    assert_int_equal(arena_group_warmup(group, NULL, reports, 64), 0);
    for (size_t i = 0; i < arena_group_parts_count(group); ++i) {
        assert_int_equal(reports[i].home_node, arena_group_at(group, i)->node);
        assert_int_equal(reports[i].nodes[0].resident_bytes, MIB);
    }
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (unsigned cpu = 0; cpu < (unsigned)sysconf(_SC_NPROCESSORS_ONLN); ++cpu) {
        int nearest = zf_node_nearest("", zf_node_of_cpu("", cpu), &usable);
        struct zf_node_set with_cpus = {{0}}, parts = {{0}};
        assert_int_equal(zf_nodes_with_cpus("", &with_cpus), 0);
        for (size_t i = 0; i < arena_group_parts_count(group); ++i)
            zf_node_set_add(&parts, arena_group_at(group, i)->node);
        if (!zf_node_set_holds(&parts, nearest))
            nearest = zf_node_nearest("", zf_node_of_cpu("", cpu), &parts);
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
        assert_int_equal(arena_group_mine(group)->node, nearest);
    }
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    arena_group_destroy(group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_refused_and_leave_nothing),
        cmocka_unit_test(without_wishes_there_is_a_part_on_each_node_with_cpus_and_memory),
        cmocka_unit_test(a_part_is_carved_to_its_last_byte_and_then_refuses),
        cmocka_unit_test(an_arena_that_was_carved_is_an_arena),
        cmocka_unit_test(what_was_carved_is_known_as_handed_out),
        cmocka_unit_test(threads_share_a_part_without_a_lock_and_without_overlap),
        cmocka_unit_test(carving_a_warm_part_takes_no_fault),
        cmocka_unit_test(mine_is_the_part_that_was_set_for_the_cpu),
        cmocka_unit_test(a_child_has_a_part_that_refuses),
        cmocka_unit_test(mine_is_on_the_nearest_node_that_has_a_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
