/*
 * The audit of this process, before and while a userfaultfd answers for some of its memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/scratch.h"
#include "support/needs.h"

#ifndef UFFD_USER_MODE_ONLY /* Linux 5.11 */
#define UFFD_USER_MODE_ONLY 1
#endif

/* Have a descriptor of userfaultfd answer the missing pages of a range; -1 where that is not to be
 * had. */
static int watch_range(void *base, size_t size_bytes)
{
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register range = {.range = {(uintptr_t)base, size_bytes},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING};
    int file = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    if (file < 0)
        return -1;
    if (ioctl(file, UFFDIO_API, &api) == 0 && ioctl(file, UFFDIO_REGISTER, &range) == 0)
        return file;
    (void)close(file);
    return -1;
}

static void memory_that_a_userfaultfd_answers_for_is_a_warning(void **state)
{
    size_t size_bytes = 1 << 20;
    void *base = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct machine_audit *before, *during;
    int file;
    (void)state;
    assert_ptr_not_equal(base, MAP_FAILED);
    before = scratch_audit("");
    file = watch_range(base, size_bytes);
    during = scratch_audit("");
    if (file >= 0)
        (void)close(file);
    (void)munmap(base, size_bytes);
    if (file >= 0) {
        assert_check(before, "userfaultfd", MACHINE_OK, "none");
        assert_int_equal(find_check(during, "userfaultfd")->severity, MACHINE_WARNING);
        assert_non_null(strstr(find_check(during, "userfaultfd")->value,
                               "0 write-protected, 1 missing, 0 minor, of "));
    }
    machine_audit_destroy(before);
    machine_audit_destroy(during);
    need("userfaultfd", file >= 0, "no descriptor of it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_a_userfaultfd_answers_for_is_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
