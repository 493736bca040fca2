/*
 * Price-time order books over memory of any kind.
 *
 * Invariants: every order is in one bucket and in one queue; every level has at least one order and
 * its `shares` are their sum. Hash buckets are chains through the orders, in a table of at least
 * as many buckets as there can be orders, never resized: nothing in a message's path is more than
 * O(log levels), given that references spread. Names of stocks and who sent an order are not kept.
 */
#include "book.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#include "itch.h"

const size_t book_object_bytes[BOOK_OBJECT_COUNT] = {
    [BOOK_ORDER] = sizeof(struct order),
    [BOOK_LEVEL] = sizeof(struct level),
};

static_assert(sizeof(struct order) <= 48, "four orders in three cache lines");
static_assert(sizeof(struct level) <= 64, "a level is one cache line");

/* ------------------------------------------------------------------------------ create, destroy */

/* Twice the orders, so that most chains have one; at least two, so that the shift is below 64. */
static unsigned bucket_bits(const struct book_capacity *capacity)
{
    unsigned bits = 1;
    while (bits < 40 && (UINT64_C(1) << bits) < 2 * capacity->counts[BOOK_ORDER])
        ++bits;
    return bits;
}

static size_t bucket_table_bytes(const struct book_capacity *capacity)
{
    return sizeof(struct order *) << bucket_bits(capacity);
}

static size_t locate_table_bytes(const struct book_capacity *capacity)
{
    return sizeof(struct book) * ((size_t)capacity->locates + 1);
}

size_t books_table_bytes(const struct book_capacity *capacity)
{
    return bucket_table_bytes(capacity) + locate_table_bytes(capacity);
}

static void *take_table(struct book_memory *memory, size_t size_bytes)
{
    return memory->take_table(memory, size_bytes);
}

static void give_tables(struct books *books)
{
    if (books->buckets != NULL)
        books->memory->give_table(books->memory, books->buckets);
    if (books->by_locate != NULL)
        books->memory->give_table(books->memory, books->by_locate);
    books->buckets = NULL;
    books->by_locate = NULL;
    books->locates = 0;
}

int books_create(struct books *books, struct book_memory *memory,
                 const struct book_capacity *capacity)
{
    *books = (struct books){
        .memory = memory,
        .locates = capacity->locates,
        .bucket_shift = 64 - bucket_bits(capacity),
        .buckets = take_table(memory, bucket_table_bytes(capacity)),
        .by_locate = take_table(memory, locate_table_bytes(capacity)),
    };
    if (books->buckets != NULL && books->by_locate != NULL)
        return 0;
    give_tables(books);
    return -ENOMEM;
}

static void *take(struct books *books, enum book_object kind)
{
    void *object = books->memory->take(books->memory, kind);
    if (object == NULL)
        return NULL;
    books->live[kind] += 1;
    if (books->live[kind] > books->peak[kind])
        books->peak[kind] = books->live[kind];
    return object;
}

static void give(struct books *books, enum book_object kind, void *object)
{
    books->live[kind] -= 1;
    books->memory->give(books->memory, kind, object);
}

static void give_side(struct books *books, struct side *side)
{
    while (side->best != NULL) {
        struct level *level = side->best;
        side->best = level->worse;
        while (level->first != NULL) {
            struct order *order = level->first;
            level->first = order->later;
            give(books, BOOK_ORDER, order);
        }
        give(books, BOOK_LEVEL, level);
    }
}

void books_destroy(struct books *books)
{
    for (uint32_t locate = 0; locate < books->locates; ++locate) {
        give_side(books, &books->by_locate[locate].sides[SIDE_BUY]);
        give_side(books, &books->by_locate[locate].sides[SIDE_SELL]);
    }
    give_tables(books);
}

/* ----------------------------------------------------------------------------------- references */

/* Multiplying by 2^64 divided by the golden ratio spreads the references of a day, which are nearly
 * consecutive, evenly over the upper bits. */
