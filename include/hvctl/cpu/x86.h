/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The instructions behind struct hvctl_cpu_ops, for gcc and clang on x86-64. All of them need CPL 0, except for CPUID.
 * SDM vol. 3, "VMX Instruction Reference"; APM vol. 3, "System Instruction Reference".
 */
#ifndef HVCTL_CPU_X86_H
#define HVCTL_CPU_X86_H

#if !defined(__x86_64__)
#error "hvctl/cpu/x86.h holds x86-64 instructions"
#endif

#include "cpu.h"

static inline struct hvctl_cpuid hvctl_x86_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    struct hvctl_cpuid id;

    (void)ctx;
    __asm__ volatile("cpuid" : "=a"(id.eax), "=b"(id.ebx), "=c"(id.ecx), "=d"(id.edx) : "0"(leaf), "2"(subleaf));
    return id;
}

/*
 * RDMSR without a safety net: it always returns true, because an MSR that does not exist raises #GP in the caller.
 * hvctl reads only MSRs that the architecture guarantees or other MSRs report, but a nested hypervisor or an emulator
 * may still lack one: put the kernel's own fault-safe rdmsr into the table if there is one.
 */
static inline bool hvctl_x86_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    uint32_t low, high;

    (void)ctx;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    *value = (uint64_t)high << 32 | low;
    return true;
}

/* WRMSR without a safety net, as hvctl_x86_rdmsr. */
static inline bool hvctl_x86_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    (void)ctx;
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
    return true;
}

static inline uint64_t hvctl_x86_read_cr0(void *ctx)
{
    uint64_t value;

    (void)ctx;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value) : : "memory");
    return value;
}

static inline bool hvctl_x86_write_cr0(void *ctx, uint64_t value)
{
    (void)ctx;
    __asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
    return true;
}

static inline uint64_t hvctl_x86_read_cr3(void *ctx)
{
    uint64_t value;

    (void)ctx;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value) : : "memory");
    return value;
}

static inline uint64_t hvctl_x86_read_cr4(void *ctx)
{
    uint64_t value;

    (void)ctx;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value) : : "memory");
    return value;
}

static inline bool hvctl_x86_write_cr4(void *ctx, uint64_t value)
{
    (void)ctx;
    __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
    return true;
}

/* The guest's DR6, which neither a VMCS nor a VM exit touches. */
static inline uint64_t hvctl_x86_read_dr6(void)
{
    uint64_t value;

    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    return value;
}

static inline void hvctl_x86_write_dr6(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr6" : : "r"(value));
}

static inline void hvctl_x86_read_selectors(void *ctx, struct hvctl_selectors *out)
{
    (void)ctx;
    __asm__ volatile("mov %%es, %0" : "=rm"(out->es));
    __asm__ volatile("mov %%cs, %0" : "=rm"(out->cs));
    __asm__ volatile("mov %%ss, %0" : "=rm"(out->ss));
    __asm__ volatile("mov %%ds, %0" : "=rm"(out->ds));
    __asm__ volatile("mov %%fs, %0" : "=rm"(out->fs));
    __asm__ volatile("mov %%gs, %0" : "=rm"(out->gs));
    __asm__ volatile("sldt %0" : "=rm"(out->ldtr));
    __asm__ volatile("str %0" : "=rm"(out->tr));
}

/* SGDT and SIDT store 2 + 8 bytes without padding. */
static inline void hvctl_x86_table_register(const uint16_t raw[5], struct hvctl_table_register *out)
{
    out->limit = raw[0];
    out->base = (uint64_t)raw[1] | (uint64_t)raw[2] << 16 | (uint64_t)raw[3] << 32 | (uint64_t)raw[4] << 48;
}

static inline void hvctl_x86_read_gdtr(void *ctx, struct hvctl_table_register *out)
{
    uint16_t raw[5] = {0, 0, 0, 0, 0};

    (void)ctx;
    __asm__ volatile("sgdt %0" : "=m"(raw));
    hvctl_x86_table_register(raw, out);
}

static inline void hvctl_x86_read_idtr(void *ctx, struct hvctl_table_register *out)
{
    uint16_t raw[5] = {0, 0, 0, 0, 0};

    (void)ctx;
    __asm__ volatile("sidt %0" : "=m"(raw));
    hvctl_x86_table_register(raw, out);
}

/* CF and ZF after a VMX instruction. */
static inline enum hvctl_vmx_result hvctl_x86_vmx_result(bool carry, bool zero)
{
    return carry ? HVCTL_VMX_FAIL_INVALID : zero ? HVCTL_VMX_FAIL_VALID : HVCTL_VMX_SUCCEED;
}

static inline enum hvctl_vmx_result hvctl_x86_vmxon(void *ctx, uint64_t region)
{
    bool carry, zero;

    (void)ctx;
    __asm__ volatile("vmxon %2" : "=@ccc"(carry), "=@ccz"(zero) : "m"(region) : "memory");
    return hvctl_x86_vmx_result(carry, zero);
}

static inline enum hvctl_vmx_result hvctl_x86_vmxoff(void *ctx)
{
    bool carry, zero;

    (void)ctx;
    __asm__ volatile("vmxoff" : "=@ccc"(carry), "=@ccz"(zero) : : "memory");
    return hvctl_x86_vmx_result(carry, zero);
}

