/*
 * A cmocka program whose blocks pass, fail and are skipped; test_flavours.c runs one test of it at
 * a time and reads what cmocka reports. It is linked to the shared library, and lazily: each
 * function is found at its first call, the helper's in the block as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>

#include <zerofault/testing.h>
#include <zerofault/zerofault.h>

#define PAGE ((size_t)4096)

static unsigned char *page;

static int map_page(void **state)
{
    (void)state;
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? -1 : 0;
}

static int unmap_page(void **state)
{
    (void)zerofault_test_teardown(state);
    return munmap(page, PAGE);
}

static void write_to_page(void)
{
    *(volatile unsigned char *)page = 1;
}

static void clean(void **state)
{
    (void)state;
    write_to_page();
    assert_no_page_faults write_to_page();
    expect_page_faults_at_most(1)
    {
        write_to_page();
    }
}

static void dirty(void **state)
{
    (void)state;
    print_message("page %p\n", (void *)page);
    assert_no_page_faults
    {
        write_to_page();
    }
    print_message("not reached\n");
}

static void assertion_inside(void **state)
{
    (void)state;
    assert_no_page_faults
    {
        assert_int_equal(page[0], 1);
    }
}

/* Only where nothing was left open can an arena be warmed. */
static void after_assertion_inside(void **state)
{
    struct arena *arena = NULL;
    (void)state;
    assert_int_equal(arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = PAGE)), 0);
    assert_int_equal(arena_warmup(arena, NULL, NULL), 0);
    assert_no_page_faults *(volatile unsigned char *)arena_alloc(arena, 1, 1) = 1;
    arena_destroy(arena);
}

static void switched_off(void **state)
{
    (void)state;
    hot_switch(false);
    assert_no_page_faults
    {
        print_message("the body ran\n");
    }
    print_message("not reached\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, map_page, unmap_page)

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        TEST(clean),        TEST(dirty), TEST(assertion_inside), TEST(after_assertion_inside),
        TEST(switched_off),
    };
    cmocka_set_test_filter(argument_count > 1 ? arguments[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
