/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The comparison of agree.h.
 */
#include "agree.h"

#include <string.h>

static void *see(const void *ctx, uint64_t hpa)
{
    return world_at((const struct world *)ctx, hpa);
}

struct oracle oracle_of(const struct world *world)
{
    uint64_t root = hvpt_space_root(&world->space);
    struct oracle cpu;

    memset(&cpu, 0, sizeof(cpu));
    cpu.at = see;
    cpu.ctx = world;
    cpu.amd = world->space.kind == HVPT_KIND_NPT;
    cpu.host_levels = world->space.root_level + 1u;
    cpu.root = root & UINT64_C(0xffffffffff000);
    cpu.host_maxphyaddr = 52;
    while (cpu.host_maxphyaddr > 32 && world->space.hpa_limit <= UINT64_C(1) << (cpu.host_maxphyaddr - 1))
        cpu.host_maxphyaddr--;
    cpu.host_nx = !(world->space.features & HVPT_NPT_NO_NX);
    if (!cpu.amd) {
        cpu.execute_only = world->space.features & HVPT_EPT_CAN_EXECUTE_ONLY;
        cpu.mbec = world->space.features & HVPT_EPT_USE_MODE_BASED_EXECUTE;
        cpu.ept_ad = root >> 6 & 1;
    }
    cpu.cr3 = GUEST;
    cpu.maxphyaddr = 52;
    return cpu;
}

struct hvpt_x86_guest registers_of(const struct oracle *cpu)
{
    bool on = cpu->mode != ORACLE_NONE, wide = on && cpu->mode != ORACLE_32, deep = cpu->mode == ORACLE_5;
    struct hvpt_x86_guest guest;

    memset(&guest, 0, sizeof(guest));
    guest.cr0 = 1u | (cpu->wp ? 1ull << 16 : 0) | (on ? 1ull << 31 : 0);
    guest.cr4 = (cpu->pse ? 1ull << 4 : 0) | (wide ? 1ull << 5 : 0) | (deep ? 1ull << 12 : 0)
              | (cpu->smep ? 1ull << 20 : 0) | (cpu->smap ? 1ull << 21 : 0) | (cpu->pke ? 1ull << 22 : 0)
              | (cpu->pks ? 1ull << 24 : 0);
    guest.efer = (cpu->nxe ? 1ull << 11 : 0) | (cpu->mode >= ORACLE_4 ? 1ull << 10 | 1ull << 8 : 0);
    guest.rflags = 2u | (cpu->ac ? 1ull << 18 : 0);
    guest.cr3 = cpu->cr3;
    memcpy(guest.pdpte, cpu->pdpte, sizeof(guest.pdpte));
    guest.pkru = cpu->pkru;
    guest.pkrs = cpu->pkrs;
    guest.maxphyaddr = cpu->maxphyaddr;
    guest.features =
        (cpu->no_1g ? (uint32_t)HVPT_X86_NO_1G : 0) | (cpu->advanced ? (uint32_t)HVPT_X86_ADVANCED_INFORMATION : 0)
        | (cpu->host_smep ? (uint32_t)HVPT_X86_HOST_SMEP : 0);
    return guest;
}

uint32_t bits_of(struct oracle_access access)
{
    return (access.read ? 1u : 0) | (access.write ? 2u : 0) | (access.fetch ? 4u : 0)
         | (access.user ? (uint32_t)HVPT_X86_USER : 0) | (access.implicit ? (uint32_t)HVPT_X86_IMPLICIT : 0);
}

struct oracle_access access_number(unsigned number)
{
    struct oracle_access access = {false, false, false, false, false};
    unsigned what = number & 3;

    access.read = what == 0 || what == 2;
    access.write = what == 1 || what == 2;
    access.fetch = what == 3;
    access.user = number & 4;
    access.implicit = number & 8;
    return access;
}

static const enum oracle_end end_of[] = {
    [HVPT_GUEST_OK] = ORACLE_OK,
    [HVPT_GUEST_NOT_CANONICAL] = ORACLE_GP,
    [HVPT_GUEST_PAGE_FAULT] = ORACLE_PF,
    [HVPT_GUEST_EPT_VIOLATION] = ORACLE_VIOLATION,
    [HVPT_GUEST_EPT_MISCONFIGURATION] = ORACLE_MISCONFIGURED,
    [HVPT_GUEST_NESTED_PAGE_FAULT] = ORACLE_NPF,
    [HVPT_GUEST_UNREACHABLE] = ORACLE_NOWHERE,
    [HVPT_GUEST_BAD_ARGUMENT] = (enum oracle_end)99,
};

