/*
 * Output of the benches: an aligned table for people, and one JSON object per figure for programs.
 *
 * The line format {"bench","case","metric","value","unit"} stays as it is; new figures are new
 * metrics. A figure that is unknown (NaN) has no line. Names are ours and plain, but they are
 * escaped all the same, because a reason can carry any text.
 */
#include "harness.h"

#include <math.h>
#include <string.h>

#define CASE_COLUMNS 34
#define VALUE_COLUMNS 9

static void write_json_string(FILE *stream, const char *text)
{
    fputc('"', stream);
    for (const unsigned char *byte = (const unsigned char *)text; *byte != '\0'; byte++) {
        if (*byte == '"' || *byte == '\\')
            fprintf(stream, "\\%c", *byte);
        else if (*byte < 0x20)
            fprintf(stream, "\\u%04x", *byte);
        else
            fputc(*byte, stream);
    }
    fputc('"', stream);
}

void bench_write_json(FILE *stream, const char *bench_name, const char *case_name,
                      const struct bench_metric *metric)
{
    if (!isfinite(metric->value))
        return;
    fputs("{\"bench\":", stream);
    write_json_string(stream, bench_name);
    fputs(",\"case\":", stream);
    write_json_string(stream, case_name);
    fputs(",\"metric\":", stream);
    write_json_string(stream, metric->name);
    fprintf(stream, ",\"value\":%.9g,\"unit\":", metric->value);
    write_json_string(stream, metric->unit);
    fputs("}\n", stream);
}

void bench_emit(const struct bench *bench, const char *case_name,
                const struct bench_metric *metrics, size_t metric_count)
{
    for (size_t i = 0; i < metric_count; i++) {
        if (bench->json)
            bench_write_json(stdout, bench->name, case_name, &metrics[i]);
        if (bench->json_file != NULL)
            bench_write_json(bench->json_file, bench->name, case_name, &metrics[i]);
    }
}

static bool is_ratio(const struct bench_metric *metric)
{
    return strcmp(metric->unit, "x") == 0;
}

static bool is_time(const struct bench_metric *metric)
{
    return strcmp(metric->unit, "ns") == 0;
}

static int decimals_of(const struct bench_metric *metric)
{
    if (!is_ratio(metric) && !is_time(metric))
        return 0;
    if (metric->value < 99.995)
        return 2;
    return metric->value < 9999.95 ? 1 : 0;
}

static void print_heading(const struct bench_metric *metrics, size_t metric_count)
{
    printf("%-*s", CASE_COLUMNS, "");
    for (size_t i = 0; i < metric_count; i++) {
        char title[64];
        bool with_unit = is_time(&metrics[i]);
        snprintf(title, sizeof title, "%s%s%s", metrics[i].name, with_unit ? " " : "",
                 with_unit ? metrics[i].unit : "");
        printf(" %*s", VALUE_COLUMNS, title);
    }
    putchar('\n');
}

static void print_row(const char *case_name, const struct bench_metric *metrics,
                      size_t metric_count)
{
    printf("%-*s", CASE_COLUMNS, case_name);
    for (size_t i = 0; i < metric_count; i++) {
        if (isfinite(metrics[i].value))
            printf(" %*.*f", VALUE_COLUMNS, decimals_of(&metrics[i]), metrics[i].value);
        else
            printf(" %*s", VALUE_COLUMNS, "-");
    }
    putchar('\n');
}

void bench_print(const struct bench *bench, const char *case_name,
                 const struct bench_metric *metrics, size_t metric_count, bool heading)
{
    bench_emit(bench, case_name, metrics, metric_count);
    if (bench->json)
        return;
    if (heading)
        print_heading(metrics, metric_count);
    print_row(case_name, metrics, metric_count);
}

void bench_print_left_out(const struct bench *bench, const char *case_name, const char *reason)
{
    const struct bench_metric left_out = {"left_out", 1.0, "flag"};
    bench_emit(bench, case_name, &left_out, 1);
    if (bench->json)
        fprintf(stderr, "bench_%s: %s left out: %s\n", bench->name, case_name, reason);
    else
        printf("%-*s left out: %s\n", CASE_COLUMNS, case_name, reason);
}

void bench_print_reach(const struct bench *bench, const char *what, double measured,
                       enum bench_side side, double target, const char *unit)
{
    bool reached = side == BENCH_AT_MOST ? measured <= target : measured >= target;
    const char *verdict = reached ? "reached" : "missed";
    if (bench->json || bench->smoke)
        return;
    if (isfinite(measured))
        printf("reach: %s %s %g %s: %.2f %s, %s\n", what,
               side == BENCH_AT_MOST ? "at most" : "at least", target, unit, measured, unit,
               verdict);
    else
        printf("reach: %s: not measured\n", what);
}
