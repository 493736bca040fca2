/*
 * Arenas: bump allocation from memory that a warmup has made resident.
 *
 * An arena is like any region allocator (obstack, APR pool, bumpalo): allocate by moving an
 * address up, give back everything at once or back to a mark. It differs in one promise. After
 * arena_warmup, no call on the hot plane here enters the kernel and no byte it hands out takes a
 * page fault: reset and rewind keep every page, and what does not fit is refused and counted
 * instead of grown behind the caller's back.
 */
#ifndef ZEROFAULT_ARENA_H
#define ZEROFAULT_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <zerofault/attributes.h>
#include <zerofault/warmup.h>

ZEROFAULT_BEGIN_DECLS

/* ---------------------------------------------------------------------------------------- types */

/* The longest name that reports keep, with its terminator; a longer one is refused. */
#define ARENA_NAME_MAX 48

/* Values for arena_options.node. */
#define ARENA_NODE_LOCAL 0                /* the node that the warming thread runs on */
#define ARENA_NODE(number) ((number) + 1) /* this node */

/* How an arena is made. Zero of every field is the default. */
struct arena_options {
    size_t struct_size; /* filled by ARENA_OPTIONS */
    const char *name;   /* copied; shown in reports and, where the kernel can, in /proc/PID/maps */
    size_t capacity_bytes; /* what can be handed out; 0 is refused; rounded up to whole pages of
                            * the size required, or else of the smallest one preferred; to whole
                            * GiB only when `hugetlb_1g` is required */
    int node;              /* ARENA_NODE_LOCAL or ARENA_NODE(n) */
    enum warmup_wish bind; /* the explicit memory policy for that node; default WARMUP_PREFER */
    enum warmup_wish huge_pages; /* transparent huge pages; default WARMUP_OFF, see below */
    enum warmup_wish lock;       /* keep the pages out of reach of reclaim; default WARMUP_PREFER */
    enum warmup_fork fork;       /* what a child of fork sees; default WARMUP_FORK_EXCLUDE */
    enum arena_placement placement; /* which of the next say where; default `node` */
    unsigned cpu;                   /* of ARENA_PLACE_CPU */
    const unsigned *nodes;          /* of the placements over several nodes; read once */
    const unsigned *weights; /* of ARENA_WEIGHTED_INTERLEAVE: 1 to 65,535 for each of `nodes`,
                                     * of which there are then 64 at most; NULL: the kernel's own */
    size_t nodes_count;      /* of `nodes`; a node named twice counts once, but for weights */

    /* Pages of the kernel's pools of reserved huge pages (hugetlb), which are never split, swapped
     * or merged. The order is 1 GiB, 2 MiB, transparent, small: what is refused is in the report,
     * and the next one is tried, unless it is off. A level that is required is the last. One that
     * is preferred is passed over when the capacity is not a whole number of its pages. Pages that
     * are required come from other nodes' pools where those of the placement have too few, unless
     * `bind` is required too. */
    enum warmup_wish hugetlb_1g; /* default WARMUP_OFF */
    enum warmup_wish hugetlb_2m; /* default as `hugetlb_1g`, but off when that is required; and
                                  * `huge_pages` as the two, in the same way */
    bool raise_pools; /* where a pool of these is too small, add what is missing, which takes root,
                       * and take it away again when the arena is destroyed */
};
#define ARENA_OPTIONS(...)                                                                         \
    ((struct arena_options){.struct_size = sizeof(struct arena_options), __VA_ARGS__})

/* The wishes of design and options by the arena's own name. */
#define ARENA_OFF WARMUP_OFF
#define ARENA_PREFER WARMUP_PREFER
#define ARENA_REQUIRE WARMUP_REQUIRE

struct arena_control;

/*
 * The frozen head of an arena: what the inline functions below touch, one cache line. Read it if
 * you like; only the functions here write it.
 */
struct arena {
    uintptr_t next;                /* address of the next free byte */
    uintptr_t end;                 /* one past the last byte that may be handed out */
    uintptr_t begin;               /* address of the first byte */
    uintptr_t peak;                /* highest `next` seen at a rewind or reset */
    uint64_t refused_count;        /* requests that were answered with NULL */
    struct arena_control *control; /* region, options and name; private */
    uintptr_t reserved[2];         /* 0 */
};

/* A place to rewind to; valid until the arena is rewound to an earlier one or reset. */
struct arena_marker {
    uintptr_t next;
};

