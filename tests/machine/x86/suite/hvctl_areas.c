/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What lies in memory beside the control structure, made by the headers and read by the CPU: permission maps, MSR
 * areas, the list of EPTPs; and tags for the TLB, handed out over and over.
 */
#include "hvctl_lab.h"

#include <hvctl/common/bitmaps.h>
#include <hvctl/vmx/msr_area.h>
#include <hvctl/svm/asids.h>
#include <hvpt/intel/eptp_list.h>

#include "console.h"
#include "cpu.h"
#include "memory.h"

static struct lab lab;

static union {
    struct hvctl_vmx_msr_bitmap vmx;
    struct hvctl_svm_msr_map svm;
} msrs __attribute__((aligned(4096)));
static union {
    struct hvctl_vmx_io_bitmap vmx;
    struct hvctl_svm_io_map svm;
} ports __attribute__((aligned(4096)));

LAB_SNIPPET(rdmsr, "rdmsr")
LAB_SNIPPET(wrmsr, "wrmsr")
LAB_SNIPPET(in8, "in %dx, %al")
LAB_SNIPPET(in16, "in %dx, %ax")
LAB_SNIPPET(in32, "in %dx, %eax")

static void use_msr_map(void)
{
    if (lab.svm) {
        hvctl_vmcb_set_msrpm_base_pa(svm_control(&lab.vm)->vmcb, (uintptr_t)&msrs);
    } else {
        lab_require(&lab, HVCTL_PRIMARY_USE_MSR_BITMAPS);
        lab_put(&lab, HVCTL_VMCS_ADDRESS_OF_MSR_BITMAPS, (uintptr_t)&msrs);
    }
}

static enum hvctl_status set_msr(uint32_t msr, unsigned access, bool on)
{
    return lab.svm ? hvctl_svm_msr_exit(&msrs.svm, msr, access, on) : hvctl_vmx_msr_exit(&msrs.vmx, msr, access, on);
}

/* An MSR that the guest may read and write back: does it exit, each way, with only these accesses intercepted? */
static void check_msr(uint32_t msr, unsigned access, bool write)
{
    struct vm_exit exit;
    uint64_t value = 0;
    bool expected = (access & (write ? HVCTL_ACCESS_WRITE : HVCTL_ACCESS_READ)) != 0;

    lab_reset(&lab);
    memset(&msrs, 0, sizeof(msrs));
    check_equal(set_msr(msr, access, true), HVCTL_OK, "MSR %x, exits %u: in the map", msr, access);
    use_msr_map();
    cpu_rdmsr(msr, &value);
    lab.vm.regs.rcx = msr;
    lab.vm.regs.rax = (uint32_t)value;
    lab.vm.regs.rdx = value >> 32;
    if (write)
        exit = lab_run(&lab, LAB_CODE_OF(wrmsr));
    else
        exit = lab_run(&lab, LAB_CODE_OF(rdmsr));
    check_equal(exit.kind, expected ? (write ? VM_EXIT_WRMSR : VM_EXIT_RDMSR) : VM_EXIT_HLT, "MSR %x, exits %u: %s",
                msr, access, write ? "WRMSR" : "RDMSR");
}

