/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Both stages at once: tables of the guest and of the G-stage, broken at random, walked by hvpt_guest_walk_riscv and by
 * the processor. What the walk foretells (where the access ends, with which cause, at which address, which accessed and
 * dirty bits are set) must come to pass.
 */
#include "suite.h"

#include <hvpt/guest/riscv.h>

#include "console.h"

#define TABLES (HVPT_1G + UINT64_C(0x10000)) /* guest-physical: the guest's tables, a page each, by level */
#define DATA   (HVPT_1G + UINT64_C(0x5000))
#define PAGES  32u /* guest-physical pages from HVPT_1G on, each mapped by an entry of its own */
#define ROUNDS 2500u

#define LEAF (PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)

enum who { BY_VS, BY_VU, BY_GUEST, BY_COUNT };

/* Cases that an emulator is known to see otherwise are counted apart, so that the others must all agree. */
enum kind {
    KIND_GUEST_FAULT, /* the guest's tables refuse */
    KIND_RESERVED,    /* ... for one of bits 60:54 */
    KIND_MEMTYPE,     /* ... for its PBMT field */
    KIND_POINTER,     /* ... for A, D, U, PBMT or N in a reference to a table */
    KIND_NAPOT,       /* ... for N in a leaf */
    KIND_SUM,         /* ... HLV or HSV for vsstatus.SUM */
    KIND_ACCESSED,    /* ... HLV or HSV for accessed and dirty */
    KIND_MXR,         /* HLV with vsstatus.MXR, wherever it ends */
    KIND_TABLE_READ,  /* the G-stage refuses the walk: a read */
    KIND_TABLE_MXR,   /* ... a read of a table that may be executed alone, with vsstatus.MXR */
    KIND_TABLE_OTHER, /* ... for a write or a fetch */
    KIND_TABLE_WRITE, /* the G-stage refuses that the walk sets accessed or dirty */
    KIND_FINAL,       /* the G-stage refuses the access itself */
    KIND_HLVX,        /* HLVX, wherever it ends */
    KIND_THROUGH,     /* the access goes through */
    KIND_COUNT
};

static const char *const kind_names[KIND_COUNT] = {
    "page faults of the guest",
    "page faults for bits 60:54",
    "page faults for PBMT",
    "page faults for bits of a reference to a table",
    "page faults for N",
    "page faults for SUM",
    "page faults for accessed and dirty, of HLV and HSV",
    "HLV with MXR",
    "tables that the G-stage keeps from a read",
    "tables that the G-stage keeps from a read, with MXR",
    "tables that the G-stage keeps from a write or fetch",
    "tables that the G-stage keeps from being updated",
    "faults of the G-stage",
    "HLVX",
    "accesses that go through",
};

struct tally {
    unsigned seen, wrong;
};

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static unsigned below(unsigned bound)
{
    return (unsigned)(random_next() % bound);
}

static uint64_t *guest_word(uint64_t gpa)
{
    return vm_host_word(VM_MEMORY + (gpa - HVPT_1G));
}

static uint64_t table_at(unsigned level)
{
    return TABLES + level * HVPT_4K;
}

/* Somebody's access, by the walk's flags. */
struct attempt {
    enum access access;
    enum who who;
    uint32_t flags;
};

static struct attempt any_attempt(void)
{
    static const struct attempt all[] = {
        {ACCESS_HLV, BY_VS, HVPT_READ},
        {ACCESS_HSV, BY_VS, HVPT_WRITE},
        {ACCESS_HLVX, BY_VS, HVPT_READ | HVPT_RISCV_HLVX},
        {ACCESS_HLV, BY_VU, HVPT_READ | HVPT_RISCV_USER},
        {ACCESS_HSV, BY_VU, HVPT_WRITE | HVPT_RISCV_USER},
        {ACCESS_HLVX, BY_VU, HVPT_READ | HVPT_RISCV_HLVX | HVPT_RISCV_USER},
        {ACCESS_READ, BY_GUEST, HVPT_READ},
        {ACCESS_WRITE, BY_GUEST, HVPT_WRITE},
        {ACCESS_AMO, BY_GUEST, HVPT_READ | HVPT_WRITE},
        {ACCESS_FETCH, BY_GUEST, HVPT_EXEC},
    };

    return all[below(sizeof(all) / sizeof(all[0]))];
}

/* A leaf's low bits: all rights as a rule; the rest at random. */
static uint64_t any_flags(void)
{
    uint64_t flags = LEAF;

    if (below(2) == 0)
        flags &= ~(random_next() & (PTE_R | PTE_W | PTE_X));
    if (below(3) == 0)
        flags &= ~(random_next() & (PTE_A | PTE_D));
    if (below(3) == 0)
        flags |= PTE_U;
    if (below(3) == 0)
        flags |= PTE_G;
    return flags;
}

