/*
 * The fake's nodes: a row of them, all but the last with a limit. Which node a page is on is
 * bookkeeping; insisting on a node that is full aborts, where the real system would start to kill.
 */
#include "fake/fake_os.h"

#include <errno.h>
#include <string.h>

#include "fake/fake_range.h"

int zf_os_writable(const void *base, size_t size_bytes)
{
    (void)fake_range_of(base, size_bytes, true);
    return 0;
}

/* There is nobody to share with. */
int zf_os_shared_bytes(const void *base, size_t size_bytes, size_t *shared_bytes)
{
    (void)fake_range_of(base, size_bytes, true);
    *shared_bytes = 0;
    return 0;
}

size_t fake_os_node_bytes(int node)
{
    size_t bytes = 0;
    for (size_t i = 0; i < RANGES_MAX; ++i)
        for (size_t page = 0; page < fake_ranges[i].committed_bytes / PAGE; ++page)
            if (fake_ranges[i].page_nodes[page] == node)
                bytes += fake_present_pages(fake_ranges[i].base + page * PAGE, PAGE) * PAGE;
    return bytes;
}

static bool node_has_room(int node)
{
    return node == fake_os.nodes_count - 1 ||
           fake_os_node_bytes(node) + PAGE <= fake_os.node_room_bytes;
}

int fake_choose_node(const struct fake_range *range, size_t page)
{
    int node = range->node < 0 ? 0 : range->node;
    if (fake_os.nodes_count == 1)
        return 0;
    if (range->node == -3) {
        node = zf_node_set_next(&range->nodes, 0);
        for (size_t turn = page % zf_node_set_count(&range->nodes);
             turn != 0 && range->policy != ZF_OS_PREFER_MANY; --turn)
            node = zf_node_set_next(&range->nodes, node + 1);
    }
    /* Here the real system would start to kill. */
    must(range->node != -3 || range->policy != ZF_OS_BIND || node_has_room(node));
    return node_has_room(node) ? node : fake_os.nodes_count - 1;
}

int zf_os_nodes(struct zf_os_nodes *nodes)
{
    int rc = fake_os_enter(FAKE_NODES);
    memset(nodes, 0, sizeof *nodes);
    if (rc != 0 || fake_os.nodes_count == 1)
        return -EOPNOTSUPP;
    for (int node = 0; node < fake_os.nodes_count; ++node)
        zf_node_set_add(&nodes->memory, node);
    nodes->cpus = nodes->allowed = nodes->memory;
    return 0;
}

size_t zf_os_nodes_of_cpus(int16_t *nodes, size_t cpus_max)
{
    size_t count = fake_os.nodes_count == 1 ? 0 : (size_t)fake_os.nodes_count;
    must(count <= cpus_max);
    for (size_t cpu = 0; cpu < cpus_max; ++cpu)
        nodes[cpu] = (int16_t)(cpu < count ? (int)cpu : -1);
    return count;
}

int zf_os_node_distance(int from, int to)
{
    if (from < 0 || to < 0 || from >= fake_os.nodes_count || to >= fake_os.nodes_count)
        return 0;
    return from == to ? 10 : 20;
}

int zf_os_prefer_node(void *base, size_t size_bytes, int node)
{
    struct fake_range *range = fake_range_of(base, size_bytes, true);
    int rc = fake_os_enter(FAKE_PREFER_NODE);
    must(node >= -1);
    if (rc != 0)
        return rc;
    if (node >= fake_os.nodes_count)
        return -ENODEV;
    range->node = node;
    return 0;
}

int zf_os_place(void *base, size_t size_bytes, enum zf_os_policy policy,
                const struct zf_node_set *nodes)
{
    struct fake_range *range = fake_range_of(base, size_bytes, true);
    int rc = fake_os_enter(FAKE_PLACE);
    must(zf_node_set_count(nodes) != 0);
    if (rc != 0)
        return rc;
    if (zf_node_set_next(nodes, fake_os.nodes_count) >= 0)
        return -ENODEV;
    range->node = -3;
    range->policy = policy;
    range->nodes = *nodes;
    return 0;
}

int zf_os_page_nodes(const void *base, size_t stride_bytes, size_t count, int *nodes)
{
    const struct fake_range *range = fake_range_of(base, stride_bytes * count, true);
    int rc = fake_os_enter(FAKE_PAGE_NODES);
    if (fake_os.at_page_nodes != NULL)
        fake_os.at_page_nodes();
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < count; ++i) {
        size_t page = fake_first_page(range, base) + i * stride_bytes / PAGE;
        bool absent = fake_os.absent_looks != 0;
        fake_os.absent_looks -= absent;
        nodes[i] = absent || fake_present_pages(range->base + page * PAGE, PAGE) == 0
                       ? -ENOENT
                       : range->page_nodes[page];
    }
    return 0;
}

int zf_os_move_pages(void *base, size_t stride_bytes, size_t count, const int *nodes, int *results)
{
    struct fake_range *range = fake_range_of(base, stride_bytes * count, true);
    int rc = fake_os_enter(FAKE_MOVE_PAGES);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < count; ++i) {
        size_t page = fake_first_page(range, base) + i * stride_bytes / PAGE;
        must(nodes[i] >= 0 && nodes[i] < fake_os.nodes_count);
        results[i] =
            range->page_nodes[page] == nodes[i] || node_has_room(nodes[i]) ? nodes[i] : -ENOMEM;
        if (results[i] < 0)
            return -ENOMEM;
        for (size_t part = 0; part < stride_bytes / PAGE; ++part)
            range->page_nodes[page + part] = (unsigned char)nodes[i];
    }
    return 0;
}

ssize_t fake_read_node_file(const char *name, char *text, size_t size_bytes)
{
    int last = fake_os.nodes_count - 1;
    int node = 0, length = -1;
    if (strcmp(name, "has_memory") == 0 || strcmp(name, "has_cpu") == 0 ||
        strcmp(name, "online") == 0)
        length = snprintf(text, size_bytes, "0-%d\n", last);
    else if (sscanf(name, "node%d/", &node) == 1 && strstr(name, "/cpulist") != NULL)
        length = snprintf(text, size_bytes, "%d\n", node);
    else if (sscanf(name, "node%d/", &node) == 1 && strstr(name, "/meminfo") != NULL)
        length = snprintf(text, size_bytes, "Node %d MemFree: %zu kB\n", node,
                          (node == last ? fake_os.available_bytes
                                        : fake_os.node_room_bytes - fake_os_node_bytes(node)) /
                              1024);
    if (length < 0)
        return -ENOENT;
    return (size_t)length < size_bytes ? length : -EFBIG;
}
