/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Stage 2, Arm's second-level format (VMSAv8-64): granules of 4, 16 and 64 KiB, concatenated roots, LPA2.
 * Arm ARM, "The AArch64 Virtual Memory System Architecture". Its registers and config, and the space made of them; the
 * calls on a space are in hvpt.h.
 */
#ifndef HVPT_STAGE2_H
#define HVPT_STAGE2_H

#include "format/stage2.h"
#include "hvpt.h"

/* ---- VTCR_EL2 and VTTBR_EL2: Arm ARM, "VTCR_EL2, Virtualization Translation Control Register" ---- */

#define HVPT_VTCR_SL0_SHIFT   6
#define HVPT_VTCR_IRGN0_WB    (UINT64_C(1) << 8)
#define HVPT_VTCR_ORGN0_WB    (UINT64_C(1) << 10)
#define HVPT_VTCR_SH0_INNER   (UINT64_C(3) << 12)
#define HVPT_VTCR_TG0_64K     (UINT64_C(1) << 14)
#define HVPT_VTCR_TG0_16K     (UINT64_C(2) << 14)
#define HVPT_VTCR_PS_SHIFT    16
#define HVPT_VTCR_VS          (UINT64_C(1) << 19)
#define HVPT_VTCR_HA          (UINT64_C(1) << 21)
#define HVPT_VTCR_HD          (UINT64_C(1) << 22)
#define HVPT_VTCR_RES1        (UINT64_C(1) << 31)
#define HVPT_VTCR_DS          (UINT64_C(1) << 32)
#define HVPT_VTCR_SL2         (UINT64_C(1) << 33)
#define HVPT_VTCR_S2PIE       (UINT64_C(1) << 36)
#define HVPT_VTCR_S2POE       (UINT64_C(1) << 37) /* permission overlays, by S2POR_EL1; not set here */
#define HVPT_VTCR_HAFT        (UINT64_C(1) << 44)
#define HVPT_VTCR_HDBSS       (UINT64_C(1) << 45)
#define HVPT_VTTBR_VMID_SHIFT 48

/*
 * granule_shift: 12, 14 or 16; 0: 12.
 * ipa_bits: width of the guest-physical space, 32 to 52; 0: 40.
 * levels: depth of the tree; 0: the fewest that suffice, with up to 16 root tables concatenated.
 * max_page_size: a block or page size of the granule; 0: the largest there is.
 * mmfr0, mmfr1, mmfr2: ID_AA64MMFR0_EL1 .. 2_EL1 as read, all three of them; all 0: unknown; the CPU is then taken to
 * have what this config asks for.
 * features: HVPT_S2_USE_...; policy: HVPT_POLICY_...
 * mmfr3: ID_AA64MMFR3_EL1 as read; ignored where mmfr0 is 0.
 */
struct hvpt_s2_config {
    unsigned granule_shift;
    unsigned ipa_bits;
    unsigned levels;
    uint64_t max_page_size;
    uint64_t mmfr0;
    uint64_t mmfr1;
    uint64_t mmfr2;
    uint32_t features;
    uint32_t policy;
    uint64_t mmfr3;
};

/**
 * Makes an empty space. hooks stays in use until destroy; config is read and not kept. The root may take a frame of a
 * higher order than other tables, for up to 16 concatenated ones.
 * @retval HVPT_E_ATTR   the CPU cannot do what config asks, or a feature lacks another one that it needs
 * @retval HVPT_E_CONFIG no config, or one that no CPU could have: a number out of range, an unknown feature or policy
 * @retval HVPT_E_HOOK   no hooks, alloc_frame or free_frame is missing, or they are not HVPT_STATIC_HOOKS
 * @retval HVPT_E_NOMEM  no frame for the root
 * Nobody else may use *space until the call returns.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_s2_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                      const struct hvpt_s2_config *config);

/**
 * Takes over the tables of a VTTBR_EL2. hvpt_space_root and flushes keep the whole value, VMID included; the geometry
 * is as config says. Sole writer.
 * @param readonly nothing is ever written, every changing call answers HVPT_E_READONLY, destroy frees nothing, and the
 *                 hooks need no alloc_frame and free_frame. Otherwise the tables are this space's from now on, as if
 *                 its hooks had allocated them. HVPT_POLICY_OWN_MARKS says whose the bits are that hardware ignores.
 * @retval HVPT_E_ATTR, HVPT_E_CONFIG, HVPT_E_HOOK as init
 * @retval HVPT_E_ALIGN   the root is not aligned to its size
 * @retval HVPT_E_RANGE   the root is beyond the width of physical addresses
 * @retval HVPT_E_CORRUPT a table cannot be reached or, unless readonly, an entry is not well-formed or a table is
 *                        linked twice; nothing was written
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_s2_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                       const struct hvpt_s2_config *config, uint64_t vttbr,
                                                       bool readonly);

/** The value for VTCR_EL2 that goes with the space. Reader. */
static inline uint64_t hvpt_s2_vtcr(const struct hvpt_space *space)
{
    return space->format_register;
}

