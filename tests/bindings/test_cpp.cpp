/* Standard containers fill in a hot section without one page fault, on real faults. */
#include "test_cpp.h"

#include <cstring>
#include <memory_resource>
#include <unordered_map>
#include <vector>

#include <sys/resource.h>

#include <zerofault/zerofault.hpp>

namespace
{

/* A sanitizer's shadow of fresh memory faults when that memory is used first. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool has_shadow = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool has_shadow = true;
#else
constexpr bool has_shadow = false;
#endif
#else
constexpr bool has_shadow = false;
#endif

constexpr std::size_t capacity_bytes = std::size_t{8} << 20;
constexpr std::uint64_t element_count = 20000;

zerofault::section fill_section{"fill"};

::arena_options options_named(const char *name)
{
    auto options = zerofault::sized<::arena_options>();
    options.name = name;
    options.capacity_bytes = capacity_bytes;
    return options;
}

zerofault::arena warm_arena(const char *name)
{
    auto report = zerofault::sized<::warmup_report>();
    zerofault::arena memory{options_named(name)};
    memory.warmup(report);
    return memory;
}

/* Every fault of this thread, those inside system calls too. */
std::uint64_t thread_faults()
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return static_cast<std::uint64_t>(usage.ru_minflt) +
           static_cast<std::uint64_t>(usage.ru_majflt);
}

/* Lets both containers grow step by step, so that each moves and rehashes many times. */
std::uint64_t fill_containers(::arena &memory)
{
    zerofault::arena_resource resource{memory};
    std::pmr::vector<std::uint64_t> prices{&resource};
    std::pmr::unordered_map<std::uint64_t, std::uint64_t> orders{&resource};
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < element_count; ++i) {
        prices.push_back(i);
        orders.emplace(i * 7919, i);
    }
    for (std::uint64_t i = 0; i < element_count; ++i)
        sum += prices[i] + orders.at(i * 7919);
    return sum;
}

/* What a fill inside a hot section took, as the guard and as the kernel's own count say. */
struct outcome {
    std::uint64_t violations;
    std::uint64_t faults;
    std::uint64_t sum;
};

outcome fill_in_section(::arena &memory)
{
    outcome result{};
    const std::uint64_t faults_before = thread_faults();
    {
        zerofault::hot_section guard{fill_section, result.violations};
        result.sum = fill_containers(memory);
    }
    result.faults = thread_faults() - faults_before;
    return result;
}

/* The code that will be measured runs once before, on memory that will not be measured: what is
 * left to fault afterwards is the memory. Only a sanitizer's shadow has to be the real one. */
void rehearse(zerofault::arena &measured)
{
    zerofault::arena other = warm_arena("rehearsal");
    fill_in_section(*other);
    if (has_shadow) {
        fill_in_section(*measured);
        measured.reset();
    }
}

/* First in a test: when it skips, no destructor of the test runs. */
void attach(enum hot_source source)
{
    auto options = zerofault::sized<::hot_thread_options>();
    auto report = zerofault::sized<::hot_thread_report>();
    options.source = source;
    const int rc = ::hot_thread_attach(&options, &report);
    need("perf", rc == 0, "%s source refused: %s", ::hot_source_name(source), std::strerror(-rc));
    assert_int_equal(::hot_source_active(), source);
}

int detach(void **)
{
    ::hot_thread_detach();
    return 0;
}

void containers_fill_warm_memory_without_a_fault(enum hot_source source)
{
    constexpr std::uint64_t expected_sum = element_count * (element_count - 1);
    attach(source);
    zerofault::arena memory = warm_arena("warm");
    rehearse(memory);

    const outcome first = fill_in_section(*memory);
    memory.reset();
    const outcome second = fill_in_section(*memory);

    assert_int_equal(first.violations, 0);
    assert_int_equal(first.faults, 0);
    assert_int_equal(first.sum, expected_sum);
    assert_int_equal(second.violations, 0);
    assert_int_equal(second.faults, 0);
    assert_int_equal(second.sum, expected_sum);
    /* They were there: two growing containers of 20,000 elements. */
    assert_true(memory.stats().peak_bytes > element_count * 4 * sizeof(std::uint64_t));
}

void containers_fill_warm_memory_without_a_fault_by_ring(void **)
{
    containers_fill_warm_memory_without_a_fault(HOT_SOURCE_RING);
}

void containers_fill_warm_memory_without_a_fault_by_rusage(void **)
{
    containers_fill_warm_memory_without_a_fault(HOT_SOURCE_RUSAGE);
}

void containers_that_fill_cold_memory_fault(enum hot_source source)
{
    attach(source);
    zerofault::arena warm = warm_arena("warm");
    zerofault::arena cold{options_named("cold")};
    rehearse(warm);

    const outcome result = fill_in_section(*cold);

    /* Both counts see the same faults: one for each page that the containers reached. */
    assert_true(result.violations > 0);
    assert_true(result.faults > 0);
    if (!has_shadow) {
        const std::size_t pages = cold.stats().peak_bytes / 4096;
        assert_true(result.violations >= pages / 2);
        assert_int_equal(result.faults, result.violations);
    }
}

void containers_that_fill_cold_memory_fault_by_ring(void **)
{
    containers_that_fill_cold_memory_fault(HOT_SOURCE_RING);
}

void containers_that_fill_cold_memory_fault_by_rusage(void **)
{
    containers_that_fill_cold_memory_fault(HOT_SOURCE_RUSAGE);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(containers_fill_warm_memory_without_a_fault_by_ring, detach),
        cmocka_unit_test_teardown(containers_fill_warm_memory_without_a_fault_by_rusage, detach),
        cmocka_unit_test_teardown(containers_that_fill_cold_memory_fault_by_ring, detach),
        cmocka_unit_test_teardown(containers_that_fill_cold_memory_fault_by_rusage, detach),
    };
    const int failed = cmocka_run_group_tests_name("bindings.cpp", tests, nullptr, nullptr);
    return failed + run_type_tests();
}
