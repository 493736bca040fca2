/*
 * One side of a book: its levels stay in order, found and balanced, whatever comes and goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "level.h"

#define LEVELS 3000u

static struct level levels[LEVELS];

/* Check a subtree: order, heights, balance. Returns the number of its levels. */
static uint32_t check_tree(const struct level *root, uint64_t above, uint64_t below)
{
    uint32_t better = 0;
    uint32_t worse = 0;
    if (root == NULL)
        return 0;
    assert_true(root->rank >= above && root->rank < below);
    if (root->child[0] != NULL)
        better = root->child[0]->height;
    if (root->child[1] != NULL)
        worse = root->child[1]->height;
    assert_int_equal(root->height, (better > worse ? better : worse) + 1);
    assert_in_range(better + 1, worse, worse + 2);
    return 1 + check_tree(root->child[0], above, root->rank) +
           check_tree(root->child[1], (uint64_t)root->rank + 1, below);
}

/* Check the list against the tree: both hold `count` levels, in rising order of rank. */
static void check_side(const struct side *side, uint32_t count)
{
    const struct level *before = NULL;
    uint32_t listed = 0;
    assert_int_equal(check_tree(side->root, 0, UINT64_C(1) << 32), count);
    for (const struct level *level = side->best; level != NULL; level = level->worse) {
        assert_ptr_equal(level->better, before);
        assert_true(before == NULL || before->rank < level->rank);
        before = level;
        listed += 1;
    }
    assert_int_equal(listed, count);
}

/* Ranks 0, 7, 14, ... in an order that visits each once; `step` has no factor in common with the
 * number of levels. */
static struct level *nth(uint32_t n, uint32_t step)
{
    uint32_t i = n * step % LEVELS;
    levels[i].rank = 7 * i;
    return &levels[i];
}

static void levels_stay_in_order_in_whatever_order_they_come_and_go(void **state)
{
    static const uint32_t steps[] = {1, LEVELS - 1, 7, 1709, 1201};
    (void)state;
    for (size_t s = 0; s < 5; ++s) {
        struct side side = {0};
        memset(levels, 0xff, sizeof levels);
        for (uint32_t n = 0; n < LEVELS; ++n) {
            side_add(&side, nth(n, steps[s]));
            if (n % 97 == 0)
                check_side(&side, n + 1);
        }
        assert_ptr_equal(side.best, &levels[0]);
        assert_true(side.root->height <= 16); /* 1.44 log2(3000) */
        for (uint32_t n = 0; n < LEVELS; ++n) {
            side_remove(&side, nth(n, steps[4 - s]));
            if (n % 97 == 0)
                check_side(&side, LEVELS - n - 1);
        }
        assert_null(side.root);
        assert_null(side.best);
    }
}

static void level_is_found_while_it_is_there(void **state)
{
    struct side side = {0};
    (void)state;
    assert_null(side_find(&side, 7));
    for (uint32_t n = 0; n < LEVELS; ++n)
        side_add(&side, nth(n, 7));
    for (uint32_t n = 0; n < LEVELS; ++n) {
        struct level *level = nth(n, 1709);
        assert_ptr_equal(side_find(&side, level->rank), level);
        assert_null(side_find(&side, level->rank + 1));
        side_remove(&side, level);
        assert_null(side_find(&side, level->rank));
    }
}

static void better_means_higher_to_buy_and_lower_to_sell(void **state)
{
    (void)state;
    assert_true(level_rank(SIDE_BUY, 20000) < level_rank(SIDE_BUY, 10000));
    assert_true(level_rank(SIDE_SELL, 10000) < level_rank(SIDE_SELL, 20000));
    assert_int_equal(level_rank(SIDE_BUY, level_rank(SIDE_BUY, 10000)), 10000);
    assert_int_equal(level_rank(SIDE_SELL, level_rank(SIDE_SELL, 10000)), 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_stay_in_order_in_whatever_order_they_come_and_go),
        cmocka_unit_test(level_is_found_while_it_is_there),
        cmocka_unit_test(better_means_higher_to_buy_and_lower_to_sell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
