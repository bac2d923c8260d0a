/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What is done about an exit, and the profile of all of them. */
#include "console.h"
#include "machine.h"
#include "thinhv.h"

static void answer_fault(struct vcpu *vcpu, const struct exit *exit)
{
    struct words words;

    if (exit->gpa >= HYPERVISOR_START && exit->gpa < HYPERVISOR_END) {
        say("refused: the hypervisor's memory: %s", exit_words(&words, vcpu));
        __atomic_add_fetch(&work_refused, 1, __ATOMIC_RELAXED);
        arch_refuse(vcpu, exit);
        return;
    }
    if (!work_fault(vcpu, exit))
        panic("a fault that nobody foresaw: %s", exit_words(&words, vcpu));
}

void exit_handle(struct vcpu *vcpu, const struct exit *exit)
{
    struct words words;

    switch (exit->kind) {
    case EXIT_FAULT: answer_fault(vcpu, exit); break;
    case EXIT_SETTLED: break;
    case EXIT_CALL:
        if (option(image, "work", NULL)) {
            work_call(vcpu);
            arch_advance(vcpu);
        } else {
            arch_refuse_call(vcpu);
        }
        break;
    case EXIT_DEAD:
        say("CPU %u ends: %s", vcpu->id, exit_words(&words, vcpu));
        profile_print();
        print("---- kernel ends ----\n");
        machine_end();
    default:
        if (!arch_exit(vcpu, exit))
            panic("CPU %u: an exit that nobody foresaw: %s", vcpu->id, exit_words(&words, vcpu));
    }
}

/* Most frequent first: all CPUs, then each. Another CPU may go on meanwhile, so it is of one moment. */
void profile_print(void)
{
    static unsigned long counts[MAX_CPUS][ARCH_REASONS];
    unsigned long total = 0;

    for (unsigned i = 0; i < MAX_CPUS; i++)
        for (unsigned reason = 0; reason < ARCH_REASONS; reason++) {
            counts[i][reason] = vcpus[i].counts[reason];
            total += counts[i][reason];
        }
    say("exit profile: %lu exits", total);
    for (;;) {
        unsigned long most = 0;
        unsigned which = 0;

        for (unsigned reason = 0; reason < ARCH_REASONS; reason++)
            if (counts[0][reason] + counts[1][reason] > most)
                most = counts[0][reason] + counts[1][reason], which = reason;
        if (most == 0)
            return;
        if (cpus > 1)
            say("  %7lu = %6lu + %6lu  %s", most, counts[0][which], counts[1][which], arch_reason(which));
        else
            say("  %7lu  %s", most, arch_reason(which));
        counts[0][which] = counts[1][which] = 0;
    }
}
