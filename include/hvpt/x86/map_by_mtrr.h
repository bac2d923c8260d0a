/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Mapping with the memory types that the machine's MTRRs give: each page as it would be without a guest, large pages
 * wherever the type does not change. An identity map of a whole machine, MMIO holes included, takes one call.
 */
#ifndef HVPT_X86_MAP_BY_MTRR_H
#define HVPT_X86_MAP_BY_MTRR_H

#include "mtrr.h"
#include "pat.h"
#include "../hvpt.h"

/* ---- one pass over a range, a piece of one type at a time ---- */

/* Look only, or map. */
enum hvpt_memtype_pass { HVPT_MEMTYPE_CHECK, HVPT_MEMTYPE_MAP };

static inline enum hvpt_status hvpt_memtype_piece(struct hvpt_space *space, enum hvpt_memtype_pass pass, hvpt_gpa gpa,
                                                  hvpt_hpa hpa, uint64_t size, struct hvpt_attr attr,
                                                  struct hvpt_flush *flush)
{
    uint64_t frames;

    return pass == HVPT_MEMTYPE_MAP ? hvpt_space_map(space, gpa, hpa, size, attr, flush)
                                    : hvpt_space_frames_needed(space, gpa, hpa, size, attr, &frames);
}

/* *done: how far it came, in bytes. The range ends within the limit of mtrr. */
static inline enum hvpt_status hvpt_memtype_pieces(struct hvpt_space *space, const struct hvpt_mtrr *mtrr,
                                                   enum hvpt_memtype_pass pass, hvpt_gpa gpa, hvpt_hpa hpa,
                                                   uint64_t size, struct hvpt_attr attr, struct hvpt_flush *flush,
                                                   uint64_t *done)
{
    struct hvpt_memtype_range range = {0, 0, HVPT_MEM_UC, false};

    for (*done = 0; *done < size;) {
        const hvpt_gpa to = hvpt_make_gpa(gpa.value + *done);
        const hvpt_hpa from = hvpt_make_hpa(hpa.value + *done);
        uint64_t piece;
        enum hvpt_status status;

        range.end = from.value;
        (void)hvpt_mtrr_next(mtrr, &range);
        piece = range.end - range.start;
        if (piece > size - *done)
            piece = size - *done;
        attr.memtype = range.type;
        status = hvpt_memtype_piece(space, pass, to, from, piece, attr, flush);
        if (status == HVPT_E_ATTR && space->kind == HVPT_KIND_NPT && attr.memtype != HVPT_MEM_WB) {
            attr.memtype = HVPT_MEM_WB; /* see hvpt_memtype_map */
            status = hvpt_memtype_piece(space, pass, to, from, piece, attr, flush);
        }
        if (status != HVPT_OK)
            return status;
        *done += piece;
    }
    return HVPT_OK;
}

/* ---- the calls ---- */

/*
 * Map [gpa, gpa + size) to [hpa, hpa + size), each piece with the memory type that mtrr, this machine's MTRRs, gives
 * its host address. No page spans a change of type; apart from that, pages are the largest that fit. attr.memtype is
 * ignored, the rest of attr is for all pieces. flush: as for hvpt_space_map.
 *
 * EPT needs this: the CPU does not look at the MTRRs for a guest's accesses, only at the type in the leaf (SDM vol. 3,
 * "EPT and Memory Typing"). With nested paging it does, after the tables (APM vol. 2, "Combining Memory Types, MTRRs"),
 * so a type that the host's PAT lacks is written as WB there, which leaves the MTRRs' type as it is; the call then only
 * sees to it that no large page mixes types.
 *
 * HVPT_E_ALIGN, HVPT_E_RANGE (beyond the space, MAXPHYADDR, or mtrr's), HVPT_E_ATTR (also: mtrr->maxphyaddr is not
 * 32 to 52), HVPT_E_READONLY: the arguments.  HVPT_E_EXISTS: something in the range is mapped.  HVPT_E_CORRUPT.
 * All these are found before anything is written. HVPT_E_NOMEM: frames ran out; HVPT_E_RANGE with
 * HVPT_POLICY_GUARD_TABLES: a frame that the call took lies in the host range. What this call had mapped was then
 * unmapped again. A guest that runs may have seen it for a moment, so flush covers it, and the unused tables are freed
 * with flush. After any of these every translation is what it was.
 *
 * Sole writer, because it unmaps when frames run out.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_memtype_map(struct hvpt_space *space, const struct hvpt_mtrr *mtrr,
                                                               hvpt_gpa gpa, hvpt_hpa hpa, uint64_t size,
                                                               struct hvpt_attr attr, struct hvpt_flush *flush)
{
    uint64_t done;
    enum hvpt_status status;

    if (mtrr->maxphyaddr < 32 || mtrr->maxphyaddr > 52)
        return HVPT_E_ATTR;
    if (size == 0 || size > hvpt_mtrr_limit(mtrr) || hpa.value > hvpt_mtrr_limit(mtrr) - size)
        return HVPT_E_RANGE;
    status = hvpt_memtype_pieces(space, mtrr, HVPT_MEMTYPE_CHECK, gpa, hpa, size, attr, flush, &done);
    if (status != HVPT_OK)
        return status;
    status = hvpt_memtype_pieces(space, mtrr, HVPT_MEMTYPE_MAP, gpa, hpa, size, attr, flush, &done);
    if (status != HVPT_OK && done != 0) {
        /* Whole pieces are unmapped, so that no page must be split and it cannot fail. */
        enum hvpt_status undone = hvpt_space_unmap(space, gpa, done, flush);

        (void)undone;
    }
    return status;
}

/*
 * Map a whole machine at its own addresses, RAM, ROM and MMIO holes alike, from address 0 up to size. size 0: up to
 * what mtrr, the space and its MAXPHYADDR all reach. With 1 GiB pages, 512 GiB take a frame or two for tables and the
 * few that changes of type need; without them, say how large the machine is.
 *
 * Everything is mapped, the hypervisor and these tables too: unmap or protect what the guest must not reach, before it
 * runs. With HVPT_POLICY_GUARD_TABLES it is therefore refused: HVPT_E_RANGE. Otherwise as hvpt_memtype_map.
 */
HVPT_NODISCARD static inline enum hvpt_status hvpt_memtype_map_identity(struct hvpt_space *space,
                                                                        const struct hvpt_mtrr *mtrr, uint64_t size,
                                                                        struct hvpt_attr attr, struct hvpt_flush *flush)
{
    if (size == 0) {
        size = hvpt_mtrr_limit(mtrr);
        size = size < space->gpa_limit ? size : space->gpa_limit;
        size = size < space->hpa_limit ? size : space->hpa_limit;
    }
    return hvpt_memtype_map(space, mtrr, hvpt_make_gpa(0), hvpt_make_hpa(0), size, attr, flush);
}

#endif
