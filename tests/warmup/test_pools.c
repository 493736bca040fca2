/*
 * The order of page sizes on a system that obeys the test: every step down with its reason, every
 * call refused in turn, and whatever happens, no page of a pool kept and no pool left raised.
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
#define THP_PAGE (4 * PAGE)
#define LITTLE_PAGE (8 * PAGE) /* stands for 2 MiB */
#define LARGE_PAGE (32 * PAGE) /* stands for 1 GiB */
#define SIZE_BYTES (2 * LARGE_PAGE)
#define LARGE_PAGES (SIZE_BYTES / LARGE_PAGE)
#define LITTLE_PAGES (SIZE_BYTES / LITTLE_PAGE)

static struct fake_pool *const large = &fake_os.pools[ZF_OS_POOL_1G];
static struct fake_pool *const little = &fake_os.pools[ZF_OS_POOL_2M];

static struct zf_region region;
static struct warmup_report report;

/* Small sizes, so that all of this is quick. */
static int reset(void **state)
{
    (void)state;
    fake_os_reset();
    fake_os.huge_page_bytes = THP_PAGE;
    large->page_bytes = LARGE_PAGE;
    little->page_bytes = LITTLE_PAGE;
    memset(&region, 0, sizeof region);
    return 0;
}

static struct zf_warmup_wishes wish(enum warmup_wish of_large, enum warmup_wish of_little)
{
    struct zf_warmup_wishes wishes = {.bind = WARMUP_PREFER,
                                      .huge_pages = WARMUP_PREFER,
                                      .lock = WARMUP_PREFER,
                                      .fork = WARMUP_FORK_EXCLUDE,
                                      .node = 0};
    wishes.hugetlb[ZF_OS_POOL_1G] = of_large;
    wishes.hugetlb[ZF_OS_POOL_2M] = of_little;
    return wishes;
}

static int create(const struct zf_warmup_wishes *wishes)
{
    struct zf_region_options options = {.size_bytes = SIZE_BYTES,
                                        .alignment_bytes = LARGE_PAGE,
                                        .node = wishes->node,
                                        .bind = wishes->bind,
                                        .huge_pages = wishes->huge_pages,
                                        .fork = wishes->fork,
                                        .name = "test"};
    return zf_region_create(&region, &options);
}

static int warm(const struct zf_warmup_wishes *wishes)
{
    struct warmup_options options = {.struct_size = sizeof options, .chunk_bytes = LITTLE_PAGE};
    int rc;
    memset(&report, 0xee, sizeof report);
    rc = zf_warmup_region(&region, wishes, &options, &report);
    assert_int_equal(rc, report.result);
    return rc;
}

static void assert_tells(const struct warmup_hugetlb *hugetlb)
{
    assert_true(hugetlb->item.granted_bytes <= hugetlb->item.asked_bytes);
    assert_int_equal(hugetlb->item.error != 0, hugetlb->item.remedy != NULL);
    if (report.result == 0 && hugetlb->item.asked == WARMUP_REQUIRE)
        assert_int_equal(hugetlb->item.granted_bytes, SIZE_BYTES);
    if (report.result == 0 && hugetlb->item.asked == WARMUP_PREFER)
        assert_int_equal(hugetlb->item.granted_bytes == SIZE_BYTES, hugetlb->item.error == 0);
}

/* What the arena is made of, and that everything else is where it was. */
static void assert_made_of(size_t page_bytes)
{
    assert_tells(&report.hugetlb_1g);
    assert_tells(&report.hugetlb_2m);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 1);
    assert_int_equal(report.sizes_count, 1);
    assert_int_equal(report.sizes[0].page_bytes, page_bytes);
    assert_int_equal(report.sizes[0].resident_bytes, SIZE_BYTES);
    assert_int_equal(fake_os_ranges_count(), 1);
    assert_int_equal(report.populate.granted_bytes, SIZE_BYTES);
    assert_int_equal(report.lock.granted_bytes, SIZE_BYTES);
    assert_int_equal(region.pool_page_bytes, page_bytes >= LITTLE_PAGE ? page_bytes : 0);
}

static void set_pools(size_t of_large, size_t of_little)
{
    large->pages[0] = large->pages_max[0] = of_large;
    little->pages[0] = little->pages_max[0] = of_little;
}

static size_t total_pages(const struct fake_pool *pool)
{
    size_t count = 0;
    for (int node = 0; node < FAKE_NODES_MAX; ++node)
        count += pool->pages[node];
    return count;
}

