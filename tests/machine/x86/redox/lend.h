/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The runtime's console, checks and fault-safe MSRs, as integration/redox/machine calls them. */
#ifndef LEND_H
#define LEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void redox_machine_check(uint64_t got, uint64_t expected, const char *name, size_t length);
void redox_machine_skip(const char *name, size_t length, const char *why, size_t why_length);
void redox_machine_print(const char *bytes, size_t length);
_Noreturn void redox_machine_panic(const char *bytes, size_t length);
bool redox_machine_rdmsr(uint32_t msr, uint64_t *value);
bool redox_machine_wrmsr(uint32_t msr, uint64_t value);
void redox_machine_state_save(uint8_t *area);
void redox_machine_state_load(const uint8_t *area);
uint32_t redox_machine_vmx_switch(uint64_t *regs, bool launched);
void redox_machine_svm_switch(uint64_t *regs, uint64_t vmcb, uint64_t host, bool interrupts);
int bcmp(const void *a, const void *b, size_t size);
void rust_eh_personality(void);
_Noreturn void _Unwind_Resume(void);

/* The crate's shim. */
uint32_t hvctl_rs_native_vmx_switch(uint64_t *regs, bool launched);
void hvctl_rs_native_svm_switch(uint64_t *regs, uint64_t vmcb, uint64_t host, bool interrupts);

/* CR4 and XCR0 as a kernel has them. Before any Rust runs. */
void lend_begin(void);

#endif
