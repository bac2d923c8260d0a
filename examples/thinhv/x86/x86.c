/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * x86, whichever vendor's: the start of its CPUs, the second level by the MTRRs, the flush that reaches every CPU, and
 * exits that are no fault: CPUID, MSRs, XSETBV.
 */
#include <hvctl/common/guest_cpuid.h>
#include <hvctl/cpu/x86.h>
#include <hvpt/x86/map_by_mtrr.h>

#include "console.h"
#include "cpu.h"
#include "exceptions.h"
#include "machine.h"
#include "x86.h"

const struct vendor *vendor;

static struct hvctl_cpu_ops the_ops;
const struct hvctl_cpu_ops *const cpu_ops = &the_ops;
static bool second_ready;
static struct hvpt_mtrr mtrr;
static uint32_t flushes; /* counts demands on all CPUs to flush */

void expect(enum hvctl_status status, const char *what)
{
    if (status != HVCTL_OK)
        panic("%s: %s", what, hvctl_status_text(status));
}

void expect_kept(const struct hvctl_report *report)
{
    for (unsigned i = 0; i < hvctl_report_listed(report); i++) {
        struct words words;

        words.text = hvpt_text_into(&words.buffer, words.bytes, sizeof(words.bytes));
        hvctl_violation_text(&report->violation[i], &words.text);
        say("the entry will fail: %s", words.bytes);
    }
    if (report->broken != 0)
        panic("%u rules are broken", report->broken);
}

/* ---- CPUs ---- */

const char *arch_cpu(void)
{
    return cpu_brand();
}

const char *arch_format(void)
{
    return vendor->format;
}

void arch_enable(struct vcpu *vcpu)
{
    if (vcpu->id == 0) {
        the_ops = hvctl_x86_cpu_ops();
        the_ops.rdmsr = firmware_rdmsr;
        the_ops.wrmsr = firmware_wrmsr;
        exceptions_ignore_nmi(); /* they are arch_flush's, and may come late */
        vendor = cpu_vendor() == CPU_INTEL ? &vmx_vendor : &svm_vendor;
    }
    vendor->enable(vcpu);
}

void arch_prepare(struct vcpu *vcpu, const struct start *start)
{
    struct hvctl_guest_state state = hvctl_guest_long64(start->arguments[1], start->pc, 0);

    vendor->prepare(vcpu, &state);
    vcpu->arch.regs.gpr[HVCTL_RSI] = start->arguments[0];
}

void second_cpu(void)
{
    struct start where = firmware_park(1);

    exceptions_init();
    firmware_cpu(image);
    arch_enable(&vcpus[1]);
    arch_prepare(&vcpus[1], &where);
    __atomic_store_n(&second_ready, true, __ATOMIC_RELEASE);
    run_cpu(&vcpus[1]);
}

/* The second one enables and prepares while this one waits: what the vendor's file shares has no lock. */
void arch_start_others(void)
{
    if (cpus == 1)
        return;
    firmware_start_cpu(1);
    while (!__atomic_load_n(&second_ready, __ATOMIC_ACQUIRE))
        arch_pause();
}

/* ---- the second level ---- */

enum hvpt_status arch_open(struct hvpt_space *out, const struct hvpt_hooks *hooks, uint64_t max_page_size)
{
    return vendor->open(out, hooks, max_page_size);
}

static void print_memory_types(void)
{
    struct hvpt_memtype_range range = {0, 0, HVPT_MEM_UC, false};
    char line[200];
    size_t length = 0;

    while (hvpt_mtrr_next(&mtrr, &range) && length < sizeof(line) - 40)
        length += print_to(line + length, sizeof(line) - length, " %lx %s", range.start, hvpt_memtype_text(range.type));
    say("memory types from:%s", line);
}

enum hvpt_status arch_map(struct hvpt_space *in, uint32_t perm, struct hvpt_flush *flush)
{
    struct hvpt_attr attr = {perm, HVPT_MEM_UC, 0, 0}; /* the memory type is the MTRRs' to say */

    return hvpt_memtype_map_identity(in, &mtrr, UINT64_C(1) << 32, attr, flush);
}

void arch_read_memory_map(void)
{
    enum hvpt_status status = hvpt_mtrr_read(&mtrr, cpu_ops->rdmsr, cpu_ops->ctx, cpu_physical_address_bits(), 0);

    if (status != HVPT_OK)
        panic("MTRRs: %s", hvpt_status_text(status));
    print_memory_types();
}

struct hvpt_attr arch_attr(uint64_t address)
{
    struct hvpt_attr attr = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, hvpt_mtrr_type(&mtrr, hvpt_make_hpa(address)), 0, 0};

    return attr;
}

/*
 * No CPU may translate by what was, once this returns. Those in the host flush before they enter the guest again
 * (arch_run); the others are sent there, again and again: an NMI that arrives just before an entry is lost on the host.
 */
void arch_flush(void *ctx, const struct hvpt_flush *flush)
{
    uint32_t now = __atomic_add_fetch(&flushes, 1, __ATOMIC_SEQ_CST);

    (void)ctx;
    (void)flush;
    for (unsigned i = 0; i < cpus; i++) {
        struct vcpu *other = &vcpus[i];

        for (unsigned long spin = 0; __atomic_load_n(&other->arch.in_guest, __ATOMIC_SEQ_CST); spin++) {
            if ((int32_t)(__atomic_load_n(&other->arch.flushes, __ATOMIC_SEQ_CST) - now) >= 0)
                break;
            if (spin % 100000 == 0)
                firmware_nmi(i);
            arch_pause();
        }
    }
}

bool arch_see_view(struct vcpu *vcpu)
{
    vendor->flush(vcpu);
    return true;
}

