/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The least ACPI by which Linux finds a second CPU that the firmware has started: RSDP, XSDT, and a MADT with the
 * multiprocessor wakeup structure (ACPI specification, "Multiple APIC Description Table").
 */
#include "firmware.h"

#include "memory.h"

struct writer {
    uint8_t *start, *end;
};

static void put(struct writer *w, uint64_t value, unsigned size)
{
    memcpy(w->end, &value, size);
    w->end += size;
}

static void put_text(struct writer *w, const char *text, unsigned size)
{
    memcpy(w->end, text, size);
    w->end += size;
}

static uint8_t sum(const uint8_t *bytes, size_t size)
{
    uint8_t total = 0;

    while (size-- > 0)
        total = (uint8_t)(total + *bytes++);
    return (uint8_t)-total;
}

static struct writer begin(uint64_t address, const char *signature)
{
    struct writer w = {(uint8_t *)(uintptr_t)address, (uint8_t *)(uintptr_t)address};

    put_text(&w, signature, 4);
    put(&w, 0, 4); /* length and checksum come last */
    put(&w, 4, 1);
    put(&w, 0, 1);
    put_text(&w, "THINHVTHINHV  ", 14);
    put(&w, 1, 4);
    put_text(&w, "THIN", 4);
    put(&w, 1, 4);
    return w;
}

static void finish(struct writer *w)
{
    uint32_t length = (uint32_t)(w->end - w->start);

    memcpy(w->start + 4, &length, 4);
    w->start[9] = sum(w->start, length);
}

uint64_t acpi_build(unsigned cpus)
{
    const uint64_t rsdp = ACPI_TABLES, xsdt = ACPI_TABLES + 0x100, madt = ACPI_TABLES + 0x200;
    struct writer w = begin(madt, "APIC");

    put(&w, 0xfee00000, 4);
    put(&w, 1, 4); /* there are PICs, too */
    for (unsigned i = 0; i < cpus; i++) {
        put(&w, 0x0800, 2); /* a LAPIC, 8 bytes */
        put(&w, i, 1);
        put(&w, i, 1);
        put(&w, 1, 4);
    }
    put(&w, 0x0c01, 2); /* the I/O APIC */
    put(&w, cpus, 2);
    put(&w, 0xfec00000, 4);
    put(&w, 0, 4);
    put(&w, 0x0a02, 2); /* IRQ 0 arrives at its input 2 */
    put(&w, 0, 2);
    put(&w, 2, 4);
    put(&w, 0, 2);
    if (cpus > 1) {
        put(&w, 0x1010, 2); /* multiprocessor wakeup, 16 bytes */
        put(&w, 0, 2);
        put(&w, 0, 4);
        put(&w, MAILBOX, 8);
    }
    finish(&w);

    w = begin(xsdt, "XSDT");
    put(&w, madt, 8);
    finish(&w);

    w.start = w.end = (uint8_t *)(uintptr_t)rsdp;
    put_text(&w, "RSD PTR ", 8);
    put(&w, 0, 1);
    put_text(&w, "THINHV", 6);
    put(&w, 2, 1);
    put(&w, 0, 4);
    put(&w, 36, 4);
    put(&w, xsdt, 8);
    put(&w, 0, 4);
    w.start[8] = sum(w.start, 20);
    w.start[32] = sum(w.start, 36);
    return rsdp;
}
