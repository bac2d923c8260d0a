/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What is done about an exit: CPUID, MSRs, XSETBV, faults of the second level; and the profile of all of them. */
#include <hvctl/common/guest_cpuid.h>
#include <hvpt/text.h>

#include "console.h"
#include "cpu.h"
#include "machine.h"
#include "thinhv.h"

enum { UD = 6, GP = 13 };

static uint64_t *gpr(struct vcpu *vcpu, enum hvctl_gpr number)
{
    return &vcpu->regs.gpr[number];
}

/* The machine's own answer but for what the hypervisor keeps, and what the emulators say about themselves wrongly. */
static void answer_cpuid(struct vcpu *vcpu)
{
    uint32_t leaf = (uint32_t)*gpr(vcpu, HVCTL_RAX), subleaf = (uint32_t)*gpr(vcpu, HVCTL_RCX);
    struct hvctl_cpuid id =
        hvctl_guest_cpuid(leaf, subleaf, cpu_ops->cpuid(cpu_ops->ctx, leaf, subleaf), vendor->cr4(vcpu));

    if (leaf == 1)
        id.ecx &= ~(UINT32_C(1) << 21); /* x2APIC: memory.c sends its NMIs through the LAPIC's page */
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

static void answer_fault(struct vcpu *vcpu, const struct exit *exit)
{
    struct words words;

    if (exit->gpa >= HYPERVISOR_START && exit->gpa < HYPERVISOR_END) {
        say("refused: the hypervisor's memory: %s", exit_words(&words, vcpu));
        __atomic_add_fetch(&work_refused, 1, __ATOMIC_RELAXED);
        vendor->inject(vcpu, GP);
        return;
    }
    if (!work_fault(vcpu, exit))
        panic("a fault that nobody foresaw: %s", exit_words(&words, vcpu));
}

void exit_handle(struct vcpu *vcpu, const struct exit *exit)
{
    struct words words;

    switch (exit->kind) {
    case EXIT_CPUID: answer_cpuid(vcpu); break;
    case EXIT_RDMSR: answer_msr(vcpu, false); break;
    case EXIT_WRMSR: answer_msr(vcpu, true); break;
    case EXIT_XSETBV: set_xcr(vcpu); break;
    case EXIT_FAULT: answer_fault(vcpu, exit); break;
    case EXIT_SETTLED: break;
    case EXIT_CALL:
        if (option(image, "work", NULL)) {
            work_call(vcpu);
            vendor->advance(vcpu);
        } else {
            vendor->inject(vcpu, UD);
        }
        break;
    case EXIT_DEAD:
        say("CPU %u ends: %s", vcpu->id, exit_words(&words, vcpu));
        profile_print();
        print("---- kernel ends ----\n");
        machine_end();
    default: panic("CPU %u: an exit that nobody foresaw: %s", vcpu->id, exit_words(&words, vcpu));
    }
}

/* Most frequent first: all CPUs, then each. */
void profile_print(void)
{
    say("exit profile: %lu exits", vcpus[0].exits + vcpus[1].exits);
    for (;;) {
        unsigned long most = 0;
        unsigned which = 0;

        for (unsigned reason = 0; reason < REASONS; reason++) {
            unsigned long count = vcpus[0].counts[reason] + vcpus[1].counts[reason];

            if (count > most)
                most = count, which = reason;
        }
        if (most == 0)
            return;
        if (cpus > 1)
            say("  %7lu = %6lu + %6lu  %s", most, vcpus[0].counts[which], vcpus[1].counts[which],
                vendor->reason(which));
        else
            say("  %7lu  %s", most, vendor->reason(which));
        vcpus[0].counts[which] = vcpus[1].counts[which] = 0;
    }
}
