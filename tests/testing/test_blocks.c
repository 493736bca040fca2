/*
 * The blocks of zerofault/testing.h: what they count, and what they say. Their verdicts come here
 * instead of failing this program's tests, so that a failing block can be looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void take_verdict(const char *what, const char *file, int line, const char *text);

#define ZEROFAULT_TEST_FAIL(file, line, text) take_verdict("failed", file, line, text)
#define ZEROFAULT_TEST_SKIP(file, line, text) take_verdict("skipped", file, line, text)
#include <zerofault/testing.h>
#include <zerofault/zerofault.h>

#include "support/needs.h"

#define PAGE ((size_t)4096)
#define PAGES ((size_t)64)

static unsigned char *pages; /* cold, each test its own */

/* The last verdict; all empty while every block passed. */
static char verdict[16];
static char verdict_file[256];
static int verdict_line;
static char verdict_text[ZEROFAULT_TEST_TEXT_MAX];

static void take_verdict(const char *what, const char *file, int line, const char *text)
{
    (void)snprintf(verdict, sizeof verdict, "%s", what);
    (void)snprintf(verdict_file, sizeof verdict_file, "%s", file);
    (void)snprintf(verdict_text, sizeof verdict_text, "%s", text);
    verdict_line = line;
}

static void forget_verdict(void)
{
    take_verdict("", "", 0, "");
}

static int map_pages(void **state)
{
    (void)state;
    forget_verdict();
    pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? -1 : madvise(pages, PAGES * PAGE, MADV_NOHUGEPAGE);
}

static int unmap_pages(void **state)
{
    (void)zerofault_test_teardown(state);
    hot_switch(true);
    hot_thread_detach();
    return munmap(pages, PAGES * PAGE);
}

static void touch(size_t first, size_t count)
{
    for (size_t i = first; i < first + count; ++i)
        *(volatile unsigned char *)(pages + i * PAGE) = 1;
}

/* Under sanitizers every block is skipped; one test below says so, the others have nothing to
 * see. */
static void need_counts(void)
{
    need("exact faults", !ZEROFAULT_TEST_SANITIZED, "blocks do not count under sanitizers");
    touch(0, 0);
}

static void need_ring(void)
{
    int error = hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING), NULL);
    hot_thread_detach();
    need_counts();
    need("perf", error == 0, "no fault ring here: %s", strerror(-error));
}

#define assert_text_contains(part) assert_non_null(strstr(verdict_text, (part)))

/* --------------------------------------------------------------------------------------- counts */

static void warm_code_and_data_pass(void **state)
{
    (void)state;
    need_counts();
    touch(0, PAGES);
    for (int i = 0; i < 20; ++i) {
        assert_no_page_faults
        {
            touch(0, PAGES);
        }
    }
    assert_string_equal(verdict, "");
    assert_int_equal(hot_source_active(), HOT_SOURCE_NONE);
}

static void every_planted_fault_is_counted_once(void **state)
{
    size_t next = 0;
    char expected[64];
    (void)state;
    need_counts();
    for (size_t count = 1; count <= 10; ++count) {
        assert_no_page_faults
        {
            touch(next, count);
        }
        next += count;
        (void)snprintf(expected, sizeof expected, ": %zu x page fault, seen by", count);
        assert_string_equal(verdict, "failed");
        assert_text_contains(expected);
        forget_verdict();
    }
}

static void a_failure_names_the_place_and_the_addresses(void **state)
{
    char expected[sizeof __FILE__ + 160]; /* wherever the tree was checked out to */
    int line;
    (void)state;
    need_ring();
    line = __LINE__ + 1;
    assert_no_page_faults touch(3, 6);

    assert_string_equal(verdict, "failed");
    assert_int_equal(verdict_line, line);
    assert_string_equal(verdict_file, __FILE__);
    (void)snprintf(expected, sizeof expected,
                   "%s:%d: assert_no_page_faults in %s: 6 x page fault, seen by ring and rusage\n",
                   __FILE__, line, __func__);
    assert_memory_equal(verdict_text, expected, strlen(expected));
    for (size_t page = 3; page < 7; ++page) {
        (void)snprintf(expected, sizeof expected, "    page fault at 0x%zx, by the instruction at",
                       (size_t)(pages + page * PAGE));
        assert_text_contains(expected);
    }
    (void)snprintf(expected, sizeof expected, "0x%zx", (size_t)(pages + 7 * PAGE));
    assert_null(strstr(verdict_text, expected));
    assert_text_contains("\n    and 2 more\n");
}

static void a_failure_names_arena_and_offset(void **state)
{
    struct arena *arena = NULL;
    unsigned char *bytes;
    (void)state;
    need_ring();
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.name = "orders", .capacity_bytes = 4 * PAGE)), 0);
    bytes = arena_alloc(arena, 4 * PAGE, 1);
    assert_no_page_faults
    {
        *(volatile unsigned char *)(bytes + 2 * PAGE + 5) = 1;
    }
    arena_destroy(arena);
    assert_text_contains(" = arena \"orders\" + 8197 bytes, by the instruction at 0x");
}