/*
 * The value for S2PIR_EL2 that goes with HVPT_S2_USE_INDIRECT, the same for every space: the four bits that make up the
 * index keep the meanings that they have without it, and bit 7 is the dirty state. Arm ARM, "S2PIR_EL2, Stage 2
 * Permission Indirection Register".
 */
static inline uint64_t hvpt_s2_pir(void)
{
    /* By the index XN[1:0]:DBM:S2AP[0]. XN 00 adds execution at EL0 and EL1, 01 at EL0, 10 at neither, 11 at EL1. */
    return UINT64_C(0xe4a0c480d490f4b0);
}

/* The address width, in bits, that a code of PARange or PS stands for; 0: it is reserved. */
static inline unsigned hvpt_s2_pa_bits(uint64_t code)
{
    static const uint8_t bits[] = {32, 36, 40, 42, 44, 48, 52, 56};

    return code < sizeof(bits) ? bits[code] : 0;
}

#if !defined(HVPT_EXTERN) || defined(HVPT_IMPLEMENT)
/* Does the CPU have this granule at stage 2, and (wide) with 52-bit addresses?  Arm ARM, "ID_AA64MMFR0_EL1". */
static inline bool hvpt_s2_has_granule(uint64_t mmfr0, unsigned shift, bool wide)
{
    unsigned first = shift == 12 ? 28 : shift == 14 ? 20 : 24;
    unsigned second = shift == 12 ? 40 : shift == 14 ? 32 : 36;
    unsigned stage1 = (unsigned)(mmfr0 >> first) & 15;
    unsigned stage2 = (unsigned)(mmfr0 >> second) & 15;

    if (stage2 == 0) {
        if (shift == 14)
            return stage1 >= (wide ? 2u : 1u);
        return stage1 != 15 && (!wide || stage1 >= 1 || shift == 16);
    }
    return stage2 >= (wide && shift != 16 ? 3u : 2u);
}

/* Do the features that config asks for go together, and do the ID registers have them? */
static inline bool hvpt_s2_has_features(const struct hvpt_s2_config *config)
{
    const uint64_t hafdbs = config->mmfr1 & 15;

    if ((config->features & (HVPT_S2_USE_HARDWARE_DIRTY | HVPT_S2_USE_TABLE_AF))
        && !(config->features & HVPT_S2_USE_HARDWARE_AF))
        return false;
    if ((config->features & (HVPT_S2_USE_HDBSS | HVPT_S2_USE_INDIRECT))
        && !(config->features & HVPT_S2_USE_HARDWARE_DIRTY))
        return false;
    if (config->mmfr0 != 0 && (config->features & HVPT_S2_USE_INDIRECT) && ((config->mmfr3 >> 12) & 15) < 1)
        return false;
    if (config->mmfr0 != 0 || config->mmfr1 != 0) {
        if ((config->features & HVPT_S2_USE_TABLE_AF) && hafdbs < 3)
            return false;
        if ((config->features & HVPT_S2_USE_HDBSS) && hafdbs < 4)
            return false;
        if ((config->features & HVPT_S2_USE_HARDWARE_AF) && hafdbs < 1)
            return false;
        if ((config->features & HVPT_S2_USE_HARDWARE_DIRTY) && hafdbs < 2)
            return false;
        if ((config->features & HVPT_S2_USE_VMID16) && ((config->mmfr1 >> 4) & 15) < 2)
            return false;
        if ((config->features & HVPT_S2_USE_XNX) && ((config->mmfr1 >> 28) & 15) < 1)
            return false;
    }
    if (config->mmfr0 == 0 && config->mmfr2 == 0)
        return true;
    if ((config->features & HVPT_S2_USE_BBM2) && ((config->mmfr2 >> 52) & 15) < 2)
        return false;
    if ((config->features & HVPT_S2_USE_BBM1) && ((config->mmfr2 >> 52) & 15) < 1)
        return false;
    return !(config->features & HVPT_S2_USE_FWB) || ((config->mmfr2 >> 40) & 15) >= 1;
}

