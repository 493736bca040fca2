/*
 * What it costs to know that a piece of code took no page fault.
 *
 * Every case does one begin and one end with nothing between them: the whole cost shows, but none
 * of it hides behind the work of a real section, as much of it would. Ours through the header and
 * through the exported symbols, and what programs do instead: two getrusage calls, or two reads of
 * a perf counter. A case whose source the kernel refuses here is left out with the reason.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <zerofault/hot.h>

#include "harness.h"

#define IDEA "The price of a pair of calls that tell whether a page fault happened between them."
#define PAIR "guard pair, inlined"
#define PAIR_EXPORTED "guard pair, exported functions"
#define LOADS "two loads of the ring's head"
#define CALLS "two empty functions, by pointer"
#define RUSAGE "getrusage pair"
#define PERF "perf counter, two reads"

#define PAIRS_PLAIN 8192 /* in a batch of loads and stores: some microseconds */
#define PAIRS_SYSTEM 64  /* in a batch of system calls */
#define CASE_COUNT 10

/* The scheduler's doings are no fault of a bench. */
#define QUIET                                                                                      \
    {                                                                                              \
        [HOT_SWITCH] = HOT_IGNORE, [HOT_PREEMPTION] = HOT_IGNORE, [HOT_MIGRATION] = HOT_IGNORE     \
    }

/* A begin and an end behind pointers, as a binding calls them. */
struct guard_calls {
    void (*begin)(struct hot_section *section);
    uint64_t (*end)(struct hot_section *section);
};

/* What the cases share. */
struct guard_context {
    struct hot_section section;  /* asks for nothing but the source */
    struct hot_section timed;    /* keeps a histogram of durations */
    uint32_t watched;            /* by this thread's guard, of enum hot_watch */
    uint64_t violations;         /* must stay 0 */
    int perf;                    /* the page-fault counter, or -errno of its refusal */
    struct guard_calls exported; /* the library's */
    struct guard_calls empty;    /* that do nothing */
};

/* ------------------------------------------------------------------------------------ our pairs */

/* Attach this thread with one source and watches, unless it is. Returns 0 or -errno. */
static int attach(struct guard_context *guard, enum hot_source source, uint32_t watch)
{
    int rc;
    if (hot_source_active() == source && guard->watched == watch)
        return 0;
    hot_thread_detach();
    rc = hot_thread_attach(&HOT_THREAD_OPTIONS(.source = source, .required = watch), NULL);
    if (rc != 0)
        return rc;
    guard->watched = watch;
    /* The first entry of a section on a thread goes the long way. */
    hot_section_begin(&guard->section);
    guard->violations += hot_section_end(&guard->section);
    hot_section_begin(&guard->timed);
    guard->violations += hot_section_end(&guard->timed);
    return 0;
}

static void prepare_ring(void *context)
{
    struct guard_context *guard = context;
    guard->violations += attach(guard, HOT_SOURCE_RING, 0) != 0;
}

static void prepare_rusage(void *context)
{
    struct guard_context *guard = context;
    guard->violations += attach(guard, HOT_SOURCE_RUSAGE, 0) != 0;
}

static void prepare_both(void *context)
{
    struct guard_context *guard = context;
    guard->violations += attach(guard, HOT_SOURCE_BOTH, 0) != 0;
}

static void prepare_watches(void *context)
{
    struct guard_context *guard = context;
    guard->violations +=
        attach(guard, HOT_SOURCE_RING, HOT_WATCH_SWITCHES | HOT_WATCH_MIGRATIONS) != 0;
}

static void run_timed(void *context, size_t operations)
{
    struct guard_context *guard = context;
    uint64_t violations = 0;
    for (size_t i = 0; i < operations; i++) {
        hot_section_begin(&guard->timed);
        violations += hot_section_end(&guard->timed);
    }
    guard->violations += violations;
}

static void run_pair(void *context, size_t operations)
{
    struct guard_context *guard = context;
    uint64_t violations = 0;
    for (size_t i = 0; i < operations; i++) {
        hot_section_begin(&guard->section);
        violations += hot_section_end(&guard->section);
    }
    guard->violations += violations;
}

static uint64_t call_pairs(const struct guard_calls *calls, struct hot_section *section,
                           size_t operations)
{
    uint64_t violations = 0;
    for (size_t i = 0; i < operations; i++) {
        calls->begin(section);
        violations += calls->end(section);
    }
    return violations;
}

static void run_pair_exported(void *context, size_t operations)
{
    struct guard_context *guard = context;
    guard->violations += call_pairs(&guard->exported, &guard->section, operations);
}

static void run_calls(void *context, size_t operations)
{
    struct guard_context *guard = context;
    guard->violations += call_pairs(&guard->empty, &guard->section, operations);
}

static void begin_nothing(struct hot_section *section)
{
    BENCH_KEEP(section);
}

static uint64_t end_nothing(struct hot_section *section)
{
    BENCH_KEEP(section);
    return 0;
}

static void run_loads(void *context, size_t operations)
{
    const unsigned char *table = hot_thread_table;
    (void)context;
    for (size_t i = 0; i < operations; i++) {
        uint64_t before = hot_ring_head(table);
        uint64_t moved = hot_ring_head(table) - before;
        BENCH_KEEP(moved);
    }
}

/* ---------------------------------------------------------------------------------------- peers */

static uint64_t faults_of(const struct rusage *usage)
{
    return (uint64_t)usage->ru_minflt + (uint64_t)usage->ru_majflt;
}

