/*
 * What the files of the fake share about its ranges; not for tests.
 */
#ifndef ZF_TESTS_FAKE_RANGE_H
#define ZF_TESTS_FAKE_RANGE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "fake/fake_os.h"

#define PAGE ((size_t)4096)
#define RANGES_MAX 64
#define FAKE_NODE_FOLDER "/sys/devices/system/node/"

#define must(condition)                                                                            \
    ((condition)                                                                                   \
         ? (void)0                                                                                 \
         : (fprintf(stderr, "%s:%d: misuse of os.h: %s\n", __FILE__, __LINE__, #condition),        \
            abort()))

/* In page_flags. */
enum { PAGE_LOCKED = 1, PAGE_HUGE = 2 };

extern struct fake_range fake_ranges[RANGES_MAX];

/* The range that holds all of this, for a call that needs it committed or not. */
struct fake_range *fake_range_of(const void *base, size_t size_bytes, bool committed);

/* The number of an address's page in its range. */
size_t fake_first_page(const struct fake_range *range, const void *base);

/* Of a range's pages, those that something has touched or populated. */
size_t fake_present_pages(const unsigned char *base, size_t size_bytes);

/* Where a page goes by its range's policy, or to the last node when that is full. */
int fake_choose_node(const struct fake_range *range, size_t page);

/* What a file below the folder of nodes says: nodes in a row, CPU n on node n. */
ssize_t fake_read_node_file(const char *name, char *text, size_t size_bytes);

/* Keep the faults counted that were taken by pages about to go. */
void fake_forget_faults(const unsigned char *base, size_t size_bytes);

/* Populate part of a pool's range; `error` when the pools have too few pages. */
int fake_pool_populate(struct fake_range *range, unsigned char *base, size_t size_bytes, int error);

/* What a file of a pool says. */
ssize_t fake_read_pool_file(const char *path, char *text, size_t size_bytes);
/* Pages that have become present by any thread, ever. */
uint64_t fake_faults(void);

/* Those by the calling thread. */
uint64_t fake_thread_faults(void);

/* Let the other threads make one call each, in the order of their starts, before this one goes on.
 */
void fake_threads_switch(void);

/* Forget the calling thread's faults; no other thread may be there. */
void fake_threads_reset(void);

#endif
