/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The slow way to the type of an address, and machines to ask it of. */
#include "mtrr_model.h"

#include "../hvpt/support/reference.h"

#include <stdlib.h>
#include <string.h>

void machine_set(struct machine *machine, uint32_t msr, uint64_t value)
{
    size_t i = 0;

    while (i < machine->count && machine->msr[i] != msr)
        i++;
    CHECK(i < MSRS, "too many MSRs");
    machine->count += i == machine->count;
    machine->msr[i] = msr;
    machine->value[i] = value;
    if (msr >= 0x200 && msr < 0x250)
        (msr % 2 == 0 ? machine->base : machine->mask)[(msr - 0x200) / 2] = value;
}

static const uint64_t *find(const struct machine *machine, uint32_t msr)
{
    for (size_t i = 0; i < machine->count; i++)
        if (machine->msr[i] == msr)
            return &machine->value[i];
    return NULL;
}

uint64_t machine_get(const struct machine *machine, uint32_t msr)
{
    const uint64_t *value = find(machine, msr);

    CHECK(value != NULL, "MSR %#x was never set", msr);
    return *value;
}

bool machine_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    struct machine *machine = ctx;
    const uint64_t *found = find(machine, msr);

    if (found == NULL || machine->rdmsr_left == 0)
        return false;
    machine->rdmsr_left--;
    machine->reads++;
    *value = *found;
    return true;
}

void machine_init(struct machine *machine, unsigned maxphyaddr, unsigned pairs)
{
    memset(machine, 0, sizeof(*machine));
    machine->maxphyaddr = maxphyaddr;
    machine->rdmsr_left = 1000;
    machine_set(machine, 0xfe, 0x400 | pairs);
    machine_set(machine, 0x2ff, 0x800);
    for (uint32_t pair = 0; pair < pairs; pair++) {
        machine_set(machine, 0x200 + 2 * pair, 0);
        machine_set(machine, 0x201 + 2 * pair, 0);
    }
}

void machine_random(struct machine *machine, struct random_stream *random, unsigned maxphyaddr)
{
    static const unsigned types[] = {TYPE_UC, TYPE_WC, TYPE_WT, TYPE_WP, TYPE_WB};
    unsigned pairs = (unsigned)random_below(random, 11);
    uint64_t all = ((UINT64_C(1) << maxphyaddr) - 1) & ~UINT64_C(0xfff);

    machine_init(machine, maxphyaddr, pairs);
    for (uint32_t pair = 0; pair < pairs; pair++) {
        uint64_t low = 12 + random_below(random, maxphyaddr - 11);
        uint64_t mask = all & ~((UINT64_C(1) << low) - 1);

        switch (random_below(random, 4)) {
        case 0: mask &= random_next(random) | random_next(random); break; /* holes */
        case 1: mask &= ~(UINT64_C(1) << random_below(random, maxphyaddr)); break;
        default: break;
        }
        /* Bits of base that mask does not name do not count, nor do bits from MAXPHYADDR up; some are set all the same. */
        if (random_below(random, 8) == 0)
            mask |= random_next(random) << maxphyaddr;
        machine_set(machine, 0x200 + 2 * pair,
                    (random_next(random) & ~UINT64_C(0xfff)) | types[random_below(random, 5)]);
        machine_set(machine, 0x201 + 2 * pair, mask | (random_below(random, 6) != 0 ? 0x800 : 0));
    }
    machine_set(machine, 0x2ff, 0x800 | types[random_below(random, 5)]);
    if (random_below(random, 2) == 0) {
        machine_set(machine, 0xfe, machine_get(machine, 0xfe) | 0x100);
        machine_set(machine, 0x2ff, machine_get(machine, 0x2ff) | (random_below(random, 4) != 0 ? 0x400 : 0));
        for (uint32_t msr = 0x250; msr < 0x270; msr++) {
            uint64_t value = 0;

            for (unsigned byte = 0; byte < 8; byte++)
                value = value << 8 | types[random_below(random, 5)];
            machine_set(machine, msr, random_below(random, 2) ? value : UINT64_C(0x0606060606060606));
        }
    }
    if (random_below(random, 3) == 0) {
        machine->amd = true;
        machine_set(machine, 0xc0010010, random_below(random, 8) << 20);
        machine_set(machine, 0xc001001d, random_next(random) & all);
    }
}

