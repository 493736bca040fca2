/*
 * Call chains; see chains.h. They lie in a ring of their own, which no begin and no end looks at:
 * only when a fault is told is its chain searched for. Both rings record the same faults in the
 * same order, each with its own reading of the clock, so the chain of a fault is the one with its
 * address and instruction that is nearest in time. Where sections are nested, a fault is told more
 * than once; therefore each delivery starts over, and none is ever taken out. A chain that was
 * overwritten leaves the fault without frames.
 */
#include "hot/chains.h"

#include <errno.h>

static_assert(HOT_FRAMES_MAX == ZF_OS_CHAIN_FRAMES_MAX, "a chain of the system fits a violation");

/* The system refuses faults inside system calls here as it does in the fault ring. */
void zf_hot_chains_prepare(struct zf_hot_thread *thread, bool kernel)
{
    int error;
    ZF_ASSERT(!zf_hot_watches(thread, HOT_WATCH_CALL_CHAINS));
    error = zf_os_chain_ring_open(&thread->chains, kernel);
    if (error != 0 && kernel)
        error = zf_os_chain_ring_open(&thread->chains, false);
    if (error == 0)
        thread->watched |= HOT_WATCH_CALL_CHAINS;
}

int zf_hot_chains_open(struct zf_hot_thread *thread)
{
    bool is_prepared = zf_hot_watches(thread, HOT_WATCH_CALL_CHAINS);
    if (zf_hot_has_ring(thread))
        return is_prepared ? 0 : zf_os_chain_ring_open(&thread->chains, thread->ring.kernel);
    if (is_prepared)
        zf_hot_chains_close(thread);
    thread->watched &= ~(uint32_t)HOT_WATCH_CALL_CHAINS;
    return -EOPNOTSUPP;
}

void zf_hot_chains_close(struct zf_hot_thread *thread)
{
    zf_os_chain_ring_close(&thread->chains);
}

static uint64_t distance_ns(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Search up to the first chain that is later than the fault, that one included: which ring is
 * written first is the system's choice. Returns true when thread->chain is the fault's. */
static bool find_chain(struct zf_hot_thread *thread, uint64_t *position,
                       const struct hot_violation *fault)
{
    uint64_t to = *thread->chains.head;
    uint64_t nearest_ns = UINT64_MAX;
    struct zf_os_chain chain;
    bool later = false;
    ZF_ASSERT(*position <= to);
    while (!later) {
        uint64_t next = *position;
        if (zf_os_chain_ring_next(&thread->chains, &next, to, &chain) == 0)
            break;
        later = chain.time_ns > fault->time_ns;
        if (chain.address == fault->address && chain.instruction == fault->instruction &&
            distance_ns(chain.time_ns, fault->time_ns) < nearest_ns) {
            nearest_ns = distance_ns(chain.time_ns, fault->time_ns);
            thread->chain = chain;
        }
        if (!later)
            *position = next;
    }
    return nearest_ns != UINT64_MAX;
}

void zf_hot_chains_attach(struct zf_hot_thread *thread, uint64_t *position,
                          struct hot_violation *violation)
{
    ZF_ASSERT(violation->frame_count == 0);
    ZF_ASSERT(violation->instruction != 0);
    if (!zf_hot_watches(thread, HOT_WATCH_CALL_CHAINS) || !find_chain(thread, position, violation))
        return;
    violation->frame_count = thread->chain.frame_count;
    violation->frames = thread->chain.frames;
}
