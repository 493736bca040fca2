/*
 * Groups of arenas; see group.h.
 *
 * A part's head is the first cache line of the part's own memory, so that the one address that its
 * threads contend for is on their node. What all threads read, the table from a CPU to its part, is
 * never written after creation and lives in a small arena of its own, warmed like the others. An
 * arena that was carved shares the control block of the arena that it was carved from.
 */
#include <zerofault/group.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arena/control.h"
#include "base/arith.h"
#include "base/options.h"
#include "base/tripwire.h"
#include "machine/nodes.h"
#include "os/os.h"

#define CACHE_LINE 64

static_assert(sizeof(struct arena_group_part) == CACHE_LINE, "a part's head is one cache line");

struct arena_group {
    struct arena *store; /* holds this struct and the tables behind it */
    size_t parts_count;
    size_t cpus_count;
    struct arena_group_part **parts;
    uint16_t *part_of_cpu;
};

/* What a group is going to be. */
struct plan {
    size_t parts_count;
    size_t cpus_count;
    int nodes[ARENA_GROUP_PARTS_MAX]; /* of each part; -1 local */
    uint16_t part_of_cpu[ZF_OS_CPUS_MAX];
};

/* ----------------------------------------------------------------------------------------- plan */

static int plan_by_cpus(const struct arena_group_options *options, struct plan *plan)
{
    struct zf_node_set usable;
    bool told = zf_nodes_usable("", &usable) == 0 && zf_node_set_count(&usable) != 0;
    if (options->nodes != NULL || options->cpus_count == 0 || options->cpus_count > ZF_OS_CPUS_MAX)
        return -EINVAL;
    plan->cpus_count = options->cpus_count;
    for (size_t part = 0; part < ARENA_GROUP_PARTS_MAX; ++part)
        plan->nodes[part] = -2;
    for (unsigned cpu = 0; cpu < options->cpus_count; ++cpu) {
        unsigned part = options->part_of_cpu[cpu];
        int node;
        if (part >= ARENA_GROUP_PARTS_MAX)
            return -EINVAL;
        plan->part_of_cpu[cpu] = (uint16_t)part;
        plan->parts_count = zf_max(plan->parts_count, part + 1);
        if (plan->nodes[part] != -2)
            continue;
        node = zf_node_of_cpu("", cpu);
        plan->nodes[part] = node < 0 || !told ? -1 : zf_node_nearest("", node, &usable);
    }
    for (size_t part = 0; part < plan->parts_count; ++part)
        if (plan->nodes[part] == -2)
            return -EINVAL;
    return 0;
}

static int take_nodes(const struct arena_group_options *options, struct zf_node_set *nodes)
{
    struct zf_node_set with_cpus;
    int rc = zf_nodes_usable("", nodes);
    if (options->nodes == NULL && rc == 0 && zf_nodes_with_cpus("", &with_cpus) == 0)
        for (size_t i = 0; i < sizeof nodes->words / sizeof nodes->words[0]; ++i)
            nodes->words[i] &= with_cpus.words[i];
    if (options->nodes == NULL)
        return 0;
    if (options->nodes_count == 0)
        return -EINVAL;
    memset(nodes, 0, sizeof *nodes);
    for (size_t i = 0; i < options->nodes_count; ++i) {
        if (options->nodes[i] >= ZF_NODES_MAX)
            return -ENODEV;
        zf_node_set_add(nodes, (int)options->nodes[i]);
    }
    return 0;
}

/* The part on this node. */
static uint16_t part_on(const struct plan *plan, int node)
{
    uint16_t part = 0;
    while (plan->nodes[part] != node)
        ++part;
    ZF_ASSERT(part < plan->parts_count);
    return part;
}

