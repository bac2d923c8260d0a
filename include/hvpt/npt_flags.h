/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a caller may ask of NPT: flags of a leaf, and features of a config.
 * APM vol. 2, "Nested Paging".
 */
#ifndef HVPT_NPT_FLAGS_H
#define HVPT_NPT_FLAGS_H

/* Flags of a leaf, for attr.flags. Each needs what its comment names in the config (HVPT_E_ATTR otherwise). */
enum hvpt_npt_flag {
    /*
     * HVPT_NPT_USE_SHADOW_STACK: the guest may keep supervisor shadow stacks here. The page is not executable, and
     * should not have HVPT_WRITE either, which shadow-stack writes do not need.
     */
    HVPT_NPT_SHADOW_STACK = 1 << 16,
    /*
     * c_bit: encrypted with the host's key, as the host's own mappings with the C-bit are. Without it: in the clear, as
     * memory shared with devices, and devices themselves, must be.
     */
    HVPT_NPT_ENCRYPTED = 1 << 17
};

/* What the host's state at VMRUN and the VMCB enable, for config.features. They and the tables must agree. */
enum hvpt_npt_feature {
    HVPT_NPT_NO_NX =
        1 << 0, /* the host's EFER.NXE is clear: no page can be refused execution, and bit 63 is reserved */
    /*
     * Guest mode execute trap, VMCB offset 90h bit 3, CPUID 8000000AH EDX[17]. HVPT_EXEC is then the right of the
     * guest's supervisor and HVPT_EXEC_USER that of its user mode; a page cannot have the former alone (HVPT_E_ATTR).
     */
    HVPT_NPT_USE_GMET = 1 << 1,
    /* Supervisor shadow stacks (SSS), VMCB offset 90h bit 4, CPUID 8000000AH EDX[19]; not with HVPT_NPT_NO_NX. */
    HVPT_NPT_USE_SHADOW_STACK = 1 << 2,
    HVPT_NPT_FEATURES_ALL = (1 << 3) - 1
};

#endif
