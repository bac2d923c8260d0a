/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The paging modes: which bits index, which are reserved, which make a page large. SDM vol. 3, "32-Bit Paging", "PAE
 * Paging", "4-Level Paging and 5-Level Paging"; APM vol. 2, "Legacy PAE Mode" of nested paging.
 */
#include "agree.h"

static uint64_t linear_of(enum oracle_mode mode)
{
    switch (mode) {
    case ORACLE_NONE: return frame(300) + 0xabc;
    case ORACLE_32:
    case ORACLE_PAE: return UINT64_C(0x9c5d7abc);
    case ORACLE_4: return UINT64_C(0xffffa4c5d6e7fabc);
    case ORACLE_5: return UINT64_C(0xff34a4c5d6e7fabc);
    }
    return 0;
}

/* PDPTEs in registers are what memory holds for the guests that have them there. */
static void load_pdptes(const struct world *world, struct oracle *cpu)
{
    for (unsigned i = 0; i < 4 && cpu->mode == ORACLE_PAE; i++)
        cpu->pdpte[i] = world_get(world, GUEST + 8 * i);
}

static void open_kind(struct world *world, bool npt)
{
    if (npt)
        world_open_npt(world);
    else
        world_open_ept(world, 0);
}

static const unsigned widths[] = {32, 36, 39, 40, 46, 51, 52};

/* A page of each size that the mode has, reached through fresh tables, for all widths of an address. */
Test(guest_walk_modes, pages_of_each_size)
{
    for (unsigned npt = 0; npt < 2; npt++) {
        for (int mode = ORACLE_NONE; mode <= ORACLE_5; mode++) {
            struct world world;
            struct oracle cpu;
            unsigned leaf, largest = mode >= ORACLE_4 ? 2 : mode == ORACLE_NONE ? 0 : 1;

            open_kind(&world, npt);
            cpu = oracle_of(&world);
            cpu.mode = (enum oracle_mode)mode;
            cpu.pse = true;
            for (leaf = 0; leaf <= largest; leaf++) {
                uint64_t linear = linear_of(cpu.mode);

                if (leaf > 0) /* inside the guest's 2 MiB */
                    linear &= mode == ORACLE_32 ? ~UINT64_C(0x200000) : ~(UINT64_C(0x3fe00000) * (leaf > 1));
                if (mode != ORACLE_NONE)
                    build(&world, &cpu, linear, leaf == 0 ? frame(300) : GUEST, 0x67, leaf);
                load_pdptes(&world, &cpu);
                for (unsigned i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
                    cpu.maxphyaddr = widths[i];
                    for (unsigned access = 0; access < ACCESS_COUNT; access++)
                        agree(&world, &cpu, linear, access_number(access));
                    (void)walk_to(&world, &cpu, linear, HVPT_READ, HVPT_GUEST_OK);
                }
            }
            world_close(&world);
        }
    }
}

