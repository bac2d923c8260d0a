/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The main job, for a person to read: tables through this kernel's own allocator, a 64-bit and a real-mode guest in them,
 * every exit in words, and all frames back in the end. What is expected of a guest is checked here; the last line says so.
 */
#include "console.h"
#include "cpu.h"
#include "kernel.h"
#include "machine.h"
#include "picture.h"
#include "vm/vm.h"

#define RWX (HVPT_READ | HVPT_WRITE | HVPT_EXEC)

/* The guest's world beside its home: one thing of each kind. */
#define LAZY      UINT64_C(0x00200000) /* not mapped until it is touched */
#define CONSTANTS UINT64_C(0x00201000) /* read-only */
#define PLUGIN    UINT64_C(0x00202000) /* no-execute */
#define HEAP      UINT64_C(0x00400000) /* 8 MiB in 2 MiB pages */
#define ARCHIVE   UINT64_C(0x80000000) /* 1 GiB in one page, where the CPU has such */

static struct frames frames;
static unsigned long exits;
static const char *complaint; /* the first thing that was not as it should be */

static void expect(bool holds, const char *what)
{
    if (!holds && complaint == NULL)
        complaint = what;
}

static void map(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size, uint32_t perm)
{
    enum hvpt_status status = paging_map(&vm->paging, gpa, hpa, size, paging_attr(perm));

    if (status != HVPT_OK)
        panic("map %lx: %s", gpa, hvpt_status_text(status));
}

static struct vm_exit run(struct vm *vm)
{
    struct vm_exit exit = vm_run(vm);
    char words[256];

    vm_exit_text(vm, words, sizeof(words));
    print("  %2lu  ", ++exits);
    print_wrapped(words, 6, 100);
    return exit;
}

static void answer(const char *text)
{
    print("      => %s\n", text);
}

/* The host's answer to CPUID: a vendor of its own, so that the guest can show that it was the host who answered. */
static void answer_cpuid(struct vm *vm, const struct vm_exit *exit)
{
    expect(exit->kind == VM_EXIT_CPUID, "CPUID exits");
    vm->regs.rax = 0;
    vm->regs.rbx = 0x74707668; /* "hvpt" */
    vm->regs.rdx = 0x20736920; /* " is " */
    vm->regs.rcx = 0x65726568; /* "here" */
    vm_skip(vm, exit);
    answer("answered: vendor \"hvpt is here\"");
}

static void demand_page(struct vm *vm, const struct vm_exit *exit, uint64_t gpa, uint64_t hpa)
{
    expect(exit->kind == VM_EXIT_FAULT && exit->gpa == gpa && exit->read, "the access to nothing faults as a read");
    map(vm, gpa & ~(HVPT_4K - 1), hpa, HVPT_4K, HVPT_READ | HVPT_WRITE);
    answer("mapped a 4 KiB page there; the guest goes on");
}

static void long_mode_guest(struct vm *vm)
{
    const uint64_t *note = vm_host_word(VM_HOME + GUEST_NOTE);
    uint64_t archive = ARCHIVE + 0x12345678;
    uint64_t lazy_word = vm_tag(VM_MEMORY), heap_word = vm_tag(VM_MEMORY + HVPT_2M + 0x345678);
    uint64_t archive_word = vm_tag(VM_GIANT + 0x12345678);
    struct vm_exit exit;
    enum hvpt_status status;

    *(uint8_t *)(uintptr_t)(VM_MEMORY + 2 * HVPT_4K) = 0xc3; /* the plug-in: RET */
    print("\nA 64-bit guest\n");
    vm_start_long(vm);
    vm->regs.rip = guest_entry(&vm->guest, PIECE_STORY);
    vm->regs.rdi = GUEST_NOTE;
    vm->regs.rsi = LAZY;
    vm->regs.r8 = CONSTANTS;
    vm->regs.r9 = PLUGIN;
    vm->regs.r10 = HEAP + 0x345678;
    vm->regs.r11 = archive;

    exit = run(vm);
    answer_cpuid(vm, &exit);

    exit = run(vm);
    demand_page(vm, &exit, LAZY, VM_MEMORY);

    exit = run(vm);
    expect(exit.kind == VM_EXIT_FAULT && exit.gpa == CONSTANTS && exit.write, "the write to a read-only page faults");
    status = paging_protect(&vm->paging, CONSTANTS, HVPT_4K, HVPT_READ | HVPT_WRITE);
    expect(status == HVPT_OK, "protect");
    answer("made the page writable; the guest goes on");

    exit = run(vm);
    expect(exit.kind == VM_EXIT_FAULT && exit.gpa == PLUGIN && exit.fetch, "the fetch from a no-execute page faults");
    status = paging_protect(&vm->paging, PLUGIN, HVPT_4K, HVPT_READ | HVPT_EXEC);
    expect(status == HVPT_OK, "protect");
    answer("made the page executable, and read-only; the guest goes on");

    exit = run(vm);
    expect(exit.kind == VM_EXIT_HLT, "HLT exits");
    vm_skip(vm, &exit);
    answer("nothing to wait for; the guest goes on");

    exit = run(vm);
    expect(exit.kind == VM_EXIT_CALL && vm->regs.rax == 0x600d, "the guest reports that it is done");
    answer("the guest is done");

    expect(note[0] == UINT64_C(0x2073692074707668), "the guest has the host's CPUID");
    expect(note[2] == lazy_word, "the guest read the page mapped on demand");
    expect(*vm_host_word(VM_MEMORY + HVPT_4K) == lazy_word, "the guest's write arrived");
    expect(note[3] == heap_word, "the guest read through a 2 MiB page");
    expect(note[4] == archive_word, "the guest read through the largest page");
    print("  In its memory: vendor \"%s\"; the words it read through 4K, 2M and %s pages %s\n", (const char *)note,
          paging_largest_page(&vm->paging) == HVPT_1G ? "1G" : "2M",
          complaint == NULL ? "are the host's." : "are NOT the host's.");
}

