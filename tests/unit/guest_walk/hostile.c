/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A guest that means harm: tables that contain themselves, lie outside memory, hold garbage, or change under the walk. The
 * walk ends, stays inside the frames it was offered, writes nothing, and says what the oracle says.
 */
#include "agree.h"

#include <pthread.h>
#include <string.h>

#define LINEAR UINT64_C(0x0000123456789abc)
#define DATA   frame(300)

/* No walk looks up more frames: every table access is a second-level walk and a read, setting bits another walk. */
#define MOST_LOOKUPS (5u * (4 + 1) + 5u * 4 + 4)

/* One table that is its own child at every level. */
Test(guest_walk_hostile, a_table_that_contains_itself)
{
    for (int mode = ORACLE_32; mode <= ORACLE_5; mode++) {
        for (unsigned npt = 0; npt < 2; npt++) {
            struct world world;
            struct oracle cpu;
            uint64_t linear = 0;
            unsigned top = top_level((enum oracle_mode)mode), step = mode == ORACLE_32 ? 10 : 9, index = 3;
            struct hvpt_guest_walk walk;

            if (npt)
                world_open_npt(&world);
            else
                world_open_ept(&world, 0);
            cpu = oracle_of(&world);
            cpu.mode = (enum oracle_mode)mode;
            for (unsigned level = 0; level <= top; level++)
                linear |= (uint64_t)index << (12 + step * level);
            cpu.pdpte[3] = GUEST | 1;
            if (mode == ORACLE_PAE && npt)
                world_put(&world, GUEST + 8 * index, GUEST | 1); /* as a PDPTE must be */
            else if (mode == ORACLE_32)
                world_put32(&world, GUEST + 4 * index, GUEST | 0x67);
            else
                world_put(&world, GUEST + 8 * index, GUEST | 0x67);
            world.looked_up = 0;
            walk = walk_to(&world, &cpu, linear, HVPT_WRITE, HVPT_GUEST_OK);
            cr_assert(world.looked_up <= MOST_LOOKUPS);
            if (!(mode == ORACLE_PAE && npt))
                EXPECT(walk.user, 1);
            EXPECT(walk.gpa.value, GUEST);
            for (unsigned access = 0; access < ACCESS_COUNT; access++)
                agree(&world, &cpu, linear, access_number(access));
            world_close(&world);
        }
    }
}

/* Tables that the second level does not map, or maps to where no memory is. */
Test(guest_walk_hostile, tables_outside_memory)
{
    struct hvpt_attr all = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_UC, 0, 0};
    const uint64_t device = UINT64_C(0xfee00000);

    for (unsigned npt = 0; npt < 2; npt++) {
        for (unsigned level = 0; level <= 3; level++) {
            struct hvpt_guest_walk walk;
            struct world world;
            struct oracle cpu;
            uint64_t inside;

            if (npt)
                world_open_npt(&world);
            else
                world_open_ept(&world, 0);
            cpu = oracle_of(&world);
            cpu.mode = ORACLE_4;
            build(&world, &cpu, LINEAR, DATA, 0x67, 0);
            inside = entry_at(&cpu, LINEAR, level) & 0xfff;
            if (level == 3)
                cpu.cr3 = device;
            else
                world_put(&world, entry_at(&cpu, LINEAR, level + 1), device | 0x67);
            walk =
                walk_to(&world, &cpu, LINEAR, HVPT_READ, npt ? HVPT_GUEST_NESTED_PAGE_FAULT : HVPT_GUEST_EPT_VIOLATION);
            EXPECT(walk.fault_gpa.value, device + inside);
            agree(&world, &cpu, LINEAR, access_number(0));

            world_map(&world, device, device, 0x1000, all);
            walk = walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_UNREACHABLE);
            EXPECT(walk.fault_gpa.value, device + inside);
            EXPECT(walk.on_table, 1);
            EXPECT(walk.level, level);
            EXPECT(walk.second.hpa.value, device + inside);
            agree(&world, &cpu, LINEAR, access_number(0));
            world_close(&world);
        }
    }
}

/* A second-level table that cannot be reached, for a table of the guest and for its data. */
Test(guest_walk_hostile, second_level_tables_outside_memory)
{
    struct hvpt_attr all = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};
    const uint64_t far = UINT64_C(0x80000000);
    struct hvpt_guest_walk walk;
    struct world world;
    struct oracle cpu;

    world_open_ept(&world, 0);
    cpu = oracle_of(&world);
    cpu.mode = ORACLE_4;
    build(&world, &cpu, LINEAR, far, 0x67, 0);
    world_map(&world, far, HOST, 0x1000, all);
    *world_slot(&world, far, 1) = UINT64_C(0x12345000) | 7;
    walk = walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_UNREACHABLE);
    EXPECT(walk.fault_gpa.value, far + 0xabc);
    EXPECT(walk.on_table, 0);
    EXPECT(walk.second.level, 1);
    EXPECT(walk.second.entry, UINT64_C(0x12345007));
    agree(&world, &cpu, LINEAR, access_number(0));
    cpu.cr3 = far;
    walk = walk_to(&world, &cpu, LINEAR, HVPT_READ, HVPT_GUEST_UNREACHABLE);
    EXPECT(walk.on_table, 1);
    agree(&world, &cpu, LINEAR, access_number(0));
    world_close(&world);
}

