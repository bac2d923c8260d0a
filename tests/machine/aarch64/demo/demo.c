/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The main job on Arm, for a person to read: stage 2 tables through this kernel's own allocator, a guest at EL1 in
 * them, every
 * exit in words, and all frames back in the end. What is expected of the guest is checked here.
 */
#include "console.h"
#include "cpu.h"
#include "kernel.h"
#include "machine.h"
#include "picture.h"
#include "vm/vm.h"

/* The guest's world beside its home: one thing of each kind. */
#define LAZY      UINT64_C(0x00200000) /* not mapped until it is touched */
#define CONSTANTS UINT64_C(0x00201000) /* read-only */
#define PLUGIN    UINT64_C(0x00202000) /* no-execute */
#define HEAP      UINT64_C(0x00400000) /* 8 MiB in 2 MiB blocks, joined by the contiguous bit where sixteen fit */
#define VIDEO     UINT64_C(0x10000000) /* 64 KiB of write-combining memory, one contiguous run */
#define ARCHIVE   UINT64_C(0x80000000) /* 1 GiB in one block */

#define RW (HVPT_READ | HVPT_WRITE)

static struct frames frames;
static const char *complaint; /* the first thing that was not as it should be */

static void expect(bool holds, const char *what)
{
    if (!holds && complaint == NULL)
        complaint = what;
}

static void map(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr)
{
    enum hvpt_status status = paging_map(&vm->paging, gpa, hpa, size, attr);

    if (status != HVPT_OK)
        panic("map %lx: %s", gpa, hvpt_status_text(status));
}

/* The next exit must have this syndrome, and be for this address if it is a fault. */
static void expect_exit(struct vm *vm, uint64_t esr, uint64_t gpa, const char *what, const char *answer)
{
    struct vm_exit exit = vm_run(vm);

    print("  %2lu  ESR_EL2 %08lx", vm->exits, exit.esr);
    if (exit.kind == VM_EXIT_FAULT)
        print(", FAR_EL2 %lx", exit.far);
    print(": %s\n      => %s\n", what, answer);
    expect(exit.esr == esr && (gpa == 0 || exit.far == gpa), what);
}

static void run_guest(struct vm *vm)
{
    uint64_t lazy = vm_tag(VM_MEMORY), heap = vm_tag(VM_MEMORY + HVPT_2M + 0x345678),
             archive = vm_tag(VM_GIANT + 0x12345678);

    vm_tag(VM_MEMORY + 2 * HVPT_4K); /* the plug-in returns at once */
    vm->regs.pc = guest_entry(guest_story);
    vm->regs.pstate = 0x3c5; /* EL1, interrupts masked */
    vm->regs.x[0] = LAZY;
    vm->regs.x[1] = CONSTANTS;
    vm->regs.x[2] = PLUGIN;
    vm->regs.x[3] = HEAP + 0x345678;
    vm->regs.x[4] = ARCHIVE + 0x12345678;

    print("\nA guest at EL1\n");
    expect_exit(vm, 0x93c58007, LAZY, "a load where nothing is mapped", "mapped a 4 KiB page there; the guest goes on");
    map(vm, LAZY, VM_MEMORY, HVPT_4K, paging_attr(RW));
    expect_exit(vm, 0x93c5804f, CONSTANTS, "a store to a read-only page", "made the page writable");
    expect(paging_protect(&vm->paging, CONSTANTS, HVPT_4K, RW) == HVPT_OK, "protect");
    expect_exit(vm, 0x8200000f, PLUGIN, "a fetch from a no-execute page", "made it executable, and read-only");
    expect(paging_protect(&vm->paging, PLUGIN, HVPT_4K, HVPT_READ | HVPT_EXEC) == HVPT_OK, "protect");
    expect_exit(vm, 0x07e00000, 0, "WFI", "nothing to wait for");
    vm->regs.pc += 4;
    expect_exit(vm, 0x5a000004, 0, "HVC 4", "the guest is done");

    expect(vm->regs.x[5] == lazy, "the guest read the page mapped on demand");
    expect(*vm_host_word(VM_MEMORY + HVPT_4K) == lazy, "the guest's write arrived");
    expect(vm->regs.x[6] == heap, "the guest read through a 2 MiB block");
    expect(vm->regs.x[7] == archive, "the guest read through a 1 GiB block");
    print("  The words it read through 4K, 2M and 1G %s\n",
          complaint == NULL ? "are the host's." : "are NOT the host's.");
}

void kernel_main(void)
{
    static const struct paging_options options = {12, 0, 0, 0, HVPT_S2_USE_CONTIGUOUS | HVPT_S2_USE_HARDWARE_AF, 0};
    struct hvpt_attr combining = {RW, HVPT_MEM_WC, 0, 0};
    struct vm vm;

    frames_init(&frames);
    if (vm_create(&vm, &frames, &options) != HVPT_OK) {
        print("result: bad: the processor lacks what this asks for\n");
        return;
    }
    map(&vm, CONSTANTS, VM_MEMORY + HVPT_4K, HVPT_4K, paging_attr(HVPT_READ));
    map(&vm, PLUGIN, VM_MEMORY + 2 * HVPT_4K, HVPT_4K, paging_attr(RW));
    map(&vm, HEAP, VM_MEMORY + HVPT_2M, 4 * HVPT_2M, paging_attr(RW));
    map(&vm, VIDEO, VM_LARGE, HVPT_64K, combining);
    map(&vm, ARCHIVE, VM_GIANT, HVPT_1G, paging_attr(HVPT_READ));
    picture_print(&vm.paging);
    run_guest(&vm);
    print("\nThe tables afterwards\n");
    picture_print(&vm.paging);
    vm_destroy(&vm);
    print(
        "\nFrames: %lu handed out, at most %u at once; %lu came back, %u are held; %u came back twice, %u were not ours\n",
        frames.allocated, frames.peak, frames.given_back, frames.held, frames.double_free, frames.foreign_free);
    expect(frames.held == 0 && frames.double_free == 0 && frames.foreign_free == 0, "every frame came back, once");
    if (complaint != NULL)
        print("result: bad: this does not hold: %s\n", complaint);
    else
        print("result: good: EL1 guest, %lu exits, all %lu frames came back\n", vm.exits, frames.allocated);
}
