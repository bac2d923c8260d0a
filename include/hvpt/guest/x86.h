/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The walk of an x86 guest's address: no paging, 32-bit, PAE, 4-level and 5-level, over EPT or NPT.
 * SDM vol. 3, "Paging" and "Prioritization of EPT Misconfigurations and EPT Violations"; APM vol. 2, "Nested Paging".
 */
#ifndef HVPT_GUEST_X86_H
#define HVPT_GUEST_X86_H

#include "../fault/ept.h"
#include "common.h"
#include "../fault/npt.h"

/* ---- bits: SDM vol. 3, "Control Registers", "Extended Feature Enable Register", tables of entry formats ---- */

#define HVPT_X86_CR0_PE   (UINT64_C(1) << 0)
#define HVPT_X86_CR0_WP   (UINT64_C(1) << 16)
#define HVPT_X86_CR0_PG   (UINT64_C(1) << 31)
#define HVPT_X86_CR4_PSE  (UINT64_C(1) << 4)
#define HVPT_X86_CR4_PAE  (UINT64_C(1) << 5)
#define HVPT_X86_CR4_LA57 (UINT64_C(1) << 12)
#define HVPT_X86_CR4_SMEP (UINT64_C(1) << 20)
#define HVPT_X86_CR4_SMAP (UINT64_C(1) << 21)
#define HVPT_X86_CR4_PKE  (UINT64_C(1) << 22)
#define HVPT_X86_CR4_PKS  (UINT64_C(1) << 24)
#define HVPT_X86_EFER_LMA (UINT64_C(1) << 10)
#define HVPT_X86_EFER_NXE (UINT64_C(1) << 11)
#define HVPT_X86_FLAGS_AC (UINT64_C(1) << 18)

#define HVPT_X86_PTE_PRESENT   (UINT64_C(1) << 0)
#define HVPT_X86_PTE_WRITE     (UINT64_C(1) << 1)
#define HVPT_X86_PTE_USER      (UINT64_C(1) << 2)
#define HVPT_X86_PTE_PWT       (UINT64_C(1) << 3)
#define HVPT_X86_PTE_PCD       (UINT64_C(1) << 4)
#define HVPT_X86_PTE_ACCESSED  (UINT64_C(1) << 5)
#define HVPT_X86_PTE_DIRTY     (UINT64_C(1) << 6)
#define HVPT_X86_PTE_LARGE     (UINT64_C(1) << 7)  /* above level 0 */
#define HVPT_X86_PTE_PAT       (UINT64_C(1) << 7)  /* at level 0 */
#define HVPT_X86_PTE_PAT_LARGE (UINT64_C(1) << 12) /* above level 0 */
#define HVPT_X86_PTE_KEY_SHIFT 59
#define HVPT_X86_PTE_NX        (UINT64_C(1) << 63)
#define HVPT_X86_ADDRESS_BITS  UINT64_C(0x000ffffffffff000)

/* The error code of #PF: SDM vol. 3, "Page-Fault Exceptions". */
#define HVPT_X86_PF_PRESENT  UINT32_C(1)
#define HVPT_X86_PF_WRITE    UINT32_C(2)
#define HVPT_X86_PF_USER     UINT32_C(4)
#define HVPT_X86_PF_RESERVED UINT32_C(8)
#define HVPT_X86_PF_FETCH    UINT32_C(16)
#define HVPT_X86_PF_KEY      UINT32_C(32)

/*
 * Who makes the access, beside what it does: HVPT_READ, HVPT_WRITE, both for an instruction that does both, or
 * HVPT_EXEC. Neither: supervisor mode, CPL below 3.
 * HVPT_X86_IMPLICIT: the processor's own access to a GDT, LDT, IDT or TSS: supervisor mode whatever the CPL is, and
 * RFLAGS.AC does not lift SMAP for it.
 */
enum hvpt_x86_access { HVPT_X86_USER = 1 << 8, HVPT_X86_IMPLICIT = 1 << 9 };

