/*
 * The gate: the only code of a watched thread whose system calls the kernel lets through.
 *
 * A thread that was stopped at a system call goes on at one of the entries below, which makes the
 * same call with the same registers and returns behind the instruction that was stopped. To the
 * kernel and to the program it is as if nothing had happened: signals, restarts, masks, the stack
 * and even a second return in a child are the program's own.
 */
#ifndef ZF_OS_LINUX_CALL_GATE_H
#define ZF_OS_LINUX_CALL_GATE_H

#include <signal.h>
#include <stdint.h>

#if defined(__x86_64__) && !defined(__ILP32__)
#define ZF_CALL_GATE 1
#else
#define ZF_CALL_GATE 0
#endif

/* First byte of the gate, and the one behind it. */
extern const unsigned char zf_call_gate[];
extern const unsigned char zf_call_gate_end[];

/* Entries, where to come back to in rcx, everything else as at the stopped instruction. */
extern const unsigned char zf_call_gate_plain[];
extern const unsigned char zf_call_gate_clone[];  /* the child gets a stack of its own, from rsi */
extern const unsigned char zf_call_gate_clone3[]; /* likewise, prepared; caller's rdi in r11 */
extern const unsigned char zf_call_gate_vfork[];  /* the child runs on this stack */
extern const unsigned char zf_call_gate_int80[];  /* the 32-bit way; back to the address in r11 */
extern const unsigned char zf_call_gate_sigreturn[]; /* never comes back */

/* What zf_call_gate_plain and the others put between the stack pointer and their return address,
 * and the whole of what they take. */
#define ZF_CALL_GATE_RED_ZONE_BYTES 128
#define ZF_CALL_GATE_CLONE_BYTES (ZF_CALL_GATE_RED_ZONE_BYTES + 8)
#define ZF_CALL_GATE_CLONE3_BYTES (ZF_CALL_GATE_RED_ZONE_BYTES + 16)

/* A signal handler that calls zf_signal_dispatch, and returns through the gate whatever its
 * sa_restorer is. */
void zf_call_gate_on_signal(int number, siginfo_t *info, void *context);

/* Make a system call that is let through. Returns what the kernel returned. */
long zf_call_gate_make(long number, long first, long second, long third, long fourth, long fifth,
                       long sixth);

#endif
