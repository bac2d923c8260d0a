/*
 * The leaf iterator: one mapped page after the other, in a loop of the caller's own.
 */
#ifndef HVPT_CORE_LEAVES_H
#define HVPT_CORE_LEAVES_H

#include "translate.h"
#include "tree.h"

/*
 * A place in a space. Start with next at the first address of interest and end behind the last; status becomes other
 * than HVPT_OK where the iteration ends early. It holds no pointer into the tables, so they may change between two
 * steps.
 */
struct hvpt_leaf_iterator {
    hvpt_gpa next;
    uint64_t end;
    enum hvpt_status status;
};

/* Begin at gpa, which may lie inside a large page; that page is then the first. */
static inline struct hvpt_leaf_iterator hvpt_leaves(hvpt_gpa gpa, uint64_t size)
{
    struct hvpt_leaf_iterator iterator;

    iterator.next = gpa;
    iterator.end = gpa.value + size;
    iterator.status = HVPT_OK;
    return iterator;
}

/*
 * The next leaf: *gpa is where its page begins, mapping->hpa likewise. false: there is none; iterator->status says
 * whether that is the end (HVPT_OK) or a table cannot be read (HVPT_E_CORRUPT), or the range was not one
 * (HVPT_E_RANGE).
 * Safe beside map, fault_map and other readers.
 */
HVPT_ENGINE bool hvpt_next_leaf(const struct hvpt_format *format, const struct hvpt_space *space,
                                struct hvpt_leaf_iterator *iterator, hvpt_gpa *gpa, struct hvpt_mapping *mapping)
{
    if (iterator->end > space->gpa_limit || iterator->end < iterator->next.value)
        iterator->status = HVPT_E_RANGE;
    while (iterator->status == HVPT_OK && iterator->next.value < iterator->end) {
        uint64_t at = iterator->next.value;
        struct hvpt_run run;

        iterator->status = format->descend(space, at, 0, &run);
        if (iterator->status != HVPT_OK)
            break;
        iterator->next = hvpt_make_gpa(run.gpa + hvpt_span(format, run.level));
        if (!hvpt_is_present(space, run.entry))
            continue;
        *gpa = hvpt_make_gpa(run.gpa);
        iterator->status = hvpt_translate_seldom(format, space, *gpa, mapping);
        if (iterator->status == HVPT_OK) {
            /* Between the two looks a page may have been split: the smaller one counts, the others are still to come. */
            iterator->next = hvpt_make_gpa(gpa->value + mapping->page_size);
            return true;
        }
        if (iterator->status == HVPT_E_ABSENT)
            iterator->status = HVPT_OK; /* it went away between the two looks */
    }
    return false;
}

#endif
