/*
 * The pools of reserved huge pages: 1 GiB, then 2 MiB, before transparent and small pages.
 *
 * Each is judged by its numbers before anything is taken, raised where that is asked for, and then
 * tried for good: a range apart is populated under a policy that insists on the nodes, and only
 * when all of it is there, in place, does it replace the region's small pages. So a pool that runs
 * dry under way costs nothing but the attempt, and no page is ever touched that could be missing,
 * which would be SIGBUS. Pools are for the first warmup alone: later, pages may be in use, and
 * replacing them would lose what is written meanwhile. See region/pool.c and machine/hugetlb.c.
 */
#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "machine/hugetlb.h"
#include "machine/nodes.h"
#include "region/pool.h"
#include "warmup/run.h"

struct warmup_hugetlb *zf_warmup_pool_of(struct warmup_report *report, int pool)
{
    ZF_ASSERT(pool >= 0 && pool < ZF_OS_POOLS_COUNT);
    return pool == ZF_OS_POOL_1G ? &report->hugetlb_1g : &report->hugetlb_2m;
}

/* The last pool that may serve when one is required; the count of pools when none is. */
static int last_pool(const struct zf_warmup_run *run)
{
    int pool = 0;
    while (pool < ZF_OS_POOLS_COUNT && run->wishes->hugetlb[pool] != WARMUP_REQUIRE)
        ++pool;
    return pool;
}

void zf_warmup_ask_pools(struct zf_warmup_run *run)
{
    const struct zf_region *region = run->region;
    for (int pool = 0; pool < ZF_OS_POOLS_COUNT; ++pool) {
        struct warmup_hugetlb *hugetlb = zf_warmup_pool_of(run->report, pool);
        bool wished = run->wishes->hugetlb[pool] >= WARMUP_PREFER;
        hugetlb->page_bytes = zf_os_pool_page_bytes(pool);
        hugetlb->node = -1;
        hugetlb->item =
            (struct warmup_item){.asked = wished ? run->wishes->hugetlb[pool] : WARMUP_OFF,
                                 .asked_bytes = wished ? region->size_bytes : 0};
        if ((region->pools_passed || region->pool_page_bytes != 0) &&
            region->pool_page_bytes < hugetlb->page_bytes)
            hugetlb->item.error = region->pool_errors[pool];
        if (region->raised.page_bytes == hugetlb->page_bytes)
            hugetlb->raised_count = zf_hugetlb_raised_pages(&region->raised);
    }
}

void zf_warmup_tell_pools(struct zf_warmup_run *run)
{
    struct zf_region *region = run->region;
    for (int pool = 0; pool < ZF_OS_POOLS_COUNT; ++pool) {
        struct warmup_hugetlb *hugetlb = zf_warmup_pool_of(run->report, pool);
        if (!region->pools_passed)
            region->pool_errors[pool] = hugetlb->item.error;
        if (region->pool_page_bytes >= hugetlb->page_bytes)
            hugetlb->item.granted_bytes =
                zf_min(run->residency.present_bytes, hugetlb->item.asked_bytes);
        hugetlb->item.remedy = zf_warmup_remedy_pool(hugetlb);
    }
}

void zf_warmup_tell_sizes(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    struct zf_os_page_sizes sizes;
    /* Sizes in between are only where they were asked for. */
    bool between = run->region->huge_wished &&
                   (report->transparent_sizes & ~(uint64_t)report->huge_page_bytes) != 0;
    if (run->residency_error != 0 || zf_os_page_sizes(run->region->base, report->size_bytes,
                                                      &run->residency, between, &sizes) != 0)
        return;
    report->sizes_error = sizes.between_error;
    for (int shift = ZF_OS_PAGE_SHIFTS - 1; shift >= 0; --shift)
        if (sizes.bytes[shift] != 0 && report->sizes_count < WARMUP_SIZES_MAX)
            report->sizes[report->sizes_count++] =
                (struct warmup_size){(size_t)1 << shift, sizes.bytes[shift]};
}

/* ---------------------------------------------------------------------------------------- judge */

static void add_share(struct zf_hugetlb_need *need, int node, size_t size_bytes)
{
    if (size_bytes == 0 || need->shares_count == ZF_HUGETLB_NODES_MAX)
        return;
    need->shares[need->shares_count++] = (struct zf_hugetlb_share){
        .node = (uint16_t)node,
        .pages = zf_min((size_bytes + need->page_bytes - 1) / need->page_bytes, need->pages)};
}

