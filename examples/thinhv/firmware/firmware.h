/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What a BIOS and a boot loader leave behind on a PC: memory types, a LAPIC that passes interrupts on, ACPI tables, a
 * kernel with its boot parameters in memory. Start-up code: nothing of hvpt or hvctl is to be learnt here.
 */
#ifndef FIRMWARE_H
#define FIRMWARE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The machine's memory. RAM reaches from 0 to image->ram_size. Everything below LOW_END that Linux must leave alone
 * lies from LOW_RESERVED on; the hypervisor sits below 1 GiB, so that the second GiB of RAM is whole.
 */
#define BOOT_PARAMS      UINT64_C(0x10000)
#define COMMAND_LINE     UINT64_C(0x11000)
#define LOW_RESERVED     UINT64_C(0x90000)
#define IDENTITY_MAP     UINT64_C(0x90000) /* six pages: 4 GiB one to one, for the first instructions of each CPU */
#define ACPI_TABLES      UINT64_C(0x98000)
#define MAILBOX          UINT64_C(0x9a000) /* ACPI's multiprocessor wakeup mailbox */
#define PARK             UINT64_C(0x9b000) /* code that waits on it */
#define TRAMPOLINE       UINT64_C(0x9c000) /* where a second CPU starts, in real mode */
#define LOW_END          UINT64_C(0x100000)
#define IMAGE            UINT64_C(0x10000000)
#define HYPERVISOR_START UINT64_C(0x3e000000)
#define HYPERVISOR_END   UINT64_C(0x40000000)

#define MAX_CPUS 2u

/* The first page of the boot image: what to do, and where in the image kernel and initrd are. image.py writes it. */
struct image {
    char magic[8]; /* "THINHV01" */
    uint64_t size;
    uint64_t kernel, kernel_size; /* offsets from this page */
    uint64_t initrd, initrd_size;
    uint64_t ram_size;
    char options[256]; /* words; see option() */
    char command_line[1024];
};

/* Where and how a kernel begins: 64-bit mode on cr3's tables, RSI = rsi. */
struct start {
    uint64_t rip, rsi, cr3;
};

/* Finds the boot image: put at IMAGE by the emulator, or else on the first IDE disk. NULL: there is none. */
const struct image *firmware_image(void);

/* Is the word among the image's options? value, if not NULL: the number after it ("cpus=2"). */
bool option(const struct image *image, const char *word, uint64_t *value);

/* MTRRs and LAPIC of the CPU that calls it: as a BIOS sets them up, on every CPU. */
void firmware_cpu(const struct image *image);

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

/* A line on the emulator's debug port; whole, whoever else speaks. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Without a hypervisor. */
_Noreturn void firmware_jump(const struct start *start);

/* firmware.S */
extern const char firmware_trampoline[], firmware_trampoline_end[], firmware_park_code[], firmware_park_end[];
uint64_t acpi_build(unsigned cpus); /* the address of the RSDP */

#endif