/* What an arena holds. */
struct arena_statistics {
    size_t struct_size;     /* filled by ARENA_STATISTICS_INIT */
    size_t capacity_bytes;  /* what can be handed out in all */
    size_t used_bytes;      /* handed out now, padding included */
    size_t peak_bytes;      /* most ever handed out at one time */
    size_t warm_bytes;      /* proven resident by the last warmup, from the start of the arena */
    uint64_t refused_count; /* requests answered with NULL */
};
#define ARENA_STATISTICS_INIT                                                                      \
    {                                                                                              \
        .struct_size = sizeof(struct arena_statistics)                                             \
    }

/* ------------------------------------------------------------------------------ create, destroy */

/**
 * Create a cold arena: reserve and commit its address range, set its memory policy, touch none of
 * it.
 *
 * A refused wish is remembered and reported by arena_warmup; nothing is degraded in silence.
 *
 * Returns  0; -EINVAL `out` or `options` is NULL, the capacity is 0 or too large for an address
 *          space, the name is too long, a field has an unknown value, or a placement over several
 *          nodes has none or a bad weight; -E2BIG `options` has a non-zero tail that this version
 *          does not know; -ENOMEM no address space, or the kernel's commit limit; -ENODEV a node
 *          does not exist or has no memory, or no node has that CPU; -EPERM a required node is
 *          outside of this process's cpuset. `*out` is NULL unless 0 is returned.
 * Latency  cold: a few system calls
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API int arena_create(struct arena **out, const struct arena_options *options);

/**
 * Give the arena's memory back to the system. NULL is ignored.
 *
 * Everything allocated from it, pools included, is gone.
 *
 * Returns  nothing
 * Latency  cold: a few system calls
 * Threads  no other call on this arena may run meanwhile
 * Since    0.1
 */
ZEROFAULT_API void arena_destroy(struct arena *arena);

/**
 * Make every page of the arena resident, so that a hot section takes no page fault in it.
 *
 * Checks that the memory is to be had, populates, collapses to huge pages, locks and freezes as
 * wished at creation, then proves the result. A refused wish is recorded in `report` and does not
 * fail the call unless it was a must: then the arena stays usable, but cold. Content is kept, so
 * it may be called on an arena in use, and again.
 *
 * An arena of reserved huge pages has small ones until its first warmup, which puts the huge pages
 * in their place: what was written before is copied, so nobody may write meanwhile. A pool that is
 * too small is an error there, and never the SIGBUS that touching would be.
 *
 * Returns  0; -EINVAL the arena is NULL or was wiped by a fork, the size of `options` or `report`
 *          is unknown, or there are to be more than WARMUP_THREADS_MAX threads; -E2BIG `options`
 *          has a non-zero tail that this version does not know; -EBUSY a hot section is open on
 *          this thread; -ENOMEM the system, the node, a pool, the cgroup or RLIMIT_MEMLOCK has too
 *          little (the report names which); -EPERM locking or binding is not allowed here;
 *          -ECANCELED the progress callback or the cancel flag said stop; -EOPNOTSUPP a required
 *          wish is unknown to this kernel, or switched off for this process; -EFAULT the proof
 *          failed: pages still fault
 * Latency  cold: one fault per page, a few system calls per chunk
 * Threads  no other call on this arena may run meanwhile; it starts helper threads for a large
 *          arena, which are gone when it returns
 * Since    0.1
 */
ZEROFAULT_API int arena_warmup(struct arena *arena, const struct warmup_options *options,
                               struct warmup_report *report);

/* ------------------------------------------------------------------------------- verify, repair */

/* How hard arena_verify looks. */
enum arena_verify_mode {
    ARENA_VERIFY_CHEAP = 0, /* asks only: presence, huge pages, locks, nodes */
    ARENA_VERIFY_EXACT      /* also writes to every page, without changing it, and counts faults */
};

/* How an arena is verified. Zero of every field is the default. */
struct arena_verify_options {
    size_t struct_size; /* filled by ARENA_VERIFY_OPTIONS */
    enum arena_verify_mode mode;
};
#define ARENA_VERIFY_OPTIONS(...)                                                                  \
    ((struct arena_verify_options){.struct_size = sizeof(struct arena_verify_options), __VA_ARGS__})

/**
 * Tell whether the arena is still as its last warmup left it.
 *
 * Something outside the arena may have undone the work: a fork, a migration, a split of huge pages,
 * an munlock or madvise of somebody else. The items of the report that have less than the warmup
 * was granted carry -EFAULT and a remedy. The cheap look changes nothing, but cannot see pages that
 * are merely write-protected. The exact one finds those by writing, which also mends them: they
 * count as found, in `proof_faults`. Forks are noticed, in `forks`: an arena that children inherit
 * needs repair after one, in parent and child alike, until it is warmed up again. A child that was
 * made by a bare clone system call is not noticed. Pages that the kernel has moved within their
 * node (compaction) fault only for who touches them at that moment; they are no drift, and the
 * report tells how many the kernel has moved in all, as `migrated_pages`.
 *
 * Returns  0; -EFAULT something has drifted, or the arena was never warm; -EINVAL the arena is
 *          NULL or was wiped by a fork, the size of `options` or `report` is unknown, or the mode
 *          is; -E2BIG `options` has a non-zero tail that this version does not know; -EBUSY a hot
 *          section is open on this thread
 * Latency  cold: cheap a few system calls per MiB, exact a few per chunk and whatever faults
 * Threads  cheap: any, and the arena may be in use; exact: likewise, but its faults may be counted
 *          by neither
 * Since    0.1
 */
