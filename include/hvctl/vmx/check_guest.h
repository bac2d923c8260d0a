/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VM-entry rules on the guest's control and debug registers, MSRs, descriptor tables, RIP, RFLAGS and SSP. A violation
 * makes VM entry fail with exit reason 33. SDM vol. 3, "Checks on the Guest State Area".
 */
#ifndef HVCTL_VMX_CHECK_GUEST_H
#define HVCTL_VMX_CHECK_GUEST_H

#include "check_host.h"
#include "check_injection.h"

/* Bits of MSRs that are reserved on every CPU; SDM vol. 4. */
#define HVCTL_DEBUGCTL_RESERVED UINT64_C(0xffffffffffff0038) /* 5:3 and 63:16 */
#define HVCTL_RTIT_CTL_RESERVED UINT64_C(0xfe7f000070840000) /* 18, 23, 30:28, 54:48, 63:57 */
#define HVCTL_LBR_CTL_RESERVED  UINT64_C(0xffffffffff80fff0) /* 15:4, 63:23 */
#define HVCTL_RFLAGS_RESERVED   UINT64_C(0xffffffffffc08028)
#define HVCTL_RFLAGS_TF         UINT64_C(0x100)
#define HVCTL_RFLAGS_IF         UINT64_C(0x200)
#define HVCTL_RFLAGS_IOPL       UINT64_C(0x3000)
#define HVCTL_RFLAGS_VM         UINT64_C(0x20000)

static inline enum hvctl_rule_result hvctl_vmx_rule_pg_pe(const struct hvctl_vmx_view *view,
                                                          const struct hvctl_vmx_rule *rule,
                                                          struct hvctl_finding *finding)
{
    (void)view;
    (void)rule;
    finding->because = "PG is set";
    if (!(finding->actual & HVCTL_CR0_PG))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, HVCTL_CR0_PE, 0);
}

/* IA-32e mode needs paging with PAE: slot 0 is CR0, slot 1 CR4. */
static inline enum hvctl_rule_result hvctl_vmx_rule_pg_pae(const struct hvctl_vmx_view *view,
                                                           const struct hvctl_vmx_rule *rule,
                                                           struct hvctl_finding *finding)
{
    uint64_t cr4 = hvctl_vmx_rule_value(view, rule, 1);

    if (!(finding->actual & HVCTL_CR0_PG))
        return hvctl_demand_bits(finding, HVCTL_CR0_PG, 0);
    finding->field = "GUEST_CR4";
    finding->names = HVCTL_BITS_CR4;
    finding->actual = cr4;
    return hvctl_demand_bits(finding, HVCTL_CR4_PAE, 0);
}

