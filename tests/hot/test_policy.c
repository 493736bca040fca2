/*
 * What a section's policies make of violations, pauses, budgets, and the switch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)

static unsigned char *pages;
static size_t next_page;
static uint64_t seen[HOT_KIND_COUNT];
static enum hot_kind order[16];
static size_t order_count;

static int map_pages(void **state)
{
    (void)state;
    pages = mmap(NULL, 512 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || madvise(pages, 512 * PAGE, MADV_NOHUGEPAGE) != 0)
        return -1;
    warm_shadow(pages, 512 * PAGE);
    next_page = 0;
    memset(seen, 0, sizeof seen);
    order_count = 0;
    return 0;
}

static int unmap_pages(void **state)
{
    (void)state;
    hot_switch(true);
    hot_thread_detach();
    return munmap(pages, 512 * PAGE);
}

static void plant_faults(size_t count)
{
    for (size_t i = 0; i < count; ++i)
        *(volatile unsigned char *)(pages + next_page++ * PAGE) = 1;
}

static void remember(const struct hot_violation *violation, void *context)
{
    (void)context;
    seen[violation->kind] += violation->count;
    if (order_count < sizeof order / sizeof order[0])
        order[order_count++] = violation->kind;
}

static void attach_to(enum hot_source source, uint32_t watch)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    int error = hot_thread_attach(&HOT_THREAD_OPTIONS(.source = source, .watch = watch), &report);
    need("perf", error == 0, "the guard is refused here: %s", strerror(-error));
    need("perf", report.watched == watch, "a watch is refused here");
}

static struct hot_section_statistics stats_of(const struct hot_section *section)
{
    struct hot_section_statistics stats = HOT_SECTION_STATISTICS_INIT;
    assert_int_equal(hot_section_stats(section, &stats), 0);
    return stats;
}

/* ------------------------------------------------------------------------------------- policies */

static void each_kind_has_its_own_policy_and_the_gravest_is_told_first(void **state)
{
    static struct hot_section section =
        HOT_SECTION("kinds", .policy = HOT_CALLBACK, .policies = {[HOT_FAULT] = HOT_COUNT},
                    .hook = remember, .budget_ns = 1);
    struct arena *arena = NULL;
    (void)state;
    need_exact_faults();
    attach_to(HOT_SOURCE_RING, 0);
    assert_int_equal(arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = PAGE)), 0);

    hot_section_begin(&section);
    plant_faults(3);
    assert_null(arena_alloc(arena, 2 * PAGE, 8));
    assert_int_equal(hot_section_end(&section), 5);

    assert_int_equal(seen[HOT_FAULT], 0);
    assert_int_equal(seen[HOT_REFUSED], 1);
    assert_int_equal(seen[HOT_OVER_BUDGET], 1);
    assert_int_equal(order[0], HOT_REFUSED);
    assert_int_equal(order[1], HOT_OVER_BUDGET);
    assert_int_equal(stats_of(&section).counts[HOT_FAULT], 3);
    arena_destroy(arena);
}

static void ignored_kinds_leave_the_section_clean(void **state)
{
    static struct hot_section section =
        HOT_SECTION("ignoring", .policies = {[HOT_FAULT] = HOT_IGNORE, [HOT_MISUSE] = HOT_IGNORE});
    (void)state;
    need_exact_faults();
    attach_to(HOT_SOURCE_RING, 0);
    hot_section_begin(&section);
    plant_faults(3);
    assert_int_equal(hot_section_end(&section), 0);
    assert_int_equal(hot_section_end(&section), 0);
    assert_int_equal(stats_of(&section).dirty_entries, 0);
    assert_int_equal(stats_of(&section).counts[HOT_FAULT], 0);
}

static void rate_limit_keeps_reports_from_the_hook_and_counts_them(void **state)
{
    static struct hot_section section =
        HOT_SECTION("limited", .policy = HOT_CALLBACK, .hook = remember, .reports_per_second = 5);
    (void)state;
    need_exact_faults();
    attach_to(HOT_SOURCE_RING, 0);
    hot_section_begin(&section);
    plant_faults(100);
    assert_int_equal(hot_section_end(&section), 100);

    /* A second may begin in between; a hundred reports never fit. */
    assert_in_range(seen[HOT_FAULT], 5, 50);
    assert_int_equal(stats_of(&section).unreported, 100 - seen[HOT_FAULT]);
    assert_int_equal(stats_of(&section).counts[HOT_FAULT], 100);
}

static void trap_without_hook_stops_the_process_at_the_end(void **state)
{
    static struct hot_section section =
        HOT_SECTION("trapped", .budget_ns = 1, .policies = {[HOT_OVER_BUDGET] = HOT_TRAP});
    int status;
    pid_t child;
    (void)state;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGTRAP, SIG_DFL);
        hot_section_begin(&section);
        (void)usleep(1);
        (void)hot_section_end(&section);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTRAP);
}

