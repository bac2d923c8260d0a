/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a caller may ask of EPT: flags of a leaf, and features of a config.
 * SDM vol. 3, "EPT Translation Mechanism".
 */
#ifndef HVPT_EPT_FLAGS_H
#define HVPT_EPT_FLAGS_H

/*
 * Flags of a leaf, for attr.flags. Each but the first needs its feature in the config, because without it the CPU
 * ignores the bit (HVPT_E_ATTR then).
 */
enum hvpt_ept_flag {
    HVPT_EPT_IGNORE_PAT = 1 << 8,           /* the guest's PAT is ignored: the memory type is this one alone */
    HVPT_EPT_SUPPRESS_VE = 1 << 9,          /* violations exit even where #VE is enabled */
    HVPT_EPT_VERIFY_GUEST_PAGING = 1 << 10, /* reached only through guest tables that have PAGING_WRITE */
    HVPT_EPT_PAGING_WRITE = 1 << 11,        /* the page walk may set the guest's accessed and dirty bits here */
    HVPT_EPT_SHADOW_STACK = 1 << 12,        /* supervisor shadow-stack accesses are allowed */
    HVPT_EPT_SUB_PAGE_WRITE = 1 << 13       /* smallest pages only: writes to 128-byte parts, by the sub-page table */
};

/* What the VMCS that uses the tables enables, for config.features. The tables and the VMCS must agree. */
enum hvpt_ept_feature {
    HVPT_EPT_USE_ACCESSED_DIRTY = 1 << 0,      /* EPTP bit 6; needs its capability */
    HVPT_EPT_USE_SHADOW_STACK = 1 << 1,        /* EPTP bit 7; needs its capability */
    HVPT_EPT_USE_MODE_BASED_EXECUTE = 1 << 2,  /* "mode-based execute control for EPT" */
    HVPT_EPT_USE_VIOLATION_VE = 1 << 3,        /* "EPT-violation #VE": empty entries then suppress it */
    HVPT_EPT_USE_VERIFY_GUEST_PAGING = 1 << 4, /* "guest-paging verification" */
    HVPT_EPT_USE_PAGING_WRITE = 1 << 5,        /* "EPT paging-write control" */
    HVPT_EPT_USE_SUB_PAGE_WRITE = 1 << 6,      /* "sub-page write permissions for EPT" */
    HVPT_EPT_USE_ALL = (1 << 7) - 1
};

#endif
