/*
 * Sizes as people write and read them.
 */
#ifndef ZF_CLI_SIZE_H
#define ZF_CLI_SIZE_H

#include <stdbool.h>
#include <stddef.h>

/* Read "4096", "64K", "2M", "1GiB": powers of 1024. False, and `*bytes` untouched, for anything
 * else and for what does not fit. */
bool cli_size_parse(const char *text, size_t *bytes);

/* Write "1.5 GiB"; returns `text`. */
const char *cli_size_format(size_t bytes, char text[24]);

#endif
