/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Pseudo-random numbers, the same in every run: xorshift64*. */
#ifndef DIFFERENTIAL_RANDOM_H
#define DIFFERENTIAL_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state; /* not 0 */
};

static inline uint64_t random_next(struct random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* 0 to count - 1. */
static inline unsigned random_below(struct random *random, unsigned count)
{
    return (unsigned)((random_next(random) >> 32) * count >> 32);
}

static inline bool random_one_in(struct random *random, unsigned count)
{
    return random_below(random, count) == 0;
}

static inline uint64_t random_pick(struct random *random, const uint64_t *values, unsigned count)
{
    return values[random_below(random, count)];
}

#endif
