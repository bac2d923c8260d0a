/* Foretelling, doing, comparing. What an operation should answer is derived from its contract and the model alone. */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)

/* ---- expectations ---- */

/* A set of statuses that a call may answer with; empty: it must succeed. */
typedef uint32_t status_set;

static status_set bit(enum hvpt_status status)
{
    return UINT32_C(1) << status;
}

static status_set range_causes(const struct rig *rig, uint64_t gpa, uint64_t size)
{
    uint64_t limit = setup_gpa_limit(rig->setup);
    status_set causes = 0;

    if ((gpa | size) % PAGE != 0)
        causes |= bit(HVPT_E_ALIGN);
    if (size == 0 || size > limit || gpa > limit - size)
        causes |= bit(HVPT_E_RANGE);
    return causes;
}

static status_set host_causes(const struct rig *rig, uint64_t hpa, uint64_t size)
{
    uint64_t limit = setup_hpa_limit(rig->setup);
    status_set causes = 0;

    if (hpa % PAGE != 0)
        causes |= bit(HVPT_E_ALIGN);
    if (size > limit || hpa > limit - size)
        causes |= bit(HVPT_E_RANGE);
    if (rig->setup->config.policy & HVPT_POLICY_GUARD_TABLES) {
        for (uint32_t slot = 0; slot < rig->memory.slot_count; slot++) {
            const struct frame *frame = &rig->memory.frames[slot];

            if (frame->state == FRAME_LINKED && frame->pa < hpa + size && hpa < frame->pa + PAGE)
                causes |= bit(HVPT_E_RANGE);
        }
    }
    return causes;
}

struct before {
    uint64_t live;
    uint64_t failures;
    uint64_t stores;
};

static struct before look(const struct rig *rig)
{
    struct before before = {rig->memory.live, rig->memory.failures, rig->memory.stores};

    return before;
}

static void judge(struct rig *rig, const char *what, enum hvpt_status got, status_set causes, struct before before)
{
    bool starved = rig->memory.failures != before.failures || rig->memory.queue_count == 0;

    if (causes == 0 && starved)
        causes = bit(HVPT_OK) | bit(HVPT_E_NOMEM);
    else if (starved)
        causes |= bit(HVPT_E_NOMEM);
    else if (causes == 0)
        causes = bit(HVPT_OK);
    CHECK(causes & bit(got), "%s answered \"%s\", allowed are %#x", what, hvpt_status_text(got), causes);
    if (got != HVPT_OK) {
        CHECK(rig->memory.live <= before.live, "%s failed and kept frames", what);
        CHECK(got == HVPT_E_NOMEM || rig->memory.stores == before.stores, "%s refused its arguments after %llu stores",
              what, (unsigned long long)(rig->memory.stores - before.stores));
    }
    if (!rig->owing)
        tlb_check(&rig->tlb);
}

static struct hvpt_flush *flush_of(struct rig *rig)
{
    return rig->owing ? &rig->flush : NULL;
}

/* ---- life ---- */

void rig_open(struct rig *rig, const struct setup *setup)
{
    struct memory_options options = {.slots_log2 = 12, .slot_order = 0, .linear = setup->linear};

    memset(rig, 0, sizeof(*rig));
    check_context("%s", setup->name);
    rig->setup = setup;
    rig->adapter = setup->adapter;
    rig->random.state = 1;
    /* The topmost half of what the processor can address, so that no high bit may get lost. */
    options.phys_base = setup->linear ? UINT64_C(1) << 24 : UINT64_C(1) << (setup->cpu.maxphyaddr - 1);
    memory_open(&rig->memory, &options);
    cpu_init(&rig->cpu, &setup->cpu);
    rig->memory.flush_kind = setup->adapter->flush_kind;
    CHECK_STATUS(rig->adapter->init(&rig->space, &rig->memory.hooks, &setup->config), HVPT_OK, "init");
    rig->memory.flush_root = rig->adapter->root(&rig->space);
    memory_track(&rig->memory, cpu_child, &rig->cpu, 12, 9, cpu_root_table(&rig->cpu, rig->memory.flush_root),
                 setup->cpu.levels - 1);
    tlb_init(&rig->tlb, &rig->cpu, &rig->memory, rig->memory.flush_root);
    rig->memory.on_flush = tlb_flush;
    rig->memory.on_flush_ctx = &rig->tlb;
    model_init(&rig->model);
}

