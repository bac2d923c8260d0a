/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * NPT with guest mode execute trap, supervisor shadow stacks and the C-bit. No emulator at hand has any of them, so the
 * expectation is the manual's table (tests/reference/hvpt/npt_gmet.csv; APM vol. 2, "GMET Page Configuration") and its
 * words ("Supervisor Shadow Stacks"; "Secure Memory Encryption").
 */
#include "../hvpt/support/reference.h"
#include "../hvpt/support/rig.h"

#include <hvpt/guest/walk.h>
#include <hvpt/npt.h>

#include <criterion/criterion.h>
#include <string.h>

#define GPA     UINT64_C(0x7f8040201000)
#define HPA     UINT64_C(0x12340000000)
#define DATA    (HVPT_READ | HVPT_WRITE)
#define EXEC    HVPT_EXEC
#define USER    HVPT_EXEC_USER
#define BIT(n)  (UINT64_C(1) << (n))
#define C_BIT   47
#define PAT_ALL UINT64_C(0x0006010500070406)

static const struct setup *plain(uint64_t features, unsigned c_bit)
{
    static struct setup setup;

    setup = (struct setup) {
        .name = "NPT",
        .adapter = &npt_adapter,
        .config = {.maxphyaddr = 43, .pat = PAT_ALL, .features = features, .c_bit = c_bit},
        .cpu = {.kind = CPU_NPT,
                .levels = 4,
                .maxphyaddr = 43,
                .page_2m = true,
                .page_1g = true,
                .accessed_dirty = true,
                .no_execute = !(features & HVPT_NPT_NO_NX),
                .pat = PAT_ALL,
                .c_bit = c_bit,
                .guest_mode_execute_trap = (features & HVPT_NPT_USE_GMET) != 0},
        .two_exec = (features & HVPT_NPT_USE_GMET) != 0,
    };
    return &setup;
}

static struct cpu_translation look(struct rig *rig, uint64_t gpa)
{
    struct cpu_translation now;

    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, gpa, CPU_PROBE, &now);
    return now;
}

/* What the user and the supervisor may execute by the table's row for these bits. */
static uint32_t table_exec(const struct reference *table, bool nx, bool us)
{
    for (size_t row = 1; row < table->rows; row++)
        if ((table->cell[row][0][0] == '1') == nx && (table->cell[row][1][0] == '1') == us)
            return (table->cell[row][2][0] == '1' ? (uint32_t)USER : 0)
                 | (table->cell[row][3][0] == '1' ? (uint32_t)EXEC : 0);
    CHECK(false, "no row");
}

/*
 * What can be said at all, with each feature on and off: every permission, memory type, flag and page size. What is
 * accepted makes the entry that the tables ask for and is read back as it was; what is refused no row can say.
 */
