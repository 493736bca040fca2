/*
 * Words for people: names of phases, methods and limits, and what to do about a refusal.
 *
 * All strings are static. A remedy is chosen by the wish, the errno and what is told with it, so
 * that the same refusal always reads the same.
 */
#include <zerofault/warmup.h>

#include <errno.h>

#include "warmup/run.h"

#define NAME_OF(names, value)                                                                      \
    ((size_t)(value) < sizeof(names) / sizeof((names)[0]) ? (names)[value] : "unknown")

const char *warmup_phase_name(enum warmup_phase phase)
{
    static const char *const names[] = {"preflight", "populate", "collapse",
                                        "lock",      "freeze",   "prove"};
    _Static_assert(sizeof names / sizeof names[0] == WARMUP_PHASE_COUNT, "every phase has a name");
    return NAME_OF(names, phase);
}

const char *warmup_method_name(enum warmup_method method)
{
    static const char *const names[] = {"none", "populate write", "mlock", "touch"};
    return NAME_OF(names, method);
}

const char *warmup_limit_name(enum warmup_limit limit)
{
    static const char *const names[] = {"none",
                                        "available memory",
                                        "control group",
                                        "locked memory",
                                        "node",
                                        "pool of huge pages",
                                        "control group's huge pages",
                                        "mappings"};
    return NAME_OF(names, limit);
}

const char *zf_warmup_remedy_populate(int error, enum warmup_limit limit)
{
    if (error == 0)
        return NULL;
    if (error == -ECANCELED)
        return "Warm up again to finish: the pages done so far are kept.";
    if (error == -EHWPOISON)
        return "Replace the broken memory module that the kernel log names.";
    if (error == -EACCES)
        return "Make the whole arena readable and writable again: a part of it was protected.";
    if (error == -ENXIO)
        return "Make the arena again: a part of it was unmapped.";
    if (limit == WARMUP_LIMIT_CGROUP)
        return "Raise the memory limit of the control group, or make the arena smaller.";
    if (error == -ENOMEM)
        return "Free memory, or make the arena smaller.";
    if (error == -EOPNOTSUPP)
        return "Run on a system that counts page faults: here nothing can prove that none is left.";
    if (error == -EFAULT)
        return "Stop what takes pages away meanwhile (fork, migration, reclaim) and warm up again.";
    return "Make the arena again, and report this as a bug if it happens twice.";
}

const char *zf_warmup_remedy_bind(int error, enum warmup_limit limit)
{
    if (error == 0)
        return NULL;
    if (error == -ECANCELED)
        return "Warm up again to finish.";
    if (error == -EOPNOTSUPP)
        return "Leave `bind` off: this kernel knows no memory policies.";
    if (error == -EPERM)
        return "Allow mbind (CAP_SYS_NICE in a container) and the node in this process's cpuset.";
    if (error == -ENOMEM && limit == WARMUP_LIMIT_POOL)
        return "Raise nr_hugepages of the node below /sys/devices/system/node and create the arena "
               "again, or choose a node whose pool has more.";
    if (error == -ENOMEM)
        return "Free memory on the node, choose one that has more, or make the arena smaller.";
    return "Choose a node that has memory.";
}

const char *zf_warmup_remedy_huge(int error, bool switched_off)
{
    if (error == 0)
        return NULL;
    if (switched_off)
        return "Start the program without prctl(PR_SET_THP_DISABLE), which it, or what started it, "
               "has called.";
    if (error == -EOPNOTSUPP)
        return "Boot a kernel with transparent huge pages, and mount /proc to have them verified.";
    if (error == -ECANCELED)
        return "Warm up again to finish.";
    return "Free and compact memory (write 1 to /proc/sys/vm/compact_memory), and write madvise to "
           "/sys/kernel/mm/transparent_hugepage/enabled.";
}

const char *zf_warmup_remedy_pool(const struct warmup_hugetlb *hugetlb)
{
    if (hugetlb->item.error == 0)
        return NULL;
    if (hugetlb->item.asked_bytes % hugetlb->page_bytes != 0)
        return "Make the capacity a whole number of pages of this size, or require them, which "
               "rounds it up.";
    if (hugetlb->raise_error == -ENOMEM)
        return "Raise the pool at boot (hugepagesz=1G hugepages=N), before memory is fragmented, "
               "or "
               "free memory on the node.";
    if (hugetlb->raise_error != 0)
        return "Raise the pool as root (nr_hugepages of the node below /sys/devices/system/node): "
               "this process may not.";
    if (hugetlb->limit == WARMUP_LIMIT_HUGETLB)
        return "Raise hugetlb.SIZE.max (limit_in_bytes in the first generation) of the control "
               "group.";
    if (hugetlb->item.error == -ENOMEM)
        return "Raise nr_hugepages of the node below /sys/devices/system/node and create the arena "
               "again, or set `raise_pools`.";
    if (hugetlb->item.error == -EOPNOTSUPP)
        return "Boot a kernel and a CPU with pages of this size (1 GiB: pdpe1gb), and Linux 5.16 "
               "for "
               "an arena that children inherit.";
    if (hugetlb->item.error == -ECANCELED)
        return "Warm up again: pages of a pool are put in place all at once, or not at all.";
    return "Allow mbind (CAP_SYS_NICE in a container), and create the arena again.";
}

const char *zf_warmup_remedy_lock(int error)
{
    if (error == 0)
        return NULL;
    if (error == -EOPNOTSUPP)
        return "Mount /proc so that locking can be verified, on a kernel that has mlock.";
    if (error == -EAGAIN)
        return "Free memory and warm up again: some pages could not be locked.";
    if (error == -ECANCELED)
        return "Warm up again to finish.";
    return "Raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=) or grant CAP_IPC_LOCK.";
}

const char *zf_warmup_remedy_fork(int error)
{
    if (error == 0)
        return NULL;
    return "Do not fork while the arena is hot, or warm up again after each fork.";
}

const char *zf_warmup_remedy_threads(int error)
{
    if (error == 0)
        return NULL;
    if (error == -EAGAIN || error == -ENOMEM)
        return "Raise RLIMIT_NPROC (ulimit -u, LimitNPROC=) or pids.max of the control group.";
    if (error == -EXDEV)
        return "Let the process run on CPUs of the arena's node: others clear its pages slower.";
    if (error == -EOPNOTSUPP)
        return "Linux 5.14 populates with several threads; before, one has to lock the pages.";
    return "Allow the process to create threads.";
}
