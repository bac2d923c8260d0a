/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Every geometry: granule, width of the guest-physical space, depth of the tree and how many tables stand side by
 * side at its
 * root. Judged by the address translation instructions, which take the registers and the tables as they are. Pages lie
 * anywhere in the physical address space: nothing is accessed. Permissions are left to permissions.c: QEMU 10.0 ends
 * itself
 * when one of these instructions meets a page of stage 2 that denies the access.
 */
#include "suite.h"

#include "console.h"
#include "machine.h"

#define PAGES 12u

static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* At which of Arm's levels a walk for ipa ends that finds nothing, if only these pages are mapped. */
static int missing_level(const struct walk_geometry *geometry, const uint64_t *pages, unsigned count, uint64_t ipa)
{
    int deepest = geometry->level;

    for (unsigned i = 0; i < count; i++) {
        int level = geometry->level;

        while (level < 3 && (pages[i] ^ ipa) >> walk_span_shift(geometry, level) == 0)
            level++;
        if (level > deepest)
            deepest = level;
    }
    return deepest;
}

/* Arm ARM, "PAR_EL1": F, FST, S. */
static uint64_t fault_par(uint64_t par)
{
    return par & 0x27f;
}

static uint64_t expected_fault(enum fault fault, int level)
{
    return 1u << 9 | fault_status(fault, level) << 1 | 1;
}

/* The bits of PAR_EL1 that hold the address when there is no fault. */
static uint64_t par_address(uint64_t par)
{
    return par & UINT64_C(0x000ffffffffff000);
}

static void check_pages(struct paging *paging, const char *name)
{
    struct walk_geometry geometry = walk_geometry(hvpt_s2_vtcr(&paging->s2));
    unsigned pa_bits = geometry.wide || geometry.granule_shift == 16 ? paging_physical_bits()
                     : paging_physical_bits() > 48                   ? 48
                                                                     : paging_physical_bits();
    uint64_t page = UINT64_C(1) << geometry.granule_shift, space = UINT64_C(1) << geometry.ipa_bits;
    uint64_t gpa[PAGES], hpa[PAGES], wrong = 0, wrong_fault = 0, first = 0;

    for (unsigned i = 0; i < PAGES; i++) {
        enum hvpt_status status;

        gpa[i] = i == 0 ? 0 : i == 1 ? space - page : random_next() & (space - 1) & ~(page - 1);
        hpa[i] =
            i == 2 ? (UINT64_C(1) << pa_bits) - page : random_next() & ((UINT64_C(1) << pa_bits) - 1) & ~(page - 1);
        status = paging_map(paging, gpa[i], hpa[i], page, paging_attr(RWX));
        if (status != HVPT_OK) {
            check_equal(status, HVPT_OK, "%s: map", name);
            return;
        }
    }
    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t offset = i == 0 ? 0 : i == 1 ? page - 8 : random_next() & (page - 1);
        uint64_t par = paging_at(paging, gpa[i] + offset, i & 1);

        if ((par & 1) != 0 || par_address(par) != ((hpa[i] + offset) & ~UINT64_C(0xfff))) {
            first = wrong++ == 0 ? par : first;
        }
    }
    if (!check_equal(wrong, 0, "%s: every page is translated right", name))
        print("%s: the first wrong PAR_EL1 is %lx\n", name, first);
    for (unsigned i = 0; i < 4 * PAGES; i++) {
        /* Anywhere, and around the pages: the nearer, the deeper the walk */
        uint64_t at = i < PAGES ? random_next() : gpa[i % PAGES] ^ UINT64_C(1) << random_next() % geometry.ipa_bits;
        uint64_t par, expected;
        bool mapped = false;

        at &= (space - 1) & ~(page - 1);
        for (unsigned j = 0; j < PAGES; j++)
            mapped = mapped || at == gpa[j];
        if (mapped)
            continue;
        par = paging_at(paging, at | 0x28, i & 1);
        expected = expected_fault(FAULT_TRANSLATION, missing_level(&geometry, gpa, PAGES, at));
        if (fault_par(par) != expected && wrong_fault++ == 0)
            print("%s: PAR_EL1 at %lx is %lx, expected fault %lx\n", name, at, par, expected);
    }
    check_equal(wrong_fault, 0, "%s: what is not mapped faults, at the level where the walk ends", name);
    if (geometry.ipa_bits < paging_physical_bits())
        check_equal(fault_par(paging_at(paging, space, false)), expected_fault(FAULT_TRANSLATION, 0),
                    "%s: an address behind the last faults", name);
}

