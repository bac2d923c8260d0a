/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Which MSR and port accesses of a guest exit: the permission maps of both vendors, as the CPU reads them.
 * SDM vol. 3, "MSR-Bitmap Address", "I/O-Bitmap Addresses"; APM vol. 2, "MSR Intercepts", "I/O Intercepts".
 */
#ifndef HVCTL_COMMON_BITMAPS_H
#define HVCTL_COMMON_BITMAPS_H

#include "../../hvpt/std.h"

#include "status.h"

/* Kinds of access, to be combined. */
enum hvctl_access { HVCTL_ACCESS_READ = 1, HVCTL_ACCESS_WRITE = 2 };

/*
 * The maps. A bit that is 1 makes the access exit. The caller aligns each map to 4 KiB. A guest that runs on another
 * CPU may see a change late; on SVM, clear HVCTL_CLEAN_IOPM after a change.
 */
struct hvctl_vmx_msr_bitmap {
    uint8_t byte[4096];
};
struct hvctl_vmx_io_bitmap { /* page A, then page B: two addresses in the VMCS */
    uint8_t byte[8192];
};
struct hvctl_svm_msr_map {
    uint8_t byte[8192];
};
struct hvctl_svm_io_map {
    uint8_t byte[12288];
};

/* Set or clear bit number of a map. */
static inline void hvctl_bitmap_put(uint8_t *byte, size_t number, bool on)
{
    uint8_t mask = (uint8_t)(1u << (number & 7u));

    byte[number >> 3] = (uint8_t)(on ? byte[number >> 3] | mask : byte[number >> 3] & ~mask);
}

static inline bool hvctl_bitmap_get(const uint8_t *byte, size_t number)
{
    return ((unsigned)byte[number >> 3] >> (number & 7u) & 1u) != 0;
}

/* Make every access exit, or none that the map covers. */
static inline void hvctl_bitmap_fill(uint8_t *byte, size_t size, bool on)
{
    size_t i;

    for (i = 0; i < size; i++)
        byte[i] = on ? 0xff : 0;
}

static inline void hvctl_vmx_msr_fill(struct hvctl_vmx_msr_bitmap *map, bool on)
{
    hvctl_bitmap_fill(map->byte, sizeof(map->byte), on);
}

static inline void hvctl_vmx_io_fill(struct hvctl_vmx_io_bitmap *map, bool on)
{
    hvctl_bitmap_fill(map->byte, sizeof(map->byte), on);
}

static inline void hvctl_svm_msr_fill(struct hvctl_svm_msr_map *map, bool on)
{
    hvctl_bitmap_fill(map->byte, sizeof(map->byte), on);
}

static inline void hvctl_svm_io_fill(struct hvctl_svm_io_map *map, bool on)
{
    hvctl_bitmap_fill(map->byte, sizeof(map->byte), on);
}

/* Does VMX's map have bits for this MSR? Others always exit. */
static inline bool hvctl_vmx_msr_covered(uint32_t msr)
{
    return msr <= 0x1fff || (msr >= UINT32_C(0xc0000000) && msr <= UINT32_C(0xc0001fff));
}

/* The bit for reads of an MSR that is covered; the one for writes is 16384 further on. */
static inline size_t hvctl_vmx_msr_bit(uint32_t msr)
{
    return (msr & 0x1fffu) + (msr >> 31 ? 8192u : 0u);
}

/*
 * Make these accesses (HVCTL_ACCESS_*) to an MSR exit, or not.
 * HVCTL_E_RANGE: the map has no bit for the MSR, which always exits.
 */
static inline enum hvctl_status hvctl_vmx_msr_exit(struct hvctl_vmx_msr_bitmap *map, uint32_t msr, unsigned access,
                                                   bool on)
{
    if (!hvctl_vmx_msr_covered(msr))
        return HVCTL_E_RANGE;
    if (access & HVCTL_ACCESS_READ)
        hvctl_bitmap_put(map->byte, hvctl_vmx_msr_bit(msr), on);
    if (access & HVCTL_ACCESS_WRITE)
        hvctl_bitmap_put(map->byte, hvctl_vmx_msr_bit(msr) + 16384, on);
    return HVCTL_OK;
}

