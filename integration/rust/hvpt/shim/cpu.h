/* The CPU as Rust provides it: its trait Cpu behind a table of operations. ctx is a pointer to a &dyn Cpu. */
#ifndef HVPT_RS_CPU_H
#define HVPT_RS_CPU_H

#include <hvctl/cpu/cpu.h>

bool hvctl_rs_cpu_rdmsr(void *ctx, uint32_t msr, uint64_t *value);
bool hvctl_rs_cpu_wrmsr(void *ctx, uint32_t msr, uint64_t value);
void hvctl_rs_cpu_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf, uint32_t *registers);
uint64_t hvctl_rs_cpu_read_cr(void *ctx, uint32_t number);
bool hvctl_rs_cpu_write_cr(void *ctx, uint32_t number, uint64_t value);
void hvctl_rs_cpu_selectors(void *ctx, uint16_t *selectors);
uint64_t hvctl_rs_cpu_table(void *ctx, bool idt, uint16_t *limit);
uint32_t hvctl_rs_cpu_vmx(void *ctx, uint32_t instruction, uint64_t operand);
uint64_t hvctl_rs_cpu_vmptrst(void *ctx);
bool hvctl_rs_cpu_vmread(void *ctx, uint32_t field, uint64_t *value);
bool hvctl_rs_cpu_vmwrite(void *ctx, uint32_t field, uint64_t value);
uint32_t hvctl_rs_cpu_invalidate(void *ctx, bool vpid, uint32_t type, uint64_t low, uint64_t high);
void hvctl_rs_cpu_stgi(void *ctx);

/* hvctl_rs_cpu_vmx: which one. */
enum { HVCTL_RS_VMXON, HVCTL_RS_VMXOFF, HVCTL_RS_VMCLEAR, HVCTL_RS_VMPTRLD };

/* What Rust's trait answers, as hvctl asks for it. */
struct hvctl_cpu_ops hvctl_rs_ops(void *ctx);
struct hvctl_cpuid hvctl_rs_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf);

#endif
