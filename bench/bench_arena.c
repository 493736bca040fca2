/*
 * What one arena_alloc costs beside a pointer bump written by hand, and beside malloc at its
 * hottest.
 *
 * The bump by hand keeps its state in memory as any program's does, aligns, adds and compares, all
 * with constants: the least that an allocator with a limit can do. The mallocs get their best
 * case, the same block back and forth. Nobody's memory is written, so caches and first touch play
 * no part; bench/README.md says whom that flatters.
 */
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include <zerofault/arena.h>

#include "harness.h"
#include "peer.h"

#define IDEA "The price of one allocation: ours, a pointer bump by hand, and malloc with free."
#define BUMP "bump by hand, constants"
#define CONSTANTS "arena_alloc, constants"

#define ARENA_BYTES ((size_t)32 << 20)
#define OPERATIONS 8192 /* in a batch; 25 batches of them fit the arena */
#define SIZE_COUNT 256  /* power of two */
#define OWN_CASES 5
#define CASE_COUNT (OWN_CASES + PEER_COUNT)

/* What is allocated: five words, as an order in a book might be. */
struct order {
    uint64_t words[5];
};

/* The allocator that everybody writes once. */
struct bump {
    unsigned char *next;
    unsigned char *end;
    unsigned char *begin;
};

/* What the cases share. */
struct arena_context {
    struct arena *arena;
    struct bump bump;
    size_t sizes[SIZE_COUNT]; /* for the run-time rows: 8 to 128 bytes */
    size_t alignment;         /* likewise, unknown to the compiler */
    void *(*exported)(struct arena *, size_t, size_t);
    uint64_t refused_count; /* must stay 0 */
};

/* -------------------------------------------------------------------------------------- by hand */

static inline __attribute__((always_inline)) void *bump_alloc(struct bump *bump, size_t size_bytes,
                                                              size_t alignment)
{
    uintptr_t mask = alignment - 1;
    unsigned char *start = (unsigned char *)(((uintptr_t)bump->next + mask) & ~mask);
    if (__builtin_expect(start + size_bytes > bump->end, 0))
        return NULL;
    bump->next = start + size_bytes;
    return start;
}

static void prepare_bump(void *context)
{
    struct arena_context *arena = context;
    arena->bump.next = arena->bump.begin;
}

static void run_bump(void *context, size_t operations)
{
    struct arena_context *arena = context;
    struct bump *bump = &arena->bump;
    for (size_t i = 0; i < operations; i++) {
        void *order = bump_alloc(bump, sizeof(struct order), alignof(struct order));
        BENCH_KEEP(order);
    }
}

static void run_bump_sizes(void *context, size_t operations)
{
    struct arena_context *arena = context;
    struct bump *bump = &arena->bump;
    for (size_t i = 0; i < operations; i++) {
        void *block = bump_alloc(bump, arena->sizes[i % SIZE_COUNT], arena->alignment);
        BENCH_KEEP(block);
    }
}

/* ----------------------------------------------------------------------------------------- ours */

static void prepare_arena(void *context)
{
    struct arena_context *arena = context;
    arena->refused_count += arena->arena->refused_count;
    arena_reset(arena->arena);
}

static void run_constants(void *context, size_t operations)
{
    struct arena_context *arena = context;
    struct arena *orders = arena->arena;
    for (size_t i = 0; i < operations; i++) {
        void *order = arena_alloc(orders, sizeof(struct order), alignof(struct order));
        BENCH_KEEP(order);
    }
}

static void run_sizes(void *context, size_t operations)
{
    struct arena_context *arena = context;
    struct arena *orders = arena->arena;
    for (size_t i = 0; i < operations; i++) {
        void *block = arena_alloc(orders, arena->sizes[i % SIZE_COUNT], arena->alignment);
        BENCH_KEEP(block);
    }
}

static void run_exported(void *context, size_t operations)
{
    struct arena_context *arena = context;
    for (size_t i = 0; i < operations; i++) {
        void *order = arena->exported(arena->arena, sizeof(struct order), alignof(struct order));
        BENCH_KEEP(order);
    }
}

