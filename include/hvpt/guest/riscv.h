/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The walk of a RISC-V guest's address: Bare, Sv39, Sv48 and Sv57 by vsatp, over the G-stage.
 * RISC-V Privileged Architecture, "Virtual Address Translation Process", "Two-Stage Address Translation".
 */
#ifndef HVPT_GUEST_RISCV_H
#define HVPT_GUEST_RISCV_H

#include "../fault/gstage.h"
#include "common.h"

/* ---- bits of the guest's registers ---- */

#define HVPT_RISCV_SATP_MODE_SHIFT 60
#define HVPT_RISCV_SATP_PPN_BITS   UINT64_C(0x00000fffffffffff)
#define HVPT_RISCV_STATUS_SUM      (UINT64_C(1) << 18)
#define HVPT_RISCV_STATUS_MXR      (UINT64_C(1) << 19)
#define HVPT_RISCV_ENVCFG_ADUE     (UINT64_C(1) << 61) /* Svadu: hardware sets accessed and dirty */
#define HVPT_RISCV_ENVCFG_PBMTE    (UINT64_C(1) << 62) /* Svpbmt: entries have memory types */

enum hvpt_riscv_mode { HVPT_RISCV_BARE = 0, HVPT_RISCV_SV39 = 8, HVPT_RISCV_SV48 = 9, HVPT_RISCV_SV57 = 10 };

/* Entries: "Sv39: Page-Based 39-bit Virtual-Memory System" and what extends it. */
#define HVPT_RISCV_PTE_VALID      (UINT64_C(1) << 0)
#define HVPT_RISCV_PTE_READ       (UINT64_C(1) << 1)
#define HVPT_RISCV_PTE_WRITE      (UINT64_C(1) << 2)
#define HVPT_RISCV_PTE_EXEC       (UINT64_C(1) << 3)
#define HVPT_RISCV_PTE_USER       (UINT64_C(1) << 4)
#define HVPT_RISCV_PTE_ACCESSED   (UINT64_C(1) << 6)
#define HVPT_RISCV_PTE_DIRTY      (UINT64_C(1) << 7)
#define HVPT_RISCV_PTE_PPN_SHIFT  10
#define HVPT_RISCV_PTE_PPN_BITS   UINT64_C(0x003ffffffffffc00)
#define HVPT_RISCV_PTE_RESERVED   (UINT64_C(0x7f) << 54)
#define HVPT_RISCV_PTE_SOFTWARE   (UINT64_C(3) << 59) /* with Svrsw60t59b; reserved without */
#define HVPT_RISCV_PTE_PBMT_SHIFT 61
#define HVPT_RISCV_PTE_PBMT_BITS  (UINT64_C(3) << 61)
#define HVPT_RISCV_PTE_NAPOT      (UINT64_C(1) << 63)

/*
 * Who makes the access, beside HVPT_READ, HVPT_WRITE, both for an AMO, or HVPT_EXEC. Neither: VS-mode.
 * HVPT_RISCV_HLVX, with HVPT_READ: HLVX, which needs the permission to execute instead of that to read.
 */
enum hvpt_riscv_access { HVPT_RISCV_USER = 1 << 8, HVPT_RISCV_HLVX = 1 << 9 };

/* What the hart has, for guest.features. */
enum hvpt_riscv_feature { HVPT_RISCV_SVNAPOT = 1 << 0, HVPT_RISCV_SVRSW60T59B = 1 << 1 };

/*
 * The guest's state. vsatp, vsstatus: the CSRs; of vsstatus, SUM and MXR are read. sstatus: HS-mode's own at the time
 * of the access, of which MXR is read: it makes executable pages readable at both stages.  henvcfg: ADUE and PBMTE are
 * read; both 0 on harts that lack Svadu and Svpbmt. The space's config says whether the G-stage has them.
 * memory: how to reach the guest's frames, if not by the hooks of the space: a phys_to_virt that returns NULL keeps the
 * walk away from frames that are no memory.
 */
struct hvpt_riscv_guest {
    uint64_t vsatp;
    uint64_t vsstatus;
    uint64_t sstatus;
    uint64_t henvcfg;
    uint32_t features;
    const struct hvpt_hooks *memory;
};

