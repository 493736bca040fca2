/*
 * The invented day.
 *
 * It keeps the order books of all its stocks while it writes, with the same code that a reader
 * uses: so executions hit the oldest order at the best price, no order crosses the book, and
 * every reference is to an order that is there. Only whole numbers are used, so a seed gives the
 * same bytes everywhere. The mix per thousand messages is that of a busy day: most orders are
 * deleted soon after they came, a few per cent trade, and a little more stays than goes. Activity
 * is Zipf-distributed over the stocks and comes in bursts of one stock at a microsecond's
 * distance. The sizes and prices are not those of any real stock.
 */
#include "session.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "itch.h"
#include "plain.h"

#define TICK 100u /* one cent */
#define SECOND_NS UINT64_C(1000000000)
#define HOUR_NS (3600 * SECOND_NS)
#define OPENING_NS (9 * HOUR_NS + HOUR_NS / 2)
#define CLOSING_NS (16 * HOUR_NS)

#define OPENING_PER_STOCK 3u /* R, H and Y */
#define OPENING_EVENTS 3u    /* start of messages, of system hours, of market hours */
#define CLOSING_EVENTS 3u    /* and their ends */

/* Messages per thousand; what is left of the thousand adds orders. */
enum {
    SHARE_DELETE = 395,
    SHARE_REPLACE = 80,
    SHARE_EXECUTE = 50,
    SHARE_CANCEL = 20,
    SHARE_TRADE = 5
};

struct market {
    uint64_t random;         /* state of the generator */
    FILE *out;               /* the caller's */
    struct books books;      /* as a reader of `out` has them now */
    uint32_t stocks;         /* numbered from 1 */
    uint32_t *mid;           /* price of each stock that its orders gather around */
    uint64_t *weight_sum;    /* of this stock and those before it, for the Zipf choice */
    uint64_t *recent;        /* references of live orders and some dead ones, newest last */
    uint64_t recent_count;   /* of them */
    uint64_t last_reference; /* the last one given */
    uint64_t last_match;     /* likewise, of executions and trades */
    uint64_t now_ns;         /* since midnight */
    uint64_t calm_gap_ns;    /* mean time between messages outside of bursts */
    uint32_t burst_left;     /* messages until the burst ends */
    uint32_t burst_locate;   /* its stock */
    int error;               /* 0, or -errno of the first failure */
};

/* ----------------------------------------------------------------------------------- randomness */

