/* A stranger's program: exported calls, inline ones, and one of these by address. */
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include <zerofault/zerofault.h>

int main(void)
{
    static struct hot_section section = HOT_SECTION("consumer");
    void *(*alloc)(struct arena *, size_t, size_t) = arena_alloc;
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena;
    uint64_t violations;
    char *first;
    char *second;

    if (arena_create(&arena, &ARENA_OPTIONS(.name = "consumer", .capacity_bytes = 1 << 16)) != 0 ||
        arena_warmup(arena, NULL, &report) != 0) {
        (void)warmup_report_print(&report, stderr);
        return 1;
    }
    hot_section_begin(&section);
    first = arena_alloc(arena, 4096, alignof(max_align_t));
    second = alloc(arena, 4096, alignof(max_align_t));
    memset(first, 1, 4096);
    memset(second, 2, 4096);
    violations = hot_section_end(&section);
    arena_destroy(arena);
    printf("zerofault %s, %s: %llu violations\n", zerofault_version(),
           hot_source_name(hot_source_active()), (unsigned long long)violations);
    return violations == 0 && second - first == 4096 ? 0 : 1;
}
