/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What all formats have in common: addresses, permissions, memory types, attributes, mappings, status. What a format or
 * a CPU cannot express is refused with HVPT_E_ATTR.
 */
#ifndef HVPT_TYPES_H
#define HVPT_TYPES_H

#include "std.h"

#include "engine/atomic.h"

/*
 * A guest-physical address (Arm: IPA), in bytes. It has a type of its own, so that confusing it with a host address
 * does not compile.
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

/*
 * Memory types, in the names of x86; Arm and RISC-V translate them (see stage2.h, gstage.h). They are no codes of any
 * manual: zero is HVPT_MEM_WB, the type of ordinary memory, so that an attribute whose memory type was left out is not
 * uncached.
 */
enum hvpt_memtype { HVPT_MEM_WB, HVPT_MEM_WC, HVPT_MEM_WT, HVPT_MEM_WP, HVPT_MEM_UC };

/*
 * Flags that all formats share. Each format adds its own, in bits that no other format uses, so that a flag of the
 * wrong format is refused: EPT from bit 8, NPT from bit 16, stage 2 from bit 20.
 * In an attr given to map they preset the bits; in one that translate returns they show what hardware has set.
 * HVPT_JOINED: only reported, and refused in an attr given; the page belongs to a contiguous set (contiguous bit,
 * Svnapot). Hardware may set the accessed or dirty bit of any page of the set on behalf of all: ask hvpt_space_age and
 * _dirty, which look at the whole set.
 * HVPT_LOGGED: the page lost HVPT_WRITE to write_protect and gets it back when the guest writes to it.
 */
enum hvpt_flag { HVPT_ACCESSED = 1, HVPT_DIRTY = 2, HVPT_LOGGED = 4, HVPT_JOINED = 8 };

/*
 * What a leaf says besides its address; hvpt_ram and hvpt_device make the two usual ones.
 * perm: HVPT_READ | ...; flags: HVPT_ACCESSED | ... and the format's own; software: a number that no hardware reads,
 * kept with the leaf through split and collapse; each format says how large it may be (HVPT_EPT_SOFTWARE_MAX, ...).
 *
 * Refused with HVPT_E_ATTR, besides flags of other formats or of features that are off, and numbers out of range:
 * - no permission at all;
 * - without HVPT_READ: anything on NPT; HVPT_WRITE or HVPT_LOGGED on EPT and the G-stage; HVPT_EPT_PAGING_WRITE;
 *   execution on EPT if the CPU has no execute-only pages, and on stage 2 with HVPT_S2_USE_INDIRECT;
 * - HVPT_EXEC_USER without HVPT_EXEC where there is one execute bit; HVPT_EXEC without HVPT_EXEC_USER on NPT with GMET;
 * - on NPT pages that are not executable, with HVPT_NPT_NO_NX;
 * - memory types that the host's PAT lacks (NPT); WP and, with HVPT_S2_USE_FWB, WT (stage 2); WT and WP, without Svpbmt
 *   all but WB (G-stage).
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

/* What protect changes besides permissions: bits of its mask, beside HVPT_READ .. HVPT_EXEC_USER. */
enum hvpt_change { HVPT_CHANGE_MEMTYPE = 1 << 24, HVPT_CHANGE_FLAGS = 1 << 25, HVPT_CHANGE_SOFTWARE = 1 << 26 };

/*
 * One translation, as translate and walk report it.
 * hpa: where the address asked about lies (translate), or where the page begins (walk).  attr.perm: what the leaf and
 * all tables above it allow together.  page_size: bytes mapped by the leaf.  level: 0 for the smallest pages.
 * entry: the leaf, raw.
 */
struct hvpt_mapping {
    hvpt_hpa hpa;
    struct hvpt_attr attr;
    uint64_t page_size;
    unsigned level;
    uint64_t entry;
};

