/*
 * Reserved huge pages for a test: added to a pool of the machine, and taken away again.
 *
 * A lock keeps tests that run at the same time from counting each other's pages.
 */
#ifndef ZF_TESTS_SUPPORT_POOL_H
#define ZF_TESTS_SUPPORT_POOL_H

#include <stdbool.h>
#include <stddef.h>

/* Node of the machine as a whole. */
#define POOL_OF_MACHINE (-1)

/* What a file of a pool says, "nr_hugepages" say; SIZE_MAX when it cannot be read. */
size_t pool_count(int node, size_t page_bytes, const char *file);

/* Wait until no other test uses pools, and remember how large this one is. Then set it; the running
 * test is skipped, with everything undone, when the machine does not have so many pages. */
void pool_begin(int node, size_t page_bytes, size_t pages);

/* Set it again, between begin and end; false when the machine does not have so many. */
bool pool_set(size_t pages);

/* Set it back; false when something is left of what the test used. Without a begin, true. */
bool pool_end(void);

#endif
