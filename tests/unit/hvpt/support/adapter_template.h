/*
 * The adapter of one format. Defined before inclusion: FORMAT (ept, npt, ..., space), and FORMAT_CONFIG(from, to), which
 * fills in the format's config.
 */
#define PASTE_(a, b, c) a##b##c
#define PASTE(a, b, c)  PASTE_(a, b, c)
#define OP(name)        PASTE(hvpt_, FORMAT, _##name)
#define LOCAL(name)     PASTE(FORMAT, _, name)
#define SPACE_T         struct PASTE(hvpt_, FORMAT, )
#define CONFIG_T        struct PASTE(hvpt_, FORMAT, _config)

static void LOCAL(config)(const struct any_config *from, CONFIG_T *to)
{
    memset(to, 0, sizeof(*to));
    FORMAT_CONFIG(from, to);
}

static enum hvpt_status LOCAL(init)(union any_space *space, const struct hvpt_hooks *hooks,
                                    const struct any_config *config)
{
    CONFIG_T own;

    LOCAL(config)(config, &own);
    return OP(init)(&space->FORMAT, hooks, &own);
}

static void LOCAL(destroy)(union any_space *space)
{
    OP(destroy)(&space->FORMAT);
}

static uint64_t LOCAL(root)(const union any_space *space)
{
    return OP(root)(&space->FORMAT);
}

static enum hvpt_status LOCAL(map)(union any_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                   struct hvpt_attr attr, struct hvpt_flush *flush)
{
    return OP(map)(&space->FORMAT, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, flush);
}

static enum hvpt_status LOCAL(unmap)(union any_space *space, uint64_t gpa, uint64_t size, struct hvpt_flush *flush)
{
    return OP(unmap)(&space->FORMAT, hvpt_make_gpa(gpa), size, flush);
}

static enum hvpt_status LOCAL(protect)(union any_space *space, uint64_t gpa, uint64_t size, struct hvpt_attr attr,
                                       uint32_t mask, struct hvpt_flush *flush)
{
    return OP(protect)(&space->FORMAT, hvpt_make_gpa(gpa), size, attr, mask, flush);
}

static enum hvpt_status LOCAL(translate)(const union any_space *space, uint64_t gpa, struct hvpt_mapping *out)
{
    return OP(translate)(&space->FORMAT, hvpt_make_gpa(gpa), out);
}

static enum hvpt_status LOCAL(walk)(const union any_space *space, uint64_t gpa, uint64_t size,
                                    const struct hvpt_visitor *visitor)
{
    return OP(walk)(&space->FORMAT, hvpt_make_gpa(gpa), size, visitor);
}

static void LOCAL(stats)(const union any_space *space, struct hvpt_stats *out)
{
    OP(stats)(&space->FORMAT, out);
}

static void LOCAL(flush)(union any_space *space, struct hvpt_flush *flush)
{
    OP(flush)(&space->FORMAT, flush);
}

static enum hvpt_status LOCAL(adopt)(union any_space *space, const struct hvpt_hooks *hooks,
                                     const struct any_config *config, uint64_t root, bool readonly)
{
    CONFIG_T own;

    LOCAL(config)(config, &own);
    return OP(adopt)(&space->FORMAT, hooks, &own, root, readonly);
}

static enum hvpt_status LOCAL(replace)(union any_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                       struct hvpt_attr attr, struct hvpt_flush *flush)
{
    return OP(replace)(&space->FORMAT, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, flush);
}

static enum hvpt_status LOCAL(fault_map)(union any_space *space, uint64_t gpa, uint64_t hpa, uint64_t page_size,
                                         struct hvpt_attr attr)
{
    return OP(fault_map)(&space->FORMAT, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), page_size, attr);
}

static void LOCAL(translate_batch)(const union any_space *space, const hvpt_gpa *gpa, size_t n,
                                   struct hvpt_mapping *out, enum hvpt_status *status)
{
    OP(translate_batch)(&space->FORMAT, gpa, n, out, status);
}

static enum hvpt_status LOCAL(explain)(const union any_space *space, uint64_t gpa, uint32_t access,
                                       const struct hvpt_text *text)
{
    return OP(explain)(&space->FORMAT, hvpt_make_gpa(gpa), access, text);
}

