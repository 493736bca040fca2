/* GoogleTest tests whose blocks pass, fail and are skipped; test_frameworks.c runs each. */
#include <cstdio>

#include <gtest/gtest.h>

#include <zerofault/testing.hpp>

#include "cold_page.h"

TEST(Blocks, Clean)
{
    cold_page page;
    page.write();
    ZEROFAULT_EXPECT_NO_PAGE_FAULTS
    page.write();
    if (page.is_mapped())
        ZEROFAULT_ASSERT_NO_PAGE_FAULTS
        {
            page.write();
        }
    ZEROFAULT_ASSERT_PAGE_FAULTS_AT_MOST(1) cold_page{}.write();
}

TEST(Blocks, Expected)
{
    cold_page page;
    ZEROFAULT_EXPECT_NO_PAGE_FAULTS
    {
        page.write();
    }
    std::puts("went on");
}

TEST(Blocks, Asserted)
{
    cold_page page;
    ZEROFAULT_ASSERT_NO_PAGE_FAULTS
    {
        page.write();
    }
    std::puts("went on");
}

TEST(Blocks, AssertedByTheNameInC)
{
    cold_page page;
    assert_no_page_faults
    {
        page.write();
    }
    std::puts("went on");
}

static int leave(cold_page &page)
{
    ZEROFAULT_EXPECT_NO_PAGE_FAULTS
    {
        page.write();
        return 7;
    }
    return 0;
}

TEST(Blocks, Left)
{
    cold_page page;
    EXPECT_EQ(leave(page), 7);
    std::puts("went on");
}

TEST(Blocks, Thrown)
{
    cold_page page;
    try {
        ZEROFAULT_EXPECT_NO_PAGE_FAULTS
        {
            page.write();
            throw 1;
        }
    } catch (int) {
    }
    ZEROFAULT_EXPECT_NO_PAGE_FAULTS
    {
        page.write();
    }
}

TEST(Blocks, ExpectedUnseen)
{
    hot_switch(false);
    ZEROFAULT_EXPECT_NO_PAGE_FAULTS
    {
        std::puts("the body ran");
    }
    std::puts("went on");
}

TEST(Blocks, AssertedUnseen)
{
    hot_switch(false);
    ZEROFAULT_ASSERT_NO_PAGE_FAULTS
    {
        std::puts("the body ran");
    }
    std::puts("went on");
}
