/*
 * A clock for durations inside hot sections: the processor's time-stamp counter where the kernel
 * trusts it, else the monotonic clock.
 *
 * The kernel lists the counter among its clock sources only when it is constant, runs on in sleep
 * states and agrees between CPUs; that judgement is taken over, not repeated. The rate is
 * measured once against the monotonic clock, over 2 ms, which makes durations right to about a
 * hundredth of a percent.
 */
#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "os/os.h"

#define CALIBRATION_NS 2000000u
#define FRACTION_BITS 32

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool use_counter;
static uint64_t ns_per_tick; /* fixed point, FRACTION_BITS after the point */

static uint64_t read_counter(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return 0;
#endif
}

static bool kernel_trusts_counter(void)
{
#if defined(__x86_64__)
    char sources[256];
    return zf_os_read_file("/sys/devices/system/clocksource/clocksource0/available_clocksource",
                           sources, sizeof sources) > 0 &&
           strstr(sources, "tsc") != NULL;
#else
    return false;
#endif
}

static void calibrate(void)
{
    uint64_t start_ns = zf_os_clock_ns();
    uint64_t start = read_counter();
    uint64_t spent_ns;
    uint64_t ticks;
    do {
        spent_ns = zf_os_clock_ns() - start_ns;
        ticks = read_counter() - start;
    } while (spent_ns < CALIBRATION_NS);
    use_counter = ticks > 0 && kernel_trusts_counter();
    if (use_counter)
        ns_per_tick = (spent_ns << FRACTION_BITS) / ticks;
}

void zf_os_ticks_prepare(void)
{
    int error = pthread_once(&once, calibrate);
    ZF_ASSERT(error == 0);
    (void)error;
}

uint64_t zf_os_ticks(void)
{
    return use_counter ? read_counter() : zf_os_clock_ns();
}

uint64_t zf_os_ticks_to_ns(uint64_t ticks)
{
    if (!use_counter)
        return ticks;
    return (ticks >> FRACTION_BITS) * ns_per_tick +
           (((ticks & UINT32_MAX) * ns_per_tick) >> FRACTION_BITS);
}
