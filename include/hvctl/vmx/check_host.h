/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VM-entry rules on the host-state area. A violation makes VM entry end with VMfail 8. SDM vol. 3, "Checks on the
 * Host-State Area".
 */
#ifndef HVCTL_VMX_CHECK_HOST_H
#define HVCTL_VMX_CHECK_HOST_H

#include "check_rule.h"

/* Bits of MSRs that are reserved on every CPU; SDM vol. 4. */
#define HVCTL_S_CET_RESERVED            UINT64_C(0x3c0)
#define HVCTL_S_CET_SUPPRESS_TRACKER    UINT64_C(0xc00) /* SUPPRESS and TRACKER exclude each other */
#define HVCTL_FRED_CONFIG_RESERVED      UINT64_C(0x834)
#define HVCTL_SPEC_CTRL_RESERVED        UINT64_C(0xfffffffffffffa00) /* 8:0 and 10 have a meaning somewhere */
#define HVCTL_PERF_GLOBAL_CTRL_RESERVED UINT64_C(0xfffe000000000000) /* 48 and down have one somewhere */

/* CR0 against the fixed bits. mask 1: the guest's, whose PE and PG "unrestricted guest" frees. */
static inline enum hvctl_rule_result hvctl_vmx_rule_cr0_fixed(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    if (rule->mask)
        finding->because = view->unrestricted ? "unrestricted guest is on" : "unrestricted guest is off";
    return hvctl_demand_bits(finding,
                             hvctl_vmx_cr0_ones(view->caps, rule->mask && view->unrestricted)
                                 & ~(HVCTL_CR0_NW | HVCTL_CR0_CD),
                             ~view->caps->cr0_fixed1 & ~(HVCTL_CR0_NW | HVCTL_CR0_CD));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_cr4_fixed(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    (void)rule;
    return hvctl_demand_bits(finding, view->caps->cr4_fixed0, ~view->caps->cr4_fixed1);
}

/* CR4.CET demands CR0.WP: slot 0 is CR0, slot 1 CR4. */
static inline enum hvctl_rule_result hvctl_vmx_rule_cet_wp(const struct hvctl_vmx_view *view,
                                                           const struct hvctl_vmx_rule *rule,
                                                           struct hvctl_finding *finding)
{
    finding->because = "CR4.CET is set";
    if (!(hvctl_vmx_rule_value(view, rule, 1) & HVCTL_CR4_CET))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, HVCTL_CR0_WP, 0);
}

/* CR3 must have no bits beyond MAXPHYADDR, except for 62:61, linear-address masking. */
static inline enum hvctl_rule_result hvctl_vmx_rule_cr3(const struct hvctl_vmx_view *view,
                                                        const struct hvctl_vmx_rule *rule,
                                                        struct hvctl_finding *finding)
{
    const uint64_t lam = UINT64_C(3) << 61;
    enum hvctl_rule_result result;

    (void)rule;
    if (!view->intel64)
        return HVCTL_RULE_IDLE;
    result =
        hvctl_demand_bits(finding, 0,
                          hvctl_beyond(view->caps->cpu.maxphyaddr) & ~(view->cpu.known && !view->cpu.lam ? 0 : lam));
    /* LAM's bits are set, and it is not known whether the CPU has LAM */
    return result == HVCTL_RULE_KEPT && !view->cpu.known && (finding->actual & lam) ? HVCTL_RULE_UNCHECKED : result;
}

static inline enum hvctl_rule_result hvctl_vmx_rule_perf_global(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    (void)rule;
    return hvctl_demand_bits(
        finding, 0, view->cpu.known ? ~view->cpu.perf_global_ctrl : HVCTL_PERF_GLOBAL_CTRL_RESERVED);
}

