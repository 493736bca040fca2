/*
 * An invented trading day as a stream of ITCH messages.
 */
#ifndef SESSION_H
#define SESSION_H

#include <stdint.h>
#include <stdio.h>

#define SESSION_STOCKS_MAX 10000

struct session_options {
    uint64_t seed;     /* the same numbers give the same bytes */
    uint64_t messages; /* in all */
    uint32_t stocks;   /* at most SESSION_STOCKS_MAX */
};

/* The fewest messages of a day: its opening and closing for that many stocks. */
uint64_t session_messages_min(uint32_t stocks);

/* Write the day. Returns 0; -ENOMEM; or -errno of a failed write. */
int session_write(const struct session_options *options, FILE *out);

#endif
