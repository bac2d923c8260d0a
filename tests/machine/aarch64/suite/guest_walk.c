/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Both stages at once: tables of the guest and of stage 2, broken at random, walked by hvpt_guest_walk_arm and by the
 * processor. What the walk foretells (where the access ends, with which syndrome for whom, at which address, what the
 * processor writes into the tables) must come to pass.
 *
 * One half of the guest's addresses is under test; its code runs in the other, in tables that nobody touches.
 */
#include "suite.h"

#include <hvpt/guest/arm.h>

#include "console.h"
#include "cpu.h"
#include "machine.h"

#define BASE   HVPT_1G
#define UNIT   HVPT_64K          /* what lies apart is this far apart: a page of any granule */
#define DATA   (BASE + 7 * UNIT) /* guest-physical */
#define UNITS  8u                /* tables of five levels below DATA */
#define CODE   UINT64_C(0x18000) /* guest-physical, in the home: the table of the code's half */
#define ROUNDS 700u

#define TCR_CODE_HALF UINT64_C(0x3519) /* 39 bits, walks write-back and inner shareable, 4K granule */

enum kind {
    KIND_RANGE,      /* the guest gets a fault for its address or its registers, no table was read */
    KIND_ABSENT,     /* ... for a descriptor that is not valid */
    KIND_LEVEL,      /* ... for a block at a level that has none */
    KIND_SIZE,       /* ... for an address in a descriptor */
    KIND_WIDE,       /* ... for one of more than 48 bits in a descriptor that can hold it, where TCR_EL1 allows fewer */
    KIND_FLAG,       /* ... for the access flag */
    KIND_PERMISSION, /* ... for its rights */
    KIND_DIRTY,      /* ... for a fetch from what hardware would make writable: DBM, with the dirty state by hardware */
    KIND_EPAN,       /* ... for WXN, where PAN with EPAN would keep data away */
    KIND_TABLE,      /* stage 2 refuses the walk */
    KIND_UPDATE,     /* stage 2 refuses that the walk writes */
    KIND_FINAL,      /* stage 2 refuses the access itself */
    KIND_THROUGH,
    KIND_COUNT
};

static const char *const kind_names[KIND_COUNT] = {
    "addresses out of range",
    "descriptors that are not valid",
    "blocks where there are none",
    "addresses too large",
    "addresses of more than 48 bits",
    "access flags of the guest",
    "permissions of the guest",
    "fetches from what hardware would make writable",
    "fetches with WXN, PAN and EPAN",
    "tables that stage 2 keeps from the walk",
    "tables that stage 2 keeps from being updated",
    "faults of stage 2",
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
    return random_state * UINT64_C(0x2545f4914f6cdd1d) >> 12;
}

static unsigned below(unsigned bound)
{
    return (unsigned)(random_next() % bound);
}

static uint64_t host(uint64_t gpa)
{
    return VM_MEMORY + (gpa - BASE);
}

static uint64_t table_at(unsigned level)
{
    return BASE + level * UNIT;
}

struct attempt {
    const char *piece, *name;
    uint32_t flags;
};

static struct attempt any_attempt(void)
{
    const struct attempt all[] = {
        {guest_read, "read", HVPT_READ},
        {guest_write, "write", HVPT_WRITE},
        {guest_fetch, "fetch", HVPT_EXEC},
        {guest_user_read, "user read", HVPT_READ | HVPT_ARM_EL0},
        {guest_user_write, "user write", HVPT_WRITE | HVPT_ARM_EL0},
        {guest_user_fetch, "user fetch", HVPT_EXEC | HVPT_ARM_EL0},
        {guest_read_unprivileged, "unprivileged read", HVPT_READ | HVPT_ARM_UNPRIVILEGED},
        {guest_write_unprivileged, "unprivileged write", HVPT_WRITE | HVPT_ARM_UNPRIVILEGED},
    };

    return all[below(sizeof(all) / sizeof(all[0]))];
}

/* The half under test: its part of TCR_EL1, and what the tables are built by. */
struct half {
    bool upper;
    unsigned shift, bits, root, leaf;
    bool ds;
    uint64_t tcr, linear;
};

