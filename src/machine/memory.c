/*
 * Available memory and the control groups' memory limit, below a root directory.
 *
 * Swap counts for nothing: swapped memory is not warm. See groups.c for which groups count.
 */
#include "machine/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "machine/groups.h"

const struct zf_group_kind zf_group_memory = {
    .controller = "memory",
    .limit_one = "memory.limit_in_bytes",
    .usage_one = "memory.usage_in_bytes",
    .limit_two = "memory.max",
    .usage_two = "memory.current",
    .clean_cache_is_free = true,
};

int zf_machine_memory(const char *root, struct zf_machine_memory *memory)
{
    struct zf_group_limit limit;
    char *text;
    int rc;
    ZF_ASSERT(root != NULL);
    ZF_ASSERT(memory != NULL);
    if (strcmp(root, "/") == 0)
        root = "";
    rc = zf_file_read(root, "/proc/meminfo", &text);
    memory->available_bytes = zf_text_field_bytes(text, "MemAvailable:", SIZE_MAX);
    free(text);
    (void)zf_group_limit(root, "/proc/self", &zf_group_memory, &limit);
    memory->cgroup_limit_bytes = limit.limit_bytes;
    memory->cgroup_free_bytes = limit.free_bytes;
    return rc;
}

size_t zf_machine_free_mappings(const char *root)
{
    uint64_t limit;
    size_t count = 0;
    char *text;
    ZF_ASSERT(root != NULL);
    if (zf_file_number(root, "/proc/sys/vm/max_map_count", &limit) != 0 ||
        zf_file_read(root, "/proc/self/maps", &text) != 0)
        return SIZE_MAX;
    for (const char *end = text; (end = strchr(end, '\n')) != NULL; ++end)
        ++count;
    free(text);
    return count < limit ? (size_t)limit - count : 0;
}
