/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a hostile reader of the engine tried: the arguments of one call against the frames of another, two spaces with one
 * flush, permissions that would come back wrong. The expectations are the manuals' and those of hvpt.h.
 */
#include <hvpt/ept.h>
#include <hvpt/gstage.h>
#include <hvpt/npt.h>
#include <hvpt/stage2.h>

#include <criterion/criterion.h>
#include <string.h>

#define FRAMES 64
#define BASE   UINT64_C(0x40000000)
#define HOST   UINT64_C(0x80000000)

/* Frames 1 to FRAMES - 1 of an arena that begins at physical address 0. */
struct arena {
    unsigned char *memory;
    unsigned next;
    unsigned live;
    unsigned flushes;
    struct hvpt_flush last;
    struct hvpt_hooks hooks;
};

static bool take(void *ctx, unsigned order, hvpt_hpa *out)
{
    struct arena *arena = ctx;
    unsigned count = 1u << order, first = (arena->next + count - 1) / count * count;

    if (first + count > FRAMES)
        return false;
    arena->next = first + count;
    arena->live += count;
    *out = hvpt_make_hpa(first * HVPT_4K);
    return true;
}

static void give(void *ctx, hvpt_hpa frame, unsigned order)
{
    struct arena *arena = ctx;

    (void)frame;
    arena->live -= 1u << order;
}

static void *see(void *ctx, hvpt_hpa frame)
{
    struct arena *arena = ctx;

    return frame.value < FRAMES * HVPT_4K ? arena->memory + frame.value : NULL;
}

static void flushed(void *ctx, const struct hvpt_flush *flush)
{
    struct arena *arena = ctx;

    arena->flushes++;
    arena->last = *flush;
}

static void arena_open(struct arena *arena)
{
    static _Alignas(4096) unsigned char memory[FRAMES * HVPT_4K];

    memset(arena, 0, sizeof(*arena));
    arena->memory = memory;
    memset(arena->memory, 0xa5, FRAMES * HVPT_4K);
    arena->next = 1;
    arena->hooks = (struct hvpt_hooks) {arena, take, give, see, NULL, flushed};
}

static const struct hvpt_attr rwx = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};

/* hvpt.h: HVPT_POLICY_GUARD_TABLES refuses a range that holds a table of this space, whenever it became one. */
Test(hostile, the_guard_knows_the_frames_that_the_call_itself_takes)
{
    const struct hvpt_ept_config config = {.policy = HVPT_POLICY_GUARD_TABLES};
    struct arena arena;
    struct hvpt_space space;
    struct hvpt_mapping mapping;

    arena_open(&arena);
    cr_assert_eq(hvpt_ept_init(&space, &arena.hooks, &config), HVPT_OK);
    /* The call will take frames 2 to 4 for its tables, and the guest would get them to write. */
    cr_expect_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(2 * HVPT_4K), HVPT_4K, rwx, NULL), HVPT_E_RANGE);
    cr_expect_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE), &mapping), HVPT_E_ABSENT);
    cr_expect_eq(arena.live, 1, "%u frames are held", arena.live);
    cr_expect_eq(hvpt_space_fault_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(arena.next * HVPT_4K), HVPT_4K, rwx),
                 HVPT_E_RANGE);
    cr_expect_eq(arena.live, 1, "%u frames are held", arena.live);
    /* Those in reserve are tables to be. */
    cr_assert_eq(hvpt_space_reserve(&space, 4), HVPT_OK);
    for (unsigned i = 1; i <= 4; i++)
        cr_expect_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa((arena.next - i) * HVPT_4K), HVPT_4K, rwx,
                                    NULL),
                     HVPT_E_RANGE, "frame %u", arena.next - i);
    cr_expect_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, rwx, NULL), HVPT_OK);
    hvpt_space_destroy(&space);
    cr_expect_eq(arena.live, 0);
}

