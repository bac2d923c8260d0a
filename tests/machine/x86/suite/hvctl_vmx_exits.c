/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Every VM exit that this machine can be brought to make: number, qualification and instruction length as the manual
 * has them, and what the headers' decoders make of it, in words, against what the guest did. At the end, which reasons
 * never came, and why. SDM vol. 3, "Basic VM-Exit Information", "VM-Exit Instruction Information".
 */
#include "hvctl_lab.h"

#include <hvctl/vmx/msr_area.h>
#include <hvctl/vmx/insn.h>

#include "console.h"
#include "cpu.h"
#include "memory.h"

static struct lab lab;

#define NONE      HVCTL_ALWAYS
#define LENGTH(c) (unsigned)((c)->end - (c)->code)

/*
 * One instruction each, with lab_reset's registers: X(name, code, control that makes it exit, another, basic reason,
 * exit qualification, in words). What needs more than a control to be set has a function of its own below.
 */
#define INSTRUCTIONS(X)                                                                                              \
    X(cpuid, "cpuid", NONE, NONE, 10, 0, "CPUID")                                                                    \
    X(hlt, "hlt", HVCTL_PRIMARY_HLT_EXITING, NONE, 12, 0, "HLT")                                                     \
    X(invd, "invd", NONE, NONE, 13, 0, "INVD")                                                                       \
    X(invlpg, "invlpg 0x40(%rbx,%rcx,8)", HVCTL_PRIMARY_INVLPG_EXITING, NONE, 14, LAB_DATA + 0x50,                   \
      "INVLPG: linear address 0x1c050")                                                                              \
    X(rdpmc, "rdpmc", HVCTL_PRIMARY_RDPMC_EXITING, NONE, 15, 0, "RDPMC")                                             \
    X(rdtsc, "rdtsc", HVCTL_PRIMARY_RDTSC_EXITING, NONE, 16, 0, "RDTSC")                                             \
    X(rdtscp, "rdtscp", HVCTL_PRIMARY_RDTSC_EXITING, HVCTL_SECONDARY_ENABLE_RDTSCP, 51, 0, "RDTSCP")                 \
    X(vmcall, "vmcall", NONE, NONE, 18, 0, "VMCALL")                                                                 \
    X(vmlaunch, "vmlaunch", NONE, NONE, 20, 0, "VMLAUNCH")                                                           \
    X(vmresume, "vmresume", NONE, NONE, 24, 0, "VMRESUME")                                                           \
    X(vmxoff, "vmxoff", NONE, NONE, 26, 0, "VMXOFF")                                                                 \
    X(to_cr3, "mov %r10, %cr3", HVCTL_PRIMARY_CR3_LOAD_EXITING, NONE, 28, 0xa03,                                     \
      "control-register access: MOV to CR3 from R10")                                                                \
    X(from_cr3, "mov %cr3, %r11", HVCTL_PRIMARY_CR3_STORE_EXITING, NONE, 28, 0xb13,                                  \
      "control-register access: MOV from CR3 to R11")                                                                \
    X(to_cr8, "mov %rdi, %cr8", HVCTL_PRIMARY_CR8_LOAD_EXITING, NONE, 28, 0x708,                                     \
      "control-register access: MOV to CR8 from RDI")                                                                \
    X(from_cr8, "mov %cr8, %rbp", HVCTL_PRIMARY_CR8_STORE_EXITING, NONE, 28, 0x518,                                  \
      "control-register access: MOV from CR8 to RBP")                                                                \
    X(to_dr0, "mov %rax, %dr0", HVCTL_PRIMARY_MOV_DR_EXITING, NONE, 29, 0,                                           \
      "debug-register access: MOV to DR0 from RAX")                                                                  \
    X(to_dr3, "mov %r15, %dr3", HVCTL_PRIMARY_MOV_DR_EXITING, NONE, 29, 0xf03,                                       \
      "debug-register access: MOV to DR3 from R15")                                                                  \
    X(from_dr7, "mov %dr7, %r12", HVCTL_PRIMARY_MOV_DR_EXITING, NONE, 29, 0xc17,                                     \
      "debug-register access: MOV from DR7 to R12")                                                                  \
    X(in_imm8, "in $0x80, %al", NONE, NONE, 30, 0x800048, "I/O instruction: IN of 1 byte, port 0x80 (immediate)")    \
    X(in_dx16, "in %dx, %ax", NONE, NONE, 30, 0x56780009, "I/O instruction: IN of 2 bytes, port 0x5678 (DX)")        \
    X(in_dx32, "in %dx, %eax", NONE, NONE, 30, 0x5678000b, "I/O instruction: IN of 4 bytes, port 0x5678 (DX)")       \
    X(out_imm8, "out %al, $0x81", NONE, NONE, 30, 0x810040, "I/O instruction: OUT of 1 byte, port 0x81 (immediate)") \
    X(out_imm32, "out %eax, $0x82", NONE, NONE, 30, 0x820043,                                                        \
      "I/O instruction: OUT of 4 bytes, port 0x82 (immediate)")                                                      \
    X(out_dx16, "out %ax, %dx", NONE, NONE, 30, 0x56780001, "I/O instruction: OUT of 2 bytes, port 0x5678 (DX)")     \
    X(rdmsr, "rdmsr", NONE, NONE, 31, 0, "RDMSR")                                                                    \
    X(wrmsr, "wrmsr", NONE, NONE, 32, 0, "WRMSR: WRMSR")                                                             \
    X(mwait, "mwait", HVCTL_PRIMARY_MWAIT_EXITING, NONE, 36, 0, "MWAIT: monitor not armed")                          \
    X(monitor, "monitor", HVCTL_PRIMARY_MONITOR_EXITING, NONE, 39, 0, "MONITOR")                                     \
    X(pause, "pause", HVCTL_PRIMARY_PAUSE_EXITING, NONE, 40, 0, "PAUSE")                                             \
    X(wbinvd, "wbinvd", HVCTL_SECONDARY_WBINVD_EXITING, NONE, 54, 0, "WBINVD or WBNOINVD: WBINVD")                   \
    X(vmfunc, "vmfunc", HVCTL_SECONDARY_ENABLE_VM_FUNCTIONS, NONE, 59, 0, "VMFUNC")

/*
 * Instructions with instruction information: X(name, code, control, another, reason, displacement, the exit in words,
 * its operands in words, the operand's address).
 */
