/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The sub-page permission table against the manual's figures (tests/reference/hvpt/spp_fields.csv; SDM vol. 3,
 * "Sub-Page Write Permissions"), a walker of its own, and a model that is one number a page.
 */
#include "../hvpt/support/memory.h"
#include "../hvpt/support/reference.h"

#include <hvpt/intel/spp.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define MAXPHYADDR 46
#define EPTP       UINT64_C(0x12345601e)

static const char *const entry_name[] = {"VECTOR", "SPPL2E", "SPPL3E", "SPPL4E"};
static struct reference fields;
static struct memory memory;
static struct hvpt_spp spp;

static uint64_t field(const char *entry, const char *name)
{
    return reference_field(&fields, entry, name, MAXPHYADDR);
}

/* The same for the walker, which is in a hurry. */
static uint64_t valid[4], reserved[4], address[4], sub_page[32];

static void load_fields(void)
{
    reference_load(&fields, "hvpt/spp_fields.csv");
    for (unsigned level = 0; level < 4; level++) {
        valid[level] = level > 0 ? field(entry_name[level], "VALID") : 0;
        address[level] = level > 0 ? field(entry_name[level], "TABLE_ADDRESS") : 0;
        reserved[level] = field(entry_name[level], "RESERVED");
    }
    for (unsigned part = 0; part < 32; part++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "SUBPAGE_%u", part);
        sub_page[part] = field("VECTOR", name);
    }
}

/* How the processor reads an entry: for the memory, which follows the tree. */
static bool child(const void *cpu, unsigned level, uint64_t entry, uint64_t *pa)
{
    (void)cpu;
    if (level == 0 || !(entry & 1))
        return false;
    *pa = entry & (((UINT64_C(1) << MAXPHYADDR) - 1) ^ 0xfff);
    return true;
}

static void open_with(bool linear)
{
    struct memory_options options = {.slots_log2 = 10,
                                     .linear = linear,
                                     .phys_base = linear ? UINT64_C(1) << 24 : UINT64_C(1) << (MAXPHYADDR - 1)};
    struct hvpt_spp_config config = {.maxphyaddr = MAXPHYADDR, .eptp = EPTP};

    memory_open(&memory, &options);
    memory.flush_kind = HVPT_FLUSH_INVEPT;
    memory.flush_root = EPTP;
    CHECK_STATUS(hvpt_spp_init(&spp, &memory.hooks, &config), HVPT_OK, "init");
    memory_track(&memory, child, NULL, 12, 9, hvpt_spp_root(&spp), 3);
}

static void open_scattered(void)
{
    load_fields();
    open_with(false);
}

static void close_all(void)
{
    memory.destroying = true;
    hvpt_spp_destroy(&spp);
    memory_close(&memory);
    reference_free(&fields);
}

TestSuite(spp, .init = open_scattered, .fini = close_all);

/* ---- a walker of its own ---- */

struct seen {
    enum hvpt_spp_outcome outcome;
    unsigned level;
    uint64_t vector;
    struct frame *frame;
    unsigned index;
};

static struct seen look(uint64_t gpa)
{
    struct seen seen = {HVPT_SPP_FOUND, 3, 0, NULL, 0};
    uint64_t pa = hvpt_spp_root(&spp);

    for (;; seen.level--) {
        uint64_t entry;

        seen.frame = memory_frame(&memory, pa);
        CHECK(seen.frame != NULL && seen.frame->state == FRAME_LINKED, "no table at %#llx", (unsigned long long)pa);
        seen.index = (unsigned)(gpa / (UINT64_C(0x1000) << 9 * seen.level)) % 512;
        entry = seen.frame->virt[seen.index];
        if (seen.level > 0 && !(entry & valid[seen.level])) {
            seen.outcome = HVPT_SPP_MISS;
            return seen;
        }
        if (entry & reserved[seen.level]) {
            seen.outcome = HVPT_SPP_MISCONFIGURED;
            return seen;
        }
        if (seen.level == 0) {
            seen.vector = entry;
            return seen;
        }
        pa = entry & address[seen.level];
    }
}

static uint32_t parts_of(uint64_t vector)
{
    uint32_t parts = 0;

    for (unsigned part = 0; part < 32; part++)
        parts |= vector & sub_page[part] ? UINT32_C(1) << part : 0;
    return parts;
}

