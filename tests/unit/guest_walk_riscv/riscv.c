/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A host with a little memory, a guest in it, and its G-stage; the walk and the oracle answer the same questions: all
 * combinations of rights, every bit of every entry, tables that mean harm.
 */
#include <hvpt/guest/riscv.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

#define HOST   UINT64_C(0x1c0000000)
#define FRAMES 256u /* the first half is the guest's, the second holds the G-stage's tables */
#define GUEST  UINT64_C(0x40000000)
#define PAGES  64u
#define DATA   (GUEST + 0x25000)
#define LINEAR UINT64_C(0x1234565e58)
#define LEAF   UINT64_C(0xcf) /* V, R, W, X, A, D */

/* No walk looks up more: five entries and an update, each by a walk of the G-stage, then the access. */
#define MOST_LOOKUPS (5u * (4 + 1) + 4 + 4)

static struct {
    uint8_t *memory;
    unsigned next, looked_up;
    struct hvpt_hooks hooks;
    struct hvpt_space gstage;
    struct oracle cpu;
    struct hvpt_hooks own; /* the guest's memory by hooks of its own, if set */
    bool use_own;
} w;

static void *see(const void *ctx, uint64_t hpa)
{
    (void)ctx;
    return hpa < HOST || hpa >= HOST + 0x1000 * FRAMES ? NULL : w.memory + (hpa - HOST);
}

static void *phys_to_virt(void *ctx, hvpt_hpa hpa)
{
    w.looked_up++;
    cr_assert_eq(hpa.value & 0xfff, 0);
    return see(ctx, hpa.value);
}

static bool alloc_frame(void *ctx, unsigned order, hvpt_hpa *out)
{
    unsigned size = 1u << order;

    (void)ctx;
    w.next = (w.next + size - 1) & ~(size - 1);
    if (w.next + size > FRAMES)
        return false;
    *out = hvpt_make_hpa(HOST + 0x1000 * (uint64_t)w.next);
    w.next += size;
    return true;
}

static void free_frame(void *ctx, hvpt_hpa hpa, unsigned order)
{
    (void)ctx, (void)hpa, (void)order;
}

static void flush(void *ctx, const struct hvpt_flush *what)
{
    (void)ctx, (void)what;
}

/* host_mode: 8 to 10; features of the G-stage. Guest pages lie scattered in the first half. */
static void open_world(unsigned host_mode, uint32_t features)
{
    const struct hvpt_attr all = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, HVPT_ACCESSED | HVPT_DIRTY, 0};
    struct hvpt_gstage_config config;

    memset(&w, 0, sizeof(w));
    w.memory = (uint8_t *)aligned_alloc(0x4000, 0x1000 * FRAMES);
    memset(w.memory, 0, 0x1000 * FRAMES);
    w.next = FRAMES / 2;
    w.hooks.alloc_frame = alloc_frame;
    w.hooks.free_frame = free_frame;
    w.hooks.phys_to_virt = phys_to_virt;
    w.hooks.flush = flush;
    memset(&config, 0, sizeof(config));
    config.mode = host_mode;
    config.features = features;
    cr_assert_eq(hvpt_gstage_init(&w.gstage, &w.hooks, &config), HVPT_OK);
    for (unsigned i = 0; i < PAGES; i++)
        cr_assert_eq(hvpt_space_map(&w.gstage, hvpt_make_gpa(GUEST + 0x1000 * (uint64_t)i),
                                     hvpt_make_hpa(HOST + 0x1000 * (uint64_t)((i * 37 + 11) % PAGES)), 0x1000, all,
                                     NULL),
                     HVPT_OK);
    w.cpu.at = see;
    w.cpu.hgatp = hvpt_space_root(&w.gstage);
    w.cpu.host.adue = features & HVPT_GSTAGE_USE_SVADU;
    w.cpu.host.pbmte = features & HVPT_GSTAGE_USE_SVPBMT;
    w.cpu.host.napot = features & HVPT_GSTAGE_USE_SVNAPOT;
}

static void close_world(void)
{
    free(w.memory);
}

static uint64_t sum(void)
{
    uint64_t total = 0, word;

    for (size_t i = 0; i < 0x1000 * FRAMES; i += 8) {
        memcpy(&word, w.memory + i, 8);
        total = (total ^ word) * UINT64_C(0x100000001b3);
    }
    return total;
}

