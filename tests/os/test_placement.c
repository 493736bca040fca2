/*
 * Policies, and where pages are, on the real kernel; one node is enough for these.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "os/os.h"
#include "support/needs.h"
#include "support/pages.h"

#define PAGE ((size_t)4096)
#define PAGES 1100u /* more than one question's worth */

static unsigned char *create(void)
{
    void *base;
    assert_int_equal(zf_os_reserve(PAGES * PAGE, PAGE, &base), 0);
    assert_int_equal(zf_os_commit(base, PAGES * PAGE), 0);
    return base;
}

static void destroy(unsigned char *base)
{
    assert_int_equal(zf_os_release(base, PAGES * PAGE), 0);
}

static void each_policy_is_shown_by_numa_maps(void **state)
{
    static const char *const names[] = {[ZF_OS_PREFER] = "prefer",
                                        [ZF_OS_PREFER_MANY] = "prefer (many)",
                                        [ZF_OS_INTERLEAVE] = "interleave",
                                        [ZF_OS_INTERLEAVE_WEIGHTED] = "weighted interleave",
                                        [ZF_OS_BIND] = "bind"};
    struct zf_node_set nodes = {{1}};
    (void)state;
    for (int policy = ZF_OS_PREFER; policy <= ZF_OS_BIND; ++policy) {
        unsigned char *base = create();
        char text[64];
        int rc = zf_os_place(base, PAGES * PAGE, (enum zf_os_policy)policy, &nodes);
        need("memory policies", rc != -EPERM, "mbind: %s", strerror(-rc));
        if (rc != -EOPNOTSUPP) {
            assert_int_equal(rc, 0);
            assert_true(mapping_policy(base, text, sizeof text));
            assert_int_equal(strncmp(text, names[policy], 4), 0);
        }
        destroy(base);
    }
}

static void sets_with_a_node_that_does_not_exist_are_refused_whole(void **state)
{
    unsigned char *base = create();
    struct zf_node_set nodes = {{1}};
    (void)state;
    zf_node_set_add(&nodes, 901);
    for (int policy = ZF_OS_PREFER_MANY; policy <= ZF_OS_BIND; ++policy)
        assert_int_equal(zf_os_place(base, PAGES * PAGE, (enum zf_os_policy)policy, &nodes),
                         -ENODEV);
    destroy(base);
}

static void pages_tell_their_node_and_absent_ones_an_error_without_a_fault(void **state)
{
    static int nodes[PAGES];
    unsigned char *base = create();
    struct zf_os_residency residency;
    int rc;
    (void)state;
    (void)faults_of_writing(base, PAGES / 2 * PAGE);
    rc = zf_os_page_nodes(base, PAGE, PAGES, nodes);
    need("move_pages", rc != -EPERM && rc != -EOPNOTSUPP, "move_pages: %s", strerror(-rc));
    assert_int_equal(rc, 0);
    for (size_t i = 0; i < PAGES; ++i)
        assert_true(i < PAGES / 2 ? nodes[i] >= 0 : nodes[i] == -ENOENT || nodes[i] == -EFAULT);
    assert_int_equal(zf_os_residency(base, PAGES * PAGE, &residency), 0);
    assert_int_equal(residency.present_bytes, PAGES / 2 * PAGE);
    /* Every second page of the first half. */
    assert_int_equal(zf_os_page_nodes(base, 2 * PAGE, PAGES / 4, nodes), 0);
    for (size_t i = 0; i < PAGES / 4; ++i)
        assert_true(nodes[i] >= 0);
    destroy(base);
}

static void moving_to_where_pages_are_keeps_them_and_an_absent_node_is_refused(void **state)
{
    static int nodes[PAGES], results[PAGES];
    unsigned char *base = create();
    int rc;
    (void)state;
    (void)faults_of_writing(base, PAGES * PAGE);
    base[7 * PAGE] = 77;
    rc = zf_os_page_nodes(base, PAGE, PAGES, nodes);
    need("move_pages", rc != -EPERM && rc != -EOPNOTSUPP, "move_pages: %s", strerror(-rc));
    assert_int_equal(zf_os_move_pages(base, PAGE, PAGES, nodes, results), 0);
    assert_memory_equal(nodes, results, sizeof nodes);
    nodes[PAGES - 1] = 900;
    assert_int_equal(zf_os_move_pages(base, PAGE, PAGES, nodes, results), -ENODEV);
    assert_int_equal(base[7 * PAGE], 77);
    assert_int_equal(faults_of_writing(base, PAGES * PAGE), 0);
    destroy(base);
}

static void discarding_gives_locked_pages_back_too(void **state)
{
    (void)state;
    for (int locked = 0; locked < 2; ++locked) {
        unsigned char *base = create();
        struct zf_os_residency residency;
        (void)faults_of_writing(base, PAGES * PAGE);
        base[0] = 77;
        need("locking", !locked || zf_os_lock(base, PAGES * PAGE) == 0, "mlock is refused");
        assert_int_equal(zf_os_discard(base, PAGES * PAGE), 0);
        assert_int_equal(zf_os_residency(base, PAGES * PAGE, &residency), 0);
        assert_int_equal(residency.present_bytes, 0);
        assert_int_equal(base[0], 0);
        destroy(base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_policy_is_shown_by_numa_maps),
        cmocka_unit_test(sets_with_a_node_that_does_not_exist_are_refused_whole),
        cmocka_unit_test(pages_tell_their_node_and_absent_ones_an_error_without_a_fault),
        cmocka_unit_test(moving_to_where_pages_are_keeps_them_and_an_absent_node_is_refused),
        cmocka_unit_test(discarding_gives_locked_pages_back_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
