/* The world switch: every general register goes in and comes out as it was, and the host's are what they were. */
#include "suite.h"

#include "console.h"
#include "memory.h"

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

void suite_switch(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;
    uint64_t cr3_before, cr3_after, flags;

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
        check_equal(registers_of(&vm)[i], pattern(i) + 0x11 + i, "%s comes back as the guest left it", register_names[i]);

    /* What the compiler keeps in callee-saved registers across the entry is checked by every loop in these suites; CR3 here */
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3_before));
    vm_do(&vm, PIECE_CALL);
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3_after));
    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    check_equal(cr3_after, cr3_before, "the host's CR3 is back");
    check_equal(flags & 0x200, 0, "the host's interrupts are still off");

    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}
