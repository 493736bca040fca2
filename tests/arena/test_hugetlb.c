/*
 * Arenas of reserved huge pages on the real kernel, with pages that the test adds to the pool and
 * takes away again. In a guest with several nodes the same runs there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "support/child.h"
#include "support/needs.h"
#include "support/pages.h"
#include "support/pool.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define PAGE_2M (2 * MIB)
#define PAGE_1G (1024 * MIB)
#define PAGES ((size_t)4)
#define ARENA_BYTES (PAGES * PAGE_2M)
#define DONTNEED_LOCKED 24

static struct arena *arena;
static struct warmup_report report;

static int give_back(void **state)
{
    (void)state;
    arena_destroy(arena);
    arena = NULL;
    return pool_end() ? 0 : -1;
}

/* Arenas here are on node 0, and so are the pages; a kernel without nodes has one pool. */
static int pool_node(void)
{
    return pool_count(0, PAGE_2M, "nr_hugepages") == SIZE_MAX ? POOL_OF_MACHINE : 0;
}

static int create_and_warm(struct arena_options options)
{
    int rc;
    if (pool_node() == 0)
        options.node = ARENA_NODE(0);
    if (options.capacity_bytes == 0)
        options.capacity_bytes = ARENA_BYTES;
    report = (struct warmup_report)WARMUP_REPORT_INIT;
    rc = arena_create(&arena, &options);
    return rc != 0 ? rc : arena_warmup(arena, NULL, &report);
}

/* A cold arena of 2 MiB pages. */
static void create(void)
{
    struct arena_options options =
        ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .hugetlb_2m = ARENA_REQUIRE);
    if (pool_node() == 0)
        options.node = ARENA_NODE(0);
    report = (struct warmup_report)WARMUP_REPORT_INIT;
    assert_int_equal(arena_create(&arena, &options), 0);
}

static size_t free_2m(void)
{
    return pool_count(pool_node(), PAGE_2M, "free_hugepages");
}

static size_t total_2m(void)
{
    return pool_count(pool_node(), PAGE_2M, "nr_hugepages");
}

static void assert_granted(const struct warmup_item *item)
{
    assert_int_equal(item->error, 0);
    assert_null(item->remedy);
    assert_true(item->asked_bytes != 0);
    assert_int_equal(item->granted_bytes, item->asked_bytes);
}

static void assert_refused(const struct warmup_item *item, int error)
{
    assert_int_equal(item->error, error);
    assert_non_null(item->remedy);
    assert_int_equal(item->granted_bytes, 0);
}

/* All of the arena is mapped by pages of one size, and writing to it faults nowhere. */
static void assert_warm_in(size_t page_bytes)
{
    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 1);
    assert_int_equal(report.sizes_count, 1);
    assert_int_equal(report.sizes[0].page_bytes, page_bytes);
    assert_int_equal(report.sizes[0].resident_bytes, report.size_bytes);
    assert_int_equal(
        mapping_bytes((void *)arena->begin, "KernelPageSize:"),
        page_bytes == PAGE_1G || mapping_has_flag((void *)arena->begin, "ht") ? page_bytes : PAGE);
    warm_shadow((void *)arena->begin, arena->end - arena->begin);
    assert_int_equal(faults_of_writing((void *)arena->begin, arena->end - arena->begin), 0);
}

/* -------------------------------------------------------------------------------------- granted */

static void an_arena_of_2_mib_pages_is_warm_and_proven(void **state)
{
    (void)state;
    pool_begin(pool_node(), PAGE_2M, PAGES);
    assert_int_equal(create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_REQUIRE)), 0);
    assert_granted(&report.hugetlb_2m.item);
    assert_granted(&report.populate);
    assert_granted(&report.lock);
    assert_granted(&report.freeze);
    assert_granted(&report.fork);
    assert_int_equal(report.hugetlb_2m.needed_count, PAGES);
    assert_int_equal(report.hugetlb_2m.available_count, PAGES);
    assert_int_equal(report.hugetlb_1g.item.asked, WARMUP_OFF);
    assert_true(mapping_has_flag((void *)arena->begin, "ht"));
    assert_true(mapping_has_flag((void *)arena->begin, "dc"));
    assert_int_equal(free_2m(), 0);
    assert_warm_in(PAGE_2M);
    arena_destroy(arena);
    arena = NULL;
    assert_int_equal(free_2m(), PAGES);
}

