/*
 * Kernels lack what later ones have: MADV_POPULATE_WRITE (5.14), MADV_COLLAPSE (6.1), PAGEMAP_SCAN
 * (6.7). A warmup does without, says so, and proves the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "numa/numa.h"
#include "support/child.h"
#include "support/pages.h"

#define ARENA_BYTES (32 * MIB)
#define POPULATE_WRITE 23
#define COLLAPSE 25

/* ----------------------------------------------------------------------------------- populating */

static void populate_falls_back_where_the_kernel_cannot(void **state)
{
    bool can = madvise(NULL, 0, POPULATE_WRITE) == 0;
    struct warmup_report report;
    struct arena *arena;
    (void)state;
    assert_int_equal(can, kernel_is_at_least(5, 14));
    arena = warm_arena(
        &ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .node = ARENA_NODE(NODE_MEMORY_ONLY)),
        &report);
    assert_int_equal(report.method, can ? WARMUP_METHOD_POPULATE_WRITE : WARMUP_METHOD_MLOCK);
    assert_int_equal(report.fallback_error, can ? 0 : -EOPNOTSUPP);
    assert_granted(&report.lock);
    assert_all_on_node(arena, NODE_MEMORY_ONLY);
    assert_filling_takes_no_fault(arena);
    arena_destroy(arena);
}

/* What a user without privileges gets. */
struct unprivileged {
    int dropped;
    int warmed;
    struct warmup_report report;
    struct placement placement;
    uint64_t faults;
};

static void warm_without_privileges(void *shared)
{
    struct unprivileged *user = shared;
    struct arena *arena;
    user->report = (struct warmup_report)WARMUP_REPORT_INIT;
    user->dropped = drop_privileges(0);
    user->warmed = arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES,
                                                       .node = ARENA_NODE(NODE_MEMORY_ONLY)));
    if (user->warmed != 0)
        return;
    user->warmed = arena_warmup(arena, NULL, &user->report);
    user->faults = faults_of_writing((void *)arena->begin, ARENA_BYTES);
    user->placement = placement_of((void *)arena->begin, ARENA_BYTES);
}

static void a_user_who_may_lock_nothing_is_served_by_touching(void **state)
{
    bool can = kernel_is_at_least(5, 14);
    struct unprivileged *user = shared_create(sizeof *user);
    (void)state;
    assert_int_equal(run_in_child(warm_without_privileges, user), 0);
    assert_int_equal(user->dropped, 0);
    assert_int_equal(user->warmed, 0);
    assert_int_equal(user->report.method, can ? WARMUP_METHOD_POPULATE_WRITE : WARMUP_METHOD_TOUCH);
    assert_int_equal(user->report.fallback_error, can ? 0 : -EPERM);
    assert_int_equal(user->report.proven, 1);
    assert_int_equal(user->report.lock.error, -ENOMEM);
    assert_int_equal(user->report.limit, WARMUP_LIMIT_MEMLOCK);
    assert_int_equal(user->placement.on_node[NODE_MEMORY_ONLY], ARENA_BYTES / PAGE);
    assert_int_equal(user->faults, 0);
    shared_destroy(user, sizeof *user);
}

/* -------------------------------------------------------------------------------------- proving */

/* Whether the kernel knows PAGEMAP_SCAN: with a size of 0 it answers EINVAL, else ENOTTY. */
static bool has_pagemap_scan(void)
{
    struct {
        uint64_t words[12];
    } request;
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    bool known;
    memset(&request, 0, sizeof request);
    assert_true(pagemap >= 0);
    known = ioctl(pagemap, _IOWR('f', 16, request), &request) == 0 || errno != ENOTTY;
    (void)close(pagemap);
    return known;
}

static void holes_are_found_with_and_without_pagemap_scan(void **state)
{
    size_t hole_bytes = 3 * MIB;
    struct warmup_report report;
    struct arena *arena;
    (void)state;
    assert_int_equal(has_pagemap_scan(), kernel_is_at_least(6, 7));
    arena = warm_arena(&ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .lock = ARENA_OFF,
                                      .node = ARENA_NODE(NODE_SMALL)),
                       &report);
    assert_int_equal(madvise((void *)(arena->begin + MIB), hole_bytes, MADV_DONTNEED), 0);
    assert_int_equal(placement_of((void *)arena->begin, ARENA_BYTES).missing, hole_bytes / PAGE);
    report = (struct warmup_report)WARMUP_REPORT_INIT;
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    assert_int_equal(report.proven, 1);
    assert_granted(&report.populate);
    assert_true(report.faults_minor >= hole_bytes / PAGE);
    assert_true(report.faults_minor < ARENA_BYTES / PAGE / 2);
    assert_all_on_node(arena, NODE_SMALL);
    assert_filling_takes_no_fault(arena);
    arena_destroy(arena);
}

/* ----------------------------------------------------------------------------------- collapsing */

#define THP "/sys/kernel/mm/transparent_hugepage/enabled"

/* Nobody gets huge pages by touching, until the end of the test. */
static int forbid_huge_pages(void **state)
{
    (void)state;
    return write_file(THP, "never") ? 0 : -1;
}

static int allow_huge_pages(void **state)
{
    (void)state;
    return write_file(THP, "madvise") ? 0 : -1;
}

static void small_pages_are_collapsed_where_the_kernel_can(void **state)
{
    struct arena_options options =
        ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .huge_pages = ARENA_PREFER,
                      .node = ARENA_NODE(NODE_MEMORY_ONLY));
    bool can = madvise(NULL, 0, COLLAPSE) == 0;
    struct warmup_report report;
    struct arena *arena;
    (void)state;
    assert_int_equal(can, kernel_is_at_least(6, 1));
    arena = warm_arena(&options, &report);
    assert_int_equal(report.huge_pages.asked_bytes, ARENA_BYTES);
    assert_true(report.faults_minor >= ARENA_BYTES / PAGE);
    if (can) {
        assert_granted(&report.huge_pages);
    } else {
        assert_int_equal(report.huge_pages.error, -ENOMEM);
        assert_int_equal(report.huge_pages.granted_bytes, 0);
        assert_non_null(report.huge_pages.remedy);
    }
    assert_int_equal(mapping_bytes((void *)arena->begin, "AnonHugePages:"), can ? ARENA_BYTES : 0);
    assert_all_on_node(arena, NODE_MEMORY_ONLY);
    assert_filling_takes_no_fault(arena);
    arena_destroy(arena);
}

static void required_huge_pages_fail_where_nothing_can_make_them(void **state)
{
    struct arena_options options =
        ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .huge_pages = ARENA_REQUIRE,
                      .node = ARENA_NODE(NODE_MEMORY_ONLY));
    struct arena *arena;
    (void)state;
    assert_int_equal(arena_create(&arena, &options), 0);
    assert_int_equal(arena_warmup(arena, NULL, NULL), kernel_is_at_least(6, 1) ? 0 : -ENOMEM);
    arena_destroy(arena);
}

int test_fallback(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(populate_falls_back_where_the_kernel_cannot),
        cmocka_unit_test(a_user_who_may_lock_nothing_is_served_by_touching),
        cmocka_unit_test(holes_are_found_with_and_without_pagemap_scan),
        cmocka_unit_test_setup_teardown(small_pages_are_collapsed_where_the_kernel_can,
                                        forbid_huge_pages, allow_huge_pages),
        cmocka_unit_test_setup_teardown(required_huge_pages_fail_where_nothing_can_make_them,
                                        forbid_huge_pages, allow_huge_pages),
    };
    return cmocka_run_group_tests_name("fallback", tests, NULL, NULL);
}
