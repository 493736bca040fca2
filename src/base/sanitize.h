/*
 * Code that sanitizers leave alone. Their shadow of a page is a page of its own, so an
 * instrumented touch takes faults that are not the touched page's.
 */
#ifndef ZF_BASE_SANITIZE_H
#define ZF_BASE_SANITIZE_H

#if defined(__clang__)
#define ZF_UNINSTRUMENTED                                                                          \
    __attribute__((no_sanitize("address", "thread"), disable_sanitizer_instrumentation, noinline))
#else
#define ZF_UNINSTRUMENTED                                                                          \
    __attribute__((no_sanitize_address, no_sanitize_thread, no_sanitize_undefined, noinline))
#endif

#endif
