/*
 * The order books: small scenes with every message that changes them, who trades first, and what
 * happens to messages that do not fit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "messages.h"
#include "plain.h"

static const struct book_capacity small = {.counts = {16, 16}, .locates = 4};

static int create(void **state)
{
    struct books *books = calloc(1, sizeof *books);
    *state = books;
    return books == NULL ? -1 : books_create(books, &plain_memory, &small);
}

static int destroy(void **state)
{
    books_destroy(*state);
    free(*state);
    return 0;
}

static void apply(struct books *books, struct message message)
{
    assert_int_equal(books_apply(books, message.bytes), 0);
}

/* The side of stock 1 as text: "price:reference*shares reference*shares | price:..." from the best
 * level on, each queue from its oldest order on. */
static const char *scene(const struct books *books, enum side_name side)
{
    static char text[400];
    int used = 0;
    text[0] = '\0';
    for (const struct level *level = books_best(books, 1, side); level != NULL;
         level = level->worse) {
        uint64_t shares = 0;
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%u:", used > 0 ? " | " : "",
                         level_price(level, side));
        for (const struct order *order = level->first; order != NULL; order = order->later) {
            used += snprintf(text + used, sizeof text - (size_t)used, "%s%u*%u",
                             order == level->first ? "" : " ", (unsigned)order->reference,
                             order->shares);
            shares += order->shares;
        }
        assert_int_equal(level->shares, shares);
    }
    return text;
}

/* Three orders to buy at 100, one at 101, two to sell at 102 and 103. */
static struct books *stage(void **state)
{
    struct books *books = *state;
    apply(books, message_add(1, 11, 'B', 500, 100));
    apply(books, message_add(1, 12, 'B', 300, 100));
    apply(books, message_add(1, 13, 'B', 200, 100));
    apply(books, message_add(1, 14, 'B', 100, 101));
    apply(books, message_add(1, 21, 'S', 400, 103));
    apply(books, message_add(1, 22, 'S', 700, 102));
    return books;
}

/* --------------------------------------------------------------------------------- each message */

static void added_orders_queue_by_price_then_time(void **state)
{
    struct books *books = stage(state);
    assert_string_equal(scene(books, SIDE_BUY), "101:14*100 | 100:11*500 12*300 13*200");
    assert_string_equal(scene(books, SIDE_SELL), "102:22*700 | 103:21*400");
}

static void attributed_add_is_an_add(void **state)
{
    struct books *books = *state;
    struct message message = message_add(1, 1, 'S', 10, 50);
    message.bytes[0] = 'F';
    apply(books, message);
    assert_string_equal(scene(books, SIDE_SELL), "50:1*10");
}

static void execution_in_part_keeps_the_place(void **state)
{
    struct books *books = stage(state);
    apply(books, message_executed(11, 499));
    assert_string_equal(scene(books, SIDE_BUY), "101:14*100 | 100:11*1 12*300 13*200");
}

static void execution_of_all_removes_the_order(void **state)
{
    struct books *books = stage(state);
    apply(books, message_executed(11, 500));
    assert_string_equal(scene(books, SIDE_BUY), "101:14*100 | 100:12*300 13*200");
    assert_null(books_find(books, 11));
}

static void execution_of_the_last_order_removes_the_level(void **state)
{
    struct books *books = stage(state);
    apply(books, message_executed(14, 100));
    assert_string_equal(scene(books, SIDE_BUY), "100:11*500 12*300 13*200");
    assert_int_equal(books->live[BOOK_LEVEL], 3);
}

static void execution_at_another_price_reduces_the_order_where_it_is(void **state)
{
    struct books *books = stage(state);
    apply(books, message_executed_with_price(12, 100, 99));
    assert_string_equal(scene(books, SIDE_BUY), "101:14*100 | 100:11*500 12*200 13*200");
}

static void cancel_in_part_keeps_the_place(void **state)
{
    struct books *books = stage(state);
    apply(books, message_cancel(11, 100));
    apply(books, message_cancel(12, 299));
    assert_string_equal(scene(books, SIDE_BUY), "101:14*100 | 100:11*400 12*1 13*200");
}

static void delete_removes_from_start_middle_and_end_of_a_queue(void **state)
{
    struct books *books = stage(state);
    apply(books, message_delete(12));
    assert_string_equal(scene(books, SIDE_BUY), "101:14*100 | 100:11*500 13*200");
    apply(books, message_delete(13));
    assert_string_equal(scene(books, SIDE_BUY), "101:14*100 | 100:11*500");
    apply(books, message_delete(14));
    apply(books, message_delete(11));
    assert_string_equal(scene(books, SIDE_BUY), "");
    assert_string_equal(scene(books, SIDE_SELL), "102:22*700 | 103:21*400");
}

static void replace_loses_the_place_even_at_the_same_price(void **state)
{
    struct books *books = stage(state);
    apply(books, message_replace(11, 31, 500, 100));
    assert_string_equal(scene(books, SIDE_BUY), "101:14*100 | 100:12*300 13*200 31*500");
    assert_null(books_find(books, 11));
}

