/*
 * The bench's clock: the processor's time-stamp counter where it is invariant, CLOCK_MONOTONIC
 * elsewhere. Both reads are fenced, so that the timed operations cannot leak out of the window.
 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Which clock runs and how fast. Set once by bench_clock_calibrate. */
struct bench_clock {
    bool counter;       /* true: time-stamp counter; false: CLOCK_MONOTONIC */
    double ns_per_tick; /* 1 with CLOCK_MONOTONIC */
};
extern struct bench_clock bench_clock;

/* Choose the clock and measure the counter's rate against CLOCK_MONOTONIC for `spend_ns`. */
void bench_clock_calibrate(uint64_t spend_ns);

/* CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t bench_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* The counter's value; 0 on processors without one that is usable here. */
static inline uint64_t bench_counter(void)
{
#if defined(__x86_64__)
    uint32_t low;
    uint32_t high;
    __asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
#else
    return 0;
#endif
}

/* The same without the fences: what reading it costs a program that does not need them. */
static inline uint64_t bench_stamp(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return bench_monotonic_ns();
#endif
}

/* Now, in ticks of the chosen clock. */
static inline uint64_t bench_ticks(void)
{
    return bench_clock.counter ? bench_counter() : bench_monotonic_ns();
}

/* A distance of ticks in nanoseconds. */
static inline double bench_ticks_to_ns(uint64_t ticks)
{
    return (double)ticks * bench_clock.ns_per_tick;
}

#endif
