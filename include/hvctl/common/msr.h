/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The model-specific registers and CPUID leaves that hvctl asks about, and the callbacks through which it asks. */
#ifndef HVCTL_COMMON_MSR_H
#define HVCTL_COMMON_MSR_H

#include "../../hvpt/std.h"

/* SDM vol. 4; SDM vol. 3, appendix "VMX Capability Reporting Facility"; APM vol. 2, appendix "MSR Cross-Reference". */
enum hvctl_msr {
    HVCTL_MSR_TSC = 0x10,
    HVCTL_MSR_FEATURE_CONTROL = 0x3a,
    HVCTL_MSR_SPEC_CTRL = 0x48,
    HVCTL_MSR_SMM_MONITOR_CTL = 0x9b,
    HVCTL_MSR_SYSENTER_CS = 0x174,
    HVCTL_MSR_SYSENTER_ESP = 0x175,
    HVCTL_MSR_SYSENTER_EIP = 0x176,
    HVCTL_MSR_FRED_RSP0 = 0x1cc, /* not in a VMCS, and neither is SSP0, which is IA32_PL0_SSP */
    HVCTL_MSR_FRED_RSP1 = 0x1cd,
    HVCTL_MSR_FRED_RSP2 = 0x1ce,
    HVCTL_MSR_FRED_RSP3 = 0x1cf,
    HVCTL_MSR_FRED_STKLVLS = 0x1d0,
    HVCTL_MSR_FRED_SSP1 = 0x1d1,
    HVCTL_MSR_FRED_SSP2 = 0x1d2,
    HVCTL_MSR_FRED_SSP3 = 0x1d3,
    HVCTL_MSR_FRED_CONFIG = 0x1d4,
    HVCTL_MSR_DEBUGCTL = 0x1d9,
    HVCTL_MSR_LER_FROM_IP = 0x1dd,
    HVCTL_MSR_LER_TO_IP = 0x1de,
    HVCTL_MSR_PAT = 0x277,
    HVCTL_MSR_PERF_GLOBAL_CTRL = 0x38f,
    HVCTL_MSR_VMX_BASIC = 0x480,
    HVCTL_MSR_VMX_PINBASED_CTLS = 0x481,
    HVCTL_MSR_VMX_PROCBASED_CTLS = 0x482,
    HVCTL_MSR_VMX_EXIT_CTLS = 0x483,
    HVCTL_MSR_VMX_ENTRY_CTLS = 0x484,
    HVCTL_MSR_VMX_MISC = 0x485,
    HVCTL_MSR_VMX_CR0_FIXED0 = 0x486,
    HVCTL_MSR_VMX_CR0_FIXED1 = 0x487,
    HVCTL_MSR_VMX_CR4_FIXED0 = 0x488,
    HVCTL_MSR_VMX_CR4_FIXED1 = 0x489,
    HVCTL_MSR_VMX_VMCS_ENUM = 0x48a,
    HVCTL_MSR_VMX_PROCBASED_CTLS2 = 0x48b,
    HVCTL_MSR_VMX_EPT_VPID_CAP = 0x48c,
    HVCTL_MSR_VMX_TRUE_PINBASED_CTLS = 0x48d,
    HVCTL_MSR_VMX_TRUE_PROCBASED_CTLS = 0x48e,
    HVCTL_MSR_VMX_TRUE_EXIT_CTLS = 0x48f,
    HVCTL_MSR_VMX_TRUE_ENTRY_CTLS = 0x490,
    HVCTL_MSR_VMX_VMFUNC = 0x491,
    HVCTL_MSR_VMX_PROCBASED_CTLS3 = 0x492,
    HVCTL_MSR_VMX_EXIT_CTLS2 = 0x493,
    HVCTL_MSR_S_CET = 0x6a2,
    HVCTL_MSR_INTERRUPT_SSP_TABLE_ADDR = 0x6a8,
    HVCTL_MSR_PKRS = 0x6e1
};

/* MSR numbers with the top bit set do not fit into an enumerator everywhere. */
#define HVCTL_MSR_EFER UINT32_C(0xc0000080)
#define HVCTL_MSR_STAR UINT32_C(0xc0000081)
#define HVCTL_MSR_LSTAR UINT32_C(0xc0000082)
#define HVCTL_MSR_CSTAR UINT32_C(0xc0000083)
#define HVCTL_MSR_SFMASK UINT32_C(0xc0000084)
#define HVCTL_MSR_FS_BASE UINT32_C(0xc0000100)
#define HVCTL_MSR_GS_BASE UINT32_C(0xc0000101)
#define HVCTL_MSR_KERNEL_GS_BASE UINT32_C(0xc0000102)
#define HVCTL_MSR_TSC_AUX UINT32_C(0xc0000103)
#define HVCTL_MSR_TSC_RATIO UINT32_C(0xc0000104)
#define HVCTL_MSR_VM_CR UINT32_C(0xc0010114)
#define HVCTL_MSR_VM_HSAVE_PA UINT32_C(0xc0010117)
#define HVCTL_MSR_SVM_KEY UINT32_C(0xc0010118)

