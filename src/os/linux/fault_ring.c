/*
 * The fault ring on Linux: a software page-fault event of the calling thread with a period of 1.
 *
 * Unless asked otherwise, the event excludes the kernel, which is what an unprivileged process may
 * ask for at perf_event_paranoid 2; faults taken inside system calls are then not seen. Faults
 * that the kernel resolves for itself, without an exception (populate, mlock, direct I/O), never
 * are. The sample has no variable part, so records have one size unless another event of the same
 * faults makes them longer; perf_log.c finds where they begin, and what was overwritten is counted
 * as if it had.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arith.h"
#include "os/linux/perf_log.h"
#include "os/linux/perf_ring.h"
#include "os/os.h"

static_assert(offsetof(struct perf_event_mmap_page, data_head) == ZF_OS_FAULT_RING_HEAD_BYTES,
              "the head is where the kernel's interface has it");

size_t zf_os_fault_ring_range(size_t data_bytes)
{
    return zf_perf_ring_range(data_bytes);
}

int zf_os_fault_ring_open(struct zf_os_fault_ring *ring, void *place, size_t data_bytes,
                          bool kernel)
{
    struct perf_event_attr attr;
    struct zf_perf_ring opened;
    int error;
    ZF_ASSERT(ring != NULL);
    ZF_ASSERT(place != NULL);
    memset(&attr, 0, sizeof attr);
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_PAGE_FAULTS;
    attr.sample_period = 1;
    attr.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR;
    attr.exclude_kernel = !kernel;
    attr.exclude_hv = 1;
    attr.use_clockid = 1;
    attr.clockid = CLOCK_MONOTONIC;
    error = zf_perf_ring_open(&opened, &attr, place, data_bytes);
    if (error != 0)
        return error;
    ring->head = (const volatile uint64_t *)&opened.control->data_head;
    ring->data = opened.data;
    ring->data_bytes = opened.data_bytes;
    ring->handle = opened.handle;
    ring->thread_id = zf_os_thread_id();
    ring->kernel = kernel;
    return 0;
}

void zf_os_fault_ring_close(struct zf_os_fault_ring *ring)
{
    ZF_ASSERT(ring->head != NULL);
    zf_perf_ring_close(ring->data, ring->data_bytes, ring->handle, 1);
    memset(ring, 0, sizeof *ring);
    ring->handle = -1;
}

void zf_os_ring_abandon(int handle)
{
    ZF_ASSERT(handle >= 0);
    (void)close(handle);
}

static struct zf_perf_log log_of(const struct zf_os_fault_ring *ring)
{
    struct zf_perf_log log = {ring->head, ring->data, ring->data_bytes, ring->thread_id};
    return log;
}

/* Move a position that was overwritten to the oldest record; how many were lost on the way, at
 * most. */
static uint64_t skip_lost(const struct zf_perf_log *log, uint64_t *position, uint64_t to)
{
    uint64_t oldest;
    uint64_t lost;
    if (!zf_perf_log_is_lost(log, *position))
        return 0;
    oldest = zf_perf_log_oldest(log, to);
    ZF_ASSERT(oldest >= *position);
    lost = (oldest - *position) / sizeof(struct zf_perf_sample);
    *position = oldest;
    return lost;
}

uint64_t zf_os_fault_ring_count(const struct zf_os_fault_ring *ring, uint64_t from, uint64_t to)
{
    struct zf_perf_log log = log_of(ring);
    struct zf_perf_sample sample;
    uint64_t count;
    ZF_ASSERT(from <= to);
    ZF_ASSERT(to <= *ring->head);
    count = skip_lost(&log, &from, to);
    while (from < to) {
        size_t size_bytes = zf_perf_log_look(&log, from, to, &sample);
        if (size_bytes == 0) /* overwritten this moment */
            return count + (to - from) / sizeof sample;
        count += sample.header.type == PERF_RECORD_SAMPLE;
        from += size_bytes;
    }
    return count;
}

uint64_t zf_os_fault_ring_kernel_count(const struct zf_os_fault_ring *ring, uint64_t from,
                                       uint64_t to)
{
    uint64_t count = 0;
    struct zf_os_fault fault;
    ZF_ASSERT(from <= to);
    while (ring->kernel && zf_os_fault_ring_next(ring, &from, to, &fault) != 0)
        count += fault.kernel;
    return count;
}

int zf_os_fault_ring_next(const struct zf_os_fault_ring *ring, uint64_t *position, uint64_t to,
                          struct zf_os_fault *fault)
{
    struct zf_perf_log log = log_of(ring);
    ZF_ASSERT(*position <= to);
    ZF_ASSERT(fault != NULL);
    (void)skip_lost(&log, position, to);
    while (*position < to) {
        struct zf_perf_sample sample;
        uint64_t start = *position;
        size_t size_bytes = zf_perf_log_look(&log, start, to, &sample);
        *position = size_bytes == 0 ? to : start + size_bytes;
        /* Reading may fault, and that record may have overwritten what was read. */
        if (size_bytes == 0 || sample.header.type != PERF_RECORD_SAMPLE ||
            zf_perf_log_is_lost(&log, start))
            continue;
        fault->address = (uintptr_t)sample.address;
        fault->instruction = (uintptr_t)sample.instruction;
        fault->time_ns = sample.time_ns;
        fault->thread_id = sample.thread_id;
        fault->kernel =
            (sample.header.misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL;
        return 1;
    }
    return 0;
}