/* What the region needs of a pool: where its placement says, or `anywhere` that it may use. */
static struct zf_hugetlb_need need_of(const struct zf_warmup_run *run, size_t page_bytes,
                                      bool anywhere)
{
    const struct zf_region *region = run->region;
    const struct zf_placement *placement = &region->placement;
    struct zf_hugetlb_need need = {.page_bytes = page_bytes,
                                   .pages = region->size_bytes / page_bytes};
    bool placed = !anywhere && run->wishes->bind != WARMUP_OFF && region->bind_error == 0 &&
                  zf_node_set_count(&placement->nodes) != 0;
    const struct zf_node_set *nodes = placed ? &placement->nodes : &run->usable;
    if (!run->nodes_known)
        return need;
    need.any =
        !placed || placement->kind == ZF_PLACE_MANY || placement->kind == ZF_PLACE_SYSTEM_WEIGHTED;
    for (int node = zf_node_set_next(nodes, 0); node >= 0; node = zf_node_set_next(nodes, node + 1))
        add_share(&need, node, placed ? zf_region_share_bytes(region, node) : region->size_bytes);
    return need;
}

/* May the pages come from other nodes' pools than the placement's, and do those have enough? When
 * the pages are a must and the node is a wish; other wishes are for smaller pages at home. */
static bool is_served_anywhere(const struct zf_warmup_run *run, int pool)
{
    struct zf_hugetlb_need need;
    struct zf_hugetlb_room room;
    if (run->wishes->hugetlb[pool] != WARMUP_REQUIRE || run->wishes->bind != WARMUP_PREFER ||
        !run->nodes_known || zf_node_set_count(&run->usable) == 1)
        return false;
    need = need_of(run, zf_os_pool_page_bytes(pool), true);
    zf_hugetlb_room(run->root, "/proc/self", &need, &room);
    return room.verdict == ZF_HUGETLB_FITS;
}

/* Write the numbers down, and what they mean. */
static void judge(struct zf_warmup_run *run, int pool)
{
    struct warmup_hugetlb *hugetlb = zf_warmup_pool_of(run->report, pool);
    struct zf_hugetlb_need need = need_of(run, hugetlb->page_bytes, false);
    struct zf_hugetlb_room room;
    if (run->region->size_bytes % hugetlb->page_bytes != 0) {
        hugetlb->item.error = -EINVAL;
        return;
    }
    zf_hugetlb_room(run->root, "/proc/self", &need, &room);
    hugetlb->node = room.node;
    hugetlb->needed_count = room.needed;
    hugetlb->available_count = room.room;
    hugetlb->total_count = room.pool.total;
    hugetlb->free_count = room.pool.free;
    hugetlb->reserved_count = room.pool.reserved;
    hugetlb->surplus_count = room.pool.surplus;
    hugetlb->overcommit_count = room.pool.overcommit;
    hugetlb->limit = room.verdict == ZF_HUGETLB_POOL    ? WARMUP_LIMIT_POOL
                     : room.verdict == ZF_HUGETLB_GROUP ? WARMUP_LIMIT_HUGETLB
                                                        : WARMUP_LIMIT_NONE;
    if (room.verdict == ZF_HUGETLB_GROUP) {
        hugetlb->needed_count = need.pages;
        hugetlb->available_count = room.group.free_bytes / need.page_bytes;
    }
    hugetlb->item.error = room.verdict == ZF_HUGETLB_FITS     ? 0
                          : room.verdict == ZF_HUGETLB_ABSENT ? -EOPNOTSUPP
                                                              : -ENOMEM;
    run->pool_hopeful[pool] = room.verdict == ZF_HUGETLB_FITS ||
                              (room.verdict == ZF_HUGETLB_POOL &&
                               (run->wishes->raise_pools || is_served_anywhere(run, pool)));
}

/* Let the refusal of one pool be that of the whole warmup. */
static int fail_by(struct zf_warmup_run *run, int pool)
{
    struct warmup_report *report = run->report;
    const struct warmup_hugetlb *hugetlb = zf_warmup_pool_of(report, pool);
    ZF_ASSERT(hugetlb->item.error != 0);
    report->limit = hugetlb->limit;
    report->limit_needed_bytes = hugetlb->needed_count * hugetlb->page_bytes;
    report->limit_free_bytes = hugetlb->available_count * hugetlb->page_bytes;
    return hugetlb->item.error;
}

