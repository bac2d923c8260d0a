/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Stage 2 tables on this machine: ID registers, hooks, and the registers that turn them on. */
#include "paging.h"

#include "cpu.h"
#include "machine.h"

#define HCR_VM  (UINT64_C(1) << 0)
#define HCR_DC  (UINT64_C(1) << 12)
#define HCR_RW  (UINT64_C(1) << 31)
#define HCR_FWB (UINT64_C(1) << 46)

static const struct paging *loaded;
static uint64_t loaded_hcr;
static unsigned last_vmid;

/* Arm ARM, "ID_AA64MMFR0_EL1": PARange. */
unsigned paging_physical_bits(void)
{
    static const unsigned bits[16] = {32, 36, 40, 42, 44, 48, 52, 56};

    return bits[cpu_read_mmfr0() & 15];
}

/*
 * Arm ARM, "ID_AA64MMFR0_EL1": TGran4_2, TGran16_2, TGran64_2 (0: as for stage 1; 1: no; 2: yes; 3: yes, with LPA2),
 * and
 * TGran4, TGran64 (0: yes; 1: with LPA2; 15: no), TGran16 (0: no; 1: yes; 2: with LPA2). 0: no, 1: yes, 2: with LPA2.
 */
static unsigned granule_support(unsigned shift)
{
    uint64_t mmfr0 = cpu_read_mmfr0();
    unsigned second = (unsigned)(mmfr0 >> (shift == 12 ? 40 : shift == 14 ? 32 : 36)) & 15;
    unsigned first = (unsigned)(mmfr0 >> (shift == 12 ? 28 : shift == 14 ? 20 : 24)) & 15;

    if (second != 0)
        return second - 1;
    if (shift == 14)
        return first;
    return first == 15 ? 0 : first + 1;
}

bool paging_has_granule(unsigned shift)
{
    return granule_support(shift) != 0;
}

bool paging_has_lpa2(unsigned shift)
{
    return shift != 16 && granule_support(shift) == 2;
}

/* TGran4, TGran16, TGran64, as above. */
bool paging_has_stage1_granule(unsigned shift)
{
    unsigned first = (unsigned)(cpu_read_mmfr0() >> (shift == 12 ? 28 : shift == 14 ? 20 : 24)) & 15;

    return shift == 14 ? first != 0 : first != 15;
}

bool paging_has_stage1_lpa2(unsigned shift)
{
    unsigned first = (unsigned)(cpu_read_mmfr0() >> (shift == 12 ? 28 : 20)) & 15;

    return shift == 12 ? first == 1 : shift == 14 && first == 2;
}

bool paging_has(uint32_t feature)
{
    uint64_t mmfr1 = cpu_read_mmfr1();

    switch (feature) {
    case HVPT_S2_USE_FWB: return (cpu_read_mmfr2() >> 40 & 15) != 0;
    case HVPT_S2_USE_XNX: return (mmfr1 >> 28 & 15) != 0;
    case HVPT_S2_USE_HARDWARE_AF: return (mmfr1 & 15) >= 1;
    case HVPT_S2_USE_HARDWARE_DIRTY: return (mmfr1 & 15) >= 2;
    case HVPT_S2_USE_TABLE_AF: return (mmfr1 & 15) >= 3;
    case HVPT_S2_USE_HDBSS: return (mmfr1 & 15) >= 4;
    case HVPT_S2_USE_INDIRECT: return (cpu_read_mmfr3() >> 12 & 15) != 0;
    case HVPT_S2_USE_BBM2: return (cpu_read_mmfr2() >> 52 & 15) >= 2;
    default: panic("feature %x", feature);
    }
}

unsigned paging_usual_ipa_bits(void)
{
    return paging_physical_bits() < 40 ? paging_physical_bits() : 40;
}

static bool alloc_frame(void *ctx, unsigned order, hvpt_hpa *out)
{
    struct paging *paging = ctx;

    return frames_alloc(paging->frames, order, out);
}

static void free_frame(void *ctx, hvpt_hpa frame, unsigned order)
{
    struct paging *paging = ctx;

    paging->early = paging->early || paging->unflushed;
    frames_free(paging->frames, frame, order);
}

/* What a hypervisor does on a machine like this; Arm ARM, "TLB maintenance instructions". */
static void flush_hook(void *ctx, const struct hvpt_flush *flush)
{
    struct paging *paging = ctx;
    uint64_t granule = UINT64_C(1) << paging->config.granule_shift, end = flush->gpa.value + flush->size;

    if (flush->kind != HVPT_FLUSH_TLBI)
        panic("flush of kind %u", (unsigned)flush->kind);
    paging->flushes++;
    paging->unflushed = false;
    if (paging->watching) {
        paging->seen_empty += !paging_walk(paging, paging->watched).valid;
        if (flush->gpa.value < paging->low)
            paging->low = flush->gpa.value;
        if (end > paging->high)
            paging->high = end;
    }
    if (loaded != paging)
        paging_load(paging, HCR_DC);
    cpu_barrier(); /* the tables' stores before the invalidation */
    if (flush->tables || flush->size > 512 * granule) {
        cpu_tlbi_vmalls12e1is();
    } else {
        for (uint64_t ipa = flush->gpa.value; ipa < end; ipa += granule)
            cpu_tlbi_ipas2e1is(ipa);
        __asm__ volatile("dsb ish" : : : "memory");
        cpu_tlbi_vmalle1is();
    }
    cpu_barrier();
}

