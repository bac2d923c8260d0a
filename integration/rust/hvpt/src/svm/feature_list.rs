//! What CPUID 8000000AH says of SVM, as `hvctl/svm/caps.h` lists it: build.rs has the rows from there.
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

include!(concat!(env!("OUT_DIR"), "/svm_features.rs"));
