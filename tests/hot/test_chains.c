/*
 * Call chains of real page faults: whose they are, in which order, and what remains when the ring
 * has overwritten them. Built with frame pointers, which is what the kernel follows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "hot/thread.h"
#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define PAGES ((size_t)4096)

static unsigned char *pages;

static int map_pages(void **state)
{
    (void)state;
    pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || madvise(pages, PAGES * PAGE, MADV_NOHUGEPAGE) != 0)
        return -1;
    warm_shadow(pages, PAGES * PAGE);
    return 0;
}

static int unmap_pages(void **state)
{
    (void)state;
    hot_thread_detach();
    return munmap(pages, PAGES * PAGE);
}

static void attach_watching(uint32_t watch)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    int error =
        hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING, .watch = watch), &report);
    need("perf", error == 0, "no fault ring here: %s", strerror(-error));
    assert_int_equal(report.watched, watch);
}

/* ------------------------------------------------------------------------ three known functions */

/* No instrumentation, whose own functions would be in the chain or fault; a frame, and no jump in
 * place of the last call. */
#define KNOWN __attribute__((noinline, no_sanitize("address", "thread", "undefined"), unused))

/* With something on its stack: a function that has nothing there gets no frame either way. */
KNOWN static void touch(volatile unsigned char *address)
{
    volatile unsigned char value = 1;
    *address = value;
    __asm__ volatile("" ::: "memory");
}

KNOWN static void inner(volatile unsigned char *address)
{
    touch(address);
    __asm__ volatile("" ::: "memory");
}

KNOWN static void middle(volatile unsigned char *address)
{
    inner(address);
    __asm__ volatile("" ::: "memory");
}

KNOWN static void outer(volatile unsigned char *address)
{
    middle(address);
    __asm__ volatile("" ::: "memory");
}

typedef void known(volatile unsigned char *address);

/* The known function that an address lies in is the one that begins last before it. */
static bool is_in(uintptr_t address, known *function)
{
    static known *const all[] = {touch, inner, middle, outer};
    known *nearest = NULL;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; ++i)
        if ((uintptr_t)all[i] <= address && (uintptr_t)all[i] > (uintptr_t)nearest)
            nearest = all[i];
    return nearest == function && address - (uintptr_t)function < 256;
}

/* What the hook saw, frames copied. */
static struct seen {
    size_t count;
    struct hot_violation violation;
    uintptr_t frames[HOT_FRAMES_MAX];
} seen;

static void look(const struct hot_violation *violation, void *context)
{
    (void)context;
    ++seen.count;
    seen.violation = *violation;
    for (size_t i = 0; i < violation->frame_count; ++i)
        seen.frames[i] = violation->frames[i];
}

static struct hot_section section = HOT_SECTION("chains", .policy = HOT_CALLBACK, .hook = look);

static void fault_through_known_functions(unsigned char *address)
{
    memset(&seen, 0, sizeof seen);
    hot_section_begin(&section);
    outer(address);
    (void)hot_section_end(&section);
}

static void assert_known_functions_in_order(const unsigned char *address)
{
    assert_int_equal(seen.violation.address, (uintptr_t)address);
    assert_true(is_in(seen.violation.instruction, touch));
    assert_true(seen.violation.frame_count >= 3);
    assert_true(is_in(seen.frames[0], inner));
    assert_true(is_in(seen.frames[1], middle));
    assert_true(is_in(seen.frames[2], outer));
}

/* ---------------------------------------------------------------------------------------- tests */

/* The call itself is made here, so that no function without a frame is between. */
KNOWN static long read_into(int file, void *buffer, size_t bytes)
{
    volatile long result = syscall(SYS_read, file, buffer, bytes);
    return result;
}

static bool has_frame_in(uintptr_t begin, size_t bytes)
{
    for (size_t i = 0; i < seen.violation.frame_count; ++i)
        if (seen.frames[i] - begin < bytes)
            return true;
    return false;
}

static void fault_inside_a_system_call_has_the_callers_of_the_call(void **state)
{
    int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    (void)state;
    assert_true(zeros >= 0);
    attach_watching(HOT_WATCH_CALL_CHAINS | HOT_WATCH_KERNEL_FAULTS);
    memset(&seen, 0, sizeof seen);
    hot_section_begin(&section);
    assert_int_equal(read_into(zeros, pages, 1), 1);
    (void)hot_section_end(&section);
    (void)close(zeros);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.violation.kind, HOT_KERNEL_FAULT);
    assert_int_equal(seen.violation.address, (uintptr_t)pages);
    assert_true(seen.violation.frame_count >= 2);
    assert_true((intptr_t)seen.frames[0] > 0);
    assert_true(
        has_frame_in((uintptr_t)fault_inside_a_system_call_has_the_callers_of_the_call, 1024));
}

