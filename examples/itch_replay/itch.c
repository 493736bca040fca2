/*
 * The lengths of ITCH 5.0's messages, and the checks that a reader relies on.
 *
 * The length of a decoded type is the size of its struct; the others are given as numbers. A
 * message that passes both checks can be laid over its bytes without looking at its end again.
 */
#include "itch.h"

#include <assert.h>

static_assert(sizeof(struct itch_header) == 11, "every message begins with these 11 bytes");
static_assert(sizeof(struct itch_system_event) == 12, "S");
static_assert(sizeof(struct itch_stock_directory) == 39, "R");
static_assert(sizeof(struct itch_add) == 36, "A");
static_assert(sizeof(struct itch_add_attributed) == 40, "F");
static_assert(sizeof(struct itch_executed) == 31, "E");
static_assert(sizeof(struct itch_executed_with_price) == 36, "C");
static_assert(sizeof(struct itch_cancel) == 23, "X");
static_assert(sizeof(struct itch_delete) == 19, "D");
static_assert(sizeof(struct itch_replace) == 35, "U");
static_assert(sizeof(struct itch_trade) == 44, "P");

static const uint8_t length_of_type[256] = {
    ['S'] = sizeof(struct itch_system_event),
    ['R'] = sizeof(struct itch_stock_directory),
    ['A'] = sizeof(struct itch_add),
    ['F'] = sizeof(struct itch_add_attributed),
    ['E'] = sizeof(struct itch_executed),
    ['C'] = sizeof(struct itch_executed_with_price),
    ['X'] = sizeof(struct itch_cancel),
    ['D'] = sizeof(struct itch_delete),
    ['U'] = sizeof(struct itch_replace),
    ['P'] = sizeof(struct itch_trade),
    ['H'] = 25, /* trading action */
    ['Y'] = 20, /* short sale restriction */
    ['L'] = 26, /* market participant position */
    ['V'] = 35, /* circuit breaker levels */
    ['W'] = 12, /* circuit breaker status */
    ['K'] = 28, /* quoting period of an initial offering */
    ['J'] = 35, /* auction collar */
    ['h'] = 21, /* operational halt */
    ['Q'] = 40, /* cross trade */
    ['B'] = 19, /* broken trade */
    ['I'] = 50, /* order imbalance */
    ['N'] = 20, /* retail interest */
    ['O'] = 48, /* direct listing with capital raise */
};

size_t itch_length(uint8_t type)
{
    return length_of_type[type];
}

enum itch_status itch_check_frame(uint8_t type, size_t length_bytes)
{
    if (length_of_type[type] == 0)
        return ITCH_BAD_TYPE;
    return length_of_type[type] == length_bytes ? ITCH_MESSAGE : ITCH_BAD_LENGTH;
}

static enum itch_status check_side(uint8_t side)
{
    return side == 'B' || side == 'S' ? ITCH_MESSAGE : ITCH_BAD_SIDE;
}

enum itch_status itch_check_fields(const uint8_t *message)
{
    switch (message[0]) {
    case 'A':
    case 'F':
        return check_side(((const struct itch_add *)(const void *)message)->side);
    case 'P':
        return check_side(((const struct itch_trade *)(const void *)message)->side);
    default:
        return ITCH_MESSAGE;
    }
}