static uint64_t *guest_word(uint64_t gpa)
{
    unsigned page = (unsigned)((gpa - GUEST) >> 12);

    cr_assert(page < PAGES);
    return (uint64_t *)(void *)(w.memory + 0x1000 * ((page * 37 + 11) % PAGES) + (gpa & 0xfff));
}

/* The G-stage's entry for gpa, by hand. */
static uint64_t *host_slot(uint64_t gpa, unsigned level)
{
    unsigned at = (unsigned)(w.cpu.hgatp >> 60) - 6, bits = 11;
    uint64_t table = (w.cpu.hgatp & ((UINT64_C(1) << 44) - 1)) << 12;

    for (;; at--, bits = 9) {
        uint64_t *slot = (uint64_t *)see(NULL, table) + (gpa >> (12 + 9 * at) & ((UINT64_C(1) << bits) - 1));

        if (at == level)
            return slot;
        table = *slot << 10 >> 20 << 12;
    }
}

static uint64_t table_gpa(unsigned level)
{
    return GUEST + 0x1000 * (uint64_t)(level + 1);
}

static uint64_t *guest_slot(uint64_t linear, unsigned level)
{
    return guest_word(table_gpa(level) + (linear >> (12 + 9 * level) & 511) * 8);
}

/* Tables from the root to a leaf at that level, which leads to target. */
static void build(unsigned mode, uint64_t linear, uint64_t target, unsigned leaf, uint64_t flags)
{
    w.cpu.vsatp = (uint64_t)mode << 60 | table_gpa(mode - 6) >> 12;
    for (unsigned level = mode - 6;; level--) {
        *guest_slot(linear, level) =
            level == leaf ? target >> (12 + 9 * level) << (10 + 9 * level) | flags : table_gpa(level - 1) >> 2 | 1;
        if (level == leaf)
            return;
    }
}

static uint32_t bits_of(struct oracle_access access)
{
    return (access.read ? 1u : 0) | (access.write ? 2u : 0) | (access.fetch ? 4u : 0)
         | (access.user ? (uint32_t)HVPT_RISCV_USER : 0) | (access.hlvx ? (uint32_t)HVPT_RISCV_HLVX : 0);
}

#define ACCESSES 10u

static struct oracle_access access_number(unsigned number)
{
    static const struct oracle_access all[5] = {
        {true, false, false, false, false}, {false, true, false, false, false}, {true, true, false, false, false},
        {false, false, true, false, false}, {true, false, false, false, true},
    };
    struct oracle_access access = all[number % 5];

    access.user = number >= 5;
    return access;
}

static struct hvpt_riscv_guest registers(void)
{
    struct hvpt_riscv_guest guest;

    memset(&guest, 0, sizeof(guest));
    guest.vsatp = w.cpu.vsatp;
    guest.vsstatus = (w.cpu.sum ? UINT64_C(1) << 18 : 0) | (w.cpu.mxr ? UINT64_C(1) << 19 : 0);
    guest.sstatus = w.cpu.host_mxr ? UINT64_C(1) << 19 : 0;
    guest.henvcfg = (w.cpu.guest.adue ? UINT64_C(1) << 61 : 0) | (w.cpu.guest.pbmte ? UINT64_C(1) << 62 : 0);
    guest.features = (w.cpu.guest.napot ? (uint32_t)HVPT_RISCV_SVNAPOT : 0)
                   | (w.cpu.guest.software ? (uint32_t)HVPT_RISCV_SVRSW60T59B : 0);
    guest.memory = w.use_own ? &w.own : NULL;
    return guest;
}

static enum hvpt_guest_end __attribute__((noinline)) walk_once(uint64_t linear, uint32_t access,
                                                               struct hvpt_riscv_walk *walk)
{
    const struct hvpt_riscv_guest guest = registers();

    memset(walk, 0xa5, sizeof(*walk));
    return hvpt_guest_walk_riscv(&w.gstage, &guest, linear, access, walk);
}

