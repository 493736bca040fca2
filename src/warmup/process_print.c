/*
 * The report on a process or a thread as text for people; see process_report_print.
 *
 * One line per part, asked against got, with what it took. What was not asked for says "off"; the
 * objects that bind late are named, because relinking them is the remedy. For reading, not parsing.
 */
#include <zerofault/process.h>

#include <errno.h>

#include "base/options.h"
#include "warmup/print.h"

#define COLUMN_WIDTH 10

static double kibibytes(size_t bytes)
{
    return (double)bytes / 1024.0;
}

static void print_item(FILE *stream, const char *title, const struct process_item *item)
{
    static const char *const wishes[] = {"default", "off", "prefer", "require"};
    fprintf(stream, "  %-*s", COLUMN_WIDTH, title);
    if (item->asked == WARMUP_OFF || (unsigned)item->asked > WARMUP_REQUIRE) {
        fputs("off\n", stream);
        return;
    }
    fprintf(stream, "%-8s ", wishes[item->asked]);
    if (item->asked_bytes == 0)
        fprintf(stream, "%22s", item->error == 0 ? "done" : "not done");
    else
        fprintf(stream, "%8.0f of %7.0f KiB", kibibytes(item->granted_bytes),
                kibibytes(item->asked_bytes));
    fprintf(stream, ", %6llu faults, %8.3f ms", (unsigned long long)item->faults,
            (double)item->spent_ns / 1e6);
    if (item->error != 0) {
        fputs("  ", stream);
        zf_warmup_print_error(stream, item->error);
    }
    fputc('\n', stream);
    if (item->remedy != NULL)
        fprintf(stream, "  %-*s-> %s\n", COLUMN_WIDTH, "", item->remedy);
}

static void print_header(FILE *stream, const struct process_report *report)
{
    fprintf(stream, "warmup by thread %u: ", (unsigned)report->thread_id);
    if (report->result == 0)
        fputs(report->proven ? "warm, proven" : "done, not proven", stream);
    else
        zf_warmup_print_error(stream, report->result);
    fputc('\n', stream);
}

/* Slots are too few for KiB. */
static void print_binding(FILE *stream, const struct process_report *report)
{
    const struct process_item *item = &report->binding;
    if (item->asked == WARMUP_OFF) {
        print_item(stream, "binding", item);
        return;
    }
    fprintf(stream, "  %-*s%zu of %zu function slots bound in %zu objects\n", COLUMN_WIDTH,
            "binding", item->granted_bytes / sizeof(void *), item->asked_bytes / sizeof(void *),
            report->objects);
    if (report->lazy_slots != 0)
        fprintf(stream, "  %-*s%zu to be bound by their first call, in %zu objects: %s%s\n",
                COLUMN_WIDTH, "", report->lazy_slots, report->lazy_objects, report->lazy_object,
                report->lazy_objects > 1 ? ", ..." : "");
    if (item->remedy != NULL)
        fprintf(stream, "  %-*s-> %s\n", COLUMN_WIDTH, "", item->remedy);
}

/* What is only in the buffer has not arrived yet. */
static int judge(FILE *stream)
{
    return fflush(stream) != 0 || ferror(stream) != 0 ? -EIO : 0;
}

int process_report_print(const struct process_report *report, FILE *stream)
{
    struct process_report known = PROCESS_REPORT_INIT;
    if (stream == NULL || zf_result_check(report) != 0)
        return -EINVAL;
    /* Of a newer program's longer struct, print what this version knows. */
    zf_result_give(&known, report,
                   report->struct_size < sizeof known ? report->struct_size : sizeof known);
    known.lazy_object[sizeof known.lazy_object - 1] = '\0';
    if (known.thread_id == 0) {
        /* The call failed before it had anything to report. */
        fputs("no warmup has run\n", stream);
        return judge(stream);
    }
    print_header(stream, &known);
    print_item(stream, "code", &known.code);
    print_item(stream, "data", &known.data);
    print_item(stream, "tls", &known.tls);
    print_item(stream, "heap", &known.heap);
    print_item(stream, "stack", &known.stack);
    print_item(stream, "clock", &known.clock);
    print_item(stream, "lock", &known.lock);
    print_binding(stream, &known);
    fprintf(stream, "  %-*s%llu minor, %llu major in this thread; %llu in the proof\n",
            COLUMN_WIDTH, "faults", (unsigned long long)known.faults_minor,
            (unsigned long long)known.faults_major, (unsigned long long)known.proof_faults);
    return judge(stream);
}