ZEROFAULT_API int arena_verify(struct arena *arena, const struct arena_verify_options *options,
                               struct warmup_report *report);

/**
 * Repair what has drifted: populate, collapse, lock and place again as wished, then prove.
 *
 * The same work as arena_warmup, which is idempotent; what is as it should be costs only looking
 * at. Content is kept.
 *
 * Returns  as arena_warmup
 * Latency  cold: one fault per page that was lost, a few system calls per chunk
 * Threads  no other call on this arena may run meanwhile
 * Since    0.1
 */
ZEROFAULT_API int arena_rewarm(struct arena *arena, const struct warmup_options *options,
                               struct warmup_report *report);

/**
 * Move a live arena to another node, and prove it there.
 *
 * The pages are moved, content, addresses and locks kept; a thread that touches one at that
 * moment waits. From then on the arena belongs to that node alone, whatever its placement was;
 * one that was created without `bind` is bound as by WARMUP_PREFER. When the node is too small,
 * what has moved goes back and the arena belongs where it did.
 *
 * A reserved huge page that moves to a node whose pool has none free takes its place in the pools
 * along: the kernel counts one page more there and one less where it was, and does not set that
 * back, neither here nor when the arena is destroyed. Pages that `raise_pools` has added are taken
 * away where they are then; those of an administrator stay in the other pool, until somebody writes
 * both nodes' nr_hugepages again. To keep the pools, reserve pages on the other node beforehand.
 *
 * `node` is a number, not ARENA_NODE(number).
 *
 * Returns  0; -ENOMEM the node has too little (the report has the numbers); -ENODEV no such node,
 *          or it has no memory; -EPERM the node is outside of this process's cpuset, or moving is
 *          not allowed here; -EOPNOTSUPP the kernel cannot move pages; -EINVAL the arena is NULL,
 *          the node negative, or the size of `report` unknown; -EBUSY a hot section is open on
 *          this thread; -EFAULT the proof failed
 * Latency  cold: a few microseconds per page
 * Threads  no other call on this arena may run meanwhile; its memory may be in use
 * Since    0.1
 */
ZEROFAULT_API int arena_move(struct arena *arena, int node, struct warmup_report *report);

/* -------------------------------------------------------------------------------------- refusal */

/**
 * Count a request that cannot be met and answer NULL; the inline functions end here.
 *
 * Inside a hot section the refusal is a violation of that section.
 *
 * Returns  NULL
 * Latency  hot
 * Threads  the one that owns the arena
 * Since    0.1
 */
ZEROFAULT_COLD void *arena_refuse(struct arena *arena, size_t size_bytes, size_t alignment);

/* ----------------------------------------------------------------------------------- allocation */

/**
 * Allocate `size_bytes` at a multiple of `alignment`. The bytes have any content.
 *
 * A size of 0 gives an address that may not be read. With constants for both arguments the checks
 * fold away and what is left is align up, add, compare.
 *
 * Returns  the address, or NULL, counted, when it does not fit, the alignment is not a power of
 *          two, or either number is absurd
 * Latency  hot
 * Threads  the one that owns the arena
 * Since    0.1
 */
ZEROFAULT_INLINE void *arena_alloc(struct arena *arena, size_t size_bytes, size_t alignment)
{
    uintptr_t mask = alignment - 1;
    uintptr_t start = (arena->next + mask) & ~mask;
    uintptr_t stop = start + size_bytes;
    if (ZEROFAULT_UNLIKELY((alignment & mask) != 0 || mask > SIZE_MAX / 2 ||
                           size_bytes > SIZE_MAX / 2 - mask))
        return arena_refuse(arena, size_bytes, alignment);
    /* With 64 bits the sum cannot wrap: programs live in the lower half of all addresses. */
    if (ZEROFAULT_UNLIKELY(stop > arena->end ||
                           (sizeof(void *) < sizeof(uint64_t) && stop < arena->next)))
        return arena_refuse(arena, size_bytes, alignment);
    arena->next = stop;
    return (void *)start;
}

