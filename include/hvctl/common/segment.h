/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Segments in the three forms that virtualization uses: a descriptor in a GDT, VMX access rights, SVM attributes.
 * SDM vol. 3, "Guest Register State"; APM vol. 2, "Segment State in the VMCB".
 */
#ifndef HVCTL_COMMON_SEGMENT_H
#define HVCTL_COMMON_SEGMENT_H

#include "../../hvpt/std.h"

/* VMX access rights. Bits 11:8 and 31:17 are reserved. */
#define HVCTL_RIGHTS_TYPE_MASK UINT32_C(0xf)
#define HVCTL_RIGHTS_ACCESSED UINT32_C(0x1)   /* code and data */
#define HVCTL_RIGHTS_WRITABLE UINT32_C(0x2)   /* data; readable for code */
#define HVCTL_RIGHTS_CONFORMING UINT32_C(0x4) /* code; expand-down for data */
#define HVCTL_RIGHTS_CODE UINT32_C(0x8)
#define HVCTL_RIGHTS_S UINT32_C(0x10) /* code or data */
#define HVCTL_RIGHTS_DPL_SHIFT 5
#define HVCTL_RIGHTS_PRESENT UINT32_C(0x80)
#define HVCTL_RIGHTS_AVL UINT32_C(0x1000)
#define HVCTL_RIGHTS_LONG UINT32_C(0x2000)
#define HVCTL_RIGHTS_DB UINT32_C(0x4000)
#define HVCTL_RIGHTS_GRANULARITY UINT32_C(0x8000)
#define HVCTL_RIGHTS_UNUSABLE UINT32_C(0x10000)

/* Types of system segments, S = 0. */
#define HVCTL_RIGHTS_TYPE_LDT UINT32_C(0x2)
#define HVCTL_RIGHTS_TYPE_TSS16_BUSY UINT32_C(0x3)
#define HVCTL_RIGHTS_TYPE_TSS UINT32_C(0x9)
#define HVCTL_RIGHTS_TYPE_TSS_BUSY UINT32_C(0xb)

/*
 * A segment register with its hidden part. limit is in bytes, whatever the granularity: limit[11:0] is FFFH if it is 4
 * KiB.
 */
struct hvctl_segment {
    uint16_t selector;
    uint32_t limit;
    uint32_t rights; /* as VMX has it */
    uint64_t base;
};

/* VMX access rights as SVM attributes. An unusable segment becomes a null one: all 0, not present. */
static inline uint16_t hvctl_rights_to_attrib(uint32_t rights)
{
    if (rights & HVCTL_RIGHTS_UNUSABLE)
        return 0;
    return (uint16_t)((rights & 0xffu) | (rights >> 4 & 0xf00u));
}

/*
 * SVM attributes as VMX access rights. A segment that is not present becomes an unusable one: SVM keeps the null
 * segments of a guest that way. A present bit cleared in real mode would be lost; no guest does that.
 */
static inline uint32_t hvctl_attrib_to_rights(uint16_t attrib)
{
    uint32_t rights = (attrib & 0xffu) | (attrib & UINT32_C(0xf00)) << 4;

    return attrib & 0x80u ? rights : rights | HVCTL_RIGHTS_UNUSABLE;
}

/*
 * The segment register after loading selector from this descriptor. low is the descriptor; high is its second eight
 * bytes, which only system descriptors in 64-bit mode have: otherwise pass 0. A null selector (bits 15:2 are 0) gives
 * an unusable segment. It does not check whether the CPU would accept the load. SDM vol. 3, "Segment Descriptors".
 */
static inline struct hvctl_segment hvctl_segment_from_descriptor(uint16_t selector, uint64_t low, uint64_t high)
{
    struct hvctl_segment out;

    out.selector = selector;
    out.base = (low >> 16 & 0xffffffu) | (low >> 56 & 0xffu) << 24;
    out.limit = (uint32_t)((low & 0xffffu) | (low >> 32 & 0xf0000u));
    out.rights = (uint32_t)(low >> 40 & 0xf0ffu);
    if (!(out.rights & HVCTL_RIGHTS_S))
        out.base |= high << 32;
    if (out.rights & HVCTL_RIGHTS_GRANULARITY)
        out.limit = out.limit << 12 | 0xfffu;
    if (!(selector & 0xfffcu) || !(out.rights & HVCTL_RIGHTS_PRESENT))
        out.rights |= HVCTL_RIGHTS_UNUSABLE;
    return out;
}

/*
 * The descriptor of a segment, and in *high (may be NULL) the second eight bytes of a system segment in 64-bit mode;
 * they are 0 for code and data. It is the inverse of hvctl_segment_from_descriptor, except for unusable segments and
 * for limits that their granularity cannot hold, which lose their low twelve bits.
 */
static inline uint64_t hvctl_segment_to_descriptor(const struct hvctl_segment *segment, uint64_t *high)
{
    uint32_t limit = segment->rights & HVCTL_RIGHTS_GRANULARITY ? segment->limit >> 12 : segment->limit;

    if (high)
        *high = segment->rights & HVCTL_RIGHTS_S ? 0 : segment->base >> 32;
    return (uint64_t)(limit & 0xffffu) | (uint64_t)(limit & 0xf0000u) << 32 | (segment->base & 0xffffffu) << 16 |
           (segment->base >> 24 & 0xffu) << 56 | (uint64_t)(segment->rights & 0xf0ffu) << 40;
}

/* A segment from its parts. */
static inline struct hvctl_segment hvctl_segment_make(uint16_t selector, uint64_t base, uint32_t limit, uint32_t rights)
{
    struct hvctl_segment out;

    out.selector = selector;
    out.base = base;
    out.limit = limit;
    out.rights = rights;
    return out;
}

#endif