/* Sizes and addresses by hand, so that they do not rest on the oracle alone. */
Test(guest_walk_modes, addresses_are_put_together_as_the_manual_says)
{
    struct world world;
    struct oracle cpu;
    struct hvpt_guest_walk walk;

    world_open_ept(&world, 0);
    cpu = oracle_of(&world);

    cpu.mode = ORACLE_5;
    world_put(&world, frame(0) + 8 * 0x134, frame(1) | 0x67);
    world_put(&world, frame(1) + 8 * 0x149, frame(2) | 0x67);
    world_put(&world, frame(2) + 8 * 0x117, frame(3) | 0x67);
    world_put(&world, frame(3) + 8 * 0x0b7, frame(4) | 0x67);
    world_put(&world, frame(4) + 8 * 0x07f, frame(300) | 0x67);
    walk = walk_to(&world, &cpu, UINT64_C(0xff34a4c5d6e7fabc), HVPT_READ, HVPT_GUEST_OK);
    EXPECT(walk.gpa.value, frame(300) + 0xabc);
    EXPECT(walk.hpa.value, world_hpa(&world, frame(300) + 0xabc));
    EXPECT(walk.guest_page_size, 0x1000);
    EXPECT(walk.page_size, 0x1000);
    EXPECT(walk.root_level, 4);
    EXPECT(walk.level, 0);
    EXPECT(walk.step[4].gpa.value, frame(0) + 8 * 0x134);
    EXPECT(walk.step[0].hpa.value, world_hpa(&world, frame(4) + 8 * 0x07f));

    cpu.mode = ORACLE_4;
    world_put(&world, frame(0) + 8 * 0x149, frame(2) | 0x67);
    world_put(&world, frame(2) + 8 * 0x117, GUEST | 0xe7);
    walk = walk_to(&world, &cpu, UINT64_C(0xffffa4c5c0100abc), HVPT_READ, HVPT_GUEST_OK);
    EXPECT(walk.gpa.value, GUEST + 0x100abc);
    EXPECT(walk.guest_page_size, 1u << 30);
    EXPECT(walk.page_size, 0x1000);
    EXPECT(walk.second.page_size, 0x1000);

    /* PSE-36: bits 20:13 of the entry are bits 39:32 of the address. The second level maps one page up there. */
    {
        struct hvpt_attr all = {HVPT_READ | HVPT_WRITE, HVPT_MEM_WT, 0, 0};

        world_map(&world, UINT64_C(0xa500c05000), HOST + 0x7000, 0x1000, all);
    }
    cpu.mode = ORACLE_32;
    cpu.pse = true;
    world_put32(&world, frame(0) + 4 * 0x271, 0x00c00000 | 0xa5u << 13 | 0xe7);
    walk = walk_to(&world, &cpu, UINT64_C(0x9c405abc), HVPT_READ, HVPT_GUEST_OK);
    EXPECT(walk.gpa.value, UINT64_C(0xa500c05abc));
    EXPECT(walk.hpa.value, HOST + 0x7abc);
    EXPECT(walk.guest_page_size, 4u << 20);
    EXPECT(walk.second.attr.memtype, HVPT_MEM_WT);
    /* An odd and an even entry share eight bytes. */
    world_put32(&world, frame(0) + 4 * 0x270, (uint32_t)frame(5) | 0x67);
    world_put32(&world, frame(5) + 4 * 0x3ff, (uint32_t)frame(7) | 0x67);
    world_put32(&world, frame(5) + 4 * 0x3fe, (uint32_t)frame(8) | 0x67);
    EXPECT(walk_to(&world, &cpu, 0x9c3ff010, HVPT_READ, HVPT_GUEST_OK).gpa.value, frame(7) + 0x10);
    EXPECT(walk_to(&world, &cpu, 0x9c3fe010, HVPT_READ, HVPT_GUEST_OK).gpa.value, frame(8) + 0x10);
    /* Without CR4.PSE bit 7 means nothing: the entry is a table's. */
    cpu.pse = false;
    walk = walk_to(&world, &cpu, UINT64_C(0x9c405abc), HVPT_READ, HVPT_GUEST_EPT_VIOLATION);
    EXPECT(walk.fault_gpa.value, 0x00c00000 + 0x14a000 + 4 * 5);

    /* The PDPTE comes from the register, not from what CR3 points to. */
    cpu.mode = ORACLE_PAE;
    cpu.cr3 = UINT64_C(0xdead00000);
    cpu.pdpte[2] = frame(9) | 1;
    world_put(&world, frame(9) + 8 * 0x0e2, frame(10) | 0x67);
    world_put(&world, frame(10) + 8 * 0x1d7, frame(301) | 0x67);
    walk = walk_to(&world, &cpu, UINT64_C(0x9c5d7abc), HVPT_READ, HVPT_GUEST_OK);
    EXPECT(walk.gpa.value, frame(301) + 0xabc);
    EXPECT(walk.step[2].in_register, 1);
    EXPECT(walk.step[2].entry, frame(9) | 1);

    /* No paging: the address is the guest-physical one, all is user, writable, write-back. */
    cpu.mode = ORACLE_NONE;
    walk = walk_to(&world, &cpu, frame(77) + 5, HVPT_WRITE, HVPT_GUEST_OK);
    EXPECT(walk.hpa.value, world_hpa(&world, frame(77) + 5));
    EXPECT(walk.perm, HVPT_READ | HVPT_WRITE | HVPT_EXEC);
    EXPECT(walk.pat_type, 6);
    EXPECT(walk.paging, 0);
    world_close(&world);
}

