//! Members of the VMCB, as `hvctl/svm/vmcb.h` lists them; tests/lists.rs compares the two. A member's type is in the field's,
//! so that a value of another width does not compile. APM vol. 2, appendix "Layout of VMCB".

use super::{Field, Segment};

macro_rules! fields {
    ($($name:ident $member:ident $offset:literal $kind:ty;)*) => {
        $(
            #[doc = concat!("`", stringify!($member), "`, byte ", stringify!($offset), ".")]
            pub const $name: Field<$kind> = Field::new($offset);
        )*

        /// Name and offset of each, in the order of the list.
        pub const ALL: &[(&str, u32)] = &[$((stringify!($member), $offset)),*];
    };
}

fields! {
    INTERCEPT_CR_READ intercept_cr_read 0x000 u16;
    INTERCEPT_CR_WRITE intercept_cr_write 0x002 u16;
    INTERCEPT_DR_READ intercept_dr_read 0x004 u16;
    INTERCEPT_DR_WRITE intercept_dr_write 0x006 u16;
    INTERCEPT_EXCEPTION intercept_exception 0x008 u32;
    INTERCEPT_VECTOR_3 intercept_vector_3 0x00c u32;
    INTERCEPT_VECTOR_4 intercept_vector_4 0x010 u32;
    INTERCEPT_VECTOR_5 intercept_vector_5 0x014 u32;
    PAUSE_FILTER_THRESHOLD pause_filter_threshold 0x03c u16;
    PAUSE_FILTER_COUNT pause_filter_count 0x03e u16;
    IOPM_BASE_PA iopm_base_pa 0x040 u64;
    MSRPM_BASE_PA msrpm_base_pa 0x048 u64;
    TSC_OFFSET tsc_offset 0x050 u64;
    GUEST_ASID guest_asid 0x058 u32;
    TLB_CONTROL tlb_control 0x05c u8;
    ERAP_CONTROL erap_control 0x05d u8;
    VIRTUAL_INTERRUPT_CONTROL virtual_interrupt_control 0x060 u64;
    INTERRUPT_STATE interrupt_state 0x068 u64;
    EXITCODE exitcode 0x070 u64;
    EXITINFO1 exitinfo1 0x078 u64;
    EXITINFO2 exitinfo2 0x080 u64;
    EXITINTINFO exitintinfo 0x088 u64;
    NESTED_CONTROL nested_control 0x090 u64;
    AVIC_APIC_BAR avic_apic_bar 0x098 u64;
    GHCB_GPA ghcb_gpa 0x0a0 u64;
    EVENTINJ eventinj 0x0a8 u64;
    N_CR3 n_cr3 0x0b0 u64;
    VIRTUALIZATION_CONTROL virtualization_control 0x0b8 u64;
    VMCB_CLEAN vmcb_clean 0x0c0 u32;
    NRIP nrip 0x0c8 u64;
    INSN_BYTES_FETCHED insn_bytes_fetched 0x0d0 u8;
    AVIC_BACKING_PAGE avic_backing_page 0x0e0 u64;
    AVIC_LOGICAL_TABLE avic_logical_table 0x0f0 u64;
    AVIC_PHYSICAL_TABLE avic_physical_table 0x0f8 u64;
    VMSA_POINTER vmsa_pointer 0x108 u64;
    VMGEXIT_RAX vmgexit_rax 0x110 u64;
    VMGEXIT_CPL vmgexit_cpl 0x118 u64;
    BUS_LOCK_THRESHOLD_COUNTER bus_lock_threshold_counter 0x120 u16;
    UPDATE_IRR update_irr 0x134 u32;
    ALLOWED_SEV_FEATURES allowed_sev_features 0x138 u64;
    GUEST_SEV_FEATURES guest_sev_features 0x140 u64;
    EXITINTDATA exitintdata 0x170 u64;
    EVENTINJDATA eventinjdata 0x178 u64;
    PML_ADDR pml_addr 0x1c8 u64;
    PML_INDEX pml_index 0x1d0 u16;
    ES es 0x400 Segment;
    CS cs 0x410 Segment;
    SS ss 0x420 Segment;
    DS ds 0x430 Segment;
    FS fs 0x440 Segment;
    GS gs 0x450 Segment;
    GDTR gdtr 0x460 Segment;
    LDTR ldtr 0x470 Segment;
    IDTR idtr 0x480 Segment;
    TR tr 0x490 Segment;
    CPL cpl 0x4cb u8;
    EFER efer 0x4d0 u64;
    PERF_CTL0 perf_ctl0 0x4e0 u64;
    PERF_CTR0 perf_ctr0 0x4e8 u64;
    PERF_CTL1 perf_ctl1 0x4f0 u64;
    PERF_CTR1 perf_ctr1 0x4f8 u64;
    PERF_CTL2 perf_ctl2 0x500 u64;
    PERF_CTR2 perf_ctr2 0x508 u64;
    PERF_CTL3 perf_ctl3 0x510 u64;
    PERF_CTR3 perf_ctr3 0x518 u64;
    PERF_CTL4 perf_ctl4 0x520 u64;
    PERF_CTR4 perf_ctr4 0x528 u64;
    PERF_CTL5 perf_ctl5 0x530 u64;
    PERF_CTR5 perf_ctr5 0x538 u64;
    CR4 cr4 0x548 u64;
    CR3 cr3 0x550 u64;
    CR0 cr0 0x558 u64;
    DR7 dr7 0x560 u64;
    DR6 dr6 0x568 u64;
    RFLAGS rflags 0x570 u64;
    RIP rip 0x578 u64;
    INSTR_RETIRED_CTR instr_retired_ctr 0x5c0 u64;
    PERF_CTR_GLOBAL_STS perf_ctr_global_sts 0x5c8 u64;
    PERF_CTR_GLOBAL_CTL perf_ctr_global_ctl 0x5d0 u64;
    RSP rsp 0x5d8 u64;
    S_CET s_cet 0x5e0 u64;
    SSP ssp 0x5e8 u64;
    ISST_ADDR isst_addr 0x5f0 u64;
    RAX rax 0x5f8 u64;
    STAR star 0x600 u64;
    LSTAR lstar 0x608 u64;
    CSTAR cstar 0x610 u64;
    SFMASK sfmask 0x618 u64;
    KERNEL_GS_BASE kernel_gs_base 0x620 u64;
    SYSENTER_CS sysenter_cs 0x628 u64;
    SYSENTER_ESP sysenter_esp 0x630 u64;
    SYSENTER_EIP sysenter_eip 0x638 u64;
    CR2 cr2 0x640 u64;
    G_PAT g_pat 0x668 u64;
    DBGCTL dbgctl 0x670 u64;
    BR_FROM br_from 0x678 u64;
    BR_TO br_to 0x680 u64;
    LASTEXCPFROM lastexcpfrom 0x688 u64;
    LASTEXCPTO lastexcpto 0x690 u64;
    DBGEXTNCTL dbgextnctl 0x698 u64;
    SPEC_CTRL spec_ctrl 0x6e0 u64;
    GUEST_EXITINTDATA guest_exitintdata 0x8a8 u64;
    GUEST_EVENTINJDATA guest_eventinjdata 0x8b0 u64;
    FRED_RSP0 fred_rsp0 0x8b8 u64;
    FRED_RSP1 fred_rsp1 0x8c0 u64;
    FRED_RSP2 fred_rsp2 0x8c8 u64;
    FRED_RSP3 fred_rsp3 0x8d0 u64;
    FRED_STKLVLS fred_stklvls 0x8d8 u64;
    FRED_SSP1 fred_ssp1 0x8e0 u64;
    FRED_SSP2 fred_ssp2 0x8e8 u64;
    FRED_SSP3 fred_ssp3 0x8f0 u64;
    FRED_CONFIG fred_config 0x8f8 u64;
    LBR_SELECT lbr_select 0xb70 u64;
    IBS_FETCH_CTL ibs_fetch_ctl 0xb78 u64;
    IBS_FETCH_LINADDR ibs_fetch_linaddr 0xb80 u64;
    IBS_OP_CTL ibs_op_ctl 0xb88 u64;
    IBS_OP_RIP ibs_op_rip 0xb90 u64;
    IBS_OP_DATA ibs_op_data 0xb98 u64;
    IBS_OP_DATA2 ibs_op_data2 0xba0 u64;
    IBS_OP_DATA3 ibs_op_data3 0xba8 u64;
    IBS_DC_LINADDR ibs_dc_linaddr 0xbb0 u64;
    BP_IBSTGT_RIP bp_ibstgt_rip 0xbb8 u64;
    IC_IBS_EXTD_CTL ic_ibs_extd_ctl 0xbc0 u64;
}
