/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The walk of an Arm guest's address: stage 1 of EL1 and EL0 in the VMSAv8-64 format, over stage 2.
 * Arm ARM, "The AArch64 Virtual Memory System Architecture"; the pseudocode AArch64.TranslateAddress gives the order.
 */
#ifndef HVPT_GUEST_ARM_H
#define HVPT_GUEST_ARM_H

#include "common.h"
#include "../fault/stage2.h"

/* ---- bits of the guest's registers ---- */

#define HVPT_ARM_SCTLR_M    (UINT64_C(1) << 0)
#define HVPT_ARM_SCTLR_WXN  (UINT64_C(1) << 19)
#define HVPT_ARM_SCTLR_EE   (UINT64_C(1) << 25) /* tables are big-endian */
#define HVPT_ARM_SCTLR_EPAN (UINT64_C(1) << 57)
#define HVPT_ARM_HCR_PTW    (UINT64_C(1) << 2)  /* no table walk in Device memory */
#define HVPT_ARM_HCR_DC     (UINT64_C(1) << 12) /* stage 1 is off, whatever SCTLR_EL1 says */
#define HVPT_ARM_SPSR_PAN   (UINT64_C(1) << 22)
#define HVPT_ARM_SPSR_UAO   (UINT64_C(1) << 23)

/* TCR_EL1. A name ending in 0 or 1 is the field for TTBR0_EL1 or TTBR1_EL1; T0SZ is in bits 5:0. */
#define HVPT_ARM_TCR_T1SZ_SHIFT 16
#define HVPT_ARM_TCR_EPD0       (UINT64_C(1) << 7)
#define HVPT_ARM_TCR_EPD1       (UINT64_C(1) << 23)
#define HVPT_ARM_TCR_TG0_SHIFT  14
#define HVPT_ARM_TCR_TG1_SHIFT  30
#define HVPT_ARM_TCR_IPS_SHIFT  32
#define HVPT_ARM_TCR_TBI0       (UINT64_C(1) << 37)
#define HVPT_ARM_TCR_TBI1       (UINT64_C(1) << 38)
#define HVPT_ARM_TCR_HA         (UINT64_C(1) << 39)
#define HVPT_ARM_TCR_HD         (UINT64_C(1) << 40)
#define HVPT_ARM_TCR_HPD0       (UINT64_C(1) << 41)
#define HVPT_ARM_TCR_HPD1       (UINT64_C(1) << 42)
#define HVPT_ARM_TCR_TBID0      (UINT64_C(1) << 51)
#define HVPT_ARM_TCR_TBID1      (UINT64_C(1) << 52)
#define HVPT_ARM_TCR_E0PD0      (UINT64_C(1) << 55)
#define HVPT_ARM_TCR_E0PD1      (UINT64_C(1) << 56)
#define HVPT_ARM_TCR_DS         (UINT64_C(1) << 59)

/* Stage 1 descriptors: Arm ARM, "VMSAv8-64 translation table format descriptors". */
#define HVPT_ARM_PTE_VALID      (UINT64_C(1) << 0)
#define HVPT_ARM_PTE_TABLE      (UINT64_C(1) << 1) /* a table above level 0, a page at level 0 */
#define HVPT_ARM_PTE_ATTR_SHIFT 2
#define HVPT_ARM_PTE_EL0        (UINT64_C(1) << 6) /* AP[1] */
#define HVPT_ARM_PTE_READ_ONLY  (UINT64_C(1) << 7) /* AP[2] */
#define HVPT_ARM_PTE_AF         (UINT64_C(1) << 10)
#define HVPT_ARM_PTE_DBM        (UINT64_C(1) << 51)
#define HVPT_ARM_PTE_CONTIGUOUS (UINT64_C(1) << 52)
#define HVPT_ARM_PTE_PXN        (UINT64_C(1) << 53)
#define HVPT_ARM_PTE_UXN        (UINT64_C(1) << 54)
#define HVPT_ARM_TABLE_PXN      (UINT64_C(1) << 59)
#define HVPT_ARM_TABLE_UXN      (UINT64_C(1) << 60)
#define HVPT_ARM_TABLE_NO_EL0   (UINT64_C(1) << 61) /* APTable[0] */
#define HVPT_ARM_TABLE_NO_WRITE (UINT64_C(1) << 62) /* APTable[1] */

