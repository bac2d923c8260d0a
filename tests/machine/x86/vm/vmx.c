/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Guests on VMX: the VMCS image and the headers' world switch behind struct vm. */
#include "vmx.h"

#include "console.h"
#include "cpu.h"
#include "machine.h"
#include "memory.h"

/* What belongs to the CPU, not to a guest. The pages are outside the frame pool: the pool's books are the guests'. */
static struct hvctl_cpu_ops ops;
static struct hvctl_vmx_cpu cpu;
static struct hvctl_vmx_caps caps;
static struct hvctl_vmx_solution solution;
static uint8_t vmxon_page[4096] __attribute__((aligned(4096)));
static struct vmx_control control; /* one guest at a time */

static bool safe_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    (void)ctx;
    return cpu_rdmsr(msr, value);
}

static bool safe_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    (void)ctx;
    return cpu_wrmsr(msr, value);
}

const struct hvctl_vmx_caps *vmx_caps(void)
{
    return &caps;
}

const struct hvctl_cpu_ops *vmx_ops(void)
{
    return &ops;
}

uint64_t vmx_vmxon_region(void)
{
    return (uintptr_t)vmxon_page;
}

uint64_t vmx_ept_capabilities(void)
{
    return caps.ept_vpid_cap;
}

void vmx_invept(uint64_t eptp)
{
    enum hvctl_status status = hvctl_vmx_invept(&ops, &caps, eptp);

    if (status != HVCTL_OK)
        panic("INVEPT: %s", hvctl_status_text(status));
}

/* What every guest here needs, and one control more, or HVCTL_ALWAYS for none. */
static enum hvctl_status solve(enum hvctl_vmx_control more, struct hvctl_vmx_solution *out)
{
    static const enum hvctl_vmx_control needed[] = {
        HVCTL_PRIMARY_HLT_EXITING,          HVCTL_PRIMARY_UNCONDITIONAL_IO_EXITING,
        HVCTL_SECONDARY_ENABLE_EPT,         HVCTL_SECONDARY_UNRESTRICTED_GUEST,
        HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE, HVCTL_EXIT_SAVE_IA32_EFER,
        HVCTL_EXIT_LOAD_IA32_EFER,          HVCTL_ENTRY_LOAD_IA32_EFER,
        HVCTL_EXIT_SAVE_IA32_PAT,           HVCTL_EXIT_LOAD_IA32_PAT,
        HVCTL_ENTRY_LOAD_IA32_PAT,
    };
    struct hvctl_vmx_controls required;

    memset(&required, 0, sizeof(required));
    for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        hvctl_vmx_controls_add(&required, needed[i]);
    hvctl_vmx_controls_add(&required, more);
    return hvctl_vmx_solve(&required, NULL, &caps, out);
}

const char *vmx_enable(void)
{
    struct hvctl_vmx_region region = {vmxon_page, (uintptr_t)vmxon_page};
    enum hvctl_vmx_enable_status status;
    static char problem[160];

    ops = hvctl_x86_cpu_ops();
    ops.rdmsr = safe_rdmsr;
    ops.wrmsr = safe_wrmsr;
    status = hvctl_vmx_enable(&ops, &cpu, &region, &caps);
    if (status != HVCTL_VMX_ENABLED)
        return hvctl_vmx_enable_text(status);
    if (solve(HVCTL_ALWAYS, &solution) != HVCTL_OK) {
        struct hvpt_text_buffer buffer;
        struct hvpt_text text = hvpt_text_into(&buffer, problem, sizeof(problem));

        hvctl_vmx_problem_text(&solution.problems[0], &text);
        return problem;
    }
    return NULL;
}

void vmx_disable(void)
{
    enum hvctl_status status = hvctl_vmx_disable(&ops, &cpu);

    if (status != HVCTL_OK)
        panic("VMXOFF: %s", hvctl_status_text(status));
}

static void expect_ok(enum hvctl_status status, const char *what)
{
    if (status != HVCTL_OK)
        panic("%s: %s", what, hvctl_status_text(status));
}

static void start(const struct hvctl_guest_state *state)
{
    expect_ok(hvctl_vmx_guest_write(&control.image, &caps, state), "guest state");
}

void vmx_start_long(struct vm *vm)
{
    struct hvctl_guest_state state = hvctl_guest_long64(GUEST_PML4, vm->regs.rip, vm->regs.rsp);

    start(&state);
}

void vmx_start_real(struct vm *vm)
{
    struct hvctl_guest_state state = hvctl_guest_real_mode(0, (uint16_t)vm->regs.rip);

    start(&state);
}

void vmx_host_changed(struct vm *vm)
{
    (void)vm;
    expect_ok(hvctl_vmx_host_capture(&ops, &control.image), "host state");
}

bool vmx_require(struct vm *vm, enum hvctl_vmx_control wanted)
{
    static struct hvctl_vmx_solution more;

    if (solve(wanted, &more) != HVCTL_OK)
        return false;
    expect_ok(hvctl_vmx_controls_write(&control.image, &more.controls), "VMX controls");
    vm_start_long(vm); /* "IA-32e mode guest" is the guest's state as much as a control */
    return true;
}

