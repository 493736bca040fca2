/*
 * Page faults outside of arenas, provoked in every way that this machine can show: memory, stacks,
 * thread-local variables, code, static data, files. Each is described in the hook.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "arena/registry.h"
#include "base/sanitize.h"
#include "hot/describing.h"
#include "os/os.h"
#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE_ALIGNED __attribute__((aligned(4096)))

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* --------------------------------------------------------------------------------------- memory */

static void fresh_mapping_is_first_touched(void **state)
{
    unsigned char *pages = map_pages();
    (void)state;
    need_ring();
    write_in_section(pages + PAGE);
    assert_is(HOT_PLACE_ANONYMOUS, HOT_CAUSE_FIRST_TOUCH);
    assert_access_is(HOT_ACCESS_WRITE);
    assert_true(seen.description.mapping_begin <= (uintptr_t)pages);
    assert_true(seen.description.mapping_end >= (uintptr_t)pages + PAGES * PAGE);
    read_in_section(pages + 3 * PAGE);
    assert_is(HOT_PLACE_ANONYMOUS, HOT_CAUSE_FIRST_TOUCH);
    assert_access_is(HOT_ACCESS_READ);
    assert_evidence("first write will fault again");
    (void)munmap(pages, PAGES * PAGE);
}

static void write_after_a_read_replaces_the_zero_page(void **state)
{
    unsigned char *pages = map_pages();
    (void)state;
    need_ring();
    read_from(pages + 7 * PAGE);
    write_in_section(pages + 7 * PAGE);
#if defined(__x86_64__)
    assert_is(HOT_PLACE_ANONYMOUS, HOT_CAUSE_ZERO_PAGE);
    assert_evidence("read from");
#endif
    assert_evidence("had faulted in this page before");
    (void)munmap(pages, PAGES * PAGE);
}

static void memory_populated_by_reading_is_zero_pages(void **state)
{
    unsigned char *pages = map_pages();
    (void)state;
    need_ring();
    need("populate-read", madvise(pages, PAGES * PAGE, MADV_POPULATE_READ) == 0,
         "this kernel has no MADV_POPULATE_READ");
    write_in_section(pages + 2 * PAGE);
    assert_is(HOT_PLACE_ANONYMOUS, HOT_CAUSE_ZERO_PAGE);
    (void)munmap(pages, PAGES * PAGE);
}

static void touched_memory_is_copied_on_write_after_fork(void **state)
{
    unsigned char *pages = map_pages();
    (void)state;
    need_ring();
    memset(pages, 1, PAGES * PAGE);
    fork_once();
    write_in_section(pages + 5 * PAGE);
    assert_is(HOT_PLACE_ANONYMOUS, HOT_CAUSE_FORK);
    assert_evidence("forked since the thread attached");
    (void)munmap(pages, PAGES * PAGE);
}

static void named_mapping_keeps_its_name(void **state)
{
    unsigned char *pages = map_pages();
    (void)state;
    need_ring();
    need("mapping-names", zf_os_name(pages, PAGES * PAGE, "quotes") == 0,
         "this kernel keeps no names");
    write_in_section(pages);
    assert_is(HOT_PLACE_ANONYMOUS, HOT_CAUSE_FIRST_TOUCH);
    assert_string_equal(seen.description.mapping, "quotes");
    (void)munmap(pages, PAGES * PAGE);
}

/* As if it had never been touched. */
static void drop_page_of(unsigned char *address)
{
    void *page = (void *)((uintptr_t)address & ~(PAGE - 1));
    assert_int_equal(madvise(page, PAGE, MADV_DONTNEED), 0);
}

static void heap_is_first_touched(void **state)
{
    unsigned char *block;
    (void)state;
    need_ring();
#ifdef __SANITIZE_ADDRESS__
    need("c-heap", false, "AddressSanitizer has a heap of its own");
#endif
#ifdef __SANITIZE_THREAD__
    need("c-heap", false, "ThreadSanitizer has a heap of its own");
#endif
    block = malloc(100000);
    assert_non_null(block);
    drop_page_of(block + 50000);
    write_in_section(block + 50000);
    assert_is(HOT_PLACE_HEAP, HOT_CAUSE_FIRST_TOUCH);
    assert_string_equal(seen.description.mapping, "[heap]");
    free(block);
}

static void shared_memory_is_told_from_private(void **state)
{
    unsigned char *pages =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)state;
    need_ring();
    write_in_section(pages);
    assert_is(HOT_PLACE_SHARED, HOT_CAUSE_FIRST_TOUCH);
    (void)munmap(pages, PAGES * PAGE);
}

/* ----------------------------------------------------------------------------- threads, objects */

ZF_UNINSTRUMENTED __attribute__((noinline)) static void use_stack(void)
{
    volatile unsigned char deep[256 * 1024];
    for (size_t i = 0; i < sizeof deep; i += PAGE)
        deep[i] = 1;
}

static void *go_deep(void *argument)
{
    (void)attach(NULL);
    seen.begin = 1;
    seen.end = (uintptr_t)__builtin_frame_address(0);
    hot_section_begin(&section);
    use_stack();
    (void)hot_section_end(&section);
    hot_thread_detach();
    return argument;
}

