/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Linux in a guest of the Redox kernel module: finds kernel and initrd, has the PIT interrupt this CPU, measures the TSC,
 * and starts integration/redox/machine/src/linux.rs.
 */
#include "lend.h"

#include "check.h"
#include "console.h"
#include "cpu.h"
#include "exceptions.h"
#include "kernel.h"
#include "machine.h"
#include "memory.h"

/* Where the emulator puts the boot image; below it lies this kernel, behind it are the frames of the stand-in kernel. */
#define IMAGE  UINT64_C(0x10000000)
#define MEMORY UINT64_C(0x20000000)
#define FRAMES 61440u

#define TIMER_VECTOR 0x20u
#define PIT_HZ       1193182u
#define TIMER_HZ     250u

/* What tests/machine/x86/redox/linux.py writes: offsets from here. */
struct image {
    char magic[8];
    uint64_t size, kernel, kernel_size, initrd, initrd_size;
};

struct files {
    const void *kernel;
    uint64_t kernel_size;
    const void *initrd;
    uint64_t initrd_size;
    uint64_t tsc_hz;
};

void redox_linux_main(uintptr_t memory, size_t frames, const struct files *files);
void redox_linux_let_in(void);
void redox_linux_wait(void);

static uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static uint64_t rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* Sectors of the first IDE disk, 128 at a time. false: there is no disk, or it fails. */
static bool disk_read(uint64_t sector, uint64_t count, char *to)
{
    while (count > 0) {
        uint32_t now = count < 128 ? (uint32_t)count : 128;

        cpu_out8(0x1f2, (uint8_t)now);
        cpu_out8(0x1f3, (uint8_t)sector);
        cpu_out8(0x1f4, (uint8_t)(sector >> 8));
        cpu_out8(0x1f5, (uint8_t)(sector >> 16));
        cpu_out8(0x1f6, (uint8_t)(0xe0 | (sector >> 24 & 15)));
        cpu_out8(0x1f7, 0x20);
        for (uint32_t i = 0; i < now; i++) {
            uint32_t words = 128;
            uint8_t status = in8(0x1f7);

            while (status & 0x80)
                status = in8(0x1f7);
            if ((status & 0x21) != 0 || (status & 0x08) == 0)
                return false;
            __asm__ volatile("rep insl" : "+D"(to), "+c"(words) : "d"((uint16_t)0x1f0) : "memory");
        }
        sector += now;
        count -= now;
    }
    return true;
}

static const struct image *find_image(void)
{
    const struct image *image = (const struct image *)(uintptr_t)IMAGE;

    if (memcmp(image->magic, "HVLINUX1", 8) == 0)
        return image;
    if (in8(0x1f7) == 0xff || !disk_read(0, 8, (char *)(uintptr_t)IMAGE) || memcmp(image->magic, "HVLINUX1", 8) != 0)
        return NULL;
    return disk_read(8, (image->size + 511) / 512 - 8, (char *)(uintptr_t)(IMAGE + 4096)) ? image : NULL;
}

/* ---- the host's own interrupts ---- */

static void timer_interrupt(void)
{
    cpu_out8(0x20, 0x20);
}

static void spurious_interrupt(void)
{
}

/* The first PIC at TIMER_VECTOR with the timer alone, through the LAPIC's LINT0. */
static void start_timer(void)
{
    const uint32_t divisor = PIT_HZ / TIMER_HZ;
    volatile uint32_t *lapic = (volatile uint32_t *)(uintptr_t)0xfee00000u;

    lapic[0xf0 / 4] = 0x1ff;
    lapic[0x350 / 4] = 0x700;
    exceptions_handle(TIMER_VECTOR, timer_interrupt);
    exceptions_handle(TIMER_VECTOR + 7, spurious_interrupt);
    exceptions_handle(0xff, spurious_interrupt);
    cpu_out8(0x20, 0x11);
    cpu_out8(0x21, TIMER_VECTOR);
    cpu_out8(0x21, 4);
    cpu_out8(0x21, 1);
    cpu_out8(0x21, 0xfe);
    cpu_out8(0xa1, 0xff);
    cpu_out8(0x43, 0x34);
    cpu_out8(0x40, (uint8_t)divisor);
    cpu_out8(0x40, (uint8_t)(divisor >> 8));
}

void redox_linux_let_in(void)
{
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
}

void redox_linux_wait(void)
{
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

/* TSC ticks a second, by twenty of the timer's interrupts. */
static uint64_t measure_tsc(void)
{
    uint64_t start;

    redox_linux_wait();
    start = rdtsc();
    for (unsigned i = 0; i < 20; i++)
        redox_linux_wait();
    return (rdtsc() - start) * TIMER_HZ / 20;
}

void kernel_main(void)
{
    const struct image *image = find_image();
    struct files files;

    lend_begin();
    check_group("redox linux");
    if (image == NULL)
        panic("no boot image");
    start_timer();
    files.kernel = (const char *)image + image->kernel;
    files.kernel_size = image->kernel_size;
    files.initrd = (const char *)image + image->initrd;
    files.initrd_size = image->initrd_size;
    files.tsc_hz = measure_tsc();
    redox_linux_main(MEMORY, FRAMES, &files);
    check_summary();
}
