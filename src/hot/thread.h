/*
 * One thread's guard: its sources, and its view of every section.
 *
 * All of it lies in one range of pages: the table of slots that begin and end touch, right behind
 * it the fault ring, then this struct. The range is warm, locked where that is allowed, and in a
 * child of fork it is wiped, the ring gone: there the magic is 0 and every slot sends begin and
 * end the long way before the missing ring is looked at.
 */
#ifndef ZF_HOT_THREAD_H
#define ZF_HOT_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zerofault/histogram.h>
#include <zerofault/hot.h>

#include "base/assert.h"
#include "base/tripwire.h"
#include "hot/origin.h"
#include "hot/stretches.h"
#include "os/os.h"

#define ZF_HOT_SLOTS (HOT_SECTIONS_MAX + 2) /* slot 0 is nobody's, one is the self-test's */
#define ZF_HOT_MAGIC UINT64_C(0x7a65726f6661756c)

/* Heads that no ring has; they make the inline end take the long way. The head at begin is then in
 * the tally. */
#define ZF_HOT_HEAD_FORCED (HOT_SLOT_CLOSED - 1) /* something was raised or excluded inside */
#define ZF_HOT_HEAD_LONG (HOT_SLOT_CLOSED - 2)   /* the ring is not all there is to compare */

/* What the sources say at one moment. Every field only grows, but the CPU. */
struct zf_hot_sample {
    uint64_t head;         /* of the fault ring; 0 without one */
    uint64_t faults_minor; /* by getrusage; 0 when that is not a source */
    uint64_t faults_major;
    uint64_t switch_head; /* of the switch ring; 0 without one */
    uint64_t ticks;       /* when the section is timed, else 0 */
    uint64_t calls;       /* system calls, when watched */
    uint32_t cpu;         /* when migrations are watched, else 0 */
};

/* What a paused stretch took away from an open section. */
struct zf_hot_excluded {
    uint64_t fault_records;
    uint64_t kernel_records; /* of those, taken inside system calls */
    uint64_t faults_minor;
    uint64_t faults_major;
    struct zf_os_switches switches;
    uint64_t calls;
    uint64_t ticks;
};

/* What the long way keeps of one section on one thread. */
struct zf_hot_tally {
    const struct hot_section *section; /* whose tally this is, or NULL */
    const struct hot_section *brief;   /* the same where begin and end go the way of brief.h */
    struct zf_hot_sample begin;        /* at begin; the head only when the slot's is forced */
    struct zf_hot_excluded excluded;   /* valid when forced */
    uint64_t pending[HOT_KIND_COUNT];  /* raised inside the open section; valid when forced */
    uint64_t trapped;                  /* faults told where they happened; valid when forced */
    size_t request_bytes;              /* of the last refusal inside */
    bool forced_in_pause;              /* opened inside the pause under way; valid when forced */
    bool watches_calls;                /* open, and counts system calls */
    long call_number;                  /* of the first call; valid when there was one */
    uintptr_t call_instruction;        /* that made it; 0 while there was none */
    uint64_t dirty_entries;            /* ends that were not clean */
    uint64_t counts[HOT_KIND_COUNT];   /* violations of all closed entries */
    uint64_t unreported;               /* kept from the hook by the rate limit */
    uint64_t window_start_ns;          /* of the second that the rate limit counts in */
    uint64_t window_reports;
    struct hot_histogram *durations; /* of a timed section, in a range of its own */
    uint64_t latest;                 /* duration not yet in there, in ticks and one more; 0: none */
    const struct hot_tracer *tracer; /* that was told the begin of the open section, or NULL */
};

/* The watch for system calls; see syscalls.h. */
struct zf_hot_calls {
    volatile unsigned char selector; /* ZF_OS_CALLS_*: read at every system call of the thread */
    volatile uint64_t count;         /* calls seen */
    uint32_t sections;               /* open ones that count calls now */
    uint32_t paused_sections;        /* those that would if there were no pause */
};

