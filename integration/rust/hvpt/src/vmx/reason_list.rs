//! Basic exit reasons, as `hvctl/vmx/exit.h` lists them: build.rs has the rows from there.
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

include!(concat!(env!("OUT_DIR"), "/vmx_reasons.rs"));