/* The guest's memory can have hooks of its own: here they refuse, or see memory at a fixed offset. */
static void *refuse(void *ctx, hvpt_hpa hpa)
{
    unsigned *calls = (unsigned *)ctx;

    (void)hpa;
    (*calls)++;
    return NULL;
}

Test(guest_walk_hostile, hooks_for_the_guests_memory)
{
    struct world world;
    struct oracle cpu;
    struct hvpt_x86_guest guest;
    struct hvpt_guest_walk walk;
    struct hvpt_hooks memory;
    unsigned calls = 0;

    world_open_ept(&world, 0);
    cpu = oracle_of(&world);
    cpu.mode = ORACLE_4;
    build(&world, &cpu, LINEAR, DATA, 0x67, 0);
    guest = registers_of(&cpu);
    memset(&memory, 0, sizeof(memory));
    memory.ctx = &calls;
    memory.phys_to_virt = refuse;
    guest.memory = &memory;
    EXPECT(world_walk(&world, &guest, LINEAR, HVPT_READ, &walk), HVPT_GUEST_UNREACHABLE);
    EXPECT(calls, 1);
    EXPECT(walk.fault_gpa.value, entry_at(&cpu, LINEAR, 3));

    memory.phys_to_virt = NULL;
    memory.linear_map = (void *)((uintptr_t)world.memory - (uintptr_t)HOST);
    EXPECT(world_walk(&world, &guest, LINEAR, HVPT_READ, &walk), HVPT_GUEST_OK);
    EXPECT(walk.hpa.value, world_hpa(&world, DATA + 0xabc));
    EXPECT(calls, 1);
    world_close(&world);
}

/* ---- garbage ---- */

/* An entry that leads somewhere three times out of four, with bits that often matter and sometimes should not be set. */
static uint64_t any_entry(uint64_t *state, enum oracle_mode mode)
{
    uint64_t r = random_next(state), entry = frame((unsigned)(r >> 8 & 15)) | 1;

    if (!(r & 3))
        return random_next(state);
    entry |= r >> 16 & 0x66;
    if ((r >> 24 & 3) != 0)
        entry |= 6;
    if ((r >> 26 & 7) == 0)
        entry = GUEST | (entry & 0xfff) | 0x80;
    if ((r >> 29 & 15) == 0)
        entry ^= UINT64_C(1) << (r >> 40 & 63);
    if ((r >> 33 & 15) == 0)
        entry |= UINT64_C(1) << 63;
    if ((r >> 37 & 7) == 0 || mode == ORACLE_32)
        entry |= (random_next(state) & 15) << 59;
    return mode == ORACLE_32 ? entry & 0xffffffff : entry;
}

static uint64_t any_second(uint64_t *state, uint64_t plain, bool npt)
{
    uint64_t r = random_next(state);

    switch (r & 15) {
    case 0: return 0;
    case 1: return (plain & ~UINT64_C(7)) | (r >> 8 & 7);
    case 2: return plain ^ UINT64_C(1) << (r >> 8 & 63);
    case 3: return random_next(state);
    case 4: return npt ? plain | UINT64_C(1) << 63 : plain & ~UINT64_C(2);
    default: return plain;
    }
}

static void set_state(struct oracle *cpu, uint64_t *state)
{
    static const unsigned widths[] = {32, 36, 40, 46, 52, 52, 52};
    uint64_t r = random_next(state);

    cpu->mode = (enum oracle_mode)(r % 16 == 0 ? ORACLE_NONE : 1 + r / 16 % 4);
    cpu->wp = r >> 20 & 1;
    cpu->pse = r >> 21 & 1;
    cpu->smep = r >> 22 & 1;
    cpu->smap = r >> 23 & 1;
    cpu->pke = r >> 24 & 1;
    cpu->pks = r >> 25 & 1;
    cpu->nxe = (r >> 26 & 3) != 0;
    cpu->ac = r >> 28 & 1;
    cpu->no_1g = r >> 29 & 1;
    cpu->advanced = r >> 30 & 1;
    cpu->maxphyaddr = widths[(r >> 32) % 7];
    cpu->pkru = (uint32_t)random_next(state);
    cpu->pkrs = (uint32_t)random_next(state);
    cpu->cr3 = frame((unsigned)(r >> 40 & 15)) | (r >> 48 & 0x18);
}

static uint64_t any_linear(const struct oracle *cpu, uint64_t *state)
{
    uint64_t linear = random_next(state);

    if (cpu->mode == ORACLE_NONE)
        return GUEST + linear % 0x210000;
    if (cpu->mode < ORACLE_4)
        return linear & 0xffffffff;
    if (linear % 64 == 0)
        return linear;
    return (uint64_t)((int64_t)(linear << (cpu->mode == ORACLE_4 ? 16 : 7)) >> (cpu->mode == ORACLE_4 ? 16 : 7));
}

