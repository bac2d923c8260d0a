/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Tables that others made, taken over: what they keep in bits that hardware ignores gives nobody a permission, tables that
 * are linked twice are refused, and nothing is written before all is known. What hardware makes of an entry is the model
 * processor's answer.
 */
#include "support/rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define PAGE HVPT_4K
#define HOST UINT64_C(0x100000000)
#define BASE (4 * HVPT_1G)

static void must(enum hvpt_status status)
{
    CHECK_STATUS(status, HVPT_OK, "a step of the case");
}

#define GENERIC(name)                                 \
    static void name(struct rig *rig);                \
    Test(adopt, name)                                 \
    {                                                 \
        for (size_t i = 0; i < setup_count; i++) {    \
            struct rig rig;                           \
                                                      \
            rig_open(&rig, &setups[i]);               \
            name(&rig);                               \
            rig.memory.destroying = true;             \
            rig.adapter->destroy(&rig.space);         \
            memory_close(&rig.memory);                \
            model_free(&rig.model);                   \
        }                                             \
    }                                                 \
    static void name(struct rig *rig)

static struct cpu_translation way_to(const struct rig *rig, uint64_t gpa)
{
    struct cpu_translation way;

    cpu_walk(&rig->cpu, &rig->memory, rig->memory.flush_root, gpa, CPU_PROBE, &way);
    return way;
}

/* What hardware does with the page is the same as of was; accessed and dirty bits are hardware's own. */
static bool same(const struct cpu_translation *was, const struct cpu_translation *now)
{
    return was->outcome == now->outcome && was->hpa == now->hpa && was->perm == now->perm && was->rights == now->rights
        && was->memtype == now->memtype && was->page_size == now->page_size && was->accessed == now->accessed
        && was->dirty == now->dirty && was->ignore_pat == now->ignore_pat && was->encrypted == now->encrypted
        && was->joined == now->joined;
}

static enum hvpt_status adopt(struct rig *rig, struct hvpt_space *space, uint32_t policy, bool readonly)
{
    struct any_config config = rig->setup->config;

    config.policy |= policy;
    return rig->adapter->adopt(space, &rig->memory.hooks, &config, rig->memory.flush_root, readonly);
}

/* Every bit of a leaf and of an empty entry that hardware ignores, whoever keeps what there. */
GENERIC(what_others_keep_in_ignored_bits_gives_nobody_a_permission)
{
    struct hvpt_attr reads = rig_data(rig);

    reads.perm &= ~(uint32_t)HVPT_WRITE;
    must(rig_map(rig, BASE, HOST + PAGE, PAGE, reads));
    for (unsigned empty = 0; empty < 2; empty++) {
        const uint64_t gpa = BASE + empty * PAGE;
        const struct cpu_translation clean = way_to(rig, gpa);
        struct frame *frame = clean.table[0];
        const unsigned index = clean.index[0];
        const uint64_t old = frame->virt[index];

        for (unsigned bit = 0; bit < 64; bit++) {
            struct cpu_translation way;
            struct hvpt_mapping mapping;
            struct hvpt_space space;
            enum hvpt_status status;

            memory_poke(frame, index, old ^ UINT64_C(1) << bit);
            way = way_to(rig, gpa);
            if (!same(&clean, &way) || way.level != 0) {
                memory_poke(frame, index, old);
                continue;
            }
            check_context("%s, %s entry, bit %u", rig->setup->name, empty ? "an empty" : "a present", bit);
            must(adopt(rig, &space, 0, false));
            status = rig->adapter->translate(&space, gpa, &mapping);
            CHECK_STATUS(status, empty ? HVPT_E_ABSENT : HVPT_OK, "translate");
            if (!empty)
                CHECK(!(mapping.attr.perm & HVPT_WRITE) && !(mapping.attr.flags & HVPT_LOGGED), "%x, flags %x",
                      mapping.attr.perm, mapping.attr.flags);
            status = rig->adapter->touch(&space, gpa, HVPT_WRITE);
            CHECK_STATUS(status, empty ? HVPT_E_ABSENT : HVPT_E_ATTR, "touch");
            way = way_to(rig, gpa);
            CHECK(same(&clean, &way), "hardware sees another page");
            if (empty) {
                must(rig->adapter->fault_map(&space, gpa, HOST, PAGE, reads));
                must(rig->adapter->unmap(&space, gpa, PAGE, NULL));
            }
            memory_poke(frame, index, old);
        }
    }
    check_context("%s", rig->setup->name);
}

