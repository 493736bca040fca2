/*
 * Preflight: refuse what cannot succeed while that is still an error code and not the OOM killer.
 *
 * Only what is not there yet counts: pages that are resident were paid for, pages that are locked
 * are already in VmLck. The answer can be out of date a moment later, since other processes take
 * memory too, so a pass promises nothing and the later steps check their own results.
 */
#include <errno.h>

#include "base/arith.h"
#include "machine/memory.h"
#include "machine/nodes.h"
#include "warmup/run.h"

/* The last level of page tables costs one entry of 8 bytes per page. */
static size_t with_page_tables(size_t size_bytes, size_t page_bytes)
{
    return size_bytes + size_bytes / page_bytes * sizeof(uint64_t);
}

static int refuse(struct zf_warmup_run *run, enum warmup_limit limit, size_t needed_bytes,
                  size_t free_bytes)
{
    ZF_ASSERT(limit != WARMUP_LIMIT_NONE);
    ZF_ASSERT(needed_bytes > free_bytes);
    run->report->limit = limit;
    run->report->limit_needed_bytes = needed_bytes;
    run->report->limit_free_bytes = free_bytes;
    return -ENOMEM;
}

/* Required wishes that were refused when the region was made. */
static int check_settled(struct zf_warmup_run *run)
{
    const struct zf_region *region = run->region;
    if (run->wishes->bind == WARMUP_REQUIRE && region->bind_error != 0)
        return region->bind_error;
    return 0;
}

/* Mappings that a warmup may add: of reserved pages, and what splits off. */
static int check_mappings(struct zf_warmup_run *run)
{
    size_t free_count = zf_machine_free_mappings(run->root);
    if (free_count >= ZF_MAPPINGS_NEEDED)
        return 0;
    return run->report->populate.error =
               refuse(run, WARMUP_LIMIT_MAPPINGS, ZF_MAPPINGS_NEEDED, free_count);
}

static int check_memory(struct zf_warmup_run *run, size_t missing_bytes)
{
    struct zf_machine_memory memory;
    size_t needed_bytes;
    if (missing_bytes == 0)
        return 0;
    /* What cannot be read is no limit. */
    (void)zf_machine_memory(run->root, &memory);
    needed_bytes = with_page_tables(missing_bytes, run->region->page_bytes);
    if (needed_bytes > memory.cgroup_free_bytes)
        run->report->populate.error =
            refuse(run, WARMUP_LIMIT_CGROUP, needed_bytes, memory.cgroup_free_bytes);
    else if (needed_bytes > memory.available_bytes)
        run->report->populate.error =
            refuse(run, WARMUP_LIMIT_SYSTEM, needed_bytes, memory.available_bytes);
    return run->report->populate.error;
}

/* A preferred lock that cannot succeed is refused here too, in the report alone, so that it does
 * not use up the limit for nothing. */
static int check_lock(struct zf_warmup_run *run)
{
    const struct zf_region *region = run->region;
    struct warmup_item *lock = &run->report->lock;
    size_t needed_bytes = region->size_bytes;
    size_t free_bytes, locked_bytes;
    if (run->wishes->lock == WARMUP_OFF || zf_os_lockable_bytes(&free_bytes) != 0 ||
        needed_bytes <= free_bytes)
        return 0;
    if (zf_warmup_locked_bytes(run, &locked_bytes) == 0)
        needed_bytes -= locked_bytes;
    if (needed_bytes <= free_bytes)
        return 0;
    lock->error = refuse(run, WARMUP_LIMIT_MEMLOCK, needed_bytes, free_bytes);
    return run->wishes->lock == WARMUP_REQUIRE ? lock->error : 0;
}

/* The nodes that a cpuset leaves to this process have less than the machine, and when they are full
 * the OOM killer comes. */
static int check_allowed_nodes(struct zf_warmup_run *run, size_t missing_bytes)
{
    size_t free_bytes = 0, needed_bytes = with_page_tables(missing_bytes, run->region->page_bytes);
    if (!run->confined || missing_bytes == 0)
        return 0;
    for (int node = zf_node_set_next(&run->usable, 0); node >= 0;
         node = zf_node_set_next(&run->usable, node + 1)) {
        size_t of_node = zf_node_free_bytes(run->root, node);
        free_bytes += zf_min(of_node, SIZE_MAX - free_bytes);
    }
    if (needed_bytes > free_bytes)
        run->report->populate.error = refuse(run, WARMUP_LIMIT_NODE, needed_bytes, free_bytes);
    return run->report->populate.error;
}

size_t zf_warmup_missing_bytes(const struct zf_warmup_run *run)
{
    size_t missing_bytes = run->region->size_bytes - run->residency.present_bytes;
    size_t shared_bytes;
    if (run->wishes->forked &&
        zf_os_shared_bytes(run->region->base, run->region->size_bytes, &shared_bytes) == 0)
        missing_bytes += zf_min(shared_bytes, run->residency.present_bytes);
    return missing_bytes;
}

int zf_warmup_check_room(struct zf_warmup_run *run)
{
    size_t missing_bytes = zf_warmup_missing_bytes(run);
    int rc = check_memory(run, missing_bytes);
    if (rc == 0)
        rc = check_allowed_nodes(run, missing_bytes);
    return rc == 0 ? zf_warmup_check_nodes(run) : rc;
}

int zf_warmup_check_small(struct zf_warmup_run *run)
{
    int rc = run->wishes->huge_pages == WARMUP_REQUIRE ? run->region->huge_error : 0;
    ZF_ASSERT(run->region->pool_page_bytes == 0);
    if (rc == 0)
        rc = zf_warmup_check_room(run);
    return rc == 0 ? check_lock(run) : rc;
}

int zf_warmup_check_writable(struct zf_warmup_run *run)
{
    int rc = zf_os_writable(run->region->base, run->region->size_bytes);
    if (rc == 0 || rc == -EOPNOTSUPP)
        return 0;
    return run->report->populate.error = rc;
}

int zf_warmup_preflight(struct zf_warmup_run *run)
{
    size_t size_bytes = run->region->size_bytes;
    int rc;
    run->was_empty = zf_warmup_residency(run) == 0 && run->residency.present_bytes == 0;
    ZF_ASSERT(run->residency.present_bytes <= size_bytes);
    (void)zf_warmup_settle_home(run);
    run->report->bind.error = run->region->bind_error;
    run->report->home_node = zf_placement_node(&run->region->placement);
    rc = check_settled(run);
    if (rc == 0)
        rc = zf_warmup_check_writable(run);
    if (run->wishes->beside)
        return rc;
    if (rc == 0)
        rc = check_mappings(run);
    if (rc == 0)
        rc = zf_warmup_judge_pools(run);
    /* What comes from a pool is in nobody else's count. */
    if (rc != 0 || run->pools_hopeful || run->region->pool_page_bytes != 0)
        return rc;
    return zf_warmup_check_small(run);
}
