/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The table of configurations that every generic case runs over, and what each format and processor can say. */
#include "adapter.h"

#include <string.h>

#define EPT_CPU(levels_, m) .kind = CPU_EPT, .levels = (levels_), .maxphyaddr = (m), .page_2m = true, .page_1g = true

/* IA32_VMX_EPT_VPID_CAP of processors that lack something (SDM vol. 3, "VPID and EPT Capabilities"). */
#define CAP_EXECUTE_ONLY (UINT64_C(1) << 0)
#define CAP_BASE         ((UINT64_C(1) << 6) | (UINT64_C(1) << 14))
#define CAP_2M           (UINT64_C(1) << 16)
#define CAP_1G           (UINT64_C(1) << 17)
#define CAP_AD           (UINT64_C(1) << 21)

/* IA32_PAT after reset, and one that has every type, two of them at indices that need the PAT bit of the entry. */
#define PAT_RESET UINT64_C(0x0007040600070406)
#define PAT_FULL  UINT64_C(0x0006010500070406)

/* A config with smaller pages than 1 GByte speaks of a CPU that has no such pages. */
#define NPT_CPU_WITHOUT_1G(levels_, m) \
    .kind = CPU_NPT, .levels = (levels_), .maxphyaddr = (m), .page_2m = true, .accessed_dirty = true, .no_execute = true
#define NPT_CPU(levels_, m) NPT_CPU_WITHOUT_1G(levels_, m), .page_1g = true

/* Sv39x4 .. Sv57x4: two bits more than the levels make. */
#define GSTAGE_CPU(levels_, m)                                                                                   \
    .kind = CPU_GSTAGE, .levels = (levels_), .gpa_bits = 14 + 9 * (levels_), .maxphyaddr = (m), .page_2m = true, \
    .page_1g = true

#define S2_CPU(levels_, ipa_bits, m) \
    .kind = CPU_S2, .levels = (levels_), .gpa_bits = (ipa_bits), .maxphyaddr = (m), .page_2m = true, .page_1g = true