static void an_arena_of_1_gib_pages_is_warm_and_proven(void **state)
{
    (void)state;
    pool_begin(pool_node(), PAGE_1G, 1);
    assert_int_equal(create_and_warm(ARENA_OPTIONS(.hugetlb_1g = ARENA_REQUIRE)), 0);
    assert_int_equal(report.size_bytes, PAGE_1G);
    assert_granted(&report.hugetlb_1g.item);
    assert_int_equal(arena->begin % PAGE_1G, 0);
    assert_warm_in(PAGE_1G);
}

/* A hot section that uses all of the arena, with both sources of faults. */
static void a_hot_section_in_reserved_pages_takes_no_fault(void **state)
{
    static struct hot_section section = HOT_SECTION("fill");
    unsigned char *bytes;
    uint64_t violations;
    (void)state;
    need_exact_faults();
    pool_begin(pool_node(), PAGE_2M, PAGES);
    assert_int_equal(create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_REQUIRE)), 0);
    warm_shadow((void *)arena->begin, ARENA_BYTES);
    hot_section_begin(&section);
    bytes = arena_alloc(arena, ARENA_BYTES, 64);
    for (size_t offset = 0; bytes != NULL && offset < ARENA_BYTES; offset += 64)
        bytes[offset] = 1;
    violations = (uint64_t)hot_section_end(&section);
    assert_non_null(bytes);
    assert_int_equal(violations, 0);
}

static void content_from_before_the_first_warmup_is_kept(void **state)
{
    unsigned char *first, *last;
    (void)state;
    pool_begin(pool_node(), PAGE_2M, PAGES);
    create();
    first = arena_alloc(arena, 1, 1);
    *first = 7;
    last = arena_alloc(arena, ARENA_BYTES - 1, 1);
    last[ARENA_BYTES - 2] = 8;
    report = (struct warmup_report)WARMUP_REPORT_INIT;
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    assert_granted(&report.hugetlb_2m.item);
    assert_int_equal(*first, 7);
    assert_int_equal(last[0], 0);
    assert_int_equal(last[ARENA_BYTES - 2], 8);
    /* Again, in use: nothing is replaced. */
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    assert_int_equal(*first, 7);
    assert_int_equal(report.faults_minor < PAGES + 64, 1);
    assert_granted(&report.hugetlb_2m.item);
}

static void every_call_on_an_arena_works_in_reserved_pages(void **state)
{
    struct arena_statistics stats = ARENA_STATISTICS_INIT;
    struct arena_marker mark;
    unsigned char *block;
    (void)state;
    pool_begin(pool_node(), PAGE_2M, PAGES);
    assert_int_equal(create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_REQUIRE)), 0);
    mark = arena_mark(arena);
    block = arena_alloc(arena, 100, 8);
    memset(block, 5, 100);
    assert_true(arena_resize(arena, block, 100, 3 * MIB));
    assert_int_equal(block[99], 5);
    arena_rewind(arena, mark);
    block = arena_calloc(arena, 1, 5 * MIB, 4096);
    assert_int_equal(block[5 * MIB - 1], 0);
    arena_reset(arena);
    assert_null(arena_alloc(arena, ARENA_BYTES + 1, 1));
    assert_int_equal(arena_stats(arena, &stats), 0);
    assert_int_equal(stats.warm_bytes, ARENA_BYTES);
    assert_int_equal(free_2m(), 0);
    assert_warm_in(PAGE_2M);
}

/* -------------------------------------------------------------------------------------- refused */