/*
 * The guest's tables from root to leaf for at; the root's first entry maps the guest's code one to one. A leaf above
 * level 0 is a large page around DATA.
 */
static void build_guest(uint64_t at, unsigned root, unsigned leaf)
{
    for (unsigned level = root + 1; level-- > leaf;) {
        uint64_t entry, *table = guest_word(table_at(level));

        for (unsigned i = 0; i < 512; i++)
            table[i] = 0;
        if (level == root)
            table[0] = LEAF;
        if (level == leaf)
            entry = (DATA >> (12 + 9 * level) << (12 + 9 * level)) >> 2 | any_flags();
        else
            entry = table_at(level - 1) >> 2 | PTE_V;
        table[at >> (12 + 9 * level) & 511] = entry;
    }
}

/* Breaks one entry of the guest's: any bit, or one of those that matter. */
static void break_guest(uint64_t at, unsigned root, unsigned leaf)
{
    static const uint64_t known[] = {
        PTE_V,
        PTE_R,
        PTE_R | PTE_X,
        PTE_A,
        PTE_D,
        PTE_U,
        PTE_N,
        PTE_N | UINT64_C(8) << 10,
        UINT64_C(1) << 61,
        UINT64_C(2) << 61,
        UINT64_C(3) << 61,
        UINT64_C(1) << 54,
        UINT64_C(1) << 60,
        UINT64_C(1) << 10,
        UINT64_C(1) << 53,
    };
    unsigned level = leaf + below(root - leaf + 1);
    uint64_t *entry = guest_word(table_at(level)) + (at >> (12 + 9 * level) & 511);

    *entry ^= below(2) ? known[below(sizeof(known) / sizeof(known[0]))] : UINT64_C(1) << below(64);
}

/* The G-stage: all pages open, then one of those in use limited. */
static void build_second(struct vm *vm, unsigned root, unsigned leaf, bool limit)
{
    static const uint64_t limits[] = {
        0,
        PTE_V,
        LEAF & ~PTE_W,
        LEAF & ~PTE_X,
        LEAF & ~(PTE_W | PTE_X),
        LEAF & ~(PTE_R | PTE_W),
        LEAF & ~PTE_R,
        LEAF & ~PTE_A,
        LEAF & ~PTE_D,
        LEAF & ~(PTE_A | PTE_D),
    };

    for (unsigned i = 0; i < PAGES; i++)
        *paging_entry(&vm->paging, HVPT_1G + i * HVPT_4K, 0) = (VM_MEMORY + i * HVPT_4K) >> 2 | LEAF | PTE_U;
    if (limit) {
        uint64_t gpa = below(3) == 0 ? DATA : table_at(below(2) == 0 ? leaf : below(root + 1));
        uint64_t *entry = paging_entry(&vm->paging, gpa, 0), flags = limits[below(sizeof(limits) / sizeof(limits[0]))];

        *entry = (*entry & ~UINT64_C(0x3ff)) | flags | (below(8) != 0 ? PTE_U : 0);
    }
}

static enum kind kind_of(const struct hvpt_riscv_walk *walk, struct attempt attempt, uint64_t vsstatus)
{
    uint64_t entry = walk->step[walk->level].entry;
    bool pointer = (entry & (PTE_R | PTE_W | PTE_X)) == 0;

    if (attempt.access == ACCESS_HLVX)
        return KIND_HLVX;
    if (walk->end == HVPT_GUEST_PAGE_FAULT && attempt.who != BY_GUEST && walk->gpa.value != 0
        && (attempt.flags & ~walk->guest_perm & RWX) == 0)
        return KIND_ACCESSED;
    if (attempt.access == ACCESS_HLV && (vsstatus & HVPT_RISCV_STATUS_MXR) != 0 && entry >> 54 == 0)
        return KIND_MXR;
    if (walk->end == HVPT_GUEST_OK)
        return KIND_THROUGH;
    if (walk->end == HVPT_GUEST_PAGE_FAULT) {
        if ((entry & PTE_V) == 0)
            return KIND_GUEST_FAULT;
        if (entry >> 54 & (machine.software_bits ? 0x1f : 0x7f))
            return KIND_RESERVED;
        if (pointer && walk->level != 0)
            return KIND_POINTER;
        if (entry & PTE_N)
            return KIND_NAPOT;
        if (entry >> 61 & 3)
            return KIND_MEMTYPE;
        return attempt.who == BY_VS && (entry & PTE_U) != 0 && (vsstatus & HVPT_RISCV_STATUS_SUM) == 0
                 ? KIND_SUM
                 : KIND_GUEST_FAULT;
    }
    if (!walk->on_table)
        return KIND_FINAL;
    if (walk->htinst == 0x3020)
        return KIND_TABLE_WRITE;
    if ((walk->second.entry & (PTE_R | PTE_X)) == PTE_X && (vsstatus & HVPT_RISCV_STATUS_MXR) != 0)
        return KIND_TABLE_MXR;
    return attempt.flags & HVPT_READ && !(attempt.flags & HVPT_WRITE) ? KIND_TABLE_READ : KIND_TABLE_OTHER;
}

