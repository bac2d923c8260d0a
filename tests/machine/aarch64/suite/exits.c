/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* A guest enters, exits, faults, is mapped and goes on; and every form of access, as the syndrome tells it. */
#include "suite.h"

#include "console.h"

#define BASE HVPT_1G

static void check_registers(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;
    bool kept = true;

    create(&vm, frames, NULL);
    for (unsigned i = 0; i < 31; i++)
        vm.regs.x[i] = UINT64_C(0x0101010101010101) * (i + 1);
    exit = vm_do(&vm, guest_call, false);
    check_equal(exit.kind, VM_EXIT_CALL, "HVC exits");
    check_equal(exit.esr, UINT64_C(0x16) << 26 | 1u << 25 | 1, "HVC: ESR_EL2"); /* EC, IL, imm16 */
    check_equal(vm.regs.pc, guest_entry(guest_call) + 4, "HVC: the guest goes on behind it");
    check_equal(vm.regs.pstate, 0x3c5, "HVC: the guest was at EL1");
    for (unsigned i = 0; i < 31; i++)
        kept = kept && vm.regs.x[i] == UINT64_C(0x0101010101010101) * (i + 1);
    check_true(kept, "all registers are kept across entry and exit");
    finish(&vm, "registers");
}

static void check_demand(struct frames *frames)
{
    struct vm vm;
    char name[64];

    create(&vm, frames, NULL);
    for (enum access access = ACCESS_READ; access < ACCESS_COUNT; access++) {
        uint64_t gpa = BASE + access * HVPT_4K, at = gpa + 0x128, hpa = VM_MEMORY + access * HVPT_4K;
        struct vm_exit exit;

        print_to(name, sizeof(name), "%s of nothing", access_name(access));
        vm_tag(hpa + 0x128);
        exit = access_do(&vm, access, at, NULL);
        check_fault(&vm, &exit, access, FAULT_TRANSLATION, access == ACCESS_READ ? 1 : 3, at, name);
        check_equal(paging_map(&vm.paging, gpa, hpa, HVPT_4K, paging_attr(RWX)), HVPT_OK, "%s: map", name);
        exit = vm_run(&vm);
        check_true(access_passed(access, &exit), "%s: goes on once it is mapped", name);
    }
    check_equal(*vm_host_word(VM_MEMORY + HVPT_4K + 0x128), UINT64_C(0x11223344d65f03c0), "write of nothing: arrived");
    finish(&vm, "nothing");
}

/* Arm ARM, "ISS encoding for an exception from a Data Abort". */
static void check_syndromes(struct frames *frames)
{
    static const struct {
        const char *piece, *name;
        uint64_t esr;
        bool valid, sign, cache;
        unsigned size, reg;
    } forms[] = {
        /* SAS 8 bits, SSE, SRT w7, SF clear */
        {guest_read_signed_byte, "LDRSB", UINT64_C(0x92000000) | 1u << 24 | 0u << 22 | 1u << 21 | 7u << 16 | 5, true,
         true, false, 1, 7},
        /* SAS 16 bits, SRT w9, WnR */
        {guest_write_half, "STRH", UINT64_C(0x92000000) | 1u << 24 | 1u << 22 | 9u << 16 | 1u << 6 | 5, true, false,
         false, 2, 9},
        /* two registers: no valid syndrome */
        {guest_read_pair, "LDP", UINT64_C(0x92000000) | 5, false, false, false, 0, 0},
        /* CM and WnR, no valid syndrome */
        {guest_clean_cache, "DC CIVAC", UINT64_C(0x92000000) | 1u << 8 | 1u << 6 | 5, false, false, true, 0, 0},
    };
    struct vm vm;

    create(&vm, frames, NULL);
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct vm_exit exit;

        vm.regs.x[0] = BASE + 0x2346 * i;
        exit = vm_do(&vm, forms[i].piece, false);
        check_equal(exit.esr, forms[i].esr, "%s of nothing: ESR_EL2", forms[i].name);
        check_equal(exit.far, BASE + 0x2346 * i, "%s of nothing: FAR_EL2", forms[i].name);
        check_equal(exit.hpfar, (BASE + 0x2346 * i) >> 12 << 4, "%s of nothing: HPFAR_EL2", forms[i].name);
        check_true(exit.fault.instruction.valid == forms[i].valid && exit.fault.instruction.size == forms[i].size
                       && exit.fault.instruction.sign_extend == forms[i].sign
                       && exit.fault.instruction.reg == forms[i].reg && exit.fault.cache == forms[i].cache,
                   "%s of nothing: as the headers take it apart", forms[i].name);
    }
    finish(&vm, "forms");
}

