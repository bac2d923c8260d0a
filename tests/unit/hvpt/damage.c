/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Tables that changed behind the library's back, and those that change while a call is under way: every call that
 * meets a broken one says so and stores nothing, and every other ends as the contract of concurrency says.
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

static void each_setup(void (*one)(struct rig *rig))
{
    for (size_t i = 0; i < setup_count; i++) {
        struct rig rig;

        rig_open(&rig, &setups[i]);
        one(&rig);
        rig_flush(&rig);
        rig_check(&rig);
        rig_check_walk(&rig);
        rig_close(&rig);
    }
}

#define GENERIC(name)                  \
    static void name(struct rig *rig); \
    Test(damage, name)                 \
    {                                  \
        each_setup(name);              \
    }                                  \
    static void name(struct rig *rig)

/* ---- broken entries ---- */

struct damage {
    struct frame *frame;
    unsigned index;
    uint64_t old;
};

static struct cpu_translation way_to(const struct rig *rig, uint64_t gpa)
{
    struct cpu_translation way;

    cpu_walk(&rig->cpu, &rig->memory, rig->memory.flush_root, gpa, CPU_PROBE, &way);
    return way;
}

/*
 * Change one bit of the entry at level on the way to gpa so that the processor's walk ends as wanted. false: none does.
 */
static bool damage(struct rig *rig, uint64_t gpa, unsigned level, enum cpu_outcome wanted, struct damage *done)
{
    struct cpu_translation way = way_to(rig, gpa);

    done->frame = way.table[level];
    done->index = way.index[level];
    done->old = done->frame->virt[done->index];
    for (unsigned bit = 0; bit < 63; bit++) { /* EPT: without a right bit 62 is the library's own */
        memory_poke(done->frame, done->index, done->old ^ UINT64_C(1) << bit);
        way = way_to(rig, gpa);
        if (way.outcome == wanted && (wanted == CPU_LOST ? way.level + 1 : way.level) == level)
            return true;
    }
    memory_poke(done->frame, done->index, done->old);
    return false;
}

static void mend(const struct damage *done)
{
    memory_poke(done->frame, done->index, done->old);
}

static void is_corrupt(enum hvpt_status status, const char *call)
{
    CHECK_STATUS(status, HVPT_E_CORRUPT, call);
}

/* What looks at the page at gpa, whose last table or whose entry is broken, and must not get beyond. */
static void all_calls_refuse(struct rig *rig, uint64_t gpa, uint64_t size, const struct damage *done)
{
    struct hvpt_broken broken;
    const struct adapter *call = rig->adapter;
    struct hvpt_visitor visitor = {0};
    struct hvpt_mapping mapping;
    struct hvpt_flush flush = {0};
    struct hvpt_attr attr = rig_data(rig);
    uint64_t stores = rig->memory.stores, frames = rig->memory.live, needed;

    attr.perm &= ~(uint32_t)HVPT_WRITE;
    is_corrupt(call->translate(&rig->space, gpa, &mapping), "translate");
    is_corrupt(call->touch(&rig->space, gpa, HVPT_READ), "touch");
    is_corrupt(call->fault_map(&rig->space, gpa, HOST, PAGE, attr), "fault_map");
    is_corrupt(call->walk(&rig->space, gpa, size, &visitor), "walk");
    is_corrupt(hvpt_space_find_broken(&rig->space, hvpt_make_gpa(gpa), size, &broken), "find_broken");
    CHECK_EQ(broken.entry, done->frame->virt[done->index], "the broken entry");
    CHECK_EQ(broken.level, done->frame->level, "its level");
    CHECK_EQ(broken.size, UINT64_C(1) << cpu_shift(&rig->setup->cpu, broken.level), "what it covers");
    CHECK_EQ(broken.gpa.value, done->frame->gpa + done->index * broken.size, "where it begins");
    CHECK(broken.rule == HVPT_ENTRY_TABLE || broken.rule >= HVPT_ENTRY_BROKEN, "rule %u", broken.rule);
    CHECK((broken.rule == HVPT_ENTRY_TABLE) == (way_to(rig, gpa).outcome == CPU_LOST), "rule %u", broken.rule);
    is_corrupt(call->map(&rig->space, gpa, HOST, PAGE, attr, &flush), "map of a page");
    is_corrupt(call->protect(&rig->space, gpa, size, attr, HVPT_WRITE, &flush), "protect");
    is_corrupt(call->replace(&rig->space, gpa, HOST, size, attr, &flush), "replace");
    if (done->frame->level > 0) /* a broken page is removed, but cannot be split */
        is_corrupt(call->unmap_needs(&rig->space, gpa + PAGE, PAGE, &needed), "frames_needed_to_unmap");
    CHECK_EQ(rig->memory.stores, stores, "stores");
    CHECK_EQ(rig->memory.live, frames, "frames");
}