static void faults_inside_system_calls_count(void **state)
{
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    ssize_t got = 0;
    (void)state;
    assert_true(zero >= 0);
    need_ring();
    got += read(zero, pages, 1);
    assert_no_page_faults
    {
        got += read(zero, pages + 9 * PAGE, 1);
    }
    (void)close(zero);
    assert_int_equal(got, 2);
    assert_text_contains(": 1 x page fault in a system call, seen by ring and rusage\n");
}

static void as_many_faults_as_are_allowed_pass_and_no_more(void **state)
{
    (void)state;
    need_counts();
    expect_page_faults_at_most(3)
    {
        touch(0, 3);
    }
    assert_string_equal(verdict, "");
    expect_page_faults_at_most(3)
    {
        touch(3, 4);
    }
    assert_string_equal(verdict, "failed");
    assert_text_contains("expect_page_faults_at_most");
    assert_text_contains(": 4 x page fault, 3 allowed, seen by");
}

/* ----------------------------------------------------------------------------- other violations */

static void only_the_kinds_that_a_block_is_about_count(void **state)
{
    struct arena *arena = NULL;
    (void)state;
    need_counts();
    assert_int_equal(arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = PAGE)), 0);
    assert_null(arena_alloc(arena, 3 * PAGE, 1));
    assert_no_page_faults
    {
        assert_null(arena_alloc(arena, 3 * PAGE, 1));
    }
    assert_string_equal(verdict, "");
    assert_no_violations(0)
    {
        assert_null(arena_alloc(arena, 3 * PAGE, 1));
    }
    arena_destroy(arena);
    assert_string_equal(verdict, "failed");
    assert_text_contains("assert_no_violations");
    assert_text_contains("    refused allocation, last request 12288 bytes\n");
}

static void watched_kinds_count_too(void **state)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    (void)state;
    need_counts();
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.watch = HOT_WATCH_SWITCHES), &report),
                     0);
    hot_thread_detach();
    need("perf", report.watched == HOT_WATCH_SWITCHES, "switches cannot be watched here");
    (void)usleep(1);
    assert_no_violations(HOT_WATCH_SWITCHES)
    {
        (void)usleep(1);
    }
    assert_string_equal(verdict, "failed");
    assert_text_contains(" x context switch");
}

/* Where the machine can watch them, the call is found; where not, the reason is told. */
static void a_system_call_fails_or_is_skipped_with_the_reason(void **state)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    (void)state;
    need_counts();
    assert_int_equal(
        hot_thread_attach(&HOT_THREAD_OPTIONS(.watch = HOT_WATCH_SYSTEM_CALLS), &report), 0);
    hot_thread_detach();
    assert_no_system_calls touch(0, 3);
    if (report.watched == 0) {
        assert_string_equal(verdict, "skipped");
        assert_text_contains("assert_no_system_calls");
        assert_text_contains("skipped: system calls cannot be watched here: ");
        assert_text_contains(strerror(-report.watch_errors[2]));
        return;
    }
    assert_string_equal(verdict, "");
    assert_no_system_calls(void) getppid();
    assert_string_equal(verdict, "failed");
    assert_text_contains("1 x system call");
    assert_text_contains("system call getppid (number ");
}

/* ------------------------------------------------------------------------------ ways in and out */

static void leave_by_break(void)
{
    assert_no_page_faults
    {
        touch(0, 2);
        if (pages[0] == 1)
            break;
        touch(2, 2);
    }
}

static int leave_by_return(void)
{
    assert_no_page_faults
    {
        touch(4, 3);
        return pages[4 * PAGE];
    }
    return 0;
}

static void a_block_that_is_left_early_is_checked(void **state)
{
    (void)state;
    need_counts();
    leave_by_break();
    assert_text_contains("in leave_by_break: 2 x page fault, seen by");
    forget_verdict();
    assert_int_equal(leave_by_return(), 1);
    assert_text_contains("in leave_by_return: 3 x page fault, seen by");
    assert_int_equal(hot_sections_open(), 0);
    assert_int_equal(hot_source_active(), HOT_SOURCE_NONE);
}

static void blocks_nest_and_each_counts_its_own(void **state)
{
    (void)state;
    need_counts();
    assert_no_page_faults
    {
        touch(0, 1);
        expect_page_faults_at_most(2)
        {
            touch(1, 2);
        }
        assert_string_equal(verdict, "");
    }
    assert_text_contains(": 3 x page fault, seen by");
    assert_int_equal(hot_source_active(), HOT_SOURCE_NONE);
}

static jmp_buf out;

static void jump_out_of_a_block(void)
{
    if (setjmp(out) != 0)
        return;
    assert_no_page_faults
    {
        longjmp(out, 1);
    }
}

static void a_block_left_by_longjmp_does_not_spoil_the_next(void **state)
{
    (void)state;
    need_counts();
    jump_out_of_a_block();
    assert_int_equal(hot_sections_open(), 1);
    assert_int_equal(zerofault_test_teardown(NULL), 0);
    assert_int_equal(hot_sections_open(), 0);
    assert_int_equal(hot_source_active(), HOT_SOURCE_NONE);

    for (int i = 0; i < 20; ++i)
        jump_out_of_a_block();
    assert_string_equal(verdict, "");
    assert_no_page_faults touch(0, 2);
    assert_text_contains(": 2 x page fault, seen by");
}

