/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VM entries that must fail, each with its number: VM-instruction errors, control fields (7), host state (8), guest state
 * (exit reason 33) and MSR loading (34). SDM vol. 3, "VM Entries" and "VM Instruction Error Numbers". One field is broken
 * at a time in a VMCS that is known to enter, and mended again.
 */
#include "suite.h"

#include "console.h"
#include "memory.h"
#include "vm/vmx.h"

#define ENTRY_FAILED_GUEST UINT64_C(0x80000021)
#define ENTRY_FAILED_MSR   UINT64_C(0x80000022)

struct breakage {
    uint32_t field;
    uint64_t clear, set;
    const char *name;
};

#define ALL (~UINT64_C(0))

static const struct breakage controls[] = {
    {HVCTL_VMCS_PIN_BASED_VM_EXECUTION_CONTROLS, 1 << 1, 0, "pin-based controls: a bit that must be 1 is 0"},
    {HVCTL_VMCS_PIN_BASED_VM_EXECUTION_CONTROLS, 0, 1u << 31, "pin-based controls: a bit that must be 0 is 1"},
    {HVCTL_VMCS_PIN_BASED_VM_EXECUTION_CONTROLS, 0, 1 << 5, "virtual NMIs without NMI exiting"},
    {HVCTL_VMCS_PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 1 << 8, 0,
     "primary controls: a bit that must be 1 is 0"},
    {HVCTL_VMCS_PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 0, 1 << 22, "NMI-window exiting without virtual NMIs"},
    {HVCTL_VMCS_SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 0, 1u << 31,
     "secondary controls: a bit that must be 0 is 1"},
    {HVCTL_VMCS_SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 1 << 1, 0, "unrestricted guest without EPT"},
    {HVCTL_VMCS_SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 0, 1 << 5, "VPID enabled and 0"},
    {HVCTL_VMCS_CR3_TARGET_COUNT, ALL, 5, "5 CR3 targets"},
    {HVCTL_VMCS_EPT_POINTER, 7, 1, "EPTP: memory type 1"},
    {HVCTL_VMCS_EPT_POINTER, 7, 7, "EPTP: memory type 7"},
    {HVCTL_VMCS_EPT_POINTER, 7 << 3, 2 << 3, "EPTP: 3 levels"},
    {HVCTL_VMCS_EPT_POINTER, 7 << 3, 5 << 3, "EPTP: 6 levels"},
    {HVCTL_VMCS_EPT_POINTER, 0, 1 << 8, "EPTP: bit 8"},
    {HVCTL_VMCS_EPT_POINTER, 0, 1 << 11, "EPTP: bit 11"},
    {HVCTL_VMCS_EPT_POINTER, 0, UINT64_C(1) << 45, "EPTP: an address bit beyond MAXPHYADDR"},
    {HVCTL_VMCS_PRIMARY_VM_EXIT_CONTROLS, 1, 0, "exit controls: a bit that must be 1 is 0"},
    {HVCTL_VMCS_VM_ENTRY_CONTROLS, 1 << 4, 0, "entry controls: a bit that must be 1 is 0"},
    {HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, ALL, 0x80000103, "injection: type 1"},
    {HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, ALL, 0x80000203, "injection: NMI with vector 3"},
    {HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, ALL, 0x80000320, "injection: hardware exception 32"},
};

