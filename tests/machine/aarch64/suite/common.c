/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What the suites expect, from the Arm ARM's tables. */
#include "suite.h"

#include <hvpt/explain.h>

#include "machine.h"

unsigned fault_status(enum fault fault, int level)
{
    if (level < 0) /* FEAT_LPA2: 101001 address size, 101011 translation */
        return fault == FAULT_ADDRESS_SIZE ? 0x29 : 0x2b;
    return (unsigned)fault | (unsigned)level;
}

const char *access_name(enum access access)
{
    static const char *const names[] = {"read", "write", "fetch", "user read", "user write", "user fetch"};

    return names[access];
}

const char *perm_name(uint32_t perm)
{
    static const char *const names[16] = {"none", "r",  "w",  "rw",  "x",  "rx",  "wx",  "rwx",
                                          "u",    "ru", "wu", "rwu", "xu", "rxu", "wxu", "rwxu"};

    return names[perm & 15];
}

const char *size_name(uint64_t size)
{
    switch (size >> 12) {
    case 1: return "4K";
    case 1 << 2: return "16K";
    case 1 << 4: return "64K";
    case 1 << 9: return "2M";
    case 1 << 13: return "32M";
    case 1 << 17: return "512M";
    case 1 << 18: return "1G";
    case 1 << 24: return "64G";
    case 1 << 27: return "512G";
    case 1 << 30: return "4T";
    default: return "?";
    }
}

uint64_t page_size_at(unsigned granule_shift, int level)
{
    return UINT64_C(1) << (granule_shift + (unsigned)(3 - level) * (granule_shift - 3));
}

uint64_t smaller_page(unsigned granule_shift, uint64_t size)
{
    return size >> granule_shift > 1 ? size >> (granule_shift - 3) : size;
}

/* Arm ARM, "Block descriptor": 4K: level 1, and 0 with LPA2; 16K: 2, and 1 with LPA2; 64K: 2, and 1 with LPA. */
int first_leaf_level(unsigned granule_shift, bool lpa2)
{
    if (granule_shift == 12)
        return lpa2 ? 0 : 1;
    if (granule_shift == 14)
        return lpa2 ? 1 : 2;
    return paging_physical_bits() >= 52 ? 1 : 2;
}

bool access_allowed(enum access access, uint32_t perm, bool xnx)
{
    switch (access) {
    case ACCESS_READ:
    case ACCESS_USER_READ: return (perm & HVPT_READ) != 0;
    case ACCESS_WRITE:
    case ACCESS_USER_WRITE: return (perm & HVPT_WRITE) != 0;
    case ACCESS_FETCH: return (perm & HVPT_EXEC) != 0;
    case ACCESS_USER_FETCH: return (perm & (xnx ? HVPT_EXEC_USER : HVPT_EXEC)) != 0;
    default: return false;
    }
}

struct vm_exit access_do(struct vm *vm, enum access access, uint64_t gpa, uint64_t *value)
{
    static const char *const pieces[] = {guest_read,      guest_write,      guest_fetch,
                                         guest_user_read, guest_user_write, guest_user_fetch};
    bool write = access == ACCESS_WRITE || access == ACCESS_USER_WRITE;
    struct vm_exit exit;

    vm->regs.x[0] = gpa;
    vm->regs.x[1] = write ? UINT64_C(0x11223344d65f03c0) : 0;
    exit = vm_do(vm, pieces[access], access >= ACCESS_USER_READ);
    if (value != NULL)
        *value = vm->regs.x[1];
    return exit;
}

bool access_passed(enum access access, const struct vm_exit *exit)
{
    return exit->kind == VM_EXIT_CALL && exit->call == (access >= ACCESS_USER_READ ? 2u : 1u);
}

uint64_t fault_syndrome(enum access access, unsigned status)
{
    bool write = access == ACCESS_WRITE || access == ACCESS_USER_WRITE;

    if (access == ACCESS_FETCH || access == ACCESS_USER_FETCH)
        return UINT64_C(0x20) << 26 | 1u << 25 | status; /* instruction abort from a lower level, IL */
    /* Data abort, IL; the pieces' LDR and STR: ISV, SAS 64 bits, SRT x1, SF; WnR */
    return UINT64_C(0x24) << 26 | 1u << 25 | 1u << 24 | 3u << 22 | 1u << 16 | 1u << 15 | (write ? 1u << 6 : 0) | status;
}

