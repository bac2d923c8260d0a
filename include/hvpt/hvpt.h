/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The API: one guest's second-level tables, whatever their format. A format's header makes a space (hvpt_ept_init,
 * hvpt_npt_adopt, ...); every call on it is here, documented once.
 */
#ifndef HVPT_HVPT_H
#define HVPT_HVPT_H

#include "engine/space.h"
#include "text.h"

/**
 * @file
 * Statuses that most calls share, and that are not repeated below:
 * HVPT_E_ALIGN: an address or size is not a multiple of the smallest page. HVPT_E_RANGE: an empty range, one beyond the
 * space or MAXPHYADDR, or a space that is not initialised. HVPT_E_READONLY: the space was adopted for reading only.
 * HVPT_E_CORRUPT: a table is not well-formed, or phys_to_virt knows no such frame.
 * HVPT_E_NOMEM: alloc_frame had no frame.
 * After any of them every translation is what it was, and no frame is held that was not held before (dirty, age and
 * collapse stop half-way at a corrupt table, and say so).
 *
 * Each call names the role of its caller. A reader runs on any number of CPUs, beside anything but a sole writer. A
 * writer runs one at a time, by the caller's lock, beside readers and faulters. A sole writer runs one at a time,
 * beside nothing but hardware. A faulter runs on any number of CPUs at once, beside readers and beside one writer of
 * other pages. Hardware needs no lock, ever.
 *
 * A flush argument collects what is to be invalidated (see struct hvpt_flush); hvpt_space_flush carries it out, which
 * must happen before the lock is dropped, and before the space is given another one. With NULL, or with one that
 * another space is using, the call flushes before it returns.
 */

/* ---- life ---- */

/**
 * Gives back every frame, of tables and of the reserve. A space adopted for reading gives nothing back. Afterwards
 * every call refuses the space.
 * No CPU may use the tables any more, and every flush that calls on this space asked for must be done: tables that
 * still wait in a struct hvpt_flush are not found, and leak. Sole writer.
 */
HVPT_API void hvpt_space_destroy(struct hvpt_space *space);

/**
 * The value for the register: EPTP, nCR3, VTTBR_EL2 or hgatp. The VMID in the last two is as adopted, else 0. Reader.
 */
HVPT_API uint64_t hvpt_space_root(const struct hvpt_space *space);

/* ---- mapping ---- */

