/*
 * Everything that zerofault asks of an operating system.
 *
 * One folder per system implements it; the build chooses. No other part names a system call. An
 * int result is 0 or -errno; on failure nothing is changed unless a comment says so. Ranges are
 * whole pages: `base` and `size_bytes` are multiples of zf_os_page_bytes(), size_bytes is not 0,
 * and the range was reserved here, unless a comment says "any"; the functions assert it.
 * -EOPNOTSUPP always means that this system does not know the call, never that it refused this one.
 */
#ifndef ZF_OS_OS_H
#define ZF_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cpu_set.h"
#include "base/node_set.h"

/* ----------------------------------------------------------------------------------- page sizes */

/* Bytes of the smallest page. Cannot fail. */
size_t zf_os_page_bytes(void);

/* Bytes of a transparent huge page; 0 when the system has none. */
size_t zf_os_huge_page_bytes(void);

/* Sizes of reserved huge pages that arenas can be backed by, largest first. */
enum { ZF_OS_POOL_1G = 0, ZF_OS_POOL_2M, ZF_OS_POOLS_COUNT };

/* Bytes of a page of one of these pools, whether or not the system has it. */
size_t zf_os_pool_page_bytes(int pool);

/* ------------------------------------------------------------------------------- address ranges */

/* Reserve addresses, none of them usable, aligned to a power of two >= the page size. Nothing
 * usable lies right behind them.
 * -ENOMEM no address space, or too many ranges. */
int zf_os_reserve(size_t size_bytes, size_t alignment, void **base);

/* Make part of a reserved range readable and writable, zero-filled on first touch. No page
 * becomes resident. -ENOMEM the system's commit limit. */
int zf_os_commit(void *base, size_t size_bytes);

/* Give a whole range of zf_os_reserve back, or a part of one. */
int zf_os_release(void *base, size_t size_bytes);
int zf_os_release_part(void *base, size_t size_bytes);

/* Take addresses that reserved huge pages of this size will back, aligned to it, committed, none of
 * them resident; the system sets as many pages of its pools aside, on whatever node. -ENOMEM its
 * pools, or the control group, have too few; -EOPNOTSUPP no pages of this size. */
int zf_os_pool_map(size_t size_bytes, size_t page_bytes, void **base);

/* Give a range of zf_os_pool_map that was not settled back. */
int zf_os_pool_unmap(void *base, size_t size_bytes);

/* Put a range of zf_os_pool_map, with its pages, policy and advice, in the place of a whole
 * reserved range of that size and alignment, which loses what it held; the old addresses are gone.
 * -EOPNOTSUPP this system cannot move such pages, and nothing is changed; -ENOMEM too many ranges,
 * and the range that was to move is gone. */
int zf_os_pool_settle(void *from, size_t size_bytes, void *to);

/* Put reserved huge pages in the place of a whole reserved range, none of them resident, and none
 * set aside: populating may find the pools empty, and a touch is then the end of the process.
 * -EOPNOTSUPP no pages of this size; -ENOMEM. */
int zf_os_pool_replace(void *base, size_t size_bytes, size_t page_bytes);

/* Put fresh small pages, none of them resident, in the place of a whole reserved range, which loses
 * content, policy, advice and name. -ENOMEM the system's commit limit. */
int zf_os_renew(void *base, size_t size_bytes);

/* Give a committed range a name that the system's own tools show. -EOPNOTSUPP the system keeps no
 * names. */
int zf_os_name(void *base, size_t size_bytes, const char *name);

/* ------------------------------------------------------------------------ residency and locking */

/* Make every page of any writable range present and writable, keeping content, as if each had been
 * written. -EOPNOTSUPP the system cannot (touch instead); -ENOMEM no memory; -EFAULT a page
 * cannot be had; -EHWPOISON broken memory. Pages before the failing one stay. A success proves
 * nothing: ask zf_os_residency. */
int zf_os_populate(void *base, size_t size_bytes);

/* Make every page of any readable range present, as if each had been read. As zf_os_populate. */
int zf_os_populate_read(const void *base, size_t size_bytes);

