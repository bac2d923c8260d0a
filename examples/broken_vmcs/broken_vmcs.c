/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Ten mistakes in a VMCS, one at a time, and what hvctl_vmx_check says about each. Runs on any host: the CPU is the one
 * whose capabilities are written down below.
 *
 *     cc -std=c11 -I include examples/broken_vmcs/broken_vmcs.c -o broken_vmcs && ./broken_vmcs
 */
#include <hvctl/vmx/check.h>
#include <hvctl/vmx/guest.h>

#include <stdio.h>

/* A CPU with EPT, unrestricted guest and VPID. A hypervisor calls hvctl_vmx_caps_read instead. */
static struct hvctl_vmx_caps some_cpu(void)
{
    static const struct hvctl_vmx_caps none;
    struct hvctl_vmx_caps caps = none;

    caps.basic = UINT64_C(0x00d810000000002b);
    caps.pin = caps.true_pin = UINT64_C(0x0000007f00000016);
    caps.primary = caps.true_primary = UINT64_C(0xf7f9fffe0401e172);
    caps.exit = caps.true_exit = UINT64_C(0x007fffff00036dff);
    caps.entry = caps.true_entry = UINT64_C(0x0000ffff000011ff);
    caps.secondary = UINT64_C(0x00007fff00000000);
    caps.misc = UINT64_C(0x000401c0);
    caps.cr0_fixed0 = 0x80000021;
    caps.cr0_fixed1 = 0xffffffff;
    caps.cr4_fixed0 = 0x2000;
    caps.cr4_fixed1 = 0x001767ff;
    caps.ept_vpid_cap = UINT64_C(0xf0106334141);
    caps.cpu.maxphyaddr = 40;
    caps.cpu.linear_bits = 48;
    caps.cpu.long_mode = caps.cpu.nx = true;
    return caps;
}

/* A 64-bit guest under a 64-bit host. */
static bool good_vmcs(struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps)
{
    static struct hvctl_vmx_solution solution;
    struct hvctl_guest_state guest = hvctl_guest_long64(0x10000, 0x8000, 0x7000);
    struct hvctl_vmx_controls need = {{0}};
    enum hvctl_status status = HVCTL_OK;

    hvctl_vmx_controls_add(&need, HVCTL_SECONDARY_ENABLE_EPT);
    hvctl_vmx_controls_add(&need, HVCTL_PRIMARY_HLT_EXITING);
    hvctl_vmx_controls_add(&need, HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE);
    hvctl_vmx_controls_add(&need, HVCTL_EXIT_LOAD_IA32_EFER);
    hvctl_vmx_controls_add(&need, HVCTL_ENTRY_LOAD_IA32_EFER);
    if (hvctl_vmx_solve(&need, NULL, caps, &solution) != HVCTL_OK)
        return false;
    hvctl_vmcs_image_init(image, caps);
    if (hvctl_vmx_controls_write(image, &solution.controls) != HVCTL_OK
        || hvctl_vmx_guest_write(image, caps, &guest) != HVCTL_OK)
        return false;
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_RFLAGS, 2, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_VMCS_LINK_POINTER, ~UINT64_C(0), &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_EPT_POINTER, 0x2001e, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_CR0, 0x80010031, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_CR3, 0x30000, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_CR4, 0x2020, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_IA32_EFER, 0xd00, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_CS_SELECTOR, 8, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_SS_SELECTOR, 16, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_TR_SELECTOR, 24, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_HOST_RIP, UINT64_C(0xffffffff80100000), &status);
    return status == HVCTL_OK;
}

static const struct mistake {
    const char *what;
    uint32_t field;
    uint64_t value;
    uint32_t code; /* what a CPU answers: VM-instruction error, or exit reason */
    uint64_t qualification;
} mistakes[] = {
    {"a real-mode CR0, but no unrestricted guest", HVCTL_VMCS_GUEST_CR0, 0x20, 0x80000021, 0},
    {"RFLAGS left at zero", HVCTL_VMCS_GUEST_RFLAGS, 0, 0x80000021, 0},
    {"a VMCS link pointer that is no page address", HVCTL_VMCS_VMCS_LINK_POINTER, 1, 0x80000021, 4},
    {"a TSS that is available, not busy", HVCTL_VMCS_GUEST_TR_ACCESS_RIGHTS, 0x89, 0x80000021, 0},
    {"CS with both L and D", HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, 0xe09b, 0x80000021, 0},
    {"the host's TR forgotten", HVCTL_VMCS_HOST_TR_SELECTOR, 0, 8, 0},
    {"the host's CS with RPL 3", HVCTL_VMCS_HOST_CS_SELECTOR, 0xb, 8, 0},
    {"an EPT pointer without walk length and memory type", HVCTL_VMCS_EPT_POINTER, 0x20000, 7, 0},
    {"pin-based controls without their default-1 bits", HVCTL_VMCS_PIN_BASED_VM_EXECUTION_CONTROLS, 1, 7, 0},
    {"#PF injected without its error code", HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, 0x8000030e, 7, 0},
};

static void put(void *ctx, const char *bytes, size_t length)
{
    fwrite(bytes, 1, length, ctx);
}

int main(void)
{
    static struct hvctl_vmcs_image image;
    static struct hvctl_report report; /* about 3 KiB: not for a small stack */
    const struct hvctl_vmx_caps caps = some_cpu();
    const struct hvpt_text out = {put, stdout};
    unsigned explained = 0, count = sizeof(mistakes) / sizeof(mistakes[0]);

    for (unsigned i = 0; i < count; i++) {
        const struct mistake *mistake = &mistakes[i];
        enum hvctl_explanation explanation;

        if (!good_vmcs(&image, &caps))
            return 2;
        hvctl_vmx_check(&image, &caps, &report);
        if (report.broken != 0 || hvctl_vmcs_write(&image, mistake->field, mistake->value) != HVCTL_OK)
            return 2;
        printf("%u. %s\n", i + 1, mistake->what);
        explanation = hvctl_vmx_explain_failure(&image, &caps, mistake->code, mistake->qualification, &report);
        hvctl_vmx_explanation_text(explanation, mistake->code, mistake->qualification, &report, &out);
        printf("\n");
        explained += explanation == HVCTL_EXPLAINED;
    }
    printf("%u of %u mistakes explained\n", explained, count);
    return explained == count ? 0 : 1;
}
