/* A library of the program beside it, whose functions no code has called before the loop. */
#ifndef ZF_TESTS_WARMUP_FIRST_LOOP_LIBRARY_H
#define ZF_TESTS_WARMUP_FIRST_LOOP_LIBRARY_H

/* Change a page of each of the library's own tables, and tell their sum. */
unsigned library_step(unsigned seed);

/* Call a function of the C library that is bound at this first call. */
long library_parent(void);

#endif
