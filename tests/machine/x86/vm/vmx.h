/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The VMX backend's state, for checks that go below struct vm. */
#ifndef VM_VMX_H
#define VM_VMX_H

#include <hvctl/cpu/vmx.h>
#include <hvctl/cpu/vmx_host.h>
#include <hvctl/cpu/vmx_switch.h>
#include <hvctl/vmx/solver.h>
#include <hvctl/vmx/exit.h>
#include <hvctl/vmx/guest.h>

#include "vm.h"

struct vmx_control {
    struct hvctl_vmcs_image image; /* what the next entry uses; dirty fields are written before it */
    struct hvctl_guest_regs regs;
    void *region; /* the VMCS */
    bool launched;
};

static inline struct vmx_control *vmx_control(struct vm *vm)
{
    return vm->control;
}

/* The machine's capabilities and its CPU operations; valid after vmx_enable. */
const struct hvctl_vmx_caps *vmx_caps(void);
const struct hvctl_cpu_ops *vmx_ops(void);

/*
 * Adds a control, with what it needs, to those of this guest. false: this CPU does not have it, and nothing changed.
 * What fields the control brings into use is the caller's to fill in.
 */
bool vmx_require(struct vm *vm, enum hvctl_vmx_control wanted);

/* The VMXON region in use. */
uint64_t vmx_vmxon_region(void);

/* One entry from the image as it is: registers and RIP are what the last run left there. */
struct vm_exit vmx_enter(struct vm *vm);

#endif
