/*
 * What pools of reserved huge pages have, and raising them, on a system that obeys the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fake/fake_os.h"
#include "machine/hugetlb.h"

#define PAGE ((size_t)4096)
#define POOL_PAGE (512 * PAGE)

static struct fake_pool *const pool = &fake_os.pools[ZF_OS_POOL_2M];

/* Three nodes, the last without a limit: 4, 2 and no pages. */
static int reset(void **state)
{
    (void)state;
    fake_os_reset();
    fake_os.nodes_count = 3;
    *pool = (struct fake_pool){.page_bytes = POOL_PAGE, .pages = {4, 2, 0}, .pages_max = {6, 8, 0}};
    return 0;
}

static struct zf_hugetlb_need need_on(int node, size_t pages)
{
    struct zf_hugetlb_need need = {.page_bytes = POOL_PAGE, .pages = pages, .shares_count = 1};
    need.shares[0] = (struct zf_hugetlb_share){.node = (uint16_t)node, .pages = pages};
    return need;
}

/* Half on each of the first two nodes, or all of it on any. */
static struct zf_hugetlb_need need_on_two(size_t pages, bool any)
{
    struct zf_hugetlb_need need = {
        .page_bytes = POOL_PAGE, .pages = pages, .any = any, .shares_count = 2};
    for (uint16_t i = 0; i < 2; ++i)
        need.shares[i] = (struct zf_hugetlb_share){.node = i, .pages = pages / 2};
    return need;
}

static struct zf_hugetlb_room ask(const struct zf_hugetlb_need *need)
{
    struct zf_hugetlb_room room;
    memset(&room, 0xee, sizeof room);
    zf_hugetlb_room("", "/proc/self", need, &room);
    return room;
}

static void a_node_has_its_own_pool_and_no_other(void **state)
{
    struct zf_hugetlb_need need = need_on(0, 4);
    struct zf_hugetlb_room room = ask(&need);
    (void)state;
    assert_int_equal(room.verdict, ZF_HUGETLB_FITS);
    assert_int_equal(room.missing, 0);
    need = need_on(1, 4);
    room = ask(&need);
    assert_int_equal(room.verdict, ZF_HUGETLB_POOL);
    assert_int_equal(room.node, 1);
    assert_int_equal(room.needed, 4);
    assert_int_equal(room.room, 2);
    assert_int_equal(room.missing, 2);
    assert_int_equal(room.pool.total, 2);
}

static void shares_are_judged_node_by_node_and_any_as_a_sum(void **state)
{
    struct zf_hugetlb_need need = need_on_two(6, false);
    struct zf_hugetlb_room room = ask(&need);
    (void)state;
    assert_int_equal(room.verdict, ZF_HUGETLB_POOL);
    assert_int_equal(room.node, 1);
    need = need_on_two(6, true);
    room = ask(&need);
    assert_int_equal(room.verdict, ZF_HUGETLB_FITS);
    assert_int_equal(room.node, -1);
    need = need_on_two(7, true);
    room = ask(&need);
    assert_int_equal(room.verdict, ZF_HUGETLB_POOL);
    assert_int_equal(room.missing, 1);
}

static void free_pages_that_are_promised_are_not_to_be_had(void **state)
{
    struct zf_hugetlb_need need = need_on(0, 4);
    struct zf_hugetlb_room room;
    void *base;
    (void)state;
    assert_int_equal(zf_os_pool_map(3 * POOL_PAGE, POOL_PAGE, &base), 0);
    room = ask(&need);
    assert_int_equal(room.verdict, ZF_HUGETLB_POOL);
    assert_int_equal(room.pool.free, 4);
    assert_int_equal(room.pool.reserved, 3);
    assert_int_equal(room.room, 3);
    assert_int_equal(zf_os_pool_unmap(base, 3 * POOL_PAGE), 0);
    assert_int_equal(ask(&need).verdict, ZF_HUGETLB_FITS);
}

static void a_page_size_without_a_pool_is_absent(void **state)
{
    struct zf_hugetlb_need need = need_on(0, 1);
    (void)state;
    pool->absent = true;
    assert_int_equal(ask(&need).verdict, ZF_HUGETLB_ABSENT);
    need.shares_count = 0;
    assert_int_equal(ask(&need).verdict, ZF_HUGETLB_ABSENT);
}

/* -------------------------------------------------------------------------------------- raising */