/**
 * Maps [gpa, gpa + size) to [hpa, hpa + size), all or nothing. Each page is the largest that lies in the range, that
 * gpa and hpa are equally aligned to, and that config.max_page_size allows, or a policy or a flag in attr, which may
 * allow less. There is no other limit to size than the space.
 * What the caller stored in the memory before the call is seen by whoever finds it mapped. On Arm nothing is to be
 * flushed and the hook is not called, but a DSB ISHST must come before the entry into a guest that may use the pages.
 * The call takes longer the more pages and tables there are, and the caller's lock is held meanwhile. A caller for whom
 * that is too long maps in pieces, each of which is all or nothing for itself.
 * @param attr  the attributes of the pages; a flag of another format is refused
 * @param flush used only where a CPU may have cached that a page is not mapped (RISC-V without Svvptc), and only with
 *              HVPT_OK
 * @retval HVPT_E_EXISTS something in the range is mapped
 * @retval HVPT_E_ATTR   this format or CPU cannot express attr
 * @retval HVPT_E_RANGE  also: the host range holds a table of this space or a frame of its reserve, and
 *                       HVPT_POLICY_GUARD_TABLES is on
 * Writer; a fault_map beside it must be of pages outside the range (docs/contracts.md).
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                        uint64_t size, struct hvpt_attr attr, struct hvpt_flush *flush);

/**
 * Unmaps [gpa, gpa + size), in which there may be holes. Large pages that extend beyond it are split, and tables left
 * empty are freed. The accessed and dirty bits of the pages are lost: ask hvpt_space_dirty first.
 * On Arm the call flushes before it returns, since what is mapped there next must not meet a cached translation (Arm
 * ARM, "Using break-before-make when updating translation table entries").
 * @retval HVPT_E_NOMEM a large page extends beyond the range, and there is no frame to split it with
 * Sole writer.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_unmap(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                          struct hvpt_flush *flush);

/**
 * Changes the leaves of [gpa, gpa + size): what mask names becomes as attr says, and nothing else changes.
 * @param mask permission bits (HVPT_READ | ...), HVPT_CHANGE_MEMTYPE, HVPT_CHANGE_FLAGS, HVPT_CHANGE_SOFTWARE. Naming
 *             HVPT_WRITE also ends write logging of the page (HVPT_LOGGED). Where user-mode execution has a bit of its
 *             own, HVPT_EXEC alone leaves it as it is. Accessed and dirty bits are kept whatever mask says.
 * @retval HVPT_E_ABSENT a hole
 * @retval HVPT_E_ATTR   this format or CPU cannot express a changed leaf; mask has an unknown bit; or a policy forbids
 *                       the change (HVPT_POLICY_EXEC_4K_ONLY: split first)
 * @retval HVPT_E_NOMEM  a large page extends beyond the range, and there is no frame to split it with
 * Sole writer.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_protect(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                            struct hvpt_attr attr, uint32_t mask,
                                                            struct hvpt_flush *flush);

/**
 * Maps [gpa, gpa + size), all of which must be mapped, to [hpa, hpa + size) with the attributes attr instead,
 * atomically per entry. Leaves keep their size where the new address allows it and are split where it does not, or
 * where they extend beyond the range. Accessed and dirty bits of the old pages are lost with them: ask hvpt_space_dirty
 * first, and write-protect before copying a page that the guest may write. Until the flush the guest may still use the
 * old pages.
 * @retval HVPT_E_ABSENT a hole
 * @retval HVPT_E_ATTR   this format or CPU cannot express attr
 * Sole writer.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_replace(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                            uint64_t size, struct hvpt_attr attr,
                                                            struct hvpt_flush *flush);

/**
 * Maps one page of page_size at gpa to hpa, from a fault handler, without a lock against other faulters. It takes no
 * frame from the reserve. Where a CPU may have cached that the page is not mapped (RISC-V without Svvptc), the call
 * flushes it through the hook before it returns HVPT_OK. On Arm a DSB ISHST must come before the guest is entered.
 * @retval HVPT_E_ALIGN  gpa or hpa is not aligned to page_size
 * @retval HVPT_E_ATTR   the attributes, or a page_size that format, CPU, config or policy do not allow for them
 * @retval HVPT_E_EXISTS something is mapped there already, all of the page or a part of it. It may have lost
 *                       permissions to hvpt_space_write_protect, _dirty or _age: then hvpt_space_touch gives them back
 * @retval HVPT_E_RACE   as HVPT_E_EXISTS, where this call saw that another CPU was first (it does not always see that);
 *                       or, with HVPT_POLICY_GUARD_TABLES, map or reserve changed the reserve meanwhile, and nothing
 *                       was mapped; let the guest try again
 * Faulter.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_fault_map(struct hvpt_space *space, hvpt_gpa gpa, hvpt_hpa hpa,
                                                              uint64_t page_size, struct hvpt_attr attr);

/* ---- looking ---- */

/**
 * Translates gpa, which need not be aligned, as hardware would, but without its side effects.
 * @param out written only with HVPT_OK
 * @retval HVPT_E_ABSENT  not mapped
 * @retval HVPT_E_CORRUPT hardware would call it a misconfiguration or a reserved-bit fault, or a table is out of reach
 * Reader.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_translate(const struct hvpt_space *space, hvpt_gpa gpa,
                                                              struct hvpt_mapping *out);

/**
 * hvpt_space_translate for count addresses, so that their cache misses overlap. status[i] and, with HVPT_OK, out[i] are
 * its answer for gpa[i]; with another status out[i] is undefined. Reader.
 */
HVPT_API void hvpt_space_translate_batch(const struct hvpt_space *space, const hvpt_gpa *gpa, size_t count,
                                         struct hvpt_mapping *out, enum hvpt_status *status);

