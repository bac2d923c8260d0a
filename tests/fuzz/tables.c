/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: arbitrary bytes as tables, adopted for reading. Translate, batch, walk, iterator and explain say what
 * the processor of the unit tests would do, end, write nothing, and look at nothing but the frames offered.
 *
 * Input: byte 0 the configuration, then records of 12 bytes: frame (low 4 bits) and mode (high 4), slot (2 bytes), how
 * many slots from there on (1 byte), entry (8 bytes). Mode 1 to 15: the address part of the entry becomes that of frame
 * mode + the low address bits, so that trees come about.
 */
#include "../unit/hvpt/support/rig.h"

#include <string.h>

#define FRAMES  16
#define RECORD  12
#define ADDRESS UINT64_C(0x000ffffffffff000)
#define VISITS  250

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct memory memory;
static struct cpu cpu;
static struct hvpt_space space;
static const struct setup *setup;
static uint64_t root;
static unsigned visits;

/* What translate, walk and iterator must all say of one address. */
static void compare(uint64_t gpa, enum hvpt_status status, const struct hvpt_mapping *mapping)
{
    struct cpu_translation now;

    cpu_walk(&cpu, &memory, root, gpa, CPU_PROBE, &now);
    if (gpa >= setup_gpa_limit(setup)) {
        CHECK(status == HVPT_E_RANGE, "%#llx is beyond the space: \"%s\"", (unsigned long long)gpa,
              hvpt_status_text(status));
        return;
    }
    CHECK(status
              == (now.outcome == CPU_MAPPED   ? HVPT_OK
                  : now.outcome == CPU_ABSENT ? HVPT_E_ABSENT
                                              : HVPT_E_CORRUPT),
          "%#llx: \"%s\", the processor finds %d (%s), entry %#llx at level %u", (unsigned long long)gpa,
          hvpt_status_text(status), (int)now.outcome, now.rule ? now.rule : "-", (unsigned long long)now.entry,
          now.level);
    if (status != HVPT_OK)
        return;
    CHECK_EQ(mapping->hpa.value, now.hpa, "hpa");
    CHECK_EQ(mapping->attr.perm & (setup->two_exec ? 15 : 7), now.rights, "perm");
    CHECK_EQ(mapping->page_size, now.page_size, "page size");
    CHECK_EQ(mapping->entry, now.entry, "entry");
}

/* What explain says: the status, and words that fit and end. */
static void explain(uint64_t gpa, uint32_t access)
{
    char words[HVPT_EXPLAIN_SIZE];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));
    enum hvpt_status status = setup->adapter->explain(&space, gpa, access, &text), wanted;
    struct cpu_translation now;
    uint32_t perm;

    cpu_walk(&cpu, &memory, root, gpa, CPU_PROBE, &now);
    perm = now.perm | (!setup->two_exec && (now.perm & HVPT_EXEC) ? (uint32_t)HVPT_EXEC_USER : 0);
    wanted = gpa >= setup_gpa_limit(setup)    ? HVPT_E_RANGE
           : now.outcome == CPU_ABSENT        ? HVPT_E_ABSENT
           : now.outcome != CPU_MAPPED        ? HVPT_E_CORRUPT
           : (access & ~perm & HVPT_PERM_ALL) ? HVPT_E_ATTR
                                              : HVPT_OK;
    CHECK_STATUS(status, wanted, words);
    CHECK(buffer.needed < sizeof(words) && strlen(words) == buffer.needed, "%zu bytes of words", buffer.needed);
}

static bool leaf(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping)
{
    (void)ctx;
    compare(gpa.value, HVPT_OK, mapping);
    return ++visits < VISITS;
}

static bool hole(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level)
{
    (void)ctx, (void)level;
    compare(gpa.value, HVPT_E_ABSENT, NULL);
    compare(gpa.value + (size - 1), HVPT_E_ABSENT, NULL);
    return ++visits < VISITS;
}

static bool table(void *ctx, hvpt_gpa gpa, hvpt_hpa frame, unsigned level)
{
    (void)ctx, (void)gpa, (void)frame, (void)level;
    return ++visits < VISITS;
}

