/*
 * Keeping the flush obligation: what became stale, which tables were unlinked, and making it good.
 * Nothing is written into a frame between its unlinking and its flush: a dead subtree stays as it was, and is freed as
 * a whole.
 */
#ifndef HVPT_CORE_OBLIGATION_H
#define HVPT_CORE_OBLIGATION_H

#include "frames.h"
#include "fill.h"

/*
 * Translations of [gpa, gpa + size) changed that a CPU may have cached; tables: an entry that led to a table is among
 * them.
 */
static HVPT_NOINLINE void hvpt_owe_flush(const struct hvpt_space *space, struct hvpt_flush *flush, uint64_t gpa,
                                         uint64_t size, bool tables)
{
    if (flush->kind == HVPT_FLUSH_NONE) {
        flush->kind = (enum hvpt_flush_kind)space->flush_kind;
        flush->root = space->root_register;
        flush->gpa = hvpt_make_gpa(gpa);
        flush->size = size;
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

/* The same for one smallest page; the page after those already owed costs next to nothing. */
HVPT_ENGINE void hvpt_owe_page(const struct hvpt_format *format, const struct hvpt_space *space,
                               struct hvpt_flush *flush, uint64_t gpa)
{
    if (flush->kind != HVPT_FLUSH_NONE && flush->gpa.value + flush->size == gpa)
        flush->size += hvpt_span(format, 0);
    else
        hvpt_owe_flush(space, flush, gpa, hvpt_span(format, 0), false);
}

HVPT_ENGINE void hvpt_flush_clear(struct hvpt_flush *flush)
{
    flush->kind = HVPT_FLUSH_NONE;
    flush->tables = false;
    flush->gpa = hvpt_make_gpa(0);
    flush->size = 0;
    flush->root = 0;
    flush->dead_count = 0;
}

/* A caller who gives no struct hvpt_flush wants the flush done when the call returns: own carries it until then. */
HVPT_ENGINE struct hvpt_flush *hvpt_flush_or_own(struct hvpt_flush *flush, struct hvpt_flush *own)
{
    if (HVPT_LIKELY(flush != NULL))
        return flush;
    hvpt_flush_clear(own);
    return own;
}

HVPT_ENGINE void hvpt_flush_own(const struct hvpt_format *format, struct hvpt_space *space,
                                const struct hvpt_flush *flush, struct hvpt_flush *own)
{
    if (flush == NULL)
        format->settle(space, own);
}

/*
 * What map owes where a CPU may hold that a page is not mapped: into flush, or done at once without one. Out of line, so
 * that the frame of its own obligation is not part of map's. tables: entries that led nowhere lead to tables now. settle
 * is the format's.
 */
static HVPT_NOINLINE void hvpt_owe_mapping(struct hvpt_space *space, struct hvpt_flush *flush, uint64_t gpa,
                                           uint64_t size, bool tables,
                                           void (*settle)(struct hvpt_space *space, struct hvpt_flush *flush))
{
    struct hvpt_flush own;

    hvpt_owe_flush(space, hvpt_flush_or_own(flush, &own), gpa, size, tables);
    if (flush == NULL)
        settle(space, &own);
}

/*
 * Free the table at frame and all tables below it. Depth first, on a path of at most HVPT_MAX_LEVELS; the last table
 * first, because an allocator that gives back what came last then gives them in ascending order to the next map.
 */
HVPT_ENGINE void hvpt_free_subtree(const struct hvpt_format *format, struct hvpt_space *space, uint64_t frame,
                                   unsigned level)
{
    const uint64_t mask = space->plain_table_mask, bits = space->plain_table_bits;
    const hvpt_entry *table[HVPT_MAX_LEVELS];
    uint64_t frames[HVPT_MAX_LEVELS];
    unsigned next[HVPT_MAX_LEVELS];
    unsigned at = level;
    uint64_t freed = 0;

    frames[at] = frame;
    table[at] = level == 0 ? NULL : hvpt_table_at(space, frame);
    next[at] = hvpt_table_entries(format, space, at);
    for (;;) {
        if (table[at] == NULL || next[at] == 0) {
            hvpt_give_frame(space, frames[at], at == space->root_level ? space->root_order : space->table_order);
            freed++;
            if (at == level)
                break;
            at++;
        } else {
            uint64_t entry = hvpt_load(&table[at][--next[at]]);
            uint64_t below = format->plain_frame(space, entry);

            if (!hvpt_is_present(space, entry))
                continue;
            if ((entry & mask) != bits) {
                if (!format->is_table(space, entry, at))
                    continue;
                below = format->table_frame(space, entry);
            }
            if (at == 1) {
                hvpt_give_frame(space, below, space->table_order);
                freed++;
            } else {
                at--;
                frames[at] = below;
                table[at] = hvpt_table_at(space, below);
                next[at] = hvpt_entries(format);
            }
        }
    }
    hvpt_count_add(&space->stats.frames, (uint64_t)0 - freed);
}

/* Do what flush asks for, free what waited for it, and leave it empty. */
HVPT_ENGINE void hvpt_settle(const struct hvpt_format *format, struct hvpt_space *space, struct hvpt_flush *flush)
{
    const struct hvpt_hooks *hooks = hvpt_hooks_of(space);
    unsigned i;

    if (flush->kind != HVPT_FLUSH_NONE && hooks->flush != NULL)
        hooks->flush(hooks->ctx, flush);
    for (i = flush->dead_count; i-- != 0;)
        hvpt_free_subtree(format, space, flush->dead[i] & ~(HVPT_4K - 1), (unsigned)(flush->dead[i] & (HVPT_4K - 1)));
    hvpt_flush_clear(flush);
}

#endif
