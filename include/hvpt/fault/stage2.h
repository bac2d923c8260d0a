/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Stage 2's faults as EL2 gets them: ESR_EL2, FAR_EL2 and HPFAR_EL2 taken apart, and what a trapped access to a device
 * needs to be emulated. Arm ARM, "ESR_EL2, Exception Syndrome Register (EL2)" and "HPFAR_EL2".
 */
#ifndef HVPT_FAULT_STAGE2_H
#define HVPT_FAULT_STAGE2_H

#include "../text.h"
#include "../types.h"

/* ---- bits of ESR_EL2, as of ESR_EL1 ---- */

#define HVPT_ESR_CLASS_SHIFT      26
#define HVPT_ESR_FETCH_LOWER      UINT64_C(0x20) /* instruction abort from a lower exception level */
#define HVPT_ESR_FETCH_SAME       UINT64_C(0x21) /* from this one: a guest's own, at EL1 */
#define HVPT_ESR_DATA_LOWER       UINT64_C(0x24) /* data abort, likewise */
#define HVPT_ESR_DATA_SAME        UINT64_C(0x25)
#define HVPT_ESR_BIT_LENGTH       (UINT64_C(1) << 25) /* IL: clear for a 16-bit instruction of AArch32 */
#define HVPT_ESR_BIT_SYNDROME     (UINT64_C(1) << 24) /* ISV: bits 23:14 describe the instruction */
#define HVPT_ESR_SIZE_SHIFT       22                  /* SAS: log2 of the bytes */
#define HVPT_ESR_BIT_SIGN         (UINT64_C(1) << 21) /* SSE */
#define HVPT_ESR_REGISTER_SHIFT   16                  /* SRT; 31: XZR */
#define HVPT_ESR_BIT_WIDE         (UINT64_C(1) << 15) /* SF: the register is 64 bits wide */
#define HVPT_ESR_BIT_ORDERED      (UINT64_C(1) << 14) /* AR: acquire or release */
#define HVPT_ESR_BIT_FAR_UNKNOWN  (UINT64_C(1) << 10) /* FnV: an external abort without FAR_EL2 */
#define HVPT_ESR_BIT_EXTERNAL     (UINT64_C(1) << 9)  /* EA: an external abort's class, the implementation's own */
#define HVPT_ESR_BIT_CACHE        (UINT64_C(1) << 8)  /* CM: cache maintenance, or an address translation instruction */
#define HVPT_ESR_BIT_TABLE        (UINT64_C(1) << 7)  /* S1PTW: on the guest's own table walk */
#define HVPT_ESR_BIT_WRITE        (UINT64_C(1) << 6)  /* WnR */
#define HVPT_ESR_STATUS_BITS      UINT64_C(0x3f)      /* DFSC, IFSC */
#define HVPT_ESR_BIT_DIRTY_STATE  (UINT64_C(1) << 37) /* ISS2.DirtyBit */
#define HVPT_ESR_BIT_OVERLAY      (UINT64_C(1) << 38) /* ISS2.Overlay */
#define HVPT_ESR_BIT_ASSURED_ONLY (UINT64_C(1) << 39) /* ISS2.AssuredOnly */
#define HVPT_ESR_BIT_GUARDED_STACK (UINT64_C(1) << 40) /* ISS2.GCS */
#define HVPT_ESR_BIT_TAG_ACCESS   (UINT64_C(1) << 41) /* ISS2.TagAccess */
#define HVPT_ESR_BIT_DIRTY_LOG    (UINT64_C(1) << 43) /* ISS2.HDBSSF */
#define HVPT_ESR_BIT_TOP_LEVEL    (UINT64_C(1) << 21) /* TopLevel, without ISV */
#define HVPT_ESR_BIT_IMPRECISE    (UINT64_C(1) << 15) /* FnP, without ISV */
#define HVPT_ESR_LST_BITS         UINT64_C(0x1800)    /* LD64B and its siblings */

/* What ESR_EL2 says about the instruction, which cannot be known from the tables: ISV, SAS, SSE, SRT, SF, AR. */
#define HVPT_ESR_INSTRUCTION_BITS UINT64_C(0x01ffc000)

