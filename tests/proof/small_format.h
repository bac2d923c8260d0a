/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The smallest format that has all that the engine knows of one: its attributes lie above bit 47, so that a page can be 16
 * or 32 bytes and a table have two or four entries. What the engine may expect of a format's rules is here as short as it
 * can be; that the real formats keep it is proven of each (codec.c, judge.c, change.c).
 */
#ifndef PROOF_SMALL_FORMAT_H
#define PROOF_SMALL_FORMAT_H

#include <hvpt/hvpt.h>
#include <hvpt/engine/collapse.h>
#include <hvpt/engine/lifecycle.h>
#include <hvpt/engine/lookup.h>
#include <hvpt/engine/protect.h>
#include <hvpt/engine/replace.h>
#include <hvpt/engine/split.h>
#include <hvpt/engine/track.h>
#include <hvpt/engine/unmap.h>

#define SMALL_VALID    (UINT64_C(1) << 0)
#define SMALL_TABLE    (UINT64_C(1) << 1)
#define SMALL_ADDRESS  (UINT64_C(0x0000fffffffffff0))
#define SMALL_PERM     48 /* four bits, in the order of HVPT_READ .. HVPT_EXEC_USER */
#define SMALL_MEMTYPE  52 /* three bits */
#define SMALL_SOFTWARE (UINT64_C(1) << 55)
#define SMALL_ACCESSED (UINT64_C(1) << 56)
#define SMALL_DIRTY    (UINT64_C(1) << 57)
#define SMALL_LOGGED   (UINT64_C(1) << 58)
#define SMALL_CONTIG   (UINT64_C(1) << 59)
#define SMALL_FULL     (UINT64_C(1) << 60)

static enum hvpt_status small_encode(const struct hvpt_space *space, struct hvpt_attr attr, struct hvpt_leaf *leaf)
{
    unsigned level;

    if (attr.perm == 0 || attr.perm > 15 || attr.memtype > HVPT_MEM_UC || attr.software > 1
        || (attr.flags & ~(uint32_t)(HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED)))
        return HVPT_E_ATTR;
    for (level = 0; level < HVPT_MAX_LEVELS; level++)
        leaf->bits[level] = SMALL_VALID | (uint64_t)attr.perm << SMALL_PERM | (uint64_t)attr.memtype << SMALL_MEMTYPE
                          | (attr.software ? SMALL_SOFTWARE : 0) | (attr.flags & HVPT_ACCESSED ? SMALL_ACCESSED : 0)
                          | (attr.flags & HVPT_DIRTY ? SMALL_DIRTY : 0) | (attr.flags & HVPT_LOGGED ? SMALL_LOGGED : 0);
    leaf->max_level = space->max_leaf_level;
    return HVPT_OK;
}

static struct hvpt_attr small_decode(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    struct hvpt_attr attr;

    (void)space, (void)level;
    attr.perm = (uint32_t)(entry >> SMALL_PERM) & 15;
    attr.memtype = (enum hvpt_memtype)(entry >> SMALL_MEMTYPE & 7);
    attr.software = entry & SMALL_SOFTWARE ? 1 : 0;
    attr.flags = (entry & SMALL_ACCESSED ? (uint32_t)HVPT_ACCESSED : 0) | (entry & SMALL_DIRTY ? (uint32_t)HVPT_DIRTY : 0)
               | (entry & SMALL_LOGGED ? (uint32_t)HVPT_LOGGED : 0) | (entry & SMALL_CONTIG ? (uint32_t)HVPT_JOINED : 0);
    return attr;
}

static unsigned small_judge(const struct hvpt_space *space, uint64_t entry, unsigned level)
{
    if (entry & SMALL_TABLE)
        return level == 0 ? (unsigned)HVPT_ENTRY_BROKEN : (unsigned)HVPT_ENTRY_TABLE;
    return entry & SMALL_ADDRESS & (hvpt_span(space, level) - 1) ? (unsigned)HVPT_ENTRY_BROKEN : (unsigned)HVPT_ENTRY_LEAF;
}

static uint64_t small_relevel(uint64_t entry, unsigned from, unsigned to)
{
    (void)from, (void)to;
    return entry;
}