/* End the region: no page is in use then, and no range left. */
static void end(void)
{
    zf_region_destroy(&region);
    assert_int_equal(fake_os_ranges_count(), 0);
    assert_int_equal(fake_pool_free_pages(ZF_OS_POOL_1G, -1), total_pages(large));
    assert_int_equal(fake_pool_free_pages(ZF_OS_POOL_2M, -1), total_pages(little));
}

/* ---------------------------------------------------------------------------------------- order */

static void each_size_is_tried_after_the_larger_one(void **state)
{
    static const struct {
        size_t of_large, of_little;
        bool transparent;
        size_t page_bytes;
    } cases[] = {
        {LARGE_PAGES, LITTLE_PAGES, true, LARGE_PAGE},
        {LARGE_PAGES - 1, LITTLE_PAGES, true, LITTLE_PAGE},
        {0, LITTLE_PAGES, true, LITTLE_PAGE},
        {0, LITTLE_PAGES - 1, true, THP_PAGE},
        {0, 0, false, PAGE},
    };
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, WARMUP_PREFER);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        (void)reset(state);
        set_pools(cases[i].of_large, cases[i].of_little);
        fake_os.huge_page_bytes = cases[i].transparent ? THP_PAGE : 0;
        assert_int_equal(create(&wishes), 0);
        assert_int_equal(warm(&wishes), 0);
        assert_made_of(cases[i].page_bytes);
        assert_int_equal(report.hugetlb_1g.item.error,
                         cases[i].page_bytes == LARGE_PAGE ? 0 : -ENOMEM);
        assert_int_equal(report.hugetlb_2m.item.error,
                         cases[i].page_bytes >= LITTLE_PAGE ? 0 : -ENOMEM);
        assert_int_equal(report.huge_pages.error, cases[i].transparent ? 0 : -EOPNOTSUPP);
        end();
    }
}

static void a_required_size_is_the_last(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, WARMUP_REQUIRE);
    (void)state;
    set_pools(0, LITTLE_PAGES);
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(LITTLE_PAGE);
    end();
    set_pools(0, LITTLE_PAGES - 1);
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_POOL);
    assert_int_equal(report.limit_needed_bytes, SIZE_BYTES);
    assert_int_equal(report.limit_free_bytes, SIZE_BYTES - LITTLE_PAGE);
    assert_int_equal(report.populate.granted_bytes, 0);
    assert_int_equal(fake_os.made[FAKE_POOL_MAP], 1);
    /* A larger one will do. */
    set_pools(LARGE_PAGES, 0);
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(LARGE_PAGE);
    assert_int_equal(report.hugetlb_2m.item.granted_bytes, SIZE_BYTES);
    end();
    wishes = wish(WARMUP_REQUIRE, WARMUP_PREFER);
    set_pools(0, LITTLE_PAGES);
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), -ENOMEM);
    assert_int_equal(report.hugetlb_1g.item.error, -ENOMEM);
    end();
}

static void a_size_that_the_machine_does_not_have_says_so(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, WARMUP_PREFER);
    (void)state;
    set_pools(0, LITTLE_PAGES);
    large->absent = true;
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(LITTLE_PAGE);
    assert_int_equal(report.hugetlb_1g.item.error, -EOPNOTSUPP);
    end();
}

static void what_nobody_wished_is_not_asked(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_OFF, WARMUP_DEFAULT);
    (void)state;
    set_pools(LARGE_PAGES, LITTLE_PAGES);
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(THP_PAGE);
    assert_int_equal(fake_os.made[FAKE_POOL_MAP], 0);
    assert_int_equal(report.hugetlb_1g.item.asked, WARMUP_OFF);
    assert_int_equal(report.hugetlb_2m.item.asked, WARMUP_OFF);
    end();
}

/* ---------------------------------------------------------------------------------------- nodes */

static void a_pool_that_is_full_on_another_node_is_no_help(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, WARMUP_PREFER);
    (void)state;
    fake_os.nodes_count = 2;
    wishes.node = 1;
    large->pages[0] = LARGE_PAGES;
    little->pages[1] = LITTLE_PAGES;
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(LITTLE_PAGE);
    assert_int_equal(report.hugetlb_1g.node, 1);
    assert_int_equal(report.hugetlb_1g.available_count, 0);
    assert_int_equal(report.misplaced_bytes, 0);
    assert_int_equal(report.bind.granted_bytes, SIZE_BYTES);
    assert_int_equal(fake_os_node_bytes(1), SIZE_BYTES);
    end();
}

