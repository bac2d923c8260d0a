//! Errors: one value for each cause, with the words that the headers have for it.

use core::fmt;

use crate::{ffi, text};

macro_rules! status {
    ($(#[$doc:meta])* $name:ident, $text:path, $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $number,)*
        }

        impl $name {
            /// The error that a status of the headers is; none for success. A number that is not known counts as the
            /// last of the list.
            #[allow(dead_code)]
            pub(crate) fn check(status: u32) -> core::result::Result<(), Self> {
                match status {
                    0 => Ok(()),
                    other => Err(Self::ALL.iter().copied().find(|known| *known as u32 == other).unwrap_or(Self::LAST)),
                }
            }

            /// Every error there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            const LAST: Self = Self::ALL[Self::ALL.len() - 1];

            /// In words, without a full stop.
            pub fn text(self) -> &'static str {
                // SAFETY: the shim returns a string of its own, never NULL.
                unsafe { text::c_str($text(self as u32)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text())
            }
        }
    };
}
pub(crate) use status;

status! {
    /// Why a call on second-level tables failed. After any of them every translation is what it was, and no frame is
    /// held that was not before.
    Error, ffi::hvpt_rs_status_text,
    /// An address or size is not a multiple of the page size.
    Misaligned = 1,
    /// The range is empty, or beyond what the space, the format or MAXPHYADDR can hold.
    OutOfRange = 2,
    /// Something in the range is mapped already.
    AlreadyMapped = 3,
    /// Something in the range is not mapped.
    NotMapped = 4,
    /// The frame allocator had no frame, or the heap no room for the mapper.
    OutOfMemory = 5,
    /// This format or this CPU cannot express the flags or the configuration; of `touch` and `explain`: the page denies
    /// the access.
    Unsupported = 6,
    /// Another CPU changed the entry first.
    Race = 8,
    /// The tables were adopted for reading only.
    ReadOnly = 9,
    /// There was nothing to give back: the page allows the access.
    Nothing = 10,
    /// A hook is missing; this crate always has all of them.
    Hook = 11,
    /// The configuration is one that no CPU could have.
    Configuration = 12,
    /// A table is not what it should be: reserved bits, an address that no frame can have.
    Corrupt = 7,
}

status! {
    /// Why a call on control structures failed.
    ControlError, ffi::hvctl_rs_status_text,
    /// No VMCS field has this encoding.
    NoSuchField = 1,
    /// The field exists, but not on this CPU.
    FieldAbsent = 2,
    /// The value is wider than the field.
    TooWide = 3,
    /// The field is read-only on this CPU.
    ReadOnlyField = 4,
    /// Reading or writing a model-specific register faulted.
    Msr = 6,
    /// A required control cannot be had.
    Control = 7,
    /// A number is out of range.
    OutOfRange = 8,
    /// An address is not aligned as the structure demands.
    Misaligned = 9,
    /// No room is left: in a table, or for a frame.
    Full = 10,
    /// Text that is not understood.
    Syntax = 11,
    /// Not possible in the state that the guest or the CPU is in.
    Mode = 12,
    /// A guest's state lacks what is needed.
    State = 13,
    /// The guest is to get an exception instead.
    Fault = 14,
    /// A triple fault: the guest ends.
    Shutdown = 15,
    /// Done, and an INVVPID is owed before the guest goes on.
    OwesInvvpid = 16,
    /// The CPU refused the operation.
    Cpu = 5,
}