#define HVPT_HPFAR_BIT_NON_SECURE (UINT64_C(1) << 63)
#define HVPT_HPFAR_ADDRESS_BITS   UINT64_C(0x0000fffffffffff0) /* bits 55:12 of the address, in bits 47:4 */
#define HVPT_HPFAR_ADDRESS_SHIFT  8

/* ---- why ---- */

/*
 * Data and instruction fault status codes, without the level: Arm ARM, "ISS encoding for an exception from a Data
 * Abort".
 */
enum hvpt_s2_fault_kind {
    HVPT_S2_FAULT_NONE,               /* not an abort of the guest's; see hvpt_s2_decode_fault */
    HVPT_S2_FAULT_ADDRESS_SIZE,       /* a table or page lies beyond the physical addresses that VTCR_EL2.PS allows */
    HVPT_S2_FAULT_TRANSLATION,        /* nothing is mapped, or the address is beyond the space */
    HVPT_S2_FAULT_ACCESS_FLAG,        /* the access flag is clear, and hardware does not set it */
    HVPT_S2_FAULT_PERMISSION,         /* mapped, but not for this access */
    HVPT_S2_FAULT_EXTERNAL,           /* the memory or device accessed answered with an error */
    HVPT_S2_FAULT_EXTERNAL_ON_WALK,   /* a table walk met such an error */
    HVPT_S2_FAULT_TAG_CHECK,          /* memory tagging (FEAT_MTE2) */
    HVPT_S2_FAULT_PARITY,             /* parity or ECC error in the memory accessed */
    HVPT_S2_FAULT_PARITY_ON_WALK,     /* of a table */
    HVPT_S2_FAULT_ALIGNMENT,          /* to Device memory, or an atomic access */
    HVPT_S2_FAULT_PROTECTION,         /* granule protection check (FEAT_RME) */
    HVPT_S2_FAULT_PROTECTION_ON_WALK, /* of a table */
    HVPT_S2_FAULT_TLB_CONFLICT,       /* a TLB holds two translations of the address: break-before-make was broken */
    HVPT_S2_FAULT_ATOMIC_UPDATE,      /* tables lie where hardware cannot set their access flag or dirty state */
    HVPT_S2_FAULT_LOCKDOWN,           /* implementation defined */
    HVPT_S2_FAULT_EXCLUSIVE,          /* implementation defined: no exclusive or atomic access there */
    HVPT_S2_FAULT_RESERVED            /* a code that the manual does not know */
};

/* Never NULL. */
static inline const char *hvpt_s2_fault_kind_text(enum hvpt_s2_fault_kind kind)
{
    switch (kind) {
    case HVPT_S2_FAULT_NONE: return "not an abort of the guest's";
    case HVPT_S2_FAULT_ADDRESS_SIZE: return "address size fault";
    case HVPT_S2_FAULT_TRANSLATION: return "translation fault";
    case HVPT_S2_FAULT_ACCESS_FLAG: return "access flag fault";
    case HVPT_S2_FAULT_PERMISSION: return "permission fault";
    case HVPT_S2_FAULT_EXTERNAL: return "external abort";
    case HVPT_S2_FAULT_EXTERNAL_ON_WALK: return "external abort on a table walk";
    case HVPT_S2_FAULT_TAG_CHECK: return "tag check fault";
    case HVPT_S2_FAULT_PARITY: return "parity or ECC error";
    case HVPT_S2_FAULT_PARITY_ON_WALK: return "parity or ECC error on a table walk";
    case HVPT_S2_FAULT_ALIGNMENT: return "alignment fault";
    case HVPT_S2_FAULT_PROTECTION: return "granule protection fault";
    case HVPT_S2_FAULT_PROTECTION_ON_WALK: return "granule protection fault on a table walk";
    case HVPT_S2_FAULT_TLB_CONFLICT: return "TLB conflict abort";
    case HVPT_S2_FAULT_ATOMIC_UPDATE: return "unsupported atomic hardware update";
    case HVPT_S2_FAULT_LOCKDOWN: return "lockdown fault";
    case HVPT_S2_FAULT_EXCLUSIVE: return "unsupported exclusive or atomic access";
    case HVPT_S2_FAULT_RESERVED: return "reserved fault status code";
    }
    return "unknown kind of fault";
}

