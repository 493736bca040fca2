/*
 * Address ranges on the real kernel: what each call promises in os.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/os.h"
#include "support/child.h"
#include "support/needs.h"
#include "support/pages.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)

static unsigned char *create(size_t size_bytes, size_t alignment)
{
    void *base = NULL;
    assert_int_equal(zf_os_reserve(size_bytes, alignment, &base), 0);
    assert_int_equal(zf_os_commit(base, size_bytes), 0);
    return base;
}

/* Small pages, whatever the system gives by default. */
static unsigned char *create_small(size_t size_bytes)
{
    unsigned char *base = create(size_bytes, PAGE);
    assert_int_equal(zf_os_advise(base, size_bytes, ZF_OS_HUGE_FROZEN), 0);
    return base;
}

static size_t present_bytes(const void *base, size_t size_bytes)
{
    struct zf_os_residency residency;
    assert_int_equal(zf_os_residency(base, size_bytes, &residency), 0);
    return residency.present_bytes;
}

/* Can the kernel read this byte for us? */
static bool is_readable(const void *address)
{
    int ends[2];
    ssize_t written;
    assert_int_equal(pipe(ends), 0);
    written = write(ends[1], address, 1);
    close(ends[0]);
    close(ends[1]);
    return written == 1;
}

/* --------------------------------------------------------------------- reserve, commit, release */

static void reserve_aligns_as_asked(void **state)
{
    (void)state;
    for (size_t alignment = PAGE; alignment <= 1024 * MIB; alignment *= 8) {
        void *base = NULL;
        assert_int_equal(zf_os_reserve(3 * PAGE, alignment, &base), 0);
        assert_non_null(base);
        assert_int_equal((uintptr_t)base % alignment, 0);
        assert_true(is_mapped(base));
        assert_int_equal(zf_os_release(base, 3 * PAGE), 0);
    }
}

static void reserve_refuses_more_than_an_address_space(void **state)
{
    void *base = &base;
    (void)state;
    assert_int_equal(zf_os_reserve(SIZE_MAX / 2 / PAGE * PAGE, PAGE, &base), -ENOMEM);
    assert_null(base);
    assert_int_equal(zf_os_reserve(SIZE_MAX / PAGE * PAGE, 1024 * MIB, &base), -ENOMEM);
    assert_null(base);
}

static void reserved_range_is_unusable_until_committed(void **state)
{
    void *base = NULL;
    (void)state;
    assert_int_equal(zf_os_reserve(4 * PAGE, PAGE, &base), 0);
    assert_false(is_readable(base));

    assert_int_equal(zf_os_commit(base, 2 * PAGE), 0);

    assert_true(is_readable((unsigned char *)base + 2 * PAGE - 1));
    assert_false(is_readable((unsigned char *)base + 2 * PAGE));
    assert_int_equal(zf_os_release(base, 4 * PAGE), 0);
}

/* Also behind a second range: they neither touch nor become one mapping. */
static void what_lies_behind_a_range_is_never_usable(void **state)
{
    unsigned char *bases[8];
    (void)state;
    for (size_t i = 0; i < 8; ++i)
        bases[i] = create(4 * PAGE, PAGE);
    for (size_t i = 0; i < 8; ++i)
        assert_false(is_readable(bases[i] + 4 * PAGE));
    for (size_t i = 0; i < 8; ++i)
        assert_int_equal(zf_os_release(bases[i], 4 * PAGE), 0);
}

static void commit_makes_zeros_and_nothing_resident(void **state)
{
    unsigned char *base = create_small(16 * PAGE);
    (void)state;
    assert_int_equal(present_bytes(base, 16 * PAGE), 0);
    for (size_t i = 0; i < 16 * PAGE; ++i)
        assert_int_equal(base[i], 0);
    assert_int_equal(zf_os_release(base, 16 * PAGE), 0);
}

static void commit_refuses_more_than_the_system_s_limit(void **state)
{
    char text[16];
    void *base = NULL;
    size_t size_bytes = (size_t)32 << 40;
    (void)state;
    assert_true(zf_os_read_file("/proc/sys/vm/overcommit_memory", text, sizeof text) > 0);
    need("commit limit", text[0] != '1', "vm.overcommit_memory is 1: everything is promised");
    need("address space", zf_os_reserve(size_bytes, PAGE, &base) == 0, "no 32 TiB of addresses");

    assert_int_equal(zf_os_commit(base, size_bytes), -ENOMEM);

    assert_false(is_readable(base));
    assert_int_equal(zf_os_release(base, size_bytes), 0);
}

