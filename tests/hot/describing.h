/*
 * For tests that provoke one page fault and have it described in the hook.
 */
#ifndef ZF_TESTS_HOT_DESCRIBING_H
#define ZF_TESTS_HOT_DESCRIBING_H

#include <zerofault/zerofault.h>

#define PAGE ((size_t)4096)
#define PAGES ((size_t)16)

/* The first violation in the range of interest. */
struct seen {
    uintptr_t begin; /* of the range */
    uintptr_t end;
    size_t count; /* of violations in it */
    int rc;       /* of describing */
    char arena[ARENA_NAME_MAX];
    struct hot_violation violation;
    struct hot_description description;
};
extern struct seen seen;

/* Its hook describes. */
extern struct hot_section section;

/* Setup and teardown: the calling thread attached to the ring, with call chains. */
int attach(void **state);
int detach(void **state);

/* Skip where there is no ring. */
void need_ring(void);

/* Forget what was seen; look for this range from now on. */
void expect_in(const void *begin, size_t size_bytes);

/* Touch without a sanitizer's own memory. */
void write_to(volatile unsigned char *address);
void read_from(const volatile unsigned char *address);

/* Do so in the section, and check that it faulted and was described. */
void write_in_section(unsigned char *address);
void read_in_section(const unsigned char *address);

void assert_is(enum hot_place place, enum hot_cause cause);

/* Where instructions can be read. */
void assert_access_is(enum hot_access access);

/* Some line of the evidence holds these words. */
void assert_evidence(const char *part);

/* PAGES small pages, not there yet. */
unsigned char *map_pages(void);

/* A child that exits at once. */
void fork_once(void);

#endif