#define OPERANDS(X)                                                                                                    \
    X(vmclear, "vmclear 0x40(%rbx,%rcx,4)", NONE, NONE, 19, 0x40, "VMCLEAR: displacement 0x40",                        \
      "memory DS:[RBX + RCX*4 + displacement]", LAB_DATA + 0x48)                                                       \
    X(vmptrld, "vmptrld %fs:(%r8)", NONE, NONE, 21, 0, "VMPTRLD: displacement 0x0", "memory FS:[R8 + displacement]",   \
      LAB_DATA)                                                                                                        \
    X(vmptrst, "vmptrst -8(%esi)", NONE, NONE, 22, ~UINT64_C(7), "VMPTRST: displacement 0xfffffffffffffff8",           \
      "memory DS:[RSI + displacement]", LAB_DATA - 8)                                                                  \
    X(vmxon, "vmxon -8(%rsp)", NONE, NONE, 27, ~UINT64_C(7), "VMXON: displacement 0xfffffffffffffff8",                 \
      "memory SS:[RSP + displacement]", LAB_TOP - 8)                                                                   \
    X(vmread_reg, "vmread %rax, %r13", NONE, NONE, 23, 0, "VMREAD: displacement 0x0", "register R13, register RAX", 0) \
    X(vmread_mem, "vmread %r9, 0x10(%r14,%rcx)", NONE, NONE, 23, 0x10, "VMREAD: displacement 0x10",                    \
      "memory DS:[R14 + RCX + displacement], register R9", LAB_DATA + 0x12)                                            \
    X(vmwrite_reg, "vmwrite %r8, %rdx", NONE, NONE, 25, 0, "VMWRITE: displacement 0x0", "register R8, register RDX",   \
      0)                                                                                                               \
    X(vmwrite_mem, "vmwrite 0x1c200, %rdi", NONE, NONE, 25, 0x1c200, "VMWRITE: displacement 0x1c200",                  \
      "memory DS:[displacement], register RDI", LAB_DATA + 0x200)                                                      \
    X(invept, "invept (%rbx), %r12", NONE, NONE, 50, 0, "INVEPT: displacement 0x0",                                    \
      "memory DS:[RBX + displacement], register R12", LAB_DATA)                                                        \
    X(invvpid, "invvpid 0x20(,%rcx,2), %rax", NONE, NONE, 53, 0x20, "INVVPID: displacement 0x20",                      \
      "memory DS:[RCX*2 + displacement], register RAX", 0x24)                                                          \
    X(invpcid, "invpcid %gs:8(%rbp), %r15", HVCTL_PRIMARY_INVLPG_EXITING, HVCTL_SECONDARY_ENABLE_INVPCID, 58, 8,       \
      "INVPCID: displacement 0x8", "memory GS:[RBP + displacement], register R15", 0x7f)                               \
    X(sgdt, "sgdt 0x30(%rbx)", HVCTL_SECONDARY_DESCRIPTOR_TABLE_EXITING, NONE, 46, 0x30,                               \
      "access to GDTR or IDTR: displacement 0x30", "SGDT, memory DS:[RBX + displacement]", LAB_DATA + 0x30)            \
    X(sidt, "sidt (%rsp)", HVCTL_SECONDARY_DESCRIPTOR_TABLE_EXITING, NONE, 46, 0,                                      \
      "access to GDTR or IDTR: displacement 0x0", "SIDT, memory SS:[RSP + displacement]", LAB_TOP)                     \
    X(lgdt, "lgdt (%rbx,%rcx,8)", HVCTL_SECONDARY_DESCRIPTOR_TABLE_EXITING, NONE, 46, 0,                               \
      "access to GDTR or IDTR: displacement 0x0", "LGDT, memory DS:[RBX + RCX*8 + displacement]", LAB_DATA + 0x10)     \
    X(lidt, "lidt %es:(%r9)", HVCTL_SECONDARY_DESCRIPTOR_TABLE_EXITING, NONE, 46, 0,                                   \
      "access to GDTR or IDTR: displacement 0x0", "LIDT, memory DS:[R9 + displacement]", LAB_DATA)                     \
    X(sldt, "sldt %eax", HVCTL_SECONDARY_DESCRIPTOR_TABLE_EXITING, NONE, 47, 0,                                        \
      "access to LDTR or TR: displacement 0x0", "SLDT, register RAX", 0)                                               \
    X(str, "str 2(%rdi)", HVCTL_SECONDARY_DESCRIPTOR_TABLE_EXITING, NONE, 47, 2,                                       \
      "access to LDTR or TR: displacement 0x2", "STR, memory DS:[RDI + displacement]", LAB_DATA + 0x102)               \
    X(lldt, "lldt %cx", HVCTL_SECONDARY_DESCRIPTOR_TABLE_EXITING, NONE, 47, 0,                                         \
      "access to LDTR or TR: displacement 0x0", "LLDT, register RCX", 0)                                               \
    X(ltr, "ltr (%r11)", HVCTL_SECONDARY_DESCRIPTOR_TABLE_EXITING, NONE, 47, 0,                                        \
      "access to LDTR or TR: displacement 0x0", "LTR, memory DS:[R11 + displacement]", LAB_DATA)                       \
    X(rdrand, "rdrand %r13d", HVCTL_SECONDARY_RDRAND_EXITING, NONE, 57, 0, "RDRAND", "register R13", 0)                \
    X(rdseed, "rdseed %rdx", HVCTL_SECONDARY_RDSEED_EXITING, NONE, 61, 0, "RDSEED", "register RDX", 0)

#define X(name, text, ...) LAB_SNIPPET(name, text)
INSTRUCTIONS(X)
OPERANDS(X)
#undef X

struct instruction {
    const char *name;
    const uint8_t *code, *end;
    enum hvctl_vmx_control control, also;
    uint64_t reason, qualification;
    const char *words, *operands;
    uint64_t address;
};

static const struct instruction instructions[] = {
#define X(name, text, control, also, reason, qualification, words) \
    {#name, code_##name, code_##name##_end, control, also, reason, qualification, words, NULL, 0},
    INSTRUCTIONS(X)
#undef X
#define X(name, text, control, also, reason, qualification, words, operands, address) \
    {#name, code_##name, code_##name##_end, control, also, reason, qualification, words, operands, address},
        OPERANDS(X)
#undef X
};

/* The operands that the last exit's instruction had, in words; and where the memory operand was. */
static const char *operand_words(uint64_t *address)
{
    static char words[160];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));
    const struct hvctl_vmcs_image *image = &vmx_control(&lab.vm)->image;
    struct hvctl_vmx_insn insn =
        hvctl_vmx_insn_decode((uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_EXIT_REASON) & 0xffff,
                              (uint32_t)hvctl_vmcs_get(image, HVCTL_VMCS_VM_EXIT_INSTRUCTION_INFORMATION));

    hvctl_vmx_insn_text(&insn, &text);
    *address = hvctl_vmx_insn_address(&insn, &vmx_control(&lab.vm)->regs, lab.vm.regs.rsp,
                                      hvctl_vmcs_get(image, HVCTL_VMCS_EXIT_QUALIFICATION));
    return words;
}

static void check_exit(const struct vm_exit *exit, uint64_t reason, uint64_t qualification, const char *words,
                       const char *name)
{
    check_equal(exit->fail, 0, "%s: the guest is entered", name);
    check_equal(exit->reason, reason, "%s: exit reason", name);
    check_equal(exit->info, qualification, "%s: exit qualification", name);
    check_text(lab_text(&lab), words, "%s: in words", name);
}

/*
 * An EPT violation of the lab's guest. A CPU with advanced information (IA32_VMX_EPT_VPID_CAP[22]) tells what the guest's
 * own tables say, too: here a supervisor page that may be written and executed.
 */
static const char *violation_words(const char *access, const char *rest)
{
    static char words[320];

    print_to(words, sizeof(words), "EPT violation: %s; by the translation of a linear address%s, %s", access,
             advanced_information(&lab.vm) ? "; by the guest's tables a supervisor page, writable" : "", rest);
    return words;
}

static void check_instructions(void)
{
    for (unsigned i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
        const struct instruction *c = &instructions[i];
        struct vm_exit exit;
        uint64_t address;

        lab_reset(&lab);
        if (!lab_require(&lab, c->control) || !lab_require(&lab, c->also)) {
            check_skip("this CPU does not have the control", "%s", c->name);
            continue;
        }
        exit = lab_run(&lab, c->code, LENGTH(c));
        check_exit(&exit, c->reason, c->qualification, c->words, c->name);
        check_equal(exit.length, LENGTH(c), "%s: instruction length", c->name);
        check_equal(lab.vm.regs.rip, LAB_CODE, "%s: RIP is at it", c->name);
        if (c->operands == NULL)
            continue;
        check_text(operand_words(&address), c->operands, "%s: operands in words", c->name);
        check_equal(address, c->address, "%s: address of the operand", c->name);
    }
}

