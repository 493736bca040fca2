/*
 * Structs that carry their size: how a library and a program of different versions agree.
 *
 * Options travel in: a shorter struct of an older program is padded with zeros, which mean
 * default; a longer one of a newer program is taken when its unknown tail is zero. Results travel
 * out: only as many bytes are written as the caller said it has. The idea is that of Linux's
 * clone3 and of libbpf.
 */
#ifndef ZF_BASE_OPTIONS_H
#define ZF_BASE_OPTIONS_H

#include <stddef.h>

/* Copy the caller's options (NULL: all default) over `known_bytes` of zeros, whose first field is
 * the size. Returns 0; -EINVAL the stated size cannot hold the size field; -E2BIG an unknown
 * field is set. */
int zf_options_take(void *known, size_t known_bytes, const void *given);

/* Tell whether a caller's result struct states a size that can be filled.
 * Returns 0; -EINVAL NULL, or the size field was not initialised. */
int zf_result_check(const void *given);

/* Write a filled result to the caller's struct of any stated size; its size field keeps the
 * caller's value, the rest of a longer struct becomes zero. */
void zf_result_give(void *given, const void *known, size_t known_bytes);

#endif
