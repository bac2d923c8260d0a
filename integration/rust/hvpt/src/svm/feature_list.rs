//! What CPUID 8000000AH says of SVM, as `hvctl/svm/caps.h` lists it; tests/lists.rs compares the two.
//! APM vol. 3, "Function 8000_000Ah".

use super::Feature;

macro_rules! features {
    ($($name:ident $number:literal;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`.")]
            pub const $name: Feature = Feature::new($number);
        )*

        /// Name and number of each, in the order of the list.
        pub const ALL: &[(&str, u32)] = &[$((stringify!($name), $number)),*];
    };
}

features! {
    NP 0;
    LBR_VIRT 1;
    SVML 2;
    NRIPS 3;
    TSC_RATE_MSR 4;
    VMCB_CLEAN 5;
    FLUSH_BY_ASID 6;
    DECODE_ASSISTS 7;
    PMC_VIRT 8;
    PAUSE_FILTER 10;
    PAUSE_FILTER_THRESHOLD 12;
    AVIC 13;
    VMSAVE_VIRT 15;
    VGIF 16;
    GMET 17;
    X2AVIC 18;
    SSS_CHECK 19;
    SPEC_CTRL 20;
    ROGPT 21;
    HOST_MCE_OVERRIDE 23;
    TLBI_CTL 24;
    VNMI 25;
    IBS_VIRT 26;
    EXT_LVT_AVIC_ACCESS_CHG 27;
    NESTED_VIRT_VMCB_ADDR_CHK 28;
    BUS_LOCK_THRESHOLD 29;
    IDLE_HLT_INTERCEPT 30;
    ENHANCED_SHUTDOWN_INTERCEPT 31;
    FRED_VIRT 35;
    PML 36;
    ENHANCED_TLBI 37;
    X2AVIC_EXT 38;
}