int zf_warmup_judge_pools(struct zf_warmup_run *run)
{
    const struct zf_region *region = run->region;
    int last = last_pool(run);
    if (region->pool_page_bytes != 0 || region->pools_passed)
        return 0;
    for (int pool = 0; pool < ZF_OS_POOLS_COUNT && pool <= last; ++pool) {
        if (run->wishes->hugetlb[pool] >= WARMUP_PREFER)
            judge(run, pool);
        run->pools_hopeful = run->pools_hopeful || run->pool_hopeful[pool];
    }
    return last < ZF_OS_POOLS_COUNT && !run->pools_hopeful ? fail_by(run, last) : 0;
}

/* ------------------------------------------------------------------------------------------ try */

static struct zf_region_options options_of(const struct zf_warmup_run *run)
{
    const struct zf_warmup_wishes *wishes = run->wishes;
    return (struct zf_region_options){.node = wishes->node,
                                      .bind = wishes->bind,
                                      .huge_pages = wishes->huge_pages,
                                      .fork = wishes->fork,
                                      .name = wishes->name,
                                      .pool_anywhere = run->pool_anywhere};
}

/* Are all pages where they belong? The policy has insisted, but for interleaving. */
static int check_placed(struct zf_warmup_run *run)
{
    int rc;
    if (run->wishes->bind == WARMUP_OFF || run->region->bind_error != 0 || run->pool_anywhere)
        return 0;
    rc = zf_warmup_count_nodes(run);
    return rc == 0 && run->report->misplaced_bytes != 0 ? -ENOMEM : 0;
}

/* Populate the pages of `region`, which is of a pool, and see that they are right. */
static int populate(struct zf_warmup_run *run, struct zf_region *region)
{
    struct zf_region *before = run->region;
    size_t chunk_bytes = run->chunk_bytes;
    int rc;
    run->region = region;
    if (!zf_align_up(chunk_bytes, region->pool_page_bytes, &run->chunk_bytes))
        run->chunk_bytes = zf_align_down(SIZE_MAX, region->pool_page_bytes);
    zf_warmup_choose_threads(run);
    rc = zf_warmup_populate_pages(run, WARMUP_METHOD_MLOCK);
    /* What a touch would have ended in SIGBUS. */
    if (rc == -EFAULT)
        rc = -ENOMEM;
    if (rc == 0)
        rc = check_placed(run);
    run->region = before;
    if (rc != 0) {
        run->chunk_bytes = chunk_bytes;
        zf_warmup_choose_threads(run);
    }
    return rc;
}

/* Small pages again, with the content that was kept. */
static void restore(struct zf_warmup_run *run, const struct zf_region_options *options,
                    const void *kept)
{
    struct zf_region *region = run->region;
    if (zf_region_renew(region, options) == 0)
        (void)zf_region_copy(kept, region->size_bytes, region->base);
}

/* Before Linux 5.16 such pages cannot be moved. What was just populated shows that the pool has
 * enough, so it is given back and populated once more in place. A private copy after a fork could
 * fail there, by SIGBUS, so an arena that children inherit does without. */
static int replace(struct zf_warmup_run *run, struct zf_region *candidate)
{
    struct zf_region_options options = options_of(run);
    struct zf_region *region = run->region;
    size_t size_bytes = region->size_bytes;
    size_t page_bytes = candidate->pool_page_bytes;
    void *kept = NULL;
    int rc;
    zf_region_pool_discard(candidate);
    if (options.fork == WARMUP_FORK_INHERIT)
        return -EOPNOTSUPP;
    rc = zf_os_reserve(size_bytes, region->page_bytes, &kept);
    if (rc == 0)
        rc = zf_os_commit(kept, size_bytes);
    if (rc == 0)
        rc = zf_region_copy(region->base, size_bytes, kept);
    if (rc == 0) {
        rc = zf_region_pool_replace(region, page_bytes, &options);
        if (rc == 0)
            rc = populate(run, region);
        if (rc == 0)
            rc = zf_region_copy(kept, size_bytes, region->base);
        if (rc != 0)
            restore(run, &options, kept);
    }
    if (kept != NULL)
        (void)zf_os_release(kept, size_bytes);
    return rc;
}

