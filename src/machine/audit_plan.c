/*
 * The preflight of a plan: can a range of this size be made warm, here and now.
 *
 * Nothing is allocated. Each limit that the range must pass is one check, and what stands against
 * the plan is critical, with the numbers that do not fit. Memory that comes from a pool of reserved
 * huge pages is in nobody else's count, so only the pool is asked then. A node is asked for what a
 * warmup asks it for, so that the two agree: free memory and clean file cache, which the kernel
 * drops when a page is moved there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arith.h"
#include "machine/audit.h"
#include "machine/hugetlb.h"
#include "machine/memory.h"
#include "machine/nodes.h"

/* What is being planned, and what the checks before have found. */
struct plan {
    struct zf_audit_run *run;
    size_t bytes;                    /* of the range, in whole pages */
    size_t tables_bytes;             /* of its page tables */
    size_t huge_bytes;               /* page size, or 0 */
    bool placed;                     /* on one node: */
    unsigned number;                 /* this one */
    const struct machine_node *node; /* of that number; NULL when not placed or not online */
    bool pooled;                     /* served by reserved huge pages */
    bool reserved;                   /* ... and by nothing else */
};

/* Add "needed of what is left" as one check: ok, or critical. */
static void add_room(struct plan *plan, struct machine_check *check, size_t needed_bytes,
                     size_t free_bytes)
{
    struct zf_audit_run *run = plan->run;
    check->topic = ZF_TOPIC_PLAN;
    check->severity = needed_bytes > free_bytes ? MACHINE_CRITICAL : MACHINE_OK;
    check->value = free_bytes == SIZE_MAX
                       ? zf_audit_text(run, "needs %s, no limit", zf_audit_size(run, needed_bytes))
                       : zf_audit_text(run, "needs %s, has %s", zf_audit_size(run, needed_bytes),
                                       zf_audit_size(run, free_bytes));
    zf_audit_add(run, check);
}

/* ---------------------------------------------------------------------------------------- place */

static void add_node(struct plan *plan)
{
    struct zf_audit_run *run = plan->run;
    const struct machine_node *node = plan->node;
    struct machine_check check = {.name = "plan_node",
                                  .topic = ZF_TOPIC_PLAN,
                                  .severity = MACHINE_CRITICAL,
                                  .why = "The node must be online, have memory, and be in the "
                                         "process's cpuset. Memory of a node "
                                         "without CPUs is far from every thread.",
                                  .source = "/sys/devices/system/node/online"};
    if (!plan->placed)
        return;
    if (node == NULL) {
        check.value = zf_audit_text(run, "node %u is not online", plan->number);
    } else if (node->total_bytes == 0) {
        check.value = zf_audit_text(run, "node %u has no memory", plan->number);
    } else if (!node->allowed) {
        check.value = zf_audit_text(run, "node %u is not in the cpuset, %s", plan->number,
                                    run->process.nodes_allowed);
    } else if (node->cpus_count == 0) {
        check.severity = MACHINE_INFO;
        check.value = zf_audit_text(run, "node %u has no CPUs", plan->number);
    } else {
        check.severity = MACHINE_OK;
        check.value = zf_audit_text(run, "node %u, CPUs %s", plan->number, node->cpus);
    }
    zf_audit_add(run, &check);
}

/* ----------------------------------------------------------------------------------- huge pages */

/* What the pools of the node, or of all nodes that count, have for the plan. */
static void read_room(const struct plan *plan, struct zf_hugetlb_room *room)
{
    const struct zf_audit_run *run = plan->run;
    const struct zf_topology *topology = &run->audit->topology;
    struct zf_hugetlb_need need = {
        .page_bytes = plan->huge_bytes, .pages = plan->bytes / plan->huge_bytes, .any = true};
    for (size_t i = 0; i < topology->nodes_count; ++i) {
        const struct machine_node *node = &topology->nodes[i];
        if (!node->allowed || zf_topology_pool(node, plan->huge_bytes) == NULL ||
            (plan->placed && node != plan->node) || need.shares_count == ZF_HUGETLB_NODES_MAX)
            continue;
        need.shares[need.shares_count++] =
            (struct zf_hugetlb_share){.node = (uint16_t)node->number, .pages = need.pages};
    }
    if (need.shares_count != 0 || !plan->placed)
        zf_hugetlb_room(run->root, run->folder, &need, room);
    else
        *room = (struct zf_hugetlb_room){.verdict = ZF_HUGETLB_ABSENT};
}

