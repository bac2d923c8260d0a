/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A processor's second-level walk, as the manuals' tables describe it (tests/reference/hvpt), and the TLB behind it.
 * It interprets the records at run time and shares nothing with the library but the names of permissions and types.
 */
#ifndef HVPT_TEST_HARDWARE_H
#define HVPT_TEST_HARDWARE_H

#include "memory.h"

#define CPU_LEVELS 5
#define CPU_RULES  32

enum cpu_kind { CPU_EPT, CPU_NPT, CPU_GSTAGE, CPU_S2 };

/* What the entries of one level mean: masks of the fields, 0 where the level has none. */
struct cpu_entry {
    char name[16];
    uint64_t read, write, exec, exec_user; /* NPT: read is P, exec is NX and so inverted */
    uint64_t user;
    uint64_t memtype; /* EPT: the field. NPT: see pat0..pat2 */
    uint64_t pat0, pat1, pat2;
    uint64_t ignore_pat;
    uint64_t accessed, dirty;
    uint64_t large;
    uint64_t reserved;
    uint64_t address;
};

/* A rule of ept_misconfigurations.csv, or one made from the reserved fields of NPT. */
struct cpu_rule {
    char id[12];
    bool applies[CPU_LEVELS][2]; /* to a table entry, to a leaf */
    uint64_t clear;              /* broken if these are clear (all of them) ... */
    uint64_t set;                /* ... and any of these is set, */
    uint64_t field;              /* or if this field ... */
    uint32_t values;             /* ... holds one of these values (a bit each) */
};

/* What the processor can do, and what is switched on. */
struct cpu_features {
    enum cpu_kind kind;
    unsigned levels;
    unsigned maxphyaddr;
    bool page_2m, page_1g;
    bool accessed_dirty;          /* EPTP bit 6; NPT always has it */
    bool execute_only;            /* IA32_VMX_EPT_VPID_CAP bit 0 */
    bool mode_based_execute;      /* secondary control 22 */
    bool paging_write;            /* tertiary control */
    bool no_execute;              /* NPT: host EFER.NXE */
    bool guest_mode_execute_trap; /* NPT: GMET */
    unsigned c_bit;               /* NPT: the C-bit of memory encryption; 0: none */
    uint64_t pat;                 /* NPT: host IA32_PAT */
    unsigned page_shift;          /* 0: 12 */
    unsigned gpa_bits;            /* 0: as many as the levels make, with one table at the root */
    bool svpbmt, svnapot;         /* G-stage; accessed_dirty is Svadu */
    bool execute_never_two;       /* stage 2: FEAT_XNX */
    bool forced_write_back;       /* stage 2: FEAT_S2FWB */
    bool hardware_access_flag;    /* stage 2: VTCR_EL2.HA */
    bool hardware_dirty_state;    /* stage 2: VTCR_EL2.HD */
    bool contiguous;              /* stage 2: the contiguous bit means something here */
    bool indirect;                /* stage 2: VTCR_EL2.S2PIE, with ... */
    uint64_t s2pir;               /* ... this S2PIR_EL2 */
    bool no_break;                /* stage 2: FEAT_BBM level 2 */
    bool wide_low;                /* stage 2: bits 51:50 of an address in 9:8 (VTCR_EL2.DS) */
    bool wide_high;               /* stage 2: bits 51:48 of an address in 15:12 (FEAT_LPA, 64K granule) */
};

struct cpu {
    struct cpu_features features;
    struct cpu_entry table[CPU_LEVELS];
    struct cpu_entry leaf[CPU_LEVELS];
    struct cpu_rule rules[CPU_RULES];
    unsigned rule_count;
};

enum cpu_access { CPU_PROBE = 0, CPU_READ = 1, CPU_WRITE = 2, CPU_FETCH = 4 };

enum cpu_outcome {
    CPU_MAPPED,
    CPU_ABSENT,        /* an entry is not present, or the address is beyond the space */
    CPU_DENIED,        /* present, but not for this access */
    CPU_MISCONFIGURED, /* EPT misconfiguration; NPT: reserved bit set */
    CPU_LOST           /* the walk left what is a table */
};

/*
 * perm is in HVPT_READ ..; what all entries together allow. One execute bit: HVPT_EXEC alone. rights: what they would
 * allow if the page counted as used and written; the same as perm but where software keeps those bits.
 * memtype is x86's code (0 UC .. 6 WB, 7 UC-, CPU_ANY_MEMTYPE where the manual does not say).
 * reach: what hardware may hold as one translation: the page, or the run of pages that it is part of (joined).
 */
