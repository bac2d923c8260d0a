/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Both stages at once: the guest's tables and the second level, broken at random, walked by hvpt_guest_walk_x86 and by
 * the processor. What the walk foretells (who gets which fault, with which error code, qualification or EXITINFO1, at
 * which address; which accessed and dirty bits are set) must come to pass.
 */
#include "suite.h"

#include <hvpt/guest/x86.h>

#include "console.h"
#include "cpu.h"
#include "machine.h"
#include "vm/svm.h"
#include "vm/vmx.h"

#define TABLES      (HVPT_1G + UINT64_C(0x10000)) /* guest-physical: the guest's tables, a page each, by level */
#define DATA        (HVPT_1G + UINT64_C(0x5000))
#define PAGES       32u               /* guest-physical pages from HVPT_1G on, each mapped by an entry of its own */
#define USER_PDPT   UINT64_C(0x17000) /* guest-physical, in the home: its first 2 MiB once more, for user mode */
#define USER_PD     UINT64_C(0x18000)
#define USER_LINEAR (UINT64_C(2) << 39)
/* The same for guests of 32 bits: page tables of the home, as supervisor's and as user's, and PAE's directory of both. */
#define LEGACY_SUPERVISOR UINT64_C(0x17000)
#define LEGACY_USER       UINT64_C(0x18000)
#define LEGACY_DIRECTORY  UINT64_C(0x19000)
#define ROUNDS            1000u /* of a mode */

enum kind {
    KIND_CANONICAL, /* the guest gets #GP */
    KIND_GUEST,     /* the guest gets #PF */
    KIND_RESERVED,  /* ... for a reserved bit */
    KIND_BIT_8,     /* ... for bit 8 of an AMD guest's two highest tables */
    KIND_TABLE,     /* the second level refuses the walk */
    KIND_UPDATE,    /* ... that it sets accessed or dirty */
    KIND_FINAL,     /* the second level refuses the access itself */
    KIND_MALFORMED, /* an entry of the second level is wrong */
    KIND_THROUGH,
    KIND_BIT_0,    /* of what is reported: P beside a reserved bit; on EPT, "read" beside "write" at a guest's table */
    KIND_POINTERS, /* accesses that left PAE's directory pointers, read from memory on NPT, as they were */
    KIND_COUNT
};

static const char *const kind_names[KIND_COUNT] = {
    "addresses that are not canonical",
    "page faults of the guest",
    "reserved bits of the guest",
    "bit 8 in the highest tables of the guest",
    "tables that the second level keeps from the walk",
    "tables that the second level keeps from being updated",
    "faults of the second level",
    "wrong entries of the second level",
    "accesses that go through",
    "bits 0 of what is reported",
    "directory pointers that an access went by",
};

struct tally {
    unsigned seen, wrong;
};

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545f4914f6cdd1d) >> 12;
}

static unsigned below(unsigned bound)
{
    return (unsigned)(random_next() % bound);
}

/* What of the guest's CPU may be turned on. */
struct cpu_has {
    bool smep, smap, giant, la57;
    unsigned physical_bits;
};

static uint64_t table_at(unsigned level)
{
    return TABLES + level * HVPT_4K;
}

static uint64_t *guest_entry_at(uint64_t linear, unsigned level)
{
    return vm_host_word(VM_MEMORY + (table_at(level) - HVPT_1G)) + (linear >> (12 + 9 * level) & 511);
}

