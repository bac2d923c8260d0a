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

#define NPT_CPU(levels_, m)                                                                                            \
    .kind = CPU_NPT, .levels = (levels_), .maxphyaddr = (m), .page_2m = true, .page_1g = true, .accessed_dirty = true, \
    .no_execute = true

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
        .cpu = {NPT_CPU(4, 40), .pat = PAT_RESET},
    },
    {
        .name = "NPT, 4K pages only, linear map",
        .adapter = &npt_adapter,
        .config = {.max_page_size = HVPT_4K, .pat = PAT_FULL},
        .cpu = {NPT_CPU(4, 52), .pat = PAT_FULL},
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
        .name = "NPT, guarded tables, execution on 4K pages only",
        .adapter = &npt_adapter,
        .config = {.policy = HVPT_POLICY_GUARD_TABLES | HVPT_POLICY_EXEC_4K_ONLY, .maxphyaddr = 40},
        .cpu = {NPT_CPU(4, 40), .pat = PAT_RESET},
    },
};

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
    return UINT64_C(1) << (12 + 9 * setup->cpu.levels);
}

uint64_t setup_hpa_limit(const struct setup *setup)
{
    return UINT64_C(1) << setup->cpu.maxphyaddr;
}

uint64_t setup_max_page(const struct setup *setup)
{
    uint64_t cpu = setup->cpu.page_1g ? HVPT_1G : setup->cpu.page_2m ? HVPT_2M : HVPT_4K;
    uint64_t cap = setup->config.max_page_size == 0 ? HVPT_1G : setup->config.max_page_size;

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
    return (attr.flags & ~flags) == 0 && attr.software <= HVPT_EPT_SOFTWARE_MAX;
}

static bool npt_expresses(const struct setup *setup, struct hvpt_attr attr)
{
    bool in_pat = false;

    /* What is present can be read; with EFER.NXE clear everything can be executed. */
    if (!(attr.perm & HVPT_READ)
        || (!(attr.perm & HVPT_EXEC) && (!setup->cpu.no_execute || (attr.perm & HVPT_EXEC_USER))))
        return false;
    for (unsigned i = 0; i < 8; i++)
        in_pat = in_pat || ((setup->cpu.pat >> (8 * i)) & 7) == x86_memtype(attr.memtype);
    return in_pat && (attr.flags & ~(uint32_t)(HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED)) == 0
        && attr.software <= HVPT_NPT_SOFTWARE_MAX;
}

bool setup_expresses(const struct setup *setup, struct hvpt_attr attr)
{
    if ((attr.perm & ~HVPT_PERM_ALL) || (unsigned)attr.memtype > HVPT_MEM_WB)
        return false;
    return setup->adapter == &ept_adapter ? ept_expresses(setup, attr) : npt_expresses(setup, attr);
}
