/*
 * Warmups by several threads, on a system whose threads take turns call by call: what happens when
 * a thread cannot be started, when a chunk fails in one of them, and when the caller says stop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fake/fake_os.h"
#include "warmup/warmup.h"

#define PAGE ((size_t)4096)
#define CHUNK_BYTES (4 * PAGE)
#define CHUNKS ((size_t)12)
#define SIZE_BYTES (CHUNKS * CHUNK_BYTES)

static const struct zf_warmup_wishes plain = {.bind = WARMUP_PREFER,
                                              .huge_pages = WARMUP_OFF,
                                              .lock = WARMUP_OFF,
                                              .fork = WARMUP_FORK_EXCLUDE,
                                              .node = 0};

static int reset(void **state)
{
    (void)state;
    fake_os_reset();
    return 0;
}

static struct zf_region create_on(int node, size_t size_bytes)
{
    struct zf_region_options options = {
        .size_bytes = size_bytes, .node = node, .bind = WARMUP_PREFER, .huge_pages = WARMUP_OFF};
    struct zf_region region;
    assert_int_equal(zf_region_create(&region, &options), 0);
    return region;
}

static struct warmup_options options_of(size_t threads)
{
    return (struct warmup_options){.struct_size = sizeof(struct warmup_options),
                                   .chunk_bytes = CHUNK_BYTES,
                                   .threads = threads};
}

static struct warmup_report warm(struct zf_region *region, const struct warmup_options *options)
{
    struct warmup_report report;
    int rc = zf_warmup_region(region, &plain, options, &report);
    assert_int_equal(rc, report.result);
    assert_int_equal(fake_os.helpers_count, 0);
    return report;
}

static size_t present_bytes(const struct zf_region *region, size_t size_bytes)
{
    struct zf_os_residency residency;
    if (size_bytes == 0)
        return 0;
    assert_int_equal(zf_os_residency(region->base, size_bytes, &residency), 0);
    return residency.present_bytes;
}

/* -------------------------------------------------------------------------------------- threads */

static void the_faults_of_all_threads_are_counted(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 5; ++threads) {
        struct zf_region region = create_on(0, SIZE_BYTES);
        struct warmup_options options = options_of(threads);
        struct warmup_report report = warm(&region, &options);
        assert_int_equal(report.result, 0);
        assert_int_equal(report.proven, 1);
        assert_int_equal(report.threads_asked, threads);
        assert_int_equal(report.threads_got, threads);
        assert_int_equal(report.threads_error, 0);
        assert_null(report.threads_remedy);
        assert_int_equal(report.faults_minor, SIZE_BYTES / PAGE);
        assert_int_equal(report.last_phase, WARMUP_PROVE);
        assert_int_equal(report.done_bytes, SIZE_BYTES);
        zf_region_destroy(&region);
    }
}

static void there_are_never_more_threads_than_chunks(void **state)
{
    struct zf_region region = create_on(0, 2 * CHUNK_BYTES + PAGE);
    struct warmup_options options = options_of(WARMUP_THREADS_MAX);
    struct warmup_report report = warm(&region, &options);
    (void)state;
    assert_int_equal(report.threads_asked, 3);
    assert_int_equal(report.threads_got, 3);
    assert_int_equal(report.threads_error, 0);
    zf_region_destroy(&region);
}

static void without_a_number_there_is_one_thread_for_each_cpu_and_8_mib(void **state)
{
    static const struct {
        size_t size_bytes;
        int cpus_count;
        size_t threads;
    } cases[] = {{15u << 20, 4, 1}, {16u << 20, 4, 2}, {33u << 20, 4, 4}, {33u << 20, 1, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct zf_region region = create_on(0, cases[i].size_bytes);
        struct warmup_options options = {.struct_size = sizeof options};
        struct warmup_report report;
        fake_os.cpus_count = cases[i].cpus_count;
        report = warm(&region, &options);
        assert_int_equal(report.result, 0);
        assert_int_equal(report.threads_asked, cases[i].threads);
        assert_int_equal(report.threads_got, cases[i].threads);
        zf_region_destroy(&region);
    }
}

static void a_thread_that_cannot_be_started_is_reported_and_done_without(void **state)
{
    static const int errors[] = {-EAGAIN, -ENOMEM, -EPERM, -EINVAL};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; ++i) {
        struct zf_region region = create_on(0, SIZE_BYTES);
        struct warmup_options options = options_of(4);
        struct warmup_report report;
        fake_os.refuse[FAKE_HELPER_START] = errors[i];
        report = warm(&region, &options);
        assert_int_equal(report.result, 0);
        assert_int_equal(report.proven, 1);
        assert_int_equal(report.threads_asked, 4);
        assert_int_equal(report.threads_got, 1);
        assert_int_equal(report.threads_error, errors[i]);
        assert_non_null(report.threads_remedy);
        assert_int_equal(report.faults_minor, SIZE_BYTES / PAGE);
        zf_region_destroy(&region);
    }
}

