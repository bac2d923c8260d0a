/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Entering and leaving VMX and SVM with a CPU played by this file: each step can be made to fail, and every register is
 * checked afterwards. SDM vol. 3, "Enabling and Entering VMX Operation"; APM vol. 2, "Enabling SVM".
 */
#include <hvctl/cpu/svm.h>
#include <hvctl/cpu/vmx.h>
#include <hvctl/cpu/vmx_host.h>

#include "support/models.h"

static struct machine {
    struct model model;
    uint64_t feature_control, efer, vm_cr, hsave, cr0, cr3, cr4;
    uint64_t msr_value; /* of any other MSR, plus its number */
    uint32_t rdmsr_faults, wrmsr_faults; /* an MSR that does, or 0 */
    bool no_vmx, no_svm, svm_key;
    bool vm_cr_ignores, efer_ignores, cr0_ignores, cr0_lacks_ne, cr4_ignores;
    enum hvctl_vmx_result vmxon_result, vmxoff_result, vmclear_result, vmptrld_result, inv_result;
    uint64_t region, cleared, current;
    bool in_vmx;
    unsigned stgi;
    struct hvctl_inv_descriptor inv;
    int inv_type;
    uint64_t invlpga_linear;
    uint32_t invlpga_asid;
    uint64_t vmcs[0x8000];
    bool no_current;
    struct hvctl_selectors selectors;
    struct hvctl_table_register gdtr, idtr;
} machine;

static bool m_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    cr_assert_eq(ctx, &machine);
    if (msr == machine.rdmsr_faults)
        return false;
    switch (msr) {
    case 0x3a: *value = machine.feature_control; return true;
    case 0xc0000080: *value = machine.efer; return true;
    case 0xc0010114: *value = machine.vm_cr; return true;
    case 0xc0010117: *value = machine.hsave; return true;
    default: break;
    }
    if (msr >= 0x480 && msr < 0x4a0)
        return model_rdmsr(&machine.model, msr, value);
    *value = machine.msr_value + msr;
    return true;
}

static bool m_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    cr_assert_eq(ctx, &machine);
    if (msr == machine.wrmsr_faults)
        return false;
    switch (msr) {
    case 0x3a:
        if (machine.feature_control & 1)
            return false; /* locked: #GP */
        machine.feature_control = value;
        return true;
    case 0xc0000080:
        if (!machine.efer_ignores)
            machine.efer = value;
        return true;
    case 0xc0010114:
        if (!machine.vm_cr_ignores)
            machine.vm_cr = value;
        return true;
    case 0xc0010117: machine.hsave = value; return true;
    default: cr_assert(false, "write of MSR %x", msr); return false;
    }
}

static struct hvctl_cpuid m_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    struct hvctl_cpuid id = model_cpuid(ctx, leaf, subleaf);

    if (leaf == 1 && machine.no_vmx)
        id.ecx = 0;
    if (leaf == 0x80000000)
        id.eax = 0x8000000a;
    if (leaf == 0x80000001 && !machine.no_svm)
        id.ecx = 4;
    if (leaf == 0x8000000a)
        id.edx = machine.svm_key ? 4 : 0;
    return id;
}

static uint64_t m_read_cr0(void *ctx)
{
    (void)ctx;
    return machine.cr0;
}

static bool m_write_cr0(void *ctx, uint64_t value)
{
    (void)ctx;
    if (!machine.cr0_ignores)
        machine.cr0 = machine.cr0_lacks_ne ? value & ~UINT64_C(0x20) : value;
    return true;
}

static uint64_t m_read_cr3(void *ctx)
{
    (void)ctx;
    return machine.cr3;
}

static uint64_t m_read_cr4(void *ctx)
{
    (void)ctx;
    return machine.cr4;
}

static bool m_write_cr4(void *ctx, uint64_t value)
{
    (void)ctx;
    if (!machine.cr4_ignores)
        machine.cr4 = value;
    return true;
}

static void m_selectors(void *ctx, struct hvctl_selectors *out)
{
    (void)ctx;
    *out = machine.selectors;
}

static void m_gdtr(void *ctx, struct hvctl_table_register *out)
{
    (void)ctx;
    *out = machine.gdtr;
}

