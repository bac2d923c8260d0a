/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The IDT, and the table of instructions that may fault: each with the place where to go on when it did. */
#include "exceptions.h"

#include <stddef.h>

#include "cpu.h"
#include "machine.h"

struct idt_entry {
    uint16_t offset_low, selector, flags, offset_middle;
    uint32_t offset_high, reserved;
};

struct fixup {
    uint64_t instruction, go_on;
};

extern const char exception_stubs[];
extern const struct fixup __fixups_start[], __fixups_end[];

static struct idt_entry idt[256];
static uint64_t last_vector;
static bool nmi_ignored;
static void (*handlers[256])(void);

void exceptions_init(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {sizeof(idt) - 1, (uint64_t)(uintptr_t)idt};

    for (unsigned i = 0; i < 256; i++) {
        uint64_t at = (uint64_t)(uintptr_t)exception_stubs + 16 * i;

        idt[i].offset_low = (uint16_t)at;
        idt[i].selector = 0x08;
        idt[i].flags = 0x8e00; /* present 64-bit interrupt gate */
        idt[i].offset_middle = (uint16_t)(at >> 16);
        idt[i].offset_high = (uint32_t)(at >> 32);
    }
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

void exceptions_ignore_nmi(void)
{
    nmi_ignored = true;
}

void exceptions_handle(unsigned vector, void (*handler)(void))
{
    handlers[vector] = handler;
}

void exception_entry(struct exception_frame *frame)
{
    if (nmi_ignored && frame->vector == 2)
        return;
    if (handlers[frame->vector] != NULL) {
        handlers[frame->vector]();
        return;
    }
    for (const struct fixup *f = __fixups_start; f < __fixups_end; f++) {
        if (f->instruction == frame->rip) {
            last_vector = frame->vector;
            frame->rip = f->go_on;
            return;
        }
    }
    panic("exception %lu, error code %lx, at rip %lx, rsp %lx, cr2 %lx", frame->vector, frame->error_code, frame->rip,
          frame->rsp, cpu_read_cr2());
}

unsigned exceptions_last_vector(void)
{
    return (unsigned)last_vector;
}
