/*
 * Tripwire: how a lower part tells the guard of this thread that something was refused, without
 * knowing what a guard is. The hot part strings it when a thread attaches; on a thread without
 * one, raising it does nothing.
 */
#ifndef ZF_BASE_TRIPWIRE_H
#define ZF_BASE_TRIPWIRE_H

#include <stdbool.h>
#include <stddef.h>

#include <zerofault/attributes.h>

struct zf_tripwire {
    /* An allocator answered NULL to a request for this many bytes. */
    void (*refused)(struct zf_tripwire *self, size_t request_bytes);
    /* Is a hot section open on this thread? */
    bool (*armed)(struct zf_tripwire *self);
};

extern ZEROFAULT_THREAD_LOCAL struct zf_tripwire *zf_tripwire;

static inline void zf_tripwire_refused(size_t request_bytes)
{
    if (zf_tripwire != NULL)
        zf_tripwire->refused(zf_tripwire, request_bytes);
}

static inline bool zf_tripwire_armed(void)
{
    return zf_tripwire != NULL && zf_tripwire->armed(zf_tripwire);
}

#endif
