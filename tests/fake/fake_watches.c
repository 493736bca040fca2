/*
 * The fake has no watches: each is refused as unknown to the system, and its clock has no ticks
 * of its own. See fake_os.h.
 */
#include "fake/fake_os.h"

#include <errno.h>
#include <stdlib.h>

/* What may not happen, because nothing was opened. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

int zf_os_switch_ring_open(struct zf_os_switch_ring *ring)
{
    (void)ring;
    return -EOPNOTSUPP;
}

void zf_os_switch_ring_close(struct zf_os_switch_ring *ring)
{
    (void)ring;
    must(false); /* none was opened */
}

struct zf_os_switches zf_os_switch_ring_count(const struct zf_os_switch_ring *ring, uint64_t from,
                                              uint64_t to)
{
    struct zf_os_switches none = {0, 0};
    (void)ring;
    must(from == to);
    return none;
}

void zf_os_ticks_prepare(void)
{
}

uint64_t zf_os_ticks(void)
{
    return zf_os_clock_ns();
}

uint64_t zf_os_ticks_to_ns(uint64_t ticks)
{
    return ticks;
}

int zf_os_chain_ring_open(struct zf_os_chain_ring *ring, bool kernel)
{
    (void)kernel;
    (void)ring;
    return -EOPNOTSUPP;
}

void zf_os_chain_ring_close(struct zf_os_chain_ring *ring)
{
    (void)ring;
    must(false); /* none was opened */
}

int zf_os_chain_ring_next(const struct zf_os_chain_ring *ring, uint64_t *position, uint64_t to,
                          struct zf_os_chain *chain)
{
    (void)ring;
    (void)chain;
    must(*position == to);
    return 0;
}

uint32_t zf_os_cpu(void)
{
    return 0;
}

int zf_os_call_watch_open(volatile unsigned char *selector, zf_os_call_watcher *watcher)
{
    (void)selector;
    (void)watcher;
    return -EOPNOTSUPP;
}

void zf_os_call_watch_close(void)
{
    must(false); /* none was opened */
}

const char *zf_os_call_name(long number)
{
    (void)number;
    return NULL;
}

int zf_os_trap_open(zf_os_trap_catcher *catcher, int *handle)
{
    (void)catcher;
    (void)handle;
    return -EOPNOTSUPP;
}

void zf_os_trap_close(int handle)
{
    (void)handle;
    must(false); /* none was opened */
}