/* For reading nothing can be cleared, so it is not looked at. */
GENERIC(a_reader_does_not_take_others_bits_for_marks)
{
    struct hvpt_attr reads = rig_data(rig);
    struct cpu_translation clean, way;
    uint64_t old, stores;

    reads.perm &= ~(uint32_t)HVPT_WRITE;
    must(rig_map(rig, BASE, HOST + PAGE, PAGE, reads));
    clean = way_to(rig, BASE);
    old = clean.entry;
    stores = rig->memory.stores;
    for (unsigned bit = 0; bit < 64; bit++) {
        struct hvpt_mapping mapping;
        struct hvpt_space space;

        memory_poke(clean.table[0], clean.index[0], old ^ UINT64_C(1) << bit);
        way = way_to(rig, BASE);
        if (same(&clean, &way)) {
            must(adopt(rig, &space, 0, true));
            must(rig->adapter->translate(&space, BASE, &mapping));
            CHECK(!(mapping.attr.flags & HVPT_LOGGED) && (mapping.attr.flags & HVPT_DIRTY ? clean.dirty : true),
                  "bit %u: flags %x", bit, mapping.attr.flags);
        }
        memory_poke(clean.table[0], clean.index[0], old);
    }
    CHECK_EQ(rig->memory.stores, stores, "stores");
}

/* What this library took from a page comes back after a restart, if it is told that the tables are its own. */
GENERIC(own_marks_are_kept_where_the_tables_are_said_to_be_ones_own)
{
    struct hvpt_attr attr = rig_data(rig);
    struct hvpt_mapping mapping;
    struct hvpt_space space;

    must(rig_map(rig, BASE, HOST, 2 * PAGE, attr));
    must(rig_write_protect(rig, BASE, PAGE));
    must(adopt(rig, &space, HVPT_POLICY_OWN_MARKS, true));
    must(rig->adapter->translate(&space, BASE, &mapping));
    CHECK(mapping.attr.flags & HVPT_LOGGED, "a reader was told that the marks are this library's");
    must(adopt(rig, &space, HVPT_POLICY_OWN_MARKS, false));
    must(rig->adapter->touch(&space, BASE, HVPT_WRITE));
    must(rig->adapter->translate(&space, BASE, &mapping));
    CHECK(mapping.attr.perm & HVPT_WRITE, "the permission did not come back");
    must(rig->adapter->write_protect(&space, BASE, PAGE, NULL));
    must(adopt(rig, &space, 0, false));
    CHECK_STATUS(rig->adapter->touch(&space, BASE, HVPT_WRITE), HVPT_E_ATTR, "touch of what is others'");
}

/* HVPT_POLICY_GUARD_TABLES knows the tables that others made. */
GENERIC(adopted_tables_are_guarded)
{
    struct hvpt_space space;
    unsigned tables = 0;

    must(rig_map(rig, BASE, HOST, PAGE, rig_data(rig)));
    must(adopt(rig, &space, HVPT_POLICY_GUARD_TABLES | HVPT_POLICY_OWN_MARKS, false));
    for (uint32_t slot = 0; slot < rig->memory.slot_count; slot++) {
        const struct frame *frame = &rig->memory.frames[slot];

        if (frame->state != FRAME_LINKED)
            continue;
        tables++;
        CHECK_STATUS(rig->adapter->map(&space, BASE + PAGE, frame->pa, PAGE, rig_data(rig), NULL), HVPT_E_RANGE, "map");
    }
    CHECK(tables > 2, "%u tables", tables);
    must(rig->adapter->map(&space, BASE + PAGE, HOST, PAGE, rig_data(rig), NULL));
}

