/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * EPT, Intel's second-level format: its capabilities, its config, and the space made of them.
 * SDM vol. 3, "The Extended Page-Table Mechanism (EPT)". The calls on a space are in hvpt.h.
 */
#ifndef HVPT_EPT_H
#define HVPT_EPT_H

#include "format/ept.h"
#include "hvpt.h"

/* ---- IA32_VMX_EPT_VPID_CAP, the bits that matter here: SDM vol. 3, "VPID and EPT Capabilities" ---- */

#define HVPT_EPT_CAP_EXECUTE_ONLY   (UINT64_C(1) << 0)
#define HVPT_EPT_CAP_LEVELS_4       (UINT64_C(1) << 6)
#define HVPT_EPT_CAP_LEVELS_5       (UINT64_C(1) << 7)
#define HVPT_EPT_CAP_UC             (UINT64_C(1) << 8)
#define HVPT_EPT_CAP_WB             (UINT64_C(1) << 14)
#define HVPT_EPT_CAP_2M             (UINT64_C(1) << 16)
#define HVPT_EPT_CAP_1G             (UINT64_C(1) << 17)
#define HVPT_EPT_CAP_ACCESSED_DIRTY (UINT64_C(1) << 21)
#define HVPT_EPT_CAP_SHADOW_STACK   (UINT64_C(1) << 23)

/* ---- EPTP: SDM vol. 3, "Extended-Page-Table Pointer (EPTP)" ---- */

#define HVPT_EPTP_MEMTYPE_UC     UINT64_C(0)
#define HVPT_EPTP_MEMTYPE_WB     UINT64_C(6)
#define HVPT_EPTP_LEVELS_SHIFT   3
#define HVPT_EPTP_ACCESSED_DIRTY (UINT64_C(1) << 6)
#define HVPT_EPTP_SHADOW_STACK   (UINT64_C(1) << 7)

/*
 * levels: 4 or 5; 0: 4.
 * max_page_size: HVPT_4K, HVPT_2M or HVPT_1G; 0: the largest the CPU has. A size that it lacks stands for the next
 * smaller one; without 2M, 1G is not used either, since it could not be split.
 * ept_vpid_cap: IA32_VMX_EPT_VPID_CAP as read. 0: unknown; nothing is checked then, and the CPU is taken to have what
 * this config asks for and all page sizes, but no execute-only pages.
 * maxphyaddr: CPUID 80000008H EAX[7:0], less the key-ID bits of memory encryption; 32 to 52; 0: 52.
 * features: HVPT_EPT_USE_...; policy: HVPT_POLICY_... Accessed and dirty bits and shadow stacks are turned on by the
 * EPTP, that is by hvpt_space_root, and checked against ept_vpid_cap. Each of the other features needs a VM-execution
 * control of the VMCS, which ept_flags.h names, and which the caller checks and sets; hvctl calls them
 * HVCTL_SECONDARY_MODE_BASED_EXECUTE_CONTROL_FOR_EPT and so on.
 */
struct hvpt_ept_config {
    unsigned levels;
    uint64_t max_page_size;
    uint64_t ept_vpid_cap;
    unsigned maxphyaddr;
    uint32_t features;
    uint32_t policy;
};