void rig_close(struct rig *rig)
{
    rig_flush(rig);
    rig->memory.destroying = true;
    rig->adapter->destroy(&rig->space);
    memory_close(&rig->memory);
    model_free(&rig->model);
}

/* ---- operations ---- */

/* What the library keeps of attributes that the format has only one execute bit for. */
static struct hvpt_attr as_kept(const struct rig *rig, struct hvpt_attr attr)
{
    if (!rig->setup->two_exec)
        attr.perm &= ~(uint32_t)HVPT_EXEC_USER;
    return attr;
}

enum hvpt_status rig_map(struct rig *rig, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr)
{
    status_set causes = range_causes(rig, gpa, size) | host_causes(rig, hpa, size);
    struct before before = look(rig);
    enum hvpt_status status;

    if (!setup_expresses(rig->setup, attr))
        causes |= bit(HVPT_E_ATTR);
    if (size != 0 && model_any(&rig->model, gpa, gpa + (size - 1)))
        causes |= bit(HVPT_E_EXISTS);
    status = rig->adapter->map(&rig->space, gpa, hpa, size, attr, flush_of(rig));
    judge(rig, "map", status, causes, before);
    if (status == HVPT_OK)
        model_insert(&rig->model, gpa, gpa + (size - 1), hpa, as_kept(rig, attr));
    return status;
}

enum hvpt_status rig_unmap(struct rig *rig, uint64_t gpa, uint64_t size)
{
    status_set causes = range_causes(rig, gpa, size);
    struct before before = look(rig);
    enum hvpt_status status = rig->adapter->unmap(&rig->space, gpa, size, flush_of(rig));

    judge(rig, "unmap", status, causes, before);
    if (status == HVPT_OK)
        model_remove(&rig->model, gpa, gpa + (size - 1));
    return status;
}

/* What a leaf says after protect. A and D are the hardware's, LOGGED is write_protect's: none is protect's to set. */
static struct hvpt_attr protected(struct hvpt_attr now, struct hvpt_attr attr, uint32_t mask)
{
    const uint32_t kept = HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED;
    uint32_t perm = mask & HVPT_PERM_ALL;

    now.perm = (now.perm & ~perm) | (attr.perm & perm);
    if (perm & HVPT_WRITE)
        now.flags &= ~(uint32_t)HVPT_LOGGED;
    if (mask & HVPT_CHANGE_MEMTYPE)
        now.memtype = attr.memtype;
    if (mask & HVPT_CHANGE_FLAGS)
        now.flags = (now.flags & kept) | (attr.flags & ~kept);
    if (mask & HVPT_CHANGE_SOFTWARE)
        now.software = attr.software;
    return now;
}

enum hvpt_status rig_protect(struct rig *rig, uint64_t gpa, uint64_t size, struct hvpt_attr attr, uint32_t mask)
{
    status_set causes = range_causes(rig, gpa, size);
    struct before before = look(rig);
    uint64_t last = gpa + (size - 1);
    struct model after = {0};
    enum hvpt_status status;
    size_t index, n;

