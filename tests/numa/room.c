/*
 * What there is no room for in a control group is refused, by whatever call it is asked for, and
 * ends nobody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "numa/numa.h"
#include "support/child.h"
#include "support/pages.h"

#define GROUP "/sys/fs/cgroup/room"

/* What a process in a group lives to tell. */
struct told {
    bool entered;
    int warmed;
    struct warmup_report report;
    int verified, verified_exactly, rewarmed;
    struct warmup_report of_rewarm;
    int process;
    struct process_report of_process;
};

static bool enter_group(void)
{
    char process[32];
    (void)snprintf(process, sizeof process, "%d", (int)getpid());
    return write_file(GROUP "/cgroup.procs", process);
}

static struct told *run_in_group(void (*body)(void *), const char *file, const char *limit)
{
    struct told *told = shared_create(sizeof *told);
    uint64_t kills_before = oom_kills();
    (void)mkdir(GROUP, 0755);
    assert_true(write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset +memory"));
    assert_true(write_file(file, limit));
    assert_int_equal(run_in_child(body, told), 0);
    assert_true(told->entered);
    assert_int_equal(oom_kills(), kills_before);
    assert_int_equal(rmdir(GROUP), 0);
    return told;
}

static struct arena *create(size_t capacity_bytes, enum warmup_fork fork)
{
    struct arena *arena;
    if (arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = capacity_bytes, .fork = fork,
                                            .lock = ARENA_OFF)) != 0)
        abort();
    return arena;
}

/* ---------------------------------------------------------------------------------------- nodes */

static void ask_for_more_than_the_nodes_have(void *shared)
{
    struct told *told = shared;
    struct arena *arena;
    told->report = (struct warmup_report)WARMUP_REPORT_INIT;
    told->entered = enter_group();
    arena = create(128 * MIB, WARMUP_FORK_EXCLUDE);
    told->warmed = arena_warmup(arena, NULL, &told->report);
}

static void nodes_that_a_cpuset_leaves_are_all_there_is(void **state)
{
    struct told *told =
        run_in_group(ask_for_more_than_the_nodes_have, GROUP "/cpuset.mems", "5"); /* the small */
    (void)state;
    assert_int_equal(told->warmed, -ENOMEM);
    assert_int_equal(told->report.limit, WARMUP_LIMIT_NODE);
    assert_true(told->report.limit_needed_bytes >= 128 * MIB);
    assert_true(told->report.limit_free_bytes < 128 * MIB);
    assert_int_equal(told->report.populate.granted_bytes, 0);
    shared_destroy(told, sizeof *told);
}

/* ---------------------------------------------------------------------------------------- looks */

static void look_at_what_was_refused(void *shared)
{
    struct told *told = shared;
    struct arena *arena;
    told->report = (struct warmup_report)WARMUP_REPORT_INIT;
    told->entered = enter_group();
    arena = create(128 * MIB, WARMUP_FORK_EXCLUDE);
    told->warmed = arena_warmup(arena, NULL, NULL);
    told->verified = arena_verify(arena, NULL, NULL);
    told->verified_exactly =
        arena_verify(arena, &ARENA_VERIFY_OPTIONS(.mode = ARENA_VERIFY_EXACT), &told->report);
}

static void a_look_takes_no_memory_that_is_not_there(void **state)
{
    struct told *told = run_in_group(look_at_what_was_refused, GROUP "/memory.max", "67108864");
    (void)state;
    assert_int_equal(told->warmed, -ENOMEM);
    assert_int_equal(told->verified, -EFAULT);
    assert_int_equal(told->verified_exactly, -EFAULT);
    assert_int_equal(told->report.limit, WARMUP_LIMIT_CGROUP);
    assert_int_equal(told->report.proven, 0);
    assert_non_null(told->report.populate.remedy);
    shared_destroy(told, sizeof *told);
}

/* ---------------------------------------------------------------------------------------- forks */

static pid_t start_child(void)
{
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    return child;
}

static void look_at_what_a_child_shares(void *shared)
{
    struct told *told = shared;
    struct arena *arena;
    pid_t child;
    told->report = told->of_rewarm = (struct warmup_report)WARMUP_REPORT_INIT;
    told->entered = enter_group();
    arena = create(64 * MIB, WARMUP_FORK_INHERIT);
    told->warmed = arena_warmup(arena, NULL, NULL);
    child = start_child();
    told->verified_exactly =
        arena_verify(arena, &ARENA_VERIFY_OPTIONS(.mode = ARENA_VERIFY_EXACT), &told->report);
    told->rewarmed = arena_rewarm(arena, NULL, &told->of_rewarm);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    /* Nobody shares them any more, so that no page has to be copied. */
    told->verified = arena_rewarm(arena, NULL, NULL);
}

static void pages_that_a_child_shares_are_copied_where_there_is_room(void **state)
{
    struct told *told = run_in_group(look_at_what_a_child_shares, GROUP "/memory.max", "100663296");
    (void)state;
    assert_int_equal(told->warmed, 0);
    assert_int_equal(told->verified_exactly, -EFAULT);
    assert_int_equal(told->report.limit, WARMUP_LIMIT_CGROUP);
    assert_int_equal(told->rewarmed, -ENOMEM);
    assert_int_equal(told->of_rewarm.limit, WARMUP_LIMIT_CGROUP);
    assert_int_equal(told->verified, 0);
    shared_destroy(told, sizeof *told);
}

/* ---------------------------------------------------------------------------------- static data */

static unsigned char table[128 << 20];

static void warm_the_process(void *shared)
{
    struct told *told = shared;
    told->of_process = (struct process_report)PROCESS_REPORT_INIT;
    told->entered = enter_group();
    told->process = process_warmup(NULL, &told->of_process);
    *(volatile unsigned char *)table = 1;
}

static void static_data_that_does_not_fit_is_refused(void **state)
{
    struct told *told = run_in_group(warm_the_process, GROUP "/memory.max", "67108864");
    (void)state;
    assert_int_equal(told->process, -ENOMEM);
    assert_int_equal(told->of_process.data.error, -ENOMEM);
    assert_true(told->of_process.data.asked_bytes >= sizeof table);
    assert_non_null(told->of_process.data.remedy);
    shared_destroy(told, sizeof *told);
}

int test_room(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_that_a_cpuset_leaves_are_all_there_is),
        cmocka_unit_test(a_look_takes_no_memory_that_is_not_there),
        cmocka_unit_test(pages_that_a_child_shares_are_copied_where_there_is_room),
        cmocka_unit_test(static_data_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