/* Keep the pages of the range in memory, populating those that are not there. -ENOMEM over the
 * limit for locked memory, or no memory; -EPERM no locking for this process at all; -EAGAIN some
 * pages could not be locked. */
int zf_os_lock(void *base, size_t size_bytes);

/* Have each page of the range locked from the moment on in which it becomes present; none becomes
 * so now. Errors as of zf_os_lock; also -EOPNOTSUPP. */
int zf_os_lock_ahead(void *base, size_t size_bytes);

int zf_os_unlock(void *base, size_t size_bytes); /* pages stay present */

/* What is known of a range's pages. Never faults a page in. */
struct zf_os_residency {
    size_t present_bytes; /* backed by memory of its own, mapped */
    size_t huge_bytes;    /* of those, mapped by huge pages; 0 when not known */
    bool huge_known;      /* the system told huge_bytes */
};

/* Fill in what is known; never more than is so. -EOPNOTSUPP the system cannot even tell what is
 * present; other errors as the system gives them. */
int zf_os_residency(const void *base, size_t size_bytes, struct zf_os_residency *residency);

/* May all of it be read and written? 0; -EACCES; -ENXIO a part is gone; -EOPNOTSUPP not known. */
int zf_os_writable(const void *base, size_t size_bytes);

/* Count bytes in pages that other processes have too: a write takes a new one. -EOPNOTSUPP. */
int zf_os_shared_bytes(const void *base, size_t size_bytes, size_t *shared_bytes);

/* Count the bytes that are present and locked by the system's own accounting. `known` is what
 * zf_os_residency has just told of the range, which spares asking again, or NULL. -EOPNOTSUPP the
 * system cannot tell. */
int zf_os_locked_bytes(const void *base, size_t size_bytes, const struct zf_os_residency *known,
                       size_t *locked_bytes);

/* Bytes of a range by the size of the pages that map them: bytes[n] by pages of 2^n bytes. */
#define ZF_OS_PAGE_SHIFTS 40
struct zf_os_page_sizes {
    size_t bytes[ZF_OS_PAGE_SHIFTS];
    int between_error; /* 0: sizes between a small and a huge page were looked for; or why not */
};

/* Fill it in, by what zf_os_residency has just told of the range. `between` asks for the sizes in
 * between too, which is slow and needs privileges; without them, such pages count as small ones.
 * -EOPNOTSUPP the system cannot tell. */
int zf_os_page_sizes(const void *base, size_t size_bytes, const struct zf_os_residency *known,
                     bool between, struct zf_os_page_sizes *sizes);

/* ---------------------------------------------------------------------------------------- nodes */

/* The NUMA nodes of the running system. */
struct zf_os_nodes {
    struct zf_node_set memory;  /* have memory */
    struct zf_node_set cpus;    /* have CPUs that are online */
    struct zf_node_set allowed; /* the calling thread may take memory there, if there is any */
};

/* -EOPNOTSUPP the system has no nodes, or does not tell: to a process that may not ask for memory
 * policies, say. */
int zf_os_nodes(struct zf_os_nodes *nodes);

/* More CPUs than any system is built for. */
#define ZF_OS_CPUS_MAX ZF_CPUS_MAX

/* The node of each CPU below `cpus_max`, -1 where there is none. Returns one more than the highest
 * CPU of a node, 0 when the system does not tell. */
size_t zf_os_nodes_of_cpus(int16_t *nodes, size_t cpus_max);

/* How far one node is from another; 10 from itself. 0 when the system does not tell, or has no such
 * nodes. */
int zf_os_node_distance(int from, int to);

/* ------------------------------------------------------------------------------------ placement */

/* Prefer memory of this node, -1 for the node of the thread that touches first. An explicit
 * policy, so that the system does not unmap pages to see who uses them. It never makes an
 * allocation fail. -ENODEV no such node; -EPERM not allowed here; -EOPNOTSUPP no NUMA in this
 * system. */
int zf_os_prefer_node(void *base, size_t size_bytes, int node);

