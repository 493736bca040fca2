/*
 * The fault trap on Linux: a page-fault event whose overflow raises SIGTRAP in the thread itself
 * (since 5.13).
 *
 * The signal comes when the fault has been served, before the next user instruction: the signal's
 * context is the faulting instruction, about to be run again. While SIGTRAP is blocked one signal
 * waits, marked as asynchronous, and further ones merge into it. The event excludes the kernel and
 * ends at exec. See perf_event_open(2), sigaction(2).
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <zerofault/attributes.h>

#include "base/assert.h"
#include "base/sanitize.h"
#include "os/linux/signals.h"
#include "os/os.h"

/* From the kernel's siginfo.h, for C libraries that do not know them yet. */
#define CODE_PERF 6
#define FLAG_ASYNCHRONOUS 1u

/* What follows the address in the signal's information. */
struct details {
    uint64_t cookie;
    uint32_t type;
    uint32_t flags;
};

static zf_os_trap_catcher *catcher;
static const char cookie; /* its address tells our events from others */

/* Of the test under way: where the fault is to be, and whether it came. */
static ZEROFAULT_THREAD_LOCAL volatile unsigned char *volatile test_page;
static ZEROFAULT_THREAD_LOCAL volatile bool test_passed;

ZF_UNINSTRUMENTED static uintptr_t instruction_of(const ucontext_t *stopped)
{
#if defined(__x86_64__)
    return (uintptr_t)stopped->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)stopped->uc_mcontext.pc;
#else
    (void)stopped;
    return 0;
#endif
}

ZF_UNINSTRUMENTED static bool on_signal(siginfo_t *info, void *context)
{
    const char *behind_address = (const char *)&info->si_addr + sizeof info->si_addr;
    struct details details;
    struct zf_os_trap trap;
    memcpy(&details, behind_address, sizeof details);
    if (info->si_code != CODE_PERF || details.cookie != (uintptr_t)&cookie)
        return false;
    if (test_page != NULL) {
        /* The handler's own first run may fault too. */
        if (info->si_addr == test_page)
            test_passed = true;
        return true;
    }
    trap.address = (uintptr_t)info->si_addr;
    trap.instruction = instruction_of(context);
    trap.asynchronous = (details.flags & FLAG_ASYNCHRONOUS) != 0;
    if (catcher(&trap))
        zf_signal_default(SIGTRAP, info, context);
    return true;
}

static struct zf_signal sigtrap = {.number = SIGTRAP, .handle = on_signal};

static int open_event(void)
{
    struct perf_event_attr attr;
    long handle;
    memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_PAGE_FAULTS;
    attr.sample_period = 1;
    attr.sample_type = PERF_SAMPLE_ADDR;
    attr.exclude_kernel = 1;
    attr.exclude_hv = 1;
    attr.sigtrap = 1;
    attr.remove_on_exec = 1; /* the kernel insists */
    attr.sig_data = (uintptr_t)&cookie;
    handle = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (handle < 0) /* an older kernel finds a bit or a field that it does not know */
        return errno == EINVAL || errno == E2BIG ? -EOPNOTSUPP : -errno;
    return (int)handle;
}

static int install(zf_os_trap_catcher *new_catcher)
{
    int error;
    zf_os_table_lock();
    catcher = new_catcher;
    error = zf_signal_install(&sigtrap);
    zf_os_table_unlock();
    return error;
}

/* A debugger may keep the signal for itself; stopping there is what a trap is for. */
static bool is_traced(void)
{
    static const char key[] = "\nTracerPid:\t";
    char text[16384]; /* a process may have many groups */
    const char *line = NULL;
    if (zf_os_read_file("/proc/self/status", text, sizeof text) > 0)
        line = strstr(text, key);
    return line != NULL && line[sizeof key - 1] != '0';
}

/* Take a deliberate fault, with the signal let in. */
static int test(void)
{
    size_t page_bytes = zf_os_page_bytes();
    sigset_t set;
    sigset_t before;
    void *page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return -errno;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTRAP);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, &before);
    test_passed = false;
    test_page = page;
    *test_page = 1;
    test_page = NULL;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)munmap(page, page_bytes);
    return test_passed || is_traced() ? 0 : -EIO;
}

int zf_os_trap_open(zf_os_trap_catcher *new_catcher, int *handle)
{
    int error;
    ZF_ASSERT(new_catcher != NULL);
    ZF_ASSERT(handle != NULL);
    error = install(new_catcher);
    if (error != 0)
        return error;
    *handle = open_event();
    if (*handle < 0)
        return *handle;
    error = test();
    if (error != 0)
        zf_os_trap_close(*handle);
    return error;
}

void zf_os_trap_close(int handle)
{
    ZF_ASSERT(handle >= 0);
    (void)close(handle);
}
