/*
 * Reports: violations gathered by site, from any number of threads, suppressed by rules, and
 * printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "hot/describing.h"
#include "support/needs.h"
#include "support/sanitizer.h"

static struct hot_report *report;
static struct hot_section reported =
    HOT_SECTION("tick", .policy = HOT_CALLBACK, .hook = hot_report_add);

static int attach_with_report(void **state)
{
    if (hot_report_create(&report, NULL) != 0)
        return -1;
    reported.hook_context = report;
    return attach(state);
}

static int detach_with_report(void **state)
{
    hot_report_destroy(report);
    report = NULL;
    return detach(state);
}

static struct hot_report_totals totals_now(void)
{
    struct hot_report_totals totals = HOT_REPORT_TOTALS_INIT;
    assert_int_equal(hot_report_sum(report, &totals), 0);
    return totals;
}

static struct hot_site site_number(size_t number)
{
    struct hot_site site = HOT_SITE_INIT;
    assert_int_equal(hot_report_site(report, number, &site), 0);
    return site;
}

/* What the report prints, allocated. */
static char *printed(void)
{
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *stream = open_memstream(&text, &size_bytes);
    assert_non_null(stream);
    assert_int_equal(hot_report_print(report, stream), 0);
    (void)fclose(stream);
    return text;
}

static void assert_printed(const char *part)
{
    char *text = printed();
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in:\n%s", part, text);
    free(text);
}

/* --------------------------------------------------------------------------- known call chains */

#define KNOWN __attribute__((noinline)) ZF_UNINSTRUMENTED static void

/* Different values keep the compiler from making one function of several. */
KNOWN store(volatile unsigned char *address)
{
    volatile unsigned char value = 3;
    *address = value;
}

KNOWN load_history(unsigned char *address)
{
    store(address);
    __asm__ volatile("nop" ::: "memory");
}

KNOWN insert_order(unsigned char *address)
{
    store(address);
    __asm__ volatile("" ::: "memory");
}

KNOWN on_tick(unsigned char *first, size_t count)
{
    hot_section_begin(&reported);
    for (volatile size_t i = 0; i < count; ++i) /* not unrolled: one call, one return address */
        insert_order(first + i * PAGE);
    (void)hot_section_end(&reported);
    __asm__ volatile("" ::: "memory");
}

KNOWN on_start(unsigned char *first)
{
    hot_section_begin(&reported);
    load_history(first);
    (void)hot_section_end(&reported);
    __asm__ volatile("" ::: "memory");
}

/* Called through these, functions are neither cloned nor inlined. */
static void (*volatile tick)(unsigned char *first, size_t count) = on_tick;
static void (*volatile start)(unsigned char *first) = on_start;

static struct arena *cold_arena(const char *name, unsigned char **pages)
{
    struct arena *arena;
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.name = name, .capacity_bytes = PAGES * PAGE)), 0);
    *pages = arena_alloc(arena, 8 * PAGE, PAGE);
    return arena;
}

/* --------------------------------------------------------------------------------------- sites */

static void one_call_chain_is_one_site_with_all_its_addresses(void **state)
{
    unsigned char *pages = map_pages();
    struct hot_site site;
    (void)state;
    need_ring();
    tick(pages + PAGE, 5);
    assert_int_equal(totals_now().sites, 1);
    assert_int_equal(totals_now().violations, 5);
    site = site_number(0);
    assert_int_equal(site.kind, HOT_FAULT);
    assert_int_equal(site.count, 5);
    assert_string_equal(site.section, "tick");
    assert_non_null(strstr(site.section_file, "test_report.c"));
    assert_int_equal(site.address, (uintptr_t)(pages + PAGE));
    assert_int_equal(site.address_min, (uintptr_t)(pages + PAGE));
    assert_int_equal(site.address_max, (uintptr_t)(pages + 5 * PAGE));
    assert_true(site.first_ns < site.last_ns);
    assert_true(site.frame_count >= 2);
    assert_false(site.suppressed);
    assert_int_equal(hot_report_site(report, 1, &site), -ENOENT);
    (void)munmap(pages, PAGES * PAGE);
}

