/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The picture, drawn by a visitor of the headers' walk: it knows no descriptor bits and no levels' shifts. */
#include "picture.h"

#include "console.h"
#include "machine.h"

struct picture {
    unsigned root_level, tables, pages;
    struct hvpt_mapping first; /* of the run that is being collected */
    uint64_t gpa, count;       /* count 0: none */
    unsigned accessed;
};

static int indent(const struct picture *picture, unsigned level)
{
    return (int)(2 + 2 * (picture->root_level - level));
}

static void print_run(struct picture *picture)
{
    static const char *const types[] = {"Normal WB", "Normal NC", "Normal WT", "WP", "Device"};
    const struct hvpt_mapping *first = &picture->first;
    uint32_t perm = first->attr.perm;
    unsigned shift = first->page_size >> 30 ? 30 : first->page_size >> 20 ? 20 : 10;

    if (picture->count == 0)
        return;
    print("%*s%010lx-%010lx -> %010lx%*s %3lu x %lu%c  %c%c%c  %s%s  %u accessed\n", indent(picture, first->level) + 2,
          "", picture->gpa, picture->gpa + picture->count * first->page_size - 1, first->hpa.value,
          (int)(2 * first->level), "", picture->count, first->page_size >> shift,
          shift == 30   ? 'G'
          : shift == 20 ? 'M'
                        : 'K',
          perm & HVPT_READ ? 'r' : '-', perm & HVPT_WRITE ? 'w' : '-', perm & HVPT_EXEC ? 'x' : '-',
          types[first->attr.memtype], first->attr.flags & HVPT_JOINED ? ", contiguous" : "", picture->accessed);
    picture->count = 0;
}

static bool on_leaf(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping)
{
    struct picture *picture = ctx;
    const struct hvpt_mapping *first = &picture->first;
    uint64_t size = picture->count * first->page_size;

    if (picture->count == 0 || first->level != mapping->level || gpa.value != picture->gpa + size
        || mapping->hpa.value != first->hpa.value + size || mapping->attr.perm != first->attr.perm
        || mapping->attr.memtype != first->attr.memtype || ((mapping->attr.flags ^ first->attr.flags) & HVPT_JOINED)) {
        print_run(picture);
        picture->first = *mapping;
        picture->gpa = gpa.value;
        picture->accessed = 0;
    }
    picture->pages++;
    picture->count++;
    picture->accessed += (mapping->attr.flags & HVPT_ACCESSED) != 0;
    return true;
}

static bool on_enter(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    struct picture *picture = ctx;

    (void)gpa;
    print_run(picture);
    picture->tables++;
    print("%*slevel %u table at %lx\n", indent(picture, level), "", 3 - level, table.value);
    return true;
}

static bool on_leave(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    (void)gpa, (void)table, (void)level;
    print_run(ctx);
    return true;
}

void picture_print(const struct paging *paging)
{
    struct walk_geometry geometry = walk_geometry(hvpt_s2_vtcr(&paging->s2));
    struct hvpt_visitor visitor = {NULL, on_leaf, NULL, on_enter, on_leave};
    struct picture picture = {.root_level = (unsigned)(3 - geometry.level)};
    enum hvpt_status status;

    visitor.ctx = &picture;
    print("VTTBR_EL2 %016lx, VTCR_EL2 %09lx: %u-bit IPA, %uK granule, from level %d, %u tables side by side\n",
          paging_vttbr(paging), hvpt_s2_vtcr(&paging->s2), geometry.ipa_bits, 1u << (geometry.granule_shift - 10),
          geometry.level, geometry.tables);
    status = hvpt_space_walk(&paging->s2, hvpt_make_gpa(0), UINT64_C(1) << geometry.ipa_bits, &visitor);
    if (status != HVPT_OK)
        panic("walk: %s", hvpt_status_text(status));
    print("  = %u pages in %u tables\n", picture.pages, picture.tables);
}