/* Can the kernel make transparent huge pages of this size for who asks? */
static bool has_transparent(const struct plan *plan)
{
    const struct zf_audit_run *run = plan->run;
    if (run->sizes.huge_bytes == 0 || plan->huge_bytes != run->sizes.huge_bytes)
        return false;
    return strcmp(run->thp, "never") != 0 || run->kernel >= ZF_KERNEL(6, 1);
}

/* What of the node, or of all nodes that count, is free in huge pages. */
static size_t transparent_free_bytes(const struct plan *plan)
{
    const struct zf_topology *topology = &plan->run->audit->topology;
    size_t sum_bytes = 0;
    for (size_t i = 0; i < topology->nodes_count; ++i)
        if (topology->nodes[i].allowed && (!plan->placed || &topology->nodes[i] == plan->node))
            sum_bytes += topology->nodes[i].huge_free_bytes;
    return sum_bytes;
}

/* The command that makes a pool large enough. */
static const char *raise_pool(const struct plan *plan, size_t pages_count)
{
    char count[32];
    char path[192];
    (void)snprintf(count, sizeof count, "%zu", pages_count);
    if (plan->placed)
        (void)snprintf(path, sizeof path,
                       "/sys/devices/system/node/node%u/hugepages/hugepages-%zukB/nr_hugepages",
                       plan->number, plan->huge_bytes / 1024);
    else
        (void)snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%zukB/nr_hugepages",
                       plan->huge_bytes / 1024);
    return zf_audit_echo(plan->run, count, path);
}

#define RAISE_EARLY                                                                                \
    "A pool is best raised right after boot, and one of 1 GiB pages by hugepagesz=1G hugepages=N " \
    "at boot."

/* Add what the pools, or the kernel's own huge pages, have for the plan. */
static void add_huge_pages(struct plan *plan, const struct zf_hugetlb_room *room)
{
    struct zf_audit_run *run = plan->run;
    size_t needed = plan->bytes / plan->huge_bytes;
    const char *size = zf_audit_size(run, plan->huge_bytes);
    struct machine_check check = {
        .name = "plan_huge_pages",
        .topic = ZF_TOPIC_PLAN,
        .severity = MACHINE_CRITICAL,
        .why = plan->reserved
                   ? "Reserved pages of the right node; the plan takes no others. " RAISE_EARLY
                   : "Reserved pages of the right node, or transparent ones where these fall "
                     "short. " RAISE_EARLY,
        .source = "/sys/devices/system/node"};
    ZF_ASSERT(plan->bytes % plan->huge_bytes == 0);
    plan->pooled = room->verdict == ZF_HUGETLB_FITS || room->verdict == ZF_HUGETLB_GROUP;
    if (plan->pooled) {
        check.severity = room->made != 0 ? MACHINE_WARNING : MACHINE_OK;
        check.value =
            zf_audit_text(run, "needs %zu of %s, %zu free", needed, size, room->room - room->made);
        if (room->made != 0) {
            check.value = zf_audit_text(run, "%s, %zu would have to be made beyond the pool",
                                        check.value, room->made);
            check.fix = raise_pool(plan, room->pool.total - room->pool.surplus + room->made);
        }
    } else if (!plan->reserved && has_transparent(plan)) {
        check.severity = transparent_free_bytes(plan) < plan->bytes ? MACHINE_WARNING : MACHINE_OK;
        check.value =
            zf_audit_text(run, "needs %zu of %s: %zu reserved, %zu more to be had at once", needed,
                          size, room->room, transparent_free_bytes(plan) / plan->huge_bytes);
        check.fix = "echo 1 > /proc/sys/vm/compact_memory";
    } else if (room->verdict == ZF_HUGETLB_POOL) {
        check.value = zf_audit_text(run, "needs %zu of %s, %zu free", needed, size, room->room);
        check.fix = raise_pool(plan, room->pool.total - room->pool.surplus + room->missing);
    } else {
        check.value = zf_audit_text(run, "no pages of %s here", size);
    }
    zf_audit_add(run, &check);
}

