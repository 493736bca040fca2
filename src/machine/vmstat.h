/*
 * What the kernel has done to pages anywhere on the machine, counted since it started. Two
 * readings tell what happened in between.
 */
#ifndef ZF_MACHINE_VMSTAT_H
#define ZF_MACHINE_VMSTAT_H

#include <stdbool.h>
#include <stdint.h>

struct zf_machine_vmstat {
    bool known;                /* the counters could be read; one that this kernel lacks is 0 */
    uint64_t numa_hint_faults; /* pages unmapped to see who uses them, and used */
    uint64_t pages_migrated;   /* moved to another place in memory */
    uint64_t huge_splits;      /* huge pages, or their mappings, taken apart */
    uint64_t swapped_in;       /* pages read back from swap */
};

/* Read <root>/proc/vmstat; `root` is "" for this machine. */
void zf_machine_vmstat(const char *root, struct zf_machine_vmstat *vmstat);

#endif
