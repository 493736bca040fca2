/*
 * The rest of the process: what a hot loop touches that is no arena.
 *
 * Like a dry run of the loop, but without running it: the stack below the caller, the variables and
 * tables of every loaded object, its code, thread-local variables, the C heap and the clock are all
 * made present beforehand, and a second round proves that none of it faults any more. Contents do
 * not change, and other threads may run meanwhile. Arenas are arena_warmup's.
 *
 *     struct process_report report = PROCESS_REPORT_INIT;
 *     int rc = process_warmup(&PROCESS_WARMUP_OPTIONS(.heap_bytes = 4u << 20), &report);
 *     process_report_print(&report, stderr);
 *
 * What is loaded or started later is cold again: call process_warmup once more after dlopen, and
 * thread_warmup at the start of each thread that has a hot loop.
 */
#ifndef ZEROFAULT_PROCESS_H
#define ZEROFAULT_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <zerofault/attributes.h>
#include <zerofault/wish.h>

ZEROFAULT_BEGIN_DECLS

/* ---------------------------------------------------------------------------------------- types */

/* What became of one part of the process. */
struct process_item {
    enum warmup_wish asked; /* WARMUP_OFF, WARMUP_PREFER or WARMUP_REQUIRE */
    int error;              /* 0, or -errno of the refusal */
    size_t asked_bytes;     /* how much the wish is about; 0 when off, or when not about bytes */
    size_t granted_bytes;   /* how much of it is so; equal to asked_bytes when granted */
    uint64_t faults;        /* that warming it took in this thread: what was cold */
    uint64_t spent_ns;      /* without the proof */
    const char *remedy;     /* one static sentence, or NULL when there is nothing to mend */
};

/* What a warmup of the process or of a thread did. Initialise with PROCESS_REPORT_INIT. */
struct process_report {
    size_t struct_size; /* filled by PROCESS_REPORT_INIT */
    int result;         /* what the call returned */
    uint32_t thread_id; /* kernel's id of the thread that called; 0: no call has filled this */

    struct process_item code;    /* read: code and constants of every loaded object */
    struct process_item data;    /* written: .data, .bss, GOT and whatever else is writable there */
    struct process_item tls;     /* written: thread-local variables of the calling thread */
    struct process_item heap;    /* written: what malloc holds, and heap_bytes more */
    struct process_item stack;   /* written: of the calling thread, stack_bytes below the call */
    struct process_item clock;   /* called: the clocks that need no system call; not about bytes */
    struct process_item lock;    /* locked: all that is mapped now, nothing that comes later */
    struct process_item binding; /* function slots bound; bytes of slots asked against bound */

    size_t objects;       /* loaded: program, libraries, loader */
    size_t lazy_objects;  /* of those, with slots that the first call still has to bind */
    size_t lazy_slots;    /* how many slots */
    char lazy_object[64]; /* end of the first such object's file name; empty when there is none */

    uint64_t faults_minor; /* taken by the whole call in this thread */
    uint64_t faults_major;
    uint64_t proof_faults; /* that the last round over everything still took; 0 when proven */
    int proven;            /* 1: that round took none, and faults are counted here */
};
#define PROCESS_REPORT_INIT                                                                        \
    {                                                                                              \
        .struct_size = sizeof(struct process_report)                                               \
    }

/* What is wished for the process. Zero of every field is the default. */
struct process_warmup_options {
    size_t struct_size;       /* filled by PROCESS_WARMUP_OPTIONS */
    size_t stack_bytes;       /* of stack below the call; default 256 KiB */
    size_t heap_bytes;        /* to be had from malloc without a fault; default 1 MiB */
    enum warmup_wish code;    /* default WARMUP_REQUIRE */
    enum warmup_wish data;    /* default WARMUP_REQUIRE */
    enum warmup_wish tls;     /* default WARMUP_REQUIRE */
    enum warmup_wish heap;    /* default WARMUP_PREFER; it tells glibc to keep all memory forever */
    enum warmup_wish stack;   /* default WARMUP_REQUIRE */
    enum warmup_wish clock;   /* default WARMUP_REQUIRE */
    enum warmup_wish lock;    /* default WARMUP_OFF; locks every stack and mapping in full */
    enum warmup_wish binding; /* default WARMUP_PREFER: unbound slots are counted and reported */
};
#define PROCESS_WARMUP_OPTIONS(...)                                                                \
    ((struct process_warmup_options){.struct_size = sizeof(struct process_warmup_options),         \
                                     __VA_ARGS__})

