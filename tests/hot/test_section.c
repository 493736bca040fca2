/*
 * Hot sections on real page faults: what is counted, where it is said to be, and what misuse does.
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
#include <sys/wait.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)

/* -------------------------------------------------------------------------------------- helpers */

static void attach(enum hot_source source)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    int error;
    hot_thread_detach();
    error = hot_thread_attach(&HOT_THREAD_OPTIONS(.source = source), &report);
    need("perf", error == 0 || source == HOT_SOURCE_RUSAGE, "no fault ring here: %s",
         strerror(-error));
    assert_int_equal(error, 0);
    assert_int_equal(report.active, source);
    assert_true(report.self_tested);
}

static unsigned char *cold_pages(size_t count)
{
    void *pages =
        mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(madvise(pages, count * PAGE, MADV_NOHUGEPAGE), 0);
    warm_shadow(pages, count * PAGE);
    return pages;
}

/* The instruction that faults lies in this function. */
__attribute__((noinline)) static void plant_fault(unsigned char *address)
{
    *(volatile unsigned char *)address = 1;
    __asm__ volatile("nop");
}

/* What a hook saw, in order. */
struct seen {
    size_t count;
    struct hot_violation violations[1024];
    char arena[48];
};

static void remember(const struct hot_violation *violation, void *context)
{
    struct seen *seen = context;
    if (seen->count < sizeof seen->violations / sizeof seen->violations[0])
        seen->violations[seen->count] = *violation;
    if (violation->arena != NULL)
        (void)snprintf(seen->arena, sizeof seen->arena, "%s", violation->arena);
    ++seen->count;
}

static struct seen seen;

static struct hot_section_statistics stats_of(const struct hot_section *section)
{
    struct hot_section_statistics stats = HOT_SECTION_STATISTICS_INIT;
    assert_int_equal(hot_section_stats(section, &stats), 0);
    return stats;
}

static int forget_seen(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    return 0;
}

static int detach(void **state)
{
    (void)state;
    hot_thread_detach();
    return 0;
}

/* ------------------------------------------------------------------------------------- counting */

/* They go different ways. */
static struct hot_section all_ways[] = {
    HOT_SECTION("plain"), HOT_SECTION("counted", .counted = true),
    HOT_SECTION("timed", .timed = true), HOT_SECTION("both", .counted = true, .timed = true),
    HOT_SECTION("with a budget", .budget_ns = UINT64_MAX)};
#define WAY_COUNT (sizeof all_ways / sizeof all_ways[0])

static void clean_section_returns_zero_with(enum hot_source source, struct hot_section *section)
{
    struct hot_section_statistics before;
    struct hot_section_statistics after;
    uint64_t violations = 0;
    attach(source);
    before = stats_of(section);

    for (int i = 0; i < 1000; ++i) {
        hot_section_begin(section);
        violations += hot_section_end(section);
    }

    after = stats_of(section);
    assert_int_equal(violations, 0);
    assert_int_equal(after.dirty_entries - before.dirty_entries, 0);
    if (section->counted)
        assert_int_equal(after.entries - before.entries, 1000);
    else
        assert_int_equal(after.entries, HOT_NOT_COUNTED);
}

static void clean_section_returns_zero(void **state)
{
    (void)state;
    need_exact_faults();
    for (size_t way = 0; way < WAY_COUNT; ++way) {
        clean_section_returns_zero_with(HOT_SOURCE_RING, &all_ways[way]);
        clean_section_returns_zero_with(HOT_SOURCE_RUSAGE, &all_ways[way]);
        clean_section_returns_zero_with(HOT_SOURCE_BOTH, &all_ways[way]);
    }
}

static void every_way_sees_a_fault_and_an_end_too_many(void **state)
{
    unsigned char *pages = cold_pages(3 * WAY_COUNT);
    (void)state;
    need_exact_faults();
    attach(HOT_SOURCE_RING);
    for (size_t way = 0; way < WAY_COUNT; ++way)
        for (size_t pass = 0; pass < 3; ++pass) {
            hot_section_begin(&all_ways[way]);
            plant_fault(pages + (3 * way + pass) * PAGE);
            assert_int_equal(hot_section_end(&all_ways[way]), 1);
            assert_int_equal(hot_section_end(&all_ways[way]), 1); /* nothing is open */
            hot_section_begin(&all_ways[way]);
            assert_int_equal(hot_section_end(&all_ways[way]), 0);
        }
    assert_int_equal(munmap(pages, 3 * WAY_COUNT * PAGE), 0);
}

