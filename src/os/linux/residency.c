/*
 * Which pages of a range are there, huge, locked: asked of the page tables, best source first.
 *
 * PAGEMAP_SCAN (Linux 6.7) tells present, zero page and huge at once. Before it, the entries of
 * /proc/self/pagemap tell present, and smaps corrects them: it does not count the zero page, and
 * its AnonHugePages are huge. That is exact for a whole range, which is a mapping of its own; for a
 * part of one, zero pages may count and huge pages may not. Without /proc, mincore tells present
 * alone. Locked is the mapping's flag in smaps together with presence; smaps' own Locked line
 * halves when a child shares the pages. For its counts smaps walks the page tables of all mappings,
 * 3 ms for 256 MiB, so a range that is locked as a whole is found out first by what a lock forbids.
 * Nothing here touches a page of the range.
 * See ioctl_pagemap_scan(2), proc(5), mincore(2), msync(2).
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zerofault/valgrind.h>

#include "base/arith.h"
#include "base/assert.h"
#include "os/linux/lines.h"
#include "os/linux/maps.h"
#include "os/linux/pagemap.h"

/* What one way of asking found in a range. */
struct pages {
    size_t present_bytes;
    size_t huge_bytes;
};

/* One of the ways, chosen once per question. */
struct source {
    int (*count)(const struct source *source, uintptr_t start, uintptr_t end, struct pages *pages);
    int pagemap; /* open file, or -1 */
    bool exact;  /* tells zero pages and huge pages apart by itself */
};

static int count_by_scan(const struct source *source, uintptr_t start, uintptr_t end,
                         struct pages *pages)
{
    struct scan_region regions[64] = {0}; /* Valgrind does not know that the kernel fills it */
    struct scan_request request = {.size = sizeof request,
                                   .start = start,
                                   .end = end,
                                   .regions = (uintptr_t)regions,
                                   .regions_count = sizeof regions / sizeof regions[0],
                                   .categories_inverted = SCAN_ZERO_PAGE,
                                   .categories_all = SCAN_PRESENT | SCAN_ZERO_PAGE,
                                   .categories_reported = SCAN_PRESENT | SCAN_HUGE};
    ZF_ASSERT(start < end);
    while (request.start < end) {
        int count = ioctl(source->pagemap, SCAN_REQUEST, &request);
        if (count < 0)
            return -errno;
        for (int i = 0; i < count; ++i) {
            size_t size_bytes = (size_t)(regions[i].end - regions[i].start);
            pages->present_bytes += size_bytes;
            pages->huge_bytes += (regions[i].categories & SCAN_HUGE) != 0 ? size_bytes : 0;
        }
        if (request.walk_end <= request.start)
            return -EIO;
        request.start = request.walk_end;
    }
    ZF_ASSERT(pages->huge_bytes <= pages->present_bytes);
    return 0;
}

static int count_by_pagemap(const struct source *source, uintptr_t start, uintptr_t end,
                            struct pages *pages)
{
    uint64_t entries[512];
    size_t page_bytes = zf_os_page_bytes();
    ZF_ASSERT(start < end && (start | end) % page_bytes == 0);
    while (start < end) {
        size_t wanted = zf_min((end - start) / page_bytes, sizeof entries / sizeof entries[0]);
        ssize_t length = pread(source->pagemap, entries, wanted * sizeof entries[0],
                               (off_t)(start / page_bytes * sizeof entries[0]));
        size_t count = length > 0 ? (size_t)length / sizeof entries[0] : 0;
        if (count == 0)
            return length < 0 ? -errno : -EIO;
        for (size_t i = 0; i < count; ++i)
            pages->present_bytes += (entries[i] & PAGEMAP_PRESENT) != 0 ? page_bytes : 0;
        start += count * page_bytes;
    }
    return 0;
}

