/*
 * One handle over the formats, for a kernel that learns at boot what CPU it is on: struct hvpt_space itself.
 * Each call is that of the space's own format (hvpt_ept_map, hvpt_npt_map, ...), found by one branch.
 */
#ifndef HVPT_SPACE_H
#define HVPT_SPACE_H

#include "ept.h"
#include "ept_explain.h"
#include "gstage.h"
#include "gstage_explain.h"
#include "npt.h"
#include "npt_explain.h"
#include "stage2.h"
#include "stage2_explain.h"

/* The format, and the config for it; only the one that kind names is read. */
struct hvpt_space_config {
    enum hvpt_kind kind;
    struct hvpt_ept_config ept;
    struct hvpt_npt_config npt;
    struct hvpt_s2_config s2;
    struct hvpt_gstage_config gstage;
};

/* ---- a space as its format's own type, which is a struct around it and nothing more ---- */

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

static inline struct hvpt_s2 *hvpt_space_s2(struct hvpt_space *space)
{
    return (struct hvpt_s2 *)(void *)space;
}

static inline const struct hvpt_s2 *hvpt_space_const_s2(const struct hvpt_space *space)
{
    return (const struct hvpt_s2 *)(const void *)space;
}

static inline struct hvpt_gstage *hvpt_space_gstage(struct hvpt_space *space)
{
    return (struct hvpt_gstage *)(void *)space;
}

static inline const struct hvpt_gstage *hvpt_space_const_gstage(const struct hvpt_space *space)
{
    return (const struct hvpt_gstage *)(const void *)space;
}

/* As hvpt_ept_init and its likes; HVPT_E_ATTR also for a kind that is none. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_space_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                              const struct hvpt_space_config *config)
{
    switch (config->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_init(hvpt_space_ept(space), hooks, &config->ept);
    case HVPT_KIND_NPT: return hvpt_npt_init(hvpt_space_npt(space), hooks, &config->npt);
    case HVPT_KIND_S2: return hvpt_s2_init(hvpt_space_s2(space), hooks, &config->s2);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_init(hvpt_space_gstage(space), hooks, &config->gstage);
    }
    return HVPT_E_ATTR;
}

/* As hvpt_ept_adopt and its likes; HVPT_E_ATTR also for a kind that is none. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_space_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                               const struct hvpt_space_config *config, uint64_t root,
                                                               bool readonly)
{
    switch (config->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_adopt(hvpt_space_ept(space), hooks, &config->ept, root, readonly);
    case HVPT_KIND_NPT: return hvpt_npt_adopt(hvpt_space_npt(space), hooks, &config->npt, root, readonly);
    case HVPT_KIND_S2: return hvpt_s2_adopt(hvpt_space_s2(space), hooks, &config->s2, root, readonly);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_adopt(hvpt_space_gstage(space), hooks, &config->gstage, root, readonly);
    }
    return HVPT_E_ATTR;
}

/* As hvpt_ept_destroy and its likes. */
static inline void hvpt_space_destroy(struct hvpt_space *space)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: hvpt_ept_destroy(hvpt_space_ept(space)); break;
    case HVPT_KIND_NPT: hvpt_npt_destroy(hvpt_space_npt(space)); break;
    case HVPT_KIND_S2: hvpt_s2_destroy(hvpt_space_s2(space)); break;
    case HVPT_KIND_GSTAGE: hvpt_gstage_destroy(hvpt_space_gstage(space)); break;
    }
}

/* The value for the register: EPTP, nCR3, VTTBR_EL2 or hgatp. */
static inline uint64_t hvpt_space_root(const struct hvpt_space *space)
{
    return space->root_register;
}

