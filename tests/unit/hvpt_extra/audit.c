/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The audit with little memory: whatever the number of rows, it finds the frames that a list of what was mapped says are
 * shared, each pair of pages once. The lists are the expectation; the trees are only built from them.
 */
#include <hvpt/audit.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 4096, PAGES = 700 };

static uint64_t memory[FRAMES][512];
static unsigned next_frame;

static bool take(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx;
    if (order != 0 || next_frame == FRAMES)
        return false;
    *out = hvpt_make_hpa((uint64_t)next_frame++ << 12);
    return true;
}

static void give(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx, (void)frame, (void)order;
}

static void *see(void *ctx, hvpt_hpa frame)
{
    (void)ctx;
    return frame.value >> 12 < FRAMES ? memory[frame.value >> 12] : NULL;
}

static const struct hvpt_hooks hooks = {NULL, take, give, see, NULL, NULL};

struct page {
    uint64_t gpa, hpa;
    uint32_t perm;
};

struct guest {
    struct hvpt_space space;
    struct page page[PAGES];
};

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (random_state >> 33) % limit;
}

/* 4 KiB pages at scattered addresses, of host frames from a small set, so that guests meet and alias. */
static void build(struct guest *guest, enum hvpt_kind kind, uint64_t seed, uint64_t host_frames)
{
    struct hvpt_space_config config = {kind, {0}, {0}, {0}, {0}};
    static const uint32_t perms[] = {HVPT_READ, HVPT_READ | HVPT_WRITE, HVPT_READ | HVPT_EXEC | HVPT_EXEC_USER};

    random_state = seed;
    cr_assert_eq(hvpt_space_init(&guest->space, &hooks, &config), HVPT_OK);
    for (unsigned i = 0; i < PAGES; i++) {
        struct page *page = &guest->page[i];
        struct hvpt_attr attr = {0, HVPT_MEM_WB, 0, 0};
        struct hvpt_flush flush;

        memset(&flush, 0, sizeof(flush));
        page->gpa = ((uint64_t)i + (i / 100 << 18)) << 12;
        page->hpa = (UINT64_C(1) << 32) + (random_below(host_frames) << 12);
        page->perm = perms[random_below(3)];
        attr.perm = page->perm;
        cr_assert_eq(hvpt_space_map(&guest->space, hvpt_make_gpa(page->gpa), hvpt_make_hpa(page->hpa), HVPT_4K, attr,
                                    &flush),
                     HVPT_OK);
        hvpt_space_flush(&guest->space, &flush);
    }
}

/* Pairs that were told, by the numbers of the pages in the two lists. */
struct seen {
    const struct guest *first, *second;
    unsigned char told[PAGES][PAGES];
    unsigned twice, wrong, tables;
};

static unsigned index_of(uint64_t gpa)
{
    const uint64_t page = gpa >> 12;

    return (unsigned)(page & 0x3ffff);
}

static bool on_finding(void *ctx, const struct hvpt_audit_finding *finding)
{
    struct seen *seen = ctx;

    if (finding->kind != HVPT_AUDIT_SHARED) {
        seen->tables++;
        return true;
    }
    for (uint64_t at = 0; at < finding->size; at += HVPT_4K) {
        const unsigned a = index_of(finding->gpa[0].value + at), b = index_of(finding->gpa[1].value + at);
        const uint64_t hpa = finding->hpa.value + at;

        if (a >= PAGES || b >= PAGES || seen->first->page[a].gpa != finding->gpa[0].value + at
            || seen->second->page[b].gpa != finding->gpa[1].value + at || seen->first->page[a].hpa != hpa
            || seen->second->page[b].hpa != hpa || !(finding->perm[0] & HVPT_READ) || !(finding->perm[1] & HVPT_READ)
            || ((finding->perm[0] ^ seen->first->page[a].perm) & HVPT_WRITE)
            || ((finding->perm[1] ^ seen->second->page[b].perm) & HVPT_WRITE)) {
            seen->wrong++;
            continue;
        }
        seen->twice += seen->told[a][b];
        seen->told[a][b] = 1;
    }
    return true;
}

