/*
 * Traps: told, or stopped, at the very instruction that faulted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "support/child.h"
#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define PAGES ((size_t)256)
#define TRAPS_BIT 5 /* of HOT_WATCH_TRAPS */

static unsigned char *pages;
static volatile size_t next_page; /* a hook looks at it in the middle of a line */

/* What the hooks have noted. */
static struct hot_violation trapped; /* the last one of a trap */
static struct hot_violation late;    /* the last one of an end */
static unsigned traps;               /* told in a trap */
static unsigned lates;               /* told at an end, by count */
static size_t pages_at_trap;         /* next_page when the last trap came */
static unsigned faults_in_hook;      /* to be taken by the next hook */

/* Where faults are planted; the linker names both ends. */
extern const unsigned char __start_planting[];
extern const unsigned char __stop_planting[];

__attribute__((noinline, section("planting"))) static void plant_faults(size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        *(volatile unsigned char *)(pages + next_page * PAGE + 8) = 1;
        ++next_page;
    }
    __asm__ volatile("" ::: "memory"); /* not a tail call, and something behind it */
}

static bool is_planted(uintptr_t instruction)
{
    return instruction >= (uintptr_t)__start_planting && instruction < (uintptr_t)__stop_planting;
}

static uintptr_t address_of_page(size_t page)
{
    return (uintptr_t)pages + page * PAGE + 8;
}

static int set_up(void **state)
{
    (void)state;
    pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || madvise(pages, PAGES * PAGE, MADV_NOHUGEPAGE) != 0)
        return -1;
    warm_shadow(pages, PAGES * PAGE);
    next_page = 0;
    memset(&trapped, 0, sizeof trapped);
    memset(&late, 0, sizeof late);
    traps = lates = faults_in_hook = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hot_thread_detach();
    return munmap(pages, PAGES * PAGE);
}

static void note(const struct hot_violation *violation, void *context)
{
    (void)context;
    if (violation->trapped) {
        trapped = *violation;
        pages_at_trap = next_page;
        ++traps;
    } else {
        late = *violation;
        lates += (unsigned)violation->count;
    }
    while (faults_in_hook > 0) {
        --faults_in_hook;
        *(volatile unsigned char *)(pages + (PAGES - 1 - faults_in_hook) * PAGE) = 1;
    }
}

static struct hot_section section =
    HOT_SECTION("trapping", .policies = {[HOT_FAULT] = HOT_TRAP}, .hook = note);

static void attach_with(enum hot_source source, uint32_t watch)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    int error;
    need_exact_faults();
    error = hot_thread_attach(&HOT_THREAD_OPTIONS(.source = source, .watch = watch), &report);
    need("fault-ring", error == 0, "the ring is refused here: %s", strerror(-error));
    need("traps", (report.watched & HOT_WATCH_TRAPS) != 0, "faults do not trap here: %s",
         strerror(-report.watch_errors[TRAPS_BIT]));
    need("system calls", report.watched == watch, "a watch is refused here");
}

static void attach(void)
{
    attach_with(HOT_SOURCE_RING, HOT_WATCH_TRAPS);
}

/* --------------------------------------------------------------------------------- at the fault */

static void hook_is_called_at_the_faulting_instruction(void **state)
{
    (void)state;
    attach();
    hot_section_begin(&section);
    plant_faults(1);
    assert_int_equal(traps, 1); /* before anything else happened */
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(pages_at_trap, 0);
    assert_int_equal(trapped.kind, HOT_FAULT);
    assert_int_equal(trapped.address, address_of_page(0));
    assert_true(is_planted(trapped.instruction));
    assert_false(trapped.asynchronous);
    assert_ptr_equal(trapped.section, &section);
    assert_int_equal(trapped.count, 1);
    assert_true(trapped.time_ns != 0);
}

static void each_fault_is_told_once_and_counted_once(void **state)
{
    struct hot_section_statistics before = HOT_SECTION_STATISTICS_INIT;
    struct hot_section_statistics after = HOT_SECTION_STATISTICS_INIT;
    (void)state;
    attach();
    assert_int_equal(hot_section_stats(&section, &before), 0);
    for (int round = 0; round < 3; ++round) {
        hot_section_begin(&section);
        plant_faults(40);
        assert_int_equal(hot_section_end(&section), 40);
    }
    assert_int_equal(traps, 120);
    assert_int_equal(lates, 0);
    assert_int_equal(trapped.address, address_of_page(119));
    assert_int_equal(hot_section_stats(&section, &after), 0);
    assert_int_equal(after.counts[HOT_FAULT] - before.counts[HOT_FAULT], 120);
}

