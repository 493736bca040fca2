/*
 * The kernel's counters of what it does to pages, from a captured file and from this machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine/vmstat.h"

static void counters_are_read_by_their_whole_name(void **state)
{
    struct zf_machine_vmstat vmstat;
    (void)state;
    zf_machine_vmstat(ZF_TREES "/vmstat", &vmstat);
    assert_true(vmstat.known);
    assert_int_equal(vmstat.numa_hint_faults, 17);
    assert_int_equal(vmstat.pages_migrated, 1234);
    assert_int_equal(vmstat.huge_splits, 17);
    assert_int_equal(vmstat.swapped_in, 5);
}

static void file_that_is_not_there_is_not_known(void **state)
{
    struct zf_machine_vmstat vmstat;
    (void)state;
    zf_machine_vmstat(ZF_TREES "/none", &vmstat);
    assert_false(vmstat.known);
    assert_int_equal(vmstat.pages_migrated, 0);
}

static void this_machine_has_counters(void **state)
{
    struct zf_machine_vmstat vmstat;
    (void)state;
    zf_machine_vmstat("", &vmstat);
    assert_true(vmstat.known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_are_read_by_their_whole_name),
        cmocka_unit_test(file_that_is_not_there_is_not_known),
        cmocka_unit_test(this_machine_has_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
