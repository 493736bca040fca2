/*
 * Copies of captured trees that a test may spoil.
 */
#ifndef ZF_TESTS_MACHINE_SCRATCH_H
#define ZF_TESTS_MACHINE_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>

#include "machine/tree.h"

#define SCRATCH_BYTES 64

/* Copy the tree of this name to a folder of its own; `root` gets its name. */
static inline void scratch_create(char root[SCRATCH_BYTES], const char *name)
{
    char command[768];
    (void)snprintf(root, SCRATCH_BYTES, "/tmp/zerofault-tree-XXXXXX");
    assert_non_null(mkdtemp(root));
    (void)snprintf(command, sizeof command, "cp -R '%s/%s/.' %s", ZF_TREES, name, root);
    assert_int_equal(system(command), 0);
}

static inline void scratch_destroy(const char *root)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

/* Let a file below the root hold this text; NULL takes the file away. The folder must be there. */
static inline void scratch_write(const char *root, const char *path, const char *text)
{
    char whole[512];
    FILE *file;
    (void)snprintf(whole, sizeof whole, "%s%s", root, path);
    if (text == NULL) {
        assert_int_equal(remove(whole), 0);
        return;
    }
    file = fopen(whole, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* Give a file or folder below the root another name. */
static inline void scratch_move(const char *root, const char *from, const char *to)
{
    char old[512];
    char new[512];
    (void)snprintf(old, sizeof old, "%s%s", root, from);
    (void)snprintf(new, sizeof new, "%s%s", root, to);
    assert_int_equal(rename(old, new), 0);
}

/* Copy a folder below the root, with all in it. */
static inline void scratch_copy(const char *root, const char *from, const char *to)
{
    char command[512];
    (void)snprintf(command, sizeof command, "cp -R '%s%s' '%s%s'", root, from, root, to);
    assert_int_equal(system(command), 0);
}

/* Audit a scratch tree. */
static inline struct machine_audit *scratch_audit(const char *root)
{
    struct machine_audit *audit;
    assert_int_equal(machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.root = root)), 0);
    return audit;
}

#endif
