/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Every intermediate state: after each store of each operation a walk as hardware would do it gives the old or the new
 * translation of every address, never a third (but on Arm none at all, on the way), never the old one again after the new one, and never leaves the tables.
 */
#include "support/situations.h"

#include <criterion/criterion.h>
#include <string.h>

#define BASE    SITUATION_BASE
#define PROBES  96
#define WATCHED 64 /* watched addresses that are looked at after each store; the others every eighth */

struct watch {
    struct rig *rig;
    struct model old;
    struct model new;
    uint64_t gpa[PROBES];
    bool seen_new[PROBES];
    bool written[PROBES];
    bool guest;
    struct random_stream random;
    uint64_t stores;
};

static bool says(const struct rig *rig, const struct span *span, uint64_t gpa, const struct cpu_translation *now)
{
    return rig_agrees(rig, span, gpa, now);
}

static void look(struct watch *watch, unsigned i)
{
    uint64_t gpa = watch->gpa[i];
    const struct span *old = model_find(&watch->old, gpa);
    const struct span *new = model_find(&watch->new, gpa);
    struct cpu_translation now;
    bool is_new, is_old;

    cpu_walk(&watch->rig->cpu, &watch->rig->memory, watch->rig->tlb.root, gpa, CPU_PROBE, &now);
    is_old = says(watch->rig, old, gpa, &now);
    is_new = says(watch->rig, new, gpa, &now);
    /* On Arm an entry that changes its address, type or size is invalid on the way; memory.c sees to the flush. */
    if (watch->rig->setup->cpu.kind == CPU_S2 && now.outcome == CPU_ABSENT)
        return;
    CHECK(is_old || is_new,
          "after store %llu, %#llx: outcome %d (%s), hpa %#llx, perm %x, type %u is neither the old nor the new",
          (unsigned long long)watch->stores, (unsigned long long)gpa, (int)now.outcome, now.rule ? now.rule : "-",
          (unsigned long long)now.hpa, now.perm, now.memtype);
    CHECK(is_new || !watch->seen_new[i], "after store %llu, %#llx is the old one again",
          (unsigned long long)watch->stores, (unsigned long long)gpa);
    watch->seen_new[i] = is_new && !is_old;
}

static void after_store(void *ctx, struct frame *frame, unsigned index, uint64_t old, uint64_t value)
{
    struct watch *watch = ctx;

    (void)frame, (void)index, (void)old, (void)value;
    watch->stores++;
    for (unsigned i = 0; i < (watch->stores % 8 ? WATCHED : PROBES); i++)
        look(watch, i);
}

/* The guest goes on while the operation is under way: it caches what it finds, and writes. */
static void any_store(void *ctx)
{
    struct watch *watch = ctx;
    unsigned i = (unsigned)random_below(&watch->random, PROBES);
    struct cpu_translation seen;

    if (!watch->guest || random_below(&watch->random, 4) != 0)
        return;
    tlb_access(&watch->rig->tlb, watch->gpa[i], CPU_WRITE, &seen);
    if (seen.outcome == CPU_MAPPED)
        watch->written[i] = true;
}

static void add_probe(struct watch *watch, unsigned *count, uint64_t gpa)
{
    if (*count < PROBES - 16)
        watch->gpa[(*count)++] = gpa;
}

static void choose_probes(struct watch *watch)
{
    const struct model *models[] = {&watch->new, &watch->old};
    unsigned count = 0;

    for (unsigned m = 0; m < 2; m++) {
        for (size_t i = 0; i < models[m]->count; i++) {
            add_probe(watch, &count, models[m]->span[i].first);
            add_probe(watch, &count, models[m]->span[i].last);
            add_probe(watch, &count, models[m]->span[i].last + 1);
            add_probe(watch, &count, models[m]->span[i].first - 1);
        }
    }
    for (; count < PROBES; count++)
        watch->gpa[count] =
            BASE - HVPT_2M + random_below(&watch->random, count % 2 ? 4 * HVPT_2M : 2 * HVPT_1G + 2 * HVPT_2M);
}

/* Of pages that hardware holds as one, it marks any: they are dirty together. */
static bool run_is_dirty(const struct rig *rig, uint64_t gpa, const struct cpu_translation *page)
{
    bool dirty = false;

    for (uint64_t at = gpa & ~(page->reach - 1); !dirty && at <= (gpa | (page->reach - 1)); at += page->page_size) {
        struct cpu_translation now;

        cpu_walk(&rig->cpu, &rig->memory, rig->tlb.root, at, CPU_PROBE, &now);
        dirty = now.dirty;
    }
    return dirty;
}