/* Would RDMSR (write false) or WRMSR of this MSR exit, with "use MSR bitmaps" on? */
static inline bool hvctl_vmx_msr_exits(const struct hvctl_vmx_msr_bitmap *map, uint32_t msr, bool write)
{
    return !hvctl_vmx_msr_covered(msr) || hvctl_bitmap_get(map->byte, hvctl_vmx_msr_bit(msr) + (write ? 16384u : 0u));
}

/* Does SVM's map have bits for this MSR? Others always exit, if MSRs are intercepted at all. */
static inline bool hvctl_svm_msr_covered(uint32_t msr)
{
    return msr <= 0x1fff || (msr >= UINT32_C(0xc0000000) && msr <= UINT32_C(0xc0001fff)) ||
           (msr >= UINT32_C(0xc0010000) && msr <= UINT32_C(0xc0011fff));
}

/* The bit for reads of an MSR that is covered; the one for writes is the next. */
static inline size_t hvctl_svm_msr_bit(uint32_t msr)
{
    size_t vector = msr <= 0x1fff ? 0 : msr <= UINT32_C(0xc0001fff) ? 1 : 2;

    return vector * 16384u + (size_t)(msr & 0x1fffu) * 2u;
}

/* As hvctl_vmx_msr_exit, for SVM's map. */
static inline enum hvctl_status hvctl_svm_msr_exit(struct hvctl_svm_msr_map *map, uint32_t msr, unsigned access,
                                                   bool on)
{
    if (!hvctl_svm_msr_covered(msr))
        return HVCTL_E_RANGE;
    if (access & HVCTL_ACCESS_READ)
        hvctl_bitmap_put(map->byte, hvctl_svm_msr_bit(msr), on);
    if (access & HVCTL_ACCESS_WRITE)
        hvctl_bitmap_put(map->byte, hvctl_svm_msr_bit(msr) + 1, on);
    return HVCTL_OK;
}

/* Would RDMSR (write false) or WRMSR of this MSR exit, with the MSR intercept set? */
static inline bool hvctl_svm_msr_exits(const struct hvctl_svm_msr_map *map, uint32_t msr, bool write)
{
    return !hvctl_svm_msr_covered(msr) || hvctl_bitmap_get(map->byte, hvctl_svm_msr_bit(msr) + (write ? 1u : 0u));
}

/* Make accesses to count ports from first exit, or not. HVCTL_E_RANGE: beyond port FFFFH; nothing changed. */
static inline enum hvctl_status hvctl_vmx_io_exit(struct hvctl_vmx_io_bitmap *map, uint32_t first, uint32_t count,
                                                  bool on)
{
    uint32_t i;

    if (first > 0xffff || count > UINT32_C(0x10000) - first)
        return HVCTL_E_RANGE;
    for (i = 0; i < count; i++)
        hvctl_bitmap_put(map->byte, first + i, on);
    return HVCTL_OK;
}

/*
 * Would an access of size bytes (1, 2, 4) at port exit, with "use I/O bitmaps" on? One that runs past FFFFH always
 * does.
 */
static inline bool hvctl_vmx_io_exits(const struct hvctl_vmx_io_bitmap *map, uint16_t port, unsigned size)
{
    unsigned i;

    for (i = 0; i < size; i++)
        if ((uint32_t)port + i > 0xffff || hvctl_bitmap_get(map->byte, port + i))
            return true;
    return false;
}

/*
 * As hvctl_vmx_io_exit, for SVM's map. The map has three more bits than there are ports, for accesses that run past the
 * last one; they are set as that of port FFFFH.
 */
static inline enum hvctl_status hvctl_svm_io_exit(struct hvctl_svm_io_map *map, uint32_t first, uint32_t count, bool on)
{
    uint32_t i;

    if (first > 0xffff || count > UINT32_C(0x10000) - first)
        return HVCTL_E_RANGE;
    for (i = 0; i < count; i++)
        hvctl_bitmap_put(map->byte, first + i, on);
    if (count && first + count == UINT32_C(0x10000))
        for (i = 0; i < 3; i++)
            hvctl_bitmap_put(map->byte, UINT32_C(0x10000) + i, on);
    return HVCTL_OK;
}

/* Would an access of size bytes (1, 2, 4) at port exit, with the I/O intercept set? */
static inline bool hvctl_svm_io_exits(const struct hvctl_svm_io_map *map, uint16_t port, unsigned size)
{
    unsigned i;

    for (i = 0; i < size; i++)
        if (hvctl_bitmap_get(map->byte, (size_t)port + i))
            return true;
    return false;
}

#endif
