/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Every VMEXIT that this machine can be brought to make, intercept by intercept: code, EXITINFO1 and EXITINFO2, the
 * next instruction's address where the CPU gives it, and what the headers make of it, in words. At the end, which codes
 * never came, and why. APM vol. 2, "Exit Codes", "Instruction Intercepts", "Exception Intercepts", "Interrupt
 * Intercepts".
 */
#include "hvctl_lab.h"

#include "console.h"
#include "cpu.h"
#include "machine.h"
#include "memory.h"

static struct lab lab;

/*
 * One instruction each, with lab_reset's registers: X(name, code, intercept, in words). What an intercept of the same
 * code reports beyond its code has a function of its own below.
 */
#define INSTRUCTIONS(X)                                    \
    X(from_cr0, "mov %cr0, %rax", 0x00, "CR0_READ")        \
    X(from_cr2, "mov %cr2, %rbx", 0x02, "CR2_READ")        \
    X(from_cr3, "mov %cr3, %r11", 0x03, "CR3_READ")        \
    X(from_cr4, "mov %cr4, %rsi", 0x04, "CR4_READ")        \
    X(from_cr8, "mov %cr8, %r9", 0x08, "CR8_READ")         \
    X(to_cr2, "mov %rax, %cr2", 0x12, "CR2_WRITE")         \
    X(to_cr3, "mov %r10, %cr3", 0x13, "CR3_WRITE")         \
    X(clts, "clts", 0x10, "CR0_WRITE")                     \
    X(to_cr8, "mov %rcx, %cr8", 0x18, "CR8_WRITE")         \
    X(from_dr0, "mov %dr0, %rax", 0x20, "DR0_READ")        \
    X(from_dr1, "mov %dr1, %rax", 0x21, "DR1_READ")        \
    X(from_dr2, "mov %dr2, %rax", 0x22, "DR2_READ")        \
    X(from_dr3, "mov %dr3, %rax", 0x23, "DR3_READ")        \
    X(from_dr6, "mov %dr6, %rax", 0x26, "DR6_READ")        \
    X(from_dr7, "mov %dr7, %r15", 0x27, "DR7_READ")        \
    X(to_dr0, "mov %rax, %dr0", 0x30, "DR0_WRITE")         \
    X(to_dr1, "mov %rax, %dr1", 0x31, "DR1_WRITE")         \
    X(to_dr2, "mov %rax, %dr2", 0x32, "DR2_WRITE")         \
    X(to_dr3, "mov %r14, %dr3", 0x33, "DR3_WRITE")         \
    X(to_dr6, "mov %rax, %dr6", 0x36, "DR6_WRITE")         \
    X(to_dr7, "mov %rax, %dr7", 0x37, "DR7_WRITE")         \
    X(sidt, "sidt (%rbx)", 0x66, "IDTR_READ")              \
    X(sgdt, "sgdt 0x10(%rbx)", 0x67, "GDTR_READ")          \
    X(sldt, "sldt %eax", 0x68, "LDTR_READ")                \
    X(str, "str (%rdi)", 0x69, "TR_READ")                  \
    X(lidt, "lidt (%rbx)", 0x6a, "IDTR_WRITE")             \
    X(lgdt, "lgdt (%r9)", 0x6b, "GDTR_WRITE")              \
    X(lldt, "lldt %cx", 0x6c, "LDTR_WRITE")                \
    X(ltr, "ltr %ax", 0x6d, "TR_WRITE")                    \
    X(rdtsc, "rdtsc", 0x6e, "RDTSC")                       \
    X(rdpmc, "rdpmc", 0x6f, "RDPMC")                       \
    X(pushf, "pushfq", 0x70, "PUSHF")                      \
    X(popf, "popfq", 0x71, "POPF")                         \
    X(cpuid, "cpuid", 0x72, "CPUID")                       \
    X(iret, "iretq", 0x74, "IRET")                         \
    X(swint, "int $0x21", 0x75, "SWINT")                   \
    X(invd, "invd", 0x76, "INVD")                          \
    X(pause, "pause", 0x77, "PAUSE")                       \
    X(hlt, "hlt", 0x78, "HLT")                             \
    X(invlpg, "invlpg 0x40(%rbx,%rcx,8)", 0x79, "INVLPG")  \
    X(invlpga, "invlpga %rax, %ecx", 0x7a, "INVLPGA")      \
    X(vmrun, "vmrun %rax", 0x80, "VMRUN")                  \
    X(vmmcall, "vmmcall", 0x81, "VMMCALL")                 \
    X(vmload, "vmload %rax", 0x82, "VMLOAD")               \
    X(vmsave, "vmsave %rax", 0x83, "VMSAVE")               \
    X(stgi, "stgi", 0x84, "STGI")                          \
    X(clgi, "clgi", 0x85, "CLGI")                          \
    X(skinit, "skinit %eax", 0x86, "SKINIT")               \
    X(rdtscp, "rdtscp", 0x87, "RDTSCP")                    \
    X(icebp, ".byte 0xf1", 0x88, "ICEBP")                  \
    X(wbinvd, "wbinvd", 0x89, "WBINVD")                    \
    X(monitor, "xor %ecx, %ecx; monitor", 0x8a, "MONITOR") \
    X(mwait, "xor %ecx, %ecx; mwait", 0x8b, "MWAIT")

