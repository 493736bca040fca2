/*
 * Attaching a thread to its guard: what is granted, what is refused and said, and how it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "hot/thread.h"
#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define NOBODY 65534

static struct hot_section section = HOT_SECTION("thread");

static int detach(void **state)
{
    (void)state;
    hot_thread_detach();
    return 0;
}

static int try_attach(enum hot_source source, struct hot_thread_report *report)
{
    memset(report, 0, sizeof *report);
    report->struct_size = sizeof *report;
    return hot_thread_attach(&HOT_THREAD_OPTIONS(.source = source), report);
}

static void need_ring(void)
{
    struct hot_thread_report report;
    int error = try_attach(HOT_SOURCE_RING, &report);
    hot_thread_detach();
    need("perf", error == 0, "no fault ring here: %s", strerror(-error));
}

/* One, to the guard; ThreadSanitizer adds faults of its own. */
static uint64_t faults_seen_on_fresh_page(void)
{
    unsigned char *page =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t violations;
    hot_section_begin(&section);
    *(volatile unsigned char *)page = 1;
    violations = hot_section_end(&section);
    (void)munmap(page, PAGE);
#ifdef __SANITIZE_THREAD__
    violations = violations > 0;
#endif
    return violations;
}

/* Run `body` in a child; it answers 0 when all is as it should be, else the number of the step
 * that was not. */
