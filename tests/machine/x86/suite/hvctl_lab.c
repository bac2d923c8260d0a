/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A bench for one guest instruction at a time. */
#include "hvctl_lab.h"

#include "machine.h"
#include "memory.h"

#define APIC UINT64_C(0xfee00000)

/* Behind the write there is time for what it sets off: an emulator may look for it between blocks of code only. */
LAB_SNIPPET(icr, "movl %eax, 0x300(%rdi)\n movl $100, %ecx\n 1: decl %ecx\n jnz 1b")

static void expect(enum hvctl_status status, const char *what)
{
    if (status != HVCTL_OK)
        panic("%s: %s", what, hvctl_status_text(status));
}

/* SDM vol. 3, "64-Bit Mode IDT", "Segment Descriptors": 8 bytes, or 16 for gates and system segments of 64-bit mode. */
static void build_tables(struct lab *lab)
{
    uint64_t *gdt = lab_word(lab, LAB_GDT), *tss = lab_word(lab, LAB_TSS);

    memset(lab_at(lab, LAB_GDT), 0, 4096);
    gdt[LAB_CODE64_SELECTOR / 8] = UINT64_C(0x00af9b000000ffff);
    gdt[LAB_DATA_SELECTOR / 8] = UINT64_C(0x00cf93000000ffff);
    gdt[LAB_TSS_SELECTOR / 8] = UINT64_C(0x00008b0000000067) | (uint64_t)LAB_TSS << 16;
    gdt[LAB_CODE32_SELECTOR / 8] = UINT64_C(0x00cf9b000000ffff);
    gdt[LAB_USER_DATA_SELECTOR / 8] = UINT64_C(0x00cff3000000ffff);
    gdt[LAB_USER_CODE_SELECTOR / 8] = UINT64_C(0x00affb000000ffff);
    gdt[LAB_TASK / 8] = UINT64_C(0x0000890000000067) | (uint64_t)LAB_TSS << 16;
    gdt[LAB_TASK_BUSY / 8] = UINT64_C(0x00008b0000000067) | (uint64_t)LAB_TSS << 16;
    gdt[LAB_ABSENT / 8] = UINT64_C(0x00cf13000000ffff);
    memset(lab_at(lab, LAB_TSS), 0, 4096);
    memcpy((uint8_t *)tss + 4, &(uint64_t) {LAB_TOP}, 8); /* RSP0 */
    *(uint16_t *)(void *)tss = LAB_TASK_BUSY;             /* 32-bit: the link to the previous task */
    for (unsigned vector = 0; vector < 256; vector++) {
        uint64_t stub = LAB_STUBS + 16 * vector;
        uint8_t *code = lab_at(lab, stub);
        const uint8_t call[3] = {0x0f, 0x01, lab->svm ? 0xd9 : 0xc1}; /* VMMCALL, VMCALL */

        code[0] = 0x68; /* PUSH imm32 */
        memcpy(code + 1, &(uint32_t) {vector}, 4);
        memcpy(code + 5, call, 3);
        code[8] = 0xf4;
        lab_word(lab, LAB_IDT)[2 * vector] =
            (stub & 0xffff) | (uint64_t)LAB_CODE64_SELECTOR << 16 | UINT64_C(0x8e00) << 32 | (stub >> 16) << 48;
        lab_word(lab, LAB_IDT)[2 * vector + 1] = 0;
        lab_word(lab, LAB_IDT32)[vector] = (uint64_t)LAB_TASK << 16 | UINT64_C(0x8500) << 32; /* a task gate */
    }
}

void lab_state(struct lab *lab, const struct hvctl_guest_state *given)
{
    struct hvctl_guest_state state = *given;
    bool ia32e = (state.efer & HVCTL_EFER_LMA) != 0;

    state.gdtr = hvctl_segment_make(0, LAB_GDT, 0xfff, 0);
    state.idtr = hvctl_segment_make(0, ia32e ? LAB_IDT : LAB_IDT32, ia32e ? 0xfff : 0x7ff, 0);
    state.tr.base = LAB_TSS;
    if (lab->svm)
        hvctl_svm_guest_write(svm_control(&lab->vm)->vmcb, &state);
    else
        expect(hvctl_vmx_guest_write(&vmx_control(&lab->vm)->image, vmx_caps(), &state), "guest state");
}

void lab_open(struct lab *lab, struct frames *frames)
{
    struct hvctl_guest_state state = hvctl_guest_long64(GUEST_PML4, LAB_CODE, LAB_TOP);

    memset(lab, 0, sizeof(*lab));
    vm_create(&lab->vm, frames, NULL);
    lab->svm = lab->vm.svm;
    build_tables(lab);
    if (paging_map(&lab->vm.paging, APIC, APIC, HVPT_4K, paging_attr(HVPT_READ | HVPT_WRITE)) != HVPT_OK)
        panic("the APIC's page cannot be mapped");
    lab_state(lab, &state);
    if (lab->svm)
        lab->vmcb = *svm_control(&lab->vm)->vmcb;
    else
        lab->image = vmx_control(&lab->vm)->image;
    lab_reset(lab);
}

void lab_close(struct lab *lab)
{
    struct frames *frames = lab->vm.frames;

    vm_destroy(&lab->vm);
    check_equal(frames->held, 0, "every frame came back");
}

