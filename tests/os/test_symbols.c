/*
 * Names of addresses: of this program's own functions, of a library's, with debug information and
 * without the library that reads it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "os/os.h"
#include "support/needs.h"

/* dlopen of everything is wrapped, so that a machine without libdw can be had here. */
void *__real_dlopen(const char *file, int mode);
void *__wrap_dlopen(const char *file, int mode);
static bool refuse_libdw;

void *__wrap_dlopen(const char *file, int mode)
{
    if (refuse_libdw && file != NULL && strstr(file, "libdw") != NULL)
        return NULL;
    return __real_dlopen(file, mode);
}

static int some_variable[16] = {1};

enum { KNOWN_LINE = __LINE__ + 1 };
__attribute__((noinline)) static int known_function(int number)
{
    return number + some_variable[0];
}

static struct zf_os_symbol find(uintptr_t address, bool is_return)
{
    struct zf_os_symbols *symbols = zf_os_symbols_open();
    struct zf_os_symbol symbol;
    assert_non_null(symbols);
    zf_os_symbols_find(symbols, address, is_return, &symbol);
    zf_os_symbols_close(symbols);
    return symbol;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

/* In a run of its own: the library is looked for only once. */
static void without_the_reader_object_and_dynamic_symbols_remain(void **state)
{
    struct zf_os_symbol symbol;
    (void)state;
    refuse_libdw = true;
    symbol = find((uintptr_t)strfry, false);
    refuse_libdw = false;
    assert_string_equal(symbol.function, "strfry");
    assert_non_null(strstr(symbol.object, "libc"));
    assert_true(symbol.object_offset != 0);
    assert_string_equal(symbol.file, "");

    symbol = find((uintptr_t)known_function, false);
    assert_true(ends_with(symbol.object, "/test_os_symbols"));
    assert_int_equal(symbol.line, 0);
}

static void need_reader(void)
{
    need("libdw", find((uintptr_t)known_function, false).line != 0, "built without libdw");
}

static void function_file_and_line_come_from_debug_information(void **state)
{
    struct zf_os_symbol symbol;
    (void)state;
    need_reader();
    symbol = find((uintptr_t)known_function, false);
    assert_string_equal(symbol.function, "known_function");
    assert_true(ends_with(symbol.file, "/test_symbols.c"));
    assert_in_range(symbol.line, KNOWN_LINE, KNOWN_LINE + 2);
    assert_true(ends_with(symbol.object, "/test_os_symbols"));
    assert_int_equal(known_function(1), 2);
}

static void return_address_belongs_to_the_call_before_it(void **state)
{
    struct zf_os_symbol symbol;
    (void)state;
    need_reader();
    /* The first byte behind a function is the return address of a call that ends it. */
    symbol = find((uintptr_t)known_function, true);
    assert_string_not_equal(symbol.function, "known_function");
    symbol = find((uintptr_t)known_function + 1, true);
    assert_string_equal(symbol.function, "known_function");
    assert_int_equal(symbol.object_offset,
                     find((uintptr_t)known_function, false).object_offset + 1);
}

static void variable_is_named_too(void **state)
{
    (void)state;
    need_reader();
    assert_string_equal(find((uintptr_t)&some_variable[3], false).function, "some_variable");
}

static void address_of_nothing_has_no_name(void **state)
{
    struct zf_os_symbol symbol = find((uintptr_t)&symbol, false);
    (void)state;
    assert_string_equal(symbol.function, "");
    assert_string_equal(symbol.object, "");
    symbol = find(0, true);
    assert_string_equal(symbol.object, "");
    assert_int_equal(symbol.object_offset, 0);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest with_reader[] = {
        cmocka_unit_test(function_file_and_line_come_from_debug_information),
        cmocka_unit_test(return_address_belongs_to_the_call_before_it),
        cmocka_unit_test(variable_is_named_too),
        cmocka_unit_test(address_of_nothing_has_no_name),
    };
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(without_the_reader_object_and_dynamic_symbols_remain),
        cmocka_unit_test(address_of_nothing_has_no_name),
    };
    (void)arguments;
    if (count > 1)
        return cmocka_run_group_tests(plain, NULL, NULL);
    return cmocka_run_group_tests(with_reader, NULL, NULL);
}
