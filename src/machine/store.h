/*
 * Memory that is given back all at once: what an audit hands out.
 */
#ifndef ZF_MACHINE_STORE_H
#define ZF_MACHINE_STORE_H

#include <stdbool.h>
#include <stddef.h>

struct zf_store_block;

/* Zero of every field is an empty store. */
struct zf_store {
    struct zf_store_block *blocks;
    bool exhausted; /* something did not fit: what the store holds is incomplete */
};

/* Take zeroed memory for any type. NULL, and the store is exhausted, when there is none. */
void *zf_store_take(struct zf_store *store, size_t size_bytes);

/* Keep a text made like printf. Bytes that are not printable ASCII become '?'. "", and the store
 * is exhausted, when there is no memory. */
const char *zf_store_text(struct zf_store *store, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Give everything back; the store is empty again. */
void zf_store_release(struct zf_store *store);

#endif