/* What the CPU lacks or has, for guest.features. */
enum hvpt_x86_option {
    HVPT_X86_NO_1G = 1 << 0,                /* no 1G pages for the guest: bit 7 of such an entry is reserved */
    HVPT_X86_ADVANCED_INFORMATION = 1 << 1, /* HVPT_EPT_CAP_ADVANCED_INFORMATION: qualification bits 11:9 are given */
    HVPT_X86_HOST_SMEP =
        1 << 2 /* NPT: the host's CR4.SMEP is 1, so that EXITINFO1 tells fetches even without its EFER.NXE */
};

/*
 * The guest's state, as the VMCS or VMCB has it.
 * rflags: only AC is read.  pdpte: the VMCS's PDPTEs, for a PAE guest on EPT; on NPT they are read from memory.
 * pat: IA32_PAT; 0: HVPT_PAT_RESET.  pkru, pkrs: read if CR4 enables them.
 * maxphyaddr: the guest's, 32 to 52; 0: 52.  features: HVPT_X86_...
 * memory: how to reach the guest's frames, if not by the hooks of the space: a phys_to_virt that returns NULL keeps the
 * walk away from frames that are no memory, such as a device's that is mapped for the guest.
 */
struct hvpt_x86_guest {
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    uint64_t rflags;
    uint64_t pdpte[4];
    uint64_t pat;
    uint32_t pkru;
    uint32_t pkrs;
    unsigned maxphyaddr;
    uint32_t features;
    const struct hvpt_hooks *memory;
};

/*
 * What the walk found, up to where it ended; the rest is zero.
 *
 * The guest's tables. paging: there are any; then step[root_level] down to step[level] were used, or, where fault_gpa
 * is that of an entry (on_table), down to the one above step[level], which could not be read. level is thus that of the
 * leaf, or of the entry that faulted.
 * gpa, guest_page_size: where the guest's tables lead (0: they did not).  user, writable, no_exec: what all entries say
 * together.  guest_perm: what the guest's paging allows this mode of access: HVPT_READ | HVPT_WRITE | HVPT_EXEC.
 * key: the protection key.  pat_type: the leaf's byte of IA32_PAT, one half of the memory type; WB without paging.
 *
 * The second level. second: its mapping of gpa, or of fault_gpa: memory type, permissions, page size; or the level and
 * the entry of what was absent or malformed. on_table: the access to the second level was to a table of the guest, not
 * the guest's own.
 *
 * With HVPT_GUEST_OK: hpa; page_size, what both stages map in one piece around it; perm, what both allow this mode.
 *
 * exit_information: exit qualification or EXITINFO1.  fault_gpa: the guest-physical address or EXITINFO2, to the byte.
 * convertible: an EPT violation that the entry lets become #VE, if the guest's state allows it (SDM vol. 3,
 * "Convertible EPT Violations").  sub_page: the write fails unless the sub-page permission table grants it.
 */
struct hvpt_guest_walk {
    enum hvpt_guest_end end;
    uint64_t linear;
    uint32_t error_code;

    bool paging;
    unsigned root_level;
    unsigned level;
    struct hvpt_guest_step step[HVPT_MAX_LEVELS];
    hvpt_gpa gpa;
    uint64_t guest_page_size;
    bool user;
    bool writable;
    bool no_exec;
    uint8_t key;
    uint8_t pat_type;
    uint32_t guest_perm;

    struct hvpt_mapping second;
    bool on_table;
    hvpt_gpa fault_gpa;
    uint64_t exit_information;
    bool convertible;
    bool sub_page;

    hvpt_hpa hpa;
    uint64_t page_size;
    uint32_t perm;
};

/* ---- the guest's paging mode ---- */

/* The control registers, decoded. The guest's tables have entries of 4 bytes in 32-bit paging and of 8 otherwise. */
struct hvpt_x86_paging {
    bool on;
    bool wide;      /* 8-byte entries */
    bool long_mode; /* 4 or 5 levels */
    bool nx;
    bool pse;
    bool amd; /* the APM's rules hold where they differ */
    bool no_1g;
    unsigned root_level;
    unsigned index_bits;
    unsigned maxphyaddr;
    uint64_t root;      /* guest-physical, of the root table */
    uint64_t high_bits; /* address bits and others above them that no entry may have set */
};