static void m_idtr(void *ctx, struct hvctl_table_register *out)
{
    (void)ctx;
    *out = machine.idtr;
}

/* As the CPU does: #UD without CR4.VMXE, #GP without feature control, VMfailInvalid for a wrong revision. */
static enum hvctl_vmx_result m_vmxon(void *ctx, uint64_t region)
{
    (void)ctx;
    machine.region = region;
    if (machine.vmxon_result != HVCTL_VMX_SUCCEED)
        return machine.vmxon_result;
    cr_expect(machine.cr4 >> 13 & 1, "VMXON without CR4.VMXE");
    cr_expect_eq(machine.cr0 & 0x80000021, 0x80000021, "VMXON with CR0 %llx", (unsigned long long)machine.cr0);
    cr_expect_eq(machine.feature_control & 5, 5);
    cr_expect_eq(*(uint32_t *)(uintptr_t)region, machine.model.msr[0x480] & 0x7fffffff);
    machine.in_vmx = true;
    return HVCTL_VMX_SUCCEED;
}

static enum hvctl_vmx_result m_vmxoff(void *ctx)
{
    (void)ctx;
    if (machine.vmxoff_result == HVCTL_VMX_SUCCEED)
        machine.in_vmx = false;
    return machine.vmxoff_result;
}

static enum hvctl_vmx_result m_vmclear(void *ctx, uint64_t vmcs)
{
    (void)ctx;
    machine.cleared = vmcs;
    return machine.vmclear_result;
}

static enum hvctl_vmx_result m_vmptrld(void *ctx, uint64_t vmcs)
{
    (void)ctx;
    machine.current = vmcs;
    return machine.vmptrld_result;
}

static bool m_vmread(void *ctx, uint32_t encoding, uint64_t *value)
{
    (void)ctx;
    *value = machine.vmcs[encoding];
    return !machine.no_current;
}

static enum hvctl_vmx_result m_invept(void *ctx, enum hvctl_invept_type type, const struct hvctl_inv_descriptor *what)
{
    (void)ctx;
    machine.inv = *what;
    machine.inv_type = (int)type;
    return machine.inv_result;
}

static enum hvctl_vmx_result m_invvpid(void *ctx, enum hvctl_invvpid_type type, const struct hvctl_inv_descriptor *what)
{
    (void)ctx;
    machine.inv = *what;
    machine.inv_type = (int)type;
    return machine.inv_result;
}

static void m_stgi(void *ctx)
{
    (void)ctx;
    machine.stgi++;
}

static void m_invlpga(void *ctx, uint64_t linear, uint32_t asid)
{
    (void)ctx;
    machine.invlpga_linear = linear;
    machine.invlpga_asid = asid;
}

static struct hvctl_cpu_ops ops;
static struct hvctl_vmx_caps caps;
static struct hvctl_svm_caps svm_caps;
static struct hvctl_vmx_cpu cpu;
static struct hvctl_svm_cpu svm;
static uint32_t page[1024] __attribute__((aligned(4096)));
static struct hvctl_vmx_region region;

static void power_on(void)
{
    memset(&machine, 0, sizeof(machine));
    model_load(&machine.model, "skylake_x");
    machine.feature_control = 5;
    machine.cr0 = 0x80010033;
    machine.cr3 = 0x7000;
    machine.cr4 = 0x20;
    machine.efer = 0xd00;
    ops.ctx = &machine;
    ops.rdmsr = m_rdmsr;
    ops.wrmsr = m_wrmsr;
    ops.cpuid = m_cpuid;
    ops.read_cr0 = m_read_cr0;
    ops.write_cr0 = m_write_cr0;
    ops.read_cr3 = m_read_cr3;
    ops.read_cr4 = m_read_cr4;
    ops.write_cr4 = m_write_cr4;
    ops.read_selectors = m_selectors;
    ops.read_gdtr = m_gdtr;
    ops.read_idtr = m_idtr;
    ops.vmxon = m_vmxon;
    ops.vmxoff = m_vmxoff;
    ops.vmclear = m_vmclear;
    ops.vmptrld = m_vmptrld;
    ops.vmread = m_vmread;
    ops.invept = m_invept;
    ops.invvpid = m_invvpid;
    ops.stgi = m_stgi;
    ops.invlpga = m_invlpga;
    memset(page, 0xee, sizeof(page));
    region.memory = page;
    region.physical = (uintptr_t)page & 0xfffffffff000; /* the fake VMXON reads it there */
    machine.model.msr[0x480] &= ~(UINT64_C(1) << 48);
}