static void chain_names_the_callers_innermost_first(void **state)
{
    (void)state;
    attach_watching(HOT_WATCH_CALL_CHAINS);
    fault_through_known_functions(pages);
    assert_int_equal(seen.count, 1);
    assert_known_functions_in_order(pages);
}

static void without_the_watch_there_are_no_frames(void **state)
{
    (void)state;
    attach_watching(0);
    fault_through_known_functions(pages);
    assert_int_equal(seen.violation.address, (uintptr_t)pages);
    assert_int_equal(seen.violation.frame_count, 0);
}

static void clean_pass_stays_on_the_short_way(void **state)
{
    struct hot_section_statistics stats = HOT_SECTION_STATISTICS_INIT;
    static struct hot_section clean = HOT_SECTION("clean");
    (void)state;
    attach_watching(HOT_WATCH_CALL_CHAINS);
    hot_section_begin(&clean);
    (void)hot_section_end(&clean);
    hot_section_begin(&clean);
    assert_ptr_equal(((struct hot_slot *)(void *)(hot_thread_table + clean.slot_bytes))->section,
                     &clean);
    (void)hot_section_end(&clean);
    assert_int_equal(hot_section_stats(&clean, &stats), 0);
    assert_int_equal(stats.dirty_entries, 0);
}

static void each_fault_of_a_section_gets_its_own_chain(void **state)
{
    (void)state;
    attach_watching(HOT_WATCH_CALL_CHAINS);
    memset(&seen, 0, sizeof seen);
    hot_section_begin(&section);
    for (size_t i = 0; i < 8; ++i)
        touch(pages + i * PAGE);
    outer(pages + 8 * PAGE);
    (void)hot_section_end(&section);
    assert_true(seen.count >= 9);
    assert_true(is_in(seen.frames[1], middle));
    assert_int_equal(seen.violation.address, (uintptr_t)(pages + 8 * PAGE));
}

static void nested_sections_both_get_the_chain(void **state)
{
    static struct hot_section around = HOT_SECTION("around", .policy = HOT_CALLBACK, .hook = look);
    (void)state;
    need_exact_faults();
    attach_watching(HOT_WATCH_CALL_CHAINS);
    hot_section_begin(&around);
    (void)hot_section_end(&around); /* the guard's own pages are warm from here on */

    hot_section_begin(&around);
    fault_through_known_functions(pages);
    assert_known_functions_in_order(pages);
    memset(&seen, 0, sizeof seen);
    (void)hot_section_end(&around);
    assert_known_functions_in_order(pages);
}

static void same_instruction_and_page_again_get_the_chain_of_their_own_time(void **state)
{
    (void)state;
    attach_watching(HOT_WATCH_CALL_CHAINS);
    touch(pages); /* the same fault, directly */
    assert_int_equal(madvise(pages, PAGE, MADV_DONTNEED), 0);
    fault_through_known_functions(pages);
    assert_known_functions_in_order(pages);
    assert_int_equal(madvise(pages, PAGE, MADV_DONTNEED), 0);
    hot_section_begin(&section);
    touch(pages);
    (void)hot_section_end(&section);
    assert_false(is_in(seen.frames[0], inner));
}

static void chain_is_found_after_the_ring_has_gone_round(void **state)
{
    (void)state;
    need_exact_faults();
    attach_watching(HOT_WATCH_CALL_CHAINS);
    /* Far more than the ring holds, of different depths, so that lengths vary. */
    for (size_t i = 0; i < PAGES - 1; ++i) {
        if (i % 3 == 0)
            outer(pages + i * PAGE);
        else
            touch(pages + i * PAGE);
    }
    assert_true(*zf_hot_thread_self()->chains.head > zf_hot_thread_self()->chains.data_bytes);
    fault_through_known_functions(pages + (PAGES - 1) * PAGE);
    assert_int_equal(seen.count, 1);
    assert_known_functions_in_order(pages + (PAGES - 1) * PAGE);
}

static size_t told;
static size_t told_with_frames;

static void count(const struct hot_violation *violation, void *context)
{
    (void)context;
    told += violation->address != 0;
    told_with_frames += violation->frame_count != 0;
}

