/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VMRUN's rules on the state-save area. A violation makes VMRUN end with VMEXIT_INVALID before the guest's first
 * instruction.
 * APM vol. 2, "VMRUN Instruction", "Canonicalization and Consistency Checks".
 */
#ifndef HVCTL_SVM_CHECK_SAVE_H
#define HVCTL_SVM_CHECK_SAVE_H

#include "check_rule.h"

#define HVCTL_SVM_CET_RESERVED UINT64_C(0x3c0) /* of S_CET and U_CET, 9:6 */
#define HVCTL_SVM_RFLAGS_VM    UINT64_C(0x20000)
#define HVCTL_SVM_ATTRIB_L     0x200u
#define HVCTL_SVM_ATTRIB_D     0x400u

/* Are the guest's registers encrypted? Then VMRUN does not read the save area. */
static inline bool hvctl_svm_view_hidden(const struct hvctl_svm_view *view)
{
    return view->sev_es;
}

static inline enum hvctl_rule_result hvctl_svm_rule_save_zeros(const struct hvctl_svm_view *view,
                                                               const struct hvctl_svm_rule *rule,
                                                               struct hvctl_finding *finding)
{
    return hvctl_svm_view_hidden(view) ? HVCTL_RULE_IDLE : hvctl_svm_demand_bits(finding, 0, rule->mask);
}

static inline enum hvctl_rule_result hvctl_svm_rule_save_ones(const struct hvctl_svm_view *view,
                                                              const struct hvctl_svm_rule *rule,
                                                              struct hvctl_finding *finding)
{
    return hvctl_svm_view_hidden(view) ? HVCTL_RULE_IDLE : hvctl_svm_demand_bits(finding, rule->mask, 0);
}

static inline enum hvctl_rule_result hvctl_svm_rule_efer(const struct hvctl_svm_view *view,
                                                         const struct hvctl_svm_rule *rule,
                                                         struct hvctl_finding *finding)
{
    uint64_t exists = view->around->cpu.known ? view->around->cpu.efer : HVCTL_SVM_EFER_BITS;

    (void)rule;
    if (view->caps->cpu.linear_bits && !view->caps->cpu.nx)
        exists &= ~HVCTL_EFER_NXE;
    exists |= HVCTL_EFER_LMA | HVCTL_EFER_LME; /* these are for the next rule */
    return hvctl_svm_view_hidden(view) ? HVCTL_RULE_IDLE : hvctl_svm_demand_bits(finding, 0, ~exists);
}

static inline enum hvctl_rule_result hvctl_svm_rule_efer_lm(const struct hvctl_svm_view *view,
                                                            const struct hvctl_svm_rule *rule,
                                                            struct hvctl_finding *finding)
{
    finding->because = "the CPU has no long mode";
    if (hvctl_svm_view_hidden(view) || view->caps->cpu.long_mode || !view->caps->cpu.linear_bits)
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_bits(finding, 0, rule->mask);
}

/* Bits of CR0 or CR4 that must be 1 in long mode with paging. */
static inline enum hvctl_rule_result hvctl_svm_rule_long_ones(const struct hvctl_svm_view *view,
                                                              const struct hvctl_svm_rule *rule,
                                                              struct hvctl_finding *finding)
{
    finding->because = "EFER.LME and CR0.PG are set";
    if (hvctl_svm_view_hidden(view) || !view->long_mode)
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_bits(finding, rule->mask, 0);
}

static inline enum hvctl_rule_result hvctl_svm_rule_long_cs(const struct hvctl_svm_view *view,
                                                            const struct hvctl_svm_rule *rule,
                                                            struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "EFER.LME, CR0.PG and CR4.PAE are set";
    if (hvctl_svm_view_hidden(view) || !view->long_mode || !(view->vmcb->save.cr4 & HVCTL_CR4_PAE))
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_words((finding->actual & (HVCTL_SVM_ATTRIB_L | HVCTL_SVM_ATTRIB_D))
                                  != (HVCTL_SVM_ATTRIB_L | HVCTL_SVM_ATTRIB_D));
}

