/*
 * The fault ring on Linux: a software page-fault event of the calling thread with a period of 1,
 * mapped read-only.
 *
 * Mapped read-only, the kernel treats the ring as one that overwrites: it never fills up, and
 * data_head moves in the faulting thread itself before the fault returns
 * (perf_output_put_handle). Mapped read-write and not drained it would fill and the guard would
 * go blind. The event excludes the kernel, which is what an unprivileged process may ask for at
 * perf_event_paranoid 2; faults taken inside system calls are therefore not seen. The sample has
 * no variable part, so all records have one size. See perf_event_open(2).
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/arith.h"
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

static int open_event(void)
{
    struct perf_event_attr attr;
    long handle;
    memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_PAGE_FAULTS;
    attr.sample_period = 1;
    attr.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR;
    attr.exclude_kernel = 1;
    attr.exclude_hv = 1;
    attr.use_clockid = 1;
    attr.clockid = CLOCK_MONOTONIC;
    handle = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    return handle < 0 ? -errno : (int)handle;
}

/* Some kernels map a ring's pages at the first access; have that happen here. */
static void read_each_page(const unsigned char *first, size_t size_bytes, size_t page_bytes)
{
    for (size_t offset = 0; offset < size_bytes; offset += page_bytes)
        (void)*(const volatile unsigned char *)(first + offset);
}

int zf_os_fault_ring_open(struct zf_os_fault_ring *ring, size_t data_bytes)
{
    size_t page_bytes = zf_os_page_bytes();
    size_t rounded_bytes = page_bytes;
    struct perf_event_mmap_page *header;
    int handle;
    ZF_ASSERT(ring != NULL);
    ZF_ASSERT(data_bytes <= SIZE_MAX / 4);
    while (rounded_bytes < data_bytes)
        rounded_bytes *= 2;
    handle = open_event();
    if (handle < 0)
        return handle;
    header = mmap(NULL, page_bytes + rounded_bytes, PROT_READ, MAP_SHARED, handle, 0);
    if (header == MAP_FAILED) {
        int error = -errno;
        (void)close(handle);
        return error;
    }
    read_each_page((const unsigned char *)header, page_bytes + rounded_bytes, page_bytes);
    ring->head = (const volatile uint64_t *)&header->data_head;
    ring->data = (const unsigned char *)header + page_bytes;
    ring->data_bytes = rounded_bytes;
    ring->handle = handle;
    return 0;
}

void zf_os_fault_ring_close(struct zf_os_fault_ring *ring)
{
    size_t page_bytes = zf_os_page_bytes();
    ZF_ASSERT(ring->head != NULL);
    ZF_ASSERT(ring->handle >= 0);
    (void)munmap((void *)(uintptr_t)(ring->data - page_bytes), page_bytes + ring->data_bytes);
    (void)close(ring->handle);
    memset(ring, 0, sizeof *ring);
    ring->handle = -1;
}

void zf_os_fault_ring_abandon(int handle)
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

/* A record may lie across the end of the ring. */
static void copy_record(const struct zf_os_fault_ring *ring, uint64_t position,
                        struct fault_record *record)
{
    size_t start = (size_t)position & (ring->data_bytes - 1);
    size_t first_bytes = zf_min(sizeof *record, ring->data_bytes - start);
    memcpy(record, ring->data + start, first_bytes);
    memcpy((unsigned char *)record + first_bytes, ring->data, sizeof *record - first_bytes);
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
    copy_record(ring, *position, &record);
    ZF_ASSERT(record.header.type == PERF_RECORD_SAMPLE);
    ZF_ASSERT(record.header.size == sizeof record);
    *position += sizeof record;
    fault->address = (uintptr_t)record.address;
    fault->instruction = (uintptr_t)record.instruction;
    fault->time_ns = record.time_ns;
    fault->thread_id = record.thread_id;
    return 1;
}