static void overwritten_chains_leave_faults_without_frames(void **state)
{
    static struct hot_section long_section =
        HOT_SECTION("long", .policy = HOT_CALLBACK, .hook = count);
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    int error = hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING,
                                                      .watch = HOT_WATCH_CALL_CHAINS,
                                                      .ring_bytes = PAGES * 64),
                                  &report);
    (void)state;
    need("perf", error == 0, "no fault ring here: %s", strerror(-error));
    told = 0;
    told_with_frames = 0;
    hot_section_begin(&long_section);
    for (size_t i = 0; i < PAGES; ++i)
        touch(pages + i * PAGE);
    assert_true(hot_section_end(&long_section) >= PAGES);
    assert_true(told >= PAGES);
    assert_in_range(told_with_frames, 1, PAGES - 1);
}

/* What `perf record -g -e page-faults -p PID` opens for this thread. */
static int open_profiler(void)
{
    struct perf_event_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_PAGE_FAULTS;
    attr.sample_period = 1;
    attr.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_CALLCHAIN;
    attr.exclude_kernel = 1;
    attr.exclude_callchain_kernel = 1;
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void profiler_of_the_same_faults_does_not_spoil_addresses_or_counts(void **state)
{
    enum { FAULTS = 5 };
    int profiler;
    void *ring;
    (void)state;
    need_exact_faults();
    attach_watching(0);
    fault_through_known_functions(pages);
    profiler = open_profiler();
    assert_true(profiler >= 0);
    ring = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, profiler, 0);
    assert_ptr_not_equal(ring, MAP_FAILED);

    memset(&seen, 0, sizeof seen);
    hot_section_begin(&section);
    for (size_t i = 1; i <= FAULTS; ++i)
        touch(pages + i * PAGE);
    assert_int_equal(hot_section_end(&section), FAULTS);
    assert_int_equal(seen.count, FAULTS);
    assert_int_equal(seen.violation.address, (uintptr_t)(pages + FAULTS * PAGE));

    /* Nor when most of the records are overwritten. */
    hot_section_begin(&section);
    for (size_t i = FAULTS + 1; i < PAGES; ++i)
        touch(pages + i * PAGE);
    assert_true(hot_section_end(&section) >= PAGES - FAULTS - 1);
    assert_int_equal(munmap(ring, 2 * PAGE), 0);
    assert_int_equal(close(profiler), 0);
}

static void chains_need_the_ring_that_they_belong_to(void **state)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    (void)state;
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RUSAGE,
                                                           .required = HOT_WATCH_CALL_CHAINS),
                                       &report),
                     -EOPNOTSUPP);
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RUSAGE,
                                                           .watch = HOT_WATCH_CALL_CHAINS),
                                       &report),
                     0);
    assert_int_equal(report.watched, 0);
}

static void child_of_fork_keeps_no_handle_of_the_chains(void **state)
{
    int status;
    int handle;
    pid_t child;
    (void)state;
    attach_watching(HOT_WATCH_CALL_CHAINS);
    handle = zf_hot_thread_self()->chains.handle;
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(hot_source_active() == HOT_SOURCE_NONE && close(handle) != 0 && errno == EBADF ? 0
                                                                                             : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    fault_through_known_functions(pages);
    assert_known_functions_in_order(pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fault_inside_a_system_call_has_the_callers_of_the_call,
                                        map_pages, unmap_pages),
        cmocka_unit_test_setup_teardown(chain_names_the_callers_innermost_first, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(without_the_watch_there_are_no_frames, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(clean_pass_stays_on_the_short_way, map_pages, unmap_pages),
        cmocka_unit_test_setup_teardown(each_fault_of_a_section_gets_its_own_chain, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(nested_sections_both_get_the_chain, map_pages, unmap_pages),
        cmocka_unit_test_setup_teardown(
            same_instruction_and_page_again_get_the_chain_of_their_own_time, map_pages,
            unmap_pages),
        cmocka_unit_test_setup_teardown(chain_is_found_after_the_ring_has_gone_round, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(overwritten_chains_leave_faults_without_frames, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(
            profiler_of_the_same_faults_does_not_spoil_addresses_or_counts, map_pages, unmap_pages),
        cmocka_unit_test_setup_teardown(chains_need_the_ring_that_they_belong_to, map_pages,
                                        unmap_pages),
        cmocka_unit_test_setup_teardown(child_of_fork_keeps_no_handle_of_the_chains, map_pages,
                                        unmap_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