static const struct breakage host_state[] = {
    {HVCTL_VMCS_HOST_CR0, 1u << 31, 0, "host CR0: PG is 0"},
    {HVCTL_VMCS_HOST_CR0, 1 << 5, 0, "host CR0: NE is 0"},
    {HVCTL_VMCS_HOST_CR4, 1 << 13, 0, "host CR4: VMXE is 0"},
    {HVCTL_VMCS_HOST_CR4, 1 << 5, 0, "host CR4: PAE is 0"},
    {HVCTL_VMCS_HOST_CR3, 0, UINT64_C(1) << 50, "host CR3: a bit beyond MAXPHYADDR"},
    {HVCTL_VMCS_HOST_CS_SELECTOR, ALL, 0, "host CS: null"},
    {HVCTL_VMCS_HOST_CS_SELECTOR, 0, 3, "host CS: RPL 3"},
    {HVCTL_VMCS_HOST_SS_SELECTOR, 0, 4, "host SS: TI"},
    {HVCTL_VMCS_HOST_DS_SELECTOR, 0, 1, "host DS: RPL 1"},
    {HVCTL_VMCS_HOST_TR_SELECTOR, ALL, 0, "host TR: null"},
    {HVCTL_VMCS_HOST_FS_BASE, 0, UINT64_C(1) << 60, "host FS base: not canonical"},
    {HVCTL_VMCS_HOST_GDTR_BASE, 0, UINT64_C(1) << 60, "host GDTR base: not canonical"},
    {HVCTL_VMCS_HOST_TR_BASE, 0, UINT64_C(1) << 60, "host TR base: not canonical"},
    {HVCTL_VMCS_HOST_IA32_SYSENTER_EIP, 0, UINT64_C(1) << 60, "host SYSENTER_EIP: not canonical"},
    {HVCTL_VMCS_HOST_IA32_EFER, 1 << 10, 0, "host EFER: LMA is 0"},
    {HVCTL_VMCS_HOST_IA32_EFER, 0, 1 << 1, "host EFER: a reserved bit"},
    {HVCTL_VMCS_HOST_IA32_PAT, 0xff, 2, "host PAT: memory type 2"},
};

static const struct breakage guest_state[] = {
    {HVCTL_VMCS_GUEST_RFLAGS, 2, 0, "guest RFLAGS: bit 1 is 0"},
    {HVCTL_VMCS_GUEST_RFLAGS, 0, 1 << 3, "guest RFLAGS: bit 3 is 1"},
    {HVCTL_VMCS_GUEST_CR0, 1, 0, "guest CR0: PG without PE"},
    {HVCTL_VMCS_GUEST_CR4, 1 << 5, 0, "guest CR4: IA-32e mode without PAE"},
    {HVCTL_VMCS_GUEST_CR4, 1 << 13, 0, "guest CR4: VMXE is 0"},
    {HVCTL_VMCS_GUEST_IA32_EFER, 1 << 10, 0, "guest EFER: LMA differs from the entry control"},
    {HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, 0xf, 2, "guest CS: a data segment"},
    {HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, 0, 1 << 14, "guest CS: L and D"},
    {HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, 1 << 7, 0, "guest CS: not present"},
    {HVCTL_VMCS_GUEST_TR_ACCESS_RIGHTS, 0xf, 2, "guest TR: no TSS"},
    {HVCTL_VMCS_GUEST_TR_ACCESS_RIGHTS, 0, 1 << 16, "guest TR: unusable"},
    {HVCTL_VMCS_GUEST_FS_BASE, 0, UINT64_C(1) << 60, "guest FS base: not canonical"},
    {HVCTL_VMCS_GUEST_GDTR_LIMIT, 0, 1 << 16, "guest GDTR limit: beyond 64 KiB"},
    {HVCTL_VMCS_GUEST_ACTIVITY_STATE, ALL, 4, "guest activity state 4"},
    {HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, ALL, 3, "guest blocked by STI and by MOV SS"},
    {HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, 0, 1 << 8, "guest interruptibility: a reserved bit"},
    {HVCTL_VMCS_GUEST_CR3, 0, UINT64_C(1) << 50, "guest CR3: a bit beyond MAXPHYADDR"},
    {HVCTL_VMCS_GUEST_IA32_PAT, 0xff, 2, "guest PAT: memory type 2"},
};

/* The next entry, from the image as it is: RIP and the like are not set again, so what was broken stays so. */
static struct vm_exit enter_broken(struct vm *vm, const struct breakage *what, bool *written)
{
    struct hvctl_vmcs_image *image = &vmx_control(vm)->image;
    uint64_t good = hvctl_vmcs_get(image, what->field);
    struct vm_exit exit;

    memset(&exit, 0, sizeof(exit));
    *written = hvctl_vmcs_write(image, what->field, (good & ~what->clear) | what->set) == HVCTL_OK;
    if (!*written)
        return exit;
    exit = vmx_enter(vm);
    if (hvctl_vmcs_write(image, what->field, good) != HVCTL_OK)
        *written = false;
    return exit;
}