/*
 * Who makes the access, beside HVPT_READ, HVPT_WRITE, both for an atomic instruction, or HVPT_EXEC. Neither: EL1.
 * HVPT_ARM_UNPRIVILEGED: LDTR, STTR and their siblings at EL1, which have the permissions of EL0 unless PSTATE.UAO is
 * set.
 */
enum hvpt_arm_access { HVPT_ARM_EL0 = 1 << 8, HVPT_ARM_UNPRIVILEGED = 1 << 9 };

/*
 * The guest's state: the registers of these names. hcr: HCR_EL2, of which DC and PTW are read; TGE must be clear.
 * spsr: SPSR_EL2 of the exit, of which PAN and UAO are read.  mair: MAIR_EL1, which decides attr alone.
 * mmfr0, mmfr1, mmfr2: the CPU's own ID_AA64MMFR0_EL1 .. 2_EL1, whatever the guest is shown; all 0: unknown; the CPU is
 * then taken to have what the registers ask for, and 52-bit physical addresses.
 * memory: how to reach the guest's frames, if not by the hooks of the space: a phys_to_virt that returns NULL keeps the
 * walk away from frames that are no memory.
 */
struct hvpt_arm_guest {
    uint64_t sctlr;
    uint64_t tcr;
    uint64_t ttbr0;
    uint64_t ttbr1;
    uint64_t mair;
    uint64_t hcr;
    uint64_t spsr;
    uint64_t mmfr0;
    uint64_t mmfr1;
    uint64_t mmfr2;
    const struct hvpt_hooks *memory;
};

/*
 * What the walk found, up to where it ended; the rest is zero. Levels count from the smallest pages, as everywhere in
 * hvpt: Arm's level 3 is 0, its level -1 is 4.
 *
 * Stage 1. paging: it is on; upper: by TTBR1_EL1; granule_shift: 12, 14 or 16. step[root_level] down to step[level]
 * were used or, where fault_gpa is that of a descriptor (on_table), down to the one above step[level], which could not
 * be read. gpa, guest_page_size: where stage 1 leads (0: it did not).  contiguous: the leaf has that bit, and a TLB may
 * hold more than guest_page_size.  attr: its byte of MAIR_EL1.  el1_perm, el0_perm: what the tables allow each mode,
 * WXN included and PAN not.  guest_perm: what this access may do, PAN included.
 *
 * Stage 2. second: its mapping of gpa, or of fault_gpa: permissions, page size; or the level and the entry of what was
 * in the way.
 * on_table: the access to stage 2 was to a table of the guest, not the guest's own.
 *
 * With HVPT_GUEST_OK: hpa; page_size, what both stages map in one piece around it; perm, what both allow this access.
 *
 * With HVPT_GUEST_PAGE_FAULT (to EL1) and HVPT_GUEST_STAGE2_FAULT (to EL2): fault and fault_level, esr, and linear in
 * FAR_ELx. What ESR_EL2 tells about the instruction (HVPT_ESR_INSTRUCTION_BITS) is left 0 and IL is set, as for one of
 * 32 bits.  fault_gpa: the address at stage 2, to the byte.  hpfar: HPFAR_EL2, with hpfar_valid; it is unknown
 * otherwise.
 */
struct hvpt_arm_walk {
    enum hvpt_guest_end end;
    uint64_t linear;

    bool paging;
    bool upper;
    unsigned granule_shift;
    unsigned root_level;
    unsigned level;
    struct hvpt_guest_step step[HVPT_MAX_LEVELS];
    hvpt_gpa gpa;
    uint64_t guest_page_size;
    bool contiguous;
    uint8_t attr;
    uint32_t el1_perm;
    uint32_t el0_perm;
    uint32_t guest_perm;

    struct hvpt_mapping second;
    bool on_table;

    enum hvpt_s2_fault_kind fault;
    unsigned fault_level;
    uint64_t esr;
    hvpt_gpa fault_gpa;
    bool hpfar_valid;
    uint64_t hpfar;

    hvpt_hpa hpa;
    uint64_t page_size;
    uint32_t perm;
};

/* ---- stage 1's registers, taken apart ---- */

struct hvpt_arm_paging {
    bool upper;
    unsigned shift;
    unsigned input_bits;
    unsigned output_bits;
    bool ds;
    bool lpa; /* 64K granule, 52-bit addresses in descriptors */
    bool set_accessed;
    bool set_dirty;
    bool no_hierarchy;
    bool execute_pan;
    unsigned root_level;
    unsigned block_level;
    uint64_t root;
};

