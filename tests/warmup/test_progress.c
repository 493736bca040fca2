/*
 * Warmups that are watched and stopped, on the real kernel: what the callback is told, and what is
 * there and locked when it says stop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "support/pages.h"
#include "warmup/warmup.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)

static const struct zf_warmup_wishes plain = {.bind = WARMUP_PREFER,
                                              .huge_pages = WARMUP_OFF,
                                              .lock = WARMUP_PREFER,
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

static struct warmup_report warm(struct zf_region *region)
{
    struct warmup_options options = {.struct_size = sizeof options};
    struct warmup_report report;
    int rc = zf_warmup_region(region, &plain, &options, &report);
    assert_int_equal(rc, report.result);
    return report;
}

static void assert_proven(const struct warmup_report *report)
{
    assert_int_equal(report->result, 0);
    assert_int_equal(report->proven, 1);
    assert_int_equal(report->proof_faults, 0);
    assert_int_equal(report->populate.granted_bytes, report->size_bytes);
}

static void assert_locked(const struct zf_region *region, const struct warmup_report *report)
{
    assert_int_equal(report->lock.error, 0);
    assert_int_equal(report->lock.granted_bytes, region->size_bytes);
    assert_true(mapping_has_flag(region->base, "lo"));
}

/* What a callback was told, and when it says stop. */
struct watcher {
    unsigned calls;
    unsigned stop_at; /* this call, counted from 1; 0 never */
    size_t chunk_bytes;
    unsigned chunks[WARMUP_PHASE_COUNT];
    struct warmup_progress last;
    bool in_order;
};

static int watch(const struct warmup_progress *progress, void *context)
{
    struct watcher *watcher = context;
    bool same_phase = watcher->calls != 0 && progress->phase == watcher->last.phase;
    size_t before_bytes = same_phase ? watcher->last.done_bytes : 0;
    watcher->in_order = watcher->in_order && progress->phase >= watcher->last.phase &&
                        progress->done_bytes > before_bytes &&
                        progress->done_bytes - before_bytes <= watcher->chunk_bytes &&
                        progress->done_bytes <= progress->total_bytes &&
                        (!same_phase || progress->spent_ns >= watcher->last.spent_ns);
    ++watcher->chunks[progress->phase];
    watcher->last = *progress;
    return ++watcher->calls == watcher->stop_at;
}

static struct warmup_report warm_watched(struct zf_region *region, struct watcher *watcher)
{
    struct warmup_options options = {.struct_size = sizeof options,
                                     .progress = watch,
                                     .context = watcher,
                                     .chunk_bytes = watcher->chunk_bytes,
                                     .threads = 1};
    struct warmup_report report;
    watcher->in_order = true;
    int rc = zf_warmup_region(region, &plain, &options, &report);
    assert_int_equal(rc, report.result);
    return report;
}

/* A region with content is locked in a step of its own. */
static void use(const struct zf_region *region)
{
    *(volatile unsigned char *)region->base = 1;
}

static void an_empty_region_is_locked_as_its_pages_come(void **state)
{
    struct watcher watcher = {.chunk_bytes = 64 * PAGE};
    struct zf_region region = create(200 * PAGE);
    struct warmup_report report = warm_watched(&region, &watcher);
    (void)state;
    assert_proven(&report);
    assert_locked(&region, &report);
    assert_int_equal(mapping_bytes(region.base, "Locked:"), 200 * PAGE);
    assert_int_equal(watcher.chunks[WARMUP_LOCK], 0);
    zf_region_destroy(&region);
}

static void progress_is_told_after_each_chunk(void **state)
{
    struct watcher watcher = {.chunk_bytes = 64 * PAGE};
    struct zf_region region = create(200 * PAGE);
    struct warmup_report report;
    (void)state;
    use(&region);
    report = warm_watched(&region, &watcher);
    assert_proven(&report);
    assert_true(watcher.in_order);
    assert_int_equal(watcher.chunks[WARMUP_POPULATE], 4);
    assert_int_equal(watcher.chunks[WARMUP_LOCK], 4);
    assert_int_equal(watcher.chunks[WARMUP_PROVE], 4);
    assert_int_equal(watcher.last.done_bytes, 200 * PAGE);
    assert_int_equal(watcher.last.total_bytes, 200 * PAGE);
    assert_int_equal(watcher.calls, 12);
    zf_region_destroy(&region);
}

static void a_chunk_is_at_least_a_page_and_4_mib_by_default(void **state)
{
    struct watcher tiny = {.chunk_bytes = 1};
    struct watcher standard = {.chunk_bytes = 0};
    struct zf_region region = create(5 * PAGE);
    struct zf_region large = create(33 * MIB);
    (void)state;
    (void)warm_watched(&region, &tiny);
    assert_int_equal(tiny.chunks[WARMUP_POPULATE], 5);
    (void)warm_watched(&large, &standard);
    assert_int_equal(standard.chunks[WARMUP_POPULATE], 9);
    zf_region_destroy(&region);
    zf_region_destroy(&large);
}

static void a_cancelled_warmup_can_be_finished_by_the_next(void **state)
{
    (void)state;
    for (unsigned stop = 1; stop <= 12; ++stop) {
        struct watcher watcher = {.chunk_bytes = 64 * PAGE, .stop_at = stop};
        struct zf_region region = create(200 * PAGE);
        struct warmup_report report;
        use(&region);
        report = warm_watched(&region, &watcher);
        assert_int_equal(report.result, -ECANCELED);
        assert_int_equal(report.proven, 0);
        assert_int_equal(watcher.calls, stop);
        assert_int_equal(report.populate.granted_bytes, stop < 4 ? stop * 64 * PAGE : 200 * PAGE);
        /* Locked is all or nothing, and a cancelled lock is nothing. */
        assert_int_equal(report.lock.granted_bytes, stop <= 8 ? 0 : 200 * PAGE);
        assert_int_equal(mapping_has_flag(region.base, "lo"), stop > 8);

        report = warm(&region);

        assert_proven(&report);
        assert_locked(&region, &report);
        assert_int_equal(faults_of_writing(region.base, region.size_bytes), 0);
        zf_region_destroy(&region);
    }
}

static void cancelled_before_it_is_all_there_nothing_stays_locked(void **state)
{
    (void)state;
    for (unsigned stop = 1; stop <= 8; ++stop) {
        struct watcher watcher = {.chunk_bytes = 64 * PAGE, .stop_at = stop};
        struct zf_region region = create(200 * PAGE);
        struct warmup_report report = warm_watched(&region, &watcher);
        assert_int_equal(report.result, -ECANCELED);
        assert_int_equal(report.lock.granted_bytes, stop <= 4 ? 0 : 200 * PAGE);
        assert_int_equal(mapping_has_flag(region.base, "lo"), stop > 4);

        report = warm(&region);

        assert_proven(&report);
        assert_locked(&region, &report);
        zf_region_destroy(&region);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_region_is_locked_as_its_pages_come),
        cmocka_unit_test(progress_is_told_after_each_chunk),
        cmocka_unit_test(a_chunk_is_at_least_a_page_and_4_mib_by_default),
        cmocka_unit_test(a_cancelled_warmup_can_be_finished_by_the_next),
        cmocka_unit_test(cancelled_before_it_is_all_there_nothing_stays_locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