LAB_SNIPPET(to_cr0, "mov %r9, %cr0")
LAB_SNIPPET(to_cr4, "mov %rsi, %cr4")
LAB_SNIPPET(clts, "clts")
LAB_SNIPPET(lmsw_reg, "lmsw %ax")
LAB_SNIPPET(lmsw_mem, "lmsw 0x10(%rbx)")
LAB_SNIPPET(two_cr3, "mov %r10, %cr3\n mov %r11, %cr3")

/* Accesses to CR0 and CR4 exit where the mask says so and the shadow differs; CR3 where no target matches. */
static void check_control_registers(void)
{
    struct vm_exit exit;

    lab_reset(&lab);
    lab_put(&lab, HVCTL_VMCS_CR0_GUEST_HOST_MASK, 1 << 3);
    lab.vm.regs.r9 = lab_get(&lab, HVCTL_VMCS_GUEST_CR0) | 1 << 3;
    exit = lab_run(&lab, LAB_CODE_OF(to_cr0));
    check_exit(&exit, 28, 0x900, "control-register access: MOV to CR0 from R9", "MOV to CR0");
    lab_reset(&lab);
    lab_put(&lab, HVCTL_VMCS_CR4_GUEST_HOST_MASK, ~UINT64_C(0));
    exit = lab_run(&lab, LAB_CODE_OF(to_cr4));
    check_exit(&exit, 28, 0x604, "control-register access: MOV to CR4 from RSI", "MOV to CR4");
    lab_reset(&lab);
    lab_put(&lab, HVCTL_VMCS_CR0_GUEST_HOST_MASK, 1 << 3);
    lab_put(&lab, HVCTL_VMCS_CR0_READ_SHADOW, 1 << 3);
    exit = lab_run(&lab, LAB_CODE_OF(clts));
    check_exit(&exit, 28, 0x20, "control-register access: CLTS", "CLTS");
    lab_reset(&lab);
    lab_put(&lab, HVCTL_VMCS_CR0_GUEST_HOST_MASK, 1 << 3);
    lab_put(&lab, HVCTL_VMCS_CR0_READ_SHADOW, 0);
    lab.vm.regs.rax = 0x1234000b;
    exit = lab_run(&lab, LAB_CODE_OF(lmsw_reg));
    check_exit(&exit, 28, 0xb0030, "control-register access: LMSW of 0xb from a register", "LMSW, register");
    lab_reset(&lab);
    lab_put(&lab, HVCTL_VMCS_CR0_GUEST_HOST_MASK, 1 << 3);
    lab_put(&lab, HVCTL_VMCS_CR0_READ_SHADOW, 0);
    *lab_word(&lab, LAB_DATA + 0x10) = 0xfff9;
    exit = lab_run(&lab, LAB_CODE_OF(lmsw_mem));
    check_exit(&exit, 28, 0xfff90070, "control-register access: LMSW of 0xfff9 from memory", "LMSW, memory");
    check_equal(exit.linear, LAB_DATA + 0x10, "LMSW, memory: linear address of the operand");

    lab_reset(&lab);
    if (lab_require(&lab, HVCTL_PRIMARY_CR3_LOAD_EXITING) && hvctl_vmx_can(vmx_caps(), HVCTL_CR3_TARGETS_1)) {
        lab_put(&lab, HVCTL_VMCS_CR3_TARGET_COUNT, 1);
        lab_put(&lab, HVCTL_VMCS_CR3_TARGET_VALUE_0, GUEST_PML4);
        lab.vm.regs.r10 = GUEST_PML4;
        lab.vm.regs.r11 = GUEST_PML4 + 0x1000;
        exit = lab_run(&lab, LAB_CODE_OF(two_cr3));
        check_equal(exit.info, 0xb03, "MOV to CR3: a target does not exit, another value does");
    }
}

LAB_SNIPPET(insb, "insb")
LAB_SNIPPET(rep_insl, "rep insl")
LAB_SNIPPET(outsw, "outsw")
LAB_SNIPPET(rep_outsb_fs, "rep outsb %fs:(%rsi), %dx")
LAB_SNIPPET(outsl_esi, "outsl %ds:(%esi), %dx")

static void check_string_io(void)
{
    static const struct {
        const uint8_t *code, *end;
        uint64_t qualification, linear;
        bool in;
        unsigned address_size,
            segment; /* SDM vol. 3, "Format of the VM-Exit Instruction-Information Field for INS, OUTS" */
        const char *words;
    } cases[] = {
        {code_insb, code_insb_end, 0x56780018, LAB_DATA + 0x100, true, 64, 0,
         "I/O instruction: INS of 1 byte, port 0x5678"},
        {code_rep_insl, code_rep_insl_end, 0x5678003b, LAB_DATA + 0x100, true, 64, 0,
         "I/O instruction: REP INS of 4 bytes, port 0x5678"},
        {code_outsw, code_outsw_end, 0x56780011, LAB_DATA, false, 64, 3,
         "I/O instruction: OUTS of 2 bytes, port 0x5678"},
        {code_rep_outsb_fs, code_rep_outsb_fs_end, 0x56780030, LAB_DATA, false, 64, 4,
         "I/O instruction: REP OUTS of 1 byte, port 0x5678"},
        {code_outsl_esi, code_outsl_esi_end, 0x56780013, LAB_DATA, false, 32, 3,
         "I/O instruction: OUTS of 4 bytes, port 0x5678"},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vm_exit exit;
        struct hvctl_vmx_insn insn;
        const char *name = cases[i].words;

        lab_reset(&lab);
        exit = lab_run(&lab, cases[i].code, (size_t)(cases[i].end - cases[i].code));
        check_exit(&exit, 30, cases[i].qualification, name, name);
        check_equal(exit.linear, cases[i].linear, "%s: linear address of the data", name);
        if (!(vmx_caps()->basic & HVCTL_VMX_BASIC_INS_OUTS_INFO))
            continue;
        insn = hvctl_vmx_insn_decode(30, (uint32_t)lab_get(&lab, HVCTL_VMCS_VM_EXIT_INSTRUCTION_INFORMATION));
        check_equal(insn.address_size, cases[i].address_size, "%s: address size", name);
        if (!cases[i].in)
            check_equal(insn.segment, cases[i].segment, "%s: segment", name);
    }
}

LAB_SNIPPET(ud2, "ud2")
LAB_SNIPPET(divide, "xor %ecx, %ecx\n div %ecx")
LAB_SNIPPET(int3, "int3")
LAB_SNIPPET(int1, ".byte 0xf1")
LAB_SNIPPET(touch_far, "mov %rax, (%r8)")
LAB_SNIPPET(load_ds, "mov %ax, %ds")
LAB_SNIPPET(load_ss, "mov %ax, %ss")
LAB_SNIPPET(x87, "fld1")
LAB_SNIPPET(step, "pushf\n orl $0x100, (%rsp)\n popf\n nop\n nop")
LAB_SNIPPET(swint, "int $0x21")
LAB_SNIPPET(user_ac, "mov 1(%rbx), %eax")