/* A field of an ID register, or yes if the ID registers are unknown. */
static inline unsigned hvpt_arm_id(const struct hvpt_arm_guest *guest, uint64_t reg, unsigned shift, unsigned yes)
{
    if (guest->mmfr0 == 0 && guest->mmfr1 == 0 && guest->mmfr2 == 0)
        return yes;
    return (unsigned)(reg >> shift) & 15;
}

/* Does the CPU have the granule at stage 1, and (wide) with FEAT_LPA2?  Arm ARM, "ID_AA64MMFR0_EL1". */
static inline bool hvpt_arm_has_granule(const struct hvpt_arm_guest *guest, unsigned shift, bool wide)
{
    switch (shift) {
    case 12: {
        const unsigned code = hvpt_arm_id(guest, guest->mmfr0, 28, 1);

        return wide ? code == 1 : code <= 1;
    }
    case 14: return hvpt_arm_id(guest, guest->mmfr0, 20, 2) >= (wide ? 2u : 1u);
    case 16: return hvpt_arm_id(guest, guest->mmfr0, 24, 0) == 0;
    default: return false;
    }
}

/* The width of the CPU's physical addresses by PARange, of which 7 (56 bits) is of no use to this format. */
static inline unsigned hvpt_arm_physical_bits(unsigned code)
{
    return code > 6 ? 52 : hvpt_s2_pa_bits(code);
}

/*
 * Decode the registers that say how linear is translated. false: no CPU can be in this state: a granule that is
 * reserved or that the CPU lacks.
 */
static inline bool hvpt_arm_read_mode(const struct hvpt_arm_guest *guest, bool upper, struct hvpt_arm_paging *paging)
{
    static const uint8_t lower_granule[4] = {12, 16, 14, 0}, upper_granule[4] = {0, 14, 12, 16};
    const uint64_t tcr = guest->tcr, ttbr = upper ? guest->ttbr1 : guest->ttbr0;
    const unsigned range = hvpt_arm_id(guest, guest->mmfr0, 0, 6), ips = (unsigned)(tcr >> HVPT_ARM_TCR_IPS_SHIFT) & 7;
    const unsigned hafdbs = hvpt_arm_id(guest, guest->mmfr1, 0, 2);
    unsigned index, size;

    paging->upper = upper;
    paging->shift =
        upper ? upper_granule[tcr >> HVPT_ARM_TCR_TG1_SHIFT & 3] : lower_granule[tcr >> HVPT_ARM_TCR_TG0_SHIFT & 3];
    if (!hvpt_arm_has_granule(guest, paging->shift, false))
        return false;
    paging->ds = (tcr & HVPT_ARM_TCR_DS) && paging->shift != 16 && hvpt_arm_has_granule(guest, paging->shift, true);
    paging->lpa = paging->shift == 16 && range >= 6;
    paging->output_bits = hvpt_arm_physical_bits(ips < range ? ips : range);
    if (paging->output_bits > 48 && !paging->ds && !paging->lpa)
        paging->output_bits = 48;
    paging->input_bits = 64 - ((unsigned)(tcr >> (upper ? HVPT_ARM_TCR_T1SZ_SHIFT : 0)) & 63);
    paging->set_accessed = (tcr & HVPT_ARM_TCR_HA) && hafdbs >= 1;
    paging->set_dirty = paging->set_accessed && (tcr & HVPT_ARM_TCR_HD) && hafdbs >= 2;
    paging->no_hierarchy =
        (tcr & (upper ? HVPT_ARM_TCR_HPD1 : HVPT_ARM_TCR_HPD0)) && hvpt_arm_id(guest, guest->mmfr1, 12, 1) >= 1;
    paging->execute_pan = (guest->sctlr & HVPT_ARM_SCTLR_EPAN) && hvpt_arm_id(guest, guest->mmfr1, 20, 3) >= 3;
    /* AArch64.BlockDescSupported: 1G of 4K, 32M of 16K, 512M of 64K; one more with 52-bit addresses. */
    paging->block_level = (paging->shift == 12 ? 2u : 1u) + (paging->ds || paging->lpa ? 1u : 0u);

    index = paging->shift - 3;
    paging->root_level = 0;
    paging->root = 0;
    if (paging->input_bits < 16 || paging->input_bits > 52)
        return true; /* out of range, whatever the address */
    while (paging->input_bits > paging->shift + (paging->root_level + 1) * index)
        paging->root_level++;
    /* The root is aligned to its size; where addresses have 52 bits, to 64 bytes at least, and bits 5:2 hold 51:48. */
    size = paging->input_bits + 3 - paging->shift - paging->root_level * index;
    paging->root = ttbr & UINT64_C(0x0000fffffffffffe);
    if (paging->ds || (paging->lpa && ips >= 6)) {
        size = size < 6 ? 6 : size;
        paging->root |= (ttbr >> 2 & 15) << 48;
    }
    paging->root &= ~((UINT64_C(1) << size) - 1);
    return true;
}