/* An instruction that reads and writes wants both: what gives it one of them leaves it to fault for ever. */
Test(hostile, touch_of_several_permissions_wants_them_all)
{
    const struct hvpt_attr reads = {HVPT_READ, HVPT_MEM_WB, 0, 0};
    const struct hvpt_ept_config ept = {0};
    const struct hvpt_npt_config npt = {0};
    const struct hvpt_s2_config s2 = {0};
    const struct hvpt_gstage_config gstage = {0};

    for (unsigned format = 0; format < 4; format++) {
        struct arena arena;
        struct hvpt_space space;

        arena_open(&arena);
        cr_assert_eq(format == 0   ? hvpt_ept_init(&space, &arena.hooks, &ept)
                     : format == 1 ? hvpt_npt_init(&space, &arena.hooks, &npt)
                     : format == 2 ? hvpt_s2_init(&space, &arena.hooks, &s2)
                                   : hvpt_gstage_init(&space, &arena.hooks, &gstage),
                     HVPT_OK);
        cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, rwx, NULL), HVPT_OK);
        cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE + HVPT_4K), hvpt_make_hpa(HOST), HVPT_4K, reads, NULL), HVPT_OK);
        cr_assert_eq(hvpt_space_write_protect(&space, hvpt_make_gpa(BASE), HVPT_4K, NULL), HVPT_OK);
        cr_expect_eq(hvpt_space_touch(&space, hvpt_make_gpa(BASE), HVPT_READ | HVPT_WRITE), HVPT_OK, "format %u", format);
        cr_expect_eq(hvpt_space_touch(&space, hvpt_make_gpa(BASE), HVPT_READ | HVPT_WRITE), HVPT_E_NOTHING, "format %u", format);
        cr_expect_eq(hvpt_space_touch(&space, hvpt_make_gpa(BASE + HVPT_4K), HVPT_READ | HVPT_WRITE), HVPT_E_ATTR, "format %u",
                     format);
        cr_expect_eq(hvpt_space_touch(&space, hvpt_make_gpa(BASE + HVPT_4K), 0), HVPT_E_ATTR, "format %u: nothing", format);
        hvpt_space_destroy(&space);
    }
}

/* types.h: where a format has one execute bit it is for all modes, and a user's fetch of an aged page is allowed. */
Test(hostile, touch_knows_that_one_execute_bit_is_for_all)
{
    const struct hvpt_attr runs = {HVPT_READ | HVPT_EXEC, HVPT_MEM_WB, 0, 0};
    const struct hvpt_ept_config config = {0};
    uint64_t bitmap = 0;
    struct arena arena;
    struct hvpt_space space;

    arena_open(&arena);
    cr_assert_eq(hvpt_ept_init(&space, &arena.hooks, &config), HVPT_OK);
    cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, runs, NULL), HVPT_OK);
    cr_expect_eq(hvpt_space_touch(&space, hvpt_make_gpa(BASE), HVPT_EXEC_USER), HVPT_E_NOTHING);
    cr_assert_eq(hvpt_space_age(&space, hvpt_make_gpa(BASE), HVPT_4K, &bitmap, NULL), HVPT_OK);
    cr_expect_eq(hvpt_space_touch(&space, hvpt_make_gpa(BASE), HVPT_EXEC_USER), HVPT_OK);
    hvpt_space_destroy(&space);
}

/* hvpt.h: a flush that another space is using is not added to; the call flushes before it returns. */
Test(hostile, one_flush_does_not_serve_two_spaces)
{
    const struct hvpt_npt_config config = {0};
    struct arena arena;
    struct hvpt_space one, two;
    struct hvpt_flush flush = {0};

    arena_open(&arena);
    cr_assert_eq(hvpt_npt_init(&one, &arena.hooks, &config), HVPT_OK);
    cr_assert_eq(hvpt_npt_init(&two, &arena.hooks, &config), HVPT_OK);
    cr_assert_eq(hvpt_space_map(&one, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), 2 * HVPT_4K, rwx, NULL), HVPT_OK);
    cr_assert_eq(hvpt_space_map(&two, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), 2 * HVPT_4K, rwx, NULL), HVPT_OK);
    cr_expect_eq(hvpt_space_unmap(&one, hvpt_make_gpa(BASE), HVPT_4K, &flush), HVPT_OK);
    cr_expect_eq(arena.flushes, 0);
    cr_expect_eq(hvpt_space_unmap(&two, hvpt_make_gpa(BASE), 2 * HVPT_4K, &flush), HVPT_OK);
    cr_expect_eq(arena.flushes, 1);
    cr_expect_eq(arena.last.root, hvpt_space_root(&two));
    cr_expect_eq(flush.root, hvpt_space_root(&one), "the first space's flush is still its own");
    hvpt_space_flush(&two, &flush);
    cr_expect_eq(arena.flushes, 1, "it is not the second's to do");
    hvpt_space_flush(&one, &flush);
    cr_expect_eq(arena.flushes, 2);
    cr_expect(!hvpt_flush_needed(&flush));
    hvpt_space_destroy(&one);
    hvpt_space_destroy(&two);
    cr_expect_eq(arena.live, 0);
}

