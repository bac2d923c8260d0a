/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A guest on this machine: what is the same for both vendors. */
#include "vm.h"

#include "cpu.h"
#include "machine.h"
#include "memory.h"

const char *vm_enable(void)
{
    switch (cpu_vendor()) {
    case CPU_INTEL: return vmx_enable();
    case CPU_AMD: return svm_enable();
    default: return "this CPU is neither Intel's nor AMD's";
    }
}

void vm_disable(void)
{
    if (cpu_vendor() == CPU_AMD)
        svm_disable();
    else
        vmx_disable();
}

void vm_create(struct vm *vm, struct frames *frames, const struct paging_options *options)
{
    static const struct paging_options usual = {0, false, 0};
    enum hvpt_status status;

    memset(vm, 0, sizeof(*vm));
    vm->svm = cpu_vendor() == CPU_AMD;
    vm->frames = frames;
    status = paging_init(&vm->paging, frames, options != NULL ? options : &usual);
    if (status != HVPT_OK)
        panic("second-level tables: %s", hvpt_status_text(status));
    guest_build(&vm->guest, (void *)(uintptr_t)VM_HOME, vm->svm);
    status = paging_map(&vm->paging, 0, VM_HOME, GUEST_HOME_SIZE, paging_attr(HVPT_READ | HVPT_WRITE | HVPT_EXEC));
    if (status != HVPT_OK)
        panic("mapping the guest's home: %s", hvpt_status_text(status));
    if (vm->svm)
        svm_create(vm);
    else
        vmx_create(vm);
    vm_start_long(vm);
}

void vm_destroy(struct vm *vm)
{
    if (vm->svm)
        svm_destroy(vm);
    else
        vmx_destroy(vm);
    paging_destroy(&vm->paging);
}

void vm_start_long(struct vm *vm)
{
    memset(&vm->regs, 0, sizeof(vm->regs));
    vm->real = false;
    vm->regs.rflags = 2;
    vm->regs.rsp = GUEST_STACK;
    vm->regs.rip = guest_entry(&vm->guest, PIECE_CALL);
    if (vm->svm)
        svm_start_long(vm);
    else
        vmx_start_long(vm);
}

void vm_start_real(struct vm *vm, enum guest_piece piece)
{
    memset(&vm->regs, 0, sizeof(vm->regs));
    vm->real = true;
    vm->regs.rflags = 2;
    vm->regs.rsp = GUEST_STACK;
    vm->regs.rip = guest_entry(&vm->guest, piece);
    if (vm->svm)
        svm_start_real(vm);
    else
        vmx_start_real(vm);
}

void vm_host_changed(struct vm *vm)
{
    if (!vm->svm) /* SVM saves the host's state at each VMRUN */
        vmx_host_changed(vm);
}

struct vm_exit vm_run(struct vm *vm)
{
    vm->exits++;
    return vm->svm ? svm_run(vm) : vmx_run(vm);
}

void vm_exit_text(const struct vm *vm, char *buffer, size_t size)
{
    if (vm->svm)
        svm_exit_text(vm, buffer, size);
    else
        vmx_exit_text(vm, buffer, size);
}

void vm_print_controls(const struct vm *vm)
{
    if (vm->svm)
        svm_print_controls(vm);
    else
        vmx_print_controls(vm);
}

void vm_skip(struct vm *vm, const struct vm_exit *exit)
{
    unsigned length = exit->length;

    if (length == 0) { /* SVM without next-RIP save; no prefixes in the pieces */
        switch (exit->kind) {
        case VM_EXIT_CPUID:
        case VM_EXIT_RDMSR:
        case VM_EXIT_WRMSR: length = 2; break;
        case VM_EXIT_CALL: length = 3; break;
        case VM_EXIT_HLT:
        case VM_EXIT_IO: length = 1; break;
        default: panic("cannot skip an instruction after exit %lx", exit->reason);
        }
    }
    vm->regs.rip += length;
}

struct vm_exit vm_do(struct vm *vm, enum guest_piece piece)
{
    vm->regs.rip = guest_entry(&vm->guest, piece);
    vm->regs.rsp = GUEST_STACK;
    return vm_run(vm);
}

/* The window may have turned: the guest's own translation is stale, which any flush drops, too. */
static uint64_t reach(struct vm *vm, uint64_t gpa)
{
    uint64_t linear = guest_reach(&vm->guest, gpa);

    if (linear != gpa)
        vm->paging.stale = true;
    return linear;
}

struct vm_exit vm_read(struct vm *vm, uint64_t gpa, uint64_t *value)
{
    struct vm_exit exit;

    vm->regs.rdi = reach(vm, gpa);
    vm->regs.rax = 0;
    exit = vm_do(vm, PIECE_READ);
    if (value != NULL)
        *value = vm->regs.rax;
    return exit;
}

struct vm_exit vm_write(struct vm *vm, uint64_t gpa, uint64_t value)
{
    vm->regs.rdi = reach(vm, gpa);
    vm->regs.rsi = value;
    return vm_do(vm, PIECE_WRITE);
}

struct vm_exit vm_fetch(struct vm *vm, uint64_t gpa)
{
    vm->regs.rdi = reach(vm, gpa);
    return vm_do(vm, PIECE_FETCH);
}

uint64_t vm_tag(uint64_t hpa)
{
    uint64_t tag = (hpa | 0x5a) << 8 | 0xc3; /* RET */

    *vm_host_word(hpa) = tag;
    return tag;
}