/**
 * Shows what [gpa, gpa + size) holds to visitor, in ascending order.
 * @retval HVPT_OK        also when the visitor ended it
 * @retval HVPT_E_CORRUPT a table is out of reach, or an entry is broken; what came before has been shown, and
 *                        hvpt_space_find_broken says where
 * Reader.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_walk(const struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                         const struct hvpt_visitor *visitor);

/**
 * Finds the first entry for [gpa, gpa + size) that is not well-formed, which is where a walk ends. To find the next
 * one, begin at out->gpa + out->size.
 * @param out written with HVPT_E_CORRUPT only
 * @retval HVPT_OK there is none
 * Reader.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_find_broken(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                uint64_t size, struct hvpt_broken *out);

/**
 * An iterator over the leaves of [gpa, gpa + size), which need not be aligned: gpa may lie inside a large page, which
 * is then the first. It reads no table, so anyone may call it at any time.
 */
HVPT_API struct hvpt_leaf_iterator hvpt_leaves(hvpt_gpa gpa, uint64_t size);

/**
 * The next leaf: *gpa is where its page begins, mapping->hpa likewise. false: there is none, and iterator->status says
 * why: the range is done (HVPT_OK), a table cannot be read (HVPT_E_CORRUPT), or the range exceeds the space
 * (HVPT_E_RANGE). Reader.
 */
HVPT_API bool hvpt_space_next_leaf(const struct hvpt_space *space, struct hvpt_leaf_iterator *iterator, hvpt_gpa *gpa,
                                   struct hvpt_mapping *mapping);

/* ---- page sizes ---- */

/**
 * Splits every leaf that touches [gpa, gpa + size) and is larger than page_size, down to page_size inside the range and
 * no further than needed outside. Translations, attributes, accessed and dirty bits stay; holes are fine.
 * @param flush where the format demands break-before-make, the call flushes on the way; elsewhere nothing becomes stale
 * @retval HVPT_E_ALIGN also: page_size is no page size of the format
 * Sole writer.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_split(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                          uint64_t page_size, struct hvpt_flush *flush);

/**
 * Turns every table in [gpa, gpa + size) whose pages are one aligned piece of memory with the same attributes into one
 * leaf, up to the largest pages the space allows. A leaf is accessed or dirty if one of its parts was.
 * @param flush  where hardware sets accessed and dirty bits the call flushes on the way, in batches, so that none is
 *               lost; elsewhere the old tables wait in flush
 * @param report may be NULL
 * @retval HVPT_OK whatever could be collapsed is; report tells what could not and why
 * Sole writer.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_collapse(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                             struct hvpt_flush *flush,
                                                             struct hvpt_collapse_report *report);

/* ---- what the guest used and wrote ---- */

/**
 * Reports and clears which pages of [gpa, gpa + size) were written since the last time. Bit i of bitmap, bit i % 64 of
 * word i / 64, is set for smallest page i of the range; other bits are left as they are. A large page sets the bits of
 * all its parts; one that extends beyond the range is reported but not cleared.
 * Where hardware keeps no dirty bits, pages that may be written are reported and write-logged (HVPT_LOGGED): the
 * guest's next write faults, and hvpt_space_touch gives the permission back. Pages that can still be written then,
 * because EPT permits writes to sub-pages, by paging-write or to supervisor shadow stacks without HVPT_WRITE, are
 * reported each time.
 * @param flush until it is done, CPUs may write through cached entries without setting the bits again
 * @retval HVPT_E_CORRUPT a table is out of reach; bits before it have been cleared and are in bitmap
 * Sole writer, except that readers and touch may run beside it.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_dirty(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                          uint64_t *bitmap, struct hvpt_flush *flush);

/**
 * The same for pages that were used at all. Where hardware keeps no accessed bits, pages that have permissions are
 * reported and lose them; hvpt_space_touch gives them back at the fault.
 * @retval HVPT_E_CORRUPT as hvpt_space_dirty
 * Sole writer, except that readers and touch may run beside it.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_age(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                        uint64_t *bitmap, struct hvpt_flush *flush);

/**
 * Takes HVPT_WRITE from every leaf of [gpa, gpa + size) that has it and marks it HVPT_LOGGED: the guest's next write
 * faults, and hvpt_space_touch gives the permission back. Holes are fine; large pages that extend beyond the range are
 * split, others keep their size.
 * Writes that need no HVPT_WRITE go unseen: EPT's to sub-pages (take them by the sub-page table, intel/spp.h), by
 * paging-write, and to supervisor shadow stacks. With #VE a page that is to fault into the hypervisor must have been
 * mapped with HVPT_EPT_SUPPRESS_VE.
 * @param flush until it is done, writes may still go unseen
 * @retval HVPT_E_ATTR a page is write-only (stage 2) and would be left without any permission
 * Sole writer, except that readers and touch may run beside it.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_write_protect(struct hvpt_space *space, hvpt_gpa gpa, uint64_t size,
                                                                  struct hvpt_flush *flush);

/**
 * The guest faulted on gpa: gives back what write_protect, dirty or age took from the page.
 * Where a CPU could go on denying the access from what it has cached (Arm, RISC-V), this call flushes the page through
 * the hook.
 * @param access what it wanted: HVPT_READ, HVPT_WRITE, HVPT_EXEC or HVPT_EXEC_USER (see the _wants functions in
 *               fault/), or several of them, which the page must then all allow
 * @retval HVPT_OK        something was given back; let the guest try again
 * @retval HVPT_E_NOTHING the page allowed the access already: another CPU's touch came first (try again), or the fault
 *                        has another cause (a second HVPT_E_NOTHING for the same fault says so)
 * @retval HVPT_E_ATTR    the page denies it for good
 * @retval HVPT_E_ABSENT  not mapped, or empty for a moment because of break-before-make (Arm): let the guest try again
 * Faulter; it may also run beside dirty, age and write_protect.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_touch(struct hvpt_space *space, hvpt_gpa gpa, uint32_t access);

/* ---- frames ---- */

