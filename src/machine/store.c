/*
 * Memory that is given back all at once; see store.h.
 *
 * A list of blocks with an address that only moves up. Failure is remembered instead of reported
 * each time: whoever fills a store asks once, at the end. Texts are cleaned here, in the one place
 * that all of them pass, because what comes from a file may end up on a terminal.
 */
#include "machine/store.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

#define BLOCK_BYTES 8192u
#define TAKEN_BYTES_MAX ((size_t)1 << 30) /* more at once is a mistake, not a machine */

struct zf_store_block {
    struct zf_store_block *next;
    size_t used_bytes;
    size_t size_bytes;
    alignas(max_align_t) unsigned char bytes[];
};

static struct zf_store_block *add_block(struct zf_store *store, size_t size_bytes)
{
    struct zf_store_block *block = calloc(1, sizeof *block + size_bytes);
    if (block == NULL)
        return NULL;
    block->size_bytes = size_bytes;
    block->next = store->blocks;
    store->blocks = block;
    return block;
}

void *zf_store_take(struct zf_store *store, size_t size_bytes)
{
    struct zf_store_block *block = store->blocks;
    unsigned char *taken;
    if (!zf_align_up(zf_max(size_bytes, 1), alignof(max_align_t), &size_bytes) ||
        size_bytes > TAKEN_BYTES_MAX)
        block = NULL;
    else if (block == NULL || size_bytes > block->size_bytes - block->used_bytes)
        block = add_block(store, zf_max(size_bytes, BLOCK_BYTES));
    if (block == NULL) {
        store->exhausted = true;
        return NULL;
    }
    ZF_ASSERT(size_bytes <= block->size_bytes - block->used_bytes);
    taken = block->bytes + block->used_bytes;
    block->used_bytes += size_bytes;
    return taken;
}

const char *zf_store_text(struct zf_store *store, const char *format, ...)
{
    va_list arguments, again;
    char *text = NULL;
    int length;
    va_start(arguments, format);
    va_copy(again, arguments);
    length = vsnprintf(NULL, 0, format, arguments);
    ZF_ASSERT(length >= 0);
    if (length >= 0)
        text = zf_store_take(store, (size_t)length + 1);
    if (text != NULL)
        (void)vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    for (char *byte = text; byte != NULL && *byte != '\0'; ++byte)
        if (*byte < ' ' || *byte > '~')
            *byte = '?';
    return text != NULL ? text : "";
}

void zf_store_release(struct zf_store *store)
{
    while (store->blocks != NULL) {
        struct zf_store_block *block = store->blocks;
        store->blocks = block->next;
        free(block);
    }
    store->exhausted = false;
}
