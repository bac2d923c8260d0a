/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VM-entry rules on structures in memory, and on the addresses and entries that refer to them: virtual TPR, VMCS link
 * pointer, PDPTEs, MSR-load area. SDM vol. 3, "VM Entries".
 */
#ifndef HVCTL_VMX_CHECK_MEMORY_H
#define HVCTL_VMX_CHECK_MEMORY_H

#include "check_state.h"

/*
 * Read a little-endian number of size bytes, up to 8. HVCTL_RULE_KEPT: it was read; HVCTL_RULE_UNCHECKED: it was not.
 */
static inline enum hvctl_rule_result hvctl_vmx_view_read(const struct hvctl_vmx_view *view, uint64_t physical,
                                                         unsigned size, uint64_t *value)
{
    uint8_t bytes[8];
    unsigned i;

    *value = 0;
    if (!view->around->read || !(view->around->read)(view->around->ctx, physical, bytes, size))
        return HVCTL_RULE_UNCHECKED;
    for (i = 0; i < size; i++)
        *value |= (uint64_t)bytes[i] << (8 * i);
    return HVCTL_RULE_KEPT;
}

/* The threshold against bits 7:4 of the virtual TPR, which is at offset 80H of the virtual-APIC page. */
static inline enum hvctl_rule_result hvctl_vmx_rule_tpr_threshold_memory(const struct hvctl_vmx_view *view,
                                                                         const struct hvctl_vmx_rule *rule,
                                                                         struct hvctl_finding *finding)
{
    uint64_t page = hvctl_vmx_rule_value(view, rule, 1), tpr;
    uint64_t threshold = finding->actual & 0xfu;

    if (hvctl_vmx_view_on(view, HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES)
        || hvctl_vmx_view_on(view, HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY) || (page & (view->beyond | 0xfffu)))
        return HVCTL_RULE_IDLE;
    if (!threshold)
        return HVCTL_RULE_KEPT;
    if (hvctl_vmx_view_read(view, page + 0x80, 1, &tpr) != HVCTL_RULE_KEPT)
        return HVCTL_RULE_UNCHECKED;
    finding->actual = threshold;
    finding->because = "bits 7:4 of the virtual TPR";
    return hvctl_demand_at_most(finding, tpr >> 4);
}

static inline bool hvctl_vmx_view_linked(const struct hvctl_vmx_view *view)
{
    return view->value[HVCTL_VMCS_SLOT_VMCS_LINK_POINTER] != ~(uint64_t)0;
}

static inline enum hvctl_rule_result hvctl_vmx_rule_link_address(const struct hvctl_vmx_view *view,
                                                                 const struct hvctl_vmx_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    finding->qualification = 4;
    finding->because = "it is not FFFFFFFF_FFFFFFFFH";
    return hvctl_vmx_view_linked(view) ? hvctl_demand_bits(finding, 0, rule->mask | view->beyond) : HVCTL_RULE_IDLE;
}