/**
 * Makes an empty space. hooks stays in use until destroy; config is read and not kept.
 * @retval HVPT_E_ATTR   the CPU cannot do what config asks
 * @retval HVPT_E_CONFIG no config, or one that no CPU could have: a number out of range, an unknown feature or policy
 * @retval HVPT_E_HOOK   no hooks, alloc_frame or free_frame is missing, or they are not HVPT_STATIC_HOOKS
 * @retval HVPT_E_NOMEM  no frame for the root
 * Nobody else may use *space until the call returns.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_ept_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                       const struct hvpt_ept_config *config);

/**
 * Takes over the tables of an EPTP. The walk length and the flags are the EPTP's, the rest is as config says. Sole
 * writer.
 * @param readonly nothing is ever written, every changing call answers HVPT_E_READONLY, destroy frees nothing, and the
 *                 hooks need no alloc_frame and free_frame. Otherwise the tables are this space's from now on, as if
 *                 its hooks had allocated them. HVPT_POLICY_OWN_MARKS says whose the bits are that hardware ignores.
 * @retval HVPT_E_CONFIG, HVPT_E_HOOK as init
 * @retval HVPT_E_ATTR    as init, or the EPTP has a memory type or bits that this config or CPU does not know
 * @retval HVPT_E_RANGE   the root is beyond MAXPHYADDR
 * @retval HVPT_E_CORRUPT a table cannot be reached or, unless readonly, an entry is not well-formed or a table is
 *                        linked twice; nothing was written
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_ept_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                        const struct hvpt_ept_config *config, uint64_t eptp,
                                                        bool readonly);

#if !defined(HVPT_EXTERN) || defined(HVPT_IMPLEMENT)
/*
 * Derive the masks and the geometry from config; there is no root yet. HVPT_E_ATTR: this CPU cannot do that.
 * HVPT_E_CONFIG: no CPU can.
 */
