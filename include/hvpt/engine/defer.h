/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Deferred flushes: what became stale, which tables were retired, and the flush itself.
 * Nothing is written into a table between its unlinking and its flush: a retired subtree stays as it was, and is freed
 * as a whole.
 */
#ifndef HVPT_ENGINE_DEFER_H
#define HVPT_ENGINE_DEFER_H

#include "fill.h"
#include "frames.h"

/*
 * Record that translations of [gpa, gpa + size) changed, which a CPU may have cached. tables: an entry that led to a
 * table is among them.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_defer(const struct hvpt_space *space, struct hvpt_flush *flush, uint64_t gpa,
                                        uint64_t size, bool tables)
{
    if (flush->kind == HVPT_FLUSH_NONE) {
        flush->kind = (enum hvpt_flush_kind)space->flush_kind;
        flush->root = space->root_register;
        flush->gpa = hvpt_make_gpa(gpa);
        flush->size = size;
        flush->tables = false; /* nothing but kind is trusted to be initialised */
        flush->dead_count = 0;
    } else {
        uint64_t first = gpa < flush->gpa.value ? gpa : flush->gpa.value;
        uint64_t end = flush->gpa.value + flush->size;

        if (end < gpa + size)
            end = gpa + size;
        flush->gpa = hvpt_make_gpa(first);
        flush->size = end - first;
    }
    flush->tables = flush->tables || tables;
}

/* The same for one smallest page, of size bytes; the page after those already deferred costs next to nothing. */
HVPT_INLINE void hvpt_defer_page(const struct hvpt_space *space, struct hvpt_flush *flush, uint64_t gpa, uint64_t size)
{
    if (HVPT_LIKELY(flush->kind != HVPT_FLUSH_NONE && flush->gpa.value + flush->size == gpa))
        flush->size += size;
    else
        hvpt_defer(space, flush, gpa, size, false);
}

HVPT_INLINE void hvpt_flush_clear(struct hvpt_flush *flush)
{
    flush->kind = HVPT_FLUSH_NONE;
    flush->tables = false;
    flush->gpa = hvpt_make_gpa(0);
    flush->size = 0;
    flush->root = 0;
    flush->dead_count = 0;
}

/* Does flush belong to another space? */
HVPT_INLINE bool hvpt_flush_is_foreign(const struct hvpt_space *space, const struct hvpt_flush *flush)
{
    return flush->kind != HVPT_FLUSH_NONE && flush->root != space->root_register;
}

/*
 * The flush to defer to: the caller's, or own where the call is to flush before it returns, because the caller gave
 * none or one that another space already uses.
 */
HVPT_FUNCTION struct hvpt_flush *hvpt_flush_begin(const struct hvpt_space *space, struct hvpt_flush *flush,
                                                  struct hvpt_flush *own)
{
    if (HVPT_LIKELY(flush != NULL && !hvpt_flush_is_foreign(space, flush)))
        return flush;
    hvpt_flush_clear(own);
    return own;
}

/* The last of count entries that refers to a table, and in *count how many come before it. 0: there is none. */
HVPT_INLINE uint64_t hvpt_last_table(const struct hvpt_space *space, const hvpt_entry *table, unsigned level,
                                     unsigned *count)
{
    while (*count != 0) {
        const uint64_t entry = hvpt_load(&table[--*count]);

        if (hvpt_is_present(space, entry) && hvpt_is_table(space, entry, level))
            return entry;
    }
    return 0;
}

/*
 * Free the table at frame and all tables below it: depth first, on a path of at most HVPT_MAX_LEVELS. The last table
 * goes first, because an allocator that hands out first what was freed last then gives the next map ascending frames.
 */
HVPT_FUNCTION void hvpt_free_subtree(struct hvpt_space *space, uint64_t frame, unsigned level)
{
    const hvpt_entry *table[HVPT_MAX_LEVELS];
    uint64_t frames[HVPT_MAX_LEVELS], freed = 0;
    unsigned next[HVPT_MAX_LEVELS], at = level;

    for (;;) {
        frames[at] = frame;
        table[at] = at == 0 ? NULL : hvpt_table_at(space, frame);
        next[at] = table[at] == NULL ? 0 : hvpt_table_entries(space, at);
        for (;;) {
            const uint64_t entry = hvpt_last_table(space, table[at], at, &next[at]);

            frame = entry == 0 ? frames[at] : hvpt_frame_in(space, entry);
            if (entry != 0 && at > 1)
                break;
            hvpt_give_frame(space, frame,
                            at == space->root_level && entry == 0 ? space->root_order : hvpt_table_order(space));
            freed++;
            if (entry == 0 && at++ == level) {
                hvpt_count_add_shared(&space->frames, (uint64_t)0 - freed);
                return;
            }
        }
        at--;
    }
}

/* Have the hook carry out flush. */
HVPT_FUNCTION HVPT_COLD void hvpt_flush_ask(const struct hvpt_space *space, const struct hvpt_flush *flush)
{
    const struct hvpt_hooks *hooks = hvpt_hooks_of(space);

    if (flush->kind != HVPT_FLUSH_NONE && hooks->flush != NULL)
        (hooks->flush)(hooks->ctx, flush);
}

/* Carry out flush, free the tables that waited for it, and leave it empty. */
HVPT_FUNCTION HVPT_COLD void hvpt_finish(struct hvpt_space *space, struct hvpt_flush *flush)
{
    unsigned i;

    hvpt_flush_ask(space, flush);
    for (i = flush->dead_count; i-- != 0;)
        hvpt_free_subtree(space, flush->dead[i] & ~(HVPT_4K - 1), (unsigned)(flush->dead[i] & (HVPT_4K - 1)));
    hvpt_flush_clear(flush);
}

/* The end of a call that began with hvpt_flush_begin. */
HVPT_INLINE void hvpt_flush_end(struct hvpt_space *space, const struct hvpt_flush *used, struct hvpt_flush *own)
{
    if (used == own)
        hvpt_finish(space, own);
}

/*
 * Flush what grew: a mapping that a CPU may have cached as absent, or a permission that a CPU may go on denying. The
 * work goes into flush or, if there is none, is done at once. Out of line, so that its own flush is not in the callers'
 * stack frames.
 */
HVPT_FUNCTION HVPT_COLD void hvpt_flush_grown(struct hvpt_space *space, struct hvpt_flush *flush, uint64_t gpa,
                                              uint64_t size, bool tables)
{
    struct hvpt_flush own;
    struct hvpt_flush *used = hvpt_flush_begin(space, flush, &own);

    hvpt_defer(space, used, gpa, size, tables);
    if (used == &own) /* no table waits in it */
        hvpt_flush_ask(space, used);
}

#endif
