/*
 * What it costs to know that a piece of code took no page fault.
 *
 * Every case does one begin and one end with nothing between them: the whole cost shows, but none
 * of it hides behind the work of a real section, as much of it would. Ours through the header and
 * through the exported symbols, with each source, watch and wish of a section, and what programs
 * do instead: two getrusage calls, or two reads of a perf counter. A case whose source or watch
 * the kernel refuses here is left out with the reason.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <zerofault/hot.h>

#include "clock.h"
#include "guard_off.h"
#include "harness.h"

#define IDEA "The price of a pair of calls that tell whether a page fault happened between them."
#define PAIR "guard pair, inlined"
#define TIMED "guard pair, with durations"
#define STAMPS "two reads of the clock"
#define RUSAGE "getrusage pair"
#define PERF "perf counter, two reads"

#define PAIRS_PLAIN 8192 /* in a batch of loads and stores: some microseconds */
#define PAIRS_SYSTEM 64  /* in a batch of system calls */

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
    enum hot_source source; /* of this thread's guard */
    uint32_t watched;       /* by it, of enum hot_watch */
    uint64_t violations;    /* must stay 0 */
    int perf;               /* the page-fault counter, or -errno of its refusal */
};

static struct guard_context guard;

/* One case: what is measured, and how the thread is attached for it. */
struct guard_case {
    const char *name;
    void (*run)(void *context, size_t operations);
    _Alignas(64) struct hot_section section; /* a new one each: no case inherits a slot */
    struct guard_calls calls;                /* for run_calls */
    enum hot_source source;
    uint32_t watch;
    bool off;    /* all guards switched off */
    bool system; /* it makes system calls: fewer make a batch */
    char why_not[128];
};

/* ------------------------------------------------------------------------------------ our pairs */

/* Attach this thread as the case wants it, unless it is. Returns 0 or -errno. */
static int attach(const struct guard_case *one)
{
    int rc;
    if (hot_source_active() != HOT_SOURCE_NONE && guard.source == one->source &&
        guard.watched == one->watch)
        return 0;
    hot_thread_detach();
    rc =
        hot_thread_attach(&HOT_THREAD_OPTIONS(.source = one->source, .required = one->watch), NULL);
    guard.source = one->source;
    guard.watched = one->watch;
    return rc;
}

static void prepare(void *context)
{
    struct guard_case *one = context;
    hot_switch(!one->off);
    if (one->source == HOT_SOURCE_AUTO)
        return;
    guard.violations += attach(one) != 0;
    /* The first entry of a section on a thread goes the long way. */
    hot_section_begin(&one->section);
    guard.violations += hot_section_end(&one->section);
}

static void run_pair(void *context, size_t operations)
{
    struct guard_case *one = context;
    uint64_t violations = 0;
    for (size_t i = 0; i < operations; i++) {
        hot_section_begin(&one->section);
        violations += hot_section_end(&one->section);
    }
    guard.violations += violations;
}

