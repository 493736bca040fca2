/*
 * The slowest of ten million allocations: from a warm arena, from a cold heap, from a warm heap.
 *
 * Each allocation is timed alone, with the first write to it, and goes into a histogram. Waves of
 * 250,000 objects take turns; between waves the arena is reset, and the heap is emptied and
 * trimmed, so that it begins each wave as a young process does. The heap's second wave runs before
 * the trim, on pages that are still there. "nothing" times the empty window: an interrupt or
 * another program on the CPU is slower than any allocator, and what it shows is the floor under
 * everybody's maximum. "worst" is the median over the waves of each
 * wave's slowest, and the ratio is taken of that.
 */
#include <malloc.h>
#include <math.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zerofault/arena.h>
#include <zerofault/histogram.h>

#include "clock.h"
#include "harness.h"

#define IDEA "The slowest of ten million allocations of 64 bytes, each timed with its first write."
#define WAVES 40
#define WAVES_SMOKE 2
#define WAVE_COUNT 250000
#define WAVE_COUNT_SMOKE 2000
#define OBJECT_BYTES 64
#define CASE_COUNT 4

/* A live object: the first write to it links it to the one before. */
struct object {
    struct object *previous;
};

struct tail_context {
    struct arena *arena;
    struct object *last; /* of this wave; all of them hang on it */
    size_t wave_count;
    uint64_t refused_count; /* must stay 0 */
};

/* One source of memory and what its allocations took. */
struct tail_case {
    const char *name;
    void (*run)(struct tail_context *context, struct hot_histogram *histogram);
    void (*finish)(struct tail_context *context); /* after a wave, not timed */
    bool warm;
    struct hot_histogram histogram; /* all waves, in ticks */
    double wave_maxima_ns[WAVES];
    struct bench_counters counters;
};

/* ---------------------------------------------------------------------------------------- waves */

/* Inlined into each of its callers, with `allocate` a constant there. */
static inline __attribute__((always_inline)) void
time_wave(struct tail_context *context, struct hot_histogram *histogram,
          struct object *(*allocate)(struct tail_context *context))
{
    struct object *last = NULL;
    size_t wave_count = context->wave_count;
    for (size_t i = 0; i < wave_count; i++) {
        uint64_t start = bench_ticks();
        struct object *object = allocate(context);
        if (object != NULL)
            object->previous = last;
        hot_histogram_record(histogram, bench_ticks() - start);
        if (object == NULL)
            context->refused_count++;
        else
            last = object;
    }
    context->last = last;
}

static inline __attribute__((always_inline)) struct object *
allocate_nothing(struct tail_context *context)
{
    return (struct object *)context->arena->begin;
}

static inline __attribute__((always_inline)) struct object *
allocate_arena(struct tail_context *context)
{
    return arena_alloc(context->arena, OBJECT_BYTES, alignof(max_align_t));
}

static inline __attribute__((always_inline)) struct object *
allocate_heap(struct tail_context *context)
{
    (void)context;
    return malloc(OBJECT_BYTES);
}

static void run_nothing(struct tail_context *context, struct hot_histogram *histogram)
{
    time_wave(context, histogram, allocate_nothing);
}

static void run_arena(struct tail_context *context, struct hot_histogram *histogram)
{
    time_wave(context, histogram, allocate_arena);
}

static void run_heap(struct tail_context *context, struct hot_histogram *histogram)
{
    time_wave(context, histogram, allocate_heap);
}

static void finish_nothing(struct tail_context *context)
{
    context->last = NULL;
}

static void finish_arena(struct tail_context *context)
{
    arena_reset(context->arena);
}

static void finish_heap(struct tail_context *context)
{
    struct object *object = context->last;
    while (object != NULL) {
        struct object *previous = object->previous;
        free(object);
        object = previous;
    }
    context->last = NULL;
}

static void finish_heap_and_trim(struct tail_context *context)
{
    finish_heap(context);
    malloc_trim(0);
}

static void run_turn(struct tail_context *context, struct tail_case *one, size_t wave)
{
    static struct hot_histogram histogram;
    struct bench_counters before, after;
    memset(&histogram, 0, sizeof histogram);
    before = bench_counters_read();
    one->run(context, &histogram);
    after = bench_counters_read();
    one->finish(context);
    one->counters.faults += after.faults - before.faults;
    one->counters.switches += after.switches - before.switches;
    one->wave_maxima_ns[wave] = bench_ticks_to_ns(histogram.maximum);
    hot_histogram_merge(&one->histogram, &histogram);
}

/* -------------------------------------------------------------------------------------- results */

static double quantile_ns(const struct tail_case *one, uint32_t parts_per_million)
{
    return bench_ticks_to_ns(hot_histogram_quantile(&one->histogram, parts_per_million));
}