/* The first page carries a mark, the last one is broken: neither is written. */
GENERIC(an_adoption_that_fails_has_written_nothing)
{
    const uint64_t reserved = rig->setup->cpu.kind == CPU_GSTAGE ? UINT64_C(1) << 54 : UINT64_C(1)
                                                                                           << rig->setup->cpu.maxphyaddr;
    struct cpu_translation first, last;
    struct hvpt_space space;
    uint64_t stores, live;

    if (rig->setup->cpu.kind == CPU_S2 || (rig->setup->cpu.kind != CPU_GSTAGE && rig->setup->cpu.maxphyaddr == 52))
        return;
    must(rig_map(rig, BASE, HOST + PAGE, 2 * PAGE, rig_data(rig)));
    must(rig_write_protect(rig, BASE, PAGE));
    must(rig_map(rig, BASE + HVPT_1G, HOST + PAGE, PAGE, rig_data(rig)));
    first = way_to(rig, BASE);
    last = way_to(rig, BASE + HVPT_1G);
    memory_poke(last.table[0], last.index[0], last.entry | reserved);
    stores = rig->memory.stores;
    live = rig->memory.live;
    CHECK_STATUS(adopt(rig, &space, 0, false), HVPT_E_CORRUPT, "adopt");
    CHECK_EQ(rig->memory.stores, stores, "stores");
    CHECK_EQ(rig->memory.live, live, "frames");
    CHECK_EQ(first.table[0]->virt[first.index[0]], first.entry, "the first entry");
    memory_poke(last.table[0], last.index[0], last.entry);
}

/* The entry at level on this way becomes link, and nobody takes such tables, whether there are frames or not. */
static void refused_with(struct rig *rig, const struct cpu_translation *from, unsigned level, uint64_t link,
                         const char *what)
{
    const uint64_t old = from->table[level]->virt[from->index[level]];
    uint64_t stores = rig->memory.stores, live = rig->memory.live;

    memory_poke(from->table[level], from->index[level], link);
    for (unsigned starved = 0; starved < 2; starved++) {
        struct hvpt_space space;

        rig->memory.fail_at = starved;
        rig->memory.fail_forever = starved != 0;
        CHECK_STATUS(adopt(rig, &space, 0, false), HVPT_E_CORRUPT, what);
    }
    rig->memory.fail_at = 0;
    rig->memory.fail_forever = false;
    memory_poke(from->table[level], from->index[level], old);
    CHECK_EQ(rig->memory.stores, stores, "stores");
    CHECK_EQ(rig->memory.live, live, "frames");
}

/* Destroy would free it twice. */
GENERIC(a_table_that_is_linked_twice_is_not_adopted)
{
    struct cpu_translation one, other;
    struct hvpt_space space;
    uint64_t link, held[512];

    /* More tables than the search has room for at once, with one frame from the hook and without. */
    for (unsigned i = 0; i < 600; i++)
        must(rig_map(rig, BASE + i * HVPT_2M, HOST + PAGE, PAGE, rig_data(rig)));
    must(rig_map(rig, 0, HOST + PAGE, PAGE, rig_data(rig)));
    for (unsigned i = 0; i < 600; i += 37) {
        one = way_to(rig, 0);
        other = way_to(rig, BASE + i * HVPT_2M);
        refused_with(rig, &one, 1, other.table[1]->virt[other.index[1]], "a table of pages, twice");
    }
    for (uint64_t piece = 0; piece < PAGE << setup_root_order(rig->setup); piece += PAGE) { /* a part of the root below it */
        struct cpu_translation way = way_to(rig, 0);
        uint64_t old = way.table[1]->virt[way.index[1]], root = cpu_root_table(&rig->cpu, rig->memory.flush_root);
        uint64_t into = rig->setup->cpu.kind == CPU_GSTAGE ? (root + piece) >> 2 : root + piece;
        uint64_t field = rig->setup->cpu.kind == CPU_GSTAGE ? UINT64_C(0x3ffffffffffc00) : UINT64_C(0xffffffffff000);

        if (root + piece < HVPT_512G * 512) /* an address that lies in its place */
            refused_with(rig, &one, 1, (old & ~field) | into, "a part of the root below itself");
    }
    refused_with(rig, &one, 2, other.table[2]->virt[other.index[2]], "a table of tables, twice");
    /* Below itself: as the tables of every level, the root among them. */
    link = one.table[2]->virt[one.index[2]];
    refused_with(rig, &one, 1, link, "a table as a table of pages below itself");
    memcpy(held, one.table[1]->virt, sizeof(held));
    for (unsigned i = 0; i < 512; i++)
        memory_poke(one.table[1], i, link);
    CHECK_STATUS(adopt(rig, &space, 0, false), HVPT_E_CORRUPT, "a table full of references to itself");
    for (unsigned i = 0; i < 512; i++)
        memory_poke(one.table[1], i, held[i]);
}

