/*
 * Runs in a guest with several nodes, once for each kernel; see README.md.
 */
#include <stdio.h>
#include <sys/utsname.h>

#include "numa/numa.h"

int main(void)
{
    /* Balancing comes last: it leaves pages behind that are yet to fault. */
    static int (*const groups[])(void) = {
        test_topology, test_placement, test_fallback, test_huge_pages, test_pools,     test_fork,
        test_drift,    test_causes,    test_room,     test_too_small,  test_balancing,
    };
    struct utsname name;
    int failed = 0;
    if (uname(&name) != 0 || !set_balancing(false))
        return 1;
    printf("Linux %s\n", name.release);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; ++i)
        failed += groups[i]();
    return failed == 0 ? 0 : 1;
}
