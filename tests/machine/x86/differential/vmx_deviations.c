/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Known deviations of Bochs' VM entry, each as narrow as it can be told. The first table has rules that the
 * emulator does not keep to, with the condition; the second, where it fails though the manual does not say so, or
 * otherwise. Versions and the manual's sections are in tests/machine/deviations.py.
 */
#include "vmx_deviations.h"

struct ignored {
    struct deviation seen;
    const char *rule;
    bool (*applies)(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation); /* NULL: always */
};

struct extra {
    struct deviation seen;
    enum hvctl_failure failure; /* how: VMfail 7, or exit 33 with qualification 0 */
    /* Does the emulator fail here? broken: a rule is, which the record is about. */
    bool (*applies)(const struct hvctl_vmx_view *view, const struct hvctl_violation *broken);
};

static uint64_t of(const struct hvctl_vmx_view *view, enum hvctl_vmcs_slot slot)
{
    return view->value[slot];
}

static unsigned cs_rpl(const struct hvctl_vmx_view *view)
{
    return (unsigned)(of(view, HVCTL_VMCS_SLOT_GUEST_CS_SELECTOR) & 3);
}

static bool high_half_only(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)view;
    return (uint32_t)violation->finding.zeros == 0;
}

static bool vector_18(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return hvctl_vmx_view_event_vector(view) == 18;
}

static bool any_error_code(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return hvctl_vmx_any_error_code(view);
}

static bool entry_to_smm_only(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)view;
    return violation->finding.zeros == 1u << 10;
}

/* Bochs holds CS.DPL against CS.RPL; the manual, against SS.DPL. */
static bool bochs_takes_cs(const struct hvctl_vmx_view *view)
{
    uint32_t cs = hvctl_vmx_view_cs(view), type = hvctl_rights_type(cs), dpl = hvctl_rights_dpl(cs);

    if (type == 9 || type == 11)
        return cs_rpl(view) == dpl;
    return type < 13 || cs_rpl(view) >= dpl;
}

static bool cs_rpl_fits(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return view->unrestricted && bochs_takes_cs(view);
}

static bool null_ss_64(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return (of(view, HVCTL_VMCS_SLOT_GUEST_SS_SELECTOR) & 0xfffc) == 0 && hvctl_vmx_view_code64(view);
}

static bool type_11(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)view;
    return hvctl_rights_type((uint32_t)violation->finding.actual) == 11;
}

static bool without_pg(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return !(of(view, HVCTL_VMCS_SLOT_GUEST_CR0) & HVCTL_CR0_PG)
        && (of(view, HVCTL_VMCS_SLOT_GUEST_CR4) & HVCTL_CR4_PAE);
}

static bool legacy_guest(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return !view->ia32e_guest;
}

static bool no_host_cet(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return !hvctl_vmx_view_on(view, HVCTL_EXIT_LOAD_CET_STATE);
}

static bool nmi_under_sti(const struct hvctl_vmx_view *view, const struct hvctl_violation *broken)
{
    (void)view;
    return broken != NULL && same(broken->rule, "GUEST.INTERRUPTIBILITY.NMI_STI");
}

static bool cs_against_rpl(const struct hvctl_vmx_view *view, const struct hvctl_violation *broken)
{
    (void)broken;
    return !view->v86 && !bochs_takes_cs(view);
}

static bool ssp_not_canonical(const struct hvctl_vmx_view *view, const struct hvctl_violation *broken)
{
    (void)broken;
    return hvctl_vmx_view_on(view, HVCTL_ENTRY_LOAD_CET_STATE)
        && !hvctl_canonical(of(view, HVCTL_VMCS_SLOT_GUEST_SSP), view->linear_bits);
}

static bool cet_high_half(const struct hvctl_vmx_view *view, const struct hvctl_violation *broken)
{
    uint64_t both = of(view, HVCTL_VMCS_SLOT_GUEST_SSP) | of(view, HVCTL_VMCS_SLOT_GUEST_IA32_S_CET);

    (void)broken;
    return hvctl_vmx_view_on(view, HVCTL_ENTRY_LOAD_CET_STATE) && !view->ia32e_guest && both >> 32 != 0;
}

