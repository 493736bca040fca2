/*
 * The watch for system calls on Linux: Syscall User Dispatch (since 5.11, x86-64).
 *
 * While the thread's selector byte says so, the kernel answers each of its system calls with a
 * SIGSYS instead. The handler tells the watcher and then sends the thread to the gate, which makes
 * the call in the program's own context; see call_gate.h. So calls that fork, return twice, never
 * return, wait, or change the signal stack need no care. What needs care is only that SIGSYS must
 * never be blocked while calls are watched, for then the kernel ends the process: calls that set
 * the signal mask are made inside the handler. The vDSO makes no system calls and is not seen.
 * See prctl(2), Documentation/admin-guide/syscall-user-dispatch.rst.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/sanitize.h"
#include "os/linux/call_gate.h"
#include "os/linux/signals.h"
#include "os/os.h"

static const char *const call_names[] = {
#include "os/linux/call_names.inc"
};

const char *zf_os_call_name(long number)
{
    const long names_count = (long)(sizeof call_names / sizeof call_names[0]);
    return number < 0 || number >= names_count ? NULL : call_names[number];
}

#if ZF_CALL_GATE

#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <zerofault/attributes.h>

/* From linux/prctl.h and the kernel's siginfo.h, for headers older than 5.11. */
#define DISPATCH 59
#define DISPATCH_OFF 0
#define DISPATCH_ON 1
#define CODE_USER_DISPATCH 2

#define ARCHITECTURE_X86_64 0xc000003eu
#define INSTRUCTION_BYTES 2        /* of syscall, and of int $0x80 */
#define CHILD_STACK_BYTES_MIN 1024 /* what zf_call_gate_clone3 and the arguments' copy fit into */
#define ARGUMENTS_BYTES_MAX 256    /* of clone3; the newest kernel knows 88 */
#define KERNEL_MASK_BYTES sizeof(uint64_t)

static zf_os_call_watcher *watcher;

static ZEROFAULT_THREAD_LOCAL volatile unsigned char *selector; /* NULL: not watched */
static ZEROFAULT_THREAD_LOCAL bool was_blocked;                 /* SIGSYS, before */

/* ------------------------------------------------------------------------------------ the calls */

ZF_UNINSTRUMENTED static void go_through(greg_t *registers, const unsigned char *gate)
{
    registers[REG_RCX] = registers[REG_RIP];
    registers[REG_RIP] = (greg_t)(uintptr_t)gate;
}

ZF_UNINSTRUMENTED static void finish(greg_t *registers, long result)
{
    registers[REG_RAX] = result;
}

/* The child's stack gets the return address, the caller's rdi, and a copy of the arguments that
 * leaves this out of the stack. */
ZF_UNINSTRUMENTED static void go_through_clone3(greg_t *registers)
{
    const struct clone_args *arguments = (const void *)registers[REG_RDI];
    size_t size_bytes = (size_t)registers[REG_RSI];
    struct clone_args *copy;
    uintptr_t *top;
    if (arguments == NULL || size_bytes < CLONE_ARGS_SIZE_VER0 || arguments->stack == 0) {
        bool shares_stack = arguments != NULL && size_bytes >= CLONE_ARGS_SIZE_VER0 &&
                            (arguments->flags & CLONE_VM) != 0;
        go_through(registers, shares_stack ? zf_call_gate_vfork : zf_call_gate_plain);
        return;
    }
    if (size_bytes > ARGUMENTS_BYTES_MAX || arguments->stack_size < CHILD_STACK_BYTES_MIN) {
        finish(registers, size_bytes > ARGUMENTS_BYTES_MAX ? -E2BIG : -EINVAL);
        return;
    }
    top = (uintptr_t *)(uintptr_t)(arguments->stack + arguments->stack_size -
                                   ZF_CALL_GATE_CLONE3_BYTES);
    copy = (struct clone_args *)(void *)((unsigned char *)top - 2 * ARGUMENTS_BYTES_MAX);
    memcpy(copy, arguments, size_bytes);
    copy->stack_size -= ZF_CALL_GATE_CLONE3_BYTES;
    top[0] = (uintptr_t)registers[REG_RIP];
    top[1] = (uintptr_t)arguments;
    registers[REG_R11] = registers[REG_RDI];
    registers[REG_RDI] = (greg_t)(uintptr_t)copy;
    go_through(registers, zf_call_gate_clone3);
}

ZF_UNINSTRUMENTED static void go_through_clone(greg_t *registers)
{
    if (registers[REG_RSI] != 0)
        go_through(registers, zf_call_gate_clone);
    else if ((registers[REG_RDI] & CLONE_VM) != 0)
        go_through(registers, zf_call_gate_vfork);
    else
        go_through(registers, zf_call_gate_plain);
}

/* Make the call here and unwatched: signal handlers that run meanwhile may find SIGSYS blocked. */
ZF_UNINSTRUMENTED static long make_unwatched(const greg_t *registers)
{
    volatile unsigned char *thread_selector = selector;
    long result;
    *thread_selector = ZF_OS_CALLS_PASS;
    result = zf_call_gate_make(registers[REG_RAX], registers[REG_RDI], registers[REG_RSI],
                               registers[REG_RDX], registers[REG_R10], registers[REG_R8],
                               registers[REG_R9]);
    *thread_selector = ZF_OS_CALLS_WATCHED;
    return result;
}

