/*
 * By pages of which size a range is mapped.
 *
 * smaps names the page size of a mapping that a pool of huge pages backs, and zf_os_residency tells
 * what is present, and what a huge page maps as a whole. Sizes in between (Linux 6.8) have no mark
 * in the page map: they are seen where pages that follow each other in the range are, in the
 * machine, all the pages of one compound page, as /proc/kpageflags tells those who may know frame
 * numbers (CAP_SYS_ADMIN). A huge page that is mapped piece by piece counts as small pages, because
 * that is how it is mapped. See proc(5), Documentation/admin-guide/mm/pagemap.rst.
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/assert.h"
#include "os/linux/lines.h"
#include "os/linux/pagemap.h"

/* Bits of kpageflags. */
#define COMPOUND_HEAD (UINT64_C(1) << 15)
#define COMPOUND_TAIL (UINT64_C(1) << 16)

/* Pages looked at together: those of a huge page. */
#define PAGES_MAX 512

static int shift_of(size_t page_bytes)
{
    int shift = __builtin_ctzll(page_bytes);
    ZF_ASSERT(zf_is_power_of_two(page_bytes));
    ZF_ASSERT(shift < ZF_OS_PAGE_SHIFTS);
    return shift;
}

/* The page size of the mapping that holds an address; 0 when it is not told. */
static size_t mapping_page_bytes(uintptr_t address)
{
    static const char key[] = "KernelPageSize:";
    struct zf_linux_lines lines;
    size_t page_bytes = 0;
    bool inside = false;
    char *line, *rest;
    if (zf_linux_lines_open(&lines, "/proc/self/smaps") != 0)
        return 0;
    while (page_bytes == 0 && (line = zf_linux_lines_next(&lines)) != NULL) {
        if (inside && strncmp(line, key, sizeof key - 1) == 0) {
            page_bytes = strtoull(line + sizeof key - 1, NULL, 10) * 1024;
        } else if (*line < 'A' || *line > 'Z') {
            uintptr_t start = strtoull(line, &rest, 16);
            inside = *rest == '-' && start <= address && address < strtoull(rest + 1, NULL, 16);
        }
    }
    zf_linux_lines_close(&lines);
    return page_bytes;
}

/* ----------------------------------------------------------------------------- sizes in between */

/* The two files that are asked. */
struct frames {
    int pagemap;
    int flags;
};

static int open_frames(struct frames *frames)
{
    int error;
    frames->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (frames->pagemap < 0)
        return -errno;
    frames->flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    if (frames->flags >= 0)
        return 0;
    error = errno;
    (void)close(frames->pagemap);
    return error == ENOENT ? -EOPNOTSUPP : -EPERM;
}

static bool read_words(int file, uint64_t first, size_t count, uint64_t *words)
{
    size_t size_bytes = count * sizeof *words;
    return pread(file, words, size_bytes, (off_t)(first * sizeof *words)) == (ssize_t)size_bytes;
}

/* How many of the pages from the first on are one whole compound page: 1 when it is none. */
static size_t compound_pages(const struct frames *frames, const uint64_t *entries, size_t count)
{
    uint64_t flags[PAGES_MAX + 1];
    uint64_t first = entries[0] & PAGEMAP_FRAME;
    size_t run = 1, pages = 1;
    while (run < count && (entries[run] & PAGEMAP_PRESENT) != 0 &&
           (entries[run] & PAGEMAP_FRAME) == first + run)
        ++run;
    /* One more, to see that the compound page ends where its tails do. */
    if (run == 1 || !read_words(frames->flags, first, run + 1, flags) ||
        (flags[0] & COMPOUND_HEAD) == 0)
        return 1;
    while (pages <= run && (flags[pages] & COMPOUND_TAIL) != 0)
        ++pages;
    return pages <= run && zf_is_power_of_two(pages) ? pages : 1;
}

/* Count the pages of one stretch, at most as long as a huge page, into `bytes`. */
static int count_stretch(const struct frames *frames, uintptr_t start, size_t count, size_t *bytes)
{
    uint64_t entries[PAGES_MAX];
    size_t page_bytes = zf_os_page_bytes();
    ZF_ASSERT(count <= PAGES_MAX);
    if (!read_words(frames->pagemap, start / page_bytes, count, entries))
        return -EIO;
    for (size_t i = 0, pages = 1; i < count; i += pages) {
        pages = 1;
        if ((entries[i] & PAGEMAP_PRESENT) == 0)
            continue;
        if ((entries[i] & PAGEMAP_FRAME) == 0)
            return -EPERM;
        pages = compound_pages(frames, &entries[i], count - i);
        if (pages == PAGES_MAX)
            bytes[shift_of(page_bytes)] += pages * page_bytes;
        else
            bytes[shift_of(pages * page_bytes)] += pages * page_bytes;
    }
    return 0;
}

/* Tell the small pages of the range and those in between apart. */
static int count_between(uintptr_t start, uintptr_t end, size_t *bytes)
{
    size_t stretch_bytes = PAGES_MAX * zf_os_page_bytes();
    struct frames frames = {-1, -1};
    int rc = open_frames(&frames);
    if (rc != 0)
        return rc;
    while (start < end && rc == 0) {
        uintptr_t stop = zf_min(zf_align_down(start, stretch_bytes) + stretch_bytes, end);
        struct zf_os_residency residency;
        rc = zf_os_residency((const void *)start, stop - start, &residency);
        if (rc == 0 && residency.huge_bytes != stop - start && residency.present_bytes != 0)
            rc = count_stretch(&frames, start, (stop - start) / zf_os_page_bytes(), bytes);
        start = stop;
    }
    (void)close(frames.pagemap);
    (void)close(frames.flags);
    return rc;
}

/* ---------------------------------------------------------------------------------------- sizes */

int zf_os_page_sizes(const void *base, size_t size_bytes, const struct zf_os_residency *known,
                     bool between, struct zf_os_page_sizes *sizes)
{
    uintptr_t start = (uintptr_t)base;
    size_t mapped_by = zf_os_page_bytes();
    size_t counted[ZF_OS_PAGE_SHIFTS] = {0};
    int small = shift_of(zf_os_page_bytes());
    memset(sizes, 0, sizeof *sizes);
    /* Only a mapping with huge pages can be one of a pool. */
    if (known->huge_bytes != 0)
        mapped_by = mapping_page_bytes(start);
    if (mapped_by == 0 || !known->huge_known)
        return -EOPNOTSUPP;
    if (mapped_by != zf_os_page_bytes()) {
        sizes->bytes[shift_of(mapped_by)] = known->present_bytes;
        return 0;
    }
    if (known->huge_bytes != 0)
        sizes->bytes[shift_of(zf_os_huge_page_bytes())] = known->huge_bytes;
    sizes->bytes[small] = known->present_bytes - known->huge_bytes;
    if (!between || sizes->bytes[small] == 0)
        return 0;
    sizes->between_error = count_between(start, start + size_bytes, counted);
    for (int shift = small + 1; shift < ZF_OS_PAGE_SHIFTS && sizes->between_error == 0; ++shift) {
        size_t found_bytes = zf_min(counted[shift], sizes->bytes[small]);
        sizes->bytes[shift] += found_bytes;
        sizes->bytes[small] -= found_bytes;
    }
    return 0;
}
