/* Reserved huge pages for a test; see pool.h. */
#include "support/pool.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "support/needs.h"

/* Of all tests that set pools. */
#define LOCK "/tmp/zerofault-hugepages.lock"

static struct {
    bool begun;
    int lock;
    int node;
    size_t page_bytes;
    size_t pages_before;
    size_t free_before;
} pool;

static void path_of(char path[192], int node, size_t page_bytes, const char *file)
{
    if (node < 0)
        (void)snprintf(path, 192, "/sys/kernel/mm/hugepages/hugepages-%zukB/%s", page_bytes / 1024,
                       file);
    else
        (void)snprintf(path, 192, "/sys/devices/system/node/node%d/hugepages/hugepages-%zukB/%s",
                       node, page_bytes / 1024, file);
}

size_t pool_count(int node, size_t page_bytes, const char *file)
{
    char path[192];
    size_t count = SIZE_MAX;
    FILE *stream;
    path_of(path, node, page_bytes, file);
    stream = fopen(path, "re");
    if (stream == NULL)
        return SIZE_MAX;
    if (fscanf(stream, "%zu", &count) != 1)
        count = SIZE_MAX;
    (void)fclose(stream);
    return count;
}

bool pool_set(size_t pages)
{
    char path[192];
    FILE *stream;
    path_of(path, pool.node, pool.page_bytes, "nr_hugepages");
    stream = fopen(path, "we");
    if (stream == NULL)
        return false;
    (void)fprintf(stream, "%zu\n", pages);
    return fclose(stream) == 0 && pool_count(pool.node, pool.page_bytes, "nr_hugepages") == pages;
}

void pool_begin(int node, size_t page_bytes, size_t pages)
{
    size_t before = pool_count(node, page_bytes, "nr_hugepages");
    bool set;
    need("hugepages", before != SIZE_MAX, "no pool of pages of %zu KiB here", page_bytes / 1024);
    pool.lock = open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    need("hugepages", pool.lock >= 0 && flock(pool.lock, LOCK_EX) == 0, "no lock at " LOCK);
    pool.node = node;
    pool.page_bytes = page_bytes;
    pool.pages_before = pool_count(node, page_bytes, "nr_hugepages");
    pool.free_before = pool_count(node, page_bytes, "free_hugepages");
    pool.begun = true;
    set = pool_set(pages);
    if (!set)
        (void)pool_end();
    need("hugepages", set, "the machine does not give %zu reserved pages of %zu KiB", pages,
         page_bytes / 1024);
}

bool pool_end(void)
{
    bool clean;
    if (!pool.begun)
        return true;
    pool.begun = false;
    clean = pool_set(pool.pages_before) &&
            pool_count(pool.node, pool.page_bytes, "free_hugepages") == pool.free_before;
    (void)close(pool.lock);
    return clean;
}