/* ---- bits ---- */

Test(spp, every_named_bit_is_where_the_manual_has_it)
{
    for (unsigned level = 1; level < 4; level++) {
        CHECK_EQ(HVPT_SPP_BIT_VALID, field(entry_name[level], "VALID"), "valid");
        CHECK_EQ(HVPT_SPP_TABLE_RESERVED | ~((UINT64_C(1) << MAXPHYADDR) - 1), field(entry_name[level], "RESERVED"),
                 "reserved");
    }
    CHECK_EQ(HVPT_SPP_VECTOR_RESERVED, field("VECTOR", "RESERVED"), "reserved bits of a vector");
    for (unsigned part = 0; part < 32; part++) {
        CHECK_EQ(parts_of(hvpt_spp_vector(UINT32_C(1) << part)), UINT32_C(1) << part, "vector of one part");
        CHECK_EQ(hvpt_spp_vector(UINT32_C(1) << part) & (hvpt_spp_vector(UINT32_C(1) << part) - 1), 0, "one bit");
        CHECK_EQ(hvpt_spp_writable(hvpt_spp_vector(UINT32_C(1) << part)), UINT32_C(1) << part, "and back");
    }
    CHECK_EQ(hvpt_spp_vector(UINT32_MAX), ~field("VECTOR", "RESERVED"), "all parts");
    CHECK_EQ(hvpt_spp_writable(field("VECTOR", "RESERVED")), 0, "reserved bits are no parts");
}

Test(spp, the_root_is_a_frame_of_its_own)
{
    struct frame *root = memory_frame(&memory, hvpt_spp_root(&spp));

    CHECK(root != NULL && root->state == FRAME_LINKED, "SPPTP");
    for (unsigned i = 0; i < 512; i++)
        CHECK_EQ(root->virt[i], 0, "an empty root");
    CHECK_EQ(hvpt_spp_frames(&spp), 1, "frames");
}

/* ---- operations ---- */

/* Pages that share tables at every level, and some that share none. */
#define PAGES 24
static uint64_t page_of(unsigned i)
{
    static const uint64_t base[] = {0,
                                    UINT64_C(1) << 21,
                                    UINT64_C(1) << 30,
                                    UINT64_C(1) << 39,
                                    (UINT64_C(1) << 48) - (UINT64_C(8) << 12),
                                    UINT64_C(0x123456789000)};

    return base[i % 6] + ((uint64_t)(i / 6) << 12);
}

static uint64_t tables_needed(const uint32_t *model)
{
    uint64_t tables = 1;

    for (unsigned level = 0; level < 3; level++) {
        for (unsigned i = 0; i < PAGES; i++) {
            bool first = model[i] != 0;

            for (unsigned j = 0; j < i; j++)
                first = first && !(model[j] != 0 && page_of(i) >> (21 + 9 * level) == page_of(j) >> (21 + 9 * level));
            tables += first;
        }
    }
    return tables;
}

static void compare(const uint32_t *model)
{
    for (unsigned i = 0; i < PAGES; i++) {
        struct seen seen = look(page_of(i));
        struct hvpt_spp_lookup found;
        uint32_t writable = 0;
        enum hvpt_status status = hvpt_spp_query(&spp, hvpt_make_gpa(page_of(i) + 0x123), &writable);

        CHECK(seen.outcome == HVPT_SPP_FOUND || (seen.outcome == HVPT_SPP_MISS && model[i] == 0), "page %u", i);
        CHECK_EQ(parts_of(seen.vector), model[i], "parts that the processor finds");
        CHECK_STATUS(status, seen.outcome == HVPT_SPP_FOUND ? HVPT_OK : HVPT_E_ABSENT, "query");
        CHECK_EQ(writable, model[i], "parts that query finds");
        for (unsigned part = 0; part < 32; part++) {
            hvpt_spp_walk(&spp, hvpt_make_gpa(page_of(i) + part * 128 + 127), &found);
            CHECK_EQ(found.outcome, seen.outcome, "outcome");
            CHECK_EQ(found.level, seen.level, "level");
            CHECK_EQ(found.table.value, seen.frame->pa, "table");
            CHECK_EQ(found.entry, seen.frame->virt[seen.index], "entry");
            CHECK_EQ(found.allowed, model[i] >> part & 1, "part");
        }
    }
}

