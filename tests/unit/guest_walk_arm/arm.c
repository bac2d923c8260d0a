/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A host with a little memory, a guest in it, and its stage 2; the walk and the oracle answer the same questions: all
 * combinations of rights, every geometry, every bit of every descriptor, tables that mean harm.
 */
#include <hvpt/guest/arm.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

#define HOST   UINT64_C(0x1c0000000)
#define FRAMES 2048u /* of 4 KiB: the first 512 are the guest's, the rest holds stage 2's tables */
#define GUEST  UINT64_C(0x40000000)
#define UNIT   UINT64_C(0x10000)
#define UNITS  32u
#define DATA   (GUEST + 20 * UNIT)
#define LINEAR UINT64_C(0x1234565e58)
#define PAGE   UINT64_C(0x71f) /* AttrIndx 7, SH, AF: a page that EL1 may write */

/* No walk looks up more: five descriptors and an update, each by a walk of stage 2, then the access. */
#define MOST_LOOKUPS (5u * (5 + 1) + 5 + 5)

static struct {
    uint8_t *memory;
    unsigned next, looked_up;
    struct hvpt_hooks hooks;
    struct hvpt_space s2;
    struct oracle cpu;
    uint64_t mmfr0, mmfr1, mmfr2;
    bool told; /* the ID registers are given */
    struct hvpt_hooks own;
    bool use_own;
    unsigned kind;
} w;

static void *see(const void *ctx, uint64_t hpa)
{
    (void)ctx;
    return hpa < HOST || hpa >= HOST + 0x1000 * FRAMES ? NULL : w.memory + (hpa - HOST);
}

