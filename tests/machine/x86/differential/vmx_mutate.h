/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* From a good VMCS to a case: one to three fields, or what they lead to in memory, become something else. */
#ifndef DIFFERENTIAL_VMX_MUTATE_H
#define DIFFERENTIAL_VMX_MUTATE_H

#include "differential.h"
#include "vmx_world.h"

struct vmx_case {
    struct hvctl_vmcs_image image;
    const struct hvctl_vmcs_image *good; /* what it was made from */
    struct hvctl_vmcs_set changed;       /* fields */
    void *word;                          /* memory that was changed, or NULL */
    unsigned word_bits;                  /* its size: 8, 32 or 64 */
    uint64_t word_good;                  /* its value in the good world */
};

/* The fields that some rule reads and this CPU has; count has what was seen of each rule so far. Called once. */
void mutate_init(const struct world *world, const struct rule_count *count);

/* Makes a case, and whatever it needs in world_pages. */
void mutate(struct vmx_case *out, const struct world *world, struct random *random);

/*
 * The case number of those in which one field of a good image changes, and nothing else: each bit of it, for a field of
 * which any value is survived, else pseudo-random values. What would not be survived is made good again. false: there
 * are no more cases.
 */
bool mutate_one_field(struct vmx_case *out, const struct hvctl_vmcs_image *good, unsigned number,
                      struct random *random);

/* Puts world_pages back. */
void mutate_undo(void);

/* A word of the case's memory, which world_pages are, and another value for it. */
uint64_t mutate_word(const struct vmx_case *of);
void mutate_set_word(const struct vmx_case *of, uint64_t value);

#endif