/*
 * What the walk found, up to where it ended; the rest is zero. Levels count from the smallest pages, as the manual's i
 * does.
 *
 * VS-stage. paging: vsatp is not Bare; then step[root_level] down to step[level] were used or, where fault_gpa is that
 * of an entry (on_table), down to the one above step[level], which could not be read or updated. gpa, guest_page_size:
 * where the guest's tables lead (0: they did not).  user: the page is one of user mode.  pbmt: its memory type, 0 as
 * the platform says, 1 NC, 2 IO.  guest_perm: what the guest's paging allows this mode of access.
 *
 * G-stage. second: its mapping of gpa, or of fault_gpa: memory type, permissions, page size; or the level and the entry
 * of what was in the way. on_table: the access to the G-stage was to a table of the guest, not the guest's own.
 *
 * With HVPT_GUEST_OK: hpa; page_size, what both stages map in one piece around it; perm, what both allow this mode.
 *
 * With HVPT_GUEST_PAGE_FAULT: cause in the guest's vscause (if hedeleg gives it the fault), linear in vstval. With
 * HVPT_GUEST_GSTAGE_FAULT: cause in scause, linear in stval, htval, and htinst: a pseudoinstruction with on_table; else
 * 0, where hardware may give the instruction that trapped.  fault_gpa: to the byte.
 */
struct hvpt_riscv_walk {
    enum hvpt_guest_end end;
    uint64_t linear;
    uint64_t cause;

    bool paging;
    unsigned root_level;
    unsigned level;
    struct hvpt_guest_step step[HVPT_MAX_LEVELS];
    hvpt_gpa gpa;
    uint64_t guest_page_size;
    bool user;
    uint8_t pbmt;
    uint32_t guest_perm;

    struct hvpt_mapping second;
    bool on_table;
    hvpt_gpa fault_gpa;
    uint64_t htval;
    uint64_t htinst;

    hvpt_hpa hpa;
    uint64_t page_size;
    uint32_t perm;
};

/* ---- faults: they report the access that the guest made, whatever the walk was doing ---- */

static inline uint64_t hvpt_riscv_cause(uint32_t access, bool guest_page)
{
    if (access & HVPT_EXEC)
        return guest_page ? HVPT_CAUSE_FETCH_GUEST_FAULT : HVPT_CAUSE_FETCH_PAGE_FAULT;
    if (access & HVPT_WRITE)
        return guest_page ? HVPT_CAUSE_STORE_GUEST_FAULT : HVPT_CAUSE_STORE_PAGE_FAULT;
    return guest_page ? HVPT_CAUSE_LOAD_GUEST_FAULT : HVPT_CAUSE_LOAD_PAGE_FAULT;
}

/* The guest gets a page fault. Always false. */
static inline bool hvpt_riscv_page_fault(uint32_t access, struct hvpt_riscv_walk *walk)
{
    walk->end = HVPT_GUEST_PAGE_FAULT;
    walk->cause = hvpt_riscv_cause(access, false);
    return false;
}

/*
 * Access gpa at the G-stage. asked: what the G-stage must allow; access: the guest's whole access, which the cause is
 * about.
 * on_table: it is the table walk's. true: walk->second is its mapping. false: walk->end says why not.
 * MXR is for explicit loads only: it does not make an executable table readable.
 */
static inline bool hvpt_riscv_second(const struct hvpt_space *space, const struct hvpt_riscv_guest *guest, uint64_t gpa,
                                     uint32_t asked, uint32_t access, bool on_table, struct hvpt_riscv_walk *walk)
{
    const bool executable = !on_table && (guest->sstatus & HVPT_RISCV_STATUS_MXR);
    const enum hvpt_second found = hvpt_second_access_gstage(space, gpa, asked, executable, &walk->second);

    if (found == HVPT_SECOND_ALLOWED)
        return true;
    walk->on_table = on_table;
    walk->fault_gpa = hvpt_make_gpa(gpa);
    if (found == HVPT_SECOND_UNREACHABLE) {
        walk->end = HVPT_GUEST_UNREACHABLE;
        return false;
    }
    walk->end = HVPT_GUEST_GSTAGE_FAULT;
    walk->cause = hvpt_riscv_cause(access, true);
    walk->htval = gpa >> HVPT_HTVAL_SHIFT;
    if (on_table)
        walk->htinst = asked & HVPT_WRITE ? HVPT_HTINST_WRITE_TABLE_64 : HVPT_HTINST_READ_TABLE_64;
    return false;
}