/* On NPT the PDPTEs are read as a table, at CR3 bits 31:5, and a reserved bit in one is a page fault. */
Test(guest_walk_modes, pae_reads_its_root_on_npt)
{
    struct world world;
    struct oracle cpu;
    struct hvpt_guest_walk walk;

    world_open_npt(&world);
    cpu = oracle_of(&world);
    cpu.mode = ORACLE_PAE;
    cpu.cr3 = frame(3) + 0x7e0 + 0x1f; /* bits 4:0 are ignored */
    world_put(&world, frame(3) + 0x7e0 + 16, frame(9) | 1);
    world_put(&world, frame(9) + 8 * 0x0e2, frame(10) | 0x67);
    world_put(&world, frame(10) + 8 * 0x1d7, frame(301) | 0x67);
    walk = walk_to(&world, &cpu, UINT64_C(0x9c5d7abc), HVPT_READ, HVPT_GUEST_OK);
    EXPECT(walk.gpa.value, frame(301) + 0xabc);
    EXPECT(walk.step[2].gpa.value, frame(3) + 0x7f0);
    EXPECT(walk.step[2].update, 0);
    world_put(&world, frame(3) + 0x7f0, frame(9) | 3);
    walk = walk_to(&world, &cpu, UINT64_C(0x9c5d7abc), HVPT_READ, HVPT_GUEST_PAGE_FAULT);
    EXPECT(walk.error_code, 9);
    EXPECT(walk.level, 2);
    world_close(&world);
}

/* Every bit of every entry, one at a time, in tables and in pages, for all widths, on both vendors' CPUs. */
Test(guest_walk_modes, every_single_bit_of_every_entry)
{
    static const struct {
        enum oracle_mode mode;
        unsigned leaf;
    } shapes[] = {{ORACLE_32, 0}, {ORACLE_32, 1}, {ORACLE_PAE, 0}, {ORACLE_PAE, 1}, {ORACLE_4, 0},
                  {ORACLE_4, 1},  {ORACLE_4, 2},  {ORACLE_5, 0},   {ORACLE_5, 1},   {ORACLE_5, 2}};

    for (unsigned which = 0; which < 2 * sizeof(shapes) / sizeof(shapes[0]); which++) {
        struct world world;
        struct oracle cpu;
        uint64_t linear;
        unsigned leaf = shapes[which / 2].leaf;

        open_kind(&world, which & 1);
        cpu = oracle_of(&world);
        cpu.mode = shapes[which / 2].mode;
        linear = linear_of(cpu.mode) & ~(leaf == 0 ? 0 : cpu.mode == ORACLE_32 ? 0x200000u : 0x3fe00000u * (leaf > 1));
        for (unsigned level = leaf; level <= top_level(cpu.mode); level++) {
            for (unsigned bit = 0; bit < (cpu.mode == ORACLE_32 ? 32u : 64u); bit++) {
                uint64_t gpa = entry_at(&cpu, linear, level), entry;

                build(&world, &cpu, linear, leaf == 0 ? frame(300) : GUEST, 0x67, leaf);
                entry = world_get(&world, gpa & ~UINT64_C(7)) ^ UINT64_C(1) << (bit + 8 * (gpa & 4));
                world_put(&world, gpa & ~UINT64_C(7), entry);
                load_pdptes(&world, &cpu);
                for (unsigned i = 0; i < sizeof(widths) / sizeof(widths[0]) * 8; i++) {
                    cpu.maxphyaddr = widths[i >> 3];
                    cpu.nxe = i & 1;
                    cpu.pse = i & 2;
                    cpu.no_1g = i & 4;
                    if (cpu.mode == ORACLE_PAE && level == 2 && !cpu.amd && (entry & 1)
                        && (entry & (UINT64_C(0x1e6) | ~UINT64_C(0) << cpu.maxphyaddr))) {
                        (void)walk_to(&world, &cpu, linear, HVPT_EXEC, HVPT_GUEST_BAD_ARGUMENT);
                        continue;
                    }
                    agree(&world, &cpu, linear, access_number(i & 2 ? 3 : 5));
                }
            }
        }
        world_close(&world);
    }
}

