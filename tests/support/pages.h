/*
 * What really happened to pages: asked of the kernel, not of the library under test.
 */
#ifndef ZF_TESTS_SUPPORT_PAGES_H
#define ZF_TESTS_SUPPORT_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Write to the last byte of every page of a range; the faults that this thread takes, by
 * getrusage. Sanitizers do not see these writes, so that their shadow memory is not counted. */
uint64_t faults_of_writing(void *base, size_t size_bytes);

/* The same for reading. */
uint64_t faults_of_reading(const void *base, size_t size_bytes);

/* Does the mapping that holds an address have a flag, like "lo" or "nh", in smaps? */
bool mapping_has_flag(const void *address, const char *flag);

/* What smaps says under `key`, like "AnonHugePages:", of the mapping that holds an address. */
size_t mapping_bytes(const void *address, const char *key);

/* Is an address mapped at all? */
bool is_mapped(const void *address);

/* The memory policy of the mapping that starts at an address, as numa_maps shows it; false when
 * there is no such line. */
bool mapping_policy(const void *base, char *text, size_t size_bytes);

#endif