/* Bits that must be 0 in a guest outside IA-32e mode. */
static inline enum hvctl_rule_result hvctl_vmx_rule_zeros_legacy(const struct hvctl_vmx_view *view,
                                                                 const struct hvctl_vmx_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    finding->because = "IA32E_MODE_GUEST is off";
    return view->ia32e_guest ? HVCTL_RULE_IDLE : hvctl_demand_bits(finding, 0, rule->mask);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_guest_efer_lma(const struct hvctl_vmx_view *view,
                                                                   const struct hvctl_vmx_rule *rule,
                                                                   struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = view->ia32e_guest ? "IA32E_MODE_GUEST is on" : "IA32E_MODE_GUEST is off";
    return hvctl_demand_bits(finding, view->ia32e_guest ? HVCTL_EFER_LMA : 0, view->ia32e_guest ? 0 : HVCTL_EFER_LMA);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_guest_efer_lme(const struct hvctl_vmx_view *view,
                                                                   const struct hvctl_vmx_rule *rule,
                                                                   struct hvctl_finding *finding)
{
    bool lma = (finding->actual & HVCTL_EFER_LMA) != 0;

    finding->because = "CR0.PG is set, so LME must be as LMA is";
    if (!(hvctl_vmx_rule_value(view, rule, 1) & HVCTL_CR0_PG))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, lma ? HVCTL_EFER_LME : 0, lma ? 0 : HVCTL_EFER_LME);
}

/* The address of the bound directory, bits 63:12, must be canonical. */
static inline enum hvctl_rule_result hvctl_vmx_rule_bndcfgs_base(const struct hvctl_vmx_view *view,
                                                                 const struct hvctl_vmx_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    (void)rule;
    return hvctl_demand_canonical(finding, view->linear_bits);
}

static inline bool hvctl_vmx_view_code64(const struct hvctl_vmx_view *view)
{
    return view->ia32e_guest && (view->value[HVCTL_VMCS_SLOT_GUEST_CS_ACCESS_RIGHTS] & UINT64_C(0x2000));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_rip_high(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    finding->because = "the guest is not in 64-bit mode";
    return hvctl_vmx_view_code64(view) ? HVCTL_RULE_IDLE : hvctl_demand_bits(finding, 0, rule->mask);
}

/* Bits 63:N must be all 0 or all 1; bit N - 1 may differ. */
static inline enum hvctl_rule_result hvctl_vmx_rule_width(const struct hvctl_vmx_view *view,
                                                          struct hvctl_finding *finding)
{
    uint64_t high = hvctl_beyond(view->linear_bits);

    return hvctl_demand_words((finding->actual & high) == 0 || (finding->actual & high) == high);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_rip_width(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "the guest is in 64-bit mode";
    return hvctl_vmx_view_code64(view) ? hvctl_vmx_rule_width(view, finding) : HVCTL_RULE_IDLE;
}

static inline enum hvctl_rule_result hvctl_vmx_rule_ssp_width(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    (void)rule;
    return hvctl_vmx_rule_width(view, finding);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_rflags(const struct hvctl_vmx_view *view,
                                                           const struct hvctl_vmx_rule *rule,
                                                           struct hvctl_finding *finding)
{
    (void)view;
    return hvctl_demand_bits(finding, 2, rule->mask);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_rflags_vm(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    bool real = !(hvctl_vmx_rule_value(view, rule, 1) & HVCTL_CR0_PE);

    finding->because = real ? "CR0.PE is 0" : "IA32E_MODE_GUEST is on";
    return view->ia32e_guest || real ? hvctl_demand_bits(finding, 0, HVCTL_RFLAGS_VM) : HVCTL_RULE_IDLE;
}

static inline enum hvctl_rule_result hvctl_vmx_rule_rflags_if(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "an external interrupt is injected";
    if (!hvctl_vmx_view_injects(view, HVCTL_EVENT_EXTERNAL_INTERRUPT))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, HVCTL_RFLAGS_IF, 0);
}

/* The row with this number; NULL after the last. */
static inline const struct hvctl_vmx_rule *hvctl_vmx_guest_rule_at(size_t number)
{
#define HVCTL_X(id, section, text, check, when, field, mask) \
    {id, HVCTL_VMX_SECTION_##section, text, check, HVCTL_##when, HVCTL_RULE_1(field), mask}
#define HVCTL_X_2(id, section, text, check, when, field_a, field_b, mask) \
    {id, HVCTL_VMX_SECTION_##section, text, check, HVCTL_##when, HVCTL_RULE_2(field_a, field_b), mask}
#define HVCTL_X_CANONICAL(id, section, when, field, bits)            \
    {id,                                                             \
     HVCTL_VMX_SECTION_##section,                                    \
     (bits) ? "must be canonical and aligned" : "must be canonical", \
     hvctl_vmx_rule_canonical,                                       \
     HVCTL_##when,                                                   \
     HVCTL_RULE_1(field),                                            \
     bits}
    static const struct hvctl_vmx_rule list[] = {
        HVCTL_X_2("GUEST.CR0.FIXED", GUEST_REGISTERS,
                  "must have the bits that IA32_VMX_CR0_FIXED0 and FIXED1 fix, but for NW, CD and an unrestricted "
                  "guest's PE and PG",
                  hvctl_vmx_rule_cr0_fixed, ALWAYS, GUEST_CR0, SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 1),
        HVCTL_X("GUEST.CR0.PG_PE", GUEST_REGISTERS, "must have PE set with PG", hvctl_vmx_rule_pg_pe, ALWAYS, GUEST_CR0,
                0),
        HVCTL_X("GUEST.CR4.FIXED", GUEST_REGISTERS, "must have the bits that IA32_VMX_CR4_FIXED0 and FIXED1 fix",
                hvctl_vmx_rule_cr4_fixed, ALWAYS, GUEST_CR4, 0),
        HVCTL_X_2("GUEST.CR4.CET_WP", GUEST_REGISTERS, "must have WP set with CR4.CET", hvctl_vmx_rule_cet_wp, ALWAYS,
                  GUEST_CR0, GUEST_CR4, 0),
        HVCTL_X("GUEST.DEBUGCTL", GUEST_REGISTERS, "must have reserved bits clear", hvctl_vmx_rule_zeros,
                ENTRY_LOAD_DEBUG_CONTROLS, GUEST_IA32_DEBUGCTL, HVCTL_DEBUGCTL_RESERVED),
        HVCTL_X_2("GUEST.IA32E.PG_PAE", GUEST_REGISTERS, "must have CR0.PG and CR4.PAE set", hvctl_vmx_rule_pg_pae,
                  ENTRY_IA32E_MODE_GUEST, GUEST_CR0, GUEST_CR4, 0),
        HVCTL_X_2("GUEST.CR4.PCIDE", GUEST_REGISTERS, "must have PCIDE clear outside IA-32e mode",
                  hvctl_vmx_rule_zeros_legacy, ALWAYS, GUEST_CR4, VM_ENTRY_CONTROLS, HVCTL_CR4_PCIDE),
        HVCTL_X_2("GUEST.CR4.FRED", GUEST_REGISTERS, "must have FRED clear outside IA-32e mode",
                  hvctl_vmx_rule_zeros_legacy, ALWAYS, GUEST_CR4, VM_ENTRY_CONTROLS, HVCTL_CR4_FRED),
        HVCTL_X("GUEST.CR3", GUEST_REGISTERS, "must be within MAXPHYADDR", hvctl_vmx_rule_cr3, ALWAYS, GUEST_CR3, 0),
        HVCTL_X("GUEST.DR7", GUEST_REGISTERS, "must have bits 63:32 clear", hvctl_vmx_rule_zeros,
                ENTRY_LOAD_DEBUG_CONTROLS, GUEST_DR7, UINT64_C(0xffffffff00000000)),
        HVCTL_X_CANONICAL("GUEST.SYSENTER_ESP", GUEST_REGISTERS, ALWAYS, GUEST_IA32_SYSENTER_ESP, 0),
        HVCTL_X_CANONICAL("GUEST.SYSENTER_EIP", GUEST_REGISTERS, ALWAYS, GUEST_IA32_SYSENTER_EIP, 0),
        HVCTL_X_CANONICAL("GUEST.S_CET.CANONICAL", GUEST_REGISTERS, ENTRY_LOAD_CET_STATE, GUEST_IA32_S_CET, 0),
        HVCTL_X_CANONICAL("GUEST.SSP_TABLE", GUEST_REGISTERS, ENTRY_LOAD_CET_STATE, GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR,
                          0),
        HVCTL_X("GUEST.PERF_GLOBAL_CTRL", GUEST_REGISTERS, "must have reserved bits clear", hvctl_vmx_rule_perf_global,
                ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL, GUEST_IA32_PERF_GLOBAL_CTRL, 0),
        HVCTL_X("GUEST.PAT", GUEST_REGISTERS, "must have 0, 1, 4, 5, 6 or 7 in each byte", hvctl_vmx_rule_pat,
                ENTRY_LOAD_IA32_PAT, GUEST_IA32_PAT, 0),
        HVCTL_X("GUEST.EFER.RESERVED", GUEST_REGISTERS, "must have reserved bits clear", hvctl_vmx_rule_efer,
                ENTRY_LOAD_IA32_EFER, GUEST_IA32_EFER, 0),
        HVCTL_X_2("GUEST.EFER.LMA", GUEST_REGISTERS, "must have LMA as IA32E_MODE_GUEST is",
                  hvctl_vmx_rule_guest_efer_lma, ENTRY_LOAD_IA32_EFER, GUEST_IA32_EFER, VM_ENTRY_CONTROLS, 0),
        HVCTL_X_2("GUEST.EFER.LME", GUEST_REGISTERS, "must have LME as LMA is, while CR0.PG is set",
                  hvctl_vmx_rule_guest_efer_lme, ENTRY_LOAD_IA32_EFER, GUEST_IA32_EFER, GUEST_CR0, 0),
        HVCTL_X("GUEST.BNDCFGS.RESERVED", GUEST_REGISTERS, "must have bits 11:2 clear", hvctl_vmx_rule_zeros,
                ENTRY_LOAD_IA32_BNDCFGS, GUEST_IA32_BNDCFGS, 0xffc),
        HVCTL_X("GUEST.BNDCFGS.BASE", GUEST_REGISTERS, "must have a canonical address in bits 63:12",
                hvctl_vmx_rule_bndcfgs_base, ENTRY_LOAD_IA32_BNDCFGS, GUEST_IA32_BNDCFGS, 0),
        HVCTL_X("GUEST.RTIT_CTL", GUEST_REGISTERS, "must have reserved bits clear", hvctl_vmx_rule_zeros,
                ENTRY_LOAD_IA32_RTIT_CTL, GUEST_IA32_RTIT_CTL, HVCTL_RTIT_CTL_RESERVED),
        HVCTL_X("GUEST.S_CET.RESERVED", GUEST_REGISTERS,
                "must have bits 9:6 clear, and not both SUPPRESS (10) and TRACKER (11) set", hvctl_vmx_rule_s_cet,
                ENTRY_LOAD_CET_STATE, GUEST_IA32_S_CET, 0),
        HVCTL_X("GUEST.LBR_CTL", GUEST_REGISTERS, "must have reserved bits clear", hvctl_vmx_rule_zeros,
                ENTRY_LOAD_GUEST_IA32_LBR_CTL, GUEST_IA32_LBR_CTL, HVCTL_LBR_CTL_RESERVED),
        HVCTL_X("GUEST.PKRS", GUEST_REGISTERS, "must have bits 63:32 clear", hvctl_vmx_rule_zeros, ENTRY_LOAD_PKRS,
                GUEST_IA32_PKRS, UINT64_C(0xffffffff00000000)),
        HVCTL_X("GUEST.UINV", GUEST_REGISTERS, "must have bits 15:8 clear", hvctl_vmx_rule_zeros, ENTRY_LOAD_UINV,
                GUEST_UINV, 0xff00),
        HVCTL_X_CANONICAL("GUEST.FRED_CONFIG", GUEST_REGISTERS, ENTRY_LOAD_FRED, GUEST_IA32_FRED_CONFIG,
                          HVCTL_FRED_CONFIG_RESERVED),
        HVCTL_X_CANONICAL("GUEST.FRED_RSP1", GUEST_REGISTERS, ENTRY_LOAD_FRED, GUEST_IA32_FRED_RSP1, 0x3f),
        HVCTL_X_CANONICAL("GUEST.FRED_RSP2", GUEST_REGISTERS, ENTRY_LOAD_FRED, GUEST_IA32_FRED_RSP2, 0x3f),
        HVCTL_X_CANONICAL("GUEST.FRED_RSP3", GUEST_REGISTERS, ENTRY_LOAD_FRED, GUEST_IA32_FRED_RSP3, 0x3f),
        HVCTL_X_CANONICAL("GUEST.FRED_SSP1", GUEST_REGISTERS, ENTRY_LOAD_FRED, GUEST_IA32_FRED_SSP1, 7),
        HVCTL_X_CANONICAL("GUEST.FRED_SSP2", GUEST_REGISTERS, ENTRY_LOAD_FRED, GUEST_IA32_FRED_SSP2, 7),
        HVCTL_X_CANONICAL("GUEST.FRED_SSP3", GUEST_REGISTERS, ENTRY_LOAD_FRED, GUEST_IA32_FRED_SSP3, 7),
        HVCTL_X("GUEST.SPEC_CTRL", GUEST_REGISTERS, "must have reserved bits clear", hvctl_vmx_rule_zeros,
                ENTRY_LOAD_GUEST_IA32_SPEC_CTRL, GUEST_IA32_SPEC_CTRL, HVCTL_SPEC_CTRL_RESERVED),
        HVCTL_X_CANONICAL("GUEST.GDTR.BASE", GUEST_TABLES, ALWAYS, GUEST_GDTR_BASE, 0),
        HVCTL_X("GUEST.GDTR.LIMIT", GUEST_TABLES, "must have bits 31:16 clear", hvctl_vmx_rule_zeros, ALWAYS,
                GUEST_GDTR_LIMIT, 0xffff0000),
        HVCTL_X_CANONICAL("GUEST.IDTR.BASE", GUEST_TABLES, ALWAYS, GUEST_IDTR_BASE, 0),
        HVCTL_X("GUEST.IDTR.LIMIT", GUEST_TABLES, "must have bits 31:16 clear", hvctl_vmx_rule_zeros, ALWAYS,
                GUEST_IDTR_LIMIT, 0xffff0000),
        {"GUEST.RIP.HIGH", HVCTL_VMX_SECTION_GUEST_RIP, "must have bits 63:32 clear outside 64-bit mode",
         hvctl_vmx_rule_rip_high, HVCTL_ALWAYS, HVCTL_RULE_3(GUEST_RIP, GUEST_CS_ACCESS_RIGHTS, VM_ENTRY_CONTROLS),
         UINT64_C(0xffffffff00000000)},
        {"GUEST.RIP.WIDTH", HVCTL_VMX_SECTION_GUEST_RIP,
         "must have all bits beyond the linear-address width equal in 64-bit mode", hvctl_vmx_rule_rip_width,
         HVCTL_ALWAYS, HVCTL_RULE_3(GUEST_RIP, GUEST_CS_ACCESS_RIGHTS, VM_ENTRY_CONTROLS), 0},
        HVCTL_X("GUEST.RFLAGS.RESERVED", GUEST_RIP, "must have bit 1 set and bits 63:22, 15, 5, 3 clear",
                hvctl_vmx_rule_rflags, ALWAYS, GUEST_RFLAGS, HVCTL_RFLAGS_RESERVED),
        {"GUEST.RFLAGS.VM", HVCTL_VMX_SECTION_GUEST_RIP, "must have VM clear in IA-32e mode and in real mode",
         hvctl_vmx_rule_rflags_vm, HVCTL_ALWAYS, HVCTL_RULE_3(GUEST_RFLAGS, GUEST_CR0, VM_ENTRY_CONTROLS), 0},
        HVCTL_X_2("GUEST.RFLAGS.IF", GUEST_RIP, "must have IF set when an external interrupt is injected",
                  hvctl_vmx_rule_rflags_if, ALWAYS, GUEST_RFLAGS, VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, 0),
        HVCTL_X("GUEST.SSP.ALIGN", GUEST_RIP, "must have bits 1:0 clear", hvctl_vmx_rule_zeros, ENTRY_LOAD_CET_STATE,
                GUEST_SSP, 3),
        HVCTL_X("GUEST.SSP.WIDTH", GUEST_RIP, "must have all bits beyond the linear-address width equal",
                hvctl_vmx_rule_ssp_width, ENTRY_LOAD_CET_STATE, GUEST_SSP, 0),
    };
#undef HVCTL_X
#undef HVCTL_X_2
#undef HVCTL_X_CANONICAL

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

#endif
