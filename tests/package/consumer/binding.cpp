// The C++ header as it is installed: an arena, a guard and a container.
#include <cstdio>
#include <memory_resource>
#include <vector>

#include <zerofault/zerofault.hpp>

int main()
{
    static zerofault::section section("binding");
    section.counted = true;
    arena_options options{};
    warmup_report report{};
    options.struct_size = sizeof options;
    options.capacity_bytes = 1 << 16;
    report.struct_size = sizeof report;

    zerofault::arena arena(options);
    arena.warmup(report);
    zerofault::arena_resource memory(*arena);
    {
        zerofault::hot_section guard(section);
        std::pmr::vector<int> numbers(1000, 7, &memory);
        numbers.resize(2000);
    }
    auto entries = section.stats().entries;
    auto violations = section.stats().dirty_entries;
    std::printf("zerofault %s: %d in, %d dirty\n", zerofault_version(), static_cast<int>(entries),
                static_cast<int>(violations));
    return entries == 1 && violations == 0 ? 0 : 1;
}
