/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * HVPT_DEBUG: each call that is listed below checks that its caller keeps the rules, and reports the rule that was
 * broken; the others only read. Without it none of this is compiled. hvpt.h includes it. Either all units that share a
 * space define HVPT_DEBUG or none does, because it makes struct hvpt_space larger.
 *
 * A breach is reported by HVPT_ON_BREACH(space, breach, call), which a program defines before the first include, as a
 * panic for example; call is the name of the function. By default the program is stopped there (__builtin_trap).
 * It also reports a caller that uses a second struct hvpt_flush for a space before the first is carried out (flush.h).
 */
#ifndef HVPT_DEBUG_H
#define HVPT_DEBUG_H

#include "hvpt.h"

#ifdef HVPT_DEBUG

#ifndef HVPT_ON_BREACH
#define HVPT_ON_BREACH(space, breach, call) ((void)(space), (void)(breach), (void)(call), __builtin_trap())
#endif

/** What a caller, or a hook, broke. docs/contracts.md has the promises. */
enum hvpt_breach {
    /** a call began while one was running that it may not run beside: the lock is missing, or a hook called back */
    HVPT_BREACH_BESIDE,
    /** a flush that an earlier call asked for was not carried out before the lock was dropped or another was used */
    HVPT_BREACH_UNSETTLED,
    HVPT_BREACH_FLUSH,     /**< a struct hvpt_flush that holds garbage: it was not zeroed */
    HVPT_BREACH_ALIGNMENT, /**< alloc_frame gave a frame that is not aligned to its size */
    HVPT_BREACH_BEYOND,    /**< alloc_frame gave a frame that the format cannot address */
    HVPT_BREACH_DUPLICATE, /**< alloc_frame gave a frame that is a table of this space, or in its reserve */
    HVPT_BREACH_VIEW,      /**< phys_to_virt gave an address that is not aligned to 8 */
    HVPT_BREACH_RETIRED    /**< a frame is to be mapped that holds a table which waits for its flush */
};

/** The breach in words, for a log. Never NULL. */
static inline const char *hvpt_breach_text(enum hvpt_breach breach)
{
    switch (breach) {
    case HVPT_BREACH_BESIDE: return "a call beside another that it may not run beside";
    case HVPT_BREACH_UNSETTLED: return "a flush that an earlier call asked for is not settled";
    case HVPT_BREACH_FLUSH: return "a flush that was not zeroed";
    case HVPT_BREACH_ALIGNMENT: return "alloc_frame gave a frame that is not aligned to its size";
    case HVPT_BREACH_BEYOND: return "alloc_frame gave a frame that the format cannot address";
    case HVPT_BREACH_DUPLICATE: return "alloc_frame gave a frame that is in use as a table";
    case HVPT_BREACH_VIEW: return "phys_to_virt gave a misaligned address";
    case HVPT_BREACH_RETIRED: return "a frame that holds a table which waits for its flush";
    }
    return "unknown breach";
}

/* The role of a call's caller, in the terms of hvpt.h. TRACKER: sole writer, except for readers and touch. */
enum hvpt_role {
    HVPT_ROLE_READER,
    HVPT_ROLE_FAULTER,
    HVPT_ROLE_TOUCH,
    HVPT_ROLE_WRITER,
    HVPT_ROLE_TRACKER,
    HVPT_ROLE_SOLE
};

/* The roles that may be at work beside this one, a bit for each: the table of docs/contracts.md. */
static inline unsigned hvpt_debug_beside(enum hvpt_role role)
{
    const unsigned reader = 1u << HVPT_ROLE_READER, faulter = 1u << HVPT_ROLE_FAULTER, touch = 1u << HVPT_ROLE_TOUCH;
    const unsigned writer = 1u << HVPT_ROLE_WRITER, tracker = 1u << HVPT_ROLE_TRACKER;

    switch (role) {
    case HVPT_ROLE_READER: return reader | faulter | touch | writer | tracker;
    case HVPT_ROLE_FAULTER: return reader | faulter | touch | writer;
    case HVPT_ROLE_TOUCH: return reader | faulter | touch | writer | tracker;
    case HVPT_ROLE_WRITER: return reader | faulter | touch;
    case HVPT_ROLE_TRACKER: return reader | touch;
    case HVPT_ROLE_SOLE: return 0;
    }
    return 0;
}

