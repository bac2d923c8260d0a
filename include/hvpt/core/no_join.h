/*
 * The answers of a format whose leaves are never joined. Nobody asks it how they would be, so join and unjoin are NULL
 * there.
 */
#ifndef HVPT_CORE_NO_JOIN_H
#define HVPT_CORE_NO_JOIN_H

#include "state.h"

static inline unsigned hvpt_no_join_count(const struct hvpt_space *space, unsigned level)
{
    (void)space, (void)level;
    return 1;
}

static inline bool hvpt_no_is_joined(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    (void)space, (void)entry, (void)level;
    return false;
}

#endif
