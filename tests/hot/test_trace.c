/*
 * Tracing: who is told of begins, ends and violations, when, and in which order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "hot/table.h"
#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define EVENTS_MAX 64

static struct hot_section outer = HOT_SECTION("outer");
static struct hot_section inner = HOT_SECTION("inner");

/* What a tracer was told, in order. */
struct told {
    char what;        /* 'b', 'e', 'v' */
    const char *name; /* of the section */
    uint64_t time_ns;
    uint64_t count; /* violations of an end; 1 of a violation */
    uintptr_t address;
    uint32_t thread_id;
};

struct log {
    size_t count;
    struct told events[EVENTS_MAX];
    struct hot_section *within; /* begun and ended in each callback, or NULL */
};

static struct log first;
static struct log second;
static unsigned char *pages;

static struct told *add(void *context, char what, const char *name)
{
    struct log *log = context;
    struct told *told = &log->events[log->count];
    assert_true(log->count < EVENTS_MAX);
    ++log->count;
    told->what = what;
    told->name = name;
    if (log->within != NULL) {
        hot_section_begin(log->within);
        (void)hot_section_end(log->within);
    }
    return told;
}

static void on_begin(const struct hot_trace_event *event, void *context)
{
    struct told *told = add(context, 'b', event->section->name);
    assert_int_equal(event->struct_size, sizeof *event);
    told->time_ns = event->time_ns;
    told->thread_id = event->thread_id;
}

static void on_end(const struct hot_trace_event *event, void *context)
{
    struct told *told = add(context, 'e', event->section->name);
    told->time_ns = event->time_ns;
    told->count = event->violations;
    told->thread_id = event->thread_id;
}

static void on_violation(const struct hot_violation *violation, void *context)
{
    struct told *told = add(context, 'v', violation->section->name);
    told->time_ns = violation->time_ns;
    told->count = violation->count;
    told->address = violation->address;
    told->thread_id = violation->thread_id;
}

static const struct hot_tracer to_first =
    HOT_TRACER(.begin = on_begin, .end = on_end, .violation = on_violation, .context = &first);
static const struct hot_tracer to_second =
    HOT_TRACER(.begin = on_begin, .end = on_end, .context = &second);

static int map_pages(void **state)
{
    (void)state;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    pages = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return -1;
    warm_shadow(pages, 16 * PAGE);
    return madvise(pages, 16 * PAGE, MADV_NOHUGEPAGE);
}

static int unmap_pages(void **state)
{
    (void)state;
    assert_int_equal(hot_trace(NULL), 0);
    hot_thread_detach();
    return munmap(pages, 16 * PAGE);
}

static void attach_ring(void)
{
    int error = hot_thread_attach(&HOT_THREAD_OPTIONS(.source = HOT_SOURCE_RING), NULL);
    need("perf", error == 0, "no fault ring here: %s", strerror(-error));
}

static uint64_t enter(struct hot_section *section)
{
    hot_section_begin(section);
    return hot_section_end(section);
}

/* The first letters of what was told, for comparison at a glance. */
static const char *order(const struct log *log)
{
    static char text[EVENTS_MAX + 1];
    for (size_t i = 0; i < log->count; ++i)
        text[i] = log->events[i].what;
    text[log->count] = '\0';
    return text;
}

/* ---------------------------------------------------------------------------------------- pairs */

static void every_begin_and_end_is_told_in_order(void **state)
{
    (void)state;
    need_exact_faults();
    attach_ring();
    (void)enter(&outer);
    assert_int_equal(hot_trace(&to_first), 0);
    assert_int_equal(first.count, 0);

    hot_section_begin(&outer);
    (void)enter(&inner);
    (void)enter(&inner);
    (void)hot_section_end(&outer);

    assert_string_equal(order(&first), "bbebee");
    assert_string_equal(first.events[0].name, "outer");
    assert_string_equal(first.events[1].name, "inner");
    assert_string_equal(first.events[5].name, "outer");
    for (size_t i = 1; i < first.count; ++i)
        assert_true(first.events[i].time_ns >= first.events[i - 1].time_ns);
    assert_int_equal(first.events[0].thread_id, (uint32_t)gettid());
    assert_int_equal(first.events[0].thread_id, first.events[5].thread_id);
}

static void nothing_is_told_any_more_and_the_fast_way_is_back(void **state)
{
    const struct hot_slot *slot;
    (void)state;
    attach_ring();
    (void)enter(&outer);
    slot = (const struct hot_slot *)(const void *)(hot_thread_table + outer.slot_bytes);
    assert_ptr_equal(slot->section, &outer);

    assert_int_equal(hot_trace(&to_first), 0);
    assert_null(slot->section);
    (void)enter(&outer);
    assert_null(slot->section);
    assert_int_equal(hot_trace(NULL), 0);
    (void)enter(&outer);

    assert_ptr_equal(slot->section, &outer);
    assert_string_equal(order(&first), "be");
}

static void a_section_ends_with_the_tracer_that_saw_it_begin(void **state)
{
    (void)state;
    attach_ring();
    hot_section_begin(&outer);
    assert_int_equal(hot_trace(&to_first), 0);
    hot_section_begin(&inner);
    assert_int_equal(hot_trace(&to_second), 0);
    (void)hot_section_end(&inner);
    (void)enter(&inner);
    (void)hot_section_end(&outer);

    assert_string_equal(order(&first), "be");
    assert_string_equal(order(&second), "be");
    assert_string_equal(second.events[0].name, "inner");

    hot_section_begin(&outer);
    assert_int_equal(hot_trace(NULL), 0);
    (void)hot_section_end(&outer);
    assert_string_equal(order(&second), "bebe");
}

