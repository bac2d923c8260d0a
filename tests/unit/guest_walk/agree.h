/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Make the walk and the oracle answer the same question, and compare everything they say.
 */
#ifndef GUEST_WALK_AGREE_H
#define GUEST_WALK_AGREE_H

#include "oracle.h"
#include "world.h"

/* A CPU whose second level is the world's; the guest's part is the caller's. Nothing is enabled. */
struct oracle oracle_of(const struct world *world);

/* The control registers that say what the oracle's flags say. */
struct hvpt_x86_guest registers_of(const struct oracle *cpu);

/* HVPT_READ | ... of an access. */
uint32_t bits_of(struct oracle_access access);

/* Both walk; any difference fails the test, with the question in the message. */
void agree(const struct world *world, const struct oracle *cpu, uint64_t linear, struct oracle_access access);

/* The walk alone, which must end so. */
struct hvpt_guest_walk walk_to(const struct world *world, const struct oracle *cpu, uint64_t linear, uint32_t access,
                               enum hvpt_guest_end end);

/* Every access there is: what it does by every kind of mode. */
#define ACCESS_COUNT 16u
struct oracle_access access_number(unsigned number);

/* A chain of tables in frames 0 (the root), 1, ... that leads linear to the frame gpa by entries with these bits. */
void build(struct world *world, const struct oracle *cpu, uint64_t linear, uint64_t gpa, uint64_t bits,
           unsigned leaf_level);

/* Where build put the entry for linear at a level. */
uint64_t entry_at(const struct oracle *cpu, uint64_t linear, unsigned level);

unsigned top_level(enum oracle_mode mode);

/* splitmix64 */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

#endif
