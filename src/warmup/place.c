/*
 * Where pages belong, where they are, and moving those that are elsewhere.
 *
 * Populating prefers and never insists, because insisting on a full node ends in the OOM killer
 * (MPOL_BIND, every kernel from 5.10 to 7.3). What spilled to another node is moved: a move makes
 * the node drop file cache and, when that is not enough, answers ENOMEM. Only what was then found
 * in place, page by page, is bound. A kernel (6.1) that is taking a page's mapping away for a
 * moment to see who uses it calls it absent; it is touched and asked for again. All that takes a
 * minute for 1 TiB of small pages, so the caller can stop it between two looks. Where one node has
 * all the memory there is nothing to ask. See move_pages(2), and os/linux/placement.c.
 */
#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "machine/hugetlb.h"
#include "machine/nodes.h"
#include "warmup/run.h"

#define PAGES_PER_LOOK 512                /* asked for at a time; their nodes fit the stack */
#define BEAT_NS ((uint64_t)100 * 1000000) /* between two words to the caller */

/* ----------------------------------------------------------------------------------------- home */

void zf_warmup_learn_nodes(struct zf_warmup_run *run)
{
    struct zf_node_set memory;
    run->nodes_known =
        zf_nodes_usable(run->root, &run->usable) == 0 && zf_node_set_count(&run->usable) != 0;
    run->only_node = -1;
    if (zf_nodes_with_memory(run->root, &memory) != 0)
        return;
    run->confined =
        run->nodes_known && zf_node_set_count(&run->usable) < zf_node_set_count(&memory);
    if (zf_node_set_count(&memory) == 1)
        run->only_node = zf_node_set_next(&memory, 0);
}

int zf_warmup_settle_home(struct zf_warmup_run *run)
{
    struct zf_region *region = run->region;
    int node;
    zf_warmup_learn_nodes(run);
    if (!run->nodes_known || region->placement.kind != ZF_PLACE_LOCAL ||
        run->wishes->bind == WARMUP_OFF || zf_placement_node(&region->placement) >= 0)
        return 0;
    node = zf_node_of_cpu(run->root, zf_os_cpu());
    if (node < 0 && zf_node_set_count(&run->usable) > 1)
        return 0;
    node = zf_node_nearest(run->root, node, &run->usable);
    ZF_ASSERT(zf_node_set_holds(&run->usable, node));
    zf_node_set_add(&region->placement.nodes, node);
    /* Where there is one node only, local is that one. */
    if (zf_node_set_count(&run->usable) == 1 || region->bind_error != 0)
        return 0;
    region->bind_error = zf_region_place(region);
    return region->bind_error;
}

/* ------------------------------------------------------------------------------------- counting */

static void add_to_node(struct warmup_report *report, int node, size_t size_bytes)
{
    size_t i = 0;
    while (i < report->nodes_count && report->nodes[i].node < node)
        ++i;
    if (i == report->nodes_count || report->nodes[i].node != node) {
        if (report->nodes_count == WARMUP_NODES_MAX)
            return;
        memmove(&report->nodes[i + 1], &report->nodes[i],
                (report->nodes_count - i) * sizeof report->nodes[0]);
        report->nodes[i] = (struct warmup_node){.node = node};
        ++report->nodes_count;
    }
    report->nodes[i].resident_bytes += size_bytes;
}

/* What one look is about: `count` pages, `stride_bytes` each, from an offset on. */
struct look {
    size_t offset_bytes;
    size_t stride_bytes;
    size_t count;
};

static unsigned char *address_of(const struct zf_warmup_run *run, const struct look *look, size_t i)
{
    return (unsigned char *)run->region->base + look->offset_bytes + i * look->stride_bytes;
}

/* Ask for the nodes of some pages; of those that should be there and seem not to be, twice. */
static int look_at(struct zf_warmup_run *run, const struct look *look, int *nodes)
{
    int rc = zf_os_page_nodes(address_of(run, look, 0), look->stride_bytes, look->count, nodes);
    if (rc != 0 || !run->may_touch || run->region->pool_page_bytes != 0)
        return rc;
    for (size_t i = 0; i < look->count && rc == 0; ++i) {
        if (nodes[i] >= 0)
            continue;
        zf_warmup_touch(address_of(run, look, i), run->region->page_bytes, run->region->page_bytes);
        rc = zf_os_page_nodes(address_of(run, look, i), look->stride_bytes, 1, &nodes[i]);
    }
    return rc;
}

static int count_some(struct zf_warmup_run *run, const struct look *look)
{
    int nodes[PAGES_PER_LOOK];
    int rc = look_at(run, look, nodes);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < look->count; ++i) {
        size_t offset_bytes = look->offset_bytes + i * look->stride_bytes;
        if (nodes[i] < 0)
            continue;
        add_to_node(run->report, nodes[i], look->stride_bytes);
        if (zf_region_belongs(run->region, offset_bytes, nodes[i]))
            run->in_place_bytes += look->stride_bytes;
        else
            run->report->misplaced_bytes += look->stride_bytes;
    }
    return 0;
}