#define X(name, text, code, words) LAB_SNIPPET(name, text)
INSTRUCTIONS(X)
#undef X

static const struct {
    const char *name;
    const uint8_t *code, *end;
    uint64_t intercept;
    const char *words;
} instructions[] = {
#define X(name, text, code, words) {#name, code_##name, code_##name##_end, code, words},
    INSTRUCTIONS(X)
#undef X
};

static bool has_nrip(void)
{
    return hvctl_svm_can(svm_caps(), HVCTL_SVM_NRIPS);
}

/* The emulator, which has a say in what may be tried at all: QEMU says that it is there. */
static bool on_qemu(void)
{
    return (cpu_cpuid(1, 0).ecx >> 31 & 1) != 0;
}

static bool has_invpcid(void)
{
    return (cpu_cpuid(7, 0).ebx >> 10 & 1) != 0;
}

static bool has_rdpru(void)
{
    return (cpu_cpuid(0x80000008, 0).ebx >> 4 & 1) != 0;
}

static void check_exit(const struct vm_exit *exit, uint64_t code, const char *words, const char *name)
{
    check_equal(exit->reason, code, "%s: EXITCODE", name);
    check_text(lab_text(&lab), words, "%s: in words", name);
}

static void check_instructions(void)
{
    for (unsigned i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
        struct vm_exit exit;
        uint64_t code = instructions[i].intercept;
        size_t size = (size_t)(instructions[i].end - instructions[i].code);

        lab_reset(&lab);
        lab_intercept(&lab, code, true);
        lab.vm.regs.rax = LAB_DATA; /* those of SVM want the address of a page */
        exit = lab_run(&lab, instructions[i].code, size);
        check_exit(&exit, code, instructions[i].words, instructions[i].name);
        if (has_nrip()
            && exit.reason == code) /* APM vol. 2, "State Saved on Exit": of the instructions, not of ICEBP */
            if (code != 0x88)
                check_equal(svm_control(&lab.vm)->vmcb->control.nrip, LAB_CODE + size,
                            "%s: the next instruction's address", instructions[i].name);
        if (!hvctl_vmcb_intercepts(&lab.vmcb, code)) {
            lab_reset(&lab);
            check_true(!hvctl_vmcb_intercepts(svm_control(&lab.vm)->vmcb, code), "%s: the intercept is gone again",
                       instructions[i].name);
        }
    }
}

LAB_SNIPPET(to_cr0, "mov %r9, %cr0")
LAB_SNIPPET(to_cr4, "mov %rsi, %cr4")
LAB_SNIPPET(lmsw, "lmsw %ax")
LAB_SNIPPET(rdmsr, "rdmsr")
LAB_SNIPPET(wrmsr, "wrmsr")
LAB_SNIPPET(xsetbv, "xsetbv")
LAB_SNIPPET(invpcid, "invpcid (%rbx), %rax")
LAB_SNIPPET(rdpru, ".byte 0x0f, 0x01, 0xfd")
LAB_SNIPPET(mwait_armed, "xor %ecx, %ecx; xor %edx, %edx; mov %rbx, %rax; monitor; mwait")

