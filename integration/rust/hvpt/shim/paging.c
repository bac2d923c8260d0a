/* Second-level tables for Rust: hvpt_space, its hooks and the flush that it owes, in one buffer that does not move. */
#include "shim.h"

#include <hvpt/ept.h>
#include <hvpt/guest/x86.h>
#include <hvpt/gstage.h>
#include <hvpt/npt.h>
#include <hvpt/stage2.h>
#include <hvpt/x86/page_flags.h>

/* Rust's frame allocator, by its own calling convention. */
struct hvpt_rs_host {
    void *ctx;
    bool (*alloc_frame)(void *ctx, uint32_t order, uint64_t *frame);
    void (*free_frame)(void *ctx, uint64_t frame, uint32_t order);
    void *(*phys_to_virt)(void *ctx, uint64_t frame);
    void (*flush)(void *ctx, uint32_t kind, bool tables, uint64_t gpa, uint64_t size, uint64_t root);
};

struct hvpt_rs_space {
    struct hvpt_space space;
    struct hvpt_hooks hooks;
    struct hvpt_rs_host host;
    struct hvpt_flush owed;
};
HVPT_RS_FITS(struct hvpt_rs_space, HVPT_RS_SIZE_SPACE);

/* ---- the hooks: struct hvpt_hooks to struct hvpt_rs_host ---- */

static bool alloc_frame(void *ctx, unsigned order, hvpt_hpa *out)
{
    const struct hvpt_rs_host *host = (const struct hvpt_rs_host *)ctx;

    return host->alloc_frame(host->ctx, order, &out->value);
}

static void free_frame(void *ctx, hvpt_hpa frame, unsigned order)
{
    const struct hvpt_rs_host *host = (const struct hvpt_rs_host *)ctx;

    host->free_frame(host->ctx, frame.value, order);
}

static void *phys_to_virt(void *ctx, hvpt_hpa frame)
{
    const struct hvpt_rs_host *host = (const struct hvpt_rs_host *)ctx;

    return host->phys_to_virt(host->ctx, frame.value);
}

static void flush(void *ctx, const struct hvpt_flush *what)
{
    const struct hvpt_rs_host *host = (const struct hvpt_rs_host *)ctx;

    host->flush(host->ctx, (uint32_t)what->kind, what->tables, what->gpa.value, what->size, what->root);
}

/* ---- making and giving up ---- */

static void set_host(struct hvpt_rs_space *at, const struct hvpt_rs_host *host)
{
    static const struct hvpt_flush nothing;

    at->host = *host;
    at->hooks.ctx = &at->host;
    at->hooks.alloc_frame = alloc_frame;
    at->hooks.free_frame = free_frame;
    at->hooks.phys_to_virt = phys_to_virt;
    at->hooks.linear_map = NULL;
    at->hooks.flush = flush;
    at->owed = nothing;
}

/*
 * The config as Rust lays it out: levels, max_page_size, maxphyaddr, features, policy, then what one format alone has:
 * EPT: ept_vpid_cap. NPT: pat, c_bit. Stage 2: granule_shift, ipa_bits, mmfr0 to mmfr3. G-stage: mode.
 * root: of tables to adopt; NULL: a new, empty space.
 */
static enum hvpt_status make(struct hvpt_rs_space *at, uint32_t kind, const uint64_t *config, const uint64_t *root,
                             bool readonly)
{
    struct hvpt_space *space = &at->space;
    const struct hvpt_hooks *hooks = &at->hooks;

    switch (kind) {
    case HVPT_KIND_EPT: {
        const struct hvpt_ept_config ept = {.levels = (unsigned)config[0],
                                            .max_page_size = config[1],
                                            .maxphyaddr = (unsigned)config[2],
                                            .features = (uint32_t)config[3],
                                            .policy = (uint32_t)config[4],
                                            .ept_vpid_cap = config[5]};

        return root == NULL ? hvpt_ept_init(space, hooks, &ept) : hvpt_ept_adopt(space, hooks, &ept, *root, readonly);
    }
    case HVPT_KIND_NPT: {
        const struct hvpt_npt_config npt = {.levels = (unsigned)config[0],
                                            .max_page_size = config[1],
                                            .maxphyaddr = (unsigned)config[2],
                                            .features = (uint32_t)config[3],
                                            .policy = (uint32_t)config[4],
                                            .pat = config[5],
                                            .c_bit = (unsigned)config[6]};

        return root == NULL ? hvpt_npt_init(space, hooks, &npt) : hvpt_npt_adopt(space, hooks, &npt, *root, readonly);
    }
    case HVPT_KIND_S2: {
        const struct hvpt_s2_config s2 = {.levels = (unsigned)config[0],
                                          .max_page_size = config[1],
                                          .features = (uint32_t)config[3],
                                          .policy = (uint32_t)config[4],
                                          .granule_shift = (unsigned)config[5],
                                          .ipa_bits = (unsigned)config[6],
                                          .mmfr0 = config[7],
                                          .mmfr1 = config[8],
                                          .mmfr2 = config[9],
                                          .mmfr3 = config[10]};

        return root == NULL ? hvpt_s2_init(space, hooks, &s2) : hvpt_s2_adopt(space, hooks, &s2, *root, readonly);
    }
    case HVPT_KIND_GSTAGE: {
        const struct hvpt_gstage_config gstage = {.max_page_size = config[1],
                                                  .maxphyaddr = (unsigned)config[2],
                                                  .features = (uint32_t)config[3],
                                                  .policy = (uint32_t)config[4],
                                                  .mode = (unsigned)config[5]};

        return root == NULL ? hvpt_gstage_init(space, hooks, &gstage)
                            : hvpt_gstage_adopt(space, hooks, &gstage, *root, readonly);
    }
    default: return HVPT_E_ATTR;
    }
}

