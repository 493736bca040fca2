/*
 * The same work with and without a hot section around it; test_off_switch.py compiles this file in
 * several ways and reads the assembly. As C++ it uses the guard of the C++ header.
 */
#ifdef __cplusplus
#include <zerofault/zerofault.hpp>
#else
#include <zerofault/zerofault.h>
#endif

struct ledger {
    uint64_t entries[64];
    uint64_t sum;
};

#ifdef __cplusplus
extern "C" {
static zerofault::section place{"place"};
#else
static struct hot_section place = HOT_SECTION("place");
#endif

void bare(struct ledger *ledger, uint64_t amount);
void guarded(struct ledger *ledger, uint64_t amount);
void paused(struct ledger *ledger, uint64_t amount);
uint64_t guarded_elsewhere(struct hot_section *section, struct ledger *ledger, uint64_t amount);

void bare(struct ledger *ledger, uint64_t amount)
{
    ledger->entries[amount & 63] += amount;
    ledger->sum += amount;
}

void guarded(struct ledger *ledger, uint64_t amount)
{
#ifdef __cplusplus
    zerofault::hot_section guard{place};
#else
    hot_section_begin(&place);
#endif
    ledger->entries[amount & 63] += amount;
    ledger->sum += amount;
#ifndef __cplusplus
    (void)hot_section_end(&place);
#endif
}

void paused(struct ledger *ledger, uint64_t amount)
{
    hot_pause_begin();
    ledger->entries[amount & 63] += amount;
    ledger->sum += amount;
    hot_pause_end();
}

uint64_t guarded_elsewhere(struct hot_section *section, struct ledger *ledger, uint64_t amount)
{
    hot_section_begin(section);
    ledger->entries[amount & 63] += amount;
    ledger->sum += amount;
    return hot_section_end(section);
}

#ifdef __cplusplus
}
#endif
