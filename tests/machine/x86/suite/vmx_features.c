/*
 * What VMX builds on EPT: page-modification logging, EPTP switching by VMFUNC, and EPT violations turned into #VE. Each is
 * asked of the solver, and skipped on a CPU that does not have it.
 */
#include "suite.h"

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

/* SDM vol. 3, "Page-Modification Logging": entries go down from the index, and a write that finds none left exits. */
static void check_pml(struct frames *frames)
{
    static const struct paging_options options = {HVPT_4K, true, false};
    struct vm vm;
    uint64_t *log;
    struct vm_exit exit;

    vm_create(&vm, frames, &options);
    if (!vmx_require(&vm, HVCTL_SECONDARY_ENABLE_PML)) {
        vm_destroy(&vm);
        check_skip("this CPU has no page-modification logging", "PML");
        return;
    }
    log = frames_page(frames);
    put(&vm, HVCTL_VMCS_PML_ADDRESS, (uintptr_t)log);
    put(&vm, HVCTL_VMCS_PML_INDEX, 511);
    paging_map(&vm.paging, BASE, VM_MEMORY, 8 * HVPT_4K, paging_attr(HVPT_READ | HVPT_WRITE));
    vm_write(&vm, BASE, 1); /* the guest's own page walk dirties the home's pages on the way */
    put(&vm, HVCTL_VMCS_PML_INDEX, 511);
    vm_write(&vm, BASE + 0x3008, 1);
    check_equal(log[511], BASE + 0x3000, "PML: the page that was written is in the log");
    check_equal(get(&vm, HVCTL_VMCS_PML_INDEX), 510, "PML: the index went down by one");
    vm_write(&vm, BASE + 0x3010, 1);
    check_equal(get(&vm, HVCTL_VMCS_PML_INDEX), 510, "PML: a page that is dirty already is not logged again");

    put(&vm, HVCTL_VMCS_PML_INDEX, 0xffff);
    exit = vm_write(&vm, BASE + 0x5000, 2);
    check_equal(exit.reason, 62, "PML: full, exit reason");
    put(&vm, HVCTL_VMCS_PML_INDEX, 511);
    check_equal(vm_run(&vm).kind, VM_EXIT_CALL, "PML: emptied, the guest goes on");
    check_equal(log[511], BASE + 0x5000, "PML: the page is in the log then");
    frames_give_page(frames, log);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "PML: every frame came back");
}

/* SDM vol. 3, "EPTP Switching": VM function 0 with an index into the list; anything amiss exits with reason 59. */
static void check_eptp_switching(struct frames *frames)
{
    static const struct paging_options options = {0, false, false};
    struct vm vm;
    struct paging other;
    struct vm_exit exit;
    uint64_t *list, first, second;

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
    list[0] = paging_root(&vm.paging);
    list[1] = paging_root(&other);
    put(&vm, HVCTL_VMCS_EPTP_LIST_ADDRESS, (uintptr_t)list);
    for (unsigned index = 2; index-- > 0;) {
        vm.regs.rax = 0;
        vm.regs.rcx = index;
        vm.regs.rdi = BASE;
        exit = vm_do(&vm, PIECE_VMFUNC);
        check_equal(exit.kind, VM_EXIT_CALL, "VMFUNC: switching to tables %u does not exit", index);
        check_equal(vm.regs.rax, index == 0 ? first : second, "VMFUNC: the guest reads through tables %u", index);
        check_equal(get(&vm, HVCTL_VMCS_EPT_POINTER), list[index], "VMFUNC: EPT_POINTER is that of tables %u", index);
    }
    vm.regs.rax = 0;
    vm.regs.rcx = 2; /* the list's third entry is 0: no valid EPTP */
    exit = vm_do(&vm, PIECE_VMFUNC);
    check_equal(exit.reason, 59, "VMFUNC: to an entry that is no EPTP, exit reason");
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
    static const struct paging_options options = {0, false, true};
    struct hvpt_attr quiet = paging_attr(HVPT_READ);
    struct vm vm;
    struct vm_exit exit;
    uint64_t *area;
    uint32_t *words;

    vm_create(&vm, frames, &options);
    if (!vmx_require(&vm, HVCTL_SECONDARY_EPT_VIOLATION_VE)) {
        vm_destroy(&vm);
        check_skip("this CPU has no #VE", "#VE");
        return;
    }
    area = frames_page(frames);
    words = (uint32_t *)area;
    put(&vm, HVCTL_VMCS_VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS, (uintptr_t)area);
    put(&vm, HVCTL_VMCS_EPTP_INDEX, 7);
    paging_map(&vm.paging, BASE, VM_MEMORY, HVPT_4K, paging_attr(HVPT_READ));
    quiet.flags = HVPT_EPT_SUPPRESS_VE;
    paging_map(&vm.paging, BASE + HVPT_4K, VM_MEMORY, HVPT_4K, quiet);

    exit = vm_write(&vm, BASE + 0x18, 1);
    check_equal(exit.kind, VM_EXIT_EXCEPTION, "#VE: write to a read-only page is an exception");
    check_equal(get(&vm, HVCTL_VMCS_VM_EXIT_INTERRUPTION_INFORMATION) & 0xff, 20, "#VE: of vector 20");
    check_equal(words[0], 48, "#VE: information area, reason");
    check_equal(words[1], 0xffffffff, "#VE: information area, busy");
    check_equal(area[1], 0x18a, "#VE: information area, qualification");
    check_equal(area[2], BASE + 0x18, "#VE: information area, linear address");
    check_equal(area[3], BASE + 0x18, "#VE: information area, guest-physical address");
    check_equal(get(&vm, HVCTL_VMCS_EPTP_INDEX), 7, "#VE: EPTP_INDEX is 7");
    check_equal(area[4] & 0xffff, 7, "#VE: information area, EPTP index");
    exit = vm_write(&vm, BASE + 0x18, 1);
    check_equal(exit.reason, 48, "#VE: while the area is busy, a violation exits");
    words[1] = 0;
    exit = vm_write(&vm, BASE + HVPT_4K, 1);
    check_equal(exit.reason, 48, "#VE: a leaf that suppresses it exits");
    exit = vm_read(&vm, BASE + 2 * HVPT_4K, NULL);
    check_equal(exit.reason, 48, "#VE: an empty entry suppresses it");
    check_equal(words[1], 0, "#VE: and leaves the area alone");
    frames_give_page(frames, area);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "#VE: every frame came back");
}

void suite_vmx_features(struct frames *frames)
{
    check_group("VMX on EPT");
    check_pml(frames);
    check_eptp_switching(frames);
    check_ve(frames);
}
