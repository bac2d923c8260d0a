/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Frames at scattered addresses, their states, and what each callback and each store may do in which state. */
#define _GNU_SOURCE
#include "memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define POISON UINT64_C(0xdeadf4eedeadf4ee)

/* The memory whose tables the library is writing; one at a time in a process. */
static struct memory *observed;

static uint64_t frame_words(const struct frame *frame)
{
    return UINT64_C(512) << frame->order;
}

/* The entries of a linked table; what follows them in a root's frame is nobody's. */
static uint64_t table_entries(const struct memory *memory, const struct frame *frame)
{
    return frame->level == memory->root_level && memory->root_entries != 0 ? memory->root_entries : frame_words(frame);
}

static void *map_anonymous(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    CHECK(at != MAP_FAILED, "no address space for %zu bytes", size);
    return at;
}

static struct frame *frame_at_position(const struct memory *memory, uint64_t position)
{
    return position < memory->slot_count ? &memory->frames[memory->slot_of_position[position]] : NULL;
}

struct frame *memory_frame(const struct memory *memory, uint64_t pa)
{
    struct frame *frame;

    if (pa < memory->options.phys_base)
        return NULL;
    frame = frame_at_position(memory, (pa - memory->options.phys_base) >> memory->phys_shift);
    return frame != NULL && frame->pa == pa ? frame : NULL;
}

static struct frame *frame_holding(const struct memory *memory, const void *slot)
{
    uintptr_t offset = (uintptr_t)slot - (uintptr_t)memory->arena;

    if (offset >= memory->arena_size)
        return NULL;
    offset /= memory->slot_words * sizeof(uint64_t);
    return frame_at_position(memory, memory->options.linear ? offset : offset ^ (memory->slot_count - 1));
}

/* ---- hooks ---- */

static bool hook_alloc(void *ctx, unsigned order, hvpt_hpa *out)
{
    struct memory *memory = ctx;
    struct frame *frame;

    memory->allocations++;
    if (memory->fail_at != 0) {
        if (memory->fail_at == 1) {
            if (!memory->fail_forever)
                memory->fail_at = 0;
            memory->failures++;
            return false;
        }
        memory->fail_at--;
    }
    CHECK(order <= memory->options.slot_order, "a frame of order %u was asked for", order);
    if (memory->queue_count == 0) {
        memory->failures++;
        return false;
    }
    frame = &memory->frames[memory->queue[memory->queue_head]];
    memory->queue_head = (memory->queue_head + 1) % memory->slot_count;
    memory->queue_count--;
    for (uint64_t i = 0; i < frame_words(frame); i++)
        CHECK(frame->virt[i] == POISON || frame->virt[i] == 0, "frame %#llx was written while it was free",
              (unsigned long long)frame->pa);
    frame->state = FRAME_NEW;
    frame->order = order;
    frame->flushed = false;
    frame->used = true;
    /* Contents are undefined: what looks most like entries of a table is the worst that can be. */
    for (uint64_t i = 0; i < frame_words(frame); i++)
        frame->virt[i] = random_next(&memory->random) | 7;
    memory->live++;
    out->value = frame->pa;
    return true;
}

static void hook_free(void *ctx, hvpt_hpa pa, unsigned order)
{
    struct memory *memory = ctx;
    struct frame *frame = memory_frame(memory, pa.value);
    uint32_t tail = (memory->queue_head + memory->queue_count) % memory->slot_count;

    CHECK(frame != NULL, "free of %#llx, which is no frame", (unsigned long long)pa.value);
    CHECK(frame->state != FRAME_FREE, "double free of %#llx", (unsigned long long)pa.value);
    CHECK(frame->order == order, "%#llx freed with order %u", (unsigned long long)pa.value, order);
    if (frame->state == FRAME_LINKED)
        CHECK(memory->destroying, "free of %#llx, which is still linked", (unsigned long long)pa.value);
    if (frame->state == FRAME_UNLINKED) {
        CHECK(frame->flushed || memory->options.no_flush, "free of %#llx before the flush that covers it",
              (unsigned long long)pa.value);
        CHECK(memcmp(frame->virt, frame->shadow, frame_words(frame) * 8) == 0,
              "%#llx was written after it was unlinked", (unsigned long long)pa.value);
    }
    for (uint64_t i = 0; i < frame_words(frame); i++)
        frame->virt[i] = POISON;
    frame->state = FRAME_FREE;
    memory->queue[tail] = (uint32_t)(frame - memory->frames);
    memory->queue_count++;
    memory->frees++;
    memory->live--;
}

