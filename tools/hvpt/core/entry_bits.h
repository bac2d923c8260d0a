/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The bits of table entries by name, a list a format. SDM vol. 3, "EPT Translation Mechanism"; APM vol. 2,
 * "Page-Translation-Table Entry Fields"; Arm ARM, "VMSAv8-64 translation table format descriptors"; RISC-V Privileged
 * Architecture, "Virtual-Memory System".
 */
#ifndef HVPT_TOOLS_ENTRY_BITS_H
#define HVPT_TOOLS_ENTRY_BITS_H

#include "bits.h"

/* Shown also where they are 0: what an entry forbids is as telling as what it allows. */
#define ENTRY_ALWAYS 0x40 /* added to high */

static const struct bits_row entry_ept_table[] = {
    {0 | ENTRY_ALWAYS, 0, "read", "no|yes"},
    {1 | ENTRY_ALWAYS, 1, "write", "no|yes"},
    {2 | ENTRY_ALWAYS, 2, "execute (in supervisor mode, with mode-based execute control)", "no|yes"},
    {7, 3, "reserved in a reference to a table", NULL},
    {8, 8, "accessed, if EPTP[6] is 1", NULL},
    {9, 9, "ignored", NULL},
    {10, 10, "execute in user mode, with mode-based execute control; ignored without", NULL},
    {11, 11, "ignored", NULL},
    {63, 52, "ignored", NULL},
};

static const struct bits_row entry_ept_leaf[] = {
    {0 | ENTRY_ALWAYS, 0, "read", "no|yes"},
    {1 | ENTRY_ALWAYS, 1, "write", "no|yes"},
    {2 | ENTRY_ALWAYS, 2, "execute (in supervisor mode, with mode-based execute control)", "no|yes"},
    {5 | ENTRY_ALWAYS, 3, "memory type", "UC|WC|reserved|reserved|WT|WP|WB|reserved"},
    {6, 6, "ignore PAT: the memory type above is the whole one", NULL},
    {7, 7, "a page, above the lowest level", NULL},
    {8, 8, "accessed, if EPTP[6] is 1", NULL},
    {9, 9, "dirty, if EPTP[6] is 1", NULL},
    {10, 10, "execute in user mode, with mode-based execute control; ignored without", NULL},
    {11, 11, "ignored", NULL},
    {56, 52, "ignored", NULL},
    {57, 57, "verify guest paging, with guest-paging verification", NULL},
    {58, 58, "paging-write access, with EPT paging-write control", NULL},
    {59, 59, "ignored", NULL},
    {60, 60, "supervisor shadow stack, if EPTP[7] is 1", NULL},
    {61, 61, "sub-page write permissions, at the lowest level, with that control", NULL},
    {62, 62, "ignored", NULL},
    {63, 63, "suppress #VE, with EPT-violation #VE", NULL},
};

static const struct bits_row entry_npt_table[] = {
    {0 | ENTRY_ALWAYS, 0, "present", "no|yes"},
    {1 | ENTRY_ALWAYS, 1, "write", "no|yes"},
    {2 | ENTRY_ALWAYS, 2, "user: every access of a guest is one", "no|yes"},
    {3, 3, "PWT", NULL},
    {4, 4, "PCD", NULL},
    {5, 5, "accessed", NULL},
    {6, 6, "ignored", NULL},
    {7, 7, "page size: must be 0 here", NULL},
    {8, 8, "reserved in PML4E and PML5E, else ignored", NULL},
    {11, 9, "available to software", NULL},
    {62, 52, "available to software", NULL},
    {63, 63, "no-execute, if the host's EFER.NXE is 1", NULL},
};

static const struct bits_row entry_npt_leaf[] = {
    {0 | ENTRY_ALWAYS, 0, "present", "no|yes"},
    {1 | ENTRY_ALWAYS, 1, "write", "no|yes"},
    {2 | ENTRY_ALWAYS, 2, "user: every access of a guest is one", "no|yes"},
    {3 | ENTRY_ALWAYS, 3, "PWT", NULL},
    {4 | ENTRY_ALWAYS, 4, "PCD", NULL},
    {5, 5, "accessed", NULL},
    {6, 6, "dirty", NULL},
    {7, 7, "page size (PAT at the lowest level)", NULL},
    {8, 8, "global: ignored in nested tables", NULL},
    {11, 9, "available to software", NULL},
    {62, 52, "available to software", NULL},
    {63, 63, "no-execute, if the host's EFER.NXE is 1", NULL},
};

static const struct bits_row entry_stage2_table[] = {
    {0 | ENTRY_ALWAYS, 0, "valid", "no|yes"},
    {1 | ENTRY_ALWAYS, 1, "type", "block|table"},
    {11, 2, "ignored", NULL},
    {58, 51, "ignored", NULL},
    {63, 59, "reserved at stage 2, RES0", NULL},
};

