/*
 * The table of live arenas; see registry.h. Blocks of entries in a list that only grows: a reader
 * may be in the middle of any of them, so no block is ever freed, and an entry that was removed
 * is used again. Each entry carries a sequence number, odd while it is written; a reader that saw
 * it change looks again (a seqlock). The fields between the two looks are stored with release and
 * loaded with acquire, which orders them against the number without a fence; ThreadSanitizer
 * understands no fences. What else is known of an arena is under the lock, because an arena whose
 * head is looked at must not go away meanwhile; who may not wait asks in vain while it is taken.
 */
#include "arena/registry.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/sanitize.h"
#include "os/os.h"

#define NAME_WORDS (ARENA_NAME_MAX / sizeof(uint64_t))
#define BLOCK_ENTRIES 64 /* more arenas than most programs have; the first block is static */

static_assert(ARENA_NAME_MAX % sizeof(uint64_t) == 0, "a name is copied word by word");

struct zf_registry_entry {
    atomic_uint sequence;
    atomic_uintptr_t begin; /* 0 when the entry is free */
    atomic_uintptr_t end;
    _Atomic uint64_t name[NAME_WORDS];
    _Atomic uint64_t last_fork; /* that this process may have undergone and still have it; or ~0 */
    struct zf_registry_facts facts; /* under the table lock */
};

struct block {
    struct zf_registry_entry entries[BLOCK_ENTRIES];
    _Atomic(struct block *) next;
};

static struct block first_block;

/* The caller holds the table lock, so there is one writer. */
static void write_entry(struct zf_registry_entry *entry, uintptr_t begin, uintptr_t end,
                        const char *name)
{
    uint64_t words[NAME_WORDS] = {0};
    unsigned sequence = atomic_load_explicit(&entry->sequence, memory_order_relaxed);
    ZF_ASSERT(sequence % 2 == 0);
    ZF_ASSERT(begin <= end);
    ZF_ASSERT(strlen(name) < sizeof words);
    memcpy(words, name, strlen(name));
    atomic_store_explicit(&entry->sequence, sequence + 1, memory_order_relaxed);
    atomic_store_explicit(&entry->begin, begin, memory_order_release);
    atomic_store_explicit(&entry->end, end, memory_order_release);
    for (size_t i = 0; i < NAME_WORDS; ++i)
        atomic_store_explicit(&entry->name[i], words[i], memory_order_release);
    atomic_store_explicit(&entry->sequence, sequence + 2, memory_order_release);
}

static struct zf_registry_entry *free_entry(void)
{
    struct block *block = &first_block;
    for (;;) {
        struct block *next;
        for (size_t i = 0; i < BLOCK_ENTRIES; ++i)
            if (atomic_load_explicit(&block->entries[i].begin, memory_order_relaxed) == 0)
                return &block->entries[i];
        next = atomic_load_explicit(&block->next, memory_order_relaxed);
        if (next == NULL) {
            next = calloc(1, sizeof *next);
            if (next == NULL)
                return NULL;
            atomic_store_explicit(&block->next, next, memory_order_release);
        }
        block = next;
    }
}

/* In a child of fork, arenas that it did not inherit are still listed, and their addresses are free
 * to be had again. */
static void forget_overlapping(uintptr_t begin, uintptr_t end)
{
    for (struct block *block = &first_block; block != NULL;
         block = atomic_load_explicit(&block->next, memory_order_relaxed))
        for (size_t i = 0; i < BLOCK_ENTRIES; ++i) {
            struct zf_registry_entry *entry = &block->entries[i];
            if (atomic_load_explicit(&entry->begin, memory_order_relaxed) < end &&
                atomic_load_explicit(&entry->end, memory_order_relaxed) > begin)
                write_entry(entry, 0, 0, "");
        }
}

struct zf_registry_entry *zf_registry_add(uintptr_t begin, uintptr_t end, const char *name)
{
    struct zf_registry_entry *entry;
    ZF_ASSERT(begin != 0);
    ZF_ASSERT(name != NULL);
    zf_os_table_lock();
    forget_overlapping(begin, end);
    entry = free_entry();
    if (entry != NULL) {
        memset(&entry->facts, 0, sizeof entry->facts);
        atomic_store_explicit(&entry->last_fork, UINT64_MAX, memory_order_relaxed);
        write_entry(entry, begin, end, name);
    }
    zf_os_table_unlock();
    return entry;
}

