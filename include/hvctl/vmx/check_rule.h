/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A VM-entry rule: a row of a table with a small function, and the view of a VMCS that these functions get. The tables
 * are in the check_*.h files beside this one; check.h runs them.
 */
#ifndef HVCTL_VMX_CHECK_RULE_H
#define HVCTL_VMX_CHECK_RULE_H

#include "../common/check.h"
#include "vmcs.h"
#include "solver.h"

/* Facts about the CPU that no VMX capability MSR reports; hvctl_vmx_surroundings_cpuid fills them in. */
struct hvctl_vmx_cpu_facts {
    bool known; /* false: the rest is not used, and rules that depend on it are not checked or not strict */
    bool rtm, sgx, bus_lock_detect, lam;
    uint64_t perf_global_ctrl; /* bits of IA32_PERF_GLOBAL_CTRL that exist */
};

/*
 * What a VM entry depends on besides the VMCS and the capabilities. All zero: a hypervisor in IA-32e mode outside SMM,
 * without access to memory.
 */
struct hvctl_vmx_surroundings {
    hvctl_read_memory_fn read; /* NULL: rules that look into memory are reported as not checked */
    void *ctx;
    bool host_legacy; /* the CPU enters from outside IA-32e mode */
    bool in_smm;
    bool in_seam;
    bool tracing;          /* IA32_RTIT_CTL.TraceEn is 1 */
    uint64_t current_vmcs; /* physical address; 0: not known */
    struct hvctl_vmx_cpu_facts cpu;
};

/* Read the facts from CPUID. Needs no privilege. */
static inline void hvctl_vmx_surroundings_cpuid(struct hvctl_vmx_surroundings *around, hvctl_cpuid_fn cpuid, void *ctx)
{
    uint32_t top = (cpuid)(ctx, 0, 0).eax;
    struct hvctl_cpuid id;

    around->cpu.known = true;
    around->cpu.rtm = around->cpu.sgx = around->cpu.bus_lock_detect = around->cpu.lam = false;
    around->cpu.perf_global_ctrl = 0;
    if (top >= 7) {
        id = (cpuid)(ctx, 7, 0);
        around->cpu.sgx = (id.ebx >> 2 & 1u) != 0;
        around->cpu.rtm = (id.ebx >> 11 & 1u) != 0;
        around->cpu.bus_lock_detect = (id.ecx >> 24 & 1u) != 0;
        if (id.eax >= 1)
            around->cpu.lam = ((cpuid)(ctx, 7, 1).eax >> 26 & 1u) != 0;
    }
    if (top >= 10)
        around->cpu.perf_global_ctrl = hvctl_perf_global_ctrl(cpuid, ctx, top);
}

/* The same facts from capabilities, if they include CPUID's leaf 7 (hvctl_vmx_caps_read with a cpuid callback). */
static inline struct hvctl_vmx_cpu_facts hvctl_vmx_cpu_facts_of(const struct hvctl_vmx_caps *caps)
{
    struct hvctl_vmx_cpu_facts facts;

    facts.known = caps->cpu.leaf7;
    facts.rtm = caps->cpu.rtm;
    facts.sgx = caps->cpu.sgx;
    facts.bus_lock_detect = caps->cpu.bus_lock_detect;
    facts.lam = caps->cpu.lam;
    facts.perf_global_ctrl = caps->cpu.perf_global_ctrl;
    return facts;
}

/* The manual's sections that the rules are from. SDM vol. 3, chapter "VM Entries". */
enum hvctl_vmx_section {
    HVCTL_VMX_SECTION_EXECUTION,
    HVCTL_VMX_SECTION_EXIT,
    HVCTL_VMX_SECTION_ENTRY,
    HVCTL_VMX_SECTION_HOST_REGISTERS,
    HVCTL_VMX_SECTION_HOST_SEGMENTS,
    HVCTL_VMX_SECTION_ADDRESS_SPACE,
    HVCTL_VMX_SECTION_GUEST_REGISTERS,
    HVCTL_VMX_SECTION_GUEST_SEGMENTS,
    HVCTL_VMX_SECTION_GUEST_TABLES,
    HVCTL_VMX_SECTION_GUEST_RIP,
    HVCTL_VMX_SECTION_GUEST_OTHER,
    HVCTL_VMX_SECTION_GUEST_PDPTES,
    HVCTL_VMX_SECTION_MSRS
};