static const struct bits_row entry_stage2_leaf[] = {
    {0 | ENTRY_ALWAYS, 0, "valid", "no|yes"},
    {1 | ENTRY_ALWAYS, 1, "type", "block|page"},
    {5 | ENTRY_ALWAYS, 2, "MemAttr",
     "Device-nGnRnE|Device-nGnRE|Device-nGRE|Device-GRE|reserved|Normal, non-cacheable|"
     "Normal, outer non-cacheable, inner write-through|Normal, outer non-cacheable, inner write-back|"
     "reserved|Normal, outer write-through, inner non-cacheable|Normal, write-through|"
     "Normal, outer write-through, inner write-back|reserved|Normal, outer write-back, inner non-cacheable|"
     "Normal, outer write-back, inner write-through|Normal, write-back"},
    {6 | ENTRY_ALWAYS, 6, "S2AP[0], read", "no|yes"},
    {7 | ENTRY_ALWAYS, 7, "S2AP[1], write", "no|yes"},
    {9 | ENTRY_ALWAYS, 8, "shareability; with LPA2, bits 51:50 of the address", "non-shareable|reserved|outer|inner"},
    {10 | ENTRY_ALWAYS, 10, "access flag", "clear|set"},
    {11, 11, "FnXS, with FEAT_XS", NULL},
    {51, 51, "DBM: hardware may set S2AP[1], with VTCR_EL2.HD", NULL},
    {52, 52, "contiguous", NULL},
    {54 | ENTRY_ALWAYS, 53, "XN (bit 53 with FEAT_XNX only)",
     "execute at EL1 and EL0|execute at EL0 only|no execution|execute at EL1 only"},
    {55, 55, "not-secure, or for software", NULL},
    {58, 56, "for software", NULL},
    {62, 59, "page-based hardware attributes, or ignored", NULL},
    {63, 63, "AMEC of Realm physical addresses, or ignored", NULL},
};

static const struct bits_row entry_gstage_any[] = {
    {0 | ENTRY_ALWAYS, 0, "V, valid", "no|yes"},
    {1 | ENTRY_ALWAYS, 1, "R, read", "no|yes"},
    {2 | ENTRY_ALWAYS, 2, "W, write", "no|yes"},
    {3 | ENTRY_ALWAYS, 3, "X, execute", "no|yes"},
    {4 | ENTRY_ALWAYS, 4, "U: every access of a guest is a user access at this stage", "no|yes"},
    {5, 5, "G: to be left clear at this stage", NULL},
    {6 | ENTRY_ALWAYS, 6, "A, accessed", "no|yes"},
    {7 | ENTRY_ALWAYS, 7, "D, dirty", "no|yes"},
    {9, 8, "RSW, for software", NULL},
    {60, 54, "reserved", NULL},
    {62, 61, "PBMT, with Svpbmt", "as the platform says|NC|IO|reserved"},
    {63, 63, "N, with Svnapot: one of a run of 64 KiB", NULL},
};

static const struct bits_row entry_x86_table[] = {
    {0 | ENTRY_ALWAYS, 0, "present", "no|yes"},
    {1 | ENTRY_ALWAYS, 1, "write", "no|yes"},
    {2 | ENTRY_ALWAYS, 2, "user", "no|yes"},
    {3, 3, "PWT", NULL},
    {4, 4, "PCD", NULL},
    {5, 5, "accessed", NULL},
    {6, 6, "ignored", NULL},
    {7, 7, "page size: must be 0 here", NULL},
    {11, 8, "ignored", NULL},
    {62, 52, "ignored", NULL},
    {63, 63, "execute-disable, if EFER.NXE is 1", NULL},
};

static const struct bits_row entry_x86_leaf[] = {
    {0 | ENTRY_ALWAYS, 0, "present", "no|yes"},
    {1 | ENTRY_ALWAYS, 1, "write", "no|yes"},
    {2 | ENTRY_ALWAYS, 2, "user", "no|yes"},
    {3, 3, "PWT", NULL},
    {4, 4, "PCD", NULL},
    {5, 5, "accessed", NULL},
    {6, 6, "dirty", NULL},
    {7, 7, "page size (PAT at the lowest level)", NULL},
    {8, 8, "global, if CR4.PGE is 1", NULL},
    {11, 9, "ignored (bit 11: restart, with HLAT)", NULL},
    {58, 52, "ignored", NULL},
    {62, 59, "protection key, if CR4.PKE or CR4.PKS is 1", NULL},
    {63, 63, "execute-disable, if EFER.NXE is 1", NULL},
};

#endif
