/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The two walks that no table of records describes well: field by field, in the order and words of the manuals.
 * Privileged Architecture, "Virtual Address Translation Process" and "Two-Stage Address Translation"; Arm ARM,
 * "VMSAv8-64 translation table format descriptors" and "Stage 2 access permissions". Levels count from the leaves here.
 * For hardware.c alone, which does what all processors do alike.
 */
#ifndef HVPT_TEST_RISC_H
#define HVPT_TEST_RISC_H

#include "hardware.h"

/* Bits high to low of a word, as the manuals write them. */
static inline uint64_t field(uint64_t word, unsigned high, unsigned low)
{
    return (word << (63 - high)) >> (63 - high + low);
}

static inline bool fault(struct cpu_translation *out, const char *rule)
{
    out->outcome = CPU_MISCONFIGURED;
    out->rule = rule;
    return false;
}

/* ---- G-stage ---- */

/* "If pte.r=0 and pte.w=0 and pte.x=0, the PTE is a pointer to the next level of the page table." */
static inline bool gstage_is_leaf(uint64_t entry)
{
    return field(entry, 3, 1) != 0;
}

static inline uint64_t gstage_address(uint64_t entry)
{
    return field(entry, 53, 10) * 4096;
}

/* hgatp.PPN; the root is aligned to 16 KiB, so the two low bits of the page number are zero. */
static inline uint64_t gstage_root(uint64_t hgatp)
{
    return field(hgatp, 43, 2) * 16384;
}

/* The bits that say used and written. */
static inline void gstage_marks(uint64_t *accessed, uint64_t *dirty)
{
    *accessed = UINT64_C(0x40);
    *dirty = UINT64_C(0x80);
}

/*
 * true: entry, which has V set, refers to a table, and out->hpa is where. Else out is finished: a page, or an outcome.
 */
static inline bool gstage_step(const struct cpu_features *on, uint64_t entry, unsigned level, uint64_t gpa,
                               struct cpu_translation *out)
{
    const bool r = field(entry, 1, 1), w = field(entry, 2, 2), x = field(entry, 3, 3), u = field(entry, 4, 4);
    const bool a = field(entry, 6, 6), d = field(entry, 7, 7), n = field(entry, 63, 63);
    const uint64_t ppn = field(entry, 53, 10), pbmt = field(entry, 62, 61);
    uint64_t pages = UINT64_C(1) << (9 * level), number = gpa / 4096;

    if (w && !r)
        return fault(out, "W without R");
    if (field(entry, 60, 54) != 0)
        return fault(out, "bits 60:54");
    if (!on->svpbmt && pbmt != 0)
        return fault(out, "PBMT without Svpbmt");
    if (!on->svnapot && n)
        return fault(out, "N without Svnapot");
    if (ppn * 4096 >> on->maxphyaddr != 0)
        return fault(out, "an address that memory does not have");
    if (!r && !x) {
        if (level == 0)
            return fault(out, "a table below the lowest level");
        if (a || d || u || pbmt != 0 || n)
            return fault(out, "A, D, U, PBMT or N of a table");
        out->hpa = ppn * 4096;
        return true;
    }
    if (pbmt == 3)
        return fault(out, "PBMT 3");
    if (n && (level != 0 || (ppn & 15) != 8))
        return fault(out, "a NAPOT size that does not exist");
    if (ppn % pages != 0)
        return fault(out, "misaligned superpage");

