/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Second-level tables of this machine's format. */
#include "paging.h"

#include "cpu.h"
#include "machine.h"
#include "memory.h"
#include "vm.h"

#define ADDRESS_MASK UINT64_C(0x000ffffffffff000)

/* The flush hook. EPT: INVEPT. NPT: the next VMRUN asks for it (TLB_CONTROL), there is only one CPU. */
static void flush_hook(void *ctx, const struct hvpt_flush *flush)
{
    struct paging *paging = ctx;

    paging->flushes++;
    paging->unmapping = false;
    paging->stale = true;
    if (flush->kind == HVPT_FLUSH_INVEPT)
        vmx_invept(flush->root);
}

/* The hooks get the allocator's books as their context; the flush hook wants the paging: so paging forwards. */
static bool alloc_hook(void *ctx, unsigned order, hvpt_hpa *out)
{
    struct paging *paging = ctx;

    return frames_alloc(paging->frames, order, out);
}

static void free_hook(void *ctx, hvpt_hpa frame, unsigned order)
{
    struct paging *paging = ctx;

    paging->early += paging->unmapping;
    frames_free(paging->frames, frame, order);
}

enum hvpt_status paging_init(struct paging *paging, struct frames *frames, const struct paging_options *options)
{
    struct hvpt_ept_config ept = {0};
    struct hvpt_npt_config npt = {0};

    memset(paging, 0, sizeof(*paging));
    paging->frames = frames;
    paging->npt = cpu_vendor() == CPU_AMD;
    paging->hooks.ctx = paging;
    paging->hooks.alloc_frame = alloc_hook;
    paging->hooks.free_frame = free_hook;
    paging->hooks.flush = flush_hook;
    if (paging->npt) {
        /* NPT has as many levels as the host's own paging: APM vol. 2, "Nested Paging", "Enabling Nested Paging" */
        paging->levels = cpu_read_cr4() >> 12 & 1 ? 5 : 4;
        npt.levels = paging->levels;
        npt.max_page_size = options->max_page_size != 0 ? options->max_page_size : paging_largest_page(paging);
        npt.maxphyaddr = cpu_physical_address_bits();
        cpu_rdmsr(0x277, &npt.pat); /* IA32_PAT: nested tables index the host's */
        return hvpt_npt_init(&paging->space, &paging->hooks, &npt);
    } else {
        paging->levels = 4;
        ept.levels = paging->levels;
        ept.max_page_size = options->max_page_size;
        ept.ept_vpid_cap = vmx_ept_capabilities();
        ept.maxphyaddr = cpu_physical_address_bits();
        ept.features =
            options->features | (options->accessed_dirty ? (uint32_t)HVPT_EPT_USE_ACCESSED_DIRTY : 0);
        return hvpt_ept_init(&paging->space, &paging->hooks, &ept);
    }
}

uint64_t paging_root(const struct paging *paging)
{
    return hvpt_space_root(&paging->space);
}

enum hvpt_status paging_map(struct paging *paging, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr)
{
    return hvpt_space_map(&paging->space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, NULL);
}

enum hvpt_status paging_unmap(struct paging *paging, uint64_t gpa, uint64_t size)
{
    struct hvpt_flush flush = {0};
    enum hvpt_status status;

    paging->unmapping = true;
    status = hvpt_space_unmap(&paging->space, hvpt_make_gpa(gpa), size, &flush);
    hvpt_space_flush(&paging->space, &flush);
    paging->unmapping = false;
    return status;
}

enum hvpt_status paging_protect(struct paging *paging, uint64_t gpa, uint64_t size, uint32_t perm)
{
    struct hvpt_flush flush = {0};
    enum hvpt_status status = hvpt_space_protect(&paging->space, hvpt_make_gpa(gpa), size, paging_attr(perm),
                                                 HVPT_READ | HVPT_WRITE | HVPT_EXEC, &flush);

    hvpt_space_flush(&paging->space, &flush);
    return status;
}

enum hvpt_status paging_translate(const struct paging *paging, uint64_t gpa, struct hvpt_mapping *out)
{
    memset(out, 0, sizeof(*out));
    return hvpt_space_translate(&paging->space, hvpt_make_gpa(gpa), out);
}

void paging_destroy(struct paging *paging)
{
    if (paging->early != 0)
        panic("%u table frames came back before the flush that covers them", paging->early);
    hvpt_space_destroy(&paging->space);
}

struct hvpt_attr paging_attr(uint32_t perm)
{
    struct hvpt_attr attr = {perm, HVPT_MEM_WB, 0, 0};

    return attr;
}

uint64_t paging_largest_page(const struct paging *paging)
{
    bool giant = paging->npt ? (cpu_cpuid(0x80000001u, 0).edx >> 26 & 1) != 0 : (vmx_ept_capabilities() >> 17 & 1) != 0;

    return giant ? HVPT_1G : HVPT_2M;
}

uint64_t *paging_entry(const struct paging *paging, uint64_t gpa, unsigned level)
{
    uint64_t table = paging_root(paging) & ADDRESS_MASK;

    for (unsigned at = paging->levels - 1;; at--) {
        uint64_t *entry = vm_host_word(table) + (gpa >> (12 + 9 * at) & 511);

        if (at == level)
            return entry;
        if ((*entry & 7) == 0 || (at < 3 && (*entry >> 7 & 1) != 0)) /* not present, or a page */
            return NULL;
        table = *entry & ADDRESS_MASK;
    }
}

void paging_flush_all(struct paging *paging)
{
    paging->stale = true;
    if (!paging->npt)
        vmx_invept(paging_root(paging));
}
