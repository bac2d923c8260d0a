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
