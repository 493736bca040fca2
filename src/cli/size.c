/* Sizes as people write and read them; see size.h. Powers of 1024 throughout. */
#include "cli/size.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefixes[] = "KMGTPE";

/* How often 1024 is multiplied in a unit, up to its end; -1 when it is no unit. */
static int unit_power(const char *unit)
{
    const char *prefix;
    if (*unit == '\0' || strcmp(unit, "B") == 0)
        return 0;
    prefix = strchr(prefixes, *unit >= 'a' ? *unit - 'a' + 'A' : *unit);
    if (prefix == NULL ||
        (unit[1] != '\0' && strcmp(unit + 1, "B") != 0 && strcmp(unit + 1, "iB") != 0))
        return -1;
    return (int)(prefix - prefixes) + 1;
}

bool cli_size_parse(const char *text, size_t *bytes)
{
    char *end;
    unsigned long long number;
    int power;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    number = strtoull(text, &end, 10);
    power = unit_power(end);
    if (errno != 0 || power < 0 || number > (size_t)-1 >> (10 * power))
        return false;
    *bytes = (size_t)number << (10 * power);
    return true;
}

const char *cli_size_format(size_t bytes, char text[24])
{
    int power = 0;
    double value = (double)bytes;
    for (; power < 6 && value >= 1024; ++power)
        value /= 1024;
    if (power == 0)
        (void)snprintf(text, 24, "%zu B", bytes);
    else if (bytes % ((size_t)1 << (10 * power)) == 0)
        (void)snprintf(text, 24, "%zu %ciB", bytes >> (10 * power), prefixes[power - 1]);
    else
        (void)snprintf(text, 24, "%.1f %ciB", value, prefixes[power - 1]);
    return text;
}
