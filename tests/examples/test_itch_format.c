/*
 * ITCH 5.0's messages: every decoded type from bytes written out by hand, and every length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "itch.h"

/* Locate 0x1234, tracking 0x0005, 0x0a0b0c0d0e0f nanoseconds since midnight. */
#define HEADER(type) type, 0x12, 0x34, 0x00, 0x05, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f
#define REFERENCE 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08
#define MATCH 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x39
#define SHARES 0x00, 0x00, 0x02, 0xbc
#define STOCK 'Z', 'V', 'Z', 'Z', 'T', ' ', ' ', ' '
#define PRICE 0x00, 0x12, 0xd6, 0x87
#define REFERENCE_VALUE UINT64_C(0x0102030405060708)
#define PRICE_VALUE 1234567 /* 123.4567 dollars */

/* The bytes as the struct of their type, once the reader's checks have passed. */
static const void *checked(const uint8_t *bytes, size_t size_bytes)
{
    assert_int_equal(itch_check_frame(bytes[0], size_bytes), ITCH_MESSAGE);
    assert_int_equal(itch_check_fields(bytes), ITCH_MESSAGE);
    return bytes;
}

static void assert_header(const struct itch_header *header, char type)
{
    assert_int_equal(header->type, type);
    assert_int_equal(itch_load(header->locate), 0x1234);
    assert_int_equal(itch_load(header->tracking), 5);
    assert_int_equal(itch_load(header->timestamp), UINT64_C(0x0a0b0c0d0e0f));
}

static void system_event_is_decoded(void **state)
{
    static const uint8_t bytes[] = {HEADER('S'), 'Q'};
    const struct itch_system_event *message = checked(bytes, sizeof bytes);
    (void)state;
    assert_header(&message->header, 'S');
    assert_int_equal(message->event, 'Q');
}

static void stock_directory_is_decoded(void **state)
{
    static const uint8_t bytes[] = {HEADER('R'), STOCK, 'Q', 'N', 0,   0,   0, 100, 'Y', 'C', 'Z',
                                    ' ',         'P',   'N', 'N', '1', 'Y', 0, 0,   0,   3,   'N'};
    const struct itch_stock_directory *message = checked(bytes, sizeof bytes);
    (void)state;
    assert_header(&message->header, 'R');
    assert_memory_equal(message->stock.name, "ZVZZT   ", 8);
    assert_int_equal(message->market_category, 'Q');
    assert_int_equal(itch_load(message->round_lot), 100);
    assert_int_equal(message->price_band_tier, '1');
    assert_int_equal(itch_load(message->etp_leverage), 3);
    assert_int_equal(message->inverse, 'N');
}

static void add_is_decoded(void **state)
{
    static const uint8_t bytes[] = {HEADER('A'), REFERENCE, 'B', SHARES, STOCK, PRICE};
    const struct itch_add *message = checked(bytes, sizeof bytes);
    (void)state;
    assert_header(&message->header, 'A');
    assert_int_equal(itch_load(message->reference), REFERENCE_VALUE);
    assert_int_equal(message->side, 'B');
    assert_int_equal(itch_load(message->shares), 700);
    assert_memory_equal(message->stock.name, "ZVZZT   ", 8);
    assert_int_equal(itch_load(message->price), PRICE_VALUE);
}

static void attributed_add_is_decoded(void **state)
{
    static const uint8_t bytes[] = {HEADER('F'), REFERENCE, 'S', SHARES, STOCK,
                                    PRICE,       'M',       'P', 'I',    'D'};
    const struct itch_add_attributed *message = checked(bytes, sizeof bytes);
    (void)state;
    assert_header(&message->add.header, 'F');
    assert_int_equal(message->add.side, 'S');
    assert_int_equal(itch_load(message->add.price), PRICE_VALUE);
    assert_memory_equal(message->attribution, "MPID", 4);
}

static void execution_is_decoded(void **state)
{
    static const uint8_t bytes[] = {HEADER('E'), REFERENCE, SHARES, MATCH};
    const struct itch_executed *message = checked(bytes, sizeof bytes);
    (void)state;
    assert_header(&message->header, 'E');
    assert_int_equal(itch_load(message->reference), REFERENCE_VALUE);
    assert_int_equal(itch_load(message->shares), 700);
    assert_int_equal(itch_load(message->match), 12345);
}

static void execution_with_price_is_decoded(void **state)
{
    static const uint8_t bytes[] = {HEADER('C'), REFERENCE, SHARES, MATCH, 'N', PRICE};
    const struct itch_executed_with_price *message = checked(bytes, sizeof bytes);
    (void)state;
    assert_header(&message->executed.header, 'C');
    assert_int_equal(itch_load(message->executed.shares), 700);
    assert_int_equal(itch_load(message->executed.match), 12345);
    assert_int_equal(message->printable, 'N');
    assert_int_equal(itch_load(message->price), PRICE_VALUE);
}