/* Bochs 2.8 offers a VM-exit control whose field it does not have: what cannot be read is not written. */
static unsigned absent_slot[4], absent_slots;

static void find_absent(const struct hvctl_vmcs_image *image)
{
    uint64_t value;

    absent_slots = 0;
    for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT && absent_slots < 4; slot++)
        if (hvctl_vmcs_set_has(&image->exists, slot)
            && !ops.vmread(ops.ctx, hvctl_vmcs_slot_info(slot)->encoding, &value))
            absent_slot[absent_slots++] = slot;
}

void vmx_create(struct vm *vm)
{
    struct hvctl_vmx_region region;
    enum hvctl_status status = HVCTL_OK;

    memset(&control, 0, sizeof(control));
    vm->control = &control;
    control.region = frames_page(vm->frames);
    region.memory = control.region;
    region.physical = (uintptr_t)control.region;
    if (hvctl_vmx_create(&ops, &region, &caps) != HVCTL_VMX_SUCCEED)
        panic("the VMCS cannot be made current");
    hvctl_vmcs_image_init(&control.image, &caps);
    find_absent(&control.image);
    hvctl_vmcs_touch_all(&control.image);
    hvctl_vmcs_put(&control.image, HVCTL_VMCS_EPT_POINTER, paging_root(&vm->paging), &status);
    hvctl_vmcs_put(&control.image, HVCTL_VMCS_EXCEPTION_BITMAP, 0xffffffff, &status);
    expect_ok(status, "VMCS");
    expect_ok(hvctl_vmx_controls_write(&control.image, &solution.controls), "VMX controls");
    expect_ok(hvctl_vmx_host_capture(&ops, &control.image), "host state");
}

void vmx_destroy(struct vm *vm)
{
    if (hvctl_vmx_clear(&ops, (uintptr_t)control.region) != HVCTL_VMX_SUCCEED)
        panic("VMCLEAR failed");
    frames_give_page(vm->frames, control.region);
    vm->control = NULL;
}

static enum vm_exit_kind kind_of(uint32_t reason)
{
    if (reason >> 31)
        return VM_EXIT_INVALID;
    switch (reason & 0xffff) {
    case HVCTL_VMX_REASON_VMCALL: return VM_EXIT_CALL;
    case HVCTL_VMX_REASON_EPT_VIOLATION: return VM_EXIT_FAULT;
    case HVCTL_VMX_REASON_EPT_MISCONFIGURATION: return VM_EXIT_MISCONFIG;
    case HVCTL_VMX_REASON_CPUID: return VM_EXIT_CPUID;
    case HVCTL_VMX_REASON_HLT: return VM_EXIT_HLT;
    case HVCTL_VMX_REASON_RDMSR: return VM_EXIT_RDMSR;
    case HVCTL_VMX_REASON_WRMSR: return VM_EXIT_WRMSR;
    case HVCTL_VMX_REASON_IO_INSTRUCTION: return VM_EXIT_IO;
    case HVCTL_VMX_REASON_CR_ACCESS: return VM_EXIT_CR;
    case HVCTL_VMX_REASON_EXCEPTION_OR_NMI: return VM_EXIT_EXCEPTION;
    case HVCTL_VMX_REASON_TRIPLE_FAULT: return VM_EXIT_SHUTDOWN;
    default: return VM_EXIT_OTHER;
    }
}

struct vm_exit vmx_enter(struct vm *vm)
{
    struct hvctl_vmcs_image *image = &control.image;
    struct vm_exit exit;
    struct hvctl_vmx_run run;
    uint32_t failed = 0;

    memset(&exit, 0, sizeof(exit));
    for (unsigned i = 0; i < absent_slots; i++)
        hvctl_vmcs_set_remove(&image->dirty, absent_slot[i]);
    /* Without a current VMCS no field can be written; the entry then tells, which some checks are after */
    if (hvctl_vmcs_store(image, ops.vmwrite, ops.ctx, &failed) != HVCTL_OK && ops.vmptrst(ops.ctx) != ~UINT64_C(0))
        panic("VMWRITE of %s", hvctl_vmcs_field_name(failed));
    run = hvctl_vmx_enter(&ops, &control.regs, &control.launched);
    exit.reason = run.exit_reason;
    if (run.result != HVCTL_VMX_SUCCEED) {
        exit.kind = VM_EXIT_INVALID;
        exit.fail = run.result == HVCTL_VMX_FAIL_VALID ? run.instruction_error : ~0u;
        return exit;
    }
    if (hvctl_vmcs_load(image, HVCTL_VMCS_LOAD_EXIT_INFO, ops.vmread, ops.ctx, &failed) != HVCTL_OK)
        panic("VMREAD of %s", hvctl_vmcs_field_name(failed));
    exit.kind = kind_of(run.exit_reason);
    exit.info = hvctl_vmcs_get(image, HVCTL_VMCS_EXIT_QUALIFICATION);
    exit.gpa = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_PHYSICAL_ADDRESS);
    exit.linear = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_LINEAR_ADDRESS);
    exit.length = (unsigned)hvctl_vmcs_get(image, HVCTL_VMCS_VM_EXIT_INSTRUCTION_LENGTH);
    if (exit.kind == VM_EXIT_FAULT) {
        struct hvpt_ept_violation violation =
            hvpt_ept_decode_violation_as(exit.info, hvctl_ept_violation_form_of(image, &caps));

        exit.read = violation.read;
        exit.write = violation.write;
        exit.fetch = violation.fetch;
        exit.walk = violation.linear_valid && !violation.final_translation;
    }
    (void)vm;
    return exit;
}

