/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VM-entry rules on the guest's segment registers. A violation makes VM entry fail with exit reason 33. SDM vol. 3,
 * "Checks on Guest Segment Registers".
 */
#ifndef HVCTL_VMX_CHECK_SEGMENTS_H
#define HVCTL_VMX_CHECK_SEGMENTS_H

#include "../common/segment.h"
#include "check_guest.h"

/* Access rights and their parts. A rule's slot 0 is a field of the register, mostly its access rights. */
static inline uint32_t hvctl_vmx_view_rights(const struct hvctl_vmx_view *view, unsigned slot)
{
    return (uint32_t)view->value[slot];
}

static inline uint32_t hvctl_rights_type(uint32_t rights)
{
    return rights & HVCTL_RIGHTS_TYPE_MASK;
}

static inline uint32_t hvctl_rights_dpl(uint32_t rights)
{
    return rights >> HVCTL_RIGHTS_DPL_SHIFT & 3u;
}

static inline uint32_t hvctl_vmx_view_cs(const struct hvctl_vmx_view *view)
{
    return hvctl_vmx_view_rights(view, HVCTL_VMCS_SLOT_GUEST_CS_ACCESS_RIGHTS);
}

static inline uint32_t hvctl_vmx_view_ss(const struct hvctl_vmx_view *view)
{
    return hvctl_vmx_view_rights(view, HVCTL_VMCS_SLOT_GUEST_SS_ACCESS_RIGHTS);
}

/* Rules on rights do not apply in virtual-8086 mode, nor to an unusable register other than CS and TR. */
static inline bool hvctl_vmx_rights_idle(const struct hvctl_vmx_view *view, const struct hvctl_vmx_rule *rule,
                                         uint32_t rights)
{
    unsigned slot = rule->slot[0];

    if (slot == HVCTL_VMCS_SLOT_GUEST_TR_ACCESS_RIGHTS)
        return false;
    if (slot == HVCTL_VMCS_SLOT_GUEST_LDTR_ACCESS_RIGHTS)
        return (rights & HVCTL_RIGHTS_UNUSABLE) != 0;
    return view->v86 || (slot != HVCTL_VMCS_SLOT_GUEST_CS_ACCESS_RIGHTS && (rights & HVCTL_RIGHTS_UNUSABLE));
}

/* Selector bits (mask) that must be 0. slot 1, where there is one, has the rights: an unusable register is exempt. */
static inline enum hvctl_rule_result hvctl_vmx_rule_selector(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    if (rule->slot[1] != HVCTL_VMX_NO_SLOT && (hvctl_vmx_rule_value(view, rule, 1) & HVCTL_RIGHTS_UNUSABLE))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, rule->mask);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_ss_rpl(const struct hvctl_vmx_view *view,
                                                           const struct hvctl_vmx_rule *rule,
                                                           struct hvctl_finding *finding)
{
    finding->because = "unrestricted guest is off";
    if (view->v86 || view->unrestricted)
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words(((finding->actual ^ hvctl_vmx_rule_value(view, rule, 1)) & 3u) == 0);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_v86_base(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    finding->because = "the guest is in virtual-8086 mode";
    return view->v86 ? hvctl_demand_equal(finding, hvctl_vmx_rule_value(view, rule, 1) << 4) : HVCTL_RULE_IDLE;
}

static inline enum hvctl_rule_result hvctl_vmx_rule_v86_equal(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    finding->because = "the guest is in virtual-8086 mode";
    return view->v86 ? hvctl_demand_equal(finding, rule->mask) : HVCTL_RULE_IDLE;
}

/* A base that must be canonical; slot 1 as above. */
static inline enum hvctl_rule_result hvctl_vmx_rule_base_canonical(const struct hvctl_vmx_view *view,
                                                                   const struct hvctl_vmx_rule *rule,
                                                                   struct hvctl_finding *finding)
{
    if (rule->slot[1] != HVCTL_VMX_NO_SLOT && (hvctl_vmx_rule_value(view, rule, 1) & HVCTL_RIGHTS_UNUSABLE))
        return HVCTL_RULE_IDLE;
    return view->intel64 ? hvctl_demand_canonical(finding, view->linear_bits) : HVCTL_RULE_IDLE;
}

/* A base that must have bits 63:32 clear; slot 1 as above. */
static inline enum hvctl_rule_result hvctl_vmx_rule_base_high(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    if (rule->slot[1] != HVCTL_VMX_NO_SLOT && (hvctl_vmx_rule_value(view, rule, 1) & HVCTL_RIGHTS_UNUSABLE))
        return HVCTL_RULE_IDLE;
    return view->intel64 ? hvctl_demand_bits(finding, 0, UINT64_C(0xffffffff00000000)) : HVCTL_RULE_IDLE;
}

/* The type must be in the set mask, which has bit n for type n. */
static inline enum hvctl_rule_result hvctl_vmx_rule_type(const struct hvctl_vmx_view *view,
                                                         const struct hvctl_vmx_rule *rule,
                                                         struct hvctl_finding *finding)
{
    uint32_t rights = (uint32_t)finding->actual;

