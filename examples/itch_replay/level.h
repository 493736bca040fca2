/*
 * One side of a book: its price levels, best first.
 *
 * The levels of a side are a balanced tree by price, for finding one, and a list in price order,
 * for the best and the next best; the links are in the levels, so nothing is ever allocated here.
 * Most changes happen near the best price, where a plain list would do; but a stock may have
 * thousands of levels, and an order far from the best price must not cost a walk over all of them.
 * Finding, adding and removing take O(log levels) in the worst case, the best is one load.
 */
#ifndef LEVEL_H
#define LEVEL_H

#include <stdint.h>

enum side_name { SIDE_BUY, SIDE_SELL };

struct order;

/* All orders of one side at one price, oldest first. One cache line. */
struct level {
    struct level *child[2]; /* subtrees of better and of worse levels */
    struct level *better;   /* neighbour in price order, or NULL */
    struct level *worse;    /* likewise */
    struct order *first;    /* the order that trades next */
    struct order *last;     /* the order that came last */
    uint64_t shares;        /* of all its orders */
    uint32_t rank;          /* price such that less is better, see level_rank */
    uint32_t height;        /* of its subtree; a leaf has 1 */
};

/* Zeros are an empty side. */
struct side {
    struct level *root; /* of the tree */
    struct level *best; /* of the list */
};

/* High prices are the better ones to buy at and low ones to sell at. Turned around for the buying
 * side, the code for both is the same. The same function turns a rank back into a price. */
static inline uint32_t level_rank(enum side_name side, uint32_t price)
{
    return side == SIDE_BUY ? ~price : price;
}

/* Find the level of a rank. Returns NULL when there is none. */
struct level *side_find(const struct side *side, uint32_t rank);

/* Put in a level whose `rank` is set and not yet there. */
void side_add(struct side *side, struct level *level);

/* Take out a level that is there. */
void side_remove(struct side *side, struct level *level);

#endif
