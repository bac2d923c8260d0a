/*
 * One handle over the formats, for a kernel that learns at boot what CPU it is on: struct hvpt_space itself.
 * Each call is that of the space's own format (hvpt_ept_map, hvpt_npt_map, ...), found by one branch.
 */
#ifndef HVPT_SPACE_H
#define HVPT_SPACE_H

#include "ept.h"
#include "npt.h"

/* The format, and the config for it; only the one that kind names is read. */
struct hvpt_space_config {
    enum hvpt_kind kind;
    struct hvpt_ept_config ept;
    struct hvpt_npt_config npt;
};

/* A space as its format's own type, which is a struct around it and nothing more. */
static inline struct hvpt_ept *hvpt_space_ept(struct hvpt_space *space)
{
    return (struct hvpt_ept *)(void *)space;
}

static inline const struct hvpt_ept *hvpt_space_const_ept(const struct hvpt_space *space)
{
    return (const struct hvpt_ept *)(const void *)space;
}

static inline struct hvpt_npt *hvpt_space_npt(struct hvpt_space *space)
{
    return (struct hvpt_npt *)(void *)space;
}

static inline const struct hvpt_npt *hvpt_space_const_npt(const struct hvpt_space *space)
{
    return (const struct hvpt_npt *)(const void *)space;
}

/* As hvpt_ept_init or hvpt_npt_init; HVPT_E_ATTR also for a kind that is neither. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_space_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                              const struct hvpt_space_config *config)
{
    switch (config->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_init(hvpt_space_ept(space), hooks, &config->ept);
    case HVPT_KIND_NPT: return hvpt_npt_init(hvpt_space_npt(space), hooks, &config->npt);
    default: return HVPT_E_ATTR;
    }
}

/* As hvpt_ept_adopt or hvpt_npt_adopt; HVPT_E_ATTR also for a kind that is neither. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_space_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                               const struct hvpt_space_config *config, uint64_t root,
                                                               bool readonly)
{
    switch (config->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_adopt(hvpt_space_ept(space), hooks, &config->ept, root, readonly);
    case HVPT_KIND_NPT: return hvpt_npt_adopt(hvpt_space_npt(space), hooks, &config->npt, root, readonly);
    default: return HVPT_E_ATTR;
    }
}

/* The value for the register: EPTP or nCR3. */
static inline uint64_t hvpt_space_root(const struct hvpt_space *space)
{
    return space->root_register;
}

/* ---- the operations, each as that of the format ---- */

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                             uint64_t size, struct hvpt_attr attr,
                                                             struct hvpt_flush *flush)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_map(hvpt_space_ept(space), gpa, hpa, size, attr, flush)
                                        : hvpt_npt_map(hvpt_space_npt(space), gpa, hpa, size, attr, flush);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_unmap(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                               struct hvpt_flush *flush)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_unmap(hvpt_space_ept(space), gpa, size, flush)
                                        : hvpt_npt_unmap(hvpt_space_npt(space), gpa, size, flush);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_protect(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                                 struct hvpt_attr attr, uint32_t mask,
                                                                 struct hvpt_flush *flush)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_protect(hvpt_space_ept(space), gpa, size, attr, mask, flush)
                                        : hvpt_npt_protect(hvpt_space_npt(space), gpa, size, attr, mask, flush);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_replace(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                                 uint64_t size, struct hvpt_attr attr,
                                                                 struct hvpt_flush *flush)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_replace(hvpt_space_ept(space), gpa, hpa, size, attr, flush)
                                        : hvpt_npt_replace(hvpt_space_npt(space), gpa, hpa, size, attr, flush);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_fault_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                                   uint64_t page_size, struct hvpt_attr attr)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_fault_map(hvpt_space_ept(space), gpa, hpa, page_size, attr)
                                        : hvpt_npt_fault_map(hvpt_space_npt(space), gpa, hpa, page_size, attr);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_touch(struct hvpt_space *space, hvpt_gpa gpa, uint32_t access)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_touch(hvpt_space_ept(space), gpa, access)
                                        : hvpt_npt_touch(hvpt_space_npt(space), gpa, access);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_translate(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                   struct hvpt_mapping *out)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_translate(hvpt_space_const_ept(space), gpa, out)
                                        : hvpt_npt_translate(hvpt_space_const_npt(space), gpa, out);
}

