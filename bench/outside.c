/*
 * HotSpot and DPDK's EAL, each in a process of its own; see outside.h.
 *
 * Neither is needed to build: java is looked for when the bench runs, and the EAL's library is
 * loaded by name. rte_eal_init has had the arguments of main() since its first release.
 */
#include "outside.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

#define STATUS_ABSENT 2 /* of a child that found no library */

/* Wait for a child. Returns 0; ENOENT what it needs is not there; EIO it failed; or an errno. */
static int wait_for(pid_t child, struct rusage *usage)
{
    int status;
    while (wait4(child, &status, 0, usage) != child)
        if (errno != EINTR)
            return errno;
    if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_ABSENT)
        return ENOENT;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EIO;
}

/* ------------------------------------------------------------------------------------------ jvm */

/* Run a command with its output thrown away. */
static int run(char *const arguments[], struct prefault_cost *cost)
{
    posix_spawn_file_actions_t actions;
    struct rusage usage = {0};
    uint64_t start = bench_monotonic_ns();
    pid_t child;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    (void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    error = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (error == 0)
        error = wait_for(child, &usage);
    cost->spent_ns = (double)(bench_monotonic_ns() - start);
    cost->faults = (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
    cost->cpu_ns = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
    cost->left = 0;
    return error;
}

int outside_run_jvm(enum prefault_pages pages, size_t size_bytes, size_t threads, bool touched,
                    struct prefault_cost *cost)
{
    static char *const of_pages[PREFAULT_PAGES] = {
        [PREFAULT_SMALL] = "-XX:-UseTransparentHugePages",
        [PREFAULT_TRANSPARENT] = "-XX:+UseTransparentHugePages",
        [PREFAULT_HUGETLB] = "-XX:+UseLargePages"};
    char initial[32], most[32], workers[48];
    char *const arguments[] = {"java",
                               initial,
                               most,
                               "-XX:+UseParallelGC",
                               workers,
                               of_pages[pages],
                               touched ? "-XX:+AlwaysPreTouch" : "-XX:-AlwaysPreTouch",
                               "-version",
                               NULL};
    (void)snprintf(initial, sizeof initial, "-Xms%zuk", size_bytes >> 10);
    (void)snprintf(most, sizeof most, "-Xmx%zuk", size_bytes >> 10);
    (void)snprintf(workers, sizeof workers, "-XX:ParallelGCThreads=%zu", threads);
    return run(arguments, cost);
}

const char *outside_no_jvm(enum prefault_pages pages, size_t size_bytes)
{
    struct prefault_cost cost;
    const char *no_pool = pages == PREFAULT_HUGETLB ? prefault_no_pool(2 * size_bytes) : NULL;
    if (no_pool != NULL)
        return no_pool;
    return outside_run_jvm(pages, size_bytes, 1, false, &cost) == 0 ? NULL
                                                                    : "there is no working java";
}

/* ------------------------------------------------------------------------------------------ eal */

typedef int eal_init(int argument_count, char **arguments);

/* Names of the library, newest first; the number is its ABI's year. */
static void *load_eal(void)
{
    static const char *const names[] = {"librte_eal.so.26", "librte_eal.so.25", "librte_eal.so.24",
                                        "librte_eal.so.23", "librte_eal.so.22", "librte_eal.so"};
    void *library = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && library == NULL; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return library;
}

/* In a child: initialise, and write the cost to `out`. Does not return. */
static void initialise_eal(size_t size_bytes, int out)
{
    char mebibytes[32];
    char *arguments[] = {
        "bench", "--in-memory", "--no-pci",       "-l",          "0", "--log-level=error",
        "-m",    mebibytes,     "--no-telemetry", "--no-shconf", NULL};
    struct prefault_cost cost = {0};
    void *library = load_eal();
    void *symbol = library == NULL ? NULL : dlsym(library, "rte_eal_init");
    eal_init *init;
    uint64_t start;
    int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (symbol == NULL)
        _exit(STATUS_ABSENT);
    if (quiet < 0)
        _exit(1);
    (void)dup2(quiet, STDOUT_FILENO);
    (void)dup2(quiet, STDERR_FILENO);
    memcpy(&init, &symbol, sizeof init);
    (void)snprintf(mebibytes, sizeof mebibytes, "%zu", size_bytes >> 20);
    cost.faults = prefault_process_faults();
    cost.cpu_ns = prefault_process_cpu_ns();
    start = bench_monotonic_ns();
    if (init((int)(sizeof arguments / sizeof arguments[0]) - 1, arguments) < 0)
        _exit(1);
    cost.spent_ns = (double)(bench_monotonic_ns() - start);
    cost.cpu_ns = prefault_process_cpu_ns() - cost.cpu_ns;
    cost.faults = prefault_process_faults() - cost.faults;
    _exit(write(out, &cost, sizeof cost) == (ssize_t)sizeof cost ? 0 : 1);
}

int outside_run_eal(size_t size_bytes, struct prefault_cost *cost)
{
    struct rusage usage;
    ssize_t length;
    pid_t child;
    int ends[2], error;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    child = fork();
    if (child == 0)
        initialise_eal(size_bytes, ends[1]);
    error = child < 0 ? errno : 0;
    (void)close(ends[1]);
    length = error == 0 ? read(ends[0], cost, sizeof *cost) : 0;
    (void)close(ends[0]);
    if (error == 0)
        error = wait_for(child, &usage);
    return error == 0 && length != (ssize_t)sizeof *cost ? EIO : error;
}

const char *outside_no_eal(size_t size_bytes)
{
    struct prefault_cost cost;
    const char *no_pool = prefault_no_pool(size_bytes + 8 * PREFAULT_HUGE_BYTES);
    int error = no_pool != NULL ? 0 : outside_run_eal(PREFAULT_HUGE_BYTES, &cost);
    if (error == ENOENT)
        return "there is no librte_eal";
    return error != 0 ? "the EAL does not start here" : no_pool;
}
