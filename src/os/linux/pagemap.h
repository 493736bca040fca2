/*
 * The page map's interface: PAGEMAP_SCAN, and the entries of /proc/PID/pagemap that older kernels
 * have.
 */
#ifndef ZF_OS_LINUX_PAGEMAP_H
#define ZF_OS_LINUX_PAGEMAP_H

#include <stdint.h>
#include <sys/ioctl.h>

/* linux/fs.h of Linux 6.7; the headers of older systems lack it. */
struct scan_region {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
};
struct scan_request {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t regions;
    uint64_t regions_count;
    uint64_t pages_max;
    uint64_t categories_inverted;
    uint64_t categories_all;
    uint64_t categories_any;
    uint64_t categories_reported;
};
#define SCAN_REQUEST _IOWR('f', 16, struct scan_request)
enum { SCAN_PRESENT = 1 << 3, SCAN_SWAPPED = 1 << 4, SCAN_ZERO_PAGE = 1 << 5, SCAN_HUGE = 1 << 6 };

/* Bits of an entry. */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)
#define PAGEMAP_FRAME ((UINT64_C(1) << 55) - 1) /* 0 for who may not know it */

#endif