/* ---- the operations, each as that of the format ---- */

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                             uint64_t size, struct hvpt_attr attr,
                                                             struct hvpt_flush *flush)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_map(hvpt_space_ept(space), gpa, hpa, size, attr, flush);
    case HVPT_KIND_NPT: return hvpt_npt_map(hvpt_space_npt(space), gpa, hpa, size, attr, flush);
    case HVPT_KIND_S2: return hvpt_s2_map(hvpt_space_s2(space), gpa, hpa, size, attr, flush);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_map(hvpt_space_gstage(space), gpa, hpa, size, attr, flush);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_unmap(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                               struct hvpt_flush *flush)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_unmap(hvpt_space_ept(space), gpa, size, flush);
    case HVPT_KIND_NPT: return hvpt_npt_unmap(hvpt_space_npt(space), gpa, size, flush);
    case HVPT_KIND_S2: return hvpt_s2_unmap(hvpt_space_s2(space), gpa, size, flush);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_unmap(hvpt_space_gstage(space), gpa, size, flush);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_protect(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                                 struct hvpt_attr attr, uint32_t mask,
                                                                 struct hvpt_flush *flush)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_protect(hvpt_space_ept(space), gpa, size, attr, mask, flush);
    case HVPT_KIND_NPT: return hvpt_npt_protect(hvpt_space_npt(space), gpa, size, attr, mask, flush);
    case HVPT_KIND_S2: return hvpt_s2_protect(hvpt_space_s2(space), gpa, size, attr, mask, flush);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_protect(hvpt_space_gstage(space), gpa, size, attr, mask, flush);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_replace(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                                 uint64_t size, struct hvpt_attr attr,
                                                                 struct hvpt_flush *flush)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_replace(hvpt_space_ept(space), gpa, hpa, size, attr, flush);
    case HVPT_KIND_NPT: return hvpt_npt_replace(hvpt_space_npt(space), gpa, hpa, size, attr, flush);
    case HVPT_KIND_S2: return hvpt_s2_replace(hvpt_space_s2(space), gpa, hpa, size, attr, flush);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_replace(hvpt_space_gstage(space), gpa, hpa, size, attr, flush);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_fault_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                                   uint64_t page_size, struct hvpt_attr attr)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_fault_map(hvpt_space_ept(space), gpa, hpa, page_size, attr);
    case HVPT_KIND_NPT: return hvpt_npt_fault_map(hvpt_space_npt(space), gpa, hpa, page_size, attr);
    case HVPT_KIND_S2: return hvpt_s2_fault_map(hvpt_space_s2(space), gpa, hpa, page_size, attr);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_fault_map(hvpt_space_gstage(space), gpa, hpa, page_size, attr);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_touch(struct hvpt_space *space, hvpt_gpa gpa, uint32_t access)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_touch(hvpt_space_ept(space), gpa, access);
    case HVPT_KIND_NPT: return hvpt_npt_touch(hvpt_space_npt(space), gpa, access);
    case HVPT_KIND_S2: return hvpt_s2_touch(hvpt_space_s2(space), gpa, access);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_touch(hvpt_space_gstage(space), gpa, access);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_translate(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                   struct hvpt_mapping *out)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_translate(hvpt_space_const_ept(space), gpa, out);
    case HVPT_KIND_NPT: return hvpt_npt_translate(hvpt_space_const_npt(space), gpa, out);
    case HVPT_KIND_S2: return hvpt_s2_translate(hvpt_space_const_s2(space), gpa, out);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_translate(hvpt_space_const_gstage(space), gpa, out);
    }
    return HVPT_E_ATTR;
}