const struct setup setups[] = {
    {
        .name = "EPT, all defaults",
        .adapter = &ept_adapter,
        .cpu = {EPT_CPU(4, 52)},
    },
    {
        .name = "EPT, linear map",
        .adapter = &ept_adapter,
        .cpu = {EPT_CPU(4, 52)},
        .linear = true,
    },
    {
        .name = "EPT, 5 levels, A/D, 46-bit addresses",
        .adapter = &ept_adapter,
        .config = {.levels = 5, .maxphyaddr = 46, .features = HVPT_EPT_USE_ACCESSED_DIRTY},
        .cpu = {EPT_CPU(5, 46), .accessed_dirty = true},
    },
    {
        .name = "EPT, 4K pages only, A/D, linear map",
        .adapter = &ept_adapter,
        .config = {.max_page_size = HVPT_4K, .features = HVPT_EPT_USE_ACCESSED_DIRTY},
        .cpu = {EPT_CPU(4, 52), .accessed_dirty = true},
        .linear = true,
    },
    {
        .name = "EPT, pages up to 2M, 36-bit addresses",
        .adapter = &ept_adapter,
        .config = {.max_page_size = HVPT_2M, .maxphyaddr = 36},
        .cpu = {EPT_CPU(4, 36)},
    },
    {
        .name = "EPT, a CPU without 1G pages, with execute-only",
        .adapter = &ept_adapter,
        .config = {.ept_vpid_cap = CAP_BASE | CAP_2M | CAP_EXECUTE_ONLY, .maxphyaddr = 39},
        .cpu = {.kind = CPU_EPT, .levels = 4, .maxphyaddr = 39, .page_2m = true, .execute_only = true},
    },
    {
        .name = "EPT, a CPU with 4K pages alone",
        .adapter = &ept_adapter,
        .config = {.ept_vpid_cap = CAP_BASE, .maxphyaddr = 40},
        .cpu = {.kind = CPU_EPT, .levels = 4, .maxphyaddr = 40},
    },
    {
        .name = "EPT, mode-based execute, execute-only, A/D",
        .adapter = &ept_adapter,
        .config = {.ept_vpid_cap = CAP_BASE | CAP_2M | CAP_1G | CAP_AD | CAP_EXECUTE_ONLY,
                   .features = HVPT_EPT_USE_MODE_BASED_EXECUTE | HVPT_EPT_USE_ACCESSED_DIRTY},
        .cpu = {EPT_CPU(4, 52), .execute_only = true, .mode_based_execute = true, .accessed_dirty = true},
        .two_exec = true,
    },
    {
        .name = "EPT, #VE and execution on 4K pages only",
        .adapter = &ept_adapter,
        .config = {.features = HVPT_EPT_USE_VIOLATION_VE, .policy = HVPT_POLICY_EXEC_4K_ONLY},
        .cpu = {EPT_CPU(4, 52)},
    },
    {
        .name = "EPT, guarded tables",
        .adapter = &ept_adapter,
        .config = {.policy = HVPT_POLICY_GUARD_TABLES, .maxphyaddr = 40},
        .cpu = {EPT_CPU(4, 40)},
    },
    {
        .name = "NPT, all defaults",
        .adapter = &npt_adapter,
        .cpu = {NPT_CPU(4, 52), .pat = PAT_RESET},
    },
    {
        .name = "NPT, 5 levels, every memory type, linear map",
        .adapter = &npt_adapter,
        .config = {.levels = 5, .pat = PAT_FULL},
        .cpu = {NPT_CPU(5, 52), .pat = PAT_FULL},
        .linear = true,
    },
    {
        .name = "NPT, every memory type, 48-bit addresses",
        .adapter = &npt_adapter,
        .config = {.pat = PAT_FULL, .maxphyaddr = 48},
        .cpu = {NPT_CPU(4, 48), .pat = PAT_FULL},
    },
    {
        .name = "NPT, pages up to 2M, 40-bit addresses",
        .adapter = &npt_adapter,
        .config = {.max_page_size = HVPT_2M, .maxphyaddr = 40},
        .cpu = {NPT_CPU_WITHOUT_1G(4, 40), .pat = PAT_RESET},
    },
    {
        .name = "NPT, 4K pages only, linear map",
        .adapter = &npt_adapter,
        .config = {.max_page_size = HVPT_4K, .pat = PAT_FULL},
        .cpu = {NPT_CPU_WITHOUT_1G(4, 52), .pat = PAT_FULL},
        .linear = true,
    },
    {
        .name = "NPT, no NX, 36-bit addresses",
        .adapter = &npt_adapter,
        .config = {.features = HVPT_NPT_NO_NX, .maxphyaddr = 36},
        .cpu = {.kind = CPU_NPT,
                .levels = 4,
                .maxphyaddr = 36,
                .page_2m = true,
                .page_1g = true,
                .accessed_dirty = true,
                .pat = PAT_RESET},
    },
    {
        .name = "NPT, encrypted tables, 43-bit addresses, C-bit 47",
        .adapter = &npt_adapter,
        .config = {.maxphyaddr = 43, .c_bit = 47},
        .cpu = {NPT_CPU(4, 43), .pat = PAT_RESET, .c_bit = 47},
    },
    {
        .name = "NPT, guarded tables, execution on 4K pages only",
        .adapter = &npt_adapter,
        .config = {.policy = HVPT_POLICY_GUARD_TABLES | HVPT_POLICY_EXEC_4K_ONLY, .maxphyaddr = 40},
        .cpu = {NPT_CPU(4, 40), .pat = PAT_RESET},
    },
    {
        .name = "G-stage, Sv39x4, no extensions",
        .adapter = &gstage_adapter,
        .config = {.mode = 8},
        .cpu = {GSTAGE_CPU(3, 56)},
    },
    {
        .name = "G-stage, Sv48x4, Svpbmt, Svnapot, Svadu",
        .adapter = &gstage_adapter,
        .config = {.max_page_size = HVPT_1G, .features = HVPT_GSTAGE_USE_SVPBMT | HVPT_GSTAGE_USE_SVNAPOT | HVPT_GSTAGE_USE_SVADU},
        .cpu = {GSTAGE_CPU(4, 56), .svpbmt = true, .svnapot = true, .accessed_dirty = true},
    },
    {
        .name = "G-stage, Sv57x4, Svnapot, 46-bit addresses, linear map",
        .adapter = &gstage_adapter,
        .config = {.mode = 10, .max_page_size = HVPT_1G, .maxphyaddr = 46, .features = HVPT_GSTAGE_USE_SVNAPOT},
        .cpu = {GSTAGE_CPU(5, 46), .svnapot = true},
        .linear = true,
    },
    {
        .name = "G-stage, Sv39x4, Svadu, 4K pages only, guarded tables",
        .adapter = &gstage_adapter,
        .config = {.mode = 8,
                   .max_page_size = HVPT_4K,
                   .maxphyaddr = 40,
                   .features = HVPT_GSTAGE_USE_SVADU,
                   .policy = HVPT_POLICY_GUARD_TABLES},
        .cpu = {GSTAGE_CPU(3, 40), .accessed_dirty = true},
    },
    {
        .name = "stage 2, 4K, all defaults",
        .adapter = &s2_adapter,
        .cpu = {S2_CPU(3, 40, 48)},
    },
    {
        .name = "stage 2, 4K, 48 bits, XNX, hardware access flag and dirty state",
        .adapter = &s2_adapter,
        .config = {.ipa_bits = 48, .features = HVPT_S2_USE_XNX | HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY},
        .cpu = {S2_CPU(4, 48, 48), .execute_never_two = true, .hardware_access_flag = true,
                .hardware_dirty_state = true},
        .two_exec = true,
    },
    {
        .name = "stage 2, 4K, 16 root tables, FWB, hardware access flag, linear map",
        .adapter = &s2_adapter,
        .config = {.ipa_bits = 43, .features = HVPT_S2_USE_FWB | HVPT_S2_USE_HARDWARE_AF},
        .cpu = {S2_CPU(3, 43, 48), .forced_write_back = true, .hardware_access_flag = true},
        .linear = true,
    },
    {
        .name = "stage 2, 4K, contiguous runs, 40-bit addresses, execution on 4K pages only",
        .adapter = &s2_adapter,
        .config = {.mmfr0 = 2,
                   .mmfr1 = 2,
                   .features = HVPT_S2_USE_CONTIGUOUS | HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY,
                   .policy = HVPT_POLICY_EXEC_4K_ONLY},
        .cpu = {S2_CPU(3, 40, 40), .contiguous = true, .hardware_access_flag = true, .hardware_dirty_state = true},
    },
    {
        .name = "stage 2, 4K, contiguous runs, no break before make",
        .adapter = &s2_adapter,
        .config = {.ipa_bits = 42,
                   .mmfr0 = 5,
                   .mmfr1 = 2,
                   .mmfr2 = UINT64_C(2) << 52,
                   .features = HVPT_S2_USE_CONTIGUOUS | HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY
                             | HVPT_S2_USE_BBM2},
        .cpu = {S2_CPU(3, 42, 48), .contiguous = true, .no_break = true, .hardware_access_flag = true,
                .hardware_dirty_state = true},
    },
    {
        .name = "stage 2, 4K, indirect permissions, access flags of tables, dirty pages logged",
        .adapter = &s2_adapter,
        .config = {.ipa_bits = 42,
                   .mmfr0 = 5,
                   .mmfr1 = 4 | 1 << 28,
                   .mmfr3 = 1 << 12,
                   .features = HVPT_S2_USE_XNX | HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY
                             | HVPT_S2_USE_INDIRECT | HVPT_S2_USE_TABLE_AF | HVPT_S2_USE_HDBSS},
        .cpu = {S2_CPU(3, 42, 48), .execute_never_two = true, .indirect = true, .s2pir = UINT64_C(0xe4a0c480d490f4b0),
                .hardware_access_flag = true, .hardware_dirty_state = true},
        .two_exec = true,
    },
    {
        .name = "stage 2, 4K, LPA2, 52 bits, 5 levels, guarded tables",
        .adapter = &s2_adapter,
        .config = {.ipa_bits = 52,
                   .levels = 5,
                   .max_page_size = HVPT_1G,
                   .features = HVPT_S2_USE_LPA2,
                   .policy = HVPT_POLICY_GUARD_TABLES},
        .cpu = {S2_CPU(5, 52, 52), .wide_low = true},
    },
    {
        .name = "EPT through the handle",
        .adapter = &ept_inline_adapter,
        .config = {.max_page_size = HVPT_2M, .maxphyaddr = 40},
        .cpu = {EPT_CPU(4, 40)},
    },
    {
        .name = "NPT through the handle",
        .adapter = &npt_inline_adapter,
        .config = {.max_page_size = HVPT_2M, .maxphyaddr = 40},
        .cpu = {NPT_CPU_WITHOUT_1G(4, 40), .pat = PAT_RESET},
    },
    {
        .name = "stage 2 through the handle",
        .adapter = &s2_inline_adapter,
        .config = {.max_page_size = HVPT_2M, .ipa_bits = 42},
        .cpu = {S2_CPU(3, 42, 48)},
    },
    {
        .name = "G-stage through the handle",
        .adapter = &gstage_inline_adapter,
        .config = {.mode = 9, .max_page_size = HVPT_2M, .maxphyaddr = 40},
        .cpu = {GSTAGE_CPU(4, 40)},
        .linear = true,
    },
};

