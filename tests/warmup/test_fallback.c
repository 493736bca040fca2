/*
 * Warmups on kernels that lack populate or mlock, refuse them, or say yes and do nothing. The
 * linker puts the two functions below in front of libc's; the pages and their faults are real.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/sanitize.h"
#include "os/os.h"
#include "support/needs.h"
#include "support/pages.h"
#include "warmup/run.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define POPULATE_WRITE 23
#define COLLAPSE 25

/* How the kernel of this test answers. */
static struct {
    bool populate_unknown;
    int populate_error;
    bool populate_lies;
    int collapse_error;
    int mlock_error;
    bool mlock_lies;
} kernel;

int __wrap_madvise(void *base, size_t size_bytes, int advice);
int __real_madvise(void *base, size_t size_bytes, int advice);
int __wrap_madvise(void *base, size_t size_bytes, int advice)
{
    int error = 0;
    if (advice == POPULATE_WRITE && kernel.populate_unknown)
        error = EINVAL;
    else if (advice == POPULATE_WRITE && size_bytes != 0)
        error = kernel.populate_error;
    else if (advice == COLLAPSE && size_bytes != 0)
        error = kernel.collapse_error;
    if (error == 0 && advice == POPULATE_WRITE && kernel.populate_lies)
        return 0;
    if (error == 0)
        return __real_madvise(base, size_bytes, advice);
    errno = error;
    return -1;
}

long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; ++i)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if ((number == SYS_mlock || number == SYS_mlock2) && kernel.mlock_error != 0) {
        errno = kernel.mlock_error;
        return -1;
    }
    if ((number == SYS_mlock || number == SYS_mlock2) && kernel.mlock_lies)
        return 0;
    return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                          arguments[4], arguments[5]);
}

static int give_back_the_kernel(void **state)
{
    (void)state;
    memset(&kernel, 0, sizeof kernel);
    return 0;
}

static struct zf_warmup_wishes wishes_of(enum warmup_wish huge_pages, enum warmup_wish lock)
{
    return (struct zf_warmup_wishes){
        .bind = WARMUP_PREFER, .huge_pages = huge_pages, .lock = lock, .node = -1};
}

static struct zf_region create(enum warmup_wish huge_pages)
{
    struct zf_region_options options = {
        .size_bytes = 4 * MIB, .node = -1, .bind = WARMUP_PREFER, .huge_pages = huge_pages};
    struct zf_region region;
    assert_int_equal(zf_region_create(&region, &options), 0);
    return region;
}

static struct warmup_report warm(struct zf_region *region, struct zf_warmup_wishes wishes)
{
    struct warmup_options options = {.struct_size = sizeof options, .chunk_bytes = MIB};
    struct warmup_report report;
    int rc = zf_warmup_region(region, &wishes, &options, &report);
    assert_int_equal(rc, report.result);
    return report;
}

/* Warm a small-paged, unlocked region and look at it. */
static void assert_warmed_by(enum warmup_method method, int fallback_error)
{
    struct zf_region region = create(WARMUP_OFF);
    struct warmup_report report = warm(&region, wishes_of(WARMUP_OFF, WARMUP_OFF));
    assert_int_equal(report.result, 0);
    assert_int_equal(report.method, method);
    assert_int_equal(report.fallback_error, fallback_error);
    assert_int_equal(report.proven, 1);
    assert_int_equal(report.proof_faults, 0);
    assert_int_equal(report.populate.granted_bytes, 4 * MIB);
    assert_false(mapping_has_flag(region.base, "lo"));
    assert_int_equal(faults_of_writing(region.base, region.size_bytes), 0);
    zf_region_destroy(&region);
}

static void without_populate_mlock_does_it_and_lets_go(void **state)
{
    (void)state;
    kernel.populate_unknown = true;
    assert_warmed_by(WARMUP_METHOD_MLOCK, -EOPNOTSUPP);
}

/* Two threads that lock would leave it in pieces. */
static void one_thread_locks_and_the_region_stays_in_one_piece(void **state)
{
    struct zf_region region = create(WARMUP_OFF);
    struct zf_warmup_wishes wishes = wishes_of(WARMUP_OFF, WARMUP_PREFER);
    struct warmup_options options = {
        .struct_size = sizeof options, .chunk_bytes = MIB, .threads = 2};
    struct warmup_report report;
    (void)state;
    kernel.populate_unknown = true;
    assert_int_equal(zf_warmup_region(&region, &wishes, &options, &report), 0);
    assert_int_equal(report.method, WARMUP_METHOD_MLOCK);
    assert_int_equal(report.threads_asked, 2);
    assert_int_equal(report.threads_got, 1);
    assert_int_equal(report.threads_error, -EOPNOTSUPP);
    assert_non_null(report.threads_remedy);
    assert_int_equal(report.lock.granted_bytes, 4 * MIB);
    assert_int_equal(mapping_bytes(region.base, "Size:"), 4 * MIB);
    zf_region_destroy(&region);
}

