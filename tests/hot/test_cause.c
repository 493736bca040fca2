/*
 * The decision about the likely cause, on made-up evidence: what this machine cannot show is here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "hot/access.h"
#include "hot/evidence.h"

static struct hot_section section = HOT_SECTION("cause");
static struct hot_violation violation;
static struct zf_hot_evidence evidence;

/* A fault at 0x14000, in a warm arena from 0x10000 to 0x20000 with everything in order. */
static int in_a_warm_arena(void **state)
{
    (void)state;
    violation = (struct hot_violation){.struct_size = sizeof violation,
                                       .section = &section,
                                       .kind = HOT_FAULT,
                                       .source = HOT_SOURCE_RING,
                                       .address = 0x14000,
                                       .instruction = 0x500000};
    evidence = (struct zf_hot_evidence){
        .is_complete = true,
        .in_arena = true,
        .arena = {.begin = 0x10000,
                  .end = 0x20000,
                  .warmups = 1,
                  .warm_bytes = 0x10000,
                  .huge_bytes = 0x8000,
                  .used_known = true,
                  .used_bytes = 0x6000},
        .arena_known = true,
        .residency = {.present_bytes = 0x10000, .huge_bytes = 0x8000, .huge_known = true},
        .vmstat_change = {.known = true},
        .policy_known = true,
        .has_policy = true,
    };
    return 0;
}

/* A fault in the middle of ordinary memory of the process. */
static int in_plain_memory(void **state)
{
    (void)in_a_warm_arena(state);
    evidence.in_arena = false;
    evidence.has_policy = false;
    evidence.origin_known = true;
    evidence.where.kind = ZF_OS_WHERE_ANONYMOUS;
    evidence.where.writable = true;
    return 0;
}

static enum hot_cause cause(void)
{
    enum hot_place place = zf_hot_place(&violation, &evidence);
    enum hot_cause found = zf_hot_cause(&violation, place, &evidence);
    assert_non_null(zf_hot_cause_sentence(&violation, found));
    return found;
}

/* ------------------------------------------------------------------------------------ in arenas */

static void warm_page_with_an_alibi_for_all_else_was_taken_away(void **state)
{
    (void)state;
    assert_int_equal(cause(), HOT_CAUSE_DROPPED);
    evidence.vmstat_change.known = false;
    assert_int_equal(cause(), HOT_CAUSE_UNKNOWN);
    evidence.residency.present_bytes = 0x4000;
    assert_int_equal(cause(), HOT_CAUSE_DROPPED);
}

static void numa_hints_need_memory_without_a_policy(void **state)
{
    (void)state;
    evidence.vmstat_change.numa_hint_faults = 100;
    assert_int_equal(cause(), HOT_CAUSE_DROPPED);
    evidence.has_policy = false;
    assert_int_equal(cause(), HOT_CAUSE_NUMA_HINT);
    evidence.policy_known = false;
    assert_int_equal(cause(), HOT_CAUSE_DROPPED);
}

static void migration_is_named_when_nothing_nearer_is_found(void **state)
{
    (void)state;
    evidence.vmstat_change.pages_migrated = 512;
    assert_int_equal(cause(), HOT_CAUSE_MOVED);
    evidence.residency.huge_bytes = 0;
    assert_int_equal(cause(), HOT_CAUSE_MOVED);
    evidence.vmstat_change.huge_splits = 1;
    assert_int_equal(cause(), HOT_CAUSE_HUGE_SPLIT);
}

static void fork_matters_to_arenas_that_inherit_and_to_writes(void **state)
{
    (void)state;
    evidence.forks.made = 1;
    assert_int_equal(cause(), HOT_CAUSE_DROPPED);
    evidence.arena.fork = WARMUP_FORK_INHERIT;
    assert_int_equal(cause(), HOT_CAUSE_FORK);
    evidence.access = HOT_ACCESS_READ;
    assert_int_equal(cause(), HOT_CAUSE_DROPPED);
}

static void child_of_fork_finds_what_its_parent_warmed_cold(void **state)
{
    (void)state;
    evidence.forks.undergone = 1;
    evidence.arena.fork = WARMUP_FORK_WIPE;
    assert_int_equal(cause(), HOT_CAUSE_FORK);
    evidence.arena.fork = WARMUP_FORK_INHERIT;
    assert_int_equal(cause(), HOT_CAUSE_FORK);
}

