/*
 * The proof that the guard sees: one deliberate fault on a fresh page, inside a section of the
 * library's own, found through the same begin, end and hook that the program uses. That also
 * runs, and so warms, the code of the long way.
 */
#include "hot/self_test.h"

#include "base/assert.h"
#include "hot/table.h"
#include "os/os.h"

/* Of the calling thread's test under way: what the hook is to find. */
static ZEROFAULT_THREAD_LOCAL uintptr_t expected_address;
static ZEROFAULT_THREAD_LOCAL bool found;

static void look(const struct hot_violation *violation, void *context)
{
    (void)context;
    if (violation->kind != HOT_FAULT)
        return;
    /* A source without addresses can only be asked whether it counted. */
    if (violation->source == HOT_SOURCE_RUSAGE || violation->address == expected_address)
        found = true;
}

struct hot_section zf_hot_self_test =
    HOT_SECTION("zerofault self-test", .policy = HOT_CALLBACK, .hook = look);

static void fault_at(volatile unsigned char *page)
{
    expected_address = (uintptr_t)page;
    found = false;
    hot_section_begin(&zf_hot_self_test);
    *page = 1;
    (void)hot_section_end(&zf_hot_self_test);
}

bool zf_hot_self_test_passes(void)
{
    size_t page_bytes = zf_os_page_bytes();
    void *page;
    if (zf_hot_thread_self() == NULL || zf_os_reserve(page_bytes, page_bytes, &page) != 0)
        return false;
    found = false;
    if (zf_os_commit(page, page_bytes) == 0)
        fault_at(page);
    (void)zf_os_release(page, page_bytes);
    return found;
}

bool hot_guard_is_live(void)
{
    return zf_hot_table_is_on() && zf_hot_self_test_passes();
}
