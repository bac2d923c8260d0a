/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the concurrency contract allows beside one another: fault_map with fault_map, with a map of other pages, with
 * readers; touch with dirty and write_protect; and a processor that walks on until a flush is done. A program of its
 * own, also built with -fsanitize=thread, speaking TAP.
 * Frames are handed out by one relaxed counter: no lock of the test may order what the library must order itself.
 */
#define _POSIX_C_SOURCE 200809L
#include "support/rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* fault_map tells CPUs by their stacks: AddressSanitizer is to leave locals there, which gcc 14's does not by itself. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=0";
}

#define PAGE    HVPT_4K
#define THREADS 4
#define POOL    1500
#define BASE    (4 * HVPT_1G - 32 * HVPT_2M)

struct arena {
    struct rig rig;
    struct hvpt_hooks hooks;
    uint64_t frame[POOL];
    unsigned char back[POOL]; /* given back; never handed out again */
    unsigned next;
    pthread_barrier_t start;
    unsigned ready;
    unsigned done;
    struct walker *walker; /* the processor that a flush waits for, or NULL */
    uint64_t between;      /* an address that is no frame's, though frames lie below and above it */
};

static void walker_flush(struct walker *walker);
static void walker_freed(struct walker *walker, uint64_t frame);

static bool pool_alloc(void *ctx, unsigned order, hvpt_hpa *out)
{
    struct arena *arena = ctx;
    unsigned i = __atomic_fetch_add(&arena->next, 1, __ATOMIC_RELAXED);

    CHECK(order == 0, "order %u", order);
    if (i >= POOL)
        return false;
    out->value = arena->frame[i];
    return true;
}

static void pool_free(void *ctx, hvpt_hpa frame, unsigned order)
{
    struct arena *arena = ctx;

    (void)order;
    for (unsigned i = 0; i < POOL; i++) {
        if (arena->frame[i] == frame.value) {
            CHECK(__atomic_exchange_n(&arena->back[i], 1, __ATOMIC_RELAXED) == 0, "double free");
            if (arena->walker != NULL)
                walker_freed(arena->walker, frame.value);
            return;
        }
    }
    CHECK(false, "free of what is no frame");
}

static void *pool_virt(void *ctx, hvpt_hpa frame)
{
    struct arena *arena = ctx;
    struct frame *found = memory_frame(&arena->rig.memory, frame.value);

    CHECK(found != NULL && found->state != FRAME_FREE, "%#llx is no frame", (unsigned long long)frame.value);
    return found->virt;
}

static void pool_flush(void *ctx, const struct hvpt_flush *flush)
{
    struct arena *arena = ctx;

    (void)flush;
    if (arena->walker != NULL)
        walker_flush(arena->walker);
}

static void arena_open(struct arena *arena, const struct setup *setup)
{
    struct memory_options options = {.slots_log2 = 11, .linear = setup->linear, .phys_base = UINT64_C(1) << 24};
    struct rig *rig = &arena->rig;

    memset(arena, 0, sizeof(*arena));
    check_context("%s", setup->name);
    rig->setup = setup;
    rig->adapter = setup->adapter;
    memory_open(&rig->memory, &options);
    memory_observe(NULL);
    cpu_init(&rig->cpu, &setup->cpu);
    for (unsigned i = 0; i < POOL; i++) {
        hvpt_hpa frame;

        CHECK(rig->memory.hooks.alloc_frame(&rig->memory, 0, &frame), "no frame for the pool");
        arena->frame[i] = frame.value;
    }
    arena->between = options.phys_base + ((UINT64_C(1) << options.slots_log2 >> 1) << rig->memory.phys_shift);
    for (struct frame *frame; (frame = memory_frame(&rig->memory, arena->between)) != NULL && frame->state != FRAME_FREE;)
        arena->between += PAGE;
    arena->hooks.ctx = arena;
    arena->hooks.alloc_frame = pool_alloc;
    arena->hooks.free_frame = pool_free;
    arena->hooks.phys_to_virt = setup->linear ? NULL : pool_virt;
    arena->hooks.linear_map = rig->memory.hooks.linear_map;
    arena->hooks.flush = pool_flush;
    CHECK_STATUS(rig->adapter->init(&rig->space, &arena->hooks, &setup->config), HVPT_OK, "init");
    CHECK(pthread_barrier_init(&arena->start, NULL, THREADS) == 0, "barrier");
}