/*
 * The status code of a walk's fault at a level, counted from the smallest pages as everywhere in hvpt: 0 to 3, and 4
 * for Arm's level -1. kind: ADDRESS_SIZE, TRANSLATION, ACCESS_FLAG or PERMISSION; level 4 has only the first two.
 */
static inline uint64_t hvpt_s2_fault_status(enum hvpt_s2_fault_kind kind, unsigned level)
{
    if (level == 4)
        return kind == HVPT_S2_FAULT_ADDRESS_SIZE ? 0x29 : 0x2b;
    return (uint64_t)((unsigned)kind - HVPT_S2_FAULT_ADDRESS_SIZE) << 2 | (3 - level);
}

/* ---- taken apart ---- */

/*
 * The instruction, where ISV says that the rest is known: a load or store of one general-purpose register without
 * write-back. Others (pairs, vectors, atomics) must be decoded from memory. size: bytes, 1 to 8.  sign_extend: the load
 * extends the sign.  reg: 0 to 30, or 31 for XZR.  wide: the register is Xn, else Wn.  ordered: load-acquire or
 * store-release. block: LD64B, ST64B, ST64BV or ST64BV0 (FEAT_LS64): 64 bytes at once, in the eight registers from reg
 * on. It is not valid, because it is no access of a single register, but size and reg are set; an emulated device sees
 * one access of 64 bytes.
 */
struct hvpt_s2_instruction {
    bool valid;
    unsigned size;
    bool sign_extend;
    unsigned reg;
    bool wide;
    bool ordered;
    bool block;
};

/*
 * One abort.
 * access: HVPT_READ, HVPT_WRITE or HVPT_EXEC: what the instruction did; an atomic instruction reports the half that
 * failed. With on_table the guest's own table walk faulted, and read is the walk's; a permission fault then most often
 * means that the walk would set an access flag or dirty state in a table that may not be written: see
 * hvpt_s2_fault_wants. 0: the syndrome does not tell (WnR is UNKNOWN for ATOMIC_UPDATE and EXCLUSIVE).
 * level, with has_level: that of the table in which the fault was found, counted from the smallest pages: Arm's level 3
 * is 0, its -1 is 4.
 * gpa, with gpa_valid: to the byte with gpa_exact, else as HPFAR_EL2 has it, in units of 4 KiB. FAR_EL2 is the address
 * of the guest's own access, which says nothing about a table. Without ISV the instruction may be a memory copy or set
 * (FEAT_MOPS), or FnP may say that FAR_EL2 is any address in the granule: the address is then unknown below the guest's
 * granule. Cache maintenance and fetches are exact. HPFAR_EL2 is unknown for a permission fault without on_table:
 * translate linear by the guest's tables then (guest/arm.h, or the AT instructions).
 * linear, with linear_valid: the guest's virtual address. non_secure: HPFAR_EL2.NS. cache: a cache maintenance
 * instruction, which needs no emulation. external: the implementation's class of an external abort. length: that of the
 * instruction in bytes, 4 or 2.
 * dirty_state, overlay, assured_only, top_level: what a permission fault is about: the dirty state of an indirect
 * permission, an overlay, AssuredOnly, or the permission of the top level (FEAT_S2PIE, FEAT_S2POE, FEAT_THE).
 * guarded_stack, tag_access, dirty_log: for data aborts, an access to a guarded control stack, one to allocation tags,
 * and a dirty state that could not be logged (FEAT_GCS, FEAT_MTE2, FEAT_HDBSS).
 */
struct hvpt_s2_fault {
    enum hvpt_s2_fault_kind kind;
    uint32_t access;
    bool on_table;
    bool has_level;
    unsigned level;
    bool gpa_valid;
    bool gpa_exact;
    hvpt_gpa gpa;
    bool linear_valid;
    uint64_t linear;
    bool non_secure;
    bool cache;
    bool external;
    bool dirty_state;
    bool overlay;
    bool assured_only;
    bool top_level;
    bool guarded_stack;
    bool tag_access;
    bool dirty_log;
    unsigned length;
    struct hvpt_s2_instruction instruction;
};