/* The test's address space is wider than the models' 40 bits. */
static struct hvctl_cpuid wide_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    struct hvctl_cpuid id = m_cpuid(ctx, leaf, subleaf);

    if (leaf == 0x80000008)
        id.eax = 52;
    return id;
}

static void power_on_wide(void)
{
    power_on();
    ops.cpuid = wide_cpuid;
}

TestSuite(vmx_enable, .init = power_on_wide);
TestSuite(svm_enable, .init = power_on);
TestSuite(vmx_ops, .init = power_on_wide);
TestSuite(vmx_host, .init = power_on);

Test(vmx_enable, all_is_well_when_nothing_stands_in_the_way)
{
    cr_assert_eq(hvctl_vmx_enable(&ops, &cpu, &region, &caps), HVCTL_VMX_ENABLED);
    cr_expect(machine.in_vmx && cpu.on && machine.cr4 == 0x2020);
    cr_expect_eq(machine.region, region.physical);
    cr_expect_eq(caps.basic, machine.model.msr[0x480]);
    for (unsigned i = 1; i < 1024; i++)
        cr_expect_eq(page[i], 0);
    cr_assert_eq(hvctl_vmx_disable(&ops, &cpu), HVCTL_OK);
    cr_expect(!machine.in_vmx && machine.cr4 == 0x20 && machine.cr0 == 0x80010033);
    cr_expect_eq(hvctl_vmx_disable(&ops, &cpu), HVCTL_E_MODE);
}

Test(vmx_enable, an_unlocked_feature_control_is_set_and_locked)
{
    machine.feature_control = 0x2;
    cr_assert_eq(hvctl_vmx_enable(&ops, &cpu, &region, &caps), HVCTL_VMX_ENABLED);
    cr_expect_eq(machine.feature_control, 0x7);
}

Test(vmx_enable, fixed_bits_of_cr0_are_set_and_put_back)
{
    machine.cr0 = 0x80000011;
    cr_assert_eq(hvctl_vmx_enable(&ops, &cpu, &region, &caps), HVCTL_VMX_ENABLED);
    cr_expect_eq(machine.cr0, 0x80000031);
    cr_assert_eq(hvctl_vmx_disable(&ops, &cpu), HVCTL_OK);
    cr_expect_eq(machine.cr0, 0x80000011);
}

/* Nothing of the CPU has changed but what was there to be changed for good. */
static void expect_refused(enum hvctl_vmx_enable_status expected)
{
    uint64_t cr0 = machine.cr0, cr4 = machine.cr4;
    enum hvctl_vmx_enable_status status = hvctl_vmx_enable(&ops, &cpu, &region, &caps);

    cr_expect_eq(status, expected, "%s", hvctl_vmx_enable_text(status));
    cr_expect(machine.cr0 == cr0 && machine.cr4 == cr4 && !machine.in_vmx && !cpu.on);
    cr_expect_eq(hvctl_vmx_disable(&ops, &cpu), HVCTL_E_MODE);
}

Test(vmx_enable, a_cpu_without_vmx_is_named)
{
    machine.no_vmx = true;
    expect_refused(HVCTL_VMX_NO_CPUID);
}

Test(vmx_enable, another_hypervisor_is_named)
{
    machine.cr4 |= 0x2000;
    expect_refused(HVCTL_VMX_ALREADY_ON);
}

Test(vmx_enable, feature_control_that_faults_is_named)
{
    machine.rdmsr_faults = 0x3a;
    expect_refused(HVCTL_VMX_FEATURE_CONTROL_MSR);
}

Test(vmx_enable, a_firmware_lock_is_named)
{
    machine.feature_control = 1;
    expect_refused(HVCTL_VMX_LOCKED_OFF);
    machine.feature_control = 3; /* inside SMX only */
    expect_refused(HVCTL_VMX_LOCKED_OFF);
}

