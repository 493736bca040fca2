/*
 * The time-stamp counter is used only when the processor says that it is invariant: it then runs
 * at one rate in all power states and on all cores. Its rate is measured, not believed. Each end
 * of the measurement takes the best of a few tries, because a preemption between the two clocks'
 * reads would tilt every figure of the run. Nothing here corrects for the clock's own cost.
 */
#include "clock.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

struct bench_clock bench_clock = {.counter = false, .ns_per_tick = 1.0};

/* Both clocks at one moment. */
struct clock_pair {
    uint64_t counter;
    uint64_t monotonic_ns;
};

static bool counter_is_invariant(void)
{
#if defined(__x86_64__)
    unsigned int eax, ebx, ecx, edx;
    if (__get_cpuid(0x80000007u, &eax, &ebx, &ecx, &edx) == 0)
        return false;
    return (edx & (1u << 8)) != 0;
#else
    return false;
#endif
}

static struct clock_pair read_both(void)
{
    struct clock_pair best = {0, 0};
    uint64_t best_width = UINT64_MAX;
    for (int attempt = 0; attempt < 32; attempt++) {
        uint64_t before = bench_counter();
        uint64_t monotonic_ns = bench_monotonic_ns();
        uint64_t width = bench_counter() - before;
        if (width < best_width) {
            best_width = width;
            best.counter = before + width / 2;
            best.monotonic_ns = monotonic_ns;
        }
    }
    return best;
}

void bench_clock_calibrate(uint64_t spend_ns)
{
    struct clock_pair from, to;
    bench_clock.counter = false;
    bench_clock.ns_per_tick = 1.0;
    if (!counter_is_invariant())
        return;
    from = read_both();
    while (bench_monotonic_ns() - from.monotonic_ns < spend_ns)
        continue;
    to = read_both();
    if (to.counter <= from.counter || to.monotonic_ns <= from.monotonic_ns)
        return;
    bench_clock.ns_per_tick =
        (double)(to.monotonic_ns - from.monotonic_ns) / (double)(to.counter - from.counter);
    bench_clock.counter = true;
}
