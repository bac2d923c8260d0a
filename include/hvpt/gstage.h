/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The G-stage, RISC-V's second-level format: Sv39x4, Sv48x4 and Sv57x4, with Svpbmt, Svnapot, Svadu and Svvptc.
 * RISC-V Privileged Architecture, "Two-Stage Address Translation". Its config, and the space made of it; the calls on a
 * space are in hvpt.h.
 */
#ifndef HVPT_GSTAGE_H
#define HVPT_GSTAGE_H

#include "format/gstage.h"
#include "hvpt.h"

/* ---- hgatp: "Hypervisor Guest Address Translation and Protection (hgatp) Register" ---- */

#define HVPT_HGATP_MODE_SHIFT 60
#define HVPT_HGATP_VMID_SHIFT 44
#define HVPT_HGATP_PPN_BITS   UINT64_C(0x00000fffffffffff)

enum hvpt_gstage_mode { HVPT_GSTAGE_SV39X4 = 8, HVPT_GSTAGE_SV48X4 = 9, HVPT_GSTAGE_SV57X4 = 10 };

/*
 * mode: HVPT_GSTAGE_SV39X4 .. SV57X4, as in hgatp; 0: Sv48x4.
 * max_page_size: HVPT_4K, HVPT_2M, HVPT_1G, HVPT_512G or 256 TiB; 0: the largest the mode has.
 * maxphyaddr: bits of a physical address, 32 to 56; 0: 56.
 * features: HVPT_GSTAGE_USE_...; policy: HVPT_POLICY_...
 */
struct hvpt_gstage_config {
    unsigned mode;
    uint64_t max_page_size;
    unsigned maxphyaddr;
    uint32_t features;
    uint32_t policy;
};

/**
 * Makes an empty space. hooks stays in use until destroy; config is read and not kept. The root takes 16 KiB (order 2).
 * @retval HVPT_E_CONFIG no config, or one that no hart could have: a number out of range, an unknown feature or policy
 * @retval HVPT_E_HOOK   no hooks, alloc_frame or free_frame is missing, or they are not HVPT_STATIC_HOOKS
 * @retval HVPT_E_NOMEM  no frame for the root
 * Nobody else may use *space until the call returns.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_gstage_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                          const struct hvpt_gstage_config *config);

/**
 * Takes over the tables of an hgatp. The mode and the VMID are hgatp's, the rest is as config says. Sole writer.
 * @param readonly nothing is ever written, every changing call answers HVPT_E_READONLY, destroy frees nothing, and the
 *                 hooks need no alloc_frame and free_frame. Otherwise the tables are this space's from now on, as if
 *                 its hooks had allocated them. HVPT_POLICY_OWN_MARKS says whose the bits are that hardware ignores.
 * @retval HVPT_E_ATTR    hgatp's mode is Bare or unknown
 * @retval HVPT_E_CONFIG, HVPT_E_HOOK as init
 * @retval HVPT_E_ALIGN   the root is not aligned to 16 KiB
 * @retval HVPT_E_RANGE   the root is beyond maxphyaddr
 * @retval HVPT_E_CORRUPT a table cannot be reached or, unless readonly, an entry is not well-formed or a table is
 *                        linked twice; nothing was written
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_gstage_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                           const struct hvpt_gstage_config *config, uint64_t hgatp,
                                                           bool readonly);

#if !defined(HVPT_EXTERN) || defined(HVPT_IMPLEMENT)
/* Derive the masks and the geometry from config; there is no root yet. HVPT_E_CONFIG: no hart can do that. */
static inline HVPT_COLD enum hvpt_status hvpt_gstage_configure(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                               const struct hvpt_gstage_config *config, bool readonly)
{
    enum hvpt_status status = hvpt_space_begin(space, hooks, config, readonly);
    unsigned mode, maxphyaddr, level = 0;

    if (status != HVPT_OK)
        return status;
    mode = config->mode == 0 ? (unsigned)HVPT_GSTAGE_SV48X4 : config->mode;
    maxphyaddr = config->maxphyaddr == 0 ? 56 : config->maxphyaddr;
    if (mode < HVPT_GSTAGE_SV39X4 || mode > HVPT_GSTAGE_SV57X4 || maxphyaddr < 32 || maxphyaddr > 56)
        return HVPT_E_CONFIG;
    if ((config->features & ~(uint32_t)HVPT_GSTAGE_USE_ALL)
        || (config->policy & ~(uint32_t)HVPT_POLICY_ALL))
        return HVPT_E_CONFIG;

    space->rules = hvpt_gstage_rules();
    space->kind = HVPT_KIND_GSTAGE;
    space->frame_mask = HVPT_GSTAGE_PPN_BITS;
    space->frame_shift = 2;
    space->hardware_bits = HVPT_GSTAGE_BIT_ACCESSED | HVPT_GSTAGE_BIT_DIRTY;
    space->map_flushes = !(config->features & HVPT_GSTAGE_USE_SVVPTC); /* a hart may cache invalid entries */
    space->relax_flushes = true; /* a stale entry goes on faulting until HFENCE.GVMA */
    if (config->features & HVPT_GSTAGE_USE_SVNAPOT) {
        space->contig_bit = HVPT_GSTAGE_BIT_NAPOT;
        space->contig_log2[0] = 4;
    }
    space->flush_kind = HVPT_FLUSH_HFENCE;
    hvpt_set_geometry(space, 12, mode - 6, 12 + 9 * (mode - 5) + 2);
    space->root_order = 2; /* four concatenated tables: the x4 */
    space->hpa_limit = UINT64_C(1) << maxphyaddr;
    space->reserved_bits = HVPT_GSTAGE_PPN_BITS & ~(((space->hpa_limit >> 12) - 1) << HVPT_GSTAGE_PPN_SHIFT);
    space->features = config->features;
    space->policy = config->policy;
    space->present_mask = HVPT_GSTAGE_BIT_VALID;
    space->table_bits = HVPT_GSTAGE_BIT_VALID;
    space->table_mask = HVPT_GSTAGE_BIT_VALID | HVPT_GSTAGE_BIT_READ | HVPT_GSTAGE_BIT_WRITE | HVPT_GSTAGE_BIT_EXEC
                      | HVPT_GSTAGE_OF_LEAVES | hvpt_gstage_reserved(space) | space->reserved_bits;
    space->leaf_bits = HVPT_GSTAGE_BIT_VALID | HVPT_GSTAGE_BIT_READ;
    space->leaf_mask = space->leaf_bits | hvpt_gstage_reserved(space) | HVPT_GSTAGE_PBMT_BITS | HVPT_GSTAGE_BIT_NAPOT
                     | space->reserved_bits;
    space->max_leaf_level = space->root_level;
    if (config->max_page_size != 0) {
        while (level <= space->root_level && (HVPT_4K << (9 * level)) != config->max_page_size)
            level++;
        if (level > space->root_level)
            return HVPT_E_CONFIG;
        space->max_leaf_level = (uint8_t)level;
    }
    space->root_register = (uint64_t)mode << HVPT_HGATP_MODE_SHIFT;
    return HVPT_OK;
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_gstage_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                     const struct hvpt_gstage_config *config)
{
    enum hvpt_status status = hvpt_gstage_configure(space, hooks, config, false);

    if (status == HVPT_OK)
        status = hvpt_space_create(space);
    if (status == HVPT_OK)
        space->root_register |= space->root_frame >> 12;
    return hvpt_space_made(space, status);
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_gstage_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                      const struct hvpt_gstage_config *config, uint64_t hgatp,
                                                      bool readonly)
{
    const uint64_t frame = (hgatp & HVPT_HGATP_PPN_BITS) << 12;
    struct hvpt_gstage_config own = {0, 0, 0, 0, 0};
    enum hvpt_status status;

    if (config != NULL)
        own = *config;
    own.mode = (unsigned)(hgatp >> HVPT_HGATP_MODE_SHIFT);
    status = hvpt_gstage_configure(space, hooks, config == NULL ? NULL : &own, readonly);
    if (own.mode < HVPT_GSTAGE_SV39X4 && (status == HVPT_OK || (status == HVPT_E_CONFIG && config != NULL)))
        status = HVPT_E_ATTR; /* hgatp's own mode is Bare, or none of 64-bit harts */
    if (own.mode > HVPT_GSTAGE_SV57X4 && status == HVPT_E_CONFIG && config != NULL)
        status = HVPT_E_ATTR;
    if (status == HVPT_OK && (frame & (HVPT_16K - 1)))
        status = HVPT_E_ALIGN;
    if (status == HVPT_OK && frame >= space->hpa_limit)
        status = HVPT_E_RANGE;
    if (status == HVPT_OK) {
        space->root_register = hgatp;
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
HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_gstage_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                            uint64_t size, struct hvpt_attr attr,
                                                            struct hvpt_flush *flush)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_GSTAGE) ? hvpt_map_any(space, gpa, hpa, size, attr, flush)
                                                        : HVPT_E_ATTR;
}

HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_gstage_unmap(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                      struct hvpt_flush *flush)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_GSTAGE) ? hvpt_unmap_any(space, gpa, size, flush) : HVPT_E_ATTR;
}

HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_gstage_fault_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                          uint64_t page_size, struct hvpt_attr attr)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_GSTAGE) ? hvpt_fault_any(space, gpa, hpa, page_size, attr)
                                                        : HVPT_E_ATTR;
}

HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_gstage_translate(const struct hvpt_space *space, hvpt_gpa gpa,
                                                          struct hvpt_mapping *out)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_GSTAGE) ? hvpt_translate_any(space, gpa, out) : HVPT_E_ATTR;
}

/** hvpt_space_translate_batch; for a space of another format each status is HVPT_E_ATTR. */
HVPT_INLINE void hvpt_gstage_translate_batch(const struct hvpt_space *space, const hvpt_gpa *gpa, size_t count,
                                             struct hvpt_mapping *out, enum hvpt_status *status)
{
    size_t i;

    if (HVPT_LIKELY(space->kind == HVPT_KIND_GSTAGE))
        hvpt_batch_any(space, gpa, count, out, status);
    else
        for (i = 0; i < count; i++)
            status[i] = HVPT_E_ATTR;
}

/* These two link the texts of this format only; the calls of explain.h link those of all formats. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_gstage_explain(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                  uint32_t access, const struct hvpt_text *text)
{
    struct hvpt_diagnosis found;

    return space->kind == HVPT_KIND_GSTAGE
             ? hvpt_explain_into(space, hvpt_gstage_words(), gpa.value, access, text, &found)
             : HVPT_E_ATTR;
}

static inline enum hvpt_status hvpt_gstage_diagnose(const struct hvpt_space *space, hvpt_gpa gpa, uint32_t access,
                                                    struct hvpt_diagnosis *out)
{
    return space->kind == HVPT_KIND_GSTAGE ? hvpt_explain_into(space, hvpt_gstage_words(), gpa.value, access, NULL, out)
                                           : HVPT_E_ATTR;
}
#endif

#endif