/* Bits high - 1 down to low; none if they are equal. */
static inline uint64_t hvpt_x86_bits(unsigned low, unsigned high)
{
    return ((UINT64_C(1) << high) - 1) & ~((UINT64_C(1) << low) - 1);
}

/* Decode the paging mode. false: no CPU can be in this state. SDM vol. 3, "Paging Modes and Control Bits". */
static inline bool hvpt_x86_read_mode(const struct hvpt_space *space, const struct hvpt_x86_guest *guest,
                                      struct hvpt_x86_paging *paging)
{
    const bool pae = (guest->cr4 & HVPT_X86_CR4_PAE) != 0;

    paging->on = (guest->cr0 & HVPT_X86_CR0_PG) != 0;
    paging->long_mode = paging->on && (guest->efer & HVPT_X86_EFER_LMA);
    paging->amd = space->kind == HVPT_KIND_NPT;
    paging->wide = pae;
    paging->nx = pae && (guest->efer & HVPT_X86_EFER_NXE);
    paging->pse = pae || (guest->cr4 & HVPT_X86_CR4_PSE);
    paging->no_1g = (guest->features & HVPT_X86_NO_1G) != 0;
    paging->index_bits = pae ? 9 : 10;
    paging->maxphyaddr = guest->maxphyaddr == 0 ? 52 : guest->maxphyaddr;
    if ((space->kind != HVPT_KIND_EPT && !paging->amd) || paging->maxphyaddr < 32 || paging->maxphyaddr > 52)
        return false;
    if (!paging->on) {
        paging->root_level = 0;
        paging->root = 0;
        paging->high_bits = 0;
        return true;
    }
    if (!(guest->cr0 & HVPT_X86_CR0_PE) || (paging->long_mode && !pae))
        return false;
    if (paging->long_mode) {
        paging->root_level = guest->cr4 & HVPT_X86_CR4_LA57 ? 4 : 3;
        paging->root = guest->cr3 & HVPT_X86_ADDRESS_BITS;
        paging->high_bits = hvpt_x86_bits(paging->maxphyaddr, 52) | (paging->nx ? 0 : HVPT_X86_PTE_NX);
        return !(paging->root & paging->high_bits);
    }
    if (pae) {
        paging->root_level = 2;
        paging->root = guest->cr3 & UINT64_C(0xffffffe0);
        paging->high_bits = hvpt_x86_bits(paging->maxphyaddr, 63) | (paging->nx ? 0 : HVPT_X86_PTE_NX);
        return true;
    }
    paging->root_level = 1;
    paging->root = guest->cr3 & UINT64_C(0xfffff000);
    paging->high_bits = 0;
    return true;
}

static inline unsigned hvpt_x86_span_shift(const struct hvpt_x86_paging *paging, unsigned level)
{
    return 12 + level * paging->index_bits;
}

/*
 * Is it a PDPTE of PAE paging? That has no permissions and no accessed bit, and is never a page. Intel's CPUs keep the
 * four in registers; on NPT they are read like any other entry (APM vol. 2, "Nested Paging", "Legacy PAE Mode").
 */
static inline bool hvpt_x86_is_pdpte(const struct hvpt_x86_paging *paging, unsigned level)
{
    return level == 2 && !paging->long_mode;
}

/* Does a present entry map a page? Bit 7 says so only where there are pages of that size; elsewhere it is reserved. */
static inline bool hvpt_x86_is_leaf(const struct hvpt_x86_paging *paging, unsigned level, uint64_t entry)
{
    return level == 0
        || ((entry & HVPT_X86_PTE_LARGE)
            && (level == 1 ? paging->pse : level == 2 && paging->long_mode && !paging->no_1g));
}

/*
 * The bits that must be clear in a present entry. SDM vol. 3, "32-Bit Paging", "PAE Paging", "4-Level Paging and
 * 5-Level Paging"; APM vol. 2, "Long-Mode Page Translation", also reserves bit 8 of the two highest levels.
 */
