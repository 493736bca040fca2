/*
 * What it costs a thread to find the part of its own CPU and to carve from it, beside asking the C
 * library for the CPU and beside an allocation from an arena that the thread owns alone.
 *
 * One thread alone: what several threads cost each other on one part is the machine's price of a
 * contended cache line, and not ours. Where the C library has restartable sequences (glibc 2.35)
 * the CPU is a load; before, it is a call into the vDSO.
 */
#include <sched.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include <zerofault/group.h>

#include "harness.h"

#define IDEA "The price of finding the own CPU's part of a group, and of carving from it."
#define CPU "sched_getcpu"
#define MINE "arena_group_mine"

#define PART_BYTES ((size_t)32 << 20)
#define OPERATIONS 8192
#define CASE_COUNT 4

struct group_context {
    struct arena_group *group;
    struct arena *arena; /* carved from it */
};

static void run_cpu(void *context, size_t operations)
{
    (void)context;
    for (size_t i = 0; i < operations; i++) {
        int cpu = sched_getcpu();
        BENCH_KEEP(cpu);
    }
}

static void run_mine(void *context, size_t operations)
{
    const struct group_context *group = context;
    for (size_t i = 0; i < operations; i++) {
        struct arena_group_part *part = arena_group_mine(group->group);
        BENCH_KEEP(part);
    }
}

static void prepare_carve(void *context)
{
    const struct group_context *group = context;
    arena_group_reset(group->group);
}

static void run_carve(void *context, size_t operations)
{
    const struct group_context *group = context;
    struct arena_group_part *part = arena_group_mine(group->group);
    for (size_t i = 0; i < operations; i++) {
        void *chunk = arena_group_carve(part, 64, 64);
        BENCH_KEEP(chunk);
    }
}

static void prepare_alloc(void *context)
{
    const struct group_context *group = context;
    arena_reset(group->arena);
}

static void run_alloc(void *context, size_t operations)
{
    const struct group_context *group = context;
    struct arena *arena = group->arena;
    for (size_t i = 0; i < operations; i++) {
        void *chunk = arena_alloc(arena, 64, 64);
        BENCH_KEEP(chunk);
    }
}

int main(int argc, char **argv)
{
    struct bench bench;
    struct group_context carving, owning;
    struct bench_case cases[CASE_COUNT] = {
        {.name = CPU, .run = run_cpu},
        {.name = MINE, .run = run_mine},
        {.name = "arena_group_carve", .run = run_carve, .prepare = prepare_carve},
        {.name = "arena_alloc", .run = run_alloc, .prepare = prepare_alloc},
    };
    int status = bench_begin(&bench, "group", IDEA, argc, argv);
    int rc;
    if (status != BENCH_CONTINUE)
        return status;
    memset(&carving, 0, sizeof carving);
    memset(&owning, 0, sizeof owning);
    rc = arena_group_create(&carving.group, &ARENA_GROUP_OPTIONS(.capacity_bytes = PART_BYTES));
    if (rc == 0)
        rc = arena_group_create(&owning.group, &ARENA_GROUP_OPTIONS(.capacity_bytes = PART_BYTES));
    if (rc == 0)
        rc = arena_group_warmup(carving.group, NULL, NULL, 0);
    if (rc == 0)
        rc = arena_group_warmup(owning.group, NULL, NULL, 0);
    if (rc != 0) {
        fprintf(stderr, "bench_group: the group cannot be made warm: %s\n", strerror(-rc));
        status = BENCH_FAILED;
    } else {
        owning.arena = arena_group_arena(arena_group_mine(owning.group), PART_BYTES / 2);
        for (size_t i = 0; i < CASE_COUNT; i++) {
            cases[i].context = i == CASE_COUNT - 1 ? &owning : &carving;
            cases[i].operations = OPERATIONS;
            cases[i].warm = true;
        }
        status = bench_run(&bench, cases, CASE_COUNT, CPU);
    }
    arena_group_destroy(owning.group);
    arena_group_destroy(carving.group);
    return bench_end(&bench, status);
}
