/*
 * The table of live arenas: found while they live, never after, also while others come and go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "arena/registry.h"

static void address_is_found_with_name_and_offset_while_entered(void **state)
{
    struct zf_registry_match match;
    struct zf_registry_entry *entry = zf_registry_add(0x10000, 0x20000, "here");
    (void)state;
    assert_non_null(entry);
    assert_true(zf_registry_find(0x10000, &match));
    assert_string_equal(match.name, "here");
    assert_int_equal(match.offset_bytes, 0);
    assert_true(zf_registry_find(0x1ffff, &match));
    assert_int_equal(match.offset_bytes, 0xffff);
    assert_false(zf_registry_find(0xffff, &match));
    assert_false(zf_registry_find(0x20000, &match));
    assert_false(zf_registry_find(0, &match));

    zf_registry_remove(entry);

    assert_false(zf_registry_find(0x10000, &match));
}

static void more_entries_than_one_block_are_all_found(void **state)
{
    enum { COUNT = 300 };
    struct zf_registry_entry *entries[COUNT];
    struct zf_registry_match match;
    (void)state;
    for (uintptr_t i = 0; i < COUNT; ++i)
        entries[i] = zf_registry_add((i + 1) << 20, (i + 2) << 20, "one of many");
    for (uintptr_t i = 0; i < COUNT; ++i) {
        assert_true(zf_registry_find(((i + 1) << 20) + i, &match));
        assert_int_equal(match.offset_bytes, i);
    }
    for (size_t i = 0; i < COUNT; ++i)
        zf_registry_remove(entries[i]);
    assert_false(zf_registry_find(5 << 20, &match));
}

static void facts_are_told_and_asked_with_what_is_handed_out_now(void **state)
{
    uintptr_t next = 0x10800;
    struct zf_registry_facts told = {.next = &next, .warmups = 2, .warm_bytes = 0x8000};
    struct zf_registry_facts facts;
    struct zf_registry_entry *entry = zf_registry_add(0x10000, 0x20000, "here");
    (void)state;
    told.forks = zf_os_forks();
    assert_true(zf_registry_ask(0x10000, &facts));
    assert_int_equal(facts.warmups, 0);
    assert_false(facts.used_known);

    zf_registry_tell(entry, &told);

    assert_true(zf_registry_ask(0x1ffff, &facts));
    assert_int_equal(facts.warmups, 2);
    assert_int_equal(facts.warm_bytes, 0x8000);
    assert_int_equal(facts.begin, 0x10000);
    assert_int_equal(facts.end, 0x20000);
    assert_true(facts.used_known);
    assert_int_equal(facts.used_bytes, 0x800);
    assert_false(zf_registry_ask(0x20000, &facts));

    /* Who became a child of fork since may not have the arena's head any more. */
    --told.forks.undergone;
    zf_registry_tell(entry, &told);
    assert_true(zf_registry_ask(0x10000, &facts));
    assert_false(facts.used_known);

    /* The answer never waits. */
    zf_os_table_lock();
    assert_false(zf_registry_ask(0x10000, &facts));
    zf_os_table_unlock();
    zf_registry_remove(entry);
    assert_false(zf_registry_ask(0x10000, &facts));
}

static atomic_bool stop;

static void *come_and_go(void *argument)
{
    (void)argument;
    while (!atomic_load(&stop)) {
        struct zf_registry_entry *first =
            zf_registry_add(0x1000, 0x2000, "aaaaaaaaaaaaaaaaaaaaaaaa");
        struct zf_registry_entry *second =
            zf_registry_add(0x1000, 0x2000, "bbbbbbbbbbbbbbbbbbbbbbbb");
        zf_registry_remove(first);
        zf_registry_remove(second);
    }
    return NULL;
}

static void reader_never_sees_a_torn_entry(void **state)
{
    pthread_t writer;
    struct zf_registry_match match;
    struct zf_registry_entry *fixed = zf_registry_add(0x5000, 0x6000, "fixed");
    (void)state;
    assert_int_equal(pthread_create(&writer, NULL, come_and_go, NULL), 0);
    for (int i = 0; i < 20000; ++i) {
        if (zf_registry_find(0x1800, &match)) {
            assert_int_equal(strlen(match.name), 24);
            assert_int_equal(match.name[0], match.name[23]);
            assert_int_equal(match.offset_bytes, 0x800);
        }
        assert_true(zf_registry_find(0x5000, &match));
        assert_string_equal(match.name, "fixed");
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(writer, NULL), 0);
    zf_registry_remove(fixed);
}

static void who_gets_the_same_addresses_is_found_there(void **state)
{
    struct zf_registry_match match;
    struct zf_registry_entry *gone = zf_registry_add(0x10000, 0x20000, "not inherited");
    struct zf_registry_entry *neighbour = zf_registry_add(0x20000, 0x30000, "neighbour");
    struct zf_registry_entry *entry = zf_registry_add(0x1f000, 0x20000, "here");
    (void)state;
    assert_true(zf_registry_find(0x1f000, &match));
    assert_string_equal(match.name, "here");
    assert_false(zf_registry_find(0x10000, &match));
    assert_true(zf_registry_find(0x20000, &match));
    assert_string_equal(match.name, "neighbour");
    zf_registry_remove(entry);
    zf_registry_remove(neighbour);
    (void)gone;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_gets_the_same_addresses_is_found_there),
        cmocka_unit_test(address_is_found_with_name_and_offset_while_entered),
        cmocka_unit_test(more_entries_than_one_block_are_all_found),
        cmocka_unit_test(facts_are_told_and_asked_with_what_is_handed_out_now),
        cmocka_unit_test(reader_never_sees_a_torn_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
