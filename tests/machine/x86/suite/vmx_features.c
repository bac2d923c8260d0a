/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What VMX builds on EPT: page-modification logging, EPTP switching by VMFUNC, EPT violations turned into #VE, and sub-page
 * write permissions. Each is asked of the solver, and skipped on a CPU that does not have it.
 */
#include "suite.h"

#include <hvpt/fault/ept.h>
#include <hvpt/intel/eptp_list.h>
#include <hvpt/intel/pml.h>
#include <hvpt/intel/spp.h>
#include <hvpt/intel/ve_page.h>

#include "cpu.h"
#include "memory.h"
#include "vm/vmx.h"

#define BASE HVPT_1G

static void put(struct vm *vm, uint32_t field, uint64_t value)
{
    check_equal(hvctl_vmcs_write(&vmx_control(vm)->image, field, value), HVCTL_OK, "%s can be written",
                hvctl_vmcs_field_name(field));
}

static uint64_t get(struct vm *vm, uint32_t field)
{
    const struct hvctl_cpu_ops *ops = vmx_ops();
    uint64_t value = 0;

    check_true(ops->vmread(ops->ctx, field, &value), "%s can be read", hvctl_vmcs_field_name(field));
    (void)vm;
    return value;
}

/* Drain the log of [BASE, BASE + pages) and set the VMCS's index. */
static struct hvpt_pml_report drain(struct vm *vm, struct hvpt_pml_page *log, unsigned pages, uint64_t *bitmap)
{
    struct hvpt_pml_report report;
    uint16_t index = (uint16_t)get(vm, HVCTL_VMCS_PML_INDEX);

    *bitmap = 0;
    check_equal(hvpt_pml_dirty(&vm->paging.space, log, &index, hvpt_make_gpa(BASE), pages * HVPT_4K, bitmap, NULL,
                               &report),
                HVPT_OK, "PML: drained");
    put(vm, HVCTL_VMCS_PML_INDEX, index);
    return report;
}

/* SDM vol. 3, "Page-Modification Logging": entries go down from the index, and a write that finds none left exits. */
static void check_pml(struct frames *frames)
{
    static const struct paging_options options = {HVPT_4K, true, 0};
    struct vm vm;
    struct hvpt_pml_page *log;
    struct hvpt_pml_report report;
    struct vm_exit exit;
    uint64_t bitmap;

    vm_create(&vm, frames, &options);
    if (!vmx_require(&vm, HVCTL_SECONDARY_ENABLE_PML)) {
        vm_destroy(&vm);
        check_skip("this CPU has no page-modification logging", "PML");
        return;
    }
    log = frames_page(frames);
    put(&vm, HVCTL_VMCS_PML_ADDRESS, (uintptr_t)log);
    put(&vm, HVCTL_VMCS_PML_INDEX, HVPT_PML_START);
    paging_map(&vm.paging, BASE, VM_MEMORY, 8 * HVPT_4K, paging_attr(HVPT_READ | HVPT_WRITE));
    vm_write(&vm, BASE, 1); /* the guest's own page walk dirties the home's pages on the way */
    put(&vm, HVCTL_VMCS_PML_INDEX, HVPT_PML_START);
    vm_write(&vm, BASE + 0x3008, 1);
    check_equal(log->gpa[511], BASE + 0x3000, "PML: the page that was written is in the log");
    check_equal(get(&vm, HVCTL_VMCS_PML_INDEX), 510, "PML: the index went down by one");
    vm_write(&vm, BASE + 0x3010, 1);
    check_equal(get(&vm, HVCTL_VMCS_PML_INDEX), 510, "PML: a page that is dirty already is not logged again");

    vm_write(&vm, BASE + 0x6ff8, 1);
    report = drain(&vm, log, 8, &bitmap);
    check_equal(report.logged, 2, "PML: entries drained");
    check_equal(bitmap, 0x48, "PML: the pages that the guest wrote");
    check_equal(hvctl_vmcs_get(&vmx_control(&vm)->image, HVCTL_VMCS_PML_INDEX), 511, "PML: the log is empty");
    vm_write(&vm, BASE + 0x3008, 2);
    vm_write(&vm, BASE + 0x7008, 2);
    report = drain(&vm, log, 4, &bitmap);
    check_equal(bitmap, 0x8, "PML: drained, a page is logged again");
    check_equal(report.outside, 1, "PML: a page outside the range stays in the log");
    report = drain(&vm, log, 8, &bitmap);
    check_equal(bitmap, 0x80, "PML: and is there for the next drain");

    put(&vm, HVCTL_VMCS_PML_INDEX, 0xffff);
    exit = vm_write(&vm, BASE + 0x5000, 2);
    check_equal(exit.reason, HVPT_PML_FULL_REASON, "PML: full, exit reason");
    put(&vm, HVCTL_VMCS_PML_INDEX, HVPT_PML_START);
    check_equal(vm_run(&vm).kind, VM_EXIT_CALL, "PML: emptied, the guest goes on");
    check_equal(log->gpa[511], BASE + 0x5000, "PML: the page is in the log then");
    frames_give_page(frames, log);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "PML: every frame came back");
}