Test(vmx_enable, feature_control_that_cannot_be_written_is_named)
{
    machine.feature_control = 0;
    machine.wrmsr_faults = 0x3a;
    expect_refused(HVCTL_VMX_LOCK_FAILED);
}

Test(vmx_enable, a_capability_msr_that_faults_is_named)
{
    machine.rdmsr_faults = 0x48c;
    expect_refused(HVCTL_VMX_CAPABILITY_MSR);
    cr_expect_eq(caps.failed_msr, 0x48c);
}

Test(vmx_enable, a_bad_region_is_named)
{
    region.physical |= 0x800;
    expect_refused(HVCTL_VMX_REGION_ALIGN);
    region.physical = UINT64_C(1) << 52;
    expect_refused(HVCTL_VMX_REGION_RANGE);
    machine.model.msr[0x480] |= UINT64_C(1) << 48;
    region.physical = UINT64_C(1) << 32;
    expect_refused(HVCTL_VMX_REGION_RANGE);
}

Test(vmx_enable, missing_paging_is_named)
{
    machine.cr0 = 0x11;
    expect_refused(HVCTL_VMX_CR0_PAGING);
}

Test(vmx_enable, control_registers_that_do_not_take_their_bits_are_named)
{
    machine.cr0 = 0x80000011;
    machine.cr0_ignores = true;
    expect_refused(HVCTL_VMX_CR0_WRITE);
    machine.cr0_ignores = false;
    machine.cr0_lacks_ne = true;
    machine.model.msr[0x486] |= 2; /* takes MP, not NE: MP goes again */
    expect_refused(HVCTL_VMX_CR0_WRITE);
    machine.cr0_lacks_ne = false;
    machine.cr4_ignores = true;
    expect_refused(HVCTL_VMX_CR4_WRITE);
}

Test(vmx_enable, a_vmxon_that_fails_is_named)
{
    machine.cr0 = 0x80000011;
    machine.vmxon_result = HVCTL_VMX_FAIL_INVALID;
    expect_refused(HVCTL_VMX_VMXON_FAILED);
    machine.vmxon_result = HVCTL_VMX_FAULT;
    expect_refused(HVCTL_VMX_VMXON_FAULT);
}

Test(vmx_enable, a_vmxoff_that_fails_is_told_and_changes_nothing)
{
    cr_assert_eq(hvctl_vmx_enable(&ops, &cpu, &region, &caps), HVCTL_VMX_ENABLED);
    machine.vmxoff_result = HVCTL_VMX_FAIL_VALID;
    cr_expect_eq(hvctl_vmx_disable(&ops, &cpu), HVCTL_E_CPU);
    cr_expect(cpu.on && machine.cr4 == 0x2020);
}

Test(vmx_enable, every_status_has_a_text_of_its_own)
{
    for (int a = 0; a <= HVCTL_VMX_VMXON_FAILED; a++)
        for (int b = 0; b < a; b++)
            cr_expect_str_neq(hvctl_vmx_enable_text((enum hvctl_vmx_enable_status)a),
                              hvctl_vmx_enable_text((enum hvctl_vmx_enable_status)b));
    for (int a = 0; a <= HVCTL_SVM_HSAVE_WRITE; a++)
        for (int b = 0; b < a; b++)
            cr_expect_str_neq(hvctl_svm_enable_text((enum hvctl_svm_enable_status)a),
                              hvctl_svm_enable_text((enum hvctl_svm_enable_status)b));
    for (int a = 0; a <= HVCTL_VMX_FAULT; a++)
        for (int b = 0; b < a; b++)
            cr_expect_str_neq(hvctl_vmx_result_text((enum hvctl_vmx_result)a),
                              hvctl_vmx_result_text((enum hvctl_vmx_result)b));
}

