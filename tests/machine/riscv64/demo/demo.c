/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The main job on RISC-V, for a person to read: G-stage tables through this kernel's own allocator, a guest in VS-mode
 * in them, every exit in words, and all frames back in the end. What is expected of the guest is checked here.
 */
#include "console.h"
#include "cpu.h"
#include "kernel.h"
#include "machine.h"
#include "picture.h"
#include "vm/vm.h"

/* The guest's world beside its home: one thing of each kind. */
#define LAZY       UINT64_C(0x00200000)   /* not mapped until it is touched */
#define CONSTANTS  UINT64_C(0x00201000)   /* read-only */
#define PLUGIN     UINT64_C(0x00202000)   /* no-execute */
#define HEAP       UINT64_C(0x00400000)   /* 8 MiB in 2 MiB pages */
#define ARCHIVE    UINT64_C(0x80000000)   /* 1 GiB in one page */
#define EVERYTHING UINT64_C(0x8000000000) /* 512 GiB in one page: all that this machine has */

static struct frames frames;
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

static void expect_exit(struct vm *vm, uint64_t cause, uint64_t gpa, const char *what, const char *answer)
{
    struct vm_exit exit = vm_run(vm);

    print("  %2lu  ", vm->exits);
    switch (exit.cause) {
    case CAUSE_CALL_VS: print("ecall"); break;
    case CAUSE_VIRTUAL_INSTRUCTION: print("virtual instruction %08x (WFI)", exit.instruction); break;
    case CAUSE_FETCH_GUEST:
        print("guest-page fault: fetch at guest-physical %lx", exit.htval << 2 | (exit.stval & 3));
        break;
    case CAUSE_LOAD_GUEST:
        print("guest-page fault: load from guest-physical %lx", exit.htval << 2 | (exit.stval & 3));
        break;
    case CAUSE_STORE_GUEST:
        print("guest-page fault: store to guest-physical %lx", exit.htval << 2 | (exit.stval & 3));
        break;
    default: print("exit with cause %lu", exit.cause); break;
    }
    print(" => %s\n", answer);
    expect(exit.cause == cause && (gpa == 0 || exit.htval << 2 == gpa), what);
}

static void run_guest(struct vm *vm)
{
    const uint64_t *note = vm_host_word(VM_HOME + GUEST_NOTE);
    const uint64_t lazy = vm_tag(VM_MEMORY), heap = vm_tag(VM_MEMORY + HVPT_2M + 0x345678);
    const uint64_t archive = vm_tag(VM_GIANT + 0x12345678);

    vm_tag(VM_MEMORY + 2 * HVPT_4K); /* the plug-in returns at once */
    print("\nA guest in VS-mode\n");
    vm->regs.pc = guest_entry(PIECE_STORY);
    vm->regs.x[REG_S0] = GUEST_NOTE;
    vm->regs.x[REG_S1] = LAZY;
    vm->regs.x[REG_S2] = CONSTANTS;
    vm->regs.x[REG_S2 + 1] = PLUGIN;
    vm->regs.x[REG_S2 + 2] = HEAP + 0x345678;
    vm->regs.x[REG_S2 + 3] = EVERYTHING + VM_GIANT + 0x12345678;

    expect_exit(vm, CAUSE_CALL_VS, 0, "the guest calls", "answered in a0");
    vm->regs.x[REG_A0] = 0x74707668;
    vm_skip(vm);
    expect_exit(vm, CAUSE_LOAD_GUEST, LAZY, "the access to nothing faults", "mapped a 4 KiB page there");
    map(vm, LAZY, VM_MEMORY, HVPT_4K, HVPT_READ | HVPT_WRITE);
    expect_exit(vm, CAUSE_STORE_GUEST, CONSTANTS, "the write to a read-only page faults", "made the page writable");
    expect(paging_protect(&vm->paging, CONSTANTS, HVPT_4K, HVPT_READ | HVPT_WRITE) == HVPT_OK, "protect");
    expect_exit(vm, CAUSE_FETCH_GUEST, PLUGIN, "the fetch from a no-execute page faults",
                "made it executable, and read-only");
    expect(paging_protect(&vm->paging, PLUGIN, HVPT_4K, HVPT_READ | HVPT_EXEC) == HVPT_OK, "protect");
    expect_exit(vm, CAUSE_VIRTUAL_INSTRUCTION, 0, "WFI exits", "nothing to wait for");
    vm_skip(vm);
    expect_exit(vm, CAUSE_CALL_VS, 0, "the guest calls", "the guest is done");

    expect(vm->regs.x[REG_A0] == 0x600d, "the guest came to its end");
    expect(note[0] == 0x74707668, "the guest has the host's answer");
    expect(note[1] == lazy, "the guest read the page mapped on demand");
    expect(*vm_host_word(VM_MEMORY + HVPT_4K) == lazy, "the guest's write arrived");
    expect(note[2] == heap, "the guest read through a 2 MiB page");
    expect(note[3] == archive, "the guest read through a 512 GiB page");
    print("  In its memory: the words it read through 4K, 2M and 512G pages %s\n",
          complaint == NULL ? "are the host's." : "are NOT the host's.");
}

void kernel_main(void)
{
    struct vm vm;

    frames_init(&frames);
    if (!cpu_has_hypervisor()) {
        print("result: bad: the processor has no hypervisor extension\n");
        return;
    }
    vm_create(&vm, &frames, NULL);
    map(&vm, CONSTANTS, VM_MEMORY + HVPT_4K, HVPT_4K, HVPT_READ);
    map(&vm, PLUGIN, VM_MEMORY + 2 * HVPT_4K, HVPT_4K, HVPT_READ | HVPT_WRITE);
    map(&vm, HEAP, VM_MEMORY + HVPT_2M, 4 * HVPT_2M, HVPT_READ | HVPT_WRITE);
    map(&vm, ARCHIVE, VM_GIANT, HVPT_1G, HVPT_READ);
    map(&vm, EVERYTHING, 0, HVPT_512G, HVPT_READ);
    print("hgatp %016lx: Sv48x4, root of 16 KiB. Guest-physical -> host-physical:\n", paging_hgatp(&vm.paging));
    picture_print(&vm.paging);
    run_guest(&vm);
    print("\nThe tables afterwards\n");
    picture_print(&vm.paging);
    vm_destroy(&vm);
    print(
        "\nFrames: %lu handed out, at most %u at once; %lu came back, %u are held; %u came twice, %u were not ours\n",
        frames.allocated, frames.peak, frames.given_back, frames.held, frames.double_free, frames.foreign_free);
    expect(frames.held == 0 && frames.double_free == 0 && frames.foreign_free == 0, "every frame came back, once");
    if (complaint != NULL)
        print("result: bad: this does not hold: %s\n", complaint);
    else
        print("result: good: VS-mode guest, %lu exits, all %lu frames came back\n", vm.exits, frames.allocated);
}
