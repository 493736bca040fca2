/* One page fault and its description; see describing.h. */
#include "hot/describing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "support/needs.h"

struct seen seen;

static void describe(const struct hot_violation *violation, void *context)
{
    (void)context;
    if (violation->address < seen.begin || violation->address >= seen.end || seen.count++ != 0)
        return;
    seen.violation = *violation;
    if (violation->arena != NULL)
        (void)snprintf(seen.arena, sizeof seen.arena, "%s", violation->arena);
    seen.description = (struct hot_description)HOT_DESCRIPTION_INIT;
    seen.rc = hot_violation_describe(violation, &seen.description);
}

struct hot_section section = HOT_SECTION("describe", .policy = HOT_CALLBACK, .hook = describe);

void expect_in(const void *begin, size_t size_bytes)
{
    memset(&seen, 0, sizeof seen);
    seen.begin = (uintptr_t)begin;
    seen.end = (uintptr_t)begin + size_bytes;
    seen.rc = -ENOENT;
}

int attach(void **state)
{
    struct hot_thread_report report = HOT_THREAD_REPORT_INIT;
    int error = hot_thread_attach(
        &HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING, .watch = HOT_WATCH_CALL_CHAINS), &report);
    (void)state;
    if (error != 0)
        print_message("no fault ring here: %s\n", strerror(-error));
    return 0;
}

int detach(void **state)
{
    (void)state;
    hot_thread_detach();
    return 0;
}

void need_ring(void)
{
    need("fault-ring", hot_source_active() == HOT_SOURCE_RING, "no fault ring here");
}

/* Sanitizers must not look at what is touched: their own memory would fault. */
ZF_UNINSTRUMENTED void write_to(volatile unsigned char *address)
{
    volatile unsigned char value = 1;
    *address = value;
}

ZF_UNINSTRUMENTED void read_from(const volatile unsigned char *address)
{
    volatile unsigned char value = *address;
    (void)value;
}

void write_in_section(unsigned char *address)
{
    expect_in(address, 1);
    hot_section_begin(&section);
    write_to(address);
    (void)hot_section_end(&section);
    assert_int_equal(seen.rc, 0);
}

void read_in_section(const unsigned char *address)
{
    expect_in(address, 1);
    hot_section_begin(&section);
    read_from(address);
    (void)hot_section_end(&section);
    assert_int_equal(seen.rc, 0);
}

void assert_is(enum hot_place place, enum hot_cause cause)
{
    assert_string_equal(hot_place_name(seen.description.place), hot_place_name(place));
    assert_string_equal(hot_cause_name(seen.description.cause), hot_cause_name(cause));
    assert_int_equal(seen.description.place, place);
    assert_int_equal(seen.description.cause, cause);
    assert_non_null(seen.description.cause_sentence);
}

void assert_access_is(enum hot_access access)
{
#if defined(__x86_64__)
    assert_string_equal(hot_access_name(seen.description.access), hot_access_name(access));
#else
    (void)access;
#endif
}

void assert_evidence(const char *part)
{
    for (size_t i = 0; i < seen.description.evidence_count; ++i)
        if (strstr(seen.description.evidence[i], part) != NULL)
            return;
    for (size_t i = 0; i < seen.description.evidence_count; ++i)
        print_message("evidence: %s\n", seen.description.evidence[i]);
    fail_msg("no evidence says \"%s\"", part);
}

unsigned char *map_pages(void)
{
    unsigned char *pages =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(madvise(pages, PAGES * PAGE, MADV_NOHUGEPAGE), 0);
    return pages;
}

void fork_once(void)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, &status, 0), child);
}
