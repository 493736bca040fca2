/*
 * How things were when a thread attached: what later findings are compared with.
 */
#ifndef ZF_HOT_ORIGIN_H
#define ZF_HOT_ORIGIN_H

#include "machine/vmstat.h"
#include "os/os.h"

struct zf_hot_origin {
    struct zf_os_thread_ranges ranges; /* what belongs to the thread */
    uintptr_t stack_mark;              /* its stack was in use from here up; 0 not known */
    struct zf_os_forks forks;
    struct zf_machine_vmstat vmstat;
};

/* Of the calling thread, now. */
void zf_hot_origin_take(struct zf_hot_origin *origin);

#endif
