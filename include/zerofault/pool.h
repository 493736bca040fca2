/*
 * Pools: objects of one size from an arena, LIFO, alloc and free in a few instructions each.
 *
 * A pool is like a free list in any order book or entity system: freed objects are linked through
 * their own first word and the last one freed is the first one reused, still in cache. All
 * objects are linked at creation, so the pool's memory is as warm as its arena.
 */
#ifndef ZEROFAULT_POOL_H
#define ZEROFAULT_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zerofault/arena.h>
#include <zerofault/attributes.h>

ZEROFAULT_BEGIN_DECLS

/* ---------------------------------------------------------------------------------------- types */

/* A free object; its first word links to the next one. */
struct arena_pool_object {
    struct arena_pool_object *next;
};

/*
 * The frozen head of a pool: what the inline functions touch, one cache line.
 */
struct arena_pool {
    struct arena_pool_object *free; /* last object freed, or NULL when exhausted */
    uint64_t refused_count;         /* requests answered with NULL */
    uintptr_t begin;                /* address of the first object */
    uintptr_t end;                  /* one past the last object */
    size_t stride_bytes;            /* from one object to the next */
    size_t capacity_count;          /* objects in all */
    struct arena *arena;            /* where the objects live */
    uintptr_t reserved;             /* 0 */
};

/* How a pool is made. Zero of every field is the default. */
struct arena_pool_options {
    size_t struct_size;  /* filled by ARENA_POOL_OPTIONS */
    size_t object_bytes; /* of one object; 0 is refused */
    size_t alignment;    /* power of two; default: that of max_align_t, less for smaller objects */
    size_t capacity_count; /* objects in all; 0 is refused */
    /* Called once for each object at creation. The first word of a free object belongs to the
     * pool: what is written there is lost, the rest survives alloc and free. */
    void (*init)(void *object, void *context);
    void *context; /* handed to `init` */
};
#define ARENA_POOL_OPTIONS(...)                                                                    \
    ((struct arena_pool_options){.struct_size = sizeof(struct arena_pool_options), __VA_ARGS__})

/* ------------------------------------------------------------------------------ create, destroy */

/**
 * Create a pool inside an arena. It lives until the arena is rewound before it, reset or
 * destroyed; there is nothing to destroy in itself.
 *
 * Every object is written once, so create it outside of hot sections.
 *
 * Returns  0; -EINVAL an argument is NULL, a size or count is 0, or the alignment is not a power
 *          of two; -E2BIG `options` has a non-zero tail that this version does not know; -ENOMEM
 *          the arena has too little left (counted as a refusal there). `*out` is NULL unless 0 is
 *          returned.
 * Latency  warm: O(capacity), no system call in a warm arena
 * Threads  the one that owns the arena
 * Since    0.1
 */
ZEROFAULT_API int arena_pool_create(struct arena_pool **out, struct arena *arena,
                                    const struct arena_pool_options *options);

/**
 * Bytes that a pool takes from its arena at most, padding included; for sizing the arena.
 *
 * Returns  bytes; 0 when the options would be refused or the product overflows
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API size_t arena_pool_footprint_bytes(const struct arena_pool_options *options);

/* ---------------------------------------------------------------------------------- alloc, free */

/**
 * Count a request to an exhausted pool and answer NULL; arena_pool_alloc ends here.
 *
 * Returns  NULL
 * Latency  hot
 * Threads  the one that owns the pool
 * Since    0.1
 */
ZEROFAULT_COLD void *arena_pool_refuse(struct arena_pool *pool);

/**
 * Take an object. Its bytes have any content.
 *
 * Returns  the object, or NULL, counted, when all are taken
 * Latency  hot
 * Threads  the one that owns the pool
 * Since    0.1
 */
ZEROFAULT_INLINE void *arena_pool_alloc(struct arena_pool *pool)
{
    struct arena_pool_object *object = pool->free;
    if (ZEROFAULT_UNLIKELY(object == NULL))
        return arena_pool_refuse(pool);
    pool->free = object->next;
    return object;
}

/**
 * Give an object back. It must come from this pool and be taken; NULL is not allowed.
 *
 * Returns  nothing
 * Latency  hot
 * Threads  the one that owns the pool
 * Since    0.1
 */
ZEROFAULT_INLINE void arena_pool_free(struct arena_pool *pool, void *object)
{
    struct arena_pool_object *freed = (struct arena_pool_object *)object;
    freed->next = pool->free;
    pool->free = freed;
}

/* -------------------------------------------------------------------------------------- queries */

/**
 * Tell whether an address is that of an object of this pool, taken or free.
 *
 * Returns  true or false
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_INLINE bool arena_pool_owns(const struct arena_pool *pool, const void *object)
{
    uintptr_t address = (uintptr_t)object;
    return address >= pool->begin && address < pool->end &&
           (address - pool->begin) % pool->stride_bytes == 0;
}

/**
 * Count the free objects by walking the list.
 *
 * Returns  objects
 * Latency  warm: O(free objects), no system call
 * Threads  the one that owns the pool
 * Since    0.1
 */
ZEROFAULT_API size_t arena_pool_free_count(const struct arena_pool *pool);

ZEROFAULT_END_DECLS

#endif