/* The headers' reading of the three registers. The pieces load into and store from x1. */
static void check_decoded(const struct vm_exit *exit, enum access access, enum fault fault, int level, uint64_t gpa,
                          const char *name)
{
    static const enum hvpt_s2_fault_kind kinds[4] = {HVPT_S2_FAULT_ADDRESS_SIZE, HVPT_S2_FAULT_TRANSLATION,
                                                     HVPT_S2_FAULT_ACCESS_FLAG, HVPT_S2_FAULT_PERMISSION};
    const bool write = access == ACCESS_WRITE || access == ACCESS_USER_WRITE;
    const bool fetch = access == ACCESS_FETCH || access == ACCESS_USER_FETCH;
    const struct hvpt_s2_fault *got = &exit->fault;
    bool right = exit->stage2 && got->kind == kinds[fault >> 2] && got->has_level && got->level == (unsigned)(3 - level)
              && !got->on_table && got->linear_valid && got->linear == gpa;

    right = right && got->access == (fetch ? (uint32_t)HVPT_EXEC : write ? (uint32_t)HVPT_WRITE : (uint32_t)HVPT_READ);
    right = right && got->gpa_valid == (fault != FAULT_PERMISSION) && got->gpa_exact == got->gpa_valid
         && (!got->gpa_valid || got->gpa.value == gpa);
    right = right && got->instruction.valid == !fetch
         && (fetch || (got->instruction.size == 8 && got->instruction.reg == 1 && got->instruction.wide));
    check_true(right, "%s: as the headers take it apart", name);
}

/* What the headers make of the tables, without having seen the fault: the same reason, at the same level. */
static void check_explained(const struct vm *vm, enum access access, enum fault fault, int level, uint64_t gpa,
                            const char *name)
{
    static const uint32_t rights[] = {HVPT_READ, HVPT_WRITE, HVPT_EXEC, HVPT_READ, HVPT_WRITE, HVPT_EXEC_USER};
    struct hvpt_diagnosis found;
    enum hvpt_status status = hvpt_space_diagnose(&vm->paging.s2, hvpt_make_gpa(gpa), rights[access], &found);
    bool right;

    if (fault == FAULT_TRANSLATION)
        right = status == HVPT_E_ABSENT || status == HVPT_E_CORRUPT;
    else
        right = status == (fault == FAULT_ADDRESS_SIZE ? HVPT_E_CORRUPT : HVPT_E_ATTR);
    right = right && found.level == (unsigned)(3 - level) && found.bits != 0;
    if (fault == FAULT_ACCESS_FLAG || fault == FAULT_PERMISSION)
        right = right && (fault == FAULT_ACCESS_FLAG) == (found.bits == UINT64_C(1) << 10);
    check_true(right, "%s: as the headers explain it", name);
}

void check_fault(const struct vm *vm, const struct vm_exit *exit, enum access access, enum fault fault, int level,
                 uint64_t gpa, const char *name)
{
    check_equal(exit->esr, fault_syndrome(access, fault_status(fault, level)), "%s: ESR_EL2", name);
    check_equal(exit->far, gpa, "%s: FAR_EL2", name);
    if (fault != FAULT_PERMISSION) /* HPFAR_EL2 is unknown then */
        check_equal(exit->hpfar, gpa >> 12 << 4, "%s: HPFAR_EL2", name);
    check_decoded(exit, access, fault, level, gpa, name);
    check_explained(vm, access, fault, level, gpa, name);
}

void check_reads(struct vm *vm, uint64_t gpa, uint64_t hpa, const char *name)
{
    uint64_t value = 0, tag = vm_tag(hpa);
    struct vm_exit exit = vm_read(vm, gpa, &value);

    if (exit.kind != VM_EXIT_CALL)
        check_equal(exit.esr, 0x5a000001, "%s: ESR_EL2", name);
    else
        check_equal(value, tag, "%s", name);
}

void create(struct vm *vm, struct frames *frames, const struct paging_options *options)
{
    enum hvpt_status status = vm_create(vm, frames, options);

    if (status != HVPT_OK)
        panic("init: %s", hvpt_status_text(status));
}

void finish(struct vm *vm, const char *name)
{
    struct frames *frames = vm->paging.frames;

    check_true(!vm->paging.early, "%s: no table came back before its flush", name);
    vm_destroy(vm);
    check_equal(frames->held, 0, "%s: every frame came back", name);
}
