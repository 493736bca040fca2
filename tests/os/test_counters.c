/*
 * Counters of the calling thread, and how much it may lock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"
#include "support/child.h"
#include "support/needs.h"
#include "support/pages.h"

#define PAGE ((size_t)4096)

static void counters_count_one_fault_per_touched_page(void **state)
{
    struct zf_os_counters before, after;
    void *base;
    (void)state;
    assert_int_equal(zf_os_reserve(64 * PAGE, PAGE, &base), 0);
    assert_int_equal(zf_os_commit(base, 64 * PAGE), 0);
    assert_int_equal(zf_os_advise(base, 64 * PAGE, ZF_OS_HUGE_FROZEN), 0);

    zf_os_counters(&before);
    uint64_t faults = faults_of_writing(base, 64 * PAGE);
    zf_os_counters(&after);

    assert_int_equal(faults, 64);
    assert_true(after.faults_minor - before.faults_minor >= 64);
    assert_true(after.faults_minor - before.faults_minor < 80);
    assert_int_equal(zf_os_release(base, 64 * PAGE), 0);
}

static void *fault_elsewhere(void *base)
{
    (void)faults_of_writing(base, 4096 * PAGE);
    return NULL;
}

/* Starting a thread costs this one some faults, fewer than the thread then takes. */
static void counters_do_not_count_other_threads(void **state)
{
    struct zf_os_counters before, after;
    pthread_t thread;
    void *base;
    (void)state;
    assert_int_equal(zf_os_reserve(4096 * PAGE, PAGE, &base), 0);
    assert_int_equal(zf_os_commit(base, 4096 * PAGE), 0);

    assert_int_equal(zf_os_advise(base, 4096 * PAGE, ZF_OS_HUGE_FROZEN), 0);

    zf_os_counters(&before);
    assert_int_equal(pthread_create(&thread, NULL, fault_elsewhere, base), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    zf_os_counters(&after);

    assert_true(after.faults_minor - before.faults_minor < 4096);
    assert_int_equal(zf_os_release(base, 4096 * PAGE), 0);
}

static void clock_never_goes_back(void **state)
{
    uint64_t last = zf_os_clock_ns();
    (void)state;
    assert_true(last > 0);
    for (int i = 0; i < 1000; ++i) {
        uint64_t now = zf_os_clock_ns();
        assert_true(now >= last);
        last = now;
    }
}

static void *read_thread_id(void *id)
{
    *(uint32_t *)id = zf_os_thread_id();
    return NULL;
}

static void thread_id_is_the_system_s(void **state)
{
    uint32_t other = 0;
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, read_thread_id, &other), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(zf_os_thread_id(), getpid());
    assert_int_not_equal(other, 0);
    assert_int_not_equal(other, getpid());
}

/* What a child saw of its limits. */
struct limits {
    int rc;
    size_t before_bytes; /* with nothing locked */
    size_t after_bytes;  /* with 16 pages locked */
};

static void read_limits(struct limits *limits)
{
    void *base;
    limits->rc = zf_os_lockable_bytes(&limits->before_bytes);
    if (limits->rc == 0)
        limits->rc = zf_os_reserve(16 * PAGE, PAGE, &base);
    if (limits->rc == 0)
        limits->rc = zf_os_commit(base, 16 * PAGE);
    if (limits->rc == 0)
        limits->rc = zf_os_lock(base, 16 * PAGE);
    if (limits->rc == 0)
        limits->rc = zf_os_lockable_bytes(&limits->after_bytes);
}

static void read_limits_unprivileged(void *shared)
{
    struct limits *limits = shared;
    limits->rc = drop_privileges(32 * PAGE);
    if (limits->rc == 0)
        read_limits(limits);
}

static void read_limits_unlimited(void *shared)
{
    struct limits *limits = shared;
    limits->rc = drop_privileges(RLIM_INFINITY);
    if (limits->rc == 0)
        read_limits(limits);
}

static void lockable_bytes_are_the_limit_less_what_is_locked(void **state)
{
    struct limits *limits = shared_create(sizeof *limits);
    (void)state;
    assert_int_equal(run_in_child(read_limits_unprivileged, limits), 0);
    assert_int_equal(limits->rc, 0);
    assert_int_equal(limits->before_bytes, 32 * PAGE);
    assert_int_equal(limits->after_bytes, 16 * PAGE);
    shared_destroy(limits, sizeof *limits);
}

static void lockable_bytes_have_no_end_without_a_limit(void **state)
{
    struct limits *limits = shared_create(sizeof *limits);
    (void)state;
    assert_int_equal(run_in_child(read_limits_unlimited, limits), 0);
    need("raising limits", limits->rc != -1, "RLIMIT_MEMLOCK cannot be raised here");
    assert_int_equal(limits->rc, 0);
    assert_true(limits->before_bytes == SIZE_MAX);
    assert_true(limits->after_bytes == SIZE_MAX);
    shared_destroy(limits, sizeof *limits);
}

static void lockable_bytes_have_no_end_with_the_capability(void **state)
{
    struct rlimit old, tight = {PAGE, 0};
    size_t free_bytes = 0;
    (void)state;
    need("root", geteuid() == 0, "CAP_IPC_LOCK takes privileges");
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &old), 0);
    tight.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &tight), 0);
    int rc = zf_os_lockable_bytes(&free_bytes);
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &old), 0);
    assert_int_equal(rc, 0);
    assert_true(free_bytes == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_count_one_fault_per_touched_page),
        cmocka_unit_test(counters_do_not_count_other_threads),
        cmocka_unit_test(clock_never_goes_back),
        cmocka_unit_test(thread_id_is_the_system_s),
        cmocka_unit_test(lockable_bytes_are_the_limit_less_what_is_locked),
        cmocka_unit_test(lockable_bytes_have_no_end_without_a_limit),
        cmocka_unit_test(lockable_bytes_have_no_end_with_the_capability),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