static void random_operations(void)
{
    uint32_t model[PAGES] = {0};
    struct random_stream random = {7};
    struct hvpt_flush flush = {0};
    uint64_t failed = 0, flushes = 0;

    for (unsigned step = 0; step < 2000; step++) {
        unsigned i = (unsigned)random_below(&random, PAGES);
        uint32_t writable = (uint32_t)random_next(&random) | 1;
        bool now = random_below(&random, 4) == 0;
        enum hvpt_status status;

        check_context("step %u", step);
        memory.fail_at = random_below(&random, 2) == 0 ? 1 + random_below(&random, 4) : 0;
        memory.fail_forever = true;
        if (random_below(&random, 5) < 2) {
            uint32_t old = model[i];

            status = hvpt_spp_allow(&spp, hvpt_make_gpa(page_of(i)), writable, now ? NULL : &flush);
            CHECK(status == HVPT_OK || (status == HVPT_E_NOMEM && memory.failures > failed), "allow: %s",
                  hvpt_status_text(status));
            if (status == HVPT_OK) {
                model[i] = writable;
                CHECK(now || !(old & ~writable) || hvpt_flush_needed(&flush), "a right was taken and nothing is owed");
            }
        } else {
            uint32_t old = model[i];

            status = hvpt_spp_clear(&spp, hvpt_make_gpa(page_of(i)), now ? NULL : &flush);
            CHECK_STATUS(status, HVPT_OK, "clear");
            model[i] = 0;
            CHECK(now || old == 0 || hvpt_flush_needed(&flush), "a page was forgotten and nothing is owed");
        }
        failed = memory.failures;
        memory.fail_at = 0;
        compare(model);
        CHECK(hvpt_spp_frames(&spp) == memory.live, "frames held: %llu, are %llu",
              (unsigned long long)hvpt_spp_frames(&spp), (unsigned long long)memory.live);
        if (random_below(&random, 8) == 0 || (step > 1000 && step < 1100)) {
            if (hvpt_flush_needed(&flush))
                flushes++;
            hvpt_spp_flush(&spp, &flush);
            CHECK(!hvpt_flush_needed(&flush), "flush is empty afterwards");
            CHECK_EQ(hvpt_spp_frames(&spp), tables_needed(model), "tables");
        }
    }
    CHECK(flushes > 100 && memory.failures > 20, "too little happened");
    hvpt_spp_flush(&spp, &flush);
}

Test(spp, follows_the_model_through_any_sequence)
{
    random_operations();
}

Test(spp, follows_the_model_with_a_linear_map)
{
    memory.destroying = true;
    hvpt_spp_destroy(&spp);
    memory_close(&memory);
    open_with(true);
    random_operations();
}

Test(spp, every_failed_allocation_leaves_all_as_it_was)
{
    for (uint64_t n = 1; n <= 4; n++) {
        uint64_t live = memory.live;

        memory.fail_at = n;
        if (n <= 3) {
            CHECK_STATUS(hvpt_spp_allow(&spp, hvpt_make_gpa(HVPT_1G), 1, NULL), HVPT_E_NOMEM, "allow");
            CHECK_EQ(memory.live, live, "frames");
            CHECK_EQ(look(HVPT_1G).level, 3, "nothing is linked");
        } else {
            CHECK_STATUS(hvpt_spp_allow(&spp, hvpt_make_gpa(HVPT_1G), 1, NULL), HVPT_OK, "three tables are enough");
        }
        memory.fail_at = 0;
    }
}

