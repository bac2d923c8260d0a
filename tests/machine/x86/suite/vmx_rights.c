/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Rights of EPT that only newer CPUs have: execution for the supervisor and the user apart, and the supervisor's shadow
 * stacks. Skipped, with the reason, where the CPU has neither.
 */
#include "suite.h"

#include "cpu.h"
#include "vm/vmx.h"

#define BASE HVPT_1G

/* The guest's own tables make [BASE, BASE + 2 MiB) the user's, or the supervisor's again. Code stays the supervisor's. */
static void make_user(bool user)
{
    uint64_t *pml4 = vm_host_word(VM_HOME + GUEST_PML4), *pdpt = pml4 + 512;
    uint64_t *directory = vm_host_word(VM_HOME + GUEST_PML4 + 0x3000);

    pml4[0] = (pml4[0] & ~UINT64_C(4)) | (user ? 4u : 0);
    pdpt[1] = (pdpt[1] & ~UINT64_C(4)) | (user ? 4u : 0);
    directory[0] = (directory[0] & ~UINT64_C(4)) | (user ? 4u : 0);
}

/* Bits 11:9: the page is the user's or the supervisor's; writable; not execute-disable. */
static uint64_t advanced(const struct vm *vm, bool user)
{
    return advanced_information(vm) == 0 ? 0 : user ? 3 << 9 : 1 << 10;
}

/*
 * SDM vol. 3, "Mode-Based Execute Control": bit 2 of an entry is for supervisor-mode linear addresses, bit 10 for user-mode
 * ones, whatever the CPL; the qualification's bits 5 and 6 are the two rights.
 */
static void check_mode_based(struct frames *frames)
{
    static const struct paging_options options = {HVPT_4K, false, HVPT_EPT_USE_MODE_BASED_EXECUTE};
    static const struct paging_options plain = {0, false, 0};
    struct vm vm;

    vm_create(&vm, frames, &plain);
    if (!vmx_require(&vm, HVCTL_SECONDARY_MODE_BASED_EXECUTE_CONTROL_FOR_EPT)) {
        vm_destroy(&vm);
        check_skip("this CPU has no mode-based execute control", "MBEC");
        return;
    }
    vm_destroy(&vm);
    vm_create(&vm, frames, &options);
    vmx_require(&vm, HVCTL_SECONDARY_MODE_BASED_EXECUTE_CONTROL_FOR_EPT);
    for (unsigned rights = 0; rights < 16; rights++) {
        /* bits of an EPT entry: 0 read, 1 write, 2 execute for the supervisor, and 10 for the user */
        const bool read = rights & 1, write = rights & 2, supervisor = rights & 4, user = rights & 8;
        const uint32_t perm = (read ? (uint32_t)HVPT_READ : 0) | (write ? (uint32_t)HVPT_WRITE : 0)
                            | (supervisor ? (uint32_t)HVPT_EXEC : 0) | (user ? (uint32_t)HVPT_EXEC_USER : 0);
        enum hvpt_status status = paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(perm));
        uint64_t *entry;

        if (rights == 0 || (write && !read)) {
            check_equal(status != HVPT_OK, true, "MBEC: rights %x cannot be mapped", rights);
            continue;
        }
        check_equal(status, HVPT_OK, "MBEC: rights %x are mapped", rights);
        entry = paging_entry(&vm.paging, BASE, 0);
        check_true(entry != NULL && (*entry & 7) == (rights & 7) && (*entry >> 10 & 1) == user,
                   "MBEC: rights %x are the entry's bits", rights);
        vm_tag(VM_MEMORY);
        for (unsigned by = 0; by < 2; by++) {
            const bool allowed = by != 0 ? user : supervisor;
            const char *whose = by != 0 ? "user" : "supervisor";
            struct vm_exit exit;

            make_user(by != 0);
            exit = vm_fetch(&vm, BASE);
            if (allowed) {
                check_equal(exit.kind, VM_EXIT_CALL, "MBEC: rights %x: fetch from the %s's page", rights, whose);
                continue;
            }
            check_equal(exit.reason, 48, "MBEC: rights %x: fetch from the %s's page, exit reason", rights, whose);
            check_equal(exit.info, (1 << 2) | (rights & 7) << 3 | (user ? 1u << 6 : 0) | 0x180 | advanced(&vm, by != 0),
                        "MBEC: rights %x: fetch from the %s's page, qualification", rights, whose);
        }
        make_user(false);
        check_equal(vm_read(&vm, BASE, NULL).kind == VM_EXIT_CALL, read, "MBEC: rights %x: a read", rights);
        check_equal(vm_write(&vm, BASE, 1).kind == VM_EXIT_CALL, write, "MBEC: rights %x: a write", rights);
        paging_unmap(&vm.paging, BASE, HVPT_4K);
    }
    /* A table's bits count as a leaf's do */
    for (unsigned level = 1; level < 4; level++) {
        uint64_t *entry, good;

        paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K,
                   paging_attr(HVPT_READ | HVPT_WRITE | HVPT_EXEC | HVPT_EXEC_USER));
        vm_tag(VM_MEMORY);
        if (level == 3) { /* the guest's code comes by this entry, too: only the user's right can be taken */
            entry = paging_entry(&vm.paging, BASE, level);
            good = *entry;
            *entry = good & ~(UINT64_C(1) << 10);
        } else {
            entry = paging_entry(&vm.paging, BASE, level);
            good = *entry;
            *entry = good & ~(UINT64_C(1) << 2);
            paging_flush_all(&vm.paging);
            check_equal(vm_fetch(&vm, BASE).info, 0x1dc | advanced(&vm, false),
                        "MBEC: no right for the supervisor in a table of level %u", level);
            *entry = good & ~(UINT64_C(1) << 10);
        }
        paging_flush_all(&vm.paging);
        make_user(true);
        check_equal(vm_fetch(&vm, BASE).info, 0x1bc | advanced(&vm, true),
                    "MBEC: no right for the user in a table of level %u", level);
        make_user(false);
        check_equal(vm_fetch(&vm, BASE).kind, VM_EXIT_CALL, "MBEC: which the supervisor does not need, level %u", level);
        *entry = good;
        paging_flush_all(&vm.paging);
        paging_unmap(&vm.paging, BASE, HVPT_4K);
    }
    vm_destroy(&vm);
    check_equal(frames->held, 0, "MBEC: every frame came back");
}