    if (hvctl_vmx_rights_idle(view, rule, rights))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words((rule->mask >> hvctl_rights_type(rights) & 1u) != 0);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_cs_type(const struct hvctl_vmx_view *view,
                                                            const struct hvctl_vmx_rule *rule,
                                                            struct hvctl_finding *finding)
{
    finding->because = "unrestricted guest is off";
    return view->unrestricted ? HVCTL_RULE_IDLE : hvctl_vmx_rule_type(view, rule, finding);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_cs_type_unrestricted(const struct hvctl_vmx_view *view,
                                                                         const struct hvctl_vmx_rule *rule,
                                                                         struct hvctl_finding *finding)
{
    finding->because = "unrestricted guest is on";
    return view->unrestricted ? hvctl_vmx_rule_type(view, rule, finding) : HVCTL_RULE_IDLE;
}

/* TR must have a 64-bit TSS in IA-32e mode; otherwise a 16-bit one is valid, too. */
static inline enum hvctl_rule_result hvctl_vmx_rule_tr_type(const struct hvctl_vmx_view *view,
                                                            const struct hvctl_vmx_rule *rule,
                                                            struct hvctl_finding *finding)
{
    finding->because = "IA32E_MODE_GUEST is off";
    return view->ia32e_guest ? HVCTL_RULE_IDLE : hvctl_vmx_rule_type(view, rule, finding);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_tr_type_64(const struct hvctl_vmx_view *view,
                                                               const struct hvctl_vmx_rule *rule,
                                                               struct hvctl_finding *finding)
{
    finding->because = "IA32E_MODE_GUEST is on";
    return view->ia32e_guest ? hvctl_vmx_rule_type(view, rule, finding) : HVCTL_RULE_IDLE;
}

/* Bits of the rights that must be 1. */
static inline enum hvctl_rule_result hvctl_vmx_rule_rights_ones(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    if (hvctl_vmx_rights_idle(view, rule, (uint32_t)finding->actual))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, rule->mask, 0);
}

/* Bits of the rights that must be 0. */
static inline enum hvctl_rule_result hvctl_vmx_rule_rights_zeros(const struct hvctl_vmx_view *view,
                                                                 const struct hvctl_vmx_rule *rule,
                                                                 struct hvctl_finding *finding)
{
    if (hvctl_vmx_rights_idle(view, rule, (uint32_t)finding->actual))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, rule->mask);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_cs_dpl_data(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    uint32_t rights = (uint32_t)finding->actual;

    (void)rule;
    if (view->v86 || !view->unrestricted || hvctl_rights_type(rights) != 3)
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, 0x60);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_cs_dpl_nonconforming(const struct hvctl_vmx_view *view,
                                                                         const struct hvctl_vmx_rule *rule,
                                                                         struct hvctl_finding *finding)
{
    uint32_t rights = (uint32_t)finding->actual;

