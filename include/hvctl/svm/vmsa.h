/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The state-save area of a guest with encrypted state, SEV-ES or SEV-SNP, byte for byte: a page of its own, which the
 * hypervisor writes before the guest's launch and cannot read afterwards. APM vol. 2, "SEV-ES" and appendix "Layout of
 * VMCB".
 */
#ifndef HVCTL_SVM_VMSA_H
#define HVCTL_SVM_VMSA_H

#include "vmcb.h"

/* sev_features. */
#define HVCTL_SEV_FEATURE_SNP_ACTIVE (UINT64_C(1) << 0)
#define HVCTL_SEV_FEATURE_VTOM (UINT64_C(1) << 1)
#define HVCTL_SEV_FEATURE_REFLECT_VC (UINT64_C(1) << 2)
#define HVCTL_SEV_FEATURE_RESTRICTED_INJECTION (UINT64_C(1) << 3)
#define HVCTL_SEV_FEATURE_ALTERNATE_INJECTION (UINT64_C(1) << 4)
#define HVCTL_SEV_FEATURE_DEBUG_VIRTUALIZATION (UINT64_C(1) << 5)
#define HVCTL_SEV_FEATURE_PREVENT_HOST_IBS (UINT64_C(1) << 6)
#define HVCTL_SEV_FEATURE_BTB_ISOLATION (UINT64_C(1) << 7)
#define HVCTL_SEV_FEATURE_VMPL_SSS (UINT64_C(1) << 8)
#define HVCTL_SEV_FEATURE_SECURE_TSC (UINT64_C(1) << 9)
#define HVCTL_SEV_FEATURE_VMGEXIT_PARAMETER (UINT64_C(1) << 10)
#define HVCTL_SEV_FEATURE_PMC_VIRTUALIZATION (UINT64_C(1) << 11)
#define HVCTL_SEV_FEATURE_IBS_VIRTUALIZATION (UINT64_C(1) << 12)
#define HVCTL_SEV_FEATURE_GUEST_INTERCEPT_CTL (UINT64_C(1) << 13)
#define HVCTL_SEV_FEATURE_VMSA_REG_PROT (UINT64_C(1) << 14)
#define HVCTL_SEV_FEATURE_SMT_PROTECTION (UINT64_C(1) << 15)
#define HVCTL_SEV_FEATURE_SECURE_AVIC (UINT64_C(1) << 16)
#define HVCTL_SEV_FEATURE_IBPB_ON_ENTRY (UINT64_C(1) << 21)