static void check_registers(void)
{
    struct hvctl_vmcb *vmcb = svm_control(&lab.vm)->vmcb;
    struct vm_exit exit;

    lab_reset(&lab);
    lab_intercept(&lab, 0x10, true);
    lab.vm.regs.r9 = vmcb->save.cr0 | 1 << 3;
    exit = lab_run(&lab, LAB_CODE_OF(to_cr0));
    check_exit(&exit, 0x10, "CR0_WRITE", "MOV to CR0");
    lab_reset(&lab);
    lab_intercept(&lab, 0x10, true);
    exit = lab_run(&lab, LAB_CODE_OF(lmsw));
    check_exit(&exit, 0x10, "CR0_WRITE", "LMSW");
    lab_reset(&lab);
    lab_intercept(&lab, 0x14, true);
    lab.vm.regs.rsi = vmcb->save.cr4;
    exit = lab_run(&lab, LAB_CODE_OF(to_cr4));
    check_exit(&exit, 0x14, "CR4_WRITE", "MOV to CR4");
    /* Selective: a write that changes more than TS and MP */
    lab_reset(&lab);
    lab_intercept(&lab, 0x65, true);
    lab.vm.regs.r9 = vmcb->save.cr0 | 1 << 18;
    exit = lab_run(&lab, LAB_CODE_OF(to_cr0));
    check_exit(&exit, 0x65, "CR0_SEL_WRITE", "MOV to CR0, selective");
    lab_reset(&lab);
    lab_intercept(&lab, 0x65, true);
    lab.vm.regs.r9 = vmcb->save.cr0 | 1 << 3;
    exit = lab_run(&lab, LAB_CODE_OF(to_cr0));
    check_equal(exit.reason, 0x78, "MOV to CR0, selective: TS alone does not exit");

    lab_reset(&lab);
    exit = lab_run(&lab, LAB_CODE_OF(rdmsr));
    check_exit(&exit, 0x7c, "MSR: RDMSR", "RDMSR");
    check_equal(exit.info, 0, "RDMSR: EXITINFO1");
    lab_reset(&lab);
    exit = lab_run(&lab, LAB_CODE_OF(wrmsr));
    check_exit(&exit, 0x7c, "MSR: WRMSR", "WRMSR");
    check_equal(exit.info, 1, "WRMSR: EXITINFO1");

    lab_reset(&lab);
    if (cpu_cpuid(1, 0).ecx >> 26 & 1) {
        lab_intercept(&lab, 0x8d, true);
        hvctl_vmcb_set_cr4(vmcb, vmcb->save.cr4 | 1 << 18); /* OSXSAVE */
        lab.vm.regs.rcx = 0;
        lab.vm.regs.rax = 1;
        lab.vm.regs.rdx = 0;
        exit = lab_run(&lab, LAB_CODE_OF(xsetbv));
        check_exit(&exit, 0x8d, "XSETBV", "XSETBV");
    }
    lab_reset(&lab);
    if (has_invpcid()) {
        lab_intercept(&lab, 0xa2, true);
        exit = lab_run(&lab, LAB_CODE_OF(invpcid));
        check_exit(&exit, 0xa2, "INVPCID", "INVPCID");
    }
    lab_reset(&lab);
    if (has_rdpru()) {
        lab_intercept(&lab, 0x8e, true);
        exit = lab_run(&lab, LAB_CODE_OF(rdpru));
        check_exit(&exit, 0x8e, "RDPRU", "RDPRU");
    }
    if (!on_qemu()) { /* there the guest waits for ever */
        uint64_t mtrr = 0;

        lab_reset(&lab);
        lab_intercept(&lab, 0x8c, true);
        cpu_rdmsr(0x2ff, &mtrr);
        cpu_wrmsr(0x2ff, 0x806); /* MONITOR arms for write-back memory only */
        exit = lab_run(&lab, LAB_CODE_OF(mwait_armed));
        check_exit(&exit, 0x8c, "MWAIT_CONDITIONAL", "MWAIT, armed");
        cpu_wrmsr(0x2ff, mtrr);
    }
}

LAB_SNIPPET(in_imm8, "in $0x80, %al")
LAB_SNIPPET(in_dx16, "in %dx, %ax")
LAB_SNIPPET(out_imm32, "out %eax, $0x82")
LAB_SNIPPET(out_dx8, "out %al, %dx")
LAB_SNIPPET(insb, "insb")
LAB_SNIPPET(rep_insl, "rep insl")
LAB_SNIPPET(outsw, "outsw")
LAB_SNIPPET(rep_outsb_fs, "rep outsb %fs:(%rsi), %dx")

