/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The virtual machine control block, byte for byte, with setters that maintain its clean bits.
 * APM vol. 2, appendix "Layout of VMCB".
 */
#ifndef HVCTL_SVM_VMCB_H
#define HVCTL_SVM_VMCB_H

#include "../../hvpt/std.h"

#include "../common/regs.h"
#include "../common/status.h"
#include "exit_list.h"

#if defined(__cplusplus)
#define HVCTL_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define HVCTL_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/* A segment register. attrib: 3:0 type, 4 S, 6:5 DPL, 7 P, 8 AVL, 9 L, 10 D/B, 11 G. */
struct hvctl_vmcb_segment {
    uint16_t selector;
    uint16_t attrib;
    uint32_t limit; /* in bytes, G taken into account; GDTR and IDTR use bits 15:0 */
    uint64_t base;
};

/* The control area, the VMCB's first 1024 bytes. */
struct hvctl_vmcb_control {
    uint16_t intercept_cr_read; /* bit n: reads of CRn */
    uint16_t intercept_cr_write; /* bit n: writes of CRn */
    uint16_t intercept_dr_read; /* bit n: reads of DRn */
    uint16_t intercept_dr_write; /* bit n: writes of DRn */
    uint32_t intercept_exception; /* bit n: exception vector n */
    uint32_t intercept_vector_3; /* exit codes 60H to 7FH, a bit each */
    uint32_t intercept_vector_4; /* exit codes 80H to 9FH */
    uint32_t intercept_vector_5; /* exit codes A0H to A6H */
    uint8_t reserved_018[36];
    uint16_t pause_filter_threshold;
    uint16_t pause_filter_count;
    uint64_t iopm_base_pa; /* 12 KiB; bits 11:0 are ignored */
    uint64_t msrpm_base_pa; /* 8 KiB; bits 11:0 are ignored */
    uint64_t tsc_offset;
    uint32_t guest_asid; /* not 0 */
    uint8_t tlb_control; /* enum hvctl_svm_tlb_control */
    uint8_t erap_control; /* 0 allow larger RAP, 1 clear RAP */
    uint8_t reserved_05e[2];
    uint64_t virtual_interrupt_control; /* HVCTL_VINTR_* */
    uint64_t interrupt_state; /* 0 interrupt shadow; 1 guest interrupt mask, SEV-ES only, written by VMEXIT */
    uint64_t exitcode;
    uint64_t exitinfo1;
    uint64_t exitinfo2;
    uint64_t exitintinfo; /* struct hvctl_svm_event */
    uint64_t nested_control; /* HVCTL_NESTED_* */
    uint64_t avic_apic_bar; /* bits 51:0 */
    uint64_t ghcb_gpa; /* SEV-ES */
    uint64_t eventinj; /* as exitintinfo */
    uint64_t n_cr3; /* root of the nested page tables, in the format of CR3 */
    uint64_t virtualization_control; /* HVCTL_VIRT_* */
    uint32_t vmcb_clean; /* HVCTL_CLEAN_*: the bit is 1 where nothing changed */
    uint8_t reserved_0c4[4];
    uint64_t nrip; /* address of the next instruction */
    uint8_t insn_bytes_fetched; /* bits 3:0: how many of the following are valid */
    uint8_t guest_instruction_bytes[15];
    uint64_t avic_backing_page; /* bits 51:12 */
    uint8_t reserved_0e8[8];
    uint64_t avic_logical_table; /* bits 51:12 */
    uint64_t avic_physical_table; /* bits 51:12 address, 11:0 highest index */
    uint8_t reserved_100[8];
    uint64_t vmsa_pointer; /* bits 51:12; SEV-ES */
    uint64_t vmgexit_rax;
    uint64_t vmgexit_cpl; /* bits 7:0 */
    uint16_t bus_lock_threshold_counter;
    uint8_t reserved_122[18];
    uint32_t update_irr; /* bit 0; Secure AVIC */
    uint64_t allowed_sev_features; /* 61:0 mask, 63 enable */
    uint64_t guest_sev_features; /* bits 61:0, written by VMEXIT */
    uint8_t reserved_148[8];
    uint64_t requested_irr[4]; /* Secure AVIC */
    uint64_t exitintdata;      /* with FRED: event data of exitintinfo */
    uint64_t eventinjdata;     /* with FRED: event data of eventinj */
    uint8_t reserved_180[72];
    uint64_t pml_addr; /* bits 51:12; page-modification logging, from kernel patches, not yet in the manual */
    uint16_t pml_index; /* as pml_addr */
    uint8_t reserved_1d2[526];
    uint8_t host_software_reserved[32]; /* never used by hardware */
};

