/*
 * Hot sections: did anything fault between begin and end, and if so what, where and why.
 *
 * A hot section is like a pair of getrusage calls around a loop body, at a fraction of the cost
 * and with an address. The kernel writes a record for each page fault of a thread into a ring
 * that the thread maps read-only, and moves the ring's head before the next instruction of the
 * program runs; so begin and end only load that head and compare. What the ring cannot see
 * (faults inside system calls), the rusage source counts. Which source is active is always told,
 * never hidden.
 *
 *     static struct hot_section tick = HOT_SECTION("tick");
 *
 *     hot_section_begin(&tick);
 *     ...
 *     hot_section_end(&tick);     number of violations: 0 is clean
 *
 * Sections nest. Threads attach by themselves at their first begin; attach by hand, before the
 * loop, to keep the system calls of attaching out of it.
 */
#ifndef ZEROFAULT_HOT_H
#define ZEROFAULT_HOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <zerofault/attributes.h>

ZEROFAULT_BEGIN_DECLS

/* ---------------------------------------------------------------------------------------- types */

/* Where the counts come from. */
enum hot_source {
    HOT_SOURCE_AUTO = 0, /* the ring, or rusage where the ring is refused */
    HOT_SOURCE_RING,     /* user-mode faults, with address; two loads per section */
    HOT_SOURCE_RUSAGE,   /* every fault, without address; two system calls per section */
    HOT_SOURCE_BOTH,     /* exact: the ring's records, and the rest as kernel faults */
    HOT_SOURCE_NONE      /* never chosen: what an unattached thread answers */
};

/* What can go wrong in a hot section, the gravest first: the order in which it is reported. */
enum hot_kind {
    HOT_MISUSE = 0,   /* end without begin, which begin within itself leads to; too many sections */
    HOT_MAJOR_FAULT,  /* a page fault that waited for a device (rusage and both) */
    HOT_FAULT,        /* a page fault; with the ring: one taken by the program's own instruction */
    HOT_KERNEL_FAULT, /* a page fault inside a system call (both, or HOT_WATCH_KERNEL_FAULTS) */
    HOT_REFUSED,      /* an arena or a pool answered NULL */
    HOT_SYSTEM_CALL,  /* a system call (HOT_WATCH_SYSTEM_CALLS) */
    HOT_SWITCH,       /* the thread gave up its CPU, waiting (HOT_WATCH_SWITCHES) */
    HOT_PREEMPTION,   /* the thread lost its CPU to another (HOT_WATCH_SWITCHES) */
    HOT_MIGRATION,    /* the section ended on another CPU (HOT_WATCH_MIGRATIONS) */
    HOT_OVER_BUDGET,  /* it took longer than the section's budget_ns */
    HOT_KIND_COUNT
};

/* What happens at the end of a section that was not clean; the graver includes the lesser. */
enum hot_policy {
    HOT_POLICY_DEFAULT = 0, /* of a kind: the section's policy; of a section: HOT_COUNT */
    HOT_IGNORE,             /* the section counts as clean */
    HOT_COUNT,              /* counted, and told by hot_section_end */
    HOT_CALLBACK,           /* the section's hook is called once for each violation */
    HOT_TRAP,               /* stop: a page fault at the faulting instruction (HOT_WATCH_TRAPS), any
                               other kind at the end of the section; see docs/guard.md */
    HOT_ABORT               /* a report on standard error, then abort() */
};

/*
 * What a thread watches besides page faults; flags of hot_thread_options.watch.
 *
 * Traps make every page fault of the thread at least twice as long, whether a section is open or
 * not, and cost nothing else. In a section whose policy for HOT_FAULT is HOT_TRAP, the hook is
 * called in the signal handler (SIGTRAP), between the fault and the next instruction: it may do
 * what a handler may, look at the stack, or leave by siglongjmp; what it faults and calls is left
 * out. Without a hook the process stops there, and a debugger or the core file shows the
 * instruction. A fault that comes while SIGTRAP is blocked is told late, as asynchronous; further
 * ones merge into it and are told at the end of the section, as are faults of the guard's own
 * code. SIGTRAP of any other origin goes to the handler from before. A debugger takes SIGTRAP for
 * itself and stops at every fault of the thread, unless told to pass it (gdb: handle SIGTRAP
 * nostop noprint pass).
 */
