/*
 * The stack of the calling thread: where it is, and how far down it may grow.
 *
 * The first thread's stack is a mapping that the kernel extends at a fault below it, as far as
 * RLIMIT_STACK and the next mapping's gap allow. Growing it by an own access would end the process
 * where the kernel says no; a system call that writes there is answered with EFAULT instead, so the
 * kernel itself is asked, step by step. What lies below the frame is free, so the bytes written are
 * nobody's. Other threads' stacks are mapped in full and end at a guard. See mmap(2), getrlimit(2),
 * pthread_getattr_np(3).
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/arith.h"
#include "os/linux/maps.h"
#include "os/os.h"

/* The kernel takes any distance in one go; small steps find out how far it goes. */
#define GROW_BYTES ((size_t)64 << 10)

/* The part of the mapping that is this thread's own by the C library's word. */
static int clip_to_thread(struct zf_linux_mapping *mapping, uintptr_t here)
{
    pthread_attr_t attributes;
    void *start;
    size_t size_bytes;
    int error = pthread_getattr_np(pthread_self(), &attributes);
    if (error != 0)
        return -error;
    error = pthread_attr_getstack(&attributes, &start, &size_bytes);
    (void)pthread_attr_destroy(&attributes);
    if (error != 0)
        return -error;
    mapping->start = zf_max(mapping->start, (uintptr_t)start);
    mapping->end = zf_min(mapping->end, (uintptr_t)start + size_bytes);
    return here >= mapping->start && here < mapping->end ? 0 : -EOPNOTSUPP;
}

int zf_os_stack(struct zf_os_stack *stack)
{
    size_t page_bytes = zf_os_page_bytes();
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    struct zf_linux_mapping mapping;
    size_t start = 0;
    char path[16];
    int rc = zf_linux_mapping_find(here, NULL, &mapping, path, sizeof path);
    ZF_ASSERT(stack != NULL);
    memset(stack, 0, sizeof *stack);
    if (rc != 0)
        return -EOPNOTSUPP;
    stack->grows = strcmp(path, "[stack]") == 0;
    if (!stack->grows)
        rc = clip_to_thread(&mapping, here);
    /* A stack that the program gave its thread need not be whole pages. */
    if (rc != 0 || !zf_align_up(mapping.start, page_bytes, &start) || start > here)
        return rc != 0 ? rc : -EOPNOTSUPP;
    stack->lowest = (void *)start;
    stack->frame = (void *)zf_align_down(here, page_bytes);
    stack->top = (void *)zf_align_down(mapping.end, page_bytes);
    ZF_ASSERT(stack->lowest <= stack->frame);
    return 0;
}

int zf_os_stack_grow(struct zf_os_stack *stack, const void *lowest)
{
    uintptr_t wanted = (uintptr_t)lowest;
    uintptr_t reached = (uintptr_t)stack->lowest;
    size_t step_bytes = GROW_BYTES;
    ZF_ASSERT(stack->grows);
    ZF_ASSERT(wanted % zf_os_page_bytes() == 0);
    while (reached > wanted) {
        uintptr_t next = reached - zf_min(step_bytes, reached - wanted);
        if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, next) == 0)
            reached = next;
        else if (step_bytes > zf_os_page_bytes())
            step_bytes = zf_os_page_bytes();
        else
            break;
    }
    stack->lowest = (void *)reached;
    return reached <= wanted ? 0 : -ENOMEM;
}