/* ---- entries ---- */

/* Is this valid entry a pointer to a table, which has no permissions of its own? */
static inline bool hvpt_riscv_is_pointer(uint64_t entry)
{
    return !(entry & (HVPT_RISCV_PTE_READ | HVPT_RISCV_PTE_WRITE | HVPT_RISCV_PTE_EXEC));
}

/*
 * Does a valid entry have bits or encodings that are reserved, or a page that is not aligned? Steps 3 and 6 of the
 * translation process, "Svpbmt", "Svnapot".
 */
static inline bool hvpt_riscv_is_reserved(const struct hvpt_riscv_guest *guest, uint64_t entry, unsigned level)
{
    const uint64_t below = ((UINT64_C(1) << 9 * level) - 1) << HVPT_RISCV_PTE_PPN_SHIFT;
    const uint64_t pbmt = entry & HVPT_RISCV_PTE_PBMT_BITS;
    uint64_t reserved = HVPT_RISCV_PTE_RESERVED;

    if (guest->features & HVPT_RISCV_SVRSW60T59B)
        reserved &= ~HVPT_RISCV_PTE_SOFTWARE;
    if (entry & reserved)
        return true;
    if (hvpt_riscv_is_pointer(entry))
        return level == 0
            || (entry
                & (HVPT_RISCV_PTE_USER | HVPT_RISCV_PTE_ACCESSED | HVPT_RISCV_PTE_DIRTY | HVPT_RISCV_PTE_PBMT_BITS
                   | HVPT_RISCV_PTE_NAPOT));
    if ((entry & (HVPT_RISCV_PTE_READ | HVPT_RISCV_PTE_WRITE)) == HVPT_RISCV_PTE_WRITE || (entry & below))
        return true;
    if (pbmt == HVPT_RISCV_PTE_PBMT_BITS || (pbmt != 0 && !(guest->henvcfg & HVPT_RISCV_ENVCFG_PBMTE)))
        return true;
    if (entry & HVPT_RISCV_PTE_NAPOT)
        return level != 0 || !(guest->features & HVPT_RISCV_SVNAPOT)
            || (entry & HVPT_GSTAGE_NAPOT_PPN) != HVPT_GSTAGE_NAPOT_64K;
    return false;
}

/* What the leaf allows this mode of access: step 7, "Supervisor Status (sstatus) Register", SUM and MXR. */
static inline uint32_t hvpt_riscv_allows(const struct hvpt_riscv_guest *guest, uint64_t leaf, uint32_t access)
{
    const bool user = (leaf & HVPT_RISCV_PTE_USER) != 0;
    const bool mxr = ((guest->sstatus | guest->vsstatus) & HVPT_RISCV_STATUS_MXR) != 0;
    const uint64_t readable = HVPT_RISCV_PTE_READ | (mxr ? HVPT_RISCV_PTE_EXEC : 0);
    uint32_t perm = (leaf & readable ? (uint32_t)HVPT_READ : 0)
                  | (leaf & HVPT_RISCV_PTE_WRITE ? (uint32_t)HVPT_WRITE : 0)
                  | (leaf & HVPT_RISCV_PTE_EXEC ? (uint32_t)HVPT_EXEC : 0);

    if (access & HVPT_RISCV_USER)
        return user ? perm : 0;
    if (!user)
        return perm;
    if (!(guest->vsstatus & HVPT_RISCV_STATUS_SUM))
        return 0;
    return access & HVPT_RISCV_HLVX ? perm : perm & ~(uint32_t)HVPT_EXEC; /* HLVX is a load, and no fetch */
}