/* SDM vol. 3, "EPTP Switching": VM function 0 with an index into the list; anything amiss exits with reason 59. */
static void check_eptp_switching(struct frames *frames)
{
    static const struct paging_options options = {0, false, 0};
    const uint64_t cap = vmx_ept_capabilities();
    const unsigned bits = cpu_physical_address_bits();
    enum hvpt_eptp_problem problem = HVPT_EPTP_VALID;
    struct hvpt_eptp_list *list;
    struct vm vm;
    struct paging other;
    struct vm_exit exit;
    uint64_t first, second;

    vm_create(&vm, frames, NULL);
    if (!vmx_require(&vm, HVCTL_VMFUNC_EPTP_SWITCHING)) {
        vm_destroy(&vm);
        check_skip("this CPU cannot switch EPTPs by VMFUNC", "VMFUNC");
        return;
    }
    list = frames_page(frames);
    check_equal(paging_init(&other, frames, &options), HVPT_OK, "VMFUNC: a second set of tables");
    paging_map(&other, 0, VM_HOME, GUEST_HOME_SIZE, paging_attr(RWX));
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(HVPT_READ));
    paging_map(&other, BASE, VM_MEMORY + HVPT_4K, HVPT_4K, paging_attr(HVPT_READ));
    first = vm_tag(VM_MEMORY);
    second = vm_tag(VM_MEMORY + HVPT_4K);
    hvpt_eptp_list_init(list);
    check_equal(hvpt_eptp_list_set(list, 0, paging_root(&vm.paging), cap, bits, NULL), HVPT_OK, "VMFUNC: tables 0");
    check_equal(hvpt_eptp_list_set(list, 1, paging_root(&other), cap, bits, NULL), HVPT_OK, "VMFUNC: tables 1");
    put(&vm, HVCTL_VMCS_EPTP_LIST_ADDRESS, (uintptr_t)list);
    for (unsigned index = 2; index-- > 0;) {
        vm.regs.rax = 0;
        vm.regs.rcx = index;
        vm.regs.rdi = BASE;
        exit = vm_do(&vm, PIECE_VMFUNC);
        check_equal(exit.kind, VM_EXIT_CALL, "VMFUNC: switching to tables %u does not exit", index);
        check_equal(vm.regs.rax, index == 0 ? first : second, "VMFUNC: the guest reads through tables %u", index);
        check_equal(get(&vm, HVCTL_VMCS_EPT_POINTER), hvpt_eptp_list_get(list, index),
                    "VMFUNC: EPT_POINTER is that of tables %u", index);
    }
    vm.regs.rax = 0;
    vm.regs.rcx = 2; /* the list's third entry is 0: no valid EPTP */
    exit = vm_do(&vm, PIECE_VMFUNC);
    check_equal(exit.reason, 59, "VMFUNC: to an entry that is no EPTP, exit reason");
    /* What hvpt_eptp_check calls no EPTP is none to the processor either: bit by bit, put there behind its back. */
    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t eptp = paging_root(&other) ^ UINT64_C(1) << bit;
        const bool valid = bit == 6 ? cap >> 21 & 1 : bit == 7 ? cap >> 23 & 1 : bit >= 12 && bit < bits;

        check_equal(hvpt_eptp_list_set(list, 3, eptp, cap, bits, &problem), valid ? HVPT_OK : HVPT_E_ATTR,
                    "VMFUNC: bit %u, taken into the list", bit);
        if (valid)
            continue; /* A/D, or another root: it may be taken, and what it leads to is no table */
        list->eptp[2] = eptp;
        vm.regs.rax = 0;
        vm.regs.rcx = 2;
        exit = vm_do(&vm, PIECE_VMFUNC);
        check_equal(exit.reason, 59, "VMFUNC: bit %u, %s", bit, hvpt_eptp_problem_text(problem));
    }
    vm.regs.rax = 0;
    vm.regs.rcx = 512;
    exit = vm_do(&vm, PIECE_VMFUNC);
    check_equal(exit.reason, 59, "VMFUNC: beyond the list, exit reason");
    paging_destroy(&other);
    frames_give_page(frames, list);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "VMFUNC: every frame came back");
}

