/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The capability MSRs of emulated CPUs, and an rdmsr that plays one of them. */
#ifndef MODELS_H
#define MODELS_H

#include <hvctl/vmx/caps.h>

#include "table.h"

static const char *const model_name[] = {"haswell_4770", "skylake_x", "cnl", "icelake_u", "tigerlake"};
#define MODELS 5

struct model {
    uint64_t msr[0x500]; /* by number; only the capability MSRs are used */
    bool there[0x500];
    unsigned fields;   /* that VMREAD accepts */
    uint32_t last_msr; /* read last */
    unsigned reads;
};

static inline void model_load(struct model *model, const char *name)
{
    static struct table table;

    memset(model, 0, sizeof(*model));
    table_load(&table, "vmx_models.csv");
    for (unsigned i = 0; i < table.rows; i++) {
        if (strcmp(table.row[i].cell[0], name))
            continue;
        model->fields = (unsigned)row_number(&table.row[i], 1);
        model->msr[row_number(&table.row[i], 2)] = row_number(&table.row[i], 3);
        model->there[row_number(&table.row[i], 2)] = true;
    }
    cr_assert(model->fields, "no model %s", name);
}

/* The one whose row says the MSR is not there faults, as the CPU does. */
static inline bool model_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    struct model *model = ctx;

    model->last_msr = msr;
    model->reads++;
    if (msr == HVCTL_MSR_FEATURE_CONTROL) {
        *value = 5;
        return true;
    }
    if (msr >= 0x500 || !model->there[msr])
        return false;
    *value = model->msr[msr];
    return true;
}

/* A CPU with VMX, long mode, MAXPHYADDR 40, nothing else. */
static inline struct hvctl_cpuid model_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    struct hvctl_cpuid id = {0, 0, 0, 0};

    (void)ctx;
    (void)subleaf;
    switch (leaf) {
    case 0: id.eax = 1; break;
    case 1: id.ecx = 1u << 5; break;
    case 0x80000000u: id.eax = 0x80000008u; break;
    case 0x80000001u: id.edx = 1u << 29 | 1u << 20; break;
    case 0x80000008u: id.eax = 40 | 48 << 8; break;
    default: break;
    }
    return id;
}

static inline void model_caps(const char *name, struct hvctl_vmx_caps *caps)
{
    static struct model model;

    model_load(&model, name);
    cr_assert_eq(hvctl_vmx_caps_read(caps, model_rdmsr, model_cpuid, &model), HVCTL_OK);
}

#endif
