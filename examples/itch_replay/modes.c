/*
 * Four ways to get memory for the books.
 *
 * malloc          nothing is prepared; pages come as they are touched
 * mlockall+touch  the recipe of the real-time wikis: tell glibc to keep what it has, lock all pages
 *                 present and future, then allocate as much as will be needed, touch it, free it
 * MAP_POPULATE    one block mapped in advance, with a bump pointer and free lists of one's own
 * zerofault       an arena, warmed and proven, with a pool for orders and one for levels
 *
 * The first two use the same functions and differ in their preparation only. Nothing is ever given
 * back to the system: the process that uses a mode ends with it.
 */
#include "modes.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plain.h"

static size_t round_up(size_t value, size_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

/* --------------------------------------------------------------------------------------- malloc */

static int prepare_malloc(struct mode_memory *memory, const struct book_capacity *capacity)
{
    (void)capacity;
    memory->books = plain_memory;
    return 0;
}

/* ------------------------------------------------------------------------------- mlockall+touch */

/* What glibc uses for all of it: each object has a header of 8 bytes and is a multiple of 16. */
static size_t heap_bytes(const struct book_capacity *capacity)
{
    size_t total_bytes = books_table_bytes(capacity) + (1u << 20);
    for (int kind = 0; kind < BOOK_OBJECT_COUNT; ++kind)
        total_bytes += (size_t)capacity->counts[kind] * round_up(book_object_bytes[kind] + 8, 16);
    return total_bytes;
}

/* Never give memory back to the kernel, and never take any but by growing the one heap. */
static void keep_the_heap(void)
{
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, -1);
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_ARENA_MAX, 1);
#endif
}

static int touch_the_heap(size_t size_bytes)
{
    const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    volatile unsigned char *block = malloc(size_bytes);
    if (block == NULL)
        return -ENOMEM;
    for (size_t offset = 0; offset < size_bytes; offset += page_bytes)
        block[offset] = 1;
    free((void *)(uintptr_t)block);
    return 0;
}

static int prepare_mlockall(struct mode_memory *memory, const struct book_capacity *capacity)
{
    bool locked;
    memory->books = plain_memory;
    keep_the_heap();
    locked = mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
    if (!locked)
        snprintf(memory->note, sizeof memory->note,
                 "mlockall refused (%s): touched, but not locked; see RLIMIT_MEMLOCK",
                 strerror(errno));
    if (touch_the_heap(heap_bytes(capacity)) == 0)
        return 0;
    if (!locked)
        return -ENOMEM;
    munlockall(); /* MCL_FUTURE refuses the heap its growth beyond RLIMIT_MEMLOCK */
    snprintf(memory->note, sizeof memory->note,
             "mlockall undone, because the heap could not grow under it; see RLIMIT_MEMLOCK");
    return touch_the_heap(heap_bytes(capacity));
}

/* --------------------------------------------------------------------------------- MAP_POPULATE */

/* The tables go with the block, or with the arena. */
static void keep_table(struct book_memory *memory, void *table)
{
    (void)memory;
    (void)table;
}

static void *block_bump(struct mode_memory *memory, size_t size_bytes)
{
    void *start = memory->next;
    if (size_bytes > (size_t)(memory->end - memory->next))
        return NULL;
    memory->next += round_up(size_bytes, 16);
    return start;
}

static void *block_table(struct book_memory *books, size_t size_bytes)
{
    return block_bump((struct mode_memory *)books, size_bytes); /* zeros, as the kernel maps them */
}

/* An object that is given back holds the address of the one given back before it. */
static void *block_take(struct book_memory *books, enum book_object kind)
{
    struct mode_memory *memory = (struct mode_memory *)books;
    void *object = memory->freed[kind];
    if (object == NULL)
        return block_bump(memory, book_object_bytes[kind]);
    memcpy(&memory->freed[kind], object, sizeof memory->freed[kind]);
    return object;
}

