/*
 * Static probes: places in the code that bpftrace, perf and gdb find by name.
 *
 * A probe is one nop, and a note in the object file that tells tools where it is and which
 * registers hold its arguments: the stapsdt format of <sys/sdt.h>, written here so that nobody
 * needs that header. While no tool is attached, a nop is all that runs. On targets other than ELF
 * on x86-64 nothing is left behind. The arguments, all of 8 bytes; names are strings:
 *
 *     zerofault:section_begin        section
 *     zerofault:section_end          section, violations
 *     zerofault:violation            section, kind, address, instruction, count, kind's name
 *     zerofault:warmup_phase_begin   arena, phase, bytes
 *     zerofault:warmup_phase_end     arena, phase, nanoseconds, 0 or -errno
 *
 * The library always has them. Begin and end are inlined, and have none on their fast path unless
 * ZEROFAULT_PROBES is defined before hot.h is included; without it, the library's two see only
 * sections that take the long way, as all do while a tracer is set (see zerofault/trace.h).
 */
#ifndef ZEROFAULT_PROBES_H
#define ZEROFAULT_PROBES_H

#include <stdint.h>

#if defined(__x86_64__) && defined(__LP64__) && defined(__ELF__)

/* The note: owner and type, then the addresses of the nop, of a base by which tools see that a
 * file was relocated afterwards, and of a count of attached tools; then three strings. "?" puts it
 * into the section group of the function, so that it goes where a duplicate of that goes. */
#define ZEROFAULT_PROBE_NOTE(name, semaphore, arguments)                                           \
    "990: nop\n"                                                                                   \
    ".pushsection .note.stapsdt, \"?\", \"note\"\n"                                                \
    ".balign 4\n"                                                                                  \
    ".4byte 992f - 991f, 994f - 993f, 3\n"                                                         \
    "991: .asciz \"stapsdt\"\n"                                                                    \
    "992: .balign 4\n"                                                                             \
    "993: .8byte 990b, _.stapsdt.base, " semaphore "\n"                                            \
    ".asciz \"zerofault\"\n"                                                                       \
    ".asciz \"" name "\"\n"                                                                        \
    ".asciz \"" arguments "\"\n"                                                                   \
    "994: .balign 4\n"                                                                             \
    ".popsection\n"                                                                                \
    ".ifndef _.stapsdt.base\n"                                                                     \
    ".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"                    \
    ".weak _.stapsdt.base\n"                                                                       \
    ".hidden _.stapsdt.base\n"                                                                     \
    "_.stapsdt.base: .space 1\n"                                                                   \
    ".size _.stapsdt.base, 1\n"                                                                    \
    ".popsection\n"                                                                                \
    ".endif\n"

/* A constant, or in a register: operands that every tool can read. */
#define ZEROFAULT_PROBE_ARGUMENT(value) "nr"((uint64_t)(uintptr_t)(value))

#define ZEROFAULT_PROBE1(name, a)                                                                  \
    __asm__ volatile(ZEROFAULT_PROBE_NOTE(#name, "0", "8@%0")::ZEROFAULT_PROBE_ARGUMENT(a))
#define ZEROFAULT_PROBE2(name, a, b)                                                               \
    __asm__ volatile(ZEROFAULT_PROBE_NOTE(#name, "0", "8@%0 8@%1")::ZEROFAULT_PROBE_ARGUMENT(a),   \
                     ZEROFAULT_PROBE_ARGUMENT(b))
#define ZEROFAULT_PROBE3(name, a, b, c)                                                            \
    __asm__ volatile(                                                                              \
        ZEROFAULT_PROBE_NOTE(#name, "0", "8@%0 8@%1 8@%2")::ZEROFAULT_PROBE_ARGUMENT(a),           \
        ZEROFAULT_PROBE_ARGUMENT(b), ZEROFAULT_PROBE_ARGUMENT(c))
#define ZEROFAULT_PROBE4(name, a, b, c, d)                                                         \
    __asm__ volatile(                                                                              \
        ZEROFAULT_PROBE_NOTE(#name, "0", "8@%0 8@%1 8@%2 8@%3")::ZEROFAULT_PROBE_ARGUMENT(a),      \
        ZEROFAULT_PROBE_ARGUMENT(b), ZEROFAULT_PROBE_ARGUMENT(c), ZEROFAULT_PROBE_ARGUMENT(d))

/* With six arguments, and a semaphore: an unsigned short in a section of its own, which tools
 * count up while they are attached. */
#define ZEROFAULT_PROBE6(name, semaphore, a, b, c, d, e, f)                                        \
    __asm__ volatile(                                                                              \
        ZEROFAULT_PROBE_NOTE(#name, #semaphore,                                                    \
                             "8@%0 8@%1 8@%2 8@%3 8@%4 8@%5")::ZEROFAULT_PROBE_ARGUMENT(a),        \
        ZEROFAULT_PROBE_ARGUMENT(b), ZEROFAULT_PROBE_ARGUMENT(c), ZEROFAULT_PROBE_ARGUMENT(d),     \
        ZEROFAULT_PROBE_ARGUMENT(e), ZEROFAULT_PROBE_ARGUMENT(f))

#else

#define ZEROFAULT_PROBE1(name, a) ((void)(a))
#define ZEROFAULT_PROBE2(name, a, b) ((void)(a), (void)(b))
#define ZEROFAULT_PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#define ZEROFAULT_PROBE4(name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#define ZEROFAULT_PROBE6(name, semaphore, a, b, c, d, e, f)                                        \
    ((void)(semaphore), (void)(a), (void)(b), (void)(c), (void)(d), (void)(e), (void)(f))

#endif

#endif
