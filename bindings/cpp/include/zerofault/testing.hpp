/*
 * The blocks of zerofault/testing.h for GoogleTest and Catch2.
 *
 *     #include <gtest/gtest.h>             or Catch2's header, before this one
 *     #include <zerofault/testing.hpp>
 *
 *     ZEROFAULT_EXPECT_NO_PAGE_FAULTS
 *     {
 *         book.apply(message);
 *     }
 *
 * As with the framework's own macros, a failed EXPECT lets the test go on, and a failed ASSERT ends
 * it: in GoogleTest by return, so that the function must be void, in Catch2 by an exception. Where
 * the machine cannot tell, the block runs, and then the test is skipped with the reason: ASSERT
 * leaves it, EXPECT lets it go on. Catch2 before 3.3 cannot skip and warns instead.
 *
 * A block that is left by break, return or goto is checked too, and then its failure does not end
 * the test. One that is left by an exception is not: the exception is the failure. Without one of
 * the two frameworks, ZEROFAULT_TEST_FAIL and ZEROFAULT_TEST_SKIP get the verdict, as in C; with
 * one, the blocks by their names in C are ASSERT's.
 */
#ifndef ZEROFAULT_TESTING_HPP
#define ZEROFAULT_TESTING_HPP

#include <cstdint>
#include <exception>

#include <zerofault/testing.h>

/* ----------------------------------------------------------------------------------- the blocks */

#define ZEROFAULT_EXPECT_NO_PAGE_FAULTS                                                            \
    ZEROFAULT_TEST_EXPECT("ZEROFAULT_EXPECT_NO_PAGE_FAULTS", ZEROFAULT_TEST_FAULTS, 0, 0)
#define ZEROFAULT_ASSERT_NO_PAGE_FAULTS                                                            \
    ZEROFAULT_TEST_ASSERT("ZEROFAULT_ASSERT_NO_PAGE_FAULTS", ZEROFAULT_TEST_FAULTS, 0, 0)

#define ZEROFAULT_EXPECT_PAGE_FAULTS_AT_MOST(count)                                                \
    ZEROFAULT_TEST_EXPECT("ZEROFAULT_EXPECT_PAGE_FAULTS_AT_MOST", ZEROFAULT_TEST_FAULTS, count, 0)
#define ZEROFAULT_ASSERT_PAGE_FAULTS_AT_MOST(count)                                                \
    ZEROFAULT_TEST_ASSERT("ZEROFAULT_ASSERT_PAGE_FAULTS_AT_MOST", ZEROFAULT_TEST_FAULTS, count, 0)

/* With these flags of enum hot_watch watched besides page faults. */
#define ZEROFAULT_EXPECT_NO_VIOLATIONS(watch_flags)                                                \
    ZEROFAULT_TEST_EXPECT("ZEROFAULT_EXPECT_NO_VIOLATIONS", ZEROFAULT_TEST_EVERYTHING, 0,          \
                          watch_flags)
#define ZEROFAULT_ASSERT_NO_VIOLATIONS(watch_flags)                                                \
    ZEROFAULT_TEST_ASSERT("ZEROFAULT_ASSERT_NO_VIOLATIONS", ZEROFAULT_TEST_EVERYTHING, 0,          \
                          watch_flags)

#define ZEROFAULT_EXPECT_NO_SYSTEM_CALLS                                                           \
    ZEROFAULT_TEST_EXPECT("ZEROFAULT_EXPECT_NO_SYSTEM_CALLS", 1u << HOT_SYSTEM_CALL, 0,            \
                          HOT_WATCH_SYSTEM_CALLS)
#define ZEROFAULT_ASSERT_NO_SYSTEM_CALLS                                                           \
    ZEROFAULT_TEST_ASSERT("ZEROFAULT_ASSERT_NO_SYSTEM_CALLS", 1u << HOT_SYSTEM_CALL, 0,            \
                          HOT_WATCH_SYSTEM_CALLS)

/* ----------------------------------------------------------------------- where the verdict goes */

#if defined(ADD_FAILURE_AT) && defined(GTEST_FAIL_AT)
#define ZEROFAULT_TEST_FAIL_ON(block)                                                              \
    ADD_FAILURE_AT((block).file(), (block).line()) << (block).text()
#define ZEROFAULT_TEST_FAIL_OUT(block)                                                             \
    return GTEST_FAIL_AT((block).file(), (block).line()) << (block).text()
#define ZEROFAULT_TEST_SKIP_OUT(block) GTEST_SKIP() << (block).text()
#define ZEROFAULT_TEST_SKIP_ON(block) [&] { ZEROFAULT_TEST_SKIP_OUT(block); }()
#elif defined(CATCH_FAIL_CHECK)
#define ZEROFAULT_TEST_FAIL_ON(block) CATCH_FAIL_CHECK((block).text())
#define ZEROFAULT_TEST_FAIL_OUT(block) CATCH_FAIL((block).text())
#define ZEROFAULT_TEST_SKIP_ON(block) CATCH_WARN((block).text())
#ifdef CATCH_SKIP
#define ZEROFAULT_TEST_SKIP_OUT(block) CATCH_SKIP((block).text())
#endif
#elif defined(FAIL_CHECK)
#define ZEROFAULT_TEST_FAIL_ON(block) FAIL_CHECK((block).text())
#define ZEROFAULT_TEST_FAIL_OUT(block) FAIL((block).text())
#define ZEROFAULT_TEST_SKIP_ON(block) WARN((block).text())
#ifdef SKIP
#define ZEROFAULT_TEST_SKIP_OUT(block) SKIP((block).text())
#endif
#else
#define ZEROFAULT_TEST_FAIL_ON(block)                                                              \
    ZEROFAULT_TEST_FAIL((block).file(), (block).line(), (block).text())
