/*
 * Assertions: conditions that hold unless this library has a bug. On in builds without NDEBUG,
 * off in Release. A caller's mistake is never asserted; it is answered with -EINVAL.
 */
#ifndef ZF_BASE_ASSERT_H
#define ZF_BASE_ASSERT_H

#include <assert.h> /* static_assert */

#ifdef NDEBUG
#define ZF_ASSERT(condition) ((void)sizeof(!!(condition)))
#else
#include <stdio.h>
#include <stdlib.h>
#define ZF_ASSERT(condition)                                                                       \
    ((condition) ? (void)0                                                                         \
                 : ((void)fprintf(stderr, "%s:%d: zerofault: broken invariant: %s\n", __FILE__,    \
                                  __LINE__, #condition),                                           \
                    abort()))
#endif

#endif
