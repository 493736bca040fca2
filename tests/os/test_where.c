/*
 * What lies at an address of this very process: mappings, parts of objects, pages, and what belongs
 * to the thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include "support/needs.h"

#define PAGE ((size_t)4096)

static int variable_with_a_value = 7;
static char variable_of_zeros[4 * PAGE];
static const char constant[] = "constant";
static __thread int local_variable;

static struct zf_os_where where_is(const void *address)
{
    struct zf_os_where where;
    assert_int_equal(zf_os_where((uintptr_t)address, &where), 0);
    assert_true((uintptr_t)address >= where.begin && (uintptr_t)address < where.end);
    return where;
}

static void function_of_this_file(void)
{
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

static void parts_of_the_program_are_told_apart(void **state)
{
    struct zf_os_where where = where_is((const void *)(uintptr_t)function_of_this_file);
    (void)state;
    assert_int_equal(where.part, ZF_OS_PART_CODE);
    assert_int_equal(where.kind, ZF_OS_WHERE_FILE);
    assert_true(where.executable);
    assert_true(ends_with(where.name, "/test_os_where"));

    where = where_is(&variable_with_a_value);
    assert_int_equal(where.part, ZF_OS_PART_DATA);
    assert_true(where.writable && !where.shared);

    where = where_is(variable_of_zeros + 3 * PAGE);
    assert_int_equal(where.part, ZF_OS_PART_ZEROS);
    assert_true(ends_with(where.name, "/test_os_where"));

    where = where_is(constant);
    assert_int_equal(where.part, ZF_OS_PART_CONSTANTS);
    assert_false(where.writable);
}

static int find_linkage(struct dl_phdr_info *info, size_t size_bytes, void *context)
{
    (void)size_bytes;
    for (size_t i = 0; i < info->dlpi_phnum; ++i)
        if (info->dlpi_phdr[i].p_type == PT_GNU_RELRO)
            *(uintptr_t *)context = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    return 1; /* the program itself comes first */
}

static void what_the_loader_fills_in_is_linkage(void **state)
{
    uintptr_t linkage = 0;
    (void)state;
    (void)dl_iterate_phdr(find_linkage, &linkage);
    assert_int_not_equal(linkage, 0);
    assert_int_equal(where_is((const void *)linkage).part, ZF_OS_PART_LINKAGE);
}

static void file_is_named_with_the_offset_of_the_address(void **state)
{
    struct zf_os_where where;
    char name[] = "/tmp/zf_where_XXXXXX";
    int file = mkstemp(name);
    unsigned char *base;
    (void)state;
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, 4 * PAGE), 0);
    base = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, file, PAGE);
    assert_ptr_not_equal(base, MAP_FAILED);

    where = where_is(base + PAGE + 5);
    assert_int_equal(where.kind, ZF_OS_WHERE_FILE);
    assert_int_equal(where.part, ZF_OS_PART_NONE);
    assert_string_equal(where.name, name);
    assert_int_equal(where.file_offset, 2 * PAGE + 5);
    assert_true(where.shared && where.readable && !where.writable);

    assert_int_equal(munmap(base, 2 * PAGE), 0);
    assert_int_equal(zf_os_where((uintptr_t)base, &where), -ENODATA);
    (void)unlink(name);
    (void)close(file);
}

static void long_path_keeps_its_end(void **state)
{
    struct zf_os_where where;
    char name[400];
    void *base;
    int file;
    (void)state;
    (void)snprintf(name, sizeof name, "/tmp/%0200d_the_end", 0);
    file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    (void)unlink(name);
    assert_int_equal(ftruncate(file, PAGE), 0);
    base = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    assert_ptr_not_equal(base, MAP_FAILED);
    where = where_is(base);
    assert_int_equal(strlen(where.name), ZF_OS_NAME_MAX - 1);
    assert_memory_equal(where.name, "...0", 4);
    assert_true(ends_with(where.name, "_the_end (deleted)"));
    (void)munmap(base, PAGE);
    (void)close(file);
}

