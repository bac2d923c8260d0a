/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Every combination of the guest's rights at every level, of CR0.WP, CR4.SMEP, CR4.SMAP, RFLAGS.AC and EFER.NXE, by
 * every access: SDM vol. 3, "Determination of Access Rights", as the oracle has it.
 */
#include "agree.h"

#define LINEAR UINT64_C(0x0000123456789abc)
#define DATA   frame(300)

/* P, R/W, U/S and, above them, XD of the entry at one level; accessed and dirty. */
static void put_rights(struct world *world, const struct oracle *cpu, unsigned level, unsigned rights, bool leaf)
{
    uint64_t entry = leaf ? DATA : frame(top_level(cpu->mode) - level + 1);

    world_put(world, entry_at(cpu, LINEAR, level),
              entry | 0x61 | (rights & 1 ? 2u : 0) | (rights & 2 ? 4u : 0) | (rights & 4 ? UINT64_C(1) << 63 : 0));
}

static void set_bits(struct oracle *cpu, unsigned number)
{
    cpu->wp = number & 1;
    cpu->smep = number & 2;
    cpu->smap = number & 4;
    cpu->ac = number & 8;
    cpu->nxe = number & 16;
}

static void every_combination(struct world *world, struct oracle *cpu)
{
    cpu->mode = ORACLE_4;
    for (unsigned rights = 0; rights < 4096; rights++) {
        for (unsigned level = 0; level < 4; level++)
            put_rights(world, cpu, level, rights >> 3 * level & 7, level == 0);
        for (unsigned bits = 0; bits < 32; bits++) {
            set_bits(cpu, bits);
            for (unsigned access = 0; access < ACCESS_COUNT; access++)
                agree(world, cpu, LINEAR, access_number(access));
        }
    }
}

Test(guest_walk_permissions, all_rights_of_all_levels_on_ept)
{
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, 0);
    cpu = oracle_of(&world);
    every_combination(&world, &cpu);
    world_close(&world);
}

/* The rights of the four levels meet in one place, so one level and the rest together are enough on the second format. */
Test(guest_walk_permissions, each_level_alone_on_npt)
{
    struct world world;
    struct oracle cpu;

    world_open_npt(&world);
    cpu = oracle_of(&world);
    cpu.mode = ORACLE_4;
    for (unsigned rights = 0; rights < 32; rights++) {
        for (unsigned level = 0; level < 4; level++)
            put_rights(&world, &cpu, level, rights >> 3 == level ? rights & 7 : 3, level == 0);
        for (unsigned bits = 0; bits < 32; bits++) {
            set_bits(&cpu, bits);
            for (unsigned access = 0; access < ACCESS_COUNT; access++)
                agree(&world, &cpu, LINEAR, access_number(access));
        }
    }
    world_close(&world);
}

/* What the second level allows: every combination of a leaf and a table above it, of all accesses. */
static void every_second_level(struct world *world, struct oracle *cpu, unsigned combinations,
                               uint64_t (*bits)(unsigned number))
{
    uint64_t *leaf = world_slot(world, DATA, 0), *table = world_slot(world, DATA, 1);
    const uint64_t plain_leaf = *leaf, plain_table = *table;

    cpu->mode = ORACLE_4;
    cpu->nxe = cpu->wp = true;
    for (unsigned rights = 0; rights < 32; rights++) {
        for (unsigned level = 0; level < 4; level++)
            put_rights(world, cpu, level, level == 0 ? rights & 7 : rights & 8 ? 3 : 1, level == 0);
        cpu->advanced = rights & 16;
        for (unsigned number = 0; number < combinations * combinations; number++) {
            *leaf = (plain_leaf & ~bits(combinations)) | bits(number % combinations);
            *table = (plain_table & ~bits(combinations)) | bits(number / combinations);
            for (unsigned access = 0; access < ACCESS_COUNT; access++)
                agree(world, cpu, LINEAR, access_number(access));
        }
        *leaf = plain_leaf;
        *table = plain_table;
    }
}

/* Bits 2:0 and 10; for a number beyond them, all. */
static uint64_t ept_bits(unsigned number)
{
    return number >= 16 ? 0x407 : (number & 7) | (number & 8 ? 0x400u : 0);
}

static uint64_t npt_bits(unsigned number)
{
    return number >= 16 ? 7 | UINT64_C(1) << 63 : (number & 7) | (number & 8 ? UINT64_C(1) << 63 : 0);
}

/*
 * The guest's own tables hang below the same second-level table, so that taking rights from it stops the page walk,
 * too: both kinds of fault are compared.
 */
Test(guest_walk_permissions, every_pair_of_ept_entries)
{
    static const uint32_t features[] = {
        0,
        HVPT_EPT_USE_MODE_BASED_EXECUTE,
        HVPT_EPT_USE_ACCESSED_DIRTY,
        HVPT_EPT_USE_ACCESSED_DIRTY | HVPT_EPT_USE_MODE_BASED_EXECUTE,
    };

    for (unsigned i = 0; i < 4; i++) {
        struct world world;
        struct oracle cpu;

        world_open_ept(&world, features[i]);
        cpu = oracle_of(&world);
        every_second_level(&world, &cpu, 16, ept_bits);
        world_close(&world);
    }
}

Test(guest_walk_permissions, every_pair_of_npt_entries)
{
    for (unsigned host = 0; host < 4; host++) {
        const bool no_nx = host & 1;
        struct hvpt_space_config config = {.kind = HVPT_KIND_NPT};
        struct world world;
        struct oracle cpu;

        config.npt.features = no_nx ? HVPT_NPT_NO_NX : 0;
        world_open(&world, &config, HVPT_4K);
        cpu = oracle_of(&world);
        cpu.host_smep = host >> 1;
        every_second_level(&world, &cpu, 16, npt_bits);
        world_close(&world);
    }
}

/* SDM vol. 3, "Protection Keys": every key's two bits, by every access, with and without WP. */
Test(guest_walk_permissions, every_protection_key)
{
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, 0);
    cpu = oracle_of(&world);
    cpu.mode = ORACLE_4;
    for (unsigned number = 0; number < 16 * 16 * 16; number++) {
        unsigned key = number & 15, rights = number >> 4 & 15, bits = number >> 8;

        cpu.pke = bits & 1;
        cpu.pks = bits & 2;
        cpu.wp = bits & 4;
        cpu.nxe = true;
        build(&world, &cpu, LINEAR, DATA, 0x63 | (bits & 8 ? 4u : 0), 0);
        world_put(&world, entry_at(&cpu, LINEAR, 0), DATA | (uint64_t)key << 59 | 0x61 | (rights & 1 ? 2u : 0) | 4u);
        cpu.pkru = ~0u & ~(3u << 2 * key);
        cpu.pkru |= (rights >> 1 & 3) << 2 * key;
        cpu.pkrs = cpu.pkru ^ (rights & 8 ? 3u << 2 * key : 0);
        for (unsigned access = 0; access < ACCESS_COUNT; access++)
            agree(&world, &cpu, LINEAR, access_number(access));
    }
    /* Only 4-level and 5-level paging have them. */
    cpu.mode = ORACLE_PAE;
    cpu.pke = cpu.pks = true;
    cpu.pkru = cpu.pkrs = ~0u;
    build(&world, &cpu, UINT64_C(0x456789a0), DATA, 0x67, 0);
    cpu.pdpte[1] = world_get(&world, entry_at(&cpu, UINT64_C(0x456789a0), 2));
    for (unsigned access = 0; access < ACCESS_COUNT; access++)
        agree(&world, &cpu, UINT64_C(0x456789a0), access_number(access));
    world_close(&world);
}