static void a_populate_that_is_refused_is_replaced(void **state)
{
    (void)state;
    kernel.populate_error = EPERM;
    assert_warmed_by(WARMUP_METHOD_MLOCK, -EPERM);
}

static void a_populate_that_lies_is_found_out(void **state)
{
    (void)state;
    kernel.populate_lies = true;
    assert_warmed_by(WARMUP_METHOD_MLOCK, -ENODATA);
}

static void without_both_the_pages_are_touched(void **state)
{
    (void)state;
    kernel.populate_unknown = true;
    kernel.mlock_error = ENOMEM;
    assert_warmed_by(WARMUP_METHOD_TOUCH, -ENOMEM);
    kernel.mlock_error = EPERM;
    assert_warmed_by(WARMUP_METHOD_TOUCH, -EPERM);
    kernel.mlock_error = 0;
    kernel.mlock_lies = true;
    assert_warmed_by(WARMUP_METHOD_TOUCH, -ENODATA);
}

ZF_UNINSTRUMENTED static void add_one(unsigned char *byte)
{
    __atomic_fetch_add(byte, 1, __ATOMIC_RELAXED);
}

/* Faults that one atomic operation on a fresh page takes on this machine. */
static uint64_t faults_of_adding(void)
{
    struct zf_os_counters before, after;
    unsigned char *page =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    zf_os_counters(&after);
    zf_os_counters(&before);
    add_one(page);
    zf_os_counters(&after);
    assert_int_equal(munmap(page, PAGE), 0);
    return after.faults_minor - before.faults_minor;
}

/* A load before the write would be a fault of its own, and so would a write that goes elsewhere. */
static void a_touch_faults_once_per_page_and_keeps_content(void **state)
{
    struct zf_region region = create(WARMUP_OFF);
    unsigned char *bytes = region.base;
    struct zf_os_counters before, after;
    (void)state;
    need("atomic operations", faults_of_adding() == 1, "this emulator reads before it writes");
    bytes[0] = 77;
    zf_warmup_touch(bytes, PAGE, PAGE);
    zf_os_counters(&before);
    zf_warmup_touch(bytes, region.size_bytes, PAGE);
    zf_os_counters(&after);
    assert_int_equal(after.faults_minor - before.faults_minor, region.size_bytes / PAGE - 1);
    assert_int_equal(bytes[0], 77);
    assert_int_equal(bytes[PAGE], 0);
    assert_int_equal(faults_of_writing(bytes, region.size_bytes), 0);
    zf_region_destroy(&region);
}

static void memory_that_is_short_is_not_answered_by_touching(void **state)
{
    struct zf_region region = create(WARMUP_OFF);
    struct warmup_report report;
    (void)state;
    kernel.populate_error = ENOMEM;
    report = warm(&region, wishes_of(WARMUP_OFF, WARMUP_OFF));
    assert_int_equal(report.result, -ENOMEM);
    assert_int_equal(report.method, WARMUP_METHOD_POPULATE_WRITE);
    assert_int_equal(report.populate.granted_bytes, 0);
    assert_non_null(report.populate.remedy);

    kernel.populate_unknown = true;
    kernel.mlock_error = EAGAIN;
    report = warm(&region, wishes_of(WARMUP_OFF, WARMUP_OFF));
    assert_int_equal(report.result, -ENOMEM);
    assert_int_equal(report.method, WARMUP_METHOD_MLOCK);
    assert_int_equal(report.populate.granted_bytes, 0);
    zf_region_destroy(&region);
}

static void broken_memory_is_reported_as_such(void **state)
{
    struct zf_region region = create(WARMUP_OFF);
    struct warmup_report report;
    (void)state;
    kernel.populate_error = EHWPOISON;
    report = warm(&region, wishes_of(WARMUP_OFF, WARMUP_PREFER));
    assert_int_equal(report.result, -EHWPOISON);
    assert_int_equal(report.populate.error, -EHWPOISON);
    assert_non_null(report.populate.remedy);
    assert_int_equal(report.lock.granted_bytes, 0);
    zf_region_destroy(&region);
}

