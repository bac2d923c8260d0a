/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Every mode, by HLV and HSV: its first and last address, random ones, each single address bit, and what lies beyond.
 * Privileged manual, "Guest Physical Address Translation": roots of 16 KiB, two bits more than Sv39, Sv48, Sv57.
 */
#include "suite.h"

#include "console.h"

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void check_unmapped(unsigned mode, uint64_t gpa)
{
    static const enum access accesses[] = {ACCESS_HLV, ACCESS_HLVX, ACCESS_HSV};
    char name[64];
    struct vm_exit exit;

    for (unsigned i = 0; i < 3; i++) {
        print_to(name, sizeof(name), "%s of nothing at %lx", access_name(accesses[i]), gpa);
        exit = access_do(NULL, accesses[i], suite_reach(mode, gpa));
        check_equal(exit.cause, accesses[i] == ACCESS_HSV ? CAUSE_STORE_GUEST : CAUSE_LOAD_GUEST, "%s: scause", name);
        check_equal(exit.stval, suite_reach(mode, gpa), "%s: stval", name);
        check_equal(exit.htval, suite_reach(mode, gpa) >> 2, "%s: htval", name);
    }
}

static void check_place(struct vm *vm, uint64_t gpa, uint64_t hpa)
{
    unsigned mode = vm->paging.mode;
    uint64_t page = gpa & ~(HVPT_4K - 1), tag;
    uint32_t half = 0;
    char name[64];

    check_unmapped(mode, gpa);
    check_equal(paging_map(&vm->paging, page, hpa, HVPT_4K, paging_attr(RWX)), HVPT_OK, "page at %lx: map", page);
    hpa += gpa - page;
    print_to(name, sizeof(name), "HLV at %lx", gpa);
    check_hlv(vm, gpa, hpa, name);
    tag = vm_tag(hpa);
    check_equal(vm_hlvx(suite_reach(mode, gpa), &half).cause, 0, "HLVX at %lx", gpa);
    check_equal(half, (uint32_t)tag, "HLVX at %lx: value", gpa);
    check_equal(vm_hsv(suite_reach(mode, gpa), ~gpa).cause, 0, "HSV at %lx", gpa);
    check_equal(*vm_host_word(hpa), ~gpa, "HSV at %lx: arrived", gpa);
    check_equal(paging_unmap(&vm->paging, page, HVPT_4K), HVPT_OK, "page at %lx: unmap", page);
    check_unmapped(mode, gpa);
}

/* Pages at each power of two at once: an index that takes a wrong bit, or one bit for two, meets another page. */
static void check_bits(struct vm *vm, uint64_t limit)
{
    char name[64];
    uint64_t hpa = VM_MEMORY;

    for (uint64_t gpa = 1 << 17; gpa < limit; gpa <<= 1, hpa += HVPT_4K)
        paging_map(&vm->paging, gpa, hpa, HVPT_4K, paging_attr(RW));
    hpa = VM_MEMORY;
    for (uint64_t gpa = 1 << 17; gpa < limit; gpa <<= 1, hpa += HVPT_4K) {
        print_to(name, sizeof(name), "a page of its own at %lx", gpa);
        check_hlv(vm, gpa, hpa, name);
    }
}

static void check_mode(struct frames *frames, unsigned mode)
{
    struct paging_options options = {.mode = mode};
    uint64_t limit = paging_limit(mode), state = UINT64_C(0x9e3779b97f4a7c15) * mode;
    struct vm vm;

    cpu_write(CSR_HGATP, (uint64_t)mode << 60);
    if (cpu_read(CSR_HGATP) >> 60 != mode) {
        check_skip("the processor does not have it", "the mode");
        return;
    }
    vm_create(&vm, frames, &options);
    check_equal(paging_hgatp(&vm.paging) >> 60, mode, "hgatp: MODE");
    check_equal(paging_hgatp(&vm.paging) >> 44 & 0x3fff, PAGING_VMID, "hgatp: the VMID is left to the caller");
    check_equal(paging_hgatp(&vm.paging) & 3, 0, "hgatp: the root is aligned to 16 KiB");
    check_equal(cpu_read(CSR_HGATP), paging_hgatp(&vm.paging), "hgatp: the processor takes it as it is");

    paging_map(&vm.paging, limit / 2, VM_MEMORY, HVPT_4K, paging_attr(RW));
    check_equal(vm_hlv(limit / 2, NULL).cause, 0, "an address with its top bit set is that address");
    paging_unmap(&vm.paging, limit / 2, HVPT_4K);

    check_place(&vm, GUEST_HOME_SIZE, VM_MEMORY);
    check_place(&vm, limit - 8, VM_MEMORY);
    check_place(&vm, limit / 2, VM_MEMORY);
    check_place(&vm, limit / 2 - 8, VM_MEMORY);
    for (unsigned i = 0; i < 12; i++) {
        uint64_t gpa = GUEST_HOME_SIZE + (next_random(&state) % (limit - GUEST_HOME_SIZE) & ~UINT64_C(7));

        check_place(&vm, gpa, VM_MEMORY + (next_random(&state) & 0x7fff) * HVPT_4K);
    }
    check_bits(&vm, limit);

    /* Bits beyond the mode's must be 0, or the access faults; the engine refuses them. */
    check_equal(paging_map(&vm.paging, limit, VM_MEMORY, HVPT_4K, paging_attr(RW)), HVPT_E_RANGE,
                "beyond the last: map is refused");
    check_equal(paging_map(&vm.paging, limit - HVPT_4K, VM_MEMORY, 2 * HVPT_4K, paging_attr(RW)), HVPT_E_RANGE,
                "across the last: map is refused");
    for (uint64_t gpa = limit; gpa < UINT64_C(1) << 62; gpa <<= 1) {
        struct vm_exit exit = vm_hlv(gpa | 0x8000, NULL); /* the home is mapped at 8000 */

        check_equal(exit.cause, CAUSE_LOAD_GUEST, "beyond the last, %lx: scause", gpa);
        check_equal(exit.htval, (gpa | 0x8000) >> 2, "beyond the last, %lx: htval", gpa);
    }
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}

void suite_geometry(struct frames *frames)
{
    check_group("G-stage, Sv39x4");
    check_mode(frames, MODE_SV39X4);
    check_group("G-stage, Sv48x4");
    check_mode(frames, MODE_SV48X4);
    check_group("G-stage, Sv57x4");
    check_mode(frames, MODE_SV57X4);
}
