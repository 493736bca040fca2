/*
 * System calls inside sections; see syscalls.h.
 *
 * The thread counts its calls, and a section its share of them through its samples, as with every
 * other source. Only the first call of a section is noted here, in the signal handler that the
 * call runs into: nothing but plain stores to the guard's warm memory, and no other code of the
 * guard is ever under way then, because it holds the watch.
 */
#include "hot/syscalls.h"

#include <errno.h>

#include "hot/section.h"
#include "hot/table.h"

/* The thread whose calls are watched: this one, or NULL. */
static ZEROFAULT_THREAD_LOCAL struct zf_hot_thread *watched;

/* Returns false when the section wants the call refused. */
static bool note_call(struct zf_hot_tally *tally, long number, uintptr_t instruction)
{
    if (tally->call_instruction == 0) {
        tally->call_number = number;
        tally->call_instruction = instruction;
    }
    return !tally->section->refuse_system_calls;
}

/* The watcher. */
static bool on_call(long number, uintptr_t instruction)
{
    struct zf_hot_thread *thread = watched;
    bool may_happen = true;
    ZF_ASSERT(thread != NULL);
    thread->calls.count += 1;
    for (uint32_t index = 1; index < zf_hot_table_end(); ++index)
        if (thread->tallies[index].watches_calls && zf_hot_is_counting(thread, index))
            may_happen &= note_call(&thread->tallies[index], number, instruction);
    return may_happen;
}

/* A deliberate call must be seen, and must answer. */
static bool is_live(struct zf_hot_thread *thread)
{
    uint32_t id;
    ZF_ASSERT(thread->calls.count == 0);
    thread->calls.selector = ZF_OS_CALLS_WATCHED;
    id = zf_os_thread_id();
    thread->calls.selector = ZF_OS_CALLS_PASS;
    return thread->calls.count > 0 && id == zf_os_thread_id();
}

int zf_hot_calls_open(struct zf_hot_thread *thread)
{
    int error = zf_os_call_watch_open(&thread->calls.selector, on_call);
    if (error != 0)
        return error;
    watched = thread;
    if (is_live(thread))
        return 0;
    zf_hot_calls_close(thread);
    return -EIO;
}

void zf_hot_calls_close(struct zf_hot_thread *thread)
{
    ZF_ASSERT(watched == thread);
    zf_os_call_watch_close();
    thread->calls.sections = 0;
    watched = NULL;
}

void zf_hot_calls_add(struct zf_hot_thread *thread, uint32_t index)
{
    struct zf_hot_tally *tally = &thread->tallies[index];
    ZF_ASSERT(zf_hot_is_open(thread, index));
    ZF_ASSERT(!tally->watches_calls);
    tally->watches_calls = true;
    tally->call_instruction = 0;
    ++thread->calls.sections;
}

void zf_hot_calls_remove(struct zf_hot_thread *thread, uint32_t index)
{
    struct zf_hot_tally *tally = &thread->tallies[index];
    uint32_t *sections = zf_hot_is_counting(thread, index) ? &thread->calls.sections
                                                           : &thread->calls.paused_sections;
    ZF_ASSERT(zf_hot_is_open(thread, index));
    ZF_ASSERT(tally->watches_calls && *sections > 0);
    --*sections;
    tally->watches_calls = false;
}

void zf_hot_calls_pause(struct zf_hot_thread *thread)
{
    ZF_ASSERT(thread->calls.paused_sections == 0);
    ZF_ASSERT(thread->calls.selector == ZF_OS_CALLS_PASS);
    thread->calls.paused_sections = thread->calls.sections;
    thread->calls.sections = 0;
}

void zf_hot_calls_resume(struct zf_hot_thread *thread)
{
    thread->calls.sections += thread->calls.paused_sections;
    thread->calls.paused_sections = 0;
}

const char *hot_system_call_name(long number)
{
    const char *name = zf_os_call_name(number);
    return name == NULL ? "unknown" : name;
}
