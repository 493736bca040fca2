/*
 * Traps: a section's hook, or the end of the process, at the very instruction that faulted.
 */
#ifndef ZF_HOT_TRAP_H
#define ZF_HOT_TRAP_H

#include "hot/thread.h"

/* Row of the watches. */
int zf_hot_trap_open(struct zf_hot_thread *thread);
void zf_hot_trap_close(struct zf_hot_thread *thread);

#endif