static void check_fails(struct vm *vm, const struct breakage *list, unsigned count, unsigned fail)
{
    for (unsigned i = 0; i < count; i++) {
        bool written;
        struct vm_exit exit = enter_broken(vm, &list[i], &written);

        if (check_true(written, "%s: the image takes it", list[i].name))
            check_equal(exit.fail, fail, "%s: VMfail", list[i].name);
    }
}

static void check_guest_state(struct vm *vm)
{
    for (unsigned i = 0; i < sizeof(guest_state) / sizeof(guest_state[0]); i++) {
        bool written;
        struct vm_exit exit = enter_broken(vm, &guest_state[i], &written);

        if (!check_true(written, "%s: the image takes it", guest_state[i].name))
            continue;
        check_equal(exit.fail, 0, "%s: no VMfail", guest_state[i].name);
        check_equal(exit.reason, ENTRY_FAILED_GUEST, "%s: exit reason", guest_state[i].name);
        check_equal(exit.info, 0, "%s: qualification", guest_state[i].name);
    }
}

static void check_link_pointer(struct vm *vm)
{
    static const struct breakage not_aligned = {HVCTL_VMCS_VMCS_LINK_POINTER, ALL, 0x1001, "link pointer: not aligned"};
    bool written;
    struct vm_exit exit = enter_broken(vm, &not_aligned, &written);

    check_true(written, "link pointer: the image takes it");
    check_equal(exit.reason, ENTRY_FAILED_GUEST, "link pointer: not aligned, exit reason");
    check_equal(exit.info, 4,
                "link pointer: not aligned, qualification"); /* SDM: 4 says that it was the link pointer */
}

/* Entry n of the MSR-load area, counted from 1, is the one at fault. */
static void check_msr_load(struct vm *vm)
{
    struct hvctl_vmcs_image *image = &vmx_control(vm)->image;
    uint64_t *area = frames_page(vm->frames); /* entries of 16 bytes: MSR number, then value */
    enum hvctl_status status = HVCTL_OK;
    struct vm_exit exit;

    area[0] = 0x174; /* IA32_SYSENTER_CS: may be loaded */
    area[1] = 0;
    area[2] = 0xc0000100; /* FS base: must not be loaded this way */
    area[3] = 0;
    hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_ADDRESS, (uintptr_t)area, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_COUNT, 2, &status);
    check_equal(status, HVCTL_OK, "MSR-load area: the image takes it");
    exit = vmx_enter(vm);
    check_equal(exit.reason, ENTRY_FAILED_MSR, "MSR-load area: exit reason");
    check_equal(exit.info, 2, "MSR-load area: number of the bad entry");
    hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_COUNT, 0, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_ADDRESS, 0, &status);
    frames_give_page(vm->frames, area);
}

