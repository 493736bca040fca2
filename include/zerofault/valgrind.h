/* Whether the program runs in Valgrind, where faults and calls are those of a translation. */
#ifndef ZEROFAULT_VALGRIND_H
#define ZEROFAULT_VALGRIND_H

#include <stdbool.h>
#include <stdint.h>

#include <zerofault/attributes.h>

ZEROFAULT_BEGIN_DECLS

/**
 * Ask by instructions that do nothing on a processor, and that Valgrind takes for a question: the
 * first word of the request asks whether it is there.
 *
 * Returns  true in Valgrind on x86-64; false elsewhere
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
static inline bool zerofault_is_valgrind(void)
{
#if defined(__x86_64__) && defined(__LP64__)
    const uint64_t request[6] = {0x1001};
    uint64_t answer = 0;
    __asm__ volatile("rolq $3, %%rdi\n\trolq $13, %%rdi\n\t"
                     "rolq $61, %%rdi\n\trolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "+d"(answer)
                     : "a"(request)
                     : "cc", "memory");
    return answer != 0;
#else
    return false;
#endif
}

ZEROFAULT_END_DECLS

#endif