static inline enum hvctl_rule_result hvctl_svm_rule_cd_nw(const struct hvctl_svm_view *view,
                                                          const struct hvctl_svm_rule *rule,
                                                          struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "NW is set";
    if (hvctl_svm_view_hidden(view) || !(finding->actual & HVCTL_CR0_NW))
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_bits(finding, HVCTL_CR0_CD, 0);
}

/*
 * In long mode, bits beyond the physical-address width must be 0. Elsewhere CR3 has 32 bits, none of which must be 0.
 */
static inline enum hvctl_rule_result hvctl_svm_rule_cr3(const struct hvctl_svm_view *view,
                                                        const struct hvctl_svm_rule *rule,
                                                        struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "the guest is in long mode";
    if (hvctl_svm_view_hidden(view) || !view->long_mode)
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_bits(finding, 0, view->beyond);
}

static inline enum hvctl_rule_result hvctl_svm_rule_cr4(const struct hvctl_svm_view *view,
                                                        const struct hvctl_svm_rule *rule,
                                                        struct hvctl_finding *finding)
{
    (void)rule;
    if (hvctl_svm_view_hidden(view))
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_bits(finding, 0, ~(view->around->cpu.known ? view->around->cpu.cr4 : HVCTL_SVM_CR4_BITS));
}

static inline enum hvctl_rule_result hvctl_svm_rule_cet_wp(const struct hvctl_svm_view *view,
                                                           const struct hvctl_svm_rule *rule,
                                                           struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "CR4.CET is set";
    if (hvctl_svm_view_hidden(view) || !(view->vmcb->save.cr4 & HVCTL_CR4_CET))
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_bits(finding, HVCTL_CR0_WP, 0);
}

static inline enum hvctl_rule_result hvctl_svm_rule_s_cet(const struct hvctl_svm_view *view,
                                                          const struct hvctl_svm_rule *rule,
                                                          struct hvctl_finding *finding)
{
    if (hvctl_svm_view_hidden(view) || !(view->caps->cpu.cet_ss || view->caps->cpu.cet_ibt))
        return HVCTL_RULE_IDLE;
    return hvctl_svm_demand_bits(finding, 0, rule->mask);
}

/* The PDPTEs of PAE paging, which VMRUN reads from memory; with nested paging the CPU reads them later. */
static inline enum hvctl_rule_result hvctl_svm_rule_pdptes(const struct hvctl_svm_view *view,
                                                           const struct hvctl_svm_rule *rule,
                                                           struct hvctl_finding *finding)
{
    const struct hvctl_vmcb_save *save = &view->vmcb->save;
    static const char *const name[] = {"PDPE 0 at CR3", "PDPE 1 at CR3", "PDPE 2 at CR3", "PDPE 3 at CR3"};
    uint64_t table = finding->actual & UINT64_C(0xffffffe0);
    unsigned i, byte;

    (void)rule;
    if (hvctl_svm_view_hidden(view) || view->np || view->long_mode || !(save->cr0 & HVCTL_CR0_PG)
        || !(save->cr4 & HVCTL_CR4_PAE))
        return HVCTL_RULE_IDLE;
    for (i = 0; i < 4; i++) {
        uint8_t bytes[8];
        uint64_t entry = 0;

        if (!view->around->read || !(view->around->read)(view->around->ctx, table + 8 * i, bytes, sizeof(bytes)))
            return HVCTL_RULE_UNCHECKED;
        for (byte = 0; byte < 8; byte++)
            entry |= (uint64_t)bytes[byte] << (8 * byte);
        if ((entry & 1u) && (entry & (UINT64_C(0x1e6) | view->beyond))) {
            finding->field = name[i];
            finding->because = "it is present";
            finding->actual = entry;
            return hvctl_svm_demand_bits(finding, 0, UINT64_C(0x1e6) | view->beyond);
        }
    }
    return HVCTL_RULE_KEPT;
}