/* SDM vol. 3, "Virtualization Exceptions": what the information area says. The #VE itself is intercepted like any exception. */
static void check_ve(struct frames *frames)
{
    static const struct paging_options options = {0, false, HVPT_EPT_USE_VIOLATION_VE};
    struct hvpt_attr quiet = paging_attr(HVPT_READ);
    struct vm vm;
    struct vm_exit exit;
    struct hvpt_ve_page *area;
    struct hvpt_ve_information found = {0, 0, 0, {0}, 0};

    vm_create(&vm, frames, &options);
    if (!vmx_require(&vm, HVCTL_SECONDARY_EPT_VIOLATION_VE)) {
        vm_destroy(&vm);
        check_skip("this CPU has no #VE", "#VE");
        return;
    }
    area = frames_page(frames);
    hvpt_ve_page_init(area);
    put(&vm, HVCTL_VMCS_VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS, (uintptr_t)area);
    put(&vm, HVCTL_VMCS_EPTP_INDEX, 7);
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(HVPT_READ));
    quiet.flags = HVPT_EPT_SUPPRESS_VE;
    paging_map(&vm.paging, BASE + HVPT_4K, VM_MEMORY, HVPT_4K, quiet);

    exit = vm_write(&vm, BASE + 0x18, 1);
    check_equal(exit.kind, VM_EXIT_EXCEPTION, "#VE: write to a read-only page is an exception");
    check_equal(get(&vm, HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION) & 0xff, HVPT_VE_VECTOR, "#VE: of vector 20");
    check_true(hvpt_ve_page_read(area, &found), "#VE: there is something in the information area");
    check_equal(found.exit_reason, 48, "#VE: information area, reason");
    check_equal(area->busy, HVPT_VE_BUSY, "#VE: information area, busy");
    check_equal(found.qualification, 0x18a | advanced_information(&vm), "#VE: information area, qualification");
    check_equal(found.guest_linear_address, BASE + 0x18, "#VE: information area, linear address");
    check_equal(found.guest_physical_address.value, BASE + 0x18, "#VE: information area, guest-physical address");
    check_equal(get(&vm, HVCTL_VMCS_EPTP_INDEX), 7, "#VE: EPTP_INDEX is 7");
    check_equal(found.eptp_index, 7, "#VE: information area, EPTP index");
    exit = vm_write(&vm, BASE + 0x18, 1);
    check_equal(exit.reason, 48, "#VE: while the area is busy, a violation exits");
    hvpt_ve_page_clear(area);
    exit = vm_write(&vm, BASE + HVPT_4K, 1);
    check_equal(exit.reason, 48, "#VE: a leaf that suppresses it exits");
    exit = vm_read(&vm, BASE + 2 * HVPT_4K, NULL);
    check_equal(exit.reason, 48, "#VE: an empty entry suppresses it");
    check_true(!hvpt_ve_page_is_busy(area), "#VE: and leaves the area alone");
    frames_give_page(frames, area);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "#VE: every frame came back");
}

