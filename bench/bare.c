/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
#include "bare.h"

#include <stdlib.h>

#include "arena.h"
#include "face.h"

#define ADDRESS UINT64_C(0x000ffffffffff000)
#define LEAF    UINT64_C(0x37) /* readable, writable, executable, write-back, as EPT has it */
#define LINK    UINT64_C(7)
#define DIRTY   (UINT64_C(1) << 9)

struct bare {
    uint64_t *root;
    uint64_t root_frame;
    unsigned level;
    uint64_t tables; /* that hold leaves */
    uint64_t *frame; /* of each of them, in order */
    uint64_t *others;
    uint64_t other_count;
    uint64_t list;
    uint64_t **link; /* where each is linked */
};

static uint64_t fresh(void)
{
    uint64_t frame = 0, i;

    if (!bench_frame_get(&bench_arena, 0, &frame))
        abort();
    for (i = 0; i < 512; i++)
        bench_at(frame)[i] = 0;
    return frame;
}

struct bare *bare_create(uint64_t size, unsigned level)
{
    struct bare *bare = calloc(1, sizeof *bare);
    uint64_t span = UINT64_C(4096) << (9 * level), at;

    bare->level = level;
    bare->tables = size / span / 512;
    bare->frame = malloc(bare->tables * sizeof *bare->frame);
    bare->link = malloc(bare->tables * sizeof *bare->link);
    bare->others = malloc((bare->tables / 512 + 1024) * sizeof *bare->others);
    bare->root_frame = fresh();
    bare->root = bench_at(bare->root_frame);
    for (at = 0; at < bare->tables; at++) {
        uint64_t gpa = at * span * 512;
        uint64_t *table = bare->root;
        unsigned down;

        for (down = 3; down > level + 1; down--) {
            uint64_t *slot = &table[gpa >> (12 + 9 * down) & 511];

            if (*slot == 0) {
                bare->others[bare->other_count] = fresh();
                *slot = bare->others[bare->other_count++] | LINK;
            }
            table = bench_at(*slot & ADDRESS);
        }
        bare->frame[at] = fresh();
        bare->link[at] = &table[gpa >> (12 + 9 * down) & 511];
        *bare->link[at] = bare->frame[at] | LINK;
    }
    return bare;
}

void bare_destroy(struct bare *bare)
{
    uint64_t i;

    for (i = bare->tables; i-- != 0;)
        bench_frame_put(&bench_arena, bare->frame[i], 0);
    for (i = 0; i < bare->other_count; i++)
        bench_frame_put(&bench_arena, bare->others[i], 0);
    bench_frame_put(&bench_arena, bare->root_frame, 0);
    free(bare->frame);
    free(bare->link);
    free(bare->others);
    free(bare);
}

static inline void fill(uint64_t *slot, uint64_t value, uint64_t step)
{
    unsigned left;

    for (left = 512; left != 0; left -= 8, slot += 8, value += 8 * step) {
        __atomic_store_n(&slot[0], value, __ATOMIC_RELAXED);
        __atomic_store_n(&slot[1], value + step, __ATOMIC_RELAXED);
        __atomic_store_n(&slot[2], value + 2 * step, __ATOMIC_RELAXED);
        __atomic_store_n(&slot[3], value + 3 * step, __ATOMIC_RELAXED);
        __atomic_store_n(&slot[4], value + 4 * step, __ATOMIC_RELAXED);
        __atomic_store_n(&slot[5], value + 5 * step, __ATOMIC_RELAXED);
        __atomic_store_n(&slot[6], value + 6 * step, __ATOMIC_RELAXED);
        __atomic_store_n(&slot[7], value + 7 * step, __ATOMIC_RELAXED);
    }
}

static inline bool all_empty(const uint64_t *slot)
{
    uint64_t any = 0;
    unsigned i;

    for (i = 0; i < 512; i += 8)
        any |= __atomic_load_n(&slot[i], __ATOMIC_RELAXED) | __atomic_load_n(&slot[i + 1], __ATOMIC_RELAXED)
             | __atomic_load_n(&slot[i + 2], __ATOMIC_RELAXED) | __atomic_load_n(&slot[i + 3], __ATOMIC_RELAXED)
             | __atomic_load_n(&slot[i + 4], __ATOMIC_RELAXED) | __atomic_load_n(&slot[i + 5], __ATOMIC_RELAXED)
             | __atomic_load_n(&slot[i + 6], __ATOMIC_RELAXED) | __atomic_load_n(&slot[i + 7], __ATOMIC_RELAXED);
    return any == 0;
}

/* The step is a constant where it matters, as it would be by hand. */
static inline void fill_level(uint64_t *slot, uint64_t gpa, unsigned level)
{
    if (level == 0)
        fill(slot, gpa | LEAF, 4096);
    else
        fill(slot, gpa | LEAF | 0x80, UINT64_C(4096) << 9);
}

