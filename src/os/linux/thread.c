/*
 * What happens when a thread or a child of fork begins or ends, and the one lock of the control
 * plane.
 *
 * The lock is held across fork, so that a child never inherits it taken by a thread that it does
 * not have. The program's own fork handlers may run meanwhile, on the thread that has it, and use
 * the library: to them it is open. A child made by a bare clone system call runs no handlers; the
 * hot part notices such a child by its wiped memory instead.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "os/os.h"

static pthread_mutex_t table_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static int once_error;
static void (*_Atomic fork_child)(void);
static atomic_uint_fast64_t forks_made;
static atomic_uint_fast64_t forks_undergone;
static atomic_uint_fast64_t fork_last_ns;

struct exit_call {
    void (*at_exit)(void *context);
    void *context;
};
static __thread struct exit_call exit_call;
static __thread bool forking; /* this thread has the lock, for all of its fork */

static void run_exit_call(void *set)
{
    struct exit_call *call = set;
    if (call->at_exit != NULL)
        call->at_exit(call->context);
}

static void before_fork(void)
{
    (void)pthread_mutex_lock(&table_mutex);
    forking = true;
}

static void after_fork_in_parent(void)
{
    atomic_store(&fork_last_ns, zf_os_clock_ns());
    (void)atomic_fetch_add(&forks_made, 1);
    forking = false;
    (void)pthread_mutex_unlock(&table_mutex);
}

static void after_fork_in_child(void)
{
    void (*in_child)(void) = atomic_load(&fork_child);
    (void)atomic_fetch_add(&forks_undergone, 1);
    forking = false;
    (void)pthread_mutex_unlock(&table_mutex);
    if (in_child != NULL)
        in_child();
}

static void prepare_once(void)
{
    once_error = pthread_key_create(&exit_key, run_exit_call);
    if (once_error == 0)
        once_error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

int zf_os_thread_at_exit(void (*at_exit)(void *context), void *context)
{
    int error = pthread_once(&once, prepare_once);
    if (error == 0)
        error = once_error;
    if (error != 0)
        return -error;
    error = pthread_setspecific(exit_key, at_exit == NULL ? NULL : &exit_call);
    if (error != 0)
        return -error;
    exit_call.at_exit = at_exit;
    exit_call.context = context;
    return 0;
}

void zf_os_fork_in_child(void (*in_child)(void))
{
    ZF_ASSERT(in_child != NULL);
    atomic_store(&fork_child, in_child);
}

struct zf_os_forks zf_os_forks(void)
{
    struct zf_os_forks forks;
    (void)pthread_once(&once, prepare_once);
    forks.made = atomic_load(&forks_made);
    forks.undergone = atomic_load(&forks_undergone);
    forks.last_ns = atomic_load(&fork_last_ns);
    return forks;
}

void zf_os_fork_noticed(void)
{
    static const pthread_mutex_t nobodys = PTHREAD_MUTEX_INITIALIZER;
    (void)atomic_fetch_add(&forks_undergone, 1);
    table_mutex = nobodys; /* whoever had it is not here */
}

void zf_os_table_lock(void)
{
    int error = forking ? 0 : pthread_mutex_lock(&table_mutex);
    ZF_ASSERT(error == 0);
    (void)error;
}

void zf_os_table_unlock(void)
{
    int error = forking ? 0 : pthread_mutex_unlock(&table_mutex);
    ZF_ASSERT(error == 0);
    (void)error;
}

bool zf_os_table_try_lock(void)
{
    return forking || pthread_mutex_trylock(&table_mutex) == 0;
}
