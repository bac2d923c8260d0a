/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The world switch: every general register goes in and comes out as it was, and the host's are what they were. */
#include "suite.h"

#include <hvctl/common/msr.h>

#include "cpu.h"

static const char *const register_names[15] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8",
                                               "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

static uint64_t pattern(unsigned i)
{
    return UINT64_C(0x0123456789abcdef) * (i + 1) ^ UINT64_C(0xf0e1d2c3b4a59687);
}

static uint64_t *registers_of(struct vm *vm)
{
    return &vm->regs.rax;
}

/* What of the host a guest could disturb, and a switch must put back. */
enum { MSR_COUNT = 11 };
struct host_state {
    uint64_t cr0, cr3, cr4, flags, msr[MSR_COUNT];
    uint64_t gdt_base, idt_base;
    uint16_t selector[6];
};

static const struct {
    uint32_t number;
    const char *name;
    uint64_t value; /* for the time of the check; 0: as it is */
} msrs[MSR_COUNT] = {
    {0xc0000100, "FS base", 0x1111000},
    {0xc0000101, "GS base", 0x2222000},
    {0xc0000102, "KERNEL_GS_BASE", 0x3333000},
    {0x174, "SYSENTER_CS", 0x10},
    {0x175, "SYSENTER_ESP", 0x4444000},
    {0x176, "SYSENTER_EIP", 0x5555000},
    {0xc0000081, "STAR", 0x0010000800000000},
    {0xc0000082, "LSTAR", 0x6666000},
    {0xc0000084, "SFMASK", 0x700},
    {0xc0000080, "EFER", 0},
    {0x277, "PAT", 0},
};

static void look(struct host_state *state)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } gdt, idt;

    __asm__ volatile("mov %%cr0, %0" : "=r"(state->cr0));
    __asm__ volatile("mov %%cr3, %0" : "=r"(state->cr3));
    __asm__ volatile("mov %%cr4, %0" : "=r"(state->cr4));
    __asm__ volatile("pushfq; popq %0" : "=r"(state->flags));
    __asm__ volatile("sgdt %0" : "=m"(gdt));
    __asm__ volatile("sidt %0" : "=m"(idt));
    __asm__ volatile("mov %%cs, %0" : "=r"(state->selector[0]));
    __asm__ volatile("mov %%ss, %0" : "=r"(state->selector[1]));
    __asm__ volatile("mov %%ds, %0" : "=r"(state->selector[2]));
    __asm__ volatile("mov %%es, %0" : "=r"(state->selector[3]));
    __asm__ volatile("str %0" : "=r"(state->selector[4]));
    __asm__ volatile("sldt %0" : "=r"(state->selector[5]));
    state->gdt_base = gdt.base;
    state->idt_base = idt.base;
    for (unsigned i = 0; i < MSR_COUNT; i++)
        cpu_rdmsr(msrs[i].number, &state->msr[i]);
}

static void check_host(struct vm *vm)
{
    static const char *const selectors[6] = {"CS", "SS", "DS", "ES", "TR", "LDTR"};
    struct host_state saved, before, after;

    look(&saved);
    for (unsigned i = 0; i < MSR_COUNT; i++)
        if (msrs[i].value != 0)
            check_true(cpu_wrmsr(msrs[i].number, msrs[i].value), "the host's %s can be set", msrs[i].name);
    vm_host_changed(vm); /* VMX loads what the VMCS says, not what was */
    look(&before);
    check_equal(vm_do(vm, PIECE_CALL).kind, VM_EXIT_CALL, "the guest runs");
    look(&after);
    check_equal(after.cr0, before.cr0, "the host's CR0 is back");
    check_equal(after.cr3, before.cr3, "the host's CR3 is back");
    check_equal(after.cr4, before.cr4, "the host's CR4 is back");
    check_equal(after.flags & 0x3ff200, before.flags & 0x3ff200, "the host's interrupt and system flags are back");
    check_equal(after.gdt_base, before.gdt_base, "the host's GDTR base is back");
    check_equal(after.idt_base, before.idt_base, "the host's IDTR base is back");
    for (unsigned i = 0; i < 6; i++)
        check_equal(after.selector[i], before.selector[i], "the host's %s is back", selectors[i]);
    for (unsigned i = 0; i < MSR_COUNT; i++)
        check_equal(after.msr[i], before.msr[i], "the host's %s is back", msrs[i].name);
    for (unsigned i = 0; i < MSR_COUNT; i++)
        cpu_wrmsr(msrs[i].number, saved.msr[i]);
    vm_host_changed(vm);
}

struct __attribute__((packed)) table {
    uint16_t limit;
    uint64_t base;
};

/*
 * What the host finds after an exit and has to put right itself: docs/hvctl.md, "What the world switch leaves to the
 * caller". SDM vol. 3, "Loading Host Control Registers, Debug Registers, MSRs", "Loading Host Segment and
 * Descriptor-Table Registers"; APM vol. 2, "#VMEXIT".
 */