static int in_child(int (*body)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(body());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* -------------------------------------------------------------------------------------- granted */

static void automatic_choice_is_the_ring_and_says_so(void **state)
{
    struct hot_thread_report report;
    (void)state;
    need_ring();
    assert_int_equal(hot_source_active(), HOT_SOURCE_NONE);

    assert_int_equal(try_attach(HOT_SOURCE_AUTO, &report), 0);

    assert_int_equal(report.asked, HOT_SOURCE_AUTO);
    assert_int_equal(report.active, HOT_SOURCE_RING);
    assert_int_equal(report.ring_error, 0);
    assert_null(report.remedy);
    assert_true(report.self_tested);
    assert_int_equal(hot_source_active(), HOT_SOURCE_RING);
    assert_true(hot_guard_is_live());
    hot_thread_detach();
    assert_int_equal(hot_source_active(), HOT_SOURCE_NONE);
    assert_false(hot_guard_is_live());
}

static void first_begin_attaches_by_itself(void **state)
{
    (void)state;
    assert_int_equal(hot_source_active(), HOT_SOURCE_NONE);
    assert_int_equal(faults_seen_on_fresh_page(), 1);
    assert_int_not_equal(hot_source_active(), HOT_SOURCE_NONE);
}

static void attached_thread_tells_how_and_can_be_attached_so_again(void **state)
{
    struct hot_thread_options options = {.struct_size = sizeof options};
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    (void)state;
    assert_int_equal(hot_thread_attached(&options, &report), -ENOTCONN);
    assert_int_equal(
        hot_thread_attach(&HOT_THREAD_OPTIONS(.ring_bytes = 8192, .watch = HOT_WATCH_MIGRATIONS),
                          NULL),
        0);
    assert_int_equal(hot_thread_attached(&options, &report), 0);
    assert_int_equal(options.source, HOT_SOURCE_AUTO);
    assert_int_equal(options.ring_bytes, 8192);
    assert_int_equal(options.watch, HOT_WATCH_MIGRATIONS);
    assert_int_equal(report.asked, HOT_SOURCE_AUTO);
    assert_int_equal(report.active, hot_source_active());
    assert_int_equal(report.watched, HOT_WATCH_MIGRATIONS);
    assert_true(report.self_tested);

    hot_thread_detach();
    assert_int_equal(hot_thread_attached(NULL, NULL), -ENOTCONN);
    assert_int_equal(hot_thread_attach(&options, NULL), 0);
    report.struct_size = 0;
    assert_int_equal(hot_thread_attached(NULL, &report), -EINVAL);
    options.struct_size = 0;
    assert_int_equal(hot_thread_attached(&options, NULL), -EINVAL);
    assert_int_equal(hot_thread_attached(NULL, NULL), 0);
}

/* Every new mapping is populated then, that of the self-test too if it were left locked. */
static int attach_with_all_mappings_locked(void)
{
    struct hot_thread_report report;
    if (mlockall(MCL_FUTURE) != 0)
        return 77;
    return try_attach(HOT_SOURCE_AUTO, &report) == 0 && report.self_tested ? 0 : 1;
}

static void guard_proves_itself_in_a_process_that_locks_all_mappings(void **state)
{
    int status;
    (void)state;
    status = in_child(attach_with_all_mappings_locked);
    if (status == 77) {
        print_message("mlockall is refused here\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void a_thread_attaches_while_the_guards_are_switched_off(void **state)
{
    struct hot_thread_report report;
    int error;
    (void)state;
    hot_switch(false);
    error = try_attach(HOT_SOURCE_AUTO, &report);
    assert_false(hot_guard_is_live()); /* it would see nothing now */
    hot_switch(true);
    assert_int_equal(error, 0);
    assert_true(report.self_tested);
    assert_true(hot_guard_is_live());
    assert_int_equal(faults_seen_on_fresh_page(), 1);
}

static void attach_refuses_a_second_time_and_bad_arguments(void **state)
{
    struct hot_thread_report report;
    struct hot_thread_options options = {.struct_size = sizeof options};
    (void)state;
    assert_int_equal(try_attach(HOT_SOURCE_RUSAGE, &report), 0);
    assert_int_equal(try_attach(HOT_SOURCE_RUSAGE, &report), -EALREADY);
    hot_thread_detach();

    assert_int_equal(try_attach(HOT_SOURCE_NONE, &report), -EINVAL);
    assert_int_equal(try_attach((enum hot_source)77, &report), -EINVAL);
    options.ring_bytes = SIZE_MAX;
    assert_int_equal(hot_thread_attach(&options, NULL), -EINVAL);
    options.struct_size = 0;
    assert_int_equal(hot_thread_attach(&options, NULL), -EINVAL);
    report.struct_size = 0;
    assert_int_equal(hot_thread_attach(NULL, &report), -EINVAL);
    assert_int_equal(hot_source_active(), HOT_SOURCE_NONE);
}

static uint64_t violations_of_passes(int count)
{
    uint64_t violations = 0;
    for (int i = 0; i < count; ++i) {
        hot_section_begin(&section);
        violations += hot_section_end(&section);
    }
    return violations;
}

static void clean_begin_and_end_make_no_system_call(void **state)
{
    struct hot_thread_report report;
    (void)state;
    /* ThreadSanitizer has a thread that would outlive the exit that strict mode allows. */
    need_exact_faults();
    need_ring();
    assert_int_equal(try_attach(HOT_SOURCE_RING, &report), 0);
    hot_section_begin(&section);
    assert_int_equal(hot_section_end(&section), 0);

    /* In strict mode any system call but read, write and exit kills. */
    {
        pid_t child;
        int status;
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            uint64_t violations;
            if (try_attach(HOT_SOURCE_RING, &report) != 0)
                _exit(1);
            (void)violations_of_passes(1); /* a child finds the program's code not mapped yet */
            if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
                _exit(2);
            violations = violations_of_passes(1000);
            (void)syscall(SYS_exit, violations == 0 ? 0 : 3);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

/* -------------------------------------------------------------------------------------- refused */

/* Answer one system call with an errno. */
static int refuse_system_call(long number, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int refused_ring_falls_back(void)
{
    struct hot_thread_report report;
    if (refuse_system_call(SYS_perf_event_open, EACCES) != 0)
        return 1;
    if (try_attach(HOT_SOURCE_AUTO, &report) != 0)
        return 2;
    if (report.active != HOT_SOURCE_RUSAGE || report.ring_error != -EACCES)
        return 3;
    if (report.remedy == NULL || strstr(report.remedy, "perf_event_paranoid") == NULL)
        return 4;
    if (hot_source_active() != HOT_SOURCE_RUSAGE || !report.self_tested || !hot_guard_is_live())
        return 5;
    if (faults_seen_on_fresh_page() != 1)
        return 6;
    return 0;
}

static int refused_ring_fails_when_asked_for(void)
{
    struct hot_thread_report report;
    if (refuse_system_call(SYS_perf_event_open, EPERM) != 0)
        return 1;
    if (try_attach(HOT_SOURCE_RING, &report) != -EPERM)
        return 2;
    if (report.active != HOT_SOURCE_NONE || report.ring_error != -EPERM || report.remedy == NULL)
        return 3;
    if (try_attach(HOT_SOURCE_BOTH, &report) != -EPERM)
        return 4;
    return hot_source_active() == HOT_SOURCE_NONE ? 0 : 5;
}

static void refused_ring_falls_back_to_rusage_and_says_why(void **state)
{
    (void)state;
    assert_int_equal(in_child(refused_ring_falls_back), 0);
}

static void refused_ring_is_an_error_when_it_was_asked_for(void **state)
{
    (void)state;
    assert_int_equal(in_child(refused_ring_fails_when_asked_for), 0);
}

static int no_descriptor_left(void)
{
    struct hot_thread_report report;
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_NOFILE, &none) != 0)
        return 1;
    if (try_attach(HOT_SOURCE_RING, &report) != -EMFILE)
        return 2;
    if (try_attach(HOT_SOURCE_AUTO, &report) != 0 || report.active != HOT_SOURCE_RUSAGE)
        return 3;
    return report.remedy != NULL && strstr(report.remedy, "RLIMIT_NOFILE") != NULL ? 0 : 4;
}

static void no_file_descriptor_left_is_named_as_the_cause(void **state)
{
    (void)state;
    need_ring();
    assert_int_equal(in_child(no_descriptor_left), 0);
}

static int as_nobody(void)
{
    struct hot_thread_report report;
    if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        return 1;
    if (try_attach(HOT_SOURCE_RING, &report) != 0 || !report.self_tested)
        return 2;
    return faults_seen_on_fresh_page() == 1 ? 0 : 3;
}

static int paranoid_level(void)
{
    FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "r");
    int level = 99;
    if (file != NULL) {
        if (fscanf(file, "%d", &level) != 1)
            level = 99;
        (void)fclose(file);
    }
    return level;
}

static void ring_works_for_an_unprivileged_user(void **state)
{
    (void)state;
    need("perf", paranoid_level() <= 2, "kernel.perf_event_paranoid is %d", paranoid_level());
    assert_int_equal(in_child(as_nobody), 0);
}

static void guard_that_went_blind_is_found_out(void **state)
{
    struct hot_thread_report report;
    (void)state;
    need_ring();
    assert_int_equal(try_attach(HOT_SOURCE_RING, &report), 0);
    assert_true(hot_guard_is_live());

    assert_int_equal(ioctl(zf_hot_thread_self()->ring.handle, PERF_EVENT_IOC_DISABLE, 0), 0);

    assert_false(hot_guard_is_live());
}

/* ---------------------------------------------------------------------------------- fork, clone */

static int child_starts_afresh(void)
{
    struct hot_section_statistics stats = HOT_SECTION_STATISTICS_INIT;
    if (hot_source_active() != HOT_SOURCE_NONE)
        return 1;
    if (hot_section_stats(&section, &stats) != 0 || stats.dirty_entries != 0)
        return 2;
    if (faults_seen_on_fresh_page() != 1)
        return 3;
    if (hot_section_stats(&section, &stats) != 0 || stats.dirty_entries != 1)
        return 4;
    return hot_guard_is_live() ? 0 : 5;
}

static void child_of_fork_starts_afresh_and_the_parent_goes_on(void **state)
{
    (void)state;
    assert_int_equal(faults_seen_on_fresh_page(), 1);
    assert_int_equal(in_child(child_starts_afresh), 0);
    assert_int_equal(faults_seen_on_fresh_page(), 1);
    assert_true(hot_guard_is_live());
}

static int end_in_child(void)
{
    return hot_section_end(&section) == 1 ? 0 : 1;
}

static void section_open_at_fork_is_open_in_the_parent_only(void **state)
{
    (void)state;
    hot_section_begin(&section);
    assert_int_equal(in_child(end_in_child), 0);
    (void)hot_section_end(&section); /* fork itself makes the parent's pages fault */
    assert_int_equal(hot_sections_open(), 0);
}

static void child_of_a_bare_clone_starts_afresh(void **state)
{
    long child;
    int status;
    (void)state;
    need_exact_faults(); /* no sanitizer with threads survives a fork that it does not see */
    assert_int_equal(faults_seen_on_fresh_page(), 1);

    child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); /* runs no fork handlers */
    assert_true(child >= 0);
    if (child == 0)
        (void)syscall(SYS_exit_group,
                      faults_seen_on_fresh_page() == 1 && hot_guard_is_live() ? 0 : 1);

    assert_int_equal(waitpid((pid_t)child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void section_open_at_a_bare_clone_ends_in_the_child_as_misuse(void **state)
{
    long child;
    int status;
    (void)state;
    need_exact_faults(); /* no sanitizer with threads survives a fork that it does not see */
    hot_section_begin(&section);

    child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    assert_true(child >= 0);
    if (child == 0)
        (void)syscall(SYS_exit_group, hot_section_end(&section) == 1 ? 0 : 1);

    assert_int_equal(waitpid((pid_t)child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    (void)hot_section_end(&section);
    assert_int_equal(hot_sections_open(), 0);
}

/* ------------------------------------------------------------------------------------ lifetimes */

static size_t open_descriptors(void)
{
    size_t count = 0;
    for (int fd = 0; fd < 1024; ++fd)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static struct hot_section left_open = HOT_SECTION("left open", .counted = true);

static void *attach_and_leave_open(void *argument)
{
    (void)argument;
    hot_section_begin(&left_open);
    return NULL;
}

static void thread_that_exits_inside_a_section_leaves_nothing_behind(void **state)
{
    size_t descriptors = open_descriptors();
    struct hot_section_statistics before = HOT_SECTION_STATISTICS_INIT;
    struct hot_section_statistics after = HOT_SECTION_STATISTICS_INIT;
    (void)state;
    assert_int_equal(hot_section_stats(&left_open, &before), 0);

    for (int i = 0; i < 20; ++i) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, attach_and_leave_open, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }

    assert_int_equal(hot_section_stats(&left_open, &after), 0);
    assert_int_equal(after.entries - before.entries, 20);
    assert_int_equal(after.counts[HOT_MISUSE] - before.counts[HOT_MISUSE], 20);
    assert_int_equal(open_descriptors(), descriptors);
}

static void attach_and_detach_leak_nothing(void **state)
{
    size_t descriptors = open_descriptors();
    struct hot_thread_report report;
    (void)state;
    for (int i = 0; i < 50; ++i) {
        assert_int_equal(try_attach(HOT_SOURCE_AUTO, &report), 0);
        hot_thread_detach();
    }
    hot_thread_detach();
    assert_int_equal(open_descriptors(), descriptors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(automatic_choice_is_the_ring_and_says_so, detach),
        cmocka_unit_test_teardown(first_begin_attaches_by_itself, detach),
        cmocka_unit_test(guard_proves_itself_in_a_process_that_locks_all_mappings),
        cmocka_unit_test_teardown(attached_thread_tells_how_and_can_be_attached_so_again, detach),
        cmocka_unit_test_teardown(a_thread_attaches_while_the_guards_are_switched_off, detach),
        cmocka_unit_test_teardown(attach_refuses_a_second_time_and_bad_arguments, detach),
        cmocka_unit_test_teardown(clean_begin_and_end_make_no_system_call, detach),
        cmocka_unit_test_teardown(refused_ring_falls_back_to_rusage_and_says_why, detach),
        cmocka_unit_test_teardown(refused_ring_is_an_error_when_it_was_asked_for, detach),
        cmocka_unit_test_teardown(no_file_descriptor_left_is_named_as_the_cause, detach),
        cmocka_unit_test_teardown(ring_works_for_an_unprivileged_user, detach),
        cmocka_unit_test_teardown(guard_that_went_blind_is_found_out, detach),
        cmocka_unit_test_teardown(child_of_fork_starts_afresh_and_the_parent_goes_on, detach),
        cmocka_unit_test_teardown(section_open_at_fork_is_open_in_the_parent_only, detach),
        cmocka_unit_test_teardown(child_of_a_bare_clone_starts_afresh, detach),
        cmocka_unit_test_teardown(section_open_at_a_bare_clone_ends_in_the_child_as_misuse, detach),
        cmocka_unit_test_teardown(thread_that_exits_inside_a_section_leaves_nothing_behind, detach),
        cmocka_unit_test_teardown(attach_and_detach_leak_nothing, detach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