/* The reference to the table of smallest pages leads nowhere. A linear map has no nowhere. */
GENERIC(a_table_that_cannot_be_reached_stops_every_call)
{
    struct hvpt_leaf_iterator iterator = hvpt_leaves(hvpt_make_gpa(BASE), 4 * PAGE);
    struct hvpt_mapping mapping;
    struct hvpt_flush flush = {0};
    struct damage done;
    uint64_t bitmap[1] = {0};
    hvpt_gpa gpa;

    if (rig->setup->linear)
        return;
    must(rig_map(rig, BASE, HOST + PAGE, 4 * PAGE, rig_data(rig)));
    rig->memory.lenient = true;
    CHECK(damage(rig, BASE, 1, CPU_LOST, &done), "no bit leads nowhere");
    all_calls_refuse(rig, BASE, 2 * PAGE, &done);
    is_corrupt(rig->adapter->unmap(&rig->space, BASE, PAGE, &flush), "unmap of a page");
    is_corrupt(rig->adapter->unmap(&rig->space, BASE, 2 * PAGE, &flush), "unmap");
    is_corrupt(rig->adapter->age(&rig->space, BASE, 2 * PAGE, bitmap, &flush), "age");
    is_corrupt(rig->adapter->dirty(&rig->space, BASE, 2 * PAGE, bitmap, &flush), "dirty");
    is_corrupt(rig->adapter->write_protect(&rig->space, BASE, 2 * PAGE, &flush), "write_protect");
    CHECK(!rig->adapter->next_leaf(&rig->space, &iterator, &gpa, &mapping), "a leaf");
    is_corrupt(iterator.status, "next_leaf");
    mend(&done);
    rig->memory.lenient = false;
}

/* A smallest page, and a large one where there is one. NPT with 52-bit addresses has no reserved bit in a PTE. */
GENERIC(an_entry_that_the_processor_refuses_stops_every_call)
{
    struct hvpt_collapse_report report;
    struct damage done;

    must(rig_map(rig, BASE, HOST, 2 * HVPT_2M, rig_data(rig)));
    must(rig_split(rig, BASE, HVPT_2M, PAGE));
    if (damage(rig, BASE + 5 * PAGE, 0, CPU_MISCONFIGURED, &done)) {
        all_calls_refuse(rig, BASE + 5 * PAGE, PAGE, &done);
        if (setup_max_page(rig->setup) > PAGE) {
            must(rig->adapter->collapse(&rig->space, BASE, HVPT_2M, NULL, &report));
            CHECK(report.obstacle == HVPT_OBSTACLE_CORRUPT, "the obstacle is \"%s\"",
                  hvpt_obstacle_text(report.obstacle));
            CHECK_EQ(report.page.value, BASE + 5 * PAGE, "the page");
        }
        mend(&done);
    }
    if (setup_max_page(rig->setup) > PAGE && damage(rig, BASE + HVPT_2M, 1, CPU_MISCONFIGURED, &done)) {
        struct hvpt_flush flush = {0};

        all_calls_refuse(rig, BASE + HVPT_2M, HVPT_2M, &done);
        is_corrupt(rig->adapter->split(&rig->space, BASE + HVPT_2M, HVPT_2M, PAGE, &flush), "split");
        mend(&done);
    }
}