/* Where a misplaced page is to go: where it belongs, or to each node of the set in turn. */
static int target_of(const struct zf_region *region, size_t offset_bytes, size_t page_bytes)
{
    const struct zf_node_set *nodes = &region->placement.nodes;
    int node = zf_region_node_at(region, offset_bytes);
    size_t turn;
    if (node >= 0)
        return node;
    turn = offset_bytes / page_bytes % zf_node_set_count(nodes);
    for (node = zf_node_set_next(nodes, 0); turn != 0; --turn)
        node = zf_node_set_next(nodes, node + 1);
    ZF_ASSERT(node >= 0);
    return node;
}

static int move_some(struct zf_warmup_run *run, const struct look *look)
{
    int nodes[PAGES_PER_LOOK], results[PAGES_PER_LOOK];
    bool misplaced = false;
    int rc = look_at(run, look, nodes);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < look->count; ++i) {
        size_t offset_bytes = look->offset_bytes + i * look->stride_bytes;
        if (nodes[i] >= 0 && zf_region_belongs(run->region, offset_bytes, nodes[i]))
            continue;
        misplaced = misplaced || nodes[i] >= 0;
        nodes[i] = target_of(run->region, offset_bytes, look->stride_bytes);
    }
    if (!misplaced)
        return 0;
    return zf_os_move_pages(address_of(run, look, 0), look->stride_bytes, look->count, nodes,
                            results);
}

static bool is_cancelled(const struct zf_warmup_run *run)
{
    const int *flag = run->options->cancel;
    return run->report->result == -ECANCELED || run->cancelled ||
           (flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED) != 0);
}

/* Tell the caller that the phase goes on. Nothing that he counts grows meanwhile, so he hears what
 * he has heard; not after an error, when that was more than is done. */
static void beat(struct zf_warmup_run *run, uint64_t *told_ns)
{
    struct warmup_progress progress = {.phase = run->phase,
                                       .done_bytes = run->report->done_bytes,
                                       .total_bytes = run->region->size_bytes};
    uint64_t now_ns = zf_os_clock_ns();
    if (run->options->progress == NULL || run->report->result != 0 || now_ns - *told_ns < BEAT_NS)
        return;
    *told_ns = now_ns;
    progress.spent_ns = now_ns - run->phase_start_ns;
    if (progress.spent_ns != 0)
        progress.bytes_per_second =
            (uint64_t)((double)progress.done_bytes * 1e9 / (double)progress.spent_ns);
    run->cancelled = run->options->progress(&progress, run->options->context) != 0;
}

/* Do the region look by look: by huge pages where it is known to consist of them. -ECANCELED the
 * caller said stop. */
static int walk(struct zf_warmup_run *run,
                int (*step)(struct zf_warmup_run *run, const struct look *look))
{
    const struct zf_region *region = run->region;
    size_t huge_page_bytes = region->huge_page_bytes;
    size_t huge_bytes = zf_region_huge_part_bytes(region);
    size_t offset_bytes = 0;
    uint64_t told_ns = zf_os_clock_ns();
    if (region->pool_page_bytes != 0) {
        huge_page_bytes = region->pool_page_bytes;
        huge_bytes = region->size_bytes;
    } else if (!run->residency.huge_known || run->residency.huge_bytes < huge_bytes) {
        huge_bytes = 0;
    }
    while (offset_bytes < region->size_bytes) {
        bool huge = offset_bytes < huge_bytes;
        size_t stride_bytes = huge ? huge_page_bytes : region->page_bytes;
        size_t end_bytes = huge ? huge_bytes : region->size_bytes;
        struct look look = {offset_bytes, stride_bytes,
                            zf_min((end_bytes - offset_bytes) / stride_bytes, PAGES_PER_LOOK)};
        int rc = is_cancelled(run) ? -ECANCELED : step(run, &look);
        if (rc != 0)
            return rc;
        beat(run, &told_ns);
        offset_bytes += look.count * look.stride_bytes;
    }
    return is_cancelled(run) ? -ECANCELED : 0;
}

static bool has_one_node(const struct zf_warmup_run *run)
{
    return !run->nodes_known || run->only_node >= 0;
}

static void forget_count(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    report->nodes_count = 0;
    report->misplaced_bytes = 0;
    run->in_place_bytes = 0;
    memset(report->nodes, 0, sizeof report->nodes);
}

int zf_warmup_count_nodes(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    int rc;
    forget_count(run);
    if (has_one_node(run)) {
        run->in_place_bytes = run->residency.present_bytes;
        if (run->only_node >= 0 && run->in_place_bytes != 0)
            add_to_node(report, run->only_node, run->in_place_bytes);
        return 0;
    }
    rc = walk(run, count_some);
    if (rc == -ECANCELED)
        forget_count(run);
    return rc;
}

/* --------------------------------------------------------------------------------------- placing
 * */