enum hot_watch {
    HOT_WATCH_SWITCHES = 1 << 0,      /* context switches, with the preempted bit */
    HOT_WATCH_MIGRATIONS = 1 << 1,    /* CPU at begin against CPU at end */
    HOT_WATCH_SYSTEM_CALLS = 1 << 2,  /* by Syscall User Dispatch; see hot_system_call_name */
    HOT_WATCH_KERNEL_FAULTS = 1 << 3, /* with address, in the ring; needs CAP_PERFMON, or
                                         kernel.perf_event_paranoid of 1 or less */
    HOT_WATCH_CALL_CHAINS = 1 << 4,   /* who called the faulting instruction */
    HOT_WATCH_TRAPS = 1 << 5          /* a signal at the faulting instruction, for HOT_TRAP */
};
#define HOT_WATCH_COUNT 6

struct hot_section;
struct hot_histogram;

/* Frames kept of a call chain. */
#define HOT_FRAMES_MAX 32

/* One violation, as a hook sees it. Valid during the call. */
struct hot_violation {
    size_t struct_size;                /* of the library that fills it */
    const struct hot_section *section; /* whose end found it */
    enum hot_kind kind;
    enum hot_source source;    /* what saw it */
    uint64_t count;            /* how many this stands for; 1 when the address is known */
    uintptr_t address;         /* data address that faulted, or 0 when unknown */
    uintptr_t instruction;     /* of the faulting instruction, or 0 when unknown; of
                                  HOT_KERNEL_FAULT, the kernel's own */
    uint64_t time_ns;          /* CLOCK_MONOTONIC of the fault, or 0 when unknown */
    uint32_t thread_id;        /* kernel's id of the thread */
    bool asynchronous;         /* a trap that came late: `instruction` is not where it stopped */
    bool trapped;              /* the hook runs in the signal handler of a trap */
    const char *arena;         /* name of the arena that owns `address`, or NULL */
    size_t arena_offset_bytes; /* of `address` from the arena's first byte */
    size_t request_bytes;      /* HOT_REFUSED: what was asked for last */
    long system_call;          /* HOT_SYSTEM_CALL: number of the first, else -1 */
    uint64_t duration_ns;      /* HOT_OVER_BUDGET: how long it took */
    uint32_t cpu_before;       /* HOT_MIGRATION */
    uint32_t cpu_after;        /* HOT_MIGRATION */
    size_t frame_count;        /* call chain, innermost first; 0 when unknown */
    const uintptr_t *frames;   /* return addresses */
};

typedef void hot_hook(const struct hot_violation *violation, void *context);

/*
 * A named place in the program, one static object each. Fields above the line are the user's, to be
 * set before the first begin: what a thread has once met, it keeps. Begin and end may run on any
 * number of threads at once.
 */
struct hot_section {
    const char *name;
    const char *file;
    uint32_t line;
    enum hot_policy policy;                   /* of every kind that has none of its own */
    enum hot_policy policies[HOT_KIND_COUNT]; /* by kind */
    hot_hook *hook;                           /* for HOT_CALLBACK and HOT_TRAP */
    void *hook_context;                       /* handed to `hook` */
    uint64_t budget_ns;                       /* longer is HOT_OVER_BUDGET; 0: any duration */
    uint32_t reports_per_second;              /* hook calls at most, per thread; 0: no limit */
    bool timed;                               /* keep a histogram of durations */
    bool refuse_system_calls;                 /* with HOT_WATCH_SYSTEM_CALLS: they fail, EPERM */
    bool counted;                             /* count its entries, at the price of a call */
    /* -------------------------- the library's */
    uint32_t slot_bytes; /* offset in every thread's table of slots; 0 until first used */
    uint32_t reserved;   /* 0 */
};

