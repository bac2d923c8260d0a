/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Memory types by physical address: a snapshot of the MTRRs' MSRs, and pure functions of it.
 * SDM vol. 3, "Memory Type Range Registers (MTRRs)"; APM vol. 2, "Memory-Type Range Registers".
 */
#ifndef HVPT_X86_MTRR_H
#define HVPT_X86_MTRR_H

#include "../types.h"

#define HVPT_MSR_MTRRCAP           UINT32_C(0x0fe)
#define HVPT_MSR_MTRR_PHYSBASE0    UINT32_C(0x200) /* then PHYSMASK0, PHYSBASE1, ... */
#define HVPT_MSR_MTRR_PHYSMASK0    UINT32_C(0x201)
#define HVPT_MSR_MTRR_FIX64K_00000 UINT32_C(0x250)
#define HVPT_MSR_MTRR_FIX16K_80000 UINT32_C(0x258) /* two of them */
#define HVPT_MSR_MTRR_FIX4K_C0000  UINT32_C(0x268) /* eight of them */
#define HVPT_MSR_MTRR_DEF_TYPE     UINT32_C(0x2ff)
#define HVPT_MSR_AMD_SYSCFG        UINT32_C(0xc0010010)
#define HVPT_MSR_AMD_TOP_MEM2      UINT32_C(0xc001001d)

#define HVPT_MTRRCAP_COUNT  UINT64_C(0xff)
#define HVPT_MTRRCAP_FIXED  (UINT64_C(1) << 8)
#define HVPT_MTRR_TYPE      UINT64_C(0xff) /* of DEF_TYPE and of PHYSBASE */
#define HVPT_MTRR_FIXED_ON  (UINT64_C(1) << 10)
#define HVPT_MTRR_ON        (UINT64_C(1) << 11)
#define HVPT_MTRR_VALID     (UINT64_C(1) << 11) /* of PHYSMASK */
#define HVPT_SYSCFG_TOM2_ON (UINT64_C(1) << 21) /* MtrrTom2En */
#define HVPT_SYSCFG_TOM2_WB (UINT64_C(1) << 22) /* Tom2ForceMemTypeWB */
#define HVPT_TOP_MEM2_MASK  (~UINT64_C(0x7fffff))

/* Below this address the fixed-range registers decide, if they are enabled. */
#define HVPT_MTRR_FIXED_END UINT64_C(0x100000)

/* More pairs would run into the MSRs of the fixed ranges. CPUs have 8 to 10. */
#define HVPT_MTRR_VARIABLE_MAX 40
#define HVPT_MTRR_FIXED_COUNT  11

/*
 * The registers, raw. Filled by hvpt_mtrr_read, or by hand from a log of another machine.
 * maxphyaddr: 32 to 52, as CPUID 80000008H EAX[7:0] tells; the bits of base and mask from there up are ignored.
 * fixed: FIX64K_00000, FIX16K_80000, FIX16K_A0000, FIX4K_C0000 .. FIX4K_F8000.
 * syscfg, top_mem2: of AMD CPUs, elsewhere 0.
 *
 * SMRRs and AMD's SMM ranges are left out: outside of SMM that memory cannot be used anyway.
 */
struct hvpt_mtrr {
    unsigned maxphyaddr;
    uint64_t cap;
    uint64_t def_type;
    uint64_t fixed[HVPT_MTRR_FIXED_COUNT];
    uint64_t base[HVPT_MTRR_VARIABLE_MAX];
    uint64_t mask[HVPT_MTRR_VARIABLE_MAX];
    uint64_t syscfg;
    uint64_t top_mem2;
};

/*
 * [start, end) has one type; both are multiples of 4 KiB wherever the walk began at one.
 * undefined: the manual leaves the type of some of it open (registers of other types than UC, or WT with WB, overlap,
 * or a register holds a reserved type). The type is UC there: whatever the CPU does, nothing is cached that must not be
 * cached.
 */
struct hvpt_memtype_range {
    uint64_t start;
    uint64_t end;
    enum hvpt_memtype type;
    bool undefined;
};