static void block_give(struct book_memory *books, enum book_object kind, void *object)
{
    struct mode_memory *memory = (struct mode_memory *)books;
    memcpy(object, &memory->freed[kind], sizeof memory->freed[kind]);
    memory->freed[kind] = object;
}

size_t mode_block_bytes(const struct book_capacity *capacity)
{
    size_t total_bytes = books_table_bytes(capacity) + 2 * 16;
    for (int kind = 0; kind < BOOK_OBJECT_COUNT; ++kind)
        total_bytes += (size_t)capacity->counts[kind] * round_up(book_object_bytes[kind], 16);
    return total_bytes;
}

static int prepare_populate(struct mode_memory *memory, const struct book_capacity *capacity)
{
    size_t size_bytes = mode_block_bytes(capacity);
    void *block = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (block == MAP_FAILED)
        return -errno;
    memory->books = (struct book_memory){block_table, keep_table, block_take, block_give};
    memory->next = block;
    memory->end = memory->next + size_bytes;
    return 0;
}

/* ------------------------------------------------------------------------------------ zerofault */

static void *arena_table(struct book_memory *books, size_t size_bytes)
{
    return arena_calloc(((struct mode_memory *)books)->arena, 1, size_bytes, 64);
}

static void *pool_take(struct book_memory *books, enum book_object kind)
{
    return arena_pool_alloc(((struct mode_memory *)books)->pools[kind]);
}

static void pool_give(struct book_memory *books, enum book_object kind, void *object)
{
    arena_pool_free(((struct mode_memory *)books)->pools[kind], object);
}

/* An arena of that size, each of its pages proven to be there. */
static int create_warm_arena(struct mode_memory *memory, size_t capacity_bytes)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    int rc = arena_create(&memory->arena,
                          &ARENA_OPTIONS(.name = "books", .capacity_bytes = capacity_bytes,
                                         .huge_pages = ARENA_PREFER, .lock = ARENA_PREFER));
    if (rc != 0)
        return rc;
    rc = arena_warmup(memory->arena, NULL, &report);
    if (rc != 0) {
        warmup_report_print(&report, stderr);
        return rc;
    }
    snprintf(memory->note, sizeof memory->note,
             "%zu KiB proven resident, %zu KiB of it locked, %zu KiB in huge pages",
             report.populate.granted_bytes >> 10, report.lock.granted_bytes >> 10,
             report.huge_pages.granted_bytes >> 10);
    return 0;
}

static int prepare_zerofault(struct mode_memory *memory, const struct book_capacity *capacity)
{
    struct arena_pool_options options[BOOK_OBJECT_COUNT];
    size_t capacity_bytes = books_table_bytes(capacity) + 2 * 64;
    int rc;
    memory->books = (struct book_memory){arena_table, keep_table, pool_take, pool_give};
    for (int kind = 0; kind < BOOK_OBJECT_COUNT; ++kind) {
        options[kind] = ARENA_POOL_OPTIONS(.object_bytes = book_object_bytes[kind],
                                           .capacity_count = (size_t)capacity->counts[kind]);
        capacity_bytes += arena_pool_footprint_bytes(&options[kind]);
    }
    rc = create_warm_arena(memory, capacity_bytes);
    for (int kind = 0; kind < BOOK_OBJECT_COUNT && rc == 0; ++kind)
        rc = arena_pool_create(&memory->pools[kind], memory->arena, &options[kind]);
    return rc;
}

/* ---------------------------------------------------------------------------------------- modes */

const struct mode modes[MODE_COUNT] = {
    {"malloc", prepare_malloc},
    {"mlockall+touch", prepare_mlockall},
    {"MAP_POPULATE", prepare_populate},
    {"zerofault", prepare_zerofault},
};

const struct mode *mode_named(const char *name)
{
    for (int i = 0; i < MODE_COUNT; ++i)
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    return NULL;
}
