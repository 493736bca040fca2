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
    bool chain_broken; /* further callers are unknown: what the chain has there is no code */
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

/* --------------------------------------------------------------------------------------- report */

struct hot_report;

/* How a report is made. Zero of every field is the default. */
struct hot_report_options {
    size_t struct_size; /* filled by HOT_REPORT_OPTIONS */
    size_t sites_max;   /* sites that it keeps apart, some 2 KiB each; default 128, at most 65536 */
};
#define HOT_REPORT_OPTIONS(...)                                                                    \
    ((struct hot_report_options){.struct_size = sizeof(struct hot_report_options), __VA_ARGS__})

/* Violations of one kind, in one section, by one instruction with one call chain, in one arena or
 * none. */
struct hot_site {
    size_t struct_size; /* filled by HOT_SITE_INIT */
    enum hot_kind kind;
    enum hot_source source;
    char section[48];                /* name */
    char section_file[HOT_NAME_MAX]; /* where it is defined */
    uint32_t section_line;
    bool suppressed;   /* by a rule */
    uint64_t count;    /* violations */
    uint64_t first_ns; /* CLOCK_MONOTONIC of the first, and of the last */
    uint64_t last_ns;
    uintptr_t address;     /* data address of the first; 0 unknown */
    uintptr_t address_min; /* of all; 0 unknown */
    uintptr_t address_max;
    uintptr_t instruction;     /* 0 unknown */
    char arena[48];            /* that owns the address; "" none */
    size_t arena_offset_bytes; /* of the first */
    uint32_t thread_id;        /* of the first */
    size_t request_bytes;      /* HOT_REFUSED: of the first */
    long system_call;          /* HOT_SYSTEM_CALL, else -1 */
    uint64_t duration_ns;      /* HOT_OVER_BUDGET: of the first */
    uint32_t cpu_before;       /* HOT_MIGRATION: of the first */
    uint32_t cpu_after;
    size_t frame_count; /* return addresses, innermost first */
    uintptr_t frames[HOT_FRAMES_MAX];
};
#define HOT_SITE_INIT                                                                              \
    {                                                                                              \
        .struct_size = sizeof(struct hot_site)                                                     \
    }

/* Sums of a report. */
struct hot_report_totals {
    size_t struct_size;             /* filled by HOT_REPORT_TOTALS_INIT */
    size_t sites;                   /* kept; hot_report_site takes numbers below this */
    uint64_t violations;            /* at those */
    size_t suppressed_sites;        /* of the sites */
    uint64_t suppressed_violations; /* of the violations */
    uint64_t unsorted_violations;   /* counted, but there was no room for their sites */
};
#define HOT_REPORT_TOTALS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(struct hot_report_totals)                                            \
    }

/**
 * Make an empty report, with all the memory that adding to it will need.
 *
 * Returns  0; -EINVAL `report` is NULL or a field has a bad value; -E2BIG `options` has a non-zero
 *          tail that this version does not know; -ENOMEM no memory
 * Latency  cold: a few system calls
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API int hot_report_create(struct hot_report **report,
                                    const struct hot_report_options *options);

/**
 * Give a report back. NULL is ignored.
 *
 * Returns  nothing
 * Latency  cold
 * Threads  no other call on this report may run meanwhile, hooks included
 * Since    0.1
 */
ZEROFAULT_API void hot_report_destroy(struct hot_report *report);

/**
 * Add a violation to a report; a hot_hook, with the report as its context.
 *
 * A site that is known already costs a search and a few additions; a new one is copied, with the
 * evidence that only this moment has. Does not allocate, wait or enter the kernel. When there is no
 * room for another site, the violation is counted as unsorted.
 *
 * Returns  nothing
 * Latency  warm: no system call, no lock; O(records in the thread's ring) for a new site
 * Threads  any number at once; also in signal handlers
 * Since    0.1
 */
ZEROFAULT_API void hot_report_add(const struct hot_violation *violation, void *report);

/**
 * Leave certain sites out of print.
 *
 * A rule is a word, a colon and a pattern in which `*` stands for any text: "function:load_*" and
 * "object:libfoo.so*" fit when the faulting instruction or any caller lies there, "arena:scratch"
 * the arena of the address, "section:warm*" the section's name. A path fits with or without its
 * folders. What a rule leaves out is still counted and told as such.
 *
 * Returns  0; -EINVAL an argument is NULL or the rule is none; -ENOMEM no memory
 * Latency  cold
 * Threads  not with other calls on this report but hot_report_add
 * Since    0.1
 */
ZEROFAULT_API int hot_report_suppress(struct hot_report *report, const char *rule);

/**
 * Read rules from a file: one to a line; empty lines, and what follows a `#`, are ignored.
 *
 * All of them or none are taken. `line` may be NULL; otherwise it tells the number of the line that
 * was refused, or 0.
 *
 * Returns  0; -EINVAL an argument is NULL or a line is no rule; -ENOMEM no memory; otherwise the
 *          error of opening or reading the file
 * Latency  cold
 * Threads  as hot_report_suppress
 * Since    0.1
 */
ZEROFAULT_API int hot_report_suppress_file(struct hot_report *report, const char *path,
                                           size_t *line);

/**
 * Sum up.
 *
 * Returns  0; -EINVAL an argument is NULL or the size of `totals` is unknown
 * Latency  cold when there are rules about functions or objects, else warm
 * Threads  as hot_report_suppress
 * Since    0.1
 */
ZEROFAULT_API int hot_report_sum(struct hot_report *report, struct hot_report_totals *totals);

/**
 * Fill in one site, by its number in the order of first violations.
 *
 * Returns  0; -EINVAL an argument is NULL or the size of `site` is unknown; -ENOENT there is no
 *          such site; -EAGAIN it is being added this moment
 * Latency  cold when there are rules about functions or objects, else warm
 * Threads  as hot_report_suppress
 * Since    0.1
 */
ZEROFAULT_API int hot_report_site(struct hot_report *report, size_t number, struct hot_site *site);

/**
 * Describe the first violation of a site, with what was known of it when it was added.
 *
 * Returns  0; -EINVAL an argument is NULL or the size of `description` is unknown; -ENOENT,
 *          -EAGAIN as of hot_report_site; -ENOMEM no memory
 * Latency  cold: as hot_violation_describe
 * Threads  as hot_report_suppress
 * Since    0.1
 */
ZEROFAULT_API int hot_report_describe(struct hot_report *report, size_t number,
                                      struct hot_description *description);

/**
 * Print a report for people, the gravest kind first: for each site what, where, by whom, the likely
 * cause and what helps; then by which sources the threads are guarded that are attached now, and
 * what those cannot see; and one line that sums up and begins with SUMMARY.
 *
 * Returns  0; -EINVAL an argument is NULL; -ENOMEM no memory; -EIO the stream, which is flushed,
 *          failed
 * Latency  cold: as hot_violation_describe, for each site
 * Threads  as hot_report_suppress
 * Since    0.1
 */
ZEROFAULT_API int hot_report_print(struct hot_report *report, FILE *stream);

ZEROFAULT_END_DECLS

#endif
