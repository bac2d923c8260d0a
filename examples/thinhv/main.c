/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The way of the whole: find the kernel, turn virtualization on, build the second level, start each CPU in the guest,
 * and answer its exits until it ends.
 */
#include "thinhv.h"

#include <hvctl/cpu/x86.h>

#include "console.h"
#include "cpu.h"
#include "exceptions.h"
#include "kernel.h"
#include "machine.h"

const struct image *image;
const struct vendor *vendor;
struct vcpu vcpus[MAX_CPUS];
unsigned cpus = 1;

static bool second_ready;
static struct hvctl_cpu_ops the_ops;
const struct hvctl_cpu_ops *const cpu_ops = &the_ops;

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

const char *exit_words(struct words *words, struct vcpu *vcpu)
{
    words->text = hvpt_text_into(&words->buffer, words->bytes, sizeof(words->bytes));
    vendor->describe(vcpu, &words->text);
    return words->bytes;
}

/*
 * Entry and exit, for ever. in_guest is set before memory_flushes is read, and memory.c's flush does it the other way
 * round: one of the two sees the other.
 */
static _Noreturn void run(struct vcpu *vcpu)
{
    for (;;) {
        struct exit exit;
        uint32_t flushes;

        __atomic_store_n(&vcpu->in_guest, true, __ATOMIC_SEQ_CST);
        flushes = __atomic_load_n(&memory_flushes, __ATOMIC_SEQ_CST);
        if (vcpu->flushes != flushes) {
            vendor->flush(vcpu);
            __atomic_store_n(&vcpu->flushes, flushes, __ATOMIC_SEQ_CST);
        }
        exit = vendor->run(vcpu);
        __atomic_store_n(&vcpu->in_guest, false, __ATOMIC_SEQ_CST);
        vcpu->exits++;
        vcpu->counts[exit.reason < REASONS ? exit.reason : REASONS - 1]++;
        exit_handle(vcpu, &exit);
    }
}

static void prepare(struct vcpu *vcpu, const struct start *where)
{
    struct hvctl_guest_state state = hvctl_guest_long64(where->cr3, where->rip, 0);

    vendor->prepare(vcpu, &state);
    vcpu->regs.gpr[HVCTL_RSI] = where->rsi;
}

void second_cpu(void)
{
    struct start where = firmware_park(1);

    exceptions_init();
    firmware_cpu(image);
    vendor->enable(&vcpus[1]);
    prepare(&vcpus[1], &where);
    __atomic_store_n(&second_ready, true, __ATOMIC_RELEASE);
    run(&vcpus[1]);
}

void kernel_main(void)
{
    struct start linux;
    uint64_t count = 1;

    image = firmware_image();
    if (image == NULL)
        panic("no boot image, neither at %lx nor on a disk", IMAGE);
    firmware_cpu(image);
    if (option(image, "cpus", &count))
        cpus = count < MAX_CPUS ? (unsigned)count : MAX_CPUS;
    if (!firmware_load_linux(image, cpus, &linux))
        panic("this is not a kernel with a 64-bit entry");
    if (option(image, "bare", NULL)) {
        say("%s; without a hypervisor: Linux begins", cpu_brand());
        firmware_jump(&linux);
    }

    the_ops = hvctl_x86_cpu_ops();
    the_ops.rdmsr = firmware_rdmsr;
    the_ops.wrmsr = firmware_wrmsr;
    exceptions_ignore_nmi(); /* they are memory.c's, and may come late */
    vendor = cpu_vendor() == CPU_INTEL ? &vmx_vendor : &svm_vendor;
    for (unsigned i = 0; i < cpus; i++)
        vcpus[i].id = i;
    vendor->enable(&vcpus[0]);
    memory_build();
    prepare(&vcpus[0], &linux);
    if (cpus > 1) { /* it enables and prepares while this one waits: what the vendor's file shares has no lock */
        firmware_start_cpu(1);
        while (!__atomic_load_n(&second_ready, __ATOMIC_ACQUIRE))
            __asm__ volatile("pause");
    }
    say("%s, %s, %u CPU%s: Linux begins", cpu_brand(), vendor->format, cpus, cpus > 1 ? "s" : "");
    run(&vcpus[0]);
}