/* How pages are spread over a set of nodes from the next touch on. All but the last only prefer:
 * they never make an allocation fail. */
enum zf_os_policy {
    ZF_OS_PREFER,              /* the one node of the set */
    ZF_OS_PREFER_MANY,         /* the nodes of the set */
    ZF_OS_INTERLEAVE,          /* page by page over the set */
    ZF_OS_INTERLEAVE_WEIGHTED, /* the same, more on some by the system's own weights */
    ZF_OS_BIND                 /* the set or nothing: a touch of a full set ends the process, so
                                  only for pages that are there */
};

/* Set an explicit policy; pages that are there stay. The set is not empty. -ENODEV a node does not
 * exist or has no memory; -EPERM a node is outside of what this process may use, or policies are
 * not allowed here; -EOPNOTSUPP this system does not know the policy; -ENOMEM too many ranges. */
int zf_os_place(void *base, size_t size_bytes, enum zf_os_policy policy,
                const struct zf_node_set *nodes);

/* Ask on which nodes `count` pages are, `stride_bytes` apart from `base` on: each a node, or -errno
 * where there is no page or it cannot be told now. Never faults a page in. -EOPNOTSUPP the system
 * cannot tell; -EPERM not allowed here. */
int zf_os_page_nodes(const void *base, size_t stride_bytes, size_t count, int *nodes);

/* Move `count` pages to the node that stands for each, content and locks kept: each result is where
 * it is now or -errno; -ENOMEM the node is full. A node that is short gives up file cache, but
 * nothing else is taken from anyone. Errors as of zf_os_page_nodes; also -ENODEV, -EPERM, -EACCES
 * for a node, and -ENOMEM: then some have moved. */
int zf_os_move_pages(void *base, size_t stride_bytes, size_t count, const int *nodes, int *results);

/* Give the pages of a range back, locked or not; it reads as zeros again. Whether it is locked
 * afterwards is not said. */
int zf_os_discard(void *base, size_t size_bytes);

/* --------------------------------------------------------------------------------------- advice */

enum zf_os_advice {
    ZF_OS_FORK_EXCLUDE,  /* a child of fork does not get the range */
    ZF_OS_FORK_WIPE,     /* a child of fork gets zeros */
    ZF_OS_HUGE_WISHED,   /* use huge pages from the first touch on */
    ZF_OS_HUGE_COLLAPSE, /* turn what is present into huge pages now */
    ZF_OS_HUGE_FROZEN,   /* leave page sizes as they are from now on */
    ZF_OS_NEVER_MERGE    /* do not share equal pages between processes */
};

/* Apply advice to a range. -EOPNOTSUPP unknown to this system; -ENOMEM no huge page to be had, or
 * too many ranges; -EAGAIN, -EBUSY the collapse failed for now. */
int zf_os_advise(void *base, size_t size_bytes, enum zf_os_advice advice);

/* --------------------------------------------------------------------------------------- limits */

/* Bytes that this process may still lock; SIZE_MAX when there is no limit. */
int zf_os_lockable_bytes(size_t *free_bytes);

/* The calling thread's own counters since it started. */
struct zf_os_counters {
    uint64_t faults_minor;
    uint64_t faults_major;
    uint64_t switches_voluntary;
    uint64_t switches_involuntary;
};

void zf_os_counters(struct zf_os_counters *counters);

uint64_t zf_os_clock_ns(void); /* monotonic */

/* The cheapest clock for short durations, in ticks of its own; prepare it once per process before
 * the first reading. Conversion is for differences. */
void zf_os_ticks_prepare(void);
uint64_t zf_os_ticks(void);
uint64_t zf_os_ticks_to_ns(uint64_t ticks);

/* The system's number of the calling thread, as its tools show it. */
uint32_t zf_os_thread_id(void);

/* Read a whole small file. Returns its length, less than `size_bytes`, with the text terminated
 * by a zero byte; or -errno: -EFBIG when it does not fit, -EISDIR or -EINVAL when it is no regular
 * file. Never waits for anybody to write. */
