/*
 * Warmup: what was asked, what was granted, and why not.
 *
 * Nothing here acts; arena_warmup does. These are the wishes that an arena is created with and
 * the report that comes back. A wish is either preferred (a refusal is reported) or required (a
 * refusal fails).
 */
#ifndef ZEROFAULT_WARMUP_H
#define ZEROFAULT_WARMUP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <zerofault/attributes.h>
#include <zerofault/wish.h>

ZEROFAULT_BEGIN_DECLS

/* ---------------------------------------------------------------------------------------- types */

/* The steps, in the order in which they run. */
enum warmup_phase {
    WARMUP_PREFLIGHT = 0, /* is the memory to be had at all */
    WARMUP_POPULATE,      /* every page present and writable */
    WARMUP_COLLAPSE,      /* leftovers made huge */
    WARMUP_LOCK,          /* out of reach of reclaim */
    WARMUP_FREEZE,        /* out of reach of khugepaged and KSM */
    WARMUP_PROVE,         /* a second write that must find nothing to do */
    WARMUP_PHASE_COUNT
};

/* What carries out the populate step. */
enum warmup_method {
    WARMUP_METHOD_NONE = 0,
    WARMUP_METHOD_POPULATE_WRITE, /* madvise(MADV_POPULATE_WRITE), Linux 5.14 */
    WARMUP_METHOD_MLOCK,          /* mlock as populate, on older kernels */
    WARMUP_METHOD_TOUCH           /* an atomic write of nothing to each page, the last resort */
};

/* What became of one wish. */
struct warmup_item {
    enum warmup_wish asked; /* WARMUP_OFF, WARMUP_PREFER or WARMUP_REQUIRE */
    int error;              /* 0, or -errno of the refusal */
    size_t asked_bytes;     /* how much of the arena the wish is about; 0 when off */
    size_t granted_bytes; /* how much of it was found to be so; equal to asked_bytes when granted */
    const char *remedy;   /* one static sentence, or NULL when there is nothing to mend */
};

/* What stood in the way of a populate, a step that every warmup requires. */
enum warmup_limit {
    WARMUP_LIMIT_NONE = 0,
    WARMUP_LIMIT_SYSTEM,  /* MemAvailable */
    WARMUP_LIMIT_CGROUP,  /* memory.max or memory.limit_in_bytes of this group or one above */
    WARMUP_LIMIT_MEMLOCK, /* RLIMIT_MEMLOCK */
    WARMUP_LIMIT_NODE,    /* free memory of the NUMA node */
    WARMUP_LIMIT_POOL,    /* reserved huge pages of the node, or of the machine */
    WARMUP_LIMIT_HUGETLB, /* a control group's limit for reserved huge pages */
    WARMUP_LIMIT_MAPPINGS /* vm.max_map_count; the report has counts of mappings, not bytes */
};

/* Nodes that a report can tell apart; pages on further ones are counted as misplaced or not, but
 * not listed. */
#define WARMUP_NODES_MAX 64

/* Pages on one NUMA node. */
struct warmup_node {
    int node;
    size_t resident_bytes;
};

/* Reserved huge pages of one size: what became of the wish, and what their pool had. Counts are of
 * pages; they are of the moment before the first page was taken. */
struct warmup_hugetlb {
    struct warmup_item item; /* granted is what is in pages of this size or a larger one */
    size_t page_bytes;       /* of one page */
    int node;                /* whose pool is meant: the one that is too small, or the only one
                               * asked; -1 several */
    enum warmup_limit limit; /* which refused: pool or control group; or none */
    size_t needed_count;     /* there; 0 when the pool was not asked */
    size_t available_count;  /* free and not promised, or to be made on demand */
    size_t total_count;      /* in the pool */
    size_t free_count;       /* of those, not in use */
    size_t reserved_count;   /* of the machine's free ones, promised to others */
    size_t surplus_count;    /* of the total, made on demand */
    size_t overcommit_count; /* as many may be, on the machine */
    size_t raised_count;     /* added to pools for this arena, taken away when it is destroyed */
    int raise_error;         /* 0, or why nothing could be added */
};

/* Sizes of pages that a report can tell apart. */
#define WARMUP_SIZES_MAX 16

/* Memory that pages of one size map. */
struct warmup_size {
    size_t page_bytes;
    size_t resident_bytes;
};

/* What a warmup did. Initialise with WARMUP_REPORT_INIT. */
struct warmup_report {
    size_t struct_size;     /* filled by WARMUP_REPORT_INIT */
    int result;             /* what arena_warmup returned */
    char name[48];          /* of the arena */
    size_t size_bytes;      /* of the arena, in whole pages */
    size_t page_bytes;      /* of a small page */
    size_t huge_page_bytes; /* of a transparent huge page; 0 when the kernel has none */

    enum warmup_limit limit;   /* which limit refused, if one did */
    size_t limit_needed_bytes; /* what was needed under it */
    size_t limit_free_bytes;   /* what it had left */

    enum warmup_method method; /* what populated */
    int fallback_error;        /* why not the method before it: 0 or -errno */
    struct warmup_item
        populate;            /* always required; granted is what the page map shows as present */
    struct warmup_item bind; /* placement; granted is what move_pages found where it belongs */
    struct warmup_item huge_pages;
    struct warmup_item lock;
    struct warmup_item fork;      /* exclusion from fork, or wipe */
    struct warmup_item name_item; /* name in /proc/PID/maps; off when the kernel cannot */
    struct warmup_item freeze;    /* shut out khugepaged and KSM */
    int node;                     /* node asked for, or -1 for local */

