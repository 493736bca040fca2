/*
 * Address ranges on Linux: reserve, commit, populate, lock, advise.
 *
 * A range is one private anonymous mapping, born without access and opened by commit. Without
 * MAP_NORESERVE, so that the kernel's commit limit refuses here and not at the first touch. A page
 * without access behind it keeps it a mapping of its own: the kernel merges neighbours, and smaps
 * would then answer for both. mlock is called by number: AddressSanitizer replaces libc's by a stub
 * that does nothing. Whether madvise's EINVAL means "unknown" or "refused" is asked with an empty
 * range, which checks the advice alone. What is resident is not known here, see residency.c.
 * See madvise(2), mlock(2), prctl(2).
 */
#include "os/os.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/assert.h"
#include "base/sanitize.h"

/* Newer than the oldest headers that this compiles with. */
enum {
    ADVICE_POPULATE_READ = 22,  /* Linux 5.14 */
    ADVICE_POPULATE_WRITE = 23, /* Linux 5.14 */
    ADVICE_COLLAPSE = 25,       /* Linux 6.1 */
    LOCK_ON_FAULT = 1,          /* Linux 4.4 */
    VMA_NAME_MAX = 80           /* with terminator; Linux 5.17 */
};
#define VMA_SET 0x53564d41
#define VMA_SET_NAME 0

/* Used by assertions alone. */
__attribute__((unused)) static bool is_page_range(const void *base, size_t size_bytes)
{
    size_t page_bytes = zf_os_page_bytes();
    return base != NULL && size_bytes != 0 && ((uintptr_t)base | size_bytes) % page_bytes == 0;
}

/* A call that was compiled out of the kernel is as unknown as one that it never had. */
static int unknown_or(int error)
{
    return error == ENOSYS ? -EOPNOTSUPP : -error;
}

size_t zf_os_page_bytes(void)
{
    long page_bytes = sysconf(_SC_PAGESIZE);
    ZF_ASSERT(page_bytes > 0);
    ZF_ASSERT(zf_is_power_of_two((size_t)page_bytes));
    return (size_t)page_bytes;
}

size_t zf_os_huge_page_bytes(void)
{
    char text[32];
    size_t huge_bytes;
    if (zf_os_read_file("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", text, sizeof text) <=
        0)
        return 0;
    huge_bytes = strtoull(text, NULL, 10);
    return zf_is_power_of_two(huge_bytes) && huge_bytes > zf_os_page_bytes() ? huge_bytes : 0;
}

