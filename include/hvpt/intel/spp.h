/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The sub-page permission table (SPPT): which of the 32 parts, 128 bytes each, of a guest page may be written although
 * its EPT leaf forbids it. SDM vol. 3, "Sub-Page Write Permissions". Its own small tables with their own small walker.
 */
#ifndef HVPT_INTEL_SPP_H
#define HVPT_INTEL_SPP_H

#include "../engine/defer.h"
#include "../engine/setup.h"
#include "../text.h"

/*
 * Four levels of 512 entries, whatever the depth of the EPT. Level 3 is the root, to which the VMCS field "sub-page
 * permission table pointer" leads; an entry of level 0 is a vector, bit 2S of which lets part S be written.
 */
#define HVPT_SPP_LEVELS          4
#define HVPT_SPP_BIT_VALID       (UINT64_C(1) << 0)
#define HVPT_SPP_TABLE_RESERVED  UINT64_C(0xffe) /* of an entry that is valid, and the bits above MAXPHYADDR */
#define HVPT_SPP_ADDRESS_BITS    UINT64_C(0x000ffffffffff000)
#define HVPT_SPP_VECTOR_RESERVED UINT64_C(0xaaaaaaaaaaaaaaaa)
#define HVPT_SPP_PART_SHIFT      7

/*
 * maxphyaddr: as in struct hvpt_ept_config; 32 to 52; 0: 52.
 * eptp: the EPTP of the tables whose pages have HVPT_EPT_SUB_PAGE_WRITE; only the flush uses it, to name them. Where
 * several EPTPs share an SPPT, the flush hook sees to all of them.
 */
struct hvpt_spp_config {
    unsigned maxphyaddr;
    uint64_t eptp;
};

/* One guest's SPPT. Move it only while nobody uses it. */
struct hvpt_spp {
    struct hvpt_space space; /* for its hooks, root and counters; the engine's operations are not used on it */
};

/* ---- the vector ---- */

