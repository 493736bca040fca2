/*
 * Warm a large arena with a progress bar on the terminal; Ctrl-C stops it.
 *
 *     warmup_progress [MEBIBYTES [THREADS]]
 *
 * The signal handler sets a flag that the warmup looks at between two chunks. What was done by then
 * stays done, and the report says how far that is: a later warmup of the same arena would finish
 * the rest. Exit status: 0 warm; 130 stopped; 1 it could not be warmed, or told; 2 usage.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "progress_bar.h"

static int stopped;

static void on_interrupt(int number)
{
    (void)number;
    __atomic_store_n(&stopped, 1, __ATOMIC_RELAXED);
}

/* A whole number from 1 to `most`; 0 when it is none. */
static size_t parse(const char *text, unsigned long most)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && number <= most ? number : 0;
}

static int tell(int rc, const struct warmup_report *report, const struct progress_bar *bar)
{
    if (rc == -ECANCELED) {
        /* The bar's line has no end. */
        printf("%sstopped in %s: the first %zu of %zu MiB are done\n",
               bar->drawn && isatty(STDOUT_FILENO) ? "\n" : "",
               warmup_phase_name(report->last_phase), report->done_bytes >> 20,
               report->size_bytes >> 20);
        return 130;
    }
    if (rc != 0) {
        warmup_report_print(report, stderr);
        return 1;
    }
    printf("warm: %zu MiB, %zu thread%s, %llu page faults taken, %llu left\n",
           report->size_bytes >> 20, report->threads_got, report->threads_got == 1 ? "" : "s",
           (unsigned long long)report->faults_minor, (unsigned long long)report->proof_faults);
    return 0;
}

int main(int argc, char **argv)
{
    size_t mebibytes = argc > 1 ? parse(argv[1], 1u << 24) : 1024;
    size_t threads = argc > 2 ? parse(argv[2], WARMUP_THREADS_MAX) : 0;
    struct sigaction action = {.sa_handler = on_interrupt};
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct progress_bar bar;
    struct arena *arena;
    int rc, status;
    if (mebibytes == 0 || argc > 3 || (argc > 2 && threads == 0)) {
        fprintf(stderr, "usage: warmup_progress [MEBIBYTES [THREADS]]\n");
        return 2;
    }
    rc =
        arena_create(&arena, &ARENA_OPTIONS(.name = "progress", .capacity_bytes = mebibytes << 20));
    if (rc != 0) {
        fprintf(stderr, "warmup_progress: %s\n", strerror(-rc));
        return 1;
    }
    sigaction(SIGINT, &action, NULL);
    progress_bar_begin(&bar, stderr, &stopped);
    rc = arena_warmup(arena,
                      &WARMUP_OPTIONS(.progress = progress_bar_show, .context = &bar,
                                      .threads = threads, .cancel = &stopped),
                      &report);
    status = tell(rc, &report, &bar);
    arena_destroy(arena);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("warmup_progress: standard output cannot be written\n", stderr);
        return 1;
    }
    return status;
}
