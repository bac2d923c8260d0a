/*
 * One step of a walk through a G-stage (RISC-V) or stage 2 (Arm), after the algorithms in the architecture manuals.
 * Shared with hardware.c alone, which does what all processors do alike.
 */
#ifndef HVPT_TEST_RISC_H
#define HVPT_TEST_RISC_H

#include "hardware.h"

/* true: entry refers to a table, and out->hpa is where. Else out is finished: a page, or an outcome. entry has V set. */
bool gstage_step(const struct cpu_features *on, uint64_t entry, unsigned level, uint64_t gpa,
                 struct cpu_translation *out);
bool s2_step(const struct cpu_features *on, uint64_t entry, unsigned level, uint64_t gpa, struct cpu_translation *out);

bool gstage_is_leaf(uint64_t entry);
bool s2_is_leaf(unsigned level, uint64_t entry);
uint64_t gstage_address(uint64_t entry);
uint64_t s2_address(const struct cpu_features *on, uint64_t entry);
uint64_t gstage_root(uint64_t hgatp);
uint64_t s2_root(const struct cpu_features *on, uint64_t vttbr);

/* The bits that say used and written; 0 where this leaf has none. */
void gstage_marks(uint64_t *accessed, uint64_t *dirty);
void s2_marks(const struct cpu_features *on, uint64_t entry, uint64_t *accessed, uint64_t *dirty);

bool s2_wants_break(const struct cpu_features *on, unsigned level, uint64_t old, uint64_t value);

#endif
