/*
 * How fast memory becomes warm: arena_warmup beside the kernel's own ways to make the same bytes
 * present, with the same number of threads, and beside two programs that do it at their start.
 *
 * Every case makes fresh memory present and gives it back, once in each round. What is timed is
 * the call alone: a mapping, or an arena, is made before. The arena's time includes its proof, its
 * report and all that it asks the system; that of a raw way includes none of that. Ratios are to
 * the raw way that was fastest for these pages with these threads. Programs are timed as a whole,
 * with and without, and their ratio is that of the difference.
 */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zerofault/arena.h>

#include "clock.h"
#include "harness.h"
#include "outside.h"
#include "prefault.h"

#define IDEA "How fast memory becomes warm, by an arena's warmup and by the kernel's own ways."

#define SIZE_BYTES ((size_t)1 << 30)
#define SIZE_BYTES_SMOKE ((size_t)32 << 20)
#define ROUNDS 11
#define ROUNDS_SMOKE 2
#define QUIET 0.25
#define CASES_MAX 64
#define PAGE_BYTES 4096.0

enum kind {
    KIND_ARENA,        /* not locked */
    KIND_ARENA_LOCKED, /* locked too */
    KIND_RAW,
    KIND_JVM_COLD,
    KIND_JVM, /* AlwaysPreTouch */
    KIND_EAL_COLD,
    KIND_EAL
};

/* One way, for one kind of pages, with some threads. */
struct warm_case {
    char name[64];
    enum kind kind;
    enum prefault_pages pages;
    enum prefault_way way; /* of KIND_RAW */
    size_t threads;
    const char *left_out;
    double samples[ROUNDS];     /* ns, of each round */
    double cpu[ROUNDS];         /* CPU time of all threads */
    double differences[ROUNDS]; /* the same, less what the program takes without */
    double proofs[ROUNDS];      /* the proof's part of the rest, of an arena */
    uint64_t faults;            /* in the last round */
    uint64_t left;
};

struct table {
    struct warm_case cases[CASES_MAX];
    size_t count;
    size_t rounds;
    size_t size_bytes;
    size_t threads; /* that the two-thread cases use; 1 on a machine with one CPU */
};

static const char *const pages_names[PREFAULT_PAGES] = {"4 KiB", "THP", "hugetlb"};
static const char *const way_names[PREFAULT_WAYS] = {"populate", "mlock", "touch", "MAP_POPULATE"};

/* ---------------------------------------------------------------------------------------- cases */

static struct warm_case *add(struct table *table, enum kind kind, enum prefault_pages pages,
                             size_t threads, const char *name)
{
    struct warm_case *one = &table->cases[table->count];
    if (table->count == CASES_MAX)
        abort();
    table->count++;
    one->kind = kind;
    one->pages = pages;
    one->threads = threads;
    (void)snprintf(one->name, sizeof one->name, "%s x%zu, %s", pages_names[pages], threads, name);
    return one;
}

static void add_arenas(struct table *table, enum prefault_pages pages, size_t threads)
{
    struct warm_case *plain = add(table, KIND_ARENA, pages, threads, "arena_warmup");
    struct warm_case *locked =
        add(table, KIND_ARENA_LOCKED, pages, threads, "arena_warmup, locked");
    plain->left_out = locked->left_out =
        prefault_left_out(PREFAULT_POPULATE, pages, table->size_bytes);
}

static void add_programs(struct table *table, enum prefault_pages pages, size_t threads)
{
    struct warm_case *cold = add(table, KIND_JVM_COLD, pages, threads, "JVM start, untouched");
    struct warm_case *warm = add(table, KIND_JVM, pages, threads, "JVM start, AlwaysPreTouch");
    cold->left_out = warm->left_out = outside_no_jvm(pages, table->size_bytes);
    if (pages != PREFAULT_HUGETLB || threads != 1)
        return;
    cold = add(table, KIND_EAL_COLD, pages, threads, "EAL start, 2 MiB");
    warm = add(table, KIND_EAL, pages, threads, "EAL start");
    cold->left_out = warm->left_out = outside_no_eal(table->size_bytes);
}

static void add_all(struct table *table)
{
    for (int pages = 0; pages < PREFAULT_PAGES; pages++)
        for (size_t threads = 1; threads <= table->threads; threads++) {
            add_arenas(table, (enum prefault_pages)pages, threads);
            for (int way = 0; way < PREFAULT_WAYS; way++) {
                struct warm_case *one =
                    add(table, KIND_RAW, (enum prefault_pages)pages, threads, way_names[way]);
                one->way = (enum prefault_way)way;
                one->left_out = prefault_left_out(one->way, one->pages, table->size_bytes);
            }
            add_programs(table, (enum prefault_pages)pages, threads);
        }
}