static inline void hvpt_space_translate_batch(const struct hvpt_space *space, const hvpt_gpa *gpa, size_t count,
                                              struct hvpt_mapping *out, enum hvpt_status *status)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: hvpt_ept_translate_batch(hvpt_space_const_ept(space), gpa, count, out, status); break;
    case HVPT_KIND_NPT: hvpt_npt_translate_batch(hvpt_space_const_npt(space), gpa, count, out, status); break;
    case HVPT_KIND_S2: hvpt_s2_translate_batch(hvpt_space_const_s2(space), gpa, count, out, status); break;
    case HVPT_KIND_GSTAGE: hvpt_gstage_translate_batch(hvpt_space_const_gstage(space), gpa, count, out, status); break;
    }
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_explain(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                 uint32_t access, const struct hvpt_text *text)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_explain(hvpt_space_const_ept(space), gpa, access, text);
    case HVPT_KIND_NPT: return hvpt_npt_explain(hvpt_space_const_npt(space), gpa, access, text);
    case HVPT_KIND_S2: return hvpt_s2_explain(hvpt_space_const_s2(space), gpa, access, text);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_explain(hvpt_space_const_gstage(space), gpa, access, text);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_walk(const struct hvpt_space *space, hvpt_gpa gpa,
                                                              uint64_t size, const struct hvpt_visitor *visitor)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_walk(hvpt_space_const_ept(space), gpa, size, visitor);
    case HVPT_KIND_NPT: return hvpt_npt_walk(hvpt_space_const_npt(space), gpa, size, visitor);
    case HVPT_KIND_S2: return hvpt_s2_walk(hvpt_space_const_s2(space), gpa, size, visitor);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_walk(hvpt_space_const_gstage(space), gpa, size, visitor);
    }
    return HVPT_E_ATTR;
}

static inline bool hvpt_space_next_leaf(const struct hvpt_space *space, struct hvpt_leaf_iterator *iterator,
                                        hvpt_gpa *gpa, struct hvpt_mapping *mapping)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_next_leaf(hvpt_space_const_ept(space), iterator, gpa, mapping);
    case HVPT_KIND_NPT: return hvpt_npt_next_leaf(hvpt_space_const_npt(space), iterator, gpa, mapping);
    case HVPT_KIND_S2: return hvpt_s2_next_leaf(hvpt_space_const_s2(space), iterator, gpa, mapping);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_next_leaf(hvpt_space_const_gstage(space), iterator, gpa, mapping);
    }
    return false;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_split(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                               uint64_t page_size, struct hvpt_flush *flush)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_split(hvpt_space_ept(space), gpa, size, page_size, flush);
    case HVPT_KIND_NPT: return hvpt_npt_split(hvpt_space_npt(space), gpa, size, page_size, flush);
    case HVPT_KIND_S2: return hvpt_s2_split(hvpt_space_s2(space), gpa, size, page_size, flush);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_split(hvpt_space_gstage(space), gpa, size, page_size, flush);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_collapse(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                                  struct hvpt_flush *flush,
                                                                  struct hvpt_collapse_report *report)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_collapse(hvpt_space_ept(space), gpa, size, flush, report);
    case HVPT_KIND_NPT: return hvpt_npt_collapse(hvpt_space_npt(space), gpa, size, flush, report);
    case HVPT_KIND_S2: return hvpt_s2_collapse(hvpt_space_s2(space), gpa, size, flush, report);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_collapse(hvpt_space_gstage(space), gpa, size, flush, report);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_age(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                             uint64_t *bitmap, struct hvpt_flush *flush)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_age(hvpt_space_ept(space), gpa, size, bitmap, flush);
    case HVPT_KIND_NPT: return hvpt_npt_age(hvpt_space_npt(space), gpa, size, bitmap, flush);
    case HVPT_KIND_S2: return hvpt_s2_age(hvpt_space_s2(space), gpa, size, bitmap, flush);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_age(hvpt_space_gstage(space), gpa, size, bitmap, flush);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_dirty(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                               uint64_t *bitmap, struct hvpt_flush *flush)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_dirty(hvpt_space_ept(space), gpa, size, bitmap, flush);
    case HVPT_KIND_NPT: return hvpt_npt_dirty(hvpt_space_npt(space), gpa, size, bitmap, flush);
    case HVPT_KIND_S2: return hvpt_s2_dirty(hvpt_space_s2(space), gpa, size, bitmap, flush);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_dirty(hvpt_space_gstage(space), gpa, size, bitmap, flush);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_write_protect(struct hvpt_space *space, hvpt_gpa gpa,
                                                                       uint64_t size, struct hvpt_flush *flush)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_write_protect(hvpt_space_ept(space), gpa, size, flush);
    case HVPT_KIND_NPT: return hvpt_npt_write_protect(hvpt_space_npt(space), gpa, size, flush);
    case HVPT_KIND_S2: return hvpt_s2_write_protect(hvpt_space_s2(space), gpa, size, flush);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_write_protect(hvpt_space_gstage(space), gpa, size, flush);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_frames_needed(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                       hvpt_hpa hpa, uint64_t size,
                                                                       struct hvpt_attr attr, uint64_t *frames)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_frames_needed(hvpt_space_const_ept(space), gpa, hpa, size, attr, frames);
    case HVPT_KIND_NPT: return hvpt_npt_frames_needed(hvpt_space_const_npt(space), gpa, hpa, size, attr, frames);
    case HVPT_KIND_S2: return hvpt_s2_frames_needed(hvpt_space_const_s2(space), gpa, hpa, size, attr, frames);
    case HVPT_KIND_GSTAGE:
        return hvpt_gstage_frames_needed(hvpt_space_const_gstage(space), gpa, hpa, size, attr, frames);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_frames_needed_to_unmap(const struct hvpt_space *space,
                                                                                hvpt_gpa gpa, uint64_t size,
                                                                                uint64_t *frames)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_frames_needed_to_unmap(hvpt_space_const_ept(space), gpa, size, frames);
    case HVPT_KIND_NPT: return hvpt_npt_frames_needed_to_unmap(hvpt_space_const_npt(space), gpa, size, frames);
    case HVPT_KIND_S2: return hvpt_s2_frames_needed_to_unmap(hvpt_space_const_s2(space), gpa, size, frames);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_frames_needed_to_unmap(hvpt_space_const_gstage(space), gpa, size, frames);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_frames_needed_to_split(const struct hvpt_space *space,
                                                                                hvpt_gpa gpa, uint64_t size,
                                                                                uint64_t page_size, uint64_t *frames)
{
    switch (space->kind) {
    case HVPT_KIND_EPT:
        return hvpt_ept_frames_needed_to_split(hvpt_space_const_ept(space), gpa, size, page_size, frames);
    case HVPT_KIND_NPT:
        return hvpt_npt_frames_needed_to_split(hvpt_space_const_npt(space), gpa, size, page_size, frames);
    case HVPT_KIND_S2: return hvpt_s2_frames_needed_to_split(hvpt_space_const_s2(space), gpa, size, page_size, frames);
    case HVPT_KIND_GSTAGE:
        return hvpt_gstage_frames_needed_to_split(hvpt_space_const_gstage(space), gpa, size, page_size, frames);
    }
    return HVPT_E_ATTR;
}

