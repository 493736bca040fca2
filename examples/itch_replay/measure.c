/*
 * The measured replay: one mode, in a process of its own.
 *
 * All that the loop touches and that is not the books' memory is made warm in the same way for
 * every mode: the file's window is in an arena, code, static data and stack are touched, the guard
 * is attached. Then what faults is the books' memory, and nothing else. The time stamps are taken
 * inside the hot section, so what the guard itself costs is not in them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "clock.h"
#include "input.h"
#include "prefault.h"
#include "replay.h"

static struct hot_section message_section = HOT_SECTION("itch message", .policy = HOT_CALLBACK);

/* What the loop works with, besides the file's window and the books' memory. */
struct stage {
    struct input input;                   /* the file */
    struct mode_memory memory;            /* as the mode prepared it */
    struct books books;                   /* in that memory */
    struct hot_histogram ticks;           /* duration of each message */
    struct hot_violation first_violation; /* what to show if a mode should have had none */
    char first_arena[ARENA_NAME_MAX];     /* its arena's name */
    uint64_t violations;                  /* all that the sections returned */
};

/* All that is compared before and after the loop. */
struct reading {
    uint64_t ticks;       /* of the clock that times messages */
    uint64_t time_ns;     /* of the clock that gives ticks their length */
    uint64_t faults;      /* minor and major, of this thread so far */
    uint64_t preemptions; /* likewise */
};

static int fail(const char *what, int error)
{
    fprintf(stderr, "itch_replay: %s: %s\n", what, strerror(-error));
    return -1;
}

/* ---------------------------------------------------------------------------------- preparation */

/* Open the file behind a window of memory that is warm in every mode. */
static int open_window(struct input *input, int fd, size_t window_bytes)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena;
    int rc = arena_create(&arena, &ARENA_OPTIONS(.name = "file", .capacity_bytes = window_bytes));
    if (rc != 0)
        return fail("no address space for the file", rc);
    rc = arena_warmup(arena, NULL, &report);
    if (rc != 0) {
        warmup_report_print(&report, stderr);
        return -1;
    }
    if (input_open(input, fd, arena_alloc(arena, window_bytes, 1), window_bytes) != ITCH_MESSAGE)
        return fail("the file is no longer what it was", -EIO);
    return 0;
}

/* Keep the first violation. This runs at the end of the section, after its time is taken. */
static void on_violation(const struct hot_violation *violation, void *context)
{
    struct stage *stage = context;
    if (stage->first_violation.section != NULL)
        return;
    stage->first_violation = *violation;
    /* What it points to is gone when this returns. */
    stage->first_violation.frames = NULL;
    stage->first_violation.frame_count = 0;
    if (violation->arena != NULL) {
        snprintf(stage->first_arena, sizeof stage->first_arena, "%s", violation->arena);
        stage->first_violation.arena = stage->first_arena;
    }
}

/* Attach this thread's guard and let the section find its place, so that neither is in the loop. */
static int attach_guard(struct stage *stage, struct outcome *outcome)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    int rc = hot_thread_attach(NULL, &report);
    if (rc != 0)
        return fail("cannot attach the guard", rc);
    if (report.remedy != NULL)
        snprintf(outcome->remedy, sizeof outcome->remedy, "%s", report.remedy);
    outcome->source = report.active;
    message_section.hook = on_violation;
    message_section.hook_context = stage;
    hot_section_begin(&message_section);
    hot_section_end(&message_section);
    return 0;
}

/* Prepare the mode's memory and the books in it, and time both. */
static int prepare_books(struct stage *stage, const struct mode *mode, const struct plan *plan,
                         struct outcome *outcome)
{
    uint64_t start_ns = clock_monotonic_ns();
    int rc = mode->prepare(&stage->memory, &plan->capacity);
    if (rc == 0)
        rc = books_create(&stage->books, &stage->memory.books, &plan->capacity);
    outcome->warmup_ns = clock_monotonic_ns() - start_ns;
    memcpy(outcome->note, stage->memory.note, sizeof outcome->note);
    return rc == 0 ? 0 : fail("cannot prepare the books' memory", rc);
}

/* ----------------------------------------------------------------------------------------- loop */

static struct reading take_reading(void)
{
    struct rusage usage;
    struct reading reading;
    getrusage(RUSAGE_THREAD, &usage);
    reading.faults = (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
    reading.preemptions = (uint64_t)usage.ru_nivcsw;
    reading.time_ns = clock_monotonic_ns();
    reading.ticks = clock_ticks();
    return reading;
}

/* The hot loop. Returns 0, or -errno when a message found no memory. */
static int run(struct stage *stage, uint64_t messages)
{
    const uint8_t *message;
    int rc = 0;
    while (rc == 0 && stage->input.message_index < messages) {
        uint64_t start, stop;
        if (input_next(&stage->input, &message) != ITCH_MESSAGE)
            return -EIO;
        hot_section_begin(&message_section);
        start = clock_ticks();
        rc = books_apply(&stage->books, message);
        stop = clock_ticks();
        stage->violations += hot_section_end(&message_section);
        hot_histogram_record(&stage->ticks, stop - start);
    }
    return rc;
}

/* -------------------------------------------------------------------------------------- outcome */

static uint64_t quantile_ns(const struct stage *stage, uint32_t parts_per_million,
                            double ns_per_tick)
{
    uint64_t ticks = hot_histogram_quantile(&stage->ticks, parts_per_million);
    return (uint64_t)((double)ticks * ns_per_tick + 0.5);
}

static void report_durations(const struct stage *stage, const struct reading *before,
                             const struct reading *after, struct outcome *outcome)
{
    double ns_per_tick =
        (double)(after->time_ns - before->time_ns) / (double)(after->ticks - before->ticks);
    outcome->p50_ns = quantile_ns(stage, 500000, ns_per_tick);
    outcome->p99_ns = quantile_ns(stage, 990000, ns_per_tick);
    outcome->p999_ns = quantile_ns(stage, 999000, ns_per_tick);
    outcome->max_ns = quantile_ns(stage, 1000000, ns_per_tick);
}

static void report_violations(const struct stage *stage, struct outcome *outcome)
{
    struct hot_section_statistics seen = HOT_SECTION_STATISTICS_INIT;
    hot_section_stats(&message_section, &seen);
    outcome->section_faults = seen.counts[HOT_FAULT];
    outcome->other_violations = stage->violations - seen.counts[HOT_FAULT];
}

int replay_measure(int fd, const struct mode *mode, const struct plan *plan,
                   struct outcome *outcome)
{
    static struct stage stage;
    struct reading before, after;
    int rc;
    if (open_window(&stage.input, fd, plan->window_bytes) != 0 ||
        attach_guard(&stage, outcome) != 0 || prepare_books(&stage, mode, plan, outcome) != 0)
        return -1;
    prefault_process();

    before = take_reading();
    rc = run(&stage, plan->messages);
    after = take_reading();
    if (rc != 0)
        return fail("the replay stopped", rc);

    outcome->messages = stage.input.message_index;
    outcome->rusage_faults = after.faults - before.faults;
    outcome->preemptions = after.preemptions - before.preemptions;
    outcome->checksum = books_checksum(&stage.books);
    report_durations(&stage, &before, &after, outcome);
    report_violations(&stage, outcome);
    if (outcome->section_faults > 0 && stage.memory.arena != NULL)
        hot_violation_print(&stage.first_violation, stderr);
    return 0;
}
