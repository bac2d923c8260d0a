/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What the x86 files share: the two vendors behind one face. */
#ifndef X86_H
#define X86_H

#include <hvctl/common/check.h>
#include <hvctl/common/guest_state.h>
#include <hvctl/cpu/cpu.h>

#include "firmware/firmware.h"
#include "thinhv.h"

/* Exits of no common kind. */
enum { EXIT_CPUID = EXIT_OTHER + 1, EXIT_RDMSR, EXIT_WRMSR, EXIT_XSETBV };

/* What differs between the vendors. Each ends the run if it cannot. */
struct vendor {
    const char *format;
    bool has_log;                      /* of the pages that a CPU writes */
    void (*enable)(struct vcpu *vcpu); /* turns virtualization on, on this CPU */
    enum hvpt_status (*open)(struct hvpt_space *space, const struct hvpt_hooks *hooks, uint64_t max_page_size);
    void (*prepare)(struct vcpu *vcpu, const struct hvctl_guest_state *state); /* the control structure */
    struct exit (*run)(struct vcpu *vcpu);
    void (*flush)(struct vcpu *vcpu); /* before the next entry: what is cached of the second level */
    void (*advance)(struct vcpu *vcpu);
    void (*inject)(struct vcpu *vcpu, uint8_t vector); /* an exception; the error code, where there is one, is 0 */
    uint64_t (*cr4)(struct vcpu *vcpu);
    void (*describe)(struct vcpu *vcpu, const struct hvpt_text *text);
    const char *(*reason)(unsigned reason);
};

extern const struct vendor vmx_vendor, svm_vendor;

/* x86.c */
extern const struct vendor *vendor;
extern const struct hvctl_cpu_ops *const cpu_ops;
void expect(enum hvctl_status status, const char *what);
void expect_kept(const struct hvctl_report *report); /* the rules of VM entry, of VMRUN */

#endif
