/*
 * Part of a test in a child process: for limits, privileges and forks that must not stay. The
 * child fills a result that it shares with the test, and the test asserts.
 */
#ifndef ZF_TESTS_SUPPORT_CHILD_H
#define ZF_TESTS_SUPPORT_CHILD_H

#include <stddef.h>

/* Zeroed memory that parent and children share; never NULL. */
void *shared_create(size_t size_bytes);
void shared_destroy(void *shared, size_t size_bytes);

/* Run `body(shared)` in a child of fork. Returns 0 when it returned; the number of the signal that
 * killed it; or -1. */
int run_in_child(void (*body)(void *shared), void *shared);

/* For the child: become a user without privileges, with this much memory to lock. Returns 0 or -1;
 * a process that has no privileges keeps its user. */
int drop_privileges(size_t lockable_bytes);

#endif