static void check_msr_maps(void)
{
    static const uint32_t numbers[] = {0x10, 0x174, 0x277, 0xc0000081, 0xc0000102};
    struct vm_exit exit;

    for (unsigned i = 0; i < 5; i++)
        for (unsigned access = 0; access < 4; access++)
            for (unsigned write = 0; write < 2; write++)
                if (numbers[i] != 0x10 || !write) /* the TSC is better left alone */
                    check_msr(numbers[i], access, write != 0);
    /* All bits set but this MSR's, so that a neighbour's bit would be noticed */
    lab_reset(&lab);
    memset(&msrs, 0xff, sizeof(msrs));
    check_equal(set_msr(0xc0000081, HVCTL_ACCESS_READ, false), HVCTL_OK, "all MSRs but one: in the map");
    use_msr_map();
    lab.vm.regs.rcx = 0xc0000081;
    check_equal(lab_run(&lab, LAB_CODE_OF(rdmsr)).kind, VM_EXIT_HLT, "all MSRs but one: RDMSR of it does not exit");
    lab.vm.regs.rcx = 0xc0000082;
    check_equal(lab_run(&lab, LAB_CODE_OF(rdmsr)).kind, VM_EXIT_RDMSR, "all MSRs but one: RDMSR of the next exits");
    lab.vm.regs.rcx = 0xc0000081;
    check_equal(lab_run(&lab, LAB_CODE_OF(wrmsr)).kind, VM_EXIT_WRMSR, "all MSRs but one: WRMSR of it exits");

    lab_reset(&lab);
    memset(&msrs, 0, sizeof(msrs));
    check_equal(set_msr(0x40000000, 3, true), HVCTL_E_RANGE, "an MSR beyond the map: the headers say so");
    use_msr_map();
    lab.vm.regs.rcx = 0x40000000;
    exit = lab_run(&lab, LAB_CODE_OF(rdmsr));
    check_equal(exit.kind, VM_EXIT_RDMSR, "an MSR beyond the map: it exits all the same");
}

/* What an access of size bytes at port does, with only the ports first and last intercepted. */
static void check_port(uint32_t first, uint32_t count, uint16_t port, unsigned size, bool exits)
{
    struct vm_exit exit;
    enum hvctl_status status;

    lab_reset(&lab);
    memset(&ports, 0, sizeof(ports));
    status =
        lab.svm ? hvctl_svm_io_exit(&ports.svm, first, count, true) : hvctl_vmx_io_exit(&ports.vmx, first, count, true);
    check_equal(status, HVCTL_OK, "ports %x, %x: in the map", first, count);
    if (lab.svm) {
        hvctl_vmcb_set_iopm_base_pa(svm_control(&lab.vm)->vmcb, (uintptr_t)&ports);
    } else {
        lab_require(&lab, HVCTL_PRIMARY_USE_IO_BITMAPS);
        lab_put(&lab, HVCTL_VMCS_ADDRESS_OF_IO_BITMAP_A, (uintptr_t)&ports);
        lab_put(&lab, HVCTL_VMCS_ADDRESS_OF_IO_BITMAP_B, (uintptr_t)&ports + 4096);
    }
    lab.vm.regs.rdx = port;
    if (size == 1)
        exit = lab_run(&lab, LAB_CODE_OF(in8));
    else if (size == 2)
        exit = lab_run(&lab, LAB_CODE_OF(in16));
    else
        exit = lab_run(&lab, LAB_CODE_OF(in32));
    check_equal(exit.kind, exits ? VM_EXIT_IO : VM_EXIT_HLT, "ports %x, %x: IN of %u bytes from %x", first, count, size,
                port);
    check_equal(lab.svm ? hvctl_svm_io_exits(&ports.svm, port, size) : hvctl_vmx_io_exits(&ports.vmx, port, size),
                exits, "ports %x, %x: IN of %u bytes from %x, the headers' own answer", first, count, size, port);
}

static void check_io_maps(void)
{
    check_port(0x5600, 1, 0x5600, 1, true);
    check_port(0x5600, 1, 0x5601, 1, false);
    check_port(0x5600, 1, 0x55ff, 1, false);
    check_port(0x5600, 1, 0x55ff, 2, true);
    check_port(0x5600, 1, 0x55fe, 2, false);
    check_port(0x5600, 1, 0x55fd, 4, true);
    check_port(0x5600, 1, 0x55fc, 4, false);
    check_port(0x7fff, 2, 0x7fff, 1, true); /* VMX: the last of one page and the first of the other */
    check_port(0x7fff, 2, 0x8000, 1, true);
    check_port(0x8000, 1, 0x7ffd, 4, true);
    check_port(0x8001, 1, 0x7ffd, 4, false);
    check_port(0xfffe, 2, 0xffff, 1, true);
    check_port(0, 0, 0x5600, 4, false);
}

/* SDM vol. 3, "VM-Entry Controls for MSRs", "VM-Exit Controls for MSRs": loaded, stored, and the host's loaded again.
 */
