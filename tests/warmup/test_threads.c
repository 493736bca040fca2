/*
 * Warmups by several threads on the real kernel: what they fault is counted, what they are is
 * defined, and nothing of them stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/os.h"
#include "support/child.h"
#include "support/needs.h"
#include "support/pages.h"
#include "support/sanitizer.h"
#include "warmup/warmup.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define SIZE_BYTES (64 * MIB)

static const struct zf_warmup_wishes plain = {.bind = WARMUP_PREFER,
                                              .huge_pages = WARMUP_OFF,
                                              .lock = WARMUP_OFF,
                                              .fork = WARMUP_FORK_EXCLUDE,
                                              .node = -1};

static struct zf_region create(size_t size_bytes)
{
    struct zf_region_options options = {
        .size_bytes = size_bytes, .node = -1, .bind = WARMUP_PREFER, .huge_pages = WARMUP_OFF};
    struct zf_region region;
    assert_int_equal(zf_region_create(&region, &options), 0);
    return region;
}

static struct warmup_report warm(struct zf_region *region, const struct warmup_options *options)
{
    struct warmup_report report;
    int rc = zf_warmup_region(region, &plain, options, &report);
    assert_int_equal(rc, report.result);
    return report;
}

static size_t present_bytes(const struct zf_region *region, size_t size_bytes)
{
    struct zf_os_residency residency = {0};
    if (size_bytes != 0)
        assert_int_equal(zf_os_residency(region->base, size_bytes, &residency), 0);
    return residency.present_bytes;
}

/* ------------------------------------------------------------------------------ what they fault */

static void the_faults_of_all_threads_are_counted_and_none_is_left(void **state)
{
    struct zf_region region = create(SIZE_BYTES);
    struct warmup_options options = {
        .struct_size = sizeof options, .threads = 4, .chunk_bytes = MIB / 2};
    struct warmup_report report = warm(&region, &options);
    (void)state;
    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 1);
    assert_int_equal(report.proof_faults, 0);
    assert_int_equal(report.threads_asked, 4);
    assert_int_equal(report.threads_got, 4);
    assert_int_equal(report.threads_error, 0);
    assert_true(report.faults_minor >= SIZE_BYTES / PAGE);
    assert_true(report.faults_minor < 2 * (SIZE_BYTES / PAGE));
    assert_int_equal(faults_of_writing(region.base, SIZE_BYTES), 0);
    zf_region_destroy(&region);
}

static void a_small_region_starts_no_thread(void **state)
{
    struct zf_region region = create(15 * MIB);
    struct warmup_options options = {.struct_size = sizeof options};
    struct warmup_report report = warm(&region, &options);
    (void)state;
    assert_int_equal(report.result, 0);
    assert_int_equal(report.threads_asked, 1);
    assert_int_equal(report.threads_got, 1);
    zf_region_destroy(&region);
}

/* -------------------------------------------------------------------------------- what they are */

/* What the system's files show of one helper, seen while it works. */
struct sight {
    bool seen;
    unsigned long long blocked; /* signals */
    int policy;
    cpu_set_t cpus;
    size_t tasks_before;
    pid_t caller;
    bool other_caller; /* the callback came from another thread */
};

/* Threads of this process; the first with the helpers' name in `*helper`, 0 for none. */
static size_t count_tasks(pid_t *helper)
{
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    size_t count = 0;
    *helper = 0;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        char path[64], name[32] = "";
        pid_t thread = (pid_t)atoi(entry->d_name);
        if (thread == 0)
            continue;
        ++count;
        (void)snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)thread);
        if (zf_os_read_file(path, name, sizeof name) > 0 && strcmp(name, "zf-warmup\n") == 0)
            *helper = thread;
    }
    (void)closedir(folder);
    return count;
}

static int look(const struct warmup_progress *progress, void *context)
{
    struct sight *sight = context;
    char path[64], text[8192];
    const char *field;
    pid_t helper;
    (void)progress;
    sight->other_caller = sight->other_caller || gettid() != sight->caller;
    if (sight->seen || count_tasks(&helper) == 0 || helper == 0)
        return 0;
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)helper);
    if (zf_os_read_file(path, text, sizeof text) <= 0 ||
        (field = strstr(text, "SigBlk:")) == NULL ||
        sched_getaffinity(helper, sizeof sight->cpus, &sight->cpus) != 0)
        return 0;
    sight->blocked = strtoull(field + 7, NULL, 16);
    sight->policy = sched_getscheduler(helper);
    sight->seen = sight->policy >= 0;
    return 0;
}

