/*
 * The pools of reserved huge pages below a root directory; see hugetlb.h.
 *
 * A node's pool tells what is free there, the machine's what of all free pages is promised to
 * mappings already, so both bound what can be had. Surplus pages, made on demand up to
 * nr_overcommit_hugepages, count as room: populating finds out by an error. A pool is set by its
 * persistent pages, total less surplus, and the kernel sets it as far as it finds memory and says
 * nothing when that is less, so the outcome is read back. Between reading and writing others may
 * set the same pool; no interface adds to it. See Documentation/admin-guide/mm/hugetlbpage.rst.
 */
#include "machine/hugetlb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "os/os.h"

#define THP_FOLDER "/sys/kernel/mm/transparent_hugepage"

/* ---------------------------------------------------------------------------------------- pools */

/* The path of a pool's file; node -1 is the machine. */
static void path_of(char path[160], int node, size_t page_bytes, const char *file)
{
    ZF_ASSERT(page_bytes >= 1024 && zf_is_power_of_two(page_bytes));
    if (node < 0)
        (void)snprintf(path, 160, "/sys/kernel/mm/hugepages/hugepages-%zukB/%s", page_bytes / 1024,
                       file);
    else
        (void)snprintf(path, 160, "/sys/devices/system/node/node%d/hugepages/hugepages-%zukB/%s",
                       node, page_bytes / 1024, file);
}

static int read_count(const char *root, int node, size_t page_bytes, const char *file,
                      size_t *count)
{
    char path[160];
    uint64_t value = 0;
    int rc;
    path_of(path, node, page_bytes, file);
    rc = zf_file_number(root, path, &value);
    *count = rc == 0 ? (size_t)value : 0;
    return rc;
}

int zf_hugetlb_pool(const char *root, int node, size_t page_bytes, struct zf_hugetlb_pool *pool)
{
    memset(pool, 0, sizeof *pool);
    if (read_count(root, node, page_bytes, "nr_hugepages", &pool->total) != 0 ||
        read_count(root, node, page_bytes, "free_hugepages", &pool->free) != 0)
        return -EOPNOTSUPP;
    (void)read_count(root, node, page_bytes, "surplus_hugepages", &pool->surplus);
    if (node < 0) {
        (void)read_count(root, node, page_bytes, "resv_hugepages", &pool->reserved);
        (void)read_count(root, node, page_bytes, "nr_overcommit_hugepages", &pool->overcommit);
    }
    return 0;
}

/* ----------------------------------------------------------------------------------------- room */

/* What the machine's pool allows beside what nodes have. A system that shows only its nodes bounds
 * nothing by it. */
struct machine_pool_room {
    struct zf_hugetlb_pool pool;
    size_t unpromised; /* free and not reserved */
    size_t surplus;    /* that may still be made */
};

static int read_machine(const char *root, size_t page_bytes, struct machine_pool_room *machine)
{
    struct zf_hugetlb_pool *pool = &machine->pool;
    int rc = zf_hugetlb_pool(root, -1, page_bytes, pool);
    machine->unpromised = rc != 0 ? SIZE_MAX : pool->free - zf_min(pool->free, pool->reserved);
    machine->surplus = pool->overcommit - zf_min(pool->overcommit, pool->surplus);
    return rc;
}

/* Fill in the numbers of what was asked. */
static void tell(struct zf_hugetlb_room *room, const struct machine_pool_room *machine, int node,
                 const struct zf_hugetlb_pool *pool, size_t needed)
{
    size_t unpromised = zf_min(pool->free, machine->unpromised);
    room->node = node;
    room->needed = needed;
    room->room = unpromised + machine->surplus;
    room->made = needed > unpromised ? zf_min(needed - unpromised, machine->surplus) : 0;
    room->pool = *pool;
    room->pool.reserved = machine->pool.reserved;
    room->pool.overcommit = machine->pool.overcommit;
}

/* Add up what all nodes of the need have; false when none has such a pool. */
static bool sum_nodes(const char *root, const struct zf_hugetlb_need *need,
                      struct zf_hugetlb_pool *sum)
{
    bool found = false;
    memset(sum, 0, sizeof *sum);
    for (size_t i = 0; i < need->shares_count; ++i) {
        struct zf_hugetlb_pool pool;
        if (zf_hugetlb_pool(root, need->shares[i].node, need->page_bytes, &pool) != 0)
            continue;
        found = true;
        sum->total += pool.total;
        sum->free += pool.free;
        sum->surplus += pool.surplus;
    }
    return found;
}