/* The guest's tables from root to leaf; the root's first and third entries are the code, as supervisor's and user's. */
static void build_guest(struct vm *vm, uint64_t linear, unsigned root, unsigned leaf)
{
    uint64_t *pdpt = (uint64_t *)(void *)(vm->guest.memory + USER_PDPT);
    uint64_t *pd = (uint64_t *)(void *)(vm->guest.memory + USER_PD);

    pdpt[0] = USER_PD | 0x27;
    pd[0] = 0xe7;
    for (unsigned level = root; level > leaf; level--) {
        *guest_entry_at(linear, level) = table_at(level - 1) | 0x27;
        if (below(6) == 0)
            *guest_entry_at(linear, level) &= ~(random_next() & 0x26);
        if (below(8) == 0)
            *guest_entry_at(linear, level) |= UINT64_C(1) << 63;
    }
    *guest_entry_at(linear, leaf) = (DATA >> (12 + 9 * leaf) << (12 + 9 * leaf)) | (leaf > 0 ? 0x80u : 0) | 1
                                  | (random_next() & 0x66) | (below(2) ? 0x60u : 0) | (below(2) ? 0x6u : 0)
                                  | (below(3) == 0 ? UINT64_C(1) << 63 : 0);
    if (root == 4) /* the code's way, by five levels */
        *guest_entry_at(0, 4) = table_at(3) | 0x27;
    *guest_entry_at(0, 3) = (GUEST_PML4 + 0x1000) | 0x23;
    *guest_entry_at(USER_LINEAR, 3) = USER_PDPT | 0x27;
}

static void break_guest(uint64_t linear, unsigned root, unsigned leaf)
{
    static const unsigned bits[] = {0, 1, 2, 5, 6, 7, 8, 9, 12, 13, 20, 34, 39, 40, 45, 51, 52, 63};
    unsigned level = leaf + below(root - leaf + 1);

    *guest_entry_at(linear, level) ^= UINT64_C(1) << bits[below(sizeof(bits) / sizeof(bits[0]))];
}

/*
 * The second level's entries for PAGES, open again; then one in use limited: one of the lowest tables, not of those by
 * which the guest's code comes, too.
 */
static void build_second(struct vm *vm, const uint64_t *open, unsigned leaf, unsigned tables, bool limit)
{
    static const uint64_t ept_rights[] = {0, 1, 3, 4, 5, 2, 6};
    static const uint64_t npt_clear[] = {1, 2, 2, 4, 0, 0, 0};
    uint64_t gpa, *entry;
    unsigned what = below(7);

    for (unsigned i = 0; i < PAGES; i++)
        *paging_entry(&vm->paging, HVPT_1G + i * HVPT_4K, 0) = open[i];
    if (!limit)
        return;
    gpa = below(3) == 0 ? DATA : table_at(below(2) && leaf < tables ? leaf : below(tables));
    entry = paging_entry(&vm->paging, gpa, 0);
    if (!vm->svm) {
        *entry = (*entry & ~UINT64_C(7)) | ept_rights[what];
        return;
    }
    *entry &= ~npt_clear[what];
    if (what >= 4 && what <= 5)
        *entry |= UINT64_C(1) << 63;
    if (what == 6 && cpu_physical_address_bits() < 52)
        *entry |= UINT64_C(1) << 51;
}

static enum kind kind_of(const struct hvpt_guest_walk *walk)
{
    switch (walk->end) {
    case HVPT_GUEST_OK: return KIND_THROUGH;
    case HVPT_GUEST_NOT_CANONICAL: return KIND_CANONICAL;
    case HVPT_GUEST_PAGE_FAULT:
        if ((walk->error_code & 8) == 0)
            return KIND_GUEST;
        return walk->level >= 3 && (walk->step[walk->level].entry & 0x100) != 0 ? KIND_BIT_8 : KIND_RESERVED;
    case HVPT_GUEST_EPT_MISCONFIGURATION: return KIND_MALFORMED;
    default: break;
    }
    if (walk->end == HVPT_GUEST_NESTED_PAGE_FAULT && (walk->exit_information & 8) != 0)
        return KIND_MALFORMED;
    return !walk->on_table ? KIND_FINAL : walk->gpa.value != 0 ? KIND_UPDATE : KIND_TABLE;
}

/* The exit, in the walk's words. */
struct seen {
    uint64_t vector, error_code, address;
};

