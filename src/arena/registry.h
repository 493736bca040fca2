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

#include "machine/vmstat.h"
#include "os/os.h"

struct zf_registry_entry;

/* What the table knows of an address. */
struct zf_registry_match {
    char name[ARENA_NAME_MAX];
    size_t offset_bytes; /* of the address in the arena */
};

/* What is known of an arena as a whole. The first part is told by it, the rest is worked out when
 * somebody asks. */
struct zf_registry_facts {
    const uintptr_t *next;           /* its next allocation begins here; NULL when not known */
    enum warmup_fork fork;           /* as asked at creation */
    unsigned warmups;                /* tried so far */
    int warm_error;                  /* of the last one: 0 or -errno */
    size_t warm_bytes;               /* proven by the last one, from the first byte on */
    size_t huge_bytes;               /* in huge pages then */
    struct zf_os_forks forks;        /* before the last one */
    struct zf_machine_vmstat vmstat; /* after the last one */

    uintptr_t begin; /* of the arena */
    uintptr_t end;
    bool used_known;   /* `used_bytes` could be told */
    size_t used_bytes; /* handed out now, from the first byte on */
};

/* Enter a range. Returns the entry, or NULL when there is no memory for it. */
struct zf_registry_entry *zf_registry_add(uintptr_t begin, uintptr_t end, const char *name);

/* Tell what has become known of an arena. */
void zf_registry_tell(struct zf_registry_entry *entry, const struct zf_registry_facts *facts);

/* Ask about the arena of an address. Returns false when none owns it, or when the answer would have
 * to wait for somebody. No system call. */
bool zf_registry_ask(uintptr_t address, struct zf_registry_facts *facts);

/* Take an entry out; its place is used again. */
void zf_registry_remove(struct zf_registry_entry *entry);

/* Find the arena of an address. Lock-free, no system call. */
bool zf_registry_find(uintptr_t address, struct zf_registry_match *match);

#endif