/* What is only given needs no flush: the violation drops what is cached. */
Test(spp, a_flush_is_owed_for_rights_taken_and_no_others)
{
    struct hvpt_flush flush = {0};
    hvpt_gpa gpa = hvpt_make_gpa(0x5000);

    CHECK_STATUS(hvpt_spp_allow(&spp, gpa, 0x3, &flush), HVPT_OK, "allow");
    CHECK_STATUS(hvpt_spp_allow(&spp, gpa, 0xf, &flush), HVPT_OK, "allow more");
    CHECK_STATUS(hvpt_spp_allow(&spp, gpa, 0xf, &flush), HVPT_OK, "the same again");
    CHECK(!hvpt_flush_needed(&flush), "rights given");
    CHECK_STATUS(hvpt_spp_allow(&spp, gpa, 0xe, &flush), HVPT_OK, "allow less");
    CHECK(hvpt_flush_needed(&flush) && flush.kind == HVPT_FLUSH_INVEPT && flush.root == EPTP, "INVEPT of the EPTP");
    CHECK(flush.gpa.value == 0x5000 && flush.size == 0x1000 && !flush.tables, "its range");
    hvpt_spp_flush(&spp, &flush);
    CHECK_STATUS(hvpt_spp_allow(&spp, gpa, 0, &flush), HVPT_OK, "allow nothing");
    hvpt_spp_flush(&spp, &flush);
    CHECK_EQ(look(0x5000).outcome, HVPT_SPP_FOUND, "and yet no miss");
    CHECK_STATUS(hvpt_spp_clear(&spp, gpa, &flush), HVPT_OK, "clear");
    CHECK(flush.tables && flush.dead_count == 1, "one subtree waits");
    CHECK_EQ(look(0x5000).level, 3, "a miss at the root");
    hvpt_spp_flush(&spp, &flush);
    CHECK_EQ(hvpt_spp_frames(&spp), 1, "frames");
    CHECK_STATUS(hvpt_spp_clear(&spp, gpa, &flush), HVPT_OK, "again");
    CHECK(!hvpt_flush_needed(&flush), "nothing to clear");
}

/* More subtrees than an obligation holds: it is settled on the way. */
Test(spp, a_full_obligation_is_settled_on_the_way)
{
    struct hvpt_flush flush = {0};

    for (unsigned i = 0; i < HVPT_FLUSH_DEAD_MAX + 1; i++)
        CHECK_STATUS(hvpt_spp_allow(&spp, hvpt_make_gpa((uint64_t)i << 30), 1, NULL), HVPT_OK, "allow");
    for (unsigned i = 0; i < HVPT_FLUSH_DEAD_MAX + 1; i++)
        CHECK_STATUS(hvpt_spp_clear(&spp, hvpt_make_gpa((uint64_t)i << 30), &flush), HVPT_OK, "clear");
    CHECK_EQ(memory.flushes, 1, "flushes");
    CHECK_EQ(flush.dead_count, 1, "subtrees that wait");
    hvpt_spp_flush(&spp, &flush);
    CHECK_EQ(hvpt_spp_frames(&spp), 1, "frames");
}

/* Where no subtree goes, none has to find room. */
Test(spp, a_full_obligation_has_room_for_another_vector)
{
    struct hvpt_flush flush = {0};

    CHECK_STATUS(hvpt_spp_allow(&spp, hvpt_make_gpa(0), 1, NULL), HVPT_OK, "allow");
    CHECK_STATUS(hvpt_spp_allow(&spp, hvpt_make_gpa(HVPT_4K), 1, NULL), HVPT_OK, "allow");
    for (unsigned i = 1; i <= HVPT_FLUSH_DEAD_MAX; i++) {
        CHECK_STATUS(hvpt_spp_allow(&spp, hvpt_make_gpa((uint64_t)i << 30), 1, NULL), HVPT_OK, "allow");
        CHECK_STATUS(hvpt_spp_clear(&spp, hvpt_make_gpa((uint64_t)i << 30), &flush), HVPT_OK, "clear");
    }
    CHECK_STATUS(hvpt_spp_clear(&spp, hvpt_make_gpa(0), &flush), HVPT_OK, "clear");
    CHECK_EQ(memory.flushes, 0, "flushes");
    CHECK_EQ(flush.dead_count, HVPT_FLUSH_DEAD_MAX, "subtrees that wait");
    hvpt_spp_flush(&spp, &flush);
}

/* ---- misses and misconfigurations ---- */

