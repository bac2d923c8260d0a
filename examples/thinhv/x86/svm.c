/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* SVM: capabilities, VMCB, and its exits in the terms of thinhv.h and x86.h. */
#include <hvctl/svm/advance.h>
#include <hvctl/common/bitmaps.h>
#include <hvctl/cpu/svm.h>
#include <hvctl/cpu/svm_switch.h>
#include <hvctl/svm/check.h>
#include <hvctl/svm/exit.h>
#include <hvctl/svm/guest.h>
#include <hvpt/npt.h>

#include "console.h"
#include "cpu.h"
#include "machine.h"
#include "x86.h"

#define PAGE __attribute__((aligned(4096)))

/*
 * The host's PAT, which nested tables index: WB, WT, UC-, UC as after reset, then WC, WP, so that all types can be had.
 */
#define HOST_PAT UINT64_C(0x0007050100070406)

static struct hvctl_svm_caps caps;
static PAGE struct hvctl_svm_msr_map msrs;

/* What belongs to one CPU. */
static struct cpu {
    PAGE struct hvctl_vmcb vmcb;
    PAGE uint8_t host_save[4096]; /* the CPU's own */
    PAGE uint8_t host_state[4096];
    struct hvctl_svm_cpu state;
} all[MAX_CPUS];

/* What the guest must not do by itself. #DF: not every emulator survives the shutdown that would follow. */
static const uint64_t intercepts[] = {
    HVCTL_SVM_EXIT_CPUID, HVCTL_SVM_EXIT_MSR,      HVCTL_SVM_EXIT_VMMCALL, HVCTL_SVM_EXIT_VMRUN,
    HVCTL_SVM_EXIT_NMI,   HVCTL_SVM_EXIT_SHUTDOWN, HVCTL_SVM_EXIT_EXCP_DF,
};

static struct cpu *of(const struct vcpu *vcpu)
{
    return &all[vcpu->id];
}

static void enable(struct vcpu *vcpu)
{
    struct cpu *cpu = of(vcpu);
    enum hvctl_svm_enable_status status = hvctl_svm_enable(cpu_ops, &cpu->state, (uintptr_t)cpu->host_save, &caps);

    if (status != HVCTL_SVM_ENABLED)
        panic("SVM: %s", hvctl_svm_enable_text(status));
    if (!hvctl_svm_can(&caps, HVCTL_SVM_NP))
        panic("SVM: no nested paging");
    cpu_ops->wrmsr(cpu_ops->ctx, HVCTL_MSR_PAT, HOST_PAT);
}

static enum hvpt_status open(struct hvpt_space *out, const struct hvpt_hooks *hooks, uint64_t max_page_size)
{
    struct hvpt_npt_config config = {0};

    config.max_page_size = max_page_size;
    config.levels = cpu_ops->read_cr4(cpu_ops->ctx) & HVCTL_CR4_LA57 ? 5 : 4; /* as many as the host's paging has */
    config.maxphyaddr = caps.cpu.maxphyaddr;
    config.pat = HOST_PAT;
    return hvpt_npt_init(out, hooks, &config);
}

/* MSRs go straight to the guest, but for EFER, whose SVME it must neither see nor clear, and SVM's own. */
static void choose_msrs(void)
{
    static const uint32_t kept[] = {HVCTL_MSR_EFER, HVCTL_MSR_VM_CR, HVCTL_MSR_VM_HSAVE_PA};

    hvctl_svm_msr_fill(&msrs, false);
    for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        expect(hvctl_svm_msr_exit(&msrs, kept[i], HVCTL_ACCESS_READ | HVCTL_ACCESS_WRITE, true), "MSR map");
}

static void prepare(struct vcpu *vcpu, const struct hvctl_guest_state *state)
{
    struct hvctl_vmcb *vmcb = &of(vcpu)->vmcb;
    static struct hvctl_report report;

    choose_msrs(); /* for all CPUs: none is in the guest yet */
    hvctl_vmcb_zero(vmcb);
    for (unsigned i = 0; i < sizeof(intercepts) / sizeof(intercepts[0]); i++)
        expect(hvctl_vmcb_intercept(vmcb, intercepts[i], true), hvctl_svm_exit_name(intercepts[i]));
    hvctl_vmcb_set_msrpm_base_pa(vmcb, (uintptr_t)&msrs);
    hvctl_vmcb_set_guest_asid(vmcb, 1);
    hvctl_vmcb_set_tlb_control(vmcb,
                               HVCTL_TLB_ALL); /* an earlier hypervisor may have used the ASID; run() takes it back */
    expect(hvctl_svm_guest_write(vmcb, state), "guest state");
    hvctl_vmcb_set_nested_paging(vmcb, hvpt_space_root(&space), state->pat);
    hvctl_svm_check(vmcb, &caps, &report);
    expect_kept(&report);
}

static void flush(struct vcpu *vcpu)
{
    bool by_asid = hvctl_svm_can(&caps, HVCTL_SVM_FLUSH_BY_ASID);

    hvctl_vmcb_set_n_cr3(&of(vcpu)->vmcb, hvpt_space_root(vcpu->view != NULL ? vcpu->view : &space));
    hvctl_vmcb_set_tlb_control(&of(vcpu)->vmcb, by_asid ? HVCTL_TLB_GUEST : HVCTL_TLB_ALL);
}