static void another_caller_or_another_arena_is_another_site(void **state)
{
    unsigned char *pages;
    unsigned char *other_pages;
    struct arena *arena = cold_arena("orders", &pages);
    struct arena *other = cold_arena("quotes", &other_pages);
    (void)state;
    need_ring();
    tick(pages, 2);
    start(pages + 4 * PAGE);
    tick(other_pages, 1);
    assert_int_equal(totals_now().sites, 3);
    assert_int_equal(site_number(0).instruction, site_number(1).instruction);
    assert_string_equal(site_number(1).arena, "orders");
    assert_string_equal(site_number(2).arena, "quotes");
    assert_int_equal(site_number(0).count, 2);
    arena_destroy(arena);
    arena_destroy(other);
}

static void site_is_described_as_it_was_when_it_was_added(void **state)
{
    struct hot_description description = HOT_DESCRIPTION_INIT;
    unsigned char *pages;
    struct arena *arena = cold_arena("orders", &pages);
    (void)state;
    need_ring();
    tick(pages, 1);
    arena_reset(arena);
    assert_int_equal(arena_warmup(arena, NULL, NULL), 0);
    assert_int_equal(hot_report_describe(report, 0, &description), 0);
    assert_int_equal(description.place, HOT_PLACE_ARENA_LIVE);
    assert_int_equal(description.cause, HOT_CAUSE_NOT_WARMED);
    assert_int_equal(hot_report_describe(report, 1, &description), -ENOENT);
    arena_destroy(arena);
    assert_printed("arena \"orders\" + 0 bytes (arena, handed out)");
}

static void full_report_counts_what_it_cannot_sort(void **state)
{
    struct hot_report *ample = report;
    unsigned char *pages = map_pages();
    (void)state;
    need_ring();
    assert_int_equal(hot_report_create(&report, &HOT_REPORT_OPTIONS(.sites_max = 1)), 0);
    reported.hook_context = report;
    for (volatile size_t round = 0; round < 3; ++round) {
        tick(pages + 2 * round * PAGE, 1);
        start(pages + (2 * round + 1) * PAGE);
    }
    assert_int_equal(totals_now().sites, 1);
    assert_int_equal(totals_now().violations, 3);
    assert_int_equal(totals_now().unsorted_violations, 3);
    assert_printed("SUMMARY: zerofault: 3 violations at 1 site, 3 without room for their site\n");
    hot_report_destroy(report);
    report = ample;
    (void)munmap(pages, PAGES * PAGE);
}

static void adding_is_not_seen_by_the_section_around(void **state)
{
    static struct hot_section around = HOT_SECTION("around");
    unsigned char *pages = map_pages();
    (void)state;
    need_ring();
    need_exact_faults();
    hot_section_begin(&around);
    tick(pages, 1); /* the code of adding runs for the first time */
    (void)hot_section_end(&around);
    hot_section_begin(&around);
    start(pages + PAGE);
    tick(pages + 2 * PAGE, 1);
    assert_int_equal(hot_section_end(&around), 2);
    assert_int_equal(totals_now().violations, 3);
    (void)munmap(pages, PAGES * PAGE);
}

enum { THREADS = 8, ROUNDS = 2000, SITES = 20 };

static void *add_many(void *argument)
{
    struct hot_violation violation = {.struct_size = sizeof violation,
                                      .section = &reported,
                                      .kind = HOT_FAULT,
                                      .count = 1,
                                      .system_call = -1};
    for (uintptr_t i = 0; i < ROUNDS; ++i) {
        violation.instruction = 0x1000 + i % SITES;
        violation.address = 0x100000 + i;
        violation.time_ns = 1 + i;
        hot_report_add(&violation, argument);
    }
    return NULL;
}