static void a_section_begun_within_itself_or_left_open_is_ended_for_the_tracer(void **state)
{
    (void)state;
    attach_ring();
    assert_int_equal(hot_trace(&to_first), 0);
    hot_section_begin(&outer);
    hot_section_begin(&outer);
    assert_string_equal(order(&first), "beb");
    hot_thread_detach();
    assert_string_equal(order(&first), "bebve"); /* the violation is the misuse itself */
    assert_int_equal(first.events[4].count, 1);
}

/* ----------------------------------------------------------------------------------- violations */

static void violations_are_told_between_begin_and_end_whatever_the_policy(void **state)
{
    (void)state;
    need_exact_faults();
    attach_ring();
    assert_int_equal(hot_trace(&to_first), 0);
    hot_section_begin(&outer);
    *(volatile unsigned char *)(pages + 3 * PAGE) = 1;
    *(volatile unsigned char *)(pages + 5 * PAGE) = 1;
    assert_int_equal(hot_section_end(&outer), 2);

    assert_string_equal(order(&first), "bvve");
    assert_int_equal(first.events[1].address, (uintptr_t)(pages + 3 * PAGE));
    assert_int_equal(first.events[2].address, (uintptr_t)(pages + 5 * PAGE));
    assert_true(first.events[1].time_ns >= first.events[0].time_ns);
    assert_true(first.events[2].time_ns <= first.events[3].time_ns);
    assert_int_equal(first.events[3].count, 2);
}

static void ignored_kinds_are_not_told(void **state)
{
    static struct hot_section careless =
        HOT_SECTION("careless", .policies = {[HOT_FAULT] = HOT_IGNORE});
    (void)state;
    attach_ring();
    assert_int_equal(hot_trace(&to_first), 0);
    hot_section_begin(&careless);
    *(volatile unsigned char *)pages = 1;
    assert_int_equal(hot_section_end(&careless), 0);
    assert_string_equal(order(&first), "be");
    assert_int_equal(first.events[1].count, 0);
}

static void the_guards_test_of_itself_is_not_traced(void **state)
{
    (void)state;
    assert_int_equal(hot_trace(&to_first), 0);
    attach_ring();
    assert_true(hot_guard_is_live());
    assert_int_equal(first.count, 0);
}

/* ------------------------------------------------------------------------------------ callbacks */

static void what_callbacks_do_is_outside_of_the_section_and_not_traced(void **state)
{
    (void)state;
    need_exact_faults();
    attach_ring();
    first.within = &inner;
    assert_int_equal(hot_trace(&to_first), 0);
    assert_int_equal(enter(&outer), 0);
    assert_string_equal(order(&first), "be");
    assert_int_equal(hot_sections_open(), 0);
}

static void *enter_once(void *argument)
{
    (void)enter(argument);
    return NULL;
}

static void other_threads_are_traced_too(void **state)
{
    pthread_t thread;
    (void)state;
    need_exact_faults();
    assert_int_equal(hot_trace(&to_first), 0);
    assert_int_equal(pthread_create(&thread, NULL, enter_once, &outer), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(order(&first), "be");
    assert_int_not_equal(first.events[0].thread_id, (uint32_t)gettid());
    assert_int_equal(first.events[0].thread_id, first.events[1].thread_id);
}

static void a_tracer_of_unknown_size_is_refused(void **state)
{
    struct hot_tracer tracer = to_first;
    struct {
        struct hot_tracer known;
        uint64_t tail;
    } newer = {to_first, 0};
    (void)state;
    attach_ring();
    tracer.struct_size = 0;
    assert_int_equal(hot_trace(&tracer), -EINVAL);
    tracer.struct_size = sizeof tracer - 1;
    assert_int_equal(hot_trace(&tracer), -EINVAL);
    newer.known.struct_size = sizeof newer;
    newer.tail = 1;
    assert_int_equal(hot_trace(&newer.known), -E2BIG);
    (void)enter(&outer);
    assert_int_equal(first.count, 0);

    newer.tail = 0;
    assert_int_equal(hot_trace(&newer.known), 0);
    (void)enter(&outer);
    assert_string_equal(order(&first), "be");
}

static void a_tracer_without_callbacks_is_told_nothing(void **state)
{
    static const struct hot_tracer silent = {.struct_size = sizeof silent};
    (void)state;
    attach_ring();
    assert_int_equal(hot_trace(&silent), 0);
    hot_section_begin(&outer);
    *(volatile unsigned char *)pages = 1;
    assert_true(hot_section_end(&outer) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, map_pages, unmap_pages)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_begin_and_end_is_told_in_order),
        TEST(nothing_is_told_any_more_and_the_fast_way_is_back),
        TEST(a_section_ends_with_the_tracer_that_saw_it_begin),
        TEST(a_section_begun_within_itself_or_left_open_is_ended_for_the_tracer),
        TEST(violations_are_told_between_begin_and_end_whatever_the_policy),
        TEST(ignored_kinds_are_not_told),
        TEST(the_guards_test_of_itself_is_not_traced),
        TEST(what_callbacks_do_is_outside_of_the_section_and_not_traced),
        TEST(other_threads_are_traced_too),
        TEST(a_tracer_of_unknown_size_is_refused),
        TEST(a_tracer_without_callbacks_is_told_nothing),
    };
    return cmocka_run_group_tests_name("hot.trace", tests, NULL, NULL);
}
