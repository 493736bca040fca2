/*
 * The Linux calls on a kernel that lacks some of them: the linker puts the functions below in
 * front of libc's, and each test says what is missing. What is left runs on the real kernel.
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

#include "os/os.h"
#include "support/needs.h"
#include "support/pages.h"

#define PAGE ((size_t)4096)
#define PAGES ((size_t)64)

/* What the kernel of this test does not have, or refuses. */
static struct {
    int ioctl_error;
    const char *hidden_path;
    const char *hidden_path_too;
    int unknown_advice; /* 0 none */
    int refused_advice;
    int refusal;
    long refused_call; /* number; -1 none */
    int call_error;
    int prctl_error;
} kernel;

int __wrap_ioctl(int file, unsigned long request, void *argument);
int __real_ioctl(int file, unsigned long request, void *argument);
int __wrap_ioctl(int file, unsigned long request, void *argument)
{
    if (kernel.ioctl_error == 0)
        return __real_ioctl(file, request, argument);
    errno = kernel.ioctl_error;
    return -1;
}

int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    if ((kernel.hidden_path == NULL || strcmp(path, kernel.hidden_path) != 0) &&
        (kernel.hidden_path_too == NULL || strcmp(path, kernel.hidden_path_too) != 0))
        return __real_open(path, flags);
    errno = ENOENT;
    return -1;
}

int __wrap_madvise(void *base, size_t size_bytes, int advice);
int __real_madvise(void *base, size_t size_bytes, int advice);
int __wrap_madvise(void *base, size_t size_bytes, int advice)
{
    if (advice == kernel.unknown_advice)
        errno = EINVAL;
    else if (advice == kernel.refused_advice && size_bytes != 0)
        errno = kernel.refusal;
    else
        return __real_madvise(base, size_bytes, advice);
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
    if (number != kernel.refused_call)
        return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                              arguments[4], arguments[5]);
    errno = kernel.call_error;
    return -1;
}

int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...)
{
    (void)option;
    errno = kernel.prctl_error;
    return kernel.prctl_error == 0 ? 0 : -1;
}

static int give_back_the_kernel(void **state)
{
    (void)state;
    memset(&kernel, 0, sizeof kernel);
    kernel.refused_call = -1;
    return 0;
}

static unsigned char *create(void)
{
    void *base = NULL;
    assert_int_equal(zf_os_reserve(PAGES * PAGE, PAGE, &base), 0);
    assert_int_equal(zf_os_commit(base, PAGES * PAGE), 0);
    return base;
}

static void destroy(unsigned char *base)
{
    assert_int_equal(zf_os_release(base, PAGES * PAGE), 0);
}

/* ------------------------------------------------------------------------------------ residency */

/* Every other page written, the rest zero pages. */
static unsigned char *create_striped(void)
{
    unsigned char *base = create();
    assert_int_equal(zf_os_advise(base, PAGES * PAGE, ZF_OS_HUGE_FROZEN), 0);
    for (size_t page = 0; page < PAGES; page += 2)
        base[page * PAGE] = 1;
    assert_int_equal(faults_of_reading(base, PAGES * PAGE), PAGES / 2);
    return base;
}

static void without_pagemap_scan_zero_pages_still_do_not_count(void **state)
{
    unsigned char *base = create_striped();
    struct zf_os_residency residency;
    (void)state;
    kernel.ioctl_error = ENOTTY;
    assert_int_equal(zf_os_residency(base, PAGES * PAGE, &residency), 0);
    assert_int_equal(residency.present_bytes, PAGES / 2 * PAGE);
    assert_true(residency.huge_known);
    assert_int_equal(residency.huge_bytes, 0);
    destroy(base);
}

static void without_pagemap_scan_absent_pages_are_seen_page_by_page(void **state)
{
    unsigned char *base = create();
    struct zf_os_residency residency;
    (void)state;
    assert_int_equal(zf_os_advise(base, PAGES * PAGE, ZF_OS_HUGE_FROZEN), 0);
    for (size_t page = 0; page < PAGES; page += 4)
        base[page * PAGE] = 1;
    kernel.ioctl_error = ENOTTY;
    assert_int_equal(zf_os_residency(base, PAGES * PAGE, &residency), 0);
    assert_int_equal(residency.present_bytes, PAGES / 4 * PAGE);
    assert_int_equal(zf_os_residency(base + PAGE, 3 * PAGE, &residency), 0);
    assert_int_equal(residency.present_bytes, 0);
    destroy(base);
}

