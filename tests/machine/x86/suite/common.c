/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What the suites expect, from the manuals' tables. */
#include "suite.h"

#include <hvpt/explain.h>

const char *access_name(enum access access)
{
    return access == ACCESS_READ ? "read" : access == ACCESS_WRITE ? "write" : "fetch";
}

const char *perm_name(uint32_t perm)
{
    static const char *const names[8] = {"none", "r", "w", "rw", "x", "rx", "wx", "rwx"};

    return names[perm & 7];
}

const char *size_name(uint64_t size)
{
    return size == HVPT_4K ? "4K" : size == HVPT_2M ? "2M" : size == HVPT_1G ? "1G" : "?";
}

bool access_allowed(enum access access, uint32_t perm)
{
    return (perm & (access == ACCESS_READ ? HVPT_READ : access == ACCESS_WRITE ? HVPT_WRITE : HVPT_EXEC)) != 0;
}

struct vm_exit access_do(struct vm *vm, enum access access, uint64_t gpa, uint64_t *value)
{
    if (access == ACCESS_READ)
        return vm_read(vm, gpa, value);
    return access == ACCESS_WRITE ? vm_write(vm, gpa, UINT64_C(0x1122334455667700) | 0xc3) : vm_fetch(vm, gpa);
}

uint64_t advanced_information(const struct vm *vm)
{
    if (vm->svm || (vmx_ept_capabilities() >> 22 & 1) == 0)
        return 0;
    return vm->real ? 3 << 9 : 1 << 10;
}

uint64_t fault_info(const struct vm *vm, enum access access, uint32_t perm)
{
    uint64_t info;

    if (vm->svm) {
        info = UINT64_C(1) << 32 | 1 << 2; /* the final address; nested accesses are user accesses */
        info |= access == ACCESS_WRITE ? 1 << 1 : access == ACCESS_FETCH ? 1 << 4 : 0;
        return perm != 0 ? info | 1 : info;
    }
    info = 1 << 7 | 1 << 8; /* the linear address is valid, and it is its translation that faulted */
    info |= UINT64_C(1) << access;
    return info | (uint64_t)perm << 3 | advanced_information(vm);
}

/* What the headers make of the tables, without having seen the fault: the tests' own walk ends at the same entry. */
static void check_explained(const struct vm *vm, enum access access, uint32_t perm, uint64_t gpa, const char *name)
{
    static const uint32_t rights[] = {HVPT_READ, HVPT_WRITE, HVPT_EXEC};
    struct hvpt_diagnosis found;
    enum hvpt_status status = hvpt_space_diagnose(&vm->paging.space, hvpt_make_gpa(gpa), rights[access], &found);
    unsigned level = 0;

    while (paging_entry(&vm->paging, gpa, level) == NULL)
        level++;
    check_true(status == (perm == 0 ? HVPT_E_ABSENT : HVPT_E_ATTR) && found.level == level && found.bits != 0,
               "%s: as the headers explain it", name);
}

void check_fault(const struct vm *vm, const struct vm_exit *exit, enum access access, uint32_t perm, uint64_t gpa,
                 const char *name)
{
    check_equal(exit->reason, vm->svm ? 0x400 : 48, "%s: exit reason", name);
    check_equal(exit->info, fault_info(vm, access, perm), "%s: %s", name, vm->svm ? "EXITINFO1" : "exit qualification");
    check_equal(exit->gpa, gpa, "%s: guest-physical address", name);
    check_true(exit->read == (access == ACCESS_READ) && exit->write == (access == ACCESS_WRITE)
                   && exit->fetch == (access == ACCESS_FETCH) && !exit->walk,
               "%s: decoded as a %s", name, access_name(access));
    check_explained(vm, access, perm, gpa, name);
}

void check_reads(struct vm *vm, uint64_t gpa, uint64_t hpa, const char *name)
{
    uint64_t value = 0, tag = vm_tag(hpa);
    struct vm_exit exit = vm_read(vm, gpa, &value);

    if (exit.kind != VM_EXIT_CALL)
        check_equal(exit.reason, vm->svm ? 0x81 : 18, "%s: exit reason", name);
    else
        check_equal(value, tag, "%s", name);
}
