/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
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
LAB_SNIPPET(work, "xorl %eax, %eax\n xorl %esi, %esi\n movl %r12d, %ebp\n movl %ss, %edx\n"
                  "1: imulq $1103515245, %rax, %rax\n addq $12345, %rax\n pushq %rax\n movl %edx, %ss\n popq %rbx\n"
                  "xorq %rbx, %rsi\n rolq $7, %rsi\n movq %rsi, %fs:8\n addq %gs:8, %rax\n addq %rax, %fs:16\n"
                  "call 2f\n decl %ebp\n jnz 1b\n cpuid\n"
                  "2: xorq %fs:16, %rsi\n leaq 3(%rsi,%rax,2), %rsi\n ret")

static uint32_t random_state = 12345;
static uint64_t rounds; /* of the loop above: as many as it takes to be stopped some times on the way */

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

/* The guest's own tables let user mode in, or do not. SDM vol. 3, "4-Level Paging": bit 2 of all entries on the way. */
static void open_to_user(bool user)
{
    uint64_t table = GUEST_PML4;

    for (unsigned shift = 39; shift >= 12; shift -= 9) {
        uint64_t *entry = lab_word(&lab, table) + ((uint64_t)LAB_CODE >> shift & 511);

        *entry = user ? *entry | 4 : *entry & ~UINT64_C(4);
        if (shift == 12 || (*entry & 0x80))
            break;
        table = *entry & UINT64_C(0xffffffffff000);
    }
    lab.vm.paging.stale = true;
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
    lab.vm.regs.r12 = rounds;
    *lab_word(&lab, LAB_DATA + 0x48) = 0x123456789;
}

/* The state as words, and a control structure of nothing but the host's own and these words' state. NULL, or what failed. */
static const char *move_house(void)
{
    static uint64_t words[HVCTL_GUEST_STATE_WORDS];
    struct hvctl_guest_state state;
    enum hvctl_status status = HVCTL_OK;

    if (lab.svm) {
        state = hvctl_svm_guest_read(svm_control(&lab.vm)->vmcb);
    } else {
        struct hvctl_vmcs_image *image = &vmx_control(&lab.vm)->image;

        if (hvctl_vmcs_load(image, HVCTL_VMCS_LOAD_GUEST, vmx_ops()->vmread, vmx_ops()->ctx, NULL) != HVCTL_OK)
            return "VMREAD";
        state = hvctl_vmx_guest_read(image);
    }
    hvctl_guest_state_save(&state, words);
    memset(&state, 0x5a, sizeof(state));
    if (hvctl_guest_state_restore(&state, words, HVCTL_GUEST_STATE_WORDS) != HVCTL_OK)
        return "words";

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

        if (hvctl_vmx_clear(vmx_ops(), region.physical) != HVCTL_VMX_SUCCEED)
            return "VMCLEAR";
        memset(control->region, 0x5a, 4096);
        control->launched = false;
        hvctl_vmcs_image_init(&control->image, vmx_caps());
        hvctl_vmcs_touch_all(&control->image);
        hvctl_vmcs_put(&control->image, HVCTL_VMCS_EPT_POINTER, eptp, &status);
        hvctl_vmcs_put(&control->image, HVCTL_VMCS_EXCEPTION_BITMAP, 0xffffffff, &status);
        if (status == HVCTL_OK)
            status = hvctl_vmx_controls_write(&control->image, &on);
        if (status == HVCTL_OK)
            status = hvctl_vmx_host_capture(vmx_ops(), &control->image);
        if (status == HVCTL_OK)
            status = hvctl_vmx_guest_write(&control->image, vmx_caps(), &state);
        if (hvctl_vmx_create(vmx_ops(), &region, vmx_caps()) != HVCTL_VMX_SUCCEED)
            return "a fresh VMCS";
    }
    lab.vm.regs.rip = state.rip;
    lab.vm.regs.rsp = state.rsp;
    lab.vm.regs.rflags = state.rflags;
    return status == HVCTL_OK ? NULL : hvctl_status_text(status);
}

static bool was_interrupt(const struct vm_exit *exit)
{
    return lab.svm ? exit->reason == HVCTL_SVM_EXIT_INTR
                   : exit->reason == HVCTL_VMX_REASON_EXTERNAL_INTERRUPT;
}

/* To the end, with so many stops at most; how many there were. *failed: what went wrong, if anything did. */
static unsigned run(unsigned cpl, unsigned stops, uint64_t result[2], const char **failed)
{
    struct vm_exit exit;
    unsigned stopped = 0;

    begin(cpl);
    if (!lab.svm)
        lab_require(&lab, HVCTL_PIN_EXTERNAL_INTERRUPT_EXITING);
    if (stops)
        arm();
    exit = lab_run(&lab, LAB_CODE_OF(work));
    while (was_interrupt(&exit)) {
        lab_take_interrupt();
        if (++stopped < stops)
            arm();
        *failed = move_house();
        if (*failed)
            return stopped;
        exit = lab_go_on(&lab);
    }
    if (exit.kind != VM_EXIT_CPUID)
        *failed = lab_text(&lab);
    result[0] = lab.vm.regs.rax;
    result[1] = lab.vm.regs.rsi;
    return stopped;
}

static void check_cpl(unsigned cpl)
{
    const char *name = cpl ? "stopped in user mode" : "stopped in supervisor mode", *failed = NULL;
    uint64_t whole[2] = {0, 0}, pieces[2] = {0, 0};
    unsigned stopped = 0, now, same = 0, runs = 0;

    open_to_user(cpl == 3);
    rounds = 3000;
    run(cpl, 0, whole, &failed);
    while (stopped < STOPS && !failed && same == runs && runs < 4000) {
        now = run(cpl, STOPS - stopped, pieces, &failed);
        same += pieces[0] == whole[0] && pieces[1] == whole[1];
        stopped += now;
        runs++;
        if (now < 10 && rounds < 3000000 && !failed) { /* a fast machine, or a slow timer */
            rounds *= 4;
            run(cpl, 0, whole, &failed);
        }
    }
    check_true(!failed, "%s: nothing fails%s%s", name, failed ? ": " : "", failed ? failed : "");
    check_true(whole[1] != 0, "%s: there is a result", name);
    check_equal(same, runs, "%s: the same result as without stops", name);
    check_true(stopped >= STOPS, "%s: a thousand times", name);
    open_to_user(false);
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
