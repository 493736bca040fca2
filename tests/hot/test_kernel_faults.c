/*
 * Page faults inside system calls, seen by the ring with their address.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "support/child.h"
#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define PAGES ((size_t)4096)
#define POPULATE_WRITE 23

static unsigned char *pages;
static size_t next_page;
static int zeros;

static uint64_t seen[HOT_KIND_COUNT];
static uint64_t wrong;           /* addresses outside of the planted pages, or of another kind */
static uint64_t without_address; /* told as a count only */

static int set_up(void **state)
{
    (void)state;
    pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    if (pages == MAP_FAILED || zeros < 0 || madvise(pages, PAGES * PAGE, MADV_NOHUGEPAGE) != 0)
        return -1;
    warm_shadow(pages, PAGES * PAGE);
    next_page = 0;
    memset(seen, 0, sizeof seen);
    wrong = 0;
    without_address = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hot_thread_detach();
    (void)close(zeros);
    return munmap(pages, PAGES * PAGE);
}

static void attach_with_kernel_faults(enum hot_source source, size_t ring_bytes)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    int error;
    need_exact_faults();
    error = hot_thread_attach(&HOT_THREAD_OPTIONS(.source = source, .ring_bytes = ring_bytes,
                                                  .watch = HOT_WATCH_KERNEL_FAULTS),
                              &report);
    need("fault-ring", error == 0, "the ring is refused here: %s", strerror(-error));
    need("kernel faults", report.watched == HOT_WATCH_KERNEL_FAULTS,
         "faults of the kernel are refused: %s", strerror(-report.watch_errors[3]));
    assert_int_equal(report.active, source);
}

/* Pages that a system call is the first to write to. */
static void plant_kernel_faults(size_t count)
{
    ssize_t bytes = (ssize_t)(count * PAGE);
    assert_int_equal(read(zeros, pages + next_page * PAGE, count * PAGE), bytes);
    next_page += count;
}

static void plant_own_faults(size_t count)
{
    for (size_t i = 0; i < count; ++i)
        *(volatile unsigned char *)(pages + next_page++ * PAGE + i) = 1;
}

static void check(const struct hot_violation *violation, void *context)
{
    size_t offset = violation->address - (uintptr_t)pages;
    bool by_kernel;
    (void)context;
    seen[violation->kind] += violation->count;
    without_address += violation->address == 0 ? violation->count : 0;
    wrong += violation->address != 0 && offset >= next_page * PAGE;
    by_kernel = (intptr_t)violation->instruction < 0;
    wrong += violation->address != 0 && by_kernel != (violation->kind == HOT_KERNEL_FAULT);
}

static struct hot_section section =
    HOT_SECTION("kernel faults", .policy = HOT_CALLBACK, .hook = check);

/* -------------------------------------------------------------------------------------- granted */

static void report_marks_the_address_in_the_kernel(void **state)
{
    static struct hot_section reported =
        HOT_SECTION("reported", .policy = HOT_CALLBACK, .hook = hot_report_add);
    struct hot_report *report;
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    (void)state;
    assert_non_null(stream);
    attach_with_kernel_faults(HOT_SOURCE_RING, 0);
    assert_int_equal(hot_report_create(&report, NULL), 0);
    reported.hook_context = report;
    hot_section_begin(&reported);
    plant_kernel_faults(1);
    (void)hot_section_end(&reported);
    assert_int_equal(hot_report_print(report, stream), 0);
    (void)fclose(stream);
    assert_non_null(strstr(text, "        #0 0xffff"));
    assert_non_null(strstr(text, " [kernel]\n"));
    free(text);
    hot_report_destroy(report);
}

static void fault_inside_a_system_call_is_told_with_its_address(void **state)
{
    (void)state;
    attach_with_kernel_faults(HOT_SOURCE_RING, 0);
    hot_section_begin(&section);
    plant_kernel_faults(3);
    plant_own_faults(2);
    plant_kernel_faults(1);
    assert_int_equal(hot_section_end(&section), 6);
    assert_int_equal(seen[HOT_KERNEL_FAULT], 4);
    assert_int_equal(seen[HOT_FAULT], 2);
    assert_int_equal(wrong, 0);
    assert_int_equal(without_address, 0);
}

static void clean_section_stays_clean_and_on_the_short_way(void **state)
{
    static struct hot_section clean = HOT_SECTION("clean");
    (void)state;
    attach_with_kernel_faults(HOT_SOURCE_RING, 0);
    plant_own_faults(4);
    next_page -= 4;
    for (int i = 0; i < 3; ++i) {
        hot_section_begin(&clean);
        plant_kernel_faults(4);
        next_page -= 4;
        assert_int_equal(hot_section_end(&clean), 0);
    }
    /* A slot that shows its section is one that begin and end compare inline. */
    assert_ptr_equal(
        ((const struct hot_slot *)(const void *)(hot_thread_table + clean.slot_bytes))->section,
        &clean);
}

static void each_fault_counts_once_when_both_sources_see_it(void **state)
{
    (void)state;
    attach_with_kernel_faults(HOT_SOURCE_BOTH, 0);
    hot_section_begin(&section);
    plant_kernel_faults(3);
    plant_own_faults(2);
    assert_int_equal(hot_section_end(&section), 5);
    assert_int_equal(seen[HOT_KERNEL_FAULT], 3);
    assert_int_equal(seen[HOT_FAULT], 2);
    assert_int_equal(wrong, 0);
    assert_int_equal(without_address, 0);
}