static struct sight watch(void)
{
    struct zf_region region = create(4 * SIZE_BYTES);
    struct sight sight = {.caller = gettid()};
    struct warmup_options options = {.struct_size = sizeof options,
                                     .progress = look,
                                     .context = &sight,
                                     .threads = 3,
                                     .chunk_bytes = MIB / 4};
    struct warmup_report report;
    pid_t helper;
    sight.tasks_before = count_tasks(&helper);
    assert_int_equal(helper, 0);
    report = warm(&region, &options);
    assert_int_equal(report.result, 0);
    assert_true(sight.seen);
    zf_region_destroy(&region);
    return sight;
}

static void helpers_handle_no_signal_and_have_ordinary_priority(void **state)
{
    struct sight sight = watch();
    unsigned long long own[] = {SIGKILL, SIGSTOP, 32, 33};
    (void)state;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; ++i)
        sight.blocked |= 1ull << (own[i] - 1);
    assert_true(sight.blocked == ~0ull);
    assert_int_equal(sight.policy, SCHED_OTHER);
}

static void helpers_are_gone_afterwards(void **state)
{
    struct sight sight = watch();
    pid_t helper;
    (void)state;
    assert_int_equal(count_tasks(&helper), sight.tasks_before);
    assert_int_equal(helper, 0);
}

static void the_callback_is_called_by_the_calling_thread_alone(void **state)
{
    (void)state;
    assert_false(watch().other_caller);
}

static void signals_and_cpus_of_the_calling_thread_stay_as_they_were(void **state)
{
    sigset_t mine, before, after;
    cpu_set_t cpus_before, cpus_after;
    (void)state;
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR2);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &mine, NULL), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
    assert_int_equal(sched_getaffinity(0, sizeof cpus_before, &cpus_before), 0);

    (void)watch();

    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    assert_int_equal(sched_getaffinity(0, sizeof cpus_after, &cpus_after), 0);
    for (int signal = 1; signal < 32; ++signal)
        assert_int_equal(sigismember(&before, signal), sigismember(&after, signal));
    assert_memory_equal(&cpus_before, &cpus_after, sizeof cpus_before);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &mine, NULL), 0);
}

/* ----------------------------------------------------------------------------------------- CPUs */

static void bind_to(const cpu_set_t *cpus)
{
    assert_int_equal(pthread_setaffinity_np(pthread_self(), sizeof *cpus, cpus), 0);
}

/* The process's CPUs; a test of several is skipped where there is one. */
static cpu_set_t several_cpus(void)
{
    cpu_set_t cpus;
    assert_int_equal(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    need("cpus", CPU_COUNT(&cpus) > 1, "this process may use one CPU only");
    return cpus;
}

static cpu_set_t first_of(const cpu_set_t *cpus)
{
    cpu_set_t one;
    size_t cpu = 0;
    CPU_ZERO(&one);
    while (!CPU_ISSET(cpu, cpus))
        ++cpu;
    CPU_SET(cpu, &one);
    return one;
}

static void *warm_bound(void *context)
{
    cpu_set_t one = *(cpu_set_t *)context;
    struct sight *sight = malloc(sizeof *sight);
    assert_non_null(sight);
    bind_to(&one);
    *sight = watch();
    return sight;
}

static void a_caller_bound_to_one_cpu_does_not_bind_his_helpers(void **state)
{
    cpu_set_t all = several_cpus();
    cpu_set_t one = first_of(&all);
    pthread_t thread;
    void *sight;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, warm_bound, &one), 0);
    assert_int_equal(pthread_join(thread, &sight), 0);
    assert_int_equal(CPU_COUNT(&((struct sight *)sight)->cpus), CPU_COUNT(&all));
    free(sight);
}