/* HOT_SECTION(name, .field = value...). In the order of the fields, which C++20 insists on; the
 * comma behind the arguments makes the rest an argument too where there is none. */
#define HOT_SECTION(...)                                                                           \
    {                                                                                              \
        .name = HOT_SECTION_NAME(__VA_ARGS__, ), .file = __FILE__, .line = __LINE__,               \
        HOT_SECTION_REST(__VA_ARGS__, )                                                            \
    }
#define HOT_SECTION_NAME(section_name, ...) section_name
#define HOT_SECTION_REST(section_name, ...) __VA_ARGS__

/* Sections that a process may use at one time; the next one is answered with HOT_MISUSE. */
#define HOT_SECTIONS_MAX 254

/* What a section has seen, all threads together. */
struct hot_section_statistics {
    size_t struct_size;              /* filled by HOT_SECTION_STATISTICS_INIT */
    uint64_t entries;                /* begins; HOT_NOT_COUNTED unless the section is counted */
    uint64_t dirty_entries;          /* ends that found a violation */
    uint64_t counts[HOT_KIND_COUNT]; /* violations by kind, ignored ones not */
    uint64_t unreported;             /* violations that reports_per_second kept from the hook */
};
#define HOT_NOT_COUNTED UINT64_MAX
#define HOT_SECTION_STATISTICS_INIT                                                                \
    {                                                                                              \
        .struct_size = sizeof(struct hot_section_statistics)                                       \
    }

/* How a thread attaches. Zero of every field is the default. */
struct hot_thread_options {
    size_t struct_size;     /* filled by HOT_THREAD_OPTIONS */
    enum hot_source source; /* HOT_SOURCE_AUTO falls back to rusage; the others fail when refused */
    size_t ring_bytes;      /* of records kept, in power-of-two pages; default 32 KiB */
    uint32_t watch;         /* of enum hot_watch, as a wish: what is refused is in the report */
    uint32_t required;      /* of enum hot_watch: what is refused fails the attach */
};
#define HOT_THREAD_OPTIONS(...)                                                                    \
    ((struct hot_thread_options){.struct_size = sizeof(struct hot_thread_options), __VA_ARGS__})

/* What attaching achieved. */
struct hot_thread_report {
    size_t struct_size; /* filled by HOT_THREAD_REPORT_INIT */
    enum hot_source asked;
    enum hot_source active;
    int ring_error;       /* 0, or -errno of the refused ring */
    const char *remedy;   /* one static sentence, or NULL */
    const char *blind_to; /* one static sentence: what the active source cannot see */
    bool self_tested; /* a deliberate fault was seen, with its address where the source has one */
    uint32_t watched; /* of enum hot_watch: what is granted */
    int watch_errors[HOT_WATCH_COUNT]; /* by bit number: 0, or -errno of the refusal */
    int lock_error; /* 0, or -errno: the guard's own pages are warm but not locked */
};
#define HOT_THREAD_REPORT_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(struct hot_thread_report)                                            \
    }

/* ------------------------------------------------------------------------------------- hot path */

/* One thread's view of one section: begin compares the first word, end the second. */
struct hot_slot {
    const struct hot_section
        *section;      /* whose slot this is; NULL sends begin and end the long way */
    uint64_t head;     /* ring head at begin, or HOT_SLOT_CLOSED */
    uint64_t entries;  /* begins of a counted section, this thread */
    uint64_t reserved; /* 0 */
};
#define HOT_SLOT_CLOSED UINT64_MAX

/* The calling thread's table of slots, with the control page of its ring right behind it, so that
 * one address leads to both. A thread that is not attached points to a table whose every slot
 * sends it the long way. */