/** The formats, as struct hvpt_space has them in kind. */
enum hvpt_kind { HVPT_KIND_EPT, HVPT_KIND_NPT, HVPT_KIND_S2, HVPT_KIND_GSTAGE };

/** No format: the space is not initialised, was destroyed, or its init failed. Every call refuses it. */
#define HVPT_KIND_NONE 0xffu

/** Policies a space can be given at init, in config.policy. */
enum hvpt_policy {
    /* Executable leaves have the smallest size, which avoids the machine check that a change of page size can cause. */
    HVPT_POLICY_EXEC_4K_ONLY = 1,
    /*
     * Refuse (HVPT_E_RANGE) to map a frame that holds one of this space's own tables or lies in its reserve. To map a
     * frame that lies between the lowest and the highest frame that the space ever had, all its tables are searched:
     * allocate them from memory of their own. Tables that wait in a struct hvpt_flush are not found, and need not be:
     * free_frame gets their frames only after the flush.
     *
     * fault_map and frames_needed look through the reserve, too, and answer HVPT_E_RACE where map or reserve changed it
     * meanwhile. By then they may have read a frame that has just been given to free_frame, or asked phys_to_virt about
     * it: for that long it must stay readable (on i386 writable), or phys_to_virt answers NULL. Nothing that was read
     * there counts.
     */
    HVPT_POLICY_GUARD_TABLES = 2,
    /*
     * For adopt: this library made the tables, in an earlier run or for another space. Pages from which write_protect,
     * dirty and age took permissions are marked in bits that hardware ignores, and touch gives the permissions back.
     * Without this policy the tables are someone else's, who may keep anything in those bits: touch gives no permission
     * because of them, and adopt for writing clears them.
     */
    HVPT_POLICY_OWN_MARKS = 1 << 8,
    HVPT_POLICY_ALL = HVPT_POLICY_EXEC_4K_ONLY | HVPT_POLICY_GUARD_TABLES | HVPT_POLICY_OWN_MARKS
};

/**
 * Leaves by level, tables by level (the root included), and frames that came from alloc_frame and are not yet given
 * back: tables, the reserve (reserved counts it alone), and tables that wait for their flush.
 */
struct hvpt_stats {
    uint64_t leaves[HVPT_MAX_LEVELS];
    uint64_t tables[HVPT_MAX_LEVELS];
    uint64_t frames;
    uint64_t reserved;
};

/*
 * How a call ended; each call lists the causes of its own. After anything but HVPT_OK all translations are what they
 * were before the call, except that a corrupt table stops dirty, age and collapse half-way.
 * HVPT_E_RANGE has several meanings: an empty range, or one beyond what the space, the format or MAXPHYADDR can hold; a
 * space that is not initialised; adopt: the root is beyond MAXPHYADDR; map, replace and fault_map with
 * HVPT_POLICY_GUARD_TABLES: a table of the space lies in the host range.
 * HVPT_E_ATTR, too: the format or the CPU cannot express the attributes (see struct hvpt_attr), or do what the config
 * asks; fault_map: no pages of that size; protect: an unknown bit in mask, or a policy; write_protect: a page would be
 * left without any permission; explain, diagnose and touch: the page denies the access; hvpt_ept_map and the other
 * calls of one format: the space has another one.
 */
enum hvpt_status {
    HVPT_OK = 0,
    HVPT_E_ALIGN,   /* an address or size is not a multiple of the smallest page, or of the page size asked for */
    HVPT_E_RANGE,   /* an empty range, or one beyond what can be addressed; a space not initialised; see above */
    HVPT_E_EXISTS,  /* something in the range is mapped already */
    HVPT_E_ABSENT,  /* something in the range is not mapped */
    HVPT_E_NOMEM,   /* the alloc_frame hook had no frame, or gave one that the format or MAXPHYADDR cannot address */
    HVPT_E_ATTR,    /* cannot be expressed or done by this format or CPU; or the page denies the access; see above */
    HVPT_E_CORRUPT, /* a table is not well-formed: reserved bits, an address that no frame can have */
    HVPT_E_RACE,    /* another CPU changed the entry, or the reserve, first */
    HVPT_E_READONLY, /* the space was adopted for reading only */
    HVPT_E_NOTHING, /* touch had nothing to give back: the page allows the access */
    HVPT_E_HOOK,    /* init and adopt: no hooks, a required one is missing, or they are not HVPT_STATIC_HOOKS */
    HVPT_E_CONFIG   /* init and adopt: no config, or one that no CPU could have, whatever its capabilities */
};