/* Does the access have the permissions of EL0? */
static inline bool hvpt_arm_is_unprivileged(const struct hvpt_arm_guest *guest, uint32_t access)
{
    return (access & HVPT_ARM_EL0) || ((access & HVPT_ARM_UNPRIVILEGED) && !(guest->spsr & HVPT_ARM_SPSR_UAO));
}

/*
 * The bits of an address that matter: without the top byte if TBI says so, which does not hold for fetches with TBID.
 */
static inline uint64_t hvpt_arm_untagged(const struct hvpt_arm_guest *guest, bool upper, uint32_t access)
{
    const bool ignored = (guest->tcr & (upper ? HVPT_ARM_TCR_TBI1 : HVPT_ARM_TCR_TBI0))
                      && !((access & HVPT_EXEC) && (guest->tcr & (upper ? HVPT_ARM_TCR_TBID1 : HVPT_ARM_TCR_TBID0)));

    return ignored ? UINT64_C(0x00ffffffffffffff) : UINT64_MAX;
}

/*
 * Is linear outside the range that TxSZ gives, or is this half of the address space closed?  Arm ARM, "Selection
 * between TTBR0_ELx and TTBR1_ELx", "TCR_EL1". For a TxSZ beyond what the CPU has, the manual leaves open whether the
 * nearest valid one is used; here it is a fault.
 */
static inline bool hvpt_arm_out_of_range(const struct hvpt_arm_guest *guest, const struct hvpt_arm_paging *paging,
                                         uint64_t linear, uint32_t access)
{
    const bool upper = paging->upper;
    const bool small_tables = hvpt_arm_id(guest, guest->mmfr2, 28, 1) >= 1; /* FEAT_TTST */
    const bool large = paging->ds || (paging->shift == 16 && hvpt_arm_id(guest, guest->mmfr2, 16, 1) >= 1);
    const unsigned least = !small_tables ? 25 : paging->shift == 16 ? 17 : 16;
    uint64_t above = hvpt_arm_untagged(guest, upper, access);

    if (paging->input_bits < least || paging->input_bits > (large ? 52u : 48u))
        return true;
    above &= ~((UINT64_C(1) << paging->input_bits) - 1);
    if ((linear & above) != (upper ? above : 0))
        return true;
    if (hvpt_arm_is_unprivileged(guest, access) && (guest->tcr & (upper ? HVPT_ARM_TCR_E0PD1 : HVPT_ARM_TCR_E0PD0))
        && hvpt_arm_id(guest, guest->mmfr2, 60, 1) >= 1)
        return true;
    return (guest->tcr & (upper ? HVPT_ARM_TCR_EPD1 : HVPT_ARM_TCR_EPD0)) != 0;
}

/* ---- descriptors ---- */

/* The address in a descriptor, aligned to 1 << shift, the granule's or the block's. */
static inline uint64_t hvpt_arm_address(const struct hvpt_arm_paging *paging, uint64_t entry, unsigned shift)
{
    const uint64_t low = (UINT64_C(1) << shift) - 1;

    if (paging->lpa)
        return (entry & UINT64_C(0x0000ffffffffffff) & ~low) | (entry >> 12 & 15) << 48;
    if (paging->ds)
        return (entry & UINT64_C(0x0003ffffffffffff) & ~low) | (entry >> 8 & 3) << 50;
    return entry & UINT64_C(0x0000ffffffffffff) & ~low;
}

/*
 * What all descriptors together allow EL1 and EL0. table: the hierarchical bits of the tables on the way, 0 if they are
 * disabled.  Arm ARM, "Data access permission controls", "Instruction execution permissions".
 */