    if (causes == 0) {
        if (!model_all(&rig->model, gpa, last))
            causes |= bit(HVPT_E_ABSENT);
        model_copy(&after, &rig->model);
        n = model_cut(&after, gpa, last, &index);
        for (size_t i = index; i < index + n; i++) {
            after.span[i].attr = protected(after.span[i].attr, attr, mask);
            if (!setup_expresses(rig->setup, after.span[i].attr))
                causes |= bit(HVPT_E_ATTR);
            after.span[i].attr = as_kept(rig, after.span[i].attr);
            if ((rig->setup->config.policy & HVPT_POLICY_EXEC_4K_ONLY)
                && (after.span[i].attr.perm & (HVPT_EXEC | HVPT_EXEC_USER)))
                for (uint64_t at = after.span[i].first; at < after.span[i].last; at += rig_page_size(rig, at))
                    if (rig_page_size(rig, at) > PAGE)
                        causes |= bit(HVPT_E_ATTR);
        }
    }
    status = rig->adapter->protect(&rig->space, gpa, size, attr, mask, flush_of(rig));
    judge(rig, "protect", status, causes, before);
    if (status == HVPT_OK) {
        model_tidy(&after);
        model_copy(&rig->model, &after);
    }
    model_free(&after);
    return status;
}

void rig_flush(struct rig *rig)
{
    rig->adapter->flush(&rig->space, &rig->flush);
    CHECK(!hvpt_flush_needed(&rig->flush), "flush left something owed");
    rig->owing = false;
    tlb_check(&rig->tlb);
    CHECK(memory_count(&rig->memory, FRAME_UNLINKED) == 0, "frames wait for no flush");
}

/* ---- the guest ---- */

void rig_touch(struct rig *rig, uint64_t gpa, unsigned access)
{
    struct cpu_translation seen, now;
    uint64_t hits = rig->tlb.hits;
    uint64_t first;

    tlb_access(&rig->tlb, gpa, access, &seen);
    if (seen.outcome != CPU_MAPPED || rig->tlb.hits != hits)
        return;
    /* The walk set A, and D for a write, if the processor does so; in the entry that is part of the tree, or in a dead one. */
    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, gpa, CPU_PROBE, &now);
    if (now.outcome != CPU_MAPPED || now.table[now.level] != seen.table[seen.level] || !(seen.accessed || seen.dirty))
        return;
    if (rig->cpu.features.kind == CPU_EPT && !rig->cpu.features.accessed_dirty)
        return;
    first = gpa & ~(now.page_size - 1);
    model_set_flags(&rig->model, first, first + (now.page_size - 1),
                    HVPT_ACCESSED | ((access & CPU_WRITE) ? (uint32_t)HVPT_DIRTY : 0));
}

uint64_t rig_page_size(struct rig *rig, uint64_t gpa)
{
    struct cpu_translation now;

    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, gpa, CPU_PROBE, &now);
    return now.outcome == CPU_MAPPED ? now.page_size : 0;
}

/* ---- comparing ---- */

static void compare_mapping(const struct rig *rig, uint64_t gpa, const struct span *span,
                            const struct hvpt_mapping *got)
{
    CHECK_EQ(got->hpa.value, span->hpa + (gpa - span->first), "hpa");
    CHECK_EQ(got->attr.perm & (rig->setup->two_exec ? 15 : 7), span->attr.perm, "perm");
    CHECK_EQ(got->attr.memtype, span->attr.memtype, "memtype");
    CHECK_EQ(got->attr.software, span->attr.software, "software");
    CHECK_EQ(got->attr.flags, span->attr.flags, "flags");
    CHECK(got->page_size == PAGE << (9 * got->level), "page size %#llx at level %u", (unsigned long long)got->page_size,
          got->level);
    CHECK(got->page_size <= setup_max_page(rig->setup), "page size %#llx above the cap",
          (unsigned long long)got->page_size);
}