static uint64_t small_change(const struct hvpt_space *space, uint64_t entry, uint64_t wanted, uint32_t mask, unsigned level)
{
    uint64_t bits = (uint64_t)(mask & HVPT_PERM_ALL) << SMALL_PERM;

    (void)space, (void)level;
    bits |= mask & HVPT_WRITE ? SMALL_LOGGED : 0;
    bits |= mask & HVPT_CHANGE_MEMTYPE ? UINT64_C(7) << SMALL_MEMTYPE : 0;
    bits |= mask & HVPT_CHANGE_SOFTWARE ? SMALL_SOFTWARE : 0;
    return (entry & ~bits) | (wanted & bits);
}

static uint64_t small_log_writes(const struct hvpt_space *space, uint64_t entry)
{
    const uint64_t write = (uint64_t)HVPT_WRITE << SMALL_PERM;

    (void)space;
    return entry & write ? (entry & ~write) | SMALL_LOGGED : entry;
}

/* Where hardware notes nothing, a page that may be written is written, and one that is not marked accessed faults. */
static uint64_t small_clean(const struct hvpt_space *space, uint64_t entry)
{
    return space->hardware_bits != 0 ? entry & ~SMALL_DIRTY : small_log_writes(space, entry);
}

static uint64_t small_forget(const struct hvpt_space *space, uint64_t entry)
{
    (void)space;
    return entry & ~SMALL_ACCESSED;
}

static uint64_t small_touch(const struct hvpt_space *space, uint64_t entry, uint32_t access)
{
    if (space->hardware_bits == 0)
        entry |= SMALL_ACCESSED;
    if ((access & HVPT_WRITE) && (entry & SMALL_LOGGED))
        entry = (entry & ~SMALL_LOGGED) | (uint64_t)HVPT_WRITE << SMALL_PERM;
    return entry;
}

static uint32_t small_grants(const struct hvpt_space *space, uint64_t entry, unsigned level, bool others)
{
    (void)others;
    return space->hardware_bits == 0 && !(entry & SMALL_ACCESSED) ? 0 : small_decode(space, entry, level).perm;
}

static const struct hvpt_rules small_rules = {
    SMALL_FULL,
    SMALL_LOGGED,
    (uint64_t)15 << SMALL_PERM | SMALL_LOGGED | SMALL_SOFTWARE, /* lenient_bits */
    0,
    0,
    SMALL_CONTIG,
    small_encode,
    small_decode,
    small_judge,
    NULL,
    NULL,
    NULL,
    small_relevel,
    small_change,
    small_clean,
    small_forget,
    small_log_writes,
    small_touch,
    small_grants,
    hvpt_flush_grown,
};

/* What a processor of this kind demands and offers. */
enum { SMALL_BREAKS = 1, SMALL_SETS = 2, SMALL_MARKS = 4, SMALL_MAP_FLUSHES = 8 };

/* A space of two levels: root entries in the root, a power of two, 1 << (page_shift - 3) in a table. No root yet. */
static inline void small_space(struct hvpt_space *space, const struct hvpt_hooks *hooks, unsigned kind, unsigned page_shift,
                               unsigned root)
{
    hvpt_space_clear(space);
    space->hooks = hooks;
    space->called = true;
    space->rules = &small_rules;
    space->kind = HVPT_KIND_S2;
    space->features = HVPT_HAS_MARKS;
    hvpt_set_geometry(space, page_shift, 1, 2 * page_shift - 3 + (unsigned)__builtin_ctz(root));
    space->max_leaf_level = 1;
    space->hpa_limit = UINT64_C(1) << 48;
    space->present_mask = SMALL_VALID;
    space->table_bits = space->table_mask = SMALL_VALID | SMALL_TABLE;
    space->leaf_bits = SMALL_VALID;
    space->leaf_mask = SMALL_VALID | SMALL_TABLE;
    space->frame_mask = SMALL_ADDRESS & ~((UINT64_C(1) << page_shift) - 1);
    space->flush_kind = HVPT_FLUSH_TLBI;
    space->relax_flushes = true;
    space->map_flushes = (kind & SMALL_MAP_FLUSHES) != 0;
    space->hardware_bits = kind & SMALL_MARKS ? SMALL_ACCESSED | SMALL_DIRTY : 0;
    space->break_bits = kind & SMALL_BREAKS ? UINT64_C(7) << SMALL_MEMTYPE : 0;
    space->page_mask = ~space->frame_mask | space->leaf_mask;
    space->usual_bits = UINT64_MAX;
    space->break_sizes = (kind & SMALL_BREAKS) != 0;
    if (kind & SMALL_SETS) {
        space->contig_bit = SMALL_CONTIG;
        space->contig_log2[0] = space->contig_log2[1] = 1;
    }
}

#endif
