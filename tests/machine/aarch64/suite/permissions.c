/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Every combination of permissions that stage 2 has, against every access of EL1 and EL0, in pages of every size. */
#include "suite.h"

#include "console.h"

static void check_combination(struct vm *vm, uint64_t gpa, uint64_t hpa, uint32_t perm, enum access access, int level,
                              bool xnx)
{
    uint64_t size = page_size_at(vm->paging.config.granule_shift, level), offset = size - 0x238;
    char name[64];
    struct vm_exit exit;

    print_to(name, sizeof(name), "%s of %s page of %s", access_name(access), perm_name(perm), size_name(size));
    vm_tag(hpa + offset);
    exit = access_do(vm, access, gpa + offset, NULL);
    if (access_allowed(access, perm, xnx)) {
        check_true(access_passed(access, &exit), "%s: goes through", name);
        return;
    }
    check_fault(vm, &exit, access, FAULT_PERMISSION, level, gpa + offset, name);

    /* The handler grants what was missing, and the guest goes on where it was */
    check_equal(paging_protect(&vm->paging, gpa, size, xnx ? RWXU : RWX), HVPT_OK, "%s: protect", name);
    exit = vm_run(vm);
    check_true(access_passed(access, &exit), "%s: goes on once it is granted", name);
    paging_protect(&vm->paging, gpa, size, perm);
}

/* features: besides HVPT_S2_USE_XNX. */
static void check_granule(struct frames *frames, unsigned granule_shift, bool xnx, uint32_t features)
{
    struct paging_options options = {granule_shift, 0, 0, 0, features | (xnx ? HVPT_S2_USE_XNX : 0), 0};
    uint64_t gpa = 2 * HVPT_1G;
    struct vm vm;

    create(&vm, frames, &options);
    if (features & HVPT_S2_USE_INDIRECT)
        vm.paging.s2pir = hvpt_s2_pir();
    for (int level = 3; level >= first_leaf_level(granule_shift, false); level--) {
        uint64_t size = page_size_at(granule_shift, level), hpa = vm_backing(size);

        if (size > HVPT_1G)
            continue;
        for (uint32_t perm = 1; perm <= RWXU; perm++) {
            enum hvpt_status status;

            if (!xnx && (perm & HVPT_EXEC_USER)) {
                /* One bit for both: EXEC_USER may be given beside EXEC, but not alone */
                if (!(perm & HVPT_EXEC)) {
                    status = paging_map(&vm.paging, gpa, hpa, size, paging_attr(perm));
                    check_equal(status, HVPT_E_ATTR, "%s page of %s is refused", perm_name(perm), size_name(size));
                }
                continue;
            }
            status = paging_map(&vm.paging, gpa, hpa, size, paging_attr(perm));
            if ((features & HVPT_S2_USE_INDIRECT) && !(perm & HVPT_READ) && perm != HVPT_WRITE) {
                check_equal(status, HVPT_E_ATTR, "%s page of %s is refused", perm_name(perm), size_name(size));
                continue;
            }
            if (!check_equal(status, HVPT_OK, "%s page of %s can be mapped", perm_name(perm), size_name(size)))
                continue;
            for (enum access access = ACCESS_READ; access < ACCESS_COUNT; access++)
                check_combination(&vm, gpa, hpa, perm, access, level, xnx);
            check_equal(paging_unmap(&vm.paging, gpa, size), HVPT_OK, "%s page of %s: unmap", perm_name(perm),
                        size_name(size));
        }
    }
    finish(&vm, "permissions");
}

void suite_permissions(struct frames *frames)
{
    static const char *const groups[][2] = {{"permissions, 4K granule", "permissions, 4K granule, XNX"},
                                            {"permissions, 16K granule", "permissions, 16K granule, XNX"},
                                            {"permissions, 64K granule", "permissions, 64K granule, XNX"}};

    for (unsigned i = 0; i < 3; i++) {
        check_group(groups[i][0]);
        if (!paging_has_granule(12 + 2 * i)) {
            check_skip("the CPU has no such granule", "all of it");
            continue;
        }
        check_granule(frames, 12 + 2 * i, false, 0);
        if (!paging_has(HVPT_S2_USE_XNX))
            continue;
        check_group(groups[i][1]);
        check_granule(frames, 12 + 2 * i, true, 0);
    }
    check_group("permissions, 4K granule, by S2PIR_EL2");
    if (!paging_has(HVPT_S2_USE_INDIRECT))
        check_skip("the CPU has not FEAT_S2PIE", "all of it");
    else
        check_granule(frames, 12, true, HVPT_S2_USE_INDIRECT | HVPT_S2_USE_HARDWARE_AF | HVPT_S2_USE_HARDWARE_DIRTY);
}
