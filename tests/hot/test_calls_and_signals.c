/*
 * Watched system calls and signals: handlers that interrupt a section, masks, alternate stacks,
 * interrupted calls, and who else handles SIGSYS.
 */
#include "hot/calls.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "hot/thread.h"
#include "support/child.h"

static volatile sig_atomic_t handled;
static int wake_up_end; /* of a pipe */
static sigjmp_buf jump;

static void make_calls(int number)
{
    (void)number;
    ++handled;
    (void)bare_call();
    (void)bare_call();
}

static void write_to_pipe(int number)
{
    (void)number;
    ++handled;
    (void)!write(wake_up_end, "w", 1);
}

static void jump_out(int number)
{
    (void)number;
    ++handled;
    siglongjmp(jump, 1);
}

/* Have `handler` run for SIGUSR1 with a mask. */
static void handle_usr1(void (*handler)(int), int flags, bool masks_all)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    (void)sigemptyset(&action.sa_mask);
    if (masks_all)
        (void)sigfillset(&action.sa_mask);
    handled = 0;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

/* SIGALRM once, after as many microseconds. */
static void handle_alarm(void (*handler)(int), int flags, long after_us)
{
    struct itimerval timer = {.it_value = {.tv_usec = after_us}};
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    (void)sigemptyset(&action.sa_mask);
    handled = 0;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static int send_usr1(void)
{
    long process = syscall(SYS_getpid);
    return (int)syscall(SYS_tgkill, process, syscall(SYS_gettid), SIGUSR1);
}

/* ------------------------------------------------------------------------------------- handlers */

static void calls_of_a_signal_handler_belong_to_the_section(void **state)
{
    (void)state;
    handle_usr1(make_calls, 0, false);
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    (void)send_usr1(); /* three calls */
    (void)bare_call();
    assert_int_equal(hot_section_end(&section), 6);
    assert_int_equal(handled, 1);
    assert_int_equal(told.system_call, SYS_getpid);
}

static void handler_may_run_on_an_alternate_stack_set_up_inside(void **state)
{
    static unsigned char memory[64 << 10];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    stack_t before = {0};
    stack_t now = {0};
    int errors;
    (void)state;
    handle_usr1(make_calls, SA_ONSTACK, false);
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    errors = sigaltstack(&stack, &before);
    errors |= send_usr1();
    errors |= sigaltstack(NULL, &now);
    errors |= sigaltstack(&before, NULL);
    assert_int_equal(hot_section_end(&section), 8);
    assert_int_equal(errors, 0);
    assert_ptr_equal(now.ss_sp, memory);
    assert_int_equal(handled, 1);
}

static void handler_may_jump_out_of_a_watched_call(void **state)
{
    (void)state;
    handle_usr1(jump_out, 0, false);
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    if (sigsetjmp(jump, 1) == 0)
        (void)send_usr1();
    (void)bare_call();
    assert_true(hot_section_end(&section) >= 4);
    assert_int_equal(handled, 1);
    hot_section_begin(&section);
    (void)bare_call();
    assert_int_equal(hot_section_end(&section), 1);
}

/* ---------------------------------------------------------------------------------------- masks */

static void blocking_every_signal_inside_leaves_the_watch_alive(void **state)
{
    sigset_t all, before, now;
    int errors;
    (void)state;
    handle_usr1(make_calls, 0, false);
    (void)sigfillset(&all);
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    errors = pthread_sigmask(SIG_SETMASK, &all, &before);
    errors |= send_usr1();
    errors |= handled; /* blocked it is */
    errors |= pthread_sigmask(SIG_BLOCK, NULL, &now);
    errors |= pthread_sigmask(SIG_SETMASK, &before, NULL);
    errors |= handled != 1; /* let in by the last change of the mask, which nobody watches */
    assert_int_equal(hot_section_end(&section), 6);
    assert_int_equal(errors, 0);
    assert_int_equal(sigismember(&now, SIGUSR1), 1);
    assert_int_equal(sigismember(&now, SIGSYS), 0);
    assert_int_equal(sigismember(&before, SIGUSR1), 0);
}

static void waiting_with_every_signal_masked_is_safe(void **state)
{
    sigset_t all_but_alarm;
    int result, wait_error;
    (void)state;
    (void)sigfillset(&all_but_alarm);
    (void)sigdelset(&all_but_alarm, SIGALRM);
    attach_watching(HOT_SOURCE_AUTO);
    handle_alarm(make_calls, SA_RESTART, 1000);
    hot_section_begin(&section);
    result = ppoll(NULL, 0, NULL, &all_but_alarm);
    wait_error = errno;
    (void)bare_call();
    assert_in_range(hot_section_end(&section), 2, 4); /* the alarm may come before the wait */
    if (handled == 1 && result == -1)
        assert_int_equal(wait_error, EINTR);
    assert_int_equal(handled, 1);
}

static void thread_that_blocked_the_watchs_signal_is_given_it_back_blocked(void **state)
{
    sigset_t set, now;
    (void)state;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGSYS);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    attach_watching(HOT_SOURCE_AUTO);
    hot_section_begin(&section);
    (void)bare_call();
    assert_int_equal(hot_section_end(&section), 1);
    hot_thread_detach();
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &set, &now), 0);
    assert_int_equal(sigismember(&now, SIGSYS), 1);
}

