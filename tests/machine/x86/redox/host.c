/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A host that has something to lose: see host.h. */
#include "host.h"

#include "cpu.h"
#include "exceptions.h"
#include "memory.h"

#define VECTOR 0x40u

enum { DATA_USER = 0x2b, TASK = 0x18 };

/* Null, code, data, TSS in two, user's data. */
static uint64_t gdt[6] = {0, UINT64_C(0x00af9b000000ffff), UINT64_C(0x00cf93000000ffff), 0, 0,
                          UINT64_C(0x00cff3000000ffff)};
static struct {
    uint8_t segment[104], io_map[0x1000];
} task;
static uint64_t interrupts, nmis;

static void count_interrupt(void)
{
    interrupts++;
    *(volatile uint32_t *)(uintptr_t)0xfee000b0u = 0; /* EOI */
}

static void count_nmi(void)
{
    nmis++;
}

void redox_host_prepare(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {sizeof(gdt) - 1, (uint64_t)(uintptr_t)gdt};
    const uint64_t at = (uint64_t)(uintptr_t)&task, limit = sizeof(task) - 1;

    gdt[3] = (limit & 0xffff) | (at & 0xffffff) << 16 | UINT64_C(0x89) << 40 | (at >> 24 & 0xff) << 56;
    gdt[4] = at >> 32;
    __asm__ volatile("lgdt %0" : : "m"(pointer));
    __asm__ volatile("ltr %0" : : "r"((uint16_t)TASK));
    __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es\n\tmov %0, %%fs\n\tmov %0, %%gs" : : "r"((uint16_t)DATA_USER));
    (void)cpu_wrmsr(0xc0000100, 0x7fff12340000);      /* FS_BASE */
    (void)cpu_wrmsr(0xc0000101, 0xffff800012345000);  /* GS_BASE */
    (void)cpu_wrmsr(0xc0000102, 0x7fff56780000);      /* KERNEL_GS_BASE */
    (void)cpu_wrmsr(0xc0000081, 0x0023000800000000);  /* STAR */
    (void)cpu_wrmsr(0xc0000082, 0xffff8000deadb000);  /* LSTAR */
    (void)cpu_wrmsr(0xc0000083, 0xffff8000deadc000);  /* CSTAR */
    (void)cpu_wrmsr(0xc0000084, 0x300);               /* SFMASK */
    (void)cpu_wrmsr(0xc0000103, 7);                   /* TSC_AUX */
    (void)cpu_wrmsr(0x174, 0x10);
    (void)cpu_wrmsr(0x175, 0xffff8000cafe0000);
    (void)cpu_wrmsr(0x176, 0xffff8000cafe1000);
    __asm__ volatile("mov %0, %%cr2" : : "r"(UINT64_C(0x123456789000)));
    __asm__ volatile("mov %0, %%dr0\n\tmov %0, %%dr1\n\tmov %0, %%dr2\n\tmov %0, %%dr3" : : "r"(UINT64_C(0x7ff000000000)));
    __asm__ volatile("mov %0, %%dr6" : : "r"(UINT64_C(0xffff0ff1)));
    __asm__ volatile("mov %0, %%dr7" : : "r"(UINT64_C(0x455)));
    *(volatile uint32_t *)(uintptr_t)0xfee000f0u = 0x1ff;
    exceptions_handle(VECTOR, count_interrupt);
    exceptions_handle(0xff, count_interrupt);
    exceptions_handle(2, count_nmi);
}

/* ---- the words ---- */

static uint64_t msr(uint32_t number)
{
    uint64_t value;

    return cpu_rdmsr(number, &value) ? value : UINT64_MAX;
}

static uint64_t limit_of(uint64_t selector)
{
    uint64_t limit = UINT64_MAX;

    __asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"(selector) : "cc");
    return limit;
}

#define READER(name, instruction)                     \
    static uint64_t name(void)                        \
    {                                                 \
        uint64_t value = 0;                           \
                                                      \
        __asm__ volatile(instruction : "=r"(value));  \
        return value;                                 \
    }