static void without_pagemap_scan_huge_and_locked_bytes_come_from_smaps(void **state)
{
    size_t huge = zf_os_huge_page_bytes();
    struct zf_os_residency residency;
    size_t locked_bytes = 0;
    void *base;
    (void)state;
    need("transparent huge pages", huge != 0, "this kernel has none");
    assert_int_equal(zf_os_reserve(2 * huge, huge, &base), 0);
    assert_int_equal(zf_os_commit(base, 2 * huge), 0);
    assert_int_equal(zf_os_advise(base, 2 * huge, ZF_OS_HUGE_WISHED), 0);
    (void)faults_of_writing(base, 2 * huge);
    assert_int_equal(zf_os_lock(base, huge), 0);
    kernel.ioctl_error = EINVAL;

    assert_int_equal(zf_os_residency(base, 2 * huge, &residency), 0);
    assert_int_equal(residency.present_bytes, 2 * huge);
    assert_int_equal(residency.huge_bytes, 2 * huge);
    assert_int_equal(zf_os_locked_bytes(base, 2 * huge, NULL, &locked_bytes), 0);
    assert_int_equal(locked_bytes, huge);
    assert_int_equal(zf_os_release(base, 2 * huge), 0);
}

/* Two ranges made one after the other lie side by side. */
static void without_pagemap_scan_a_cold_neighbour_does_not_matter(void **state)
{
    size_t huge = zf_os_huge_page_bytes();
    struct zf_os_residency residency;
    void *warm, *cold;
    (void)state;
    need("transparent huge pages", huge != 0, "this kernel has none");
    assert_int_equal(zf_os_reserve(2 * huge, PAGE, &cold), 0);
    assert_int_equal(zf_os_reserve(2 * huge, huge, &warm), 0);
    assert_int_equal(zf_os_commit(cold, 2 * huge), 0);
    assert_int_equal(zf_os_commit(warm, 2 * huge), 0);
    assert_int_equal(zf_os_advise(cold, 2 * huge, ZF_OS_HUGE_WISHED), 0);
    assert_int_equal(zf_os_advise(warm, 2 * huge, ZF_OS_HUGE_WISHED), 0);
    (void)faults_of_writing(warm, 2 * huge);
    kernel.ioctl_error = ENOTTY;
    assert_int_equal(zf_os_residency(warm, 2 * huge, &residency), 0);
    assert_int_equal(residency.present_bytes, 2 * huge);
    assert_int_equal(residency.huge_bytes, 2 * huge);
    assert_int_equal(zf_os_residency(cold, 2 * huge, &residency), 0);
    assert_int_equal(residency.present_bytes, 0);
    assert_int_equal(zf_os_release(warm, 2 * huge), 0);
    assert_int_equal(zf_os_release(cold, 2 * huge), 0);
}

static void without_pagemap_mincore_tells_presence(void **state)
{
    unsigned char *base = create();
    struct zf_os_residency residency;
    (void)state;
    assert_int_equal(zf_os_advise(base, PAGES * PAGE, ZF_OS_HUGE_FROZEN), 0);
    for (size_t page = 0; page < PAGES; page += 4)
        base[page * PAGE] = 1;
    kernel.hidden_path = "/proc/self/pagemap";
    assert_int_equal(zf_os_residency(base, PAGES * PAGE, &residency), 0);
    assert_int_equal(residency.present_bytes, PAGES / 4 * PAGE);
    assert_true(residency.huge_known);
    destroy(base);
}

static void without_proc_huge_and_locked_bytes_are_not_made_up(void **state)
{
    unsigned char *base = create();
    struct zf_os_residency residency;
    size_t locked_bytes = 1;
    (void)state;
    assert_int_equal(zf_os_lock(base, PAGES * PAGE), 0);
    kernel.hidden_path = "/proc/self/pagemap";
    kernel.hidden_path_too = "/proc/self/smaps";
    assert_int_equal(zf_os_residency(base, PAGES * PAGE, &residency), 0);
    assert_int_equal(residency.present_bytes, PAGES * PAGE);
    assert_false(residency.huge_known);
    assert_int_equal(zf_os_locked_bytes(base, PAGES * PAGE, NULL, &locked_bytes), -EOPNOTSUPP);
    assert_int_equal(locked_bytes, 0);
    destroy(base);
}

/* --------------------------------------------------------------------------- unknown or refused */