static void state_of_the_allocation_is_the_place(void **state)
{
    (void)state;
    assert_int_equal(zf_hot_place(&violation, &evidence), HOT_PLACE_ARENA_LIVE);
    evidence.arena.used_bytes = 0x4000;
    assert_int_equal(zf_hot_place(&violation, &evidence), HOT_PLACE_ARENA_FREE);
    evidence.arena.used_known = false;
    assert_int_equal(zf_hot_place(&violation, &evidence), HOT_PLACE_ARENA);
    evidence.arena.warm_bytes = 0x4000;
    assert_int_equal(zf_hot_place(&violation, &evidence), HOT_PLACE_ARENA_BEYOND);
    assert_int_equal(cause(), HOT_CAUSE_BEYOND_WARM);
    evidence.arena.warm_bytes = 0;
    assert_int_equal(cause(), HOT_CAUSE_NOT_WARMED);
}

/* ------------------------------------------------------------------------------------ elsewhere */

static void memory_is_first_touched_unless_its_neighbour_shows_otherwise(void **state)
{
    (void)state;
    assert_int_equal(cause(), HOT_CAUSE_FIRST_TOUCH);
    evidence.forks.made = 1;
    assert_int_equal(cause(), HOT_CAUSE_FIRST_TOUCH);
    evidence.next_known = true;
    evidence.next.present = true;
    assert_int_equal(cause(), HOT_CAUSE_FORK);
    evidence.access = HOT_ACCESS_READ;
    assert_int_equal(cause(), HOT_CAUSE_FIRST_TOUCH);
    evidence.vmstat_change.numa_hint_faults = 7;
    assert_int_equal(cause(), HOT_CAUSE_NUMA_HINT);
    evidence.has_policy = true;
    assert_int_equal(cause(), HOT_CAUSE_FIRST_TOUCH);
}

static void write_after_a_read_or_beside_zeros_replaces_the_zero_page(void **state)
{
    (void)state;
    evidence.earlier.time_ns = 5;
    evidence.earlier.access = HOT_ACCESS_READ;
    assert_int_equal(cause(), HOT_CAUSE_ZERO_PAGE);
    evidence.earlier.time_ns = 0;
    assert_int_equal(cause(), HOT_CAUSE_FIRST_TOUCH);
    evidence.next_known = true;
    evidence.next.present = true;
    evidence.next.is_zero = true;
    assert_int_equal(cause(), HOT_CAUSE_ZERO_PAGE);
    evidence.access = HOT_ACCESS_READ;
    assert_int_equal(cause(), HOT_CAUSE_FIRST_TOUCH);
}

static void page_that_was_written_before_was_taken_away(void **state)
{
    (void)state;
    evidence.earlier.time_ns = 5;
    evidence.earlier.access = HOT_ACCESS_WRITE;
    assert_int_equal(cause(), HOT_CAUSE_DROPPED);
    evidence.next_known = true;
    evidence.next.present = true;
    evidence.next.is_zero = true;
    assert_int_equal(cause(), HOT_CAUSE_DROPPED);
    evidence.access = HOT_ACCESS_READ;
    assert_int_equal(cause(), HOT_CAUSE_DROPPED);
    evidence.earlier.access = HOT_ACCESS_UNKNOWN;
    assert_int_equal(cause(), HOT_CAUSE_FIRST_TOUCH);
}

static void stack_is_deeper_only_below_what_was_used_before(void **state)
{
    (void)state;
    evidence.origin.ranges.stack_begin = 0x10000;
    evidence.origin.ranges.stack_end = 0x20000;
    evidence.origin.stack_mark = 0x18000;
    assert_int_equal(zf_hot_place(&violation, &evidence), HOT_PLACE_STACK);
    assert_int_equal(cause(), HOT_CAUSE_STACK_DEPTH);
    evidence.earlier.time_ns = 5;
    assert_int_equal(cause(), HOT_CAUSE_UNKNOWN);
    violation.address = 0x1c000;
    evidence.earlier.time_ns = 0;
    assert_int_equal(cause(), HOT_CAUSE_UNKNOWN);
    evidence.forks.made = 1;
    assert_int_equal(cause(), HOT_CAUSE_FORK);
}