/* Did the processor end as foretold, as far as registers tell? */
static bool ended_so(const struct hvpt_riscv_walk *walk, struct attempt attempt, const struct vm_exit *exit)
{
    if (walk->end == HVPT_GUEST_OK)
        return access_through(attempt.access, exit);
    if (exit->cause != walk->cause || exit->stval != walk->linear)
        return false;
    if (walk->end == HVPT_GUEST_PAGE_FAULT)
        return exit->htval == 0 && !exit->guest_fault;
    return exit->guest_fault && exit->fault.gpa.value == walk->fault_gpa.value && exit->htval == walk->htval
        && exit->fault.on_table == walk->on_table && (!walk->on_table || exit->htinst == walk->htinst);
}

/* The entries that the walk used, with the accessed and dirty bits that it said hardware would set, and no others. */
static bool updated_so(const struct hvpt_riscv_walk *walk)
{
    for (unsigned level = walk->level; level <= walk->root_level; level++) {
        const struct hvpt_guest_step *step = &walk->step[level];

        if (*vm_host_word(step->hpa.value) != (step->entry ^ step->update))
            return false;
    }
    return true;
}

static void check_once(struct vm *vm, unsigned mode, uint64_t henvcfg, struct tally *tally)
{
    const unsigned root = mode - 6, leaf = below(3) == 0 ? below(root + 1) : 0;
    const unsigned bits = 12 + 9 * (root + 1);
    struct attempt attempt = any_attempt();
    struct hvpt_riscv_guest guest = {.vsatp = (uint64_t)mode << 60 | table_at(root) >> 12,
                                     .vsstatus = random_next() & (UINT64_C(3) << 18),
                                     .henvcfg = henvcfg,
                                     .features = (machine.napot ? (uint32_t)HVPT_RISCV_SVNAPOT : 0)
                                               | (machine.software_bits ? (uint32_t)HVPT_RISCV_SVRSW60T59B : 0)};
    struct hvpt_riscv_walk walk;
    uint64_t at = random_next() << 20 ^ random_next() << 50, offset = below(500) * 8u, found = 0, tag = 0;
    uint64_t inside = (UINT64_C(1) << (12 + 9 * leaf)) - 1;
    struct vm_exit exit;
    enum hvpt_guest_end end;
    enum kind kind;
    bool right;

    at = (at & ~inside) | (DATA & inside);
    at = (at & ~UINT64_C(0xfff)) | offset;
    at |= UINT64_C(1) << (12 + 9 * root + 1); /* not the entry of the guest's code */
    if (below(32) != 0)
        at = (uint64_t)((int64_t)(at << (64 - bits)) >> (64 - bits));

    build_guest(at, root, leaf);
    if (below(2) == 0)
        break_guest(at, root, leaf);
    build_second(vm, root, leaf, below(2) == 0);
    if (attempt.who == BY_GUEST
        && paging_entry(&vm->paging, table_at(root), 0)[0]
               != ((VM_MEMORY + table_at(root) - HVPT_1G) >> 2 | LEAF | PTE_U))
        build_second(vm, root, leaf, false); /* its own code comes by the same root */
    cpu_write(CSR_VSATP, guest.vsatp);
    cpu_write(CSR_VSSTATUS, guest.vsstatus);
    cpu_write(CSR_HSTATUS, (attempt.who == BY_VU ? 0 : HSTATUS_SPVP) | HSTATUS_VTW | UINT64_C(2) << 32);
    cpu_hfence_gvma_all();
    cpu_hfence_vvma();
    end = hvpt_guest_walk_riscv(&vm->paging.space, &guest, at, attempt.flags, &walk);
    kind = kind_of(&walk, attempt, guest.vsstatus);

    if (end == HVPT_GUEST_OK) {
        if (walk.hpa.value
            >= VM_MEMORY + (TABLES - HVPT_1G)) /* a table was made a page: writing there proves nothing */
            return;
        tag = vm_tag(walk.hpa.value);
    }

    if (attempt.access == ACCESS_HLV)
        exit = vm_hlv(at, &found);
    else if (attempt.access == ACCESS_READ)
        exit = vm_read(vm, at, &found);
    else
        exit = access_do(vm, attempt.access, at);
    cpu_write(CSR_VSATP, 0);
    cpu_write(CSR_HSTATUS, HSTATUS_SPVP | HSTATUS_VTW | UINT64_C(2) << 32);

    right = end != HVPT_GUEST_BAD_ARGUMENT && end != HVPT_GUEST_UNREACHABLE && ended_so(&walk, attempt, &exit);
    if (right && walk.end == HVPT_GUEST_OK) {
        right = updated_so(&walk);
        if (attempt.access == ACCESS_HLV || attempt.access == ACCESS_READ)
            right = right && found == tag;
        if (attempt.access == ACCESS_HSV || attempt.access == ACCESS_WRITE)
            right = right && *vm_host_word(walk.hpa.value) == UINT64_C(0x1122334400008067);
    }
    tally[kind].seen++;
    if (!right && tally[kind].wrong++ < 2) {
        print("%s: mode %u, %s by %u, at %lx, vsstatus %lx: foretold %s, cause %lx, gpa %lx, htinst %lx\n",
              kind_names[kind], mode, access_name(attempt.access), (unsigned)attempt.who, at, guest.vsstatus,
              hvpt_guest_end_text(walk.end), walk.cause, walk.fault_gpa.value, walk.htinst);
        print("  the processor: cause %lx, stval %lx, htval %lx, htinst %lx; entry %lx at level %u, G-stage's %lx\n",
              exit.cause, exit.stval, exit.htval, exit.htinst, walk.step[walk.level].entry, walk.level,
              walk.second.entry);
    }
}

