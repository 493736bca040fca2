/*
 * Rules about what a report leaves out; see suppress.h. A pattern fits a whole name, and a path's
 * last part as well as all of it, so that "object:libfoo.so*" needs no folder. Rules are few and
 * names short: each is tried in turn.
 */
#include "hot/suppress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define LINE_BYTES 512

static const char *const words[ZF_SUPPRESS_COUNT] = {
    [ZF_SUPPRESS_FUNCTION] = "function",
    [ZF_SUPPRESS_OBJECT] = "object",
    [ZF_SUPPRESS_ARENA] = "arena",
    [ZF_SUPPRESS_SECTION] = "section",
};

const char *zf_suppress_word(enum zf_suppress_what what)
{
    ZF_ASSERT((unsigned)what < ZF_SUPPRESS_COUNT);
    return words[what];
}

/* ------------------------------------------------------------------------------------- patterns */

/* After a mismatch, only the last star can still take in more. */
static bool fits(const char *pattern, const char *text)
{
    const char *behind_star = NULL;
    const char *retry = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            behind_star = ++pattern;
            retry = text;
        } else if (*pattern == *text) {
            ++pattern;
            ++text;
        } else if (behind_star != NULL) {
            pattern = behind_star;
            text = ++retry;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

static bool fits_path(const char *pattern, const char *path)
{
    const char *last = strrchr(path, '/');
    return fits(pattern, path) || (last != NULL && fits(pattern, last + 1));
}

static bool fits_symbol(const struct zf_suppress_rule *rule, const struct hot_symbol *symbol)
{
    if (rule->what == ZF_SUPPRESS_FUNCTION)
        return symbol->function[0] != '\0' && fits(rule->pattern, symbol->function);
    ZF_ASSERT(rule->what == ZF_SUPPRESS_OBJECT);
    return symbol->object[0] != '\0' && fits_path(rule->pattern, symbol->object);
}

static bool fits_stack(const struct zf_suppress_rule *rule,
                       const struct hot_description *description)
{
    if (description == NULL)
        return false;
    ZF_ASSERT(description->frame_count <= HOT_FRAMES_MAX);
    for (size_t i = 0; i < description->frame_count; ++i)
        if (fits_symbol(rule, &description->frames[i]))
            return true;
    return fits_symbol(rule, &description->instruction);
}

const struct zf_suppress_rule *zf_suppress_find(const struct zf_suppress_rules *rules,
                                                const struct zf_suppress_subject *subject)
{
    for (const struct zf_suppress_rule *rule = rules->first; rule != NULL; rule = rule->next) {
        bool found = false;
        if (rule->what == ZF_SUPPRESS_ARENA)
            found = subject->arena[0] != '\0' && fits(rule->pattern, subject->arena);
        else if (rule->what == ZF_SUPPRESS_SECTION)
            found = fits(rule->pattern, subject->section);
        else
            found = fits_stack(rule, subject->description);
        if (found)
            return rule;
    }
    return NULL;
}

/* ---------------------------------------------------------------------------------------- rules */

void zf_suppress_init(struct zf_suppress_rules *rules)
{
    rules->first = NULL;
    rules->end = &rules->first;
}

void zf_suppress_free(struct zf_suppress_rules *rules)
{
    while (rules->first != NULL) {
        struct zf_suppress_rule *rule = rules->first;
        rules->first = rule->next;
        free(rule);
    }
    rules->end = &rules->first;
}

bool zf_suppress_needs_names(const struct zf_suppress_rules *rules)
{
    for (const struct zf_suppress_rule *rule = rules->first; rule != NULL; rule = rule->next)
        if (rule->what == ZF_SUPPRESS_FUNCTION || rule->what == ZF_SUPPRESS_OBJECT)
            return true;
    return false;
}

static bool is_blank(char letter)
{
    return letter == ' ' || letter == '\t';
}

/* Blanks around a pattern are not part of it: no name begins or ends with one. */
static int add(struct zf_suppress_rules *rules, enum zf_suppress_what what, const char *pattern)
{
    struct zf_suppress_rule *rule;
    size_t length;
    while (is_blank(*pattern))
        ++pattern;
    length = strlen(pattern);
    while (length > 0 && is_blank(pattern[length - 1]))
        --length;
    if (length == 0)
        return -EINVAL;
    rule = malloc(sizeof *rule + length + 1);
    if (rule == NULL)
        return -ENOMEM;
    rule->next = NULL;
    rule->what = what;
    memcpy(rule->pattern, pattern, length);
    rule->pattern[length] = '\0';
    *rules->end = rule;
    rules->end = &rule->next;
    return 0;
}

int zf_suppress_add(struct zf_suppress_rules *rules, const char *rule)
{
    for (int what = 0; what < ZF_SUPPRESS_COUNT; ++what) {
        size_t length = strlen(words[what]);
        if (strncmp(rule, words[what], length) == 0 && rule[length] == ':')
            return add(rules, (enum zf_suppress_what)what, rule + length + 1);
    }
    return -EINVAL;
}

/* What a line says: what is before a comment, from the first letter on. */
static const char *content_of(char *line)
{
    line[strcspn(line, "#\r\n")] = '\0';
    while (is_blank(*line))
        ++line;
    return line;
}

static int add_lines(struct zf_suppress_rules *rules, FILE *file, size_t *line)
{
    char text[LINE_BYTES];
    int rc = 0;
    *line = 0;
    while (rc == 0 && fgets(text, sizeof text, file) != NULL) {
        const char *rule;
        ++*line;
        if (strchr(text, '\n') == NULL && !feof(file))
            return -EINVAL; /* longer than any name */
        rule = content_of(text);
        rc = rule[0] == '\0' ? 0 : zf_suppress_add(rules, rule);
    }
    if (rc == 0) {
        *line = 0;
        rc = ferror(file) ? -EIO : 0;
    }
    return rc;
}

int zf_suppress_add_file(struct zf_suppress_rules *rules, const char *path, size_t *line)
{
    struct zf_suppress_rules added;
    FILE *file = fopen(path, "re");
    int rc;
    *line = 0;
    if (file == NULL)
        return -errno;
    zf_suppress_init(&added);
    rc = add_lines(&added, file, line);
    (void)fclose(file);
    if (rc != 0) {
        zf_suppress_free(&added);
        return rc;
    }
    if (added.first != NULL) {
        *rules->end = added.first;
        rules->end = added.end;
    }
    return 0;
}