static inline void hvpt_space_translate_batch(const struct hvpt_space *space, const hvpt_gpa *gpa, size_t count,
                                              struct hvpt_mapping *out, enum hvpt_status *status)
{
    if (space->kind == HVPT_KIND_EPT)
        hvpt_ept_translate_batch(hvpt_space_const_ept(space), gpa, count, out, status);
    else
        hvpt_npt_translate_batch(hvpt_space_const_npt(space), gpa, count, out, status);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_walk(const struct hvpt_space *space, hvpt_gpa gpa,
                                                              uint64_t size, const struct hvpt_visitor *visitor)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_walk(hvpt_space_const_ept(space), gpa, size, visitor)
                                        : hvpt_npt_walk(hvpt_space_const_npt(space), gpa, size, visitor);
}

static inline bool hvpt_space_next_leaf(const struct hvpt_space *space, struct hvpt_leaf_iterator *iterator,
                                        hvpt_gpa *gpa, struct hvpt_mapping *mapping)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_next_leaf(hvpt_space_const_ept(space), iterator, gpa, mapping)
                                        : hvpt_npt_next_leaf(hvpt_space_const_npt(space), iterator, gpa, mapping);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_split(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                               uint64_t page_size, struct hvpt_flush *flush)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_split(hvpt_space_ept(space), gpa, size, page_size, flush)
                                        : hvpt_npt_split(hvpt_space_npt(space), gpa, size, page_size, flush);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_collapse(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                                  struct hvpt_flush *flush,
                                                                  struct hvpt_collapse_report *report)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_collapse(hvpt_space_ept(space), gpa, size, flush, report)
                                        : hvpt_npt_collapse(hvpt_space_npt(space), gpa, size, flush, report);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_age(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                             uint64_t *bitmap, struct hvpt_flush *flush)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_age(hvpt_space_ept(space), gpa, size, bitmap, flush)
                                        : hvpt_npt_age(hvpt_space_npt(space), gpa, size, bitmap, flush);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_dirty(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                               uint64_t *bitmap, struct hvpt_flush *flush)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_dirty(hvpt_space_ept(space), gpa, size, bitmap, flush)
                                        : hvpt_npt_dirty(hvpt_space_npt(space), gpa, size, bitmap, flush);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_write_protect(struct hvpt_space *space, hvpt_gpa gpa,
                                                                       uint64_t size, struct hvpt_flush *flush)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_write_protect(hvpt_space_ept(space), gpa, size, flush)
                                        : hvpt_npt_write_protect(hvpt_space_npt(space), gpa, size, flush);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_frames_needed(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                       hvpt_hpa hpa, uint64_t size,
                                                                       struct hvpt_attr attr, uint64_t *frames)
{
    return space->kind == HVPT_KIND_EPT
             ? hvpt_ept_frames_needed(hvpt_space_const_ept(space), gpa, hpa, size, attr, frames)
             : hvpt_npt_frames_needed(hvpt_space_const_npt(space), gpa, hpa, size, attr, frames);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_frames_needed_to_unmap(const struct hvpt_space *space,
                                                                                hvpt_gpa gpa, uint64_t size,
                                                                                uint64_t *frames)
{
    return space->kind == HVPT_KIND_EPT
             ? hvpt_ept_frames_needed_to_unmap(hvpt_space_const_ept(space), gpa, size, frames)
             : hvpt_npt_frames_needed_to_unmap(hvpt_space_const_npt(space), gpa, size, frames);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_frames_needed_to_split(const struct hvpt_space *space,
                                                                                hvpt_gpa gpa, uint64_t size,
                                                                                uint64_t page_size, uint64_t *frames)
{
    return space->kind == HVPT_KIND_EPT
             ? hvpt_ept_frames_needed_to_split(hvpt_space_const_ept(space), gpa, size, page_size, frames)
             : hvpt_npt_frames_needed_to_split(hvpt_space_const_npt(space), gpa, size, page_size, frames);
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_reserve(struct hvpt_space *space, uint64_t frames)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_reserve(hvpt_space_ept(space), frames)
                                        : hvpt_npt_reserve(hvpt_space_npt(space), frames);
}

static inline void hvpt_space_flush(struct hvpt_space *space, struct hvpt_flush *flush)
{
    if (space->kind == HVPT_KIND_EPT)
        hvpt_ept_flush(hvpt_space_ept(space), flush);
    else
        hvpt_npt_flush(hvpt_space_npt(space), flush);
}

static inline void hvpt_space_stats(const struct hvpt_space *space, struct hvpt_stats *out)
{
    if (space->kind == HVPT_KIND_EPT)
        hvpt_ept_stats(hvpt_space_const_ept(space), out);
    else
        hvpt_npt_stats(hvpt_space_const_npt(space), out);
}

static inline void hvpt_space_destroy(struct hvpt_space *space)
{
    if (space->kind == HVPT_KIND_EPT)
        hvpt_ept_destroy(hvpt_space_ept(space));
    else
        hvpt_npt_destroy(hvpt_space_npt(space));
}

#endif
