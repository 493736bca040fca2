/*
 * What a child of fork inherits of guards; see inherited.h.
 *
 * The guards themselves cannot tell: the child finds them wiped. So each is written down in memory
 * that forks like any other, in records that are used again and never freed, because a child of a
 * bare clone must not ask malloc for anything. A ring is not inherited: in its place the child may
 * have mapped something of its own by now, and only what lies around it is given back.
 */
#include "hot/inherited.h"

#include <errno.h>
#include <stdlib.h>

enum { HANDLE_RING, HANDLE_SWITCHES, HANDLE_TRAPS, HANDLE_CHAINS, HANDLES };

struct record {
    struct record *next;
    unsigned char *table; /* NULL: the record is free */
    unsigned char *thread;
    unsigned char *end;
    int handles[HANDLES]; /* -1: none */
};

static struct record *records; /* under the table lock */

static struct record *find(const unsigned char *table)
{
    struct record *record = records;
    while (record != NULL && record->table != table)
        record = record->next;
    return record;
}

int zf_hot_inherited_note(const struct zf_hot_thread *thread)
{
    struct record *record;
    zf_os_table_lock();
    record = find(NULL);
    if (record == NULL && (record = malloc(sizeof *record)) != NULL) {
        record->next = records;
        records = record;
    }
    if (record != NULL)
        *record = (struct record){
            .next = record->next,
            .table = thread->table,
            .thread = (unsigned char *)(uintptr_t)thread,
            .end = thread->table + thread->range_bytes,
            .handles = {zf_hot_has_ring(thread) ? thread->ring.handle : -1,
                        zf_hot_watches(thread, HOT_WATCH_SWITCHES) ? thread->switches.handle : -1,
                        zf_hot_watches(thread, HOT_WATCH_TRAPS) ? thread->trap_handle : -1,
                        zf_hot_watches(thread, HOT_WATCH_CALL_CHAINS) ? thread->chains.handle
                                                                      : -1}};
    zf_os_table_unlock();
    return record == NULL ? -ENOMEM : 0;
}

void zf_hot_inherited_strike(const struct zf_hot_thread *thread)
{
    struct record *record;
    zf_os_table_lock();
    record = find(thread->table);
    if (record != NULL)
        record->table = NULL;
    zf_os_table_unlock();
}

static void give_back(struct record *record)
{
    for (int i = 0; i < HANDLES; ++i)
        if (record->handles[i] >= 0)
            zf_os_ring_abandon(record->handles[i]);
    if (record->handles[HANDLE_RING] >= 0) {
        (void)zf_os_release_part(record->table, HOT_TABLE_BYTES);
        (void)zf_os_release(record->thread, (size_t)(record->end - record->thread));
    } else {
        (void)zf_os_release(record->table, (size_t)(record->end - record->table));
    }
    record->table = NULL;
}

void zf_hot_inherited_give_back(void)
{
    zf_os_table_lock();
    for (struct record *record = records; record != NULL; record = record->next)
        if (record->table != NULL)
            give_back(record);
    zf_os_table_unlock();
}
