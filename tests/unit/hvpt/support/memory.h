/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A fake physical memory behind struct hvpt_hooks that knows the life of every frame: free, new, linked into a tree,
 * unlinked but perhaps still cached by a CPU. It ends the test at the first access that a contract forbids.
 */
#ifndef HVPT_TEST_MEMORY_H
#define HVPT_TEST_MEMORY_H

#include "check.h"
#include "observed.h"

#include <stdbool.h>

enum frame_state { FRAME_FREE, FRAME_NEW, FRAME_LINKED, FRAME_UNLINKED };

struct frame {
    enum frame_state state;
    unsigned order;
    uint64_t pa;
    uint64_t *virt;
    uint64_t *shadow; /* what the reported stores amount to, once linked */
    unsigned level;   /* linked: what it translates */
    uint64_t gpa;
    bool flushed; /* unlinked: the flush that covers it was done */
    bool used;    /* it was handed out once, and is poisoned whenever it is free; until then the arena has no page for it */
};

/*
 * slots_log2: how many frames exist. slot_order: the largest order that can be had. phys_base: the lowest address.
 * linear: no phys_to_virt, as in a kernel with a direct map; else frames lie scattered, in both address spaces.
 * no_flush: hooks without a flush callback.
 */
struct memory_options {
    unsigned slots_log2;
    unsigned slot_order;
    uint64_t phys_base;
    bool linear;
    bool no_flush;
};

struct broken_entry {
    struct frame *frame;
    unsigned index;
    uint64_t old;
};

struct memory {
    struct hvpt_hooks hooks;
    struct memory_options options;
    struct random_stream random;

    uint8_t *arena;
    uint64_t *shadow_arena;
    size_t arena_size;
    uint32_t slot_count;
    uint32_t slot_words;
    unsigned phys_shift;
    struct frame *frames;       /* by slot */
    uint32_t *slot_of_position; /* by position in physical memory */
    uint32_t *queue;            /* free slots, oldest first: a freed frame stays poisoned as long as can be */
    uint32_t queue_head;
    uint32_t queue_count;

    uint64_t live; /* frames handed out */
    uint64_t allocations;
    uint64_t frees;
    uint64_t stores;
    uint64_t flushes;

    /* The fail_at-th allocation from now on fails (1 = the next), and all later ones if fail_forever. 0: none. */
    uint64_t fail_at;
    bool fail_forever;
    uint64_t failures;

    /* How hardware reads a table entry, set by memory_track: does it refer to a table, and where is that? */
    bool (*child)(const void *cpu, unsigned level, uint64_t entry, uint64_t *pa);
    const void *cpu;
    unsigned page_shift;
    unsigned index_bits;
    unsigned root_level;
    unsigned root_entries; /* of the root, which may have fewer than its frame holds; 0: all */
    bool destroying;
    /*
     * Break-before-make: may a valid entry turn into another valid one, or become valid again before a flush?  NULL:
     * always. broken: what entries held that were made invalid and not flushed since, whichever call made them so.
     */
    bool (*wants_break)(const void *cpu, unsigned level, uint64_t old, uint64_t value);
    struct broken_entry *broken;
    size_t broken_count, broken_room;
    /*
     * Do the leaves that hardware may hold together with this one say the same? Seen after every store. NULL: no leaf is
     * held together with others.
     */
    bool (*set_agrees)(const void *cpu, const struct frame *frame, unsigned index);
    bool lenient; /* phys_to_virt answers NULL for what is no frame, instead of ending the test */

    /* Seen after each store into a linked table, and at each flush. May be NULL. */
    void (*after_store)(void *ctx, struct frame *frame, unsigned index, uint64_t old, uint64_t value);
    void *after_store_ctx;
    /* Seen after each store at all, into tables that nobody can see yet as well. */
    void (*any_store)(void *ctx);
    void (*on_flush)(void *ctx, const struct hvpt_flush *flush);
    void *on_flush_ctx;
    enum hvpt_flush_kind flush_kind; /* what a flush must ask for, and for which root */
    uint64_t flush_root;
};

void memory_open(struct memory *memory, const struct memory_options *options);
/* Every frame must be back. */
void memory_close(struct memory *memory);

/* Whose tables the reported stores are; memory_open made it its own. NULL: nobody's, where several threads store. */
void memory_observe(struct memory *memory);

/* From now on the tree below root is followed as it changes. root_pa is what the root register points to. */
void memory_track(struct memory *memory, bool (*child)(const void *, unsigned, uint64_t, uint64_t *), const void *cpu,
                  unsigned page_shift, unsigned index_bits, uint64_t root_pa, unsigned root_level);

/* The frame whose first byte is at pa, free or not. NULL: there is none. */
struct frame *memory_frame(const struct memory *memory, uint64_t pa);

/* A hardware walker's write: it sets bits in an entry and no software hears of it. */
void memory_hardware_set(struct frame *frame, unsigned index, uint64_t bits);

/* Puts anything into a table, behind the library's back and the tracker's. Put it back before anything else is done. */
void memory_poke(struct frame *frame, unsigned index, uint64_t value);

/* Frames that hang in the tree, and those that were cut off and not yet given back. */
uint64_t memory_count(const struct memory *memory, enum frame_state state);

/* No linked table was written but through the reported stores. */
void memory_check_contents(const struct memory *memory);
/* No free frame was written at all. */
void memory_check_free(const struct memory *memory);

#endif
