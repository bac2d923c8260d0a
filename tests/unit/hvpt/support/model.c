/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A sorted list of intervals. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

void model_init(struct model *model)
{
    memset(model, 0, sizeof(*model));
}

void model_free(struct model *model)
{
    free(model->span);
    model_init(model);
}

static void make_room(struct model *model, size_t count)
{
    if (count <= model->room)
        return;
    model->room = 2 * count + 16;
    model->span = realloc(model->span, model->room * sizeof(*model->span));
    CHECK(model->span != NULL, "out of memory");
}

void model_copy(struct model *to, const struct model *from)
{
    make_room(to, from->count);
    if (from->count != 0)
        memcpy(to->span, from->span, from->count * sizeof(*from->span));
    to->count = from->count;
}

/* The first span that ends at or after gpa. */
static size_t first_reaching(const struct model *model, uint64_t gpa)
{
    size_t low = 0;
    size_t high = model->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (model->span[middle].last < gpa)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct span *model_find(const struct model *model, uint64_t gpa)
{
    size_t i = first_reaching(model, gpa);

    return i < model->count && model->span[i].first <= gpa ? &model->span[i] : NULL;
}

bool model_any(const struct model *model, uint64_t first, uint64_t last)
{
    size_t i = first_reaching(model, first);

    return i < model->count && model->span[i].first <= last;
}

bool model_all(const struct model *model, uint64_t first, uint64_t last)
{
    uint64_t at = first;

    for (size_t i = first_reaching(model, first); i < model->count && model->span[i].first <= at; i++) {
        if (model->span[i].last >= last)
            return true;
        at = model->span[i].last + 1;
    }
    return false;
}

static void open_gap(struct model *model, size_t at)
{
    make_room(model, model->count + 1);
    memmove(&model->span[at + 1], &model->span[at], (model->count - at) * sizeof(*model->span));
    model->count++;
}

/* No span straddles the border between gpa - 1 and gpa. */
static void cut_before(struct model *model, uint64_t gpa)
{
    size_t i = first_reaching(model, gpa);

    if (i == model->count || model->span[i].first >= gpa)
        return;
    open_gap(model, i);
    model->span[i].last = gpa - 1;
    model->span[i + 1].hpa += gpa - model->span[i + 1].first;
    model->span[i + 1].first = gpa;
}

size_t model_cut(struct model *model, uint64_t first, uint64_t last, size_t *index)
{
    size_t n = 0;

    cut_before(model, first);
    if (last != UINT64_MAX)
        cut_before(model, last + 1);
    *index = first_reaching(model, first);
    while (*index + n < model->count && model->span[*index + n].first <= last)
        n++;
    return n;
}

void model_insert(struct model *model, uint64_t first, uint64_t last, uint64_t hpa, struct hvpt_attr attr)
{
    size_t i = first_reaching(model, first);

    CHECK(!model_any(model, first, last), "the model was told to map what is mapped");
    open_gap(model, i);
    model->span[i].first = first;
    model->span[i].last = last;
    model->span[i].hpa = hpa;
    model->span[i].attr = attr;
    model_tidy(model);
}

void model_remove(struct model *model, uint64_t first, uint64_t last)
{
    size_t index;
    size_t n = model_cut(model, first, last, &index);

    if (n == 0)
        return;
    memmove(&model->span[index], &model->span[index + n], (model->count - index - n) * sizeof(*model->span));
    model->count -= n;
}

void model_protect(struct model *model, uint64_t first, uint64_t last, struct hvpt_attr attr, uint32_t mask)
{
    size_t index;
    size_t n = model_cut(model, first, last, &index);

    for (size_t i = index; i < index + n; i++) {
        struct hvpt_attr *now = &model->span[i].attr;

        now->perm = (now->perm & ~(mask & HVPT_PERM_ALL)) | (attr.perm & mask & HVPT_PERM_ALL);
        if (mask & HVPT_CHANGE_MEMTYPE)
            now->memtype = attr.memtype;
        if (mask & HVPT_CHANGE_FLAGS)
            now->flags = attr.flags;
        if (mask & HVPT_CHANGE_SOFTWARE)
            now->software = attr.software;
    }
    model_tidy(model);
}

void model_set_flags(struct model *model, uint64_t first, uint64_t last, uint32_t flags)
{
    size_t index;
    size_t n = model_cut(model, first, last, &index);

    for (size_t i = index; i < index + n; i++)
        model->span[i].attr.flags |= flags;
    model_tidy(model);
}

void model_clear_flags(struct model *model, uint64_t first, uint64_t last, uint32_t flags)
{
    size_t index;
    size_t n = model_cut(model, first, last, &index);

    for (size_t i = index; i < index + n; i++)
        model->span[i].attr.flags &= ~flags;
    model_tidy(model);
}

static bool continues(const struct span *a, const struct span *b)
{
    return a->last + 1 == b->first && a->hpa + (b->first - a->first) == b->hpa && a->attr.perm == b->attr.perm
        && a->attr.memtype == b->attr.memtype && a->attr.flags == b->attr.flags && a->attr.software == b->attr.software;
}

void model_tidy(struct model *model)
{
    size_t kept = 0;

    for (size_t i = 1; i < model->count; i++) {
        if (continues(&model->span[kept], &model->span[i]))
            model->span[kept].last = model->span[i].last;
        else
            model->span[++kept] = model->span[i];
    }
    if (model->count != 0)
        model->count = kept + 1;
}