Test(spp, a_miss_and_each_misconfiguration_are_told_apart)
{
    const uint64_t gpa = UINT64_C(0x654321654000);
    struct hvpt_flush flush = {0};
    uint32_t writable;

    CHECK_STATUS(hvpt_spp_allow(&spp, hvpt_make_gpa(gpa), 0x80000001, NULL), HVPT_OK, "allow");
    for (unsigned level = 0; level < 4; level++) {
        struct frame *frame = NULL;
        unsigned index = (unsigned)(gpa >> (12 + 9 * level)) & 511;
        uint64_t pa = hvpt_spp_root(&spp), whole;

        for (unsigned at = 3;; at--) {
            frame = memory_frame(&memory, pa);
            if (at == level)
                break;
            pa = frame->virt[(gpa >> (12 + 9 * at)) & 511] & field("SPPL4E", "TABLE_ADDRESS");
        }
        whole = frame->virt[index];
        for (unsigned bit = 0; bit < 64; bit++) {
            const uint64_t entry = whole ^ UINT64_C(1) << bit;
            const bool broken = (reserved[level] >> bit & 1) != 0;
            const bool absent = (valid[level] >> bit & 1) != 0;
            struct hvpt_spp_lookup found;

            if (!broken && !absent)
                continue;
            memory_poke(frame, index, entry);
            hvpt_spp_walk(&spp, hvpt_make_gpa(gpa), &found);
            CHECK_EQ(found.outcome, broken ? HVPT_SPP_MISCONFIGURED : HVPT_SPP_MISS, "outcome");
            CHECK_EQ(found.level, level, "level");
            CHECK_EQ(found.entry, entry, "entry");
            CHECK_EQ(found.table.value, frame->pa, "table");
            CHECK(!found.allowed && found.writable == 0, "nothing is allowed");
            CHECK_STATUS(hvpt_spp_query(&spp, hvpt_make_gpa(gpa), &writable), broken ? HVPT_E_CORRUPT : HVPT_E_ABSENT,
                         "query");
            if (broken) {
                CHECK_STATUS(hvpt_spp_allow(&spp, hvpt_make_gpa(gpa), 1, &flush), HVPT_E_CORRUPT, "allow");
                CHECK_STATUS(hvpt_spp_clear(&spp, hvpt_make_gpa(gpa), &flush), HVPT_E_CORRUPT, "clear");
            }
            CHECK_EQ(frame->virt[index], entry, "left alone");
            memory_poke(frame, index, whole);
        }
    }
    CHECK(!hvpt_flush_needed(&flush), "nothing owed");
}

Test(spp, a_table_out_of_reach_is_an_answer)
{
    struct frame *root = memory_frame(&memory, hvpt_spp_root(&spp));
    struct hvpt_spp_lookup found;

    memory.lenient = true;
    memory_poke(root, 0, 0x3001);
    hvpt_spp_walk(&spp, hvpt_make_gpa(0), &found);
    CHECK_EQ(found.outcome, HVPT_SPP_UNREACHABLE, "outcome");
    CHECK_STATUS(hvpt_spp_allow(&spp, hvpt_make_gpa(0), 1, NULL), HVPT_E_CORRUPT, "allow");
    memory_poke(root, 0, 0);
}

Test(spp, arguments_are_judged_first)
{
    struct hvpt_spp other;
    struct hvpt_spp_config bad = {.maxphyaddr = 53}, low = {.maxphyaddr = 31}, usual = {0};
    struct hvpt_hooks no_hooks = {0};
    struct hvpt_spp_lookup found;
    uint32_t writable;

    CHECK_STATUS(hvpt_spp_allow(&spp, hvpt_make_gpa(0x80), 1, NULL), HVPT_E_ALIGN, "allow");
    CHECK_STATUS(hvpt_spp_clear(&spp, hvpt_make_gpa(0x80), NULL), HVPT_E_ALIGN, "clear");
    CHECK_STATUS(hvpt_spp_allow(&spp, hvpt_make_gpa(UINT64_C(1) << 48), 1, NULL), HVPT_E_RANGE, "allow");
    CHECK_STATUS(hvpt_spp_clear(&spp, hvpt_make_gpa(UINT64_C(1) << 48), NULL), HVPT_E_RANGE, "clear");
    CHECK_STATUS(hvpt_spp_query(&spp, hvpt_make_gpa(UINT64_C(1) << 48), &writable), HVPT_E_RANGE, "query");
    hvpt_spp_walk(&spp, hvpt_make_gpa(UINT64_C(1) << 48), &found);
    CHECK(found.outcome == HVPT_SPP_MISS && found.table.value == hvpt_spp_root(&spp), "beyond 48 bits");
    CHECK(found.level == 3 && found.entry == 0 && found.writable == 0 && !found.allowed, "beyond 48 bits, at the root");
    CHECK_STATUS(hvpt_spp_init(&other, &memory.hooks, &bad), HVPT_E_CONFIG, "53 bits");
    CHECK_STATUS(hvpt_spp_init(&other, &memory.hooks, &low), HVPT_E_CONFIG, "31 bits");
    CHECK_STATUS(hvpt_spp_init(&other, &no_hooks, &usual), HVPT_E_HOOK, "no hooks");
    memory.fail_at = 1;
    CHECK_STATUS(hvpt_spp_init(&other, &memory.hooks, &usual), HVPT_E_NOMEM, "no frame");
    hvpt_spp_destroy(&other); /* as good as never initialized */
    CHECK_EQ(memory.live, 1, "frames");
}