/* Whatever edge of the range it lies at, and whether the caller flushes or the call. */
GENERIC(unmap_removes_a_broken_page)
{
    const uint64_t page = BASE + 5 * PAGE, start[] = {page, page, page - 2 * PAGE, page - 2 * PAGE, page - 510 * PAGE},
                   end[] = {page + PAGE, page + 3 * PAGE, page + PAGE, page + 3 * PAGE, page + PAGE};
    struct hvpt_mapping mapping;
    struct damage done;
    uint64_t needed;

    for (unsigned i = 0; i < 10; i++) {
        const uint64_t from = start[i / 2], size = end[i / 2] - from;

        must(rig_map(rig, BASE - HVPT_2M, HOST + PAGE, 2 * HVPT_2M, rig_data(rig)));
        if (!damage(rig, page, 0, CPU_MISCONFIGURED, &done)) {
            must(rig_unmap(rig, BASE - HVPT_2M, 2 * HVPT_2M));
            return;
        }
        check_context("%s, way %u", rig->setup->name, i);
        must(rig->adapter->unmap_needs(&rig->space, from, size, &needed));
        CHECK_EQ(needed, 0, "frames to unmap pages");
        rig->owing = i % 2 != 0; /* with an obligation unmap of a page takes another way */
        must(rig_unmap(rig, from, size));
        CHECK_STATUS(rig->adapter->translate(&rig->space, page, &mapping), HVPT_E_ABSENT, "the broken page");
        must(rig_unmap(rig, BASE - HVPT_2M, 2 * HVPT_2M));
        check_context("%s", rig->setup->name);
    }
}

/* One after the other, and those that are whole are not among them. */
GENERIC(every_broken_entry_is_found)
{
    struct cpu_translation way;
    struct damage done[3];
    struct hvpt_broken broken;
    uint64_t at = 0, limit = setup_gpa_limit(rig->setup);
    unsigned found = 0;

    must(rig_map(rig, BASE, HOST + PAGE, 16 * PAGE, rig_data(rig)));
    must(hvpt_space_find_broken(&rig->space, hvpt_make_gpa(0), limit, &broken));
    way = way_to(rig, BASE);
    for (unsigned i = 0; i < 3; i++) {
        if (!damage(rig, BASE + (3 + 5 * i) * PAGE, 0, CPU_MISCONFIGURED, &done[i]))
            return;
    }
    while (at < limit && hvpt_space_find_broken(&rig->space, hvpt_make_gpa(at), limit - at, &broken) == HVPT_E_CORRUPT) {
        CHECK(found < 3, "one more than there are");
        CHECK_EQ(broken.gpa.value, BASE + (3 + 5 * found) * PAGE, "where");
        CHECK(broken.level == 0 && broken.entry == way.table[0]->virt[way.index[0] + 3 + 5 * found], "what");
        found++;
        at = broken.gpa.value + broken.size;
    }
    CHECK_EQ(found, 3, "broken entries");
    for (unsigned i = 0; i < 3; i++)
        mend(&done[i]);
}

/* Of 16 pages at BASE that lead to host, each bit of the sixth: what the processor refuses, every call refuses. */
static void each_bit_counts(struct rig *rig, uint64_t host)
{
    const struct adapter *call = rig->adapter;
    struct hvpt_attr attr = rig_data(rig);
    struct hvpt_flush flush = {0};
    struct hvpt_mapping mapping;
    struct cpu_translation way;
    struct damage done;
    uint64_t stores;

    attr.perm &= ~(uint32_t)HVPT_WRITE;
    must(rig_map(rig, BASE, host, 16 * PAGE, rig_data(rig)));
    way = way_to(rig, BASE + 5 * PAGE);
    done.frame = way.table[0];
    done.index = way.index[0];
    done.old = way.entry;
    for (unsigned bit = 0; bit < 63; bit++) { /* EPT: without a right bit 62 is the library's own */
        memory_poke(done.frame, done.index, done.old ^ UINT64_C(1) << bit);
        if (way_to(rig, BASE + 5 * PAGE).outcome != CPU_MISCONFIGURED)
            continue;
        check_context("%s, bit %u", rig->setup->name, bit);
        stores = rig->memory.stores;
        is_corrupt(call->translate(&rig->space, BASE + 5 * PAGE, &mapping), "translate");
        is_corrupt(call->protect(&rig->space, BASE, 16 * PAGE, attr, HVPT_WRITE, &flush), "protect");
        is_corrupt(call->write_protect(&rig->space, BASE, 16 * PAGE, &flush), "write_protect");
        is_corrupt(call->replace(&rig->space, BASE, HOST, 16 * PAGE, attr, &flush), "replace");
        CHECK_EQ(rig->memory.stores, stores, "stores");
    }
    mend(&done);
    check_context("%s", rig->setup->name);
    must(rig_unmap(rig, BASE, 16 * PAGE));
}

