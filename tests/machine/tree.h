/*
 * Audits of captured trees: how the tests of this folder make one and look into it.
 */
#ifndef ZF_TESTS_MACHINE_TREE_H
#define ZF_TESTS_MACHINE_TREE_H

#include <stdio.h>
#include <string.h>

#include <zerofault/machine.h>

/* Audit the tree of this name; `options` may be NULL, and its root is filled in. */
static inline struct machine_audit *audit_tree(const char *name,
                                               const struct machine_audit_options *options)
{
    struct machine_audit_options known =
        options != NULL ? *options : MACHINE_AUDIT_OPTIONS(.root = NULL);
    struct machine_audit *audit;
    char root[512];
    (void)snprintf(root, sizeof root, "%s/%s", ZF_TREES, name);
    known.root = root;
    assert_int_equal(machine_audit_create(&audit, &known), 0);
    assert_non_null(audit);
    return audit;
}

/* The check of this name; NULL when the audit has none. */
static inline const struct machine_check *find_check(const struct machine_audit *audit,
                                                     const char *name)
{
    const struct machine_check *check;
    for (size_t i = 0; (check = machine_audit_check(audit, i)) != NULL; ++i)
        if (strcmp(check->name, name) == 0)
            return check;
    return NULL;
}

/* The audit has this check, with this severity and this value. */
static inline void assert_check(const struct machine_audit *audit, const char *name,
                                enum machine_severity severity, const char *value)
{
    const struct machine_check *check = find_check(audit, name);
    if (check == NULL) {
        fail_msg("no check of the name %s", name);
        return;
    }
    assert_string_equal(check->value, value);
    assert_string_equal(machine_severity_name(check->severity), machine_severity_name(severity));
}

#endif