static inline uint64_t hvpt_x86_reserved_bits(const struct hvpt_x86_paging *paging, unsigned level, uint64_t entry)
{
    if (!paging->wide) {
        /* PSE-36: bits 20:13 are address bits 39:32 as far as the guest has them, 21 is always reserved. */
        const unsigned limit = paging->maxphyaddr < 40 ? paging->maxphyaddr : 40;

        return level == 1 && hvpt_x86_is_leaf(paging, level, entry) ? hvpt_x86_bits(limit - 19, 22) : 0;
    }
    if (hvpt_x86_is_pdpte(paging, level))
        return paging->high_bits | HVPT_X86_PTE_NX | UINT64_C(0x1e6);
    if (level >= 3)
        return paging->high_bits | HVPT_X86_PTE_LARGE | (paging->amd ? UINT64_C(1) << 8 : 0);
    if (level == 2 && paging->no_1g)
        return paging->high_bits | HVPT_X86_PTE_LARGE;
    if (level != 0 && (entry & HVPT_X86_PTE_LARGE))
        return paging->high_bits | hvpt_x86_bits(13, hvpt_x86_span_shift(paging, level));
    return paging->high_bits;
}

/* The table or page that a well-formed entry refers to. */
static inline uint64_t hvpt_x86_address(const struct hvpt_x86_paging *paging, unsigned level, uint64_t entry)
{
    uint64_t address = entry & HVPT_X86_ADDRESS_BITS;

    if (level != 0 && hvpt_x86_is_leaf(paging, level, entry)) {
        address &= ~((UINT64_C(1) << hvpt_x86_span_shift(paging, level)) - 1);
        if (!paging->wide)
            address |= (entry & UINT64_C(0x1fe000)) << 19;
    }
    return address;
}

/* ---- permissions: SDM vol. 3, "Determination of Access Rights", "Protection Keys" ---- */

static inline bool hvpt_x86_is_user(uint32_t access)
{
    return (access & HVPT_X86_USER) && !(access & HVPT_X86_IMPLICIT);
}

/* What the protection key of the page denies this mode of access: HVPT_READ | HVPT_WRITE, never the fetch. */
static inline uint32_t hvpt_x86_key_denies(const struct hvpt_x86_guest *guest, const struct hvpt_x86_paging *paging,
                                           const struct hvpt_guest_walk *walk, uint32_t access)
{
    const uint32_t rights = (walk->user ? guest->pkru : guest->pkrs) >> (2 * walk->key);

    if (!paging->long_mode || !(guest->cr4 & (walk->user ? HVPT_X86_CR4_PKE : HVPT_X86_CR4_PKS)))
        return 0;
    if (rights & 1)
        return HVPT_READ | HVPT_WRITE;
    return (rights & 2) && (hvpt_x86_is_user(access) || (guest->cr0 & HVPT_X86_CR0_WP)) ? HVPT_WRITE : 0;
}

/* What the guest's paging allows this mode of access, protection keys aside: HVPT_READ | HVPT_WRITE | HVPT_EXEC. */
static inline uint32_t hvpt_x86_allows(const struct hvpt_x86_guest *guest, const struct hvpt_guest_walk *walk,
                                       uint32_t access)
{
    uint32_t perm = HVPT_READ | HVPT_WRITE | HVPT_EXEC;

    if (walk->no_exec)
        perm &= ~(uint32_t)HVPT_EXEC;
    if (hvpt_x86_is_user(access)) {
        if (!walk->user)
            return 0;
        return walk->writable ? perm : perm & ~(uint32_t)HVPT_WRITE;
    }
    if (!walk->writable && (guest->cr0 & HVPT_X86_CR0_WP))
        perm &= ~(uint32_t)HVPT_WRITE;
    if (walk->user && (guest->cr4 & HVPT_X86_CR4_SMEP))
        perm &= ~(uint32_t)HVPT_EXEC;
    if (walk->user && (guest->cr4 & HVPT_X86_CR4_SMAP)
        && ((access & HVPT_X86_IMPLICIT) || !(guest->rflags & HVPT_X86_FLAGS_AC)))
        perm &= ~(uint32_t)(HVPT_READ | HVPT_WRITE);
    return perm;
}

