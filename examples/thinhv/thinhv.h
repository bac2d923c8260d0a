/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A thin hypervisor: the machine's only guest owns the machine, but for one range of memory. What its files share. Read
 * main.c first, then memory.c and exits.c; then the folder of an architecture; work.c if you want to see the second
 * level at work.
 */
#ifndef THINHV_H
#define THINHV_H

#include <hvpt/hvpt.h>

#include "arch.h" /* of the folder that this is built with: where memory lies, what a virtual CPU has */
#include "boot.h"

/* What an exit asks for, whichever architecture's it is. */
enum exit_kind {
    EXIT_CALL,    /* /init asks for something: work.h */
    EXIT_FAULT,   /* of the second level */
    EXIT_SETTLED, /* the architecture has done all there was to do */
    EXIT_DEAD,    /* the machine is to be restarted or switched off */
    EXIT_OTHER
};

struct exit {
    enum exit_kind kind;
    unsigned reason; /* the architecture's number for it, below ARCH_REASONS; the profile counts them */
    uint64_t gpa;    /* of a fault */
    uint32_t access; /* of a fault: HVPT_READ, HVPT_WRITE or HVPT_EXEC */
};

/* A virtual CPU, which is a CPU. */
struct vcpu {
    unsigned id;
    struct arch_vcpu arch;
    struct hvpt_space *view;            /* instead of space; NULL: that one */
    unsigned long counts[ARCH_REASONS]; /* of exits, by their reasons */
};

/* main.c */
extern const struct image *image;
extern struct vcpu vcpus[MAX_CPUS];
extern unsigned cpus;
_Noreturn void run_cpu(struct vcpu *vcpu); /* the loop of entries and exits */

/* Room for what the headers put into words. */
struct words {
    char bytes[300];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text;
};
const char *exit_words(struct words *words, struct vcpu *vcpu);

/* memory.c: the guest's second level, shared by all CPUs. */
extern struct hvpt_space space;
void memory_build(void);
enum hvpt_status memory_init(struct hvpt_space *out);                      /* an empty one, as the options say */
enum hvpt_status memory_map_machine(struct hvpt_space *in, uint32_t perm); /* all but the hypervisor */
void memory_print(const char *when);
void memory_lock(bool alone); /* alone: to change tables; not: to add to them by fault_map and touch */
void memory_unlock(bool alone);
bool memory_allocate(void *ctx, unsigned order, hvpt_hpa *out);

/* exits.c */
void exit_handle(struct vcpu *vcpu, const struct exit *exit);
void profile_print(void);

/* work.c: what /init asks for, and the faults that come of it. Only with the option "work". */
void work_call(struct vcpu *vcpu);
bool work_fault(struct vcpu *vcpu, const struct exit *exit); /* false: nothing can be done about it */
uint64_t *work_written(unsigned method); /* a bit a page below 4 GiB, if enum work_method is in use; else NULL */
extern unsigned long work_refused;

/* ---- what an architecture's folder brings; each function ends the run if it cannot ---- */

const struct image *arch_image(void);      /* NULL: there is none */
void arch_load_linux(struct start *start); /* kernel, command line and initrd to where the kernel wants them */
_Noreturn void arch_jump(const struct start *start);             /* without a hypervisor */
void arch_enable(struct vcpu *vcpu);                             /* turns virtualization on, on this CPU */
void arch_prepare(struct vcpu *vcpu, const struct start *start); /* the guest's first state */
void arch_start_others(void); /* CPUs that do not wait for the guest to ask for them */
const char *arch_cpu(void);
const char *arch_format(void);

/* The second level, its pages no larger than max_page_size (0: as large as the CPU can). */
enum hvpt_status arch_open(struct hvpt_space *out, const struct hvpt_hooks *hooks, uint64_t max_page_size);
enum hvpt_status arch_map(struct hvpt_space *in, uint32_t perm, struct hvpt_flush *flush); /* all of the machine */
void arch_read_memory_map(void); /* what the next two go by; once, before them */
struct hvpt_attr arch_attr(uint64_t address);
void arch_flush(void *ctx, const struct hvpt_flush *flush); /* the hook: on every CPU, before it returns */
bool arch_has_log(void);                                    /* CPUs log the pages they write: PML */
bool arch_see_view(struct vcpu *vcpu);                      /* enter vcpu->view next; false: this one cannot switch */
void arch_code_written(uint64_t address, uint64_t size);    /* for every CPU's instruction fetches */

struct exit arch_run(struct vcpu *vcpu);
bool arch_exit(struct vcpu *vcpu, const struct exit *exit);   /* one of no common kind; false: it was not foreseen */
void arch_advance(struct vcpu *vcpu);                         /* past the instruction */
void arch_refuse(struct vcpu *vcpu, const struct exit *exit); /* the access: as one to memory that fails */
void arch_refuse_call(struct vcpu *vcpu);                     /* as an instruction that there is not */
uint64_t *arch_argument(struct vcpu *vcpu, unsigned number);  /* of a call, 0 to 2; 0 takes the answer */
void arch_describe(struct vcpu *vcpu, const struct hvpt_text *text);
const char *arch_reason(unsigned reason);

#endif
