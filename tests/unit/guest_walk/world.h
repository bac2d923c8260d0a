/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A host with a little memory and one guest in it: 2 MiB of guest memory, its frames scattered over the host, and an EPT
 * or NPT over it. What lies elsewhere is no memory, and phys_to_virt says so.
 */
#ifndef GUEST_WALK_WORLD_H
#define GUEST_WALK_WORLD_H

#include <hvpt/space.h>

#include <hvpt/guest/walk.h>

#include <criterion/criterion.h>
#include <stdio.h>

#define GUEST        UINT64_C(0x40000000)
#define GUEST_FRAMES 512u
#define HOST         UINT64_C(0x1c0000000)
#define HOST_FRAMES  1024u /* the first half is the guest's, the second holds tables */

struct world {
    struct hvpt_hooks hooks;
    struct hvpt_space space;
    uint8_t *memory;
    unsigned next_table;
    unsigned place[GUEST_FRAMES]; /* host frame of each guest frame */
    uint64_t looked_up;           /* calls of phys_to_virt */
    uint64_t stored;              /* sum over memory, to see that nothing was written */
};

/* How the guest's memory is mapped at first: by 4K pages to scattered frames, or by one 2M or 1G page. */
void world_open(struct world *world, const struct hvpt_space_config *config, uint64_t page_size);
void world_close(struct world *world);

/* EPT with these features (4 levels, execute-only allowed), or NPT; 4K pages, all rights. */
void world_open_ept(struct world *world, uint32_t features);
void world_open_npt(struct world *world);

/* Where host-physical memory is seen, or NULL. */
void *world_at(const struct world *world, uint64_t hpa);

/* Guest memory, from the outside. gpa is in the guest's 2 MiB. */
uint64_t world_hpa(const struct world *world, uint64_t gpa);
uint64_t world_get(const struct world *world, uint64_t gpa);
void world_put(struct world *world, uint64_t gpa, uint64_t value);
void world_put32(struct world *world, uint64_t gpa, uint32_t value);

/* The second level's 8-byte entry for gpa at a level, found from the root register by hand. */
uint64_t *world_slot(const struct world *world, uint64_t gpa, unsigned level);

/* The guest-physical address of a frame of the guest. */
static inline uint64_t frame(unsigned number)
{
    return GUEST + 0x1000 * (uint64_t)number;
}

/*
 * The headers' functions that the tests call, compiled once: the engine takes a sanitizing compiler minutes a copy.
 * Mapping and the like must succeed.
 */
enum hvpt_guest_end world_walk(const struct world *world, const struct hvpt_x86_guest *guest, uint64_t linear,
                               uint32_t access, struct hvpt_guest_walk *walk);
void world_map(struct world *world, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr);
void world_age(struct world *world, uint64_t gpa);
void world_touch(struct world *world, uint64_t gpa);

/* A sum over all memory: equal before and after what may only read. */
uint64_t world_sum(const struct world *world);

#define EXPECT(got, wanted)                                                                                      \
    do {                                                                                                         \
        unsigned long long expect_got = (unsigned long long)(got), expect_wanted = (unsigned long long)(wanted); \
        if (expect_got != expect_wanted)                                                                         \
            cr_assert_fail("%s:%d: %s is %#llx, should be %#llx", __FILE__, __LINE__, #got, expect_got,          \
                           expect_wanted);                                                                       \
    } while (0)

#endif