/** The status in words, for a log. Never NULL. */
HVPT_API const char *hvpt_status_text(enum hvpt_status status);

/** The memory type as x86 abbreviates it: "WB". Never NULL. */
HVPT_API const char *hvpt_memtype_text(enum hvpt_memtype memtype);

#if !defined(HVPT_EXTERN) || defined(HVPT_IMPLEMENT)
HVPT_API const char *hvpt_memtype_text(enum hvpt_memtype memtype)
{
    switch (memtype) {
    case HVPT_MEM_WB: return "WB";
    case HVPT_MEM_WC: return "WC";
    case HVPT_MEM_WT: return "WT";
    case HVPT_MEM_WP: return "WP";
    case HVPT_MEM_UC: return "UC";
    }
    return "no memory type";
}

HVPT_API const char *hvpt_status_text(enum hvpt_status status)
{
    switch (status) {
    case HVPT_OK: return "ok";
    case HVPT_E_ALIGN: return "address or size not aligned to the page size";
    case HVPT_E_RANGE: return "range empty or beyond what the space can address";
    case HVPT_E_EXISTS: return "already mapped";
    case HVPT_E_ABSENT: return "not mapped";
    case HVPT_E_NOMEM: return "alloc_frame had no frame, or one that is misaligned or beyond MAXPHYADDR";
    case HVPT_E_ATTR: return "the page denies it, or this format or CPU cannot express it";
    case HVPT_E_CORRUPT: return "corrupt table";
    case HVPT_E_RACE: return "another CPU changed the entry, or the reserve, first";
    case HVPT_E_READONLY: return "space is read-only";
    case HVPT_E_NOTHING: return "nothing to give back: the page allows the access";
    case HVPT_E_HOOK: return "no hooks, alloc_frame or free_frame is missing, or they are not HVPT_STATIC_HOOKS";
    case HVPT_E_CONFIG: return "no configuration, or one that no CPU could have";
    }
    return "unknown status";
}
#endif

/**
 * The callbacks of hvpt_space_walk, any of which may be NULL. Each returns true to go on and false to end the walk.
 * leaf: gpa is where the page begins, which for the first page may lie before the range; mapping->hpa likewise.
 * hole: one empty entry of a table at level leaves [gpa, gpa + size) of the range unmapped.
 * enter, leave: called before and after the contents of a table at level, the root included; gpa is the first address
 * that the table covers, table its frame. Once a callback has ended the walk, leave is not called any more.
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
 * steps. status is HVPT_OK unless the iteration ended early.
 */
struct hvpt_leaf_iterator {
    hvpt_gpa next;
    uint64_t end;
    enum hvpt_status status;
};

/**
 * An entry that is not well-formed, as hvpt_space_find_broken reports it. It covers [gpa, gpa + size) and is one of a
 * table at level. rule: the number of the format's rule that it breaks (enum hvpt_ept_rule, ...), or HVPT_ENTRY_TABLE
 * where the entry itself is sound but phys_to_virt does not know the table it refers to.
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
    HVPT_OBSTACLE_EDGE,    /**< the table extends beyond the range */
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
    case HVPT_OBSTACLE_EDGE: return "the table extends beyond the range";
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
 * What collapse did: how many tables became leaves, and how many stayed. Of the first that stayed: why, its level, the
 * first address that it covers, and the page that stood in the way (the table's own address where no single page did).
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
