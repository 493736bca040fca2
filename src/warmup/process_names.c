/*
 * What to do about a refusal, for the parts of a process.
 *
 * All strings are static, chosen by part and errno alone, so that the same refusal always reads the
 * same. -EFAULT is the proof's: pages were warm and are cold again.
 */
#include <errno.h>

#include "warmup/process_run.h"

#define REMEDY_MEMORY "Free memory, or ask for less."
#define REMEDY_DRIFT                                                                               \
    "Stop what takes pages away meanwhile (fork, reclaim, migration) and warm up again, or lock."
#define REMEDY_PROC "Mount /proc: without it nobody tells what is mapped where."

const char *zf_process_remedy_image(int error)
{
    if (error == 0)
        return NULL;
    if (error == -EOPNOTSUPP)
        return REMEDY_PROC;
    if (error == -ENOMEM)
        return "Free memory, raise the control group's limit, or make static data smaller.";
    return REMEDY_DRIFT;
}

const char *zf_process_remedy_tls(int error)
{
    if (error == 0)
        return NULL;
    return error == -ENOMEM ? REMEDY_MEMORY : REMEDY_DRIFT;
}

const char *zf_process_remedy_heap(int error)
{
    if (error == 0)
        return NULL;
    if (error == -EOPNOTSUPP)
        return "Allocate from arenas in the hot loop: this malloc gives freed memory back at will. "
               "Another allocator may have a setting of its own against it.";
    return error == -ENOMEM ? REMEDY_MEMORY : REMEDY_DRIFT;
}

const char *zf_process_remedy_stack(int error)
{
    if (error == 0)
        return NULL;
    if (error == -EOPNOTSUPP)
        return "Call it on the thread's own stack, not on a coroutine's or a signal handler's, and "
               "with /proc mounted.";
    if (error == -ENOMEM)
        return "Give the thread a larger stack (pthread_attr_setstacksize; ulimit -s for the first "
               "thread), or ask for less.";
    return REMEDY_DRIFT;
}

const char *zf_process_remedy_clock(int error)
{
    return error == 0 ? NULL : REMEDY_DRIFT;
}

const char *zf_process_remedy_lock(int error)
{
    if (error == 0)
        return NULL;
    if (error == -EOPNOTSUPP)
        return "Mount /proc so that locking can be verified, on a kernel that has mlockall.";
    if (error == -EAGAIN)
        return "Free memory and try again, or unmap what cannot be resident, like a file that is "
               "shorter than its mapping.";
    return "Raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=), grant CAP_IPC_LOCK, or map less: all "
           "of the process has to fit.";
}

const char *zf_process_remedy_binding(int error)
{
    if (error == 0)
        return NULL;
    return "Start with LD_BIND_NOW=1, or link the objects with -z now: then no call has to bind "
           "first.";
}