static void faults_that_no_exception_shows_are_counted_with_both_sources(void **state)
{
    (void)state;
    need("populate", madvise(NULL, 0, POPULATE_WRITE) == 0, "no MADV_POPULATE_WRITE here");
    attach_with_kernel_faults(HOT_SOURCE_BOTH, 0);
    hot_section_begin(&section);
    assert_int_equal(madvise(pages + next_page * PAGE, 8 * PAGE, POPULATE_WRITE), 0);
    next_page += 8;
    plant_kernel_faults(2);
    assert_int_equal(hot_section_end(&section), 10);
    assert_int_equal(seen[HOT_KERNEL_FAULT], 10);
    assert_int_equal(without_address, 8);
    assert_int_equal(wrong, 0);
}

static void fault_that_a_system_call_could_not_have_served_is_told(void **state)
{
    (void)state;
    attach_with_kernel_faults(HOT_SOURCE_BOTH, 0);
    assert_int_equal(mprotect(pages, PAGE, PROT_NONE), 0);
    next_page = 1;
    hot_section_begin(&section);
    assert_int_equal(read(zeros, pages, 1), -1);
    assert_int_equal(errno, EFAULT);
    assert_in_range(hot_section_end(&section), 1, 2); /* a kernel may try a second time */
    assert_int_equal(seen[HOT_FAULT], 0);
    assert_int_equal(wrong, 0);
}

static void pause_leaves_kernel_faults_out(void **state)
{
    (void)state;
    attach_with_kernel_faults(HOT_SOURCE_RING, 0);
    hot_section_begin(&section);
    plant_kernel_faults(1);
    hot_pause_begin();
    plant_kernel_faults(5);
    plant_own_faults(3);
    hot_pause_end();
    plant_own_faults(1);
    assert_int_equal(hot_section_end(&section), 2);
    assert_int_equal(seen[HOT_KERNEL_FAULT], 1);
    assert_int_equal(seen[HOT_FAULT], 1);
    assert_int_equal(wrong, 0);
}

static void records_that_the_ring_lost_count_as_page_faults(void **state)
{
    uint64_t kept;
    (void)state;
    attach_with_kernel_faults(HOT_SOURCE_RING, PAGE);
    hot_section_begin(&section);
    plant_kernel_faults(1000);
    assert_int_equal(hot_section_end(&section), 1000);
    kept = seen[HOT_KERNEL_FAULT];
    assert_in_range(kept, 50, PAGE / 40);
    assert_int_equal(seen[HOT_FAULT], 1000 - kept);
    assert_int_equal(without_address, 1000 - kept);
    assert_int_equal(wrong, 0);
}

/* -------------------------------------------------------------------------------------- refused */

struct refusal {
    int error;
    uint32_t watched;
    int watch_error;
    enum hot_source active;
    int required_error;
    uint64_t violations;
};

static void attach_without_privileges(void *shared)
{
    struct refusal *result = shared;
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    if (drop_privileges((size_t)8 << 20) != 0)
        return;
    result->required_error =
        hot_thread_attach(&HOT_THREAD_OPTIONS(.required = HOT_WATCH_KERNEL_FAULTS), NULL);
    result->error =
        hot_thread_attach(&HOT_THREAD_OPTIONS(.watch = HOT_WATCH_KERNEL_FAULTS), &report);
    result->watched = report.watched;
    result->watch_error = report.watch_errors[3];
    result->active = report.active;
    plant_own_faults(1); /* the child's own copies of what the function writes to */
    hot_section_begin(&section);
    plant_own_faults(2);
    result->violations = hot_section_end(&section);
}

static void without_privileges_the_ring_stays_and_the_refusal_is_said(void **state)
{
    struct refusal *result = shared_create(sizeof *result);
    struct refusal found;
    (void)state;
    need_exact_faults();
    assert_int_equal(run_in_child(attach_without_privileges, result), 0);
    found = *result;
    shared_destroy(result, sizeof *result);
    need("paranoid", found.watched == 0, "faults of the kernel are everybody's here");
    need("fault-ring", found.active == HOT_SOURCE_RING, "no ring without privileges");
    assert_int_equal(found.error, 0);
    assert_int_equal(found.watch_error, -EACCES);
    assert_int_equal(found.required_error, -EACCES);
    assert_int_equal(found.violations, 2);
}

static void without_a_ring_there_is_nothing_to_record_them(void **state)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    (void)state;
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RUSAGE,
                                                           .watch = HOT_WATCH_KERNEL_FAULTS),
                                       &report),
                     0);
    assert_int_equal(report.watched, 0);
    assert_int_equal(report.watch_errors[3], -ENODEV);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fault_inside_a_system_call_is_told_with_its_address),
        TEST(report_marks_the_address_in_the_kernel),
        TEST(clean_section_stays_clean_and_on_the_short_way),
        TEST(each_fault_counts_once_when_both_sources_see_it),
        TEST(faults_that_no_exception_shows_are_counted_with_both_sources),
        TEST(fault_that_a_system_call_could_not_have_served_is_told),
        TEST(pause_leaves_kernel_faults_out),
        TEST(records_that_the_ring_lost_count_as_page_faults),
        TEST(without_privileges_the_ring_stays_and_the_refusal_is_said),
        TEST(without_a_ring_there_is_nothing_to_record_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