    uint64_t faults_minor; /* taken by the whole warmup in all of its threads */
    uint64_t faults_major;
    uint64_t proof_faults; /* of the second write; 0 when proven */
    int proven; /* 1: the second write found nothing to do, and faults are counted here */
    uint64_t spent_ns[WARMUP_PHASE_COUNT]; /* per step */

    enum arena_placement placement; /* asked for */
    int home_node;          /* the one node that the pages belong on; -1 several, or not known */
    size_t misplaced_bytes; /* resident on a node where they do not belong */
    size_t nodes_count;     /* of the next; 0 when the system tells no nodes */
    struct warmup_node nodes[WARMUP_NODES_MAX]; /* where the pages are, by rising number */

    /* Found by arena_verify, since the last warmup. */
    uint64_t forks;          /* by which the pages are shared */
    uint64_t migrated_pages; /* by the kernel, anywhere on the machine: compaction, say */

    size_t threads_asked; /* as many as there were to be; never more than chunks */
    size_t threads_got;   /* that every step had, the calling one among them */
    int threads_error; /* why fewer, or why elsewhere: 0 or -errno; the work is done all the same */
    const char *threads_remedy;   /* one static sentence, or NULL */
    enum warmup_phase last_phase; /* in which the warmup ended */
    size_t done_bytes; /* from the start of the arena, all of which that phase has done */

    struct warmup_hugetlb hugetlb_1g; /* the steps before transparent huge pages, in this order */
    struct warmup_hugetlb hugetlb_2m;
    uint64_t transparent_sizes; /* that the kernel gives who asks, as the sum of these powers of
                                 * two; more than one since Linux 6.8; 0 when not wished */
    size_t sizes_count;         /* of the next; 0 when the system does not tell */
    struct warmup_size sizes[WARMUP_SIZES_MAX]; /* the whole arena, largest pages first */
    int sizes_error; /* why sizes between a small and a huge page are counted as small: 0 or -errno;
                      * -EPERM to see them takes CAP_SYS_ADMIN */
};
#define WARMUP_REPORT_INIT                                                                         \
    {                                                                                              \
        .struct_size = sizeof(struct warmup_report)                                                \
    }

/* Where a warmup is. */
struct warmup_progress {
    enum warmup_phase phase;
    size_t done_bytes;         /* of this phase */
    size_t total_bytes;        /* of this phase */
    uint64_t spent_ns;         /* in this phase */
    uint64_t bytes_per_second; /* in this phase until now; 0 when it is too early to tell */
};

/* More threads than this are refused. */
#define WARMUP_THREADS_MAX 128

/*
 * How a warmup runs. Zero of every field is the default.
 *
 * Cancelling, by `progress` or `cancel`, ends the call with -ECANCELED: each thread finishes the
 * chunk in its hands and none begins another, so that the report's `done_bytes` from the start of
 * the arena are done by its `last_phase`, and nothing behind them. Asking for the nodes of pages,
 * and moving them, ends likewise, after 512 pages; where a machine has several nodes, a cancelled
 * warmup leaves its pages uncounted, with nothing granted to `bind`. The pages stay, the arena
 * counts as cold, and a later warmup finishes the work. After an error the same holds, but that
 * chunks behind the one that failed, which is the first of those that did, may be done too.
 */
struct warmup_options {
    size_t struct_size; /* filled by WARMUP_OPTIONS */
    /* Called by the thread that called the warmup, and by it alone, after each chunk that this
     * thread has done, and once more when all are done; bytes of other threads are counted in.
     * While pages are asked for their nodes and moved, before a phase's first chunk or after its
     * last, it is called with the same bytes again every tenth of a second.
     * Anything but 0 cancels, and it is not called again. */
    int (*progress)(const struct warmup_progress *progress, void *context);
    void *context;      /* handed to `progress` */
    size_t chunk_bytes; /* done at a time, so that locks are held briefly; default 4 MiB */
    /* That populate and prove, the calling one among them. Default: one for each CPU of the arena's
     * nodes that this process may use, at most 16, and one alone for less than 16 MiB. */
    size_t threads;
    /* When not NULL: any thread or signal handler may make it other than 0, atomically, to cancel.
     */
    const int *cancel;
};
#define WARMUP_OPTIONS(...)                                                                        \
    ((struct warmup_options){.struct_size = sizeof(struct warmup_options), __VA_ARGS__})

/* --------------------------------------------------------------------------------------- report */

/**
 * Print a report for people: one line per wish, asked against got, with errno and remedy.
 *
 * Returns  0; -EINVAL an argument is NULL or the size is unknown; -EIO the stream, which is
 *          flushed, failed
 * Latency  cold
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API int warmup_report_print(const struct warmup_report *report, FILE *stream);

/**
 * Name a phase, a method or a limit in one lower-case word or two.
 *
 * Returns  a static string; "unknown" for a value out of range
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API const char *warmup_phase_name(enum warmup_phase phase);
/** As warmup_phase_name. Returns a static string. Latency hot. Threads any. Since 0.1. */
ZEROFAULT_API const char *warmup_method_name(enum warmup_method method);
/** As warmup_phase_name. Returns a static string. Latency hot. Threads any. Since 0.1. */
ZEROFAULT_API const char *warmup_limit_name(enum warmup_limit limit);

ZEROFAULT_END_DECLS

#endif