static void replace_moves_to_a_new_price_on_the_same_side(void **state)
{
    struct books *books = stage(state);
    apply(books, message_replace(22, 32, 50, 104));
    assert_string_equal(scene(books, SIDE_SELL), "103:21*400 | 104:32*50");
    apply(books, message_replace(32, 33, 60, 101));
    assert_string_equal(scene(books, SIDE_SELL), "101:33*60 | 103:21*400");
    assert_int_equal(books->live[BOOK_ORDER], 6);
}

static void trade_of_a_hidden_order_changes_no_book(void **state)
{
    struct books *books = stage(state);
    uint64_t before = books_checksum(books);
    struct itch_trade trade = {.side = 'B'};
    itch_store(trade.reference, 11);
    itch_store(trade.shares, 100);
    apply(books, message_of(&trade, 'P', 1));
    assert_int_equal(books_checksum(books), before);
    assert_int_equal(books->counts.by_type['P'], 1);
    assert_int_equal(books_anomalies(books), 0);
}

static void messages_of_other_kinds_are_counted_only(void **state)
{
    static const char types[] = "SRHYLVWKJhQBINO";
    struct books *books = stage(state);
    uint64_t before = books_checksum(books);
    uint8_t zeros[ITCH_MESSAGE_BYTES_MAX] = {0};
    for (const char *type = types; *type != '\0'; ++type) {
        apply(books, message_of(zeros, (uint8_t)*type, 1));
        assert_int_equal(books->counts.by_type[(uint8_t)*type], 1);
    }
    assert_int_equal(books_checksum(books), before);
}

static void stocks_have_books_of_their_own(void **state)
{
    struct books *books = stage(state);
    apply(books, message_add(2, 41, 'B', 10, 999));
    apply(books, message_add(0, 42, 'S', 10, 1));
    assert_string_equal(scene(books, SIDE_BUY), "101:14*100 | 100:11*500 12*300 13*200");
    assert_int_equal(level_price(books_best(books, 2, SIDE_BUY), SIDE_BUY), 999);
    assert_null(books_best(books, 2, SIDE_SELL));
    assert_null(books_best(books, 3, SIDE_SELL));
    assert_null(books_best(books, 4, SIDE_SELL));
}

static void extreme_prices_are_prices(void **state)
{
    struct books *books = *state;
    apply(books, message_add(1, 1, 'B', 1, 0));
    apply(books, message_add(1, 2, 'B', 1, UINT32_MAX));
    apply(books, message_add(1, 3, 'S', 1, UINT32_MAX));
    apply(books, message_add(1, 4, 'S', 1, 0));
    assert_string_equal(scene(books, SIDE_BUY), "4294967295:2*1 | 0:1*1");
    assert_string_equal(scene(books, SIDE_SELL), "0:4*1 | 4294967295:3*1");
}

/* ------------------------------------------------------------------------------------ anomalies */

static void unknown_references_change_nothing_and_are_counted(void **state)
{
    struct books *books = stage(state);
    uint64_t before = books_checksum(books);
    apply(books, message_executed(99, 1));
    apply(books, message_executed_with_price(99, 1, 1));
    apply(books, message_cancel(99, 1));
    apply(books, message_delete(99));
    apply(books, message_replace(99, 100, 1, 1));
    assert_int_equal(books->counts.unknown_references, 5);
    assert_int_equal(books_anomalies(books), 5);
    assert_int_equal(books_checksum(books), before);
    assert_null(books_find(books, 100));
}

static void known_reference_is_not_added_twice(void **state)
{
    struct books *books = stage(state);
    apply(books, message_add(1, 11, 'S', 1, 200));
    assert_int_equal(books->counts.known_references, 1);
    assert_string_equal(scene(books, SIDE_SELL), "102:22*700 | 103:21*400");
    apply(books, message_replace(14, 11, 1, 200));
    assert_int_equal(books->counts.known_references, 2);
    assert_string_equal(scene(books, SIDE_BUY), "100:11*500 12*300 13*200");
}

static void order_may_be_replaced_by_its_own_reference(void **state)
{
    struct books *books = stage(state);
    apply(books, message_replace(11, 11, 5, 101));
    assert_string_equal(scene(books, SIDE_BUY), "101:14*100 11*5 | 100:12*300 13*200");
    assert_int_equal(books_anomalies(books), 0);
}

static void more_shares_than_there_are_remove_the_order_and_are_counted(void **state)
{
    struct books *books = stage(state);
    apply(books, message_executed(14, 101));
    apply(books, message_cancel(13, 201));
    assert_string_equal(scene(books, SIDE_BUY), "100:11*500 12*300");
    assert_int_equal(books->counts.excess_shares, 2);
}

static void stock_beyond_the_capacity_is_counted(void **state)
{
    struct books *books = *state;
    apply(books, message_add(4, 1, 'B', 1, 1));
    assert_int_equal(books->counts.unknown_locates, 1);
    assert_int_equal(books->live[BOOK_ORDER], 0);
}

/* --------------------------------------------------------------------------------------- memory */