ssize_t zf_os_read_file(const char *path, char *text, size_t size_bytes);

/* Write a text to one that is there. 0, or -errno. */
int zf_os_write_file(const char *path, const char *text);

/* ----------------------------------------------------------------------------------- fault ring */

/*
 * The calling thread's page faults, recorded by the system in the thread itself: `*head` has
 * moved before the next instruction of the program runs. Faults taken by the program's own
 * instructions are seen, those inside system calls only where that is asked for and allowed.
 * Every value that the head ever had is a boundary between records, whose sizes differ.
 */
struct zf_os_fault_ring {
    const volatile uint64_t *head; /* bytes ever written */
    const unsigned char *data;     /* the last data_bytes of them, at head modulo data_bytes */
    size_t data_bytes;             /* power of two */
    int handle;
    uint32_t thread_id; /* whose ring it is */
    bool kernel;        /* faults inside system calls are recorded too */
};

struct zf_os_fault {
    uintptr_t address;     /* of the data */
    uintptr_t instruction; /* of the code; the system's own when `kernel` */
    uint64_t time_ns;      /* as zf_os_clock_ns */
    uint32_t thread_id;
    bool kernel; /* taken inside a system call */
};

/* From where a ring is placed to its head; the same in every process, so that code can be
 * compiled with it. */
#define ZF_OS_FAULT_RING_HEAD_BYTES 1024

/* Bytes of address range that a ring with room for `data_bytes` of records takes. */
size_t zf_os_fault_ring_range(size_t data_bytes);

/* Open the ring for the calling thread, in a reserved range of zf_os_fault_ring_range(data_bytes)
 * at `place`, and make it warm for reading; with `kernel`, for faults inside system calls too.
 * -EACCES, -EPERM refused; -ENOSYS, -EOPNOTSUPP not in this system; -EMFILE no handle; -ENOMEM no
 * memory or over the limit for such memory. */
int zf_os_fault_ring_open(struct zf_os_fault_ring *ring, void *place, size_t data_bytes,
                          bool kernel);

/* Close it; its range is merely reserved again. The head may not be read any more. */
void zf_os_fault_ring_close(struct zf_os_fault_ring *ring);

/* In a child that inherited only the handle: let go of it. The ring itself is not mapped there. */
void zf_os_ring_abandon(int handle);

/* Count the records between two heads. Of those overwritten since, as many as there can have been
 * at most. */
uint64_t zf_os_fault_ring_count(const struct zf_os_fault_ring *ring, uint64_t from, uint64_t to);

/* Count those of them that are still there and were taken inside system calls. */
uint64_t zf_os_fault_ring_kernel_count(const struct zf_os_fault_ring *ring, uint64_t from,
                                       uint64_t to);

/* Copy the first record at or after `*position` that is still there, and move `*position` behind
 * it. Returns 1, or 0 when there is none before `to`. */
int zf_os_fault_ring_next(const struct zf_os_fault_ring *ring, uint64_t *position, uint64_t to,
                          struct zf_os_fault *fault);

/* ---------------------------------------------------------------------------------- switch ring */

/* The calling thread's context switches, recorded in the same way. */
struct zf_os_switch_ring {
    const volatile uint64_t *head; /* bytes ever written */
    const unsigned char *data;
    size_t data_bytes;
    int handle;
};

/* How often a thread lost its CPU. */
struct zf_os_switches {
    uint64_t voluntary; /* it waited */
    uint64_t preempted; /* it could have gone on */
};

/* Open and close; errors as of the fault ring. */
int zf_os_switch_ring_open(struct zf_os_switch_ring *ring);
void zf_os_switch_ring_close(struct zf_os_switch_ring *ring);

/* Count the switches between two heads. Those that the ring no longer has count as preempted,
 * which is the graver. */
struct zf_os_switches zf_os_switch_ring_count(const struct zf_os_switch_ring *ring, uint64_t from,
                                              uint64_t to);

/* The CPU that the calling thread runs on. No system call. */
uint32_t zf_os_cpu(void);

/* ----------------------------------------------------------------------------------- chain ring */

