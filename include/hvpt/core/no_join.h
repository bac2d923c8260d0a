/*
 * The answers of a format whose leaves are never joined.
 */
#ifndef HVPT_CORE_NO_JOIN_H
#define HVPT_CORE_NO_JOIN_H

#include "state.h"

static inline unsigned hvpt_no_join_count(const struct hvpt_space *space, unsigned level)
{
    (void)space, (void)level;
    return 1;
}

static inline uint64_t hvpt_no_join(uint64_t entry, unsigned level)
{
    (void)level;
    return entry;
}

static inline uint64_t hvpt_no_join_step(unsigned level)
{
    (void)level;
    return 0;
}

static inline bool hvpt_no_is_joined(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    (void)space, (void)entry, (void)level;
    return false;
}

static inline uint64_t hvpt_no_unjoin(uint64_t entry, unsigned level, uint64_t gpa)
{
    (void)level, (void)gpa;
    return entry;
}

#endif