/* No memory, no hooks, no such CPU: whoever does not look at the status reaches nothing. */
Test(spp, a_table_that_could_not_be_made_is_refused_by_every_call)
{
    static const struct hvpt_spp_config configs[] = {{.maxphyaddr = 53}, {0}, {0}};
    struct hvpt_hooks no_hooks = {0};

    for (unsigned i = 0; i < 3; i++) {
        struct hvpt_spp other;
        struct hvpt_spp_lookup found;
        uint32_t writable;

        memset(&other, 0x5a, sizeof(other));
        memory.fail_at = i == 2 ? 1 : 0;
        CHECK(hvpt_spp_init(&other, i == 1 ? &no_hooks : &memory.hooks, &configs[i]) != HVPT_OK, "%u", i);
        CHECK_STATUS(hvpt_spp_allow(&other, hvpt_make_gpa(0x1000), 1, NULL), HVPT_E_RANGE, "allow");
        CHECK_STATUS(hvpt_spp_query(&other, hvpt_make_gpa(0x1000), &writable), HVPT_E_RANGE, "query");
        CHECK_STATUS(hvpt_spp_clear(&other, hvpt_make_gpa(0x1000), NULL), HVPT_E_RANGE, "clear");
        hvpt_spp_walk(&other, hvpt_make_gpa(0x1000), &found);
        CHECK(found.outcome == HVPT_SPP_MISS && !found.allowed, "walk");
        CHECK_EQ(hvpt_spp_root(&other), 0, "root");
        CHECK_EQ(hvpt_spp_frames(&other), 0, "frames");
        hvpt_spp_destroy(&other);
    }
    CHECK_EQ(memory.live, 1, "frames");
}

static const char *words(uint64_t gpa)
{
    static char bytes[256];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));

    hvpt_spp_explain(&spp, hvpt_make_gpa(gpa), &text);
    return bytes;
}

Test(spp, explain_names_entry_level_bit_and_rule)
{
    struct frame *root = memory_frame(&memory, hvpt_spp_root(&spp));
    struct seen seen;
    char expected[256];

    (void)snprintf(expected, sizeof(expected),
                   "entry 0x0 at level 3, in the table at %#llx: bit 0 is clear: SPP miss (SDM vol. 3, \"Sub-Page "
                   "Write Permissions\")",
                   (unsigned long long)root->pa);
    cr_expect_str_eq(words(0), expected);
    cr_expect_str_eq(words(UINT64_C(1) << 48), "beyond 48 bits: SPP miss (SDM vol. 3, \"Sub-Page Write Permissions\")");
    CHECK_STATUS(hvpt_spp_allow(&spp, hvpt_make_gpa(0), 2, NULL), HVPT_OK, "allow");
    seen = look(0);
    (void)snprintf(expected, sizeof(expected),
                   "entry 0x4 at level 0, in the table at %#llx: part 1 may be written (SDM vol. 3, \"Sub-Page Write "
                   "Permissions\")",
                   (unsigned long long)seen.frame->pa);
    cr_expect_str_eq(words(0x80), expected);
    cr_expect(strstr(words(0x100), "part 2 may not be written: EPT violation"));
    memory_poke(seen.frame, 0, 8);
    cr_expect(strstr(words(0), "entry 0x8 at level 0") && strstr(words(0), "an odd bit is set: SPP misconfiguration"));
    memory_poke(seen.frame, 0, 4);
    memory.lenient = true;
    memory_poke(root, 1, 0x1003);
    cr_expect(strstr(words(UINT64_C(1) << 39), "at level 3")
              && strstr(words(UINT64_C(1) << 39), "reserved bits are set: SPP misconfiguration"));
    memory_poke(root, 1, 0x1001);
    cr_expect(strstr(words(UINT64_C(1) << 39), "no memory can be read where it leads"));
    memory_poke(root, 1, 0);
}
