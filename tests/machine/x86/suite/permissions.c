/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Every combination of permissions a format has, against every access, in pages of every size. */
#include "suite.h"

#include "console.h"

static void check_combination(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t offset, uint32_t perm,
                              enum access access, uint64_t size)
{
    char name[64];
    struct vm_exit exit;

    print_to(name, sizeof(name), "%s of %s page of %s", access_name(access), perm_name(perm), size_name(size));
    vm_tag(hpa + offset);
    exit = access_do(vm, access, gpa + offset, NULL);
    if (access_allowed(access, perm)) {
        check_equal(exit.reason, vm->svm ? 0x81 : 18, "%s: goes through", name);
        return;
    }
    check_fault(vm, &exit, access, perm, gpa + offset, name);

    /* The handler grants what was missing, and the guest goes on where it was */
    check_equal(paging_protect(&vm->paging, gpa, size, RWX), HVPT_OK, "%s: protect", name);
    exit = vm_run(vm);
    check_equal(exit.kind, VM_EXIT_CALL, "%s: goes on once it is granted", name);
    paging_protect(&vm->paging, gpa, size, perm);
}

static void check_unmapped(struct frames *frames)
{
    struct vm vm;
    char name[64];

    vm_create(&vm, frames, NULL);
    for (enum access access = ACCESS_READ; access < ACCESS_COUNT; access++) {
        uint64_t gpa = HVPT_1G + access * HVPT_4K, at = gpa + 0x128, hpa = VM_MEMORY + access * HVPT_4K;
        struct vm_exit exit;

        print_to(name, sizeof(name), "%s of nothing", access_name(access));
        vm_tag(hpa + 0x128);
        exit = access_do(&vm, access, at, NULL);
        check_fault(&vm, &exit, access, 0, at, name);
        check_equal(paging_map(&vm.paging, gpa, hpa, HVPT_4K, paging_attr(RWX)), HVPT_OK, "%s: map", name);
        exit = vm_run(&vm);
        check_equal(exit.kind, VM_EXIT_CALL, "%s: goes on once it is mapped", name);
    }
    check_equal(*vm_host_word(VM_MEMORY + HVPT_4K + 0x128), UINT64_C(0x11223344556677c3), "write of nothing: arrived");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "nothing: every frame came back");
}

/* A fault while the CPU walks the guest's own tables, which lie in guest-physical memory, too. */
static void check_guest_walk(struct frames *frames)
{
    struct vm vm;
    struct vm_exit exit;

    vm_create(&vm, frames, NULL);
    guest_set_far_table(&vm.guest, HVPT_1G);
    vm.regs.rdi = GUEST_FAR_LINEAR + 0x18;
    exit = vm_do(&vm, PIECE_READ);
    check_equal(exit.reason, vm.svm ? 0x400 : 48, "fault on the guest's page walk: exit reason");
    /* SDM: read, linear address valid, not its translation. APM: a walk is a write by the user, bit 33. */
    check_equal(exit.info, vm.svm ? UINT64_C(1) << 33 | 1 << 2 | 1 << 1 : 0x81, "fault on the guest's page walk: %s",
                vm.svm ? "EXITINFO1" : "exit qualification");
    check_equal(exit.gpa & ~UINT64_C(0xfff), HVPT_1G, "fault on the guest's page walk: guest-physical address");
    check_true(exit.walk, "fault on the guest's page walk: decoded as one");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "guest's page walk: every frame came back");
}

void suite_permissions(struct frames *frames)
{
    uint64_t gpa = 2 * HVPT_1G;
    struct vm vm;

    check_group("permissions");
    for (uint64_t size = HVPT_4K; size <= HVPT_1G; size <<= 9) {
        vm_create(&vm, frames, NULL);
        if (size > paging_largest_page(&vm.paging)) {
            vm_destroy(&vm);
            continue;
        }
        for (uint32_t perm = 0; perm <= RWX; perm++) {
            uint64_t hpa = vm_backing(size), offset = size - 0x238;
            enum hvpt_status status =
                perm == 0 ? HVPT_E_ATTR : paging_map(&vm.paging, gpa, hpa, size, paging_attr(perm));
            /* Both manuals: no writing without reading. EPT: execute-only needs a capability, which all machines here have. */
            bool possible = (perm & HVPT_READ) != 0 || (perm == HVPT_EXEC && !vm.svm);

            if (perm != 0)
                check_equal(status, possible ? HVPT_OK : HVPT_E_ATTR, "%s page of %s: %s", perm_name(perm),
                            size_name(size), possible ? "can be mapped" : "is refused");
            if (status != HVPT_OK)
                continue;
            for (enum access access = ACCESS_READ; access < ACCESS_COUNT; access++)
                check_combination(&vm, gpa, hpa, offset, perm, access, size);
            check_equal(paging_unmap(&vm.paging, gpa, size), HVPT_OK, "%s page of %s: unmap", perm_name(perm),
                        size_name(size));
        }
        vm_destroy(&vm);
        check_equal(frames->held, 0, "pages of %s: every frame came back", size_name(size));
    }
    check_unmapped(frames);
    check_guest_walk(frames);
}
