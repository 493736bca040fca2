/* Violations, sources and kinds for people. Unknown parts of a violation are left out, not
 * printed as zero. */
#include <zerofault/hot.h>

#include <errno.h>
#include <inttypes.h>

const char *hot_source_name(enum hot_source source)
{
    switch (source) {
    case HOT_SOURCE_AUTO:
        return "automatic";
    case HOT_SOURCE_RING:
        return "ring";
    case HOT_SOURCE_RUSAGE:
        return "rusage";
    case HOT_SOURCE_BOTH:
        return "ring and rusage";
    case HOT_SOURCE_NONE:
        return "none";
    }
    return "unknown";
}

const char *hot_kind_name(enum hot_kind kind)
{
    static const char *const names[HOT_KIND_COUNT] = {
        [HOT_MISUSE] = "misuse",
        [HOT_MAJOR_FAULT] = "major page fault",
        [HOT_FAULT] = "page fault",
        [HOT_KERNEL_FAULT] = "page fault in a system call",
        [HOT_REFUSED] = "refused allocation",
        [HOT_SYSTEM_CALL] = "system call",
        [HOT_SWITCH] = "context switch",
        [HOT_PREEMPTION] = "preemption",
        [HOT_MIGRATION] = "migration to another CPU",
        [HOT_OVER_BUDGET] = "over budget",
    };
    return (unsigned)kind < HOT_KIND_COUNT ? names[kind] : "unknown";
}

static void print_what(const struct hot_violation *violation, FILE *stream)
{
    fprintf(stream, "zerofault: hot section \"%s\": %s", violation->section->name,
            hot_kind_name(violation->kind));
    if (violation->count > 1)
        fprintf(stream, ", %" PRIu64 " times", violation->count);
    fprintf(stream, "\n    section at %s:%" PRIu32 ", thread %" PRIu32 ", seen by %s\n",
            violation->section->file, violation->section->line, violation->thread_id,
            hot_source_name(violation->source));
}

static void print_where(const struct hot_violation *violation, FILE *stream)
{
    if (violation->address != 0)
        fprintf(stream, "    address 0x%" PRIxPTR, violation->address);
    if (violation->arena != NULL)
        fprintf(stream, " = arena \"%s\" + %zu bytes", violation->arena,
                violation->arena_offset_bytes);
    if (violation->instruction != 0 && violation->address != 0)
        fprintf(stream, ", by the instruction at 0x%" PRIxPTR, violation->instruction);
    if (violation->address != 0)
        fprintf(stream, "\n");
    if (violation->time_ns != 0)
        fprintf(stream, "    at %" PRIu64 ".%09" PRIu64 " s of the monotonic clock\n",
                violation->time_ns / 1000000000u, violation->time_ns % 1000000000u);
    if (violation->kind == HOT_SYSTEM_CALL)
        fprintf(stream, "    first: %s (number %ld), by the instruction at 0x%" PRIxPTR "\n",
                hot_system_call_name(violation->system_call), violation->system_call,
                violation->instruction);
    if (violation->kind == HOT_REFUSED)
        fprintf(stream, "    last request: %zu bytes\n", violation->request_bytes);
    if (violation->kind == HOT_OVER_BUDGET)
        fprintf(stream, "    took %" PRIu64 " ns, the budget is %" PRIu64 " ns\n",
                violation->duration_ns, violation->section->budget_ns);
    if (violation->kind == HOT_MIGRATION)
        fprintf(stream, "    from CPU %" PRIu32 " to CPU %" PRIu32 "\n", violation->cpu_before,
                violation->cpu_after);
}

int hot_violation_print(const struct hot_violation *violation, FILE *stream)
{
    if (violation == NULL || violation->section == NULL || stream == NULL)
        return -EINVAL;
    print_what(violation, stream);
    print_where(violation, stream);
    /* What is only in the buffer has not arrived yet. */
    return fflush(stream) != 0 || ferror(stream) ? -EIO : 0;
}
