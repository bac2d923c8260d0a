/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* VMX: capabilities, control words, VMCS, and its exits in the terms of thinhv.h and x86.h. */
#include <hvctl/vmx/advance.h>
#include <hvctl/common/bitmaps.h>
#include <hvctl/cpu/vmx.h>
#include <hvctl/cpu/vmx_host.h>
#include <hvctl/cpu/vmx_switch.h>
#include <hvctl/vmx/check.h>
#include <hvctl/vmx/solver.h>
#include <hvctl/vmx/exit.h>
#include <hvctl/vmx/guest.h>
#include <hvpt/ept.h>
#include <hvpt/intel/pml.h>

#include "console.h"
#include "machine.h"
#include "work.h"
#include "x86.h"

#define PAGE __attribute__((aligned(4096)))

static struct hvctl_vmx_caps caps;
static struct hvctl_vmx_solution solution;
static PAGE struct hvctl_vmx_msr_bitmap msrs;

/* What belongs to one CPU. */
static struct cpu {
    PAGE uint8_t vmxon[4096];
    PAGE uint8_t vmcs[4096];
    PAGE struct hvpt_pml_page log;
    struct hvctl_vmx_cpu state;
    struct hvctl_vmcs_image image;
    bool launched;
} all[MAX_CPUS];

/* The guest keeps all it can; what is asked for is that it gets everything the machine has, and the second level. */
static const enum hvctl_vmx_control needed[] = {
    HVCTL_SECONDARY_UNRESTRICTED_GUEST, /* brings EPT, and what else it needs */
    HVCTL_PRIMARY_USE_MSR_BITMAPS,      HVCTL_PIN_NMI_EXITING,          HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE,
    HVCTL_ENTRY_LOAD_IA32_EFER,         HVCTL_EXIT_LOAD_IA32_EFER,      HVCTL_EXIT_SAVE_IA32_EFER,
    HVCTL_ENTRY_LOAD_IA32_PAT,          HVCTL_EXIT_LOAD_IA32_PAT,       HVCTL_EXIT_SAVE_IA32_PAT,
    HVCTL_ENTRY_LOAD_DEBUG_CONTROLS,    HVCTL_EXIT_SAVE_DEBUG_CONTROLS,
};
static const enum hvctl_vmx_control wanted[] = {
    HVCTL_SECONDARY_ENABLE_RDTSCP,         HVCTL_SECONDARY_ENABLE_INVPCID,
    HVCTL_SECONDARY_ENABLE_XSAVES_XRSTORS, HVCTL_SECONDARY_ENABLE_USER_WAIT_AND_PAUSE,
    HVCTL_SECONDARY_ENABLE_VPID,           HVCTL_SECONDARY_ENABLE_PML,
};

static struct cpu *of(const struct vcpu *vcpu)
{
    return &all[vcpu->id];
}

static void put(struct cpu *cpu, uint32_t field, uint64_t value)
{
    expect(hvctl_vmcs_write(&cpu->image, field, value), hvctl_vmcs_field_name(field));
}

static uint64_t load(struct cpu *cpu, uint32_t field)
{
    expect(hvctl_vmcs_load_field(&cpu->image, field, cpu_ops->vmread, cpu_ops->ctx), hvctl_vmcs_field_name(field));
    return hvctl_vmcs_get(&cpu->image, field);
}

static void enable(struct vcpu *vcpu)
{
    struct cpu *cpu = of(vcpu);
    struct hvctl_vmx_region region = {cpu->vmxon, (uintptr_t)cpu->vmxon};
    enum hvctl_vmx_enable_status status = hvctl_vmx_enable(cpu_ops, &cpu->state, &region, &caps);
    struct hvctl_vmx_controls need = {{0}}, like = {{0}};

    if (status != HVCTL_VMX_ENABLED)
        panic("VMX: %s", hvctl_vmx_enable_text(status));
    for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        hvctl_vmx_controls_add(&need, needed[i]);
    for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        hvctl_vmx_controls_add(&like, wanted[i]);
    if (hvctl_vmx_solve(&need, &like, &caps, &solution) != HVCTL_OK) {
        struct words words;

        words.text = hvpt_text_into(&words.buffer, words.bytes, sizeof(words.bytes));
        hvctl_vmx_problem_text(&solution.problems[0], &words.text);
        panic("%s", words.bytes);
    }
    expect(hvctl_vmx_flush_all(cpu_ops, &caps), "what an earlier hypervisor left in the TLBs");
}