/* The state-save area, from byte 400H. With SEV-ES, a struct hvctl_vmsa in a page of its own replaces it. */
struct hvctl_vmcb_save {
    struct hvctl_vmcb_segment es;
    struct hvctl_vmcb_segment cs;
    struct hvctl_vmcb_segment ss;
    struct hvctl_vmcb_segment ds;
    struct hvctl_vmcb_segment fs;
    struct hvctl_vmcb_segment gs;
    struct hvctl_vmcb_segment gdtr; /* selector and attrib are reserved */
    struct hvctl_vmcb_segment ldtr;
    struct hvctl_vmcb_segment idtr; /* selector and attrib are reserved */
    struct hvctl_vmcb_segment tr;
    uint8_t reserved_0a0[43];
    uint8_t cpl;
    uint8_t reserved_0cc[4];
    uint64_t efer;
    uint8_t reserved_0d8[8];
    uint64_t perf_ctl0;
    uint64_t perf_ctr0;
    uint64_t perf_ctl1;
    uint64_t perf_ctr1;
    uint64_t perf_ctl2;
    uint64_t perf_ctr2;
    uint64_t perf_ctl3;
    uint64_t perf_ctr3;
    uint64_t perf_ctl4;
    uint64_t perf_ctr4;
    uint64_t perf_ctl5;
    uint64_t perf_ctr5;
    uint8_t reserved_140[8];
    uint64_t cr4;
    uint64_t cr3;
    uint64_t cr0;
    uint64_t dr7;
    uint64_t dr6;
    uint64_t rflags;
    uint64_t rip;
    uint8_t reserved_180[64];
    uint64_t instr_retired_ctr;
    uint64_t perf_ctr_global_sts;
    uint64_t perf_ctr_global_ctl;
    uint64_t rsp;
    uint64_t s_cet;
    uint64_t ssp;
    uint64_t isst_addr;
    uint64_t rax;
    uint64_t star;
    uint64_t lstar;
    uint64_t cstar;
    uint64_t sfmask;
    uint64_t kernel_gs_base;
    uint64_t sysenter_cs;
    uint64_t sysenter_esp;
    uint64_t sysenter_eip;
    uint64_t cr2;
    uint8_t reserved_248[32];
    uint64_t g_pat; /* eight memory types of a byte each */
    uint64_t dbgctl;
    uint64_t br_from;
    uint64_t br_to;
    uint64_t lastexcpfrom;
    uint64_t lastexcpto;
    uint64_t dbgextnctl;
    uint8_t reserved_2a0[64];
    uint64_t spec_ctrl;
    uint8_t reserved_2e8[448];
    uint64_t guest_exitintdata; /* this and the ten that follow: FRED virtualization */
    uint64_t guest_eventinjdata;
    uint64_t fred_rsp0;
    uint64_t fred_rsp1;
    uint64_t fred_rsp2;
    uint64_t fred_rsp3;
    uint64_t fred_stklvls;
    uint64_t fred_ssp1;
    uint64_t fred_ssp2;
    uint64_t fred_ssp3;
    uint64_t fred_config;
    uint8_t reserved_500[368];
    uint64_t lbr_stack[32]; /* 16 from/to pairs */
    uint64_t lbr_select;
    uint64_t ibs_fetch_ctl;
    uint64_t ibs_fetch_linaddr;
    uint64_t ibs_op_ctl;
    uint64_t ibs_op_rip;
    uint64_t ibs_op_data;
    uint64_t ibs_op_data2;
    uint64_t ibs_op_data3;
    uint64_t ibs_dc_linaddr;
    uint64_t bp_ibstgt_rip;
    uint64_t ic_ibs_extd_ctl;
    uint8_t reserved_7c8[1080];
};

