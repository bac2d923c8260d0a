/*
 * Known deviations of Bochs 2.7's VM entry, each as narrow as it can be told. A row says for which broken rule, and when,
 * the emulator does not see it; vmx_deviation_otherwise has those where it sees more than there is.
 */
#include "vmx_deviations.h"

#include "console.h"

typedef bool (*applies_fn)(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation);

struct row {
    struct deviation seen;
    applies_fn applies; /* NULL: always */
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
    return (of(view, HVCTL_VMCS_SLOT_GUEST_SS_SELECTOR) & 3) == 0 && hvctl_vmx_view_code64(view);
}

static bool type_11(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)view;
    return hvctl_rights_type((uint32_t)violation->finding.actual) == 11;
}

static bool without_pg(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    (void)violation;
    return !(of(view, HVCTL_VMCS_SLOT_GUEST_CR0) & HVCTL_CR0_PG);
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

/* Not the LDTR's, nor a code or data register's in virtual-8086 mode. */
#define BOCHS     "Bochs 2.7"
#define REGISTERS "SDM vol. 3, Checks on Guest Control Registers, Debug Registers, and MSRs"
#define SEGMENTS  "SDM vol. 3, Checks on Guest Segment Registers"
#define OTHER     "SDM vol. 3, Checks on Guest Non-Register State"
#define ENTRY     "SDM vol. 3, Checks on VMX Controls, VM-Entry Control Fields"

static struct row table[] = {
    {{"GUEST.RIP.WIDTH", BOCHS, "not checked", "SDM vol. 3, Checks on Guest RIP, RFLAGS, and SSP", 0}, NULL},
    {{"GUEST.DEBUGCTL", BOCHS, "not checked", REGISTERS, 0}, NULL},
    {{"GUEST.PERF_GLOBAL_CTRL", BOCHS, "not checked", REGISTERS, 0}, NULL},
    {{"GUEST.BNDCFGS.RESERVED", BOCHS, "not checked", REGISTERS, 0}, NULL},
    {{"GUEST.BNDCFGS.BASE", BOCHS, "not checked", REGISTERS, 0}, NULL},
    {{"HOST.PERF_GLOBAL_CTRL", BOCHS, "not checked", "SDM vol. 3, Checks on Host Control Registers, MSRs, and SSP", 0},
     NULL},
    {{"HOST.CR4.CET_WP", BOCHS, "checked only if CET state is loaded on VM exit",
      "SDM vol. 3, Checks on Host Control Registers, MSRs, and SSP", 0},
     no_host_cet},
    {{"MSR.COUNT", BOCHS, "not checked; the manual leaves it open", "SDM vol. 3, Miscellaneous Data", 0}, NULL},
    {{"GUEST.IA32E.PG_PAE", BOCHS, "CR0.PG is not checked", REGISTERS, 0}, without_pg},
    {{"GUEST.RFLAGS.VM", BOCHS, "checked in IA-32e mode only", "SDM vol. 3, Checks on Guest RIP, RFLAGS, and SSP", 0},
     legacy_guest},
    {{"GUEST.PENDING_DEBUG.RESERVED", BOCHS, "bits 63:32 are not checked", OTHER, 0}, high_half_only},
    {{"GUEST.PENDING_DEBUG.BS_SET", BOCHS, "not checked", OTHER, 0}, NULL},
    {{"GUEST.PENDING_DEBUG.BS_CLEAR", BOCHS, "not checked", OTHER, 0}, NULL},
    {{"GUEST.INTERRUPTIBILITY.VNMI", BOCHS, "not checked", OTHER, 0}, NULL},
    {{"GUEST.ACTIVITY.HLT_EVENT", BOCHS, "not checked", OTHER, 0}, NULL},
    {{"GUEST.ACTIVITY.SHUTDOWN_EVENT", BOCHS, "vector 18 passes with any type", OTHER, 0}, vector_18},
    {{"CTRL.INJECT.ERROR_CODE_TYPE", BOCHS, "not checked where IA32_VMX_BASIC[56] is 1", ENTRY, 0}, any_error_code},
    {{"CTRL.INJECT.ERROR_CODE_REAL", BOCHS, "not checked where IA32_VMX_BASIC[56] is 1", ENTRY, 0}, any_error_code},
    {{"CTRL.ENTRY.SMM", BOCHS, "entry to SMM fails as guest state", ENTRY, 0}, entry_to_smm_only},
    {{"GUEST.CS.DPL_NONCONFORMING", BOCHS, "CS.DPL is compared with CS.RPL, not with SS.DPL", SEGMENTS, 0},
     cs_rpl_fits},
    {{"GUEST.CS.DPL_CONFORMING", BOCHS, "CS.DPL is compared with CS.RPL, not with SS.DPL", SEGMENTS, 0}, cs_rpl_fits},
    {{"GUEST.SS.BASE_HIGH", BOCHS, "SS with RPL 0 is not checked in 64-bit mode", SEGMENTS, 0}, null_ss_64},
    {{"GUEST.SS.S", BOCHS, "SS with RPL 0 is not checked in 64-bit mode", SEGMENTS, 0}, null_ss_64},
    {{"GUEST.SS.P", BOCHS, "SS with RPL 0 is not checked in 64-bit mode", SEGMENTS, 0}, null_ss_64},
    {{"GUEST.SS.G", BOCHS, "SS with RPL 0 is not checked in 64-bit mode", SEGMENTS, 0}, null_ss_64},
    {{"GUEST.SS.AR_RESERVED", BOCHS, "SS with RPL 0 is not checked in 64-bit mode", SEGMENTS, 0}, null_ss_64},
    {{"GUEST.SS.TYPE", BOCHS, "SS with RPL 0 is not checked in 64-bit mode", SEGMENTS, 0}, null_ss_64},
    {{"GUEST.DS.DPL_RPL", BOCHS, "type 11 is not checked", SEGMENTS, 0}, type_11},
    {{"GUEST.ES.DPL_RPL", BOCHS, "type 11 is not checked", SEGMENTS, 0}, type_11},
    {{"GUEST.FS.DPL_RPL", BOCHS, "type 11 is not checked", SEGMENTS, 0}, type_11},
    {{"GUEST.GS.DPL_RPL", BOCHS, "type 11 is not checked", SEGMENTS, 0}, type_11},
};

#define COUNT (sizeof(table) / sizeof(table[0]))

static struct deviation extra[] = {
    {"GUEST.INTERRUPTIBILITY.NMI_STI", BOCHS, "qualification 0 instead of 3", OTHER, 0},
    {"GUEST.CS.DPL_NONCONFORMING", BOCHS, "fails where CS.DPL and CS.RPL do not go together", SEGMENTS, 0},
    {"GUEST.SSP.WIDTH", BOCHS, "fails where SSP is not canonical, or SSP or S_CET has bits 63:32 outside IA-32e mode",
     "SDM vol. 3, Checks on Guest RIP, RFLAGS, and SSP", 0},
    {"GUEST.INTERRUPTIBILITY.ENCLAVE", BOCHS, "fails with enclave interruption though CPUID has SGX", OTHER, 0},
    {"GUEST.PENDING_DEBUG.RTM_BITS", BOCHS, "fails with RTM though CPUID has it", OTHER, 0},
};

bool vmx_deviation_ignored(const struct hvctl_vmx_view *view, const struct hvctl_violation *violation)
{
    for (unsigned i = 0; i < COUNT; i++)
        if (same(table[i].seen.rule, violation->rule))
            return table[i].applies == NULL || table[i].applies(view, violation);
    return false;
}

void vmx_deviation_seen(const char *rule)
{
    for (unsigned i = 0; i < COUNT; i++)
        if (same(table[i].seen.rule, rule))
            table[i].seen.seen++;
}

/* With the rules dropped that Bochs does not see, is there none left? Then the following may be the reason. */
bool vmx_deviation_otherwise(const struct hvctl_vmx_view *view, const struct hvctl_report *report,
                             const struct world_result *result)
{
    uint64_t ssp = of(view, HVCTL_VMCS_SLOT_GUEST_SSP), s_cet = of(view, HVCTL_VMCS_SLOT_GUEST_IA32_S_CET);

    if (result->failure != HVCTL_FAILURE_GUEST_STATE || result->qualification != 0)
        return false;
    for (unsigned i = 0; i < hvctl_report_listed(report); i++)
        if (report->violation[i].failure <= HVCTL_FAILURE_VMFAIL_HOST
            && !vmx_deviation_ignored(view, &report->violation[i]))
            return false; /* VMfail comes first */
    if (hvctl_report_find(report, extra[0].rule) != NULL)
        return ++extra[0].seen;
    if (!view->v86 && !bochs_takes_cs(view))
        return ++extra[1].seen;
    if (hvctl_vmx_view_on(view, HVCTL_ENTRY_LOAD_CET_STATE)
        && (!hvctl_canonical(ssp, view->linear_bits) || (!view->ia32e_guest && (ssp | s_cet) >> 32 != 0)))
        return ++extra[2].seen;
    if (view->around->cpu.sgx && (hvctl_vmx_view_blocking(view) & HVCTL_ENCLAVE_INTERRUPTION))
        return ++extra[3].seen;
    if (view->around->cpu.rtm && (of(view, HVCTL_VMCS_SLOT_GUEST_PENDING_DEBUG_EXCEPTIONS) & HVCTL_PENDING_RTM))
        return ++extra[4].seen;
    return false;
}

void vmx_deviations_print(void)
{
    for (unsigned i = 0; i < COUNT; i++)
        deviations_print(&table[i].seen, 1);
    deviations_print(extra, sizeof(extra) / sizeof(extra[0]));
}

/* Not "the CPU has no such control", which the kernel finds out: what an emulated CPU in its usual state cannot show. */
static bool has_any_error_code(const void *world)
{
    (void)world;
    return (vmx_caps()->basic & HVCTL_VMX_BASIC_HW_EXCEPTION_ANY_ERROR_CODE) != 0;
}

static bool has_sss(const void *world)
{
    (void)world;
    return (vmx_caps()->ept_vpid_cap & HVCTL_EPT_CAP_SUPERVISOR_SHADOW_STACK) != 0;
}

static bool has_cet(const void *world)
{
    (void)world;
    return (vmx_caps()->cr4_fixed1 & HVCTL_CR4_CET) != 0;
}

static bool has_no_cet(const void *world)
{
    return !has_cet(world);
}

static bool has_no_mtf(const void *world)
{
    (void)world;
    return !hvctl_vmx_can(vmx_caps(), HVCTL_PRIMARY_MONITOR_TRAP_FLAG);
}

static bool has_rtm(const void *around)
{
    return ((const struct hvctl_vmx_surroundings *)around)->cpu.rtm;
}

static bool has_no_rtm(const void *around)
{
    return !has_rtm(around);
}

#define LEGACY    "the host is in IA-32e mode"
#define ONE_VALUE "only one value keeps it"
#define V86(r)                                               \
    {"GUEST." r ".LIMIT_V86", false, true, ONE_VALUE, NULL}, \
    {                                                        \
        "GUEST." r ".AR_V86", false, true, ONE_VALUE, NULL   \
    }

const struct unreachable vmx_unreachable[] = {
    {"CTRL.SEAM.EPT", true, true, "the CPU has no SEAM", NULL},
    {"CTRL.EPTP.AD", true, false, "the CPU has A/D flags for EPT", NULL},
    {"CTRL.EPTP.SSS", true, false, "the CPU has the control", has_sss},
    {"CTRL.ENTRY.SMM_BOTH", true, true, "the CPU is not in SMM", NULL},
    {"CTRL.INJECT.TYPE_OTHER", true, true, "Bochs panics on type 7 without MTF", has_no_mtf},
    {"CTRL.INJECT.TYPE_OTHER", true, false, "the CPU has MTF", NULL},
    {"CTRL.INJECT.OTHER_VECTOR", true, true, "the CPU has no MTF", has_no_mtf},
    {"CTRL.INJECT.ERROR_CODE_REQUIRED", true, true, "IA32_VMX_BASIC[56] is 1", has_any_error_code},
    {"CTRL.INJECT.ERROR_CODE_VECTOR", true, true, "IA32_VMX_BASIC[56] is 1", has_any_error_code},
    {"HOST.CR4.CET_WP", true, true, "the CPU has no CET", has_no_cet},
    {"GUEST.CR4.CET_WP", true, true, "the CPU has no CET", has_no_cet},
    {"HOST.SS.NULL", true, true, LEGACY, NULL},
    {"HOST.ASIZE.LEGACY_GUEST", true, true, LEGACY, NULL},
    {"HOST.ASIZE.LEGACY_HOST", true, true, LEGACY, NULL},
    {"HOST.ASIZE.GUEST32", true, true, LEGACY, NULL},
    {"HOST.ASIZE.PCIDE", true, true, LEGACY, NULL},
    {"HOST.ASIZE.FRED", true, true, LEGACY, NULL},
    {"HOST.ASIZE.RIP32", true, true, LEGACY, NULL},
    {"HOST.ASIZE.CET32", true, true, LEGACY, NULL},
    {"GUEST.CR4.FRED", true, false, "the CPU has no FRED", NULL},
    {"GUEST.SS.FRED_DPL", true, true, "the CPU has no FRED", NULL},
    {"GUEST.SS.FRED_L", true, true, "the CPU has no FRED", NULL},
    {"GUEST.SS.FRED_IOPL", true, true, "the CPU has no FRED", NULL},
    {"GUEST.SS.FRED_STI", true, true, "the CPU has no FRED", NULL},
    V86("CS"),
    V86("SS"),
    V86("DS"),
    V86("ES"),
    V86("FS"),
    V86("GS"),
    {"HOST.ASIZE.LONG_HOST", false, true, ONE_VALUE, NULL},
    {"GUEST.ACTIVITY.SIPI_EVENT", false, true, "nothing would end the guest's wait", NULL},
    {"GUEST.ACTIVITY.SMM_SIPI", true, true, "the CPU is not in SMM", NULL},
    {"GUEST.INTERRUPTIBILITY.SMI_ENTRY", true, true, "the CPU is not in SMM", NULL},
    {"GUEST.PENDING_DEBUG.RTM_BITS", true, true, "the CPU has no RTM", has_no_rtm},
    {"GUEST.PENDING_DEBUG.RTM_CPUID", false, true, "the CPU has no RTM", has_no_rtm},
    {"GUEST.PENDING_DEBUG.RTM_MOVSS", true, true, "the CPU has no RTM", has_no_rtm},
    {"GUEST.PENDING_DEBUG.RTM_BITS", false, true, "Bochs takes no RTM", has_rtm},
    {"GUEST.PENDING_DEBUG.RTM_CPUID", true, true, "the CPU has RTM, and Bochs does not take it", has_rtm},
    {"GUEST.PENDING_DEBUG.RTM_MOVSS", false, true, "Bochs takes no RTM", has_rtm},
    {"GUEST.LINK.EXECUTIVE", true, true, "the CPU is not in SMM", NULL},
};
const unsigned vmx_unreachable_count = sizeof(vmx_unreachable) / sizeof(vmx_unreachable[0]);
