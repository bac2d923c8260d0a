/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The SVM backend's state, for checks that go below struct vm. */
#ifndef VM_SVM_H
#define VM_SVM_H

#include <hvctl/cpu/svm.h>
#include <hvctl/cpu/svm_switch.h>
#include <hvctl/svm/exit.h>
#include <hvctl/svm/guest.h>
#include <hvctl/svm/vmcb.h>

#include "vm.h"

struct svm_control {
    struct hvctl_vmcb *vmcb; /* what the next entry uses */
    struct hvctl_guest_regs regs;
};

static inline struct svm_control *svm_control(struct vm *vm)
{
    return vm->control;
}

/* The machine's capabilities and its CPU operations; valid after svm_enable. */
const struct hvctl_svm_caps *svm_caps(void);
const struct hvctl_cpu_ops *svm_ops(void);

/* The page that the CPU was given as its host save area. */
uint64_t svm_host_save(void);

/* One VMRUN of the VMCB as it is. */
struct vm_exit svm_enter(struct vm *vm);

#endif