static inline void hvpt_arm_permissions(const struct hvpt_arm_guest *guest, const struct hvpt_arm_paging *paging,
                                        uint64_t leaf, uint64_t table, struct hvpt_arm_walk *walk)
{
    const bool read_only = (leaf & HVPT_ARM_PTE_READ_ONLY) && !(paging->set_dirty && (leaf & HVPT_ARM_PTE_DBM));
    const bool writable = !read_only && !(table & HVPT_ARM_TABLE_NO_WRITE);
    const bool el0 = (leaf & HVPT_ARM_PTE_EL0) && !(table & HVPT_ARM_TABLE_NO_EL0);
    const bool wxn = (guest->sctlr & HVPT_ARM_SCTLR_WXN) != 0;
    const bool el1_exec = !(leaf & HVPT_ARM_PTE_PXN) && !(table & HVPT_ARM_TABLE_PXN) && !(el0 && writable);
    const bool el0_exec = !(leaf & HVPT_ARM_PTE_UXN) && !(table & HVPT_ARM_TABLE_UXN);

    walk->el1_perm =
        HVPT_READ | (writable ? (uint32_t)HVPT_WRITE : 0) | (el1_exec && !(wxn && writable) ? (uint32_t)HVPT_EXEC : 0);
    walk->el0_perm = (el0 ? (uint32_t)HVPT_READ : 0) | (el0 && writable ? (uint32_t)HVPT_WRITE : 0)
                   | (el0_exec && !(wxn && el0 && writable) ? (uint32_t)HVPT_EXEC : 0);
}

/* What this access may do: PAN denies EL1 the data that EL0 can reach.  Arm ARM, "About PSTATE.PAN". */
static inline uint32_t hvpt_arm_allows(const struct hvpt_arm_guest *guest, const struct hvpt_arm_paging *paging,
                                       const struct hvpt_arm_walk *walk, uint32_t access)
{
    const uint32_t reached = HVPT_READ | (paging->execute_pan ? (uint32_t)HVPT_EXEC : 0);

    if (hvpt_arm_is_unprivileged(guest, access))
        return walk->el0_perm;
    if ((guest->spsr & HVPT_ARM_SPSR_PAN) && (walk->el0_perm & reached))
        return walk->el1_perm & ~(uint32_t)(HVPT_READ | HVPT_WRITE);
    return walk->el1_perm;
}

/* ---- faults ---- */

/* The syndrome of a fault without the exception class. failed: the part of access that was refused. */
static inline uint64_t hvpt_arm_syndrome(enum hvpt_s2_fault_kind kind, unsigned level, uint32_t access, uint32_t failed)
{
    /* An atomic access is reported as a read if the read alone would have been refused, too. */
    const bool write = (access & HVPT_WRITE) && !(access & failed & HVPT_READ);

    return HVPT_ESR_BIT_LENGTH | (write ? HVPT_ESR_BIT_WRITE : 0) | hvpt_s2_fault_status(kind, level);
}

/* A fault of stage 1, which the guest's EL1 gets. Always false. */
static inline bool hvpt_arm_guest_fault(enum hvpt_s2_fault_kind kind, unsigned level, uint32_t access, uint32_t failed,
                                        struct hvpt_arm_walk *walk)
{
    const uint64_t fetch = access & HVPT_ARM_EL0 ? HVPT_ESR_FETCH_LOWER : HVPT_ESR_FETCH_SAME;
    const uint64_t data = access & HVPT_ARM_EL0 ? HVPT_ESR_DATA_LOWER : HVPT_ESR_DATA_SAME;

    walk->end = HVPT_GUEST_PAGE_FAULT;
    walk->fault = kind;
    walk->fault_level = level;
    walk->esr =
        (access & HVPT_EXEC ? fetch : data) << HVPT_ESR_CLASS_SHIFT | hvpt_arm_syndrome(kind, level, access, failed);
    return false;
}

/*
 * Access gpa at stage 2. asked: what stage 2 must allow; access: the guest's whole access, which the syndrome is about.
 * on_table: it is the table walk's. true: walk->second is its mapping. false: walk->end says why not.
 */