/* An exception that is in the bitmap: interruption information and error code as the headers decode them. */
static void check_exception(const uint8_t *code, size_t size, enum hvctl_event_type type, uint8_t vector,
                            int error_code, uint64_t qualification, const char *words)
{
    struct vm_exit exit = lab_run(&lab, code, size);
    uint32_t info = (uint32_t)lab_get(&lab, HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION);
    struct hvctl_vmx_event event =
        hvctl_vmx_event_decode(info, (uint32_t)lab_get(&lab, HVCTL_VMCS_VM_EXIT_INTERRUPTION_ERROR_CODE));

    check_exit(&exit, 0, qualification, words, words);
    check_equal(info, (uint32_t)vector | (uint32_t)type << 8 | (error_code >= 0 ? 1u << 11 : 0) | 1u << 31,
                "%s: interruption information", words);
    check_true(event.valid && event.vector == vector && event.type == type && event.has_error_code == (error_code >= 0)
                   && event.error_code == (error_code >= 0 ? (uint32_t)error_code : 0),
               "%s: decoded", words);
}

static void check_exceptions(void)
{
    struct hvctl_guest_state user = hvctl_guest_long64(GUEST_PML4, LAB_CODE, LAB_TOP);

    lab_reset(&lab);
    check_exception(LAB_CODE_OF(divide), HVCTL_EVENT_HARDWARE_EXCEPTION, 0, -1, 0,
                    "exception or NMI: hardware exception #DE");
    lab_reset(&lab);
    check_exception(LAB_CODE_OF(int1), HVCTL_EVENT_PRIVILEGED_SOFTWARE_EXCEPTION, 1, -1, 0,
                    "exception or NMI: privileged software exception #DB: none");
    check_equal(lab_get(&lab, HVCTL_VMCS_VM_EXIT_INSTRUCTION_LENGTH), 1, "INT1: instruction length");
    lab_reset(&lab);
    check_exception(LAB_CODE_OF(step), HVCTL_EVENT_HARDWARE_EXCEPTION, 1, -1, 0x4000,
                    "exception or NMI: hardware exception #DB: single step");
    lab_reset(&lab);
    check_exception(LAB_CODE_OF(int3), HVCTL_EVENT_SOFTWARE_EXCEPTION, 3, -1, 0,
                    "exception or NMI: software exception #BP");
    check_equal(lab_get(&lab, HVCTL_VMCS_VM_EXIT_INSTRUCTION_LENGTH), 1, "INT3: instruction length");
    lab_reset(&lab);
    check_exception(LAB_CODE_OF(ud2), HVCTL_EVENT_HARDWARE_EXCEPTION, 6, -1, 0,
                    "exception or NMI: hardware exception #UD");
    lab_reset(&lab);
    lab_put(&lab, HVCTL_VMCS_GUEST_CR0, lab_get(&lab, HVCTL_VMCS_GUEST_CR0) | 1 << 3); /* TS */
    check_exception(LAB_CODE_OF(x87), HVCTL_EVENT_HARDWARE_EXCEPTION, 7, -1, 0,
                    "exception or NMI: hardware exception #NM");
    lab_reset(&lab);
    lab.vm.regs.rax = LAB_ABSENT;
    check_exception(LAB_CODE_OF(load_ds), HVCTL_EVENT_HARDWARE_EXCEPTION, 11, LAB_ABSENT, 0,
                    "exception or NMI: hardware exception #NP, error code 0x50");
    lab_reset(&lab);
    lab.vm.regs.rax = LAB_ABSENT;
    check_exception(LAB_CODE_OF(load_ss), HVCTL_EVENT_HARDWARE_EXCEPTION, 12, LAB_ABSENT, 0,
                    "exception or NMI: hardware exception #SS, error code 0x50");
    lab_reset(&lab);
    lab.vm.regs.rax = 0x1ff8; /* beyond the GDT */
    check_exception(LAB_CODE_OF(load_ds), HVCTL_EVENT_HARDWARE_EXCEPTION, 13, 0x1ff8, 0,
                    "exception or NMI: hardware exception #GP, error code 0x1ff8");
    lab_reset(&lab);
    lab.vm.regs.r8 = UINT64_C(0x8000000000); /* PML4 entry 1 is empty */
    check_exception(LAB_CODE_OF(touch_far), HVCTL_EVENT_HARDWARE_EXCEPTION, 14, 2, UINT64_C(0x8000000000),
                    "exception or NMI: hardware exception #PF, error code 0x2 at linear 0x8000000000");

    /* A user's unaligned access with AM and AC on. The guest's tables say "supervisor" all the way: let them say "user"
     */
    lab_reset(&lab);
    user.cs = hvctl_segment_make(LAB_USER_CODE_SELECTOR, 0, 0xffffffff, 0xa0fb);
    user.ss = user.ds = user.es = hvctl_segment_make(LAB_USER_DATA_SELECTOR, 0, 0xffffffff, 0xc0f3);
    user.cr0 |= 1 << 18;
    *lab_word(&lab, GUEST_PML4) |= 4;
    *lab_word(&lab, GUEST_PML4 + 0x1000) |= 4;
    *lab_word(&lab, GUEST_PML4 + 0x2000) |= 4;
    lab_state(&lab, &user);
    lab.vm.regs.rflags = 2 | 1 << 18;
    check_exception(LAB_CODE_OF(user_ac), HVCTL_EVENT_HARDWARE_EXCEPTION, 17, 0, 0,
                    "exception or NMI: hardware exception #AC, error code 0x0");
    *lab_word(&lab, GUEST_PML4) &= ~UINT64_C(4);
    *lab_word(&lab, GUEST_PML4 + 0x1000) &= ~UINT64_C(4);
    *lab_word(&lab, GUEST_PML4 + 0x2000) &= ~UINT64_C(4);
}

/* An exit while an event was on its way: IDT-vectoring information says which. SDM vol. 3, "Information for VM Exits
 * That Occur During Event Delivery". */
static void check_vectoring(void)
{
    struct vm_exit exit;
    struct hvctl_vmx_event event;

    lab_reset(&lab);
    lab_put(&lab, HVCTL_VMCS_GUEST_IDTR_LIMIT, 0x1ff); /* vectors 0 to 31 */
    exit = lab_run(&lab, LAB_CODE_OF(swint));
    check_exit(
        &exit, 0, 0,
        "exception or NMI: hardware exception #GP, error code 0x10a, while delivering software interrupt, vector 33",
        "INT n beyond the IDT");
    event = hvctl_vmx_event_decode((uint32_t)lab_get(&lab, HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD), 0);
    check_true(event.valid && event.type == HVCTL_EVENT_SOFTWARE_INTERRUPT && event.vector == 0x21
                   && !event.has_error_code,
               "INT n beyond the IDT: vectoring information decoded");
    check_equal(exit.length, 2, "INT n beyond the IDT: instruction length");

    /* The gate of #PF is on a page that EPT does not map */
    lab_reset(&lab);
    lab_exceptions(&lab, 0);
    lab.vm.regs.r8 = UINT64_C(0x8000000000);
    check_equal(paging_unmap(&lab.vm.paging, LAB_IDT, HVPT_4K), HVPT_OK, "the IDT's page is taken away");
    exit = lab_run(&lab, LAB_CODE_OF(touch_far));
    check_exit(
        &exit, 48, 0x181 | advanced_information(&lab.vm),
        violation_words(
            "data read; EPT allows nothing",
            "guest-physical 0x180e0, linear 0x180e0, while delivering hardware exception #PF, error code 0x2"),
        "#PF with its gate unmapped");
    event = hvctl_vmx_event_decode((uint32_t)lab_get(&lab, HVCTL_VMCS_IDT_VECTORING_INFORMATION_FIELD),
                                   (uint32_t)lab_get(&lab, HVCTL_VMCS_IDT_VECTORING_ERROR_CODE));
    check_true(event.valid && event.type == HVCTL_EVENT_HARDWARE_EXCEPTION && event.vector == 14 && event.has_error_code
                   && event.error_code == 2,
               "#PF with its gate unmapped: vectoring information decoded");
    check_equal(paging_map(&lab.vm.paging, LAB_IDT, VM_HOME + LAB_IDT, HVPT_4K, paging_attr(RWX)), HVPT_OK,
                "the IDT's page is given back");

    lab_reset(&lab);
    lab_exceptions(&lab, 0);
    lab_put(&lab, HVCTL_VMCS_GUEST_IDTR_LIMIT, 0);
    exit = lab_run(&lab, LAB_CODE_OF(ud2));
    check_exit(&exit, 2, 0, "triple fault", "no IDT at all");
}