/* Reads one MSR of the CPU it runs on. false: there is no such MSR. */
typedef bool (*hvpt_rdmsr_fn)(void *ctx, uint32_t msr, uint64_t *value);

/* For hvpt_mtrr_read: the CPU is AMD's or Hygon's, and has SYSCFG and TOP_MEM2. */
enum hvpt_mtrr_option { HVPT_MTRR_AMD = 1 };

/*
 * Take a snapshot by rdmsr, on one CPU: all have the same values (SDM vol. 3, "MTRR Considerations in MP Systems").
 * The CPU must have MTRRs (CPUID 1 EDX[12]). maxphyaddr: see struct hvpt_mtrr. options: HVPT_MTRR_AMD.
 * HVPT_E_ATTR: maxphyaddr is not 32 to 52, an MSR cannot be read, or the CPU claims more registers than there can be;
 * the snapshot then says UC of all addresses, as MTRRs do that are off.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_mtrr_read(struct hvpt_mtrr *mtrr, hvpt_rdmsr_fn rdmsr, void *ctx,
                                                             unsigned maxphyaddr, uint32_t options)
{
    uint64_t def_type = 0;
    unsigned i, count;
    bool ok;

    mtrr->maxphyaddr = maxphyaddr;
    mtrr->cap = 0;
    mtrr->def_type = 0; /* off, until everything is read */
    mtrr->syscfg = 0;
    mtrr->top_mem2 = 0;
    if (maxphyaddr < 32 || maxphyaddr > 52)
        return HVPT_E_ATTR;
    ok = (rdmsr)(ctx, HVPT_MSR_MTRRCAP, &mtrr->cap) && (rdmsr)(ctx, HVPT_MSR_MTRR_DEF_TYPE, &def_type);
    count = (unsigned)(mtrr->cap & HVPT_MTRRCAP_COUNT);
    if (count > HVPT_MTRR_VARIABLE_MAX)
        return HVPT_E_ATTR;
    for (i = 0; i < HVPT_MTRR_FIXED_COUNT; i++) {
        uint32_t msr = i == 0 ? HVPT_MSR_MTRR_FIX64K_00000
                     : i <= 2 ? HVPT_MSR_MTRR_FIX16K_80000 + (i - 1)
                              : HVPT_MSR_MTRR_FIX4K_C0000 + (i - 3);

        mtrr->fixed[i] = 0;
        if (mtrr->cap & HVPT_MTRRCAP_FIXED)
            ok = ok && (rdmsr)(ctx, msr, &mtrr->fixed[i]);
    }
    for (i = 0; i < HVPT_MTRR_VARIABLE_MAX; i++) {
        mtrr->base[i] = 0;
        mtrr->mask[i] = 0;
        if (i < count)
            ok = ok && (rdmsr)(ctx, HVPT_MSR_MTRR_PHYSBASE0 + 2 * i, &mtrr->base[i])
              && (rdmsr)(ctx, HVPT_MSR_MTRR_PHYSMASK0 + 2 * i, &mtrr->mask[i]);
    }
    if (options & HVPT_MTRR_AMD)
        ok = ok && (rdmsr)(ctx, HVPT_MSR_AMD_SYSCFG, &mtrr->syscfg)
          && (rdmsr)(ctx, HVPT_MSR_AMD_TOP_MEM2, &mtrr->top_mem2);
    if (!ok)
        return HVPT_E_ATTR;
    mtrr->def_type = def_type;
    return HVPT_OK;
}

/* The first address beyond MAXPHYADDR. */
static inline uint64_t hvpt_mtrr_limit(const struct hvpt_mtrr *mtrr)
{
    return UINT64_C(1) << (mtrr->maxphyaddr < 52 ? mtrr->maxphyaddr : 52);
}

/* ---- one address: its type, and up to where that holds ---- */

