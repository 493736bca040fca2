/* The C++ types own what they should, throw what they say, and change nothing else. */
#include <zerofault/zerofault.hpp> // first: it needs nothing before it

#include "test_cpp.h"

#include <cerrno>
#include <cstring>
#include <map>
#include <memory_resource>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/mman.h>

namespace
{

/* ------------------------------------------------------------------------------- compile time */

/* Constant-initialised, at the place where it is written. */
constexpr zerofault::section constant{"constant"};
constexpr std::uint32_t constant_line = __LINE__ - 1;
static_assert(constant.line == constant_line);
static_assert(constant.policy == HOT_COUNT && constant.hook == nullptr);

static_assert(!std::is_copy_constructible_v<zerofault::section>);
static_assert(!std::is_copy_constructible_v<zerofault::hot_section>);
static_assert(!std::is_move_constructible_v<zerofault::hot_section>);
static_assert(!std::is_copy_constructible_v<zerofault::arena>);
static_assert(std::is_nothrow_move_constructible_v<zerofault::arena>);
static_assert(std::is_nothrow_move_assignable_v<zerofault::arena>);
static_assert(sizeof(zerofault::arena) == sizeof(::arena *));
static_assert(sizeof(zerofault::section) == sizeof(::hot_section));

static_assert(zerofault::sized<::arena_options>().struct_size == sizeof(::arena_options));
static_assert(zerofault::sized<::arena_options>().capacity_bytes == 0);

/* ------------------------------------------------------------------------------------- helpers */

constexpr std::size_t capacity_bytes = std::size_t{64} << 10;

::arena_options options_of(std::size_t bytes)
{
    auto options = zerofault::sized<::arena_options>();
    options.name = "test";
    options.capacity_bytes = bytes;
    return options;
}

zerofault::arena small_arena()
{
    return zerofault::arena{options_of(capacity_bytes)};
}

/* Errno of the system_error that `call` throws; 0 when it throws none. */
template <class Call> int error_of(Call call)
{
    try {
        call();
    } catch (const std::system_error &error) {
        assert_true(error.code().category() == std::generic_category());
        return error.code().value();
    }
    return 0;
}

template <class Call> bool throws_bad_alloc(Call call)
{
    try {
        call();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

bool is_mapped(const void *address)
{
    unsigned char resident;
    const auto page =
        reinterpret_cast<std::uintptr_t>(address) & ~(static_cast<std::uintptr_t>(4096) - 1);
    return mincore(reinterpret_cast<void *>(page), 1, &resident) == 0;
}

/* ---------------------------------------------------------------------------- section and guard */

void a_section_knows_where_it_was_made(void **)
{
    static zerofault::section here{"here"};
    assert_string_equal(here.name, "here");
    assert_non_null(std::strstr(here.file, "test_cpp_types.cpp"));
    assert_int_equal(here.line, __LINE__ - 3);
}

constexpr zerofault::section_options strict()
{
    zerofault::section_options options;
    options.policies[HOT_FAULT] = HOT_IGNORE;
    options.budget_ns = 2000;
    options.timed = true;
    return options;
}

void a_section_has_the_options_that_it_was_made_with(void **)
{
    static zerofault::section made{"made", strict()};
    assert_int_equal(made.policy, HOT_COUNT);
    assert_int_equal(made.policies[HOT_FAULT], HOT_IGNORE);
    assert_int_equal(made.policies[HOT_MISUSE], HOT_POLICY_DEFAULT);
    assert_int_equal(made.budget_ns, 2000);
    assert_true(made.timed && !made.counted && !made.refuse_system_calls);
    assert_int_equal(made.line, __LINE__ - 6);
}

void a_guard_closes_its_section_at_the_end_of_the_scope(void **)
{
    static zerofault::section scoped{"scoped"};
    scoped.counted = true;
    std::uint64_t violations = 99;
    {
        zerofault::hot_section guard{scoped, violations};
        assert_int_equal(::hot_sections_open(), 1);
    }
    assert_int_equal(::hot_sections_open(), 0);
    assert_true(violations != 99);
    assert_int_equal(scoped.stats().entries, 1);
}

void a_guard_closes_its_section_when_an_exception_passes(void **)
{
    static zerofault::section thrown{"thrown"};
    thrown.counted = true;
    const int error = error_of([] {
        zerofault::hot_section guard{thrown};
        throw std::system_error(EDOM, std::generic_category());
    });
    assert_int_equal(error, EDOM);
    assert_int_equal(::hot_sections_open(), 0);
    assert_int_equal(thrown.stats().entries, 1);
    assert_int_equal(thrown.stats().counts[HOT_MISUSE], 0);
}

void a_guard_that_was_ended_is_not_ended_again(void **)
{
    static zerofault::section ended{"ended"};
    {
        zerofault::hot_section guard{ended};
        guard.end();
        assert_int_equal(::hot_sections_open(), 0);
    }
    assert_int_equal(ended.stats().counts[HOT_MISUSE], 0);
}

void guards_nest(void **)
{
    static zerofault::section outer{"outer"};
    static zerofault::section inner{"inner"};
    zerofault::hot_section outer_guard{outer};
    {
        zerofault::hot_section inner_guard{inner};
        assert_int_equal(::hot_sections_open(), 2);
    }
    assert_int_equal(::hot_sections_open(), 1);
    outer_guard.end();
    assert_int_equal(::hot_sections_open(), 0);
}

void count_refusals(const struct hot_violation *violation, void *context)
{
    if (violation->kind == HOT_REFUSED)
        *static_cast<std::uint64_t *>(context) += violation->count;
}

void a_hook_given_in_the_constructor_is_called(void **)
{
    static std::uint64_t refused = 0;
    static zerofault::section hooked{"hooked", HOT_CALLBACK, count_refusals, &refused};
    zerofault::arena memory = small_arena();
    refused = 0;
    zerofault::hot_section guard{hooked};
    assert_null(memory.alloc(2 * capacity_bytes));
    assert_true(guard.end() >= 1);
    assert_int_equal(refused, 1);
}

/* --------------------------------------------------------------------------------------- arena */

void an_arena_that_cannot_be_made_throws_the_errno(void **)
{
    assert_int_equal(error_of([] { zerofault::arena{options_of(0)}; }), EINVAL);
    assert_int_equal(error_of([] {
                         auto options = options_of(capacity_bytes);
                         options.struct_size = 0;
                         zerofault::arena{options};
                     }),
                     EINVAL);
}

void create_answers_the_number_instead(void **)
{
    zerofault::arena memory;
    assert_null(memory.get());
    assert_int_equal(zerofault::arena::create(memory, options_of(0)), -EINVAL);
    assert_null(memory.get());
    assert_int_equal(zerofault::arena::create(memory, options_of(capacity_bytes)), 0);
    assert_true(static_cast<bool>(memory));
    const void *const address = memory.alloc(64);
    assert_true(is_mapped(address));
    /* What it owned is gone, whatever happens next. */
    assert_int_equal(zerofault::arena::create(memory, options_of(0)), -EINVAL);
    assert_false(is_mapped(address));
    assert_null(memory.get());
}

int stop_warmup(const struct warmup_progress *, void *)
{
    return 1;
}

void a_stopped_warmup_throws_and_fills_the_report(void **)
{
    zerofault::arena memory = small_arena();
    auto options = zerofault::sized<::warmup_options>();
    auto report = zerofault::sized<::warmup_report>();
    options.progress = stop_warmup;
    assert_int_equal(error_of([&] { memory.warmup(report, &options); }), ECANCELED);
    assert_int_equal(report.result, -ECANCELED);
    assert_string_equal(report.name, "test");
    assert_int_equal(error_of([&] { memory.warmup(report); }), 0);
    assert_int_equal(report.proven, 1);
}

void a_warmup_inside_a_hot_section_throws_busy(void **)
{
    static zerofault::section busy{"busy"};
    zerofault::arena memory = small_arena();
    auto report = zerofault::sized<::warmup_report>();
    zerofault::hot_section guard{busy};
    assert_int_equal(error_of([&] { memory.warmup(report); }), EBUSY);
    guard.end();
    assert_int_equal(error_of([&] { memory.warmup(report); }), 0);
}

void an_arena_has_one_owner_that_destroys_it(void **)
{
    void *address = nullptr;
    {
        zerofault::arena first = small_arena();
        ::arena *const owned = first.get();
        zerofault::arena second{std::move(first)};
        assert_ptr_equal(second.get(), owned);
        assert_null(first.get()); // NOLINT: that a moved-from arena owns nothing is the point
        address = second.alloc(64);
        assert_non_null(address);
        std::memset(address, 1, 64);

        second = small_arena();
        assert_ptr_not_equal(second.get(), owned);
        assert_false(is_mapped(address));
        address = second.alloc(64);
        assert_true(is_mapped(address));
    }
    assert_false(is_mapped(address));
}

void a_released_arena_is_the_callers(void **)
{
    ::arena *released = nullptr;
    {
        zerofault::arena memory = small_arena();
        released = memory.release();
        assert_null(memory.get());
    }
    assert_non_null(::arena_alloc(released, 64, 64));
    zerofault::arena adopted{released};
    assert_ptr_equal(adopted.get(), released);
}

void members_are_the_calls_of_the_same_name(void **)
{
    zerofault::arena memory = small_arena();
    assert_string_equal(memory.name(), "test");
    assert_int_equal(memory.free_bytes(), capacity_bytes);

    const ::arena_marker mark = memory.mark();
    char *const text = static_cast<char *>(memory.alloc(10, 1));
    assert_true(memory.owns(text));
    assert_ptr_equal(memory.resize(text, 10, 20), text);
    assert_int_equal(memory.stats().used_bytes, 20);
    std::memset(text, 'x', 20);
    assert_int_equal(memory.rewind(mark), 0);
    assert_int_equal(memory.stats().used_bytes, 0);

    const char *const zeros = static_cast<char *>(memory.calloc(5, 4, 1));
    assert_ptr_equal(zeros, text);
    for (int i = 0; i < 20; ++i)
        assert_int_equal(zeros[i], 0);
    memory.reset();
    assert_int_equal(memory.free_bytes(), capacity_bytes);
    assert_null(memory.alloc(capacity_bytes + 1));
    assert_int_equal(memory.stats().refused_count, 1);
}

/* ------------------------------------------------------------------------------ for containers */

void a_resource_aligns_and_takes_the_last_allocation_back(void **)
{
    zerofault::arena memory = small_arena();
    zerofault::arena_resource resource{*memory};
    void *const first = resource.allocate(100, 8);
    void *const second = resource.allocate(100, 256);
    assert_int_equal(reinterpret_cast<std::uintptr_t>(second) % 256, 0);
    const std::size_t used_bytes = memory.stats().used_bytes;

    resource.deallocate(first, 100, 8); /* not the last: nothing happens */
    assert_int_equal(memory.stats().used_bytes, used_bytes);
    resource.deallocate(second, 100, 256);
    assert_int_equal(memory.stats().used_bytes, used_bytes - 100);
    assert_ptr_equal(resource.allocate(100, 256), second);
    assert_int_equal(memory.stats().refused_count, 0);
}

void a_resource_that_is_exhausted_throws_bad_alloc(void **)
{
    static zerofault::section exhausted{"exhausted"};
    zerofault::arena memory = small_arena();
    zerofault::arena_resource resource{*memory};
    std::pmr::vector<std::uint64_t> numbers{&resource};
    std::uint64_t violations = 0;
    const bool thrown = throws_bad_alloc([&] {
        zerofault::hot_section guard{exhausted, violations};
        for (std::uint64_t i = 0; i <= capacity_bytes; ++i)
            numbers.push_back(i);
    });
    assert_true(thrown);
    assert_int_equal(memory.stats().refused_count, 1);
    assert_int_equal(exhausted.stats().counts[HOT_REFUSED], 1);
    assert_true(violations >= 1);
    /* The container kept what it had. */
    for (std::size_t i = 0; i < numbers.size(); ++i)
        assert_int_equal(numbers[i], i);
    const volatile std::size_t odd = 3; /* volatile: clang refuses to compile the constant */
    assert_true(throws_bad_alloc([&] { (void)resource.allocate(8, odd); }));
}

void resources_are_equal_when_their_arena_is_the_same(void **)
{
    zerofault::arena memory = small_arena();
    zerofault::arena other = small_arena();
    const zerofault::arena_resource first{*memory};
    const zerofault::arena_resource second{*memory};
    const zerofault::arena_resource elsewhere{*other};
    assert_true(first == second);
    assert_false(first == elsewhere);
    assert_false(first.is_equal(*std::pmr::new_delete_resource()));
    assert_ptr_equal(second.get(), memory.get());
}

void an_allocator_serves_containers_of_the_standard_library(void **)
{
    zerofault::arena memory = small_arena();
    using entry = std::pair<const int, int>;
    std::map<int, int, std::less<int>, zerofault::allocator<entry>> squares{
        zerofault::allocator<entry>{*memory}};
    for (int i = 0; i < 100; ++i)
        squares.emplace(i, i * i);
    assert_true(memory.owns(&squares.at(7)));

    const auto moved = std::move(squares);
    assert_int_equal(moved.at(99), 99 * 99);
    assert_true(zerofault::allocator<int>{*memory} == moved.get_allocator());
    zerofault::arena other = small_arena();
    assert_true(zerofault::allocator<int>{*other} != moved.get_allocator());
}

void an_allocator_refuses_and_counts_what_cannot_fit(void **)
{
    zerofault::arena memory = small_arena();
    zerofault::allocator<std::uint64_t> numbers{*memory};
    assert_true(throws_bad_alloc([&] { (void)numbers.allocate(capacity_bytes); }));
    assert_true(throws_bad_alloc([&] { (void)numbers.allocate(SIZE_MAX / 8 + 2); }));
    assert_int_equal(memory.stats().refused_count, 2);
    assert_int_equal(memory.stats().used_bytes, 0);
    std::uint64_t *const last = numbers.allocate(8);
    numbers.deallocate(last, 8);
    assert_int_equal(memory.stats().used_bytes, 0);
}

} // namespace

int run_type_tests()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_section_knows_where_it_was_made),
        cmocka_unit_test(a_section_has_the_options_that_it_was_made_with),
        cmocka_unit_test(a_guard_closes_its_section_at_the_end_of_the_scope),
        cmocka_unit_test(a_guard_closes_its_section_when_an_exception_passes),
        cmocka_unit_test(a_guard_that_was_ended_is_not_ended_again),
        cmocka_unit_test(guards_nest),
        cmocka_unit_test(a_hook_given_in_the_constructor_is_called),
        cmocka_unit_test(an_arena_that_cannot_be_made_throws_the_errno),
        cmocka_unit_test(create_answers_the_number_instead),
        cmocka_unit_test(a_stopped_warmup_throws_and_fills_the_report),
        cmocka_unit_test(a_warmup_inside_a_hot_section_throws_busy),
        cmocka_unit_test(an_arena_has_one_owner_that_destroys_it),
        cmocka_unit_test(a_released_arena_is_the_callers),
        cmocka_unit_test(members_are_the_calls_of_the_same_name),
        cmocka_unit_test(a_resource_aligns_and_takes_the_last_allocation_back),
        cmocka_unit_test(a_resource_that_is_exhausted_throws_bad_alloc),
        cmocka_unit_test(resources_are_equal_when_their_arena_is_the_same),
        cmocka_unit_test(an_allocator_serves_containers_of_the_standard_library),
        cmocka_unit_test(an_allocator_refuses_and_counts_what_cannot_fit),
    };
    return cmocka_run_group_tests_name("bindings.cpp_types", tests, nullptr, nullptr);
}
