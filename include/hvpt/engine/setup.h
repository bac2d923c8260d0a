/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The beginning of a space: its config, an empty root, or tables taken over from others.
 */
#ifndef HVPT_ENGINE_SETUP_H
#define HVPT_ENGINE_SETUP_H

#include "entry.h"

/*
 * Reset *space to no space: all zero, except for the values that make every call refuse it. Nothing may depend on what
 * was in the memory before.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_space_clear(struct hvpt_space *space)
{
    unsigned char *byte = (unsigned char *)space;
    size_t i;

    for (i = 0; i < sizeof(*space); i++)
        byte[i] = 0;
    space->kind = HVPT_KIND_NONE;
    space->table_bits = UINT64_MAX; /* no entry is usual until the format says which */
    space->leaf_bits = UINT64_MAX;
    space->first_frame = UINT64_MAX;
    space->cursor_range = UINT32_MAX;
    space->last_attr.perm = UINT32_MAX;
}

/*
 * Begin to configure a space. HVPT_E_CONFIG: no config. HVPT_E_HOOK: no hooks; alloc_frame or free_frame is missing,
 * which only a space adopted for reading can do without; or they are not HVPT_STATIC_HOOKS.
 */
static inline HVPT_COLD enum hvpt_status hvpt_space_begin(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                          const void *config, bool readonly)
{
    hvpt_space_clear(space);
    if (hooks == NULL || (!readonly && (hooks->alloc_frame == NULL || hooks->free_frame == NULL)))
        return HVPT_E_HOOK;
    if (config == NULL)
        return HVPT_E_CONFIG;
#ifdef HVPT_STATIC_HOOKS
    if (hooks != &HVPT_STATIC_HOOKS)
        return HVPT_E_HOOK;
#endif
    space->hooks = hooks;
    space->linear = hooks->linear_map;
    space->called = hooks->phys_to_virt != NULL;
    space->readonly = readonly;
    return HVPT_OK;
}

/* After everything else is set: precompute what the fast paths of map and translate compare with. */
static inline HVPT_COLD void hvpt_space_open(struct hvpt_space *space)
{
    const struct hvpt_attr usual = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};
    const bool four_levels = space->page_shift == 12 && space->root_level == 3;
    struct hvpt_leaf leaf;

    if (space->page_shift == 12 && !space->readonly && !(space->policy & HVPT_POLICY_GUARD_TABLES))
        space->fast_limit = space->hpa_limit < HVPT_FAR_ADDRESS ? space->hpa_limit : HVPT_FAR_ADDRESS;
    if (space->rules->place == NULL && space->fast_limit != 0)
        space->fast_limit = space->hpa_limit;
    if (four_levels && space->frame_shift == HVPT_NATIVE_SHIFT && (HVPT_HOOKS_KNOWN || !space->called))
        space->walk_limit = space->gpa_limit;
    space->page_mask = ~space->frame_mask | space->leaf_mask;
    space->usual_bits = UINT64_MAX;
    if (hvpt_leaf_make(space, usual, &leaf) == HVPT_OK) {
        space->usual_bits = leaf.bits[0];
        space->usual_flags = (uint8_t)(space->rules->decode)(space, leaf.bits[0], 0).flags;
        space->fault_quick = four_levels && !space->map_flushes;
    }
}

/* The end of init and adopt: a space that was not made is cleared, so that every call refuses it. Returns status. */
static inline HVPT_COLD enum hvpt_status hvpt_space_made(struct hvpt_space *space, enum hvpt_status status)
{
    if (status != HVPT_OK)
        hvpt_space_clear(space);
    return status;
}

/* Make an empty root. The geometry is set. HVPT_E_NOMEM: there is no frame for it. */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_space_create(struct hvpt_space *space)
{
    space->root_table = hvpt_alloc_frame(space, space->root_order, &space->root_frame);
    if (space->root_table == NULL)
        return HVPT_E_NOMEM;
    hvpt_fill_empty(space, space->root_table, hvpt_table_entries(space, space->root_level));
    space->tables[space->root_level] = 1;
    space->frames = 1;
    space->features |= HVPT_HAS_MARKS;
    hvpt_space_open(space);
    return HVPT_OK;
}