struct vm_exit vmx_run(struct vm *vm)
{
    struct vm_registers *r = &vm->regs;
    uint64_t *gpr = control.regs.gpr;
    const uint32_t own[] = {HVCTL_VMCS_GUEST_RIP, HVCTL_VMCS_GUEST_RSP, HVCTL_VMCS_GUEST_RFLAGS};
    enum hvctl_status status = HVCTL_OK;
    struct vm_exit exit;

    gpr[HVCTL_RAX] = r->rax, gpr[HVCTL_RBX] = r->rbx, gpr[HVCTL_RCX] = r->rcx, gpr[HVCTL_RDX] = r->rdx;
    gpr[HVCTL_RSI] = r->rsi, gpr[HVCTL_RDI] = r->rdi, gpr[HVCTL_RBP] = r->rbp, gpr[HVCTL_R8] = r->r8;
    gpr[HVCTL_R9] = r->r9, gpr[HVCTL_R10] = r->r10, gpr[HVCTL_R11] = r->r11, gpr[HVCTL_R12] = r->r12;
    gpr[HVCTL_R13] = r->r13, gpr[HVCTL_R14] = r->r14, gpr[HVCTL_R15] = r->r15;
    control.regs.cr2 = r->cr2;
    hvctl_vmcs_put(&control.image, HVCTL_VMCS_GUEST_RIP, r->rip, &status);
    hvctl_vmcs_put(&control.image, HVCTL_VMCS_GUEST_RSP, r->rsp, &status);
    hvctl_vmcs_put(&control.image, HVCTL_VMCS_GUEST_RFLAGS, r->rflags, &status);
    expect_ok(status, "guest registers");
    vm->paging.stale = false; /* without VPID, each entry and exit flushes linear and combined mappings */
    exit = vmx_enter(vm);
    for (unsigned i = 0; i < 3 && exit.fail == 0; i++)
        expect_ok(hvctl_vmcs_load_field(&control.image, own[i], ops.vmread, ops.ctx), "VMREAD of RIP, RSP, RFLAGS");
    r->rip = hvctl_vmcs_get(&control.image, HVCTL_VMCS_GUEST_RIP);
    r->rsp = hvctl_vmcs_get(&control.image, HVCTL_VMCS_GUEST_RSP);
    r->rflags = hvctl_vmcs_get(&control.image, HVCTL_VMCS_GUEST_RFLAGS);
    r->rax = gpr[HVCTL_RAX], r->rbx = gpr[HVCTL_RBX], r->rcx = gpr[HVCTL_RCX], r->rdx = gpr[HVCTL_RDX];
    r->rsi = gpr[HVCTL_RSI], r->rdi = gpr[HVCTL_RDI], r->rbp = gpr[HVCTL_RBP], r->r8 = gpr[HVCTL_R8];
    r->r9 = gpr[HVCTL_R9], r->r10 = gpr[HVCTL_R10], r->r11 = gpr[HVCTL_R11], r->r12 = gpr[HVCTL_R12];
    r->r13 = gpr[HVCTL_R13], r->r14 = gpr[HVCTL_R14], r->r15 = gpr[HVCTL_R15];
    r->cr2 = control.regs.cr2;
    return exit;
}

void vmx_exit_text(const struct vm *vm, char *buffer, size_t size)
{
    struct hvpt_text_buffer bytes;
    struct hvpt_text text = hvpt_text_into(&bytes, buffer, size);

    (void)vm;
    hvctl_vmx_exit_text(&control.image, &caps, &text);
}

void vmx_print_controls(const struct vm *vm)
{
    static char words[1024];
    size_t length = 0;

    (void)vm;
    for (unsigned group = 0; group < HVCTL_GROUP_COUNT; group++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            const char *name = hvctl_vmx_control_name(hvctl_vmx_control_of(group, bit));

            if ((solution.controls.word[group] >> bit & 1) != 0 && name != NULL)
                length += print_to(words + length, sizeof(words) - length, "%s%s", length > 0 ? ", " : "", name);
        }
    }
    print("VMCS, revision %x: ", hvctl_vmx_revision(&caps));
    print_wrapped(words, 2, 100);
}
