/*
 * What programs do around a fork: fork handlers of their own, mappings in the child, hooks that
 * fork or detach.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "hot/thread.h"
#include "support/child.h"
#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define OWN_PAGES 400

static unsigned char *own_pages[OWN_PAGES];

/* What the program's own fork handlers do; set by a test. */
static void (*before)(void);
static void (*after_in_child)(void);

static void run_before(void)
{
    if (before != NULL)
        before();
}

static void run_after_in_child(void)
{
    if (after_in_child != NULL)
        after_in_child();
}

static int forget(void **state)
{
    (void)state;
    before = after_in_child = NULL;
    hot_thread_detach();
    return 0;
}

/* One page at a time: the kernel puts each where there is a hole. */
static void map_own_pages(void)
{
    for (size_t i = 0; i < OWN_PAGES; ++i)
        own_pages[i] = mmap(NULL, PAGE, i % 2 == 0 ? PROT_READ | PROT_WRITE : PROT_READ,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static size_t own_pages_gone(void)
{
    unsigned char resident;
    size_t gone = 0;
    for (size_t i = 0; i < OWN_PAGES; ++i)
        gone += own_pages[i] != MAP_FAILED && mincore(own_pages[i], PAGE, &resident) != 0;
    return gone;
}

static void count_own_pages_gone(void *shared)
{
    *(size_t *)shared = own_pages_gone();
}

static void a_child_keeps_what_it_maps_where_a_ring_was(void **state)
{
    size_t *gone = shared_create(sizeof *gone);
    (void)state;
    assert_int_equal(hot_thread_attach(NULL, NULL), 0);
    after_in_child =
        map_own_pages; /* before the library gives back what the child has no use for */
    *gone = OWN_PAGES;
    assert_int_equal(run_in_child(count_own_pages_gone, gone), 0);
    assert_int_equal(*gone, 0);
}

static void give_back_a_report(void *shared)
{
    struct hot_report **report = shared;
    map_own_pages();
    hot_report_destroy(*report);
    *report = own_pages_gone() == 0 ? NULL : *report;
}

static void a_child_keeps_what_it_maps_where_a_guard_page_was(void **state)
{
    struct hot_report **report = shared_create(sizeof(struct hot_report *));
    struct hot_report *kept;
    (void)state;
    assert_int_equal(hot_report_create(report, NULL), 0);
    kept = *report;
    assert_int_equal(run_in_child(give_back_a_report, report), 0);
    assert_null(*report);
    hot_report_destroy(kept);
}

/* ---------------------------------------------------------------------------------- descriptors */

static size_t count_events(void)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    size_t count = 0;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char path[300], target[64] = "";
        (void)snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, target, sizeof target - 1) > 0)
            count += strstr(target, "perf_event") != NULL;
    }
    if (folder != NULL)
        (void)closedir(folder);
    return count;
}

static pthread_barrier_t barrier;

static void *attach_and_wait(void *context)
{
    (void)context;
    (void)hot_thread_attach(NULL, NULL);
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_barrier_wait(&barrier);
    hot_thread_detach();
    return NULL;
}

static void count_events_here(void *shared)
{
    *(size_t *)shared = count_events();
}

static void a_child_keeps_no_descriptor_of_any_thread(void **state)
{
    enum { THREADS = 5 };
    size_t *left = shared_create(sizeof *left);
    pthread_t threads[THREADS];
    size_t here;
    (void)state;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    for (size_t i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, attach_and_wait, NULL), 0);
    (void)pthread_barrier_wait(&barrier);
    here = count_events();
    *left = 99;
    assert_int_equal(run_in_child(count_events_here, left), 0);
    (void)pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < THREADS; ++i)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(*left, 0);
    assert_int_equal(count_events(), 0);
    need("perf", here == THREADS, "%zu of the threads have a ring", here);
}

/* ------------------------------------------------------------------------------------- handlers */

static struct hot_section in_handlers = HOT_SECTION("in handlers", .counted = true);

/* The first use of a section, an arena and statistics take the library's lock. */
static void use_the_library(void)
{
    struct hot_section_statistics stats = HOT_SECTION_STATISTICS_INIT;
    struct arena *arena;
    hot_section_begin(&in_handlers);
    (void)hot_section_end(&in_handlers);
    (void)hot_section_stats(&in_handlers, &stats);
    if (arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = PAGE)) == 0)
        arena_destroy(arena);
}

static void do_nothing(void *shared)
{
    *(int *)shared = 7;
}

