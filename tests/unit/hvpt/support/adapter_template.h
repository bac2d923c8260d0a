/*
 * The adapter of one format. Defined before inclusion: FORMAT (ept, npt, ...), FORMAT_FLUSH, and FORMAT_CONFIG(from, to),
 * which fills in what the format's config has beyond levels, max_page_size, maxphyaddr, features and policy.
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
    to->levels = from->levels;
    to->max_page_size = from->max_page_size;
    to->maxphyaddr = from->maxphyaddr;
    to->features = (uint32_t)from->features;
    to->policy = from->policy;
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

#ifdef TEST_ADOPT
static enum hvpt_status LOCAL(adopt)(union any_space *space, const struct hvpt_hooks *hooks,
                                     const struct any_config *config, uint64_t root, bool readonly)
{
    CONFIG_T own;

    LOCAL(config)(config, &own);
    return OP(adopt)(&space->FORMAT, hooks, &own, root, readonly);
}
#else
#define NO_adopt 1
#endif

#ifdef TEST_REPLACE
static enum hvpt_status LOCAL(replace)(union any_space *space, uint64_t gpa, uint64_t hpa, uint64_t size,
                                       struct hvpt_attr attr, struct hvpt_flush *flush)
{
    return OP(replace)(&space->FORMAT, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, attr, flush);
}
#endif

#ifdef TEST_FAULT_MAP
static enum hvpt_status LOCAL(fault_map)(union any_space *space, uint64_t gpa, uint64_t hpa, uint64_t page_size,
                                         struct hvpt_attr attr)
{
    return OP(fault_map)(&space->FORMAT, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), page_size, attr);
}
#endif

#ifdef TEST_BATCH
static void LOCAL(translate_batch)(const union any_space *space, const hvpt_gpa *gpa, size_t n,
                                   struct hvpt_mapping *out, enum hvpt_status *status)
{
    (void)OP(translate_batch)(&space->FORMAT, gpa, n, out, status);
}
#endif

#ifdef TEST_SPLIT
static enum hvpt_status LOCAL(split)(union any_space *space, uint64_t gpa, uint64_t size, uint64_t page_size,
                                     struct hvpt_flush *flush)
{
    return OP(split)(&space->FORMAT, hvpt_make_gpa(gpa), size, page_size, flush);
}
#endif

#ifdef TEST_COLLAPSE
static enum hvpt_status LOCAL(collapse)(union any_space *space, uint64_t gpa, uint64_t size, struct hvpt_flush *flush)
{
    return OP(collapse)(&space->FORMAT, hvpt_make_gpa(gpa), size, flush, NULL);
}
#endif

#ifdef TEST_AGE
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
#endif

#ifdef TEST_RESERVE
static enum hvpt_status LOCAL(reserve)(union any_space *space, uint64_t frames)
{
    return OP(reserve)(&space->FORMAT, frames);
}
#endif

const struct adapter LOCAL(adapter) = {
    .flush_kind = FORMAT_FLUSH,
    .init = LOCAL(init),
    .destroy = LOCAL(destroy),
    .root = LOCAL(root),
    .map = LOCAL(map),
    .unmap = LOCAL(unmap),
    .protect = LOCAL(protect),
    .translate = LOCAL(translate),
    .walk = LOCAL(walk),
    .stats = LOCAL(stats),
    .flush = LOCAL(flush),
#ifdef TEST_ADOPT
    .adopt = LOCAL(adopt),
#endif
#ifdef TEST_REPLACE
    .replace = LOCAL(replace),
#endif
#ifdef TEST_FAULT_MAP
    .fault_map = LOCAL(fault_map),
#endif
#ifdef TEST_BATCH
    .translate_batch = LOCAL(translate_batch),
#endif
#ifdef TEST_SPLIT
    .split = LOCAL(split),
#endif
#ifdef TEST_COLLAPSE
    .collapse = LOCAL(collapse),
#endif
#ifdef TEST_AGE
    .age = LOCAL(age),
    .dirty = LOCAL(dirty),
    .write_protect = LOCAL(write_protect),
#endif
#ifdef TEST_RESERVE
    .reserve = LOCAL(reserve),
#endif
};

#undef FORMAT
#undef FORMAT_FLUSH
#undef FORMAT_CONFIG
