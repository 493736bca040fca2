/*
 * Ranges that the kernel's pools of reserved huge pages back (hugetlb).
 *
 * Such a range is made apart, populated there, where a shortage is an error, and only then moved to
 * where it belongs by mremap, which knows hugetlb since Linux 5.16. An older kernel finds that out
 * after it has unmapped the target, so each range is first moved to a place of its own. Ranges are
 * born without access, because mlockall(MCL_FUTURE) populates what has some, before any policy is
 * set. mmap sets pages aside for the machine as a whole, whatever the policy says later. See
 * mmap(2), mremap(2), Documentation/mm/hugetlbfs_reserv.rst.
 */
#include "os/os.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/assert.h"

/* In the flags of mmap: the size as a power of two. */
#define HUGE_SHIFT_AT 26

/* Used by assertions alone. */
__attribute__((unused)) static bool is_pool_range(const void *base, size_t size_bytes,
                                                  size_t page_bytes)
{
    return base != NULL && size_bytes != 0 && zf_is_power_of_two(page_bytes) &&
           ((uintptr_t)base | size_bytes) % page_bytes == 0;
}

size_t zf_os_pool_page_bytes(int pool)
{
    ZF_ASSERT(pool >= 0 && pool < ZF_OS_POOLS_COUNT);
    return pool == ZF_OS_POOL_1G ? (size_t)1 << 30 : (size_t)2 << 20;
}

/* Map at `base`, or anywhere, and open the range once nothing can populate it any more. */
static int map(size_t size_bytes, size_t page_bytes, int flags, void **base)
{
    int shift = __builtin_ctzll(page_bytes);
    void *start =
        mmap(*base, size_bytes, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | flags | shift << HUGE_SHIFT_AT, -1, 0);
    int error;
    if (start == MAP_FAILED)
        return errno == EINVAL || errno == ENODEV ? -EOPNOTSUPP : -errno;
    (void)syscall(SYS_munlock, start, size_bytes);
    if (mprotect(start, size_bytes, PROT_READ | PROT_WRITE) != 0) {
        error = -errno;
        if ((flags & MAP_FIXED) == 0)
            (void)munmap(start, size_bytes);
        return error;
    }
    *base = start;
    return 0;
}

int zf_os_pool_map(size_t size_bytes, size_t page_bytes, void **base)
{
    int rc;
    ZF_ASSERT(base != NULL);
    ZF_ASSERT(zf_is_power_of_two(page_bytes) && size_bytes % page_bytes == 0);
    *base = NULL;
    rc = map(size_bytes, page_bytes, 0, base);
    ZF_ASSERT(rc != 0 || is_pool_range(*base, size_bytes, page_bytes));
    return rc;
}

int zf_os_pool_unmap(void *base, size_t size_bytes)
{
    ZF_ASSERT(base != NULL && size_bytes != 0);
    return munmap(base, size_bytes) == 0 ? 0 : -errno;
}

/* Move a range to addresses that are nobody else's; as zf_os_pool_settle. */
static int move_aside(void **from, size_t size_bytes, uintptr_t alignment_of)
{
    size_t alignment = (size_t)1 << __builtin_ctzll(alignment_of | size_bytes);
    void *aside;
    int rc = zf_os_reserve(size_bytes, alignment, &aside);
    if (rc != 0)
        return rc;
    rc = mremap(*from, size_bytes, size_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, aside) == MAP_FAILED
             ? -errno
             : 0;
    /* Of what was reserved, all on failure, the guard otherwise. */
    if (rc != 0)
        (void)zf_os_release(aside, size_bytes);
    else
        (void)munmap((unsigned char *)aside + size_bytes, zf_os_page_bytes());
    if (rc == 0)
        *from = aside;
    return rc == -EINVAL ? -EOPNOTSUPP : rc;
}

int zf_os_pool_settle(void *from, size_t size_bytes, void *to)
{
    int rc;
    ZF_ASSERT(from != NULL && to != NULL && from != to);
    ZF_ASSERT(size_bytes != 0);
    rc = move_aside(&from, size_bytes, (uintptr_t)from | (uintptr_t)to);
    if (rc == 0 && mremap(from, size_bytes, size_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
        rc = errno == EINVAL ? -EIO : -errno;
    if (rc != 0 && rc != -EOPNOTSUPP)
        (void)munmap(from, size_bytes);
    return rc;
}

int zf_os_pool_replace(void *base, size_t size_bytes, size_t page_bytes)
{
    ZF_ASSERT(is_pool_range(base, size_bytes, page_bytes));
    return map(size_bytes, page_bytes, MAP_FIXED | MAP_NORESERVE, &base);
}

int zf_os_renew(void *base, size_t size_bytes)
{
    void *start;
    ZF_ASSERT(base != NULL && size_bytes != 0);
    start = mmap(base, size_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (start == MAP_FAILED)
        return -errno;
    (void)syscall(SYS_munlock, base, size_bytes);
    return zf_os_commit(base, size_bytes);
}
