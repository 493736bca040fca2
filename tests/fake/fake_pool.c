/*
 * The fake's reserved huge pages: two pools, each with pages on each node. Pages are counted when
 * they become present, by populate or lock; a page that was touched into being would have been the
 * end of the program, and aborts here.
 */
#include "fake/fake_os.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "fake/fake_range.h"

#define POOL_FOLDER "hugepages/hugepages-"

size_t zf_os_pool_page_bytes(int pool)
{
    must(pool >= 0 && pool < ZF_OS_POOLS_COUNT);
    return fake_os.pools[pool].page_bytes;
}

static struct fake_pool *pool_of(size_t page_bytes)
{
    for (int i = 0; i < ZF_OS_POOLS_COUNT; ++i)
        if (fake_os.pools[i].page_bytes == page_bytes && !fake_os.pools[i].absent)
            return &fake_os.pools[i];
    return NULL;
}

/* Is this page of a pool's range there? Then it was populated, not touched. */
static bool is_there(const struct fake_range *range, size_t page)
{
    bool there = fake_present_pages(range->base + page * PAGE, PAGE) != 0;
    must(!there || (range->page_flags[page] & PAGE_HUGE) != 0);
    return there;
}

/* Pages in use on a node, -1 for all, or with `promised` those set aside and not yet in use. */
static size_t count_pages(size_t page_bytes, int node, bool promised)
{
    size_t count = 0;
    for (size_t i = 0; i < RANGES_MAX; ++i) {
        const struct fake_range *range = &fake_ranges[i];
        if (range->base == NULL || range->pool_bytes != page_bytes)
            continue;
        for (size_t page = 0; page < range->size_bytes / PAGE; page += page_bytes / PAGE) {
            bool there = is_there(range, page);
            if (promised)
                count += !there && range->pool_promised;
            else
                count += there && (node < 0 || range->page_nodes[page] == node);
        }
    }
    return count;
}

static size_t total_pages(const struct fake_pool *pool, int node)
{
    size_t count = 0;
    for (int i = 0; i < fake_os.nodes_count; ++i)
        count += node < 0 || node == i ? pool->pages[i] : 0;
    return count;
}

static size_t free_pages(const struct fake_pool *pool, int node)
{
    size_t used = count_pages(pool->page_bytes, node, false);
    size_t total = total_pages(pool, node);
    must(used <= total);
    return total - used;
}

size_t fake_pool_free_pages(int pool, int node)
{
    return free_pages(&fake_os.pools[pool], node);
}

/* -------------------------------------------------------------------------------------- mapping */

int zf_os_pool_map(size_t size_bytes, size_t page_bytes, void **base)
{
    struct fake_pool *pool = pool_of(page_bytes);
    struct fake_range *range;
    int rc = fake_os_enter(FAKE_POOL_MAP);
    must(size_bytes != 0 && size_bytes % page_bytes == 0);
    *base = NULL;
    if (rc != 0)
        return rc;
    if (pool == NULL)
        return -EOPNOTSUPP;
    if (size_bytes / page_bytes > free_pages(pool, -1) - count_pages(page_bytes, -1, true))
        return -ENOMEM;
    rc = zf_os_reserve(size_bytes, page_bytes, base);
    if (rc == 0 && (rc = zf_os_commit(*base, size_bytes)) != 0)
        (void)zf_os_release(*base, size_bytes);
    if (rc != 0)
        return rc;
    range = fake_range_of(*base, size_bytes, true);
    range->pool_bytes = page_bytes;
    range->pool_promised = true;
    return 0;
}

int zf_os_pool_unmap(void *base, size_t size_bytes)
{
    must(fake_range_of(base, size_bytes, true)->pool_bytes != 0);
    return zf_os_release(base, size_bytes);
}

