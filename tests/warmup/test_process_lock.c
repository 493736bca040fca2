/*
 * Locking the process: all that is mapped, nothing that comes later, and never more than fits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <zerofault/process.h>

#include "os/os.h"
#include "support/child.h"
#include "support/pages.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)

/* What a child found. */
struct outcome {
    enum warmup_wish wish;
    int rc;
    struct process_report report;
    bool old_is_locked; /* a mapping that was there, and untouched */
    size_t old_bytes;   /* of it that became resident */
    bool new_is_locked; /* a mapping that was made afterwards */
    size_t new_bytes;   /* of it that became resident */
};

static void *map(size_t size_bytes, int flags)
{
    void *base =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (base == MAP_FAILED)
        abort();
    return base;
}

static size_t present_bytes(const void *base, size_t size_bytes)
{
    struct zf_os_residency residency;
    if (zf_os_residency(base, size_bytes, &residency) != 0)
        abort();
    return residency.present_bytes;
}

static void lock_process(void *shared)
{
    struct outcome *outcome = shared;
    void *old = map(MIB, 0);
    void *fresh;
    outcome->report = (struct process_report)PROCESS_REPORT_INIT;
    outcome->rc = process_warmup(&PROCESS_WARMUP_OPTIONS(.lock = outcome->wish), &outcome->report);
    outcome->old_is_locked = mapping_has_flag(old, "lo");
    outcome->old_bytes = present_bytes(old, MIB);
    fresh = map(MIB, MAP_STACK);
    outcome->new_is_locked = mapping_has_flag(fresh, "lo");
    outcome->new_bytes = present_bytes(fresh, MIB);
}

static void lock_without_privileges(void *shared)
{
    if (drop_privileges(256 << 10) != 0)
        abort();
    lock_process(shared);
}

static void lock_with_a_terabyte_mapped(void *shared)
{
    (void)map((size_t)1 << 40, MAP_NORESERVE);
    lock_process(shared);
}

static struct outcome *run(void (*body)(void *shared), enum warmup_wish wish)
{
    struct outcome *outcome = shared_create(sizeof *outcome);
    outcome->wish = wish;
    assert_int_equal(run_in_child(body, outcome), 0);
    return outcome;
}

static void what_is_mapped_is_locked_and_what_comes_later_is_not(void **state)
{
    struct outcome *outcome;
    size_t lockable_bytes;
    (void)state;
    need_no_sanitizer();
    assert_int_equal(zf_os_lockable_bytes(&lockable_bytes), 0);
    need("root", lockable_bytes > 64 * MIB, "RLIMIT_MEMLOCK is too low for a whole process");
    outcome = run(lock_process, WARMUP_REQUIRE);
    assert_int_equal(outcome->rc, 0);
    assert_int_equal(outcome->report.lock.asked, WARMUP_REQUIRE);
    assert_int_equal(outcome->report.lock.error, 0);
    assert_true(outcome->report.lock.asked_bytes > 2 * MIB);
    assert_int_equal(outcome->report.lock.granted_bytes, outcome->report.lock.asked_bytes);
    assert_null(outcome->report.lock.remedy);
    assert_true(outcome->old_is_locked);
    assert_int_equal(outcome->old_bytes, MIB);
    assert_false(outcome->new_is_locked);
    assert_int_equal(outcome->new_bytes, 0);
    assert_int_equal(outcome->report.proven, 1);
    shared_destroy(outcome, sizeof *outcome);
}

static void without_a_wish_nothing_is_locked(void **state)
{
    struct outcome *outcome = run(lock_process, WARMUP_DEFAULT);
    (void)state;
    assert_int_equal(outcome->rc, 0);
    assert_int_equal(outcome->report.lock.asked, WARMUP_OFF);
    assert_int_equal(outcome->report.lock.asked_bytes, 0);
    assert_false(outcome->old_is_locked);
    assert_int_equal(outcome->old_bytes, 0);
    shared_destroy(outcome, sizeof *outcome);
}

static void assert_refused(const struct outcome *outcome)
{
    assert_int_equal(outcome->report.lock.error, -ENOMEM);
    assert_true(outcome->report.lock.granted_bytes < outcome->report.lock.asked_bytes);
    assert_non_null(outcome->report.lock.remedy);
    assert_int_equal(outcome->report.result, outcome->rc);
    assert_int_equal(outcome->report.data.error, 0);
    assert_int_equal(outcome->report.data.granted_bytes, outcome->report.data.asked_bytes);
    assert_false(outcome->old_is_locked);
    assert_int_equal(outcome->old_bytes, 0);
    assert_false(outcome->new_is_locked);
}

static void a_refused_wish_is_reported_and_the_rest_is_warm(void **state)
{
    struct outcome *outcome = run(lock_without_privileges, WARMUP_PREFER);
    (void)state;
    assert_int_equal(outcome->rc, 0);
    assert_refused(outcome);
    shared_destroy(outcome, sizeof *outcome);
}

static void a_refused_must_fails_the_call_and_the_rest_is_warm(void **state)
{
    struct outcome *outcome = run(lock_without_privileges, WARMUP_REQUIRE);
    (void)state;
    assert_int_equal(outcome->rc, -ENOMEM);
    assert_refused(outcome);
    shared_destroy(outcome, sizeof *outcome);
}

/* The kernel would go on until the OOM killer ends somebody. */
static void a_process_that_the_machine_cannot_hold_is_not_locked(void **state)
{
    struct outcome *outcome = run(lock_with_a_terabyte_mapped, WARMUP_REQUIRE);
    (void)state;
    assert_int_equal(outcome->rc, -ENOMEM);
    assert_refused(outcome);
    shared_destroy(outcome, sizeof *outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_mapped_is_locked_and_what_comes_later_is_not),
        cmocka_unit_test(without_a_wish_nothing_is_locked),
        cmocka_unit_test(a_refused_wish_is_reported_and_the_rest_is_warm),
        cmocka_unit_test(a_refused_must_fails_the_call_and_the_rest_is_warm),
        cmocka_unit_test(a_process_that_the_machine_cannot_hold_is_not_locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