static void check_left(struct vm *vm)
{
    enum { DEBUGCTL = 0x1d9, LDT = 0x30, LIMIT = 0xfff0 };
    static uint64_t gdt[8] __attribute__((aligned(16)));
    static uint64_t ldt[2];
    bool vmx = cpu_vendor() == CPU_INTEL, has_debugctl;
    uint64_t cr0, old_cr0, dr0, dr7, debugctl = 0, at = (uintptr_t)ldt;
    struct table table, gdt_then, idt_then, old_gdt, old_idt;
    uint16_t ldtr;

    __asm__ volatile("sgdt %0" : "=m"(old_gdt));
    __asm__ volatile("sidt %0" : "=m"(old_idt));
    for (unsigned i = 0; i < 5; i++)
        gdt[i] = ((const uint64_t *)old_gdt.base)[i];
    gdt[6] = 15 | (at & 0xffffff) << 16 | UINT64_C(0x82) << 40 | (at >> 24 & 0xff) << 56;
    table = (struct table){LIMIT, (uintptr_t)gdt};
    __asm__ volatile("lgdt %0" : : "m"(table));
    table = (struct table){LIMIT, old_idt.base};
    __asm__ volatile("lidt %0" : : "m"(table));
    vm_host_changed(vm);
    __asm__ volatile("lldt %w0" : : "r"(LDT));
    __asm__ volatile("mov %0, %%dr0" : : "r"(UINT64_C(0x123450)));
    __asm__ volatile("mov %0, %%dr7" : : "r"(UINT64_C(0x402))); /* an address that nobody executes */
    __asm__ volatile("mov %%cr0, %0" : "=r"(old_cr0));
    __asm__ volatile("mov %0, %%cr0" : : "r"(old_cr0 | HVCTL_CR0_CD)); /* the VMCS still says that it is clear */
    has_debugctl = cpu_wrmsr(DEBUGCTL, 1) && cpu_rdmsr(DEBUGCTL, &debugctl) && debugctl == 1;

    check_equal(vm_do(vm, PIECE_CALL).kind, VM_EXIT_CALL, "left to the caller: the guest runs");

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %%dr0, %0" : "=r"(dr0));
    __asm__ volatile("mov %%dr7, %0" : "=r"(dr7));
    __asm__ volatile("sgdt %0" : "=m"(gdt_then));
    __asm__ volatile("sidt %0" : "=m"(idt_then));
    __asm__ volatile("sldt %0" : "=r"(ldtr));
    cpu_rdmsr(DEBUGCTL, &debugctl);
    check_equal(dr7, 0x400, "left to the caller: DR7 has no breakpoints");
    check_equal(dr0, 0x123450, "left to the caller: DR0 is as the guest left it");
    check_equal(gdt_then.limit, vmx ? 0xffff : LIMIT, "left to the caller: the limit of GDTR");
    check_equal(idt_then.limit, vmx ? 0xffff : LIMIT, "left to the caller: the limit of IDTR");
    check_equal(ldtr, vmx ? 0 : LDT, "left to the caller: LDTR");
    check_true(cr0 & HVCTL_CR0_CD, "left to the caller: CR0.CD is what it was before");
    if (has_debugctl)
        check_equal(debugctl, vmx ? 0 : 1, "left to the caller: DEBUGCTL");

    cpu_wrmsr(DEBUGCTL, 0);
    __asm__ volatile("mov %0, %%cr0" : : "r"(old_cr0));
    __asm__ volatile("mov %0, %%dr7" : : "r"(UINT64_C(0x400)));
    __asm__ volatile("lldt %w0" : : "r"(0));
    __asm__ volatile("lgdt %0" : : "m"(old_gdt));
    __asm__ volatile("lidt %0" : : "m"(old_idt));
    vm_host_changed(vm);
}

void suite_switch(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;

    check_group("world switch");
    vm_create(&vm, frames, NULL);

    for (unsigned i = 0; i < 15; i++)
        registers_of(&vm)[i] = pattern(i);
    exit = vm_do(&vm, PIECE_CALL);
    check_equal(exit.kind, VM_EXIT_CALL, "the guest calls");
    for (unsigned i = 0; i < 15; i++)
        check_equal(registers_of(&vm)[i], pattern(i), "%s comes back as it went in", register_names[i]);
    check_equal(vm.regs.rsp, GUEST_STACK, "rsp comes back as it went in");
    check_equal(vm.regs.rip, guest_entry(&vm.guest, PIECE_CALL), "rip is at the call");

    for (unsigned i = 0; i < 15; i++)
        registers_of(&vm)[i] = pattern(i);
    exit = vm_do(&vm, PIECE_MIX);
    check_equal(exit.kind, VM_EXIT_CALL, "the guest changes all and calls");
    for (unsigned i = 0; i < 15; i++)
        check_equal(registers_of(&vm)[i], pattern(i) + 0x11 + i, "%s comes back as the guest left it",
                    register_names[i]);

    vm.regs.cr2 = 0x123456789000;
    vm.regs.rdi = 0x2468ace00000;
    exit = vm_do(&vm, PIECE_CR2);
    check_equal(exit.kind, VM_EXIT_CALL, "the guest looks at CR2 and changes it");
    check_equal(vm.regs.rax, 0x123456789000, "the guest saw its CR2");
    check_equal(vm.regs.cr2, 0x2468ace00000, "CR2 comes back as the guest left it");

    check_host(&vm);
    check_left(&vm);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}
