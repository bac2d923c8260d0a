/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The host and its guest of world.h.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

void *world_at(const struct world *world, uint64_t hpa)
{
    if (hpa < HOST || hpa >= HOST + 0x1000 * HOST_FRAMES)
        return NULL;
    return world->memory + (hpa - HOST);
}

static void *phys_to_virt(void *ctx, hvpt_hpa hpa)
{
    struct world *world = (struct world *)ctx;

    world->looked_up++;
    EXPECT(hpa.value & 0xfff, 0);
    return world_at(world, hpa.value);
}

static bool alloc_frame(void *ctx, unsigned order, hvpt_hpa *out)
{
    struct world *world = (struct world *)ctx;

    if (order != 0 || world->next_table == HOST_FRAMES)
        return false;
    *out = hvpt_make_hpa(HOST + 0x1000 * (uint64_t)world->next_table++);
    return true;
}

static void free_frame(void *ctx, hvpt_hpa hpa, unsigned order)
{
    (void)ctx, (void)hpa, (void)order;
}

enum hvpt_guest_end world_walk(const struct world *world, const struct hvpt_x86_guest *guest, uint64_t linear,
                               uint32_t access, struct hvpt_guest_walk *walk)
{
    return hvpt_guest_walk_x86(&world->space, guest, linear, access, walk);
}

void world_map(struct world *world, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr)
{
    struct hvpt_flush flush = {0};

    EXPECT(hvpt_space_map(&world->space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, &flush), HVPT_OK);
}

void world_age(struct world *world, uint64_t gpa)
{
    struct hvpt_flush flush = {0};
    uint64_t bitmap = 0;

    EXPECT(hvpt_space_age(&world->space, hvpt_make_gpa(gpa), 0x1000, &bitmap, &flush), HVPT_OK);
    EXPECT(bitmap, 1);
}

void world_touch(struct world *world, uint64_t gpa)
{
    EXPECT(hvpt_space_touch(&world->space, hvpt_make_gpa(gpa), HVPT_READ), HVPT_OK);
}

void world_open(struct world *world, const struct hvpt_space_config *config, uint64_t page_size)
{
    const struct hvpt_attr all = {HVPT_READ | HVPT_WRITE | HVPT_EXEC | HVPT_EXEC_USER, HVPT_MEM_WB, 0, 0};

    memset(world, 0, sizeof(*world));
    world->hooks.ctx = world;
    world->hooks.alloc_frame = alloc_frame;
    world->hooks.free_frame = free_frame;
    world->hooks.phys_to_virt = phys_to_virt;
    world->memory = (uint8_t *)aligned_alloc(0x1000, 0x1000 * HOST_FRAMES);
    cr_assert_not_null(world->memory);
    memset(world->memory, 0, 0x1000 * HOST_FRAMES);
    world->next_table = HOST_FRAMES / 2;

    if (config->kind == HVPT_KIND_EPT)
        EXPECT(hvpt_ept_init(&world->space, &world->hooks, &config->ept), HVPT_OK);
    else
        EXPECT(hvpt_npt_init(&world->space, &world->hooks, &config->npt), HVPT_OK);
    for (unsigned i = 0; i < GUEST_FRAMES; i++) {
        world->place[i] = page_size == HVPT_4K ? (i * 37 + 11) % GUEST_FRAMES : i;
        if (page_size == HVPT_4K)
            world_map(world, frame(i), HOST + 0x1000 * (uint64_t)world->place[i], 0x1000, all);
    }
    if (page_size != HVPT_4K)
        world_map(world, GUEST, HOST, page_size, all);
    world->looked_up = 0;
}

void world_open_ept(struct world *world, uint32_t features)
{
    struct hvpt_space_config config;

    memset(&config, 0, sizeof(config));
    config.kind = HVPT_KIND_EPT;
    config.ept.ept_vpid_cap = ~UINT64_C(0);
    config.ept.features = features;
    world_open(world, &config, HVPT_4K);
}

void world_open_npt(struct world *world)
{
    struct hvpt_space_config config;

    memset(&config, 0, sizeof(config));
    config.kind = HVPT_KIND_NPT;
    world_open(world, &config, HVPT_4K);
}

void world_close(struct world *world)
{
    /* The frames are the arena's. */
    free(world->memory);
}

uint64_t world_hpa(const struct world *world, uint64_t gpa)
{
    cr_assert(gpa >= GUEST && gpa < frame(GUEST_FRAMES));
    return HOST + 0x1000 * (uint64_t)world->place[(gpa - GUEST) >> 12] + (gpa & 0xfff);
}

uint64_t world_get(const struct world *world, uint64_t gpa)
{
    uint64_t value;

    memcpy(&value, world_at(world, world_hpa(world, gpa)), sizeof(value));
    return value;
}

void world_put(struct world *world, uint64_t gpa, uint64_t value)
{
    memcpy(world_at(world, world_hpa(world, gpa)), &value, sizeof(value));
}

void world_put32(struct world *world, uint64_t gpa, uint32_t value)
{
    memcpy(world_at(world, world_hpa(world, gpa)), &value, sizeof(value));
}

uint64_t *world_slot(const struct world *world, uint64_t gpa, unsigned level)
{
    uint64_t table = hvpt_space_root(&world->space) & UINT64_C(0xffffffffff000);
    bool ept = world->space.kind == HVPT_KIND_EPT;
    unsigned at = ept ? (unsigned)(hvpt_space_root(&world->space) >> 3 & 7) : world->space.root_level;

    for (;; at--) {
        uint64_t *slot = (uint64_t *)world_at(world, table) + (gpa >> (12 + 9 * at) & 511);

        if (at == level)
            return slot;
        table = *slot & UINT64_C(0xffffffffff000);
    }
}

uint64_t world_sum(const struct world *world)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < 0x1000 * HOST_FRAMES / 8; i++) {
        uint64_t word;

        memcpy(&word, world->memory + 8 * i, sizeof(word));
        sum = (sum ^ word) * UINT64_C(0x100000001b3) + i;
    }
    return sum;
}