bool machine_load(struct machine *machine, size_t number, const char **name)
{
    static char kept[64];
    struct reference records;
    const char *current = "";
    size_t seen = 0;

    reference_load(&records, "hvpt/mtrr_machines.csv");
    memset(machine, 0, sizeof(*machine));
    machine->rdmsr_left = 1000;
    for (size_t row = 1; row < records.rows; row++) {
        char **cell = records.cell[row];

        seen += strcmp(current, cell[0]) != 0;
        current = cell[0];
        if (seen != number + 1)
            continue;
        CHECK(strlen(cell[0]) < sizeof(kept), "name too long");
        strcpy(kept, cell[0]);
        machine->maxphyaddr = (unsigned)strtoul(cell[1], NULL, 0);
        machine->amd = strcmp(cell[2], "1") == 0;
        machine_set(machine, (uint32_t)strtoul(cell[3], NULL, 0), strtoull(cell[4], NULL, 0));
    }
    reference_free(&records);
    *name = kept;
    return machine->count != 0;
}

size_t machine_load_ranges(const char *name, struct machine_range *ranges, size_t room)
{
    struct reference records;
    size_t count = 0;

    reference_load(&records, "hvpt/mtrr_machine_ranges.csv");
    for (size_t row = 1; row < records.rows; row++) {
        char **cell = records.cell[row];

        if (strcmp(cell[0], name) != 0)
            continue;
        CHECK(count < room, "more ranges than room");
        ranges[count].start = strtoull(cell[1], NULL, 0);
        ranges[count].end = strtoull(cell[2], NULL, 0);
        ranges[count].type = type_named(cell[3]);
        count++;
    }
    reference_free(&records);
    CHECK(count != 0, "no ranges of %s", name);
    return count;
}

unsigned type_named(const char *name)
{
    if (strcmp(name, "UC") == 0)
        return TYPE_UC;
    if (strcmp(name, "WC") == 0)
        return TYPE_WC;
    if (strcmp(name, "WT") == 0)
        return TYPE_WT;
    if (strcmp(name, "WP") == 0)
        return TYPE_WP;
    CHECK(strcmp(name, "WB") == 0, "no memory type: %s", name);
    return TYPE_WB;
}

/* SDM vol. 3, table "Address Mapping for Fixed-Range MTRRs". */
static unsigned fixed_type(const struct machine *machine, uint64_t address)
{
    uint64_t from = 0;

    for (uint32_t msr = 0x250; msr <= 0x26f; msr++) {
        uint64_t size = msr == 0x250 ? 0x10000 : msr <= 0x259 ? 0x4000 : 0x1000;

        if (msr != 0x250 && msr != 0x258 && msr != 0x259 && msr < 0x268)
            continue;
        for (unsigned byte = 0; byte < 8; byte++, from += size)
            if (address >= from && address < from + size)
                return (machine_get(machine, msr) >> (8 * byte)) & 0xff;
    }
    CHECK(false, "%#llx is in no fixed range", (unsigned long long)address);
}

static bool in_range(uint64_t base, uint64_t mask, unsigned maxphyaddr, uint64_t address)
{
    for (unsigned bit = maxphyaddr; bit-- > 12;)
        if ((mask >> bit & 1) && (base >> bit & 1) != (address >> bit & 1))
            return false;
    return true;
}

/* SDM vol. 3, "MTRR Precedences", sentence by sentence. */
unsigned model_type(const struct machine *machine, uint64_t address, bool *defined)
{
    uint64_t def_type = machine_get(machine, 0x2ff);
    unsigned hits[256] = {0};
    unsigned matches = 0, pairs = (unsigned)(machine_get(machine, 0xfe) & 0xff);

    *defined = true;
    if (!(def_type & 0x800))
        return TYPE_UC;
    if (address < 0x100000 && (def_type & 0x400))
        return fixed_type(machine, address);
    for (uint32_t pair = 0; pair < pairs; pair++) {
        uint64_t base = machine->base[pair], mask = machine->mask[pair];

        if ((mask & 0x800) && in_range(base, mask, machine->maxphyaddr, address)) {
            hits[base & 0xff]++;
            matches++;
        }
    }
    if (matches == 0) {
        if (machine->amd && (machine_get(machine, 0xc0010010) >> 21 & 3) == 3 && address >= UINT64_C(0x100000000)
            && address < (machine_get(machine, 0xc001001d) >> 23 << 23))
            return TYPE_WB;
        return (unsigned)(def_type & 0xff);
    }
    for (unsigned type = 0; type < 256; type++)
        if (hits[type] == matches)
            return type;
    if (hits[TYPE_UC] > 0)
        return TYPE_UC;
    if (hits[TYPE_WT] + hits[TYPE_WB] == matches)
        return TYPE_WT;
    *defined = false;
    return TYPE_UC;
}
