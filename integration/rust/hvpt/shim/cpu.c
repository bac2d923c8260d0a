/*
 * Between hvctl's table of CPU operations and Rust's trait Cpu, and on x86-64 the instructions themselves, which the
 * trait's provided methods use.
 */
#include "cpu.h"
#include "shim.h"

static uint64_t read_cr0(void *ctx)
{
    return hvctl_rs_cpu_read_cr(ctx, 0);
}

static uint64_t read_cr3(void *ctx)
{
    return hvctl_rs_cpu_read_cr(ctx, 3);
}

static uint64_t read_cr4(void *ctx)
{
    return hvctl_rs_cpu_read_cr(ctx, 4);
}

static bool write_cr0(void *ctx, uint64_t value)
{
    return hvctl_rs_cpu_write_cr(ctx, 0, value);
}

static bool write_cr4(void *ctx, uint64_t value)
{
    return hvctl_rs_cpu_write_cr(ctx, 4, value);
}

struct hvctl_cpuid hvctl_rs_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    uint32_t registers[4] = {0, 0, 0, 0};
    struct hvctl_cpuid id;

    hvctl_rs_cpu_cpuid(ctx, leaf, subleaf, registers);
    id.eax = registers[0];
    id.ebx = registers[1];
    id.ecx = registers[2];
    id.edx = registers[3];
    return id;
}

static void read_selectors(void *ctx, struct hvctl_selectors *out)
{
    uint16_t words[8] = {0, 0, 0, 0, 0, 0, 0, 0};

    hvctl_rs_cpu_selectors(ctx, words);
    out->es = words[0];
    out->cs = words[1];
    out->ss = words[2];
    out->ds = words[3];
    out->fs = words[4];
    out->gs = words[5];
    out->ldtr = words[6];
    out->tr = words[7];
}

static void read_gdtr(void *ctx, struct hvctl_table_register *out)
{
    out->base = hvctl_rs_cpu_table(ctx, false, &out->limit);
}

static void read_idtr(void *ctx, struct hvctl_table_register *out)
{
    out->base = hvctl_rs_cpu_table(ctx, true, &out->limit);
}

static enum hvctl_vmx_result vmxon(void *ctx, uint64_t region)
{
    return (enum hvctl_vmx_result)hvctl_rs_cpu_vmx(ctx, HVCTL_RS_VMXON, region);
}

static enum hvctl_vmx_result vmxoff(void *ctx)
{
    return (enum hvctl_vmx_result)hvctl_rs_cpu_vmx(ctx, HVCTL_RS_VMXOFF, 0);
}

static enum hvctl_vmx_result vmclear(void *ctx, uint64_t vmcs)
{
    return (enum hvctl_vmx_result)hvctl_rs_cpu_vmx(ctx, HVCTL_RS_VMCLEAR, vmcs);
}

static enum hvctl_vmx_result vmptrld(void *ctx, uint64_t vmcs)
{
    return (enum hvctl_vmx_result)hvctl_rs_cpu_vmx(ctx, HVCTL_RS_VMPTRLD, vmcs);
}

static enum hvctl_vmx_result invept(void *ctx, enum hvctl_invept_type type, const struct hvctl_inv_descriptor *what)
{
    return (enum hvctl_vmx_result)hvctl_rs_cpu_invalidate(ctx, false, (uint32_t)type, what->low, what->high);
}

static enum hvctl_vmx_result invvpid(void *ctx, enum hvctl_invvpid_type type, const struct hvctl_inv_descriptor *what)
{
    return (enum hvctl_vmx_result)hvctl_rs_cpu_invalidate(ctx, true, (uint32_t)type, what->low, what->high);
}

struct hvctl_cpu_ops hvctl_rs_ops(void *ctx)
{
    struct hvctl_cpu_ops ops;

