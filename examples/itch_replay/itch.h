/*
 * NASDAQ TotalView-ITCH 5.0: the messages, read where they lie.
 *
 * Each message is a struct of byte arrays, so it has no padding, needs no alignment and can be laid
 * over the file's bytes; numbers are big-endian and come out through itch_load. The types that do
 * not touch a book are known by their length only.
 */
#ifndef ITCH_H
#define ITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -------------------------------------------------------------------------------------- numbers */

struct itch_u16 {
    uint8_t bytes[2];
};
struct itch_u32 {
    uint8_t bytes[4];
};
struct itch_u48 {
    uint8_t bytes[6];
};
struct itch_u64 {
    uint8_t bytes[8];
};

/* Compilers turn the loop over a constant width into one load and one byte swap. */
static inline uint64_t itch_load_bytes(const uint8_t *bytes, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; ++i)
        value = value << 8 | bytes[i];
    return value;
}

static inline void itch_store_bytes(uint8_t *bytes, size_t width, uint64_t value)
{
    for (size_t i = width; i > 0; --i, value >>= 8)
        bytes[i - 1] = (uint8_t)value;
}

/* The value of a field, or a field's new value; a field is any of the structs above. */
#define itch_load(field) itch_load_bytes((field).bytes, sizeof(field).bytes)
#define itch_store(field, value) itch_store_bytes((field).bytes, sizeof(field).bytes, value)

/* ------------------------------------------------------------------------------------- messages */

struct itch_header {
    uint8_t type;
    struct itch_u16 locate;    /* number of the stock, this day */
    struct itch_u16 tracking;  /* the exchange's own */
    struct itch_u48 timestamp; /* nanoseconds since midnight */
};

struct itch_stock {
    char name[8]; /* padded with spaces on the right */
};

struct itch_system_event { /* S */
    struct itch_header header;
    uint8_t event; /* O, S, Q, M, E, C: start and end of messages, system hours, market hours */
};

struct itch_stock_directory { /* R */
    struct itch_header header;
    struct itch_stock stock;
    uint8_t market_category;
    uint8_t financial_status;
    struct itch_u32 round_lot;
    uint8_t round_lots_only;
    uint8_t issue_classification;
    uint8_t issue_sub_type[2];
    uint8_t authenticity;
    uint8_t short_sale_threshold;
    uint8_t ipo_flag;
    uint8_t price_band_tier;
    uint8_t etp_flag;
    struct itch_u32 etp_leverage;
    uint8_t inverse;
};

struct itch_add { /* A */
    struct itch_header header;
    struct itch_u64 reference; /* names the order until it is gone */
    uint8_t side;              /* B buy, S sell */
    struct itch_u32 shares;
    struct itch_stock stock;
    struct itch_u32 price; /* 1/10000 dollar, as all prices here */
};

struct itch_add_attributed { /* F */
    struct itch_add add;
    uint8_t attribution[4];
};

struct itch_executed { /* E: at the order's own price */
    struct itch_header header;
    struct itch_u64 reference;
    struct itch_u32 shares;
    struct itch_u64 match;
};

struct itch_executed_with_price { /* C: at another price */
    struct itch_executed executed;
    uint8_t printable; /* N: the shares are also part of a later cross; do not count them twice */
    struct itch_u32 price;
};

struct itch_cancel { /* X: a part of the order */
    struct itch_header header;
    struct itch_u64 reference;
    struct itch_u32 shares;
};

struct itch_delete { /* D: all of the order */
    struct itch_header header;
    struct itch_u64 reference;
};

struct itch_replace { /* U: same stock and side, the rest is new */
    struct itch_header header;
    struct itch_u64 old_reference;
    struct itch_u64 new_reference;
    struct itch_u32 shares;
    struct itch_u32 price;
};

struct itch_trade { /* P: an order that was never displayed; no book changes */
    struct itch_header header;
    struct itch_u64 reference;
    uint8_t side;
    struct itch_u32 shares;
    struct itch_stock stock;
    struct itch_u32 price;
    struct itch_u64 match;
};

#define ITCH_MESSAGE_BYTES_MAX 50 /* type I */

/* ----------------------------------------------------------------------------------- validation */

/* What became of an attempt to read a message. */
enum itch_status {
    ITCH_MESSAGE = 0, /* here it is */
    ITCH_END,         /* no more */
    ITCH_CUT,         /* the file ends inside a message */
    ITCH_BAD_TYPE,    /* ITCH 5.0 has no such type */
    ITCH_BAD_LENGTH,  /* the length field is not that type's */
    ITCH_BAD_SIDE,    /* neither B nor S */
    ITCH_BAD_END,     /* length 0, which ends a file, in its middle */
    ITCH_EMPTY,       /* a file of no bytes */
    ITCH_GZIP,        /* compressed */
    ITCH_NOT_ITCH,    /* begins as no ITCH file does */
    ITCH_UNREADABLE   /* the system said why, in errno */
};

/* Length of a type of message, 0 when there is no such type. */
size_t itch_length(uint8_t type);

/* Check that a message of this type has this length.
 * Returns ITCH_MESSAGE, ITCH_BAD_TYPE or ITCH_BAD_LENGTH. */
enum itch_status itch_check_frame(uint8_t type, size_t length_bytes);

/* Check the fields of a whole message. Returns ITCH_MESSAGE or ITCH_BAD_SIDE. */
enum itch_status itch_check_fields(const uint8_t *message);

#endif
