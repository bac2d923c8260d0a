/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The memory type that a guest gets under nested paging: its own PAT, the host's PAT and the MTRRs combined.
 * APM vol. 2, "Combining Memory Types, MTRRs". Pure functions; gCR0.CD and hCR0.CD are taken to be clear.
 */
#ifndef HVPT_X86_NPT_MEMTYPE_H
#define HVPT_X86_NPT_MEMTYPE_H

#include "../types.h"

/*
 * The types of a PAT, in the order of the manual's tables, and two that only a combination yields: WC+ combines writes
 * like WC and snoops the caches; CD is not cached and snoops (APM vol. 2, "Memory Types").
 */
enum hvpt_npt_memtype {
    HVPT_NPT_UC,
    HVPT_NPT_UC_MINUS,
    HVPT_NPT_WC,
    HVPT_NPT_WP,
    HVPT_NPT_WT,
    HVPT_NPT_WB,
    HVPT_NPT_WC_PLUS,
    HVPT_NPT_CD
};

/* As the manual writes it. Never NULL. */
static inline const char *hvpt_npt_memtype_text(enum hvpt_npt_memtype type)
{
    switch (type) {
    case HVPT_NPT_UC: return "UC";
    case HVPT_NPT_UC_MINUS: return "UC-";
    case HVPT_NPT_WC: return "WC";
    case HVPT_NPT_WP: return "WP";
    case HVPT_NPT_WT: return "WT";
    case HVPT_NPT_WB: return "WB";
    case HVPT_NPT_WC_PLUS: return "WC+";
    case HVPT_NPT_CD: return "CD";
    }
    return "unknown memory type";
}

/*
 * Entry index (0 to 7) of a PAT: the guest's with the index of the guest's page, the host's with that of the nested
 * page. A reserved encoding, which no PAT can hold, is UC.
 */
static inline enum hvpt_npt_memtype hvpt_npt_memtype_of_pat(uint64_t pat, unsigned index)
{
    switch ((pat >> (8 * (index & 7))) & 255) {
    case 1: return HVPT_NPT_WC;
    case 4: return HVPT_NPT_WT;
    case 5: return HVPT_NPT_WP;
    case 6: return HVPT_NPT_WB;
    case 7: return HVPT_NPT_UC_MINUS;
    default: return HVPT_NPT_UC;
    }
}

/* Does a PAT type or an MTRR type let lines into the caches? */
static inline bool hvpt_npt_memtype_is_cached(enum hvpt_npt_memtype type)
{
    return type == HVPT_NPT_WP || type == HVPT_NPT_WT || type == HVPT_NPT_WB;
}

/*
 * The "combined PAT type" of two PAT types, each UC to WB. Memory that the two do not agree to cache is not cached, and
 * WC memory that one of them would cache must snoop. APM vol. 2, table "Combining Guest and Host PAT Types".
 */
static inline enum hvpt_npt_memtype hvpt_npt_combine_pat(enum hvpt_npt_memtype guest, enum hvpt_npt_memtype host)
{
    switch (guest) {
    case HVPT_NPT_UC_MINUS: return host == HVPT_NPT_UC_MINUS || host == HVPT_NPT_WC ? host : HVPT_NPT_UC;
    case HVPT_NPT_WC: return hvpt_npt_memtype_is_cached(host) ? HVPT_NPT_WC_PLUS : HVPT_NPT_WC;
    case HVPT_NPT_WP:
    case HVPT_NPT_WT: return host == guest || host == HVPT_NPT_WB ? guest : HVPT_NPT_UC;
    case HVPT_NPT_WB: return host == HVPT_NPT_UC_MINUS ? HVPT_NPT_UC : host;
    case HVPT_NPT_UC:
    case HVPT_NPT_WC_PLUS:
    case HVPT_NPT_CD: break;
    }
    return HVPT_NPT_UC;
}

/* An MTRR's type in the terms of this file. */
static inline enum hvpt_npt_memtype hvpt_npt_memtype_of_mtrr(enum hvpt_memtype mtrr)
{
    switch (mtrr) {
    case HVPT_MEM_WC: return HVPT_NPT_WC;
    case HVPT_MEM_WT: return HVPT_NPT_WT;
    case HVPT_MEM_WP: return HVPT_NPT_WP;
    case HVPT_MEM_WB: return HVPT_NPT_WB;
    case HVPT_MEM_UC: break;
    }
    return HVPT_NPT_UC;
}

/*
 * A combined PAT type and the MTRRs at the system-physical address: memory that they do not agree to cache may be
 * cached elsewhere, so it is CD, which snoops. Without nested paging the same holds with the PAT type alone.
 * APM vol. 2, table "Combining PAT and MTRR Types"; CD, which is in none of its rows, stays CD.
 */
static inline enum hvpt_npt_memtype hvpt_npt_combine_mtrr(enum hvpt_npt_memtype pat, enum hvpt_memtype mtrr)
{
    const enum hvpt_npt_memtype memory = hvpt_npt_memtype_of_mtrr(mtrr);

    switch (pat) {
    case HVPT_NPT_UC: return memory == HVPT_NPT_UC ? HVPT_NPT_UC : HVPT_NPT_CD;
    case HVPT_NPT_UC_MINUS: return hvpt_npt_memtype_is_cached(memory) ? HVPT_NPT_CD : memory;
    case HVPT_NPT_WC: return HVPT_NPT_WC;
    case HVPT_NPT_WC_PLUS: return hvpt_npt_memtype_is_cached(memory) ? HVPT_NPT_WC_PLUS : HVPT_NPT_WC;
    case HVPT_NPT_WP:
    case HVPT_NPT_WT:
        if (memory == HVPT_NPT_UC)
            return HVPT_NPT_UC;
        return memory == pat || memory == HVPT_NPT_WB ? pat : HVPT_NPT_CD;
    case HVPT_NPT_WB: return memory;
    case HVPT_NPT_CD: break;
    }
    return HVPT_NPT_CD;
}

/*
 * All three combined: guest and host as from hvpt_npt_memtype_of_pat, mtrr as from hvpt_mtrr_type. A space reports UC
 * and UC- of its host PAT alike; the leaf's own PAT index tells them apart.
 */
static inline enum hvpt_npt_memtype hvpt_npt_effective_memtype(enum hvpt_npt_memtype guest, enum hvpt_npt_memtype host,
                                                               enum hvpt_memtype mtrr)
{
    return hvpt_npt_combine_mtrr(hvpt_npt_combine_pat(guest, host), mtrr);
}

#endif