/* A fault while the CPU walks the guest's own table, which lies in guest-physical memory, too. */
static void check_guest_walk(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;
    uint64_t tag = vm_tag(VM_MEMORY + 0x38), value = 0;

    create(&vm, frames, NULL);
    vm.stage1 = true;
    vm.mair = UINT64_C(0xffffffffffffffff);
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(HVPT_READ));
    exit = vm_read(&vm, guest_linear(BASE + 0x38, 5), &value);
    check_equal(exit.kind, VM_EXIT_CALL, "both stages: the read goes through");
    check_equal(value, tag, "both stages: the guest reads the page");
    exit = vm_write(&vm, guest_linear(BASE + 0x38, 5), 1);
    check_equal(exit.esr, fault_syndrome(ACCESS_WRITE, 0x0f), "both stages: write to a read-only page: ESR_EL2");
    check_equal(exit.far, guest_linear(BASE + 0x38, 5), "both stages: write to a read-only page: FAR_EL2");

    paging_unmap(&vm.paging, GUEST_TABLE, HVPT_4K);
    exit = vm_read(&vm, guest_linear(BASE + 0x38, 3), &value);
    /* S1PTW; the syndrome of the instruction is not valid then */
    check_equal(exit.kind, VM_EXIT_FAULT, "the guest's table is gone: a fault");
    check_equal(exit.hpfar, GUEST_TABLE >> 12 << 4, "the guest's table is gone: HPFAR_EL2");
    check_equal(exit.esr >> 7 & 1, 1, "the guest's table is gone: S1PTW");
    check_equal(exit.esr & 0x3f, 0x07, "the guest's table is gone: fault status");
    check_true(exit.stage2 && exit.fault.on_table && exit.fault.gpa_valid && !exit.fault.gpa_exact
                   && exit.fault.gpa.value == GUEST_TABLE,
               "the guest's table is gone: as the headers take it apart");
    paging_map(&vm.paging, GUEST_TABLE, (uintptr_t)vm.home + GUEST_TABLE, HVPT_4K, paging_attr(HVPT_READ));
    exit = vm_run(&vm);
    check_equal(exit.kind, VM_EXIT_CALL, "the guest's table is back: goes on");
    finish(&vm, "both stages");
}

static void check_wfi(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;

    create(&vm, frames, NULL);
    paging_map(&vm.paging, BASE, VM_MEMORY, 4 * HVPT_4K, paging_attr(RWX));
    vm_tag(VM_MEMORY);
    vm.regs.x[0] = vm.regs.x[1] = vm.regs.x[2] = vm.regs.x[3] = vm.regs.x[4] = BASE;
    exit = vm_do(&vm, guest_story, false);
    check_equal(exit.esr, UINT64_C(1) << 26 | 1u << 25 | 1u << 24 | 14u << 20, "WFI: ESR_EL2"); /* EC, IL, CV, COND */
    vm.regs.pc += 4;
    exit = vm_run(&vm);
    check_equal(exit.call, 4, "WFI: the guest goes on");
    finish(&vm, "WFI");
}

void suite_exits(struct frames *frames)
{
    check_group("exits");
    check_registers(frames);
    check_demand(frames);
    check_syndromes(frames);
    check_guest_walk(frames);
    check_wfi(frames);
}
