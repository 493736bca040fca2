/*
 * Helper threads on Linux; see os/helper.h.
 *
 * A helper begins with every signal blocked, so that no handler of the program ever runs on its
 * small stack. It may run on any CPU of its set and is not nailed to one: a thread of real-time
 * priority that spins on that CPU would keep it from ever ending, and the scheduler can move it
 * away. For the same reason it does not inherit such a priority from its caller: other threads of
 * that priority may matter more than a warmup. The stack is small because mlockall(MCL_FUTURE)
 * makes every stack resident; where thread-local variables need more, it is the default one.
 * See pthread_create(3), sched_setaffinity(2), nptl(7).
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/sanitize.h"
#include "os/helper.h"

#define STACK_BYTES ((size_t)256 << 10)
#define STACK_WARM_BYTES 32768

/* Add the CPUs that one thread may use; what cannot be told adds nothing. */
static void add_cpus_of(pid_t thread, struct zf_cpu_set *cpus)
{
    struct zf_cpu_set allowed = {{0}};
    if (sched_getaffinity(thread, sizeof allowed.words, (cpu_set_t *)(void *)allowed.words) != 0)
        return;
    for (size_t i = 0; i < ZF_CPU_SET_WORDS; ++i)
        cpus->words[i] |= allowed.words[i];
}

void zf_os_process_cpus(struct zf_cpu_set *cpus)
{
    ZF_ASSERT(cpus != NULL);
    memset(cpus, 0, sizeof *cpus);
    add_cpus_of(0, cpus);
    add_cpus_of(getpid(), cpus);
}

/* Write below the caller's frame. */
__attribute__((noinline)) ZF_UNINSTRUMENTED static void warm_stack(void)
{
    volatile unsigned char below[STACK_WARM_BYTES];
    for (size_t offset = 0; offset < sizeof below; offset += 1024)
        below[offset] = 0;
}

static void *begin(void *argument)
{
    const struct zf_os_helper *helper = argument;
    (void)pthread_setname_np(pthread_self(), helper->name);
    warm_stack();
    helper->work(helper->context);
    return NULL;
}

static int set_up(pthread_attr_t *attributes, const struct zf_cpu_set *cpus)
{
    const struct sched_param ordinary = {0};
    int error = pthread_attr_setinheritsched(attributes, PTHREAD_EXPLICIT_SCHED);
    if (error == 0)
        error = pthread_attr_setschedpolicy(attributes, SCHED_OTHER);
    if (error == 0)
        error = pthread_attr_setschedparam(attributes, &ordinary);
    if (error == 0 && zf_cpu_set_count(cpus) != 0)
        error = pthread_attr_setaffinity_np(attributes, sizeof cpus->words,
                                            (const cpu_set_t *)(const void *)cpus->words);
    return error;
}

/* With a stack of some size, 0 the default. Returns an errno. */
static int create(struct zf_os_helper *helper, const struct zf_cpu_set *cpus, size_t stack_bytes)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return error;
    error = set_up(&attributes, cpus);
    if (error == 0 && stack_bytes != 0)
        error = pthread_attr_setstacksize(&attributes, stack_bytes);
    if (error == 0)
        error = pthread_create(&thread, &attributes, begin, helper);
    (void)pthread_attr_destroy(&attributes);
    helper->handle = error == 0 ? (uintptr_t)thread : 0;
    return error;
}

int zf_os_helper_start(struct zf_os_helper *helper, const struct zf_cpu_set *cpus)
{
    sigset_t all, before;
    int error;
    ZF_ASSERT(helper->work != NULL);
    ZF_ASSERT(helper->name != NULL && strlen(helper->name) < 16);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = create(helper, cpus, STACK_BYTES);
    if (error == EINVAL)
        error = create(helper, cpus, 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

void zf_os_helper_join(struct zf_os_helper *helper)
{
    int error = pthread_join((pthread_t)helper->handle, NULL);
    ZF_ASSERT(error == 0);
    (void)error;
    helper->handle = 0;
}