static void release_unmaps_every_page(void **state)
{
    unsigned char *base = create(4 * PAGE, PAGE);
    unsigned char resident;
    (void)state;
    (void)faults_of_writing(base, 4 * PAGE);

    assert_int_equal(zf_os_release(base, 4 * PAGE), 0);

    for (size_t page = 0; page < 5; ++page)
        assert_int_equal(mincore(base + page * PAGE, PAGE, &resident), -1);
}

static void name_shows_in_maps_without_what_the_kernel_forbids(void **state)
{
    unsigned char *base = create(PAGE, PAGE);
    char maps[1 << 16];
    int rc = zf_os_name(base, PAGE, "zerofault:or$ders[1]");
    (void)state;
    need("mapping names", rc != -EOPNOTSUPP, "this kernel keeps no names of anonymous mappings");
    assert_int_equal(rc, 0);
    assert_true(zf_os_read_file("/proc/self/maps", maps, sizeof maps) > 0);
    assert_non_null(strstr(maps, "[anon:zerofault:or_ders_1_]"));
    assert_int_equal(zf_os_release(base, PAGE), 0);
}

/* ---------------------------------------------------------------------------- populate and lock */

static void need_populate(void)
{
    need("populate", madvise(NULL, 0, 23) == 0, "this kernel has no MADV_POPULATE_WRITE");
}

static void populate_leaves_no_fault_for_the_writer(void **state)
{
    unsigned char *base = create_small(256 * PAGE);
    struct zf_os_counters before, after;
    (void)state;
    need_populate();
    zf_os_counters(&before);
    assert_int_equal(zf_os_populate(base, 256 * PAGE), 0);
    zf_os_counters(&after);

    assert_true(after.faults_minor - before.faults_minor >= 256);
    assert_int_equal(present_bytes(base, 256 * PAGE), 256 * PAGE);
    assert_int_equal(faults_of_writing(base, 256 * PAGE), 0);
    assert_int_equal(zf_os_release(base, 256 * PAGE), 0);
}

static void populate_replaces_the_zero_page_and_keeps_content(void **state)
{
    unsigned char *base = create_small(8 * PAGE);
    (void)state;
    need_populate();
    base[3 * PAGE] = 42;
    assert_int_equal(faults_of_reading(base, 8 * PAGE), 7);
    assert_int_equal(present_bytes(base, 8 * PAGE), PAGE);

    assert_int_equal(zf_os_populate(base, 8 * PAGE), 0);

    assert_int_equal(base[3 * PAGE], 42);
    assert_int_equal(present_bytes(base, 8 * PAGE), 8 * PAGE);
    assert_int_equal(faults_of_writing(base, 8 * PAGE), 0);
    assert_int_equal(zf_os_release(base, 8 * PAGE), 0);
}

static void lock_populates_and_counts_and_unlock_undoes_it(void **state)
{
    unsigned char *base = create_small(16 * PAGE);
    size_t locked_bytes = 0;
    (void)state;
    assert_int_equal(zf_os_lock(base, 16 * PAGE), 0);
    assert_int_equal(zf_os_locked_bytes(base, 16 * PAGE, NULL, &locked_bytes), 0);
    assert_int_equal(locked_bytes, 16 * PAGE);
    assert_true(mapping_has_flag(base, "lo"));
    assert_int_equal(faults_of_writing(base, 16 * PAGE), 0);

    assert_int_equal(zf_os_unlock(base, 16 * PAGE), 0);

    assert_int_equal(zf_os_locked_bytes(base, 16 * PAGE, NULL, &locked_bytes), 0);
    assert_int_equal(locked_bytes, 0);
    assert_false(mapping_has_flag(base, "lo"));
    assert_int_equal(present_bytes(base, 16 * PAGE), 16 * PAGE);
    assert_int_equal(zf_os_release(base, 16 * PAGE), 0);
}

/* What a child without privileges was answered. */
struct lock_answers {
    int setup;
    int over_limit;
    int within_limit;
    int no_limit_at_all;
};

static void lock_unprivileged(void *shared)
{
    struct lock_answers *answers = shared;
    void *base;
    answers->setup = zf_os_reserve(32 * PAGE, PAGE, &base);
    if (answers->setup == 0)
        answers->setup = zf_os_commit(base, 32 * PAGE);
    if (answers->setup == 0)
        answers->setup = drop_privileges(16 * PAGE);
    answers->over_limit = zf_os_lock(base, 17 * PAGE);
    answers->within_limit = zf_os_lock(base, 16 * PAGE);
    (void)zf_os_unlock(base, 16 * PAGE);
    (void)drop_privileges(0);
    answers->no_limit_at_all = zf_os_lock(base, PAGE);
}

