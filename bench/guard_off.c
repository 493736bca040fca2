/* What is left of a pair when the guard is compiled out: the loop around it. */
#define ZEROFAULT_HOT_OFF
#include <zerofault/hot.h>

#include "guard_off.h"
#include "harness.h"

uint64_t guard_off_pairs(struct hot_section *section, size_t operations)
{
    uint64_t violations = 0;
    for (size_t i = 0; i < operations; i++) {
        hot_section_begin(section);
        BENCH_KEEP(section); /* or there would be no loop either */
        violations += hot_section_end(section);
    }
    return violations;
}