static void clean_passes_stay_on_the_short_way(void **state)
{
    const struct hot_slot *slot;
    (void)state;
    attach();
    for (int i = 0; i < 3; ++i) {
        hot_section_begin(&section);
        assert_int_equal(hot_section_end(&section), 0);
    }
    slot = (const void *)(hot_thread_table + section.slot_bytes);
    assert_ptr_equal(slot->section, &section);
}

static void arena_of_the_address_is_named(void **state)
{
    struct arena *arena = NULL;
    unsigned char *cold;
    (void)state;
    attach();
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.name = "cold", .capacity_bytes = 4 * PAGE)), 0);
    cold = arena_alloc(arena, 2 * PAGE, 64);
    warm_shadow(cold, 2 * PAGE);
    hot_section_begin(&section);
    *(volatile unsigned char *)(cold + PAGE + 5) = 1;
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(traps, 1);
    assert_string_equal(trapped.section->name, "trapping");
    assert_int_equal(trapped.arena_offset_bytes, PAGE + 5);
    arena_destroy(arena);
}

static void *frames[64];
static int frames_count;

static void unwind(const struct hot_violation *violation, void *context)
{
    (void)context;
    if (violation->trapped)
        frames_count = backtrace(frames, 64);
}

static void hook_can_unwind_the_stack_right_there(void **state)
{
    static struct hot_section unwinding =
        HOT_SECTION("unwinding", .policy = HOT_TRAP, .hook = unwind);
    bool found = false;
    (void)state;
    attach();
    hot_section_begin(&unwinding);
    plant_faults(1);
    assert_int_equal(hot_section_end(&unwinding), 1); /* what backtrace() faults does not count */
    for (int i = 0; i < frames_count; ++i)
        found = found || is_planted((uintptr_t)frames[i]);
    assert_true(found);
}

static void section_without_the_policy_is_told_at_its_end(void **state)
{
    static struct hot_section outer =
        HOT_SECTION("calling back", .policy = HOT_CALLBACK, .hook = note);
    (void)state;
    attach();
    hot_section_begin(&outer);
    hot_section_begin(&section);
    plant_faults(2);
    assert_int_equal(hot_section_end(&section), 2);
    plant_faults(1);
    assert_int_equal(traps, 2);
    assert_int_equal(lates, 0);
    assert_int_equal(hot_section_end(&outer), 3);
    assert_int_equal(traps, 2);
    assert_int_equal(lates, 3);
    assert_int_equal(late.address, address_of_page(2));
}

static void nothing_traps_between_sections_and_in_pauses(void **state)
{
    (void)state;
    attach();
    plant_faults(2);
    hot_section_begin(&section);
    hot_pause_begin();
    plant_faults(2);
    hot_pause_end();
    assert_int_equal(hot_section_end(&section), 0);
    assert_int_equal(traps + lates, 0);
    hot_section_begin(&section);
    plant_faults(1);
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(traps, 1);
}

/* ------------------------------------------------------------------------------------- the hook */

static void what_the_hook_itself_does_is_left_out(void **state)
{
    (void)state;
    attach();
    hot_section_begin(&section);
    faults_in_hook = 5;
    plant_faults(1);
    faults_in_hook = 5;
    plant_faults(2);
    assert_int_equal(hot_section_end(&section), 3);
    assert_int_equal(traps, 3);
    assert_int_equal(lates, 0);
    assert_int_equal(trapped.address, address_of_page(2));
}

static sigjmp_buf jump;

static void jump_out(const struct hot_violation *violation, void *context)
{
    (void)context;
    ++traps;
    if (violation->trapped)
        siglongjmp(jump, 1);
}

static void hook_may_leave_by_siglongjmp(void **state)
{
    static struct hot_section jumping =
        HOT_SECTION("jumping", .policy = HOT_TRAP, .hook = jump_out);
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    need("plain jumps", false, "AddressSanitizer faults too when a signal's stack is left");
#endif
    attach();
    for (unsigned round = 1; round <= 3; ++round) {
        hot_section_begin(&jumping);
        if (sigsetjmp(jump, 1) == 0)
            plant_faults(1);
        ++next_page;
        assert_int_equal(hot_section_end(&jumping), 1);
        assert_int_equal(traps, round);
    }
    hot_section_begin(&section);
    plant_faults(1);
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(trapped.address, address_of_page(3));
}

static void call_kernel(const struct hot_violation *violation, void *context)
{
    note(violation, context);
    (void)syscall(SYS_gettid);
}

