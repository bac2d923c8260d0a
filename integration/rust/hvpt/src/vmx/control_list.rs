//! Every named VMX control, as `hvctl/vmx/control_list.h` lists them: build.rs has the rows from there.
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

include!(concat!(env!("OUT_DIR"), "/vmx_controls.rs"));