/*
 * Arm ARM, "Using break-before-make when updating translation table entries": between a valid entry and another one with
 * another address there is an invalid one and a TLBI, whoever writes the second; FEAT_BBM is about sizes alone.
 */
Test(hostile, what_is_mapped_where_something_was_unmapped_does_not_meet_it_on_arm)
{
    for (unsigned bbm2 = 0; bbm2 < 2; bbm2++) {
        const struct hvpt_s2_config config = {.features = bbm2 ? HVPT_S2_USE_BBM2 : 0};
        struct arena arena;
        struct hvpt_space space;
        struct hvpt_flush flush = {0};

        arena_open(&arena);
        cr_assert_eq(hvpt_s2_init(&space, &arena.hooks, &config), HVPT_OK);
        cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), 8 * HVPT_4K, rwx, NULL), HVPT_OK);
        cr_expect_eq(hvpt_space_unmap(&space, hvpt_make_gpa(BASE), HVPT_4K, &flush), HVPT_OK);
        cr_expect_eq(arena.flushes, 1, "a TLBI before anybody can map there");
        cr_expect_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST + HVPT_1G), HVPT_4K, rwx, &flush),
                     HVPT_OK);
        hvpt_space_flush(&space, &flush);
        hvpt_space_destroy(&space);
    }
}

/* SDM vol. 3, "EPT Misconfigurations": writable and not readable is one; Privileged Architecture: a reserved encoding. */
Test(hostile, touch_makes_no_invalid_entry)
{
    const struct hvpt_attr exec = {HVPT_EXEC, HVPT_MEM_WB, 0, 0}, logged = {HVPT_EXEC, HVPT_MEM_WB, HVPT_LOGGED, 0};
    const struct hvpt_ept_config ept = {.ept_vpid_cap = ~UINT64_C(0)};
    const struct hvpt_gstage_config gstage = {0};

    for (unsigned riscv = 0; riscv < 2; riscv++) {
        struct arena arena;
        struct hvpt_space space;
        struct hvpt_mapping mapping;

        arena_open(&arena);
        if (riscv)
            cr_assert_eq(hvpt_gstage_init(&space, &arena.hooks, &gstage), HVPT_OK);
        else
            cr_assert_eq(hvpt_ept_init(&space, &arena.hooks, &ept), HVPT_OK);
        cr_expect_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, logged, NULL), HVPT_E_ATTR);
        cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, rwx, NULL), HVPT_OK);
        cr_assert_eq(hvpt_space_write_protect(&space, hvpt_make_gpa(BASE), HVPT_4K, NULL), HVPT_OK);
        cr_expect_eq(hvpt_space_protect(&space, hvpt_make_gpa(BASE), HVPT_4K, exec, HVPT_READ, NULL), HVPT_E_ATTR,
                     "a logged page that could not be read would not become writable again");
        cr_expect_eq(hvpt_space_touch(&space, hvpt_make_gpa(BASE), HVPT_WRITE), HVPT_OK);
        cr_expect_eq(hvpt_space_touch(&space, hvpt_make_gpa(BASE), HVPT_WRITE), HVPT_E_NOTHING);
        cr_expect_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE), &mapping), HVPT_OK);
        cr_expect_eq(hvpt_space_unmap(&space, hvpt_make_gpa(BASE), HVPT_4K, NULL), HVPT_OK);
        hvpt_space_destroy(&space);
    }
}

/*
 * The mark of a permission that waits, in a page that may not be read: nothing of this library makes it, but memory may
 * hold it.
 */