/* The permissions that the access needs of a stage. HLVX needs execution, and MXR does not help it. */
static inline uint32_t hvpt_riscv_wants(uint32_t access)
{
    return access & HVPT_RISCV_HLVX ? (uint32_t)HVPT_EXEC : access & (HVPT_READ | HVPT_WRITE | HVPT_EXEC);
}

/* ---- the walk ---- */

/* Read the entry at gpa, once, into *step. */
static inline bool hvpt_riscv_read_entry(const struct hvpt_space *space, const struct hvpt_riscv_guest *guest,
                                         uint64_t gpa, uint32_t access, struct hvpt_guest_step *step,
                                         struct hvpt_riscv_walk *walk)
{
    if (!hvpt_riscv_second(space, guest, gpa, HVPT_READ, access, true, walk))
        return false;
    if (!hvpt_guest_read(space, guest->memory, walk->second.hpa.value, &step->entry)) {
        walk->end = HVPT_GUEST_UNREACHABLE;
        walk->on_table = true;
        walk->fault_gpa = hvpt_make_gpa(gpa);
        return false;
    }
    step->gpa = hvpt_make_gpa(gpa);
    step->hpa = walk->second.hpa;
    return true;
}

/* Walk the guest's tables from the root to a well-formed leaf. */
static inline bool hvpt_riscv_descend(const struct hvpt_space *space, const struct hvpt_riscv_guest *guest,
                                      uint32_t access, struct hvpt_riscv_walk *walk)
{
    uint64_t table = (guest->vsatp & HVPT_RISCV_SATP_PPN_BITS) << 12;
    unsigned level = walk->root_level;

    for (;; level--) {
        const unsigned shift = 12 + 9 * level;
        const uint64_t inside = (UINT64_C(1) << shift) - 1;
        uint64_t entry;

        walk->level = level;
        if (!hvpt_riscv_read_entry(space, guest, table + (walk->linear >> shift & 511) * 8, access, &walk->step[level],
                                   walk))
            return false;
        entry = walk->step[level].entry;
        if (!(entry & HVPT_RISCV_PTE_VALID) || hvpt_riscv_is_reserved(guest, entry, level))
            return hvpt_riscv_page_fault(access, walk);
        table = (entry & HVPT_RISCV_PTE_PPN_BITS) >> HVPT_RISCV_PTE_PPN_SHIFT << 12;
        if (hvpt_riscv_is_pointer(entry))
            continue;
        if (entry & HVPT_RISCV_PTE_NAPOT) { /* the page number's low bits are the address's own */
            walk->guest_page_size = HVPT_64K;
            walk->gpa = hvpt_make_gpa((table & ~(HVPT_64K - 1)) | (walk->linear & (HVPT_64K - 1)));
        } else {
            walk->guest_page_size = inside + 1;
            walk->gpa = hvpt_make_gpa(table | (walk->linear & inside));
        }
        walk->user = (entry & HVPT_RISCV_PTE_USER) != 0;
        walk->pbmt = (uint8_t)(entry >> HVPT_RISCV_PTE_PBMT_SHIFT & 3);
        return true;
    }
}

/*
 * Check the permissions, then the accessed and dirty bits: without Svadu a bit that is missing is a page fault; with it
 * hardware writes the entry, which the G-stage must allow.
 */
static inline bool hvpt_riscv_judge(const struct hvpt_space *space, const struct hvpt_riscv_guest *guest,
                                    uint32_t access, struct hvpt_riscv_walk *walk)
{
    struct hvpt_guest_step *leaf = &walk->step[walk->level];
    const uint64_t wanted = HVPT_RISCV_PTE_ACCESSED | (access & HVPT_WRITE ? HVPT_RISCV_PTE_DIRTY : 0);
    const uint64_t missing = wanted & ~leaf->entry;

    walk->guest_perm = hvpt_riscv_allows(guest, leaf->entry, access);
    if ((hvpt_riscv_wants(access) & ~walk->guest_perm) || (missing && !(guest->henvcfg & HVPT_RISCV_ENVCFG_ADUE)))
        return hvpt_riscv_page_fault(access, walk);
    leaf->update = (uint32_t)missing;
    return missing == 0 || hvpt_riscv_second(space, guest, leaf->gpa.value, HVPT_READ | HVPT_WRITE, access, true, walk);
}

