/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a CPU's SVM can do: CPUID leaf 8000000AH as data. APM vol. 2, "Enabling SVM"; APM vol. 3, "Function 8000_000Ah".
 */
#ifndef HVCTL_SVM_CAPS_H
#define HVCTL_SVM_CAPS_H

#include "../common/msr.h"
#include "../common/status.h"

/* X(name, bit) of EDX. The names of 27, 28 and 31 are from a single document; the manual reserves 31. */
#define HVCTL_SVM_FEATURES_EDX(X)                                                                                     \
    X(NP, 0)                                                                                                          \
    X(LBR_VIRT, 1)                                                                                                    \
    X(SVML, 2)                                                                                                        \
    X(NRIPS, 3)                                                                                                       \
    X(TSC_RATE_MSR, 4)                                                                                                \
    X(VMCB_CLEAN, 5)                                                                                                  \
    X(FLUSH_BY_ASID, 6)                                                                                               \
    X(DECODE_ASSISTS, 7)                                                                                              \
    X(PMC_VIRT, 8)                                                                                                    \
    X(PAUSE_FILTER, 10)                                                                                               \
    X(PAUSE_FILTER_THRESHOLD, 12)                                                                                     \
    X(AVIC, 13)                                                                                                       \
    X(VMSAVE_VIRT, 15)                                                                                                \
    X(VGIF, 16)                                                                                                       \
    X(GMET, 17)                                                                                                       \
    X(X2AVIC, 18)                                                                                                     \
    X(SSS_CHECK, 19)                                                                                                  \
    X(SPEC_CTRL, 20)                                                                                                  \
    X(ROGPT, 21)                                                                                                      \
    X(HOST_MCE_OVERRIDE, 23)                                                                                          \
    X(TLBI_CTL, 24)                                                                                                   \
    X(VNMI, 25)                                                                                                       \
    X(IBS_VIRT, 26)                                                                                                   \
    X(EXT_LVT_AVIC_ACCESS_CHG, 27)                                                                                    \
    X(NESTED_VIRT_VMCB_ADDR_CHK, 28)                                                                                  \
    X(BUS_LOCK_THRESHOLD, 29)                                                                                         \
    X(IDLE_HLT_INTERCEPT, 30)                                                                                         \
    X(ENHANCED_SHUTDOWN_INTERCEPT, 31)

/* X(name, bit) of ECX. */
#define HVCTL_SVM_FEATURES_ECX(X)                                                                                     \
    X(FRED_VIRT, 3)                                                                                                   \
    X(PML, 4)                                                                                                         \
    X(ENHANCED_TLBI, 5)                                                                                               \
    X(X2AVIC_EXT, 6)

/* HVCTL_SVM_NP and so on: the bits of EDX are 0 to 31, those of ECX 32 and up. */
enum hvctl_svm_feature {
#define HVCTL_X(name, bit) HVCTL_SVM_##name = (bit),
    HVCTL_SVM_FEATURES_EDX(HVCTL_X)
#undef HVCTL_X
#define HVCTL_X(name, bit) HVCTL_SVM_##name = 32 + (bit),
    HVCTL_SVM_FEATURES_ECX(HVCTL_X)
#undef HVCTL_X
    HVCTL_SVM_NO_FEATURE = 64
};

/* X(name, bit) of CPUID 8000001FH EAX, memory encryption. APM vol. 3, "Function 8000_001Fh". */
#define HVCTL_SEV_FEATURES_EAX(X)                                                                                     \
    X(SME, 0)                                                                                                         \
    X(SEV, 1)                                                                                                         \
    X(PAGE_FLUSH_MSR, 2)                                                                                              \
    X(SEV_ES, 3)                                                                                                      \
    X(SEV_SNP, 4)                                                                                                     \
    X(VMPL, 5)                                                                                                        \
    X(RMPQUERY, 6)                                                                                                    \
    X(VMPL_SSS, 7)                                                                                                    \
    X(SECURE_TSC, 8)                                                                                                  \
    X(TSC_AUX_VIRTUALIZATION, 9)                                                                                      \
    X(HW_ENFORCED_CACHE_COHERENCY, 10)                                                                                \
    X(HOST_64BIT, 11)                                                                                                 \
    X(RESTRICTED_INJECTION, 12)                                                                                       \
    X(ALTERNATE_INJECTION, 13)                                                                                        \
    X(DEBUG_VIRTUALIZATION, 14)                                                                                       \
    X(PREVENT_HOST_IBS, 15)                                                                                           \
    X(VTE, 16)                                                                                                        \
    X(VMGEXIT_PARAMETER, 17)                                                                                          \
    X(VIRTUAL_TOM_MSR, 18)                                                                                            \
    X(IBS_VIRTUALIZATION, 19)                                                                                         \
    X(PMC_VIRTUALIZATION, 20)                                                                                         \
    X(RMPREAD, 21)                                                                                                    \
    X(GUEST_INTERCEPT_CONTROL, 22)                                                                                    \
    X(SEGMENTED_RMP, 23)                                                                                              \
    X(VMSA_REG_PROT, 24)                                                                                              \
    X(SMT_PROTECTION, 25)                                                                                             \
    X(SECURE_AVIC, 26)                                                                                                \
    X(ALLOWED_SEV_FEATURES, 27)                                                                                       \
    X(SVSM_COMM_PAGE_MSR, 28)                                                                                         \
    X(NESTED_VIRT_SNP_MSR, 29)                                                                                        \
    X(HV_IN_USE_WRITE_ALLOWED, 30)                                                                                    \
    X(IBPB_ON_ENTRY, 31)

