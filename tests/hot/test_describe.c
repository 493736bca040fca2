/*
 * Page faults in arenas and in the kernel, those that nothing can be said about, and the names of
 * callers: each provoked for real and described in the hook.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "arena/registry.h"
#include "base/sanitize.h"
#include "hot/describing.h"
#include "os/os.h"
#include "support/needs.h"
#include "support/sanitizer.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

/* --------------------------------------------------------------------------------------- arenas */

static struct arena *create_arena(enum warmup_fork fork_wish, unsigned char **pages)
{
    struct arena *arena;
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.name = "orders", .capacity_bytes = PAGES * PAGE,
                                            .fork = fork_wish)),
        0);
    *pages = arena_alloc(arena, 4 * PAGE, PAGE);
    assert_non_null(*pages);
    return arena;
}

static struct arena *create_warm_arena(enum warmup_fork fork_wish, unsigned char **pages)
{
    struct arena *arena = create_arena(fork_wish, pages);
    assert_int_equal(arena_warmup(arena, NULL, NULL), 0);
    return arena;
}

static void cold_arena_was_never_warmed(void **state)
{
    unsigned char *pages;
    struct arena *arena = create_arena(WARMUP_FORK_EXCLUDE, &pages);
    (void)state;
    need_ring();
    write_in_section(pages + PAGE + 3);
    assert_is(HOT_PLACE_ARENA_LIVE, HOT_CAUSE_NOT_WARMED);
    assert_access_is(HOT_ACCESS_WRITE);
    assert_evidence("never warmed");
    assert_string_equal(seen.arena, "orders");
    assert_int_equal(seen.violation.arena_offset_bytes, PAGE + 3);
    assert_non_null(strstr(seen.description.remedy, "arena_warmup"));
    write_in_section(pages + 5 * PAGE);
    assert_is(HOT_PLACE_ARENA_FREE, HOT_CAUSE_NOT_WARMED);
    assert_evidence("16384 of its bytes were handed out");
    arena_destroy(arena);
}

static int stop_at_once(const struct warmup_progress *progress, void *context)
{
    (void)progress;
    (void)context;
    return 1;
}

static void failed_warmup_is_told(void **state)
{
    unsigned char *pages;
    struct arena *arena = create_arena(WARMUP_FORK_EXCLUDE, &pages);
    (void)state;
    need_ring();
    assert_int_equal(arena_warmup(arena, &WARMUP_OPTIONS(.progress = stop_at_once), NULL),
                     -ECANCELED);
    assert_int_equal(madvise(pages, PAGES * PAGE, MADV_DONTNEED), 0);
    write_in_section(pages);
    assert_is(HOT_PLACE_ARENA_LIVE, HOT_CAUSE_NOT_WARMED);
    assert_evidence("failed");
    arena_destroy(arena);
}

static void page_behind_the_warm_bytes_is_beyond(void **state)
{
    unsigned char *pages = map_pages();
    struct zf_registry_facts facts = {.warmups = 1, .warm_bytes = 4 * PAGE};
    struct zf_registry_entry *entry =
        zf_registry_add((uintptr_t)pages, (uintptr_t)pages + PAGES * PAGE, "grown");
    (void)state;
    need_ring();
    facts.forks = zf_os_forks();
    zf_registry_tell(entry, &facts);
    write_in_section(pages + 4 * PAGE);
    assert_is(HOT_PLACE_ARENA_BEYOND, HOT_CAUSE_BEYOND_WARM);
    assert_evidence("16384 of the arena's 65536 bytes were proven warm");
    zf_registry_remove(entry);
    (void)munmap(pages, PAGES * PAGE);
}

