/*
 * zerofault for C++17: the C objects as types that clean up after themselves.
 *
 * Types only, no behaviour of their own. A member that is named like a C call is that call: what
 * it returns, its latency and its threads are written there. A control call that fails throws
 * std::system_error with its errno; an allocation that a container needs and does not get throws
 * std::bad_alloc. Exceptions and RTTI must be on. The C headers are C++ too: whatever has no type
 * here is called directly, with get() for the pointer.
 *
 *     static zerofault::section tick{"tick"};
 *
 *     zerofault::arena orders{options};
 *     orders.warmup(report);
 *     zerofault::arena_resource memory{*orders};
 *     {
 *         zerofault::hot_section guard{tick};
 *         std::pmr::vector<order> book{&memory};
 *         ...
 *     }
 */
#ifndef ZEROFAULT_ZEROFAULT_HPP
#define ZEROFAULT_ZEROFAULT_HPP

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <new>
#include <system_error>
#include <type_traits>

#include <zerofault/zerofault.h>

namespace zerofault
{

/* ---------------------------------------------------------------------------- options, reports */

/**
 * Make an options or report struct with its size filled in and every other field 0: what
 * ARENA_OPTIONS() and WARMUP_REPORT_INIT are in C.
 *
 * Returns  the struct, by value
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
template <class Struct> constexpr Struct sized() noexcept
{
    Struct object{};
    object.struct_size = sizeof(Struct);
    return object;
}

/* -------------------------------------------------------------------------------- hot sections */

/* What a section has beside its name: the fields of struct hot_section that are the user's, in
 * their order. In C++20: section tick{"tick", {.budget_ns = 2000, .timed = true}}. */
struct section_options {
    ::hot_policy policy = HOT_COUNT;
    ::hot_policy policies[HOT_KIND_COUNT] = {}; /* by kind */
    ::hot_hook *hook = nullptr;                 /* may not throw */
    void *hook_context = nullptr;
    std::uint64_t budget_ns = 0;
    std::uint32_t reports_per_second = 0;
    bool timed = false;
    bool refuse_system_calls = false;
    bool counted = false;
};

/*
 * A named place in the program: HOT_SECTION in C. Make it static; it is constant-initialised, so
 * that a static in a function costs no guard variable. File and line are those of the place that
 * constructs it.
 */
struct section : ::hot_section {
    constexpr explicit section(const char *section_name, const char *at_file = __builtin_FILE(),
                               std::uint32_t at_line = __builtin_LINE()) noexcept
        : section(section_name, HOT_COUNT, nullptr, nullptr, at_file, at_line)
    {
    }

    /* The hook may not throw. */
    constexpr section(const char *section_name, ::hot_policy dirty_policy,
                      ::hot_hook *dirty_hook = nullptr, void *context = nullptr,
                      const char *at_file = __builtin_FILE(),
                      std::uint32_t at_line = __builtin_LINE()) noexcept
        : ::hot_section{section_name,
                        at_file,
                        at_line,
                        dirty_policy,
                        {},
                        dirty_hook,
                        context,
                        0,
                        0,
                        false,
                        false,
                        false,
                        0,
                        0}
    {
    }

    constexpr section(const char *section_name, const section_options &options,
                      const char *at_file = __builtin_FILE(),
                      std::uint32_t at_line = __builtin_LINE()) noexcept
        : section(section_name, options.policy, options.hook, options.hook_context, at_file,
                  at_line)
    {
        for (int kind = 0; kind < HOT_KIND_COUNT; ++kind)
            policies[kind] = options.policies[kind];
        budget_ns = options.budget_ns;
        reports_per_second = options.reports_per_second;
        timed = options.timed;
        refuse_system_calls = options.refuse_system_calls;
        counted = options.counted;
    }

    section(const section &) = delete;
    section &operator=(const section &) = delete;