/* IA32_FEATURE_CONTROL. */
#define HVCTL_FEATURE_CONTROL_LOCK UINT64_C(0x1)
#define HVCTL_FEATURE_CONTROL_VMX_IN_SMX UINT64_C(0x2)
#define HVCTL_FEATURE_CONTROL_VMX_OUTSIDE_SMX UINT64_C(0x4)

/* VM_CR. LOCK also makes SVMDIS read-only. */
#define HVCTL_VM_CR_DPD UINT64_C(0x1)
#define HVCTL_VM_CR_R_INIT UINT64_C(0x2)
#define HVCTL_VM_CR_DIS_A20M UINT64_C(0x4)
#define HVCTL_VM_CR_LOCK UINT64_C(0x8)
#define HVCTL_VM_CR_SVMDIS UINT64_C(0x10)

/* EFER. */
#define HVCTL_EFER_SCE UINT64_C(0x1)
#define HVCTL_EFER_LME UINT64_C(0x100)
#define HVCTL_EFER_LMA UINT64_C(0x400)
#define HVCTL_EFER_NXE UINT64_C(0x800)
#define HVCTL_EFER_SVME UINT64_C(0x1000)

/* CR0 and CR4, as far as the rules of virtualization need them. */
#define HVCTL_CR0_PE UINT64_C(0x1)
#define HVCTL_CR0_TS UINT64_C(0x8)
#define HVCTL_CR0_ET UINT64_C(0x10)
#define HVCTL_CR0_NE UINT64_C(0x20)
#define HVCTL_CR0_WP UINT64_C(0x10000)
#define HVCTL_CR0_NW UINT64_C(0x20000000)
#define HVCTL_CR0_CD UINT64_C(0x40000000)
#define HVCTL_CR0_PG UINT64_C(0x80000000)
#define HVCTL_CR4_PAE UINT64_C(0x20)
#define HVCTL_CR4_PGE UINT64_C(0x80)
#define HVCTL_CR4_LA57 UINT64_C(0x1000)
#define HVCTL_CR4_VMXE UINT64_C(0x2000)
#define HVCTL_CR4_PCIDE UINT64_C(0x20000)
#define HVCTL_CR4_CET UINT64_C(0x800000)
#define HVCTL_CR4_PKS UINT64_C(0x1000000)
#define HVCTL_CR4_FRED UINT64_C(0x100000000)

/* The value of PAT and of its guest copies after reset: WB, WT, UC-, UC, twice. */
#define HVCTL_PAT_RESET UINT64_C(0x0007040600070406)

/*
 * Read an MSR into *value; false if that raised #GP. It is called only while the function to which it was passed runs.
 */
typedef bool (*hvctl_rdmsr_fn)(void *ctx, uint32_t msr, uint64_t *value);

/* The answer of CPUID. */
struct hvctl_cpuid {
    uint32_t eax, ebx, ecx, edx;
};

/* CPUID with EAX = leaf and ECX = subleaf. Callers of this type ask only for leaves that leaf 0 or 80000000H allows. */
typedef struct hvctl_cpuid (*hvctl_cpuid_fn)(void *ctx, uint32_t leaf, uint32_t subleaf);

/* The CPU's address widths and a few features, for either vendor; all zero if there was no CPUID to ask. */
struct hvctl_cpu_features {
    unsigned maxphyaddr;   /* CPUID 80000008H EAX[7:0]; 36 where that leaf is missing */
    unsigned linear_bits;  /* CPUID 80000008H EAX[15:8]: 48, or 57 with LA57; 32 without long mode */
    bool long_mode, nx, page1g, la57, fred, apx, cet_ss, cet_ibt, pku, pks, smep, smap, umip, fsgsbase, pcid, xsave,
        vmx, svm;
    bool leaf7; /* there was a leaf 7, so that the rest is known */
    bool lass, lam, uintr, msrlist, nmi_source, rtm, sgx, bus_lock_detect;
    uint64_t perf_global_ctrl; /* bits of IA32_PERF_GLOBAL_CTRL that exist: leaves 0AH and 23H; 0 without them */
};