/* Make the access itself, at walk->gpa. */
static inline bool hvpt_riscv_final(const struct hvpt_space *space, const struct hvpt_riscv_guest *guest,
                                    uint32_t access, struct hvpt_riscv_walk *walk)
{
    uint32_t perm;

    if (!hvpt_riscv_second(space, guest, walk->gpa.value, hvpt_riscv_wants(access), access, false, walk))
        return false;
    perm = walk->second.attr.perm;
    if ((guest->sstatus & HVPT_RISCV_STATUS_MXR) && (perm & HVPT_EXEC))
        perm |= HVPT_READ;
    walk->hpa = walk->second.hpa;
    walk->page_size = walk->guest_page_size < walk->second.page_size ? walk->guest_page_size : walk->second.page_size;
    walk->perm = walk->guest_perm & perm & (HVPT_READ | HVPT_WRITE | HVPT_EXEC);
    walk->end = HVPT_GUEST_OK;
    return true;
}

/* Is it one of HVPT_READ, HVPT_WRITE, both, or HVPT_EXEC, and a mode? HLVX reads. */
static inline bool hvpt_riscv_is_access(uint32_t access)
{
    const uint32_t what = access & ~(uint32_t)(HVPT_RISCV_USER | HVPT_RISCV_HLVX);

    if (access & HVPT_RISCV_HLVX)
        return what == HVPT_READ;
    return what == HVPT_EXEC || (what != 0 && (what & ~(uint32_t)(HVPT_READ | HVPT_WRITE)) == 0);
}

/*
 * Find out what happens when the guest makes this access to a virtual address. The access must not cross a page. space:
 * the G-stage, of a 64-bit guest. Returns walk->end; *walk is written in any case.
 *
 * Safe beside all readers, map and fault_map, and beside the running guest; from any CPU. What the TLBs of harts hold
 * is not known here.
 *
 * The order of faults is the manual's: a virtual address that is not sign-extended; each entry's own translation by the
 * G-stage, then whether it is valid and well-formed; the permissions; accessed and dirty; the G-stage.
 *
 * Not modelled: physical memory protection and attributes, pointer masking, shadow stacks (Zicfiss), Sv32.
 */
HVPT_NODISCARD static inline enum hvpt_guest_end hvpt_guest_walk_riscv(const struct hvpt_space *space,
                                                                       const struct hvpt_riscv_guest *guest,
                                                                       uint64_t linear, uint32_t access,
                                                                       struct hvpt_riscv_walk *walk)
{
    const unsigned mode = (unsigned)(guest->vsatp >> HVPT_RISCV_SATP_MODE_SHIFT);
    uint64_t upper;

    hvpt_guest_clear(walk, sizeof(*walk));
    walk->linear = linear;
    walk->end = HVPT_GUEST_BAD_ARGUMENT;
    if (space->kind != HVPT_KIND_GSTAGE || !hvpt_riscv_is_access(access)
        || (mode != HVPT_RISCV_BARE && (mode < HVPT_RISCV_SV39 || mode > HVPT_RISCV_SV57)))
        return walk->end;
    if (mode == HVPT_RISCV_BARE) {
        walk->gpa = hvpt_make_gpa(linear);
        walk->guest_page_size = space->gpa_limit;
        walk->guest_perm = HVPT_READ | HVPT_WRITE | HVPT_EXEC;
        (void)hvpt_riscv_final(space, guest, access, walk);
        return walk->end;
    }
    walk->paging = true;
    walk->root_level = walk->level = mode - 6;
    upper = linear >> (12 + 9 * (walk->root_level + 1) - 1);
    if (upper != 0 && upper != UINT64_MAX >> (12 + 9 * (walk->root_level + 1) - 1)) {
        (void)hvpt_riscv_page_fault(access, walk);
        return walk->end;
    }
    if (hvpt_riscv_descend(space, guest, access, walk) && hvpt_riscv_judge(space, guest, access, walk))
        (void)hvpt_riscv_final(space, guest, access, walk);
    return walk->end;
}

#endif