static enum hvpt_status open(struct hvpt_space *out, const struct hvpt_hooks *hooks, uint64_t max_page_size)
{
    struct hvpt_ept_config config = {0};

    config.max_page_size = max_page_size;
    config.ept_vpid_cap = caps.ept_vpid_cap;
    config.maxphyaddr = caps.cpu.maxphyaddr;
    if (caps.ept_vpid_cap & HVCTL_EPT_CAP_ACCESSED_DIRTY)
        config.features = HVPT_EPT_USE_ACCESSED_DIRTY;
    return hvpt_ept_init(out, hooks, &config);
}

/* MSRs go straight to the guest, but for VMX's and one that this CPU may lack and Linux reads before it has an IDT. */
static void choose_msrs(void)
{
    uint64_t value;

    hvctl_vmx_msr_fill(&msrs, false);
    for (uint32_t msr = HVCTL_MSR_VMX_BASIC; msr <= HVCTL_MSR_VMX_EXIT_CTLS2; msr++)
        expect(hvctl_vmx_msr_exit(&msrs, msr, HVCTL_ACCESS_READ, true), "MSR bitmap");
    if (!cpu_ops->rdmsr(cpu_ops->ctx, 0x1a0, &value)) /* IA32_MISC_ENABLE */
        expect(hvctl_vmx_msr_exit(&msrs, 0x1a0, HVCTL_ACCESS_READ | HVCTL_ACCESS_WRITE, true), "MSR bitmap");
}

/* Bochs 2.8 offers a VM-exit control whose field it does not have: what cannot be read is not written. */
static void drop_absent(struct hvctl_vmcs_image *written)
{
    uint64_t value;

    for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++)
        if (hvctl_vmcs_set_has(&written->exists, slot)
            && !cpu_ops->vmread(cpu_ops->ctx, hvctl_vmcs_slot_info(slot)->encoding, &value))
            hvctl_vmcs_set_remove(&written->dirty, slot);
}

static void prepare(struct vcpu *vcpu, const struct hvctl_guest_state *state)
{
    struct cpu *cpu = of(vcpu);
    struct hvctl_vmx_region region = {cpu->vmcs, (uintptr_t)cpu->vmcs};
    static struct hvctl_report report;

    choose_msrs(); /* for all CPUs: none is in the guest yet */
    hvctl_vmcs_image_init(&cpu->image, &caps);
    hvctl_vmcs_touch_all(&cpu->image); /* a new VMCS holds nothing: write every field */
    expect(hvctl_vmx_controls_write(&cpu->image, &solution.controls), "VMX controls");
    expect(hvctl_vmx_host_capture(cpu_ops, &cpu->image), "host state");
    expect(hvctl_vmx_guest_write(&cpu->image, &caps, state), "guest state");
    put(cpu, HVCTL_VMCS_EPT_POINTER, hvpt_space_root(&space));
    put(cpu, HVCTL_VMCS_ADDRESS_OF_MSR_BITMAPS, (uintptr_t)&msrs);
    if (hvctl_vmx_control_on(&cpu->image, HVCTL_SECONDARY_ENABLE_VPID))
        put(cpu, HVCTL_VMCS_VIRTUAL_PROCESSOR_IDENTIFIER, vcpu->id + 1);
    if (hvctl_vmx_control_on(&cpu->image, HVCTL_SECONDARY_ENABLE_PML)) {
        put(cpu, HVCTL_VMCS_PML_ADDRESS, (uintptr_t)&cpu->log);
        put(cpu, HVCTL_VMCS_PML_INDEX, HVPT_PML_START);
    }
    if (hvctl_vmx_create(cpu_ops, &region, &caps) != HVCTL_VMX_SUCCEED)
        panic("the VMCS cannot be made current");
    drop_absent(&cpu->image);

    put(cpu, HVCTL_VMCS_HOST_RSP, 8); /* the world switch writes these two: anything that passes */
    put(cpu, HVCTL_VMCS_HOST_RIP, 8);
    hvctl_vmx_check(&cpu->image, &caps, &report);
    expect_kept(&report);
}