/* Bits 63:47, or 63:56, are all the same, or the guest gets #GP and no table is read. */
Test(guest_walk_modes, canonical_addresses)
{
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, 0);
    cpu = oracle_of(&world);
    for (int mode = ORACLE_4; mode <= ORACLE_5; mode++) {
        unsigned sign = mode == ORACLE_4 ? 47 : 56;

        cpu.mode = (enum oracle_mode)mode;
        for (unsigned bit = 12; bit < 64; bit++) {
            agree(&world, &cpu, UINT64_C(1) << bit, access_number(0));
            agree(&world, &cpu, ~(UINT64_C(1) << bit), access_number(0));
            (void)walk_to(&world, &cpu, UINT64_C(1) << bit, HVPT_READ,
                          bit >= sign ? HVPT_GUEST_NOT_CANONICAL : HVPT_GUEST_PAGE_FAULT);
        }
    }
    world.looked_up = 0;
    (void)walk_to(&world, &cpu, UINT64_C(1) << 63, HVPT_READ, HVPT_GUEST_NOT_CANONICAL);
    EXPECT(world.looked_up, 0);
    world_close(&world);
}

/* States and accesses that no CPU has are refused before anything is read. */
Test(guest_walk_modes, impossible_questions_are_refused)
{
    static const uint32_t accesses[] = {0, 8, 5, 6, 12, 0x10, HVPT_X86_USER, 1 | 0x400};
    struct world world;
    struct oracle cpu;
    struct hvpt_x86_guest good, guest;
    struct hvpt_guest_walk walk;

    world_open_ept(&world, 0);
    cpu = oracle_of(&world);
    cpu.mode = ORACLE_4;
    good = registers_of(&cpu);
    for (unsigned i = 0; i < sizeof(accesses) / sizeof(accesses[0]); i++)
        EXPECT(world_walk(&world, &good, 0, accesses[i], &walk), HVPT_GUEST_BAD_ARGUMENT);

    guest = good;
    guest.cr0 &= ~UINT64_C(1); /* paging without protection */
    EXPECT(world_walk(&world, &guest, 0, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);
    guest = good;
    guest.cr4 = 0; /* long mode without PAE */
    EXPECT(world_walk(&world, &guest, 0, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);
    guest = good;
    guest.maxphyaddr = 31;
    EXPECT(world_walk(&world, &guest, 0, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);
    guest.maxphyaddr = 53;
    EXPECT(world_walk(&world, &guest, 0, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);
    guest.maxphyaddr = 40;
    guest.cr3 = UINT64_C(1) << 40;
    EXPECT(world_walk(&world, &guest, 0, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);

    cpu.mode = ORACLE_32;
    guest = registers_of(&cpu);
    EXPECT(world_walk(&world, &guest, UINT64_C(1) << 32, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);
    cpu.mode = ORACLE_NONE;
    guest = registers_of(&cpu);
    EXPECT(world_walk(&world, &guest, UINT64_C(1) << 32, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);

    world.space.kind = HVPT_KIND_GSTAGE;
    EXPECT(world_walk(&world, &good, 0, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);
    world.space.kind = HVPT_KIND_EPT;
    EXPECT(world.looked_up, 0);
    world_close(&world);
}

/* A zeroed width is 52, a zeroed PAT is the one after reset; what is not zero is what is used. */
Test(guest_walk_modes, memory_type_of_each_pat_index)
{
    static const uint8_t reset[8] = {6, 4, 7, 0, 6, 4, 7, 0};
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, 0);
    cpu = oracle_of(&world);
    cpu.mode = ORACLE_4;
    cpu.maxphyaddr = 0;
    for (unsigned leaf = 0; leaf < 2; leaf++) {
        for (unsigned index = 0; index < 8; index++) {
            uint64_t linear = UINT64_C(0x7000000abc), bits = (index & 1 ? 8u : 0) | (index & 2 ? 16u : 0);
            struct hvpt_x86_guest guest;
            struct hvpt_guest_walk walk;

            build(&world, &cpu, linear, leaf ? GUEST : frame(300), 0x67, leaf);
            world_put(&world, entry_at(&cpu, linear, leaf),
                      (leaf ? GUEST | 0x80 : frame(300)) | 0x67 | bits | (index & 4 ? (leaf ? 0x1000u : 0x80u) : 0));
            guest = registers_of(&cpu);
            EXPECT(world_walk(&world, &guest, linear, HVPT_READ, &walk), HVPT_GUEST_OK);
            EXPECT(walk.pat_type, reset[index]);
            guest.pat = UINT64_C(0x0001040506070001);
            EXPECT(world_walk(&world, &guest, linear, HVPT_READ, &walk), HVPT_GUEST_OK);
            EXPECT(walk.pat_type, UINT64_C(0x0001040506070001) >> 8 * index & 255);
        }
    }
    world_close(&world);
}
