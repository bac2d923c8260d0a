/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Guests on SVM: the VMCB and the headers' world switch behind struct vm. */
#include "svm.h"

#include "console.h"
#include "cpu.h"
#include "machine.h"
#include "memory.h"

static struct hvctl_cpu_ops ops;
static struct hvctl_svm_cpu cpu;
static struct hvctl_svm_caps caps;
static uint8_t save_page[4096] __attribute__((aligned(4096)));  /* VM_HSAVE_PA: the CPU's own */
static uint8_t state_page[4096] __attribute__((aligned(4096))); /* the host's VMSAVE state meanwhile */
static uint8_t msr_map[8192] __attribute__((aligned(4096)));
static uint8_t io_map[12288] __attribute__((aligned(4096)));
static struct svm_control control; /* one guest at a time */

/* Bochs has SVM, but not VM_CR: it reads as 0 here, nothing disabled and nothing locked. A check of its own records that. */
static bool safe_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    (void)ctx;
    return cpu_rdmsr(msr, value) || msr == HVCTL_MSR_VM_CR;
}

static bool safe_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    (void)ctx;
    return cpu_wrmsr(msr, value);
}

const struct hvctl_svm_caps *svm_caps(void)
{
    return &caps;
}

const struct hvctl_cpu_ops *svm_ops(void)
{
    return &ops;
}

uint64_t svm_host_save(void)
{
    return (uintptr_t)save_page;
}

const char *svm_enable(void)
{
    enum hvctl_svm_enable_status status;

    ops = hvctl_x86_cpu_ops();
    ops.rdmsr = safe_rdmsr;
    ops.wrmsr = safe_wrmsr;
    status = hvctl_svm_enable(&ops, &cpu, (uintptr_t)save_page, &caps);
    if (status != HVCTL_SVM_ENABLED)
        return hvctl_svm_enable_text(status);
    return hvctl_svm_can(&caps, HVCTL_SVM_NP) ? NULL : "the CPU has no nested paging";
}

void svm_disable(void)
{
    enum hvctl_status status = hvctl_svm_disable(&ops, &cpu);

    if (status != HVCTL_OK)
        panic("leaving SVM: %s", hvctl_status_text(status));
}

void svm_start_long(struct vm *vm)
{
    struct hvctl_guest_state state = hvctl_guest_long64(GUEST_PML4, vm->regs.rip, vm->regs.rsp);

    hvctl_svm_guest_write(control.vmcb, &state);
}

void svm_start_real(struct vm *vm)
{
    struct hvctl_guest_state state = hvctl_guest_real_mode(0, (uint16_t)vm->regs.rip);

    hvctl_svm_guest_write(control.vmcb, &state);
}

void svm_create(struct vm *vm)
{
    static const uint64_t intercepts[] = {
        HVCTL_SVM_EXIT_CPUID,    HVCTL_SVM_EXIT_HLT,   HVCTL_SVM_EXIT_VMMCALL, HVCTL_SVM_EXIT_MSR, HVCTL_SVM_EXIT_IOIO,
        HVCTL_SVM_EXIT_SHUTDOWN, HVCTL_SVM_EXIT_VMRUN, HVCTL_SVM_EXIT_INTR,    HVCTL_SVM_EXIT_NMI,
    };
    struct hvctl_vmcb *vmcb;

    memset(&control, 0, sizeof(control));
    memset(msr_map, 0xff, sizeof(msr_map));
    memset(io_map, 0xff, sizeof(io_map));
    vm->control = &control;
    vmcb = control.vmcb = frames_page(vm->frames);
    hvctl_vmcb_zero(vmcb);
    for (unsigned i = 0; i < sizeof(intercepts) / sizeof(intercepts[0]); i++)
        if (hvctl_vmcb_intercept(vmcb, intercepts[i], true) != HVCTL_OK)
            panic("no such intercept: %lx", intercepts[i]);
    hvctl_vmcb_set_intercept_exception(vmcb, 0xffffffff);
    hvctl_vmcb_set_msrpm_base_pa(vmcb, (uintptr_t)msr_map);
    hvctl_vmcb_set_iopm_base_pa(vmcb, (uintptr_t)io_map);
    hvctl_vmcb_set_guest_asid(vmcb, 1);
    hvctl_vmcb_set_nested_paging(vmcb, paging_root(&vm->paging), HVCTL_PAT_RESET);
    vm->paging.stale = true;
}

void svm_destroy(struct vm *vm)
{
    frames_give_page(vm->frames, control.vmcb);
    vm->control = NULL;
}

static enum vm_exit_kind kind_of(const struct hvctl_vmcb *vmcb)
{
    uint64_t code = vmcb->control.exitcode;

    if (hvctl_svm_exit_invalid(code))
        return VM_EXIT_INVALID;
    switch (code) {
    case HVCTL_SVM_EXIT_VMMCALL: return VM_EXIT_CALL;
    case HVCTL_SVM_EXIT_NPF: return VM_EXIT_FAULT;
    case HVCTL_SVM_EXIT_CPUID: return VM_EXIT_CPUID;
    case HVCTL_SVM_EXIT_HLT: return VM_EXIT_HLT;
    case HVCTL_SVM_EXIT_MSR: return vmcb->control.exitinfo1 & 1 ? VM_EXIT_WRMSR : VM_EXIT_RDMSR;
    case HVCTL_SVM_EXIT_IOIO: return VM_EXIT_IO;
    case HVCTL_SVM_EXIT_SHUTDOWN: return VM_EXIT_SHUTDOWN;
    default:
        return code >= HVCTL_SVM_EXIT_EXCP_DE && code < HVCTL_SVM_EXIT_EXCP_DE + 32 ? VM_EXIT_EXCEPTION : VM_EXIT_OTHER;
    }
}