static inline bool hvpt_arm_second(const struct hvpt_space *space, const struct hvpt_arm_guest *guest, uint64_t gpa,
                                   uint32_t asked, uint32_t access, bool on_table, struct hvpt_arm_walk *walk)
{
    const bool no_device = on_table && (guest->hcr & HVPT_ARM_HCR_PTW);
    const enum hvpt_second found = hvpt_second_access_s2(space, gpa, asked, no_device, &walk->second);
    const uint64_t fetch = access & HVPT_EXEC ? HVPT_ESR_FETCH_LOWER : HVPT_ESR_DATA_LOWER;
    uint32_t failed = asked;

    if (found == HVPT_SECOND_ALLOWED)
        return true;
    walk->on_table = on_table;
    walk->fault_gpa = hvpt_make_gpa(gpa);
    if (found == HVPT_SECOND_UNREACHABLE) {
        walk->end = HVPT_GUEST_UNREACHABLE;
        return false;
    }
    if (found == HVPT_SECOND_DENIED) {
        walk->fault = HVPT_S2_FAULT_PERMISSION;
        failed = asked & ~walk->second.attr.perm;
    } else {
        walk->fault = found == HVPT_SECOND_NOT_ACCESSED ? HVPT_S2_FAULT_ACCESS_FLAG
                    : found == HVPT_SECOND_MALFORMED    ? HVPT_S2_FAULT_ADDRESS_SIZE
                                                        : HVPT_S2_FAULT_TRANSLATION;
    }
    walk->end = HVPT_GUEST_STAGE2_FAULT;
    walk->fault_level = gpa >= space->gpa_limit ? 3 : walk->second.level;
    walk->esr = fetch << HVPT_ESR_CLASS_SHIFT | (on_table ? HVPT_ESR_BIT_TABLE : 0)
              | hvpt_arm_syndrome(walk->fault, walk->fault_level, access, on_table ? access : failed);
    walk->hpfar_valid = on_table || walk->fault != HVPT_S2_FAULT_PERMISSION;
    if (walk->hpfar_valid)
        walk->hpfar = gpa >> HVPT_HPFAR_ADDRESS_SHIFT & HVPT_HPFAR_ADDRESS_BITS;
    return false;
}

/* ---- the walk ---- */

/* Convert a descriptor of big-endian tables, read by a little-endian CPU. */
static inline uint64_t hvpt_arm_swap(uint64_t word)
{
    word = (word & UINT64_C(0x00000000ffffffff)) << 32 | word >> 32;
    word = (word & UINT64_C(0x0000ffff0000ffff)) << 16 | (word >> 16 & UINT64_C(0x0000ffff0000ffff));
    return (word & UINT64_C(0x00ff00ff00ff00ff)) << 8 | (word >> 8 & UINT64_C(0x00ff00ff00ff00ff));
}

/* Read the descriptor at gpa, once, into *step. */
static inline bool hvpt_arm_read_entry(const struct hvpt_space *space, const struct hvpt_arm_guest *guest, uint64_t gpa,
                                       uint32_t access, struct hvpt_guest_step *step, struct hvpt_arm_walk *walk)
{
    uint64_t word = 0;

    if (!hvpt_arm_second(space, guest, gpa, HVPT_READ, access, true, walk))
        return false;
    if (!hvpt_guest_read(space, guest->memory, walk->second.hpa.value, &word)) {
        walk->end = HVPT_GUEST_UNREACHABLE;
        walk->on_table = true;
        walk->fault_gpa = hvpt_make_gpa(gpa);
        return false;
    }
    step->gpa = hvpt_make_gpa(gpa);
    step->hpa = walk->second.hpa;
    step->entry = guest->sctlr & HVPT_ARM_SCTLR_EE ? hvpt_arm_swap(word) : word;
    return true;
}

