/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The bench a case stands on: a space of one setup, its memory, the processor beside it, and the model of what it should be.
 * Each rig_ operation foretells the status, does the operation, and brings the model up to date.
 */
#ifndef HVPT_TEST_RIG_H
#define HVPT_TEST_RIG_H

#include "adapter.h"
#include "model.h"

/* The model's own flag for a page whose rights age took: the library reports it as it was, hardware finds nothing. */
#define MODEL_AGED (UINT32_C(1) << 30)

struct rig {
    const struct setup *setup;
    const struct adapter *adapter;
    struct memory memory;
    struct cpu cpu;
    struct tlb tlb;
    struct model model;
    struct hvpt_space space;
    struct hvpt_flush flush; /* used where owing is true: several operations share it */
    bool owing;
    bool empty_tables_allowed; /* a fault_map that lost, or failed, may leave one */
    struct random_stream random;
};

void rig_open(struct rig *rig, const struct setup *setup);
/* The same with 1 << slots_log2 frames; rig_open gives 4096. */
void rig_open_with(struct rig *rig, const struct setup *setup, unsigned slots_log2);
/* Destroys the space; every frame must be back. */
void rig_close(struct rig *rig);

/* The operations; with any status. The model follows if it is HVPT_OK, and nothing may have changed if not. */
enum hvpt_status rig_map(struct rig *rig, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr);
enum hvpt_status rig_unmap(struct rig *rig, uint64_t gpa, uint64_t size);
enum hvpt_status rig_protect(struct rig *rig, uint64_t gpa, uint64_t size, struct hvpt_attr attr, uint32_t mask);
enum hvpt_status rig_replace(struct rig *rig, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr attr);
enum hvpt_status rig_fault_map(struct rig *rig, uint64_t gpa, uint64_t hpa, uint64_t page_size, struct hvpt_attr attr);
enum hvpt_status rig_split(struct rig *rig, uint64_t gpa, uint64_t size, uint64_t page_size);
enum hvpt_status rig_collapse(struct rig *rig, uint64_t gpa, uint64_t size);
enum hvpt_status rig_age(struct rig *rig, uint64_t gpa, uint64_t size);
enum hvpt_status rig_dirty(struct rig *rig, uint64_t gpa, uint64_t size);
enum hvpt_status rig_write_protect(struct rig *rig, uint64_t gpa, uint64_t size);
enum hvpt_status rig_reserve(struct rig *rig, uint64_t frames);
/* The guest faulted; access is one of HVPT_READ ... */
enum hvpt_status rig_fault(struct rig *rig, uint64_t gpa, uint32_t access);
/* Forgets the space and adopts its tables anew, to go on with them. */
void rig_adopt(struct rig *rig);
/* Makes good what is owed. */
void rig_flush(struct rig *rig);

/* The guest touches gpa, through its TLB. */
void rig_touch(struct rig *rig, uint64_t gpa, unsigned access);

/* The library, the processor and the model agree on gpa. */
void rig_compare(struct rig *rig, uint64_t gpa);
/* They agree at every border, the library's numbers are true, no frame is lost, nothing stale is cached. */
void rig_check(struct rig *rig);
/* The part of rig_check that counts: the library's numbers against the tables themselves. */
void rig_recount(struct rig *rig);
/* And the library's walk shows exactly what the model holds. */
void rig_check_walk(struct rig *rig);

/* Usual attributes that every format can express. */
struct hvpt_attr attr_rwx(void);
/* Readable, writable, and not executable where that can be said: no policy on executable pages speaks. */
struct hvpt_attr rig_data(const struct rig *rig);
/* As much of a number as fits the software bits, and a memory type other than write-back, if there is one. */
uint32_t rig_software(const struct rig *rig, uint32_t number);
enum hvpt_memtype rig_uncached(const struct rig *rig);

/* Does what the processor found at gpa agree with span (NULL: nothing)? */
bool rig_agrees(const struct rig *rig, const struct span *span, uint64_t gpa, const struct cpu_translation *now);
struct hvpt_attr attr_of(uint32_t perm, enum hvpt_memtype memtype);

/* The size of the page that the processor finds at gpa; 0: none. */
uint64_t rig_page_size(struct rig *rig, uint64_t gpa);

#endif
