/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * One stub a vector, 16 bytes apart: each leaves vector and error code on the stack and calls exception_entry() with a
 * struct exception_frame. What the handler writes into the frame is what the interrupted code goes on with.
 */
    .text
    .balign 16
    .globl  exception_stubs
exception_stubs:
    .set    vector, 0
    .rept   256
    .balign 16
    .if     !((vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30))
    pushq   $0                          /* the CPU pushes an error code for the others */
    .endif
    pushq   $vector
    jmp     exception_common
    .set    vector, vector + 1
    .endr

exception_common:
    pushq   %rax
    pushq   %rcx
    pushq   %rdx
    pushq   %rsi
    pushq   %rdi
    pushq   %r8
    pushq   %r9
    pushq   %r10
    pushq   %r11
    cld
    leaq    72(%rsp), %rdi
    call    exception_entry
    popq    %r11
    popq    %r10
    popq    %r9
    popq    %r8
    popq    %rdi
    popq    %rsi
    popq    %rdx
    popq    %rcx
    popq    %rax
    addq    $16, %rsp
    iretq

    .section .note.GNU-stack, "", @progbits
