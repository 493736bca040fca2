/*
 * What a test needs of the machine that runs it.
 *
 *     need("perf", rc == 0, "perf_event_open is refused here: %s", strerror(-rc));
 *
 * When the need is not met, the test is skipped and says why. A job that promises to provide it
 * lists its name in ZEROFAULT_TEST_PROVIDES, between commas, or "everything"; there, the test fails
 * instead, so that nothing that must be tested is ever skipped in silence.
 */
#ifndef ZF_TESTS_SUPPORT_NEEDS_H
#define ZF_TESTS_SUPPORT_NEEDS_H

#include <stdbool.h>

/* Return when `met`; otherwise skip or fail the running cmocka test, and do not return. */
void need(const char *name, bool met, const char *reason, ...)
    __attribute__((format(printf, 3, 4)));

#endif