/* The mask that the program gets is its own but for SIGSYS. It is set when the handler returns. */
ZF_UNINSTRUMENTED static long set_mask(ucontext_t *stopped)
{
    const greg_t *registers = stopped->uc_mcontext.gregs;
    uint64_t without = UINT64_C(1) << (SIGSYS - 1);
    long result;
    *selector = ZF_OS_CALLS_PASS;
    result = zf_call_gate_make(SYS_rt_sigprocmask, registers[REG_RDI], registers[REG_RSI],
                               registers[REG_RDX], registers[REG_R10], 0, 0);
    (void)zf_call_gate_make(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&without,
                            (long)&stopped->uc_sigmask, KERNEL_MASK_BYTES, 0, 0);
    (void)sigdelset(&stopped->uc_sigmask, SIGSYS);
    *selector = ZF_OS_CALLS_WATCHED;
    return result;
}

ZF_UNINSTRUMENTED static void let_through(ucontext_t *stopped)
{
    greg_t *registers = stopped->uc_mcontext.gregs;
    switch (registers[REG_RAX]) {
    case SYS_rt_sigprocmask:
        finish(registers, set_mask(stopped));
        break;
    case SYS_rt_sigsuspend:
    case SYS_pselect6:
    case SYS_ppoll:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
        finish(registers, make_unwatched(registers));
        break;
    case SYS_clone:
        go_through_clone(registers);
        break;
    case SYS_clone3:
        go_through_clone3(registers);
        break;
    case SYS_vfork:
        go_through(registers, zf_call_gate_vfork);
        break;
    default:
        go_through(registers, zf_call_gate_plain);
        break;
    }
}

ZF_UNINSTRUMENTED static bool may_be_refused(long number)
{
    return number != SYS_exit && number != SYS_exit_group;
}

ZF_UNINSTRUMENTED static void on_call(ucontext_t *stopped, uintptr_t behind)
{
    greg_t *registers = stopped->uc_mcontext.gregs;
    long number = registers[REG_RAX];
    if (number == SYS_rt_sigreturn) {
        /* The end of a signal handler: the kernel's doing, not the program's. */
        registers[REG_RIP] = (greg_t)(uintptr_t)zf_call_gate_sigreturn;
        return;
    }
    if (!watcher(number, behind - INSTRUCTION_BYTES) && may_be_refused(number))
        finish(registers, -EPERM);
    else
        let_through(stopped);
}

/* Numbers mean something else in 32-bit calls, so nothing is known of them. */
ZF_UNINSTRUMENTED static void on_old_call(ucontext_t *stopped, uintptr_t behind)
{
    greg_t *registers = stopped->uc_mcontext.gregs;
    if (!watcher(-1, behind - INSTRUCTION_BYTES)) {
        finish(registers, -EPERM);
        return;
    }
    registers[REG_R11] = registers[REG_RIP];
    registers[REG_RIP] = (greg_t)(uintptr_t)zf_call_gate_int80;
}

/* What the call's thread was doing. When another synchronous signal was waiting (a trap that is
 * blocked), the kernel has made a frame for its handler first, and this context is that handler at
 * its first instruction: its third argument is the context beneath. */
ZF_UNINSTRUMENTED static ucontext_t *stopped_at(ucontext_t *stopped, uintptr_t behind)
{
    while ((uintptr_t)stopped->uc_mcontext.gregs[REG_RIP] != behind)
        stopped = (ucontext_t *)stopped->uc_mcontext.gregs[REG_RDX];
    return stopped;
}

ZF_UNINSTRUMENTED static bool on_signal(siginfo_t *info, void *context)
{
    uintptr_t behind = (uintptr_t)info->si_call_addr;
    if (info->si_code != CODE_USER_DISPATCH || selector == NULL)
        return false;
    if (info->si_arch == ARCHITECTURE_X86_64)
        on_call(stopped_at(context, behind), behind);
    else
        on_old_call(stopped_at(context, behind), behind);
    return true;
}

/* ------------------------------------------------------------------------------- open and close */

static void unblock(void)
{
    sigset_t set;
    sigset_t before;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGSYS);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, &before);
    was_blocked = sigismember(&before, SIGSYS) == 1;
}

static void block_again(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGSYS);
    if (was_blocked)
        (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Not deferred: the handlers of other signals may run in the middle of it, and make calls. */
static struct zf_signal sigsys = {.number = SIGSYS, .flags = SA_NODEFER, .handle = on_signal};

static int install(zf_os_call_watcher *new_watcher)
{
    int error;
    zf_os_table_lock();
    watcher = new_watcher;
    error = zf_signal_install(&sigsys);
    zf_os_table_unlock();
    return error;
}

int zf_os_call_watch_open(volatile unsigned char *new_selector, zf_os_call_watcher *new_watcher)
{
    int error;
    ZF_ASSERT(new_selector != NULL);
    ZF_ASSERT(*new_selector == ZF_OS_CALLS_PASS);
    error = install(new_watcher);
    if (error != 0)
        return error;
    if (prctl(DISPATCH, DISPATCH_ON, zf_call_gate, zf_call_gate_end - zf_call_gate, new_selector) !=
        0)
        return errno == EINVAL ? -EOPNOTSUPP : -errno;
    unblock();
    selector = new_selector;
    return 0;
}

void zf_os_call_watch_close(void)
{
    ZF_ASSERT(selector != NULL);
    *selector = ZF_OS_CALLS_PASS;
    (void)prctl(DISPATCH, DISPATCH_OFF, 0, 0, 0);
    selector = NULL;
    block_again();
}

#else

int zf_os_call_watch_open(volatile unsigned char *new_selector, zf_os_call_watcher *new_watcher)
{
    (void)new_selector;
    (void)new_watcher;
    return -EOPNOTSUPP;
}

void zf_os_call_watch_close(void)
{
    ZF_ASSERT(false); /* none was opened */
}

#endif