static struct order **bucket_of(const struct books *books, uint64_t reference)
{
    return &books->buckets[reference * UINT64_C(0x9e3779b97f4a7c15) >> books->bucket_shift];
}

struct order *books_find(const struct books *books, uint64_t reference)
{
    struct order *order = *bucket_of(books, reference);
    while (order != NULL && order->reference != reference)
        order = order->chain;
    return order;
}

static void link_reference(struct books *books, struct order *order)
{
    struct order **bucket = bucket_of(books, order->reference);
    order->chain = *bucket;
    *bucket = order;
}

static void unlink_reference(struct books *books, struct order *order)
{
    struct order **link = bucket_of(books, order->reference);
    while (*link != order)
        link = &(*link)->chain;
    *link = order->chain;
}

/* --------------------------------------------------------------------------------------- queues */

static void append_to_queue(struct level *level, struct order *order)
{
    order->level = level;
    order->earlier = level->last;
    order->later = NULL;
    if (level->last != NULL)
        level->last->later = order;
    else
        level->first = order;
    level->last = order;
    level->shares += order->shares;
}

static void remove_from_queue(struct order *order)
{
    struct level *level = order->level;
    if (order->earlier != NULL)
        order->earlier->later = order->later;
    else
        level->first = order->later;
    if (order->later != NULL)
        order->later->earlier = order->earlier;
    else
        level->last = order->earlier;
    level->shares -= order->shares;
}

/* Find the level of a price, or make it. Returns NULL when the memory has none. */
static struct level *level_at(struct books *books, struct side *side, uint32_t rank)
{
    struct level *level = side_find(side, rank);
    if (level != NULL)
        return level;
    level = take(books, BOOK_LEVEL);
    if (level == NULL)
        return NULL;
    *level = (struct level){.rank = rank};
    side_add(side, level);
    return level;
}

/* --------------------------------------------------------------------------------------- orders */

/* What an order is to be. */
struct terms {
    uint64_t reference;  /* its name; not in the books yet */
    uint32_t shares;     /* to be had */
    uint32_t price;      /* 1/10000 dollar */
    uint16_t locate;     /* of the stock; below books.locates */
    enum side_name side; /* to buy or to sell */
};

/* The memory is asked for both objects before anything is linked, so a refusal leaves no trace. */
static int enter_order(struct books *books, const struct terms *terms)
{
    struct side *side = &books->by_locate[terms->locate].sides[terms->side];
    struct order *order = take(books, BOOK_ORDER);
    struct level *level;
    if (order == NULL)
        return -ENOMEM;
    level = level_at(books, side, level_rank(terms->side, terms->price));
    if (level == NULL) {
        give(books, BOOK_ORDER, order);
        return -ENOMEM;
    }
    order->reference = terms->reference;
    order->shares = terms->shares;
    order->locate = terms->locate;
    order->side = (uint8_t)terms->side;
    append_to_queue(level, order);
    link_reference(books, order);
    return 0;
}

static void remove_order(struct books *books, struct order *order)
{
    struct level *level = order->level;
    remove_from_queue(order);
    unlink_reference(books, order);
    if (level->first == NULL) {
        side_remove(&books->by_locate[order->locate].sides[order->side], level);
        give(books, BOOK_LEVEL, level);
    }
    give(books, BOOK_ORDER, order);
}

/* Find an order that a message is about, or count that it is not there. */
static struct order *find_known(struct books *books, struct itch_u64 reference)
{
    struct order *order = books_find(books, itch_load(reference));
    if (order == NULL)
        books->counts.unknown_references += 1;
    return order;
}

/* ------------------------------------------------------------------------------------- messages */