HVPT_NODISCARD static inline enum hvpt_status hvpt_space_reserve(struct hvpt_space *space, uint64_t frames)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: return hvpt_ept_reserve(hvpt_space_ept(space), frames);
    case HVPT_KIND_NPT: return hvpt_npt_reserve(hvpt_space_npt(space), frames);
    case HVPT_KIND_S2: return hvpt_s2_reserve(hvpt_space_s2(space), frames);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_reserve(hvpt_space_gstage(space), frames);
    }
    return HVPT_E_ATTR;
}

static inline void hvpt_space_flush(struct hvpt_space *space, struct hvpt_flush *flush)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: hvpt_ept_flush(hvpt_space_ept(space), flush); break;
    case HVPT_KIND_NPT: hvpt_npt_flush(hvpt_space_npt(space), flush); break;
    case HVPT_KIND_S2: hvpt_s2_flush(hvpt_space_s2(space), flush); break;
    case HVPT_KIND_GSTAGE: hvpt_gstage_flush(hvpt_space_gstage(space), flush); break;
    }
}

static inline void hvpt_space_stats(const struct hvpt_space *space, struct hvpt_stats *out)
{
    switch (space->kind) {
    case HVPT_KIND_EPT: hvpt_ept_stats(hvpt_space_const_ept(space), out); break;
    case HVPT_KIND_NPT: hvpt_npt_stats(hvpt_space_const_npt(space), out); break;
    case HVPT_KIND_S2: hvpt_s2_stats(hvpt_space_const_s2(space), out); break;
    case HVPT_KIND_GSTAGE: hvpt_gstage_stats(hvpt_space_const_gstage(space), out); break;
    }
}

#endif
