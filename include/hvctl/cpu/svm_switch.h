/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The world switch of SVM: VMRUN with the guest's general registers and the state that VMLOAD loads, and back. gcc and
 * clang, x86-64. APM vol. 2, "VMRUN", "VMSAVE and VMLOAD Instructions", "Global Interrupt Flag, STGI and CLGI
 * Instructions".
 */
#ifndef HVCTL_CPU_SVM_SWITCH_H
#define HVCTL_CPU_SVM_SWITCH_H

#include "../../hvpt/engine/attributes.h"
#include "../common/regs.h"
#include "after_exit.h"
#include "x86.h"

/*
 * Run the guest of the VMCB at this physical address until its next VMEXIT. host is the physical address of a page for
 * this CPU alone (not the host save area, which is the CPU's) that keeps the host's FS, GS, TR, LDTR, KERNEL_GS_BASE,
 * STAR, LSTAR, CSTAR, SFMASK and SYSENTER state meanwhile, in the layout of a VMCB.
 *
 * regs carries RCX to R15; RAX, RSP, RIP and RFLAGS are in the VMCB. The whole switch runs with the global interrupt
 * flag clear. interrupts: let physical interrupts end the guest's run (host RFLAGS.IF is set during VMRUN; that needs
 * V_INTR_MASKING and the INTR intercept): they are taken after this call, as soon as the caller's IF allows. Host
 * RFLAGS is preserved. The caller must switch XSAVE state with XCR0, DR0 to DR3 (and the host's DR6 and DR7, because
 * VMEXIT disables its breakpoints), DEBUGCTL without LBR virtualization, TSC_AUX, and the rest of docs/hvctl.md, "What
 * the world switch leaves to the caller".
 *
 * VMRUN raises #GP for a VMCB that is not 4 KiB aligned or beyond MAXPHYADDR, and #UD without EFER.SVME; nothing here
 * catches it.
 */
HVPT_FUNCTION void hvctl_svm_switch(struct hvctl_guest_regs *regs, uint64_t vmcb, uint64_t host, bool interrupts)
{
    uint32_t sti = interrupts;

    __asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
                     "pushfq\n\t"
                     "push %%rbp\n\t"
                     "push %%rdi\n\t"
                     "push %%rdx\n\t"
                     "clgi\n\t"
                     "mov %%rdx, %%rax\n\t"
                     "vmsave %%rax\n\t"
                     "test %%ecx, %%ecx\n\t"
                     "jz 1f\n\t"
                     "sti\n"
                     "1:\n\t"
                     "mov %%rsi, %%rax\n\t"
                     "vmload %%rax\n\t"
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
                     "vmrun %%rax\n\t" HVCTL_AFTER_EXIT
                     "vmsave %%rax\n\t" /* VMEXIT has restored RAX, the VMCB's address, and RSP */
                     "mov 8(%%rsp), %%rax\n\t"
                     "mov %%rcx, 8(%%rax)\n\t"
                     "mov %%rdx, 16(%%rax)\n\t"
                     "mov %%rbx, 24(%%rax)\n\t"
                     "mov %%rbp, 40(%%rax)\n\t"
                     "mov %%rsi, 48(%%rax)\n\t"
                     "mov %%rdi, 56(%%rax)\n\t"
                     "mov %%r8, 64(%%rax)\n\t"
                     "mov %%r9, 72(%%rax)\n\t"
                     "mov %%r10, 80(%%rax)\n\t"
                     "mov %%r11, 88(%%rax)\n\t"
                     "mov %%r12, 96(%%rax)\n\t"
                     "mov %%r13, 104(%%rax)\n\t"
                     "mov %%r14, 112(%%rax)\n\t"
                     "mov %%r15, 120(%%rax)\n\t"
                     "pop %%rax\n\t"
                     "vmload %%rax\n\t"
                     "cli\n\t" /* before STGI: the caller decides when interrupts come in */
                     "stgi\n\t"
                     "lea 8(%%rsp), %%rsp\n\t"
                     "pop %%rbp\n\t"
                     "popfq\n\t"
                     "lea 128(%%rsp), %%rsp"
                     : "+D"(regs), "+S"(vmcb), "+d"(host), "+c"(sti)
                     :
                     : "rax", "rbx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

#endif
