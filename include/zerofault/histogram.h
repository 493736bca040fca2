/*
 * A histogram of durations that can be filled in a hot section.
 *
 * Like HdrHistogram, it is log-linear: each power of two is cut into 32 equal buckets, so a value
 * is known to 3 % over the whole range of 64 bits, in a fixed 15 KiB with no allocation. Maximum
 * and minimum are exact. Unlike HdrHistogram it has one resolution and no range to choose.
 */
#ifndef ZEROFAULT_HISTOGRAM_H
#define ZEROFAULT_HISTOGRAM_H

#include <stdint.h>

#include <zerofault/attributes.h>

ZEROFAULT_BEGIN_DECLS

/* ---------------------------------------------------------------------------------------- types */

#define HOT_HISTOGRAM_BITS 5 /* 32 buckets per power of two: 3 % is finer than any clock's jitter */
#define HOT_HISTOGRAM_BUCKETS (((64 - HOT_HISTOGRAM_BITS) + 1) << HOT_HISTOGRAM_BITS)

/* Zeros are an empty histogram. */
struct hot_histogram {
    uint64_t count;           /* values recorded */
    uint64_t maximum;         /* exact */
    uint64_t inverse_minimum; /* ~minimum, so that zeros are empty */
    uint64_t buckets[HOT_HISTOGRAM_BUCKETS];
};

/* --------------------------------------------------------------------------------------- record */

/**
 * Tell which bucket a value belongs to.
 *
 * Returns  an index below HOT_HISTOGRAM_BUCKETS
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_INLINE uint32_t hot_histogram_bucket(uint64_t value)
{
    uint32_t shift;
    if (value < (UINT64_C(1) << HOT_HISTOGRAM_BITS))
        return (uint32_t)value;
    shift = 63u - (uint32_t)__builtin_clzll(value) - HOT_HISTOGRAM_BITS;
    return (shift << HOT_HISTOGRAM_BITS) + (uint32_t)(value >> shift);
}

/**
 * Count one value.
 *
 * Returns  nothing
 * Latency  hot
 * Threads  one writer at a time
 * Since    0.1
 */
ZEROFAULT_INLINE void hot_histogram_record(struct hot_histogram *histogram, uint64_t value)
{
    histogram->buckets[hot_histogram_bucket(value)] += 1;
    histogram->count += 1;
    if (value > histogram->maximum)
        histogram->maximum = value;
    if (~value > histogram->inverse_minimum)
        histogram->inverse_minimum = ~value;
}

/* -------------------------------------------------------------------------------------- queries */

/**
 * Find the value below or at which `parts_per_million` of all values lie, rounded up to its
 * bucket's end and never above the maximum.
 *
 * Returns  the value; 0 for an empty histogram
 * Latency  warm: O(buckets)
 * Threads  no writer meanwhile
 * Since    0.1
 */
ZEROFAULT_API uint64_t hot_histogram_quantile(const struct hot_histogram *histogram,
                                              uint32_t parts_per_million);

/**
 * Tell the smallest value recorded.
 *
 * Returns  the value; 0 for an empty histogram
 * Latency  hot
 * Threads  no writer meanwhile
 * Since    0.1
 */
ZEROFAULT_INLINE uint64_t hot_histogram_minimum(const struct hot_histogram *histogram)
{
    return histogram->count == 0 ? 0 : ~histogram->inverse_minimum;
}

/**
 * Add the values of one histogram to another.
 *
 * Returns  nothing
 * Latency  warm: O(buckets)
 * Threads  no writer meanwhile
 * Since    0.1
 */
ZEROFAULT_API void hot_histogram_merge(struct hot_histogram *into,
                                       const struct hot_histogram *from);

ZEROFAULT_END_DECLS

#endif
