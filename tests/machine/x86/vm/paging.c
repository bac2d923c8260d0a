/* The two formats behind one face. Every function branches once and calls the headers. */
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

    frames_free(paging->frames, frame, order);
}

enum hvpt_status paging_init(struct paging *paging, struct frames *frames, const struct paging_options *options)
{
    memset(paging, 0, sizeof(*paging));
    paging->frames = frames;
    paging->npt = cpu_vendor() == CPU_AMD;
    paging->hooks.ctx = paging;
    paging->hooks.alloc_frame = alloc_hook;
    paging->hooks.free_frame = free_hook;
    paging->hooks.flush = flush_hook;
    if (paging->npt) {
        struct hvpt_npt_config config = {0};

        /* NPT has as many levels as the host's own paging: APM vol. 2, "Nested Paging", "Enabling Nested Paging" */
        paging->levels = cpu_read_cr4() >> 12 & 1 ? 5 : 4;
        config.levels = paging->levels;
        config.max_page_size = options->max_page_size != 0 ? options->max_page_size : paging_largest_page(paging);
        config.maxphyaddr = cpu_physical_address_bits();
        cpu_rdmsr(0x277, &config.pat); /* IA32_PAT: nested tables index the host's */
        return hvpt_npt_init(&paging->space.npt, &paging->hooks, &config);
    }
    struct hvpt_ept_config config = {0};

    paging->levels = 4;
    config.levels = paging->levels;
    config.max_page_size = options->max_page_size;
    config.ept_vpid_cap = vmx_ept_capabilities();
    config.maxphyaddr = cpu_physical_address_bits();
    config.features = options->accessed_dirty ? HVPT_EPT_USE_ACCESSED_DIRTY : 0;
    return hvpt_ept_init(&paging->space.ept, &paging->hooks, &config);
}

uint64_t paging_root(const struct paging *paging)
{
    return paging->npt ? hvpt_npt_root(&paging->space.npt) : hvpt_ept_root(&paging->space.ept);
}

enum hvpt_status paging_map(struct paging *paging, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr)
{
    struct hvpt_flush flush = {0};
    enum hvpt_status status;

    if (paging->npt) {
        status = hvpt_npt_map(&paging->space.npt, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, &flush);
        hvpt_npt_flush(&paging->space.npt, &flush);
    } else {
        status = hvpt_ept_map(&paging->space.ept, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, &flush);
        hvpt_ept_flush(&paging->space.ept, &flush);
    }
    return status;
}

enum hvpt_status paging_unmap(struct paging *paging, uint64_t gpa, uint64_t size)
{
    struct hvpt_flush flush = {0};
    enum hvpt_status status;

    if (paging->npt) {
        status = hvpt_npt_unmap(&paging->space.npt, hvpt_make_gpa(gpa), size, &flush);
        hvpt_npt_flush(&paging->space.npt, &flush);
    } else {
        status = hvpt_ept_unmap(&paging->space.ept, hvpt_make_gpa(gpa), size, &flush);
        hvpt_ept_flush(&paging->space.ept, &flush);
    }
    return status;
}

enum hvpt_status paging_protect(struct paging *paging, uint64_t gpa, uint64_t size, uint32_t perm)
{
    const uint32_t mask = HVPT_READ | HVPT_WRITE | HVPT_EXEC;
    struct hvpt_flush flush = {0};
    enum hvpt_status status;

    if (paging->npt) {
        status = hvpt_npt_protect(&paging->space.npt, hvpt_make_gpa(gpa), size, paging_attr(perm), mask, &flush);
        hvpt_npt_flush(&paging->space.npt, &flush);
    } else {
        status = hvpt_ept_protect(&paging->space.ept, hvpt_make_gpa(gpa), size, paging_attr(perm), mask, &flush);
        hvpt_ept_flush(&paging->space.ept, &flush);
    }
    return status;
}

enum hvpt_status paging_translate(const struct paging *paging, uint64_t gpa, struct hvpt_mapping *out)
{
    memset(out, 0, sizeof(*out));
    return paging->npt ? hvpt_npt_translate(&paging->space.npt, hvpt_make_gpa(gpa), out)
                       : hvpt_ept_translate(&paging->space.ept, hvpt_make_gpa(gpa), out);
}

void paging_destroy(struct paging *paging)
{
    if (paging->npt)
        hvpt_npt_destroy(&paging->space.npt);
    else
        hvpt_ept_destroy(&paging->space.ept);
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
