/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* G-stage tables with this kernel's allocator and fences. */
#include "paging.h"

#include "cpu.h"
#include "machine.h"
#include "memory.h"
#include "vm.h"

#define FENCES_ONE_BY_ONE 64

/*
 * The flush hook. Fences for single addresses order leaf entries alone (privileged manual, "Hypervisor Memory-
 * Management Fence Instructions"), so where tables went away the whole VMID is fenced.
 */
static void flush_hook(void *ctx, const struct hvpt_flush *flush)
{
    struct paging *paging = ctx;

    paging->flushes++;
    paging->unmapping = false;
    paging->last = *flush;
    if (flush->kind != HVPT_FLUSH_HFENCE)
        panic("a flush of kind %u is asked for", (unsigned)flush->kind);
    if (flush->tables || flush->size > FENCES_ONE_BY_ONE * HVPT_4K) {
        cpu_hfence_gvma_vmid(PAGING_VMID);
        return;
    }
    for (uint64_t done = 0; done < flush->size; done += HVPT_4K)
        cpu_hfence_gvma(flush->gpa.value + done, PAGING_VMID);
}

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
    struct hvpt_gstage_config config;

    memset(paging, 0, sizeof(*paging));
    memset(&config, 0, sizeof(config));
    paging->frames = frames;
    paging->mode = options->mode != 0 ? options->mode : MODE_SV48X4;
    paging->levels = paging->mode - 5;
    paging->hooks.ctx = paging;
    paging->hooks.alloc_frame = alloc_hook;
    paging->hooks.free_frame = free_hook;
    paging->hooks.flush = flush_hook;
    config.mode = paging->mode;
    config.max_page_size = options->max_page_size;
    config.features = options->features;
    return hvpt_gstage_init(&paging->space, &paging->hooks, &config);
}

uint64_t paging_hgatp(const struct paging *paging)
{
    return hvpt_space_root(&paging->space) | PAGING_VMID << 44;
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
    return hvpt_space_protect(&paging->space, hvpt_make_gpa(gpa), size, paging_attr(perm),
                               HVPT_READ | HVPT_WRITE | HVPT_EXEC, NULL);
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

uint64_t paging_limit(unsigned mode)
{
    return UINT64_C(1) << (mode == MODE_SV39X4 ? 41 : mode == MODE_SV48X4 ? 50 : 59);
}

uint64_t *paging_entry(const struct paging *paging, uint64_t gpa, unsigned level)
{
    uint64_t table = (paging_hgatp(paging) & UINT64_C(0xfffffffffff)) << 12;

    for (unsigned at = paging->levels - 1;; at--) {
        unsigned bits = at == paging->levels - 1 ? 11 : 9; /* the root is four pages */
        uint64_t *entry = vm_host_word(table) + (gpa >> (12 + 9 * at) & ((UINT64_C(1) << bits) - 1));

        if (at == level)
            return entry;
        if ((*entry & 0xf) != 1) /* not valid, or a leaf: R, W or X */
            return NULL;
        table = (*entry >> 10 & UINT64_C(0xfffffffffff)) << 12;
    }
}
