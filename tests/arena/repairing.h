/*
 * What the tests of drift and repair share: warm arenas with content in every page.
 */
#ifndef ZF_TESTS_ARENA_REPAIRING_H
#define ZF_TESTS_ARENA_REPAIRING_H

#include <errno.h>

#include <zerofault/arena.h>

#include "support/pages.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define SIZE_BYTES (8 * MIB)

static const struct arena_verify_options exact = {.struct_size = sizeof exact,
                                                  .mode = ARENA_VERIFY_EXACT};

/* A warm arena with content in every page. */
static inline struct arena *create(const struct arena_options *options,
                                   struct warmup_report *report)
{
    struct arena *arena;
    assert_int_equal(arena_create(&arena, options), 0);
    assert_int_equal(arena_warmup(arena, NULL, report), 0);
    assert_int_equal(report->proven, 1);
    for (uintptr_t page = arena->begin; page < arena->end; page += PAGE)
        *(volatile unsigned char *)page = (unsigned char)(page / PAGE);
    return arena;
}

static inline void assert_content(const struct arena *arena, uintptr_t from)
{
    for (uintptr_t page = from; page < arena->end; page += PAGE)
        if (*(volatile unsigned char *)page != (unsigned char)(page / PAGE))
            fail_msg("page %zu lost its content", (size_t)((page - arena->begin) / PAGE));
}

static inline void assert_clean(struct arena *arena)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    int rc = arena_verify(arena, NULL, &report);
    assert_int_equal(report.populate.error, 0);
    assert_int_equal(rc, 0);
    rc = arena_verify(arena, &exact, &report);
    assert_int_equal(report.proof_faults, 0);
    assert_int_equal(rc, 0);
    assert_int_equal(report.proven, 1);
    assert_string_equal(report.name, arena_name(arena));
}

static inline void assert_drift(const struct warmup_report *report, const struct warmup_item *item)
{
    assert_int_equal(report->result, -EFAULT);
    assert_int_equal(item->error, -EFAULT);
    assert_non_null(item->remedy);
}

/* Repair, and be warm again as on the first day. */
static inline void assert_repaired(struct arena *arena)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    assert_int_equal(arena_rewarm(arena, NULL, &report), 0);
    assert_int_equal(report.proven, 1);
    assert_clean(arena);
    assert_int_equal(faults_of_writing((void *)arena->begin, arena->end - arena->begin), 0);
}

#endif