/* Walk the guest's tables from the root to the leaf: find gpa, and what all descriptors say together. */
static inline bool hvpt_arm_descend(const struct hvpt_space *space, const struct hvpt_arm_guest *guest,
                                    const struct hvpt_arm_paging *paging, uint32_t access, struct hvpt_arm_walk *walk)
{
    const unsigned index_bits = paging->shift - 3;
    const uint64_t input = walk->linear & ((UINT64_C(1) << paging->input_bits) - 1);
    uint64_t table = paging->root, hierarchy = 0;
    unsigned level = paging->root_level;

    for (;; level--) {
        const unsigned shift = paging->shift + level * index_bits;
        uint64_t index = input >> shift, entry, address;

        if (level != paging->root_level)
            index &= (UINT64_C(1) << index_bits) - 1;
        walk->level = level;
        if (!hvpt_arm_read_entry(space, guest, table + index * 8, access, &walk->step[level], walk))
            return false;
        entry = walk->step[level].entry;
        if (!(entry & HVPT_ARM_PTE_VALID) || (level == 0 && !(entry & HVPT_ARM_PTE_TABLE)))
            return hvpt_arm_guest_fault(HVPT_S2_FAULT_TRANSLATION, level, access, access, walk);
        if (level != 0 && (entry & HVPT_ARM_PTE_TABLE)) {
            table = hvpt_arm_address(paging, entry, paging->shift);
            if (table >> paging->output_bits)
                return hvpt_arm_guest_fault(HVPT_S2_FAULT_ADDRESS_SIZE, level, access, access, walk);
            hierarchy |= paging->no_hierarchy ? 0 : entry;
            continue;
        }
        if (level > paging->block_level)
            return hvpt_arm_guest_fault(HVPT_S2_FAULT_TRANSLATION, level, access, access, walk);
        address = hvpt_arm_address(paging, entry, shift);
        if (address >> paging->output_bits)
            return hvpt_arm_guest_fault(HVPT_S2_FAULT_ADDRESS_SIZE, level, access, access, walk);
        walk->gpa = hvpt_make_gpa(address | (input & ((UINT64_C(1) << shift) - 1)));
        walk->guest_page_size = UINT64_C(1) << shift;
        walk->contiguous = (entry & HVPT_ARM_PTE_CONTIGUOUS) != 0;
        walk->attr = (uint8_t)(guest->mair >> 8 * (entry >> HVPT_ARM_PTE_ATTR_SHIFT & 7));
        hvpt_arm_permissions(guest, paging, entry, hierarchy, walk);
        return true;
    }
}

/*
 * Check the leaf's access flag, the permissions, and what hardware would write into the leaf, which stage 2 must allow.
 */
static inline bool hvpt_arm_judge(const struct hvpt_space *space, const struct hvpt_arm_guest *guest,
                                  const struct hvpt_arm_paging *paging, uint32_t access, struct hvpt_arm_walk *walk)
{
    struct hvpt_guest_step *leaf = &walk->step[walk->level];
    const uint32_t what = access & (HVPT_READ | HVPT_WRITE | HVPT_EXEC);

    if (!(leaf->entry & HVPT_ARM_PTE_AF) && !paging->set_accessed)
        return hvpt_arm_guest_fault(HVPT_S2_FAULT_ACCESS_FLAG, walk->level, access, access, walk);
    walk->guest_perm = hvpt_arm_allows(guest, paging, walk, access);
    if (what & ~walk->guest_perm)
        return hvpt_arm_guest_fault(HVPT_S2_FAULT_PERMISSION, walk->level, access, what & ~walk->guest_perm, walk);
    leaf->update = (uint32_t)(~leaf->entry & HVPT_ARM_PTE_AF);
    if ((access & HVPT_WRITE) && paging->set_dirty && (leaf->entry & HVPT_ARM_PTE_DBM))
        leaf->update |= (uint32_t)(leaf->entry & HVPT_ARM_PTE_READ_ONLY);
    return leaf->update == 0
        || hvpt_arm_second(space, guest, leaf->gpa.value, HVPT_READ | HVPT_WRITE, access, true, walk);
}

/* With stage 1 off, the address is guest-physical as it is.  Arm ARM, "Behavior when stage 1 is disabled". */
static inline bool hvpt_arm_flat(const struct hvpt_arm_guest *guest, uint32_t access, bool upper,
                                 struct hvpt_arm_walk *walk)
{
    const unsigned bits = hvpt_arm_physical_bits(hvpt_arm_id(guest, guest->mmfr0, 0, 6));
    const uint64_t address = walk->linear & hvpt_arm_untagged(guest, upper, access);

    if (address >> bits)
        return hvpt_arm_guest_fault(HVPT_S2_FAULT_ADDRESS_SIZE, 3, access, access, walk);
    walk->gpa = hvpt_make_gpa(address);
    walk->guest_page_size = UINT64_C(1) << bits;
    walk->el1_perm = walk->el0_perm = walk->guest_perm = HVPT_READ | HVPT_WRITE | HVPT_EXEC;
    return true;
}