static void unknown_advice_is_told_from_refused_advice(void **state)
{
    unsigned char *base = create();
    (void)state;
    kernel.unknown_advice = 23;
    assert_int_equal(zf_os_populate(base, PAGES * PAGE), -EOPNOTSUPP);
    kernel.unknown_advice = 25;
    assert_int_equal(zf_os_advise(base, PAGES * PAGE, ZF_OS_HUGE_COLLAPSE), -EOPNOTSUPP);

    /* Advice that every kernel knows. */
    kernel.unknown_advice = 0;
    kernel.refused_advice = MADV_DONTFORK;
    kernel.refusal = EINVAL;
    assert_int_equal(zf_os_advise(base, PAGES * PAGE, ZF_OS_FORK_EXCLUDE), -EINVAL);
    kernel.refusal = ENOMEM;
    assert_int_equal(zf_os_advise(base, PAGES * PAGE, ZF_OS_FORK_EXCLUDE), -ENOMEM);
    kernel.refusal = ENOSYS;
    assert_int_equal(zf_os_advise(base, PAGES * PAGE, ZF_OS_FORK_EXCLUDE), -EOPNOTSUPP);
    destroy(base);
}

static void a_kernel_without_policies_is_told_from_a_sandbox(void **state)
{
    unsigned char *base = create();
    (void)state;
    kernel.refused_call = SYS_mbind;
    kernel.call_error = ENOSYS;
    assert_int_equal(zf_os_prefer_node(base, PAGES * PAGE, -1), -EOPNOTSUPP);
    assert_int_equal(zf_os_prefer_node(base, PAGES * PAGE, 0), -EOPNOTSUPP);
    kernel.call_error = EPERM;
    assert_int_equal(zf_os_prefer_node(base, PAGES * PAGE, -1), -EPERM);
    assert_int_equal(zf_os_prefer_node(base, PAGES * PAGE, 0), -EPERM);
    destroy(base);
}

/* mbind answers EINVAL to a node outside the cpuset as to one that does not exist. */
static void a_node_outside_the_cpuset_is_told_from_one_that_does_not_exist(void **state)
{
    unsigned char *base = create();
    (void)state;
    kernel.refused_call = SYS_mbind;
    kernel.call_error = EINVAL;
    assert_int_equal(zf_os_prefer_node(base, PAGES * PAGE, 0), -EPERM);
    assert_int_equal(zf_os_prefer_node(base, PAGES * PAGE, 900), -ENODEV);
    destroy(base);
}

static void a_kernel_without_names_is_unsupported(void **state)
{
    unsigned char *base = create();
    (void)state;
    kernel.prctl_error = EINVAL;
    assert_int_equal(zf_os_name(base, PAGES * PAGE, "orders"), -EOPNOTSUPP);
    kernel.prctl_error = ENOMEM;
    assert_int_equal(zf_os_name(base, PAGES * PAGE, "orders"), -ENOMEM);
    kernel.prctl_error = 0;
    assert_int_equal(zf_os_name(base, PAGES * PAGE, "orders"), 0);
    destroy(base);
}

static void without_huge_pages_in_sys_there_are_none(void **state)
{
    (void)state;
    kernel.hidden_path = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";
    assert_int_equal(zf_os_huge_page_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_pagemap_scan_zero_pages_still_do_not_count,
                                  give_back_the_kernel),
        cmocka_unit_test_teardown(without_pagemap_scan_absent_pages_are_seen_page_by_page,
                                  give_back_the_kernel),
        cmocka_unit_test_teardown(without_pagemap_scan_huge_and_locked_bytes_come_from_smaps,
                                  give_back_the_kernel),
        cmocka_unit_test_teardown(without_pagemap_scan_a_cold_neighbour_does_not_matter,
                                  give_back_the_kernel),
        cmocka_unit_test_teardown(without_pagemap_mincore_tells_presence, give_back_the_kernel),
        cmocka_unit_test_teardown(without_proc_huge_and_locked_bytes_are_not_made_up,
                                  give_back_the_kernel),
        cmocka_unit_test_teardown(unknown_advice_is_told_from_refused_advice, give_back_the_kernel),
        cmocka_unit_test_teardown(a_kernel_without_policies_is_told_from_a_sandbox,
                                  give_back_the_kernel),
        cmocka_unit_test_teardown(a_node_outside_the_cpuset_is_told_from_one_that_does_not_exist,
                                  give_back_the_kernel),
        cmocka_unit_test_teardown(a_kernel_without_names_is_unsupported, give_back_the_kernel),
        cmocka_unit_test_teardown(without_huge_pages_in_sys_there_are_none, give_back_the_kernel),
    };
    (void)give_back_the_kernel(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