/* ---- spaces that were not made ---- */

/* The inline calls of a format take it for a space of another one. */
static void refused(const struct rig *rig, enum hvpt_status status, const char *call)
{
    CHECK(status == HVPT_E_RANGE || (status == HVPT_E_ATTR && strstr(rig->setup->name, "handle") != NULL), "%s: \"%s\"", call,
          hvpt_status_text(status));
}

/* hvpt.h: HVPT_E_RANGE, a space that is not initialised. No call looks at tables that are not there. */
static void every_call_refuses(struct rig *rig, struct hvpt_space *space)
{
    const struct adapter *call = rig->adapter;
    const struct hvpt_attr attr = rig_data(rig);
    struct hvpt_leaf_iterator leaves = hvpt_leaves(hvpt_make_gpa(0), PAGE);
    const struct hvpt_visitor visitor = {NULL, NULL, NULL, NULL, NULL};
    uint64_t bitmap = 0, frames, stores = rig->memory.stores, live = rig->memory.live;
    struct hvpt_mapping mapping;
    struct hvpt_flush flush = {0};
    struct hvpt_broken broken;
    struct hvpt_stats stats;
    enum hvpt_status status;
    hvpt_gpa gpa = {0};

    refused(rig, call->map(space, 0, HOST, PAGE, attr, &flush), "map");
    refused(rig, call->unmap(space, 0, PAGE, &flush), "unmap");
    CHECK_STATUS(call->protect(space, 0, PAGE, attr, HVPT_WRITE, &flush), HVPT_E_RANGE, "protect");
    CHECK_STATUS(call->replace(space, 0, HOST, PAGE, attr, &flush), HVPT_E_RANGE, "replace");
    refused(rig, call->fault_map(space, 0, HOST, PAGE, attr), "fault_map");
    refused(rig, call->translate(space, 0, &mapping), "translate");
    call->translate_batch(space, &gpa, 1, &mapping, &status);
    refused(rig, status, "translate_batch");
    CHECK_STATUS(call->walk(space, 0, PAGE, &visitor), HVPT_E_RANGE, "walk");
    CHECK_STATUS(hvpt_space_find_broken(space, gpa, PAGE, &broken), HVPT_E_RANGE, "find_broken");
    CHECK_STATUS(call->split(space, 0, PAGE, PAGE, &flush), HVPT_E_RANGE, "split");
    CHECK_STATUS(call->collapse(space, 0, PAGE, &flush, NULL), HVPT_E_RANGE, "collapse");
    CHECK_STATUS(call->age(space, 0, PAGE, &bitmap, &flush), HVPT_E_RANGE, "age");
    CHECK_STATUS(call->dirty(space, 0, PAGE, &bitmap, &flush), HVPT_E_RANGE, "dirty");
    CHECK_STATUS(call->write_protect(space, 0, PAGE, &flush), HVPT_E_RANGE, "write_protect");
    CHECK_STATUS(call->touch(space, 0, HVPT_READ), HVPT_E_RANGE, "touch");
    CHECK_STATUS(call->map_needs(space, 0, HOST, PAGE, attr, &frames), HVPT_E_RANGE, "frames_needed");
    CHECK_STATUS(call->unmap_needs(space, 0, PAGE, &frames), HVPT_E_RANGE, "frames_needed_to_unmap");
    CHECK_STATUS(call->split_needs(space, 0, PAGE, PAGE, &frames), HVPT_E_RANGE, "frames_needed_to_split");
    CHECK_STATUS(call->reserve(space, 1), HVPT_E_RANGE, "reserve");
    CHECK(!call->next_leaf(space, &leaves, &gpa, &mapping), "a leaf");
    CHECK_STATUS(leaves.status, HVPT_E_RANGE, "next_leaf");
    call->stats(space, &stats);
    CHECK_EQ(stats.frames, 0, "frames held");
    call->flush(space, &flush);
    call->destroy(space);
    CHECK_EQ(rig->memory.stores, stores, "stores");
    CHECK_EQ(rig->memory.live, live, "frames");
}

