/*
 * Rules about what a report leaves out: their words, their patterns, files of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hot/suppress.h"

static void bad_rules_are_refused(void **state)
{
    static const char *const bad[] = {"",        "arena", "arena:",  ":x",       "variable:x",
                                      "Arena:x", "*",     "arena: ", "arena:\t "};
    struct zf_suppress_rules rules;
    (void)state;
    zf_suppress_init(&rules);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i)
        assert_int_equal(zf_suppress_add(&rules, bad[i]), -EINVAL);
    assert_null(rules.first);
}

static void stars_stand_for_any_text(void **state)
{
    static const struct {
        const char *rule;
        const char *arena;
        bool fits;
    } cases[] = {
        {"arena:orders", "orders", true},
        {"arena:orders", "order", false},
        {"arena:orders", "orders2", false},
        {"arena:orders*", "orders", true},
        {"arena:*", "anything", true},
        {"arena:*", "", false},
        {"arena:*ers", "orders", true},
        {"arena:*rd*s", "orders", true},
        {"arena:o*r*s", "orders", true},
        {"arena:o*x*s", "orders", false},
        {"arena:*ab", "aaab", true},
        {"arena:a*bc*bcd", "abcbcbcd", true},
        {"arena:**", "x", true},
        {"arena:a*", "ba", false},
        {"arena: orders", "orders", true},
        {"arena:\t orders \t", "orders", true},
        {"arena: two words ", "two words", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct zf_suppress_subject subject = {"section", cases[i].arena, NULL};
        struct zf_suppress_rules rules;
        zf_suppress_init(&rules);
        assert_int_equal(zf_suppress_add(&rules, cases[i].rule), 0);
        if ((zf_suppress_find(&rules, &subject) != NULL) != cases[i].fits)
            fail_msg("%s against \"%s\"", cases[i].rule, cases[i].arena);
        zf_suppress_free(&rules);
    }
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    (void)fclose(file);
}

static void line_longer_than_any_name_is_refused(void **state)
{
    char name[] = "/tmp/zf_rules_XXXXXX";
    char text[2000];
    struct zf_suppress_rules rules;
    size_t line;
    int file = mkstemp(name);
    (void)state;
    assert_true(file >= 0);
    (void)close(file);
    zf_suppress_init(&rules);
    memset(text, 'x', sizeof text);
    memcpy(text, "\narena:", 7);
    text[sizeof text - 1] = '\0';
    write_file(name, text);
    assert_int_equal(zf_suppress_add_file(&rules, name, &line), -EINVAL);
    assert_int_equal(line, 2);
    (void)unlink(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_rules_are_refused),
        cmocka_unit_test(stars_stand_for_any_text),
        cmocka_unit_test(line_longer_than_any_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