static void *hook_phys_to_virt(void *ctx, hvpt_hpa pa)
{
    struct memory *memory = ctx;
    struct frame *frame = memory_frame(memory, pa.value);

    if (memory->lenient && (frame == NULL || frame->state == FRAME_FREE))
        return NULL;
    CHECK(frame != NULL, "%#llx is no frame, yet the library looked there", (unsigned long long)pa.value);
    CHECK(frame->state != FRAME_FREE, "%#llx is free, yet the library looked there", (unsigned long long)pa.value);
    return frame->virt;
}

static void flush_broken(struct memory *memory, const struct hvpt_flush *flush);

static void hook_flush(void *ctx, const struct hvpt_flush *flush)
{
    struct memory *memory = ctx;

    memory->flushes++;
    flush_broken(memory, flush);
    CHECK(flush->kind == memory->flush_kind, "flush of kind %d", (int)flush->kind);
    CHECK(memory->flush_root == 0 || flush->root == memory->flush_root, "flush for root %#llx",
          (unsigned long long)flush->root);
    for (uint32_t slot = 0; slot < memory->slot_count; slot++) {
        struct frame *frame = &memory->frames[slot];

        if (frame->state == FRAME_UNLINKED && flush->tables) {
            unsigned shift = memory->page_shift + (frame->level + 1) * memory->index_bits;
            uint64_t last = frame->gpa + ((UINT64_C(1) << shift) - 1);

            if (flush->size != 0 && flush->gpa.value <= last && frame->gpa <= flush->gpa.value + (flush->size - 1))
                frame->flushed = true;
        }
    }
    if (memory->on_flush != NULL)
        memory->on_flush(memory->on_flush_ctx, flush);
}

/* ---- break-before-make ---- */

static uint64_t reach_of(const struct memory *memory, const struct frame *frame)
{
    return UINT64_C(1) << (memory->page_shift + frame->level * memory->index_bits);
}

static void flush_broken(struct memory *memory, const struct hvpt_flush *flush)
{
    size_t kept = 0;

    for (size_t i = 0; i < memory->broken_count; i++) {
        const struct broken_entry *entry = &memory->broken[i];
        uint64_t reach = reach_of(memory, entry->frame);
        uint64_t first = entry->frame->gpa + entry->index * reach;

        if (flush->size == 0 || first + (reach - 1) < flush->gpa.value || flush->gpa.value + (flush->size - 1) < first)
            memory->broken[kept++] = *entry;
    }
    memory->broken_count = kept;
}

static void check_break(struct memory *memory, struct frame *frame, unsigned index, uint64_t old, uint64_t value)
{
    if ((old & 1) && (value & 1)) {
        CHECK(!memory->wants_break(memory->cpu, frame->level, old, value),
              "entry %#llx at level %u became %#llx without being invalid in between", (unsigned long long)old,
              frame->level, (unsigned long long)value);
    } else if (old & 1) {
        if (memory->broken_count == memory->broken_room) {
            memory->broken_room = 2 * memory->broken_room + 64;
            memory->broken = realloc(memory->broken, memory->broken_room * sizeof(*memory->broken));
            CHECK(memory->broken != NULL, "out of memory");
        }
        memory->broken[memory->broken_count++] = (struct broken_entry) {frame, index, old};
    } else if (value & 1) {
        for (size_t i = 0; i < memory->broken_count; i++)
            CHECK(memory->broken[i].frame != frame || memory->broken[i].index != index
                      || !memory->wants_break(memory->cpu, frame->level, memory->broken[i].old, value),
                  "entry %#llx at level %u became %#llx without a flush in between",
                  (unsigned long long)memory->broken[i].old, frame->level, (unsigned long long)value);
    }
}

