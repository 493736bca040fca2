/* Checked arithmetic on sizes and addresses. Each function says what it does when the result does
 * not fit. */
#ifndef ZF_BASE_ARITH_H
#define ZF_BASE_ARITH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

static inline bool zf_is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* Round down; `alignment` is a power of two. */
static inline size_t zf_align_down(size_t value, size_t alignment)
{
    ZF_ASSERT(zf_is_power_of_two(alignment));
    return value & ~(alignment - 1);
}

/* Round up; false, and `*out` untouched, when the result does not fit. */
static inline bool zf_align_up(size_t value, size_t alignment, size_t *out)
{
    size_t sum;
    ZF_ASSERT(zf_is_power_of_two(alignment));
    if (__builtin_add_overflow(value, alignment - 1, &sum))
        return false;
    *out = sum & ~(alignment - 1);
    return true;
}

static inline size_t zf_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t zf_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