/* Read the first word of the VMCS that a valid link pointer refers to; HVCTL_RULE_IDLE if it is not valid. */
static inline enum hvctl_rule_result hvctl_vmx_view_linked_word(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_finding *finding, uint64_t *word)
{
    *word = 0;
    if (!hvctl_vmx_view_linked(view) || (finding->actual & (view->beyond | 0xfffu)))
        return HVCTL_RULE_IDLE;
    return hvctl_vmx_view_read(view, finding->actual, 4, word);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_link_revision(const struct hvctl_vmx_view *view,
                                                                  const struct hvctl_vmx_rule *rule,
                                                                  struct hvctl_finding *finding)
{
    uint64_t word;
    enum hvctl_rule_result read = hvctl_vmx_view_linked_word(view, finding, &word);

    (void)rule;
    finding->qualification = 4;
    if (read != HVCTL_RULE_KEPT)
        return read;
    return hvctl_demand_words((word & 0x7fffffffu) == hvctl_vmx_revision(view->caps));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_link_shadow(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    uint64_t word;
    enum hvctl_rule_result read = hvctl_vmx_view_linked_word(view, finding, &word);

    (void)rule;
    finding->qualification = 4;
    if (read != HVCTL_RULE_KEPT)
        return read;
    return hvctl_demand_words((word >> 31 != 0) == hvctl_vmx_view_on(view, HVCTL_SECONDARY_VMCS_SHADOWING));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_link_current(const struct hvctl_vmx_view *view,
                                                                 const struct hvctl_vmx_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    (void)rule;
    finding->qualification = 4;
    finding->because = "that is the current VMCS";
    if (!hvctl_vmx_view_linked(view) || (view->around->in_smm && !hvctl_vmx_view_on(view, HVCTL_ENTRY_ENTRY_TO_SMM)))
        return HVCTL_RULE_IDLE;
    if (!view->around->current_vmcs)
        return HVCTL_RULE_UNCHECKED;
    return hvctl_demand_not_equal(finding, view->around->current_vmcs);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_link_executive(const struct hvctl_vmx_view *view,
                                                                   const struct hvctl_vmx_rule *rule,
                                                                   struct hvctl_finding *finding)
{
    finding->qualification = 4;
    finding->because = "that is the executive VMCS";
    if (!hvctl_vmx_view_linked(view) || !view->around->in_smm || hvctl_vmx_view_on(view, HVCTL_ENTRY_ENTRY_TO_SMM))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_not_equal(finding, hvctl_vmx_rule_value(view, rule, 1));
}

/* Reserved bits of a PDPTE that is present: 2:1, 8:5 and those beyond MAXPHYADDR. */
static inline uint64_t hvctl_vmx_pdpte_reserved(const struct hvctl_vmx_view *view)
{
    return UINT64_C(0x1e6) | hvctl_beyond(view->caps->cpu.maxphyaddr);
}

/* Will the guest use PAE paging? */
static inline bool hvctl_vmx_view_pae_paging(const struct hvctl_vmx_view *view)
{
    return (view->value[HVCTL_VMCS_SLOT_GUEST_CR0] & HVCTL_CR0_PG)
        && (view->value[HVCTL_VMCS_SLOT_GUEST_CR4] & HVCTL_CR4_PAE) && !view->ia32e_guest;
}

/* The four PDPTEs in memory at CR3, which the CPU loads when EPT is off. */
static inline enum hvctl_rule_result hvctl_vmx_rule_pdptes_memory(const struct hvctl_vmx_view *view,
                                                                  const struct hvctl_vmx_rule *rule,
                                                                  struct hvctl_finding *finding)
{
    static const char *const name[] = {"PDPTE 0 at GUEST_CR3", "PDPTE 1 at GUEST_CR3", "PDPTE 2 at GUEST_CR3",
                                       "PDPTE 3 at GUEST_CR3"};
    uint64_t table = finding->actual & UINT64_C(0xffffffe0);
    unsigned i;

    (void)rule;
    finding->qualification = 2;
    if (!hvctl_vmx_view_pae_paging(view) || view->ept)
        return HVCTL_RULE_IDLE;
    for (i = 0; i < 4; i++) {
        uint64_t entry;

        if (hvctl_vmx_view_read(view, table + 8 * i, 8, &entry) != HVCTL_RULE_KEPT)
            return HVCTL_RULE_UNCHECKED;
        if ((entry & 1u) && (entry & hvctl_vmx_pdpte_reserved(view))) {
            finding->field = name[i];
            finding->because = "it is present";
            finding->actual = entry;
            return hvctl_demand_bits(finding, 0, hvctl_vmx_pdpte_reserved(view));
        }
    }
    return HVCTL_RULE_KEPT;
}

static inline enum hvctl_rule_result hvctl_vmx_rule_pdpte(const struct hvctl_vmx_view *view,
                                                          const struct hvctl_vmx_rule *rule,
                                                          struct hvctl_finding *finding)
{
    (void)rule;
    finding->qualification = 2;
    finding->because = "it is present";
    if (!hvctl_vmx_view_pae_paging(view) || !(finding->actual & 1u))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, hvctl_vmx_pdpte_reserved(view));
}

#define HVCTL_VMX_MSR_VALUE 5 /* the mask of the rule about values */

/* One entry of the MSR-load area. */
struct hvctl_vmx_msr_entry {
    uint32_t index, reserved;
    uint64_t value;
};

/*
 * Is this not an address that a last-branch register accepts? It must be sign-extended to bit 63; with RTM bits 63:61
 * have other meanings, so they are accepted where CPUID was not asked. SDM vol. 3, "LBR Stack and Intel 64 Processors".
 */
static inline bool hvctl_vmx_msr_branch_bad(const struct hvctl_vmx_view *view, uint64_t value)
{
    bool rtm = !view->cpu.known || view->cpu.rtm;
    uint64_t high = (rtm ? UINT64_C(1) << 61 : 0) - (UINT64_C(1) << (view->linear_bits - 1));

    return view->intel64 && (value & high) != 0 && (value & high) != high;
}

/*
 * Is it an MSR that holds an address of a last branch or exception? SDM vol. 4: the CPU's own, and the architectural
 * ones.
 */
static inline bool hvctl_vmx_msr_is_branch(uint32_t msr)
{
    return msr == HVCTL_MSR_LER_FROM_IP || msr == HVCTL_MSR_LER_TO_IP || (msr >= 0x680 && msr <= 0x69f)
        || (msr >= 0x6c0 && msr <= 0x6df) || (msr >= 0x1500 && msr <= 0x151f) || (msr >= 0x1600 && msr <= 0x161f);
}

/*
 * Does hvctl_vmx_msr_value_bad know all that WRMSR checks for this MSR? For others a bad value may go unnoticed, or the
 * MSR may not exist on this CPU. Last-branch MSRs may hold flags beside the address.
 */
static inline bool hvctl_vmx_msr_value_known(const struct hvctl_vmx_view *view, uint32_t msr)
{
    switch (msr) {
    case HVCTL_MSR_TSC:
    case HVCTL_MSR_SYSENTER_CS:
    case HVCTL_MSR_SYSENTER_ESP:
    case HVCTL_MSR_SYSENTER_EIP:
    case HVCTL_MSR_PAT:
    case HVCTL_MSR_EFER:
    case HVCTL_MSR_STAR:
    case HVCTL_MSR_LSTAR:
    case HVCTL_MSR_CSTAR:
    case HVCTL_MSR_SFMASK:
    case HVCTL_MSR_KERNEL_GS_BASE: return true;
    case HVCTL_MSR_PERF_GLOBAL_CTRL: return view->cpu.known;
    default: return false;
    }
}

/* Would WRMSR of value raise #GP? false also for MSRs that are not known here. */
static inline bool hvctl_vmx_msr_value_bad(const struct hvctl_vmx_view *view, const struct hvctl_vmx_msr_entry *entry)
{
    uint64_t wrong;

    if (hvctl_vmx_msr_is_branch(entry->index))
        return hvctl_vmx_msr_branch_bad(view, entry->value);
    switch (entry->index) {
    case HVCTL_MSR_SYSENTER_ESP:
    case HVCTL_MSR_SYSENTER_EIP:
    case HVCTL_MSR_LSTAR:
    case HVCTL_MSR_CSTAR:
    case HVCTL_MSR_KERNEL_GS_BASE: return view->intel64 && !hvctl_canonical(entry->value, view->linear_bits);
    case HVCTL_MSR_PAT: return !hvctl_pat_valid(entry->value, &wrong);
    case HVCTL_MSR_EFER: return (entry->value & hvctl_vmx_efer_reserved(view)) != 0;
    case HVCTL_MSR_SFMASK:
    case HVCTL_MSR_TSC_AUX: return entry->value >> 32 != 0;
    case HVCTL_MSR_DEBUGCTL: return (entry->value & HVCTL_DEBUGCTL_RESERVED) != 0;
    case HVCTL_MSR_SPEC_CTRL: return (entry->value & HVCTL_SPEC_CTRL_RESERVED) != 0;
    case HVCTL_MSR_PERF_GLOBAL_CTRL:
        return (entry->value & (view->cpu.known ? ~view->cpu.perf_global_ctrl : HVCTL_PERF_GLOBAL_CTRL_RESERVED)) != 0;
    default: return false;
    }
}

/* Would loading this EFER change LME, while CR0.PG is set? VM entry has made LME what IA32E_MODE_GUEST is. */
static inline bool hvctl_vmx_msr_efer_lme(const struct hvctl_vmx_view *view, const struct hvctl_vmx_msr_entry *entry)
{
    return entry->index == HVCTL_MSR_EFER && (view->value[HVCTL_VMCS_SLOT_GUEST_CR0] & HVCTL_CR0_PG)
        && ((entry->value & HVCTL_EFER_LME) != 0) != view->ia32e_guest;
}

/* Does this entry of the MSR-load area break the rule with this number (the rule's mask)? */
static inline bool hvctl_vmx_msr_entry_bad(const struct hvctl_vmx_view *view, const struct hvctl_vmx_msr_entry *entry,
                                           uint64_t number)
{
    switch (number) {
    case 0: return entry->index == HVCTL_MSR_FS_BASE || entry->index == HVCTL_MSR_GS_BASE;
    case 1: return entry->index >> 8 == 8;
    case 2: return entry->index == HVCTL_MSR_SMM_MONITOR_CTL && !view->around->in_smm;
    case 3: return entry->index == 0x79 || entry->index == 0x8b; /* IA32_BIOS_UPDT_TRIG, IA32_BIOS_SIGN_ID */
    case 4: return entry->reserved != 0;
    case 6: return hvctl_vmx_msr_efer_lme(view, entry);
    default: return hvctl_vmx_msr_value_bad(view, entry);
    }
}

/* Does another rule refuse the entry, so that its value does not matter? */
static inline bool hvctl_vmx_msr_entry_refused(const struct hvctl_vmx_view *view,
                                               const struct hvctl_vmx_msr_entry *entry)
{
    uint64_t number;

    for (number = 0; number < HVCTL_VMX_MSR_VALUE; number++)
        if (hvctl_vmx_msr_entry_bad(view, entry, number))
            return true;
    return false;
}

/*
 * The first entry that breaks the rule is reported by its number, from 1, as the qualification; actual is its index. An
 * area longer than the CPU's limit is checked up to that limit. If an entry cannot be read, later ones are still
 * judged, and the result is UNCHECKED if none of them is bad.
 */
static inline enum hvctl_rule_result hvctl_vmx_rule_msr_entries(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    uint64_t area = finding->actual, count = hvctl_vmx_rule_value(view, rule, 1), i;
    enum hvctl_rule_result result = HVCTL_RULE_KEPT;

    if (!count || ((area | (area + 16 * count - 1)) & view->beyond) || (area & 0xfu))
        return HVCTL_RULE_IDLE;
    if (count > hvctl_vmx_msr_list_max(view->caps))
        count = hvctl_vmx_msr_list_max(view->caps);
    for (i = 0; i < count; i++) {
        struct hvctl_vmx_msr_entry entry;
        uint64_t first;

        if (hvctl_vmx_view_read(view, area + 16 * i, 8, &first) != HVCTL_RULE_KEPT
            || hvctl_vmx_view_read(view, area + 16 * i + 8, 8, &entry.value) != HVCTL_RULE_KEPT) {
            result = HVCTL_RULE_UNCHECKED;
            if (!view->around->read)
                break;
            continue;
        }
        entry.index = (uint32_t)first;
        entry.reserved = (uint32_t)(first >> 32);
        if (hvctl_vmx_msr_entry_bad(view, &entry, rule->mask)) {
            finding->field = "VM-entry MSR-load entry"; /* its number follows */
            finding->actual = entry.index;
            finding->qualification = (uint32_t)(i + 1);
            return HVCTL_RULE_BROKEN;
        }
        if (rule->mask == HVCTL_VMX_MSR_VALUE && !hvctl_vmx_msr_value_known(view, entry.index)
            && !hvctl_vmx_msr_entry_refused(view, &entry))
            result = HVCTL_RULE_UNCHECKED; /* unless a later one is found broken */
    }
    return result;
}

/* The recommended maximum of the count; beyond it the CPU's behaviour is undefined, and VM entry may fail. */
static inline enum hvctl_rule_result hvctl_vmx_rule_msr_count(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    (void)rule;
    finding->qualification = hvctl_vmx_msr_list_max(view->caps) + 1;
    return hvctl_demand_at_most(finding, hvctl_vmx_msr_list_max(view->caps));
}

/* The row with this number; NULL after the last. */
static inline const struct hvctl_vmx_rule *hvctl_vmx_memory_rule_at(size_t number)
{
#define HVCTL_X_LINK(id, text, check, mask) \
    {id, HVCTL_VMX_SECTION_GUEST_OTHER, text, check, HVCTL_ALWAYS, HVCTL_RULE_1(VMCS_LINK_POINTER), mask}
#define HVCTL_X_PDPTE(n)                                                    \
    {"GUEST.PDPTE" #n,                                                      \
     HVCTL_VMX_SECTION_GUEST_PDPTES,                                        \
     "must have bits 2:1, 8:5 and those beyond MAXPHYADDR clear",           \
     hvctl_vmx_rule_pdpte,                                                  \
     HVCTL_SECONDARY_ENABLE_EPT,                                            \
     HVCTL_RULE_4(GUEST_PDPTE##n, GUEST_CR0, GUEST_CR4, VM_ENTRY_CONTROLS), \
     0}
#define HVCTL_X_MSR(id, text, number)                                                \
    {id,           HVCTL_VMX_SECTION_MSRS,                                           \
     text,         hvctl_vmx_rule_msr_entries,                                       \
     HVCTL_ALWAYS, HVCTL_RULE_2(VM_ENTRY_MSR_LOAD_ADDRESS, VM_ENTRY_MSR_LOAD_COUNT), \
     number}
    static const struct hvctl_vmx_rule list[] = {
        {"CTRL.TPR_THRESHOLD.VTPR", HVCTL_VMX_SECTION_EXECUTION, "must not be above bits 7:4 of the virtual TPR",
         hvctl_vmx_rule_tpr_threshold_memory, HVCTL_PRIMARY_USE_TPR_SHADOW,
         HVCTL_RULE_2(TPR_THRESHOLD, VIRTUAL_APIC_ADDRESS), 0},
        HVCTL_X_LINK("GUEST.LINK.ADDRESS", "must be page-aligned and within the physical-address width",
                     hvctl_vmx_rule_link_address, 0xfff),
        HVCTL_X_LINK("GUEST.LINK.REVISION", "must lead to a VMCS with this CPU's revision identifier",
                     hvctl_vmx_rule_link_revision, 0),
        HVCTL_X_LINK("GUEST.LINK.SHADOW", "must lead to a shadow VMCS with VMCS shadowing, and to none without",
                     hvctl_vmx_rule_link_shadow, 0),
        HVCTL_X_LINK("GUEST.LINK.CURRENT", "must not be the current VMCS", hvctl_vmx_rule_link_current, 0),
        {"GUEST.LINK.EXECUTIVE", HVCTL_VMX_SECTION_GUEST_OTHER, "must not be the executive VMCS in SMM",
         hvctl_vmx_rule_link_executive, HVCTL_ALWAYS, HVCTL_RULE_2(VMCS_LINK_POINTER, EXECUTIVE_VMCS_POINTER), 0},
        {"GUEST.PDPTE.MEMORY", HVCTL_VMX_SECTION_GUEST_PDPTES,
         "must lead to PDPTEs with bits 2:1, 8:5 and those beyond MAXPHYADDR clear", hvctl_vmx_rule_pdptes_memory,
         HVCTL_ALWAYS, HVCTL_RULE_4(GUEST_CR3, GUEST_CR0, GUEST_CR4, VM_ENTRY_CONTROLS), 0},
        HVCTL_X_PDPTE(0),
        HVCTL_X_PDPTE(1),
        HVCTL_X_PDPTE(2),
        HVCTL_X_PDPTE(3),
        HVCTL_X_MSR("MSR.FS_GS_BASE", "must not be FS_BASE or GS_BASE", 0),
        HVCTL_X_MSR("MSR.X2APIC", "must not be an x2APIC MSR, 800H to 8FFH", 1),
        HVCTL_X_MSR("MSR.SMM_ONLY", "must not be IA32_SMM_MONITOR_CTL outside SMM", 2),
        HVCTL_X_MSR("MSR.MODEL_SPECIFIC", "must not be IA32_BIOS_UPDT_TRIG or IA32_BIOS_SIGN_ID", 3),
        HVCTL_X_MSR("MSR.RESERVED", "must have bits 63:32 of the entry clear", 4),
        HVCTL_X_MSR("MSR.VALUE", "must have a value that WRMSR takes", HVCTL_VMX_MSR_VALUE),
        {"MSR.EFER_LME", HVCTL_VMX_SECTION_MSRS, "must not change IA32_EFER.LME while CR0.PG is set",
         hvctl_vmx_rule_msr_entries, HVCTL_ALWAYS,
         HVCTL_RULE_4(VM_ENTRY_MSR_LOAD_ADDRESS, VM_ENTRY_MSR_LOAD_COUNT, GUEST_CR0, VM_ENTRY_CONTROLS), 6},
        {"MSR.COUNT", HVCTL_VMX_SECTION_MSRS, "must not exceed 512 * (IA32_VMX_MISC[27:25] + 1)",
         hvctl_vmx_rule_msr_count, HVCTL_ALWAYS, HVCTL_RULE_1(VM_ENTRY_MSR_LOAD_COUNT), 0},
    };
#undef HVCTL_X_LINK
#undef HVCTL_X_PDPTE
#undef HVCTL_X_MSR

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

#endif