/* CALL, JMP, IRET and a gate: a switch of tasks always exits, in 32-bit mode alone there is one. */
static void check_task_switches(void)
{
    static const uint8_t jump[] = {0xea, 0, 0, 0, 0, LAB_TASK, 0}, call[] = {0x9a, 0, 0, 0, 0, LAB_TASK, 0},
                         iret[] = {0xcf}, gate[] = {0xcd, 0x41};
    static const struct {
        const uint8_t *code;
        size_t size;
        uint64_t qualification;
        const char *words;
    } cases[] = {
        {call, sizeof(call), LAB_TASK, "task switch: to TSS 0x40 by CALL"},
        {iret, sizeof(iret), 0x40000000 | LAB_TASK_BUSY, "task switch: to TSS 0x48 by IRET"},
        {jump, sizeof(jump), 0x80000000 | LAB_TASK, "task switch: to TSS 0x40 by JMP"},
        {gate, sizeof(gate), 0xc0000000 | LAB_TASK,
         "task switch: to TSS 0x40 by a task gate in the IDT, while delivering software interrupt, vector 65"},
    };
    struct hvctl_guest_state flat = hvctl_guest_flat32(LAB_CODE, LAB_TOP);

    for (unsigned i = 0; i < 4; i++) {
        struct vm_exit exit;

        lab_reset(&lab);
        lab_state(&lab, &flat);
        lab.vm.regs.rflags = 2 | 1 << 14; /* NT, which IRET looks at */
        exit = lab_run(&lab, cases[i].code, cases[i].size);
        check_exit(&exit, 9, cases[i].qualification, cases[i].words, cases[i].words);
        check_equal(exit.length, cases[i].size, "%s: instruction length", cases[i].words);
    }
}

LAB_SNIPPET(nop, "nop\n nop\n nop")
LAB_SNIPPET(spin, "1: jmp 1b")
LAB_SNIPPET(tpr_down, "mov %r9, %cr8\n nop")
LAB_SNIPPET(apic_read, "mov 0x300(%r14), %eax")
LAB_SNIPPET(apic_write, "mov %eax, 0x320(%r14)\n nop")
LAB_SNIPPET(apic_eoi, "mov %eax, 0xb0(%r14)\n nop")

#define INTERRUPTS_ON (2 | 1 << 9)

static void check_events(void)
{
    struct vm_exit exit;
    struct hvctl_vmx_event event;

    lab_reset(&lab);
    lab_require(&lab, HVCTL_PIN_EXTERNAL_INTERRUPT_EXITING);
    exit = lab_ipi(&lab, 0x4055, INTERRUPTS_ON);
    check_exit(&exit, 1, 0, "external interrupt", "external interrupt, left pending");
    check_equal(lab_get(&lab, HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION) >> 31, 0,
                "external interrupt, left pending: interruption information is not valid");
    lab_take_interrupt();

    lab_reset(&lab);
    lab_require(&lab, HVCTL_PIN_EXTERNAL_INTERRUPT_EXITING);
    lab_require(&lab, HVCTL_EXIT_ACKNOWLEDGE_INTERRUPT_ON_EXIT);
    exit = lab_ipi(&lab, 0x4056, INTERRUPTS_ON);
    check_exit(&exit, 1, 0, "external interrupt: external interrupt, vector 86", "external interrupt, acknowledged");
    event = hvctl_vmx_event_decode((uint32_t)lab_get(&lab, HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION), 0);
    check_true(event.valid && event.vector == 0x56 && event.type == HVCTL_EVENT_EXTERNAL_INTERRUPT,
               "external interrupt, acknowledged: decoded");
    lab_apic_write(0xb0, 0);

    lab_reset(&lab);
    lab_require(&lab, HVCTL_PIN_NMI_EXITING);
    exit = lab_ipi(&lab, 0x4400, 2);
    check_exit(&exit, 0, 0, "exception or NMI: NMI", "NMI");
    check_equal(lab_get(&lab, HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION), 0x80000202,
                "NMI: interruption information");

    lab_reset(&lab);
    lab_require(&lab, HVCTL_PRIMARY_INTERRUPT_WINDOW_EXITING);
    lab.vm.regs.rflags = INTERRUPTS_ON;
    exit = lab_run(&lab, LAB_CODE_OF(nop));
    check_exit(&exit, 7, 0, "interrupt window", "interrupt window");
    check_equal(lab.vm.regs.rip, LAB_CODE, "interrupt window: before the first instruction");

    lab_reset(&lab);
    if (lab_require(&lab, HVCTL_PRIMARY_NMI_WINDOW_EXITING)) {
        exit = lab_run(&lab, LAB_CODE_OF(nop));
        check_exit(&exit, 8, 0, "NMI window", "NMI window");
    } else {
        check_skip("this CPU has no virtual NMIs", "NMI window");
    }

    lab_reset(&lab);
    if (lab_require(&lab, HVCTL_PIN_ACTIVATE_VMX_PREEMPTION_TIMER)) {
        lab_put(&lab, HVCTL_VMCS_VMX_PREEMPTION_TIMER_VALUE, 1000);
        exit = lab_run(&lab, LAB_CODE_OF(spin));
        check_exit(&exit, 52, 0, "VMX-preemption timer expired", "preemption timer");
    } else {
        check_skip("this CPU has no preemption timer", "preemption timer");
    }

    lab_reset(&lab);
    if (lab_require(&lab, HVCTL_PRIMARY_MONITOR_TRAP_FLAG)) {
        exit = lab_run(&lab, LAB_CODE_OF(nop));
        check_exit(&exit, 37, 0, "monitor trap flag", "monitor trap flag");
        check_equal(lab.vm.regs.rip, LAB_CODE + 1, "monitor trap flag: behind the first instruction");
        /* A pending MTF VM exit, injected: before the first instruction. SDM vol. 3, "Injection of Pending MTF VM
         * Exits" */
        lab_reset(&lab);
        check_equal(hvctl_vmx_inject(&vmx_control(&lab.vm)->image, vmx_caps(),
                                     hvctl_vmx_event_make(HVCTL_EVENT_OTHER, 0, 0, 0)),
                    HVCTL_OK, "monitor trap flag, injected: the image takes it");
        exit = lab_run(&lab, LAB_CODE_OF(nop));
        check_exit(&exit, 37, 0, "monitor trap flag", "monitor trap flag, injected");
        check_equal(lab.vm.regs.rip, LAB_CODE, "monitor trap flag, injected: before the first instruction");
    } else {
        check_skip("this CPU does not have the control", "monitor trap flag");
    }
}