static bool without_tpr_shadow(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return !hvctl_vmx_view_on(view, HVCTL_PRIMARY_USE_TPR_SHADOW);
}

static struct ignored ignored[] = {
    {{"GUEST.RIP.WIDTH: not checked", 0, 0}, "GUEST.RIP.WIDTH", NULL},
    {{"GUEST.DEBUGCTL: not checked", 0, 0}, "GUEST.DEBUGCTL", NULL},
    {{"GUEST.PERF_GLOBAL_CTRL: not checked", 0, 0}, "GUEST.PERF_GLOBAL_CTRL", NULL},
    {{"HOST.PERF_GLOBAL_CTRL: not checked", 0, 0}, "HOST.PERF_GLOBAL_CTRL", NULL},
    {{"HOST.CR4.CET_WP: checked only if CET state is loaded on VM exit", 0, 0}, "HOST.CR4.CET_WP", no_host_cet},
    {{"MSR.COUNT: not checked; the manual leaves it open", 0, 0}, "MSR.COUNT", NULL},
    {{"GUEST.IA32E.PG_PAE: CR0.PG is not checked", 0, 0}, "GUEST.IA32E.PG_PAE", without_pg},
    {{"GUEST.RFLAGS.VM: checked in IA-32e mode only", 0, 0}, "GUEST.RFLAGS.VM", legacy_guest},
    {{"GUEST.PENDING_DEBUG.RESERVED: bits 63:32 are not checked", 0, 0},
     "GUEST.PENDING_DEBUG.RESERVED",
     high_half_only},
    {{"GUEST.PENDING_DEBUG.BS_SET: not checked", 0, 0}, "GUEST.PENDING_DEBUG.BS_SET", NULL},
    {{"GUEST.PENDING_DEBUG.BS_CLEAR: not checked", 0, 0}, "GUEST.PENDING_DEBUG.BS_CLEAR", NULL},
    {{"GUEST.INTERRUPTIBILITY.VNMI: not checked", 0, 0}, "GUEST.INTERRUPTIBILITY.VNMI", NULL},
    {{"GUEST.ACTIVITY.HLT_EVENT: not checked", 0, 0}, "GUEST.ACTIVITY.HLT_EVENT", NULL},
    {{"GUEST.ACTIVITY.SHUTDOWN_EVENT: vector 18 passes with any type", 0, 0},
     "GUEST.ACTIVITY.SHUTDOWN_EVENT",
     vector_18},
    {{"CTRL.INJECT.ERROR_CODE_TYPE: not checked where IA32_VMX_BASIC[56] is 1", 0, 0},
     "CTRL.INJECT.ERROR_CODE_TYPE",
     any_error_code},
    {{"CTRL.INJECT.ERROR_CODE_REAL: not checked where IA32_VMX_BASIC[56] is 1", 0, 0},
     "CTRL.INJECT.ERROR_CODE_REAL",
     any_error_code},
    {{"CTRL.ENTRY.SMM: entry to SMM fails as guest state", 0, 0}, "CTRL.ENTRY.SMM", entry_to_smm_only},
    {{"GUEST.CS.DPL_NONCONFORMING: CS.DPL is compared with CS.RPL, not with SS.DPL", 0, 0},
     "GUEST.CS.DPL_NONCONFORMING",
     cs_rpl_fits},
    {{"GUEST.CS.DPL_CONFORMING: CS.DPL is compared with CS.RPL, not with SS.DPL", 0, 0},
     "GUEST.CS.DPL_CONFORMING",
     cs_rpl_fits},
    {{"GUEST.SS.BASE_HIGH: a null SS is not checked in 64-bit mode", 0, 0}, "GUEST.SS.BASE_HIGH", null_ss_64},
    {{"GUEST.SS.S: a null SS is not checked in 64-bit mode", 0, 0}, "GUEST.SS.S", null_ss_64},
    {{"GUEST.SS.P: a null SS is not checked in 64-bit mode", 0, 0}, "GUEST.SS.P", null_ss_64},
    {{"GUEST.SS.G: a null SS is not checked in 64-bit mode", 0, 0}, "GUEST.SS.G", null_ss_64},
    {{"GUEST.SS.AR_RESERVED: a null SS is not checked in 64-bit mode", 0, 0}, "GUEST.SS.AR_RESERVED", null_ss_64},
    {{"GUEST.SS.TYPE: a null SS is not checked in 64-bit mode", 0, 0}, "GUEST.SS.TYPE", null_ss_64},
    {{"GUEST.DS.DPL_RPL: type 11 is not checked", 0, 0}, "GUEST.DS.DPL_RPL", type_11},
    {{"GUEST.ES.DPL_RPL: type 11 is not checked", 0, 0}, "GUEST.ES.DPL_RPL", type_11},
    {{"GUEST.FS.DPL_RPL: type 11 is not checked", 0, 0}, "GUEST.FS.DPL_RPL", type_11},
    {{"GUEST.GS.DPL_RPL: type 11 is not checked", 0, 0}, "GUEST.GS.DPL_RPL", type_11},
    {{"CTRL.POSTED.*: checked only with TPR shadow", 0, 0}, "CTRL.POSTED.*", without_tpr_shadow},
    {{"GUEST.PKRS: bits 63:32 are not checked", 0, 0}, "GUEST.PKRS", high_half_only},
    {{"HOST.PKRS: bits 63:32 are not checked", 0, 0}, "HOST.PKRS", high_half_only},
};