static void works_with_every_source_and_with_other_watches(void **state)
{
    static struct hot_section calling =
        HOT_SECTION("calling", .policies = {[HOT_FAULT] = HOT_TRAP}, .hook = call_kernel);
    static const enum hot_source sources[] = {HOT_SOURCE_RING, HOT_SOURCE_RUSAGE, HOT_SOURCE_BOTH};
    (void)state;
    for (size_t i = 0; i < 3; ++i) {
        traps = lates = 0;
        attach_with(sources[i], HOT_WATCH_TRAPS | HOT_WATCH_SYSTEM_CALLS);
        hot_section_begin(&calling);
        plant_faults(2);
        (void)syscall(SYS_gettid);
        assert_int_equal(hot_section_end(&calling), 3);
        assert_int_equal(traps, 2);
        assert_int_equal(lates, 0);
        hot_thread_detach();
    }
}

/* ----------------------------------------------------------------------------------------- late */

static void mask_traps(int how)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTRAP);
    (void)pthread_sigmask(how, &set, NULL);
}

static void blocked_trap_comes_late_and_says_so(void **state)
{
    (void)state;
    attach();
    mask_traps(SIG_BLOCK);
    hot_section_begin(&section);
    plant_faults(3);
    assert_int_equal(traps, 0);
    mask_traps(SIG_UNBLOCK);
    assert_int_equal(traps, 1); /* the others merged into it */
    assert_true(trapped.asynchronous);
    assert_int_equal(trapped.address, address_of_page(0));
    assert_true(is_planted(trapped.instruction));
    plant_faults(1);
    assert_int_equal(traps, 2);
    assert_false(trapped.asynchronous);
    assert_int_equal(hot_section_end(&section), 4);
    assert_int_equal(traps, 2);
    assert_int_equal(lates, 2); /* and were told at the end */
    assert_int_equal(late.address, address_of_page(2));
}

static void late_trap_of_an_earlier_section_is_nobodys(void **state)
{
    (void)state;
    attach();
    mask_traps(SIG_BLOCK);
    hot_section_begin(&section);
    plant_faults(1);
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(lates, 1);
    hot_section_begin(&section);
    mask_traps(SIG_UNBLOCK);
    assert_int_equal(hot_section_end(&section), 0);
    assert_int_equal(traps, 0);
}

/* ----------------------------------------------------------------------------------------- stop */

struct progress {
    uint32_t watched;
    int steps;
    int traced; /* traps told to the tracer */
};

static void count_traced(const struct hot_violation *violation, void *context)
{
    ((struct progress *)context)->traced += violation->trapped;
}

static struct hot_tracer tracer = HOT_TRACER(.violation = count_traced);

static void attach_in_child(struct progress *progress)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)signal(SIGTRAP, SIG_DFL);
    tracer.context = progress;
    (void)hot_trace(&tracer);
    (void)hot_thread_attach(&HOT_THREAD_OPTIONS(.watch = HOT_WATCH_TRAPS), &report);
    progress->watched = report.watched;
}

static void fault_without_a_hook(void *shared)
{
    static struct hot_section stopping = HOT_SECTION("stopping", .policy = HOT_TRAP);
    struct progress *progress = shared;
    attach_in_child(progress);
    plant_faults(1);
    progress->steps = 1;
    hot_section_begin(&stopping);
    progress->steps = 2;
    plant_faults(1);
    progress->steps = 3;
}

static void be_over_budget_with_a_hook(void *shared)
{
    static struct hot_section late_stop = HOT_SECTION(
        "stopping at the end", .policies = {[HOT_OVER_BUDGET] = HOT_TRAP}, .budget_ns = 1);
    struct progress *progress = shared;
    attach_in_child(progress);
    hot_section_begin(&late_stop);
    plant_faults(1);
    progress->steps = 1;
    (void)hot_section_end(&late_stop);
    progress->steps = 2;
}

static void break_point(void *shared)
{
    struct progress *progress = shared;
    attach_in_child(progress);
    progress->steps = 1;
    (void)raise(SIGTRAP);
    progress->steps = 2;
}

static void without_a_hook_the_process_stops_at_the_fault(void **state)
{
    static void (*const bodies[])(void *) = {fault_without_a_hook, be_over_budget_with_a_hook,
                                             break_point};
    static const int steps[] = {2, 1, 1};
    (void)state;
    attach();
    hot_thread_detach();
    for (size_t i = 0; i < 3; ++i) {
        struct progress *progress = shared_create(sizeof *progress);
        int status = run_in_child(bodies[i], progress);
        struct progress found = *progress;
        shared_destroy(progress, sizeof *progress);
        assert_int_equal(found.watched, HOT_WATCH_TRAPS);
        assert_int_equal(status, SIGTRAP);
        assert_int_equal(found.steps, steps[i]);
        assert_int_equal(found.traced, i == 0 ? 1 : 0);
    }
}

