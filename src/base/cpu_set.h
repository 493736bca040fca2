/* Sets of CPUs by number, laid out as the system takes them: bit n of word w is CPU 64 w + n. */
#ifndef ZF_BASE_CPU_SET_H
#define ZF_BASE_CPU_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

/* As many CPUs as Linux can be built for. */
#define ZF_CPUS_MAX 8192
#define ZF_CPU_SET_WORDS (ZF_CPUS_MAX / (8 * sizeof(unsigned long)))

struct zf_cpu_set {
    unsigned long words[ZF_CPU_SET_WORDS];
};

/* `cpu` is less than ZF_CPUS_MAX. */
static inline void zf_cpu_set_add(struct zf_cpu_set *set, unsigned cpu)
{
    ZF_ASSERT(cpu < ZF_CPUS_MAX);
    set->words[cpu / (8 * sizeof(unsigned long))] |= 1ul << (cpu % (8 * sizeof(unsigned long)));
}

static inline size_t zf_cpu_set_count(const struct zf_cpu_set *set)
{
    size_t count = 0;
    for (size_t i = 0; i < ZF_CPU_SET_WORDS; ++i)
        count += (size_t)__builtin_popcountl(set->words[i]);
    return count;
}

/* Keep in `set` what `other` holds too; false, and `set` as it was, when nothing would be left. */
static inline bool zf_cpu_set_narrow(struct zf_cpu_set *set, const struct zf_cpu_set *other)
{
    unsigned long common = 0;
    for (size_t i = 0; i < ZF_CPU_SET_WORDS; ++i)
        common |= set->words[i] & other->words[i];
    for (size_t i = 0; i < ZF_CPU_SET_WORDS && common != 0; ++i)
        set->words[i] &= other->words[i];
    return common != 0;
}

#endif
