/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt entry: one table entry in words. The work is core/entry.c's.
 */
#include "command.h"

static const char usage[] =
    "usage: hvpt entry [--json] FORMAT LEVEL ENTRY [FACT=NUMBER...]|-f FILE|-\n"
    "\n"
    "Says in words what one entry of a table holds, and which rule it breaks.\n"
    "  FORMAT  ept, npt, stage2, gstage (the second level), or x86 (a guest's own, or a kernel's)\n"
    "  LEVEL   level=0, the smallest pages, to 4; or pte, pde, pdpte, pml4e, pml5e; on Arm l3, l2, l1, l0\n"
    "  FACT    what the verdict may hang on; what is not given is tried in all its values:\n"
    "          all     maxphyaddr=32..52 (RISC-V: 56; Arm: the size that VTCR_EL2.PS allows)\n"
    "          ept     cap=IA32_VMX_EPT_VPID_CAP, or execute_only=, 2m=, 1g=; mbec=, paging_write=\n"
    "          npt     nxe=, gmet=; c_bit=32..51 (none if not given)\n"
    "          stage2  granule=4|16|64 (4 if not given), lpa2=, xnx=\n"
    "          gstage  svpbmt=, svnapot=, svadu=\n"
    "          x86     nxe=, 1g=, amd=\n"
    "\n"
    "Exit status: 0 sound (on some CPU), 1 broken on every CPU that fits the facts, 2 not readable.\n";

int command_entry(int argc, char **argv)
{
    return command_words(core_entry, usage, argc, argv);
}
