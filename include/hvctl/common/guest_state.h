/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A guest's state for either vendor: registers and segments in plain members, read from a VMCS image or a VMCB, and
 * written to either; and presets for the usual ways to start a guest. vmx/guest.h and svm/guest.h read and write it.
 */
#ifndef HVCTL_COMMON_GUEST_STATE_H
#define HVCTL_COMMON_GUEST_STATE_H

#include "check.h"
#include "status.h"
#include "segment.h"

/*
 * Interruptibility, in VMX's bits. SVM has one interrupt shadow for the first two; it is read as blocking by MOV SS,
 * which blocks all that either blocks. SDM vol. 3, "Guest Non-Register State".
 */
#define HVCTL_BLOCKING_STI         UINT64_C(0x1)
#define HVCTL_BLOCKING_MOV_SS      UINT64_C(0x2)
#define HVCTL_BLOCKING_SMI         UINT64_C(0x4)
#define HVCTL_BLOCKING_NMI         UINT64_C(0x8)
#define HVCTL_ENCLAVE_INTERRUPTION UINT64_C(0x10)

/* Pending debug exceptions. */
#define HVCTL_PENDING_BLD     UINT64_C(0x800)
#define HVCTL_PENDING_ENABLED UINT64_C(0x1000)
#define HVCTL_PENDING_BS      UINT64_C(0x4000)
#define HVCTL_PENDING_RTM     UINT64_C(0x10000)

enum hvctl_activity {
    HVCTL_ACTIVITY_ACTIVE = 0,
    HVCTL_ACTIVITY_HLT = 1,
    HVCTL_ACTIVITY_SHUTDOWN = 2,
    HVCTL_ACTIVITY_WAIT_FOR_SIPI = 3
};

/*
 * What a state may lack, because the structure that it was read from has no place for it; the members then have their
 * reset values. Code that fills them in sets the bit in known.
 */
enum hvctl_known_part {
    HVCTL_KNOWS_EFER = 1 << 0,
    HVCTL_KNOWS_PAT = 1 << 1,
    HVCTL_KNOWS_PDPTES = 1 << 2,       /* SVM has them in the guest's memory: hvctl_guest_load_pdptes */
    HVCTL_KNOWS_CR2 = 1 << 3,          /* VMX: struct hvctl_guest_regs has it */
    HVCTL_KNOWS_DR6 = 1 << 4,          /* VMX: the CPU's own register has it */
    HVCTL_KNOWS_SYSCALL = 1 << 5,      /* star to kernel_gs_base; VMX: MSRs or MSR areas have them */
    HVCTL_KNOWS_NMI_BLOCKING = 1 << 6, /* HVCTL_BLOCKING_NMI, which is the guest's own only with virtual NMIs */
    HVCTL_KNOWS_ACTIVITY = 1 << 7,     /* on SVM only the hypervisor knows that a guest is halted */
    HVCTL_KNOWS_PENDING_DEBUG = 1 << 8,
    HVCTL_KNOWS_DEBUGCTL = 1 << 9, /* SVM: with LBR virtualization */
    HVCTL_KNOWS_CET = 1 << 10,     /* s_cet, ssp, interrupt_ssp_table */
    HVCTL_KNOWS_FRED = 1 << 11,    /* fred_config to fred_ssp3 */
    HVCTL_KNOWS_SPEC_CTRL = 1 << 12,
    HVCTL_KNOWS_PKRS = 1 << 13, /* this and the next: VMX only */
    HVCTL_KNOWS_PERF_GLOBAL_CTRL = 1 << 14,
    HVCTL_KNOWS_FRED_RSP0 = 1 << 15, /* VMX: the MSR has it */
    HVCTL_KNOWS_BNDCFGS = 1 << 16,   /* this and the next: VMX only */
    HVCTL_KNOWS_RTIT_CTL = 1 << 17,
    HVCTL_KNOWS_LBR_CTL = 1 << 18,
    HVCTL_KNOWS_UINV = 1 << 19,
    HVCTL_KNOWS_ALL = (1 << 20) - 1
};

/*
 * The members that are one number each, in the order in which hvctl_guest_state_save writes them. More may be added at
 * the end; none moves.
 */
