/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The words everything else is said in: addresses, permissions, memory types, attributes, mappings, status.
 * They are common to all formats; what a format or a CPU cannot express is answered with HVPT_E_ATTR.
 */
#ifndef HVPT_TYPES_H
#define HVPT_TYPES_H

#include "std.h"

#include "engine/atomic.h"

/*
 * A guest-physical address (Arm: IPA), in bytes. Its own type, so that mixing it up with a host address does not
 * compile.
 */
typedef struct {
    uint64_t value;
} hvpt_gpa;

/* A host-physical address, in bytes. */
typedef struct {
    uint64_t value;
} hvpt_hpa;

static inline hvpt_gpa hvpt_make_gpa(uint64_t address)
{
    hvpt_gpa gpa = {address};
    return gpa;
}

static inline hvpt_hpa hvpt_make_hpa(uint64_t address)
{
    hvpt_hpa hpa = {address};
    return hpa;
}

#define HVPT_4K   (UINT64_C(1) << 12)
#define HVPT_16K  (UINT64_C(1) << 14)
#define HVPT_64K  (UINT64_C(1) << 16)
#define HVPT_2M   (UINT64_C(1) << 21)
#define HVPT_32M  (UINT64_C(1) << 25)
#define HVPT_512M (UINT64_C(1) << 29)
#define HVPT_1G   (UINT64_C(1) << 30)
#define HVPT_512G (UINT64_C(1) << 39)

/* The deepest tree of any format: 5-level EPT and NPT, Sv57x4, Arm with LPA2. Level 0 holds the smallest pages. */
#define HVPT_MAX_LEVELS 5

/*
 * Permissions of a leaf. Where a format has one execute bit, HVPT_EXEC is execution in all modes, and HVPT_EXEC_USER
 * may be given beside it but not alone. Where it has two (EPT with mode-based execute control, Arm with XNX), HVPT_EXEC
 * is the guest's supervisor and HVPT_EXEC_USER its user mode.
 */
enum hvpt_permission { HVPT_READ = 1, HVPT_WRITE = 2, HVPT_EXEC = 4, HVPT_EXEC_USER = 8 };

#define HVPT_PERM_ALL (UINT32_C(15))

/* Memory types, in the names of x86; Arm and RISC-V translate them (see stage2.h, gstage.h). */
enum hvpt_memtype { HVPT_MEM_UC, HVPT_MEM_WC, HVPT_MEM_WT, HVPT_MEM_WP, HVPT_MEM_WB };

/*
 * Flags that all formats share. A format adds its own, with numbers that no other uses, so that one of another format
 * is refused: EPT from bit 8, NPT from bit 16, stage 2 from bit 20.
 * In an attr given to map they preset the bits; in one that translate returns they tell what hardware has set.
 * HVPT_JOINED: reported only; the page is one of several that hardware may hold as one (contiguous bit, Svnapot). It
 * may mark any one of them accessed or dirty for all: ask "age" and "dirty", which look at them together.
 * HVPT_LOGGED: the page lost HVPT_WRITE to write_protect and gets it back when the guest writes to it.
 */
enum hvpt_flag { HVPT_ACCESSED = 1, HVPT_DIRTY = 2, HVPT_LOGGED = 4, HVPT_JOINED = 8 };

/*
 * What a leaf says beside the address. A memtype that is left out says HVPT_MEM_UC: begin with hvpt_ram or hvpt_device,
 * or have HVPT_POLICY_CACHED_ONLY refuse it.
 * perm: HVPT_READ | ...; flags: HVPT_ACCESSED | ... and the format's own; software: a number that no hardware reads,
 * kept with the leaf through split and collapse; each format says how large it may be (HVPT_EPT_SOFTWARE_MAX, ...).
 */
struct hvpt_attr {
    uint32_t perm;
    enum hvpt_memtype memtype;
    uint32_t flags;
    uint32_t software;
};

/* Ordinary memory: cached. perm: HVPT_READ | ... */
static inline struct hvpt_attr hvpt_ram(uint32_t perm)
{
    const struct hvpt_attr attr = {perm, HVPT_MEM_WB, 0, 0};
    return attr;
}

/* A device's registers: uncached, and every access reaches it. */
static inline struct hvpt_attr hvpt_device(uint32_t perm)
{
    const struct hvpt_attr attr = {perm, HVPT_MEM_UC, 0, 0};
    return attr;
}

/* What protect changes, beside the permission bits HVPT_READ .. HVPT_EXEC_USER named in the same mask. */
enum hvpt_change { HVPT_CHANGE_MEMTYPE = 1 << 24, HVPT_CHANGE_FLAGS = 1 << 25, HVPT_CHANGE_SOFTWARE = 1 << 26 };

/*
 * One translation, as translate and walk report it.
 * hpa: where the address asked for lies (translate), or the first byte of the page (walk).  attr.perm: what the leaf
 * and all tables above it allow together.  page_size: bytes mapped by the leaf.  level: 0 for the smallest pages.
 * entry: the leaf, raw.
 */
struct hvpt_mapping {
    hvpt_hpa hpa;
    struct hvpt_attr attr;
    uint64_t page_size;
    unsigned level;
    uint64_t entry;
};

/*
 * How a call ended. Each call lists the causes of its own. After anything but HVPT_OK all translations are what they
 * were before the call, but for dirty, age and collapse, which a corrupt table stops half-way.
 */
