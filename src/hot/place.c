/*
 * What lies at an address: the library's own arenas first, then what belongs to a thread, then what
 * the loader and the kernel know. Thread-local variables come before stacks, because a C library
 * may put both into one mapping.
 */
#include "hot/evidence.h"

#include <errno.h>

static enum hot_place place_in_arena(const struct hot_violation *violation,
                                     const struct zf_registry_facts *arena)
{
    size_t offset_bytes = violation->address - arena->begin;
    ZF_ASSERT(violation->address >= arena->begin && violation->address < arena->end);
    if (arena->warm_bytes != 0 && offset_bytes >= arena->warm_bytes)
        return HOT_PLACE_ARENA_BEYOND;
    if (!arena->used_known)
        return HOT_PLACE_ARENA;
    return offset_bytes < arena->used_bytes ? HOT_PLACE_ARENA_LIVE : HOT_PLACE_ARENA_FREE;
}

static enum hot_place place_by_kind(const struct zf_os_where *where)
{
    if (where->executable && where->kind != ZF_OS_WHERE_SYSTEM)
        return HOT_PLACE_CODE;
    switch (where->kind) {
    case ZF_OS_WHERE_ANONYMOUS:
        return HOT_PLACE_ANONYMOUS;
    case ZF_OS_WHERE_SHARED:
        return HOT_PLACE_SHARED;
    case ZF_OS_WHERE_FILE:
        return HOT_PLACE_FILE;
    case ZF_OS_WHERE_HEAP:
        return HOT_PLACE_HEAP;
    case ZF_OS_WHERE_STACK:
        return HOT_PLACE_OTHER_STACK;
    case ZF_OS_WHERE_SYSTEM:
        return HOT_PLACE_SYSTEM;
    }
    return HOT_PLACE_UNKNOWN;
}

static enum hot_place place_by_part(const struct zf_os_where *where)
{
    switch (where->part) {
    case ZF_OS_PART_CODE:
        return HOT_PLACE_CODE;
    case ZF_OS_PART_CONSTANTS:
        return HOT_PLACE_CONSTANTS;
    case ZF_OS_PART_LINKAGE:
        return HOT_PLACE_LINKAGE;
    case ZF_OS_PART_DATA:
    case ZF_OS_PART_ZEROS:
        return HOT_PLACE_DATA;
    case ZF_OS_PART_NONE:
        break;
    }
    return place_by_kind(where);
}

static enum hot_place place_in_threads(const struct hot_violation *violation,
                                       const struct zf_hot_evidence *evidence)
{
    const struct zf_os_thread_ranges *own = &evidence->origin.ranges;
    uintptr_t address = violation->address;
    if (evidence->origin_known && address >= own->locals_begin && address < own->locals_end)
        return HOT_PLACE_THREAD_LOCAL;
    if (evidence->origin_known && address >= own->stack_begin && address < own->stack_end)
        return HOT_PLACE_STACK;
    if (evidence->locals_of != 0)
        return HOT_PLACE_THREAD_LOCAL;
    if (evidence->stack_of != 0)
        return evidence->stack_of == violation->thread_id ? HOT_PLACE_STACK : HOT_PLACE_OTHER_STACK;
    return HOT_PLACE_UNKNOWN;
}

enum hot_place zf_hot_place(const struct hot_violation *violation,
                            const struct zf_hot_evidence *evidence)
{
    enum hot_place place;
    ZF_ASSERT(evidence->is_complete);
    if (violation->address == 0 || !zf_hot_is_fault(violation->kind))
        return HOT_PLACE_UNKNOWN;
    if (evidence->in_arena)
        return place_in_arena(violation, &evidence->arena);
    place = place_in_threads(violation, evidence);
    if (place != HOT_PLACE_UNKNOWN)
        return place;
    if (evidence->where_error == 0)
        return place_by_part(&evidence->where);
    return evidence->where_error == -ENODATA ? HOT_PLACE_UNMAPPED : HOT_PLACE_UNKNOWN;
}

const char *hot_place_name(enum hot_place place)
{
    static const char *const names[] = {
        [HOT_PLACE_UNKNOWN] = "unknown",
        [HOT_PLACE_UNMAPPED] = "nothing any more",
        [HOT_PLACE_ARENA] = "arena",
        [HOT_PLACE_ARENA_LIVE] = "arena, handed out",
        [HOT_PLACE_ARENA_FREE] = "arena, not handed out",
        [HOT_PLACE_ARENA_BEYOND] = "arena, beyond its warm bytes",
        [HOT_PLACE_STACK] = "stack",
        [HOT_PLACE_OTHER_STACK] = "stack of another thread",
        [HOT_PLACE_THREAD_LOCAL] = "thread-local variables",
        [HOT_PLACE_HEAP] = "heap",
        [HOT_PLACE_CODE] = "code",
        [HOT_PLACE_CONSTANTS] = "constants",
        [HOT_PLACE_LINKAGE] = "linkage tables",
        [HOT_PLACE_DATA] = "static data",
        [HOT_PLACE_FILE] = "mapped file",
        [HOT_PLACE_SHARED] = "shared memory",
        [HOT_PLACE_ANONYMOUS] = "anonymous memory",
        [HOT_PLACE_SYSTEM] = "kernel page",
    };
    return (unsigned)place < sizeof names / sizeof names[0] ? names[place] : "unknown";
}

const char *hot_access_name(enum hot_access access)
{
    switch (access) {
    case HOT_ACCESS_UNKNOWN:
        break;
    case HOT_ACCESS_READ:
        return "read";
    case HOT_ACCESS_WRITE:
        return "write";
    case HOT_ACCESS_EXECUTE:
        return "execute";
    }
    return "unknown";
}