/* Judge the pools. The first node that is too small decides; then all of them together. */
static enum zf_hugetlb_verdict judge_pools(const char *root, const struct zf_hugetlb_need *need,
                                           struct zf_hugetlb_room *room)
{
    struct machine_pool_room machine;
    struct zf_hugetlb_pool sum;
    int rc = read_machine(root, need->page_bytes, &machine);
    for (size_t i = 0; i < need->shares_count && !need->any; ++i) {
        struct zf_hugetlb_pool pool;
        const struct zf_hugetlb_share *share = &need->shares[i];
        if (zf_hugetlb_pool(root, share->node, need->page_bytes, &pool) != 0)
            return ZF_HUGETLB_ABSENT;
        tell(room, &machine, share->node, &pool, share->pages);
        if (room->needed > room->room)
            return ZF_HUGETLB_POOL;
    }
    if (need->shares_count == 1 && !need->any)
        return ZF_HUGETLB_FITS;
    if (need->shares_count == 0)
        sum = machine.pool;
    else if (!sum_nodes(root, need, &sum))
        rc = -EOPNOTSUPP;
    else
        rc = 0;
    if (rc != 0)
        return ZF_HUGETLB_ABSENT;
    tell(room, &machine, need->shares_count == 1 ? need->shares[0].node : -1, &sum, need->pages);
    return room->needed > room->room ? ZF_HUGETLB_POOL : ZF_HUGETLB_FITS;
}

int zf_hugetlb_group_limit(const char *root, const char *process, size_t page_bytes, bool reserved,
                           struct zf_group_limit *limit)
{
    char names[4][64];
    char size[24];
    const char *middle = reserved ? "rsvd." : "";
    struct zf_group_kind kind = {.controller = "hugetlb",
                                 .limit_one = names[0],
                                 .usage_one = names[1],
                                 .limit_two = names[2],
                                 .usage_two = names[3]};
    ZF_ASSERT(page_bytes >= 1024);
    if (page_bytes >= (size_t)1 << 30)
        (void)snprintf(size, sizeof size, "%zuGB", page_bytes >> 30);
    else if (page_bytes >= (size_t)1 << 20)
        (void)snprintf(size, sizeof size, "%zuMB", page_bytes >> 20);
    else
        (void)snprintf(size, sizeof size, "%zuKB", page_bytes >> 10);
    (void)snprintf(names[0], sizeof names[0], "hugetlb.%s.%slimit_in_bytes", size, middle);
    (void)snprintf(names[1], sizeof names[1], "hugetlb.%s.%susage_in_bytes", size, middle);
    (void)snprintf(names[2], sizeof names[2], "hugetlb.%s.%smax", size, middle);
    (void)snprintf(names[3], sizeof names[3], "hugetlb.%s.%scurrent", size, middle);
    return zf_group_limit(root, process, &kind, limit);
}

void zf_hugetlb_room(const char *root, const char *process, const struct zf_hugetlb_need *need,
                     struct zf_hugetlb_room *room)
{
    struct zf_group_limit reserved;
    ZF_ASSERT(need->shares_count <= ZF_HUGETLB_NODES_MAX);
    memset(room, 0, sizeof *room);
    room->node = -1;
    room->needed = need->pages;
    (void)zf_hugetlb_group_limit(root, process, need->page_bytes, false, &room->group);
    (void)zf_hugetlb_group_limit(root, process, need->page_bytes, true, &reserved);
    if (reserved.free_bytes < room->group.free_bytes)
        room->group = reserved;
    room->verdict = judge_pools(root, need, room);
    if (room->verdict == ZF_HUGETLB_FITS && need->pages > room->group.free_bytes / need->page_bytes)
        room->verdict = ZF_HUGETLB_GROUP;
    if (room->verdict == ZF_HUGETLB_POOL)
        room->missing = room->needed - room->room;
}

/* -------------------------------------------------------------------------------------- raising */

