/*
 * A guest is stopped at random moments, its state taken out, put into words and back, and entered from a control structure that
 * holds nothing else: it goes on to the same end as if nobody had stopped it. SDM vol. 3, "Saving Guest State", "Loading Guest
 * State"; APM vol. 2, "VMRUN Instruction", "#VMEXIT".
 */
#include "hvctl_lab.h"

#include "memory.h"

#define STOPS 1000

static struct lab lab;

/*
 * Numbers that hang on each other through registers, the stack, memory and the bases of FS and GS; SS is loaded on the way, for the
 * instruction behind it is in an interrupt shadow. CPUID, which exits, is the end: RAX and RSI have the result.
 */
LAB_SNIPPET(work, "xorl %eax, %eax\n xorl %esi, %esi\n movl $6000, %ebp\n movl %ss, %edx\n"
                  "1: imulq $1103515245, %rax, %rax\n addq $12345, %rax\n pushq %rax\n movl %edx, %ss\n popq %rbx\n"
                  "xorq %rbx, %rsi\n rolq $7, %rsi\n movq %rsi, %fs:8\n addq %gs:8, %rax\n addq %rax, %fs:16\n"
                  "call 2f\n decl %ebp\n jnz 1b\n cpuid\n"
                  "2: xorq %fs:16, %rsi\n leaq 3(%rsi,%rax,2), %rsi\n ret")

static uint32_t random_state = 12345;