/* A status code that stands alone. level: from the smallest pages, 4 and 5 for Arm's -1 and -2; 255: it has none. */
struct hvpt_s2_fault_code {
    uint8_t status;
    uint8_t kind;
    uint8_t level;
};

/* The kind that a 6-bit status code stands for, and the level in it. */
static inline enum hvpt_s2_fault_kind hvpt_s2_fault_kind_of(uint64_t status, bool *has_level, unsigned *level)
{
    /* Codes that count levels 0 to 3 in their low bits, by the bits above. */
    static const uint8_t counting[16] = {
        HVPT_S2_FAULT_ADDRESS_SIZE, HVPT_S2_FAULT_TRANSLATION,
        HVPT_S2_FAULT_ACCESS_FLAG,  HVPT_S2_FAULT_PERMISSION,
        HVPT_S2_FAULT_NONE,         HVPT_S2_FAULT_EXTERNAL_ON_WALK,
        HVPT_S2_FAULT_NONE,         HVPT_S2_FAULT_PARITY_ON_WALK,
        HVPT_S2_FAULT_NONE,         HVPT_S2_FAULT_PROTECTION_ON_WALK,
        HVPT_S2_FAULT_NONE,         HVPT_S2_FAULT_NONE,
        HVPT_S2_FAULT_NONE,         HVPT_S2_FAULT_NONE,
        HVPT_S2_FAULT_NONE,         HVPT_S2_FAULT_NONE,
    };
    static const struct hvpt_s2_fault_code alone[] = {
        {0x10, HVPT_S2_FAULT_EXTERNAL, 255},         {0x11, HVPT_S2_FAULT_TAG_CHECK, 255},
        {0x12, HVPT_S2_FAULT_EXTERNAL_ON_WALK, 5},   {0x13, HVPT_S2_FAULT_EXTERNAL_ON_WALK, 4},
        {0x18, HVPT_S2_FAULT_PARITY, 255},           {0x1b, HVPT_S2_FAULT_PARITY_ON_WALK, 4},
        {0x21, HVPT_S2_FAULT_ALIGNMENT, 255},        {0x22, HVPT_S2_FAULT_PROTECTION_ON_WALK, 5},
        {0x23, HVPT_S2_FAULT_PROTECTION_ON_WALK, 4}, {0x28, HVPT_S2_FAULT_PROTECTION, 255},
        {0x29, HVPT_S2_FAULT_ADDRESS_SIZE, 4},       {0x2a, HVPT_S2_FAULT_TRANSLATION, 5},
        {0x2b, HVPT_S2_FAULT_TRANSLATION, 4},        {0x2c, HVPT_S2_FAULT_ADDRESS_SIZE, 5},
        {0x30, HVPT_S2_FAULT_TLB_CONFLICT, 255},     {0x31, HVPT_S2_FAULT_ATOMIC_UPDATE, 255},
        {0x34, HVPT_S2_FAULT_LOCKDOWN, 255},         {0x35, HVPT_S2_FAULT_EXCLUSIVE, 255},
    };
    unsigned i;

    status &= HVPT_ESR_STATUS_BITS;
    *has_level = counting[status >> 2] != HVPT_S2_FAULT_NONE;
    *level = *has_level ? 3 - (unsigned)(status & 3) : 0;
    if (*has_level)
        return (enum hvpt_s2_fault_kind)counting[status >> 2];
    for (i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        if (alone[i].status != status)
            continue;
        *has_level = alone[i].level != 255;
        *level = *has_level ? alone[i].level : 0;
        return (enum hvpt_s2_fault_kind)alone[i].kind;
    }
    return HVPT_S2_FAULT_RESERVED;
}

/*
 * Take an abort apart. esr, fault_address, hpfar: ESR_EL2, FAR_EL2 and HPFAR_EL2 as read before anything else could
 * change them. For a guest with HCR_EL2.TGE clear: its own faults go to its EL1, so what reaches EL2 is stage 2's, or
 * an external abort.
 * false: the exception class is neither an instruction nor a data abort from a lower exception level; *out then has
 * HVPT_S2_FAULT_NONE and nothing else.
 */