/* Set the persistent pages of a pool to what they are, and `more` or `less`. */
static int change_pool(const char *root, int node, size_t page_bytes, size_t more, size_t less)
{
    char path[160], whole[ZF_PATH_BYTES], text[32];
    struct zf_hugetlb_pool pool;
    size_t persistent;
    int length, rc = zf_hugetlb_pool(root, node, page_bytes, &pool);
    if (rc != 0)
        return rc;
    persistent = pool.total - zf_min(pool.total, pool.surplus);
    path_of(path, node, page_bytes, "nr_hugepages");
    length = snprintf(whole, sizeof whole, "%s%s", root, path);
    if (length < 0 || (size_t)length >= sizeof whole)
        return -ENAMETOOLONG;
    (void)snprintf(text, sizeof text, "%zu", persistent + more - zf_min(persistent + more, less));
    return zf_os_write_file(whole, text);
}

/* Add up to `pages` to one pool and write down how many it got; a node may come twice. */
static int raise_pool(const char *root, int node, size_t pages, struct zf_hugetlb_raised *raised)
{
    struct zf_hugetlb_pool before, after;
    size_t got;
    int rc = zf_hugetlb_pool(root, node, raised->page_bytes, &before);
    if (pages == 0)
        return 0;
    if (rc == 0)
        rc = change_pool(root, node, raised->page_bytes, pages, 0);
    if (rc != 0 || zf_hugetlb_pool(root, node, raised->page_bytes, &after) != 0)
        return rc;
    got = after.total - zf_min(after.total, before.total);
    got = zf_min(got, pages);
    if (got != 0 && raised->shares_count <= ZF_HUGETLB_NODES_MAX)
        raised->shares[raised->shares_count++] =
            (struct zf_hugetlb_share){.node = (uint16_t)(node < 0 ? 0 : node), .pages = got};
    return 0;
}

/* What one node lacks of its share. */
static size_t lack_of(const char *root, const struct zf_hugetlb_need *need, size_t share,
                      size_t unpromised)
{
    struct zf_hugetlb_pool pool;
    size_t has;
    if (zf_hugetlb_pool(root, need->shares[share].node, need->page_bytes, &pool) != 0)
        return need->shares[share].pages;
    has = zf_min(pool.free, unpromised);
    return need->shares[share].pages - zf_min(need->shares[share].pages, has);
}

/* Raise each node by what it lacks. */
static int raise_shares(const char *root, const struct zf_hugetlb_need *need, size_t unpromised,
                        struct zf_hugetlb_raised *raised)
{
    int rc = 0;
    for (size_t i = 0; i < need->shares_count && rc == 0; ++i)
        rc = raise_pool(root, need->shares[i].node, lack_of(root, need, i, unpromised), raised);
    return rc;
}

/* Raise the nodes by what all of them lack together, the first by as much as it has. */
static int raise_any(const char *root, const struct zf_hugetlb_need *need, size_t unpromised,
                     struct zf_hugetlb_raised *raised)
{
    struct zf_hugetlb_pool sum;
    size_t had = sum_nodes(root, need, &sum) ? zf_min(sum.free, unpromised) : 0;
    int rc = 0;
    for (size_t i = 0; i < need->shares_count && rc == 0; ++i) {
        size_t has = had + zf_hugetlb_raised_pages(raised);
        rc = raise_pool(root, need->shares[i].node, need->pages - zf_min(need->pages, has), raised);
    }
    return rc;
}

static int raise_all(const char *root, const struct zf_hugetlb_need *need,
                     struct zf_hugetlb_raised *raised)
{
    struct machine_pool_room machine;
    size_t has;
    int rc = 0;
    (void)read_machine(root, need->page_bytes, &machine);
    if (need->shares_count != 0)
        rc = need->any ? raise_any(root, need, machine.unpromised, raised)
                       : raise_shares(root, need, machine.unpromised, raised);
    /* Free pages of the nodes may be promised to somebody else. */
    has = machine.unpromised == SIZE_MAX ? need->pages
                                         : machine.unpromised + zf_hugetlb_raised_pages(raised);
    raised->whole = need->shares_count == 0;
    if (rc != 0 || has >= need->pages)
        return rc;
    return raise_pool(root, raised->whole ? -1 : need->shares[0].node, need->pages - has, raised);
}