static void run_getrusage(void *context, size_t operations)
{
    struct guard_context *guard = context;
    for (size_t i = 0; i < operations; i++) {
        struct rusage before, after;
        getrusage(RUSAGE_THREAD, &before);
        getrusage(RUSAGE_THREAD, &after);
        guard->violations += faults_of(&after) - faults_of(&before);
    }
}

static void run_perf_read(void *context, size_t operations)
{
    struct guard_context *guard = context;
    for (size_t i = 0; i < operations; i++) {
        uint64_t before = 0;
        uint64_t after = 0;
        ssize_t got = read(guard->perf, &before, sizeof before);
        got += read(guard->perf, &after, sizeof after);
        guard->violations += after - before + (got != (ssize_t)(2 * sizeof before));
    }
}

/* A counter of this thread's user-mode page faults. Returns a descriptor or -errno. */
static int open_fault_counter(void)
{
    struct perf_event_attr attributes;
    long descriptor;
    memset(&attributes, 0, sizeof attributes);
    attributes.size = sizeof attributes;
    attributes.type = PERF_TYPE_SOFTWARE;
    attributes.config = PERF_COUNT_SW_PAGE_FAULTS;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    descriptor =
        syscall(SYS_perf_event_open, &attributes, 0, -1, -1, (unsigned long)PERF_FLAG_FD_CLOEXEC);
    return descriptor < 0 ? -errno : (int)descriptor;
}

/* ----------------------------------------------------------------------------------------- main */

/* Why the ring cannot be measured here, or NULL. */
static const char *ring_refusal(struct guard_context *guard, char *text, size_t text_bytes)
{
    int rc = attach(guard, HOT_SOURCE_RING, 0);
    if (rc == 0)
        return NULL;
    snprintf(text, text_bytes, "the ring is refused here: %s", strerror(-rc));
    return text;
}

static const char *perf_refusal(const struct guard_context *guard, char *text, size_t text_bytes)
{
    if (guard->perf >= 0)
        return NULL;
    snprintf(text, text_bytes, "perf_event_open is refused here: %s", strerror(-guard->perf));
    return text;
}

static void list_cases(struct bench_case cases[CASE_COUNT], struct guard_context *guard,
                       const char *no_ring, const char *no_perf)
{
    const struct bench_case own[CASE_COUNT] = {
        {.name = PAIR, .run = run_pair, .prepare = prepare_ring, .left_out = no_ring},
        {.name = PAIR_EXPORTED,
         .run = run_pair_exported,
         .prepare = prepare_ring,
         .left_out = no_ring},
        {.name = CALLS, .run = run_calls},
        {.name = LOADS, .run = run_loads, .prepare = prepare_ring, .left_out = no_ring},
        {.name = "guard pair with durations",
         .run = run_timed,
         .prepare = prepare_ring,
         .left_out = no_ring},
        {.name = "guard pair, switches and migrations",
         .run = run_pair,
         .prepare = prepare_watches,
         .left_out = no_ring},
        {.name = "guard pair, rusage source", .run = run_pair, .prepare = prepare_rusage},
        {.name = "guard pair, ring and rusage",
         .run = run_pair,
         .prepare = prepare_both,
         .left_out = no_ring},
        {.name = RUSAGE, .run = run_getrusage},
        {.name = PERF, .run = run_perf_read, .left_out = no_perf},
    };
    for (size_t i = 0; i < CASE_COUNT; i++) {
        bool system = own[i].prepare == prepare_rusage || own[i].prepare == prepare_both ||
                      own[i].run == run_getrusage || own[i].run == run_perf_read;
        cases[i] = own[i];
        cases[i].context = guard;
        cases[i].operations = system ? PAIRS_SYSTEM : PAIRS_PLAIN;
        cases[i].warm = true;
    }
}

static void print_reach(const struct bench *bench, struct bench_case cases[CASE_COUNT])
{
    const struct bench_result *inlined = &bench_find(cases, CASE_COUNT, PAIR)->result;
    const struct bench_result *rusage = &bench_find(cases, CASE_COUNT, RUSAGE)->result;
    if (bench_find(cases, CASE_COUNT, PAIR)->left_out != NULL)
        return;
    bench_print_reach(bench, PAIR, inlined->best, BENCH_AT_MOST, 2.0, "ns");
    bench_print_reach(bench, "getrusage pair beside the inlined pair", rusage->ratio,
                      BENCH_AT_LEAST, 200.0, "x");
}

int main(int argc, char **argv)
{
    struct bench bench;
    struct bench_case cases[CASE_COUNT];
    struct guard_context guard = {.section = HOT_SECTION("bench", .policies = QUIET),
                                  .timed = HOT_SECTION("timed", .timed = true),
                                  .exported = {hot_section_begin, hot_section_end},
                                  .empty = {begin_nothing, end_nothing}};
    char ring_text[128];
    char perf_text[128];
    int status = bench_begin(&bench, "guard", IDEA, argc, argv);
    if (status != BENCH_CONTINUE)
        return status;
    BENCH_KEEP(&guard); /* the compiler may not know what the pointers point to */
    guard.perf = open_fault_counter();
    list_cases(cases, &guard, ring_refusal(&guard, ring_text, sizeof ring_text),
               perf_refusal(&guard, perf_text, sizeof perf_text));
    status = bench_run(&bench, cases, CASE_COUNT, PAIR);
    print_reach(&bench, cases);
    if (guard.violations != 0 && !bench.instrumented) {
        fprintf(stderr, "bench_guard: %llu violations in empty sections\n",
                (unsigned long long)guard.violations);
        status = BENCH_FAILED;
    }
    hot_thread_detach();
    if (guard.perf >= 0)
        close(guard.perf);
    return bench_end(&bench, status);
}
