/*
 * Pools: order, alignment, exhaustion, sizing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zerofault/zerofault.h>

#define PAGE ((size_t)4096)

static struct arena *create(size_t capacity_bytes)
{
    struct arena *arena = NULL;
    assert_int_equal(arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = capacity_bytes)), 0);
    return arena;
}

static void create_refuses_bad_options(void **state)
{
    struct arena *arena = create(PAGE);
    struct arena_pool *pool = (struct arena_pool *)1;
    (void)state;
    assert_int_equal(
        arena_pool_create(NULL, arena, &ARENA_POOL_OPTIONS(.object_bytes = 8, .capacity_count = 1)),
        -EINVAL);
    assert_int_equal(arena_pool_create(&pool, arena, NULL), -EINVAL);
    assert_null(pool);
    assert_int_equal(
        arena_pool_create(&pool, NULL, &ARENA_POOL_OPTIONS(.object_bytes = 8, .capacity_count = 1)),
        -EINVAL);
    assert_int_equal(arena_pool_create(&pool, arena, &ARENA_POOL_OPTIONS(.object_bytes = 8)),
                     -EINVAL);
    assert_int_equal(arena_pool_create(&pool, arena, &ARENA_POOL_OPTIONS(.capacity_count = 8)),
                     -EINVAL);
    assert_int_equal(arena_pool_create(&pool, arena,
                                       &ARENA_POOL_OPTIONS(.object_bytes = 8, .alignment = 24,
                                                           .capacity_count = 1)),
                     -EINVAL);
    assert_int_equal(
        arena_pool_create(&pool, arena,
                          &ARENA_POOL_OPTIONS(.object_bytes = SIZE_MAX / 2, .capacity_count = 3)),
        -ENOMEM);
    assert_null(pool);
    arena_destroy(arena);
}

static void pool_that_does_not_fit_leaves_the_arena_as_it_was(void **state)
{
    struct arena *arena = create(PAGE);
    struct arena_pool *pool;
    (void)state;
    assert_int_equal(
        arena_pool_create(&pool, arena,
                          &ARENA_POOL_OPTIONS(.object_bytes = 64, .capacity_count = 64)),
        -ENOMEM);
    assert_null(pool);
    assert_int_equal(arena_free_bytes(arena), PAGE);
    assert_int_equal(arena->refused_count, 1);
    arena_destroy(arena);
}

static void fresh_pool_hands_out_ascending_aligned_objects_to_the_last(void **state)
{
    struct arena *arena = create(2 * PAGE);
    struct arena_pool *pool;
    unsigned char *previous = NULL;
    (void)state;
    assert_int_equal(arena_pool_create(&pool, arena,
                                       &ARENA_POOL_OPTIONS(.object_bytes = 40, .alignment = 32,
                                                           .capacity_count = 50)),
                     0);
    assert_int_equal(arena_pool_free_count(pool), 50);
    for (int i = 0; i < 50; ++i) {
        unsigned char *object = arena_pool_alloc(pool);
        assert_non_null(object);
        assert_int_equal((uintptr_t)object % 32, 0);
        assert_true(arena_pool_owns(pool, object));
        assert_false(arena_pool_owns(pool, object + 8));
        assert_true(previous == NULL || object == previous + 64);
        memset(object, 0xee, 40);
        previous = object;
    }
    assert_int_equal(arena_pool_free_count(pool), 0);
    assert_null(arena_pool_alloc(pool));
    assert_null(arena_pool_alloc(pool));
    assert_int_equal(pool->refused_count, 2);
    arena_destroy(arena);
}

static void last_object_freed_is_the_first_one_reused(void **state)
{
    struct arena *arena = create(PAGE);
    struct arena_pool *pool;
    void *objects[3];
    (void)state;
    assert_int_equal(arena_pool_create(&pool, arena,
                                       &ARENA_POOL_OPTIONS(.object_bytes = 1, .capacity_count = 3)),
                     0);
    assert_int_equal(pool->stride_bytes, sizeof(void *));
    for (int i = 0; i < 3; ++i)
        objects[i] = arena_pool_alloc(pool);
    for (int i = 0; i < 3; ++i)
        arena_pool_free(pool, objects[i]);
    for (int i = 2; i >= 0; --i)
        assert_ptr_equal(arena_pool_alloc(pool), objects[i]);
    arena_destroy(arena);
}

struct stamped {
    void *first_word;
    uint64_t stamp;
};

static void stamp(void *object, void *context)
{
    uint64_t *count = context;
    ((struct stamped *)object)->stamp = ++*count;
}

static void init_sees_every_object_once_and_its_work_survives(void **state)
{
    struct arena *arena = create(PAGE);
    struct arena_pool *pool;
    uint64_t count = 0;
    uint64_t sum = 0;
    (void)state;
    assert_int_equal(arena_pool_create(&pool, arena,
                                       &ARENA_POOL_OPTIONS(.object_bytes = sizeof(struct stamped),
                                                           .capacity_count = 20, .init = stamp,
                                                           .context = &count)),
                     0);
    assert_int_equal(count, 20);
    for (int i = 0; i < 20; ++i) {
        struct stamped *object = arena_pool_alloc(pool);
        sum += object->stamp;
    }
    assert_int_equal(sum, 20 * 21 / 2);
    arena_destroy(arena);
}

static void footprint_is_enough_wherever_the_arena_stands(void **state)
{
    const struct arena_pool_options *options =
        &ARENA_POOL_OPTIONS(.object_bytes = 100, .alignment = 128, .capacity_count = 9);
    size_t footprint_bytes = arena_pool_footprint_bytes(options);
    struct arena *arena = create(PAGE);
    struct arena_pool *pool;
    (void)state;
    for (size_t used_bytes = 0; used_bytes < 300; ++used_bytes) {
        arena_reset(arena);
        (void)arena_alloc(arena, PAGE - footprint_bytes - used_bytes, 1);
        assert_true(arena_free_bytes(arena) >= footprint_bytes);
        assert_int_equal(arena_pool_create(&pool, arena, options), 0);
    }
    assert_int_equal(arena_pool_footprint_bytes(NULL), 0);
    assert_int_equal(arena_pool_footprint_bytes(
                         &ARENA_POOL_OPTIONS(.object_bytes = SIZE_MAX / 2, .capacity_count = 4)),
                     0);
    arena_destroy(arena);
}

/* A million random steps against a plain array: no object is handed out twice. */
static void random_use_never_hands_out_an_object_twice(void **state)
{
    enum { CAPACITY = 64 };
    struct arena *arena = create(2 * PAGE);
    struct arena_pool *pool;
    uint32_t *live[CAPACITY];
    uint32_t live_count = 0;
    uint32_t random = 12345;
    (void)state;
    assert_int_equal(
        arena_pool_create(&pool, arena,
                          &ARENA_POOL_OPTIONS(.object_bytes = 16, .capacity_count = CAPACITY)),
        0);
    for (uint32_t step = 0; step < 100000; ++step) {
        random = random * 1664525u + 1013904223u;
        if ((random >> 16) % 2 == 0) {
            uint32_t *object = arena_pool_alloc(pool);
            assert_int_equal(object == NULL, live_count == CAPACITY);
            if (object != NULL) {
                object[2] = live_count;
                live[live_count++] = object;
            }
        } else if (live_count > 0) {
            uint32_t victim = (random >> 8) % live_count;
            assert_int_equal(live[victim][2], victim);
            arena_pool_free(pool, live[victim]);
            live[victim] = live[--live_count];
            if (victim < live_count)
                live[victim][2] = victim;
        }
    }
    assert_int_equal(arena_pool_free_count(pool), CAPACITY - live_count);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_refuses_bad_options),
        cmocka_unit_test(pool_that_does_not_fit_leaves_the_arena_as_it_was),
        cmocka_unit_test(fresh_pool_hands_out_ascending_aligned_objects_to_the_last),
        cmocka_unit_test(last_object_freed_is_the_first_one_reused),
        cmocka_unit_test(init_sees_every_object_once_and_its_work_survives),
        cmocka_unit_test(footprint_is_enough_wherever_the_arena_stands),
        cmocka_unit_test(random_use_never_hands_out_an_object_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