static void any_number_of_threads_adds_without_a_loss(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    for (size_t i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, report), 0);
    for (size_t i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(totals_now().sites, SITES);
    assert_int_equal(totals_now().violations, THREADS * ROUNDS);
    assert_int_equal(totals_now().unsorted_violations, 0);
    for (size_t i = 0; i < SITES; ++i) {
        struct hot_site site = site_number(i);
        assert_int_equal(site.count, THREADS * ROUNDS / SITES);
        assert_int_equal(site.address_min, 0x100000 + site.instruction - 0x1000);
        assert_int_equal(site.address_max, site.address_min + ROUNDS - SITES);
        assert_int_equal(site.last_ns, 1 + site.address_max - 0x100000);
    }
}

static void section_may_be_gone_when_the_report_is_printed(void **state)
{
    struct hot_section *unloaded = malloc(sizeof *unloaded);
    struct hot_violation violation = {.struct_size = sizeof violation,
                                      .section = unloaded,
                                      .kind = HOT_OVER_BUDGET,
                                      .count = 1,
                                      .system_call = -1,
                                      .duration_ns = 1234};
    (void)state;
    assert_non_null(unloaded);
    *unloaded = (struct hot_section)HOT_SECTION("plug-in");
    hot_report_add(&violation, report);
    memset(unloaded, 0xff, sizeof *unloaded);
    free(unloaded);
    assert_printed("over budget in hot section \"plug-in\"\n");
    assert_printed("took: 1234 ns");
}

/* --------------------------------------------------------------------------------------- rules */

static void need_names(void)
{
    struct hot_description description = HOT_DESCRIPTION_INIT;
    assert_int_equal(hot_report_describe(report, 0, &description), 0);
    need("libdw", description.instruction.line != 0, "built without libdw");
}

static void rules_leave_out_sites_and_say_so(void **state)
{
    unsigned char *pages;
    unsigned char *other_pages;
    struct arena *arena = cold_arena("orders", &pages);
    struct arena *other = cold_arena("scratch", &other_pages);
    (void)state;
    need_ring();
    tick(pages, 2);
    start(pages + 4 * PAGE);
    tick(other_pages, 3);
    assert_int_equal(totals_now().suppressed_sites, 0);

    assert_int_equal(hot_report_suppress(report, "arena:scr*ch"), 0);
    assert_int_equal(totals_now().suppressed_sites, 1);
    assert_int_equal(totals_now().suppressed_violations, 3);
    assert_true(site_number(2).suppressed);
    assert_false(site_number(0).suppressed);
    assert_printed("SUMMARY: zerofault: 3 violations at 2 sites, 3 suppressed at 1\n");

    need_names();
    assert_int_equal(hot_report_suppress(report, "function:load_*"), 0);
    assert_int_equal(totals_now().suppressed_sites, 2);
    assert_true(site_number(1).suppressed);
    assert_printed("SUMMARY: zerofault: 2 violations at 1 site, 4 suppressed at 2\n");
    arena_destroy(arena);
    arena_destroy(other);
}

static void object_and_section_are_rules_too(void **state)
{
    unsigned char *pages = map_pages();
    (void)state;
    need_ring();
    tick(pages, 1);
    assert_int_equal(hot_report_suppress(report, "object:libnothing*"), 0);
    assert_int_equal(hot_report_suppress(report, "section:tock"), 0);
    assert_int_equal(totals_now().suppressed_sites, 0);
    assert_int_equal(hot_report_suppress(report, "object:test_hot_rep*"), 0);
    assert_int_equal(totals_now().suppressed_sites, 1);
    (void)munmap(pages, PAGES * PAGE);
}

static void section_rule_needs_no_names(void **state)
{
    unsigned char *pages = map_pages();
    (void)state;
    need_ring();
    tick(pages, 1);
    assert_int_equal(hot_report_suppress(report, "section:t*"), 0);
    assert_int_equal(totals_now().suppressed_sites, 1);
    assert_printed("SUMMARY: zerofault: 0 violations at 0 sites, 1 suppressed at 1\n");
    (void)munmap(pages, PAGES * PAGE);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    (void)fclose(file);
}

