/*
 * Available memory and control group limits, read from captured trees of real systems. Each tree
 * holds the few files of /proc and /sys that matter here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/memory.h"

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

static struct zf_machine_memory read_tree(const char *name)
{
    struct zf_machine_memory memory;
    char root[512];
    (void)snprintf(root, sizeof root, "%s/%s", ZF_TREES, name);
    assert_int_equal(zf_machine_memory(root, &memory), 0);
    return memory;
}

static void available_memory_is_read_without_control_groups(void **state)
{
    struct zf_machine_memory memory = read_tree("none");
    (void)state;
    assert_int_equal(memory.available_bytes, 16 * GIB);
    assert_true(memory.cgroup_limit_bytes == SIZE_MAX);
    assert_true(memory.cgroup_free_bytes == SIZE_MAX);
}

/* The service has 7 GiB left, its slice 512 MiB and 384 MiB of clean cache. */
static void the_tightest_group_above_counts(void **state)
{
    struct zf_machine_memory memory = read_tree("v2_service");
    (void)state;
    assert_int_equal(memory.cgroup_limit_bytes, 4 * GIB);
    assert_int_equal(memory.cgroup_free_bytes, 512 * MIB + 384 * MIB);
}

static void a_container_sees_its_group_at_the_mount(void **state)
{
    struct zf_machine_memory memory = read_tree("v2_container");
    (void)state;
    assert_int_equal(memory.cgroup_limit_bytes, 512 * MIB);
    assert_int_equal(memory.cgroup_free_bytes, (512 - 100 + 8) * MIB);
}

static void the_word_max_is_no_limit(void **state)
{
    struct zf_machine_memory memory = read_tree("v2_unlimited");
    (void)state;
    assert_true(memory.cgroup_limit_bytes == SIZE_MAX);
    assert_true(memory.cgroup_free_bytes == SIZE_MAX);
}

/* Usage 768 MiB of 1 GiB, of which 256 MiB are cache and 32 of those dirty. */
static void the_first_generation_counts_its_own_files(void **state)
{
    struct zf_machine_memory memory = read_tree("v1_docker");
    (void)state;
    assert_int_equal(memory.cgroup_limit_bytes, GIB);
    assert_int_equal(memory.cgroup_free_bytes, (256 + 256 - 32) * MIB);
}

static void the_first_generation_s_largest_number_is_no_limit(void **state)
{
    struct zf_machine_memory memory = read_tree("v1_hybrid");
    (void)state;
    assert_int_equal(memory.available_bytes, 16 * GIB);
    assert_true(memory.cgroup_limit_bytes == SIZE_MAX);
    assert_true(memory.cgroup_free_bytes == SIZE_MAX);
}

static void mounts_with_blanks_and_shared_controllers_are_found(void **state)
{
    struct zf_machine_memory memory = read_tree("v1_odd");
    (void)state;
    assert_int_equal(memory.cgroup_limit_bytes, 2 * GIB);
    assert_int_equal(memory.cgroup_free_bytes, 0);
}

/* More in use than the limit, as after the limit was lowered: nothing left, not a huge number. */
static void a_group_outside_of_the_mount_is_judged_by_the_mount(void **state)
{
    struct zf_machine_memory memory = read_tree("v2_outside");
    (void)state;
    assert_int_equal(memory.cgroup_limit_bytes, 256 * MIB);
    assert_int_equal(memory.cgroup_free_bytes, 0);
}

static void what_cannot_be_told_is_no_limit(void **state)
{
    struct zf_machine_memory memory = read_tree("no_available");
    (void)state;
    assert_true(memory.available_bytes == SIZE_MAX);
    assert_true(memory.cgroup_free_bytes == SIZE_MAX);
}

static void a_root_without_proc_is_an_error(void **state)
{
    struct zf_machine_memory memory;
    (void)state;
    assert_int_equal(zf_machine_memory("/no such root", &memory), -ENOENT);
    assert_true(memory.available_bytes == SIZE_MAX);
    assert_true(memory.cgroup_free_bytes == SIZE_MAX);
}

