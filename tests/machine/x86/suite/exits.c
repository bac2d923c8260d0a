/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Each exit that a small hypervisor handles: its number, what it tells, and that the guest goes on behind it. */
#include "suite.h"

#include "cpu.h"

static void check_long(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;

    vm_create(&vm, frames, NULL);

    vm.regs.rax = 0x40000000;
    exit = vm_do(&vm, PIECE_CPUID);
    check_equal(exit.reason, vm.svm ? 0x72 : 10, "CPUID: reason");
    check_equal(vm.regs.rax, 0x40000000, "CPUID: rax is the guest's");
    vm.regs.rax = 0xabcd;
    vm_skip(&vm, &exit);
    exit = vm_run(&vm);
    check_equal(exit.reason, vm.svm ? 0x81 : 18, "hypercall: reason");
    check_equal(vm.regs.rax, 0xabcd, "CPUID: the guest has the host's answer");

    exit = vm_do(&vm, PIECE_HLT);
    check_equal(exit.reason, vm.svm ? 0x78 : 12, "HLT: reason");
    check_equal(vm.regs.rip, guest_entry(&vm.guest, PIECE_HLT), "HLT: rip is at it");
    vm_skip(&vm, &exit);
    check_equal(vm_run(&vm).kind, VM_EXIT_CALL, "HLT: the guest goes on behind it");

    vm.regs.rcx = 0x10;
    exit = vm_do(&vm, PIECE_RDMSR);
    check_equal(exit.reason, vm.svm ? 0x7c : 31, "RDMSR: reason");
    check_true(exit.kind == VM_EXIT_RDMSR, "RDMSR: told from WRMSR");
    vm.regs.rax = 0x11;
    vm.regs.rdx = 0x22;
    vm_skip(&vm, &exit);
    check_equal(vm_run(&vm).kind, VM_EXIT_CALL, "RDMSR: the guest goes on behind it");
    check_equal(vm.regs.rdx << 32 | vm.regs.rax, UINT64_C(0x2200000011), "RDMSR: the guest has the host's answer");
    exit = vm_do(&vm, PIECE_WRMSR);
    check_equal(exit.reason, vm.svm ? 0x7c : 32, "WRMSR: reason");
    check_true(exit.kind == VM_EXIT_WRMSR, "WRMSR: told from RDMSR");

    vm.regs.rdx = 0x3f8;
    vm.regs.rax = 'x';
    exit = vm_do(&vm, PIECE_OUT);
    check_equal(exit.reason, vm.svm ? 0x7b : 30, "OUT: reason");
    /*
     * SDM, "Exit Qualification for I/O Instructions": size 0 = 1 byte, out, DX, port in 31:16.
     * APM, "IOIO Intercept": port in 31:16, SZ8 bit 4; the address-size bits 9:7 say 64 bits, bit 0 in = 0.
     */
    check_equal(exit.info & 0xffff007f, vm.svm ? 0x03f80010 : 0x03f80000, "OUT: port, size and direction");

    exit = vm_do(&vm, PIECE_UD);
    check_equal(exit.kind, VM_EXIT_EXCEPTION, "UD2: intercepted");
    check_equal(exit.reason, vm.svm ? 0x46 : 0, "UD2: reason");

    vm_destroy(&vm);
    check_equal(frames->held, 0, "64-bit guest: every frame came back");
}

static void check_real(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;
    const char *text;

    vm_create(&vm, frames, NULL);
    vm_start_real(&vm, PIECE_REAL);
    exit = vm_run(&vm);
    check_equal(exit.reason, vm.svm ? 0x72 : 10, "real mode: CPUID exits");
    vm.regs.rbx = 0x756e6547;
    vm_skip(&vm, &exit);
    /* The page at 0xa000 belongs to the home; take it away for a demand fault in real mode */
    check_equal(paging_unmap(&vm.paging, 0xa000, HVPT_4K), HVPT_OK, "real mode: unmap a page of the home");
    exit = vm_run(&vm);
    check_fault(&vm, &exit, ACCESS_READ, 0, 0xa000, "real mode: read of nothing");
    paging_map(&vm.paging, 0xa000, VM_MEMORY, HVPT_4K, paging_attr(RWX));
    *vm_host_word(VM_MEMORY) = 0xbeef;
    exit = vm_run(&vm);
    check_equal(exit.reason, vm.svm ? 0x81 : 18, "real mode: hypercall");
    check_equal(vm.regs.rbx & 0xffff, 0xbeef, "real mode: the guest read the page that was mapped");
    text = (const char *)vm.guest.memory + GUEST_NOTE;
    check_true(text[0] == 'r' && text[1] == 'e' && text[2] == 'a' && text[3] == 'l',
               "real mode: the string is in memory");
    check_equal(*vm_host_word(VM_HOME + GUEST_NOTE + 8) & 0xffffffff, 0x756e6547,
                "real mode: the host's CPUID is in memory");
    check_equal(*vm_host_word(VM_HOME + GUEST_NOTE + 16) & 0x80000001, 0,
                "real mode: CR0.PE and PG were 0 for the guest");
    vm_skip(&vm, &exit);
    check_equal(vm_run(&vm).kind, VM_EXIT_HLT, "real mode: HLT exits");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "real mode: every frame came back");
}

void suite_exits(struct frames *frames)
{
    check_group("exits");
    check_long(frames);
    check_real(frames);
}
