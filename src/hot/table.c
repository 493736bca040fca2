/*
 * Sections by number and the list of attached threads; see table.h. Counters are read here while
 * their thread writes them: both sides use relaxed atomics, so a sum may miss the entry under way
 * and is never torn.
 */
#include "hot/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "hot/durations.h"
#include "os/os.h"

struct row {
    const struct hot_section *section;
    uint64_t identity;                       /* of its name and place */
    struct hot_section_statistics retired;   /* counts of threads that are gone */
    struct hot_histogram *retired_durations; /* theirs too; NULL while there are none */
};

static struct row rows[ZF_HOT_SLOTS];
static uint32_t rows_end = 1; /* 0 is nobody's */
static struct zf_hot_thread *threads;
bool zf_hot_switched_off;

static uint64_t read_counter(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

uint32_t zf_hot_table_known(const struct hot_section *section)
{
    uint32_t slot_bytes = __atomic_load_n(&section->slot_bytes, __ATOMIC_ACQUIRE);
    ZF_ASSERT(slot_bytes % sizeof(struct hot_slot) == 0);
    return slot_bytes / (uint32_t)sizeof(struct hot_slot);
}

/* A text that may be gone when it is to be compared (FNV-1a). */
static uint64_t mix(uint64_t hash, const char *text)
{
    for (; text != NULL && *text != '\0'; ++text)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash ^ 0xff;
}

static uint64_t identity_of(const struct hot_section *section)
{
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), section->name);
    return mix(hash, section->file) + (uint64_t)section->line;
}

/* Of one section, on every thread; under the table lock. */
static void hide_row(uint32_t index)
{
    for (struct zf_hot_thread *thread = threads; thread != NULL; thread = thread->next)
        zf_hot_hide(thread, index);
}

/* A section without a number at the address of one that has: an object was unloaded. Loaded again,
 * it goes on; another object's section is another one. Either way what threads keep of it in their
 * slots is no longer so. */
static uint32_t find_row(const struct hot_section *section)
{
    for (uint32_t index = 1; index < rows_end; ++index) {
        if (rows[index].section != section)
            continue;
        hide_row(index);
        if (rows[index].identity == identity_of(section))
            return index;
        rows[index].section = NULL;
    }
    return 0;
}