void rig_compare(struct rig *rig, uint64_t gpa)
{
    const struct span *span = model_find(&rig->model, gpa);
    struct hvpt_mapping mapping;
    struct cpu_translation now;
    enum hvpt_status status = rig->adapter->translate(&rig->space, gpa, &mapping);

    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, gpa, CPU_PROBE, &now);
    CHECK(now.outcome != CPU_MISCONFIGURED, "%#llx: misconfigured, %s (%#llx at level %u)", (unsigned long long)gpa,
          now.rule, (unsigned long long)now.entry, now.level);
    CHECK(now.outcome != CPU_LOST, "%#llx: the walk left the tables", (unsigned long long)gpa);
    if (span == NULL) {
        CHECK(status == HVPT_E_ABSENT || gpa >= setup_gpa_limit(rig->setup),
              "%#llx: translate says \"%s\", should be absent", (unsigned long long)gpa, hvpt_status_text(status));
        CHECK(now.outcome == CPU_ABSENT, "%#llx: hardware finds a mapping, should be absent", (unsigned long long)gpa);
        return;
    }
    CHECK(status == HVPT_OK, "%#llx: translate says \"%s\", should be mapped", (unsigned long long)gpa,
          hvpt_status_text(status));
    compare_mapping(rig, gpa, span, &mapping);
    CHECK(now.outcome == CPU_MAPPED, "%#llx: hardware finds no mapping", (unsigned long long)gpa);
    CHECK_EQ(now.hpa, mapping.hpa.value, "hardware's hpa");
    CHECK_EQ(now.perm, span->attr.perm, "hardware's permissions");
    CHECK_EQ(now.memtype, x86_memtype(span->attr.memtype), "hardware's memory type");
    CHECK_EQ(now.page_size, mapping.page_size, "hardware's page size");
    CHECK_EQ(now.entry, mapping.entry, "the raw leaf");
}

static void recount(struct rig *rig)
{
    struct hvpt_stats told;
    struct hvpt_stats counted = {0};

    rig->adapter->stats(&rig->space, &told);
    for (uint32_t slot = 0; slot < rig->memory.slot_count; slot++) {
        const struct frame *frame = &rig->memory.frames[slot];
        unsigned present = 0;

        if (frame->state != FRAME_LINKED)
            continue;
        counted.tables[frame->level]++;
        for (unsigned i = 0; i < 512; i++) {
            if (!cpu_present(&rig->cpu, frame->virt[i]))
                continue;
            present++;
            if (cpu_is_leaf(&rig->cpu, frame->level, frame->virt[i]))
                counted.leaves[frame->level]++;
        }
        CHECK(present != 0 || rig->empty_tables_allowed || frame->level == rig->setup->cpu.levels - 1,
              "the table for %#llx at level %u is empty and was not reclaimed", (unsigned long long)frame->gpa,
              frame->level);
    }
    for (unsigned level = 0; level < HVPT_MAX_LEVELS; level++) {
        CHECK(told.leaves[level] == counted.leaves[level], "stats say %llu leaves at level %u, there are %llu",
              (unsigned long long)told.leaves[level], level, (unsigned long long)counted.leaves[level]);
        CHECK(told.tables[level] == counted.tables[level], "stats say %llu tables at level %u, there are %llu",
              (unsigned long long)told.tables[level], level, (unsigned long long)counted.tables[level]);
    }
    CHECK_EQ(told.frames, rig->memory.live, "frames held");
    CHECK_EQ(told.reserved, memory_count(&rig->memory, FRAME_NEW), "frames in reserve");
}

void rig_check(struct rig *rig)
{
    uint64_t limit = setup_gpa_limit(rig->setup);

    recount(rig);
    memory_check_contents(&rig->memory);
    rig_compare(rig, 0);
    rig_compare(rig, limit - 1);
    rig_compare(rig, limit);
    rig_compare(rig, UINT64_MAX);
    for (size_t i = 0; i < rig->model.count; i++) {
        const struct span *span = &rig->model.span[i];
        uint64_t size = span->last - span->first + 1;

        if (span->first != 0)
            rig_compare(rig, span->first - 1);
        rig_compare(rig, span->first);
        rig_compare(rig, span->first + random_below(&rig->random, size));
        rig_compare(rig, span->first + random_below(&rig->random, size));
        rig_compare(rig, span->last);
        rig_compare(rig, span->last + 1);
    }
    if (!rig->owing)
        tlb_check(&rig->tlb);
}