/* One thread again: frames that were not used go back, the tree is walked by the processor and recounted. */
static void arena_close(struct arena *arena)
{
    struct rig *rig = &arena->rig;
    uint64_t root = rig->adapter->root(&rig->space);

    for (unsigned i = 0; i < POOL; i++)
        if (i >= arena->next || arena->back[i])
            rig->memory.hooks.free_frame(&rig->memory, hvpt_make_hpa(arena->frame[i]), 0);
    memory_track(&rig->memory, cpu_child, &rig->cpu, 12, 9, cpu_root_table(&rig->cpu, root),
                 rig->setup->cpu.levels - 1);
    rig->empty_tables_allowed = true;
    rig_recount(rig);
    arena->next = arena->next < POOL ? arena->next : POOL;
    rig->memory.destroying = true;
    rig->adapter->destroy(&rig->space);
    for (unsigned i = 0; i < arena->next; i++) {
        CHECK(arena->back[i], "frame %#llx leaked", (unsigned long long)arena->frame[i]);
        if (memory_frame(&rig->memory, arena->frame[i])->state != FRAME_FREE)
            rig->memory.hooks.free_frame(&rig->memory, hvpt_make_hpa(arena->frame[i]), 0);
    }
    memory_close(&rig->memory);
    (void)pthread_barrier_destroy(&arena->start);
}

struct worker {
    struct arena *arena;
    unsigned number;
    pthread_t thread;
};

static void run(struct arena *arena, void *(*body)(void *))
{
    struct worker workers[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].arena = arena;
        workers[i].number = i;
        CHECK(pthread_create(&workers[i].thread, NULL, body, &workers[i]) == 0, "no thread");
    }
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(workers[i].thread, NULL);
}

/* ---- many fault handlers, the same pages ---- */

#define CONTESTED 4096

static unsigned char winner[CONTESTED]; /* thread + 1 */

static uint64_t contested_gpa(unsigned i)
{
    /* Neighbours in a table, tables side by side, and far apart: all kinds of first links are fought for. */
    return i % 4 == 3 ? 64 * HVPT_1G + (uint64_t)i / 16 * HVPT_2M + i % 16 * PAGE : BASE + (uint64_t)i * 5 * PAGE;
}

static uint64_t contested_hpa(unsigned i, unsigned thread)
{
    return HVPT_1G + ((uint64_t)i * THREADS + thread) * PAGE;
}

static void *fight(void *ctx)
{
    struct worker *worker = ctx;
    struct rig *rig = &worker->arena->rig;

    (void)pthread_barrier_wait(&worker->arena->start);
    for (unsigned k = 0; k < CONTESTED; k++) {
        unsigned i = worker->number % 2 ? k : k ^ 1;
        enum hvpt_status status =
            rig->adapter->fault_map(&rig->space, contested_gpa(i), contested_hpa(i, worker->number), PAGE, attr_rwx());

        if (status == HVPT_OK)
            CHECK(__atomic_exchange_n(&winner[i], (unsigned char)(worker->number + 1), __ATOMIC_RELAXED) == 0,
                  "two winners");
        else
            CHECK(status == HVPT_E_EXISTS || status == HVPT_E_RACE, "fault_map: %s", hvpt_status_text(status));
    }
    return NULL;
}

