/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The last 4 KiB of the ROM: from the reset vector to 32-bit protected mode, copy the kernel to 1 MiB, jump to it.
 * At reset CS.base is 0xffff0000 and IP is 0xfff0, so a label's offset in CS is its distance from .reset plus 0xf000.
 */
    .section .reset, "ax"

reset:
    .code16
real_mode:
    cli
    cld
    lgdtl   %cs:(gdt_pointer - reset + 0xf000)
    movl    %cr0, %eax
    andl    $0x9fffffff, %eax           /* CD and NW off */
    orl     $1, %eax                    /* PE */
    movl    %eax, %cr0
    ljmpl   $0x08, $protected_mode

    .code32
protected_mode:
    movw    $0x10, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %ss
    movl    $__rom_source, %esi
    movl    $__load_start, %edi
    movl    $__rom_dwords, %ecx
    rep movsl
    movl    $start32, %eax
    jmp     *%eax

    .balign 8
gdt:
    .quad   0
    .quad   0x00cf9b000000ffff          /* 08: flat 32-bit code */
    .quad   0x00cf93000000ffff          /* 10: flat data */
gdt_pointer:
    .word   . - gdt - 1
    .long   gdt

    .org    reset + 0xff0
    .code16
    jmp     real_mode
    .org    reset + 0x1000

    .section .note.GNU-stack, "", @progbits
