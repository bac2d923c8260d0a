/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Faults taken apart and put into words, of every value that a register can hold: no access beyond an object, no shift
 * beyond a width, no overflow; and every piece of text lies in what was handed to the sink.
 */
#include "proof.h"

#include <hvctl/svm/exit.h>
#include <hvctl/vmx/exit.h>
#include <hvctl/vmx/insn.h>
#include <hvpt/fault/ept.h>
#include <hvpt/fault/gstage.h>
#include <hvpt/fault/npt.h>
#include <hvpt/fault/stage2.h>

static void put(void *ctx, const char *bytes, size_t length)
{
    (void)ctx;
    if (length != 0) {
        const size_t at = nondet_u32() % 128;

        must(bytes[at < length ? at : 0] != 0, "a piece of text has as many bytes as it says");
    }
}

static const struct hvpt_text text = {put, NULL};

int main(void)
{
    const uint64_t a = nondet_u64(), b = nondet_u64(), c = nondet_u64(), d = nondet_u64();

#if defined(EPT)
    const struct hvpt_ept_violation violation = hvpt_ept_decode_violation(a);

    (void)b, (void)c, (void)d;
    (void)hvpt_ept_violation_wants(&violation, nondet_bool());
    hvpt_ept_violation_text(&violation, &text);
#elif defined(NPT)
    const struct hvpt_npt_fault fault = hvpt_npt_decode_fault(a, b);

    (void)c, (void)d;
    (void)hvpt_npt_fault_wants(&fault, nondet_bool());
    hvpt_npt_fault_text(&fault, &text);
#elif defined(S2)
    struct hvpt_s2_fault fault;

    (void)d;
    if (hvpt_s2_decode_fault(a, b, c, &fault)) {
        (void)hvpt_s2_fault_wants(&fault);
        hvpt_s2_fault_text(&fault, &text);
    }
#elif defined(GSTAGE)
    struct hvpt_gstage_fault fault;

    if (hvpt_gstage_decode_fault(a, b, c, d, &fault)) {
        (void)hvpt_gstage_fault_wants(&fault);
        hvpt_gstage_fault_text(&fault, &text);
    }
#elif defined(SVM_EVENT)
    const struct hvctl_svm_event event = hvctl_svm_event_decode(a);

    (void)b, (void)c, (void)d;
    /* APM vol. 2, "Event Injection": vector, type, EV, bit 13 (nested), V, and an error code where EV says so. */
    must(hvctl_svm_event_encode(&event)
             == (a & (UINT64_C(0x80002fff) | (a >> 11 & 1 ? UINT64_C(0xffffffff00000000) : 0))),
         "encode gives back what decode took");
    hvctl_svm_event_text(&event, &text);
#elif defined(VMX_EVENT)
    const struct hvctl_vmx_event event = hvctl_vmx_event_decode((uint32_t)a, (uint32_t)b);

    (void)c, (void)d;
    /* SDM vol. 3, "VM-Entry Interruption-Information Field": vector, type, error code, nested, valid. */
    must(hvctl_vmx_event_encode(&event) == (a & UINT64_C(0x80002fff)), "encode gives back what decode took");
    hvctl_vmx_event_text(&event, &text);
#elif defined(VMX_INSTRUCTION)
    const struct hvctl_vmx_insn plain = hvctl_vmx_insn_decode((uint32_t)a, (uint32_t)b);
    const struct hvctl_vmx_insn extended = hvctl_vmx_insn_decode_extended((uint32_t)a, c, (uint32_t)b);
    struct hvctl_guest_regs regs; /* not initialised: any */

    (void)hvctl_vmx_insn_address(&plain, &regs, c, d);
    (void)hvctl_vmx_insn_address(&extended, &regs, c, d);
    hvctl_vmx_insn_text(&plain, &text);
    hvctl_vmx_insn_text(&extended, &text);
#elif defined(VMX_QUALIFICATION)
    const struct hvpt_ept_violation_form form = {nondet_bool(), nondet_bool(), nondet_bool(), nondet_bool()};
    const char *name = hvctl_vmx_instruction_error_text((uint32_t)c);

    (void)d;
    must(name == NULL || name[0] != 0, "an error has words or none");
    (void)hvctl_vmx_reason_decode((uint32_t)c);
    hvctl_vmx_qualification_text((uint32_t)a, b, form, &text);
#endif
    return 0;
}
