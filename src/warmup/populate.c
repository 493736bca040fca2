/*
 * Populate, collapse, lock, freeze: the steps that change a region.
 *
 * Three ways to make pages present and writable, each tried when the one before is unknown or
 * refused, or claimed success and the page map says otherwise (user-mode emulators do): the
 * kernel's populate, mlock, and a write to each page. The write is an atomic add of nothing,
 * because other threads may already use the arena; it must not be a plain store, nor an operation
 * that the compiler can prove to change nothing and drop. Every step is chunked, so that the
 * address space's lock is held briefly and the caller can stop. See madvise(2), mlock(2).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/arith.h"
#include "base/sanitize.h"
#include "machine/files.h"
#include "warmup/run.h"

#define LINE_BYTES 64
#define LINES 64 /* of the smallest page there is */
#define PAGES_AHEAD 16

/* ------------------------------------------------------------------------------------- populate */

/* A byte of the page, on another cache line than the next page's: lines at one offset of all pages
 * would share a few sets of the cache, and throw each other out. */
static inline unsigned char *byte_of_page(uintptr_t start, size_t page, size_t page_bytes)
{
    return (unsigned char *)(start + page * page_bytes + page % LINES * LINE_BYTES);
}

/* Writes wait for each other, and each for memory; asking for what comes lets those waits overlap:
 * 3.1 ms for 1 GiB of small pages that are there, 5.5 from one offset, 10.8 without asking. */
ZF_UNINSTRUMENTED void zf_warmup_touch(void *base, size_t size_bytes, size_t page_bytes)
{
    uintptr_t start = (uintptr_t)base;
    unsigned char nothing = 0;
    ZF_ASSERT(page_bytes >= LINES * LINE_BYTES && size_bytes % page_bytes == 0);
    /* Hide the value: adding a known 0 may become a fence, or a write to the stack. Add and not
     * or: x86 has no fetching OR, and a load before the write would map the zero page first, two
     * faults where one is enough. */
    __asm__ volatile("" : "+r"(nothing));
    for (size_t page = 0; page < size_bytes / page_bytes; ++page) {
        __builtin_prefetch(byte_of_page(start, page + PAGES_AHEAD, page_bytes), 1);
        __atomic_fetch_add(byte_of_page(start, page, page_bytes), nothing, __ATOMIC_RELAXED);
    }
}

static int populate_chunk(struct zf_warmup_run *run, void *base, size_t size_bytes)
{
    (void)run;
    return zf_os_populate(base, size_bytes);
}

static int lock_chunk(struct zf_warmup_run *run, void *base, size_t size_bytes)
{
    (void)run;
    return zf_os_lock(base, size_bytes);
}

static int touch_chunk(struct zf_warmup_run *run, void *base, size_t size_bytes)
{
    zf_warmup_touch(base, size_bytes, run->region->page_bytes);
    return 0;
}

/* Believe the page map, not the return value. A system without a page map is believed here and
 * found out by the proof. */
static int check_present(struct zf_warmup_run *run)
{
    if (zf_warmup_residency(run) != 0)
        return 0;
    return run->residency.present_bytes == run->region->size_bytes ? 0 : -ENODATA;
}

/* Errors that the next method may not have; the others are about memory. mlock says ENOMEM when it
 * is over its limit and EAGAIN when memory is short. */
static bool may_fall_back(enum warmup_method method, int error)
{
    return error == -EOPNOTSUPP || error == -EPERM || error == -EINVAL || error == -ENODATA ||
           (method == WARMUP_METHOD_MLOCK && error == -ENOMEM);
}

/* Locking is only a means here, so one chunk at a time has to fit the limit; the lock step locks
 * what shall stay locked. */
static int populate_chunk_by_lock(struct zf_warmup_run *run, void *base, size_t size_bytes)
{
    size_t unit_bytes = zf_region_unit_bytes(run->region);
    int rc = 0;
    /* A small page of a reserved one brings all of it, and counts against no limit afterwards. */
    if (run->region->pool_page_bytes != 0) {
        for (size_t offset = 0; offset < size_bytes && rc == 0; offset += unit_bytes)
            rc = zf_os_lock((unsigned char *)base + offset, run->region->page_bytes);
        return rc;
    }
    rc = zf_os_lock(base, size_bytes);
    /* Unlocking what was locked ahead would leave a mapping of its own for each chunk. */
    if (!run->region->locked && !run->locked_ahead)
        (void)zf_os_unlock(base, size_bytes);
    return rc;
}

