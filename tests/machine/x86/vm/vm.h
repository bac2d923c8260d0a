/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A guest on this machine, whatever its vendor: second-level tables, control structure, registers, entry and exit.
 * What differs between VMX and SVM is in vmx.c and svm.c; a check that asserts raw exit values looks at struct vm_exit's.
 */
#ifndef VM_VM_H
#define VM_VM_H

#include "guest/guest.h"
#include "paging.h"

enum vm_exit_kind {
    VM_EXIT_CALL,      /* the guest's hypercall */
    VM_EXIT_FAULT,     /* EPT violation, nested page fault */
    VM_EXIT_MISCONFIG, /* EPT misconfiguration */
    VM_EXIT_CPUID,
    VM_EXIT_HLT,
    VM_EXIT_RDMSR,
    VM_EXIT_WRMSR,
    VM_EXIT_IO,
    VM_EXIT_CR,
    VM_EXIT_EXCEPTION,
    VM_EXIT_SHUTDOWN,
    VM_EXIT_INVALID, /* the entry failed: guest state (VMX), anything (SVM) */
    VM_EXIT_OTHER
};

struct vm_exit {
    enum vm_exit_kind kind;
    uint64_t reason;               /* VMX: the exit-reason field; SVM: EXITCODE */
    uint64_t info;                 /* VMX: exit qualification; SVM: EXITINFO1 */
    uint64_t gpa;                  /* of a fault or misconfiguration; SVM: EXITINFO2 */
    uint64_t linear;               /* VMX: guest-linear address */
    unsigned length;               /* of the instruction that exited; 0 where the CPU does not tell */
    bool read, write, fetch, walk; /* of a fault: decoded; walk: in the guest's own page tables */
    unsigned fail; /* VMX: VMfail's instruction error, 0 if the entry did not VMfail; ~0: VMfailInvalid */
};

struct vm_registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip, rsp, rflags, cr2;
};

struct vm {
    bool svm;
    bool real; /* it started in real mode */
    struct frames *frames;
    struct paging paging;
    struct guest guest;
    struct vm_registers regs;
    unsigned long exits;
    void *control; /* struct vmx_control or struct svm_control */
};

/* Where the backends differ from the vendor-neutral world; each ends the run if it cannot. */

/* Turns the machine's extension on, once. Prints nothing. NULL on success, else what is missing, in words. */
const char *vm_enable(void);
void vm_disable(void);

/* A guest with its home mapped at guest-physical 0 and nothing else, in 64-bit mode. options NULL: the usual. */
void vm_create(struct vm *vm, struct frames *frames, const struct paging_options *options);
void vm_destroy(struct vm *vm);

/* The state to enter with next: all registers 0, then 64-bit mode on the guest's tables, or real mode at GUEST_CODE's piece. */
void vm_start_long(struct vm *vm);
void vm_start_real(struct vm *vm, enum guest_piece piece);

/* To be called after the host's own state has changed, before the next entry. */
void vm_host_changed(struct vm *vm);

/* Enters until the next exit. vm->regs are the guest's before and after. */
struct vm_exit vm_run(struct vm *vm);

/* The last exit in words, by the headers' decoders. */
void vm_exit_text(const struct vm *vm, char *buffer, size_t size);

/* What the control structure asks for, in a few lines on the console. */
void vm_print_controls(const struct vm *vm);

/* Past the instruction that exited: by its length, or where the CPU does not give it, by what the exit says it was. */
void vm_skip(struct vm *vm, const struct vm_exit *exit);

/* One piece from its start; rdi and what else it takes is set by the caller. Long mode. */
struct vm_exit vm_do(struct vm *vm, enum guest_piece piece);

/* The three accesses; VM_EXIT_CALL: it went through, and *value is what was read. */
struct vm_exit vm_read(struct vm *vm, uint64_t gpa, uint64_t *value);
struct vm_exit vm_write(struct vm *vm, uint64_t gpa, uint64_t value);
struct vm_exit vm_fetch(struct vm *vm, uint64_t gpa);

/*
 * Memory of the machine that neither the kernel nor the frame pool uses, to map into guests, and a word to recognize each
 * page by: its first byte is a RET, so that the page may also be called.
 */
#define VM_HOME   UINT64_C(0x03000000) /* the guest's home */
#define VM_MEMORY UINT64_C(0x04000000) /* for small and large pages: 128 MiB */
#define VM_GIANT  UINT64_C(0x40000000) /* for one page of 1 GiB */
uint64_t vm_tag(uint64_t hpa);

/* Memory that a page of this size can map. */
static inline uint64_t vm_backing(uint64_t size)
{
    return size == HVPT_1G ? VM_GIANT : VM_MEMORY;
}

static inline uint64_t *vm_host_word(uint64_t hpa)
{
    return (uint64_t *)(uintptr_t)hpa;
}

/* Each backend's part of the above. */
const char *vmx_enable(void);
uint64_t vmx_ept_capabilities(void); /* IA32_VMX_EPT_VPID_CAP; known from vmx_enable() on */
void vmx_invept(uint64_t eptp);
void vmx_disable(void);
void vmx_create(struct vm *vm);
void vmx_destroy(struct vm *vm);
void vmx_start_long(struct vm *vm);
void vmx_start_real(struct vm *vm);
struct vm_exit vmx_run(struct vm *vm);
void vmx_host_changed(struct vm *vm);
void vmx_exit_text(const struct vm *vm, char *buffer, size_t size);
void vmx_print_controls(const struct vm *vm);
const char *svm_enable(void);
void svm_disable(void);
void svm_create(struct vm *vm);
void svm_destroy(struct vm *vm);
void svm_start_long(struct vm *vm);
void svm_start_real(struct vm *vm);
struct vm_exit svm_run(struct vm *vm);
void svm_exit_text(const struct vm *vm, char *buffer, size_t size);
void svm_print_controls(const struct vm *vm);

#endif