static void flush(struct vcpu *vcpu)
{
    uint64_t root = hvpt_space_root(vcpu->view != NULL ? vcpu->view : &space);

    put(of(vcpu), HVCTL_VMCS_EPT_POINTER, root);
    expect(hvctl_vmx_invept(cpu_ops, &caps, root), "INVEPT");
}

/* A write of CR0 that touches a bit VMX fixes. Only MOV comes here: Linux has no LMSW, and CLTS touches no such bit. */
static void write_cr0(struct vcpu *vcpu, struct cpu *cpu)
{
    enum hvctl_status status;
    struct hvctl_vmx_cr_access access =
        hvctl_vmx_cr_access_decode(hvctl_vmcs_get(&cpu->image, HVCTL_VMCS_EXIT_QUALIFICATION));

    if (access.cr != 0 || access.type != HVCTL_CR_MOV_TO || access.gpr == HVCTL_RSP || access.gpr >= HVCTL_GPR_COUNT)
        panic("an access to CR%u that nobody foresaw", access.cr);
    load(cpu, HVCTL_VMCS_GUEST_CR4);
    load(cpu, HVCTL_VMCS_GUEST_TR_ACCESS_RIGHTS);
    status = hvctl_vmx_guest_set_cr0(&cpu->image, &caps, vcpu->arch.regs.gpr[access.gpr]);
    if (status == HVCTL_E_FAULT) {
        expect(hvctl_vmx_inject_nested(&cpu->image, &caps,
                                       hvctl_vmx_event_make(HVCTL_EVENT_HARDWARE_EXCEPTION, 13, 0, 0)),
               "#GP");
        return;
    }
    if (status == HVCTL_OWES_INVVPID)
        status = hvctl_vmx_invvpid(cpu_ops, &caps, HVCTL_INVVPID_SINGLE_CONTEXT, (uint16_t)(vcpu->id + 1), 0);
    expect(status, "CR0");
    expect(hvctl_vmx_advance(&cpu->image), "MOV to CR0");
}

static struct exit classify(struct vcpu *vcpu, struct cpu *cpu, uint32_t reason)
{
    struct exit exit = {EXIT_OTHER, reason & 0xffff, 0, 0};
    struct hvpt_ept_violation violation;

    switch (exit.reason) {
    case HVCTL_VMX_REASON_CPUID: exit.kind = (enum exit_kind)EXIT_CPUID; break;
    case HVCTL_VMX_REASON_RDMSR: exit.kind = (enum exit_kind)EXIT_RDMSR; break;
    case HVCTL_VMX_REASON_WRMSR: exit.kind = (enum exit_kind)EXIT_WRMSR; break;
    case HVCTL_VMX_REASON_XSETBV: exit.kind = (enum exit_kind)EXIT_XSETBV; break;
    case HVCTL_VMX_REASON_VMCALL: exit.kind = EXIT_CALL; break;
    case HVCTL_VMX_REASON_TRIPLE_FAULT: exit.kind = EXIT_DEAD; break;
    case HVCTL_VMX_REASON_PAGE_MODIFICATION_LOG_FULL: exit.kind = EXIT_SETTLED; break;
    case HVCTL_VMX_REASON_EXCEPTION_OR_NMI:               /* an NMI: x86.c wants us here */
        __asm__ volatile("int $2");                       /* the exit blocks further NMIs until the host's next IRET */
        put(cpu, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, /* the guest itself never has one to block others */
            hvctl_vmcs_get(&cpu->image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE) & ~UINT64_C(8));
        exit.kind = EXIT_SETTLED;
        break;
    case HVCTL_VMX_REASON_CR_ACCESS:
        write_cr0(vcpu, cpu);
        exit.kind = EXIT_SETTLED;
        break;
    case HVCTL_VMX_REASON_EPT_VIOLATION:
        violation = hvpt_ept_decode_violation_as(hvctl_vmcs_get(&cpu->image, HVCTL_VMCS_EXIT_QUALIFICATION),
                                                 hvctl_ept_violation_form_of(&cpu->image, &caps));
        exit.kind = EXIT_FAULT;
        exit.gpa = hvctl_vmcs_get(&cpu->image, HVCTL_VMCS_GUEST_PHYSICAL_ADDRESS);
        exit.access = hvpt_ept_violation_wants(&violation, false);
        break;
    default: break;
    }
    return exit;
}

