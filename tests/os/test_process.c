/*
 * What the system tells of a process: objects, thread-local variables, stack, heap, mappings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "os/linux/maps.h"
#include "os/os.h"
#include "support/pages.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)

static unsigned char variable[3] = {1};
static unsigned char zeroed[5 * 4096];
static const char *const relocated[] = {"a", "b"};
static _Thread_local unsigned char of_thread[2 * 4096];

/* --------------------------------------------------------------------------------------- loaded */

/* A search for the stretch that holds an address. */
struct search {
    uintptr_t address;
    unsigned found;
    bool writable;
    char object[256];
};

static int look(const struct zf_os_image *image, void *context)
{
    struct search *search = context;
    assert_non_null(image->object);
    assert_int_equal(((uintptr_t)image->base | image->size_bytes) % PAGE, 0);
    assert_true(image->size_bytes != 0);
    if (search->address - (uintptr_t)image->base >= image->size_bytes)
        return 0;
    ++search->found;
    search->writable = image->writable;
    strncpy(search->object, image->object, sizeof search->object - 1);
    return 0;
}

static struct search find(uintptr_t address)
{
    struct search search = {.address = address};
    assert_int_equal(zf_os_each_image(look, &search), 0);
    return search;
}

static void variables_of_the_program_are_writable_stretches(void **state)
{
    struct search search = find((uintptr_t)variable);
    (void)state;
    assert_int_equal(search.found, 1);
    assert_true(search.writable);
    assert_string_equal(search.object, "");
    search = find((uintptr_t)&zeroed[4 * PAGE]);
    assert_int_equal(search.found, 1);
    assert_true(search.writable);
}

static void code_and_constants_are_stretches_that_are_read(void **state)
{
    const uintptr_t addresses[] = {(uintptr_t)look, (uintptr_t) "constant"};
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; ++i) {
        struct search search = find(addresses[i]);
        assert_int_equal(search.found, 1);
        assert_false(search.writable);
    }
}

static void what_was_made_read_only_after_relocation_is_not_written(void **state)
{
    struct search search = find((uintptr_t)relocated);
    (void)state;
    assert_int_equal(search.found, 1);
    assert_false(search.writable);
}

static void libraries_are_named(void **state)
{
    struct search search = find((uintptr_t)clock_gettime);
    (void)state;
    need_no_sanitizer();
    assert_int_equal(search.found, 1);
    assert_non_null(strstr(search.object, "lib"));
}

static void stacks_heaps_and_mappings_are_of_no_object(void **state)
{
    unsigned char local = 0;
    void *block;
    (void)state;
    need_no_sanitizer();
    block = malloc(100);
    assert_int_equal(find((uintptr_t)&local).found, 0);
    assert_int_equal(find((uintptr_t)block).found, 0);
    free(block);
}

