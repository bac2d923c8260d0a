/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The library as the cases see it. The engine is compiled here and nowhere else. */
#include "adapter.h"

#include <string.h>

/* What most formats' configs have in common. */
#define COMMON_CONFIG(from, to)                                                                \
    ((to)->max_page_size = (from)->max_page_size, (to)->features = (uint32_t)(from)->features, \
     (to)->policy = (from)->policy)
#define EPT_CONFIG(from, to)                                                                        \
    (COMMON_CONFIG(from, to), (to)->levels = (from)->levels, (to)->maxphyaddr = (from)->maxphyaddr, \
     (to)->ept_vpid_cap = (from)->ept_vpid_cap)
#define NPT_CONFIG(from, to)                                                                        \
    (COMMON_CONFIG(from, to), (to)->levels = (from)->levels, (to)->maxphyaddr = (from)->maxphyaddr, \
     (to)->pat = (from)->pat, (to)->c_bit = (from)->c_bit)
#define S2_CONFIG(from, to)                                                                               \
    (COMMON_CONFIG(from, to), (to)->levels = (from)->levels, (to)->granule_shift = (from)->granule_shift, \
     (to)->ipa_bits = (from)->ipa_bits, (to)->mmfr0 = (from)->mmfr0, (to)->mmfr1 = (from)->mmfr1,         \
     (to)->mmfr2 = (from)->mmfr2, (to)->mmfr3 = (from)->mmfr3)
#define GSTAGE_CONFIG(from, to) \
    (COMMON_CONFIG(from, to), (to)->mode = (from)->mode, (to)->maxphyaddr = (from)->maxphyaddr)

static void any_destroy(struct hvpt_space *space)
{
    hvpt_space_destroy(space);
}

static uint64_t any_root(const struct hvpt_space *space)
{
    return hvpt_space_root(space);
}

static enum hvpt_status any_map(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                   struct hvpt_attr attr, struct hvpt_flush *flush)
{
    return hvpt_space_map(space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, flush);
}

static enum hvpt_status any_unmap(struct hvpt_space *space, uint64_t gpa, uint64_t size, struct hvpt_flush *flush)
{
    return hvpt_space_unmap(space, hvpt_make_gpa(gpa), size, flush);
}

static enum hvpt_status any_protect(struct hvpt_space *space, uint64_t gpa, uint64_t size, struct hvpt_attr attr,
                                       uint32_t mask, struct hvpt_flush *flush)
{
    return hvpt_space_protect(space, hvpt_make_gpa(gpa), size, attr, mask, flush);
}

static enum hvpt_status any_translate(const struct hvpt_space *space, uint64_t gpa, struct hvpt_mapping *out)
{
    return hvpt_space_translate(space, hvpt_make_gpa(gpa), out);
}

static enum hvpt_status any_walk(const struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                    const struct hvpt_visitor *visitor)
{
    return hvpt_space_walk(space, hvpt_make_gpa(gpa), size, visitor);
}

static void any_stats(const struct hvpt_space *space, struct hvpt_stats *out)
{
    hvpt_space_stats(space, out);
}

static void any_flush(struct hvpt_space *space, struct hvpt_flush *flush)
{
    hvpt_space_flush(space, flush);
}

static enum hvpt_status any_replace(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                       struct hvpt_attr attr, struct hvpt_flush *flush)
{
    return hvpt_space_replace(space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, flush);
}

static enum hvpt_status any_fault_map(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t page_size,
                                         struct hvpt_attr attr)
{
    return hvpt_space_fault_map(space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), page_size, attr);
}

static void any_translate_batch(const struct hvpt_space *space, const hvpt_gpa *gpa, size_t n,
                                   struct hvpt_mapping *out, enum hvpt_status *status)
{
    hvpt_space_translate_batch(space, gpa, n, out, status);
}

static enum hvpt_status any_explain(const struct hvpt_space *space, uint64_t gpa, uint32_t access,
                                       const struct hvpt_text *text)
{
    return hvpt_space_explain(space, hvpt_make_gpa(gpa), access, text);
}

static enum hvpt_status any_split(struct hvpt_space *space, uint64_t gpa, uint64_t size, uint64_t page_size,
                                     struct hvpt_flush *flush)
{
    return hvpt_space_split(space, hvpt_make_gpa(gpa), size, page_size, flush);
}

static enum hvpt_status any_collapse(struct hvpt_space *space, uint64_t gpa, uint64_t size, struct hvpt_flush *flush,
                                        struct hvpt_collapse_report *report)
{
    return hvpt_space_collapse(space, hvpt_make_gpa(gpa), size, flush, report);
}

static enum hvpt_status any_age(struct hvpt_space *space, uint64_t gpa, uint64_t size, uint64_t *bitmap,
                                   struct hvpt_flush *flush)
{
    return hvpt_space_age(space, hvpt_make_gpa(gpa), size, bitmap, flush);
}

static enum hvpt_status any_dirty(struct hvpt_space *space, uint64_t gpa, uint64_t size, uint64_t *bitmap,
                                     struct hvpt_flush *flush)
{
    return hvpt_space_dirty(space, hvpt_make_gpa(gpa), size, bitmap, flush);
}

static enum hvpt_status any_write_protect(struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                             struct hvpt_flush *flush)
{
    return hvpt_space_write_protect(space, hvpt_make_gpa(gpa), size, flush);
}

