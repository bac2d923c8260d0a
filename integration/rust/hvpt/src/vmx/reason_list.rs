//! Basic exit reasons, as `hvctl/vmx/exit.h` lists them; tests/lists.rs compares the two.
//! SDM vol. 3, appendix "VMX Basic Exit Reasons".

use super::Reason;

macro_rules! reasons {
    ($($name:ident $number:literal $text:literal;)*) => {
        $(
            #[doc = concat!($text, ".")]
            pub const $name: Reason = Reason::new($number);
        )*

        /// Name and number of each, in the order of the list.
        pub const ALL: &[(&str, u16)] = &[$((stringify!($name), $number)),*];
    };
}

reasons! {
    EXCEPTION_OR_NMI 0 "exception or NMI";
    EXTERNAL_INTERRUPT 1 "external interrupt";
    TRIPLE_FAULT 2 "triple fault";
    INIT_SIGNAL 3 "INIT signal";
    SIPI 4 "start-up IPI";
    IO_SMI 5 "I/O system-management interrupt";
    OTHER_SMI 6 "other system-management interrupt";
    INTERRUPT_WINDOW 7 "interrupt window";
    NMI_WINDOW 8 "NMI window";
    TASK_SWITCH 9 "task switch";
    CPUID 10 "CPUID";
    GETSEC 11 "GETSEC";
    HLT 12 "HLT";
    INVD 13 "INVD";
    INVLPG 14 "INVLPG";
    RDPMC 15 "RDPMC";
    RDTSC 16 "RDTSC";
    RSM 17 "RSM";
    VMCALL 18 "VMCALL";
    VMCLEAR 19 "VMCLEAR";
    VMLAUNCH 20 "VMLAUNCH";
    VMPTRLD 21 "VMPTRLD";
    VMPTRST 22 "VMPTRST";
    VMREAD 23 "VMREAD";
    VMRESUME 24 "VMRESUME";
    VMWRITE 25 "VMWRITE";
    VMXOFF 26 "VMXOFF";
    VMXON 27 "VMXON";
    CR_ACCESS 28 "control-register access";
    DR_ACCESS 29 "debug-register access";
    IO_INSTRUCTION 30 "I/O instruction";
    RDMSR 31 "RDMSR";
    WRMSR 32 "WRMSR";
    ENTRY_FAILURE_GUEST_STATE 33 "VM-entry failure: invalid guest state";
    ENTRY_FAILURE_MSR_LOADING 34 "VM-entry failure: MSR loading";
    VMEXIT_FAILURE 35 "VM-exit failure";
    MWAIT 36 "MWAIT";
    MONITOR_TRAP_FLAG 37 "monitor trap flag";
    MONITOR 39 "MONITOR";
    PAUSE 40 "PAUSE";
    ENTRY_FAILURE_MACHINE_CHECK 41 "VM-entry failure: machine check";
    C_STATE_SMI 42 "SMI in a C-state";
    TPR_BELOW_THRESHOLD 43 "TPR below threshold";
    APIC_ACCESS 44 "APIC access";
    VIRTUALIZED_EOI 45 "virtualized EOI";
    GDTR_OR_IDTR_ACCESS 46 "access to GDTR or IDTR";
    LDTR_OR_TR_ACCESS 47 "access to LDTR or TR";
    EPT_VIOLATION 48 "EPT violation";
    EPT_MISCONFIGURATION 49 "EPT misconfiguration";
    INVEPT 50 "INVEPT";
    RDTSCP 51 "RDTSCP";
    VMX_PREEMPTION_TIMER_EXPIRED 52 "VMX-preemption timer expired";
    INVVPID 53 "INVVPID";
    WBINVD_OR_WBNOINVD 54 "WBINVD or WBNOINVD";
    XSETBV 55 "XSETBV";
    APIC_WRITE 56 "APIC write";
    RDRAND 57 "RDRAND";
    INVPCID 58 "INVPCID";
    VMFUNC 59 "VMFUNC";
    ENCLS 60 "ENCLS";
    RDSEED 61 "RDSEED";
    PAGE_MODIFICATION_LOG_FULL 62 "page-modification log full";
    XSAVES 63 "XSAVES";
    XRSTORS 64 "XRSTORS";
    PCONFIG 65 "PCONFIG";
    SPP_RELATED_EVENT 66 "SPP-related event";
    UMWAIT 67 "UMWAIT";
    TPAUSE 68 "TPAUSE";
    LOADIWKEY 69 "LOADIWKEY";
    ENCLV 70 "ENCLV";
    SGX_CONFLICT 71 "SGX conflict";
    ENQCMD_PASID_TRANSLATION_FAILURE 72 "ENQCMD PASID translation failure";
    ENQCMDS_PASID_TRANSLATION_FAILURE 73 "ENQCMDS PASID translation failure";
    BUS_LOCK 74 "bus lock";
    INSTRUCTION_TIMEOUT 75 "instruction timeout";
    SEAMCALL 76 "SEAMCALL";
    TDCALL 77 "TDCALL";
    RDMSRLIST 78 "RDMSRLIST";
    WRMSRLIST 79 "WRMSRLIST";
    URDMSR 80 "URDMSR";
    UWRMSR 81 "UWRMSR";
    RDMSR_IMMEDIATE 84 "RDMSR, immediate form";
    WRMSRNS_IMMEDIATE 85 "WRMSRNS, immediate form";
}
