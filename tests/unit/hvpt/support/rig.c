/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Foretelling, doing, comparing. What an operation should answer is derived from its contract and the model alone. */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

/* The smallest page of the rig that was opened last; a process has one at a time. */
static uint64_t smallest = HVPT_4K;

#define PAGE smallest

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

            if (frame->state == FRAME_LINKED && frame->pa < hpa + size && hpa < frame->pa + (HVPT_4K << frame->order))
                causes |= bit(HVPT_E_RANGE);
        }
    }
    return causes;
}

struct before {
    uint64_t live;
    uint64_t failures;
    uint64_t stores;
    uint64_t allocations;
    uint64_t reserved;
};

static uint64_t reserved(const struct rig *rig)
{
    struct hvpt_stats stats;

    rig->adapter->stats(&rig->space, &stats);
    return stats.reserved;
}

static struct before look(struct rig *rig)
{
    struct before before = {rig->memory.live, rig->memory.failures, rig->memory.stores, rig->memory.allocations,
                            reserved(rig)};

    return before;
}

static void judge(struct rig *rig, const char *what, enum hvpt_status got, status_set causes, struct before before)
{
    bool starved = rig->memory.failures != before.failures;

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

/* What frames_needed promised is what was taken, from the reserve and from the hook. */
static void check_taken(const struct rig *rig, enum hvpt_status status, uint64_t needed, struct before before)
{
    uint64_t taken = rig->memory.allocations - before.allocations + before.reserved - reserved(rig);

    CHECK(status != HVPT_OK || taken == needed, "%llu frames were taken, %llu said to be needed",
          (unsigned long long)taken, (unsigned long long)needed);
}

static struct hvpt_flush *flush_of(struct rig *rig)
{
    return rig->owing ? &rig->flush : NULL;
}

/* ---- life ---- */

void rig_open(struct rig *rig, const struct setup *setup)
{
    rig_open_with(rig, setup, 12);
}

static bool wants_break(const void *cpu, unsigned level, uint64_t old, uint64_t value)
{
    return cpu_wants_break(cpu, level, old, value);
}

void rig_open_with(struct rig *rig, const struct setup *setup, unsigned slots_log2)
{
    struct memory_options options = {.slots_log2 = slots_log2,
                                     .slot_order = setup_root_order(setup),
                                     .linear = setup->linear};
    unsigned shift = cpu_shift(&setup->cpu, 0);

    smallest = UINT64_C(1) << shift;
    memset(rig, 0, sizeof(*rig));
    check_context("%s", setup->name);
    rig->setup = setup;
    rig->adapter = setup->adapter;
    rig->random.state = 1;
    /* The topmost half of what the processor can address, so that no high bit may get lost. */
    options.phys_base = setup->linear ? UINT64_C(1) << 24 : UINT64_C(1) << (setup->cpu.maxphyaddr - 1);
    memory_open(&rig->memory, &options);
    cpu_init(&rig->cpu, &setup->cpu);
    rig->memory.flush_kind = setup_flush_kind(setup);
    CHECK_STATUS(rig->adapter->init(&rig->space, &rig->memory.hooks, &setup->config), HVPT_OK, "init");
    rig->memory.flush_root = rig->adapter->root(&rig->space);
    rig->memory.root_entries = 1u << (cpu_gpa_bits(&setup->cpu) - cpu_shift(&setup->cpu, setup->cpu.levels - 1));
    memory_track(&rig->memory, cpu_child, &rig->cpu, shift, shift - 3,
                 cpu_root_table(&rig->cpu, rig->memory.flush_root), setup->cpu.levels - 1);
    CHECK_EQ(rig->memory.flush_root, setup_root_register(setup, cpu_root_table(&rig->cpu, rig->memory.flush_root)),
             "the root register");
    if (setup->cpu.kind == CPU_S2)
        rig->memory.wants_break = wants_break;
    if (setup_joins(setup))
        rig->memory.set_agrees = cpu_set_agrees;
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

/* The entry that decides about gpa: what it covers, and whether a page is mapped there (aged ones included). */
static bool leaf_at(const struct rig *rig, uint64_t gpa, uint64_t *first, uint64_t *last)
{
    struct cpu_translation now;
    uint64_t size;

    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, gpa, CPU_PROBE, &now);
    size = UINT64_C(1) << cpu_shift(&rig->setup->cpu, now.level);
    *first = gpa & ~(size - 1);
    *last = *first + (size - 1);
    return model_find(&rig->model, gpa) != NULL;
}

/* What the library keeps of attributes that the format has only one execute bit for. */
static struct hvpt_attr as_kept(const struct rig *rig, struct hvpt_attr attr)
{
    if (!rig->setup->two_exec)
        attr.perm &= ~(uint32_t)HVPT_EXEC_USER;
    /* Where software keeps these bits, a page that may be written counts as written: its first write would fault. */
    if (setup_software_dirty(rig->setup) && (attr.perm & HVPT_WRITE))
        attr.flags |= HVPT_DIRTY;
    /* Stage 2 keeps a dirty state only if hardware does. */
    if (rig->setup->cpu.kind == CPU_S2 && !setup_keeps_dirty(rig->setup))
        attr.flags &= ~(uint32_t)HVPT_DIRTY;
    return attr;
}

/* The same of a page that is new: one whose use hardware does not note counts as used. */
static struct hvpt_attr as_mapped(const struct rig *rig, struct hvpt_attr attr)
{
    if (setup_software_accessed(rig->setup))
        attr.flags |= HVPT_ACCESSED;
    return as_kept(rig, attr);
}

/* What hardware lets the guest do with a page that says attr. */
static uint32_t hardware_perm(const struct rig *rig, struct hvpt_attr attr)
{
    if (setup_software_accessed(rig->setup) && !(attr.flags & HVPT_ACCESSED))
        return 0;
    if (setup_software_dirty(rig->setup) && !(attr.flags & HVPT_DIRTY))
        return attr.perm & ~(uint32_t)HVPT_WRITE;
    return attr.perm;
}

bool rig_agrees(const struct rig *rig, const struct span *span, uint64_t gpa, const struct cpu_translation *now)
{
    uint32_t perm;

    if (span == NULL || (span->attr.flags & MODEL_AGED))
        return now->outcome == CPU_ABSENT;
    if (now->outcome != CPU_MAPPED || now->hpa != span->hpa + (gpa - span->first)
        || now->memtype != x86_memtype(span->attr.memtype)
        || (rig->setup->cpu.c_bit != 0 && now->encrypted != ((span->attr.flags & HVPT_NPT_ENCRYPTED) != 0)))
        return false;
    perm = hardware_perm(rig, span->attr);
    /* In a run of joined pages one page's accessed and dirty bits are all pages'. */
    if (setup_joins(rig->setup))
        return (perm & ~now->perm) == 0 && now->rights == span->attr.perm;
    return now->perm == perm && now->rights == span->attr.perm;
}

enum hvpt_status rig_map(struct rig *rig, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr)
{
    status_set causes = range_causes(rig, gpa, size) | host_causes(rig, hpa, size);
    struct before before = look(rig);
    enum hvpt_status status, told;
    uint64_t needed = 0;

    if (!setup_expresses(rig->setup, attr))
        causes |= bit(HVPT_E_ATTR);
    if (size != 0 && model_any(&rig->model, gpa, gpa + (size - 1)))
        causes |= bit(HVPT_E_EXISTS);
    told = rig->adapter->map_needs(&rig->space, gpa, hpa, size, attr, &needed);
    CHECK(told == HVPT_OK ? causes == 0 : (causes & bit(told)) != 0, "frames_needed says \"%s\"",
          hvpt_status_text(told));
    status = rig->adapter->map(&rig->space, gpa, hpa, size, attr, flush_of(rig));
    judge(rig, "map", status, causes, before);
    check_taken(rig, status, needed, before);
    if (status == HVPT_OK)
        model_insert(&rig->model, gpa, gpa + (size - 1), hpa, as_mapped(rig, attr));
    return status;
}

enum hvpt_status rig_unmap(struct rig *rig, uint64_t gpa, uint64_t size)
{
    status_set causes = range_causes(rig, gpa, size);
    struct before before = look(rig);
    uint64_t needed = 0;
    enum hvpt_status status = rig->adapter->unmap_needs(&rig->space, gpa, size, &needed);

    CHECK(status == HVPT_OK ? causes == 0 : (causes & bit(status)) != 0, "frames_needed says \"%s\"",
          hvpt_status_text(status));
    status = rig->adapter->unmap(&rig->space, gpa, size, flush_of(rig));
    judge(rig, "unmap", status, causes, before);
    check_taken(rig, status, needed, before);
    if (status == HVPT_OK)
        model_remove(&rig->model, gpa, gpa + (size - 1));
    return status;
}

/* What a leaf says after protect. A and D are the hardware's, LOGGED is write_protect's: none is protect's to set. */
static struct hvpt_attr protected(struct hvpt_attr now, struct hvpt_attr attr, uint32_t mask)
{
    const uint32_t kept = HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED | MODEL_AGED;
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
            const struct hvpt_attr was = after.span[i].attr;
            struct hvpt_attr wanted = protected(was, attr, mask);

            after.span[i].attr = wanted;
            wanted.flags &= ~MODEL_AGED;
            if (!setup_expresses(rig->setup, wanted))
                causes |= bit(HVPT_E_ATTR);
            after.span[i].attr = as_kept(rig, after.span[i].attr);
            /* A page that could be written already is as clean as it was. */
            if (setup_software_dirty(rig->setup) && (was.perm & HVPT_WRITE))
                after.span[i].attr.flags =
                    (after.span[i].attr.flags & ~(uint32_t)HVPT_DIRTY) | (was.flags & HVPT_DIRTY);
            if ((rig->setup->config.policy & HVPT_POLICY_EXEC_4K_ONLY)
                && (after.span[i].attr.perm & (HVPT_EXEC | HVPT_EXEC_USER)))
                for (uint64_t at = after.span[i].first, begin, end;
                     at - after.span[i].first <= after.span[i].last - after.span[i].first; at = end + 1)
                    if (leaf_at(rig, at, &begin, &end) && end - begin >= PAGE)
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

enum hvpt_status rig_replace(struct rig *rig, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr)
{
    status_set causes = range_causes(rig, gpa, size) | host_causes(rig, hpa, size);
    struct before before = look(rig);
    enum hvpt_status status;

    if (!setup_expresses(rig->setup, attr))
        causes |= bit(HVPT_E_ATTR);
    if (causes == 0 && !model_all(&rig->model, gpa, gpa + (size - 1)))
        causes |= bit(HVPT_E_ABSENT);
    status = rig->adapter->replace(&rig->space, gpa, hpa, size, attr, flush_of(rig));
    judge(rig, "replace", status, causes, before);
    if (status == HVPT_OK) {
        model_remove(&rig->model, gpa, gpa + (size - 1));
        model_insert(&rig->model, gpa, gpa + (size - 1), hpa, as_mapped(rig, attr));
    }
    return status;
}

static bool is_page_size(const struct rig *rig, uint64_t size)
{
    for (unsigned level = 0; level < 3; level++)
        if (size == UINT64_C(1) << cpu_shift(&rig->setup->cpu, level))
            return true;
    return false;
}

enum hvpt_status rig_fault_map(struct rig *rig, uint64_t gpa, uint64_t hpa, uint64_t page_size, struct hvpt_attr attr)
{
    bool is_size = is_page_size(rig, page_size);
    status_set causes = host_causes(rig, hpa, page_size) & bit(HVPT_E_RANGE);
    struct before before = look(rig);
    enum hvpt_status status;

    if (!is_size || page_size > setup_max_page(rig->setup) || !setup_expresses(rig->setup, attr)
        || ((rig->setup->config.policy & HVPT_POLICY_EXEC_4K_ONLY) && (attr.perm & (HVPT_EXEC | HVPT_EXEC_USER))
            && page_size > PAGE))
        causes |= bit(HVPT_E_ATTR);
    if (is_size) {
        causes |= range_causes(rig, gpa, page_size);
        if ((gpa | hpa) % page_size != 0)
            causes |= bit(HVPT_E_ALIGN);
        if (causes == 0 && model_any(&rig->model, gpa, gpa + (page_size - 1)))
            causes |= bit(HVPT_E_EXISTS);
    }
    status = rig->adapter->fault_map(&rig->space, gpa, hpa, page_size, attr);
    judge(rig, "fault_map", status, causes, before);
    if (status == HVPT_OK) {
        model_insert(&rig->model, gpa, gpa + (page_size - 1), hpa, as_mapped(rig, attr));
        CHECK_EQ(rig_page_size(rig, gpa), page_size, "the page that fault_map made");
    }
    return status;
}

enum hvpt_status rig_split(struct rig *rig, uint64_t gpa, uint64_t size, uint64_t page_size)
{
    status_set causes = range_causes(rig, gpa, size);
    struct before before = look(rig);
    uint64_t needed = 0;
    enum hvpt_status status;

    /* What page sizes a format has is more than leaves can be: a size of its geometry that no leaf has changes nothing. */
    if (!is_page_size(rig, page_size))
        causes |= bit(HVPT_E_ALIGN);
    status = rig->adapter->split_needs(&rig->space, gpa, size, page_size, &needed);
    CHECK(status == HVPT_OK ? causes == 0 : (causes & bit(status)) != 0, "frames_needed says \"%s\"",
          hvpt_status_text(status));
    status = rig->adapter->split(&rig->space, gpa, size, page_size, flush_of(rig));
    judge(rig, "split", status, causes, before);
    check_taken(rig, status, needed, before);
    for (uint64_t at = gpa, first, last; status == HVPT_OK && at - gpa < size; at = last + 1)
        if (leaf_at(rig, at, &first, &last))
            CHECK(last - first < page_size, "%#llx still lies in a page of %#llx", (unsigned long long)at,
                  (unsigned long long)(last - first + 1));
    return status;
}

/* Could [first, first + size) be one page? */
static bool uniform(const struct rig *rig, uint64_t first, uint64_t size)
{
    const struct span *span = model_find(&rig->model, first);
    const uint32_t hardware = HVPT_ACCESSED | HVPT_DIRTY;

    if (span == NULL || size > setup_max_page(rig->setup) || (span->hpa + (first - span->first)) % size != 0
        || ((rig->setup->config.policy & HVPT_POLICY_EXEC_4K_ONLY) && (span->attr.perm & (HVPT_EXEC | HVPT_EXEC_USER))))
        return false;
    for (uint64_t at = span->last + 1; at - first < size; at = span->last + 1) {
        const struct span *next = model_find(&rig->model, at);

        if (next == NULL || next->hpa != span->hpa + (at - span->first) || next->attr.perm != span->attr.perm
            || next->attr.memtype != span->attr.memtype || next->attr.software != span->attr.software
            || ((next->attr.flags ^ span->attr.flags) & ~hardware))
            return false;
        span = next;
    }
    return true;
}

/* After a collapse no table is left in the range that could be a leaf; a leaf has the accessed and dirty state of all its parts. */
static void check_collapsed(struct rig *rig, uint64_t gpa, uint64_t size)
{
    uint64_t first, last;

    for (uint64_t at = gpa; at - gpa < size; at = last + 1) {
        size_t index, n;
        uint32_t hardware = 0;

        if (!leaf_at(rig, at, &first, &last))
            continue;
        n = model_cut(&rig->model, first, last, &index);
        for (size_t i = index; i < index + n; i++)
            hardware |= rig->model.span[i].attr.flags & (HVPT_ACCESSED | HVPT_DIRTY);
        model_set_flags(&rig->model, first, last, hardware);
        for (uint64_t larger = (last - first + 1) * (PAGE / 8); larger <= setup_max_page(rig->setup);
             larger *= PAGE / 8) {
            uint64_t start = first & ~(larger - 1);

            if (start >= gpa && start + (larger - 1) <= gpa + (size - 1))
                CHECK(!uniform(rig, start, larger), "%#llx could be a page of %#llx", (unsigned long long)start,
                      (unsigned long long)larger);
        }
    }
}

enum hvpt_status rig_collapse(struct rig *rig, uint64_t gpa, uint64_t size)
{
    struct hvpt_collapse_report report;
    status_set causes = range_causes(rig, gpa, size);
    struct before before = look(rig);
    enum hvpt_status status = rig->adapter->collapse(&rig->space, gpa, size, flush_of(rig), &report);

    if (status == HVPT_OK && causes == 0)
        check_collapsed(rig, gpa, size);
    judge(rig, "collapse", status, causes, before);
    if (status == HVPT_OK)
        CHECK((report.kept == 0) == (report.obstacle == HVPT_OBSTACLE_NONE), "%llu tables stayed because of \"%s\"",
              (unsigned long long)report.kept, hvpt_obstacle_text(report.obstacle));
    return status;
}

/* What age and dirty do to a page, by the contract: is it reported, and what does it become? */
static bool harvested(const struct rig *rig, bool dirty, struct hvpt_attr *attr)
{
    bool by_hardware = dirty ? setup_keeps_dirty(rig->setup) : setup_keeps_accessed(rig->setup);
    uint32_t flag = dirty ? HVPT_DIRTY : HVPT_ACCESSED;

    if (by_hardware) {
        if (!(attr->flags & flag))
            return false;
        attr->flags &= ~flag;
        return true;
    }
    if (dirty) {
        if (!(attr->perm & HVPT_WRITE))
            return false;
        attr->perm &= ~(uint32_t)HVPT_WRITE;
        attr->flags |= HVPT_LOGGED;
        return true;
    }
    if (attr->flags & MODEL_AGED)
        return false;
    attr->flags |= MODEL_AGED;
    return true;
}

static enum hvpt_status harvest(struct rig *rig, uint64_t gpa, uint64_t size, bool dirty)
{
    status_set causes = range_causes(rig, gpa, size);
    struct before before = look(rig);
    uint64_t words = causes == 0 ? (size / PAGE + 63) / 64 + 1 : 1;
    uint64_t *wanted = calloc(words, 8);
    uint64_t *got = calloc(words, 8);
    enum hvpt_status status;
    struct model after = {0};
    uint64_t first, last;

    CHECK(wanted != NULL && got != NULL, "out of memory");
    /* Bits that are set stay set, and the word behind the range is none of the call's. */
    got[0] = wanted[0] = causes == 0 && size > 3 * PAGE ? 4 : 0;
    got[words - 1] |= UINT64_C(1) << 63;
    wanted[words - 1] |= UINT64_C(1) << 63;
    model_copy(&after, &rig->model);
    for (uint64_t at = gpa; causes == 0 && at - gpa < size; at = last + 1) {
        struct hvpt_attr attr;
        size_t index, n;

        if (!leaf_at(rig, at, &first, &last))
            continue;
        attr = model_find(&rig->model, at)->attr;
        if (!harvested(rig, dirty, &attr))
            continue;
        for (uint64_t page = first > gpa ? first : gpa; page < last && page - gpa < size; page += PAGE)
            wanted[(page - gpa) / PAGE / 64] |= UINT64_C(1) << ((page - gpa) / PAGE % 64);
        if (first < gpa || last > gpa + (size - 1))
            continue;
        n = model_cut(&after, first, last, &index);
        for (size_t i = index; i < index + n; i++)
            (void)harvested(rig, dirty, &after.span[i].attr);
    }
    status = dirty ? rig->adapter->dirty(&rig->space, gpa, size, got, flush_of(rig))
                   : rig->adapter->age(&rig->space, gpa, size, got, flush_of(rig));
    if (status == HVPT_OK) {
        model_tidy(&after);
        model_copy(&rig->model, &after);
    }
    judge(rig, dirty ? "dirty" : "age", status, causes, before);
    for (uint64_t i = 0; i < words; i++)
        CHECK(setup_joins(rig->setup) ? (wanted[i] & ~got[i]) == 0 : got[i] == wanted[i],
              "%s: word %llu is %#llx, should be %#llx", dirty ? "dirty" : "age", (unsigned long long)i,
              (unsigned long long)got[i], (unsigned long long)wanted[i]);
    model_free(&after);
    free(wanted);
    free(got);
    return status;
}

enum hvpt_status rig_age(struct rig *rig, uint64_t gpa, uint64_t size)
{
    return harvest(rig, gpa, size, false);
}

enum hvpt_status rig_dirty(struct rig *rig, uint64_t gpa, uint64_t size)
{
    return harvest(rig, gpa, size, true);
}

enum hvpt_status rig_write_protect(struct rig *rig, uint64_t gpa, uint64_t size)
{
    status_set causes = range_causes(rig, gpa, size);
    struct before before = look(rig);
    enum hvpt_status status;
    size_t index, n;

    /* A page that may only be written (stage 2) would have no right left. */
    for (size_t i = 0; causes == 0 && i < rig->model.count; i++)
        if (!(rig->model.span[i].attr.perm & ~(uint32_t)HVPT_WRITE) && rig->model.span[i].last >= gpa
            && rig->model.span[i].first <= gpa + (size - 1))
            causes = bit(HVPT_E_ATTR);
    status = rig->adapter->write_protect(&rig->space, gpa, size, flush_of(rig));
    judge(rig, "write_protect", status, causes, before);
    if (status != HVPT_OK)
        return status;
    n = model_cut(&rig->model, gpa, gpa + (size - 1), &index);
    for (size_t i = index; i < index + n; i++) {
        struct hvpt_attr *attr = &rig->model.span[i].attr;

        if (attr->perm & HVPT_WRITE)
            attr->flags |= HVPT_LOGGED;
        attr->perm &= ~(uint32_t)HVPT_WRITE;
        *attr = as_kept(rig, *attr);
    }
    model_tidy(&rig->model);
    return status;
}

enum hvpt_status rig_reserve(struct rig *rig, uint64_t frames)
{
    struct before before = look(rig);
    enum hvpt_status status = rig->adapter->reserve(&rig->space, frames);

    judge(rig, "reserve", status, 0, before);
    if (status == HVPT_OK)
        CHECK(frames == 0 ? reserved(rig) == 0 : reserved(rig) >= frames, "%llu frames in reserve, %llu asked for",
              (unsigned long long)reserved(rig), (unsigned long long)frames);
    return status;
}

enum hvpt_status rig_fault(struct rig *rig, uint64_t gpa, uint32_t access)
{
    struct before before = look(rig);
    const struct span *span = model_find(&rig->model, gpa);
    struct hvpt_attr attr = {0};
    uint32_t marks = 0;
    status_set causes = 0;
    enum hvpt_status status;
    uint64_t first, last;
    size_t index, n;

    if (gpa >= setup_gpa_limit(rig->setup))
        causes |= bit(HVPT_E_RANGE);
    else if (span == NULL)
        causes |= bit(HVPT_E_ABSENT);
    else {
        attr = span->attr;
        attr.flags &= ~MODEL_AGED;
        if (access == HVPT_WRITE && (attr.flags & HVPT_LOGGED)) {
            attr.flags &= ~(uint32_t)HVPT_LOGGED;
            attr.perm |= HVPT_WRITE;
            if (rig->setup->cpu.hardware_dirty_state)
                marks |= HVPT_DIRTY;
        }
        /* Where the library may say so without lying: the guest is about to do it. */
        if (rig->setup->cpu.kind == CPU_GSTAGE || rig->setup->cpu.kind == CPU_S2)
            marks |= HVPT_ACCESSED;
        if (rig->setup->cpu.kind == CPU_GSTAGE && access == HVPT_WRITE)
            marks |= HVPT_DIRTY;
        if (!(attr.perm & access))
            causes |= bit(HVPT_E_ATTR);
        /* A page that lacks nothing: the fault had another cause, and an answer of its own tells the handler. */
        else if (attr.perm == span->attr.perm && attr.flags == span->attr.flags) {
            if ((attr.flags & marks) == marks)
                causes |= bit(HVPT_E_NOTHING);
            else if (setup_joins(rig->setup)) /* the mark may be at any page of a contiguous set */
                causes |= bit(HVPT_E_NOTHING) | bit(HVPT_OK);
        }
    }
    (void)leaf_at(rig, gpa, &first, &last);
    status = rig->adapter->touch(&rig->space, gpa, access);
    if (status == HVPT_OK && (causes & ~(status_set)bit(HVPT_E_NOTHING) & ~(status_set)bit(HVPT_OK)) == 0) {
        n = model_cut(&rig->model, first, last, &index);
        for (size_t i = index; i < index + n; i++) {
            rig->model.span[i].attr.perm = attr.perm;
            rig->model.span[i].attr.flags = (rig->model.span[i].attr.flags & (HVPT_ACCESSED | HVPT_DIRTY))
                                          | (attr.flags & ~(uint32_t)(HVPT_ACCESSED | HVPT_DIRTY)) | marks;
        }
        model_tidy(&rig->model);
    }
    judge(rig, "touch", status, causes, before);
    return status;
}

void rig_adopt(struct rig *rig)
{
    uint64_t root = rig->adapter->root(&rig->space);
    struct any_config config = rig->setup->config;

    rig_flush(rig);
    CHECK_STATUS(rig_reserve(rig, 0), HVPT_OK, "reserve");
    memset(&rig->space, 0x5a, sizeof(rig->space));
    config.policy |= HVPT_POLICY_OWN_MARKS;
    CHECK_STATUS(rig->adapter->adopt(&rig->space, &rig->memory.hooks, &config, root, false), HVPT_OK, "adopt");
    CHECK_EQ(rig->adapter->root(&rig->space), root, "the root after adoption");
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
    uint32_t flags = 0;

    tlb_access(&rig->tlb, gpa, access, &seen);
    if (seen.outcome != CPU_MAPPED || rig->tlb.hits != hits)
        return;
    /* The walk set A, and D for a write, if the processor does so; in the entry that is part of the tree, or in a dead one. */
    cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, gpa, CPU_PROBE, &now);
    if (now.outcome != CPU_MAPPED || now.table[now.level] != seen.table[seen.level] || !(seen.accessed || seen.dirty))
        return;
    if (cpu_marks_accessed(&rig->setup->cpu))
        flags |= HVPT_ACCESSED;
    if (cpu_marks_dirty(&rig->setup->cpu) && (access & CPU_WRITE))
        flags |= HVPT_DIRTY;
    first = gpa & ~(now.page_size - 1);
    model_set_flags(&rig->model, first, first + (now.page_size - 1), flags);
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
    if (setup_joins(rig->setup)) {
        uint32_t more = got->attr.flags & ~(span->attr.flags & ~MODEL_AGED);

        CHECK((more & ~(uint32_t)(HVPT_ACCESSED | HVPT_DIRTY | HVPT_JOINED)) == 0
                  && (span->attr.flags & ~MODEL_AGED & ~got->attr.flags) == 0,
              "flags %x, should be %x", got->attr.flags, span->attr.flags);
    } else {
        CHECK_EQ(got->attr.flags, span->attr.flags & ~MODEL_AGED, "flags");
    }
    CHECK(got->page_size == UINT64_C(1) << cpu_shift(&rig->setup->cpu, got->level), "page size %#llx at level %u",
          (unsigned long long)got->page_size, got->level);
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
    if (span->attr.flags & MODEL_AGED) {
        CHECK(now.outcome == CPU_ABSENT, "%#llx: hardware still uses an aged page", (unsigned long long)gpa);
        return;
    }
    CHECK(now.outcome == CPU_MAPPED, "%#llx: hardware finds no mapping", (unsigned long long)gpa);
    CHECK_EQ(now.hpa, mapping.hpa.value, "hardware's hpa");
    CHECK_EQ(now.rights, span->attr.perm, "the entries' permissions");
    CHECK(rig_agrees(rig, span, gpa, &now), "%#llx: hardware allows %x of %x", (unsigned long long)gpa, now.perm,
          span->attr.perm);
    CHECK_EQ(now.joined, (mapping.attr.flags & HVPT_JOINED) != 0, "joined");
    CHECK_EQ(now.memtype, x86_memtype(span->attr.memtype), "hardware's memory type");
    CHECK_EQ(now.page_size, mapping.page_size, "hardware's page size");
    CHECK_EQ(now.entry, mapping.entry, "the raw leaf");
}

void rig_recount(struct rig *rig)
{
    struct hvpt_stats told;
    struct hvpt_stats counted = {0};
    unsigned root = 1u << (cpu_gpa_bits(&rig->setup->cpu) - cpu_shift(&rig->setup->cpu, rig->setup->cpu.levels - 1));

    rig->adapter->stats(&rig->space, &told);
    for (uint32_t slot = 0; slot < rig->memory.slot_count; slot++) {
        const struct frame *frame = &rig->memory.frames[slot];
        unsigned present = 0;

        if (frame->state != FRAME_LINKED)
            continue;
        counted.tables[frame->level]++;
        for (unsigned i = 0; i < (frame->level == rig->setup->cpu.levels - 1 ? root : 512u << frame->order); i++) {
            if (frame->virt[i] == 0)
                continue; /* empty for every CPU, and most are */
            /* What hardware takes for empty is empty, or a page whose rights age took. */
            bool aged = rig->setup->cpu.kind == CPU_EPT && (frame->virt[i] & ~(UINT64_C(1) << 63)) != 0;

            if (!cpu_present(&rig->cpu, frame->virt[i]) && !aged)
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

    rig_recount(rig);
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
    CHECK(size != 0 && size <= UINT64_C(1) << cpu_shift(&check->rig->setup->cpu, level),
          "walk: a hole of %#llx at level %u", (unsigned long long)size, level);
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

static void check_iterator(struct rig *rig)
{
    struct hvpt_leaf_iterator iterator = hvpt_leaves(hvpt_make_gpa(0), setup_gpa_limit(rig->setup));
    struct hvpt_mapping mapping;
    uint64_t next = 0;
    hvpt_gpa gpa;

    while (rig->adapter->next_leaf(&rig->space, &iterator, &gpa, &mapping)) {
        const struct span *span = model_find(&rig->model, gpa.value);

        CHECK(gpa.value >= next && span != NULL, "the iterator shows a leaf at %#llx", (unsigned long long)gpa.value);
        if (next < gpa.value)
            CHECK(!model_any(&rig->model, next, gpa.value - 1), "the iterator left out a leaf before %#llx",
                  (unsigned long long)gpa.value);
        compare_mapping(rig, gpa.value, span, &mapping);
        next = gpa.value + mapping.page_size;
    }
    CHECK_STATUS(iterator.status, HVPT_OK, "the iterator's end");
    CHECK(!model_any(&rig->model, next, UINT64_MAX), "the iterator ended at %#llx", (unsigned long long)next);
}

static void check_batch(struct rig *rig)
{
    hvpt_gpa gpa[61];
    struct hvpt_mapping many[61], one;
    enum hvpt_status status[61];

    for (unsigned i = 0; i < 61; i++) {
        gpa[i].value = random_next(&rig->random) >> (i % 20);
        if (i % 7 != 0 && rig->model.count != 0) {
            const struct span *span = &rig->model.span[i % rig->model.count];

            gpa[i].value =
                i % 3 == 0 ? span->last + 1 : span->first + random_below(&rig->random, span->last - span->first);
        }
    }
    rig->adapter->translate_batch(&rig->space, gpa, 61, many, status);
    for (unsigned i = 0; i < 61; i++) {
        CHECK_STATUS(status[i], rig->adapter->translate(&rig->space, gpa[i].value, &one), "a batch against one");
        if (status[i] == HVPT_OK)
            CHECK(many[i].hpa.value == one.hpa.value && many[i].entry == one.entry && many[i].attr.perm == one.attr.perm
                      && many[i].page_size == one.page_size,
                  "a batch translates %#llx to %#llx", (unsigned long long)gpa[i].value,
                  (unsigned long long)many[i].hpa.value);
    }
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
    check_iterator(rig);
    check_batch(rig);
    memory_check_free(&rig->memory);
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
    bool refusable = rig->setup->cpu.kind != CPU_NPT || rig->setup->cpu.no_execute;

    return attr_of(HVPT_READ | HVPT_WRITE | (refusable ? 0 : (uint32_t)HVPT_EXEC), HVPT_MEM_WB);
}

uint32_t rig_software(const struct rig *rig, uint32_t number)
{
    return number & setup_software_max(rig->setup);
}

enum hvpt_memtype rig_uncached(const struct rig *rig)
{
    return setup_expresses(rig->setup, attr_of(HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_UC)) ? HVPT_MEM_UC
                                                                                                 : HVPT_MEM_WB;
}
