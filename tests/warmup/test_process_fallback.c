/*
 * A process on kernels without populate, or with one that says yes and does nothing: every page of
 * this process, its libraries included, is touched for real, while others write to them. The linker
 * puts the function below in front of libc's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <zerofault/process.h>

#include "support/pages.h"
#include "support/sanitizer.h"

#define PAGE 4096
#define PAGES 64
#define POPULATE_READ 22
#define POPULATE_WRITE 23

static bool populate_unknown;
static bool populate_lies;

int __wrap_madvise(void *base, size_t size_bytes, int advice);
int __real_madvise(void *base, size_t size_bytes, int advice);
int __wrap_madvise(void *base, size_t size_bytes, int advice)
{
    bool populates = advice == POPULATE_READ || advice == POPULATE_WRITE;
    if (populates && populate_lies)
        return 0;
    if (!populates || !populate_unknown)
        return __real_madvise(base, size_bytes, advice);
    errno = EINVAL;
    return -1;
}

static _Alignas(PAGE) unsigned char initialised[PAGES][PAGE] = {{1}, {2, 3}};
static _Alignas(PAGE) unsigned char zeroed[2][PAGES][PAGE];
static _Alignas(PAGE) uint64_t counters[PAGES][PAGE / sizeof(uint64_t)];
static int stop;

/* Plain additions until told to stop; how many. */
static void *count_up(void *unused)
{
    uint64_t rounds = 0;
    (void)unused;
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        for (size_t page = 0; page < PAGES; ++page)
            ++counters[page][0];
        ++rounds;
    }
    return (void *)(uintptr_t)rounds;
}

static void assert_warm(unsigned char *table, size_t table_bytes)
{
    struct process_report report = PROCESS_REPORT_INIT;
    assert_int_equal(process_warmup(NULL, &report), 0);
    assert_int_equal(report.data.error, 0);
    assert_int_equal(report.data.granted_bytes, report.data.asked_bytes);
    assert_int_equal(report.stack.granted_bytes, report.stack.asked_bytes);
    for (size_t offset = PAGE - 1; offset < table_bytes; offset += PAGE)
        assert_int_equal(table[offset], 0);
    assert_int_equal(initialised[0][0], 1);
    assert_int_equal(initialised[1][1], 3);
    assert_int_equal(faults_of_writing(table, table_bytes), 0);
    assert_int_equal(faults_of_writing(initialised, sizeof initialised), 0);
}

static void a_kernel_without_populate_gets_every_page_touched(void **state)
{
    (void)state;
    need_exact_faults();
    populate_unknown = true;
    assert_warm(zeroed[0][0], sizeof zeroed[0]);
    populate_unknown = false;
}

static void a_kernel_whose_populate_does_nothing_is_found_out(void **state)
{
    (void)state;
    need_exact_faults();
    populate_lies = true;
    assert_warm(zeroed[1][0], sizeof zeroed[1]);
    populate_lies = false;
}

static void writes_of_other_threads_are_not_lost_to_touching(void **state)
{
    pthread_t thread;
    void *rounds;
    (void)state;
    populate_unknown = true;
    assert_int_equal(pthread_create(&thread, NULL, count_up, NULL), 0);
    for (int round = 0; round < 20; ++round)
        (void)process_warmup(NULL, NULL);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(thread, &rounds), 0);
    for (size_t page = 0; page < PAGES; ++page)
        assert_int_equal(counters[page][0], (uintptr_t)rounds);
    populate_unknown = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_without_populate_gets_every_page_touched),
        cmocka_unit_test(a_kernel_whose_populate_does_nothing_is_found_out),
        cmocka_unit_test(writes_of_other_threads_are_not_lost_to_touching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
