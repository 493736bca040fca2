/*
 * What the tests of watched system calls share: attaching, and a section that notes what it is
 * told.
 */
#ifndef ZF_TESTS_HOT_CALLS_H
#define ZF_TESTS_HOT_CALLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "support/needs.h"
#include "support/sanitizer.h"

#define CALLS_BIT 2 /* of HOT_WATCH_SYSTEM_CALLS */

/* The last HOT_SYSTEM_CALL violation. */
static struct hot_violation told;

static void note(const struct hot_violation *violation, void *context)
{
    (void)context;
    if (violation->kind == HOT_SYSTEM_CALL)
        told = *violation;
}

/* Faults and the like are other tests' business. */
#define CALLS_SECTION(...)                                                                         \
    HOT_SECTION(__VA_ARGS__, .policy = HOT_IGNORE, .policies = {[HOT_SYSTEM_CALL] = HOT_CALLBACK}, \
                .hook = note)

static struct hot_section section = CALLS_SECTION("calls");

static inline int try_attach_watching(enum hot_source source, struct hot_thread_report *report)
{
    memset(&told, 0, sizeof told);
    memset(report, 0, sizeof *report);
    report->struct_size = sizeof *report;
    return hot_thread_attach(&HOT_THREAD_OPTIONS(.source = source, .watch = HOT_WATCH_SYSTEM_CALLS),
                             report);
}

static inline void attach_watching(enum hot_source source)
{
    struct hot_thread_report report;
    int error;
    need_exact_faults(); /* ThreadSanitizer makes system calls of its own */
    error = try_attach_watching(source, &report);
    need("fault-ring", error == 0, "the guard is refused here: %s", strerror(-error));
    need("system calls", report.watched == HOT_WATCH_SYSTEM_CALLS,
         "system calls cannot be watched: %s", strerror(-report.watch_errors[CALLS_BIT]));
}

static inline int detach(void **state)
{
    (void)state;
    hot_thread_detach();
    return 0;
}

/* A call that nothing can go wrong with, and that a libc does not cache. */
static inline long bare_call(void)
{
    return syscall(SYS_gettid);
}

#endif