static void lock_is_refused_over_the_limit(void **state)
{
    struct lock_answers *answers = shared_create(sizeof *answers);
    (void)state;
    assert_int_equal(run_in_child(lock_unprivileged, answers), 0);
    assert_int_equal(answers->setup, 0);
    assert_int_equal(answers->over_limit, -ENOMEM);
    assert_int_equal(answers->within_limit, 0);
    assert_int_equal(answers->no_limit_at_all, -EPERM);
    shared_destroy(answers, sizeof *answers);
}

/* ------------------------------------------------------------------------------------ placement */

static void prefer_node_sets_a_policy_that_numa_maps_shows(void **state)
{
    unsigned char *base = create(16 * PAGE, PAGE);
    char policy[64];
    int rc = zf_os_prefer_node(base, 16 * PAGE, 0);
    (void)state;
    need("memory policies", rc != -EOPNOTSUPP && rc != -EPERM, "mbind: %s", strerror(-rc));
    assert_int_equal(rc, 0);
    assert_true(mapping_policy(base, policy, sizeof policy));
    assert_int_equal(strncmp(policy, "prefer", 6), 0);
    assert_non_null(strchr(policy, '0'));

    assert_int_equal(zf_os_prefer_node(base, 16 * PAGE, -1), 0);

    assert_true(mapping_policy(base, policy, sizeof policy));
    assert_string_equal(policy, "local");
    assert_int_equal(zf_os_release(base, 16 * PAGE), 0);
}

static void prefer_node_refuses_nodes_that_do_not_exist(void **state)
{
    static const int nodes[] = {62, 63, 64, 1000, 1022, 1023, 1024, 1 << 20};
    unsigned char *base = create(PAGE, PAGE);
    int rc = zf_os_prefer_node(base, PAGE, 0);
    (void)state;
    need("memory policies", rc != -EOPNOTSUPP && rc != -EPERM, "mbind: %s", strerror(-rc));
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; ++i)
        assert_int_equal(zf_os_prefer_node(base, PAGE, nodes[i]), -ENODEV);
    assert_int_equal(zf_os_release(base, PAGE), 0);
}

/* -----------------------------------------------------------------------------------------
 * advice */

struct fork_answers {
    unsigned char *excluded;
    unsigned char *wiped;
    unsigned char *inherited;
    bool excluded_is_mapped;
    bool guards_are_mapped;
    unsigned char wiped_byte;
    unsigned char inherited_byte;
};

static void look_from_child(void *shared)
{
    struct fork_answers *answers = shared;
    answers->excluded_is_mapped = is_mapped(answers->excluded);
    /* Whatever is given back takes its guard with it: nothing else may lie there. */
    answers->guards_are_mapped = is_mapped(answers->excluded + PAGE) &&
                                 is_mapped(answers->wiped + PAGE) &&
                                 is_mapped(answers->inherited + PAGE);
    answers->wiped_byte = *answers->wiped;
    answers->inherited_byte = *answers->inherited;
}

static void fork_advice_decides_what_a_child_sees(void **state)
{
    struct fork_answers *answers = shared_create(sizeof *answers);
    (void)state;
    answers->excluded = create(PAGE, PAGE);
    answers->wiped = create(PAGE, PAGE);
    answers->inherited = create(PAGE, PAGE);
    assert_int_equal(zf_os_advise(answers->excluded, PAGE, ZF_OS_FORK_EXCLUDE), 0);
    assert_int_equal(zf_os_advise(answers->wiped, PAGE, ZF_OS_FORK_WIPE), 0);
    *answers->excluded = *answers->wiped = *answers->inherited = 7;
    answers->excluded_is_mapped = true;
    answers->wiped_byte = 9;

    assert_int_equal(run_in_child(look_from_child, answers), 0);

    assert_false(answers->excluded_is_mapped);
    assert_true(answers->guards_are_mapped);
    assert_int_equal(answers->wiped_byte, 0);
    assert_int_equal(answers->inherited_byte, 7);
    assert_int_equal(*answers->wiped, 7);
    /* Why exclusion is the default: only the inherited page has to be written anew. */
    assert_int_equal(faults_of_writing(answers->excluded, PAGE), 0);
    assert_int_equal(zf_os_release(answers->excluded, PAGE), 0);
    assert_int_equal(zf_os_release(answers->wiped, PAGE), 0);
    assert_int_equal(zf_os_release(answers->inherited, PAGE), 0);
    shared_destroy(answers, sizeof *answers);
}