/* Arm's larger granules, for the cases that know no page sizes of their own. */
const struct setup granules[] = {
    {
        .name = "stage 2, 16K, 16 root tables, hardware access flag",
        .adapter = &s2_adapter,
        .config = {.granule_shift = 14, .features = HVPT_S2_USE_HARDWARE_AF, .policy = HVPT_POLICY_GUARD_TABLES},
        .cpu = {.kind = CPU_S2,
                .levels = 2,
                .gpa_bits = 40,
                .maxphyaddr = 48,
                .page_shift = 14,
                .page_2m = true,
                .hardware_access_flag = true},
    },
    {
        .name = "stage 2, 16K, LPA2, contiguous runs, hardware dirty state",
        .adapter = &s2_adapter,
        .config = {.granule_shift = 14,
                   .ipa_bits = 48,
                   .max_page_size = HVPT_32M,
                   .features = HVPT_S2_USE_LPA2 | HVPT_S2_USE_CONTIGUOUS | HVPT_S2_USE_HARDWARE_AF
                             | HVPT_S2_USE_HARDWARE_DIRTY},
        .cpu = {.kind = CPU_S2,
                .levels = 3,
                .gpa_bits = 48,
                .maxphyaddr = 52,
                .page_shift = 14,
                .page_2m = true,
                .wide_low = true,
                .contiguous = true,
                .hardware_access_flag = true,
                .hardware_dirty_state = true},
    },
    {
        .name = "stage 2, 64K, 48 bits of 52, XNX",
        .adapter = &s2_adapter,
        .config = {.granule_shift = 16, .ipa_bits = 48, .max_page_size = HVPT_512M, .features = HVPT_S2_USE_XNX},
        .cpu = {.kind = CPU_S2,
                .levels = 3,
                .gpa_bits = 48,
                .maxphyaddr = 52,
                .page_shift = 16,
                .page_2m = true,
                .wide_high = true,
                .execute_never_two = true},
        .two_exec = true,
    },
    {
        .name = "stage 2, 64K, contiguous runs",
        .adapter = &s2_adapter,
        .config = {
                   .granule_shift = 16,
                   .ipa_bits = 44,
                   .mmfr0 = 5,
                   .features = HVPT_S2_USE_CONTIGUOUS,
                   .policy = HVPT_POLICY_GUARD_TABLES},
        .cpu = {.kind = CPU_S2,
                .levels = 2,
                .gpa_bits = 44,
                .maxphyaddr = 48,
                .page_shift = 16,
                .page_2m = true,
                .contiguous = true},
    },
};