static void a_pool_that_is_too_small_is_passed_over_with_its_numbers(void **state)
{
    (void)state;
    pool_begin(pool_node(), PAGE_2M, PAGES - 1);
    assert_int_equal(create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_PREFER)), 0);
    assert_refused(&report.hugetlb_2m.item, -ENOMEM);
    assert_int_equal(report.hugetlb_2m.limit, WARMUP_LIMIT_POOL);
    assert_int_equal(report.hugetlb_2m.needed_count, PAGES);
    assert_int_equal(report.hugetlb_2m.available_count, PAGES - 1);
    assert_int_equal(report.huge_pages.asked, WARMUP_PREFER);
    assert_int_equal(report.proven, 1);
    assert_int_equal(free_2m(), PAGES - 1);
    warm_shadow((void *)arena->begin, ARENA_BYTES);
    assert_int_equal(faults_of_writing((void *)arena->begin, ARENA_BYTES), 0);
    /* It stays so, and says so. */
    assert_true(pool_set(PAGES));
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    assert_refused(&report.hugetlb_2m.item, -ENOMEM);
    assert_int_equal(free_2m(), PAGES);
}

static void a_pool_that_is_required_and_too_small_fails_before_the_first_page(void **state)
{
    unsigned char *byte;
    (void)state;
    pool_begin(pool_node(), PAGE_2M, PAGES - 1);
    assert_int_equal(create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_REQUIRE)), -ENOMEM);
    assert_refused(&report.hugetlb_2m.item, -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_POOL);
    assert_int_equal(report.limit_needed_bytes, ARENA_BYTES);
    assert_int_equal(report.limit_free_bytes, ARENA_BYTES - PAGE_2M);
    assert_int_equal(report.populate.granted_bytes, 0);
    assert_int_equal(free_2m(), PAGES - 1);
    /* Cold, and of use all the same. */
    byte = arena_alloc(arena, 1, 1);
    *byte = 9;
    assert_true(pool_set(PAGES));
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    assert_int_equal(*byte, 9);
    assert_warm_in(PAGE_2M);
}

/* 1 GiB, 2 MiB, transparent, small: each falls to the next. */
static void each_size_falls_to_the_next_one(void **state)
{
    (void)state;
    pool_begin(pool_node(), PAGE_2M, PAGE_1G / PAGE_2M);
    need("no 1 GiB pages", pool_count(pool_node(), PAGE_1G, "free_hugepages") == 0,
         "somebody has reserved 1 GiB pages");
    assert_int_equal(
        create_and_warm(ARENA_OPTIONS(.capacity_bytes = PAGE_1G, .hugetlb_1g = ARENA_PREFER)), 0);
    assert_refused(&report.hugetlb_1g.item, -ENOMEM);
    assert_granted(&report.hugetlb_2m.item);
    assert_warm_in(PAGE_2M);
    arena_destroy(arena);
    assert_true(pool_set(0));
    assert_int_equal(create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_PREFER)), 0);
    assert_refused(&report.hugetlb_2m.item, -ENOMEM);
    assert_granted(&report.huge_pages);
    assert_warm_in(PAGE_2M);
    assert_false(mapping_has_flag((void *)arena->begin, "ht"));
    arena_destroy(arena);
    assert_int_equal(
        create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_PREFER, .huge_pages = ARENA_OFF)), 0);
    assert_refused(&report.hugetlb_2m.item, -ENOMEM);
    assert_int_equal(report.huge_pages.asked, WARMUP_OFF);
    assert_warm_in(PAGE);
}

/* Does the audit of the same plan say that reserved pages alone will do? Transparent ones make up
 * for a pool that is too small: it works, by other pages. */
static bool audit_says_pooled(size_t size_bytes)
{
    const struct machine_check *check;
    struct machine_audit *audit;
    bool pooled = false;
    assert_int_equal(
        machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.plan_bytes = size_bytes,
                                                            .plan_huge_bytes = PAGE_2M,
                                                            .plan_node = MACHINE_NODE(0))),
        0);
    for (size_t i = 0; (check = machine_audit_check(audit, i)) != NULL; ++i)
        if (strcmp(check->name, "plan_huge_pages") == 0)
            pooled = strstr(check->value, "reserved") == NULL;
    machine_audit_destroy(audit);
    return pooled;
}