static void rules_of_a_file_are_taken_all_or_none(void **state)
{
    char name[] = "/tmp/zf_rules_XXXXXX";
    size_t line = 99;
    unsigned char *pages = map_pages();
    int file = mkstemp(name);
    (void)state;
    need_ring();
    assert_true(file >= 0);
    (void)close(file);
    tick(pages, 1);

    write_file(name, "# known\n\nsection:t*\nnonsense\n");
    assert_int_equal(hot_report_suppress_file(report, name, &line), -EINVAL);
    assert_int_equal(line, 4);
    assert_int_equal(totals_now().suppressed_sites, 0);

    write_file(name, "# known\n\n  section:tick   # later\narena:other");
    assert_int_equal(hot_report_suppress_file(report, name, &line), 0);
    assert_int_equal(line, 0);
    assert_int_equal(totals_now().suppressed_sites, 1);

    (void)unlink(name);
    assert_int_equal(hot_report_suppress_file(report, name, NULL), -ENOENT);
    assert_int_equal(hot_report_suppress_file(report, NULL, NULL), -EINVAL);
    (void)munmap(pages, PAGES * PAGE);
}

/* -------------------------------------------------------------------------------------- printed */

/* Put one letter in place of what differs from run to run: numbers of the clock, of threads and of
 * addresses, source lines, folders. Frames outside of this file are left out. */
static void normalise(char *text)
{
    char *out = text;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        bool is_frame = strstr(line, "        #") == line;
        if (is_frame && strstr(line, "test_report.c") == NULL)
            continue;
        for (char *c = line; *c != '\0';) {
            size_t digits = strspn(c, "0123456789");
            size_t path = *c == '/' ? strcspn(c, " :") : 0;
            if (strncmp(c, "0x", 2) == 0) {
                c += 2 + strspn(c + 2, "0123456789abcdef");
                *out++ = 'X';
            } else if (path != 0) {
                char *end = c + path;
                while (*--end != '/')
                    continue;
                c = end + 1;
            } else if (digits >= 3 || (digits > 0 && c[-1] == ':')) {
                c += digits;
                *out++ = 'N';
            } else {
                *out++ = *c++;
            }
        }
        *out++ = '\n';
    }
    *out = '\0';
}

static void report_reads_as_documented(void **state)
{
    static const char expected[] =
        "zerofault: page fault in hot section \"tick\", 2 times\n"
        "    section at test_report.c:N, thread N, seen by ring\n"
        "    at N.N to N.N s of the monotonic clock\n"
        "    write of X, and of others from X to X\n"
        "    which is arena \"orders\" + N bytes (arena, handed out)\n"
        "        #0 X in store test_report.c:N\n"
        "        #1 X in insert_order test_report.c:N\n"
        "        #2 X in on_tick test_report.c:N\n"
        "        #3 X in report_reads_as_documented test_report.c:N\n"
        "    likely cause: arena not warmed. The arena was created but its pages were never made "
        "resident.\n"
        "        - the arena of N bytes was never warmed\n"
        "        - N of its bytes were handed out when the fault was told\n"
        "    remedy: Call arena_warmup before the loop, and check what it returns.\n"
        "zerofault: refused allocation in hot section \"tick\"\n"
        "    section at test_report.c:N, thread N, seen by ring\n"
        "    at N.N s of the monotonic clock\n"
        "    request: N bytes\n"
        "    An arena or a pool had no room for the request.\n"
        "    remedy: Give it the capacity of its peak; arena_stats tells how much that was.\n"
        "zerofault: 1 thread guarded now by ring. Page faults inside system calls are not seen; "
        "HOT_SOURCE_BOTH counts them.\n"
        "SUMMARY: zerofault: 3 violations at 2 sites\n";
    unsigned char *pages;
    struct arena *arena = cold_arena("orders", &pages);
    char *text;
    (void)state;
    need_ring();
#ifdef __SANITIZE_THREAD__
    need("exact-faults", false, "ThreadSanitizer adds frames");
#endif
    tick(pages + PAGE, 2);
    need_names();
    hot_section_begin(&reported);
    assert_null(arena_alloc(arena, PAGES * PAGE, 1));
    (void)hot_section_end(&reported);
    text = printed();
    normalise(text);
#if !defined(__x86_64__)
    need("x86-64", false, "reads and writes are told apart on x86-64 alone");
#endif
    assert_string_equal(text, expected);
    free(text);
    arena_destroy(arena);
}