extern ZEROFAULT_API ZEROFAULT_THREAD_LOCAL unsigned char *hot_thread_table;

#if defined(__x86_64__)
#define HOT_TABLE_BYTES 8192 /* whole pages, and room for all slots */
#else
#define HOT_TABLE_BYTES 65536 /* pages may be that large */
#endif
#define HOT_RING_HEAD_BYTES (HOT_TABLE_BYTES + 1024) /* data_head in the control page */

/* Define ZEROFAULT_HOT_OFF before including this, and begin and end leave no instruction behind. */
#ifdef ZEROFAULT_HOT_OFF
#define HOT_COMPILED_IN 0
#else
#define HOT_COMPILED_IN 1
#endif

/* Define ZEROFAULT_PROBES, and begin and end have their static probes on the fast path too: a nop
 * and a load each; see probes.h. */
#ifdef ZEROFAULT_PROBES
#include <zerofault/probes.h>
#define HOT_PROBE_BEGIN(section) ZEROFAULT_PROBE1(section_begin, (section)->name)
#define HOT_PROBE_END(section) ZEROFAULT_PROBE2(section_end, (section)->name, 0)
#else
#define HOT_PROBE_BEGIN(section) ((void)0)
#define HOT_PROBE_END(section) ((void)0)
#endif

/** Where the thread's ring is. Returns bytes. Latency hot. Threads itself. Since 0.1. */
ZEROFAULT_INLINE uint64_t hot_ring_head(const unsigned char *table)
{
    return *(const volatile uint64_t *)(const volatile void *)(table + HOT_RING_HEAD_BYTES);
}

/** Where the section's slot is. Returns bytes. Latency hot. Threads any. Since 0.1. */
ZEROFAULT_INLINE uint32_t hot_slot_bytes(const struct hot_section *section)
{
    return __atomic_load_n(&section->slot_bytes, __ATOMIC_RELAXED);
}

/** The long way of hot_section_begin. Returns nothing. Latency warm. Threads any. Since 0.1. */
ZEROFAULT_OUTLINE void hot_section_begin_slow(struct hot_section *section);

/** The long way of hot_section_end. Returns violations. Latency warm. Threads any. Since 0.1. */
ZEROFAULT_OUTLINE uint64_t hot_section_end_slow(struct hot_section *section);

/**
 * Open a hot section on the calling thread.
 *
 * The first begin of a thread attaches it with the default options; the first begin of a section
 * gives it a slot. Opening a section that is open on this thread starts it anew; the end that is
 * then one too many is counted as misuse.
 *
 * Returns  nothing
 * Latency  hot: loads and stores only, with the ring; two system calls per section with rusage
 * Threads  any; a section may be open on many threads
 * Since    0.1
 */
ZEROFAULT_INLINE void hot_section_begin(struct hot_section *section)
{
    unsigned char *table;
    struct hot_slot *slot;
    if (!HOT_COMPILED_IN)
        return;
    table = hot_thread_table;
    slot = (struct hot_slot *)(void *)(table + hot_slot_bytes(section));
    if (ZEROFAULT_UNLIKELY(slot->section != section)) {
        hot_section_begin_slow(section);
        return;
    }
    HOT_PROBE_BEGIN(section);
    slot->head = hot_ring_head(table);
    ZEROFAULT_COMPILER_FENCE();
}

/**
 * Close a hot section and apply its policy to what happened inside.
 *
 * Returns  the number of violations since begin: 0 is clean. An end without begin is one violation.
 * Latency  hot when clean; warm (bounded, no system call of its own) when not
 * Threads  the one that opened it
 * Since    0.1
 */
