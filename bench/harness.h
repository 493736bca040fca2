/*
 * The harness of the benches: runs named cases in turn, many rounds in one process, and prints
 * what an operation costs.
 *
 * It is like any micro-benchmark library, with two differences. Cases are interleaved (A B C A B
 * C ...), so that whatever else the machine does hits all of them alike, and the ratio to the
 * reference case is taken inside each round, then the median over the rounds: it holds still when
 * the nanoseconds do not. And page faults are counted in the timed part: a case that claims to be
 * warm fails the run when it took one.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---------------------------------------------------------------------------------------- types */

/* Exit statuses of every bench. */
#define BENCH_OK 0
#define BENCH_FAILED 1 /* could not set up, or a warm case took a page fault */
#define BENCH_USAGE 2  /* the command line was not understood */

/* Answer of bench_begin: no exit status, go on. */
#define BENCH_CONTINUE (-1)

/* Keep a value, and all memory, from the optimiser: it must exist, and may have been read. */
#define BENCH_KEEP(value) __asm__ volatile("" : : "r"(value) : "memory")

/* Make the optimiser forget what it knows about a variable. */
#define BENCH_OPAQUE(variable) __asm__ volatile("" : "+r"(variable))

/* One run of one bench. */
struct bench {
    const char *name;     /* in every line of the output */
    bool smoke;           /* tiny: does it run at all */
    bool json;            /* lines on standard output instead of a table */
    FILE *json_file;      /* lines to this file as well, or NULL */
    int cpu;              /* pinned to this one, or -1 */
    int pin_error;        /* 0 or errno of the refused pinning */
    bool instrumented;    /* built with ThreadSanitizer, which takes page faults of its own */
    size_t machine_bytes; /* touched and given back before anything is timed */
};

/* What a case cost, in nanoseconds per operation, over all its batches. */
struct bench_result {
    double best; /* median batch of the quietest round: the price without the neighbours' share */
    double p50;
    double p99;
    double p99_9;
    double maximum;
    double ratio;      /* to the reference, median of the rounds; NaN without a reference */
    uint64_t faults;   /* minor and major, of this thread, in the timed part */
    uint64_t switches; /* context switches of this thread meanwhile */
    uint64_t operations;
};

/* One way to do the operation. */
struct bench_case {
    const char *name;
    void (*run)(void *context, size_t operations); /* one batch; this is timed */
    void (*prepare)(void *context); /* before each turn, not timed; NULL for nothing */
    void *context;                  /* handed to both */
    size_t operations;              /* in a batch; long enough to drown the clock's own cost */
    const char *left_out;           /* why this case cannot run here, or NULL */
    bool warm;                      /* a page fault in it fails the run */
    struct bench_result result;     /* filled by bench_run */
};

/* One figure of a case. */
struct bench_metric {
    const char *name;
    double value; /* NaN: unknown, "-" in the table and absent from the lines */
    const char *unit;
};

/* ----------------------------------------------------------------------------------- begin, end */

/* Read the command line, pin the thread, calibrate the clock, warm the machine's memory and print
 * the heading. `idea` is the one sentence that --help shows. Returns BENCH_CONTINUE, or the exit
 * status to leave with. */
int bench_begin(struct bench *bench, const char *name, const char *idea, int argc, char **argv);

/* Flush and close the outputs. Returns `status`, or BENCH_FAILED when the output was lost. */
int bench_end(struct bench *bench, int status);

/* ------------------------------------------------------------------------------------------ run */

/* Run the cases in turn, `rounds` times `batches` each, after one untimed turn; print a row for
 * each. `reference` names the case that ratios refer to, or is NULL. Returns BENCH_OK, or
 * BENCH_FAILED when a warm case took a page fault or memory for the samples is missing. */
int bench_run(const struct bench *bench, struct bench_case *cases, size_t case_count,
              const char *reference);

/* Complain about a warm case that took page faults. Returns BENCH_FAILED then, else BENCH_OK. */
int bench_check_warm(const struct bench *bench, const char *case_name, uint64_t faults);

/* Find a case by its name; NULL when there is none. */
struct bench_case *bench_find(struct bench_case *cases, size_t case_count, const char *name);

/* ------------------------------------------------------------------------------------- counters */

/* What the kernel has counted for this thread. */
struct bench_counters {
    uint64_t faults;
    uint64_t switches;
};

/* Read them. */
struct bench_counters bench_counters_read(void);

/* -------------------------------------------------------------------------------------- figures */

/* The value below or at which `fraction` of `count` sorted values lie (nearest rank). */
double bench_quantile(const double *sorted, size_t count, double fraction);

/* Sort ascending, in place. */
void bench_sort(double *values, size_t count);

/* Median over the rounds of value[round] / reference[round]. `scratch` has room for `rounds`. */
double bench_median_ratio(const double *values, const double *reference, size_t rounds,
                          double *scratch);

/* --------------------------------------------------------------------------------------- output */

/* Print the figures of one case: a row of the table, one JSON object per figure. A new set of
 * columns begins with a heading when `heading` is true. */
void bench_print(const struct bench *bench, const char *case_name,
                 const struct bench_metric *metrics, size_t metric_count, bool heading);

/* Print that a case was left out, and why. */
void bench_print_left_out(const struct bench *bench, const char *case_name, const char *reason);

/* On which side of a target a figure must lie. */
enum bench_side { BENCH_AT_MOST, BENCH_AT_LEAST };

/* Print a target beside what was measured; only below a table of the real size. */
void bench_print_reach(const struct bench *bench, const char *what, double measured,
                       enum bench_side side, double target, const char *unit);

/* Write the figures of one case as JSON objects, wherever this run sends them. */
void bench_emit(const struct bench *bench, const char *case_name,
                const struct bench_metric *metrics, size_t metric_count);

/* Write one figure as a JSON object in a line of its own: bench, case, metric, value, unit. */
void bench_write_json(FILE *stream, const char *bench_name, const char *case_name,
                      const struct bench_metric *metric);

#endif