static void inherited_arena_is_copied_on_write_after_fork(void **state)
{
    unsigned char *pages;
    struct arena *arena = create_warm_arena(WARMUP_FORK_INHERIT, &pages);
    (void)state;
    need_ring();
    fork_once();
    write_in_section(pages + 2 * PAGE);
    assert_is(HOT_PLACE_ARENA_LIVE, HOT_CAUSE_FORK);
    assert_evidence("forked since the arena was warmed");

    /* After another warmup that fork is of the past. */
    assert_int_equal(arena_warmup(arena, NULL, NULL), 0);
    assert_int_equal(madvise(pages, PAGES * PAGE, MADV_DONTNEED_LOCKED), 0);
    write_in_section(pages + 2 * PAGE);
    assert_is(HOT_PLACE_ARENA_LIVE, HOT_CAUSE_DROPPED);
    arena_destroy(arena);
}

static void arena_in_huge_pages_is_copied_on_write_after_fork_too(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena;
    unsigned char *pages;
    (void)state;
    need_ring();
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = 2u << 20, .huge_pages = WARMUP_PREFER,
                                            .fork = WARMUP_FORK_INHERIT)),
        0);
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    need("huge-pages", report.huge_pages.granted_bytes == 2u << 20, "no huge page to be had");
    pages = arena_alloc(arena, PAGE, PAGE);
    fork_once();
    write_in_section(pages);
    assert_is(HOT_PLACE_ARENA_LIVE, HOT_CAUSE_FORK);
    arena_destroy(arena);
}

static void pages_dropped_behind_the_arena_are_missed(void **state)
{
    unsigned char *pages;
    struct arena *arena = create_warm_arena(WARMUP_FORK_EXCLUDE, &pages);
    (void)state;
    need_ring();
    assert_int_equal(madvise(pages, PAGES * PAGE, MADV_DONTNEED_LOCKED), 0);
    read_in_section(pages + 3 * PAGE);
    assert_is(HOT_PLACE_ARENA_LIVE, HOT_CAUSE_DROPPED);
    assert_access_is(HOT_ACCESS_READ);
    assert_evidence("are not resident now");
    assert_evidence("shared page of zeros");
    arena_destroy(arena);
}

/* In a child: 0, or the step that failed. */
static int find_wiped_arena(struct arena *arena, unsigned char *pages)
{
    (void)arena;
    if (hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING), NULL) != 0)
        return 1;
    expect_in(pages, PAGE);
    hot_section_begin(&section);
    write_to(pages);
    (void)hot_section_end(&section);
    if (seen.rc != 0)
        return 2;
    if (seen.description.cause != HOT_CAUSE_FORK)
        return 3;
    return seen.description.place == HOT_PLACE_ARENA ? 0 : 4;
}

static void child_finds_a_wiped_arena_cold_because_of_the_fork(void **state)
{
    unsigned char *pages;
    struct arena *arena = create_warm_arena(WARMUP_FORK_WIPE, &pages);
    int status;
    pid_t child;
    (void)state;
    need_ring();
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(find_wiped_arena(arena, pages));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    arena_destroy(arena);
}

/* --------------------------------------------------------------------------------------- kernel */

static void fault_in_a_system_call_is_the_kernels_with_no_address(void **state)
{
    unsigned char *pages = map_pages();
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    (void)state;
    need_ring();
    need_exact_faults();
    hot_thread_detach();
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_BOTH), NULL), 0);
    expect_in(NULL, 1);
    hot_section_begin(&section);
    assert_int_equal(read(zero, pages, PAGE), PAGE);
    (void)hot_section_end(&section);
    assert_int_equal(seen.rc, 0);
    assert_int_equal(seen.violation.kind, HOT_KERNEL_FAULT);
    assert_is(HOT_PLACE_UNKNOWN, HOT_CAUSE_KERNEL);
    assert_evidence("address is not known");
    (void)close(zero);
    (void)munmap(pages, PAGES * PAGE);
}

/* -------------------------------------------------------------------------------------- unknown */