/* ----------------------------------------------------------------------- the thread's own guard */

static void a_guard_that_sees_too_little_is_exchanged_and_given_back(void **state)
{
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    struct hot_thread_options options = {.struct_size = sizeof options};
    ssize_t got = 0;
    (void)state;
    assert_true(zero >= 0);
    need_ring();
    assert_int_equal(
        hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING, .ring_bytes = 8192), NULL),
        0);
    got += read(zero, pages, 1);
    assert_no_page_faults
    {
        got += read(zero, pages + 9 * PAGE, 1);
    }
    (void)close(zero);
    assert_int_equal(got, 2);
    assert_text_contains(": 1 x page fault in a system call, seen by ring and rusage\n");
    assert_int_equal(hot_source_active(), HOT_SOURCE_RING);
    assert_int_equal(hot_thread_attached(&options, NULL), 0);
    assert_int_equal(options.ring_bytes, 8192);
}

static void an_open_section_keeps_its_guard_and_the_block_is_skipped(void **state)
{
    static struct hot_section section = HOT_SECTION("user's");
    bool ran = false;
    (void)state;
    need_ring();
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING), NULL), 0);
    hot_section_begin(&section);
    assert_no_page_faults
    {
        touch(0, 1);
        ran = true;
    }
    assert_int_equal(hot_section_end(&section), 1);
    assert_true(ran);
    assert_string_equal(verdict, "skipped");
    assert_text_contains("cannot be exchanged while a hot section is open\n");
}

static void guards_switched_off_skip_instead_of_passing(void **state)
{
    (void)state;
    need_counts();
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RUSAGE), NULL), 0);
    hot_switch(false);
    assert_no_page_faults touch(0, 1);
    assert_string_equal(verdict, "skipped");
    assert_text_contains("skipped: the guards are switched off");
    forget_verdict();

    hot_thread_detach();
    assert_no_page_faults touch(1, 1);
    assert_string_equal(verdict, "skipped");
    assert_text_contains("skipped: the guards are switched off");
}

static void a_guard_that_is_detached_inside_fails(void **state)
{
    (void)state;
    need_counts();
    assert_no_page_faults hot_thread_detach();
    assert_string_equal(verdict, "failed");
    assert_text_contains("1 x misuse");
}

static atomic_bool started;
static atomic_bool finished;

static void *fault_in_a_block(void *argument)
{
    while (!atomic_load(&started))
        (void)sched_yield();
    assert_no_page_faults touch(1, 10);
    atomic_store(&finished, true);
    return argument;
}

static void other_threads_do_not_count_and_have_blocks_of_their_own(void **state)
{
    pthread_t thread;
    (void)state;
    need_counts();
    (void)sched_yield();
    assert_int_equal(pthread_create(&thread, NULL, fault_in_a_block, NULL), 0);
    assert_no_page_faults
    {
        atomic_store(&started, true);
        while (!atomic_load(&finished))
            (void)sched_yield();
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(verdict, "failed");
    assert_text_contains("in fault_in_a_block: 10 x page fault, seen by");
}

/* ----------------------------------------------------------------------------------- sanitizers */

static void sanitizers_skip_and_run_the_body(void **state)
{
    bool ran = false;
    (void)state;
    assert_no_page_faults ran = true;
    assert_true(ran);
    assert_string_equal(verdict, ZEROFAULT_TEST_SANITIZED ? "skipped" : "");
    if (ZEROFAULT_TEST_SANITIZED)
        assert_text_contains("skipped: sanitizers touch memory of their own\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, map_pages, unmap_pages)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(warm_code_and_data_pass),
        TEST(every_planted_fault_is_counted_once),
        TEST(a_failure_names_the_place_and_the_addresses),
        TEST(a_failure_names_arena_and_offset),
        TEST(faults_inside_system_calls_count),
        TEST(as_many_faults_as_are_allowed_pass_and_no_more),
        TEST(only_the_kinds_that_a_block_is_about_count),
        TEST(watched_kinds_count_too),
        TEST(a_system_call_fails_or_is_skipped_with_the_reason),
        TEST(a_block_that_is_left_early_is_checked),
        TEST(blocks_nest_and_each_counts_its_own),
        TEST(a_block_left_by_longjmp_does_not_spoil_the_next),
        TEST(a_guard_that_sees_too_little_is_exchanged_and_given_back),
        TEST(an_open_section_keeps_its_guard_and_the_block_is_skipped),
        TEST(guards_switched_off_skip_instead_of_passing),
        TEST(a_guard_that_is_detached_inside_fails),
        TEST(other_threads_do_not_count_and_have_blocks_of_their_own),
        TEST(sanitizers_skip_and_run_the_body),
    };
    return cmocka_run_group_tests_name("testing.blocks", tests, NULL, NULL);
}
