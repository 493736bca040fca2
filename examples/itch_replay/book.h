/*
 * The order books of all stocks, kept up to date by ITCH messages.
 *
 * Each stock has a buying and a selling side of price levels (level.h), each level a queue of
 * orders, oldest first. An order is found by its reference in one hash table for all stocks. All
 * memory comes from a `struct book_memory`, so the same books run on any kind of memory, and once
 * they are created they ask it for nothing but orders and levels.
 */
#ifndef BOOK_H
#define BOOK_H

#include <stddef.h>
#include <stdint.h>

#include "level.h"

/* ---------------------------------------------------------------------------------------- types */

struct order {
    uint64_t reference;    /* names it in messages */
    struct level *level;   /* where it waits */
    struct order *earlier; /* neighbour in the queue, or NULL */
    struct order *later;   /* likewise */
    struct order *chain;   /* next order in the same bucket of the hash table */
    uint32_t shares;       /* still to be had; never 0 */
    uint16_t locate;       /* number of its stock */
    uint8_t side;          /* enum side_name */
};

/* What the books take and give back while messages come in. */
enum book_object { BOOK_ORDER, BOOK_LEVEL, BOOK_OBJECT_COUNT };

extern const size_t book_object_bytes[BOOK_OBJECT_COUNT];

/* Where the books live. The functions get the memory itself as their first argument. */
struct book_memory {
    /* Zeroed memory for a table; asked for at creation only. Returns NULL when there is none. */
    void *(*take_table)(struct book_memory *memory, size_t size_bytes);
    void (*give_table)(struct book_memory *memory, void *table);
    /* An order or a level, of any content. Returns NULL when there is none. */
    void *(*take)(struct book_memory *memory, enum book_object kind);
    void (*give)(struct book_memory *memory, enum book_object kind, void *object);
};

/* How much the books must be able to hold at one time. */
struct book_capacity {
    uint64_t counts[BOOK_OBJECT_COUNT]; /* orders and levels */
    uint32_t locates;                   /* stocks are numbered below this */
};

/* What has gone in, and what should not have. A file that begins in the middle of a day has many
 * references that it never introduced; they change nothing and are counted. */
struct book_counts {
    uint64_t by_type[256];       /* messages, by their letter */
    uint64_t unknown_references; /* an order that is not there is executed, changed or deleted */
    uint64_t known_references;   /* an order is added that is there already */
    uint64_t excess_shares;      /* more shares are executed or cancelled than the order has */
    uint64_t unknown_locates;    /* a stock beyond the capacity */
};

struct book {
    struct side sides[2]; /* by enum side_name */
};

struct books {
    struct book *by_locate;           /* a book for each number of a stock */
    struct order **buckets;           /* the hash table */
    unsigned bucket_shift;            /* 64 - log2 of the number of buckets */
    uint32_t locates;                 /* length of by_locate */
    struct book_memory *memory;       /* the caller's */
    uint64_t live[BOOK_OBJECT_COUNT]; /* orders and levels there are */
    uint64_t peak[BOOK_OBJECT_COUNT]; /* the most there ever were */
    struct book_counts counts;        /* of messages */
};

/* ------------------------------------------------------------------------------ create, destroy */

/* Create empty books. Returns 0, or -ENOMEM: then there is nothing to destroy. */
int books_create(struct books *books, struct book_memory *memory,
                 const struct book_capacity *capacity);

/* Give everything back to the memory it came from. Peaks and counts can still be read. */
void books_destroy(struct books *books);

/* Size of the two tables that books_create asks for. */
size_t books_table_bytes(const struct book_capacity *capacity);

/* --------------------------------------------------------------------------------------- update */

/* Apply one checked message; one that concerns no book is only counted.
 * Returns 0, or -ENOMEM: the memory gave no order or level, and the message is lost. */
int books_apply(struct books *books, const uint8_t *message);

/* -------------------------------------------------------------------------------------- queries */

/* Find an order. Returns NULL when there is none of that reference. */
struct order *books_find(const struct books *books, uint64_t reference);

/* The best level of a stock's side, or NULL. */
static inline const struct level *books_best(const struct books *books, uint32_t locate,
                                             enum side_name side)
{
    return locate < books->locates ? books->by_locate[locate].sides[side].best : NULL;
}

/* Price of a level of that side. */
static inline uint32_t level_price(const struct level *level, enum side_name side)
{
    return level_rank(side, level->rank);
}

/* Messages that did not fit the books. */
uint64_t books_anomalies(const struct books *books);

/* One number for all that the books hold: stocks, sides and prices in order, and each queue's
 * references and shares in the order in which they trade. */
uint64_t books_checksum(const struct books *books);

#endif