Test(hostile, a_mark_in_a_page_that_cannot_be_read_gives_no_permission_back)
{
    const struct hvpt_attr exec = {HVPT_EXEC, HVPT_MEM_WB, 0, 0};
    const struct hvpt_ept_config ept = {.ept_vpid_cap = ~UINT64_C(0)};
    const struct hvpt_gstage_config gstage = {0};

    for (unsigned riscv = 0; riscv < 2; riscv++) {
        const uint64_t read = riscv ? 1 << 1 : 1 << 0, write = riscv ? 1 << 2 : 1 << 1;
        struct hvpt_mapping mapping, marked, after;
        struct arena arena;
        struct hvpt_space space;
        uint64_t *table;

        arena_open(&arena);
        if (riscv)
            cr_assert_eq(hvpt_gstage_init(&space, &arena.hooks, &gstage), HVPT_OK);
        else
            cr_assert_eq(hvpt_ept_init(&space, &arena.hooks, &ept), HVPT_OK);
        cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, rwx, NULL), HVPT_OK);
        cr_assert_eq(hvpt_space_write_protect(&space, hvpt_make_gpa(BASE), HVPT_4K, NULL), HVPT_OK);
        cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE), &marked), HVPT_OK);
        cr_assert_eq(hvpt_space_unmap(&space, hvpt_make_gpa(BASE), HVPT_4K, NULL), HVPT_OK);
        cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, exec, NULL), HVPT_OK);
        cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE), &mapping), HVPT_OK);
        for (table = (uint64_t *)(void *)arena.memory; *table != mapping.entry; table++) {
        }
        *table = marked.entry & ~read;
        cr_expect_neq(hvpt_space_touch(&space, hvpt_make_gpa(BASE), HVPT_WRITE), HVPT_OK);
        cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE), &after), HVPT_OK, "a misconfigured entry");
        cr_expect_eq(*table & (read | write), 0);
    }
}

/* hvpt.h: a leaf that begins in the range is the last one, however far it reaches. */
Test(hostile, an_iterator_ends_well_behind_a_large_page)
{
    const struct hvpt_ept_config config = {0};
    struct arena arena;
    struct hvpt_space space;
    struct hvpt_mapping mapping;
    struct hvpt_leaf_iterator leaves = hvpt_leaves(hvpt_make_gpa(BASE), HVPT_4K);
    hvpt_gpa gpa;

    arena_open(&arena);
    cr_assert_eq(hvpt_ept_init(&space, &arena.hooks, &config), HVPT_OK);
    cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_2M, rwx, NULL), HVPT_OK);
    cr_expect(hvpt_space_next_leaf(&space, &leaves, &gpa, &mapping));
    cr_expect(!hvpt_space_next_leaf(&space, &leaves, &gpa, &mapping));
    cr_expect_eq(leaves.status, HVPT_OK);
    hvpt_space_destroy(&space);
}

/* SDM vol. 3, "Extended-Page-Table Pointer (EPTP)": memory types 0 and 6, as the capabilities have them. */
Test(hostile, an_eptp_with_another_memory_type_is_refused)
{
    static const uint64_t both = HVPT_EPT_CAP_LEVELS_4 | HVPT_EPT_CAP_UC | HVPT_EPT_CAP_WB;
    static const struct {
        uint64_t memtype, cap;
        enum hvpt_status wanted;
    } cases[] = {
        {0, both, HVPT_OK},     {1, both, HVPT_E_ATTR}, {2, both, HVPT_E_ATTR},
        {4, both, HVPT_E_ATTR}, {5, both, HVPT_E_ATTR}, {6, both, HVPT_OK},
        {7, both, HVPT_E_ATTR}, {6, both & ~HVPT_EPT_CAP_WB, HVPT_E_ATTR}, {0, both & ~HVPT_EPT_CAP_UC, HVPT_E_ATTR},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct hvpt_ept_config config = {.ept_vpid_cap = cases[i].cap};
        struct arena arena;
        struct hvpt_space space;

        arena_open(&arena);
        cr_expect_eq(hvpt_ept_adopt(&space, &arena.hooks, &config, 0x1000 | 3 << 3 | cases[i].memtype, true),
                     cases[i].wanted, "case %u", i);
    }
}

