/*
 * The fault ring on Linux: a software page-fault event of the calling thread with a period of 1.
 *
 * The event excludes the kernel, which is what an unprivileged process may ask for at
 * perf_event_paranoid 2; faults taken inside system calls are therefore not seen. The sample has
 * no variable part, so all records have one size, every head is a boundary, and a distance is a
 * count.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arith.h"
#include "os/linux/perf_ring.h"
#include "os/os.h"

/* What PERF_SAMPLE_IP | TID | TIME | ADDR writes, in the kernel's order. */
struct fault_record {
    struct perf_event_header header;
    uint64_t instruction;
    uint32_t process_id;
    uint32_t thread_id;
    uint64_t time_ns;
    uint64_t address;
};

static_assert(sizeof(struct fault_record) == 40, "the kernel pads records to 8 bytes, not more");
static_assert(offsetof(struct perf_event_mmap_page, data_head) == ZF_OS_FAULT_RING_HEAD_BYTES,
              "the head is where the kernel's interface has it");

size_t zf_os_fault_ring_range(size_t data_bytes)
{
    return zf_perf_ring_range(data_bytes);
}

int zf_os_fault_ring_open(struct zf_os_fault_ring *ring, void *place, size_t data_bytes)
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
    attr.exclude_kernel = 1;
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

uint64_t zf_os_fault_ring_count(const struct zf_os_fault_ring *ring, uint64_t from, uint64_t to)
{
    (void)ring;
    ZF_ASSERT(from <= to);
    ZF_ASSERT((to - from) % sizeof(struct fault_record) == 0);
    return (to - from) / sizeof(struct fault_record);
}

int zf_os_fault_ring_next(const struct zf_os_fault_ring *ring, uint64_t *position, uint64_t to,
                          struct zf_os_fault *fault)
{
    /* The fault of reading the ring itself would overwrite one more record: keep a distance. */
    uint64_t kept = ring->data_bytes / sizeof(struct fault_record) - 1;
    uint64_t count = zf_os_fault_ring_count(ring, *position, to);
    struct fault_record record;
    if (count == 0)
        return 0;
    if (count > kept)
        *position = to - kept * sizeof record;
    zf_perf_ring_copy(ring->data, ring->data_bytes, *position, &record, sizeof record);
    ZF_ASSERT(record.header.type == PERF_RECORD_SAMPLE);
    ZF_ASSERT(record.header.size == sizeof record);
    *position += sizeof record;
    fault->address = (uintptr_t)record.address;
    fault->instruction = (uintptr_t)record.instruction;
    fault->time_ns = record.time_ns;
    fault->thread_id = record.thread_id;
    return 1;
}
