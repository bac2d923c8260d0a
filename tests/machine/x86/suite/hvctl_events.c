/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Events that the headers encode arrive in the guest: the vector's handler is entered, with the error code and the
 * return address that the manuals give it. SDM vol. 3, "Event Injection"; APM vol. 2, "Event Injection".
 */
#include "hvctl_lab.h"

#include "cpu.h"

static struct lab lab;

LAB_SNIPPET(here, "nop\n nop\n nop")

/* length: of the instruction that a software event stands for; it is behind it that the handler returns to. */
struct event {
    enum hvctl_event_type vmx;
    int svm; /* enum hvctl_svm_event_type; -1: SVM has no such type */
    uint8_t vector;
    uint32_t error_code, length;
    const char *name;
};

/* Which exceptions push an error code: SDM vol. 3, "Exception and Interrupt Reference"; the APM's are the same ones. */
static bool pushes_error_code(const struct event *event)
{
    return event->vmx == HVCTL_EVENT_HARDWARE_EXCEPTION
        && (event->vector == 8 || (event->vector >= 10 && event->vector <= 14) || event->vector == 17);
}

static const struct event events[] = {
    {HVCTL_EVENT_EXTERNAL_INTERRUPT, HVCTL_SVM_EVENT_INTR, 0x20, 0, 0, "interrupt 20H"},
    {HVCTL_EVENT_EXTERNAL_INTERRUPT, HVCTL_SVM_EVENT_INTR, 0xff, 0, 0, "interrupt FFH"},
    {HVCTL_EVENT_NMI, HVCTL_SVM_EVENT_NMI, 2, 0, 0, "NMI"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 0, 0, 0, "#DE"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 1, 0, 0, "#DB"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 6, 0, 0, "#UD"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 7, 0, 0, "#NM"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 8, 0, 0, "#DF"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 10, 0x18, 0, "#TS"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 11, 0x28, 0, "#NP"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 12, 0x30, 0, "#SS"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 13, 0x7fff, 0, "#GP"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 14, 7, 0, "#PF"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 16, 0, 0, "#MF"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 17, 0, 0, "#AC"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 18, 0, 0, "#MC"},
    {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 19, 0, 0, "#XM"},
    {HVCTL_EVENT_SOFTWARE_INTERRUPT, -1, 0x80, 0, 2, "INT 80H"},
    {HVCTL_EVENT_PRIVILEGED_SOFTWARE_EXCEPTION, -1, 1, 0, 1, "INT1"},
    {HVCTL_EVENT_SOFTWARE_EXCEPTION, -1, 3, 0, 1, "INT3"},
};

static enum hvctl_status inject(const struct event *event)
{
    if (lab.svm)
        return hvctl_vmcb_inject(svm_control(&lab.vm)->vmcb, hvctl_svm_event_make((enum hvctl_svm_event_type)event->svm,
                                                                                  event->vector, event->error_code));
    return hvctl_vmx_inject(&vmx_control(&lab.vm)->image, vmx_caps(),
                            hvctl_vmx_event_make(event->vmx, event->vector, event->error_code, event->length));
}

/* The CPU takes an event once: the field says so after the exit. */
static bool still_valid(void)
{
    return lab.svm ? (svm_control(&lab.vm)->vmcb->control.eventinj >> 31 & 1) != 0
                   : (lab_get(&lab, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD) >> 31 & 1) != 0;
}

static void check_events(void)
{
    for (unsigned i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        const struct event *event = &events[i];
        struct lab_delivery got;
        struct vm_exit exit;

        if (lab.svm && event->svm < 0)
            continue;
        lab_reset(&lab);
        lab_exceptions(&lab, 0);
        lab.vm.regs.rflags = 2 | 1 << 9;
        lab.vm.regs.cr2 = 0x12345000;
        if (!check_equal(inject(event), HVCTL_OK, "%s: may be injected", event->name))
            continue;
        exit = lab_run(&lab, LAB_CODE_OF(here));
        if (!lab_delivered(&lab, &exit, pushes_error_code(event), &got, event->name))
            continue;
        check_equal(got.vector, event->vector, "%s: vector", event->name);
        check_equal(got.error_code, event->error_code, "%s: error code", event->name);
        check_equal(got.rip, LAB_CODE + event->length, "%s: return address", event->name);
        check_equal(got.rsp, LAB_TOP, "%s: RSP before it", event->name);
        check_equal(got.rflags >> 9 & 1, 1, "%s: interrupts were on", event->name);
        check_true(!still_valid(), "%s: injected once", event->name);
    }
}

