//! Members of the VMCB, as `hvctl/svm/vmcb.h` lists them: build.rs has the rows from there. A member's type is in the field's,
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

include!(concat!(env!("OUT_DIR"), "/svm_fields.rs"));
