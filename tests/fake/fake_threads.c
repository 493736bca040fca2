/*
 * The fake's threads: real ones, of which one runs at a time. Each call that could fail hands the
 * turn to the next thread in a ring, so that they take turns call by call and every run is the
 * same. A thread that waits for another's end is not in the ring. And the one lock.
 */
#include <pthread.h>
#include <string.h>

#include "fake/fake_os.h"
#include "fake/fake_range.h"

#define THREADS_MAX 16

static struct {
    pthread_t thread;
    bool runs; /* is in the ring */
    bool ended;
} slots[THREADS_MAX] = {{.runs = true}}; /* the first is the test's own */
static size_t turn;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;

static _Thread_local size_t own_slot;
static _Thread_local uint64_t own_faults;  /* in earlier turns */
static _Thread_local uint64_t before_turn; /* faults of all, when this turn began */

uint64_t fake_thread_faults(void)
{
    return own_faults + fake_faults() - before_turn;
}

void fake_threads_reset(void)
{
    must(own_slot == 0 && fake_os.helpers_count == 0);
    own_faults = 0;
    before_turn = fake_faults();
}

/* Hand the turn on; with the mutex. */
static void hand_on(void)
{
    own_faults = fake_thread_faults();
    do
        turn = (turn + 1) % THREADS_MAX;
    while (!slots[turn].runs);
    pthread_cond_broadcast(&turn_changed);
}

/* Wait for the turn; with the mutex. */
static void take(void)
{
    while (turn != own_slot)
        pthread_cond_wait(&turn_changed, &mutex);
    before_turn = fake_faults();
}

void fake_threads_switch(void)
{
    if (fake_os.helpers_count == 0)
        return;
    must(pthread_mutex_lock(&mutex) == 0);
    hand_on();
    take();
    must(pthread_mutex_unlock(&mutex) == 0);
}

void zf_os_process_cpus(struct zf_cpu_set *cpus)
{
    memset(cpus, 0, sizeof *cpus);
    for (int cpu = 0; cpu < fake_os.cpus_count; ++cpu)
        zf_cpu_set_add(cpus, (unsigned)cpu);
}

static void *run(void *argument)
{
    const struct zf_os_helper *helper = argument;
    own_slot = (size_t)helper->handle;
    must(pthread_mutex_lock(&mutex) == 0);
    take();
    must(pthread_mutex_unlock(&mutex) == 0);
    helper->work(helper->context);
    must(pthread_mutex_lock(&mutex) == 0);
    slots[own_slot].ended = true;
    slots[own_slot].runs = false;
    slots[0].runs = true; /* it may wait for this end */
    hand_on();
    must(pthread_mutex_unlock(&mutex) == 0);
    return NULL;
}

int zf_os_helper_start(struct zf_os_helper *helper, const struct zf_cpu_set *cpus)
{
    size_t slot = 1;
    int rc = fake_os_enter(FAKE_HELPER_START);
    must(own_slot == 0 && helper->work != NULL && strlen(helper->name) < 16);
    if (rc != 0)
        return rc;
    while (slots[slot].thread != 0)
        must(++slot < THREADS_MAX);
    fake_os.helper_cpus = *cpus;
    ++fake_os.helpers_count;
    helper->handle = slot;
    slots[slot].runs = true;
    slots[slot].ended = false;
    must(pthread_create(&slots[slot].thread, NULL, run, helper) == 0);
    return 0;
}

void zf_os_helper_join(struct zf_os_helper *helper)
{
    size_t slot = (size_t)helper->handle;
    must(own_slot == 0 && slot != 0 && slots[slot].thread != 0);
    must(pthread_mutex_lock(&mutex) == 0);
    while (!slots[slot].ended) {
        slots[0].runs = false;
        hand_on();
        take();
    }
    must(pthread_mutex_unlock(&mutex) == 0);
    must(pthread_join(slots[slot].thread, NULL) == 0);
    slots[slot].thread = 0;
    --fake_os.helpers_count;
}

/* -------------------------------------------------------------------------------------- locking */

static pthread_mutex_t table_mutex = PTHREAD_MUTEX_INITIALIZER;

void zf_os_table_lock(void)
{
    must(pthread_mutex_lock(&table_mutex) == 0);
}

void zf_os_table_unlock(void)
{
    must(pthread_mutex_unlock(&table_mutex) == 0);
}

bool zf_os_table_try_lock(void)
{
    return pthread_mutex_trylock(&table_mutex) == 0;
}
