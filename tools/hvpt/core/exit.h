/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What the files of hvpt exit share: the numbers of an exit on Arm and on RISC-V, whose words are in files of their own.
 */
#ifndef HVPT_TOOLS_EXIT_H
#define HVPT_TOOLS_EXIT_H

#include "core.h"
#include "report.h"
#include "words.h"

/* ESR_EL2, FAR_EL2, HPFAR_EL2; what was not given is 0. */
struct exit_arm {
    uint64_t esr, fault_address, hpfar;
    bool has_fault_address, has_hpfar;
};

enum core_status exit_explain_arm(const struct core_request *request, const struct exit_arm *arm,
                                  const struct hvpt_text *out);

struct exit_riscv {
    uint64_t scause, stval, htval, htinst;
    bool has_stval, has_htval, has_htinst;
};

enum core_status exit_explain_riscv(const struct core_request *request, const struct exit_riscv *riscv,
                                    const struct hvpt_text *out);

#endif
