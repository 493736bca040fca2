/*
 * The symbols of the inline functions, for bindings and for pointers to them. The definitions are
 * the headers' own: this file only asks the compiler to emit them once (C11 6.7.4).
 */
#include <zerofault/arena.h>
#include <zerofault/group.h>
#include <zerofault/histogram.h>
#include <zerofault/pool.h>

extern inline void *arena_alloc(struct arena *arena, size_t size_bytes, size_t alignment);
extern inline void *arena_calloc(struct arena *arena, size_t count, size_t size_bytes,
                                 size_t alignment);
extern inline void *arena_resize(struct arena *arena, void *start, size_t old_bytes,
                                 size_t new_bytes);
extern inline struct arena_marker arena_mark(const struct arena *arena);
extern inline int arena_rewind(struct arena *arena, struct arena_marker mark);
extern inline void arena_reset(struct arena *arena);
extern inline bool arena_owns(const struct arena *arena, const void *address);
extern inline size_t arena_free_bytes(const struct arena *arena);

extern inline void *arena_group_carve(struct arena_group_part *part, size_t size_bytes,
                                      size_t alignment);

extern inline void *arena_pool_alloc(struct arena_pool *pool);
extern inline void arena_pool_free(struct arena_pool *pool, void *object);
extern inline bool arena_pool_owns(const struct arena_pool *pool, const void *object);

extern inline uint32_t hot_histogram_bucket(uint64_t value);
extern inline void hot_histogram_record(struct hot_histogram *histogram, uint64_t value);
extern inline uint64_t hot_histogram_minimum(const struct hot_histogram *histogram);
