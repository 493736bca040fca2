/*
 * Two watches that both work by signals, on one thread, and what they leave of the code that they
 * interrupt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define PAGES ((size_t)4096)

static unsigned char *pages;
static volatile sig_atomic_t next_page;
static unsigned traps;
static long last_call;

static int set_up(void **state)
{
    (void)state;
    pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || madvise(pages, PAGES * PAGE, MADV_NOHUGEPAGE) != 0)
        return -1;
    warm_shadow(pages, PAGES * PAGE);
    next_page = 0;
    traps = 0;
    last_call = -1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hot_thread_detach();
    return munmap(pages, PAGES * PAGE);
}

static void fault(int number)
{
    (void)number;
    if ((size_t)next_page < PAGES)
        *(volatile unsigned char *)(pages + PAGE * (size_t)next_page++) = 1;
}

static void note(const struct hot_violation *violation, void *context)
{
    (void)context;
    traps += violation->trapped;
    if (violation->kind == HOT_SYSTEM_CALL)
        last_call = violation->system_call;
    errno = EBADF;
}

static void attach(uint32_t watch)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    int error;
    need_exact_faults();
    error =
        hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING, .watch = watch), &report);
    need("fault-ring", error == 0, "the ring is refused here: %s", strerror(-error));
    need("traps", report.watched == watch, "faults or calls cannot be watched here");
}

static void interrupted_code_keeps_its_errno(void **state)
{
    static struct hot_section section = HOT_SECTION("errno", .policy = HOT_TRAP, .hook = note);
    int kept;
    (void)state;
    attach(HOT_WATCH_TRAPS);
    hot_section_begin(&section);
    errno = ERANGE;
    fault(0);
    kept = errno;
    (void)hot_section_end(&section);
    assert_int_equal(traps, 1);
    assert_int_equal(kept, ERANGE);
}

static struct hot_section both = HOT_SECTION("both", .policy = HOT_CALLBACK, .hook = note);

/* A trap is waiting when the call is stopped: the kernel makes its handler's frame first. */
static void a_call_is_made_while_a_trap_is_waiting(void **state)
{
    pid_t parent = getppid(), told;
    sigset_t trap, before;
    (void)state;
    (void)sigemptyset(&trap);
    (void)sigaddset(&trap, SIGTRAP);
    attach(HOT_WATCH_TRAPS | HOT_WATCH_SYSTEM_CALLS);
    assert_int_equal(sigprocmask(SIG_BLOCK, &trap, &before), 0);
    hot_section_begin(&both);
    fault(0);
    told = getppid();
    (void)hot_section_end(&both);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    assert_int_equal(told, parent);
    assert_int_equal(last_call, 110); /* getppid */
}

/* The same by chance, from a handler that interrupts anything. */
static void faults_in_handlers_and_calls_get_along(void **state)
{
    struct itimerval timer = {{0, 100}, {0, 100}}, off = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = fault, .sa_flags = SA_RESTART};
    pid_t parent = getppid();
    unsigned wrong = 0;
    (void)state;
    attach(HOT_WATCH_TRAPS | HOT_WATCH_SYSTEM_CALLS);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
    for (unsigned round = 0; round < 2000000 && (size_t)next_page < 1500; ++round) {
        hot_section_begin(&both);
        wrong += getppid() != parent;
        (void)hot_section_end(&both);
    }
    assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
    assert_int_equal(wrong, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(interrupted_code_keeps_its_errno),
        TEST(a_call_is_made_while_a_trap_is_waiting),
        TEST(faults_in_handlers_and_calls_get_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