static inline enum hvctl_vmx_result hvctl_x86_vmclear(void *ctx, uint64_t vmcs)
{
    bool carry, zero;

    (void)ctx;
    __asm__ volatile("vmclear %2" : "=@ccc"(carry), "=@ccz"(zero) : "m"(vmcs) : "memory");
    return hvctl_x86_vmx_result(carry, zero);
}

static inline enum hvctl_vmx_result hvctl_x86_vmptrld(void *ctx, uint64_t vmcs)
{
    bool carry, zero;

    (void)ctx;
    __asm__ volatile("vmptrld %2" : "=@ccc"(carry), "=@ccz"(zero) : "m"(vmcs) : "memory");
    return hvctl_x86_vmx_result(carry, zero);
}

/* Returns all ones if there is no current VMCS. */
static inline uint64_t hvctl_x86_vmptrst(void *ctx)
{
    uint64_t vmcs;

    (void)ctx;
    __asm__ volatile("vmptrst %0" : "=m"(vmcs) : : "memory", "cc");
    return vmcs;
}

static inline bool hvctl_x86_vmread(void *ctx, uint32_t encoding, uint64_t *value)
{
    bool carry, zero;
    uint64_t result = 0;

    (void)ctx;
    __asm__ volatile("vmread %3, %2"
                     : "=@ccc"(carry), "=@ccz"(zero), "+r"(result)
                     : "r"((uint64_t)encoding)
                     : "memory");
    *value = result;
    return !carry && !zero;
}

static inline bool hvctl_x86_vmwrite(void *ctx, uint32_t encoding, uint64_t value)
{
    bool carry, zero;

    (void)ctx;
    __asm__ volatile("vmwrite %3, %2"
                     : "=@ccc"(carry), "=@ccz"(zero)
                     : "r"((uint64_t)encoding), "rm"(value)
                     : "memory");
    return !carry && !zero;
}

static inline enum hvctl_vmx_result hvctl_x86_invept(void *ctx, enum hvctl_invept_type type,
                                                     const struct hvctl_inv_descriptor *what)
{
    bool carry, zero;

    (void)ctx;
    __asm__ volatile("invept %2, %3" : "=@ccc"(carry), "=@ccz"(zero) : "m"(*what), "r"((uint64_t)type) : "memory");
    return hvctl_x86_vmx_result(carry, zero);
}

static inline enum hvctl_vmx_result hvctl_x86_invvpid(void *ctx, enum hvctl_invvpid_type type,
                                                      const struct hvctl_inv_descriptor *what)
{
    bool carry, zero;

    (void)ctx;
    __asm__ volatile("invvpid %2, %3" : "=@ccc"(carry), "=@ccz"(zero) : "m"(*what), "r"((uint64_t)type) : "memory");
    return hvctl_x86_vmx_result(carry, zero);
}

static inline void hvctl_x86_clgi(void *ctx)
{
    (void)ctx;
    __asm__ volatile("clgi" : : : "memory");
}

static inline void hvctl_x86_stgi(void *ctx)
{
    (void)ctx;
    __asm__ volatile("stgi" : : : "memory");
}

static inline void hvctl_x86_vmload(void *ctx, uint64_t vmcb)
{
    (void)ctx;
    __asm__ volatile("vmload %%rax" : : "a"(vmcb) : "memory");
}

static inline void hvctl_x86_vmsave(void *ctx, uint64_t vmcb)
{
    (void)ctx;
    __asm__ volatile("vmsave %%rax" : : "a"(vmcb) : "memory");
}

static inline void hvctl_x86_invlpga(void *ctx, uint64_t linear, uint32_t asid)
{
    (void)ctx;
    __asm__ volatile("invlpga %%rax, %%ecx" : : "a"(linear), "c"(asid) : "memory");
}

/*
 * The table with the instructions of this CPU. A kernel replaces members before use: rdmsr and wrmsr with its
 * fault-safe ones, write_cr4 with one that maintains its shadow of CR4.
 */
static inline struct hvctl_cpu_ops hvctl_x86_cpu_ops(void)
{
    struct hvctl_cpu_ops ops;

    ops.ctx = NULL;
    ops.rdmsr = hvctl_x86_rdmsr;
    ops.wrmsr = hvctl_x86_wrmsr;
    ops.cpuid = hvctl_x86_cpuid;
    ops.read_cr0 = hvctl_x86_read_cr0;
    ops.write_cr0 = hvctl_x86_write_cr0;
    ops.read_cr3 = hvctl_x86_read_cr3;
    ops.read_cr4 = hvctl_x86_read_cr4;
    ops.write_cr4 = hvctl_x86_write_cr4;
    ops.read_selectors = hvctl_x86_read_selectors;
    ops.read_gdtr = hvctl_x86_read_gdtr;
    ops.read_idtr = hvctl_x86_read_idtr;
    ops.vmxon = hvctl_x86_vmxon;
    ops.vmxoff = hvctl_x86_vmxoff;
    ops.vmclear = hvctl_x86_vmclear;
    ops.vmptrld = hvctl_x86_vmptrld;
    ops.vmptrst = hvctl_x86_vmptrst;
    ops.vmread = hvctl_x86_vmread;
    ops.vmwrite = hvctl_x86_vmwrite;
    ops.invept = hvctl_x86_invept;
    ops.invvpid = hvctl_x86_invvpid;
    ops.clgi = hvctl_x86_clgi;
    ops.stgi = hvctl_x86_stgi;
    ops.vmload = hvctl_x86_vmload;
    ops.vmsave = hvctl_x86_vmsave;
    ops.invlpga = hvctl_x86_invlpga;
    return ops;
}

#endif
