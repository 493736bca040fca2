/*
 * What the sanitizers do to fault counts.
 *
 * Instrumented code also touches shadow memory, and the first touch of a shadow page is a page
 * fault like any other. Under AddressSanitizer the shadow of a range can be read beforehand;
 * under ThreadSanitizer every access writes to it, so a test that counts faults to the last one
 * cannot run there.
 */
#ifndef ZF_TESTS_SUPPORT_SANITIZER_H
#define ZF_TESTS_SUPPORT_SANITIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "support/needs.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

/* Skip where no fault count can be exact. */
static inline void need_exact_faults(void)
{
#ifdef __SANITIZE_THREAD__
    need("exact faults", false, "ThreadSanitizer's own memory faults too");
#endif
}

/* Skip where the code under test, and not only the test, has a sanitizer's memory beside its own,
 * or the sanitizer's malloc. */
static inline void need_no_sanitizer(void)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    need("exact-faults", false, "a sanitizer's own memory and malloc fault too");
#endif
}

/* Make the shadow of a range resident, so that only the range itself can fault. */
static inline void warm_shadow(const void *start, size_t size_bytes)
{
#ifdef __SANITIZE_ADDRESS__
    (void)__asan_region_is_poisoned((void *)(size_t)start, size_bytes);
#else
    (void)start;
    (void)size_bytes;
#endif
}

#endif
