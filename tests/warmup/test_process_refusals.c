/*
 * A process on a system that refuses: every call in turn, populates that do nothing, and a stack,
 * a heap and a lock that the kernel of this machine would not show.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <zerofault/process.h>

#include "fake/fake_os.h"
#include "support/pages.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define RANGE_BYTES (32 * PAGE)
#define STACK_BYTES (64 * PAGE)
#define HEAP_BYTES (8 * PAGE)

/* A sanitizer's malloc keeps freed blocks out of use for long: each round finds cold ones. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HEAP_IS_REAL 0
#else
#define HEAP_IS_REAL 1
#endif

enum { CODE, DATA, TLS, STACK, RANGES_COUNT };
static unsigned char *ranges[RANGES_COUNT];

static unsigned char *reserve(size_t size_bytes)
{
    void *base;
    assert_int_equal(zf_os_reserve(size_bytes, PAGE, &base), 0);
    assert_int_equal(zf_os_commit(base, size_bytes), 0);
    return base;
}

/* A small process: one object, a thread whose stack has 8 pages left and may grow by 40. */
static int make_process(void **state)
{
    (void)state;
    fake_os_reset();
    for (size_t i = 0; i < RANGES_COUNT; ++i)
        ranges[i] = reserve(i == STACK ? STACK_BYTES : RANGE_BYTES);
    fake_os.images[0] = (struct zf_os_image){"object", ranges[CODE], RANGE_BYTES, false};
    fake_os.images[1] = (struct zf_os_image){"object", ranges[DATA], RANGE_BYTES, true};
    fake_os.thread_variables = (struct zf_os_image){"object", ranges[TLS], RANGE_BYTES, true};
    fake_os.stack = (struct zf_os_stack){ranges[STACK] + 48 * PAGE, ranges[STACK] + 56 * PAGE,
                                         ranges[STACK] + STACK_BYTES, true};
    fake_os.stack_limit = ranges[STACK] + 8 * PAGE;
    fake_os.binding = (struct zf_os_binding){.objects = 2, .slots = 10};
    fake_os.memory = (struct zf_os_process_memory){.lockable_bytes = 8 * RANGE_BYTES,
                                                   .resident_bytes = RANGE_BYTES};
    memset(&fake_os.made, 0, sizeof fake_os.made);
    fake_os.calls = 0;
    return 0;
}

static int end_process(void **state)
{
    (void)state;
    assert_int_equal(fake_os_ranges_count(), RANGES_COUNT);
    fake_os_reset();
    return 0;
}

static int warm(enum warmup_wish wish, struct process_report *report)
{
    *report = (struct process_report)PROCESS_REPORT_INIT;
    return process_warmup(
        &PROCESS_WARMUP_OPTIONS(.stack_bytes = 32 * PAGE, .heap_bytes = HEAP_BYTES, .code = wish,
                                .data = wish, .tls = wish, .heap = HEAP_IS_REAL ? wish : WARMUP_OFF,
                                .stack = wish, .clock = wish, .lock = wish, .binding = wish),
        report);
}

static void assert_granted(const struct process_item *item, size_t size_bytes)
{
    assert_int_equal(item->error, 0);
    assert_int_equal(item->asked_bytes, size_bytes);
    assert_int_equal(item->granted_bytes, size_bytes);
    assert_null(item->remedy);
}

static void assert_all_granted(const struct process_report *report)
{
    assert_granted(&report->code, RANGE_BYTES);
    assert_granted(&report->data, RANGE_BYTES);
    assert_granted(&report->tls, RANGE_BYTES);
    assert_granted(&report->heap, HEAP_IS_REAL ? HEAP_BYTES : 0);
    assert_granted(&report->stack, 32 * PAGE);
    assert_granted(&report->clock, 0);
    assert_granted(&report->lock, 8 * RANGE_BYTES);
    assert_granted(&report->binding, 10 * sizeof(void *));
}

/* The item that a refused call belongs to; NULL for a call that belongs to none, or that only asks
 * about a limit. */
static const struct process_item *item_of(const struct process_report *report, enum fake_call call)
{
    switch (call) {
    case FAKE_EACH_IMAGE:
    case FAKE_POPULATE_READ:
        return &report->code;
    case FAKE_EACH_THREAD_LOCAL:
        return &report->tls;
    case FAKE_STACK:
    case FAKE_STACK_GROW:
        return &report->stack;
    case FAKE_HEAP_KEEP:
        return &report->heap;
    case FAKE_LOCK_ALL:
    case FAKE_PROCESS_MEMORY:
        return &report->lock;
    default:
        return NULL;
    }
}

static void a_generous_system_grants_everything(void **state)
{
    struct process_report report;
    (void)state;
    need_exact_faults();
    assert_int_equal(warm(WARMUP_REQUIRE, &report), 0);
    assert_all_granted(&report);
    assert_int_equal(report.objects, 2);
    assert_ptr_equal(fake_os.stack.lowest, ranges[STACK] + 24 * PAGE);
}

