/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a space should say, as a sorted list of intervals: no levels, no entries, no page sizes.
 * Bounds are inclusive, so that the top of a 64-bit space needs no care.
 */
#ifndef HVPT_TEST_MODEL_H
#define HVPT_TEST_MODEL_H

#include "check.h"
#include "observed.h"

/* first and last byte, and where the first one lies. */
struct span {
    uint64_t first;
    uint64_t last;
    uint64_t hpa;
    struct hvpt_attr attr;
};

struct model {
    struct span *span;
    size_t count;
    size_t room;
};

void model_init(struct model *model);
void model_free(struct model *model);
void model_copy(struct model *to, const struct model *from);

/* The span that holds gpa, NULL for a hole. */
const struct span *model_find(const struct model *model, uint64_t gpa);
bool model_any(const struct model *model, uint64_t first, uint64_t last);
bool model_all(const struct model *model, uint64_t first, uint64_t last);

/* The range is a hole. */
void model_insert(struct model *model, uint64_t first, uint64_t last, uint64_t hpa, struct hvpt_attr attr);
void model_remove(struct model *model, uint64_t first, uint64_t last);
/* What protect does: the bits and parts named in mask, of all that is mapped in the range. */
void model_protect(struct model *model, uint64_t first, uint64_t last, struct hvpt_attr attr, uint32_t mask);
void model_set_flags(struct model *model, uint64_t first, uint64_t last, uint32_t flags);
void model_clear_flags(struct model *model, uint64_t first, uint64_t last, uint32_t flags);

/* The spans overlapping a range are span[index .. index + n), cut so that none sticks out. Returns n. */
size_t model_cut(struct model *model, uint64_t first, uint64_t last, size_t *index);
/* Joins neighbours that continue each other. */
void model_tidy(struct model *model);

#endif