static struct seen see_exception(struct vm *vm, const struct vm_exit *exit)
{
    struct seen seen = {~UINT64_C(0), 0, 0};

    if (exit->kind != VM_EXIT_EXCEPTION)
        return seen;
    if (vm->svm) {
        seen.vector = exit->reason - 0x40;
        seen.error_code = exit->info;
        seen.address = exit->gpa;
    } else {
        const struct hvctl_vmcs_image *image = &vmx_control(vm)->image;

        seen.vector = hvctl_vmcs_get(image, HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION) & 0xff;
        seen.error_code = hvctl_vmcs_get(image, HVCTL_VMCS_VM_EXIT_INTERRUPTION_ERROR_CODE);
        seen.address = exit->info;
    }
    return seen;
}

/* Did it end as the walk foretells? but: bits of error codes, qualifications and EXITINFO1 that are judged elsewhere. */
static bool ended_so(struct vm *vm, const struct hvpt_guest_walk *walk, const struct vm_exit *exit, uint64_t but)
{
    const struct seen seen = see_exception(vm, exit);

    switch (walk->end) {
    case HVPT_GUEST_OK: return exit->kind == VM_EXIT_CALL;
    case HVPT_GUEST_NOT_CANONICAL: return seen.vector == 13 && seen.error_code == 0;
    case HVPT_GUEST_PAGE_FAULT:
        return seen.vector == 14 && ((seen.error_code ^ walk->error_code) & ~but) == 0 && seen.address == walk->linear;
    case HVPT_GUEST_EPT_VIOLATION:
        return exit->reason == 48 && ((exit->info ^ walk->exit_information) & ~but) == 0
            && exit->gpa == walk->fault_gpa.value && exit->linear == walk->linear;
    case HVPT_GUEST_EPT_MISCONFIGURATION: return exit->reason == 49 && exit->gpa == walk->fault_gpa.value;
    case HVPT_GUEST_NESTED_PAGE_FAULT:
        return exit->reason == 0x400 && ((exit->info ^ walk->exit_information) & ~but) == 0
            && exit->gpa == walk->fault_gpa.value;
    default: return false;
    }
}

/* Where emulators were seen to differ in bit 0 alone, it is judged by itself, and the rest stays judged. */
static bool has_bit_0(const struct vm *vm, enum kind kind)
{
    return vm->svm ? kind == KIND_RESERVED || kind == KIND_MALFORMED : kind == KIND_TABLE;
}

/* Levels first to last: do the entries hold what they held, with what the walk says of accessed and dirty? */
static bool updated_so(const struct hvpt_guest_walk *walk, unsigned first, unsigned last, unsigned entry_bytes)
{
    const uint64_t mask = entry_bytes == 8 ? ~UINT64_C(0) : UINT32_MAX;

    for (unsigned level = first; level <= last; level++) {
        const struct hvpt_guest_step *step = &walk->step[level];

        if (!step->in_register && ((*vm_host_word(step->hpa.value) ^ step->entry ^ step->update) & mask) != 0)
            return false;
    }
    return true;
}

/* pdpte: of a PAE guest; on NPT the processor reads them from memory. */
static void enter_with(struct vm *vm, const struct hvctl_guest_state *state, const uint64_t *pdpte)
{
    static const uint32_t fields[] = {HVCTL_VMCS_GUEST_PDPTE0, HVCTL_VMCS_GUEST_PDPTE1, HVCTL_VMCS_GUEST_PDPTE2,
                                      HVCTL_VMCS_GUEST_PDPTE3};
    enum hvctl_status status = HVCTL_OK;

    if (vm->svm)
        hvctl_svm_guest_write(svm_control(vm)->vmcb, state);
    else
        status = hvctl_vmx_guest_write(&vmx_control(vm)->image, vmx_caps(), state);
    for (unsigned i = 0; i < 4 && !vm->svm; i++)
        hvctl_vmcs_put(&vmx_control(vm)->image, fields[i], pdpte[i], &status);
    if (status != HVCTL_OK)
        panic("guest state: %s", hvctl_status_text(status));
}

