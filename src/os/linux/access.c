/*
 * May a range be written to, and who else has its pages: asked of /proc/self/maps and smaps.
 *
 * A range that was protected or unmapped by somebody else would end the process at the first write,
 * so it is looked at before. smaps counts a page that several processes map in its Shared lines;
 * the zero page, which nobody owns, is in none of them. See proc(5).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "os/linux/maps.h"
#include "os/os.h"

int zf_os_writable(const void *base, size_t size_bytes)
{
    uintptr_t covered_end = (uintptr_t)base;
    uintptr_t end = covered_end + size_bytes;
    struct zf_linux_lines lines;
    struct zf_linux_mapping mapping;
    int rc = 0;
    ZF_ASSERT(covered_end < end);
    if (zf_linux_lines_open(&lines, "/proc/self/maps") != 0)
        return -EOPNOTSUPP;
    while (rc == 0 && covered_end < end && zf_linux_mapping_next(&lines, &mapping)) {
        if (mapping.end <= covered_end)
            continue;
        if (mapping.start > covered_end)
            break;
        if (!mapping.readable || !mapping.writable)
            rc = -EACCES;
        covered_end = mapping.end;
    }
    zf_linux_lines_close(&lines);
    return rc == 0 && covered_end < end ? -ENXIO : rc;
}

/* The bytes that a line of smaps counts as shared. */
static size_t shared_in(const char *line)
{
    bool counts =
        strncmp(line, "Shared_Clean:", 13) == 0 || strncmp(line, "Shared_Dirty:", 13) == 0;
    return counts ? strtoull(strchr(line, ':') + 1, NULL, 10) * 1024 : 0;
}

int zf_os_shared_bytes(const void *base, size_t size_bytes, size_t *shared_bytes)
{
    uintptr_t start = (uintptr_t)base;
    uintptr_t end = start + size_bytes;
    struct zf_linux_lines lines;
    struct zf_linux_mapping mapping = {0}, next;
    const char *line;
    ZF_ASSERT(start < end);
    *shared_bytes = 0;
    if (zf_linux_lines_open(&lines, "/proc/self/smaps") != 0)
        return -EOPNOTSUPP;
    while ((line = zf_linux_lines_next(&lines)) != NULL) {
        if (zf_linux_mapping_parse(line, &next))
            mapping = next;
        if (mapping.start >= end)
            break;
        if (mapping.start < end && mapping.end > start)
            *shared_bytes += shared_in(line);
    }
    zf_linux_lines_close(&lines);
    *shared_bytes = zf_min(*shared_bytes, size_bytes);
    return 0;
}