static void the_code_is_read_and_the_rest_is_written(void **state)
{
    struct process_report report;
    (void)state;
    need_exact_faults();
    assert_int_equal(warm(WARMUP_REQUIRE, &report), 0);
    assert_int_equal(faults_of_reading(ranges[CODE], RANGE_BYTES), 0);
    assert_int_equal(faults_of_writing(ranges[CODE], RANGE_BYTES), RANGE_BYTES / PAGE);
    assert_int_equal(faults_of_writing(ranges[DATA], RANGE_BYTES), 0);
    assert_int_equal(faults_of_writing(ranges[TLS], RANGE_BYTES), 0);
    assert_int_equal(faults_of_writing(ranges[STACK] + 24 * PAGE, 40 * PAGE), 0);
    assert_true(faults_of_writing(ranges[STACK], 24 * PAGE) >= 24);
}

/* Whatever was refused once: all parts are consistent, and the result is theirs. */
static void assert_consistent(const struct process_report *report)
{
    const struct process_item *items[] = {&report->code, &report->data,   &report->tls,
                                          &report->heap, &report->stack,  &report->clock,
                                          &report->lock, &report->binding};
    int result = 0;
    for (size_t i = 0; i < sizeof items / sizeof items[0]; ++i) {
        assert_true((items[i]->error == 0) == (items[i]->remedy == NULL));
        if (items[i]->error == 0)
            assert_int_equal(items[i]->granted_bytes, items[i]->asked_bytes);
        if (result == 0)
            result = items[i]->error;
    }
    assert_int_equal(report->result, result);
}

/* Refuse the first call, the second, and so on, until none is left to refuse. */
static void any_refused_call_is_reported_and_nothing_is_left_behind(void **state)
{
    static const int errors[] = {-ENOMEM, -EPERM, -EFAULT};
    unsigned failures = 0;
    (void)state;
    need_exact_faults();
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; ++i) {
        struct process_report report;
        unsigned call = 0;
        do {
            int rc;
            (void)make_process(NULL);
            fake_os.fail_call = ++call;
            fake_os.fail_error = errors[i];
            rc = warm(WARMUP_REQUIRE, &report);
            assert_int_equal(rc, report.result);
            assert_consistent(&report);
            assert_int_equal(fake_os_ranges_count(), RANGES_COUNT);
            failures += rc != 0;
        } while (fake_os.failed != FAKE_CALL_COUNT);
        assert_all_granted(&report);
    }
    assert_true(failures != 0);
}

/* Refuse one kind of call for good. */
static void a_lasting_refusal_fails_what_is_required(void **state)
{
    static const enum fake_call calls[] = {
        FAKE_EACH_IMAGE, FAKE_POPULATE_READ, FAKE_EACH_THREAD_LOCAL, FAKE_STACK,
        FAKE_STACK_GROW, FAKE_HEAP_KEEP,     FAKE_LOCK_ALL,          FAKE_PROCESS_MEMORY};
    (void)state;
    need_exact_faults();
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; ++i) {
        struct process_report report;
        const struct process_item *item;
        if (calls[i] == FAKE_HEAP_KEEP && !HEAP_IS_REAL)
            continue;
        (void)make_process(NULL);
        fake_os.refuse[calls[i]] = -EPERM;
        assert_int_equal(warm(WARMUP_REQUIRE, &report), -EPERM);
        item = item_of(&report, calls[i]);
        assert_int_equal(item->error, -EPERM);
        assert_non_null(item->remedy);
        assert_int_equal(report.result, -EPERM);
        (void)make_process(NULL);
        fake_os.refuse[calls[i]] = -EPERM;
        assert_int_equal(warm(WARMUP_PREFER, &report), 0);
        assert_int_equal(item->error, -EPERM);
    }
}

static void one_bad_object_does_not_keep_the_others_from_warming(void **state)
{
    struct process_report report;
    (void)state;
    need_exact_faults();
    fake_os.refuse[FAKE_POPULATE_READ] = -EFAULT;
    assert_int_equal(warm(WARMUP_REQUIRE, &report), -EFAULT);
    assert_int_equal(report.code.granted_bytes, 0);
    assert_int_equal(report.code.asked_bytes, RANGE_BYTES);
    assert_granted(&report.data, RANGE_BYTES);
    assert_int_equal(faults_of_writing(ranges[DATA], RANGE_BYTES), 0);
}

/* ---------------------------------------------------------------------------------------- touch */

static void assert_warm_by_touch(void)
{
    struct process_report report;
    ranges[DATA][5] = 42;
    assert_int_equal(warm(WARMUP_REQUIRE, &report), 0);
    assert_all_granted(&report);
    assert_int_equal(faults_of_reading(ranges[CODE], RANGE_BYTES), 0);
    assert_int_equal(faults_of_writing(ranges[DATA], RANGE_BYTES), 0);
    assert_int_equal(faults_of_writing(ranges[TLS], RANGE_BYTES), 0);
    assert_int_equal(faults_of_writing(ranges[STACK] + 24 * PAGE, 40 * PAGE), 0);
    assert_int_equal(ranges[DATA][5], 42);
}

