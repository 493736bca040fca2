/*
 * A perf event's ring, mapped read-only; see perf_ring.h.
 *
 * Mapped read-only, the kernel treats the ring as one that overwrites: it never fills up, and
 * data_head moves in the thread itself before the kernel returns to it (perf_output_put_handle).
 * Mapped read-write and not drained it would fill, and the guard would go blind. See
 * perf_event_open(2).
 */
#include "os/linux/perf_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arith.h"
#include "os/os.h"

static size_t rounded(size_t data_bytes)
{
    size_t rounded_bytes = zf_os_page_bytes();
    ZF_ASSERT(data_bytes <= SIZE_MAX / 4);
    while (rounded_bytes < data_bytes)
        rounded_bytes *= 2;
    return rounded_bytes;
}

size_t zf_perf_ring_range(size_t data_bytes)
{
    return zf_os_page_bytes() + rounded(data_bytes);
}

/* Some kernels map a ring's pages at the first access; have that happen here. */
static void read_each_page(const unsigned char *first, size_t size_bytes, size_t page_bytes)
{
    for (size_t offset = 0; offset < size_bytes; offset += page_bytes)
        (void)*(const volatile unsigned char *)(first + offset);
}

static void reserve_again(void *place, size_t size_bytes)
{
    (void)mmap(place, size_bytes, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static int map_ring(struct zf_perf_ring *ring, void *place, size_t data_bytes, int handle)
{
    size_t range_bytes = zf_perf_ring_range(data_bytes);
    int fixed = place == NULL ? 0 : MAP_FIXED;
    void *base = mmap(place, range_bytes, PROT_READ, MAP_SHARED | fixed, handle, 0);
    if (base == MAP_FAILED) {
        /* At mmap, EPERM means one thing only: over the limit for such memory. */
        int error = errno == EPERM ? -ENOMEM : -errno;
        if (place != NULL) /* the kernel may have taken away what was there before it refused */
            reserve_again(place, range_bytes);
        return error;
    }
    read_each_page(base, range_bytes, zf_os_page_bytes());
    ring->control = base;
    ring->data = (const unsigned char *)base + zf_os_page_bytes();
    ring->data_bytes = rounded(data_bytes);
    ring->handle = handle;
    return 0;
}

int zf_perf_ring_open(struct zf_perf_ring *ring, struct perf_event_attr *attr, void *place,
                      size_t data_bytes)
{
    long handle;
    int error;
    ZF_ASSERT(ring != NULL);
    attr->size = sizeof *attr;
    handle = syscall(SYS_perf_event_open, attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (handle < 0)
        return -errno;
    error = map_ring(ring, place, data_bytes, (int)handle);
    if (error != 0)
        (void)close((int)handle);
    return error;
}

void zf_perf_ring_close(const unsigned char *data, size_t data_bytes, int handle, int keep_place)
{
    size_t page_bytes = zf_os_page_bytes();
    void *base = (void *)(uintptr_t)(data - page_bytes);
    ZF_ASSERT(data != NULL);
    ZF_ASSERT(handle >= 0);
    if (keep_place)
        reserve_again(base, page_bytes + data_bytes);
    else
        (void)munmap(base, page_bytes + data_bytes);
    (void)close(handle);
}

void zf_perf_ring_copy(const unsigned char *data, size_t data_bytes, uint64_t position, void *out,
                       size_t size_bytes)
{
    size_t start = (size_t)position & (data_bytes - 1);
    size_t first_bytes = zf_min(size_bytes, data_bytes - start);
    memcpy(out, data + start, first_bytes);
    memcpy((unsigned char *)out + first_bytes, data, size_bytes - first_bytes);
}
