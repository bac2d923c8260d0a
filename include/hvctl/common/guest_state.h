/*
 * The state in which a guest begins, for either vendor: registers and segments in plain members, and presets for the
 * usual beginnings. vmx_guest.h and svm_guest.h write it into a VMCS image or a VMCB, and read it back.
 */
#ifndef HVCTL_COMMON_GUEST_STATE_H
#define HVCTL_COMMON_GUEST_STATE_H

#include "msr.h"
#include "segment.h"

struct hvctl_guest_state {
    uint64_t cr0, cr3, cr4,
        efer; /* as the guest is to see them: VMX's fixed bits and SVM's SVME are added when written */
    uint64_t rip, rsp, rflags;
    uint64_t dr7, pat;
    struct hvctl_segment es, cs, ss, ds, fs, gs, ldtr, tr;
    struct hvctl_segment gdtr, idtr; /* base and limit only */
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
};

/*
 * Real mode as after a reset, but beginning at cs_base + ip with CS selector cs_base >> 4: the first instruction of a
 * boot loader is hvctl_guest_real_mode(0, 0x7c00). The other segments have base 0. cs_base beyond 1 MiB, as at reset,
 * is fine: then the selector's upper bits are lost, and the guest's first far jump brings the base in line. SDM vol. 3,
 * "Processor State After Reset".
 */
static inline struct hvctl_guest_state hvctl_guest_real_mode(uint32_t cs_base, uint16_t ip)
{
    const uint32_t data = HVCTL_RIGHTS_PRESENT | HVCTL_RIGHTS_S | HVCTL_RIGHTS_WRITABLE | HVCTL_RIGHTS_ACCESSED;
    struct hvctl_guest_state state;

    state.cr0 = HVCTL_CR0_ET;
    state.cr3 = state.cr4 = state.efer = 0;
    state.rip = ip;
    state.rsp = 0;
    state.rflags = 2;
    state.dr7 = 0x400;
    state.pat = HVCTL_PAT_RESET;
    state.cs = hvctl_segment_make((uint16_t)(cs_base >> 4), cs_base, 0xffff, data | HVCTL_RIGHTS_CODE);
    state.es = state.ss = state.ds = state.fs = state.gs = hvctl_segment_make(0, 0, 0xffff, data);
    state.ldtr = hvctl_segment_make(0, 0, 0xffff, HVCTL_RIGHTS_PRESENT | HVCTL_RIGHTS_TYPE_LDT);
    state.tr = hvctl_segment_make(0, 0, 0xffff, HVCTL_RIGHTS_PRESENT | HVCTL_RIGHTS_TYPE_TSS_BUSY);
    state.gdtr = state.idtr = hvctl_segment_make(0, 0, 0xffff, 0);
    state.sysenter_cs = state.sysenter_esp = state.sysenter_eip = 0;
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
 * 32-bit protected mode without paging, all segments flat: what Multiboot and PVH begin with. Selectors are 8 for code,
 * 16 for data, 24 for TR; the guest loads its own GDT before it loads a segment register.
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