void bare_fill(struct bare *bare)
{
    uint64_t i, span = UINT64_C(4096) << (9 * bare->level);

    for (i = 0; i < bare->tables; i++)
        fill_level(bench_at(bare->frame[i]), i * 512 * span, bare->level);
}

void bare_fill_checked(struct bare *bare)
{
    uint64_t i, span = UINT64_C(4096) << (9 * bare->level);

    for (i = 0; i < bare->tables; i++) {
        if (!all_empty(bench_at(bare->frame[i])))
            abort();
        fill_level(bench_at(bare->frame[i]), i * 512 * span, bare->level);
    }
}

/* An entry emptied; 1 where there was one. */
static inline uint64_t clear(uint64_t *slot)
{
    uint64_t present = __atomic_load_n(slot, __ATOMIC_RELAXED) != 0;

    __atomic_store_n(slot, 0, __ATOMIC_RELAXED);
    return present;
}

uint64_t bare_clear(struct bare *bare)
{
    uint64_t i, present = 0;

    for (i = 0; i < bare->tables; i++) {
        uint64_t *slot = bench_at(bare->frame[i]);
        unsigned j;

        for (j = 0; j < 512; j += 8)
            present += clear(&slot[j]) + clear(&slot[j + 1]) + clear(&slot[j + 2]) + clear(&slot[j + 3])
                     + clear(&slot[j + 4]) + clear(&slot[j + 5]) + clear(&slot[j + 6]) + clear(&slot[j + 7]);
    }
    return present;
}

uint64_t bare_scan(struct bare *bare)
{
    uint64_t i, dirty = 0;

    for (i = 0; i < bare->tables; i++) {
        const uint64_t *slot = bench_at(bare->frame[i]);
        unsigned j;

        for (j = 0; j < 512; j++)
            dirty += (__atomic_load_n(&slot[j], __ATOMIC_RELAXED) & DIRTY) != 0;
    }
    return dirty;
}

void bare_drop(struct bare *bare)
{
    uint64_t i, head = 0;

    for (i = 0; i < bare->tables; i++) {
        uint64_t frame = *bare->link[i] & ADDRESS;

        __atomic_store_n(bench_at(frame), head, __ATOMIC_RELAXED);
        head = frame;
    }
    bare->list = head;
}

static inline uint64_t *slot_of(struct bare *bare, uint64_t gpa)
{
    uint64_t *table = bare->root;

    table = bench_at(__atomic_load_n(&table[gpa >> 39 & 511], __ATOMIC_RELAXED) & ADDRESS);
    table = bench_at(__atomic_load_n(&table[gpa >> 30 & 511], __ATOMIC_RELAXED) & ADDRESS);
    table = bench_at(__atomic_load_n(&table[gpa >> 21 & 511], __ATOMIC_RELAXED) & ADDRESS);
    return &table[gpa >> 12 & 511];
}

void bare_map_pages(struct bare *bare, const uint64_t *gpa, uint64_t count)
{
    uint64_t i;

    for (i = 0; i < count; i++)
        __atomic_store_n(slot_of(bare, gpa[i]), gpa[i] | LEAF, __ATOMIC_RELAXED);
}

void bare_unmap_pages(struct bare *bare, const uint64_t *gpa, uint64_t count)
{
    uint64_t i;

    for (i = 0; i < count; i++)
        __atomic_store_n(slot_of(bare, gpa[i]), 0, __ATOMIC_RELAXED);
}

uint64_t bare_fault_pages(struct bare *bare, const uint64_t *gpa, uint64_t count, uint64_t *counter)
{
    uint64_t i, done = 0;

    for (i = 0; i < count; i++) {
        uint64_t empty = 0;

        done += __atomic_compare_exchange_n(slot_of(bare, gpa[i]), &empty, gpa[i] | LEAF, false, __ATOMIC_ACQ_REL,
                                            __ATOMIC_ACQUIRE);
        (void)__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
    }
    return done;
}

uint64_t bare_translate(struct bare *bare, const uint64_t *gpa, uint64_t count)
{
    uint64_t i, sum = 0;

    for (i = 0; i < count; i++)
        sum += (__atomic_load_n(slot_of(bare, gpa[i]), __ATOMIC_RELAXED) & ADDRESS) | (gpa[i] & 4095);
    return sum;
}

uint64_t bare_translate_chain(struct bare *bare, const uint64_t *gpa, uint64_t count)
{
    uint64_t i, sum = 0, hang = 0, never = bench_never;

    for (i = 0; i < count; i++) {
        uint64_t at = gpa[i] ^ hang;
        uint64_t found = (__atomic_load_n(slot_of(bare, at), __ATOMIC_RELAXED) & ADDRESS) | (at & 4095);

        sum += found;
        hang = found & never;
    }
    return sum;
}