uint32_t zf_hot_table_index(struct hot_section *section)
{
    uint32_t index = zf_hot_table_known(section);
    if (index != 0)
        return index;
    zf_os_table_lock();
    index = find_row(section);
    if (index == 0 && rows_end < ZF_HOT_SLOTS) {
        index = rows_end;
        rows[index].section = section;
        rows[index].identity = identity_of(section);
        __atomic_store_n(&rows_end, index + 1, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&section->slot_bytes, index * (uint32_t)sizeof(struct hot_slot),
                     __ATOMIC_RELEASE);
    zf_os_table_unlock();
    return index;
}

uint32_t zf_hot_table_end(void)
{
    return __atomic_load_n(&rows_end, __ATOMIC_ACQUIRE);
}

/* A section may be used for the first time inside another one, which must not see a fault here. */
static void warm_rows(void)
{
    for (uint32_t index = 0; index < ZF_HOT_SLOTS; ++index) {
        const struct hot_section *volatile *section = &rows[index].section;
        *section = *section;
    }
}

void zf_hot_table_add(struct zf_hot_thread *thread)
{
    ZF_ASSERT(thread->magic == ZF_HOT_MAGIC);
    zf_os_table_lock();
    if (threads == NULL)
        warm_rows();
    thread->next = threads;
    threads = thread;
    zf_os_table_unlock();
}

static void add_thread(struct hot_section_statistics *sum, const struct zf_hot_thread *thread,
                       uint32_t index)
{
    const struct zf_hot_tally *tally = &thread->tallies[index];
    sum->entries += read_counter(&zf_hot_slot(thread, index)->entries);
    sum->dirty_entries += read_counter(&tally->dirty_entries);
    sum->unreported += read_counter(&tally->unreported);
    for (int kind = 0; kind < HOT_KIND_COUNT; ++kind)
        sum->counts[kind] += read_counter(&tally->counts[kind]);
}

static void unlink_thread(const struct zf_hot_thread *thread)
{
    struct zf_hot_thread **link = &threads;
    while (*link != NULL && *link != thread)
        link = &(*link)->next;
    ZF_ASSERT(*link == thread);
    *link = thread->next;
}

static void retire_durations(struct row *row, const struct zf_hot_tally *tally)
{
    if (tally->durations == NULL)
        return;
    if (row->retired_durations == NULL)
        row->retired_durations = calloc(1, sizeof *row->retired_durations);
    if (row->retired_durations != NULL)
        zf_hot_durations_add(row->retired_durations, tally);
}

void zf_hot_table_remove(struct zf_hot_thread *thread)
{
    zf_os_table_lock();
    unlink_thread(thread);
    for (uint32_t index = 1; index < rows_end; ++index) {
        add_thread(&rows[index].retired, thread, index);
        retire_durations(&rows[index], &thread->tallies[index]);
    }
    zf_os_table_unlock();
}

void zf_hot_table_misuse(uint32_t index)
{
    ZF_ASSERT(index < ZF_HOT_SLOTS);
    zf_os_table_lock();
    rows[index].retired.dirty_entries += 1;
    rows[index].retired.counts[HOT_MISUSE] += 1;
    zf_os_table_unlock();
}

void zf_hot_table_sum(const struct hot_section *section, uint32_t index,
                      struct hot_section_statistics *sum)
{
    ZF_ASSERT(index < ZF_HOT_SLOTS);
    zf_os_table_lock();
    if (index != 0 && rows[index].section == section) {
        *sum = rows[index].retired;
        for (const struct zf_hot_thread *thread = threads; thread != NULL; thread = thread->next)
            add_thread(sum, thread, index);
    }
    zf_os_table_unlock();
    if (!section->counted)
        sum->entries = HOT_NOT_COUNTED;
}

void zf_hot_table_durations(const struct hot_section *section, uint32_t index,
                            struct hot_histogram *into)
{
    ZF_ASSERT(index < ZF_HOT_SLOTS);
    zf_os_table_lock();
    if (index != 0 && rows[index].section == section) {
        if (rows[index].retired_durations != NULL)
            hot_histogram_merge(into, rows[index].retired_durations);
        for (const struct zf_hot_thread *thread = threads; thread != NULL; thread = thread->next)
            zf_hot_durations_add(into, &thread->tallies[index]);
    }
    zf_os_table_unlock();
}

bool zf_hot_table_origin(uint32_t thread_id, struct zf_hot_origin *origin)
{
    bool found = false;
    zf_os_table_lock();
    for (const struct zf_hot_thread *thread = threads; thread != NULL; thread = thread->next)
        if (thread->thread_id == thread_id) {
            *origin = thread->origin;
            found = true;
        }
    zf_os_table_unlock();
    return found;
}

void zf_hot_table_owner(uintptr_t address, uint32_t *stack_of, uint32_t *locals_of)
{
    *stack_of = 0;
    *locals_of = 0;
    zf_os_table_lock();
    for (const struct zf_hot_thread *thread = threads; thread != NULL; thread = thread->next) {
        const struct zf_os_thread_ranges *ranges = &thread->origin.ranges;
        if (address >= ranges->stack_begin && address < ranges->stack_end)
            *stack_of = thread->thread_id;
        if (address >= ranges->locals_begin && address < ranges->locals_end)
            *locals_of = thread->thread_id;
    }
    zf_os_table_unlock();
}

/* A slot without its section sends begin the long way, which asks the switch and the tracer; while
 * there is nothing to say, nobody has to. Sequentially consistent, like the loads and stores of
 * the begin that would show the slot again: of the two, the later one knows of the other. */
void zf_hot_table_hide(void)
{
    zf_os_table_lock();
    for (uint32_t index = 1; index < rows_end; ++index)
        hide_row(index);
    zf_os_table_unlock();
}

void hot_switch(bool on)
{
    __atomic_store_n(&zf_hot_switched_off, !on, __ATOMIC_SEQ_CST);
    if (!on)
        zf_hot_table_hide();
}

void zf_hot_table_forget(void)
{
    zf_os_table_lock();
    threads = NULL;
    for (uint32_t index = 1; index < rows_end; ++index) {
        memset(&rows[index].retired, 0, sizeof rows[index].retired);
        if (rows[index].retired_durations != NULL)
            memset(rows[index].retired_durations, 0, sizeof *rows[index].retired_durations);
    }
    zf_os_table_unlock();
}

bool zf_hot_table_thread(const struct hot_section *section, uint32_t thread_id,
                         struct hot_section_statistics *seen)
{
    uint32_t index = zf_hot_table_known(section);
    bool found = false;
    ZF_ASSERT(index < ZF_HOT_SLOTS);
    zf_os_table_lock();
    for (const struct zf_hot_thread *thread = threads; thread != NULL; thread = thread->next) {
        if (thread->thread_id != thread_id)
            continue;
        found = true;
        if (index != 0 && rows[index].section == section)
            add_thread(seen, thread, index);
    }
    zf_os_table_unlock();
    if (!section->counted)
        seen->entries = HOT_NOT_COUNTED;
    return found;
}

/* What a source cannot see is one of a few static sentences: the same one has the same address. */
static void add_guard(struct zf_hot_guards *guards, const struct zf_hot_thread *thread)
{
    size_t i = 0;
    while (i < guards->count && (guards->kinds[i].source != thread->source ||
                                 guards->kinds[i].blind_to != thread->report.blind_to))
        ++i;
    if (i == ZF_HOT_GUARDS_MAX)
        return;
    if (i == guards->count)
        guards->kinds[guards->count++] =
            (struct zf_hot_guard){thread->source, thread->report.blind_to, 0};
    ++guards->kinds[i].threads;
}

void zf_hot_table_guards(struct zf_hot_guards *guards)
{
    guards->count = 0;
    zf_os_table_lock();
    for (const struct zf_hot_thread *thread = threads; thread != NULL; thread = thread->next)
        add_guard(guards, thread);
    zf_os_table_unlock();
}
