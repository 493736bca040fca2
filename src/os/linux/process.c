/*
 * The process as a whole: C heap, clocks, locking.
 *
 * The heap's knobs are glibc's. They are referred to weakly: another C library may lack them, and a
 * static program with a malloc of its own must not get glibc's linked in beside it. Whether malloc
 * is the one that the knobs turn is told by where the two come from. mlockall is called by number,
 * because AddressSanitizer replaces libc's by a stub. Lockable is what the kernel's mlock_fixup
 * takes; smaps marks the rest in its flags. See mallopt(3), mlockall(2), proc(5), vdso(7).
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "os/linux/maps.h"
#include "os/os.h"

/* ----------------------------------------------------------------------------------------- heap */

/* From glibc's malloc.h, which other C libraries lack. */
extern int mallopt(int parameter, int value) __attribute__((weak));
enum { PARAMETER_TRIM_THRESHOLD = -1, PARAMETER_MMAP_MAX = -4 };

static bool malloc_is_that_of_mallopt(void)
{
    Dl_info of_malloc = {0};
    Dl_info of_mallopt = {0};
    if (dladdr((void *)(uintptr_t)malloc, &of_malloc) == 0 ||
        dladdr((void *)(uintptr_t)mallopt, &of_mallopt) == 0)
        return true;
    return of_malloc.dli_fbase == of_mallopt.dli_fbase;
}

int zf_os_heap_keep(void)
{
    if (mallopt == NULL || !malloc_is_that_of_mallopt())
        return -EOPNOTSUPP;
    /* A threshold of -1 is the largest there is: nothing is ever given back. */
    if (mallopt(PARAMETER_TRIM_THRESHOLD, -1) != 1 || mallopt(PARAMETER_MMAP_MAX, 0) != 1)
        return -EOPNOTSUPP;
    return 0;
}

int zf_os_heap(void **base, size_t *size_bytes)
{
    struct zf_linux_mapping mapping;
    char path[16];
    int rc = zf_linux_mapping_find(0, "[heap]", &mapping, path, sizeof path);
    ZF_ASSERT(base != NULL);
    ZF_ASSERT(size_bytes != NULL);
    *base = NULL;
    *size_bytes = 0;
    if (rc != 0)
        return rc;
    *base = (void *)mapping.start;
    *size_bytes = mapping.end - mapping.start;
    return 0;
}

/* --------------------------------------------------------------------------------------- clocks */

void zf_os_clocks_use(void)
{
    static const clockid_t clocks[] = {
        CLOCK_REALTIME,        CLOCK_MONOTONIC,        CLOCK_MONOTONIC_RAW,     CLOCK_BOOTTIME,
        CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_PROCESS_CPUTIME_ID};
    struct timespec now;
    struct timeval day;
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; ++i)
        (void)clock_gettime(clocks[i], &now);
    (void)gettimeofday(&day, NULL);
    (void)time(NULL);
}

/* -------------------------------------------------------------------------------------- locking */

int zf_os_lock_all(void)
{
    if (syscall(SYS_mlockall, MCL_CURRENT) == 0)
        return 0;
    return errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

static bool has_flag(const char *flags, const char *const *wanted)
{
    for (; *wanted != NULL; ++wanted)
        if (strstr(flags, *wanted) != NULL)
            return true;
    return false;
}

static void add_mapping(const struct zf_linux_mapping *mapping, size_t resident_bytes,
                        const char *flags, struct zf_os_process_memory *memory)
{
    static const char *const special[] = {" io", " de", " pf", " mm", " ht", " dp", NULL};
    static const char *const locked[] = {" lo", NULL};
    /* Not even readable: reserved addresses, or the kernel's own page for old system calls. */
    if (has_flag(flags, special) || !(mapping->readable || mapping->writable))
        return;
    memory->lockable_bytes += mapping->end - mapping->start;
    memory->resident_bytes += resident_bytes;
    memory->locked_bytes += has_flag(flags, locked) ? resident_bytes : 0;
}

int zf_os_process_memory(struct zf_os_process_memory *memory)
{
    struct zf_linux_mapping mapping = {0};
    struct zf_linux_mapping next;
    struct zf_linux_lines lines;
    size_t resident_bytes = 0;
    const char *line;
    ZF_ASSERT(memory != NULL);
    memset(memory, 0, sizeof *memory);
    if (zf_linux_lines_open(&lines, "/proc/self/smaps") != 0)
        return -EOPNOTSUPP;
    while ((line = zf_linux_lines_next(&lines)) != NULL) {
        if (strncmp(line, "Rss:", 4) == 0)
            resident_bytes = strtoull(line + 4, NULL, 10) * 1024;
        else if (strncmp(line, "VmFlags:", 8) == 0)
            add_mapping(&mapping, resident_bytes, line + 8, memory);
        else if (zf_linux_mapping_parse(line, &next))
            mapping = next;
    }
    zf_linux_lines_close(&lines);
    ZF_ASSERT(memory->locked_bytes <= memory->resident_bytes);
    return memory->lockable_bytes == 0 ? -EOPNOTSUPP : 0;
}