/*
 * SL0 and SL2 for a tree of that many levels.  Arm ARM, "VTCR_EL2": SL0 counts from the granule's own lowest start.
 */
static inline uint64_t hvpt_s2_start_level_bits(unsigned shift, unsigned levels)
{
    if (shift == 12)
        return levels == 5 ? HVPT_VTCR_SL2
             : levels == 1 ? UINT64_C(3) << HVPT_VTCR_SL0_SHIFT
                           : (uint64_t)(levels - 2) << HVPT_VTCR_SL0_SHIFT;
    return (uint64_t)(levels - 1) << HVPT_VTCR_SL0_SHIFT;
}

/* The fewest levels for a width, since the root may be up to 16 concatenated tables. */
static inline unsigned hvpt_s2_least_levels(unsigned shift, unsigned ipa_bits)
{
    unsigned index = shift - 3;
    unsigned levels = shift == 12 ? 2 : 1; /* a 4K root at Arm's level 3 needs FEAT_TTST: not used */

    while (ipa_bits > shift + levels * index + 4)
        levels++;
    return levels;
}

/*
 * Derive the masks and the geometry from config; there is no root yet. HVPT_E_ATTR: this CPU cannot do that.
 * HVPT_E_CONFIG: no CPU can.
 */
static inline HVPT_COLD enum hvpt_status hvpt_s2_configure(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                           const struct hvpt_s2_config *config, bool readonly)
{
    enum hvpt_status status = hvpt_space_begin(space, hooks, config, readonly);
    unsigned shift, ipa_bits, index, pa_code, pa_bits, levels, level = 0, root_bits;
    bool lpa2;

    if (status != HVPT_OK)
        return status;
    shift = config->granule_shift == 0 ? 12 : config->granule_shift;
    ipa_bits = config->ipa_bits == 0 ? 40 : config->ipa_bits;
    index = shift - 3;
    lpa2 = (config->features & HVPT_S2_USE_LPA2) != 0;
    pa_code = config->mmfr0 == 0 ? 6 : (unsigned)(config->mmfr0 & 15);
    if ((shift != 12 && shift != 14 && shift != 16) || (lpa2 && shift == 16) || ipa_bits < 32 || ipa_bits > 52
        || (config->features & ~(uint32_t)HVPT_S2_USE_ALL) || (config->policy & ~(uint32_t)HVPT_POLICY_ALL))
        return HVPT_E_CONFIG;
    if (!hvpt_s2_has_features(config)
        || (config->mmfr0 != 0 && !hvpt_s2_has_granule(config->mmfr0, shift, lpa2)))
        return HVPT_E_ATTR;
    /* 52 bits are for the 64K granule and for LPA2; wider ones (FEAT_D128) need another format. */
    if (pa_code > 6)
        pa_code = 6;
    if (pa_code == 6 && shift != 16 && !lpa2)
        pa_code = 5;
    pa_bits = hvpt_s2_pa_bits(pa_code);
    if (ipa_bits > pa_bits)
        return config->mmfr0 != 0 ? HVPT_E_ATTR : HVPT_E_CONFIG;
    levels = config->levels == 0 ? hvpt_s2_least_levels(shift, ipa_bits) : config->levels;
    if (levels < hvpt_s2_least_levels(shift, ipa_bits)
        || levels > (shift == 12   ? (lpa2 ? 5u : 4u)
                     : shift == 14 ? 4u
                                   : 3u)
        || ipa_bits <= shift + (levels - 1) * index)
        return HVPT_E_CONFIG;
    if (shift == 14 && levels == 4 && !lpa2)
        return HVPT_E_CONFIG;
    /* The highest start is reserved where physical addresses could not need it.  Arm ARM, "VTCR_EL2", SL0. */
    if ((shift == 12 && levels == 4 && pa_bits < 44) || (shift == 14 && levels == 3 && pa_bits < 42)
        || (shift == 16 && levels == 3 && pa_bits < 44))
        return HVPT_E_ATTR;

    space->rules = hvpt_s2_rules();
    space->kind = HVPT_KIND_S2;
    space->frame_mask = ((UINT64_C(1) << 48) - 1) & ~((UINT64_C(1) << shift) - 1);
    space->relax_flushes = true; /* a CPU may go on denying from what it has cached */
    space->hardware_bits = HVPT_S2_BIT_AF;
    if (config->features & HVPT_S2_USE_HARDWARE_DIRTY) {
        space->hardware_bits |= HVPT_S2_BIT_WRITTEN;
        space->dirty_gate = HVPT_S2_BIT_DBM;
    }
    space->break_bits = HVPT_S2_MEMATTR_BITS | HVPT_S2_SH_BITS;
    space->break_sizes = !(config->features & HVPT_S2_USE_BBM2);
    if (config->features & HVPT_S2_USE_CONTIGUOUS) { /* Arm ARM, "The Contiguous bit" */
        space->contig_bit = HVPT_S2_BIT_CONTIG;
        space->contig_log2[0] = shift == 12 ? 4 : shift == 14 ? 7 : 5;
        space->contig_log2[1] = shift == 12 ? 4 : 5;
        space->contig_log2[2] = shift == 12 ? 4 : 0;
    }
    space->flush_kind = HVPT_FLUSH_TLBI;
    hvpt_set_geometry(space, shift, levels - 1, ipa_bits);
    space->hpa_limit = UINT64_C(1) << pa_bits;
    space->features = config->features | (shift == 16 && pa_bits == 52 ? HVPT_S2_HAS_LPA : 0);
    space->policy = config->policy;
    space->present_mask = HVPT_S2_BIT_VALID;
    space->table_bits = HVPT_S2_BIT_VALID | HVPT_S2_BIT_TABLE;
    space->table_mask = space->table_bits | hvpt_s2_bits_beyond(pa_bits);
    /* Where PA[51:48] lies, with LPA2 or with the 64K granule: few frames have addresses that high. */
    if (space->features & HVPT_S2_USE_LPA2)
        space->far_bits = UINT64_C(3) << 48 | UINT64_C(3) << 8;
    if (space->features & HVPT_S2_HAS_LPA)
        space->far_bits = UINT64_C(15) << 12;
    space->table_mask |= space->far_bits;
    space->leaf_bits = space->table_bits; /* a page has the same two bits as a table */
    space->leaf_mask = space->table_mask;
    if (config->features & HVPT_S2_USE_TABLE_AF) { /* so that a walk need not set it */
        space->table_bits |= HVPT_S2_BIT_AF;
        space->table_mask |= HVPT_S2_BIT_AF;
    }
    root_bits = 3 + ipa_bits - (shift + (levels - 1) * index);
    space->root_order = (uint8_t)((root_bits > shift ? root_bits : shift) - 12);
    space->max_leaf_level = (uint8_t)hvpt_s2_block_level(space);
    if (space->max_leaf_level > space->root_level)
        space->max_leaf_level = space->root_level;
    if (config->max_page_size != 0) {
        while (level <= hvpt_s2_block_level(space) && (UINT64_C(1) << (shift + level * index)) != config->max_page_size)
            level++;
        if (level > hvpt_s2_block_level(space))
            return HVPT_E_CONFIG;
        if (level < space->max_leaf_level)
            space->max_leaf_level = (uint8_t)level;
    }
    space->format_register =
        (uint64_t)(64 - ipa_bits) | hvpt_s2_start_level_bits(shift, levels) | HVPT_VTCR_IRGN0_WB | HVPT_VTCR_ORGN0_WB
        | HVPT_VTCR_SH0_INNER | (uint64_t)pa_code << HVPT_VTCR_PS_SHIFT | HVPT_VTCR_RES1
        | (shift == 14   ? HVPT_VTCR_TG0_16K
           : shift == 16 ? HVPT_VTCR_TG0_64K
                         : 0)
        | (config->features & HVPT_S2_USE_VMID16 ? HVPT_VTCR_VS : 0)
        | (config->features & HVPT_S2_USE_HARDWARE_AF ? HVPT_VTCR_HA : 0)
        | (config->features & HVPT_S2_USE_HARDWARE_DIRTY ? HVPT_VTCR_HD : 0) | (lpa2 ? HVPT_VTCR_DS : 0)
        | (config->features & HVPT_S2_USE_INDIRECT ? HVPT_VTCR_S2PIE : 0)
        | (config->features & HVPT_S2_USE_TABLE_AF ? HVPT_VTCR_HAFT : 0)
        | (config->features & HVPT_S2_USE_HDBSS ? HVPT_VTCR_HDBSS : 0);
    return HVPT_OK;
}

