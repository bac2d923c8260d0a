/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What hvpt walk and hvpt map look at: a memory that answers with frames, and one guest's second-level tables in it,
 * described by words.
 */
#ifndef HVPT_TOOLS_MEMORY_H
#define HVPT_TOOLS_MEMORY_H

#include "core.h"

#include <hvpt/audit.h>

/*
 * A memory. frame: size bytes at an address, aligned to 8 at least and valid until the memory is closed; NULL: the memory
 * has not got all of them. frames: how many frames of 4 KiB there are, which bounds how many tables a tree can have.
 * progress: called now and then with how many tables were read; false ends the work. NULL: nobody cares.
 */
struct memory {
    void *ctx;
    const void *(*frame)(void *ctx, uint64_t address, uint64_t size);
    uint64_t frames;
    bool (*progress)(void *ctx, uint64_t tables);
};

/* Words that both commands know, and where each guest register was given. */
enum memory_register {
    REG_CR0,
    REG_CR3,
    REG_CR4,
    REG_EFER,
    REG_RFLAGS,
    REG_PAT,
    REG_SCTLR,
    REG_TCR,
    REG_TTBR0,
    REG_TTBR1,
    REG_MAIR,
    REG_HCR,
    REG_SPSR,
    REG_VSATP,
    REG_VSSTATUS,
    REG_SSTATUS,
    REG_HENVCFG,
    REG_COUNT
};

/* A request, read. has_gpa and has_gva: of hvpt walk. access: HVPT_READ | ...; 0: none was given. */
struct memory_request {
    struct hvpt_space_config config;
    bool has_format;
    uint64_t root;
    bool has_root;
    size_t root_at;
    uint64_t gpa, gva;
    bool has_gpa, has_gva;
    uint32_t access;
    bool user;
    uint64_t reg[REG_COUNT];
    bool has_reg[REG_COUNT];
};

/* Read the words behind the image's name. */
bool memory_read_request(const struct core_request *request, struct memory_request *out, struct core_error *error);

/* A space over a memory. The hooks stay in use while the space is. */
struct memory_space {
    struct hvpt_space space;
    struct hvpt_hooks hooks;
    const struct memory *memory;
    uint64_t granule;   /* bytes of a table */
    uint64_t root_size; /* bytes of the root */
    uint64_t root;      /* its address */
};

bool memory_open_space(const struct core_request *request, const struct memory_request *read,
                       const struct memory *memory, struct memory_space *out, struct core_error *error);

/* ---- going through a tree ---- */

/* Pages that lie in one piece on both sides, with the same rights and memory type, of one size. */
struct tree_run {
    uint64_t gpa, hpa;
    uint64_t page_size, count;
    unsigned level;
    uint32_t perm;
    unsigned memtype;
    uint64_t accessed, dirty;
};

/* Why a walk did not come to the end. */
enum tree_end { TREE_WHOLE, TREE_LOOP, TREE_TOO_MANY, TREE_STOPPED };

/*
 * Told of a tree in ascending order; NULL: not interested. broken: [gpa, gpa + size) lies behind entries that are
 * misconfigured or refer to tables that are not there. hole: nothing is mapped.
 */
struct tree_sink {
    void *ctx;
    void (*table)(void *ctx, uint64_t gpa, uint64_t table, unsigned level);
    void (*leave)(void *ctx, unsigned level);
    void (*run)(void *ctx, const struct tree_run *run);
    void (*hole)(void *ctx, uint64_t gpa, uint64_t size);
    void (*broken)(void *ctx, uint64_t gpa, uint64_t size, unsigned level);
};

/* What was seen. */
struct tree_counts {
    uint64_t tables, pages, runs, bytes, broken;
    enum tree_end end;
};

/* Go through [gpa, gpa + size) of the tree. Bounded: a loop, and more tables than the memory has frames, end it. */
void tree_scan(const struct memory_space *space, uint64_t gpa, uint64_t size, const struct tree_sink *sink,
               struct tree_counts *counts);

/* Words for a tree that is not whole; NULL for one that is. */
const char *tree_end_text(enum tree_end end);

/* "r-x", at text[0] to text[2]; with user execution "u". */
void tree_perm(uint32_t perm, char text[5]);


/* A size with its unit, "2 MiB". */
void tree_size(const struct hvpt_text *out, uint64_t size);

/* ---- the answers ---- */

enum core_status core_map(const struct core_request *request, const struct memory *memory, const struct hvpt_text *out,
                          struct core_error *error);
enum core_status core_map_svg(const struct core_request *request, const struct memory *memory,
                              const struct hvpt_text *out, struct core_error *error);
enum core_status core_walk(const struct core_request *request, const struct memory *memory, const struct hvpt_text *out,
                           struct core_error *error);

/* Two trees, in two memories or one. The requests' words may differ. error is of the second where second_failed. */
enum core_status core_map_diff(const struct core_request request[2], const struct memory *const memory[2],
                               const struct hvpt_text *out, struct core_error *error, bool *second_failed);
enum core_status core_map_audit(const struct core_request request[2], const struct memory *const memory[2],
                                const struct hvpt_text *out, struct core_error *error, bool *second_failed);

#endif
