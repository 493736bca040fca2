/*
 * ITCH messages for tests of the books: fields in, bytes out.
 */
#ifndef TESTS_EXAMPLES_MESSAGES_H
#define TESTS_EXAMPLES_MESSAGES_H

#include <string.h>

#include "itch.h"

/* One message of any type. */
struct message {
    uint8_t bytes[ITCH_MESSAGE_BYTES_MAX];
};

static inline struct message message_of(const void *body, uint8_t type, uint16_t locate)
{
    struct message message = {{0}};
    memcpy(message.bytes, body, itch_length(type));
    message.bytes[0] = type;
    itch_store_bytes(message.bytes + 1, 2, locate);
    return message;
}

static inline struct message message_add(uint16_t locate, uint64_t reference, char side,
                                         uint32_t shares, uint32_t price)
{
    struct itch_add add = {.side = (uint8_t)side};
    itch_store(add.reference, reference);
    itch_store(add.shares, shares);
    itch_store(add.price, price);
    return message_of(&add, 'A', locate);
}

static inline struct message message_executed(uint64_t reference, uint32_t shares)
{
    struct itch_executed executed = {0};
    itch_store(executed.reference, reference);
    itch_store(executed.shares, shares);
    return message_of(&executed, 'E', 1);
}

static inline struct message message_executed_with_price(uint64_t reference, uint32_t shares,
                                                         uint32_t price)
{
    struct itch_executed_with_price executed = {.printable = 'Y'};
    itch_store(executed.executed.reference, reference);
    itch_store(executed.executed.shares, shares);
    itch_store(executed.price, price);
    return message_of(&executed, 'C', 1);
}

static inline struct message message_cancel(uint64_t reference, uint32_t shares)
{
    struct itch_cancel cancel = {0};
    itch_store(cancel.reference, reference);
    itch_store(cancel.shares, shares);
    return message_of(&cancel, 'X', 1);
}

static inline struct message message_delete(uint64_t reference)
{
    struct itch_delete deleted = {0};
    itch_store(deleted.reference, reference);
    return message_of(&deleted, 'D', 1);
}

static inline struct message message_replace(uint64_t old_reference, uint64_t new_reference,
                                             uint32_t shares, uint32_t price)
{
    struct itch_replace replace = {0};
    itch_store(replace.old_reference, old_reference);
    itch_store(replace.new_reference, new_reference);
    itch_store(replace.shares, shares);
    itch_store(replace.price, price);
    return message_of(&replace, 'U', 1);
}

#endif