static void one_winner(const struct setup *setup)
{
    static struct arena arena;

    memset(winner, 0, sizeof(winner));
    arena_open(&arena, setup);
    run(&arena, fight);
    for (unsigned i = 0; i < CONTESTED; i++) {
        struct hvpt_mapping mapping;

        CHECK(winner[i] != 0, "nobody mapped page %u", i);
        CHECK_STATUS(arena.rig.adapter->translate(&arena.rig.space, contested_gpa(i), &mapping), HVPT_OK, "translate");
        CHECK_EQ(mapping.hpa.value, contested_hpa(i, winner[i] - 1u), "the winner's page");
    }
    arena_close(&arena);
}

/* ---- a writer that maps, handlers that map other pages of the same tables, readers ---- */

#define STRIPES 2048

/* hpa follows from gpa alone, so that a reader can tell right from wrong. */
static uint64_t hpa_of(uint64_t gpa)
{
    return HVPT_1G + (gpa & (8 * HVPT_1G - 1));
}

static bool right_leaf(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping)
{
    (void)ctx;
    CHECK_EQ(mapping->hpa.value, hpa_of(gpa.value), "a leaf that a reader saw");
    return true;
}

static void read_all(struct rig *rig, struct random_stream *random)
{
    struct hvpt_visitor visitor = {NULL, right_leaf, NULL, NULL, NULL};
    struct hvpt_mapping mapping, many[16];
    enum hvpt_status status[16];
    struct hvpt_leaf_iterator iterator = hvpt_leaves(hvpt_make_gpa(BASE), 8 * HVPT_2M);
    hvpt_gpa gpa[16], at;

    for (unsigned i = 0; i < 64; i++) {
        uint64_t address = BASE + random_below(random, 2 * STRIPES * 4 * PAGE);
        enum hvpt_status one = rig->adapter->translate(&rig->space, address, &mapping);

        CHECK(one == HVPT_OK || one == HVPT_E_ABSENT, "translate: %s", hvpt_status_text(one));
        if (one == HVPT_OK)
            CHECK_EQ(mapping.hpa.value, hpa_of(address), "what a reader saw");
        gpa[i % 16] = hvpt_make_gpa(address);
    }
    rig->adapter->translate_batch(&rig->space, gpa, 16, many, status);
    for (unsigned i = 0; i < 16; i++)
        if (status[i] == HVPT_OK)
            CHECK_EQ(many[i].hpa.value, hpa_of(gpa[i].value), "what a batch saw");
    CHECK_STATUS(rig->adapter->walk(&rig->space, BASE, 8 * HVPT_2M, &visitor), HVPT_OK, "walk");
    while (rig->adapter->next_leaf(&rig->space, &iterator, &at, &mapping))
        CHECK_EQ(mapping.hpa.value, hpa_of(at.value), "what the iterator saw");
    CHECK_STATUS(iterator.status, HVPT_OK, "the iterator");
}

/* Stripes of four pages: thread 0 maps two of them in one call, handlers the others; threads 2 and 3 also read. */
static void *mix(void *ctx)
{
    struct worker *worker = ctx;
    struct rig *rig = &worker->arena->rig;
    struct random_stream random = {worker->number};

    (void)pthread_barrier_wait(&worker->arena->start);
    for (unsigned i = 0; i < STRIPES; i++) {
        uint64_t gpa = BASE + (uint64_t)i * 4 * PAGE;

        if (worker->number == 0) {
            CHECK_STATUS(rig->adapter->map(&rig->space, gpa, hpa_of(gpa), 2 * PAGE, attr_rwx(), NULL), HVPT_OK, "map");
            if (i % 64 == 0) {
                uint64_t whole = BASE + (uint64_t)STRIPES * 4 * PAGE + (uint64_t)i / 64 * 2 * HVPT_2M;

                CHECK_STATUS(rig->adapter->map(&rig->space, whole, hpa_of(whole), HVPT_2M, attr_rwx(), NULL), HVPT_OK,
                             "map");
            }
        } else if (worker->number == 1 || i % 2 == worker->number % 2) {
            enum hvpt_status status =
                rig->adapter->fault_map(&rig->space, gpa + 2 * PAGE + (i % 2) * PAGE,
                                        hpa_of(gpa + 2 * PAGE + (i % 2) * PAGE), PAGE, attr_rwx());

            CHECK(status == HVPT_OK || status == HVPT_E_EXISTS || status == HVPT_E_RACE, "fault_map: %s",
                  hvpt_status_text(status));
        }
        if (worker->number >= 2 && i % 16 == 0)
            read_all(rig, &random);
    }
    return NULL;
}