static void *phys_to_virt(void *ctx, hvpt_hpa hpa)
{
    (void)ctx;
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

static const struct hvpt_attr all_rights = {HVPT_READ | HVPT_WRITE | HVPT_EXEC | HVPT_EXEC_USER, HVPT_MEM_WB, 0, 0};

/* Arm ARM, ID_AA64MMFRn_EL1: a CPU with everything, by the flags of the oracle. */
static void set_registers_of_the_cpu(void)
{
    static const unsigned codes[] = {[32] = 0, [36] = 1, [40] = 2, [42] = 3, [44] = 4, [48] = 5, [52] = 6};

    w.mmfr0 = codes[w.cpu.pa_bits] | (w.cpu.has_lpa2 ? 1u << 28 | 2u << 20 : 1u << 20) | UINT64_C(2) << 32
            | UINT64_C(2) << 36 | UINT64_C(2) << 40;
    w.mmfr1 = w.cpu.has_hafdbs | (w.cpu.has_hpds ? 1u << 12 : 0) | (w.cpu.has_pan3 ? 3u << 20 : 2u << 20);
    w.mmfr2 = (w.cpu.has_ttst ? UINT64_C(1) << 28 : 0) | (w.cpu.has_lva ? 1u << 16 : 0)
            | (w.cpu.has_e0pd ? UINT64_C(1) << 60 : 0);
}

/* Guest memory in units of 64 KiB, scattered over the first half of the host's. */
static uint64_t host_of(uint64_t ipa)
{
    uint64_t unit = (ipa - GUEST) / UNIT;

    cr_assert(unit < UNITS);
    return HOST + UNIT * ((unit * 13 + 5) % UNITS) + ipa % UNIT;
}

static void open_world(const struct hvpt_s2_config *config)
{
    struct hvpt_s2_config usual;

    memset(&w, 0, sizeof(w));
    memset(&usual, 0, sizeof(usual));
    w.memory = (uint8_t *)aligned_alloc(0x10000, 0x1000 * FRAMES);
    memset(w.memory, 0, 0x1000 * FRAMES);
    w.next = 512;
    w.hooks.alloc_frame = alloc_frame;
    w.hooks.free_frame = free_frame;
    w.hooks.phys_to_virt = phys_to_virt;
    w.hooks.flush = flush;
    if (config != NULL)
        usual = *config;
    cr_assert_eq(hvpt_s2_init(&w.s2, &w.hooks, &usual), HVPT_OK);
    for (uint64_t unit = 0; unit < UNITS; unit++)
        cr_assert_eq(hvpt_space_map(&w.s2, hvpt_make_gpa(GUEST + unit * UNIT), hvpt_make_hpa(host_of(GUEST + unit * UNIT)),
                                 UNIT, all_rights, NULL),
                     HVPT_OK);
    w.cpu.at = see;
    w.cpu.vtcr = hvpt_s2_vtcr(&w.s2);
    w.cpu.vttbr = hvpt_space_root(&w.s2);
    w.cpu.pa_bits = 48;
    while (w.cpu.pa_bits > 32 && w.s2.hpa_limit < UINT64_C(1) << w.cpu.pa_bits)
        w.cpu.pa_bits -= w.cpu.pa_bits == 42 || w.cpu.pa_bits == 44 ? 2 : 4;
    if (w.s2.hpa_limit == UINT64_C(1) << 52)
        w.cpu.pa_bits = 52;
    w.cpu.xnx = usual.features & HVPT_S2_USE_XNX;
    w.cpu.fwb = usual.features & HVPT_S2_USE_FWB;
    w.cpu.m = w.cpu.has_ttst = w.cpu.has_lva = w.cpu.has_lpa2 = w.cpu.has_hpds = w.cpu.has_e0pd = w.cpu.has_pan3 = true;
    w.cpu.has_lpa = w.cpu.pa_bits == 52;
    w.cpu.has_hafdbs = 2;
    w.told = true;
    set_registers_of_the_cpu();
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

static uint64_t *guest_word(uint64_t ipa)
{
    return (uint64_t *)see(NULL, host_of(ipa));
}

/* Stage 2's level 3 descriptor for ipa, found by looking for the only table that leads to its page. */
static uint64_t *host_slot(uint64_t ipa)
{
    uint64_t page = UINT64_C(1) << w.s2.page_shift, wanted = host_of(ipa) & ~(page - 1);

    for (size_t i = 512 * 512; i < 512 * FRAMES; i++) {
        uint64_t *word = (uint64_t *)(void *)w.memory + i;

        if ((*word & 3) == 3
            && (*word & UINT64_C(0xffffffff0000) & ~(page - 1)) == (wanted & UINT64_C(0xffffffff0000) & ~(page - 1))
            && (*word & UINT64_C(0xfffffffff000) & ~(page - 1)) == wanted)
            return word;
    }
    cr_assert_fail("no descriptor leads to %#llx", (unsigned long long)ipa);
    return NULL;
}

/* ---- the guest's tables: one a level (Arm's), each in a unit of its own ---- */

struct shape {
    unsigned granule, bits;
    bool upper, ds;
    uint64_t linear;
};

static uint64_t table_ipa(int level)
{
    return GUEST + UNIT * (uint64_t)(level + 2) * 3;
}

static unsigned span_of(const struct shape *shape, int level)
{
    return shape->granule + (unsigned)(3 - level) * (shape->granule - 3);
}

static int root_of(const struct shape *shape)
{
    int level = 3;

    while (span_of(shape, level) + shape->granule - 3 < shape->bits)
        level--;
    return level;
}

static uint64_t *slot_of(const struct shape *shape, int level)
{
    uint64_t input = shape->linear & ((UINT64_C(1) << shape->bits) - 1), index = input >> span_of(shape, level);

    if (level != root_of(shape))
        index &= (UINT64_C(1) << (shape->granule - 3)) - 1;
    return guest_word(table_ipa(level)) + index;
}

/* TCR_EL1 for the shape, its other half closed; then tables to a leaf at that level, which leads to DATA. */
static void build(const struct shape *shape, int leaf, uint64_t flags)
{
    static const uint64_t lower[] = {[12] = 0, [14] = 2, [16] = 1}, upper[] = {[12] = 2, [14] = 1, [16] = 3};
    uint64_t size = 64 - shape->bits, ips = w.cpu.pa_bits == 52 ? 6 : 5;
    int root = root_of(shape);

    w.cpu.tcr = (shape->upper ? size << 16 | upper[shape->granule] << 30 | 1u << 7
                              : size | lower[shape->granule] << 14 | 1u << 23)
              | ips << 32 | (shape->ds ? UINT64_C(1) << 59 : 0);
    w.cpu.ttbr0 = w.cpu.ttbr1 = table_ipa(root);
    for (int level = root;; level++) {
        if (level == leaf) {
            *slot_of(shape, level) = (DATA >> span_of(shape, level) << span_of(shape, level)) | (flags & ~UINT64_C(3))
                                   | (level == 3 ? 3 : 1);
            return;
        }
        *slot_of(shape, level) = table_ipa(level + 1) | 3;
    }
}

static const struct shape usual_shape = {12, 39, false, false, LINEAR};

static uint64_t usual_linear(const struct shape *shape, int leaf)
{
    uint64_t inside = (UINT64_C(1) << span_of(shape, leaf)) - 1, bits = (UINT64_C(1) << shape->bits) - 1;

    return (((UINT64_C(0x5a5a5123456789ab) & ~inside) | (DATA & inside) | 0x128) & bits & ~UINT64_C(7))
         | (shape->upper ? ~bits : 0);
}

static uint32_t bits_of(struct oracle_access access)
{
    return (access.read ? 1u : 0) | (access.write ? 2u : 0) | (access.fetch ? 4u : 0)
         | (access.el0 ? (uint32_t)HVPT_ARM_EL0 : 0) | (access.unprivileged ? (uint32_t)HVPT_ARM_UNPRIVILEGED : 0);
}

#define ACCESSES 10u

static struct oracle_access access_number(unsigned number)
{
    static const struct oracle_access all[ACCESSES] = {
        {true, false, false, false, false}, {false, true, false, false, false}, {true, true, false, false, false},
        {false, false, true, false, false}, {true, false, false, true, false},  {false, true, false, true, false},
        {true, true, false, true, false},   {false, false, true, true, false},  {true, false, false, false, true},
        {false, true, false, false, true},
    };

    return all[number];
}

static enum hvpt_guest_end __attribute__((noinline)) walk_once(uint64_t linear, uint32_t access,
                                                               struct hvpt_arm_walk *walk)
{
    struct hvpt_arm_guest guest;

    memset(&guest, 0, sizeof(guest));
    guest.sctlr = (w.cpu.m ? 1u : 0) | (w.cpu.wxn ? 1u << 19 : 0) | (w.cpu.ee ? 1u << 25 : 0)
                | (w.cpu.epan ? UINT64_C(1) << 57 : 0);
    guest.tcr = w.cpu.tcr;
    guest.ttbr0 = w.cpu.ttbr0 | UINT64_C(0xabcd) << 48 | 1; /* ASID, CnP */
    guest.ttbr1 = w.cpu.ttbr1;
    guest.mair = UINT64_C(0x7766554433221100);
    guest.hcr = UINT64_C(0x80000001) | (w.cpu.ptw ? 4 : 0);
    guest.spsr = 0x3c5 | (w.cpu.pan ? 1u << 22 : 0) | (w.cpu.uao ? 1u << 23 : 0);
    if (w.told) {
        guest.mmfr0 = w.mmfr0;
        guest.mmfr1 = w.mmfr1;
        guest.mmfr2 = w.mmfr2;
    }
    guest.memory = w.use_own ? &w.own : NULL;
    memset(walk, 0xa5, sizeof(*walk));
    return hvpt_guest_walk_arm(&w.s2, &guest, linear, access, walk);
}

static void agree(uint64_t linear, struct oracle_access access)
{
    static const enum hvpt_guest_end ends[] = {HVPT_GUEST_OK, HVPT_GUEST_PAGE_FAULT, HVPT_GUEST_STAGE2_FAULT,
                                               HVPT_GUEST_UNREACHABLE, HVPT_GUEST_BAD_ARGUMENT};
    const struct oracle_answer wanted = oracle_walk(&w.cpu, linear, access);
    struct hvpt_arm_walk got;
    const enum hvpt_guest_end end = walk_once(linear, bits_of(access), &got);
    const char *what = NULL;

    if (end != ends[wanted.end] || got.end != end)
        what = "the end";
    else if (got.esr != wanted.esr)
        what = "the syndrome";
    else if (got.fault_gpa.value != wanted.fault_ipa || got.hpfar_valid != wanted.hpfar_known
             || got.hpfar != wanted.hpfar)
        what = "the faulting address";
    else if (got.gpa.value != wanted.ipa || got.guest_page_size != wanted.page1)
        what = "the intermediate physical address";
    else if (end >= HVPT_GUEST_STAGE2_FAULT && end <= HVPT_GUEST_UNREACHABLE && linear != 0
             && (int)got.second.level != 3 - wanted.level2 && got.fault_gpa.value < w.s2.gpa_limit)
        what = "stage 2's level";
    else if (end == HVPT_GUEST_OK
             && (got.hpa.value != wanted.hpa || got.page_size != wanted.page
                 || !(got.perm & HVPT_READ) != !wanted.may_read || !(got.perm & HVPT_WRITE) != !wanted.may_write
                 || !(got.perm & HVPT_EXEC) != !wanted.may_fetch))
        what = "where it leads, or with what rights";
    else if (end == HVPT_GUEST_OK && got.paging && got.upper != ((linear >> 55 & 1) != 0))
        what = "the half of the address space"; /* bit 55 tells it: "Selection between TTBR0_ELx and TTBR1_ELx" */
    for (unsigned level = got.level; got.paging && level <= got.root_level; level++) {
        if (got.step[level].entry != wanted.entry[4 - level])
            what = "a descriptor";
        if (end == HVPT_GUEST_OK && got.step[level].update != wanted.update[4 - level])
            what = "the update";
    }
    if (what != NULL)
        cr_assert_fail(
            "%s differs: tcr %#llx at %#llx access %#x:\n  walk \"%s\" esr %#llx hpfar %#llx fault %#llx gpa "
            "%#llx hpa %#llx perm %u level %u,%u size %#llx\n  oracle %d esr %#llx hpfar %#llx fault %#llx gpa "
            "%#llx hpa %#llx perm %u level %d,%d size %#llx",
            what, (unsigned long long)w.cpu.tcr, (unsigned long long)linear, bits_of(access),
            hvpt_guest_end_text(got.end), (unsigned long long)got.esr, (unsigned long long)got.hpfar,
            (unsigned long long)got.fault_gpa.value, (unsigned long long)got.gpa.value,
            (unsigned long long)got.hpa.value, got.perm, got.level, got.second.level, (unsigned long long)got.page_size,
            wanted.end, (unsigned long long)wanted.esr, (unsigned long long)wanted.hpfar,
            (unsigned long long)wanted.fault_ipa, (unsigned long long)wanted.ipa, (unsigned long long)wanted.hpa,
            (wanted.may_read ? 1u : 0) | (wanted.may_write ? 2u : 0) | (wanted.may_fetch ? 4u : 0), wanted.level,
            wanted.level2, (unsigned long long)wanted.page);
}

static void agree_all(uint64_t linear)
{
    for (unsigned access = 0; access < ACCESSES; access++)
        agree(linear, access_number(access));
}

/* AP, PXN, UXN, AF, DBM; APTable, PXNTable, UXNTable; WXN, PAN, EPAN, UAO, HPD, HA, HD; every access. */
Test(guest_walk_arm, every_combination_of_rights)
{
    open_world(NULL);
    for (unsigned leaf = 0; leaf < 64; leaf++) {
        for (unsigned table = 0; table < 16; table++) {
            uint64_t flags = (PAGE & ~UINT64_C(0x4c0)) | (uint64_t)(leaf & 3) << 6 | (uint64_t)(leaf >> 2 & 3) << 53
                           | (leaf & 16 ? 0x400u : 0) | (leaf & 32 ? UINT64_C(1) << 51 : 0);

            build(&usual_shape, 3, flags);
            *slot_of(&usual_shape, 1 + (int)(table & 1)) |= (uint64_t)table << 59;
            for (unsigned bits = 0; bits < 128; bits++) {
                w.cpu.wxn = bits & 1;
                w.cpu.pan = bits & 2;
                w.cpu.epan = bits & 4;
                w.cpu.uao = bits & 8;
                w.cpu.tcr &= ~(UINT64_C(7) << 39);
                w.cpu.tcr |= (uint64_t)(bits >> 4) << 39; /* HA, HD, HPD0 */
                agree_all(LINEAR);
            }
        }
    }
    close_world();
}

/* S2AP, XN, AF, DBM and MemAttr of the page and of each of the guest's tables, by all features of stage 2. */
Test(guest_walk_arm, every_combination_of_stage_2)
{
    static const uint32_t features[] = {
        0,
        HVPT_S2_USE_XNX,
        HVPT_S2_USE_HARDWARE_AF,
        HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY,
        HVPT_S2_USE_XNX | HVPT_S2_USE_FWB,
    };

    for (unsigned i = 0; i < 5; i++) {
        struct hvpt_s2_config config;

        memset(&config, 0, sizeof(config));
        config.features = features[i];
        open_world(&config);
        for (int which = 1; which <= 4; which++) {
            uint64_t *slot = host_slot(which == 4 ? DATA
                                                  : table_ipa(which)
                                                        + 0x1000
                                                              * (((uintptr_t)slot_of(&usual_shape, which) >> 12)
                                                                 - ((uintptr_t)guest_word(table_ipa(which)) >> 12)));
            const uint64_t plain = *slot;

            for (unsigned number = 0; number < 256; number++) {
                *slot = plain & ~(UINT64_C(0xfc) | 0x400 | UINT64_C(0x68) << 48);
                *slot |= (uint64_t)(number & 3) << 6 | (uint64_t)(number >> 2 & 3) << 53 | (number & 16 ? 0x400u : 0)
                       | (number & 32 ? UINT64_C(1) << 51 : 0);
                *slot |= (number & 64 ? UINT64_C(15) : features[i] & HVPT_S2_USE_FWB ? UINT64_C(2) : UINT64_C(1)) << 2;
                w.cpu.ptw = number & 128;
                for (unsigned update = 0; update < 4; update++) {
                    build(&usual_shape, 3, update & 1 ? PAGE & ~UINT64_C(0x400) : PAGE | 0x40);
                    if (update & 2) {
                        w.cpu.tcr |= UINT64_C(3) << 39;
                        *slot_of(&usual_shape, 3) |= UINT64_C(1) << 51 | 0x80;
                    }
                    agree_all(LINEAR);
                }
            }
            *slot = plain;
        }
        close_world();
    }
}

/* Every granule, range, half and leaf level; with LPA2; each bit of each descriptor turned. */
static void every_bit(const struct shape *shape, int leaf)
{
    for (int level = root_of(shape); level <= leaf; level++) {
        uint64_t *slot = slot_of(shape, level);
        const uint64_t plain = *slot;

        for (unsigned bit = 0; bit < 64; bit++) {
            *slot = plain ^ UINT64_C(1) << bit;
            agree(shape->linear, access_number(0));
            agree(shape->linear, access_number(5));
        }
        *slot = plain;
    }
}

static void every_geometry(bool ds)
{
    for (unsigned granule = 12; granule <= 16; granule += 2) {
        for (unsigned size = 10; size < 52; size++) {
            for (unsigned upper = 0; upper < 2; upper++) {
                struct shape shape = {granule, 64 - size, upper, ds, 0};
                int root = size < 12 || shape.bits < granule ? 3 : root_of(&shape);

                if (size < 12) { /* no table can be built; the address is out of range */
                    struct shape near = {granule, 48, upper, ds, 0};

                    near.linear = usual_linear(&near, 3);
                    build(&near, 3, PAGE);
                    w.cpu.tcr = (w.cpu.tcr & ~(UINT64_C(63) << (upper ? 16 : 0))) | (uint64_t)size << (upper ? 16 : 0);
                    agree_all(near.linear);
                    continue;
                }
                for (int leaf = root; leaf <= 3; leaf++) {
                    shape.linear = usual_linear(&shape, leaf);
                    build(&shape, leaf, ds ? PAGE & ~UINT64_C(0x300) : PAGE);
                    agree_all(shape.linear);
                    if (size % 5 == 0)
                        every_bit(&shape, leaf);
                    for (unsigned bit = shape.bits; bit < 64; bit++) {
                        agree(shape.linear ^ UINT64_C(1) << bit, access_number(0));
                        w.cpu.tcr ^= UINT64_C(3) << 37; /* TBI */
                        agree(shape.linear ^ UINT64_C(1) << bit, access_number(0));
                        agree(shape.linear ^ UINT64_C(1) << bit, access_number(3));
                        w.cpu.tcr ^= UINT64_C(3) << 51; /* TBID */
                        agree(shape.linear ^ UINT64_C(1) << bit, access_number(0));
                        agree(shape.linear ^ UINT64_C(1) << bit, access_number(3));
                        w.cpu.tcr ^= UINT64_C(3) << 37 | UINT64_C(3) << 51;
                    }
                }
                /* all sizes of output addresses; EPD; E0PD */
                for (uint64_t ips = 0; ips < 8; ips++) {
                    w.cpu.tcr = (w.cpu.tcr & ~(UINT64_C(7) << 32)) | ips << 32;
                    agree_all(shape.linear);
                    *(upper ? &w.cpu.ttbr1 : &w.cpu.ttbr0) |= UINT64_C(1) << 40;
                    agree(shape.linear, access_number(0));
                    *(upper ? &w.cpu.ttbr1 : &w.cpu.ttbr0) ^= UINT64_C(1) << 40;
                    for (unsigned bit = 1; bit < 9; bit++) { /* the root's alignment, and bits 51:48 in 5:2 */
                        *(upper ? &w.cpu.ttbr1 : &w.cpu.ttbr0) ^= UINT64_C(1) << bit;
                        agree(shape.linear, access_number(0));
                        *(upper ? &w.cpu.ttbr1 : &w.cpu.ttbr0) ^= UINT64_C(1) << bit;
                    }
                }
                w.cpu.tcr ^= UINT64_C(3) << 55;
                agree_all(shape.linear);
                w.cpu.tcr ^= UINT64_C(3) << 55 | 1u << 7 | 1u << 23;
                agree_all(shape.linear);
            }
        }
    }
}

Test(guest_walk_arm, every_geometry_of_a_cpu_with_everything)
{
    struct hvpt_s2_config config;

    memset(&config, 0, sizeof(config));
    config.granule_shift = 16;
    config.ipa_bits = 52;
    open_world(&config); /* 52-bit addresses */
    cr_assert_eq(w.cpu.pa_bits, 52);
    every_geometry(false);
    every_geometry(true);
    w.told = false; /* the same, from nothing told */
    every_geometry(true);
    close_world();
}

Test(guest_walk_arm, every_geometry_of_a_cpu_with_nothing)
{
    struct hvpt_s2_config config;

    memset(&config, 0, sizeof(config));
    config.granule_shift = 14;
    open_world(&config);
    w.cpu.has_ttst = w.cpu.has_lva = w.cpu.has_lpa2 = w.cpu.has_hpds = w.cpu.has_e0pd = w.cpu.has_pan3 = false;
    w.cpu.has_hafdbs = 0;
    set_registers_of_the_cpu();
    every_geometry(true);
    close_world();
}

/* Physical addresses of 40 bits, as smaller CPUs have: tables, pages and roots beyond them, at both stages. */
Test(guest_walk_arm, addresses_too_large)
{
    struct hvpt_s2_config config;

    memset(&config, 0, sizeof(config));
    config.mmfr0 = 2 | UINT64_C(2) << 32 | UINT64_C(2) << 36 | UINT64_C(2) << 40;
    config.mmfr1 = 2;
    config.ipa_bits = 38;
    open_world(&config);
    cr_assert_eq(w.cpu.pa_bits, 40);
    for (int leaf = 1; leaf <= 3; leaf++) {
        struct shape shape = usual_shape;
        uint64_t *slot = host_slot(DATA);
        const uint64_t plain = *slot;

        shape.linear = usual_linear(&shape, leaf);
        build(&shape, leaf, PAGE);
        every_bit(&shape, leaf);
        for (unsigned bit = 0; bit < 64; bit++) {
            *slot = plain ^ UINT64_C(1) << bit;
            agree_all(shape.linear);
        }
        *slot = plain;
    }
    close_world();
}

/* Every level of stage 2, with blocks: descriptors of no kind, and bits below a block's address, which are ignored. */
Test(guest_walk_arm, descriptors_of_stage_2)
{
    for (unsigned granule = 12; granule <= 16; granule += 2) {
        struct hvpt_s2_config config;
        uint64_t gpa, before;

        memset(&config, 0, sizeof(config));
        config.granule_shift = granule;
        config.ipa_bits = 44;
        open_world(&config);
        w.cpu.m = false;
        for (unsigned level = 1; level <= (granule == 12 ? 2u : 1u); level++) {
            uint64_t size = UINT64_C(1) << (granule + level * (granule - 3)), *slot = NULL;

            gpa = UINT64_C(0x80000000000) + size * 5;
            cr_assert_eq(hvpt_space_map(&w.s2, hvpt_make_gpa(gpa), hvpt_make_hpa(UINT64_C(0x400000000)), size, all_rights,
                                     NULL),
                         HVPT_OK);
            agree_all(gpa + size / 2 + 0x128);
            for (size_t i = 512 * 512; i < 512 * FRAMES; i++) {
                uint64_t *word = (uint64_t *)(void *)w.memory + i;

                if ((*word & 3) == 1 && (*word & UINT64_C(0xfffffffff000) & ~(size - 1)) == UINT64_C(0x400000000))
                    slot = word;
            }
            cr_assert_not_null(slot);
            before = *slot;
            for (unsigned bit = 0; bit < 64; bit++) {
                *slot = before ^ UINT64_C(1) << bit;
                agree_all(gpa + size / 2 + 0x128);
            }
            *slot = before;
        }
        /* a block at the root, where there are none with this granule */
        for (size_t i = 512 * 512; i < 512 * FRAMES; i++) {
            uint64_t *word = (uint64_t *)(void *)w.memory + i;

            if ((*word & 3) == 3)
                *word ^= 2;
        }
        agree_all(gpa);
        agree_all(GUEST);
        close_world();
    }
}

/* Stage 1 off, by SCTLR_EL1.M; up to the last address and beyond. HCR_EL2.DC turns it off, too. */
Test(guest_walk_arm, no_paging)
{
    struct hvpt_arm_guest guest;
    struct hvpt_arm_walk walk;

    open_world(NULL);
    w.cpu.m = false;
    for (unsigned tbi = 0; tbi < 4; tbi++) {
        w.cpu.tcr = (uint64_t)tbi << 37;
        agree_all(DATA + 0x128);
        for (unsigned bit = 30; bit < 64; bit++)
            agree_all(DATA ^ UINT64_C(1) << bit);
    }
    memset(&guest, 0, sizeof(guest));
    guest.sctlr = 1;
    guest.hcr = UINT64_C(1) << 12;
    cr_assert_eq(hvpt_guest_walk_arm(&w.s2, &guest, DATA, HVPT_WRITE, &walk), HVPT_GUEST_OK);
    cr_assert(!walk.paging && walk.hpa.value == host_of(DATA));
    close_world();
}

Test(guest_walk_arm, big_endian_tables_and_what_else_is_told)
{
    struct hvpt_arm_walk walk;

    open_world(NULL);
    build(&usual_shape, 3, (PAGE & ~UINT64_C(0x1c)) | 5u << 2 | UINT64_C(1) << 52);
    cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk), HVPT_GUEST_OK);
    cr_assert_eq(walk.attr, 0x55);
    cr_assert(walk.contiguous && walk.paging && !walk.upper && walk.granule_shift == 12);
    cr_assert_eq(walk.el1_perm, HVPT_READ | HVPT_WRITE | HVPT_EXEC);
    cr_assert_eq(walk.el0_perm, HVPT_EXEC);
    for (int level = 1; level <= 3; level++)
        *slot_of(&usual_shape, level) = __builtin_bswap64(*slot_of(&usual_shape, level));
    agree_all(LINEAR);
    w.cpu.ee = true;
    agree_all(LINEAR);
    cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk), HVPT_GUEST_OK);
    close_world();
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Garbage in few tables, which then often contain one another: the walk ends, reads little, writes nothing. */
Test(guest_walk_arm, garbage)
{
    uint64_t state = 1;

    open_world(NULL);
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t before, linear, r = random_next(&state);

        w.cpu.tcr = random_next(&state) & ~(UINT64_C(0x3f) << 16 | 0x3f);
        w.cpu.tcr |= 16 + (r & 15) + (16 + (r >> 4 & 15)) * 65536;
        w.cpu.ttbr0 = w.cpu.ttbr1 = GUEST + UNIT * (r >> 8 & 3);
        w.cpu.wxn = r >> 16 & 1;
        w.cpu.pan = r >> 17 & 1;
        linear = (random_next(&state) & UINT64_C(0x18030060180)) | (r & 0x8000000 ? ~UINT64_C(0) << 48 : 0);
        for (unsigned i = 0; i < 64; i++) {
            uint64_t entry = random_next(&state);

            if (entry & 3)
                entry = GUEST | (entry >> 8 & 3) << 16 | (entry >> 20 & UINT64_C(0x7c0)) | 0x400 | (entry & 4 ? 3 : 1);
            *guest_word(GUEST + UNIT * (i / 16) + 8 * (i & 15)) = entry;
        }
        before = round % 256 == 0 ? sum() : 0;
        for (unsigned access = 0; access < ACCESSES; access++) {
            w.looked_up = 0;
            agree(linear, access_number(access));
            cr_assert(w.looked_up <= MOST_LOOKUPS);
        }
        cr_assert(before == 0 || before == sum(), "the walk wrote");
    }
    close_world();
}

