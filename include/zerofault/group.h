/*
 * Groups: one warm arena per NUMA node, or per set of CPUs, from which threads carve their own.
 *
 * It is like a per-CPU allocator's backing store. Each part of a group is an arena on a node of its
 * own; a thread asks for the part of the CPU that it runs on and takes a chunk, or a whole arena,
 * from it by moving one address with a compare-and-swap. There is no lock and no system call, and
 * nothing is ever given back singly: a group is for what lives as long as the hot loop.
 */
#ifndef ZEROFAULT_GROUP_H
#define ZEROFAULT_GROUP_H

#include <stddef.h>
#include <stdint.h>

#include <zerofault/arena.h>
#include <zerofault/attributes.h>

ZEROFAULT_BEGIN_DECLS

/* ---------------------------------------------------------------------------------------- types */

/* The most parts that a group may have. */
#define ARENA_GROUP_PARTS_MAX 1024

/* How a group is made. Zero of every field is the default. */
struct arena_group_options {
    size_t struct_size;    /* filled by ARENA_GROUP_OPTIONS */
    const char *name;      /* copied; a part adds its number, and both must fit ARENA_NAME_MAX */
    size_t capacity_bytes; /* of each part, of which 64 are its head's; 0 is refused */
    enum warmup_wish bind; /* as in arena_options, of every part */
    enum warmup_wish huge_pages;
    enum warmup_wish lock;
    enum warmup_fork fork;
    const unsigned
        *nodes; /* one part on each, read once; NULL: on each node with CPUs and memory */
    size_t nodes_count;
    const unsigned *part_of_cpu; /* instead of `nodes`: for CPU 0, 1, ... the number of its part. A
                                  * part is on the node of its first CPU, and none is left out. */
    size_t cpus_count;           /* of `part_of_cpu`; later CPUs get part 0 */
    enum warmup_wish hugetlb_1g; /* as in arena_options, of every part */
    enum warmup_wish hugetlb_2m;
    bool raise_pools;
};
#define ARENA_GROUP_OPTIONS(...)                                                                   \
    ((struct arena_group_options){.struct_size = sizeof(struct arena_group_options), __VA_ARGS__})

struct arena_group;

/*
 * The frozen head of a part: one cache line, at the start of the part's own memory. Read `arena`
 * and `node` if you like; only the functions here write it.
 */
struct arena_group_part {
    uintptr_t next;         /* address of the next free byte; atomic */
    uintptr_t end;          /* one past the last byte that may be handed out */
    uintptr_t begin;        /* address of the first byte */
    uint64_t refused_count; /* requests that were answered with NULL; atomic */
    struct arena *arena;    /* all of the part: to verify, rewarm or move; not to allocate from */
    uintptr_t reserved[2];  /* 0 */
    int node;               /* where it was made; -1 when the system tells no nodes */
    unsigned number;        /* of the part, from 0 */
};

/* ------------------------------------------------------------------------------ create, destroy */

/**
 * Create a group of cold parts.
 *
 * Returns  0; -EINVAL `out` or `options` is NULL, the name is too long, the parts' numbers have a
 *          gap or exceed ARENA_GROUP_PARTS_MAX, or both `nodes` and `part_of_cpu` are given;
 *          otherwise as arena_create. `*out` is NULL unless 0 is returned.
 * Latency  cold: a few system calls per part
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API int arena_group_create(struct arena_group **out,
                                     const struct arena_group_options *options);

/**
 * Give the memory of all parts back to the system, and all that was carved from them. NULL is
 * ignored.
 *
 * Returns  nothing
 * Latency  cold: a few system calls per part
 * Threads  no other call on this group or on what was carved from it may run meanwhile
 * Since    0.1
 */
ZEROFAULT_API void arena_group_destroy(struct arena_group *group);

/**
 * Warm up every part, and what arena_group_mine reads.
 *
 * `reports` has room for `reports_count` reports, filled in the order of the parts as far as they
 * reach; each must be initialised. The first part that fails ends it.
 *
 * Returns  0, or what arena_warmup said of the first part that failed; -EINVAL also when the group
 *          is NULL
 * Latency  cold: one fault per page, a few system calls per chunk
 * Threads  nothing else may run on the group meanwhile
 * Since    0.1
 */
ZEROFAULT_API int arena_group_warmup(struct arena_group *group,
                                     const struct warmup_options *options,
                                     struct warmup_report *reports, size_t reports_count);

/**
 * Give back everything that was carved from any part. Every page stays resident.
 *
 * Returns  nothing
 * Latency  hot: O(parts)
 * Threads  nothing that was carved may be in use
 * Since    0.1
 */
ZEROFAULT_API void arena_group_reset(struct arena_group *group);

/* ---------------------------------------------------------------------------------------- parts */

/**
 * Find the part of the CPU that the calling thread runs on, or of the node nearest to it.
 *
 * The thread may be on another CPU a moment later; the part stays valid all the same, only
 * farther away. Ask once per thread that is bound to a CPU, or at each carve.
 *
 * Returns  the part; never NULL
 * Latency  hot: two loads, after asking the C library for the CPU
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API struct arena_group_part *arena_group_mine(const struct arena_group *group);

/**
 * Tell how many parts there are.
 *
 * Returns  the count, at least 1
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API size_t arena_group_parts_count(const struct arena_group *group);

/**
 * Find a part by its number.
 *
 * Returns  the part; NULL when there is none of that number
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API struct arena_group_part *arena_group_at(const struct arena_group *group,
                                                      size_t number);

/* --------------------------------------------------------------------------------------- carving
 * */

/**
 * Count a request that cannot be met and answer NULL; arena_group_carve ends here.
 *
 * Inside a hot section the refusal is a violation of that section.
 *
 * Returns  NULL
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_COLD void *arena_group_refuse(struct arena_group_part *part, size_t size_bytes);

/**
 * Take `size_bytes` at a multiple of `alignment` from a part. The bytes have any content.
 *
 * Threads that carve at the same moment repeat a compare-and-swap; none waits for another. For
 * chunks that several threads write, align to a cache line.
 *
 * Returns  the address, or NULL, counted, when it does not fit or the alignment is not a power of
 *          two
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_INLINE void *arena_group_carve(struct arena_group_part *part, size_t size_bytes,
                                         size_t alignment)
{
    uintptr_t mask = alignment - 1;
    uintptr_t next = __atomic_load_n(&part->next, __ATOMIC_RELAXED);
    uintptr_t start;
    do {
        start = (next + mask) & ~mask;
        /* An alignment of 0 makes a mask of all ones, and a start of 0. */
        if (ZEROFAULT_UNLIKELY((alignment & mask) != 0 || start < next || start > part->end ||
                               size_bytes > part->end - start))
            return arena_group_refuse(part, size_bytes);
    } while (ZEROFAULT_UNLIKELY(!__atomic_compare_exchange_n(
        &part->next, &next, start + size_bytes, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)));
    return (void *)start;
}

/**
 * Carve an arena for one thread from a part, as warm as the part is.
 *
 * Allocation, marks, reset and statistics work on it as on any arena. It cannot be warmed up,
 * verified or moved by itself (-EINVAL): that is done to the part's `arena`. arena_destroy does
 * nothing to it; it goes with the group, or with arena_group_reset.
 *
 * Returns  the arena; NULL, counted, when `capacity_bytes` and a head of 64 bytes do not fit
 * Latency  hot
 * Threads  any; the arena then belongs to one
 * Since    0.1
 */
ZEROFAULT_API struct arena *arena_group_arena(struct arena_group_part *part, size_t capacity_bytes);

ZEROFAULT_END_DECLS

#endif
