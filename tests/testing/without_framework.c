/*
 * A test program without a framework: a block that fails says so on standard error and aborts.
 * test_flavours.c runs it. Compiled with ZEROFAULT_HOT_OFF, which leaves the blocks as they are.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <zerofault/testing.h>

#define PAGE ((size_t)4096)

int main(int argument_count, char **arguments)
{
    const char *what = argument_count > 1 ? arguments[1] : "";
    unsigned char *page =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return 2;
    if (strcmp(what, "clean") == 0)
        *(volatile unsigned char *)page = 1;
    if (strcmp(what, "off") == 0)
        hot_switch(false);
    assert_no_page_faults
    {
        *(volatile unsigned char *)page = 1;
    }
    printf("went on\n");
    return 0;
}