/* Sound leaves on both sides do not speak for one that is not, whether it stands alone or is joined with them. */
GENERIC(a_leaf_among_sound_ones_is_judged_by_all_its_bits)
{
    each_bit_counts(rig, HOST + PAGE);
    each_bit_counts(rig, HOST);
}

/* ---- what others do while a call is under way ---- */

/* At the at-th time that the call looks, or stores, once. */
struct meanwhile {
    struct rig *rig;
    void *(*phys_to_virt)(void *ctx, hvpt_hpa frame);
    struct damage gone;
    uint64_t gpa;
    unsigned at;
    unsigned count;
    enum hvpt_status status;
};

static struct meanwhile meanwhile;

static void *look_and_unmap(void *ctx, hvpt_hpa frame)
{
    if (++meanwhile.count == meanwhile.at)
        memory_poke(meanwhile.gone.frame, meanwhile.gone.index, meanwhile.rig->space.empty_entry);
    return meanwhile.phys_to_virt(ctx, frame);
}

/* A page that goes away between the iterator's two looks at it is no leaf and no error. */
GENERIC(an_iterator_passes_a_leaf_that_goes_away)
{
    struct cpu_translation way;
    bool missed = false, found = false;

    if (rig->setup->linear)
        return;
    must(rig_map(rig, BASE, HOST + PAGE, 2 * PAGE, rig_data(rig)));
    way = way_to(rig, BASE);
    memset(&meanwhile, 0, sizeof(meanwhile));
    meanwhile.rig = rig;
    meanwhile.gone.frame = way.table[0];
    meanwhile.gone.index = way.index[0];
    meanwhile.gone.old = way.entry;
    meanwhile.phys_to_virt = rig->memory.hooks.phys_to_virt;
    do {
        struct hvpt_leaf_iterator iterator = hvpt_leaves(hvpt_make_gpa(BASE), 2 * PAGE);
        struct hvpt_mapping mapping;
        hvpt_gpa gpa;

        meanwhile.at++;
        meanwhile.count = 0;
        rig->memory.hooks.phys_to_virt = look_and_unmap;
        CHECK(rig->adapter->next_leaf(&rig->space, &iterator, &gpa, &mapping), "no leaf");
        rig->memory.hooks.phys_to_virt = meanwhile.phys_to_virt;
        mend(&meanwhile.gone);
        must(iterator.status);
        CHECK_EQ(mapping.hpa.value, gpa.value - BASE + HOST + PAGE, "the host address");
        missed = missed || gpa.value == BASE + PAGE;
        found = found || gpa.value == BASE;
    } while (meanwhile.count >= meanwhile.at);
    CHECK(missed && found, "the page never went away in time");
}

static void store_and_fault_map(void *ctx)
{
    (void)ctx;
    if (++meanwhile.count == meanwhile.at)
        meanwhile.status = meanwhile.rig->adapter->fault_map(&meanwhile.rig->space, meanwhile.gpa, HOST + HVPT_1G, PAGE,
                                                             rig_data(meanwhile.rig));
}

static enum hvpt_status map_it(struct rig *rig, uint64_t gpa)
{
    return rig->adapter->map(&rig->space, gpa, HOST, PAGE, rig_data(rig), NULL);
}

static enum hvpt_status fault_map_it(struct rig *rig, uint64_t gpa)
{
    return rig->adapter->fault_map(&rig->space, gpa, HOST, PAGE, rig_data(rig));
}