/* Where HVPT_EXEC alone cannot be said, for cases that do not take it for granted. */
const struct setup exec_for_both[] = {
    {
        .name = "NPT, guest mode execute trap",
        .adapter = &npt_adapter,
        .config = {.features = HVPT_NPT_USE_GMET, .pat = PAT_FULL},
        .cpu = {NPT_CPU(4, 52), .pat = PAT_FULL, .guest_mode_execute_trap = true},
        .two_exec = true,
    },
    {
        .name = "NPT, guest mode execute trap, 5 levels, encrypted tables, C-bit 51, linear map",
        .adapter = &npt_adapter,
        .config = {.levels = 5, .maxphyaddr = 48, .c_bit = 51, .features = HVPT_NPT_USE_GMET},
        .cpu = {NPT_CPU(5, 48), .pat = PAT_RESET, .guest_mode_execute_trap = true, .c_bit = 51},
        .linear = true,
        .two_exec = true,
    },
};

const size_t exec_for_both_count = sizeof(exec_for_both) / sizeof(exec_for_both[0]);

const size_t granule_count = sizeof(granules) / sizeof(granules[0]);

const size_t setup_count = sizeof(setups) / sizeof(setups[0]);

const struct setup *setup_named(const char *name)
{
    for (size_t i = 0; i < setup_count; i++)
        if (strcmp(setups[i].name, name) == 0)
            return &setups[i];
    CHECK(false, "no setup \"%s\"", name);
}