    out->outcome = CPU_MAPPED;
    out->page_size = pages * 4096;
    out->joined = n;
    out->reach = n ? 16 * UINT64_C(4096) : out->page_size;
    out->hpa = n ? (ppn / 16 * 16 + number % 16) * 4096 + gpa % 4096 : (ppn + number % pages) * 4096 + gpa % 4096;
    /* "All memory accesses are considered to be user-level accesses, as though executed in U-mode." */
    out->rights =
        u ? (r ? (uint32_t)HVPT_READ : 0) | (w ? (uint32_t)HVPT_WRITE : 0) | (x ? (uint32_t)HVPT_EXEC : 0) : 0;
    out->perm = out->rights;
    /* Without Svadu "when a page is accessed and A is clear, or is written and D is clear, a page-fault" occurs. */
    if (!on->accessed_dirty && !a)
        out->perm = 0;
    if (!on->accessed_dirty && !d)
        out->perm &= ~(uint32_t)HVPT_WRITE;
    out->memtype = pbmt == 0 ? 6 : pbmt == 1 ? 1 : 0;
    return false;
}

/* ---- stage 2 ---- */

/* Bits 1:0 are 11 for tables and for pages, 01 for blocks. */
static inline bool s2_is_leaf(unsigned level, uint64_t entry)
{
    return level == 0 || field(entry, 1, 0) == 1;
}

static inline uint64_t s2_address(const struct cpu_features *on, uint64_t entry)
{
    unsigned granule = on->page_shift == 0 ? 12 : on->page_shift;
    uint64_t address = field(entry, on->wide_low ? 49 : 47, granule) << granule;

    if (on->wide_low)
        address += field(entry, 9, 8) << 50;
    if (on->wide_high)
        address += field(entry, 15, 12) << 48;
    return address;
}

/* VTTBR_EL2.BADDR, bits 47:1; with 52-bit addresses bits 51:48 are in 5:2 and the table is aligned to 64 bytes at least. */
static inline uint64_t s2_root(const struct cpu_features *on, uint64_t vttbr)
{
    if (on->maxphyaddr > 48)
        return (field(vttbr, 47, 6) << 6) + (field(vttbr, 5, 2) << 48);
    return field(vttbr, 47, 1) << 1;
}

static inline void s2_marks(const struct cpu_features *on, uint64_t entry, uint64_t *accessed, uint64_t *dirty)
{
    *accessed = UINT64_C(1) << 10; /* AF */
    /* "S2AP[1] is the dirty state of a descriptor that has DBM set", if hardware manages it. */
    *dirty = on->hardware_dirty_state && field(entry, 51, 51) ? UINT64_C(1) << 7 : 0;
}

/* How many entries the contiguous bit joins: Arm ARM, "The Contiguous bit", by granule and level. */
static inline unsigned run_of(const struct cpu_features *on, unsigned level)
{
    unsigned granule = on->page_shift == 0 ? 12 : on->page_shift;

    if (!on->contiguous)
        return 1;
    switch (granule) {
    case 12: return level > 2 ? 1 : 16;
    case 14: return level == 0 ? 128 : level == 1 ? 32 : 1;
    default: return level > 1 ? 1 : 32;
    }
}

/* The highest level that has blocks: 1 GiB, 32 MiB, 512 MiB; with 52-bit addresses 512 GiB, 64 GiB, 4 TiB. */
static inline bool has_blocks(const struct cpu_features *on, unsigned level)
{
    unsigned granule = on->page_shift == 0 ? 12 : on->page_shift;
    bool wide = on->wide_low || on->wide_high;

    return granule == 12 ? level <= (wide ? 3u : 2u) : level <= (wide ? 2u : 1u);
}

/* MemAttr[3:0] as x86's code of the type that a write-back stage 1 ends up with. */
static inline unsigned s2_memtype(const struct cpu_features *on, unsigned attributes)
{
    enum { DEV = 0, NC = 1, WT = 4, WB = 6, ANY = CPU_ANY_MEMTYPE };
    /* Outer attributes in bits 3:2, inner in 1:0; 00 in the low half of Normal memory is reserved. */
    static const unsigned without[16] = {DEV, DEV, DEV, DEV, ANY, NC, NC, NC, ANY, NC, WT, WT, ANY, NC, WT, WB};
    /* FEAT_S2FWB: bit 3 is reserved, bit 2 is Normal, 01 NC, 10 write-back, 11 as stage 1 says. */
    static const unsigned with[16] = {DEV, DEV, DEV, DEV, ANY, NC, WB, WB, ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY};

    return on->forced_write_back ? with[attributes] : without[attributes];
}

