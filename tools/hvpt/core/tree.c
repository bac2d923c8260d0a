/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Going through a tree that nobody vouches for: runs put together, and an end to loops and to trees that are larger
 * than the memory they lie in. See memory.h.
 */
#include "memory.h"

struct tree_state {
    const struct memory_space *space;
    const struct tree_sink *sink;
    struct tree_counts *counts;
    uint64_t limit;
    uint64_t above[HVPT_MAX_LEVELS]; /* the tables on the way down */
    struct tree_run run;             /* count 0: none */
    uint64_t hole_gpa, hole_size;
    uint64_t broken_gpa, broken_size; /* size 0: none */
    unsigned broken_level;
};

/* Tell what was being put together. */
static void tree_settle(struct tree_state *state)
{
    if (state->run.count) {
        state->counts->runs++;
        if (state->sink->run)
            state->sink->run(state->sink->ctx, &state->run);
    }
    if (state->hole_size && state->sink->hole)
        state->sink->hole(state->sink->ctx, state->hole_gpa, state->hole_size);
    if (state->broken_size) {
        state->counts->broken++;
        if (state->sink->broken)
            state->sink->broken(state->sink->ctx, state->broken_gpa, state->broken_size, state->broken_level);
    }
    state->run.count = 0;
    state->hole_size = 0;
    state->broken_size = 0;
}

static bool tree_leaf(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping)
{
    struct tree_state *state = (struct tree_state *)ctx;
    struct tree_run *run = &state->run;
    const uint64_t size = run->count * run->page_size;

    if (run->count == 0 || run->level != mapping->level || gpa.value != run->gpa + size
        || mapping->hpa.value != run->hpa + size || mapping->attr.perm != run->perm
        || (unsigned)mapping->attr.memtype != run->memtype || mapping->page_size != run->page_size) {
        tree_settle(state);
        run->gpa = gpa.value;
        run->hpa = mapping->hpa.value;
        run->page_size = mapping->page_size;
        run->level = mapping->level;
        run->perm = mapping->attr.perm;
        run->memtype = (unsigned)mapping->attr.memtype;
        run->accessed = run->dirty = 0;
    }
    run->count++;
    run->accessed += (mapping->attr.flags & HVPT_ACCESSED) != 0;
    run->dirty += (mapping->attr.flags & HVPT_DIRTY) != 0;
    state->counts->pages++;
    state->counts->bytes += mapping->page_size;
    return true;
}

static bool tree_hole(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level)
{
    struct tree_state *state = (struct tree_state *)ctx;

    (void)level;
    if (state->hole_size && gpa.value == state->hole_gpa + state->hole_size) {
        state->hole_size += size;
        return true;
    }
    tree_settle(state);
    state->hole_gpa = gpa.value;
    state->hole_size = size;
    return true;
}

/* The table as one that is entered. false: this tree is not to be followed further. */
static bool tree_enter(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    struct tree_state *state = (struct tree_state *)ctx;
    const struct memory *memory = state->space->memory;
    unsigned above;

    if (!state->hole_size || state->sink->table) /* holes go on through tables, for who does not look at tables */
        tree_settle(state);
    state->counts->tables++;
    if (level >= HVPT_MAX_LEVELS)
        return false;
    state->above[level] = table.value;
    for (above = level + 1; above <= state->space->space.root_level && above < HVPT_MAX_LEVELS; above++) {
        if (state->above[above] == table.value) {
            state->counts->end = TREE_LOOP;
            return false;
        }
    }
    if (state->counts->tables > state->limit) {
        state->counts->end = TREE_TOO_MANY;
        return false;
    }
    if (memory->progress && (state->counts->tables & 0x3ff) == 0
        && !memory->progress(memory->ctx, state->counts->tables)) {
        state->counts->end = TREE_STOPPED;
        return false;
    }
    if (state->sink->table)
        state->sink->table(state->sink->ctx, gpa.value, table.value, level);
    return true;
}

static bool tree_leave(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    struct tree_state *state = (struct tree_state *)ctx;

    (void)gpa;
    (void)table;
    if (state->sink->leave) {
        tree_settle(state);
        state->sink->leave(state->sink->ctx, level);
    }
    return true;
}

static bool tree_broken(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level)
{
    struct tree_state *state = (struct tree_state *)ctx;

    if (state->broken_size && gpa.value == state->broken_gpa + state->broken_size && level == state->broken_level) {
        state->broken_size += size;
        return true;
    }
    tree_settle(state);
    state->broken_gpa = gpa.value;
    state->broken_size = size;
    state->broken_level = level;
    return true;
}

void tree_scan(const struct memory_space *space, uint64_t gpa, uint64_t size, const struct tree_sink *sink,
               struct tree_counts *counts)
{
    struct tree_state state;
    struct hvpt_visitor visitor = {NULL, tree_leaf, tree_hole, tree_enter, tree_leave};
    unsigned i;

    visitor.ctx = &state;
    state.space = space;
    state.sink = sink;
    state.counts = counts;
    /* Tables may be shared, as those of an MMIO page that answers everywhere: four times is generous. */
    state.limit = 4 * space->memory->frames + 64;
    state.run.count = 0;
    state.hole_size = 0;
    state.broken_size = 0;
    for (i = 0; i < HVPT_MAX_LEVELS; i++)
        state.above[i] = UINT64_MAX;
    counts->tables = counts->pages = counts->runs = counts->bytes = counts->broken = 0;
    counts->end = TREE_WHOLE;
    (void)(hvpt_walk_past(&space->space, hvpt_make_gpa(gpa), size, &visitor, tree_broken) == HVPT_OK);
    tree_settle(&state);
}

const char *tree_end_text(enum tree_end end)
{
    switch (end) {
    case TREE_WHOLE: break;
    case TREE_LOOP: return "a table refers to one above it: the tree loops, and was not followed further";
    case TREE_TOO_MANY: return "more tables than the memory can hold: the tree was not followed further";
    case TREE_STOPPED: return "stopped before the end";
    }
    return NULL;
}

void tree_perm(uint32_t perm, char text[5])
{
    text[0] = perm & HVPT_READ ? 'r' : '-';
    text[1] = perm & HVPT_WRITE ? 'w' : '-';
    text[2] = perm & HVPT_EXEC ? 'x' : '-';
    text[3] = 0;
    text[4] = 0;
    if (((perm & HVPT_EXEC) != 0) != ((perm & HVPT_EXEC_USER) != 0) && (perm & HVPT_EXEC_USER))
        text[3] = 'u';
}

void tree_size(const struct hvpt_text *out, uint64_t size)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
    unsigned unit = 0;

    while (size >= 1024 && size % 1024 == 0 && unit < 6) {
        size /= 1024;
        unit++;
    }
    hvpt_text_decimal(out, size);
    hvpt_text_string(out, units[unit]);
}
