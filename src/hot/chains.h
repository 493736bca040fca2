/*
 * Call chains: who called the instruction that faulted, for HOT_WATCH_CALL_CHAINS.
 */
#ifndef ZF_HOT_CHAINS_H
#define ZF_HOT_CHAINS_H

#include "hot/thread.h"

/* Open the chains' ring, if that is possible, before the fault ring is: the system writes to the
 * newest ring first, and what it writes there makes the records of older ones longer. With
 * `kernel`, faults inside system calls have chains too, where that is allowed. */
void zf_hot_chains_prepare(struct zf_hot_thread *thread, bool kernel);

/* Open and close the watch. -EOPNOTSUPP without a fault ring, whose records the chains belong to;
 * other errors as of the ring. */
int zf_hot_chains_open(struct zf_hot_thread *thread);
void zf_hot_chains_close(struct zf_hot_thread *thread);

/* Give a fault its call chain, if the thread watches them and this one is still there. Faults come
 * in their order; `*position` is 0 for the first and then what the last call left. The frames are
 * valid until the next call. */
void zf_hot_chains_attach(struct zf_hot_thread *thread, uint64_t *position,
                          struct hot_violation *violation);

#endif