/**
 * Allocate an array of `count` elements of `size_bytes` each, all bytes zero.
 *
 * The bytes are written here, because a reset arena holds old content: O(size), the one hot
 * function that is not O(1).
 *
 * Returns  as arena_alloc; NULL, counted, also when `count * size_bytes` overflows
 * Latency  hot
 * Threads  the one that owns the arena
 * Since    0.1
 */
ZEROFAULT_INLINE void *arena_calloc(struct arena *arena, size_t count, size_t size_bytes,
                                    size_t alignment)
{
    size_t total_bytes;
    void *start;
    if (ZEROFAULT_UNLIKELY(__builtin_mul_overflow(count, size_bytes, &total_bytes)))
        return arena_refuse(arena, SIZE_MAX, alignment);
    start = arena_alloc(arena, total_bytes, alignment);
    if (ZEROFAULT_LIKELY(start != NULL))
        memset(start, 0, total_bytes);
    return start;
}

/**
 * Change the size of an allocation without moving it.
 *
 * The last allocation grows into free space and gives back what it loses. An earlier one can only
 * stay as it is or shrink, and its bytes return with the next rewind or reset.
 *
 * Returns  `start`, or NULL, counted, when it would have to move or does not fit; the allocation
 *          is then unchanged
 * Latency  hot
 * Threads  the one that owns the arena
 * Since    0.1
 */
ZEROFAULT_INLINE void *arena_resize(struct arena *arena, void *start, size_t old_bytes,
                                    size_t new_bytes)
{
    uintptr_t address = (uintptr_t)start;
    if (address + old_bytes != arena->next) {
        if (ZEROFAULT_LIKELY(new_bytes <= old_bytes))
            return start;
        return arena_refuse(arena, new_bytes, 1);
    }
    if (ZEROFAULT_UNLIKELY(new_bytes > arena->end - address))
        return arena_refuse(arena, new_bytes, 1);
    if (arena->next > arena->peak)
        arena->peak = arena->next;
    arena->next = address + new_bytes;
    return start;
}

/* -------------------------------------------------------------------------- mark, rewind, reset */

/**
 * Remember the present fill level.
 *
 * Returns  the mark
 * Latency  hot
 * Threads  the one that owns the arena
 * Since    0.1
 */
ZEROFAULT_INLINE struct arena_marker arena_mark(const struct arena *arena)
{
    struct arena_marker mark;
    mark.next = arena->next;
    return mark;
}

/**
 * Give back all that was allocated since the mark. Every page stays resident.
 *
 * Returns  0; -EINVAL the mark is stale (the arena was rewound past it) or of another arena: then
 *          nothing is changed. Stated as a number because <errno.h> is not needed for anything
 *          else here.
 * Latency  hot
 * Threads  the one that owns the arena
 * Since    0.1
 */
ZEROFAULT_INLINE int arena_rewind(struct arena *arena, struct arena_marker mark)
{
    if (ZEROFAULT_UNLIKELY(mark.next < arena->begin || mark.next > arena->next))
        return -22;
    if (arena->next > arena->peak)
        arena->peak = arena->next;
    arena->next = mark.next;
    return 0;
}

/**
 * Give back everything. Every page stays resident, so the next fill takes no fault either.
 *
 * Returns  nothing
 * Latency  hot
 * Threads  the one that owns the arena
 * Since    0.1
 */
ZEROFAULT_INLINE void arena_reset(struct arena *arena)
{
    if (arena->next > arena->peak)
        arena->peak = arena->next;
    arena->next = arena->begin;
}

/* -------------------------------------------------------------------------------------- queries */

/**
 * Tell whether an address lies in the part of the arena that is handed out.
 *
 * Returns  true or false
 * Latency  hot
 * Threads  the one that owns the arena
 * Since    0.1
 */
ZEROFAULT_INLINE bool arena_owns(const struct arena *arena, const void *address)
{
    return (uintptr_t)address >= arena->begin && (uintptr_t)address < arena->next;
}

/**
 * Tell how many bytes are left, before padding.
 *
 * Returns  bytes
 * Latency  hot
 * Threads  the one that owns the arena
 * Since    0.1
 */
ZEROFAULT_INLINE size_t arena_free_bytes(const struct arena *arena)
{
    return arena->end - arena->next;
}

/**
 * Fill in what the arena holds.
 *
 * Returns  0; -EINVAL an argument is NULL, the arena was wiped by a fork, or the size of `stats` is
 *          unknown
 * Latency  hot
 * Threads  the one that owns the arena
 * Since    0.1
 */
ZEROFAULT_API int arena_stats(const struct arena *arena, struct arena_statistics *stats);

/**
 * Tell the arena's name, as given at creation, or "arena".
 *
 * Returns  the name; valid as long as the arena. "" when it was wiped by a fork
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API const char *arena_name(const struct arena *arena);

ZEROFAULT_END_DECLS

#endif
