/*
 * Objects that come and go: a plugin with a section of its own, and the library itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>

#include "support/needs.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)

typedef uint64_t plugin_function(volatile unsigned char *fresh);

/* As a program that is not linked to the library sees it. */
static plugin_function *load(void **plugin)
{
    plugin_function *run;
    *plugin = dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);
    if (*plugin == NULL)
        print_message("%s\n", dlerror());
    assert_non_null(*plugin);
    *(void **)&run = dlsym(*plugin, "plugin_run");
    assert_non_null(run);
    return run;
}

static uint64_t run_on_fresh_page(plugin_function *run)
{
    unsigned char *page =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t violations;
    assert_ptr_not_equal(page, MAP_FAILED);
    warm_shadow(page, PAGE);
    violations = run(page);
    (void)munmap(page, PAGE);
    return violations;
}

static void section_of_an_unloaded_object_starts_afresh_when_it_is_back(void **state)
{
    void *plugin;
    (void)state;
    need_exact_faults();
    for (int round = 0; round < 300; ++round) { /* more often than there are slots */
        plugin_function *run = load(&plugin);
        assert_int_equal(run_on_fresh_page(run), 1);
        assert_int_equal(dlclose(plugin), 0);
    }
}

static void *attach_and_unload(void *argument)
{
    void *plugin;
    uint64_t violations = run_on_fresh_page(load(&plugin));
    (void)argument;
    (void)dlclose(plugin);
    return (void *)(uintptr_t)violations; /* the thread's guard is closed after this */
}

static void thread_ends_well_after_the_library_was_closed(void **state)
{
    (void)state;
    for (int round = 0; round < 20; ++round) {
        pthread_t thread;
        void *violations;
        assert_int_equal(pthread_create(&thread, NULL, attach_and_unload, NULL), 0);
        assert_int_equal(pthread_join(thread, &violations), 0);
        assert_true((uintptr_t)violations > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(section_of_an_unloaded_object_starts_afresh_when_it_is_back),
        cmocka_unit_test(thread_ends_well_after_the_library_was_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