static void agree(uint64_t linear, struct oracle_access access)
{
    static const enum hvpt_guest_end ends[] = {HVPT_GUEST_OK, HVPT_GUEST_PAGE_FAULT, HVPT_GUEST_GSTAGE_FAULT,
                                               HVPT_GUEST_UNREACHABLE};
    const struct oracle_answer wanted = oracle_walk(&w.cpu, linear, access);
    struct hvpt_riscv_walk got;
    const enum hvpt_guest_end end = walk_once(linear, bits_of(access), &got);
    const char *what = NULL;

    if (end != ends[wanted.end] || got.end != end)
        what = "the end";
    else if (got.cause != wanted.cause || got.htinst != wanted.htinst)
        what = "cause or htinst";
    else if (got.fault_gpa.value != wanted.fault_gpa
             || got.htval != (end == HVPT_GUEST_GSTAGE_FAULT ? wanted.fault_gpa >> 2 : 0))
        what = "the faulting address";
    else if (got.gpa.value != wanted.gpa || got.guest_page_size != wanted.guest_page)
        what = "the guest-physical address";
    else if (got.paging && got.level != wanted.level)
        what = "the guest's level";
    else if (end >= HVPT_GUEST_GSTAGE_FAULT && got.second.level != wanted.host_level)
        what = "the G-stage's level";
    else if (got.linear != linear)
        what = "the virtual address";
    else if (end == HVPT_GUEST_OK
             && (got.hpa.value != wanted.hpa || got.page_size != wanted.page
                 || !(got.perm & HVPT_READ) != !wanted.may_read || !(got.perm & HVPT_WRITE) != !wanted.may_write))
        what = "where it leads, or with what rights";
    else if (end == HVPT_GUEST_OK && !access.hlvx && !(got.perm & HVPT_EXEC) != !wanted.may_fetch)
        what = "the right to execute";
    for (unsigned level = got.level; got.paging && level <= got.root_level; level++) {
        if (got.step[level].entry != wanted.entry[level] || got.step[level].gpa.value != wanted.entry_gpa[level])
            what = "an entry";
        if (end == HVPT_GUEST_OK && got.step[level].update != wanted.update[level])
            what = "accessed and dirty";
    }
    if (what != NULL)
        cr_assert_fail(
            "%s differs: vsatp %#llx at %#llx access %#x sum %d mxr %d %d:\n  walk \"%s\" cause %llu htinst "
            "%#llx fault %#llx gpa %#llx hpa %#llx perm %u level %u,%u size %#llx\n  oracle %d cause %u htinst "
            "%#llx fault %#llx gpa %#llx hpa %#llx perm %u level %u,%u size %#llx",
            what, (unsigned long long)w.cpu.vsatp, (unsigned long long)linear, bits_of(access), w.cpu.sum, w.cpu.mxr,
            w.cpu.host_mxr, hvpt_guest_end_text(got.end), (unsigned long long)got.cause, (unsigned long long)got.htinst,
            (unsigned long long)got.fault_gpa.value, (unsigned long long)got.gpa.value,
            (unsigned long long)got.hpa.value, got.perm, got.level, got.second.level, (unsigned long long)got.page_size,
            wanted.end, wanted.cause, (unsigned long long)wanted.htinst, (unsigned long long)wanted.fault_gpa,
            (unsigned long long)wanted.gpa, (unsigned long long)wanted.hpa,
            (wanted.may_read ? 1u : 0) | (wanted.may_write ? 2u : 0) | (wanted.may_fetch ? 4u : 0), wanted.level,
            wanted.host_level, (unsigned long long)wanted.page);
}

static void agree_all(uint64_t linear)
{
    for (unsigned access = 0; access < ACCESSES; access++)
        agree(linear, access_number(access));
}

static void set_bits(unsigned number)
{
    w.cpu.sum = number & 1;
    w.cpu.mxr = number & 2;
    w.cpu.host_mxr = number & 4;
    w.cpu.guest.adue = number & 8;
}

/* V, R, W, X, U, A and D of a leaf, SUM, both MXR, ADUE, every access; over a G-stage that allows all. */
Test(guest_walk_riscv, every_combination_of_a_leaf)
{
    open_world(9, 0);
    for (unsigned flags = 0; flags < 256; flags++) {
        build(8, LINEAR, DATA, 0, flags);
        for (unsigned bits = 0; bits < 16; bits++) {
            set_bits(bits);
            agree_all(LINEAR);
        }
    }
    close_world();
}

/* The same bits of the G-stage's leaf, for the page and for each of the guest's tables. */
Test(guest_walk_riscv, every_combination_of_the_gstage)
{
    for (unsigned svadu = 0; svadu < 2; svadu++) {
        open_world(8 + svadu, svadu ? HVPT_GSTAGE_USE_SVADU : 0);
        for (unsigned which = 0; which < 4; which++) {
            uint64_t *slot = host_slot(which == 3 ? DATA : table_gpa(which), 0);
            const uint64_t plain = *slot;

            for (unsigned flags = 0; flags < 256; flags++) {
                *slot = (plain & ~UINT64_C(0xff)) | flags;
                for (unsigned bits = 0; bits < 32; bits++) {
                    set_bits(bits & 15);
                    build(8, LINEAR, DATA, 0, bits & 16 ? LEAF : 0x1f);
                    agree_all(LINEAR);
                }
            }
            *slot = plain;
        }
        close_world();
    }
}

