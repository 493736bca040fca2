/*
 * One page: present, shared zero page, huge, swapped out, and under which policy.
 *
 * PAGEMAP_SCAN (Linux 6.7) tells all of it; before it, an entry of /proc/self/pagemap tells present
 * and swapped alone, and the zero page counts as present. get_mempolicy with MPOL_F_ADDR looks at
 * the mapping, and only with MPOL_F_NODE would it fault the page in. Nothing here touches the page.
 * See ioctl_pagemap_scan(2), proc(5), get_mempolicy(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arith.h"
#include "os/linux/pagemap.h"
#include "os/os.h"

#define SCAN_ALL ((uint64_t)(SCAN_PRESENT | SCAN_SWAPPED | SCAN_ZERO_PAGE | SCAN_HUGE))

enum { POLICY_OF_ADDRESS = 1 << 1 };

static int scan(int pagemap, uintptr_t start, struct zf_os_page *page)
{
    struct scan_region region = {0};
    struct scan_request request = {.size = sizeof request,
                                   .start = start,
                                   .end = start + zf_os_page_bytes(),
                                   .regions = (uintptr_t)&region,
                                   .regions_count = 1,
                                   .categories_any = SCAN_PRESENT | SCAN_SWAPPED,
                                   .categories_reported = SCAN_ALL};
    int count = ioctl(pagemap, SCAN_REQUEST, &request);
    if (count < 0)
        return -errno;
    page->zero_known = true;
    page->present = count > 0 && (region.categories & SCAN_PRESENT) != 0;
    page->swapped = count > 0 && (region.categories & SCAN_SWAPPED) != 0;
    page->is_zero = count > 0 && (region.categories & SCAN_ZERO_PAGE) != 0;
    page->is_huge = count > 0 && (region.categories & SCAN_HUGE) != 0;
    return 0;
}

static int read_entry(int pagemap, uintptr_t start, struct zf_os_page *page)
{
    uint64_t entry = 0;
    off_t offset = (off_t)(start / zf_os_page_bytes() * sizeof entry);
    ssize_t length = pread(pagemap, &entry, sizeof entry, offset);
    if (length != (ssize_t)sizeof entry)
        return length < 0 ? -errno : -EIO;
    page->present = (entry & PAGEMAP_PRESENT) != 0;
    page->swapped = (entry & PAGEMAP_SWAPPED) != 0;
    return 0;
}

int zf_os_page(uintptr_t address, struct zf_os_page *page)
{
    uintptr_t start = zf_align_down(address, zf_os_page_bytes());
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    int rc;
    ZF_ASSERT(page != NULL);
    memset(page, 0, sizeof *page);
    if (pagemap < 0)
        return -EOPNOTSUPP;
    rc = scan(pagemap, start, page);
    if (rc != 0)
        rc = read_entry(pagemap, start, page);
    (void)close(pagemap);
    return rc;
}

int zf_os_has_policy(uintptr_t address, bool *has_policy)
{
    int mode = 0;
    ZF_ASSERT(has_policy != NULL);
    *has_policy = false;
    if (syscall(SYS_get_mempolicy, &mode, NULL, 0, address, POLICY_OF_ADDRESS) != 0)
        return errno == ENOSYS ? -EOPNOTSUPP : -errno;
    *has_policy = mode != 0;
    return 0;
}