/* One access of a guest, and what it is made under. */
struct attempt {
    struct hvctl_guest_state state;
    uint64_t pdpte[4];
    uint64_t linear, code; /* code: what its own addresses begin at */
    unsigned what;         /* enum access */
    unsigned entry_bytes;
    bool user;
};

/* A 64-bit guest, by four levels or five. */
static void prepare_long(struct vm *vm, const struct cpu_has *has, const uint64_t *open, struct attempt *attempt)
{
    const unsigned root = has->la57 && below(2) ? 4 : 3;
    const unsigned leaf = below(3) == 0 ? 1 + (has->giant && below(2) ? 1u : 0) : 0;
    const uint64_t inside = (UINT64_C(1) << (12 + 9 * leaf)) - 1;
    const unsigned sign = root == 4 ? 56 : 47;
    uint64_t linear;

    attempt->entry_bytes = 8;
    attempt->code = attempt->user ? USER_LINEAR : 0;
    linear = (random_next() << 24 ^ random_next()) & ~inside;
    linear = ((linear | (DATA & inside)) & ~UINT64_C(0xfff)) | below(500) * 8;
    linear |= UINT64_C(5) << 39; /* not the entries of the code */
    linear = (uint64_t)((int64_t)(linear << (63 - sign)) >> (63 - sign));
    if (below(40) == 0)
        linear ^= UINT64_C(1) << (sign + below(64 - sign));
    attempt->linear = linear;

    build_guest(vm, linear, root, leaf);
    if (below(2) == 0)
        break_guest(linear, root, leaf);
    build_second(vm, open, leaf, 3, below(2) == 0);
    attempt->state = hvctl_guest_long64(table_at(root), 0, 0);
    attempt->state.cr4 |= root == 4 ? UINT64_C(1) << 12 : 0;
    if (below(4) == 0)
        attempt->state.efer &= ~(uint64_t)HVCTL_EFER_NXE;
}

/* Entry index of the table at guest-physical gpa, which the host sees at table. */
static void put_entry(void *table, unsigned bytes, uint64_t index, uint64_t value)
{
    if (bytes == 8)
        ((uint64_t *)table)[index] = value;
    else
        ((uint32_t *)table)[index] = (uint32_t)value;
}

