/*
 * A program with probes of its own, for test_probes.py: a section whose begin and end are inlined
 * here, a warmup, and a violation. It prints the address of the page that it faults on.
 */
#ifdef __cplusplus
#include <zerofault/zerofault.hpp>
#else
#include <zerofault/zerofault.h>
#endif

#include <stdlib.h>

#include <sys/mman.h>

#ifdef __cplusplus
static zerofault::section tick{"probe tick"};
#else
static struct hot_section tick = HOT_SECTION("probe tick");
#endif

static void enter(volatile unsigned char *byte)
{
    hot_section_begin(&tick);
    *byte = 1;
    (void)hot_section_end(&tick);
}

int main(int argument_count, char **arguments)
{
    int rounds = argument_count > 1 ? atoi(arguments[1]) : 1;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return 1;
#ifndef __cplusplus
    struct arena *arena;
    if (arena_create(&arena, &ARENA_OPTIONS(.name = "probe arena", .capacity_bytes = 8192)) != 0)
        return 1;
    (void)arena_warmup(arena, NULL, NULL);
    arena_destroy(arena);
#endif
    printf("page %p\n", page);
    for (int i = 0; i < rounds; ++i)
        enter((volatile unsigned char *)page);
    return 0;
}
