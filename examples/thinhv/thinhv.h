/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A thin hypervisor: the machine's only guest owns the machine, but for one range of memory. What its files share.
 * Read main.c first; then memory.c, vmx.c, svm.c, exits.c; work.c if you want to see the second level at work.
 */
#ifndef THINHV_H
#define THINHV_H

#include <hvctl/common/check.h>
#include <hvctl/cpu/cpu.h>
#include <hvctl/common/guest_state.h>
#include <hvctl/common/regs.h>
#include <hvpt/intel/pml.h>
#include <hvpt/ept.h>
#include <hvpt/npt.h>

#include "firmware/firmware.h"

/* What an exit asks for, whichever vendor's it is. */
enum exit_kind {
    EXIT_CPUID,
    EXIT_RDMSR,
    EXIT_WRMSR,
    EXIT_XSETBV,
    EXIT_CALL,    /* VMCALL, VMMCALL */
    EXIT_FAULT,   /* EPT violation, nested page fault */
    EXIT_SETTLED, /* the vendor's file has done all there was to do */
    EXIT_DEAD,    /* triple fault: how Linux restarts a machine that it knows no better way for */
    EXIT_OTHER
};

struct exit {
    enum exit_kind kind;
    unsigned reason; /* VMX: basic reason; SVM: exit code */
    uint64_t gpa;    /* of a fault */
    uint32_t access; /* of a fault: HVPT_READ, HVPT_WRITE or HVPT_EXEC */
};

#define REASONS 0x410u

/* A virtual CPU, which is a CPU. */
struct vcpu {
    unsigned id;
    struct hvctl_guest_regs regs;
    bool in_guest;           /* may be translating: whoever changes the tables interrupts it */
    uint32_t flushes;        /* what it has seen of memory's */
    struct hvpt_space *view; /* instead of space; NULL: that one */
    unsigned long exits, counts[REASONS];
};

/* What differs between the vendors. Each ends the run if it cannot. */
struct vendor {
    const char *format;
    void (*enable)(struct vcpu *vcpu);                   /* turns virtualization on, on this CPU */
    /* the second level, its pages no larger than max_page_size (0: as large as the CPU can) */
    enum hvpt_status (*open)(struct hvpt_space *space, const struct hvpt_hooks *hooks, uint64_t max_page_size);
    void (*prepare)(struct vcpu *vcpu, const struct hvctl_guest_state *state); /* the control structure */
    struct exit (*run)(struct vcpu *vcpu);
    void (*flush)(struct vcpu *vcpu); /* before the next entry: what is cached of the second level */
    void (*advance)(struct vcpu *vcpu);
    void (*inject)(struct vcpu *vcpu, uint8_t vector); /* an exception; the error code, where there is one, is 0 */
    uint64_t (*cr4)(struct vcpu *vcpu);
    void (*describe)(struct vcpu *vcpu, const struct hvpt_text *text);
    const char *(*reason)(unsigned reason);
};

extern const struct vendor vmx_vendor, svm_vendor;

/* main.c */
extern const struct image *image;
extern const struct vendor *vendor;
extern const struct hvctl_cpu_ops *const cpu_ops;
extern struct vcpu vcpus[MAX_CPUS];
extern unsigned cpus;
void expect(enum hvctl_status status, const char *what);
void expect_kept(const struct hvctl_report *report); /* the rules of VM entry, of VMRUN */

/* Room for what the headers put into words. */
struct words {
    char bytes[300];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text;
};
const char *exit_words(struct words *words, struct vcpu *vcpu);

/* memory.c: the guest's second level, shared by all CPUs. */
extern struct hvpt_space space;
extern uint32_t memory_flushes; /* counts demands on all CPUs to flush */
void memory_build(void);
enum hvpt_status memory_init(struct hvpt_space *out);                      /* an empty one, as the options say */
enum hvpt_status memory_map_machine(struct hvpt_space *in, uint32_t perm); /* all but the hypervisor */
void memory_print(const char *when);
void memory_lock(bool alone); /* alone: to change tables; not: to add to them by fault_map and touch */
void memory_unlock(bool alone);
struct hvpt_attr memory_attr(uint64_t address);
bool memory_allocate(void *ctx, unsigned order, hvpt_hpa *out);

/* exits.c */
void exit_handle(struct vcpu *vcpu, const struct exit *exit);
void profile_print(void);

/* work.c: what /init asks for through VMCALL, and the faults that come of it. Only with the option "work". */
void work_call(struct vcpu *vcpu);
bool work_fault(struct vcpu *vcpu, const struct exit *exit);     /* false: nothing can be done about it */
uint16_t work_drain(struct hvpt_pml_page *page, uint16_t index); /* a page-modification log: the new index */
extern unsigned long work_refused;

#endif
