/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * NPT, AMD's second-level format: the x86-64 page-table format, walked with the host's paging mode.
 * APM vol. 2, "Nested Paging". Its config, and the space made of it; the calls on a space are in hvpt.h.
 */
#ifndef HVPT_NPT_H
#define HVPT_NPT_H

#include "format/npt.h"
#include "hvpt.h"

/*
 * levels: 4 or 5, as the host's CR4.LA57 at VMRUN; 0: 4.
 * max_page_size: HVPT_4K, HVPT_2M or HVPT_1G; 0: HVPT_1G. Below HVPT_1G the CPU is taken to have no 1-GByte pages
 * (CPUID 80000001H EDX[26]): an entry that is one is then a reserved-bit fault.
 * maxphyaddr: CPUID 80000008H EAX[7:0], less what memory encryption takes (8000001FH EBX[11:6]); 32 to 52; 0: 52, or
 * c_bit where there is one.
 * c_bit: where the C-bit of memory encryption lies, CPUID 8000001FH EBX[5:0], if the host keeps these tables in memory
 * that it maps with the C-bit. It is then set in the root, in all entries that refer to tables, and in leaves that ask
 * for it by HVPT_NPT_ENCRYPTED. maxphyaddr to 51; 0: none, as for a host that does not encrypt its own memory, even if
 * its SEV guests encrypt theirs (their C-bit is gone from the address when the nested tables are walked; APM vol. 2,
 * "Secure Encrypted Virtualization").
 * pat: the host's IA32_PAT at VMRUN, which the tables' memory types index; 0: HVPT_PAT_RESET, which has no WC and no
 * WP. HVPT_E_CONFIG: WRMSR would refuse it.
 * features: HVPT_NPT_...; policy: HVPT_POLICY_...
 */
struct hvpt_npt_config {
    unsigned levels;
    uint64_t max_page_size;
    unsigned maxphyaddr;
    uint64_t pat;
    uint32_t features;
    uint32_t policy;
    unsigned c_bit;
};

/**
 * Makes an empty space. hooks stays in use until destroy; config is read and not kept.
 * @retval HVPT_E_CONFIG no config, or one that no CPU could have: a number out of range, an unknown feature or policy,
 *                       HVPT_NPT_USE_SHADOW_STACK with HVPT_NPT_NO_NX
 * @retval HVPT_E_HOOK   no hooks, alloc_frame or free_frame is missing, or they are not HVPT_STATIC_HOOKS
 * @retval HVPT_E_NOMEM  no frame for the root
 * Nobody else may use *space until the call returns.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_npt_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                       const struct hvpt_npt_config *config);

/**
 * Takes over the tables of an nCR3, as deep as config says. Sole writer.
 * @param readonly nothing is ever written, every changing call answers HVPT_E_READONLY, destroy frees nothing, and the
 *                 hooks need no alloc_frame and free_frame. Otherwise the tables are this space's from now on, as if
 *                 its hooks had allocated them. HVPT_POLICY_OWN_MARKS says whose the bits are that hardware ignores.
 * @retval HVPT_E_CONFIG, HVPT_E_HOOK as init
 * @retval HVPT_E_RANGE   the root is beyond MAXPHYADDR, or a bit above 51 is set
 * @retval HVPT_E_CORRUPT a table cannot be reached or, unless readonly, an entry is not well-formed or a table is
 *                        linked twice; nothing was written
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_npt_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                        const struct hvpt_npt_config *config, uint64_t ncr3,
                                                        bool readonly);

#if !defined(HVPT_EXTERN) || defined(HVPT_IMPLEMENT)
/* Derive the masks and the geometry from config; there is no root yet. HVPT_E_CONFIG: no CPU can do that. */
static inline HVPT_COLD enum hvpt_status hvpt_npt_configure(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                            const struct hvpt_npt_config *config, bool readonly)
{
    enum hvpt_status status = hvpt_space_begin(space, hooks, config, readonly);
    unsigned levels, maxphyaddr;
    uint64_t max_page_size;

    if (status != HVPT_OK)
        return status;
    levels = config->levels == 0 ? 4 : config->levels;
    maxphyaddr = config->maxphyaddr != 0 ? config->maxphyaddr : config->c_bit != 0 ? config->c_bit : 52;
    max_page_size = config->max_page_size == 0 ? HVPT_1G : config->max_page_size;
    if ((levels != 4 && levels != 5) || maxphyaddr < 32 || maxphyaddr > 52)
        return HVPT_E_CONFIG;
    if (config->c_bit != 0 && (config->c_bit < maxphyaddr || config->c_bit > 51))
        return HVPT_E_CONFIG;
    if ((config->features & HVPT_NPT_USE_SHADOW_STACK) && (config->features & HVPT_NPT_NO_NX))
        return HVPT_E_CONFIG;
    if (max_page_size != HVPT_4K && max_page_size != HVPT_2M && max_page_size != HVPT_1G)
        return HVPT_E_CONFIG;
    if (!hvpt_x86_pat_is_valid(config->pat))
        return HVPT_E_CONFIG;
    if ((config->features & ~(uint32_t)HVPT_NPT_FEATURES_ALL)
        || (config->policy & ~(uint32_t)HVPT_POLICY_ALL))
        return HVPT_E_CONFIG;

    space->rules = hvpt_npt_rules();
    space->kind = HVPT_KIND_NPT;
    hvpt_set_geometry(space, 12, levels - 1, 12 + 9 * levels);
    space->hardware_bits = HVPT_NPT_BIT_ACCESSED | HVPT_NPT_BIT_DIRTY;
    space->flush_kind = HVPT_FLUSH_ASID;
    space->max_leaf_level = max_page_size == HVPT_1G ? 2 : max_page_size == HVPT_2M ? 1 : 0;
    space->hpa_limit = UINT64_C(1) << maxphyaddr;
    space->features = config->features | (config->c_bit != 0 ? UINT64_C(1) << config->c_bit : 0)
                    | (max_page_size == HVPT_1G ? HVPT_NPT_CAN_1G : 0);
    space->frame_mask = HVPT_NPT_ADDRESS_BITS & ~hvpt_npt_c_bit(space);
    space->reserved_bits = HVPT_NPT_ADDRESS_BITS & ~(space->hpa_limit - 1) & ~hvpt_npt_c_bit(space);
    space->reserved_bits |= config->features & HVPT_NPT_NO_NX ? HVPT_NPT_BIT_NX : 0;
    space->policy = config->policy;
    space->present_mask = HVPT_NPT_BIT_PRESENT;
    space->table_bits = HVPT_NPT_BIT_PRESENT | HVPT_NPT_BIT_WRITE | HVPT_NPT_BIT_USER | hvpt_npt_c_bit(space);
    space->table_mask =
        space->table_bits | HVPT_NPT_BIT_NX | HVPT_NPT_BIT_LARGE | UINT64_C(1) << 8 | space->reserved_bits;
    space->leaf_bits = HVPT_NPT_BIT_PRESENT;
    space->leaf_mask = HVPT_NPT_BIT_PRESENT | space->reserved_bits;
    space->format_register = config->pat == 0 ? HVPT_PAT_RESET : config->pat;
    return HVPT_OK;
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_npt_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                  const struct hvpt_npt_config *config)
{
    enum hvpt_status status = hvpt_npt_configure(space, hooks, config, false);

    if (status == HVPT_OK)
        status = hvpt_space_create(space);
    if (status == HVPT_OK) /* with PWT and PCD clear the root is read as write-back */
        space->root_register = space->root_frame | hvpt_npt_c_bit(space);
    return hvpt_space_made(space, status);
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_npt_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                   const struct hvpt_npt_config *config, uint64_t ncr3, bool readonly)
{
    enum hvpt_status status = hvpt_npt_configure(space, hooks, config, readonly);
    uint64_t frame = ncr3 & space->frame_mask;

    if (status == HVPT_OK && (frame >= space->hpa_limit || (ncr3 & ~HVPT_NPT_ADDRESS_BITS & ~(HVPT_4K - 1))))
        status = HVPT_E_RANGE;
    if (status == HVPT_OK) {
        space->root_register = ncr3;
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
HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_npt_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                         uint64_t size, struct hvpt_attr attr, struct hvpt_flush *flush)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_NPT) ? hvpt_map_any(space, gpa, hpa, size, attr, flush) : HVPT_E_ATTR;
}

HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_npt_unmap(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                      struct hvpt_flush *flush)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_NPT) ? hvpt_unmap_any(space, gpa, size, flush) : HVPT_E_ATTR;
}

HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_npt_fault_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                          uint64_t page_size, struct hvpt_attr attr)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_NPT) ? hvpt_fault_any(space, gpa, hpa, page_size, attr) : HVPT_E_ATTR;
}

HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_npt_translate(const struct hvpt_space *space, hvpt_gpa gpa,
                                                          struct hvpt_mapping *out)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_NPT) ? hvpt_translate_any(space, gpa, out) : HVPT_E_ATTR;
}

/** hvpt_space_translate_batch; for a space of another format each status is HVPT_E_ATTR. */
HVPT_INLINE void hvpt_npt_translate_batch(const struct hvpt_space *space, const hvpt_gpa *gpa, size_t count,
                                          struct hvpt_mapping *out, enum hvpt_status *status)
{
    size_t i;

    if (HVPT_LIKELY(space->kind == HVPT_KIND_NPT))
        hvpt_batch_any(space, gpa, count, out, status);
    else
        for (i = 0; i < count; i++)
            status[i] = HVPT_E_ATTR;
}

/* These two link the texts of this format only; the calls of explain.h link those of all formats. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_npt_explain(const struct hvpt_space *space, hvpt_gpa gpa,
                                                               uint32_t access, const struct hvpt_text *text)
{
    struct hvpt_diagnosis found;

    return space->kind == HVPT_KIND_NPT ? hvpt_explain_into(space, hvpt_npt_words(), gpa.value, access, text, &found)
                                        : HVPT_E_ATTR;
}

static inline enum hvpt_status hvpt_npt_diagnose(const struct hvpt_space *space, hvpt_gpa gpa, uint32_t access,
                                                 struct hvpt_diagnosis *out)
{
    return space->kind == HVPT_KIND_NPT ? hvpt_explain_into(space, hvpt_npt_words(), gpa.value, access, NULL, out)
                                        : HVPT_E_ATTR;
}
#endif

#endif
