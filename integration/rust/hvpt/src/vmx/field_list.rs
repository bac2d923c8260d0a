//! Every VMCS field, as `hvctl/vmx/vmcs_fields.h` lists them: build.rs has the rows from there. Widths are in the types, so
//! that a value of another width does not compile. SDM vol. 3, appendix "Field Encoding in VMCS".

use super::Field;

macro_rules! fields {
    ($($name:ident $encoding:literal $width:ty;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`, encoding ", stringify!($encoding), ".")]
            pub const $name: Field<$width> = Field::new($encoding);
        )*

        /// Name and encoding of each, in the order of the list.
        pub const ALL: &[(&str, u32)] = &[$((stringify!($name), $encoding)),*];
    };
}

include!(concat!(env!("OUT_DIR"), "/vmx_fields.rs"));
