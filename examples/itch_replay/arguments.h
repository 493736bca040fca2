/* Reading numbers from the command line; shared by the two programs here. */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Read a whole decimal number of at least `minimum` and at most `maximum`. */
static inline bool parse_number(const char *text, uint64_t minimum, uint64_t maximum,
                                uint64_t *number)
{
    char *end;
    unsigned long long value;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || value < minimum || value > maximum)
        return false;
    *number = value;
    return true;
}

#endif
