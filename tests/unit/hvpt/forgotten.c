/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What one forgets in the first hour: a memory type, a hook, a config, a number, an empty flush. Each is answered, and told
 * apart from what a CPU cannot do.
 */
#include <hvpt/ept.h>
#include <hvpt/gstage.h>
#include <hvpt/npt.h>
#include <hvpt/stage2.h>

#include <criterion/criterion.h>
#include <string.h>

#define FRAMES 128
#define HOST   hvpt_make_hpa(UINT64_C(0x80000000))
#define RWX    ((uint32_t)(HVPT_READ | HVPT_WRITE | HVPT_EXEC))

static _Alignas(65536) unsigned char memory[FRAMES * HVPT_4K];
static unsigned next, live, flushes;

static bool take(void *ctx, unsigned order, hvpt_hpa *out)
{
    unsigned count = 1u << order, first = (next + count - 1) / count * count;

    (void)ctx;
    if (first + count > FRAMES)
        return false;
    next = first + count;
    live++;
    *out = hvpt_make_hpa(first * HVPT_4K);
    return true;
}

static void give(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx;
    cr_assert(frame.value >= HVPT_4K && frame.value < FRAMES * HVPT_4K, "frame %llx was never given",
              (unsigned long long)frame.value);
    (void)order;
    live--;
}

static void flushed(void *ctx, const struct hvpt_flush *flush)
{
    (void)ctx;
    (void)flush;
    flushes++;
}

static const struct hvpt_hooks hooks = {NULL, take, give, NULL, memory, flushed};

enum { EPT, NPT, S2, GSTAGE, FORMATS };

/* A space of each format with one policy, or why not. */
static enum hvpt_status make(unsigned format, struct hvpt_space *space, const struct hvpt_hooks *with, uint32_t policy)
{
    const struct hvpt_ept_config ept = {.policy = policy};
    const struct hvpt_npt_config npt = {.policy = policy};
    const struct hvpt_s2_config s2 = {.policy = policy};
    const struct hvpt_gstage_config gstage = {.policy = policy, .features = HVPT_GSTAGE_USE_SVPBMT};

    next = 1;
    live = flushes = 0;
    switch (format) {
    case EPT: return hvpt_ept_init(space, with, &ept);
    case NPT: return hvpt_npt_init(space, with, &npt);
    case S2: return hvpt_s2_init(space, with, &s2);
    default: return hvpt_gstage_init(space, with, &gstage);
    }
}

/*
 * The bits of a leaf that say its memory type, and what they are for write-back memory: EPT, 6 in bits 5:3; NPT, PAT index
 * 0, which is write-back after reset; stage 2, MemAttr 0b1111 in bits 5:2; Svpbmt, PMA, 0 in bits 62:61.
 */
static const uint64_t memtype_bits[] = {0x38, 0x98, 0x3c, UINT64_C(3) << 61}, write_back[] = {0x30, 0, 0x3c, 0};

static void expect_write_back(unsigned format, const struct hvpt_space *space, hvpt_gpa gpa, const char *call)
{
    struct hvpt_mapping mapping;

    cr_assert_eq(hvpt_space_translate(space, gpa, &mapping), HVPT_OK, "%s, %u", call, format);
    cr_expect_eq(mapping.attr.memtype, HVPT_MEM_WB, "%s, %u", call, format);
    cr_expect_eq(mapping.entry & memtype_bits[format], write_back[format], "%s, %u", call, format);
}

Test(forgotten, a_memory_type_left_at_zero_is_the_usual_one)
{
    const struct hvpt_attr forgot = {.perm = RWX};
    struct hvpt_space space;

    for (unsigned format = 0; format < FORMATS; format++) {
        hvpt_gpa gpa = hvpt_make_gpa(0), other = hvpt_make_gpa(HVPT_4K), device = hvpt_make_gpa(2 * HVPT_4K);

        cr_assert_eq(make(format, &space, &hooks, 0), HVPT_OK);
        cr_assert_eq(hvpt_space_map(&space, gpa, HOST, HVPT_4K, forgot, NULL), HVPT_OK, "map, %u", format);
        expect_write_back(format, &space, gpa, "map");
        cr_assert_eq(hvpt_space_fault_map(&space, other, HOST, HVPT_4K, forgot), HVPT_OK, "fault_map, %u", format);
        expect_write_back(format, &space, other, "fault_map");
        cr_assert_eq(hvpt_space_map(&space, device, HOST, HVPT_4K, hvpt_device(HVPT_READ), NULL), HVPT_OK, "%u", format);
        cr_assert_eq(hvpt_space_protect(&space, device, HVPT_4K, forgot, HVPT_CHANGE_MEMTYPE, NULL), HVPT_OK, "%u", format);
        expect_write_back(format, &space, device, "protect");
        cr_assert_eq(hvpt_space_replace(&space, other, HOST, HVPT_4K, hvpt_device(RWX), NULL), HVPT_OK, "%u", format);
        cr_assert_eq(hvpt_space_replace(&space, other, HOST, HVPT_4K, forgot, NULL), HVPT_OK, "replace, %u", format);
        expect_write_back(format, &space, other, "replace");
        hvpt_space_destroy(&space);
    }
}

