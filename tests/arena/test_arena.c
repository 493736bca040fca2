/*
 * Arenas: what they hand out, what they refuse, and that none of it faults once warm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <zerofault/zerofault.h>

#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)

static struct arena *create(size_t capacity_bytes)
{
    struct arena *arena = NULL;
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.name = "test", .capacity_bytes = capacity_bytes)), 0);
    assert_non_null(arena);
    return arena;
}

static struct arena_statistics stats_of(const struct arena *arena)
{
    struct arena_statistics stats = ARENA_STATISTICS_INIT;
    assert_int_equal(arena_stats(arena, &stats), 0);
    return stats;
}

/* ------------------------------------------------------------------------------------- creation */

static void create_refuses_bad_options(void **state)
{
    struct arena *arena = (struct arena *)1;
    struct arena_options options = {.struct_size = sizeof options};
    char long_name[ARENA_NAME_MAX + 1];
    (void)state;
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';

    assert_int_equal(arena_create(NULL, &ARENA_OPTIONS(.capacity_bytes = 1)), -EINVAL);
    assert_int_equal(arena_create(&arena, NULL), -EINVAL);
    assert_null(arena);
    assert_int_equal(arena_create(&arena, &options), -EINVAL);
    assert_int_equal(arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = SIZE_MAX)), -EINVAL);
    assert_int_equal(arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = SIZE_MAX / 8)), -ENOMEM);
    assert_int_equal(arena_create(&arena, &ARENA_OPTIONS(.name = long_name, .capacity_bytes = 1)),
                     -EINVAL);
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = 1, .lock = (enum warmup_wish)9)),
        -EINVAL);
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = 1, .fork = (enum warmup_fork)9)),
        -EINVAL);
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = 1, .node = ARENA_NODE(1000))),
        -ENODEV);
    assert_null(arena);
}

/* Options of a program that is newer than the library. */
static void create_takes_a_longer_struct_only_when_its_tail_is_zero(void **state)
{
    struct {
        struct arena_options known;
        uint64_t unknown;
    } newer = {.known = {.struct_size = sizeof newer, .capacity_bytes = PAGE}, .unknown = 0};
    struct arena *arena = NULL;
    (void)state;

    assert_int_equal(arena_create(&arena, &newer.known), 0);
    arena_destroy(arena);
    newer.unknown = 1;
    assert_int_equal(arena_create(&arena, &newer.known), -E2BIG);
    assert_null(arena);
}

static void create_rounds_the_capacity_up_to_whole_pages(void **state)
{
    struct arena *arena = create(PAGE + 1);
    (void)state;
    assert_int_equal(stats_of(arena).capacity_bytes, 2 * PAGE);
    assert_int_equal(stats_of(arena).used_bytes, 0);
    assert_int_equal(stats_of(arena).warm_bytes, 0);
    assert_int_equal(arena_free_bytes(arena), 2 * PAGE);
    assert_string_equal(arena_name(arena), "test");
    arena_destroy(arena);
    arena_destroy(NULL);
}

/* ----------------------------------------------------------------------------------- allocation */

static void alloc_aligns_and_packs(void **state)
{
    struct arena *arena = create(PAGE);
    unsigned char *first = arena_alloc(arena, 3, 1);
    unsigned char *second = arena_alloc(arena, 8, 8);
    unsigned char *third = arena_alloc(arena, 1, 64);
    (void)state;
    assert_int_equal((uintptr_t)first % PAGE, 0);
    assert_ptr_equal(second, first + 8);
    assert_ptr_equal(third, first + 64);
    assert_true(arena_owns(arena, third));
    assert_false(arena_owns(arena, third + 1));
    assert_int_equal(stats_of(arena).used_bytes, 65);
    arena_destroy(arena);
}

static void alloc_hands_out_the_last_byte_and_refuses_one_more(void **state)
{
    struct arena *arena = create(PAGE);
    unsigned char *all = arena_alloc(arena, PAGE, 1);
    (void)state;
    assert_non_null(all);
    memset(all, 0xa5, PAGE);

    assert_null(arena_alloc(arena, 1, 1));
    assert_non_null(arena_alloc(arena, 0, 1));

    assert_int_equal(stats_of(arena).refused_count, 1);
    assert_int_equal(arena_free_bytes(arena), 0);
    arena_destroy(arena);
}