/* The SPPT's entry for BASE at a level, found by the manual's figures and not by the headers. */
static uint64_t *sppt_entry(uint64_t spptp, unsigned level)
{
    uint64_t *table = (uint64_t *)(uintptr_t)spptp;

    for (unsigned at = 3; at > level; at--)
        table = (uint64_t *)(uintptr_t)(table[BASE >> (12 + 9 * at) & 511] & UINT64_C(0x000ffffffffff000));
    return &table[BASE >> (12 + 9 * level) & 511];
}

/* The guest writes to gpa: what the CPU does is what the walk foretells. Returns the exit. */
static struct vm_exit spp_write(struct vm *vm, const struct hvpt_spp *spp, uint64_t gpa, const char *what)
{
    struct hvpt_spp_lookup found;
    struct vm_exit exit;

    hvpt_spp_walk(spp, hvpt_make_gpa(gpa), &found);
    exit = vm_write(vm, gpa, gpa);
    if (found.outcome == HVPT_SPP_FOUND && found.allowed) {
        check_equal(exit.kind, VM_EXIT_CALL, "SPP: %s: the write goes through", what);
        check_equal(*vm_host_word(gpa - BASE + VM_MEMORY), gpa, "SPP: %s: and arrives", what);
    } else if (found.outcome == HVPT_SPP_FOUND) {
        check_fault(vm, &exit, ACCESS_WRITE, HVPT_READ, gpa, what);
    } else {
        check_equal(exit.reason, HVPT_SPP_EVENT_REASON, "SPP: %s: exit reason", what);
        check_equal(hvpt_spp_decode_event(exit.info).miss, found.outcome == HVPT_SPP_MISS, "SPP: %s: a miss", what);
        check_equal(exit.gpa, gpa, "SPP: %s: guest-physical address", what);
    }
    return exit;
}