static void every_planted_fault_is_counted_with(enum hot_source source)
{
    static struct hot_section section = HOT_SECTION("planted");
    unsigned char *pages = cold_pages(64);
    uint64_t before;
    attach(source);
    before = stats_of(&section).counts[HOT_FAULT];

    hot_section_begin(&section);
    for (size_t i = 0; i < 64; ++i)
        plant_fault(pages + i * PAGE);
    assert_int_equal(hot_section_end(&section), 64);

    assert_int_equal(stats_of(&section).counts[HOT_FAULT] - before, 64);
    hot_section_begin(&section);
    for (size_t i = 0; i < 64; ++i)
        plant_fault(pages + i * PAGE);
    assert_int_equal(hot_section_end(&section), 0);
    assert_int_equal(munmap(pages, 64 * PAGE), 0);
}

static void every_planted_fault_is_counted(void **state)
{
    (void)state;
    need_exact_faults();
    every_planted_fault_is_counted_with(HOT_SOURCE_RING);
    every_planted_fault_is_counted_with(HOT_SOURCE_RUSAGE);
    every_planted_fault_is_counted_with(HOT_SOURCE_BOTH);
}

static void planted_fault_is_reported_with_address_arena_section_and_instruction(void **state)
{
    static struct hot_section section =
        HOT_SECTION("described", .policy = HOT_CALLBACK, .hook = remember, .hook_context = &seen);
    const struct hot_violation *violation = &seen.violations[0];
    struct arena *arena = NULL;
    unsigned char *target;
    (void)state;
    need_exact_faults();
    attach(HOT_SOURCE_RING);
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.name = "orders", .capacity_bytes = 1u << 20)), 0);
    target = (unsigned char *)arena_alloc(arena, 1u << 20, 1) + 5 * PAGE + 123;
    warm_shadow(target, 1);

    hot_section_begin(&section);
    plant_fault(target);
    assert_int_equal(hot_section_end(&section), 1);

    assert_int_equal(seen.count, 1);
    assert_ptr_equal(violation->section, &section);
    assert_string_equal(violation->section->name, "described");
    assert_int_equal(violation->kind, HOT_FAULT);
    assert_int_equal(violation->source, HOT_SOURCE_RING);
    assert_int_equal(violation->count, 1);
    assert_int_equal(violation->address, (uintptr_t)target);
    assert_string_equal(seen.arena, "orders");
    assert_int_equal(violation->arena_offset_bytes, 5 * PAGE + 123);
    assert_in_range(violation->instruction, (uintptr_t)plant_fault, (uintptr_t)plant_fault + 256);
    assert_int_equal(violation->thread_id, (uint32_t)gettid());
    assert_true(violation->time_ns > 0);
    arena_destroy(arena);
}

static void read_into(unsigned char *pages, size_t size_bytes)
{
    int zero = open("/dev/zero", O_RDONLY);
    assert_true(zero >= 0);
    assert_int_equal(read(zero, pages, size_bytes), size_bytes);
    (void)close(zero);
}

static void fault_inside_a_system_call_is_caught_by_rusage(void **state)
{
    static struct hot_section section = HOT_SECTION("system call");
    struct hot_section_statistics stats;
    unsigned char *pages = cold_pages(48);
    (void)state;
    need_exact_faults();
    read_into(pages + 47 * PAGE, PAGE); /* the code of this path is warm from here on */

    attach(HOT_SOURCE_RUSAGE);
    hot_section_begin(&section);
    read_into(pages, 16 * PAGE);
    assert_int_equal(hot_section_end(&section), 16);

    attach(HOT_SOURCE_BOTH);
    hot_section_begin(&section);
    read_into(pages + 16 * PAGE, 16 * PAGE);
    plant_fault(pages + 32 * PAGE);
    assert_int_equal(hot_section_end(&section), 17);
    stats = stats_of(&section);
    assert_int_equal(stats.counts[HOT_KERNEL_FAULT], 16);
    assert_int_equal(stats.counts[HOT_FAULT], 16 + 1);
    assert_int_equal(munmap(pages, 48 * PAGE), 0);
}