#define HVCTL_GUEST_STATE_NUMBERS(X)                                                                                \
    X(known)                                                                                                        \
    X(cr0) X(cr2) X(cr3) X(cr4) X(efer) X(rip) X(rsp) X(rflags) X(dr6) X(dr7) X(pat) X(sysenter_cs) X(sysenter_esp) \
        X(sysenter_eip) X(star) X(lstar) X(cstar) X(sfmask) X(kernel_gs_base) X(interruptibility) X(activity)       \
            X(pending_debug) X(debugctl) X(pdpte[0]) X(pdpte[1]) X(pdpte[2]) X(pdpte[3]) X(s_cet) X(ssp)            \
                X(interrupt_ssp_table) X(spec_ctrl) X(pkrs) X(perf_global_ctrl) X(fred_config) X(fred_rsp1)         \
                    X(fred_rsp2) X(fred_rsp3) X(fred_stklvls) X(fred_ssp1) X(fred_ssp2) X(fred_ssp3) X(fred_rsp0)   \
                        X(bndcfgs) X(rtit_ctl) X(lbr_ctl) X(uinv)
#define HVCTL_GUEST_STATE_SEGMENTS(X) X(es) X(cs) X(ss) X(ds) X(fs) X(gs) X(ldtr) X(tr) X(gdtr) X(idtr)

/*
 * One virtual CPU between two runs, without its general registers (struct hvctl_guest_regs, which on VMX has CR2, too)
 * and without what neither vendor's structure has a place for: docs/hvctl.md, "What the world switch leaves to the
 * caller".
 *
 * CPL is the DPL of SS, as on VMX, whether SS is usable or not; SVM's CPL field is read into it and written from it.
 */
struct hvctl_guest_state {
    uint64_t cr0, cr3, cr4,
        efer; /* as the guest is to see them: VMX's fixed bits and SVM's SVME are added when written */
    uint64_t rip, rsp, rflags;
    uint64_t dr7, pat;
    struct hvctl_segment es, cs, ss, ds, fs, gs, ldtr, tr;
    struct hvctl_segment gdtr, idtr; /* base and limit only */
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t known; /* HVCTL_KNOWS_* */
    uint64_t cr2, dr6, debugctl;
    uint64_t pdpte[4]; /* used while the guest uses PAE paging */
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t interruptibility; /* HVCTL_BLOCKING_* */
    uint64_t activity;         /* enum hvctl_activity */
    uint64_t pending_debug;    /* HVCTL_PENDING_*, and bits 3:0, breakpoints */
    uint64_t s_cet, ssp, interrupt_ssp_table, spec_ctrl, pkrs, perf_global_ctrl;
    uint64_t fred_config, fred_rsp1, fred_rsp2, fred_rsp3, fred_stklvls, fred_ssp1, fred_ssp2, fred_ssp3, fred_rsp0;
    uint64_t bndcfgs, rtit_ctl, lbr_ctl, uinv;
};

/* Set everything to 0, except for what a reset sets. */
static inline void hvctl_guest_state_clear(struct hvctl_guest_state *state)
{
    const struct hvctl_segment none = {0, 0, 0, 0};

#define HVCTL_X(member) state->member = 0;
    HVCTL_GUEST_STATE_NUMBERS(HVCTL_X)
#undef HVCTL_X
#define HVCTL_X(member) state->member = none;
    HVCTL_GUEST_STATE_SEGMENTS(HVCTL_X)
#undef HVCTL_X
    state->rflags = 2;
    state->dr6 = UINT64_C(0xffff0ff0);
    state->dr7 = 0x400;
    state->pat = HVCTL_PAT_RESET;
}

/* The current privilege level. */
static inline unsigned hvctl_guest_cpl(const struct hvctl_guest_state *state)
{
    return state->ss.rights >> HVCTL_RIGHTS_DPL_SHIFT & 3u;
}

static inline void hvctl_guest_set_cpl(struct hvctl_guest_state *state, unsigned cpl)
{
    state->ss.rights =
        (state->ss.rights & ~(UINT32_C(3) << HVCTL_RIGHTS_DPL_SHIFT)) | (cpl & 3u) << HVCTL_RIGHTS_DPL_SHIFT;
}

/* Does the guest use PAE paging, whose PDPTEs a CPU keeps in registers? SDM vol. 3, "PAE Paging". */
static inline bool hvctl_guest_uses_pdptes(const struct hvctl_guest_state *state)
{
    return (state->cr0 & HVCTL_CR0_PG) && (state->cr4 & HVCTL_CR4_PAE) && !(state->efer & HVCTL_EFER_LMA);
}