uint32_t hvpt_rs_create(struct hvpt_rs_space *at, uint32_t kind, const uint64_t *config,
                        const struct hvpt_rs_host *host)
{
    set_host(at, host);
    return (uint32_t)make(at, kind, config, NULL, false);
}

uint32_t hvpt_rs_adopt(struct hvpt_rs_space *at, uint32_t kind, const uint64_t *config, const struct hvpt_rs_host *host,
                       uint64_t root, bool readonly)
{
    set_host(at, host);
    return (uint32_t)make(at, kind, config, &root, readonly);
}

/* The root register's value for tables that are set up as the config says, whose root is at this address. */
static uint64_t root_of(uint32_t kind, const uint64_t *config, uint64_t table)
{
    switch (kind) {
    case HVPT_KIND_EPT: {
        const uint64_t levels = config[0] != 0 ? config[0] : 4;
        const bool write_back = config[5] == 0 || (config[5] & HVPT_EPT_CAP_WB);

        return table | (write_back ? HVPT_EPTP_MEMTYPE_WB : HVPT_EPTP_MEMTYPE_UC)
             | (levels - 1) << HVPT_EPTP_LEVELS_SHIFT
             | (config[3] & HVPT_EPT_USE_ACCESSED_DIRTY ? HVPT_EPTP_ACCESSED_DIRTY : 0)
             | (config[3] & HVPT_EPT_USE_SHADOW_STACK ? HVPT_EPTP_SHADOW_STACK : 0);
    }
    case HVPT_KIND_NPT: return table | (config[6] != 0 && config[6] < 64 ? UINT64_C(1) << config[6] : 0);
    case HVPT_KIND_S2: return hvpt_s2_baddr(table);
    default: return config[5] << HVPT_HGATP_MODE_SHIFT | table >> 12;
    }
}

uint32_t hvpt_rs_adopt_table(struct hvpt_rs_space *at, uint32_t kind, const uint64_t *config,
                             const struct hvpt_rs_host *host, uint64_t table, bool readonly)
{
    return table & 0xfff ? (uint32_t)HVPT_E_ALIGN
                         : hvpt_rs_adopt(at, kind, config, host, root_of(kind, config, table), readonly);
}

void hvpt_rs_flush(struct hvpt_rs_space *at)
{
    hvpt_space_flush(&at->space, &at->owed);
}

bool hvpt_rs_flush_owed(const struct hvpt_rs_space *at)
{
    return hvpt_flush_needed(&at->owed);
}

void hvpt_rs_destroy(struct hvpt_rs_space *at)
{
    if (hvpt_flush_needed(&at->owed))
        hvpt_rs_flush(at);
    hvpt_space_destroy(&at->space);
}

uint64_t hvpt_rs_root(const struct hvpt_rs_space *at)
{
    return hvpt_space_root(&at->space);
}

/* The root table itself, without what the register has beside its address: a mode, the C-bit, bits 51:48 low down. */
uint64_t hvpt_rs_root_frame(const struct hvpt_rs_space *at)
{
    return at->space.root_frame;
}

uint64_t hvpt_rs_control(const struct hvpt_rs_space *at)
{
    return at->space.format_register;
}

uint64_t hvpt_rs_page_size(const struct hvpt_rs_space *at)
{
    return UINT64_C(1) << (at->space.kind == HVPT_KIND_S2 ? at->space.page_shift : 12);
}

