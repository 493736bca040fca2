/*
 * The four kinds of memory that the books run on, each prepared as its users prepare it.
 */
#ifndef MODES_H
#define MODES_H

#include <zerofault/zerofault.h>

#include "book.h"

#define MODE_COUNT 4
#define MODE_NOTE_BYTES 200

/* One kind of memory, prepared. Which fields are in use depends on the mode. */
struct mode_memory {
    struct book_memory books;                    /* what the books see; the first field */
    unsigned char *next;                         /* MAP_POPULATE: first free byte of the block */
    unsigned char *end;                          /* MAP_POPULATE: one past the block */
    void *freed[BOOK_OBJECT_COUNT];              /* MAP_POPULATE: last object given back */
    struct arena *arena;                         /* zerofault: everything is in it */
    struct arena_pool *pools[BOOK_OBJECT_COUNT]; /* zerofault: orders and levels */
    char note[MODE_NOTE_BYTES];                  /* what the preparation has to say, or "" */
};

struct mode {
    const char *name; /* as the table shows it */
    /* Make memory for books of this capacity ready; `memory` is zeros. Returns 0 or -errno. */
    int (*prepare)(struct mode_memory *memory, const struct book_capacity *capacity);
};

extern const struct mode modes[MODE_COUNT];

/* Find a mode by its name. Returns NULL when there is none. */
const struct mode *mode_named(const char *name);

/* Bytes of the books' tables, orders and levels together, as a block of one's own holds them. */
size_t mode_block_bytes(const struct book_capacity *capacity);

#endif
