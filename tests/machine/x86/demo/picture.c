/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The picture, drawn by a visitor of the headers' walk: it knows no entry bits and no levels' shifts. */
#include "picture.h"

#include "console.h"
#include "machine.h"

struct picture {
    unsigned root_level;
    unsigned tables, pages;
    /* the run that is being collected; count 0: none */
    uint64_t gpa, hpa, page_size, count;
    unsigned accessed, dirty; /* of its pages */
    struct hvpt_attr attr;
    unsigned level;
};

static const char *const table_names[] = {"page table", "page directory", "page-directory-pointer table", "PML4 table",
                                          "PML5 table"};

static unsigned indent(const struct picture *picture, unsigned level)
{
    return 2 + 2 * (picture->root_level - level);
}

static void print_run(struct picture *picture)
{
    uint64_t size = picture->count * picture->page_size;
    unsigned shift = picture->page_size >> 30 ? 30 : picture->page_size >> 20 ? 20 : 10;
    uint32_t perm = picture->attr.perm;
    char range[64], touched[64] = "";

    if (picture->count == 0)
        return;
    print_to(range, sizeof(range), "%010lx-%010lx -> %010lx", picture->gpa, picture->gpa + size - 1, picture->hpa);
    if (picture->accessed != 0)
        print_to(touched, sizeof(touched), "  %u accessed, %u dirty", picture->accessed, picture->dirty);
    print("%*s%-*s %4lu x %lu%c  %c%c%c  %s%s\n", (int)indent(picture, picture->level) + 2, "",
          50 - (int)indent(picture, picture->level), range, picture->count, picture->page_size >> shift,
          shift == 30   ? 'G'
          : shift == 20 ? 'M'
                        : 'K',
          perm & HVPT_READ ? 'r' : '-', perm & HVPT_WRITE ? 'w' : '-', perm & HVPT_EXEC ? 'x' : '-',
          hvpt_memtype_text(picture->attr.memtype), touched);
    picture->count = 0;
}

static bool on_leaf(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping)
{
    struct picture *picture = ctx;
    uint64_t size = picture->count * picture->page_size;
    bool more;

    more = picture->count != 0 && picture->level == mapping->level && gpa.value == picture->gpa + size
        && mapping->hpa.value == picture->hpa + size && mapping->attr.perm == picture->attr.perm
        && mapping->attr.memtype == picture->attr.memtype;
    if (!more) {
        print_run(picture);
        picture->gpa = gpa.value;
        picture->hpa = mapping->hpa.value;
        picture->page_size = mapping->page_size;
        picture->level = mapping->level;
        picture->attr = mapping->attr;
        picture->accessed = picture->dirty = 0;
    }
    picture->pages++;
    picture->count++;
    picture->accessed += (mapping->attr.flags & HVPT_ACCESSED) != 0;
    picture->dirty += (mapping->attr.flags & HVPT_DIRTY) != 0;
    return true;
}

static bool on_enter(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level)
{
    struct picture *picture = ctx;

    (void)gpa;
    print_run(picture);
    picture->tables++;
    print("%*s%s at %lx\n", (int)indent(picture, level), "", table_names[level], table.value);
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
    struct picture picture = {0};
    struct hvpt_visitor visitor = {&picture, on_leaf, NULL, on_enter, on_leave};
    uint64_t all = UINT64_C(1) << (12 + 9 * paging->levels);
    enum hvpt_status status;

    picture.root_level = paging->levels - 1;
    status = hvpt_space_walk(&paging->space, hvpt_make_gpa(0), all, &visitor);
    if (status != HVPT_OK)
        panic("walk: %s", hvpt_status_text(status));
    print("  = %u pages in %u tables\n", picture.pages, picture.tables);
}