static void alloc_refuses_and_counts_what_cannot_be(void **state)
{
    struct arena *arena = create(PAGE);
    volatile size_t runtime = 3; /* the checks must hold for values known only at run time too */
    const struct {
        size_t size_bytes;
        size_t alignment;
    } requests[] = {
        {PAGE + 1, 1},
        {SIZE_MAX, 1},
        {SIZE_MAX - 7, 8},
        {SIZE_MAX / 2, 8},
        {8, 0},
        {8, runtime},
        {8, 24},
        {8, SIZE_MAX},
        {1, SIZE_MAX / 2 + 1},
        {SIZE_MAX / 4, 1},
        {1, SIZE_MAX / 4 + 1},
    };
    size_t count = sizeof requests / sizeof requests[0];
    (void)state;
    (void)arena_alloc(arena, 1, 1);
    for (size_t i = 0; i < count; ++i)
        assert_null(arena_alloc(arena, requests[i].size_bytes, requests[i].alignment));
    assert_int_equal(stats_of(arena).refused_count, count);
    assert_int_equal(stats_of(arena).used_bytes, 1);
    arena_destroy(arena);
}

static void calloc_clears_old_content_and_refuses_overflow(void **state)
{
    struct arena *arena = create(PAGE);
    unsigned char *bytes = arena_alloc(arena, 256, 1);
    (void)state;
    memset(bytes, 0xff, 256);
    arena_reset(arena);

    bytes = arena_calloc(arena, 16, 16, 16);
    assert_non_null(bytes);
    for (size_t i = 0; i < 256; ++i)
        assert_int_equal(bytes[i], 0);
    assert_null(arena_calloc(arena, SIZE_MAX / 2, 3, 8));
    assert_null(arena_calloc(arena, (size_t)1 << 33, (size_t)1 << 33, 8));

    assert_int_equal(stats_of(arena).refused_count, 2);
    arena_destroy(arena);
}

static void resize_changes_the_last_allocation_in_place(void **state)
{
    struct arena *arena = create(PAGE);
    unsigned char *first = arena_alloc(arena, 16, 16);
    unsigned char *last = arena_alloc(arena, 16, 16);
    (void)state;
    assert_ptr_equal(arena_resize(arena, last, 16, 1000), last);
    assert_int_equal(stats_of(arena).used_bytes, 1016);
    assert_ptr_equal(arena_resize(arena, last, 1000, 8), last);
    assert_int_equal(stats_of(arena).used_bytes, 24);
    assert_ptr_equal(arena_resize(arena, last, 8, PAGE - 16), last);
    assert_int_equal(arena_free_bytes(arena), 0);

    assert_null(arena_resize(arena, last, PAGE - 16, PAGE));
    assert_null(arena_resize(arena, last, PAGE - 16, SIZE_MAX));
    assert_null(arena_resize(arena, first, 16, 17));
    assert_ptr_equal(arena_resize(arena, first, 16, 16), first);
    assert_ptr_equal(arena_resize(arena, first, 16, 4), first);

    assert_int_equal(stats_of(arena).refused_count, 3);
    assert_int_equal(stats_of(arena).used_bytes, PAGE);
    arena_destroy(arena);
}

static void the_peak_is_of_before_a_resize_gave_back(void **state)
{
    struct arena *arena = create(PAGE);
    void *object = arena_alloc(arena, 1000, 1);
    (void)state;
    assert_ptr_equal(arena_resize(arena, object, 1000, 10), object);
    assert_int_equal(stats_of(arena).used_bytes, 10);
    assert_int_equal(stats_of(arena).peak_bytes, 1000);
    arena_destroy(arena);
}

static void rewind_gives_back_what_came_after_the_mark(void **state)
{
    struct arena *arena = create(PAGE);
    struct arena_marker start = arena_mark(arena);
    struct arena_marker middle;
    unsigned char *second;
    (void)state;
    (void)arena_alloc(arena, 100, 1);
    middle = arena_mark(arena);
    second = arena_alloc(arena, 100, 1);

    assert_int_equal(arena_rewind(arena, middle), 0);
    assert_ptr_equal(arena_alloc(arena, 100, 1), second);
    assert_int_equal(arena_rewind(arena, start), 0);
    assert_int_equal(arena_rewind(arena, middle), -EINVAL);

    assert_int_equal(stats_of(arena).used_bytes, 0);
    assert_int_equal(stats_of(arena).peak_bytes, 200);
    arena_destroy(arena);
}