    ops.ctx = ctx;
    ops.rdmsr = hvctl_rs_cpu_rdmsr;
    ops.wrmsr = hvctl_rs_cpu_wrmsr;
    ops.cpuid = hvctl_rs_cpuid;
    ops.read_cr0 = read_cr0;
    ops.write_cr0 = write_cr0;
    ops.read_cr3 = read_cr3;
    ops.read_cr4 = read_cr4;
    ops.write_cr4 = write_cr4;
    ops.read_selectors = read_selectors;
    ops.read_gdtr = read_gdtr;
    ops.read_idtr = read_idtr;
    ops.vmxon = vmxon;
    ops.vmxoff = vmxoff;
    ops.vmclear = vmclear;
    ops.vmptrld = vmptrld;
    ops.vmptrst = hvctl_rs_cpu_vmptrst;
    ops.vmread = hvctl_rs_cpu_vmread;
    ops.vmwrite = hvctl_rs_cpu_vmwrite;
    ops.invept = invept;
    ops.invvpid = invvpid;
    ops.clgi = NULL; /* the world switch has its own; so have VMLOAD and VMSAVE */
    ops.stgi = hvctl_rs_cpu_stgi;
    ops.vmload = NULL;
    ops.vmsave = NULL;
    ops.invlpga = NULL;
    return ops;
}

#if defined(__x86_64__)

#include <hvctl/cpu/after_exit.h>

/* A host's returns are not to be predicted by what a guest called. */
#undef HVCTL_AFTER_EXIT
#define HVCTL_AFTER_EXIT HVCTL_FILL_RETURN_STACK

#include <hvctl/cpu/svm_switch.h>
#include <hvctl/cpu/vmx_switch.h>

uint64_t hvctl_rs_native_rdmsr(uint32_t msr)
{
    uint64_t value = 0;

    (void)hvctl_x86_rdmsr(NULL, msr, &value);
    return value;
}

void hvctl_rs_native_wrmsr(uint32_t msr, uint64_t value)
{
    (void)hvctl_x86_wrmsr(NULL, msr, value);
}

uint64_t hvctl_rs_native_rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

void hvctl_rs_native_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *registers)
{
    struct hvctl_cpuid id = hvctl_x86_cpuid(NULL, leaf, subleaf);

    registers[0] = id.eax;
    registers[1] = id.ebx;
    registers[2] = id.ecx;
    registers[3] = id.edx;
}

uint64_t hvctl_rs_native_read_cr(uint32_t number)
{
    switch (number) {
    case 0: return hvctl_x86_read_cr0(NULL);
    case 2: {
        uint64_t value;

        __asm__ volatile("mov %%cr2, %0" : "=r"(value));
        return value;
    }
    case 3: return hvctl_x86_read_cr3(NULL);
    default: return hvctl_x86_read_cr4(NULL);
    }
}

void hvctl_rs_native_write_cr(uint32_t number, uint64_t value)
{
    if (number == 0)
        (void)hvctl_x86_write_cr0(NULL, value);
    else if (number == 2)
        __asm__ volatile("mov %0, %%cr2" : : "r"(value));
    else if (number == 4)
        (void)hvctl_x86_write_cr4(NULL, value);
}

void hvctl_rs_native_selectors(uint16_t *words)
{
    struct hvctl_selectors selectors;

    hvctl_x86_read_selectors(NULL, &selectors);
    words[0] = selectors.es;
    words[1] = selectors.cs;
    words[2] = selectors.ss;
    words[3] = selectors.ds;
    words[4] = selectors.fs;
    words[5] = selectors.gs;
    words[6] = selectors.ldtr;
    words[7] = selectors.tr;
}

uint64_t hvctl_rs_native_table(bool idt, uint16_t *limit)
{
    struct hvctl_table_register table;

    if (idt)
        hvctl_x86_read_idtr(NULL, &table);
    else
        hvctl_x86_read_gdtr(NULL, &table);
    *limit = table.limit;
    return table.base;
}