static void check_apic(void)
{
    struct frames *frames = lab.vm.frames;
    uint8_t *page = frames_page(frames), *access = frames_page(frames);
    struct vm_exit exit;

    check_equal(paging_map(&lab.vm.paging, HVPT_1G, (uintptr_t)access, HVPT_4K, paging_attr(HVPT_READ | HVPT_WRITE)),
                HVPT_OK, "the APIC-access page is mapped");

    lab_reset(&lab);
    if (lab_require(&lab, HVCTL_PRIMARY_USE_TPR_SHADOW)) {
        lab_put(&lab, HVCTL_VMCS_VIRTUAL_APIC_ADDRESS, (uintptr_t)page);
        lab_put(&lab, HVCTL_VMCS_TPR_THRESHOLD, 5);
        page[0x80] = 0x70;
        lab.vm.regs.r9 = 4;
        exit = lab_run(&lab, LAB_CODE_OF(tpr_down));
        check_exit(&exit, 43, 0, "TPR below threshold", "TPR below threshold");
        check_equal(page[0x80], 0x40, "TPR below threshold: the virtual TPR is what the guest wrote");
        check_equal(lab.vm.regs.rip, LAB_CODE + 4, "TPR below threshold: behind the MOV");
        page[0x80] = 0;
    } else {
        check_skip("this CPU does not have the control", "TPR below threshold");
    }

    lab_reset(&lab);
    lab.vm.regs.r14 = HVPT_1G;
    if (lab_require(&lab, HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES)) {
        lab_put(&lab, HVCTL_VMCS_APIC_ACCESS_ADDRESS, (uintptr_t)access);
        exit = lab_run(&lab, LAB_CODE_OF(apic_read));
        check_exit(&exit, 44, 0x300, "APIC access: linear data read at offset 0x300", "APIC access, read");
        exit = lab_run(&lab, LAB_CODE_OF(apic_write));
        check_exit(&exit, 44, 0x1320, "APIC access: linear data write at offset 0x320", "APIC access, write");
    } else {
        check_skip("this CPU does not have the control", "APIC access");
    }

    lab_reset(&lab);
    lab.vm.regs.r14 = HVPT_1G;
    if (lab_require(&lab, HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES)
        && lab_require(&lab, HVCTL_SECONDARY_APIC_REGISTER_VIRTUALIZATION)) {
        lab_put(&lab, HVCTL_VMCS_APIC_ACCESS_ADDRESS, (uintptr_t)access);
        lab_put(&lab, HVCTL_VMCS_VIRTUAL_APIC_ADDRESS, (uintptr_t)page);
        exit = lab_run(&lab, LAB_CODE_OF(apic_write));
        check_exit(&exit, 56, 0x320, "APIC write: offset 0x320", "APIC write");
        check_equal(*(uint32_t *)(void *)(page + 0x320), 0x1a, "APIC write: the value is in the virtual-APIC page");
    } else {
        check_skip("this CPU does not have the controls", "APIC write");
    }

    lab_reset(&lab);
    lab.vm.regs.r14 = HVPT_1G;
    if (lab_require(&lab, HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES)
        && lab_require(&lab, HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY)) {
        lab_put(&lab, HVCTL_VMCS_APIC_ACCESS_ADDRESS, (uintptr_t)access);
        lab_put(&lab, HVCTL_VMCS_VIRTUAL_APIC_ADDRESS, (uintptr_t)page);
        lab_put(&lab, HVCTL_VMCS_EOI_EXIT_BITMAP_1, UINT64_C(1) << (0x61 - 64));
        lab_put(&lab, HVCTL_VMCS_GUEST_INTERRUPT_STATUS, 0x6100); /* SVI: vector 61H is in service */
        page[0x130] = 1 << 1;                                     /* ISR, bits 60H to 7FH */
        exit = lab_run(&lab, LAB_CODE_OF(apic_eoi));
        check_exit(&exit, 45, 0x61, "virtualized EOI: vector 0x61", "virtualized EOI");
        check_equal(page[0x130], 0, "virtualized EOI: the vector is not in service any more");
    } else {
        check_skip("this CPU does not have the controls", "virtualized EOI");
    }
    check_equal(paging_unmap(&lab.vm.paging, HVPT_1G, HVPT_4K), HVPT_OK, "the APIC-access page is unmapped");
    frames_give_page(frames, page);
    frames_give_page(frames, access);
}

LAB_SNIPPET(xsetbv, "xsetbv")
LAB_SNIPPET(getsec, "xor %eax, %eax\n getsec")
LAB_SNIPPET(xsaves, "xsaves 0x40(%rbx)")
LAB_SNIPPET(xrstors, "xrstors (%r8)")
LAB_SNIPPET(mwait_armed, "xor %ecx, %ecx\n xor %edx, %edx\n mov %rbx, %rax\n monitor\n mwait")
LAB_SNIPPET(umwait, ".byte 0xf2, 0x41, 0x0f, 0xae, 0xf1") /* umwait %r9d */
LAB_SNIPPET(tpause, ".byte 0x66, 0x0f, 0xae, 0xf3")       /* tpause %ebx */
LAB_SNIPPET(rdmsrlist, ".byte 0xf2, 0x0f, 0x01, 0xc6")
LAB_SNIPPET(wrmsrlist, ".byte 0xf3, 0x0f, 0x01, 0xc6")
LAB_SNIPPET(store, "mov %rax, (%r8)")

#define CR4_SMXE    (1 << 14)
#define CR4_OSXSAVE (1 << 18)

/* IA32_XSS has a bit that can be 1: without one neither XSAVES nor XRSTORS can exit. */
static bool has_supervisor_state;

static void check_with_cr4(void)
{
    struct vm_exit exit;
    uint64_t address, xss = 0, mtrr = 0;

    lab_reset(&lab);
    lab_put(&lab, HVCTL_VMCS_GUEST_CR4, lab_get(&lab, HVCTL_VMCS_GUEST_CR4) | CR4_OSXSAVE);
    exit = lab_run(&lab, LAB_CODE_OF(xsetbv));
    check_exit(&exit, 55, 0, "XSETBV", "XSETBV");

    lab_reset(&lab);
    if (vmx_caps()->cr4_fixed1 & CR4_SMXE) {
        lab_put(&lab, HVCTL_VMCS_GUEST_CR4, lab_get(&lab, HVCTL_VMCS_GUEST_CR4) | CR4_SMXE);
        exit = lab_run(&lab, LAB_CODE_OF(getsec));
        check_exit(&exit, 11, 0, "GETSEC", "GETSEC");
    } else {
        check_skip("this CPU has no SMX", "GETSEC");
    }

    /* Exits if IA32_XSS, the bitmap and EDX:EAX have a bit in common: CET's, where the CPU has it */
    lab_reset(&lab);
    if (lab_require(&lab, HVCTL_SECONDARY_ENABLE_XSAVES_XRSTORS) && cpu_wrmsr(0xda0, 0x1800) && cpu_rdmsr(0xda0, &xss)
        && xss == 0x1800) {
        has_supervisor_state = true;
        lab_put(&lab, HVCTL_VMCS_XSS_EXITING_BITMAP, 0x800);
        lab_put(&lab, HVCTL_VMCS_GUEST_CR4, lab_get(&lab, HVCTL_VMCS_GUEST_CR4) | CR4_OSXSAVE);
        lab.vm.regs.rax = 0x800;
        lab.vm.regs.rdx = 0;
        exit = lab_run(&lab, LAB_CODE_OF(xsaves));
        check_exit(&exit, 63, 0x40, "XSAVES: displacement 0x40", "XSAVES");
        check_text(operand_words(&address), "memory DS:[RBX + displacement]", "XSAVES: operands in words");
        check_equal(address, LAB_DATA + 0x40, "XSAVES: address of the operand");
        exit = lab_run(&lab, LAB_CODE_OF(xrstors));
        check_exit(&exit, 64, 0, "XRSTORS: displacement 0x0", "XRSTORS");
        check_text(operand_words(&address), "memory DS:[R8 + displacement]", "XRSTORS: operands in words");
        cpu_wrmsr(0xda0, 0);
    } else {
        check_skip("this CPU has no state that only XSAVES saves", "XSAVES and XRSTORS");
    }

    /* MONITOR arms for write-back memory only: say so in the MTRRs, which are off after a start without a BIOS */
    lab_reset(&lab);
    lab_require(&lab, HVCTL_PRIMARY_MWAIT_EXITING);
    cpu_rdmsr(0x2ff, &mtrr);
    cpu_wrmsr(0x2ff, 0x806);
    exit = lab_run(&lab, LAB_CODE_OF(mwait_armed));
    check_exit(&exit, 36, 1, "MWAIT: monitor armed", "MWAIT, armed");
    cpu_wrmsr(0x2ff, mtrr);
}

