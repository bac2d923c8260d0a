/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What runs first on the host after an exit, before anything returns from a call. gcc and clang, x86-64. SDM vol. 3,
 * "VM Exits"; APM vol. 2, "#VMEXIT".
 */
#ifndef HVCTL_CPU_AFTER_EXIT_H
#define HVCTL_CPU_AFTER_EXIT_H

/* Bytes below RSP that HVCTL_AFTER_EXIT may use. */
enum hvctl_after_exit { HVCTL_AFTER_EXIT_STACK = 512 };

/*
 * Instructions, as the text of an inline assembly with operands. They must preserve every register except the flags,
 * and may use 512 bytes below RSP; on SVM the global interrupt flag is clear and FS, GS and TR are still the guest's.
 * Define it before the first include of a world switch, as HVCTL_FILL_RETURN_STACK or as other text. Without a
 * definition nothing runs.
 */
#ifndef HVCTL_AFTER_EXIT
#define HVCTL_AFTER_EXIT ""
#endif

/*
 * Fills the return stack buffer with 32 harmless entries, so that the guest's calls do not predict the host's returns.
 * It faults if the host uses a shadow stack.
 */
#define HVCTL_FILL_RETURN_STACK                                                   \
    ".rept 32\n\t"                                                                \
    "call 771f\n\t"                                                               \
    "int3\n"                                                                      \
    "771:\n\t"                                                                    \
    ".endr\n\t"                                                                   \
    "lea 256(%%rsp), %%rsp\n\t"

#endif