static inline bool hvpt_s2_decode_fault(uint64_t esr, uint64_t fault_address, uint64_t hpfar, struct hvpt_s2_fault *out)
{
    const uint64_t exception_class = esr >> HVPT_ESR_CLASS_SHIFT & 0x3f;
    const bool fetch = exception_class == HVPT_ESR_FETCH_LOWER;
    unsigned char *byte = (unsigned char *)out;
    size_t i;

    for (i = 0; i < sizeof(*out); i++)
        byte[i] = 0;
    if (!fetch && exception_class != HVPT_ESR_DATA_LOWER)
        return false;

    out->kind = hvpt_s2_fault_kind_of(esr, &out->has_level, &out->level);
    out->access = fetch ? HVPT_EXEC : esr & HVPT_ESR_BIT_WRITE ? HVPT_WRITE : HVPT_READ;
    if (!fetch && (out->kind == HVPT_S2_FAULT_ATOMIC_UPDATE || out->kind == HVPT_S2_FAULT_EXCLUSIVE))
        out->access = 0;
    out->on_table = (esr & HVPT_ESR_BIT_TABLE) != 0;
    out->length = esr & HVPT_ESR_BIT_LENGTH ? 4 : 2;
    out->external = (esr & HVPT_ESR_BIT_EXTERNAL) != 0;
    out->linear_valid = !(esr & HVPT_ESR_BIT_FAR_UNKNOWN);
    if (out->linear_valid)
        out->linear = fault_address;

    /*
     * Arm ARM, "HPFAR_EL2": UNKNOWN except for these. A granule protection fault counts if it met a table of stage 2,
     * which only a fault on the guest's own walk says for sure.
     */
    out->gpa_valid = out->kind == HVPT_S2_FAULT_TRANSLATION || out->kind == HVPT_S2_FAULT_ACCESS_FLAG
                  || out->kind == HVPT_S2_FAULT_ADDRESS_SIZE
                  || ((out->kind == HVPT_S2_FAULT_PERMISSION || out->kind == HVPT_S2_FAULT_PROTECTION_ON_WALK)
                      && out->on_table);
    if (out->gpa_valid) {
        out->gpa = hvpt_make_gpa((hpfar & HVPT_HPFAR_ADDRESS_BITS) << HVPT_HPFAR_ADDRESS_SHIFT);
        out->non_secure = (hpfar & HVPT_HPFAR_BIT_NON_SECURE) != 0;
        out->gpa_exact = out->linear_valid && !out->on_table
                      && (fetch || (esr & (HVPT_ESR_BIT_SYNDROME | HVPT_ESR_BIT_CACHE)));
        if (!fetch && !(esr & HVPT_ESR_BIT_SYNDROME) && (esr & HVPT_ESR_BIT_IMPRECISE))
            out->gpa_exact = false;
        if (out->gpa_exact)
            out->gpa.value |= fault_address & (HVPT_4K - 1);
    }
    if (out->kind == HVPT_S2_FAULT_PERMISSION) {
        out->dirty_state = (esr & HVPT_ESR_BIT_DIRTY_STATE) != 0;
        out->overlay = (esr & HVPT_ESR_BIT_OVERLAY) != 0;
        out->assured_only = (esr & HVPT_ESR_BIT_ASSURED_ONLY) != 0;
        out->top_level = (esr & (HVPT_ESR_BIT_TOP_LEVEL | HVPT_ESR_BIT_SYNDROME)) == HVPT_ESR_BIT_TOP_LEVEL;
    }
    if (fetch)
        return true;

    out->guarded_stack = (esr & HVPT_ESR_BIT_GUARDED_STACK) != 0;
    out->tag_access = (esr & HVPT_ESR_BIT_TAG_ACCESS) != 0;
    out->dirty_log = (esr & HVPT_ESR_BIT_DIRTY_LOG) != 0;

    out->cache = (esr & HVPT_ESR_BIT_CACHE) != 0;
    out->instruction.valid = (esr & HVPT_ESR_BIT_SYNDROME) != 0;
    if (out->instruction.valid) {
        out->instruction.size = 1u << (esr >> HVPT_ESR_SIZE_SHIFT & 3);
        out->instruction.sign_extend = (esr & HVPT_ESR_BIT_SIGN) != 0;
        out->instruction.reg = (unsigned)(esr >> HVPT_ESR_REGISTER_SHIFT) & 31;
        out->instruction.wide = (esr & HVPT_ESR_BIT_WIDE) != 0;
        out->instruction.ordered = (esr & HVPT_ESR_BIT_ORDERED) != 0;
        out->instruction.block =
            (esr & HVPT_ESR_LST_BITS)
            && (out->kind == HVPT_S2_FAULT_TRANSLATION || out->kind == HVPT_S2_FAULT_ACCESS_FLAG
                || out->kind == HVPT_S2_FAULT_PERMISSION);
    }
    if (out->instruction.block) {
        out->instruction.valid = false;
        out->instruction.size = 64;
    }
    return true;
}

