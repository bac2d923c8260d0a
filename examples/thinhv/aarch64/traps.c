/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What EL2 must be told so that EL1 has all of the CPU: traps off, feature by feature. Linux, Documentation/arch/arm64/
 * booting.rst, lists what a kernel expects of whoever starts it.
 */
#include "aarch64.h"

static unsigned field(uint64_t value, unsigned low)
{
    return (unsigned)(value >> low) & 15;
}

/* Floating point, SVE and SME. Arm ARM, "CPTR_EL2": with HCR_EL2.E2H 0. */
static void vectors_to_guest(uint64_t pfr0, uint64_t pfr1)
{
    const bool sve = field(pfr0, 32) != 0, sme = field(pfr1, 24) != 0;

    REGISTER_WRITE("cptr_el2", UINT64_C(0x33ff) & ~((uint64_t)sve << 8) & ~((uint64_t)sme << 12));
    __asm__ volatile("isb" : : : "memory");
    if (sve)
        REGISTER_WRITE("s3_4_c1_c2_0", 15); /* ZCR_EL2: the longest vectors */
    if (sme) {
        uint64_t smfr0 = REGISTER_READ("s3_0_c0_c4_5"); /* ID_AA64SMFR0_EL1 */

        REGISTER_WRITE("s3_4_c1_c2_6", /* SMCR_EL2: FA64, EZT0 */
                       15 | (smfr0 >> 63) << 31 | (uint64_t)(field(smfr0, 56) != 0) << 30);
    }
}

/* Traps that are on while a bit is 0. Arm ARM, "HFGRTR_EL2", "HCRX_EL2". */
static void fine_grained(uint64_t mmfr0, uint64_t mmfr1, uint64_t pfr1)
{
    uint64_t isar2 = REGISTER_READ("s3_0_c0_c6_2"), mmfr3 = REGISTER_READ("s3_0_c0_c7_3");
    uint64_t pfr2 = REGISTER_READ("s3_0_c0_c4_2");
    const bool gcs = field(pfr1, 44) != 0;

    if (field(mmfr0, 56) != 0) {                                            /* FEAT_FGT */
        uint64_t allowed = (gcs ? UINT64_C(3) << 52 : 0)                    /* GCS: nGCS_EL0, nGCS_EL1 */
                         | (field(pfr1, 24) != 0 ? UINT64_C(3) << 54 : 0)   /* SME: nSMPRI_EL1, nTPIDR2_EL0 */
                         | (field(mmfr3, 8) != 0 ? UINT64_C(3) << 57 : 0)   /* S1PIE: nPIRE0_EL1, nPIR_EL1 */
                         | (field(mmfr3, 16) != 0 ? UINT64_C(3) << 59 : 0); /* S1POE: nPOR_EL0, nPOR_EL1 */

        REGISTER_WRITE("s3_4_c1_c1_4", allowed);                      /* HFGRTR_EL2 */
        REGISTER_WRITE("s3_4_c1_c1_5", allowed);                      /* HFGWTR_EL2 */
        REGISTER_WRITE("s3_4_c1_c1_6", gcs ? UINT64_C(7) << 57 : 0);  /* HFGITR_EL2: nGCSPUSHM_EL1, -STR_EL1, -EPP */
        REGISTER_WRITE("s3_4_c3_c1_4", 0);                            /* HDFGRTR_EL2 */
        REGISTER_WRITE("s3_4_c3_c1_5", 0);                            /* HDFGWTR_EL2 */
    }
    if (field(mmfr1, 40) != 0)                                                       /* FEAT_HCX */
        REGISTER_WRITE("s3_4_c1_c2_2", (field(isar2, 16) != 0 ? 1u << 11 : 0)        /* MOPS: MSCEn */
                                           | (field(mmfr3, 0) != 0 ? 1u << 14 : 0)   /* TCR2En */
                                           | (field(mmfr3, 4) != 0 ? 1u << 15 : 0)   /* SCTLR2En */
                                           | (gcs ? 1u << 22 : 0)                    /* GCSEn */
                                           | (field(pfr2, 32) != 0 ? 1u << 23 : 0)); /* FPMR: EnFPM */
}

void traps_set(void)
{
    uint64_t pfr0 = REGISTER_READ("s3_0_c0_c4_0"), pfr1 = REGISTER_READ("s3_0_c0_c4_1");

    vectors_to_guest(pfr0, pfr1);
    fine_grained(cpu_read_mmfr0(), cpu_read_mmfr1(), pfr1);
    REGISTER_WRITE("hstr_el2", 0);
    REGISTER_WRITE("cnthctl_el2", 3); /* the physical counter and timer, too */
    REGISTER_WRITE("cntvoff_el2", 0);
    if (field(REGISTER_READ("s3_0_c0_c5_0"), 8) != 0) /* ID_AA64DFR0_EL1.PMUVer: all counters are EL1's */
        REGISTER_WRITE("mdcr_el2", REGISTER_READ("s3_3_c9_c12_0") >> 11 & 31); /* PMCR_EL0.N */
    REGISTER_WRITE("vpidr_el2", cpu_read_midr());
    REGISTER_WRITE("vmpidr_el2", REGISTER_READ("mpidr_el1"));
    if (field(pfr0, 24) != 0) {              /* the interrupt controller's registers: GICv3 */
        REGISTER_WRITE("s3_4_c12_c9_5", 15); /* ICC_SRE_EL2: EL1 may use them */
        __asm__ volatile("isb" : : : "memory");
        REGISTER_WRITE("s3_4_c12_c11_0", 0); /* ICH_HCR_EL2: no virtual interrupts */
    }
}
