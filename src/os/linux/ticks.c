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
#define FRACTION_BITS 26 /* a counter of 16 MHz and more, to a millionth of a percent */
#define FRACTION_MASK ((UINT64_C(1) << FRACTION_BITS) - 1)
#define READINGS 8

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

/* Both clocks at one moment. */
struct moment {
    uint64_t ns;
    uint64_t ticks;
};

/* The counter before and after the clock, as close together as some tries bring them: whoever is
 * taken off the CPU in between reads two moments. */
static struct moment read_both(void)
{
    struct moment moment = {0};
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < READINGS; ++i) {
        uint64_t before = read_counter();
        uint64_t ns = zf_os_clock_ns();
        uint64_t apart = read_counter() - before;
        if (apart >= least)
            continue;
        least = apart;
        moment = (struct moment){ns, before + apart / 2};
    }
    return moment;
}

static void calibrate(void)
{
    struct moment start = read_both();
    struct moment end;
    do
        end = read_both();
    while (end.ns - start.ns < CALIBRATION_NS);
    use_counter = end.ticks > start.ticks && kernel_trusts_counter();
    if (use_counter)
        ns_per_tick = ((end.ns - start.ns) << FRACTION_BITS) / (end.ticks - start.ticks);
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
           (((ticks & FRACTION_MASK) * ns_per_tick) >> FRACTION_BITS);
}