/* EFER's reserved bits; NXE is reserved if CPUID says that there is no NX. */
static inline uint64_t hvctl_vmx_efer_reserved(const struct hvctl_vmx_view *view)
{
    bool no_nx = view->caps->cpu.linear_bits != 0 && !view->caps->cpu.nx;

    return ~(HVCTL_EFER_SCE | HVCTL_EFER_LME | HVCTL_EFER_LMA | (no_nx ? 0 : HVCTL_EFER_NXE));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_efer(const struct hvctl_vmx_view *view,
                                                         const struct hvctl_vmx_rule *rule,
                                                         struct hvctl_finding *finding)
{
    (void)rule;
    return hvctl_demand_bits(finding, 0, hvctl_vmx_efer_reserved(view));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_host_efer_mode(const struct hvctl_vmx_view *view,
                                                                   const struct hvctl_vmx_rule *rule,
                                                                   struct hvctl_finding *finding)
{
    const uint64_t mode = HVCTL_EFER_LMA | HVCTL_EFER_LME;

    (void)rule;
    finding->because = view->host64 ? "the host is to be in 64-bit mode" : "the host is not to be in 64-bit mode";
    return hvctl_demand_bits(finding, view->host64 ? mode : 0, view->host64 ? 0 : mode);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_s_cet(const struct hvctl_vmx_view *view,
                                                          const struct hvctl_vmx_rule *rule,
                                                          struct hvctl_finding *finding)
{
    (void)view;
    (void)rule;
    if ((finding->actual & HVCTL_S_CET_SUPPRESS_TRACKER) == HVCTL_S_CET_SUPPRESS_TRACKER)
        return HVCTL_RULE_BROKEN;
    return hvctl_demand_bits(finding, 0, HVCTL_S_CET_RESERVED);
}

/* A field that must not be 0 unless the host will be in 64-bit mode. */
static inline enum hvctl_rule_result hvctl_vmx_rule_not_null_32(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "the host is not to be in 64-bit mode";
    return view->host64 ? HVCTL_RULE_IDLE : hvctl_demand_not_equal(finding, 0);
}

/* A control bit (mask) that must be 0 for a host outside IA-32e mode. */
static inline enum hvctl_rule_result hvctl_vmx_rule_legacy_host(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    finding->because = "the CPU is not in IA-32e mode";
    return view->around->host_legacy || !view->intel64 ? hvctl_demand_bits(finding, 0, rule->mask) : HVCTL_RULE_IDLE;
}

static inline enum hvctl_rule_result hvctl_vmx_rule_long_host(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    finding->because = "the CPU is in IA-32e mode";
    return view->around->host_legacy || !view->intel64 ? HVCTL_RULE_IDLE : hvctl_demand_bits(finding, rule->mask, 0);
}

/* Bits that must be 0 unless the host will be in 64-bit mode ... */
static inline enum hvctl_rule_result hvctl_vmx_rule_zeros_32(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    finding->because = "HOST_ADDRESS_SPACE_SIZE is off";
    return view->host64 ? HVCTL_RULE_IDLE : hvctl_demand_bits(finding, 0, rule->mask);
}

/* ... of two fields. */
static inline enum hvctl_rule_result hvctl_vmx_rule_cet_32(const struct hvctl_vmx_view *view,
                                                           const struct hvctl_vmx_rule *rule,
                                                           struct hvctl_finding *finding)
{
    uint64_t ssp = hvctl_vmx_rule_value(view, rule, 1);

    if (view->host64)
        return HVCTL_RULE_IDLE;
    finding->because = "HOST_ADDRESS_SPACE_SIZE is off";
    if (!(finding->actual & rule->mask) && (ssp & rule->mask)) {
        finding->field = "HOST_SSP";
        finding->actual = ssp;
    }
    return hvctl_demand_bits(finding, 0, rule->mask);
}

/* Bits that must be 1 if it will be. */
static inline enum hvctl_rule_result hvctl_vmx_rule_ones_64(const struct hvctl_vmx_view *view,
                                                            const struct hvctl_vmx_rule *rule,
                                                            struct hvctl_finding *finding)
{
    finding->because = "HOST_ADDRESS_SPACE_SIZE is on";
    return view->host64 ? hvctl_demand_bits(finding, rule->mask, 0) : HVCTL_RULE_IDLE;
}

/* RIP must be canonical in the paging mode that HOST_CR4 chooses. */
static inline enum hvctl_rule_result hvctl_vmx_rule_host_rip(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    bool la57 = (hvctl_vmx_rule_value(view, rule, 1) & HVCTL_CR4_LA57) != 0;

    finding->because = "HOST_ADDRESS_SPACE_SIZE is on";
    return view->host64 ? hvctl_demand_canonical(finding, la57 ? 57 : 48) : HVCTL_RULE_IDLE;
}

static inline enum hvctl_rule_result hvctl_vmx_rule_cet_64(const struct hvctl_vmx_view *view,
                                                           const struct hvctl_vmx_rule *rule,
                                                           struct hvctl_finding *finding)
{
    uint64_t ssp = hvctl_vmx_rule_value(view, rule, 1);

    if (!view->host64)
        return HVCTL_RULE_IDLE;
    finding->because = "HOST_ADDRESS_SPACE_SIZE is on";
    if (hvctl_canonical(finding->actual, view->linear_bits) && !hvctl_canonical(ssp, view->linear_bits)) {
        finding->field = "HOST_SSP";
        finding->actual = ssp;
    }
    return hvctl_demand_canonical(finding, view->linear_bits);
}

/* The row with this number; NULL after the last. */
static inline const struct hvctl_vmx_rule *hvctl_vmx_host_rule_at(size_t number)
{
#define HVCTL_X(id, section, text, check, when, slots, mask) \
    {id, HVCTL_VMX_SECTION_##section, text, check, HVCTL_##when, slots, mask}
#define HVCTL_X_CANONICAL(id, section, when, field, bits)            \
    {id,                                                             \
     HVCTL_VMX_SECTION_##section,                                    \
     (bits) ? "must be canonical and aligned" : "must be canonical", \
     hvctl_vmx_rule_canonical,                                       \
     HVCTL_##when,                                                   \
     HVCTL_RULE_1(field),                                            \
     bits}
#define HVCTL_X_SELECTOR(name)                \
    {"HOST." #name ".RPL_TI",                 \
     HVCTL_VMX_SECTION_HOST_SEGMENTS,         \
     "must have RPL and TI, bits 2:0, clear", \
     hvctl_vmx_rule_zeros,                    \
     HVCTL_ALWAYS,                            \
     HVCTL_RULE_1(HOST_##name##_SELECTOR),    \
     7}
    static const struct hvctl_vmx_rule list[] = {
        HVCTL_X("HOST.CR0.FIXED", HOST_REGISTERS,
                "must have the bits that IA32_VMX_CR0_FIXED0 and FIXED1 fix, but for NW and CD",
                hvctl_vmx_rule_cr0_fixed, ALWAYS, HVCTL_RULE_1(HOST_CR0), 0),
        HVCTL_X("HOST.CR4.FIXED", HOST_REGISTERS, "must have the bits that IA32_VMX_CR4_FIXED0 and FIXED1 fix",
                hvctl_vmx_rule_cr4_fixed, ALWAYS, HVCTL_RULE_1(HOST_CR4), 0),
        {"HOST.CR4.CET_WP", HVCTL_VMX_SECTION_HOST_REGISTERS, "must have WP set with CR4.CET", hvctl_vmx_rule_cet_wp,
         HVCTL_ALWAYS, HVCTL_RULE_2(HOST_CR0, HOST_CR4), 0},
        HVCTL_X("HOST.CR3", HOST_REGISTERS, "must be within MAXPHYADDR", hvctl_vmx_rule_cr3, ALWAYS,
                HVCTL_RULE_1(HOST_CR3), 0),
        HVCTL_X_CANONICAL("HOST.SYSENTER_ESP", HOST_REGISTERS, ALWAYS, HOST_IA32_SYSENTER_ESP, 0),
        HVCTL_X_CANONICAL("HOST.SYSENTER_EIP", HOST_REGISTERS, ALWAYS, HOST_IA32_SYSENTER_EIP, 0),
        HVCTL_X("HOST.PERF_GLOBAL_CTRL", HOST_REGISTERS, "must have reserved bits clear", hvctl_vmx_rule_perf_global,
                EXIT_LOAD_IA32_PERF_GLOBAL_CTRL, HVCTL_RULE_1(HOST_IA32_PERF_GLOBAL_CTRL), 0),
        HVCTL_X("HOST.PAT", HOST_REGISTERS, "must have 0, 1, 4, 5, 6 or 7 in each byte", hvctl_vmx_rule_pat,
                EXIT_LOAD_IA32_PAT, HVCTL_RULE_1(HOST_IA32_PAT), 0),
        HVCTL_X("HOST.EFER.RESERVED", HOST_REGISTERS, "must have reserved bits clear", hvctl_vmx_rule_efer,
                EXIT_LOAD_IA32_EFER, HVCTL_RULE_1(HOST_IA32_EFER), 0),
        {"HOST.EFER.LMA_LME", HVCTL_VMX_SECTION_HOST_REGISTERS, "must have LMA and LME as HOST_ADDRESS_SPACE_SIZE is",
         hvctl_vmx_rule_host_efer_mode, HVCTL_EXIT_LOAD_IA32_EFER,
         HVCTL_RULE_2(HOST_IA32_EFER, PRIMARY_VM_EXIT_CONTROLS), 0},
        HVCTL_X("HOST.S_CET.RESERVED", HOST_REGISTERS,
                "must have bits 9:6 clear, and not both SUPPRESS (10) and TRACKER (11) set", hvctl_vmx_rule_s_cet,
                EXIT_LOAD_CET_STATE, HVCTL_RULE_1(HOST_IA32_S_CET), 0),
        HVCTL_X("HOST.SSP.ALIGN", HOST_REGISTERS, "must have bits 1:0 clear", hvctl_vmx_rule_zeros, EXIT_LOAD_CET_STATE,
                HVCTL_RULE_1(HOST_SSP), 3),
        HVCTL_X("HOST.PKRS", HOST_REGISTERS, "must have bits 63:32 clear", hvctl_vmx_rule_zeros, EXIT_LOAD_PKRS,
                HVCTL_RULE_1(HOST_IA32_PKRS), UINT64_C(0xffffffff00000000)),
        HVCTL_X_CANONICAL("HOST.FRED_CONFIG", HOST_REGISTERS, EXIT2_LOAD_HOST_FRED, HOST_IA32_FRED_CONFIG,
                          HVCTL_FRED_CONFIG_RESERVED),
        HVCTL_X_CANONICAL("HOST.FRED_RSP1", HOST_REGISTERS, EXIT2_LOAD_HOST_FRED, HOST_IA32_FRED_RSP1, 0x3f),
        HVCTL_X_CANONICAL("HOST.FRED_RSP2", HOST_REGISTERS, EXIT2_LOAD_HOST_FRED, HOST_IA32_FRED_RSP2, 0x3f),
        HVCTL_X_CANONICAL("HOST.FRED_RSP3", HOST_REGISTERS, EXIT2_LOAD_HOST_FRED, HOST_IA32_FRED_RSP3, 0x3f),
        HVCTL_X_CANONICAL("HOST.FRED_SSP1", HOST_REGISTERS, EXIT2_LOAD_HOST_FRED, HOST_IA32_FRED_SSP1, 7),
        HVCTL_X_CANONICAL("HOST.FRED_SSP2", HOST_REGISTERS, EXIT2_LOAD_HOST_FRED, HOST_IA32_FRED_SSP2, 7),
        HVCTL_X_CANONICAL("HOST.FRED_SSP3", HOST_REGISTERS, EXIT2_LOAD_HOST_FRED, HOST_IA32_FRED_SSP3, 7),
        HVCTL_X("HOST.SPEC_CTRL", HOST_REGISTERS, "must have reserved bits clear", hvctl_vmx_rule_zeros,
                EXIT2_LOAD_HOST_IA32_SPEC_CTRL, HVCTL_RULE_1(HOST_IA32_SPEC_CTRL), HVCTL_SPEC_CTRL_RESERVED),
        HVCTL_X_SELECTOR(CS),
        HVCTL_X_SELECTOR(SS),
        HVCTL_X_SELECTOR(DS),
        HVCTL_X_SELECTOR(ES),
        HVCTL_X_SELECTOR(FS),
        HVCTL_X_SELECTOR(GS),
        HVCTL_X_SELECTOR(TR),
        HVCTL_X("HOST.CS.NULL", HOST_SEGMENTS, "must not be 0", hvctl_vmx_rule_not, ALWAYS,
                HVCTL_RULE_1(HOST_CS_SELECTOR), 0),
        HVCTL_X("HOST.TR.NULL", HOST_SEGMENTS, "must not be 0", hvctl_vmx_rule_not, ALWAYS,
                HVCTL_RULE_1(HOST_TR_SELECTOR), 0),
        {"HOST.SS.NULL", HVCTL_VMX_SECTION_HOST_SEGMENTS, "must not be 0 while HOST_ADDRESS_SPACE_SIZE is off",
         hvctl_vmx_rule_not_null_32, HVCTL_ALWAYS, HVCTL_RULE_2(HOST_SS_SELECTOR, PRIMARY_VM_EXIT_CONTROLS), 0},
        HVCTL_X_CANONICAL("HOST.FS.BASE", HOST_SEGMENTS, ALWAYS, HOST_FS_BASE, 0),
        HVCTL_X_CANONICAL("HOST.GS.BASE", HOST_SEGMENTS, ALWAYS, HOST_GS_BASE, 0),
        HVCTL_X_CANONICAL("HOST.TR.BASE", HOST_SEGMENTS, ALWAYS, HOST_TR_BASE, 0),
        HVCTL_X_CANONICAL("HOST.GDTR.BASE", HOST_SEGMENTS, ALWAYS, HOST_GDTR_BASE, 0),
        HVCTL_X_CANONICAL("HOST.IDTR.BASE", HOST_SEGMENTS, ALWAYS, HOST_IDTR_BASE, 0),
        HVCTL_X("HOST.ASIZE.LEGACY_GUEST", ADDRESS_SPACE, "must have IA32E_MODE_GUEST clear outside IA-32e mode",
                hvctl_vmx_rule_legacy_host, ALWAYS, HVCTL_RULE_1(VM_ENTRY_CONTROLS), 0x200),
        HVCTL_X("HOST.ASIZE.LEGACY_HOST", ADDRESS_SPACE, "must have HOST_ADDRESS_SPACE_SIZE clear outside IA-32e mode",
                hvctl_vmx_rule_legacy_host, ALWAYS, HVCTL_RULE_1(PRIMARY_VM_EXIT_CONTROLS), 0x200),
        HVCTL_X("HOST.ASIZE.LONG_HOST", ADDRESS_SPACE, "must have HOST_ADDRESS_SPACE_SIZE set in IA-32e mode",
                hvctl_vmx_rule_long_host, ALWAYS, HVCTL_RULE_1(PRIMARY_VM_EXIT_CONTROLS), 0x200),
        {"HOST.ASIZE.GUEST32", HVCTL_VMX_SECTION_ADDRESS_SPACE,
         "must have IA32E_MODE_GUEST clear while HOST_ADDRESS_SPACE_SIZE is off", hvctl_vmx_rule_zeros_32, HVCTL_ALWAYS,
         HVCTL_RULE_2(VM_ENTRY_CONTROLS, PRIMARY_VM_EXIT_CONTROLS), 0x200},
        {"HOST.ASIZE.PCIDE", HVCTL_VMX_SECTION_ADDRESS_SPACE,
         "must have PCIDE clear while HOST_ADDRESS_SPACE_SIZE is off", hvctl_vmx_rule_zeros_32, HVCTL_ALWAYS,
         HVCTL_RULE_2(HOST_CR4, PRIMARY_VM_EXIT_CONTROLS), HVCTL_CR4_PCIDE},
        {"HOST.ASIZE.FRED", HVCTL_VMX_SECTION_ADDRESS_SPACE,
         "must have FRED clear while HOST_ADDRESS_SPACE_SIZE is off", hvctl_vmx_rule_zeros_32, HVCTL_ALWAYS,
         HVCTL_RULE_2(HOST_CR4, PRIMARY_VM_EXIT_CONTROLS), HVCTL_CR4_FRED},
        {"HOST.ASIZE.RIP32", HVCTL_VMX_SECTION_ADDRESS_SPACE,
         "must have bits 63:32 clear while HOST_ADDRESS_SPACE_SIZE is off", hvctl_vmx_rule_zeros_32, HVCTL_ALWAYS,
         HVCTL_RULE_2(HOST_RIP, PRIMARY_VM_EXIT_CONTROLS), UINT64_C(0xffffffff00000000)},
        {"HOST.ASIZE.CET32", HVCTL_VMX_SECTION_ADDRESS_SPACE,
         "must have bits 63:32 clear, as HOST_SSP must, while HOST_ADDRESS_SPACE_SIZE is off", hvctl_vmx_rule_cet_32,
         HVCTL_EXIT_LOAD_CET_STATE, HVCTL_RULE_3(HOST_IA32_S_CET, HOST_SSP, PRIMARY_VM_EXIT_CONTROLS),
         UINT64_C(0xffffffff00000000)},
        {"HOST.ASIZE.PAE", HVCTL_VMX_SECTION_ADDRESS_SPACE, "must have PAE set while HOST_ADDRESS_SPACE_SIZE is on",
         hvctl_vmx_rule_ones_64, HVCTL_ALWAYS, HVCTL_RULE_2(HOST_CR4, PRIMARY_VM_EXIT_CONTROLS), HVCTL_CR4_PAE},
        {"HOST.ASIZE.RIP", HVCTL_VMX_SECTION_ADDRESS_SPACE, "must be canonical while HOST_ADDRESS_SPACE_SIZE is on",
         hvctl_vmx_rule_host_rip, HVCTL_ALWAYS, HVCTL_RULE_3(HOST_RIP, HOST_CR4, PRIMARY_VM_EXIT_CONTROLS), 0},
        {"HOST.ASIZE.CET64", HVCTL_VMX_SECTION_ADDRESS_SPACE,
         "must be canonical, as HOST_SSP must, while HOST_ADDRESS_SPACE_SIZE is on", hvctl_vmx_rule_cet_64,
         HVCTL_EXIT_LOAD_CET_STATE, HVCTL_RULE_3(HOST_IA32_S_CET, HOST_SSP, PRIMARY_VM_EXIT_CONTROLS), 0},
        HVCTL_X_CANONICAL("HOST.SSP_TABLE", ADDRESS_SPACE, EXIT_LOAD_CET_STATE, HOST_IA32_INTERRUPT_SSP_TABLE_ADDR, 0),
    };
#undef HVCTL_X
#undef HVCTL_X_CANONICAL
#undef HVCTL_X_SELECTOR

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

#endif
