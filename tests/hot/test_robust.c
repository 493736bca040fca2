/*
 * The guard where it is crowded, interrupted or short of what it needs: a defined outcome, never a
 * crash or a silent zero.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define THREADS 200
#define ROUNDS 50
#define NOBODY 65534

static struct hot_section_statistics stats_of(const struct hot_section *section)
{
    struct hot_section_statistics stats = HOT_SECTION_STATISTICS_INIT;
    assert_int_equal(hot_section_stats(section, &stats), 0);
    return stats;
}

static void need_ring(void)
{
    int error = hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING), NULL);
    hot_thread_detach();
    need("perf", error == 0, "no fault ring here: %s", strerror(-error));
}

/* --------------------------------------------------------------------------------- many threads */

static struct hot_section shared = HOT_SECTION("shared by all", .counted = true);
static struct hot_section own[4] = {
    HOT_SECTION("own 0", .counted = true), HOT_SECTION("own 1", .counted = true),
    HOT_SECTION("own 2", .counted = true), HOT_SECTION("own 3", .counted = true)};
static pthread_barrier_t gate;
static unsigned char *crowd_pages;

/* Enter both sections, nested, the order changing from round to round; one fault in the last. */
static void *enter_both(void *argument)
{
    uintptr_t number = (uintptr_t)argument;
    struct hot_section *mine = &own[number % 4];
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    uint64_t violations = 0;
    int error = hot_thread_attach(
        &HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING, .ring_bytes = PAGE), &report);
    (void)pthread_barrier_wait(&gate);
    for (int round = 0; round < ROUNDS && error == 0; ++round) {
        struct hot_section *outer = round % 2 == 0 ? &shared : mine;
        struct hot_section *inner = round % 2 == 0 ? mine : &shared;
        hot_section_begin(outer);
        hot_section_begin(inner);
        if (round == ROUNDS - 1)
            *(volatile unsigned char *)(crowd_pages + number * PAGE) = 1;
        violations += hot_section_end(inner);
        violations += hot_section_end(outer);
    }
    return (void *)(error == 0 ? violations : UINT64_MAX);
}

static void two_hundred_threads_are_guarded_at_once_and_read_meanwhile(void **state)
{
    pthread_t threads[THREADS];
    uint64_t last_entries = 0;
    uint64_t own_faults = 0;
    (void)state;
    need_exact_faults();
    need_ring();
    crowd_pages =
        mmap(NULL, THREADS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(crowd_pages, MAP_FAILED);
    assert_int_equal(madvise(crowd_pages, THREADS * PAGE, MADV_NOHUGEPAGE), 0);
    warm_shadow(crowd_pages, THREADS * PAGE);
    assert_int_equal(pthread_barrier_init(&gate, NULL, THREADS), 0);
    for (uintptr_t i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, enter_both, (void *)i), 0);
    for (int reading = 0; reading < 1000; ++reading) {
        struct hot_section_statistics stats = stats_of(&shared);
        assert_in_range(stats.entries, last_entries, THREADS * ROUNDS);
        last_entries = stats.entries;
    }
    for (size_t i = 0; i < THREADS; ++i) {
        void *violations;
        assert_int_equal(pthread_join(threads[i], &violations), 0);
        assert_int_equal((uintptr_t)violations, 2); /* one fault, in both sections */
    }

    assert_int_equal(stats_of(&shared).entries, THREADS * ROUNDS);
    assert_int_equal(stats_of(&shared).counts[HOT_FAULT], THREADS);
    for (size_t i = 0; i < 4; ++i) {
        assert_int_equal(stats_of(&own[i]).entries, THREADS / 4 * ROUNDS);
        own_faults += stats_of(&own[i]).counts[HOT_FAULT];
    }
    assert_int_equal(own_faults, THREADS);
    assert_int_equal(munmap(crowd_pages, THREADS * PAGE), 0);
}

/* -------------------------------------------------------------------------------------- signals */

