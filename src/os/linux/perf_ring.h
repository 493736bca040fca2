/*
 * What the fault ring and the switch ring share: a perf event of the calling thread, mapped
 * read-only.
 */
#ifndef ZF_OS_LINUX_PERF_RING_H
#define ZF_OS_LINUX_PERF_RING_H

#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>

struct zf_perf_ring {
    struct perf_event_mmap_page *control; /* first page of the mapping */
    const unsigned char *data;            /* behind it */
    size_t data_bytes;                    /* power of two of pages */
    int handle;
};

/* Open an event of the calling thread and map `data_bytes` (rounded up) of ring, at `place` when
 * that is not NULL, and make it warm for reading. Returns 0 or -errno; on failure a range at
 * `place` is merely reserved again. */
int zf_perf_ring_open(struct zf_perf_ring *ring, struct perf_event_attr *attr, void *place,
                      size_t data_bytes);

/* Undo it. With `keep_place`, the range stays reserved. */
void zf_perf_ring_close(const unsigned char *data, size_t data_bytes, int handle, int keep_place);

/* Bytes of address range for that much data. */
size_t zf_perf_ring_range(size_t data_bytes);

/* Copy `size_bytes` at a position, which may lie across the end of the ring. */
void zf_perf_ring_copy(const unsigned char *data, size_t data_bytes, uint64_t position, void *out,
                       size_t size_bytes);

#endif