uint32_t hvctl_rs_native_vmx(uint32_t instruction, uint64_t operand)
{
    switch (instruction) {
    case HVCTL_RS_VMXON: return (uint32_t)hvctl_x86_vmxon(NULL, operand);
    case HVCTL_RS_VMXOFF: return (uint32_t)hvctl_x86_vmxoff(NULL);
    case HVCTL_RS_VMCLEAR: return (uint32_t)hvctl_x86_vmclear(NULL, operand);
    default: return (uint32_t)hvctl_x86_vmptrld(NULL, operand);
    }
}

uint64_t hvctl_rs_native_vmptrst(void)
{
    return hvctl_x86_vmptrst(NULL);
}

bool hvctl_rs_native_vmread(uint32_t field, uint64_t *value)
{
    return hvctl_x86_vmread(NULL, field, value);
}

bool hvctl_rs_native_vmwrite(uint32_t field, uint64_t value)
{
    return hvctl_x86_vmwrite(NULL, field, value);
}

uint32_t hvctl_rs_native_invalidate(bool vpid, uint32_t type, uint64_t low, uint64_t high)
{
    const struct hvctl_inv_descriptor what = {low, high};

    return vpid ? (uint32_t)hvctl_x86_invvpid(NULL, (enum hvctl_invvpid_type)type, &what)
                : (uint32_t)hvctl_x86_invept(NULL, (enum hvctl_invept_type)type, &what);
}

void hvctl_rs_native_stgi(void)
{
    hvctl_x86_stgi(NULL);
}

/* ---- what a VM exit resets ---- */

void hvctl_rs_native_load_table(bool idt, uint64_t base, uint16_t limit)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } table = {limit, base};

    if (idt)
        __asm__ volatile("lidt %0" : : "m"(table) : "memory");
    else
        __asm__ volatile("lgdt %0" : : "m"(table) : "memory");
}

/* LTR refuses a descriptor that is busy, as that of the loaded one is. */
void hvctl_rs_native_load_tr(uint16_t selector)
{
    struct hvctl_table_register gdt;
    volatile uint8_t *type;

    hvctl_x86_read_gdtr(NULL, &gdt);
    type = (volatile uint8_t *)(uintptr_t)(gdt.base + (selector & 0xfff8u) + 5u);
    *type &= 0xfdu;
    __asm__ volatile("ltr %0" : : "r"(selector) : "memory");
}

void hvctl_rs_native_load_ldtr(uint16_t selector)
{
    __asm__ volatile("lldt %0" : : "r"(selector) : "memory");
}

/*
 * ES 0, DS 3, FS 4, GS 5; the bases of FS and GS stay. While GS is loaded its base is the user's, as a handler of an
 * NMI in the middle finds it when it comes from user mode, too.
 */
void hvctl_rs_native_load_segment(uint32_t number, uint16_t selector)
{
    uint64_t base = 0;

    switch (number) {
    case 0: __asm__ volatile("mov %0, %%es" : : "r"(selector)); break;
    case 3: __asm__ volatile("mov %0, %%ds" : : "r"(selector)); break;
    case 4:
        (void)hvctl_x86_rdmsr(NULL, HVCTL_MSR_FS_BASE, &base);
        __asm__ volatile("mov %0, %%fs" : : "r"(selector));
        (void)hvctl_x86_wrmsr(NULL, HVCTL_MSR_FS_BASE, base);
        break;
    case 5:
        (void)hvctl_x86_rdmsr(NULL, HVCTL_MSR_KERNEL_GS_BASE, &base);
        __asm__ volatile("swapgs\n\tmov %0, %%gs" : : "r"(selector));
        (void)hvctl_x86_wrmsr(NULL, HVCTL_MSR_GS_BASE, base);
        __asm__ volatile("swapgs");
        break;
    default: break;
    }
}