unsigned x86_memtype(enum hvpt_memtype type)
{
    static const unsigned codes[] = {
        [HVPT_MEM_UC] = 0, [HVPT_MEM_WC] = 1, [HVPT_MEM_WT] = 4, [HVPT_MEM_WP] = 5, [HVPT_MEM_WB] = 6,
    };

    return codes[type];
}

uint64_t setup_gpa_limit(const struct setup *setup)
{
    return UINT64_C(1) << cpu_gpa_bits(&setup->cpu);
}

uint64_t setup_hpa_limit(const struct setup *setup)
{
    return UINT64_C(1) << setup->cpu.maxphyaddr;
}

uint64_t setup_max_page(const struct setup *setup)
{
    uint64_t cpu = UINT64_C(1) << cpu_shift(&setup->cpu, setup->cpu.page_1g ? 2 : setup->cpu.page_2m ? 1 : 0);
    uint64_t cap = setup->config.max_page_size == 0 ? cpu : setup->config.max_page_size;

    return cap < cpu ? cap : cpu;
}

static bool ept_expresses(const struct setup *setup, struct hvpt_attr attr)
{
    uint32_t flags = HVPT_LOGGED | HVPT_EPT_IGNORE_PAT;

    /* SDM vol. 3, "EPT Misconfigurations": EPTM.01 to EPTM.03; a leaf without rights is no leaf. */
    if (attr.perm == 0 || ((attr.perm & HVPT_WRITE) && !(attr.perm & HVPT_READ)))
        return false;
    if (!(attr.perm & HVPT_READ) && !setup->cpu.execute_only)
        return false;
    if (!setup->two_exec && (attr.perm & HVPT_EXEC_USER) && !(attr.perm & HVPT_EXEC))
        return false;
    if (setup->cpu.accessed_dirty)
        flags |= HVPT_ACCESSED | HVPT_DIRTY;
    if (setup->config.features & HVPT_EPT_USE_VIOLATION_VE)
        flags |= HVPT_EPT_SUPPRESS_VE;
    return (attr.flags & ~flags) == 0 && attr.software <= setup_software_max(setup);
}

static bool npt_expresses(const struct setup *setup, struct hvpt_attr attr)
{
    const bool gmet = setup->cpu.guest_mode_execute_trap;
    const bool exec = (attr.perm & HVPT_EXEC) != 0, user = (attr.perm & HVPT_EXEC_USER) != 0;
    const uint32_t flags =
        HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED | (setup->cpu.c_bit != 0 ? (uint32_t)HVPT_NPT_ENCRYPTED : 0);
    bool in_pat = false;

    /* What is present can be read; with EFER.NXE clear everything can be executed. */
    if (!(attr.perm & HVPT_READ) || (!exec && !user && !setup->cpu.no_execute))
        return false;
    /* One bit for both; with GMET what the supervisor may execute the user may (APM vol. 2, "GMET Page Configuration") */
    if (gmet ? exec && !user : user && !exec)
        return false;
    for (unsigned i = 0; i < 8; i++)
        in_pat = in_pat || ((setup->cpu.pat >> (8 * i)) & 7) == x86_memtype(attr.memtype);
    return in_pat && (attr.flags & ~flags) == 0 && attr.software <= setup_software_max(setup);
}

/* W without R is reserved; Svpbmt has NC and IO; there are two bits for software, and the library keeps one. */
static bool gstage_expresses(const struct setup *setup, struct hvpt_attr attr)
{
    const uint32_t flags = HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED;

    if (attr.perm == 0 || ((attr.perm & HVPT_WRITE) && !(attr.perm & HVPT_READ)))
        return false;
    if ((attr.perm & HVPT_EXEC_USER) && !(attr.perm & HVPT_EXEC))
        return false;
    if (attr.memtype != HVPT_MEM_WB
        && !(setup->cpu.svpbmt && (attr.memtype == HVPT_MEM_UC || attr.memtype == HVPT_MEM_WC)))
        return false;
    return (attr.flags & ~flags) == 0 && attr.software <= setup_software_max(setup);
}