    (void)rule;
    if (view->v86 || (hvctl_rights_type(rights) != 9 && hvctl_rights_type(rights) != 11))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words(hvctl_rights_dpl(rights) == hvctl_rights_dpl(hvctl_vmx_view_ss(view)));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_cs_dpl_conforming(const struct hvctl_vmx_view *view,
                                                                      const struct hvctl_vmx_rule *rule,
                                                                      struct hvctl_finding *finding)
{
    uint32_t rights = (uint32_t)finding->actual;

    (void)rule;
    if (view->v86 || (hvctl_rights_type(rights) != 13 && hvctl_rights_type(rights) != 15))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words(hvctl_rights_dpl(rights) <= hvctl_rights_dpl(hvctl_vmx_view_ss(view)));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_ss_dpl_rpl(const struct hvctl_vmx_view *view,
                                                               const struct hvctl_vmx_rule *rule,
                                                               struct hvctl_finding *finding)
{
    finding->because = "unrestricted guest is off";
    if (view->v86 || view->unrestricted)
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words(hvctl_rights_dpl((uint32_t)finding->actual)
                              == (hvctl_vmx_rule_value(view, rule, 1) & 3u));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_ss_dpl_zero(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    bool real = !(hvctl_vmx_rule_value(view, rule, 2) & HVCTL_CR0_PE);

    finding->because = real ? "CR0.PE is 0" : "CS has type 3";
    if (view->v86 || (!real && hvctl_rights_type(hvctl_vmx_view_cs(view)) != 3))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, 0x60);
}

static inline bool hvctl_vmx_view_fred(const struct hvctl_vmx_view *view)
{
    return (view->value[HVCTL_VMCS_SLOT_GUEST_CR4] & HVCTL_CR4_FRED) != 0;
}

static inline enum hvctl_rule_result hvctl_vmx_rule_fred_dpl(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    uint32_t dpl = hvctl_rights_dpl((uint32_t)finding->actual);

    (void)rule;
    finding->because = "CR4.FRED is set";
    return hvctl_vmx_view_fred(view) ? hvctl_demand_words(dpl == 0 || dpl == 3) : HVCTL_RULE_IDLE;
}

static inline enum hvctl_rule_result hvctl_vmx_rule_fred_l(const struct hvctl_vmx_view *view,
                                                           const struct hvctl_vmx_rule *rule,
                                                           struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "CR4.FRED is set and SS.DPL is 0";
    if (!hvctl_vmx_view_fred(view) || hvctl_rights_dpl(hvctl_vmx_view_ss(view)) != 0)
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, HVCTL_RIGHTS_LONG, 0);
}

/* Bits (mask) that must be 0 in a FRED guest with CPL 3. */
static inline enum hvctl_rule_result hvctl_vmx_rule_fred_user(const struct hvctl_vmx_view *view,
                                                              const struct hvctl_vmx_rule *rule,
                                                              struct hvctl_finding *finding)
{
    finding->because = "CR4.FRED is set and SS.DPL is 3";
    if (!hvctl_vmx_view_fred(view) || hvctl_rights_dpl(hvctl_vmx_view_ss(view)) != 3)
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, rule->mask);
}

/* The DPL of data and non-conforming code must not be below the selector's RPL. Slot 1 is the selector. */
static inline enum hvctl_rule_result hvctl_vmx_rule_dpl_rpl(const struct hvctl_vmx_view *view,
                                                            const struct hvctl_vmx_rule *rule,
                                                            struct hvctl_finding *finding)
{
    uint32_t rights = (uint32_t)finding->actual;

    finding->because = "unrestricted guest is off";
    if (view->unrestricted || hvctl_vmx_rights_idle(view, rule, rights) || hvctl_rights_type(rights) > 11)
        return HVCTL_RULE_IDLE;
    return hvctl_demand_words(hvctl_rights_dpl(rights) >= (hvctl_vmx_rule_value(view, rule, 1) & 3u));
}

static inline enum hvctl_rule_result hvctl_vmx_rule_readable(const struct hvctl_vmx_view *view,
                                                             const struct hvctl_vmx_rule *rule,
                                                             struct hvctl_finding *finding)
{
    uint32_t rights = (uint32_t)finding->actual;