static void rewind_refuses_a_mark_of_another_arena(void **state)
{
    struct arena *arena = create(PAGE);
    struct arena *other = create(PAGE);
    (void)state;
    (void)arena_alloc(other, 8, 8);
    (void)arena_alloc(arena, 8, 8);
    assert_int_equal(arena_rewind(arena, arena_mark(other)), -EINVAL);
    assert_int_equal(stats_of(arena).used_bytes, 8);
    arena_destroy(other);
    arena_destroy(arena);
}

static void stats_refuse_bad_arguments_and_serve_older_callers(void **state)
{
    struct arena *arena = create(PAGE);
    struct arena_statistics stats = {0};
    (void)state;
    assert_int_equal(arena_stats(arena, &stats), -EINVAL);
    assert_int_equal(arena_stats(arena, NULL), -EINVAL);
    stats.struct_size = offsetof(struct arena_statistics, used_bytes);
    stats.used_bytes = 77;
    assert_int_equal(arena_stats(arena, &stats), 0);
    assert_int_equal(stats.capacity_bytes, PAGE);
    assert_int_equal(stats.used_bytes, 77);
    assert_int_equal(arena_stats(NULL, &stats), -EINVAL);
    arena_destroy(arena);
}

/* --------------------------------------------------------------------------- the promise itself */

static struct hot_section fill_section = HOT_SECTION("fill");

static long faults_of_thread(void)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

/* What one fill of an arena cost, by the guard and by the kernel's own count. */
struct fill {
    struct arena *arena;
    size_t bytes;
    uint64_t violations;
    long faults;
};

/* Allocate and write to the last byte, in pieces that cross pages. */
static void fill_once(struct fill *fill)
{
    struct arena *arena = fill->arena;
    long before;
    fill->bytes = 0;
    before = faults_of_thread();
    hot_section_begin(&fill_section);
    for (;;) {
        size_t left = arena_free_bytes(arena);
        size_t piece = left < 1000 ? left : 1000;
        unsigned char *bytes;
        if (piece == 0)
            break;
        bytes = arena_alloc(arena, piece, 1);
        for (size_t i = 0; i < piece; i += 64)
            bytes[i] = (unsigned char)i;
        bytes[piece - 1] = 1;
        fill->bytes += piece;
    }
    fill->violations = hot_section_end(&fill_section);
    fill->faults = faults_of_thread() - before;
}

static void *fill_warm(void *argument)
{
    static const struct hot_thread_options options = {.struct_size = sizeof options};
    struct arena *dry_run = NULL;
    struct fill *fill = argument;
    struct fill dry = {0};
    if (arena_create(&dry_run, &ARENA_OPTIONS(.capacity_bytes = PAGE)) != 0)
        return (void *)1;
    (void)hot_thread_attach(&options, NULL);
    dry.arena = dry_run;
    fill_once(&dry); /* warms this thread's stack and this code, not the arena under test */
    arena_destroy(dry_run);
    fill_once(fill);
    hot_thread_detach();
    return NULL;
}

static void filling_takes_no_fault_with(const struct arena_options *options)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena = NULL;
    struct fill fill;
    int error;
    need_exact_faults();
    assert_int_equal(arena_create(&arena, options), 0);
    warm_shadow((const void *)arena->begin, arena_free_bytes(arena));
    error = arena_warmup(arena, NULL, &report);
    if (error != 0 && options->huge_pages == WARMUP_REQUIRE)
        arena_destroy(arena);
    need("transparent huge pages", error == 0 || options->huge_pages != WARMUP_REQUIRE,
         "no transparent huge pages to be had: %s", strerror(-error));
    (void)warmup_report_print(&report, stdout);
    assert_int_equal(error, 0);
    assert_int_equal(report.proof_faults, 0);
    assert_true(report.proven);
    assert_int_equal(stats_of(arena).warm_bytes, stats_of(arena).capacity_bytes);

    for (int round = 0; round < 4; ++round) {
        pthread_t thread;
        void *failed = NULL;
        fill = (struct fill){.arena = arena};
        if (round < 3) {
            failed = fill_warm(&fill);
        } else {
            assert_int_equal(pthread_create(&thread, NULL, fill_warm, &fill), 0);
            assert_int_equal(pthread_join(thread, &failed), 0);
        }
        assert_null(failed);
        assert_int_equal(fill.bytes, stats_of(arena).capacity_bytes);
        assert_int_equal(fill.violations, 0);
        assert_int_equal(fill.faults, 0);
        arena_reset(arena);
    }
    arena_destroy(arena);
}