static void the_audit_agrees_with_the_warmup(void **state)
{
    (void)state;
    pool_begin(pool_node(), PAGE_2M, PAGES);
    for (size_t pages = 1; pages <= 2 * PAGES; ++pages) {
        bool pooled = audit_says_pooled(pages * PAGE_2M);
        int rc = create_and_warm(
            ARENA_OPTIONS(.capacity_bytes = pages * PAGE_2M, .hugetlb_2m = ARENA_REQUIRE));
        arena_destroy(arena);
        arena = NULL;
        assert_int_equal(pooled, rc == 0);
    }
}

/* --------------------------------------------------------------------------------------- raised */

static void a_pool_is_raised_for_an_arena_and_lowered_with_it(void **state)
{
    (void)state;
    pool_begin(pool_node(), PAGE_2M, 1);
    assert_int_equal(
        create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_REQUIRE, .raise_pools = true)), 0);
    assert_int_equal(report.hugetlb_2m.raised_count, PAGES - 1);
    assert_int_equal(report.hugetlb_2m.available_count, 1);
    assert_int_equal(total_2m(), PAGES);
    assert_warm_in(PAGE_2M);
    arena_destroy(arena);
    arena = NULL;
    assert_int_equal(total_2m(), 1);
    assert_int_equal(free_2m(), 1);
}

/* ------------------------------------------------------------------------------- verify, repair */

static void pages_that_were_given_back_behind_its_back_are_found_and_repaired(void **state)
{
    struct warmup_report look = WARMUP_REPORT_INIT;
    (void)state;
    pool_begin(pool_node(), PAGE_2M, PAGES);
    assert_int_equal(create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_REQUIRE)), 0);
    assert_int_equal(arena_verify(arena, NULL, &look), 0);
    assert_granted(&look.hugetlb_2m.item);
    if (madvise((void *)arena->begin, PAGE_2M, DONTNEED_LOCKED) != 0) {
        /* Before Linux 5.18 nobody can take such a page away. */
        assert_int_equal(errno, EINVAL);
        return;
    }
    assert_int_equal(arena_verify(arena, NULL, &look), -EFAULT);
    assert_int_equal(look.hugetlb_2m.item.error, -EFAULT);
    assert_int_equal(look.hugetlb_2m.item.granted_bytes, ARENA_BYTES - PAGE_2M);
    assert_int_equal(look.populate.error, -EFAULT);
    assert_int_equal(arena_rewarm(arena, NULL, &report), 0);
    assert_int_equal(arena_verify(arena, NULL, &look), 0);
    assert_warm_in(PAGE_2M);
}

static void do_nothing(void *context)
{
    (void)context;
}

/* The arena's own head is not in the child either. */
struct question {
    const unsigned char *address;
    unsigned char answer;
};

static void look_at_byte(void *shared)
{
    struct question *question = shared;
    question->answer = is_mapped(question->address) ? *question->address : 0xff;
}

/* What a child finds at the arena's first byte, which holds 7: 0xff for nothing. */
static unsigned char child_finds(void)
{
    struct question *shared = shared_create(sizeof *shared);
    unsigned char found;
    *(unsigned char *)arena->begin = 7;
    shared->address = (const unsigned char *)arena->begin;
    assert_int_equal(run_in_child(look_at_byte, shared), 0);
    found = shared->answer;
    shared_destroy(shared, sizeof *shared);
    return found;
}

