/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Boot image, memory types, LAPIC, second CPU, Linux's boot protocol: see firmware.h. */
#include "firmware.h"

#include "cpu.h"
#include "memory.h"

extern uint32_t second_cr3, second_cr4;
void firmware_enter(uint64_t rip, uint64_t rsi, uint64_t cr3);

static void *at(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

/* ---- the image ---- */

static uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/* Sectors of the first IDE disk by programmed I/O, 128 at a time. false: there is no disk, or it fails. */
static bool disk_read(uint64_t sector, uint64_t count, char *to)
{
    while (count > 0) {
        uint32_t now = count < 128 ? (uint32_t)count : 128;
        const uint8_t command[6] = {(uint8_t)now,
                                    (uint8_t)sector,
                                    (uint8_t)(sector >> 8),
                                    (uint8_t)(sector >> 16),
                                    (uint8_t)(0xe0 | (sector >> 24 & 15)),
                                    0x20 /* READ SECTORS, LBA */};

        for (unsigned i = 0; i < 6; i++)
            cpu_out8((uint16_t)(0x1f2 + i), command[i]);
        for (uint32_t i = 0; i < now; i++) {
            uint32_t words = 128;
            uint8_t status = in8(0x1f7);

            while (status & 0x80)
                status = in8(0x1f7);
            if ((status & 0x21) != 0 || (status & 0x08) == 0) /* an error, or no data; 7f without a disk */
                return false;
            __asm__ volatile("rep insl" : "+D"(to), "+c"(words) : "d"((uint16_t)0x1f0) : "memory");
        }
        sector += now;
        count -= now;
    }
    return true;
}

const struct image *firmware_image(void)
{
    const struct image *image = at(IMAGE);

    if (image_at(IMAGE))
        return image;
    if (in8(0x1f7) == 0xff || !disk_read(0, 8, at(IMAGE)) || !image_at(IMAGE))
        return NULL;
    return disk_read(8, (image->size + 511) / 512 - 8, at(IMAGE + 4096)) ? image : NULL;
}

/* ---- a CPU ---- */

static void lapic_write(unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)(0xfee00000u + offset) = value;
}

void firmware_cpu(const struct image *image)
{
    const uint64_t wb = 0x0606060606060606, wp = 0x0505050505050505;
    uint64_t limit = UINT64_C(1) << cpu_physical_address_bits();

    /* RAM is WB, all else UC; below 1 MiB the display is UC and ROMs are WP. An MSR that is missing stays away. */
    cpu_wrmsr(0x2ff, 0);
    cpu_wrmsr(0x200, 6);
    cpu_wrmsr(0x201, ((limit - 1) & ~(image->ram_size - 1)) | 0x800);
    cpu_wrmsr(0x250, wb);
    cpu_wrmsr(0x258, wb);
    cpu_wrmsr(0x259, 0);
    for (uint32_t msr = 0x268; msr <= 0x26f; msr++)
        cpu_wrmsr(msr, wp);
    cpu_wrmsr(0x2ff, 0xc00);

    /* The PIC's interrupts come in through LINT0, on the first CPU. */
    lapic_write(0xf0, 0x1ff);
    lapic_write(0x350, *(volatile uint32_t *)(uintptr_t)0xfee00020u >> 24 == 0 ? 0x700 : 0x10700);
    lapic_write(0x360, 0x400);
}

bool firmware_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    (void)ctx;
    return cpu_rdmsr(msr, value) || msr == 0xc0010114;
}

bool firmware_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    (void)ctx;
    return cpu_wrmsr(msr, value);
}

/* A while, without a timer: a read of the LAPIC takes the bus. */
static void a_while(unsigned reads)
{
    while (reads-- > 0)
        (void)*(volatile uint32_t *)(uintptr_t)0xfee00020u;
}

void firmware_start_cpu(unsigned apic_id)
{
    uint64_t cr3;

    memcpy(at(TRAMPOLINE), firmware_trampoline, (size_t)(firmware_trampoline_end - firmware_trampoline));
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    second_cr3 = (uint32_t)cr3;
    second_cr4 = (uint32_t)cpu_read_cr4() & ~UINT32_C(0x2000);
    lapic_write(0x310, apic_id << 24);
    lapic_write(0x300, 0x4500); /* INIT */
    a_while(10000);
    lapic_write(0x310, apic_id << 24);
    lapic_write(0x300, 0x4600 | (uint32_t)(TRAMPOLINE >> 12)); /* start-up */
}