static void
more_faults_than_the_ring_holds_are_all_counted_and_the_last_ones_described(void **state)
{
    static struct hot_section section =
        HOT_SECTION("overrun", .policy = HOT_CALLBACK, .hook = remember, .hook_context = &seen);
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    unsigned char *pages = cold_pages(500);
    size_t described;
    (void)state;
    need_exact_faults();
    attach(HOT_SOURCE_RING); /* skips where there is no ring */
    hot_thread_detach();
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.ring_bytes = 4096), &report), 0);

    hot_section_begin(&section);
    for (size_t i = 0; i < 500; ++i)
        plant_fault(pages + i * PAGE);
    assert_int_equal(hot_section_end(&section), 500);

    described = seen.count - 1;
    assert_in_range(described, 90, 102); /* records of 40 bytes in 4096 */
    assert_int_equal(seen.violations[described].address, 0);
    assert_int_equal(seen.violations[described].count, 500 - described);
    assert_int_equal(seen.violations[described - 1].address, (uintptr_t)(pages + 499 * PAGE));
    assert_int_equal(munmap(pages, 500 * PAGE), 0);
}

/* -------------------------------------------------------------------------------------- nesting */

static void fault_in_an_inner_section_counts_in_both_and_only_there(void **state)
{
    static struct hot_section outer = HOT_SECTION("outer");
    static struct hot_section inner = HOT_SECTION("inner");
    unsigned char *pages = cold_pages(3);
    (void)state;
    need_exact_faults();
    attach(HOT_SOURCE_RING);
    hot_section_begin(&inner);
    plant_fault(pages + 2 * PAGE); /* a sanitizer's shadow of the way that a dirty end takes */
    assert_int_equal(hot_section_end(&inner), 1);

    hot_section_begin(&outer);
    hot_section_begin(&inner);
    assert_int_equal(hot_sections_open(), 2);
    plant_fault(pages);
    assert_int_equal(hot_section_end(&inner), 1);
    hot_section_begin(&inner);
    assert_int_equal(hot_section_end(&inner), 0);
    plant_fault(pages + PAGE);
    assert_int_equal(hot_section_end(&outer), 2);

    assert_int_equal(hot_sections_open(), 0);
    assert_int_equal(munmap(pages, 3 * PAGE), 0);
}

static void end_without_begin_is_one_misuse_each_time(void **state)
{
    static struct hot_section section = HOT_SECTION("unopened");
    (void)state;
    need_exact_faults();
    attach(HOT_SOURCE_RING);
    hot_section_begin(&section);
    assert_int_equal(hot_section_end(&section), 0);

    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(hot_section_end(&section), 1);

    assert_int_equal(stats_of(&section).counts[HOT_MISUSE], 2);
    assert_int_equal(stats_of(&section).dirty_entries, 2);
}

static void begin_within_itself_starts_anew_and_the_last_end_is_misuse(void **state)
{
    static struct hot_section section = HOT_SECTION("recursive");
    (void)state;
    need_exact_faults();
    attach(HOT_SOURCE_RING);

    hot_section_begin(&section);
    hot_section_begin(&section);
    assert_int_equal(hot_section_end(&section), 0);
    assert_int_equal(hot_sections_open(), 0);
    assert_int_equal(hot_section_end(&section), 1);

    assert_int_equal(stats_of(&section).counts[HOT_MISUSE], 1);
    hot_section_begin(&section);
    assert_int_equal(hot_section_end(&section), 0);
}

