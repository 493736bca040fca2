/*
 * Reports: what a violation touched, who did it, and the likely cause.
 *
 * A hot section only keeps what the fault itself told: two addresses, a time, perhaps a call chain.
 * The rest is worked out here, when somebody asks and outside of hot paths: from the mappings, the
 * arenas, the page map, forks, the kernel's counters, and debug information. A report gathers the
 * violations of a whole run by site, and prints them the way a sanitizer does.
 *
 *     struct hot_report *report;
 *     hot_report_create(&report, NULL);
 *     static struct hot_section tick = HOT_SECTION("tick", .policy = HOT_CALLBACK,
 *                                                  .hook = hot_report_add);
 *     tick.hook_context = report;
 *     ...
 *     hot_report_print(report, stderr);
 */
#ifndef ZEROFAULT_HOT_REPORT_H
#define ZEROFAULT_HOT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <zerofault/attributes.h>
#include <zerofault/hot.h>

ZEROFAULT_BEGIN_DECLS

/* ---------------------------------------------------------------------------------- description */

/* What lies at the address that faulted. */
enum hot_place {
    HOT_PLACE_UNKNOWN = 0,  /* no address, or the system does not tell */
    HOT_PLACE_UNMAPPED,     /* nothing is mapped there any more */
    HOT_PLACE_ARENA,        /* an arena; handed out or not is not known */
    HOT_PLACE_ARENA_LIVE,   /* of an arena, handed out when asked */
    HOT_PLACE_ARENA_FREE,   /* of an arena, not handed out when asked */
    HOT_PLACE_ARENA_BEYOND, /* of an arena, behind the bytes that were warmed */
    HOT_PLACE_STACK,        /* of the thread itself */
    HOT_PLACE_OTHER_STACK,  /* of another thread */
    HOT_PLACE_THREAD_LOCAL, /* variables of one thread */
    HOT_PLACE_HEAP,         /* the C library's, where it grows in place */
    HOT_PLACE_CODE,
    HOT_PLACE_CONSTANTS, /* read-only data of an object */
    HOT_PLACE_LINKAGE,   /* what the loader fills in: the global offset table, say */
    HOT_PLACE_DATA,      /* static variables, zero-filled ones too */
    HOT_PLACE_FILE,      /* a mapped file */
    HOT_PLACE_SHARED,    /* memory that processes may share */
    HOT_PLACE_ANONYMOUS, /* other memory of the process */
    HOT_PLACE_SYSTEM     /* what the kernel maps by itself: the vDSO */
};

/* What the instruction did there, as far as it can be read off the instruction. */
enum hot_access {
    HOT_ACCESS_UNKNOWN = 0,
    HOT_ACCESS_READ,
    HOT_ACCESS_WRITE,
    HOT_ACCESS_EXECUTE /* it was itself not there */
};

/* Why it faulted, most likely. */
enum hot_cause {
    HOT_CAUSE_UNKNOWN = 0, /* the evidence fits none of these */
    HOT_CAUSE_NONE,        /* not a page fault: the kind says it all */
    HOT_CAUSE_NOT_WARMED,  /* the arena was never warmed, or its warmup failed */
    HOT_CAUSE_BEYOND_WARM, /* behind the arena's warm bytes */
    HOT_CAUSE_FORK,        /* copy on write after a fork */
    HOT_CAUSE_DROPPED,     /* a warm page was taken away: MADV_DONTNEED and its kin */
    HOT_CAUSE_NUMA_HINT,   /* unmapped by NUMA balancing, to see who uses it */
    HOT_CAUSE_MOVED,       /* migrated: compaction, cpusets, balancing */
    HOT_CAUSE_HUGE_SPLIT,  /* a huge page was taken apart */
    HOT_CAUSE_STACK_DEPTH, /* the stack was never as deep before */
    HOT_CAUSE_CODE,        /* code that never ran before */
    HOT_CAUSE_DATA_COPY,   /* first write to a private page of a file: static data, the GOT */
    HOT_CAUSE_FIRST_TOUCH, /* memory that the kernel had only promised: heap, mmap, .bss */
    HOT_CAUSE_ZERO_PAGE,   /* read before it was written: the page was the one of zeros */
    HOT_CAUSE_FILE_PAGE,   /* a page of a mapped file that was not mapped yet */
    HOT_CAUSE_SYSTEM_PAGE, /* the kernel's own clock page, mapped at its first use */
    HOT_CAUSE_KERNEL,      /* the kernel touched the program's memory in a system call */
    HOT_CAUSE_COUNT
};

