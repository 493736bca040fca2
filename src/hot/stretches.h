/*
 * A few stretches of the fault ring, to tell later which records lie in them.
 */
#ifndef ZF_HOT_STRETCHES_H
#define ZF_HOT_STRETCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZF_HOT_STRETCHES 8 /* that are told apart; more are merged */

struct zf_hot_stretches {
    size_t count;
    struct {
        uint64_t from;
        uint64_t to;
    } items[ZF_HOT_STRETCHES]; /* in order */
};

/* Add what lies between two heads, the latest so far. What ended before `oldest` is forgotten;
 * when there are too many, the last one grows to cover what lies between. */
void zf_hot_stretches_add(struct zf_hot_stretches *stretches, uint64_t from, uint64_t to,
                          uint64_t oldest);

/* Does a position lie in one of them? */
bool zf_hot_stretches_have(const struct zf_hot_stretches *stretches, uint64_t position);

#endif