Test(vmx_ops, a_vmcs_is_formatted_cleared_and_loaded)
{
    cr_assert_eq(hvctl_vmx_enable(&ops, &cpu, &region, &caps), HVCTL_VMX_ENABLED);
    memset(page, 0xee, sizeof(page));
    cr_assert_eq(hvctl_vmx_create(&ops, &region, &caps), HVCTL_VMX_SUCCEED);
    cr_expect(machine.cleared == region.physical && machine.current == region.physical);
    cr_expect_eq(page[0], machine.model.msr[0x480] & 0x7fffffff);
    machine.current = 0;
    machine.vmclear_result = HVCTL_VMX_FAIL_VALID;
    cr_expect_eq(hvctl_vmx_create(&ops, &region, &caps), HVCTL_VMX_FAIL_VALID);
    cr_expect_eq(machine.current, 0);
    machine.vmclear_result = HVCTL_VMX_SUCCEED;
    machine.vmptrld_result = HVCTL_VMX_FAIL_INVALID;
    cr_expect_eq(hvctl_vmx_create(&ops, &region, &caps), HVCTL_VMX_FAIL_INVALID);
    cr_expect_eq(hvctl_vmx_clear(&ops, 0x3000), HVCTL_VMX_SUCCEED);
    cr_expect_eq(machine.cleared, 0x3000);
    cr_expect_eq(hvctl_vmx_load(&ops, 0x4000), HVCTL_VMX_FAIL_INVALID);
    machine.vmcs[0x4400] = 7;
    cr_expect_eq(hvctl_vmx_instruction_error(&ops), 7);
    machine.no_current = true;
    cr_expect_eq(hvctl_vmx_instruction_error(&ops), 0);
}

/* SDM vol. 3, "INVEPT": bits 20, 25, 26 of IA32_VMX_EPT_VPID_CAP. */
Test(vmx_ops, invept_uses_the_kind_that_the_cpu_has)
{
    caps.ept_vpid_cap = 0x06000000;
    cr_expect_eq(hvctl_vmx_invept(&ops, &caps, 0x501e), HVCTL_E_CONTROL);
    cr_expect_eq(hvctl_vmx_invept_all(&ops, &caps), HVCTL_E_CONTROL);
    caps.ept_vpid_cap = 0x06100000;
    cr_expect_eq(hvctl_vmx_invept(&ops, &caps, 0x501e), HVCTL_OK);
    cr_expect(machine.inv_type == 1 && machine.inv.low == 0x501e && machine.inv.high == 0);
    cr_expect_eq(hvctl_vmx_invept_all(&ops, &caps), HVCTL_OK);
    cr_expect(machine.inv_type == 2 && machine.inv.low == 0);
    caps.ept_vpid_cap = 0x04100000;
    cr_expect_eq(hvctl_vmx_invept(&ops, &caps, 0x501e), HVCTL_OK);
    cr_expect(machine.inv_type == 2 && machine.inv.low == 0);
    caps.ept_vpid_cap = 0x02100000;
    cr_expect_eq(hvctl_vmx_invept_all(&ops, &caps), HVCTL_E_CONTROL);
    caps.ept_vpid_cap = 0x00100000;
    cr_expect_eq(hvctl_vmx_invept(&ops, &caps, 0x501e), HVCTL_E_CONTROL);
    caps.ept_vpid_cap = 0x06100000;
    machine.inv_result = HVCTL_VMX_FAIL_VALID;
    cr_expect_eq(hvctl_vmx_invept(&ops, &caps, 0x501e), HVCTL_E_CPU);
    cr_expect_eq(hvctl_vmx_invept_all(&ops, &caps), HVCTL_E_CPU);
}

/* What VMXON leaves behind: both instructions, all contexts, as far as the CPU has them. */
Test(vmx_ops, everything_can_be_flushed)
{
    caps.ept_vpid_cap = UINT64_C(0x40104100000);
    cr_expect_eq(hvctl_vmx_flush_all(&ops, &caps), HVCTL_OK);
    cr_expect(machine.inv_type == 2 && machine.inv.low == 0 && machine.inv.high == 0);
    machine.inv_type = 9;
    caps.ept_vpid_cap = 0;
    cr_expect_eq(hvctl_vmx_flush_all(&ops, &caps), HVCTL_OK, "neither: transitions flush");
    cr_expect_eq(machine.inv_type, 9);
    caps.ept_vpid_cap = UINT64_C(0x04100000);
    machine.inv_result = HVCTL_VMX_FAIL_VALID;
    cr_expect_eq(hvctl_vmx_flush_all(&ops, &caps), HVCTL_E_CPU);
    caps.ept_vpid_cap = UINT64_C(0x40100000000);
    cr_expect_eq(hvctl_vmx_flush_all(&ops, &caps), HVCTL_E_CPU);
}

