/*
 * How many page faults does the very first run of a loop body take?
 *
 *     program cold|warm main|thread [report]
 *
 * The body uses a deep stack, libc, the clock, tables of the program and of a library, thread-local
 * variables, the C heap and an arena, none of them touched before. `cold` leaves out the warmup of
 * the thread that runs it: process_warmup for the main thread, thread_warmup for another one.
 * Prints the count by getrusage, and with `report` what the warmups said.
 */
#include <zerofault/zerofault.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "library.h"

#define PAGE 4096
#define PAGES 64
#define STACK_BYTES ((size_t)200 * 1024)
#define FRAME_BYTES ((size_t)1024)
#define BLOCKS 64

static unsigned char initialised[PAGES][PAGE] = {{1}, {2}};
static unsigned char zeroed[PAGES][PAGE];
static _Thread_local unsigned char per_thread[8][PAGE];
static int numbers[2000];
static struct arena *arena;
static const char *warmth;
static int with_report;

static long faults_so_far(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

__attribute__((noinline)) static unsigned descend(size_t left_bytes)
{
    volatile unsigned char frame[FRAME_BYTES];
    unsigned below = 0;
    frame[0] = (unsigned char)left_bytes;
    frame[FRAME_BYTES - 1] = frame[0];
    if (left_bytes > FRAME_BYTES)
        below = descend(left_bytes - FRAME_BYTES);
    return below + frame[FRAME_BYTES - 1];
}

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static unsigned use_libc(unsigned seed)
{
    char text[128];
    char *rest;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; ++i)
        numbers[i] = (int)(i * 7919 % 2003);
    qsort(numbers, sizeof numbers / sizeof numbers[0], sizeof numbers[0], compare);
    snprintf(text, sizeof text, "%u %.17g %s", seed, 1.0 / (seed + 3), "first");
    return (unsigned)(strtod(text, &rest) * 2) + (unsigned)strlen(rest) + (unsigned)numbers[99];
}

static unsigned use_heap(size_t total_bytes)
{
    unsigned char *blocks[BLOCKS];
    unsigned sum = 0;
    for (size_t i = 0; i < BLOCKS; ++i) {
        size_t size_bytes = (i % 2 + 1) * total_bytes / BLOCKS / 2;
        blocks[i] = malloc(size_bytes);
        if (blocks[i] == NULL)
            abort();
        memset(blocks[i], (int)i, size_bytes);
        sum += blocks[i][size_bytes / 2];
    }
    for (size_t i = 0; i < BLOCKS; ++i)
        free(blocks[i]);
    return sum;
}

static unsigned use_tables(unsigned seed)
{
    unsigned sum = 0;
    for (size_t i = 0; i < PAGES; ++i) {
        initialised[i][seed % PAGE] += 1;
        zeroed[i][seed % PAGE] += 2;
        sum += initialised[i][0] + zeroed[i][1];
    }
    for (size_t i = 0; i < sizeof per_thread / PAGE; ++i)
        sum += ++per_thread[i][seed % PAGE];
    return sum;
}

static unsigned body(unsigned seed, size_t heap_bytes)
{
    unsigned sum = descend(STACK_BYTES) + use_libc(seed) + use_heap(heap_bytes);
    unsigned char *order = arena_alloc(arena, 10000, 64);
    struct timespec now;
    memset(order, 1, 10000);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return sum + order[5000] + use_tables(seed) + library_step(seed);
}

static void show(const char *call, int rc, const struct process_report *report)
{
    if (rc != 0)
        fprintf(stderr, "%s: %s\n", call, strerror(-rc));
    if (with_report || rc != 0)
        (void)process_report_print(report, stderr);
}

static void measure(size_t heap_bytes)
{
    long before, after;
    unsigned sum;
    (void)faults_so_far();
    before = faults_so_far();
    sum = body(17, heap_bytes);
    after = faults_so_far();
    printf("counted %ld, sum %u\n", after - before, sum);
}

static void *run_thread(void *unused)
{
    struct process_report report = PROCESS_REPORT_INIT;
    (void)unused;
    if (strcmp(warmth, "warm") == 0) {
        int rc = thread_warmup(NULL, &report);
        show("thread_warmup", rc, &report);
    }
    measure((size_t)48 * 1024);
    return NULL;
}

static int prepare_arena(void)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    int rc = arena_create(&arena, &ARENA_OPTIONS(.name = "loop", .capacity_bytes = 1 << 20));
    return rc == 0 ? arena_warmup(arena, NULL, &report) : rc;
}

int main(int argc, char **argv)
{
    struct process_report report = PROCESS_REPORT_INIT;
    pthread_t thread;
    int in_thread;
    if (argc < 3 || prepare_arena() != 0)
        return 2;
    warmth = argv[1];
    in_thread = strcmp(argv[2], "thread") == 0;
    with_report = argc > 3;
    if (in_thread || strcmp(warmth, "warm") == 0) {
        int rc = process_warmup(NULL, &report);
        show("process_warmup", rc, &report);
    }
    if (!in_thread)
        measure((size_t)900 * 1024);
    else if (pthread_create(&thread, NULL, run_thread, NULL) != 0 ||
             pthread_join(thread, NULL) != 0)
        return 2;
    arena_destroy(arena);
    return 0;
}