/* A VMCB: one page, 4 KiB aligned. Reserved bytes must be 0: begin with a zeroed one. */
struct hvctl_vmcb {
    struct hvctl_vmcb_control control;
    struct hvctl_vmcb_save save;
};

/*
 * X(member, offset, type, clean bit that covers it), A(member, offset, element type, count) for arrays, which have no
 * setter. No clean bit covers what VMRUN reads each time, what only VMEXIT writes, and what only VMLOAD and VMSAVE
 * access. APM vol. 2, "VMCB Clean Bits".
 */
#define HVCTL_VMCB_CONTROL_FIELDS(X, A) \
    X(intercept_cr_read, 0x000, uint16_t, I) \
    X(intercept_cr_write, 0x002, uint16_t, I) \
    X(intercept_dr_read, 0x004, uint16_t, I) \
    X(intercept_dr_write, 0x006, uint16_t, I) \
    X(intercept_exception, 0x008, uint32_t, I) \
    X(intercept_vector_3, 0x00c, uint32_t, I) \
    X(intercept_vector_4, 0x010, uint32_t, I) \
    X(intercept_vector_5, 0x014, uint32_t, I) \
    X(pause_filter_threshold, 0x03c, uint16_t, I) \
    X(pause_filter_count, 0x03e, uint16_t, I) \
    X(iopm_base_pa, 0x040, uint64_t, IOPM) \
    X(msrpm_base_pa, 0x048, uint64_t, IOPM) \
    X(tsc_offset, 0x050, uint64_t, I) \
    X(guest_asid, 0x058, uint32_t, ASID) \
    X(tlb_control, 0x05c, uint8_t, NONE) \
    X(erap_control, 0x05d, uint8_t, NONE) \
    X(virtual_interrupt_control, 0x060, uint64_t, TPR) \
    X(interrupt_state, 0x068, uint64_t, NONE) \
    X(exitcode, 0x070, uint64_t, NONE) \
    X(exitinfo1, 0x078, uint64_t, NONE) \
    X(exitinfo2, 0x080, uint64_t, NONE) \
    X(exitintinfo, 0x088, uint64_t, NONE) \
    X(nested_control, 0x090, uint64_t, NP) \
    X(avic_apic_bar, 0x098, uint64_t, AVIC) \
    X(ghcb_gpa, 0x0a0, uint64_t, NONE) \
    X(eventinj, 0x0a8, uint64_t, NONE) \
    X(n_cr3, 0x0b0, uint64_t, NP) \
    X(virtualization_control, 0x0b8, uint64_t, NONE) \
    X(vmcb_clean, 0x0c0, uint32_t, NONE) \
    X(nrip, 0x0c8, uint64_t, NONE) \
    X(insn_bytes_fetched, 0x0d0, uint8_t, NONE) \
    A(guest_instruction_bytes, 0x0d1, uint8_t, 15) \
    X(avic_backing_page, 0x0e0, uint64_t, AVIC) \
    X(avic_logical_table, 0x0f0, uint64_t, AVIC) \
    X(avic_physical_table, 0x0f8, uint64_t, AVIC) \
    X(vmsa_pointer, 0x108, uint64_t, NONE) \
    X(vmgexit_rax, 0x110, uint64_t, NONE) \
    X(vmgexit_cpl, 0x118, uint64_t, NONE) \
    X(bus_lock_threshold_counter, 0x120, uint16_t, NONE) \
    X(update_irr, 0x134, uint32_t, NONE) \
    X(allowed_sev_features, 0x138, uint64_t, NONE) \
    X(guest_sev_features, 0x140, uint64_t, NONE) \
    A(requested_irr, 0x150, uint64_t, 4) \
    X(exitintdata, 0x170, uint64_t, NONE) \
    X(eventinjdata, 0x178, uint64_t, NONE) \
    X(pml_addr, 0x1c8, uint64_t, NONE) \
    X(pml_index, 0x1d0, uint16_t, NONE) \
    A(host_software_reserved, 0x3e0, uint8_t, 32)