uint64_t hvctl_rs_native_read_dr(uint32_t number)
{
    uint64_t value = 0;

    switch (number) {
    case 0: __asm__ volatile("mov %%dr0, %0" : "=r"(value)); break;
    case 1: __asm__ volatile("mov %%dr1, %0" : "=r"(value)); break;
    case 2: __asm__ volatile("mov %%dr2, %0" : "=r"(value)); break;
    case 3: __asm__ volatile("mov %%dr3, %0" : "=r"(value)); break;
    case 6: return hvctl_x86_read_dr6();
    case 7: __asm__ volatile("mov %%dr7, %0" : "=r"(value)); break;
    default: break;
    }
    return value;
}

void hvctl_rs_native_write_dr(uint32_t number, uint64_t value)
{
    switch (number) {
    case 0: __asm__ volatile("mov %0, %%dr0" : : "r"(value)); break;
    case 1: __asm__ volatile("mov %0, %%dr1" : : "r"(value)); break;
    case 2: __asm__ volatile("mov %0, %%dr2" : : "r"(value)); break;
    case 3: __asm__ volatile("mov %0, %%dr3" : : "r"(value)); break;
    case 6: hvctl_x86_write_dr6(value); break;
    case 7: __asm__ volatile("mov %0, %%dr7" : : "r"(value)); break;
    default: break;
    }
}

/* CR4.OSXSAVE is set, and so it is for the next one, whose value the CPU takes. */
uint64_t hvctl_rs_native_read_xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

void hvctl_rs_native_write_xcr0(uint64_t value)
{
    __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/* With the microcode that CPUID reports as MD_CLEAR this overwrites the buffers that speculation looks into. */
void hvctl_rs_native_verw(void)
{
    uint16_t selector;

    __asm__ volatile("mov %%ss, %0" : "=r"(selector));
    __asm__ volatile("verw %0" : : "m"(selector) : "cc");
}

/* A machine check that ended a guest: the host's handler has not been called. */
void hvctl_rs_native_machine_check(void)
{
    __asm__ volatile("int $18" : : : "memory");
}

/* Flags as before: the caller gives them back to hvctl_rs_native_irq_restore. */
uint64_t hvctl_rs_native_irq_off(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq\n\tpop %0\n\tcli" : "=r"(flags) : : "memory");
    return flags;
}

void hvctl_rs_native_irq_restore(uint64_t flags)
{
    if (flags & 0x200)
        __asm__ volatile("sti" : : : "memory");
}

/* What an NMI that ended a guest on VMX did not do: call the host's handler. */
void hvctl_rs_native_nmi(void)
{
    __asm__ volatile("int $2" : : : "memory");
}

/* regs: struct hvctl_guest_regs as 17 words. */
uint32_t hvctl_rs_native_vmx_switch(uint64_t *regs, bool launched)
{
    return (uint32_t)hvctl_vmx_switch((struct hvctl_guest_regs *)(void *)regs, launched);
}

void hvctl_rs_native_svm_switch(uint64_t *regs, uint64_t vmcb, uint64_t host, bool interrupts)
{
    hvctl_svm_switch((struct hvctl_guest_regs *)(void *)regs, vmcb, host, interrupts);
}

_Static_assert(sizeof(struct hvctl_guest_regs) == 17 * sizeof(uint64_t), "cpu.rs has the registers as 17 words");

/*
 * x87, SSE and the rest of the XSAVE area. wide: by XSAVE with every component that XCR0 names, which then must not
 * change; else FXSAVE. area: 64-byte aligned, and as large as CPUID leaf 0DH says (512 bytes for FXSAVE); zeroed before
 * its first use.
 */
void hvctl_rs_native_state_save(void *area, bool wide)
{
    if (wide)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(UINT32_MAX), "d"(UINT32_MAX) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

void hvctl_rs_native_state_load(const void *area, bool wide)
{
    if (wide)
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(UINT32_MAX), "d"(UINT32_MAX) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

#endif