static void check_msr_areas(void)
{
    struct hvctl_msr_area entry, store, exit_load;
    struct hvctl_msr_entry *memory = frames_page(lab.vm.frames);
    uint64_t star = 0, base = 0, after = 0;
    struct vm_exit exit;

    cpu_rdmsr(0xc0000081, &star);
    cpu_rdmsr(0xc0000102, &base);
    hvctl_msr_area_init(&entry, memory, 8, vmx_caps());
    hvctl_msr_area_init(&store, memory + 8, 8, vmx_caps());
    hvctl_msr_area_init(&exit_load, memory + 16, 8, vmx_caps());
    check_true(hvctl_msr_area_set(&entry, 0xc0000081, UINT64_C(0x0023001000000000)) == HVCTL_OK
                   && hvctl_msr_area_set(&entry, 0xc0000102, 0x5550000) == HVCTL_OK
                   && hvctl_msr_area_set(&store, 0xc0000102, 0) == HVCTL_OK
                   && hvctl_msr_area_set(&store, 0xc0000081, 0) == HVCTL_OK
                   && hvctl_msr_area_set(&exit_load, 0xc0000081, star) == HVCTL_OK
                   && hvctl_msr_area_set(&exit_load, 0xc0000102, base) == HVCTL_OK,
               "MSR areas: filled");
    check_equal(hvctl_msr_area_set(&entry, 0xc0000100, 0), HVCTL_E_RANGE, "MSR areas: FS base must not be in one");
    lab_reset(&lab);
    memset(&msrs, 0, sizeof(msrs));
    use_msr_map();
    lab_put(&lab, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_ADDRESS, (uintptr_t)entry.entry);
    lab_put(&lab, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_COUNT, entry.count);
    lab_put(&lab, HVCTL_VMCS_VM_EXIT_MSR_STORE_ADDRESS, (uintptr_t)store.entry);
    lab_put(&lab, HVCTL_VMCS_VM_EXIT_MSR_STORE_COUNT, store.count);
    lab_put(&lab, HVCTL_VMCS_VM_EXIT_MSR_LOAD_ADDRESS, (uintptr_t)exit_load.entry);
    lab_put(&lab, HVCTL_VMCS_VM_EXIT_MSR_LOAD_COUNT, exit_load.count);
    lab.vm.regs.rcx = 0xc0000081;
    exit = lab_run(&lab, LAB_CODE_OF(rdmsr));
    check_equal(exit.kind, VM_EXIT_HLT, "MSR areas: the guest reads STAR");
    check_equal(lab.vm.regs.rdx << 32 | lab.vm.regs.rax, UINT64_C(0x0023001000000000),
                "MSR areas: VM entry has loaded it");
    lab.vm.regs.rcx = 0xc0000102;
    lab.vm.regs.rax = 0x7770000;
    lab.vm.regs.rdx = 0;
    exit = lab_run(&lab, LAB_CODE_OF(wrmsr));
    check_equal(exit.kind, VM_EXIT_HLT, "MSR areas: the guest writes KERNEL_GS_BASE");
    check_equal(hvctl_msr_area_find(&store, 0xc0000102)->value, 0x7770000, "MSR areas: VM exit has stored it");
    check_equal(hvctl_msr_area_find(&store, 0xc0000081)->value, UINT64_C(0x0023001000000000),
                "MSR areas: VM exit has stored STAR");
    cpu_rdmsr(0xc0000081, &after);
    check_equal(after, star, "MSR areas: VM exit has loaded the host's STAR");
    cpu_rdmsr(0xc0000102, &after);
    check_equal(after, base, "MSR areas: VM exit has loaded the host's KERNEL_GS_BASE");
    frames_give_page(lab.vm.frames, memory);
}

LAB_SNIPPET(vmfunc, "vmfunc\n mov (%r8), %rax")