#define ZEROFAULT_TEST_FAIL_OUT(block) ZEROFAULT_TEST_FAIL_ON(block)
#define ZEROFAULT_TEST_SKIP_ON(block)                                                              \
    ZEROFAULT_TEST_SKIP((block).file(), (block).line(), (block).text())
#endif
#ifndef ZEROFAULT_TEST_SKIP_OUT
#define ZEROFAULT_TEST_SKIP_OUT(block) ZEROFAULT_TEST_SKIP_ON(block)
#endif

/* C's blocks know of no framework of C++ and would end the whole run: here they are ASSERT. */
#if (defined(ADD_FAILURE_AT) && defined(GTEST_FAIL_AT)) || defined(CATCH_FAIL_CHECK) ||            \
    defined(FAIL_CHECK)
#undef assert_no_page_faults
#undef expect_page_faults_at_most
#undef assert_no_violations
#undef assert_no_system_calls
#define assert_no_page_faults                                                                      \
    ZEROFAULT_TEST_ASSERT("assert_no_page_faults", ZEROFAULT_TEST_FAULTS, 0, 0)
#define expect_page_faults_at_most(count)                                                          \
    ZEROFAULT_TEST_ASSERT("expect_page_faults_at_most", ZEROFAULT_TEST_FAULTS, count, 0)
#define assert_no_violations(watch_flags)                                                          \
    ZEROFAULT_TEST_ASSERT("assert_no_violations", ZEROFAULT_TEST_EVERYTHING, 0, watch_flags)
#define assert_no_system_calls                                                                     \
    ZEROFAULT_TEST_ASSERT("assert_no_system_calls", 1u << HOT_SYSTEM_CALL, 0,                      \
                          HOT_WATCH_SYSTEM_CALLS)
#endif

/* --------------------------------------------------------------------- what a block consists of */

/* The verdict is handed over where the block is written, so that the framework's macros do there
 * what they do elsewhere, return included. */
#define ZEROFAULT_TEST_LOOP(block, fail, skip, ...)                                                \
    for (::zerofault::test_block block{__VA_ARGS__};                                               \
         block.next(__builtin_frame_address(0)) || __extension__({                                 \
             if (block.failed())                                                                   \
                 fail(block);                                                                      \
             if (block.skipped())                                                                  \
                 skip(block);                                                                      \
             false;                                                                                \
         });)

#define ZEROFAULT_TEST_EXPECT(assertion, kinds, allowed, watch)                                    \
    ZEROFAULT_TEST_LOOP(ZEROFAULT_TEST_JOIN(zerofault_test_block_, __LINE__),                      \
                        ZEROFAULT_TEST_FAIL_ON, ZEROFAULT_TEST_SKIP_ON, assertion, __FILE__,       \
                        __LINE__, __func__, kinds, allowed, watch)
#define ZEROFAULT_TEST_ASSERT(assertion, kinds, allowed, watch)                                    \
    ZEROFAULT_TEST_LOOP(ZEROFAULT_TEST_JOIN(zerofault_test_block_, __LINE__),                      \
                        ZEROFAULT_TEST_FAIL_OUT, ZEROFAULT_TEST_SKIP_OUT, assertion, __FILE__,     \
                        __LINE__, __func__, kinds, allowed, watch)

namespace zerofault
{

/* One block. The macros above are its only users. */
class test_block
{
  public:
    test_block(const char *assertion, const char *at_file, int at_line, const char *function,
               std::uint32_t kinds, std::uint64_t allowed, std::uint32_t watch) noexcept
        : block_(
              ::zerofault_test_make(assertion, at_file, at_line, function, kinds, allowed, watch))
    {
    }

    test_block(const test_block &) = delete;
    test_block &operator=(const test_block &) = delete;

    /* A framework's failure may be an exception. */
    ~test_block() noexcept(false) /* NOLINT(bugprone-exception-escape) */
    {
        if (!block_.begun || block_.ended)
            return;
        finish();
        if (std::uncaught_exceptions() > exceptions_)
            return;
        if (failed())
            ZEROFAULT_TEST_FAIL_ON(*this);
        if (skipped())
            ZEROFAULT_TEST_SKIP_ON(*this);
    }

    /* Does the body run (again)? Once it does, between this and the next call. */
    bool next(const void *frame) noexcept
    {
        if (::zerofault_test_next(&block_, frame))
            return true;
        finish();
        return false;
    }

    bool failed() const noexcept
    {
        return verdict_ == ZEROFAULT_TEST_FAILED;
    }

    bool skipped() const noexcept
    {
        return verdict_ == ZEROFAULT_TEST_SKIPPED;
    }

    const char *file() const noexcept
    {
        return block_.file;
    }

    int line() const noexcept
    {
        return block_.line;
    }

    const char *text() const noexcept
    {
        return text_.text;
    }

  private:
    void finish() noexcept
    {
        ::zerofault_test_end(&block_);
        verdict_ = ::zerofault_test_judge(&block_);
        if (verdict_ != ZEROFAULT_TEST_PASSED)
            ::zerofault_test_describe(&block_, &text_);
    }

    ::zerofault_test_block block_;
    ::zerofault_test_verdict verdict_ = ZEROFAULT_TEST_PASSED;
    ::zerofault_test_text text_{};
    int exceptions_ = std::uncaught_exceptions();
};

} // namespace zerofault

#endif