static void *refuse(void *ctx, hvpt_hpa hpa)
{
    (void)ctx, (void)hpa;
    return NULL;
}

Test(guest_walk_arm, tables_outside_memory)
{
    const uint64_t device = UINT64_C(0x80000000);
    struct hvpt_arm_walk walk;

    open_world(NULL);
    build(&usual_shape, 3, PAGE);
    cr_assert_eq(hvpt_space_map(&w.s2, hvpt_make_gpa(device), hvpt_make_hpa(device), 0x1000, all_rights, NULL), HVPT_OK);
    *slot_of(&usual_shape, 2) = device | 3;
    *slot_of(&usual_shape, 1) = table_ipa(2) | 3;
    cr_assert_eq(walk_once(LINEAR & ~UINT64_C(0x1ff000), HVPT_READ, &walk), HVPT_GUEST_UNREACHABLE);
    cr_assert(walk.on_table && walk.level == 0);
    agree_all(LINEAR & ~UINT64_C(0x1ff000));

    build(&usual_shape, 3, PAGE);
    w.use_own = true;
    w.own.phys_to_virt = refuse;
    cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk), HVPT_GUEST_UNREACHABLE);
    cr_assert_eq(walk.level, 2);
    w.use_own = false;
    for (size_t i = 512 * 512; i < 512 * FRAMES; i++) { /* all tables of stage 2 lead nowhere */
        uint64_t *word = (uint64_t *)(void *)w.memory + i;

        if ((*word & 3) == 3)
            *word = UINT64_C(0x7fff0003);
    }
    cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk), HVPT_GUEST_UNREACHABLE);
    agree_all(LINEAR);
    close_world();
}