/*
 * Read the four PDPTEs of a guest with PAE paging from its memory, as SVM's CPUs do with nested paging; read takes
 * guest-physical addresses, and maxphyaddr is the guest's. A guest without PAE paging is left as it is.
 * HVCTL_E_CPU: read failed, and nothing changed.
 * HVCTL_E_RANGE: one has reserved bits set, which VM entry would refuse, and nothing changed.
 * SDM vol. 3, "PAE Paging".
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_guest_load_pdptes(struct hvctl_guest_state *state,
                                                                        unsigned maxphyaddr, hvctl_read_memory_fn read,
                                                                        void *ctx)
{
    uint8_t bytes[32];
    uint64_t entry[4] = {0, 0, 0, 0};
    unsigned i;

    if (!hvctl_guest_uses_pdptes(state))
        return HVCTL_OK;
    if (!(read)(ctx, state->cr3 & UINT64_C(0xffffffe0), bytes, sizeof(bytes)))
        return HVCTL_E_CPU;
    for (i = 0; i < 32; i++)
        entry[i / 8] |= (uint64_t)bytes[i] << (8 * (i % 8));
    for (i = 0; i < 4; i++)
        if ((entry[i] & 1u) && (entry[i] & (UINT64_C(0x1e6) | hvctl_beyond(maxphyaddr))))
            return HVCTL_E_RANGE;
    for (i = 0; i < 4; i++)
        state->pdpte[i] = entry[i];
    state->known |= HVCTL_KNOWS_PDPTES;
    return HVCTL_OK;
}

/*
 * Write a state as words that mean the same on every machine and in later versions, for a file or a migration. The
 * first word is the number of the format, the second says how many words follow; then the numbers, then four words a
 * segment.
 */
#define HVCTL_X(member) +1
enum hvctl_guest_state_size {
    HVCTL_GUEST_STATE_NUMBER_COUNT = 0 HVCTL_GUEST_STATE_NUMBERS(HVCTL_X),
    HVCTL_GUEST_STATE_WORDS = 2 + 40 + HVCTL_GUEST_STATE_NUMBER_COUNT,
    /* The first version had the numbers to fred_ssp3, and 15 bits of known; each number since has a bit of its own. */
    HVCTL_GUEST_STATE_FIRST = 40 + 42,
    HVCTL_GUEST_STATE_FIRST_KNOWN = 15
};
#undef HVCTL_X
#define HVCTL_GUEST_STATE_FORM UINT64_C(0x3154534756480001) /* "HVGST1", and 1 */

static inline void hvctl_guest_state_save(const struct hvctl_guest_state *state,
                                          uint64_t words[HVCTL_GUEST_STATE_WORDS])
{
    unsigned at = 2;

    words[0] = HVCTL_GUEST_STATE_FORM;
    words[1] = HVCTL_GUEST_STATE_WORDS - 2;
#define HVCTL_X(member)                          \
    words[at++] = state->member.selector;        \
    words[at++] = state->member.limit;           \
    words[at++] = state->member.rights;          \
    words[at++] = state->member.base;
    HVCTL_GUEST_STATE_SEGMENTS(HVCTL_X)
#undef HVCTL_X
#define HVCTL_X(member) words[at++] = state->member;
    HVCTL_GUEST_STATE_NUMBERS(HVCTL_X)
#undef HVCTL_X
}

/*
 * Read a state from count words that hvctl_guest_state_save wrote. An older version may have written fewer: what they
 * lack is then unknown, and has its reset value.
 * HVCTL_E_SYNTAX: the words are not a state, are fewer than the second one says, are more than this version
 * understands, or claim to know what they lack; the state must not be used then.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_guest_state_restore(struct hvctl_guest_state *state,
                                                                          const uint64_t *words, size_t count)
{
    size_t at = 2, end;

    hvctl_guest_state_clear(state);
    if (count < 2 || words[0] != HVCTL_GUEST_STATE_FORM || words[1] < HVCTL_GUEST_STATE_FIRST
        || words[1] > HVCTL_GUEST_STATE_WORDS - 2 || words[1] > count - 2)
        return HVCTL_E_SYNTAX;
    end = 2 + (size_t)words[1];
#define HVCTL_X(member)                                                                                               \
    if (words[at] >> 16 || words[at + 1] >> 32 || words[at + 2] >> 32)                                                \
        return HVCTL_E_SYNTAX;                                                                                        \
    state->member = hvctl_segment_make((uint16_t)words[at], words[at + 3], (uint32_t)words[at + 1],                   \
                                       (uint32_t)words[at + 2]);                                                      \
    at += 4;
    HVCTL_GUEST_STATE_SEGMENTS(HVCTL_X)
#undef HVCTL_X
#define HVCTL_X(member)              \
    if (at < end)                    \
        state->member = words[at++];
    HVCTL_GUEST_STATE_NUMBERS(HVCTL_X)
#undef HVCTL_X
    return state->known >> (HVCTL_GUEST_STATE_FIRST_KNOWN + (unsigned)words[1] - HVCTL_GUEST_STATE_FIRST)
             ? HVCTL_E_SYNTAX
             : HVCTL_OK;
}

/*
 * Real mode as after a reset, but starting at cs_base + ip with CS selector cs_base >> 4: hvctl_guest_real_mode(0,
 * 0x7c00) starts a boot sector. The other segments have base 0. cs_base may be beyond 1 MiB, as at reset: the
 * selector's upper bits are then lost, and the guest's first far jump makes the base match the selector. SDM vol. 3,
 * "Processor State After Reset".
 */