/* Populate pages of a pool apart, and put them in place. */
static int take(struct zf_warmup_run *run, size_t page_bytes)
{
    struct zf_region_options options = options_of(run);
    struct zf_region candidate;
    int rc = zf_region_pool_create(run->region, page_bytes, &options, &candidate);
    if (rc != 0)
        return rc;
    rc = populate(run, &candidate);
    if (rc != 0) {
        zf_region_pool_discard(&candidate);
        return rc;
    }
    rc = zf_region_pool_settle(run->region, &candidate);
    return candidate.base != NULL && rc == -EOPNOTSUPP ? replace(run, &candidate) : rc;
}

/* From the nodes that the placement says. */
static int take_at_home(struct zf_warmup_run *run, int pool)
{
    struct warmup_hugetlb *hugetlb = zf_warmup_pool_of(run->report, pool);
    struct zf_hugetlb_need need = need_of(run, hugetlb->page_bytes, false);
    struct zf_hugetlb_raised raised = {0};
    int rc;
    if (hugetlb->item.error != 0 && !run->wishes->raise_pools)
        return hugetlb->item.error;
    if (hugetlb->item.error != 0)
        hugetlb->raise_error = zf_hugetlb_raise(run->root, &need, &raised);
    if (hugetlb->raise_error != 0)
        return hugetlb->item.error;
    rc = take(run, hugetlb->page_bytes);
    if (rc != 0) {
        zf_hugetlb_give_back(run->root, &raised);
        return rc;
    }
    run->region->raised = raised;
    hugetlb->raised_count = zf_hugetlb_raised_pages(&raised);
    return 0;
}

static int try_pool(struct zf_warmup_run *run, int pool)
{
    int rc = take_at_home(run, pool);
    if (rc == 0 || rc == -ECANCELED || !is_served_anywhere(run, pool))
        return rc;
    run->report->done_bytes = 0;
    run->pool_anywhere = true;
    rc = take(run, zf_os_pool_page_bytes(pool));
    run->pool_anywhere = false;
    return rc;
}

/* Write down that the region is of this pool's pages now. */
static void tell_served(struct zf_warmup_run *run, int pool)
{
    struct warmup_hugetlb *hugetlb = zf_warmup_pool_of(run->report, pool);
    hugetlb->item.error = 0;
    hugetlb->limit = WARMUP_LIMIT_NONE;
    run->report->populate.error = 0;
    run->report->huge_pages.error = 0;
    for (int smaller = pool + 1; smaller < ZF_OS_POOLS_COUNT; ++smaller) {
        hugetlb = zf_warmup_pool_of(run->report, smaller);
        hugetlb->item.error = 0;
        hugetlb->limit = WARMUP_LIMIT_NONE;
    }
    zf_warmup_tell_settled(run);
}

int zf_warmup_try_pools(struct zf_warmup_run *run)
{
    int last = last_pool(run);
    for (int pool = 0; pool < ZF_OS_POOLS_COUNT && pool <= last; ++pool) {
        struct warmup_hugetlb *hugetlb = zf_warmup_pool_of(run->report, pool);
        int rc;
        if (!run->pool_hopeful[pool])
            continue;
        rc = try_pool(run, pool);
        run->report->method = rc == 0 ? run->report->method : WARMUP_METHOD_NONE;
        if (rc == 0) {
            tell_served(run, pool);
            return 0;
        }
        /* What was done was done apart, and is given back. */
        run->report->done_bytes = 0;
        if (rc == -ECANCELED)
            return run->report->populate.error = rc;
        hugetlb->item.error = rc;
        if (rc == -ENOMEM && hugetlb->limit == WARMUP_LIMIT_NONE)
            hugetlb->limit = WARMUP_LIMIT_POOL;
    }
    run->report->fallback_error = 0;
    (void)zf_warmup_residency(run);
    return last < ZF_OS_POOLS_COUNT ? fail_by(run, last) : 0;
}

/* --------------------------------------------------------------------------------------- refill */

int zf_warmup_refill_pool(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    int rc = zf_warmup_populate_pages(run, WARMUP_METHOD_MLOCK);
    if (rc == -EFAULT)
        rc = -ENOMEM;
    if (rc == -ENOMEM) {
        report->limit = WARMUP_LIMIT_POOL;
        (void)zf_warmup_residency(run);
        report->limit_needed_bytes = report->size_bytes - run->residency.present_bytes;
    }
    return report->populate.error = rc;
}

bool zf_warmup_pool_may_be_touched(struct zf_warmup_run *run)
{
    /* A child's copy has no claim on the pool. */
    return zf_warmup_residency(run) == 0 &&
           run->residency.present_bytes == run->region->size_bytes &&
           zf_os_forks().undergone == run->region->forks_undergone;
}