ZEROFAULT_INLINE uint64_t hot_section_end(struct hot_section *section)
{
    unsigned char *table;
    struct hot_slot *slot;
    uint64_t head;
    if (!HOT_COMPILED_IN)
        return 0;
    ZEROFAULT_COMPILER_FENCE();
    table = hot_thread_table;
    slot = (struct hot_slot *)(void *)(table + hot_slot_bytes(section));
    head = slot->head;
    /* 0 is what a child finds that was cloned inside the section: it has no ring to look at. */
    if (ZEROFAULT_UNLIKELY(head == 0 || head != hot_ring_head(table)))
        return hot_section_end_slow(section);
    HOT_PROBE_END(section);
    slot->head = HOT_SLOT_CLOSED;
    return 0;
}

/* ------------------------------------------------------------------------------- attach, detach */

/**
 * Prepare the calling thread: open and map its fault ring, make the guard's own memory warm, and
 * prove by one deliberate fault that it sees.
 *
 * Returns  0; -EINVAL a field has an unknown value or the size of `report` is unknown; -E2BIG
 *          `options` has a non-zero tail that this version does not know; -EALREADY the thread is
 *          attached (detach first); -ENOMEM no memory; with a source that was not AUTO, the
 *          ring's refusal: -EACCES or -EPERM not allowed here, -EMFILE no file descriptor,
 *          -ENOSYS no perf events, -EIO the self-test saw nothing
 * Latency  cold: about a dozen system calls
 * Threads  any; each attaches for itself
 * Since    0.1
 */
ZEROFAULT_API int hot_thread_attach(const struct hot_thread_options *options,
                                    struct hot_thread_report *report);

/**
 * Tell how the calling thread is attached: with which options, and with what success. Either
 * argument may be NULL. With these options the thread can be attached again as it was.
 *
 * Returns  0; -ENOTCONN the thread is not attached; -EINVAL the size of a struct is unknown
 * Latency  warm
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API int hot_thread_attached(struct hot_thread_options *options,
                                      struct hot_thread_report *report);

/**
 * Undo hot_thread_attach. Sections open on this thread are closed and counted as misuse; the
 * counts stay in the sections' statistics. Thread exit does the same.
 *
 * Returns  nothing
 * Latency  cold
 * Threads  each for itself
 * Since    0.1
 */
ZEROFAULT_API void hot_thread_detach(void);

/* -------------------------------------------------------------------------------- pause, switch */

/** The work of hot_pause_begin. Returns nothing. Latency warm. Threads itself. Since 0.1. */
ZEROFAULT_OUTLINE void hot_pause_begin_slow(void);

/** The work of hot_pause_end. Returns nothing. Latency warm. Threads itself. Since 0.1. */
ZEROFAULT_OUTLINE void hot_pause_end_slow(void);

/**
 * Begin a known exception inside hot sections, such as writing a log: until the matching
 * hot_pause_end, nothing that happens on this thread counts in the sections that are open.
 *
 * Pauses nest. Sections opened inside a pause count for themselves as ever.
 *
 * Returns  nothing
 * Latency  warm: O(sections in use), no system call with the ring alone
 * Threads  each for itself
 * Since    0.1
 */
ZEROFAULT_INLINE void hot_pause_begin(void)
{
    if (HOT_COMPILED_IN)
        hot_pause_begin_slow();
}

/** End what hot_pause_begin began. Returns nothing. Latency warm. Threads itself. Since 0.1. */
ZEROFAULT_INLINE void hot_pause_end(void)
{
    if (HOT_COMPILED_IN)
        hot_pause_end_slow();
}

/**
 * Switch all guards of the process off, or on again.
 *
 * While off, begin and end do nothing but find that out, at the cost of a call; a section open at
 * that moment ends as it would have. While on, the switch costs nothing: it works through the
 * comparison that begin and end make anyway. To have no trace of the guard at all, compile with
 * ZEROFAULT_HOT_OFF.
 *
 * Returns  nothing
 * Latency  warm: O(threads), takes a lock that begin and end never take
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API void hot_switch(bool on);

/* -------------------------------------------------------------------------------------- queries */