int zf_hugetlb_raise(const char *root, const struct zf_hugetlb_need *need,
                     struct zf_hugetlb_raised *raised)
{
    struct zf_hugetlb_room room;
    int rc;
    ZF_ASSERT(raised->shares_count == 0);
    memset(raised, 0, sizeof *raised);
    raised->page_bytes = need->page_bytes;
    raised->forks_undergone = zf_os_forks().undergone;
    rc = raise_all(root, need, raised);
    if (rc == 0 && judge_pools(root, need, &room) != ZF_HUGETLB_FITS)
        rc = -ENOMEM;
    if (rc != 0)
        zf_hugetlb_give_back(root, raised);
    return rc;
}

void zf_hugetlb_give_back(const char *root, struct zf_hugetlb_raised *raised)
{
    bool own = raised->forks_undergone == zf_os_forks().undergone;
    for (size_t i = 0; own && i < raised->shares_count; ++i)
        (void)change_pool(root, raised->whole ? -1 : raised->shares[i].node, raised->page_bytes, 0,
                          raised->shares[i].pages);
    memset(raised, 0, sizeof *raised);
}

void zf_hugetlb_count(const char *root, const struct zf_hugetlb_raised *raised,
                      struct zf_hugetlb_totals *before)
{
    struct zf_hugetlb_pool pool;
    memset(before, 0, sizeof *before);
    for (size_t i = 0; i < raised->shares_count && !raised->whole; ++i)
        if (zf_hugetlb_pool(root, raised->shares[i].node, raised->page_bytes, &pool) == 0)
            before->pages[i] = pool.total;
}

void zf_hugetlb_follow(const char *root, struct zf_hugetlb_raised *raised,
                       const struct zf_hugetlb_totals *before, int node)
{
    size_t left = 0;
    ZF_ASSERT(node >= 0 && node < ZF_NODES_MAX);
    for (size_t i = 0; i < raised->shares_count && !raised->whole; ++i) {
        struct zf_hugetlb_share *share = &raised->shares[i];
        struct zf_hugetlb_pool pool;
        size_t gone = 0;
        if (share->node != node &&
            zf_hugetlb_pool(root, share->node, raised->page_bytes, &pool) == 0)
            gone = before->pages[i] - zf_min(before->pages[i], pool.total);
        gone = zf_min(gone, share->pages);
        share->pages -= gone;
        left += gone;
    }
    if (left != 0 && raised->shares_count <= ZF_HUGETLB_NODES_MAX)
        raised->shares[raised->shares_count++] =
            (struct zf_hugetlb_share){.node = (uint16_t)node, .pages = left};
}

size_t zf_hugetlb_raised_pages(const struct zf_hugetlb_raised *raised)
{
    size_t pages = 0;
    for (size_t i = 0; i < raised->shares_count; ++i)
        pages += raised->shares[i].pages;
    return pages;
}

/* ---------------------------------------------------------------------------------- transparent */

/* What a setting of /sys stands at; "" when it cannot be read. */
static void read_choice(const char *root, const char *path, char word[16])
{
    char *text;
    word[0] = '\0';
    if (zf_file_read(root, path, &text) != 0)
        return;
    zf_text_choice(text, word, 16);
    free(text);
}

uint64_t zf_transparent_sizes(const char *root)
{
    char global[16], word[16], path[128];
    uint64_t sizes = 0;
    size_t huge_bytes = zf_os_huge_page_bytes();
    read_choice(root, THP_FOLDER "/enabled", global);
    for (size_t bytes = 2 * zf_os_page_bytes(); bytes <= huge_bytes; bytes *= 2) {
        (void)snprintf(path, sizeof path, THP_FOLDER "/hugepages-%zukB/enabled", bytes / 1024);
        read_choice(root, path, word);
        /* Before Linux 6.8 there is one size, and one setting. */
        if (strcmp(word, "inherit") == 0 || (word[0] == '\0' && bytes == huge_bytes))
            memcpy(word, global, sizeof word);
        if (strcmp(word, "always") == 0 || strcmp(word, "madvise") == 0)
            sizes |= bytes;
    }
    return sizes;
}
