/*
 * The two tables of the process: sections by slot number, and attached threads.
 *
 * A section gets its number at its first begin and keeps it; what exited threads counted stays
 * here. All of it is under the control plane's lock, which begin and end take only on a section's
 * very first use.
 */
#ifndef ZF_HOT_TABLE_H
#define ZF_HOT_TABLE_H

#include <stdint.h>

#include <zerofault/hot.h>

#include "hot/thread.h"

/* Number of the section, given at first use; 0 when the table is full. */
uint32_t zf_hot_table_index(struct hot_section *section);

/* Number of the section if it has one, else 0. */
uint32_t zf_hot_table_known(const struct hot_section *section);

/* Numbers given out so far, plus one: slots from 1 up to here can be in use. */
uint32_t zf_hot_table_end(void);

/* Enter or take out a thread; taking out keeps its counts. */
void zf_hot_table_add(struct zf_hot_thread *thread);
void zf_hot_table_remove(struct zf_hot_thread *thread);

/* Count a misuse on a thread that has no tally to keep it. */
void zf_hot_table_misuse(uint32_t index);

/* Sum of all threads for one number; the slot's owner must be `section`. */
void zf_hot_table_sum(const struct hot_section *section, uint32_t index,
                      struct hot_section_statistics *sum);

/* Merge the durations of all threads for one number. */
void zf_hot_table_durations(const struct hot_section *section, uint32_t index,
                            struct hot_histogram *into);

/* Send every section on every thread the long way, where what has just been set is asked for. */
void zf_hot_table_hide(void);

/* How things were when a thread attached; false when it is not attached. */
bool zf_hot_table_origin(uint32_t thread_id, struct zf_hot_origin *origin);

/* The attached threads whose stack and whose thread-local variables an address belongs to; 0 for
 * none. */
void zf_hot_table_owner(uintptr_t address, uint32_t *stack_of, uint32_t *locals_of);

/* What a section has seen on one attached thread, added to `seen`; false when none is attached. */
bool zf_hot_table_thread(const struct hot_section *section, uint32_t thread_id,
                         struct hot_section_statistics *seen);

/* Attached threads that see alike. */
struct zf_hot_guard {
    enum hot_source source;
    const char *blind_to; /* static */
    size_t threads;
};
#define ZF_HOT_GUARDS_MAX 8 /* more than there are sentences about what is not seen */
struct zf_hot_guards {
    size_t count;
    struct zf_hot_guard kinds[ZF_HOT_GUARDS_MAX];
};

/* Who guards now. */
void zf_hot_table_guards(struct zf_hot_guards *guards);

/* Are the guards of the process switched on? */
extern bool zf_hot_switched_off;

static inline bool zf_hot_table_is_on(void)
{
    return !__atomic_load_n(&zf_hot_switched_off, __ATOMIC_SEQ_CST);
}

/* In a child of fork: no thread but the caller exists, and nothing was counted yet. */
void zf_hot_table_forget(void);

#endif
