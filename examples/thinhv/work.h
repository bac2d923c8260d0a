/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What /init asks of the hypervisor: WORK_MAGIC | number and two words, a and b; there is one answer. How it asks is in
 * the guest.h of each architecture.
 */
#ifndef WORK_H
#define WORK_H

#define WORK_MAGIC 0x68760000u /* "hv" */

enum work {
    WORK_STATS, /* a 0 to 2: leaves of 4K, 2M, 1G; 3: mapped at a fault, 4: lost the race for it; 5: accesses refused;
                      6: faults of the hook; 7: status of the last call that had one */
    WORK_SPLIT, /* all of RAM into pages of 4K; a status */
    WORK_COLLAPSE, /* and back; a status */
    WORK_LOG,      /* a: enum work_method: begin to note which pages are written; a status */
    WORK_LOG_END,  /* how many pages were */
    WORK_WRITTEN,  /* a: a guest-physical address: was its page? */
    WORK_REPLACE,  /* a: a page; b: a word of 32 bits to look for in it, and in the upper half what shall be there
                      instead. Another page with that takes its place; a status, ABSENT: there is no such word */
    WORK_HOOK,     /* the same, but only for execution: who reads the page sees it as it was; a status */
    WORK_RESTORE,  /* the page itself again; a status */
    WORK_DROP      /* a: a page that is to be mapped again when it is touched; a status */
};

enum work_method { WORK_WRITE_PROTECTION, WORK_DIRTY_BITS, WORK_PML };

#endif
