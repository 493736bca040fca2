/*
 * What an arena is made of beside its head; private to this part.
 */
#ifndef ZF_ARENA_CONTROL_H
#define ZF_ARENA_CONTROL_H

#include <zerofault/arena.h>

#include "arena/registry.h"
#include "region/region.h"
#include "warmup/warmup.h"

struct arena_control {
    struct zf_region region;         /* what is handed out */
    struct zf_region control_region; /* where this struct and the head live */
    struct zf_warmup_wishes wishes;  /* of the creation, defaults resolved */
    struct zf_registry_entry *entry; /* for finding the arena by address */
    struct zf_registry_facts facts;  /* what the registry was told last */
    char name[ARENA_NAME_MAX];
};

/* What shares the control region's first page. */
struct arena_page {
    struct arena head;
    struct arena_control control;
};

/* In an arena's first reserved word: it was carved from another and shares its control block. */
#define ZF_ARENA_CARVED 1

static inline bool zf_arena_is_carved(const struct arena *arena)
{
    return arena->reserved[0] == ZF_ARENA_CARVED;
}

/* In a child of fork that was to find it empty, the head is as empty as the rest. */
static inline bool zf_arena_is_wiped(const struct arena *arena)
{
    return arena->control == NULL;
}

static inline bool zf_arena_is_valid(const struct arena *arena)
{
    uintptr_t base = (uintptr_t)arena->control->region.base;
    size_t size_bytes = arena->control->region.size_bytes;
    if (arena->begin > arena->next || arena->next > arena->end || arena->peak > arena->end)
        return false;
    if (zf_arena_is_carved(arena))
        return arena->begin > base && arena->end <= base + size_bytes;
    return arena->begin == base && arena->end - arena->begin == size_bytes;
}

/* An arena's wishes for memory of the library's own beside it: small pages, near it if possible. */
struct zf_warmup_wishes zf_arena_page_wishes(const struct zf_warmup_wishes *wishes);

/* Forks since the warmup that have shared the arena's pages. */
uint64_t zf_arena_forks(const struct arena_control *control);

/* Warm up both regions; fills all of the report. Returns what arena_warmup documents. */
int zf_arena_warm(struct arena_control *control, const struct warmup_options *options,
                  struct warmup_report *report);

#endif
