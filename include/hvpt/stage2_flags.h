/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a caller may ask of stage 2: flags of a leaf, and features of a config.
 * Arm ARM, "VMSAv8-64 translation table format descriptors".
 */
#ifndef HVPT_STAGE2_FLAGS_H
#define HVPT_STAGE2_FLAGS_H

/* Shareability. */
enum hvpt_s2_shareability { HVPT_S2_SH_NON = 0, HVPT_S2_SH_OUTER = 2, HVPT_S2_SH_INNER = 3 };

/*
 * Flags of a leaf, for attr.flags: the shareability, where it is not inner shareable. Not with LPA2, where VTCR_EL2 has
 * it.
 */
enum hvpt_s2_flag { HVPT_S2_OUTER_SHAREABLE = 1 << 20, HVPT_S2_NON_SHAREABLE = 1 << 21 };

/* Extensions of the CPU to use, for config.features. Those that the ID registers lack are refused. */
enum hvpt_s2_feature {
    HVPT_S2_USE_FWB = 1 << 0,            /* FEAT_S2FWB, with HCR_EL2.FWB set: the guest cannot weaken memory types */
    HVPT_S2_USE_XNX = 1 << 1,            /* FEAT_XNX: execution by EL1 and by EL0 apart */
    HVPT_S2_USE_HARDWARE_AF = 1 << 2,    /* VTCR_EL2.HA: hardware sets the access flag, instead of faulting */
    HVPT_S2_USE_HARDWARE_DIRTY = 1 << 3, /* VTCR_EL2.HD, with HA */
    HVPT_S2_USE_LPA2 = 1 << 4,           /* VTCR_EL2.DS: 52-bit addresses with granules of 4K and 16K */
    HVPT_S2_USE_CONTIGUOUS = 1 << 5,     /* runs are joined by the contiguous bit where they fit */
    HVPT_S2_USE_VMID16 = 1 << 6,         /* VTCR_EL2.VS */
    /*
     * FEAT_BBM level 2: a change of size needs no break-before-make, nor does the contiguous bit. One of address or
     * type does on every CPU. Arm ARM, "Support levels for changing table or block size".
     */
    HVPT_S2_USE_BBM2 = 1 << 7,
    /*
     * FEAT_BBM level 1: bit 16 of a block is nT and not RES0. Nothing made here sets it; tables of others may have it.
     */
    HVPT_S2_USE_BBM1 = 1 << 16,
    HVPT_S2_USE_TABLE_AF =
        1 << 17, /* VTCR_EL2.HAFT, with HA: tables have access flags, which are set here from the start */
    HVPT_S2_USE_HDBSS = 1 << 18, /* VTCR_EL2.HDBSS, with HD: pages made dirty are logged (arm/hdbss.h) */
    /*
     * FEAT_S2PIE, VTCR_EL2.S2PIE, with HD: permissions by S2PIR_EL2, which must hold hvpt_s2_pir(). A page without
     * HVPT_READ can only be written then.
     */
    HVPT_S2_USE_INDIRECT = 1 << 19,
    HVPT_S2_USE_ALL = ((1 << 8) - 1) | ((1 << 20) - (1 << 16))
};

#endif
