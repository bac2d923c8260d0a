/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VMRUNs that must fail with VMEXIT_INVALID (APM vol. 2, "VMRUN Instruction", "Canonicalization and Consistency Checks"), one
 * thing broken at a time, and what the VMCB's clean bits allow the CPU to overlook.
 */
#include "suite.h"

#include <hvctl/svm/check.h>

#include "cpu.h"
#include "memory.h"
#include "vm/svm.h"

#define INVALID (~UINT64_C(0))

static struct hvctl_vmcb good; /* known to enter */

/* VMEXIT_INVALID may leave host values in the save area: the VMCB is refilled after each. */
static void begin(struct vm *vm)
{
    memcpy(svm_control(vm)->vmcb, &good, sizeof(good));
    hvctl_vmcb_touch_all(svm_control(vm)->vmcb);
}

static void check_invalid(struct vm *vm, const char *name)
{
    struct vm_exit exit = svm_enter(vm);

    if (check_equal((uint32_t)exit.reason, (uint32_t)INVALID, "%s: EXITCODE, low half", name))
        check_equal(exit.kind, VM_EXIT_INVALID, "%s: decoded as VMEXIT_INVALID", name);
    begin(vm);
}

static void check_control_area(struct vm *vm)
{
    struct hvctl_vmcb *vmcb = svm_control(vm)->vmcb;

    if (check_equal(hvctl_vmcb_intercept(vmcb, HVCTL_SVM_EXIT_VMRUN, false), HVCTL_OK, "VMRUN is an intercept"))
        check_invalid(vm, "VMRUN not intercepted");
    hvctl_vmcb_set_guest_asid(vmcb, 0);
    check_equal(svm_enter(vm).reason, INVALID, "EXITCODE has 64 bits");
    begin(vm);
    hvctl_vmcb_set_guest_asid(vmcb, 0);
    check_invalid(vm, "ASID 0");
}

static void check_save_area(struct vm *vm)
{
    struct hvctl_vmcb *vmcb = svm_control(vm)->vmcb;
    struct hvctl_vmcb_segment cs = good.save.cs;

    hvctl_vmcb_set_efer(vmcb, good.save.efer & ~HVCTL_EFER_SVME);
    check_invalid(vm, "EFER.SVME is 0");
    hvctl_vmcb_set_efer(vmcb, good.save.efer | 1 << 1);
    check_invalid(vm, "EFER: a reserved bit");
    hvctl_vmcb_set_cr0(vmcb, (good.save.cr0 & ~HVCTL_CR0_CD) | HVCTL_CR0_NW);
    check_invalid(vm, "CR0: NW without CD");
    hvctl_vmcb_set_cr0(vmcb, good.save.cr0 | UINT64_C(1) << 32);
    check_invalid(vm, "CR0: bit 32");
    hvctl_vmcb_set_cr4(vmcb, good.save.cr4 | UINT64_C(1) << 32);
    check_invalid(vm, "CR4: bit 32");
    hvctl_vmcb_set_cr4(vmcb, good.save.cr4 & ~HVCTL_CR4_PAE);
    check_invalid(vm, "CR4: long mode with paging, without PAE");
    hvctl_vmcb_set_cr3(vmcb, good.save.cr3 | UINT64_C(1) << 60);
    check_invalid(vm, "CR3: bit 60");
    hvctl_vmcb_set_dr6(vmcb, good.save.dr6 | UINT64_C(1) << 32);
    check_invalid(vm, "DR6: bit 32");
    hvctl_vmcb_set_dr7(vmcb, good.save.dr7 | UINT64_C(1) << 32);
    check_invalid(vm, "DR7: bit 32");
    cs.attrib |= 1 << 10; /* attrib: 9 L, 10 D */
    hvctl_vmcb_set_cs(vmcb, cs);
    check_invalid(vm, "CS: L and D");
    hvctl_vmcb_set_eventinj(vmcb, UINT64_C(0x80000103)); /* valid, type 1, vector 3 */
    check_invalid(vm, "injection: type 1");
    hvctl_vmcb_set_eventinj(vmcb, UINT64_C(0x80000302)); /* valid, type 3 exception, vector 2 */
    check_invalid(vm, "injection: exception 2");
}

/* Turning it on: a second time, with bad pages, and where the CPU must have what the headers ask. */
static void check_enable(void)
{
    struct hvctl_cpu_ops ops = *svm_ops();
    struct hvctl_svm_caps caps;
    struct hvctl_svm_cpu cpu;
    uint64_t value;

    check_true(cpu_rdmsr(HVCTL_MSR_VM_CR, &value), "VM_CR can be read");
    check_equal(hvctl_svm_enable(&ops, &cpu, svm_host_save(), &caps), HVCTL_SVM_ALREADY_ON, "a second time: named");
    vm_disable();
    check_true(cpu_rdmsr(HVCTL_MSR_EFER, &value) && (value & HVCTL_EFER_SVME) == 0, "off: EFER.SVME is 0");
    check_equal(hvctl_svm_enable(&ops, &cpu, svm_host_save() + 8, &caps), HVCTL_SVM_REGION_ALIGN,
                "save area not aligned: named");
    check_equal(hvctl_svm_enable(&ops, &cpu, UINT64_C(1) << cpu_physical_address_bits(), &caps), HVCTL_SVM_REGION_RANGE,
                "save area beyond MAXPHYADDR: named");
    check_true(cpu_rdmsr(HVCTL_MSR_EFER, &value) && (value & HVCTL_EFER_SVME) == 0,
               "after failures EFER.SVME is still 0");
    check_true(vm_enable() == NULL, "on again");
}

