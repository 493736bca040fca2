/*
 * The stack and the thread-local variables of the calling thread.
 *
 * The C library knows the stack; the first thread's reaches down to where RLIMIT_STACK ends it,
 * mapped or not. The loader knows the thread-local block of each object; those that were there at
 * the start of the program lie side by side, around this file's own variable, and the thread's
 * control block behind them. Blocks of objects that were loaded later are malloc's. See
 * pthread_getattr_np(3), dl_iterate_phdr(3).
 */
#include <link.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "base/arith.h"
#include "os/os.h"

/* Blocks of one thread that lie side by side are nearer than this. */
#define NEAR_BYTES ((uintptr_t)1 << 20)

static __thread char anchor __attribute__((tls_model("initial-exec")));

static void find_stack(struct zf_os_thread_ranges *ranges)
{
    pthread_attr_t attributes;
    void *begin = NULL;
    size_t size_bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &begin, &size_bytes) == 0) {
        ranges->stack_begin = (uintptr_t)begin;
        ranges->stack_end = (uintptr_t)begin + size_bytes;
    }
    (void)pthread_attr_destroy(&attributes);
}

static int add_block(struct dl_phdr_info *info, size_t size_bytes, void *context)
{
    struct zf_os_thread_ranges *ranges = context;
    uintptr_t begin;
    if (size_bytes < offsetof(struct dl_phdr_info, dlpi_tls_data) + sizeof(void *))
        return 1;
    begin = (uintptr_t)info->dlpi_tls_data;
    if (begin == 0 || begin + NEAR_BYTES < (uintptr_t)&anchor ||
        begin > (uintptr_t)&anchor + NEAR_BYTES)
        return 0;
    for (size_t i = 0; i < info->dlpi_phnum; ++i)
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            ranges->locals_begin = zf_min(ranges->locals_begin, begin);
            ranges->locals_end = zf_max(ranges->locals_end, begin + info->dlpi_phdr[i].p_memsz);
        }
    return 0;
}

void zf_os_thread_ranges(struct zf_os_thread_ranges *ranges)
{
    size_t page_bytes = zf_os_page_bytes();
    ZF_ASSERT(ranges != NULL);
    memset(ranges, 0, sizeof *ranges);
    find_stack(ranges);
    ranges->locals_begin = (uintptr_t)&anchor;
    ranges->locals_end = (uintptr_t)&anchor + sizeof anchor;
    (void)dl_iterate_phdr(add_block, ranges);
    /* A page that holds a byte of them is the thread's as a whole. */
    ranges->locals_begin = zf_align_down(ranges->locals_begin, page_bytes);
    ranges->locals_end = zf_align_down(ranges->locals_end - 1, page_bytes) + page_bytes;
    ZF_ASSERT(ranges->locals_begin < ranges->locals_end);
}