/* SDM vol. 3, "Sub-Page Write Permissions": a read-only page, of which parts of 128 bytes may be written. */
static void check_spp(struct frames *frames)
{
    static const struct paging_options options = {HVPT_4K, false, HVPT_EPT_USE_SUB_PAGE_WRITE};
    static const uint32_t masks[] = {0x00000001, 0x80000000, 0x55555555, 0xffff0000, 0xffffffff};
    struct hvpt_spp_config config = {cpu_physical_address_bits(), 0};
    struct hvpt_attr attr = paging_attr(HVPT_READ);
    struct hvpt_flush flush = {HVPT_FLUSH_NONE, false, {0}, 0, 0, 0, {0}};
    struct hvpt_spp spp;
    struct vm vm;
    unsigned flushes;

    vm_create(&vm, frames, &options);
    if (!vmx_require(&vm, HVCTL_SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT)) {
        vm_destroy(&vm);
        check_skip("this CPU has no sub-page write permissions", "SPP");
        return;
    }
    config.eptp = paging_root(&vm.paging);
    check_equal(hvpt_spp_init(&spp, &vm.paging.hooks, &config), HVPT_OK, "SPP: a table");
    put(&vm, HVCTL_VMCS_SUB_PAGE_PERMISSION_TABLE_POINTER, hvpt_spp_root(&spp));
    paging_map(&vm.paging, BASE + 8 * HVPT_4K, VM_MEMORY + 8 * HVPT_4K, HVPT_4K, attr);
    attr.flags = HVPT_EPT_SUB_PAGE_WRITE;
    paging_map(&vm.paging, BASE, VM_MEMORY, 8 * HVPT_4K, attr);

    check_equal(spp_write(&vm, &spp, BASE + 0x18, "an empty table").reason, 66, "SPP: an empty table is a miss");
    for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        check_equal(hvpt_spp_allow(&spp, hvpt_make_gpa(BASE), masks[i], &flush), HVPT_OK, "SPP: parts %x", masks[i]);
        hvpt_spp_flush(&spp, &flush);
        for (unsigned part = 0; part < 32; part++) {
            struct vm_exit exit = spp_write(&vm, &spp, BASE + part * 128 + 8 * (part % 16), "one part");

            check_equal(exit.kind == VM_EXIT_CALL, masks[i] >> part & 1, "SPP: parts %x, write to part %u", masks[i],
                        part);
        }
    }
    check_equal(spp_write(&vm, &spp, BASE + HVPT_4K, "the page beside it").reason, 48,
                "SPP: a page without parts, beside one that has some");
    check_equal(vm_read(&vm, BASE, NULL).kind, VM_EXIT_CALL, "SPP: reading is the leaf's affair");
    check_equal(hvpt_spp_allow(&spp, hvpt_make_gpa(BASE + 8 * HVPT_4K), ~0u, NULL), HVPT_OK, "SPP: a page's parts");
    check_equal(vm_write(&vm, BASE + 8 * HVPT_4K, 1).reason, 48, "SPP: and its leaf does not ask for them");
    check_equal(hvpt_spp_clear(&spp, hvpt_make_gpa(BASE + 8 * HVPT_4K), NULL), HVPT_OK, "SPP: forgotten");

    flushes = vm.paging.flushes;
    check_equal(hvpt_spp_allow(&spp, hvpt_make_gpa(BASE), 0, NULL), HVPT_OK, "SPP: no parts");
    check_equal(vm.paging.flushes, flushes + 1, "SPP: which is a right taken, and one flush");
    check_equal(spp_write(&vm, &spp, BASE + 0x18, "no parts").reason, 48, "SPP: no parts: a violation");
    check_equal(hvpt_spp_allow(&spp, hvpt_make_gpa(BASE), 1, NULL), HVPT_OK, "SPP: one part");
    for (unsigned level = 0; level < 4; level++) {
        /* an odd bit of the vector; bits 11:1, and those beyond MAXPHYADDR, of an entry that is valid */
        const unsigned bits[] = {level == 0 ? 63 : 11, level == 0 ? 1 : 1, level == 0 ? 33 : 52};
        uint64_t *entry = sppt_entry(hvpt_spp_root(&spp), level);

        for (unsigned i = 0; i < 3; i++) {
            *entry ^= UINT64_C(1) << bits[i];
            paging_flush_all(&vm.paging);
            spp_write(&vm, &spp, BASE + 0x18, level == 0 ? "odd bit of a vector" : "reserved bit of an entry");
            *entry ^= UINT64_C(1) << bits[i];
            paging_flush_all(&vm.paging);
        }
    }
    check_equal(spp_write(&vm, &spp, BASE + 0x18, "mended").kind, VM_EXIT_CALL, "SPP: mended, the write goes through");
    check_equal(hvpt_spp_clear(&spp, hvpt_make_gpa(BASE), NULL), HVPT_OK, "SPP: forgotten");
    check_equal(hvpt_spp_frames(&spp), 1, "SPP: the root is left");
    check_equal(spp_write(&vm, &spp, BASE + 0x18, "forgotten").reason, 66, "SPP: forgotten, a miss");
    hvpt_spp_destroy(&spp);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "SPP: every frame came back");
}

void suite_vmx_features(struct frames *frames)
{
    check_group("VMX on EPT");
    check_pml(frames);
    check_eptp_switching(frames);
    check_ve(frames);
    check_spp(frames);
}
