/*
 * An operating system that refuses on command, linked in place of src/os.
 *
 * Memory and presence are real, a fault is counted for each page that becomes present; who may
 * have what is decided by the knobs below. A test sets fake_os.fail_call to 1, 2, 3, ... until
 * the code under test succeeds, and asks after each round whether anything is left behind. Calls
 * that undo (release, unlock, close) never fail.
 */
#ifndef ZF_TESTS_FAKE_OS_H
#define ZF_TESTS_FAKE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/helper.h"
#include "os/os.h"

/* The calls that can fail. */
enum fake_call {
    FAKE_RESERVE = 0,
    FAKE_COMMIT,
    FAKE_NAME,
    FAKE_POPULATE,
    FAKE_POPULATE_READ,
    FAKE_LOCK,
    FAKE_LOCK_AHEAD,
    FAKE_RESIDENCY,
    FAKE_LOCKED_BYTES,
    FAKE_NODES,
    FAKE_PREFER_NODE,
    FAKE_PLACE,
    FAKE_PAGE_NODES,
    FAKE_MOVE_PAGES,
    FAKE_FORK_ADVICE,
    FAKE_HUGE_WISHED,
    FAKE_HUGE_COLLAPSE,
    FAKE_HUGE_FROZEN,
    FAKE_NEVER_MERGE,
    FAKE_LOCKABLE_BYTES,
    FAKE_READ_FILE,
    FAKE_RING_OPEN,
    FAKE_THREAD_AT_EXIT,
    FAKE_EACH_IMAGE,
    FAKE_EACH_THREAD_LOCAL,
    FAKE_STACK,
    FAKE_STACK_GROW,
    FAKE_HEAP_KEEP,
    FAKE_HEAP,
    FAKE_LOCK_ALL,
    FAKE_PROCESS_MEMORY,
    FAKE_POOL_MAP,
    FAKE_POOL_SETTLE,
    FAKE_POOL_REPLACE,
    FAKE_PAGE_SIZES,
    FAKE_WRITE_FILE,
    FAKE_HELPER_START,
    FAKE_CALL_COUNT
};

#define FAKE_NODES_MAX 4

/* A pool of reserved huge pages. */
struct fake_pool {
    size_t page_bytes;
    bool absent; /* this system has no pages of that size */
    size_t pages[FAKE_NODES_MAX];
    size_t pages_max[FAKE_NODES_MAX]; /* as far as it can be raised */
};

struct fake_os {
    unsigned fail_call; /* this call, counted from 1, fails with fail_error; 0 none */
    int fail_error;
    int refuse[FAKE_CALL_COUNT]; /* what each kind of call always answers; 0: it works */
    bool populate_lies;          /* populate says 0 and does nothing */
    bool lock_lies;              /* so does lock */
    unsigned stale_populates;    /* this many populates of present pages still find one fault */
    bool counts_no_faults;       /* the counters stand still */
    size_t huge_page_bytes;      /* 0: none */
    size_t huge_free_bytes;      /* how much huge memory there is */
    size_t huge_free_at_collapse_bytes;  /* how much more appears for a collapse */
    size_t lockable_bytes;               /* limit for locked memory */
    size_t available_bytes;              /* MemAvailable */
    int nodes_count;                     /* nodes 0 to this less 1 exist; more than one are told */
    size_t node_room_bytes;              /* free on each node but the last, which takes the rest */
    int cpus_count;                      /* CPUs 0 to this less 1 may be used */
    const unsigned char *broken;         /* populating this byte or one behind it fails */
    int broken_error;                    /* with this */
    void (*at_page_nodes)(void);         /* called at each question where pages are; or NULL */
    unsigned absent_looks;               /* this many questions where pages are find none */
    struct zf_os_image images[4];        /* of loaded objects, in ranges of the test */
    struct zf_os_image thread_variables; /* of the thread; base NULL: none */
    struct zf_os_stack stack;            /* of the thread, in a range of the test */
    unsigned char *stack_limit;          /* how far it may grow */
    struct zf_os_image heap;             /* that malloc grows; base NULL: none */
    struct zf_os_binding binding;        /* what is bound */
    struct zf_os_process_memory memory;  /* before it is locked; lock_all locks all of it */
    struct fake_pool pools[ZF_OS_POOLS_COUNT]; /* empty, and not to be raised */

    /* What happened. */
    unsigned calls;        /* that could have failed */
    enum fake_call failed; /* which one fail_call hit; FAKE_CALL_COUNT while none */
    unsigned made[FAKE_CALL_COUNT];
    struct zf_cpu_set helper_cpus; /* of the last helper that was started */
    size_t helpers_count;          /* started and not joined */
};
extern struct fake_os fake_os;

/* What the fake knows of one reserved range. */
struct fake_range {
    unsigned char *base;
    size_t size_bytes;
    size_t committed_bytes;
    unsigned char *page_flags; /* one byte per page: locked, huge */
    unsigned char *page_nodes; /* one byte per page: its node, once present */
    int node;                  /* -1 local; -2 no policy; -3 a set */
    enum zf_os_policy policy;  /* of a set */
    struct zf_node_set nodes;
    bool fork_excluded;
    bool fork_wiped;
    bool huge_wished;
    bool huge_frozen;
    bool never_merged;
    size_t pool_bytes;  /* of a reserved huge page; 0: not of a pool */
    bool pool_promised; /* pages that are not there are set aside */
    char name[80];
};

/* Start a test: all knobs as on a generous machine, all counts 0, and nothing left of a test that
 * failed. */
void fake_os_reset(void);

/* Ranges reserved and not released. */
size_t fake_os_ranges_count(void);

/* Bytes locked in all ranges. */
size_t fake_os_locked_bytes(void);

/* Bytes that are present on a node, in all ranges. */
size_t fake_os_node_bytes(int node);

/* Pages of a pool that are in no range, on a node or, for -1, on all. */
size_t fake_pool_free_pages(int pool, int node);

/* The live range that holds an address; NULL when there is none. */
const struct fake_range *fake_os_range(const void *address);

/* Put a record into every open fault ring, as if the thread had faulted. Real faults of the
 * program do not show there: the fake's rings are blind unless told. */
void fake_os_fault(uintptr_t address, uintptr_t instruction);

/* Fault rings opened and not closed. */
size_t fake_os_rings_count(void);

/* For the fake's other files: count a call; what it has to answer, 0 when it shall work. */
int fake_os_enter(enum fake_call call);

/* Run what the thread asked to have run at its end. */
void fake_os_end_thread(void);

#endif
