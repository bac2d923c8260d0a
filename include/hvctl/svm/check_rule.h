/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A VMRUN rule: a row of a table with a small function, and the view of a VMCB that these functions get. The tables are
 * in the check_*.h files beside this one; check.h runs them.
 */
#ifndef HVCTL_SVM_CHECK_RULE_H
#define HVCTL_SVM_CHECK_RULE_H

#include "../common/check.h"
#include "caps.h"
#include "vmcb.h"

/* CR4 and EFER bits that struct hvctl_svm_caps does not have; hvctl_svm_surroundings_cpuid fills them in. */
struct hvctl_svm_cpu_facts {
    bool known;         /* false: the rest is not used; bits that only some CPUs have are accepted */
    uint64_t cr4, efer; /* the bits that exist */
};

/*
 * What VMRUN depends on besides the VMCB and the capabilities. All zero: a hypervisor in long mode that has not set up
 * SEV, without access to memory.
 */
struct hvctl_svm_surroundings {
    hvctl_read_memory_fn read; /* NULL: rules that look into memory are reported as not checked */
    void *ctx;
    bool host_no_paging; /* the host's CR0.PG is 0 */
    bool host_legacy;    /* the host is not in 64-bit mode */
    bool sev_on;         /* SYSCFG.MemEncryptionModEn is 1 */
    bool smm_unlocked;   /* HWCR.SmmLock is 0; matters with SEV */
    bool snp_on;         /* SEV-SNP is enabled globally */
    struct hvctl_svm_cpu_facts cpu;
    bool sev_features_known; /* sev_features is what the guest's VMSA has, which cannot be read there */
    uint64_t sev_features;
};

/* CR4 and EFER bits as of APM rev. 3.44; not all exist on a CPU. */
#define HVCTL_SVM_CR4_BITS UINT64_C(0x0000000100f71fff) /* 10:0, 11 UMIP, 12 LA57, 16..18, 20..23, 32 FRED */
#define HVCTL_SVM_EFER_BITS \
    UINT64_C(0x000000000036fd01) /* SCE, LME, LMA, NXE, SVME, LMSLE, FFXSR, TCE, MCOMMIT, INTWB, UAIE, AIBRSE */

/* Read the facts from CPUID. Needs no privilege. APM vol. 3, "CPUID"; APM vol. 2, "CR4 Register", "EFER". */
static inline void hvctl_svm_surroundings_cpuid(struct hvctl_svm_surroundings *around, hvctl_cpuid_fn cpuid, void *ctx)
{
    uint32_t top = (cpuid)(ctx, 0, 0).eax, top_extended = (cpuid)(ctx, UINT32_C(0x80000000), 0).eax;
    struct hvctl_cpuid one = {0, 0, 0, 0}, seven = {0, 0, 0, 0}, ext1 = {0, 0, 0, 0}, ext8 = {0, 0, 0, 0},
                       ext21 = {0, 0, 0, 0};
    uint64_t cr4 = 0, efer = HVCTL_EFER_SVME;

    if (top >= 1)
        one = (cpuid)(ctx, 1, 0);
    if (top >= 7)
        seven = (cpuid)(ctx, 7, 0);
    if (top_extended >= UINT32_C(0x80000001))
        ext1 = (cpuid)(ctx, UINT32_C(0x80000001), 0);
    if (top_extended >= UINT32_C(0x80000008))
        ext8 = (cpuid)(ctx, UINT32_C(0x80000008), 0);
    if (top_extended >= UINT32_C(0x80000021))
        ext21 = (cpuid)(ctx, UINT32_C(0x80000021), 0);

    cr4 |= one.edx >> 1 & 1u ? 0x3u : 0;         /* VME, PVI */
    cr4 |= one.edx >> 4 & 1u ? 0x4u : 0;         /* TSD */
    cr4 |= one.edx >> 2 & 1u ? 0x8u : 0;         /* DE */
    cr4 |= one.edx >> 3 & 1u ? 0x10u : 0;        /* PSE */
    cr4 |= one.edx >> 6 & 1u ? 0x20u : 0;        /* PAE */
    cr4 |= one.edx >> 7 & 1u ? 0x40u : 0;        /* MCE */
    cr4 |= one.edx >> 13 & 1u ? 0x80u : 0;       /* PGE */
    cr4 |= 0x100u;                               /* PCE */
    cr4 |= one.edx >> 24 & 1u ? 0x200u : 0;      /* OSFXSR */
    cr4 |= one.edx >> 25 & 1u ? 0x400u : 0;      /* OSXMMEXCPT */
    cr4 |= seven.ecx >> 2 & 1u ? 0x800u : 0;     /* UMIP */
    cr4 |= seven.ecx >> 16 & 1u ? 0x1000u : 0;   /* LA57 */
    cr4 |= seven.ebx & 1u ? 0x10000u : 0;        /* FSGSBASE */
    cr4 |= one.ecx >> 17 & 1u ? 0x20000u : 0;    /* PCIDE */
    cr4 |= one.ecx >> 26 & 1u ? 0x40000u : 0;    /* OSXSAVE */
    cr4 |= seven.ebx >> 7 & 1u ? 0x100000u : 0;  /* SMEP */
    cr4 |= seven.ebx >> 20 & 1u ? 0x200000u : 0; /* SMAP */
    cr4 |= seven.ecx >> 3 & 1u ? 0x400000u : 0;  /* PKE */
    cr4 |= seven.ecx >> 7 & 1u ? 0x800000u : 0;  /* CET */
    if (top >= 7 && seven.eax >= 1 && ((cpuid)(ctx, 7, 1).eax >> 17 & 1u))
        cr4 |= HVCTL_CR4_FRED;

    efer |= ext1.edx >> 11 & 1u ? HVCTL_EFER_SCE : 0;
    efer |= ext1.edx >> 29 & 1u ? HVCTL_EFER_LME | HVCTL_EFER_LMA : 0;
    efer |= ext1.edx >> 20 & 1u ? HVCTL_EFER_NXE : 0;
    efer |= ext8.ebx >> 20 & 1u ? 0 : UINT64_C(0x2000);   /* LMSLE, unless EferLmsleUnsupported */
    efer |= ext1.edx >> 25 & 1u ? UINT64_C(0x4000) : 0;   /* FFXSR */
    efer |= ext1.ecx >> 17 & 1u ? UINT64_C(0x8000) : 0;   /* TCE */
    efer |= ext8.ebx >> 8 & 1u ? UINT64_C(0x20000) : 0;   /* MCOMMIT */
    efer |= ext8.ebx >> 13 & 1u ? UINT64_C(0x40000) : 0;  /* INTWB */
    efer |= ext21.eax >> 7 & 1u ? UINT64_C(0x100000) : 0; /* UAIE */
    efer |= ext21.eax >> 8 & 1u ? UINT64_C(0x200000) : 0; /* AIBRSE */
    around->cpu.known = true;
    around->cpu.cr4 = cr4;
    around->cpu.efer = efer;
}