static void a_system_without_populate_gets_its_pages_touched(void **state)
{
    (void)state;
    need_exact_faults();
    fake_os.refuse[FAKE_POPULATE] = -EOPNOTSUPP;
    fake_os.refuse[FAKE_POPULATE_READ] = -EOPNOTSUPP;
    assert_warm_by_touch();
}

static void a_populate_that_does_nothing_is_found_out(void **state)
{
    (void)state;
    need_exact_faults();
    fake_os.populate_lies = true;
    assert_warm_by_touch();
}

static void faults_that_are_not_counted_prove_nothing(void **state)
{
    struct process_report report;
    (void)state;
    need_exact_faults();
    fake_os.counts_no_faults = true;
    assert_int_equal(warm(WARMUP_REQUIRE, &report), 0);
    assert_int_equal(report.proven, 0);
}

static void pages_that_do_not_stay_fail_the_proof(void **state)
{
    struct process_report report;
    (void)state;
    need_exact_faults();
    fake_os.stale_populates = 100;
    assert_int_equal(warm(WARMUP_REQUIRE, &report), -EFAULT);
    assert_int_equal(report.proven, 0);
    assert_true(report.proof_faults != 0);
    assert_int_equal(report.data.error, -EFAULT);
    assert_non_null(report.data.remedy);
}

/* --------------------------------------------------------------------------------------- limits */

static void a_stack_that_stops_growing_is_granted_as_far_as_it_came(void **state)
{
    struct process_report report;
    (void)state;
    need_exact_faults();
    fake_os.stack_limit = ranges[STACK] + 40 * PAGE;
    assert_int_equal(warm(WARMUP_REQUIRE, &report), -ENOMEM);
    assert_int_equal(report.stack.error, -ENOMEM);
    assert_int_equal(report.stack.asked_bytes, 32 * PAGE);
    assert_int_equal(report.stack.granted_bytes, 16 * PAGE);
    assert_non_null(report.stack.remedy);
}

static void a_stack_that_does_not_grow_is_not_asked_to(void **state)
{
    struct process_report report;
    (void)state;
    need_exact_faults();
    fake_os.stack.grows = false;
    assert_int_equal(warm(WARMUP_REQUIRE, &report), -ENOMEM);
    assert_int_equal(report.stack.granted_bytes, 8 * PAGE);
    assert_int_equal(fake_os.made[FAKE_STACK_GROW], 0);
}

static void a_lock_that_locks_nothing_is_found_out(void **state)
{
    struct process_report report;
    (void)state;
    need_exact_faults();
    fake_os.lock_lies = true;
    assert_int_equal(warm(WARMUP_REQUIRE, &report), -EAGAIN);
    assert_int_equal(report.lock.error, -EAGAIN);
    assert_int_equal(report.lock.granted_bytes, 0);
    assert_int_equal(report.lock.asked_bytes, 8 * RANGE_BYTES);
}

static void a_process_larger_than_the_machine_is_not_locked(void **state)
{
    struct process_report report;
    (void)state;
    need_exact_faults();
    fake_os.memory.lockable_bytes = (size_t)1 << 40;
    assert_int_equal(warm(WARMUP_REQUIRE, &report), -ENOMEM);
    assert_int_equal(report.lock.error, -ENOMEM);
    assert_int_equal(fake_os.made[FAKE_LOCK_ALL], 0);
}

static void late_functions_are_reported_by_object_and_number(void **state)
{
    struct process_report report;
    (void)state;
    need_exact_faults();
    fake_os.binding.lazy_objects = 1;
    fake_os.binding.lazy_slots = 4;
    strcpy(fake_os.binding.lazy_object, "late.so");
    assert_int_equal(warm(WARMUP_REQUIRE, &report), -EAGAIN);
    assert_int_equal(report.lazy_objects, 1);
    assert_int_equal(report.lazy_slots, 4);
    assert_string_equal(report.lazy_object, "late.so");
    assert_int_equal(report.binding.granted_bytes, 6 * sizeof(void *));
    assert_int_equal(warm(WARMUP_PREFER, &report), 0);
    assert_int_equal(report.binding.error, -EAGAIN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_process, end_process)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_generous_system_grants_everything),
        TEST(the_code_is_read_and_the_rest_is_written),
        TEST(any_refused_call_is_reported_and_nothing_is_left_behind),
        TEST(a_lasting_refusal_fails_what_is_required),
        TEST(one_bad_object_does_not_keep_the_others_from_warming),
        TEST(a_system_without_populate_gets_its_pages_touched),
        TEST(a_populate_that_does_nothing_is_found_out),
        TEST(faults_that_are_not_counted_prove_nothing),
        TEST(pages_that_do_not_stay_fail_the_proof),
        TEST(a_stack_that_stops_growing_is_granted_as_far_as_it_came),
        TEST(a_stack_that_does_not_grow_is_not_asked_to),
        TEST(a_lock_that_locks_nothing_is_found_out),
        TEST(a_process_larger_than_the_machine_is_not_locked),
        TEST(late_functions_are_reported_by_object_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