/* Make the access itself, at walk->gpa. With FEAT_XNX stage 2 distinguishes who fetches. */
static inline bool hvpt_arm_final(const struct hvpt_space *space, const struct hvpt_arm_guest *guest, uint32_t access,
                                  struct hvpt_arm_walk *walk)
{
    const uint32_t exec = (space->features & HVPT_S2_USE_XNX) && (access & HVPT_ARM_EL0) ? HVPT_EXEC_USER : HVPT_EXEC;
    const uint32_t asked = (access & (HVPT_READ | HVPT_WRITE)) | (access & HVPT_EXEC ? exec : 0);

    if (!hvpt_arm_second(space, guest, walk->gpa.value, asked, access, false, walk))
        return false;
    walk->hpa = walk->second.hpa;
    walk->page_size = walk->guest_page_size < walk->second.page_size ? walk->guest_page_size : walk->second.page_size;
    walk->perm = walk->guest_perm & walk->second.attr.perm & (HVPT_READ | HVPT_WRITE);
    if ((walk->guest_perm & HVPT_EXEC) && (walk->second.attr.perm & exec))
        walk->perm |= HVPT_EXEC;
    walk->end = HVPT_GUEST_OK;
    return true;
}

/* Is it one of HVPT_READ, HVPT_WRITE, both, or HVPT_EXEC, and a mode? No fetch is unprivileged at EL1. */
static inline bool hvpt_arm_is_access(uint32_t access)
{
    const uint32_t what = access & ~(uint32_t)(HVPT_ARM_EL0 | HVPT_ARM_UNPRIVILEGED);

    if (what == HVPT_EXEC)
        return !(access & HVPT_ARM_UNPRIVILEGED);
    return what != 0 && (what & ~(uint32_t)(HVPT_READ | HVPT_WRITE)) == 0;
}

/*
 * Find out what happens when the guest makes this access to a virtual address. The access must not cross a page. space:
 * stage 2. Returns walk->end; *walk is written in any case.
 *
 * Safe beside all readers, map and fault_map, and beside the running guest; from any CPU. What the TLBs of CPUs hold is
 * not known here.
 *
 * The order of faults is the manual's: the range of the address; each descriptor's own translation at stage 2, then its
 * validity and the size of its address; the leaf's access flag; the permissions; the leaf's update; stage 2.
 *
 * Not modelled: EL2's and EL3's own regimes, nested virtualization, AArch32, NFD, 128-bit descriptors, permission
 * indirection and overlays, granule protection, and alignment faults, which depend on the memory type and the
 * instruction.
 */
HVPT_NODISCARD static inline enum hvpt_guest_end hvpt_guest_walk_arm(const struct hvpt_space *space,
                                                                     const struct hvpt_arm_guest *guest,
                                                                     uint64_t linear, uint32_t access,
                                                                     struct hvpt_arm_walk *walk)
{
    const bool upper = (linear >> 55 & 1) != 0;
    struct hvpt_arm_paging paging;

    hvpt_guest_clear(walk, sizeof(*walk));
    walk->linear = linear;
    walk->end = HVPT_GUEST_BAD_ARGUMENT;
    if (space->kind != HVPT_KIND_S2 || !hvpt_arm_is_access(access))
        return walk->end;
    walk->paging = (guest->sctlr & HVPT_ARM_SCTLR_M) && !(guest->hcr & HVPT_ARM_HCR_DC);
    if (!walk->paging) {
        if (hvpt_arm_flat(guest, access, upper, walk))
            (void)hvpt_arm_final(space, guest, access, walk);
        return walk->end;
    }
    if (!hvpt_arm_read_mode(guest, upper, &paging))
        return walk->end;
    walk->upper = upper;
    walk->granule_shift = paging.shift;
    if (hvpt_arm_out_of_range(guest, &paging, linear, access)) {
        (void)hvpt_arm_guest_fault(HVPT_S2_FAULT_TRANSLATION, 3, access, access, walk);
        return walk->end;
    }
    walk->root_level = walk->level = paging.root_level;
    if (paging.root >> paging.output_bits) {
        (void)hvpt_arm_guest_fault(HVPT_S2_FAULT_ADDRESS_SIZE, 3, access, access, walk);
        return walk->end;
    }
    if (hvpt_arm_descend(space, guest, &paging, access, walk) && hvpt_arm_judge(space, guest, &paging, access, walk))
        (void)hvpt_arm_final(space, guest, access, walk);
    return walk->end;
}

#endif
