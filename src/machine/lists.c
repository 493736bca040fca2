/*
 * Lists of CPUs and nodes; see lists.h.
 *
 * They are read where they stand: a list is at most a few hundred characters, asked a few times.
 * Numbers need not be dense, nor begin at 0. See cpuset(7), "List format".
 */
#include "machine/lists.h"

#include "base/assert.h"

static bool read_number(const char **text, unsigned *number)
{
    unsigned value = 0;
    if (**text < '0' || **text > '9')
        return false;
    for (; **text >= '0' && **text <= '9'; ++*text) {
        value = value * 10 + (unsigned)(**text - '0');
        if (value > ZF_LIST_NUMBER_MAX)
            return false;
    }
    *number = value;
    return true;
}

bool zf_list_next(const char **list, unsigned *first, unsigned *last)
{
    const char *text = *list;
    ZF_ASSERT(text != NULL);
    text += *text == ',';
    if (!read_number(&text, first))
        return false;
    *last = *first;
    if (*text == '-') {
        ++text;
        if (!read_number(&text, last) || *last < *first)
            return false;
    }
    *list = text;
    ZF_ASSERT(*first <= *last);
    return true;
}

size_t zf_list_count(const char *list)
{
    unsigned first, last;
    size_t count = 0;
    while (zf_list_next(&list, &first, &last))
        count += last - first + 1;
    return count;
}

bool zf_list_holds(const char *list, unsigned number)
{
    unsigned first, last;
    while (zf_list_next(&list, &first, &last))
        if (first <= number && number <= last)
            return true;
    return false;
}

bool zf_list_covers(const char *outer, const char *inner)
{
    unsigned first, last;
    while (zf_list_next(&inner, &first, &last))
        for (unsigned number = first; number <= last; ++number)
            if (!zf_list_holds(outer, number))
                return false;
    return true;
}