/* The area. */
struct hvctl_vmsa {
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
    uint64_t pl0_ssp;
    uint64_t pl1_ssp;
    uint64_t pl2_ssp;
    uint64_t pl3_ssp;
    uint64_t u_cet;
    uint8_t reserved_0c8[2];
    uint8_t vmpl;
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
    uint64_t xss;
    uint64_t cr4;
    uint64_t cr3;
    uint64_t cr0;
    uint64_t dr7;
    uint64_t dr6;
    uint64_t rflags;
    uint64_t rip;
    uint64_t dr0;
    uint64_t dr1;
    uint64_t dr2;
    uint64_t dr3;
    uint64_t dr0_addr_mask;
    uint64_t dr1_addr_mask;
    uint64_t dr2_addr_mask;
    uint64_t dr3_addr_mask;
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
    uint32_t pkru;
    uint32_t tsc_aux;
    uint64_t guest_tsc_scale; /* 39:32 integer, 31:0 fraction */
    uint64_t guest_tsc_offset;
    uint64_t reg_prot_nonce;
    uint64_t rcx;
    uint64_t rdx;
    uint64_t rbx;
    uint64_t secure_avic_ctl; /* 0 enable, 1 NMI allowed, 51:12 GPA of the backing page */
    uint64_t rbp;
    uint64_t rsi;
    uint64_t rdi;
    uint64_t r8;
    uint64_t r9;
    uint64_t r10;
    uint64_t r11;
    uint64_t r12;
    uint64_t r13;
    uint64_t r14;
    uint64_t r15;
    uint8_t reserved_380[16];
    uint64_t guest_exitinfo1;
    uint64_t guest_exitinfo2;
    uint64_t guest_exitintinfo;
    uint64_t guest_nrip;
    uint64_t sev_features; /* HVCTL_SEV_FEATURE_* */
    uint64_t vintr_ctrl; /* as virtual_interrupt_control; 10 interrupt shadow; 63 busy */
    uint64_t guest_exitcode;
    uint64_t virtual_tom; /* bits 51:21 */
    uint64_t tlb_id;
    uint64_t pcpu_id;
    uint64_t eventinj; /* as exitintinfo */
    uint64_t xcr0;
    uint8_t reserved_3f0[16];
    uint64_t x87_dp;
    uint32_t mxcsr;
    uint16_t x87_ftw; /* abridged tag word */
    uint16_t x87_fsw;
    uint16_t x87_fcw;
    uint16_t x87_fop;
    uint16_t x87_ds;
    uint16_t x87_cs;
    uint64_t x87_rip;
    uint8_t fpreg_x87[80];
    uint8_t fpreg_xmm[256];
    uint8_t fpreg_ymm[256];
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
    uint8_t reserved_7c8[224];
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
    uint32_t guest_intercept_vec_0; /* guest-controlled intercepts, laid out as the control words */
    uint32_t guest_intercept_vec_1;
    uint32_t guest_intercept_vec_2;
    uint32_t guest_intercept_vec_3;
    uint32_t guest_intercept_vec_4;
    uint32_t guest_intercept_vec_5;
    uint32_t guest_intercept_vec_6;
    uint32_t guest_intercept_vec_7;
    uint64_t guest_intercept_msr_vec_0; /* two bits an MSR: read, write */
    uint64_t guest_intercept_msr_vec_1;
    uint64_t guest_intercept_msr_vec_2;
    uint64_t guest_intercept_msr_vec_3;
    uint8_t reserved_940[64];
    uint8_t fpreg_k[64]; /* k0 to k7 */
    uint8_t fpreg_zmm_hi[512]; /* upper halves of ZMM0 to ZMM15 */
    uint8_t fpreg_hi_zmm[1024]; /* ZMM16 to ZMM31 */
    uint8_t reserved_fc0[64];
};