static uint32_t random(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

/* One interrupt of the local APIC's timer, a while from now. */
static void arm(void)
{
    lab_apic_write(0xf0, 0x1ff);
    lab_apic_write(0x3e0, 0xb); /* count undivided */
    lab_apic_write(0x320, 0x40);
    lab_apic_write(0x380, 200 + random(4000));
}

static void begin(unsigned cpl)
{
    struct hvctl_guest_state state = hvctl_guest_long64(GUEST_PML4, LAB_CODE, LAB_TOP);

    lab_reset(&lab);
    state.rflags = 0x202; /* on SVM it is the guest's IF that lets the timer in */
    state.cs.selector = cpl ? LAB_USER_CODE_SELECTOR : LAB_CODE64_SELECTOR;
    state.ss.selector = state.ds.selector = state.es.selector = cpl ? LAB_USER_DATA_SELECTOR : LAB_DATA_SELECTOR;
    state.cs.rights |= cpl << HVCTL_RIGHTS_DPL_SHIFT;
    state.ss.rights |= cpl << HVCTL_RIGHTS_DPL_SHIFT;
    state.ds.rights = state.es.rights = state.ss.rights;
    state.fs = state.gs = state.ds;
    state.fs.base = LAB_DATA;
    state.gs.base = LAB_DATA + 0x40;
    lab_state(&lab, &state);
    lab.vm.regs.rflags = 0x202;
    *lab_word(&lab, LAB_DATA + 0x48) = 0x123456789;
}

/* The state as words, and a control structure of nothing but the host's own and these words' state. */
static bool move_house(const char *name)
{
    static uint64_t words[HVCTL_GUEST_STATE_WORDS];
    struct hvctl_guest_state state;
    enum hvctl_status status;

    if (lab.svm) {
        struct hvctl_vmcb *vmcb = svm_control(&lab.vm)->vmcb;

        state = hvctl_svm_guest_read(vmcb);
    } else {
        struct hvctl_vmcs_image *image = &vmx_control(&lab.vm)->image;
        uint32_t failed = 0;

        status = hvctl_vmcs_load(image, HVCTL_VMCS_LOAD_GUEST, vmx_ops()->vmread, vmx_ops()->ctx, &failed);
        if (!check_equal(status, HVCTL_OK, "%s: VMREAD of %s", name, hvctl_vmcs_field_name(failed)))
            return false;
        state = hvctl_vmx_guest_read(image);
    }
    hvctl_guest_state_save(&state, words);
    memset(&state, 0x5a, sizeof(state));
    lab.vm.regs.rip = lab.vm.regs.rsp = lab.vm.regs.rflags = UINT64_C(0x5a5a5a5a5a5a5a5a);
    if (!check_equal(hvctl_guest_state_restore(&state, words, HVCTL_GUEST_STATE_WORDS), HVCTL_OK, "%s: words", name))
        return false;

    if (lab.svm) {
        struct hvctl_vmcb *vmcb = svm_control(&lab.vm)->vmcb;

        memset(&vmcb->save, 0, sizeof(vmcb->save));
        vmcb->control.interrupt_state = 0;
        hvctl_vmcb_touch_all(vmcb);
        status = hvctl_svm_guest_write(vmcb, &state);
    } else {
        struct vmx_control *control = vmx_control(&lab.vm);
        struct hvctl_vmx_region region = {control->region, (uintptr_t)control->region};
        struct hvctl_vmx_controls on = hvctl_vmx_controls_effective(&control->image);
        uint64_t eptp = hvctl_vmcs_get(&control->image, HVCTL_VMCS_EPT_POINTER);

        if (!check_equal(hvctl_vmx_clear(vmx_ops(), region.physical), HVCTL_VMX_SUCCEED, "%s: VMCLEAR", name))
            return false;
        memset(control->region, 0x5a, 4096);
        control->launched = false;
        hvctl_vmcs_image_init(&control->image, vmx_caps());
        hvctl_vmcs_touch_all(&control->image);
        status = HVCTL_OK;
        hvctl_vmcs_put(&control->image, HVCTL_VMCS_EPT_POINTER, eptp, &status);
        hvctl_vmcs_put(&control->image, HVCTL_VMCS_EXCEPTION_BITMAP, 0xffffffff, &status);
        if (status == HVCTL_OK)
            status = hvctl_vmx_controls_write(&control->image, &on);
        if (status == HVCTL_OK)
            status = hvctl_vmx_host_capture(vmx_ops(), &control->image);
        if (status == HVCTL_OK)
            status = hvctl_vmx_guest_write(&control->image, vmx_caps(), &state);
        if (!check_equal(hvctl_vmx_create(vmx_ops(), &region, vmx_caps()), HVCTL_VMX_SUCCEED, "%s: a fresh VMCS", name))
            return false;
    }
    lab.vm.regs.rip = state.rip;
    lab.vm.regs.rsp = state.rsp;
    lab.vm.regs.rflags = state.rflags;
    return check_equal(status, HVCTL_OK, "%s: the state is written", name);
}

static bool was_interrupt(const struct vm_exit *exit)
{
    return lab.svm ? exit->reason == HVCTL_SVM_EXIT_INTR
                   : exit->reason == HVCTL_VMX_REASON_EXTERNAL_INTERRUPT;
}

/* To the end, with this many stops. Returns how many there were. */
static unsigned run(unsigned stops, const char *name, uint64_t result[2])
{
    struct vm_exit exit;
    unsigned stopped = 0;

    result[0] = result[1] = 0;
    if (stops)
        arm();
    exit = lab_run(&lab, LAB_CODE_OF(work));
    while (was_interrupt(&exit)) {
        lab_take_interrupt();
        if (++stopped < stops)
            arm();
        if (!move_house(name))
            return stopped;
        exit = lab_go_on(&lab);
    }
    check_equal(exit.kind, VM_EXIT_CPUID, "%s: the guest comes to its end", name);
    result[0] = lab.vm.regs.rax;
    result[1] = lab.vm.regs.rsi;
    return stopped;
}

static void check_cpl(unsigned cpl)
{
    const char *name = cpl ? "stopped in user mode" : "stopped in supervisor mode";
    uint64_t whole[2], pieces[2];
    unsigned stopped = 0;

    begin(cpl);
    if (!lab.svm && !check_true(lab_require(&lab, HVCTL_PIN_EXTERNAL_INTERRUPT_EXITING), "%s: interrupts exit", name))
        return;
    run(0, name, whole);
    for (unsigned round = 0; round < 40 && stopped < STOPS; round++) {
        begin(cpl);
        if (!lab.svm)
            lab_require(&lab, HVCTL_PIN_EXTERNAL_INTERRUPT_EXITING);
        stopped += run(STOPS - stopped, name, pieces);
        if (pieces[0] != whole[0] || pieces[1] != whole[1]) {
            check_equal(pieces[0], whole[0], "%s: RAX", name);
            check_equal(pieces[1], whole[1], "%s: RSI", name);
            return;
        }
    }
    check_true(whole[1] != 0, "%s: there is a result", name);
    check_true(stopped >= STOPS, "%s: a thousand times, and the same result", name);
}

void suite_hvctl_state(struct frames *frames)
{
    check_group("state");
    lab_open(&lab, frames);
    check_cpl(0);
    check_cpl(3);
    lab_apic_write(0x320, 0x10000);
    lab_close(&lab);
}