static inline struct hvctl_guest_state hvctl_guest_real_mode(uint32_t cs_base, uint16_t ip)
{
    const uint32_t data = HVCTL_RIGHTS_PRESENT | HVCTL_RIGHTS_S | HVCTL_RIGHTS_WRITABLE | HVCTL_RIGHTS_ACCESSED;
    struct hvctl_guest_state state;

    hvctl_guest_state_clear(&state);
    state.known = HVCTL_KNOWS_ALL;
    state.cr0 = HVCTL_CR0_ET;
    state.rip = ip;
    state.cs = hvctl_segment_make((uint16_t)(cs_base >> 4 & 0xffff), cs_base, 0xffff, data | HVCTL_RIGHTS_CODE);
    state.es = state.ss = state.ds = state.fs = state.gs = hvctl_segment_make(0, 0, 0xffff, data);
    state.ldtr = hvctl_segment_make(0, 0, 0xffff, HVCTL_RIGHTS_PRESENT | HVCTL_RIGHTS_TYPE_LDT);
    state.tr = hvctl_segment_make(0, 0, 0xffff, HVCTL_RIGHTS_PRESENT | HVCTL_RIGHTS_TYPE_TSS_BUSY);
    state.gdtr = state.idtr = hvctl_segment_make(0, 0, 0xffff, 0);
    return state;
}

/* The state after a reset or INIT: real mode, first instruction at FFFFFFF0H, CR0.CD and CR0.NW set. */
static inline struct hvctl_guest_state hvctl_guest_reset(void)
{
    struct hvctl_guest_state state = hvctl_guest_real_mode(UINT32_C(0xffff0000), 0xfff0);

    state.cs.selector = 0xf000;
    state.cr0 |= HVCTL_CR0_CD | HVCTL_CR0_NW;
    return state;
}

/*
 * 32-bit protected mode without paging, all segments flat, which is how Multiboot and PVH start a kernel. Selectors are
 * 8 for code, 16 for data, 24 for TR; the guest loads its own GDT before it loads a segment register.
 */
static inline struct hvctl_guest_state hvctl_guest_flat32(uint32_t eip, uint32_t esp)
{
    const uint32_t flat = HVCTL_RIGHTS_PRESENT | HVCTL_RIGHTS_S | HVCTL_RIGHTS_WRITABLE | HVCTL_RIGHTS_ACCESSED |
                          HVCTL_RIGHTS_DB | HVCTL_RIGHTS_GRANULARITY;
    struct hvctl_guest_state state = hvctl_guest_real_mode(0, 0);

    state.cr0 = HVCTL_CR0_PE | HVCTL_CR0_ET;
    state.rip = eip;
    state.rsp = esp;
    state.cs = hvctl_segment_make(8, 0, UINT32_C(0xffffffff), flat | HVCTL_RIGHTS_CODE);
    state.es = state.ss = state.ds = state.fs = state.gs = hvctl_segment_make(16, 0, UINT32_C(0xffffffff), flat);
    state.ldtr = hvctl_segment_make(0, 0, 0, HVCTL_RIGHTS_UNUSABLE);
    state.tr = hvctl_segment_make(24, 0, 0x67, HVCTL_RIGHTS_PRESENT | HVCTL_RIGHTS_TYPE_TSS_BUSY);
    return state;
}

/*
 * 64-bit mode with the guest's own four-level tables at cr3, which must map rip. Segments as hvctl_guest_flat32, with a
 * 64-bit code segment.
 */
static inline struct hvctl_guest_state hvctl_guest_long64(uint64_t cr3, uint64_t rip, uint64_t rsp)
{
    struct hvctl_guest_state state = hvctl_guest_flat32(0, 0);

    state.cr0 = HVCTL_CR0_PE | HVCTL_CR0_ET | HVCTL_CR0_NE | HVCTL_CR0_WP | HVCTL_CR0_PG;
    state.cr3 = cr3;
    state.cr4 = HVCTL_CR4_PAE;
    state.efer = HVCTL_EFER_LME | HVCTL_EFER_LMA | HVCTL_EFER_NXE;
    state.rip = rip;
    state.rsp = rsp;
    state.cs.rights = (state.cs.rights & ~HVCTL_RIGHTS_DB) | HVCTL_RIGHTS_LONG;
    return state;
}

#endif