static void check_random(struct frames *frames, uint64_t henvcfg)
{
    struct paging_options options = {.features = (machine.hardware_bits ? (uint32_t)HVPT_GSTAGE_USE_SVADU : 0)
                                               | (machine.pbmt ? (uint32_t)HVPT_GSTAGE_USE_SVPBMT : 0)};
    struct tally tally[KIND_COUNT] = {{0, 0}};
    struct vm vm;

    vm_create(&vm, frames, &options);
    paging_map(&vm.paging, HVPT_1G, VM_MEMORY, PAGES * HVPT_4K, paging_attr(RWX));
    for (unsigned i = 0; i < ROUNDS; i++)
        check_once(&vm, MODE_SV39X4 + i % 3, henvcfg, tally);
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        if (tally[kind].seen == 0) {
            check_skip("the machine has none", "%s: as the walk foretells", kind_names[kind]);
            continue;
        }
        check_equal(tally[kind].wrong, 0, "%s: as the walk foretells", kind_names[kind]);
        print("%u %s\n", tally[kind].seen, kind_names[kind]);
    }
    cpu_write(CSR_VSSTATUS, 0);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}

/*
 * The kernel's own translation: all addresses one to one. Nothing here needs it, but QEMU 7.2 reports a page fault that
 * HLV or HSV takes in the guest's tables as an access fault while satp is Bare.
 */
static void use_identity(bool on)
{
    static uint64_t table[512] __attribute__((aligned(4096)));

    for (uint64_t i = 0; i < 512; i++)
        table[i] = i << 28 | LEAF;
    cpu_write(CSR_SATP, on ? UINT64_C(8) << 60 | (uintptr_t)table >> 12 : 0);
    __asm__ volatile("sfence.vma" : : : "memory");
}

void suite_guest_walk(struct frames *frames)
{
    uint64_t henvcfg;

    suite_set_adue(true);
    cpu_write(CSR_HENVCFG, (machine.pbmt ? MENVCFG_PBMTE : 0) | (machine.can_adue ? MENVCFG_ADUE : 0));
    henvcfg = cpu_read(CSR_HENVCFG);
    use_identity(true);
    check_group("G-stage, guest walk");
    /* A machine whose hardware sets the bits without being asked has them set at both stages */
    check_random(frames, henvcfg | (machine.hardware_bits ? HVPT_RISCV_ENVCFG_ADUE : 0));
    if (machine.can_adue && machine.hardware_bits) {
        check_group("G-stage, guest walk, page faults for accessed and dirty");
        cpu_write(CSR_HENVCFG, henvcfg & ~MENVCFG_ADUE);
        check_random(frames, henvcfg & ~MENVCFG_ADUE);
    }
    cpu_write(CSR_HENVCFG, 0);
    use_identity(false);
}
