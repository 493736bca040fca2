/*
 * General-purpose allocators to compare with, each called by its own name beside the C library's.
 *
 * A peer that was not there when the bench was built is absent: its rows are left out, with the
 * reason.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stddef.h>

/* One allocator. All are called through these pointers, the C library's too, so that the call
 * costs the same. */
struct peer {
    const char *name;
    void *(*allocate)(size_t size_bytes);
    void (*release)(void *start);
    const char *left_out; /* why it is absent, or NULL */
};

#define PEER_COUNT 4

/* Find the allocators; peers[0] is the C library's and always there. */
void peer_find(struct peer peers[PEER_COUNT]);

#endif