static void map_beside_handlers_and_readers(const struct setup *setup)
{
    static struct arena arena;

    arena_open(&arena, setup);
    run(&arena, mix);
    for (unsigned i = 0; i < STRIPES; i++) {
        uint64_t gpa = BASE + (uint64_t)i * 4 * PAGE;
        struct hvpt_mapping mapping;

        CHECK_STATUS(arena.rig.adapter->translate(&arena.rig.space, gpa + PAGE, &mapping), HVPT_OK, "what map mapped");
        CHECK_STATUS(arena.rig.adapter->translate(&arena.rig.space, gpa + 2 * PAGE + (i % 2) * PAGE, &mapping), HVPT_OK,
                     "what a handler mapped");
        CHECK_STATUS(arena.rig.adapter->translate(&arena.rig.space, gpa + 3 * PAGE - (i % 2) * PAGE, &mapping),
                     HVPT_E_ABSENT, "what nobody mapped");
    }
    arena_close(&arena);
}

/* ---- the guard policy: one CPU takes tables from the reserve through which others look ---- */

#define RESERVED 1100 /* more than one chunk can note */

static void *take_reserve(void *ctx)
{
    struct worker *worker = ctx;
    struct rig *rig = &worker->arena->rig;
    uint64_t frames;

    (void)pthread_barrier_wait(&worker->arena->start);
    for (unsigned i = 0; worker->number == 0 && i < RESERVED - 4; i++) { /* each takes a table of its own */
        const uint64_t gpa = BASE + (uint64_t)(i + 4) * HVPT_2M;

        CHECK_STATUS(rig->adapter->map(&rig->space, gpa, hpa_of(gpa), PAGE, attr_rwx(), NULL), HVPT_OK, "map");
    }
    if (worker->number == 0)
        __atomic_store_n(&worker->arena->done, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; worker->number != 0 && !__atomic_load_n(&worker->arena->done, __ATOMIC_RELAXED); i++) {
        const uint64_t gpa = BASE + worker->number * HVPT_2M + (uint64_t)(i % 512) * PAGE;
        enum hvpt_status status = rig->adapter->fault_map(&rig->space, gpa, worker->arena->between, PAGE, attr_rwx());

        CHECK(status == HVPT_OK || status == HVPT_E_RACE || (i >= 512 && status == HVPT_E_EXISTS), "fault_map: %s",
              hvpt_status_text(status));
        status = rig->adapter->map_needs(&rig->space, gpa + 64 * HVPT_1G, worker->arena->between, PAGE, attr_rwx(), &frames);
        CHECK(status == HVPT_OK || status == HVPT_E_RACE, "frames_needed: %s", hvpt_status_text(status));
    }
    return NULL;
}

static void the_reserve_is_taken_beside_who_guards_it(const struct setup *setup)
{
    static struct arena arena;

    for (unsigned round = 0; round < 8; round++) {
        arena_open(&arena, setup);
        /* In full chunks, or in chunks of one frame, each of which somebody may be reading when it is taken. */
        for (unsigned i = round % 2 ? 1 : RESERVED; i <= RESERVED; i++)
            CHECK_STATUS(arena.rig.adapter->reserve(&arena.rig.space, i), HVPT_OK, "reserve");
        run(&arena, take_reserve);
        CHECK_STATUS(arena.rig.adapter->reserve(&arena.rig.space, 0), HVPT_OK, "reserve");
        arena_close(&arena);
    }
}