#define HVCTL_VMCB_SAVE_FIELDS(X, A) \
    X(es, 0x000, struct hvctl_vmcb_segment, SEG) \
    X(cs, 0x010, struct hvctl_vmcb_segment, SEG) \
    X(ss, 0x020, struct hvctl_vmcb_segment, SEG) \
    X(ds, 0x030, struct hvctl_vmcb_segment, SEG) \
    X(fs, 0x040, struct hvctl_vmcb_segment, NONE) \
    X(gs, 0x050, struct hvctl_vmcb_segment, NONE) \
    X(gdtr, 0x060, struct hvctl_vmcb_segment, DT) \
    X(ldtr, 0x070, struct hvctl_vmcb_segment, NONE) \
    X(idtr, 0x080, struct hvctl_vmcb_segment, DT) \
    X(tr, 0x090, struct hvctl_vmcb_segment, NONE) \
    X(cpl, 0x0cb, uint8_t, SEG) \
    X(efer, 0x0d0, uint64_t, CRX) \
    X(perf_ctl0, 0x0e0, uint64_t, NONE) \
    X(perf_ctr0, 0x0e8, uint64_t, NONE) \
    X(perf_ctl1, 0x0f0, uint64_t, NONE) \
    X(perf_ctr1, 0x0f8, uint64_t, NONE) \
    X(perf_ctl2, 0x100, uint64_t, NONE) \
    X(perf_ctr2, 0x108, uint64_t, NONE) \
    X(perf_ctl3, 0x110, uint64_t, NONE) \
    X(perf_ctr3, 0x118, uint64_t, NONE) \
    X(perf_ctl4, 0x120, uint64_t, NONE) \
    X(perf_ctr4, 0x128, uint64_t, NONE) \
    X(perf_ctl5, 0x130, uint64_t, NONE) \
    X(perf_ctr5, 0x138, uint64_t, NONE) \
    X(cr4, 0x148, uint64_t, CRX) \
    X(cr3, 0x150, uint64_t, CRX) \
    X(cr0, 0x158, uint64_t, CRX) \
    X(dr7, 0x160, uint64_t, DRX) \
    X(dr6, 0x168, uint64_t, DRX) \
    X(rflags, 0x170, uint64_t, NONE) \
    X(rip, 0x178, uint64_t, NONE) \
    X(instr_retired_ctr, 0x1c0, uint64_t, NONE) \
    X(perf_ctr_global_sts, 0x1c8, uint64_t, NONE) \
    X(perf_ctr_global_ctl, 0x1d0, uint64_t, NONE) \
    X(rsp, 0x1d8, uint64_t, NONE) \
    X(s_cet, 0x1e0, uint64_t, CET) \
    X(ssp, 0x1e8, uint64_t, CET) \
    X(isst_addr, 0x1f0, uint64_t, CET) \
    X(rax, 0x1f8, uint64_t, NONE) \
    X(star, 0x200, uint64_t, NONE) \
    X(lstar, 0x208, uint64_t, NONE) \
    X(cstar, 0x210, uint64_t, NONE) \
    X(sfmask, 0x218, uint64_t, NONE) \
    X(kernel_gs_base, 0x220, uint64_t, NONE) \
    X(sysenter_cs, 0x228, uint64_t, NONE) \
    X(sysenter_esp, 0x230, uint64_t, NONE) \
    X(sysenter_eip, 0x238, uint64_t, NONE) \
    X(cr2, 0x240, uint64_t, CR2) \
    X(g_pat, 0x268, uint64_t, NP) \
    X(dbgctl, 0x270, uint64_t, LBR) \
    X(br_from, 0x278, uint64_t, LBR) \
    X(br_to, 0x280, uint64_t, LBR) \
    X(lastexcpfrom, 0x288, uint64_t, LBR) \
    X(lastexcpto, 0x290, uint64_t, LBR) \
    X(dbgextnctl, 0x298, uint64_t, NONE) \
    X(spec_ctrl, 0x2e0, uint64_t, NONE) \
    X(guest_exitintdata, 0x4a8, uint64_t, NONE) \
    X(guest_eventinjdata, 0x4b0, uint64_t, NONE) \
    X(fred_rsp0, 0x4b8, uint64_t, NONE) \
    X(fred_rsp1, 0x4c0, uint64_t, NONE) \
    X(fred_rsp2, 0x4c8, uint64_t, NONE) \
    X(fred_rsp3, 0x4d0, uint64_t, NONE) \
    X(fred_stklvls, 0x4d8, uint64_t, NONE) \
    X(fred_ssp1, 0x4e0, uint64_t, NONE) \
    X(fred_ssp2, 0x4e8, uint64_t, NONE) \
    X(fred_ssp3, 0x4f0, uint64_t, NONE) \
    X(fred_config, 0x4f8, uint64_t, NONE) \
    A(lbr_stack, 0x670, uint64_t, 32) \
    X(lbr_select, 0x770, uint64_t, NONE) \
    X(ibs_fetch_ctl, 0x778, uint64_t, NONE) \
    X(ibs_fetch_linaddr, 0x780, uint64_t, NONE) \
    X(ibs_op_ctl, 0x788, uint64_t, NONE) \
    X(ibs_op_rip, 0x790, uint64_t, NONE) \
    X(ibs_op_data, 0x798, uint64_t, NONE) \
    X(ibs_op_data2, 0x7a0, uint64_t, NONE) \
    X(ibs_op_data3, 0x7a8, uint64_t, NONE) \
    X(ibs_dc_linaddr, 0x7b0, uint64_t, NONE) \
    X(bp_ibstgt_rip, 0x7b8, uint64_t, NONE) \
    X(ic_ibs_extd_ctl, 0x7c0, uint64_t, NONE)