/* Another CPU fault_maps the page at other at a store of one: the first ones, and some out of each table's filling. */
static void beside_a_fault(struct rig *rig, enum hvpt_status (*one)(struct rig *, uint64_t), uint64_t other)
{
    memset(&meanwhile, 0, sizeof(meanwhile));
    meanwhile.rig = rig;
    meanwhile.gpa = other;
    do {
        struct hvpt_mapping mapping;
        enum hvpt_status status;

        meanwhile.at += meanwhile.at < 8 ? 1 : 101;
        meanwhile.count = 0;
        meanwhile.status = HVPT_OK;
        rig->memory.any_store = store_and_fault_map;
        status = one(rig, BASE);
        rig->memory.any_store = NULL;
        if (other == BASE) /* the same page: one of the two has it, and the other knows */
            CHECK((status == HVPT_OK) != (meanwhile.count >= meanwhile.at && meanwhile.status == HVPT_OK)
                      && (status == HVPT_OK || status == HVPT_E_RACE),
                  "store %u: \"%s\" and \"%s\"", meanwhile.at, hvpt_status_text(status),
                  hvpt_status_text(meanwhile.status));
        else
            CHECK(status == HVPT_OK && meanwhile.status == HVPT_OK, "store %u: \"%s\" and \"%s\"", meanwhile.at,
                  hvpt_status_text(status), hvpt_status_text(meanwhile.status));
        must(rig->adapter->translate(&rig->space, BASE, &mapping));
        CHECK_EQ(mapping.hpa.value, status == HVPT_OK ? HOST : HOST + HVPT_1G, "the host address");
        if (meanwhile.count >= meanwhile.at && other != BASE) {
            must(rig->adapter->translate(&rig->space, other, &mapping));
            CHECK_EQ(mapping.hpa.value, HOST + HVPT_1G, "the other's host address");
        }
        rig_recount(rig);
        must(rig->adapter->unmap(&rig->space, 0, setup_gpa_limit(rig->setup), NULL));
        CHECK_EQ(rig->memory.live, 1, "frames");
    } while (meanwhile.count >= meanwhile.at);
    CHECK(meanwhile.at > 1, "nothing was stored");
}

GENERIC(map_beside_a_fault_of_another_page_maps_both)
{
    beside_a_fault(rig, map_it, BASE + PAGE);
    beside_a_fault(rig, map_it, BASE + HVPT_2M);
    beside_a_fault(rig, map_it, BASE + HVPT_1G);
}

GENERIC(faults_of_two_pages_map_both)
{
    beside_a_fault(rig, fault_map_it, BASE + PAGE);
    beside_a_fault(rig, fault_map_it, BASE + HVPT_2M);
    beside_a_fault(rig, fault_map_it, BASE + HVPT_1G);
}

GENERIC(of_two_faults_on_one_page_one_wins)
{
    beside_a_fault(rig, fault_map_it, BASE);
}

static void *look_and_split(void *ctx, hvpt_hpa frame)
{
    if (++meanwhile.count == meanwhile.at)
        mend(&meanwhile.gone);
    return meanwhile.phys_to_virt(ctx, frame);
}

/* A large page that becomes a table between two looks is met in parts, and none of them is passed over. */
GENERIC(an_iterator_meets_every_part_of_a_page_that_is_split)
{
    struct cpu_translation way;
    bool parts = false;

    if (rig->setup->linear || setup_max_page(rig->setup) == PAGE)
        return;
    must(rig_map(rig, BASE, HOST, HVPT_2M, rig_data(rig)));
    way = way_to(rig, BASE);
    must(rig_split(rig, BASE, HVPT_2M, PAGE));
    rig_flush(rig);
    memset(&meanwhile, 0, sizeof(meanwhile));
    meanwhile.gone.frame = way.table[1];
    meanwhile.gone.index = way.index[1];
    meanwhile.gone.old = way.table[1]->virt[way.index[1]];
    meanwhile.phys_to_virt = rig->memory.hooks.phys_to_virt;
    rig->memory.lenient = true;
    do {
        struct hvpt_leaf_iterator iterator = hvpt_leaves(hvpt_make_gpa(BASE), HVPT_2M);
        struct hvpt_mapping mapping;
        uint64_t next = BASE;
        hvpt_gpa gpa;

        memory_poke(way.table[1], way.index[1], way.entry);
        meanwhile.at++;
        meanwhile.count = 0;
        rig->memory.hooks.phys_to_virt = look_and_split;
        while (rig->adapter->next_leaf(&rig->space, &iterator, &gpa, &mapping)) {
            CHECK_EQ(gpa.value, next, "where the next leaf begins");
            next = gpa.value + mapping.page_size;
            parts = parts || mapping.page_size == PAGE;
        }
        rig->memory.hooks.phys_to_virt = meanwhile.phys_to_virt;
        mend(&meanwhile.gone);
        must(iterator.status);
        CHECK_EQ(next, BASE + HVPT_2M, "the end of the last leaf");
    } while (meanwhile.count >= meanwhile.at && meanwhile.at < 64);
    rig->memory.lenient = false;
    CHECK(parts, "the page was never split in time");
}