/* What is wished for a thread. Zero of every field is the default. */
struct thread_warmup_options {
    size_t struct_size;     /* filled by THREAD_WARMUP_OPTIONS */
    size_t stack_bytes;     /* of stack below the call; default 256 KiB */
    size_t heap_bytes;      /* to be had from malloc by this thread; default 64 KiB */
    enum warmup_wish stack; /* default WARMUP_REQUIRE */
    enum warmup_wish tls;   /* default WARMUP_REQUIRE */
    enum warmup_wish heap;  /* default WARMUP_PREFER */
};
#define THREAD_WARMUP_OPTIONS(...)                                                                 \
    ((struct thread_warmup_options){.struct_size = sizeof(struct thread_warmup_options),           \
                                    __VA_ARGS__})

/* --------------------------------------------------------------------------------------- warmup */

/**
 * Make what the calling thread's code touches outside of arenas resident: code, data, thread-local
 * variables, C heap, stack, clock; lock it on request.
 *
 * Warms each part, then goes over all of them again until a round takes no page fault. Contents are
 * kept. A refused wish is recorded in `report` (may be NULL) and does not fail the call unless it
 * was a must; the other parts are warmed all the same. The heap step changes malloc for the whole
 * process: freed memory is kept, and large blocks come from the heap too. Locking is the kernel's
 * mlockall(MCL_CURRENT), which also ends a MCL_FUTURE that the program had set; it is refused
 * beforehand when the machine could not hold what it would make resident. Functions that are still
 * to be bound at their first call are reported, not bound: that call is slow, but does not fault.
 *
 * Returns  0; -EINVAL an unknown wish, or a size that cannot be; -E2BIG `options` has a non-zero
 *          tail that this version does not know; -EBUSY a hot section is open on this thread; of a
 *          must: -ENOMEM memory, the stack's limit or RLIMIT_MEMLOCK has too little; -EPERM locking
 *          is not allowed here; -EFAULT pages did not stay; -EAGAIN not all could be locked, or
 *          functions are not bound; -EOPNOTSUPP this system or C library cannot
 * Latency  cold: one fault per cold page, system calls per mapping of each object
 * Threads  any, one at a time; no thread may unload an object or change the protection of one's
 *          pages meanwhile
 * Since    0.1
 */
ZEROFAULT_API int process_warmup(const struct process_warmup_options *options,
                                 struct process_report *report);

/**
 * Make the calling thread's own memory resident: stack, thread-local variables, its part of the C
 * heap. The rest is process_warmup's, once for all threads.
 *
 * As process_warmup, with the other parts of `report` (may be NULL) off. The stack is warmed down
 * to what its limit allows, never into its guard.
 *
 * Returns  as process_warmup
 * Latency  cold
 * Threads  any, each for itself; no thread may unload an object meanwhile
 * Since    0.1
 */
ZEROFAULT_API int thread_warmup(const struct thread_warmup_options *options,
                                struct process_report *report);

/* --------------------------------------------------------------------------------------- report */

/**
 * Print a report for people: one line per part, asked against got, with errno and remedy.
 *
 * Returns  0; -EINVAL an argument is NULL or the size is unknown; -EIO the stream, which is
 *          flushed, failed
 * Latency  cold
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API int process_report_print(const struct process_report *report, FILE *stream);

ZEROFAULT_END_DECLS

#endif
