/*
 * The state of a thread's surroundings as it attaches; see origin.h. A thread that runs on a stack
 * of its own making, as a coroutine does, has no mark.
 */
#include "hot/origin.h"

#include "base/assert.h"

void zf_hot_origin_take(struct zf_hot_origin *origin)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    ZF_ASSERT(origin != NULL);
    zf_os_thread_ranges(&origin->ranges);
    origin->stack_mark = 0;
    if (here >= origin->ranges.stack_begin && here < origin->ranges.stack_end)
        origin->stack_mark = here;
    origin->forks = zf_os_forks();
    zf_machine_vmstat("", &origin->vmstat);
}