/* VTTBR_EL2.BADDR: bits 51:48 of the root lie in bits 5:2. */
static inline uint64_t hvpt_s2_baddr(uint64_t frame)
{
    return (frame & ((UINT64_C(1) << 48) - 1)) | ((frame >> 48) & 15) << 2;
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_s2_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                 const struct hvpt_s2_config *config)
{
    enum hvpt_status status = hvpt_s2_configure(space, hooks, config, false);

    if (status == HVPT_OK)
        status = hvpt_space_create(space);
    if (status == HVPT_OK)
        space->root_register = hvpt_s2_baddr(space->root_frame);
    return hvpt_space_made(space, status);
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_s2_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                  const struct hvpt_s2_config *config, uint64_t vttbr, bool readonly)
{
    uint64_t frame = vttbr & ((UINT64_C(1) << 48) - 1) & ~UINT64_C(0x3f);
    enum hvpt_status status = hvpt_s2_configure(space, hooks, config, readonly);

    if (status == HVPT_OK && space->hpa_limit > UINT64_C(1) << 48)
        frame |= ((vttbr >> 2) & 15) << 48;
    if (status == HVPT_OK && (frame & ((HVPT_4K << space->root_order) - 1)))
        status = HVPT_E_ALIGN;
    if (status == HVPT_OK && frame >= space->hpa_limit)
        status = HVPT_E_RANGE;
    if (status == HVPT_OK) {
        space->root_register = vttbr;
        status = hvpt_space_take_over(space, frame);
    }
    return hvpt_space_made(space, status);
}
#endif