/* The guest gets #PF. cause: HVPT_X86_PF_PRESENT, _RESERVED, _KEY as they apply. */
static inline bool hvpt_x86_page_fault(const struct hvpt_x86_guest *guest, const struct hvpt_x86_paging *paging,
                                       uint32_t access, uint32_t cause, struct hvpt_guest_walk *walk)
{
    const bool tells_fetch = paging->nx || (guest->cr4 & HVPT_X86_CR4_SMEP);

    walk->end = HVPT_GUEST_PAGE_FAULT;
    walk->error_code = cause | (access & HVPT_WRITE ? HVPT_X86_PF_WRITE : 0)
                     | (hvpt_x86_is_user(access) ? HVPT_X86_PF_USER : 0)
                     | (tells_fetch && (access & HVPT_EXEC) ? HVPT_X86_PF_FETCH : 0);
    return false;
}

/* ---- the second level ---- */

/* An EPT violation or misconfiguration at fault_gpa. */
static inline void hvpt_x86_ept_fault(const struct hvpt_space *space, const struct hvpt_x86_guest *guest,
                                      uint32_t access, enum hvpt_second found, struct hvpt_guest_walk *walk)
{
    const struct hvpt_mapping *second = &walk->second;

    if (found == HVPT_SECOND_MALFORMED) {
        walk->end = HVPT_GUEST_EPT_MISCONFIGURATION;
        return;
    }
    walk->end = HVPT_GUEST_EPT_VIOLATION;
    walk->exit_information = hvpt_ept_violation_access(access, second->attr.perm) | HVPT_EPT_VIOLATION_LINEAR_VALID;
    if (!walk->on_table) {
        walk->exit_information |= HVPT_EPT_VIOLATION_FINAL;
        if (guest->features & HVPT_X86_ADVANCED_INFORMATION)
            walk->exit_information |= (walk->user ? HVPT_EPT_VIOLATION_USER_LINEAR : 0)
                                    | (walk->writable ? HVPT_EPT_VIOLATION_LINEAR_WRITABLE : 0)
                                    | (walk->no_exec ? HVPT_EPT_VIOLATION_LINEAR_NX : 0);
        walk->sub_page = found == HVPT_SECOND_DENIED && (second->attr.flags & HVPT_EPT_SUB_PAGE_WRITE)
                      && (access & ~second->attr.perm) == HVPT_WRITE;
    }
    walk->convertible = (space->features & HVPT_EPT_USE_VIOLATION_VE) && !(second->entry & HVPT_EPT_BIT_SUPPRESS_VE)
                     && walk->fault_gpa.value < space->gpa_limit;
}

static inline void hvpt_x86_npt_fault(const struct hvpt_space *space, const struct hvpt_x86_guest *guest,
                                      uint32_t access, enum hvpt_second found, struct hvpt_guest_walk *walk)
{
    /* With GMET a fetch is that of the CPL's mode; every other access counts as the user's. */
    const bool user = !((space->features & HVPT_NPT_USE_GMET) && (access & HVPT_EXEC));
    const bool tells_fetch = !(space->features & HVPT_NPT_NO_NX) || (guest->features & HVPT_X86_HOST_SMEP);

    walk->end = HVPT_GUEST_NESTED_PAGE_FAULT;
    walk->exit_information = hvpt_npf_access(access, user, tells_fetch, found != HVPT_SECOND_ABSENT,
                                             found == HVPT_SECOND_MALFORMED)
                           | (walk->on_table ? HVPT_NPF_GUEST_TABLE : HVPT_NPF_FINAL);
}

/*
 * Access gpa, for the page walk (on_table) or for the guest itself. access: HVPT_READ, ... without the mode.
 * true: walk->second is its mapping. false: walk->end says why not.
 */