/* A section's title; never NULL. */
static inline const char *hvctl_vmx_section_title(enum hvctl_vmx_section section)
{
    switch (section) {
    case HVCTL_VMX_SECTION_EXECUTION: return "VM-Execution Control Fields";
    case HVCTL_VMX_SECTION_EXIT: return "VM-Exit Control Fields";
    case HVCTL_VMX_SECTION_ENTRY: return "VM-Entry Control Fields";
    case HVCTL_VMX_SECTION_HOST_REGISTERS: return "Checks on Host Control Registers, MSRs, and SSP";
    case HVCTL_VMX_SECTION_HOST_SEGMENTS: return "Checks on Host Segment and Descriptor-Table Registers";
    case HVCTL_VMX_SECTION_ADDRESS_SPACE: return "Checks Related to Address-Space Size";
    case HVCTL_VMX_SECTION_GUEST_REGISTERS: return "Checks on Guest Control Registers, Debug Registers, and MSRs";
    case HVCTL_VMX_SECTION_GUEST_SEGMENTS: return "Checks on Guest Segment Registers";
    case HVCTL_VMX_SECTION_GUEST_TABLES: return "Checks on Guest Descriptor-Table Registers";
    case HVCTL_VMX_SECTION_GUEST_RIP: return "Checks on Guest RIP, RFLAGS, and SSP";
    case HVCTL_VMX_SECTION_GUEST_OTHER: return "Checks on Guest Non-Register State";
    case HVCTL_VMX_SECTION_GUEST_PDPTES: return "Checks on Guest Page-Directory-Pointer-Table Entries";
    case HVCTL_VMX_SECTION_MSRS: return "Loading MSRs";
    }
    return "VM Entries";
}

/* The failure that a violation of a section's rules causes. */
static inline enum hvctl_failure hvctl_vmx_section_failure(enum hvctl_vmx_section section)
{
    if (section <= HVCTL_VMX_SECTION_ENTRY)
        return HVCTL_FAILURE_VMFAIL_CONTROLS;
    if (section <= HVCTL_VMX_SECTION_ADDRESS_SPACE)
        return HVCTL_FAILURE_VMFAIL_HOST;
    return section == HVCTL_VMX_SECTION_MSRS ? HVCTL_FAILURE_MSR_LOADING : HVCTL_FAILURE_GUEST_STATE;
}

/* A VMCS as the rules see it: what many of them need is computed once. */
struct hvctl_vmx_view {
    const uint64_t *value; /* of the image, by slot */
    const struct hvctl_vmx_caps *caps;
    const struct hvctl_vmx_surroundings *around;
    struct hvctl_vmx_cpu_facts cpu; /* from around, or from caps */
    struct hvctl_vmx_controls on; /* the control words in effect */
    uint64_t beyond;              /* bits that an address of a VMX structure must not have */
    unsigned linear_bits;         /* the most that linear addresses have on this CPU */
    bool intel64;
    bool unrestricted, ept, ia32e_guest, host64;
    bool v86;       /* the guest will be in virtual-8086 mode */
    uint32_t event; /* VM-entry interruption information, 0 if it is not valid */
};

#define HVCTL_VMX_RULE_FIELDS 5
#define HVCTL_VMX_NO_SLOT     0xffff

struct hvctl_vmx_rule {
    const char *id;
    enum hvctl_vmx_section section;
    const char *text; /* the rule in words, which follow "FIELD = value, " */
    /*
     * Judges the rule. *finding describes the value of a broken rule, and is not used otherwise. field and actual are
     * filled in from slot[0] before the call.
     */
    enum hvctl_rule_result (*check)(const struct hvctl_vmx_view *view, const struct hvctl_vmx_rule *rule,
                                    struct hvctl_finding *finding);
    uint16_t when; /* enum hvctl_vmx_control: the rule is idle while this one is off */
    /*
     * The fields that the rule reads, the judged one first; HVCTL_VMX_NO_SLOT after the last. Control words are listed
     * only if they are judged or read in their own right, because all rules depend on them.
     */
    uint16_t slot[HVCTL_VMX_RULE_FIELDS];
    uint64_t mask; /* its meaning is the function's: bits, a limit, another control */
};

/* Is a control on in the words in effect? */
static inline bool hvctl_vmx_view_on(const struct hvctl_vmx_view *view, enum hvctl_vmx_control control)
{
    return hvctl_vmx_controls_has(&view->on, control);
}

/* The value of one of the rule's fields. */
static inline uint64_t hvctl_vmx_rule_value(const struct hvctl_vmx_view *view, const struct hvctl_vmx_rule *rule,
                                            unsigned number)
{
    return view->value[rule->slot[number]];
}

/* Verdicts: each fills in the demand and says whether it is met. */