static struct hot_section interrupted = HOT_SECTION("interrupted", .counted = true);
static struct hot_section handler_section = HOT_SECTION("in a handler", .counted = true);
static volatile sig_atomic_t signals;

static void on_alarm(int number)
{
    (void)number;
    hot_section_begin(&handler_section);
    ++signals;
    (void)hot_section_end(&handler_section);
}

static void handler_may_use_sections_that_its_thread_has_used(void **state)
{
    const struct itimerval often = {{0, 200}, {0, 200}};
    const struct itimerval never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_alarm};
    struct sigaction before;
    uint64_t violations = 0;
    uint64_t rounds = 0;
    (void)state;
    need_exact_faults();
    need_ring();
    assert_int_equal(hot_thread_attach(NULL, NULL), 0);
    on_alarm(0);
    hot_section_begin(&interrupted);
    assert_int_equal(hot_section_end(&interrupted), 0);
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(raise(SIGALRM), 0);

    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (; signals < 100; ++rounds) {
        hot_section_begin(&interrupted);
        violations += hot_section_end(&interrupted);
    }
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);

    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_int_equal(violations, 0);
    assert_int_equal(stats_of(&interrupted).entries, rounds + 1);
    assert_int_equal(stats_of(&handler_section).entries, signals);
    hot_thread_detach();
}

/* ------------------------------------------------------------------------------ short of memory */

/* Run `body` in a child; it answers 0 when all is as it should be, else the number of the step. */
static int in_child(int (*body)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(body());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int no_memory_for_the_ring(void)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    struct rlimit none = {0, 0};
    size_t ring_bytes = 16u << 20; /* over perf_event_mlock_kb times the CPUs of any test machine */
    int error;
    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0 || setrlimit(RLIMIT_MEMLOCK, &none) != 0)
        return 1;
    error = hot_thread_attach(
        &HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING, .ring_bytes = ring_bytes), &report);
    if (error != -ENOMEM || report.active != HOT_SOURCE_NONE)
        return 2;
    error = hot_thread_attach(&HOT_THREAD_OPTIONS(.ring_bytes = ring_bytes), &report);
    if (error != 0 || report.active != HOT_SOURCE_RUSAGE || report.ring_error != -ENOMEM)
        return 3;
    if (report.remedy == NULL || strstr(report.remedy, "perf_event_mlock_kb") == NULL)
        return 4;
    if (report.blind_to == NULL || report.lock_error == 0)
        return 5;
    return hot_guard_is_live() ? 0 : 6;
}

static void ring_memory_used_up_is_named_and_getrusage_takes_over(void **state)
{
    (void)state;
    need("root", geteuid() == 0, "it takes root to become another user");
    need_ring();
    assert_int_equal(in_child(no_memory_for_the_ring), 0);
}

/* ----------------------------------------------------------------------------------------- exec */

static void exec_leaves_nothing_behind(void **state)
{
    char text[4096];
    ssize_t length;
    int ends[2];
    int status;
    pid_t child;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (hot_thread_attach(NULL, NULL) != 0)
            _exit(1);
        hot_section_begin(&interrupted);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execl(
            "/bin/sh", "sh", "-c",
            "ls -l /proc/self/fd; grep -c -e perf_event -e 'zerofault guard' /proc/self/maps",
            (char *)NULL);
        _exit(2);
    }
    (void)close(ends[1]);
    length = 0;
    for (ssize_t got; (got = read(ends[0], text + length, sizeof text - 1 - (size_t)length)) > 0;)
        length += got;
    text[length] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_null(strstr(text, "perf_event"));
    assert_non_null(strstr(text, "\n0\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_hundred_threads_are_guarded_at_once_and_read_meanwhile),
        cmocka_unit_test(handler_may_use_sections_that_its_thread_has_used),
        cmocka_unit_test(ring_memory_used_up_is_named_and_getrusage_takes_over),
        cmocka_unit_test(exec_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
