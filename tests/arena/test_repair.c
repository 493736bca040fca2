/*
 * Every way to undo a warmup that this kernel offers, done for real behind the arena's back: it is
 * seen, explained and repaired, and the content survives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <zerofault/arena.h>
#include <zerofault/hot.h>

#include "arena/repairing.h"
#include "machine/nodes.h"
#include "os/os.h"
#include "support/needs.h"
#include "support/pages.h"
#include "support/sanitizer.h"

#define DONTNEED_LOCKED 24 /* Linux 5.18 */
#define ADVICE_COLLAPSE 25 /* Linux 6.1 */

/* ----------------------------------------------------------------------------------------- calls
 * */

static void a_warm_arena_is_clean_and_a_cold_one_is_not(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena;
    (void)state;
    assert_int_equal(arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES)), 0);
    assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
    assert_drift(&report, &report.populate);
    assert_int_equal(report.populate.granted_bytes, 0);
    assert_int_equal(arena_warmup(arena, NULL, NULL), 0);
    assert_clean(arena);
    assert_int_equal(arena_verify(arena, NULL, NULL), 0);
    arena_destroy(arena);
}

static void calls_that_cannot_be_meant_are_refused(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct warmup_report unsized = {.struct_size = 0};
    struct arena_verify_options unknown = ARENA_VERIFY_OPTIONS();
    struct arena *arena = create(&ARENA_OPTIONS(.capacity_bytes = PAGE), &report);
    (void)state;
    unknown.mode = (enum arena_verify_mode)7;
    assert_int_equal(arena_verify(NULL, NULL, NULL), -EINVAL);
    assert_int_equal(arena_verify(arena, &unknown, NULL), -EINVAL);
    assert_int_equal(arena_verify(arena, NULL, &unsized), -EINVAL);
    assert_int_equal(arena_rewarm(NULL, NULL, NULL), -EINVAL);
    assert_int_equal(arena_move(NULL, 0, NULL), -EINVAL);
    assert_int_equal(arena_move(arena, -1, NULL), -EINVAL);
    assert_int_equal(arena_move(arena, 0, &unsized), -EINVAL);
    assert_int_equal(arena_move(arena, 1 << 20, NULL), -ENODEV);
    arena_destroy(arena);
}

static void nothing_is_verified_inside_a_hot_section(void **state)
{
    static struct hot_section section = HOT_SECTION("verify", .policy = HOT_COUNT);
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena = create(&ARENA_OPTIONS(.capacity_bytes = PAGE), &report);
    (void)state;
    hot_section_begin(&section);
    assert_int_equal(arena_verify(arena, NULL, NULL), -EBUSY);
    assert_int_equal(arena_rewarm(arena, NULL, NULL), -EBUSY);
    assert_int_equal(arena_move(arena, 0, NULL), -EBUSY);
    (void)hot_section_end(&section);
    arena_destroy(arena);
}

/* ----------------------------------------------------------------------------------------- drift
 * */

/* Before Linux 5.18 a locked page must be unlocked for it. */
static void give_away(void *base, size_t size_bytes)
{
    if (madvise(base, size_bytes, DONTNEED_LOCKED) == 0)
        return;
    assert_int_equal(syscall(SYS_munlock, base, size_bytes), 0);
    assert_int_equal(madvise(base, size_bytes, MADV_DONTNEED), 0);
}

static void pages_given_away_behind_its_back_are_missed_and_had_again(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena =
        create(&ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES, .bind = ARENA_PREFER), &report);
    (void)state;
    give_away((void *)arena->begin, 3 * PAGE);
    assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
    assert_drift(&report, &report.populate);
    assert_int_equal(report.populate.granted_bytes, SIZE_BYTES - 3 * PAGE);
    /* A look does not mend. */
    assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
    assert_repaired(arena);
    assert_content(arena, arena->begin + 3 * PAGE);
    arena_destroy(arena);
}

static void an_unlocked_page_is_found_and_locked_again(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena = create(&ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES), &report);
    (void)state;
    need("locking", report.lock.error == 0, "mlock is refused");
    assert_int_equal(syscall(SYS_munlock, arena->begin + PAGE, PAGE), 0);
    assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
    assert_drift(&report, &report.lock);
    assert_int_equal(report.lock.granted_bytes, SIZE_BYTES - PAGE);
    assert_int_equal(report.populate.error, 0);
    assert_repaired(arena);
    assert_content(arena, arena->begin);
    arena_destroy(arena);
}

static struct arena *create_huge(struct warmup_report *report)
{
    struct arena *arena;
    assert_int_equal(arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES,
                                                         .huge_pages = ARENA_REQUIRE)),
                     0);
    int rc = arena_warmup(arena, NULL, report);
    need("huge pages", rc == 0, "no transparent huge pages: %s", strerror(-rc));
    for (uintptr_t page = arena->begin; page < arena->end; page += PAGE)
        *(volatile unsigned char *)page = (unsigned char)(page / PAGE);
    return arena;
}

