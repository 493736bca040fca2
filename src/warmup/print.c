/*
 * The report as text for people; see warmup_report_print.
 *
 * One line per wish, asked against got, in the order of the steps. What was not asked for says
 * "off", and what is not known is left out: no column is ever filled with a number that nobody
 * measured. The text is for reading, not for parsing.
 */
#include <zerofault/warmup.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/options.h"
#include "warmup/print.h"

#define MEBIBYTE (1024.0 * 1024.0)

static double mebibytes(size_t bytes)
{
    return (double)bytes / MEBIBYTE;
}

/* The few errors that a report can hold, by the names that manual pages use. */
static const char *error_name(int error)
{
    static const struct {
        int error;
        const char *name;
    } names[] = {{EPERM, "EPERM"},         {ENOMEM, "ENOMEM"},
                 {EAGAIN, "EAGAIN"},       {EBUSY, "EBUSY"},
                 {EINVAL, "EINVAL"},       {EFAULT, "EFAULT"},
                 {ENODEV, "ENODEV"},       {ENODATA, "ENODATA"},
                 {EACCES, "EACCES"},       {ECANCELED, "ECANCELED"},
                 {EHWPOISON, "EHWPOISON"}, {EOPNOTSUPP, "EOPNOTSUPP"},
                 {E2BIG, "E2BIG"},         {EIO, "EIO"},
                 {ENOSYS, "ENOSYS"},       {EXDEV, "EXDEV"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i)
        if (names[i].error == -error)
            return names[i].name;
    return "error";
}

void zf_warmup_print_error(FILE *stream, int error)
{
    fprintf(stream, "%s (%s)", error_name(error), strerror(-error));
}

static void print_item(FILE *stream, const char *title, const struct warmup_item *item)
{
    static const char *const wishes[] = {"default", "off", "prefer", "require"};
    fprintf(stream, "  %-*s", ZF_COLUMN_WIDTH, title);
    if (item->asked == WARMUP_OFF || (unsigned)item->asked > WARMUP_REQUIRE) {
        fputs("off\n", stream);
        return;
    }
    fprintf(stream, "%-8s ", wishes[item->asked]);
    if (item->asked_bytes == 0)
        fputs("nothing to do", stream);
    else
        fprintf(stream, "%10.1f of %.1f MiB (%.1f %%)", mebibytes(item->granted_bytes),
                mebibytes(item->asked_bytes),
                100.0 * (double)item->granted_bytes / (double)item->asked_bytes);
    if (item->error != 0) {
        fputs("  ", stream);
        zf_warmup_print_error(stream, item->error);
    }
    fputc('\n', stream);
    if (item->remedy != NULL)
        fprintf(stream, "  %-*s-> %s\n", ZF_COLUMN_WIDTH, "", item->remedy);
}

/* Pools are for few programs: the others do not read about them. */
static void print_hugetlb(FILE *stream, const char *title, const struct warmup_hugetlb *hugetlb)
{
    if (hugetlb->item.asked != WARMUP_PREFER && hugetlb->item.asked != WARMUP_REQUIRE)
        return;
    print_item(stream, title, &hugetlb->item);
    zf_warmup_print_pool(stream, hugetlb);
}

static void print_header(FILE *stream, const struct warmup_report *report)
{
    fprintf(stream, "warmup of %s: %.1f MiB in pages of %zu KiB: ",
            report->name[0] != '\0' ? report->name : "a region", mebibytes(report->size_bytes),
            report->page_bytes / 1024);
    if (report->result == 0)
        fputs(report->proven ? "warm, proven" : "done, not proven", stream);
    else
        zf_warmup_print_error(stream, report->result);
    fputc('\n', stream);
    if (report->limit == WARMUP_LIMIT_MAPPINGS)
        fprintf(stream, "  %-*s%s: needs %zu, has %zu left\n", ZF_COLUMN_WIDTH, "limit",
                warmup_limit_name(report->limit), report->limit_needed_bytes,
                report->limit_free_bytes);
    else if (report->limit != WARMUP_LIMIT_NONE)
        fprintf(stream, "  %-*s%s: needs %.1f MiB, has %.1f MiB left\n", ZF_COLUMN_WIDTH, "limit",
                warmup_limit_name(report->limit), mebibytes(report->limit_needed_bytes),
                mebibytes(report->limit_free_bytes));
}

/* A verify reports what it found, and at most the proof. */
static bool has_run(const struct warmup_report *report)
{
    return report->spent_ns[WARMUP_PREFLIGHT] != 0;
}

static void print_method(FILE *stream, const struct warmup_report *report)
{
    if (!has_run(report))
        return;
    fprintf(stream, "  %-*s%s", ZF_COLUMN_WIDTH, "method", warmup_method_name(report->method));
    if (report->fallback_error != 0) {
        fputs(", because the one before it said ", stream);
        zf_warmup_print_error(stream, report->fallback_error);
    }
    fputc('\n', stream);
}

static void print_bind(FILE *stream, const struct warmup_report *report)
{
    char title[32];
    if (report->bind.asked == WARMUP_OFF ||
        (report->node < 0 && report->placement >= ARENA_INTERLEAVE))
        (void)snprintf(title, sizeof title, "nodes");
    else if (report->node >= 0)
        (void)snprintf(title, sizeof title, "node %d", report->node);
    else
        (void)snprintf(title, sizeof title, "node local");
    print_item(stream, title, &report->bind);
    if (report->nodes_count == 0)
        return;
    fprintf(stream, "  %-*s", ZF_COLUMN_WIDTH, "");
    for (size_t i = 0; i < report->nodes_count && i < WARMUP_NODES_MAX; ++i)
        fprintf(stream, "%s%.1f MiB on node %d", i == 0 ? "" : ", ",
                mebibytes(report->nodes[i].resident_bytes), report->nodes[i].node);
    if (report->misplaced_bytes != 0)
        fprintf(stream, "; %.1f MiB misplaced", mebibytes(report->misplaced_bytes));
    fputc('\n', stream);
}

static void print_time(FILE *stream, const struct warmup_report *report)
{
    const char *before = "";
    for (int phase = 0; phase < WARMUP_PHASE_COUNT; ++phase) {
        if (report->spent_ns[phase] == 0)
            continue;
        if (*before == '\0')
            fprintf(stream, "  %-*s", ZF_COLUMN_WIDTH, "time");
        fprintf(stream, "%s%s %.2f", before, warmup_phase_name((enum warmup_phase)phase),
                (double)report->spent_ns[phase] / 1e6);
        before = ", ";
    }
    if (*before != '\0')
        fputs(" ms\n", stream);
}

/* Only where there was to be more than the calling thread. */
static void print_threads(FILE *stream, const struct warmup_report *report)
{
    if (report->threads_asked <= 1)
        return;
    fprintf(stream, "  %-*s%zu of %zu", ZF_COLUMN_WIDTH, "threads", report->threads_got,
            report->threads_asked);
    if (report->threads_error != 0) {
        fputs("  ", stream);
        zf_warmup_print_error(stream, report->threads_error);
    }
    fputc('\n', stream);
    if (report->threads_remedy != NULL)
        fprintf(stream, "  %-*s-> %s\n", ZF_COLUMN_WIDTH, "", report->threads_remedy);
}

static void print_outcome(FILE *stream, const struct warmup_report *report)
{
    fprintf(stream, "  %-*s%llu minor, %llu major in %s\n", ZF_COLUMN_WIDTH, "faults",
            (unsigned long long)report->faults_minor, (unsigned long long)report->faults_major,
            report->threads_got > 1 ? "all threads" : "this thread");
    if (report->spent_ns[WARMUP_PROVE] != 0)
        fprintf(stream, "  %-*s%llu faults in a write to each page\n", ZF_COLUMN_WIDTH, "proof",
                (unsigned long long)report->proof_faults);
    else if (has_run(report))
        fprintf(stream, "  %-*snot reached\n", ZF_COLUMN_WIDTH, "proof");
    print_time(stream, report);
}

/* What is only in the buffer has not arrived yet. */
static int judge(FILE *stream)
{
    return fflush(stream) != 0 || ferror(stream) != 0 ? -EIO : 0;
}

int warmup_report_print(const struct warmup_report *report, FILE *stream)
{
    struct warmup_report known = WARMUP_REPORT_INIT;
    if (stream == NULL || zf_result_check(report) != 0)
        return -EINVAL;
    /* Of a newer program's longer struct, print what this version knows. */
    zf_result_give(&known, report,
                   report->struct_size < sizeof known ? report->struct_size : sizeof known);
    known.name[sizeof known.name - 1] = '\0';
    if (known.size_bytes == 0) {
        /* The call failed before it had anything to report. */
        fputs("no warmup has run\n", stream);
        return judge(stream);
    }
    print_header(stream, &known);
    print_item(stream, "populate", &known.populate);
    print_method(stream, &known);
    print_bind(stream, &known);
    print_hugetlb(stream, "hugetlb 1G", &known.hugetlb_1g);
    print_hugetlb(stream, "hugetlb 2M", &known.hugetlb_2m);
    print_item(stream, "huge pages", &known.huge_pages);
    zf_warmup_print_sizes(stream, &known);
    print_item(stream, "lock", &known.lock);
    print_item(stream, "fork", &known.fork);
    print_item(stream, "name", &known.name_item);
    print_item(stream, "freeze", &known.freeze);
    print_threads(stream, &known);
    print_outcome(stream, &known);
    return judge(stream);
}