static void warm_by_topology(void *shared)
{
    struct zf_region_options options = {
        .size_bytes = SIZE_BYTES, .node = -1, .bind = WARMUP_PREFER, .huge_pages = WARMUP_OFF};
    struct warmup_options running = {.struct_size = sizeof running};
    struct zf_region region;
    if (zf_region_create(&region, &options) == 0)
        (void)zf_warmup_region(&region, &plain, &running, shared);
}

static void a_process_bound_to_one_cpu_warms_with_one_thread(void **state)
{
    cpu_set_t all = several_cpus();
    cpu_set_t one = first_of(&all);
    struct warmup_report *report = shared_create(sizeof *report);
    (void)state;
    bind_to(&one);
    assert_int_equal(run_in_child(warm_by_topology, report), 0);
    bind_to(&all);
    assert_int_equal(report->proven, 1);
    assert_int_equal(report->threads_asked, 1);

    assert_int_equal(run_in_child(warm_by_topology, report), 0);

    assert_int_equal(report->proven, 1);
    assert_int_equal(report->threads_asked, report->threads_got);
    assert_in_range(report->threads_asked, 2, 8);
    shared_destroy(report, sizeof *report);
}

static void warm_without_threads(void *shared)
{
    const struct rlimit none = {1, 1};
    struct warmup_options options = {.struct_size = sizeof options, .threads = 4};
    struct warmup_report *report = shared;
    struct zf_region region = create(SIZE_BYTES);
    report->struct_size = 0;
    if (drop_privileges(MIB) != 0 || setrlimit(RLIMIT_NPROC, &none) != 0)
        return;
    (void)zf_warmup_region(&region, &plain, &options, report);
}

static void a_limit_of_processes_is_reported_and_the_region_is_warm(void **state)
{
    struct warmup_report *report = shared_create(sizeof *report);
    (void)state;
    need("root", geteuid() == 0, "only root can become a user who has no other process");
    assert_int_equal(run_in_child(warm_without_threads, report), 0);
    assert_int_equal(report->struct_size, sizeof *report);
    assert_int_equal(report->result, 0);
    assert_int_equal(report->proven, 1);
    assert_int_equal(report->threads_asked, 4);
    assert_int_equal(report->threads_got, 1);
    assert_int_equal(report->threads_error, -EAGAIN);
    assert_non_null(report->threads_remedy);
    shared_destroy(report, sizeof *report);
}

/* ------------------------------------------------------------------------------------- stopping */

static int set_flag(const struct warmup_progress *progress, void *context)
{
    (void)progress;
    __atomic_store_n((int *)context, 1, __ATOMIC_RELAXED);
    return 0;
}

static void cancelled_the_done_bytes_are_there_and_no_others(void **state)
{
    int flag = 0;
    struct zf_region region = create(SIZE_BYTES);
    struct warmup_options options = {.struct_size = sizeof options,
                                     .progress = set_flag,
                                     .context = &flag,
                                     .chunk_bytes = MIB / 2,
                                     .threads = 4,
                                     .cancel = &flag};
    struct warmup_report report = warm(&region, &options);
    (void)state;
    assert_int_equal(report.result, -ECANCELED);
    assert_int_equal(report.last_phase, WARMUP_POPULATE);
    assert_true(report.done_bytes >= options.chunk_bytes);
    assert_int_equal(present_bytes(&region, report.done_bytes), report.done_bytes);
    assert_int_equal(present_bytes(&region, SIZE_BYTES), report.done_bytes);

    options.cancel = NULL;
    report = warm(&region, &options);

    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 1);
    zf_region_destroy(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_faults_of_all_threads_are_counted_and_none_is_left),
        cmocka_unit_test(a_small_region_starts_no_thread),
        cmocka_unit_test(helpers_handle_no_signal_and_have_ordinary_priority),
        cmocka_unit_test(helpers_are_gone_afterwards),
        cmocka_unit_test(the_callback_is_called_by_the_calling_thread_alone),
        cmocka_unit_test(signals_and_cpus_of_the_calling_thread_stay_as_they_were),
        cmocka_unit_test(a_caller_bound_to_one_cpu_does_not_bind_his_helpers),
        cmocka_unit_test(a_process_bound_to_one_cpu_warms_with_one_thread),
        cmocka_unit_test(a_limit_of_processes_is_reported_and_the_region_is_warm),
        cmocka_unit_test(cancelled_the_done_bytes_are_there_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