/* HVCTL_SEV_SEV_ES and so on: the bits of sev_eax in struct hvctl_svm_caps. */
enum hvctl_sev_feature {
#define HVCTL_X(name, bit) HVCTL_SEV_##name = (bit),
    HVCTL_SEV_FEATURES_EAX(HVCTL_X)
#undef HVCTL_X
    HVCTL_SEV_NO_FEATURE = 32
};

/* "SEV_SNP"; NULL for a number above 31. */
static inline const char *hvctl_sev_feature_name(enum hvctl_sev_feature feature)
{
    switch (feature) {
#define HVCTL_X(name, bit) case HVCTL_SEV_##name: return #name;
    HVCTL_SEV_FEATURES_EAX(HVCTL_X)
#undef HVCTL_X
    case HVCTL_SEV_NO_FEATURE: break;
    }
    return NULL;
}

/* CPUID 80000025H, the segmented reverse map table. */
struct hvctl_svm_rmp {
    unsigned min_segment_shift, max_segment_shift; /* EAX[5:0], EAX[11:6]: log2 of a segment's size */
    unsigned cached_segments;                      /* EBX[9:0]: how many the CPU can cache */
    bool cached_is_limit;                          /* EBX[10]: there must not be more segments than that */
};

/* Leaf 8000000AH, and what other leaves say. All zero: no SVM. */
struct hvctl_svm_caps {
    unsigned revision; /* EAX[7:0] */
    uint32_t asids;    /* EBX: ASIDs 0 to asids - 1 exist, 0 is the host's */
    uint32_t ecx, edx;
    /* CPUID 8000001FH, memory encryption. */
    uint32_t sev_eax;      /* enum hvctl_sev_feature */
    unsigned c_bit;        /* EBX[5:0]: position of the C-bit */
    unsigned reduced_bits; /* EBX[11:6]: physical-address bits lost to it */
    uint32_t sev_asids;    /* ECX: highest ASID for encrypted guests */
    uint32_t sev_min_asid; /* EDX: lowest ASID for a SEV guest without SEV-ES */
    struct hvctl_cpu_features cpu;
    struct hvctl_svm_rmp rmp;
};

/* Does this CPU have this feature of memory encryption? */
static inline bool hvctl_sev_can(const struct hvctl_svm_caps *caps, enum hvctl_sev_feature feature)
{
    return (unsigned)feature < 32 && (caps->sev_eax >> feature & 1u) != 0;
}

/* Does this CPU have the feature? */
static inline bool hvctl_svm_can(const struct hvctl_svm_caps *caps, enum hvctl_svm_feature feature)
{
    return ((unsigned)feature < 32 ? caps->edx >> feature & 1u
            : (unsigned)feature < 64 ? caps->ecx >> ((unsigned)feature - 32u) & 1u
                                     : 0u) != 0;
}

/* "FLUSH_BY_ASID"; NULL for a number that names no feature. */
static inline const char *hvctl_svm_feature_name(enum hvctl_svm_feature feature)
{
    switch (feature) {
#define HVCTL_X(name, bit) case HVCTL_SVM_##name: return #name;
    HVCTL_SVM_FEATURES_EDX(HVCTL_X)
    HVCTL_SVM_FEATURES_ECX(HVCTL_X)
#undef HVCTL_X
    case HVCTL_SVM_NO_FEATURE: break;
    }
    return NULL;
}

/* Ask CPUID. HVCTL_E_MODE: the CPU has no SVM, and only caps->cpu is filled in. Needs no privilege. */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_svm_caps_read(struct hvctl_svm_caps *caps, hvctl_cpuid_fn cpuid,
                                                                    void *ctx)
{
    uint32_t top = (cpuid)(ctx, UINT32_C(0x80000000), 0).eax;
    struct hvctl_cpuid id;

    caps->revision = 0;
    caps->asids = caps->ecx = caps->edx = caps->sev_eax = caps->sev_asids = caps->sev_min_asid = 0;
    caps->c_bit = caps->reduced_bits = 0;
    caps->rmp.min_segment_shift = caps->rmp.max_segment_shift = caps->rmp.cached_segments = 0;
    caps->rmp.cached_is_limit = false;
    hvctl_cpu_features_read(&caps->cpu, cpuid, ctx);
    if (!caps->cpu.svm || top < UINT32_C(0x8000000a))
        return HVCTL_E_MODE;
    id = (cpuid)(ctx, UINT32_C(0x8000000a), 0);
    caps->revision = id.eax & 0xffu;
    caps->asids = id.ebx;
    caps->ecx = id.ecx;
    caps->edx = id.edx;
    if (top >= UINT32_C(0x8000001f)) {
        id = (cpuid)(ctx, UINT32_C(0x8000001f), 0);
        caps->sev_eax = id.eax;
        caps->c_bit = id.ebx & 0x3fu;
        caps->reduced_bits = id.ebx >> 6 & 0x3fu;
        caps->sev_asids = id.ecx;
        caps->sev_min_asid = id.edx;
    }
    if (top >= UINT32_C(0x80000025) && hvctl_sev_can(caps, HVCTL_SEV_SEGMENTED_RMP)) {
        id = (cpuid)(ctx, UINT32_C(0x80000025), 0);
        caps->rmp.min_segment_shift = id.eax & 0x3fu;
        caps->rmp.max_segment_shift = id.eax >> 6 & 0x3fu;
        caps->rmp.cached_segments = id.ebx & 0x3ffu;
        caps->rmp.cached_is_limit = (id.ebx >> 10 & 1u) != 0;
    }
    return HVCTL_OK;
}

#endif
