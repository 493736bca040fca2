/*
 * The lines of a file of any length, without an allocation. Private to this system's folder.
 */
#ifndef ZF_OS_LINUX_LINES_H
#define ZF_OS_LINUX_LINES_H

#include <stddef.h>

struct zf_linux_lines {
    char text[4096];
    size_t length; /* filled */
    size_t next;   /* first byte not handed out */
    int file;
};

/* 0, or the -errno of opening. */
int zf_linux_lines_open(struct zf_linux_lines *lines, const char *path);

/* The next line, cut when it is longer than the buffer; NULL at the end. Valid until the next
 * call. */
char *zf_linux_lines_next(struct zf_linux_lines *lines);

void zf_linux_lines_close(struct zf_linux_lines *lines);

#endif
