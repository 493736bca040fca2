/*
 * Sections at the edges of their lives: first used inside others, begun while the guards are off,
 * left open by a thread that ends, gone with the object that they were in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include <zerofault/zerofault.h>

#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)

static struct hot_section outer = HOT_SECTION("outer");
static unsigned told[HOT_KIND_COUNT];

static void note(const struct hot_violation *violation, void *context)
{
    (void)context;
    told[violation->kind] += (unsigned)violation->count;
}

static int forget(void **state)
{
    (void)state;
    memset(told, 0, sizeof told);
    hot_thread_detach();
    return 0;
}

static void take_faults(size_t count)
{
    unsigned char *pages =
        mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < count; ++i)
        *(volatile unsigned char *)(pages + i * PAGE) = 1;
    (void)munmap(pages, count * PAGE);
}

/* ------------------------------------------------------------------------------------ first use */

static void attach(enum hot_source source)
{
    need_exact_faults();
    assert_int_equal(hot_thread_attach(&HOT_THREAD_OPTIONS(.source = source), NULL), 0);
    hot_section_begin(&outer); /* its own first use */
    (void)hot_section_end(&outer);
}

/* In a thread of its own, whose clock, stack and guard are new. */
static void *first_uses(void *context)
{
    static struct hot_section timed = HOT_SECTION("timed", .timed = true, .counted = true);
    static struct hot_section budgeted = HOT_SECTION("budgeted", .budget_ns = 1000000000);
    uint64_t *violations = context;
    hot_section_begin(&outer);
    hot_pause_begin();
    hot_pause_end();
    violations[0] = hot_section_end(&outer);
    hot_section_begin(&outer);
    hot_section_begin(&timed);
    (void)hot_section_end(&timed);
    hot_section_begin(&budgeted);
    (void)hot_section_end(&budgeted);
    violations[1] = hot_section_end(&outer);
    hot_section_begin(&outer);
    take_faults(2);
    violations[2] = hot_section_end(&outer);
    return NULL;
}

static void the_guards_own_faults_are_nobodys(void **state)
{
    static const enum hot_source sources[] = {HOT_SOURCE_RING, HOT_SOURCE_BOTH};
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; ++i) {
        uint64_t violations[3] = {9, 9, 9};
        attach(sources[i]);
        (void)first_uses(violations);
        assert_int_equal(violations[0], 0);
        assert_int_equal(violations[1], 0);
        assert_int_equal(violations[2], 2);
        hot_thread_detach();
    }
}

/* ------------------------------------------------------------------------------------------ off */

static void a_section_that_was_begun_while_off_ends_in_peace(void **state)
{
    (void)state;
    attach(HOT_SOURCE_AUTO);
    hot_switch(false);
    hot_section_begin(&outer);
    hot_switch(true);
    assert_int_equal(hot_section_end(&outer), 0);
    assert_int_equal(hot_section_end(&outer), 1); /* this one is too many */
    hot_switch(false);
    hot_section_begin(&outer);
    assert_int_equal(hot_section_end(&outer), 0);
    hot_switch(true);
    assert_int_equal(hot_section_end(&outer), 1);
}

/* ------------------------------------------------------------------------------- one in another */

static void take_faults_itself(const struct hot_violation *violation, void *context)
{
    static struct hot_section inside_hook = HOT_SECTION("inside a hook");
    (void)context;
    told[violation->kind] += (unsigned)violation->count;
    hot_section_begin(&inside_hook);
    take_faults(3);
    told[HOT_KIND_COUNT - 1] = (unsigned)hot_section_end(&inside_hook);
}

static void what_an_inner_hook_does_is_nothing_to_the_outer_section(void **state)
{
    static struct hot_section inner =
        HOT_SECTION("inner", .policy = HOT_CALLBACK, .hook = take_faults_itself);
    static const enum hot_source sources[] = {HOT_SOURCE_RING, HOT_SOURCE_BOTH};
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; ++i) {
        attach(sources[i]);
        memset(told, 0, sizeof told);
        hot_section_begin(&inner); /* the hook's first run, with its own first uses */
        take_faults(1);
        (void)hot_section_end(&inner);
        hot_section_begin(&outer);
        hot_section_begin(&inner);
        take_faults(1);
        assert_int_equal(hot_section_end(&inner), 1);
        take_faults(1);
        assert_int_equal(hot_section_end(&outer), 2);
        assert_int_equal(told[HOT_FAULT], 2);
        assert_int_equal(told[HOT_KIND_COUNT - 1], 3);
        hot_thread_detach();
    }
}

