/*
 * The chain ring on Linux: a second page-fault event of the calling thread, whose samples carry
 * the user's call chain.
 *
 * The kernel walks frame pointers (perf_callchain_user), so a function without a frame hides its
 * caller: most of a C library, and the small functions from which gcc takes the frame even under
 * -fno-omit-frame-pointer because they keep nothing on the stack. Records differ in length;
 * perf_log.c finds where they begin. See perf_event_open(2).
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/arith.h"
#include "os/linux/perf_log.h"
#include "os/linux/perf_ring.h"
#include "os/os.h"

#define RING_BYTES (64u << 10) /* some 500 chains of ten frames, as many faults as a fault ring */

/* Beyond them the kernel puts markers of context, which are no addresses. */
#define CONTEXT_MIN ((uint64_t)-4095)

/* The faulting instruction is an entry too, and so are the markers. */
#define ENTRIES_MAX (ZF_OS_CHAIN_FRAMES_MAX + 8)

int zf_os_chain_ring_open(struct zf_os_chain_ring *ring, bool kernel)
{
    struct perf_event_attr attr;
    struct zf_perf_ring opened;
    int error;
    ZF_ASSERT(ring != NULL);
    memset(&attr, 0, sizeof attr);
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_PAGE_FAULTS;
    attr.sample_period = 1;
    attr.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR |
                       PERF_SAMPLE_CALLCHAIN;
    attr.sample_max_stack = ZF_OS_CHAIN_FRAMES_MAX;
    attr.exclude_callchain_kernel = 1;
    attr.exclude_kernel = !kernel;
    attr.exclude_hv = 1;
    attr.use_clockid = 1;
    attr.clockid = CLOCK_MONOTONIC;
    error = zf_perf_ring_open(&opened, &attr, NULL, RING_BYTES);
    if (error != 0)
        return error;
    ring->head = (const volatile uint64_t *)&opened.control->data_head;
    ring->data = opened.data;
    ring->data_bytes = opened.data_bytes;
    ring->handle = opened.handle;
    ring->thread_id = zf_os_thread_id();
    return 0;
}

void zf_os_chain_ring_close(struct zf_os_chain_ring *ring)
{
    ZF_ASSERT(ring->head != NULL);
    zf_perf_ring_close(ring->data, ring->data_bytes, ring->handle, 0);
    memset(ring, 0, sizeof *ring);
    ring->handle = -1;
}

static struct zf_perf_log log_of(const struct zf_os_chain_ring *ring)
{
    struct zf_perf_log log = {ring->head, ring->data, ring->data_bytes, ring->thread_id};
    return log;
}

/* The addresses behind a sample's fixed part, without markers and without the instruction. */
static void take_frames(const struct zf_os_chain_ring *ring, uint64_t position, size_t size_bytes,
                        struct zf_os_chain *chain)
{
    uint64_t entries[ENTRIES_MAX];
    uint64_t count = 0;
    chain->frame_count = 0;
    position += sizeof(struct zf_perf_sample);
    size_bytes -= sizeof(struct zf_perf_sample);
    if (size_bytes >= sizeof count)
        zf_perf_ring_copy(ring->data, ring->data_bytes, position, &count, sizeof count);
    if (count > ENTRIES_MAX || size_bytes < (count + 1) * sizeof entries[0])
        return;
    zf_perf_ring_copy(ring->data, ring->data_bytes, position + sizeof count, entries,
                      (size_t)count * sizeof entries[0]);
    for (uint64_t i = 0; i < count; ++i) {
        bool is_instruction = chain->frame_count == 0 && entries[i] == chain->instruction;
        if (entries[i] < CONTEXT_MIN && !is_instruction &&
            chain->frame_count < ZF_OS_CHAIN_FRAMES_MAX)
            chain->frames[chain->frame_count++] = (uintptr_t)entries[i];
    }
}

int zf_os_chain_ring_next(const struct zf_os_chain_ring *ring, uint64_t *position, uint64_t to,
                          struct zf_os_chain *chain)
{
    struct zf_perf_log log = log_of(ring);
    ZF_ASSERT(*position <= to);
    ZF_ASSERT(chain != NULL);
    if (zf_perf_log_is_lost(&log, *position))
        *position = zf_perf_log_oldest(&log, to);
    while (*position < to) {
        struct zf_perf_sample sample;
        uint64_t start = *position;
        size_t size_bytes = zf_perf_log_look(&log, start, to, &sample);
        *position = size_bytes == 0 ? to : start + size_bytes;
        if (size_bytes == 0 || sample.header.type != PERF_RECORD_SAMPLE)
            continue;
        chain->address = (uintptr_t)sample.address;
        chain->instruction = (uintptr_t)sample.instruction;
        chain->time_ns = sample.time_ns;
        take_frames(ring, start, size_bytes, chain);
        /* Reading may fault, and that record may have overwritten what was read. */
        if (!zf_perf_log_is_lost(&log, start))
            return 1;
    }
    return 0;
}