struct start firmware_park(unsigned apic_id)
{
    struct start start = {PARK, {apic_id, IDENTITY_MAP}};

    memcpy(at(PARK), firmware_park_code, (size_t)(firmware_park_end - firmware_park_code));
    memset(at(MAILBOX), 0, 4096);
    return start;
}

/* The guest may be between its writes of the LAPIC's two ICR words, so the first is kept. */
void firmware_nmi(unsigned apic_id)
{
    volatile uint32_t *icr_high = (volatile uint32_t *)(uintptr_t)0xfee00310, *icr_low = icr_high - 4;
    uint32_t kept = *icr_high;

    *icr_high = apic_id << 24;
    *icr_low = 0x4400;
    *icr_high = kept;
}

uint8_t firmware_interrupt(void)
{
    for (unsigned word = 8; word-- > 0;) {
        uint32_t bits = *(volatile uint32_t *)(uintptr_t)(0xfee00100 + 16 * word);

        if (bits != 0)
            return (uint8_t)(32 * word + 31 - (unsigned)__builtin_clz(bits));
    }
    return 0;
}

/* ---- Linux; Documentation/x86/boot.rst, "64-bit Boot Protocol" ---- */

static void identity_map(void)
{
    uint64_t *tables = at(IDENTITY_MAP);

    memset(tables, 0, 6 * 4096);
    tables[0] = (IDENTITY_MAP + 4096) | 3;
    for (unsigned i = 0; i < 4; i++)
        tables[512 + i] = (IDENTITY_MAP + (2 + i) * 4096) | 3;
    for (uint64_t i = 0; i < 2048; i++)
        tables[1024 + i] = i << 21 | 0x83;
}

static void add_memory(uint8_t *params, uint64_t start, uint64_t end, uint32_t type)
{
    uint8_t *entry = params + 0x2d0 + 20 * params[0x1e8]++;
    uint64_t size = end - start;

    memcpy(entry, &start, 8);
    memcpy(entry + 8, &size, 8);
    memcpy(entry + 16, &type, 4);
}

static void put32(uint8_t *params, unsigned offset, uint64_t value)
{
    memcpy(params + offset, &value, 4);
}

bool firmware_load_linux(const struct image *image, unsigned cpus, struct start *start)
{
    const uint8_t *kernel = at(IMAGE + image->kernel);
    uint8_t *params = at(BOOT_PARAMS);
    uint64_t setup = ((kernel[0x1f1] != 0 ? kernel[0x1f1] : 4) + UINT64_C(1)) * 512, load, rsdp;

    memcpy(&load, kernel + 0x258, 8);                                                        /* pref_address */
    if (memcmp(kernel + 0x202, "HdrS", 4) != 0 || kernel[0x207] < 2 || !(kernel[0x236] & 1)) /* XLF_KERNEL_64 */
        return false;
    identity_map();
    rsdp = acpi_build(cpus);
    memset(params, 0, 4096);
    memcpy(params + 0x1f1, kernel + 0x1f1, 0x202 + (size_t)kernel[0x201] - 0x1f1);
    memcpy(params + 0x70, &rsdp, 8);
    params[0x210] = 0xff; /* a boot loader without a number */
    put32(params, 0x218, IMAGE + image->initrd);
    put32(params, 0x21c, image->initrd_size);
    put32(params, 0x228, COMMAND_LINE);
    memcpy(at(COMMAND_LINE), image->command_line, sizeof(image->command_line));
    add_memory(params, 0, LOW_RESERVED, 1);
    add_memory(params, LOW_RESERVED, LOW_END, 2);
    add_memory(params, LOW_END, HYPERVISOR_START, 1);
    add_memory(params, HYPERVISOR_START, HYPERVISOR_END, 2);
    add_memory(params, HYPERVISOR_END, image->ram_size, 1);
    memcpy(at(load), kernel + setup, image->kernel_size - setup);
    start->pc = load + 0x200;
    start->arguments[0] = BOOT_PARAMS;
    start->arguments[1] = IDENTITY_MAP;
    return true;
}

_Noreturn void firmware_jump(const struct start *start)
{
    firmware_enter(start->pc, start->arguments[0], start->arguments[1]);
    __builtin_unreachable();
}
