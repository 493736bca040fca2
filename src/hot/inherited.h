/*
 * What a child of fork inherits of its parent's guards and has no use for: descriptors, which keep
 * the parent's events alive, and ranges of memory.
 */
#ifndef ZF_HOT_INHERITED_H
#define ZF_HOT_INHERITED_H

#include "hot/thread.h"

/* Write down what a complete guard has. 0; -ENOMEM. */
int zf_hot_inherited_note(const struct zf_hot_thread *thread);

/* Strike it out again, before the guard goes. Nothing when it was not noted. */
void zf_hot_inherited_strike(const struct zf_hot_thread *thread);

/* In a child of fork: give back all that was noted. */
void zf_hot_inherited_give_back(void);

#endif
