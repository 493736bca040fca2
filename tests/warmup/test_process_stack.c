/*
 * Stacks: warmed as deep as asked for, never beyond what the thread may use. Each limit is the
 * kernel's or the C library's own, and what lies behind it must stay as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>
#include <unistd.h>

#include <zerofault/process.h>

#include "os/os.h"
#include "support/child.h"
#include "support/pages.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* What a thread or a child found. */
struct outcome {
    size_t asked_bytes;
    int rc;
    struct process_report report;
    uint64_t faults_before; /* of writing below the frame */
    uint64_t faults_after;
};

/* Write to what lies below this function's frame, as a deep call would. */
static uint64_t faults_below(size_t size_bytes)
{
    struct zf_os_stack stack;
    assert_int_equal(zf_os_stack(&stack), 0);
    return faults_of_writing((unsigned char *)stack.frame - size_bytes, size_bytes - 2 * PAGE);
}

static void warm_stack(void *context)
{
    struct outcome *outcome = context;
    outcome->report = (struct process_report)PROCESS_REPORT_INIT;
    outcome->rc = thread_warmup(
        &THREAD_WARMUP_OPTIONS(.stack_bytes = outcome->asked_bytes, .heap = WARMUP_OFF),
        &outcome->report);
}

static void *warm_and_descend(void *context)
{
    struct outcome *outcome = context;
    outcome->faults_before = faults_below(outcome->asked_bytes / 2);
    warm_stack(outcome);
    outcome->faults_after = faults_below(outcome->asked_bytes);
    return NULL;
}

static void *warm_only(void *context)
{
    warm_stack(context);
    return NULL;
}

static void run_thread(size_t stack_bytes, void *stack, void *(*body)(void *), void *context)
{
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    if (stack != NULL)
        assert_int_equal(pthread_attr_setstack(&attributes, stack, stack_bytes), 0);
    else
        assert_int_equal(pthread_attr_setstacksize(&attributes, stack_bytes), 0);
    assert_int_equal(pthread_create(&thread, &attributes, body, context), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_attr_destroy(&attributes), 0);
}

static void assert_granted(const struct outcome *outcome)
{
    const struct process_item *stack = &outcome->report.stack;
    assert_int_equal(outcome->rc, 0);
    assert_int_equal(stack->error, 0);
    assert_int_equal(stack->asked_bytes, outcome->asked_bytes);
    assert_int_equal(stack->granted_bytes, outcome->asked_bytes);
    assert_null(stack->remedy);
}

static void assert_capped(const struct outcome *outcome, size_t granted_min, size_t granted_max)
{
    const struct process_item *stack = &outcome->report.stack;
    assert_int_equal(outcome->rc, -ENOMEM);
    assert_int_equal(stack->error, -ENOMEM);
    assert_int_equal(stack->asked_bytes, outcome->asked_bytes);
    assert_in_range(stack->granted_bytes, granted_min, granted_max);
    assert_non_null(stack->remedy);
}

/* -------------------------------------------------------------------------------------- threads */

static void a_threads_stack_is_warm_as_deep_as_asked_for(void **state)
{
    struct outcome outcome = {.asked_bytes = 512 * KIB};
    (void)state;
    need_exact_faults();
    run_thread(2 * MIB, NULL, warm_and_descend, &outcome);
    assert_granted(&outcome);
    assert_true(outcome.faults_before > 0);
    assert_int_equal(outcome.faults_after, 0);
}

static void a_small_stack_is_warmed_to_its_guard_and_no_further(void **state)
{
    struct outcome outcome = {.asked_bytes = MIB};
    (void)state;
    run_thread(256 * KIB, NULL, warm_only, &outcome);
    assert_capped(&outcome, 100 * KIB, 256 * KIB);
    outcome = (struct outcome){.asked_bytes = 100 * KIB};
    run_thread(256 * KIB, NULL, warm_only, &outcome);
    assert_granted(&outcome);
}

static void *prefer_too_much(void *context)
{
    struct outcome *outcome = context;
    outcome->report = (struct process_report)PROCESS_REPORT_INIT;
    outcome->rc = thread_warmup(
        &THREAD_WARMUP_OPTIONS(.stack_bytes = outcome->asked_bytes, .stack = WARMUP_PREFER),
        &outcome->report);
    return NULL;
}

static void a_wish_for_too_much_is_reported_and_a_must_fails(void **state)
{
    struct outcome outcome = {.asked_bytes = MIB};
    (void)state;
    run_thread(256 * KIB, NULL, prefer_too_much, &outcome);
    assert_int_equal(outcome.rc, 0);
    assert_int_equal(outcome.report.result, 0);
    assert_int_equal(outcome.report.stack.error, -ENOMEM);
    assert_non_null(outcome.report.stack.remedy);
}