static bool (*alloc_alone)(void *ctx, unsigned order, hvpt_hpa *out);

static bool alloc_and_touch(void *ctx, unsigned order, hvpt_hpa *out)
{
    if (meanwhile.count++ == 0)
        meanwhile.status = meanwhile.rig->adapter->touch(&meanwhile.rig->space, meanwhile.gpa, HVPT_WRITE);
    return alloc_alone(ctx, order, out);
}

/*
 * write_protect of a range that ends within a large page. The page could not be written when the call looked at its edges,
 * so it is not split; a guest's write then gives the permission back. What lies outside the range keeps it.
 */
GENERIC(write_protect_beside_touch_takes_nothing_outside_its_range)
{
    struct hvpt_mapping mapping;

    if (setup_max_page(rig->setup) == PAGE)
        return;
    must(rig_map(rig, BASE, HOST, 2 * HVPT_2M, rig_data(rig)));
    must(rig_write_protect(rig, BASE + HVPT_2M, HVPT_2M));
    rig_flush(rig);
    memset(&meanwhile, 0, sizeof(meanwhile));
    meanwhile.rig = rig;
    meanwhile.gpa = BASE + HVPT_2M;
    alloc_alone = rig->memory.hooks.alloc_frame;
    rig->memory.hooks.alloc_frame = alloc_and_touch;
    /* The first page sticks out at the front and is split: that takes a frame. */
    must(rig->adapter->write_protect(&rig->space, BASE + PAGE, HVPT_2M, NULL));
    rig->memory.hooks.alloc_frame = alloc_alone;
    CHECK(meanwhile.count != 0, "no frame was taken");
    must(meanwhile.status);
    must(rig->adapter->translate(&rig->space, BASE + 2 * HVPT_2M - PAGE, &mapping));
    CHECK(mapping.attr.perm & HVPT_WRITE, "a page outside the range lost its permission");
    model_remove(&rig->model, BASE, BASE + 2 * HVPT_2M - 1);
    must(rig->adapter->unmap(&rig->space, BASE, 2 * HVPT_2M, NULL));
}

/* ---- what a call remembers of the one before ---- */

GENERIC(no_page_goes_through_a_table_that_collapse_gave_back)
{
    const uint64_t other = BASE + 2 * HVPT_1G;
    struct cpu_translation way;
    uint64_t poison;

    if (setup_max_page(rig->setup) < HVPT_1G)
        return;
    must(rig_map(rig, other, HOST + PAGE, 8 * PAGE, rig_data(rig)));
    must(rig_map(rig, BASE, HOST, HVPT_1G, rig_data(rig)));
    must(rig_unmap(rig, BASE, PAGE));
    must(rig_map(rig, BASE, HOST, PAGE, rig_data(rig)));
    rig_flush(rig);
    way = way_to(rig, BASE);
    must(rig_collapse(rig, BASE, HVPT_1G));
    rig_flush(rig);
    CHECK_EQ(rig_page_size(rig, BASE), HVPT_1G, "the page");
    CHECK(way.table[1]->state == FRAME_FREE, "the table is still held");

    /* What it becomes next is a table that leads to the pages of another range. */
    poison = way.table[1]->virt[way.index[1]];
    way.table[1]->virt[way.index[1]] = way_to(rig, other).table[1]->virt[way_to(rig, other).index[1]];
    rig->owing = true; /* without an obligation unmap takes the general way */
    must(rig_unmap(rig, BASE + 3 * PAGE, PAGE));
    way.table[1]->virt[way.index[1]] = poison;
}
