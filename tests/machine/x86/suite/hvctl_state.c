/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A guest is stopped at random moments, its state taken out, put into words and back, and entered from a control structure that
 * holds nothing else: it goes on to the same end as if nobody had stopped it. SDM vol. 3, "Saving Guest State", "Loading Guest
 * State"; APM vol. 2, "VMRUN Instruction", "#VMEXIT".
 *
 * A guest moves to the other vendor as well: those of hvctl_moved.h were stopped on SVM and on VMX, and go on here, whatever
 * here is. HVCTL_STATE_RECORD prints them.
 */
#include "hvctl_lab.h"

#include <hvctl/cpu/guest_msrs.h>
#include <hvctl/cpu/x86.h>

#include "hvctl_moved.h"
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

#ifdef HVCTL_STATE_RECORD
/* What a guest is made of, as an element of hvctl_moved.h. */
#include "console.h"

static void record_words(const char *member, const void *at, unsigned count)
{
    const uint64_t *words = at;

    print("#R .%s = {", member);
    for (unsigned i = 0; i < count; i++)
        print("%s0x%lx,", i % 4 == 0 ? "\n#R " : " ", words[i]);
    print("},\n");
}

static uint64_t recorded_result[2];

static void record(unsigned cpl, const uint64_t *words, unsigned stopped)
{
    static unsigned count[4];
    const uint64_t *result = recorded_result;

    if (result[1] == 0 || stopped % 5 != 2 || count[cpl]++ >= 3)
        return;
    print("#R {.svm = %s, .cpl = %u, .result = {0x%lx, 0x%lx},\n", lab.svm ? "true" : "false", cpl, result[0], result[1]);
    record_words("state", words, HVCTL_GUEST_STATE_WORDS);
    record_words("registers", &lab.vm.regs, sizeof(lab.vm.regs) / 8);
    record_words("code", lab_at(&lab, LAB_CODE), MOVED_CODE);
    record_words("data", lab_at(&lab, LAB_DATA), MOVED_DATA);
    record_words("stack", lab_at(&lab, LAB_TOP - 8 * MOVED_STACK), MOVED_STACK);
    print("#R },\n");
}
#endif

/* The state as words, and a control structure of nothing but the host's own and these words' state. NULL, or what failed. */
static const char *move_in(const uint64_t *words);

static uint64_t moving[HVCTL_GUEST_STATE_WORDS];

static const char *move_house(void)
{
    struct hvctl_guest_state state;

    if (lab.svm) {
        state = hvctl_svm_guest_read(svm_control(&lab.vm)->vmcb);
    } else {
        struct hvctl_vmcs_image *image = &vmx_control(&lab.vm)->image;
        const struct hvctl_guest_regs registers = {.cr2 = lab.vm.regs.cr2};

        if (hvctl_vmcs_load(image, HVCTL_VMCS_LOAD_GUEST, vmx_ops()->vmread, vmx_ops()->ctx, NULL) != HVCTL_OK)
            return "VMREAD";
        state = hvctl_vmx_guest_read(image);
        /* What a VMCS has no place for, and SVM wants. */
        if (hvctl_guest_msrs_save(vmx_ops(), &registers, &state) != HVCTL_OK)
            return "RDMSR";
        state.dr6 = hvctl_x86_read_dr6();
        state.known |= HVCTL_KNOWS_DR6;
    }
    hvctl_guest_state_save(&state, moving);
    return move_in(moving);
}

static const char *move_in(const uint64_t *words)
{
    struct hvctl_guest_state state;
    enum hvctl_status status = HVCTL_OK;

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
#ifdef HVCTL_STATE_RECORD
        record(cpl, moving, stopped);
#endif
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
#ifdef HVCTL_STATE_RECORD
    memcpy(recorded_result, whole, sizeof(whole));
#endif
    while (stopped < STOPS && !failed && same == runs && runs < 4000) {
        now = run(cpl, STOPS - stopped, pieces, &failed);
        same += pieces[0] == whole[0] && pieces[1] == whole[1];
        stopped += now;
        runs++;
        if (now < 10 && rounds < 3000000 && !failed) { /* a fast machine, or a slow timer */
            rounds *= 4;
            run(cpl, 0, whole, &failed);
#ifdef HVCTL_STATE_RECORD
            memcpy(recorded_result, whole, sizeof(whole));
#endif
        }
    }
    check_true(!failed, "%s: nothing fails%s%s", name, failed ? ": " : "", failed ? failed : "");
    check_true(whole[1] != 0, "%s: there is a result", name);
    check_equal(same, runs, "%s: the same result as without stops", name);
    check_true(stopped >= STOPS, "%s: a thousand times", name);
    open_to_user(false);
}

/* A guest that was stopped elsewhere is put here, memory and all, and goes on to the end that it would have had there. */
static void check_moved(const struct moved *moved, unsigned number)
{
    const char *from = moved->svm ? "SVM" : "VMX", *failed;
    struct vm_exit exit = {0};
    unsigned interrupts = 0;

    open_to_user(moved->cpl == 3);
    begin(moved->cpl);
    memcpy(lab_at(&lab, LAB_CODE), moved->code, sizeof(moved->code));
    memcpy(lab_at(&lab, LAB_DATA), moved->data, sizeof(moved->data));
    memcpy(lab_at(&lab, LAB_TOP) - sizeof(moved->stack), moved->stack, sizeof(moved->stack));
    memcpy(&lab.vm.regs, moved->registers, sizeof(lab.vm.regs));
    failed = move_in(moved->state);
    if (!failed)
        exit = lab_go_on(&lab);
    for (; !failed && was_interrupt(&exit) && interrupts < 4; interrupts++) {
        lab_take_interrupt();
        exit = lab_go_on(&lab);
    }
    if (!failed && exit.kind != VM_EXIT_CPUID)
        failed = lab_text(&lab);
    check_true(!failed, "guest %u, stopped on %s at CPL %u: goes on%s%s", number, from, moved->cpl, failed ? ": " : "",
               failed ? failed : "");
    check_equal(lab.vm.regs.rax, moved->result[0], "guest %u, stopped on %s: its first result", number, from);
    check_equal(lab.vm.regs.rsi, moved->result[1], "guest %u, stopped on %s: its second result", number, from);
    open_to_user(false);
}

void suite_hvctl_state(struct frames *frames)
{
    check_group("state");
    lab_open(&lab, frames);
    check_cpl(0);
    check_cpl(3);
    for (unsigned i = 0; i < sizeof(moved_guests) / sizeof(moved_guests[0]); i++)
        check_moved(&moved_guests[i], i);
    lab_apic_write(0x320, 0x10000);
    lab_close(&lab);
}