/*
 * The access as the permission that hvpt_space_touch and hvpt_space_explain take. With on_table it is the walk's:
 * HVPT_READ, but HVPT_WRITE for a permission fault, since a walk writes to set an access flag or dirty state. 0: the
 * syndrome does not tell.
 */
static inline uint32_t hvpt_s2_fault_wants(const struct hvpt_s2_fault *fault)
{
    if (!fault->on_table)
        return fault->access;
    return fault->kind == HVPT_S2_FAULT_PERMISSION ? (uint32_t)HVPT_WRITE : (uint32_t)HVPT_READ;
}

/*
 * What an emulated load leaves in its register: the low size bytes of data, extended as the instruction says. The upper
 * half of a Wn load is 0. For reg 31 the value is dropped.
 */
static inline uint64_t hvpt_s2_load_value(const struct hvpt_s2_instruction *instruction, uint64_t data)
{
    const unsigned unused = instruction->valid ? 64 - 8 * instruction->size : 0;

    data = data << unused >> unused;
    if (instruction->sign_extend && (data >> (63 - unused) & 1))
        data |= ~(UINT64_MAX >> unused);
    return instruction->wide ? data : data & UINT64_C(0xffffffff);
}

/*
 * "data write of 8 bytes from x1, translation fault at level 3 (Arm's number), guest-physical 0x40001128, guest-virtual
 * 0x40001128".
 */
static inline void hvpt_s2_fault_text(const struct hvpt_s2_fault *fault, const struct hvpt_text *text)
{
    const struct hvpt_s2_instruction *instruction = &fault->instruction;

    if (fault->kind == HVPT_S2_FAULT_NONE) {
        hvpt_text_string(text, hvpt_s2_fault_kind_text(fault->kind));
        return;
    }
    hvpt_text_string(text, fault->cache                  ? "cache maintenance"
                           : fault->access == HVPT_EXEC  ? "instruction fetch"
                           : fault->access == HVPT_WRITE ? "data write"
                           : fault->access == 0          ? "data access"
                                                         : "data read");
    if (instruction->valid) {
        hvpt_text_string(text, " of ");
        hvpt_text_decimal(text, instruction->size);
        hvpt_text_string(text, instruction->size == 1 ? " byte" : " bytes");
        hvpt_text_string(text, fault->access == HVPT_WRITE ? " from " : " to ");
        hvpt_text_string(text, instruction->wide ? "x" : "w");
        if (instruction->reg == 31)
            hvpt_text_string(text, "zr");
        else
            hvpt_text_decimal(text, instruction->reg);
        hvpt_text_string_if(text, instruction->sign_extend, ", sign-extended");
        hvpt_text_string_if(text, instruction->ordered, ", ordered");
    }
    hvpt_text_string(text, ", ");
    hvpt_text_string(text, hvpt_s2_fault_kind_text(fault->kind));
    if (fault->has_level) {
        hvpt_text_string(text, " at level ");
        hvpt_text_string_if(text, fault->level > 3, "-");
        hvpt_text_decimal(text, fault->level > 3 ? fault->level - 3 : 3 - fault->level);
        hvpt_text_string(text, " (Arm's number)");
    }
    hvpt_text_string_if(text, fault->on_table, " for a table of the guest");
    if (fault->gpa_valid) {
        hvpt_text_string(text, fault->gpa_exact ? ", guest-physical " : ", in guest-physical page ");
        hvpt_text_hex(text, fault->gpa.value);
    }
    if (fault->linear_valid) {
        hvpt_text_string(text, ", guest-virtual ");
        hvpt_text_hex(text, fault->linear);
    }
}

#endif