/* Any combination of S2AP and XN; no write-protect type; FWB has no write-through, DS no shareability of a page's own. */
static bool s2_expresses(const struct setup *setup, struct hvpt_attr attr)
{
    const uint32_t shared = HVPT_S2_OUTER_SHAREABLE | HVPT_S2_NON_SHAREABLE;
    uint32_t flags = HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED | (setup->cpu.wide_low ? 0 : shared);

    if (attr.perm == 0 || attr.memtype == HVPT_MEM_WP || (attr.memtype == HVPT_MEM_WT && setup->cpu.forced_write_back))
        return false;
    if ((attr.perm & HVPT_EXEC_USER) && !(attr.perm & HVPT_EXEC) && !setup->cpu.execute_never_two)
        return false;
    if (setup->cpu.indirect && !(attr.perm & HVPT_READ) && (attr.perm & (HVPT_EXEC | HVPT_EXEC_USER)))
        return false;
    return (attr.flags & ~flags) == 0 && (attr.flags & shared) != shared && attr.software <= setup_software_max(setup);
}

bool setup_expresses(const struct setup *setup, struct hvpt_attr attr)
{
    if ((attr.perm & ~HVPT_PERM_ALL) || (unsigned)attr.memtype > HVPT_MEM_UC)
        return false;
    switch (setup->cpu.kind) {
    case CPU_EPT: return ept_expresses(setup, attr);
    case CPU_NPT: return npt_expresses(setup, attr);
    case CPU_GSTAGE: return gstage_expresses(setup, attr);
    case CPU_S2: return s2_expresses(setup, attr);
    }
    return false;
}

/* What attr.software may hold: four of the bits that x86 ignores, two of Arm's, and RSW less the one that is kept. */
uint32_t setup_software_max(const struct setup *setup)
{
    switch (setup->cpu.kind) {
    case CPU_EPT: return 15;
    case CPU_NPT: return 15;
    case CPU_GSTAGE: return 1;
    case CPU_S2: return 3;
    }
    return 0;
}

enum hvpt_flush_kind setup_flush_kind(const struct setup *setup)
{
    switch (setup->cpu.kind) {
    case CPU_EPT: return HVPT_FLUSH_INVEPT;
    case CPU_NPT: return HVPT_FLUSH_ASID;
    case CPU_GSTAGE: return HVPT_FLUSH_HFENCE;
    case CPU_S2: return HVPT_FLUSH_TLBI;
    }
    return HVPT_FLUSH_NONE;
}

unsigned setup_root_order(const struct setup *setup)
{
    unsigned bits = 3 + cpu_gpa_bits(&setup->cpu) - cpu_shift(&setup->cpu, setup->cpu.levels - 1);
    unsigned table = cpu_shift(&setup->cpu, 0);

    return (bits > table ? bits : table) - 12;
}

bool setup_joins(const struct setup *setup)
{
    return setup->cpu.svnapot || setup->cpu.contiguous;
}

bool setup_keeps_accessed(const struct setup *setup)
{
    return setup->cpu.kind != CPU_EPT || setup->cpu.accessed_dirty;
}

bool setup_keeps_dirty(const struct setup *setup)
{
    return setup->cpu.kind == CPU_S2 ? setup->cpu.hardware_dirty_state
                                     : setup->cpu.kind != CPU_EPT || setup->cpu.accessed_dirty;
}

bool setup_software_accessed(const struct setup *setup)
{
    return setup_keeps_accessed(setup) && !cpu_marks_accessed(&setup->cpu);
}

bool setup_software_dirty(const struct setup *setup)
{
    return setup_keeps_dirty(setup) && !cpu_marks_dirty(&setup->cpu);
}

uint64_t setup_root_register(const struct setup *setup, uint64_t frame)
{
    switch (setup->cpu.kind) {
    case CPU_EPT: /* write-back, walk length, A/D, supervisor shadow stack */
        return frame | UINT64_C(6) | (uint64_t)(setup->cpu.levels - 1) << 3
             | (setup->config.features & HVPT_EPT_USE_ACCESSED_DIRTY ? UINT64_C(1) << 6 : 0)
             | (setup->config.features & HVPT_EPT_USE_SHADOW_STACK ? UINT64_C(1) << 7 : 0);
    case CPU_NPT: return frame | (setup->cpu.c_bit != 0 ? UINT64_C(1) << setup->cpu.c_bit : 0);
    case CPU_GSTAGE: return (uint64_t)(setup->cpu.levels + 5) << 60 | frame / 4096;
    case CPU_S2: return (frame & ((UINT64_C(1) << 48) - 1)) | (frame >> 48) << 2;
    }
    return 0;
}
