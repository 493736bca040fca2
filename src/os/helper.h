/*
 * Threads of the library's own: the part of the contract of os.h that is about them.
 */
#ifndef ZF_OS_HELPER_H
#define ZF_OS_HELPER_H

#include <stdint.h>

#include "base/cpu_set.h"

/* A thread of the library's own that does one piece of work and ends. Stays where it is from the
 * start to the join. */
struct zf_os_helper {
    void (*work)(void *context);
    void *context;
    const char *name; /* in the system's tools; at most 15 characters */
    uintptr_t handle; /* of the system's */
};

/* The CPUs that this process may use: those of the calling thread and of the first one, so that a
 * caller who has bound himself to one CPU does not bind his helpers. Empty when the system does not
 * tell. */
void zf_os_process_cpus(struct zf_cpu_set *cpus);

/* Run helper->work(helper->context) in a new thread, on any of `cpus`, or where the caller may run
 * when the set is empty. Signals sent to the process are not handled in it, its priority is the
 * ordinary one, and its stack is resident, so that the work's first calls do not fault there.
 * -EAGAIN, -ENOMEM no room for a thread; -EINVAL none of the CPUs may be used; -EPERM not allowed.
 */
int zf_os_helper_start(struct zf_os_helper *helper, const struct zf_cpu_set *cpus);

/* Wait for the end of the work; what it wrote is seen from here on. Once for each start. */
void zf_os_helper_join(struct zf_os_helper *helper);

#endif