/* Each call of a warmup in turn, the starts of its threads among them. */
static void whichever_call_fails_no_thread_is_left(void **state)
{
    bool some_started = false;
    unsigned n = 0;
    (void)state;
    do {
        struct zf_region region;
        struct warmup_options options = options_of(3);
        struct warmup_report report;
        fake_os_reset();
        region = create_on(0, SIZE_BYTES);
        fake_os.calls = 0;
        fake_os.fail_call = ++n;
        fake_os.fail_error = -EAGAIN;
        report = warm(&region, &options);
        fake_os.fail_call = 0;
        if (fake_os.failed == FAKE_HELPER_START) {
            some_started = some_started || report.threads_got == 2;
            assert_int_equal(report.result, 0);
            assert_int_equal(report.threads_error, -EAGAIN);
            assert_in_range(report.threads_got, 1, 2);
        }
        if (fake_os.failed == FAKE_POPULATE)
            assert_true(report.result == -ENOMEM || report.result == -EAGAIN);
        if (report.result == 0)
            assert_int_equal(present_bytes(&region, SIZE_BYTES), SIZE_BYTES);
        zf_region_destroy(&region);
    } while (fake_os.failed != FAKE_CALL_COUNT);
    assert_true(n > CHUNKS);
    assert_true(some_started);
}

/* ----------------------------------------------------------------------------------------- CPUs */

static void threads_run_on_the_cpus_of_the_node(void **state)
{
    struct zf_cpu_set expected = {{0}};
    struct zf_region region;
    struct warmup_options options = options_of(2);
    struct warmup_report report;
    (void)state;
    fake_os.nodes_count = 3;
    fake_os.cpus_count = 3;
    region = create_on(1, SIZE_BYTES);
    zf_cpu_set_add(&expected, 1);

    report = warm(&region, &options);

    assert_int_equal(report.result, 0);
    assert_int_equal(report.threads_got, 2);
    assert_int_equal(report.threads_error, 0);
    assert_memory_equal(&fake_os.helper_cpus, &expected, sizeof expected);
    zf_region_destroy(&region);
}

static void threads_that_may_not_run_on_the_node_run_elsewhere_and_the_report_says_so(void **state)
{
    struct zf_cpu_set expected = {{0}};
    struct zf_region region;
    struct warmup_options options = options_of(2);
    struct warmup_report report;
    (void)state;
    fake_os.nodes_count = 3;
    fake_os.cpus_count = 2;
    region = create_on(2, SIZE_BYTES);
    zf_cpu_set_add(&expected, 0);
    zf_cpu_set_add(&expected, 1);

    report = warm(&region, &options);

    assert_int_equal(report.result, 0);
    assert_int_equal(report.threads_got, 2);
    assert_int_equal(report.threads_error, -EXDEV);
    assert_non_null(report.threads_remedy);
    assert_memory_equal(&fake_os.helper_cpus, &expected, sizeof expected);
    zf_region_destroy(&region);
}

/* ----------------------------------------------------------------------------- errors and stops */

static void of_chunks_that_fail_the_first_tells_the_error_and_all_before_it_is_done(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 4; ++threads)
        for (size_t broken = 0; broken < CHUNKS; ++broken) {
            struct zf_region region = create_on(0, SIZE_BYTES);
            struct warmup_options options = options_of(threads);
            struct warmup_report report;
            fake_os.broken = (unsigned char *)region.base + broken * CHUNK_BYTES + PAGE;
            fake_os.broken_error = -EHWPOISON;
            report = warm(&region, &options);
            assert_int_equal(report.result, -EHWPOISON);
            assert_int_equal(report.populate.error, -EHWPOISON);
            assert_int_equal(report.last_phase, WARMUP_POPULATE);
            assert_int_equal(report.done_bytes, broken * CHUNK_BYTES);
            assert_int_equal(present_bytes(&region, report.done_bytes), report.done_bytes);
            assert_int_equal(report.proven, 0);

            fake_os.broken = NULL;
            report = warm(&region, &options);

            assert_int_equal(report.result, 0);
            assert_int_equal(report.done_bytes, SIZE_BYTES);
            zf_region_destroy(&region);
        }
}

struct stopper {
    unsigned calls;
    unsigned stop_at; /* this call, counted from 1 */
    int *flag;        /* set then, or NULL: the callback itself says stop */
    struct warmup_progress last;
};

