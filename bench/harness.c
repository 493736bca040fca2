/*
 * The idea: noise on a shared machine comes in stretches, so cases take turns of a few batches and
 * are compared within a round. A batch is timed as a whole and divided by its operations, because
 * an operation of a nanosecond cannot be timed alone. Samples go to memory that was written before,
 * so that recording them faults nowhere. getrusage is read once before and once after a turn, never
 * between batches: it would cool the caches that the next batch wants hot.
 *
 * It does not subtract the clock's or the loop's cost, drop outliers, or look for a quiet moment.
 */
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "clock.h"

#define ROUNDS 201
#define ROUNDS_SMOKE 3
#define BATCHES 25
#define BATCHES_SMOKE 3
#define OPERATIONS_SMOKE 256

/* Everything that is recorded while the cases run. */
struct recording {
    size_t rounds;
    size_t batches;       /* in a turn */
    double *samples;      /* [case][round][batch], ns per operation */
    double *turn_medians; /* [case][round] */
    double *scratch;      /* one turn, or one figure per round */
};

/* -------------------------------------------------------------------------------------- figures */

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

void bench_sort(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
}

double bench_quantile(const double *sorted, size_t count, double fraction)
{
    double rank = ceil(fraction * (double)count);
    if (count == 0)
        return NAN;
    if (rank < 1.0)
        rank = 1.0;
    if (rank > (double)count)
        rank = (double)count;
    return sorted[(size_t)rank - 1];
}

double bench_median_ratio(const double *values, const double *reference, size_t rounds,
                          double *scratch)
{
    for (size_t round = 0; round < rounds; round++)
        scratch[round] = values[round] / reference[round];
    bench_sort(scratch, rounds);
    return bench_quantile(scratch, rounds, 0.5);
}

/* ------------------------------------------------------------------------------------- counters */