    ::hot_section_statistics stats() const noexcept
    {
        ::hot_section_statistics statistics = sized<::hot_section_statistics>();
        ::hot_section_stats(this, &statistics);
        return statistics;
    }
};

/*
 * Opens a section where it is constructed and closes it where its scope ends, by an exception
 * too. The count of violations is what end() returns, or what the second argument receives.
 */
class hot_section
{
  public:
    explicit hot_section(::hot_section &place) noexcept : place_(&place)
    {
        ::hot_section_begin(place_);
    }

    /* `violations` is written once, when the section is closed. */
    hot_section(::hot_section &place, std::uint64_t &violations) noexcept
        : place_(&place), violations_(&violations)
    {
        ::hot_section_begin(place_);
    }

    ~hot_section()
    {
        if (open_)
            end();
    }

    hot_section(const hot_section &) = delete;
    hot_section &operator=(const hot_section &) = delete;

    /* Closes the section now. A second call is an end without begin: counted, as in C. */
    std::uint64_t end() noexcept
    {
        const std::uint64_t found = ::hot_section_end(place_);
        open_ = false;
        if (violations_ != nullptr)
            *violations_ = found;
        return found;
    }

  private:
    ::hot_section *place_;
    std::uint64_t *violations_ = nullptr;
    bool open_ = true;
};

/* --------------------------------------------------------------------------------------- arena */

/* The one owner of an arena, or of nothing. Everything but get, release and the destructor needs
 * one to be there. */
class arena
{
  public:
    arena() noexcept = default;

    /**
     * Create a cold arena.
     *
     * Returns  a constructed object; throws std::system_error with the errno of arena_create
     * Latency  cold
     * Threads  any
     * Since    0.1
     */
    explicit arena(const ::arena_options &options)
    {
        const int rc = ::arena_create(&arena_, &options);
        if (rc != 0)
            throw std::system_error(-rc, std::generic_category(), "arena_create");
    }

    /* Takes over an arena that arena_create made, or nothing. */
    explicit arena(::arena *adopted) noexcept : arena_(adopted)
    {
    }

    /**
     * Create a cold arena without exceptions. What `out` owned is destroyed first.
     *
     * Returns  as arena_create; `out` owns nothing unless 0 is returned
     * Latency  cold
     * Threads  any
     * Since    0.1
     */
    static int create(arena &out, const ::arena_options &options) noexcept
    {
        ::arena_destroy(out.release());
        return ::arena_create(&out.arena_, &options);
    }

    arena(arena &&other) noexcept : arena_(other.release())
    {
    }

    arena &operator=(arena &&other) noexcept
    {
        ::arena *const taken = other.release();
        ::arena_destroy(arena_);
        arena_ = taken;
        return *this;
    }

    ~arena()
    {
        ::arena_destroy(arena_);
    }

    /**
     * Make every page resident. Whatever stopped it half-way is in `report` when this throws. For
     * the number instead of the exception: arena_warmup(get(), options, &report).
     *
     * Returns  nothing; throws std::system_error with the errno of arena_warmup
     * Latency  cold
     * Threads  no other call on this arena may run meanwhile
     * Since    0.1
     */
    void warmup(::warmup_report &report, const ::warmup_options *options = nullptr)
    {
        const int rc = ::arena_warmup(arena_, options, &report);
        if (rc != 0)
            throw std::system_error(-rc, std::generic_category(), "arena_warmup");
    }

    ::arena *get() const noexcept
    {
        return arena_;
    }

    ::arena &operator*() const noexcept
    {
        return *arena_;
    }

    explicit operator bool() const noexcept
    {
        return arena_ != nullptr;
    }

    /* Gives up ownership: the caller destroys it now. */
    ::arena *release() noexcept
    {
        ::arena *const released = arena_;
        arena_ = nullptr;
        return released;
    }

    void *alloc(std::size_t size_bytes, std::size_t alignment = alignof(std::max_align_t)) noexcept
    {
        return ::arena_alloc(arena_, size_bytes, alignment);
    }

    void *calloc(std::size_t count, std::size_t size_bytes,
                 std::size_t alignment = alignof(std::max_align_t)) noexcept
    {
        return ::arena_calloc(arena_, count, size_bytes, alignment);
    }