static void fault_that_was_only_counted_is_unknown(void **state)
{
    unsigned char *pages = map_pages();
    (void)state;
    hot_thread_detach();
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RUSAGE), NULL), 0);
    expect_in(NULL, 1);
    hot_section_begin(&section);
    write_to(pages);
    (void)hot_section_end(&section);
    assert_int_equal(seen.rc, 0);
    assert_is(HOT_PLACE_UNKNOWN, HOT_CAUSE_UNKNOWN);
    assert_evidence("rusage counts only");
    assert_null(seen.description.remedy);
    (void)munmap(pages, PAGES * PAGE);
}

static void memory_that_is_gone_when_asked_is_unknown(void **state)
{
    unsigned char *pages = map_pages();
    (void)state;
    need_ring();
    write_in_section(pages);
    (void)munmap(pages, PAGES * PAGE);
    seen.violation.frame_count = 0; /* they were valid in the hook only */
    assert_int_equal(hot_violation_describe(&seen.violation, &seen.description), 0);
    assert_is(HOT_PLACE_UNMAPPED, HOT_CAUSE_UNKNOWN);
    assert_evidence("nothing is mapped");
}

/* ------------------------------------------------------------------------------------- the call */

/* A frame for each, and no instrumentation whose own functions would be in between. */
#define KNOWN __attribute__((noinline)) ZF_UNINSTRUMENTED static void

enum { FIRST_LINE = __LINE__ };

KNOWN touch(volatile unsigned char *address)
{
    volatile unsigned char value = 2;
    *address = value;
}

KNOWN inner(volatile unsigned char *address)
{
    touch(address);
    __asm__ volatile("" ::: "memory");
}

KNOWN middle(volatile unsigned char *address)
{
    inner(address);
    __asm__ volatile("" ::: "memory");
}

KNOWN outer(volatile unsigned char *address)
{
    middle(address);
    __asm__ volatile("" ::: "memory");
}

static void stack_is_told_by_function_file_and_line(void **state)
{
    static const char *const callers[] = {"inner", "middle", "outer"};
    unsigned char *pages = map_pages();
    const struct hot_symbol *by = &seen.description.instruction;
    (void)state;
    need_ring();
    expect_in(pages, PAGE);
    hot_section_begin(&section);
    outer(pages);
    (void)hot_section_end(&section);
    assert_int_equal(seen.rc, 0);
    assert_non_null(strstr(by->object, "test_hot_describe"));
    assert_true(by->object_offset != 0);
    need("libdw", by->line != 0, "built without libdw");
    assert_string_equal(by->function, "touch");
    assert_non_null(strstr(by->file, "test_describe.c"));
    assert_in_range(by->line, FIRST_LINE, FIRST_LINE + 30);
    assert_true(seen.description.frame_count >= 3);
    for (size_t i = 0; i < 3; ++i) {
        assert_string_equal(seen.description.frames[i].function, callers[i]);
        assert_non_null(strstr(seen.description.frames[i].file, "test_describe.c"));
        assert_true(seen.description.frames[i].line > (i == 0 ? by->line : 0));
    }
    (void)munmap(pages, PAGES * PAGE);
}

/* What a function does to the register of the frame pointer that uses it for something else. */
__attribute__((noinline)) static void write_without_frame_pointer(unsigned char *address)
{
#if defined(__x86_64__)
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpush %%rbp\n\tlea %1, %%rbp\n\tmovb $1, (%0)\n\t"
                     "pop %%rbp\n\tlea 128(%%rsp), %%rsp"
                     :
                     : "r"(address), "m"(seen.begin)
                     : "memory");
#else
    (void)address;
    need("x86-64", false, "sets the frame pointer by hand");
#endif
}

