/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A stage 2 walk. Arm ARM: "VTCR_EL2", "VTTBR_EL2", "VMSAv8-64 translation table format descriptors". */
#include "walk.h"

#include "machine.h"

struct walk_geometry walk_geometry(uint64_t vtcr)
{
    /* By TG0: 4K, 64K, 16K; by SL0, 0 to 3. A start level of 9: reserved. */
    static const unsigned shifts[4] = {12, 16, 14, 0};
    static const int levels[4][4] = {{2, 1, 0, 3}, {3, 2, 1, 9}, {3, 2, 1, 0}, {9, 9, 9, 9}};
    unsigned tg0 = (unsigned)(vtcr >> 14) & 3, sl0 = (unsigned)(vtcr >> 6) & 3;
    struct walk_geometry g;
    unsigned top;

    g.granule_shift = shifts[tg0];
    g.ipa_bits = 64 - (unsigned)(vtcr & 63);
    g.wide = (vtcr >> 32 & 1) != 0;
    g.level = levels[tg0][sl0];
    if (vtcr >> 33 & 1) /* SL2 */
        g.level = tg0 == 0 && sl0 == 0 && g.wide ? -1 : 9;
    if (g.level == 9)
        panic("VTCR_EL2 %lx has a reserved start level", vtcr);
    top = walk_span_shift(&g, g.level) + g.granule_shift - 3;
    g.tables = g.ipa_bits > top ? 1u << (g.ipa_bits - top) : 1;
    return g;
}

unsigned walk_span_shift(const struct walk_geometry *g, int level)
{
    return g->granule_shift + (unsigned)(3 - level) * (g->granule_shift - 3);
}

struct walk walk_to(uint64_t vttbr, uint64_t vtcr, uint64_t ipa, int level)
{
    struct walk_geometry g = walk_geometry(vtcr);
    uint64_t table = vttbr & UINT64_C(0x0000fffffffffffe),
             mask = (UINT64_C(1) << g.ipa_bits) - 1; /* frames are below 4 GiB */
    struct walk walk = {0, 0, g.level, false};

    for (;; walk.level++) {
        walk.entry = (volatile uint64_t *)(uintptr_t)table + ((ipa & mask) >> walk_span_shift(&g, walk.level));
        walk.value = *walk.entry;
        walk.valid = (walk.value & 1) != 0;
        if (walk.level == 3) {
            walk.valid = (walk.value & 3) == 3;
            return walk;
        }
        if ((walk.value & 3) != 3 || walk.level == level)
            return walk;
        table = walk.value & UINT64_C(0x0000fffffffff000) & ~((UINT64_C(1) << g.granule_shift) - 1);
        mask = (UINT64_C(1) << walk_span_shift(&g, walk.level)) - 1;
    }
}

struct walk walk_tables(uint64_t vttbr, uint64_t vtcr, uint64_t ipa)
{
    return walk_to(vttbr, vtcr, ipa, 3);
}
