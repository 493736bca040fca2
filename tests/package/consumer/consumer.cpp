// The same as C++: the headers' extern "C" and the symbols behind the inline functions.
#include <cstdio>
#include <cstring>

#include <zerofault/zerofault.h>

int main()
{
    static hot_section section{};
    void *(*alloc)(arena *, std::size_t, std::size_t) = arena_alloc;
    arena_options options{};
    warmup_report report{};
    arena *memory = nullptr;

    section.name = "consumer";
    report.struct_size = sizeof report;
    options.struct_size = sizeof options;
    options.capacity_bytes = 1 << 16;
    if (arena_create(&memory, &options) != 0 || arena_warmup(memory, nullptr, &report) != 0)
        return 1;
    hot_section_begin(&section);
    void *first = arena_alloc(memory, 4096, 16);
    void *second = alloc(memory, 4096, 16);
    std::memset(first, 1, 4096);
    std::memset(second, 2, 4096);
    auto violations = hot_section_end(&section);
    arena_destroy(memory);
    std::printf("zerofault %s, %s: %llu violations\n", zerofault_version(),
                hot_source_name(hot_source_active()), static_cast<unsigned long long>(violations));
    return violations == 0 ? 0 : 1;
}