/* Rights, access flag and the like of a leaf; the address is the caller's. */
static uint64_t any_leaf(const struct half *half)
{
    uint64_t leaf = 7u << 2 | (half->ds ? 0 : 3u << 8) | 1u << 10 | (random_next() & 3) << 6; /* AttrIndx, SH, AF, AP */

    if (below(2))
        leaf |= (random_next() & 3) << 53; /* PXN, UXN */
    if (below(3) == 0)
        leaf &= ~(UINT64_C(1) << 10);
    if (below(3) == 0)
        leaf |= UINT64_C(1) << 51; /* DBM */
    if (below(4) == 0)
        leaf |= UINT64_C(1) << 11;
    return leaf;
}

static uint64_t *slot_of(const struct half *half, unsigned level)
{
    unsigned shift = half->shift + level * (half->shift - 3);
    uint64_t input = half->linear & ((UINT64_C(1) << half->bits) - 1), index = input >> shift;

    if (level != half->root)
        index &= (UINT64_C(1) << (half->shift - 3)) - 1;
    return (uint64_t *)(uintptr_t)host(table_at(level)) + index;
}

static void build_guest(const struct half *half)
{
    for (unsigned level = half->root + 1; level-- > half->leaf;) {
        unsigned shift = half->shift + level * (half->shift - 3);

        if (level == half->leaf) {
            *slot_of(half, level) = (DATA >> shift << shift) | (level == 0 ? 3 : 1) | any_leaf(half);
        } else {
            *slot_of(half, level) = table_at(level - 1) | 3;
            if (below(4) == 0)
                *slot_of(half, level) |= (random_next() & 15) << 59;
        }
    }
}

static void break_guest(const struct half *half)
{
    static const uint64_t known[] = {
        1,
        2,
        UINT64_C(1) << 10,
        UINT64_C(1) << 7,
        UINT64_C(1) << 40,
        UINT64_C(1) << 43,
        UINT64_C(1) << 47,
        UINT64_C(1) << 8,
        UINT64_C(1) << 12,
        UINT64_C(1) << 20,
        UINT64_C(1) << 61,
        UINT64_C(1) << 59,
    };
    unsigned level = half->leaf + below(half->root - half->leaf + 1);

    *slot_of(half, level) ^= known[below(sizeof(known) / sizeof(known[0]))];
}

/* One page of stage 2 limited; the answer undoes it. */
struct undo {
    volatile uint64_t *entry;
    uint64_t value;
};

static struct undo limit_second(struct vm *vm, const struct half *half)
{
    static const uint64_t clear[] = {
        1, 2, UINT64_C(1) << 10, UINT64_C(1) << 6, UINT64_C(1) << 7, UINT64_C(3) << 6, 0, 0, 0,
    };
    static const uint64_t set[] = {
        0, 0, 0, 0, 0, 0, UINT64_C(1) << 54, UINT64_C(1) << 53, UINT64_C(1) << 47,
    };
    unsigned level = below(half->root + 1), what = below(9);
    uint64_t gpa = below(2) ? DATA + (half->linear & (UNIT - 1))
                            : BASE + ((uintptr_t)slot_of(half, below(2) ? level : half->leaf) - VM_MEMORY);
    struct walk walk = paging_walk(&vm->paging, gpa);
    struct undo undo = {walk.entry, walk.value};

    if (what == 7 && !(vm->paging.config.features & HVPT_S2_USE_XNX)) /* bit 53 is reserved then */
        what = 6;
    if (what == 8 && paging_physical_bits() >= 48) /* an address like others, where no memory is */
        what = 2;
    *walk.entry = (walk.value & ~clear[what]) | set[what];
    return undo;
}

static struct half any_half(bool upper)
{
    static const unsigned shifts[3] = {12, 14, 16};
    static const uint64_t lower_code[3] = {0, 2, 1}, upper_code[3] = {2, 1, 3};
    struct half half = {.upper = upper};
    unsigned which, size, index, block;
    uint64_t inside, bits;
    const bool small = (cpu_read_mmfr2() >> 28 & 15) != 0;

    do {
        which = below(3);
        half.shift = shifts[which];
    } while (half.shift != 12 && !paging_has_stage1_granule(half.shift));
    half.ds = below(3) == 0 && paging_has_stage1_lpa2(half.shift);
    size = 16 + below(small ? 33 : 24);
    if (below(4) == 0)
        size = 25;
    if (half.shift == 16 && size > 47)
        size = 47;
    if (half.ds && below(2))
        size = 12 + below(8);
    half.bits = 64 - size;
    index = half.shift - 3;
    while (half.bits > half.shift + (half.root + 1) * index)
        half.root++;
    half.leaf = below(3) == 0 ? below(half.root + 1) : 0;
    block = (half.shift == 12 ? 2 : 1) + (half.ds ? 1u : 0);
    if (half.leaf > block && below(4) != 0)
        half.leaf = block;

