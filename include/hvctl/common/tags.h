/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * VPIDs and ASIDs: a tag for each running virtual CPU. When they run out, a flush comes first and then they are given
 * out again.
 * SDM vol. 3, "Virtual-Processor Identifiers (VPIDs)"; APM vol. 2, "Address Space Identifiers".
 */
#ifndef HVCTL_COMMON_TAGS_H
#define HVCTL_COMMON_TAGS_H

#include "../../hvpt/std.h"

#include "status.h"

/*
 * The tags of one CPU. Each CPU has a pool of its own, because each has its own TLB, and needs no lock because no other
 * CPU uses it. A pool must not move, and must outlive the tags that were taken from it.
 */
struct hvctl_tag_pool {
    uint32_t first, last;
    uint32_t next;       /* the next to be given out; 0: none is left until a flush */
    uint64_t generation; /* counts the flushes */
};

/* The tag of a virtual CPU on one CPU. Begin with a zeroed one. It is not valid for another CPU's pool. */
struct hvctl_tag {
    uint32_t value;
    uint64_t generation;
    const struct hvctl_tag_pool *pool; /* the one it was taken from */
};

/* What has to happen before the guest runs with its tag. */
enum hvctl_tag_use {
    HVCTL_TAG_KEPT,     /* nothing: the guest keeps the tag that it had */
    HVCTL_TAG_NEW,      /* nothing: no guest has used this tag since the last flush of all */
    HVCTL_TAG_FLUSH_ALL /* flush what the CPU has cached under every tag, because the tags begin anew */
};

/*
 * Tags first to last, both included; first is 1 or more, since 0 is the host's. The first tag taken asks for a flush of
 * all: whoever used the CPU before may have left entries under any tag, and neither entering VMX operation nor setting
 * EFER.SVME flushes them. Call it once: on a pool from which tags were taken it would give them out a second time;
 * hvctl_tag_pool_reset makes those stale.
 * HVCTL_E_RANGE: first is 0 or above last; the pool then gives out a tag that is beyond every CPU's, never the host's.
 */
static inline enum hvctl_status hvctl_tag_pool_init(struct hvctl_tag_pool *pool, uint32_t first, uint32_t last)
{
    bool good = first != 0 && first <= last;

    pool->first = good ? first : UINT32_MAX;
    pool->last = good ? last : UINT32_MAX;
    pool->next = 0;
    pool->generation = 0;
    return good ? HVCTL_OK : HVCTL_E_RANGE;
}

/* All VPIDs. */
static inline void hvctl_vpid_pool_init(struct hvctl_tag_pool *pool)
{
    (void)hvctl_tag_pool_init(pool, 1, 0xffff);
}

/* Make sure that tag is valid on this pool's CPU, just before the guest runs there. */
HVCTL_NODISCARD static inline enum hvctl_tag_use hvctl_tag_take(struct hvctl_tag_pool *pool, struct hvctl_tag *tag)
{
    enum hvctl_tag_use use = HVCTL_TAG_NEW;

    if (tag->pool == pool && tag->generation == pool->generation)
        return HVCTL_TAG_KEPT;
    if (pool->next == 0) {
        pool->generation++;
        pool->next = pool->first;
        use = HVCTL_TAG_FLUSH_ALL;
    }
    tag->value = pool->next;
    tag->generation = pool->generation;
    tag->pool = pool;
    pool->next = pool->next >= pool->last ? 0 : pool->next + 1;
    return use;
}

/* Forget a tag: the next hvctl_tag_take gives a fresh one, which has the effect of a flush for this guest alone. */
static inline void hvctl_tag_drop(struct hvctl_tag *tag)
{
    tag->generation = 0;
    tag->pool = NULL;
}

/* Make every tag of the pool stale, as after the CPU was off: the next hvctl_tag_take asks for a flush of all. */
static inline void hvctl_tag_pool_reset(struct hvctl_tag_pool *pool)
{
    pool->generation++;
    pool->next = 0;
}

#endif