/* Lock an empty region before it is populated: the pages are locked as they come, which costs
 * nothing (80 ms for 256 MiB either way), where mlock afterwards takes another 20, half of it with
 * the address space's lock held for writing. A refusal will come again in the lock step. */
static void lock_ahead(struct zf_warmup_run *run)
{
    struct zf_region *region = run->region;
    if (run->wishes->lock == WARMUP_OFF || run->report->lock.error != 0 || !run->was_empty ||
        region->locked)
        return;
    run->locked_ahead = zf_os_lock_ahead(region->base, region->size_bytes) == 0;
}

/* Locking a chunk parts the mapping for a moment. What two threads then fault in belongs to two
 * mappings for good: the kernel joins them no more. So one thread locks, in rising order. */
static size_t threads_for(struct zf_warmup_run *run, enum warmup_method method)
{
    struct warmup_report *report = run->report;
    if (method != WARMUP_METHOD_MLOCK || run->threads == 1)
        return run->threads;
    report->threads_got = 1;
    if (report->threads_error == 0)
        report->threads_error = -EOPNOTSUPP;
    return 1;
}

static int populate_by(struct zf_warmup_run *run, enum warmup_method method, zf_warmup_step *step)
{
    int rc;
    run->report->method = method;
    rc = zf_warmup_chunks(run, run->region->size_bytes, step, threads_for(run, method));
    return rc == 0 ? check_present(run) : rc;
}

int zf_warmup_populate_pages(struct zf_warmup_run *run, enum warmup_method last)
{
    static zf_warmup_step *const steps[] = {[WARMUP_METHOD_POPULATE_WRITE] = populate_chunk,
                                            [WARMUP_METHOD_MLOCK] = populate_chunk_by_lock,
                                            [WARMUP_METHOD_TOUCH] = touch_chunk};
    enum warmup_method method = WARMUP_METHOD_POPULATE_WRITE;
    int rc = populate_by(run, method, steps[method]);
    run->report->fallback_error = 0;
    while (method < last && may_fall_back(method, rc)) {
        run->report->fallback_error = rc;
        ++method;
        rc = populate_by(run, method, steps[method]);
    }
    if (rc == -ENODATA)
        rc = -EFAULT;
    return rc == -EAGAIN ? -ENOMEM : rc;
}

int zf_warmup_populate(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    int rc;
    ZF_ASSERT(report->method == WARMUP_METHOD_NONE);
    ZF_ASSERT(report->fallback_error == 0);
    zf_warmup_choose_threads(run);
    if (run->region->pool_page_bytes != 0)
        return zf_warmup_refill_pool(run);
    if (run->pools_hopeful) {
        rc = zf_warmup_try_pools(run);
        if (rc != 0 || run->region->pool_page_bytes != 0)
            return rc;
        rc = zf_warmup_check_small(run);
        if (rc != 0)
            return rc;
    }
    /* A freeze of an earlier warmup shut huge pages out. */
    if (run->region->huge_wished)
        (void)zf_os_advise(run->region->base, run->region->size_bytes, ZF_OS_HUGE_WISHED);
    /* Bound by an earlier warmup: a page that has gone since must be able to land elsewhere. */
    if (run->region->bound && (rc = zf_region_place(run->region)) != 0)
        return report->populate.error = rc;
    lock_ahead(run);
    rc = zf_warmup_populate_pages(run, WARMUP_METHOD_TOUCH);
    report->populate.error = rc;
    /* A huge page is made on the node of the small ones that it replaces. */
    return rc == 0 && run->region->huge_wished ? zf_warmup_place(run) : rc;
}

/* ------------------------------------------------------------------------------------- collapse */

/* A chunk that cannot be collapsed does not keep the next ones from it. */
static int collapse_chunk(struct zf_warmup_run *run, void *base, size_t size_bytes)
{
    int rc = zf_os_advise(base, size_bytes, ZF_OS_HUGE_COLLAPSE);
    if (rc == -EAGAIN || rc == -EBUSY)
        rc = zf_os_advise(base, size_bytes, ZF_OS_HUGE_COLLAPSE);
    if (rc != 0 && run->report->huge_pages.error == 0)
        run->report->huge_pages.error = rc;
    return rc == -EOPNOTSUPP ? rc : 0;
}

/* Whether huge pages cover all that they can; -EOPNOTSUPP when it cannot be told. */
static int check_huge(struct zf_warmup_run *run)
{
    if (zf_warmup_residency(run) != 0 || !run->residency.huge_known)
        return -EOPNOTSUPP;
    return run->residency.huge_bytes >= zf_region_huge_part_bytes(run->region) ? 0 : -ENOMEM;
}