/* The row with this number; NULL after the last. */
static inline const struct hvctl_svm_rule *hvctl_svm_save_rule_at(size_t number)
{
#define HVCTL_X(id, text, check, field, member, names, mask)              \
    {id,    "VMRUN Instruction, Canonicalization and Consistency Checks", \
     text,  HVCTL_FAILURE_VMEXIT_INVALID,                                 \
     check, HVCTL_SVM_FIELD(field, save, member, names),                  \
     mask}
    static const struct hvctl_svm_rule list[] = {
        HVCTL_X("SVM.EFER.SVME", "must have SVME set", hvctl_svm_rule_save_ones, "EFER", efer, HVCTL_BITS_EFER,
                HVCTL_EFER_SVME),
        HVCTL_X("SVM.EFER.MBZ", "must have reserved bits clear", hvctl_svm_rule_efer, "EFER", efer, HVCTL_BITS_EFER, 0),
        HVCTL_X("SVM.EFER.LM", "must have LME and LMA clear without long mode", hvctl_svm_rule_efer_lm, "EFER", efer,
                HVCTL_BITS_EFER, HVCTL_EFER_LME | HVCTL_EFER_LMA),
        HVCTL_X("SVM.EFER.LME_PAE", "must have PAE set with EFER.LME and CR0.PG", hvctl_svm_rule_long_ones, "CR4", cr4,
                HVCTL_BITS_CR4, HVCTL_CR4_PAE),
        HVCTL_X("SVM.EFER.LME_PE", "must have PE set with EFER.LME and CR0.PG", hvctl_svm_rule_long_ones, "CR0", cr0,
                HVCTL_BITS_CR0, HVCTL_CR0_PE),
        HVCTL_X("SVM.EFER.LME_CS", "must not have both L, bit 9, and D, bit 10, set", hvctl_svm_rule_long_cs,
                "CS.attrib", cs.attrib, HVCTL_BITS_UNNAMED, 0),
        HVCTL_X("SVM.CR0.CD_NW", "must have CD set with NW", hvctl_svm_rule_cd_nw, "CR0", cr0, HVCTL_BITS_CR0, 0),
        HVCTL_X("SVM.CR0.HIGH", "must have bits 63:32 clear", hvctl_svm_rule_save_zeros, "CR0", cr0, HVCTL_BITS_CR0,
                UINT64_C(0xffffffff00000000)),
        HVCTL_X("SVM.CR3.MBZ", "must be within the physical-address width in long mode", hvctl_svm_rule_cr3, "CR3", cr3,
                HVCTL_BITS_UNNAMED, 0),
        HVCTL_X("SVM.CR4.MBZ", "must have reserved bits clear", hvctl_svm_rule_cr4, "CR4", cr4, HVCTL_BITS_CR4, 0),
        HVCTL_X("SVM.CR4.CET_WP", "must have WP set with CR4.CET", hvctl_svm_rule_cet_wp, "CR0", cr0, HVCTL_BITS_CR0,
                0),
        HVCTL_X("SVM.CET.S_CET", "must have reserved bits clear", hvctl_svm_rule_s_cet, "S_CET", s_cet,
                HVCTL_BITS_UNNAMED, HVCTL_SVM_CET_RESERVED),
        HVCTL_X("SVM.DR6.HIGH", "must have bits 63:32 clear", hvctl_svm_rule_save_zeros, "DR6", dr6, HVCTL_BITS_UNNAMED,
                UINT64_C(0xffffffff00000000)),
        HVCTL_X("SVM.DR7.HIGH", "must have bits 63:32 clear", hvctl_svm_rule_save_zeros, "DR7", dr7, HVCTL_BITS_UNNAMED,
                UINT64_C(0xffffffff00000000)),
        HVCTL_X("SVM.NP.PDPE",
                "must lead to PDPEs with bits 2:1, 8:5 and those beyond the physical-address width clear",
                hvctl_svm_rule_pdptes, "CR3", cr3, HVCTL_BITS_UNNAMED, 0),
    };
#undef HVCTL_X

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

#endif
