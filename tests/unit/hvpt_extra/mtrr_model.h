/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * MTRRs as the manual's prose has them: MSRs by number, every address looked at for itself, every bit compared alone.
 * SDM vol. 3, "Memory Type Range Registers (MTRRs)". Shares nothing with the library.
 */
#ifndef HVPT_TEST_MTRR_MODEL_H
#define HVPT_TEST_MTRR_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../hvpt/support/check.h"

#define MSRS 128

/* The encoding of types, as in the MSRs. */
enum { TYPE_UC = 0, TYPE_WC = 1, TYPE_WT = 4, TYPE_WP = 5, TYPE_WB = 6 };

/* One machine: its MSRs, and what CPUID says. rdmsr_left: so many reads succeed, the next fails. */
struct machine {
    unsigned maxphyaddr;
    bool amd;
    size_t count;
    uint32_t msr[MSRS];
    uint64_t value[MSRS];
    uint64_t base[40], mask[40]; /* MSRs 200H to 24FH once more, to be found fast */
    unsigned reads;
    unsigned rdmsr_left;
};

/* One range as tests/reference/hvpt/mtrr_machine_ranges.csv has it. */
struct machine_range {
    uint64_t start, end;
    unsigned type;
};

void machine_set(struct machine *machine, uint32_t msr, uint64_t value);
uint64_t machine_get(const struct machine *machine, uint32_t msr);
/* An rdmsr callback; ctx is a struct machine. false for an MSR that was never set. */
bool machine_rdmsr(void *ctx, uint32_t msr, uint64_t *value);
/* A machine without MTRR ranges: enabled, UC by default, so many variable pairs. */
void machine_init(struct machine *machine, unsigned maxphyaddr, unsigned pairs);
/* Any registers: masks with holes, ranges that overlap, fixed ranges on or off. */
void machine_random(struct machine *machine, struct random_stream *random, unsigned maxphyaddr);
/* The machines of tests/reference/hvpt/mtrr_machines.csv, by number. false: there are no more. */
bool machine_load(struct machine *machine, size_t number, const char **name);
/* Its ranges; returns how many. */
size_t machine_load_ranges(const char *name, struct machine_range *ranges, size_t room);

/* The type at address. *defined: false where the manual leaves it open; TYPE_UC is returned there. */
unsigned model_type(const struct machine *machine, uint64_t address, bool *defined);

/* UC to WB as the records write them. */
unsigned type_named(const char *name);

#endif
