//! Exit codes of SVM, as `hvctl/svm/exit_list.h` lists them: build.rs has the rows from there. Those below A7H are also the
//! intercepts. APM vol. 2, appendix "SVM Intercept Exit Codes".

use super::ExitCode;

macro_rules! codes {
    ($($name:ident $number:literal;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`, ", stringify!($number), ".")]
            pub const $name: ExitCode = ExitCode::new($number);
        )*

        /// Name and number of each, in the order of the list.
        pub const ALL: &[(&str, u64)] = &[$((stringify!($name), $number)),*];
    };
}

include!(concat!(env!("OUT_DIR"), "/svm_exits.rs"));