/* Before Linux 6.1 nothing can make a huge page of pages that are in use, and that is told. */
static void assert_huge_again_or_told(struct arena *arena)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    if (madvise(NULL, 0, ADVICE_COLLAPSE) == 0) {
        assert_repaired(arena);
        return;
    }
    assert_int_equal(arena_rewarm(arena, NULL, &report), -ENOMEM);
    assert_int_equal(report.huge_pages.error, -ENOMEM);
    assert_non_null(report.huge_pages.remedy);
    assert_int_equal(report.populate.granted_bytes, SIZE_BYTES);
}

static void a_huge_page_split_by_a_protection_is_found_and_made_again(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena = create_huge(&report);
    void *page = (void *)(arena->begin + 5 * PAGE);
    (void)state;
    assert_int_equal(mprotect(page, PAGE, PROT_READ), 0);
    assert_int_equal(mprotect(page, PAGE, PROT_READ | PROT_WRITE), 0);
    assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
    assert_drift(&report, &report.huge_pages);
    assert_int_equal(report.huge_pages.granted_bytes, SIZE_BYTES - report.huge_page_bytes);
    assert_huge_again_or_told(arena);
    assert_content(arena, arena->begin);
    arena_destroy(arena);
}

static void a_hole_in_a_huge_page_is_both_a_split_and_a_loss(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena = create_huge(&report);
    (void)state;
    give_away((void *)arena->begin, PAGE);
    assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
    assert_drift(&report, &report.huge_pages);
    assert_drift(&report, &report.populate);
    assert_huge_again_or_told(arena);
    assert_content(arena, arena->begin + PAGE);
    arena_destroy(arena);
}

/* ------------------------------------------------------------------------------------------- KSM
 * */

static bool write_setting(const char *name, const char *value)
{
    char path[96];
    FILE *file;
    bool written;
    (void)snprintf(path, sizeof path, "/sys/kernel/mm/ksm/%s", name);
    file = fopen(path, "w");
    if (file == NULL)
        return false;
    written = fputs(value, file) >= 0;
    return fclose(file) == 0 && written;
}

/* Of this process where it is told (Linux 5.19), else of all. */
static long merged_pages(void)
{
    char text[32];
    if (zf_os_read_file("/proc/self/ksm_merging_pages", text, sizeof text) > 0)
        return strtol(text, NULL, 10);
    if (zf_os_read_file("/sys/kernel/mm/ksm/pages_sharing", text, sizeof text) <= 0)
        return 0;
    return strtol(text, NULL, 10);
}

static void pages_that_were_merged_are_found_by_the_exact_look(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena;
    char run[8] = "";
    int rounds = 0;
    (void)state;
    need_exact_faults();
    need("ksm",
         zf_os_read_file("/sys/kernel/mm/ksm/run", run, sizeof run) > 0 && run[0] == '0' &&
             access("/sys/kernel/mm/ksm/run", W_OK) == 0,
         "KSM is not there, not ours, or in use");
    arena = create(&ARENA_OPTIONS(.capacity_bytes = MIB), &report);
    memset((void *)arena->begin, 0x5a, MIB);
    assert_int_equal(madvise((void *)arena->begin, MIB, MADV_MERGEABLE), 0);
    assert_true(write_setting("sleep_millisecs", "0") && write_setting("pages_to_scan", "4096") &&
                write_setting("run", "1"));
    /* Bounded by rounds, each as long as the scanner takes to get its turn. */
    while (merged_pages() < 128 && ++rounds < 3000)
        (void)usleep(1000);
    assert_true(write_setting("run", "0"));
    assert_true(write_setting("sleep_millisecs", "20") && write_setting("pages_to_scan", "100"));
    need("merging", rounds < 3000, "KSM merged nothing in 3000 rounds");
    assert_int_equal(arena_verify(arena, &exact, &report), -EFAULT);
    assert_drift(&report, &report.populate);
    assert_true(report.proof_faults >= 100);
    assert_repaired(arena);
    arena_destroy(arena);
}

/* ------------------------------------------------------------------------------ soft-dirty marks
 * */

/* Begin to track writes of this process, as checkpointing does. Kernels without the marks take the
 * command and do nothing. */
static bool track_writes(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    bool written = file != NULL && fputs("4", file) >= 0;
    return file != NULL && fclose(file) == 0 && written;
}

static void pages_whose_writes_are_tracked_are_found_by_the_exact_look(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena =
        create(&ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES, .huge_pages = ARENA_OFF), &report);
    bool marks;
    (void)state;
    need_exact_faults();
    need("clear_refs", track_writes(), "writes cannot be tracked here");
    marks = faults_of_writing((void *)arena->begin, SIZE_BYTES) != 0;
    need("soft-dirty", marks, "this kernel has no soft-dirty marks");
    assert_true(track_writes());
    assert_int_equal(arena_verify(arena, NULL, &report), 0);
    assert_int_equal(arena_verify(arena, &exact, &report), -EFAULT);
    assert_drift(&report, &report.populate);
    assert_true(report.proof_faults >= SIZE_BYTES / PAGE);
    assert_repaired(arena);
    assert_content(arena, arena->begin);
    arena_destroy(arena);
}