/* Who called the instructions that faulted, recorded in the same way, in records of any size. */
struct zf_os_chain_ring {
    const volatile uint64_t *head; /* bytes ever written */
    const unsigned char *data;
    size_t data_bytes;
    int handle;
    uint32_t thread_id; /* whose ring it is */
};

#define ZF_OS_CHAIN_FRAMES_MAX 32

/* One fault again, with its callers as far as the system could tell. */
struct zf_os_chain {
    uintptr_t address;     /* of the data */
    uintptr_t instruction; /* of the code */
    uint64_t time_ns;      /* as zf_os_clock_ns; a little off the fault ring's */
    size_t frame_count;
    uintptr_t frames[ZF_OS_CHAIN_FRAMES_MAX]; /* return addresses, innermost first */
};

/* Open and close; errors as of the fault ring. `kernel`: for faults inside system calls too. */
int zf_os_chain_ring_open(struct zf_os_chain_ring *ring, bool kernel);
void zf_os_chain_ring_close(struct zf_os_chain_ring *ring);

/* Copy the chain at `*position`, which is 0 or what an earlier call left there, and move behind it.
 * When that part was overwritten, go on at the oldest chain that is still there and certain.
 * Returns 1, or 0 when there is none before `to`, a head. */
int zf_os_chain_ring_next(const struct zf_os_chain_ring *ring, uint64_t *position, uint64_t to,
                          struct zf_os_chain *chain);

/* --------------------------------------------------------------------------------- system calls */

/* What the selector byte of a watched thread says, at any moment. */
#define ZF_OS_CALLS_PASS 0    /* system calls happen unseen; also what a wiped byte says */
#define ZF_OS_CALLS_WATCHED 1 /* each is told first */

/* Called before each watched system call of the thread, in a signal handler, with the call's
 * number, -1 when not known, and the address of the instruction that makes it. The call happens
 * when this returns true, and is answered with -EPERM when it returns false. */
typedef bool zf_os_call_watcher(long number, uintptr_t instruction);

/* Watch the calling thread's system calls while `*selector` says so; the byte must stay readable
 * until the close. One watcher for all threads of the process. A child of fork and a new thread
 * are not watched. The end of a signal handler is no call, and a call that ends the thread is
 * never refused. -EOPNOTSUPP the system cannot. */
int zf_os_call_watch_open(volatile unsigned char *selector, zf_os_call_watcher *watcher);

/* Stop watching the calling thread's. */
void zf_os_call_watch_close(void);

/* The name of a system call; NULL when this system has none of that number. */
const char *zf_os_call_name(long number);

/* ----------------------------------------------------------------------------------- fault trap */

/* A page fault that stopped the thread. */
struct zf_os_trap {
    uintptr_t address;     /* of the data */
    uintptr_t instruction; /* where the thread stopped: of the fault, unless asynchronous */
    bool asynchronous;     /* it had to wait, and others may have merged into it */
};

/* Called in a signal handler at each fault that one of the program's own instructions takes, before
 * the next one. When it returns true, the process stops there by the system's default action. */
typedef bool zf_os_trap_catcher(const struct zf_os_trap *trap);

/* Trap the calling thread's faults, seen to work by a deliberate one. One catcher for all threads
 * of the process. -EOPNOTSUPP the system cannot; -EACCES, -EPERM refused; -EMFILE no handle; -EIO
 * the deliberate fault was not seen. */
int zf_os_trap_open(zf_os_trap_catcher *catcher, int *handle);

/* Stop it. A child of fork that inherited the handle abandons it like a ring's. */
void zf_os_trap_close(int handle);

/* ---------------------------------------------------------------------------- the whole process */

/* A stretch of memory that the loader, not this library, has made. */
struct zf_os_image {
    const char *object; /* file name of the loaded object; "" for the program; while visited */
    void *base;
    size_t size_bytes;
    bool writable; /* writable by this process alone; otherwise readable at least */
};

/* Called with one stretch at a time; anything but 0 ends the walk, which returns it. It may
 * populate and touch, but neither load nor unload. */