Test(forgotten, ram_is_cached_and_a_device_is_not)
{
    struct hvpt_mapping mapping;
    struct hvpt_space space;

    for (unsigned format = 0; format < FORMATS; format++) {
        cr_assert_eq(make(format, &space, &hooks, 0), HVPT_OK);
        cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(0), HOST, HVPT_4K, hvpt_ram(RWX), NULL), HVPT_OK);
        cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(HVPT_4K), HOST, HVPT_4K, hvpt_device(HVPT_READ | HVPT_WRITE), NULL),
                     HVPT_OK);
        cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(0), &mapping), HVPT_OK);
        cr_expect_eq(mapping.attr.memtype, HVPT_MEM_WB);
        if (hvpt_space_translate(&space, hvpt_make_gpa(HVPT_4K), &mapping) == HVPT_OK)
            cr_expect_eq(mapping.attr.memtype, HVPT_MEM_UC);
        hvpt_space_destroy(&space);
    }
}

Test(forgotten, a_hook_a_number_and_a_missing_feature_are_told_apart)
{
    const struct hvpt_hooks no_alloc = {.free_frame = give, .linear_map = memory}, no_free = {.alloc_frame = take, .linear_map = memory};
    const struct hvpt_ept_config number = {.maxphyaddr = 64}, plain = {.ept_vpid_cap = HVPT_EPT_CAP_LEVELS_4 | HVPT_EPT_CAP_WB},
                                 feature = {.ept_vpid_cap = plain.ept_vpid_cap, .features = HVPT_EPT_USE_ACCESSED_DIRTY},
                                 depth = {.ept_vpid_cap = plain.ept_vpid_cap, .levels = 5};
    struct hvpt_space space;

    for (unsigned format = 0; format < FORMATS; format++) {
        cr_expect_eq(make(format, &space, NULL, 0), HVPT_E_HOOK, "%u", format);
        cr_expect_eq(make(format, &space, &no_alloc, 0), HVPT_E_HOOK, "%u", format);
        cr_expect_eq(make(format, &space, &no_free, 0), HVPT_E_HOOK, "%u", format);
    }
    cr_expect_eq(hvpt_ept_init(&space, &hooks, NULL), HVPT_E_CONFIG);
    cr_expect_eq(hvpt_npt_init(&space, &hooks, NULL), HVPT_E_CONFIG);
    cr_expect_eq(hvpt_s2_init(&space, &hooks, NULL), HVPT_E_CONFIG);
    cr_expect_eq(hvpt_gstage_init(&space, &hooks, NULL), HVPT_E_CONFIG);
    cr_expect_eq(hvpt_ept_adopt(&space, &hooks, NULL, 0x101e, true), HVPT_E_CONFIG);
    cr_expect_eq(hvpt_npt_adopt(&space, &hooks, NULL, 0x1000, true), HVPT_E_CONFIG);
    cr_expect_eq(hvpt_s2_adopt(&space, &hooks, NULL, 0x10000, true), HVPT_E_CONFIG);
    cr_expect_eq(hvpt_gstage_adopt(&space, &hooks, NULL, UINT64_C(8) << 60 | 4, true), HVPT_E_CONFIG);
    cr_expect_eq(hvpt_ept_init(&space, &hooks, &number), HVPT_E_CONFIG);
    cr_expect_eq(hvpt_ept_init(&space, &hooks, &feature), HVPT_E_ATTR);
    cr_expect_eq(hvpt_ept_init(&space, &hooks, &depth), HVPT_E_ATTR);
    cr_expect_str_neq(hvpt_status_text(HVPT_E_HOOK), hvpt_status_text(HVPT_E_CONFIG));
    cr_expect_str_neq(hvpt_status_text(HVPT_E_HOOK), hvpt_status_text(HVPT_E_ATTR));
    cr_expect_str_neq(hvpt_status_text(HVPT_E_CONFIG), hvpt_status_text(HVPT_E_ATTR));
    cr_expect_eq(hvpt_ept_init(&space, &hooks, &plain), HVPT_OK);
    hvpt_space_destroy(&space);
}

static bool take_far(void *ctx, unsigned order, hvpt_hpa *out)
{
    bool taken = take(ctx, order, out);

    out->value |= UINT64_C(1) << 46;
    return taken;
}

static void give_far(void *ctx, hvpt_hpa frame, unsigned order)
{
    give(ctx, hvpt_make_hpa(frame.value & ~(UINT64_C(1) << 46)), order);
}