/* A limit for reserved huge pages counts only what comes from a pool. */
static void add_huge_group(struct plan *plan, const struct zf_group_limit *limit)
{
    struct machine_check check = {
        .name = "plan_cgroup_hugetlb",
        .why =
            "A limit of the control group for reserved huge pages is kept by SIGBUS at the fault.",
    };
    if (limit->limit_bytes == SIZE_MAX)
        return;
    check.source = zf_audit_text(plan->run, "%s", limit->file);
    check.fix =
        zf_audit_echo(plan->run, strstr(limit->file, "max") != NULL ? "max" : "-1", limit->file);
    add_room(plan, &check, plan->bytes, limit->free_bytes);
}

/* --------------------------------------------------------------------------------------- memory */

static void add_system_memory(struct plan *plan)
{
    size_t available_bytes = zf_text_field_bytes(plan->run->meminfo, "MemAvailable:", SIZE_MAX);
    struct machine_check check = {
        .name = "plan_memory",
        .topic = ZF_TOPIC_PLAN,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "The pages and their page tables must be available without swapping.",
        .source = "/proc/meminfo"};
    if (available_bytes == SIZE_MAX)
        zf_audit_add(plan->run, &check);
    else
        add_room(plan, &check, plan->bytes + plan->tables_bytes, available_bytes);
}

/* What a warmup counts on from a node. */
static size_t node_free_bytes(const struct plan *plan, const struct machine_node *node)
{
    size_t free_bytes;
    ZF_ASSERT(node != NULL);
    free_bytes = zf_node_free_bytes(plan->run->root, (int)node->number);
    return free_bytes != SIZE_MAX ? free_bytes : node->free_bytes + node->cache_bytes;
}

static void add_node_memory(struct plan *plan)
{
    const struct machine_node *node = plan->node;
    struct machine_check check = {
        .name = "plan_node_memory",
        .why = "What the node has free and in clean file cache, which is dropped for pages that "
               "are moved there. What does not fit stays on another node, and is an error where "
               "the node is required.",
        .source =
            zf_audit_text(plan->run, "/sys/devices/system/node/node%u/meminfo", node->number)};
    add_room(plan, &check, plan->bytes, node_free_bytes(plan, node));
}

/* Without a node in the plan: what the nodes of the cpuset have together, where it shuts out others
 * whose memory the machine's count includes. */
static void add_cpuset_memory(struct plan *plan)
{
    const struct zf_topology *topology = &plan->run->audit->topology;
    bool shuts_out = false;
    size_t sum_bytes = 0;
    struct machine_check check = {
        .name = "plan_cpuset_memory",
        .why =
            "What the nodes of the process's cpuset have free and in clean file cache, together. "
            "A fault that finds no memory there ends in the OOM killer, whatever other nodes "
            "have.",
        .source = "/sys/devices/system/node"};
    for (size_t i = 0; i < topology->nodes_count; ++i) {
        const struct machine_node *node = &topology->nodes[i];
        if (node->total_bytes == 0)
            continue;
        if (node->allowed)
            sum_bytes += zf_min(node_free_bytes(plan, node), SIZE_MAX - sum_bytes);
        else
            shuts_out = true;
    }
    if (shuts_out)
        add_room(plan, &check, plan->bytes + plan->tables_bytes, sum_bytes);
}

