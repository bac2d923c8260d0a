/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A guest: its home, the registers of EL1, entry and exit. */
#include "vm.h"

#include "cpu.h"
#include "machine.h"
#include "memory.h"

#define HCR_DC  (UINT64_C(1) << 12)
#define HCR_TWI (UINT64_C(1) << 13)

#define PSTATE_DAIF 0x3c0u
#define PSTATE_EL0T 0u
#define PSTATE_EL1H 5u

void vm_enter(struct vm_registers *regs);

static const struct vm *loaded;

enum hvpt_status vm_create(struct vm *vm, struct frames *frames, const struct paging_options *options)
{
    static unsigned turn;
    enum hvpt_status status;

    memset(vm, 0, sizeof(*vm));
    status = paging_init(&vm->paging, frames, options);
    if (status != HVPT_OK)
        return status;
    vm->home = (void *)(uintptr_t)(VM_HOME + turn++ % 16 * GUEST_HOME_SIZE);
    guest_build(vm->home);
    status = paging_map(&vm->paging, 0, (uintptr_t)vm->home, GUEST_HOME_SIZE,
                        paging_attr(HVPT_READ | HVPT_WRITE | HVPT_EXEC | HVPT_EXEC_USER));
    if (status != HVPT_OK)
        panic("mapping a guest's home: %s", hvpt_status_text(status));
    __asm__ volatile("ic ialluis\n\tdsb ish\n\tisb" : : : "memory");
    loaded = NULL;
    return HVPT_OK;
}

void vm_destroy(struct vm *vm)
{
    loaded = NULL;
    paging_destroy(&vm->paging);
}

void vm_load(struct vm *vm)
{
    if (loaded != vm) {
        cpu_write_sctlr_el1(UINT64_C(0x30d00800) | vm->sctlr | (vm->stage1 ? 1u << 12 | 1u << 2 | 1 : 0));
        cpu_write_vbar_el1(0);
        cpu_write_ttbr0_el1(GUEST_TABLE);
        cpu_write_tcr_el1(vm->stage1 ? GUEST_TCR : 0);
        cpu_write_mair_el1(vm->mair);
        if (cpu_field(cpu_read_mmfr1(), 40) != 0) /* FEAT_HCX */
            cpu_write_hcrx_el2(vm->hcrx);
        if (cpu_field(cpu_read_mmfr3(), 0) != 0) /* FEAT_TCR2 */
            cpu_write_tcr2_el1(vm->tcr2);
        if (cpu_field(cpu_read_mmfr3(), 8) != 0) { /* FEAT_S1PIE: for EL0 nothing, so that EL1 may execute what it writes */
            cpu_write_pir_el1(vm->pir);
            cpu_write_pire0_el1(0);
        }
    }
    paging_load(&vm->paging, vm->hcr | HCR_TWI | (vm->stage1 ? 0 : HCR_DC));
    loaded = vm;
}

struct vm_exit vm_run(struct vm *vm)
{
    struct vm_exit exit;

    vm_load(vm);
    cpu_barrier();
    vm_enter(&vm->regs);
    vm->exits++;
    exit.esr = cpu_read_esr_el2();
    exit.far = cpu_read_far_el2();
    exit.hpfar = cpu_read_hpfar_el2();
    exit.stage2 = hvpt_s2_decode_fault(exit.esr, exit.far, exit.hpfar, &exit.fault);
    exit.call = 0;
    exit.kind = VM_EXIT_OTHER;
    switch (exit.esr >> 26 & 63) { /* Arm ARM, "ESR_EL2", EC */
    case 0x01: exit.kind = VM_EXIT_WFI; break;
    case 0x16:
        exit.kind = VM_EXIT_CALL;
        exit.call = (unsigned)exit.esr & 0xffff;
        break;
    case 0x20:
    case 0x24: exit.kind = VM_EXIT_FAULT; break;
    }
    return exit;
}

struct vm_exit vm_do(struct vm *vm, const char *piece, bool user)
{
    vm->regs.pc = guest_entry(piece);
    vm->regs.pstate = PSTATE_DAIF | (user ? PSTATE_EL0T : PSTATE_EL1H);
    return vm_run(vm);
}

struct vm_exit vm_read(struct vm *vm, uint64_t gpa, uint64_t *value)
{
    struct vm_exit exit;

    vm->regs.x[0] = gpa;
    vm->regs.x[1] = 0;
    exit = vm_do(vm, guest_read, false);
    if (value != NULL)
        *value = vm->regs.x[1];
    return exit;
}

struct vm_exit vm_write(struct vm *vm, uint64_t gpa, uint64_t value)
{
    vm->regs.x[0] = gpa;
    vm->regs.x[1] = value;
    return vm_do(vm, guest_write, false);
}

struct vm_exit vm_fetch(struct vm *vm, uint64_t gpa)
{
    vm->regs.x[0] = gpa;
    return vm_do(vm, guest_fetch, false);
}

uint64_t vm_tag(uint64_t hpa)
{
    uint64_t tag = (hpa >> 3) << 32 | 0xd65f03c0; /* RET */

    *vm_host_word(hpa) = tag;
    __asm__ volatile("dc civac, %0\n\tdsb ish\n\tic ialluis\n\tdsb ish\n\tisb" : : "r"(hpa) : "memory");
    return tag;
}

uint64_t vm_backing(uint64_t size)
{
    if (size <= UINT64_C(0x2000000))
        return VM_MEMORY;
    return size == HVPT_512M ? VM_LARGE : size == HVPT_1G ? VM_GIANT : 0;
}

uint64_t vm_backing_offset(uint64_t size)
{
    return vm_backing(size) != 0 ? 0 : VM_MEMORY;
}
