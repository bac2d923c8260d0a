//! Every named VMX control, as `hvctl/vmx/control_list.h` lists them; tests/lists.rs compares the two.
//! SDM vol. 3, "VM-Execution Control Fields", "VM-Exit Control Fields", "VM-Entry Control Fields".

use super::Control;

macro_rules! controls {
    ($($name:ident $number:literal $text:literal;)*) => {
        $(
            #[doc = concat!("1-setting: ", $text, ".")]
            pub const $name: Control = Control::new($number);
        )*

        /// Name and number of each, in the order of the list.
        pub const ALL: &[(&str, u32)] = &[$((stringify!($name), $number)),*];
    };
}

controls! {
    PIN_EXTERNAL_INTERRUPT_EXITING 0 "maskable external interrupts exit";
    PIN_NMI_EXITING 3 "NMIs exit";
    PIN_VIRTUAL_NMIS 5 "NMI blocking applies to virtual NMIs; needs NMI exiting";
    PIN_ACTIVATE_VMX_PREEMPTION_TIMER 6 "timer counts down in non-root and exits at 0";
    PIN_PROCESS_POSTED_INTERRUPTS 7 "notification vector processed without exit";
    PRIMARY_INTERRUPT_WINDOW_EXITING 66 "exit when guest can take an interrupt";
    PRIMARY_USE_TSC_OFFSETTING 67 "RDTSC/RDTSCP/RDMSR TSC add TSC offset";
    PRIMARY_HLT_EXITING 71 "HLT exits";
    PRIMARY_INVLPG_EXITING 73 "INVLPG (and INVPCID) exit";
    PRIMARY_MWAIT_EXITING 74 "MWAIT exits";
    PRIMARY_RDPMC_EXITING 75 "RDPMC exits";
    PRIMARY_RDTSC_EXITING 76 "RDTSC/RDTSCP exit";
    PRIMARY_CR3_LOAD_EXITING 79 "MOV to CR3 exits (subject to CR3-target list)";
    PRIMARY_CR3_STORE_EXITING 80 "MOV from CR3 exits";
    PRIMARY_ACTIVATE_TERTIARY_CONTROLS 81 "tertiary controls are used";
    PRIMARY_CR8_LOAD_EXITING 83 "MOV to CR8 exits";
    PRIMARY_CR8_STORE_EXITING 84 "MOV from CR8 exits";
    PRIMARY_USE_TPR_SHADOW 85 "TPR virtualized with virtual-APIC page";
    PRIMARY_NMI_WINDOW_EXITING 86 "exit when no virtual-NMI blocking";
    PRIMARY_MOV_DR_EXITING 87 "MOV DR exits";
    PRIMARY_UNCONDITIONAL_IO_EXITING 88 "all I/O instructions exit (ignored if I/O bitmaps used)";
    PRIMARY_USE_IO_BITMAPS 89 "I/O bitmaps A/B decide I/O exits";
    PRIMARY_MONITOR_TRAP_FLAG 91 "exit after next instruction boundary";
    PRIMARY_USE_MSR_BITMAPS 92 "MSR bitmaps decide RDMSR/WRMSR exits";
    PRIMARY_MONITOR_EXITING 93 "MONITOR exits";
    PRIMARY_PAUSE_EXITING 94 "PAUSE exits";
    PRIMARY_ACTIVATE_SECONDARY_CONTROLS 95 "secondary controls are used";
    SECONDARY_VIRTUALIZE_APIC_ACCESSES 128 "accesses to APIC-access page are treated specially";
    SECONDARY_ENABLE_EPT 129 "guest-physical addresses translated by EPT";
    SECONDARY_DESCRIPTOR_TABLE_EXITING 130 "LGDT/LIDT/LLDT/LTR/SGDT/SIDT/SLDT/STR exit";
    SECONDARY_ENABLE_RDTSCP 131 "0: RDTSCP (and RDPID) #UD";
    SECONDARY_VIRTUALIZE_X2APIC_MODE 132 "x2APIC MSR accesses treated specially";
    SECONDARY_ENABLE_VPID 133 "tag linear mappings with VPID";
    SECONDARY_WBINVD_EXITING 134 "WBINVD/WBNOINVD exit";
    SECONDARY_UNRESTRICTED_GUEST 135 "guest may run with CR0.PE=0 or PG=0";
    SECONDARY_APIC_REGISTER_VIRTUALIZATION 136 "most APIC register reads come from virtual-APIC page";
    SECONDARY_VIRTUAL_INTERRUPT_DELIVERY 137 "pending virtual interrupts evaluated and delivered";
    SECONDARY_PAUSE_LOOP_EXITING 138 "PAUSE loops at CPL0 exit (PLE_GAP/PLE_WINDOW)";
    SECONDARY_RDRAND_EXITING 139 "RDRAND exits";
    SECONDARY_ENABLE_INVPCID 140 "0: INVPCID #UD";
    SECONDARY_ENABLE_VM_FUNCTIONS 141 "VMFUNC usable in guest";
    SECONDARY_VMCS_SHADOWING 142 "guest VMREAD/VMWRITE may use shadow VMCS";
    SECONDARY_ENABLE_ENCLS_EXITING 143 "ENCLS-exiting bitmap consulted";
    SECONDARY_RDSEED_EXITING 144 "RDSEED exits";
    SECONDARY_ENABLE_PML 145 "log GPA when an EPT dirty flag is set";
    SECONDARY_EPT_VIOLATION_VE 146 "convertible EPT violations raise #VE";
    SECONDARY_CONCEAL_VMX_FROM_PT 147 "no VMX non-root indication in PT";
    SECONDARY_ENABLE_XSAVES_XRSTORS 148 "0: XSAVES/XRSTORS #UD";
    SECONDARY_PASID_TRANSLATION 149 "ENQCMD/ENQCMDS PASID translated via directories";
    SECONDARY_MODE_BASED_EXECUTE_CONTROL_FOR_EPT 150 "separate user/supervisor execute bits in EPT";
    SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT 151 "128-byte sub-page write permissions";
    SECONDARY_PT_USES_GUEST_PHYSICAL_ADDRESSES 152 "PT output addresses are GPAs translated by EPT";
    SECONDARY_USE_TSC_SCALING 153 "TSC reads scaled by TSC multiplier (with offsetting)";
    SECONDARY_ENABLE_USER_WAIT_AND_PAUSE 154 "0: TPAUSE/UMONITOR/UMWAIT #UD";
    SECONDARY_ENABLE_PCONFIG 155 "0: PCONFIG #UD; PCONFIG-exiting bitmap consulted";
    SECONDARY_ENABLE_ENCLV_EXITING 156 "ENCLV-exiting bitmap consulted";
    SECONDARY_ENABLE_EPC_VIRTUALIZATION_EXTENSIONS 157 "SGX EPC virtualisation leafs";
    SECONDARY_VMM_BUS_LOCK_DETECTION 158 "bus lock assertion exits";
    SECONDARY_INSTRUCTION_TIMEOUT 159 "exit if no interrupt window within timeout (notify)";
    TERTIARY_LOADIWKEY_EXITING 192 "LOADIWKEY exits";
    TERTIARY_ENABLE_HLAT 193 "HLAT paging used for prefix addresses";
    TERTIARY_EPT_PAGING_WRITE_CONTROL 194 "EPT bit 58 lets paging writes bypass write permission";
    TERTIARY_GUEST_PAGING_VERIFICATION 195 "EPT bit 57 demands paging-write on guest walk";
    TERTIARY_IPI_VIRTUALIZATION 196 "ICR writes/SENDUIPI post via PID-pointer table";
    TERTIARY_SEAM_GUEST_PHYSICAL_ADDRESS_WIDTH 197 "SEAM: selects guest-physical address width";
    TERTIARY_ENABLE_MSR_LIST_INSTRUCTIONS 198 "0: RDMSRLIST/WRMSRLIST #UD";
    TERTIARY_VIRTUALIZE_IA32_SPEC_CTRL 199 "guest IA32_SPEC_CTRL uses mask/shadow";
    TERTIARY_APIC_TIMER_VIRTUALIZATION 200 "guest TSC-deadline timer delivered as virtual interrupt";
    TERTIARY_ENABLE_PBNDKB 201 "0: PBNDKB #UD";
    TERTIARY_PEBS_USES_GUEST_PHYSICAL_ADDRESSES 204 "architectural PEBS buffer addresses are GPAs translated by EPT";
    EXIT_SAVE_DEBUG_CONTROLS 258 "DR7 and IA32_DEBUGCTL saved on exit";
    EXIT_HOST_ADDRESS_SPACE_SIZE 265 "host is in 64-bit mode after exit";
    EXIT_LOAD_IA32_PERF_GLOBAL_CTRL 268 "host value loaded on exit";
    EXIT_ACKNOWLEDGE_INTERRUPT_ON_EXIT 271 "external-interrupt exit acknowledges and stores vector";
    EXIT_SAVE_IA32_PAT 274 "guest PAT saved";
    EXIT_LOAD_IA32_PAT 275 "host PAT loaded";
    EXIT_SAVE_IA32_EFER 276 "guest EFER saved";
    EXIT_LOAD_IA32_EFER 277 "host EFER loaded";
    EXIT_SAVE_VMX_PREEMPTION_TIMER_VALUE 278 "timer saved on exit";
    EXIT_CLEAR_IA32_BNDCFGS 279 "BNDCFGS cleared on exit";
    EXIT_CONCEAL_VMX_FROM_PT 280 "no PIP/VMCS PT packets on exit";
    EXIT_CLEAR_IA32_RTIT_CTL 281 "RTIT_CTL cleared on exit";
    EXIT_CLEAR_IA32_LBR_CTL 282 "LBR_CTL cleared on exit";
    EXIT_CLEAR_UINV 283 "UINV cleared on exit";
    EXIT_LOAD_CET_STATE 284 "host S_CET, SSP, SSP table loaded";
    EXIT_LOAD_PKRS 285 "host PKRS loaded";
    EXIT_SAVE_IA32_PERF_GLOBAL_CTRL 286 "guest value saved on exit";
    EXIT_ACTIVATE_SECONDARY_CONTROLS 287 "secondary VM-exit controls used";
    EXIT2_SAVE_GUEST_FRED 320 "guest FRED MSRs saved on exit";
    EXIT2_LOAD_HOST_FRED 321 "host FRED MSRs loaded on exit";
    EXIT2_LOAD_HOST_IA32_SPEC_CTRL 322 "host IA32_SPEC_CTRL loaded on exit";
    EXIT2_PREMATURELY_BUSY_SHADOW_STACK 323 "exit reason bit 25 reports a prematurely busy shadow stack";
    ENTRY_LOAD_DEBUG_CONTROLS 386 "DR7 and IA32_DEBUGCTL loaded on entry";
    ENTRY_IA32E_MODE_GUEST 393 "guest in IA-32e mode after entry";
    ENTRY_ENTRY_TO_SMM 394 "guest in SMM after entry";
    ENTRY_DEACTIVATE_DUAL_MONITOR_TREATMENT 395 "default SMI treatment after entry";
    ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL 397 "guest value loaded";
    ENTRY_LOAD_IA32_PAT 398 "guest PAT loaded";
    ENTRY_LOAD_IA32_EFER 399 "guest EFER loaded";
    ENTRY_LOAD_IA32_BNDCFGS 400 "guest BNDCFGS loaded";
    ENTRY_CONCEAL_VMX_FROM_PT 401 "no PIP PT packet on entry";
    ENTRY_LOAD_IA32_RTIT_CTL 402 "guest RTIT_CTL loaded";
    ENTRY_LOAD_UINV 403 "guest UINV loaded";
    ENTRY_LOAD_CET_STATE 404 "guest S_CET, SSP, SSP table loaded";
    ENTRY_LOAD_GUEST_IA32_LBR_CTL 405 "guest LBR_CTL loaded";
    ENTRY_LOAD_PKRS 406 "guest PKRS loaded";
    ENTRY_LOAD_FRED 407 "guest FRED MSRs loaded";
    ENTRY_LOAD_GUEST_IA32_SPEC_CTRL 408 "guest IA32_SPEC_CTRL loaded";
    ENTRY_ALLOW_SEAM_GUEST_TELEMETRY 409 "SEAM: telemetry stays on in TD guest (newest SDM table only)";
    VMFUNC_EPTP_SWITCHING 448 "VMFUNC leaf 0 loads EPTP from list";
}