/*
 * EXITINFO1: 0 in, 2 string, 3 REP, 6:4 size, 9:7 address size, 12:10 segment (decode assists), 31:16 port. The address
 * size of IN and OUT without a string is what the manual leaves open. EXITINFO2 is the address behind the instruction.
 */
static void check_io(void)
{
    static const struct {
        const uint8_t *code, *end;
        uint64_t mask, info;
        const char *words;
    } cases[] = {
        {code_in_imm8, code_in_imm8_end, 0xffff007f, 0x800011, "IOIO: IN of 1 byte, port 0x80"},
        {code_in_dx16, code_in_dx16_end, 0xffff007f, 0x56780021, "IOIO: IN of 2 bytes, port 0x5678"},
        {code_out_imm32, code_out_imm32_end, 0xffff007f, 0x820040, "IOIO: OUT of 4 bytes, port 0x82"},
        {code_out_dx8, code_out_dx8_end, 0xffff007f, 0x56780010, "IOIO: OUT of 1 byte, port 0x5678"},
        {code_insb, code_insb_end, 0xffff03ff, 0x56780215, "IOIO: INS of 1 byte, port 0x5678"},
        {code_rep_insl, code_rep_insl_end, 0xffff03ff, 0x5678024d, "IOIO: REP INS of 4 bytes, port 0x5678"},
        {code_outsw, code_outsw_end, 0xffff03ff, 0x56780224, "IOIO: OUTS of 2 bytes, port 0x5678"},
        {code_rep_outsb_fs, code_rep_outsb_fs_end, 0xffff03ff, 0x5678021c, "IOIO: REP OUTS of 1 byte, port 0x5678"},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vm_exit exit;
        size_t size = (size_t)(cases[i].end - cases[i].code);

        lab_reset(&lab);
        exit = lab_run(&lab, cases[i].code, size);
        check_exit(&exit, 0x7b, cases[i].words, cases[i].words);
        check_equal(exit.info & cases[i].mask, cases[i].info, "%s: EXITINFO1", cases[i].words);
        check_equal(svm_control(&lab.vm)->vmcb->control.exitinfo2, LAB_CODE + size, "%s: EXITINFO2", cases[i].words);
    }
}

LAB_SNIPPET(ud2, "ud2")
LAB_SNIPPET(divide, "xor %ecx, %ecx\n div %ecx")
LAB_SNIPPET(int3, "int3")
LAB_SNIPPET(touch_far, "mov %rax, (%r8)")
LAB_SNIPPET(load_ds, "mov %ax, %ds")
LAB_SNIPPET(load_ss, "mov %ax, %ss")
LAB_SNIPPET(x87, "fld1")
LAB_SNIPPET(x87_error, "fninit; movw $0x37b, (%rbx); fldcw (%rbx); fld1; fldz; fdivrp; fwait")
LAB_SNIPPET(sse_error,
            "movl $0x1d80, (%rbx); ldmxcsr (%rbx); xorps %xmm0, %xmm0; movl $0x3f800000, (%rbx); movss (%rbx), "
            "%xmm1; divss %xmm0, %xmm1")
LAB_SNIPPET(step, "pushf\n orl $0x100, (%rsp)\n popf\n nop\n nop")
LAB_SNIPPET(user_ac, "mov 1(%rbx), %eax")
LAB_SNIPPET(sti, "sti\n nop\n nop\n nop")
LAB_SNIPPET(nop, "nop\n nop\n nop")

static void check_exception(const uint8_t *code, size_t size, uint64_t exit_code, uint64_t info1, const char *words)
{
    struct vm_exit exit = lab_run(&lab, code, size);

    check_exit(&exit, exit_code, words, words);
    check_equal(exit.info, info1, "%s: EXITINFO1", words);
    check_equal(svm_control(&lab.vm)->vmcb->control.exitintinfo >> 31 & 1, 0, "%s: no event was on its way", words);
}

#define FAR UINT64_C(0x8000000000) /* PML4 entry 1 is empty */

