/*
 * The durations of a timed section, one histogram per thread.
 */
#ifndef ZF_HOT_DURATIONS_H
#define ZF_HOT_DURATIONS_H

#include "hot/thread.h"

/* Give the tally a histogram in warm memory of its own; without memory the section stays untimed,
 * and the query says so. */
void zf_hot_durations_open(struct zf_hot_tally *tally);

/* Add what the tally has to another histogram. Its thread may be adding to it meanwhile; then the
 * entry under way may be missing. */
void zf_hot_durations_add(struct hot_histogram *into, const struct zf_hot_tally *tally);

/* Give it back. */
void zf_hot_durations_close(struct zf_hot_tally *tally);

#endif