/* EFER, as far as the guest goes: LMA follows LME and paging, not what is written. */
static bool efer(struct vcpu *vcpu, struct hvctl_vmcb *vmcb, bool write)
{
    const uint64_t own = HVCTL_EFER_SVME | HVCTL_EFER_LMA;
    uint64_t value = vmcb->save.efer;

    if ((uint32_t)vcpu->arch.regs.gpr[HVCTL_RCX] != HVCTL_MSR_EFER)
        return false;
    if (write) {
        uint64_t written = vcpu->arch.regs.gpr[HVCTL_RDX] << 32 | (uint32_t)vcpu->arch.regs.gpr[HVCTL_RAX];

        hvctl_vmcb_set_efer(vmcb, (written & ~own) | (value & own));
    } else {
        vcpu->arch.regs.gpr[HVCTL_RAX] = (uint32_t)(value & ~HVCTL_EFER_SVME);
        vcpu->arch.regs.gpr[HVCTL_RDX] = value >> 32;
    }
    expect(hvctl_svm_advance(vmcb, &caps), "past EFER");
    return true;
}

static struct exit classify(struct vcpu *vcpu, struct hvctl_vmcb *vmcb)
{
    bool write = (vmcb->control.exitinfo1 & 1) != 0;
    struct exit exit = {EXIT_OTHER, (unsigned)vmcb->control.exitcode, 0, 0};
    struct hvpt_npt_fault fault;

    switch (vmcb->control.exitcode) {
    case HVCTL_SVM_EXIT_CPUID: exit.kind = (enum exit_kind)EXIT_CPUID; break;
    case HVCTL_SVM_EXIT_MSR:
        exit.kind = efer(vcpu, vmcb, write) ? EXIT_SETTLED : (enum exit_kind)(write ? EXIT_WRMSR : EXIT_RDMSR);
        break;
    case HVCTL_SVM_EXIT_VMMCALL: exit.kind = EXIT_CALL; break;
    case HVCTL_SVM_EXIT_NMI: exit.kind = EXIT_SETTLED; break; /* x86.c wants us here */
    case HVCTL_SVM_EXIT_EXCP_DF:
    case HVCTL_SVM_EXIT_SHUTDOWN: exit.kind = EXIT_DEAD; break;
    case HVCTL_SVM_EXIT_NPF:
        fault = hvpt_npt_decode_fault(vmcb->control.exitinfo1, vmcb->control.exitinfo2);
        exit.kind = EXIT_FAULT;
        exit.gpa = vmcb->control.exitinfo2;
        exit.access = hvpt_npt_fault_wants(&fault, false);
        break;
    default: break;
    }
    return exit;
}

/*
 * An event whose delivery a nested page fault cut short comes again. Two emulators report interrupts wrongly there:
 * QEMU as an exception with the interrupt's vector, which VMRUN would refuse; Bochs, known by its lack of VM_CR, as the
 * exception before; the LAPIC knows better, and between an interrupt and Linux's EOI nothing else faults.
 */
static void redeliver(struct hvctl_vmcb *vmcb)
{
    struct hvctl_svm_event event = hvctl_svm_event_decode(vmcb->control.exitintinfo);
    uint64_t value;

    if (event.valid && event.type == HVCTL_SVM_EVENT_EXCEPTION) {
        uint8_t vector = event.vector > 31                   ? event.vector
                       : !cpu_rdmsr(HVCTL_MSR_VM_CR, &value) ? firmware_interrupt()
                                                             : 0;

        if (vector != 0) {
            event = hvctl_svm_event_make(HVCTL_SVM_EVENT_INTR, vector, 0);
            hvctl_vmcb_set_exitintinfo(vmcb, hvctl_svm_event_encode(&event));
        }
    }
    expect(hvctl_svm_redeliver(vmcb), "the event that the exit interrupted");
}

static struct exit run(struct vcpu *vcpu)
{
    struct cpu *cpu = of(vcpu);
    struct hvctl_vmcb *vmcb = &cpu->vmcb;

    hvctl_vmcb_set_rax(vmcb, vcpu->arch.regs.gpr[HVCTL_RAX]);
    hvctl_svm_switch(&vcpu->arch.regs, (uintptr_t)vmcb, (uintptr_t)cpu->host_state, false);
    vcpu->arch.regs.gpr[HVCTL_RAX] = vmcb->save.rax;
    if (hvctl_svm_exit_invalid(vmcb->control.exitcode))
        panic("VMRUN: invalid");
    hvctl_vmcb_mark_clean(vmcb);
    hvctl_vmcb_set_tlb_control(vmcb, HVCTL_TLB_NONE);
    redeliver(vmcb);
    return classify(vcpu, vmcb);
}

static void advance(struct vcpu *vcpu)
{
    expect(hvctl_svm_advance(&of(vcpu)->vmcb, &caps), "past the instruction");
}

static void inject(struct vcpu *vcpu, uint8_t vector)
{
    expect(hvctl_vmcb_inject(&of(vcpu)->vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, vector, 0)), "injection");
}

static uint64_t cr4(struct vcpu *vcpu)
{
    return of(vcpu)->vmcb.save.cr4;
}

static void describe(struct vcpu *vcpu, const struct hvpt_text *text)
{
    hvctl_svm_exit_text(&of(vcpu)->vmcb, hvctl_svm_can(&caps, HVCTL_SVM_DECODE_ASSISTS), text);
}

static const char *reason(unsigned number)
{
    const char *name = hvctl_svm_exit_name(number);

    return name != NULL ? name : "unknown";
}

const struct vendor svm_vendor = {"SVM and NPT", false,   enable, open, prepare,  run,
                                  flush,         advance, inject, cr4,  describe, reason};