/* Plain memory that gives only so many objects, and counts what is out. */
struct limited_memory {
    struct book_memory books; /* the first field */
    int left;                 /* objects still to be had */
    int out;                  /* tables and objects taken and not given back */
};

static void *limited_take_table(struct book_memory *memory, size_t size_bytes)
{
    struct limited_memory *limited = (struct limited_memory *)memory;
    if (limited->left == 0)
        return NULL;
    limited->left -= 1;
    limited->out += 1;
    return calloc(1, size_bytes);
}

static void *limited_take(struct book_memory *memory, enum book_object kind)
{
    return limited_take_table(memory, book_object_bytes[kind]);
}

static void limited_give_table(struct book_memory *memory, void *table)
{
    ((struct limited_memory *)memory)->out -= 1;
    free(table);
}

static void limited_give(struct book_memory *memory, enum book_object kind, void *object)
{
    assert_in_range(kind, 0, BOOK_OBJECT_COUNT - 1);
    limited_give_table(memory, object);
}

static struct limited_memory limited_to(int left)
{
    return (struct limited_memory){
        .books = {limited_take_table, limited_give_table, limited_take, limited_give},
        .left = left,
    };
}

static void message_that_finds_no_memory_leaves_no_trace(void **state)
{
    (void)state;
    for (int left = 2; left < 6; ++left) {
        struct limited_memory memory = limited_to(left);
        struct books books;
        assert_int_equal(books_create(&books, &memory.books, &small), 0);
        /* Two tables are out. The first order takes two objects, the second, at another price,
         * two more. */
        int first = books_apply(&books, message_add(1, 1, 'B', 1, 1).bytes);
        int second = books_apply(&books, message_add(1, 2, 'B', 1, 2).bytes);
        assert_int_equal(first, left < 4 ? -ENOMEM : 0);
        assert_int_equal(second, -ENOMEM);
        assert_string_equal(scene(&books, SIDE_BUY), left < 4 ? "" : "1:1*1");
        assert_int_equal(memory.out, left < 4 ? 2 : 4);
        books_destroy(&books);
        assert_int_equal(memory.out, 0);
    }
}

static void books_without_tables_are_refused_and_leak_nothing(void **state)
{
    (void)state;
    for (int left = 0; left < 2; ++left) {
        struct limited_memory memory = limited_to(left);
        struct books books;
        assert_int_equal(books_create(&books, &memory.books, &small), -ENOMEM);
        assert_int_equal(memory.out, 0);
    }
}

static void peaks_tell_what_the_books_needed(void **state)
{
    struct books *books = stage(state);
    for (uint64_t reference = 11; reference <= 14; ++reference)
        apply(books, message_delete(reference));
    assert_int_equal(books->live[BOOK_ORDER], 2);
    assert_int_equal(books->live[BOOK_LEVEL], 2);
    assert_int_equal(books->peak[BOOK_ORDER], 6);
    assert_int_equal(books->peak[BOOK_LEVEL], 4);
}

/* ------------------------------------------------------------------------------------- checksum */

static void checksum_tells_books_apart(void **state)
{
    struct books *books = stage(state);
    uint64_t start = books_checksum(books);
    uint64_t queue, shares;
    apply(books, message_replace(11, 31, 500, 100));
    apply(books, message_replace(31, 11, 500, 100)); /* same orders, another queue */
    queue = books_checksum(books);
    assert_true(queue != start);
    apply(books, message_cancel(11, 1));
    shares = books_checksum(books);
    assert_true(shares != queue);
    apply(books, message_delete(11));
    apply(books, message_add(2, 11, 'B', 499, 100)); /* same order, another stock */
    assert_true(books_checksum(books) != shares);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(added_orders_queue_by_price_then_time),
        SCENE(attributed_add_is_an_add),
        SCENE(execution_in_part_keeps_the_place),
        SCENE(execution_of_all_removes_the_order),
        SCENE(execution_of_the_last_order_removes_the_level),
        SCENE(execution_at_another_price_reduces_the_order_where_it_is),
        SCENE(cancel_in_part_keeps_the_place),
        SCENE(delete_removes_from_start_middle_and_end_of_a_queue),
        SCENE(replace_loses_the_place_even_at_the_same_price),
        SCENE(replace_moves_to_a_new_price_on_the_same_side),
        SCENE(trade_of_a_hidden_order_changes_no_book),
        SCENE(messages_of_other_kinds_are_counted_only),
        SCENE(stocks_have_books_of_their_own),
        SCENE(extreme_prices_are_prices),
        SCENE(unknown_references_change_nothing_and_are_counted),
        SCENE(known_reference_is_not_added_twice),
        SCENE(order_may_be_replaced_by_its_own_reference),
        SCENE(more_shares_than_there_are_remove_the_order_and_are_counted),
        SCENE(stock_beyond_the_capacity_is_counted),
        cmocka_unit_test(message_that_finds_no_memory_leaves_no_trace),
        cmocka_unit_test(books_without_tables_are_refused_and_leak_nothing),
        SCENE(peaks_tell_what_the_books_needed),
        SCENE(checksum_tells_books_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