#define HVCTL_X(member, offset, type, clean)                                               \
    HVCTL_STATIC_ASSERT(__builtin_offsetof(struct hvctl_vmcb_control, member) == (offset), \
                        #member " is out of place");                                       \
    HVCTL_STATIC_ASSERT(sizeof(((struct hvctl_vmcb_control *)0)->member) == sizeof(type),  \
                        #member " has the wrong size");
#define HVCTL_A(member, offset, type, count)                                               \
    HVCTL_STATIC_ASSERT(__builtin_offsetof(struct hvctl_vmcb_control, member) == (offset), \
                        #member " is out of place");                                       \
    HVCTL_STATIC_ASSERT(sizeof(((struct hvctl_vmcb_control *)0)->member) == sizeof(type) * (count), "wrong size");
HVCTL_VMCB_CONTROL_FIELDS(HVCTL_X, HVCTL_A)
#undef HVCTL_X
#undef HVCTL_A
#define HVCTL_X(member, offset, type, clean)                                                                         \
    HVCTL_STATIC_ASSERT(__builtin_offsetof(struct hvctl_vmcb_save, member) == (offset), #member " is out of place"); \
    HVCTL_STATIC_ASSERT(sizeof(((struct hvctl_vmcb_save *)0)->member) == sizeof(type), #member " has the wrong size");
#define HVCTL_A(member, offset, type, count)                                                                         \
    HVCTL_STATIC_ASSERT(__builtin_offsetof(struct hvctl_vmcb_save, member) == (offset), #member " is out of place"); \
    HVCTL_STATIC_ASSERT(sizeof(((struct hvctl_vmcb_save *)0)->member) == sizeof(type) * (count), "wrong size");
HVCTL_VMCB_SAVE_FIELDS(HVCTL_X, HVCTL_A)
#undef HVCTL_X
#undef HVCTL_A
HVCTL_STATIC_ASSERT(sizeof(struct hvctl_vmcb_control) == 1024, "the control area is 1024 bytes");
HVCTL_STATIC_ASSERT(__builtin_offsetof(struct hvctl_vmcb, save) == 1024,
                    "the state-save area follows the control area");
HVCTL_STATIC_ASSERT(sizeof(struct hvctl_vmcb) == 4096, "a VMCB is one page");

/* vmcb_clean. */
#define HVCTL_CLEAN_NONE UINT32_C(0)
#define HVCTL_CLEAN_I (UINT32_C(1) << 0)     /* intercepts, TSC offset, pause filter */
#define HVCTL_CLEAN_IOPM (UINT32_C(1) << 1)  /* addresses of the I/O and MSR permission maps */
#define HVCTL_CLEAN_ASID (UINT32_C(1) << 2)
#define HVCTL_CLEAN_TPR (UINT32_C(1) << 3)   /* virtual_interrupt_control */
#define HVCTL_CLEAN_NP (UINT32_C(1) << 4)    /* nested_control, n_cr3, g_pat */
#define HVCTL_CLEAN_CRX (UINT32_C(1) << 5)   /* cr0, cr3, cr4, efer */
#define HVCTL_CLEAN_DRX (UINT32_C(1) << 6)   /* dr6, dr7 */
#define HVCTL_CLEAN_DT (UINT32_C(1) << 7)    /* gdtr, idtr */
#define HVCTL_CLEAN_SEG (UINT32_C(1) << 8)   /* cs, ds, ss, es, cpl */
#define HVCTL_CLEAN_CR2 (UINT32_C(1) << 9)
#define HVCTL_CLEAN_LBR (UINT32_C(1) << 10)  /* dbgctl and the last branch and exception */
#define HVCTL_CLEAN_AVIC (UINT32_C(1) << 11)
#define HVCTL_CLEAN_CET (UINT32_C(1) << 12)  /* s_cet, ssp, isst_addr */
#define HVCTL_CLEAN_ALL UINT32_C(0x1fff)

/* virtual_interrupt_control. */
#define HVCTL_VINTR_TPR_MASK UINT64_C(0xff)
#define HVCTL_VINTR_IRQ (UINT64_C(1) << 8)
#define HVCTL_VINTR_VGIF (UINT64_C(1) << 9)
#define HVCTL_VINTR_NMI (UINT64_C(1) << 11)
#define HVCTL_VINTR_NMI_MASK (UINT64_C(1) << 12)
#define HVCTL_VINTR_PRIORITY_SHIFT 16 /* bits 19:16 */
#define HVCTL_VINTR_IGNORE_TPR (UINT64_C(1) << 20)
#define HVCTL_VINTR_MASKING (UINT64_C(1) << 24)
#define HVCTL_VINTR_VGIF_ENABLE (UINT64_C(1) << 25)
#define HVCTL_VINTR_NMI_ENABLE (UINT64_C(1) << 26)
#define HVCTL_VINTR_X2AVIC_ENABLE (UINT64_C(1) << 30)
#define HVCTL_VINTR_AVIC_ENABLE (UINT64_C(1) << 31)
#define HVCTL_VINTR_VECTOR_SHIFT 32 /* bits 39:32 */

/* interrupt_state. */
#define HVCTL_INTERRUPT_SHADOW (UINT64_C(1) << 0)
#define HVCTL_GUEST_INTERRUPT_MASK (UINT64_C(1) << 1)

/* allowed_sev_features: bits 61:0 are SEV_FEATURES that the guest may have, if this one is set. */
#define HVCTL_ALLOWED_SEV_FEATURES_ENABLE (UINT64_C(1) << 63)

/* nested_control. */
#define HVCTL_NESTED_NP_ENABLE (UINT64_C(1) << 0)
#define HVCTL_NESTED_SEV (UINT64_C(1) << 1)
#define HVCTL_NESTED_SEV_ES (UINT64_C(1) << 2)
#define HVCTL_NESTED_GMET (UINT64_C(1) << 3)
#define HVCTL_NESTED_SSS_CHECK (UINT64_C(1) << 4)
#define HVCTL_NESTED_VTE (UINT64_C(1) << 5)
#define HVCTL_NESTED_ROGPT (UINT64_C(1) << 6)
#define HVCTL_NESTED_INVLPGB (UINT64_C(1) << 7)
#define HVCTL_NESTED_PML (UINT64_C(1) << 11) /* page-modification log: pml_addr, pml_index */

/* virtualization_control. */
#define HVCTL_VIRT_LBR (UINT64_C(1) << 0)
#define HVCTL_VIRT_VMLOAD_VMSAVE (UINT64_C(1) << 1)
#define HVCTL_VIRT_IBS (UINT64_C(1) << 2)
#define HVCTL_VIRT_PMC (UINT64_C(1) << 3)
#define HVCTL_VIRT_FRED (UINT64_C(1) << 4) /* the guest has its own MSRs of FRED */

/* tlb_control: what VMRUN flushes. 3 and 7 need FlushByAsid. The CPU does not reset the field; software must. */
enum hvctl_svm_tlb_control {
    HVCTL_TLB_NONE = 0,
    HVCTL_TLB_ALL = 1,              /* the entries of every ASID, the host's included */
    HVCTL_TLB_GUEST = 3,            /* this guest's */
    HVCTL_TLB_GUEST_NON_GLOBAL = 7  /* this guest's, except for global entries */
};

/*
 * Setters, one for each member that is not an array: hvctl_vmcb_set_cr0(vmcb, value) and so on. Each clears the clean
 * bit that covers the member, so that VMRUN reads it again. Members may be read directly. The guest must not be
 * running.
 */
#define HVCTL_X(member, offset, type, clean)                                                                          \
    static inline void hvctl_vmcb_set_##member(struct hvctl_vmcb *vmcb, type value)                                   \
    {                                                                                                                 \
        vmcb->control.member = value;                                                                                 \
        vmcb->control.vmcb_clean &= ~HVCTL_CLEAN_##clean;                                                             \
    }
#define HVCTL_A(member, offset, type, count)
HVCTL_VMCB_CONTROL_FIELDS(HVCTL_X, HVCTL_A)
#undef HVCTL_X
#define HVCTL_X(member, offset, type, clean)                                                                          \
    static inline void hvctl_vmcb_set_##member(struct hvctl_vmcb *vmcb, type value)                                   \
    {                                                                                                                 \
        vmcb->save.member = value;                                                                                    \
        vmcb->control.vmcb_clean &= ~HVCTL_CLEAN_##clean;                                                             \
    }
HVCTL_VMCB_SAVE_FIELDS(HVCTL_X, HVCTL_A)
#undef HVCTL_X
#undef HVCTL_A

/*
 * Call it after VMRUN came back, but not after VMEXIT_INVALID: this CPU has the VMCB's state cached, so all clean bits
 * may be set until a setter clears one. Clear all (hvctl_vmcb_touch_all) before running the VMCB on another CPU or from
 * another address.
 */
static inline void hvctl_vmcb_mark_clean(struct hvctl_vmcb *vmcb)
{
    vmcb->control.vmcb_clean = HVCTL_CLEAN_ALL;
}

/* Make VMRUN read everything. Call it, too, after writing members without their setters. */
static inline void hvctl_vmcb_touch_all(struct hvctl_vmcb *vmcb)
{
    vmcb->control.vmcb_clean = 0;
}

/*
 * Make every byte 0: no intercept, nothing valid yet. VMRUN demands at least the VMRUN intercept, an ASID and
 * EFER.SVME.
 */
static inline void hvctl_vmcb_zero(struct hvctl_vmcb *vmcb)
{
    unsigned char *byte = (unsigned char *)vmcb;
    size_t i;

    for (i = 0; i < sizeof(*vmcb); i++)
        byte[i] = 0;
}

/* Is the intercept with this exit code (below HVCTL_SVM_INTERCEPT_END) set? false for codes that have no intercept. */
static inline bool hvctl_vmcb_intercepts(const struct hvctl_vmcb *vmcb, uint64_t exit_code)
{
    const struct hvctl_vmcb_control *control = &vmcb->control;
    uint32_t word = 0;

    if (exit_code >= HVCTL_SVM_INTERCEPT_END)
        return false;
    switch ((unsigned)exit_code / 32u) {
    case 0: word = control->intercept_cr_read | (uint32_t)control->intercept_cr_write << 16; break;
    case 1: word = control->intercept_dr_read | (uint32_t)control->intercept_dr_write << 16; break;
    case 2: word = control->intercept_exception; break;
    case 3: word = control->intercept_vector_3; break;
    case 4: word = control->intercept_vector_4; break;
    default: word = control->intercept_vector_5; break;
    }
    return (word >> (exit_code % 32u) & 1u) != 0;
}

/*
 * Set or clear an intercept by its exit code: hvctl_vmcb_intercept(vmcb, HVCTL_SVM_EXIT_CPUID, true).
 * HVCTL_E_RANGE: there is no intercept for this code.
 */
static inline enum hvctl_status hvctl_vmcb_intercept(struct hvctl_vmcb *vmcb, uint64_t exit_code, bool on)
{
    struct hvctl_vmcb_control *control = &vmcb->control;
    uint32_t bit = UINT32_C(1) << (exit_code % 32u);
    uint16_t half = (uint16_t)(UINT32_C(1) << (exit_code % 16u));

    if (exit_code >= HVCTL_SVM_INTERCEPT_END)
        return HVCTL_E_RANGE;
    switch ((unsigned)exit_code / 16u) {
    case 0:
        control->intercept_cr_read =
            (uint16_t)(on ? control->intercept_cr_read | half : control->intercept_cr_read & ~half);
        break;
    case 1:
        control->intercept_cr_write =
            (uint16_t)(on ? control->intercept_cr_write | half : control->intercept_cr_write & ~half);
        break;
    case 2:
        control->intercept_dr_read =
            (uint16_t)(on ? control->intercept_dr_read | half : control->intercept_dr_read & ~half);
        break;
    case 3:
        control->intercept_dr_write =
            (uint16_t)(on ? control->intercept_dr_write | half : control->intercept_dr_write & ~half);
        break;
    case 4:
    case 5:
        control->intercept_exception = on ? control->intercept_exception | bit : control->intercept_exception & ~bit;
        break;
    case 6:
    case 7:
        control->intercept_vector_3 = on ? control->intercept_vector_3 | bit : control->intercept_vector_3 & ~bit;
        break;
    case 8:
    case 9:
        control->intercept_vector_4 = on ? control->intercept_vector_4 | bit : control->intercept_vector_4 & ~bit;
        break;
    default:
        control->intercept_vector_5 = on ? control->intercept_vector_5 | bit : control->intercept_vector_5 & ~bit;
        break;
    }
    control->vmcb_clean &= ~HVCTL_CLEAN_I;
    return HVCTL_OK;
}

/* Set or clear bits of virtual_interrupt_control (HVCTL_VINTR_*). */
static inline void hvctl_vmcb_virtual_interrupt(struct hvctl_vmcb *vmcb, uint64_t set, uint64_t clear)
{
    hvctl_vmcb_set_virtual_interrupt_control(vmcb, (vmcb->control.virtual_interrupt_control & ~clear) | set);
}

/*
 * Turn nested paging on with these tables. g_pat is the guest's PAT, which is HVCTL_PAT_RESET at reset. n_cr3 is the
 * physical address of the root table; the host's CR4 decides its depth.
 */
static inline void hvctl_vmcb_set_nested_paging(struct hvctl_vmcb *vmcb, uint64_t n_cr3, uint64_t g_pat)
{
    hvctl_vmcb_set_nested_control(vmcb, vmcb->control.nested_control | HVCTL_NESTED_NP_ENABLE);
    hvctl_vmcb_set_n_cr3(vmcb, n_cr3);
    hvctl_vmcb_set_g_pat(vmcb, g_pat);
}

#endif