static void a_pool_is_raised_by_what_is_missing_and_given_back(void **state)
{
    struct zf_hugetlb_raised raised = {0};
    struct zf_hugetlb_need need = need_on(1, 5);
    (void)state;
    assert_int_equal(zf_hugetlb_raise("", &need, &raised), 0);
    assert_int_equal(pool->pages[1], 5);
    assert_int_equal(pool->pages[0], 4);
    assert_int_equal(zf_hugetlb_raised_pages(&raised), 3);
    assert_int_equal(ask(&need).verdict, ZF_HUGETLB_FITS);
    /* What somebody else adds meanwhile stays. */
    pool->pages[1] += 2;
    zf_hugetlb_give_back("", &raised);
    assert_int_equal(pool->pages[1], 4);
    assert_int_equal(zf_hugetlb_raised_pages(&raised), 0);
}

static void a_pool_that_cannot_be_raised_enough_is_as_before(void **state)
{
    struct zf_hugetlb_raised raised = {0};
    struct zf_hugetlb_need need = need_on(0, 7);
    (void)state;
    assert_int_equal(zf_hugetlb_raise("", &need, &raised), -ENOMEM);
    assert_int_equal(pool->pages[0], 4);
    assert_int_equal(zf_hugetlb_raised_pages(&raised), 0);
    fake_os.refuse[FAKE_WRITE_FILE] = -EACCES;
    need = need_on(0, 5);
    assert_int_equal(zf_hugetlb_raise("", &need, &raised), -EACCES);
    assert_int_equal(pool->pages[0], 4);
}

static void each_node_of_a_spread_is_raised_by_what_it_lacks(void **state)
{
    struct zf_hugetlb_raised raised = {0};
    struct zf_hugetlb_need need = need_on_two(10, false);
    (void)state;
    assert_int_equal(zf_hugetlb_raise("", &need, &raised), 0);
    assert_int_equal(pool->pages[0], 5);
    assert_int_equal(pool->pages[1], 5);
    zf_hugetlb_give_back("", &raised);
    assert_int_equal(pool->pages[0], 4);
    assert_int_equal(pool->pages[1], 2);
}

static void where_any_node_will_do_the_next_one_has_what_the_first_has_not(void **state)
{
    struct zf_hugetlb_raised raised = {0};
    struct zf_hugetlb_need need = need_on_two(11, true);
    (void)state;
    assert_int_equal(zf_hugetlb_raise("", &need, &raised), 0);
    assert_int_equal(pool->pages[0], 6);
    assert_int_equal(pool->pages[1], 5);
    zf_hugetlb_give_back("", &raised);
    assert_int_equal(pool->pages[0], 4);
    assert_int_equal(pool->pages[1], 2);
}

static void promised_pages_are_made_up_for(void **state)
{
    struct zf_hugetlb_raised raised = {0};
    struct zf_hugetlb_need need = need_on(1, 2);
    void *base;
    (void)state;
    assert_int_equal(zf_os_pool_map(5 * POOL_PAGE, POOL_PAGE, &base), 0);
    assert_int_equal(ask(&need).verdict, ZF_HUGETLB_POOL);
    assert_int_equal(zf_hugetlb_raise("", &need, &raised), 0);
    assert_int_equal(pool->pages[1], 3);
    zf_hugetlb_give_back("", &raised);
    assert_int_equal(pool->pages[1], 2);
    assert_int_equal(zf_os_pool_unmap(base, 5 * POOL_PAGE), 0);
}

static void a_system_without_nodes_has_one_pool(void **state)
{
    struct zf_hugetlb_raised raised = {0};
    struct zf_hugetlb_need need = {.page_bytes = POOL_PAGE, .pages = 6};
    (void)state;
    fake_os.nodes_count = 1;
    assert_int_equal(ask(&need).verdict, ZF_HUGETLB_POOL);
    assert_int_equal(zf_hugetlb_raise("", &need, &raised), 0);
    assert_int_equal(pool->pages[0], 6);
    assert_int_equal(ask(&need).verdict, ZF_HUGETLB_FITS);
    zf_hugetlb_give_back("", &raised);
    assert_int_equal(pool->pages[0], 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_node_has_its_own_pool_and_no_other, reset),
        cmocka_unit_test_setup(shares_are_judged_node_by_node_and_any_as_a_sum, reset),
        cmocka_unit_test_setup(free_pages_that_are_promised_are_not_to_be_had, reset),
        cmocka_unit_test_setup(a_page_size_without_a_pool_is_absent, reset),
        cmocka_unit_test_setup(a_pool_is_raised_by_what_is_missing_and_given_back, reset),
        cmocka_unit_test_setup(a_pool_that_cannot_be_raised_enough_is_as_before, reset),
        cmocka_unit_test_setup(each_node_of_a_spread_is_raised_by_what_it_lacks, reset),
        cmocka_unit_test_setup(where_any_node_will_do_the_next_one_has_what_the_first_has_not,
                               reset),
        cmocka_unit_test_setup(promised_pages_are_made_up_for, reset),
        cmocka_unit_test_setup(a_system_without_nodes_has_one_pool, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