struct walk_check {
    struct rig *rig;
    uint64_t next; /* where the next leaf or hole must begin */
    uint64_t depth;
    uint64_t tables;
};

static bool on_leaf(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping)
{
    struct walk_check *check = ctx;
    const struct span *span = model_find(&check->rig->model, gpa.value);

    CHECK(gpa.value == check->next, "walk: leaf at %#llx, expected something at %#llx", (unsigned long long)gpa.value,
          (unsigned long long)check->next);
    CHECK(span != NULL, "walk: leaf at %#llx, which is not mapped", (unsigned long long)gpa.value);
    compare_mapping(check->rig, gpa.value, span, mapping);
    span = model_find(&check->rig->model, gpa.value + mapping->page_size - 1);
    CHECK(span != NULL, "walk: leaf at %#llx reaches into a hole", (unsigned long long)gpa.value);
    check->next = gpa.value + mapping->page_size;
    return true;
}

static bool on_hole(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level)
{
    struct walk_check *check = ctx;

    CHECK(gpa.value == check->next, "walk: hole at %#llx, expected something at %#llx", (unsigned long long)gpa.value,
          (unsigned long long)check->next);
    CHECK(size != 0 && size <= PAGE << (9 * level), "walk: a hole of %#llx at level %u", (unsigned long long)size,
          level);
    CHECK(!model_any(&check->rig->model, gpa.value, gpa.value + (size - 1)), "walk: %#llx is shown as a hole",
          (unsigned long long)gpa.value);
    check->next = gpa.value + size;
    return true;
}

static bool on_enter(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    struct walk_check *check = ctx;
    const struct frame *frame = memory_frame(&check->rig->memory, table.value);

    CHECK(frame != NULL && frame->state == FRAME_LINKED && frame->level == level && frame->gpa == gpa.value,
          "walk: enters %#llx as the table at level %u for %#llx", (unsigned long long)table.value, level,
          (unsigned long long)gpa.value);
    CHECK(level + 1 + check->depth == check->rig->setup->cpu.levels, "walk: level %u at depth %llu", level,
          (unsigned long long)check->depth);
    check->depth++;
    check->tables++;
    return true;
}

static bool on_leave(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    struct walk_check *check = ctx;
    const struct frame *frame = memory_frame(&check->rig->memory, table.value);

    CHECK(frame != NULL && frame->level == level && frame->gpa == gpa.value, "walk: leaves %#llx",
          (unsigned long long)table.value);
    check->depth--;
    CHECK(level + 1 + check->depth == check->rig->setup->cpu.levels, "walk: leaves level %u at depth %llu", level,
          (unsigned long long)check->depth);
    return true;
}

void rig_check_walk(struct rig *rig)
{
    struct walk_check check = {.rig = rig};
    struct hvpt_visitor visitor = {&check, on_leaf, on_hole, on_enter, on_leave};
    uint64_t limit = setup_gpa_limit(rig->setup);

    CHECK_STATUS(rig->adapter->walk(&rig->space, 0, limit, &visitor), HVPT_OK, "walk");
    CHECK_EQ(check.next, limit, "walk ends at");
    CHECK_EQ(check.depth, 0, "tables entered and not left");
    CHECK_EQ(check.tables, memory_count(&rig->memory, FRAME_LINKED), "tables shown");
}

struct hvpt_attr attr_of(uint32_t perm, enum hvpt_memtype memtype)
{
    struct hvpt_attr attr = {perm, memtype, 0, 0};

    return attr;
}

struct hvpt_attr attr_rwx(void)
{
    return attr_of(HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB);
}

struct hvpt_attr rig_data(const struct rig *rig)
{
    bool refusable = rig->setup->cpu.kind == CPU_EPT || rig->setup->cpu.no_execute;

    return attr_of(HVPT_READ | HVPT_WRITE | (refusable ? 0 : (uint32_t)HVPT_EXEC), HVPT_MEM_WB);
}