enum hvpt_status {
    HVPT_OK = 0,
    HVPT_E_ALIGN,   /* an address or size is not a multiple of the smallest page, or of the page size asked for */
    HVPT_E_RANGE,   /* an empty range, or one beyond what the space, the format or MAXPHYADDR can hold */
    HVPT_E_EXISTS,  /* something in the range is mapped already */
    HVPT_E_ABSENT,  /* something in the range is not mapped */
    HVPT_E_NOMEM,   /* the alloc_frame hook had no frame, or gave one that the format cannot address */
    HVPT_E_ATTR,    /* this format or this CPU cannot express the attributes, or do what the configuration asks */
    HVPT_E_CORRUPT, /* a table is not what it should be: reserved bits, an address no frame can have */
    HVPT_E_RACE,    /* another CPU changed the entry first */
    HVPT_E_READONLY, /* the space was adopted for reading only */
    HVPT_E_NOTHING, /* touch had nothing to give back: the page allows the access */
    HVPT_E_HOOK,    /* init and adopt: no hooks, or one is missing that cannot be done without */
    HVPT_E_CONFIG   /* init and adopt: no config, or one that no CPU could have, whatever its capabilities */
};

/* The status in words, for a log. Never NULL. */
static inline const char *hvpt_status_text(enum hvpt_status status)
{
    switch (status) {
    case HVPT_OK: return "ok";
    case HVPT_E_ALIGN: return "address or size not aligned to the page size";
    case HVPT_E_RANGE: return "range empty or beyond what the space can address";
    case HVPT_E_EXISTS: return "already mapped";
    case HVPT_E_ABSENT: return "not mapped";
    case HVPT_E_NOMEM: return "out of table frames";
    case HVPT_E_ATTR: return "attributes or configuration not expressible in this format or on this CPU";
    case HVPT_E_CORRUPT: return "corrupt table";
    case HVPT_E_RACE: return "another CPU changed the entry first";
    case HVPT_E_READONLY: return "space is read-only";
    case HVPT_E_NOTHING: return "nothing to give back: the page allows the access";
    case HVPT_E_HOOK: return "no hooks, or alloc_frame or free_frame is missing";
    case HVPT_E_CONFIG: return "no configuration, or one that no CPU could have";
    }
    return "unknown status";
}

/**
 * What hvpt_space_walk shows; NULL: not interested. Each returns true to go on and false to end the walk.
 * leaf: gpa is where the page begins, which for the first page may lie before the range; mapping->hpa likewise.
 * hole: [gpa, gpa + size) of the range is not mapped, by one empty entry of a table at level.
 * enter, leave: before and after what a table at level holds for the range; gpa is where the table's reach begins,
 * table its frame. enter is also called for the root. A walk that is ended calls no leave.
 */
struct hvpt_visitor {
    void *ctx;
    bool (*leaf)(void *ctx, hvpt_gpa gpa, const struct hvpt_mapping *mapping);
    bool (*hole)(void *ctx, hvpt_gpa gpa, uint64_t size, unsigned level);
    bool (*enter)(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level);
    bool (*leave)(void *ctx, hvpt_gpa gpa, hvpt_hpa table, unsigned level);
};

/**
 * A place in a space, for a loop over mapped pages. It holds no pointer into the tables, so they may change between two
 * steps. status becomes other than HVPT_OK where the iteration ends early.
 */
struct hvpt_leaf_iterator {
    hvpt_gpa next;
    uint64_t end;
    enum hvpt_status status;
};

/**
 * An entry that is not well-formed, as hvpt_space_find_broken reports it: [gpa, gpa + size) is what it covers, level
 * that of its table, entry what it holds. rule: the number of the rule of the format that it breaks (enum
 * hvpt_ept_rule, ...), or HVPT_ENTRY_TABLE where nothing is wrong with it but that phys_to_virt knows no such frame as
 * it refers to.
 */
struct hvpt_broken {
    hvpt_gpa gpa;
    uint64_t size;
    uint64_t entry;
    unsigned level;
    unsigned rule;
};

/** Why a table could not become a leaf. */
enum hvpt_obstacle {
    HVPT_OBSTACLE_NONE,
    HVPT_OBSTACLE_EDGE,    /**< the table reaches out of the range */
    HVPT_OBSTACLE_HOLE,    /**< a page below is not mapped */
    HVPT_OBSTACLE_TABLE,   /**< a table below stayed one, for a reason of its own */
    HVPT_OBSTACLE_ADDRESS, /**< the pages below are not one aligned piece of memory */
    HVPT_OBSTACLE_ATTR,    /**< the pages below differ in what they say */
    HVPT_OBSTACLE_SIZE,    /**< the config, the CPU or a policy does not allow so large a page for them */
    HVPT_OBSTACLE_CORRUPT  /**< an entry below is not well-formed */
};

/** The obstacle in words, for a log. Never NULL. */
static inline const char *hvpt_obstacle_text(enum hvpt_obstacle obstacle)
{
    switch (obstacle) {
    case HVPT_OBSTACLE_NONE: return "nothing";
    case HVPT_OBSTACLE_EDGE: return "the table reaches out of the range";
    case HVPT_OBSTACLE_HOLE: return "a page is not mapped";
    case HVPT_OBSTACLE_TABLE: return "a table below stays";
    case HVPT_OBSTACLE_ADDRESS: return "the pages are not one aligned piece of memory";
    case HVPT_OBSTACLE_ATTR: return "the pages differ in their attributes";
    case HVPT_OBSTACLE_SIZE: return "a page of that size is not allowed here";
    case HVPT_OBSTACLE_CORRUPT: return "an entry is not well-formed";
    }
    return "unknown obstacle";
}

/**
 * What collapse did: tables that became leaves, tables that stayed, and of the first that stayed the reason, where its
 * reach begins, its level, and the address of the page that stood in the way (of the table where no single page did).
 */
struct hvpt_collapse_report {
    uint64_t collapsed;
    uint64_t kept;
    enum hvpt_obstacle obstacle;
    unsigned level;
    hvpt_gpa table;
    hvpt_gpa page;
};

#endif