/* A VMCB as the rules see it. */
struct hvctl_svm_view {
    const struct hvctl_vmcb *vmcb;
    const struct hvctl_svm_caps *caps;
    const struct hvctl_svm_surroundings *around;
    uint64_t beyond;  /* physical-address bits that this CPU does not have */
    bool long_mode;   /* the guest will be in long mode: EFER.LME and CR0.PG */
    bool code64;      /* and in 64-bit mode */
    bool np;          /* nested paging */
    bool can_sev, can_sev_es; /* the CPU has it, and SEV is set up */
    bool sev, sev_es;         /* the guest's memory is encrypted; its registers are */
};

struct hvctl_svm_rule {
    const char *id;
    const char *section; /* of APM vol. 2, by title */
    const char *text;    /* the rule in words, which follow "FIELD = value, " */
    enum hvctl_failure failure;
    /* As in struct hvctl_vmx_rule: finding's field, names and actual are filled in from the row before the call. */
    enum hvctl_rule_result (*check)(const struct hvctl_svm_view *view, const struct hvctl_svm_rule *rule,
                                    struct hvctl_finding *finding);
    const char *field; /* as the manual calls it */
    uint16_t offset;   /* in the VMCB */
    uint16_t size;     /* in bytes: 1, 2, 4 or 8 */
    enum hvctl_bit_names names;
    uint64_t mask; /* its meaning is the function's */
};

/* The value of size bytes of the VMCB at offset, which is aligned to it. */
static inline uint64_t hvctl_vmcb_value(const struct hvctl_vmcb *vmcb, unsigned offset, unsigned size)
{
    const unsigned char *at = (const unsigned char *)vmcb + offset;

    switch (size) {
    case 1: return *at;
    case 2: return *(const uint16_t *)(const void *)at;
    case 4: return *(const uint32_t *)(const void *)at;
    default: return *(const uint64_t *)(const void *)at;
    }
}

/* Verdicts. */
static inline enum hvctl_rule_result hvctl_svm_demand_bits(struct hvctl_finding *finding, uint64_t ones, uint64_t zeros)
{
    finding->demand = HVCTL_DEMAND_BITS;
    finding->ones = ones & ~finding->actual;
    finding->zeros = zeros & finding->actual;
    return finding->ones | finding->zeros ? HVCTL_RULE_BROKEN : HVCTL_RULE_KEPT;
}

static inline enum hvctl_rule_result hvctl_svm_demand_words(bool kept)
{
    return kept ? HVCTL_RULE_KEPT : HVCTL_RULE_BROKEN;
}

/* The bits in mask must be 0. */
static inline enum hvctl_rule_result hvctl_svm_rule_zeros(const struct hvctl_svm_view *view,
                                                          const struct hvctl_svm_rule *rule,
                                                          struct hvctl_finding *finding)
{
    (void)view;
    return hvctl_svm_demand_bits(finding, 0, rule->mask);
}

/* The bits in mask must be 1. */
static inline enum hvctl_rule_result hvctl_svm_rule_ones(const struct hvctl_svm_view *view,
                                                         const struct hvctl_svm_rule *rule,
                                                         struct hvctl_finding *finding)
{
    (void)view;
    return hvctl_svm_demand_bits(finding, rule->mask, 0);
}

/* A row's field, offset, size and names: area is control or save. */
#define HVCTL_SVM_FIELD(text, area, member, names)                      \
    text, (uint16_t)__builtin_offsetof(struct hvctl_vmcb, area.member), \
    (uint16_t)sizeof(((struct hvctl_vmcb *)0)->area.member), names

#endif
