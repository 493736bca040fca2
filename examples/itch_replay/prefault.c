/*
 * Touching the rest of the process.
 *
 * Reads one byte of each page of the program and its libraries, and writes back, atomically, what
 * it finds in their writable pages: code is there before it first runs, and no first write to a
 * static object copies a page. The stack is written as deep as the loop may go. The clock and
 * getrusage are called once, because the page of kernel time data that the former reads is mapped
 * at its first use. The heap is left alone: it is what some of the modes are about.
 */
#include "prefault.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"

#define STACK_BYTES (128u << 10) /* tree recursion and a signal frame take a tenth of it */

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Pages are touched wherever they begin, between two objects too: to AddressSanitizer a mistake. */
static __attribute__((no_sanitize_address)) void touch_segment(uintptr_t begin, uintptr_t end,
                                                               int writable)
{
    for (uintptr_t at = begin & ~(uintptr_t)(page_bytes() - 1); at < end; at += page_bytes()) {
        if (writable)
            __atomic_fetch_or((unsigned char *)at, 0, __ATOMIC_RELAXED);
        else
            (void)*(const volatile unsigned char *)at;
    }
}

/* What the loader made read-only after relocation lies inside a writable segment. */
static uintptr_t end_of_read_only(const struct dl_phdr_info *object)
{
    for (size_t i = 0; i < object->dlpi_phnum; ++i)
        if (object->dlpi_phdr[i].p_type == PT_GNU_RELRO)
            return object->dlpi_addr + object->dlpi_phdr[i].p_vaddr + object->dlpi_phdr[i].p_memsz;
    return 0;
}

static int touch_object(struct dl_phdr_info *object, size_t info_bytes, void *context)
{
    (void)info_bytes;
    (void)context;
    for (size_t i = 0; i < object->dlpi_phnum; ++i) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + segment->p_vaddr;
        uintptr_t end = begin + segment->p_memsz;
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_R) == 0)
            continue;
        touch_segment(begin, end, 0);
        if ((segment->p_flags & PF_W) != 0)
            touch_segment(end_of_read_only(object) > begin ? end_of_read_only(object) : begin, end,
                          1);
    }
    return 0;
}

static __attribute__((noinline)) void touch_stack(void)
{
    volatile unsigned char stack[STACK_BYTES];
    for (size_t offset = 0; offset < sizeof stack; offset += 1024)
        stack[offset] = 0;
}

void prefault_process(void)
{
    struct rusage usage;
    dl_iterate_phdr(touch_object, NULL);
    touch_stack();
    (void)clock_monotonic_ns();
    (void)getrusage(RUSAGE_THREAD, &usage);
}