/* SDM vol. 3, "INVVPID": bits 32 and 40 to 43. Each type falls back to a wider one, never to a narrower. */
Test(vmx_ops, invvpid_falls_back_to_a_wider_kind)
{
    const uint64_t all = UINT64_C(0xf0100000000);

    caps.ept_vpid_cap = all;
    cr_expect_eq(hvctl_vmx_invvpid(&ops, &caps, HVCTL_INVVPID_INDIVIDUAL_ADDRESS, 5, 0x8000), HVCTL_OK);
    cr_expect(machine.inv_type == 0 && machine.inv.low == 5 && machine.inv.high == 0x8000);
    caps.ept_vpid_cap = all & ~(UINT64_C(1) << 40);
    cr_expect_eq(hvctl_vmx_invvpid(&ops, &caps, HVCTL_INVVPID_INDIVIDUAL_ADDRESS, 5, 0x8000), HVCTL_OK);
    cr_expect(machine.inv_type == 1 && machine.inv.low == 5 && machine.inv.high == 0);
    caps.ept_vpid_cap = all & ~(UINT64_C(3) << 40);
    cr_expect_eq(hvctl_vmx_invvpid(&ops, &caps, HVCTL_INVVPID_INDIVIDUAL_ADDRESS, 5, 0x8000), HVCTL_OK);
    cr_expect(machine.inv_type == 2 && machine.inv.low == 0 && machine.inv.high == 0);
    caps.ept_vpid_cap = all & ~(UINT64_C(1) << 43);
    cr_expect_eq(hvctl_vmx_invvpid(&ops, &caps, HVCTL_INVVPID_SINGLE_CONTEXT_RETAINING_GLOBALS, 5, 0), HVCTL_OK);
    cr_expect_eq(machine.inv_type, 1);
    caps.ept_vpid_cap = UINT64_C(0x100000000);
    cr_expect_eq(hvctl_vmx_invvpid(&ops, &caps, HVCTL_INVVPID_SINGLE_CONTEXT, 5, 0), HVCTL_E_CONTROL);
    caps.ept_vpid_cap = 0;
    cr_expect_eq(hvctl_vmx_invvpid(&ops, &caps, HVCTL_INVVPID_SINGLE_CONTEXT, 5, 0), HVCTL_E_CONTROL);
    caps.ept_vpid_cap = all;
    cr_expect_eq(hvctl_vmx_invvpid(&ops, &caps, HVCTL_INVVPID_SINGLE_CONTEXT, 0, 0), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_vmx_invvpid(&ops, &caps, HVCTL_INVVPID_ALL_CONTEXT, 0, 0), HVCTL_OK);
    machine.inv_result = HVCTL_VMX_FAIL_VALID;
    cr_expect_eq(hvctl_vmx_invvpid(&ops, &caps, HVCTL_INVVPID_ALL_CONTEXT, 0, 0), HVCTL_E_CPU);
}

Test(svm_enable, all_is_well_when_nothing_stands_in_the_way)
{
    cr_assert_eq(hvctl_svm_enable(&ops, &svm, 0x5000, &svm_caps), HVCTL_SVM_ENABLED);
    cr_expect(machine.efer == 0x1d00 && machine.hsave == 0x5000 && svm.on);
    cr_assert_eq(hvctl_svm_disable(&ops, &svm), HVCTL_OK);
    cr_expect(machine.efer == 0xd00 && machine.hsave == 0 && machine.stgi == 1);
    cr_expect_eq(hvctl_svm_disable(&ops, &svm), HVCTL_E_MODE);
}

Test(svm_enable, a_disable_bit_without_lock_is_cleared_and_put_back)
{
    machine.vm_cr = 0x12;
    cr_assert_eq(hvctl_svm_enable(&ops, &svm, 0x5000, &svm_caps), HVCTL_SVM_ENABLED);
    cr_expect_eq(machine.vm_cr, 0x2);
    cr_assert_eq(hvctl_svm_disable(&ops, &svm), HVCTL_OK);
    cr_expect_eq(machine.vm_cr, 0x12);
}