/* SDM vol. 3, "Instructions That Cause VM Exits Conditionally": UMWAIT and TPAUSE exit as RDTSC does. */
static void check_waits(void)
{
    struct vm_exit exit;
    uint64_t address;

    lab_reset(&lab);
    if (!lab_require(&lab, HVCTL_SECONDARY_ENABLE_USER_WAIT_AND_PAUSE)
        || !lab_require(&lab, HVCTL_PRIMARY_RDTSC_EXITING)) {
        check_skip("this CPU has no UMWAIT and TPAUSE", "UMWAIT and TPAUSE");
        return;
    }
    lab.vm.regs.r9 = 1;
    exit = lab_run(&lab, LAB_CODE_OF(umwait));
    check_exit(&exit, 67, 0, "UMWAIT", "UMWAIT");
    check_equal(exit.length, 5, "UMWAIT: instruction length");
    check_text(operand_words(&address), "register R9", "UMWAIT: operands in words");
    lab_reset(&lab);
    lab_require(&lab, HVCTL_SECONDARY_ENABLE_USER_WAIT_AND_PAUSE);
    lab_require(&lab, HVCTL_PRIMARY_RDTSC_EXITING);
    lab.vm.regs.rbx = 0;
    exit = lab_run(&lab, LAB_CODE_OF(tpause));
    check_exit(&exit, 68, 0, "TPAUSE", "TPAUSE");
    check_equal(exit.length, 4, "TPAUSE: instruction length");
    check_text(operand_words(&address), "register RBX", "TPAUSE: operands in words");
}

/*
 * SDM vol. 3, "Exit Qualification for RDMSRLIST and WRMSRLIST": the MSR's number. RSI: the numbers, RDI: the values, RCX:
 * which of the 64 entries. By MSR bitmaps of ones each MSR exits.
 */
static void check_msr_lists(void)
{
    void *bitmaps = frames_page(lab.vm.frames);
    struct vm_exit exit;

    memset(bitmaps, 0xff, 4096);

    for (unsigned write = 0; write < 2; write++) {
        lab_reset(&lab);
        if (!lab_require(&lab, HVCTL_TERTIARY_ENABLE_MSR_LIST_INSTRUCTIONS)
            || !lab_require(&lab, HVCTL_PRIMARY_USE_MSR_BITMAPS)) {
            check_skip("this CPU has no MSR-list instructions", write ? "WRMSRLIST" : "RDMSRLIST");
            continue;
        }
        lab_put(&lab, HVCTL_VMCS_ADDRESS_OF_MSR_BITMAPS, (uintptr_t)bitmaps);
        *lab_word(&lab, LAB_DATA + 8 * 3) = 0x175;
        *lab_word(&lab, LAB_DATA + 0x200 + 8 * 3) = 0x1000;
        lab.vm.regs.rsi = LAB_DATA;
        lab.vm.regs.rdi = LAB_DATA + 0x200;
        lab.vm.regs.rcx = 1 << 3;
        if (write)
            exit = lab_run(&lab, LAB_CODE_OF(wrmsrlist));
        else
            exit = lab_run(&lab, LAB_CODE_OF(rdmsrlist));
        check_exit(&exit, 78 + write, 0x175, write ? "WRMSRLIST: MSR 0x175" : "RDMSRLIST: MSR 0x175",
                   write ? "WRMSRLIST" : "RDMSRLIST");
        check_equal(lab.vm.regs.rcx, 1 << 3, "%s: RCX still asks for the entry", write ? "WRMSRLIST" : "RDMSRLIST");
        check_equal(exit.length, 4, "%s: instruction length", write ? "WRMSRLIST" : "RDMSRLIST");
    }
    frames_give_page(lab.vm.frames, bitmaps);
}

/* What EPT brings, once each: the suites of EPT look closer. */
static void check_ept(void)
{
    struct frames *frames = lab.vm.frames;
    struct vm_exit exit;
    uint64_t *entry;
    void *log;

    lab_reset(&lab);
    check_equal(paging_map(&lab.vm.paging, HVPT_1G, VM_MEMORY, HVPT_4K, paging_attr(HVPT_READ)), HVPT_OK,
                "EPT: a page that may be read");
    lab.vm.regs.r8 = HVPT_1G + 0x10;
    exit = lab_run(&lab, LAB_CODE_OF(store));
    check_exit(&exit, 48, 0x18a | advanced_information(&lab.vm),
               violation_words("data write; EPT allows read", "guest-physical 0x40000010, linear 0x40000010"),
               "EPT violation");
    entry = paging_entry(&lab.vm.paging, HVPT_1G, 0);
    *entry = (*entry & ~UINT64_C(7)) | 2;
    paging_flush_all(&lab.vm.paging);
    exit = lab_run(&lab, LAB_CODE_OF(store));
    check_equal(exit.reason, 49, "EPT misconfiguration: exit reason");
    check_text(lab_text(&lab), "EPT misconfiguration, guest-physical 0x40000010", "EPT misconfiguration: in words");
    *entry = (*entry & ~UINT64_C(7)) | 1;
    paging_flush_all(&lab.vm.paging);

    lab_reset(&lab);
    log = frames_page(frames);
    if (lab_require(&lab, HVCTL_SECONDARY_ENABLE_PML)) {
        lab_put(&lab, HVCTL_VMCS_EPT_POINTER, paging_root(&lab.vm.paging) | 1 << 6); /* A and D */
        lab_put(&lab, HVCTL_VMCS_PML_ADDRESS, (uintptr_t)log);
        lab_put(&lab, HVCTL_VMCS_PML_INDEX, 0xffff);
        exit = lab_run(&lab, LAB_CODE_OF(store));
        check_exit(&exit, 62, 0, "page-modification log full", "PML full");
    } else {
        check_skip("this CPU has no page-modification logging", "PML full");
    }

    /* A sub-page table that is empty: SDM vol. 3, "Sub-Page Write Permissions", a miss is bit 11 */
    lab_reset(&lab);
    if (lab_require(&lab, HVCTL_SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT)) {
        memset(log, 0, 4096);
        lab_put(&lab, HVCTL_VMCS_SUB_PAGE_PERMISSION_TABLE_POINTER, (uintptr_t)log);
        *entry |= UINT64_C(1) << 61;
        paging_flush_all(&lab.vm.paging);
        lab.vm.regs.r8 = HVPT_1G + 0x10;
        exit = lab_run(&lab, LAB_CODE_OF(store));
        check_equal(exit.reason, 66, "SPP miss: exit reason");
        check_true(hvpt_spp_decode_event(exit.info).miss, "SPP miss: qualification, bit 11");
        check_text(lab_text(&lab), "SPP-related event: SPP miss", "SPP miss: in words");
        *entry &= ~(UINT64_C(1) << 61);
        paging_flush_all(&lab.vm.paging);
    } else {
        check_skip("this CPU has no sub-page write permissions", "SPP miss");
    }
    frames_give_page(frames, log);
    check_equal(paging_unmap(&lab.vm.paging, HVPT_1G, HVPT_4K), HVPT_OK, "EPT: the page is unmapped");
}