static void filling_a_warm_arena_takes_no_fault_with_small_pages(void **state)
{
    (void)state;
    filling_takes_no_fault_with(&ARENA_OPTIONS(.name = "small", .capacity_bytes = 24 * MIB + 5));
}

static void filling_a_warm_arena_takes_no_fault_with_huge_pages(void **state)
{
    (void)state;
    filling_takes_no_fault_with(&ARENA_OPTIONS(.name = "huge", .capacity_bytes = 24 * MIB + 5,
                                               .huge_pages = ARENA_REQUIRE));
}

static void filling_a_warm_arena_takes_no_fault_without_lock(void **state)
{
    (void)state;
    filling_takes_no_fault_with(
        &ARENA_OPTIONS(.name = "unlocked", .capacity_bytes = 8 * MIB, .lock = ARENA_OFF));
}

static void filling_a_cold_arena_takes_a_fault_per_page(void **state)
{
    struct arena *arena = create(64 * PAGE);
    struct fill fill = {.arena = arena};
    (void)state;
    need_exact_faults();
    warm_shadow((const void *)arena->begin, arena_free_bytes(arena));
    assert_null(fill_warm(&fill));
    assert_int_equal(fill.violations, 64);
    assert_int_equal(fill.faults, 64);
    arena_destroy(arena);
}

static void warmup_keeps_content_and_may_be_repeated(void **state)
{
    struct arena *arena = create(MIB);
    unsigned char *bytes = arena_alloc(arena, 3 * PAGE, 1);
    (void)state;
    for (size_t i = 0; i < 3 * PAGE; ++i)
        bytes[i] = (unsigned char)(i * 7);
    assert_int_equal(arena_warmup(arena, NULL, NULL), 0);
    assert_int_equal(arena_warmup(arena, NULL, NULL), 0);
    for (size_t i = 0; i < 3 * PAGE; ++i)
        assert_int_equal(bytes[i], (unsigned char)(i * 7));
    arena_destroy(arena);
}

static void warmup_refuses_bad_arguments(void **state)
{
    struct arena *arena = create(PAGE);
    struct warmup_report report = {0};
    struct warmup_options options = {0};
    (void)state;
    assert_int_equal(arena_warmup(NULL, NULL, NULL), -EINVAL);
    assert_int_equal(arena_warmup(arena, NULL, &report), -EINVAL);
    assert_int_equal(arena_warmup(arena, &options, NULL), -EINVAL);
    assert_int_equal(stats_of(arena).warm_bytes, 0);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_refuses_bad_options),
        cmocka_unit_test(create_takes_a_longer_struct_only_when_its_tail_is_zero),
        cmocka_unit_test(create_rounds_the_capacity_up_to_whole_pages),
        cmocka_unit_test(alloc_aligns_and_packs),
        cmocka_unit_test(alloc_hands_out_the_last_byte_and_refuses_one_more),
        cmocka_unit_test(alloc_refuses_and_counts_what_cannot_be),
        cmocka_unit_test(calloc_clears_old_content_and_refuses_overflow),
        cmocka_unit_test(resize_changes_the_last_allocation_in_place),
        cmocka_unit_test(the_peak_is_of_before_a_resize_gave_back),
        cmocka_unit_test(rewind_gives_back_what_came_after_the_mark),
        cmocka_unit_test(rewind_refuses_a_mark_of_another_arena),
        cmocka_unit_test(stats_refuse_bad_arguments_and_serve_older_callers),
        cmocka_unit_test(filling_a_warm_arena_takes_no_fault_with_small_pages),
        cmocka_unit_test(filling_a_warm_arena_takes_no_fault_with_huge_pages),
        cmocka_unit_test(filling_a_warm_arena_takes_no_fault_without_lock),
        cmocka_unit_test(filling_a_cold_arena_takes_a_fault_per_page),
        cmocka_unit_test(warmup_keeps_content_and_may_be_repeated),
        cmocka_unit_test(warmup_refuses_bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
