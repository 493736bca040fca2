/*
 * On which NUMA nodes pages are to be, are, and how they get there.
 *
 * Policies are set by mbind, called by number: libnuma's own calls hand memory out even when the
 * bind failed. mbind answers EINVAL for a node without memory, one outside the cpuset and a policy
 * that is newer than the kernel, and drops unusable nodes of a larger set without a word, so sets
 * are checked against what nodes.c tells. Where a page is, move_pages tells without touching it; it
 * also moves pages, locked ones too, and is the one way to fill a node that answers ENOMEM when the
 * node is full instead of calling the OOM killer. See mbind(2), move_pages(2).
 */
#include "os/os.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/assert.h"

/* Of linux/mempolicy.h, the later ones newer than the oldest headers that this compiles with. */
enum {
    POLICY_PREFERRED = 1,
    POLICY_BIND = 2,
    POLICY_INTERLEAVE = 3,
    POLICY_LOCAL = 4,               /* Linux 3.8 */
    POLICY_PREFERRED_MANY = 5,      /* Linux 5.15 */
    POLICY_WEIGHTED_INTERLEAVE = 6, /* Linux 6.9 */
    MOVE_OWN = 2,                   /* pages that no other process maps */
    ADVICE_DONTNEED_LOCKED = 24     /* Linux 5.18 */
};

/* Used by assertions alone. */
__attribute__((unused)) static bool is_page_range(const void *base, size_t size_bytes)
{
    return base != NULL && size_bytes != 0 &&
           ((uintptr_t)base | size_bytes) % zf_os_page_bytes() == 0;
}

/* A call that was compiled out of the kernel is as unknown as one that it never had. */
static int unknown_or(int error)
{
    return error == ENOSYS ? -EOPNOTSUPP : -error;
}

/* 0 when every node of the set has memory and this process may use it, as far as can be told. */
static int check_nodes(const struct zf_node_set *nodes)
{
    struct zf_os_nodes told;
    if (zf_os_nodes(&told) != 0)
        return 0;
    for (int node = zf_node_set_next(nodes, 0); node >= 0;
         node = zf_node_set_next(nodes, node + 1)) {
        if (!zf_node_set_holds(&told.memory, node))
            return -ENODEV;
        if (!zf_node_set_holds(&told.allowed, node))
            return -EPERM;
    }
    return 0;
}

static int highest_node(const struct zf_node_set *nodes)
{
    int highest = -1;
    for (int node = zf_node_set_next(nodes, 0); node >= 0; node = zf_node_set_next(nodes, node + 1))
        highest = node;
    return highest;
}

int zf_os_place(void *base, size_t size_bytes, enum zf_os_policy policy,
                const struct zf_node_set *nodes)
{
    static const int modes[] = {[ZF_OS_PREFER] = POLICY_PREFERRED,
                                [ZF_OS_PREFER_MANY] = POLICY_PREFERRED_MANY,
                                [ZF_OS_INTERLEAVE] = POLICY_INTERLEAVE,
                                [ZF_OS_INTERLEAVE_WEIGHTED] = POLICY_WEIGHTED_INTERLEAVE,
                                [ZF_OS_BIND] = POLICY_BIND};
    int highest = highest_node(nodes);
    int error, reason;
    ZF_ASSERT(is_page_range(base, size_bytes));
    ZF_ASSERT(highest >= 0);
    ZF_ASSERT(policy != ZF_OS_PREFER || zf_node_set_count(nodes) == 1);
    /* One node that cannot be is refused by the kernel. */
    reason = zf_node_set_count(nodes) > 1 ? check_nodes(nodes) : 0;
    if (reason != 0)
        return reason;
    /* The kernel looks at one bit less than it is told. */
    if (syscall(SYS_mbind, base, size_bytes, modes[policy], nodes->words,
                (unsigned long)highest + 2, 0) == 0)
        return 0;
    error = errno;
    if (error != EINVAL)
        return unknown_or(error);
    reason = check_nodes(nodes);
    if (reason != 0)
        return reason;
    return modes[policy] >= POLICY_PREFERRED_MANY ? -EOPNOTSUPP : -EPERM;
}

int zf_os_prefer_node(void *base, size_t size_bytes, int node)
{
    struct zf_node_set set = {{0}};
    ZF_ASSERT(is_page_range(base, size_bytes));
    ZF_ASSERT(node >= -1);
    if (node >= ZF_NODES_MAX)
        return -ENODEV;
    if (node < 0)
        return syscall(SYS_mbind, base, size_bytes, POLICY_LOCAL, NULL, 0, 0) == 0
                   ? 0
                   : unknown_or(errno);
    zf_node_set_add(&set, node);
    return zf_os_place(base, size_bytes, ZF_OS_PREFER, &set);
}

/* move_pages takes addresses: as many at a time as fit a small stack. */
#define PAGES_PER_CALL 512

static void list_pages(unsigned char *base, size_t stride_bytes, size_t count, void **pages)
{
    ZF_ASSERT(count <= PAGES_PER_CALL);
    ZF_ASSERT(stride_bytes % zf_os_page_bytes() == 0);
    for (size_t i = 0; i < count; ++i)
        pages[i] = base + i * stride_bytes;
}

int zf_os_page_nodes(const void *base, size_t stride_bytes, size_t count, int *nodes)
{
    void *pages[PAGES_PER_CALL];
    ZF_ASSERT(base != NULL && stride_bytes != 0);
    ZF_ASSERT(nodes != NULL);
    for (size_t done = 0; done < count;) {
        size_t part = zf_min(count - done, PAGES_PER_CALL);
        list_pages((unsigned char *)(uintptr_t)base + done * stride_bytes, stride_bytes, part,
                   pages);
        if (syscall(SYS_move_pages, 0, part, pages, NULL, nodes + done, 0) != 0)
            return unknown_or(errno);
        done += part;
    }
    return 0;
}

int zf_os_move_pages(void *base, size_t stride_bytes, size_t count, const int *nodes, int *results)
{
    void *pages[PAGES_PER_CALL];
    ZF_ASSERT(base != NULL && stride_bytes != 0);
    ZF_ASSERT(nodes != NULL && results != NULL);
    for (size_t done = 0; done < count;) {
        size_t part = zf_min(count - done, PAGES_PER_CALL);
        long rc;
        list_pages((unsigned char *)base + done * stride_bytes, stride_bytes, part, pages);
        for (size_t i = 0; i < part; ++i)
            results[done + i] = -EAGAIN;
        rc = syscall(SYS_move_pages, 0, part, pages, nodes + done, results + done, MOVE_OWN);
        /* A positive answer counts the pages that stayed where they were. */
        if (rc < 0)
            return unknown_or(errno);
        done += part;
    }
    return 0;
}

int zf_os_discard(void *base, size_t size_bytes)
{
    ZF_ASSERT(is_page_range(base, size_bytes));
    if (madvise(base, size_bytes, ADVICE_DONTNEED_LOCKED) == 0)
        return 0;
    /* Before Linux 5.18 a locked range must be unlocked for it. */
    (void)syscall(SYS_munlock, base, size_bytes);
    return madvise(base, size_bytes, MADV_DONTNEED) == 0 ? 0 : -errno;
}
