/* Entered by a multiboot loader, in 32-bit protected mode: long mode, and the kernel. */

.set FLAGS, 3 /* modules on page boundaries, a memory map */
.section .multiboot, "a"
.align 4
.long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)

.text
.code32
.globl _start
_start:
    cli
    mov $stack_end, %esp
    push %ebx /* multiboot's information */
    call load
    mov %eax, %esi
    mov $top_table, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x900, %eax /* EFER: LME, NXE */
    wrmsr
    mov %cr0, %eax
    and $~4, %eax /* EM */
    or $0x80010003, %eax /* PG, WP, MP, PE */
    mov %eax, %cr0
    lgdt gdt_register
    ljmp $8, $1f
.code64
1:  mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %esi, %esi
    mov 8(%rsi), %rdi /* the kernel's arguments */
    jmp *(%rsi)

.data
.align 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_register:
    .word 23
    .long gdt

.bss
.align 16
stack:
    .skip 16384
stack_end:

.section .note.GNU-stack, "", @progbits