/* ---------------------------------------------------------------------------------------- peers */

static void run_malloc_free(void *context, size_t operations)
{
    const struct peer *peer = context;
    for (size_t i = 0; i < operations; i++) {
        void *order = peer->allocate(sizeof(struct order));
        BENCH_KEEP(order);
        peer->release(order);
    }
}

/* ----------------------------------------------------------------------------------------- main */

static int create_warm(struct arena **out, const char *name)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    int rc = arena_create(out, &ARENA_OPTIONS(.name = name, .capacity_bytes = ARENA_BYTES));
    if (rc == 0)
        rc = arena_warmup(*out, NULL, &report);
    if (rc != 0) {
        fprintf(stderr, "bench_arena: the arena cannot be made warm: %s\n", strerror(-rc));
        arena_destroy(*out);
        *out = NULL;
    }
    return rc;
}

static void fill_sizes(struct arena_context *context)
{
    uint32_t state = 1;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        state = state * UINT32_C(1664525) + UINT32_C(1013904223);
        context->sizes[i] = 8 + (state >> 24) % 16 * 8;
    }
    context->alignment = alignof(struct order);
    BENCH_OPAQUE(context->alignment);
}

static void list_cases(struct bench_case cases[CASE_COUNT], struct arena_context *context,
                       struct peer peers[PEER_COUNT], char names[PEER_COUNT][48])
{
    const struct bench_case own[OWN_CASES] = {
        {.name = BUMP, .run = run_bump, .prepare = prepare_bump},
        {.name = CONSTANTS, .run = run_constants, .prepare = prepare_arena},
        {.name = "bump by hand, run-time size", .run = run_bump_sizes, .prepare = prepare_bump},
        {.name = "arena_alloc, run-time size", .run = run_sizes, .prepare = prepare_arena},
        {.name = "arena_alloc, exported function", .run = run_exported, .prepare = prepare_arena},
    };
    memset(cases, 0, CASE_COUNT * sizeof cases[0]);
    for (size_t i = 0; i < OWN_CASES; i++) {
        cases[i] = own[i];
        cases[i].context = context;
        cases[i].operations = OPERATIONS;
        cases[i].warm = true;
    }
    for (size_t i = 0; i < PEER_COUNT; i++) {
        snprintf(names[i], sizeof names[i], "%s, malloc and free", peers[i].name);
        cases[OWN_CASES + i] = (struct bench_case){.name = names[i],
                                                   .run = run_malloc_free,
                                                   .context = &peers[i],
                                                   .operations = OPERATIONS / 8,
                                                   .left_out = peers[i].left_out};
    }
}

int main(int argc, char **argv)
{
    struct bench bench;
    struct bench_case cases[CASE_COUNT];
    struct arena_context context = {.exported = arena_alloc};
    struct peer peers[PEER_COUNT];
    char names[PEER_COUNT][48];
    struct arena *by_hand = NULL;
    int status = bench_begin(&bench, "arena", IDEA, argc, argv);
    if (status != BENCH_CONTINUE)
        return status;
    if (create_warm(&context.arena, "bench") != 0 || create_warm(&by_hand, "by hand") != 0) {
        arena_destroy(context.arena);
        return bench_end(&bench, BENCH_FAILED);
    }
    context.bump.begin = (unsigned char *)by_hand->begin;
    context.bump.end = (unsigned char *)by_hand->end;
    BENCH_OPAQUE(context.exported);
    fill_sizes(&context);
    peer_find(peers);
    list_cases(cases, &context, peers, names);
    status = bench_run(&bench, cases, CASE_COUNT, BUMP);
    bench_print_reach(&bench, "arena_alloc beside the bump, both with constants",
                      bench_find(cases, CASE_COUNT, CONSTANTS)->result.ratio, BENCH_AT_MOST, 1.2,
                      "x");
    if (context.refused_count + context.arena->refused_count != 0) {
        fprintf(stderr, "bench_arena: allocations were refused\n");
        status = BENCH_FAILED;
    }
    arena_destroy(by_hand);
    arena_destroy(context.arena);
    return bench_end(&bench, status);
}