Test(npt_modes, every_permission_memory_type_and_flag)
{
    static const uint64_t features[] = {0,
                                        HVPT_NPT_NO_NX,
                                        HVPT_NPT_USE_GMET,
                                        HVPT_NPT_USE_GMET | HVPT_NPT_NO_NX,
                                        HVPT_NPT_USE_SHADOW_STACK,
                                        HVPT_NPT_USE_SHADOW_STACK | HVPT_NPT_USE_GMET};
    struct reference table;
    unsigned accepted = 0, refused = 0;

    reference_load(&table, "hvpt/npt_gmet.csv");
    CHECK_EQ(table.rows, 5, "rows");
    for (unsigned i = 0; i < 12; i++) {
        const bool gmet = (features[i / 2] & HVPT_NPT_USE_GMET) != 0, nx = !(features[i / 2] & HVPT_NPT_NO_NX);
        const bool sss = (features[i / 2] & HVPT_NPT_USE_SHADOW_STACK) != 0, c_bit = i % 2 != 0;
        struct rig rig;

        rig_open(&rig, plain(features[i / 2], c_bit ? C_BIT : 0));
        check_context("features %x, C-bit %d", (unsigned)features[i / 2], c_bit);
        for (unsigned n = 0; n < 3 * 16 * 5 * 4; n++) {
            const unsigned level = n % 3;
            const uint64_t size = HVPT_4K << (9 * level), gpa = GPA & ~(size - 1);
            const uint32_t perm = n / 3 % 16, exec = perm & (EXEC | USER);
            const bool shadow = n / 240 & 1, encrypted = n / 480 & 1;
            struct hvpt_attr attr = attr_of(perm, (enum hvpt_memtype)(n / 48 % 5));
            struct hvpt_mapping mapping;
            bool can =
                (perm & HVPT_READ) && (!shadow || (sss && exec == 0)) && (!encrypted || c_bit) && (exec != 0 || nx);
            bool found = false;
            uint64_t entry;

            /* Some row of the table must give exactly this execution, or the one bit that there is without GMET. */
            for (unsigned bits = 0; gmet && bits < 4; bits++)
                found = found || table_exec(&table, bits & 1, bits & 2) == exec;
            can = can && (gmet ? found : exec != USER);
            attr.flags =
                (shadow ? (uint32_t)HVPT_NPT_SHADOW_STACK : 0) | (encrypted ? (uint32_t)HVPT_NPT_ENCRYPTED : 0);
            CHECK_STATUS(npt_adapter.map(&rig.space, gpa, HPA, size, attr, NULL), can ? HVPT_OK : HVPT_E_ATTR, "map");
            accepted += can;
            refused += !can;
            if (!can)
                continue;
            entry = look(&rig, gpa).entry;
            if (gmet)
                CHECK_EQ(table_exec(&table, entry >> 63, entry & BIT(2)), exec, "execution by the table");
            else
                CHECK_EQ(entry >> 63, exec == 0, "NX");
            CHECK_EQ((entry & BIT(2)) != 0, !shadow && !(gmet && (exec & EXEC)), "user bit");
            CHECK_EQ((entry & BIT(1)) != 0, (perm & HVPT_WRITE) != 0, "RW");
            CHECK_EQ((entry & BIT(C_BIT)) != 0, encrypted, "C-bit");
            CHECK_EQ(entry & (BIT(52) - 4096) & ~BIT(C_BIT) & ~(level > 0 ? BIT(12) : 0), HPA, "address");
            CHECK_STATUS(npt_adapter.translate(&rig.space, gpa + 0x123, &mapping), HVPT_OK, "translate");
            CHECK_EQ(mapping.hpa.value, HPA + 0x123, "address as translated");
            CHECK_EQ(mapping.attr.perm, gmet ? perm : perm & ~(uint32_t)USER, "permissions as translated");
            CHECK_EQ(mapping.attr.memtype, attr.memtype, "memory type as translated");
            CHECK_EQ(mapping.attr.flags, attr.flags, "flags as translated");
            CHECK_EQ(mapping.level, level, "level");
            CHECK_STATUS(npt_adapter.unmap(&rig.space, gpa, size, NULL), HVPT_OK, "unmap");
        }
        rig_close(&rig);
    }
    CHECK(accepted > 1000 && refused > 1000, "%u accepted, %u refused", accepted, refused);
    reference_free(&table);
}

/* Every entry on the way has U/S and R/W set, as GMET and SSS want it, and the C-bit; so has the root. */
Test(npt_modes, tables_and_root_have_the_c_bit)
{
    struct rig rig;
    struct cpu_translation now;

    rig_open(&rig, plain(HVPT_NPT_USE_GMET | HVPT_NPT_USE_SHADOW_STACK, C_BIT));
    CHECK_STATUS(npt_adapter.map(&rig.space, GPA, HPA, HVPT_4K, attr_of(DATA, HVPT_MEM_WB), NULL), HVPT_OK, "map");
    CHECK_EQ(npt_adapter.root(&rig.space), look(&rig, GPA).table[3]->pa | BIT(C_BIT), "nCR3");
    now = look(&rig, GPA);
    for (unsigned level = 1; level < 4; level++) {
        uint64_t entry = now.table[level]->virt[now.index[level]];

        CHECK_EQ(entry & 7, 7, "P, RW, US");
        CHECK_EQ(entry & (BIT(52) - 4096), now.table[level - 1]->pa | BIT(C_BIT), "address and C-bit");
    }
    CHECK(!(now.entry & BIT(C_BIT)), "the leaf did not ask for it");
    rig_close(&rig);
}