static void differ(const struct oracle *cpu, uint64_t linear, uint32_t access, const struct hvpt_guest_walk *got,
                   const struct oracle_answer *wanted, const char *what)
{
    cr_assert_fail(
        "%s differs: mode %d amd %d wp %d smep %d smap %d ac %d nxe %d linear %#llx access %#x:\n"
        "  walk \"%s\" code %#x information %#llx fault %#llx gpa %#llx hpa %#llx perm %u level %u,%u size %#llx\n"
        "  oracle %d code %#x information %#llx fault %#llx gpa %#llx hpa %#llx perm %u level %u,%u size %#llx",
        what, cpu->mode, cpu->amd, cpu->wp, cpu->smep, cpu->smap, cpu->ac, cpu->nxe, (unsigned long long)linear, access,
        hvpt_guest_end_text(got->end), got->error_code, (unsigned long long)got->exit_information,
        (unsigned long long)got->fault_gpa.value, (unsigned long long)got->gpa.value,
        (unsigned long long)got->hpa.value, got->perm, got->level, got->second.level,
        (unsigned long long)got->page_size, wanted->end, wanted->error_code, (unsigned long long)wanted->information,
        (unsigned long long)wanted->fault_gpa, (unsigned long long)wanted->gpa, (unsigned long long)wanted->hpa,
        (wanted->may_read ? 1u : 0) | (wanted->may_write ? 2u : 0) | (wanted->may_fetch ? 4u : 0), wanted->level,
        wanted->host_level, (unsigned long long)wanted->page);
}

void agree(const struct world *world, const struct oracle *cpu, uint64_t linear, struct oracle_access access)
{
    const struct hvpt_x86_guest guest = registers_of(cpu);
    const uint32_t bits = bits_of(access);
    const struct oracle_answer wanted = oracle_walk(cpu, linear, access);
    struct hvpt_guest_walk got;
    const char *what = NULL;
    unsigned level;

    if (end_of[world_walk(world, &guest, linear, bits, &got)] != wanted.end)
        what = "the end";
    else if (got.error_code != wanted.error_code)
        what = "the error code";
    else if (got.exit_information != wanted.information)
        what = "the exit information";
    else if (got.fault_gpa.value != wanted.fault_gpa)
        what = "the faulting address";
    else if (got.gpa.value != wanted.gpa || got.guest_page_size != wanted.guest_page)
        what = "the guest-physical address";
    else if (wanted.end != ORACLE_GP && got.paging && got.level != wanted.level)
        what = "the guest's level";
    else if (wanted.end >= ORACLE_VIOLATION && got.second.level != wanted.host_level)
        what = "the second level's level";
    else if (got.linear != linear)
        what = "the linear address";
    if (wanted.end == ORACLE_OK) {
        if (got.hpa.value != wanted.hpa || got.page_size != wanted.page)
            what = "the host-physical address";
        else if (!(got.perm & HVPT_READ) != !wanted.may_read || !(got.perm & HVPT_WRITE) != !wanted.may_write
                 || !(got.perm & HVPT_EXEC) != !wanted.may_fetch)
            what = "what both stages allow";
    }
    for (level = got.level; level <= got.root_level && got.paging; level++) {
        if (got.step[level].entry != wanted.entry[level] || got.step[level].gpa.value != wanted.entry_gpa[level])
            what = "an entry";
        if (wanted.end == ORACLE_OK && got.step[level].update != wanted.update[level])
            what = "the accessed and dirty bits";
    }
    if (what != NULL)
        differ(cpu, linear, bits, &got, &wanted, what);
}

struct hvpt_guest_walk walk_to(const struct world *world, const struct oracle *cpu, uint64_t linear, uint32_t access,
                               enum hvpt_guest_end end)
{
    const struct hvpt_x86_guest guest = registers_of(cpu);
    struct hvpt_guest_walk walk;
    enum hvpt_guest_end got = world_walk(world, &guest, linear, access, &walk);

    cr_assert(got == end && walk.end == end, "\"%s\" (%#llx at %#llx, error code %#x), should be \"%s\"",
              hvpt_guest_end_text(got), (unsigned long long)walk.exit_information,
              (unsigned long long)walk.fault_gpa.value, walk.error_code, hvpt_guest_end_text(end));
    return walk;
}

unsigned top_level(enum oracle_mode mode)
{
    return mode == ORACLE_32 ? 1 : mode == ORACLE_PAE ? 2 : mode == ORACLE_4 ? 3 : 4;
}

static unsigned shift_of(const struct oracle *cpu, unsigned level)
{
    return 12 + (cpu->mode == ORACLE_32 ? 10 : 9) * level;
}

uint64_t entry_at(const struct oracle *cpu, uint64_t linear, unsigned level)
{
    uint64_t index = linear >> shift_of(cpu, level) & (cpu->mode == ORACLE_32 ? 1023 : 511);

    return frame(top_level(cpu->mode) - level) + index * (cpu->mode == ORACLE_32 ? 4 : 8);
}

void build(struct world *world, const struct oracle *cpu, uint64_t linear, uint64_t gpa, uint64_t bits,
           unsigned leaf_level)
{
    for (unsigned level = top_level(cpu->mode);; level--) {
        uint64_t entry = (level == leaf_level ? gpa : frame(top_level(cpu->mode) - level + 1)) | bits;

        if (level == leaf_level && level > 0)
            entry |= 0x80;
        if (cpu->mode == ORACLE_PAE && level == 2)
            entry = (entry & ~UINT64_C(0xfff)) | 1;
        if (cpu->mode == ORACLE_32)
            world_put32(world, entry_at(cpu, linear, level), (uint32_t)entry);
        else
            world_put(world, entry_at(cpu, linear, level), entry);
        if (level == leaf_level)
            return;
    }
}