static void check_kept(struct watch *watch)
{
    for (unsigned i = 0; i < PROBES; i++) {
        uint64_t gpa = watch->gpa[i];
        const struct span *old = model_find(&watch->old, gpa);
        const struct span *new = model_find(&watch->new, gpa);
        struct cpu_translation now;

        if (!watch->written[i] || old == NULL || new == NULL)
            continue;
        cpu_walk(&watch->rig->cpu, &watch->rig->memory, watch->rig->tlb.root, gpa, CPU_PROBE, &now);
        /* Without the right to write, which says so at stage 2, a bit of the library's own must. */
        if (watch->rig->setup->cpu.kind == CPU_S2 && (now.entry & HVPT_S2_BIT_WRITTEN))
            now.dirty = true;
        if (now.outcome == CPU_MAPPED && now.joined)
            now.dirty = run_is_dirty(watch->rig, gpa, &now);
        CHECK(now.outcome == CPU_MAPPED && now.dirty, "%#llx was written meanwhile and is not dirty",
              (unsigned long long)gpa);
    }
}

static void run(const struct setup *setup, const struct scenario *scenario)
{
    bool marks = cpu_marks_dirty(&setup->cpu);

    /* Once to learn what comes of it, then still, with all eyes on it, then with a guest that goes on. */
    static struct watch watch;
    struct rig rig;

    memset(&watch, 0, sizeof(watch));
    rig_open(&rig, setup);
    check_context("%s, %s", setup->name, scenario->name);
    scenario->before(&rig);
    model_copy(&watch.old, &rig.model);
    CHECK_STATUS(scenario->during(&rig), HVPT_OK, scenario->name);
    model_copy(&watch.new, &rig.model);
    rig_check(&rig);
    rig_close(&rig);

    for (unsigned round = 0; round < (scenario->no_guest ? 1 : 3); round++) {
        rig_open(&rig, setup);
        check_context("%s, %s, round %u", setup->name, scenario->name, round);
        scenario->before(&rig);
        watch.rig = &rig;
        watch.random.state = round;
        watch.guest = round != 0;
        watch.stores = 0;
        memset(watch.seen_new, 0, sizeof(watch.seen_new));
        memset(watch.written, 0, sizeof(watch.written));
        choose_probes(&watch);
        for (unsigned i = 0; i < PROBES; i++)
            rig_touch(&rig, watch.gpa[i], CPU_READ);
        rig.memory.after_store = after_store;
        rig.memory.any_store = any_store;
        rig.memory.after_store_ctx = &watch;
        CHECK_STATUS(scenario->during(&rig), HVPT_OK, scenario->name);
        rig.memory.after_store = NULL;
        rig.memory.any_store = NULL;
        CHECK(watch.stores != 0, "nothing was stored");
        if (watch.guest && scenario->keeps && marks)
            check_kept(&watch);
        rig_close(&rig);
    }
    model_free(&watch.old);
    model_free(&watch.new);
}

Test(intermediate, every_state_of_every_operation_is_the_old_or_the_new_one, .timeout = 600)
{
    for (size_t i = 0; i < setup_count; i++)
        for (size_t j = 0; j < scenario_count; j++)
            run(&setups[i], &scenarios[j]);
}

Test(intermediate, no_state_of_a_split_or_collapse_is_seen_at_all, .timeout = 600)
{
    for (size_t i = 0; i < setup_count; i++)
        for (size_t j = 0; j < shape_count; j++)
            if (setup_max_page(setups + i) > HVPT_4K)
                run(&setups[i], &shapes[j]);
}

/* Arm's larger granules, whose tables are up to sixteen times as long: the ones of 16K stand for them here. */
Test(intermediate, every_state_with_a_larger_granule_is_the_old_or_the_new_one, .timeout = 600)
{
    for (size_t i = 0; i < granule_count; i++) {
        if (granules[i].cpu.page_shift != 14)
            continue;
        for (size_t j = 0; j < scenario_count; j++)
            run(&granules[i], &scenarios[j]);
        for (size_t j = 0; j < shape_count; j++)
            run(&granules[i], &shapes[j]);
    }
}