static void pages_of_files_are_told_by_part_and_access(void **state)
{
    static const struct {
        enum zf_os_part part;
        bool writable;
        bool shared;
        enum hot_access access;
        enum hot_place place;
        enum hot_cause cause;
    } cases[] = {
        {ZF_OS_PART_CODE, false, false, HOT_ACCESS_EXECUTE, HOT_PLACE_CODE, HOT_CAUSE_CODE},
        {ZF_OS_PART_CONSTANTS, false, false, HOT_ACCESS_READ, HOT_PLACE_CONSTANTS,
         HOT_CAUSE_FILE_PAGE},
        {ZF_OS_PART_LINKAGE, true, false, HOT_ACCESS_WRITE, HOT_PLACE_LINKAGE, HOT_CAUSE_DATA_COPY},
        {ZF_OS_PART_LINKAGE, true, false, HOT_ACCESS_READ, HOT_PLACE_LINKAGE, HOT_CAUSE_FILE_PAGE},
        {ZF_OS_PART_DATA, true, false, HOT_ACCESS_UNKNOWN, HOT_PLACE_DATA, HOT_CAUSE_DATA_COPY},
        {ZF_OS_PART_NONE, true, true, HOT_ACCESS_WRITE, HOT_PLACE_FILE, HOT_CAUSE_FILE_PAGE},
    };
    (void)state;
    evidence.where.kind = ZF_OS_WHERE_FILE;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        evidence.where.part = cases[i].part;
        evidence.where.writable = cases[i].writable;
        evidence.where.shared = cases[i].shared;
        evidence.access = cases[i].access;
        assert_int_equal(zf_hot_place(&violation, &evidence), cases[i].place);
        assert_int_equal(cause(), cases[i].cause);
    }
    evidence.where.kind = ZF_OS_WHERE_SYSTEM;
    evidence.where.part = ZF_OS_PART_NONE;
    assert_int_equal(cause(), HOT_CAUSE_SYSTEM_PAGE);
}

static void what_is_not_known_is_unknown(void **state)
{
    (void)state;
    evidence.where_error = -ENODATA;
    assert_int_equal(zf_hot_place(&violation, &evidence), HOT_PLACE_UNMAPPED);
    assert_int_equal(cause(), HOT_CAUSE_UNKNOWN);
    evidence.where_error = -EOPNOTSUPP;
    assert_int_equal(zf_hot_place(&violation, &evidence), HOT_PLACE_UNKNOWN);
    assert_int_equal(cause(), HOT_CAUSE_UNKNOWN);
    violation.address = 0;
    assert_int_equal(cause(), HOT_CAUSE_UNKNOWN);
    violation.kind = HOT_KERNEL_FAULT;
    assert_int_equal(cause(), HOT_CAUSE_KERNEL);
}

static void every_kind_and_cause_has_words(void **state)
{
    (void)state;
    for (int kind = 0; kind < HOT_KIND_COUNT; ++kind) {
        violation.kind = (enum hot_kind)kind;
        assert_int_equal(cause() == HOT_CAUSE_NONE, !zf_hot_is_fault(violation.kind));
    }
    for (int value = 0; value < HOT_CAUSE_COUNT; ++value) {
        assert_string_not_equal(hot_cause_name((enum hot_cause)value), "");
        if (value > HOT_CAUSE_NONE)
            assert_non_null(zf_hot_cause_remedy(&violation, (enum hot_cause)value));
    }
    assert_string_equal(hot_cause_name(HOT_CAUSE_COUNT), "unknown");
    assert_string_equal(hot_place_name((enum hot_place)99), "unknown");
    assert_string_equal(hot_place_name(HOT_PLACE_SYSTEM), "kernel page");
    assert_string_equal(hot_access_name(HOT_ACCESS_EXECUTE), "execute");
}

/* ------------------------------------------------------------------------------------- accesses */

