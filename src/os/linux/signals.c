/*
 * Handlers that share a signal with the program; see signals.h.
 *
 * They are installed by the bare system call: a sanitizer that intercepts sigaction() may delay a
 * handler, and one that answers the instruction under way cannot wait. A handler that was
 * installed after ours is taken to be the program's next time, and gets what is not the library's;
 * if it was one that hands on to ours, we are called a second time for the same signal and go to
 * the program's first. Once installed a handler stays, because a thread may be about to enter it.
 * See sigaction(2), rt_sigqueueinfo(2).
 */
#include "os/linux/signals.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/sanitize.h"
#include "os/linux/call_gate.h"

/* struct sigaction as the kernel has it. */
struct action {
    zf_signal_handler *handler;
    unsigned long flags;
    const void *restorer;
    uint64_t mask;
};

#define MASK_BYTES sizeof(uint64_t)

#if ZF_CALL_GATE
#define make_call(number, first, second, third, fourth)                                            \
    zf_call_gate_make(number, (long)(first), (long)(second), (long)(third), (long)(fourth), 0, 0)
#define HANDLER zf_call_gate_on_signal
#define RESTORER zf_call_gate_sigreturn
#define HAS_RESTORER 0x04000000ul
#else
static void on_signal(int number, siginfo_t *info, void *context)
{
    zf_signal_dispatch(number, info, context, NULL);
}
#define make_call(number, first, second, third, fourth)                                            \
    syscall(number, first, second, third, fourth)
#define HANDLER on_signal
#define RESTORER NULL
#define HAS_RESTORER 0ul
#endif

static struct zf_signal *installed;

int zf_signal_install(struct zf_signal *signal)
{
    struct action action = {
        .handler = HANDLER,
        .flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | signal->flags | HAS_RESTORER,
        .restorer = RESTORER,
    };
    struct action current;
    ZF_ASSERT(signal->number > 0);
    ZF_ASSERT(signal->handle != NULL);
    if (syscall(SYS_rt_sigaction, signal->number, NULL, &current, MASK_BYTES) != 0)
        return -errno;
    if (current.handler == action.handler && current.flags == action.flags)
        return 0;
    if (current.handler != action.handler)
        __atomic_store_n(&signal->last, current.handler, __ATOMIC_RELEASE);
    if (!signal->installed) {
        signal->installed = true;
        signal->first = current.handler;
        signal->next = installed;
        __atomic_store_n(&installed, signal, __ATOMIC_RELEASE);
    }
    if (syscall(SYS_rt_sigaction, signal->number, &action, NULL, MASK_BYTES) != 0)
        return -errno;
    return 0;
}

ZF_UNINSTRUMENTED void zf_signal_default(int number, siginfo_t *info, void *context)
{
    static const struct action default_action;
    ucontext_t *stopped = context;
    uint64_t mask = UINT64_C(1) << (number - 1);
    long process = make_call(SYS_getpid, 0, 0, 0, 0);
    long thread = make_call(SYS_gettid, 0, 0, 0, 0);
    (void)make_call(SYS_rt_sigprocmask, SIG_BLOCK, &mask, NULL, MASK_BYTES);
    (void)make_call(SYS_rt_sigaction, number, &default_action, NULL, MASK_BYTES);
    /* A process may send itself a signal that looks as if the kernel had: the core file tells what
     * really happened. It is delivered when the handler has returned. */
    (void)make_call(SYS_rt_tgsigqueueinfo, process, thread, number, info);
    (void)sigdelset(&stopped->uc_sigmask, number);
}

ZF_UNINSTRUMENTED static void hand_on(zf_signal_handler *handler, int number, siginfo_t *info,
                                      void *context)
{
    bool is_ignored = (uintptr_t)handler == (uintptr_t)SIG_IGN;
    if (!is_ignored && (uintptr_t)handler != (uintptr_t)SIG_DFL)
        handler(number, info, context);
    else if (!is_ignored || info->si_code > 0) /* what the kernel itself raises is not ignored */
        zf_signal_default(number, info, context);
}

ZF_UNINSTRUMENTED void zf_signal_dispatch(int number, siginfo_t *info, void *context,
                                          const void *frame)
{
    struct zf_signal *signal = __atomic_load_n(&installed, __ATOMIC_ACQUIRE);
    int interrupted_error = errno;
    bool is_ours;
    while (signal->number != number)
        signal = signal->next;
    is_ours = signal->handle(info, context);
    errno = interrupted_error;
    if (is_ours)
        return;
    hand_on(frame == context ? __atomic_load_n(&signal->last, __ATOMIC_ACQUIRE) : signal->first,
            number, info, context);
}
