/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A stage 2 walk of the tests' own, from the two registers alone and the Arm ARM's tables: it shares nothing with the
 * headers. For reading back what hardware wrote, and for seeing what the tables hold in the middle of an operation.
 */
#ifndef VM_WALK_H
#define VM_WALK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * VTCR_EL2 taken apart. level: Arm's number of the first lookup, 0 to 3, or -1. tables: how many are concatenated
 * there.
 */
struct walk_geometry {
    unsigned granule_shift, ipa_bits, tables;
    int level;
    bool wide; /* DS: 52-bit addresses in 4K and 16K descriptors */
};
struct walk_geometry walk_geometry(uint64_t vtcr);

/* Where a walk for ipa ends: at a leaf, or at an entry that is not valid. level is Arm's. */
struct walk {
    volatile uint64_t *entry;
    uint64_t value;
    int level;
    bool valid;
};
struct walk walk_tables(uint64_t vttbr, uint64_t vtcr, uint64_t ipa);

/* The same no further than to an entry at level, Arm's number: for breaking entries on purpose. */
struct walk walk_to(uint64_t vttbr, uint64_t vtcr, uint64_t ipa, int level);

/* log2 of what an entry at Arm's level covers. */
unsigned walk_span_shift(const struct walk_geometry *geometry, int level);

#endif
