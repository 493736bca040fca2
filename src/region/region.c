/*
 * Create and destroy regions; see region.h.
 *
 * The order is the point: policy, fork advice and page size are set while no page is there, since
 * none of them reaches pages that exist. A refusal is kept, not answered, because only the warmup
 * has a report to put it in; the two that no warmup could mend, a node that does not exist and no
 * room for one more mapping, fail at once. Nothing here makes a page resident.
 */
#include "region/region.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arith.h"
#include "os/os.h"

bool zf_region_is_valid(const struct zf_region *region)
{
    return region->base != NULL && region->size_bytes != 0 &&
           zf_is_power_of_two(region->page_bytes) &&
           ((uintptr_t)region->base | region->size_bytes) % region->page_bytes == 0 &&
           (region->huge_page_bytes == 0 || zf_is_power_of_two(region->huge_page_bytes));
}

size_t zf_region_huge_part_bytes(const struct zf_region *region)
{
    ZF_ASSERT(zf_region_is_valid(region));
    if (region->huge_page_bytes == 0)
        return 0;
    return zf_align_down(region->size_bytes, region->huge_page_bytes);
}

size_t zf_region_unit_bytes(const struct zf_region *region)
{
    return region->pool_page_bytes != 0 ? region->pool_page_bytes : region->page_bytes;
}

static int settle_policy(struct zf_region *region, const struct zf_region_options *options)
{
    if (options->bind == WARMUP_OFF)
        return 0;
    region->bind_error = zf_region_place(region);
    if (region->bind_error == -ENODEV || region->bind_error == -ENOMEM)
        return region->bind_error;
    return 0;
}

static void settle_fork(struct zf_region *region, const struct zf_region_options *options)
{
    if (options->fork == WARMUP_FORK_EXCLUDE)
        region->fork_error = zf_os_advise(region->base, region->size_bytes, ZF_OS_FORK_EXCLUDE);
    if (options->fork == WARMUP_FORK_WIPE)
        region->fork_error = zf_os_advise(region->base, region->size_bytes, ZF_OS_FORK_WIPE);
    region->fork_shares = options->fork == WARMUP_FORK_INHERIT || region->fork_error != 0;
}

static int settle_page_size(struct zf_region *region, const struct zf_region_options *options)
{
    if (options->huge_pages == WARMUP_OFF) {
        /* Off means off, also where the system gives huge pages to everybody. A system that does
         * not know the advice has none to give. */
        (void)zf_os_advise(region->base, region->size_bytes, ZF_OS_HUGE_FROZEN);
        return 0;
    }
    if (region->huge_page_bytes == 0) {
        region->huge_error = -EOPNOTSUPP;
        return 0;
    }
    region->huge_error = zf_os_advise(region->base, region->size_bytes, ZF_OS_HUGE_WISHED);
    region->huge_wished = region->huge_error == 0;
    return region->huge_error == -ENOMEM ? -ENOMEM : 0;
}

static void settle_name(struct zf_region *region, const struct zf_region_options *options)
{
    char text[80];
    if (options->name == NULL)
        return;
    region->named = true;
    snprintf(text, sizeof text, "zerofault:%s", options->name);
    region->name_error = zf_os_name(region->base, region->size_bytes, text);
}

/* At most this many stripes: each may cost a mapping. */
#define STRIPES_MAX 256

static bool settle_stripes(struct zf_region *region, const struct zf_region_options *options)
{
    size_t unit = zf_max(region->page_bytes, options->alignment_bytes);
    if (options->huge_pages != WARMUP_OFF && region->huge_page_bytes != 0)
        unit = zf_max(unit, region->huge_page_bytes);
    return zf_align_up(region->size_bytes / STRIPES_MAX + 1, unit, &region->stripe_bytes);
}

/* Settle what no page may be there for yet. */
static int settle(struct zf_region *region, const struct zf_region_options *options)
{
    int rc = settle_policy(region, options);
    if (rc == 0)
        rc = settle_page_size(region, options);
    if (rc != 0)
        return rc;
    settle_fork(region, options);
    settle_name(region, options);
    return 0;
}

int zf_region_renew(struct zf_region *region, const struct zf_region_options *options)
{
    int rc = zf_os_renew(region->base, region->size_bytes);
    region->pool_page_bytes = 0;
    region->pool_anywhere = false;
    region->locked = false;
    return rc == 0 ? settle(region, options) : rc;
}

int zf_region_create(struct zf_region *region, const struct zf_region_options *options)
{
    size_t alignment = zf_max(options->alignment_bytes, zf_os_page_bytes());
    int rc;
    ZF_ASSERT(region != NULL);
    ZF_ASSERT(options->bind != WARMUP_DEFAULT && options->huge_pages != WARMUP_DEFAULT);
    ZF_ASSERT(options->node >= -1);
    memset(region, 0, sizeof *region);
    region->page_bytes = zf_os_page_bytes();
    region->huge_page_bytes = zf_os_huge_page_bytes();
    region->forks_undergone = zf_os_forks().undergone;
    if (options->size_bytes == 0 ||
        !zf_align_up(options->size_bytes, region->page_bytes, &region->size_bytes))
        return -EINVAL;
    if (!settle_stripes(region, options))
        return -EINVAL;
    if (options->node >= ZF_NODES_MAX)
        return -ENODEV;
    region->placement =
        options->placement != NULL ? *options->placement : zf_placement_at(options->node);
    if (options->huge_pages != WARMUP_OFF && region->size_bytes >= region->huge_page_bytes)
        alignment = zf_max(alignment, region->huge_page_bytes);
    rc = zf_os_reserve(region->size_bytes, alignment, &region->base);
    if (rc == 0)
        rc = zf_os_commit(region->base, region->size_bytes);
    if (rc == 0)
        rc = settle(region, options);
    if (rc != 0) {
        zf_region_destroy(region);
        return rc;
    }
    ZF_ASSERT(zf_region_is_valid(region));
    return 0;
}

void zf_region_destroy(struct zf_region *region)
{
    ZF_ASSERT(region != NULL);
    ZF_ASSERT(region->base == NULL || zf_region_is_valid(region));
    /* Refused only when the range lies inside a merged mapping and there is no room for one more:
     * nothing is left to try then. */
    if (region->base != NULL)
        (void)zf_os_release(region->base, region->size_bytes);
    /* Pages that are free again. */
    zf_hugetlb_give_back("", &region->raised);
    memset(region, 0, sizeof *region);
}