static inline enum hvctl_rule_result hvctl_demand_bits(struct hvctl_finding *finding, uint64_t ones, uint64_t zeros)
{
    finding->demand = HVCTL_DEMAND_BITS;
    finding->ones = ones & ~finding->actual;
    finding->zeros = zeros & finding->actual;
    return finding->ones | finding->zeros ? HVCTL_RULE_BROKEN : HVCTL_RULE_KEPT;
}

static inline enum hvctl_rule_result hvctl_demand_equal(struct hvctl_finding *finding, uint64_t required)
{
    finding->demand = HVCTL_DEMAND_EQUAL;
    finding->required = required;
    return finding->actual == required ? HVCTL_RULE_KEPT : HVCTL_RULE_BROKEN;
}

static inline enum hvctl_rule_result hvctl_demand_not_equal(struct hvctl_finding *finding, uint64_t forbidden)
{
    finding->demand = HVCTL_DEMAND_NOT_EQUAL;
    finding->required = forbidden;
    return finding->actual != forbidden ? HVCTL_RULE_KEPT : HVCTL_RULE_BROKEN;
}

static inline enum hvctl_rule_result hvctl_demand_at_most(struct hvctl_finding *finding, uint64_t most)
{
    finding->demand = HVCTL_DEMAND_AT_MOST;
    finding->required = most;
    return finding->actual <= most ? HVCTL_RULE_KEPT : HVCTL_RULE_BROKEN;
}

static inline enum hvctl_rule_result hvctl_demand_canonical(struct hvctl_finding *finding, unsigned bits)
{
    finding->demand = HVCTL_DEMAND_CANONICAL;
    finding->required = bits;
    return hvctl_canonical(finding->actual, bits) ? HVCTL_RULE_KEPT : HVCTL_RULE_BROKEN;
}

/* A verdict about which the rule's text says everything. */
static inline enum hvctl_rule_result hvctl_demand_words(bool kept)
{
    return kept ? HVCTL_RULE_KEPT : HVCTL_RULE_BROKEN;
}

/* Rules of one shape, which many rows share. */

/* The bits in mask must be 0. */
static inline enum hvctl_rule_result hvctl_vmx_rule_zeros(const struct hvctl_vmx_view *view,
                                                          const struct hvctl_vmx_rule *rule,
                                                          struct hvctl_finding *finding)
{
    (void)view;
    return hvctl_demand_bits(finding, 0, rule->mask);
}

/* An address in memory: the bits in mask must be 0, and it must be within the physical-address width. */
static inline enum hvctl_rule_result hvctl_vmx_rule_address(const struct hvctl_vmx_view *view,
                                                            const struct hvctl_vmx_rule *rule,
                                                            struct hvctl_finding *finding)
{
    return hvctl_demand_bits(finding, 0, rule->mask | view->beyond);
}

/* The value must not be mask. */
static inline enum hvctl_rule_result hvctl_vmx_rule_not(const struct hvctl_vmx_view *view,
                                                        const struct hvctl_vmx_rule *rule,
                                                        struct hvctl_finding *finding)
{
    (void)view;
    return hvctl_demand_not_equal(finding, rule->mask);
}

/* The value must be a canonical address, on CPUs with Intel 64, and have the bits in mask clear. */
static inline enum hvctl_rule_result hvctl_vmx_rule_canonical(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    if (!view->intel64)
        return HVCTL_RULE_IDLE;
    if (rule->mask && (finding->actual & rule->mask))
        return hvctl_demand_bits(finding, 0, rule->mask);
    return hvctl_demand_canonical(finding, view->linear_bits);
}

/* The value must be a valid PAT. */
static inline enum hvctl_rule_result hvctl_vmx_rule_pat(const struct hvctl_vmx_view *view,
                                                        const struct hvctl_vmx_rule *rule,
                                                        struct hvctl_finding *finding)
{
    (void)view;
    (void)rule;
    finding->demand = HVCTL_DEMAND_PAT;
    return hvctl_pat_valid(finding->actual, &finding->zeros) ? HVCTL_RULE_KEPT : HVCTL_RULE_BROKEN;
}

/* The control in when demands that the one in mask be 1. */
static inline enum hvctl_rule_result hvctl_vmx_rule_needs(const struct hvctl_vmx_view *view,
                                                          const struct hvctl_vmx_rule *rule,
                                                          struct hvctl_finding *finding)
{
    enum hvctl_vmx_control needed = (enum hvctl_vmx_control)rule->mask;

    finding->demand = HVCTL_DEMAND_BITS;
    finding->ones = hvctl_vmx_control_mask(needed);
    return hvctl_vmx_view_on(view, needed) ? HVCTL_RULE_KEPT : HVCTL_RULE_BROKEN;
}

