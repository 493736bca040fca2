/*
 * A malloc that is not the C library's, to be preloaded: blocks one behind the other, never freed.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HEAP_BYTES ((size_t)64 << 20)
#define HEADER_BYTES ((size_t)16)

static _Alignas(16) unsigned char heap[HEAP_BYTES];
static size_t used_bytes;

static void *take(size_t size_bytes)
{
    size_t wanted_bytes = (size_bytes + 2 * HEADER_BYTES - 1) / HEADER_BYTES * HEADER_BYTES;
    size_t start = __atomic_fetch_add(&used_bytes, wanted_bytes, __ATOMIC_RELAXED);
    if (start + wanted_bytes > sizeof heap)
        return NULL;
    memcpy(heap + start, &size_bytes, sizeof size_bytes);
    return heap + start + HEADER_BYTES;
}

/* Not by stdlib.h, which has names of its own for the parameters. */
void *malloc(size_t size_bytes);
void free(void *block);
void *calloc(size_t count, size_t size_bytes);
void *realloc(void *block, size_t size_bytes);

void *malloc(size_t size_bytes)
{
    return take(size_bytes);
}

void free(void *block)
{
    (void)block;
}

void *calloc(size_t count, size_t size_bytes)
{
    return size_bytes != 0 && count > SIZE_MAX / 2 / size_bytes ? NULL : take(count * size_bytes);
}

void *realloc(void *block, size_t size_bytes)
{
    void *moved = take(size_bytes);
    size_t old_bytes;
    if (block == NULL || moved == NULL)
        return moved;
    memcpy(&old_bytes, (unsigned char *)block - HEADER_BYTES, sizeof old_bytes);
    memcpy(moved, block, old_bytes < size_bytes ? old_bytes : size_bytes);
    return moved;
}
