/*
 * The one way through a tree, seen by an operation: which part of it each kind of visit plays, and where a visit
 * stands. The loop itself is in traverse.h, once a format.
 */
#ifndef HVPT_CORE_VISIT_H
#define HVPT_CORE_VISIT_H

#include "compiler.h"

/*
 * Where a visit stands. run: slots [slot, slot + count) of the table at this level, the first covering gpa; gpa is
 * aligned to the slot, so at the edges a leaf may stick out of the range [start, end) of the visit. entry: the first
 * slot's content. At level 0 a run is all of the table that lies in the range; above, one slot.
 */
struct hvpt_run {
    hvpt_entry *slot;
    unsigned count;
    unsigned level;
    uint64_t gpa;
    uint64_t entry;
};

enum hvpt_step { HVPT_STEP_INTO, HVPT_STEP_OVER };

/*
 * The kinds of visits. A number and not a struct of callbacks: traverse.h calls each operation's functions by name, so
 * that they are compiled for the format and exist once, however many operations visit.
 */
enum hvpt_visit {
    HVPT_VISIT_MAP_PLAN,
    HVPT_VISIT_PROTECT_PLAN,
    HVPT_VISIT_REPLACE_PLAN,
    HVPT_VISIT_SPLIT_PLAN,
    HVPT_VISIT_WALK,
    HVPT_VISIT_CENSUS,
    HVPT_VISIT_SEARCH,
    HVPT_VISIT_UNMAP,
    HVPT_VISIT_PROTECT,
    HVPT_VISIT_REPLACE,
    HVPT_VISIT_ADOPT,
    HVPT_VISIT_HARVEST,
    HVPT_VISIT_COLLAPSE
};

/*
 * The loop is compiled three times a format, so that its frame stays small: for what only looks; for what changes; and for
 * the harvest, which alone is compiled for speed: it takes every entry apart, where the others run once a table.
 */
enum hvpt_visits {
    HVPT_VISITS_LOOK = (1 << HVPT_VISIT_UNMAP) - 1,
    HVPT_VISITS_CHANGE = (1 << HVPT_VISIT_HARVEST) - (1 << HVPT_VISIT_UNMAP) + (1 << HVPT_VISIT_COLLAPSE),
    HVPT_VISITS_HARVEST = 1 << HVPT_VISIT_HARVEST
};

#endif