/* ----------------------------------------------------------------------------------------- runs */

static int run_arena(struct warm_case *one, size_t size_bytes, size_t round,
                     struct prefault_cost *cost)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena_options options =
        ARENA_OPTIONS(.name = "bench", .capacity_bytes = size_bytes,
                      .huge_pages =
                          one->pages == PREFAULT_TRANSPARENT ? WARMUP_REQUIRE : WARMUP_OFF,
                      .hugetlb_2m = one->pages == PREFAULT_HUGETLB ? WARMUP_REQUIRE : WARMUP_OFF,
                      .lock = one->kind == KIND_ARENA ? WARMUP_OFF : WARMUP_REQUIRE);
    struct arena *arena;
    uint64_t start, faults;
    double proof_ns, cpu_ns;
    int rc = arena_create(&arena, &options);
    if (rc != 0)
        return -rc;
    faults = prefault_process_faults();
    cpu_ns = prefault_process_cpu_ns();
    start = bench_monotonic_ns();
    rc = arena_warmup(arena, &WARMUP_OPTIONS(.threads = one->threads), &report);
    cost->spent_ns = (double)(bench_monotonic_ns() - start);
    cost->cpu_ns = prefault_process_cpu_ns() - cpu_ns;
    cost->faults = prefault_process_faults() - faults;
    proof_ns = (double)report.spent_ns[WARMUP_PROVE];
    one->proofs[round] = proof_ns / (cost->spent_ns - proof_ns);
    if (rc == 0)
        cost->left = prefault_left(arena_alloc(arena, size_bytes, 1), size_bytes);
    arena_destroy(arena);
    return -rc;
}

static int run_once(struct warm_case *one, size_t size_bytes, size_t round,
                    struct prefault_cost *cost)
{
    switch (one->kind) {
    case KIND_ARENA:
    case KIND_ARENA_LOCKED:
        return run_arena(one, size_bytes, round, cost);
    case KIND_RAW:
        return prefault_run(one->way, one->pages, size_bytes, one->threads, cost);
    case KIND_JVM_COLD:
    case KIND_JVM:
        return outside_run_jvm(one->pages, size_bytes, one->threads, one->kind == KIND_JVM, cost);
    case KIND_EAL_COLD:
        return outside_run_eal(PREFAULT_HUGE_BYTES, cost);
    case KIND_EAL:
        break;
    }
    return outside_run_eal(size_bytes, cost);
}

/* The one beside it that does not touch. */
static bool has_untouched(const struct warm_case *one)
{
    return one->kind == KIND_JVM || one->kind == KIND_EAL;
}

/* Untimed, before the first case of some kind of pages: what was small pages a moment ago has to
 * become huge ones again, and whoever comes first would pay. */
static void make_pages(enum prefault_pages pages, size_t size_bytes)
{
    struct prefault_cost cost;
    if (prefault_left_out(PREFAULT_POPULATE, pages, size_bytes) == NULL)
        (void)prefault_run(PREFAULT_POPULATE, pages, size_bytes, 1, &cost);
}

/* Run one case; BENCH_FAILED when an arena cannot be warmed. */
static int run_case(struct table *table, struct warm_case *one, size_t round)
{
    struct prefault_cost cost = {0};
    int error = run_once(one, table->size_bytes, round, &cost);
    if (error != 0 && (one->kind == KIND_ARENA || one->kind == KIND_ARENA_LOCKED)) {
        fprintf(stderr, "bench_warmup: %s: %s\n", one->name, strerror(error));
        return BENCH_FAILED;
    }
    if (error != 0) { /* somebody else took the pool, say */
        one->left_out = strerror(error);
        return BENCH_OK;
    }
    one->samples[round] = cost.spent_ns;
    one->cpu[round] = cost.cpu_ns;
    one->faults = cost.faults;
    one->left = cost.left;
    return BENCH_OK;
}

/* Forwards and backwards in turn: what one case leaves behind in the kernel's lists of free pages
 * is the next one's start. */