static void check(enum hvpt_kind first_kind, enum hvpt_kind second_kind, uint64_t host_frames, size_t rows,
                  unsigned passes_least)
{
    static struct guest first, second;
    static struct seen seen;
    static struct hvpt_audit_item items[4096];
    struct hvpt_audit audit = {&first.space, &second.space, items, rows, on_finding, NULL, &seen};
    struct hvpt_audit_report report;
    uint64_t shared = 0, writable = 0;

    next_frame = 1;
    memset(&seen, 0, sizeof(seen));
    build(&first, first_kind, 1, host_frames);
    build(&second, second_kind, 2, host_frames);
    seen.first = &first;
    seen.second = &second;
    cr_assert_eq(hvpt_audit_run(&audit, &report), HVPT_OK);
    for (unsigned a = 0; a < PAGES; a++) {
        for (unsigned b = 0; b < PAGES; b++) {
            const bool same = first.page[a].hpa == second.page[b].hpa;

            cr_assert_eq(seen.told[a][b], same, "pages %u and %u, %zu rows", a, b, rows);
            shared += same ? 4096 : 0;
            writable += same && ((first.page[a].perm | second.page[b].perm) & HVPT_WRITE) ? 4096 : 0;
        }
    }
    cr_assert(report.complete);
    cr_assert_eq(seen.twice, 0);
    cr_assert_eq(seen.wrong, 0);
    cr_assert_eq(seen.tables, 0);
    cr_assert_eq(report.bytes[HVPT_AUDIT_SHARED], shared);
    cr_assert_eq(report.writable[HVPT_AUDIT_SHARED], writable);
    cr_assert_geq(report.passes, passes_least);
    cr_assert_gt(shared, 0);
}

Test(audit, finds_every_shared_page_in_one_pass)
{
    check(HVPT_KIND_EPT, HVPT_KIND_EPT, 2000, 4096, 1);
}

Test(audit, finds_every_shared_page_once_in_many_passes)
{
    check(HVPT_KIND_EPT, HVPT_KIND_NPT, 2000, 64, 8);
}

Test(audit, finds_aliases_of_one_frame_with_few_rows)
{
    check(HVPT_KIND_NPT, HVPT_KIND_EPT, 60, 100, 3);
}

Test(audit, says_so_where_more_pages_begin_at_a_frame_than_there_are_rows)
{
    static struct guest first;
    static struct hvpt_audit_item items[64];
    struct hvpt_audit audit = {&first.space, NULL, items, 64, NULL, NULL, NULL};
    struct hvpt_audit_report report;

    next_frame = 1;
    build(&first, HVPT_KIND_EPT, 1, 1);
    cr_assert_eq(hvpt_audit_run(&audit, &report), HVPT_E_NOMEM);
    cr_assert_not(report.complete);
    audit.count = 63;
    cr_assert_eq(hvpt_audit_run(&audit, &report), HVPT_E_NOMEM);
}

static bool count_down(void *ctx)
{
    unsigned *left = ctx;

    return (*left)-- > 1;
}

Test(audit, ends_where_it_is_told_to_and_is_not_complete)
{
    static struct guest first;
    static struct hvpt_audit_item items[1024];
    unsigned left = 3;
    struct hvpt_audit audit = {&first.space, &first.space, items, 1024, NULL, count_down, &left};
    struct hvpt_audit_report report;

    next_frame = 1;
    build(&first, HVPT_KIND_EPT, 1, 2000);
    cr_assert_eq(hvpt_audit_run(&audit, &report), HVPT_OK);
    cr_assert_not(report.complete);
}

Test(audit, a_guest_that_reaches_its_own_table_is_found)
{
    static struct guest first;
    static struct hvpt_audit_item items[1024];
    struct hvpt_audit audit = {&first.space, NULL, items, 1024, NULL, NULL, NULL};
    struct hvpt_audit_report report;
    struct hvpt_attr attr = {HVPT_READ | HVPT_WRITE, HVPT_MEM_WB, 0, 0};
    struct hvpt_flush flush;

    next_frame = 1;
    build(&first, HVPT_KIND_EPT, 1, 2000);
    memset(&flush, 0, sizeof(flush));
    cr_assert_eq(hvpt_audit_run(&audit, &report), HVPT_OK);
    cr_assert(report.complete);
    cr_assert_eq(report.findings[HVPT_AUDIT_REACHES_TABLE], 0);
    /* one page over two tables and a frame beside them: the root lies at 1000H */
    cr_assert_eq(hvpt_space_map(&first.space, hvpt_make_gpa(UINT64_C(1) << 40), hvpt_make_hpa(0x1000), 0x2000, attr,
                                &flush),
                 HVPT_OK);
    cr_assert_eq(hvpt_audit_run(&audit, &report), HVPT_OK);
    cr_assert_eq(report.findings[HVPT_AUDIT_REACHES_TABLE], 2);
    cr_assert_eq(report.writable[HVPT_AUDIT_REACHES_TABLE], 0x2000);
    cr_assert_eq(report.findings[HVPT_AUDIT_SHARED], 0);
}
