/*
 * Leaving out what the program does not mean to be judged by.
 */
#ifndef ZF_HOT_PAUSE_H
#define ZF_HOT_PAUSE_H

#include "hot/thread.h"

/* Take what lies between two samples away from every section that is open. No pause is under way.
 */
void zf_hot_leave_out(struct zf_hot_thread *thread, const struct zf_hot_sample *from,
                      const struct zf_hot_sample *to);

/* The ring's head when the oldest open section began; the present one when none is open. */
uint64_t zf_hot_oldest_head(const struct zf_hot_thread *thread);

#endif
