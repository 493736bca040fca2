/*
 * Reading samples of any length; see perf_log.h.
 *
 * A record may be longer than what was asked for: where several events sample one fault (our call
 * chains, or a profiler attached from outside), Linux since 6.2 adds what the earlier events wrote
 * to the size of the later ones, as bytes without meaning. So a distance is no count, and where a
 * record begins is known only from the one before it. After an overrun the walk begins at the first
 * position from which every record is plausible and the last one ends exactly at the head: a number
 * in the middle of a record would have to look like a sample's header, name this thread, and be
 * followed by more of the same. Without such a position nothing is told. See perf_event_open(2).
 */
#include "os/linux/perf_log.h"

#include <stdbool.h>
#include <string.h>

#include "base/arith.h"
#include "os/linux/perf_ring.h"

#define NOTE_BYTES_MAX 128

static_assert(sizeof(struct zf_perf_sample) == 40, "the kernel pads records to 8 bytes, not more");

static bool is_plausible(const struct zf_perf_log *log, const struct zf_perf_sample *sample)
{
    const struct perf_event_header *header = &sample->header;
    if (header->size % sizeof(uint64_t) != 0)
        return false;
    switch (header->type) {
    case PERF_RECORD_SAMPLE:
        return header->size >= sizeof *sample && sample->thread_id == log->thread_id;
    case PERF_RECORD_LOST: /* notes of what the kernel left out */
    case PERF_RECORD_THROTTLE:
    case PERF_RECORD_UNTHROTTLE:
        return header->size >= sizeof *header && header->size <= NOTE_BYTES_MAX;
    default:
        return false;
    }
}

size_t zf_perf_log_look(const struct zf_perf_log *log, uint64_t position, uint64_t to,
                        struct zf_perf_sample *sample)
{
    uint64_t left_bytes = to - position;
    ZF_ASSERT(position <= to);
    ZF_ASSERT(left_bytes <= log->data_bytes);
    memset(sample, 0, sizeof *sample);
    zf_perf_ring_copy(log->data, log->data_bytes, position, sample,
                      zf_min((size_t)left_bytes, sizeof *sample));
    if (sample->header.size > left_bytes || !is_plausible(log, sample))
        return 0;
    return sample->header.size;
}

/* Do records lie gap-free from here to the head? */
static bool leads_to(const struct zf_perf_log *log, uint64_t position, uint64_t to)
{
    struct zf_perf_sample sample;
    while (position < to) {
        size_t size_bytes = zf_perf_log_look(log, position, to, &sample);
        if (size_bytes == 0)
            return false;
        position += size_bytes;
    }
    return position == to;
}

uint64_t zf_perf_log_oldest(const struct zf_perf_log *log, uint64_t to)
{
    uint64_t head = *log->head;
    uint64_t position = head > log->data_bytes ? head - log->data_bytes : 0;
    ZF_ASSERT(to <= head);
    ZF_ASSERT(head % sizeof(uint64_t) == 0);
    while (position < to && !leads_to(log, position, to))
        position += sizeof(uint64_t);
    return position < to ? position : to;
}

int zf_perf_log_is_lost(const struct zf_perf_log *log, uint64_t position)
{
    return *log->head - position > log->data_bytes;
}