READER(read_str, "str %0")
READER(read_sldt, "sldt %0")
READER(read_es, "mov %%es, %0")
READER(read_cs, "mov %%cs, %0")
READER(read_ss, "mov %%ss, %0")
READER(read_ds, "mov %%ds, %0")
READER(read_fs, "mov %%fs, %0")
READER(read_gs, "mov %%gs, %0")
READER(read_cr0, "mov %%cr0, %0")
READER(read_cr2, "mov %%cr2, %0")
READER(read_cr3, "mov %%cr3, %0")
READER(read_cr4, "mov %%cr4, %0")
READER(read_cr8, "mov %%cr8, %0")
READER(read_dr0, "mov %%dr0, %0")
READER(read_dr1, "mov %%dr1, %0")
READER(read_dr2, "mov %%dr2, %0")
READER(read_dr3, "mov %%dr3, %0")
READER(read_dr6, "mov %%dr6, %0")
READER(read_dr7, "mov %%dr7, %0")

static uint64_t xcr0(void)
{
    uint32_t low = 0, high = 0;

    if (cpu_read_cr4() >> 18 & 1u)
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* No instruction at CPL 0 tells the limit that TR was loaded with: its descriptor stands for it. */
size_t redox_host_words(uint64_t *words)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } g, i;
    size_t n = 0;

    __asm__ volatile("sgdt %0" : "=m"(g));
    __asm__ volatile("sidt %0" : "=m"(i));
    words[n++] = g.base;
    words[n++] = g.limit;
    words[n++] = i.base;
    words[n++] = i.limit;
    words[n++] = read_str() & 0xffff;
    words[n++] = limit_of(TASK);
    words[n++] = gdt[3];
    words[n++] = read_sldt() & 0xffff;
    words[n++] = read_es() & 0xffff;
    words[n++] = read_cs() & 0xffff;
    words[n++] = read_ss() & 0xffff;
    words[n++] = read_ds() & 0xffff;
    words[n++] = read_fs() & 0xffff;
    words[n++] = read_gs() & 0xffff;
    words[n++] = read_cr0();
    words[n++] = read_cr2();
    words[n++] = read_cr3();
    words[n++] = read_cr4() & ~UINT64_C(0x2000); /* VMXE stays while virtualization is on */
    words[n++] = read_cr8();
    words[n++] = read_dr0();
    words[n++] = read_dr1();
    words[n++] = read_dr2();
    words[n++] = read_dr3();
    words[n++] = read_dr6();
    words[n++] = read_dr7();
    words[n++] = xcr0();
    words[n++] = msr(0xc0000080) & ~UINT64_C(0x1000); /* and so does SVME */
    words[n++] = msr(0x277);
    words[n++] = msr(0x174);
    words[n++] = msr(0x175);
    words[n++] = msr(0x176);
    words[n++] = msr(0xc0000081);
    words[n++] = msr(0xc0000082);
    words[n++] = msr(0xc0000083);
    words[n++] = msr(0xc0000084);
    words[n++] = msr(0xc0000100);
    words[n++] = msr(0xc0000101);
    words[n++] = msr(0xc0000102);
    words[n++] = msr(0xc0000103);
    words[n++] = msr(0x1d9);
    return n;
}

const char *redox_host_name(size_t number)
{
    static const char *const names[] = {
        "GDTR base", "GDTR limit", "IDTR base", "IDTR limit", "TR", "TR limit", "TR descriptor", "LDTR", "ES", "CS", "SS",
        "DS", "FS", "GS", "CR0", "CR2", "CR3", "CR4", "CR8", "DR0", "DR1", "DR2", "DR3", "DR6", "DR7", "XCR0", "EFER",
        "PAT", "SYSENTER_CS", "SYSENTER_ESP", "SYSENTER_EIP", "STAR", "LSTAR", "CSTAR", "SFMASK", "FS_BASE", "GS_BASE",
        "KERNEL_GS_BASE", "TSC_AUX", "DEBUGCTL"};

    return number < sizeof(names) / sizeof(names[0]) ? names[number] : "?";
}

uint64_t redox_host_interrupts(void)
{
    return interrupts;
}

uint64_t redox_host_nmis(void)
{
    return nmis;
}

void redox_host_let_in(void)
{
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
}

uint32_t redox_host_apic_id(void)
{
    return *(volatile uint32_t *)(uintptr_t)0xfee00020u >> 24;
}
