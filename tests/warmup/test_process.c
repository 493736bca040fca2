/*
 * The process's code, data, thread-local variables and heap on the real kernel; what is reported,
 * and what is refused. What is loaded later comes from first_loop/library.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#include "support/child.h"
#include "support/pages.h"
#include "support/sanitizer.h"

#define PAGE 4096
#define PAGES 64
#define THREADS 2

/* Aligned, so that no neighbour has touched their pages. */
static _Alignas(PAGE) unsigned char initialised[PAGES][PAGE] = {{1}, {2, 3}};
static _Alignas(PAGE) unsigned char zeroed[PAGES][PAGE];
static _Alignas(PAGE) unsigned char late[PAGES][PAGE];
static _Alignas(PAGE) _Thread_local unsigned char per_thread[16][PAGE];
static _Alignas(PAGE) const unsigned char constants[256][PAGE] = {{1}, {2, 3}};

static void assert_granted(const struct process_item *item, enum warmup_wish asked)
{
    assert_int_equal(item->asked, asked);
    assert_int_equal(item->error, 0);
    assert_int_equal(item->granted_bytes, item->asked_bytes);
    assert_null(item->remedy);
}

static void assert_off(const struct process_item *item)
{
    assert_int_equal(item->asked, WARMUP_OFF);
    assert_int_equal(item->error, 0);
    assert_int_equal(item->asked_bytes, 0);
    assert_int_equal(item->faults, 0);
    assert_int_equal(item->spent_ns, 0);
    assert_null(item->remedy);
}

static struct process_report warm(void)
{
    struct process_report report = PROCESS_REPORT_INIT;
    assert_int_equal(process_warmup(NULL, &report), 0);
    assert_int_equal(report.result, 0);
    return report;
}

/* ------------------------------------------------------------------------------------ no faults */

static void tables_that_are_untouched_fault_before_and_not_after(void **state)
{
    (void)state;
    need_exact_faults();
    assert_true(faults_of_writing(zeroed, sizeof zeroed / 2) >= PAGES / 2);
    (void)warm();
    assert_int_equal(faults_of_writing(zeroed, sizeof zeroed), 0);
    assert_int_equal(faults_of_writing(initialised, sizeof initialised), 0);
    assert_int_equal(faults_of_writing(per_thread, sizeof per_thread), 0);
    assert_int_equal(faults_of_reading(constants, sizeof constants), 0);
}

static void contents_do_not_change(void **state)
{
    (void)state;
    memset(late[3], 7, PAGE);
    (void)warm();
    assert_int_equal(initialised[0][0], 1);
    assert_int_equal(initialised[1][1], 3);
    assert_int_equal(initialised[2][0], 0);
    assert_int_equal(late[2][PAGE - 1], 0);
    assert_int_equal(late[3][0], 7);
    assert_int_equal(late[3][PAGE - 1], 7);
    assert_int_equal(constants[1][1], 3);
}

static void a_child_of_fork_is_cold_until_it_warms_up(void *shared)
{
    uint64_t *faults = shared;
    struct process_report report = PROCESS_REPORT_INIT;
    faults[0] = faults_of_writing(initialised, sizeof initialised / 2);
    (void)process_warmup(NULL, &report);
    faults[1] = faults_of_writing(initialised, sizeof initialised);
    faults[2] = (uint64_t)-report.result;
}

static void a_second_call_repairs_what_a_fork_has_done(void **state)
{
    uint64_t *faults = shared_create(3 * sizeof *faults);
    (void)state;
    need_exact_faults();
    (void)warm();
    assert_int_equal(run_in_child(a_child_of_fork_is_cold_until_it_warms_up, faults), 0);
    assert_true(faults[0] >= PAGES / 2);
    assert_int_equal(faults[1], 0);
    assert_int_equal(faults[2], 0);
    shared_destroy(faults, 3 * sizeof *faults);
}

/* ----------------------------------------------------------------------------- while others run */

static _Alignas(PAGE) uint64_t counters[THREADS][PAGES][PAGE / sizeof(uint64_t)];
static int stop;