static void read_everything(const uint8_t *data, size_t size)
{
    struct hvpt_visitor visitor = {NULL, leaf, hole, table, table};
    struct hvpt_leaf_iterator iterator;
    struct hvpt_mapping mapping, many[32];
    enum hvpt_status status[32];
    hvpt_gpa gpa[32], at;

    /* Addresses whose indices are slots that the records name. */
    for (unsigned i = 0; i < 32; i++) {
        uint64_t address = 0;

        for (unsigned level = 0; level < 5; level++) {
            size_t record = 1 + RECORD * ((i * 7 + level * (i + 1)) % (1 + size / RECORD));
            uint64_t slot = record + 2 < size ? (data[record + 1] | data[record + 2] << 8) & 511 : i;

            address = address << 9 | slot;
        }
        address <<= 12;
        if (i % 8 != 7)
            address &= setup_gpa_limit(setup) - 1;
        gpa[i] = hvpt_make_gpa(address + i);
        compare(gpa[i].value, setup->adapter->translate(&space, gpa[i].value, &mapping), &mapping);
        explain(gpa[i].value, i % (HVPT_PERM_ALL + 1));
    }
    setup->adapter->translate_batch(&space, gpa, 32, many, status);
    for (unsigned i = 0; i < 32; i++)
        compare(gpa[i].value, status[i], &many[i]);

    visits = 0;
    (void)setup->adapter->walk(&space, 0, setup_gpa_limit(setup), &visitor);
    visits = 0;
    (void)setup->adapter->walk(&space, gpa[0].value & ~UINT64_C(0xfff), 64 * HVPT_4K, &visitor);
    iterator = hvpt_leaves(gpa[0], 256 * HVPT_4K);
    for (unsigned i = 0; i < VISITS && setup->adapter->next_leaf(&space, &iterator, &at, &mapping); i++)
        compare(at.value, HVPT_OK, &mapping);
}

/* The address part of an entry. */
static uint64_t point_to(uint64_t entry, uint64_t frame)
{
    if (setup->cpu.kind == CPU_GSTAGE)
        return (entry & ~(ADDRESS >> 2)) | frame >> 2;
    return (entry & ~ADDRESS) | frame;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_options options = {.slots_log2 = 4, .phys_base = UINT64_C(1) << 24};
    unsigned order;
    struct hvpt_stats stats;
    uint64_t frame[FRAMES];
    uint64_t stores;
    struct hvpt_attr attr = attr_of(HVPT_READ, HVPT_MEM_WB);

    if (size < 1 + RECORD)
        return 0;
    setup = &setups[data[0] % setup_count];
    order = options.slot_order = setup_root_order(setup);
    check_context("%s", setup->name);
    memory_open(&memory, &options);
    memory.lenient = true;
    cpu_init(&cpu, &setup->cpu);
    for (unsigned i = 0; i < FRAMES; i++) {
        hvpt_hpa got;

        CHECK(memory.hooks.alloc_frame(&memory, order, &got), "no frame");
        frame[i] = got.value;
        memset(memory_frame(&memory, got.value)->virt, 0, HVPT_4K << order);
    }
    for (size_t at = 1; at + RECORD <= size; at += RECORD) {
        unsigned mode = data[at] >> 4;
        unsigned slot = (data[at + 1] | data[at + 2] << 8) & 511;
        uint64_t entry = 0;

        for (unsigned i = 0; i < 8; i++)
            entry |= (uint64_t)data[at + 4 + i] << (8 * i);
        if (mode != 0)
            entry = point_to(entry, frame[mode]);
        for (unsigned i = 0; i <= data[at + 3] && slot + i < 512; i++)
            memory_frame(&memory, frame[data[at] & 15])->virt[slot + i] = entry;
    }
    root = setup_root_register(setup, frame[0]);
    stores = memory.stores;
    CHECK_STATUS(setup->adapter->adopt(&space, &memory.hooks, &setup->config, root, true), HVPT_OK, "adopt");
    read_everything(data, size);
    CHECK_STATUS(setup->adapter->map(&space, 0, 0, HVPT_4K, attr_rwx(), NULL), HVPT_E_READONLY, "map");
    CHECK_STATUS(setup->adapter->unmap(&space, 0, HVPT_4K, NULL), HVPT_E_READONLY, "unmap");
    CHECK_STATUS(setup->adapter->protect(&space, 0, HVPT_4K, attr, HVPT_WRITE, NULL), HVPT_E_READONLY, "protect");
    CHECK_STATUS(setup->adapter->fault_map(&space, 0, 0, HVPT_4K, attr_rwx()), HVPT_E_READONLY, "fault_map");
    setup->adapter->stats(&space, &stats);
    setup->adapter->destroy(&space);
    CHECK_EQ(memory.stores, stores, "stores into what was adopted for reading");
    CHECK_EQ(memory.live, FRAMES, "frames after destroy");
    for (unsigned i = 0; i < FRAMES; i++)
        memory.hooks.free_frame(&memory, hvpt_make_hpa(frame[i]), order);
    memory_close(&memory);
    return 0;
}
