/*
 * What the tests inside a guest share: its nodes, questions about where pages are, and the groups
 * that test_numa.c runs one after the other.
 *
 * A group is one file about one topic. What differs between kernels is asserted both ways, by the
 * kernel's version; nothing is skipped in a guest.
 */
#ifndef ZF_TESTS_NUMA_NUMA_H
#define ZF_TESTS_NUMA_NUMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zerofault/zerofault.h>

#define PAGE ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)
#define MIB ((size_t)1 << 20)

/* The guest's nodes, as CMakeLists.txt asks for them. The last two are small, because a test that
 * fills them has to wait for it. */
enum {
    NODE_LARGE = 0,       /* 2560 MiB, CPUs 0 and 1; one 1 GiB page and sixteen 2 MiB pages */
    NODE_MIDDLE = 1,      /* 1792 MiB, CPU 2; one 1 GiB page */
    NODE_MEMORYLESS = 2,  /* CPU 3 alone; the nearest memory is node 1's */
    NODE_GAP = 3,         /* none of this number, though the kernel counts it as possible */
    NODE_MEMORY_ONLY = 4, /* 256 MiB; eight 2 MiB pages */
    NODE_SMALL = 5,       /* 96 MiB */
    NODE_END = 6,         /* behind the last number */
    NODE_ABSENT = 9
};
enum { CPU_OF_LARGE = 0, CPU_OF_MIDDLE = 2, CPU_OF_MEMORYLESS = 3 };

/* The nodes that have memory, all of them. */
#define MEMORY_NODES                                                                               \
    {                                                                                              \
        NODE_LARGE, NODE_MIDDLE, NODE_MEMORY_ONLY, NODE_SMALL                                      \
    }

/* --------------------------------------------------------------------------------------- groups */

/* Each runs its tests and returns how many failed. */
int test_topology(void);
int test_placement(void);
int test_fallback(void);
int test_huge_pages(void);
int test_room(void);
int test_too_small(void);
int test_balancing(void);
int test_fork(void);
int test_drift(void);
int test_pools(void);
int test_causes(void);

/* -------------------------------------------------------------------------------------- machine */

/* Is the running kernel this version or a later one? */
bool kernel_is_at_least(int major, int minor);

/* Move the calling thread to one CPU. Like all that children of tests use too, it aborts when it
 * cannot: cmocka's assertions would go on with the tests in the child. */
void pin_to_cpu(int cpu);

/* Write to a file of /proc or /sys; false when it is refused. */
bool write_file(const char *path, const char *text);

/* Turn the kernel's NUMA balancing on or off. It is off but for the tests about it, since it also
 * makes the pages of the tests themselves fault. */
bool set_balancing(bool on);

/* Read the first line of such a file, which has to be there. */
void read_line(const char *path, char *line, size_t size_bytes);

/* How many processes the kernel has killed for want of memory since it started. */
uint64_t oom_kills(void);

/* ----------------------------------------------------------------------------------- companions */

/* Fork, run `body(context)` in the child, and return when it is done there. The child lives on
 * until it is ended. */
int companion_start(void (*body)(void *context), void *context);

bool companion_is_alive(int process);

/* Assert that it is alive, and end it. */
void companion_end(int process);

/* ---------------------------------------------------------------------------------------- pages */

/* Where the pages of a range are, by move_pages. */
struct placement {
    size_t on_node[NODE_END];
    size_t missing; /* not present, or not told */
};
struct placement placement_of(const void *base, size_t size_bytes);

/* Assert that every page of an arena is on this node. */
void assert_all_on_node(const struct arena *arena, int node);

/* Committed memory without a policy of its own and without huge pages, not touched. */
void *plain_create(size_t size_bytes);
void plain_destroy(void *base, size_t size_bytes);

/* --------------------------------------------------------------------------------------- arenas */

/* Create and warm up; both have to succeed, and the report must say that it is proven. */
struct arena *warm_arena(const struct arena_options *options, struct warmup_report *report);

/* Assert that the wish of a report was granted to its last byte. */
void assert_granted(const struct warmup_item *item);

/* Fill an arena to its last byte in a hot section; assert that neither the fault ring nor
 * getrusage saw a page fault, and reset it. */
void assert_filling_takes_no_fault(struct arena *arena);

#endif