static void write_file(const char *root, const char *name, const char *head, size_t filler_lines,
                       const char *tail)
{
    char path[512];
    FILE *file;
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(head, file);
    for (size_t i = 0; i < filler_lines; ++i)
        (void)fprintf(file, "%zu 28 0:%zu / /var/lib/pods/%zu rw - tmpfs tmpfs rw\n", i, i, i);
    (void)fputs(tail, file);
    assert_int_equal(fclose(file), 0);
}

/* A host of many containers has a mountinfo of megabytes, with the one line at its end. */
static void a_mount_table_of_any_length_is_read(void **state)
{
    struct zf_machine_memory memory;
    char root[] = "/tmp/zerofault-machine-XXXXXX";
    char command[128];
    (void)state;
    assert_non_null(mkdtemp(root));
    (void)snprintf(command, sizeof command, "mkdir -p %s/proc/self %s/cg", root, root);
    assert_int_equal(system(command), 0);
    write_file(root, "proc/meminfo", "MemAvailable: 1024 kB\n", 0, "");
    write_file(root, "proc/self/cgroup", "0::/\n", 0, "");
    write_file(root, "proc/self/mountinfo", "", 20000, "9 8 0:7 / /cg rw - cgroup2 none rw\n");
    write_file(root, "cg/memory.max", "4096\n", 0, "");
    write_file(root, "cg/memory.current", "1024\n", 0, "");

    int rc = zf_machine_memory(root, &memory);

    (void)snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
    assert_int_equal(rc, 0);
    assert_int_equal(memory.available_bytes, MIB);
    assert_int_equal(memory.cgroup_free_bytes, 3072);
}

/* Nor is a mount point that no kernel writes followed. */
static void a_mount_table_that_makes_no_sense_is_no_limit(void **state)
{
    struct zf_machine_memory memory;
    char root[] = "/tmp/zerofault-machine-XXXXXX";
    char command[128];
    (void)state;
    assert_non_null(mkdtemp(root));
    (void)snprintf(command, sizeof command, "mkdir -p %s/proc/self", root);
    assert_int_equal(system(command), 0);
    write_file(root, "proc/meminfo", "MemAvailable: 1024 kB\n", 0, "");
    write_file(root, "proc/self/cgroup", "0::/\n", 0, "");
    write_file(root, "proc/self/mountinfo", "9 8 0:7 / cg rw - cgroup2 none rw\n", 0, "");

    int rc = zf_machine_memory(root, &memory);

    (void)snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
    assert_int_equal(rc, 0);
    assert_int_equal(memory.cgroup_free_bytes, SIZE_MAX);
}

static void this_machine_has_memory(void **state)
{
    struct zf_machine_memory memory, same;
    (void)state;
    assert_int_equal(zf_machine_memory("", &memory), 0);
    assert_in_range(memory.available_bytes, MIB, SIZE_MAX - 1);
    assert_true(memory.cgroup_free_bytes <= memory.cgroup_limit_bytes);
    assert_int_equal(zf_machine_memory("/", &same), 0);
    assert_true(same.cgroup_limit_bytes == memory.cgroup_limit_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(available_memory_is_read_without_control_groups),
        cmocka_unit_test(the_tightest_group_above_counts),
        cmocka_unit_test(a_container_sees_its_group_at_the_mount),
        cmocka_unit_test(the_word_max_is_no_limit),
        cmocka_unit_test(the_first_generation_counts_its_own_files),
        cmocka_unit_test(the_first_generation_s_largest_number_is_no_limit),
        cmocka_unit_test(mounts_with_blanks_and_shared_controllers_are_found),
        cmocka_unit_test(a_group_outside_of_the_mount_is_judged_by_the_mount),
        cmocka_unit_test(what_cannot_be_told_is_no_limit),
        cmocka_unit_test(a_root_without_proc_is_an_error),
        cmocka_unit_test(a_mount_table_of_any_length_is_read),
        cmocka_unit_test(a_mount_table_that_makes_no_sense_is_no_limit),
        cmocka_unit_test(this_machine_has_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
