/*
 * Arenas that are not fit for use: never warmed up, warmed up in vain, protected or unmapped by
 * somebody else. A look says so, and neither a look nor a repair ends the process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>

#include "arena/repairing.h"
#include "support/sanitizer.h"

static void assert_unfit(struct arena *arena, int error)
{
    for (int exactly = 0; exactly < 2; ++exactly) {
        struct warmup_report report = WARMUP_REPORT_INIT;
        assert_int_equal(arena_verify(arena, exactly ? &exact : NULL, &report), -EFAULT);
        assert_int_equal(report.populate.error, error);
        assert_non_null(report.populate.remedy);
        assert_int_equal(report.proven, 0);
    }
}

static void what_was_never_warmed_up_is_unfit_whatever_is_present(void **state)
{
    struct arena *arena;
    (void)state;
    assert_int_equal(arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES)), 0);
    memset((void *)arena->begin, 1, SIZE_BYTES);
    assert_unfit(arena, -EFAULT);
    assert_int_equal(arena_warmup(arena, NULL, NULL), 0);
    assert_clean(arena);
    arena_destroy(arena);
}

static int stop_at_proof(const struct warmup_progress *progress, void *context)
{
    (void)context;
    return progress->phase == WARMUP_PROVE;
}

static void a_warmup_in_vain_is_no_warmup(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena = create(&ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES), &report);
    (void)state;
    assert_clean(arena);
    assert_int_equal(arena_rewarm(arena, &WARMUP_OPTIONS(.progress = stop_at_proof), NULL),
                     -ECANCELED);
    assert_unfit(arena, -EFAULT);
    assert_repaired(arena);
    arena_destroy(arena);
}

static void a_protected_page_is_found_and_not_written_to(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena = create(&ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES), &report);
    void *page = (void *)(arena->begin + 5 * PAGE);
    (void)state;
    for (int protection = PROT_NONE; protection <= PROT_READ; ++protection) {
        assert_int_equal(mprotect(page, PAGE, protection), 0);
        assert_unfit(arena, -EACCES);
        assert_int_equal(arena_rewarm(arena, NULL, &report), -EACCES);
        assert_int_equal(report.populate.error, -EACCES);
        assert_non_null(report.populate.remedy);
        assert_int_equal(mprotect(page, PAGE, PROT_READ | PROT_WRITE), 0);
        assert_repaired(arena);
        assert_content(arena, arena->begin);
    }
    arena_destroy(arena);
}

static void a_hole_is_found_and_named(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena = create(&ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES), &report);
    (void)state;
    assert_int_equal(munmap((void *)(arena->begin + 5 * PAGE), PAGE), 0);
    assert_unfit(arena, -ENXIO);
    assert_int_equal(arena_rewarm(arena, NULL, &report), -ENXIO);
    assert_non_null(strstr(report.populate.remedy, "unmapped"));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_never_warmed_up_is_unfit_whatever_is_present),
        cmocka_unit_test(a_warmup_in_vain_is_no_warmup),
        cmocka_unit_test(a_protected_page_is_found_and_not_written_to),
        cmocka_unit_test(a_hole_is_found_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