static void memory_without_a_file_is_told_by_kind(void **state)
{
    struct zf_os_where where;
    void *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void *own = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool named;
    (void)state;
    assert_int_equal(where_is(shared).kind, ZF_OS_WHERE_SHARED);
    assert_int_equal(where_is(own).kind, ZF_OS_WHERE_ANONYMOUS);
    named = zf_os_name(own, PAGE, "some name") == 0;
    where = where_is(own);
    assert_int_equal(where.kind, ZF_OS_WHERE_ANONYMOUS);
    assert_string_equal(where.name, named ? "some name" : "");
    assert_int_equal(where_is((const void *)getauxval(AT_SYSINFO_EHDR)).kind, ZF_OS_WHERE_SYSTEM);
    (void)munmap(shared, PAGE);
    (void)munmap(own, PAGE);
}

static void page_is_present_zero_or_neither(void **state)
{
    struct zf_os_page page;
    volatile unsigned char *base =
        mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_int_equal(madvise((void *)(uintptr_t)base, 3 * PAGE, MADV_NOHUGEPAGE), 0);
    base[0] = 1;
    (void)base[PAGE];
    assert_int_equal(zf_os_page((uintptr_t)base + 17, &page), 0);
    assert_true(page.present && !page.is_zero && !page.is_huge && !page.swapped);
    assert_int_equal(zf_os_page((uintptr_t)base + PAGE, &page), 0);
    assert_true(page.present);
    assert_int_equal(page.is_zero, page.zero_known);
    assert_int_equal(zf_os_page((uintptr_t)base + 2 * PAGE, &page), 0);
    assert_false(page.present || page.is_zero);
    (void)munmap((void *)(uintptr_t)base, 3 * PAGE);
}

static void policy_of_a_range_is_found(void **state)
{
    void *base;
    bool has_policy = true;
    int rc;
    (void)state;
    assert_int_equal(zf_os_reserve(PAGE, PAGE, &base), 0);
    assert_int_equal(zf_os_commit(base, PAGE), 0);
    rc = zf_os_has_policy((uintptr_t)base, &has_policy);
    need("numa", rc == 0, "get_mempolicy is refused here: %s", strerror(-rc));
    assert_false(has_policy);
    assert_int_equal(zf_os_prefer_node(base, PAGE, -1), 0);
    assert_int_equal(zf_os_has_policy((uintptr_t)base, &has_policy), 0);
    assert_true(has_policy);
    (void)zf_os_release(base, PAGE);
}

static void assert_ranges_are_the_callers(void)
{
    struct zf_os_thread_ranges ranges;
    zf_os_thread_ranges(&ranges);
    /* Sanitizers may move locals elsewhere, but not the frame. */
    assert_true((uintptr_t)__builtin_frame_address(0) >= ranges.stack_begin);
    assert_true((uintptr_t)__builtin_frame_address(0) < ranges.stack_end);
    assert_true((uintptr_t)&local_variable >= ranges.locals_begin);
    assert_true((uintptr_t)&local_variable < ranges.locals_end);
}

static void *in_thread(void *argument)
{
    assert_ranges_are_the_callers();
    return argument;
}

static void stack_and_locals_are_those_of_the_calling_thread(void **state)
{
    pthread_t thread;
    (void)state;
    assert_ranges_are_the_callers();
    assert_int_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void forks_are_counted_from_the_first_question_on(void **state)
{
    struct zf_os_forks before = zf_os_forks();
    struct zf_os_forks after;
    pid_t child;
    int status;
    (void)state;
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(zf_os_forks().undergone == before.undergone + 1 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    after = zf_os_forks();
    assert_int_equal(after.made, before.made + 1);
    assert_int_equal(after.undergone, before.undergone);
    assert_true(after.last_ns > before.last_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_the_program_are_told_apart),
        cmocka_unit_test(what_the_loader_fills_in_is_linkage),
        cmocka_unit_test(file_is_named_with_the_offset_of_the_address),
        cmocka_unit_test(long_path_keeps_its_end),
        cmocka_unit_test(memory_without_a_file_is_told_by_kind),
        cmocka_unit_test(page_is_present_zero_or_neither),
        cmocka_unit_test(policy_of_a_range_is_found),
        cmocka_unit_test(stack_and_locals_are_those_of_the_calling_thread),
        cmocka_unit_test(forks_are_counted_from_the_first_question_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