static void required_pages_come_from_other_nodes_when_the_node_is_a_wish(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_OFF, WARMUP_REQUIRE);
    (void)state;
    fake_os.nodes_count = 3;
    wishes.node = 1;
    little->pages[1] = 1;
    little->pages[2] = LITTLE_PAGES;
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(LITTLE_PAGE);
    assert_int_equal(fake_pool_free_pages(ZF_OS_POOL_2M, 1), 0);
    /* And stay there: moving them would move the pools. */
    for (int i = 0; i < 2; ++i) {
        assert_int_equal(report.misplaced_bytes, SIZE_BYTES - LITTLE_PAGE);
        assert_int_equal(report.bind.granted_bytes, LITTLE_PAGE);
        assert_int_equal(report.bind.error, -ENOMEM);
        assert_int_equal(report.limit, WARMUP_LIMIT_POOL);
        assert_non_null(strstr(report.bind.remedy, "nr_hugepages"));
        assert_int_equal(fake_os_node_bytes(2), SIZE_BYTES - LITTLE_PAGE);
        assert_int_equal(warm(&wishes), 0);
    }
    assert_int_equal(fake_os.made[FAKE_MOVE_PAGES], 0);
    assert_int_equal(zf_warmup_verify_region(&region, &wishes, true, &report), 0);
    end();
}

static void no_page_comes_from_other_nodes_when_the_node_is_a_must(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_OFF, WARMUP_REQUIRE);
    (void)state;
    fake_os.nodes_count = 2;
    wishes.node = 1;
    wishes.bind = WARMUP_REQUIRE;
    little->pages[0] = LITTLE_PAGES;
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), -ENOMEM);
    assert_int_equal(report.hugetlb_2m.node, 1);
    assert_int_equal(report.limit, WARMUP_LIMIT_POOL);
    end();
}

/* ----------------------------------------------------------------------------- promised, raised */

static void a_pool_that_runs_dry_under_way_is_passed_over(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, WARMUP_PREFER);
    (void)state;
    set_pools(LARGE_PAGES, LITTLE_PAGES);
    fake_os.fail_error = -EFAULT;
    assert_int_equal(create(&wishes), 0);
    /* Whichever populate of the large pages it is. */
    fake_os.refuse[FAKE_POPULATE] = -EFAULT;
    assert_int_equal(warm(&wishes), -EFAULT);
    assert_int_equal(report.hugetlb_1g.item.error, -ENOMEM);
    assert_int_equal(report.hugetlb_2m.item.error, -ENOMEM);
    assert_int_equal(report.hugetlb_1g.limit, WARMUP_LIMIT_POOL);
    assert_int_equal(fake_pool_free_pages(ZF_OS_POOL_1G, -1), LARGE_PAGES);
    assert_int_equal(fake_pool_free_pages(ZF_OS_POOL_2M, -1), LITTLE_PAGES);
    fake_os.refuse[FAKE_POPULATE] = 0;
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(LARGE_PAGE);
    end();
}

static void a_pool_is_raised_when_asked_and_lowered_at_the_end(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, WARMUP_PREFER);
    (void)state;
    wishes.raise_pools = true;
    set_pools(1, 0);
    large->pages_max[0] = LARGE_PAGES;
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(LARGE_PAGE);
    assert_int_equal(report.hugetlb_1g.raised_count, LARGE_PAGES - 1);
    assert_int_equal(large->pages[0], LARGE_PAGES);
    /* Once is enough. */
    assert_int_equal(warm(&wishes), 0);
    assert_int_equal(report.hugetlb_1g.raised_count, LARGE_PAGES - 1);
    assert_int_equal(large->pages[0], LARGE_PAGES);
    end();
    assert_int_equal(large->pages[0], 1);
}

static void a_pool_that_cannot_be_raised_enough_is_passed_over(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, WARMUP_PREFER);
    (void)state;
    wishes.raise_pools = true;
    set_pools(0, 0);
    large->pages_max[0] = LARGE_PAGES - 1;
    little->pages_max[0] = LITTLE_PAGES;
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(LITTLE_PAGE);
    assert_int_equal(report.hugetlb_1g.raise_error, -ENOMEM);
    assert_int_equal(report.hugetlb_1g.raised_count, 0);
    assert_int_equal(large->pages[0], 0);
    assert_int_equal(little->pages[0], LITTLE_PAGES);
    end();
    assert_int_equal(little->pages[0], 0);
    (void)reset(state);
    fake_os.refuse[FAKE_WRITE_FILE] = -EACCES;
    little->pages_max[0] = LITTLE_PAGES;
    wishes = wish(WARMUP_OFF, WARMUP_REQUIRE);
    wishes.raise_pools = true;
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), -ENOMEM);
    assert_int_equal(report.hugetlb_2m.raise_error, -EACCES);
    end();
}