/* A VMCB that was mended enters again: what failed before left nothing behind. */
static void check_recovers(struct vm *vm)
{
    begin(vm);
    check_equal(vm_do(vm, PIECE_CALL).kind, VM_EXIT_CALL, "mended, it enters again");
}

/*
 * What a CPU lacks it ignores, and the check does not look at it either: bits that demand something else, or turn on
 * what has an impossible address, where CPUID does not name their feature. APM vol. 3, "Function 8000_000Ah".
 */
static void check_lacking(struct vm *vm)
{
    static const uint64_t nowhere = UINT64_C(1) << 51;
    static const struct {
        enum hvctl_svm_feature feature;
        uint64_t interrupts, nested, virtualization;
        const char *name;
    } lacking[] = {
        {HVCTL_SVM_VNMI, HVCTL_VINTR_NMI_ENABLE, 0, 0, "virtual NMIs without the NMI intercept"},
        {HVCTL_SVM_AVIC, HVCTL_VINTR_AVIC_ENABLE, 0, 0, "AVIC with a page that is nowhere"},
        {HVCTL_SVM_X2AVIC, HVCTL_VINTR_X2AVIC_ENABLE, 0, 0, "x2AVIC without AVIC"},
        {HVCTL_SVM_GMET, 0, HVCTL_NESTED_GMET, 0, "GMET"},
        {HVCTL_SVM_SSS_CHECK, 0, HVCTL_NESTED_SSS_CHECK, 0, "the check of supervisor shadow stacks"},
        {HVCTL_SVM_ROGPT, 0, HVCTL_NESTED_ROGPT, 0, "read-only page tables"},
        {HVCTL_SVM_PML, 0, HVCTL_NESTED_PML, 0, "a page-modification log that is nowhere"},
        {HVCTL_SVM_IBS_VIRT, 0, 0, HVCTL_VIRT_IBS, "IBS virtualization"},
        {HVCTL_SVM_PMC_VIRT, 0, 0, HVCTL_VIRT_PMC, "virtualization of performance counters"},
        {HVCTL_SVM_FRED_VIRT, 0, 0, HVCTL_VIRT_FRED, "FRED virtualization"},
    };
    struct hvctl_vmcb *vmcb = svm_control(vm)->vmcb;
    static struct hvctl_report report;
    unsigned tried = 0;

    for (unsigned i = 0; i < sizeof(lacking) / sizeof(lacking[0]); i++) {
        if (hvctl_svm_can(svm_caps(), lacking[i].feature))
            continue;
        vmcb->control.virtual_interrupt_control |= lacking[i].interrupts;
        vmcb->control.nested_control |= lacking[i].nested;
        vmcb->control.virtualization_control |= lacking[i].virtualization;
        vmcb->control.avic_backing_page = vmcb->control.pml_addr = nowhere;
        hvctl_vmcb_touch_all(vmcb);
        hvctl_svm_check(vmcb, svm_caps(), &report);
        check_equal(report.broken, 0, "lacking: %s breaks no rule", lacking[i].name);
        check_equal(svm_enter(vm).kind, VM_EXIT_CALL, "lacking: %s does not keep the guest from entering",
                    lacking[i].name);
        begin(vm);
        tried++;
    }
    check_true(tried > 3, "lacking: some of these features are not there");
}

/* A setter clears the clean bit of what it changes, so VMRUN sees the change. */
static void check_clean_bits(struct vm *vm)
{
    struct hvctl_vmcb *vmcb = svm_control(vm)->vmcb;

    check_equal(vm_do(vm, PIECE_CPUID).kind, VM_EXIT_CPUID, "clean bits: CPUID is intercepted");
    check_equal(vmcb->control.vmcb_clean, HVCTL_CLEAN_ALL, "clean bits: all set after a run");
    check_equal(hvctl_vmcb_intercept(vmcb, HVCTL_SVM_EXIT_CPUID, false), HVCTL_OK,
                "clean bits: the intercept is taken off");
    check_equal(vm_do(vm, PIECE_CPUID).kind, VM_EXIT_CALL, "clean bits: the CPU takes notice");
    begin(vm);
}

void suite_svm_entry(struct frames *frames)
{
    struct vm vm;

    check_group("enable");
    check_enable();
    check_group("VMRUN");
    vm_create(&vm, frames, NULL);
    check_equal(vm_do(&vm, PIECE_CALL).kind, VM_EXIT_CALL, "the VMCB enters");
    memcpy(&good, svm_control(&vm)->vmcb, sizeof(good));
    good.save.rip = guest_entry(&vm.guest, PIECE_CALL);
    begin(&vm);
    check_control_area(&vm);
    check_save_area(&vm);
    check_recovers(&vm);
    check_lacking(&vm);
    check_clean_bits(&vm);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}