static int run_round(struct table *table, size_t round)
{
    bool backwards = round % 2 != 0;
    enum prefault_pages last = PREFAULT_PAGES;
    for (size_t i = 0; i < table->count; i++) {
        struct warm_case *one = &table->cases[backwards ? table->count - 1 - i : i];
        if (one->pages != last)
            make_pages(one->pages, table->size_bytes);
        last = one->pages;
        if (one->left_out == NULL && run_case(table, one, round) != BENCH_OK)
            return BENCH_FAILED;
    }
    for (size_t i = 0; i < table->count; i++) {
        struct warm_case *one = &table->cases[i];
        one->differences[round] =
            one->samples[round] - (has_untouched(one) ? one[-1].samples[round] : 0.0);
    }
    return BENCH_OK;
}

/* -------------------------------------------------------------------------------------- results */

static double quantile(const double *values, size_t count, double fraction)
{
    double sorted[ROUNDS];
    memcpy(sorted, values, count * sizeof sorted[0]);
    bench_sort(sorted, count);
    return bench_quantile(sorted, count, fraction);
}

static struct warm_case *find(struct table *table, enum kind kind, enum prefault_pages pages,
                              size_t threads)
{
    for (size_t i = 0; i < table->count; i++) {
        struct warm_case *one = &table->cases[i];
        if (one->kind == kind && one->pages == pages && one->threads == threads &&
            one->left_out == NULL)
            return one;
    }
    return NULL;
}

/* The raw way that is fastest in a quiet round; NULL when all were left out. */
static const struct warm_case *best_raw(const struct table *table, enum prefault_pages pages,
                                        size_t threads)
{
    const struct warm_case *best = NULL;
    double least = INFINITY;
    for (size_t i = 0; i < table->count; i++) {
        const struct warm_case *one = &table->cases[i];
        double spent_ns = quantile(one->samples, table->rounds, QUIET);
        if (one->kind != KIND_RAW || one->pages != pages || one->threads != threads ||
            one->left_out != NULL || spent_ns >= least)
            continue;
        least = spent_ns;
        best = one;
    }
    return best;
}

/* How many times as fast as the reference, round by round. */
static double speed(const struct warm_case *one, const struct warm_case *reference, size_t rounds)
{
    double scratch[ROUNDS];
    if (reference == NULL)
        return NAN;
    return bench_median_ratio(reference->samples, one->differences, rounds, scratch);
}

/* The same of a quiet round of each: a neighbour's load spoils the slower ones, and a lucky moment
 * the fastest. */
static double quiet_speed(const struct warm_case *one, const struct warm_case *reference,
                          size_t rounds)
{
    if (one == NULL || reference == NULL)
        return NAN;
    return quantile(reference->samples, rounds, QUIET) / quantile(one->samples, rounds, QUIET);
}

/* The same by the CPU time of the median round: what it would be if nobody else ran. */
static double cpu_speed(const struct warm_case *one, const struct warm_case *reference,
                        size_t rounds)
{
    return quantile(reference->cpu, rounds, 0.5) / (double)reference->threads /
           (quantile(one->cpu, rounds, 0.5) / (double)one->threads);
}

static void print_cpu_speed(const struct bench *bench, const struct warm_case *one,
                            const struct warm_case *reference, size_t rounds)
{
    if (!bench->json && !bench->smoke)
        printf("       (by CPU time: %.2f x)\n", cpu_speed(one, reference, rounds));
}

static void print_case(const struct bench *bench, const struct table *table,
                       const struct warm_case *one, bool heading)
{
    double pages = (double)table->size_bytes / PAGE_BYTES;
    bool arena = one->kind == KIND_ARENA || one->kind == KIND_ARENA_LOCKED;
    bool untouched = one->kind == KIND_JVM_COLD || one->kind == KIND_EAL_COLD;
    const struct warm_case *best = best_raw(table, one->pages, one->threads);
    const struct bench_metric metrics[] = {
        {"best", quantile(one->samples, table->rounds, 0.0) / pages, "ns"},
        {"p50", quantile(one->samples, table->rounds, 0.5) / pages, "ns"},
        {"p99", quantile(one->samples, table->rounds, 0.99) / pages, "ns"},
        {"p99.9", quantile(one->samples, table->rounds, 0.999) / pages, "ns"},
        {"max", quantile(one->samples, table->rounds, 1.0) / pages, "ns"},
        {"cpu", quantile(one->cpu, table->rounds, 0.5) / pages, "ns"},
        {"ratio", untouched ? NAN : speed(one, best, table->rounds), "x"},
        {"proof", arena ? quantile(one->proofs, table->rounds, 0.5) : NAN, "x"},
        {"faults", (double)one->faults, "faults"},
        {"left", (double)one->left, "faults"},
    };
    bench_print(bench, one->name, metrics, sizeof metrics / sizeof metrics[0], heading);
}