static int add_order(struct books *books, const struct itch_add *message)
{
    const struct terms terms = {
        .reference = itch_load(message->reference),
        .shares = (uint32_t)itch_load(message->shares),
        .price = (uint32_t)itch_load(message->price),
        .locate = (uint16_t)itch_load(message->header.locate),
        .side = message->side == 'B' ? SIDE_BUY : SIDE_SELL,
    };
    if (terms.locate >= books->locates) {
        books->counts.unknown_locates += 1;
        return 0;
    }
    if (books_find(books, terms.reference) != NULL) {
        books->counts.known_references += 1;
        return 0;
    }
    return enter_order(books, &terms);
}

/* Executed in part or cancelled in part, an order keeps its place in the queue. */
static void reduce_order(struct books *books, struct itch_u64 reference, struct itch_u32 by_shares)
{
    struct order *order = find_known(books, reference);
    uint32_t shares = (uint32_t)itch_load(by_shares);
    if (order == NULL)
        return;
    if (shares >= order->shares) {
        books->counts.excess_shares += shares > order->shares;
        remove_order(books, order);
        return;
    }
    order->shares -= shares;
    order->level->shares -= shares;
}

static void delete_order(struct books *books, const struct itch_delete *message)
{
    struct order *order = find_known(books, message->reference);
    if (order != NULL)
        remove_order(books, order);
}

/* The new order goes to the end of its queue, even at the old price. The old one leaves first, so
 * that a replacement never needs more memory than there was. */
static int replace_order(struct books *books, const struct itch_replace *message)
{
    struct order *order = find_known(books, message->old_reference);
    struct terms terms;
    if (order == NULL)
        return 0;
    terms = (struct terms){
        .reference = itch_load(message->new_reference),
        .shares = (uint32_t)itch_load(message->shares),
        .price = (uint32_t)itch_load(message->price),
        .locate = order->locate,
        .side = order->side,
    };
    remove_order(books, order);
    if (books_find(books, terms.reference) != NULL) {
        books->counts.known_references += 1;
        return 0;
    }
    return enter_order(books, &terms);
}

/* C reduces an order as E does: the other price matters to those who report trades only. */
int books_apply(struct books *books, const uint8_t *message)
{
    const void *body = message;
    books->counts.by_type[message[0]] += 1;
    switch (message[0]) {
    case 'A':
    case 'F':
        return add_order(books, body);
    case 'E':
    case 'C': {
        const struct itch_executed *executed = body;
        reduce_order(books, executed->reference, executed->shares);
        return 0;
    }
    case 'X': {
        const struct itch_cancel *cancel = body;
        reduce_order(books, cancel->reference, cancel->shares);
        return 0;
    }
    case 'D':
        delete_order(books, body);
        return 0;
    case 'U':
        return replace_order(books, body);
    default:
        return 0;
    }
}

/* -------------------------------------------------------------------------------------- queries */

uint64_t books_anomalies(const struct books *books)
{
    const struct book_counts *counts = &books->counts;
    return counts->unknown_references + counts->known_references + counts->excess_shares +
           counts->unknown_locates;
}

/* FNV-1a, by words instead of bytes. */
static uint64_t mix(uint64_t sum, uint64_t word)
{
    return (sum ^ word) * UINT64_C(0x100000001b3);
}

static uint64_t mix_side(uint64_t sum, const struct side *side)
{
    for (const struct level *level = side->best; level != NULL; level = level->worse) {
        sum = mix(mix(sum, level->rank), level->shares);
        for (const struct order *order = level->first; order != NULL; order = order->later)
            sum = mix(mix(sum, order->reference), order->shares);
    }
    return sum;
}

uint64_t books_checksum(const struct books *books)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (uint32_t locate = 0; locate < books->locates; ++locate) {
        const struct book *book = &books->by_locate[locate];
        if (book->sides[SIDE_BUY].best == NULL && book->sides[SIDE_SELL].best == NULL)
            continue;
        sum = mix_side(mix(sum, locate), &book->sides[SIDE_BUY]);
        sum = mix_side(mix(sum, UINT64_C(1) << 32), &book->sides[SIDE_SELL]);
    }
    return sum;
}