/* A guest of 32 bits, by two levels of 1024 entries of 4 bytes, or by PAE's three. */
static void prepare_legacy(struct vm *vm, const uint64_t *open, bool pae, struct attempt *attempt)
{
    static const unsigned flips[] = {0, 1, 2, 5, 6, 7, 8, 9, 12, 13, 21, 30, 63, 51, 45};
    const unsigned bytes = pae ? 8 : 4, index_bits = pae ? 9 : 10;
    const bool pse = pae || below(3) != 0;
    const unsigned leaf = pse && below(3) == 0 ? 1 : 0;
    const uint64_t span = UINT64_C(1) << (12 + index_bits * leaf);
    uint8_t *supervisor = vm->guest.memory + LEGACY_SUPERVISOR, *user = vm->guest.memory + LEGACY_USER;
    uint64_t linear, entry, directory, broken = UINT64_C(1) << flips[below(pae ? 15 : 12)];
    unsigned breaks = below(2) == 0 ? leaf + below(2 - leaf) : 2; /* the level; PAE's highest is in registers on EPT */
    void *table[2];

    attempt->entry_bytes = bytes;
    attempt->code = attempt->user ? UINT64_C(1) << (12 + index_bits) : 0;
    linear = (random_next() << 12 & UINT64_C(0xfffff000) & ~(span - 1)) | (DATA & (span - 1));
    linear = (linear & ~UINT64_C(0xfff)) | UINT64_C(0x40000000) | below(500) * 8; /* not the entries of the code */
    attempt->linear = linear;

    /* The code: the home as it lies, once for each mode. */
    for (uint64_t page = 0; page < GUEST_HOME_SIZE / HVPT_4K; page++) {
        put_entry(supervisor, bytes, page, page << 12 | 0x63);
        put_entry(user, bytes, page, page << 12 | 0x67);
    }
    directory = pae ? LEGACY_DIRECTORY : table_at(1);
    table[0] = vm_host_word(VM_MEMORY + (table_at(0) - HVPT_1G));
    table[1] = vm_host_word(VM_MEMORY + (table_at(1) - HVPT_1G));
    put_entry(pae ? (void *)(vm->guest.memory + LEGACY_DIRECTORY) : table[1], bytes, 0, LEGACY_SUPERVISOR | 0x23);
    put_entry(pae ? (void *)(vm->guest.memory + LEGACY_DIRECTORY) : table[1], bytes, 1, LEGACY_USER | 0x27);
    if (pae) {
        attempt->pdpte[0] = directory | 1;
        attempt->pdpte[1] = attempt->pdpte[2] = attempt->pdpte[3] = table_at(1) | 1;
        if (below(12) == 0)
            attempt->pdpte[linear >> 30] = 0;
        for (unsigned i = 0; i < 4; i++)
            put_entry(vm_host_word(VM_MEMORY + (table_at(2) - HVPT_1G)), 8, i, attempt->pdpte[i]);
    }

    /* The way to the page, with what is taken from it. */
    if (leaf == 0) {
        entry = table_at(0) | 0x27;
        if (below(6) == 0)
            entry &= ~(random_next() & 0x26);
        put_entry(table[1], bytes, linear >> (12 + index_bits) & ((1u << index_bits) - 1),
                  entry ^ (breaks == 1 ? broken : 0));
    }
    entry = (DATA & ~(span - 1)) | (leaf > 0 ? 0x80u : 0) | 1 | (random_next() & 0x66) | (below(2) ? 0x60u : 0)
          | (below(2) ? 0x6u : 0) | (pae && below(3) == 0 ? UINT64_C(1) << 63 : 0);
    put_entry(table[leaf], bytes, linear >> (12 + index_bits * leaf) & ((1u << index_bits) - 1),
              entry ^ (breaks == leaf ? broken : 0));
    build_second(vm, open, leaf, pae ? 2 : 1, below(2) == 0);

    attempt->state = hvctl_guest_flat32(0, 0);
    attempt->state.cr0 |= HVCTL_CR0_NE | HVCTL_CR0_WP | HVCTL_CR0_PG;
    attempt->state.cr3 = table_at(pae ? 2 : 1);
    attempt->state.cr4 = pae ? (uint64_t)HVCTL_CR4_PAE : pse ? UINT64_C(1) << 4 : 0;
    attempt->state.efer = pae && below(3) != 0 ? (uint64_t)HVCTL_EFER_NXE : 0;
}

static struct hvpt_x86_guest guest_of(const struct vm *vm, const struct cpu_has *has, const struct attempt *attempt)
{
    struct hvpt_x86_guest guest = {.cr0 = attempt->state.cr0,
                                   .cr3 = attempt->state.cr3,
                                   .cr4 = attempt->state.cr4,
                                   .efer = attempt->state.efer,
                                   .rflags = attempt->state.rflags,
                                   .maxphyaddr = has->physical_bits,
                                   .features = (has->giant ? 0 : (uint32_t)HVPT_X86_NO_1G)};

    for (unsigned i = 0; i < 4; i++)
        guest.pdpte[i] = attempt->pdpte[i];
    if (!vm->svm && (vmx_ept_capabilities() >> 22 & 1) != 0)
        guest.features |= HVPT_X86_ADVANCED_INFORMATION;
    return guest;
}