static void nothing_is_raised_unless_asked(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, WARMUP_PREFER);
    (void)state;
    large->pages_max[0] = LARGE_PAGES;
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(THP_PAGE);
    assert_int_equal(fake_os.made[FAKE_WRITE_FILE], 0);
    end();
}

/* --------------------------------------------------------------------------- every call refused */

/* What a call refused once may do to the outcome. */
static void refuse_and_recover(unsigned call, int error, const struct zf_warmup_wishes *wishes)
{
    size_t of_large = 1;
    int rc;
    (void)reset(NULL);
    set_pools(of_large, 0);
    large->pages_max[0] = LARGE_PAGES;
    little->pages_max[0] = LITTLE_PAGES;
    fake_os.fail_call = call;
    fake_os.fail_error = error;
    rc = create(wishes);
    if (rc != 0) {
        assert_int_equal(fake_os_ranges_count(), 0);
        return;
    }
    rc = warm(wishes);
    assert_tells(&report.hugetlb_1g);
    assert_tells(&report.hugetlb_2m);
    assert_int_equal(fake_os_ranges_count(), 1);
    if (rc == 0)
        assert_int_equal(report.populate.granted_bytes == SIZE_BYTES,
                         fake_os.failed != FAKE_RESIDENCY || report.proven);
    if (region.pool_page_bytes == 0) {
        assert_int_equal(large->pages[0], of_large);
        assert_int_equal(little->pages[0], 0);
    }
    fake_os.fail_call = 0;
    (void)warm(wishes);
    assert_tells(&report.hugetlb_1g);
    assert_tells(&report.hugetlb_2m);
    if (region.bind_error == 0)
        assert_int_equal(report.result, 0);
    end();
    /* Taking away is a write that can be refused too, and then it stays. */
    if (fake_os.failed != FAKE_WRITE_FILE && fake_os.failed != FAKE_READ_FILE) {
        assert_int_equal(large->pages[0], of_large);
        assert_int_equal(little->pages[0], 0);
    }
}

static void whichever_call_is_refused_no_page_and_no_raised_pool_is_kept(void **state)
{
    static const int errors[] = {-ENOMEM, -EPERM, -EOPNOTSUPP, -EINVAL, -EFAULT};
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, WARMUP_PREFER);
    (void)state;
    wishes.raise_pools = true;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; ++i) {
        unsigned call = 0;
        do
            refuse_and_recover(++call, errors[i], &wishes);
        while (fake_os.failed != FAKE_CALL_COUNT || call == 1);
        assert_true(call > 30);
    }
}

/* The same on the way to another node's pool; it is a must, so there is nothing in between. */
static void refuse_on_the_way_elsewhere(unsigned call, int error)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_OFF, WARMUP_REQUIRE);
    (void)reset(NULL);
    fake_os.nodes_count = 2;
    wishes.node = 1;
    little->pages[0] = LITTLE_PAGES;
    fake_os.fail_call = call;
    fake_os.fail_error = error;
    if (create(&wishes) != 0) {
        assert_int_equal(fake_os_ranges_count(), 0);
        return;
    }
    (void)warm(&wishes);
    assert_tells(&report.hugetlb_2m);
    assert_int_equal(fake_os_ranges_count(), 1);
    assert_int_equal(fake_pool_free_pages(ZF_OS_POOL_2M, -1),
                     region.pool_page_bytes == 0 ? LITTLE_PAGES : 0);
    fake_os.fail_call = 0;
    assert_int_equal(warm(&wishes), 0);
    assert_tells(&report.hugetlb_2m);
    if (region.bind_error == 0)
        assert_int_equal(report.misplaced_bytes, SIZE_BYTES);
    end();
}

static void whichever_call_is_refused_on_the_way_to_another_node_the_next_try_works(void **state)
{
    static const int errors[] = {-ENOMEM, -EPERM, -EOPNOTSUPP, -EINVAL, -EFAULT};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; ++i) {
        unsigned call = 0;
        do
            refuse_on_the_way_elsewhere(++call, errors[i]);
        while (fake_os.failed != FAKE_CALL_COUNT || call == 1);
        assert_true(call > 30);
    }
}

/* --------------------------------------------------------------------- kernels that cannot move */

static void a_system_that_cannot_move_pages_populates_in_place(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_OFF, WARMUP_PREFER);
    (void)state;
    set_pools(0, LITTLE_PAGES);
    fake_os.refuse[FAKE_POOL_SETTLE] = -EOPNOTSUPP;
    assert_int_equal(create(&wishes), 0);
    ((unsigned char *)region.base)[SIZE_BYTES - 1] = 5;
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(LITTLE_PAGE);
    assert_int_equal(((unsigned char *)region.base)[SIZE_BYTES - 1], 5);
    assert_true(fake_os_range(region.base)->fork_excluded);
    end();
}

