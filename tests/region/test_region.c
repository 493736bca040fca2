/*
 * Regions on the real kernel: what is settled before the first touch, and that nothing is touched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "os/os.h"
#include "region/region.h"
#include "support/child.h"
#include "support/needs.h"
#include "support/pages.h"

#define PAGE ((size_t)4096)

static struct zf_region_options plain(size_t size_bytes)
{
    return (struct zf_region_options){.size_bytes = size_bytes,
                                      .node = -1,
                                      .bind = WARMUP_PREFER,
                                      .huge_pages = WARMUP_OFF,
                                      .fork = WARMUP_FORK_EXCLUDE,
                                      .name = "test"};
}

static struct zf_region create(const struct zf_region_options *options)
{
    struct zf_region region;
    assert_int_equal(zf_region_create(&region, options), 0);
    assert_true(zf_region_is_valid(&region));
    return region;
}

static size_t present_bytes(const struct zf_region *region)
{
    struct zf_os_residency residency;
    assert_int_equal(zf_os_residency(region->base, region->size_bytes, &residency), 0);
    return residency.present_bytes;
}

static void a_region_is_whole_pages_usable_and_cold(void **state)
{
    struct zf_region_options options = plain(10 * PAGE + 1);
    struct zf_region region = create(&options);
    (void)state;
    assert_int_equal(region.size_bytes, 11 * PAGE);
    assert_int_equal(region.page_bytes, PAGE);
    assert_int_equal(present_bytes(&region), 0);
    assert_false(region.locked);

    memset(region.base, 1, region.size_bytes);

    assert_int_equal(present_bytes(&region), 11 * PAGE);
    zf_region_destroy(&region);
}

static void destroy_unmaps_the_region_and_may_be_repeated(void **state)
{
    struct zf_region_options options = plain(PAGE);
    struct zf_region region = create(&options);
    void *base = region.base;
    (void)state;
    assert_true(is_mapped(base));
    zf_region_destroy(&region);
    assert_false(is_mapped(base));
    assert_null(region.base);
    zf_region_destroy(&region);
}

static void create_refuses_no_size_and_too_much(void **state)
{
    struct zf_region_options options = plain(0);
    struct zf_region region;
    (void)state;
    assert_int_equal(zf_region_create(&region, &options), -EINVAL);
    assert_null(region.base);
    options.size_bytes = SIZE_MAX - 1;
    assert_int_equal(zf_region_create(&region, &options), -EINVAL);
    options.size_bytes = SIZE_MAX / 2;
    assert_int_equal(zf_region_create(&region, &options), -ENOMEM);
    assert_null(region.base);
}

static void create_aligns_as_asked_and_to_huge_pages_where_wished(void **state)
{
    struct zf_region_options options = plain(PAGE);
    struct zf_region region;
    (void)state;
    options.alignment_bytes = 1 << 20;
    region = create(&options);
    assert_int_equal((uintptr_t)region.base % options.alignment_bytes, 0);
    zf_region_destroy(&region);

    need("transparent huge pages", zf_os_huge_page_bytes() != 0, "this kernel has none");
    options = plain(3 * zf_os_huge_page_bytes() + PAGE);
    options.huge_pages = WARMUP_PREFER;
    region = create(&options);
    assert_true(region.huge_wished);
    assert_int_equal((uintptr_t)region.base % region.huge_page_bytes, 0);
    assert_int_equal(zf_region_huge_part_bytes(&region), 3 * region.huge_page_bytes);
    assert_true(mapping_has_flag(region.base, "hg"));
    zf_region_destroy(&region);
}

static void huge_pages_off_shuts_them_out(void **state)
{
    struct zf_region_options options = plain(4 << 20);
    struct zf_region region;
    (void)state;
    need("transparent huge pages", zf_os_huge_page_bytes() != 0, "this kernel has none");
    region = create(&options);
    assert_false(region.huge_wished);
    assert_true(mapping_has_flag(region.base, "nh"));
    zf_region_destroy(&region);
}

static void the_policy_is_explicit_even_for_the_local_node(void **state)
{
    struct zf_region_options options = plain(PAGE);
    struct zf_region region = create(&options);
    char policy[64];
    (void)state;
    need("memory policies", region.bind_error == 0, "mbind: %s", strerror(-region.bind_error));
    assert_true(mapping_policy(region.base, policy, sizeof policy));
    assert_string_equal(policy, "local");
    zf_region_destroy(&region);

    options.node = 0;
    region = create(&options);
    assert_true(mapping_policy(region.base, policy, sizeof policy));
    assert_int_equal(strncmp(policy, "prefer", 6), 0);
    zf_region_destroy(&region);

    options.bind = WARMUP_OFF;
    region = create(&options);
    assert_true(mapping_policy(region.base, policy, sizeof policy));
    assert_string_equal(policy, "default");
    zf_region_destroy(&region);
}

static void create_refuses_a_node_that_does_not_exist_unless_it_does_not_matter(void **state)
{
    struct zf_region_options options = plain(PAGE);
    struct zf_region region = create(&options);
    (void)state;
    need("memory policies", region.bind_error == 0, "mbind: %s", strerror(-region.bind_error));
    zf_region_destroy(&region);

    options.node = 1000;
    assert_int_equal(zf_region_create(&region, &options), -ENODEV);
    assert_null(region.base);
    options.bind = WARMUP_OFF;
    region = create(&options);
    zf_region_destroy(&region);
}

/* What a child sees of three regions. */
struct view {
    void *excluded;
    unsigned char *wiped;
    unsigned char *inherited;
    bool excluded_is_mapped;
    unsigned char wiped_byte;
    unsigned char inherited_byte;
};

static void look_from_child(void *shared)
{
    struct view *view = shared;
    view->excluded_is_mapped = is_mapped(view->excluded);
    view->wiped_byte = *view->wiped;
    view->inherited_byte = *view->inherited;
}

static void a_child_of_fork_sees_what_was_asked(void **state)
{
    struct view *view = shared_create(sizeof *view);
    struct zf_region_options options = plain(PAGE);
    struct zf_region excluded, wiped, inherited;
    (void)state;
    excluded = create(&options);
    options.fork = WARMUP_FORK_WIPE;
    wiped = create(&options);
    options.fork = WARMUP_FORK_INHERIT;
    inherited = create(&options);
    view->excluded = excluded.base;
    view->wiped = wiped.base;
    view->inherited = inherited.base;
    *view->wiped = *view->inherited = 5;
    view->excluded_is_mapped = true;
    view->wiped_byte = 1;

    assert_int_equal(run_in_child(look_from_child, view), 0);

    assert_false(view->excluded_is_mapped);
    assert_int_equal(view->wiped_byte, 0);
    assert_int_equal(view->inherited_byte, 5);
    zf_region_destroy(&excluded);
    zf_region_destroy(&wiped);
    zf_region_destroy(&inherited);
    shared_destroy(view, sizeof *view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_is_whole_pages_usable_and_cold),
        cmocka_unit_test(destroy_unmaps_the_region_and_may_be_repeated),
        cmocka_unit_test(create_refuses_no_size_and_too_much),
        cmocka_unit_test(create_aligns_as_asked_and_to_huge_pages_where_wished),
        cmocka_unit_test(huge_pages_off_shuts_them_out),
        cmocka_unit_test(the_policy_is_explicit_even_for_the_local_node),
        cmocka_unit_test(create_refuses_a_node_that_does_not_exist_unless_it_does_not_matter),
        cmocka_unit_test(a_child_of_fork_sees_what_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
