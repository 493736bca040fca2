/*
 * What an audit is kept in, and what it does when memory runs out: malloc and calloc of this
 * program are wrapped, and fail when told to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>

#include "machine/store.h"
#include "machine/tree.h"

void *__real_malloc(size_t size_bytes);
void *__real_calloc(size_t count, size_t size_bytes);
void *__wrap_malloc(size_t size_bytes);
void *__wrap_calloc(size_t count, size_t size_bytes);

static size_t allocations; /* made since the test set it to 0 */
static size_t fail_at;     /* this one fails, counted from 1; 0 none */

static bool is_refused(void)
{
    return ++allocations == fail_at;
}

void *__wrap_malloc(size_t size_bytes)
{
    return is_refused() ? NULL : __real_malloc(size_bytes);
}

void *__wrap_calloc(size_t count, size_t size_bytes)
{
    return is_refused() ? NULL : __real_calloc(count, size_bytes);
}

static void memory_is_zeroed_aligned_and_apart(void **state)
{
    struct zf_store store = {0};
    unsigned char *first = zf_store_take(&store, 3);
    unsigned char *second = zf_store_take(&store, 3);
    unsigned char *large = zf_store_take(&store, 1u << 20);
    (void)state;
    assert_int_equal((uintptr_t)first % alignof(max_align_t), 0);
    assert_int_equal((uintptr_t)second % alignof(max_align_t), 0);
    assert_true(second >= first + 3);
    assert_int_equal(large[0], 0);
    assert_int_equal(large[(1u << 20) - 1], 0);
    assert_false(store.exhausted);
    zf_store_release(&store);
    assert_null(store.blocks);
}

static void a_size_beyond_all_memory_exhausts_the_store(void **state)
{
    struct zf_store store = {0};
    (void)state;
    assert_null(zf_store_take(&store, SIZE_MAX));
    assert_true(store.exhausted);
    zf_store_release(&store);
    assert_false(store.exhausted);
}

static void a_text_keeps_what_can_be_printed(void **state)
{
    struct zf_store store = {0};
    (void)state;
    assert_string_equal(zf_store_text(&store, "%d\x1b[31m \xc3\xa4\n", 7), "7?[31m ???");
    assert_string_equal(zf_store_text(&store, "%s", ""), "");
    zf_store_release(&store);
}

/* Whichever allocation fails: either a setting could not be read and is unknown, or the audit as a
 * whole has no memory. Nothing is lost; the sanitizer looks. */
static void an_audit_survives_any_failing_allocation(void **state)
{
    struct machine_audit *audit;
    char root[512];
    size_t made, refused = 0;
    (void)state;
    (void)snprintf(root, sizeof root, "%s/guest_2_nodes", ZF_TREES);
    allocations = fail_at = 0;
    assert_int_equal(machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.root = root)), 0);
    made = allocations;
    machine_audit_destroy(audit);
    assert_in_range(made, 50, 10000);
    for (size_t n = 1; n <= made; ++n) {
        int rc;
        allocations = 0;
        fail_at = n;
        rc = machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.root = root));
        fail_at = 0;
        if (rc == 0) {
            assert_non_null(machine_audit_check(audit, 40));
        } else {
            assert_int_equal(rc, -ENOMEM);
            assert_null(audit);
            ++refused;
        }
        machine_audit_destroy(audit);
    }
    assert_in_range(refused, 2, made / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(a_size_beyond_all_memory_exhausts_the_store),
        cmocka_unit_test(a_text_keeps_what_can_be_printed),
        cmocka_unit_test(an_audit_survives_any_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