uint64_t hvpt_rs_gpa_limit(const struct hvpt_rs_space *at)
{
    return at->space.gpa_limit;
}

/* ---- attributes: perm, memtype, flags, software, as four words ---- */

static struct hvpt_attr attr_in(const uint32_t *words)
{
    struct hvpt_attr attr;

    attr.perm = words[0];
    attr.memtype = (enum hvpt_memtype)words[1];
    attr.flags = words[2];
    attr.software = words[3];
    return attr;
}

static void attr_out(struct hvpt_attr attr, uint32_t *words)
{
    words[0] = attr.perm;
    words[1] = (uint32_t)attr.memtype;
    words[2] = attr.flags;
    words[3] = attr.software;
}

uint32_t hvpt_rs_from_page_flags(uint64_t entry, uint32_t level, uint64_t pat, uint64_t keep, uint32_t *attr)
{
    struct hvpt_attr out = {0, HVPT_MEM_UC, 0, 0};
    enum hvpt_status status = hvpt_page_flags_to_attr(entry, level, pat, keep, &out);

    attr_out(out, attr);
    return (uint32_t)status;
}

uint32_t hvpt_rs_to_page_flags(const uint32_t *attr, uint32_t level, uint64_t pat, uint64_t add, uint64_t *entry)
{
    return (uint32_t)hvpt_page_flags_from_attr(attr_in(attr), level, pat, add, entry);
}

/* ---- operations ---- */

uint32_t hvpt_rs_map(struct hvpt_rs_space *at, uint64_t gpa, uint64_t hpa, uint64_t size, const uint32_t *attr)
{
    return (uint32_t)hvpt_space_map(&at->space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr_in(attr), &at->owed);
}

uint32_t hvpt_rs_unmap(struct hvpt_rs_space *at, uint64_t gpa, uint64_t size)
{
    return (uint32_t)hvpt_space_unmap(&at->space, hvpt_make_gpa(gpa), size, &at->owed);
}

uint32_t hvpt_rs_protect(struct hvpt_rs_space *at, uint64_t gpa, uint64_t size, const uint32_t *attr, uint32_t mask)
{
    return (uint32_t)hvpt_space_protect(&at->space, hvpt_make_gpa(gpa), size, attr_in(attr), mask, &at->owed);
}

uint32_t hvpt_rs_replace(struct hvpt_rs_space *at, uint64_t gpa, uint64_t hpa, uint64_t size, const uint32_t *attr)
{
    return (uint32_t)hvpt_space_replace(&at->space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr_in(attr),
                                        &at->owed);
}

uint32_t hvpt_rs_fault_map(struct hvpt_rs_space *at, uint64_t gpa, uint64_t hpa, uint64_t page_size,
                           const uint32_t *attr)
{
    return (uint32_t)hvpt_space_fault_map(&at->space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), page_size, attr_in(attr));
}

uint32_t hvpt_rs_touch(struct hvpt_rs_space *at, uint64_t gpa, uint32_t access)
{
    return (uint32_t)hvpt_space_touch(&at->space, hvpt_make_gpa(gpa), access);
}

uint32_t hvpt_rs_split(struct hvpt_rs_space *at, uint64_t gpa, uint64_t size, uint64_t page_size)
{
    return (uint32_t)hvpt_space_split(&at->space, hvpt_make_gpa(gpa), size, page_size, &at->owed);
}

/* The report is given up: which pages stayed apart, and why, is for a walk to tell. */
uint32_t hvpt_rs_collapse(struct hvpt_rs_space *at, uint64_t gpa, uint64_t size)
{
    struct hvpt_collapse_report report;

    return (uint32_t)hvpt_space_collapse(&at->space, hvpt_make_gpa(gpa), size, &at->owed, &report);
}

uint32_t hvpt_rs_dirty(struct hvpt_rs_space *at, uint64_t gpa, uint64_t size, uint64_t *bitmap)
{
    return (uint32_t)hvpt_space_dirty(&at->space, hvpt_make_gpa(gpa), size, bitmap, &at->owed);
}

uint32_t hvpt_rs_age(struct hvpt_rs_space *at, uint64_t gpa, uint64_t size, uint64_t *bitmap)
{
    return (uint32_t)hvpt_space_age(&at->space, hvpt_make_gpa(gpa), size, bitmap, &at->owed);
}

uint32_t hvpt_rs_write_protect(struct hvpt_rs_space *at, uint64_t gpa, uint64_t size)
{
    return (uint32_t)hvpt_space_write_protect(&at->space, hvpt_make_gpa(gpa), size, &at->owed);
}

