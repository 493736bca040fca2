/*
 * The table of live arenas: from an address to the arena that owns it.
 *
 * Written by create and destroy under the control plane's lock; read by the guard while it
 * describes a fault, without a lock, because the thread that faulted may be any thread at any
 * moment.
 */
#ifndef ZF_ARENA_REGISTRY_H
#define ZF_ARENA_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zerofault/arena.h>

struct zf_registry_entry;

/* What the table knows of an address. */
struct zf_registry_match {
    char name[ARENA_NAME_MAX];
    size_t offset_bytes; /* of the address in the arena */
};

/* Enter a range. Returns the entry, or NULL when there is no memory for it. */
struct zf_registry_entry *zf_registry_add(uintptr_t begin, uintptr_t end, const char *name);

/* Take an entry out; its place is used again. */
void zf_registry_remove(struct zf_registry_entry *entry);

/* Find the arena of an address. Lock-free, no system call. */
bool zf_registry_find(uintptr_t address, struct zf_registry_match *match);

#endif