static bool descriptor_inside_a_page(const struct hvctl_vmx_view *view, const struct hvctl_violation *broken)
{
    (void)broken;
    return hvctl_vmx_view_on(view, HVCTL_PIN_PROCESS_POSTED_INTERRUPTS)
        && hvctl_vmx_view_on(view, HVCTL_PRIMARY_USE_TPR_SHADOW)
        && (of(view, HVCTL_VMCS_SLOT_POSTED_INTERRUPT_DESCRIPTOR_ADDRESS) & 0xfc0) != 0;
}

#define GUEST    HVCTL_FAILURE_GUEST_STATE
#define CONTROLS HVCTL_FAILURE_VMFAIL_CONTROLS

static struct extra extra[] = {
    {{"GUEST.INTERRUPTIBILITY.NMI_STI: qualification 0 instead of 3", 0, 0}, GUEST, nmi_under_sti},
    {{"GUEST.CS.DPL_NONCONFORMING: fails where CS.DPL and CS.RPL do not go together", 0, 0}, GUEST, cs_against_rpl},
    {{"GUEST.SSP.WIDTH: fails where SSP is not canonical", 0, 0}, GUEST, ssp_not_canonical},
    {{"GUEST.SSP.WIDTH: fails where SSP or S_CET has bits 63:32 outside IA-32e mode", 0, 0}, GUEST, cet_high_half},
    {{"CTRL.POSTED.ALIGN: fails where bits 11:6 are not 0", 0, 0}, CONTROLS, descriptor_inside_a_page},
};

#define IGNORED (sizeof(ignored) / sizeof(ignored[0]))
#define EXTRA   (sizeof(extra) / sizeof(extra[0]))

struct deviation *vmx_deviation_ignored(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    for (unsigned i = 0; i < IGNORED; i++)
        if (fits(ignored[i].rule, violation->rule)
            && (ignored[i].applies == NULL || ignored[i].applies(view, violation)))
            return &ignored[i].seen;
    return NULL;
}

struct deviation *vmx_deviation_extra(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation,
                                      unsigned violations, enum hvctl_failure failure)
{
    for (unsigned i = 0; i < EXTRA; i++) {
        if (failure != HVCTL_FAILURE_NONE && failure != extra[i].failure)
            continue;
        if (extra[i].applies(view, NULL))
            return &extra[i].seen;
        for (unsigned k = 0; k < violations; k++)
            if (extra[i].applies(view, &violation[k]))
                return &extra[i].seen;
    }
    return NULL;
}

bool vmx_deviation_wants_pages(void)
{
    return extra[EXTRA - 1].seen.differed > 0;
}

void vmx_deviations_check(void)
{
    for (unsigned i = 0; i < IGNORED; i++)
        deviation_check(&ignored[i].seen);
    for (unsigned i = 0; i < EXTRA; i++)
        deviation_check(&extra[i].seen);
}