/* Plain additions, one thread to a counter, until told to stop; how many. */
static void *count_up(void *own)
{
    uint64_t(*pages)[PAGE / sizeof(uint64_t)] = own;
    uint64_t rounds = 0;
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        for (size_t page = 0; page < PAGES; ++page)
            ++pages[page][0];
        ++rounds;
    }
    return (void *)(uintptr_t)rounds;
}

static void writes_of_other_threads_are_not_lost(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    for (size_t i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, counters[i]), 0);
    for (int round = 0; round < 20; ++round)
        (void)warm();
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (size_t i = 0; i < THREADS; ++i) {
        void *rounds;
        assert_int_equal(pthread_join(threads[i], &rounds), 0);
        for (size_t page = 0; page < PAGES; ++page)
            assert_int_equal(counters[i][page][0], (uintptr_t)rounds);
    }
}

/* ------------------------------------------------------------------------- objects loaded later */

static uint64_t faults_so_far(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

static void *load(const char *path)
{
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (library == NULL)
        fail_msg("%s", dlerror());
    return library;
}

/* A function of a library. ISO C has no cast from dlsym's answer to one. */
static void find(void *library, const char *name, void *function)
{
    void *address = dlsym(library, name);
    assert_non_null(address);
    memcpy(function, &address, sizeof address);
}

/* What a library's first step costs. Its tables, thread-local variables included, are its own. */
static uint64_t faults_of_first_step(void *library)
{
    unsigned (*step)(unsigned);
    uint64_t before;
    find(library, "library_step", &step);
    (void)faults_so_far();
    before = faults_so_far();
    (void)step(1);
    return faults_so_far() - before;
}

static void an_object_that_is_loaded_later_is_warmed_by_a_second_call(void **state)
{
    struct process_report first, second;
    void *library;
    (void)state;
    need_no_sanitizer();
    first = warm();
    library = load(FIRST_LOOP_LIBRARY_LAZY);
    second = warm();
    assert_int_equal(second.objects, first.objects + 1);
    assert_true(second.data.asked_bytes >= first.data.asked_bytes + (size_t)2 * PAGES * PAGE);
    assert_true(second.tls.asked_bytes >= first.tls.asked_bytes + (size_t)8 * PAGE);
    assert_int_equal(faults_of_first_step(library), 0);
    assert_int_equal(dlclose(library), 0);
}

static void without_a_second_call_it_is_cold(void **state)
{
    void *library;
    (void)state;
    (void)warm();
    library = load(FIRST_LOOP_LIBRARY_LAZY);
    assert_true(faults_of_first_step(library) >= PAGES);
    assert_int_equal(dlclose(library), 0);
}

static void functions_count_as_bound_once_they_were_called(void **state)
{
    struct process_report none = warm();
    void *library = load(FIRST_LOOP_LIBRARY_LAZY);
    struct process_report before = warm();
    struct process_report after;
    long (*parent)(void);
    (void)state;
    find(library, "library_parent", &parent);
    assert_int_equal(before.lazy_objects, none.lazy_objects + 1);
    assert_int_equal(before.binding.error, -EAGAIN);
    assert_non_null(before.binding.remedy);
    assert_true(parent() > 0);
    after = warm();
    /* A sanitizer's own functions may have been bound by the way. */
    assert_in_range(after.lazy_slots, 0, before.lazy_slots - 1);
    assert_int_equal(after.binding.asked_bytes, before.binding.asked_bytes);
    assert_int_equal(after.binding.granted_bytes,
                     after.binding.asked_bytes - after.lazy_slots * sizeof(void *));
    assert_int_equal(dlclose(library), 0);
}

static void an_object_that_is_bound_when_loaded_has_no_late_functions(void **state)
{
    struct process_report none = warm();
    void *library = load(FIRST_LOOP_LIBRARY_NOW);
    struct process_report report = warm();
    (void)state;
    assert_int_equal(report.lazy_objects, none.lazy_objects);
    assert_int_equal(report.lazy_slots, none.lazy_slots);
    assert_true(report.binding.asked_bytes > none.binding.asked_bytes);
    assert_int_equal(dlclose(library), 0);
}

static void late_functions_fail_a_warmup_that_requires_them_bound(void **state)
{
    void *library = load(FIRST_LOOP_LIBRARY_LAZY);
    struct process_report report = PROCESS_REPORT_INIT;
    (void)state;
    assert_int_equal(process_warmup(&PROCESS_WARMUP_OPTIONS(.binding = WARMUP_REQUIRE), &report),
                     -EAGAIN);
    assert_int_equal(report.result, -EAGAIN);
    assert_granted(&report.code, WARMUP_REQUIRE);
    assert_true(report.lazy_object[0] != '\0');
    assert_int_equal(dlclose(library), 0);
}

/* ----------------------------------------------------------------------------------------- heap */

/* Fill blocks of many sizes; how many faults. */
static uint64_t faults_of_malloc(size_t total_bytes)
{
    void *blocks[32];
    uint64_t before;
    (void)faults_so_far();
    before = faults_so_far();
    for (size_t i = 0; i < 32; ++i) {
        size_t size_bytes = (i + 1) * total_bytes / 32 / 17;
        blocks[i] = malloc(size_bytes);
        memset(blocks[i], 1, size_bytes);
    }
    for (size_t i = 0; i < 32; ++i)
        free(blocks[i]);
    return faults_so_far() - before;
}

static void malloc_has_what_was_asked_for_and_keeps_it(void *shared)
{
    uint64_t *faults = shared;
    struct process_report report = PROCESS_REPORT_INIT;
    faults[0] = faults_of_malloc((size_t)8 << 20);
    faults[1] = (uint64_t)-process_warmup(
        &PROCESS_WARMUP_OPTIONS(.heap_bytes = (size_t)8 << 20, .heap = WARMUP_REQUIRE), &report);
    for (int round = 0; round < 3; ++round)
        faults[2] += faults_of_malloc((size_t)8 << 20);
    faults[3] = report.heap.granted_bytes;
}

static void blocks_of_any_size_come_from_the_warm_heap(void **state)
{
    uint64_t *faults = shared_create(4 * sizeof *faults);
    (void)state;
    need_no_sanitizer();
    assert_int_equal(run_in_child(malloc_has_what_was_asked_for_and_keeps_it, faults), 0);
    assert_true(faults[0] > 1000);
    assert_int_equal(faults[1], 0);
    assert_int_equal(faults[2], 0);
    assert_int_equal(faults[3], (size_t)8 << 20);
    shared_destroy(faults, 4 * sizeof *faults);
}

static void a_heap_that_the_machine_cannot_hold_is_refused(void **state)
{
    struct process_report report = PROCESS_REPORT_INIT;
    int rc = process_warmup(
        &PROCESS_WARMUP_OPTIONS(.heap_bytes = SIZE_MAX / 4, .heap = WARMUP_REQUIRE), &report);
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    assert_int_equal(rc, -EOPNOTSUPP);
#else
    assert_int_equal(rc, -ENOMEM);
#endif
    assert_int_equal(report.heap.error, rc);
    assert_int_equal(report.heap.granted_bytes, 0);
    assert_non_null(report.heap.remedy);
    assert_granted(&report.data, WARMUP_REQUIRE);
}

/* --------------------------------------------------------------------------------------- report */

static void every_part_is_reported_granted_and_proven(void **state)
{
    struct process_report report = warm();
    (void)state;
    assert_granted(&report.code, WARMUP_REQUIRE);
    assert_granted(&report.data, WARMUP_REQUIRE);
    assert_granted(&report.tls, WARMUP_REQUIRE);
    assert_granted(&report.stack, WARMUP_REQUIRE);
    assert_granted(&report.clock, WARMUP_REQUIRE);
    assert_off(&report.lock);
    assert_true(report.code.asked_bytes > sizeof constants);
    assert_true(report.data.asked_bytes > sizeof zeroed + sizeof initialised);
    assert_true(report.tls.asked_bytes >= sizeof per_thread);
    assert_int_equal(report.stack.asked_bytes, 256 << 10);
    assert_true(report.objects >= 3);
    assert_true(report.thread_id != 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_granted(&report.heap, WARMUP_PREFER);
    assert_int_equal(report.heap.asked_bytes, 1 << 20);
    assert_int_equal(report.proof_faults, 0);
    assert_int_equal(report.proven, 1);
#endif
}

static void a_thread_warms_only_what_is_its_own(void **state)
{
    struct process_report report = PROCESS_REPORT_INIT;
    (void)state;
    assert_int_equal(thread_warmup(&THREAD_WARMUP_OPTIONS(.stack_bytes = 100000), &report), 0);
    assert_granted(&report.tls, WARMUP_REQUIRE);
    assert_granted(&report.stack, WARMUP_REQUIRE);
    assert_int_equal(report.stack.asked_bytes, 25 * PAGE);
    assert_off(&report.code);
    assert_off(&report.data);
    assert_off(&report.clock);
    assert_off(&report.lock);
    assert_off(&report.binding);
}

static void what_is_off_is_left_alone(void **state)
{
    struct process_report report = PROCESS_REPORT_INIT;
    (void)state;
    assert_int_equal(
        process_warmup(&PROCESS_WARMUP_OPTIONS(.code = WARMUP_OFF, .data = WARMUP_OFF,
                                               .tls = WARMUP_OFF, .heap = WARMUP_OFF,
                                               .stack = WARMUP_OFF, .clock = WARMUP_OFF,
                                               .binding = WARMUP_OFF),
                       &report),
        0);
    assert_off(&report.code);
    assert_off(&report.data);
    assert_off(&report.tls);
    assert_off(&report.heap);
    assert_off(&report.stack);
    assert_off(&report.clock);
    assert_off(&report.lock);
    assert_off(&report.binding);
    assert_int_equal(report.objects, 0);
}

static void nobody_has_to_take_a_report(void **state)
{
    (void)state;
    assert_int_equal(process_warmup(NULL, NULL), 0);
    assert_int_equal(thread_warmup(NULL, NULL), 0);
}

static void warm_without_privileges(void *shared)
{
    struct process_report *report = shared;
    if (drop_privileges(64 << 10) != 0)
        abort();
    *report = (struct process_report)PROCESS_REPORT_INIT;
    (void)process_warmup(NULL, report);
}

static void a_user_without_privileges_is_granted_the_same(void **state)
{
    struct process_report *report = shared_create(sizeof *report);
    (void)state;
    assert_int_equal(run_in_child(warm_without_privileges, report), 0);
    assert_int_equal(report->result, 0);
    assert_granted(&report->code, WARMUP_REQUIRE);
    assert_granted(&report->data, WARMUP_REQUIRE);
    assert_granted(&report->stack, WARMUP_REQUIRE);
    shared_destroy(report, sizeof *report);
}

/* ------------------------------------------------------------------------------------- refusals */

static void warm_without_proc(void *shared)
{
    struct process_report *report = shared;
    if (chroot(ZF_EMPTY_FOLDER) != 0)
        abort();
    *report = (struct process_report)PROCESS_REPORT_INIT;
    (void)process_warmup(NULL, report);
}

static void without_proc_nothing_is_guessed(void **state)
{
    struct process_report *report = shared_create(sizeof *report);
    (void)state;
    need("root", geteuid() == 0, "chroot is root's");
    assert_int_equal(run_in_child(warm_without_proc, report), 0);
    assert_int_equal(report->result, -EOPNOTSUPP);
    assert_int_equal(report->code.error, -EOPNOTSUPP);
    assert_int_equal(report->data.error, -EOPNOTSUPP);
    assert_int_equal(report->stack.error, -EOPNOTSUPP);
    assert_int_equal(report->stack.granted_bytes, 0);
    assert_non_null(strstr(report->code.remedy, "/proc"));
    assert_granted(&report->tls, WARMUP_REQUIRE);
    shared_destroy(report, sizeof *report);
}

static void unknown_wishes_are_refused(void **state)
{
    const enum warmup_wish bad = (enum warmup_wish)4;
    (void)state;
#define ASSERT_REFUSED(field)                                                                      \
    assert_int_equal(process_warmup(&PROCESS_WARMUP_OPTIONS(.field = bad), NULL), -EINVAL)
    ASSERT_REFUSED(code);
    ASSERT_REFUSED(data);
    ASSERT_REFUSED(tls);
    ASSERT_REFUSED(heap);
    ASSERT_REFUSED(stack);
    ASSERT_REFUSED(clock);
    ASSERT_REFUSED(lock);
    ASSERT_REFUSED(binding);
    assert_int_equal(thread_warmup(&THREAD_WARMUP_OPTIONS(.stack = bad), NULL), -EINVAL);
    assert_int_equal(thread_warmup(&THREAD_WARMUP_OPTIONS(.tls = bad), NULL), -EINVAL);
    assert_int_equal(thread_warmup(&THREAD_WARMUP_OPTIONS(.heap = bad), NULL), -EINVAL);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    assert_int_equal(process_warmup(&PROCESS_WARMUP_OPTIONS(.stack_bytes = SIZE_MAX), NULL),
                     -EINVAL);
    assert_int_equal(process_warmup(&PROCESS_WARMUP_OPTIONS(.heap_bytes = SIZE_MAX), NULL),
                     -EINVAL);
    assert_int_equal(thread_warmup(&THREAD_WARMUP_OPTIONS(.stack_bytes = SIZE_MAX), NULL), -EINVAL);
    assert_int_equal(thread_warmup(&THREAD_WARMUP_OPTIONS(.heap_bytes = SIZE_MAX), NULL), -EINVAL);
}

static void options_of_a_newer_version_are_refused_when_they_ask_for_more(void **state)
{
    struct {
        struct process_warmup_options options;
        size_t more;
    } newer = {.options = {.struct_size = sizeof newer}, .more = 1};
    (void)state;
    assert_int_equal(process_warmup(&newer.options, NULL), -E2BIG);
    newer.more = 0;
    assert_int_equal(process_warmup(&newer.options, NULL), 0);
}

static void a_report_without_a_size_is_refused(void **state)
{
    struct process_report report = {0};
    (void)state;
    assert_int_equal(process_warmup(NULL, &report), -EINVAL);
    assert_int_equal(thread_warmup(NULL, &report), -EINVAL);
}

static void a_report_of_an_older_version_gets_what_it_has_room_for(void **state)
{
    struct process_report report;
    (void)state;
    memset(&report, 0xee, sizeof report);
    report.struct_size = offsetof(struct process_report, data);
    assert_int_equal(process_warmup(NULL, &report), 0);
    assert_int_equal(report.code.error, 0);
    assert_int_equal(report.struct_size, offsetof(struct process_report, data));
    assert_int_equal((unsigned char)report.data.asked, 0xee);
}

static void a_hot_section_is_no_place_for_it(void **state)
{
    static struct hot_section section = HOT_SECTION("open");
    (void)state;
    hot_section_begin(&section);
    assert_int_equal(process_warmup(NULL, NULL), -EBUSY);
    assert_int_equal(thread_warmup(NULL, NULL), -EBUSY);
    (void)hot_section_end(&section);
    hot_thread_detach();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_that_are_untouched_fault_before_and_not_after),
        cmocka_unit_test(contents_do_not_change),
        cmocka_unit_test(a_second_call_repairs_what_a_fork_has_done),
        cmocka_unit_test(writes_of_other_threads_are_not_lost),
        cmocka_unit_test(an_object_that_is_loaded_later_is_warmed_by_a_second_call),
        cmocka_unit_test(without_a_second_call_it_is_cold),
        cmocka_unit_test(functions_count_as_bound_once_they_were_called),
        cmocka_unit_test(an_object_that_is_bound_when_loaded_has_no_late_functions),
        cmocka_unit_test(late_functions_fail_a_warmup_that_requires_them_bound),
        cmocka_unit_test(blocks_of_any_size_come_from_the_warm_heap),
        cmocka_unit_test(a_heap_that_the_machine_cannot_hold_is_refused),
        cmocka_unit_test(every_part_is_reported_granted_and_proven),
        cmocka_unit_test(a_thread_warms_only_what_is_its_own),
        cmocka_unit_test(what_is_off_is_left_alone),
        cmocka_unit_test(nobody_has_to_take_a_report),
        cmocka_unit_test(a_user_without_privileges_is_granted_the_same),
        cmocka_unit_test(without_proc_nothing_is_guessed),
        cmocka_unit_test(unknown_wishes_are_refused),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(options_of_a_newer_version_are_refused_when_they_ask_for_more),
        cmocka_unit_test(a_report_without_a_size_is_refused),
        cmocka_unit_test(a_report_of_an_older_version_gets_what_it_has_room_for),
        cmocka_unit_test(a_hot_section_is_no_place_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
