/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The second CPU's way: from the start-up IPI in real mode to second_cpu() in 64-bit mode, and the loop in which it
 * waits as a guest; and the jump into a kernel without a hypervisor.
 */
#define TRAMPOLINE 0x9c000
#define MAILBOX    0x9a000

    .text
    .globl  firmware_trampoline, firmware_trampoline_end
    .balign 16
firmware_trampoline:                    /* copied to TRAMPOLINE */
    .code16
    cli
    cld
    lgdtl   %cs:(gdt_pointer - firmware_trampoline)
    movl    %cr0, %eax
    andl    $0x9fffffff, %eax           /* CD and NW off */
    orl     $1, %eax
    movl    %eax, %cr0
    ljmpl   $0x08, $(TRAMPOLINE + protected - firmware_trampoline)

    .code32
protected:
    movw    $0x10, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %ss
    movl    %cr4, %eax
    orl     second_cr4, %eax            /* as the first CPU has it, but for VMXE, which comes later */
    movl    %eax, %cr4
    movl    second_cr3, %eax
    movl    %eax, %cr3
    movl    $0xc0000080, %ecx           /* EFER: LME, NXE */
    rdmsr
    orl     $0x900, %eax
    wrmsr
    movl    %cr0, %eax
    orl     $0x80010020, %eax           /* PG, WP, NE */
    movl    %eax, %cr0
    ljmpl   $0x18, $second64            /* second64 is below 4 GiB */

    .balign 8
trampoline_gdt:
    .quad   0
    .quad   0x00cf9b000000ffff          /* 08: 32-bit code */
    .quad   0x00cf93000000ffff          /* 10: data */
    .quad   0x00af9b000000ffff          /* 18: 64-bit code */
gdt_pointer:
    .word   . - trampoline_gdt - 1
    .long   TRAMPOLINE + trampoline_gdt - firmware_trampoline
firmware_trampoline_end:

    .code64
second64:
    movw    $0x10, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %ss
    xorl    %eax, %eax
    movw    %ax, %fs
    movw    %ax, %gs
    movq    $second_stack_top, %rsp
    lgdt    second_gdt_pointer
    pushq   $0x08
    pushq   $1f
    lretq
1:  movq    $second_tss, %rax           /* the TSS descriptor's base cannot be written down at link time */
    movw    %ax, second_gdt + 0x18 + 2
    shrq    $16, %rax
    movb    %al, second_gdt + 0x18 + 4
    movb    %ah, second_gdt + 0x18 + 7
    movw    $0x18, %ax
    ltr     %ax
    call    second_cpu                  /* does not return */

/*
 * In the guest: RSI is the APIC id. ACPI, "Multiprocessor Wakeup Structure": 16 bits of command (1: wake up), 32 bits
 * of APIC id at 4, the address to go to at 8; the command is cleared by the CPU that obeys.
 */
    .globl  firmware_park_code, firmware_park_end
    .balign 16
firmware_park_code:
    movl    $MAILBOX, %edi
1:  pause
    cmpw    $1, (%rdi)
    jne     1b
    cmpl    %esi, 4(%rdi)
    jne     1b
    movq    8(%rdi), %rax
    movw    $0, (%rdi)
    jmp     *%rax
firmware_park_end:

    .globl  firmware_enter              /* (rip, rsi, cr3) */
firmware_enter:
    movq    %rdx, %cr3
    jmp     *%rdi

    .data
    .globl  second_cr3, second_cr4
    .balign 16
second_gdt:
    .quad   0
    .quad   0x00af9b000000ffff          /* 08: 64-bit code */
    .quad   0x00cf93000000ffff          /* 10: data */
    .quad   0x0000890000000067, 0       /* 18: TSS, base filled in above */
second_gdt_pointer:
    .word   . - second_gdt - 1
    .quad   second_gdt
second_cr3: .long 0
second_cr4: .long 0

    .bss
    .balign 4096
            .skip 65536
second_stack_top:
second_tss: .skip 104

    .section .note.GNU-stack, "", @progbits