struct zf_hot_thread {
    uint64_t magic;              /* ZF_HOT_MAGIC while attached; 0 in a child of fork */
    struct zf_tripwire tripwire; /* what lower parts may reach */
    struct zf_hot_thread *next;  /* in the table of threads */
    unsigned char *table;        /* first byte of the range: slots, then the ring */
    size_t range_bytes;          /* of the whole range */
    enum hot_source source;      /* active: never AUTO or NONE */
    uint32_t watched;            /* of enum hot_watch: granted */
    uint32_t thread_id;
    struct zf_hot_origin origin;       /* how things were at attach */
    struct zf_os_fault_ring ring;      /* when the source has one */
    int kernel_error;                  /* why the ring leaves out system calls; 0: it does not */
    struct zf_os_switch_ring switches; /* when watched */
    struct hot_thread_options options; /* as given to the attach */
    struct hot_thread_report report;   /* as the attach gave it */
    struct zf_os_chain_ring chains;    /* when watched */
    struct zf_os_chain chain;          /* the last one found; a violation's frames lie here */
    struct zf_hot_calls calls;         /* when watched */
    bool tracing;                      /* a tracer's callback runs on this thread */
    uint32_t pause_depth;
    struct zf_hot_sample pause_begin; /* when the outermost pause began */
    struct zf_hot_stretches pauses;   /* what the guard left out, since the oldest open section */
    struct zf_hot_stretches trapped;  /* what was told at the fault */
    uint64_t trap_position;           /* of the ring: how far traps have searched */
    int trap_handle;                  /* when watched */
    volatile bool busy;               /* the guard's own code runs */
    struct zf_hot_tally tallies[ZF_HOT_SLOTS];
};

/* The calling thread's guard as it was attached, or NULL; wiped in a child of a bare clone. */
extern ZEROFAULT_THREAD_LOCAL struct zf_hot_thread *zf_hot_self;

/* The calling thread's guard, or NULL. Notices a child of fork and forgets what it inherited. */
struct zf_hot_thread *zf_hot_thread_self(void);

/* As above, attaching with the defaults first where needed; NULL only without memory. */
struct zf_hot_thread *zf_hot_thread_require(void);

static inline struct hot_slot *zf_hot_slot(const struct zf_hot_thread *thread, uint32_t index)
{
    ZF_ASSERT(index < ZF_HOT_SLOTS);
    return (struct hot_slot *)(void *)thread->table + index;
}

/* Send the next begin the long way. */
static inline void zf_hot_hide(struct zf_hot_thread *thread, uint32_t index)
{
    __atomic_store_n(&zf_hot_slot(thread, index)->section, NULL, __ATOMIC_SEQ_CST);
    __atomic_store_n(&thread->tallies[index].brief, NULL, __ATOMIC_SEQ_CST);
}

static inline bool zf_hot_is_open(const struct zf_hot_thread *thread, uint32_t index)
{
    return zf_hot_slot(thread, index)->head != HOT_SLOT_CLOSED;
}

/* The ring's head at begin, wherever it is kept. */
static inline uint64_t zf_hot_begin_head(const struct zf_hot_thread *thread, uint32_t index)
{
    uint64_t head = zf_hot_slot(thread, index)->head;
    ZF_ASSERT(head != HOT_SLOT_CLOSED);
    return head >= ZF_HOT_HEAD_LONG ? thread->tallies[index].begin.head : head;
}

static inline bool zf_hot_has_ring(const struct zf_hot_thread *thread)
{
    return thread->source != HOT_SOURCE_RUSAGE;
}

static inline bool zf_hot_uses_rusage(const struct zf_hot_thread *thread)
{
    return thread->source != HOT_SOURCE_RING;
}

static inline bool zf_hot_watches(const struct zf_hot_thread *thread, enum hot_watch watch)
{
    return (thread->watched & (uint32_t)watch) != 0;
}

/* How the guard's state was when it went to work. */
struct zf_hot_held {
    unsigned char selector;
    bool busy; /* it was at work already, and a signal handler has interrupted it */
};

/* From here on the guard is at work: it makes its own system calls, and its faults are not told
 * where they happen. `thread` may be NULL. A signal handler may come in between any two of these
 * lines, and those of the next function, and do the same. */
static inline struct zf_hot_held zf_hot_hold(struct zf_hot_thread *thread)
{
    struct zf_hot_held held = {ZF_OS_CALLS_PASS, false};
    if (thread != NULL) {
        held.busy = thread->busy;
        thread->busy = true;
        held.selector = thread->calls.selector;
        thread->calls.selector = ZF_OS_CALLS_PASS;
    }
    ZEROFAULT_COMPILER_FENCE();
    return held;
}

/* From here on the program is, or what of the guard was interrupted. */
static inline void zf_hot_go_on(struct zf_hot_thread *thread, struct zf_hot_held held)
{
    ZEROFAULT_COMPILER_FENCE();
    if (thread != NULL && held.busy) {
        thread->calls.selector = held.selector;
    } else if (thread != NULL) {
        thread->busy = false;
        if (thread->calls.sections > 0)
            thread->calls.selector = ZF_OS_CALLS_WATCHED;
    }
    ZEROFAULT_COMPILER_FENCE();
}

#endif
