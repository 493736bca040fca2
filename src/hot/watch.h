/*
 * What a thread can watch besides page faults: one row per flag of enum hot_watch, opened at
 * attach and closed at detach.
 */
#ifndef ZF_HOT_WATCH_H
#define ZF_HOT_WATCH_H

#include "hot/thread.h"

/* Open every watch that `asked` names, noting what is granted and why the rest is not. Returns 0,
 * or the error of the first refused one that `required` names; those opened stay open. */
int zf_hot_watch_open(struct zf_hot_thread *thread, uint32_t asked, uint32_t required,
                      struct hot_thread_report *report);

/* Close all that is open. */
void zf_hot_watch_close(struct zf_hot_thread *thread);

#endif
