/*
 * The log-linear histogram's queries; recording is inline in the header. A bucket's upper end is
 * reported for a quantile, because a latency that is rounded down is a promise that was not kept.
 */
#include <zerofault/histogram.h>

#include "base/assert.h"

static_assert(HOT_HISTOGRAM_BUCKETS == 60 * 32,
              "one group per power of two and one for the small values");

/* Largest value that falls into a bucket. */
static uint64_t bucket_last(uint32_t bucket)
{
    uint32_t group = bucket >> HOT_HISTOGRAM_BITS;
    uint32_t shift;
    uint64_t low;
    ZF_ASSERT(bucket < HOT_HISTOGRAM_BUCKETS);
    if (group <= 1)
        return bucket;
    shift = group - 1;
    low = (uint64_t)(bucket - (shift << HOT_HISTOGRAM_BITS)) << shift;
    return low + ((UINT64_C(1) << shift) - 1);
}

uint64_t hot_histogram_quantile(const struct hot_histogram *histogram, uint32_t parts_per_million)
{
    uint64_t rank;
    uint64_t seen = 0;
    if (histogram->count == 0)
        return 0;
    /* Split so that no product overflows: count can be anything. */
    rank = histogram->count / 1000000 * parts_per_million +
           (histogram->count % 1000000 * parts_per_million + 999999) / 1000000;
    if (rank == 0)
        return hot_histogram_minimum(histogram);
    for (uint32_t bucket = 0; bucket < HOT_HISTOGRAM_BUCKETS; ++bucket) {
        seen += histogram->buckets[bucket];
        if (seen >= rank) {
            uint64_t last = bucket_last(bucket);
            return last < histogram->maximum ? last : histogram->maximum;
        }
    }
    return histogram->maximum;
}

void hot_histogram_merge(struct hot_histogram *into, const struct hot_histogram *from)
{
    for (uint32_t bucket = 0; bucket < HOT_HISTOGRAM_BUCKETS; ++bucket)
        into->buckets[bucket] += from->buckets[bucket];
    into->count += from->count;
    if (from->maximum > into->maximum)
        into->maximum = from->maximum;
    if (from->inverse_minimum > into->inverse_minimum)
        into->inverse_minimum = from->inverse_minimum;
}