static void a_child_has_none_of_the_pages_unless_it_inherits(void **state)
{
    (void)state;
    pool_begin(pool_node(), PAGE_2M, PAGES);
    assert_int_equal(create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_REQUIRE)), 0);
    assert_int_equal(child_finds(), 0xff);
    assert_warm_in(PAGE_2M);
    arena_destroy(arena);
    /* Wiping is refused, and told of: the child has nothing. */
    assert_int_equal(
        create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_REQUIRE, .fork = WARMUP_FORK_WIPE)), 0);
    assert_refused(&report.fork, -EOPNOTSUPP);
    assert_int_equal(child_finds(), 0xff);
    assert_warm_in(PAGE_2M);
    /* So it shares nothing, and its fork is no drift. */
    assert_int_equal(arena_verify(arena, NULL, &report), 0);
    assert_int_equal(report.forks, 0);
    assert_int_equal(report.populate.error, 0);
}

static void an_inherited_arena_is_repaired_after_a_fork_with_no_page_to_spare(void **state)
{
    struct warmup_report look = WARMUP_REPORT_INIT;
    int rc;
    (void)state;
    need_exact_faults();
    pool_begin(pool_node(), PAGE_2M, PAGES);
    rc = create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_REQUIRE, .fork = WARMUP_FORK_INHERIT));
    if (rc == -EOPNOTSUPP) {
        /* Before Linux 5.16. */
        assert_refused(&report.hugetlb_2m.item, -EOPNOTSUPP);
        return;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(child_finds(), 7);
    assert_int_equal(run_in_child(do_nothing, NULL), 0);
    assert_int_equal(arena_verify(arena, &ARENA_VERIFY_OPTIONS(.mode = ARENA_VERIFY_EXACT), &look),
                     -EFAULT);
    assert_true(look.proof_faults > 0);
    assert_int_equal(arena_rewarm(arena, NULL, &report), 0);
    assert_int_equal(*(unsigned char *)arena->begin, 7);
    assert_warm_in(PAGE_2M);
}

/* What a child lives to tell that warms an inherited arena up, and then destroys it. */
struct heir {
    struct arena *arena;
    int verified, rewarmed;
};

static void rewarm_and_destroy(void *shared)
{
    struct heir *heir = shared;
    heir->verified =
        arena_verify(heir->arena, &ARENA_VERIFY_OPTIONS(.mode = ARENA_VERIFY_EXACT), NULL);
    heir->rewarmed = arena_rewarm(heir->arena, NULL, NULL);
    arena_destroy(heir->arena);
}

static struct heir inherit(void)
{
    struct heir *shared = shared_create(sizeof *shared);
    struct heir heir;
    shared->arena = arena;
    assert_int_equal(run_in_child(rewarm_and_destroy, shared), 0);
    heir = *shared;
    shared_destroy(shared, sizeof *shared);
    return heir;
}

/* The child has no claim on the pool: with too few pages it is refused, and not killed. */
static void a_child_that_inherits_is_refused_what_the_pool_has_not(void **state)
{
    struct heir heir;
    int rc;
    (void)state;
    pool_begin(pool_node(), PAGE_2M, PAGES + 1);
    rc = create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_REQUIRE, .fork = WARMUP_FORK_INHERIT));
    if (rc == -EOPNOTSUPP)
        return;
    assert_int_equal(rc, 0);
    heir = inherit();
    assert_int_equal(heir.verified, -EFAULT);
    assert_int_not_equal(heir.rewarmed, 0);
    assert_int_equal(arena_rewarm(arena, NULL, &report), 0);
    assert_warm_in(PAGE_2M);
    assert_true(pool_set(2 * PAGES));
    heir = inherit();
    assert_int_equal(heir.rewarmed, 0);
}

/* What a process added to a pool it takes away itself, and not its children. */
static void a_child_lowers_no_pool(void **state)
{
    struct heir heir;
    int rc;
    (void)state;
    pool_begin(pool_node(), PAGE_2M, 0);
    rc = create_and_warm(ARENA_OPTIONS(.hugetlb_2m = ARENA_REQUIRE, .raise_pools = true,
                                       .fork = WARMUP_FORK_INHERIT));
    if (rc == -EOPNOTSUPP)
        return;
    assert_int_equal(rc, 0);
    heir = inherit();
    assert_int_not_equal(heir.rewarmed, 0);
    assert_int_equal(total_2m(), PAGES);
    arena_destroy(arena);
    arena = NULL;
    assert_int_equal(total_2m(), 0);
}