    bits = (UINT64_C(1) << half.bits) - 1;
    inside = (UINT64_C(1) << (half.shift + half.leaf * index)) - 1;
    half.linear = ((random_next() << 20 ^ random_next()) & ~inside & bits) | (DATA & inside & bits);
    half.linear = (half.linear & ~UINT64_C(0xfff)) | below(500) * 8;
    half.linear |= upper ? ~bits : 0;

    half.tcr = size | 5u << 8 | 3u << 12 | (upper ? upper_code : lower_code)[which] << 14;
    if (below(16) == 0)
        half.tcr |= 1u << 7; /* EPD */
    half.tcr = upper ? half.tcr << 16 : half.tcr;
    if (below(2))
        half.tcr |= UINT64_C(1) << (upper ? 38 : 37); /* TBI */
    if ((cpu_read_mmfr1() >> 12 & 15) != 0 && below(3) == 0)
        half.tcr |= UINT64_C(1) << (upper ? 42 : 41); /* HPD */
    if (cpu_read_mmfr2() >> 60 != 0 && below(8) == 0)
        half.tcr |= UINT64_C(1) << (upper ? 56 : 55); /* E0PD */
    if (half.ds)
        half.tcr |= UINT64_C(1) << 59;
    if (below(6) == 0) /* a tag, or an address that is none */
        half.linear ^= random_next() << 56;
    if (below(24) == 0 && half.bits < 54)
        half.linear ^= UINT64_C(1) << (half.bits + below(54 - half.bits));
    return half;
}

static enum kind kind_of(const struct half *half, const struct hvpt_arm_guest *guest, const struct hvpt_arm_walk *walk,
                         struct attempt attempt)
{
    uint64_t entry = walk->step[walk->level].entry;
    bool wide = half->shift == 16 ? (entry & 0xf000) != 0 : half->ds && (entry & (UINT64_C(3) << 48 | 0x300)) != 0;

    if (walk->end == HVPT_GUEST_OK)
        return KIND_THROUGH;
    if (walk->end == HVPT_GUEST_STAGE2_FAULT)
        return !walk->on_table ? KIND_FINAL : walk->gpa.value != 0 ? KIND_UPDATE : KIND_TABLE;
    if (entry == 0 && walk->step[walk->level].gpa.value == 0)
        return KIND_RANGE;
    switch (walk->fault) {
    case HVPT_S2_FAULT_TRANSLATION: return (entry & 1) != 0 && walk->level != 0 ? KIND_LEVEL : KIND_ABSENT;
    case HVPT_S2_FAULT_ADDRESS_SIZE: return wide ? KIND_WIDE : KIND_SIZE;
    case HVPT_S2_FAULT_ACCESS_FLAG: return KIND_FLAG;
    default: break;
    }
    if ((attempt.flags & HVPT_EXEC) == 0)
        return KIND_PERMISSION;
    if ((guest->tcr >> 39 & 3) == 3 && (entry & UINT64_C(1) << 51) != 0 && (entry & 1u << 7) != 0)
        return KIND_DIRTY;
    return (guest->sctlr & 1u << 19) != 0 && guest->sctlr >> 57 != 0 && (guest->spsr & 1u << 22) != 0 ? KIND_EPAN
                                                                                                      : KIND_PERMISSION;
}

/* How it ended, for both levels of exceptions. */
struct outcome {
    struct vm_exit exit;
    uint64_t esr_el1, far_el1;
};

static bool ended_so(const struct hvpt_arm_walk *walk, struct attempt attempt, const struct outcome *outcome)
{
    const bool el0 = (attempt.flags & HVPT_ARM_EL0) != 0;
    const struct vm_exit *exit = &outcome->exit;

    switch (walk->end) {
    case HVPT_GUEST_OK:
        return exit->kind == VM_EXIT_CALL && exit->call == (el0 ? 2 : 1) && (!el0 || outcome->esr_el1 >> 26 == 0x15);
    case HVPT_GUEST_PAGE_FAULT: /* by the guest's vectors: at EL1, or from EL0 */
        return exit->kind == VM_EXIT_CALL && exit->call == (el0 ? 2u : 0x104u) && outcome->esr_el1 == walk->esr
            && outcome->far_el1 == walk->linear;
    case HVPT_GUEST_STAGE2_FAULT:
        return exit->kind == VM_EXIT_FAULT && (exit->esr & ~HVPT_ESR_INSTRUCTION_BITS) == walk->esr
            && exit->far == walk->linear && (!walk->hpfar_valid || exit->hpfar == walk->hpfar)
            && exit->fault.on_table == walk->on_table && exit->fault.gpa_valid == walk->hpfar_valid;
    default: return false;
    }
}

