/*
 * Suppressions: rules about what a report leaves out.
 */
#ifndef ZF_HOT_SUPPRESS_H
#define ZF_HOT_SUPPRESS_H

#include <zerofault/hot_report.h>

enum zf_suppress_what {
    ZF_SUPPRESS_FUNCTION = 0,
    ZF_SUPPRESS_OBJECT,
    ZF_SUPPRESS_ARENA,
    ZF_SUPPRESS_SECTION,
    ZF_SUPPRESS_COUNT
};

struct zf_suppress_rule {
    struct zf_suppress_rule *next;
    enum zf_suppress_what what;
    char pattern[]; /* with `*` for any text */
};

/* In the order in which they were given. */
struct zf_suppress_rules {
    struct zf_suppress_rule *first;
    struct zf_suppress_rule **end;
};

/* What is looked at. */
struct zf_suppress_subject {
    const char *section;
    const char *arena;                         /* "" for none */
    const struct hot_description *description; /* may be NULL when no rule needs it */
};

void zf_suppress_init(struct zf_suppress_rules *rules);
void zf_suppress_free(struct zf_suppress_rules *rules);

/* Take in one rule. -EINVAL it is none; -ENOMEM. */
int zf_suppress_add(struct zf_suppress_rules *rules, const char *rule);

/* Take in a file of them, all or none. Errors as of hot_report_suppress_file. */
int zf_suppress_add_file(struct zf_suppress_rules *rules, const char *path, size_t *line);

/* Does any rule ask for names of functions or objects? */
bool zf_suppress_needs_names(const struct zf_suppress_rules *rules);

/* The first rule that fits; NULL for none. */
const struct zf_suppress_rule *zf_suppress_find(const struct zf_suppress_rules *rules,
                                                const struct zf_suppress_subject *subject);

/* The word before the colon. */
const char *zf_suppress_word(enum zf_suppress_what what);

#endif