static int stop(const struct warmup_progress *progress, void *context)
{
    unsigned *calls = context;
    (void)progress;
    return ++*calls == 2;
}

static void a_warmup_that_is_stopped_takes_no_page(void **state)
{
    unsigned calls = 0;
    unsigned char *byte;
    (void)state;
    pool_begin(pool_node(), PAGE_2M, PAGES);
    create();
    byte = arena_alloc(arena, 1, 1);
    *byte = 3;
    report = (struct warmup_report)WARMUP_REPORT_INIT;
    assert_int_equal(
        arena_warmup(arena,
                     &WARMUP_OPTIONS(.progress = stop, .context = &calls, .chunk_bytes = PAGE_2M),
                     &report),
        -ECANCELED);
    assert_int_equal(report.last_phase, WARMUP_POPULATE);
    assert_int_equal(report.done_bytes, 0);
    assert_int_equal(report.populate.granted_bytes, PAGE);
    assert_int_equal(free_2m(), PAGES);
    assert_int_equal(*byte, 3);
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    assert_int_equal(*byte, 3);
    assert_warm_in(PAGE_2M);
}

static void a_group_may_be_of_reserved_pages(void **state)
{
    struct arena_group *group = NULL;
    struct warmup_report of_part = WARMUP_REPORT_INIT;
    const unsigned node = 0;
    (void)state;
    pool_begin(pool_node(), PAGE_2M, PAGES);
    assert_int_equal(
        arena_group_create(&group,
                           &ARENA_GROUP_OPTIONS(.capacity_bytes = PAGE_2M, .nodes = &node,
                                                .nodes_count = 1, .hugetlb_2m = ARENA_REQUIRE)),
        0);
    assert_int_equal(arena_group_warmup(group, NULL, &of_part, 1), 0);
    assert_granted(&of_part.hugetlb_2m.item);
    assert_int_equal(arena_group_at(group, 0)->number, 0);
    assert_non_null(arena_group_carve(arena_group_mine(group), 64, 64));
    arena_group_destroy(group);
    assert_int_equal(free_2m(), PAGES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_arena_of_2_mib_pages_is_warm_and_proven, give_back),
        cmocka_unit_test_teardown(an_arena_of_1_gib_pages_is_warm_and_proven, give_back),
        cmocka_unit_test_teardown(a_hot_section_in_reserved_pages_takes_no_fault, give_back),
        cmocka_unit_test_teardown(content_from_before_the_first_warmup_is_kept, give_back),
        cmocka_unit_test_teardown(every_call_on_an_arena_works_in_reserved_pages, give_back),
        cmocka_unit_test_teardown(a_pool_that_is_too_small_is_passed_over_with_its_numbers,
                                  give_back),
        cmocka_unit_test_teardown(a_pool_that_is_required_and_too_small_fails_before_the_first_page,
                                  give_back),
        cmocka_unit_test_teardown(each_size_falls_to_the_next_one, give_back),
        cmocka_unit_test_teardown(the_audit_agrees_with_the_warmup, give_back),
        cmocka_unit_test_teardown(a_pool_is_raised_for_an_arena_and_lowered_with_it, give_back),
        cmocka_unit_test_teardown(pages_that_were_given_back_behind_its_back_are_found_and_repaired,
                                  give_back),
        cmocka_unit_test_teardown(a_child_has_none_of_the_pages_unless_it_inherits, give_back),
        cmocka_unit_test_teardown(an_inherited_arena_is_repaired_after_a_fork_with_no_page_to_spare,
                                  give_back),
        cmocka_unit_test_teardown(a_child_that_inherits_is_refused_what_the_pool_has_not,
                                  give_back),
        cmocka_unit_test_teardown(a_child_lowers_no_pool, give_back),
        cmocka_unit_test_teardown(a_warmup_that_is_stopped_takes_no_page, give_back),
        cmocka_unit_test_teardown(a_group_may_be_of_reserved_pages, give_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