/* VM-instruction errors that need no guest. The VMCS of vm is current and stays so. */
static void check_instruction_errors(struct vm *vm)
{
    const struct hvctl_cpu_ops *ops = vmx_ops();
    const struct hvctl_vmx_caps *caps = vmx_caps();
    uint64_t own = (uintptr_t)vmx_control(vm)->region, beyond = UINT64_C(1) << hvctl_vmx_physaddr_bits(caps), value;
    struct hvctl_inv_descriptor nothing = {0, 0};
    void *page = frames_page(vm->frames);

    check_equal(ops->vmclear(ops->ctx, own + 8), HVCTL_VMX_FAIL_VALID, "VMCLEAR, address not aligned: VMfailValid");
    check_equal(hvctl_vmx_instruction_error(ops), 2, "VMCLEAR, address not aligned: number");
    check_equal(ops->vmclear(ops->ctx, beyond), HVCTL_VMX_FAIL_VALID,
                "VMCLEAR, address beyond MAXPHYADDR: VMfailValid");
    check_equal(hvctl_vmx_instruction_error(ops), 2, "VMCLEAR, address beyond MAXPHYADDR: number");
    check_equal(ops->vmclear(ops->ctx, vmx_vmxon_region()), HVCTL_VMX_FAIL_VALID,
                "VMCLEAR of the VMXON region: VMfailValid");
    check_equal(hvctl_vmx_instruction_error(ops), 3, "VMCLEAR of the VMXON region: number");
    check_equal(ops->vmptrld(ops->ctx, own + 8), HVCTL_VMX_FAIL_VALID, "VMPTRLD, address not aligned: VMfailValid");
    check_equal(hvctl_vmx_instruction_error(ops), 9, "VMPTRLD, address not aligned: number");
    check_equal(ops->vmptrld(ops->ctx, vmx_vmxon_region()), HVCTL_VMX_FAIL_VALID,
                "VMPTRLD of the VMXON region: VMfailValid");
    check_equal(hvctl_vmx_instruction_error(ops), 10, "VMPTRLD of the VMXON region: number");
    *(uint32_t *)page = hvctl_vmx_revision(caps) + 1;
    check_equal(ops->vmptrld(ops->ctx, (uintptr_t)page), HVCTL_VMX_FAIL_VALID, "VMPTRLD, wrong revision: VMfailValid");
    check_equal(hvctl_vmx_instruction_error(ops), 11, "VMPTRLD, wrong revision: number");
    check_equal(ops->vmptrst(ops->ctx), own, "after all these the VMCS is still the current one");

    check_true(!ops->vmread(ops->ctx, 0x7ffe, &value), "VMREAD of no field: VMfail");
    check_equal(hvctl_vmx_instruction_error(ops), 12, "VMREAD of no field: number");
    check_true(!ops->vmwrite(ops->ctx, 0x7ffe, 0), "VMWRITE of no field: VMfail");
    check_equal(hvctl_vmx_instruction_error(ops), 12, "VMWRITE of no field: number");
    if (caps->misc & HVCTL_VMX_MISC_VMWRITE_ANY_FIELD) {
        check_true(ops->vmwrite(ops->ctx, HVCTL_VMCS_EXIT_QUALIFICATION, 1),
                   "VMWRITE of exit information: allowed by VMX_MISC");
    } else {
        check_true(!ops->vmwrite(ops->ctx, HVCTL_VMCS_EXIT_QUALIFICATION, 1), "VMWRITE of exit information: VMfail");
        check_equal(hvctl_vmx_instruction_error(ops), 13, "VMWRITE of exit information: number");
    }
    check_equal(ops->vmxon(ops->ctx, vmx_vmxon_region()), HVCTL_VMX_FAIL_VALID, "VMXON in VMX operation: VMfailValid");
    check_equal(hvctl_vmx_instruction_error(ops), 15, "VMXON in VMX operation: number");
    check_equal(ops->invept(ops->ctx, (enum hvctl_invept_type)3, &nothing), HVCTL_VMX_FAIL_VALID,
                "INVEPT of type 3: VMfailValid");
    check_equal(hvctl_vmx_instruction_error(ops), 28, "INVEPT of type 3: number");
    check_equal(ops->invvpid(ops->ctx, HVCTL_INVVPID_SINGLE_CONTEXT, &nothing), HVCTL_VMX_FAIL_VALID,
                "INVVPID of VPID 0: VMfailValid");
    check_equal(hvctl_vmx_instruction_error(ops), 28, "INVVPID of VPID 0: number");
    frames_give_page(vm->frames, page);
}

/* VMLAUNCH wants a clear VMCS, VMRESUME a launched one, and either a current one. */
static void check_launch_state(struct vm *vm)
{
    const struct hvctl_cpu_ops *ops = vmx_ops();
    struct vmx_control *control = vmx_control(vm);
    uint64_t own = (uintptr_t)control->region;
    struct vm_exit exit;

    check_equal(vm_do(vm, PIECE_CALL).kind, VM_EXIT_CALL, "the VMCS enters");
    control->launched = false;
    exit = vmx_enter(vm);
    check_equal(exit.fail, 4, "VMLAUNCH of a launched VMCS: VMfail");
    check_equal(ops->vmclear(ops->ctx, own), HVCTL_VMX_SUCCEED, "VMCLEAR of the current VMCS");
    check_equal(ops->vmptrst(ops->ctx), ~UINT64_C(0), "then there is no current VMCS");
    control->launched = false;
    exit = vmx_enter(vm);
    check_equal(exit.fail, ~0u, "VMLAUNCH without a current VMCS: VMfailInvalid");
    check_equal(ops->vmptrld(ops->ctx, own), HVCTL_VMX_SUCCEED, "VMPTRLD makes it current again");
    control->launched = true;
    exit = vmx_enter(vm);
    check_equal(exit.fail, 5, "VMRESUME of a clear VMCS: VMfail");
    control->launched = false;
    check_equal(vm_do(vm, PIECE_CALL).kind, VM_EXIT_CALL, "VMLAUNCH of it enters");
}