static void check_entry_failures(void)
{
    struct hvctl_msr_entry *area = frames_page(lab.vm.frames);
    struct vm_exit exit;

    lab_reset(&lab);
    lab_put(&lab, HVCTL_VMCS_VMCS_LINK_POINTER, 0x1001);
    exit = lab_run(&lab, LAB_CODE_OF(nop));
    check_exit(&exit, 0x80000021, 4, "VM-entry failure: invalid guest state: bad VMCS link pointer",
               "entry failure 33");
    check_equal(exit.kind, VM_EXIT_INVALID, "entry failure 33: the guest did not run");
    lab_reset(&lab);
    area[0].msr = 0xc0000101; /* GS base must not be loaded this way */
    lab_put(&lab, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_ADDRESS, (uintptr_t)area);
    lab_put(&lab, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_COUNT, 1);
    exit = lab_run(&lab, LAB_CODE_OF(nop));
    check_exit(&exit, 0x80000022, 1,
               "VM-entry failure: MSR loading: entry 1 (counted from 1) of the VM-entry MSR-load area",
               "entry failure 34");
    frames_give_page(lab.vm.frames, area);
}

/* Last of all: the INIT stays pending (on Bochs), and every guest after this one would see it, too. */
static void check_init(void)
{
    struct vm_exit exit;

    lab_reset(&lab);
    exit = lab_ipi(&lab, 0x4500, 2);
    check_exit(&exit, 3, 0, "INIT signal", "INIT");
}

/*
 * The reasons that do not come here. needs: it must come on a CPU that has this; HVCTL_NEVER: on none of these
 * machines.
 */
static const struct {
    unsigned reason;
    enum hvctl_vmx_control needs;
    const char *why;
} absent[] = {
    {4, HVCTL_NEVER, "a start-up IPI needs a second CPU: this one waits for it"},
    {5, HVCTL_NEVER, "SMIs exit only under the dual-monitor treatment"},
    {6, HVCTL_NEVER, "SMIs exit only under the dual-monitor treatment"},
    {8, HVCTL_PRIMARY_NMI_WINDOW_EXITING, "no virtual NMIs"},
    {11, HVCTL_NEVER, "no SMX"},
    {17, HVCTL_NEVER, "RSM exits only in SMM"},
    {35, HVCTL_NEVER, "no VM exit fails to complete"},
    {37, HVCTL_PRIMARY_MONITOR_TRAP_FLAG, "no monitor trap flag"},
    {41, HVCTL_NEVER, "no machine check to be had"},
    {42, HVCTL_NEVER, "an SMI in a C-state exits only under SEAM"},
    {43, HVCTL_PRIMARY_USE_TPR_SHADOW, "no TPR shadow"},
    {44, HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES, "no APIC-access page"},
    {45, HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, "no virtual-interrupt delivery"},
    {52, HVCTL_PIN_ACTIVATE_VMX_PREEMPTION_TIMER, "no preemption timer"},
    {56, HVCTL_SECONDARY_APIC_REGISTER_VIRTUALIZATION, "no APIC-register virtualization"},
    {57, HVCTL_SECONDARY_RDRAND_EXITING, "RDRAND cannot be made to exit"},
    {58, HVCTL_SECONDARY_ENABLE_INVPCID, "no INVPCID"},
    {59, HVCTL_SECONDARY_ENABLE_VM_FUNCTIONS, "no VM functions"},
    {60, HVCTL_SECONDARY_ENABLE_ENCLS_EXITING, "no SGX"},
    {61, HVCTL_SECONDARY_RDSEED_EXITING, "RDSEED cannot be made to exit"},
    {62, HVCTL_SECONDARY_ENABLE_PML, "no page-modification logging"},
    {63, HVCTL_SECONDARY_ENABLE_XSAVES_XRSTORS, "no XSAVES, or no state that only it saves"},
    {64, HVCTL_SECONDARY_ENABLE_XSAVES_XRSTORS, "no XRSTORS, or no state that only it restores"},
    {65, HVCTL_SECONDARY_ENABLE_PCONFIG, "no PCONFIG"},
    {66, HVCTL_SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT, "no sub-page write permissions"},
    {67, HVCTL_SECONDARY_ENABLE_USER_WAIT_AND_PAUSE, "no UMWAIT"},
    {68, HVCTL_SECONDARY_ENABLE_USER_WAIT_AND_PAUSE, "no TPAUSE"},
    {69, HVCTL_TERTIARY_LOADIWKEY_EXITING, "no Key Locker"},
    {70, HVCTL_SECONDARY_ENABLE_ENCLV_EXITING, "no SGX"},
    {71, HVCTL_NEVER, "no SGX"},
    {72, HVCTL_SECONDARY_PASID_TRANSLATION, "no ENQCMD"},
    {73, HVCTL_SECONDARY_PASID_TRANSLATION, "no ENQCMDS"},
    {74, HVCTL_SECONDARY_VMM_BUS_LOCK_DETECTION, "no bus-lock detection"},
    {75, HVCTL_SECONDARY_INSTRUCTION_TIMEOUT, "no instruction timeout"},
    {76, HVCTL_NEVER, "no SEAM"},
    {77, HVCTL_NEVER, "no SEAM"},
    {78, HVCTL_TERTIARY_ENABLE_MSR_LIST_INSTRUCTIONS, "no MSR-list instructions"},
    {79, HVCTL_TERTIARY_ENABLE_MSR_LIST_INSTRUCTIONS, "no MSR-list instructions"},
    {80, HVCTL_NEVER, "no user-mode MSR instructions"},
    {81, HVCTL_NEVER, "no user-mode MSR instructions"},
    {84, HVCTL_NEVER, "no immediate forms of MSR instructions"},
    {85, HVCTL_NEVER, "no immediate forms of MSR instructions"},
};

/* A reason that did not come must be in the list, and one that is in the list must not come. */
static void check_reasons(void)
{
    unsigned came = 0;

    for (unsigned reason = 0; reason < 128; reason++) {
        const char *name = hvctl_vmx_exit_reason_name(reason), *why = NULL;

        for (unsigned i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
            if (absent[i].reason == reason
                && (!hvctl_vmx_can(vmx_caps(), absent[i].needs) || ((reason == 63 || reason == 64) && !has_supervisor_state)))
                why = absent[i].why;
        if (name == NULL) {
            if (lab.seen[reason])
                check_true(false, "exit reason %u has a name", reason);
            continue;
        }
        came += lab.seen[reason];
        check_true(lab.seen[reason] == (why == NULL), "exit reason %u, %s: %s", reason, name,
                   why == NULL ? "it came" : "it did not come");
        if (!lab.seen[reason])
            print("did not come: %u %s: %s\n", reason, name, why != NULL ? why : "nobody knows why");
    }
    print("%u exit reasons came\n", came);
}

void suite_hvctl_vmx_exits(struct frames *frames)
{
    check_group("VM exits");
    lab_open(&lab, frames);
    check_instructions();
    check_control_registers();
    check_string_io();
    check_exceptions();
    check_vectoring();
    check_task_switches();
    check_events();
    check_apic();
    check_with_cr4();
    check_waits();
    check_msr_lists();
    check_ept();
    check_entry_failures();
    check_init();
    check_reasons();
    lab_close(&lab);
}
