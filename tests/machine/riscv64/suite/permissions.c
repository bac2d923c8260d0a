/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Every combination of permissions, against every access, in pages of every size. */
#include "suite.h"

#include "console.h"

static void check_combination(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t offset, uint32_t perm,
                              enum access access, uint64_t size)
{
    char name[64];
    struct vm_exit exit;

    print_to(name, sizeof(name), "%s of %s page of %s", access_name(access), perm_name(perm), size_name(size));
    vm_tag(hpa + offset);
    exit = access_do(vm, access, gpa + offset);
    if (access_allowed(access, perm)) {
        check_true(access_through(access, &exit), "%s: goes through", name);
        return;
    }
    check_fault(vm, &exit, access, gpa + offset, name);

    /* The handler grants what was missing, and the guest goes on where it was */
    check_equal(paging_protect(&vm->paging, gpa, size, RWX), HVPT_OK, "%s: protect", name);
    exit = access >= ACCESS_HLV ? access_do(vm, access, gpa + offset) : vm_run(vm);
    check_true(access_through(access, &exit), "%s: goes on once it is granted", name);
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
        exit = access_do(&vm, access, at);
        check_fault(&vm, &exit, access, at, name);
        check_equal(paging_map(&vm.paging, gpa, hpa, HVPT_4K, paging_attr(RWX)), HVPT_OK, "%s: map", name);
        exit = access >= ACCESS_HLV ? access_do(&vm, access, at) : vm_run(&vm);
        check_true(access_through(access, &exit), "%s: goes on once it is mapped", name);
    }
    check_equal(*vm_host_word(VM_MEMORY + ACCESS_WRITE * HVPT_4K + 0x128), UINT64_C(0x1122334400008067),
                "write of nothing: arrived");
    vm_destroy(&vm);
    check_equal(frames->held, 0, "nothing: every frame came back");
}

void suite_permissions(struct frames *frames)
{
    struct paging_options options = {.mode = MODE_SV57X4};

    check_group("G-stage, permissions");
    for (unsigned level = 0; level < 5; level++) {
        uint64_t size = HVPT_4K << (9 * level), gpa = size < HVPT_1G ? 2 * HVPT_1G : size, hpa = vm_backing(size);
        uint64_t offset = size <= HVPT_1G ? size - 0x238 : VM_MEMORY + 0x238;
        struct vm vm;

        vm_create(&vm, frames, &options);
        for (uint32_t perm = 1; perm <= RWX; perm++) {
            enum hvpt_status status = paging_map(&vm.paging, gpa, hpa, size, paging_attr(perm));
            /* Privileged manual, "Encoding of PTE R/W/X fields": writable pages must also be readable */
            bool possible = (perm & HVPT_READ) != 0 || perm == HVPT_EXEC;

            check_equal(status, possible ? HVPT_OK : HVPT_E_ATTR, "%s page of %s: %s", perm_name(perm), size_name(size),
                        possible ? "can be mapped" : "is refused");
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
}
