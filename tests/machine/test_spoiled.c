/*
 * Files that are missing, cut short or garbled: an audit never fails for it, never reads beyond
 * what is there (the sanitizers watch), and says nothing unfit for a terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdbool.h>

#include "machine/scratch.h"
#include "machine/tree.h"

#define FILES_MAX 256
#define CHECKS_MIN 40 /* every audit has at least these, plan aside */

static char paths[FILES_MAX][256];
static size_t paths_count;

static int collect(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)where;
    if (type == FTW_F && paths_count < FILES_MAX)
        (void)snprintf(paths[paths_count++], sizeof paths[0], "%s", path);
    return 0;
}

/* How a file is spoiled. */
enum spoil { SPOIL_MISSING, SPOIL_EMPTY, SPOIL_HALF, SPOIL_GARBLED, SPOIL_NUMBERS, SPOIL_COUNT };

/* Numbers that come out the same every time, for garbling. */
static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void spoil_bytes(char *text, size_t *length, enum spoil spoil, uint32_t *seed)
{
    if (spoil == SPOIL_EMPTY)
        *length = 0;
    else if (spoil == SPOIL_HALF)
        *length /= 2;
    for (size_t i = 0; i < *length; ++i) {
        if (spoil == SPOIL_GARBLED && next_random(seed) % 4 == 0)
            text[i] = (char)(next_random(seed) & 0xff);
        else if (spoil == SPOIL_NUMBERS && text[i] >= '0' && text[i] <= '9')
            text[i] = '9';
    }
}

/* Spoil a file, keeping what it held in `kept`. Returns the length of that. */
static size_t spoil_file(const char *path, enum spoil spoil, char *kept, size_t kept_bytes)
{
    static char text[1 << 16];
    uint32_t seed = (uint32_t)spoil;
    FILE *file = fopen(path, "r");
    size_t length, spoiled;
    assert_non_null(file);
    length = fread(kept, 1, kept_bytes, file);
    assert_int_equal(fclose(file), 0);
    assert_in_range(length, 0, kept_bytes - 1);
    if (spoil == SPOIL_MISSING) {
        assert_int_equal(remove(path), 0);
        return length;
    }
    memcpy(text, kept, length);
    spoiled = length;
    spoil_bytes(text, &spoiled, spoil, &seed);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, spoiled, file), spoiled);
    assert_int_equal(fclose(file), 0);
    return length;
}

static void restore_file(const char *path, const char *kept, size_t length)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(kept, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static bool is_printable(const char *text)
{
    for (; text != NULL && *text != '\0'; ++text)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

/* Audit with a plan that asks every question; look at all that comes out. */
static void audit_spoiled(const char *root, const char *path)
{
    struct machine_audit *audit;
    const struct machine_check *check;
    const struct machine_node *node;
    size_t count = 0;
    int rc = machine_audit_create(
        &audit, &MACHINE_AUDIT_OPTIONS(.root = root, .plan_bytes = 100u << 20, .plan_lock = true,
                                       .plan_node = MACHINE_NODE(1), .plan_huge_bytes = 2u << 20));
    if (rc != 0)
        fail_msg("%s: %d", path, rc);
    for (; (check = machine_audit_check(audit, count)) != NULL; ++count) {
        assert_in_range(check->severity, MACHINE_OK, MACHINE_CRITICAL);
        if (check->value[0] == '\0' || !is_printable(check->value) || !is_printable(check->fix))
            fail_msg("%s: %s: '%s'", path, check->name, check->value);
    }
    assert_in_range(count, CHECKS_MIN, 200);
    for (size_t i = 0; (node = machine_audit_node(audit, i)) != NULL; ++i)
        assert_true(is_printable(node->cpus));
    machine_audit_destroy(audit);
}

/* In turn, each file of a tree in each way. */
static void spoil_tree(const char *name)
{
    static char kept[1 << 16];
    char root[SCRATCH_BYTES];
    scratch_create(root, name);
    paths_count = 0;
    assert_int_equal(nftw(root, collect, 16, FTW_PHYS), 0);
    assert_in_range(paths_count, 50, FILES_MAX - 1);
    for (size_t i = 0; i < paths_count; ++i) {
        for (int spoil = 0; spoil < SPOIL_COUNT; ++spoil) {
            size_t length = spoil_file(paths[i], (enum spoil)spoil, kept, sizeof kept);
            audit_spoiled(root, paths[i]);
            restore_file(paths[i], kept, length);
        }
    }
    scratch_destroy(root);
}

static void any_one_file_of_a_container_may_be_spoiled(void **state)
{
    (void)state;
    spoil_tree("container_6_12");
}

static void any_one_file_of_a_machine_with_nodes_may_be_spoiled(void **state)
{
    (void)state;
    spoil_tree("guest_2_nodes");
}

/* Folders where files should be, and files where folders should be. */
static void folders_and_files_may_be_swapped(void **state)
{
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "guest_2_nodes");
    scratch_move(root, "/proc/vmstat", "/proc/pulled");
    scratch_move(root, "/sys/kernel", "/proc/vmstat");
    scratch_move(root, "/proc/pulled", "/sys/kernel");
    audit_spoiled(root, "swapped");
    scratch_destroy(root);
}

/* All files garbled at once. */
static void every_file_may_be_spoiled_at_once(void **state)
{
    static char kept[1 << 16];
    char root[SCRATCH_BYTES];
    (void)state;
    for (int spoil = SPOIL_EMPTY; spoil < SPOIL_COUNT; ++spoil) {
        scratch_create(root, "guest_8_nodes");
        paths_count = 0;
        assert_int_equal(nftw(root, collect, 16, FTW_PHYS), 0);
        for (size_t i = 0; i < paths_count; ++i)
            (void)spoil_file(paths[i], (enum spoil)spoil, kept, sizeof kept);
        audit_spoiled(root, "all of them");
        scratch_destroy(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_file_of_a_container_may_be_spoiled),
        cmocka_unit_test(any_one_file_of_a_machine_with_nodes_may_be_spoiled),
        cmocka_unit_test(folders_and_files_may_be_swapped),
        cmocka_unit_test(every_file_may_be_spoiled_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