/* The control in when demands that the one in mask be 0. */
static inline enum hvctl_rule_result hvctl_vmx_rule_excludes(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    enum hvctl_vmx_control other = (enum hvctl_vmx_control)rule->mask;

    finding->demand = HVCTL_DEMAND_BITS;
    finding->zeros = hvctl_vmx_control_mask(other);
    return hvctl_vmx_view_on(view, other) ? HVCTL_RULE_BROKEN : HVCTL_RULE_KEPT;
}

/* How the bits of a field are named. */
static inline enum hvctl_bit_names hvctl_vmx_bit_names(unsigned slot)
{
    switch (slot) {
    case HVCTL_VMCS_SLOT_PIN_BASED_VM_EXECUTION_CONTROLS: return (enum hvctl_bit_names)HVCTL_GROUP_PIN;
    case HVCTL_VMCS_SLOT_PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS:
        return (enum hvctl_bit_names)HVCTL_GROUP_PRIMARY;
    case HVCTL_VMCS_SLOT_SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS:
        return (enum hvctl_bit_names)HVCTL_GROUP_SECONDARY;
    case HVCTL_VMCS_SLOT_TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS:
        return (enum hvctl_bit_names)HVCTL_GROUP_TERTIARY;
    case HVCTL_VMCS_SLOT_PRIMARY_VM_EXIT_CONTROLS: return (enum hvctl_bit_names)HVCTL_GROUP_EXIT;
    case HVCTL_VMCS_SLOT_SECONDARY_VM_EXIT_CONTROLS: return (enum hvctl_bit_names)HVCTL_GROUP_EXIT2;
    case HVCTL_VMCS_SLOT_VM_ENTRY_CONTROLS: return (enum hvctl_bit_names)HVCTL_GROUP_ENTRY;
    case HVCTL_VMCS_SLOT_VM_FUNCTION_CONTROLS: return (enum hvctl_bit_names)HVCTL_GROUP_VMFUNC;
    case HVCTL_VMCS_SLOT_GUEST_CR0:
    case HVCTL_VMCS_SLOT_HOST_CR0: return HVCTL_BITS_CR0;
    case HVCTL_VMCS_SLOT_GUEST_CR4:
    case HVCTL_VMCS_SLOT_HOST_CR4: return HVCTL_BITS_CR4;
    case HVCTL_VMCS_SLOT_GUEST_IA32_EFER:
    case HVCTL_VMCS_SLOT_HOST_IA32_EFER: return HVCTL_BITS_EFER;
    case HVCTL_VMCS_SLOT_GUEST_RFLAGS: return HVCTL_BITS_RFLAGS;
    case HVCTL_VMCS_SLOT_GUEST_INTERRUPTIBILITY_STATE: return HVCTL_BITS_INTERRUPTIBILITY;
    default: break;
    }
    return slot >= HVCTL_VMCS_SLOT_GUEST_ES_ACCESS_RIGHTS && slot <= HVCTL_VMCS_SLOT_GUEST_TR_ACCESS_RIGHTS
             ? HVCTL_BITS_RIGHTS
             : HVCTL_BITS_UNNAMED;
}

/* Row shorthands; undefined at the end of vmx/check.h. */
#define HVCTL_RULE_5(a, b, c, d, e) \
    {HVCTL_VMCS_SLOT_##a, HVCTL_VMCS_SLOT_##b, HVCTL_VMCS_SLOT_##c, HVCTL_VMCS_SLOT_##d, HVCTL_VMCS_SLOT_##e}
#define HVCTL_RULE_4(a, b, c, d) \
    {HVCTL_VMCS_SLOT_##a, HVCTL_VMCS_SLOT_##b, HVCTL_VMCS_SLOT_##c, HVCTL_VMCS_SLOT_##d, HVCTL_VMX_NO_SLOT}
#define HVCTL_RULE_3(a, b, c) \
    {HVCTL_VMCS_SLOT_##a, HVCTL_VMCS_SLOT_##b, HVCTL_VMCS_SLOT_##c, HVCTL_VMX_NO_SLOT, HVCTL_VMX_NO_SLOT}
#define HVCTL_RULE_2(a, b) \
    {HVCTL_VMCS_SLOT_##a, HVCTL_VMCS_SLOT_##b, HVCTL_VMX_NO_SLOT, HVCTL_VMX_NO_SLOT, HVCTL_VMX_NO_SLOT}
#define HVCTL_RULE_1(a) \
    {HVCTL_VMCS_SLOT_##a, HVCTL_VMX_NO_SLOT, HVCTL_VMX_NO_SLOT, HVCTL_VMX_NO_SLOT, HVCTL_VMX_NO_SLOT}

#endif