/* PDPTEs that VM entry would take. */
static void set_pdptes(struct oracle *cpu, uint64_t *state)
{
    for (unsigned i = 0; i < 4; i++)
        cpu->pdpte[i] = frame((unsigned)(random_next(state) & 15)) | (random_next(state) % 8 != 0 ? 1u : 0);
}

static void garbage(uint64_t seed, bool npt, uint32_t features, unsigned rounds)
{
    struct world world;
    struct oracle cpu;
    uint64_t state = seed, plain[GUEST_FRAMES];

    if (npt)
        world_open_npt(&world);
    else
        world_open_ept(&world, features);
    for (unsigned i = 0; i < GUEST_FRAMES; i++)
        plain[i] = *world_slot(&world, frame(i), 0);
    cpu = oracle_of(&world);
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t sum;

        set_state(&cpu, &state);
        set_pdptes(&cpu, &state);
        for (unsigned i = 0; i < 16 * 512; i++) {
            uint64_t entry = any_entry(&state, cpu.mode);

            if (cpu.mode == ORACLE_32)
                entry |= any_entry(&state, cpu.mode) << 32;
            world_put(&world, GUEST + 8 * i, entry);
        }
        for (unsigned i = 0; i < 16; i++)
            *world_slot(&world, frame(i), 0) = random_next(&state) % 4 ? plain[i] : any_second(&state, plain[i], npt);
        sum = world_sum(&world);
        for (unsigned i = 0; i < 300; i++) {
            world.looked_up = 0;
            agree(&world, &cpu, any_linear(&cpu, &state), access_number((unsigned)random_next(&state) & 15));
            cr_assert(world.looked_up <= MOST_LOOKUPS, "%llu lookups", (unsigned long long)world.looked_up);
        }
        EXPECT(world_sum(&world), sum);
    }
    for (unsigned i = 0; i < 16; i++)
        *world_slot(&world, frame(i), 0) = plain[i];
    world_close(&world);
}

Test(guest_walk_hostile, garbage_over_ept)
{
    garbage(1, false, 0, 400);
    garbage(2, false, HVPT_EPT_USE_ACCESSED_DIRTY, 400);
    garbage(3, false, HVPT_EPT_USE_MODE_BASED_EXECUTE, 400);
    garbage(4, false, HVPT_EPT_USE_MODE_BASED_EXECUTE | HVPT_EPT_USE_ACCESSED_DIRTY, 400);
}

Test(guest_walk_hostile, garbage_over_npt)
{
    garbage(5, true, 0, 1600);
}

/* ---- a guest that changes an entry while it is used ---- */

struct flipper {
    uint64_t *slot;
    uint64_t value[2];
    bool stop;
};

static void *flip(void *argument)
{
    struct flipper *flipper = (struct flipper *)argument;

    for (unsigned i = 0; !__atomic_load_n(&flipper->stop, __ATOMIC_RELAXED); i++)
        __atomic_store_n(flipper->slot, flipper->value[i & 1], __ATOMIC_RELEASE);
    return NULL;
}

/*
 * The last entry alternates between a user's read-only page and a supervisor's writable one. A walk that read it twice
 * would now and then see the address of one and the rights of the other.
 */
Test(guest_walk_hostile, an_entry_is_read_once)
{
    struct flipper flipper;
    struct world world;
    struct oracle cpu;
    struct hvpt_x86_guest guest;
    pthread_t thread;
    unsigned seen[2] = {0, 0};

    world_open_ept(&world, 0);
    cpu = oracle_of(&world);
    cpu.mode = ORACLE_4;
    cpu.wp = true;
    build(&world, &cpu, LINEAR, DATA, 0x67, 0);
    guest = registers_of(&cpu);
    flipper.slot = (uint64_t *)world_at(&world, world_hpa(&world, entry_at(&cpu, LINEAR, 0)));
    flipper.value[0] = frame(100) | 0x65;
    flipper.value[1] = frame(200) | 0x63;
    flipper.stop = false;
    *flipper.slot = flipper.value[0];
    EXPECT(pthread_create(&thread, NULL, flip, &flipper), 0);
    for (unsigned i = 0; i < 300000; i++) {
        struct hvpt_guest_walk walk;
        bool second;

        EXPECT(world_walk(&world, &guest, LINEAR, HVPT_READ, &walk), HVPT_GUEST_OK);
        second = walk.gpa.value == frame(200) + 0xabc;
        seen[second]++;
        EXPECT(walk.gpa.value, frame(second ? 200 : 100) + 0xabc);
        EXPECT(walk.user, !second);
        EXPECT(walk.writable, second);
        EXPECT(walk.step[0].entry, flipper.value[second]);
        EXPECT(walk.hpa.value, world_hpa(&world, walk.gpa.value));
    }
    __atomic_store_n(&flipper.stop, true, __ATOMIC_RELAXED);
    EXPECT(pthread_join(thread, NULL), 0);
    cr_log_info("seen %u and %u times", seen[0], seen[1]);
    world_close(&world);
}