/* Every encoding that the CPU has, the field table has, and the other way round. 64-bit fields have a high half each. */
static void check_field_table(struct vm *vm)
{
    const struct hvctl_cpu_ops *ops = vmx_ops();
    const struct hvctl_vmcs_image *image = &vmx_control(vm)->image;
    unsigned have = 0, unknown = 0, missing = 0;

    for (uint32_t encoding = 0; encoding < 0x8000; encoding++) {
        uint64_t value;
        bool reads = ops->vmread(ops->ctx, encoding, &value), known = hvctl_vmcs_has(image, encoding);

        have += reads;
        if (reads && !known) {
            unknown++;
            print("# the CPU has the field %x, and the table has not\n", encoding);
        }
        if (!reads && known) {
            missing++;
            print("# the table has the field %x, and the CPU has not\n", encoding);
        }
    }
    check_true(have > 140, "VMREAD finds the fields of this CPU (%u)", have);
    check_equal(unknown, 0, "the field table has every field that the CPU has");
    check_equal(missing, 0, "the CPU has every field that the field table says it has");
}

/* Turning it on: a second time, with bad pages. The fixed bits come and go with it. */
static void check_enable(void)
{
    struct hvctl_cpu_ops ops = *vmx_ops();
    struct hvctl_vmx_region region = {(void *)(uintptr_t)vmx_vmxon_region(), vmx_vmxon_region()};
    struct hvctl_vmx_caps caps;
    struct hvctl_vmx_cpu cpu;
    uint64_t control;

    check_equal(hvctl_vmx_enable(&ops, &cpu, &region, &caps), HVCTL_VMX_ALREADY_ON, "a second time: named");
    check_true(ops.rdmsr(ops.ctx, HVCTL_MSR_FEATURE_CONTROL, &control), "IA32_FEATURE_CONTROL can be read");
    check_equal(control & 5, 5, "IA32_FEATURE_CONTROL: locked, VMX outside SMX on");
    vm_disable();
    check_equal(ops.read_cr4(ops.ctx) & HVCTL_CR4_VMXE, 0, "off: CR4.VMXE is 0");
    region.physical += 8;
    check_equal(hvctl_vmx_enable(&ops, &cpu, &region, &caps), HVCTL_VMX_REGION_ALIGN,
                "VMXON region not aligned: named");
    region.physical = UINT64_C(1) << hvctl_vmx_physaddr_bits(vmx_caps());
    check_equal(hvctl_vmx_enable(&ops, &cpu, &region, &caps), HVCTL_VMX_REGION_RANGE,
                "VMXON region beyond MAXPHYADDR: named");
    check_equal(ops.read_cr4(ops.ctx) & HVCTL_CR4_VMXE, 0, "after failures CR4.VMXE is still 0");
    check_true(vm_enable() == NULL, "on again");
}

void suite_vmx_entry(struct frames *frames)
{
    struct vm vm;

    check_group("enable");
    check_enable();
    check_group("VM entry");
    vm_create(&vm, frames, NULL);
    check_instruction_errors(&vm);
    check_field_table(&vm);
    check_launch_state(&vm);
    check_fails(&vm, controls, sizeof(controls) / sizeof(controls[0]), 7);
    check_fails(&vm, host_state, sizeof(host_state) / sizeof(host_state[0]), 8);
    check_guest_state(&vm);
    check_link_pointer(&vm);
    check_msr_load(&vm);
    check_equal(vm_do(&vm, PIECE_CALL).kind, VM_EXIT_CALL, "mended, it enters again");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}