/* Tables that others made, in the clear or encrypted, are read alike. */
Test(npt_modes, tables_are_adopted_with_and_without_the_c_bit)
{
    struct hvpt_npt_config config = {.maxphyaddr = 43, .pat = PAT_ALL, .c_bit = C_BIT};
    struct hvpt_mapping mapping;
    struct cpu_translation now;
    struct hvpt_space other;
    struct rig rig;

    rig_open(&rig, plain(0, C_BIT));
    CHECK_STATUS(npt_adapter.map(&rig.space, GPA, HPA, HVPT_4K, attr_rwx(), NULL), HVPT_OK, "map");
    now = look(&rig, GPA);
    memory_poke(now.table[2], now.index[2], now.table[2]->virt[now.index[2]] & ~BIT(C_BIT));
    for (unsigned bare = 0; bare < 2; bare++) {
        uint64_t root = npt_adapter.root(&rig.space) & (bare ? ~BIT(C_BIT) : UINT64_MAX);

        CHECK_STATUS(hvpt_npt_adopt(&other, &rig.memory.hooks, &config, root, true), HVPT_OK, "adopt");
        CHECK_STATUS(hvpt_space_translate(&other, hvpt_make_gpa(GPA), &mapping), HVPT_OK, "translate");
        CHECK_EQ(mapping.hpa.value, HPA, "address");
        CHECK_EQ(hvpt_space_root(&other), root, "the register stays as it was");
    }
    memory_poke(now.table[2], now.index[2], now.table[2]->virt[now.index[2]] | BIT(C_BIT));
    config.c_bit = 0; /* to whom it is an address bit beyond the width */
    CHECK_STATUS(hvpt_npt_adopt(&other, &rig.memory.hooks, &config, npt_adapter.root(&rig.space), true), HVPT_E_RANGE,
                 "adopt, not told of the C-bit");
    rig_close(&rig);
}

Test(npt_modes, an_address_with_the_c_bit_in_it_is_no_address)
{
    struct rig rig;

    rig_open(&rig, plain(0, C_BIT));
    CHECK_STATUS(npt_adapter.map(&rig.space, 0, HPA | BIT(C_BIT), HVPT_4K, attr_rwx(), NULL), HVPT_E_RANGE, "map");
    rig_close(&rig);
}

Test(npt_modes, configs_that_no_host_can_have_are_refused)
{
    static const struct {
        struct hvpt_npt_config config;
        enum hvpt_status wanted;
    } cases[] = {
        {{.c_bit = 47}, HVPT_OK}, /* MAXPHYADDR is then what is below */
        {{.c_bit = 51, .maxphyaddr = 51}, HVPT_OK},
        {{.c_bit = 47, .maxphyaddr = 48}, HVPT_E_CONFIG},
        {{.c_bit = 52}, HVPT_E_CONFIG},
        {{.c_bit = 31}, HVPT_E_CONFIG},
        {{.c_bit = 32}, HVPT_OK},
        {{.features = HVPT_NPT_USE_SHADOW_STACK | HVPT_NPT_NO_NX}, HVPT_E_CONFIG},
        {{.features = HVPT_NPT_USE_GMET | HVPT_NPT_NO_NX}, HVPT_OK},
        {{.features = HVPT_NPT_FEATURES_ALL + 1}, HVPT_E_CONFIG},
    };
    struct memory_options options = {.slots_log2 = 4, .phys_base = BIT(24)};
    struct memory memory;
    struct hvpt_space npt;

    memory_open(&memory, &options);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_context("case %zu", i);
        CHECK_STATUS(hvpt_npt_init(&npt, &memory.hooks, &cases[i].config), cases[i].wanted, "init");
        if (cases[i].wanted != HVPT_OK)
            continue;
        if (i == 0)
            CHECK_STATUS(hvpt_space_map(&npt, hvpt_make_gpa(0), hvpt_make_hpa(BIT(47) - HVPT_4K), HVPT_4K, attr_rwx(),
                                      NULL),
                         HVPT_OK, "the topmost page below the C-bit");
        hvpt_space_destroy(&npt);
    }
    memory_close(&memory);
}