    void *resize(void *start, std::size_t old_bytes, std::size_t new_bytes) noexcept
    {
        return ::arena_resize(arena_, start, old_bytes, new_bytes);
    }

    ::arena_marker mark() const noexcept
    {
        return ::arena_mark(arena_);
    }

    int rewind(::arena_marker mark) noexcept
    {
        return ::arena_rewind(arena_, mark);
    }

    void reset() noexcept
    {
        ::arena_reset(arena_);
    }

    bool owns(const void *address) const noexcept
    {
        return ::arena_owns(arena_, address);
    }

    std::size_t free_bytes() const noexcept
    {
        return ::arena_free_bytes(arena_);
    }

    ::arena_statistics stats() const noexcept
    {
        ::arena_statistics statistics = sized<::arena_statistics>();
        ::arena_stats(arena_, &statistics);
        return statistics;
    }

    const char *name() const noexcept
    {
        return ::arena_name(arena_);
    }

  private:
    ::arena *arena_ = nullptr;
};

/* ------------------------------------------------------------------------------ for containers */

namespace detail
{

inline void *alloc_or_throw(::arena &from, std::size_t size_bytes, std::size_t alignment)
{
    void *const start = ::arena_alloc(&from, size_bytes, alignment);
    if (ZEROFAULT_UNLIKELY(start == nullptr))
        throw std::bad_alloc();
    return start;
}

/* Shrinks to nothing in place: the last allocation returns to the arena, an earlier one waits for
 * the next rewind or reset. */
inline void give_back(::arena &to, void *start, std::size_t size_bytes) noexcept
{
    ::arena_resize(&to, start, size_bytes, 0);
}

} // namespace detail

/*
 * An arena as std::pmr::memory_resource. Owns nothing: the arena must outlive it, and it must
 * outlive its containers. Destroy or abandon the containers before a reset or rewind. A refusal
 * is counted by the arena, is a violation of an open hot section, and throws std::bad_alloc.
 */
class arena_resource : public std::pmr::memory_resource
{
  public:
    explicit arena_resource(::arena &from) noexcept : arena_(&from)
    {
    }

    ::arena *get() const noexcept
    {
        return arena_;
    }

  private:
    void *do_allocate(std::size_t size_bytes, std::size_t alignment) override
    {
        return detail::alloc_or_throw(*arena_, size_bytes, alignment);
    }

    void do_deallocate(void *start, std::size_t size_bytes, std::size_t) override
    {
        detail::give_back(*arena_, start, size_bytes);
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
        const auto *const resource = dynamic_cast<const arena_resource *>(&other);
        return resource != nullptr && resource->arena_ == arena_;
    }

    ::arena *arena_;
};

/*
 * An arena as allocator of standard containers: as arena_resource, without the virtual call. It
 * moves and swaps with its container, so that neither copies elements.
 */
template <class T> class allocator
{
  public:
    using value_type = T;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;

    explicit allocator(::arena &from) noexcept : arena_(&from)
    {
    }

    template <class Other> allocator(const allocator<Other> &other) noexcept : arena_(other.get())
    {
    }

    T *allocate(std::size_t count)
    {
        std::size_t size_bytes;
        if (__builtin_mul_overflow(count, sizeof(T), &size_bytes))
            size_bytes = SIZE_MAX; /* refused and counted like any other that cannot fit */
        return static_cast<T *>(detail::alloc_or_throw(*arena_, size_bytes, alignof(T)));
    }

    void deallocate(T *start, std::size_t count) noexcept
    {
        detail::give_back(*arena_, start, count * sizeof(T));
    }

    ::arena *get() const noexcept
    {
        return arena_;
    }

    template <class Other> bool operator==(const allocator<Other> &other) const noexcept
    {
        return arena_ == other.get();
    }

    template <class Other> bool operator!=(const allocator<Other> &other) const noexcept
    {
        return arena_ != other.get();
    }

  private:
    ::arena *arena_;
};

} // namespace zerofault

#endif
