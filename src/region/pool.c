/*
 * Reserved huge pages for a region; see pool.h.
 *
 * Insisting on a node is safe here, unlike with other pages: a pool that runs dry is an error of
 * populate, and no business of the OOM killer. So a policy that names the nodes insists, and a pool
 * that is full elsewhere is no help, unless the caller has tried that and takes any. Nothing here
 * touches a page that is not present, which on a dry pool would be SIGBUS.
 */
#include "region/pool.h"

#include <errno.h>

#include "base/arith.h"
#include "base/sanitize.h"
#include "os/os.h"

/* Looked at together when copying. */
#define COPY_BYTES ((size_t)2 << 20)

static int place(struct zf_region *region, enum warmup_wish bind)
{
    int rc;
    if (bind == WARMUP_OFF || region->bind_error != 0)
        return 0;
    rc = zf_region_place(region);
    return rc == 0 && !region->pool_anywhere ? zf_region_bind(region) : rc;
}

/* Reserved pages cannot be wiped in a child; a child that has none harms nobody, so that is an
 * error to tell of, and shares nothing. */
static void settle_fork(struct zf_region *region, enum warmup_fork fork)
{
    int rc = 0;
    if (fork != WARMUP_FORK_INHERIT)
        rc = zf_os_advise(region->base, region->size_bytes, ZF_OS_FORK_EXCLUDE);
    region->fork_shares = fork == WARMUP_FORK_INHERIT || rc != 0;
    region->fork_error = rc == 0 && fork == WARMUP_FORK_WIPE ? -EOPNOTSUPP : rc;
}

/* What a region of these pages is, beside its base. */
static int become_pool(struct zf_region *region, size_t page_bytes,
                       const struct zf_region_options *options)
{
    region->pool_page_bytes = page_bytes;
    region->pool_anywhere = options->pool_anywhere;
    region->bound = false;
    settle_fork(region, options->fork);
    /* The system has a name of its own for them, and no other. */
    region->name_error = -EOPNOTSUPP;
    return place(region, options->bind);
}

int zf_region_pool_create(const struct zf_region *region, size_t page_bytes,
                          const struct zf_region_options *options, struct zf_region *candidate)
{
    int rc;
    ZF_ASSERT(zf_region_is_valid(region));
    ZF_ASSERT(region->pool_page_bytes == 0);
    if (region->size_bytes % page_bytes != 0 || (uintptr_t)region->base % page_bytes != 0)
        return -EINVAL;
    *candidate = *region;
    rc = zf_os_pool_map(region->size_bytes, page_bytes, &candidate->base);
    if (rc != 0)
        return rc;
    rc = become_pool(candidate, page_bytes, options);
    if (rc != 0)
        zf_region_pool_discard(candidate);
    return rc;
}

void zf_region_pool_discard(struct zf_region *candidate)
{
    ZF_ASSERT(candidate->pool_page_bytes != 0);
    (void)zf_os_pool_unmap(candidate->base, candidate->size_bytes);
    candidate->base = NULL;
}

ZF_UNINSTRUMENTED static void copy(const void *from, size_t size_bytes, void *to)
{
    const uint64_t *source = from;
    volatile uint64_t *target = to;
    for (size_t i = 0; i < size_bytes / sizeof *source; ++i)
        target[i] = source[i];
}

int zf_region_copy(const void *from, size_t size_bytes, void *to)
{
    struct zf_os_residency residency = {0};
    size_t part_bytes;
    int rc = zf_os_residency(from, size_bytes, &residency);
    if (rc == 0 && residency.present_bytes == 0)
        return 0;
    for (size_t offset = 0; rc == 0 && offset < size_bytes; offset += part_bytes) {
        const unsigned char *start = (const unsigned char *)from + offset;
        part_bytes = zf_min(COPY_BYTES, size_bytes - offset);
        rc = zf_os_residency(start, part_bytes, &residency);
        if (rc == 0 && residency.present_bytes != 0)
            copy(start, part_bytes, (unsigned char *)to + offset);
    }
    return rc;
}

int zf_region_pool_settle(struct zf_region *region, struct zf_region *candidate)
{
    void *base = region->base;
    int rc = zf_region_copy(base, region->size_bytes, candidate->base);
    ZF_ASSERT(candidate->size_bytes == region->size_bytes);
    if (rc != 0) {
        zf_region_pool_discard(candidate);
        return rc;
    }
    rc = zf_os_pool_settle(candidate->base, region->size_bytes, base);
    if (rc != 0) {
        candidate->base = rc == -EOPNOTSUPP ? candidate->base : NULL;
        return rc;
    }
    *region = *candidate;
    region->base = base;
    candidate->base = NULL;
    region->huge_wished = false;
    region->locked = true;
    return 0;
}

int zf_region_pool_replace(struct zf_region *region, size_t page_bytes,
                           const struct zf_region_options *options)
{
    int rc = zf_os_pool_replace(region->base, region->size_bytes, page_bytes);
    if (rc != 0)
        return rc;
    region->huge_wished = false;
    region->locked = true;
    return become_pool(region, page_bytes, options);
}