int zf_os_reserve(size_t size_bytes, size_t alignment, void **base)
{
    size_t page_bytes = zf_os_page_bytes();
    size_t slack_bytes, guarded_bytes, total_bytes, head_bytes, tail_bytes;
    unsigned char *start;
    ZF_ASSERT(base != NULL);
    ZF_ASSERT(size_bytes != 0 && size_bytes % page_bytes == 0);
    ZF_ASSERT(zf_is_power_of_two(alignment) && alignment >= page_bytes);
    *base = NULL;
    slack_bytes = alignment - page_bytes;
    if (__builtin_add_overflow(size_bytes, page_bytes, &guarded_bytes) ||
        __builtin_add_overflow(guarded_bytes, slack_bytes, &total_bytes))
        return -ENOMEM;
    start = mmap(NULL, total_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return -errno;
    /* mlockall(MCL_FUTURE) has locked it, and a locked range is populated when it is opened. */
    (void)syscall(SYS_munlock, start, total_bytes);
    head_bytes = (size_t)(-(uintptr_t)start & (alignment - 1));
    tail_bytes = slack_bytes - head_bytes;
    /* Trimming the ends of a mapping splits nothing, so it cannot fail for want of mappings. */
    if (head_bytes != 0)
        munmap(start, head_bytes);
    if (tail_bytes != 0)
        munmap(start + head_bytes + guarded_bytes, tail_bytes);
    *base = start + head_bytes;
    ZF_ASSERT((uintptr_t)*base % alignment == 0);
    return 0;
}

int zf_os_commit(void *base, size_t size_bytes)
{
    ZF_ASSERT(is_page_range(base, size_bytes));
    return mprotect(base, size_bytes, PROT_READ | PROT_WRITE) == 0 ? 0 : -errno;
}

int zf_os_release(void *base, size_t size_bytes)
{
    ZF_ASSERT(is_page_range(base, size_bytes));
    return munmap(base, size_bytes + zf_os_page_bytes()) == 0 ? 0 : -errno;
}

int zf_os_release_part(void *base, size_t size_bytes)
{
    ZF_ASSERT(is_page_range(base, size_bytes));
    return munmap(base, size_bytes) == 0 ? 0 : -errno;
}

int zf_os_name(void *base, size_t size_bytes, const char *name)
{
    char text[VMA_NAME_MAX];
    ZF_ASSERT(is_page_range(base, size_bytes));
    ZF_ASSERT(name != NULL);
    snprintf(text, sizeof text, "%s", name);
    /* The kernel takes printable characters without those that could confuse a reader of maps. */
    for (char *c = text; *c != '\0'; ++c)
        if (*c < ' ' || *c > '~' || strchr("\\`$[]", *c) != NULL)
            *c = '_';
    if (prctl(VMA_SET, VMA_SET_NAME, base, size_bytes, text) == 0)
        return 0;
    /* Every argument is right by now, so EINVAL can only mean the request itself. */
    return errno == EINVAL ? -EOPNOTSUPP : unknown_or(errno);
}

ZF_UNINSTRUMENTED static int advise(void *base, size_t size_bytes, int advice)
{
    int error;
    do {
        if (madvise(base, size_bytes, advice) == 0)
            return 0;
        error = errno;
    } while (error == EINTR);
    if (error == EINVAL && madvise(NULL, 0, advice) != 0)
        return -EOPNOTSUPP;
    return unknown_or(error);
}

/* Counted by proofs, like zf_os_counters. */
ZF_UNINSTRUMENTED int zf_os_populate(void *base, size_t size_bytes)
{
    ZF_ASSERT(is_page_range(base, size_bytes));
    return advise(base, size_bytes, ADVICE_POPULATE_WRITE);
}

int zf_os_populate_read(const void *base, size_t size_bytes)
{
    ZF_ASSERT(is_page_range(base, size_bytes));
    return advise((void *)(uintptr_t)base, size_bytes, ADVICE_POPULATE_READ);
}

int zf_os_lock(void *base, size_t size_bytes)
{
    ZF_ASSERT(is_page_range(base, size_bytes));
    return syscall(SYS_mlock, base, size_bytes) == 0 ? 0 : unknown_or(errno);
}

int zf_os_lock_ahead(void *base, size_t size_bytes)
{
    ZF_ASSERT(is_page_range(base, size_bytes));
    return syscall(SYS_mlock2, base, size_bytes, LOCK_ON_FAULT) == 0 ? 0 : unknown_or(errno);
}

int zf_os_unlock(void *base, size_t size_bytes)
{
    ZF_ASSERT(is_page_range(base, size_bytes));
    return syscall(SYS_munlock, base, size_bytes) == 0 ? 0 : unknown_or(errno);
}

int zf_os_advise(void *base, size_t size_bytes, enum zf_os_advice advice)
{
    ZF_ASSERT(is_page_range(base, size_bytes));
    switch (advice) {
    case ZF_OS_FORK_EXCLUDE:
        return advise(base, size_bytes, MADV_DONTFORK);
    case ZF_OS_FORK_WIPE:
        return advise(base, size_bytes, MADV_WIPEONFORK);
    case ZF_OS_HUGE_WISHED:
        return advise(base, size_bytes, MADV_HUGEPAGE);
    case ZF_OS_HUGE_COLLAPSE:
        return advise(base, size_bytes, ADVICE_COLLAPSE);
    case ZF_OS_HUGE_FROZEN:
        return advise(base, size_bytes, MADV_NOHUGEPAGE);
    case ZF_OS_NEVER_MERGE:
        return advise(base, size_bytes, MADV_UNMERGEABLE);
    }
    ZF_ASSERT(advice <= ZF_OS_NEVER_MERGE);
    return -EINVAL;
}