static void run_calls(void *context, size_t operations)
{
    struct guard_case *one = context;
    struct guard_calls calls = one->calls;
    for (size_t i = 0; i < operations; i++) {
        calls.begin(&one->section);
        guard.violations += calls.end(&one->section);
    }
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

static void run_compiled_out(void *context, size_t operations)
{
    struct guard_case *one = context;
    guard.violations += guard_off_pairs(&one->section, operations);
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

static void run_stamps(void *context, size_t operations)
{
    (void)context;
    for (size_t i = 0; i < operations; i++) {
        uint64_t before = bench_stamp();
        uint64_t spent = bench_stamp() - before;
        BENCH_KEEP(spent);
    }
}

/* ---------------------------------------------------------------------------------------- peers */

static uint64_t faults_of(const struct rusage *usage)
{
    return (uint64_t)usage->ru_minflt + (uint64_t)usage->ru_majflt;
}

static void run_getrusage(void *context, size_t operations)
{
    (void)context;
    for (size_t i = 0; i < operations; i++) {
        struct rusage before, after;
        getrusage(RUSAGE_THREAD, &before);
        getrusage(RUSAGE_THREAD, &after);
        guard.violations += faults_of(&after) - faults_of(&before);
    }
}

static void run_perf_read(void *context, size_t operations)
{
    (void)context;
    for (size_t i = 0; i < operations; i++) {
        uint64_t before = 0;
        uint64_t after = 0;
        ssize_t got = read(guard.perf, &before, sizeof before);
        got += read(guard.perf, &after, sizeof after);
        guard.violations += after - before + (got != (ssize_t)(2 * sizeof before));
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

/* ---------------------------------------------------------------------------------------- cases */

#define RING .source = HOT_SOURCE_RING

static struct guard_case guard_cases[] = {
    {.name = PAIR, .run = run_pair, .section = HOT_SECTION("bench"), RING},
    {.name = "guard pair, entries counted",
     .run = run_pair,
     .section = HOT_SECTION("bench", .counted = true),
     RING},
    {.name = "guard pair, exported functions",
     .run = run_calls,
     .section = HOT_SECTION("bench"),
     .calls = {hot_section_begin, hot_section_end},
     RING},
    {.name = "two empty functions, by pointer",
     .run = run_calls,
     .section = HOT_SECTION("bench"),
     .calls = {begin_nothing, end_nothing}},
    {.name = "two loads of the ring's head",
     .run = run_loads,
     .section = HOT_SECTION("bench"),
     RING},
    {.name = TIMED, .run = run_pair, .section = HOT_SECTION("bench", .timed = true), RING},
    {.name = "guard pair, with a budget",
     .run = run_pair,
     .section = HOT_SECTION("bench", .budget_ns = UINT64_MAX),
     RING},
    {.name = STAMPS, .run = run_stamps, .section = HOT_SECTION("bench")},
    {.name = "guard pair, kernel faults in the ring",
     .run = run_pair,
     .section = HOT_SECTION("bench"),
     RING,
     .watch = HOT_WATCH_KERNEL_FAULTS},
    {.name = "guard pair, call chains",
     .run = run_pair,
     .section = HOT_SECTION("bench"),
     RING,
     .watch = HOT_WATCH_CALL_CHAINS},
    {.name = "guard pair, traps",
     .run = run_pair,
     .section = HOT_SECTION("bench"),
     RING,
     .watch = HOT_WATCH_TRAPS},
    {.name = "guard pair, switches",
     .run = run_pair,
     .section = HOT_SECTION("bench", .policies = QUIET),
     RING,
     .watch = HOT_WATCH_SWITCHES},
    {.name = "guard pair, migrations",
     .run = run_pair,
     .section = HOT_SECTION("bench", .policies = QUIET),
     RING,
     .watch = HOT_WATCH_MIGRATIONS},
    {.name = "guard pair, system calls",
     .run = run_pair,
     .section = HOT_SECTION("bench"),
     RING,
     .watch = HOT_WATCH_SYSTEM_CALLS},
    {.name = "guard pair, switched off",
     .run = run_pair,
     .section = HOT_SECTION("bench"),
     .off = true},
    {.name = "guard pair, compiled out: the loop",
     .run = run_compiled_out,
     .section = HOT_SECTION("bench")},
    {.name = "guard pair, rusage source",
     .run = run_pair,
     .section = HOT_SECTION("bench"),
     .source = HOT_SOURCE_RUSAGE,
     .system = true},
    {.name = "guard pair, ring and rusage",
     .run = run_pair,
     .section = HOT_SECTION("bench"),
     .source = HOT_SOURCE_BOTH,
     .system = true},
    {.name = RUSAGE, .run = run_getrusage, .section = HOT_SECTION("bench"), .system = true},
    {.name = PERF, .run = run_perf_read, .section = HOT_SECTION("bench"), .system = true},
};
#define CASE_COUNT (sizeof guard_cases / sizeof guard_cases[0])

/* Why a case cannot be measured here, or NULL. */
static const char *refusal(struct guard_case *one)
{
    int rc = 0;
    if (one->run == run_perf_read && guard.perf < 0)
        rc = guard.perf;
    else if (one->source != HOT_SOURCE_AUTO)
        rc = attach(one);
    if (rc == 0)
        return NULL;
    snprintf(one->why_not, sizeof one->why_not, "refused here: %s", strerror(-rc));
    return one->why_not;
}

static void list_cases(struct bench_case cases[CASE_COUNT])
{
    for (size_t i = 0; i < CASE_COUNT; i++) {
        struct guard_case *one = &guard_cases[i];
        cases[i] = (struct bench_case){.name = one->name,
                                       .run = one->run,
                                       .prepare = prepare,
                                       .context = one,
                                       .operations = one->system ? PAIRS_SYSTEM : PAIRS_PLAIN,
                                       .left_out = refusal(one),
                                       .warm = true};
    }
}

/* ----------------------------------------------------------------------------------------- main */

/* How much cheaper each case is than what programs do by hand. */
static void print_peers(const struct bench *bench, struct bench_case cases[CASE_COUNT])
{
    double rusage = bench_find(cases, CASE_COUNT, RUSAGE)->result.ratio;
    const struct bench_case *perf = bench_find(cases, CASE_COUNT, PERF);
    bool heading = true;
    for (size_t i = 0; i < CASE_COUNT; i++) {
        double own = cases[i].result.ratio;
        const struct bench_metric metrics[] = {
            {"getrusage", rusage / own, "x"},
            {"perf read", perf->left_out == NULL ? perf->result.ratio / own : (double)NAN, "x"},
        };
        if (cases[i].left_out != NULL || isnan(own))
            continue;
        bench_print(bench, cases[i].name, metrics, sizeof metrics / sizeof metrics[0], heading);
        heading = false;
    }
}

static void print_reach(const struct bench *bench, struct bench_case cases[CASE_COUNT])
{
    const struct bench_case *inlined = bench_find(cases, CASE_COUNT, PAIR);
    const struct bench_result *timed = &bench_find(cases, CASE_COUNT, TIMED)->result;
    const struct bench_result *stamps = &bench_find(cases, CASE_COUNT, STAMPS)->result;
    if (inlined->left_out != NULL)
        return;
    bench_print_reach(bench, PAIR, inlined->result.best, BENCH_AT_MOST, 1.0, "ns");
    bench_print_reach(bench, "getrusage pair beside the inlined pair",
                      bench_find(cases, CASE_COUNT, RUSAGE)->result.ratio, BENCH_AT_LEAST, 200.0,
                      "x");
    bench_print_reach(bench, "durations: what they add, in pairs of clock reads",
                      (timed->best - inlined->result.best) / stamps->best, BENCH_AT_MOST, 1.0, "x");
}

int main(int argc, char **argv)
{
    struct bench bench;
    struct bench_case cases[CASE_COUNT];
    int status = bench_begin(&bench, "guard", IDEA, argc, argv);
    if (status != BENCH_CONTINUE)
        return status;
    guard.perf = open_fault_counter();
    list_cases(cases);
    status = bench_run(&bench, cases, CASE_COUNT, PAIR);
    print_peers(&bench, cases);
    print_reach(&bench, cases);
    if (guard.violations != 0 && !bench.instrumented) {
        fprintf(stderr, "bench_guard: %llu violations in empty sections\n",
                (unsigned long long)guard.violations);
        status = BENCH_FAILED;
    }
    hot_switch(true);
    hot_thread_detach();
    if (guard.perf >= 0)
        close(guard.perf);
    return bench_end(&bench, status);
}