/* What the Arm ARM allows: PARange; more than 48 bits only with the 64K granule or LPA2. */
static bool allowed(unsigned granule_shift, unsigned ipa_bits, bool lpa2)
{
    return ipa_bits <= paging_physical_bits() && (ipa_bits <= 48 || granule_shift == 16 || lpa2);
}

/*
 * Where a walk may begin, by "VTCR_EL2", SL0 and SL2: the highest levels only on CPUs whose physical addresses could
 * need
 * them, or with DS.
 */
static bool allowed_start(const struct walk_geometry *geometry)
{
    unsigned pa_bits = paging_physical_bits();

    switch (geometry->granule_shift) {
    case 12:
        return geometry->level == -1 ? geometry->wide : geometry->level == 0 ? pa_bits >= 44 : geometry->level <= 2;
    case 14: return geometry->level == 0 ? geometry->wide : geometry->level == 1 ? pa_bits >= 42 : true;
    default: return geometry->level == 1 ? pa_bits >= 44 : geometry->level >= 2;
    }
}

static void check_geometry(struct frames *frames, unsigned granule_shift, unsigned ipa_bits, unsigned levels, bool lpa2)
{
    struct paging_options options = {granule_shift, ipa_bits, levels, 0, lpa2 ? HVPT_S2_USE_LPA2 : 0, 0};
    static struct paging paging; /* static: so that the hooks' ctx stays what it was */
    enum hvpt_status status;
    struct walk_geometry geometry;
    char name[96];

    status = paging_init(&paging, frames, &options);
    if (status != HVPT_OK) {
        if (levels == 0)
            check_equal(status, allowed(granule_shift, ipa_bits, lpa2) ? HVPT_OK : HVPT_E_ATTR, "%u-bit IPA%s",
                        ipa_bits, lpa2 ? ", LPA2" : "");
        return;
    }
    geometry = walk_geometry(hvpt_s2_vtcr(&paging.s2));
    print_to(name, sizeof(name), "%u-bit IPA%s, from level %d, %u table%s", ipa_bits, lpa2 ? ", LPA2" : "",
             geometry.level, geometry.tables, geometry.tables == 1 ? "" : "s");
    if (check_true(allowed(granule_shift, ipa_bits, lpa2) && allowed_start(&geometry), "%s: is allowed", name)) {
        check_equal(geometry.granule_shift, granule_shift, "%s: VTCR_EL2.TG0", name);
        check_equal(geometry.ipa_bits, ipa_bits, "%s: VTCR_EL2.T0SZ", name);
        check_true(geometry.tables <= 16, "%s: at most 16 tables at the root", name);
        check_pages(&paging, name);
    }
    paging_destroy(&paging);
    check_equal(frames->held, 0, "%s: every frame came back", name);
}

void suite_geometry(struct frames *frames)
{
    static const char *const groups[] = {"geometry, 4K granule", "geometry, 16K granule", "geometry, 64K granule"};

    random_state = UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < 3; i++) {
        unsigned granule_shift = 12 + 2 * i;

        check_group(groups[i]);
        if (!paging_has_granule(granule_shift)) {
            check_skip("the CPU has no such granule", "all of it");
            continue;
        }
        for (unsigned ipa_bits = 32; ipa_bits <= 52; ipa_bits++) {
            /* levels 0: as the library likes it; then every depth that it takes */
            for (unsigned levels = 0; levels <= 5; levels++) {
                check_geometry(frames, granule_shift, ipa_bits, levels, false);
                if (paging_has_lpa2(granule_shift))
                    check_geometry(frames, granule_shift, ipa_bits, levels, true);
            }
        }
    }
}
