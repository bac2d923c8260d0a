/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The walker that everyone writes first: one page at a time, from the root each time, a callback for physical addresses,
 * tables zeroed before use and never given back before the end.
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "face.h"

#define ADDRESS UINT64_C(0x000ffffffffff000)
#define PAGE    UINT64_C(4096)

struct plain {
    uint64_t root;
    uint64_t max_page;
    uint64_t *(*see)(uint64_t frame);
    uint64_t tables;
};

static uint64_t *see(uint64_t frame)
{
    return bench_at(frame);
}

static uint64_t new_table(struct plain *plain)
{
    uint64_t frame = 0;

    if (!bench_frame_get(&bench_arena, 0, &frame))
        abort();
    memset(plain->see(frame), 0, PAGE);
    plain->tables++;
    return frame;
}

static void *create(uint64_t max_page)
{
    struct plain *plain = calloc(1, sizeof *plain);

    plain->max_page = max_page;
    plain->see = see;
    plain->root = new_table(plain);
    return plain;
}

static void free_below(struct plain *plain, uint64_t frame, int level)
{
    int i;

    for (i = 0; level > 0 && i < 512; i++) {
        uint64_t entry = plain->see(frame)[i];

        if (entry != 0 && !(entry & 0x80))
            free_below(plain, entry & ADDRESS, level - 1);
    }
    bench_frame_put(&bench_arena, frame, 0);
    plain->tables--;
}

static void destroy(void *ptr)
{
    struct plain *plain = ptr;

    free_below(plain, plain->root, 3);
    free(plain);
}

static int map_one(struct plain *plain, uint64_t gpa, uint64_t hpa, int leaf_level)
{
    uint64_t *table = plain->see(plain->root);
    int level;

    for (level = 3; level > leaf_level; level--) {
        uint64_t *entry = &table[gpa >> (12 + 9 * level) & 511];

        if (*entry == 0)
            *entry = new_table(plain) | 7;
        table = plain->see(*entry & ADDRESS);
    }
    table += gpa >> (12 + 9 * level) & 511;
    if (*table != 0)
        return -1;
    *table = hpa | 0x37 | (leaf_level > 0 ? 0x80 : 0);
    return 0;
}

static bool map(void *ptr, uint64_t gpa, uint64_t hpa, uint64_t size)
{
    struct plain *plain = ptr;
    uint64_t at;

    for (at = 0; at < size; at += plain->max_page) {
        if (map_one(plain, gpa + at, hpa + at, plain->max_page == PAGE ? 0 : 1) != 0)
            return false;
    }
    return true;
}

static int unmap_one(struct plain *plain, uint64_t gpa)
{
    uint64_t *table = plain->see(plain->root);
    int level;

    for (level = 3; level > 0; level--) {
        uint64_t entry = table[gpa >> (12 + 9 * level) & 511];

        if (entry == 0)
            return -1;
        if (entry & 0x80)
            break;
        table = plain->see(entry & ADDRESS);
    }
    table[gpa >> (12 + 9 * level) & 511] = 0;
    return 0;
}

static bool unmap(void *ptr, uint64_t gpa, uint64_t size)
{
    struct plain *plain = ptr;
    uint64_t at;

    for (at = 0; at < size; at += plain->max_page)
        (void)unmap_one(plain, gpa + at);
    return true;
}

static uint64_t map_pages(void *ptr, const uint64_t *gpa, uint64_t count, uint64_t offset)
{
    uint64_t i, done = 0;

    for (i = 0; i < count; i++)
        done += map_one(ptr, gpa[i], gpa[i] + offset, 0) == 0;
    return done;
}

static uint64_t translate(void *ptr, const uint64_t *gpa, uint64_t count)
{
    struct plain *plain = ptr;
    uint64_t sum = 0, i;

    for (i = 0; i < count; i++) {
        uint64_t *table = plain->see(plain->root), entry = 0;
        int level;

        for (level = 3; level >= 0; level--) {
            entry = table[gpa[i] >> (12 + 9 * level) & 511];
            if (entry == 0 || level == 0 || (entry & 0x80))
                break;
            table = plain->see(entry & ADDRESS);
        }
        if (entry != 0)
            sum += (entry & ADDRESS) | (gpa[i] & ((PAGE << (9 * level)) - 1));
    }
    return sum;
}

const struct bench_face bench_plain = {
    .name = "plain walker",
    .create = create,
    .destroy = destroy,
    .map = map,
    .unmap = unmap,
    .map_pages = map_pages,
    .translate = translate,
};
