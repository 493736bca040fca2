/* The tripwire between the allocators and a guard that they do not know, and the version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>
#include <zerofault/version.h>

#include "base/tripwire.h"

struct guard {
    struct zf_tripwire tripwire;
    size_t request_bytes; /* of the last refusal */
    int refusals;
};

static void on_refused(struct zf_tripwire *self, size_t request_bytes)
{
    struct guard *guard = (struct guard *)(void *)self;
    guard->request_bytes = request_bytes;
    ++guard->refusals;
}

static bool is_armed(struct zf_tripwire *self)
{
    return ((struct guard *)(void *)self)->refusals > 0;
}

static void a_thread_without_a_guard_is_told_nothing(void **state)
{
    (void)state;
    zf_tripwire = NULL;
    assert_false(zf_tripwire_armed());
    zf_tripwire_refused(100);
    assert_false(zf_tripwire_armed());
}

static void a_refusal_reaches_the_guard_of_this_thread(void **state)
{
    struct guard guard = {.tripwire = {.refused = on_refused, .armed = is_armed}};
    (void)state;
    zf_tripwire = &guard.tripwire;
    assert_false(zf_tripwire_armed());

    zf_tripwire_refused(100);

    assert_true(zf_tripwire_armed());
    assert_int_equal(guard.refusals, 1);
    assert_int_equal(guard.request_bytes, 100);
    zf_tripwire = NULL;
}

static void *refuse_elsewhere(void *strung)
{
    *(bool *)strung = zf_tripwire != NULL;
    zf_tripwire_refused(100);
    return NULL;
}

static void a_refusal_on_another_thread_does_not(void **state)
{
    struct guard guard = {.tripwire = {.refused = on_refused, .armed = is_armed}};
    pthread_t thread;
    bool strung = true;
    (void)state;
    zf_tripwire = &guard.tripwire;

    assert_int_equal(pthread_create(&thread, NULL, refuse_elsewhere, &strung), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);

    assert_false(strung);
    assert_int_equal(guard.refusals, 0);
    zf_tripwire = NULL;
}

static void the_version_is_that_of_the_headers(void **state)
{
    char text[32];
    (void)state;
    (void)snprintf(text, sizeof text, "%d.%d.%d", ZEROFAULT_VERSION_MAJOR, ZEROFAULT_VERSION_MINOR,
                   ZEROFAULT_VERSION_PATCH);
    assert_string_equal(zerofault_version(), text);
    assert_string_equal(zerofault_version(), ZEROFAULT_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_without_a_guard_is_told_nothing),
        cmocka_unit_test(a_refusal_reaches_the_guard_of_this_thread),
        cmocka_unit_test(a_refusal_on_another_thread_does_not),
        cmocka_unit_test(the_version_is_that_of_the_headers),
    };
    return cmocka_run_group_tests_name("base.tripwire", tests, NULL, NULL);
}