static void check_exceptions(void)
{
    static const uint8_t into[] = {0xce}, bound[] = {0x62, 0x03}, task[] = {0xea, 0, 0, 0, 0, 0x58, 0};
    struct hvctl_vmcb *vmcb = svm_control(&lab.vm)->vmcb;
    struct hvctl_guest_state user = hvctl_guest_long64(GUEST_PML4, LAB_CODE, LAB_TOP),
                             flat = hvctl_guest_flat32(LAB_CODE, LAB_TOP);

    lab_reset(&lab);
    check_exception(LAB_CODE_OF(divide), 0x40, 0, "EXCP_DE");
    lab_reset(&lab);
    check_exception(LAB_CODE_OF(step), 0x41, 0, "EXCP_DB");
    lab_reset(&lab);
    check_exception(LAB_CODE_OF(int3), 0x43, 0, "EXCP_BP");
    lab_reset(&lab);
    check_exception(LAB_CODE_OF(ud2), 0x46, 0, "EXCP_UD");
    lab_reset(&lab);
    hvctl_vmcb_set_cr0(vmcb, vmcb->save.cr0 | 1 << 3);
    check_exception(LAB_CODE_OF(x87), 0x47, 0, "EXCP_NM");
    lab_reset(&lab);
    lab.vm.regs.rax = LAB_ABSENT;
    check_exception(LAB_CODE_OF(load_ds), 0x4b, LAB_ABSENT, "EXCP_NP: error code 0x50");
    lab_reset(&lab);
    lab.vm.regs.rax = LAB_ABSENT;
    check_exception(LAB_CODE_OF(load_ss), 0x4c, LAB_ABSENT, "EXCP_SS: error code 0x50");
    lab_reset(&lab);
    lab.vm.regs.rax = 0x1ff8;
    check_exception(LAB_CODE_OF(load_ds), 0x4d, 0x1ff8, "EXCP_GP: error code 0x1ff8");
    lab_reset(&lab);
    lab.vm.regs.r8 = FAR;
    check_exception(LAB_CODE_OF(touch_far), 0x4e, 2, "EXCP_PF: error code 0x2, linear 0x8000000000");
    check_equal(vmcb->control.exitinfo2, FAR, "EXCP_PF: EXITINFO2");
    lab_reset(&lab);
    check_exception(LAB_CODE_OF(x87_error), 0x50, 0, "EXCP_MF");
    lab_reset(&lab);
    hvctl_vmcb_set_cr4(vmcb, vmcb->save.cr4 | 3 << 9); /* OSFXSR, OSXMMEXCPT */
    check_exception(LAB_CODE_OF(sse_error), 0x53, 0, "EXCP_XF");

    lab_reset(&lab);
    lab_state(&lab, &flat);
    lab.vm.regs.rflags = 2 | 1 << 11;
    check_exception(into, sizeof(into), 0x44, 0, "EXCP_OF");
    lab_reset(&lab);
    lab_state(&lab, &flat);
    lab.vm.regs.rax = 7; /* BOUND eax, [ebx]: both bounds are 0 */
    check_exception(bound, sizeof(bound), 0x45, 0, "EXCP_BR");
    lab_reset(&lab);
    lab_state(&lab, &flat);
    lab_word(&lab, LAB_GDT)[0x58 / 8] = UINT64_C(0x0000890000000010) | (uint64_t)LAB_TSS << 16; /* a TSS too short */
    check_exception(task, sizeof(task), 0x4a, 0x58, "EXCP_TS");

    lab_reset(&lab);
    user.cs = hvctl_segment_make(LAB_USER_CODE_SELECTOR, 0, 0xffffffff, 0xa0fb);
    user.ss = user.ds = user.es = hvctl_segment_make(LAB_USER_DATA_SELECTOR, 0, 0xffffffff, 0xc0f3);
    user.cr0 |= 1 << 18;
    *lab_word(&lab, GUEST_PML4) |= 4;
    *lab_word(&lab, GUEST_PML4 + 0x1000) |= 4;
    *lab_word(&lab, GUEST_PML4 + 0x2000) |= 4;
    lab_state(&lab, &user);
    lab.vm.regs.rflags = 2 | 1 << 18;
    check_exception(LAB_CODE_OF(user_ac), 0x51, 0, "EXCP_AC: error code 0x0");
    *lab_word(&lab, GUEST_PML4) &= ~UINT64_C(4);
    *lab_word(&lab, GUEST_PML4 + 0x1000) &= ~UINT64_C(4);
    *lab_word(&lab, GUEST_PML4 + 0x2000) &= ~UINT64_C(4);
}

