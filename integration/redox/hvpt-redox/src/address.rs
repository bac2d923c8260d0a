//! Addresses: two types, so that mixing up a guest's and the host's does not compile.

use core::fmt;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The address with this number.
            pub const fn new(address: u64) -> Self {
                Self(address)
            }

            /// The number.
            pub const fn data(self) -> u64 {
                self.0
            }

            /// The address this many bytes further on; `None` if there is none.
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// Is the address a multiple of `size`, a power of two?
            pub const fn is_aligned(self, size: u64) -> bool {
                self.0 & (size - 1) == 0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "[{} {:#x}]", $word, self.0)
            }
        }
    };
}

address!(
    /// A guest-physical address, in bytes (Arm: IPA).
    Gpa,
    "gpa"
);
address!(
    /// A host-physical address, in bytes: what the kernel calls a physical address.
    Hpa,
    "hpa"
);
