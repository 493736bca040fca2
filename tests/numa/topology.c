/*
 * The guest is what the other groups take for granted: its nodes, distances and pools of huge
 * pages, and a guard that sees faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "numa/numa.h"
#include "support/nodes.h"
#include "support/pages.h"

static void assert_line(const char *path, const char *expected)
{
    char line[256];
    read_line(path, line, sizeof line);
    assert_string_equal(line, expected);
}

static void the_guest_has_its_nodes(void **state)
{
    (void)state;
    assert_line("/sys/devices/system/node/online", "0-2,4-5");
    assert_line("/sys/devices/system/node/has_memory", "0-1,4-5");
    assert_line("/sys/devices/system/node/has_cpu", "0-2");
    assert_line("/sys/devices/system/node/node0/cpulist", "0-1");
    assert_line("/sys/devices/system/node/node1/cpulist", "2");
    assert_line("/sys/devices/system/node/node2/cpulist", "3");
    assert_line("/sys/devices/system/node/node4/cpulist", "");
}

static void the_guest_has_its_distances(void **state)
{
    (void)state;
    assert_line("/sys/devices/system/node/node0/distance", "10 20 30 17 28");
    assert_line("/sys/devices/system/node/node2/distance", "30 15 10 30 30");
    assert_line("/sys/devices/system/node/node5/distance", "28 17 30 26 10");
}

static void the_system_tells_the_nodes_that_its_files_show(void **state)
{
    (void)state;
    assert_int_equal(assert_nodes_agree(), 5);
}

static void assert_pool(int node, const char *size, const char *pages)
{
    char path[128];
    (void)snprintf(path, sizeof path,
                   "/sys/devices/system/node/node%d/hugepages/hugepages-%s/free_hugepages", node,
                   size);
    assert_line(path, pages);
}

static void the_guest_has_its_pools_of_huge_pages(void **state)
{
    (void)state;
    assert_pool(NODE_LARGE, "2048kB", "16");
    assert_pool(NODE_MIDDLE, "2048kB", "0");
    assert_pool(NODE_MEMORY_ONLY, "2048kB", "8");
    assert_pool(NODE_SMALL, "2048kB", "0");
    assert_pool(NODE_LARGE, "1048576kB", "1");
    assert_pool(NODE_MIDDLE, "1048576kB", "1");
    assert_pool(NODE_MEMORY_ONLY, "1048576kB", "0");
}

static void the_guard_sees_faults_in_the_guest(void **state)
{
    static struct hot_section section = HOT_SECTION("touch");
    size_t size_bytes = 64 * PAGE;
    void *plain = plain_create(size_bytes);
    uint64_t faults;
    (void)state;
    assert_int_equal(hot_source_active(), HOT_SOURCE_RING);
    assert_true(hot_guard_is_live());
    hot_section_begin(&section);
    faults = faults_of_writing(plain, size_bytes);
    assert_true(hot_section_end(&section) >= 64);
    assert_int_equal(faults, 64);
    plain_destroy(plain, size_bytes);
}

static int attach(void **state)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    (void)state;
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING), &report), 0);
    assert_true(report.self_tested);
    return 0;
}

int test_topology(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guest_has_its_nodes),
        cmocka_unit_test(the_guest_has_its_distances),
        cmocka_unit_test(the_system_tells_the_nodes_that_its_files_show),
        cmocka_unit_test(the_guest_has_its_pools_of_huge_pages),
        cmocka_unit_test(the_guard_sees_faults_in_the_guest),
    };
    return cmocka_run_group_tests_name("topology", tests, attach, NULL);
}
