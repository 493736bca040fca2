/*
 * The watch for system calls: a byte that says whether the kernel shall stop them, and who counts
 * them.
 *
 * The byte says so exactly while the program itself runs inside a section that counts calls. The
 * guard's own code holds the watch first and lets it go on last.
 */
#ifndef ZF_HOT_SYSCALLS_H
#define ZF_HOT_SYSCALLS_H

#include "hot/deliver.h"
#include "hot/thread.h"

/* Rows of the watches. */
int zf_hot_calls_open(struct zf_hot_thread *thread);
void zf_hot_calls_close(struct zf_hot_thread *thread);

/* A section that counts calls was opened, or is about to be closed. */
void zf_hot_calls_add(struct zf_hot_thread *thread, uint32_t index);
void zf_hot_calls_remove(struct zf_hot_thread *thread, uint32_t index);

/* The outermost pause begins or has ended. */
void zf_hot_calls_pause(struct zf_hot_thread *thread);
void zf_hot_calls_resume(struct zf_hot_thread *thread);

/* Does this section count system calls on this thread? */
static inline bool zf_hot_calls_are_wanted(const struct zf_hot_thread *thread,
                                           const struct hot_section *section)
{
    return zf_hot_watches(thread, HOT_WATCH_SYSTEM_CALLS) &&
           (section->refuse_system_calls || zf_hot_policy(section, HOT_SYSTEM_CALL) != HOT_IGNORE);
}

/* A section was opened, or is about to be closed. */
static inline void zf_hot_calls_join(struct zf_hot_thread *thread, uint32_t index)
{
    if (zf_hot_calls_are_wanted(thread, thread->tallies[index].section))
        zf_hot_calls_add(thread, index);
}

static inline void zf_hot_calls_leave(struct zf_hot_thread *thread, uint32_t index)
{
    if (thread->tallies[index].watches_calls)
        zf_hot_calls_remove(thread, index);
}

#endif