    if (hvctl_vmx_rights_idle(view, rule, rights) || !(rights & HVCTL_RIGHTS_CODE))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, HVCTL_RIGHTS_WRITABLE, 0);
}

static inline enum hvctl_rule_result hvctl_vmx_rule_cs_db(const struct hvctl_vmx_view *view,
                                                          const struct hvctl_vmx_rule *rule,
                                                          struct hvctl_finding *finding)
{
    (void)rule;
    finding->because = "L is set in IA-32e mode";
    if (view->v86 || !view->ia32e_guest || !(finding->actual & HVCTL_RIGHTS_LONG))
        return HVCTL_RULE_IDLE;
    return hvctl_demand_bits(finding, 0, HVCTL_RIGHTS_DB);
}

/* Granularity and limit must agree. Slot 1 is the limit. */
static inline enum hvctl_rule_result hvctl_vmx_rule_granularity(const struct hvctl_vmx_view *view,
                                                                const struct hvctl_vmx_rule *rule,
                                                                struct hvctl_finding *finding)
{
    uint64_t limit = hvctl_vmx_rule_value(view, rule, 1);
    bool bytes = (limit & 0xfffu) != 0xfffu, pages = (limit & UINT32_C(0xfff00000)) != 0;

    if (hvctl_vmx_rights_idle(view, rule, (uint32_t)finding->actual))
        return HVCTL_RULE_IDLE;
    if (bytes && pages)
        return HVCTL_RULE_BROKEN; /* no setting of G matches this limit */
    finding->because = bytes ? "bits 11:0 of the limit are not FFFH" : "the limit has bits 31:20";
    return hvctl_demand_bits(finding, pages ? HVCTL_RIGHTS_GRANULARITY : 0, bytes ? HVCTL_RIGHTS_GRANULARITY : 0);
}

/* The row with this number; NULL after the last. */
static inline const struct hvctl_vmx_rule *hvctl_vmx_segment_rule_at(size_t number)
{
#define HVCTL_X(id, text, check, slots, mask) \
    {id, HVCTL_VMX_SECTION_GUEST_SEGMENTS, text, check, HVCTL_ALWAYS, slots, mask}
#define HVCTL_X_ONE(id, text, check, field, mask) \
    {id, HVCTL_VMX_SECTION_GUEST_SEGMENTS, text, check, HVCTL_ALWAYS, HVCTL_RULE_1(field), mask}
#define HVCTL_X_TWO(id, text, check, field_a, field_b, mask) \
    {id, HVCTL_VMX_SECTION_GUEST_SEGMENTS, text, check, HVCTL_ALWAYS, HVCTL_RULE_2(field_a, field_b), mask}
/* Rules on CS, SS, DS, ES, FS and GS, for which virtual-8086 mode has rules of its own. */
#define HVCTL_X_SEGMENT_1(id, text, check, field, mask) HVCTL_X_TWO(id, text, check, field, GUEST_RFLAGS, mask)
#define HVCTL_X_SEGMENT_2(id, text, check, field_a, field_b, mask) \
    HVCTL_X(id, text, check, HVCTL_RULE_3(field_a, field_b, GUEST_RFLAGS), mask)
/* Rules on each of the six in virtual-8086 mode. */
#define HVCTL_X_V86(r)                                                                                               \
    HVCTL_X_SEGMENT_2("GUEST." #r ".BASE_V86", "must be the selector times 16", hvctl_vmx_rule_v86_base,             \
                      GUEST_##r##_BASE, GUEST_##r##_SELECTOR, 0),                                                    \
        HVCTL_X_SEGMENT_1("GUEST." #r ".LIMIT_V86", "must be FFFFH", hvctl_vmx_rule_v86_equal, GUEST_##r##_LIMIT,    \
                          0xffff),                                                                                   \
        HVCTL_X_SEGMENT_1("GUEST." #r ".AR_V86", "must be F3H", hvctl_vmx_rule_v86_equal, GUEST_##r##_ACCESS_RIGHTS, \
                          0xf3)
#define HVCTL_X_USABLE(r)                                                                                         \
    HVCTL_X_SEGMENT_1("GUEST." #r ".P", "must have P set", hvctl_vmx_rule_rights_ones, GUEST_##r##_ACCESS_RIGHTS, \
                      0x80),                                                                                      \
        HVCTL_X_SEGMENT_1("GUEST." #r ".AR_RESERVED", "must have bits 11:8 and 31:17 clear",                      \
                          hvctl_vmx_rule_rights_zeros, GUEST_##r##_ACCESS_RIGHTS, 0xfffe0f00),                    \
        HVCTL_X_SEGMENT_2("GUEST." #r ".G",                                                                       \
                          "must have G clear unless the limit ends in FFFH, and set if it has bits 31:20",        \
                          hvctl_vmx_rule_granularity, GUEST_##r##_ACCESS_RIGHTS, GUEST_##r##_LIMIT, 0)
#define HVCTL_X_CODE_OR_DATA(r) \
    HVCTL_X_SEGMENT_1("GUEST." #r ".S", "must have S set", hvctl_vmx_rule_rights_ones, GUEST_##r##_ACCESS_RIGHTS, 0x10)
/* TR and LDTR. */
#define HVCTL_X_SYSTEM(r)                                                                                              \
    HVCTL_X_ONE("GUEST." #r ".S", "must have S clear", hvctl_vmx_rule_rights_zeros, GUEST_##r##_ACCESS_RIGHTS, 0x10),  \
        HVCTL_X_ONE("GUEST." #r ".P", "must have P set", hvctl_vmx_rule_rights_ones, GUEST_##r##_ACCESS_RIGHTS, 0x80), \
        HVCTL_X_ONE("GUEST." #r ".AR_RESERVED", "must have bits 11:8 and 31:17 clear", hvctl_vmx_rule_rights_zeros,    \
                    GUEST_##r##_ACCESS_RIGHTS, 0xfffe0f00),                                                            \
        HVCTL_X_TWO("GUEST." #r ".G", "must have G clear unless the limit ends in FFFH, and set if it has bits 31:20", \
                    hvctl_vmx_rule_granularity, GUEST_##r##_ACCESS_RIGHTS, GUEST_##r##_LIMIT, 0)
#define HVCTL_X_DATA(r)                                                                                    \
    HVCTL_X_SEGMENT_1("GUEST." #r ".TYPE_ACCESSED", "must have an accessed type, bit 0 set",               \
                      hvctl_vmx_rule_rights_ones, GUEST_##r##_ACCESS_RIGHTS, 1),                           \
        HVCTL_X_SEGMENT_1("GUEST." #r ".TYPE_READABLE", "must be readable, type bit 1 set, if it is code", \
                          hvctl_vmx_rule_readable, GUEST_##r##_ACCESS_RIGHTS, 0),                          \
        HVCTL_X_SEGMENT_2("GUEST." #r ".DPL_RPL",                                                          \
                          "must have a DPL not below the selector's RPL unless it is conforming code",     \
                          hvctl_vmx_rule_dpl_rpl, GUEST_##r##_ACCESS_RIGHTS, GUEST_##r##_SELECTOR, 0)
    static const struct hvctl_vmx_rule list[] = {
        HVCTL_X_ONE("GUEST.TR.TI", "must have TI, bit 2, clear", hvctl_vmx_rule_selector, GUEST_TR_SELECTOR, 4),
        HVCTL_X_TWO("GUEST.LDTR.TI", "must have TI, bit 2, clear", hvctl_vmx_rule_selector, GUEST_LDTR_SELECTOR,
                    GUEST_LDTR_ACCESS_RIGHTS, 4),
        HVCTL_X_SEGMENT_2("GUEST.SS.RPL", "must have the RPL of CS", hvctl_vmx_rule_ss_rpl, GUEST_SS_SELECTOR,
                          GUEST_CS_SELECTOR, 0),
        HVCTL_X_V86(CS),
        HVCTL_X_V86(SS),
        HVCTL_X_V86(DS),
        HVCTL_X_V86(ES),
        HVCTL_X_V86(FS),
        HVCTL_X_V86(GS),
        HVCTL_X_ONE("GUEST.TR.BASE_CANONICAL", "must be canonical", hvctl_vmx_rule_base_canonical, GUEST_TR_BASE, 0),
        HVCTL_X_ONE("GUEST.FS.BASE_CANONICAL", "must be canonical", hvctl_vmx_rule_base_canonical, GUEST_FS_BASE, 0),
        HVCTL_X_ONE("GUEST.GS.BASE_CANONICAL", "must be canonical", hvctl_vmx_rule_base_canonical, GUEST_GS_BASE, 0),
        HVCTL_X_TWO("GUEST.LDTR.BASE_CANONICAL", "must be canonical", hvctl_vmx_rule_base_canonical, GUEST_LDTR_BASE,
                    GUEST_LDTR_ACCESS_RIGHTS, 0),
        HVCTL_X_ONE("GUEST.CS.BASE_HIGH", "must have bits 63:32 clear", hvctl_vmx_rule_base_high, GUEST_CS_BASE, 0),
        HVCTL_X_TWO("GUEST.SS.BASE_HIGH", "must have bits 63:32 clear", hvctl_vmx_rule_base_high, GUEST_SS_BASE,
                    GUEST_SS_ACCESS_RIGHTS, 0),
        HVCTL_X_TWO("GUEST.DS.BASE_HIGH", "must have bits 63:32 clear", hvctl_vmx_rule_base_high, GUEST_DS_BASE,
                    GUEST_DS_ACCESS_RIGHTS, 0),
        HVCTL_X_TWO("GUEST.ES.BASE_HIGH", "must have bits 63:32 clear", hvctl_vmx_rule_base_high, GUEST_ES_BASE,
                    GUEST_ES_ACCESS_RIGHTS, 0),
        HVCTL_X_SEGMENT_1("GUEST.CS.TYPE", "must have type 9, 11, 13 or 15", hvctl_vmx_rule_cs_type,
                          GUEST_CS_ACCESS_RIGHTS, 0xaa00),
        HVCTL_X_SEGMENT_1("GUEST.CS.TYPE_UG", "must have type 3, 9, 11, 13 or 15", hvctl_vmx_rule_cs_type_unrestricted,
                          GUEST_CS_ACCESS_RIGHTS, 0xaa08),
        HVCTL_X_SEGMENT_1("GUEST.SS.TYPE", "must have type 3 or 7", hvctl_vmx_rule_type, GUEST_SS_ACCESS_RIGHTS, 0x88),
        HVCTL_X_DATA(DS),
        HVCTL_X_DATA(ES),
        HVCTL_X_DATA(FS),
        HVCTL_X_DATA(GS),
        HVCTL_X_CODE_OR_DATA(CS),
        HVCTL_X_CODE_OR_DATA(SS),
        HVCTL_X_CODE_OR_DATA(DS),
        HVCTL_X_CODE_OR_DATA(ES),
        HVCTL_X_CODE_OR_DATA(FS),
        HVCTL_X_CODE_OR_DATA(GS),
        HVCTL_X_SEGMENT_1("GUEST.CS.DPL_DATA", "must have DPL 0 with type 3", hvctl_vmx_rule_cs_dpl_data,
                          GUEST_CS_ACCESS_RIGHTS, 0),
        HVCTL_X_SEGMENT_2("GUEST.CS.DPL_NONCONFORMING", "must have the DPL of SS with type 9 or 11",
                          hvctl_vmx_rule_cs_dpl_nonconforming, GUEST_CS_ACCESS_RIGHTS, GUEST_SS_ACCESS_RIGHTS, 0),
        HVCTL_X_SEGMENT_2("GUEST.CS.DPL_CONFORMING", "must have a DPL not above that of SS with type 13 or 15",
                          hvctl_vmx_rule_cs_dpl_conforming, GUEST_CS_ACCESS_RIGHTS, GUEST_SS_ACCESS_RIGHTS, 0),
        HVCTL_X_SEGMENT_2("GUEST.SS.DPL_RPL", "must have the selector's RPL as DPL", hvctl_vmx_rule_ss_dpl_rpl,
                          GUEST_SS_ACCESS_RIGHTS, GUEST_SS_SELECTOR, 0),
        HVCTL_X("GUEST.SS.DPL_ZERO", "must have DPL 0 in real mode, and with CS of type 3", hvctl_vmx_rule_ss_dpl_zero,
                HVCTL_RULE_4(GUEST_SS_ACCESS_RIGHTS, GUEST_CS_ACCESS_RIGHTS, GUEST_CR0, GUEST_RFLAGS), 0),
        HVCTL_X_TWO("GUEST.SS.FRED_DPL", "must have DPL 0 or 3", hvctl_vmx_rule_fred_dpl, GUEST_SS_ACCESS_RIGHTS,
                    GUEST_CR4, 0),
        HVCTL_X("GUEST.SS.FRED_L", "must have L set with CPL 0", hvctl_vmx_rule_fred_l,
                HVCTL_RULE_3(GUEST_CS_ACCESS_RIGHTS, GUEST_SS_ACCESS_RIGHTS, GUEST_CR4), 0),
        HVCTL_X("GUEST.SS.FRED_IOPL", "must have IOPL 0 with CPL 3", hvctl_vmx_rule_fred_user,
                HVCTL_RULE_3(GUEST_RFLAGS, GUEST_SS_ACCESS_RIGHTS, GUEST_CR4), HVCTL_RFLAGS_IOPL),
        HVCTL_X("GUEST.SS.FRED_STI", "must not have blocking by STI with CPL 3", hvctl_vmx_rule_fred_user,
                HVCTL_RULE_3(GUEST_INTERRUPTIBILITY_STATE, GUEST_SS_ACCESS_RIGHTS, GUEST_CR4), 1),
        HVCTL_X_USABLE(CS),
        HVCTL_X_USABLE(SS),
        HVCTL_X_USABLE(DS),
        HVCTL_X_USABLE(ES),
        HVCTL_X_USABLE(FS),
        HVCTL_X_USABLE(GS),
        HVCTL_X_SEGMENT_2("GUEST.CS.DB", "must have D/B clear in 64-bit mode", hvctl_vmx_rule_cs_db,
                          GUEST_CS_ACCESS_RIGHTS, VM_ENTRY_CONTROLS, 0),
        HVCTL_X_TWO("GUEST.TR.TYPE", "must have type 3 or 11", hvctl_vmx_rule_tr_type, GUEST_TR_ACCESS_RIGHTS,
                    VM_ENTRY_CONTROLS, 0x808),
        HVCTL_X_TWO("GUEST.TR.TYPE_64", "must have type 11", hvctl_vmx_rule_tr_type_64, GUEST_TR_ACCESS_RIGHTS,
                    VM_ENTRY_CONTROLS, 0x800),
        HVCTL_X_ONE("GUEST.TR.USABLE", "must be usable", hvctl_vmx_rule_rights_zeros, GUEST_TR_ACCESS_RIGHTS, 0x10000),
        HVCTL_X_SYSTEM(TR),
        HVCTL_X_ONE("GUEST.LDTR.TYPE", "must have type 2", hvctl_vmx_rule_type, GUEST_LDTR_ACCESS_RIGHTS, 4),
        HVCTL_X_SYSTEM(LDTR),
    };
#undef HVCTL_X
#undef HVCTL_X_ONE
#undef HVCTL_X_TWO
#undef HVCTL_X_SEGMENT_1
#undef HVCTL_X_SEGMENT_2
#undef HVCTL_X_V86
#undef HVCTL_X_USABLE
#undef HVCTL_X_CODE_OR_DATA
#undef HVCTL_X_SYSTEM
#undef HVCTL_X_DATA

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

#endif
