/*
 * A pair of begin and end in a file that is compiled with ZEROFAULT_HOT_OFF.
 */
#ifndef BENCH_GUARD_OFF_H
#define BENCH_GUARD_OFF_H

#include <stddef.h>
#include <stdint.h>

struct hot_section;

/* So many pairs. Returns the sum of what the ends returned. */
uint64_t guard_off_pairs(struct hot_section *section, size_t operations);

#endif