struct bench_counters bench_counters_read(void)
{
    struct bench_counters counters = {0, 0};
    struct rusage usage;
    if (getrusage(RUSAGE_THREAD, &usage) == 0) {
        counters.faults = (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
        counters.switches = (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
    }
    return counters;
}

/* ------------------------------------------------------------------------------------ recording */

static void recording_free(struct recording *recording)
{
    free(recording->samples);
    free(recording->turn_medians);
    free(recording->scratch);
}

/* Allocated and written, so that no sample faults when it is recorded. */
static double *warm_doubles(size_t count)
{
    double *values = malloc(count * sizeof *values);
    if (values == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        values[i] = NAN;
    BENCH_KEEP(values);
    return values;
}

static int recording_allocate(struct recording *recording, const struct bench *bench,
                              size_t case_count)
{
    recording->rounds = bench->smoke ? ROUNDS_SMOKE : ROUNDS;
    recording->batches = bench->smoke ? BATCHES_SMOKE : BATCHES;
    recording->samples = warm_doubles(case_count * recording->rounds * recording->batches);
    recording->turn_medians = warm_doubles(case_count * recording->rounds);
    recording->scratch = warm_doubles(recording->rounds > recording->batches ? recording->rounds
                                                                             : recording->batches);
    if (recording->samples != NULL && recording->turn_medians != NULL && recording->scratch != NULL)
        return 0;
    recording_free(recording);
    return -1;
}

/* ---------------------------------------------------------------------------------------- turns */

static size_t operations_of(const struct bench *bench, const struct bench_case *one)
{
    return bench->smoke && one->operations > OPERATIONS_SMOKE ? OPERATIONS_SMOKE : one->operations;
}

/* Run one turn of one case and record `batches` samples. */
static void run_turn(const struct bench *bench, struct bench_case *one, double *samples,
                     size_t batches)
{
    size_t operations = operations_of(bench, one);
    struct bench_counters before, after;
    if (one->prepare != NULL)
        one->prepare(one->context);
    before = bench_counters_read();
    for (size_t batch = 0; batch < batches; batch++) {
        uint64_t start = bench_ticks();
        one->run(one->context, operations);
        samples[batch] = bench_ticks_to_ns(bench_ticks() - start) / (double)operations;
    }
    after = bench_counters_read();
    one->result.faults += after.faults - before.faults;
    one->result.switches += after.switches - before.switches;
    one->result.operations += (uint64_t)operations * batches;
}

static void run_rounds(const struct bench *bench, struct bench_case *cases, size_t case_count,
                       struct recording *recording)
{
    size_t rounds = recording->rounds;
    size_t batches = recording->batches;
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < case_count; i++) {
            double *samples = recording->samples + (i * rounds + round) * batches;
            if (cases[i].left_out != NULL)
                continue;
            run_turn(bench, &cases[i], samples, batches);
            memcpy(recording->scratch, samples, batches * sizeof *samples);
            bench_sort(recording->scratch, batches);
            recording->turn_medians[i * rounds + round] =
                bench_quantile(recording->scratch, batches, 0.5);
        }
    }
}

/* One turn of each case whose figures are thrown away: code, data and predictors get warm. */
static void run_untimed_turns(const struct bench *bench, struct bench_case *cases,
                              size_t case_count, struct recording *recording)
{
    for (size_t i = 0; i < case_count; i++) {
        if (cases[i].left_out == NULL)
            run_turn(bench, &cases[i], recording->scratch, recording->batches);
        memset(&cases[i].result, 0, sizeof cases[i].result);
    }
}

/* -------------------------------------------------------------------------------------- results */

static double smallest(const double *values, size_t count)
{
    double least = values[0];
    for (size_t i = 1; i < count; i++)
        least = values[i] < least ? values[i] : least;
    return least;
}

static void work_out(struct bench_case *one, size_t index, size_t reference_index,
                     struct recording *recording)
{
    size_t count = recording->rounds * recording->batches;
    double *samples = recording->samples + index * count;
    bench_sort(samples, count);
    one->result.best =
        smallest(recording->turn_medians + index * recording->rounds, recording->rounds);
    one->result.p50 = bench_quantile(samples, count, 0.50);
    one->result.p99 = bench_quantile(samples, count, 0.99);
    one->result.p99_9 = bench_quantile(samples, count, 0.999);
    one->result.maximum = samples[count - 1];
    one->result.ratio = NAN;
    if (reference_index != SIZE_MAX)
        one->result.ratio =
            bench_median_ratio(recording->turn_medians + index * recording->rounds,
                               recording->turn_medians + reference_index * recording->rounds,
                               recording->rounds, recording->scratch);
}

static void print_case(const struct bench *bench, const struct bench_case *one, bool heading)
{
    const struct bench_result *result = &one->result;
    const struct bench_metric metrics[] = {
        {"best", result->best, "ns"},
        {"p50", result->p50, "ns"},
        {"p99", result->p99, "ns"},
        {"p99.9", result->p99_9, "ns"},
        {"max", result->maximum, "ns"},
        {"ratio", result->ratio, "x"},
        {"faults", (double)result->faults, "faults"},
        {"switches", (double)result->switches, "switches"},
    };
    if (one->left_out != NULL)
        bench_print_left_out(bench, one->name, one->left_out);
    else
        bench_print(bench, one->name, metrics, sizeof metrics / sizeof metrics[0], heading);
}

struct bench_case *bench_find(struct bench_case *cases, size_t case_count, const char *name)
{
    for (size_t i = 0; i < case_count; i++) {
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    }
    return NULL;
}

static size_t reference_index_of(struct bench_case *cases, size_t case_count, const char *name)
{
    struct bench_case *found = name == NULL ? NULL : bench_find(cases, case_count, name);
    return found == NULL || found->left_out != NULL ? SIZE_MAX : (size_t)(found - cases);
}

int bench_check_warm(const struct bench *bench, const char *case_name, uint64_t faults)
{
    if (faults == 0 || bench->instrumented)
        return BENCH_OK;
    fprintf(stderr, "bench_%s: %s is warm but took %llu page faults\n", bench->name, case_name,
            (unsigned long long)faults);
    return BENCH_FAILED;
}

int bench_run(const struct bench *bench, struct bench_case *cases, size_t case_count,
              const char *reference)
{
    size_t reference_index = reference_index_of(cases, case_count, reference);
    struct recording recording;
    bool heading = true;
    int status = BENCH_OK;
    if (case_count == 0)
        return BENCH_OK;
    if (recording_allocate(&recording, bench, case_count) != 0) {
        fprintf(stderr, "bench_%s: no memory for the samples\n", bench->name);
        return BENCH_FAILED;
    }
    run_untimed_turns(bench, cases, case_count, &recording);
    run_rounds(bench, cases, case_count, &recording);
    for (size_t i = 0; i < case_count; i++) {
        if (cases[i].left_out == NULL)
            work_out(&cases[i], i, reference_index, &recording);
        print_case(bench, &cases[i], heading);
        heading = heading && cases[i].left_out != NULL;
        if (cases[i].left_out == NULL && cases[i].warm &&
            bench_check_warm(bench, cases[i].name, cases[i].result.faults) != BENCH_OK)
            status = BENCH_FAILED;
    }
    recording_free(&recording);
    return status;
}
