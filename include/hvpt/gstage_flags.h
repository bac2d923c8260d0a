/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a caller may ask of the G-stage: features of a config.
 * RISC-V Privileged Architecture, "Two-Stage Address Translation".
 */
#ifndef HVPT_GSTAGE_FLAGS_H
#define HVPT_GSTAGE_FLAGS_H

/* Extensions of the hart, enabled for its guests, for config.features. */
enum hvpt_gstage_feature {
    /* memory types; without it every page is as the platform says (HVPT_MEM_WB only) */
    HVPT_GSTAGE_USE_SVPBMT = 1 << 0,
    HVPT_GSTAGE_USE_SVNAPOT = 1 << 1, /* runs of 64 KiB are joined where they fit */
    HVPT_GSTAGE_USE_SVADU = 1 << 2,   /* hardware sets the accessed and dirty bits, instead of faulting */
    HVPT_GSTAGE_USE_SVVPTC = 1 << 3,  /* a new valid entry is seen soon without a fence: map needs no flush */
    HVPT_GSTAGE_USE_SVRSW60T59B = 1 << 4, /* bits 60:59 of entries are software's, and not reserved */
    HVPT_GSTAGE_USE_ALL = (1 << 5) - 1
};

#endif