static enum hvpt_status LOCAL(split)(union any_space *space, uint64_t gpa, uint64_t size, uint64_t page_size,
                                     struct hvpt_flush *flush)
{
    return OP(split)(&space->FORMAT, hvpt_make_gpa(gpa), size, page_size, flush);
}

static enum hvpt_status LOCAL(collapse)(union any_space *space, uint64_t gpa, uint64_t size, struct hvpt_flush *flush,
                                        struct hvpt_collapse_report *report)
{
    return OP(collapse)(&space->FORMAT, hvpt_make_gpa(gpa), size, flush, report);
}

static enum hvpt_status LOCAL(age)(union any_space *space, uint64_t gpa, uint64_t size, uint64_t *bitmap,
                                   struct hvpt_flush *flush)
{
    return OP(age)(&space->FORMAT, hvpt_make_gpa(gpa), size, bitmap, flush);
}

static enum hvpt_status LOCAL(dirty)(union any_space *space, uint64_t gpa, uint64_t size, uint64_t *bitmap,
                                     struct hvpt_flush *flush)
{
    return OP(dirty)(&space->FORMAT, hvpt_make_gpa(gpa), size, bitmap, flush);
}

static enum hvpt_status LOCAL(write_protect)(union any_space *space, uint64_t gpa, uint64_t size,
                                             struct hvpt_flush *flush)
{
    return OP(write_protect)(&space->FORMAT, hvpt_make_gpa(gpa), size, flush);
}

static enum hvpt_status LOCAL(touch)(union any_space *space, uint64_t gpa, uint32_t access)
{
    return OP(touch)(&space->FORMAT, hvpt_make_gpa(gpa), access);
}

static bool LOCAL(next_leaf)(const union any_space *space, struct hvpt_leaf_iterator *iterator, hvpt_gpa *gpa,
                             struct hvpt_mapping *mapping)
{
    return OP(next_leaf)(&space->FORMAT, iterator, gpa, mapping);
}

static enum hvpt_status LOCAL(map_needs)(const union any_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                         struct hvpt_attr attr, uint64_t *frames)
{
    return OP(frames_needed)(&space->FORMAT, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, frames);
}

static enum hvpt_status LOCAL(unmap_needs)(const union any_space *space, uint64_t gpa, uint64_t size, uint64_t *frames)
{
    return OP(frames_needed_to_unmap)(&space->FORMAT, hvpt_make_gpa(gpa), size, frames);
}

static enum hvpt_status LOCAL(split_needs)(const union any_space *space, uint64_t gpa, uint64_t size,
                                           uint64_t page_size, uint64_t *frames)
{
    return OP(frames_needed_to_split)(&space->FORMAT, hvpt_make_gpa(gpa), size, page_size, frames);
}

static enum hvpt_status LOCAL(reserve)(union any_space *space, uint64_t frames)
{
    return OP(reserve)(&space->FORMAT, frames);
}

const struct adapter LOCAL(adapter) = {
    .init = LOCAL(init),
    .destroy = LOCAL(destroy),
    .root = LOCAL(root),
    .map = LOCAL(map),
    .unmap = LOCAL(unmap),
    .protect = LOCAL(protect),
    .translate = LOCAL(translate),
    .explain = LOCAL(explain),
    .walk = LOCAL(walk),
    .stats = LOCAL(stats),
    .flush = LOCAL(flush),
    .adopt = LOCAL(adopt),
    .replace = LOCAL(replace),
    .fault_map = LOCAL(fault_map),
    .translate_batch = LOCAL(translate_batch),
    .split = LOCAL(split),
    .collapse = LOCAL(collapse),
    .age = LOCAL(age),
    .dirty = LOCAL(dirty),
    .write_protect = LOCAL(write_protect),
    .reserve = LOCAL(reserve),
    .touch = LOCAL(touch),
    .next_leaf = LOCAL(next_leaf),
    .map_needs = LOCAL(map_needs),
    .unmap_needs = LOCAL(unmap_needs),
    .split_needs = LOCAL(split_needs),
};

#undef FORMAT
#undef FORMAT_CONFIG
