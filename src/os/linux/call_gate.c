/*
 * The gate in x86-64 machine code; see call_gate.h.
 *
 * A system call destroys rcx and r11 and nothing else, so an entry has those two to itself. It
 * keeps its return address on the program's stack, below the 128 bytes that a leaf function may
 * use there without telling. A child that starts on a new stack finds the address there too. Only
 * a child that shares the stack while its parent waits (vfork) would destroy it; that address is
 * kept in thread-local memory, which the two also share. The unwind tables let debuggers and
 * cancellation look through the gate at who called.
 */
#include "os/linux/call_gate.h"

#if ZF_CALL_GATE

#include <zerofault/attributes.h>

/* Where the vfork under way came from. */
extern __attribute__((visibility("hidden"))) ZEROFAULT_THREAD_LOCAL uintptr_t zf_call_gate_vforked;
ZEROFAULT_THREAD_LOCAL uintptr_t zf_call_gate_vforked;

/* One entry: what it does before the call and after it, both telling the unwinder. */
#define ENTRY(name)                                                                                \
    ".balign 16\n.globl " name "\n.hidden " name "\n.type " name ", @function\n" name ":\n"
#define SIZE(name) ".size " name ", . - " name "\n"
#define COMES_FROM(reg)                                                                            \
    ".cfi_startproc simple\n.cfi_signal_frame\n.cfi_def_cfa %rsp, 0\n.cfi_register %rip, " reg "\n"
#define SKIP_RED_ZONE "leaq -128(%rsp), %rsp\n.cfi_def_cfa_offset 128\n"
#define SAVE(reg) "pushq " reg "\n.cfi_def_cfa_offset 136\n.cfi_offset %rip, -136\n"
#define RESTORE(reg) "popq " reg "\n.cfi_def_cfa_offset 128\n.cfi_register %rip, " reg "\n"
#define RETURN(reg) "leaq 128(%rsp), %rsp\n.cfi_def_cfa_offset 0\njmp *" reg "\n.cfi_endproc\n"

/* clang-format off */
__asm__(
    ".text\n"
    ".balign 64\n"
    ENTRY("zf_call_gate")

    ENTRY("zf_call_gate_plain")
    COMES_FROM("%rcx")
    SKIP_RED_ZONE
    SAVE("%rcx")
    "syscall\n"
    RESTORE("%rcx")
    RETURN("%rcx")
    SIZE("zf_call_gate_plain")

    /* The same, and the return address on top of the child's stack too, with as much room. */
    ENTRY("zf_call_gate_clone")
    COMES_FROM("%rcx")
    "leaq -136(%rsi), %rsi\n"
    "movq %rcx, (%rsi)\n"
    SKIP_RED_ZONE
    SAVE("%rcx")
    "syscall\n"
    "leaq 136(%rsi), %rsi\n"
    RESTORE("%rcx")
    RETURN("%rcx")
    SIZE("zf_call_gate_clone")

    /* rdi points to a copy of the caller's arguments and is restored afterwards. */
    ENTRY("zf_call_gate_clone3")
    COMES_FROM("%rcx")
    SKIP_RED_ZONE
    "pushq %r11\n.cfi_def_cfa_offset 136\n"
    "pushq %rcx\n.cfi_def_cfa_offset 144\n.cfi_offset %rip, -144\n"
    "syscall\n"
    "popq %rcx\n.cfi_def_cfa_offset 136\n.cfi_register %rip, %rcx\n"
    "popq %rdi\n.cfi_def_cfa_offset 128\n"
    RETURN("%rcx")
    SIZE("zf_call_gate_clone3")

    ENTRY("zf_call_gate_vfork")
    COMES_FROM("%rcx")
    "movq zf_call_gate_vforked@gottpoff(%rip), %r11\n"
    "movq %rcx, %fs:(%r11)\n"
    ".cfi_undefined %rip\n"
    "syscall\n"
    "movq zf_call_gate_vforked@gottpoff(%rip), %rcx\n"
    "jmp *%fs:(%rcx)\n"
    ".cfi_endproc\n"
    SIZE("zf_call_gate_vfork")

    /* Here rcx is an argument. r11 is free: older kernels clear it in this kind of call. */
    ENTRY("zf_call_gate_int80")
    COMES_FROM("%r11")
    SKIP_RED_ZONE
    SAVE("%r11")
    "int $0x80\n"
    RESTORE("%r11")
    RETURN("%r11")
    SIZE("zf_call_gate_int80")

    /* Unwinders and debuggers know a signal frame by these very bytes, without a table. */
    ".balign 16\n"
    "nop\n"
    ENTRY("zf_call_gate_sigreturn")
    "movq $15, %rax\n"
    "syscall\n"
    "ud2\n"
    SIZE("zf_call_gate_sigreturn")

    /* Called by the kernel, the return address lies right below the context. */
    ENTRY("zf_call_gate_on_signal")
    ".cfi_startproc\n"
    "leaq 8(%rsp), %rcx\n"
    "cmpq %rcx, %rdx\n"
    "jne zf_signal_dispatch\n"
    "subq $8, %rsp\n"
    ".cfi_def_cfa_offset 16\n"
    "call zf_signal_dispatch\n"
    "addq $16, %rsp\n"
    "jmp zf_call_gate_sigreturn\n"
    ".cfi_endproc\n"
    SIZE("zf_call_gate_on_signal")

    ENTRY("zf_call_gate_make")
    ".cfi_startproc\n"
    "movq %rdi, %rax\n"
    "movq %rsi, %rdi\n"
    "movq %rdx, %rsi\n"
    "movq %rcx, %rdx\n"
    "movq %r8, %r10\n"
    "movq %r9, %r8\n"
    "movq 8(%rsp), %r9\n"
    "syscall\n"
    "ret\n"
    ".cfi_endproc\n"
    SIZE("zf_call_gate_make")

    ENTRY("zf_call_gate_end")
    "nop\n"
);
/* clang-format on */

#endif