static inline bool hvpt_x86_second(const struct hvpt_space *space, const struct hvpt_x86_guest *guest, uint64_t gpa,
                                   uint32_t access, bool on_table, struct hvpt_guest_walk *walk)
{
    enum hvpt_second found = hvpt_second_access(space, gpa, access, on_table, &walk->second);

    if (found == HVPT_SECOND_ALLOWED)
        return true;
    walk->on_table = on_table;
    walk->fault_gpa = hvpt_make_gpa(gpa);
    if (found == HVPT_SECOND_UNREACHABLE)
        walk->end = HVPT_GUEST_UNREACHABLE;
    else if (space->kind == HVPT_KIND_EPT)
        hvpt_x86_ept_fault(space, guest, access, found, walk);
    else
        hvpt_x86_npt_fault(space, guest, access, found, walk);
    return false;
}

/*
 * Do the walk's reads of the guest's tables count as writes?
 * With EPT, if its own accessed and dirty bits are on (SDM vol. 3, "Accessed and Dirty Flags for EPT"); with NPT,
 * always (APM vol. 2, "Nested Table Walk").
 */
static inline bool hvpt_x86_walk_writes(const struct hvpt_space *space)
{
    return space->kind != HVPT_KIND_EPT || (space->features & HVPT_EPT_USE_ACCESSED_DIRTY);
}

/* ---- the walk ---- */

/* Read the table entry at gpa, once, into *step. Of a 4-byte entry the whole word that holds it is read. */
static inline bool hvpt_x86_read_entry(const struct hvpt_space *space, const struct hvpt_x86_guest *guest, bool wide,
                                       uint64_t gpa, struct hvpt_guest_step *step, struct hvpt_guest_walk *walk)
{
    const uint32_t access = HVPT_READ | (hvpt_x86_walk_writes(space) ? (uint32_t)HVPT_WRITE : 0);
    uint64_t hpa;

    if (!hvpt_x86_second(space, guest, gpa, access, true, walk))
        return false;
    hpa = walk->second.hpa.value;
    if (!hvpt_guest_read(space, guest->memory, hpa, &step->entry)) {
        walk->end = HVPT_GUEST_UNREACHABLE;
        walk->on_table = true;
        walk->fault_gpa = hvpt_make_gpa(gpa);
        return false;
    }
    step->gpa = hvpt_make_gpa(gpa);
    step->hpa = hvpt_make_hpa(hpa);
    if (!wide)
        step->entry = step->entry >> (8 * (hpa & 4)) & UINT64_C(0xffffffff);
    return true;
}

/*
 * Walk the guest's tables from the root to the leaf: find gpa, and what all entries say together. Permissions are
 * judged later.
 */
static inline bool hvpt_x86_descend(const struct hvpt_space *space, const struct hvpt_x86_guest *guest,
                                    const struct hvpt_x86_paging *paging, uint32_t access, bool *verified,
                                    struct hvpt_guest_walk *walk)
{
    uint64_t table = paging->root;
    unsigned level = paging->root_level;