/* What the entry would refuse, the headers refuse. */
static void check_refusals(void)
{
    static const struct event wrong[] = {
        {HVCTL_EVENT_RESERVED, 1, 3, 0, 0, "type 1"},
        {HVCTL_EVENT_HARDWARE_EXCEPTION, HVCTL_SVM_EVENT_EXCEPTION, 32, 0, 0, "exception 32"},
    };

    for (unsigned i = 0; i < 2; i++) {
        struct vm_exit exit;
        uint32_t raw = 0x80000000 | (uint32_t)(lab.svm ? wrong[i].svm : (int)wrong[i].vmx) << 8 | wrong[i].vector;

        lab_reset(&lab);
        check_equal(inject(&wrong[i]), HVCTL_E_RANGE, "%s: the headers refuse it", wrong[i].name);
        if (lab.svm)
            hvctl_vmcb_set_eventinj(svm_control(&lab.vm)->vmcb, raw);
        else
            lab_put(&lab, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, raw);
        exit = lab_run(&lab, LAB_CODE_OF(here));
        check_true(lab.svm ? exit.kind == VM_EXIT_INVALID : exit.fail == 7, "%s: the CPU refuses it", wrong[i].name);
    }
}

/*
 * A whole round: an event is on its way when its page is missing; the host maps the page and injects what the exit says
 * was interrupted. Vectoring information and injection have one layout (VMX), EXITINTINFO and EVENTINJ another (SVM).
 */
LAB_SNIPPET(fault, "mov %rax, (%r8)")

static void check_round(void)
{
    struct lab_delivery got;
    struct vm_exit exit;

    lab_reset(&lab);
    lab_exceptions(&lab, 0);
    lab.vm.regs.r8 = UINT64_C(0x8000000000);
    check_equal(paging_unmap(&lab.vm.paging, LAB_IDT, HVPT_4K), HVPT_OK, "interrupted: the IDT's page is taken away");
    exit = lab_run(&lab, LAB_CODE_OF(fault));
    check_equal(exit.kind, VM_EXIT_FAULT, "interrupted: the delivery faults");
    check_equal(paging_map(&lab.vm.paging, LAB_IDT, VM_HOME + LAB_IDT, HVPT_4K, paging_attr(RWX)), HVPT_OK,
                "interrupted: the IDT's page is given back");
    if (lab.svm) {
        struct hvctl_vmcb *vmcb = svm_control(&lab.vm)->vmcb;

        check_equal(hvctl_vmcb_inject(vmcb, hvctl_svm_event_decode(vmcb->control.exitintinfo)), HVCTL_OK,
                    "interrupted: what it was may be injected");
    } else {
        struct hvctl_vmx_event event =
            hvctl_vmx_event_decode((uint32_t)lab_get(&lab, HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD),
                                   (uint32_t)lab_get(&lab, HVCTL_VMCS_IDT_VECTORING_ERROR_CODE));

        check_equal(hvctl_vmx_inject(&vmx_control(&lab.vm)->image, vmx_caps(), event), HVCTL_OK,
                    "interrupted: what it was may be injected");
    }
    exit = lab_go_on(&lab);
    if (lab_delivered(&lab, &exit, true, &got, "interrupted")) {
        check_equal(got.vector, 14, "interrupted: vector");
        check_equal(got.error_code, 2, "interrupted: error code");
        check_equal(got.rip, LAB_CODE, "interrupted: return address");
    }
}

/* In real mode there are no error codes: four words of interrupt vectors at 0, and a frame of three. */
static void check_real_mode(void)
{
    struct hvctl_guest_state real = hvctl_guest_real_mode(0, 0x6000);
    struct vm_exit exit;
    const uint16_t *stack;

    lab_reset(&lab);
    lab_exceptions(&lab, 0);
    lab_state(&lab, &real);
    if (lab.svm) {
        struct hvctl_vmcb_segment ivt = {0, 0, 0x3ff, 0};

        hvctl_vmcb_set_idtr(svm_control(&lab.vm)->vmcb, ivt);
    } else {
        lab_put(&lab, HVCTL_VMCS_GUEST_IDTR_BASE, 0);
        lab_put(&lab, HVCTL_VMCS_GUEST_IDTR_LIMIT, 0x3ff);
    }
    *(uint32_t *)(void *)lab_at(&lab, 13 * 4) = 0x00006100; /* 0000:6100 */
    lab_at(&lab, 0x6100)[0] = 0xf4;
    if (!check_equal(inject(&events[11]), HVCTL_OK, "real mode: #GP may be injected"))
        return;
    lab.vm.regs.rip = 0x6000;
    lab.vm.regs.rsp = 0x5ff0;
    exit = lab_go_on(&lab);
    check_equal(exit.kind, VM_EXIT_HLT, "real mode: the handler is entered");
    check_equal(lab.vm.regs.rip, 0x6100, "real mode: it is the one of #GP");
    check_equal(lab.vm.regs.rsp, 0x5ff0 - 6, "real mode: no error code is pushed");
    stack = (const uint16_t *)(const void *)lab_at(&lab, 0x5ff0 - 6);
    check_equal(stack[0], 0x6000, "real mode: return address");
}

void suite_hvctl_events(struct frames *frames)
{
    check_group("injection");
    lab_open(&lab, frames);
    check_events();
    check_refusals();
    check_round();
    check_real_mode();
    lab_close(&lab);
}