/*
 * The bits of IA32_PERF_GLOBAL_CTRL that exist. Fixed counter i does if CPUID.0AH:ECX[i] is 1 or EDX[4:0] is above i;
 * leaf 23H, which hybrid CPUs have, adds bitmaps of both kinds. Bit 48 enables PERF_METRICS, which only
 * IA32_PERF_CAPABILITIES reports; it is taken to exist. top: the highest leaf. SDM vol. 3, "Performance Monitoring",
 * "Architectural Performance Monitoring Version 5".
 */
static inline uint64_t hvctl_perf_global_ctrl(hvctl_cpuid_fn cpuid, void *ctx, uint32_t top)
{
    uint64_t bits = (uint64_t)1 << 48;
    struct hvctl_cpuid id;

    if (top >= 10) {
        unsigned general, fixed;

        id = (cpuid)(ctx, 10, 0);
        general = id.eax >> 8 & 0xffu;
        fixed = (id.eax & 0xffu) > 1 ? id.edx & 0x1fu : 0;
        bits |= general >= 32 ? UINT32_C(0xffffffff) : ((uint64_t)1 << general) - 1;
        bits |= (uint64_t)((((uint32_t)1 << fixed) - 1) | (id.ecx & 0xffffu)) << 32;
    }
    if (top >= 0x23 && ((cpuid)(ctx, 0x23, 0).eax >> 1 & 1u)) {
        id = (cpuid)(ctx, 0x23, 1);
        bits |= id.eax | (uint64_t)(id.ebx & 0xffffu) << 32;
    }
    return top >= 10 ? bits : 0;
}

/* Fill in features through cpuid. Needs no privilege. */
static inline void hvctl_cpu_features_read(struct hvctl_cpu_features *out, hvctl_cpuid_fn cpuid, void *ctx)
{
    const struct hvctl_cpu_features none = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    uint32_t top = (cpuid)(ctx, 0, 0).eax;
    uint32_t top_extended = (cpuid)(ctx, UINT32_C(0x80000000), 0).eax;
    struct hvctl_cpuid id;

    *out = none;
    out->maxphyaddr = 36;
    out->linear_bits = 32;
    if (top >= 1) {
        id = (cpuid)(ctx, 1, 0);
        out->vmx = (id.ecx >> 5 & 1u) != 0;
        out->pcid = (id.ecx >> 17 & 1u) != 0;
        out->xsave = (id.ecx >> 26 & 1u) != 0;
    }
    if (top >= 7) {
        uint32_t top_subleaf;

        id = (cpuid)(ctx, 7, 0);
        top_subleaf = id.eax;
        out->fsgsbase = (id.ebx & 1u) != 0;
        out->smep = (id.ebx >> 7 & 1u) != 0;
        out->smap = (id.ebx >> 20 & 1u) != 0;
        out->umip = (id.ecx >> 2 & 1u) != 0;
        out->pku = (id.ecx >> 3 & 1u) != 0;
        out->cet_ss = (id.ecx >> 7 & 1u) != 0;
        out->la57 = (id.ecx >> 16 & 1u) != 0;
        out->pks = (id.ecx >> 31 & 1u) != 0;
        out->cet_ibt = (id.edx >> 20 & 1u) != 0;
        out->leaf7 = true;
        out->sgx = (id.ebx >> 2 & 1u) != 0;
        out->rtm = (id.ebx >> 11 & 1u) != 0;
        out->bus_lock_detect = (id.ecx >> 24 & 1u) != 0;
        out->uintr = (id.edx >> 5 & 1u) != 0;
        out->perf_global_ctrl = hvctl_perf_global_ctrl(cpuid, ctx, top);
        if (top_subleaf >= 1) {
            id = (cpuid)(ctx, 7, 1);
            out->fred = (id.eax >> 17 & 1u) != 0;
            out->lass = (id.eax >> 6 & 1u) != 0;
            out->nmi_source = (id.eax >> 20 & 1u) != 0;
            out->lam = (id.eax >> 26 & 1u) != 0;
            out->msrlist = (id.eax >> 27 & 1u) != 0;
            out->apx = (id.edx >> 21 & 1u) != 0;
        }
    }
    if (top_extended >= UINT32_C(0x80000001) && top_extended < UINT32_C(0x80010000)) {
        id = (cpuid)(ctx, UINT32_C(0x80000001), 0);
        out->svm = (id.ecx >> 2 & 1u) != 0;
        out->nx = (id.edx >> 20 & 1u) != 0;
        out->page1g = (id.edx >> 26 & 1u) != 0;
        out->long_mode = (id.edx >> 29 & 1u) != 0;
        if (out->long_mode)
            out->linear_bits = 48;
        if (top_extended >= UINT32_C(0x80000008)) {
            id = (cpuid)(ctx, UINT32_C(0x80000008), 0);
            out->maxphyaddr = id.eax & 0xffu;
            out->linear_bits = id.eax >> 8 & 0xffu;
        }
    }
}

#endif