static inline HVPT_COLD enum hvpt_status hvpt_ept_configure(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                            const struct hvpt_ept_config *config, bool readonly)
{
    enum hvpt_status status = hvpt_space_begin(space, hooks, config, readonly);
    unsigned levels, maxphyaddr;
    uint64_t max_page_size, cap;

    if (status != HVPT_OK)
        return status;
    levels = config->levels == 0 ? 4 : config->levels;
    maxphyaddr = config->maxphyaddr == 0 ? 52 : config->maxphyaddr;
    max_page_size = config->max_page_size == 0 ? HVPT_1G : config->max_page_size;
    cap = config->ept_vpid_cap;
    if (cap == 0)
        cap = ~(uint64_t)HVPT_EPT_CAP_EXECUTE_ONLY;
    /*
     * Without 2-MByte pages a 1-GByte page could not be split; a space that is only read accepts one as hardware does.
     */
    if (!(cap & HVPT_EPT_CAP_2M) && !readonly)
        cap &= ~(uint64_t)HVPT_EPT_CAP_1G;
    if ((levels != 4 && levels != 5) || maxphyaddr < 32 || maxphyaddr > 52
        || (max_page_size != HVPT_4K && max_page_size != HVPT_2M && max_page_size != HVPT_1G)
        || (config->features & ~(uint32_t)HVPT_EPT_USE_ALL) || (config->policy & ~(uint32_t)HVPT_POLICY_ALL))
        return HVPT_E_CONFIG;
    if (!(cap & (levels == 4 ? HVPT_EPT_CAP_LEVELS_4 : HVPT_EPT_CAP_LEVELS_5))
        || !(cap & (HVPT_EPT_CAP_WB | HVPT_EPT_CAP_UC))
        || ((config->features & HVPT_EPT_USE_ACCESSED_DIRTY) && !(cap & HVPT_EPT_CAP_ACCESSED_DIRTY))
        || ((config->features & HVPT_EPT_USE_SHADOW_STACK) && !(cap & HVPT_EPT_CAP_SHADOW_STACK)))
        return HVPT_E_ATTR;

    space->rules = hvpt_ept_rules();
    space->kind = HVPT_KIND_EPT;
    hvpt_set_geometry(space, 12, levels - 1, 12 + 9 * levels);
    space->frame_mask = HVPT_EPT_ADDRESS_BITS;
    space->hardware_bits =
        config->features & HVPT_EPT_USE_ACCESSED_DIRTY ? HVPT_EPT_BIT_ACCESSED | HVPT_EPT_BIT_DIRTY : 0;
    space->flush_kind = HVPT_FLUSH_INVEPT;
    space->hpa_limit = UINT64_C(1) << maxphyaddr;
    space->reserved_bits = HVPT_EPT_ADDRESS_BITS & ~(space->hpa_limit - 1);
    space->features = config->features;
    space->features |= cap & HVPT_EPT_CAP_EXECUTE_ONLY ? HVPT_EPT_CAN_EXECUTE_ONLY : 0;
    space->features |= cap & HVPT_EPT_CAP_2M ? HVPT_EPT_CAN_2M : 0;
    space->features |= cap & HVPT_EPT_CAP_1G ? HVPT_EPT_CAN_1G : 0;
    space->policy = config->policy;
    space->present_mask = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_EXEC
                        | (config->features & HVPT_EPT_USE_MODE_BASED_EXECUTE ? HVPT_EPT_BIT_USER_EXEC : 0)
                        | (config->features & HVPT_EPT_USE_ACCESSED_DIRTY ? 0 : HVPT_EPT_BIT_AGED);
    space->table_bits = HVPT_EPT_BIT_READ | HVPT_EPT_BIT_WRITE | HVPT_EPT_BIT_EXEC
                            | (config->features & HVPT_EPT_USE_MODE_BASED_EXECUTE ? HVPT_EPT_BIT_USER_EXEC : 0);
    space->table_mask = space->table_bits | HVPT_EPT_TABLE_RESERVED | space->reserved_bits;
    space->leaf_bits = HVPT_EPT_BIT_READ | hvpt_x86_memtype_code(HVPT_MEM_WB) << HVPT_EPT_MEMTYPE_SHIFT;
    space->leaf_mask = HVPT_EPT_BIT_READ | HVPT_EPT_MEMTYPE_BITS | space->reserved_bits;
    space->empty_entry = config->features & HVPT_EPT_USE_VIOLATION_VE ? HVPT_EPT_BIT_SUPPRESS_VE : 0;
    if (max_page_size >= HVPT_1G && (cap & HVPT_EPT_CAP_1G))
        space->max_leaf_level = 2;
    else if (max_page_size >= HVPT_2M && (cap & HVPT_EPT_CAP_2M))
        space->max_leaf_level = 1;
    space->root_register = (cap & HVPT_EPT_CAP_WB ? HVPT_EPTP_MEMTYPE_WB : HVPT_EPTP_MEMTYPE_UC)
                         | (uint64_t)(levels - 1) << HVPT_EPTP_LEVELS_SHIFT
                         | (config->features & HVPT_EPT_USE_ACCESSED_DIRTY ? HVPT_EPTP_ACCESSED_DIRTY : 0)
                         | (config->features & HVPT_EPT_USE_SHADOW_STACK ? HVPT_EPTP_SHADOW_STACK : 0);
    return HVPT_OK;
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_ept_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                  const struct hvpt_ept_config *config)
{
    enum hvpt_status status = hvpt_ept_configure(space, hooks, config, false);

    if (status == HVPT_OK)
        status = hvpt_space_create(space);
    if (status == HVPT_OK)
        space->root_register |= space->root_frame;
    return hvpt_space_made(space, status);
}

