/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* README.md's way "from rdmsr to a running guest", as it stands there, on this machine. */
#include "readme_example.h"

#include "hvctl_lab.h"

#include "cpu.h"
#include "memory.h"

static const char *said;

bool my_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    (void)ctx;
    return cpu_rdmsr(msr, value);
}

bool my_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    (void)ctx;
    return cpu_wrmsr(msr, value);
}

struct hvctl_vmx_region my_vmxon_page, my_vmcs_page;

void my_log(const char *words)
{
    said = words;
}

static struct hvctl_vmx_region page(struct frames *frames)
{
    struct hvctl_vmx_region region = {frames_page(frames), 0};

    region.physical = (uintptr_t)region.memory;
    return region;
}

void suite_hvctl_readme(struct frames *frames)
{
    static const uint8_t code[] = {0xb8, 0x34, 0x12, 0xa3,
                                   0x00, 0x90, 0xf4}; /* mov $0x1234, %ax; mov %ax, 0x9000; hlt */
    struct vm vm;

    check_group("README");
    vm_create(&vm, frames, NULL);
    vm_disable(); /* the example begins with VMX off */
    memcpy(vm.guest.memory + 0x7c00, code, sizeof(code));
    my_vmxon_page = page(frames);
    my_vmcs_page = page(frames);
    check_true(run_guest(paging_root(&vm.paging)), "the guest runs");
    check_text(said, "HLT", "it comes to its HLT");
    check_equal(*(uint16_t *)(void *)(vm.guest.memory + 0x9000), 0x1234, "what it wrote is in its memory");
    check_true(run_guest(paging_root(&vm.paging)), "and a second time");
    check_true(!run_guest(paging_root(&vm.paging) | 7 << 3), "with an EPTP of 8 levels it does not");
    check_text(said, "VM entry with invalid control fields", "and the log has why");
    check_true(vm_enable() == NULL, "VMX is on again");
    frames_give_page(frames, my_vmxon_page.memory);
    frames_give_page(frames, my_vmcs_page.memory);
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}