/* SplitMix64 (Steele, Lea and Flood, 2014): a counter and a mixing function. */
static uint64_t random_word(struct market *market)
{
    uint64_t word = market->random += UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

/* A number below `limit`. */
static uint32_t random_below(struct market *market, uint32_t limit)
{
    return (uint32_t)((random_word(market) >> 32) * limit >> 32);
}

/* A number below 2^bits, small ones far more often than large ones. */
static uint32_t random_small(struct market *market, uint32_t bits)
{
    return random_below(market, 1u << random_below(market, bits + 1));
}

static bool one_in(struct market *market, uint32_t count)
{
    return random_below(market, count) == 0;
}

/* A stock by its weight: the k-th has 1/k of the first one's. */
static uint32_t random_locate(struct market *market)
{
    uint64_t point = random_word(market) % market->weight_sum[market->stocks];
    uint32_t low = 1;
    uint32_t high = market->stocks;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (point < market->weight_sum[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* --------------------------------------------------------------------------------------- output */

/* Fill in the part that all messages have, put the length before it, and let the books follow. */
static void write_message(struct market *market, void *message, uint8_t type, uint32_t locate)
{
    struct itch_header *header = message;
    struct itch_u16 length;
    header->type = type;
    itch_store(header->locate, locate);
    itch_store(header->tracking, 0);
    itch_store(header->timestamp, market->now_ns);
    itch_store(length, itch_length(type));
    if (market->error != 0)
        return;
    if (fwrite(&length, sizeof length, 1, market->out) != 1 ||
        fwrite(message, itch_length(type), 1, market->out) != 1)
        market->error = errno != 0 ? -errno : -EIO;
    else
        market->error = books_apply(&market->books, message);
}

static void write_event(struct market *market, uint64_t time_ns, uint8_t event)
{
    struct itch_system_event message = {.event = event};
    market->now_ns = time_ns;
    write_message(market, &message, 'S', 0);
}

/* ZAAA for the first stock, ZAAB for the second: no listed company has such a name. */
static struct itch_stock stock_name(uint32_t locate)
{
    struct itch_stock stock;
    uint32_t rest = locate - 1;
    memset(stock.name, ' ', sizeof stock.name);
    stock.name[0] = 'Z';
    for (int i = 3; i >= 1; --i, rest /= 26)
        stock.name[i] = (char)('A' + rest % 26);
    return stock;
}

static void write_directory(struct market *market, uint32_t locate)
{
    struct itch_stock_directory message = {
        .stock = stock_name(locate),
        .market_category = 'Q',
        .financial_status = 'N',
        .round_lots_only = 'N',
        .issue_classification = 'C',
        .issue_sub_type = {'Z', ' '},
        .authenticity = 'P',
        .short_sale_threshold = 'N',
        .ipo_flag = 'N',
        .price_band_tier = '2',
        .etp_flag = 'N',
        .inverse = 'N',
    };
    itch_store(message.round_lot, 100);
    market->now_ns += 1000 + random_below(market, 2000);
    write_message(market, &message, 'R', locate);
}

/* The two types that a real day has after the directory and that change no book. */
static void write_status(struct market *market, uint32_t locate)
{
    const struct itch_stock stock = stock_name(locate);
    uint8_t action[25] = {0};
    uint8_t short_sale[20] = {0};
    memcpy(action + sizeof(struct itch_header), &stock, sizeof stock);
    memset(action + sizeof(struct itch_header) + sizeof stock, ' ', 6);
    action[sizeof(struct itch_header) + sizeof stock] = 'T';
    write_message(market, action, 'H', locate);
    memcpy(short_sale + sizeof(struct itch_header), &stock, sizeof stock);
    short_sale[19] = '0';
    write_message(market, short_sale, 'Y', locate);
}

/* -------------------------------------------------------------------------------------- choices */

/* The stock of the next message: that of the burst under way, or any. */
static uint32_t choose_locate(struct market *market)
{
    return market->burst_left > 0 ? market->burst_locate : random_locate(market);
}

/* Mostly one round lot, sometimes several, sometimes odd. */
static uint32_t choose_shares(struct market *market)
{
    if (one_in(market, 5))
        return 1 + random_below(market, 99);
    return 100 * (1 + random_small(market, 5));
}

/* A price near the middle that does not meet the other side. */
static uint32_t choose_price(struct market *market, uint32_t locate, enum side_name side)
{
    const enum side_name other = side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
    const struct level *opposite = books_best(&market->books, locate, other);
    uint32_t *mid = &market->mid[locate];
    uint32_t away = TICK * (1 + random_small(market, 8));
    uint32_t price;
    if (one_in(market, 16))
        *mid += one_in(market, 2) ? TICK : 0u - TICK;
    if (*mid < 300 * TICK)
        *mid = 300 * TICK;
    price = side == SIDE_BUY ? *mid - away : *mid + away;
    if (opposite == NULL)
        return price;
    if (side == SIDE_BUY && price >= level_price(opposite, other))
        return level_price(opposite, other) - TICK;
    if (side == SIDE_SELL && price <= level_price(opposite, other))
        return level_price(opposite, other) + TICK;
    return price;
}

/* A live order, recent ones far more often than old ones. NULL when there is none. */
static const struct order *choose_order(struct market *market)
{
    while (market->recent_count > 0) {
        uint32_t bits = 63u - (uint32_t)__builtin_clzll(market->recent_count);
        uint64_t back = random_small(market, bits < 31 ? bits : 31);
        uint64_t *entry = &market->recent[market->recent_count - 1 - back];
        const struct order *order = books_find(&market->books, *entry);
        if (order != NULL)
            return order;
        market->recent_count -= 1;
        *entry = market->recent[market->recent_count];
    }
    return NULL;
}

/* -------------------------------------------------------------------------------------- actions */

static uint64_t new_reference(struct market *market)
{
    market->last_reference += 1 + random_below(market, 12); /* orders not displayed have some too */
    market->recent[market->recent_count++] = market->last_reference;
    return market->last_reference;
}

static void add(struct market *market)
{
    const uint32_t locate = choose_locate(market);
    const enum side_name side = one_in(market, 2) ? SIDE_BUY : SIDE_SELL;
    const bool attributed = one_in(market, 16);
    struct itch_add_attributed message = {
        .add = {.side = side == SIDE_BUY ? 'B' : 'S', .stock = stock_name(locate)},
        .attribution = {'Z', 'E', 'R', 'O'},
    };
    itch_store(message.add.reference, new_reference(market));
    itch_store(message.add.shares, choose_shares(market));
    itch_store(message.add.price, choose_price(market, locate, side));
    write_message(market, &message, attributed ? 'F' : 'A', locate);
}

static void delete_order(struct market *market, const struct order *order)
{
    struct itch_delete message;
    itch_store(message.reference, order->reference);
    write_message(market, &message, 'D', order->locate);
}

static void replace_order(struct market *market, const struct order *order)
{
    struct itch_replace message;
    itch_store(message.old_reference, order->reference);
    itch_store(message.new_reference, new_reference(market));
    itch_store(message.shares, choose_shares(market));
    itch_store(message.price, choose_price(market, order->locate, order->side));
    write_message(market, &message, 'U', order->locate);
}

static void cancel_part(struct market *market, const struct order *order)
{
    struct itch_cancel message;
    itch_store(message.reference, order->reference);
    itch_store(message.shares, 1 + random_below(market, order->shares - 1));
    write_message(market, &message, 'X', order->locate);
}

/* The oldest order at the best price trades: often all of it, at times in a cross at another
 * price. */
static void execute(struct market *market, const struct order *order, uint32_t price)
{
    const bool at_other_price = one_in(market, 5);
    uint32_t shares = one_in(market, 2) ? order->shares : 1 + random_below(market, order->shares);
    struct itch_executed_with_price message = {.printable = one_in(market, 8) ? 'N' : 'Y'};
    itch_store(message.executed.reference, order->reference);
    itch_store(message.executed.shares, shares);
    itch_store(message.executed.match, ++market->last_match);
    itch_store(message.price, price + TICK / 2);
    write_message(market, &message, at_other_price ? 'C' : 'E', order->locate);
}

static void trade_hidden(struct market *market)
{
    const uint32_t locate = choose_locate(market);
    struct itch_trade message = {.side = 'B', .stock = stock_name(locate)};
    itch_store(message.reference, 0);
    itch_store(message.shares, choose_shares(market));
    itch_store(message.price, market->mid[locate]);
    itch_store(message.match, ++market->last_match);
    write_message(market, &message, 'P', locate);
}

/* ------------------------------------------------------------------------------------------ day */

static void pass_time(struct market *market)
{
    uint64_t gap_ns;
    if (market->burst_left == 0 && one_in(market, 200)) {
        market->burst_left = 20 + random_below(market, 180);
        market->burst_locate = random_locate(market);
    }
    if (market->burst_left > 0) {
        market->burst_left -= 1;
        gap_ns = 100 + random_small(market, 11);
    } else {
        gap_ns = random_word(market) % (2 * market->calm_gap_ns + 1);
    }
    market->now_ns += gap_ns;
    if (market->now_ns > CLOSING_NS)
        market->now_ns = CLOSING_NS;
}

/* Try an execution at a random stock's best price; false when that side of its book is empty. */
static bool try_execute(struct market *market)
{
    const uint32_t locate = choose_locate(market);
    const enum side_name side = one_in(market, 2) ? SIDE_BUY : SIDE_SELL;
    const struct level *best = books_best(&market->books, locate, side);
    if (best == NULL)
        return false;
    execute(market, best->first, level_price(best, side));
    return true;
}

/* What an order is chosen for; false when it is too small for that, or there is none. */
static bool try_change(struct market *market, uint32_t chance)
{
    const struct order *order = choose_order(market);
    if (order == NULL)
        return false;
    if (chance < SHARE_DELETE)
        delete_order(market, order);
    else if (chance < SHARE_DELETE + SHARE_REPLACE)
        replace_order(market, order);
    else if (order->shares > 1)
        cancel_part(market, order);
    else
        return false;
    return true;
}

static void write_any(struct market *market)
{
    const uint32_t chance = random_below(market, 1000);
    bool written = false;
    pass_time(market);
    if (chance < SHARE_DELETE + SHARE_REPLACE + SHARE_CANCEL) {
        written = try_change(market, chance);
    } else if (chance < SHARE_DELETE + SHARE_REPLACE + SHARE_CANCEL + SHARE_EXECUTE) {
        written = try_execute(market);
    } else if (chance >= 1000 - SHARE_TRADE) {
        trade_hidden(market);
        written = true;
    }
    if (!written)
        add(market);
}

static void write_opening(struct market *market)
{
    write_event(market, 3 * HOUR_NS, 'O');
    for (uint32_t locate = 1; locate <= market->stocks; ++locate)
        write_directory(market, locate);
    for (uint32_t locate = 1; locate <= market->stocks; ++locate)
        write_status(market, locate);
    write_event(market, 4 * HOUR_NS, 'S');
    write_event(market, OPENING_NS, 'Q');
}

static void write_closing(struct market *market)
{
    write_event(market, CLOSING_NS, 'M');
    write_event(market, 20 * HOUR_NS, 'E');
    write_event(market, 20 * HOUR_NS + 300 * SECOND_NS, 'C');
}

/* --------------------------------------------------------------------------------------- market */

static int open_market(struct market *market, const struct session_options *options, FILE *out)
{
    const struct book_capacity capacity = {
        .counts = {[BOOK_ORDER] = options->messages / 16 + 1},
        .locates = options->stocks + 1,
    };
    uint64_t messages = options->messages - session_messages_min(options->stocks);
    *market = (struct market){
        .random = options->seed,
        .out = out,
        .stocks = options->stocks,
        .books = {.memory = &plain_memory},
        .mid = calloc(options->stocks + 1, sizeof *market->mid),
        .weight_sum = calloc(options->stocks + 1, sizeof *market->weight_sum),
        .recent = calloc(messages + 1, sizeof *market->recent),
        .calm_gap_ns = (CLOSING_NS - OPENING_NS) / (messages + 1) * 3 / 2,
    };
    if (market->mid == NULL || market->weight_sum == NULL || market->recent == NULL)
        return -ENOMEM;
    for (uint32_t locate = 1; locate <= options->stocks; ++locate) {
        market->mid[locate] = TICK * (1000 + random_small(market, 16));
        market->weight_sum[locate] = market->weight_sum[locate - 1] + (UINT64_C(1) << 32) / locate;
    }
    return books_create(&market->books, &plain_memory, &capacity);
}

static void close_market(struct market *market)
{
    books_destroy(&market->books);
    free(market->mid);
    free(market->weight_sum);
    free(market->recent);
}

uint64_t session_messages_min(uint32_t stocks)
{
    return OPENING_EVENTS + (uint64_t)OPENING_PER_STOCK * stocks + CLOSING_EVENTS;
}

int session_write(const struct session_options *options, FILE *out)
{
    struct market market;
    uint64_t messages = options->messages - session_messages_min(options->stocks);
    int rc = open_market(&market, options, out);
    if (rc == 0) {
        write_opening(&market);
        for (uint64_t i = 0; i < messages && market.error == 0; ++i)
            write_any(&market);
        write_closing(&market);
        rc = market.error;
    }
    close_market(&market);
    return rc;
}
