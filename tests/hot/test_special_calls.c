/*
 * System calls that do more than return a number, made inside a watched section: processes,
 * threads, signals, stacks, and the ends of all of them.
 */
#include "hot/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "support/child.h"

#define STACK_BYTES ((size_t)256 << 10)

static int exit_status(pid_t child)
{
    int status = 0;
    if (waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ------------------------------------------------------------------------------------ processes */

static void fork_works_and_its_child_is_not_watched(void **state)
{
    pid_t child;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    child = fork();
    if (child == 0) {
        bool counted_nothing;
        (void)bare_call();
        (void)bare_call();
        counted_nothing = hot_section_end(&section) <= 1; /* nothing is open in a child */
        _exit(counted_nothing && getppid() > 0 ? 7 : 8);
    }
    assert_true(hot_section_end(&section) > 0);
    assert_true(child > 0);
    assert_int_equal(exit_status(child), 7);
}

static void child_of_fork_may_watch_for_itself(void **state)
{
    pid_t child;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    child = fork();
    if (child == 0) {
        struct hot_thread_report report;
        int error = try_attach_watching(HOT_SOURCE_AUTO, &report);
        hot_section_begin(&section);
        (void)bare_call();
        _exit(error == 0 && hot_section_end(&section) == 1 ? 7 : 8);
    }
    (void)bare_call();
    assert_true(hot_section_end(&section) >= 2);
    assert_int_equal(exit_status(child), 7);
}

static void clone_without_handlers_works_like_fork(void **state)
{
    long child;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        (void)bare_call();
        (void)hot_section_end(&section);
        _exit(5);
    }
    (void)bare_call();
    assert_int_equal(hot_section_end(&section), 2);
    assert_int_equal(told.system_call, SYS_clone);
    assert_int_equal(exit_status((pid_t)child), 5);
}

static void vfork_shares_the_stack_and_returns_twice(void **state)
{
    volatile int seen_by_both = 0;
    pid_t child;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    child = vfork(); /* NOLINT: it is what is tested */
    if (child == 0) {
        seen_by_both = 1; /* NOLINT: a volatile of the parent, on purpose */
        _exit(6);
    }
    assert_true(hot_section_end(&section) > 0); /* sanitizers add some */
    assert_int_equal(exit_status(child), 6);
    assert_int_equal(seen_by_both, 1);
}

static void spawned_programs_run(void **state)
{
    char *arguments[] = {(char *)"sh", (char *)"-c", (char *)"exit 9", NULL};
    char *environment[] = {NULL};
    pid_t child = -1;
    int error, missing, by_system;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    error = posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environment);
    missing = posix_spawn(&(pid_t){0}, "/nonexistent", NULL, NULL, arguments, environment);
    by_system = system("exit 4");
    assert_true(hot_section_end(&section) > 3);
    assert_int_equal(error, 0);
    assert_int_equal(missing, ENOENT);
    assert_int_equal(WEXITSTATUS(by_system), 4);
    assert_int_equal(exit_status(child), 9);
}

static void become_another_program(void *shared)
{
    struct hot_thread_report report;
    char *arguments[] = {(char *)"sh", (char *)"-c", (char *)"kill -TERM $$", NULL};
    char *environment[] = {NULL};
    (void)try_attach_watching(HOT_SOURCE_AUTO, &report);
    hot_section_begin(&section);
    if (execve("/nonexistent", arguments, environment) == -1 && errno == ENOENT)
        *(int *)shared = 1;
    (void)execve("/bin/sh", arguments, environment);
}

static void exec_starts_the_program_unwatched(void **state)
{
    int *shared = shared_create(sizeof *shared);
    int failed_once;
    (void)state;
    need_exact_faults();
    assert_int_equal(run_in_child(become_another_program, shared), SIGTERM);
    failed_once = *shared;
    shared_destroy(shared, sizeof *shared);
    assert_int_equal(failed_once, 1);
}

static void leave_from_inside(void *shared)
{
    struct hot_thread_report report;
    (void)try_attach_watching(HOT_SOURCE_AUTO, &report);
    *(uint32_t *)shared = report.watched;
    section.refuse_system_calls = true; /* which spares the end of a process */
    hot_section_begin(&section);
    (void)syscall(SYS_exit_group, 3);
}