/**
 * Tell which source guards the calling thread now.
 *
 * Returns  the source; HOT_SOURCE_NONE when the thread is not attached
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API enum hot_source hot_source_active(void);

/**
 * Take a deliberate fault and tell whether the guard of the calling thread saw it.
 *
 * Returns  true; false when the thread is not attached, the guard is broken, or switched off
 * Latency  cold: maps and unmaps a page
 * Threads  any; not inside a hot section, which would see the fault too
 * Since    0.1
 */
ZEROFAULT_API bool hot_guard_is_live(void);

/**
 * Tell how many hot sections are open on the calling thread.
 *
 * Returns  sections
 * Latency  hot: O(sections in use)
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API size_t hot_sections_open(void);

/**
 * Add up what a section has seen on all threads, those that have exited included. No thread is
 * stopped; an entry that is under way may be counted or not.
 *
 * Returns  0; -EINVAL an argument is NULL or the size of `stats` is unknown
 * Latency  warm: O(threads), takes a lock that begin and end never take
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API int hot_section_stats(const struct hot_section *section,
                                    struct hot_section_statistics *stats);

/**
 * Tell what a section has seen on one attached thread, by the kernel's id as in a violation. An
 * end without begin is in the sum of hot_section_stats alone.
 *
 * Returns  0; -EINVAL an argument is NULL or the size of `stats` is unknown; -ESRCH no attached
 *          thread has this id: what it counted is in the sum of hot_section_stats alone
 * Latency  warm: O(threads), takes a lock that begin and end never take
 * Threads  any; an entry under way may be missing
 * Since    0.1
 */
ZEROFAULT_API int hot_thread_stats(const struct hot_section *section, uint32_t thread_id,
                                   struct hot_section_statistics *stats);

/**
 * Add up the durations of a section's entries on all threads, those that have exited included.
 *
 * Returns  0; -EINVAL an argument is NULL; -ENODATA the section is not timed or was never entered
 * Latency  warm: O(threads), takes a lock that begin and end never take
 * Threads  any; an entry under way may be missing
 * Since    0.1
 */
ZEROFAULT_API int hot_section_durations(const struct hot_section *section,
                                        struct hot_histogram *durations);

/**
 * Print one violation for people: section, kind, address, arena, offset, instruction.
 *
 * Returns  0; -EINVAL an argument is NULL; -EIO the stream failed
 * Latency  cold
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API int hot_violation_print(const struct hot_violation *violation, FILE *stream);

/**
 * Name a source or a kind in one or two lower-case words.
 *
 * Returns  a static string; "unknown" for a value out of range
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API const char *hot_source_name(enum hot_source source);
/** As hot_source_name. Returns a static string. Latency hot. Threads any. Since 0.1. */
ZEROFAULT_API const char *hot_kind_name(enum hot_kind kind);

/**
 * Name a system call by the number that a HOT_SYSTEM_CALL violation carries.
 *
 * With HOT_WATCH_SYSTEM_CALLS every system call inside a section is told, by whatever code it is
 * made, and then happens as if nothing were (or fails with EPERM, if a section that is open has
 * refuse_system_calls). Calls that the vDSO answers are none. A violation carries the first
 * call's number and instruction, and their count; a number of -1 is a call in the 32-bit way.
 * Signal handlers that interrupt a section belong to it, but those do not that a change of the
 * signal mask lets in, sigsuspend, pselect, ppoll and epoll_pwait included. The signal SIGSYS is
 * the watch's: attaching unblocks it on the thread and installs a handler that hands on what is
 * not the watch's to the one from before. The kernel ends a process that makes a watched call
 * while SIGSYS is blocked, so do not block it between sections, nor in the sa_mask of a handler
 * that makes system calls. Debuggers stop at SIGSYS unless told not to (gdb: handle SIGSYS nostop
 * noprint).
 *
 * Returns  a static string; "unknown" for a number that the system had not when this was built
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API const char *hot_system_call_name(long number);

ZEROFAULT_END_DECLS

#endif