static void expect_svm_refused(uint64_t host_save, enum hvctl_svm_enable_status expected)
{
    uint64_t efer = machine.efer, vm_cr = machine.vm_cr;
    enum hvctl_svm_enable_status status = hvctl_svm_enable(&ops, &svm, host_save, &svm_caps);

    cr_expect_eq(status, expected, "%s", hvctl_svm_enable_text(status));
    cr_expect(machine.efer == efer && machine.vm_cr == vm_cr && !svm.on);
    cr_expect_eq(hvctl_svm_disable(&ops, &svm), HVCTL_E_MODE);
}

Test(svm_enable, a_cpu_without_svm_is_named)
{
    machine.no_svm = true;
    expect_svm_refused(0x5000, HVCTL_SVM_NO_CPUID);
}

Test(svm_enable, another_hypervisor_is_named)
{
    machine.efer |= 0x1000;
    expect_svm_refused(0x5000, HVCTL_SVM_ALREADY_ON);
}

Test(svm_enable, msrs_that_fault_are_named)
{
    machine.rdmsr_faults = 0xc0000080;
    expect_svm_refused(0x5000, HVCTL_SVM_EFER_MSR);
    machine.rdmsr_faults = 0xc0010114;
    expect_svm_refused(0x5000, HVCTL_SVM_VM_CR_MSR);
}

Test(svm_enable, firmware_locks_are_named)
{
    machine.vm_cr = 0x18;
    expect_svm_refused(0x5000, HVCTL_SVM_LOCKED_OFF);
    machine.svm_key = true;
    expect_svm_refused(0x5000, HVCTL_SVM_LOCKED_BY_KEY);
}

Test(svm_enable, a_disable_bit_that_stays_is_named)
{
    machine.vm_cr = 0x10;
    machine.vm_cr_ignores = true;
    expect_svm_refused(0x5000, HVCTL_SVM_VM_CR_WRITE);
    machine.vm_cr_ignores = false;
    machine.wrmsr_faults = 0xc0010114;
    expect_svm_refused(0x5000, HVCTL_SVM_VM_CR_WRITE);
}

Test(svm_enable, a_bad_save_area_is_named)
{
    expect_svm_refused(0x5800, HVCTL_SVM_REGION_ALIGN);
    expect_svm_refused(UINT64_C(1) << 40, HVCTL_SVM_REGION_RANGE);
    expect_svm_refused(0, HVCTL_SVM_REGION_RANGE);
    cr_expect_eq(hvctl_svm_vmcb_check(0x800, &svm_caps), HVCTL_E_ALIGN);
    cr_expect_eq(hvctl_svm_vmcb_check(UINT64_C(1) << 40, &svm_caps), HVCTL_E_RANGE);
    cr_expect_eq(hvctl_svm_vmcb_check(UINT64_C(0xfffffff000), &svm_caps), HVCTL_OK);
}

Test(svm_enable, writes_that_do_not_stick_are_named_and_undone)
{
    machine.vm_cr = 0x10;
    machine.efer_ignores = true;
    expect_svm_refused(0x5000, HVCTL_SVM_EFER_WRITE);
    machine.efer_ignores = false;
    machine.wrmsr_faults = 0xc0010117;
    expect_svm_refused(0x5000, HVCTL_SVM_HSAVE_WRITE);
    machine.wrmsr_faults = 0xc0000080;
    expect_svm_refused(0x5000, HVCTL_SVM_EFER_WRITE);
}

Test(svm_enable, a_disable_that_cannot_be_done_is_told)
{
    cr_assert_eq(hvctl_svm_enable(&ops, &svm, 0x5000, &svm_caps), HVCTL_SVM_ENABLED);
    machine.wrmsr_faults = 0xc0000080;
    cr_expect_eq(hvctl_svm_disable(&ops, &svm), HVCTL_E_CPU);
    cr_expect(svm.on);
    hvctl_svm_invlpga(&ops, 0x7000, 3);
    cr_expect(machine.invlpga_linear == 0x7000 && machine.invlpga_asid == 3);
}

static uint64_t gdt[8];
static struct hvctl_vmcs_image image;