static void fork_handlers_may_use_the_library(void **state)
{
    int *answer = shared_create(sizeof *answer);
    (void)state;
    need_exact_faults(); /* a sanitizer's own fork handlers hold its locks */
    assert_int_equal(hot_thread_attach(NULL, NULL), 0);
    before = after_in_child = use_the_library;
    (void)alarm(20);
    assert_int_equal(run_in_child(do_nothing, answer), 0);
    (void)alarm(0);
    assert_int_equal(*answer, 7);
}

/* Threads that hold the library's lock again and again, while children are made that run no fork
 * handlers. */
static atomic_bool asking;

static void *ask_for_statistics(void *context)
{
    struct hot_section_statistics stats = HOT_SECTION_STATISTICS_INIT;
    while (atomic_load(&asking))
        (void)hot_section_stats(&in_handlers, &stats);
    return context;
}

static void a_child_of_a_bare_clone_finds_the_lock_free(void **state)
{
    pthread_t threads[3];
    (void)state;
    need_exact_faults(); /* no sanitizer with threads survives a fork that it does not see */
    assert_int_equal(hot_thread_attach(NULL, NULL), 0);
    hot_section_begin(&in_handlers);
    (void)hot_section_end(&in_handlers);
    atomic_store(&asking, true);
    for (size_t i = 0; i < 3; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_for_statistics, NULL), 0);
    (void)alarm(60);
    for (int round = 0; round < 40; ++round) {
        int status = -1;
        pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (child == 0) {
            (void)alarm(10);
            hot_section_begin(&in_handlers);
            (void)hot_section_end(&in_handlers);
            (void)syscall(SYS_exit_group, 0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    (void)alarm(0);
    atomic_store(&asking, false);
    for (size_t i = 0; i < 3; ++i)
        (void)pthread_join(threads[i], NULL);
}

/* ---------------------------------------------------------------------------------------- hooks */

static pid_t forked;
static unsigned told;

static void fork_in_hook(const struct hot_violation *violation, void *context)
{
    (void)violation;
    (void)context;
    ++told;
    forked = fork();
}

static void detach_in_hook(const struct hot_violation *violation, void *context)
{
    (void)violation;
    (void)context;
    ++told;
    hot_thread_detach();
}

static void take_faults(size_t count)
{
    unsigned char *pages =
        mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < count; ++i)
        *(volatile unsigned char *)(pages + i * PAGE) = 1;
}

static void a_hook_may_fork_and_both_return(void **state)
{
    static struct hot_section section =
        HOT_SECTION("forking", .policy = HOT_CALLBACK, .hook = fork_in_hook);
    int status = -1;
    (void)state;
    need_exact_faults();
    told = 0;
    hot_section_begin(&section);
    take_faults(1);
    assert_int_equal(hot_section_end(&section), 1);
    if (forked == 0)
        _exit(hot_sections_open() == 0 && hot_source_active() == HOT_SOURCE_NONE ? 0 : 1);
    assert_int_equal(waitpid(forked, &status, 0), forked);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(told, 1);
    assert_true(hot_guard_is_live());
}

static void a_hook_may_detach_its_thread(void **state)
{
    static struct hot_section section =
        HOT_SECTION("detaching", .policy = HOT_CALLBACK, .hook = detach_in_hook);
    (void)state;
    need_exact_faults();
    told = 0;
    hot_section_begin(&section);
    take_faults(3);
    assert_int_equal(hot_section_end(&section), 3);
    /* Each where the guard was still there; the others together, or one by one. */
    assert_in_range(told, 2, 3);
    assert_int_equal(hot_source_active(), HOT_SOURCE_NONE);
    hot_section_begin(&section);
    assert_int_equal(hot_section_end(&section), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_child_keeps_what_it_maps_where_a_ring_was, forget),
        cmocka_unit_test_teardown(a_child_keeps_what_it_maps_where_a_guard_page_was, forget),
        cmocka_unit_test_teardown(a_child_keeps_no_descriptor_of_any_thread, forget),
        cmocka_unit_test_teardown(fork_handlers_may_use_the_library, forget),
        cmocka_unit_test_teardown(a_child_of_a_bare_clone_finds_the_lock_free, forget),
        cmocka_unit_test_teardown(a_hook_may_fork_and_both_return, forget),
        cmocka_unit_test_teardown(a_hook_may_detach_its_thread, forget),
    };
    /* Before the library registers its own: theirs run around these. */
    if (pthread_atfork(run_before, run_before, run_after_in_child) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