static void cancel_is_decoded(void **state)
{
    static const uint8_t bytes[] = {HEADER('X'), REFERENCE, SHARES};
    const struct itch_cancel *message = checked(bytes, sizeof bytes);
    (void)state;
    assert_header(&message->header, 'X');
    assert_int_equal(itch_load(message->reference), REFERENCE_VALUE);
    assert_int_equal(itch_load(message->shares), 700);
}

static void delete_is_decoded(void **state)
{
    static const uint8_t bytes[] = {HEADER('D'), REFERENCE};
    const struct itch_delete *message = checked(bytes, sizeof bytes);
    (void)state;
    assert_header(&message->header, 'D');
    assert_int_equal(itch_load(message->reference), REFERENCE_VALUE);
}

static void replace_is_decoded(void **state)
{
    static const uint8_t bytes[] = {HEADER('U'), REFERENCE, MATCH, SHARES, PRICE};
    const struct itch_replace *message = checked(bytes, sizeof bytes);
    (void)state;
    assert_header(&message->header, 'U');
    assert_int_equal(itch_load(message->old_reference), REFERENCE_VALUE);
    assert_int_equal(itch_load(message->new_reference), 12345);
    assert_int_equal(itch_load(message->shares), 700);
    assert_int_equal(itch_load(message->price), PRICE_VALUE);
}

static void trade_is_decoded(void **state)
{
    static const uint8_t bytes[] = {HEADER('P'), REFERENCE, 'S', SHARES, STOCK, PRICE, MATCH};
    const struct itch_trade *message = checked(bytes, sizeof bytes);
    (void)state;
    assert_header(&message->header, 'P');
    assert_int_equal(itch_load(message->reference), REFERENCE_VALUE);
    assert_int_equal(message->side, 'S');
    assert_int_equal(itch_load(message->shares), 700);
    assert_int_equal(itch_load(message->price), PRICE_VALUE);
    assert_int_equal(itch_load(message->match), 12345);
}

static void stores_are_what_loads_read(void **state)
{
    struct itch_u48 field;
    (void)state;
    itch_store(field, UINT64_C(0xfedcba987654));
    assert_memory_equal(field.bytes, "\xfe\xdc\xba\x98\x76\x54", 6);
    assert_int_equal(itch_load(field), UINT64_C(0xfedcba987654));
}

/* The whole table of the specification. */
static const struct {
    char type;
    uint8_t length_bytes;
} lengths[] = {
    {'S', 12}, {'R', 39}, {'H', 25}, {'Y', 20}, {'L', 26}, {'V', 35}, {'W', 12}, {'K', 28},
    {'J', 35}, {'h', 21}, {'A', 36}, {'F', 40}, {'E', 31}, {'C', 36}, {'X', 23}, {'D', 19},
    {'U', 35}, {'P', 44}, {'Q', 40}, {'B', 19}, {'I', 50}, {'N', 20}, {'O', 48},
};

static void every_type_has_its_length_and_no_other(void **state)
{
    size_t known = 0;
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; ++i) {
        uint8_t type = (uint8_t)lengths[i].type;
        assert_int_equal(itch_length(type), lengths[i].length_bytes);
        for (size_t length_bytes = 0; length_bytes <= 256; ++length_bytes)
            assert_int_equal(itch_check_frame(type, length_bytes),
                             length_bytes == lengths[i].length_bytes ? ITCH_MESSAGE
                                                                     : ITCH_BAD_LENGTH);
    }
    for (unsigned type = 0; type < 256; ++type)
        known += itch_check_frame((uint8_t)type, 0) != ITCH_BAD_TYPE;
    assert_int_equal(known, sizeof lengths / sizeof lengths[0]);
}

static void side_that_is_neither_is_refused(void **state)
{
    uint8_t add[] = {HEADER('A'), REFERENCE, 'b', SHARES, STOCK, PRICE};
    uint8_t trade[] = {HEADER('P'), REFERENCE, 0, SHARES, STOCK, PRICE, MATCH};
    (void)state;
    assert_int_equal(itch_check_fields(add), ITCH_BAD_SIDE);
    assert_int_equal(itch_check_fields(trade), ITCH_BAD_SIDE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_event_is_decoded),
        cmocka_unit_test(stock_directory_is_decoded),
        cmocka_unit_test(add_is_decoded),
        cmocka_unit_test(attributed_add_is_decoded),
        cmocka_unit_test(execution_is_decoded),
        cmocka_unit_test(execution_with_price_is_decoded),
        cmocka_unit_test(cancel_is_decoded),
        cmocka_unit_test(delete_is_decoded),
        cmocka_unit_test(replace_is_decoded),
        cmocka_unit_test(trade_is_decoded),
        cmocka_unit_test(stores_are_what_loads_read),
        cmocka_unit_test(every_type_has_its_length_and_no_other),
        cmocka_unit_test(side_that_is_neither_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