#ifndef HVPT_EXTERN
/*
 * The calls that run once a page, inlined for callers that know the format and want the last nanosecond, and those that
 * explain. Each does what the call of that name in hvpt.h or explain.h does, and refuses a space of another format
 * (HVPT_E_ATTR).
 */
HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_s2_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                        uint64_t size, struct hvpt_attr attr, struct hvpt_flush *flush)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_S2) ? hvpt_map_any(space, gpa, hpa, size, attr, flush) : HVPT_E_ATTR;
}

HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_s2_unmap(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                      struct hvpt_flush *flush)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_S2) ? hvpt_unmap_any(space, gpa, size, flush) : HVPT_E_ATTR;
}

HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_s2_fault_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                          uint64_t page_size, struct hvpt_attr attr)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_S2) ? hvpt_fault_any(space, gpa, hpa, page_size, attr) : HVPT_E_ATTR;
}

HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_s2_translate(const struct hvpt_space *space, hvpt_gpa gpa,
                                                          struct hvpt_mapping *out)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_S2) ? hvpt_translate_any(space, gpa, out) : HVPT_E_ATTR;
}

/** hvpt_space_translate_batch; for a space of another format each status is HVPT_E_ATTR. */
HVPT_INLINE void hvpt_s2_translate_batch(const struct hvpt_space *space, const hvpt_gpa *gpa, size_t count,
                                         struct hvpt_mapping *out, enum hvpt_status *status)
{
    size_t i;

    if (HVPT_LIKELY(space->kind == HVPT_KIND_S2))
        hvpt_batch_any(space, gpa, count, out, status);
    else
        for (i = 0; i < count; i++)
            status[i] = HVPT_E_ATTR;
}

/* These two link the texts of this format only; the calls of explain.h link those of all formats. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_s2_explain(const struct hvpt_space *space, hvpt_gpa gpa,
                                                              uint32_t access, const struct hvpt_text *text)
{
    struct hvpt_diagnosis found;

    return space->kind == HVPT_KIND_S2 ? hvpt_explain_into(space, hvpt_s2_words(), gpa.value, access, text, &found)
                                       : HVPT_E_ATTR;
}

static inline enum hvpt_status hvpt_s2_diagnose(const struct hvpt_space *space, hvpt_gpa gpa, uint32_t access,
                                                struct hvpt_diagnosis *out)
{
    return space->kind == HVPT_KIND_S2 ? hvpt_explain_into(space, hvpt_s2_words(), gpa.value, access, NULL, out)
                                       : HVPT_E_ATTR;
}
#endif

#endif
