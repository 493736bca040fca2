/*
 * The watches of a thread; see watch.h. A watch is open exactly while its flag stands in
 * thread->watched. Flags without a row are unknown to this build and refused as such.
 */
#include "hot/watch.h"

#include <errno.h>

#include "hot/chains.h"
#include "hot/syscalls.h"
#include "hot/trap.h"

static int open_switches(struct zf_hot_thread *thread)
{
    return zf_os_switch_ring_open(&thread->switches);
}

static void close_switches(struct zf_hot_thread *thread)
{
    zf_os_switch_ring_close(&thread->switches);
}

/* Only the sample needs to know. */
static int open_nothing(struct zf_hot_thread *thread)
{
    ZF_ASSERT(thread != NULL);
    return 0;
}

static void close_nothing(struct zf_hot_thread *thread)
{
    ZF_ASSERT(thread != NULL);
}

/* The ring was opened with them or without; see thread.c. */
static int open_kernel_faults(struct zf_hot_thread *thread)
{
    ZF_ASSERT(thread != NULL);
    return zf_hot_has_ring(thread) ? thread->kernel_error : -ENODEV;
}

struct watch {
    int (*open)(struct zf_hot_thread *thread);
    void (*close)(struct zf_hot_thread *thread);
};

/* By bit number of enum hot_watch. */
static const struct watch watches[HOT_WATCH_COUNT] = {
    {open_switches, close_switches},           {open_nothing, close_nothing},
    {zf_hot_calls_open, zf_hot_calls_close},   {open_kernel_faults, close_nothing},
    {zf_hot_chains_open, zf_hot_chains_close}, {zf_hot_trap_open, zf_hot_trap_close},
};

int zf_hot_watch_open(struct zf_hot_thread *thread, uint32_t asked, uint32_t required,
                      struct hot_thread_report *report)
{
    int first_error = 0;
    for (unsigned bit = 0; bit < HOT_WATCH_COUNT; ++bit) {
        uint32_t flag = 1u << bit;
        int error;
        if (((asked | required) & flag) == 0)
            continue;
        error = watches[bit].open == NULL ? -EOPNOTSUPP : watches[bit].open(thread);
        report->watch_errors[bit] = error;
        if (error == 0)
            thread->watched |= flag;
        else if ((required & flag) != 0 && first_error == 0)
            first_error = error;
    }
    report->watched = thread->watched;
    return first_error;
}

void zf_hot_watch_close(struct zf_hot_thread *thread)
{
    for (unsigned bit = 0; bit < HOT_WATCH_COUNT; ++bit)
        if ((thread->watched & (1u << bit)) != 0)
            watches[bit].close(thread);
    thread->watched = 0;
}
