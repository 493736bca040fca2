/*
 * The creation of a pool: one carve from the arena for the head and all objects, then every
 * object linked in order of address, so that a fresh pool hands out ascending memory. Alloc and
 * free are inline in the header.
 */
#include <zerofault/pool.h>

#include <errno.h>
#include <stdalign.h>

#include "base/arith.h"
#include "base/options.h"
#include "base/tripwire.h"

static_assert(sizeof(struct arena_pool) == 64, "what the hot path touches fits one cache line");

#define HEAD_ALIGNMENT 64 /* a cache line, so that no object shares the head's */

#define ALIGNMENT_MAX ((size_t)1 << 30) /* a page of any size; keeps sums from overflowing */

/* Where the objects go, computed from the options. */
struct layout {
    size_t alignment;    /* of an object */
    size_t stride_bytes; /* from one to the next */
    size_t total_bytes;  /* of all */
};

/* What the language would align an object of this size to at most. */
static size_t default_alignment(size_t object_bytes)
{
    size_t alignment = alignof(max_align_t);
    while (alignment > object_bytes)
        alignment /= 2;
    return alignment;
}

static int lay_out(const struct arena_pool_options *options, struct layout *layout)
{
    size_t alignment = options->alignment;
    if (options->object_bytes == 0 || options->capacity_count == 0)
        return -EINVAL;
    if (alignment == 0)
        alignment = default_alignment(options->object_bytes);
    if (!zf_is_power_of_two(alignment) || alignment > ALIGNMENT_MAX)
        return -EINVAL;
    layout->alignment = zf_max(alignment, alignof(struct arena_pool_object));
    if (!zf_align_up(zf_max(options->object_bytes, sizeof(struct arena_pool_object)),
                     layout->alignment, &layout->stride_bytes) ||
        __builtin_mul_overflow(layout->stride_bytes, options->capacity_count, &layout->total_bytes))
        return -ENOMEM;
    return 0;
}

/* From the last to the first, so that the first is on top. */
static void link_objects(struct arena_pool *pool, const struct arena_pool_options *options)
{
    pool->free = NULL;
    for (size_t left = pool->capacity_count; left > 0; --left) {
        void *object = (void *)(pool->begin + (left - 1) * pool->stride_bytes);
        if (options->init != NULL)
            options->init(object, options->context);
        arena_pool_free(pool, object);
    }
    ZF_ASSERT((uintptr_t)pool->free == pool->begin);
}

int arena_pool_create(struct arena_pool **out, struct arena *arena,
                      const struct arena_pool_options *options)
{
    struct arena_pool_options known;
    struct arena_marker before;
    struct layout layout;
    struct arena_pool *pool;
    void *objects = NULL;
    int error;
    if (out == NULL)
        return -EINVAL;
    *out = NULL;
    if (arena == NULL || options == NULL)
        return -EINVAL;
    error = zf_options_take(&known, sizeof known, options);
    if (error == 0)
        error = lay_out(&known, &layout);
    if (error == -ENOMEM)
        (void)arena_refuse(arena, SIZE_MAX, 1);
    if (error != 0)
        return error;
    before = arena_mark(arena);
    pool = arena_alloc(arena, sizeof *pool, HEAD_ALIGNMENT);
    if (pool != NULL)
        objects = arena_alloc(arena, layout.total_bytes, layout.alignment);
    if (objects == NULL) {
        (void)arena_rewind(arena, before);
        return -ENOMEM;
    }
    *pool = (struct arena_pool){
        .begin = (uintptr_t)objects,
        .end = (uintptr_t)objects + layout.total_bytes,
        .stride_bytes = layout.stride_bytes,
        .capacity_count = known.capacity_count,
        .arena = arena,
    };
    link_objects(pool, &known);
    *out = pool;
    return 0;
}

size_t arena_pool_footprint_bytes(const struct arena_pool_options *options)
{
    struct arena_pool_options known;
    struct layout layout;
    size_t total_bytes;
    if (options == NULL || zf_options_take(&known, sizeof known, options) != 0 ||
        lay_out(&known, &layout) != 0)
        return 0;
    if (__builtin_add_overflow(layout.total_bytes, sizeof(struct arena_pool), &total_bytes) ||
        __builtin_add_overflow(total_bytes, HEAD_ALIGNMENT - 1, &total_bytes) ||
        __builtin_add_overflow(total_bytes, layout.alignment - 1, &total_bytes))
        return 0;
    return total_bytes;
}

void *arena_pool_refuse(struct arena_pool *pool)
{
    ++pool->refused_count;
    zf_tripwire_refused(pool->stride_bytes);
    return NULL;
}

size_t arena_pool_free_count(const struct arena_pool *pool)
{
    size_t count = 0;
    for (const struct arena_pool_object *object = pool->free; object != NULL; object = object->next)
        ++count;
    ZF_ASSERT(count <= pool->capacity_count);
    return count;
}
