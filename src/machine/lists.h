/*
 * Lists of CPUs and nodes as the kernel writes them: "0-3,8".
 */
#ifndef ZF_MACHINE_LISTS_H
#define ZF_MACHINE_LISTS_H

#include <stdbool.h>
#include <stddef.h>

/* Larger numbers than any kernel gives to a CPU or a node end a list. */
#define ZF_LIST_NUMBER_MAX 65535u

/* The next run of numbers, both ends included; `*list` moves behind it. False at the end, and at
 * anything that is no list. */
bool zf_list_next(const char **list, unsigned *first, unsigned *last);

/* Count the numbers in a list. */
size_t zf_list_count(const char *list);

/* Tell whether a list holds a number. */
bool zf_list_holds(const char *list, unsigned number);

/* Tell whether every number of `inner` is in `outer`. */
bool zf_list_covers(const char *outer, const char *inner);

#endif