static void abort_on_purpose(void)
{
    static struct hot_section fatal = HOT_SECTION("fatal", .policy = HOT_ABORT);
    unsigned char *pages = map_pages();
    hot_section_begin(&fatal);
    write_to(pages);
    write_to(pages + PAGE);
    (void)hot_section_end(&fatal);
}

static void abort_prints_a_report_first(void **state)
{
    char text[8192] = "";
    size_t length = 0;
    ssize_t count;
    int ends[2];
    int status;
    pid_t child;
    (void)state;
    need_ring();
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        abort_on_purpose();
        _exit(0);
    }
    (void)close(ends[1]);
    while ((count = read(ends[0], text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)count;
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "page fault in hot section \"fatal\""));
    assert_non_null(strstr(text, "likely cause: "));
    assert_non_null(strstr(text, "SUMMARY: zerofault: "));
}

static void failing_stream_is_told(void **state)
{
    FILE *full = fopen("/dev/full", "we");
    (void)state;
    assert_non_null(full);
    assert_int_equal(setvbuf(full, NULL, _IONBF, 0), 0);
    assert_int_equal(hot_report_print(report, full), -EIO);
    (void)fclose(full);
    assert_int_equal(hot_report_print(report, NULL), -EINVAL);
    assert_int_equal(hot_report_print(NULL, stderr), -EINVAL);
}

static void bad_arguments_are_refused(void **state)
{
    struct hot_report *other;
    struct hot_site site = {0};
    struct hot_report_totals totals = {0};
    struct hot_description description = {0};
    (void)state;
    assert_int_equal(hot_report_create(NULL, NULL), -EINVAL);
    assert_int_equal(hot_report_create(&other, &HOT_REPORT_OPTIONS(.sites_max = 1u << 20)),
                     -EINVAL);
    assert_null(other);
    assert_int_equal(hot_report_site(report, 0, &site), -EINVAL);
    assert_int_equal(hot_report_sum(report, &totals), -EINVAL);
    assert_int_equal(hot_report_describe(report, 0, &description), -EINVAL);
    assert_int_equal(hot_report_suppress(report, "nothing"), -EINVAL);
    assert_int_equal(hot_report_suppress(report, NULL), -EINVAL);
    assert_int_equal(hot_report_suppress(NULL, "arena:x"), -EINVAL);
    hot_report_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, attach_with_report, detach_with_report)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_call_chain_is_one_site_with_all_its_addresses),
        TEST(another_caller_or_another_arena_is_another_site),
        TEST(site_is_described_as_it_was_when_it_was_added),
        TEST(full_report_counts_what_it_cannot_sort),
        TEST(adding_is_not_seen_by_the_section_around),
        TEST(any_number_of_threads_adds_without_a_loss),
        TEST(section_may_be_gone_when_the_report_is_printed),
        TEST(rules_leave_out_sites_and_say_so),
        TEST(object_and_section_are_rules_too),
        TEST(section_rule_needs_no_names),
        TEST(rules_of_a_file_are_taken_all_or_none),
        TEST(report_reads_as_documented),
        TEST(abort_prints_a_report_first),
        TEST(failing_stream_is_told),
        TEST(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