#define CR4_CET   (UINT64_C(1) << 23)
#define SH_STK_EN 1u

/* The guest calls, and its shadow stack is on the page at BASE: a shadow-stack page by its own tables. */
static struct vm_exit call_with_shadow_stack(struct vm *vm)
{
    struct hvctl_vmcs_image *image = &vmx_control(vm)->image;
    enum hvctl_status status = HVCTL_OK;

    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_CR4, hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CR4) | CR4_CET, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_IA32_S_CET, SH_STK_EN, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_SSP, BASE + 0x800, &status);
    hvctl_vmcs_put(image, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, 0, &status);
    check_equal(status, HVCTL_OK, "shadow stack: fields");
    return vm_fetch(vm, 2 * HVPT_1G);
}

/*
 * SDM vol. 3, "EPT Violations": with EPTP[7], a supervisor's shadow-stack access wants bit 60 of the leaf, and the leaf's
 * bit 1 does not matter to it; without EPTP[7], bit 60 is ignored and a shadow-stack write is a write.
 */
static void check_shadow_stacks(struct frames *frames)
{
    for (unsigned controlled = 0; controlled < 2; controlled++) {
        const struct paging_options options = {HVPT_4K, false, controlled ? (uint32_t)HVPT_EPT_USE_SHADOW_STACK : 0};
        struct vm vm;

        if ((vmx_ept_capabilities() >> 23 & 1) == 0) {
            check_skip("this CPU has no supervisor shadow-stack control", "shadow stacks");
            return;
        }
        vm_create(&vm, frames, &options);
        if (!vmx_require(&vm, HVCTL_ENTRY_LOAD_CET_STATE)) {
            vm_destroy(&vm);
            check_skip("this CPU does not load CET state", "shadow stacks");
            return;
        }
        /* The guest's page of 2 MiB at BASE: present, accessed, dirty, large, and not writable */
        vm_host_word(VM_HOME + GUEST_PML4 + 0x3000)[0] = BASE | 0xe1;
        paging_map(&vm.paging, 2 * HVPT_1G, VM_MEMORY + HVPT_4K, HVPT_4K, paging_attr(RWX));
        vm_tag(VM_MEMORY + HVPT_4K);
        for (unsigned i = 0; i < 4; i++) {
            const bool allowed_bit = i & 1, write = i & 2;
            const bool goes = controlled ? allowed_bit : write;
            struct hvpt_attr attr = paging_attr(HVPT_READ | (write ? (uint32_t)HVPT_WRITE : 0));
            uint64_t *entry;
            struct vm_exit exit;

            if (controlled && allowed_bit)
                attr.flags = HVPT_EPT_SHADOW_STACK;
            check_equal(paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, attr), HVPT_OK, "shadow stack: mapped");
            entry = paging_entry(&vm.paging, BASE, 0);
            if (controlled)
                check_equal(*entry >> 60 & 1, allowed_bit, "shadow stack: bit 60 of the leaf");
            else if (allowed_bit)
                *entry |= UINT64_C(1) << 60; /* which is ignored */
            paging_flush_all(&vm.paging);
            exit = call_with_shadow_stack(&vm);
            if (goes) {
                check_equal(exit.kind, VM_EXIT_CALL, "shadow stack, EPTP[7] %u, bit 60 %u, write %u: goes through", controlled,
                            allowed_bit, write);
            } else {
                check_equal(exit.reason, 48, "shadow stack, EPTP[7] %u, bit 60 %u, write %u: exit reason", controlled,
                            allowed_bit, write);
                check_equal(exit.gpa, BASE + 0x7f8, "shadow stack, EPTP[7] %u, bit 60 %u, write %u: address", controlled,
                            allowed_bit, write);
                check_equal(exit.info & 0x6182, 0x2182, "shadow stack, EPTP[7] %u, bit 60 %u, write %u: qualification",
                            controlled, allowed_bit, write);
            }
            paging_unmap(&vm.paging, BASE, HVPT_4K);
        }
        vm_destroy(&vm);
        check_equal(frames->held, 0, "shadow stack: every frame came back");
    }
}

void suite_vmx_rights(struct frames *frames)
{
    check_group("EPT rights");
    check_mode_based(frames);
    check_shadow_stacks(frames);
}