/**
 * The exact number of frames that hvpt_space_map would take, called now with the same arguments.
 * @param frames written with HVPT_OK only; other statuses are those that map would give
 * @retval HVPT_E_RACE with HVPT_POLICY_GUARD_TABLES: the reserve changed meanwhile; ask again
 * Reader.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_frames_needed(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                  hvpt_hpa hpa, uint64_t size, struct hvpt_attr attr,
                                                                  uint64_t *frames);

/**
 * The exact number of frames that hvpt_space_unmap of this range would take. protect and write_protect take no more,
 * and fewer where a large page at an edge need not change. Reader.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_frames_needed_to_unmap(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                           uint64_t size, uint64_t *frames);

/** The exact number of frames that hvpt_space_split of this range to page_size would take. Reader. */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_frames_needed_to_split(const struct hvpt_space *space, hvpt_gpa gpa,
                                                                           uint64_t size, uint64_t page_size,
                                                                           uint64_t *frames);

/**
 * Fills the reserve to at least count frames, so that calls which need no more in all cannot fail for lack of one; 0
 * gives the reserve back. Every call but fault_map takes from the reserve first.
 * @retval HVPT_E_NOMEM the reserve is as before
 * Writer.
 */
HVPT_API HVPT_NODISCARD enum hvpt_status hvpt_space_reserve(struct hvpt_space *space, uint64_t count);

/* ---- flushes and numbers ---- */

/**
 * Carries out flush through the hook, frees the tables that waited for it, and leaves it empty. NULL and a flush that
 * another space is using are ignored. Sole writer.
 */
HVPT_API void hvpt_space_flush(struct hvpt_space *space, struct hvpt_flush *flush);

/**
 * How many leaves, tables and frames the space has. Beside a writer or faulters each number is one that it had at some
 * moment of the call (an entry counts as soon as it is stored or a little later); they agree with each other when
 * nobody changes the space. While faults are counted without a pause, the call tries again until there is one. Reader.
 */
HVPT_API void hvpt_space_stats(const struct hvpt_space *space, struct hvpt_stats *out);

/* hvpt_space_explain and hvpt_space_diagnose are in explain.h. */
#include "explain.h"

#if !defined(HVPT_EXTERN) || defined(HVPT_IMPLEMENT)
#include "engine/collapse.h"
#include "engine/fault_map.h"
#include "engine/lifecycle.h"
#include "engine/lookup.h"
#include "engine/map.h"
#include "engine/protect.h"
#include "engine/replace.h"
#include "engine/reserve.h"
#include "engine/split.h"
#include "engine/track.h"
#include "engine/unmap.h"
#include "engine/visit.h"
#endif

#include "debug.h"

#endif
