/*
 * Lines of a file; see lines.h.
 *
 * One buffer of a page, read forward only: a line is handed out in place, and what is left behind
 * it moves to the front when more is needed. The files of /proc that this is for make a new text at
 * each read, so a walk sees every mapping once, though not all of them at one moment. A line longer
 * than the buffer keeps its head. See proc(5).
 */
#include "os/linux/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

int zf_linux_lines_open(struct zf_linux_lines *lines, const char *path)
{
    ZF_ASSERT(lines != NULL);
    ZF_ASSERT(path != NULL);
    lines->length = 0;
    lines->next = 0;
    lines->file = open(path, O_RDONLY | O_CLOEXEC);
    return lines->file < 0 ? -errno : 0;
}

char *zf_linux_lines_next(struct zf_linux_lines *lines)
{
    ZF_ASSERT(lines->file >= 0);
    for (;;) {
        char *line = lines->text + lines->next;
        char *newline = memchr(line, '\n', lines->length - lines->next);
        ssize_t count;
        if (newline != NULL) {
            *newline = '\0';
            lines->next = (size_t)(newline - lines->text) + 1;
            return line;
        }
        lines->length -= lines->next;
        memmove(lines->text, line, lines->length);
        lines->next = 0;
        /* A path that fills the buffer: keep its head, which holds the addresses. */
        if (lines->length == sizeof lines->text)
            lines->length = sizeof lines->text / 2;
        count = read(lines->file, lines->text + lines->length, sizeof lines->text - lines->length);
        if (count <= 0)
            return NULL;
        lines->length += (size_t)count;
        ZF_ASSERT(lines->length <= sizeof lines->text);
    }
}

void zf_linux_lines_close(struct zf_linux_lines *lines)
{
    ZF_ASSERT(lines->file >= 0);
    (void)close(lines->file);
    lines->file = -1;
}
