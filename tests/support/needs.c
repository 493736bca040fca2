/* What a test needs of the machine; see needs.h. */
#include "support/needs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_word(const char *word, size_t word_length, const char *name)
{
    return word_length == strlen(name) && memcmp(word, name, word_length) == 0;
}

/* Is `name`, or everything, in the list of ZEROFAULT_TEST_PROVIDES? */
static bool is_provided(const char *name)
{
    const char *word = getenv("ZEROFAULT_TEST_PROVIDES");
    while (word != NULL && *word != '\0') {
        size_t word_length;
        word += strspn(word, ", ");
        word_length = strcspn(word, ",");
        if (is_word(word, word_length, name) || is_word(word, word_length, "everything"))
            return true;
        word += word_length;
    }
    return false;
}

void need(const char *name, bool met, const char *reason, ...)
{
    char text[256];
    va_list arguments;
    if (met)
        return;
    va_start(arguments, reason);
    (void)vsnprintf(text, sizeof text, reason, arguments);
    va_end(arguments);
    if (is_provided(name))
        fail_msg("this job provides %s, yet: %s", name, text);
    print_message("needs %s: %s\n", name, text);
    skip();
}