static void there_content_outlives_a_pool_that_runs_dry(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_OFF, WARMUP_PREFER);
    unsigned populates;
    (void)state;
    /* How many calls it takes until the pages in place are populated. */
    for (unsigned call = 1; call < 200; ++call) {
        (void)reset(state);
        set_pools(0, LITTLE_PAGES);
        fake_os.refuse[FAKE_POOL_SETTLE] = -EOPNOTSUPP;
        assert_int_equal(create(&wishes), 0);
        ((unsigned char *)region.base)[7 * PAGE] = 5;
        fake_os.calls = 0;
        fake_os.fail_call = call;
        fake_os.fail_error = -EFAULT;
        (void)warm(&wishes);
        populates = fake_os.made[FAKE_POPULATE];
        assert_int_equal(((unsigned char *)region.base)[7 * PAGE], 5);
        assert_true(populates > 0 || report.result != 0);
        fake_os.fail_call = 0;
        assert_int_equal(warm(&wishes), 0);
        assert_int_equal(((unsigned char *)region.base)[7 * PAGE], 5);
        end();
    }
}

static void there_a_range_that_children_inherit_does_without(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_OFF, WARMUP_PREFER);
    (void)state;
    wishes.fork = WARMUP_FORK_INHERIT;
    set_pools(0, LITTLE_PAGES);
    fake_os.refuse[FAKE_POOL_SETTLE] = -EOPNOTSUPP;
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(THP_PAGE);
    assert_int_equal(report.hugetlb_2m.item.error, -EOPNOTSUPP);
    assert_int_equal(fake_pool_free_pages(ZF_OS_POOL_2M, -1), LITTLE_PAGES);
    end();
}

/* --------------------------------------------------------------------------------------- refill */

static void a_page_that_is_gone_and_cannot_be_had_again_is_an_error(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_OFF, WARMUP_REQUIRE);
    void *other;
    (void)state;
    set_pools(0, LITTLE_PAGES);
    assert_int_equal(create(&wishes), 0);
    assert_int_equal(warm(&wishes), 0);
    assert_int_equal(zf_warmup_verify_region(&region, &wishes, true, &report), 0);
    assert_int_equal(zf_os_discard(region.base, LITTLE_PAGE), 0);
    assert_int_equal(zf_warmup_verify_region(&region, &wishes, false, &report), -EFAULT);
    assert_int_equal(report.hugetlb_2m.item.error, -EFAULT);
    little->pages[0] = LITTLE_PAGES - 1;
    assert_int_equal(warm(&wishes), -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_POOL);
    little->pages[0] = LITTLE_PAGES;
    assert_int_equal(warm(&wishes), 0);
    assert_made_of(LITTLE_PAGE);
    assert_int_equal(zf_os_pool_map(LITTLE_PAGE, LITTLE_PAGE, &other), -ENOMEM);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_size_is_tried_after_the_larger_one, reset),
        cmocka_unit_test_setup(a_required_size_is_the_last, reset),
        cmocka_unit_test_setup(a_size_that_the_machine_does_not_have_says_so, reset),
        cmocka_unit_test_setup(what_nobody_wished_is_not_asked, reset),
        cmocka_unit_test_setup(a_pool_that_is_full_on_another_node_is_no_help, reset),
        cmocka_unit_test_setup(required_pages_come_from_other_nodes_when_the_node_is_a_wish, reset),
        cmocka_unit_test_setup(no_page_comes_from_other_nodes_when_the_node_is_a_must, reset),
        cmocka_unit_test_setup(a_pool_that_runs_dry_under_way_is_passed_over, reset),
        cmocka_unit_test_setup(a_pool_is_raised_when_asked_and_lowered_at_the_end, reset),
        cmocka_unit_test_setup(a_pool_that_cannot_be_raised_enough_is_passed_over, reset),
        cmocka_unit_test_setup(nothing_is_raised_unless_asked, reset),
        cmocka_unit_test_setup(whichever_call_is_refused_no_page_and_no_raised_pool_is_kept, reset),
        cmocka_unit_test_setup(
            whichever_call_is_refused_on_the_way_to_another_node_the_next_try_works, reset),
        cmocka_unit_test_setup(a_system_that_cannot_move_pages_populates_in_place, reset),
        cmocka_unit_test_setup(there_content_outlives_a_pool_that_runs_dry, reset),
        cmocka_unit_test_setup(there_a_range_that_children_inherit_does_without, reset),
        cmocka_unit_test_setup(a_page_that_is_gone_and_cannot_be_had_again_is_an_error, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