/* A call begins. flush: the one it was given, or NULL. */
static inline void hvpt_debug_begin(const struct hvpt_space *of, enum hvpt_role role, const struct hvpt_flush *flush,
                                    const char *call)
{
    struct hvpt_space *space = (struct hvpt_space *)(uintptr_t)of;
    const unsigned beside = hvpt_debug_beside(role);
    unsigned other;

    (void)call;
    hvpt_count_add_shared(&space->debug.at_work[role], 1);
    for (other = 0; other <= HVPT_ROLE_SOLE; other++) {
        const uint64_t own = other == (unsigned)role ? 1 : 0;

        if (!(beside >> other & 1) && hvpt_count_read(&space->debug.at_work[other]) > own) {
            HVPT_ON_BREACH(space, HVPT_BREACH_BESIDE, call);
            break;
        }
    }
    if (flush != NULL
        && ((unsigned)flush->kind > HVPT_FLUSH_HFENCE
            || (flush->kind != HVPT_FLUSH_NONE && flush->dead_count > HVPT_FLUSH_DEAD_MAX)))
        HVPT_ON_BREACH(space, HVPT_BREACH_FLUSH, call);
    if (role >= HVPT_ROLE_WRITER && space->debug.owed != NULL && flush != NULL && flush != space->debug.owed
        && hvpt_count_read(&space->debug.at_work[role]) == 1)
        HVPT_ON_BREACH(space, HVPT_BREACH_UNSETTLED, call);
}

/* The call ends. */
static inline void hvpt_debug_end(const struct hvpt_space *of, enum hvpt_role role, const struct hvpt_flush *flush)
{
    struct hvpt_space *space = (struct hvpt_space *)(uintptr_t)of;

    if (role >= HVPT_ROLE_WRITER && flush != NULL
        && !(flush->kind != HVPT_FLUSH_NONE && flush->root != space->root_register)) {
        if (hvpt_flush_needed(flush))
            space->debug.owed = flush;
        else if (space->debug.owed == flush)
            space->debug.owed = NULL;
    }
    hvpt_count_add_shared(&space->debug.at_work[role], (uint64_t)-1);
}

/**
 * Call it before dropping the lock under which a space was changed: it reports a flush that is still due. Without
 * HVPT_DEBUG it does nothing.
 */
static inline void hvpt_debug_unlock(struct hvpt_space *space)
{
    if (space->debug.owed != NULL)
        HVPT_ON_BREACH(space, HVPT_BREACH_UNSETTLED, "hvpt_debug_unlock");
    space->debug.owed = NULL;
}

#if !defined(HVPT_EXTERN) || defined(HVPT_IMPLEMENT)
/* Is the frame the root, in the reserve, or linked? */
static inline bool hvpt_debug_in_use(const struct hvpt_space *space, uint64_t frame, uint64_t size)
{
    return space->root_table != NULL && hvpt_tables_touch(space, frame, size) == HVPT_E_RANGE;
}

/*
 * Check what alloc_frame gave. table: where phys_to_virt sees it; NULL where it was not asked, because the frame cannot
 * be used.
 */
static inline void hvpt_debug_frame(const struct hvpt_space *space, unsigned order, uint64_t frame, const void *table)
{
    const uint64_t size = UINT64_C(1) << (HVPT_FRAME_SHIFT + order);

    if (frame & (size - 1))
        HVPT_ON_BREACH(space, HVPT_BREACH_ALIGNMENT, "alloc_frame");
    else if (frame > space->hpa_limit - size)
        HVPT_ON_BREACH(space, HVPT_BREACH_BEYOND, "alloc_frame");
    else if ((uintptr_t)table & 7)
        HVPT_ON_BREACH(space, HVPT_BREACH_VIEW, "phys_to_virt");
    else if (hvpt_debug_in_use(space, frame, size))
        HVPT_ON_BREACH(space, HVPT_BREACH_DUPLICATE, "alloc_frame");
}
#endif

