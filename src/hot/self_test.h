/*
 * The section in which the guard tests itself.
 */
#ifndef ZF_HOT_SELF_TEST_H
#define ZF_HOT_SELF_TEST_H

#include <zerofault/hot.h>

extern struct hot_section zf_hot_self_test;

/* Does the calling thread's guard see a deliberate fault, switched off or not? */
bool zf_hot_self_test_passes(void);

#endif