/* A right given or taken moves the page from row to row of the table; nothing else changes. */
Test(npt_modes, protect_moves_between_the_rows)
{
    static const struct {
        uint32_t mask, perm, after;
    } steps[] = {
        {EXEC | USER, USER, DATA | USER},
        {EXEC, EXEC, DATA | USER | EXEC},
        {HVPT_WRITE, 0, HVPT_READ | USER | EXEC},
        {EXEC, 0, HVPT_READ | USER},
        {USER, 0, HVPT_READ},
        {EXEC | USER, EXEC | USER, HVPT_READ | USER | EXEC},
        {EXEC | USER | HVPT_WRITE, HVPT_WRITE, DATA},
    };
    struct hvpt_attr attr = attr_of(DATA, HVPT_MEM_WT);
    struct hvpt_mapping mapping;
    struct rig rig;

    rig_open(&rig, plain(HVPT_NPT_USE_GMET, C_BIT));
    attr.flags = HVPT_NPT_ENCRYPTED;
    CHECK_STATUS(rig_map(&rig, HVPT_1G, HPA, HVPT_1G, attr), HVPT_OK, "map");
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        attr.perm = steps[i].perm;
        CHECK_STATUS(rig_protect(&rig, HVPT_1G, HVPT_2M, attr, steps[i].mask), HVPT_OK, "protect");
        CHECK_STATUS(npt_adapter.translate(&rig.space, HVPT_1G, &mapping), HVPT_OK, "translate");
        CHECK_EQ(mapping.attr.perm, steps[i].after, "permissions");
        CHECK_EQ(mapping.attr.flags, HVPT_NPT_ENCRYPTED, "flags");
        rig_check(&rig);
    }
    attr.perm = EXEC; /* the supervisor alone: no row says that */
    CHECK_STATUS(rig_protect(&rig, HVPT_1G, HVPT_2M, attr, EXEC | USER), HVPT_E_ATTR, "protect");
    CHECK_STATUS(rig_collapse(&rig, HVPT_1G, HVPT_1G), HVPT_OK, "collapse");
    rig_check(&rig);
    rig_close(&rig);
}

/* With GMET a table without the user bit would open all below it to the supervisor: not one of this library's. */
Test(npt_modes, a_supervisor_table_under_gmet_is_not_well_formed)
{
    for (unsigned gmet = 0; gmet < 2; gmet++) {
        struct hvpt_mapping mapping;
        struct cpu_translation now;
        struct rig rig;

        rig_open(&rig, plain(gmet ? HVPT_NPT_USE_GMET : 0, 0));
        CHECK_STATUS(npt_adapter.map(&rig.space, GPA, HPA, HVPT_4K, attr_of(DATA | USER | EXEC, HVPT_MEM_WB), NULL),
                     HVPT_OK, "map");
        now = look(&rig, GPA);
        memory_poke(now.table[1], now.index[1], now.table[1]->virt[now.index[1]] & ~BIT(2));
        if (gmet) {
            CHECK_STATUS(npt_adapter.translate(&rig.space, GPA, &mapping), HVPT_E_CORRUPT, "translate");
        } else {
            CHECK_STATUS(npt_adapter.translate(&rig.space, GPA, &mapping), HVPT_OK, "translate");
            CHECK_EQ(mapping.attr.perm, 0, "no guest access at all");
        }
        memory_poke(now.table[1], now.index[1], now.table[1]->virt[now.index[1]] | BIT(2));
        rig_close(&rig);
    }
}

/* The guest's fetches by CPL, as guest_walk plays the processor: what the table denies is a nested page fault. */
Test(npt_modes, guest_walk_follows_gmet)
{
    static const uint32_t perms[] = {DATA, DATA | USER, DATA | USER | EXEC};
    struct rig rig;

    rig_open(&rig, plain(HVPT_NPT_USE_GMET, 0));
    for (unsigned i = 0; i < 3; i++) {
        const struct hvpt_x86_guest guest = {.memory = &rig.memory.hooks}; /* paging off: the address is its own */

        CHECK_STATUS(npt_adapter.map(&rig.space, HVPT_1G + i * HVPT_4K, HPA, HVPT_4K, attr_of(perms[i], HVPT_MEM_WB),
                                     NULL),
                     HVPT_OK, "map");
        for (unsigned user = 0; user < 2; user++) {
            const uint32_t access = HVPT_EXEC | (user ? (uint32_t)HVPT_X86_USER : 0);
            const bool allowed = (perms[i] & (user ? USER : EXEC)) != 0;
            struct hvpt_guest_walk walk;
            enum hvpt_guest_end end =
                hvpt_guest_walk_x86(&rig.space, &guest, HVPT_1G + i * HVPT_4K, access, &walk);

            CHECK_EQ(end, allowed ? HVPT_GUEST_OK : HVPT_GUEST_NESTED_PAGE_FAULT, "end");
            if (allowed)
                continue;
            /* P, ID, and US as the CPL says */
            CHECK_EQ(walk.exit_information, BIT(32) | BIT(4) | BIT(0) | (user ? BIT(2) : 0), "EXITINFO1");
        }
    }
    rig_close(&rig);
}
