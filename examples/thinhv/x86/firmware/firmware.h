/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a BIOS and a boot loader leave behind on a PC: memory types, a LAPIC that passes interrupts on, ACPI tables, a
 * kernel with its boot parameters in memory. Start-up code: nothing of hvpt or hvctl is to be learnt here.
 */
#ifndef FIRMWARE_H
#define FIRMWARE_H

#include <stdint.h>

#include "arch.h"
#include "boot.h"

/* Finds the boot image: put at IMAGE by the emulator, or else on the first IDE disk. NULL: there is none. */
const struct image *firmware_image(void);

/* MTRRs and LAPIC of the CPU that calls it: as a BIOS sets them up, on every CPU. */
void firmware_cpu(const struct image *image);

/*
 * A CPU begins in 64-bit mode at start->pc, on the tables of start->arguments[1], with RSI = start->arguments[0].
 */

/* ACPI tables, kernel, boot parameters. false: this is no kernel that can be started in 64-bit mode. */
bool firmware_load_linux(const struct image *image, unsigned cpus, struct start *start);

/* Where a second CPU waits, in the guest, until Linux wants it. */
struct start firmware_park(unsigned apic_id);

/* Starts the CPU with this APIC id: it calls second_cpu() on a stack of its own. */
void firmware_start_cpu(unsigned apic_id);
void second_cpu(void);

/*
 * RDMSR and WRMSR that tell of a fault instead of dying of it; ctx is not used. VM_CR, which Bochs has not, then reads
 * as 0: nothing is disabled.
 */
bool firmware_rdmsr(void *ctx, uint32_t msr, uint64_t *value);
bool firmware_wrmsr(void *ctx, uint32_t msr, uint64_t value);

/* An NMI to the CPU with this APIC id. */
void firmware_nmi(unsigned apic_id);

/* The interrupt that the LAPIC has given to this CPU and that is not finished; 0: none. */
uint8_t firmware_interrupt(void);

/* Without a hypervisor. */
_Noreturn void firmware_jump(const struct start *start);

/* firmware.S */
extern const char firmware_trampoline[], firmware_trampoline_end[], firmware_park_code[], firmware_park_end[];
uint64_t acpi_build(unsigned cpus); /* the address of the RSDP */

#endif