/* Bit S of writable becomes bit 2S. */
static inline uint64_t hvpt_spp_vector(uint32_t writable)
{
    uint64_t vector = writable;

    vector = (vector | vector << 16) & UINT64_C(0x0000ffff0000ffff);
    vector = (vector | vector << 8) & UINT64_C(0x00ff00ff00ff00ff);
    vector = (vector | vector << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    vector = (vector | vector << 2) & UINT64_C(0x3333333333333333);
    return (vector | vector << 1) & UINT64_C(0x5555555555555555);
}

/* The reverse; the reserved bits are dropped. */
static inline uint32_t hvpt_spp_writable(uint64_t vector)
{
    vector &= UINT64_C(0x5555555555555555);
    vector = (vector | vector >> 1) & UINT64_C(0x3333333333333333);
    vector = (vector | vector >> 2) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    vector = (vector | vector >> 4) & UINT64_C(0x00ff00ff00ff00ff);
    vector = (vector | vector >> 8) & UINT64_C(0x0000ffff0000ffff);
    return (uint32_t)(vector | vector >> 16);
}

/* ---- walking ---- */

enum hvpt_spp_outcome {
    HVPT_SPP_FOUND,         /* there is a vector: the write goes on, or is an EPT violation */
    HVPT_SPP_MISS,          /* an entry on the way is not valid: VM exit 66, bit 11 of the qualification set */
    HVPT_SPP_MISCONFIGURED, /* an entry has a reserved bit set: VM exit 66, bit 11 clear */
    HVPT_SPP_UNREACHABLE    /* phys_to_virt does not offer one of the tables */
};

/*
 * What the processor finds for a write to gpa. level, entry, table: where the walk ended, 0 being the vectors' level.
 * FOUND: writable has a bit for each part, allowed is that of gpa's own.
 */
struct hvpt_spp_lookup {
    enum hvpt_spp_outcome outcome;
    unsigned level;
    uint64_t entry;
    hvpt_hpa table;
    uint32_t writable;
    bool allowed;
};

static inline unsigned hvpt_spp_index(uint64_t gpa, unsigned level)
{
    return (unsigned)(gpa >> (12 + 9 * level)) & 511;
}

/* The tables on the way to gpa's vector, from the root down to level, where the entry is the first without a table. */
struct hvpt_spp_way {
    hvpt_entry *table[HVPT_SPP_LEVELS];
    uint64_t frame[HVPT_SPP_LEVELS];
    unsigned level;
    uint64_t entry;
};

static inline enum hvpt_spp_outcome hvpt_spp_descend(const struct hvpt_spp *spp, uint64_t gpa, struct hvpt_spp_way *way)
{
    unsigned level = HVPT_SPP_LEVELS - 1;

    way->table[level] = spp->space.root_table;
    way->frame[level] = spp->space.root_frame;
    for (;; level--) {
        way->level = level;
        way->entry = hvpt_load(&way->table[level][hvpt_spp_index(gpa, level)]);
        if (level == 0)
            return way->entry & HVPT_SPP_VECTOR_RESERVED ? HVPT_SPP_MISCONFIGURED : HVPT_SPP_FOUND;
        if (!(way->entry & HVPT_SPP_BIT_VALID))
            return HVPT_SPP_MISS;
        if (way->entry & (HVPT_SPP_TABLE_RESERVED | spp->space.reserved_bits))
            return HVPT_SPP_MISCONFIGURED;
        way->frame[level - 1] = way->entry & HVPT_SPP_ADDRESS_BITS;
        way->table[level - 1] = hvpt_table_at(&spp->space, way->frame[level - 1]);
        if (way->table[level - 1] == NULL)
            return HVPT_SPP_UNREACHABLE;
    }
}

/*
 * What the processor finds for a write to gpa whose EPT leaf has HVPT_EPT_SUB_PAGE_WRITE and not HVPT_WRITE. An address
 * beyond 48 bits has no place in the table, and is a miss. Safe on any number of CPUs, and beside hvpt_spp_allow.
 */
static inline void hvpt_spp_walk(const struct hvpt_spp *spp, hvpt_gpa gpa, struct hvpt_spp_lookup *out)
{
    struct hvpt_spp_way way;

    way.level = HVPT_SPP_LEVELS - 1;
    way.entry = 0;
    way.frame[way.level] = spp->space.root_frame;
    out->outcome = gpa.value >= spp->space.gpa_limit ? HVPT_SPP_MISS : hvpt_spp_descend(spp, gpa.value, &way);
    out->level = way.level;
    out->entry = way.entry;
    out->table = hvpt_make_hpa(way.frame[way.level]);
    out->writable = out->outcome == HVPT_SPP_FOUND ? hvpt_spp_writable(way.entry) : 0;
    out->allowed = (out->writable >> ((gpa.value >> HVPT_SPP_PART_SHIFT) & 31) & 1) != 0;
}

/* The same in words: "entry 0x1003 at level 2, in the table at 0x5000: reserved bits are set: SPP misconfiguration". */
static inline void hvpt_spp_explain(const struct hvpt_spp *spp, hvpt_gpa gpa, const struct hvpt_text *text)
{
    struct hvpt_spp_lookup walk;

    hvpt_spp_walk(spp, gpa, &walk);
    if (gpa.value >= spp->space.gpa_limit) {
        hvpt_text_string(text, "beyond 48 bits: SPP miss (SDM vol. 3, \"Sub-Page Write Permissions\")");
        return;
    }
    hvpt_text_string(text, "entry ");
    hvpt_text_hex(text, walk.entry);
    hvpt_text_string(text, " at level ");
    hvpt_text_decimal(text, walk.level);
    hvpt_text_string(text, ", in the table at ");
    hvpt_text_hex(text, walk.table.value);
    switch (walk.outcome) {
    case HVPT_SPP_FOUND:
        hvpt_text_string(text, ": part ");
        hvpt_text_decimal(text, (gpa.value >> HVPT_SPP_PART_SHIFT) & 31);
        hvpt_text_string(text, walk.allowed ? " may be written" : " may not be written: EPT violation");
        break;
    case HVPT_SPP_MISS: hvpt_text_string(text, ": bit 0 is clear: SPP miss"); break;
    case HVPT_SPP_MISCONFIGURED:
        hvpt_text_string(text, walk.level == 0 ? ": an odd bit is set" : ": reserved bits are set");
        hvpt_text_string(text, ": SPP misconfiguration");
        break;
    case HVPT_SPP_UNREACHABLE: hvpt_text_string(text, ": no memory can be read where it leads"); break;
    }
    hvpt_text_string(text, " (SDM vol. 3, \"Sub-Page Write Permissions\")");
}

/* ---- frames ---- */

/* Give back the table at frame and all below it. */
HVPT_FUNCTION void hvpt_spp_free(struct hvpt_spp *spp, uint64_t frame, unsigned level)
{
    const hvpt_entry *table[HVPT_SPP_LEVELS];
    uint64_t frames[HVPT_SPP_LEVELS];
    unsigned next[HVPT_SPP_LEVELS];
    unsigned at = level;

    frames[at] = frame;
    next[at] = 0;
    table[at] = at == 0 ? NULL : hvpt_table_at(&spp->space, frame);
    for (;;) {
        if (table[at] == NULL || next[at] == 512) {
            hvpt_free_frame(&spp->space, frames[at], 0);
            if (at == level)
                return;
            at++;
        } else {
            uint64_t entry = hvpt_load(&table[at][next[at]++]);

            if (!(entry & HVPT_SPP_BIT_VALID) || (entry & (HVPT_SPP_TABLE_RESERVED | spp->space.reserved_bits)))
                continue;
            at--;
            frames[at] = entry & HVPT_SPP_ADDRESS_BITS;
            next[at] = 0;
            table[at] = at == 0 ? NULL : hvpt_table_at(&spp->space, frames[at]);
        }
    }
}

/* Carry out flush through the hook, and free the tables that waited for it; flush is empty afterwards. */
HVPT_FUNCTION void hvpt_spp_flush(struct hvpt_spp *spp, struct hvpt_flush *flush)
{
    const struct hvpt_hooks *hooks = hvpt_hooks_of(&spp->space);
    unsigned i;

    if (flush->kind != HVPT_FLUSH_NONE && hooks->flush != NULL)
        (hooks->flush)(hooks->ctx, flush);
    for (i = 0; i < flush->dead_count; i++)
        hvpt_spp_free(spp, flush->dead[i] & ~(HVPT_4K - 1), (unsigned)(flush->dead[i] & (HVPT_4K - 1)));
    hvpt_flush_clear(flush);
}

/* Make one empty table. NULL: there is no frame, and none is held. */
HVPT_FUNCTION hvpt_entry *hvpt_spp_new_table(struct hvpt_spp *spp, uint64_t *frame)
{
    hvpt_entry *table = hvpt_alloc_frame(&spp->space, 0, frame);
    unsigned i;

    if (table == NULL)
        return NULL;
    hvpt_count_add(&spp->space.frames, 1);
    for (i = 0; i < 512; i++)
        hvpt_store_relaxed(&table[i], 0);
    return table;
}

/* ---- beginning and end ---- */

/*
 * Make an empty SPPT, in which every write is a miss. hooks stays in use until destroy; config is not kept.
 * HVPT_E_HOOK: no hooks, or alloc_frame or free_frame is missing. HVPT_E_CONFIG: no config, or no CPU has this
 * maxphyaddr. HVPT_E_NOMEM: no frame for the root. After an error every other call answers HVPT_E_RANGE, and every
 * write is a miss.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_spp_init(struct hvpt_spp *spp, const struct hvpt_hooks *hooks,
                                                            const struct hvpt_spp_config *config)
{
    struct hvpt_space *space = &spp->space;
    enum hvpt_status status = hvpt_space_begin(space, hooks, config, false);
    unsigned maxphyaddr = config == NULL || config->maxphyaddr == 0 ? 52 : config->maxphyaddr;

    if (status == HVPT_OK && (maxphyaddr < 32 || maxphyaddr > 52))
        status = HVPT_E_CONFIG;
    if (status == HVPT_OK) {
        space->flush_kind = HVPT_FLUSH_INVEPT;
        hvpt_set_geometry(space, 12, HVPT_SPP_LEVELS - 1, 48);
        space->root_register = config->eptp;
        space->hpa_limit = UINT64_C(1) << maxphyaddr;
        space->reserved_bits = ~(space->hpa_limit - 1);
        space->root_table = hvpt_spp_new_table(spp, &space->root_frame);
        status = space->root_table == NULL ? HVPT_E_NOMEM : HVPT_OK;
    }
    if (status != HVPT_OK)
        hvpt_space_clear(space);
    return status;
}

/* Free every frame. No CPU may use the table any more, and all flushes asked for have been done. */
static inline void hvpt_spp_destroy(struct hvpt_spp *spp)
{
    if (spp->space.root_table != NULL)
        hvpt_spp_free(spp, spp->space.root_frame, HVPT_SPP_LEVELS - 1);
    hvpt_space_clear(&spp->space);
}

/* The value for the VMCS field "sub-page permission table pointer" (SPPTP). */
static inline uint64_t hvpt_spp_root(const struct hvpt_spp *spp)
{
    return spp->space.root_frame;
}

/* Frames held: tables, and those that wait for a flush. */
static inline uint64_t hvpt_spp_frames(const struct hvpt_spp *spp)
{
    return hvpt_count_read(&spp->space.frames);
}

/* ---- operations ---- */

static inline enum hvpt_status hvpt_spp_check(const struct hvpt_spp *spp, uint64_t gpa)
{
    if (gpa & (HVPT_4K - 1))
        return HVPT_E_ALIGN;
    return gpa >= spp->space.gpa_limit ? HVPT_E_RANGE : HVPT_OK;
}

/*
 * Make the missing tables, one a level from 0 up, linked to one another but not yet to the tree. HVPT_E_NOMEM: none is
 * held.
 */
HVPT_FUNCTION enum hvpt_status hvpt_spp_grow(struct hvpt_spp *spp, uint64_t gpa, uint64_t vector,
                                                    unsigned levels, uint64_t *top)
{
    uint64_t frame[HVPT_SPP_LEVELS];
    unsigned level;

    for (level = 0; level < levels; level++) {
        hvpt_entry *table = hvpt_spp_new_table(spp, &frame[level]);

        if (table == NULL) {
            while (level-- > 0)
                hvpt_free_frame(&spp->space, frame[level], 0);
            return HVPT_E_NOMEM;
        }
        hvpt_store_relaxed(&table[hvpt_spp_index(gpa, level)],
                           level == 0 ? vector : frame[level - 1] | HVPT_SPP_BIT_VALID);
    }
    *top = frame[levels - 1];
    return HVPT_OK;
}

/*
 * Let those parts of the page at gpa be written whose bits are set in writable (bit S: bytes 128 S and up), and no
 * others.
 * It takes effect if the page's EPT leaf is of the smallest size, has HVPT_EPT_SUB_PAGE_WRITE and lacks HVPT_WRITE.
 * With writable 0 every write is an EPT violation, whereas a page without a vector may give an SPP miss.
 *
 * flush: needed if a permission was taken away; until it is done, writes to that part may go on. It belongs to this
 * table: hvpt_spp_flush carries it out, not hvpt_space_flush. NULL: done before the call returns.
 *
 * HVPT_E_ALIGN, HVPT_E_RANGE: gpa.  HVPT_E_NOMEM: up to three tables were missing.  HVPT_E_CORRUPT: an entry on the way
 * is misconfigured or leads nowhere. After any of them nothing changed.
 *
 * Safe beside hardware and hvpt_spp_walk; the caller serializes the rest.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_spp_allow(struct hvpt_spp *spp, hvpt_gpa gpa, uint32_t writable,
                                                             struct hvpt_flush *flush)
{
    const uint64_t vector = hvpt_spp_vector(writable);
    struct hvpt_spp_way way;
    struct hvpt_flush own;
    enum hvpt_spp_outcome found;
    enum hvpt_status status = hvpt_spp_check(spp, gpa.value);

    if (status != HVPT_OK)
        return status;
    found = hvpt_spp_descend(spp, gpa.value, &way);
    if (found == HVPT_SPP_MISS) {
        uint64_t top = 0;

        status = hvpt_spp_grow(spp, gpa.value, vector, way.level, &top);
        if (status == HVPT_OK)
            hvpt_store_release(&way.table[way.level][hvpt_spp_index(gpa.value, way.level)], top | HVPT_SPP_BIT_VALID);
        return status;
    }
    if (found != HVPT_SPP_FOUND)
        return HVPT_E_CORRUPT;
    hvpt_store_release(&way.table[0][hvpt_spp_index(gpa.value, 0)], vector);
    if (way.entry & ~vector) {
        flush = hvpt_flush_begin(&spp->space, flush, &own);
        hvpt_defer(&spp->space, flush, gpa.value, HVPT_4K, false);
        if (flush == &own)
            hvpt_spp_flush(spp, &own);
    }
    return HVPT_OK;
}

/*
 * Which parts of the page that holds gpa may be written.
 * HVPT_E_RANGE.  HVPT_E_ABSENT: an SPP miss.  HVPT_E_CORRUPT: an SPP misconfiguration, or a table out of reach.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_spp_query(const struct hvpt_spp *spp, hvpt_gpa gpa,
                                                             uint32_t *writable)
{
    struct hvpt_spp_lookup walk;

    if (gpa.value >= spp->space.gpa_limit)
        return HVPT_E_RANGE;
    hvpt_spp_walk(spp, gpa, &walk);
    if (walk.outcome != HVPT_SPP_FOUND)
        return walk.outcome == HVPT_SPP_MISS ? HVPT_E_ABSENT : HVPT_E_CORRUPT;
    *writable = walk.writable;
    return HVPT_OK;
}

/* Is the entry at index the table's only one? */
HVPT_FUNCTION bool hvpt_spp_is_last(const hvpt_entry *table, unsigned index)
{
    unsigned i;

    for (i = 0; i < 512; i++)
        if (i != index && hvpt_load(&table[i]) != 0)
            return false;
    return true;
}

/*
 * Forget the page at gpa: no part may be written, and tables that are empty with it go away, so that a later write may
 * be an SPP miss. A page that was never allowed is fine. A page that was given no parts keeps no table either.
 *
 * flush and errors: as hvpt_spp_allow, but it needs no frame. Safe beside hardware, but beside nothing else, because it
 * frees tables.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_spp_clear(struct hvpt_spp *spp, hvpt_gpa gpa,
                                                             struct hvpt_flush *flush)
{
    struct hvpt_spp_way way;
    struct hvpt_flush own;
    enum hvpt_spp_outcome found;
    unsigned level = 0;
    enum hvpt_status status = hvpt_spp_check(spp, gpa.value);

    if (status != HVPT_OK)
        return status;
    found = hvpt_spp_descend(spp, gpa.value, &way);
    if (found == HVPT_SPP_MISS)
        return HVPT_OK;
    if (found != HVPT_SPP_FOUND)
        return HVPT_E_CORRUPT;
    /* The highest table that would be left empty is cut off as it is: nothing is written that a CPU may still read. */
    while (level < HVPT_SPP_LEVELS - 1 && hvpt_spp_is_last(way.table[level], hvpt_spp_index(gpa.value, level)))
        level++;
    if (level == 0 && way.entry == 0)
        return HVPT_OK;
    flush = hvpt_flush_begin(&spp->space, flush, &own);
    if (level > 0 && flush->kind != HVPT_FLUSH_NONE && flush->dead_count == HVPT_FLUSH_DEAD_MAX)
        hvpt_spp_flush(spp, flush);
    hvpt_store_release(&way.table[level][hvpt_spp_index(gpa.value, level)], 0);
    hvpt_defer(&spp->space, flush, gpa.value, HVPT_4K, level > 0);
    if (level > 0)
        flush->dead[flush->dead_count++] = way.frame[level - 1] | (level - 1);
    if (flush == &own)
        hvpt_spp_flush(spp, &own);
    return HVPT_OK;
}

#endif