/* ---------------------------------------------------------------------------- durations, budget */

static struct hot_section timed = HOT_SECTION("timed", .timed = true);

static void *enter_timed(void *argument)
{
    (void)argument;
    for (int i = 0; i < 50; ++i) {
        hot_section_begin(&timed);
        (void)hot_section_end(&timed);
    }
    return NULL;
}

static void timed_section_keeps_durations_of_all_threads(void **state)
{
    static struct hot_histogram durations;
    static struct hot_section never = HOT_SECTION("never entered", .timed = true);
    pthread_t thread;
    uint64_t before_ns;
    struct timespec now;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, enter_timed, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    before_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;

    hot_section_begin(&timed);
    (void)usleep(2000);
    (void)hot_section_end(&timed);

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    assert_int_equal(hot_section_durations(&timed, &durations), 0);
    assert_int_equal(durations.count, 51);
    assert_in_range(durations.maximum, 2000000,
                    (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec - before_ns +
                        10000000000u);
    assert_true(hot_histogram_minimum(&durations) <= durations.maximum);
    assert_int_equal(hot_section_durations(&never, &durations), -ENODATA);
    assert_int_equal(hot_section_durations(NULL, &durations), -EINVAL);
}

static void budget_tells_the_duration_when_it_is_exceeded_and_only_then(void **state)
{
    static struct hot_section tight =
        HOT_SECTION("tight", .policy = HOT_CALLBACK, .hook = remember, .budget_ns = 1000000);
    static struct hot_section wide = HOT_SECTION("wide", .policy = HOT_CALLBACK, .hook = remember,
                                                 .budget_ns = UINT64_C(3600) * 1000000000u);
    (void)state;
    need_exact_faults();
    attach_to(HOT_SOURCE_RING, 0);
    hot_section_begin(&tight);
    (void)usleep(3000);
    assert_int_equal(hot_section_end(&tight), 1);
    hot_section_begin(&wide);
    assert_int_equal(hot_section_end(&wide), 0);
    assert_int_equal(seen[HOT_OVER_BUDGET], 1);
}

/* ---------------------------------------------------------------------------------------- pause */

static void pause_leaves_out_what_happens_inside_it_with(enum hot_source source)
{
    static struct hot_section outer =
        HOT_SECTION("pausing", .policy = HOT_CALLBACK, .hook = remember);
    static struct hot_section inner = HOT_SECTION("inside a pause");
    memset(seen, 0, sizeof seen);
    attach_to(source, 0);

    hot_section_begin(&outer);
    plant_faults(2);
    hot_pause_begin();
    plant_faults(10);
    hot_pause_begin();
    plant_faults(10);
    hot_pause_end();
    hot_section_begin(&inner);
    plant_faults(5);
    assert_int_equal(hot_section_end(&inner), 5);
    hot_pause_end();
    plant_faults(1);
    assert_int_equal(hot_section_end(&outer), 3);

    assert_int_equal(seen[HOT_FAULT], 3);
    hot_thread_detach();
}

static void pause_leaves_out_what_happens_inside_it(void **state)
{
    (void)state;
    need_exact_faults();
    pause_leaves_out_what_happens_inside_it_with(HOT_SOURCE_RING);
    pause_leaves_out_what_happens_inside_it_with(HOT_SOURCE_RUSAGE);
    pause_leaves_out_what_happens_inside_it_with(HOT_SOURCE_BOTH);
}

static void many_pauses_tell_only_records_outside_of_them(void **state)
{
    static struct hot_section section =
        HOT_SECTION("often pausing", .policy = HOT_CALLBACK, .hook = remember);
    (void)state;
    need_exact_faults();
    attach_to(HOT_SOURCE_RING, 0);
    hot_section_begin(&section);
    for (int i = 0; i < 20; ++i) {
        hot_pause_begin();
        plant_faults(2);
        hot_pause_end();
        plant_faults(1);
    }
    assert_int_equal(hot_section_end(&section), 20);
    assert_int_equal(seen[HOT_FAULT], 20);
}

static void unmatched_pause_end_is_nothing(void **state)
{
    (void)state;
    hot_pause_end();
    attach_to(HOT_SOURCE_RUSAGE, 0);
    hot_pause_end();
    hot_pause_begin();
    hot_thread_detach();
    hot_pause_end();
    assert_int_equal(hot_sections_open(), 0);
}

/* --------------------------------------------------------------------------------------- switch */

static void switched_off_guard_counts_nothing_and_comes_back(void **state)
{
    static struct hot_section section = HOT_SECTION("switched", .counted = true);
    (void)state;
    need_exact_faults();
    attach_to(HOT_SOURCE_RING, 0);
    hot_section_begin(&section);
    assert_int_equal(hot_section_end(&section), 0);

    hot_section_begin(&section);
    hot_switch(false);
    plant_faults(1);
    assert_int_equal(hot_section_end(&section), 1); /* it was open before */
    hot_section_begin(&section);
    plant_faults(4);
    assert_int_equal(hot_section_end(&section), 0);
    assert_int_equal(stats_of(&section).entries, 2);

    hot_switch(true);
    hot_section_begin(&section);
    plant_faults(1);
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(stats_of(&section).entries, 3);
}

/* -------------------------------------------------------------------------------------- watches */

static void waiting_in_a_section_is_a_voluntary_switch(void **state)
{
    static struct hot_section section =
        HOT_SECTION("waiting", .policies = {[HOT_PREEMPTION] = HOT_IGNORE});
    (void)state;
    need_exact_faults();
    attach_to(HOT_SOURCE_RING, HOT_WATCH_SWITCHES);
    hot_section_begin(&section);
    (void)usleep(100);
    (void)usleep(100);
    assert_int_equal(hot_section_end(&section), 2);
    assert_int_equal(stats_of(&section).counts[HOT_SWITCH], 2);
}

static void *spin(void *argument)
{
    while (!__atomic_load_n((bool *)argument, __ATOMIC_RELAXED))
        continue;
    return NULL;
}

static void losing_the_cpu_is_a_preemption(void **state)
{
    static struct hot_section section = HOT_SECTION("preempted");
    static bool stop;
    cpu_set_t before;
    cpu_set_t one;
    pthread_t rival;
    (void)state;
    need_exact_faults();
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(pthread_create(&rival, NULL, spin, &stop), 0);
    attach_to(HOT_SOURCE_RING, HOT_WATCH_SWITCHES);

    hot_section_begin(&section);
    for (clock_t end = clock() + CLOCKS_PER_SEC / 10; clock() < end;)
        continue;
    assert_true(hot_section_end(&section) > 0);

    assert_true(stats_of(&section).counts[HOT_PREEMPTION] > 0);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    assert_int_equal(pthread_join(rival, NULL), 0);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

static void ending_on_another_cpu_is_a_migration(void **state)
{
    static struct hot_section section =
        HOT_SECTION("migrating", .policies = {[HOT_FAULT] = HOT_IGNORE});
    cpu_set_t before;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    need("two CPUs", CPU_COUNT(&before) > 1, "only one CPU to run on");
    attach_to(HOT_SOURCE_RING, HOT_WATCH_MIGRATIONS);

    for (size_t cpu = 0, moved = 0; cpu < CPU_SETSIZE && moved < 2; ++cpu) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (!CPU_ISSET(cpu, &before))
            continue;
        ++moved;
        hot_section_begin(&section);
        assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
        (void)hot_section_end(&section);
    }
    assert_in_range(stats_of(&section).counts[HOT_MIGRATION], 1, 2);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

static void required_watch_that_is_refused_fails_and_a_wished_one_is_reported(void **state)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    (void)state;
    assert_int_equal(
        hot_thread_attach(&HOT_THREAD_OPTIONS(.watch = 1u << HOT_WATCH_COUNT), &report), -EINVAL);
    attach_to(HOT_SOURCE_RUSAGE, HOT_WATCH_MIGRATIONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_kind_has_its_own_policy_and_the_gravest_is_told_first,
                                        map_pages, unmap_pages),
        cmocka_unit_test_setup_teardown(ignored_kinds_leave_the_section_clean, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(rate_limit_keeps_reports_from_the_hook_and_counts_them,
                                        map_pages, unmap_pages),
        cmocka_unit_test_setup_teardown(trap_without_hook_stops_the_process_at_the_end, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(timed_section_keeps_durations_of_all_threads, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(budget_tells_the_duration_when_it_is_exceeded_and_only_then,
                                        map_pages, unmap_pages),
        cmocka_unit_test_setup_teardown(pause_leaves_out_what_happens_inside_it, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(many_pauses_tell_only_records_outside_of_them, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(unmatched_pause_end_is_nothing, map_pages, unmap_pages),
        cmocka_unit_test_setup_teardown(switched_off_guard_counts_nothing_and_comes_back, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(waiting_in_a_section_is_a_voluntary_switch, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(losing_the_cpu_is_a_preemption, map_pages, unmap_pages),
        cmocka_unit_test_setup_teardown(ending_on_another_cpu_is_a_migration, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(
            required_watch_that_is_refused_fails_and_a_wished_one_is_reported, map_pages,
            unmap_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