static enum hvpt_status any_touch(struct hvpt_space *space, uint64_t gpa, uint32_t access)
{
    return hvpt_space_touch(space, hvpt_make_gpa(gpa), access);
}

static bool any_next_leaf(const struct hvpt_space *space, struct hvpt_leaf_iterator *iterator, hvpt_gpa *gpa,
                             struct hvpt_mapping *mapping)
{
    return hvpt_space_next_leaf(space, iterator, gpa, mapping);
}

static enum hvpt_status any_map_needs(const struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                         struct hvpt_attr attr, uint64_t *frames)
{
    return hvpt_space_frames_needed(space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, frames);
}

static enum hvpt_status any_unmap_needs(const struct hvpt_space *space, uint64_t gpa, uint64_t size, uint64_t *frames)
{
    return hvpt_space_frames_needed_to_unmap(space, hvpt_make_gpa(gpa), size, frames);
}

static enum hvpt_status any_split_needs(const struct hvpt_space *space, uint64_t gpa, uint64_t size,
                                           uint64_t page_size, uint64_t *frames)
{
    return hvpt_space_frames_needed_to_split(space, hvpt_make_gpa(gpa), size, page_size, frames);
}

static enum hvpt_status any_reserve(struct hvpt_space *space, uint64_t frames)
{
    return hvpt_space_reserve(space, frames);
}

/* The init and adopt of a format, and the calls that it has inline. */
#define FORMAT(name, CONFIG)                                                                                      \
    static enum hvpt_status name##_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,                   \
                                        const struct any_config *config)                                          \
    {                                                                                                             \
        struct hvpt_##name##_config own;                                                                          \
                                                                                                                  \
        memset(&own, 0, sizeof(own));                                                                             \
        CONFIG(config, &own);                                                                                     \
        return hvpt_##name##_init(space, hooks, &own);                                                            \
    }                                                                                                             \
    static enum hvpt_status name##_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,                  \
                                         const struct any_config *config, uint64_t root, bool readonly)           \
    {                                                                                                             \
        struct hvpt_##name##_config own;                                                                          \
                                                                                                                  \
        memset(&own, 0, sizeof(own));                                                                             \
        CONFIG(config, &own);                                                                                     \
        return hvpt_##name##_adopt(space, hooks, &own, root, readonly);                                           \
    }                                                                                                             \
    static enum hvpt_status name##_map(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,         \
                                       struct hvpt_attr attr, struct hvpt_flush *flush)                           \
    {                                                                                                             \
        return hvpt_##name##_map(space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, flush);               \
    }                                                                                                             \
    static enum hvpt_status name##_unmap(struct hvpt_space *space, uint64_t gpa, uint64_t size,                     \
                                         struct hvpt_flush *flush)                                                \
    {                                                                                                             \
        return hvpt_##name##_unmap(space, hvpt_make_gpa(gpa), size, flush);                                       \
    }                                                                                                             \
    static enum hvpt_status name##_fault_map(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,   \
                                             struct hvpt_attr attr)                                               \
    {                                                                                                             \
        return hvpt_##name##_fault_map(space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr);                \
    }                                                                                                             \
    static enum hvpt_status name##_translate(const struct hvpt_space *space, uint64_t gpa, struct hvpt_mapping *out) \
    {                                                                                                             \
        return hvpt_##name##_translate(space, hvpt_make_gpa(gpa), out);                                           \
    }                                                                                                             \
    static void name##_translate_batch(const struct hvpt_space *space, const hvpt_gpa *gpa, size_t n,             \
                                       struct hvpt_mapping *out, enum hvpt_status *status)                        \
    {                                                                                                             \
        hvpt_##name##_translate_batch(space, gpa, n, out, status);                                                \
    }                                                                                                             \
    static enum hvpt_status name##_explain(const struct hvpt_space *space, uint64_t gpa, uint32_t access,         \
                                           const struct hvpt_text *text)                                          \
    {                                                                                                             \
        return hvpt_##name##_explain(space, hvpt_make_gpa(gpa), access, text);                                    \
    }                                                                                                             \
    const struct adapter name##_adapter = {CALLS(name, any)};                                                     \
    const struct adapter name##_inline_adapter = {CALLS(name, name)}

#define CALLS(name, by)                                                                                           \
    .init = name##_init, .adopt = name##_adopt, .map = by##_map, .unmap = by##_unmap, .fault_map = by##_fault_map, \
    .translate = by##_translate, .translate_batch = by##_translate_batch, .explain = by##_explain, \
    .destroy = any_destroy, .root = any_root, .protect = any_protect, .walk = any_walk, \
    .stats = any_stats, .flush = any_flush, .replace = any_replace, \
    .split = any_split, .collapse = any_collapse, .age = any_age, \
    .dirty = any_dirty, .write_protect = any_write_protect, .touch = any_touch, .next_leaf = any_next_leaf, \
    .map_needs = any_map_needs, .unmap_needs = any_unmap_needs, .split_needs = any_split_needs, .reserve = any_reserve

FORMAT(ept, EPT_CONFIG);
FORMAT(npt, NPT_CONFIG);
FORMAT(s2, S2_CONFIG);
FORMAT(gstage, GSTAGE_CONFIG);