typedef int zf_os_image_visit(const struct zf_os_image *image, void *context);

/* Visit the memory of every object that is loaded now: program, libraries, loader, what the kernel
 * adds. Protections are those of this moment. What is not accessible is left out. -EOPNOTSUPP the
 * system does not tell what is mapped how. */
int zf_os_each_image(zf_os_image_visit *visit, void *context);

/* Visit the calling thread's thread-local variables of every loaded object, those that the system
 * would only make at their first use included. All of them are writable. */
int zf_os_each_thread_local(zf_os_image_visit *visit, void *context);

/* Function slots that the loader fills at the first call. */
struct zf_os_binding {
    size_t objects;       /* loaded */
    size_t lazy_objects;  /* with slots still to be filled */
    size_t slots;         /* of all objects */
    size_t lazy_slots;    /* still to be filled */
    char lazy_object[64]; /* end of the first such object's file name; "" when there is none */
};

/* Count them. Cannot fail; a system without such slots counts 0. */
void zf_os_binding(struct zf_os_binding *binding);

/* The stack of the calling thread, which grows downwards. */
struct zf_os_stack {
    void *lowest; /* first page that is there to be used now */
    void *frame;  /* first page of the caller, in use from here up */
    void *top;    /* behind the last page */
    bool grows;   /* more pages can come below `lowest` */
};

/* -EOPNOTSUPP the system does not tell, or this is not the thread's own stack (a coroutine's, a
 * signal handler's); -ENOMEM no memory for asking. */
int zf_os_stack(struct zf_os_stack *stack);

/* Have a stack that grows reach down to `lowest`, or as far as it may; stack->lowest says how far
 * it came. Never ends the process. -ENOMEM the system's limit, or another range in the way. */
int zf_os_stack_grow(struct zf_os_stack *stack, const void *lowest);

/* Have the C library keep what is freed and take nothing from elsewhere than its heap; for good.
 * -EOPNOTSUPP the C library cannot, or malloc is not the C library's. */
int zf_os_heap_keep(void);

/* The range that malloc grows in place, free or not. -ENODATA there is none; -EOPNOTSUPP the system
 * does not tell. */
int zf_os_heap(void **base, size_t *size_bytes);

/* Read each clock that needs no system call, so that its memory is there. */
void zf_os_clocks_use(void);

/* Lock all that is mapped now, and nothing that will be mapped later. A success proves nothing: ask
 * zf_os_process_memory. -ENOMEM over the limit; -EPERM not allowed; -EAGAIN not all. */
int zf_os_lock_all(void);

/* The process as a whole. */
struct zf_os_process_memory {
    size_t lockable_bytes; /* accessible, and of a kind that can be locked */
    size_t resident_bytes; /* of those, present */
    size_t locked_bytes;   /* of those, present and locked */
};

/* -EOPNOTSUPP the system does not tell. */
int zf_os_process_memory(struct zf_os_process_memory *memory);

/* ---------------------------------------------------------------------- what lies at an address */

#define ZF_OS_NAME_MAX 128 /* longer paths lose their beginning */

enum zf_os_where_kind {
    ZF_OS_WHERE_ANONYMOUS = 0, /* memory of this process alone */
    ZF_OS_WHERE_SHARED,        /* memory that other processes may share; no file on a disk */
    ZF_OS_WHERE_FILE,
    ZF_OS_WHERE_HEAP,  /* what malloc grows in place */
    ZF_OS_WHERE_STACK, /* of the first thread */
    ZF_OS_WHERE_SYSTEM /* what the system itself maps: clock code and clock data, say */
};

/* Parts of a loaded object. */
enum zf_os_part {
    ZF_OS_PART_NONE = 0,  /* not in an object */
    ZF_OS_PART_CODE,      /* instructions */
    ZF_OS_PART_CONSTANTS, /* read-only data */
    ZF_OS_PART_LINKAGE,   /* what the loader fills in: tables of addresses */
    ZF_OS_PART_DATA,      /* variables that begin with a value in the file */
    ZF_OS_PART_ZEROS      /* variables that begin as zero */
};