static void host(const enum hvctl_vmx_control *controls, unsigned count)
{
    struct hvctl_vmx_controls set = {{0}};

    hvctl_vmcs_image_init(&image, NULL);
    for (unsigned i = 0; i < count; i++)
        hvctl_vmx_controls_add(&set, controls[i]);
    cr_assert_eq(hvctl_vmx_controls_write(&image, &set), HVCTL_OK);
    gdt[3] = UINT64_C(0x12008b3456780067);
    gdt[4] = 0xffff8000;
    machine.gdtr.base = (uintptr_t)gdt;
    machine.gdtr.limit = 39;
    machine.idtr.base = UINT64_C(0xfffffe0000000000);
    machine.idtr.limit = 0xfff;
    machine.selectors.cs = 0x08;
    machine.selectors.ss = 0x10;
    machine.selectors.ds = 0x2b; /* RPL 3 */
    machine.selectors.fs = 0x0f; /* in an LDT */
    machine.selectors.tr = 0x18;
    machine.msr_value = UINT64_C(0xabc0000000);
}

Test(vmx_host, the_host_state_is_what_the_cpu_has)
{
    static const enum hvctl_vmx_control all[] = {HVCTL_EXIT_LOAD_IA32_EFER, HVCTL_EXIT_LOAD_IA32_PAT,
                                                 HVCTL_EXIT_LOAD_PKRS, HVCTL_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL,
                                                 HVCTL_EXIT_LOAD_CET_STATE};
    uint64_t base = UINT64_C(0xabc0000000);

    host(all, 5);
    cr_assert_eq(hvctl_vmx_host_capture(&ops, &image), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_CR0), 0x80010033);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_CR3), 0x7000);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_CR4), 0x20);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_CS_SELECTOR), 8);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_SS_SELECTOR), 0x10);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_DS_SELECTOR), 0x28);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_FS_SELECTOR), 0);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_TR_SELECTOR), 0x18);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_TR_BASE), UINT64_C(0xffff800012345678));
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_GDTR_BASE), (uintptr_t)gdt);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_IDTR_BASE), UINT64_C(0xfffffe0000000000));
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_FS_BASE), base + 0xc0000100);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_GS_BASE), base + 0xc0000101);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_IA32_SYSENTER_CS), (uint32_t)(base + 0x174));
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_IA32_SYSENTER_ESP), base + 0x175);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_IA32_SYSENTER_EIP), base + 0x176);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_IA32_EFER), 0xd00);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_IA32_PAT), base + 0x277);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_IA32_PERF_GLOBAL_CTRL), base + 0x38f);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_IA32_PKRS), base + 0x6e1);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_IA32_S_CET), base + 0x6a2);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_IA32_INTERRUPT_SSP_TABLE_ADDR), base + 0x6a8);
}

Test(vmx_host, only_msrs_that_the_exit_controls_load_are_read)
{
    host(NULL, 0);
    machine.rdmsr_faults = 0x277;
    cr_expect_eq(hvctl_vmx_host_capture(&ops, &image), HVCTL_OK);
    cr_expect_eq(hvctl_vmcs_get(&image, HVCTL_VMCS_HOST_IA32_EFER), 0);
    machine.rdmsr_faults = 0x175;
    cr_expect_eq(hvctl_vmx_host_capture(&ops, &image), HVCTL_E_MSR);
}

Test(vmx_host, a_cpu_without_a_task_register_is_refused)
{
    host(NULL, 0);
    machine.selectors.tr = 0;
    cr_expect_eq(hvctl_vmx_host_capture(&ops, &image), HVCTL_E_MODE);
    machine.selectors.tr = 0x20; /* its 16 bytes end beyond the limit */
    cr_expect_eq(hvctl_vmx_host_capture(&ops, &image), HVCTL_E_MODE);
    machine.selectors.tr = 0x18;
    machine.gdtr.limit = 38;
    cr_expect_eq(hvctl_vmx_host_capture(&ops, &image), HVCTL_E_MODE);
    machine.gdtr.limit = 39;
    machine.selectors.cs = 0;
    cr_expect_eq(hvctl_vmx_host_capture(&ops, &image), HVCTL_E_MODE);
}