uint32_t hvpt_rs_reserve(struct hvpt_rs_space *at, uint64_t frames)
{
    return (uint32_t)hvpt_space_reserve(&at->space, frames);
}

uint32_t hvpt_rs_frames_needed(const struct hvpt_rs_space *at, uint64_t gpa, uint64_t hpa, uint64_t size,
                               const uint32_t *attr, uint64_t *frames)
{
    return (uint32_t)hvpt_space_frames_needed(&at->space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr_in(attr),
                                              frames);
}

/* ---- looking ---- */

/* numbers: hpa, page_size, level, entry. */
static void mapping_out(const struct hvpt_mapping *mapping, uint64_t *numbers, uint32_t *attr)
{
    numbers[0] = mapping->hpa.value;
    numbers[1] = mapping->page_size;
    numbers[2] = mapping->level;
    numbers[3] = mapping->entry;
    attr_out(mapping->attr, attr);
}

uint32_t hvpt_rs_translate(const struct hvpt_rs_space *at, uint64_t gpa, uint64_t *numbers, uint32_t *attr)
{
    struct hvpt_mapping mapping;
    enum hvpt_status status = hvpt_space_translate(&at->space, hvpt_make_gpa(gpa), &mapping);

    if (status == HVPT_OK)
        mapping_out(&mapping, numbers, attr);
    return (uint32_t)status;
}

/* Rust's visitor: what it is shown (0 leaf, 1 hole, 2 enter, 3 leave), where, and five words with the attributes. */
typedef bool (*hvpt_rs_visit)(void *ctx, uint32_t what, uint64_t gpa, const uint64_t *numbers, const uint32_t *attr);

struct visitor {
    hvpt_rs_visit visit;
    void *ctx;
};

static bool on_leaf(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping)
{
    const struct visitor *visitor = (const struct visitor *)ctx;
    uint64_t numbers[4];
    uint32_t attr[4];

    mapping_out(mapping, numbers, attr);
    return visitor->visit(visitor->ctx, 0, gpa.value, numbers, attr);
}

static bool on_hole(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level)
{
    const struct visitor *visitor = (const struct visitor *)ctx;
    const uint64_t numbers[4] = {0, size, level, 0};

    return visitor->visit(visitor->ctx, 1, gpa.value, numbers, NULL);
}

static bool on_enter(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    const struct visitor *visitor = (const struct visitor *)ctx;
    const uint64_t numbers[4] = {table.value, 0, level, 0};

    return visitor->visit(visitor->ctx, 2, gpa.value, numbers, NULL);
}

static bool on_leave(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    const struct visitor *visitor = (const struct visitor *)ctx;
    const uint64_t numbers[4] = {table.value, 0, level, 0};

    return visitor->visit(visitor->ctx, 3, gpa.value, numbers, NULL);
}

uint32_t hvpt_rs_walk(const struct hvpt_rs_space *at, uint64_t gpa, uint64_t size, hvpt_rs_visit visit, void *ctx)
{
    struct visitor mine;
    struct hvpt_visitor visitor;

    mine.visit = visit;
    mine.ctx = ctx;
    visitor.ctx = &mine;
    visitor.leaf = on_leaf;
    visitor.hole = on_hole;
    visitor.enter = on_enter;
    visitor.leave = on_leave;
    return (uint32_t)hvpt_space_walk(&at->space, hvpt_make_gpa(gpa), size, &visitor);
}

/* numbers: leaves by level, tables by level, frames, reserved. */
uint32_t hvpt_rs_explain(const struct hvpt_rs_space *at, uint64_t gpa, uint32_t access, hvpt_rs_put put, void *ctx)
{
    const struct hvpt_text text = hvpt_rs_text(put, ctx);

    return (uint32_t)hvpt_space_explain(&at->space, hvpt_make_gpa(gpa), access, &text);
}

void hvpt_rs_stats(const struct hvpt_rs_space *at, uint64_t *numbers)
{
    struct hvpt_stats stats = {{0}, {0}, 0, 0};
    unsigned level;

    hvpt_space_stats(&at->space, &stats);
    for (level = 0; level < HVPT_MAX_LEVELS; level++) {
        numbers[level] = stats.leaves[level];
        numbers[HVPT_MAX_LEVELS + level] = stats.tables[level];
    }
    numbers[2 * HVPT_MAX_LEVELS] = stats.frames;
    numbers[2 * HVPT_MAX_LEVELS + 1] = stats.reserved;
}

const char *hvpt_rs_status_text(uint32_t status)
{
    return hvpt_status_text((enum hvpt_status)status);
}