static void check_eptp_list(void)
{
    static const struct paging_options options = {0, false, 0};
    struct hvpt_eptp_list *list;
    struct paging other;
    uint64_t tag[2] = {vm_tag(VM_MEMORY), vm_tag(VM_MEMORY + HVPT_4K)};
    const uint64_t cap = vmx_ept_capabilities();
    const unsigned bits = cpu_physical_address_bits();
    struct vm_exit exit;

    lab_reset(&lab);
    if (!lab_require(&lab, HVCTL_VMFUNC_EPTP_SWITCHING)) {
        check_skip("this CPU cannot switch EPTPs by VMFUNC", "EPTP list");
        return;
    }
    list = frames_page(lab.vm.frames);
    hvpt_eptp_list_init(list);
    check_equal(paging_init(&other, lab.vm.frames, &options), HVPT_OK, "EPTP list: a second set of tables");
    paging_map(&other, 0, VM_HOME, GUEST_HOME_SIZE, paging_attr(RWX));
    paging_map(&lab.vm.paging, HVPT_1G, VM_MEMORY, HVPT_4K, paging_attr(HVPT_READ));
    paging_map(&other, HVPT_1G, VM_MEMORY + HVPT_4K, HVPT_4K, paging_attr(HVPT_READ));
    check_true(hvpt_eptp_list_set(list, 7, paging_root(&lab.vm.paging), cap, bits, NULL) == HVPT_OK
                   && hvpt_eptp_list_set(list, 511, paging_root(&other), cap, bits, NULL) == HVPT_OK
                   && hvpt_eptp_list_set(list, 512, paging_root(&other), cap, bits, NULL) == HVPT_E_RANGE,
               "EPTP list: filled");
    lab_put(&lab, HVCTL_VMCS_EPTP_LIST_ADDRESS, (uintptr_t)list);
    for (unsigned i = 2; i-- > 0;) {
        lab.vm.regs.rax = 0;
        lab.vm.regs.rcx = i == 0 ? 7 : 511;
        lab.vm.regs.r8 = HVPT_1G;
        exit = lab_run(&lab, LAB_CODE_OF(vmfunc));
        check_equal(exit.kind, VM_EXIT_HLT, "EPTP list: number %u is taken", i == 0 ? 7 : 511);
        check_equal(lab.vm.regs.rax, tag[i], "EPTP list: the guest reads through it");
    }
    lab.vm.regs.rax = 0;
    lab.vm.regs.rcx = 8;
    exit = lab_run(&lab, LAB_CODE_OF(vmfunc));
    check_equal(exit.reason, 59, "EPTP list: an entry that was cleared exits");
    paging_unmap(&lab.vm.paging, HVPT_1G, HVPT_4K);
    paging_destroy(&other);
    frames_give_page(lab.vm.frames, list);
}

/*
 * Virtual CPUs with translations of their own, all for one linear address, more of them than there are tags, three
 * times around. Each must see its own page, under whatever tag it gets.
 */
enum { VCPUS = 24, TAGS = 7 };
#define LINEAR UINT64_C(0x8000000000) /* PML4 entry 1, which each virtual CPU has for itself */

LAB_SNIPPET(load, "mov (%r8), %rax")

static void flush_all_tags(void)
{
    if (lab.svm)
        lab.vm.paging.stale = true; /* TLB_CONTROL: all ASIDs */
    else
        check_equal(hvctl_vmx_invvpid(vmx_ops(), vmx_caps(), HVCTL_INVVPID_ALL_CONTEXT, 0, 0), HVCTL_OK,
                    "tags: INVVPID of all contexts");
}