/* A page-modification log: the new index. */
static uint16_t drain(struct hvpt_pml_page *page, uint16_t index)
{
    static bool busy;
    struct hvpt_pml_report report;
    uint64_t *written = work_written(WORK_PML);

    if (written == NULL)
        return HVPT_PML_START; /* nobody wants to know */
    while (__atomic_test_and_set(&busy, __ATOMIC_ACQUIRE))
        arch_pause();
    index = hvpt_pml_drain(page, index, hvpt_make_gpa(0), UINT64_C(1) << 32, written, &report);
    __atomic_clear(&busy, __ATOMIC_RELEASE);
    return index;
}

static struct exit run(struct vcpu *vcpu)
{
    struct cpu *cpu = of(vcpu);
    struct hvctl_vmx_run result;
    uint32_t refused = 0;

    if (hvctl_vmcs_store(&cpu->image, cpu_ops->vmwrite, cpu_ops->ctx, &refused) != HVCTL_OK)
        panic("VMWRITE of %s", hvctl_vmcs_field_name(refused));
    result = hvctl_vmx_enter(cpu_ops, &vcpu->arch.regs, &cpu->launched);
    if (result.result != HVCTL_VMX_SUCCEED)
        panic("VM entry: %s", hvctl_vmx_instruction_error_text(result.instruction_error));
    if (hvctl_vmcs_load(&cpu->image, HVCTL_VMCS_LOAD_EXIT_INFO, cpu_ops->vmread, cpu_ops->ctx, &refused) != HVCTL_OK)
        panic("VMREAD of %s", hvctl_vmcs_field_name(refused));
    load(cpu, HVCTL_VMCS_GUEST_RIP);
    load(cpu, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE);
    load(cpu, HVCTL_VMCS_GUEST_ACTIVITY_STATE);
    load(cpu, HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS);
    load(cpu, HVCTL_VMCS_GUEST_CR0);
    load(cpu, HVCTL_VMCS_GUEST_IA32_EFER);
    load(cpu, HVCTL_VMCS_VM_ENTRY_CONTROLS);
    if (hvctl_vmx_control_on(&cpu->image, HVCTL_SECONDARY_ENABLE_PML))
        put(cpu, HVCTL_VMCS_PML_INDEX, drain(&cpu->log, (uint16_t)load(cpu, HVCTL_VMCS_PML_INDEX)));
    expect(hvctl_vmx_redeliver(&cpu->image), "the event that the exit interrupted");
    return classify(vcpu, cpu, result.exit_reason);
}

static void advance(struct vcpu *vcpu)
{
    expect(hvctl_vmx_advance(&of(vcpu)->image), "past the instruction");
}

static void inject(struct vcpu *vcpu, uint8_t vector)
{
    expect(hvctl_vmx_inject(&of(vcpu)->image, &caps,
                            hvctl_vmx_event_make(HVCTL_EVENT_HARDWARE_EXCEPTION, vector, 0, 0)),
           "injection");
}

static uint64_t cr4(struct vcpu *vcpu)
{
    load(of(vcpu), HVCTL_VMCS_GUEST_CR4);
    return hvctl_vmx_guest_read(&of(vcpu)->image).cr4;
}

static void describe(struct vcpu *vcpu, const struct hvpt_text *text)
{
    hvctl_vmx_exit_text(&of(vcpu)->image, &caps, text);
}

static const char *reason(unsigned number)
{
    const char *words = hvctl_vmx_exit_reason_words(number);

    return words != NULL ? words : "unknown";
}

const struct vendor vmx_vendor = {"VMX and EPT", true,    enable, open, prepare,  run,
                                  flush,         advance, inject, cr4,  describe, reason};
