/* Catch2 tests whose blocks pass and fail; test_frameworks.c runs each. */
#include <cstdio>

#if __has_include(<catch2/catch.hpp>)
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#else
#include <catch2/catch_test_macros.hpp>
#endif

#include <zerofault/testing.hpp>

#include "cold_page.h"

TEST_CASE("clean")
{
    cold_page page;
    page.write();
    ZEROFAULT_EXPECT_NO_PAGE_FAULTS
    {
        page.write();
    }
    ZEROFAULT_ASSERT_NO_PAGE_FAULTS
    {
        page.write();
    }
    SUCCEED();
}

TEST_CASE("expected")
{
    cold_page page;
    ZEROFAULT_EXPECT_NO_PAGE_FAULTS
    {
        page.write();
    }
    std::puts("went on");
}

TEST_CASE("asserted")
{
    cold_page page;
    ZEROFAULT_ASSERT_NO_PAGE_FAULTS
    {
        page.write();
    }
    std::puts("went on");
}

TEST_CASE("by the name in C")
{
    cold_page page;
    assert_no_page_faults
    {
        page.write();
    }
    std::puts("went on");
}

TEST_CASE("unseen")
{
    hot_switch(false);
    ZEROFAULT_EXPECT_NO_PAGE_FAULTS
    {
        std::puts("the body ran");
    }
    std::puts("went on");
    SUCCEED();
}