static int stop(const struct warmup_progress *progress, void *context)
{
    struct stopper *stopper = context;
    bool now = ++stopper->calls == stopper->stop_at;
    stopper->last = *progress;
    if (now && stopper->flag != NULL)
        __atomic_store_n(stopper->flag, 1, __ATOMIC_RELAXED);
    return now && stopper->flag == NULL;
}

/* All from the start to `done_bytes` is there, nothing behind it, and nobody is told more. */
static void assert_stopped(const struct zf_region *region, const struct warmup_report *report,
                           const struct stopper *stopper)
{
    assert_int_equal(report->result, -ECANCELED);
    assert_int_equal(report->proven, 0);
    assert_int_equal(report->last_phase, stopper->last.phase);
    assert_int_equal(stopper->calls, stopper->stop_at);
    assert_true(report->done_bytes >= stopper->last.done_bytes);
    assert_true(report->done_bytes % CHUNK_BYTES == 0);
    if (report->last_phase != WARMUP_POPULATE)
        return;
    assert_int_equal(present_bytes(region, SIZE_BYTES), report->done_bytes);
    assert_int_equal(present_bytes(region, report->done_bytes), report->done_bytes);
}

static void cancelled_in_the_middle_the_done_bytes_are_warm_and_no_others(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 4; ++threads)
        for (int by_flag = 0; by_flag <= 1; ++by_flag)
            for (unsigned call = 1; call <= 4; ++call) {
                int flag = 0;
                struct stopper stopper = {.stop_at = call, .flag = by_flag ? &flag : NULL};
                struct zf_region region = create_on(0, SIZE_BYTES);
                struct warmup_options options = options_of(threads);
                struct warmup_report report;
                options.progress = stop;
                options.context = &stopper;
                options.cancel = &flag;
                report = warm(&region, &options);
                assert_stopped(&region, &report, &stopper);

                options.progress = NULL;
                flag = 0;
                report = warm(&region, &options);

                assert_int_equal(report.result, 0);
                assert_int_equal(report.proven, 1);
                zf_region_destroy(&region);
            }
}

static void a_flag_that_is_set_beforehand_cancels_before_the_first_chunk(void **state)
{
    int flag = 1;
    struct zf_region region = create_on(0, SIZE_BYTES);
    struct warmup_options options = options_of(3);
    struct warmup_report report;
    (void)state;
    options.cancel = &flag;
    report = warm(&region, &options);
    assert_int_equal(report.result, -ECANCELED);
    assert_int_equal(report.done_bytes, 0);
    assert_int_equal(present_bytes(&region, SIZE_BYTES), 0);
    zf_region_destroy(&region);
}

static int remember(const struct warmup_progress *progress, void *context)
{
    struct stopper *stopper = context;
    bool same = stopper->calls != 0 && stopper->last.phase == progress->phase;
    assert_true(progress->done_bytes > (same ? stopper->last.done_bytes : 0));
    assert_true(progress->done_bytes <= progress->total_bytes);
    assert_true(progress->bytes_per_second > 0);
    stopper->last = *progress;
    ++stopper->calls;
    return 0;
}

static void progress_rises_and_ends_with_all(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 4; ++threads) {
        struct stopper memory = {0};
        struct zf_region region = create_on(0, SIZE_BYTES);
        struct warmup_options options = options_of(threads);
        options.progress = remember;
        options.context = &memory;
        assert_int_equal(warm(&region, &options).result, 0);
        assert_int_equal(memory.last.phase, WARMUP_PROVE);
        assert_int_equal(memory.last.done_bytes, SIZE_BYTES);
        assert_in_range(memory.calls, 2, 2 * CHUNKS);
        zf_region_destroy(&region);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_faults_of_all_threads_are_counted, reset),
        cmocka_unit_test_setup(there_are_never_more_threads_than_chunks, reset),
        cmocka_unit_test_setup(without_a_number_there_is_one_thread_for_each_cpu_and_8_mib, reset),
        cmocka_unit_test_setup(a_thread_that_cannot_be_started_is_reported_and_done_without, reset),
        cmocka_unit_test_setup(whichever_call_fails_no_thread_is_left, reset),
        cmocka_unit_test_setup(threads_run_on_the_cpus_of_the_node, reset),
        cmocka_unit_test_setup(
            threads_that_may_not_run_on_the_node_run_elsewhere_and_the_report_says_so, reset),
        cmocka_unit_test_setup(
            of_chunks_that_fail_the_first_tells_the_error_and_all_before_it_is_done, reset),
        cmocka_unit_test_setup(cancelled_in_the_middle_the_done_bytes_are_warm_and_no_others,
                               reset),
        cmocka_unit_test_setup(a_flag_that_is_set_beforehand_cancels_before_the_first_chunk, reset),
        cmocka_unit_test_setup(progress_rises_and_ends_with_all, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