void zf_registry_tell(struct zf_registry_entry *entry, const struct zf_registry_facts *facts)
{
    ZF_ASSERT(entry != NULL);
    ZF_ASSERT(facts->warm_error != 0 || facts->warm_bytes <= entry->end - entry->begin);
    zf_os_table_lock();
    entry->facts = *facts;
    atomic_store_explicit(&entry->last_fork,
                          facts->fork == WARMUP_FORK_EXCLUDE ? zf_os_forks().undergone : UINT64_MAX,
                          memory_order_relaxed);
    zf_os_table_unlock();
}

void zf_registry_remove(struct zf_registry_entry *entry)
{
    ZF_ASSERT(entry != NULL);
    zf_os_table_lock();
    write_entry(entry, 0, 0, "");
    zf_os_table_unlock();
}

/* A child of fork does not have what it does not inherit, whatever it has there now. */
static bool is_here(struct zf_registry_entry *entry)
{
    return zf_os_forks().undergone <= atomic_load_explicit(&entry->last_fork, memory_order_relaxed);
}

/* Returns 1 on a match, 0 on none; a torn look is repeated a bounded number of times and then
 * counts as none. */
static bool match_entry(struct zf_registry_entry *entry, uintptr_t address,
                        struct zf_registry_match *match)
{
    for (int look = 0; look < 16; ++look) {
        uint64_t words[NAME_WORDS];
        unsigned before = atomic_load_explicit(&entry->sequence, memory_order_acquire);
        uintptr_t begin = atomic_load_explicit(&entry->begin, memory_order_acquire);
        uintptr_t end = atomic_load_explicit(&entry->end, memory_order_acquire);
        if (before % 2 == 0 && (address < begin || address >= end))
            return false;
        for (size_t i = 0; i < NAME_WORDS; ++i)
            words[i] = atomic_load_explicit(&entry->name[i], memory_order_acquire);
        if (before % 2 != 0 ||
            before != atomic_load_explicit(&entry->sequence, memory_order_relaxed))
            continue;
        memcpy(match->name, words, sizeof match->name);
        match->offset_bytes = address - begin;
        return is_here(entry);
    }
    return false;
}

bool zf_registry_find(uintptr_t address, struct zf_registry_match *match)
{
    struct block *block = &first_block;
    ZF_ASSERT(match != NULL);
    while (block != NULL) {
        for (size_t i = 0; i < BLOCK_ENTRIES; ++i)
            if (match_entry(&block->entries[i], address, match))
                return true;
        block = atomic_load_explicit(&block->next, memory_order_acquire);
    }
    return false;
}

static struct zf_registry_entry *owner_of(uintptr_t address)
{
    struct block *block = &first_block;
    while (block != NULL) {
        for (size_t i = 0; i < BLOCK_ENTRIES; ++i)
            if (address >= atomic_load_explicit(&block->entries[i].begin, memory_order_relaxed) &&
                address < atomic_load_explicit(&block->entries[i].end, memory_order_relaxed) &&
                is_here(&block->entries[i]))
                return &block->entries[i];
        block = atomic_load_explicit(&block->next, memory_order_acquire);
    }
    return NULL;
}

/* The owner may be allocating this moment: either value is the truth of some moment. */
ZF_UNINSTRUMENTED static uintptr_t read_next(const uintptr_t *next)
{
    return *(const volatile uintptr_t *)next;
}

/* In a child of fork the arena's head may be gone with the arena. */
static void find_used(struct zf_registry_facts *facts)
{
    bool has_head =
        facts->fork == WARMUP_FORK_INHERIT || facts->forks.undergone == zf_os_forks().undergone;
    uintptr_t next = facts->next != NULL && has_head ? read_next(facts->next) : 0;
    /* The head of a group's part lies in the arena itself, which may have been emptied. */
    facts->used_known = next >= facts->begin && next <= facts->end;
    facts->used_bytes = facts->used_known ? next - facts->begin : 0;
}

bool zf_registry_ask(uintptr_t address, struct zf_registry_facts *facts)
{
    const struct zf_registry_entry *entry;
    ZF_ASSERT(facts != NULL);
    if (!zf_os_table_try_lock())
        return false;
    entry = owner_of(address);
    if (entry != NULL) {
        *facts = entry->facts;
        facts->begin = atomic_load_explicit(&entry->begin, memory_order_relaxed);
        facts->end = atomic_load_explicit(&entry->end, memory_order_relaxed);
        find_used(facts);
    }
    zf_os_table_unlock();
    return entry != NULL;
}