/* Its own stack without a guard, between pages that are the test's. */
static void memory_beside_a_stack_of_the_program_is_not_touched(void **state)
{
    struct outcome outcome = {.asked_bytes = 2 * MIB};
    size_t below_bytes = 64 * KIB;
    size_t stack_bytes = MIB;
    unsigned char *below = mmap(NULL, below_bytes + stack_bytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    struct zf_os_residency residency;
    (void)state;
    assert_ptr_not_equal(below, MAP_FAILED);
    run_thread(stack_bytes, below + below_bytes, warm_only, &outcome);
    assert_capped(&outcome, 100 * KIB, stack_bytes);
    assert_int_equal(zf_os_residency(below, below_bytes, &residency), 0);
    assert_int_equal(residency.present_bytes, 0);
    assert_int_equal(munmap(below, below_bytes + stack_bytes), 0);
}

/* ---------------------------------------------------------------------------------- main thread */

static void warm_four_mebibytes(void *shared)
{
    struct outcome *outcome = shared;
    outcome->asked_bytes = 4 * MIB;
    (void)warm_and_descend(outcome);
}

static void the_first_threads_stack_grows_to_what_was_asked_for(void **state)
{
    struct outcome *outcome = shared_create(sizeof *outcome);
    struct rlimit limit;
    (void)state;
    need_exact_faults();
    assert_int_equal(getrlimit(RLIMIT_STACK, &limit), 0);
    need("stack", limit.rlim_cur >= 8 * MIB, "ulimit -s is below 8 MiB");
    outcome->asked_bytes = 4 * MIB;
    assert_int_equal(run_in_child(warm_four_mebibytes, outcome), 0);
    assert_granted(outcome);
    assert_true(outcome->faults_before > 0);
    assert_int_equal(outcome->faults_after, 0);
    shared_destroy(outcome, sizeof *outcome);
}

static void warm_below_the_limit(void *shared)
{
    struct outcome *outcome = shared;
    struct rlimit limit = {MIB, MIB};
    if (setrlimit(RLIMIT_STACK, &limit) != 0)
        abort();
    outcome->asked_bytes = 4 * MIB;
    warm_stack(outcome);
}

static void the_limit_of_the_first_threads_stack_is_kept(void **state)
{
    struct outcome *outcome = shared_create(sizeof *outcome);
    (void)state;
    assert_int_equal(run_in_child(warm_below_the_limit, outcome), 0);
    assert_capped(outcome, 512 * KIB, MIB);
    shared_destroy(outcome, sizeof *outcome);
}

/* A page two mebibytes below; the kernel keeps a gap of one above it. */
static void warm_above_an_obstacle(void *shared)
{
    struct outcome *outcome = shared;
    struct zf_os_stack stack;
    unsigned char *obstacle;
    if (zf_os_stack(&stack) != 0 || !stack.grows)
        abort();
    obstacle = (unsigned char *)stack.lowest - 2 * MIB;
    if (mmap(obstacle, PAGE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != obstacle)
        abort();
    outcome->asked_bytes = 4 * MIB;
    warm_stack(outcome);
}

static void a_mapping_in_the_way_of_the_first_threads_stack_is_respected(void **state)
{
    struct outcome *outcome = shared_create(sizeof *outcome);
    (void)state;
    assert_int_equal(run_in_child(warm_above_an_obstacle, outcome), 0);
    assert_capped(outcome, 512 * KIB, 2 * MIB + 256 * KIB);
    shared_destroy(outcome, sizeof *outcome);
}

static void warm_endlessly(void *shared)
{
    struct outcome *outcome = shared;
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_STACK, &limit) != 0)
        limit.rlim_cur = 0;
    outcome->asked_bytes = (size_t)1 << 44;
    warm_stack(outcome);
}

static void a_stack_that_the_machine_cannot_hold_is_refused(void **state)
{
    struct outcome *outcome = shared_create(sizeof *outcome);
    (void)state;
    assert_int_equal(run_in_child(warm_endlessly, outcome), 0);
    assert_capped(outcome, 0, 8 * MIB);
    shared_destroy(outcome, sizeof *outcome);
}

/* --------------------------------------------------------------------------------- other stacks */

static ucontext_t home, elsewhere;
static struct outcome coroutine;

static void run_coroutine(void)
{
    warm_stack(&coroutine);
}

static void the_stack_of_a_coroutine_is_told_apart_and_refused(void **state)
{
    size_t stack_bytes = 256 * KIB;
    void *stack =
        mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)state;
    need_exact_faults();
    assert_ptr_not_equal(stack, MAP_FAILED);
    coroutine.asked_bytes = 64 * KIB;
    assert_int_equal(getcontext(&elsewhere), 0);
    elsewhere.uc_stack.ss_sp = stack;
    elsewhere.uc_stack.ss_size = stack_bytes;
    elsewhere.uc_link = &home;
    makecontext(&elsewhere, run_coroutine, 0);
    assert_int_equal(swapcontext(&home, &elsewhere), 0);
    assert_int_equal(coroutine.rc, -EOPNOTSUPP);
    assert_int_equal(coroutine.report.stack.error, -EOPNOTSUPP);
    assert_int_equal(coroutine.report.stack.granted_bytes, 0);
    assert_non_null(coroutine.report.stack.remedy);
    assert_int_equal(munmap(stack, stack_bytes), 0);
}

static void *fork_and_warm(void *shared)
{
    assert_int_equal(run_in_child(warm_stack, shared), 0);
    return NULL;
}

static void a_child_of_fork_warms_the_stack_of_the_thread_that_forked(void **state)
{
    struct outcome *outcome = shared_create(sizeof *outcome);
    (void)state;
    outcome->asked_bytes = 100 * KIB;
    run_thread(MIB, NULL, fork_and_warm, outcome);
    assert_granted(outcome);
    shared_destroy(outcome, sizeof *outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_threads_stack_is_warm_as_deep_as_asked_for),
        cmocka_unit_test(a_small_stack_is_warmed_to_its_guard_and_no_further),
        cmocka_unit_test(a_wish_for_too_much_is_reported_and_a_must_fails),
        cmocka_unit_test(memory_beside_a_stack_of_the_program_is_not_touched),
        cmocka_unit_test(the_first_threads_stack_grows_to_what_was_asked_for),
        cmocka_unit_test(the_limit_of_the_first_threads_stack_is_kept),
        cmocka_unit_test(a_mapping_in_the_way_of_the_first_threads_stack_is_respected),
        cmocka_unit_test(a_stack_that_the_machine_cannot_hold_is_refused),
        cmocka_unit_test(the_stack_of_a_coroutine_is_told_apart_and_refused),
        cmocka_unit_test(a_child_of_fork_warms_the_stack_of_the_thread_that_forked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