/* By prctl(PR_SET_THP_DISABLE), of this process or of one that started it. */
static bool are_switched_off(const struct zf_warmup_run *run)
{
    char *status;
    bool off;
    if (zf_file_read(run->root, "/proc/self/status", &status) != 0)
        return false;
    off = zf_text_field(status, "THP_enabled:", 1) == 0;
    free(status);
    return off;
}

/* Why huge pages do not cover all that they can, by what the collapse was refused with. A kernel
 * that has no collapse had no memory for them; one that refuses it here gives none here. */
static int reason_of(struct zf_warmup_run *run, int refused)
{
    run->huge_switched_off = are_switched_off(run);
    if (run->huge_switched_off || refused == -EINVAL)
        return -EOPNOTSUPP;
    return refused == 0 || refused == -EOPNOTSUPP ? -ENOMEM : refused;
}

int zf_warmup_collapse(struct zf_warmup_run *run)
{
    struct warmup_item *item = &run->report->huge_pages;
    size_t huge_bytes = zf_region_huge_part_bytes(run->region);
    int rc;
    if (!run->region->huge_wished || huge_bytes == 0)
        return 0;
    rc = check_huge(run);
    if (rc == -ENOMEM) {
        rc = zf_warmup_chunks(run, huge_bytes, collapse_chunk, 1);
        if (rc == -ECANCELED)
            return rc;
        rc = check_huge(run);
        if (rc == -ENOMEM)
            rc = reason_of(run, item->error);
    }
    item->error = rc;
    return run->wishes->huge_pages == WARMUP_REQUIRE ? rc : 0;
}

/* ----------------------------------------------------------------------------------------- lock */

/* Find out what is locked; -EAGAIN when that is not all. */
static int check_locked(const struct zf_warmup_run *run, size_t *locked_bytes)
{
    int rc = zf_warmup_locked_bytes(run, locked_bytes);
    return rc == 0 && *locked_bytes < run->region->size_bytes ? -EAGAIN : rc;
}

int zf_warmup_lock(struct zf_warmup_run *run)
{
    struct warmup_item *item = &run->report->lock;
    struct zf_region *region = run->region;
    size_t locked_bytes = 0;
    int rc = item->error;
    if (run->wishes->lock == WARMUP_OFF)
        return 0;
    /* Reserved pages are never reclaimed, and cannot be locked. */
    if (rc == 0 && region->pool_page_bytes != 0) {
        rc = check_locked(run, &locked_bytes);
    } else if (rc == 0 && (!run->locked_ahead || check_locked(run, &locked_bytes) != 0)) {
        rc = zf_warmup_chunks(run, region->size_bytes, lock_chunk, 1);
        if (rc == 0)
            rc = check_locked(run, &locked_bytes);
    }
    /* All or nothing: a part would use up the limit and promise nothing. */
    if (rc != 0 && !region->locked)
        (void)zf_os_unlock(region->base, region->size_bytes);
    region->locked = region->locked || rc == 0;
    item->error = rc;
    item->granted_bytes = rc == 0 ? locked_bytes : 0;
    return run->wishes->lock == WARMUP_REQUIRE || rc == -ECANCELED ? rc : 0;
}

/* --------------------------------------------------------------------------------------- freeze */

/* A system that does not know the advice does nothing that it would have to be kept from. */
static int freeze_against(struct zf_warmup_run *run, enum zf_os_advice advice)
{
    int rc = zf_os_advise(run->region->base, run->region->size_bytes, advice);
    return rc == -EOPNOTSUPP ? 0 : rc;
}

int zf_warmup_freeze(struct zf_warmup_run *run)
{
    struct warmup_item *item = &run->report->freeze;
    /* Nothing changes reserved pages. */
    bool needed = run->region->pool_page_bytes == 0;
    int huge_error = needed ? freeze_against(run, ZF_OS_HUGE_FROZEN) : 0;
    int merge_error = needed ? freeze_against(run, ZF_OS_NEVER_MERGE) : 0;
    ZF_ASSERT(item->asked == WARMUP_PREFER);
    item->error = huge_error != 0 ? huge_error : merge_error;
    item->granted_bytes = item->error == 0 ? item->asked_bytes : 0;
    if (item->error != 0)
        item->remedy = "Write never to /sys/kernel/mm/transparent_hugepage/enabled and 0 to "
                       "/sys/kernel/mm/ksm/run.";
    return 0;
}