/* EXITINTINFO: the event that was being delivered. APM vol. 2, "EXITINTINFO". */
static void check_vectoring(void)
{
    struct hvctl_vmcb *vmcb = svm_control(&lab.vm)->vmcb;
    struct hvctl_vmcb_segment none = {0, 0, 0, LAB_IDT};
    struct hvctl_svm_event event;
    struct vm_exit exit;

    lab_reset(&lab);
    lab_exceptions(&lab, 1 << 8);
    hvctl_vmcb_set_idtr(vmcb, none);
    exit = lab_run(&lab, LAB_CODE_OF(ud2));
    check_equal(exit.reason, 0x48, "#DF: EXITCODE");
    check_equal(exit.info, 0, "#DF: EXITINFO1");

    lab_reset(&lab);
    lab_exceptions(&lab, 0);
    lab.vm.regs.r8 = FAR;
    check_equal(paging_unmap(&lab.vm.paging, LAB_IDT, HVPT_4K), HVPT_OK, "the IDT's page is taken away");
    exit = lab_run(&lab, LAB_CODE_OF(touch_far));
    check_exit(
        &exit, 0x400,
        "NPF: data read; no nested page is present; at the guest's final physical address, guest-physical 0x180e0, "
        "while delivering exception #PF, error code 0x2",
        "#PF with its gate unmapped");
    event = hvctl_svm_event_decode(vmcb->control.exitintinfo);
    check_true(event.valid && event.type == HVCTL_SVM_EVENT_EXCEPTION && event.vector == 14 && event.has_error_code
                   && event.error_code == 2,
               "#PF with its gate unmapped: EXITINTINFO decoded");
    check_equal(paging_map(&lab.vm.paging, LAB_IDT, VM_HOME + LAB_IDT, HVPT_4K, paging_attr(RWX)), HVPT_OK,
                "the IDT's page is given back");

    if (on_qemu()) { /* Bochs ends itself */
        lab_reset(&lab);
        lab_exceptions(&lab, 0);
        hvctl_vmcb_set_idtr(vmcb, none);
        exit = lab_run(&lab, LAB_CODE_OF(ud2));
        check_equal(exit.reason, 0x7f, "no IDT at all: EXITCODE");
    }
}

/* EXITINFO1: the selector; EXITINFO2: 36 IRET, 38 JMP, 44 an error code is pushed, 48 RF. APM vol. 2, "Task Switches".
 */
static void check_task_switches(void)
{
    static const uint8_t jump[] = {0xea, 0, 0, 0, 0, LAB_TASK, 0}, call[] = {0x9a, 0, 0, 0, 0, LAB_TASK, 0},
                         iret[] = {0xcf}, gate[] = {0xcd, 0x41};
    static const struct {
        const uint8_t *code;
        size_t size;
        uint64_t selector;
        bool iret, jump;
        const char *name;
    } cases[] = {
        {call, sizeof(call), LAB_TASK, false, false, "task switch by CALL"},
        {iret, sizeof(iret), LAB_TASK_BUSY, true, false, "task switch by IRET"},
        {jump, sizeof(jump), LAB_TASK, false, true, "task switch by JMP"},
        {gate, sizeof(gate), LAB_TASK, false, false, "task switch by a gate"},
    };
    struct hvctl_guest_state flat = hvctl_guest_flat32(LAB_CODE, LAB_TOP);

    for (unsigned i = 0; i < 4; i++) {
        struct hvctl_svm_task_switch task;
        struct vm_exit exit;

        lab_reset(&lab);
        lab_intercept(&lab, 0x7d, true);
        lab_state(&lab, &flat);
        lab.vm.regs.rflags = 2 | 1 << 14; /* NT */
        exit = lab_run(&lab, cases[i].code, cases[i].size);
        check_equal(exit.reason, 0x7d, "%s: EXITCODE", cases[i].name);
        task = hvctl_svm_task_switch_decode(exit.info, svm_control(&lab.vm)->vmcb->control.exitinfo2);
        check_equal(task.selector, cases[i].selector, "%s: selector", cases[i].name);
        check_true(task.iret == cases[i].iret && task.jump == cases[i].jump && !task.has_error_code, "%s: by what",
                   cases[i].name);
    }
}