/*
 * Is [hpa, hpa + size) to be mapped while a table in it waits for its flush?  free_frame has not given the frame back.
 * Of a subtree that was unlinked whole its highest table is looked for.
 */
static inline void hvpt_debug_retired(const struct hvpt_space *space, uint64_t hpa, uint64_t size, const char *call)
{
    const struct hvpt_flush *flush = space->debug.owed;
    const unsigned count = flush != NULL && flush->kind != HVPT_FLUSH_NONE ? flush->dead_count : 0;
    unsigned i;

    (void)call;
    for (i = 0; i < count && i < HVPT_FLUSH_DEAD_MAX; i++) {
        const uint64_t frame = flush->dead[i] & ~(HVPT_4K - 1);

        if (frame < hpa + size && hpa < frame + hvpt_span(space, 0)) {
            HVPT_ON_BREACH(space, HVPT_BREACH_RETIRED, call);
            return;
        }
    }
}

/* ---- the calls of hvpt.h by another name ---- */

#define HVPT_DEBUG_CALL(role, flush, name, call)    \
    enum hvpt_status status;                        \
                                                    \
    hvpt_debug_begin(space, role, flush, name);     \
    status = call;                                  \
    hvpt_debug_end(space, role, flush);             \
    return status

static inline void hvpt_debug_destroy(struct hvpt_space *space)
{
    hvpt_debug_begin(space, HVPT_ROLE_SOLE, NULL, "hvpt_space_destroy");
    if (space->debug.owed != NULL)
        HVPT_ON_BREACH(space, HVPT_BREACH_UNSETTLED, "hvpt_space_destroy");
    hvpt_space_destroy(space); /* the counts are cleared with the rest */
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                             uint64_t size, struct hvpt_attr attr,
                                                             struct hvpt_flush *flush)
{
    hvpt_debug_retired(space, hpa.value, size, "hvpt_space_map");
    HVPT_DEBUG_CALL(HVPT_ROLE_WRITER, flush, "hvpt_space_map", hvpt_space_map(space, gpa, hpa, size, attr, flush));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_unmap(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                               struct hvpt_flush *flush)
{
    HVPT_DEBUG_CALL(HVPT_ROLE_SOLE, flush, "hvpt_space_unmap", hvpt_space_unmap(space, gpa, size, flush));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_protect(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                                 struct hvpt_attr attr, uint32_t mask,
                                                                 struct hvpt_flush *flush)
{
    HVPT_DEBUG_CALL(HVPT_ROLE_SOLE, flush, "hvpt_space_protect",
                    hvpt_space_protect(space, gpa, size, attr, mask, flush));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_replace(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                                 uint64_t size, struct hvpt_attr attr,
                                                                 struct hvpt_flush *flush)
{
    hvpt_debug_retired(space, hpa.value, size, "hvpt_space_replace");
    HVPT_DEBUG_CALL(HVPT_ROLE_SOLE, flush, "hvpt_space_replace",
                    hvpt_space_replace(space, gpa, hpa, size, attr, flush));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_fault_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                                   uint64_t page_size, struct hvpt_attr attr)
{
    HVPT_DEBUG_CALL(HVPT_ROLE_FAULTER, NULL, "hvpt_space_fault_map",
                    hvpt_space_fault_map(space, gpa, hpa, page_size, attr));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_translate(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                   struct hvpt_mapping *out)
{
    HVPT_DEBUG_CALL(HVPT_ROLE_READER, NULL, "hvpt_space_translate", hvpt_space_translate(space, gpa, out));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_walk(const struct hvpt_space *space, hvpt_gpa gpa,
                                                              uint64_t size, const struct hvpt_visitor *visitor)
{
    HVPT_DEBUG_CALL(HVPT_ROLE_READER, NULL, "hvpt_space_walk", hvpt_space_walk(space, gpa, size, visitor));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_split(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                               uint64_t page_size, struct hvpt_flush *flush)
{
    HVPT_DEBUG_CALL(HVPT_ROLE_SOLE, flush, "hvpt_space_split", hvpt_space_split(space, gpa, size, page_size, flush));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_collapse(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                                  struct hvpt_flush *flush,
                                                                  struct hvpt_collapse_report *report)
{
    HVPT_DEBUG_CALL(HVPT_ROLE_SOLE, flush, "hvpt_space_collapse", hvpt_space_collapse(space, gpa, size, flush, report));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_dirty(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                               uint64_t *bitmap, struct hvpt_flush *flush)
{
    HVPT_DEBUG_CALL(HVPT_ROLE_TRACKER, flush, "hvpt_space_dirty", hvpt_space_dirty(space, gpa, size, bitmap, flush));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_age(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                             uint64_t *bitmap, struct hvpt_flush *flush)
{
    HVPT_DEBUG_CALL(HVPT_ROLE_TRACKER, flush, "hvpt_space_age", hvpt_space_age(space, gpa, size, bitmap, flush));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_write_protect(struct hvpt_space *space, hvpt_gpa gpa,
                                                                       uint64_t size, struct hvpt_flush *flush)
{
    HVPT_DEBUG_CALL(HVPT_ROLE_TRACKER, flush, "hvpt_space_write_protect",
                    hvpt_space_write_protect(space, gpa, size, flush));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_touch(struct hvpt_space *space, hvpt_gpa gpa, uint32_t access)
{
    HVPT_DEBUG_CALL(HVPT_ROLE_TOUCH, NULL, "hvpt_space_touch", hvpt_space_touch(space, gpa, access));
}

static inline HVPT_NODISCARD enum hvpt_status hvpt_debug_reserve(struct hvpt_space *space, uint64_t count)
{
    HVPT_DEBUG_CALL(HVPT_ROLE_WRITER, NULL, "hvpt_space_reserve", hvpt_space_reserve(space, count));
}

static inline void hvpt_debug_flush(struct hvpt_space *space, struct hvpt_flush *flush)
{
    hvpt_debug_begin(space, HVPT_ROLE_SOLE, flush, "hvpt_space_flush");
    hvpt_space_flush(space, flush);
    hvpt_debug_end(space, HVPT_ROLE_SOLE, flush);
}

#define hvpt_space_destroy       hvpt_debug_destroy
#define hvpt_space_map           hvpt_debug_map
#define hvpt_space_unmap         hvpt_debug_unmap
#define hvpt_space_protect       hvpt_debug_protect
#define hvpt_space_replace       hvpt_debug_replace
#define hvpt_space_fault_map     hvpt_debug_fault_map
#define hvpt_space_translate     hvpt_debug_translate
#define hvpt_space_walk          hvpt_debug_walk
#define hvpt_space_split         hvpt_debug_split
#define hvpt_space_collapse      hvpt_debug_collapse
#define hvpt_space_dirty         hvpt_debug_dirty
#define hvpt_space_age           hvpt_debug_age
#define hvpt_space_write_protect hvpt_debug_write_protect
#define hvpt_space_touch         hvpt_debug_touch
#define hvpt_space_reserve       hvpt_debug_reserve
#define hvpt_space_flush         hvpt_debug_flush
/* The inline calls of a format go the same way. */
#define hvpt_map_any             hvpt_debug_map
#define hvpt_unmap_any           hvpt_debug_unmap
#define hvpt_fault_any           hvpt_debug_fault_map
#define hvpt_translate_any       hvpt_debug_translate

#else
#define hvpt_debug_unlock(space) ((void)(space))
#endif

#endif