HVPT_API HVPT_COLD enum hvpt_status hvpt_ept_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                   const struct hvpt_ept_config *config, uint64_t eptp, bool readonly)
{
    const uint64_t frame = eptp & HVPT_EPT_ADDRESS_BITS, memtype = eptp & 7;
    struct hvpt_ept_config own = {0, 0, 0, 0, 0, 0};
    enum hvpt_status status;

    if (config != NULL) {
        own = *config;
        own.levels = (unsigned)((eptp >> HVPT_EPTP_LEVELS_SHIFT) & 7) + 1;
        own.features = (own.features & ~(uint32_t)(HVPT_EPT_USE_ACCESSED_DIRTY | HVPT_EPT_USE_SHADOW_STACK))
                     | (eptp & HVPT_EPTP_ACCESSED_DIRTY ? (uint32_t)HVPT_EPT_USE_ACCESSED_DIRTY : 0)
                     | (eptp & HVPT_EPTP_SHADOW_STACK ? (uint32_t)HVPT_EPT_USE_SHADOW_STACK : 0);
    }
    status = hvpt_ept_configure(space, hooks, config == NULL ? NULL : &own, readonly);
    if (status == HVPT_E_CONFIG && config != NULL && own.levels != 4 && own.levels != 5)
        status = HVPT_E_ATTR; /* the levels are the EPTP's, not config's */
    if (status == HVPT_OK
        && (((eptp ^ space->root_register) & ~(HVPT_EPT_ADDRESS_BITS | 7))
            || (memtype != HVPT_EPTP_MEMTYPE_UC && memtype != HVPT_EPTP_MEMTYPE_WB)
            || (own.ept_vpid_cap != 0
                && !(own.ept_vpid_cap & (memtype == HVPT_EPTP_MEMTYPE_WB ? HVPT_EPT_CAP_WB : HVPT_EPT_CAP_UC)))))
        status = HVPT_E_ATTR;
    if (status == HVPT_OK && frame >= space->hpa_limit)
        status = HVPT_E_RANGE;
    if (status == HVPT_OK) {
        space->root_register = eptp;
        if (readonly && !(own.policy & HVPT_POLICY_OWN_MARKS))
            space->present_mask &= ~HVPT_EPT_BIT_AGED; /* what others left in an empty entry is not an aged page */
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
HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_ept_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                         uint64_t size, struct hvpt_attr attr, struct hvpt_flush *flush)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_EPT) ? hvpt_map_any(space, gpa, hpa, size, attr, flush) : HVPT_E_ATTR;
}

HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_ept_unmap(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                      struct hvpt_flush *flush)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_EPT) ? hvpt_unmap_any(space, gpa, size, flush) : HVPT_E_ATTR;
}

HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_ept_fault_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                          uint64_t page_size, struct hvpt_attr attr)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_EPT) ? hvpt_fault_any(space, gpa, hpa, page_size, attr) : HVPT_E_ATTR;
}

HVPT_NODISCARD HVPT_INLINE enum hvpt_status hvpt_ept_translate(const struct hvpt_space *space, hvpt_gpa gpa,
                                                          struct hvpt_mapping *out)
{
    return HVPT_LIKELY(space->kind == HVPT_KIND_EPT) ? hvpt_translate_any(space, gpa, out) : HVPT_E_ATTR;
}

/** hvpt_space_translate_batch; for a space of another format each status is HVPT_E_ATTR. */
HVPT_INLINE void hvpt_ept_translate_batch(const struct hvpt_space *space, const hvpt_gpa *gpa, size_t count,
                                          struct hvpt_mapping *out, enum hvpt_status *status)
{
    size_t i;

    if (HVPT_LIKELY(space->kind == HVPT_KIND_EPT))
        hvpt_batch_any(space, gpa, count, out, status);
    else
        for (i = 0; i < count; i++)
            status[i] = HVPT_E_ATTR;
}

/* These two link the texts of this format only; the calls of explain.h link those of all formats. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_ept_explain(const struct hvpt_space *space, hvpt_gpa gpa,
                                                               uint32_t access, const struct hvpt_text *text)
{
    struct hvpt_diagnosis found;

    return space->kind == HVPT_KIND_EPT ? hvpt_explain_into(space, hvpt_ept_words(), gpa.value, access, text, &found)
                                        : HVPT_E_ATTR;
}

static inline enum hvpt_status hvpt_ept_diagnose(const struct hvpt_space *space, hvpt_gpa gpa, uint32_t access,
                                                 struct hvpt_diagnosis *out)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_explain_into(space, hvpt_ept_words(), gpa.value, access, NULL, out)
                                        : HVPT_E_ATTR;
}
#endif

#endif