static void check_tags(void)
{
    struct hvctl_tag_pool pool;
    static struct hvctl_tag tag[VCPUS];
    static uint64_t *tables[VCPUS];
    unsigned wrong = 0, flushes = 0, fresh = 0, kept = 0, twice = 0;

    lab_reset(&lab);
    if (!lab.svm && !lab_require(&lab, HVCTL_SECONDARY_ENABLE_VPID)) {
        check_skip("this CPU has no VPIDs", "tags");
        return;
    }
    if (lab.svm) {
        memset(&pool, 0, sizeof(pool));
        check_equal(hvctl_asid_pool_init(&pool, svm_caps(), false), HVCTL_OK, "tags: the ASIDs of this CPU");
        check_true(pool.first == 1 && pool.last == svm_caps()->asids - 1 && pool.last >= TAGS,
                   "tags: 1 to one less than CPUID says");
    }
    check_equal(hvctl_tag_pool_init(&pool, 1, TAGS), HVCTL_OK, "tags: a pool of seven");
    memset(tag, 0, sizeof(tag));
    /* Three tables for each: PML4, directory pointers, directory; the page that LINEAR leads to is of 2 MiB, and its
     * own */
    for (unsigned i = 0; i < VCPUS; i++) {
        uint64_t gpa = HVPT_1G + i * 3 * HVPT_4K, hpa = VM_MEMORY + i * 3 * HVPT_4K;

        tables[i] = vm_host_word(hpa);
        memset(tables[i], 0, 3 * HVPT_4K);
        tables[i][0] = (GUEST_PML4 + 0x1000) | 0x23; /* the home's */
        tables[i][1] = (gpa + HVPT_4K) | 0x23;
        tables[i][512] = (gpa + 2 * HVPT_4K) | 0x23;
        tables[i][1024] = (HVPT_1G + HVPT_2M * (i + 1)) | 0xe3;
        vm_host_word(VM_MEMORY + HVPT_2M * (i + 1))[0] = 0xabc000 + i;
    }
    if (!check_equal(paging_map(&lab.vm.paging, HVPT_1G, VM_MEMORY, HVPT_2M * (VCPUS + 1), paging_attr(RWX)), HVPT_OK,
                     "tags: the virtual CPUs' memory is mapped"))
        return;
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < VCPUS; i++) {
            unsigned who = round % 2 == 0 ? i : i / 2; /* in odd rounds each runs twice */
            enum hvctl_tag_use use = hvctl_tag_take(&pool, &tag[who]);
            uint64_t cr3 = HVPT_1G + who * 3 * HVPT_4K;

            flushes += use == HVCTL_TAG_FLUSH_ALL;
            fresh += use == HVCTL_TAG_NEW;
            kept += use == HVCTL_TAG_KEPT;
            if (use == HVCTL_TAG_FLUSH_ALL)
                flush_all_tags();
            for (unsigned j = 0; j < VCPUS; j++)
                twice += j != who && tag[j].generation == tag[who].generation && tag[j].value == tag[who].value;
            wrong += tag[who].value < 1 || tag[who].value > TAGS;
            if (lab.svm) {
                hvctl_vmcb_set_guest_asid(svm_control(&lab.vm)->vmcb, tag[who].value);
                hvctl_vmcb_set_cr3(svm_control(&lab.vm)->vmcb, cr3);
            } else {
                lab_put(&lab, HVCTL_VMCS_VIRTUAL_PROCESSOR_IDENTIFIER, tag[who].value);
                lab_put(&lab, HVCTL_VMCS_GUEST_CR3, cr3);
            }
            lab.vm.regs.r8 = LINEAR;
            lab.vm.regs.rax = 0;
            if (lab_run(&lab, LAB_CODE_OF(load)).kind != VM_EXIT_HLT || lab.vm.regs.rax != 0xabc000 + who)
                wrong++;
        }
    }
    check_equal(wrong, 0, "tags: each virtual CPU sees its own page");
    check_equal(twice, 0, "tags: no two that are valid have the same one");
    check_equal(fresh + flushes + kept, 6 * VCPUS, "tags: one for each run");
    check_equal(fresh + flushes, (pool.generation - 1) * TAGS + (pool.next == 0 ? TAGS : pool.next - 1),
                "tags: seven in each generation");
    check_equal(flushes, pool.generation, "tags: a flush for each generation");
    check_equal(kept, 36, "tags: who runs twice in a row keeps its tag");
    paging_unmap(&lab.vm.paging, HVPT_1G, HVPT_2M * (VCPUS + 1));
}

void suite_hvctl_areas(struct frames *frames)
{
    check_group("areas");
    lab_open(&lab, frames);
    check_msr_maps();
    check_io_maps();
    if (!lab.svm) {
        check_msr_areas();
        check_eptp_list();
    }
    check_tags();
    lab_close(&lab);
}