/* ---- write logging: one CPU harvests, others give rights back at their faults ---- */

#define LOGGED 512

static void *log_writes(void *ctx)
{
    struct worker *worker = ctx;
    struct rig *rig = &worker->arena->rig;
    struct random_stream random = {worker->number};
    struct hvpt_flush flush = {0};
    uint64_t bitmap[LOGGED / 64 + 1] = {0};

    (void)pthread_barrier_wait(&worker->arena->start);
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t gpa = BASE + random_below(&random, LOGGED) * PAGE;
        struct hvpt_mapping mapping;

        if (worker->number == 0) {
            if (i % 32 == 0)
                CHECK_STATUS(rig->adapter->dirty(&rig->space, BASE, LOGGED * PAGE, bitmap, &flush), HVPT_OK, "dirty");
            else if (i % 32 == 11)
                CHECK_STATUS(rig->adapter->age(&rig->space, BASE, LOGGED * PAGE, bitmap, &flush), HVPT_OK, "age");
            else if (i % 32 == 22)
                CHECK_STATUS(rig->adapter->write_protect(&rig->space, BASE, LOGGED * PAGE, &flush), HVPT_OK,
                             "write_protect");
        } else if (worker->number < 3) {
            enum hvpt_status status =
                rig->adapter->touch(&rig->space, gpa, random_next(&random) & 1 ? HVPT_WRITE : HVPT_READ);

            CHECK(status == HVPT_OK || status == HVPT_E_NOTHING, "touch: %s", hvpt_status_text(status));
        } else {
            CHECK_STATUS(rig->adapter->translate(&rig->space, gpa, &mapping), HVPT_OK, "translate");
            CHECK_EQ(mapping.hpa.value, hpa_of(gpa), "what a reader saw");
        }
    }
    (void)pthread_barrier_wait(&worker->arena->start); /* the flush is a sole writer's */
    if (worker->number == 0)
        rig->adapter->flush(&rig->space, &flush);
    return NULL;
}

static void touch_beside_a_harvest(const struct setup *setup)
{
    static struct arena arena;

    arena_open(&arena, setup);
    CHECK_STATUS(arena.rig.adapter->map(&arena.rig.space, BASE, hpa_of(BASE), LOGGED * PAGE, attr_rwx(), NULL), HVPT_OK,
                 "map");
    CHECK_STATUS(arena.rig.adapter->split(&arena.rig.space, BASE, LOGGED * PAGE, PAGE, NULL), HVPT_OK, "split");
    run(&arena, log_writes);
    for (unsigned i = 0; i < LOGGED; i++) {
        struct hvpt_mapping mapping;
        enum hvpt_status status;

        status = arena.rig.adapter->touch(&arena.rig.space, BASE + i * PAGE, HVPT_WRITE);
        CHECK(status == HVPT_OK || status == HVPT_E_NOTHING, "touch: %s", hvpt_status_text(status));
        CHECK_STATUS(arena.rig.adapter->translate(&arena.rig.space, BASE + i * PAGE, &mapping), HVPT_OK, "translate");
        CHECK((mapping.attr.perm & 7) == (HVPT_READ | HVPT_WRITE | HVPT_EXEC) && !(mapping.attr.flags & HVPT_LOGGED),
              "page %u has lost a right for good: %x", i, mapping.attr.perm);
    }
    arena_close(&arena);
}

/* ---- numbers that a reader sees ---- */

#define ROUNDS 60000

/*
 * One CPU maps two pages, then takes a fault of one, in turns: the smallest pages are 3 n, or 3 n + 2, and no number between.
 * The others look on.
 */
