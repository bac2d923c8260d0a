/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The operations that hvctl/cpu needs of a CPU, as a table: x86.h fills it with the real instructions, a test with
 * functions of its own. Nothing in this file is specific to a compiler or touches the machine.
 */
#ifndef HVCTL_CPU_CPU_H
#define HVCTL_CPU_CPU_H

#include "../common/msr.h"
#include "../common/status.h"
#include "../../hvpt/text.h"

/* How a VMX instruction ended. SDM vol. 3, "VMX Instruction Reference", "Conventions". */
enum hvctl_vmx_result {
    HVCTL_VMX_SUCCEED,
    HVCTL_VMX_FAIL_INVALID, /* CF: there is no current VMCS to hold an error number, or it is not usable */
    HVCTL_VMX_FAIL_VALID,   /* ZF: VM_INSTRUCTION_ERROR of the current VMCS has the number */
    HVCTL_VMX_FAULT         /* the instruction raised #UD or #GP, and the platform could tell */
};

/* The descriptor of INVEPT and INVVPID: 16 bytes in memory. */
struct hvctl_inv_descriptor {
    uint64_t low;  /* INVEPT: EPTP. INVVPID: VPID in bits 15:0, the rest 0 */
    uint64_t high; /* INVEPT: 0. INVVPID: linear address, for individual-address */
};

enum hvctl_invept_type { HVCTL_INVEPT_SINGLE_CONTEXT = 1, HVCTL_INVEPT_ALL_CONTEXT = 2 };
enum hvctl_invvpid_type {
    HVCTL_INVVPID_INDIVIDUAL_ADDRESS = 0,
    HVCTL_INVVPID_SINGLE_CONTEXT = 1,
    HVCTL_INVVPID_ALL_CONTEXT = 2,
    HVCTL_INVVPID_SINGLE_CONTEXT_RETAINING_GLOBALS = 3
};

/* A descriptor-table register as SGDT and SIDT store it. */
struct hvctl_table_register {
    uint64_t base;
    uint16_t limit;
};

/* The segment registers' selectors, in the order of their encoding, and the two system ones. */
struct hvctl_selectors {
    uint16_t es, cs, ss, ds, fs, gs, ldtr, tr;
};

/*
 * The table. Each operation gets ctx and acts on the CPU that calls it; the caller must not migrate to another CPU in
 * between. Regions are passed by their physical addresses. An operation that may fault returns false, or
 * HVCTL_VMX_FAULT, where the platform can catch that.
 */
struct hvctl_cpu_ops {
    void *ctx;
    bool (*rdmsr)(void *ctx, uint32_t msr, uint64_t *value);
    bool (*wrmsr)(void *ctx, uint32_t msr, uint64_t value);
    struct hvctl_cpuid (*cpuid)(void *ctx, uint32_t leaf, uint32_t subleaf);
    uint64_t (*read_cr0)(void *ctx);
    bool (*write_cr0)(void *ctx, uint64_t value);
    uint64_t (*read_cr3)(void *ctx);
    uint64_t (*read_cr4)(void *ctx);
    bool (*write_cr4)(void *ctx, uint64_t value);
    void (*read_selectors)(void *ctx, struct hvctl_selectors *out);
    void (*read_gdtr)(void *ctx, struct hvctl_table_register *out);
    void (*read_idtr)(void *ctx, struct hvctl_table_register *out);
    /* VMX. vmread and vmwrite: false on VMfail; they fit hvctl_vmcs_load and hvctl_vmcs_store. */
    enum hvctl_vmx_result (*vmxon)(void *ctx, uint64_t region);
    enum hvctl_vmx_result (*vmxoff)(void *ctx);
    enum hvctl_vmx_result (*vmclear)(void *ctx, uint64_t vmcs);
    enum hvctl_vmx_result (*vmptrld)(void *ctx, uint64_t vmcs);
    uint64_t (*vmptrst)(void *ctx);
    bool (*vmread)(void *ctx, uint32_t encoding, uint64_t *value);
    bool (*vmwrite)(void *ctx, uint32_t encoding, uint64_t value);
    enum hvctl_vmx_result (*invept)(void *ctx, enum hvctl_invept_type type, const struct hvctl_inv_descriptor *what);
    enum hvctl_vmx_result (*invvpid)(void *ctx, enum hvctl_invvpid_type type, const struct hvctl_inv_descriptor *what);
    /* SVM. */
    void (*clgi)(void *ctx);
    void (*stgi)(void *ctx);
    void (*vmload)(void *ctx, uint64_t vmcb);
    void (*vmsave)(void *ctx, uint64_t vmcb);
    void (*invlpga)(void *ctx, uint64_t linear, uint32_t asid);
};

/* "VMfailInvalid" and so on. */
static inline const char *hvctl_vmx_result_text(enum hvctl_vmx_result result)
{
    switch (result) {
    case HVCTL_VMX_SUCCEED: return "VMsucceed";
    case HVCTL_VMX_FAIL_INVALID: return "VMfailInvalid";
    case HVCTL_VMX_FAIL_VALID: return "VMfailValid";
    case HVCTL_VMX_FAULT: return "fault";
    }
    return "unknown result";
}

#endif
