/*
 * The machine: which settings of it bring page faults back after a warmup, and whether it can hold
 * what is planned.
 *
 * An audit reads /proc and /sys and nothing else: it allocates no page of what is planned, changes
 * no setting, and needs no privileges, though without them some checks stay unknown. It judges for
 * one process, whose limits, control groups and cpuset count. Everything is read below a root
 * directory, so the files of another machine can be audited here.
 *
 *     struct machine_audit *audit;
 *     int rc = machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.plan_bytes = 1u << 30));
 *     if (rc == 0 && !machine_audit_plan_works(audit))
 *         ...
 *     machine_audit_destroy(audit);
 */
#ifndef ZEROFAULT_MACHINE_H
#define ZEROFAULT_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zerofault/attributes.h>

ZEROFAULT_BEGIN_DECLS

/* ---------------------------------------------------------------------------------------- types */

/* How bad a finding is, in rising order. */
enum machine_severity {
    MACHINE_OK = 0,  /* as it should be */
    MACHINE_INFO,    /* nothing to mend, worth knowing */
    MACHINE_UNKNOWN, /* could not be read, or says something that this version does not know */
    MACHINE_WARNING, /* can bring page faults back, or make a warmup fall short */
    MACHINE_CRITICAL /* a warmup, or the plan, cannot work like this */
};

/* One finding. Lives as long as its audit; later versions add fields at the end. */
struct machine_check {
    const char *name;  /* stable, of lower-case letters, digits and underscores */
    const char *topic; /* stable: "system", "numa", "pages", "daemons", "limits", "guard", "plan" */
    enum machine_severity severity;
    const char *value;  /* what was found, in printable ASCII */
    const char *why;    /* why it matters, in sentences */
    const char *fix;    /* the command that mends it, as root; NULL when there is none */
    const char *source; /* the file that was read, as a path below the root; NULL for several */
};

/* Reserved huge pages of one size. */
struct machine_pool {
    size_t page_bytes;
    size_t total_count; /* pages in the pool */
    size_t free_count;  /* of those, not in use */
};

/* One NUMA node that is online. Numbers may have gaps, and a node may lack CPUs or memory. Lives
 * as long as its audit; later versions add fields at the end. */
struct machine_node {
    unsigned number;           /* the kernel's */
    bool allowed;              /* the process's cpuset lets it take memory there */
    size_t cpus_count;         /* online CPUs */
    const char *cpus;          /* as a list, "0-3,8"; "" for a node of memory alone */
    size_t total_bytes;        /* memory; 0 for a node of CPUs alone */
    size_t free_bytes;         /* to be had without reclaim: above the kernel's low watermark */
    size_t cache_bytes;        /* clean file cache, free once it is dropped */
    size_t huge_free_bytes;    /* free in blocks of a transparent huge page or more */
    const unsigned *distances; /* to each node of the audit, by index; NULL when not known */
    const struct machine_pool *pools; /* reserved huge pages, smallest size first */
    size_t pools_count;
};

/* Values for machine_audit_options.plan_node; those of arena_options.node. */
#define MACHINE_NODE_ANY 0                  /* wherever the kernel puts it */
#define MACHINE_NODE(number) ((number) + 1) /* all of it on this node */

/* What is audited. Zero of every field is the default. */
struct machine_audit_options {
    size_t struct_size;     /* filled by MACHINE_AUDIT_OPTIONS */
    const char *root;       /* directory that holds proc and sys; default "/" */
    uint32_t process;       /* its limits count, by the kernel's number; default: the caller */
    int plan_node;          /* MACHINE_NODE_ANY or MACHINE_NODE(n) */
    size_t plan_bytes;      /* preflight a warm range of this size; 0: no plan */
    size_t plan_huge_bytes; /* page size of the plan, such as 2 MiB; 0: small pages */
    bool plan_lock;         /* the plan needs its memory locked */
    bool plan_reserved;     /* reserved huge pages of that size or none, as `hugetlb_2m` and
                             * `hugetlb_1g` of an arena that are WARMUP_REQUIRE; no transparent ones
                             * stand in for them */
};
#define MACHINE_AUDIT_OPTIONS(...)                                                                 \
    ((struct machine_audit_options){.struct_size = sizeof(struct machine_audit_options),           \
                                    __VA_ARGS__})

/* Opaque; memory that holds all findings. */
struct machine_audit;

/* ------------------------------------------------------------------------------------ lifecycle */

/**
 * Audit the machine, and the plan if there is one.
 *
 * What cannot be read becomes a finding of severity MACHINE_UNKNOWN, and never fails the call as
 * long as anything can be read. The plan's checks have the topic "plan" and come first. An answer
 * can be out of date a moment later: other processes take memory too.
 *
 * Returns  0; -EINVAL `out` is NULL, or the plan has a node or a page size but no bytes, a page
 *          size that is no power of two, reserved pages without a page size, or a negative node;
 *          -E2BIG `options` has a non-zero tail that this version does not know; -ENAMETOOLONG the
 *          root is too long; -ENOENT neither /proc nor /sys can be read below the root; -ESRCH
 *          there is no such process; -ENOMEM. `*out` is NULL unless 0 is returned.
 * Latency  cold: reads some hundred small files, and has the page tables of the process walked
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API int machine_audit_create(struct machine_audit **out,
                                       const struct machine_audit_options *options);

/**
 * Free an audit and everything it handed out. NULL is ignored.
 *
 * Returns  nothing
 * Latency  cold
 * Threads  nobody may use the audit meanwhile
 * Since    0.1
 */
ZEROFAULT_API void machine_audit_destroy(struct machine_audit *audit);

/* -------------------------------------------------------------------------------------- queries */

/**
 * Take one finding by its index, from 0 up.
 *
 * Returns  the check; NULL behind the last one
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API const struct machine_check *machine_audit_check(const struct machine_audit *audit,
                                                              size_t index);

/**
 * Take one online node by its index, from 0 up; the numbers rise.
 *
 * Returns  the node; NULL behind the last one. A kernel without NUMA has one node of number 0
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API const struct machine_node *machine_audit_node(const struct machine_audit *audit,
                                                            size_t index);

/**
 * Tell the worst severity among all findings, where MACHINE_UNKNOWN counts less than a warning.
 *
 * Returns  the severity
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API enum machine_severity machine_audit_worst(const struct machine_audit *audit);

/**
 * Tell whether nothing that could be read stands against the plan.
 *
 * Returns  true when no check of the topic "plan" is critical; also without a plan
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API bool machine_audit_plan_works(const struct machine_audit *audit);

/**
 * Name a severity in one lower-case word.
 *
 * Returns  a static string; "unknown" also for a value out of range
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API const char *machine_severity_name(enum machine_severity severity);

ZEROFAULT_END_DECLS

#endif