/* SDM vol. 3, "EPT Translation Mechanism": bit 61 is ignored in a PDE and turns on sub-page permissions in a PTE. */
Test(hostile, a_split_does_not_turn_on_what_a_large_page_ignores)
{
    const struct hvpt_ept_config config = {.features = HVPT_EPT_USE_SUB_PAGE_WRITE};
    struct arena arena;
    struct hvpt_space space;
    struct hvpt_mapping mapping;
    uint64_t *table;

    arena_open(&arena);
    cr_assert_eq(hvpt_ept_init(&space, &arena.hooks, &config), HVPT_OK);
    cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_2M, rwx, NULL), HVPT_OK);
    cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE), &mapping), HVPT_OK);
    for (table = (uint64_t *)(void *)arena.memory; *table != mapping.entry; table++) {
    }
    *table |= HVPT_EPT_BIT_SUB_PAGE_WRITE;
    cr_expect_eq(hvpt_space_split(&space, hvpt_make_gpa(BASE), HVPT_2M, HVPT_4K, NULL), HVPT_OK);
    for (unsigned i = 0; i < 512; i++) {
        cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE + i * HVPT_4K), &mapping), HVPT_OK);
        cr_expect_eq(mapping.entry & HVPT_EPT_BIT_SUB_PAGE_WRITE, 0, "page %u", i);
    }
    hvpt_space_destroy(&space);
}

/*
 * SDM vol. 3, "EPT Violations" and "Shadow-Stack Accesses": these pages are written by the processor though HVPT_WRITE is
 * clear. Where no dirty bit tells, they count as written whenever one asks.
 */
Test(hostile, pages_that_are_written_without_the_permission_to_count_as_written)
{
    static const struct {
        uint32_t feature, flag;
    } ways[] = {
        {HVPT_EPT_USE_SHADOW_STACK, HVPT_EPT_SHADOW_STACK},
        {HVPT_EPT_USE_PAGING_WRITE, HVPT_EPT_PAGING_WRITE},
        {HVPT_EPT_USE_SUB_PAGE_WRITE, HVPT_EPT_SUB_PAGE_WRITE},
        {0, 0},
    };

    for (unsigned i = 0; i < 4; i++) {
        for (uint32_t kept = 0; kept <= HVPT_EPT_USE_ACCESSED_DIRTY; kept++) {
            const struct hvpt_ept_config config = {.features = ways[i].feature | kept};
            const struct hvpt_attr attr = {HVPT_READ, HVPT_MEM_WB, ways[i].flag, 0};
            struct arena arena;
            struct hvpt_space space;

            arena_open(&arena);
            cr_assert_eq(hvpt_ept_init(&space, &arena.hooks, &config), HVPT_OK);
            cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, rwx, NULL), HVPT_OK);
            cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE + HVPT_4K), hvpt_make_hpa(HOST), 3 * HVPT_4K, attr, NULL),
                         HVPT_OK);
            for (unsigned round = 0; round < 3; round++) {
                uint64_t bitmap = 0, wanted = kept ? 0 : (round == 0 ? 1 : 0) | (ways[i].flag != 0 ? 0xe : 0);

                cr_assert_eq(hvpt_space_dirty(&space, hvpt_make_gpa(BASE), 4 * HVPT_4K, &bitmap, NULL), HVPT_OK);
                cr_expect_eq(bitmap, wanted, "way %u, round %u: %#llx", i, round, (unsigned long long)bitmap);
            }
            hvpt_space_destroy(&space);
        }
    }
}

/* types.h: flags of formats have numbers of their own; hvpt.h: a mask that names nothing is refused. */
Test(hostile, flags_of_other_formats_and_unknown_masks_are_refused)
{
    const struct hvpt_npt_config config = {.features = HVPT_NPT_USE_SHADOW_STACK};
    static const uint32_t foreign[] = {HVPT_EPT_IGNORE_PAT, HVPT_EPT_SUPPRESS_VE, HVPT_S2_NON_SHAREABLE};
    struct arena arena;
    struct hvpt_space space;

    arena_open(&arena);
    cr_assert_eq(hvpt_npt_init(&space, &arena.hooks, &config), HVPT_OK);
    for (unsigned i = 0; i < 3; i++) {
        const struct hvpt_attr attr = {HVPT_READ, HVPT_MEM_WB, foreign[i], 0};

        cr_expect_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, attr, NULL), HVPT_E_ATTR);
    }
    cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, rwx, NULL), HVPT_OK);
    cr_expect_eq(hvpt_space_protect(&space, hvpt_make_gpa(BASE), HVPT_4K, rwx, HVPT_WRITE | 1 << 8, NULL), HVPT_E_ATTR);
    hvpt_space_destroy(&space);
}