static void print_reaches(const struct bench *bench, struct table *table, enum prefault_pages pages)
{
    char what[128];
    struct warm_case *single = find(table, KIND_ARENA, pages, 1);
    struct warm_case *together = find(table, KIND_ARENA, pages, table->threads);
    const struct warm_case *quick_raw, *slow_raw = best_raw(table, pages, 1);
    for (int kind = KIND_ARENA; kind <= KIND_ARENA_LOCKED; kind++)
        for (size_t threads = 1; threads <= table->threads; threads++) {
            struct warm_case *one = find(table, (enum kind)kind, pages, threads);
            const struct warm_case *best = best_raw(table, pages, threads);
            if (one == NULL || best == NULL)
                continue;
            (void)snprintf(what, sizeof what, "speed of %s, of %s", one->name,
                           strchr(best->name, ',') + 2);
            bench_print_reach(bench, what, quiet_speed(one, best, table->rounds), BENCH_AT_LEAST,
                              0.95, "x");
            print_cpu_speed(bench, one, best, table->rounds);
            (void)snprintf(what, sizeof what, "proof of %s, of the rest", one->name);
            bench_print_reach(bench, what, quantile(one->proofs, table->rounds, 0.5), BENCH_AT_MOST,
                              0.10, "x");
        }
    if (table->threads < 2 || together == NULL)
        return;
    (void)snprintf(what, sizeof what, "%s, two threads by one", pages_names[pages]);
    bench_print_reach(bench, what, quiet_speed(together, single, table->rounds), BENCH_AT_LEAST,
                      1.7, "x");
    print_cpu_speed(bench, together, single, table->rounds);
    quick_raw = best_raw(table, pages, table->threads);
    if (quick_raw != NULL && slow_raw != NULL && !bench->json && !bench->smoke)
        printf("       (%s with two threads by %s with one: %.2f x; by CPU time: %.2f x)\n",
               strchr(quick_raw->name, ',') + 2, strchr(slow_raw->name, ',') + 2,
               quiet_speed(quick_raw, slow_raw, table->rounds),
               cpu_speed(quick_raw, slow_raw, table->rounds));
}

/* ----------------------------------------------------------------------------------------- main */

static size_t count_cpus(void)
{
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (size_t)CPU_COUNT(&cpus) : 1;
}

static int run_all(const struct bench *bench, struct table *table)
{
    bool heading = true;
    int status = run_round(table, 0); /* thrown away: code and stacks get warm */
    for (size_t round = 0; round < table->rounds && status == BENCH_OK; round++)
        status = run_round(table, round);
    if (status != BENCH_OK)
        return status;
    for (size_t i = 0; i < table->count; i++) {
        const struct warm_case *one = &table->cases[i];
        if (one->left_out != NULL)
            bench_print_left_out(bench, one->name, one->left_out);
        else
            print_case(bench, table, one, heading);
        heading = heading && one->left_out != NULL;
        if ((one->kind == KIND_ARENA || one->kind == KIND_ARENA_LOCKED) && one->left_out == NULL &&
            bench_check_warm(bench, one->name, one->left) != BENCH_OK)
            status = BENCH_FAILED;
    }
    for (int pages = 0; pages < PREFAULT_PAGES; pages++)
        print_reaches(bench, table, (enum prefault_pages)pages);
    return status;
}

int main(int argc, char **argv)
{
    static struct table table;
    struct bench bench;
    char *arguments[64] = {argv[0], "--no-pin"}; /* threads need more than one CPU */
    int status;
    if (argc > 60)
        return BENCH_USAGE;
    memcpy(arguments + 2, argv + 1, (size_t)argc * sizeof arguments[0]);
    status = bench_begin(&bench, "warmup", IDEA, argc + 1, arguments);
    if (status != BENCH_CONTINUE)
        return status;
    table.rounds = bench.smoke ? ROUNDS_SMOKE : ROUNDS;
    table.size_bytes = bench.smoke ? SIZE_BYTES_SMOKE : SIZE_BYTES;
    table.threads = count_cpus() > 1 ? 2 : 1;
    add_all(&table);
    if (!bench.json)
        printf("%zu MiB, made present and given back in each of %zu rounds; times are those of 4 "
               "KiB of it\n",
               table.size_bytes >> 20, table.rounds);
    return bench_end(&bench, run_all(&bench, &table));
}