/* --------------------------------------------------------------------------------------- others */

static volatile sig_atomic_t given;

static void take(int number)
{
    (void)number;
    ++given;
}

static void signals_that_are_no_faults_go_to_the_handler_from_before(void **state)
{
    struct sigaction before;
    struct sigaction action = {.sa_handler = take};
    (void)state;
    (void)sigemptyset(&action.sa_mask);
    assert_int_equal(sigaction(SIGTRAP, &action, &before), 0);
    given = 0;
    attach();
    hot_section_begin(&section);
    (void)raise(SIGTRAP);
    plant_faults(1);
    (void)raise(SIGTRAP);
    assert_int_equal(hot_section_end(&section), 1);
    hot_thread_detach();
    plant_faults(1);
    (void)raise(SIGTRAP);
    assert_int_equal(given, 3);
    assert_int_equal(traps, 1);
    assert_int_equal(sigaction(SIGTRAP, &before, NULL), 0);
}

static void fault_in_child(void *shared)
{
    plant_faults(1); /* the child's own copies of what the function writes to */
    hot_section_begin(&section);
    plant_faults(2);
    *(int *)shared = hot_section_end(&section) == 2 && traps == 0 ? 1 : 2;
}

static void child_of_fork_does_not_trap(void **state)
{
    int *shared = shared_create(sizeof *shared);
    int result;
    (void)state;
    attach();
    section.policies[HOT_FAULT] = HOT_COUNT;
    hot_section_begin(&section);
    assert_int_equal(run_in_child(fault_in_child, shared), 0);
    (void)hot_section_end(&section);
    section.policies[HOT_FAULT] = HOT_TRAP;
    result = *shared;
    shared_destroy(shared, sizeof *shared);
    assert_int_equal(result, 1);
}

static void trap_without_privileges(void *shared)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    if (drop_privileges((size_t)8 << 20) != 0)
        return;
    (void)hot_thread_attach(&HOT_THREAD_OPTIONS(.watch = HOT_WATCH_TRAPS), &report);
    hot_section_begin(&section);
    plant_faults(1);
    if (hot_section_end(&section) == 1 && traps == 1)
        *(int *)shared = 1;
}

static void no_privileges_are_needed(void **state)
{
    int *shared = shared_create(sizeof *shared);
    int result;
    (void)state;
    attach(); /* or skip */
    hot_thread_detach();
    assert_int_equal(run_in_child(trap_without_privileges, shared), 0);
    result = *shared;
    shared_destroy(shared, sizeof *shared);
    need("paranoid", result == 1, "perf events are refused to users here");
}

static void *trap_in_thread(void *argument)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    (void)hot_thread_attach(&HOT_THREAD_OPTIONS(.watch = HOT_WATCH_TRAPS), &report);
    hot_section_begin(&section);
    plant_faults(1);
    return hot_section_end(&section) == 1 && traps == 1 ? argument : NULL;
}

static void each_thread_traps_for_itself(void **state)
{
    pthread_t thread;
    void *result = NULL;
    (void)state;
    attach(); /* or skip */
    assert_int_equal(pthread_create(&thread, NULL, trap_in_thread, &result), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &result);
    hot_section_begin(&section);
    plant_faults(1);
    assert_int_equal(hot_section_end(&section), 1);
    assert_int_equal(traps, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hook_is_called_at_the_faulting_instruction),
        TEST(each_fault_is_told_once_and_counted_once),
        TEST(clean_passes_stay_on_the_short_way),
        TEST(arena_of_the_address_is_named),
        TEST(hook_can_unwind_the_stack_right_there),
        TEST(section_without_the_policy_is_told_at_its_end),
        TEST(nothing_traps_between_sections_and_in_pauses),
        TEST(what_the_hook_itself_does_is_left_out),
        TEST(hook_may_leave_by_siglongjmp),
        TEST(works_with_every_source_and_with_other_watches),
        TEST(blocked_trap_comes_late_and_says_so),
        TEST(late_trap_of_an_earlier_section_is_nobodys),
        TEST(without_a_hook_the_process_stops_at_the_fault),
        TEST(signals_that_are_no_faults_go_to_the_handler_from_before),
        TEST(child_of_fork_does_not_trap),
        TEST(no_privileges_are_needed),
        TEST(each_thread_traps_for_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