#define HOT_NAME_MAX 128 /* longer names are cut; paths lose their beginning */

/* Where an address comes from. */
struct hot_symbol {
    uintptr_t address;
    char function[HOT_NAME_MAX]; /* or variable; "" unknown */
    char file[HOT_NAME_MAX];     /* of the source; "" unknown */
    uint32_t line;               /* 0 unknown */
    char object[HOT_NAME_MAX];   /* program or library; "" unknown */
    uintptr_t object_offset;     /* as addr2line and objdump count */
};

#define HOT_EVIDENCE_MAX 10
#define HOT_EVIDENCE_BYTES 120

/* All that could be found out about a violation. Some 13 KiB: make it static or allocate it where
 * stacks are small. */
struct hot_description {
    size_t struct_size; /* filled by HOT_DESCRIPTION_INIT */
    enum hot_place place;
    enum hot_access access;
    enum hot_cause cause;
    const char *cause_sentence;    /* static */
    const char *remedy;            /* static; NULL when there is none */
    uint32_t owner_thread_id;      /* whose stack or thread-local variables; 0 not known */
    uintptr_t mapping_begin;       /* of the mapping that holds the address; 0 not known */
    uintptr_t mapping_end;         /* behind it */
    uint64_t file_offset;          /* of the address, in a mapped file */
    char mapping[HOT_NAME_MAX];    /* path of the file, or name of the mapping; "" without one */
    struct hot_symbol data;        /* of the address, where a variable has it */
    struct hot_symbol instruction; /* that faulted */
    size_t frame_count;            /* its callers, innermost first */
    struct hot_symbol frames[HOT_FRAMES_MAX];
    size_t evidence_count; /* what the cause was worked out from, a line each */
    char evidence[HOT_EVIDENCE_MAX][HOT_EVIDENCE_BYTES];
};
#define HOT_DESCRIPTION_INIT                                                                       \
    {                                                                                              \
        .struct_size = sizeof(struct hot_description)                                              \
    }

/**
 * Find out what a violation touched, who did it, and why it most likely faulted.
 *
 * Looks at the system as it is now, so the sooner it is asked the more it knows; in the hook is
 * best. It pauses the guard of the calling thread for what it does itself. Names of functions
 * with file and line need debug information and elfutils' libdw at run time; without them,
 * objects and offsets remain.
 *
 * Returns  0; -EINVAL an argument is NULL or the size of `description` is unknown; -EBUSY the hook
 *          runs in the signal handler of a trap, where nothing of this may be done; -ENOMEM no
 *          memory for it
 * Latency  cold: allocates, reads /proc, may load a library and read debug information
 * Threads  any; the violation's own knows most
 * Since    0.1
 */
ZEROFAULT_API int hot_violation_describe(const struct hot_violation *violation,
                                         struct hot_description *description);

/**
 * Name a place, an access or a cause in a few lower-case words.
 *
 * Returns  a static string; "unknown" for a value out of range
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API const char *hot_place_name(enum hot_place place);
/** As hot_place_name. Returns a static string. Latency hot. Threads any. Since 0.1. */
ZEROFAULT_API const char *hot_access_name(enum hot_access access);
/** As hot_place_name. Returns a static string. Latency hot. Threads any. Since 0.1. */
ZEROFAULT_API const char *hot_cause_name(enum hot_cause cause);

ZEROFAULT_END_DECLS

#endif