/* An NMI that was intercepted comes to the host when it lets interrupts in again; an SMI, too: RSM awaits it there. */
__asm__(".pushsection .text\nlab_ignore: iretq\n.popsection");
extern const char lab_ignore[];

static void ignore_nmi(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } idt;
    uint64_t *gate, at = (uintptr_t)lab_ignore;

    __asm__ volatile("sidt %0" : "=m"(idt));
    gate = (uint64_t *)(uintptr_t)(idt.base + 2 * 16);
    gate[0] = (at & 0xffff) | UINT64_C(8) << 16 | UINT64_C(0x8e00) << 32 | (at >> 16 & 0xffff) << 48;
    gate[1] = at >> 32;
    memcpy((void *)(uintptr_t)0x38000, "\x0f\xaa", 2);
}

#define INTERRUPTS_ON (2 | 1 << 9)

static void check_events(void)
{
    const uint64_t irq =
        HVCTL_VINTR_MASKING | HVCTL_VINTR_IRQ | HVCTL_VINTR_IGNORE_TPR | UINT64_C(0x66) << HVCTL_VINTR_VECTOR_SHIFT;
    struct hvctl_vmcb *vmcb = svm_control(&lab.vm)->vmcb;
    struct vm_exit exit;

    lab_reset(&lab);
    exit = lab_ipi(&lab, 0x4055, INTERRUPTS_ON);
    check_exit(&exit, 0x60, "INTR", "interrupt");
    lab_take_interrupt();
    lab_reset(&lab);
    exit = lab_ipi(&lab, 0x4400, 2);
    check_exit(&exit, 0x61, "NMI", "NMI");
    lab_reset(&lab);
    lab_intercept(&lab, 0x62, true);
    exit = lab_ipi(&lab, 0x4200, 2);
    check_equal(exit.reason, 0x62, "SMI: EXITCODE");
    lab_reset(&lab);
    lab_intercept(&lab, 0x64, true);
    lab.vm.regs.rflags = INTERRUPTS_ON;
    hvctl_vmcb_virtual_interrupt(vmcb, irq, 0);
    exit = lab_run(&lab, LAB_CODE_OF(nop));
    check_exit(&exit, 0x64, "VINTR", "virtual interrupt");
    check_equal(lab.vm.regs.rip, LAB_CODE, "virtual interrupt: before the first instruction");
    lab_reset(&lab);
    lab_intercept(&lab, 0x64, true);
    hvctl_vmcb_virtual_interrupt(vmcb, irq, 0);
    exit = lab_run(&lab, LAB_CODE_OF(sti));
    check_exit(&exit, 0x64, "VINTR", "virtual interrupt, after STI");
    check_equal(lab.vm.regs.rip, LAB_CODE + 2, "virtual interrupt, after STI: behind the instruction in its shadow");

    lab_reset(&lab);
    hvctl_vmcb_set_guest_asid(vmcb, 0);
    exit = lab_run(&lab, LAB_CODE_OF(nop));
    check_equal(exit.kind, VM_EXIT_INVALID, "ASID 0: the guest does not run");
    check_text(lab_text(&lab), "INVALID", "ASID 0: in words");
}

enum { BOCHS = 1, QEMU = 2, EVERYWHERE = 3 };