static void section_open_at_detach_is_closed_as_misuse(void **state)
{
    static struct hot_section section = HOT_SECTION("left open");
    (void)state;
    attach(HOT_SOURCE_RING);

    hot_section_begin(&section);
    hot_thread_detach();

    assert_int_equal(stats_of(&section).counts[HOT_MISUSE], 1);
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(stats_of(&section).counts[HOT_MISUSE], 2);
}

static void more_sections_than_fit_are_loud(void **state)
{
    struct hot_section *sections = calloc(HOT_SECTIONS_MAX + 1, sizeof *sections);
    pid_t child;
    int status;
    (void)state;
    assert_non_null(sections);
    /* In a child: section numbers are never given back. */
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        uint64_t violations = 0;
        for (size_t i = 0; i <= HOT_SECTIONS_MAX; ++i) {
            sections[i].name = "one of many";
            hot_section_begin(&sections[i]);
            violations += hot_section_end(&sections[i]);
        }
        _exit(violations > 0 ? 7 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    free(sections);
}

/* ------------------------------------------------------------------------------------ tripwires */

static void refused_allocation_is_a_violation_of_every_open_section(void **state)
{
    static struct hot_section outer = HOT_SECTION("outer of refusal");
    static struct hot_section inner =
        HOT_SECTION("refusal", .policy = HOT_CALLBACK, .hook = remember, .hook_context = &seen);
    static struct hot_section bystander = HOT_SECTION("bystander");
    struct arena *arena = NULL;
    (void)state;
    need_exact_faults();
    attach(HOT_SOURCE_RING);
    assert_int_equal(arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = PAGE)), 0);
    (void)process_warmup(NULL, NULL); /* the first refusal may run into a code page that is new */
    hot_section_begin(&bystander);
    assert_int_equal(hot_section_end(&bystander), 0);

    hot_section_begin(&outer);
    hot_section_begin(&inner);
    assert_null(arena_alloc(arena, 4 * PAGE, 8));
    assert_null(arena_alloc(arena, 5 * PAGE, 8));
    assert_int_equal(hot_section_end(&inner), 2);
    assert_int_equal(hot_section_end(&outer), 2);

    hot_section_begin(&inner);
    assert_int_equal(hot_section_end(&inner), 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.violations[0].kind, HOT_REFUSED);
    assert_int_equal(seen.violations[0].count, 2);
    assert_int_equal(seen.violations[0].request_bytes, 5 * PAGE);
    assert_int_equal(stats_of(&bystander).counts[HOT_REFUSED], 0);
    arena_destroy(arena);
}

static void warmup_inside_a_hot_section_is_refused(void **state)
{
    static struct hot_section section = HOT_SECTION("warmup inside");
    struct arena *arena = NULL;
    (void)state;
    need_exact_faults();
    attach(HOT_SOURCE_RING);
    assert_int_equal(arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = PAGE)), 0);

    hot_section_begin(&section);
    assert_int_equal(arena_warmup(arena, NULL, NULL), -EBUSY);
    assert_int_equal(hot_section_end(&section), 0);

    assert_int_equal(arena_warmup(arena, NULL, NULL), 0);
    arena_destroy(arena);
}

/* --------------------------------------------------------------------------------------- policy */