static size_t huge_bytes(const void *base, size_t size_bytes)
{
    struct zf_os_residency residency;
    assert_int_equal(zf_os_residency(base, size_bytes, &residency), 0);
    assert_true(residency.huge_known);
    return residency.huge_bytes;
}

static void huge_advice_gives_huge_pages_from_the_first_touch(void **state)
{
    size_t huge = zf_os_huge_page_bytes();
    unsigned char *base;
    (void)state;
    need("transparent huge pages", huge != 0, "this kernel has none");
    base = create(4 * huge, huge);
    assert_int_equal(zf_os_advise(base, 4 * huge, ZF_OS_HUGE_WISHED), 0);
    assert_true(mapping_has_flag(base, "hg"));
    assert_int_equal(faults_of_writing(base, 4 * huge), 4);
    assert_int_equal(huge_bytes(base, 4 * huge), 4 * huge);
    assert_int_equal(zf_os_release(base, 4 * huge), 0);
}

static void collapse_makes_small_pages_huge_and_freeze_keeps_them(void **state)
{
    size_t huge = zf_os_huge_page_bytes();
    unsigned char *base;
    int rc;
    (void)state;
    need("transparent huge pages", huge != 0, "this kernel has none");
    base = create(2 * huge, huge);
    assert_int_equal(zf_os_advise(base, 2 * huge, ZF_OS_HUGE_FROZEN), 0);
    (void)faults_of_writing(base, 2 * huge);
    base[huge] = 99;
    assert_int_equal(huge_bytes(base, 2 * huge), 0);

    assert_int_equal(zf_os_advise(base, 2 * huge, ZF_OS_HUGE_WISHED), 0);
    rc = zf_os_advise(base, 2 * huge, ZF_OS_HUGE_COLLAPSE);
    need("collapse", rc != -EOPNOTSUPP, "this kernel has no MADV_COLLAPSE");
    assert_int_equal(rc, 0);
    assert_int_equal(zf_os_advise(base, 2 * huge, ZF_OS_HUGE_FROZEN), 0);

    assert_int_equal(huge_bytes(base, 2 * huge), 2 * huge);
    assert_int_equal(base[huge], 99);
    assert_true(mapping_has_flag(base, "nh"));
    assert_int_equal(faults_of_writing(base, 2 * huge), 0);
    assert_int_equal(zf_os_release(base, 2 * huge), 0);
}

static void never_merge_takes_a_range_out_of_page_merging(void **state)
{
    unsigned char *base = create(PAGE, PAGE);
    (void)state;
    need("KSM", madvise(base, PAGE, MADV_MERGEABLE) == 0, "this kernel merges no pages");
    assert_true(mapping_has_flag(base, "mg"));
    assert_int_equal(zf_os_advise(base, PAGE, ZF_OS_NEVER_MERGE), 0);
    assert_false(mapping_has_flag(base, "mg"));
    assert_int_equal(zf_os_release(base, PAGE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reserve_aligns_as_asked),
        cmocka_unit_test(reserve_refuses_more_than_an_address_space),
        cmocka_unit_test(reserved_range_is_unusable_until_committed),
        cmocka_unit_test(what_lies_behind_a_range_is_never_usable),
        cmocka_unit_test(commit_makes_zeros_and_nothing_resident),
        cmocka_unit_test(commit_refuses_more_than_the_system_s_limit),
        cmocka_unit_test(release_unmaps_every_page),
        cmocka_unit_test(name_shows_in_maps_without_what_the_kernel_forbids),
        cmocka_unit_test(populate_leaves_no_fault_for_the_writer),
        cmocka_unit_test(populate_replaces_the_zero_page_and_keeps_content),
        cmocka_unit_test(lock_populates_and_counts_and_unlock_undoes_it),
        cmocka_unit_test(lock_is_refused_over_the_limit),
        cmocka_unit_test(prefer_node_sets_a_policy_that_numa_maps_shows),
        cmocka_unit_test(prefer_node_refuses_nodes_that_do_not_exist),
        cmocka_unit_test(fork_advice_decides_what_a_child_sees),
        cmocka_unit_test(huge_advice_gives_huge_pages_from_the_first_touch),
        cmocka_unit_test(collapse_makes_small_pages_huge_and_freeze_keeps_them),
        cmocka_unit_test(never_merge_takes_a_range_out_of_page_merging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