/* Codes first to last that do not come, and where. */
static const struct {
    unsigned first, last, where;
    const char *why;
} absent[] = {
    {0x01, 0x01, EVERYWHERE, "there is no such control register"},
    {0x05, 0x07, EVERYWHERE, "there is no such control register"},
    {0x09, 0x0f, EVERYWHERE, "there is no such control register"},
    {0x11, 0x11, EVERYWHERE, "there is no such control register"},
    {0x15, 0x17, EVERYWHERE, "there is no such control register"},
    {0x19, 0x1f, EVERYWHERE, "there is no such control register"},
    {0x24, 0x25, EVERYWHERE, "an alias of DR6 and DR7"},
    {0x28, 0x2f, EVERYWHERE, "there is no such debug register"},
    {0x34, 0x35, EVERYWHERE, "an alias of DR6 and DR7"},
    {0x38, 0x3f, EVERYWHERE, "there is no such debug register"},
    {0x42, 0x42, EVERYWHERE, "vector 2 is not an exception"},
    {0x49, 0x49, EVERYWHERE, "a reserved vector"},
    {0x4f, 0x4f, EVERYWHERE, "a reserved vector"},
    {0x52, 0x52, EVERYWHERE, "no machine check to be had"},
    {0x54, 0x54, EVERYWHERE, "a reserved vector"},
    {0x55, 0x55, EVERYWHERE, "no shadow stacks"},
    {0x56, 0x5f, EVERYWHERE, "reserved vectors, SEV's, and #SX, which a redirected INIT raises"},
    {0x63, 0x63, EVERYWHERE, "an INIT that was held back resets the CPU once the host lets it in"},
    {0x73, 0x73, EVERYWHERE, "RSM is #UD outside SMM"},
    {0x7e, 0x7e, EVERYWHERE, "FERR_FREEZE needs an external FERR signal"},
    {0x43, 0x44, QEMU, "QEMU does not intercept the exceptions of INT3 and INTO"},
    {0x48, 0x48, QEMU, "QEMU shuts down before it looks at the intercept of #DF"},
    {0x51, 0x51, QEMU, "QEMU does not check alignment"},
    {0x53, 0x53, QEMU, "QEMU's SSE raises no exceptions"},
    {0x76, 0x76, QEMU, "QEMU has no such intercept"},
    {0x7d, 0x7d, QEMU, "QEMU has no such intercept"},
    {0x87, 0x88, QEMU, "QEMU has no such intercepts"},
    {0x8a, 0x8a, BOCHS, "Bochs has no such intercept"},
    {0x8d, 0x8d, QEMU, "QEMU has no such intercept"},
    {0x7f, 0x7f, BOCHS, "Bochs ends itself at a guest's triple fault"},
    {0x8c, 0x8c, QEMU, "QEMU's guest waits for ever in an MWAIT that is not intercepted"},
    {0x8f, 0x9f, EVERYWHERE, "traps of writes are SEV-ES's"},
    {0xa0, 0xa1, EVERYWHERE, "no INVLPGB"},
    {0xa3, 0xa4, EVERYWHERE, "no MCOMMIT, no TLBSYNC"},
    {0xa5, 0xa6, EVERYWHERE, "no bus-lock threshold, no idle-HLT intercept"},
    {0x401, 0x403, EVERYWHERE, "no AVIC, no SEV-ES"},
    {0x404, 0x407, EVERYWHERE, "error codes of #VC; no page-modification logging"},
};

static void check_codes(void)
{
    unsigned machine = on_qemu() ? QEMU : BOCHS, came = 0;

    for (unsigned code = 0; code < LAB_CODES; code++) {
        const char *name = hvctl_svm_exit_name(code), *why = NULL;

        for (unsigned i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
            /* One emulator's gap may be closed in a later version of it */
            if (code >= absent[i].first && code <= absent[i].last && (absent[i].where & machine) != 0
                && (absent[i].where == EVERYWHERE || !lab.seen[code]))
                why = absent[i].why;
        if ((code == 0x8e && !has_rdpru()) || (code == 0xa2 && !has_invpcid()))
            why = "the CPU does not have the instruction";
        if (name == NULL) {
            if (lab.seen[code])
                check_true(false, "exit code %x has a name", code);
            continue;
        }
        came += lab.seen[code];
        check_true(lab.seen[code] == (why == NULL), "exit code %x, %s: %s", code, name,
                   why == NULL ? "it came" : "it did not come");
    }
    check_true(lab.seen_invalid, "exit code INVALID: it came");
    for (unsigned i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        if ((absent[i].where & machine) != 0)
            print("did not come: %x to %x: %s\n", absent[i].first, absent[i].last, absent[i].why);
    print("%u exit codes came\n", came);
}

void suite_hvctl_svm_exits(struct frames *frames)
{
    check_group("VMEXITs");
    lab_open(&lab, frames);
    ignore_nmi();
    check_instructions();
    check_registers();
    check_io();
    check_exceptions();
    check_vectoring();
    check_task_switches();
    check_events();
    check_codes();
    lab_close(&lab);
}