/* Every mode, a leaf at every level; every bit of every entry turned, of both stages. */
Test(guest_walk_riscv, every_bit_of_every_entry)
{
    for (unsigned extensions = 0; extensions < 2; extensions++) {
        open_world(10 - extensions, extensions ? HVPT_GSTAGE_USE_SVPBMT | HVPT_GSTAGE_USE_SVNAPOT : 0);
        w.cpu.guest.pbmte = w.cpu.guest.napot = w.cpu.guest.software = extensions;
        for (unsigned mode = 8; mode <= 10; mode++) {
            for (unsigned leaf = 0; leaf <= mode - 6; leaf++) {
                uint64_t inside = (UINT64_C(1) << (12 + 9 * leaf)) - 1;
                uint64_t linear = (LINEAR & ~inside) | (DATA & inside) | 0x128;

                build(mode, linear, DATA, leaf, LEAF);
                agree_all(linear);
                for (unsigned level = leaf; level <= mode - 6; level++) {
                    uint64_t *slot = guest_slot(linear, level);
                    const uint64_t plain = *slot;

                    for (unsigned bit = 0; bit < 64; bit++) {
                        *slot = plain ^ UINT64_C(1) << bit;
                        agree_all(linear);
                        *slot = (plain ^ UINT64_C(1) << bit) | UINT64_C(1) << 63 | UINT64_C(1) << 13;
                        agree_all(linear);
                        *slot = (plain ^ UINT64_C(1) << bit) | UINT64_C(3) << 61;
                        agree_all(linear);
                    }
                    *slot = plain;
                }
                for (unsigned level = 0; level < 3; level++) {
                    uint64_t *slot = host_slot(DATA, level);
                    const uint64_t plain = *slot;

                    for (unsigned bit = 0; bit < 64; bit++) {
                        *slot = plain ^ UINT64_C(1) << bit;
                        agree_all(linear);
                    }
                    *slot = plain;
                }
            }
        }
        close_world();
    }
}

/* 64 KiB in sixteen entries: the page number's low bits are the address's. */
Test(guest_walk_riscv, napot_pages)
{
    const uint64_t run = GUEST + 0x10000;

    open_world(9, 0);
    w.cpu.guest.napot = true;
    for (uint64_t page = 0; page < 16; page++) {
        uint64_t linear = (LINEAR & ~UINT64_C(0xffff)) | page << 12 | 0x128;
        struct hvpt_riscv_walk walk;

        build(9, linear, run, 0, LEAF);
        *guest_slot(linear, 0) = run >> 2 | UINT64_C(8) << 10 | LEAF | UINT64_C(1) << 63;
        agree_all(linear);
        cr_assert_eq(walk_once(linear, HVPT_READ, &walk), HVPT_GUEST_OK);
        cr_assert_eq(walk.gpa.value, run + (page << 12) + 0x128);
        cr_assert_eq(walk.guest_page_size, HVPT_64K);
    }
    close_world();
}

Test(guest_walk_riscv, addresses_that_are_not_canonical)
{
    open_world(9, 0);
    for (unsigned mode = 8; mode <= 10; mode++) {
        build(mode, LINEAR, DATA, 0, LEAF);
        for (unsigned bit = 30; bit < 64; bit++) {
            agree_all(LINEAR ^ UINT64_C(1) << bit);
            agree_all(LINEAR ^ ~UINT64_C(0) << bit);
        }
    }
    close_world();
}

