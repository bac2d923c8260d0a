/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A guest on this machine. */
#include "vm.h"

#include "exceptions.h"
#include "machine.h"
#include "memory.h"

/* switch.S counts on these. */
_Static_assert(offsetof(struct vm_context, pc) == 256, "PC");
_Static_assert(offsetof(struct vm_context, cause) == 264, "CAUSE");
_Static_assert(offsetof(struct vm_context, stval) == 272, "STVAL");
_Static_assert(offsetof(struct vm_context, htval) == 280, "HTVAL");
_Static_assert(offsetof(struct vm_context, htinst) == 288, "HTINST");
_Static_assert(offsetof(struct vm_context, hstatus) == 296, "HSTATUS");
_Static_assert(offsetof(struct vm_context, host_sp) == 304, "HOST_SP");

void vm_enter(struct vm_context *context);

void vm_create(struct vm *vm, struct frames *frames, const struct paging_options *options)
{
    static const struct paging_options usual = {0};
    enum hvpt_status status;

    memset(vm, 0, sizeof(*vm));
    vm->frames = frames;
    status = paging_init(&vm->paging, frames, options != NULL ? options : &usual);
    if (status != HVPT_OK)
        panic("second-level tables: %s", hvpt_status_text(status));
    guest_build(vm_host_word(VM_HOME));
    status = paging_map(&vm->paging, 0, VM_HOME, GUEST_HOME_SIZE, paging_attr(HVPT_READ | HVPT_WRITE | HVPT_EXEC));
    if (status != HVPT_OK)
        panic("mapping the guest's home: %s", hvpt_status_text(status));
    vm->regs.pc = guest_entry(PIECE_CALL);
    vm_load(vm);
}

void vm_destroy(struct vm *vm)
{
    cpu_write(CSR_HGATP, 0);
    cpu_hfence_gvma_all();
    paging_destroy(&vm->paging);
}

/* All traps of the guest come to HS-mode. HLV and HSV act as VS-mode does (SPVP). */
void vm_load(const struct vm *vm)
{
    cpu_write(CSR_HEDELEG, 0);
    cpu_write(CSR_HIDELEG, 0);
    cpu_write(CSR_HSTATUS, HSTATUS_SPVP | HSTATUS_VTW | UINT64_C(2) << 32 /* VSXL: 64 bits */);
    cpu_write(CSR_VSSTATUS, 0);
    cpu_write(CSR_VSATP, 0);
    cpu_write(CSR_HGATP, paging_hgatp(&vm->paging));
    cpu_hfence_gvma_all(); /* the VMID has had other tables before */
}

/* Every trap goes through the headers' decoder; check_fault() holds what it says against the manual. */
static struct vm_exit decoded(struct vm_exit exit)
{
    exit.guest_fault = hvpt_gstage_decode_fault(exit.cause, exit.stval, exit.htval, exit.htinst, &exit.fault);
    return exit;
}

struct vm_exit vm_run(struct vm *vm)
{
    struct vm_exit exit;

    vm->exits++;
    vm_enter(&vm->regs);
    exit.cause = vm->regs.cause;
    exit.stval = vm->regs.stval;
    exit.htval = vm->regs.htval;
    exit.htinst = vm->regs.htinst;
    exit.hstatus = vm->regs.hstatus;
    exit.instruction = vm->regs.pc >= GUEST_CODE && vm->regs.pc + 4 <= GUEST_HOME_SIZE
                         ? *(const uint32_t *)(uintptr_t)(VM_HOME + vm->regs.pc)
                         : 0;
    return decoded(exit);
}

void vm_skip(struct vm *vm)
{
    vm->regs.pc += 4;
}

struct vm_exit vm_do(struct vm *vm, enum guest_piece piece)
{
    vm->regs.pc = guest_entry(piece);
    return vm_run(vm);
}

struct vm_exit vm_read(struct vm *vm, uint64_t gpa, uint64_t *value)
{
    struct vm_exit exit;

    vm->regs.x[REG_A0] = gpa;
    vm->regs.x[REG_A1] = 0;
    exit = vm_do(vm, PIECE_READ);
    if (value != NULL)
        *value = vm->regs.x[REG_A1];
    return exit;
}

struct vm_exit vm_write(struct vm *vm, uint64_t gpa, uint64_t value)
{
    vm->regs.x[REG_A0] = gpa;
    vm->regs.x[REG_A1] = value;
    return vm_do(vm, PIECE_WRITE);
}

struct vm_exit vm_amo(struct vm *vm, uint64_t gpa, uint64_t value)
{
    vm->regs.x[REG_A0] = gpa;
    vm->regs.x[REG_A1] = value;
    return vm_do(vm, PIECE_AMO);
}

struct vm_exit vm_fetch(struct vm *vm, uint64_t gpa)
{
    vm->regs.x[REG_A0] = gpa;
    return vm_do(vm, PIECE_FETCH);
}

static struct vm_exit outcome(bool went_through)
{
    struct vm_exit exit = {0};

    if (!went_through) {
        struct exception last = exceptions_last();

        exit.cause = last.cause;
        exit.stval = last.stval;
        exit.htval = last.htval;
        exit.htinst = last.htinst;
        exit.hstatus = last.hstatus;
        exit.instruction = last.instruction;
    }
    return decoded(exit);
}

struct vm_exit vm_hlv(uint64_t gpa, uint64_t *value)
{
    uint64_t unwanted;

    return outcome(cpu_hlv(gpa, value != NULL ? value : &unwanted));
}

struct vm_exit vm_hlvx(uint64_t gpa, uint32_t *value)
{
    uint32_t unwanted;

    return outcome(cpu_hlvx(gpa, value != NULL ? value : &unwanted));
}

struct vm_exit vm_hsv(uint64_t gpa, uint64_t value)
{
    return outcome(cpu_hsv(gpa, value));
}

uint64_t vm_tag(uint64_t hpa)
{
    uint64_t tag = hpa << 32 | 0x00008067; /* jalr zero, 0(ra) */

    *vm_host_word(hpa) = tag;
    __asm__ volatile("fence.i" : : : "memory");
    return tag;
}