/* ---------------------------------------------------------------------------- interrupted calls */

static void interrupted_sleep_says_so(void **state)
{
    struct timespec long_time = {.tv_sec = 60};
    struct timespec left = {0};
    int result;
    (void)state;
    attach_watching(HOT_SOURCE_AUTO);
    handle_alarm(make_calls, SA_RESTART, 1000); /* a sleep is not restarted all the same */
    hot_section_begin(&section);
    result = handled != 0 ? EINTR : clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, &left);
    assert_in_range(hot_section_end(&section), 2, 3);
    assert_int_equal(result, EINTR);
    assert_int_equal(handled, 1);
    assert_in_range(left.tv_sec, 0, 60);
}

static void interrupted_read_is_restarted_when_asked_for(void **state)
{
    int ends[2];
    char byte = 0;
    ssize_t got;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    wake_up_end = ends[1];
    attach_watching(HOT_SOURCE_AUTO);
    handle_alarm(write_to_pipe, SA_RESTART, 1000);
    hot_section_begin(&section);
    got = read(ends[0], &byte, 1);
    assert_int_equal(hot_section_end(&section), 2);
    assert_int_equal(got, 1);
    assert_int_equal(byte, 'w');
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void stopped_sleep_goes_on(void **state)
{
    struct timespec nap = {.tv_nsec = 20000000};
    pid_t child;
    int status = 0;
    (void)state;
    need_exact_faults();
    child = fork();
    if (child == 0) {
        struct hot_thread_report report;
        int error = try_attach_watching(HOT_SOURCE_AUTO, &report);
        hot_section_begin(&section);
        (void)raise(SIGSTOP);
        error |= clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
        error |= hot_section_end(&section) < 2 && report.watched != 0;
        _exit(error);
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_int_equal(kill(child, SIGCONT), 0);
    (void)kill(child, SIGSTOP);
    (void)kill(child, SIGCONT);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ----------------------------------------------------------------------- others that use SIGSYS */

static int given;

static void take_sigsys(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    given += info->si_code == SI_TKILL ? 1 : 100;
}

static void install(void (*handler)(int, siginfo_t *, void *), struct sigaction *before)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGSYS, &action, before);
}

static void share_with_an_earlier_handler(void *shared)
{
    struct hot_thread_report report;
    install(take_sigsys, NULL);
    (void)try_attach_watching(HOT_SOURCE_AUTO, &report);
    (void)raise(SIGSYS);
    hot_section_begin(&section);
    (void)bare_call();
    (void)raise(SIGSYS);
    *(int *)shared = hot_section_end(&section) > 1 && given == 2;
}

static struct sigaction theirs_before;

static void take_and_hand_on(int number, siginfo_t *info, void *context)
{
    given += 10;
    if (theirs_before.sa_sigaction != NULL)
        theirs_before.sa_sigaction(number, info, context);
}

/* Theirs calls ours, ours is installed again and calls theirs: it must end somewhere. */
static void share_with_a_later_handler(void *shared)
{
    struct hot_thread_report report;
    install(take_sigsys, NULL);
    (void)try_attach_watching(HOT_SOURCE_AUTO, &report);
    hot_thread_detach();
    install(take_and_hand_on, &theirs_before);
    (void)raise(SIGSYS); /* theirs, ours, the first */
    (void)try_attach_watching(HOT_SOURCE_AUTO, &report);
    (void)raise(SIGSYS); /* ours, theirs, ours, the first */
    hot_section_begin(&section);
    (void)bare_call();
    *(int *)shared = hot_section_end(&section) == 1 && given == 22;
}

static void die_of_it(void *shared)
{
    struct hot_thread_report report;
    struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)signal(SIGSYS, SIG_DFL);
    (void)try_attach_watching(HOT_SOURCE_AUTO, &report);
    hot_section_begin(&section);
    *(int *)shared = 1;
    (void)raise(SIGSYS);
    *(int *)shared = 2;
}

static void ignore_it(void *shared)
{
    struct hot_thread_report report;
    (void)signal(SIGSYS, SIG_IGN);
    (void)try_attach_watching(HOT_SOURCE_AUTO, &report);
    hot_section_begin(&section);
    (void)raise(SIGSYS);
    *(int *)shared = hot_section_end(&section) > 0;
}

