/*
 * tracer FILE: hot sections on a timeline.
 *
 * A loop of frames, each with two inner sections, runs under a tracer that writes what it is told
 * into a warm arena; afterwards the arena is printed as a trace that https://ui.perfetto.dev and
 * chrome://tracing open. One frame in four uses a page for the first time: its fault stands on the
 * timeline where it happened, with its address.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include <zerofault/zerofault.h>

#define FRAMES 12
#define ENTRIES_MAX 256
#define BUFFER_BYTES (64u << 10)
#define STEP_BYTES 1024 /* from frame to frame: every fourth one is on a new page */

/* ----------------------------------------------------------------------------------- the tracer */

struct entry {
    char phase; /* B begin, E end, i instant: as the trace format names them */
    uint32_t thread_id;
    uint64_t time_ns;
    const char *name;
    uint64_t count;    /* of an end: violations */
    uintptr_t address; /* of an instant */
};

struct trace {
    size_t count;
    struct entry *entries; /* warm */
};

/* One thread, so no lock. Several would take their places by an atomic addition. */
static void add(struct trace *trace, struct entry entry)
{
    if (trace->count < ENTRIES_MAX)
        trace->entries[trace->count++] = entry;
}

static void on_begin(const struct hot_trace_event *event, void *trace)
{
    add(trace, (struct entry){'B', event->thread_id, event->time_ns, event->section->name, 0, 0});
}

static void on_end(const struct hot_trace_event *event, void *trace)
{
    add(trace, (struct entry){'E', event->thread_id, event->time_ns, event->section->name,
                              event->violations, 0});
}

static void on_violation(const struct hot_violation *violation, void *trace)
{
    add(trace,
        (struct entry){'i', violation->thread_id, violation->time_ns,
                       hot_kind_name(violation->kind), violation->count, violation->address});
}

/* ----------------------------------------------------------------------------------- the output */

/* Time counts from the first entry. A source that does not know when a violation was leaves it at
 * the entry before. */
static void print(const struct trace *trace, FILE *file)
{
    uint64_t time_ns = trace->count > 0 ? trace->entries[0].time_ns : 0;
    uint64_t start_ns = time_ns;
    fprintf(file, "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [");
    for (size_t i = 0; i < trace->count; ++i) {
        const struct entry *entry = &trace->entries[i];
        time_ns = entry->time_ns == 0 ? time_ns : entry->time_ns;
        fprintf(file,
                "%s\n{\"ph\": \"%c\", \"name\": \"%s\", \"pid\": 1, \"tid\": %" PRIu32
                ", \"ts\": %.3f",
                i == 0 ? "" : ",", entry->phase, entry->name, entry->thread_id,
                (double)(time_ns - start_ns) / 1000);
        if (entry->phase == 'i')
            fprintf(file, ", \"s\": \"t\", \"args\": {\"address\": \"0x%" PRIxPTR "\"}",
                    entry->address);
        if (entry->phase == 'E')
            fprintf(file, ", \"args\": {\"violations\": %" PRIu64 "}", entry->count);
        fprintf(file, "}");
    }
    fprintf(file, "\n]}\n");
}

/* ------------------------------------------------------------------------------------- the loop */

static uint64_t run_frame(unsigned char *buffer, size_t frame)
{
    static struct hot_section whole = HOT_SECTION("frame");
    static struct hot_section simulate = HOT_SECTION("simulate");
    static struct hot_section draw = HOT_SECTION("draw");
    volatile unsigned char *here = buffer + frame * STEP_BYTES % BUFFER_BYTES;
    hot_section_begin(&whole);
    hot_section_begin(&simulate);
    *here = (unsigned char)frame;
    (void)hot_section_end(&simulate);
    hot_section_begin(&draw);
    for (unsigned i = 0; i < 1000; ++i)
        *here = (unsigned char)(*here + i);
    (void)hot_section_end(&draw);
    return hot_section_end(&whole);
}

/* Returns the exit status: 1, with a message, when what was written did not arrive. */
static int finish(FILE *file, const char *name)
{
    int failed = ferror(file);
    if (fclose(file) != 0 || failed)
        return fprintf(stderr, "tracer: %s cannot be written\n", name), 1;
    return 0;
}

int main(int argument_count, char **arguments)
{
    static struct trace trace;
    static const struct hot_tracer tracer =
        HOT_TRACER(.begin = on_begin, .end = on_end, .violation = on_violation, .context = &trace);
    struct arena *arena;
    static unsigned char buffer[BUFFER_BYTES];
    uint64_t violations = 0;
    FILE *file;
    int status;
    if (argument_count != 2)
        return fprintf(stderr, "usage: tracer FILE\n"), 2;
    file = fopen(arguments[1], "w");
    if (file == NULL)
        return fprintf(stderr, "tracer: %s: %s\n", arguments[1], strerror(errno)), 1;
    if (arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = sizeof(struct entry[ENTRIES_MAX]))) ||
        arena_warmup(arena, NULL, NULL))
        return fprintf(stderr, "tracer: no memory\n"), 1;
    trace.entries = arena_alloc(arena, sizeof(struct entry[ENTRIES_MAX]), alignof(struct entry));

    (void)run_frame(buffer, 0);
    (void)hot_trace(&tracer);
    for (size_t frame = 0; frame < FRAMES; ++frame)
        violations += run_frame(buffer, frame);
    (void)hot_trace(NULL);

    print(&trace, file);
    printf("%zu entries in %s, %" PRIu64 " violations, seen by %s\n", trace.count, arguments[1],
           violations, hot_source_name(hot_source_active()));
    arena_destroy(arena);
    status = finish(file, arguments[1]);
    return finish(stdout, "standard output") | status;
}