static bool updated_so(const struct hvpt_arm_walk *walk)
{
    for (unsigned level = walk->level; level <= walk->root_level; level++) {
        const struct hvpt_guest_step *step = &walk->step[level];

        if (*vm_host_word(step->hpa.value) != (step->entry ^ step->update))
            return false;
    }
    return true;
}

static void check_once(struct vm *vm, bool upper, struct tally *tally)
{
    const uint64_t code = upper ? 0 : ~UINT64_C(0) << 39;
    const uint64_t mmfr1 = cpu_read_mmfr1(), mmfr2 = cpu_read_mmfr2();
    struct half half = any_half(upper);
    struct attempt attempt = any_attempt();
    struct hvpt_arm_guest guest = {.mmfr0 = cpu_read_mmfr0(), .mmfr1 = mmfr1, .mmfr2 = mmfr2, .mair = ~UINT64_C(0)};
    const bool tagged = (half.tcr >> (upper ? 38 : 37) & 1) != 0;
    struct undo undo = {NULL, 0};
    struct outcome outcome;
    struct hvpt_arm_walk walk;
    enum hvpt_guest_end end;
    uint64_t tag = 0;
    enum kind kind;
    bool right, skip;

    if (tagged && (attempt.flags & HVPT_EXEC)) /* a branch drops the tag: AArch64.BranchAddr */
        half.linear = (half.linear & UINT64_C(0x00ffffffffffffff)) | (half.linear >> 55 & 1 ? UINT64_C(0xff) << 56 : 0);
    guest.sctlr = UINT64_C(0x30d00800) | 1u << 12 | 1u << 2 | 1 | (below(3) == 0 ? 1u << 19 : 0);
    if ((mmfr1 >> 20 & 15) >= 3 && below(2))
        guest.sctlr |= UINT64_C(1) << 57;
    guest.tcr = half.tcr | (upper ? TCR_CODE_HALF : (TCR_CODE_HALF & ~UINT64_C(0xc000)) << 16 | UINT64_C(2) << 30);
    guest.tcr |= (uint64_t)(below(4) == 0 ? below(7) : 5) << 32;
    if ((mmfr1 & 15) >= 1 && below(2))
        guest.tcr |= UINT64_C(1) << 39;
    if ((mmfr1 & 15) >= 2 && below(2))
        guest.tcr |= UINT64_C(1) << 40;
    if ((mmfr1 >> 20 & 15) != 0 && below(2))
        guest.spsr |= UINT64_C(1) << 22;
    if ((mmfr2 >> 4 & 15) != 0 && below(3) == 0)
        guest.spsr |= UINT64_C(1) << 23;
    guest.ttbr0 = upper ? CODE : table_at(half.root);
    guest.ttbr1 = upper ? table_at(half.root) : CODE;

    build_guest(&half);
    if (below(2) == 0)
        break_guest(&half);
    if (below(2) == 0)
        undo = limit_second(vm, &half);
    cpu_write_sctlr_el1(guest.sctlr);
    cpu_write_tcr_el1(guest.tcr);
    cpu_write_ttbr0_el1(guest.ttbr0);
    cpu_write_ttbr1_el1(guest.ttbr1);
    cpu_write_mair_el1(guest.mair);
    cpu_write_vbar_el1(code);
    cpu_write_esr_el1(0);
    cpu_barrier();
    cpu_tlbi_vmalls12e1is();
    cpu_barrier();
    end = hvpt_guest_walk_arm(&vm->paging.s2, &guest, half.linear, attempt.flags, &walk);
    kind = kind_of(&half, &guest, &walk, attempt);
    /*
     * QEMU 7.2 ends itself where it finds a level of -1 for a fault that has no code for it: at the guest's level -1 it
     * takes blocks, and reports that level for what stage 2 refuses.
     */
    skip = walk.level == 4 && (walk.on_table ? walk.fault != HVPT_S2_FAULT_TRANSLATION : (walk.step[4].entry & 3) == 1);
    if (end == HVPT_GUEST_OK && walk.hpa.value - VM_MEMORY >= DATA - BASE
        && walk.hpa.value - VM_MEMORY < UNITS * UNIT) {
        tag = vm_tag(walk.hpa.value);
    } else if (end == HVPT_GUEST_OK) { /* a table was made a page: writing there proves nothing */
        skip = true;
    }
    if (skip) {
        if (undo.entry != NULL)
            *undo.entry = undo.value;
        return;
    }

    vm->regs.x[0] = half.linear;
    vm->regs.x[1] = attempt.flags & HVPT_WRITE ? UINT64_C(0x11223344d65f03c0) : 0;
    vm->regs.pc = code + guest_entry(attempt.piece);
    vm->regs.pstate = guest.spsr | 0x3c0u | (attempt.flags & HVPT_ARM_EL0 ? 0 : 5u);
    outcome.exit = vm_run(vm);
    outcome.esr_el1 = cpu_read_esr_el1();
    outcome.far_el1 = cpu_read_far_el1();

    right = ended_so(&walk, attempt, &outcome);
    if (right && end == HVPT_GUEST_OK) {
        right = updated_so(&walk);
        if (attempt.flags & HVPT_READ)
            right = right && vm->regs.x[1] == tag;
        if (attempt.flags & HVPT_WRITE)
            right = right && *vm_host_word(walk.hpa.value) == UINT64_C(0x11223344d65f03c0);
    }
    tally[kind].seen++;
    if (!right && tally[kind].wrong++ < 2) {
        print("%s: %s at %lx, TCR %lx, SCTLR %lx, PSTATE %lx: foretold %s, esr %lx, hpfar %lx\n", kind_names[kind],
              attempt.name, half.linear, guest.tcr, guest.sctlr, guest.spsr, hvpt_guest_end_text(end), walk.esr,
              walk.hpfar);
        print("  the processor: call %x, esr %lx, far %lx, hpfar %lx, esr_el1 %lx, far_el1 %lx; entry %lx at level %u, "
              "stage 2's %lx\n",
              outcome.exit.call, outcome.exit.esr, outcome.exit.far, outcome.exit.hpfar, outcome.esr_el1,
              outcome.far_el1, walk.step[walk.level].entry, walk.level, walk.second.entry);
    }
    if (undo.entry != NULL)
        *undo.entry = undo.value;
}