/* Every CPU gets the part on its node, or on the node nearest to it. */
static int plan_by_nodes(const struct arena_group_options *options, struct plan *plan)
{
    int16_t node_of_cpu[ZF_OS_CPUS_MAX];
    struct zf_node_set nodes;
    int rc = take_nodes(options, &nodes);
    int last_node = -1;
    uint16_t part = 0;
    if (rc != 0)
        return rc;
    for (int node = zf_node_set_next(&nodes, 0); node >= 0;
         node = zf_node_set_next(&nodes, node + 1))
        plan->nodes[plan->parts_count++] = node;
    if (plan->parts_count == 0) {
        plan->nodes[plan->parts_count++] = -1;
        return 0;
    }
    plan->cpus_count = zf_nodes_of_cpus("", node_of_cpu, ZF_OS_CPUS_MAX);
    for (size_t cpu = 0; cpu < plan->cpus_count; ++cpu) {
        /* Neighbours mostly share a node, and finding the nearest reads files. */
        if (node_of_cpu[cpu] >= 0 && node_of_cpu[cpu] != last_node) {
            last_node = node_of_cpu[cpu];
            part = part_on(plan, zf_node_nearest("", last_node, &nodes));
        }
        plan->part_of_cpu[cpu] = part;
    }
    return 0;
}

/* --------------------------------------------------------------------------------------- create */

static int create_part(struct arena_group *group, const struct arena_group_options *options,
                       size_t number, int node)
{
    char name[ARENA_NAME_MAX + 8];
    struct arena *arena;
    struct arena_group_part *part;
    struct arena_options of_part =
        ARENA_OPTIONS(.name = name, .capacity_bytes = options->capacity_bytes,
                      .bind = options->bind, .huge_pages = options->huge_pages,
                      .lock = options->lock, .fork = options->fork,
                      .hugetlb_1g = options->hugetlb_1g, .hugetlb_2m = options->hugetlb_2m,
                      .raise_pools = options->raise_pools);
    int length = snprintf(name, sizeof name, "%s.%zu",
                          options->name == NULL ? "group" : options->name, number);
    int rc;
    if (length >= ARENA_NAME_MAX || options->capacity_bytes <= CACHE_LINE)
        return -EINVAL;
    of_part.node = node < 0 ? ARENA_NODE_LOCAL : ARENA_NODE(node);
    rc = arena_create(&arena, &of_part);
    if (rc != 0)
        return rc;
    part = arena_alloc(arena, sizeof *part, CACHE_LINE);
    ZF_ASSERT(part != NULL);
    memset(part, 0, sizeof *part);
    part->begin = part->next = (uintptr_t)(part + 1);
    part->end = arena->end;
    part->arena = arena;
    part->node = node;
    part->number = (unsigned)number;
    /* What was handed out is told by the carving, not by the arena's own bump. */
    arena->control->facts.next = &part->next;
    zf_registry_tell(arena->control->entry, &arena->control->facts);
    group->parts[number] = part;
    return 0;
}

/* The group itself, and room for its tables, in an arena of their own. */
static int create_store(const struct plan *plan, const struct arena_group_options *options,
                        struct arena_group **out)
{
    size_t parts_bytes = plan->parts_count * sizeof(struct arena_group_part *);
    size_t cpus_bytes = plan->cpus_count * sizeof(uint16_t);
    struct arena *store;
    struct arena_group *group;
    /* As an arena's head: what a child does not have has to say so. */
    enum warmup_fork fork = options->fork == WARMUP_FORK_EXCLUDE ? WARMUP_FORK_WIPE : options->fork;
    int rc = arena_create(&store, &ARENA_OPTIONS(.name = "group",
                                                 .capacity_bytes = sizeof *group + parts_bytes +
                                                                   cpus_bytes + 2 * CACHE_LINE,
                                                 .lock = options->lock, .fork = fork));
    if (rc != 0)
        return rc;
    group = arena_calloc(store, 1, sizeof *group, CACHE_LINE);
    group->parts = arena_calloc(store, 1, parts_bytes, CACHE_LINE);
    group->part_of_cpu = arena_calloc(store, 1, cpus_bytes, CACHE_LINE);
    ZF_ASSERT(group->parts != NULL && group->part_of_cpu != NULL);
    memcpy(group->part_of_cpu, plan->part_of_cpu, cpus_bytes);
    group->store = store;
    group->parts_count = plan->parts_count;
    group->cpus_count = plan->cpus_count;
    *out = group;
    return 0;
}