/* X(member, offset, type), A(member, offset, element type, count). */
#define HVCTL_VMSA_FIELDS(X, A) \
    X(es, 0x000, struct hvctl_vmcb_segment) \
    X(cs, 0x010, struct hvctl_vmcb_segment) \
    X(ss, 0x020, struct hvctl_vmcb_segment) \
    X(ds, 0x030, struct hvctl_vmcb_segment) \
    X(fs, 0x040, struct hvctl_vmcb_segment) \
    X(gs, 0x050, struct hvctl_vmcb_segment) \
    X(gdtr, 0x060, struct hvctl_vmcb_segment) \
    X(ldtr, 0x070, struct hvctl_vmcb_segment) \
    X(idtr, 0x080, struct hvctl_vmcb_segment) \
    X(tr, 0x090, struct hvctl_vmcb_segment) \
    X(pl0_ssp, 0x0a0, uint64_t) \
    X(pl1_ssp, 0x0a8, uint64_t) \
    X(pl2_ssp, 0x0b0, uint64_t) \
    X(pl3_ssp, 0x0b8, uint64_t) \
    X(u_cet, 0x0c0, uint64_t) \
    X(vmpl, 0x0ca, uint8_t) \
    X(cpl, 0x0cb, uint8_t) \
    X(efer, 0x0d0, uint64_t) \
    X(perf_ctl0, 0x0e0, uint64_t) \
    X(perf_ctr0, 0x0e8, uint64_t) \
    X(perf_ctl1, 0x0f0, uint64_t) \
    X(perf_ctr1, 0x0f8, uint64_t) \
    X(perf_ctl2, 0x100, uint64_t) \
    X(perf_ctr2, 0x108, uint64_t) \
    X(perf_ctl3, 0x110, uint64_t) \
    X(perf_ctr3, 0x118, uint64_t) \
    X(perf_ctl4, 0x120, uint64_t) \
    X(perf_ctr4, 0x128, uint64_t) \
    X(perf_ctl5, 0x130, uint64_t) \
    X(perf_ctr5, 0x138, uint64_t) \
    X(xss, 0x140, uint64_t) \
    X(cr4, 0x148, uint64_t) \
    X(cr3, 0x150, uint64_t) \
    X(cr0, 0x158, uint64_t) \
    X(dr7, 0x160, uint64_t) \
    X(dr6, 0x168, uint64_t) \
    X(rflags, 0x170, uint64_t) \
    X(rip, 0x178, uint64_t) \
    X(dr0, 0x180, uint64_t) \
    X(dr1, 0x188, uint64_t) \
    X(dr2, 0x190, uint64_t) \
    X(dr3, 0x198, uint64_t) \
    X(dr0_addr_mask, 0x1a0, uint64_t) \
    X(dr1_addr_mask, 0x1a8, uint64_t) \
    X(dr2_addr_mask, 0x1b0, uint64_t) \
    X(dr3_addr_mask, 0x1b8, uint64_t) \
    X(instr_retired_ctr, 0x1c0, uint64_t) \
    X(perf_ctr_global_sts, 0x1c8, uint64_t) \
    X(perf_ctr_global_ctl, 0x1d0, uint64_t) \
    X(rsp, 0x1d8, uint64_t) \
    X(s_cet, 0x1e0, uint64_t) \
    X(ssp, 0x1e8, uint64_t) \
    X(isst_addr, 0x1f0, uint64_t) \
    X(rax, 0x1f8, uint64_t) \
    X(star, 0x200, uint64_t) \
    X(lstar, 0x208, uint64_t) \
    X(cstar, 0x210, uint64_t) \
    X(sfmask, 0x218, uint64_t) \
    X(kernel_gs_base, 0x220, uint64_t) \
    X(sysenter_cs, 0x228, uint64_t) \
    X(sysenter_esp, 0x230, uint64_t) \
    X(sysenter_eip, 0x238, uint64_t) \
    X(cr2, 0x240, uint64_t) \
    X(g_pat, 0x268, uint64_t) \
    X(dbgctl, 0x270, uint64_t) \
    X(br_from, 0x278, uint64_t) \
    X(br_to, 0x280, uint64_t) \
    X(lastexcpfrom, 0x288, uint64_t) \
    X(lastexcpto, 0x290, uint64_t) \
    X(dbgextnctl, 0x298, uint64_t) \
    X(spec_ctrl, 0x2e0, uint64_t) \
    X(pkru, 0x2e8, uint32_t) \
    X(tsc_aux, 0x2ec, uint32_t) \
    X(guest_tsc_scale, 0x2f0, uint64_t) \
    X(guest_tsc_offset, 0x2f8, uint64_t) \
    X(reg_prot_nonce, 0x300, uint64_t) \
    X(rcx, 0x308, uint64_t) \
    X(rdx, 0x310, uint64_t) \
    X(rbx, 0x318, uint64_t) \
    X(secure_avic_ctl, 0x320, uint64_t) \
    X(rbp, 0x328, uint64_t) \
    X(rsi, 0x330, uint64_t) \
    X(rdi, 0x338, uint64_t) \
    X(r8, 0x340, uint64_t) \
    X(r9, 0x348, uint64_t) \
    X(r10, 0x350, uint64_t) \
    X(r11, 0x358, uint64_t) \
    X(r12, 0x360, uint64_t) \
    X(r13, 0x368, uint64_t) \
    X(r14, 0x370, uint64_t) \
    X(r15, 0x378, uint64_t) \
    X(guest_exitinfo1, 0x390, uint64_t) \
    X(guest_exitinfo2, 0x398, uint64_t) \
    X(guest_exitintinfo, 0x3a0, uint64_t) \
    X(guest_nrip, 0x3a8, uint64_t) \
    X(sev_features, 0x3b0, uint64_t) \
    X(vintr_ctrl, 0x3b8, uint64_t) \
    X(guest_exitcode, 0x3c0, uint64_t) \
    X(virtual_tom, 0x3c8, uint64_t) \
    X(tlb_id, 0x3d0, uint64_t) \
    X(pcpu_id, 0x3d8, uint64_t) \
    X(eventinj, 0x3e0, uint64_t) \
    X(xcr0, 0x3e8, uint64_t) \
    X(x87_dp, 0x400, uint64_t) \
    X(mxcsr, 0x408, uint32_t) \
    X(x87_ftw, 0x40c, uint16_t) \
    X(x87_fsw, 0x40e, uint16_t) \
    X(x87_fcw, 0x410, uint16_t) \
    X(x87_fop, 0x412, uint16_t) \
    X(x87_ds, 0x414, uint16_t) \
    X(x87_cs, 0x416, uint16_t) \
    X(x87_rip, 0x418, uint64_t) \
    A(fpreg_x87, 0x420, uint8_t, 80) \
    A(fpreg_xmm, 0x470, uint8_t, 256) \
    A(fpreg_ymm, 0x570, uint8_t, 256) \
    A(lbr_stack, 0x670, uint64_t, 32) \
    X(lbr_select, 0x770, uint64_t) \
    X(ibs_fetch_ctl, 0x778, uint64_t) \
    X(ibs_fetch_linaddr, 0x780, uint64_t) \
    X(ibs_op_ctl, 0x788, uint64_t) \
    X(ibs_op_rip, 0x790, uint64_t) \
    X(ibs_op_data, 0x798, uint64_t) \
    X(ibs_op_data2, 0x7a0, uint64_t) \
    X(ibs_op_data3, 0x7a8, uint64_t) \
    X(ibs_dc_linaddr, 0x7b0, uint64_t) \
    X(bp_ibstgt_rip, 0x7b8, uint64_t) \
    X(ic_ibs_extd_ctl, 0x7c0, uint64_t) \
    X(guest_exitintdata, 0x8a8, uint64_t) \
    X(guest_eventinjdata, 0x8b0, uint64_t) \
    X(fred_rsp0, 0x8b8, uint64_t) \
    X(fred_rsp1, 0x8c0, uint64_t) \
    X(fred_rsp2, 0x8c8, uint64_t) \
    X(fred_rsp3, 0x8d0, uint64_t) \
    X(fred_stklvls, 0x8d8, uint64_t) \
    X(fred_ssp1, 0x8e0, uint64_t) \
    X(fred_ssp2, 0x8e8, uint64_t) \
    X(fred_ssp3, 0x8f0, uint64_t) \
    X(fred_config, 0x8f8, uint64_t) \
    X(guest_intercept_vec_0, 0x900, uint32_t) \
    X(guest_intercept_vec_1, 0x904, uint32_t) \
    X(guest_intercept_vec_2, 0x908, uint32_t) \
    X(guest_intercept_vec_3, 0x90c, uint32_t) \
    X(guest_intercept_vec_4, 0x910, uint32_t) \
    X(guest_intercept_vec_5, 0x914, uint32_t) \
    X(guest_intercept_vec_6, 0x918, uint32_t) \
    X(guest_intercept_vec_7, 0x91c, uint32_t) \
    X(guest_intercept_msr_vec_0, 0x920, uint64_t) \
    X(guest_intercept_msr_vec_1, 0x928, uint64_t) \
    X(guest_intercept_msr_vec_2, 0x930, uint64_t) \
    X(guest_intercept_msr_vec_3, 0x938, uint64_t) \
    A(fpreg_k, 0x980, uint8_t, 64) \
    A(fpreg_zmm_hi, 0x9c0, uint8_t, 512) \
    A(fpreg_hi_zmm, 0xbc0, uint8_t, 1024)

#define HVCTL_X(member, offset, type)                                                                           \
    HVCTL_STATIC_ASSERT(__builtin_offsetof(struct hvctl_vmsa, member) == (offset), #member " is out of place"); \
    HVCTL_STATIC_ASSERT(sizeof(((struct hvctl_vmsa *)0)->member) == sizeof(type), #member " has the wrong size");
#define HVCTL_A(member, offset, type, count)                                                                    \
    HVCTL_STATIC_ASSERT(__builtin_offsetof(struct hvctl_vmsa, member) == (offset), #member " is out of place"); \
    HVCTL_STATIC_ASSERT(sizeof(((struct hvctl_vmsa *)0)->member) == sizeof(type) * (count),                     \
                        #member " has the wrong size");
HVCTL_VMSA_FIELDS(HVCTL_X, HVCTL_A)
#undef HVCTL_X
#undef HVCTL_A
HVCTL_STATIC_ASSERT(sizeof(struct hvctl_vmsa) == 4096, "a VMSA is one page");

#endif
