/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A guest's general registers, where the world switch keeps them while the guest does not run. */
#ifndef HVCTL_COMMON_REGS_H
#define HVCTL_COMMON_REGS_H

#include "../../hvpt/std.h"

/* Numbers of the general registers, as instructions and exit qualifications encode them. */
enum hvctl_gpr {
    HVCTL_RAX,
    HVCTL_RCX,
    HVCTL_RDX,
    HVCTL_RBX,
    HVCTL_RSP,
    HVCTL_RBP,
    HVCTL_RSI,
    HVCTL_RDI,
    HVCTL_R8,
    HVCTL_R9,
    HVCTL_R10,
    HVCTL_R11,
    HVCTL_R12,
    HVCTL_R13,
    HVCTL_R14,
    HVCTL_R15,
    HVCTL_GPR_COUNT
};

/*
 * gpr[HVCTL_RSP] is not used by either world switch: RSP is in the VMCS and in the VMCB. gpr[HVCTL_RAX] is not used by
 * SVM's: RAX is in the VMCB. cr2 is used by VMX only: the VMCB has it.
 */
struct hvctl_guest_regs {
    uint64_t gpr[HVCTL_GPR_COUNT];
    uint64_t cr2;
};

/* "RAX" to "R15"; "?" for a number above 15. */
static inline const char *hvctl_gpr_name(unsigned number)
{
    static const char *const name[HVCTL_GPR_COUNT] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                                      "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};

    return number < HVCTL_GPR_COUNT ? name[number] : "?";
}

/* The same with APX's "R16" to "R31", which struct hvctl_guest_regs does not hold. */
static inline const char *hvctl_gpr_name_apx(unsigned number)
{
    static const char *const name[16] = {"R16", "R17", "R18", "R19", "R20", "R21", "R22", "R23",
                                         "R24", "R25", "R26", "R27", "R28", "R29", "R30", "R31"};

    return number >= 16 && number < 32 ? name[number - 16] : hvctl_gpr_name(number);
}

#endif