/* The encoding that the MTRRs share with EPT. false: reserved; *type is UC then. */
static inline bool hvpt_mtrr_decode(uint64_t code, enum hvpt_memtype *type)
{
    *type = code == 1 ? HVPT_MEM_WC
          : code == 4 ? HVPT_MEM_WT
          : code == 5 ? HVPT_MEM_WP
          : code == 6 ? HVPT_MEM_WB
                      : HVPT_MEM_UC;
    return *type != HVPT_MEM_UC || code == 0;
}

/*
 * Does one variable range hold address, and at which higher address does the answer change (limit: at none)?
 *
 * The range is the set of addresses that agree with base in the bits of mask (SDM vol. 3, "Example Base and Mask
 * Calculations"), whatever mask is: where it is not contiguous the range comes in pieces. The next address of the set
 * follows from the highest bit that disagrees. If it is set in base, address must grow until it has that bit. If not,
 * address is past the piece, and the next piece begins where the lowest higher bit that mask leaves free and address
 * has clear becomes set. All lower bits are then as low as the set allows.
 */
static inline bool hvpt_mtrr_holds(uint64_t base, uint64_t mask, uint64_t limit, uint64_t address, uint64_t *change)
{
    uint64_t differ, from, bit;
    unsigned shift;

    mask &= (limit - 1) & ~(HVPT_4K - 1);
    differ = (base ^ address) & mask;
    *change = limit;
    if (differ == 0) {
        if (mask != 0) /* beyond the lowest bit of mask, that bit is wrong */
            *change = (address | ((mask & (0 - mask)) - 1)) + 1;
        return true;
    }
    from = differ;
    for (shift = 1; shift < 64; shift *= 2)
        from |= from >> shift;
    bit = (from >> 1) + 1;
    if (!(base & bit)) {
        uint64_t room = ~mask & ~address & ~from & (limit - 1);

        if (room == 0)
            return false;
        bit = room & (0 - room);
    }
    *change = (address & ~(bit - 1)) | bit | (base & mask & (bit - 1)); /* address has no bit there */
    return false;
}

/* The fixed ranges below 1 MiB: eight of 64 KiB, sixteen of 16 KiB, sixty-four of 4 KiB, a byte each. */
static inline uint64_t hvpt_mtrr_fixed_code(const struct hvpt_mtrr *mtrr, uint64_t address, uint64_t *change)
{
    unsigned shift = address < UINT64_C(0x80000) ? 16 : address < UINT64_C(0xc0000) ? 14 : 12;
    unsigned first = shift == 16 ? 0 : shift == 14 ? 1 : 3;
    uint64_t origin = shift == 16 ? 0 : shift == 14 ? UINT64_C(0x80000) : UINT64_C(0xc0000);
    unsigned index = (unsigned)((address - origin) >> shift);

    *change = ((address >> shift) + 1) << shift;
    /* Bits 4:3 are AMD's RdMem and WrMem: where an access goes, not how (APM vol. 2, "Extended Fixed-Range MTRR"). */
    return (mtrr->fixed[first + index / 8] >> (8 * (index % 8))) & UINT64_C(0xe7);
}

/* The default type; on AMD CPUs configured so, WB for memory above 4 GiB. APM vol. 2, "Top of Memory". */
static inline uint64_t hvpt_mtrr_default_code(const struct hvpt_mtrr *mtrr, uint64_t address, uint64_t *change)
{
    const uint64_t tom2_on = HVPT_SYSCFG_TOM2_ON | HVPT_SYSCFG_TOM2_WB;
    const uint64_t low = UINT64_C(1) << 32, top = mtrr->top_mem2 & HVPT_TOP_MEM2_MASK;

    if ((mtrr->syscfg & tom2_on) == tom2_on) {
        if (address < low && low < *change)
            *change = low;
        if (address >= low && address < top) {
            *change = top < *change ? top : *change;
            return 6;
        }
    }
    return mtrr->def_type & HVPT_MTRR_TYPE;
}

/*
 * The type where variable ranges overlap; types has a bit for each of their types. UC with any other is UC, WT with WB
 * is WT. *defined: false for all other mixtures, for which the manual promises nothing; the answer is UC then.
 */