struct vm_exit svm_enter(struct vm *vm)
{
    struct hvctl_vmcb *vmcb = control.vmcb;
    struct vm_exit exit;

    memset(&exit, 0, sizeof(exit));
    hvctl_vmcb_set_tlb_control(vmcb, vm->paging.stale ? HVCTL_TLB_ALL : HVCTL_TLB_NONE);
    vm->paging.stale = false;
    hvctl_svm_switch(&control.regs, (uintptr_t)vmcb, (uintptr_t)state_page, false);
    exit.kind = kind_of(vmcb);
    exit.reason = vmcb->control.exitcode;
    exit.info = vmcb->control.exitinfo1;
    exit.gpa = vmcb->control.exitinfo2;
    if (hvctl_svm_can(&caps, HVCTL_SVM_NRIPS) && vmcb->control.nrip > vmcb->save.rip)
        exit.length = (unsigned)(vmcb->control.nrip - vmcb->save.rip);
    if (exit.kind == VM_EXIT_FAULT) {
        struct hvpt_npt_fault fault = hvpt_npt_decode_fault(exit.info, exit.gpa);

        exit.write = fault.write;
        exit.fetch = fault.fetch;
        exit.read = !fault.write && !fault.fetch;
        exit.walk = fault.guest_table;
    }
    if (exit.kind != VM_EXIT_INVALID)
        hvctl_vmcb_mark_clean(vmcb);
    return exit;
}

struct vm_exit svm_run(struct vm *vm)
{
    struct vm_registers *r = &vm->regs;
    uint64_t *gpr = control.regs.gpr;
    struct hvctl_vmcb *vmcb = control.vmcb;
    struct vm_exit exit;

    gpr[HVCTL_RBX] = r->rbx, gpr[HVCTL_RCX] = r->rcx, gpr[HVCTL_RDX] = r->rdx, gpr[HVCTL_RSI] = r->rsi;
    gpr[HVCTL_RDI] = r->rdi, gpr[HVCTL_RBP] = r->rbp, gpr[HVCTL_R8] = r->r8, gpr[HVCTL_R9] = r->r9;
    gpr[HVCTL_R10] = r->r10, gpr[HVCTL_R11] = r->r11, gpr[HVCTL_R12] = r->r12, gpr[HVCTL_R13] = r->r13;
    gpr[HVCTL_R14] = r->r14, gpr[HVCTL_R15] = r->r15;
    hvctl_vmcb_set_rax(vmcb, r->rax);
    hvctl_vmcb_set_rip(vmcb, r->rip);
    hvctl_vmcb_set_rsp(vmcb, r->rsp);
    hvctl_vmcb_set_rflags(vmcb, r->rflags);
    hvctl_vmcb_set_cr2(vmcb, r->cr2);
    exit = svm_enter(vm);
    r->rax = vmcb->save.rax, r->rip = vmcb->save.rip, r->rsp = vmcb->save.rsp, r->rflags = vmcb->save.rflags;
    r->cr2 = vmcb->save.cr2;
    r->rbx = gpr[HVCTL_RBX], r->rcx = gpr[HVCTL_RCX], r->rdx = gpr[HVCTL_RDX], r->rsi = gpr[HVCTL_RSI];
    r->rdi = gpr[HVCTL_RDI], r->rbp = gpr[HVCTL_RBP], r->r8 = gpr[HVCTL_R8], r->r9 = gpr[HVCTL_R9];
    r->r10 = gpr[HVCTL_R10], r->r11 = gpr[HVCTL_R11], r->r12 = gpr[HVCTL_R12], r->r13 = gpr[HVCTL_R13];
    r->r14 = gpr[HVCTL_R14], r->r15 = gpr[HVCTL_R15];
    return exit;
}

void svm_exit_text(const struct vm *vm, char *buffer, size_t size)
{
    struct hvpt_text_buffer bytes;
    struct hvpt_text text = hvpt_text_into(&bytes, buffer, size);

    (void)vm;
    hvctl_svm_exit_text(control.vmcb, hvctl_svm_can(&caps, HVCTL_SVM_DECODE_ASSISTS), &text);
}

void svm_print_controls(const struct vm *vm)
{
    static char words[1024];
    size_t length = 0;

    (void)vm;
    for (uint64_t code = 0; code < HVCTL_SVM_INTERCEPT_END; code++) {
        bool exception = code >= HVCTL_SVM_EXIT_EXCP_DE && code < HVCTL_SVM_EXIT_EXCP_DE + 32;

        if (!exception && hvctl_vmcb_intercepts(control.vmcb, code))
            length += print_to(words + length, sizeof(words) - length, "%s, ", hvctl_svm_exit_name(code));
    }
    print_to(words + length, sizeof(words) - length, "all exceptions; nested paging, ASID %u",
             control.vmcb->control.guest_asid);
    print("VMCB, intercepts: ");
    print_wrapped(words, 2, 100);
}