/* The first node of the placement that has less than what belongs on it. */
static int short_node(const struct zf_warmup_run *run, size_t *needed_bytes, size_t *free_bytes)
{
    const struct zf_region *region = run->region;
    const struct zf_node_set *nodes = &region->placement.nodes;
    size_t missing_bytes = zf_warmup_missing_bytes(run);
    size_t total_bytes = 0;
    for (int node = zf_node_set_next(nodes, 0); node >= 0;
         node = zf_node_set_next(nodes, node + 1)) {
        *needed_bytes = zf_min(zf_region_share_bytes(region, node), missing_bytes);
        *free_bytes = zf_node_free_bytes(run->root, node);
        total_bytes += *free_bytes > SIZE_MAX - total_bytes ? 0 : *free_bytes;
        if (region->placement.kind != ZF_PLACE_MANY && *needed_bytes > *free_bytes)
            return node;
        if (*free_bytes == SIZE_MAX)
            return -1;
    }
    *free_bytes = total_bytes;
    return region->placement.kind == ZF_PLACE_MANY && *needed_bytes > total_bytes
               ? zf_node_set_next(nodes, 0)
               : -1;
}

int zf_warmup_check_nodes(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    size_t needed_bytes = 0, free_bytes = 0;
    if (run->wishes->bind != WARMUP_REQUIRE || !run->nodes_known ||
        short_node(run, &needed_bytes, &free_bytes) < 0)
        return 0;
    report->limit = WARMUP_LIMIT_NODE;
    report->limit_needed_bytes = needed_bytes;
    report->limit_free_bytes = free_bytes;
    report->bind.error = -ENOMEM;
    return -ENOMEM;
}

/* Give back what this warmup took, so that the nodes are not left full of what is of no use; what
 * was there before it has content and stays. */
static void give_back(struct zf_warmup_run *run)
{
    struct zf_region *region = run->region;
    /* A reserved page that is gone may not be had again. */
    if (!run->was_empty || region->pool_page_bytes != 0)
        return;
    (void)zf_os_discard(region->base, region->size_bytes);
    (void)zf_os_unlock(region->base, region->size_bytes);
    region->locked = false;
    (void)zf_warmup_residency(run);
}

/* Pages are elsewhere, and there they stay. */
static int report_misplaced(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    const struct zf_placement *placement = &run->region->placement;
    int node = zf_placement_node(placement);
    bool required = run->wishes->bind == WARMUP_REQUIRE;
    ZF_ASSERT(report->misplaced_bytes != 0);
    if (required)
        give_back(run);
    /* The cpuset may have changed since the arena was made. */
    report->bind.error = zf_nodes_check(run->root, &placement->nodes);
    if (report->bind.error != 0)
        return required ? report->bind.error : 0;
    report->bind.error = -ENOMEM;
    if (run->region->pool_page_bytes != 0) {
        struct zf_hugetlb_pool pool;
        (void)zf_hugetlb_pool(run->root, node, run->region->pool_page_bytes, &pool);
        report->limit = WARMUP_LIMIT_POOL;
        report->limit_needed_bytes = report->misplaced_bytes;
        report->limit_free_bytes = pool.free * run->region->pool_page_bytes;
    } else if (report->limit == WARMUP_LIMIT_NONE || required) {
        report->limit = WARMUP_LIMIT_NODE;
        report->limit_needed_bytes = node < 0 ? report->misplaced_bytes : run->region->size_bytes;
        report->limit_free_bytes =
            zf_node_free_bytes(run->root, node < 0 ? zf_node_set_next(&run->usable, 0) : node);
        if (report->limit_free_bytes == SIZE_MAX)
            report->limit_free_bytes = 0;
    }
    return required ? -ENOMEM : 0;
}

/* Where there is one node, populating has just asked for what is there. */
static int recount_nodes(struct zf_warmup_run *run)
{
    bool asked = run->region->pool_page_bytes == 0 && has_one_node(run);
    if (!asked)
        (void)zf_warmup_residency(run);
    return zf_warmup_count_nodes(run);
}

/* To move a reserved page to a node whose pool has none takes a page from its own pool for good.
 * Those that were taken elsewhere stay there, unless the node is a must. */
static bool may_be_moved(const struct zf_warmup_run *run)
{
    const struct zf_region *region = run->region;
    return region->pool_page_bytes == 0 || !region->pool_anywhere ||
           run->wishes->bind == WARMUP_REQUIRE;
}

int zf_warmup_place(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    bool wished = run->wishes->bind != WARMUP_OFF && run->region->bind_error == 0;
    int rc;
    run->may_touch = true;
    rc = recount_nodes(run);
    if (rc == 0 && wished && report->misplaced_bytes != 0 && may_be_moved(run)) {
        rc = walk(run, move_some);
        rc = rc == -ECANCELED ? rc : recount_nodes(run);
    }
    run->may_touch = false;
    if (rc == 0 && report->misplaced_bytes == 0)
        run->region->pool_anywhere = false;
    if (!wished)
        return rc == -ECANCELED ? rc : 0;
    report->bind.error = rc;
    if (rc == -ECANCELED)
        return rc;
    if (rc != 0)
        return run->wishes->bind == WARMUP_REQUIRE ? rc : 0;
    return report->misplaced_bytes != 0 ? report_misplaced(run) : 0;
}