static inline enum hvpt_memtype hvpt_mtrr_overlap(unsigned types, bool *defined)
{
    *defined = true;
    switch (types) {
    case 1u << HVPT_MEM_WC: return HVPT_MEM_WC;
    case 1u << HVPT_MEM_WP: return HVPT_MEM_WP;
    case 1u << HVPT_MEM_WB: return HVPT_MEM_WB;
    case 1u << HVPT_MEM_WT:
    case 1u << HVPT_MEM_WT | 1u << HVPT_MEM_WB: return HVPT_MEM_WT;
    default: break;
    }
    *defined = (types & 1u << HVPT_MEM_UC) != 0;
    return HVPT_MEM_UC;
}

/* The type at address, which is below the limit: SDM vol. 3, "MTRR Precedences". It holds up to *end at least. */
static inline enum hvpt_memtype hvpt_mtrr_look(const struct hvpt_mtrr *mtrr, uint64_t address, uint64_t *end,
                                               bool *undefined)
{
    const uint64_t limit = hvpt_mtrr_limit(mtrr);
    const unsigned count = (unsigned)(mtrr->cap & HVPT_MTRRCAP_COUNT);
    enum hvpt_memtype type;
    unsigned i, types = 0;
    bool known = true, defined = true;

    *end = limit;
    *undefined = false;
    if (!(mtrr->def_type & HVPT_MTRR_ON))
        return HVPT_MEM_UC;
    if (address < HVPT_MTRR_FIXED_END && (mtrr->cap & HVPT_MTRRCAP_FIXED) && (mtrr->def_type & HVPT_MTRR_FIXED_ON)) {
        *undefined = !hvpt_mtrr_decode(hvpt_mtrr_fixed_code(mtrr, address, end), &type);
        return type;
    }
    for (i = 0; i < count && i < HVPT_MTRR_VARIABLE_MAX; i++) {
        uint64_t change;

        if (!(mtrr->mask[i] & HVPT_MTRR_VALID))
            continue;
        if (hvpt_mtrr_holds(mtrr->base[i], mtrr->mask[i], limit, address, &change)) {
            known = hvpt_mtrr_decode(mtrr->base[i] & HVPT_MTRR_TYPE, &type) && known;
            types |= 1u << type;
        }
        *end = change < *end ? change : *end;
    }
    if (types == 0)
        known = hvpt_mtrr_decode(hvpt_mtrr_default_code(mtrr, address, end), &type);
    else
        type = hvpt_mtrr_overlap(types, &defined);
    *undefined = !known || !defined;
    return type;
}

/* ---- the API ---- */

/* The type that the MTRRs give address. Beyond MAXPHYADDR it is UC, since there is nothing to cache. */
static inline enum hvpt_memtype hvpt_mtrr_type(const struct hvpt_mtrr *mtrr, hvpt_hpa address)
{
    uint64_t end;
    bool undefined;

    return address.value < hvpt_mtrr_limit(mtrr) ? hvpt_mtrr_look(mtrr, address.value, &end, &undefined) : HVPT_MEM_UC;
}

/*
 * Make *range the range that follows it, as long as it has one type. A zeroed range begins at address 0, and one with
 * only end set begins at end. false: MAXPHYADDR is reached.
 *
 *     struct hvpt_memtype_range range = {0};
 *     while (hvpt_mtrr_next(&mtrr, &range)) ...
 *
 * It goes from boundary to boundary, not from page to page: a PC takes a few dozen steps in all.
 */
static inline bool hvpt_mtrr_next(const struct hvpt_mtrr *mtrr, struct hvpt_memtype_range *range)
{
    const uint64_t limit = hvpt_mtrr_limit(mtrr);

    if (range->end >= limit)
        return false;
    range->start = range->end;
    range->type = hvpt_mtrr_look(mtrr, range->start, &range->end, &range->undefined);
    while (range->end < limit) {
        uint64_t end;
        bool undefined;

        if (hvpt_mtrr_look(mtrr, range->end, &end, &undefined) != range->type)
            break;
        range->end = end;
        range->undefined = range->undefined || undefined;
    }
    return true;
}

#endif
