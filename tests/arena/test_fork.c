/*
 * A fork shares the pages of an arena that children inherit: it is marked, in parent and child,
 * until it is warmed up again. Other arenas are not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/registry.h"
#include "arena/repairing.h"
#include "support/child.h"
#include "support/sanitizer.h"

/* A child that lives until it is ended, so that it shares the parent's pages. */
static pid_t start_child(void)
{
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    assert_true(child > 0);
    return child;
}

static void end_child(pid_t child)
{
    int status;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
}

static struct arena *create_for_fork(enum warmup_fork fork, bool huge)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    return create(&ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES, .fork = fork,
                                 .huge_pages = huge ? ARENA_PREFER : ARENA_OFF),
                  &report);
}

static void a_fork_marks_an_inherited_arena_until_it_is_warmed_up_again(void **state)
{
    (void)state;
    need_exact_faults();
    for (int huge = 0; huge < 2; ++huge) {
        struct warmup_report report = WARMUP_REPORT_INIT;
        struct arena *arena = create_for_fork(WARMUP_FORK_INHERIT, huge);
        pid_t child = start_child();
        assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
        assert_drift(&report, &report.populate);
        assert_int_equal(report.forks, 1);
        assert_int_equal(report.populate.granted_bytes, SIZE_BYTES); /* all is present, and yet */
        end_child(child);
        /* The child is gone, the pages are still write-protected. */
        assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
        assert_int_equal(report.forks, 1);
        assert_true(faults_of_writing((void *)arena->begin, SIZE_BYTES) >= (huge ? 1 : 2048));
        assert_repaired(arena);
        assert_content(arena, arena->begin);
        child = start_child();
        end_child(child);
        child = start_child();
        assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
        assert_int_equal(report.forks, 2);
        assert_repaired(arena);
        assert_int_equal(arena_verify(arena, NULL, &report), 0);
        assert_int_equal(report.forks, 0);
        end_child(child);
        arena_destroy(arena);
    }
}

static void the_exact_look_counts_the_pages_that_a_fork_has_shared(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena;
    pid_t child;
    (void)state;
    need_exact_faults();
    arena = create_for_fork(WARMUP_FORK_INHERIT, false);
    child = start_child();
    assert_int_equal(arena_verify(arena, &exact, &report), -EFAULT);
    assert_drift(&report, &report.populate);
    assert_true(report.proof_faults >= SIZE_BYTES / PAGE);
    assert_int_equal(report.proven, 0);
    assert_int_equal(report.forks, 1);
    assert_repaired(arena);
    assert_content(arena, arena->begin);
    end_child(child);
    arena_destroy(arena);
}

static void a_fork_does_not_mark_an_arena_that_children_do_not_share(void **state)
{
    static const enum warmup_fork kinds[] = {WARMUP_FORK_EXCLUDE, WARMUP_FORK_WIPE};
    (void)state;
    need_exact_faults();
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i) {
        struct warmup_report report = WARMUP_REPORT_INIT;
        struct arena *arena = create_for_fork(kinds[i], false);
        pid_t child = start_child();
        assert_int_equal(arena_verify(arena, NULL, &report), 0);
        assert_int_equal(report.forks, 0);
        assert_int_equal(faults_of_writing((void *)arena->begin, SIZE_BYTES), 0);
        assert_clean(arena);
        end_child(child);
        arena_destroy(arena);
    }
}

/* What a child finds of an arena. */
struct found {
    struct arena *arena;
    int verified, rewarmed, verified_again;
    uint64_t forks, forks_again;
    uint64_t faults;
    size_t damaged_pages;
    bool refuses;
    uintptr_t begin;
    bool is_listed;
};

static void repair_in_child(void *shared)
{
    struct found *found = shared;
    struct arena *arena = found->arena;
    struct warmup_report report = WARMUP_REPORT_INIT;
    found->verified = arena_verify(arena, NULL, &report);
    found->forks = report.forks;
    found->rewarmed = arena_rewarm(arena, NULL, NULL);
    found->verified_again = arena_verify(arena, NULL, &report);
    found->forks_again = report.forks;
    found->faults = faults_of_writing((void *)arena->begin, SIZE_BYTES);
    for (uintptr_t page = arena->begin; page < arena->end; page += PAGE)
        found->damaged_pages += *(volatile unsigned char *)page != (unsigned char)(page / PAGE);
}

static void a_child_repairs_what_it_has_inherited(void **state)
{
    struct found *found;
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena;
    (void)state;
    need_exact_faults();
    found = shared_create(sizeof *found);
    arena = create_for_fork(WARMUP_FORK_INHERIT, false);
    found->arena = arena;
    assert_int_equal(run_in_child(repair_in_child, found), 0);
    assert_int_equal(found->verified, -EFAULT);
    assert_int_equal(found->forks, 1);
    assert_int_equal(found->rewarmed, 0);
    assert_int_equal(found->verified_again, 0);
    assert_int_equal(found->forks_again, 0);
    assert_int_equal(found->faults, 0);
    assert_int_equal(found->damaged_pages, 0);
    /* What the child repaired is the child's. */
    assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
    assert_int_equal(report.forks, 1);
    assert_repaired(arena);
    shared_destroy(found, sizeof *found);
    arena_destroy(arena);
}

static void try_all_in_child(void *shared)
{
    struct found *found = shared;
    struct arena *arena = found->arena;
    struct arena_statistics statistics = ARENA_STATISTICS_INIT;
    struct zf_registry_match match;
    found->verified = arena_verify(arena, NULL, NULL);
    found->rewarmed = arena_rewarm(arena, NULL, NULL);
    found->refuses = arena_alloc(arena, 1, 1) == NULL && arena_move(arena, 0, NULL) == -EINVAL &&
                     arena_stats(arena, &statistics) == -EINVAL && *arena_name(arena) == '\0';
    found->is_listed = zf_registry_find(found->begin, &match);
    arena_destroy(arena);
}

static void a_child_that_does_not_have_the_arena_is_refused(void **state)
{
    static const enum warmup_fork kinds[] = {WARMUP_FORK_EXCLUDE, WARMUP_FORK_WIPE};
    struct found *found = shared_create(sizeof *found);
    struct zf_registry_match match;
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i) {
        struct arena *arena = create_for_fork(kinds[i], false);
        *found = (struct found){.arena = arena, .begin = arena->begin};
        assert_int_equal(run_in_child(try_all_in_child, found), 0);
        assert_int_equal(found->verified, -EINVAL);
        assert_int_equal(found->rewarmed, -EINVAL);
        assert_true(found->refuses);
        /* What the child has there now is not the arena. */
        assert_int_equal(found->is_listed, kinds[i] == WARMUP_FORK_WIPE);
        assert_true(zf_registry_find(arena->begin, &match));
        assert_content(arena, arena->begin);
        arena_destroy(arena);
    }
    shared_destroy(found, sizeof *found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fork_marks_an_inherited_arena_until_it_is_warmed_up_again),
        cmocka_unit_test(the_exact_look_counts_the_pages_that_a_fork_has_shared),
        cmocka_unit_test(a_fork_does_not_mark_an_arena_that_children_do_not_share),
        cmocka_unit_test(a_child_repairs_what_it_has_inherited),
        cmocka_unit_test(a_child_that_does_not_have_the_arena_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