static void process_may_end_inside_a_section_that_refuses(void **state)
{
    uint32_t *shared = shared_create(sizeof *shared);
    int status;
    (void)state;
    need_exact_faults();
    status = run_in_child(leave_from_inside, shared);
    shared_destroy(shared, sizeof *shared);
    assert_int_equal(status, -3);
}

/* -------------------------------------------------------------------------------------- threads */

static void *count_own_calls(void *argument)
{
    static struct hot_section in_thread = CALLS_SECTION("in a new thread");
    hot_section_begin(&in_thread); /* attached with the defaults: nothing is watched */
    (void)bare_call();
    (void)bare_call();
    return hot_section_end(&in_thread) == 0 ? argument : NULL;
}

static void threads_start_and_end_and_are_not_watched(void **state)
{
    pthread_t threads[4];
    void *results[4] = {NULL};
    int errors = 0;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    for (size_t i = 0; i < 4; ++i)
        errors |= pthread_create(&threads[i], NULL, count_own_calls, &results[i]);
    for (size_t i = 0; i < 4 && errors == 0; ++i)
        errors |= pthread_join(threads[i], &results[i]);
    assert_true(hot_section_end(&section) > 4);
    assert_int_equal(errors, 0);
    for (size_t i = 0; i < 4; ++i)
        assert_ptr_equal(results[i], &results[i]);
}

#if defined(__x86_64__)
static int run_on_own_stack(void *argument)
{
    volatile unsigned char used[4096];
    used[0] = used[sizeof used - 1] = 1;
    __atomic_store_n((int *)argument, used[0] + 41, __ATOMIC_RELEASE);
    return 0;
}

static void clone_with_a_stack_runs_on_that_stack(void **state)
{
    unsigned char *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int answer = 0;
    int child;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    child = clone(run_on_own_stack, stack + STACK_BYTES, CLONE_VM | CLONE_FILES | SIGCHLD, &answer);
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(told.system_call, SYS_clone);
    assert_int_equal(exit_status(child), 0);
    assert_int_equal(answer, 42);
    (void)munmap(stack, STACK_BYTES);
}

/* The child finds its registers as the parent had them, and the stack pointer where it was said. */
__attribute__((noinline)) static long bare_clone3(struct clone_args *arguments, long *child_top)
{
    long result = SYS_clone3;
    struct clone_args *kept = arguments;
    __asm__ volatile("movq %[top], %%r12\n"
                     "syscall\n"
                     "testq %%rax, %%rax\n"
                     "jnz 1f\n"
                     "movq %%rsp, (%%r12)\n"
                     "movq %%rdi, 8(%%r12)\n"
                     "movl $11, %%edi\n"
                     "movl %[leave], %%eax\n"
                     "syscall\n"
                     "1:"
                     : "+a"(result), "+D"(kept)
                     : "S"(sizeof *arguments), [top] "r"(child_top), [leave] "i"(SYS_exit_group)
                     : "rcx", "r11", "r12", "memory");
    return kept == arguments ? result : -1;
}

static void clone3_keeps_registers_and_stack_of_both(void **state)
{
    unsigned char *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct clone_args arguments = {
        .flags = CLONE_VM | CLONE_VFORK,
        .exit_signal = SIGCHLD,
        .stack = (uintptr_t)stack,
        .stack_size = STACK_BYTES,
    };
    long child_top[2] = {0, 0};
    long child;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    child = bare_clone3(&arguments, child_top);
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(told.system_call, SYS_clone3);
    assert_int_equal(exit_status((pid_t)child), 11);
    assert_ptr_equal(child_top[0], stack + STACK_BYTES);
    assert_ptr_equal(child_top[1], &arguments);
    assert_int_equal(arguments.stack_size, STACK_BYTES);
    (void)munmap(stack, STACK_BYTES);
}

static void clone3_without_a_stack_forks(void **state)
{
    struct clone_args arguments = {.exit_signal = SIGCHLD};
    long child_top[2] = {0, 0};
    long child, wrong;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    child = bare_clone3(&arguments, child_top);
    arguments.flags = CLONE_VM | CLONE_VFORK; /* on the parent's own stack */
    wrong = exit_status((pid_t)bare_clone3(&arguments, child_top)) != 11;
    assert_true(hot_section_end(&section) >= 3);
    assert_int_equal(exit_status((pid_t)child), 11);
    assert_int_equal(wrong, 0);
    assert_int_not_equal(child_top[0], 0);
}
#endif