/* What the access did, of an access that went through. */
static bool did(const struct vm *vm, const struct attempt *attempt, const struct hvpt_guest_walk *walk, uint64_t tag)
{
    const uint64_t mask = attempt->entry_bytes == 8 && attempt->state.efer & HVCTL_EFER_LMA ? ~UINT64_C(0) : UINT32_MAX;

    if (attempt->what == 0)
        return ((vm->regs.rax ^ tag) & mask) == 0;
    return attempt->what != 1 || ((*vm_host_word(walk->hpa.value) ^ UINT64_C(0x11223344556677c3)) & mask) == 0;
}

enum mode { MODE_LONG, MODE_PAE, MODE_32, MODE_COUNT };

static void check_once(struct vm *vm, const struct cpu_has *has, const uint64_t *open, enum mode mode,
                       struct tally *tally)
{
    static const enum guest_piece pieces[] = {PIECE_READ, PIECE_WRITE, PIECE_FETCH};
    static const uint32_t accesses[] = {HVPT_READ, HVPT_WRITE, HVPT_EXEC};
    struct attempt attempt = {.what = below(3)};
    struct hvctl_guest_state *state = &attempt.state;
    struct hvpt_x86_guest guest;
    struct hvpt_guest_walk walk;
    struct vm_exit exit;
    enum hvpt_guest_end end;
    uint64_t tag = 0;
    enum kind kind;
    bool right;

    attempt.user = below(2) != 0;
    if (mode == MODE_LONG)
        prepare_long(vm, has, open, &attempt);
    else
        prepare_legacy(vm, open, mode == MODE_PAE, &attempt);
    state->cr0 &= ~(below(3) == 0 ? HVCTL_CR0_WP : 0);
    state->cr4 |= (has->smep && below(2) ? UINT64_C(1) << 20 : 0) | (has->smap && below(2) ? UINT64_C(1) << 21 : 0);
    state->rflags = 2 | (below(2) ? UINT64_C(1) << 18 : 0);
    if (attempt.user) {
        state->cs.rights |= 3u << 5;
        state->ss.rights |= 3u << 5;
        state->cs.selector |= 3;
        state->ss.selector |= 3;
        state->ds = state->es = state->fs = state->gs = state->ss;
    }
    enter_with(vm, state, attempt.pdpte);
    vm->regs.rflags = state->rflags;
    vm->regs.rip = attempt.code + guest_entry(&vm->guest, pieces[attempt.what]);
    vm->regs.rsp = attempt.code + GUEST_STACK;
    vm->regs.rdi = attempt.linear;
    vm->regs.rsi = UINT64_C(0x11223344556677c3);
    vm->regs.rax = 0;
    vm->regs.cr2 = 0;
    paging_flush_all(&vm->paging);
    vm->paging.stale = true;

    guest = guest_of(vm, has, &attempt);
    end = hvpt_guest_walk_x86(&vm->paging.space, &guest, attempt.linear,
                              accesses[attempt.what] | (attempt.user ? (uint32_t)HVPT_X86_USER : 0), &walk);
    kind = kind_of(&walk);
    if (end == HVPT_GUEST_OK) {
        if (walk.hpa.value < VM_MEMORY || walk.hpa.value >= VM_MEMORY + (TABLES - HVPT_1G))
            return; /* a table was made a page: writing there proves nothing */
        tag = vm_tag(walk.hpa.value);
    }
    exit = vm_run(vm);