/* ---- taking over tables that exist: another kernel's, a snapshot's, this library's own after a restart ---- */

/*
 * What adopt counts. marks: the bits of leaves that others may have used and that are this library's from now on; 0
 * where it made the tables.
 */
struct hvpt_adoption {
    struct hvpt_space *space;
    uint64_t marks;
    uint64_t leaves[HVPT_MAX_LEVELS];
    uint64_t tables[HVPT_MAX_LEVELS];
};

static inline HVPT_COLD enum hvpt_step hvpt_adopt_enter(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_adoption *adoption = (struct hvpt_adoption *)ctx;

    adoption->tables[run->level - 1]++;
    hvpt_note_frame(adoption->space, hvpt_frame_in(adoption->space, run->entry), hvpt_span(adoption->space, 0));
    return HVPT_STEP_INTO;
}

static inline HVPT_COLD enum hvpt_status hvpt_adopt_slots(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_adoption *adoption = (struct hvpt_adoption *)ctx;
    unsigned i;

    for (i = 0; i < run->count; i++) {
        uint64_t entry = hvpt_load(&run->slot[i]) & ~adoption->marks;

        if (!hvpt_is_present(adoption->space, entry))
            continue;
        if (!hvpt_is_leaf(adoption->space, entry, run->level))
            return HVPT_E_CORRUPT;
        adoption->leaves[run->level]++;
    }
    return HVPT_OK;
}

/* Clear bits that hardware ignores, while it may set others. */
static inline HVPT_COLD void hvpt_adopt_clear(hvpt_entry *slot, uint64_t bits)
{
    uint64_t entry = hvpt_load(slot);

    while ((entry & bits) && !hvpt_compare_exchange(slot, &entry, entry & ~bits)) {
    }
}

/* In tables that others made, the bit that marks a full table may mean anything. */
static inline HVPT_COLD enum hvpt_step hvpt_adopt_unmark(void *ctx, const struct hvpt_run *run)
{
    const struct hvpt_adoption *adoption = (const struct hvpt_adoption *)ctx;

    hvpt_adopt_clear(run->slot, adoption->space->rules->full_bit);
    return run->level > 1 || adoption->marks != 0 ? HVPT_STEP_INTO : HVPT_STEP_OVER;
}

static inline HVPT_COLD enum hvpt_status hvpt_adopt_unmark_slots(void *ctx, const struct hvpt_run *run)
{
    const struct hvpt_adoption *adoption = (const struct hvpt_adoption *)ctx;
    const uint64_t present = adoption->space->present_mask;
    unsigned i;

    /* In an empty entry, clear only what would make it look like a page: the rest may be its owner's. */
    for (i = 0; i < run->count; i++)
        hvpt_adopt_clear(&run->slot[i], adoption->marks & (hvpt_load(&run->slot[i]) & present & ~adoption->marks
                                                               ? UINT64_MAX : present));
    return HVPT_OK;
}

/*
 * Every table must be linked once: one that is linked twice would be freed twice, and one that is linked below itself
 * makes a walk endless. A search takes the frames from floor upwards in ascending order, as many as it has room for,
 * and goes no deeper than lowest, so that nothing is entered by way of tables that were not yet looked at.
 */
struct hvpt_link_search {
    const struct hvpt_space *space;
    uint64_t *frame; /* the smallest ones, in order */
    unsigned count;
    unsigned room;
    unsigned lowest;
    uint64_t floor;
    bool more; /* some did not fit */
    bool twice;
};

static inline HVPT_COLD void hvpt_link_note(struct hvpt_link_search *search, uint64_t frame)
{
    unsigned at = search->count;

    if (frame < search->floor)
        return;
    while (at != 0 && search->frame[at - 1] > frame)
        at--;
    if (at != 0 && search->frame[at - 1] == frame) {
        search->twice = true;
    } else if (at == search->room) {
        search->more = true;
    } else {
        unsigned last = search->count;

        if (last == search->room) {
            search->more = true;
            last--;
        } else {
            search->count++;
        }
        for (; last > at; last--)
            search->frame[last] = search->frame[last - 1];
        search->frame[at] = frame;
    }
}

