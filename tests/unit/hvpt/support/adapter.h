/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The library as the cases see it, which run for every row of the table of setups: the calls of hvpt.h with plain numbers
 * for addresses, a format's init and adopt, and for some rows the inline calls of a format instead.
 */
#ifndef HVPT_TEST_ADAPTER_H
#define HVPT_TEST_ADAPTER_H

#include "hardware.h"
#include "observed.h"

#include <hvpt/ept.h>
#include <hvpt/gstage.h>
#include <hvpt/npt.h>
#include <hvpt/stage2.h>

/* Every format's config in one; an adapter takes what its format has. */
struct any_config {
    unsigned levels;
    uint64_t max_page_size;
    unsigned maxphyaddr;
    uint64_t features;
    uint32_t policy;
    uint64_t ept_vpid_cap;
    uint64_t pat;
    unsigned c_bit;
    unsigned mode;
    unsigned granule_shift, ipa_bits;
    uint64_t mmfr0, mmfr1, mmfr2, mmfr3;
};

struct adapter {
    const char *name;
    enum hvpt_status (*init)(struct hvpt_space *, const struct hvpt_hooks *, const struct any_config *);
    enum hvpt_status (*adopt)(struct hvpt_space *, const struct hvpt_hooks *, const struct any_config *, uint64_t root,
                              bool readonly);
    void (*destroy)(struct hvpt_space *);
    uint64_t (*root)(const struct hvpt_space *);
    enum hvpt_status (*map)(struct hvpt_space *, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr,
                            struct hvpt_flush *);
    enum hvpt_status (*unmap)(struct hvpt_space *, uint64_t gpa, uint64_t size, struct hvpt_flush *);
    enum hvpt_status (*protect)(struct hvpt_space *, uint64_t gpa, uint64_t size, struct hvpt_attr, uint32_t mask,
                                struct hvpt_flush *);
    enum hvpt_status (*replace)(struct hvpt_space *, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr,
                                struct hvpt_flush *);
    enum hvpt_status (*fault_map)(struct hvpt_space *, uint64_t gpa, uint64_t hpa, uint64_t page_size, struct hvpt_attr);
    enum hvpt_status (*translate)(const struct hvpt_space *, uint64_t gpa, struct hvpt_mapping *);
    void (*translate_batch)(const struct hvpt_space *, const hvpt_gpa *, size_t n, struct hvpt_mapping *,
                            enum hvpt_status *);
    enum hvpt_status (*explain)(const struct hvpt_space *, uint64_t gpa, uint32_t access, const struct hvpt_text *);
    enum hvpt_status (*walk)(const struct hvpt_space *, uint64_t gpa, uint64_t size, const struct hvpt_visitor *);
    enum hvpt_status (*split)(struct hvpt_space *, uint64_t gpa, uint64_t size, uint64_t page_size, struct hvpt_flush *);
    enum hvpt_status (*collapse)(struct hvpt_space *, uint64_t gpa, uint64_t size, struct hvpt_flush *,
                                 struct hvpt_collapse_report *);
    enum hvpt_status (*age)(struct hvpt_space *, uint64_t gpa, uint64_t size, uint64_t *bitmap, struct hvpt_flush *);
    enum hvpt_status (*dirty)(struct hvpt_space *, uint64_t gpa, uint64_t size, uint64_t *bitmap, struct hvpt_flush *);
    enum hvpt_status (*write_protect)(struct hvpt_space *, uint64_t gpa, uint64_t size, struct hvpt_flush *);
    enum hvpt_status (*touch)(struct hvpt_space *, uint64_t gpa, uint32_t access);
    bool (*next_leaf)(const struct hvpt_space *, struct hvpt_leaf_iterator *, hvpt_gpa *, struct hvpt_mapping *);
    enum hvpt_status (*map_needs)(const struct hvpt_space *, uint64_t gpa, uint64_t hpa, uint64_t size, struct hvpt_attr,
                                  uint64_t *frames);
    enum hvpt_status (*unmap_needs)(const struct hvpt_space *, uint64_t gpa, uint64_t size, uint64_t *frames);
    enum hvpt_status (*split_needs)(const struct hvpt_space *, uint64_t gpa, uint64_t size, uint64_t page_size,
                                    uint64_t *frames);
    enum hvpt_status (*reserve)(struct hvpt_space *, uint64_t frames);
    void (*stats)(const struct hvpt_space *, struct hvpt_stats *);
    void (*flush)(struct hvpt_space *, struct hvpt_flush *);
};

extern const struct adapter ept_adapter;
extern const struct adapter npt_adapter;
extern const struct adapter s2_adapter;
extern const struct adapter gstage_adapter;
/* With the inline calls. */
extern const struct adapter ept_inline_adapter;
extern const struct adapter npt_inline_adapter;
extern const struct adapter s2_inline_adapter;
extern const struct adapter gstage_inline_adapter;

/*
 * One configuration: what the library is told, what the processor is, and how memory looks.
 * two_exec: HVPT_EXEC and HVPT_EXEC_USER are separate permissions here.
 */
struct setup {
    const char *name;
    const struct adapter *adapter;
    struct any_config config;
    struct cpu_features cpu;
    bool linear;
    bool two_exec;
};

extern const struct setup setups[];
extern const size_t setup_count;
/* The same with larger smallest pages. */
extern const struct setup granules[];
extern const size_t granule_count;
/* Where HVPT_EXEC alone cannot be said: guest mode execute trap. */
extern const struct setup exec_for_both[];
extern const size_t exec_for_both_count;

/* A setup by name, for cases that want one; fails the test if there is none. */
const struct setup *setup_named(const char *name);

/* x86's encoding of a memory type, as MTRRs, PAT and EPT use it. */
unsigned x86_memtype(enum hvpt_memtype type);

/* Can setup's format and processor express attr in a leaf? From the manuals' rules, not from the library. */
bool setup_expresses(const struct setup *setup, struct hvpt_attr attr);
uint64_t setup_gpa_limit(const struct setup *setup);
uint64_t setup_hpa_limit(const struct setup *setup);
uint64_t setup_max_page(const struct setup *setup);
/* The largest number for attr.software. */
uint32_t setup_software_max(const struct setup *setup);
/* Which invalidation the format wants. */
enum hvpt_flush_kind setup_flush_kind(const struct setup *setup);
/* The order of the frames of a root. */
unsigned setup_root_order(const struct setup *setup);
/* Are neighbouring pages joined here? */
bool setup_joins(const struct setup *setup);
/* Does the space keep accessed, and dirty, in bits of the entry; and does software set them, so that a clear one faults? */
bool setup_keeps_accessed(const struct setup *setup);
bool setup_keeps_dirty(const struct setup *setup);
bool setup_software_accessed(const struct setup *setup);
bool setup_software_dirty(const struct setup *setup);
/* The register for a root at frame, as the manuals have it. */
uint64_t setup_root_register(const struct setup *setup, uint64_t frame);

#endif
