/*
 * What a fixed-size object costs to take and to give back: a pool, and what it replaces.
 *
 * Two patterns. A pair takes one object and gives it back at once, the hottest that any free list
 * gets. "1,024 out and back" takes that many and returns them in the order taken, so the list is
 * walked for real; an operation is still one take and one return. The reference is one arena_alloc
 * with constants, which is never returned.
 */
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include <zerofault/arena.h>
#include <zerofault/pool.h>

#include "harness.h"
#include "peer.h"

#define IDEA "The price of taking an object of 64 bytes and giving it back."
#define REFERENCE "arena_alloc, constants"
#define POOL_PAIR "pool, alloc and free"

#define ARENA_BYTES ((size_t)32 << 20)
#define OBJECT_BYTES 64
#define POOL_OBJECTS 4096
#define OUT_COUNT 1024
#define OPERATIONS 8192 /* in a batch */
#define OWN_CASES 3
#define PEER_CASES ((size_t)2 * PEER_COUNT)
#define CASE_COUNT (OWN_CASES + PEER_CASES)

/* What the cases share. */
struct pool_context {
    struct arena *arena;
    struct arena_marker mark; /* behind the pool */
    struct arena_pool *pool;
};

/* One peer and the objects that are out. */
struct peer_context {
    struct peer peer;
    void *out[OUT_COUNT];
};

/* ----------------------------------------------------------------------------------------- ours */

static void prepare_arena(void *context)
{
    struct pool_context *pool = context;
    arena_rewind(pool->arena, pool->mark);
}

static void run_arena(void *context, size_t operations)
{
    struct pool_context *pool = context;
    struct arena *arena = pool->arena;
    for (size_t i = 0; i < operations; i++) {
        void *object = arena_alloc(arena, OBJECT_BYTES, alignof(max_align_t));
        BENCH_KEEP(object);
    }
}

static void run_pool_pair(void *context, size_t operations)
{
    struct pool_context *shared = context;
    struct arena_pool *pool = shared->pool;
    for (size_t i = 0; i < operations; i++) {
        void *object = arena_pool_alloc(pool);
        BENCH_KEEP(object);
        arena_pool_free(pool, object);
        BENCH_KEEP(pool);
    }
}

static void run_pool_out_and_back(void *context, size_t operations)
{
    static void *out[OUT_COUNT];
    struct pool_context *shared = context;
    struct arena_pool *pool = shared->pool;
    size_t count = operations < OUT_COUNT ? operations : OUT_COUNT;
    for (size_t done = 0; done < operations; done += count) {
        for (size_t i = 0; i < count; i++)
            out[i] = arena_pool_alloc(pool);
        BENCH_KEEP(&out[0]);
        for (size_t i = 0; i < count; i++)
            arena_pool_free(pool, out[i]);
    }
}

/* ---------------------------------------------------------------------------------------- peers */

static void run_malloc_pair(void *context, size_t operations)
{
    const struct peer *peer = &((struct peer_context *)context)->peer;
    for (size_t i = 0; i < operations; i++) {
        void *object = peer->allocate(OBJECT_BYTES);
        BENCH_KEEP(object);
        peer->release(object);
    }
}

static void run_malloc_out_and_back(void *context, size_t operations)
{
    struct peer_context *shared = context;
    const struct peer *peer = &shared->peer;
    size_t count = operations < OUT_COUNT ? operations : OUT_COUNT;
    for (size_t done = 0; done < operations; done += count) {
        for (size_t i = 0; i < count; i++)
            shared->out[i] = peer->allocate(OBJECT_BYTES);
        BENCH_KEEP(&shared->out[0]);
        for (size_t i = 0; i < count; i++)
            peer->release(shared->out[i]);
    }
}

/* ----------------------------------------------------------------------------------------- main */

static int create_pool(struct pool_context *context)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    int rc = arena_create(&context->arena,
                          &ARENA_OPTIONS(.name = "bench", .capacity_bytes = ARENA_BYTES));
    if (rc == 0)
        rc = arena_warmup(context->arena, NULL, &report);
    if (rc == 0)
        rc = arena_pool_create(
            &context->pool, context->arena,
            &ARENA_POOL_OPTIONS(.object_bytes = OBJECT_BYTES, .capacity_count = POOL_OBJECTS));
    if (rc != 0) {
        fprintf(stderr, "bench_pool: the pool cannot be made: %s\n", strerror(-rc));
        arena_destroy(context->arena);
        return rc;
    }
    context->mark = arena_mark(context->arena);
    return 0;
}

static void list_own_cases(struct bench_case *cases, struct pool_context *context)
{
    const struct bench_case own[OWN_CASES] = {
        {.name = REFERENCE, .run = run_arena, .prepare = prepare_arena},
        {.name = POOL_PAIR, .run = run_pool_pair},
        {.name = "pool, 1,024 out and back", .run = run_pool_out_and_back},
    };
    for (size_t i = 0; i < OWN_CASES; i++) {
        cases[i] = own[i];
        cases[i].context = context;
        cases[i].operations = OPERATIONS;
        cases[i].warm = true;
    }
}

static void list_peer_cases(struct bench_case *cases, struct peer_context contexts[PEER_COUNT],
                            char names[PEER_CASES][48])
{
    for (size_t i = 0; i < PEER_CASES; i++) {
        struct peer_context *context = &contexts[i / 2];
        bool pair = i % 2 == 0;
        snprintf(names[i], sizeof names[i], "%s, %s", context->peer.name,
                 pair ? "malloc and free" : "1,024 out and back");
        cases[i] = (struct bench_case){.name = names[i],
                                       .run = pair ? run_malloc_pair : run_malloc_out_and_back,
                                       .context = context,
                                       .operations = OPERATIONS / 4,
                                       .left_out = context->peer.left_out};
    }
}

int main(int argc, char **argv)
{
    static struct peer_context peer_contexts[PEER_COUNT];
    struct bench bench;
    struct bench_case cases[CASE_COUNT];
    struct pool_context context = {.arena = NULL};
    struct peer peers[PEER_COUNT];
    char names[PEER_CASES][48];
    int status = bench_begin(&bench, "pool", IDEA, argc, argv);
    if (status != BENCH_CONTINUE)
        return status;
    if (create_pool(&context) != 0)
        return bench_end(&bench, BENCH_FAILED);
    peer_find(peers);
    for (size_t i = 0; i < PEER_COUNT; i++)
        peer_contexts[i].peer = peers[i];
    memset(cases, 0, sizeof cases);
    list_own_cases(cases, &context);
    list_peer_cases(cases + OWN_CASES, peer_contexts, names);
    status = bench_run(&bench, cases, CASE_COUNT, REFERENCE);
    bench_print_reach(&bench, "pool, alloc and free, beside one arena_alloc",
                      bench_find(cases, CASE_COUNT, POOL_PAIR)->result.ratio, BENCH_AT_MOST, 2.0,
                      "x");
    if (context.arena->refused_count + context.pool->refused_count != 0) {
        fprintf(stderr, "bench_pool: allocations were refused\n");
        status = BENCH_FAILED;
    }
    arena_destroy(context.arena);
    return bench_end(&bench, status);
}