static void chain_ends_where_frame_pointers_do(void **state)
{
    unsigned char *pages = map_pages();
    static struct hot_section reported =
        HOT_SECTION("reported", .policy = HOT_CALLBACK, .hook = hot_report_add);
    struct hot_report *report;
    char text[16384] = "";
    FILE *stream = fmemopen(text, sizeof text, "w");
    (void)state;
    assert_non_null(stream);
    need_ring();
    expect_in(pages, PAGE);
    hot_section_begin(&section);
    write_without_frame_pointer(pages);
    (void)hot_section_end(&section);
    assert_int_equal(seen.rc, 0);
    assert_true(seen.violation.frame_count > 0); /* "callers" that lie in data */
    assert_true(seen.description.chain_broken);
    assert_int_equal(seen.description.frame_count, 0);

    assert_int_equal(hot_report_create(&report, NULL), 0);
    reported.hook_context = report;
    hot_section_begin(&reported);
    write_without_frame_pointer(pages + PAGE);
    (void)hot_section_end(&reported);
    assert_int_equal(hot_report_print(report, stream), 0);
    (void)fclose(stream);
    assert_non_null(strstr(text, "its callers are unknown: code without frame pointers"));
    hot_report_destroy(report);
    (void)munmap(pages, PAGES * PAGE);
}

static void describing_is_not_seen_by_the_section_around(void **state)
{
    static struct hot_section around = HOT_SECTION("around");
    unsigned char *pages = map_pages();
    (void)state;
    need_ring();
    need_exact_faults();
    write_in_section(pages);
    write_in_section(pages + PAGE); /* what describing itself needs has been there once */
    hot_section_begin(&around);
    (void)hot_section_end(&around);
    hot_section_begin(&around);
    assert_int_equal(hot_violation_describe(&seen.violation, &seen.description), 0);
    assert_int_equal(hot_section_end(&around), 0);
    (void)munmap(pages, PAGES * PAGE);
}

static void what_is_no_fault_is_described_by_its_kind(void **state)
{
    struct arena *arena;
    unsigned char *pages;
    (void)state;
    arena = create_warm_arena(WARMUP_FORK_EXCLUDE, &pages);
    expect_in(NULL, 1);
    hot_section_begin(&section);
    assert_null(arena_alloc(arena, PAGES * PAGE, 1));
    (void)hot_section_end(&section);
    assert_int_equal(seen.rc, 0);
    assert_int_equal(seen.violation.kind, HOT_REFUSED);
    assert_is(HOT_PLACE_UNKNOWN, HOT_CAUSE_NONE);
    assert_non_null(strstr(seen.description.cause_sentence, "no room"));
    assert_int_equal(seen.description.evidence_count, 0);
    arena_destroy(arena);
}

static void describe_refuses_bad_arguments_and_signal_handlers(void **state)
{
    struct hot_description description = HOT_DESCRIPTION_INIT;
    struct hot_violation violation = {.struct_size = sizeof violation, .kind = HOT_FAULT};
    (void)state;
    assert_int_equal(hot_violation_describe(NULL, &description), -EINVAL);
    assert_int_equal(hot_violation_describe(&violation, &description), -EINVAL);
    violation.section = &section;
    assert_int_equal(hot_violation_describe(&violation, NULL), -EINVAL);
    description.struct_size = 0;
    assert_int_equal(hot_violation_describe(&violation, &description), -EINVAL);
    description.struct_size = sizeof description;
    violation.trapped = true;
    assert_int_equal(hot_violation_describe(&violation, &description), -EBUSY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, attach, detach)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cold_arena_was_never_warmed),
        TEST(failed_warmup_is_told),
        TEST(page_behind_the_warm_bytes_is_beyond),
        TEST(inherited_arena_is_copied_on_write_after_fork),
        TEST(arena_in_huge_pages_is_copied_on_write_after_fork_too),
        TEST(pages_dropped_behind_the_arena_are_missed),
        TEST(child_finds_a_wiped_arena_cold_because_of_the_fork),
        TEST(fault_in_a_system_call_is_the_kernels_with_no_address),
        TEST(fault_that_was_only_counted_is_unknown),
        TEST(memory_that_is_gone_when_asked_is_unknown),
        TEST(stack_is_told_by_function_file_and_line),
        TEST(chain_ends_where_frame_pointers_do),
        TEST(describing_is_not_seen_by_the_section_around),
        TEST(what_is_no_fault_is_described_by_its_kind),
        TEST(describe_refuses_bad_arguments_and_signal_handlers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