int arena_group_create(struct arena_group **out, const struct arena_group_options *options)
{
    struct arena_group_options known;
    struct plan plan;
    struct arena_group *group;
    int rc;
    if (out == NULL)
        return -EINVAL;
    *out = NULL;
    if (options == NULL)
        return -EINVAL;
    memset(&plan, 0, sizeof plan);
    rc = zf_options_take(&known, sizeof known, options);
    if (rc == 0)
        rc = known.part_of_cpu != NULL ? plan_by_cpus(&known, &plan) : plan_by_nodes(&known, &plan);
    if (rc == 0)
        rc = create_store(&plan, &known, &group);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < plan.parts_count; ++i)
        rc = create_part(group, &known, i, plan.nodes[i]);
    if (rc != 0) {
        arena_group_destroy(group);
        return rc;
    }
    *out = group;
    return 0;
}

void arena_group_destroy(struct arena_group *group)
{
    if (group == NULL)
        return;
    for (size_t i = 0; i < group->parts_count; ++i)
        if (group->parts[i] != NULL)
            arena_destroy(group->parts[i]->arena);
    arena_destroy(group->store);
}

int arena_group_warmup(struct arena_group *group, const struct warmup_options *options,
                       struct warmup_report *reports, size_t reports_count)
{
    int rc;
    if (group == NULL || (reports == NULL && reports_count != 0))
        return -EINVAL;
    rc = arena_warmup(group->store, NULL, NULL);
    for (size_t i = 0; rc == 0 && i < group->parts_count; ++i)
        rc = arena_warmup(group->parts[i]->arena, options, i < reports_count ? &reports[i] : NULL);
    return rc;
}

void arena_group_reset(struct arena_group *group)
{
    ZF_ASSERT(group != NULL);
    for (size_t i = 0; i < group->parts_count; ++i)
        __atomic_store_n(&group->parts[i]->next, group->parts[i]->begin, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------------------------------- parts */

/* Of a CPU that is not in the table; also in a child of fork that was to find the group empty: its
 * part refuses everything. */
static struct arena_group_part *part_of_others(const struct arena_group *group)
{
    static struct arena_group_part nothing;
    return group->parts_count == 0 ? &nothing : group->parts[0];
}

struct arena_group_part *arena_group_mine(const struct arena_group *group)
{
    size_t cpu = zf_os_cpu();
    if (ZEROFAULT_UNLIKELY(cpu >= group->cpus_count))
        return part_of_others(group);
    return group->parts[group->part_of_cpu[cpu]];
}

size_t arena_group_parts_count(const struct arena_group *group)
{
    return group->parts_count;
}

struct arena_group_part *arena_group_at(const struct arena_group *group, size_t number)
{
    return number < group->parts_count ? group->parts[number] : NULL;
}

/* -------------------------------------------------------------------------------------- carving */

void *arena_group_refuse(struct arena_group_part *part, size_t size_bytes)
{
    __atomic_fetch_add(&part->refused_count, 1, __ATOMIC_RELAXED);
    zf_tripwire_refused(size_bytes);
    return NULL;
}

struct arena *arena_group_arena(struct arena_group_part *part, size_t capacity_bytes)
{
    struct arena *arena;
    size_t total_bytes;
    if (__builtin_add_overflow(capacity_bytes, sizeof *arena, &total_bytes))
        return arena_group_refuse(part, capacity_bytes);
    arena = arena_group_carve(part, total_bytes, CACHE_LINE);
    if (arena == NULL)
        return NULL;
    memset(arena, 0, sizeof *arena);
    arena->begin = arena->next = arena->peak = (uintptr_t)(arena + 1);
    arena->end = arena->begin + capacity_bytes;
    arena->control = part->arena->control;
    arena->reserved[0] = ZF_ARENA_CARVED;
    ZF_ASSERT(zf_arena_is_valid(arena));
    return arena;
}