static void *count(void *ctx)
{
    struct worker *worker = ctx;
    struct arena *arena = worker->arena;
    struct rig *rig = &arena->rig;

    (void)pthread_barrier_wait(&arena->start);
    while (worker->number != 0 && !__atomic_load_n(&arena->done, __ATOMIC_RELAXED)) {
        struct hvpt_stats stats;

        rig->adapter->stats(&rig->space, &stats);
        CHECK(stats.leaves[0] % 3 != 1, "%llu pages, a number that never was", (unsigned long long)stats.leaves[0]);
    }
    for (unsigned i = 0; worker->number == 0 && i < ROUNDS; i++) {
        const uint64_t pages = BASE + (uint64_t)i * 2 * PAGE, page = 256 * HVPT_1G + (uint64_t)i * PAGE;

        CHECK_STATUS(rig->adapter->map(&rig->space, pages, hpa_of(pages), 2 * PAGE, attr_rwx(), NULL), HVPT_OK, "map");
        CHECK_STATUS(rig->adapter->fault_map(&rig->space, page, hpa_of(page), PAGE, attr_rwx()), HVPT_OK, "fault_map");
    }
    if (worker->number == 0)
        __atomic_store_n(&arena->done, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void stats_are_numbers_that_were(const struct setup *setup)
{
    static struct arena arena;

    arena_open(&arena, setup);
    run(&arena, count);
    arena_close(&arena);
}

/* ---- CPUs that fault do not pass a cache line around ---- */

#define STACK   (UINT64_C(1) << 21) /* no smaller one will do for ThreadSanitizer */
#define SPACING (UINT64_C(1) << 22) /* stacks that a sum of their address bits would not tell apart */

static unsigned char stacks[THREADS * SPACING] __attribute__((aligned(1 << 22)));

static void *fault_own_pages(void *ctx)
{
    struct worker *worker = ctx;
    struct rig *rig = &worker->arena->rig;

    for (unsigned i = 0; i < 8 * (worker->number + 1); i++) {
        const uint64_t gpa = BASE + (worker->number * UINT64_C(64) + i) * PAGE;

        CHECK_STATUS(rig->adapter->fault_map(&rig->space, gpa, hpa_of(gpa), PAGE, attr_rwx()), HVPT_OK, "fault_map");
    }
    return NULL;
}

/* As many handlers as there are counters, on stacks of their own: each counts alone. */
static void each_handler_counts_alone(const struct setup *setup)
{
    static struct arena arena;
    bool seen[THREADS] = {false};

    arena_open(&arena, setup);
    for (unsigned i = 0; i < THREADS; i++) {
        struct worker worker = {.arena = &arena, .number = i};
        pthread_attr_t attr;

        (void)pthread_attr_init(&attr);
        CHECK(pthread_attr_setstack(&attr, stacks + i * SPACING, STACK) == 0, "no stack");
        CHECK(pthread_create(&worker.thread, &attr, fault_own_pages, &worker) == 0, "no thread");
        (void)pthread_join(worker.thread, NULL);
        (void)pthread_attr_destroy(&attr);
    }
    for (unsigned i = 0; i < HVPT_SHARDS; i++) {
        const uint64_t pages = arena.rig.space.shards[i * HVPT_SHARD_STRIDE];

        CHECK(pages != 0 && pages % 8 == 0 && pages / 8 <= THREADS && !seen[pages / 8 - 1], "%llu pages in counter %u",
              (unsigned long long)pages, i);
        seen[pages / 8 - 1] = true;
    }
    arena_close(&arena);
}

/* ---- a processor that walks on, through all the tables there were, until the flush is done ---- */

#define OVERWRITTEN UINT64_C(0x5afe5afe5afe5afe)

enum { REST, WALK, DROP };

struct walker {
    struct arena *arena;
    unsigned order;  /* what it is told: REST, WALK or DROP what it has cached */
    unsigned rounds; /* how often it has been through all tables */
    unsigned flushes;
    bool known[POOL]; /* frames that were tables when it began to walk */
};

/* It follows an order at once but for the round that it is in. */
static void *walk_on(void *ctx)
{
    struct walker *walker = ctx;
    struct arena *arena = walker->arena;

    while (!__atomic_load_n(&arena->done, __ATOMIC_ACQUIRE)) {
        const unsigned order = __atomic_load_n(&walker->order, __ATOMIC_ACQUIRE);

        if (order == DROP)
            __atomic_store_n(&walker->order, REST, __ATOMIC_RELEASE);
        for (unsigned i = 0; order == WALK && i < POOL; i++) {
            const uint64_t *table = walker->known[i] ? memory_frame(&arena->rig.memory, arena->frame[i])->virt : NULL;

            for (unsigned j = 0; table != NULL && j < PAGE / 8; j += 8)
                CHECK(__atomic_load_n(&table[j], __ATOMIC_RELAXED) != OVERWRITTEN, "a table that is walked was freed");
        }
        if (order == WALK)
            (void)__atomic_add_fetch(&walker->rounds, 1, __ATOMIC_RELEASE);
        else
            (void)sched_yield();
    }
    return NULL;
}

static void walker_drop(struct walker *walker)
{
    __atomic_store_n(&walker->order, DROP, __ATOMIC_RELEASE);
    while (__atomic_load_n(&walker->order, __ATOMIC_ACQUIRE) != REST)
        (void)sched_yield();
}

/* From here on it walks through all tables that there are, and has them cached. */
static void walker_begin(struct walker *walker)
{
    for (unsigned i = 0; i < POOL; i++)
        walker->known[i] = i < walker->arena->next && !walker->arena->back[i];
    __atomic_store_n(&walker->order, WALK, __ATOMIC_RELEASE);
}

/* The hook takes its time: the processor goes through all it has twice before it is asked to drop it. */
static void walker_flush(struct walker *walker)
{
    const unsigned began = __atomic_load_n(&walker->rounds, __ATOMIC_ACQUIRE);

    walker->flushes++;
    if (__atomic_load_n(&walker->order, __ATOMIC_ACQUIRE) != WALK)
        return;
    while (__atomic_load_n(&walker->rounds, __ATOMIC_ACQUIRE) - began < 2)
        (void)sched_yield();
    walker_drop(walker);
}

/* Whoever gets the frame next writes to it at once. */
static void walker_freed(struct walker *walker, uint64_t frame)
{
    uint64_t *table = memory_frame(&walker->arena->rig.memory, frame)->virt;

    for (unsigned i = 0; i < PAGE / 8; i++)
        __atomic_store_n(&table[i], OVERWRITTEN, __ATOMIC_RELAXED);
}

/* One call after the other that frees tables or changes what may be cached, with a flush of its own or the caller's. */
static void outrun(struct walker *walker, unsigned number)
{
    const struct adapter *call = walker->arena->rig.adapter;
    struct hvpt_space *space = &walker->arena->rig.space;
    const struct hvpt_attr data = {HVPT_READ | HVPT_WRITE, HVPT_MEM_WB, 0, 0}; /* some want code on 4K pages alone */
    const unsigned many = 2 * HVPT_FLUSH_DEAD_MAX;
    struct hvpt_flush flush = {0}, *used = number % 2 ? &flush : NULL;
    const unsigned before = walker->flushes;

    switch (number / 2) {
    case 0: /* a table */
        CHECK_STATUS(call->map(space, BASE, hpa_of(BASE), 4 * PAGE, attr_rwx(), NULL), HVPT_OK, "map");
        walker_begin(walker);
        CHECK_STATUS(call->unmap(space, BASE, 4 * PAGE, used), HVPT_OK, "unmap");
        break;
    case 1: /* more tables than a flush has places for */
        for (unsigned i = 0; i < many; i++)
            CHECK_STATUS(call->map(space, BASE + i * HVPT_2M, hpa_of(BASE), PAGE, attr_rwx(), NULL), HVPT_OK, "map");
        walker_begin(walker);
        for (unsigned i = 0; i < many; i++)
            CHECK_STATUS(call->unmap(space, BASE + i * HVPT_2M, PAGE, used), HVPT_OK, "unmap");
        break;
    case 2: /* a subtree at once */
        for (unsigned i = 0; i < 4; i++)
            CHECK_STATUS(call->map(space, 8 * HVPT_1G + i * HVPT_2M, HVPT_1G, PAGE, attr_rwx(), NULL), HVPT_OK, "map");
        walker_begin(walker);
        CHECK_STATUS(call->unmap(space, 8 * HVPT_1G, HVPT_1G, used), HVPT_OK, "unmap");
        break;
    case 3: /* a table that becomes a page */
        CHECK_STATUS(call->map(space, HVPT_1G, HVPT_1G, HVPT_2M, data, NULL), HVPT_OK, "map");
        CHECK_STATUS(call->split(space, HVPT_1G, HVPT_2M, PAGE, NULL), HVPT_OK, "split");
        walker_begin(walker);
        CHECK_STATUS(call->collapse(space, HVPT_1G, HVPT_2M, used, NULL), HVPT_OK, "collapse");
        break;
    default: /* a table that a large page takes the place of */
        CHECK_STATUS(call->map(space, HVPT_1G, HVPT_1G, HVPT_2M, data, NULL), HVPT_OK, "map");
        CHECK_STATUS(call->split(space, HVPT_1G, HVPT_2M, PAGE, NULL), HVPT_OK, "split");
        walker_begin(walker);
        CHECK_STATUS(call->replace(space, HVPT_1G, 2 * HVPT_1G, HVPT_2M, data, used), HVPT_OK, "replace");
        break;
    }
    if (used != NULL)
        call->flush(space, used);
    CHECK(walker->flushes != before, "nothing was flushed in step %u", number);
    walker_drop(walker);
    if (number / 2 > 2)
        CHECK_STATUS(call->unmap(space, HVPT_1G, HVPT_2M, NULL), HVPT_OK, "unmap");
}

static void a_flush_that_takes_long_is_never_outrun(const struct setup *setup)
{
    static struct arena arena;
    static struct walker walker;
    pthread_t thread;

    arena_open(&arena, setup);
    memset(&walker, 0, sizeof(walker));
    walker.arena = &arena;
    arena.walker = &walker;
    CHECK(pthread_create(&thread, NULL, walk_on, &walker) == 0, "no thread");
    for (unsigned number = 0; number < 10; number++)
        outrun(&walker, number);
    __atomic_store_n(&arena.done, 1, __ATOMIC_RELEASE);
    (void)pthread_join(thread, NULL);
    arena.walker = NULL;
    CHECK(walker.rounds != 0, "nothing was walked");
    arena_close(&arena);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(const struct setup *setup);
    } cases[] = {
        {"of_handlers_for_the_same_page_one_wins", one_winner},
        {"map_beside_handlers_and_readers", map_beside_handlers_and_readers},
        {"the_reserve_is_taken_beside_who_guards_it", the_reserve_is_taken_beside_who_guards_it},
        {"touch_beside_a_harvest", touch_beside_a_harvest},
        {"stats_are_numbers_that_were", stats_are_numbers_that_were},
        {"each_handler_counts_alone", each_handler_counts_alone},
        {"a_flush_that_takes_long_is_never_outrun", a_flush_that_takes_long_is_never_outrun},
    };
    static const char *const names[] = {"EPT, all defaults", "EPT, linear map",
                                        "EPT, #VE and execution on 4K pages only", "NPT, all defaults",
                                        "NPT, 5 levels, every memory type, linear map", "EPT, guarded tables"};
    unsigned number = 0;

    printf("TAP version 13\n1..%zu\n", sizeof(cases) / sizeof(cases[0]) * (sizeof(names) / sizeof(names[0])));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
            cases[i].run(setup_named(names[j]));
            printf("ok %u - race::%s, %s\n", ++number, cases[i].name, names[j]);
            (void)fflush(stdout);
        }
    }
    return 0;
}