    walk->root_level = level;
    for (;; level--) {
        const unsigned shift = hvpt_x86_span_shift(paging, level);
        const uint64_t index = walk->linear >> shift & ((UINT64_C(1) << paging->index_bits) - 1);
        struct hvpt_guest_step *step = &walk->step[level];
        uint64_t entry, inside;

        walk->level = level;
        if (hvpt_x86_is_pdpte(paging, level) && !paging->amd) {
            step->entry = guest->pdpte[index];
            step->in_register = true;
        } else {
            if (!hvpt_x86_read_entry(space, guest, paging->wide, table + index * (paging->wide ? 8 : 4), step, walk))
                return false;
            *verified = *verified && (walk->second.attr.flags & HVPT_EPT_PAGING_WRITE);
        }
        entry = step->entry;
        if (!(entry & HVPT_X86_PTE_PRESENT))
            return hvpt_x86_page_fault(guest, paging, access, 0, walk);
        if (entry & hvpt_x86_reserved_bits(paging, level, entry)) {
            if (!step->in_register)
                return hvpt_x86_page_fault(guest, paging, access, HVPT_X86_PF_PRESENT | HVPT_X86_PF_RESERVED, walk);
            walk->end = HVPT_GUEST_BAD_ARGUMENT; /* VM entry refuses it */
            return false;
        }
        table = hvpt_x86_address(paging, level, entry);
        if (hvpt_x86_is_pdpte(paging, level))
            continue;
        walk->user = walk->user && (entry & HVPT_X86_PTE_USER);
        walk->writable = walk->writable && (entry & HVPT_X86_PTE_WRITE);
        walk->no_exec = walk->no_exec || (paging->nx && (entry & HVPT_X86_PTE_NX));
        if (!hvpt_x86_is_leaf(paging, level, entry))
            continue;
        inside = (UINT64_C(1) << shift) - 1;
        walk->gpa = hvpt_make_gpa(table | (walk->linear & inside));
        walk->guest_page_size = inside + 1;
        walk->key = paging->long_mode ? (uint8_t)(entry >> HVPT_X86_PTE_KEY_SHIFT & 15) : 0;
        walk->pat_type = (uint8_t)((entry & HVPT_X86_PTE_PWT ? 1 : 0) | (entry & HVPT_X86_PTE_PCD ? 2 : 0)
                                   | (entry & (level == 0 ? HVPT_X86_PTE_PAT : HVPT_X86_PTE_PAT_LARGE) ? 4 : 0));
        walk->pat_type = (uint8_t)((guest->pat == 0 ? HVPT_PAT_RESET : guest->pat) >> (8 * walk->pat_type) & 7);
        return true;
    }
}

/*
 * Which accessed and dirty bits the access would set, and may the walk write them? Only if its reads were not judged as
 * writes already; an EPT violation of such a write is reported as a read and a write.
 */
static inline bool hvpt_x86_update(const struct hvpt_space *space, const struct hvpt_x86_guest *guest,
                                   const struct hvpt_x86_paging *paging, uint32_t access, struct hvpt_guest_walk *walk)
{
    unsigned level;

    for (level = walk->root_level + 1; level-- > walk->level;) {
        struct hvpt_guest_step *step = &walk->step[level];
        uint64_t wanted = HVPT_X86_PTE_ACCESSED;

        if (hvpt_x86_is_pdpte(paging, level))
            continue;
        if (level == walk->level && (access & HVPT_WRITE))
            wanted |= HVPT_X86_PTE_DIRTY;
        step->update = (uint32_t)(wanted & ~step->entry);
        if (step->update != 0 && !hvpt_x86_walk_writes(space)
            && !hvpt_x86_second(space, guest, step->gpa.value, HVPT_READ | HVPT_WRITE, true, walk))
            return false;
    }
    return true;
}

/* Make the access itself, at walk->gpa. */
static inline bool hvpt_x86_final(const struct hvpt_space *space, const struct hvpt_x86_guest *guest, uint32_t access,
                                  bool verified, struct hvpt_guest_walk *walk)
{
    uint32_t exec = HVPT_EXEC;

    /* Mode-based execute control goes by the page, which is a user page if all entries say so, not by the CPL. */
    if (space->kind == HVPT_KIND_EPT && (space->features & HVPT_EPT_USE_MODE_BASED_EXECUTE) && walk->user)
        exec = HVPT_EXEC_USER;
    /* Guest mode execute trap goes by the CPL. */
    if (space->kind == HVPT_KIND_NPT && (space->features & HVPT_NPT_USE_GMET) && hvpt_x86_is_user(access))
        exec = HVPT_EXEC_USER;
    access = (access & (HVPT_READ | HVPT_WRITE)) | (access & HVPT_EXEC ? exec : 0);
    if (!hvpt_x86_second(space, guest, walk->gpa.value, access, false, walk))
        return false;
    if (space->kind == HVPT_KIND_EPT && walk->paging && (walk->second.attr.flags & HVPT_EPT_VERIFY_GUEST_PAGING)
        && !verified) {
        walk->fault_gpa = walk->gpa;
        hvpt_x86_ept_fault(space, guest, access, HVPT_SECOND_ALLOWED, walk);
        walk->exit_information |= HVPT_EPT_VIOLATION_GUEST_PAGING;
        return false;
    }
    walk->hpa = walk->second.hpa;
    walk->page_size = walk->guest_page_size < walk->second.page_size ? walk->guest_page_size : walk->second.page_size;
    walk->perm = walk->guest_perm & walk->second.attr.perm & (HVPT_READ | HVPT_WRITE);
    if ((walk->guest_perm & HVPT_EXEC) && (walk->second.attr.perm & exec))
        walk->perm |= HVPT_EXEC;
    walk->end = HVPT_GUEST_OK;
    return true;
}

