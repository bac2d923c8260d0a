/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The world switch of VMX: VMLAUNCH or VMRESUME with the guest's general registers, and back. gcc and clang, x86-64.
 * SDM vol. 3, "VM Entries", "VM Exits".
 */
#ifndef HVCTL_CPU_VMX_SWITCH_H
#define HVCTL_CPU_VMX_SWITCH_H

#include "../../hvpt/engine/attributes.h"
#include "../common/regs.h"
#include "after_exit.h"
#include "vmx.h"
#include "x86.h"

/*
 * Enter the guest of the current VMCS with the registers in regs, and come back at its next VM exit with them filled
 * in. launched: VMRESUME instead of VMLAUNCH. HVCTL_VMX_SUCCEED: there was a VM exit, which may be a failed VM entry
 * (EXIT_REASON bit 31). The two failures: the guest did not run, and regs is unchanged.
 *
 * It writes HOST_RSP and HOST_RIP of the current VMCS each time, and switches CR2 and all general registers except RSP.
 * Host RFLAGS is preserved, IF included; call it with interrupts off all the same, or an interrupt handler might make
 * another VMCS current. A VM exit leaves the limits of GDTR and IDTR at FFFFH, that of TR at 67H, LDTR null, DR7 at
 * 400H and DEBUGCTL at 0, and it leaves alone what the caller must switch: see docs/hvctl.md, "What the world switch
 * leaves to the caller".
 *
 * The first instruction skips the red zone, so that -mno-red-zone is not required. Where the compiler follows Windows'
 * ABI (UEFI), XMM6 to XMM15 are assumed to survive the call: as on every ABI, the caller switches the XSAVE state of a
 * guest that uses them, and restores the host's before its own code goes on.
 */
HVPT_FUNCTION enum hvctl_vmx_result hvctl_vmx_switch(struct hvctl_guest_regs *regs, bool launched)
{
    uint32_t result;
    uint32_t resume = launched;

    __asm__ volatile(
        "lea -128(%%rsp), %%rsp\n\t"
        "pushfq\n\t"
        "push %%rbp\n\t"
        "push %%rdi\n\t"
        "mov %[host_rsp], %%ecx\n\t"
        "vmwrite %%rsp, %%rcx\n\t"
        "jbe 4f\n\t"
        "mov %[host_rip], %%ecx\n\t"
        "lea 3f(%%rip), %%rax\n\t"
        "vmwrite %%rax, %%rcx\n\t"
        "jbe 4f\n\t"
        "mov 128(%%rdi), %%rax\n\t" /* a write of CR2 is slow, and most guests resume with the same one */
        "mov %%cr2, %%rcx\n\t"
        "cmp %%rax, %%rcx\n\t"
        "je 1f\n\t"
        "mov %%rax, %%cr2\n\t"
        "1:\n\t"
        "test %%esi, %%esi\n\t" /* the loads preserve the flag */
        "mov 0(%%rdi), %%rax\n\t"
        "mov 8(%%rdi), %%rcx\n\t"
        "mov 16(%%rdi), %%rdx\n\t"
        "mov 24(%%rdi), %%rbx\n\t"
        "mov 40(%%rdi), %%rbp\n\t"
        "mov 48(%%rdi), %%rsi\n\t"
        "mov 64(%%rdi), %%r8\n\t"
        "mov 72(%%rdi), %%r9\n\t"
        "mov 80(%%rdi), %%r10\n\t"
        "mov 88(%%rdi), %%r11\n\t"
        "mov 96(%%rdi), %%r12\n\t"
        "mov 104(%%rdi), %%r13\n\t"
        "mov 112(%%rdi), %%r14\n\t"
        "mov 120(%%rdi), %%r15\n\t"
        "mov 56(%%rdi), %%rdi\n\t"
        "jnz 2f\n\t"
        "vmlaunch\n\t"
        "jmp 4f\n"
        "2:\n\t"
        "vmresume\n\t"
        "jbe 4f\n" /* always taken: what falls through has failed. With a jmp, Linux' objtool takes 3 for dead code. */
        "3:\n\t" /* the VM exit arrives here, with the guest's registers and the RSP written above */
        HVCTL_AFTER_EXIT
        "xchg %%rdi, (%%rsp)\n\t"
        "mov %%rax, 0(%%rdi)\n\t"
        "mov %%rcx, 8(%%rdi)\n\t"
        "mov %%rdx, 16(%%rdi)\n\t"
        "mov %%rbx, 24(%%rdi)\n\t"
        "mov %%rbp, 40(%%rdi)\n\t"
        "mov %%rsi, 48(%%rdi)\n\t"
        "mov %%r8, 64(%%rdi)\n\t"
        "mov %%r9, 72(%%rdi)\n\t"
        "mov %%r10, 80(%%rdi)\n\t"
        "mov %%r11, 88(%%rdi)\n\t"
        "mov %%r12, 96(%%rdi)\n\t"
        "mov %%r13, 104(%%rdi)\n\t"
        "mov %%r14, 112(%%rdi)\n\t"
        "mov %%r15, 120(%%rdi)\n\t"
        "pop %%rax\n\t"
        "mov %%rax, 56(%%rdi)\n\t"
        "mov %%cr2, %%rax\n\t"
        "mov %%rax, 128(%%rdi)\n\t"
        "xor %%eax, %%eax\n\t"
        "jmp 6f\n"
        "4:\n\t" /* an instruction failed; CF or ZF says how */
        "mov %[fail_invalid], %%eax\n\t"
        "jc 5f\n\t"
        "mov %[fail_valid], %%eax\n"
        "5:\n\t"
        "lea 8(%%rsp), %%rsp\n"
        "6:\n\t"
        "pop %%rbp\n\t"
        "popfq\n\t"
        "lea 128(%%rsp), %%rsp"
        : "=&a"(result), "+D"(regs), "+S"(resume)
        : [host_rsp] "i"(HVCTL_VMCS_HOST_RSP), [host_rip] "i"(HVCTL_VMCS_HOST_RIP),
          [fail_invalid] "i"(HVCTL_VMX_FAIL_INVALID), [fail_valid] "i"(HVCTL_VMX_FAIL_VALID)
        : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
    return (enum hvctl_vmx_result)result;
}

/* How an attempt to run the guest ended. */
struct hvctl_vmx_run {
    enum hvctl_vmx_result result;
    uint32_t instruction_error; /* with HVCTL_VMX_FAIL_VALID: its number; else 0 */
    uint32_t exit_reason;       /* with HVCTL_VMX_SUCCEED: EXIT_REASON, all bits */
};

/*
 * hvctl_vmx_switch, which also chooses between VMLAUNCH and VMRESUME: set *launched to false after VMCLEAR, and this
 * call maintains it (a failed VM entry leaves a VMCS unlaunched).
 */
HVCTL_NODISCARD static inline struct hvctl_vmx_run hvctl_vmx_enter(const struct hvctl_cpu_ops *ops,
                                                                   struct hvctl_guest_regs *regs, bool *launched)
{
    struct hvctl_vmx_run run = {HVCTL_VMX_SUCCEED, 0, 0};
    uint64_t value = 0;

    run.result = hvctl_vmx_switch(regs, *launched);
    if (run.result == HVCTL_VMX_FAIL_VALID) {
        run.instruction_error = hvctl_vmx_instruction_error(ops);
    } else if (run.result == HVCTL_VMX_SUCCEED) {
        if ((ops->vmread)(ops->ctx, HVCTL_VMCS_EXIT_REASON, &value))
            run.exit_reason = (uint32_t)value;
        if (!(run.exit_reason >> 31))
            *launched = true;
    }
    return run;
}

#endif