static inline HVPT_COLD enum hvpt_step hvpt_link_enter(void *ctx, const struct hvpt_run *run)
{
    struct hvpt_link_search *search = (struct hvpt_link_search *)ctx;

    if (search->twice)
        return HVPT_STEP_OVER;
    hvpt_link_note(search, hvpt_frame_in(search->space, run->entry));
    return run->level - 1 > search->lowest ? HVPT_STEP_INTO : HVPT_STEP_OVER;
}

/*
 * HVPT_E_CORRUPT: a table is linked twice, or cannot be reached. A frame from the hook holds the addresses; if there is
 * none, the stack holds a few at a time, which takes longer.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_adopt_links(struct hvpt_space *space)
{
    static const struct hvpt_steps steps = {hvpt_link_enter, NULL, NULL};
    const unsigned order = hvpt_table_order(space);
    struct hvpt_link_search search;
    enum hvpt_status status = HVPT_OK;
    uint64_t few[16], frame, piece;
    hvpt_entry *page = hvpt_alloc_frame(space, order, &frame);

    search.space = space;
    search.frame = page != NULL ? (uint64_t *)(void *)page : few;
    search.room = page != NULL ? hvpt_entries(space) : 16;
    search.twice = false;
    for (search.lowest = space->root_level; search.lowest-- != 0 && status == HVPT_OK;) {
        search.floor = 0;
        do {
            search.count = 0;
            search.more = false;
            /* A root may be several tables side by side. */
            for (piece = 0; piece < HVPT_4K << space->root_order; piece += HVPT_4K << order)
                hvpt_link_note(&search, space->root_frame + piece);
            status = hvpt_walk(space, 0, space->gpa_limit, &steps, &search);
            if (search.twice)
                status = HVPT_E_CORRUPT;
            if (search.count != 0)
                search.floor = search.frame[search.count - 1] + 1;
        } while (search.more && status == HVPT_OK);
    }
    if (page != NULL)
        hvpt_give_frame(space, frame, order);
    return status;
}

/*
 * Give the configured space the tables at root. For writing, all of them are counted now, and free_frame frees them
 * from now on as if alloc_frame had given them; HVPT_E_CORRUPT says that one is not well-formed or is linked twice, and
 * nothing was written. For reading only, nothing is read now and nothing is ever written: each entry is judged when a
 * walk meets it.
 */
HVPT_FUNCTION HVPT_COLD enum hvpt_status hvpt_space_take_over(struct hvpt_space *space, uint64_t root)
{
    static const struct hvpt_steps count = {hvpt_adopt_enter, hvpt_adopt_slots, NULL};
    static const struct hvpt_steps unmark = {hvpt_adopt_unmark, hvpt_adopt_unmark_slots, NULL};
    struct hvpt_adoption adoption;
    unsigned level;
    enum hvpt_status status = HVPT_OK;

    space->root_frame = root;
    space->root_table = hvpt_table_at(space, root);
    if (space->root_table == NULL)
        return HVPT_E_CORRUPT;
    if (!space->readonly || (space->policy & HVPT_POLICY_OWN_MARKS))
        space->features |= HVPT_HAS_MARKS;
    hvpt_space_open(space);
    if (space->readonly)
        return HVPT_OK;
    for (level = 0; level < HVPT_MAX_LEVELS; level++) {
        adoption.leaves[level] = 0;
        adoption.tables[level] = 0;
    }
    adoption.space = space;
    adoption.marks = space->policy & HVPT_POLICY_OWN_MARKS ? 0 : space->rules->mark_bits;
    adoption.tables[space->root_level] = 1;
    hvpt_note_frame(space, root, UINT64_C(1) << (HVPT_FRAME_SHIFT + space->root_order));
    status = hvpt_adopt_links(space);
    if (status == HVPT_OK)
        status = hvpt_walk(space, 0, space->gpa_limit, &count, &adoption);
    if (status != HVPT_OK)
        return status;
    (void)hvpt_walk(space, 0, space->gpa_limit, &unmark, &adoption);
    for (level = 0; level < HVPT_MAX_LEVELS; level++) {
        space->leaves[level] = adoption.leaves[level];
        space->tables[level] = adoption.tables[level];
        space->frames += adoption.tables[level];
    }
    return HVPT_OK;
}

#endif