#define CPU_ANY_MEMTYPE 255u

struct cpu_translation {
    enum cpu_outcome outcome;
    uint64_t hpa;
    uint32_t perm;
    uint32_t rights;
    unsigned memtype;
    bool ignore_pat;
    bool encrypted; /* the C-bit of the leaf */
    bool accessed, dirty;
    bool joined;
    uint64_t page_size;
    uint64_t reach;
    unsigned level;
    uint64_t entry;
    const char *rule;                /* CPU_MISCONFIGURED: which */
    struct frame *table[CPU_LEVELS]; /* the way down */
    unsigned index[CPU_LEVELS];
};

void cpu_init(struct cpu *cpu, const struct cpu_features *features);

/* The rule that entry breaks, NULL if none. The entry is present. */
const char *cpu_misconfigured(const struct cpu *cpu, unsigned level, uint64_t entry);
bool cpu_present(const struct cpu *cpu, uint64_t entry);
/* Geometry: the address bit where the index into a table of this level begins, and what the whole space has. */
unsigned cpu_shift(const struct cpu_features *on, unsigned level);
unsigned cpu_gpa_bits(const struct cpu_features *on);
unsigned cpu_index(const struct cpu_features *on, uint64_t gpa, unsigned level);
/* Does hardware keep the accessed bit, and the dirty bit? */
bool cpu_marks_accessed(const struct cpu_features *on);
bool cpu_marks_dirty(const struct cpu_features *on);
/* Must an entry that changes like this be made invalid and flushed first (Arm, break-before-make)? */
bool cpu_wants_break(const struct cpu *cpu, unsigned level, uint64_t old, uint64_t value);
/*
 * Do the leaves agree that hardware may hold together with the one at index?  Arm ARM, "The Contiguous bit": all of a set
 * have the bit (with FEAT_BBM level 2 it may come and go), lead to one piece of memory and say the same. Privileged Architecture, "Svnapot": any of them may answer
 * for all. For memory->set_agrees.
 */
bool cpu_set_agrees(const void *cpu, const struct frame *frame, unsigned index);
bool cpu_is_leaf(const struct cpu *cpu, unsigned level, uint64_t entry);
/* For memory_track; ctx is a struct cpu. */
bool cpu_child(const void *ctx, unsigned level, uint64_t entry, uint64_t *pa);
unsigned cpu_memtype(const struct cpu *cpu, unsigned level, uint64_t leaf);

/* Where the tables begin: the root register's address field. */
uint64_t cpu_root_table(const struct cpu *cpu, uint64_t root_register);

/* Walk as for access, setting A and D where the processor would; CPU_PROBE only looks. */
void cpu_walk(const struct cpu *cpu, const struct memory *memory, uint64_t root_register, uint64_t gpa, unsigned access,
              struct cpu_translation *out);

/* ---- the TLB: keeps whatever it may, for as long as it may ---- */

#define TLB_PAGES  128
#define TLB_TABLES 64

struct tlb_page {
    bool valid;
    uint64_t gpa, size, hpa;
    uint32_t perm;
    unsigned memtype;
    bool ignore_pat;
    bool accessed, dirty;
};

struct tlb_table {
    bool valid;
    uint64_t gpa, size; /* what the cached entry covers */
    unsigned level;     /* of the table it refers to */
    uint64_t pa;
    uint32_t perm;
};

struct tlb {
    const struct cpu *cpu;
    struct memory *memory;
    uint64_t root;
    struct random_stream random;
    struct tlb_page page[TLB_PAGES];
    struct tlb_table table[TLB_TABLES];
    uint64_t hits;
};

void tlb_init(struct tlb *tlb, const struct cpu *cpu, struct memory *memory, uint64_t root_register);
/* An access of the guest: served from the caches where they can, which stale ones may. Returns what the guest sees. */
void tlb_access(struct tlb *tlb, uint64_t gpa, unsigned access, struct cpu_translation *out);
/* For memory->on_flush: drops what the flush names and not an entry more. */
void tlb_flush(void *ctx, const struct hvpt_flush *flush);
void tlb_flush_all(struct tlb *tlb);
/* Nothing cached differs from the tables (it may allow less: the fault then drops it). */
void tlb_check(const struct tlb *tlb);

#endif
