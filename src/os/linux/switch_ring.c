/*
 * The switch ring on Linux: an event that counts nothing, opened for its side records of context
 * switches.
 *
 * The kernel writes one record when the thread leaves its CPU, marked when it could have gone on,
 * and one when it comes back. They are headers without a body, so all have one size. An
 * unprivileged process may ask for them of itself.
 */
#include <sched.h>
#include <string.h>

#include "base/arith.h"
#include "os/linux/perf_ring.h"
#include "os/os.h"

#define RING_BYTES 4096 /* 256 switches: a section that has more is not hot */

int zf_os_switch_ring_open(struct zf_os_switch_ring *ring)
{
    struct perf_event_attr attr;
    struct zf_perf_ring opened;
    int error;
    ZF_ASSERT(ring != NULL);
    memset(&attr, 0, sizeof attr);
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_DUMMY;
    attr.context_switch = 1;
    attr.exclude_kernel = 1;
    attr.exclude_hv = 1;
    error = zf_perf_ring_open(&opened, &attr, NULL, RING_BYTES);
    if (error != 0)
        return error;
    ring->head = (const volatile uint64_t *)&opened.control->data_head;
    ring->data = opened.data;
    ring->data_bytes = opened.data_bytes;
    ring->handle = opened.handle;
    return 0;
}

void zf_os_switch_ring_close(struct zf_os_switch_ring *ring)
{
    ZF_ASSERT(ring->head != NULL);
    zf_perf_ring_close(ring->data, ring->data_bytes, ring->handle, 0);
    memset(ring, 0, sizeof *ring);
    ring->handle = -1;
}

struct zf_os_switches zf_os_switch_ring_count(const struct zf_os_switch_ring *ring, uint64_t from,
                                              uint64_t to)
{
    const uint64_t record_bytes = sizeof(struct perf_event_header);
    struct zf_os_switches switches = {0, 0};
    ZF_ASSERT(from <= to);
    ZF_ASSERT((to - from) % record_bytes == 0);
    if (to - from > ring->data_bytes) {
        switches.preempted = (to - from - ring->data_bytes) / (2 * record_bytes);
        from = to - ring->data_bytes;
    }
    for (; from < to; from += record_bytes) {
        struct perf_event_header header;
        zf_perf_ring_copy(ring->data, ring->data_bytes, from, &header, sizeof header);
        if (header.type != PERF_RECORD_SWITCH || (header.misc & PERF_RECORD_MISC_SWITCH_OUT) == 0)
            continue;
        if ((header.misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT) != 0)
            ++switches.preempted;
        else
            ++switches.voluntary;
    }
    return switches;
}

uint32_t zf_os_cpu(void)
{
    int cpu = sched_getcpu();
    return cpu < 0 ? 0 : (uint32_t)cpu;
}
