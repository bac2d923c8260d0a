/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Entry and exit themselves: registers, causes, and faults in the guest's own page walk. */
#include "suite.h"

static void check_switch(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;
    unsigned same = 0, mixed = 0;

    vm_create(&vm, frames, NULL);
    for (unsigned i = 1; i < 32; i++)
        vm.regs.x[i] = UINT64_C(0x0101010101010101) * i;
    exit = vm_do(&vm, PIECE_CALL);
    check_equal(exit.cause, CAUSE_CALL_VS, "ecall: scause");
    check_equal(vm.regs.pc, guest_entry(PIECE_CALL), "ecall: sepc is at it");
    check_equal(exit.htval, 0, "ecall: htval");
    check_equal(exit.htinst, 0, "ecall: htinst");
    check_equal(exit.hstatus & (HSTATUS_GVA | HSTATUS_SPV | HSTATUS_SPVP), HSTATUS_SPV | HSTATUS_SPVP,
                "ecall: from VS-mode");
    for (unsigned i = 1; i < 32; i++)
        same += vm.regs.x[i] == UINT64_C(0x0101010101010101) * i;
    check_equal(same, 31, "every register is what it was");
    vm_do(&vm, PIECE_MIX);
    for (unsigned i = 1; i < 32; i++)
        mixed += vm.regs.x[i] == UINT64_C(0x0101010101010101) * i + 0x100 + i;
    check_equal(mixed, 31, "every register is the guest's after it changed them");

    exit = vm_do(&vm, PIECE_WFI);
    check_equal(exit.cause, CAUSE_VIRTUAL_INSTRUCTION, "WFI: scause");
    check_equal(exit.hstatus & HSTATUS_GVA, 0, "WFI: no address is reported");
    vm_skip(&vm);
    check_equal(vm_run(&vm).cause, CAUSE_CALL_VS, "WFI: the guest goes on behind it");
    exit = vm_do(&vm, PIECE_READ_HSTATUS);
    check_equal(exit.cause, CAUSE_VIRTUAL_INSTRUCTION, "reading hstatus: scause");
    exit = vm_do(&vm, PIECE_BREAK);
    check_equal(exit.cause, CAUSE_BREAKPOINT, "EBREAK: scause");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "switch: every frame came back");
}

/* Privileged manual, "Hypervisor Trap Value (htval) Register": bits 1:0 of the address are those of stval. */
static void check_odd_address(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;

    vm_create(&vm, frames, NULL);
    for (uint64_t odd = 1; odd < 4; odd++) {
        vm.regs.x[REG_A0] = HVPT_1G + 0x120 + odd;
        exit = vm_do(&vm, PIECE_READ_BYTE);
        check_equal(exit.cause, CAUSE_LOAD_GUEST, "byte at offset %lu: scause", odd);
        check_equal(exit.htval << 2 | (exit.stval & 3), HVPT_1G + 0x120 + odd, "byte at offset %lu: htval and stval",
                    odd);
        check_equal(exit.fault.gpa.value, HVPT_1G + 0x120 + odd, "byte at offset %lu: as the headers take it apart",
                    odd);
    }
    vm_destroy(&vm);
    check_equal(frames->held, 0, "odd addresses: every frame came back");
}

/* A fault while the processor walks the guest's own tables, which lie in guest-physical memory, too. */
static void check_guest_walk(struct frames *frames)
{
    uint64_t table = 5 * HVPT_1G, at = GUEST_FAR + 3 * HVPT_2M + 0x18, entry = table + 3 * 8, value;
    struct vm vm;
    struct vm_exit exit;

    vm_create(&vm, frames, NULL);
    vm.regs.x[REG_A0] = guest_build_tables(vm_host_word(VM_HOME), table);
    check_equal(vm_do(&vm, PIECE_SET_SATP).cause, CAUSE_CALL_VS, "guest's page walk: the guest turns its paging on");
    exit = vm_read(&vm, at, NULL);
    check_equal(exit.cause, CAUSE_LOAD_GUEST, "guest's page walk: scause is of the access, not of the walk");
    check_equal(exit.stval, at, "guest's page walk: stval");
    check_equal(exit.htval, entry >> 2, "guest's page walk: htval is where the entry would be");
    check_equal(exit.htinst, 0x3000, "guest's page walk: htinst is the pseudoinstruction of a read");
    check_true(exit.guest_fault && exit.fault.on_table && !exit.fault.table_write && exit.fault.table_entry_size == 8
                   && exit.fault.gpa.value == entry && exit.fault.linear == at,
               "guest's page walk: as the headers take it apart");
    exit = vm_write(&vm, at, 0);
    check_equal(exit.cause, CAUSE_STORE_GUEST, "guest's page walk, for a write: scause");
    check_equal(exit.htinst, 0x3000, "guest's page walk, for a write: the walk itself reads");
    exit = vm_fetch(&vm, at);
    check_equal(exit.cause, CAUSE_FETCH_GUEST, "guest's page walk, for a fetch: scause");
    check_equal(exit.htinst, 0x3000, "guest's page walk, for a fetch: htinst");

    /* The host maps the table, with a large page in it; then the page itself is missing, and is mapped */
    paging_map(&vm.paging, table, VM_MEMORY, HVPT_4K, paging_attr(RWX));
    vm_host_word(VM_MEMORY)[3] = UINT64_C(0xcf) | 7 * HVPT_1G >> 2;
    exit = vm_read(&vm, at, NULL);
    check_equal(exit.cause, CAUSE_LOAD_GUEST, "guest's page: scause");
    check_equal(exit.stval, at, "guest's page: stval is the guest's address");
    check_equal(exit.htval, (7 * HVPT_1G + 0x18) >> 2, "guest's page: htval is guest-physical");
    paging_map(&vm.paging, 7 * HVPT_1G, VM_MEMORY + HVPT_2M, HVPT_4K, paging_attr(RWX));
    value = vm_tag(VM_MEMORY + HVPT_2M + 0x18);
    exit = vm_run(&vm);
    check_equal(exit.cause, CAUSE_CALL_VS, "guest's page: goes on once it is mapped");
    check_equal(vm.regs.x[REG_A1], value, "guest's page: through both stages");

    /* Not mapped by the guest: the guest's own fault, not the host's */
    exit = vm_read(&vm, GUEST_FAR, NULL);
    check_equal(exit.cause, CAUSE_LOAD_PAGE, "not in the guest's own tables: scause");
    check_equal(exit.htval, 0, "not in the guest's own tables: htval");
    check_true(!exit.guest_fault, "not in the guest's own tables: no fault of the G-stage for the headers");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "guest's page walk: every frame came back");
}

void suite_exits(struct frames *frames)
{
    check_group("G-stage, exits");
    check_switch(frames);
    check_odd_address(frames);
    check_guest_walk(frames);
}