/* Names that Rust repeats, for the test that compares them; 0 for a number behind the last. */
uint64_t hvpt_rs_constant(uint32_t number)
{
    static const uint64_t list[] = {
        HVPT_READ,
        HVPT_WRITE,
        HVPT_EXEC,
        HVPT_EXEC_USER,
        HVPT_ACCESSED,
        HVPT_DIRTY,
        HVPT_LOGGED,
        HVPT_JOINED,
        HVPT_CHANGE_MEMTYPE,
        HVPT_CHANGE_FLAGS,
        HVPT_CHANGE_SOFTWARE,
        HVPT_EPT_IGNORE_PAT,
        HVPT_EPT_SUPPRESS_VE,
        HVPT_EPT_VERIFY_GUEST_PAGING,
        HVPT_EPT_PAGING_WRITE,
        HVPT_EPT_SHADOW_STACK,
        HVPT_EPT_SUB_PAGE_WRITE,
        HVPT_EPT_USE_ACCESSED_DIRTY,
        HVPT_EPT_USE_SHADOW_STACK,
        HVPT_EPT_USE_MODE_BASED_EXECUTE,
        HVPT_EPT_USE_VIOLATION_VE,
        HVPT_EPT_USE_VERIFY_GUEST_PAGING,
        HVPT_EPT_USE_PAGING_WRITE,
        HVPT_EPT_USE_SUB_PAGE_WRITE,
        HVPT_NPT_NO_NX,
        HVPT_S2_USE_FWB,
        HVPT_S2_USE_XNX,
        HVPT_S2_USE_HARDWARE_AF,
        HVPT_S2_USE_HARDWARE_DIRTY,
        HVPT_S2_USE_LPA2,
        HVPT_S2_USE_CONTIGUOUS,
        HVPT_S2_USE_VMID16,
        HVPT_S2_OUTER_SHAREABLE,
        HVPT_S2_NON_SHAREABLE,
        HVPT_GSTAGE_USE_SVPBMT,
        HVPT_GSTAGE_USE_SVNAPOT,
        HVPT_GSTAGE_USE_SVADU,
        HVPT_POLICY_EXEC_4K_ONLY,
        HVPT_POLICY_GUARD_TABLES,
        HVPT_PAT_RESET,
        HVPT_PAGE_USER,
        HVPT_PAGE_GLOBAL,
        HVPT_PAGE_PROTECTION_KEY,
        HVPT_MAX_LEVELS,
        HVPT_NPT_USE_GMET,
        HVPT_NPT_USE_SHADOW_STACK,
        HVPT_NPT_FEATURES_ALL,
        HVPT_NPT_SHADOW_STACK,
        HVPT_NPT_ENCRYPTED,
        HVPT_S2_USE_BBM2,
        HVPT_S2_USE_BBM1,
        HVPT_S2_USE_TABLE_AF,
        HVPT_S2_USE_HDBSS,
        HVPT_S2_USE_INDIRECT,
        HVPT_S2_USE_ALL,
        HVPT_GSTAGE_USE_SVVPTC,
        HVPT_GSTAGE_USE_SVRSW60T59B,
        HVPT_GSTAGE_USE_ALL,
        HVPT_POLICY_OWN_MARKS,
        HVPT_POLICY_ALL,
        HVPT_EPT_USE_ALL,
    };

    return number < sizeof(list) / sizeof(list[0]) ? list[number] : 0;
}

uint64_t hvpt_rs_sizeof_space(void)
{
    return sizeof(struct hvpt_rs_space);
}

/*
 * Where an x86 guest's linear address leads. state: CR0, CR3, CR4, EFER, RFLAGS, PAT, four PDPTEs. access: HVPT_READ,
 * HVPT_WRITE or HVPT_EXEC, with HVPT_X86_USER. out: guest-physical address, error code of #PF. The end comes back.
 */
uint32_t hvpt_rs_guest_walk(const struct hvpt_rs_space *at, const uint64_t *state, uint64_t linear, uint32_t access,
                            uint64_t *out)
{
    const struct hvpt_x86_guest guest = {.cr0 = state[0],
                                         .cr3 = state[1],
                                         .cr4 = state[2],
                                         .efer = state[3],
                                         .rflags = state[4],
                                         .pat = state[5],
                                         .pdpte = {state[6], state[7], state[8], state[9]}};
    struct hvpt_guest_walk walk;
    enum hvpt_guest_end end = hvpt_guest_walk_x86(&at->space, &guest, linear, access, &walk);

    out[0] = end == HVPT_GUEST_OK ? walk.gpa.value : walk.fault_gpa.value;
    out[1] = walk.error_code;
    return (uint32_t)end;
}
