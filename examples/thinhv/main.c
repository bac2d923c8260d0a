/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The way of the whole: find the kernel, turn virtualization on, build the second level, start the first CPU in the
 * guest, and answer its exits until it ends.
 */
#include "console.h"
#include "kernel.h"
#include "machine.h"
#include "thinhv.h"

const struct image *image;
struct vcpu vcpus[MAX_CPUS];
unsigned cpus = 1;

const char *exit_words(struct words *words, struct vcpu *vcpu)
{
    words->text = hvpt_text_into(&words->buffer, words->bytes, sizeof(words->bytes));
    arch_describe(vcpu, &words->text);
    return words->bytes;
}

_Noreturn void run_cpu(struct vcpu *vcpu)
{
    for (;;) {
        struct exit exit = arch_run(vcpu);

        vcpu->counts[exit.reason < ARCH_REASONS ? exit.reason : ARCH_REASONS - 1]++;
        exit_handle(vcpu, &exit);
    }
}

void kernel_main(void)
{
    struct start kernel;
    uint64_t count = 1;

    image = arch_image();
    if (image == NULL)
        panic("no boot image");
    if (option(image, "cpus", &count))
        cpus = count < MAX_CPUS ? (unsigned)count : MAX_CPUS;
    arch_load_linux(&kernel);
    if (option(image, "bare", NULL)) {
        say("%s; without a hypervisor: Linux begins", arch_cpu());
        arch_jump(&kernel);
    }

    for (unsigned i = 0; i < MAX_CPUS; i++)
        vcpus[i].id = i;
    arch_enable(&vcpus[0]);
    memory_build();
    arch_prepare(&vcpus[0], &kernel);
    arch_start_others();
    say("%s, %s, %u CPU%s: Linux begins", arch_cpu(), arch_format(), cpus, cpus > 1 ? "s" : "");
    run_cpu(&vcpus[0]);
}