static void real_mode_guest(struct vm *vm)
{
    const char *text = (const char *)vm->guest.memory + GUEST_NOTE;
    struct vm_exit exit;

    print("\nA real-mode guest (paging and protection off)\n");
    if (paging_unmap(&vm->paging, 0xa000, HVPT_4K) != HVPT_OK)
        panic("unmap");
    *vm_host_word(VM_MEMORY + 3 * HVPT_4K) = 0xbeef;
    vm_start_real(vm, PIECE_REAL);

    exit = run(vm);
    answer_cpuid(vm, &exit);
    exit = run(vm);
    demand_page(vm, &exit, 0xa000, VM_MEMORY + 3 * HVPT_4K);
    exit = run(vm);
    expect(exit.kind == VM_EXIT_CALL && (vm->regs.rbx & 0xffff) == 0xbeef, "the real-mode guest read its page");
    vm_skip(vm, &exit);
    answer("the guest goes on");
    exit = run(vm);
    expect(exit.kind == VM_EXIT_HLT, "HLT exits");
    answer("the guest is done");
    expect(text[0] == 'r' && text[1] == 'e' && text[2] == 'a' && text[3] == 'l',
           "the real-mode guest wrote its string");
    print("  In its memory: \"%c%c%c%c\", written by STOSW to 0000:9000.\n", text[0], text[1], text[2], text[3]);
}

void kernel_main(void)
{
    struct vm vm;
    const char *missing;

    frames_init(&frames);
    print("%s, %u-bit physical addresses\n", cpu_brand(), cpu_physical_address_bits());
    missing = vm_enable();
    if (missing != NULL) {
        print("result: bad: %s\n", missing);
        return;
    }
    vm_create(&vm, &frames, NULL);
    map(&vm, CONSTANTS, VM_MEMORY + HVPT_4K, HVPT_4K, HVPT_READ);
    map(&vm, PLUGIN, VM_MEMORY + 2 * HVPT_4K, HVPT_4K, HVPT_READ | HVPT_WRITE);
    map(&vm, HEAP, VM_MEMORY + HVPT_2M, 4 * HVPT_2M, HVPT_READ | HVPT_WRITE);
    map(&vm, ARCHIVE, VM_GIANT, HVPT_1G, HVPT_READ);
    vm_print_controls(&vm);

    print("\n%s, %u levels: guest-physical -> host-physical\n",
          vm.paging.npt ? "Nested page tables" : "Extended page tables", vm.paging.levels);
    picture_print(&vm.paging);

    long_mode_guest(&vm);
    real_mode_guest(&vm);

    print("\nThe tables afterwards\n");
    picture_print(&vm.paging);
    vm_destroy(&vm);
    vm_disable();
    print(
        "\nFrames: %lu handed out, at most %u at once; %lu came back, %u are held; %u came back twice, %u were not ours\n",
        frames.allocated, frames.peak, frames.given_back, frames.held, frames.double_free, frames.foreign_free);
    expect(frames.held == 0 && frames.double_free == 0 && frames.foreign_free == 0, "every frame came back, once");
    if (complaint != NULL)
        print("result: bad: this does not hold: %s\n", complaint);
    else
        print("result: good: 64-bit and real-mode guest, %lu exits, all %lu frames came back\n", exits,
              frames.allocated);
}
