/*
 * Ways to make a range of memory present that are not zerofault's: four of the kernel's own, each
 * by any number of threads, and the start of two programs that do it at their start.
 */
#ifndef BENCH_PREFAULT_H
#define BENCH_PREFAULT_H

#include <stddef.h>
#include <stdint.h>

/* What the memory is made of. */
enum prefault_pages { PREFAULT_SMALL, PREFAULT_TRANSPARENT, PREFAULT_HUGETLB, PREFAULT_PAGES };

/* The kernel's ways. */
enum prefault_way {
    PREFAULT_POPULATE,     /* madvise(MADV_POPULATE_WRITE) */
    PREFAULT_MLOCK,        /* mlock */
    PREFAULT_TOUCH,        /* an atomic add of nothing to each page */
    PREFAULT_MAP_POPULATE, /* mmap(MAP_POPULATE) over what was reserved */
    PREFAULT_WAYS
};

#define PREFAULT_HUGE_BYTES ((size_t)2 << 20)

/* What one run took. */
struct prefault_cost {
    double spent_ns;
    double cpu_ns;   /* of all threads */
    uint64_t faults; /* of all threads, minor and major */
    uint64_t left;   /* that a write to each page still took afterwards */
};

/* Faults of the whole process until now, minor and major. */
uint64_t prefault_process_faults(void);

/* CPU time of all threads of the process until now. */
double prefault_process_cpu_ns(void);

/* Faults that a write to each small page of a range takes. */
uint64_t prefault_left(void *base, size_t size_bytes);

/* Make fresh memory present, and give it back. `size_bytes` is whole huge pages. Returns 0 or an
 * errno. */
int prefault_run(enum prefault_way way, enum prefault_pages pages, size_t size_bytes,
                 size_t threads, struct prefault_cost *cost);

/* Why a way cannot do pages of a kind here, or NULL. */
const char *prefault_left_out(enum prefault_way way, enum prefault_pages pages, size_t size_bytes);

/* Why there are not enough reserved huge pages free for this, or NULL. */
const char *prefault_no_pool(size_t size_bytes);

#endif