bool arch_has_log(void)
{
    return vendor->has_log;
}

void arch_code_written(uint64_t address, uint64_t size)
{
    (void)address; /* fetches see what is written */
    (void)size;
}

/* ---- exits ---- */

/* in_guest is set before flushes is read, and arch_flush does it the other way round: one of the two sees the other. */
struct exit arch_run(struct vcpu *vcpu)
{
    struct exit exit;
    uint32_t now;

    __atomic_store_n(&vcpu->arch.in_guest, true, __ATOMIC_SEQ_CST);
    now = __atomic_load_n(&flushes, __ATOMIC_SEQ_CST);
    if (vcpu->arch.flushes != now) {
        vendor->flush(vcpu);
        __atomic_store_n(&vcpu->arch.flushes, now, __ATOMIC_SEQ_CST);
    }
    exit = vendor->run(vcpu);
    __atomic_store_n(&vcpu->arch.in_guest, false, __ATOMIC_SEQ_CST);
    return exit;
}

enum { UD = 6, GP = 13 };

static uint64_t *gpr(struct vcpu *vcpu, enum hvctl_gpr number)
{
    return &vcpu->arch.regs.gpr[number];
}

/* The machine's own answer but for what the hypervisor keeps, and what the emulators say about themselves wrongly. */
static void answer_cpuid(struct vcpu *vcpu)
{
    uint32_t leaf = (uint32_t)*gpr(vcpu, HVCTL_RAX), subleaf = (uint32_t)*gpr(vcpu, HVCTL_RCX);
    struct hvctl_cpuid id =
        hvctl_guest_cpuid(leaf, subleaf, cpu_ops->cpuid(cpu_ops->ctx, leaf, subleaf), vendor->cr4(vcpu));
    enum { MCG_CAP = 0x179 };
    uint64_t value;

    if (leaf == 1 && !cpu_ops->rdmsr(cpu_ops->ctx, MCG_CAP, &value))
        id.edx &=
            ~(UINT32_C(1) << 7 | UINT32_C(1) << 14); /* MCE, MCA: Bochs has no such MSRs, and Linux panics for them */
    if (leaf == 1)
        id.ecx &= ~(UINT32_C(1) << 21); /* x2APIC: arch_flush sends its NMIs through the LAPIC's page */
    if (leaf == 0x80000001)
        id.ecx &= ~(UINT32_C(1) << 29); /* MWAITX: Bochs never wakes from its timer */
    if (leaf == 0x15 || leaf == 0x16)
        id.eax = id.ebx = id.ecx = id.edx = 0; /* frequencies: an emulator's clock keeps to none of them */
    *gpr(vcpu, HVCTL_RAX) = id.eax;
    *gpr(vcpu, HVCTL_RBX) = id.ebx;
    *gpr(vcpu, HVCTL_RCX) = id.ecx;
    *gpr(vcpu, HVCTL_RDX) = id.edx;
    vendor->advance(vcpu);
}

/*
 * MSRs come here that are the hypervisor's, that the permission map does not cover, or that this CPU lacks: the guest
 * gets the #GP that an MSR that does not exist raises.
 */
static void answer_msr(struct vcpu *vcpu, bool write)
{
    enum { MISC_ENABLE = 0x1a0 };

    if ((uint32_t)*gpr(vcpu, HVCTL_RCX) != MISC_ENABLE) {
        vendor->inject(vcpu, GP);
        return;
    }
    if (!write) { /* Linux reads it before it can handle a fault: fast strings; no BTS, no PEBS */
        *gpr(vcpu, HVCTL_RAX) = 1 | 1 << 11 | 1 << 12;
        *gpr(vcpu, HVCTL_RDX) = 0;
    }
    vendor->advance(vcpu);
}

/* XCR0 is the guest's: nothing on the host uses what it enables. The CPU judges the value. */
static void set_xcr(struct vcpu *vcpu)
{
    uint32_t low = (uint32_t)*gpr(vcpu, HVCTL_RAX), high = (uint32_t)*gpr(vcpu, HVCTL_RDX);

    cpu_ops->write_cr4(cpu_ops->ctx, cpu_ops->read_cr4(cpu_ops->ctx) | HVCTL_CR4_OSXSAVE);
    if (cpu_xsetbv((uint32_t)*gpr(vcpu, HVCTL_RCX), low, high))
        vendor->advance(vcpu);
    else
        vendor->inject(vcpu, GP);
}

bool arch_exit(struct vcpu *vcpu, const struct exit *exit)
{
    switch ((int)exit->kind) {
    case EXIT_CPUID: answer_cpuid(vcpu); return true;
    case EXIT_RDMSR: answer_msr(vcpu, false); return true;
    case EXIT_WRMSR: answer_msr(vcpu, true); return true;
    case EXIT_XSETBV: set_xcr(vcpu); return true;
    default: return false;
    }
}

void arch_advance(struct vcpu *vcpu)
{
    vendor->advance(vcpu);
}

void arch_refuse(struct vcpu *vcpu, const struct exit *exit)
{
    (void)exit;
    vendor->inject(vcpu, GP);
}

void arch_refuse_call(struct vcpu *vcpu)
{
    vendor->inject(vcpu, UD);
}

uint64_t *arch_argument(struct vcpu *vcpu, unsigned number)
{
    static const enum hvctl_gpr where[] = {HVCTL_RAX, HVCTL_RBX, HVCTL_RCX};

    return gpr(vcpu, where[number]);
}

void arch_describe(struct vcpu *vcpu, const struct hvpt_text *text)
{
    vendor->describe(vcpu, text);
}

const char *arch_reason(unsigned reason)
{
    return vendor->reason(reason);
}