int zf_os_pool_settle(void *from, size_t size_bytes, void *to)
{
    struct fake_range *source = fake_range_of(from, size_bytes, true);
    struct fake_range *target = fake_range_of(to, size_bytes, true);
    struct fake_range moved = *source;
    int rc = fake_os_enter(FAKE_POOL_SETTLE);
    must(source->size_bytes == size_bytes && target->size_bytes == size_bytes);
    must(source->pool_bytes != 0 && ((uintptr_t)to & (source->pool_bytes - 1)) == 0);
    if (rc != 0 && rc != -EOPNOTSUPP)
        must(zf_os_release(from, size_bytes) == 0);
    if (rc != 0)
        return rc;
    fake_forget_faults(target->base, size_bytes);
    must(mremap(from, size_bytes, size_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
    free(target->page_flags);
    free(target->page_nodes);
    memset(source, 0, sizeof *source);
    *target = moved;
    target->base = to;
    return 0;
}

/* Fresh pages in the place of what a range had. */
static void start_anew(struct fake_range *range)
{
    struct fake_range fresh = {.base = range->base,
                               .size_bytes = range->size_bytes,
                               .committed_bytes = range->size_bytes,
                               .page_flags = range->page_flags,
                               .page_nodes = range->page_nodes,
                               .node = -2};
    fake_forget_faults(range->base, range->size_bytes);
    must(mmap(range->base, range->size_bytes, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == range->base);
    (void)madvise(range->base, range->size_bytes, MADV_NOHUGEPAGE);
    memset(range->page_flags, 0, range->size_bytes / PAGE);
    memset(range->page_nodes, 0, range->size_bytes / PAGE);
    *range = fresh;
}

int zf_os_pool_replace(void *base, size_t size_bytes, size_t page_bytes)
{
    struct fake_range *range = fake_range_of(base, size_bytes, true);
    int rc = fake_os_enter(FAKE_POOL_REPLACE);
    must(range->size_bytes == size_bytes && size_bytes % page_bytes == 0);
    if (rc != 0)
        return rc;
    if (pool_of(page_bytes) == NULL)
        return -EOPNOTSUPP;
    start_anew(range);
    range->pool_bytes = page_bytes;
    return 0;
}

int zf_os_renew(void *base, size_t size_bytes)
{
    struct fake_range *range = fake_range_of(base, size_bytes, true);
    must(range->size_bytes == size_bytes);
    start_anew(range);
    return 0;
}

/* ------------------------------------------------------------------------------------- populate */

/* The node that a page comes from; -1 when none that may give one has any. */
static int choose_node(const struct fake_range *range, const struct fake_pool *pool, size_t page)
{
    int node = fake_choose_node(range, page);
    bool strict = range->node == -3 && range->policy == ZF_OS_BIND;
    if (free_pages(pool, node) != 0)
        return node;
    for (node = 0; node < fake_os.nodes_count; ++node)
        if (free_pages(pool, node) != 0 && (!strict || zf_node_set_holds(&range->nodes, node)))
            return node;
    return -1;
}

int fake_pool_populate(struct fake_range *range, unsigned char *base, size_t size_bytes, int error)
{
    const struct fake_pool *pool = pool_of(range->pool_bytes);
    size_t count = range->pool_bytes / PAGE;
    size_t end = fake_first_page(range, base) + size_bytes / PAGE;
    must(pool != NULL);
    for (size_t page = fake_first_page(range, base) / count * count; page < end; page += count) {
        int node;
        if (is_there(range, page))
            continue;
        node = choose_node(range, pool, page);
        if (node < 0)
            return error;
        for (size_t i = page; i < page + count; ++i) {
            *(volatile unsigned char *)(range->base + i * PAGE) |= 0;
            range->page_flags[i] |= PAGE_HUGE;
            range->page_nodes[i] = (unsigned char)node;
        }
    }
    return 0;
}

int zf_os_page_sizes(const void *base, size_t size_bytes, const struct zf_os_residency *known,
                     bool between, struct zf_os_page_sizes *sizes)
{
    const struct fake_range *range = fake_range_of(base, size_bytes, true);
    int rc = fake_os_enter(FAKE_PAGE_SIZES);
    memset(sizes, 0, sizeof *sizes);
    if (rc != 0)
        return rc;
    sizes->between_error = between ? -EPERM : 0;
    if (range->pool_bytes != 0) {
        sizes->bytes[__builtin_ctzll(range->pool_bytes)] = known->present_bytes;
        return 0;
    }
    if (known->huge_bytes != 0)
        sizes->bytes[__builtin_ctzll(fake_os.huge_page_bytes)] = known->huge_bytes;
    sizes->bytes[__builtin_ctzll(PAGE)] = known->present_bytes - known->huge_bytes;
    return 0;
}

/* ---------------------------------------------------------------------------------------- files */

/* Take a path apart: whose pool, and which file of it; false for any other path. */
static bool parse_path(const char *path, struct fake_pool **pool, int *node, const char **file)
{
    const char *folder = strstr(path, POOL_FOLDER);
    size_t kibibytes;
    *node = -1;
    if (folder == NULL || sscanf(folder, POOL_FOLDER "%zukB/", &kibibytes) != 1)
        return false;
    if (sscanf(path, FAKE_NODE_FOLDER "node%d/", node) == 1 && *node >= fake_os.nodes_count)
        return false;
    *pool = pool_of(kibibytes * 1024);
    *file = strrchr(path, '/') + 1;
    return *pool != NULL;
}

ssize_t fake_read_pool_file(const char *path, char *text, size_t size_bytes)
{
    struct fake_pool *pool;
    const char *file;
    size_t count = 0;
    int node, length;
    if (!parse_path(path, &pool, &node, &file))
        return -ENOENT;
    if (strcmp(file, "nr_hugepages") == 0)
        count = total_pages(pool, node);
    else if (strcmp(file, "free_hugepages") == 0)
        count = free_pages(pool, node);
    else if (strcmp(file, "resv_hugepages") == 0 && node < 0)
        count = count_pages(pool->page_bytes, -1, true);
    else if (strcmp(file, "nr_overcommit_hugepages") != 0 && strcmp(file, "surplus_hugepages") != 0)
        return -ENOENT;
    length = snprintf(text, size_bytes, "%zu\n", count);
    return (size_t)length < size_bytes ? length : -EFBIG;
}

int zf_os_write_file(const char *path, const char *text)
{
    struct fake_pool *pool;
    const char *file;
    size_t count, used;
    int node;
    int rc = fake_os_enter(FAKE_WRITE_FILE);
    if (rc != 0)
        return rc;
    if (!parse_path(path, &pool, &node, &file))
        return -ENOENT;
    must(strcmp(file, "nr_hugepages") == 0 && sscanf(text, "%zu", &count) == 1);
    /* A system without nodes has one. */
    node = node < 0 ? 0 : node;
    used = count_pages(pool->page_bytes, node, false);
    if (count > pool->pages_max[node])
        count = pool->pages_max[node];
    pool->pages[node] = count < used ? used : count;
    return 0;
}
