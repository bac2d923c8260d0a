/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The guest's second level: all of the machine at its own addresses, but for the hypervisor's own memory. Its frames
 * and its lock.
 */
#include "console.h"
#include "machine.h"
#include "thinhv.h"

/* Table frames come from the upper half of the hypervisor's memory; its last page is never used (arch.h, DOOR). */
#define FRAMES_START (HYPERVISOR_START + (HYPERVISOR_END - HYPERVISOR_START) / 2)
#define FRAMES_END   (HYPERVISOR_END - HVPT_4K)
#define ORDERS       5u /* a root may be up to 16 tables side by side */

struct hvpt_space space;

static uint64_t next_frame = FRAMES_START;
static uint64_t free_frames[ORDERS]; /* lists through the frames' first words */
static bool frames_busy;
static uint32_t users; /* of the tables: how many, or ALONE */

#define ALONE UINT32_C(0x80000000)

/* ---- hooks ---- */

static void frames_lock(void)
{
    while (__atomic_test_and_set(&frames_busy, __ATOMIC_ACQUIRE))
        arch_pause();
}

bool memory_allocate(void *ctx, unsigned order, hvpt_hpa *out)
{
    const uint64_t size = HVPT_4K << order;
    bool found = true;

    (void)ctx;
    if (order >= ORDERS)
        return false;
    frames_lock();
    if (free_frames[order] != 0) {
        *out = hvpt_make_hpa(free_frames[order]);
        free_frames[order] = *(uint64_t *)(uintptr_t)free_frames[order];
    } else {
        *out = hvpt_make_hpa((next_frame + size - 1) & ~(size - 1));
        found = out->value + size <= FRAMES_END;
        if (found)
            next_frame = out->value + size;
    }
    __atomic_clear(&frames_busy, __ATOMIC_RELEASE);
    return found;
}

static void free_frame(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx;
    frames_lock();
    *(uint64_t *)(uintptr_t)frame.value = free_frames[order];
    free_frames[order] = frame.value;
    __atomic_clear(&frames_busy, __ATOMIC_RELEASE);
}

static const struct hvpt_hooks hooks = {NULL, memory_allocate, free_frame, NULL, NULL, arch_flush};

/* ---- the lock ---- */

void memory_lock(bool alone)
{
    for (;;) {
        uint32_t seen = __atomic_load_n(&users, __ATOMIC_RELAXED);

        if ((alone ? seen == 0 : seen < ALONE)
            && __atomic_compare_exchange_n(&users, &seen, alone ? ALONE : seen + 1, false, __ATOMIC_ACQUIRE,
                                           __ATOMIC_RELAXED))
            return;
        arch_pause();
    }
}

void memory_unlock(bool alone)
{
    __atomic_sub_fetch(&users, alone ? ALONE : 1, __ATOMIC_RELEASE);
}

/* ---- the map ---- */

static void expect_mapped(enum hvpt_status status, const char *what)
{
    if (status != HVPT_OK)
        panic("%s: %s", what, hvpt_status_text(status));
}

/* Pages that hardware may hold several of as one: the contiguous bit, Svnapot. */
static unsigned long joined_pages(void)
{
    struct hvpt_leaf_iterator leaves = hvpt_leaves(hvpt_make_gpa(0), UINT64_C(1) << 32);
    struct hvpt_mapping leaf;
    unsigned long count = 0;
    hvpt_gpa gpa;

    while (hvpt_space_next_leaf(&space, &leaves, &gpa, &leaf))
        count += (leaf.attr.flags & HVPT_JOINED) != 0;
    return count;
}

void memory_print(const char *when)
{
    struct hvpt_stats stats;

    hvpt_space_stats(&space, &stats);
    say("second level %s: %lu pages of 4K, %lu of 2M, %lu of 1G in %lu tables", when, (unsigned long)stats.leaves[0],
        (unsigned long)stats.leaves[1], (unsigned long)stats.leaves[2],
        (unsigned long)(stats.tables[0] + stats.tables[1] + stats.tables[2] + stats.tables[3] + stats.tables[4]));
    if (option(image, "joined", NULL))
        say("joined: %lu of these pages", joined_pages());
}

enum hvpt_status memory_init(struct hvpt_space *out)
{
    uint64_t page = 0;

    option(image, "pages", &page); /* 4, 2048 or 1048576 KiB; 0: as large as the CPU can */
    return arch_open(out, &hooks, page * 1024);
}

enum hvpt_status memory_map_machine(struct hvpt_space *in, uint32_t perm)
{
    struct hvpt_flush flush = {0};
    enum hvpt_status status = arch_map(in, perm, &flush);

    if (status == HVPT_OK)
        status = hvpt_space_unmap(in, hvpt_make_gpa(HYPERVISOR_START), HYPERVISOR_END - HYPERVISOR_START, &flush);
    hvpt_space_flush(in, &flush);
    return status;
}

void memory_build(void)
{
    expect_mapped(memory_init(&space), "second level");
    arch_read_memory_map();
    if (!option(image, "lazy", NULL))
        expect_mapped(memory_map_machine(&space, HVPT_READ | HVPT_WRITE | HVPT_EXEC), "the machine");
    memory_print("at the beginning");
}