/* Inline calls are for one format: a space of another one is refused, and not read as what it is not. */
Test(hostile, inline_calls_refuse_a_space_of_another_format)
{
    const struct hvpt_npt_config config = {0};
    const hvpt_gpa gpa[2] = {hvpt_make_gpa(BASE), hvpt_make_gpa(BASE)};
    enum hvpt_status statuses[2] = {HVPT_OK, HVPT_OK};
    struct arena arena;
    struct hvpt_space space;
    struct hvpt_mapping mapping, mappings[2];
    struct hvpt_diagnosis found;
    struct hvpt_text_buffer buffer;
    char words[64];
    const struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));

    arena_open(&arena);
    cr_assert_eq(hvpt_npt_init(&space, &arena.hooks, &config), HVPT_OK);
    cr_expect_eq(hvpt_ept_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, rwx, NULL), HVPT_E_ATTR);
    cr_expect_eq(hvpt_ept_unmap(&space, hvpt_make_gpa(BASE), HVPT_4K, NULL), HVPT_E_ATTR);
    cr_expect_eq(hvpt_s2_fault_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, rwx), HVPT_E_ATTR);
    cr_expect_eq(hvpt_gstage_translate(&space, hvpt_make_gpa(BASE), &mapping), HVPT_E_ATTR);
    hvpt_ept_translate_batch(&space, gpa, 2, mappings, statuses);
    cr_expect(statuses[0] == HVPT_E_ATTR && statuses[1] == HVPT_E_ATTR);
    cr_expect_eq(hvpt_s2_explain(&space, hvpt_make_gpa(BASE), HVPT_READ, &text), HVPT_E_ATTR);
    cr_expect_str_empty(words);
    cr_expect_eq(hvpt_gstage_diagnose(&space, hvpt_make_gpa(BASE), HVPT_READ, &found), HVPT_E_ATTR);
    cr_expect_eq(hvpt_npt_diagnose(&space, hvpt_make_gpa(BASE), HVPT_READ, &found), HVPT_E_ABSENT);
    hvpt_space_destroy(&space);
}

/* explain in a struct says what its words say: SDM vol. 3, "EPT Misconfigurations", a reserved memory type. */
Test(hostile, a_diagnosis_has_level_bits_and_rule)
{
    const struct hvpt_ept_config config = {0};
    struct arena arena;
    struct hvpt_space space;
    struct hvpt_mapping mapping;
    struct hvpt_diagnosis found;
    uint64_t *table;

    arena_open(&arena);
    cr_assert_eq(hvpt_ept_init(&space, &arena.hooks, &config), HVPT_OK);
    cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_2M, rwx, NULL), HVPT_OK);
    cr_expect_eq(hvpt_space_diagnose(&space, hvpt_make_gpa(BASE + 0x123), HVPT_WRITE, &found), HVPT_OK);
    cr_expect_eq(found.hpa.value, HOST + 0x123);
    cr_expect_eq(found.level, 1);
    cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE), &mapping), HVPT_OK);
    for (table = (uint64_t *)(void *)arena.memory; *table != mapping.entry; table++) {
    }
    *table |= UINT64_C(7) << 3;
    cr_expect_eq(hvpt_space_diagnose(&space, hvpt_make_gpa(BASE), HVPT_READ, &found), HVPT_E_CORRUPT);
    cr_expect_eq(found.level, 1);
    cr_expect_eq(found.bits, UINT64_C(7) << 3);
    cr_expect_eq(found.number, HVPT_EPT_RULE_MEMTYPE);
    cr_expect_eq(found.entry, *table);
}

/* SDM vol. 3, "Capability Reporting Register": bits 16 and 17 are apart; a 1-GByte page is split by 2-MByte ones. */
Test(hostile, a_cpu_without_2m_pages_gets_no_large_ones)
{
    const uint64_t cap = UINT64_C(1) << 6 | UINT64_C(1) << 14 | UINT64_C(1) << 17; /* 4 levels, write-back, 1G alone */
    const struct hvpt_ept_config config = {.ept_vpid_cap = cap};
    struct arena arena;
    struct hvpt_space space;
    struct hvpt_mapping mapping;

    arena_open(&arena);
    cr_assert_eq(hvpt_ept_init(&space, &arena.hooks, &config), HVPT_OK);
    cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_2M, rwx, NULL), HVPT_OK);
    cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE), &mapping), HVPT_OK);
    cr_expect_eq(mapping.page_size, HVPT_4K);
    hvpt_space_destroy(&space);
}