static void check_random(struct frames *frames, unsigned granule_shift, uint32_t features, struct tally *tally)
{
    struct paging_options options = {granule_shift, 0, 0, UINT64_C(1) << granule_shift, features, 0};
    struct vm vm;
    uint64_t *table;

    create(&vm, frames, &options);
    vm.stage1 = true;
    check_equal(paging_map(&vm.paging, BASE, VM_MEMORY, UNITS * UNIT, paging_attr(RWXU)), HVPT_OK, "map");
    table = (uint64_t *)(uintptr_t)((char *)vm.home + CODE);
    for (unsigned i = 0; i < 512; i++)
        table[i] = 0;
    /* The first GiB: a block that EL1 and EL0 may execute. Not shareable: with DS these bits are of the address */
    table[0] = 1u << 10 | 3u << 6 | 7u << 2 | 1;
    vm_load(&vm);
    for (unsigned i = 0; i < ROUNDS; i++)
        check_once(&vm, (i & 1) != 0, tally);
    finish(&vm, "guest walk");
}

void suite_guest_walk(struct frames *frames)
{
    struct tally tally[KIND_COUNT] = {{0, 0}};

    check_group("guest walk");
    for (unsigned shift = 12; shift <= 16; shift += 2) {
        if (!paging_has_granule(shift))
            continue;
        check_random(frames, shift, 0, tally);
        if (paging_has(HVPT_S2_USE_HARDWARE_DIRTY))
            check_random(frames, shift, HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY, tally);
        if (paging_has(HVPT_S2_USE_XNX))
            check_random(frames, shift, HVPT_S2_USE_XNX, tally);
    }
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        if (tally[kind].seen == 0) {
            check_skip("the machine has none", "%s: as the walk foretells", kind_names[kind]);
            continue;
        }
        check_equal(tally[kind].wrong, 0, "%s: as the walk foretells", kind_names[kind]);
        print("%u %s\n", tally[kind].seen, kind_names[kind]);
    }
    cpu_write_ttbr1_el1(0);
}
