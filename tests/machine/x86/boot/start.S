/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * From 32-bit protected mode to runtime_start() in long mode: 4 GiB mapped one to one by 2 MiB pages, a GDT with a TSS
 * (VMX demands one). Five levels where the CPU has them, since NPT has as many levels as the host's paging.
 */
    .section .start, "ax"
    .code32
    .globl  start32
start32:
    cli
    cld
    movl    $__bss_start, %edi
    movl    $__bss_end, %ecx
    subl    %edi, %ecx
    xorl    %eax, %eax
    rep stosb
    movl    $boot_stack_top, %esp

    /* four page directories of 512 large pages each */
    movl    $boot_pd, %edi
    movl    $0x83, %eax                 /* present, writable, 2 MiB */
    movl    $2048, %ecx
1:  movl    %eax, (%edi)
    addl    $0x200000, %eax
    addl    $8, %edi
    loop    1b
    movl    $boot_pdpt, %edi
    movl    $boot_pd + 3, %eax
    movl    $4, %ecx
2:  movl    %eax, (%edi)
    addl    $0x1000, %eax
    addl    $8, %edi
    loop    2b
    movl    $boot_pdpt + 3, boot_pml4
    movl    $boot_pml4 + 3, boot_pml5

    movl    %cr4, %eax
    orl     $0x20, %eax                 /* PAE */
    movl    %eax, %cr4
    movl    $boot_pml4, %esi

    xorl    %eax, %eax
    cpuid
    cmpl    $7, %eax
    jb      3f
    movl    $7, %eax
    xorl    %ecx, %ecx
    cpuid
    testl   $1 << 16, %ecx              /* LA57 */
    jz      3f
    movl    %cr4, %eax
    orl     $1 << 12, %eax
    movl    %eax, %cr4
    movl    $boot_pml5, %esi
3:  movl    %esi, %cr3

    movl    $0xc0000080, %ecx           /* EFER: LME, NXE */
    rdmsr
    orl     $0x900, %eax
    wrmsr
    movl    %cr0, %eax
    orl     $0x80010020, %eax           /* PG, WP, NE */
    movl    %eax, %cr0
    lgdt    boot_gdt_pointer
    ljmp    $0x08, $start64

    .code64
start64:
    movw    $0x10, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %ss
    xorl    %eax, %eax
    movw    %ax, %fs
    movw    %ax, %gs
    movq    $boot_stack_top, %rsp

    /* the TSS descriptor's base cannot be written down at link time */
    movq    $boot_tss, %rax
    movw    %ax, boot_gdt + 0x18 + 2
    shrq    $16, %rax
    movb    %al, boot_gdt + 0x18 + 4
    movb    %ah, boot_gdt + 0x18 + 7
    movw    $0x18, %ax
    ltr     %ax

    call    runtime_start               /* does not return */

    .data
    .balign 16
boot_gdt:
    .quad   0
    .quad   0x00af9b000000ffff          /* 08: 64-bit code */
    .quad   0x00cf93000000ffff          /* 10: data */
    .quad   0x0000890000000067, 0       /* 18: TSS, base filled in above */
boot_gdt_pointer:
    .word   . - boot_gdt - 1
    .quad   boot_gdt

    .bss
    .balign 4096
boot_pml5:  .skip 4096
boot_pml4:  .skip 4096
boot_pdpt:  .skip 4096
boot_pd:    .skip 4 * 4096
            .skip 65536
boot_stack_top:
boot_tss:   .skip 104

    .section .note.GNU-stack, "", @progbits