/* APM vol. 2, "Supervisor Shadow Stacks": a page that is neither the user's nor executable. */
Test(hostile, a_page_that_was_executable_becomes_a_shadow_stack_in_one_call)
{
    const struct hvpt_npt_config config = {.features = HVPT_NPT_USE_SHADOW_STACK};
    const struct hvpt_attr stack = {HVPT_READ, HVPT_MEM_WB, HVPT_NPT_SHADOW_STACK, 0};
    struct arena arena;
    struct hvpt_space space;
    struct hvpt_mapping mapping;

    arena_open(&arena);
    cr_assert_eq(hvpt_npt_init(&space, &arena.hooks, &config), HVPT_OK);
    cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, rwx, NULL), HVPT_OK);
    cr_assert_eq(hvpt_space_protect(&space, hvpt_make_gpa(BASE), HVPT_4K, stack, HVPT_PERM_ALL | HVPT_CHANGE_FLAGS, NULL),
                 HVPT_OK);
    cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE), &mapping), HVPT_OK);
    cr_expect_eq(mapping.entry >> 2 & 1, 0, "the user bit");
    cr_expect_eq(mapping.entry >> 63, 1, "no-execute");
    cr_expect(mapping.attr.flags & HVPT_NPT_SHADOW_STACK);
    hvpt_space_destroy(&space);
}

/* APM vol. 2, "Nested Paging": without the user bit an entry gives a guest nothing, whatever else it says. */
Test(hostile, a_page_of_others_that_gives_nothing_gives_what_was_asked_for_alone)
{
    const struct hvpt_npt_config config = {.levels = 4};
    const struct hvpt_attr read = {HVPT_READ, HVPT_MEM_WB, 0, 0};
    struct arena arena;
    struct hvpt_space space;
    struct hvpt_mapping mapping;
    uint64_t *table;

    arena_open(&arena);
    cr_assert_eq(hvpt_npt_init(&space, &arena.hooks, &config), HVPT_OK);
    cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, rwx, NULL), HVPT_OK);
    cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE), &mapping), HVPT_OK);
    for (table = (uint64_t *)(void *)arena.memory; *table != mapping.entry; table++) {
    }
    *table &= ~(UINT64_C(1) << 2);
    cr_expect_eq(hvpt_space_write_protect(&space, hvpt_make_gpa(BASE), HVPT_4K, NULL), HVPT_OK, "there is nothing to take");
    cr_expect_eq(*table >> 1 & 1, 1, "nor was anything taken");
    cr_expect_eq(hvpt_space_protect(&space, hvpt_make_gpa(BASE), HVPT_4K, read, HVPT_READ, NULL), HVPT_OK);
    cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(BASE), &mapping), HVPT_OK);
    cr_expect_eq(mapping.attr.perm, HVPT_READ);
    hvpt_space_destroy(&space);
}

/* hvpt.h: protect changes what mask names to what attr says. What the rest of attr says does not count. */
Test(hostile, what_the_mask_does_not_name_may_be_anything)
{
    const struct hvpt_ept_config config = {.levels = 4};
    const struct hvpt_attr odd = {HVPT_READ, (enum hvpt_memtype)77, UINT32_MAX, 99};
    struct arena arena;
    struct hvpt_space space;

    arena_open(&arena);
    cr_assert_eq(hvpt_ept_init(&space, &arena.hooks, &config), HVPT_OK);
    cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(BASE), hvpt_make_hpa(HOST), HVPT_4K, rwx, NULL), HVPT_OK);
    cr_expect_eq(hvpt_space_protect(&space, hvpt_make_gpa(BASE), HVPT_4K, odd, HVPT_WRITE, NULL), HVPT_OK);
    cr_expect_eq(hvpt_space_protect(&space, hvpt_make_gpa(BASE), HVPT_4K, odd, HVPT_CHANGE_SOFTWARE, NULL), HVPT_E_ATTR);
    hvpt_space_destroy(&space);
}