static void a_lock_that_lies_is_found_out(void **state)
{
    struct zf_region region = create(WARMUP_OFF);
    struct warmup_report report;
    (void)state;
    kernel.mlock_lies = true;
    report = warm(&region, wishes_of(WARMUP_OFF, WARMUP_PREFER));
    assert_int_equal(report.result, 0);
    assert_int_equal(report.lock.error, -EAGAIN);
    assert_int_equal(report.lock.granted_bytes, 0);
    assert_non_null(report.lock.remedy);
    report = warm(&region, wishes_of(WARMUP_OFF, WARMUP_REQUIRE));
    assert_int_equal(report.result, -EAGAIN);
    zf_region_destroy(&region);
}

static void assert_huge_pages_come_by(enum warmup_method method)
{
    struct zf_region region = create(WARMUP_REQUIRE);
    struct warmup_report report = warm(&region, wishes_of(WARMUP_REQUIRE, WARMUP_OFF));
    assert_int_equal(report.result, 0);
    assert_int_equal(report.method, method);
    assert_int_equal(report.huge_pages.granted_bytes, 4 * MIB);
    assert_int_equal(report.proven, 1);
    assert_int_equal(faults_of_writing(region.base, region.size_bytes), 0);
    zf_region_destroy(&region);
}

static void huge_pages_come_by_mlock(void **state)
{
    (void)state;
    need("transparent huge pages", zf_os_huge_page_bytes() != 0, "this kernel has none");
    kernel.populate_unknown = true;
    assert_huge_pages_come_by(WARMUP_METHOD_MLOCK);
}

/* A machine that loads first gets the huge zero page, which older kernels split at the write. */
static void huge_pages_come_by_touch(void **state)
{
    (void)state;
    need("transparent huge pages", zf_os_huge_page_bytes() != 0, "this kernel has none");
    need("atomic operations", faults_of_adding() == 1, "this emulator reads before it writes");
    kernel.populate_unknown = true;
    kernel.mlock_error = EPERM;
    assert_huge_pages_come_by(WARMUP_METHOD_TOUCH);
}

static void a_collapse_that_fails_decides_over_a_requirement_only(void **state)
{
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    need("transparent huge pages", zf_os_huge_page_bytes() != 0, "this kernel has none");
    region = create(WARMUP_PREFER);
    assert_int_equal(zf_os_advise(region.base, region.size_bytes, ZF_OS_HUGE_FROZEN), 0);
    (void)faults_of_writing(region.base, region.size_bytes);
    need("collapse", madvise(NULL, 0, COLLAPSE) == 0, "this kernel has no MADV_COLLAPSE");
    kernel.collapse_error = EINVAL;

    report = warm(&region, wishes_of(WARMUP_PREFER, WARMUP_OFF));
    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 1);
    assert_int_equal(report.huge_pages.error, -EOPNOTSUPP);
    assert_int_equal(report.huge_pages.granted_bytes, 0);
    assert_int_equal(report.huge_pages.asked_bytes, 4 * MIB);
    assert_non_null(report.huge_pages.remedy);

    report = warm(&region, wishes_of(WARMUP_REQUIRE, WARMUP_OFF));
    assert_int_equal(report.result, -EOPNOTSUPP);
    assert_int_equal(report.proven, 0);
    zf_region_destroy(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_populate_mlock_does_it_and_lets_go, give_back_the_kernel),
        cmocka_unit_test_teardown(one_thread_locks_and_the_region_stays_in_one_piece,
                                  give_back_the_kernel),
        cmocka_unit_test_teardown(a_populate_that_is_refused_is_replaced, give_back_the_kernel),
        cmocka_unit_test_teardown(a_populate_that_lies_is_found_out, give_back_the_kernel),
        cmocka_unit_test_teardown(without_both_the_pages_are_touched, give_back_the_kernel),
        cmocka_unit_test_teardown(a_touch_faults_once_per_page_and_keeps_content,
                                  give_back_the_kernel),
        cmocka_unit_test_teardown(memory_that_is_short_is_not_answered_by_touching,
                                  give_back_the_kernel),
        cmocka_unit_test_teardown(broken_memory_is_reported_as_such, give_back_the_kernel),
        cmocka_unit_test_teardown(a_lock_that_lies_is_found_out, give_back_the_kernel),
        cmocka_unit_test_teardown(huge_pages_come_by_mlock, give_back_the_kernel),
        cmocka_unit_test_teardown(huge_pages_come_by_touch, give_back_the_kernel),
        cmocka_unit_test_teardown(a_collapse_that_fails_decides_over_a_requirement_only,
                                  give_back_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