/* ---- the tree as it changes ---- */

static void unlink_tree(struct memory *memory, struct frame *frame)
{
    frame->state = FRAME_UNLINKED;
    frame->flushed = false;
    for (unsigned i = 0; frame->level > 0 && i < table_entries(memory, frame); i++) {
        uint64_t pa;

        if (memory->child(memory->cpu, frame->level, frame->shadow[i], &pa))
            unlink_tree(memory, memory_frame(memory, pa));
    }
}

static void link_tree(struct memory *memory, uint64_t pa, unsigned level, uint64_t gpa)
{
    struct frame *frame = memory_frame(memory, pa);
    unsigned shift = memory->page_shift + level * memory->index_bits;

    CHECK(frame != NULL, "an entry refers to %#llx, which is no frame", (unsigned long long)pa);
    CHECK(frame->state == FRAME_NEW, "an entry refers to %#llx, which is %s", (unsigned long long)pa,
          frame->state == FRAME_FREE     ? "free"
          : frame->state == FRAME_LINKED ? "linked elsewhere"
                                         : "waiting for its flush");
    frame->state = FRAME_LINKED;
    frame->level = level;
    frame->gpa = gpa;
    memcpy(frame->shadow, frame->virt, frame_words(frame) * 8);
    for (unsigned i = 0; level > 0 && i < table_entries(memory, frame); i++) {
        uint64_t below;

        if (memory->child(memory->cpu, level, frame->shadow[i], &below))
            link_tree(memory, below, level - 1, gpa + ((uint64_t)i << shift));
    }
}

void memory_track(struct memory *memory, bool (*child)(const void *, unsigned, uint64_t, uint64_t *), const void *cpu,
                  unsigned page_shift, unsigned index_bits, uint64_t root_pa, unsigned root_level)
{
    memory->child = child;
    memory->cpu = cpu;
    memory->page_shift = page_shift;
    memory->index_bits = index_bits;
    memory->root_level = root_level;
    link_tree(memory, root_pa, root_level, 0);
}

void memory_on_store(const void *slot, uint64_t value)
{
    struct memory *memory = observed;
    struct frame *frame;
    unsigned index;
    uint64_t old;

    if (memory == NULL)
        return;
    memory->stores++;
    frame = frame_holding(memory, slot);
    CHECK(frame != NULL, "a store to %p, which is in no frame", slot);
    CHECK(frame->state != FRAME_FREE, "a store into %#llx, which is free", (unsigned long long)frame->pa);
    CHECK(frame->state != FRAME_UNLINKED, "a store into %#llx, which is unlinked", (unsigned long long)frame->pa);
    if (memory->any_store != NULL)
        memory->any_store(memory->after_store_ctx);
    if (frame->state != FRAME_LINKED)
        return;
    index = (unsigned)((const uint64_t *)slot - frame->virt);
    old = frame->shadow[index];
    if (memory->wants_break != NULL)
        check_break(memory, frame, index, old, value);
    frame->shadow[index] = value;
    if (frame->level > 0) {
        uint64_t gone = 0;
        uint64_t come = 0;
        bool was = memory->child(memory->cpu, frame->level, old, &gone);
        bool is = memory->child(memory->cpu, frame->level, value, &come);

        if (was && !(is && gone == come))
            unlink_tree(memory, memory_frame(memory, gone));
        if (is && !(was && gone == come))
            link_tree(memory, come, frame->level - 1,
                      frame->gpa + ((uint64_t)index << (memory->page_shift + frame->level * memory->index_bits)));
    }
    if (memory->set_agrees != NULL)
        CHECK(memory->set_agrees(memory->cpu, frame, index),
              "entry %u at level %u became %#llx beside leaves of its contiguous set that say something else", index,
              frame->level, (unsigned long long)value);
    if (memory->after_store != NULL)
        memory->after_store(memory->after_store_ctx, frame, index, old, value);
}

void memory_hardware_set(struct frame *frame, unsigned index, uint64_t bits)
{
    frame->virt[index] |= bits;
    frame->shadow[index] |= bits;
}