/* Without a node in the plan: will the range be on one node? */
static void add_spread(struct plan *plan)
{
    struct zf_audit_run *run = plan->run;
    const struct zf_topology *topology = &run->audit->topology;
    const struct machine_node *most = NULL;
    size_t most_bytes = 0;
    struct machine_check check = {
        .name = "plan_spread",
        .topic = ZF_TOPIC_PLAN,
        .severity = MACHINE_INFO,
        .why = "A range that no node can hold alone is spread over several, and part of it is far "
               "from whoever uses it.",
        .source = "/sys/devices/system/node"};
    for (size_t i = 0; i < topology->nodes_count; ++i) {
        size_t free_bytes = node_free_bytes(plan, &topology->nodes[i]);
        if (!topology->nodes[i].allowed || (most != NULL && free_bytes <= most_bytes))
            continue;
        most = &topology->nodes[i];
        most_bytes = free_bytes;
    }
    if (most == NULL)
        return;
    if (most_bytes >= plan->bytes)
        check.severity = MACHINE_OK;
    check.value =
        zf_audit_text(run, "needs %s, the most is %s on node %u", zf_audit_size(run, plan->bytes),
                      zf_audit_size(run, most_bytes), most->number);
    zf_audit_add(run, &check);
}

static void add_group_memory(struct plan *plan)
{
    struct zf_group_limit limit;
    struct machine_check check = {
        .name = "plan_cgroup_memory",
        .why = "Beyond the limit of its control group the process is killed."};
    (void)zf_group_limit(plan->run->root, plan->run->folder, &zf_group_memory, &limit);
    if (limit.limit_bytes == SIZE_MAX)
        return;
    check.source = zf_audit_text(plan->run, "%s", limit.file);
    check.fix =
        zf_audit_echo(plan->run, strstr(limit.file, ".max") != NULL ? "max" : "-1", limit.file);
    add_room(plan, &check, plan->bytes + plan->tables_bytes, limit.free_bytes);
}

/* What a plan needs that no pool serves. */
static void add_memory(struct plan *plan)
{
    bool several = plan->run->audit->topology.nodes_count > 1;
    ZF_ASSERT(!plan->pooled && !plan->reserved);
    add_system_memory(plan);
    if (several && plan->node != NULL)
        add_node_memory(plan);
    if (several && !plan->placed) {
        add_cpuset_memory(plan);
        add_spread(plan);
    }
    add_group_memory(plan);
}

/* --------------------------------------------------------------------------------------- limits */

static void add_lock(struct plan *plan)
{
    struct zf_audit_run *run = plan->run;
    size_t free_bytes = zf_process_lockable_bytes(&run->process);
    struct machine_check check = {
        .name = "plan_lock",
        .topic = ZF_TOPIC_PLAN,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "All of the range must fit under RLIMIT_MEMLOCK, beside what is locked already.",
        .fix = run->options.process == 0
                   ? "prlimit --pid $$ --memlock=unlimited:unlimited"
                   : zf_audit_text(run, "prlimit --pid %" PRIu32 " --memlock=unlimited:unlimited",
                                   run->options.process),
        .source = zf_audit_text(run, "%s/limits", run->folder)};
    if (run->process.locked.known)
        add_room(plan, &check, plan->bytes, free_bytes);
    else
        zf_audit_add(run, &check);
}

static void add_addresses(struct plan *plan)
{
    const struct zf_process *process = &plan->run->process;
    size_t free_bytes = SIZE_MAX;
    struct machine_check check = {
        .name = "plan_addresses",
        .why = "The range must fit under RLIMIT_AS and RLIMIT_DATA, beside what is mapped already.",
        .source = zf_audit_text(plan->run, "%s/limits", plan->run->folder)};
    if (process->address.soft != SIZE_MAX)
        free_bytes = process->address.soft - zf_min(process->address.soft, process->address_bytes);
    if (process->data.soft != SIZE_MAX)
        free_bytes = zf_min(free_bytes,
                            process->data.soft - zf_min(process->data.soft, process->data_bytes));
    if (free_bytes != SIZE_MAX)
        add_room(plan, &check, plan->bytes, free_bytes);
}