static void *exit_inside(void *argument)
{
    struct hot_thread_report report;
    *(int *)argument = try_attach_watching(HOT_SOURCE_AUTO, &report);
    hot_section_begin(&section);
    (void)bare_call();
    return argument;
}

static void thread_may_end_inside_a_section(void **state)
{
    struct hot_section_statistics before = HOT_SECTION_STATISTICS_INIT;
    struct hot_section_statistics after = HOT_SECTION_STATISTICS_INIT;
    pthread_t thread;
    int error = -1;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO); /* or skip */
    assert_int_equal(hot_section_stats(&section, &before), 0);
    assert_int_equal(pthread_create(&thread, NULL, exit_inside, &error), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(error, 0);
    assert_int_equal(hot_section_stats(&section, &after), 0);
    assert_int_equal(after.counts[HOT_MISUSE] - before.counts[HOT_MISUSE], 0); /* ignored */
    assert_int_equal(after.counts[HOT_SYSTEM_CALL] - before.counts[HOT_SYSTEM_CALL], 1);
}

static int cleanups;
static pid_t waiter;

static void clean_up(void *argument)
{
    (void)argument;
    ++cleanups;
}

/* Return when the thread sleeps, which this one does in read() alone once it has told its number.
 */
static void wait_until_it_waits(void)
{
    char path[64];
    char line[128] = "";
    pid_t thread;
    while ((thread = __atomic_load_n(&waiter, __ATOMIC_ACQUIRE)) == 0)
        (void)sched_yield();
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    while (strstr(line, ") S ") == NULL) {
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        assert_non_null(fgets(line, sizeof line, file));
        (void)fclose(file);
        (void)sched_yield();
    }
}

static void *wait_inside(void *argument)
{
    struct hot_thread_report report;
    char byte;
    (void)try_attach_watching(HOT_SOURCE_AUTO, &report);
    hot_section_begin(&section);
    pthread_cleanup_push(clean_up, NULL);
    __atomic_store_n(&waiter, (pid_t)bare_call(), __ATOMIC_RELEASE);
    (void)read(*(int *)argument, &byte, 1);
    pthread_cleanup_pop(0);
    (void)hot_section_end(&section);
    return NULL;
}

static void thread_may_be_cancelled_in_a_watched_call(void **state)
{
    pthread_t thread;
    void *result = NULL;
    int ends[2];
    (void)state;
    attach_watching(HOT_SOURCE_AUTO); /* or skip */
    assert_int_equal(pipe(ends), 0);
    cleanups = 0;
    waiter = 0;
    assert_int_equal(pthread_create(&thread, NULL, wait_inside, &ends[0]), 0);
    wait_until_it_waits();
    assert_int_equal(pthread_cancel(thread), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_int_equal(cleanups, 1);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void detach_inside_a_section_ends_the_watch(void **state)
{
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    (void)bare_call();
    hot_thread_detach();
    assert_true(bare_call() > 0);
    assert_int_equal(hot_source_active(), HOT_SOURCE_NONE);
}

#define TEST(name) cmocka_unit_test_teardown(name, detach)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fork_works_and_its_child_is_not_watched),
        TEST(child_of_fork_may_watch_for_itself),
        TEST(clone_without_handlers_works_like_fork),
        TEST(vfork_shares_the_stack_and_returns_twice),
        TEST(spawned_programs_run),
        TEST(exec_starts_the_program_unwatched),
        TEST(process_may_end_inside_a_section_that_refuses),
        TEST(threads_start_and_end_and_are_not_watched),
#if defined(__x86_64__)
        TEST(clone_with_a_stack_runs_on_that_stack),
        TEST(clone3_keeps_registers_and_stack_of_both),
        TEST(clone3_without_a_stack_forks),
#endif
        TEST(thread_may_end_inside_a_section),
        TEST(thread_may_be_cancelled_in_a_watched_call),
        TEST(detach_inside_a_section_ends_the_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