static void deeper_stack_is_named(void **state)
{
    pthread_t thread;
    (void)state;
    need_ring();
    expect_in(NULL, 0);
    assert_int_equal(pthread_create(&thread, NULL, go_deep, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(seen.rc, 0);
    assert_is(HOT_PLACE_STACK, HOT_CAUSE_STACK_DEPTH);
    assert_int_equal(seen.description.owner_thread_id, seen.violation.thread_id);
}

static pthread_barrier_t barrier;
static unsigned char *deep_in_its_stack;
static uint32_t its_thread_id;

static void *lend_stack(void *argument)
{
    (void)attach(NULL);
    deep_in_its_stack = (unsigned char *)__builtin_frame_address(0) - 300 * 1024;
    its_thread_id = zf_os_thread_id();
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_barrier_wait(&barrier);
    hot_thread_detach();
    return argument;
}

static void stack_of_another_thread_is_told_with_its_owner(void **state)
{
    pthread_t thread;
    (void)state;
    need_ring();
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, lend_stack, NULL), 0);
    (void)pthread_barrier_wait(&barrier);
    write_in_section(deep_in_its_stack);
    (void)pthread_barrier_wait(&barrier);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_is(HOT_PLACE_OTHER_STACK, HOT_CAUSE_FIRST_TOUCH);
    assert_int_equal(seen.description.owner_thread_id, its_thread_id);
}

static __thread unsigned char locals[8 * 4096];

static void *use_locals(void *argument)
{
    (void)attach(NULL);
    drop_page_of(locals + 4 * PAGE); /* the C library has cleared them */
    expect_in(locals, sizeof locals);
    hot_section_begin(&section);
    write_to(locals + 4 * PAGE);
    (void)hot_section_end(&section);
    hot_thread_detach();
    return argument;
}

static void thread_local_variables_are_told(void **state)
{
    pthread_t thread;
    (void)state;
    need_ring();
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    need("exact-faults", false, "sanitizers touch a new thread's locals");
#endif
    assert_int_equal(pthread_create(&thread, NULL, use_locals, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(seen.rc, 0);
    assert_is(HOT_PLACE_THREAD_LOCAL, HOT_CAUSE_FIRST_TOUCH);
    assert_int_equal(seen.description.owner_thread_id, seen.violation.thread_id);
}

/* On a page of its own, so that no other code goes with it. */
PAGE_ALIGNED __attribute__((noinline, used)) ZF_UNINSTRUMENTED static int
run_on_its_own_page(int number)
{
    volatile int value = number;
    return value + 1;
}
PAGE_ALIGNED __attribute__((noinline, used)) ZF_UNINSTRUMENTED static int run_behind_it(int number)
{
    volatile int value = number;
    return value + 2;
}

static void code_that_is_not_mapped_is_told(void **state)
{
    uintptr_t page = (uintptr_t)run_on_its_own_page & ~(PAGE - 1);
    (void)state;
    need_ring();
    assert_int_equal(run_behind_it(1), 3);
    assert_int_equal(madvise((void *)page, PAGE, MADV_DONTNEED), 0);
    expect_in((void *)page, PAGE);
    hot_section_begin(&section);
    (void)run_on_its_own_page(1);
    (void)hot_section_end(&section);
    assert_int_equal(seen.rc, 0);
    assert_is(HOT_PLACE_CODE, HOT_CAUSE_CODE);
    assert_int_equal(seen.description.access, HOT_ACCESS_EXECUTE);
    assert_non_null(strstr(seen.description.mapping, "test_hot_describe"));
}

PAGE_ALIGNED static unsigned char initialised[4 * 4096] = {1};
PAGE_ALIGNED static unsigned char zeros[4 * 4096];

static void first_write_to_static_data_copies_a_page_of_the_file(void **state)
{
    (void)state;
    need_ring();
    write_in_section(initialised + 2 * PAGE + 8);
    assert_is(HOT_PLACE_DATA, HOT_CAUSE_DATA_COPY);
    assert_non_null(strstr(seen.description.mapping, "test_hot_describe"));
    if (seen.description.instruction.line != 0)
        assert_string_equal(seen.description.data.function, "initialised");

    write_in_section(zeros + 2 * PAGE);
    assert_is(HOT_PLACE_DATA, HOT_CAUSE_FIRST_TOUCH);
    assert_non_null(strstr(seen.description.mapping, "test_hot_describe"));
}

static void page_of_a_mapped_file_is_told_with_path_and_offset(void **state)
{
    char name[] = "/tmp/zf_describe_XXXXXX";
    int file = mkstemp(name);
    unsigned char *pages;
    (void)state;
    need_ring();
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, (off_t)(PAGES * PAGE)), 0);
    pages = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)(2 * PAGE));
    assert_ptr_not_equal(pages, MAP_FAILED);

    write_in_section(pages + PAGE + 1);
    assert_is(HOT_PLACE_FILE, HOT_CAUSE_FILE_PAGE);
    assert_string_equal(seen.description.mapping, name);
    assert_int_equal(seen.description.file_offset, 3 * PAGE + 1);
    assert_evidence("mapping is shared");

    (void)munmap(pages, 8 * PAGE);
    (void)unlink(name);
    (void)close(file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, attach, detach)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fresh_mapping_is_first_touched),
        TEST(write_after_a_read_replaces_the_zero_page),
        TEST(memory_populated_by_reading_is_zero_pages),
        TEST(touched_memory_is_copied_on_write_after_fork),
        TEST(named_mapping_keeps_its_name),
        TEST(heap_is_first_touched),
        TEST(shared_memory_is_told_from_private),
        TEST(deeper_stack_is_named),
        TEST(stack_of_another_thread_is_told_with_its_owner),
        TEST(thread_local_variables_are_told),
        TEST(code_that_is_not_mapped_is_told),
        TEST(first_write_to_static_data_copies_a_page_of_the_file),
        TEST(page_of_a_mapped_file_is_told_with_path_and_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