/* vsatp Bare: the G-stage alone, up to its last address and beyond. */
Test(guest_walk_riscv, no_paging)
{
    for (unsigned mode = 8; mode <= 10; mode++) {
        open_world(mode, 0);
        w.cpu.vsatp = 0;
        for (unsigned bits = 0; bits < 16; bits++) {
            set_bits(bits);
            agree_all(DATA + 0x128);
            for (unsigned bit = 38; bit < 64; bit++)
                agree_all(DATA ^ UINT64_C(1) << bit);
        }
        close_world();
    }
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Garbage in few tables, which then often contain one another: the walk ends, reads little, writes nothing. */
Test(guest_walk_riscv, garbage)
{
    uint64_t state = 1;

    open_world(9, HVPT_GSTAGE_USE_SVPBMT);
    w.cpu.guest.pbmte = true;
    for (unsigned round = 0; round < 30000; round++) {
        uint64_t before, linear = 0, r = random_next(&state);
        unsigned mode = 8 + (unsigned)(r % 3);

        w.cpu.vsatp = (uint64_t)mode << 60 | ((GUEST >> 12) + (r >> 8 & 3));
        set_bits((unsigned)(r >> 16 & 15));
        for (unsigned level = 0; level <= mode - 6; level++)
            linear |= (random_next(&state) & 3) << (12 + 9 * level);
        for (unsigned i = 0; i < 16; i++) {
            uint64_t entry = random_next(&state), page = (GUEST >> 12) + (entry >> 8 & 7);

            if (entry & 3)
                entry = page << 10 | 1 | (entry & 4 ? entry >> 20 & 0xce : 0) | (entry & 8 ? 0xc0 : 0);
            *guest_word(GUEST + 0x1000 * (i / 4) + 8 * (i & 3)) = entry;
        }
        before = round % 64 == 0 ? sum() : 0;
        for (unsigned access = 0; access < ACCESSES; access++) {
            w.looked_up = 0;
            agree(linear, access_number(access));
            cr_assert(w.looked_up <= MOST_LOOKUPS);
        }
        cr_assert(before == 0 || before == sum(), "the walk wrote");
    }
    close_world();
}

/* Tables that lie where no memory is, of either stage; hooks of the guest's own. */
static void *refuse(void *ctx, hvpt_hpa hpa)
{
    (void)ctx, (void)hpa;
    return NULL;
}

Test(guest_walk_riscv, tables_outside_memory)
{
    const struct hvpt_attr all = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, HVPT_ACCESSED | HVPT_DIRTY, 0};
    const uint64_t device = UINT64_C(0x80000000);
    struct hvpt_riscv_walk walk;
    uint64_t *slot, plain;

    open_world(9, 0);
    build(8, LINEAR, DATA, 0, LEAF);
    cr_assert_eq(hvpt_space_map(&w.gstage, hvpt_make_gpa(device), hvpt_make_hpa(device), 0x1000, all, NULL), HVPT_OK);
    *guest_slot(LINEAR, 1) = device >> 2 | 1;
    agree_all(LINEAR);
    cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk), HVPT_GUEST_UNREACHABLE);
    cr_assert(walk.on_table && walk.level == 0);

    build(8, LINEAR, DATA, 0, LEAF);
    slot = host_slot(DATA, 1);
    plain = *slot;
    *slot = device >> 2 | 1;
    agree_all(LINEAR);
    *slot = plain;

    w.use_own = true;
    w.own.phys_to_virt = refuse;
    cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk), HVPT_GUEST_UNREACHABLE);
    cr_assert_eq(walk.level, 2);
    w.own.phys_to_virt = NULL;
    w.own.linear_map = (void *)((uintptr_t)w.memory - (uintptr_t)HOST);
    cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk), HVPT_GUEST_OK);
    close_world();
}

Test(guest_walk_riscv, arguments_that_mean_nothing)
{
    static const uint32_t none[] = {
        0,
        HVPT_READ | HVPT_EXEC,
        HVPT_WRITE | HVPT_EXEC,
        8,
        HVPT_RISCV_USER,
        HVPT_RISCV_HLVX,
        HVPT_WRITE | HVPT_RISCV_HLVX,
        HVPT_EXEC | HVPT_RISCV_HLVX,
        HVPT_READ | 1u << 10,
    };
    struct hvpt_riscv_walk walk;

    open_world(9, 0);
    build(8, LINEAR, DATA, 0, LEAF);
    for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        cr_assert_eq(walk_once(LINEAR, none[i], &walk), HVPT_GUEST_BAD_ARGUMENT);
    for (uint64_t mode = 1; mode < 16; mode++) {
        w.cpu.vsatp = mode << 60 | table_gpa(2) >> 12;
        cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk) == HVPT_GUEST_BAD_ARGUMENT, mode < 8 || mode > 10);
    }
    w.cpu.vsatp = 0;
    w.gstage.kind = HVPT_KIND_EPT;
    cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);
    close_world();
}

Test(guest_walk_riscv, every_end_has_words_of_its_own)
{
    for (int i = 0; i <= HVPT_GUEST_BAD_ARGUMENT; i++) {
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(hvpt_guest_end_text((enum hvpt_guest_end)i), hvpt_guest_end_text((enum hvpt_guest_end)j));
    }
    cr_assert_not_null(hvpt_guest_end_text((enum hvpt_guest_end)99));
}