Test(guest_walk_arm, arguments_that_mean_nothing)
{
    static const uint32_t none[] = {
        0,
        HVPT_READ | HVPT_EXEC,
        HVPT_WRITE | HVPT_EXEC,
        8,
        HVPT_ARM_EL0,
        HVPT_ARM_UNPRIVILEGED,
        HVPT_EXEC | HVPT_ARM_UNPRIVILEGED,
        HVPT_READ | 1u << 10,
    };
    struct hvpt_arm_walk walk;

    open_world(NULL);
    build(&usual_shape, 3, PAGE);
    for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        cr_assert_eq(walk_once(LINEAR, none[i], &walk), HVPT_GUEST_BAD_ARGUMENT);
    w.cpu.tcr |= 3u << 14; /* a granule that is none */
    agree_all(LINEAR);
    w.cpu.tcr &= ~(UINT64_C(3) << 30);
    agree_all(~UINT64_C(0) << 39);
    /* granules that the CPU lacks */
    build(&usual_shape, 3, PAGE);
    w.mmfr0 |= UINT64_C(15) << 28;
    cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);
    w.mmfr0 = (w.mmfr0 & ~(UINT64_C(15) << 20)) | UINT64_C(15) << 24;
    w.cpu.tcr = (w.cpu.tcr & ~(UINT64_C(3) << 14)) | 2u << 14;
    cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);
    w.cpu.tcr ^= 3u << 14;
    cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);
    w.s2.kind = HVPT_KIND_EPT;
    cr_assert_eq(walk_once(LINEAR, HVPT_READ, &walk), HVPT_GUEST_BAD_ARGUMENT);
    close_world();
}