#if defined(__x86_64__)
static void common_instructions_are_reads_or_writes(void **state)
{
    static const struct {
        enum hot_access access;
        unsigned char code[16];
    } cases[] = {
        {HOT_ACCESS_WRITE, {0xc6, 0x07, 0x01}},                   /* movb $1,(%rdi) */
        {HOT_ACCESS_WRITE, {0x48, 0x89, 0x07}},                   /* mov %rax,(%rdi) */
        {HOT_ACCESS_WRITE, {0x66, 0x89, 0x07}},                   /* mov %ax,(%rdi) */
        {HOT_ACCESS_WRITE, {0xf3, 0xaa}},                         /* rep stos */
        {HOT_ACCESS_WRITE, {0x48, 0x83, 0x07, 0x01}},             /* addq $1,(%rdi) */
        {HOT_ACCESS_WRITE, {0xf0, 0x48, 0x0f, 0xc1, 0x07}},       /* lock xadd */
        {HOT_ACCESS_WRITE, {0xf0, 0x48, 0x0f, 0xb1, 0x17}},       /* lock cmpxchg */
        {HOT_ACCESS_WRITE, {0xff, 0x07}},                         /* incl (%rdi) */
        {HOT_ACCESS_WRITE, {0x0f, 0x11, 0x07}},                   /* movups %xmm0,(%rdi) */
        {HOT_ACCESS_WRITE, {0xc5, 0xfe, 0x7f, 0x07}},             /* vmovdqu %ymm0,(%rdi) */
        {HOT_ACCESS_WRITE, {0xc4, 0xc1, 0x7e, 0x7f, 0x00}},       /* vmovdqu %ymm0,(%r8) */
        {HOT_ACCESS_WRITE, {0x62, 0xf1, 0xfe, 0x48, 0x7f, 0x07}}, /* vmovdqu64 %zmm0 */
        {HOT_ACCESS_WRITE, {0x01, 0x07}},                         /* add %eax,(%rdi) */
        {HOT_ACCESS_WRITE, {0x55}},                               /* push %rbp */
        {HOT_ACCESS_WRITE, {0xe8, 0, 0, 0, 0}},                   /* call */
        {HOT_ACCESS_READ, {0x48, 0x8b, 0x07}},                    /* mov (%rdi),%rax */
        {HOT_ACCESS_READ, {0x0f, 0xb6, 0x07}},                    /* movzbl (%rdi),%eax */
        {HOT_ACCESS_READ, {0x48, 0x63, 0x07}},                    /* movslq (%rdi),%rax */
        {HOT_ACCESS_READ, {0x39, 0x07}},                          /* cmp %eax,(%rdi) */
        {HOT_ACCESS_READ, {0x80, 0x3f, 0x00}},                    /* cmpb $0,(%rdi) */
        {HOT_ACCESS_READ, {0xf6, 0x07, 0x01}},                    /* testb $1,(%rdi) */
        {HOT_ACCESS_READ, {0x03, 0x07}},                          /* add (%rdi),%eax */
        {HOT_ACCESS_READ, {0xf3, 0x0f, 0x6f, 0x07}},              /* movdqu (%rdi),%xmm0 */
        {HOT_ACCESS_READ, {0xf3, 0x0f, 0x7e, 0x07}},              /* movq (%rdi),%xmm0 */
        {HOT_ACCESS_READ, {0xf2, 0x0f, 0x58, 0x07}},              /* addsd (%rdi),%xmm0 */
        {HOT_ACCESS_READ, {0xc5, 0xfc, 0x10, 0x07}},              /* vmovups (%rdi),%ymm0 */
        {HOT_ACCESS_READ, {0xff, 0x27}},                          /* jmp *(%rdi) */
        {HOT_ACCESS_UNKNOWN, {0xf3, 0xa4}},                       /* rep movsb: both */
        {HOT_ACCESS_UNKNOWN, {0xff, 0x37}},                       /* push (%rdi): both */
        {HOT_ACCESS_UNKNOWN, {0xc4, 0xe2, 0x7d, 0x18, 0x07}},     /* another map */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
        assert_int_equal(zf_hot_access(cases[i].code), cases[i].access);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(warm_page_with_an_alibi_for_all_else_was_taken_away,
                               in_a_warm_arena),
        cmocka_unit_test_setup(numa_hints_need_memory_without_a_policy, in_a_warm_arena),
        cmocka_unit_test_setup(migration_is_named_when_nothing_nearer_is_found, in_a_warm_arena),
        cmocka_unit_test_setup(fork_matters_to_arenas_that_inherit_and_to_writes, in_a_warm_arena),
        cmocka_unit_test_setup(child_of_fork_finds_what_its_parent_warmed_cold, in_a_warm_arena),
        cmocka_unit_test_setup(state_of_the_allocation_is_the_place, in_a_warm_arena),
        cmocka_unit_test_setup(memory_is_first_touched_unless_its_neighbour_shows_otherwise,
                               in_plain_memory),
        cmocka_unit_test_setup(write_after_a_read_or_beside_zeros_replaces_the_zero_page,
                               in_plain_memory),
        cmocka_unit_test_setup(page_that_was_written_before_was_taken_away, in_plain_memory),
        cmocka_unit_test_setup(stack_is_deeper_only_below_what_was_used_before, in_plain_memory),
        cmocka_unit_test_setup(pages_of_files_are_told_by_part_and_access, in_plain_memory),
        cmocka_unit_test_setup(what_is_not_known_is_unknown, in_plain_memory),
        cmocka_unit_test_setup(every_kind_and_cause_has_words, in_plain_memory),
#if defined(__x86_64__)
        cmocka_unit_test(common_instructions_are_reads_or_writes),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