/* How many allocations took longer than that, to the histogram's 3 %. */
static uint64_t slower_than(const struct tail_case *one, double limit_ns)
{
    uint64_t count = 0;
    uint32_t first = hot_histogram_bucket((uint64_t)(limit_ns / bench_clock.ns_per_tick)) + 1;
    for (uint32_t bucket = first; bucket < HOT_HISTOGRAM_BUCKETS; bucket++)
        count += one->histogram.buckets[bucket];
    return count;
}

static double typical_maximum_ns(const struct tail_case *one, size_t waves)
{
    double sorted[WAVES];
    memcpy(sorted, one->wave_maxima_ns, waves * sizeof sorted[0]);
    bench_sort(sorted, waves);
    return bench_quantile(sorted, waves, 0.5);
}

static int print_case(const struct bench *bench, const struct tail_case *one,
                      const struct tail_case *reference, size_t waves, bool heading)
{
    double scratch[WAVES];
    const struct bench_metric metrics[] = {
        {"p50", quantile_ns(one, 500000), "ns"},
        {"p99", quantile_ns(one, 990000), "ns"},
        {"p99.9", quantile_ns(one, 999000), "ns"},
        {"p99.99", quantile_ns(one, 999900), "ns"},
        {"over 1us", (double)slower_than(one, 1000.0), "allocations"},
        {"worst", typical_maximum_ns(one, waves), "ns"},
        {"max", bench_ticks_to_ns(one->histogram.maximum), "ns"},
        {"ratio",
         bench_median_ratio(one->wave_maxima_ns, reference->wave_maxima_ns, waves, scratch), "x"},
        {"faults", (double)one->counters.faults, "faults"},
        {"switches", (double)one->counters.switches, "switches"},
    };
    bench_print(bench, one->name, metrics, sizeof metrics / sizeof metrics[0], heading);
    return one->warm ? bench_check_warm(bench, one->name, one->counters.faults) : BENCH_OK;
}

/* ----------------------------------------------------------------------------------------- main */

static int run_all(const struct bench *bench, struct tail_context *context)
{
    static struct tail_case cases[CASE_COUNT] = {
        {.name = "arena_alloc, warm", .run = run_arena, .finish = finish_arena, .warm = true},
        {.name = "malloc, cold", .run = run_heap, .finish = finish_heap},
        {.name = "malloc, second time", .run = run_heap, .finish = finish_heap_and_trim},
        {.name = "nothing", .run = run_nothing, .finish = finish_nothing, .warm = true},
    };
    size_t waves = bench->smoke ? WAVES_SMOKE : WAVES;
    int status = BENCH_OK;
    for (size_t i = 0; i < CASE_COUNT; i++) /* untimed: code and the tables here get warm */
        run_turn(context, &cases[i], 0);
    for (size_t i = 0; i < CASE_COUNT; i++) {
        memset(&cases[i].histogram, 0, sizeof cases[i].histogram);
        memset(cases[i].wave_maxima_ns, 0, sizeof cases[i].wave_maxima_ns);
        memset(&cases[i].counters, 0, sizeof cases[i].counters);
    }
    for (size_t wave = 0; wave < waves; wave++) {
        for (size_t i = 0; i < CASE_COUNT; i++)
            run_turn(context, &cases[i], wave);
    }
    for (size_t i = 0; i < CASE_COUNT; i++) {
        if (print_case(bench, &cases[i], &cases[0], waves, i == 0) != BENCH_OK)
            status = BENCH_FAILED;
    }
    return status;
}

int main(int argc, char **argv)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct tail_context context = {.arena = NULL};
    struct bench bench;
    int rc;
    int status = bench_begin(&bench, "tail", IDEA, argc, argv);
    if (status != BENCH_CONTINUE)
        return status;
    context.wave_count = bench.smoke ? WAVE_COUNT_SMOKE : WAVE_COUNT;
    rc = arena_create(
        &context.arena,
        &ARENA_OPTIONS(.name = "bench", .capacity_bytes = context.wave_count * OBJECT_BYTES));
    if (rc == 0)
        rc = arena_warmup(context.arena, NULL, &report);
    if (rc != 0) {
        fprintf(stderr, "bench_tail: the arena cannot be made warm: %s\n", strerror(-rc));
        arena_destroy(context.arena);
        return bench_end(&bench, BENCH_FAILED);
    }
    status = run_all(&bench, &context);
    if (context.refused_count != 0) {
        fprintf(stderr, "bench_tail: allocations were refused\n");
        status = BENCH_FAILED;
    }
    arena_destroy(context.arena);
    return bench_end(&bench, status);
}