/* As gstage_step. */
static inline bool s2_step(const struct cpu_features *on, uint64_t entry, unsigned level, uint64_t gpa,
                           struct cpu_translation *out)
{
    uint64_t size = UINT64_C(1) << cpu_shift(on, level), address = s2_address(on, entry);
    unsigned never = (unsigned)field(entry, 54, 53);

    if (level == 0 && !field(entry, 1, 1))
        return fault(out, "a block at the lowest level");
    if (address >> on->maxphyaddr != 0)
        return fault(out, "address size");
    if (!s2_is_leaf(level, entry)) {
        out->hpa = address;
        return true;
    }
    if (!has_blocks(on, level))
        return fault(out, "a block where there is none");
    if (on->no_break && level > 0)
        address &= ~UINT64_C(0x10000); /* nT */
    if (address % size != 0)
        return fault(out, "misaligned block");

    out->outcome = CPU_MAPPED;
    out->page_size = size;
    out->joined = field(entry, 52, 52) && run_of(on, level) > 1;
    out->reach = out->joined ? size * run_of(on, level) : size;
    out->hpa = address + gpa % size;
    out->rights = (field(entry, 6, 6) ? (uint32_t)HVPT_READ : 0) | (field(entry, 7, 7) ? (uint32_t)HVPT_WRITE : 0);
    if (on->hardware_dirty_state && field(entry, 51, 51))
        out->rights |= HVPT_WRITE;
    if (on->indirect) {
        /* "S2PIR_EL2": permissions by code, read 1, write 2, execution at EL1 4 and at EL0 8; 1 and 5 are reserved. */
        static const uint8_t permitted[16] = {0, 0, 1, 1, 2, 0, 1, 1, 1, 9, 5, 13, 3, 11, 7, 15};
        unsigned index = (unsigned)(field(entry, 6, 6) + 2 * field(entry, 51, 51) + 4 * field(entry, 54, 53));

        out->rights = permitted[field(on->s2pir, 4 * index + 3, 4 * index)];
        out->perm = on->hardware_access_flag || field(entry, 10, 10) ? out->rights : 0;
        out->memtype = s2_memtype(on, (unsigned)field(entry, 5, 2));
        return false;
    }
    /* XN[1:0]: 00 all, 01 not at EL1, 10 not at all, 11 not at EL0. One bit, 54, without FEAT_XNX. */
    if (!on->execute_never_two)
        out->rights |= field(entry, 54, 54) ? 0 : (uint32_t)HVPT_EXEC;
    else
        out->rights |= (never == 0 || never == 3 ? (uint32_t)HVPT_EXEC : 0)
                     | (never == 0 || never == 1 ? (uint32_t)HVPT_EXEC_USER : 0);
    /* "Access flag fault" where hardware does not set it. */
    out->perm = on->hardware_access_flag || field(entry, 10, 10) ? out->rights : 0;
    out->memtype = s2_memtype(on, (unsigned)field(entry, 5, 2));
    return false;
}

/* Arm ARM, "Using break-before-make when updating translation table entries". Both entries are valid. */
static inline bool s2_wants_break(const struct cpu_features *on, unsigned level, uint64_t old, uint64_t value)
{
    bool leaf = s2_is_leaf(level, old);

    /* "Support levels": with level 2 a size may change, "without changing any other property requiring break-before-make". */
    if (on->no_break && leaf != s2_is_leaf(level, value))
        return false;
    if (leaf != s2_is_leaf(level, value) || s2_address(on, old) != s2_address(on, value))
        return true;
    return leaf
        && (field(old, 5, 2) != field(value, 5, 2) || (!on->wide_low && field(old, 9, 8) != field(value, 9, 8))
            || (!on->no_break && field(old, 52, 52) != field(value, 52, 52)));
}

#endif
