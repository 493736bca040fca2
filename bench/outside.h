/*
 * Two programs that can make their memory present at their start, each started with and without.
 */
#ifndef BENCH_OUTSIDE_H
#define BENCH_OUTSIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "prefault.h"

/* Why a HotSpot with a heap of this size cannot be started, or NULL. */
const char *outside_no_jvm(enum prefault_pages pages, size_t size_bytes);

/* Start and end a HotSpot whose heap is of this size, touched at its start or not. The cost is that
 * of the whole process. Returns 0 or an errno. */
int outside_run_jvm(enum prefault_pages pages, size_t size_bytes, size_t threads, bool touched,
                    struct prefault_cost *cost);

/* Why DPDK's EAL cannot be started with this much memory, or NULL. */
const char *outside_no_eal(size_t size_bytes);

/* Start DPDK's EAL with this much memory from reserved huge pages, all touched by one thread. The
 * cost is that of its initialisation alone. Returns 0 or an errno. */
int outside_run_eal(size_t size_bytes, struct prefault_cost *cost);

#endif