static void a_section_that_outlives_the_pause_it_began_in_counts_all_of_itself(void **state)
{
    static struct hot_section inner = HOT_SECTION("inner of a pause");
    (void)state;
    attach(HOT_SOURCE_RING);
    hot_section_begin(&inner);
    (void)hot_section_end(&inner);
    hot_section_begin(&outer);
    hot_pause_begin();
    hot_section_begin(&inner);
    take_faults(2);
    hot_pause_end();
    take_faults(1);
    assert_int_equal(hot_section_end(&inner), 3);
    assert_int_equal(hot_section_end(&outer), 1);
}

/* ------------------------------------------------------------------------------------ left open */

static struct hot_section left_open =
    HOT_SECTION("left open", .policy = HOT_CALLBACK, .hook = note);
static struct hot_section may_be_left_open =
    HOT_SECTION("may be left open", .policy = HOT_CALLBACK, .hook = note,
                .policies = {[HOT_MISUSE] = HOT_IGNORE});

static void *leave_open(void *section)
{
    (void)hot_thread_attach(NULL, NULL);
    hot_section_begin(section);
    take_faults(2);
    return NULL;
}

static void what_a_thread_found_before_it_ended_is_told(void **state)
{
    struct hot_section *const sections[] = {&left_open, &may_be_left_open};
    (void)state;
    need_exact_faults();
    for (unsigned i = 0; i < 2; ++i) {
        struct hot_section_statistics stats = HOT_SECTION_STATISTICS_INIT;
        pthread_t thread;
        memset(told, 0, sizeof told);
        assert_int_equal(pthread_create(&thread, NULL, leave_open, sections[i]), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(hot_section_stats(sections[i], &stats), 0);
        assert_true(stats.counts[HOT_FAULT] >= 2); /* the end of the thread has some of its own */
        assert_int_equal(told[HOT_FAULT], stats.counts[HOT_FAULT]);
        assert_int_equal(stats.counts[HOT_MISUSE], i == 0);
        assert_int_equal(told[HOT_MISUSE], i == 0);
    }
}

/* ----------------------------------------------------------------------------------------- gone */

/* As when an object is unloaded and another one comes to lie where it was. */
static void another_section_at_the_same_address_is_another_one(void **state)
{
    static struct hot_section place;
    const struct hot_section plain = HOT_SECTION("plain");
    const struct hot_section budgeted =
        HOT_SECTION("budgeted", .budget_ns = 1, .counted = true, .timed = true);
    struct hot_section_statistics stats = HOT_SECTION_STATISTICS_INIT;
    struct hot_histogram durations;
    (void)state;
    attach(HOT_SOURCE_AUTO);
    place = plain;
    hot_section_begin(&place);
    take_faults(1);
    assert_int_equal(hot_section_end(&place), 1);
    place = budgeted;
    for (unsigned round = 1; round <= 3; ++round) {
        hot_section_begin(&place);
        assert_int_equal(hot_section_end(&place), 1);
        assert_int_equal(hot_section_stats(&place, &stats), 0);
        assert_int_equal(stats.entries, round);
        assert_int_equal(stats.counts[HOT_OVER_BUDGET], round);
        assert_int_equal(stats.counts[HOT_FAULT], 0);
    }
    assert_int_equal(hot_section_durations(&place, &durations), 0);
    assert_int_equal(durations.count, 3);
    /* The first one again is what it was. */
    place = plain;
    hot_section_begin(&place);
    assert_int_equal(hot_section_end(&place), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_guards_own_faults_are_nobodys, forget),
        cmocka_unit_test_teardown(a_section_that_was_begun_while_off_ends_in_peace, forget),
        cmocka_unit_test_teardown(what_an_inner_hook_does_is_nothing_to_the_outer_section, forget),
        cmocka_unit_test_teardown(
            a_section_that_outlives_the_pause_it_began_in_counts_all_of_itself, forget),
        cmocka_unit_test_teardown(what_a_thread_found_before_it_ended_is_told, forget),
        cmocka_unit_test_teardown(another_section_at_the_same_address_is_another_one, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