static int count_by_mincore(const struct source *source, uintptr_t start, uintptr_t end,
                            struct pages *pages)
{
    unsigned char resident[4096];
    size_t page_bytes = zf_os_page_bytes();
    ZF_ASSERT(start < end && (start | end) % page_bytes == 0);
    (void)source;
    while (start < end) {
        size_t size_bytes = zf_min(end - start, sizeof resident * page_bytes);
        if (mincore((void *)start, size_bytes, resident) != 0)
            return errno == ENOSYS ? -EOPNOTSUPP : -errno;
        for (size_t i = 0; i < size_bytes / page_bytes; ++i)
            pages->present_bytes += (resident[i] & 1) != 0 ? page_bytes : 0;
        start += size_bytes;
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------- smaps */

/* What smaps says of one mapping. */
struct mapping {
    uintptr_t start;
    uintptr_t end;
    size_t resident_bytes; /* without the zero page */
    size_t huge_bytes;
    bool locked; /* or of reserved huge pages, which are never reclaimed */
};

/* Take in one line; true when it was the last of its mapping. */
static bool take_line(struct mapping *mapping, const char *line)
{
    char *rest;
    if (strncmp(line, "Rss:", 4) == 0) {
        mapping->resident_bytes = strtoull(line + 4, NULL, 10) * 1024;
    } else if (strncmp(line, "AnonHugePages:", 14) == 0) {
        mapping->huge_bytes = strtoull(line + 14, NULL, 10) * 1024;
    } else if (strncmp(line, "Private_Hugetlb:", 16) == 0 ||
               strncmp(line, "Shared_Hugetlb:", 15) == 0) {
        /* In none of the counts above. */
        size_t size_bytes = strtoull(strchr(line, ':') + 1, NULL, 10) * 1024;
        mapping->resident_bytes += size_bytes;
        mapping->huge_bytes += size_bytes;
    } else if (strncmp(line, "VmFlags:", 8) == 0) {
        mapping->locked = strstr(line + 8, " lo") != NULL || strstr(line + 8, " ht") != NULL;
        return true;
    } else if (*line < 'A' || *line > 'Z') {
        memset(mapping, 0, sizeof *mapping);
        mapping->start = strtoull(line, &rest, 16);
        mapping->end = *rest == '-' ? strtoull(rest + 1, NULL, 16) : mapping->start;
    }
    return false;
}

/* What a walk over mappings adds up. */
struct totals {
    struct pages pages;
    size_t locked_bytes;
};

/* Add the part of the range that lies in one mapping. */
static int add_mapping(const struct source *source, const struct mapping *mapping, uintptr_t start,
                       uintptr_t end, struct totals *totals)
{
    struct pages pages = {0};
    size_t outside_bytes;
    int rc;
    start = zf_max(start, mapping->start);
    end = zf_min(end, mapping->end);
    ZF_ASSERT(start < end);
    rc = source->count(source, start, end, &pages);
    if (rc != 0)
        return rc;
    if (!source->exact) {
        outside_bytes = mapping->end - mapping->start - (end - start);
        pages.present_bytes = zf_min(pages.present_bytes, mapping->resident_bytes);
        pages.huge_bytes =
            mapping->huge_bytes > outside_bytes ? mapping->huge_bytes - outside_bytes : 0;
    }
    ZF_ASSERT(pages.present_bytes <= end - start);
    totals->pages.present_bytes += pages.present_bytes;
    totals->pages.huge_bytes += pages.huge_bytes;
    totals->locked_bytes += mapping->locked ? pages.present_bytes : 0;
    return 0;
}

/* Walk the mappings of the range; -EOPNOTSUPP without smaps. */
static int count_by_mapping(const struct source *source, uintptr_t start, uintptr_t end,
                            struct totals *totals)
{
    struct zf_linux_lines lines;
    struct mapping mapping = {0};
    uintptr_t covered_end = start;
    char *line;
    int rc = 0;
    memset(totals, 0, sizeof *totals);
    if (zf_linux_lines_open(&lines, "/proc/self/smaps") != 0)
        return -EOPNOTSUPP;
    while (rc == 0 && covered_end < end && (line = zf_linux_lines_next(&lines)) != NULL) {
        if (!take_line(&mapping, line) || mapping.end <= start)
            continue;
        if (mapping.start >= end)
            break;
        rc = add_mapping(source, &mapping, start, end, totals);
        covered_end = mapping.end;
    }
    zf_linux_lines_close(&lines);
    /* smaps ended early, or knows no flags: do not take silence for cold memory. */
    return rc == 0 && covered_end < end ? -EOPNOTSUPP : rc;
}

/* ------------------------------------------------------------------------------------ residency */

/* Open the best source that answers for the first page at all. */
static struct source open_source(uintptr_t start)
{
    struct source source = {.count = count_by_scan, .exact = true};
    struct pages pages = {0};
    uintptr_t end = start + zf_os_page_bytes();
    source.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (source.pagemap >= 0 && source.count(&source, start, end, &pages) == 0)
        return source;
    source.exact = false;
    source.count = count_by_pagemap;
    if (source.pagemap < 0 || source.count(&source, start, end, &pages) != 0)
        source.count = count_by_mincore;
    return source;
}

static void close_source(const struct source *source)
{
    if (source->pagemap >= 0)
        close(source->pagemap);
}

int zf_os_residency(const void *base, size_t size_bytes, struct zf_os_residency *residency)
{
    uintptr_t start = (uintptr_t)base;
    uintptr_t end = start + size_bytes;
    struct source source = open_source(start);
    struct totals totals = {0};
    int rc;
    ZF_ASSERT(residency != NULL);
    ZF_ASSERT(start < end && (start | end) % zf_os_page_bytes() == 0);
    memset(residency, 0, sizeof *residency);
    rc = source.exact ? -EOPNOTSUPP : count_by_mapping(&source, start, end, &totals);
    residency->huge_known = source.exact || rc == 0;
    if (rc != 0) {
        totals.pages = (struct pages){0};
        rc = source.count(&source, start, end, &totals.pages);
    }
    close_source(&source);
    if (rc != 0)
        return rc;
    residency->present_bytes = totals.pages.present_bytes;
    residency->huge_bytes = totals.pages.huge_bytes;
    ZF_ASSERT(residency->present_bytes <= size_bytes);
    return 0;
}

/* Is every mapping of the range locked? To invalidate a locked one is refused, and does nothing to
 * anonymous memory that is not; but Valgrind believes that the memory is read, and complains of
 * bytes that nobody has set. */
static bool all_locked(uintptr_t start, uintptr_t end)
{
    struct zf_linux_lines lines;
    struct zf_linux_mapping mapping;
    uintptr_t covered_end = start;
    if (zerofault_is_valgrind() || zf_linux_lines_open(&lines, "/proc/self/maps") != 0)
        return false;
    while (covered_end < end && zf_linux_mapping_next(&lines, &mapping)) {
        if (mapping.end <= covered_end)
            continue;
        if (mapping.start > covered_end ||
            msync((void *)covered_end, zf_os_page_bytes(), MS_INVALIDATE) == 0 || errno != EBUSY)
            break;
        covered_end = mapping.end;
    }
    zf_linux_lines_close(&lines);
    return covered_end >= end;
}

int zf_os_locked_bytes(const void *base, size_t size_bytes, const struct zf_os_residency *known,
                       size_t *locked_bytes)
{
    uintptr_t start = (uintptr_t)base;
    uintptr_t end = start + size_bytes;
    struct source source = open_source(start);
    struct totals totals;
    int rc;
    ZF_ASSERT(locked_bytes != NULL);
    ZF_ASSERT(start < end && (start | end) % zf_os_page_bytes() == 0);
    if (source.exact && all_locked(start, end)) {
        totals.pages = (struct pages){.present_bytes = known == NULL ? 0 : known->present_bytes};
        rc = known == NULL ? source.count(&source, start, end, &totals.pages) : 0;
        totals.locked_bytes = totals.pages.present_bytes;
    } else {
        rc = count_by_mapping(&source, start, end, &totals);
    }
    close_source(&source);
    *locked_bytes = rc == 0 ? totals.locked_bytes : 0;
    return rc;
}
