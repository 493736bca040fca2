/*
 * An AVL tree whose nodes are also a list in order (Adelson-Velsky and Landis, 1962).
 *
 * Invariants: the heights of a node's two subtrees differ by at most one; the list visits the
 * levels by rising rank; `best` is its head. The recursion is as deep as the tree is high, which is
 * at most 46 for the 2^32 prices there are.
 */
#include "level.h"

#include <stddef.h>

enum way { BETTER, WORSE };

static enum way way_to(const struct level *from, uint32_t rank)
{
    return rank < from->rank ? BETTER : WORSE;
}

/* -------------------------------------------------------------------------------------- balance */

static uint32_t height_of(const struct level *level)
{
    return level == NULL ? 0 : level->height;
}

static void update_height(struct level *level)
{
    uint32_t better = height_of(level->child[BETTER]);
    uint32_t worse = height_of(level->child[WORSE]);
    level->height = (better > worse ? better : worse) + 1;
}

/* Let the root's child on the heavy side become the root. */
static struct level *rotate(struct level *root, enum way heavy)
{
    struct level *child = root->child[heavy];
    root->child[heavy] = child->child[!heavy];
    child->child[!heavy] = root;
    update_height(root);
    update_height(child);
    return child;
}

/* Mend a root whose subtrees differ by up to two. Returns the new root. */
static struct level *balance(struct level *root)
{
    enum way heavy =
        height_of(root->child[WORSE]) > height_of(root->child[BETTER]) ? WORSE : BETTER;
    struct level *child = root->child[heavy];
    if (height_of(child) <= height_of(root->child[!heavy]) + 1) {
        update_height(root);
        return root;
    }
    if (height_of(child->child[!heavy]) > height_of(child->child[heavy]))
        root->child[heavy] = rotate(child, !heavy);
    return rotate(root, heavy);
}

/* ----------------------------------------------------------------------------------------- tree */

/* Hang the level below the root; the last nodes where the path turned are its list neighbours. */
static struct level *add_below(struct level *root, struct level *level)
{
    enum way way;
    if (root == NULL)
        return level;
    way = way_to(root, level->rank);
    if (way == BETTER)
        level->worse = root;
    else
        level->better = root;
    root->child[way] = add_below(root->child[way], level);
    return balance(root);
}

/* Take the best level out of a tree. Returns the new root. */
static struct level *take_best(struct level *root, struct level **best)
{
    if (root->child[BETTER] == NULL) {
        *best = root;
        return root->child[WORSE];
    }
    root->child[BETTER] = take_best(root->child[BETTER], best);
    return balance(root);
}

/* Make one tree of two, when all of the first is better than all of the second. */
static struct level *join(struct level *better, struct level *worse)
{
    struct level *middle;
    if (worse == NULL)
        return better;
    worse = take_best(worse, &middle);
    middle->child[BETTER] = better;
    middle->child[WORSE] = worse;
    return balance(middle);
}

static struct level *remove_below(struct level *root, const struct level *level)
{
    enum way way;
    if (root == level)
        return join(root->child[BETTER], root->child[WORSE]);
    way = way_to(root, level->rank);
    root->child[way] = remove_below(root->child[way], level);
    return balance(root);
}

/* ----------------------------------------------------------------------------------------- side */

struct level *side_find(const struct side *side, uint32_t rank)
{
    struct level *level = side->root;
    while (level != NULL && level->rank != rank)
        level = level->child[way_to(level, rank)];
    return level;
}

void side_add(struct side *side, struct level *level)
{
    level->child[BETTER] = NULL;
    level->child[WORSE] = NULL;
    level->better = NULL;
    level->worse = NULL;
    level->height = 1;
    side->root = add_below(side->root, level);
    if (level->better != NULL)
        level->better->worse = level;
    else
        side->best = level;
    if (level->worse != NULL)
        level->worse->better = level;
}

void side_remove(struct side *side, struct level *level)
{
    if (level->better != NULL)
        level->better->worse = level->worse;
    else
        side->best = level->worse;
    if (level->worse != NULL)
        level->worse->better = level->better;
    side->root = remove_below(side->root, level);
}