    right = ended_so(vm, &walk, &exit, has_bit_0(vm, kind) ? 1 : 0);
    if (right && has_bit_0(vm, kind)) {
        tally[KIND_BIT_0].seen++;
        tally[KIND_BIT_0].wrong += !ended_so(vm, &walk, &exit, 0);
    }
    if (right && end == HVPT_GUEST_OK) {
        const unsigned last = walk.root_level - (mode == MODE_PAE ? 1u : 0u);

        right = updated_so(&walk, walk.level, last, attempt.entry_bytes) && did(vm, &attempt, &walk, tag);
        if (mode == MODE_PAE && vm->svm) {
            tally[KIND_POINTERS].seen++;
            tally[KIND_POINTERS].wrong += !updated_so(&walk, walk.root_level, walk.root_level, attempt.entry_bytes);
        }
    }
    tally[kind].seen++;
    if (!right && tally[kind].wrong++ < 2) {
        print(
            "%s: %s%s at %lx, cr0 %lx, cr4 %lx, efer %lx, flags %lx: foretold %s, code %x, information %lx, gpa %lx\n",
            kind_names[kind], attempt.user ? "user " : "", access_name((enum access)attempt.what), attempt.linear,
            state->cr0, state->cr4, state->efer, state->rflags, hvpt_guest_end_text(end), walk.error_code,
            walk.exit_information, walk.fault_gpa.value);
        print("  the processor: reason %lx, info %lx, gpa %lx, code %lx; entry %lx at level %u, second level's %lx\n",
              exit.reason, exit.info, exit.gpa, see_exception(vm, &exit).error_code, walk.step[walk.level].entry,
              walk.level, walk.second.entry);
    }
}

static void check_random(struct frames *frames, enum mode mode, bool accessed_dirty)
{
    struct paging_options options = {.accessed_dirty = accessed_dirty};
    struct tally tally[KIND_COUNT] = {{0, 0}};
    const uint32_t features = cpu_cpuid(7, 0).ebx;
    struct cpu_has has;
    uint64_t open[PAGES];
    struct vm vm;

    vm_create(&vm, frames, &options);
    has.smep = (features >> 7 & 1) != 0;
    has.smap = (features >> 20 & 1) != 0;
    has.giant = (cpu_cpuid(0x80000001u, 0).edx >> 26 & 1) != 0;
    has.la57 = vm.svm && (cpu_read_cr4() >> 12 & 1) != 0;
    has.physical_bits = cpu_physical_address_bits();
    check_equal(paging_map(&vm.paging, HVPT_1G, VM_MEMORY, PAGES * HVPT_4K, paging_attr(RWX)), HVPT_OK, "map");
    for (unsigned i = 0; i < PAGES; i++)
        open[i] = *paging_entry(&vm.paging, HVPT_1G + i * HVPT_4K, 0);
    for (unsigned i = 0; i < ROUNDS; i++)
        check_once(&vm, &has, open, mode, tally);
    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        if (tally[kind].seen == 0 && mode != MODE_LONG && (kind == KIND_CANONICAL || kind == KIND_BIT_8))
            continue; /* no such thing below 64 bits */
        if (kind == KIND_POINTERS && (mode != MODE_PAE || !vm.svm))
            continue;
        if (tally[kind].seen == 0) {
            check_skip("the machine has none", "%s: as the walk foretells", kind_names[kind]);
            continue;
        }
        check_equal(tally[kind].wrong, 0, "%s: as the walk foretells", kind_names[kind]);
        print("%u %s\n", tally[kind].seen, kind_names[kind]);
    }
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}

void suite_guest_walk(struct frames *frames)
{
    static const char *const names[MODE_COUNT] = {"guest walk", "guest walk, PAE", "guest walk, 32-bit"};
    static const char *const marked[MODE_COUNT] = {"guest walk, accessed and dirty for EPT",
                                                   "guest walk, PAE, accessed and dirty for EPT",
                                                   "guest walk, 32-bit, accessed and dirty for EPT"};

    for (unsigned mode = MODE_LONG; mode < MODE_COUNT; mode++) {
        check_group(names[mode]);
        check_random(frames, (enum mode)mode, false);
        if (cpu_vendor() == CPU_INTEL && (vmx_ept_capabilities() >> 21 & 1) != 0) {
            check_group(marked[mode]);
            check_random(frames, (enum mode)mode, true);
        }
    }
}