enum hvpt_status paging_init(struct paging *paging, struct frames *frames, const struct paging_options *options)
{
    static const struct paging_options usual;

    if (options == NULL)
        options = &usual;
    *paging = (struct paging) {.frames = frames};
    paging->hooks = (struct hvpt_hooks) {paging, alloc_frame, free_frame, NULL, NULL, flush_hook};
    paging->config.granule_shift = options->granule_shift != 0 ? options->granule_shift : 12;
    paging->config.ipa_bits = options->ipa_bits != 0 ? options->ipa_bits : paging_usual_ipa_bits();
    paging->config.levels = options->levels;
    paging->config.max_page_size = options->max_page_size;
    paging->config.features = options->features;
    paging->config.policy = options->policy;
    paging->config.mmfr0 = cpu_read_mmfr0();
    paging->config.mmfr1 = cpu_read_mmfr1();
    paging->config.mmfr2 = cpu_read_mmfr2();
    paging->config.mmfr3 = cpu_read_mmfr3();
    paging->vmid = ++last_vmid & 0xff;
    if (loaded == paging)
        loaded = NULL; /* another one lay here before */
    return hvpt_s2_init(&paging->s2, &paging->hooks, &paging->config);
}

void paging_destroy(struct paging *paging)
{
    if (loaded == paging) {
        cpu_write_hcr_el2(HCR_RW); /* no walk may begin any more */
        cpu_tlbi_alle1is();
        cpu_barrier();
        loaded = NULL;
    }
    hvpt_space_destroy(&paging->s2);
}

uint64_t paging_vttbr(const struct paging *paging)
{
    return hvpt_space_root(&paging->s2) | (uint64_t)paging->vmid << 48;
}

void paging_load(struct paging *paging, uint64_t hcr)
{
    hcr |= HCR_VM | HCR_RW | (paging->config.features & HVPT_S2_USE_FWB ? HCR_FWB : 0);
    if (loaded == paging && loaded_hcr == hcr)
        return;
    cpu_write_hcr_el2(HCR_RW);
    cpu_barrier();
    cpu_write_vtcr_el2(hvpt_s2_vtcr(&paging->s2) | paging->vtcr);
    if (paging->s2pir != 0)
        cpu_write_s2pir_el2(paging->s2pir);
    cpu_write_vttbr_el2(paging_vttbr(paging));
    cpu_barrier();
    cpu_write_hcr_el2(hcr);
    cpu_tlbi_vmalls12e1is(); /* VMIDs are used again */
    cpu_barrier();
    loaded = paging;
    loaded_hcr = hcr;
}

uint64_t paging_at(struct paging *paging, uint64_t ipa, bool write)
{
    paging_load(paging, HCR_DC);
    cpu_barrier();
    return write ? cpu_at_s12e1w(ipa) : cpu_at_s12e1r(ipa);
}

struct walk paging_walk(const struct paging *paging, uint64_t ipa)
{
    return walk_tables(hvpt_space_root(&paging->s2), hvpt_s2_vtcr(&paging->s2), ipa);
}

void paging_watch(struct paging *paging, uint64_t ipa)
{
    paging->watching = true;
    paging->watched = ipa;
    paging->seen_empty = 0;
    paging->low = ~UINT64_C(0);
    paging->high = 0;
}

enum hvpt_status paging_map(struct paging *paging, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr)
{
    enum hvpt_status status = hvpt_space_map(&paging->s2, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, NULL);

    cpu_barrier(); /* what was mapped is seen by the next walk, without an invalidation */
    return status;
}

enum hvpt_status paging_unmap(struct paging *paging, uint64_t gpa, uint64_t size)
{
    enum hvpt_status status;

    paging->unflushed = true;
    status = hvpt_space_unmap(&paging->s2, hvpt_make_gpa(gpa), size, NULL);
    paging->unflushed = false;
    return status;
}

enum hvpt_status paging_protect(struct paging *paging, uint64_t gpa, uint64_t size, uint32_t perm)
{
    return hvpt_space_protect(&paging->s2, hvpt_make_gpa(gpa), size, paging_attr(perm), HVPT_PERM_ALL, NULL);
}

void paging_translate(const struct paging *paging, uint64_t gpa, struct hvpt_mapping *out)
{
    enum hvpt_status status = hvpt_space_translate(&paging->s2, hvpt_make_gpa(gpa), out);

    if (status != HVPT_OK)
        panic("translate %lx: %s", gpa, hvpt_status_text(status));
}

struct hvpt_attr paging_attr(uint32_t perm)
{
    struct hvpt_attr attr = {perm, HVPT_MEM_WB, 0, 0};

    return attr;
}