static void attach_only(void *shared)
{
    struct hot_thread_report report;
    (void)try_attach_watching(HOT_SOURCE_AUTO, &report);
    *(int *)shared = report.watched != 0;
}

static int run_shared(void (*body)(void *shared), int *result)
{
    int *shared = shared_create(sizeof *shared);
    int status = run_in_child(body, shared);
    *result = *shared;
    shared_destroy(shared, sizeof *shared);
    return status;
}

static void signals_that_are_not_the_watchs_go_where_they_went(void **state)
{
    int result;
    (void)state;
    need_exact_faults();
    assert_int_equal(run_shared(attach_only, &result), 0);
    need("system calls", result == 1, "system calls cannot be watched here");
    assert_int_equal(run_shared(share_with_an_earlier_handler, &result), 0);
    assert_int_equal(result, 1);
    assert_int_equal(run_shared(share_with_a_later_handler, &result), 0);
    assert_int_equal(result, 1);
    assert_int_equal(run_shared(ignore_it, &result), 0);
    assert_int_equal(result, 1);
    assert_int_equal(run_shared(die_of_it, &result), SIGSYS);
    assert_int_equal(result, 1);
}

/* -------------------------------------------------------------------- the guard, interrupted */

static struct hot_section handlers_own = CALLS_SECTION("handler's own");

static void open_and_close(int number)
{
    (void)number;
    ++handled;
    hot_section_begin(&handlers_own);
    (void)hot_section_end(&handlers_own);
}

/* A handler interrupts the guard's own code: the watch and the state are those of before. */
static void sections_in_a_handler_leave_the_guard_as_they_found_it(void **state)
{
    struct zf_hot_thread *thread;
    struct zf_hot_held held;
    (void)state;
    handle_usr1(open_and_close, 0, false);
    attach_watching(HOT_SOURCE_AUTO);
    open_and_close(0); /* the first use takes a lock */
    thread = zf_hot_thread_self();
    hot_section_begin(&section);
    assert_int_equal(thread->calls.selector, ZF_OS_CALLS_WATCHED);
    held = zf_hot_hold(thread);
    assert_int_equal(send_usr1(), 0);
    assert_int_equal(thread->calls.selector, ZF_OS_CALLS_PASS);
    assert_true(thread->busy);
    zf_hot_go_on(thread, held);
    assert_int_equal(thread->calls.selector, ZF_OS_CALLS_WATCHED);
    assert_false(thread->busy);
    assert_int_equal(hot_section_end(&section), 0);
    assert_int_equal(handled, 2);
}

static void use_a_section_in_a_hook(const struct hot_violation *violation, void *context)
{
    (void)context;
    handled += violation->kind == HOT_SYSTEM_CALL;
    hot_section_begin(&handlers_own);
    (void)hot_section_end(&handlers_own);
}

/* What the guard calls for itself after a hook is not counted in sections that are still open. */
static void sections_in_a_hook_leave_the_guard_as_they_found_it(void **state)
{
    static struct hot_section inner = HOT_SECTION(
        "inner", .policy = HOT_IGNORE, .reports_per_second = 100,
        .policies = {[HOT_SYSTEM_CALL] = HOT_CALLBACK, [HOT_OVER_BUDGET] = HOT_CALLBACK},
        .budget_ns = 1, .hook = use_a_section_in_a_hook);
    (void)state;
    attach_watching(HOT_SOURCE_BOTH);
    handled = 0;
    open_and_close(0);
    hot_section_begin(&section);
    hot_section_begin(&inner);
    (void)bare_call();
    assert_int_equal(hot_section_end(&inner), 2);
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(handled, 2);
}

#define TEST(name) cmocka_unit_test_teardown(name, detach)

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: nothing may be installed yet. */
        TEST(signals_that_are_not_the_watchs_go_where_they_went),
        TEST(calls_of_a_signal_handler_belong_to_the_section),
        TEST(handler_may_run_on_an_alternate_stack_set_up_inside),
        TEST(handler_may_jump_out_of_a_watched_call),
        TEST(blocking_every_signal_inside_leaves_the_watch_alive),
        TEST(waiting_with_every_signal_masked_is_safe),
        TEST(thread_that_blocked_the_watchs_signal_is_given_it_back_blocked),
        TEST(interrupted_sleep_says_so),
        TEST(interrupted_read_is_restarted_when_asked_for),
        TEST(stopped_sleep_goes_on),
        TEST(sections_in_a_handler_leave_the_guard_as_they_found_it),
        TEST(sections_in_a_hook_leave_the_guard_as_they_found_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