struct zf_os_where {
    enum zf_os_where_kind kind;
    enum zf_os_part part;
    uintptr_t begin; /* of the mapping */
    uintptr_t end;
    bool readable;
    bool writable;
    bool executable;
    bool shared;               /* writes reach the file or other processes */
    uint64_t file_offset;      /* of the address, where the kind is a file */
    char name[ZF_OS_NAME_MAX]; /* of the file, or what the mapping was named; "" for none */
};

/* Tell what is mapped at an address. -ENODATA nothing; -EOPNOTSUPP the system does not tell. */
int zf_os_where(uintptr_t address, struct zf_os_where *where);

/* What the page table says of one page; never faults it in. */
struct zf_os_page {
    bool present;
    bool zero_known; /* the system told `is_zero` and `is_huge` */
    bool is_zero;    /* it is the page of zeros that all processes share */
    bool is_huge;
    bool swapped;
};

/* -EOPNOTSUPP the system does not tell; other errors as it gives them. */
int zf_os_page(uintptr_t address, struct zf_os_page *page);

/* Tell whether the memory at an address has a placement policy of its own, so that the system does
 * not unmap it to see who uses it. -EOPNOTSUPP, -EPERM it does not tell; -EFAULT nothing there. */
int zf_os_has_policy(uintptr_t address, bool *has_policy);

/* What belongs to the calling thread; 0 and 0 for what is not known. */
struct zf_os_thread_ranges {
    uintptr_t stack_begin; /* as far down as it may grow */
    uintptr_t stack_end;
    uintptr_t locals_begin; /* thread-local variables of what was loaded at start */
    uintptr_t locals_end;
};

void zf_os_thread_ranges(struct zf_os_thread_ranges *ranges);

/* Where an address comes from, by the names that a programmer gave. */
struct zf_os_symbol {
    char function[ZF_OS_NAME_MAX]; /* or variable; "" unknown */
    char file[ZF_OS_NAME_MAX];     /* of the source; "" unknown */
    uint32_t line;                 /* 0 unknown */
    char object[ZF_OS_NAME_MAX];   /* file that was loaded; "" unknown */
    uintptr_t object_offset;       /* of the address, as tools that read that file count */
};

/* A look at all loaded objects; finds names until it is closed. It may allocate, open files and
 * load a library. NULL when there is no memory. */
struct zf_os_symbols;
struct zf_os_symbols *zf_os_symbols_open(void);
void zf_os_symbols_close(struct zf_os_symbols *symbols);

/* Fill in what is known of an address; a return address belongs to the call before it. */
void zf_os_symbols_find(struct zf_os_symbols *symbols, uintptr_t address, bool is_return,
                        struct zf_os_symbol *symbol);

/* ------------------------------------------------------------------------- end of threads, fork */

/* Have `at_exit(context)` called when the calling thread ends; NULL takes it back. One per thread.
 * -ENOMEM, -EAGAIN no room. */
int zf_os_thread_at_exit(void (*at_exit)(void *context), void *context);

/* Have `in_child()` called in each child of fork, by the thread that forked, from the next
 * zf_os_thread_at_exit of the process on. One per process. */
void zf_os_fork_in_child(void (*in_child)(void));

/* How often processes were split, as far as that could be noticed: from the first call of this, or
 * of zf_os_thread_at_exit, on. */
struct zf_os_forks {
    uint64_t made;      /* children of this process */
    uint64_t undergone; /* how often this process itself became a child */
    uint64_t last_ns;   /* of the last one made; 0 for none */
};

struct zf_os_forks zf_os_forks(void);

/* In the child of a fork that ran no handlers: count it, and free the lock below. */
void zf_os_fork_noticed(void);

/* -------------------------------------------------------------------------------------- locking */

/* One lock for the control plane's tables; never taken in begin or end. */
void zf_os_table_lock(void);
void zf_os_table_unlock(void);
bool zf_os_table_try_lock(void); /* for who may not wait */

#endif