/* Run in a child whose standard error is captured; returns its wait status. */
static int run_captured(void (*body)(void), char *text, size_t size_bytes)
{
    int ends[2];
    int status;
    size_t length = 0;
    ssize_t got;
    pid_t child;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        body();
        _exit(0);
    }
    (void)close(ends[1]);
    while ((got = read(ends[0], text + length, size_bytes - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void fault_under_abort(void)
{
    static struct hot_section section = HOT_SECTION("fatal", .policy = HOT_ABORT);
    struct arena *arena = NULL;
    if (arena_create(&arena, &ARENA_OPTIONS(.name = "doomed", .capacity_bytes = PAGE)) != 0)
        _exit(1);
    hot_section_begin(&section);
    plant_fault(arena_alloc(arena, 100, 64));
    (void)hot_section_end(&section);
}

static void abort_policy_prints_the_violation_and_aborts(void **state)
{
    static char text[4096];
    int status;
    (void)state;
    attach(HOT_SOURCE_RING); /* skips where there is no ring */

    status = run_captured(fault_under_abort, text, sizeof text);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "page fault in hot section \"fatal\""));
    assert_non_null(strstr(text, "arena \"doomed\" + 0 bytes"));
    assert_non_null(strstr(text, "test_section.c:"));
}

/* -------------------------------------------------------------------------------------- threads */

static struct hot_section crowd = HOT_SECTION("crowd", .counted = true);

static void *enter_crowd(void *argument)
{
    unsigned char *page = argument;
    for (int i = 0; i < 100; ++i) {
        hot_section_begin(&crowd);
        (void)hot_section_end(&crowd);
    }
    hot_section_begin(&crowd);
    plant_fault(page);
    return (void *)(uintptr_t)hot_section_end(&crowd);
}

static void statistics_add_up_threads_that_are_gone(void **state)
{
    unsigned char *pages = cold_pages(4);
    struct hot_section_statistics stats;
    uint64_t told = 0;
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < 4; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, enter_crowd, pages + i * PAGE), 0);
    for (size_t i = 0; i < 4; ++i) {
        void *violations;
        assert_int_equal(pthread_join(threads[i], &violations), 0);
        assert_true((uintptr_t)violations > 0);
        told += (uintptr_t)violations;
    }

    stats = stats_of(&crowd);
    assert_int_equal(stats.entries, 4 * 101);
    assert_in_range(stats.counts[HOT_FAULT], told, UINT64_MAX);
    need_exact_faults(); /* all has run under ThreadSanitizer too, but for the exact numbers */
    assert_int_equal(stats.dirty_entries, 4);
    assert_int_equal(stats.counts[HOT_FAULT], 4);
    assert_int_equal(munmap(pages, 4 * PAGE), 0);
}

static void statistics_refuse_a_struct_without_size(void **state)
{
    struct hot_section_statistics stats = {0};
    (void)state;
    assert_int_equal(hot_section_stats(&crowd, &stats), -EINVAL);
    assert_int_equal(hot_section_stats(&crowd, NULL), -EINVAL);
    assert_int_equal(hot_section_stats(NULL, &stats), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clean_section_returns_zero, forget_seen, detach),
        cmocka_unit_test_setup_teardown(every_way_sees_a_fault_and_an_end_too_many, forget_seen,
                                        detach),
        cmocka_unit_test_setup_teardown(every_planted_fault_is_counted, forget_seen, detach),
        cmocka_unit_test_setup_teardown(
            planted_fault_is_reported_with_address_arena_section_and_instruction, forget_seen,
            detach),
        cmocka_unit_test_setup_teardown(fault_inside_a_system_call_is_caught_by_rusage, forget_seen,
                                        detach),
        cmocka_unit_test_setup_teardown(
            more_faults_than_the_ring_holds_are_all_counted_and_the_last_ones_described,
            forget_seen, detach),
        cmocka_unit_test_setup_teardown(fault_in_an_inner_section_counts_in_both_and_only_there,
                                        forget_seen, detach),
        cmocka_unit_test_setup_teardown(end_without_begin_is_one_misuse_each_time, forget_seen,
                                        detach),
        cmocka_unit_test_setup_teardown(begin_within_itself_starts_anew_and_the_last_end_is_misuse,
                                        forget_seen, detach),
        cmocka_unit_test_setup_teardown(section_open_at_detach_is_closed_as_misuse, forget_seen,
                                        detach),
        cmocka_unit_test_setup_teardown(more_sections_than_fit_are_loud, forget_seen, detach),
        cmocka_unit_test_setup_teardown(refused_allocation_is_a_violation_of_every_open_section,
                                        forget_seen, detach),
        cmocka_unit_test_setup_teardown(warmup_inside_a_hot_section_is_refused, forget_seen,
                                        detach),
        cmocka_unit_test_setup_teardown(abort_policy_prints_the_violation_and_aborts, forget_seen,
                                        detach),
        cmocka_unit_test_setup_teardown(statistics_add_up_threads_that_are_gone, forget_seen,
                                        detach),
        cmocka_unit_test_setup_teardown(statistics_refuse_a_struct_without_size, forget_seen,
                                        detach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
