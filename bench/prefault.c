/*
 * The kernel's ways to make memory present; see prefault.h.
 *
 * All share the memory out in the same chunks, off one counter, and are timed from before the first
 * thread is started until the last has ended. MAP_POPULATE maps each chunk anew over the
 * reservation. mlock is called by number, because AddressSanitizer replaces libc's by nothing.
 */
#include "prefault.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define PAGE_BYTES ((size_t)4096)
#define CHUNK_BYTES ((size_t)4 << 20)
#define THREADS_MAX 64

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* One range that threads share out. */
struct range {
    unsigned char *base;
    size_t size_bytes;
    enum prefault_way way;
    enum prefault_pages pages;
    atomic_size_t next_bytes;
    atomic_int error;
};

uint64_t prefault_process_faults(void)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

double prefault_process_cpu_ns(void)
{
    struct timespec spent = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (double)spent.tv_sec * 1e9 + (double)spent.tv_nsec;
}

static void touch(unsigned char *base, size_t size_bytes, size_t stride_bytes)
{
    unsigned char nothing = 0;
    __asm__ volatile("" : "+r"(nothing));
    for (size_t offset = 0; offset < size_bytes; offset += stride_bytes)
        __atomic_fetch_add(base + offset, nothing, __ATOMIC_RELAXED);
}

uint64_t prefault_left(void *base, size_t size_bytes)
{
    uint64_t before = prefault_process_faults();
    touch(base, size_bytes, PAGE_BYTES);
    return prefault_process_faults() - before;
}

static int map_flags(enum prefault_pages pages)
{
    return MAP_PRIVATE | MAP_ANONYMOUS | (pages == PREFAULT_HUGETLB ? MAP_HUGETLB : 0);
}

/* Returns an errno. */
static int do_chunk(const struct range *range, unsigned char *base, size_t size_bytes)
{
    bool failed = false;
    switch (range->way) {
    case PREFAULT_POPULATE:
        failed = madvise(base, size_bytes, MADV_POPULATE_WRITE) != 0;
        break;
    case PREFAULT_MLOCK:
        failed = syscall(SYS_mlock, base, size_bytes) != 0;
        break;
    case PREFAULT_MAP_POPULATE:
        failed = mmap(base, size_bytes, PROT_READ | PROT_WRITE,
                      map_flags(range->pages) | MAP_POPULATE | MAP_FIXED, -1, 0) == MAP_FAILED;
        break;
    case PREFAULT_TOUCH:
    case PREFAULT_WAYS:
        touch(base, size_bytes,
              range->pages == PREFAULT_HUGETLB ? PREFAULT_HUGE_BYTES : PAGE_BYTES);
        break;
    }
    return failed ? errno : 0;
}

static void *work(void *argument)
{
    struct range *range = argument;
    for (;;) {
        size_t offset = atomic_fetch_add(&range->next_bytes, CHUNK_BYTES);
        size_t left = offset < range->size_bytes ? range->size_bytes - offset : 0;
        int error;
        if (left == 0)
            return NULL;
        error = do_chunk(range, range->base + offset, left < CHUNK_BYTES ? left : CHUNK_BYTES);
        if (error != 0)
            atomic_store(&range->error, error);
    }
}

static int run_threads(struct range *range, size_t threads)
{
    pthread_t helpers[THREADS_MAX];
    size_t count = 1;
    while (count < threads && count < THREADS_MAX) {
        int error = pthread_create(&helpers[count], NULL, work, range);
        if (error != 0) {
            atomic_store(&range->error, error);
            break;
        }
        count++;
    }
    (void)work(range);
    for (size_t i = 1; i < count; i++)
        (void)pthread_join(helpers[i], NULL);
    return atomic_load(&range->error);
}

int prefault_run(enum prefault_way way, enum prefault_pages pages, size_t size_bytes,
                 size_t threads, struct prefault_cost *cost)
{
    struct range range = {.size_bytes = size_bytes, .way = way, .pages = pages};
    size_t total_bytes = size_bytes + PREFAULT_HUGE_BYTES;
    uint64_t start, faults;
    double cpu_ns;
    unsigned char *all;
    int protection = way == PREFAULT_MAP_POPULATE ? PROT_NONE : PROT_READ | PROT_WRITE;
    int error;
    if (pages == PREFAULT_HUGETLB && way != PREFAULT_MAP_POPULATE)
        total_bytes = size_bytes;
    all = mmap(NULL, total_bytes, protection,
               map_flags(way == PREFAULT_MAP_POPULATE ? PREFAULT_SMALL : pages), -1, 0);
    if (all == MAP_FAILED)
        return errno;
    range.base = all + (-(uintptr_t)all & (PREFAULT_HUGE_BYTES - 1));
    if (pages != PREFAULT_HUGETLB)
        (void)madvise(range.base, size_bytes,
                      pages == PREFAULT_SMALL ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
    faults = prefault_process_faults();
    cpu_ns = prefault_process_cpu_ns();
    start = bench_monotonic_ns();
    error = run_threads(&range, threads);
    cost->spent_ns = (double)(bench_monotonic_ns() - start);
    cost->cpu_ns = prefault_process_cpu_ns() - cpu_ns;
    cost->faults = prefault_process_faults() - faults;
    cost->left = error == 0 ? prefault_left(range.base, size_bytes) : 0;
    if (total_bytes == size_bytes)
        (void)munmap(all, total_bytes);
    else { /* a mapping of huge pages in the middle ends where they end */
        (void)munmap(range.base, size_bytes);
        (void)munmap(all, (size_t)(range.base - all));
        (void)munmap(range.base + size_bytes,
                     (size_t)(all + total_bytes - range.base) - size_bytes);
    }
    return error;
}

/* The number that a file holds; 0 when it cannot be read. */
static size_t read_number(const char *path)
{
    FILE *file = fopen(path, "r");
    unsigned long long number = 0;
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu", &number) != 1)
        number = 0;
    (void)fclose(file);
    return (size_t)number;
}

const char *prefault_no_pool(size_t size_bytes)
{
    static char reason[128];
    size_t pages = size_bytes / PREFAULT_HUGE_BYTES;
    if (read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") >= pages)
        return NULL;
    (void)snprintf(reason, sizeof reason,
                   "fewer than %zu huge pages are free: echo %zu > /proc/sys/vm/nr_hugepages",
                   pages, pages + 16);
    return reason;
}

/* Does the kernel make huge pages without being advised? */
static bool transparent_always(void)
{
    char text[64] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (file == NULL)
        return false;
    if (fgets(text, sizeof text, file) == NULL)
        text[0] = '\0';
    (void)fclose(file);
    return strstr(text, "[always]") != NULL;
}

const char *prefault_left_out(enum prefault_way way, enum prefault_pages pages, size_t size_bytes)
{
    if (pages == PREFAULT_HUGETLB)
        return prefault_no_pool(size_bytes);
    if (pages == PREFAULT_TRANSPARENT && way == PREFAULT_MAP_POPULATE && !transparent_always())
        return "it populates before anybody can advise huge pages";
    return NULL;
}
