/*
 * The mappings of this process as /proc/self/maps tells them; see maps.h.
 *
 * A line is "start-end rwxp offset device inode   path", the path ending with the line and free to
 * hold spaces. Only what is asked for here is parsed, and a line of any other form is passed over,
 * so that the same walk reads smaps. See proc(5).
 */
#include "os/linux/maps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Skip this many words and the blanks behind them. */
static const char *skip_words(const char *text, int count)
{
    while (count-- > 0) {
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    return text;
}

bool zf_linux_mapping_parse(const char *line, struct zf_linux_mapping *mapping)
{
    char *rest;
    ZF_ASSERT(line != NULL);
    ZF_ASSERT(mapping != NULL);
    mapping->start = strtoull(line, &rest, 16);
    if (rest == line || *rest != '-')
        return false;
    mapping->end = strtoull(rest + 1, &rest, 16);
    if (*rest != ' ' || strnlen(rest, 6) < 6)
        return false;
    mapping->readable = rest[1] == 'r';
    mapping->writable = rest[2] == 'w';
    mapping->executable = rest[3] == 'x';
    mapping->shared = rest[4] == 's';
    mapping->path = skip_words(rest + 1, 4);
    return mapping->start < mapping->end;
}

bool zf_linux_mapping_next(struct zf_linux_lines *lines, struct zf_linux_mapping *mapping)
{
    const char *line;
    while ((line = zf_linux_lines_next(lines)) != NULL)
        if (zf_linux_mapping_parse(line, mapping))
            return true;
    return false;
}

int zf_linux_mapping_find(uintptr_t address, const char *name, struct zf_linux_mapping *mapping,
                          char *path, size_t path_bytes)
{
    struct zf_linux_lines lines;
    bool found = false;
    ZF_ASSERT((address == 0) == (name != NULL));
    ZF_ASSERT(path_bytes > 0);
    if (zf_linux_lines_open(&lines, "/proc/self/maps") != 0)
        return -EOPNOTSUPP;
    while (!found && zf_linux_mapping_next(&lines, mapping))
        found = name != NULL ? strcmp(mapping->path, name) == 0
                             : address >= mapping->start && address < mapping->end;
    if (found)
        snprintf(path, path_bytes, "%s", mapping->path);
    mapping->path = path;
    zf_linux_lines_close(&lines);
    return found ? 0 : -ENODATA;
}