/* A pointer of a host program, taken for a physical address, lies beyond most CPUs' MAXPHYADDR: the words say so. */
Test(forgotten, a_frame_that_is_a_pointer_and_a_page_that_denies_are_named)
{
    const struct hvpt_hooks far_frames = {NULL, take_far, give_far, NULL, memory, NULL};
    const struct hvpt_ept_config small = {.maxphyaddr = 46};
    struct hvpt_text_buffer buffer;
    char words[HVPT_EXPLAIN_SIZE];
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));
    struct hvpt_space space;

    next = 1;
    live = 0;
    cr_assert_eq(hvpt_ept_init(&space, &far_frames, &small), HVPT_E_NOMEM);
    cr_expect_eq(live, 0);
    cr_expect(strstr(hvpt_status_text(HVPT_E_NOMEM), "beyond MAXPHYADDR") != NULL, "%s", hvpt_status_text(HVPT_E_NOMEM));
    cr_assert_eq(make(EPT, &space, &hooks, 0), HVPT_OK);
    cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(0), HOST, HVPT_4K, hvpt_ram(HVPT_READ), NULL), HVPT_OK);
    cr_assert_eq(hvpt_space_explain(&space, hvpt_make_gpa(0), HVPT_WRITE, &text), HVPT_E_ATTR);
    cr_expect(strstr(hvpt_status_text(HVPT_E_ATTR), "denies") != NULL, "%s", hvpt_status_text(HVPT_E_ATTR));
    hvpt_space_destroy(&space);
}

/* hvpt_ept_adopt and its likes, for reading: the hooks need neither alloc_frame nor free_frame. */
Test(forgotten, hooks_that_allocate_are_not_needed_to_read)
{
    const struct hvpt_hooks reading = {.linear_map = memory};
    const struct hvpt_ept_config ept = {.maxphyaddr = 40};
    const struct hvpt_npt_config npt = {.maxphyaddr = 40};
    const struct hvpt_s2_config s2 = {.ipa_bits = 40};
    const struct hvpt_gstage_config gstage = {.maxphyaddr = 40};

    for (unsigned format = 0; format < FORMATS; format++) {
        struct hvpt_mapping mapping;
        struct hvpt_space made, space;
        enum hvpt_status status;
        uint64_t root;

        cr_assert_eq(make(format, &made, &hooks, 0), HVPT_OK);
        cr_assert_eq(hvpt_space_map(&made, hvpt_make_gpa(0), HOST, HVPT_4K, hvpt_ram(RWX), NULL), HVPT_OK);
        root = hvpt_space_root(&made);
        status = format == EPT   ? hvpt_ept_adopt(&space, &reading, &ept, root, true)
               : format == NPT   ? hvpt_npt_adopt(&space, &reading, &npt, root, true)
               : format == S2    ? hvpt_s2_adopt(&space, &reading, &s2, root, true)
                                 : hvpt_gstage_adopt(&space, &reading, &gstage, root, true);
        cr_assert_eq(status, HVPT_OK, "%u: %s", format, hvpt_status_text(status));
        cr_assert_eq(hvpt_space_translate(&space, hvpt_make_gpa(8), &mapping), HVPT_OK);
        cr_expect_eq(mapping.hpa.value, HOST.value + 8);
        hvpt_space_destroy(&space);
        hvpt_space_destroy(&made);
        cr_expect_eq(live, 0);
    }
}

/* flush.h: whatever was in its memory, the calls flush, and no frame is freed that no call gave up. */
Test(forgotten, an_empty_flush_does_no_harm)
{
    static const unsigned char garbage[] = {0x00, 0x01, 0x55, 0x80, 0xa5, 0xff};
    const uint64_t size = 32 * HVPT_2M;

    for (unsigned format = 0; format < FORMATS; format++) {
        for (unsigned with = 0; with < 2 * sizeof(garbage); with++) {
            struct hvpt_flush flush;
            struct hvpt_stats stats;
            struct hvpt_space space;

            cr_assert_eq(make(format, &space, &hooks, 0), HVPT_OK);
            /* One page in each 2 MiB: more tables than one obligation holds. */
            for (uint64_t gpa = 0; gpa < size; gpa += HVPT_2M)
                cr_assert_eq(hvpt_space_map(&space, hvpt_make_gpa(gpa), HOST, HVPT_4K, hvpt_ram(RWX), NULL), HVPT_OK);
            flushes = 0;
            memset(&flush, garbage[with / 2], sizeof(flush));
            if (with % 2)
                flush.kind = HVPT_FLUSH_NONE; /* by chance */
            cr_assert_eq(hvpt_space_unmap(&space, hvpt_make_gpa(0), size, &flush), HVPT_OK);
            hvpt_space_flush(&space, &flush);
            cr_expect_gt(flushes, 0, "format %u, garbage %u", format, with);
            hvpt_space_flush(&space, NULL);
            hvpt_space_stats(&space, &stats);
            cr_expect_eq(stats.frames, live, "format %u, garbage %u", format, with);
            hvpt_space_destroy(&space);
            cr_expect_eq(live, 0, "format %u, garbage %u", format, with);
        }
    }
}