void memory_poke(struct frame *frame, unsigned index, uint64_t value)
{
    frame->virt[index] = value;
    frame->shadow[index] = value;
}

/* ---- life ---- */

void memory_observe(struct memory *memory)
{
    observed = memory;
}

void memory_open(struct memory *memory, const struct memory_options *options)
{
    uint64_t slot_size = UINT64_C(4096) << options->slot_order;
    uint32_t count = UINT32_C(1) << options->slots_log2;

    memset(memory, 0, sizeof(*memory));
    memory->options = *options;
    memory->random.state = 0x4b1d;
    memory->slot_count = count;
    memory->slot_words = (uint32_t)(slot_size / 8);
    memory->arena_size = slot_size * count;
    memory->arena = map_anonymous(memory->arena_size);
    memory->shadow_arena = map_anonymous(memory->arena_size);
    memory->frames = calloc(count, sizeof(*memory->frames));
    memory->slot_of_position = calloc(count, sizeof(uint32_t));
    memory->queue = calloc(count, sizeof(uint32_t));
    CHECK(memory->frames && memory->slot_of_position && memory->queue, "out of memory");
    /* Frames with gaps between them, unless the direct map rules them out; 16 slots apart keeps every alignment. */
    memory->phys_shift = 12 + options->slot_order + (options->linear ? 0 : 4);
    for (uint32_t slot = 0; slot < count; slot++) {
        uint32_t position = (slot * UINT32_C(2654435761) + 12345) & (count - 1);
        /* Where the frame is seen has nothing to do with where it is. */
        uint32_t view = options->linear ? position : position ^ (count - 1);
        struct frame *frame = &memory->frames[slot];

        memory->slot_of_position[position] = slot;
        memory->queue[slot] = slot;
        frame->pa = options->phys_base + ((uint64_t)position << memory->phys_shift);
        frame->virt = (uint64_t *)(void *)(memory->arena + view * slot_size);
        frame->shadow = memory->shadow_arena + (uint64_t)slot * memory->slot_words;
        frame->order = options->slot_order;
    }
    memory->queue_count = count;
    memory->hooks.ctx = memory;
    memory->hooks.alloc_frame = hook_alloc;
    memory->hooks.free_frame = hook_free;
    memory->hooks.phys_to_virt = options->linear ? NULL : hook_phys_to_virt;
    memory->hooks.linear_map = options->linear ? (void *)((uintptr_t)memory->arena - options->phys_base) : NULL;
    memory->hooks.flush = options->no_flush ? NULL : hook_flush;
    observed = memory;
}

void memory_close(struct memory *memory)
{
    CHECK(memory->live == 0, "%llu frames leaked", (unsigned long long)memory->live);
    memory_check_free(memory);
    observed = NULL;
    free(memory->broken);
    free(memory->frames);
    free(memory->slot_of_position);
    free(memory->queue);
    (void)munmap(memory->arena, memory->arena_size);
    (void)munmap(memory->shadow_arena, memory->arena_size);
}

uint64_t memory_count(const struct memory *memory, enum frame_state state)
{
    uint64_t count = 0;

    for (uint32_t slot = 0; slot < memory->slot_count; slot++)
        count += memory->frames[slot].state == state;
    return count;
}

void memory_check_contents(const struct memory *memory)
{
    for (uint32_t slot = 0; slot < memory->slot_count; slot++) {
        const struct frame *frame = &memory->frames[slot];

        if (frame->state == FRAME_LINKED)
            CHECK(memcmp(frame->virt, frame->shadow, frame_words(frame) * 8) == 0,
                  "table %#llx was written without a reported store", (unsigned long long)frame->pa);
    }
}

void memory_check_free(const struct memory *memory)
{
    for (uint32_t slot = 0; slot < memory->slot_count; slot++) {
        const struct frame *frame = &memory->frames[slot];

        if (frame->state == FRAME_FREE && frame->used)
            for (uint64_t i = 0; i < frame_words(frame); i++)
                CHECK(frame->virt[i] == POISON, "frame %#llx was written while it was free",
                      (unsigned long long)frame->pa);
    }
}
