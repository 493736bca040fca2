/*
 * One thread's guard: its fault source, and its view of every section.
 *
 * All of it lies in one range that is warm, locked where that is allowed, and wiped in a child of
 * fork, where the thread's ring does not exist: there the magic is gone and every slot sends
 * begin and end the long way.
 */
#ifndef ZF_HOT_THREAD_H
#define ZF_HOT_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zerofault/hot.h>

#include "base/tripwire.h"
#include "os/os.h"

#define ZF_HOT_SLOTS (HOT_SECTIONS_MAX + 2) /* slot 0 is nobody's, one is the self-test's */
#define ZF_HOT_MAGIC UINT64_C(0x7a65726f6661756c)

/* A head that no ring has: makes the inline end take the long way. */
#define ZF_HOT_HEAD_FORCED (HOT_SLOT_CLOSED - 1)

/* What the long way keeps of one section on one thread. */
struct zf_hot_tally {
    const struct hot_section *section; /* whose tally this is, or NULL */
    uint64_t head;                     /* ring head at begin, when the slot's was forced */
    uint64_t faults;                   /* getrusage's faults at begin */
    uint64_t depth;                    /* begins within itself that are still open */
    uint64_t pending[HOT_KIND_COUNT];  /* raised inside the open section */
    size_t request_bytes;              /* of the last refusal inside */
    uint64_t dirty_entries;            /* ends that were not clean */
    uint64_t counts[HOT_KIND_COUNT];   /* violations of all closed entries */
};

struct zf_hot_thread {
    uint64_t magic;              /* ZF_HOT_MAGIC while attached; 0 in a child of fork */
    struct zf_tripwire tripwire; /* first of what lower parts may reach */
    struct zf_hot_thread *next;  /* in the table of threads */
    size_t size_bytes;           /* of the range this lies in */
    enum hot_source source;      /* active: never AUTO or NONE */
    uint32_t thread_id;
    struct zf_os_fault_ring ring;        /* when the source has one */
    struct hot_slot slots[ZF_HOT_SLOTS]; /* what begin and end touch */
    struct zf_hot_tally tallies[ZF_HOT_SLOTS];
};

/* The calling thread's guard, or NULL. Notices a child of fork and forgets what it inherited. */
struct zf_hot_thread *zf_hot_thread_self(void);

/* As above, attaching with the defaults first where needed; NULL only without memory. */
struct zf_hot_thread *zf_hot_thread_require(void);

static inline bool zf_hot_has_ring(const struct zf_hot_thread *thread)
{
    return thread->source != HOT_SOURCE_RUSAGE;
}

/* With the ring alone, begin and end need nothing but the inline comparison. */
static inline bool zf_hot_is_fast(const struct zf_hot_thread *thread)
{
    return thread->source == HOT_SOURCE_RING;
}

#endif