/* ------------------------------------------------------------------------------------ migration */

static void moved_pages_are_found_and_brought_home(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct zf_node_set usable;
    struct arena *arena;
    void *pages[64];
    int nodes[64], status[64], home, away;
    (void)state;
    need("nodes", zf_nodes_usable("", &usable) == 0 && zf_node_set_count(&usable) >= 2,
         "one NUMA node alone");
    home = zf_node_set_next(&usable, 0);
    away = zf_node_set_next(&usable, home + 1);
    for (int required = 0; required < 2; ++required) {
        arena = create(&ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES, .node = ARENA_NODE(home),
                                      .bind = required ? ARENA_REQUIRE : ARENA_PREFER),
                       &report);
        for (size_t i = 0; i < 64; ++i) {
            pages[i] = (void *)(arena->begin + i * PAGE);
            nodes[i] = away;
        }
        assert_int_equal(syscall(SYS_move_pages, 0, 64ul, pages, nodes, status, 2), 0);
        assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
        assert_drift(&report, &report.bind);
        assert_int_equal(report.misplaced_bytes, 64 * PAGE);
        assert_int_equal(report.bind.granted_bytes, SIZE_BYTES - 64 * PAGE);
        assert_repaired(arena);
        assert_content(arena, arena->begin);
        arena_destroy(arena);
    }
}

static void an_arena_moves_to_each_node_and_takes_its_content_along(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct zf_node_set usable;
    struct arena *arena;
    (void)state;
    need("nodes told", zf_nodes_usable("", &usable) == 0, "the kernel tells no nodes");
    for (int huge = 0; huge < 2; ++huge) {
        arena = create(&ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES,
                                      .huge_pages = huge ? ARENA_PREFER : ARENA_OFF),
                       &report);
        need("policies", report.bind.error != -EPERM, "mbind is refused here");
        for (int node = zf_node_set_next(&usable, 0); node >= 0;
             node = zf_node_set_next(&usable, node + 1)) {
            int rc = arena_move(arena, node, &report);
            assert_int_equal(rc, 0);
            assert_int_equal(report.home_node, node);
            assert_int_equal(report.nodes_count, 1);
            assert_int_equal(report.nodes[0].node, node);
            assert_int_equal(report.nodes[0].resident_bytes, SIZE_BYTES);
            assert_content(arena, arena->begin);
            assert_clean(arena);
            assert_int_equal(faults_of_writing((void *)arena->begin, SIZE_BYTES), 0);
        }
        assert_int_equal(arena_move(arena, 900, &report), -ENODEV);
        assert_clean(arena);
        arena_destroy(arena);
    }
}

static void an_arena_that_does_not_fit_elsewhere_stays_at_home(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct zf_node_set usable;
    struct arena *arena;
    size_t free_bytes;
    int home, small;
    (void)state;
    need("nodes", zf_nodes_usable("", &usable) == 0 && zf_node_set_count(&usable) >= 2,
         "one NUMA node alone");
    small = home = zf_node_set_next(&usable, 0);
    for (int node = home; node >= 0; node = zf_node_set_next(&usable, node + 1))
        small = node;
    free_bytes = zf_node_free_bytes("", small);
    arena = create(&ARENA_OPTIONS(.capacity_bytes = free_bytes + 32 * MIB, .node = ARENA_NODE(home),
                                  .bind = ARENA_REQUIRE),
                   &report);
    assert_int_equal(arena_move(arena, small, &report), -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_NODE);
    assert_int_equal(report.bind.error, -ENOMEM);
    assert_clean(arena);
    assert_int_equal(arena_verify(arena, NULL, &report), 0);
    assert_int_equal(report.home_node, home);
    assert_int_equal(report.misplaced_bytes, 0);
    assert_content(arena, arena->begin);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_arena_is_clean_and_a_cold_one_is_not),
        cmocka_unit_test(calls_that_cannot_be_meant_are_refused),
        cmocka_unit_test(nothing_is_verified_inside_a_hot_section),
        cmocka_unit_test(pages_given_away_behind_its_back_are_missed_and_had_again),
        cmocka_unit_test(an_unlocked_page_is_found_and_locked_again),
        cmocka_unit_test(a_huge_page_split_by_a_protection_is_found_and_made_again),
        cmocka_unit_test(a_hole_in_a_huge_page_is_both_a_split_and_a_loss),
        cmocka_unit_test(pages_that_were_merged_are_found_by_the_exact_look),
        cmocka_unit_test(pages_whose_writes_are_tracked_are_found_by_the_exact_look),
        cmocka_unit_test(moved_pages_are_found_and_brought_home),
        cmocka_unit_test(an_arena_moves_to_each_node_and_takes_its_content_along),
        cmocka_unit_test(an_arena_that_does_not_fit_elsewhere_stays_at_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