/* A program may forbid its own pages; what cannot be read is not a stretch. */
static void pages_that_the_program_made_inaccessible_are_left_out(void **state)
{
    unsigned char *page = (unsigned char *)(((uintptr_t)zeroed + PAGE - 1) / PAGE * PAGE);
    (void)state;
    assert_int_equal(mprotect(page + PAGE, PAGE, PROT_NONE), 0);
    assert_int_equal(find((uintptr_t)page).found, 1);
    assert_int_equal(find((uintptr_t)page + PAGE).found, 0);
    assert_int_equal(find((uintptr_t)page + 2 * PAGE).found, 1);
    assert_int_equal(mprotect(page + PAGE, PAGE, PROT_READ), 0);
    assert_false(find((uintptr_t)page + PAGE).writable);
    assert_int_equal(mprotect(page + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
    assert_true(find((uintptr_t)page + PAGE).writable);
}

static int stop_at_second(const struct zf_os_image *image, void *context)
{
    int *count = context;
    (void)image;
    return ++*count == 2 ? 77 : 0;
}

static void a_visitor_ends_the_walk(void **state)
{
    int count = 0;
    (void)state;
    assert_int_equal(zf_os_each_image(stop_at_second, &count), 77);
    assert_int_equal(count, 2);
}

/* ----------------------------------------------------------------------- thread-local variables */

static void *find_own_variables(void *context)
{
    struct search *search = context;
    search->address = (uintptr_t)&of_thread[PAGE];
    (void)zf_os_each_thread_local(look, search);
    return NULL;
}

static void each_thread_finds_its_own_variables(void **state)
{
    struct search own = {0};
    struct search others = {0};
    pthread_t thread;
    (void)state;
    (void)find_own_variables(&own);
    assert_int_equal(pthread_create(&thread, NULL, find_own_variables, &others), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(own.found >= 1);
    assert_true(others.found >= 1);
    assert_true(own.writable);
    assert_int_not_equal(own.address, others.address);
}

/* ---------------------------------------------------------------------------------------- stack */

static void *check_stack(void *context)
{
    struct zf_os_stack stack;
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    int *rc = context;
    *rc = zf_os_stack(&stack);
    if (*rc == 0)
        *rc = (uintptr_t)stack.lowest <= (uintptr_t)stack.frame &&
                      (uintptr_t)stack.frame <= frame && frame < (uintptr_t)stack.top &&
                      frame - (uintptr_t)stack.frame < 4 * PAGE &&
                      ((uintptr_t)stack.lowest | (uintptr_t)stack.frame | (uintptr_t)stack.top) %
                              PAGE ==
                          0
                  ? (int)stack.grows
                  : -1;
    return NULL;
}

static void a_stack_holds_the_frame_that_asks(void **state)
{
    pthread_t thread;
    int rc;
    (void)state;
    (void)check_stack(&rc);
    assert_int_equal(rc, 1);
    assert_int_equal(pthread_create(&thread, NULL, check_stack, &rc), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(rc, 0);
}

/* ----------------------------------------------------------------------------------------- heap */

static void the_heap_is_where_malloc_gets_its_blocks(void **state)
{
    size_t size_bytes;
    void *base;
    void *block;
    (void)state;
    need_no_sanitizer();
    block = malloc(1000);
    assert_int_equal(zf_os_heap(&base, &size_bytes), 0);
    assert_in_range((uintptr_t)block, (uintptr_t)base, (uintptr_t)base + size_bytes - 1000);
    free(block);
}

static void the_process_is_larger_than_what_of_it_is_present(void **state)
{
    struct zf_os_process_memory before, after;
    void *base = NULL;
    (void)state;
    assert_int_equal(zf_os_process_memory(&before), 0);
    assert_true(before.resident_bytes > 0);
    assert_true(before.resident_bytes <= before.lockable_bytes);
    assert_int_equal(before.locked_bytes, 0);
    assert_int_equal(zf_os_reserve(64 * PAGE, PAGE, &base), 0);
    assert_int_equal(zf_os_commit(base, 64 * PAGE), 0);
    assert_int_equal(zf_os_lock(base, 64 * PAGE), 0);
    assert_int_equal(zf_os_process_memory(&after), 0);
    assert_true(after.lockable_bytes >= before.lockable_bytes + 64 * PAGE);
    assert_true(after.resident_bytes >= before.resident_bytes + 64 * PAGE);
    assert_int_equal(after.locked_bytes, 64 * PAGE);
    assert_int_equal(zf_os_release(base, 64 * PAGE), 0);
}

/* ------------------------------------------------------------------------------------- mappings */

static void a_line_of_maps_is_taken_apart(void **state)
{
    struct zf_linux_mapping mapping;
    (void)state;
    assert_true(zf_linux_mapping_parse(
        "7f306f39f000-7f306f3c5000 rw-p 00000000 fe:00 332835                     /a b/c.so",
        &mapping));
    assert_int_equal(mapping.start, 0x7f306f39f000);
    assert_int_equal(mapping.end, 0x7f306f3c5000);
    assert_true(mapping.readable && mapping.writable);
    assert_false(mapping.executable || mapping.shared);
    assert_string_equal(mapping.path, "/a b/c.so");
    assert_true(zf_linux_mapping_parse("1000-2000 --xs 00000000 00:00 0 ", &mapping));
    assert_true(mapping.executable && mapping.shared);
    assert_false(mapping.readable || mapping.writable);
    assert_string_equal(mapping.path, "");
}

static void any_other_line_is_passed_over(void **state)
{
    static const char *const lines[] = {"",
                                        "Rss:                   4 kB",
                                        "AnonHugePages:         0 kB",
                                        "FilePmdMapped:         0 kB",
                                        "VmFlags: rd ex mr mw me",
                                        "1000",
                                        "1000-",
                                        "1000-2000",
                                        "1000-2000 rw",
                                        "2000-1000 rw-p 0 0 0"};
    struct zf_linux_mapping mapping;
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; ++i)
        assert_false(zf_linux_mapping_parse(lines[i], &mapping));
}

static void a_mapping_is_found_by_address_and_by_name(void **state)
{
    struct zf_linux_mapping mapping;
    char path[64];
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    (void)state;
    assert_int_equal(zf_linux_mapping_find(here, NULL, &mapping, path, sizeof path), 0);
    assert_string_equal(path, "[stack]");
    assert_in_range(here, mapping.start, mapping.end - 1);
    assert_int_equal(zf_linux_mapping_find(0, "[stack]", &mapping, path, sizeof path), 0);
    assert_in_range(here, mapping.start, mapping.end - 1);
    assert_int_equal(zf_linux_mapping_find(0, "[none]", &mapping, path, sizeof path), -ENODATA);
    assert_int_equal(zf_linux_mapping_find(16, NULL, &mapping, path, sizeof path), -ENODATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_of_the_program_are_writable_stretches),
        cmocka_unit_test(code_and_constants_are_stretches_that_are_read),
        cmocka_unit_test(what_was_made_read_only_after_relocation_is_not_written),
        cmocka_unit_test(libraries_are_named),
        cmocka_unit_test(stacks_heaps_and_mappings_are_of_no_object),
        cmocka_unit_test(pages_that_the_program_made_inaccessible_are_left_out),
        cmocka_unit_test(a_visitor_ends_the_walk),
        cmocka_unit_test(each_thread_finds_its_own_variables),
        cmocka_unit_test(a_stack_holds_the_frame_that_asks),
        cmocka_unit_test(the_heap_is_where_malloc_gets_its_blocks),
        cmocka_unit_test(the_process_is_larger_than_what_of_it_is_present),
        cmocka_unit_test(a_line_of_maps_is_taken_apart),
        cmocka_unit_test(any_other_line_is_passed_over),
        cmocka_unit_test(a_mapping_is_found_by_address_and_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