/* Is it one of HVPT_READ, HVPT_WRITE, both, or HVPT_EXEC, and a mode? */
static inline bool hvpt_x86_is_access(uint32_t access)
{
    const uint32_t what = access & ~(uint32_t)(HVPT_X86_USER | HVPT_X86_IMPLICIT);

    return what == HVPT_EXEC || (what != 0 && (what & ~(uint32_t)(HVPT_READ | HVPT_WRITE)) == 0);
}

/*
 * Find out what happens when the guest makes this access to a linear address. linear: after segmentation and, where
 * they are on, the masking of upper address bits (LAM, UAI); without paging and in 32-bit and PAE paging below 4G. The
 * access must not cross a page. space: EPT or NPT. Returns walk->end; *walk is written in any case.
 *
 * Safe beside all readers, map and fault_map, and beside the running guest; from any CPU. What the TLBs of CPUs hold is
 * not known here.
 *
 * The order of faults is the manual's (SDM vol. 3, "Prioritization of EPT Misconfigurations and EPT Violations"): each
 * table access through the second level; absent and reserved, table by table; the guest's permissions; setting accessed
 * and dirty bits; the access through the second level.
 *
 * Not modelled: shadow-stack accesses, sub-page permissions (see sub_page), HLAT, LASS, SEV's C-bit of the guest.
 */
HVPT_NODISCARD static inline enum hvpt_guest_end hvpt_guest_walk_x86(const struct hvpt_space *space,
                                                                     const struct hvpt_x86_guest *guest,
                                                                     uint64_t linear, uint32_t access,
                                                                     struct hvpt_guest_walk *walk)
{
    struct hvpt_x86_paging paging;
    bool verified = true;
    uint32_t keyed;

    hvpt_guest_clear(walk, sizeof(*walk));
    walk->linear = linear;
    walk->end = HVPT_GUEST_BAD_ARGUMENT;
    if (!hvpt_x86_is_access(access) || !hvpt_x86_read_mode(space, guest, &paging))
        return walk->end;
    if (paging.long_mode) {
        const uint64_t upper = linear >> (paging.root_level == 4 ? 56 : 47);

        if (upper != 0 && upper != UINT64_MAX >> (paging.root_level == 4 ? 56 : 47)) {
            walk->end = HVPT_GUEST_NOT_CANONICAL;
            return walk->end;
        }
    } else if (linear >> 32 != 0) {
        return walk->end;
    }

    walk->paging = paging.on;
    walk->user = true;
    walk->writable = true;
    if (!paging.on) {
        walk->gpa = hvpt_make_gpa(linear);
        walk->guest_page_size = UINT64_C(1) << 32;
        walk->guest_perm = HVPT_READ | HVPT_WRITE | HVPT_EXEC;
        walk->pat_type = HVPT_EPTP_MEMTYPE_WB;
    } else {
        if (!hvpt_x86_descend(space, guest, &paging, access, &verified, walk))
            return walk->end;
        keyed = hvpt_x86_key_denies(guest, &paging, walk, access);
        walk->guest_perm = hvpt_x86_allows(guest, walk, access) & ~keyed;
        if ((access & (HVPT_READ | HVPT_WRITE | HVPT_EXEC)) & ~walk->guest_perm) {
            hvpt_x86_page_fault(guest, &paging, access, HVPT_X86_PF_PRESENT | (access & keyed ? HVPT_X86_PF_KEY : 0),
                                walk);
            return walk->end;
        }
        if (!hvpt_x86_update(space, guest, &paging, access, walk))
            return walk->end;
    }
    (void)hvpt_x86_final(space, guest, access, verified, walk);
    return walk->end;
}

#endif