/* Whatever it failed of: no config, no hook, no frame, a root of nowhere, out of line, or not well-formed. */
GENERIC(a_space_whose_init_or_adopt_failed_is_refused_by_every_call)
{
    const uint64_t frame = cpu_root_table(&rig->cpu, rig->memory.flush_root);
    uint64_t old;
    struct any_config bad = rig->setup->config;
    struct hvpt_hooks hooks = rig->memory.hooks;
    struct cpu_translation way;
    struct hvpt_space space;

    memset(&space, 0x5a, sizeof(space));
    bad.features |= 1u << 30;
    CHECK_STATUS(rig->adapter->init(&space, &rig->memory.hooks, &bad), HVPT_E_CONFIG, "no such feature");
    every_call_refuses(rig, &space);
    memset(&space, 0x5a, sizeof(space));
    hooks.alloc_frame = NULL;
    CHECK_STATUS(rig->adapter->init(&space, &hooks, &rig->setup->config), HVPT_E_HOOK, "no hook");
    every_call_refuses(rig, &space);
    memset(&space, 0x5a, sizeof(space));
    rig->memory.fail_at = 1;
    CHECK_STATUS(rig->adapter->init(&space, &rig->memory.hooks, &rig->setup->config), HVPT_E_NOMEM, "no frame");
    every_call_refuses(rig, &space);
    for (unsigned readonly = 0; readonly < 2; readonly++) {
        memset(&space, 0x5a, sizeof(space));
        if (rig->setup->cpu.maxphyaddr < 48) {
            CHECK(rig->adapter->adopt(&space, &rig->memory.hooks, &rig->setup->config,
                                      setup_root_register(rig->setup, frame | setup_hpa_limit(rig->setup)), readonly)
                      != HVPT_OK,
                  "a root beyond memory");
            every_call_refuses(rig, &space);
        }
        if (!rig->setup->linear) {
            memset(&space, 0x5a, sizeof(space));
            rig->memory.lenient = true;
            CHECK_STATUS(rig->adapter->adopt(&space, &rig->memory.hooks, &rig->setup->config,
                                             setup_root_register(rig->setup, frame + (PAGE << setup_root_order(rig->setup))),
                                             readonly),
                         HVPT_E_CORRUPT, "a root of nowhere");
            rig->memory.lenient = false;
            every_call_refuses(rig, &space);
        }
    }
    must(rig_map(rig, BASE, HOST + PAGE, PAGE, rig_data(rig)));
    way = way_to(rig, BASE);
    old = way.table[1]->virt[way.index[1]];
    memory_poke(way.table[1], way.index[1], way.table[2]->virt[way.index[2]]);
    memset(&space, 0x5a, sizeof(space));
    CHECK_STATUS(adopt(rig, &space, 0, false), HVPT_E_CORRUPT, "a table below itself");
    every_call_refuses(rig, &space);
    memory_poke(way.table[1], way.index[1], old);
}
