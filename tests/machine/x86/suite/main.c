/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The kernel of checks: what both vendors share, then what is this one's own. */
#include "console.h"
#include "cpu.h"
#include "kernel.h"
#include "suite.h"

static struct frames frames;

/* What Linux does before it can print: linux/targets.py says where it cannot boot for this. */
static void check_division(void)
{
    uint64_t quotient = 0x12355b, rest = 0;

    check_group("processor");
    __asm__("idivq %2" : "+a"(quotient), "+d"(rest) : "r"(UINT64_C(500)));
    check_true(quotient == 2386 && rest == 307, "IDIV of 64 bits");
}

void kernel_main(void)
{
    const char *missing;

    frames_init(&frames);
    check_division();
    check_group("enable");
    missing = vm_enable();
    if (!check_true(missing == NULL, "the extension can be turned on")) {
        print("%s\n", missing);
        check_summary();
        return;
    }
    suite_switch(&frames);
    suite_exits(&frames);
    suite_leaves(&frames);
    suite_permissions(&frames);
    suite_changes(&frames);
    suite_memory_types(&frames);
    suite_accessed_dirty(&frames);
    suite_operations(&frames);
    suite_tracking(&frames);
    suite_guest_walk(&frames);
    suite_hvctl_events(&frames);
    suite_hvctl_areas(&frames);
    suite_hvctl_state(&frames);
    if (cpu_vendor() == CPU_INTEL) {
        suite_vmx(&frames);
        suite_vmx_features(&frames);
        suite_vmx_rights(&frames);
        suite_vmx_entry(&frames);
        suite_hvctl_fields(&frames);
        suite_hvctl_solver(&frames);
        suite_hvctl_readme(&frames);
        suite_hvctl_vmx_exits(&frames);
    } else {
        suite_svm(&frames);
        suite_svm_entry(&frames);
        suite_hvctl_svm_exits(&frames);
    }
    check_group("frames");
    check_equal(frames.held, 0, "none is held");
    check_equal(frames.allocated, frames.given_back, "as many came back as were handed out");
    check_equal(frames.double_free, 0, "none came back twice");
    check_equal(frames.foreign_free, 0, "none came back that was not handed out");
    check_summary();
}