void lab_reset(struct lab *lab)
{
    struct vm_registers *r = &lab->vm.regs;

    if (lab->svm) {
        *svm_control(&lab->vm)->vmcb = lab->vmcb;
        hvctl_vmcb_touch_all(svm_control(&lab->vm)->vmcb);
        lab->vm.paging.stale = true;
    } else {
        vmx_control(&lab->vm)->image = lab->image;
        hvctl_vmcs_touch_all(&vmx_control(&lab->vm)->image);
    }
    memset(lab_at(lab, LAB_DATA), 0, 1024);
    memset(r, 0, sizeof(*r));
    r->rax = 0x1a, r->rcx = 2, r->rdx = 0x5678, r->rbp = 0x77, r->rdi = LAB_DATA + 0x100;
    r->rbx = r->rsi = r->r8 = r->r9 = r->r10 = r->r11 = r->r12 = r->r13 = r->r14 = r->r15 = LAB_DATA;
    r->rsp = LAB_TOP;
    r->rflags = 2;
}

static struct vm_exit take_down(struct lab *lab, struct vm_exit exit)
{
    uint64_t code = lab->svm ? exit.reason : exit.reason & 0xffff;

    if (lab->svm && hvctl_svm_exit_invalid(exit.reason))
        lab->seen_invalid = true;
    else if (exit.fail == 0 && code < LAB_CODES)
        lab->seen[code] = true;
    return exit;
}

struct vm_exit lab_run(struct lab *lab, const uint8_t *code, size_t size)
{
    memset(lab_at(lab, LAB_CODE), 0xf4, 128);
    memcpy(lab_at(lab, LAB_CODE), code, size);
    lab->vm.regs.rip = LAB_CODE;
    return lab_go_on(lab);
}

struct vm_exit lab_go_on(struct lab *lab)
{
    return take_down(lab, vm_run(&lab->vm));
}

void lab_put(struct lab *lab, uint32_t field, uint64_t value)
{
    enum hvctl_status status = hvctl_vmcs_write(&vmx_control(&lab->vm)->image, field, value);

    if (status != HVCTL_OK)
        panic("%s: %s", hvctl_vmcs_field_name(field), hvctl_status_text(status));
}

uint64_t lab_get(struct lab *lab, uint32_t field)
{
    const struct hvctl_cpu_ops *ops = vmx_ops();
    uint64_t value = 0;

    (void)lab;
    if (!ops->vmread(ops->ctx, field, &value))
        panic("VMREAD of %s", hvctl_vmcs_field_name(field));
    return value;
}

bool lab_require(struct lab *lab, enum hvctl_vmx_control control)
{
    static struct hvctl_vmx_solution solution;
    struct hvctl_vmcs_image *image = &vmx_control(&lab->vm)->image;
    struct hvctl_vmx_controls set = hvctl_vmx_controls_effective(image);

    hvctl_vmx_controls_add(&set, control);
    if (hvctl_vmx_solve(&set, NULL, vmx_caps(), &solution) != HVCTL_OK)
        return false;
    expect(hvctl_vmx_controls_write(image, &solution.controls), "VMX controls");
    return true;
}

void lab_intercept(struct lab *lab, uint64_t code, bool on)
{
    expect(hvctl_vmcb_intercept(svm_control(&lab->vm)->vmcb, code, on), "intercept");
}

void lab_exceptions(struct lab *lab, uint32_t vectors)
{
    if (lab->svm)
        hvctl_vmcb_set_intercept_exception(svm_control(&lab->vm)->vmcb, vectors);
    else
        lab_put(lab, HVCTL_VMCS_EXCEPTION_BITMAP, vectors);
}

const char *lab_text(struct lab *lab)
{
    static char words[320];

    vm_exit_text(&lab->vm, words, sizeof(words));
    return words;
}

bool lab_delivered(struct lab *lab, const struct vm_exit *exit, bool with_error_code, struct lab_delivery *out,
                   const char *name)
{
    const uint64_t *stack = lab_word(lab, lab->vm.regs.rsp & 0x1fff8);
    bool called = exit->kind == VM_EXIT_CALL && lab->vm.regs.rip >= LAB_STUBS && lab->vm.regs.rip < LAB_STUBS + 4096;

    memset(out, 0, sizeof(*out));
    if (!check_true(called, "%s: a handler of the guest's is entered", name))
        return false;
    out->vector = *stack++;
    if (with_error_code)
        out->error_code = *stack++;
    out->rip = stack[0], out->cs = stack[1], out->rflags = stack[2], out->rsp = stack[3], out->ss = stack[4];
    return true;
}

struct vm_exit lab_ipi(struct lab *lab, uint32_t icr, uint64_t rflags)
{
    lab_apic_write(0xf0, 0x1ff); /* spurious-interrupt vector, software enable */
    lab_apic_write(0x310, 0);    /* ICR, high half: destination 0, the only CPU */
    lab->vm.regs.rdi = APIC;
    lab->vm.regs.rax = icr;
    lab->vm.regs.rflags = rflags;
    return lab_run(lab, LAB_CODE_OF(icr));
}

void lab_apic_write(unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)(APIC + offset) = value;
}

/* The interrupt comes behind the instruction after STI; its fixup there is all that the kernel's handler looks for. */
void lab_take_interrupt(void)
{
    __asm__ volatile("sti\n\t"
                     "nop\n"
                     "1: nop\n"
                     "2: cli\n\t"
                     ".pushsection .fixups, \"a\"\n\t"
                     ".quad 1b, 2b\n\t"
                     ".popsection"
                     :
                     :
                     : "memory");
    lab_apic_write(0xb0, 0); /* EOI */
}