static void add_commit(struct plan *plan)
{
    uint64_t mode;
    size_t limit_bytes = zf_text_field_bytes(plan->run->meminfo, "CommitLimit:", SIZE_MAX);
    size_t used_bytes = zf_text_field_bytes(plan->run->meminfo, "Committed_AS:", 0);
    struct machine_check check = {
        .name = "plan_commit",
        .why = "With strict overcommit the range counts against the commit limit of the machine.",
        .fix = "sysctl -w vm.overcommit_memory=0",
        .source = "/proc/sys/vm/overcommit_memory"};
    if (zf_file_number(plan->run->root, check.source, &mode) != 0 || mode != 2)
        return;
    add_room(plan, &check, plan->bytes, limit_bytes - zf_min(limit_bytes, used_bytes));
}

static void add_mappings(struct plan *plan)
{
    struct zf_audit_run *run = plan->run;
    uint64_t limit;
    size_t count = run->process.mappings_count;
    struct machine_check check = {
        .name = "plan_mappings",
        .topic = ZF_TOPIC_PLAN,
        .severity = MACHINE_CRITICAL,
        .why = "An arena is several mappings, and the process may have no more of them.",
        .fix = "sysctl -w vm.max_map_count=1048576",
        .source = "/proc/sys/vm/max_map_count"};
    if (!run->process.mappings_known || zf_file_number(run->root, check.source, &limit) != 0 ||
        count + ZF_MAPPINGS_NEEDED <= limit)
        return;
    check.value =
        zf_audit_text(run, "needs %u, has %zu of %" PRIu64, ZF_MAPPINGS_NEEDED, count, limit);
    zf_audit_add(run, &check);
}

/* In whole pages of the plan, and its page tables: 8 bytes for each page. */
static bool size_plan(struct plan *plan)
{
    size_t page_bytes = plan->huge_bytes != 0 ? plan->huge_bytes : plan->run->sizes.page_bytes;
    if (!zf_align_up(plan->run->options.plan_bytes, page_bytes, &plan->bytes))
        return false;
    plan->tables_bytes = plan->bytes / page_bytes * sizeof(uint64_t);
    return plan->bytes <= SIZE_MAX / 2;
}

void zf_audit_plan(struct zf_audit_run *run)
{
    const struct machine_audit_options *options = &run->options;
    struct plan plan = {
        .run = run, .huge_bytes = options->plan_huge_bytes, .reserved = options->plan_reserved};
    struct zf_hugetlb_room room;
    if (options->plan_bytes == 0)
        return;
    if (plan.huge_bytes <= run->sizes.page_bytes && !plan.reserved)
        plan.huge_bytes = 0;
    plan.placed = options->plan_node != MACHINE_NODE_ANY;
    plan.number = plan.placed ? (unsigned)options->plan_node - 1 : 0;
    plan.node = plan.placed ? zf_topology_node(&run->audit->topology, plan.number) : NULL;
    if (!size_plan(&plan)) {
        plan.bytes = SIZE_MAX / 2;
        plan.huge_bytes = plan.tables_bytes = 0;
        plan.reserved = false;
    }
    add_node(&plan);
    if (plan.huge_bytes != 0) {
        read_room(&plan, &room);
        add_huge_pages(&plan, &room);
    }
    if (plan.pooled)
        add_huge_group(&plan, &room.group);
    else if (!plan.reserved)
        add_memory(&plan);
    /* Reserved pages count against no limit for locked memory. */
    if (options->plan_lock && !plan.pooled && !plan.reserved)
        add_lock(&plan);
    add_addresses(&plan);
    add_commit(&plan);
    add_mappings(&plan);
}
